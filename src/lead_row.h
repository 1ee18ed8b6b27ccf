/*-------------------------------------------------------------------------
 *
 * lead_row.h
 *	  What a funnel reads from a row of a lead table.
 *
 * IDENTIFICATION
 *	  src/lead_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_LEAD_ROW_H
#define LEAD_FUNNEL_LEAD_ROW_H

#include "access/xact.h"
#include "executor/tuptable.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "funnel.h"

/* The key of a lead: an integer, or else a text. */
typedef struct LeadKey
{
	bool		is_integer;
	int64		id;
	text	   *key;
} LeadKey;

/* A numeric as it is stored, with a short header or a long one. */
typedef struct varlena PackedNumeric;

/* What counts a lead: its stage, its dimensions, its value. */
typedef struct LeadState
{
	bool		live;			/* in the funnel */
	bool		unmapped;		/* not live, because the status means nothing */
	LeadStage	stage;
	text	   *status;			/* raw, where it is not the stage's label */
	text	   *dims[LF_DIM_COUNT]; /* NULL: missing */
	PackedNumeric *value;		/* NULL: missing */
} LeadState;

extern void lf_lead_key(const Funnel *funnel, TupleTableSlot *slot, LeadKey *key);

/* "other" is what another version of the row had, or NULL. */
extern void lf_lead_state(const Funnel *funnel, TupleTableSlot *slot, const LeadState *other,
						  LeadState *state);

/* Of the state, only whether and where the lead is in the funnel. */
extern void lf_lead_place(const Funnel *funnel, TupleTableSlot *slot, LeadState *state);

/* A time column; false if it is missing.  Days count from their start. */
extern bool lf_lead_time(const Funnel *funnel, TupleTableSlot *slot, FunnelColumn column,
						 TimestampTz *result);

/* A text column; NULL if it is missing or blank. */
extern text *lf_lead_text(const Funnel *funnel, TupleTableSlot *slot, FunnelColumn column);

/* A value of one of the types that lf_column_complaint() admits for it. */
extern text *lf_value_as_text(Datum value, Oid type);
extern int64 lf_value_as_integer(Datum value, Oid type);
extern PackedNumeric *lf_value_as_numeric(Datum value, Oid type);

extern bool lf_key_equal(const LeadKey *a, const LeadKey *b);
extern uint32 lf_key_hash(const LeadKey *key);

/* The order of the collation "C", numbers behind texts. */
extern int	lf_key_compare(const LeadKey *a, const LeadKey *b);
extern char *lf_key_string(const LeadKey *key);
extern bool lf_text_equal(const text *a, const text *b);
extern bool lf_numeric_equal(const PackedNumeric *a, const PackedNumeric *b);

/* Same stage, dimensions and value. */
extern bool lf_state_equal(const LeadState *a, const LeadState *b);
extern bool lf_same_cell(const LeadState *a, const LeadState *b);

/* Copies into the present memory context; with "like", not NULL, what is equal is shared. */
extern LeadKey lf_key_copy(const LeadKey *key);
extern LeadState lf_state_copy(const LeadState *state, const LeadState *like);
extern text *lf_text_copy(const text *t);
extern text *lf_text_copy_or_share(const text *t, text *like);

/* NULL if the column's type fits its use, else a sentence that says why not. */
extern char *lf_column_complaint(Oid relid, const char *column, const char *use);

/*
 * Dates of leads are of the years 1 to 9999: day and month of those can be told
 * in any time zone, and a calendar of all days can be made.
 */
#define LF_FIRST_TIME INT64CONST(-63082281600000000)
#define LF_END_OF_TIME INT64CONST(252455616000000000)

static inline bool
lf_time_is_usable(TimestampTz t)
{
	return t >= LF_FIRST_TIME && t < LF_END_OF_TIME;
}

/* A date that the writer gives may be so far ahead: clocks differ. */
#define LF_FUTURE_TOLERANCE (5 * USECS_PER_MINUTE)

/* The clock is only looked at if the transaction began before the date. */
static inline bool
lf_time_is_future(TimestampTz t)
{
	return t > GetCurrentTransactionStartTimestamp() && t > GetCurrentTimestamp() + LF_FUTURE_TOLERANCE;
}

#endif							/* LEAD_FUNNEL_LEAD_ROW_H */
