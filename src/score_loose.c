/*-------------------------------------------------------------------------
 *
 * score_loose.c
 *	  Scores of loose data: a jsonb object instead of a row.
 *
 * NOTES
 *	  JSON says of each value what it is, so an operand is taken for what the
 *	  value is: a number is compared with a number, a boolean with true or
 *	  false, a string byte by byte.  Where that makes no sense, the rule does
 *	  not match: loose data raises no errors.  A key that is missing is NULL,
 *	  as is the JSON null.
 *
 * IDENTIFICATION
 *	  src/score_loose.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "compat.h"
#include "score_bind.h"

/* An operand as each kind of JSON value wants it. */
typedef struct LooseOperand
{
	const char *string;
	int			length;
	Numeric		number;			/* NULL: it is none */
	bool		is_bool;
	bool		boolean;
} LooseOperand;

typedef struct LooseRule
{
	LooseOperand *operands;
	text	   *pattern;
	Interval   *within;
} LooseRule;

struct ScoreLooseBinding
{
	ScoreModel *model;
	LooseRule  *rules;
	int32	   *groups;
};

/* Whether the input function for numeric would take this, with few digits of exponent. */
static bool
looks_like_number(const char *s)
{
	int			digits = 0;

	if (*s == '-' || *s == '+')
		s++;
	for (; isdigit((unsigned char) *s); s++)
		digits++;
	if (*s == '.')
		s++;
	for (; isdigit((unsigned char) *s); s++)
		digits++;
	if (digits == 0 || digits > 1000)
		return false;
	if (*s == 'e' || *s == 'E')
	{
		int			exponent = 0;

		s++;
		if (*s == '-' || *s == '+')
			s++;
		for (; isdigit((unsigned char) *s); s++)
			exponent++;
		if (exponent == 0 || exponent > 3)
			return false;
	}
	return *s == '\0';
}

static void
parse_operand(LooseOperand *operand, const char *string)
{
	operand->string = string;
	operand->length = strlen(string);
	operand->number = !looks_like_number(string) ? NULL :
		DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(string), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	operand->is_bool = strcmp(string, "true") == 0 || strcmp(string, "false") == 0;
	operand->boolean = strcmp(string, "true") == 0;
}

ScoreLooseBinding *
lf_score_bind_loose(ScoreModel *model, MemoryContext cxt)
{
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	ScoreLooseBinding *binding = palloc0(sizeof(ScoreLooseBinding));

	binding->model = model;
	binding->rules = palloc0(Max(model->nrules, 1) * sizeof(LooseRule));
	binding->groups = palloc0(model->ngroups * sizeof(int32));
	for (int i = 0; i < model->nrules; i++)
	{
		ScoreRule  *rule = &model->rules[i];
		LooseRule  *loose = &binding->rules[i];

		/* what add_rule() has accepted */
		if (rule->op == LF_SCORE_MATCHES || rule->op == LF_SCORE_LIKE)
			loose->pattern = cstring_to_text(rule->operand);
		else if (rule->op == LF_SCORE_WITHIN)
			loose->within = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(rule->operand),
																  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		loose->operands = palloc0(Max(rule->noperands, 1) * sizeof(LooseOperand));
		for (int j = 0; j < rule->noperands; j++)
			parse_operand(&loose->operands[j], rule->operands[j]);
	}
	lf_score_model_close_with(lf_score_model_reference(model), cxt);
	MemoryContextSwitchTo(previous);
	return binding;
}

/* Compares a value with an operand as its kind demands; false if that makes no sense. */
static bool
compare(const JsonbValue *value, const LooseOperand *operand, int *result)
{
	switch (value->type)
	{
		case jbvNumeric:
			if (operand->number == NULL)
				return false;
			*result = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(value->val.numeric),
														NumericGetDatum(operand->number)));
			return true;
		case jbvBool:
			*result = (int) value->val.boolean - (int) operand->boolean;
			return operand->is_bool;
		case jbvString:
			*result = memcmp(value->val.string.val, operand->string, Min(value->val.string.len, operand->length));
			if (*result == 0)
				*result = value->val.string.len - operand->length;
			return true;
		default:
			return false;
	}
}

static bool
same(const JsonbValue *value, const LooseOperand *operand)
{
	int			result;

	return compare(value, operand, &result) && result == 0;
}

static bool
in_list(const JsonbValue *value, const LooseOperand *operands, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (same(value, &operands[i]))
			return true;
	}
	return false;
}

static bool
has_element(const JsonbValue *value, const LooseOperand *operand)
{
	JsonbIterator *iterator;
	JsonbValue	element;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return false;
	iterator = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&iterator, &element, true);
	while (JsonbIteratorNext(&iterator, &element, true) == WJB_ELEM)
	{
		if (same(&element, operand))
			return true;
	}
	return false;
}

/* A string as a time, as input of timestamptz would take it; false if it is none. */
static bool
parse_time(const JsonbValue *value, TimestampTz *result)
{
	char	   *string;
	char		buffer[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nf;
	int			dtype;
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz = 0;

	if (value->type != jbvString || value->val.string.len > MAXDATELEN)
		return false;
	string = pnstrdup(value->val.string.val, value->val.string.len);
	return ParseDateTime(string, buffer, sizeof(buffer), field, ftype, MAXDATEFIELDS, &nf) == 0 &&
		lf_decode_datetime(field, ftype, nf, &dtype, &tm, &fsec, &tz) == 0 &&
		dtype == DTK_DATE &&
		tm2timestamp(&tm, fsec, &tz, result) == 0;
}

static bool
test_loose(const ScoreRule *rule, const LooseRule *loose, const JsonbValue *value, TimestampTz at)
{
	int			first;
	int			second = 0;
	TimestampTz time;

	switch (rule->op)
	{
		case LF_SCORE_IS_NULL:
			return value == NULL;
		case LF_SCORE_IS_NOT_NULL:
			return value != NULL;
		default:
			break;
	}
	if (value == NULL)
		return false;
	switch (rule->op)
	{
		case LF_SCORE_EQ:
		case LF_SCORE_IN:
			return in_list(value, loose->operands, rule->noperands);
		case LF_SCORE_NE:
			return !same(value, &loose->operands[0]);
		case LF_SCORE_LIKE:
			return value->type == jbvString &&
				DatumGetBool(DirectFunctionCall2Coll(textlike, DEFAULT_COLLATION_OID,
													 PointerGetDatum(cstring_to_text_with_len(value->val.string.val, value->val.string.len)),
													 PointerGetDatum(loose->pattern)));
		case LF_SCORE_MATCHES:
			return value->type == jbvString &&
				RE_compile_and_execute(loose->pattern, value->val.string.val, value->val.string.len, REG_ADVANCED,
									   DEFAULT_COLLATION_OID, 0, NULL);
		case LF_SCORE_CONTAINS:
			return has_element(value, &loose->operands[0]);
		case LF_SCORE_WITHIN:
			return parse_time(value, &time) && time <= at &&
				time >= DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(at),
																IntervalPGetDatum(loose->within)));
		default:
			return compare(value, &loose->operands[0], &first) &&
				(rule->op != LF_SCORE_BETWEEN || compare(value, &loose->operands[1], &second)) &&
				lf_score_test_order(rule->op, first, second);
	}
}

/* The value of a key; NULL if it is missing or the JSON null. */
static JsonbValue *
find_value(ScoreModel *model, Jsonb *data, int attribute, JsonbValue *buffer)
{
	const char *key = NameStr(model->attributes[attribute]);
	JsonbValue *value = getKeyJsonValueFromContainer(&data->root, key, strlen(key), buffer);

	return value != NULL && value->type == jbvNull ? NULL : value;
}

char *
lf_score_loose_value(ScoreModel *model, Jsonb *data, int attribute)
{
	JsonbValue	buffer;
	JsonbValue *value = find_value(model, data, attribute, &buffer);
	Jsonb	   *jsonb;

	if (value == NULL)
		return NULL;
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	jsonb = JsonbValueToJsonb(value);
	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

int32
lf_score_loose(ScoreLooseBinding *binding, Jsonb *data, ScoreAxis axis, TimestampTz at, bool *matched)
{
	ScoreModel *model = binding->model;
	JsonbValue	buffer;
	JsonbValue *value = NULL;
	int			attribute = -1;

	if (!JB_ROOT_IS_OBJECT(data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("scoring model \"%s\" can score an object only", NameStr(model->name)),
				 errdetail("The jsonb value is an array or a single value."),
				 errhint("Give a JSON object whose keys are the attributes of the model.")));
	memset(binding->groups, 0, model->ngroups * sizeof(int32));
	for (int i = 0; i < model->nrules; i++)
	{
		const ScoreRule *rule = &model->rules[i];
		bool		match;

		if (rule->attribute != attribute)
		{
			attribute = rule->attribute;
			value = find_value(model, data, attribute, &buffer);
		}
		match = test_loose(rule, &binding->rules[i], value, at);
		if (match)
			binding->groups[rule->group] += rule->points;
		if (matched)
			matched[i] = match;
	}
	return lf_score_total(model, binding->groups, model->ngroups, axis);
}
