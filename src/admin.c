/*-------------------------------------------------------------------------
 *
 * admin.c
 *	  What the functions that manage funnels need from C.
 *
 * NOTES
 *	  Whoever owns a lead table manages its funnel, yet has no right on our
 *	  tables.  A public function such as lead_funnel.allow() is therefore
 *	  lf_as_owner() below: it checks the caller, with the caller's identity,
 *	  and then calls lead_funnel._allow() as the owner of the extension.  A
 *	  SECURITY DEFINER function could not tell who called it.
 *
 *	  Lead tables are read by a plain scan, not by a query: as the extension's
 *	  owner, a superuser, a query would run functions that the table's owner
 *	  has put into an index or a policy.
 *
 * IDENTIFICATION
 *	  src/admin.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "admin.h"
#include "compat.h"
#include "lead_table.h"
#include "moves.h"
#include "queue.h"
#include "stats.h"
#include "track.h"

PG_FUNCTION_INFO_V1(lf_as_owner);
PG_FUNCTION_INFO_V1(lf_as_owner_unchecked);
PG_FUNCTION_INFO_V1(lf_caller);
PG_FUNCTION_INFO_V1(lf_is_managing_sql);
PG_FUNCTION_INFO_V1(lf_table_state);
PG_FUNCTION_INFO_V1(lf_backfill);
PG_FUNCTION_INFO_V1(lf_set_state);
PG_FUNCTION_INFO_V1(lf_mark);
PG_FUNCTION_INFO_V1(lf_flush_now);
PG_FUNCTION_INFO_V1(lf_require_idle);
PG_FUNCTION_INFO_V1(lf_invalidate);
PG_FUNCTION_INFO_V1(lf_funnel_of);
PG_FUNCTION_INFO_V1(lf_status_for);
PG_FUNCTION_INFO_V1(lf_column_allowed);

/* ---------- acting as the owner of the extension ---------- */

/* The role that called a public function; invalid outside of one. */
static Oid	caller = InvalidOid;

static void
check_table_owner(Oid relid)
{
	if (!lf_owns_relation(relid, GetUserId()))
	{
		char	   *name = get_rel_name(relid);

		if (name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", relid)));
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", name),
				 errdetail("A funnel is managed by the owner of its lead table."),
				 errhint("SET ROLE to the owner, or ask the owner.")));
	}
}

static void
check_funnel_owner(const char *name)
{
	FunnelRow	row;
	Oid			attached_by;

	lf_funnel_row_by_name(name, &row);
	if (OidIsValid(row.relation) && get_rel_name(row.relation) != NULL)
	{
		check_table_owner(row.relation);
		return;
	}
	/* the table is gone: who had attached it may clean up */
	attached_by = get_role_oid(NameStr(row.attached_by), true);
	if (!superuser() &&
		!(OidIsValid(attached_by) && has_privs_of_role(GetUserId(), attached_by)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for funnel \"%s\"", name),
				 errdetail("Its table is detached; only role \"%s\", which had attached it, and superusers may go on.",
						   NameStr(row.attached_by))));
}

/* The private function behind a public one: same name behind an underscore, same arguments. */
static Oid
private_function(Oid public, Oid *first_type)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(public));
	Form_pg_proc proc;
	List	   *name;
	oidvector  *types;
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", public);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	types = &proc->proargtypes;
	*first_type = types->values[0];
	name = list_make2(makeString("lead_funnel"),
					  makeString(psprintf("_%s", NameStr(proc->proname))));
	result = LookupFuncName(name, types->dim1, types->values, false);
	ReleaseSysCache(tuple);
	return result;
}

static Oid
owner_of_function(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	result = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return result;
}

/* Calls the function as its owner. */
static Datum
invoke_as_owner(FunctionCallInfo inner)
{
	Oid			saved_user;
	Oid			saved_caller = caller;
	int			saved_context;
	Datum		result;

	GetUserIdAndSecContext(&saved_user, &saved_context);
	caller = saved_user;
	SetUserIdAndSecContext(owner_of_function(inner->flinfo->fn_oid),
						   saved_context | SECURITY_LOCAL_USERID_CHANGE);
	PG_TRY();
	{
		result = FunctionCallInvoke(inner);
	}
	PG_FINALLY();
	{
		/* an abort of the (sub)transaction restores the identity, too */
		SetUserIdAndSecContext(saved_user, saved_context);
		caller = saved_caller;
	}
	PG_END_TRY();
	return result;
}

static Datum
call_private(FunctionCallInfo fcinfo, Oid function)
{
	LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
	FmgrInfo	flinfo;
	Datum		result;

	fmgr_info_cxt(function, &flinfo, fcinfo->flinfo->fn_mcxt);
	flinfo.fn_expr = fcinfo->flinfo->fn_expr;
	InitFunctionCallInfoData(*inner, &flinfo, fcinfo->nargs, fcinfo->fncollation, NULL,
							 fcinfo->resultinfo);
	memcpy(inner->args, fcinfo->args, fcinfo->nargs * sizeof(NullableDatum));
	result = invoke_as_owner(inner);
	fcinfo->isnull = inner->isnull;
	return result;
}

Datum
lf_as_owner(PG_FUNCTION_ARGS)
{
	/* as declared: a call by the fast path has no expression to ask */
	Oid			first_type;
	Oid			function = private_function(fcinfo->flinfo->fn_oid, &first_type);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the first argument of lead_funnel.%s() must not be null",
						get_func_name(fcinfo->flinfo->fn_oid))));
	if (first_type == NAMEOID)
		check_funnel_owner(NameStr(*PG_GETARG_NAME(0)));
	else
		check_table_owner(PG_GETARG_OID(0));
	return call_private(fcinfo, function);
}

/* For functions that are about no funnel: the private one asks lead_funnel._caller() itself. */
Datum
lf_as_owner_unchecked(PG_FUNCTION_ARGS)
{
	Oid			first_type;

	return call_private(fcinfo, private_function(fcinfo->flinfo->fn_oid, &first_type));
}

void
lf_call_as_owner(const char *name, int nargs, const Oid *types, const Datum *values)
{
	List	   *qualified = list_make2(makeString("lead_funnel"), makeString(pstrdup(name)));

	LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
	FmgrInfo	flinfo;

	fmgr_info(LookupFuncName(qualified, nargs, types, false), &flinfo);
	InitFunctionCallInfoData(*inner, &flinfo, nargs, InvalidOid, NULL, NULL);
	for (int i = 0; i < nargs; i++)
	{
		inner->args[i].value = values[i];
		inner->args[i].isnull = false;
	}
	(void) invoke_as_owner(inner);
}

Oid
lf_acting_user(void)
{
	return OidIsValid(caller) ? caller : GetUserId();
}

bool
lf_is_managing(void)
{
	return OidIsValid(caller);
}

/* lead_funnel._is_managing() */
Datum
lf_is_managing_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_is_managing());
}

/* lead_funnel._caller() */
Datum
lf_caller(PG_FUNCTION_ARGS)
{
	Name		result = palloc0(NAMEDATALEN);

	namestrcpy(result, GetUserNameFromId(lf_acting_user(), false));
	PG_RETURN_NAME(result);
}

/* ---------- reading a lead table ---------- */

typedef void (*RowHandler) (Funnel *funnel, TupleTableSlot *slot, void *arg);

/* Calls the handler for each row of the table or, if it has some, of its partitions. */
static void
scan_table(Oid root, Snapshot snapshot, RowHandler handler, void *arg)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel scan",
											  ALLOCSET_DEFAULT_SIZES);
	List	   *relids;
	ListCell   *cell;

	/* as every statement does, the parent first */
	LockRelationOid(root, AccessShareLock);
	relids = lf_partition_tree(root, AccessShareLock);
	foreach(cell, relids)
	{
		Relation	rel;
		TableScanDesc scan;
		TupleTableSlot *slot;
		Funnel	   *funnel;

		if (get_rel_relkind(lfirst_oid(cell)) != RELKIND_RELATION)
			continue;
		funnel = lf_funnel_lookup(lfirst_oid(cell));
		/* detached while we waited for it */
		if ((funnel == NULL || funnel->root != root) && lfirst_oid(cell) != root)
			continue;
		rel = table_open(lfirst_oid(cell), AccessShareLock);
		if (funnel == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" has no funnel", RelationGetRelationName(rel))));
		scan = table_beginscan(rel, snapshot, 0, NULL);
		slot = table_slot_create(rel, NULL);
		while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		{
			MemoryContext previous = MemoryContextSwitchTo(cxt);

			CHECK_FOR_INTERRUPTS();
			handler(funnel, slot, arg);
			MemoryContextSwitchTo(previous);
			MemoryContextReset(cxt);
		}
		ExecDropSingleTupleTableSlot(slot);
		table_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	MemoryContextDelete(cxt);
}

static Datum
text_or_null(text *value, bool *isnull)
{
	*isnull = (value == NULL);
	return PointerGetDatum(value);
}

/* Columns of lead_funnel._table_state(). */
enum
{
	STATE_LEAD_ID,
	STATE_LEAD_KEY,
	STATE_STAGE,
	STATE_STATUS,
	STATE_SOURCE,
	STATE_VALUE = STATE_SOURCE + LF_DIM_COUNT,
	STATE_ENTERED_AT,
	STATE_HANDED_OVER_AT,
	STATE_COLUMNS
};

static void
emit_state(Funnel *funnel, TupleTableSlot *slot, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[STATE_COLUMNS];
	bool		nulls[STATE_COLUMNS] = {false};
	LeadKey		key;
	LeadState	state;
	TimestampTz moment;

	lf_lead_state(funnel, slot, NULL, &state);
	if (!state.live && !state.unmapped)
		return;
	lf_lead_key(funnel, slot, &key);
	values[STATE_LEAD_ID] = Int64GetDatum(key.id);
	nulls[STATE_LEAD_ID] = !key.is_integer;
	values[STATE_LEAD_KEY] = text_or_null(key.key, &nulls[STATE_LEAD_KEY]);
	values[STATE_STAGE] = LeadStageGetDatum(state.stage);
	nulls[STATE_STAGE] = state.unmapped;
	if (funnel->stage_kind == LF_STAGE_NATIVE && !slot_attisnull(slot, funnel->attnum[LF_COL_STAGE]))
		state.status = cstring_to_text(lf_stage_label(state.stage));
	values[STATE_STATUS] = text_or_null(state.status, &nulls[STATE_STATUS]);
	for (int i = 0; i < LF_DIM_COUNT; i++)
		values[STATE_SOURCE + i] = text_or_null(state.dims[i], &nulls[STATE_SOURCE + i]);
	values[STATE_VALUE] = PointerGetDatum(state.value);
	nulls[STATE_VALUE] = (state.value == NULL);
	nulls[STATE_ENTERED_AT] = !lf_lead_time(funnel, slot, LF_COL_ENTERED, &moment);
	values[STATE_ENTERED_AT] = TimestampTzGetDatum(moment);
	nulls[STATE_HANDED_OVER_AT] = !lf_lead_time(funnel, slot, LF_COL_HANDOVER, &moment);
	values[STATE_HANDED_OVER_AT] = TimestampTzGetDatum(moment);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* lead_funnel._table_state(funnel_id) */
Datum
lf_table_state(PG_FUNCTION_ARGS)
{
	Funnel	   *funnel = lf_funnel_by_id(PG_GETARG_INT32(0));

	InitMaterializedSRF(fcinfo, 0);
	scan_table(funnel->root, GetActiveSnapshot(), emit_state, fcinfo->resultinfo);
	return (Datum) 0;
}

#define LF_ARRIVALS 1000

/* Leads that are taken in together. */
typedef struct Backfill
{
	MemoryContext cxt;
	JournalWriter *writer;
	int64		total;
	int			count;
	Arrival    *arrivals[LF_ARRIVALS];
} Backfill;

static void
take_in(Funnel *funnel, Backfill *backfill)
{
	if (backfill->count == 0)
		return;
	lf_moves_backfill(backfill->writer, funnel, backfill->arrivals, backfill->count);
	backfill->total += backfill->count;
	backfill->count = 0;
	MemoryContextReset(backfill->cxt);
}

static void
backfill_row(Funnel *funnel, TupleTableSlot *slot, void *arg)
{
	Backfill   *backfill = arg;
	MemoryContext previous = MemoryContextSwitchTo(backfill->cxt);
	Arrival    *arrival = palloc(sizeof(Arrival));

	if (lf_moves_read_arrival(funnel, slot, arrival))
		backfill->arrivals[backfill->count++] = arrival;
	if (backfill->count == LF_ARRIVALS)
		take_in(funnel, backfill);
	MemoryContextSwitchTo(previous);
}

/* lead_funnel._backfill(funnel_id) */
Datum
lf_backfill(PG_FUNCTION_ARGS)
{
	Funnel	   *funnel = lf_funnel_by_id(PG_GETARG_INT32(0));

	/*
	 * newer than the transaction's: writers were locked out after that was
	 * taken
	 */
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Backfill	backfill = {0};

	backfill.cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel backfill", ALLOCSET_DEFAULT_SIZES);
	backfill.writer = lf_journal_open();
	scan_table(funnel->root, snapshot, backfill_row, &backfill);
	take_in(funnel, &backfill);
	lf_journal_close(backfill.writer);
	MemoryContextDelete(backfill.cxt);
	UnregisterSnapshot(snapshot);
	lf_stats_flush();
	PG_RETURN_INT64(backfill.total);
}

static text *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n);
}

/* lead_funnel._set_state(funnel_id, lead_id, lead_key, stage, status, dims, value) */
Datum
lf_set_state(PG_FUNCTION_ARGS)
{
	Funnel	   *funnel = lf_funnel_by_id(PG_GETARG_INT32(0));
	LeadKey		key = {0};
	LeadState	state = {0};
	JournalWriter *writer = lf_journal_open();
	Lead		lead = {.funnel_id = funnel->funnel_id};
	Lead	   *found = &lead;

	key.is_integer = !PG_ARGISNULL(1);
	key.id = key.is_integer ? PG_GETARG_INT64(1) : 0;
	key.key = key.is_integer ? NULL : PG_GETARG_TEXT_PP(2);
	state.live = !PG_ARGISNULL(3);
	state.stage = state.live ? PG_GETARG_LEAD_STAGE(3) : LF_STAGE_NONE;
	state.status = text_argument(fcinfo, 4);
	for (int i = 0; i < LF_DIM_COUNT; i++)
		state.dims[i] = text_argument(fcinfo, 5 + i);
	state.value = PG_ARGISNULL(5 + LF_DIM_COUNT) ? NULL : (PackedNumeric *) PG_GETARG_NUMERIC(5 + LF_DIM_COUNT);
	lead.key = key;
	lf_journal_find(writer, &found, 1);
	lf_moves_set_state(writer, funnel, &lead, &state, GetCurrentCommandId(true));
	lf_journal_close(writer);
	PG_RETURN_VOID();
}

/* lead_funnel._mark(funnel_id, origin) */
Datum
lf_mark(PG_FUNCTION_ARGS)
{
	char	   *origin = text_to_cstring(PG_GETARG_TEXT_PP(1));
	FunnelRow	row;

	if (!lf_funnel_row_by_id(PG_GETARG_INT32(0), &row))
		elog(ERROR, "funnel %d does not exist", PG_GETARG_INT32(0));
	lf_moves_all_out(row.funnel_id, row.relation, lf_funnel_row_zone(&row),
					 strcmp(origin, "truncate") == 0 ? LF_ORIGIN_TRUNCATE : LF_ORIGIN_EXCLUDE);
	PG_RETURN_VOID();
}

/* lead_funnel._flush() */
Datum
lf_flush_now(PG_FUNCTION_ARGS)
{
	lf_track_flush();
	PG_RETURN_VOID();
}

/*
 * lead_funnel._require_idle(relation): before what the journal is to mean, or
 * who writes it, changes.  A statement that is at work on the table has the
 * triggers that it began with, and events that are still to come.
 */
Datum
lf_require_idle(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	ListCell   *cell;

	foreach(cell, lf_partition_tree(relid, NoLock))
	{
		if (lf_table_open_count(lfirst_oid(cell)) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("table \"%s\" is being used by active queries in this session", get_rel_name(lfirst_oid(cell))),
					 errdetail("The moves that they make cannot be journalled before they end."),
					 errhint("Call the function outside of queries, loops and triggers of the table, and close cursors on it.")));
	}
	lf_queue_flush_idle(relid);
	lf_stats_flush();
	PG_RETURN_VOID();
}

/* lead_funnel._invalidate(relation) */
Datum
lf_invalidate(PG_FUNCTION_ARGS)
{
	lf_funnel_invalidate(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

/* ---------- what anybody may know of a funnel ---------- */

/* lead_funnel._funnel_of(funnel) */
Datum
lf_funnel_of(PG_FUNCTION_ARGS)
{
	FunnelRow	row;
	TupleDesc	desc;
	Datum		values[6];
	bool		nulls[6] = {false};
	Oid			type = InvalidOid;
	const char *kind;

	lf_funnel_row_by_name(NameStr(*PG_GETARG_NAME(0)), &row);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (OidIsValid(row.relation))
	{
		AttrNumber	attnum = get_attnum(row.relation, NameStr(row.key_column));

		if (attnum != InvalidAttrNumber)
			type = getBaseType(get_atttype(row.relation, attnum));
	}
	kind = type == INT2OID || type == INT4OID || type == INT8OID ? "int" :
		type == UUIDOID ? "uuid" : "text";
	values[0] = Int32GetDatum(row.funnel_id);
	values[1] = ObjectIdGetDatum(row.relation);
	nulls[1] = !OidIsValid(row.relation);
	values[2] = NameGetDatum(&row.key_column);
	values[3] = NameGetDatum(&row.stage_column);
	values[4] = CStringGetTextDatum(kind);
	values[5] = CStringGetTextDatum(nulls[1] ? "detached" : row.suspended ? "suspended" : "active");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* lead_funnel._status_for(funnel, stage): what move() writes */
Datum
lf_status_for(PG_FUNCTION_ARGS)
{
	Funnel	   *funnel = lf_funnel_by_name(NameStr(*PG_GETARG_NAME(0)));
	LeadStage	stage = PG_GETARG_LEAD_STAGE(1);
	const char *value = lf_funnel_status_of_stage(funnel, stage);

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no status of funnel \"%s\" means stage \"%s\"",
						NameStr(funnel->name), lf_stage_label(stage)),
				 errhint("Map one with lead_funnel.map_stage(%s, ..., '%s').",
						 quote_literal_cstr(NameStr(funnel->name)), lf_stage_label(stage))));
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

/* lead_funnel._column_allowed(relation, column, use) */
Datum
lf_column_allowed(PG_FUNCTION_ARGS)
{
	char	   *complaint = lf_column_complaint(PG_GETARG_OID(0),
												NameStr(*PG_GETARG_NAME(1)),
												text_to_cstring(PG_GETARG_TEXT_PP(2)));

	if (complaint == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(complaint));
}
