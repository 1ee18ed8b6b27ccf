/*-------------------------------------------------------------------------
 *
 * gate.c
 *	  What a move asks of a lead: levels of its qualification, a score.
 *
 * NOTES
 *	  A gate is judged for each lead that makes the move, so lf_gate_met() is a
 *	  few operations on integers and allocates nothing.  lf_gate_visit() says
 *	  the same at length, for errors and for those who ask beforehand.
 *
 *	  Of a lead that has no qualification nothing is known: it lacks all that
 *	  is asked for, but is free of blockers, since nobody has said "no".  What
 *	  cannot be read is not known to be free of anything.
 *
 * IDENTIFICATION
 *	  src/gate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "gate.h"
#include "lead_row.h"

bool
lf_gate_finish(Gate *gate)
{
	for (int f = 1; f <= LF_FRAMEWORK_COUNT; f++)
	{
		if (gate->requires[f] != 0)
			gate->has_requires = true;
		/* a little less, so that 0.6 of 15 points is 9 and not 10 */
		if (gate->has_min_sum)
			gate->min_sum[f] = (int) ceil(gate->min_qualification_score *
										  lf_criterion_count(f) * LF_LEVEL_CONFIRMED - 1e-9);
	}
	gate->asks_qualification = gate->has_requires || gate->has_min_sum ||
		gate->min_criteria > 0 || gate->no_blockers;
	return gate->asks_qualification || gate->min_score != NULL;
}

static bool
is_blocked(Qualification q)
{
	return lf_qualification_reaching(q, LF_LEVEL_NO) > lf_qualification_reaching(q, LF_LEVEL_IDENTIFIED);
}

static bool
meets_qualification(const Gate *gate, const Evidence *evidence)
{
	Qualification q = evidence->qualification;
	int			framework = lf_qualification_framework(q);

	if (evidence->unreadable != NULL)
		return false;
	if (q == 0)
		return !gate->has_requires && gate->min_criteria == 0 && !gate->has_min_sum;
	if (gate->has_requires &&
		(gate->requires[framework] == 0 || !lf_qualification_meets(q, gate->requires[framework])))
		return false;
	if (lf_qualification_sum(q) < gate->min_sum[framework])
		return false;
	if (gate->min_criteria > 0 && lf_qualification_reaching(q, gate->min_level) < gate->min_criteria)
		return false;
	return !gate->no_blockers || !is_blocked(q);
}

static bool
reaches_score(const Gate *gate, const Evidence *evidence)
{
	return evidence->score != NULL &&
		DatumGetBool(DirectFunctionCall2(numeric_ge, NumericGetDatum(evidence->score),
										 NumericGetDatum(gate->min_score)));
}

bool
lf_gate_met(const Gate *gate, const Evidence *evidence)
{
	if (gate->asks_qualification && !meets_qualification(gate, evidence))
		return false;
	return gate->min_score == NULL || reaches_score(gate, evidence);
}

/* ---------- for people ---------- */

static char *
numeric_string(Numeric n)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(n)));
}

/* "bant or champ", or the gates themselves. */
static char *
any_of_requires(const Gate *gate, bool in_full)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int f = 1; f <= LF_FRAMEWORK_COUNT; f++)
	{
		if (gate->requires[f] == 0)
			continue;
		if (buf.len > 0)
			appendStringInfoString(&buf, " or ");
		if (in_full)
			lf_qualification_append(&buf, gate->requires[f]);
		else
			appendStringInfoString(&buf, lf_framework_label(f));
	}
	return buf.data;
}

static void
visit_levels(Qualification q, Qualification wanted, RequirementHandler handler, void *arg)
{
	int			framework = lf_qualification_framework(wanted);

	for (int c = 0; c < lf_criterion_count(framework); c++)
	{
		int			needs = lf_qualification_level(wanted, c);
		int			has = q == 0 ? LF_LEVEL_NOT_ASKED : lf_qualification_level(q, c);
		const char *needed = needs == LF_LEVEL_NO ? "an answer" : lf_level_label(needs);
		Requirement requirement = {lf_criterion_label(framework, c), lf_level_label(has), needed, has >= needs};

		if (needs != LF_LEVEL_NOT_ASKED)
			handler(&requirement, arg);
	}
}

static void
visit_requires(const Gate *gate, Qualification q, RequirementHandler handler, void *arg)
{
	int			framework = lf_qualification_framework(q);
	Requirement requirement = {"qualification", "none"};
	int			count = 0;
	Qualification only = 0;

	for (int f = 1; f <= LF_FRAMEWORK_COUNT; f++)
	{
		if (gate->requires[f] == 0)
			continue;
		only = gate->requires[f];
		count++;
	}
	if (q != 0 && gate->requires[framework] == 0)
	{
		requirement.name = "framework";
		requirement.has = lf_framework_label(framework);
		requirement.needs = any_of_requires(gate, false);
		handler(&requirement, arg);
	}
	else if (q != 0)
		visit_levels(q, gate->requires[framework], handler, arg);
	else if (count == 1 && lf_qualification_reaching(only, LF_LEVEL_NO) > 0)
		visit_levels(q, only, handler, arg);
	else
	{
		requirement.needs = any_of_requires(gate, true);
		handler(&requirement, arg);
	}
}

static char *
list_blockers(Qualification q)
{
	int			framework = lf_qualification_framework(q);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int c = 0; c < lf_criterion_count(framework); c++)
	{
		if (lf_qualification_level(q, c) == LF_LEVEL_NO)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", lf_criterion_label(framework, c));
	}
	return buf.data;
}

static void
visit_qualification(const Gate *gate, const Evidence *evidence, RequirementHandler handler, void *arg)
{
	Qualification q = evidence->qualification;
	Requirement requirement;

	if (evidence->unreadable != NULL)
	{
		requirement = (Requirement)
		{
			"qualification", text_to_cstring(evidence->unreadable), "one that can be read"
		};
		handler(&requirement, arg);
		return;
	}
	if (gate->has_requires)
		visit_requires(gate, q, handler, arg);
	if (gate->min_criteria > 0)
	{
		int			count = q == 0 ? 0 : lf_qualification_reaching(q, gate->min_level);

		requirement = (Requirement)
		{
			"criteria", psprintf("%d", count),
				psprintf("%d %s", gate->min_criteria,
						 gate->min_level == LF_LEVEL_NO ? "with an answer" :
						 gate->min_level == LF_LEVEL_CONFIRMED ? "at confirmed" :
						 psprintf("at %s or more", lf_level_label(gate->min_level))),
				count >= gate->min_criteria
		};
		handler(&requirement, arg);
	}
	if (gate->has_min_sum)
	{
		int			framework = lf_qualification_framework(q);

		requirement = (Requirement)
		{
			"qualification_score", q == 0 ? "none" : psprintf("%.2f", lf_qualification_score(q)),
				psprintf("%g", gate->min_qualification_score),
				q != 0 && lf_qualification_sum(q) >= gate->min_sum[framework]
		};
		handler(&requirement, arg);
	}
	if (gate->no_blockers)
	{
		bool		blocked = q != 0 && is_blocked(q);

		requirement = (Requirement)
		{
			"blockers", blocked ? list_blockers(q) : "none", "none", !blocked
		};
		handler(&requirement, arg);
	}
}

void
lf_gate_visit(const Gate *gate, const Evidence *evidence, RequirementHandler handler, void *arg)
{
	if (gate->asks_qualification)
		visit_qualification(gate, evidence, handler, arg);
	if (gate->min_score != NULL)
	{
		Requirement requirement = {"score", evidence->score ? numeric_string(evidence->score) : "none",
		numeric_string(gate->min_score), reaches_score(gate, evidence)};

		handler(&requirement, arg);
	}
}

static void
append_unmet(const Requirement *requirement, void *arg)
{
	StringInfo	buf = arg;

	if (requirement->met)
		return;
	appendStringInfo(buf, "%s%s: %s, needs %s", buf->len > 0 ? "; " : "",
					 requirement->name, requirement->has, requirement->needs);
}

char *
lf_gate_unmet(const Gate *gate, const Evidence *evidence)
{
	StringInfoData buf;

	initStringInfo(&buf);
	lf_gate_visit(gate, evidence, append_unmet, &buf);
	return buf.data;
}

/* ---------- evidence ---------- */

Evidence
lf_evidence_copy(const Evidence *evidence, const Evidence *like)
{
	Evidence	result = *evidence;

	result.unreadable = lf_text_copy(evidence->unreadable);
	if (evidence->score != NULL)
		result.score = (Numeric) lf_text_copy_or_share((const text *) evidence->score, like ? (text *) like->score : NULL);
	return result;
}

bool
lf_evidence_equal(const Evidence *a, const Evidence *b)
{
	return a->qualification == b->qualification &&
		a->score_model == b->score_model && a->score_version == b->score_version &&
		lf_numeric_equal((const PackedNumeric *) a->score, (const PackedNumeric *) b->score);
}
