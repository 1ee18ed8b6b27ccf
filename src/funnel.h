/*-------------------------------------------------------------------------
 *
 * funnel.h
 *	  Funnels as a backend knows them: compiled and cached by relation.
 *
 * IDENTIFICATION
 *	  src/funnel.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_FUNNEL_H
#define LEAD_FUNNEL_FUNNEL_H

#include "pgtime.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "lead_stage.h"

/* The columns of a lead table that a funnel may know, in catalog order. */
typedef enum FunnelColumn
{
	LF_COL_STAGE,
	LF_COL_KEY,
	LF_COL_SOURCE,
	LF_COL_CAMPAIGN,
	LF_COL_OWNER,
	LF_COL_SEGMENT,
	LF_COL_CURRENCY,
	LF_COL_VALUE,
	LF_COL_ENTERED,
	LF_COL_ACTOR,
	LF_COL_REASON,
	LF_COL_HANDOVER,
	LF_COL_EXCLUDED,
	LF_COL_SCORE,
	LF_COL_QUALIFICATION
} FunnelColumn;

#define LF_COLUMN_COUNT (LF_COL_QUALIFICATION + 1)
#define LF_DIM_COUNT (LF_COL_CURRENCY - LF_COL_SOURCE + 1)

/* How the stage is kept in the lead table. */
typedef enum StageKind
{
	LF_STAGE_NATIVE,			/* lead_stage */
	LF_STAGE_TEXT,				/* text, varchar, char */
	LF_STAGE_ENUM,
	LF_STAGE_INTEGER
} StageKind;

/* What a value of a status column means. */
typedef struct StageValue
{
	char	   *value;
	int			length;
	int64		number;			/* of an integer column */
	LeadStage	stage;
	int32		position;		/* among those of the stage: the first is
								 * written back */
} StageValue;

/* One edge of the graph of moves. */
typedef struct Rule
{
	bool		allowed;
	bool		requires_reason;
	bool		automatic;		/* the move is made when its conditions are
								 * met */
	const char *allowed_role;	/* by name, since it may not exist here; NULL:
								 * any */
	const struct Gate *gate;	/* NULL: none */
	Numeric		below_score;	/* one of these conditions; NULL: none */
} Rule;

/* Automatic moves from one stage: one that a score reaches, one that it falls to. */
#define LF_AUTOMATIC_MAX 2

typedef struct Funnel
{
	Oid			relid;			/* hash key: the table or one of its
								 * partitions */
	bool		valid;
	MemoryContext cxt;			/* of what the fields point to */
	int32		funnel_id;
	Oid			root;			/* the attached table */
	NameData	name;
	NameData	stage_column;
	bool		suspended;
	bool		enforce;
	pg_tz	   *tz;
	AttrNumber	attnum[LF_COLUMN_COUNT];	/* 0: not given */
	Oid			type[LF_COLUMN_COUNT];	/* base types */
	const struct Binding *binding;	/* columns that make a qualification, or
									 * NULL */
	StageKind	stage_kind;
	LeadStage	null_stage;		/* what a missing status means */
	int			nvalues;
	StageValue *values;
	int32		rules_version;
	Rule		rules[LF_STAGE_COUNT + 1][LF_STAGE_COUNT + 1];	/* [from or none][to] */
	bool		has_automatic;
	LeadStage	automatic[LF_STAGE_COUNT + 1][LF_AUTOMATIC_MAX];	/* where to, in the
																	 * order in which they
																	 * are tried */
	struct ScoreSource *score_source;	/* the model that makes the score, or
										 * NULL */
	int			noverriders;
	NameData   *overriders;
	int32		epoch;			/* how often all leads left at once */
	NameData	notify_channel; /* empty: moves are not told */
} Funnel;

/* Relations of the extension's own, by their names, as known to this backend. */
typedef struct OwnTables
{
	bool		valid;
	Oid			schema;
	Oid			funnel;
	Oid			stage_map;
	Oid			stage_map_pkey;
	Oid			rule_version;
	Oid			rule_version_pkey;
	Oid			rule;
	Oid			rule_move;
	Oid			override_role;
	Oid			override_role_pkey;
	Oid			journal;
	Oid			journal_lead_id;	/* indexes of the journal */
	Oid			journal_lead_key;
	Oid			journal_epoch;
	Oid			delta;
	Oid			delta_xid;
	Oid			generation;
	Oid			generation_pkey;
	Oid			stock_cell;
	Oid			stock_cell_generation;
	Oid			flow_cell;
	Oid			flow_cell_day;
	Oid			lead_stage;		/* the types */
	Oid			qualification;
} OwnTables;

extern void lf_funnel_init(void);
extern const OwnTables *lf_own_tables(void);

/* Whether the function is one of the schema lead_funnel. */
extern bool lf_is_own_function(Oid function);

/* For modules that read tables of their own: a relation of ours by name, a snapshot of now, a column that is never NULL. */
extern Oid	lf_own_relation(Oid schema, const char *name);
extern Snapshot lf_fresh_snapshot(void);
extern Datum lf_required_attribute(HeapTuple tuple, AttrNumber attnum, TupleDesc desc);

/* The greatest number of a funnel in an index on funnel_id and a number; 0 if there is none. */
extern int32 lf_greatest_number(Relation rel, Oid index_oid, int32 funnel_id, Snapshot snapshot);

/*
 * The funnel of a table or partition; NULL if it has none.  The result lives
 * as long as the transaction; its fields may change at the next call.
 */
extern Funnel *lf_funnel_lookup(Oid relid);

/* The same for a partition that has just left its parent; the result is the caller's. */
extern Funnel *lf_funnel_of_former_partition(Oid relid, Oid former_parent);

/* The transaction is over: frees what is out of date. */
extern void lf_funnel_forget(void);

/* By number or name; an error if there is none or it is detached. */
extern Funnel *lf_funnel_by_id(int32 funnel_id);
extern Funnel *lf_funnel_by_name(const char *name);

/*
 * The table, which is locked, and its partitions of all levels, which get
 * locked; those that are being detached are in, as long as that is not done.
 * Children by inheritance are not.
 */
extern List *lf_partition_tree(Oid relid, LOCKMODE lockmode);

/* Makes every backend compile the funnels of the relation anew. */
extern void lf_funnel_invalidate(Oid relid);

/* What a status column's value means; LF_STAGE_NONE if it is not mapped. */
extern LeadStage lf_funnel_stage_of_text(const Funnel *funnel, const char *value, int length);
extern LeadStage lf_funnel_stage_of_number(const Funnel *funnel, int64 value);

/* What stands for a stage in the status column; NULL: nothing does. */
extern const char *lf_funnel_status_of_stage(const Funnel *funnel, LeadStage stage);

/* Whether the move was automatic by an earlier version of the rules. */
extern bool lf_funnel_was_automatic(const Funnel *funnel, int32 version, LeadStage from, LeadStage to);

/* Row of table funnel, for callers that know a name or number only. */
typedef struct FunnelRow
{
	int32		funnel_id;
	NameData	name;
	Oid			relation;		/* invalid: detached */
	NameData	attached_by;
	NameData	stage_column;
	NameData	key_column;
	bool		suspended;
	char	   *timezone;
	NameData	notify_channel; /* empty: none */
} FunnelRow;

extern void lf_funnel_row_by_name(const char *name, FunnelRow *row);	/* an error if there is
																		 * none */
extern bool lf_funnel_row_by_relation(Oid relid, FunnelRow *row);	/* or a partition of it */
extern bool lf_funnel_row_by_id(int32 funnel_id, FunnelRow *row);

/*
 * The time zone of its days.  An error if this server does not know it, as may
 * be behind an upgrade of the operating system: so only who needs it asks, and
 * alter_funnel() can name another one.
 */
extern pg_tz *lf_funnel_row_zone(const FunnelRow *row);

/* Whether there is any funnel at all: DDL has nothing to check if not. */
extern bool lf_any_funnel(void);

#endif							/* LEAD_FUNNEL_FUNNEL_H */
