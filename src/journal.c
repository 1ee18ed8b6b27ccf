/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  The journal: what happened to each lead, and its state after it.
 *
 * NOTES
 *	  Rows are read and written without SPI and without privileges of the
 *	  writer.  The last row of a lead may have been committed after the
 *	  statement's snapshot was taken, while we waited for the lead's row lock;
 *	  SnapshotSelf sees it, and our own rows of this command, too.  The row lock
 *	  makes it certain that no other session is about to write the next one.
 *
 *	  Locks on our tables are kept until the transaction ends, as the executor
 *	  keeps those of what it writes.  No relation stays open between two rows, so that nothing is left to
 *	  release when a subtransaction in the middle of a statement aborts.
 *
 * IDENTIFICATION
 *	  src/journal.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "journal.h"
#include "rules.h"

PG_FUNCTION_INFO_V1(lf_origin);
PG_FUNCTION_INFO_V1(lf_constraint);

const char *
lf_origin_name(char origin)
{
	switch (origin)
	{
		case LF_ORIGIN_WRITE:
			return "write";
		case LF_ORIGIN_BACKFILL:
			return "backfill";
		case LF_ORIGIN_OVERRIDE:
			return "override";
		case LF_ORIGIN_VIOLATION:
			return "violation";
		case 'a':
			return "automatic";
		case 'x':
			return "expiry";
		case 'u':
			return "undo";
		case 'i':
			return "import";
		case 'm':
			return "merge";
		case 'e':
			return "erase";
		case LF_ORIGIN_EXCLUDE:
			return "exclude";
		case LF_ORIGIN_DELETE:
			return "delete";
		case LF_ORIGIN_TRUNCATE:
			return "truncate";
		case LF_ORIGIN_RECONCILE:
			return "reconcile";
		case LF_ORIGIN_REPLICATED:
			return "replicated";
		default:
			return NULL;
	}
}

/* lead_funnel._origin("char") */
Datum
lf_origin(PG_FUNCTION_ARGS)
{
	const char *name = lf_origin_name(PG_GETARG_CHAR(0));

	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/* lead_funnel._constraint_name("char") */
Datum
lf_constraint(PG_FUNCTION_ARGS)
{
	const char *name = lf_constraint_name(PG_GETARG_CHAR(0));

	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/*
 * Inserts the tuple into an index the slow way, as the executor does: for
 * indexes that a DBA has added, which may be partial or on expressions.
 */
static void
insert_into_all_indexes(Relation rel, HeapTuple tuple)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result_rel = makeNode(ResultRelInfo);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);

	InitResultRelInfo(result_rel, rel, 1, NULL, 0);
	ExecOpenIndices(result_rel, false);
	ExecStoreHeapTuple(tuple, slot, false);
	slot->tts_tid = tuple->t_self;
	slot->tts_tableOid = RelationGetRelid(rel);
	lf_exec_insert_index_tuples(result_rel, slot, estate);
	ExecCloseIndices(result_rel);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

/*
 * The executor's way to insert needs microseconds to set up, each time.  Our
 * own indexes are on plain columns, and the caller knows which of them the
 * tuple belongs to; only if there are others do we take the long way.
 */
void
lf_insert_tuple(Relation rel, HeapTuple tuple, Oid index_oid,
				int nkeys, const AttrNumber *keys)
{
	const OwnTables *own = lf_own_tables();
	List	   *indexes = RelationGetIndexList(rel);
	int			expected = RelationGetRelid(rel) == own->journal ? 3 : 1;
	Relation	index;
	IndexInfo  *info;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	heap_insert(rel, tuple, GetCurrentCommandId(true), 0, NULL);
	if (list_length(indexes) != expected)
	{
		insert_into_all_indexes(rel, tuple);
		return;
	}
	index = index_open(index_oid, RowExclusiveLock);
	info = makeNode(IndexInfo);
	info->ii_Unique = index->rd_index->indisunique;
	for (int i = 0; i < nkeys; i++)
		values[i] = heap_getattr(tuple, keys[i], RelationGetDescr(rel), &nulls[i]);
	index_insert(index, values, nulls, &tuple->t_self, rel,
				 index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
				 false, info);
	index_close(index, NoLock);
}

/* What the next row needs of this one. */
static void
read_row(HeapTuple tuple, TupleDesc desc, JournalRow *row)
{
	Datum		values[JOURNAL_COLUMNS];
	bool		nulls[JOURNAL_COLUMNS];

#define VALUE(attnum) (values[(attnum) - 1])
#define IS_NULL(attnum) (nulls[(attnum) - 1])
#define TIME(attnum) (IS_NULL(attnum) ? 0 : DatumGetTimestampTz(VALUE(attnum)))
#define STAGE(attnum) (IS_NULL(attnum) ? LF_STAGE_NONE : DatumGetLeadStage(VALUE(attnum)))
	heap_deform_tuple(tuple, desc, values, nulls);
	memset(row, 0, sizeof(*row));
	row->move = DatumGetInt32(VALUE(JOURNAL_MOVE));
	row->effective_at = TIME(JOURNAL_EFFECTIVE_AT);
	row->recorded_at = TIME(JOURNAL_RECORDED_AT);
	row->entered_at = TIME(JOURNAL_ENTERED_AT);
	row->handed_over_at = TIME(JOURNAL_HANDED_OVER_AT);
	row->cycle = DatumGetInt32(VALUE(JOURNAL_CYCLE));
	row->cycle_move = DatumGetInt32(VALUE(JOURNAL_CYCLE_MOVE));
	row->epoch = DatumGetInt32(VALUE(JOURNAL_EPOCH));
	row->from_stage = STAGE(JOURNAL_FROM_STAGE);
	row->furthest_stage = STAGE(JOURNAL_FURTHEST_STAGE);
	row->kind = DatumGetChar(VALUE(JOURNAL_KIND));
	row->origin = DatumGetChar(VALUE(JOURNAL_ORIGIN));
	row->cycle_ended = DatumGetBool(VALUE(JOURNAL_CYCLE_ENDED));
	row->state.stage = STAGE(JOURNAL_TO_STAGE);
	row->state.live = row->state.stage != LF_STAGE_NONE;
	for (int i = 0; i < LF_DIM_COUNT; i++)
		row->state.dims[i] = IS_NULL(JOURNAL_SOURCE + i) ? NULL :
			lf_text_copy(DatumGetTextPP(VALUE(JOURNAL_SOURCE + i)));
	row->state.value = IS_NULL(JOURNAL_VALUE) ? NULL : DatumGetNumericCopy(VALUE(JOURNAL_VALUE));
#undef VALUE
#undef IS_NULL
#undef TIME
#undef STAGE

	if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
	{
		row->written_by_us = true;
		row->cmin = HeapTupleHeaderGetCmin(tuple->t_data);
	}
}

/* A scan of one lead's rows, by index, in the order of moves. */
static SysScanDesc
begin_lead_scan(Relation rel, Relation index, int32 funnel_id, const LeadKey *key,
				Snapshot snapshot, ScanKeyData keys[2])
{
	if (key->is_integer)
		ScanKeyInit(&keys[0], JOURNAL_LEAD_ID, BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum(key->id));
	else
	{
		ScanKeyInit(&keys[0], JOURNAL_LEAD_KEY, BTEqualStrategyNumber, F_TEXTEQ,
					PointerGetDatum(key->key));
		keys[0].sk_collation = C_COLLATION_OID;
	}
	ScanKeyInit(&keys[1], JOURNAL_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(funnel_id));
	return systable_beginscan_ordered(rel, index, snapshot, 2, keys);
}

static Oid
lead_index(const LeadKey *key)
{
	return key->is_integer ? lf_own_tables()->journal_lead_id :
		lf_own_tables()->journal_lead_key;
}

bool
lf_journal_last(int32 funnel_id, const LeadKey *key, JournalRow *row)
{
	Relation	rel = table_open(lf_own_tables()->journal, RowExclusiveLock);
	Relation	index = index_open(lead_index(key), RowExclusiveLock);
	ScanKeyData keys[2];
	SysScanDesc scan = begin_lead_scan(rel, index, funnel_id, key, SnapshotSelf, keys);
	HeapTuple	tuple = systable_getnext_ordered(scan, BackwardScanDirection);

	if (tuple != NULL)
	{
		read_row(tuple, RelationGetDescr(rel), row);
		row->key = *key;
	}
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	return tuple != NULL;
}

static void
put_text(Datum *values, bool *nulls, AttrNumber attnum, const text *value)
{
	values[attnum - 1] = PointerGetDatum(value);
	nulls[attnum - 1] = (value == NULL);
}

static void
put_time(Datum *values, bool *nulls, AttrNumber attnum, TimestampTz value)
{
	values[attnum - 1] = TimestampTzGetDatum(value);
	nulls[attnum - 1] = (value == 0);
}

static void
put_int(Datum *values, bool *nulls, AttrNumber attnum, int32 value)
{
	values[attnum - 1] = Int32GetDatum(value);
	nulls[attnum - 1] = (value == 0);
}

static void
put_stage(Datum *values, bool *nulls, AttrNumber attnum, LeadStage value)
{
	values[attnum - 1] = LeadStageGetDatum(value);
	nulls[attnum - 1] = (value == LF_STAGE_NONE);
}

/* The raw status is kept only where it says more than the stage. */
static const text *
status_to_keep(const text *status, LeadStage stage)
{
	const char *label;

	if (status == NULL || stage == LF_STAGE_NONE)
		return status;
	label = lf_stage_label(stage);
	if (VARSIZE_ANY_EXHDR(status) == strlen(label) &&
		memcmp(VARDATA_ANY(status), label, strlen(label)) == 0)
		return NULL;
	return status;
}

void
lf_journal_append(int32 funnel_id, const JournalRow *row)
{
	static const AttrNumber id_keys[] = {JOURNAL_LEAD_ID, JOURNAL_FUNNEL_ID, JOURNAL_MOVE};
	static const AttrNumber text_keys[] = {JOURNAL_LEAD_KEY, JOURNAL_FUNNEL_ID, JOURNAL_MOVE};
	Relation	rel = table_open(lf_own_tables()->journal, RowExclusiveLock);
	Datum		values[JOURNAL_COLUMNS];
	bool		nulls[JOURNAL_COLUMNS];
	HeapTuple	tuple;

	memset(nulls, true, sizeof(nulls));
	values[JOURNAL_LEAD_ID - 1] = Int64GetDatum(row->key.id);
	nulls[JOURNAL_LEAD_ID - 1] = !row->key.is_integer;
	put_text(values, nulls, JOURNAL_LEAD_KEY, row->key.is_integer ? NULL : row->key.key);
	put_int(values, nulls, JOURNAL_FUNNEL_ID, funnel_id);
	put_int(values, nulls, JOURNAL_MOVE, row->move);
	values[JOURNAL_EFFECTIVE_AT - 1] = TimestampTzGetDatum(row->effective_at);
	nulls[JOURNAL_EFFECTIVE_AT - 1] = false;
	values[JOURNAL_RECORDED_AT - 1] = TimestampTzGetDatum(row->recorded_at);
	nulls[JOURNAL_RECORDED_AT - 1] = false;
	put_time(values, nulls, JOURNAL_ENTERED_AT, row->entered_at);
	put_time(values, nulls, JOURNAL_HANDED_OVER_AT, row->handed_over_at);
	put_int(values, nulls, JOURNAL_CYCLE, row->cycle);
	put_int(values, nulls, JOURNAL_CYCLE_MOVE, row->cycle_move);
	values[JOURNAL_EPOCH - 1] = Int32GetDatum(row->epoch);
	nulls[JOURNAL_EPOCH - 1] = false;
	put_int(values, nulls, JOURNAL_RULES_VERSION, row->rules_version);
	put_stage(values, nulls, JOURNAL_FROM_STAGE, row->from_stage);
	put_stage(values, nulls, JOURNAL_TO_STAGE, row->state.live ? row->state.stage : LF_STAGE_NONE);
	put_stage(values, nulls, JOURNAL_FURTHEST_STAGE, row->furthest_stage);
	values[JOURNAL_KIND - 1] = CharGetDatum(row->kind);
	nulls[JOURNAL_KIND - 1] = false;
	values[JOURNAL_ORIGIN - 1] = CharGetDatum(row->origin);
	nulls[JOURNAL_ORIGIN - 1] = false;
	values[JOURNAL_BREACH - 1] = CharGetDatum(row->breach);
	nulls[JOURNAL_BREACH - 1] = (row->breach == 0);
	values[JOURNAL_CYCLE_ENDED - 1] = BoolGetDatum(row->cycle_ended);
	nulls[JOURNAL_CYCLE_ENDED - 1] = false;
	put_text(values, nulls, JOURNAL_FROM_STATUS, status_to_keep(row->from_status, row->from_stage));
	put_text(values, nulls, JOURNAL_TO_STATUS, status_to_keep(row->state.status, row->state.stage));
	for (int i = 0; i < LF_DIM_COUNT; i++)
		put_text(values, nulls, JOURNAL_SOURCE + i, row->state.dims[i]);
	values[JOURNAL_VALUE - 1] = PointerGetDatum(row->state.value);
	nulls[JOURNAL_VALUE - 1] = (row->state.value == NULL);
	put_text(values, nulls, JOURNAL_ACTOR, row->actor);
	put_text(values, nulls, JOURNAL_ROLE_NAME, row->role_name);
	put_text(values, nulls, JOURNAL_REASON, row->reason);
	put_text(values, nulls, JOURNAL_NOTE, row->note);
	put_text(values, nulls, JOURNAL_RELATED_KEY, row->related_key);

	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	lf_insert_tuple(rel, tuple, lead_index(&row->key), 3,
					row->key.is_integer ? id_keys : text_keys);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
}

void
lf_journal_append_marker(int32 funnel_id, int32 epoch, TimestampTz effective_at, char origin)
{
	static const AttrNumber keys[] = {JOURNAL_FUNNEL_ID, JOURNAL_EPOCH};
	Relation	rel = table_open(lf_own_tables()->journal, RowExclusiveLock);
	Datum		values[JOURNAL_COLUMNS];
	bool		nulls[JOURNAL_COLUMNS];
	HeapTuple	tuple;

	memset(nulls, true, sizeof(nulls));
	put_int(values, nulls, JOURNAL_FUNNEL_ID, funnel_id);
	put_int(values, nulls, JOURNAL_MOVE, epoch);
	put_int(values, nulls, JOURNAL_EPOCH, epoch);
	values[JOURNAL_EFFECTIVE_AT - 1] = TimestampTzGetDatum(effective_at);
	nulls[JOURNAL_EFFECTIVE_AT - 1] = false;
	values[JOURNAL_RECORDED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[JOURNAL_RECORDED_AT - 1] = false;
	values[JOURNAL_CYCLE - 1] = values[JOURNAL_CYCLE_MOVE - 1] = Int32GetDatum(0);
	nulls[JOURNAL_CYCLE - 1] = nulls[JOURNAL_CYCLE_MOVE - 1] = false;
	values[JOURNAL_KIND - 1] = CharGetDatum(LF_KIND_MARKER);
	nulls[JOURNAL_KIND - 1] = false;
	values[JOURNAL_ORIGIN - 1] = CharGetDatum(origin);
	nulls[JOURNAL_ORIGIN - 1] = false;
	values[JOURNAL_CYCLE_ENDED - 1] = BoolGetDatum(true);
	nulls[JOURNAL_CYCLE_ENDED - 1] = false;
	put_text(values, nulls, JOURNAL_ROLE_NAME, lf_role_name());

	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	lf_insert_tuple(rel, tuple, lf_own_tables()->journal_epoch, 2, keys);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
}

/*
 * Rewrites the rows of a lead under its new key.  Rows that the new key has
 * from a lead that is gone stay before them: moves and cycles go on counting.
 */
void
lf_journal_rename(int32 funnel_id, const LeadKey *from, const LeadKey *to,
				  const JournalRow *last_of_to)
{
	Relation	rel;
	Relation	index;
	TupleDesc	desc;
	int			moves = last_of_to ? last_of_to->move : 0;
	int			cycles = last_of_to ? last_of_to->cycle : 0;
	ScanKeyData keys[2];
	SysScanDesc scan;
	List	   *rows = NIL;
	ListCell   *cell;
	HeapTuple	tuple;

	/* rows that this very command has written cannot be deleted by it */
	CommandCounterIncrement();
	rel = table_open(lf_own_tables()->journal, RowExclusiveLock);
	index = index_open(lead_index(from), RowExclusiveLock);
	desc = RelationGetDescr(rel);
	scan = begin_lead_scan(rel, index, funnel_id, from, SnapshotSelf, keys);

	/* first all, since the new versions may lie ahead of the scan */
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
		rows = lappend(rows, heap_copytuple(tuple));
	systable_endscan_ordered(scan);
	index_close(index, NoLock);

	foreach(cell, rows)
	{
		HeapTuple	old = lfirst(cell);
		Datum		values[JOURNAL_COLUMNS];
		bool		nulls[JOURNAL_COLUMNS];
		HeapTuple	copy;
		ItemPointerData tid = old->t_self;

		heap_deform_tuple(old, desc, values, nulls);
		values[JOURNAL_LEAD_ID - 1] = Int64GetDatum(to->id);
		nulls[JOURNAL_LEAD_ID - 1] = !to->is_integer;
		put_text(values, nulls, JOURNAL_LEAD_KEY, to->is_integer ? NULL : to->key);
		values[JOURNAL_MOVE - 1] = Int32GetDatum(DatumGetInt32(values[JOURNAL_MOVE - 1]) + moves);
		values[JOURNAL_CYCLE - 1] = Int32GetDatum(DatumGetInt32(values[JOURNAL_CYCLE - 1]) + cycles);
		values[JOURNAL_CYCLE_MOVE - 1] = Int32GetDatum(DatumGetInt32(values[JOURNAL_CYCLE_MOVE - 1]) + moves);
		copy = heap_form_tuple(desc, values, nulls);
		/* delete and insert, so that one path knows about indexes */
		simple_heap_delete(rel, &tid);
		{
			static const AttrNumber id_keys[] = {JOURNAL_LEAD_ID, JOURNAL_FUNNEL_ID, JOURNAL_MOVE};
			static const AttrNumber text_keys[] = {JOURNAL_LEAD_KEY, JOURNAL_FUNNEL_ID, JOURNAL_MOVE};

			lf_insert_tuple(rel, copy, lead_index(to), 3, to->is_integer ? id_keys : text_keys);
		}
	}
	table_close(rel, NoLock);
}

int32
lf_journal_epoch(int32 funnel_id, Snapshot snapshot)
{
	Relation	rel = table_open(lf_own_tables()->journal, AccessShareLock);
	Relation	index = index_open(lf_own_tables()->journal_epoch, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int32		result = 0;

	ScanKeyInit(&key, JOURNAL_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(funnel_id));
	scan = systable_beginscan_ordered(rel, index, snapshot, 1, &key);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (tuple != NULL)
	{
		bool		isnull;

		result = DatumGetInt32(heap_getattr(tuple, JOURNAL_EPOCH, RelationGetDescr(rel), &isnull));
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return result;
}
