/*-------------------------------------------------------------------------
 *
 * lead_row.c
 *	  What a funnel reads from a row of a lead table.
 *
 * NOTES
 *	  Only built-in types are read, by their own C functions: nothing here runs
 *	  code of a user, so a row may be read on behalf of anybody.
 *
 *	  A dimension that is empty or blank is missing: no report wants two rows
 *	  that both say "none".
 *
 * IDENTIFICATION
 *	  src/lead_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "calendar.h"
#include "compat.h"
#include "lead_row.h"
#include "settings.h"
#include "sum.h"

/* What fits into an entry of the journal's index, compressible or not. */
#define LF_MAX_KEY_LENGTH 2600

/* Amounts from here on are none; sums of them could leave the range of numeric. */
#define LF_MAX_VALUE "1e30"
/* Places behind the point that an amount keeps. */
#define LF_MAX_SCALE 30

static Datum
column_value(const Funnel *funnel, TupleTableSlot *slot, FunnelColumn column, bool *isnull)
{
	if (funnel->attnum[column] == InvalidAttrNumber)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return slot_getattr(slot, funnel->attnum[column], isnull);
}

static text *
enum_label(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	text	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum value %u", value);
	result = cstring_to_text(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return result;
}

/* The text of a value of one of the types that lf_column_complaint() admits. */
text *
lf_value_as_text(Datum value, Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return DatumGetTextPP(value);
		case BPCHAROID:
			{
				text	   *t = DatumGetTextPP(value);
				int			length = bpchartruelen(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));

				return cstring_to_text_with_len(VARDATA_ANY(t), length);
			}
		case NAMEOID:
			return cstring_to_text(NameStr(*DatumGetName(value)));
		case INT2OID:
			return cstring_to_text(psprintf("%d", DatumGetInt16(value)));
		case INT4OID:
			return cstring_to_text(psprintf("%d", DatumGetInt32(value)));
		case INT8OID:
			return cstring_to_text(psprintf(INT64_FORMAT, DatumGetInt64(value)));
		case BOOLOID:
			return cstring_to_text(DatumGetBool(value) ? "true" : "false");
		case UUIDOID:
			return cstring_to_text(DatumGetCString(DirectFunctionCall1(uuid_out, value)));
		default:
			return enum_label(DatumGetObjectId(value));
	}
}

int64
lf_value_as_integer(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

void
lf_lead_key(const Funnel *funnel, TupleTableSlot *slot, LeadKey *key)
{
	Oid			type = funnel->type[LF_COL_KEY];
	bool		isnull;
	Datum		value = column_value(funnel, slot, LF_COL_KEY, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in key column \"%s\" of funnel \"%s\"",
						get_attname(funnel->relid, funnel->attnum[LF_COL_KEY], false),
						NameStr(funnel->name)),
				 errdetail("A lead is known by its key."),
				 errhint("Declare the column NOT NULL.")));
	key->is_integer = (type == INT2OID || type == INT4OID || type == INT8OID);
	key->id = key->is_integer ? lf_value_as_integer(value, type) : 0;
	key->key = key->is_integer ? NULL : lf_value_as_text(value, type);
	if (key->key != NULL && VARSIZE_ANY_EXHDR(key->key) > LF_MAX_KEY_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("key of a lead is too long: %d bytes", (int) VARSIZE_ANY_EXHDR(key->key)),
				 errdetail("The journal of funnel \"%s\" is searched by key, with at most %d bytes.",
						   NameStr(funnel->name), LF_MAX_KEY_LENGTH),
				 errhint("Attach the table with a shorter key_column.")));
}

text *
lf_lead_text(const Funnel *funnel, TupleTableSlot *slot, FunnelColumn column)
{
	bool		isnull;
	Datum		value = column_value(funnel, slot, column, &isnull);
	text	   *result;

	if (isnull)
		return NULL;
	result = lf_value_as_text(value, funnel->type[column]);
	if (lf_is_blank(VARDATA_ANY(result), VARSIZE_ANY_EXHDR(result)))
		return NULL;
	return result;
}

bool
lf_lead_time(const Funnel *funnel, TupleTableSlot *slot, FunnelColumn column,
			 TimestampTz *result)
{
	bool		isnull;
	Datum		value = column_value(funnel, slot, column, &isnull);

	if (isnull)
		return false;
	switch (funnel->type[column])
	{
		case DATEOID:
			*result = lf_moment_of_day(DatumGetDateADT(value), funnel->tz);
			break;
		case TIMESTAMPOID:
			*result = lf_moment_of_timestamp(DatumGetTimestamp(value), funnel->tz);
			break;
		default:
			*result = DatumGetTimestampTz(value);
			break;
	}
	return true;
}

/*
 * NaN, infinity and what is beyond all money are no amounts: one of them would
 * make every sum that it enters useless for ever, so they count as missing.
 */
static bool
is_amount(const PackedNumeric *value)
{
	static Datum limit = 0;
	static Datum minus_limit = 0;
	Datum		unpacked = NumericGetDatum(DatumGetNumeric(PointerGetDatum(value)));

	if (limit == 0)
	{
		MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);

		limit = DirectFunctionCall3(numeric_in, CStringGetDatum(LF_MAX_VALUE),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		minus_limit = DirectFunctionCall1(numeric_uminus, limit);
		MemoryContextSwitchTo(previous);
	}
	/* NaN is greater than all else */
	return DatumGetBool(DirectFunctionCall2(numeric_lt, unpacked, limit)) &&
		DatumGetBool(DirectFunctionCall2(numeric_gt, unpacked, minus_limit));
}

PackedNumeric *
lf_value_as_numeric(Datum value, Oid type)
{
	switch (type)
	{
		case NUMERICOID:
			return PG_DETOAST_DATUM_PACKED(value);
		case FLOAT4OID:
			return (PackedNumeric *) DatumGetPointer(DirectFunctionCall1(float4_numeric, value));
		case FLOAT8OID:
			return (PackedNumeric *) DatumGetPointer(DirectFunctionCall1(float8_numeric, value));
		default:
			return (PackedNumeric *) int64_to_numeric(lf_value_as_integer(value, type));
	}
}

/*
 * A sum keeps the places of the amount that had most of them, and a double or
 * a numeric may have hundreds or thousands.
 */
static PackedNumeric *
without_dust(PackedNumeric *amount)
{
	if (DatumGetInt32(DirectFunctionCall1(numeric_scale, PointerGetDatum(amount))) <= LF_MAX_SCALE)
		return amount;
	return (PackedNumeric *) DatumGetPointer(DirectFunctionCall2(numeric_round, PointerGetDatum(amount),
																 Int32GetDatum(LF_MAX_SCALE)));
}

/* The value as numeric; NULL if it is missing. */
static PackedNumeric *
lead_value(const Funnel *funnel, TupleTableSlot *slot, const LeadState *other)
{
	bool		isnull;
	Datum		value = column_value(funnel, slot, LF_COL_VALUE, &isnull);
	PackedNumeric *result;

	if (isnull)
		return NULL;
	result = lf_value_as_numeric(value, funnel->type[LF_COL_VALUE]);
	/* mostly the value is what it was, which has been looked at */
	if (other != NULL && lf_text_equal(result, other->value))
		return other->value;
	if (lf_sum_takes_as_integer(result))
		return result;			/* most amounts: neither large nor long */
	return is_amount(result) ? without_dust(result) : NULL;
}

static bool
is_excluded(const Funnel *funnel, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = column_value(funnel, slot, LF_COL_EXCLUDED, &isnull);

	if (isnull)
		return false;
	return funnel->type[LF_COL_EXCLUDED] == BOOLOID ? DatumGetBool(value) : true;
}

void
lf_lead_place(const Funnel *funnel, TupleTableSlot *slot, LeadState *state)
{
	bool		isnull;
	Datum		value;

	memset(state, 0, sizeof(*state));
	value = column_value(funnel, slot, LF_COL_STAGE, &isnull);
	if (isnull)
		state->stage = funnel->null_stage;
	else if (funnel->stage_kind == LF_STAGE_NATIVE)
		state->stage = DatumGetLeadStage(value);
	else
	{
		state->status = lf_value_as_text(value, funnel->type[LF_COL_STAGE]);
		if (funnel->stage_kind == LF_STAGE_INTEGER)
			state->stage = lf_funnel_stage_of_number(funnel, lf_value_as_integer(value, funnel->type[LF_COL_STAGE]));
		else
			state->stage = lf_funnel_stage_of_text(funnel, VARDATA_ANY(state->status),
												   VARSIZE_ANY_EXHDR(state->status));
	}
	if (is_excluded(funnel, slot))
		return;
	state->live = state->stage != LF_STAGE_NONE;
	state->unmapped = !state->live;
}

void
lf_lead_state(const Funnel *funnel, TupleTableSlot *slot, const LeadState *other, LeadState *state)
{
	lf_lead_place(funnel, slot, state);
	if (!state->live && !state->unmapped)
		return;
	for (int i = 0; i < LF_DIM_COUNT; i++)
		state->dims[i] = lf_lead_text(funnel, slot, LF_COL_SOURCE + i);
	state->value = lead_value(funnel, slot, other);
}

bool
lf_text_equal(const text *a, const text *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL)
		return false;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

bool
lf_numeric_equal(const PackedNumeric *a, const PackedNumeric *b)
{
	if (lf_text_equal(a, b))
		return true;
	/* 1.0 is 1.00 */
	return a != NULL && b != NULL &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, PointerGetDatum(a), PointerGetDatum(b)));
}

bool
lf_key_equal(const LeadKey *a, const LeadKey *b)
{
	if (a->is_integer != b->is_integer)
		return false;
	return a->is_integer ? a->id == b->id : lf_text_equal(a->key, b->key);
}

uint32
lf_key_hash(const LeadKey *key)
{
	if (key->is_integer)
		return hash_combine(hash_bytes_uint32((uint32) key->id), hash_bytes_uint32((uint32) (key->id >> 32)));
	return hash_bytes((const unsigned char *) VARDATA_ANY(key->key), VARSIZE_ANY_EXHDR(key->key));
}

int
lf_key_compare(const LeadKey *a, const LeadKey *b)
{
	int			la;
	int			lb;
	int			result;

	if (a->is_integer != b->is_integer)
		return a->is_integer ? 1 : -1;
	if (a->is_integer)
		return a->id < b->id ? -1 : a->id > b->id;
	la = VARSIZE_ANY_EXHDR(a->key);
	lb = VARSIZE_ANY_EXHDR(b->key);
	result = memcmp(VARDATA_ANY(a->key), VARDATA_ANY(b->key), Min(la, lb));
	return result != 0 ? result : (la < lb ? -1 : la > lb);
}

char *
lf_key_string(const LeadKey *key)
{
	return key->is_integer ? psprintf(INT64_FORMAT, key->id) : text_to_cstring(key->key);
}

bool
lf_same_cell(const LeadState *a, const LeadState *b)
{
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		if (!lf_text_equal(a->dims[i], b->dims[i]))
			return false;
	}
	return true;
}

bool
lf_state_equal(const LeadState *a, const LeadState *b)
{
	return a->stage == b->stage && lf_same_cell(a, b) &&
		lf_numeric_equal(a->value, b->value);
}

text *
lf_text_copy(const text *t)
{
	Size		size;
	text	   *result;

	if (t == NULL)
		return NULL;
	size = VARSIZE_ANY(t);
	result = palloc(size);
	memcpy(result, t, size);
	return result;
}

text *
lf_text_copy_or_share(const text *t, text *like)
{
	return t != NULL && lf_text_equal(t, like) ? like : lf_text_copy(t);
}

LeadKey
lf_key_copy(const LeadKey *key)
{
	LeadKey		result = *key;

	result.key = lf_text_copy(key->key);
	return result;
}

LeadState
lf_state_copy(const LeadState *state, const LeadState *like)
{
	static const LeadState nothing;
	LeadState	result = *state;

	if (like == NULL)
		like = &nothing;
	result.status = lf_text_copy_or_share(state->status, like->status);
	for (int i = 0; i < LF_DIM_COUNT; i++)
		result.dims[i] = lf_text_copy_or_share(state->dims[i], like->dims[i]);
	result.value = lf_text_copy_or_share(state->value, like->value);
	return result;
}

static bool
is_text_like(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_time(Oid type)
{
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/* A boolean is none: a box that is not ticked may be a no, or not asked. */
static bool
is_level(Oid type)
{
	return is_integer(type) || is_text_like(type) || type_is_enum(type);
}

char *
lf_column_complaint(Oid relid, const char *column, const char *use)
{
	AttrNumber	attnum = get_attnum(relid, column);
	Oid			declared;
	Oid			type;
	const char *wanted;
	bool		fits;

	if (attnum <= 0)
		return psprintf("Column \"%s\" is not an ordinary column.", column);
	declared = get_atttype(relid, attnum);
	type = getBaseType(declared);

	if (strcmp(use, "stage") == 0)
	{
		fits = type == lf_own_tables()->lead_stage || is_text_like(type) || is_integer(type) || type_is_enum(type);
		wanted = "lead_stage, text, varchar, an enum, an integer, or a domain over one of these";
		if (type == lf_own_tables()->lead_stage && type != declared)
			return psprintf("Column \"%s\" is of a domain over lead_stage, with which its operators are not found.", column);
	}
	else if (strcmp(use, "key") == 0)
	{
		fits = is_integer(type) || type == UUIDOID || type == TEXTOID || type == VARCHAROID || type_is_enum(type);
		wanted = "smallint, integer, bigint, uuid, text, varchar, or an enum";
	}
	else if (strcmp(use, "dim") == 0)
	{
		fits = is_text_like(type) || is_integer(type) || type == UUIDOID || type == NAMEOID ||
			type == BOOLOID || type_is_enum(type);
		wanted = "text, varchar, char, name, an integer, uuid, boolean, or an enum";
	}
	else if (strcmp(use, "value") == 0)
	{
		fits = is_integer(type) || type == NUMERICOID || type == FLOAT4OID || type == FLOAT8OID;
		wanted = "numeric, an integer, real, or double precision";
	}
	else if (strcmp(use, "time") == 0)
	{
		fits = is_time(type);
		wanted = "timestamptz, timestamp, or date";
	}
	else if (strcmp(use, "excluded") == 0)
	{
		fits = type == BOOLOID || type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
		wanted = "boolean, timestamptz, timestamp, or date";
	}
	else if (strcmp(use, "qualification") == 0)
	{
		fits = type == lf_own_tables()->qualification || is_text_like(type) || type == JSONBOID;
		wanted = "qualification, text, varchar, char, or jsonb";
	}
	else if (strcmp(use, "level") == 0)
	{
		fits = is_level(type);
		wanted = "an integer, text, varchar, char, or an enum, with levels";
	}
	else if (strcmp(use, "budget") == 0)
	{
		fits = is_level(type) || type == NUMERICOID || type == FLOAT4OID || type == FLOAT8OID;
		wanted = "an integer, text, varchar, char, or an enum, with levels, or numeric, real, or double precision, with amounts";
	}
	else if (strcmp(use, "timeline") == 0)
	{
		fits = is_level(type) || is_time(type);
		wanted = "an integer, text, varchar, char, or an enum, with levels, or date, timestamp, or timestamptz, with dates of decision";
	}
	else if (strcmp(use, "boolean") == 0)
	{
		fits = type == BOOLOID;
		wanted = "boolean";
	}
	else						/* text */
	{
		fits = is_text_like(type) || is_integer(type) || type == UUIDOID || type == NAMEOID || type_is_enum(type);
		wanted = "text, varchar, char, name, an integer, uuid, or an enum";
	}
	if (fits)
		return NULL;
	return psprintf("Column \"%s\" is of type %s; it must be %s.",
					column, format_type_be(declared), wanted);
}
