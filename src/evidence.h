/*-------------------------------------------------------------------------
 *
 * evidence.h
 *	  What a row of a lead table says of the lead's qualification and score.
 *
 * IDENTIFICATION
 *	  src/evidence.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_EVIDENCE_H
#define LEAD_FUNNEL_EVIDENCE_H

#include "lead_row.h"
#include "gate.h"
#include "score.h"

/*
 * The columns that a qualification is made of, if no column holds it.  First
 * the criteria of the framework, then what bant_evaluate() takes, in the order
 * of its arguments.
 */
typedef enum BoundInput
{
	LF_BOUND_CRITERION = 0,
	LF_BOUND_AMOUNT = LF_MAX_CRITERIA,
	LF_BOUND_PRICE,
	LF_BOUND_ROLE,
	LF_BOUND_PROBLEM,
	LF_BOUND_FITS,
	LF_BOUND_IMPACT,
	LF_BOUND_NEEDED,
	LF_BOUND_DECISION,
	LF_BOUND_COUNT
} BoundInput;

/* Criteria of bant that other data than levels can stand for. */
#define LF_BANT_BUDGET		0
#define LF_BANT_AUTHORITY	1
#define LF_BANT_NEED		2
#define LF_BANT_TIMELINE	3

/* Arguments of bant_evaluate(): those above from the amount on, then these. */
enum
{
	LF_BANT_AS_OF = LF_BOUND_COUNT - LF_BOUND_AMOUNT,
	LF_BANT_VALIDATED_SHARE,
	LF_BANT_CONFIRMED_SHARE,
	LF_BANT_ROLES,
	LF_BANT_MIN_IMPACT,
	LF_BANT_HORIZON,
	LF_BANT_NEAR,
	LF_BANT_ARGUMENTS
};

typedef struct Binding
{
	int			framework;
	bool		evaluates;		/* some column is no level */
	AttrNumber	attnum[LF_BOUND_COUNT]; /* 0: none */
	Oid			type[LF_BOUND_COUNT];	/* base types */
	NullableDatum price;		/* where the row has none */
	NullableDatum thresholds[LF_BANT_ARGUMENTS];	/* from validated_share on */
} Binding;

/* A model that makes the score of the rows, and what it is bound to. */
typedef struct ScoreSource
{
	NameData	model;
	ScoreAxis	axis;
	MemoryContext cxt;			/* of the call */
	ScoreCall	call;
} ScoreSource;

/* Whether the funnel knows where to find a score. */
extern bool lf_evidence_has_score(const Funnel *funnel);
extern bool lf_evidence_is_read(const Funnel *funnel);

/*
 * Reads the evidence; dates of decision, and what a model says of time, are
 * judged as of the moment.  The
 * result points into the row or is allocated in the present memory context.
 */
extern void lf_evidence_read(const Funnel *funnel, TupleTableSlot *slot, TimestampTz as_of, Evidence *evidence);

#endif							/* LEAD_FUNNEL_EVIDENCE_H */
