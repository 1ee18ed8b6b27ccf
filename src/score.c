/*-------------------------------------------------------------------------
 *
 * score.c
 *	  Scores: score() and explain_score().
 *
 * NOTES
 *	  What a query finds out once is kept in fn_extra: the version of the model
 *	  and what its attributes are bound to.  A counter that any invalidation of
 *	  a relation moves tells a row whether that may be out of date.
 *
 * IDENTIFICATION
 *	  src/score.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "compat.h"
#include "score.h"

PG_FUNCTION_INFO_V1(lf_score_record);
PG_FUNCTION_INFO_V1(lf_score_jsonb);
PG_FUNCTION_INFO_V1(lf_explain_record);
PG_FUNCTION_INFO_V1(lf_explain_jsonb);
PG_FUNCTION_INFO_V1(lf_check_rule);
PG_FUNCTION_INFO_V1(lf_invalidate_models);

/* ---------- arguments ---------- */

ScoreAxis
lf_score_axis_argument(FunctionCallInfo fcinfo, int n)
{
	text	   *word;
	ScoreAxis	axis;

	if (PG_ARGISNULL(n))
		return LF_AXIS_TOTAL;
	word = PG_GETARG_TEXT_PP(n);
	if (!lf_score_parse_axis(VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word), &axis))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("axis \"%s\" of a score is not known", text_to_cstring(word)),
				 errhint("Choose one of: fit, engagement, total.")));
	return axis;
}

TimestampTz
lf_score_time_argument(FunctionCallInfo fcinfo, int n)
{
	TimestampTz at;

	if (PG_ARGISNULL(n))
		return GetCurrentTransactionStartTimestamp();
	at = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of a score must be finite"),
				 errhint("Give a time, or leave it out for now.")));
	return at;
}

/* ---------- what is kept between rows ---------- */

static ScoreCall *
call_of(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ScoreCall));
	return fcinfo->flinfo->fn_extra;
}

/* desc is NULL for jsonb. */
void
lf_score_prepare(ScoreCall *call, const char *name, TupleDesc desc, MemoryContext cxt)
{
	ScoreCall	next = {.generation = lf_score_generation};
	MemoryContext previous;

	next.model = lf_score_model_open(name, false);
	if (call->cxt != NULL && call->model == next.model &&
		(desc == NULL ? call->loose != NULL : call->row != NULL && equalTupleDescs(call->desc, desc)))
	{
		lf_score_model_close(next.model);
		call->generation = next.generation;
		return;
	}

	next.cxt = AllocSetContextCreate(cxt, "lead_funnel score", ALLOCSET_SMALL_SIZES);
	lf_score_model_close_with(next.model, next.cxt);
	namestrcpy(&next.name, name);
	if (desc == NULL)
		next.loose = lf_score_bind_loose(next.model, next.cxt);
	else
	{
		previous = MemoryContextSwitchTo(next.cxt);
		next.desc = CreateTupleDescCopyConstr(desc);
		MemoryContextSwitchTo(previous);
		next.row = lf_score_bind_row(next.model, next.desc, next.cxt);
	}
	/* what was there goes only when nothing can fail any more */
	if (call->cxt != NULL)
		MemoryContextDelete(call->cxt);
	*call = next;
}

/* ---------- rows ---------- */

/* The same for a row as a value: rows of anonymous types may differ from each other. */
typedef struct RecordCall
{
	ScoreCall	call;
	Oid			type;
	int32		typmod;
	TupleTableSlot *slot;
} RecordCall;

/* Takes the row apart as far as the model needs it. */
static TupleTableSlot *
record_slot(FunctionCallInfo fcinfo, RecordCall *record, HeapTupleHeader header, HeapTuple tuple)
{
	const char *name = NameStr(*PG_GETARG_NAME(0));
	Oid			type = HeapTupleHeaderGetTypeId(header);
	int32		typmod = HeapTupleHeaderGetTypMod(header);

	if (!lf_score_is_current(&record->call, name) || record->type != type || record->typmod != typmod)
	{
		TupleDesc	desc = lookup_rowtype_tupdesc(type, typmod);
		MemoryContext before = record->call.cxt;

		lf_score_prepare(&record->call, name, desc, fcinfo->flinfo->fn_mcxt);
		ReleaseTupleDesc(desc);
		record->type = type;
		record->typmod = typmod;
		if (before != record->call.cxt || record->slot == NULL)
		{
			MemoryContext previous = MemoryContextSwitchTo(record->call.cxt);

			record->slot = MakeSingleTupleTableSlot(record->call.desc, &TTSOpsHeapTuple);
			MemoryContextSwitchTo(previous);
		}
	}
	tuple->t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_tableOid = InvalidOid;
	tuple->t_data = header;
	return ExecStoreHeapTuple(tuple, record->slot, false);
}

static RecordCall *
record_of(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RecordCall));
	return fcinfo->flinfo->fn_extra;
}

/* lead_funnel.score(model, lead record, axis, at) */
Datum
lf_score_record(PG_FUNCTION_ARGS)
{
	RecordCall *record = record_of(fcinfo);
	HeapTupleData tuple;
	TupleTableSlot *slot;
	int32		result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	slot = record_slot(fcinfo, record, PG_GETARG_HEAPTUPLEHEADER(1), &tuple);
	result = lf_score_slot(record->call.row, slot, lf_score_axis_argument(fcinfo, 2), lf_score_time_argument(fcinfo, 3), NULL);
	PG_RETURN_INT32(result);
}

/* lead_funnel.score(model, lead jsonb, axis, at) */
Datum
lf_score_jsonb(PG_FUNCTION_ARGS)
{
	ScoreCall  *call = call_of(fcinfo);

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (!lf_score_is_current(call, NameStr(*PG_GETARG_NAME(0))))
		lf_score_prepare(call, NameStr(*PG_GETARG_NAME(0)), NULL, fcinfo->flinfo->fn_mcxt);
	PG_RETURN_INT32(lf_score_loose(call->loose, PG_GETARG_JSONB_P(1), lf_score_axis_argument(fcinfo, 2),
								   lf_score_time_argument(fcinfo, 3), NULL));
}

/* ---------- why a score is what it is ---------- */

/* Columns of explain_score(). */
enum
{
	EXPLAIN_RULE,
	EXPLAIN_AXIS,
	EXPLAIN_GROUP,
	EXPLAIN_ATTRIBUTE,
	EXPLAIN_OPERATOR,
	EXPLAIN_OPERAND,
	EXPLAIN_VALUE,
	EXPLAIN_MATCHED,
	EXPLAIN_RULE_POINTS,
	EXPLAIN_POINTS,
	EXPLAIN_COLUMNS
};

static void
put_text(Datum *values, bool *nulls, int column, const char *string)
{
	nulls[column] = (string == NULL);
	if (string != NULL)
		values[column] = CStringGetTextDatum(string);
}

static void
put_int(Datum *values, bool *nulls, int column, int32 number)
{
	nulls[column] = false;
	values[column] = Int32GetDatum(number);
}

/* A row for what a cap or a floor changes, if it does; returns what is left. */
static int32
explain_limit(ReturnSetInfo *rsinfo, ScoreAxis axis, const char *group, int32 sum, const ScoreLimit *limit)
{
	int32		clamped = lf_score_clamp(sum, limit);
	Datum		values[EXPLAIN_COLUMNS];
	bool		nulls[EXPLAIN_COLUMNS];

	if (clamped == sum)
		return sum;
	memset(nulls, true, sizeof(nulls));
	put_text(values, nulls, EXPLAIN_AXIS, lf_score_axis_name(axis));
	put_text(values, nulls, EXPLAIN_GROUP, group);
	put_text(values, nulls, EXPLAIN_OPERATOR, clamped < sum ? "cap" : "floor");
	put_text(values, nulls, EXPLAIN_OPERAND, psprintf("%d", clamped));
	put_text(values, nulls, EXPLAIN_VALUE, psprintf("%d", sum));
	nulls[EXPLAIN_MATCHED] = false;
	values[EXPLAIN_MATCHED] = BoolGetDatum(true);
	put_int(values, nulls, EXPLAIN_POINTS, clamped - sum);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	return clamped;
}

static int
by_number(const void *a, const void *b)
{
	const ScoreRule *left = *(ScoreRule *const *) a;
	const ScoreRule *right = *(ScoreRule *const *) b;

	return left->rule < right->rule ? -1 : left->rule > right->rule;
}

/* texts are the values of the model's attributes. */
static void
explain(ReturnSetInfo *rsinfo, ScoreModel *model, ScoreAxis only, const bool *matched, char *const *texts)
{
	ScoreRule **rules = palloc((model->nrules + 1) * sizeof(ScoreRule *));
	int32	   *groups = palloc0(model->ngroups * sizeof(int32));
	int32		sums[LF_AXIS_COUNT] = {0};

	for (int i = 0; i < model->nrules; i++)
		rules[i] = &model->rules[i];
	qsort(rules, model->nrules, sizeof(ScoreRule *), by_number);
	for (int i = 0; i < model->nrules; i++)
	{
		ScoreRule  *rule = rules[i];
		bool		match = matched[rule - model->rules];
		Datum		values[EXPLAIN_COLUMNS];
		bool		nulls[EXPLAIN_COLUMNS] = {false};

		if (only != LF_AXIS_TOTAL && rule->axis != only)
			continue;
		if (match)
			groups[rule->group] += rule->points;
		put_int(values, nulls, EXPLAIN_RULE, rule->rule);
		put_text(values, nulls, EXPLAIN_AXIS, lf_score_axis_name(rule->axis));
		put_text(values, nulls, EXPLAIN_GROUP, LF_SCORE_NO_GROUP(rule->group) ? NULL : NameStr(model->groups[rule->group].name));
		put_text(values, nulls, EXPLAIN_ATTRIBUTE, NameStr(model->attributes[rule->attribute]));
		put_text(values, nulls, EXPLAIN_OPERATOR, rule->op_name);
		put_text(values, nulls, EXPLAIN_OPERAND, rule->operand);
		put_text(values, nulls, EXPLAIN_VALUE, texts[rule->attribute]);
		values[EXPLAIN_MATCHED] = BoolGetDatum(match);
		put_int(values, nulls, EXPLAIN_RULE_POINTS, rule->points);
		put_int(values, nulls, EXPLAIN_POINTS, match ? rule->points : 0);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	for (int i = 0; i < model->ngroups; i++)
	{
		ScoreGroup *group = &model->groups[i];

		if (only == LF_AXIS_TOTAL || group->axis == only)
			sums[group->axis] += explain_limit(rsinfo, group->axis, NameStr(group->name), groups[i], &group->limit);
	}
	for (int i = 0; i < LF_AXIS_COUNT; i++)
	{
		if (only == LF_AXIS_TOTAL || only == (ScoreAxis) i)
			sums[i] = explain_limit(rsinfo, i, NULL, sums[i], &model->limits[i]);
	}
	if (only == LF_AXIS_TOTAL)
		(void) explain_limit(rsinfo, LF_AXIS_TOTAL, NULL, sums[LF_AXIS_FIT] + sums[LF_AXIS_ENGAGEMENT], &model->limits[LF_AXIS_TOTAL]);
}

/* lead_funnel.explain_score(model, lead record, axis, at) */
Datum
lf_explain_record(PG_FUNCTION_ARGS)
{
	RecordCall	record = {{0}};
	HeapTupleData tuple;
	TupleTableSlot *slot;
	ScoreModel *model;
	bool	   *matched;
	char	  **texts;
	ScoreAxis	axis;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	slot = record_slot(fcinfo, &record, PG_GETARG_HEAPTUPLEHEADER(1), &tuple);
	model = record.call.model;
	matched = palloc0(model->nrules + 1);
	texts = palloc0((model->nattributes + 1) * sizeof(char *));
	axis = lf_score_axis_argument(fcinfo, 2);
	(void) lf_score_slot(record.call.row, slot, axis, lf_score_time_argument(fcinfo, 3), matched);
	for (int a = 0; a < model->nattributes; a++)
	{
		if (!record.call.row->values[a].isnull)
			texts[a] = OutputFunctionCall(&record.call.row->output[a], record.call.row->values[a].value);
	}
	explain((ReturnSetInfo *) fcinfo->resultinfo, model, axis, matched, texts);
	MemoryContextDelete(record.call.cxt);
	return (Datum) 0;
}

/* lead_funnel.explain_score(model, lead jsonb, axis, at) */
Datum
lf_explain_jsonb(PG_FUNCTION_ARGS)
{
	ScoreCall	call = {0};
	Jsonb	   *data;
	bool	   *matched;
	char	  **texts;
	ScoreAxis	axis;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	data = PG_GETARG_JSONB_P(1);
	lf_score_prepare(&call, NameStr(*PG_GETARG_NAME(0)), NULL, CurrentMemoryContext);
	matched = palloc0(call.model->nrules + 1);
	texts = palloc0((call.model->nattributes + 1) * sizeof(char *));
	axis = lf_score_axis_argument(fcinfo, 2);
	(void) lf_score_loose(call.loose, data, axis, lf_score_time_argument(fcinfo, 3), matched);
	for (int a = 0; a < call.model->nattributes; a++)
		texts[a] = lf_score_loose_value(call.model, data, a);
	explain((ReturnSetInfo *) fcinfo->resultinfo, call.model, axis, matched, texts);
	MemoryContextDelete(call.cxt);
	return (Datum) 0;
}

/* ---------- rules before they are added ---------- */

/* lead_funnel._check_rule(model, attribute, operator, operand, relation): an error if no row could be scored by it */
Datum
lf_check_rule(PG_FUNCTION_ARGS)
{
	const char *model;
	const char *attribute;
	ScoreRule	rule = {0};
	ScoreColumn column;

	for (int i = 0; i < 3; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("model, attribute and operator of a scoring rule must not be null")));
	}
	model = NameStr(*PG_GETARG_NAME(0));
	attribute = NameStr(*PG_GETARG_NAME(1));
	lf_score_parse_rule(&rule, text_to_cstring(PG_GETARG_TEXT_PP(2)),
						PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	if (PG_ARGISNULL(4))
		lf_score_check_rule(model, attribute, &rule, NULL);
	else
	{
		Oid			relid = PG_GETARG_OID(4);
		AttrNumber	attnum = get_attnum(relid, attribute);
		int32		typmod;

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("attribute \"%s\" of scoring model \"%s\" is no column of table %s",
							attribute, model, get_rel_name(relid)),
					 errhint("Name a column of the table that the model was made for.")));
		get_atttypetypmodcoll(relid, attnum, &column.type, &typmod, &column.collation);
		lf_score_check_rule(model, attribute, &rule, &column);
	}
	PG_RETURN_VOID();
}

/* lead_funnel._invalidate_models() */
Datum
lf_invalidate_models(PG_FUNCTION_ARGS)
{
	CacheInvalidateRelcacheByRelid(lf_score_model_table());
	PG_RETURN_VOID();
}
