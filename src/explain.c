/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  Which moves are open to a lead, and what the others ask for.
 *
 * NOTES
 *	  The caller reads the row, with its own rights, and hands over the columns
 *	  that a judgement needs.  They are found by name: a query need not read
 *	  what it may not, and a partition has other numbers.  From there on it is
 *	  the code of the triggers that judges.
 *
 * IDENTIFICATION
 *	  src/explain.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "automatic.h"
#include "compat.h"
#include "rules.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(lf_explain);
PG_FUNCTION_INFO_V1(lf_judged_columns);
PG_FUNCTION_INFO_V1(lf_automatic_stage);
PG_FUNCTION_INFO_V1(lf_criteria);
PG_FUNCTION_INFO_V1(lf_is_qualification_text);
PG_FUNCTION_INFO_V1(lf_is_qualification_jsonb);

/* lead_funnel._is_qualification(text), (jsonb): whether a gate could read the value of a column */
Datum
lf_is_qualification_text(PG_FUNCTION_ARGS)
{
	text	   *t = PG_GETARG_TEXT_PP(0);
	Qualification q;

	PG_RETURN_BOOL(lf_is_blank(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)) ||
				   lf_qualification_parse(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), &q, LF_QUIET));
}

Datum
lf_is_qualification_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *jb = PG_GETARG_JSONB_P(0);
	JsonbValue	v;
	Qualification q;

	if (JB_ROOT_IS_SCALAR(jb) && JsonbExtractScalar(&jb->root, &v) && v.type == jbvNull)
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(lf_qualification_from_jsonb(jb, &q, LF_QUIET));
}

/* lead_funnel._criteria(framework) */
Datum
lf_criteria(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	int			framework = lf_framework_parse(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	Datum		criteria[LF_MAX_CRITERIA];
	int			count;

	if (framework == LF_FRAMEWORK_NONE)
		PG_RETURN_NULL();
	count = lf_criterion_count(framework);
	for (int c = 0; c < count; c++)
		criteria[c] = CStringGetTextDatum(lf_criterion_label(framework, c));
	PG_RETURN_ARRAYTYPE_P(construct_array(criteria, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Columns of a funnel that a judgement needs. */
static const FunnelColumn judged[] = {LF_COL_KEY, LF_COL_STAGE, LF_COL_EXCLUDED, LF_COL_SCORE, LF_COL_QUALIFICATION};

/* Who may not read the table shall not learn its rules here. */
static void
check_may_read(const Funnel *funnel)
{
	if (pg_class_aclcheck(funnel->root, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(funnel->root, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(funnel->root));
}

/* lead_funnel._judged_columns(funnel): their names, each one once */
Datum
lf_judged_columns(PG_FUNCTION_ARGS)
{
	Funnel	   *funnel = lf_funnel_by_name(NameStr(*PG_GETARG_NAME(0)));
	Bitmapset  *attnums = NULL;
	Datum	   *names;
	int			count = 0;
	int			attnum = -1;

	for (int i = 0; i < (int) lengthof(judged); i++)
		attnums = bms_add_member(attnums, funnel->attnum[judged[i]]);
	for (int i = 0; funnel->binding != NULL && i < LF_BOUND_COUNT; i++)
		attnums = bms_add_member(attnums, funnel->binding->attnum[i]);
	if (funnel->score_source != NULL)
	{
		ScoreModel *model = lf_score_model_open(NameStr(funnel->score_source->model), false);

		for (int i = 0; i < model->nattributes; i++)
			attnums = bms_add_member(attnums, Max(get_attnum(funnel->relid, NameStr(model->attributes[i])), InvalidAttrNumber));
		lf_score_model_close(model);
	}
	attnums = bms_del_member(attnums, InvalidAttrNumber);
	names = palloc(bms_num_members(attnums) * sizeof(Datum));
	while ((attnum = bms_next_member(attnums, attnum)) >= 0)
		names[count++] = CStringGetTextDatum(get_attname(funnel->relid, attnum, false));
	PG_RETURN_ARRAYTYPE_P(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The number that a column of the table has in the record; its type must be the same. */
static AttrNumber
number_in_record(const Funnel *funnel, AttrNumber attnum, Oid type, TupleDesc desc)
{
	char	   *name;

	if (attnum == InvalidAttrNumber)
		return InvalidAttrNumber;
	name = get_attname(funnel->relid, attnum, false);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0 && getBaseType(att->atttypid) == type)
			return i + 1;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("the record has no column \"%s\" of type %s", name, format_type_be(type)),
			 errhint("Hand over a row of table \"%s\".", get_rel_name(funnel->root))));
	return InvalidAttrNumber;
}

/* The funnel as it finds its columns in the record; all of it lives in the present memory context. */
static void
map_columns(const Funnel *funnel, TupleDesc desc, Funnel *mapped, Binding *binding, ScoreSource *source)
{
	*mapped = *funnel;
	if (funnel->score_source != NULL)
	{
		memset(source, 0, sizeof(*source));
		source->model = funnel->score_source->model;
		source->axis = funnel->score_source->axis;
		source->cxt = CurrentMemoryContext;
		mapped->score_source = source;
	}
	memset(mapped->attnum, 0, sizeof(mapped->attnum));
	for (int i = 0; i < (int) lengthof(judged); i++)
		mapped->attnum[judged[i]] = number_in_record(funnel, funnel->attnum[judged[i]], funnel->type[judged[i]], desc);
	if (funnel->binding == NULL)
		return;
	*binding = *funnel->binding;
	for (int i = 0; i < LF_BOUND_COUNT; i++)
		binding->attnum[i] = number_in_record(funnel, funnel->binding->attnum[i], funnel->binding->type[i], desc);
	mapped->binding = binding;
}

/* Columns of lead_funnel._explain(). */
enum
{
	EXPLAIN_LEAD,
	EXPLAIN_FROM_STAGE,
	EXPLAIN_TO_STAGE,
	EXPLAIN_STAGE_RANK,
	EXPLAIN_ALLOWED,
	EXPLAIN_CONSTRAINT_NAME,
	EXPLAIN_REQUIREMENT,
	EXPLAIN_HAS,
	EXPLAIN_NEEDS,
	EXPLAIN_MET,
	EXPLAIN_COLUMNS
};

/* A row of the result, of which the first columns are filled in. */
typedef struct Explanation
{
	ReturnSetInfo *rsinfo;
	Datum		values[EXPLAIN_COLUMNS];
	bool		nulls[EXPLAIN_COLUMNS];
	char		breach;
	int			rows;
} Explanation;

static void
emit_requirement(const Requirement *requirement, void *arg)
{
	Explanation *e = arg;

	e->values[EXPLAIN_CONSTRAINT_NAME] = CStringGetTextDatum(lf_constraint_name(e->breach));
	e->values[EXPLAIN_REQUIREMENT] = CStringGetTextDatum(requirement->name);
	e->values[EXPLAIN_HAS] = CStringGetTextDatum(requirement->has);
	e->values[EXPLAIN_NEEDS] = CStringGetTextDatum(requirement->needs);
	e->values[EXPLAIN_MET] = BoolGetDatum(requirement->met);
	memset(e->nulls, false, sizeof(e->nulls));
	tuplestore_putvalues(e->rsinfo->setResult, e->rsinfo->setDesc, e->values, e->nulls);
	e->rows++;
}

static void
emit_move(const Funnel *funnel, const Move *move, Explanation *e)
{
	const Rule *rule = &funnel->rules[move->from][move->to];
	bool		allowed = lf_judge(funnel, move) == LF_BREACH_NONE &&
		(rule->gate == NULL || lf_gate_met(rule->gate, move->evidence));

	e->values[EXPLAIN_TO_STAGE] = CStringGetTextDatum(lf_stage_label(move->to));
	e->values[EXPLAIN_STAGE_RANK] = Int32GetDatum(move->to);
	e->values[EXPLAIN_ALLOWED] = BoolGetDatum(allowed);
	e->rows = 0;
	if (rule->allowed_role != NULL)
	{
		Requirement requirement = {"role", GetUserNameFromId(GetUserId(), false), rule->allowed_role,
		lf_rule_has_role(rule)};

		e->breach = LF_BREACH_ROLE;
		emit_requirement(&requirement, e);
	}
	if (rule->requires_reason)
	{
		Requirement requirement = {"reason", move->reason ? text_to_cstring(move->reason) : "none", "a reason",
		move->reason != NULL};

		e->breach = LF_BREACH_REASON;
		emit_requirement(&requirement, e);
	}
	if (rule->gate != NULL)
	{
		e->breach = LF_BREACH_GATE;
		lf_gate_visit(rule->gate, move->evidence, emit_requirement, e);
	}
	if (e->rows == 0)
	{
		for (int i = EXPLAIN_CONSTRAINT_NAME; i < EXPLAIN_COLUMNS; i++)
			e->nulls[i] = true;
		tuplestore_putvalues(e->rsinfo->setResult, e->rsinfo->setDesc, e->values, e->nulls);
		memset(e->nulls, false, sizeof(e->nulls));
	}
}

/* lead_funnel._explain(funnel, lead record) */
Datum
lf_explain(PG_FUNCTION_ARGS)
{
	Funnel	   *funnel = lf_funnel_by_name(NameStr(*PG_GETARG_NAME(0)));
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(1);
	HeapTupleData tuple;
	TupleDesc	desc;
	TupleTableSlot *slot;
	Funnel		mapped;
	Binding		binding;
	ScoreSource source;
	LeadState	state;
	Evidence	evidence;
	Explanation e = {0};
	Move		move = {.evidence = &evidence};

	check_may_read(funnel);

	InitMaterializedSRF(fcinfo, 0);
	e.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	desc = lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	map_columns(funnel, desc, &mapped, &binding, &source);
	memset(&tuple, 0, sizeof(tuple));
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	ExecStoreHeapTuple(&tuple, slot, false);

	lf_lead_state(&mapped, slot, NULL, &state);
	if (state.live)
	{
		lf_lead_key(&mapped, slot, &move.key);
		lf_evidence_read(&mapped, slot, GetCurrentTransactionStartTimestamp(), &evidence);
		if (lf_setting_reason() != NULL)
			move.reason = cstring_to_text(lf_setting_reason());
		move.from = state.stage;
		e.values[EXPLAIN_LEAD] = CStringGetTextDatum(lf_key_string(&move.key));
		e.values[EXPLAIN_FROM_STAGE] = CStringGetTextDatum(lf_stage_label(move.from));
		for (move.to = 1; move.to <= LF_STAGE_COUNT; move.to++)
		{
			if (funnel->rules[move.from][move.to].allowed)
				emit_move(funnel, &move, &e);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	return (Datum) 0;
}

/* ---------- automatic moves of what is there already ---------- */

/* What a query of many rows finds out once. */
typedef struct DueCall
{
	uint64		generation;		/* when; 0: nothing yet */
	MemoryContext cxt;			/* of what follows */
	NameData	name;
	Oid			type;
	int32		typmod;
	Funnel		mapped;
	Binding		binding;
	ScoreSource source;
	TupleTableSlot *slot;
} DueCall;

static DueCall *
due_call(FunctionCallInfo fcinfo, const char *name, HeapTupleHeader header)
{
	DueCall    *call = fcinfo->flinfo->fn_extra;
	Oid			type = HeapTupleHeaderGetTypeId(header);
	int32		typmod = HeapTupleHeaderGetTypMod(header);
	uint64		generation;
	Funnel	   *funnel;
	TupleDesc	desc;
	MemoryContext previous;

	if (call == NULL)
		call = fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(DueCall));
	/* it counts the changes of tables, too */
	if (call->generation == lf_score_generation && call->type == type && call->typmod == typmod &&
		namestrcmp(&call->name, name) == 0)
		return call;
	call->generation = 0;
	/* taken first: what changes meanwhile must count */
	generation = lf_score_generation;
	if (call->cxt == NULL)
		call->cxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "lead_funnel automatic moves", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(call->cxt);
	previous = MemoryContextSwitchTo(call->cxt);
	funnel = lf_funnel_by_name(name);
	check_may_read(funnel);
	desc = lookup_rowtype_tupdesc_copy(type, typmod);
	map_columns(funnel, desc, &call->mapped, &call->binding, &call->source);
	call->slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	call->type = type;
	call->typmod = typmod;
	namestrcpy(&call->name, name);
	MemoryContextSwitchTo(previous);
	call->generation = generation;
	return call;
}

/*
 * lead_funnel._automatic_stage(funnel, lead record): where the automatic rules
 * would have the lead, with its score as it is now; NULL: where it is
 */
Datum
lf_automatic_stage(PG_FUNCTION_ARGS)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(1);
	DueCall    *call = due_call(fcinfo, NameStr(*PG_GETARG_NAME(0)), header);
	const Funnel *funnel = &call->mapped;
	LeadStage	result = LF_STAGE_NONE;
	HeapTupleData tuple;
	LeadState	state;
	Evidence	evidence;

	memset(&tuple, 0, sizeof(tuple));
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	ExecStoreHeapTuple(&tuple, call->slot, false);
	lf_lead_place(funnel, call->slot, &state);
	if (state.live && funnel->enforce && funnel->automatic[state.stage][0] != LF_STAGE_NONE)
	{
		lf_evidence_read(funnel, call->slot, GetCurrentTransactionStartTimestamp(), &evidence);
		for (int i = 0; i < LF_AUTOMATIC_MAX && result == LF_STAGE_NONE; i++)
		{
			LeadStage	to = funnel->automatic[state.stage][i];

			if (to != LF_STAGE_NONE && lf_automatic_is_met(&funnel->rules[state.stage][to], &evidence))
				result = to;
		}
	}
	ExecClearTuple(call->slot);
	if (result == LF_STAGE_NONE)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(LeadStageGetDatum(result));
}
