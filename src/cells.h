/*-------------------------------------------------------------------------
 *
 * cells.h
 *	  Cells of the statistics, in memory and in the tables that keep them.
 *
 * IDENTIFICATION
 *	  src/cells.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_CELLS_H
#define LEAD_FUNNEL_CELLS_H

#include "utils/date.h"

#include "lead_row.h"
#include "sum.h"

/* Columns of our tables (sql/parts/20_tables.sql). */
enum
{
	DELTA_XID = 1,
	DELTA_FUNNEL_ID,
	DELTA_DAY,
	DELTA_LEADS,
	DELTA_FROM_STAGE,
	DELTA_TO_STAGE,
	DELTA_KIND,
	DELTA_VALUE_OUT,
	DELTA_VALUE_IN,
	DELTA_SOURCE,				/* and the other dimensions behind it */
	DELTA_COLUMNS = DELTA_SOURCE + LF_DIM_COUNT - 1
};

enum
{
	GENERATION_FUNNEL_ID = 1,
	GENERATION_GENERATION,
	GENERATION_SNAPSHOT,
	GENERATION_CELLS,
	GENERATION_FOLDED_AT,
	GENERATION_COLUMNS = GENERATION_FOLDED_AT
};

enum
{
	STOCK_FUNNEL_ID = 1,
	STOCK_GENERATION,
	STOCK_LEADS,
	STOCK_STAGE,
	STOCK_VALUE,
	STOCK_SOURCE,
	STOCK_COLUMNS = STOCK_SOURCE + LF_DIM_COUNT - 1
};

enum
{
	FLOW_FUNNEL_ID = 1,
	FLOW_DAY,
	FLOW_OPENING,
	FLOW_ENTRIES,
	FLOW_EXITS,
	FLOW_ADJUSTMENTS,
	FLOW_STAGE,
	FLOW_VALUE_IN,
	FLOW_VALUE_OUT,
	FLOW_VALUE_ADJUSTMENTS,
	FLOW_SOURCE,
	FLOW_COLUMNS = FLOW_SOURCE + LF_DIM_COUNT - 1
};

/* What tells cells apart.  A stock cell and a flow cell have no from and no kind. */
typedef struct CellKey
{
	int32		funnel_id;
	char		kind;
	LeadStage	from;
	LeadStage	to;
	DateADT		day;
	text	   *dims[LF_DIM_COUNT]; /* NULL: missing */
} CellKey;

/* A cell and its amounts. */
typedef struct Cell
{
	CellKey		key;
	uint32		hash;
	int			next;			/* in the bucket; -1: none */
	int64		leads;			/* of a flow: opening */
	Sum			value_out;
	Sum			value_in;		/* of a stock: value */
	Sum			value_both;		/* of a delta: goes out and comes in; not in
								 * the other two */
	/* of a flow: */
	int64		entries;
	int64		exits;
	int64		adjustments;
	Sum			value_adjustments;
} Cell;

/* A set of cells; linear while it is small, which it is in one-row statements. */
typedef struct CellSet
{
	MemoryContext cxt;
	int			count;
	int			room;
	Cell	   *cells;
	int			nbuckets;
	int		   *buckets;
	int			last;			/* the cell found last: mostly the next one,
								 * too */
} CellSet;

/* The cell with this key, made if it is new; valid until the next one is made. */
extern Cell *lf_cell(CellSet *set, const CellKey *key);

/* The same; NULL if there is none. */
extern Cell *lf_known_cell(const CellSet *set, const CellKey *key);

/* Columns of a row that is to be written. */
extern void lf_put_stage(Datum *values, bool *nulls, AttrNumber attnum, LeadStage stage);
extern void lf_put_dims(Datum *values, bool *nulls, AttrNumber first, text *const *dims);

/* A flow cell as a row of table flow_cell. */
extern void lf_flow_row(const Cell *cell, Datum *values, bool *nulls);

#endif							/* LEAD_FUNNEL_CELLS_H */
