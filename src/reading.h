/*-------------------------------------------------------------------------
 *
 * reading.h
 *	  What a snapshot sees of the statistics.
 *
 * IDENTIFICATION
 *	  src/reading.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_READING_H
#define LEAD_FUNNEL_READING_H

#include "access/transam.h"
#include "storage/itemptr.h"
#include "utils/snapshot.h"

#include "cells.h"

/* The newest generation that a snapshot sees. */
typedef struct Generation
{
	int64		number;			/* 0: there is none */
	ItemPointerData tid;
	int64		cells;			/* so many it has */
	uint64		xmin;
	uint64		xmax;			/* deltas from here on are not in it, */
	int			nxip;			/* nor those of these transactions */
	uint64	   *xip;
} Generation;

/* Rows that were read. */
typedef struct TupleIds
{
	int			count;
	int			room;
	ItemPointerData *tids;
} TupleIds;

/* Who reads what, and what is done with it; NULL: nothing. */
typedef struct Reading
{
	int32		funnel_id;
	Snapshot	snapshot;
	text	   *missing;		/* stands for a missing dimension */
	FullTransactionId skip;		/* whose deltas are left out */
	CellSet    *stock;
	CellSet    *flow;
	TupleIds   *stock_rows;
	TupleIds   *flow_rows;
	TupleIds   *delta_rows;
	int64		deltas;			/* how many were read */
} Reading;

/* Reads xmin:xmax:xip,xip,... */
extern void lf_parse_snapshot(const char *s, Generation *generation);

extern void lf_remember_tuple(TupleIds *ids, ItemPointer tid);
extern void lf_read_generation(int32 funnel_id, Snapshot snapshot, Generation *generation);

/* The stock cells of the generation. */
extern void lf_read_stock(Reading *reading, const Generation *generation);

/* Adds to the flow cells what the table has of the same cells. */
extern void lf_read_flow(Reading *reading);

/* The deltas that the snapshot sees and the generation did not. */
extern void lf_read_tail(Reading *reading, const Generation *generation);

#endif							/* LEAD_FUNNEL_READING_H */
