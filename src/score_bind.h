/*-------------------------------------------------------------------------
 *
 * score_bind.h
 *	  A scoring model that has met the types of its attributes, and what it
 *	  says of values.
 *
 * IDENTIFICATION
 *	  src/score_bind.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_SCORE_BIND_H
#define LEAD_FUNNEL_SCORE_BIND_H

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "score_model.h"

typedef struct ScoreBinding ScoreBinding;

/* What an attribute of a model is bound to. */
typedef struct ScoreColumn
{
	Oid			type;
	Oid			collation;
} ScoreColumn;

/*
 * Binds a model to types, one for each of its attributes.  The result lives in
 * the context and keeps a reference to the model until that goes.  What does
 * not fit is an error that names the rule.
 */
extern ScoreBinding *lf_score_bind(ScoreModel *model, const ScoreColumn *columns, MemoryContext cxt);

/*
 * The score of values, which are in the order of the model's attributes.
 * matched, if given, says which of the model's rules did.
 */
extern int32 lf_score_evaluate(ScoreBinding *binding, const NullableDatum *values, ScoreAxis axis,
							   TimestampTz at, bool *matched);

/* The same for rows: finds the attributes by their names. */
typedef struct ScoreRowBinding
{
	ScoreBinding *binding;
	AttrNumber	last;			/* up to where a row is taken apart */
	AttrNumber *attnums;
	FmgrInfo   *output;			/* of the attributes' types */
	NullableDatum *values;		/* of the last row */
} ScoreRowBinding;

extern ScoreRowBinding *lf_score_bind_row(ScoreModel *model, TupleDesc desc, MemoryContext cxt);
extern int32 lf_score_slot(ScoreRowBinding *row, TupleTableSlot *slot, ScoreAxis axis, TimestampTz at, bool *matched);

/*
 * Loose data: a jsonb object, of which attributes are keys.  Values have the
 * types that JSON has, and what does not fit together does not match.
 */
typedef struct ScoreLooseBinding ScoreLooseBinding;

extern ScoreLooseBinding *lf_score_bind_loose(ScoreModel *model, MemoryContext cxt);
extern int32 lf_score_loose(ScoreLooseBinding *binding, Jsonb *data, ScoreAxis axis, TimestampTz at, bool *matched);

/* The value of an attribute as text; NULL if there is none. */
extern char *lf_score_loose_value(ScoreModel *model, Jsonb *data, int attribute);

/* Whether a comparison holds, of which the results for one or two operands are given. */
extern bool lf_score_test_order(ScoreOperator op, int first, int second);

/* What the sums of the first groups come to. */
extern int32 lf_score_total(const ScoreModel *model, const int32 *groups, int ngroups, ScoreAxis axis);

extern int32 lf_score_clamp(int32 points, const ScoreLimit *limit);

/* The schema that a type is in. */
extern Oid	lf_type_schema(Oid type);

/* Reports an operand that no type could make sense of; type may be InvalidOid. */
extern void lf_score_check_rule(const char *model, const char *attribute, ScoreRule *rule, const ScoreColumn *column);

#endif							/* LEAD_FUNNEL_SCORE_BIND_H */
