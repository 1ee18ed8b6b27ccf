/*-------------------------------------------------------------------------
 *
 * score.h
 *	  Scores, for the rest of the extension.
 *
 * IDENTIFICATION
 *	  src/score.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_SCORE_H
#define LEAD_FUNNEL_SCORE_H

#include "fmgr.h"

#include "score_bind.h"

/*
 * What a caller keeps between rows: the active version of a model, and what it
 * is bound to.  Zeroed at first.
 */
typedef struct ScoreCall
{
	uint64		generation;		/* when the rest was found */
	NameData	name;
	MemoryContext cxt;			/* of what follows; NULL: nothing yet */
	ScoreModel *model;
	TupleDesc	desc;
	ScoreRowBinding *row;		/* for rows, or else */
	ScoreLooseBinding *loose;	/* for jsonb */
} ScoreCall;

/* Whether what the caller keeps holds for this model and the rows that it was made for. */
static inline bool
lf_score_is_current(const ScoreCall *call, const char *model)
{
	return call->generation == lf_score_generation && strcmp(NameStr(call->name), model) == 0;
}

/*
 * Makes it hold, for rows of this descriptor.  It lives in a child of the
 * context.  Then lf_score_slot(call->row, ...) scores a row, and
 * call->model->version is the version that did it.
 */
extern void lf_score_prepare(ScoreCall *call, const char *model, TupleDesc desc, MemoryContext cxt);

/* Arguments that may be NULL: no axis is the total, no time is that of the transaction. */
extern ScoreAxis lf_score_axis_argument(FunctionCallInfo fcinfo, int n);
extern TimestampTz lf_score_time_argument(FunctionCallInfo fcinfo, int n);

#endif							/* LEAD_FUNNEL_SCORE_H */
