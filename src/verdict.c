/*-------------------------------------------------------------------------
 *
 * verdict.c
 *	  What a qualification is worth: measures of it, and its judgement by a
 *	  gate.
 *
 * NOTES
 *	  A gate is a qualification, too: the levels that are wanted.  The head of
 *	  qualification.h defines what is said here, NULL and other frameworks
 *	  included.
 *
 * IDENTIFICATION
 *	  src/verdict.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "compat.h"
#include "qualification.h"

/* Worth of a criterion under a gate; that of the whole is the least one. */
typedef enum Verdict
{
	VERDICT_DISQUALIFIED,
	VERDICT_NOT_YET,
	VERDICT_INCOMPLETE,
	VERDICT_QUALIFIED
} Verdict;

static const char *const verdict_labels[] = {
	[VERDICT_DISQUALIFIED] = "disqualified",
	[VERDICT_NOT_YET] = "not_yet",
	[VERDICT_INCOMPLETE] = "incomplete",
	[VERDICT_QUALIFIED] = "qualified",
};

/*
 * Measures
 */

/* lf_qualification_count returns how many criteria have this level or more. */
int
lf_qualification_count(Qualification q, int min_level)
{
	int			framework = lf_qualification_check(q);
	int			count = 0;

	for (int c = 0; c < lf_criterion_count(framework); c++)
		count += lf_qualification_level(q, c) >= min_level;
	return count;
}

/* is_blocked tells whether a criterion was answered "no". */
static bool
is_blocked(Qualification q)
{
	return lf_qualification_count(q, LF_LEVEL_NO) > lf_qualification_count(q, LF_LEVEL_IDENTIFIED);
}

PG_FUNCTION_INFO_V1(qualification_completeness);
Datum
qualification_completeness(PG_FUNCTION_ARGS)
{
	Qualification q = PG_GETARG_QUALIFICATION(0);

	PG_RETURN_FLOAT8((double) lf_qualification_count(q, LF_LEVEL_NO) /
					 lf_criterion_count(lf_qualification_framework(q)));
}

PG_FUNCTION_INFO_V1(qualification_criteria_met);
Datum
qualification_criteria_met(PG_FUNCTION_ARGS)
{
	int			min_level = PG_GETARG_INT32(1);

	if (min_level < LF_LEVEL_NO || min_level > LF_LEVEL_CONFIRMED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("level %d is out of range", min_level),
				 errhint("Levels are 0 to 3.")));
	PG_RETURN_INT32(lf_qualification_count(PG_GETARG_QUALIFICATION(0), min_level));
}

/*
 * read_weights fills in a weight for each criterion of the framework, 0 for
 * those that are not named.  Criteria of other frameworks are passed over, so
 * that one object can serve leads of all.
 */
static void
read_weights(Jsonb *jb, int framework, double *weights)
{
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken t;
	bool		given[LF_MAX_CRITERIA] = {false};

	if (!JB_ROOT_IS_OBJECT(jb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weights must be a JSON object"),
				 errhint("Write, for example, {\"budget\": 25, \"need\": 30}.")));

	it = JsonbIteratorInit(&jb->root);
	while ((t = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		JsonbValue	key = v;
		int			criterion;
		bool		known;
		double		weight;

		if (t != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &v, true);

		criterion = lf_criterion_parse(framework, key.val.string.val, key.val.string.len);
		known = criterion >= 0;
		for (int f = 1; f <= LF_FRAMEWORK_COUNT && !known; f++)
			known = lf_criterion_parse(f, key.val.string.val, key.val.string.len) >= 0;
		if (!known || (criterion >= 0 && given[criterion]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 known ? errmsg("weight of criterion \"%s\" is given more than once",
									lf_criterion_label(framework, criterion)) :
					 errmsg("framework \"%s\" has no criterion \"%.*s\"",
							lf_framework_label(framework),
							key.val.string.len, key.val.string.val),
					 errhint("Its criteria are %s.", lf_criteria_list(framework))));

		/*
		 * float8 holds every weight that makes sense; too large a one fails
		 * here
		 */
		weight = v.type != jbvNumeric ? -1.0 :
			DatumGetFloat8(DirectFunctionCall1(numeric_float8,
											   NumericGetDatum(v.val.numeric)));
		if (!(weight >= 0.0 && weight <= 1e100))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("weight of criterion \"%.*s\" is no number from 0 to 1e100",
							key.val.string.len, key.val.string.val),
					 errhint("Give numbers such as {\"need\": 2, \"budget\": 1}.")));
		if (criterion >= 0)
		{
			given[criterion] = true;
			weights[criterion] = weight;
		}
	}
}

/*
 * score returns sum(weight * level) / sum(weight * 3), where a criterion that
 * was not asked adds nothing to the first sum, and nothing to the second one
 * if only those answered count.  It returns -1 if the second sum is 0.
 */
static double
score(Qualification q, int framework, const double *weights, bool answered_only)
{
	double		reached = 0;
	double		possible = 0;

	for (int c = 0; c < lf_criterion_count(framework); c++)
	{
		int			level = lf_qualification_level(q, c);
		double		weight = weights ? weights[c] : 1.0;

		if (level > 0)
			reached += weight * level;
		if (level != LF_LEVEL_NOT_ASKED || !answered_only)
			possible += weight * LF_LEVEL_CONFIRMED;
	}
	return possible > 0 ? reached / possible : -1;
}

/* lf_qualification_score returns the score with equal weights, 0 to 1. */
double
lf_qualification_score(Qualification q)
{
	return score(q, lf_qualification_check(q), NULL, false);
}

PG_FUNCTION_INFO_V1(qualification_score);
Datum
qualification_score(PG_FUNCTION_ARGS)
{
	Qualification q;
	int			framework;
	double		weights[LF_MAX_CRITERIA] = {0};
	bool		weighted = !PG_ARGISNULL(1);
	bool		answered_only = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	double		result;

	/* not strict: weights that are NULL are equal weights */
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	q = PG_GETARG_QUALIFICATION(0);
	framework = lf_qualification_check(q);
	if (weighted)
		read_weights(PG_GETARG_JSONB_P(1), framework, weights);
	result = score(q, framework, weighted ? weights : NULL, answered_only);
	if (result < 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(qualification_blockers);
Datum
qualification_blockers(PG_FUNCTION_ARGS)
{
	Qualification q = PG_GETARG_QUALIFICATION(0);
	int			framework = lf_qualification_check(q);
	Datum		blockers[LF_MAX_CRITERIA];
	int			count = 0;

	for (int c = 0; c < lf_criterion_count(framework); c++)
	{
		if (lf_qualification_level(q, c) == LF_LEVEL_NO)
			blockers[count++] = CStringGetTextDatum(lf_criterion_label(framework, c));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(blockers, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Judgement by a gate
 */

/*
 * known_level returns what is known of a criterion of the gate: nothing, if
 * nothing is known of the lead or it is judged by another framework.
 */
static int
known_level(const Qualification *q, Qualification gate, int criterion)
{
	if (q == NULL || lf_qualification_framework(*q) != lf_qualification_framework(gate))
		return LF_LEVEL_NOT_ASKED;
	return lf_qualification_level(*q, criterion);
}

/*
 * append_missing writes what the gate still lacks, as one
 * line, nothing if it is met.
 */
static void
append_missing(StringInfo buf, const Qualification *q, Qualification gate)
{
	int			framework = lf_qualification_check(gate);
	const char *separator = "";

	for (int c = 0; c < lf_criterion_count(framework); c++)
	{
		int			needs = lf_qualification_level(gate, c);
		int			has = known_level(q, gate, c);

		if (has >= needs)
			continue;
		appendStringInfo(buf, "%s%s: %s, needs %s", separator,
						 lf_criterion_label(framework, c), lf_level_label(has),
						 needs == LF_LEVEL_NO ? "an answer" : lf_level_label(needs));
		separator = "; ";
	}
}

PG_FUNCTION_INFO_V1(qualification_missing);
Datum
qualification_missing(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Qualification q = 0;
	Qualification gate;
	int			framework;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(1))
		return (Datum) 0;
	if (!PG_ARGISNULL(0))
	{
		q = PG_GETARG_QUALIFICATION(0);
		lf_qualification_check(q);
	}
	gate = PG_GETARG_QUALIFICATION(1);
	framework = lf_qualification_check(gate);

	for (int c = 0; c < lf_criterion_count(framework); c++)
	{
		int			needs = lf_qualification_level(gate, c);
		int			has = known_level(PG_ARGISNULL(0) ? NULL : &q, gate, c);
		Datum		values[3];
		bool		nulls[3] = {false};

		if (has >= needs)
			continue;
		values[0] = CStringGetTextDatum(lf_criterion_label(framework, c));
		values[1] = Int32GetDatum(has);
		nulls[1] = has == LF_LEVEL_NOT_ASKED;
		values[2] = Int32GetDatum(needs);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(qualification_missing_text);
Datum
qualification_missing_text(PG_FUNCTION_ARGS)
{
	Qualification q = 0;
	StringInfoData buf;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(0))
	{
		q = PG_GETARG_QUALIFICATION(0);
		lf_qualification_check(q);
	}
	initStringInfo(&buf);
	append_missing(&buf, PG_ARGISNULL(0) ? NULL : &q, PG_GETARG_QUALIFICATION(1));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}

/* judge returns the least worth of all criteria. */
static Verdict
judge(const Qualification *q, Qualification gate, bool no_blockers)
{
	int			framework = lf_qualification_check(gate);
	Verdict		verdict = VERDICT_QUALIFIED;

	/* an empty gate of another framework is not met either, as @> says */
	if (q != NULL && lf_qualification_framework(*q) != framework)
		verdict = VERDICT_INCOMPLETE;

	for (int c = 0; c < lf_criterion_count(framework); c++)
	{
		int			needs = lf_qualification_level(gate, c);
		int			has = known_level(q, gate, c);
		Verdict		worth = VERDICT_QUALIFIED;

		if (has == LF_LEVEL_NO && (needs > LF_LEVEL_NO || no_blockers))
			worth = VERDICT_DISQUALIFIED;
		else if (has < needs)
			worth = has == LF_LEVEL_NOT_ASKED ? VERDICT_INCOMPLETE : VERDICT_NOT_YET;
		verdict = Min(verdict, worth);
	}

	/* a "no" of another framework is one, too */
	if (no_blockers && q != NULL && is_blocked(*q))
		verdict = VERDICT_DISQUALIFIED;
	return verdict;
}

PG_FUNCTION_INFO_V1(qualification_verdict);
Datum
qualification_verdict(PG_FUNCTION_ARGS)
{
	Qualification q = 0;
	Verdict		verdict;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(0))
	{
		q = PG_GETARG_QUALIFICATION(0);
		lf_qualification_check(q);
	}
	verdict = judge(PG_ARGISNULL(0) ? NULL : &q, PG_GETARG_QUALIFICATION(1),
					!PG_ARGISNULL(2) && PG_GETARG_BOOL(2));
	PG_RETURN_TEXT_P(cstring_to_text(verdict_labels[verdict]));
}
