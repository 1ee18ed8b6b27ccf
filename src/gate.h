/*-------------------------------------------------------------------------
 *
 * gate.h
 *	  What a move asks of a lead: levels of its qualification, a score.
 *
 * IDENTIFICATION
 *	  src/gate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_GATE_H
#define LEAD_FUNNEL_GATE_H

#include "utils/numeric.h"

#include "qualification.h"

/* What is known of a lead when it moves. */
typedef struct Evidence
{
	Qualification qualification;	/* 0: none */
	text	   *unreadable;		/* NULL, or what stands in a column where a
								 * qualification or level should */
	Numeric		score;			/* NULL: none */
	int32		score_model;	/* that made the score; 0: a column has it */
	int32		score_version;
} Evidence;

/* The conditions of a rule that look at the evidence. */
typedef struct Gate
{
	bool		at_commit;		/* judged when the transaction commits */
	bool		asks_qualification; /* any of the next six is set */
	bool		has_requires;
	bool		has_min_sum;
	bool		no_blockers;
	int			min_criteria;	/* 0: none */
	int			min_level;
	Qualification requires[LF_FRAMEWORK_COUNT + 1]; /* by framework; 0: none */
	int			min_sum[LF_FRAMEWORK_COUNT + 1];	/* of the levels */
	double		min_qualification_score;	/* what min_sum is made of */
	Numeric		min_score;		/* NULL: none */
} Gate;

/* A condition of a gate, for people. */
typedef struct Requirement
{
	const char *name;			/* a criterion, or score, blockers, ... */
	const char *has;
	const char *needs;
	bool		met;
} Requirement;

typedef void (*RequirementHandler) (const Requirement *requirement, void *arg);

/* Fills in what follows from the other fields; false: it asks for nothing. */
extern bool lf_gate_finish(Gate *gate);

/* Whether the evidence meets all that the gate asks for. */
extern bool lf_gate_met(const Gate *gate, const Evidence *evidence);

/*
 * Calls the handler for each condition, met or not.  All of them are met if,
 * and only if, lf_gate_met().
 */
extern void lf_gate_visit(const Gate *gate, const Evidence *evidence, RequirementHandler handler, void *arg);

/* "budget: no, needs validated; score: 12, needs 50" of what is not met. */
extern char *lf_gate_unmet(const Gate *gate, const Evidence *evidence);

/* Copies into the present memory context. */
extern Evidence lf_evidence_copy(const Evidence *evidence, const Evidence *like);
extern bool lf_evidence_equal(const Evidence *a, const Evidence *b);

#endif							/* LEAD_FUNNEL_GATE_H */
