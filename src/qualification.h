/*-------------------------------------------------------------------------
 *
 * qualification.h
 *	  What is known of a lead, by one of the frameworks of sales.
 *
 * NOTES
 *	  A qualification is a framework and, for each of its criteria, a level:
 *	  not asked, 0 no, 1 identified, 2 validated, 3 confirmed.  It is 8 bytes,
 *	  passed by value, and an unsigned number of these parts:
 *
 *		bits 56 to 63	number of the framework, 1 to 8
 *		bits 48 to 55	sum of the levels, 0 to 24
 *		bits  0 to 47	twelve fields of 4 bits, the first criterion on top;
 *						0 not asked, 1 to 4 the level + 1; fields that the
 *						framework has no criterion for are 0
 *
 *	  The sum follows from the fields, so a state has one image, and equality,
 *	  hash and order can go by the number.  The top bit of a field is never
 *	  set, which lets all fields be compared by one subtraction.
 *
 *	  Total order: by framework as listed below, then by the sum of the levels
 *	  (so "ORDER BY q DESC" has the best score first), then criterion by
 *	  criterion, where not asked < no < identified < validated < confirmed.
 *	  Within a framework, a @> b implies a >= b.
 *
 *	  a @> b: the framework is the same and every criterion that b asks for has
 *	  at least its level in a.  A b that asks for level 0 wants an answer, be it
 *	  "no".  Between two frameworks it is false: nothing that one asks is known
 *	  by the other.  For the same reason missing() then lists all that the gate
 *	  asks and verdict() is "incomplete"; so verdict(a, b) = 'qualified' exactly
 *	  where a @> b, for every pair.  || of two frameworks is an error, since
 *	  there is no value that could hold both.
 *
 *	  NULL is a lead of which nothing is known.  Operators and functions of one
 *	  qualification are strict, but: || takes NULL for "no answers" and returns
 *	  the other side; missing(), missing_text() and verdict() of NULL treat all
 *	  that the gate asks as not asked.  A gate that is NULL gives NULL, and no
 *	  rows.  A level that is NULL means not asked.
 *
 *	  Functions, in the schema of the type (q, gate: qualification; level: int):
 *
 *		bant(budget, authority, need, timeline)			and for each framework its
 *			criteria by name, each NULL by default, -> qualification
 *		framework(q) -> text
 *		get_level(q, criterion text) -> int
 *		set_level(q, criterion text, level int | text) -> qualification
 *		completeness(q) -> float8						answered / criteria
 *		criteria_met(q, min_level int = 1) -> int
 *		qualification_score(q, weights jsonb = NULL, answered_only bool = false)
 *			-> float8
 *		blockers(q) -> text[]							criteria answered "no"
 *		missing(q, gate) -> (criterion text, has int, needs int)
 *		missing_text(q, gate) -> text
 *		verdict(q, gate, no_blockers bool = false) -> text
 *
 *	  The worth of a criterion under a gate is disqualified (a "no" where more
 *	  is asked, or any "no" with no_blockers) < not_yet (answered, too low) <
 *	  incomplete (not asked) < qualified, and the verdict is the least of them:
 *	  Kleene's "and", which knows no order of its arguments.
 *
 *	  bant.c derives levels from what a CRM holds.
 *
 * IDENTIFICATION
 *	  src/qualification.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_QUALIFICATION_H
#define LEAD_FUNNEL_QUALIFICATION_H

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/nodes.h"
#include "port/pg_bitutils.h"
#include "utils/jsonb.h"

typedef uint64 Qualification;

/* The numbers are the on-disk format: more can follow, none can change. */
typedef enum Framework
{
	LF_FRAMEWORK_NONE = 0,
	LF_FRAMEWORK_BANT = 1,
	LF_FRAMEWORK_CHAMP = 2,
	LF_FRAMEWORK_MEDDIC = 3,
	LF_FRAMEWORK_MEDDPICC = 4,
	LF_FRAMEWORK_ANUM = 5,
	LF_FRAMEWORK_FAINT = 6,
	LF_FRAMEWORK_GPCTBA = 7,
	LF_FRAMEWORK_SPICED = 8
} Framework;

#define LF_FRAMEWORK_COUNT 8

/* Of all frameworks; the layout has room for twelve */
#define LF_MAX_CRITERIA 8

/* Levels */
#define LF_LEVEL_NOT_ASKED	(-1)
#define LF_LEVEL_NO			0
#define LF_LEVEL_IDENTIFIED	1
#define LF_LEVEL_VALIDATED	2
#define LF_LEVEL_CONFIRMED	3

#define LF_FRAMEWORK_SHIFT	56
#define LF_SUM_SHIFT		48
#define LF_FIELDS_MASK		UINT64CONST(0x0000FFFFFFFFFFFF)
#define LF_FIELD_TOP_BITS	UINT64CONST(0x0000888888888888)
#define LF_FIELD_SHIFT(criterion) (44 - 4 * (criterion))

#define DatumGetQualification(X) ((Qualification) DatumGetUInt64(X))
#define QualificationGetDatum(X) UInt64GetDatum(X)
#define PG_GETARG_QUALIFICATION(n) DatumGetQualification(PG_GETARG_DATUM(n))
#define PG_RETURN_QUALIFICATION(x) return QualificationGetDatum(x)

/* Number of the framework; not checked against damage. */
static inline int
lf_qualification_framework(Qualification q)
{
	return (int) (q >> LF_FRAMEWORK_SHIFT);
}

/* Level of a criterion, which counts from 0; LF_LEVEL_NOT_ASKED or 0 to 3. */
static inline int
lf_qualification_level(Qualification q, int criterion)
{
	return (int) ((q >> LF_FIELD_SHIFT(criterion)) & 0xF) - 1;
}

/*
 * q @> gate.  Setting the top bit of each field of q keeps a subtraction from
 * borrowing beyond its field; the bit is left where the field was not less.
 */
static inline bool
lf_qualification_meets(Qualification q, Qualification gate)
{
	uint64		difference = (q | LF_FIELD_TOP_BITS) - (gate & LF_FIELDS_MASK);

	return lf_qualification_framework(q) == lf_qualification_framework(gate) &&
		(difference & LF_FIELD_TOP_BITS) == LF_FIELD_TOP_BITS;
}

/* Sum of the levels. */
static inline int
lf_qualification_sum(Qualification q)
{
	return (int) ((q >> LF_SUM_SHIFT) & 0xFF);
}

/*
 * How many criteria have the level, 0 to 3, or more: as above, with the same
 * level wanted of all fields.  Fields that are not there have 0, which is less.
 */
static inline int
lf_qualification_reaching(Qualification q, int level)
{
	uint64		wanted = (LF_FIELD_TOP_BITS >> 3) * (level + 1);

	return pg_popcount64((((q & LF_FIELDS_MASK) | LF_FIELD_TOP_BITS) - wanted) & LF_FIELD_TOP_BITS);
}

/* Frameworks and criteria, by number and by label */
extern const char *lf_framework_label(int framework);
extern int	lf_framework_parse(const char *s, int len);
extern int	lf_criterion_count(int framework);
extern const char *lf_criterion_label(int framework, int criterion);
extern int	lf_criterion_parse(int framework, const char *s, int len);
extern char *lf_criteria_list(int framework);
extern const char *lf_level_label(int level);
extern bool lf_level_parse(const char *s, int len, int *level);

/* Values */
extern Qualification lf_qualification_make(int framework, const int *levels);
extern bool lf_qualification_parse(const char *s, int len, Qualification *q, Node *escontext);
extern bool lf_qualification_from_jsonb(Jsonb *jb, Qualification *q, Node *escontext);
extern bool lf_level_from_jsonb(const JsonbValue *v, int *level);
extern void lf_qualification_append(StringInfo buf, Qualification q);
extern int	lf_qualification_check(Qualification q);

/* Judgement (verdict.c); q is NULL where nothing is known */
extern int	lf_qualification_count(Qualification q, int min_level);
extern double lf_qualification_score(Qualification q);

/* What makes a qualification of what a CRM holds (bant.c); arguments as in SQL */
extern PGDLLEXPORT Datum bant_evaluate(PG_FUNCTION_ARGS);

#endif							/* LEAD_FUNNEL_QUALIFICATION_H */
