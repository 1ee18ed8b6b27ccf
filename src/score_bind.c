/*-------------------------------------------------------------------------
 *
 * score_bind.c
 *	  A scoring model that has met the types of its attributes, and what it
 *	  says of values.
 *
 * NOTES
 *	  Binding does once what is the same for all rows: it finds the type of an
 *	  attribute, converts the operands by that type's input function, looks up
 *	  how it compares, and makes of a rule one of a few kinds of test.  Numbers
 *	  of fixed size, dates and times are int64 here, and a comparison is a
 *	  range.  Text is length and bytes where equal means the same bytes.  All
 *	  other types are compared by their default B-tree operator class.
 *
 *	  Domains are looked through: the operand's conversion runs no function
 *	  that a domain's CHECK has.  Functions of a type run as the caller, in
 *	  whose query the row is.
 *
 *	  NULL matches "is null" and nothing else.
 *
 * IDENTIFICATION
 *	  src/score_bind.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "engagement.h"
#include "funnel.h"
#include "score_bind.h"

/* How a value is looked at before its rules are. */
typedef enum ValueKind
{
	VALUE_DATUM,
	VALUE_BOOL,
	VALUE_INT16,
	VALUE_INT32,				/* date, too */
	VALUE_INT64,				/* timestamps, too */
	VALUE_OID,					/* enum: equality only */
	VALUE_TEXT,
	VALUE_BPCHAR,				/* without the blanks at its end */
	VALUE_ENGAGEMENT			/* its points */
} ValueKind;

typedef enum TestKind
{
	TEST_RANGE,					/* of numbers */
	TEST_OUT_OF_RANGE,
	TEST_NUMBERS,				/* a list */
	TEST_TEXT_EQUAL,
	TEST_TEXT_UNEQUAL,
	TEST_TEXTS,					/* a list */
	TEST_PREFIX,
	TEST_LIKE,
	TEST_MATCHES,
	TEST_COMPARE,				/* by the type's comparison function */
	TEST_COMPARE_LIST,
	TEST_EQUAL_LIST,			/* a type that has no order */
	TEST_CONTAINS,				/* by an operator of the type */
	TEST_ELEMENT,				/* of an array */
	TEST_POINTS,				/* of an engagement */
	TEST_IS_NULL,
	TEST_IS_NOT_NULL,
	TEST_NEVER
} TestKind;

/* The bytes of a text, and a number made of the first ones, which mostly is all that must be looked at. */
typedef struct TextValue
{
	const char *data;
	uint64		prefix;
	int			length;
} TextValue;

/* What rules of one attribute compare by. */
typedef struct TypeFunctions
{
	Oid			type;			/* not a domain */
	Oid			collation;
	FmgrInfo	compare;
	FmgrInfo	equal;
	bool		has_compare;
	bool		has_equal;
	FmgrInfo	output;
	bool		is_text;		/* of the bytes of a text */
} TypeFunctions;

/* The rarer parts of a test. */
typedef struct TestDetail
{
	text	   *pattern;
	Datum	   *operands;
	double		threshold[2];
	Interval   *within;
	FmgrInfo	contains;
} TestDetail;

/* Small, since all of them are looked at for each row. */
typedef struct Test
{
	uint8		kind;			/* TestKind */
	uint8		op;				/* ScoreOperator */
	int16		group;			/* an axis, if its group has no cap and no
								 * floor */
	int32		points;
	int32		n;				/* of a list */
	union
	{
		struct
		{
			int64		low;
			int64		high;
		}			range;
		int64	   *numbers;	/* ascending */
		TextValue text;
		TextValue  *texts;		/* ascending */
	}			x;
	TestDetail *detail;
} Test;

typedef struct BoundAttribute
{
	ValueKind	kind;
	int			first;			/* its tests */
	int			end;
	TypeFunctions functions;
} BoundAttribute;

struct ScoreBinding
{
	ScoreModel *model;
	BoundAttribute *attributes;
	Test	   *tests;			/* as the model's rules */
	int32	   *groups;			/* sums of the row at hand */
	bool		has_windows;	/* dates that depend on the time of scoring */
	int			ngroups;		/* that are added to */
	TimestampTz at;				/* for which windows have been set */
	pg_tz	   *zone;
};

/* ---------- messages that name the rule ---------- */

typedef struct RuleName
{
	const char *model;
	const char *attribute;
	const ScoreRule *rule;
} RuleName;

static const char *
rule_description(const RuleName *name)
{
	if (name->rule->rule == 0)
		return psprintf("The rule is: %s %s%s%s.", name->attribute, name->rule->op_name,
						name->rule->operand ? " " : "", name->rule->operand ? name->rule->operand : "");
	return psprintf("Rule %d is: %s %s%s%s.", name->rule->rule, name->attribute, name->rule->op_name,
					name->rule->operand ? " " : "", name->rule->operand ? name->rule->operand : "");
}

lf_noreturn static void
report_operator(const RuleName *name, Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("operator \"%s\" of scoring model \"%s\" does not work for type %s of attribute \"%s\"",
					name->rule->op_name, name->model, format_type_be(type), name->attribute),
			 errdetail("%s", rule_description(name)),
			 errhint("Remove the rule, or let it look at another attribute.")));
	pg_unreachable();
}

/* Says which rule an operand belongs to, for an error that the type has raised. */
static void
rethrow_for_rule(const RuleName *name, const char *type, MemoryContext cxt)
{
	ErrorData  *error;

	MemoryContextSwitchTo(cxt);
	error = CopyErrorData();
	/* a cancel, or memory that is used up, is no fault of the rule's */
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR))
		PG_RE_THROW();
	FlushErrorState();
	ereport(ERROR,
			(errcode(error->sqlerrcode),
			 errmsg("operand of scoring model \"%s\" for attribute \"%s\" is not valid for %s",
					name->model, name->attribute, type),
			 errdetail("%s %s.", rule_description(name), error->message),
			 errhint("Remove the rule and add it with another operand.")));
}

/* ---------- operands ---------- */

/*
 * Whether a value's input would check a domain inside it, as an element, bound
 * or field.  Who made the domain chose the function, and whoever scores a
 * table would run it.
 */
static bool
has_domain_inside(Oid type)
{
	Oid			inner = get_element_type(type);
	TupleDesc	desc;
	bool		result = false;

	check_stack_depth();
	if (OidIsValid(inner))
		return has_domain_inside(inner);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return true;
		case TYPTYPE_RANGE:
			return has_domain_inside(get_range_subtype(type));
		case TYPTYPE_MULTIRANGE:
			return has_domain_inside(get_multirange_range(type));
		case TYPTYPE_COMPOSITE:
			desc = lookup_rowtype_tupdesc_copy(type, -1);
			for (int i = 0; i < desc->natts && !result; i++)
				result = !TupleDescAttr(desc, i)->attisdropped && has_domain_inside(TupleDescAttr(desc, i)->atttypid);
			return result;
		default:
			return false;
	}
}

static void
refuse_domain_inside(const RuleName *name, Oid type)
{
	if (has_domain_inside(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("attribute \"%s\" of scoring model \"%s\" has a type with a domain inside, %s",
						name->attribute, name->model, format_type_be(type)),
				 errdetail("%s To compare with a value of this type would run the domain's checks.", rule_description(name)),
				 errhint("Give the column a type without the domain, or use operator contains for an element.")));
}

static Datum
convert_operand(const RuleName *name, const char *operand, Oid type)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;
	Oid			input;
	Oid			io_param;

	refuse_domain_inside(name, type);
	getTypeInputInfo(type, &input, &io_param);
	PG_TRY();
	{
		result = OidInputFunctionCall(input, unconstify(char *, operand), io_param, -1);
	}
	PG_CATCH();
	{
		/* not in the context of errors, which is about to be emptied */
		MemoryContextSwitchTo(cxt);
		rethrow_for_rule(name, psprintf("type %s", format_type_be(type)), cxt);
	}
	PG_END_TRY();
	return result;
}

static Interval *
convert_window(const RuleName *name, const char *operand)
{
	Interval   *span = DatumGetIntervalP(convert_operand(name, operand, INTERVALOID));
	Interval	zero = {0};

	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(span), IntervalPGetDatum(&zero))) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a window of scoring model \"%s\" for attribute \"%s\" must be longer than zero",
						name->model, name->attribute),
				 errdetail("%s", rule_description(name)),
				 errhint("Give an interval, such as 7 days.")));
	return span;
}

static text *
convert_regexp(const RuleName *name, const char *operand, Oid collation)
{
	MemoryContext cxt = CurrentMemoryContext;
	text	   *pattern = cstring_to_text(operand);

	PG_TRY();
	{
		(void) RE_compile_and_execute(pattern, "", 0, REG_ADVANCED, collation, 0, NULL);
	}
	PG_CATCH();
	{
		rethrow_for_rule(name, "a regular expression", cxt);
	}
	PG_END_TRY();
	return pattern;
}

static text *
convert_like(const RuleName *name, const char *operand)
{
	text	   *pattern = cstring_to_text(operand);
	int			backslashes = 0;

	for (const char *c = operand + strlen(operand); c > operand && c[-1] == '\\'; c--)
		backslashes++;
	if (backslashes % 2 == 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_ESCAPE_SEQUENCE),
				 errmsg("pattern of scoring model \"%s\" for attribute \"%s\" must not end with an escape character",
						name->model, name->attribute),
				 errdetail("%s", rule_description(name)),
				 errhint("Double the backslash at its end.")));
	return pattern;
}

/*
 * What can be said of a rule before any row is seen.
 */
void
lf_score_check_rule(const char *model, const char *attribute, ScoreRule *rule, const ScoreColumn *column)
{
	RuleName	name = {model, attribute, rule};

	if (rule->op == LF_SCORE_MATCHES)
		(void) convert_regexp(&name, rule->operand, DEFAULT_COLLATION_OID);
	else if (rule->op == LF_SCORE_LIKE)
		(void) convert_like(&name, rule->operand);
	else if (rule->op == LF_SCORE_WITHIN)
		(void) convert_window(&name, rule->operand);

	if (column != NULL)
	{
		/* a model of this rule alone */
		MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel rule", ALLOCSET_SMALL_SIZES);
		ScoreModel	single = {0};
		ScoreGroup	group = {.limit = {PG_INT32_MIN, PG_INT32_MAX}};
		NameData	attributes[1];

		namestrcpy(&attributes[0], attribute);
		namestrcpy(&single.name, model);
		single.references = 2;
		single.nattributes = 1;
		single.attributes = attributes;
		single.ngroups = 1;
		single.groups = &group;
		single.nrules = 1;
		single.rules = rule;
		(void) lf_score_bind(&single, column, cxt);
		MemoryContextDelete(cxt);
	}
}

/* ---------- binding ---------- */

/* Any order will do. */
static int
compare_texts(const void *a, const void *b)
{
	const TextValue *left = a;
	const TextValue *right = b;

	if (left->length != right->length)
		return left->length < right->length ? -1 : 1;
	if (left->prefix != right->prefix)
		return left->prefix < right->prefix ? -1 : 1;
	return left->length <= (int) sizeof(uint64) ? 0 :
		memcmp(left->data + sizeof(uint64), right->data + sizeof(uint64), left->length - sizeof(uint64));
}

static inline bool
equal_texts(const TextValue *left, const TextValue *right)
{
	/* one branch for both, as neither can be foretold */
	return ((left->length == right->length) & (left->prefix == right->prefix)) &&
		(left->length <= (int) sizeof(uint64) ||
		 memcmp(left->data + sizeof(uint64), right->data + sizeof(uint64), left->length - sizeof(uint64)) == 0);
}

static int
compare_numbers(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right;
}

static Form_pg_type
type_form(Oid type, HeapTuple *tuple)
{
	*tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(*tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	return (Form_pg_type) GETSTRUCT(*tuple);
}

Oid
lf_type_schema(Oid type)
{
	HeapTuple	tuple;
	Oid			result = type_form(type, &tuple)->typnamespace;

	ReleaseSysCache(tuple);
	return result;
}

/* Whether this is the type of ours that has this name: it lives where lead_stage does. */
static bool
is_own_type(Oid type, const char *name)
{
	HeapTuple	tuple;
	bool		result = namestrcmp(&type_form(type, &tuple)->typname, name) == 0;

	ReleaseSysCache(tuple);
	return result && lf_type_schema(type) == lf_type_schema(lf_own_tables()->lead_stage);
}

static ValueKind
value_kind(Oid type, Oid collation)
{
	switch (type)
	{
		case BOOLOID:
			return VALUE_BOOL;
		case INT2OID:
			return VALUE_INT16;
		case INT4OID:
		case DATEOID:
			return VALUE_INT32;
		case INT8OID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return VALUE_INT64;
		case TEXTOID:
		case VARCHAROID:
			return get_collation_isdeterministic(collation) ? VALUE_TEXT : VALUE_DATUM;
		case BPCHAROID:
			return get_collation_isdeterministic(collation) ? VALUE_BPCHAR : VALUE_DATUM;
		default:
			if (type_is_enum(type))
				return VALUE_OID;
			return is_own_type(type, "engagement") ? VALUE_ENGAGEMENT : VALUE_DATUM;
	}
}

static int64
number_of(Datum value, ValueKind kind)
{
	switch (kind)
	{
		case VALUE_BOOL:
			return DatumGetBool(value);
		case VALUE_INT16:
			return DatumGetInt16(value);
		case VALUE_INT32:
			return DatumGetInt32(value);
		case VALUE_OID:
			return DatumGetObjectId(value);
		default:
			return DatumGetInt64(value);
	}
}

/* All bytes of a short text or the first eight of a long one; for one length, equal numbers are equal bytes. */
static inline uint64
text_prefix(const char *data, int length)
{
	uint64		prefix;
	uint32		first;
	uint32		last;

	if (length >= (int) sizeof(uint64))
	{
		memcpy(&prefix, data, sizeof(prefix));
		return prefix;
	}
	if (length >= (int) sizeof(uint32))
	{
		/* they overlap */
		memcpy(&first, data, sizeof(first));
		memcpy(&last, data + length - sizeof(last), sizeof(last));
		return (uint64) first << 32 | last;
	}
	if (length == 0)
		return 0;
	return (unsigned char) data[0] << 16 | (unsigned char) data[length / 2] << 8 | (unsigned char) data[length - 1];
}

/* The text must not be toasted. */
static inline TextValue
text_value(Datum value, ValueKind kind)
{
	text	   *t = (text *) DatumGetPointer(value);
	TextValue	result = {.data = VARDATA_ANY(t),.length = VARSIZE_ANY_EXHDR(t)};

	if (kind == VALUE_BPCHAR)
		result.length = bpchartruelen(unconstify(char *, result.data), result.length);
	result.prefix = text_prefix(result.data, result.length);
	return result;
}

/* Up to so many elements of a list are looked at one by one. */
#define SHORT_LIST 8

static inline bool
in_texts(const TextValue *value, const TextValue *list, int n)
{
	if (n > SHORT_LIST)
		return bsearch(value, list, n, sizeof(TextValue), compare_texts) != NULL;
	for (int i = 0; i < n; i++)
	{
		if (equal_texts(value, &list[i]))
			return true;
	}
	return false;
}

static inline bool
in_numbers(int64 value, const int64 *list, int n)
{
	if (n > SHORT_LIST)
		return bsearch(&value, list, n, sizeof(int64), compare_numbers) != NULL;
	for (int i = 0; i < n; i++)
	{
		if (value == list[i])
			return true;
	}
	return false;
}

static void
find_functions(TypeFunctions *functions, const ScoreColumn *column, MemoryContext cxt)
{
	Oid			type = getBaseType(column->type);
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_CMP_PROC | TYPECACHE_EQ_OPR);
	Oid			output;
	bool		is_varlena;

	functions->type = type;
	functions->collation = OidIsValid(column->collation) ? column->collation : get_typcollation(type);
	functions->has_compare = OidIsValid(entry->cmp_proc);
	if (functions->has_compare)
		fmgr_info_cxt(entry->cmp_proc, &functions->compare, cxt);
	functions->has_equal = OidIsValid(entry->eq_opr);
	if (functions->has_equal)
		fmgr_info_cxt(get_opcode(entry->eq_opr), &functions->equal, cxt);
	getTypeOutputInfo(type, &output, &is_varlena);
	fmgr_info_cxt(output, &functions->output, cxt);
	functions->is_text = IsBinaryCoercible(type, TEXTOID);
}

/* Sorts a list of operands that are numbers. */
static void
bind_numbers(Test *test, const Datum *operands, int n, ValueKind kind)
{
	test->kind = TEST_NUMBERS;
	test->n = n;
	test->x.numbers = palloc((n + 1) * sizeof(int64));
	for (int i = 0; i < n; i++)
		test->x.numbers[i] = number_of(operands[i], kind);
	qsort(test->x.numbers, n, sizeof(int64), compare_numbers);
}

static void
bind_texts(Test *test, const Datum *operands, int n, ValueKind kind)
{
	test->kind = TEST_TEXTS;
	test->n = n;
	test->x.texts = palloc((n + 1) * sizeof(TextValue));
	for (int i = 0; i < n; i++)
		test->x.texts[i] = text_value(operands[i], kind);
	qsort(test->x.texts, n, sizeof(TextValue), compare_texts);
}

static void
bind_range(Test *test, const Datum *operands, ValueKind kind)
{
	int64		first = number_of(operands[0], kind);

	test->kind = test->op == LF_SCORE_NE ? TEST_OUT_OF_RANGE : TEST_RANGE;
	test->x.range.low = PG_INT64_MIN;
	test->x.range.high = PG_INT64_MAX;
	switch (test->op)
	{
		case LF_SCORE_LT:
			if (first == PG_INT64_MIN)
				test->kind = TEST_NEVER;
			else
				test->x.range.high = first - 1;
			break;
		case LF_SCORE_LE:
			test->x.range.high = first;
			break;
		case LF_SCORE_GT:
			if (first == PG_INT64_MAX)
				test->kind = TEST_NEVER;
			else
				test->x.range.low = first + 1;
			break;
		case LF_SCORE_GE:
			test->x.range.low = first;
			break;
		case LF_SCORE_BETWEEN:
			test->x.range.low = first;
			test->x.range.high = number_of(operands[1], kind);
			break;
		default:
			test->x.range.low = test->x.range.high = first;
			break;
	}
}

/* The points of an engagement at the time of scoring are compared with a number. */
static void
bind_points(Test *test, const RuleName *name)
{
	if (test->op == LF_SCORE_IN)
		report_operator(name, FLOAT8OID);
	test->kind = TEST_POINTS;
	for (int i = 0; i < name->rule->noperands; i++)
		test->detail->threshold[i] = DatumGetFloat8(convert_operand(name, name->rule->operands[i], FLOAT8OID));
}

static void
bind_comparison(Test *test, const RuleName *name, BoundAttribute *attribute)
{
	const ScoreRule *rule = name->rule;
	TypeFunctions *functions = &attribute->functions;
	bool		equality = test->op == LF_SCORE_EQ || test->op == LF_SCORE_NE || test->op == LF_SCORE_IN;

	if (attribute->kind == VALUE_ENGAGEMENT)
	{
		bind_points(test, name);
		return;
	}
	if (!functions->has_compare && !(equality && functions->has_equal))
		report_operator(name, functions->type);
	test->n = rule->noperands;
	test->detail->operands = palloc((test->n + 1) * sizeof(Datum));
	for (int i = 0; i < test->n; i++)
		test->detail->operands[i] = convert_operand(name, rule->operands[i], functions->type);

	if (attribute->kind == VALUE_TEXT || attribute->kind == VALUE_BPCHAR)
	{
		if (test->op == LF_SCORE_IN)
			bind_texts(test, test->detail->operands, test->n, attribute->kind);
		else if (equality)
		{
			test->kind = test->op == LF_SCORE_EQ ? TEST_TEXT_EQUAL : TEST_TEXT_UNEQUAL;
			test->x.text = text_value(test->detail->operands[0], attribute->kind);
		}
		else
			test->kind = TEST_COMPARE;
	}
	else if (attribute->kind != VALUE_DATUM && (equality || attribute->kind != VALUE_OID))
	{
		if (test->op == LF_SCORE_IN)
			bind_numbers(test, test->detail->operands, test->n, attribute->kind);
		else
			bind_range(test, test->detail->operands, attribute->kind);
	}
	else if (equality && functions->has_equal)
		test->kind = TEST_EQUAL_LIST;
	else
		test->kind = test->op == LF_SCORE_IN ? TEST_COMPARE_LIST : TEST_COMPARE;
}

static void
bind_pattern(Test *test, const RuleName *name, BoundAttribute *attribute)
{
	TypeFunctions *functions = &attribute->functions;
	bool		text_like = functions->is_text || functions->type == BPCHAROID || functions->type == NAMEOID ||
		type_is_enum(functions->type) || is_own_type(functions->type, "lead_stage");
	const char *operand = name->rule->operand;
	int			prefix;

	if (!text_like)
		report_operator(name, functions->type);
	if (!OidIsValid(functions->collation))
		functions->collation = DEFAULT_COLLATION_OID;
	if (test->op == LF_SCORE_MATCHES)
	{
		test->kind = TEST_MATCHES;
		test->detail->pattern = convert_regexp(name, operand, functions->collation);
		return;
	}
	test->kind = TEST_LIKE;
	test->detail->pattern = convert_like(name, operand);
	/* most patterns are the beginning of a word */
	prefix = strcspn(operand, "%_\\");
	if (strcmp(operand + prefix, "%") == 0 && (attribute->kind == VALUE_TEXT || attribute->kind == VALUE_BPCHAR))
	{
		test->kind = TEST_PREFIX;
		test->x.text.data = pstrdup(operand);
		test->x.text.length = prefix;
	}
}

/*
 * The function behind type @> type: of jsonb and of our qualification only.
 * Anybody can make an operator for a type of his own, and whoever scores a
 * table would run it.
 */
static Oid
containment_function(Oid type)
{
	char	   *schema;

	if (type == JSONBOID)
		return F_JSONB_CONTAINS;
	if (!is_own_type(type, "qualification"))
		return InvalidOid;
	schema = get_namespace_name(lf_type_schema(type));
	return get_opcode(OpernameGetOprid(list_make2(makeString(schema), makeString("@>")), type, type));
}

static void
bind_contains(Test *test, const RuleName *name, BoundAttribute *attribute, MemoryContext cxt)
{
	TypeFunctions *functions = &attribute->functions;
	Oid			element = get_element_type(functions->type);
	Oid			function;

	test->detail->operands = palloc(sizeof(Datum));
	if (OidIsValid(element))
	{
		TypeCacheEntry *entry = lookup_type_cache(getBaseType(element), TYPECACHE_EQ_OPR);

		if (!OidIsValid(entry->eq_opr))
			report_operator(name, functions->type);
		test->kind = TEST_ELEMENT;
		fmgr_info_cxt(get_opcode(entry->eq_opr), &test->detail->contains, cxt);
		test->detail->operands[0] = convert_operand(name, name->rule->operand, getBaseType(element));
		return;
	}
	function = containment_function(functions->type);
	if (!OidIsValid(function))
		report_operator(name, functions->type);
	test->kind = TEST_CONTAINS;
	fmgr_info_cxt(function, &test->detail->contains, cxt);
	test->detail->operands[0] = convert_operand(name, name->rule->operand, functions->type);
}

static void
bind_test(ScoreBinding *binding, Test *test, const RuleName *name, BoundAttribute *attribute, MemoryContext cxt)
{
	ScoreLimit *limit = &binding->model->groups[name->rule->group].limit;

	test->op = name->rule->op;
	test->points = name->rule->points;
	/* most groups have neither cap nor floor: theirs is the sum of the axis */
	test->group = limit->floor == PG_INT32_MIN && limit->cap == PG_INT32_MAX ? (int) name->rule->axis : name->rule->group;
	test->detail = MemoryContextAllocZero(cxt, sizeof(TestDetail));
	switch (test->op)
	{
		case LF_SCORE_IS_NULL:
			test->kind = TEST_IS_NULL;
			break;
		case LF_SCORE_IS_NOT_NULL:
			test->kind = TEST_IS_NOT_NULL;
			break;
		case LF_SCORE_LIKE:
		case LF_SCORE_MATCHES:
			bind_pattern(test, name, attribute);
			break;
		case LF_SCORE_CONTAINS:
			bind_contains(test, name, attribute, cxt);
			break;
		case LF_SCORE_WITHIN:
			if (attribute->functions.type != DATEOID && attribute->functions.type != TIMESTAMPOID &&
				attribute->functions.type != TIMESTAMPTZOID)
				report_operator(name, attribute->functions.type);
			test->kind = TEST_RANGE;
			test->detail->within = convert_window(name, name->rule->operand);
			binding->has_windows = true;
			break;
		default:
			bind_comparison(test, name, attribute);
			break;
	}
}

ScoreBinding *
lf_score_bind(ScoreModel *model, const ScoreColumn *columns, MemoryContext cxt)
{
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	ScoreBinding *binding = palloc0(sizeof(ScoreBinding));

	binding->model = model;
	binding->attributes = palloc0(Max(model->nattributes, 1) * sizeof(BoundAttribute));
	binding->tests = palloc0(Max(model->nrules, 1) * sizeof(Test));
	binding->groups = palloc0(Max(model->ngroups, LF_AXIS_COUNT) * sizeof(int32));
	binding->at = DT_NOBEGIN;
	binding->ngroups = LF_AXIS_COUNT;
	for (int a = 0, r = 0; a < model->nattributes; a++)
	{
		BoundAttribute *attribute = &binding->attributes[a];

		find_functions(&attribute->functions, &columns[a], cxt);
		attribute->kind = value_kind(attribute->functions.type, attribute->functions.collation);
		attribute->first = r;
		for (; r < model->nrules && model->rules[r].attribute == a; r++)
		{
			RuleName	name = {NameStr(model->name), NameStr(model->attributes[a]), &model->rules[r]};

			bind_test(binding, &binding->tests[r], &name, attribute, cxt);
			binding->ngroups = Max(binding->ngroups, binding->tests[r].group + 1);
		}
		attribute->end = r;
	}
	lf_score_model_close_with(lf_score_model_reference(model), cxt);
	MemoryContextSwitchTo(previous);
	return binding;
}

/* ---------- evaluation ---------- */

/* Sets the windows of dates for a time of scoring. */
static void
set_windows(ScoreBinding *binding, TimestampTz at)
{
	for (int a = 0; a < binding->model->nattributes; a++)
	{
		BoundAttribute *attribute = &binding->attributes[a];

		for (int i = attribute->first; i < attribute->end; i++)
		{
			Test	   *test = &binding->tests[i];
			Datum		high = TimestampTzGetDatum(at);
			Datum		low;

			if (test->detail->within == NULL)
				continue;
			low = DirectFunctionCall2(timestamptz_mi_interval, high, IntervalPGetDatum(test->detail->within));
			if (attribute->functions.type == DATEOID)
			{
				test->x.range.low = DatumGetDateADT(DirectFunctionCall1(timestamptz_date, low));
				test->x.range.high = DatumGetDateADT(DirectFunctionCall1(timestamptz_date, high));
			}
			else if (attribute->functions.type == TIMESTAMPOID)
			{
				test->x.range.low = DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, low));
				test->x.range.high = DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, high));
			}
			else
			{
				test->x.range.low = DatumGetTimestampTz(low);
				test->x.range.high = at;
			}
		}
	}
	binding->at = at;
	binding->zone = session_timezone;
}

bool
lf_score_test_order(ScoreOperator op, int first, int second)
{
	switch (op)
	{
		case LF_SCORE_EQ:
			return first == 0;
		case LF_SCORE_NE:
			return first != 0;
		case LF_SCORE_LT:
			return first < 0;
		case LF_SCORE_LE:
			return first <= 0;
		case LF_SCORE_GT:
			return first > 0;
		case LF_SCORE_GE:
			return first >= 0;
		default:
			return first >= 0 && second <= 0;
	}
}

static int
compare_points(double points, double threshold)
{
	return points < threshold ? -1 : points > threshold;
}

/* A value as text, for patterns. */
static TextValue
pattern_subject(BoundAttribute *attribute, Datum value)
{
	TextValue	result;

	if (attribute->functions.type == BPCHAROID)
		return text_value(PointerGetDatum(DatumGetTextPP(value)), VALUE_BPCHAR);
	if (attribute->functions.is_text)
		return text_value(PointerGetDatum(DatumGetTextPP(value)), VALUE_TEXT);
	result.data = OutputFunctionCall(&attribute->functions.output, value);
	result.length = strlen(result.data);
	return result;
}

static bool
test_pattern(const Test *test, BoundAttribute *attribute, Datum value)
{
	TextValue	subject = pattern_subject(attribute, value);

	if (test->kind == TEST_MATCHES)
		return RE_compile_and_execute(test->detail->pattern, unconstify(char *, subject.data), subject.length, REG_ADVANCED,
									  attribute->functions.collation, 0, NULL);
	return DatumGetBool(DirectFunctionCall2Coll(textlike, attribute->functions.collation,
												PointerGetDatum(cstring_to_text_with_len(subject.data, subject.length)),
												PointerGetDatum(test->detail->pattern)));
}

static bool
test_element(Test *test, BoundAttribute *attribute, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	ArrayIterator iterator = array_create_iterator(array, 0, NULL);
	Datum		element;
	bool		isnull;
	bool		found = false;

	while (!found && array_iterate(iterator, &element, &isnull))
	{
		if (!isnull)
			found = DatumGetBool(FunctionCall2Coll(&test->detail->contains, attribute->functions.collation, element, test->detail->operands[0]));
	}
	array_free_iterator(iterator);
	return found;
}

/* The tests that are not so frequent that they are worth a place in the loop. */
static bool
test_value(Test *test, BoundAttribute *attribute, Datum value, TimestampTz at)
{
	TypeFunctions *functions = &attribute->functions;

	switch (test->kind)
	{
		case TEST_LIKE:
		case TEST_MATCHES:
			return test_pattern(test, attribute, value);
		case TEST_COMPARE:
			return lf_score_test_order(test->op,
									   DatumGetInt32(FunctionCall2Coll(&functions->compare, functions->collation, value, test->detail->operands[0])),
									   test->op != LF_SCORE_BETWEEN ? 0 :
									   DatumGetInt32(FunctionCall2Coll(&functions->compare, functions->collation, value, test->detail->operands[1])));
		case TEST_COMPARE_LIST:
			for (int i = 0; i < test->n; i++)
			{
				if (DatumGetInt32(FunctionCall2Coll(&functions->compare, functions->collation, value, test->detail->operands[i])) == 0)
					return true;
			}
			return false;
		case TEST_EQUAL_LIST:
			for (int i = 0; i < test->n; i++)
			{
				if (DatumGetBool(FunctionCall2Coll(&functions->equal, functions->collation, value, test->detail->operands[i])))
					return test->op != LF_SCORE_NE;
			}
			return test->op == LF_SCORE_NE;
		case TEST_CONTAINS:
			return DatumGetBool(FunctionCall2Coll(&test->detail->contains, functions->collation, value, test->detail->operands[0]));
		case TEST_ELEMENT:
			return test_element(test, attribute, value);
		case TEST_POINTS:
			{
				double		points = lf_engagement_points_at(DatumGetEngagementP(value), at);

				return lf_score_test_order(test->op, compare_points(points, test->detail->threshold[0]), compare_points(points, test->detail->threshold[1]));
			}
		default:
			return false;
	}
}

int32
lf_score_clamp(int32 points, const ScoreLimit *limit)
{
	return points > limit->cap ? limit->cap : points < limit->floor ? limit->floor : points;
}

int32
lf_score_total(const ScoreModel *model, const int32 *groups, int ngroups, ScoreAxis axis)
{
	int32		sums[LF_AXIS_COUNT] = {groups[LF_AXIS_FIT], groups[LF_AXIS_ENGAGEMENT]};

	for (int i = LF_AXIS_COUNT; i < ngroups; i++)
		sums[model->groups[i].axis] += lf_score_clamp(groups[i], &model->groups[i].limit);
	for (int i = 0; i < LF_AXIS_COUNT; i++)
		sums[i] = lf_score_clamp(sums[i], &model->limits[i]);
	if (axis != LF_AXIS_TOTAL)
		return sums[axis];
	return lf_score_clamp(sums[LF_AXIS_FIT] + sums[LF_AXIS_ENGAGEMENT], &model->limits[LF_AXIS_TOTAL]);
}

int32
lf_score_evaluate(ScoreBinding *binding, const NullableDatum *values, ScoreAxis axis, TimestampTz at, bool *matched)
{
	ScoreModel *model = binding->model;
	int32	   *groups = binding->groups;

	if (binding->has_windows && (binding->at != at || binding->zone != session_timezone))
		set_windows(binding, at);
	memset(groups, 0, binding->ngroups * sizeof(int32));

	for (int a = 0; a < model->nattributes; a++)
	{
		BoundAttribute *attribute = &binding->attributes[a];
		Test	   *test = &binding->tests[attribute->first];
		Test	   *end = &binding->tests[attribute->end];
		Datum		value = values[a].value;
		int64		number = 0;
		TextValue	string = {NULL, 0};

		if (values[a].isnull)
		{
			for (; test < end; test++)
			{
				bool		match = (test->kind == TEST_IS_NULL);

				if (match)
					groups[test->group] += test->points;
				if (matched)
					matched[test - binding->tests] = match;
			}
			continue;
		}
		if (attribute->kind == VALUE_TEXT || attribute->kind == VALUE_BPCHAR)
		{
			/* once for all rules */
			if (VARATT_IS_EXTENDED(DatumGetPointer(value)) && !VARATT_IS_SHORT(DatumGetPointer(value)))
				value = PointerGetDatum(DatumGetTextPP(value));
			string = text_value(value, attribute->kind);
		}
		else if (attribute->kind != VALUE_DATUM && attribute->kind != VALUE_ENGAGEMENT)
			number = number_of(value, attribute->kind);

		for (; test < end; test++)
		{
			bool		match;

			switch (test->kind)
			{
				case TEST_RANGE:
					match = (number >= test->x.range.low) & (number <= test->x.range.high);
					break;
				case TEST_OUT_OF_RANGE:
					match = (number < test->x.range.low) | (number > test->x.range.high);
					break;
				case TEST_NUMBERS:
					match = in_numbers(number, test->x.numbers, test->n);
					break;
				case TEST_TEXT_EQUAL:
					match = equal_texts(&string, &test->x.text);
					break;
				case TEST_TEXT_UNEQUAL:
					match = !equal_texts(&string, &test->x.text);
					break;
				case TEST_TEXTS:
					match = in_texts(&string, test->x.texts, test->n);
					break;
				case TEST_PREFIX:
					match = string.length >= test->x.text.length && memcmp(string.data, test->x.text.data, test->x.text.length) == 0;
					break;
				case TEST_IS_NOT_NULL:
					match = true;
					break;
				case TEST_IS_NULL:
				case TEST_NEVER:
					match = false;
					break;
				default:
					match = test_value(test, attribute, value, at);
					break;
			}

			/*
			 * Without a branch: whether a rule matches is what the processor
			 * cannot foretell, and a wrong guess costs more than the rule.
			 */
			groups[test->group] += test->points & -(int32) match;
			if (matched)
				matched[test - binding->tests] = match;
		}
	}
	return lf_score_total(model, groups, binding->ngroups, axis);
}

/* ---------- rows ---------- */

ScoreRowBinding *
lf_score_bind_row(ScoreModel *model, TupleDesc desc, MemoryContext cxt)
{
	ScoreRowBinding *row = MemoryContextAllocZero(cxt, sizeof(ScoreRowBinding));
	int			n = Max(model->nattributes, 1);
	ScoreColumn *columns = palloc(n * sizeof(ScoreColumn));

	row->attnums = MemoryContextAlloc(cxt, n * sizeof(AttrNumber));
	row->values = MemoryContextAlloc(cxt, n * sizeof(NullableDatum));
	row->output = MemoryContextAlloc(cxt, n * sizeof(FmgrInfo));
	for (int a = 0; a < model->nattributes; a++)
	{
		int			i;

		for (i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			if (!att->attisdropped && namestrcmp(&att->attname, NameStr(model->attributes[a])) == 0)
				break;
		}
		if (i == desc->natts)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("attribute \"%s\" of scoring model \"%s\" is no column of the row",
							NameStr(model->attributes[a]), NameStr(model->name)),
					 errhint("Score a row that has this column, or remove the rules that look at it; lead_funnel.score_rules lists them.")));
		row->attnums[a] = i + 1;
		row->last = Max(row->last, i + 1);
		columns[a].type = TupleDescAttr(desc, i)->atttypid;
		columns[a].collation = TupleDescAttr(desc, i)->attcollation;
	}
	row->binding = lf_score_bind(model, columns, cxt);
	for (int a = 0; a < model->nattributes; a++)
		row->output[a] = row->binding->attributes[a].functions.output;
	return row;
}

int32
lf_score_slot(ScoreRowBinding *row, TupleTableSlot *slot, ScoreAxis axis, TimestampTz at, bool *matched)
{
	int			n = row->binding->model->nattributes;

	slot_getsomeattrs(slot, row->last);
	for (int a = 0; a < n; a++)
	{
		row->values[a].value = slot->tts_values[row->attnums[a] - 1];
		row->values[a].isnull = slot->tts_isnull[row->attnums[a] - 1];
	}
	return lf_score_evaluate(row->binding, row->values, axis, at, matched);
}
