/*-------------------------------------------------------------------------
 *
 * qualification.c
 *	  The type qualification: what is known of a lead.
 *
 * NOTES
 *	  qualification.h says how a value is laid out and what order, @> and NULL
 *	  mean.  Text and binary form are the same text, as those of lead_stage
 *	  are and for the same reason: drivers decode a binary format that they do
 *	  not know as text.  Casts follow lead_stage as well: implicit from text
 *	  types, on assignment to them.
 *
 *	  Nothing here reads a catalog, a setting or a clock, or depends on a
 *	  locale.
 *
 * IDENTIFICATION
 *	  src/qualification.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/sortsupport.h"

#include "compat.h"
#include "qualification.h"

StaticAssertDecl(sizeof(Datum) == sizeof(Qualification),
				 "qualification is passed by value");

typedef struct FrameworkInfo
{
	const char *label;			/* lower case, ASCII, as are the criteria */
	int			count;
	const char *criteria[LF_MAX_CRITERIA];
} FrameworkInfo;

/* Indexed by number.  Criteria are stored by their place, so it is fixed. */
static const FrameworkInfo frameworks[LF_FRAMEWORK_COUNT + 1] = {
	[LF_FRAMEWORK_BANT] = {"bant", 4,
	{"budget", "authority", "need", "timeline"}},
	[LF_FRAMEWORK_CHAMP] = {"champ", 4,
	{"challenges", "authority", "money", "prioritization"}},
	[LF_FRAMEWORK_MEDDIC] = {"meddic", 6,
		{"metrics", "economic_buyer", "decision_criteria", "decision_process",
	"identify_pain", "champion"}},
	[LF_FRAMEWORK_MEDDPICC] = {"meddpicc", 8,
		{"metrics", "economic_buyer", "decision_criteria", "decision_process",
	"paper_process", "identify_pain", "champion", "competition"}},
	[LF_FRAMEWORK_ANUM] = {"anum", 4,
	{"authority", "need", "urgency", "money"}},
	[LF_FRAMEWORK_FAINT] = {"faint", 5,
	{"funds", "authority", "interest", "need", "timing"}},
	[LF_FRAMEWORK_GPCTBA] = {"gpctba", 8,
		{"goals", "plans", "challenges", "timeline", "budget", "authority",
	"consequences", "implications"}},
	[LF_FRAMEWORK_SPICED] = {"spiced", 5,
	{"situation", "pain", "impact", "critical_event", "decision"}},
};

static const char *const level_labels[] = {"no", "identified", "validated", "confirmed"};

/* The key of the framework in the jsonb form; no criterion has this name */
#define FRAMEWORK_KEY "framework"

#define HINT_FRAMEWORKS \
	"Frameworks are bant, champ, meddic, meddpicc, anum, faint, gpctba, spiced."
#define HINT_LEVELS \
	"Levels are 0 to 3, or no, identified, validated, confirmed; a criterion that was not asked is left out."

/*
 * Frameworks, criteria, levels
 */

/*
 * same_label tells whether s is the label, in either case, by the rules of
 * ASCII whatever the locale is.
 */
static bool
same_label(const char *label, const char *s, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (label[i] == '\0' ||
			pg_ascii_tolower((unsigned char) s[i]) != (unsigned char) label[i])
			return false;
	}
	return label[len] == '\0';
}

const char *
lf_framework_label(int framework)
{
	Assert(framework > LF_FRAMEWORK_NONE && framework <= LF_FRAMEWORK_COUNT);
	return frameworks[framework].label;
}

/* lf_framework_parse returns LF_FRAMEWORK_NONE if there is none. */
int
lf_framework_parse(const char *s, int len)
{
	for (int f = 1; f <= LF_FRAMEWORK_COUNT; f++)
	{
		if (same_label(frameworks[f].label, s, len))
			return f;
	}
	return LF_FRAMEWORK_NONE;
}

int
lf_criterion_count(int framework)
{
	Assert(framework > LF_FRAMEWORK_NONE && framework <= LF_FRAMEWORK_COUNT);
	return frameworks[framework].count;
}

const char *
lf_criterion_label(int framework, int criterion)
{
	Assert(criterion >= 0 && criterion < lf_criterion_count(framework));
	return frameworks[framework].criteria[criterion];
}

/* lf_criterion_parse returns the place of the criterion, or -1. */
int
lf_criterion_parse(int framework, const char *s, int len)
{
	for (int c = 0; c < frameworks[framework].count; c++)
	{
		if (same_label(frameworks[framework].criteria[c], s, len))
			return c;
	}
	return -1;
}

/* lf_level_label returns the word for a level, "not asked" included. */
const char *
lf_level_label(int level)
{
	return level < 0 ? "not asked" : level_labels[level];
}

/* lf_level_parse reads a digit or word, and returns false if it is neither. */
bool
lf_level_parse(const char *s, int len, int *level)
{
	if (len == 1 && s[0] >= '0' && s[0] <= '0' + LF_LEVEL_CONFIRMED)
	{
		*level = s[0] - '0';
		return true;
	}
	for (int i = 0; i < (int) lengthof(level_labels); i++)
	{
		if (same_label(level_labels[i], s, len))
		{
			*level = i;
			return true;
		}
	}
	return false;
}

/*
 * Values
 */

/*
 * from_fields makes the value of a framework and its fields: the one place
 * that computes the sum of levels.
 */
static Qualification
from_fields(int framework, uint64 fields)
{
	uint64		sum = 0;

	for (int c = 0; c < frameworks[framework].count; c++)
	{
		uint64		field = (fields >> LF_FIELD_SHIFT(c)) & 0xF;

		sum += field > 0 ? field - 1 : 0;
	}
	return ((uint64) framework << LF_FRAMEWORK_SHIFT) | (sum << LF_SUM_SHIFT) | fields;
}

/*
 * lf_qualification_make returns the value with these levels, one for each
 * criterion of the framework, all of them -1 to 3.
 */
Qualification
lf_qualification_make(int framework, const int *levels)
{
	uint64		fields = 0;

	for (int c = 0; c < frameworks[framework].count; c++)
		fields |= (uint64) (levels[c] + 1) << LF_FIELD_SHIFT(c);
	return from_fields(framework, fields);
}

/* with_level returns q with another level of one criterion. */
static Qualification
with_level(Qualification q, int criterion, int level)
{
	uint64		fields = q & LF_FIELDS_MASK;

	fields &= ~(UINT64CONST(0xF) << LF_FIELD_SHIFT(criterion));
	fields |= (uint64) (level + 1) << LF_FIELD_SHIFT(criterion);
	return from_fields(lf_qualification_framework(q), fields);
}

/*
 * lf_qualification_check returns the framework of a value that was stored.
 *
 * No SQL can make a value that fails, so one means a damaged page.
 */
int
lf_qualification_check(Qualification q)
{
	int			framework = lf_qualification_framework(q);
	bool		valid = framework > LF_FRAMEWORK_NONE && framework <= LF_FRAMEWORK_COUNT;

	if (valid)
	{
		for (int c = 0; c < frameworks[framework].count; c++)
			valid &= lf_qualification_level(q, c) <= LF_LEVEL_CONFIRMED;
		valid = valid && from_fields(framework, q & LF_FIELDS_MASK) == q;
	}
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid internal value for type %s: %llu", "qualification",
						(unsigned long long) q)));

	return framework;
}

/*
 * Text form
 */

typedef struct Scanner
{
	const char *s;				/* all of the input, for messages */
	int			len;
	int			at;
} Scanner;

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
skip_spaces(Scanner *in)
{
	while (in->at < in->len && is_space(in->s[in->at]))
		in->at++;
}

/*
 * next_word returns the length of the word that *start is set to: all up to
 * white space or one of "(),=", maybe nothing.
 */
static int
next_word(Scanner *in, const char **start)
{
	int			from;

	skip_spaces(in);
	from = in->at;
	while (in->at < in->len && !is_space(in->s[in->at]) &&
		   strchr("(),=", in->s[in->at]) == NULL)
		in->at++;
	*start = in->s + from;
	return in->at - from;
}

static bool
next_is(Scanner *in, char c)
{
	skip_spaces(in);
	if (in->at >= in->len || in->s[in->at] != c)
		return false;
	in->at++;
	return true;
}

/* The start of an error message of the text form; detail and hint follow. */
#define ERR_TEXT_FORM(in) \
	errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), \
	errmsg("invalid input value for type %s: \"%.*s\"", "qualification", (in)->len, (in)->s)

static bool
not_well_formed(Scanner *in, Node *escontext)
{
	ereturn(escontext, false,
			(ERR_TEXT_FORM(in),
			 errdetail("It is not of the form framework(criterion=level, ...)."),
			 errhint("Write, for example, bant(budget=2,need=3).")));
}

/*
 * lf_qualification_parse reads the text form, which need not be terminated,
 * into *q.  If it cannot, it reports why: softly, returning false, if
 * escontext asks for that.
 */
bool
lf_qualification_parse(const char *s, int len, Qualification *q, Node *escontext)
{
	Scanner		scanner = {s, len, 0};
	Scanner    *in = &scanner;
	const char *word;
	int			word_len;
	int			framework;
	uint64		fields = 0;

	word_len = next_word(in, &word);
	if (!next_is(in, '('))
		return not_well_formed(in, escontext);
	framework = lf_framework_parse(word, word_len);
	if (framework == LF_FRAMEWORK_NONE)
		ereturn(escontext, false,
				(ERR_TEXT_FORM(in),
				 errdetail("There is no framework \"%.*s\".", word_len, word),
				 errhint(HINT_FRAMEWORKS)));

	if (!next_is(in, ')'))
	{
		do
		{
			int			criterion;
			int			level;

			word_len = next_word(in, &word);
			if (word_len == 0 || !next_is(in, '='))
				return not_well_formed(in, escontext);
			criterion = lf_criterion_parse(framework, word, word_len);
			if (criterion < 0)
				ereturn(escontext, false,
						(ERR_TEXT_FORM(in),
						 errdetail("Framework \"%s\" has no criterion \"%.*s\".",
								   frameworks[framework].label, word_len, word),
						 errhint("Its criteria are %s.", lf_criteria_list(framework))));
			if ((fields >> LF_FIELD_SHIFT(criterion)) & 0xF)
				ereturn(escontext, false,
						(ERR_TEXT_FORM(in),
						 errdetail("Criterion \"%s\" is given more than once.",
								   frameworks[framework].criteria[criterion])));

			word_len = next_word(in, &word);
			if (!lf_level_parse(word, word_len, &level))
				ereturn(escontext, false,
						(ERR_TEXT_FORM(in),
						 errdetail("\"%.*s\" is no level.", word_len, word),
						 errhint(HINT_LEVELS)));
			fields |= (uint64) (level + 1) << LF_FIELD_SHIFT(criterion);
		} while (next_is(in, ','));

		if (!next_is(in, ')'))
			return not_well_formed(in, escontext);
	}

	skip_spaces(in);
	if (in->at != in->len)
		return not_well_formed(in, escontext);

	*q = from_fields(framework, fields);
	return true;
}

/* lf_criteria_list returns the criteria of a framework in one string. */
char *
lf_criteria_list(int framework)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int c = 0; c < frameworks[framework].count; c++)
		appendStringInfo(&buf, "%s%s", c > 0 ? ", " : "",
						 frameworks[framework].criteria[c]);
	return buf.data;
}

/* lf_qualification_append writes the text form. */
void
lf_qualification_append(StringInfo buf, Qualification q)
{
	int			framework = lf_qualification_check(q);
	const char *separator = "";

	appendStringInfo(buf, "%s(", frameworks[framework].label);
	for (int c = 0; c < frameworks[framework].count; c++)
	{
		int			level = lf_qualification_level(q, c);

		if (level == LF_LEVEL_NOT_ASKED)
			continue;
		appendStringInfo(buf, "%s%s=%d", separator,
						 frameworks[framework].criteria[c], level);
		separator = ",";
	}
	appendStringInfoChar(buf, ')');
}

/*
 * jsonb form
 */

/*
 * lf_level_from_jsonb reads a level: 0 to 3 as a number, what the text form
 * takes as a string, null for not asked.  A boolean is none: a box that is not
 * ticked may be a no or a question that nobody asked.
 */
bool
lf_level_from_jsonb(const JsonbValue *v, int *level)
{
	switch (v->type)
	{
		case jbvNull:
			*level = LF_LEVEL_NOT_ASKED;
			return true;
		case jbvString:
			return lf_level_parse(v->val.string.val, v->val.string.len, level);
		case jbvNumeric:
			for (*level = LF_LEVEL_NO; *level <= LF_LEVEL_CONFIRMED; (*level)++)
			{
				if (DatumGetBool(DirectFunctionCall2(numeric_eq,
													 NumericGetDatum(v->val.numeric),
													 NumericGetDatum(int64_to_numeric(*level)))))
					return true;
			}
			return false;
		default:
			return false;
	}
}

#define ERR_JSONB_FORM \
	errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), \
	errmsg("invalid jsonb value for type %s", "qualification")

/*
 * lf_qualification_from_jsonb reads an object with the framework and the
 * levels, or a string with the text form, which is what to_jsonb() makes.
 * Errors as lf_qualification_parse.
 */
bool
lf_qualification_from_jsonb(Jsonb *jb, Qualification *q, Node *escontext)
{
	JsonbIterator *it;
	JsonbValue	v;
	int			framework = LF_FRAMEWORK_NONE;
	bool		named = false;
	bool		given[LF_MAX_CRITERIA] = {false};
	int			levels[LF_MAX_CRITERIA];

	if (JB_ROOT_IS_SCALAR(jb) && JsonbExtractScalar(&jb->root, &v) &&
		v.type == jbvString)
		return lf_qualification_parse(v.val.string.val, v.val.string.len, q, escontext);

	if (!JB_ROOT_IS_OBJECT(jb))
		ereturn(escontext, false,
				(ERR_JSONB_FORM,
				 errdetail("It is neither an object nor a string."),
				 errhint("Write, for example, {\"framework\": \"bant\", \"budget\": 2, \"need\": 3}.")));

	/* The framework says what the other keys mean */
	it = JsonbIteratorInit(&jb->root);
	for (JsonbIteratorToken t = JsonbIteratorNext(&it, &v, true); t != WJB_DONE;
		 t = JsonbIteratorNext(&it, &v, true))
	{
		if (t != WJB_KEY || !same_label(FRAMEWORK_KEY, v.val.string.val, v.val.string.len))
			continue;
		(void) JsonbIteratorNext(&it, &v, true);
		if (named)
			ereturn(escontext, false,
					(ERR_JSONB_FORM,
					 errdetail("Key \"%s\" is given more than once.", FRAMEWORK_KEY)));
		named = true;
		if (v.type == jbvString)
			framework = lf_framework_parse(v.val.string.val, v.val.string.len);
	}
	if (framework == LF_FRAMEWORK_NONE)
		ereturn(escontext, false,
				(ERR_JSONB_FORM,
				 named ? errdetail("The value of key \"%s\" is no framework.", FRAMEWORK_KEY) :
				 errdetail("Key \"%s\" is missing.", FRAMEWORK_KEY),
				 errhint(HINT_FRAMEWORKS)));

	for (int c = 0; c < LF_MAX_CRITERIA; c++)
		levels[c] = LF_LEVEL_NOT_ASKED;
	it = JsonbIteratorInit(&jb->root);
	for (JsonbIteratorToken t = JsonbIteratorNext(&it, &v, true); t != WJB_DONE;
		 t = JsonbIteratorNext(&it, &v, true))
	{
		JsonbValue	key = v;
		int			criterion;

		if (t != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &v, true);
		if (same_label(FRAMEWORK_KEY, key.val.string.val, key.val.string.len))
			continue;
		criterion = lf_criterion_parse(framework, key.val.string.val, key.val.string.len);
		if (criterion < 0)
			ereturn(escontext, false,
					(ERR_JSONB_FORM,
					 errdetail("Framework \"%s\" has no criterion \"%.*s\".",
							   frameworks[framework].label,
							   key.val.string.len, key.val.string.val),
					 errhint("Its criteria are %s.", lf_criteria_list(framework))));
		/* "Budget" and "budget" are two keys to jsonb */
		if (given[criterion])
			ereturn(escontext, false,
					(ERR_JSONB_FORM,
					 errdetail("Criterion \"%s\" is given more than once.",
							   frameworks[framework].criteria[criterion])));
		given[criterion] = true;
		if (!lf_level_from_jsonb(&v, &levels[criterion]))
			ereturn(escontext, false,
					(ERR_JSONB_FORM,
					 errdetail("The value of criterion \"%s\" is no level.",
							   frameworks[framework].criteria[criterion]),
					 errhint(HINT_LEVELS)));
	}

	*q = lf_qualification_make(framework, levels);
	return true;
}

/*
 * Input, output and casts
 */

/* parsed returns what lf_qualification_parse reads, 0 after a soft error. */
static Datum
parsed(const char *s, int len, Node *escontext)
{
	Qualification q = 0;

	if (!lf_qualification_parse(s, len, &q, escontext))
		q = 0;
	PG_RETURN_QUALIFICATION(q);
}

PG_FUNCTION_INFO_V1(qualification_in);
Datum
qualification_in(PG_FUNCTION_ARGS)
{
	char	   *s = PG_GETARG_CSTRING(0);

	return parsed(s, strlen(s), fcinfo->context);
}

PG_FUNCTION_INFO_V1(qualification_out);
Datum
qualification_out(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	initStringInfo(&buf);
	lf_qualification_append(&buf, PG_GETARG_QUALIFICATION(0));
	PG_RETURN_CSTRING(buf.data);
}

PG_FUNCTION_INFO_V1(qualification_recv);
Datum
qualification_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	char	   *s;
	int			len;

	s = pq_getmsgtext(buf, buf->len - buf->cursor, &len);

	return parsed(s, len, fcinfo->context);
}

PG_FUNCTION_INFO_V1(qualification_send);
Datum
qualification_send(PG_FUNCTION_ARGS)
{
	StringInfoData text_form;
	StringInfoData buf;

	initStringInfo(&text_form);
	lf_qualification_append(&text_form, PG_GETARG_QUALIFICATION(0));
	pq_begintypsend(&buf);
	pq_sendtext(&buf, text_form.data, text_form.len);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * qualification_from_text implements the casts from text, varchar and bpchar:
 * white space around the value does not count anyway.
 */
PG_FUNCTION_INFO_V1(qualification_from_text);
Datum
qualification_from_text(PG_FUNCTION_ARGS)
{
	text	   *t = PG_GETARG_TEXT_PP(0);

	return parsed(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), fcinfo->context);
}

/*
 * qualification_to_text implements the casts to text, varchar and bpchar,
 * whose values are all laid out alike.  A length limit of the target is
 * applied by a cast of its own.
 */
PG_FUNCTION_INFO_V1(qualification_to_text);
Datum
qualification_to_text(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	initStringInfo(&buf);
	lf_qualification_append(&buf, PG_GETARG_QUALIFICATION(0));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}

PG_FUNCTION_INFO_V1(qualification_from_jsonb);
Datum
qualification_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	Qualification q = 0;

	/* The null of JSON is the NULL of SQL */
	if (JB_ROOT_IS_SCALAR(jb))
	{
		JsonbValue	v;

		if (JsonbExtractScalar(&jb->root, &v) && v.type == jbvNull)
			PG_RETURN_NULL();
	}

	if (!lf_qualification_from_jsonb(jb, &q, fcinfo->context))
		q = 0;
	PG_RETURN_QUALIFICATION(q);
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *s)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = (char *) s;
	v.val.string.len = strlen(s);
	pushJsonbValue(state, token, &v);
}

PG_FUNCTION_INFO_V1(qualification_to_jsonb);
Datum
qualification_to_jsonb(PG_FUNCTION_ARGS)
{
	Qualification q = PG_GETARG_QUALIFICATION(0);
	int			framework = lf_qualification_check(q);
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, WJB_KEY, FRAMEWORK_KEY);
	push_string(&state, WJB_VALUE, frameworks[framework].label);
	for (int c = 0; c < frameworks[framework].count; c++)
	{
		int			level = lf_qualification_level(q, c);
		JsonbValue	v;

		if (level == LF_LEVEL_NOT_ASKED)
			continue;
		push_string(&state, WJB_KEY, frameworks[framework].criteria[c]);
		v.type = jbvNumeric;
		v.val.numeric = int64_to_numeric(level);
		pushJsonbValue(&state, WJB_VALUE, &v);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/*
 * Constructors and single levels
 */

/* checked_level refuses what is no level; NULL has been dealt with. */
static int
checked_level(int level)
{
	if (level < LF_LEVEL_NO || level > LF_LEVEL_CONFIRMED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("level %d is out of range", level),
				 errhint(HINT_LEVELS)));
	return level;
}

/* construct makes a value of levels that are arguments, NULL for not asked. */
static Datum
construct(FunctionCallInfo fcinfo, int framework)
{
	int			levels[LF_MAX_CRITERIA];

	Assert(PG_NARGS() == frameworks[framework].count);
	for (int c = 0; c < frameworks[framework].count; c++)
		levels[c] = PG_ARGISNULL(c) ? LF_LEVEL_NOT_ASKED : checked_level(PG_GETARG_INT32(c));

	PG_RETURN_QUALIFICATION(lf_qualification_make(framework, levels));
}

PG_FUNCTION_INFO_V1(qualification_bant);
Datum
qualification_bant(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_BANT);
}

PG_FUNCTION_INFO_V1(qualification_champ);
Datum
qualification_champ(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_CHAMP);
}

PG_FUNCTION_INFO_V1(qualification_meddic);
Datum
qualification_meddic(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_MEDDIC);
}

PG_FUNCTION_INFO_V1(qualification_meddpicc);
Datum
qualification_meddpicc(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_MEDDPICC);
}

PG_FUNCTION_INFO_V1(qualification_anum);
Datum
qualification_anum(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_ANUM);
}

PG_FUNCTION_INFO_V1(qualification_faint);
Datum
qualification_faint(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_FAINT);
}

PG_FUNCTION_INFO_V1(qualification_gpctba);
Datum
qualification_gpctba(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_GPCTBA);
}

PG_FUNCTION_INFO_V1(qualification_spiced);
Datum
qualification_spiced(PG_FUNCTION_ARGS)
{
	return construct(fcinfo, LF_FRAMEWORK_SPICED);
}

PG_FUNCTION_INFO_V1(qualification_framework);
Datum
qualification_framework(PG_FUNCTION_ARGS)
{
	int			framework = lf_qualification_check(PG_GETARG_QUALIFICATION(0));

	PG_RETURN_TEXT_P(cstring_to_text(frameworks[framework].label));
}

/* no_criterion reports a criterion that the framework does not have. */
lf_noreturn static void
no_criterion(int framework, text *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("framework \"%s\" has no criterion \"%.*s\"",
					frameworks[framework].label,
					(int) VARSIZE_ANY_EXHDR(name), VARDATA_ANY(name)),
			 errhint("Its criteria are %s.", lf_criteria_list(framework))));
}

/*
 * qualification_get_level returns NULL for a criterion of another framework,
 * so that a query over leads of several frameworks does not fail, but refuses
 * what is no criterion at all.
 */
PG_FUNCTION_INFO_V1(qualification_get_level);
Datum
qualification_get_level(PG_FUNCTION_ARGS)
{
	Qualification q = PG_GETARG_QUALIFICATION(0);
	text	   *name = PG_GETARG_TEXT_PP(1);
	char	   *s = VARDATA_ANY(name);
	int			len = VARSIZE_ANY_EXHDR(name);
	int			framework = lf_qualification_check(q);
	int			criterion = lf_criterion_parse(framework, s, len);

	if (criterion < 0)
	{
		for (int f = 1; f <= LF_FRAMEWORK_COUNT; f++)
		{
			if (lf_criterion_parse(f, s, len) >= 0)
				PG_RETURN_NULL();
		}
		no_criterion(framework, name);
	}
	if (lf_qualification_level(q, criterion) == LF_LEVEL_NOT_ASKED)
		PG_RETURN_NULL();
	PG_RETURN_INT32(lf_qualification_level(q, criterion));
}

/* set_level does the work of both forms of set_level(). */
static Datum
set_level(FunctionCallInfo fcinfo, int level)
{
	Qualification q = PG_GETARG_QUALIFICATION(0);
	text	   *name;
	int			framework = lf_qualification_check(q);
	int			criterion;

	/* returning q or NULL here would lose an answer without a word */
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("criterion must not be null")));
	name = PG_GETARG_TEXT_PP(1);
	criterion = lf_criterion_parse(framework, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (criterion < 0)
		no_criterion(framework, name);

	PG_RETURN_QUALIFICATION(with_level(q, criterion, level));
}

PG_FUNCTION_INFO_V1(qualification_set_level);
Datum
qualification_set_level(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return set_level(fcinfo, PG_ARGISNULL(2) ? LF_LEVEL_NOT_ASKED : checked_level(PG_GETARG_INT32(2)));
}

PG_FUNCTION_INFO_V1(qualification_set_level_text);
Datum
qualification_set_level_text(PG_FUNCTION_ARGS)
{
	int			level = LF_LEVEL_NOT_ASKED;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(2))
	{
		text	   *t = PG_GETARG_TEXT_PP(2);

		if (!lf_level_parse(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), &level))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%.*s\" is no level",
							(int) VARSIZE_ANY_EXHDR(t), VARDATA_ANY(t)),
					 errhint(HINT_LEVELS)));
	}
	return set_level(fcinfo, level);
}

/*
 * qualification_merge implements ||: the answers of both sides, those of the
 * right one where both have some.
 */
PG_FUNCTION_INFO_V1(qualification_merge);
Datum
qualification_merge(PG_FUNCTION_ARGS)
{
	Qualification a;
	Qualification b;
	uint64		answered;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));

	a = PG_GETARG_QUALIFICATION(0);
	b = PG_GETARG_QUALIFICATION(1);
	if (lf_qualification_framework(a) != lf_qualification_framework(b))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot merge a qualification by framework \"%s\" with one by framework \"%s\"",
						frameworks[lf_qualification_check(a)].label,
						frameworks[lf_qualification_check(b)].label),
				 errhint("A value holds answers of one framework: keep those of another in a column of their own.")));

	/* adding 7 carries into the top bit of each field that is not 0 */
	answered = ((b & LF_FIELDS_MASK) + (LF_FIELD_TOP_BITS - (LF_FIELD_TOP_BITS >> 3))) & LF_FIELD_TOP_BITS;
	answered = (answered >> 3) * 0xF;

	PG_RETURN_QUALIFICATION(from_fields(lf_qualification_check(a),
										((a & ~answered) | (b & answered)) & LF_FIELDS_MASK));
}

/* qualification_merge_text is the same for a parameter that a driver sends as text. */
PG_FUNCTION_INFO_V1(qualification_merge_text);
Datum
qualification_merge_text(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(1))
	{
		text	   *t = PG_GETARG_TEXT_PP(1);

		fcinfo->args[1].value = parsed(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), NULL);
	}
	return qualification_merge(fcinfo);
}

/*
 * Comparison
 */

PG_FUNCTION_INFO_V1(qualification_contains);
Datum
qualification_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_qualification_meets(PG_GETARG_QUALIFICATION(0), PG_GETARG_QUALIFICATION(1)));
}

PG_FUNCTION_INFO_V1(qualification_contained);
Datum
qualification_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_qualification_meets(PG_GETARG_QUALIFICATION(1), PG_GETARG_QUALIFICATION(0)));
}

PG_FUNCTION_INFO_V1(qualification_eq);
Datum
qualification_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) == PG_GETARG_QUALIFICATION(1));
}

PG_FUNCTION_INFO_V1(qualification_ne);
Datum
qualification_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) != PG_GETARG_QUALIFICATION(1));
}

PG_FUNCTION_INFO_V1(qualification_lt);
Datum
qualification_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) < PG_GETARG_QUALIFICATION(1));
}

PG_FUNCTION_INFO_V1(qualification_le);
Datum
qualification_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) <= PG_GETARG_QUALIFICATION(1));
}

PG_FUNCTION_INFO_V1(qualification_gt);
Datum
qualification_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) > PG_GETARG_QUALIFICATION(1));
}

PG_FUNCTION_INFO_V1(qualification_ge);
Datum
qualification_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_QUALIFICATION(0) >= PG_GETARG_QUALIFICATION(1));
}

static int
compare(Qualification a, Qualification b)
{
	return (a > b) - (a < b);
}

static int
qualification_fastcmp(Datum x, Datum y, SortSupport ssup)
{
	return compare(DatumGetQualification(x), DatumGetQualification(y));
}

PG_FUNCTION_INFO_V1(qualification_cmp);
Datum
qualification_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(PG_GETARG_QUALIFICATION(0), PG_GETARG_QUALIFICATION(1)));
}

PG_FUNCTION_INFO_V1(qualification_sortsupport);
Datum
qualification_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = qualification_fastcmp;
	PG_RETURN_VOID();
}

/*
 * hash_value hashes both halves by value, so that the result does not depend
 * on the byte order.
 */
static uint64
hash_value(Qualification q, uint64 seed)
{
	uint64		high = hash_bytes_uint32_extended((uint32) (q >> 32), seed);

	return hash_bytes_uint32_extended((uint32) q, high);
}

/* With seed 0, the low half of the extended hash has to be the hash. */
PG_FUNCTION_INFO_V1(qualification_hash);
Datum
qualification_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32((uint32) hash_value(PG_GETARG_QUALIFICATION(0), 0));
}

PG_FUNCTION_INFO_V1(qualification_hash_extended);
Datum
qualification_hash_extended(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT64(hash_value(PG_GETARG_QUALIFICATION(0), (uint64) PG_GETARG_INT64(1)));
}

PG_FUNCTION_INFO_V1(qualification_smaller);
Datum
qualification_smaller(PG_FUNCTION_ARGS)
{
	PG_RETURN_QUALIFICATION(Min(PG_GETARG_QUALIFICATION(0), PG_GETARG_QUALIFICATION(1)));
}

PG_FUNCTION_INFO_V1(qualification_larger);
Datum
qualification_larger(PG_FUNCTION_ARGS)
{
	PG_RETURN_QUALIFICATION(Max(PG_GETARG_QUALIFICATION(0), PG_GETARG_QUALIFICATION(1)));
}
