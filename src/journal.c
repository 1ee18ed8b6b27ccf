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
 *	  Rows are read and written in batches (JournalWriter): the last rows of many
 *	  leads by walking the index once, if they lie close together, and the new
 *	  ones with one call for the heap, then in the order of the index.  A writer
 *	  is opened and closed within one call of the extension, so nothing is left
 *	  to release when a subtransaction in the middle of a statement aborts.
 *
 *	  A row is written as if by the command that moved the lead, not by the one
 *	  that is at work when the batch is written: its cmin says up to which event
 *	  of the lead the journal has come.
 *
 *	  Locks on our tables are kept until the transaction ends, as the executor
 *	  keeps those of what it writes.
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
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "journal.h"
#include "last_rows.h"
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
		case LF_ORIGIN_AUTOMATIC:
			return "automatic";
		case LF_ORIGIN_EXPIRY:
			return "expiry";
		case LF_ORIGIN_UNDO:
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

/* Whether no DBA has added an index. */
static bool
has_only_own_indexes(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	int			count = list_length(indexes);

	list_free(indexes);
	return count == (RelationGetRelid(rel) == lf_own_tables()->journal ? 4 : 1);
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
	Relation	index;
	IndexInfo  *info;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	heap_insert(rel, tuple, GetCurrentCommandId(true), 0, NULL);
	if (!has_only_own_indexes(rel))
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

/* ---------- a batch ---------- */

/* How many rows are inserted at once. */
#define LF_BATCH_ROWS 1000

/* A row that is to be inserted. */
typedef struct NewRow
{
	int32		funnel_id;
	int32		move;
	LeadKey		key;
	CommandId	cmin;
	HeapTuple	tuple;
} NewRow;

struct JournalWriter
{
	MemoryContext cxt;			/* of what is kept from row to row */
	Relation	rel;
	Relation	index[2];		/* by number, by text; opened when needed */
	TimestampTz now;			/* when the rows are recorded */
	int			count;
	int			room;
	NewRow	   *rows;
	bool		has_undo;		/* a row belongs to the index of undoes */
};

/*
 * Slots for heap_multi_insert(), kept from batch to batch.  Their descriptor is
 * a copy without a reference count, so no resource owner knows of them.  They
 * own tuples only while a batch is written; after an error they may own what is
 * gone, and are made anew.
 */
typedef struct Slots
{
	MemoryContext cxt;
	bool		in_use;
	int			count;
	TupleDesc	desc;
	TupleTableSlot *slot[LF_BATCH_ROWS];
} Slots;

static Slots slots;

JournalWriter *
lf_journal_open(void)
{
	JournalWriter *writer = palloc0(sizeof(JournalWriter));

	writer->cxt = CurrentMemoryContext;
	writer->rel = table_open(lf_own_tables()->journal, RowExclusiveLock);
	writer->now = GetCurrentTimestamp();
	return writer;
}

void
lf_journal_close(JournalWriter *writer)
{
	lf_journal_write(writer);
	for (int i = 0; i < (int) lengthof(writer->index); i++)
	{
		if (writer->index[i] != NULL)
			index_close(writer->index[i], NoLock);
	}
	table_close(writer->rel, NoLock);
	if (writer->rows != NULL)
		pfree(writer->rows);
	pfree(writer);
}

static Relation
index_of(JournalWriter *writer, const LeadKey *key)
{
	const OwnTables *own = lf_own_tables();
	Relation   *index = &writer->index[key->is_integer ? 0 : 1];

	if (*index == NULL)
		*index = index_open(key->is_integer ? own->journal_lead_id : own->journal_lead_key, RowExclusiveLock);
	return *index;
}

/* ---------- reading ---------- */

void
lf_journal_read_row(HeapTuple tuple, TupleDesc desc, JournalRow *row)
{
	Datum		values[JOURNAL_COLUMNS];
	bool		nulls[JOURNAL_COLUMNS];

#define VALUE(attnum) (values[(attnum) - 1])
#define IS_NULL(attnum) (nulls[(attnum) - 1])
#define TIME(attnum) (IS_NULL(attnum) ? LF_NO_TIME : DatumGetTimestampTz(VALUE(attnum)))
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
	row->undoes = IS_NULL(JOURNAL_UNDOES) ? 0 : DatumGetInt32(VALUE(JOURNAL_UNDOES));
	row->from_stage = STAGE(JOURNAL_FROM_STAGE);
	row->furthest_stage = STAGE(JOURNAL_FURTHEST_STAGE);
	row->kind = DatumGetChar(VALUE(JOURNAL_KIND));
	row->origin = DatumGetChar(VALUE(JOURNAL_ORIGIN));
	row->cycle_ended = DatumGetBool(VALUE(JOURNAL_CYCLE_ENDED));
	row->state.stage = STAGE(JOURNAL_TO_STAGE);
	row->state.live = row->state.stage != LF_STAGE_NONE;
	for (int i = 0; i < LF_DIM_COUNT; i++)
		row->state.dims[i] = IS_NULL(JOURNAL_SOURCE + i) ? NULL : DatumGetTextPP(VALUE(JOURNAL_SOURCE + i));
	row->state.value = IS_NULL(JOURNAL_VALUE) ? NULL : PG_DETOAST_DATUM_PACKED(VALUE(JOURNAL_VALUE));
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

int
lf_lead_compare(const Lead *a, const Lead *b)
{
	int			result = lf_key_compare(&a->key, &b->key);

	if (result != 0)
		return result;
	return a->funnel_id < b->funnel_id ? -1 : a->funnel_id > b->funnel_id;
}

void
lf_journal_find(JournalWriter *writer, Lead **leads, int count)
{
	int			texts = 0;

	lf_journal_write(writer);
	/* numbers come behind texts */
	while (texts < count && !leads[texts]->key.is_integer)
		texts++;
	if (texts > 0)
		lf_last_rows(writer->rel, index_of(writer, &leads[0]->key), leads, texts);
	if (texts < count)
		lf_last_rows(writer->rel, index_of(writer, &leads[texts]->key), leads + texts, count - texts);
}

void
lf_journal_last(int32 funnel_id, const LeadKey *key, Lead *lead)
{
	JournalWriter *writer = lf_journal_open();

	lead->funnel_id = funnel_id;
	lead->key = *key;
	lead->likely = NULL;
	lf_journal_find(writer, &lead, 1);
	lf_journal_close(writer);
}

/* Copies of all rows of a lead, the oldest first. */
static List *
all_tuples(JournalWriter *writer, const Lead *lead)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	List	   *result = NIL;
	HeapTuple	tuple;

	if (lead->key.is_integer)
		ScanKeyInit(&keys[0], JOURNAL_LEAD_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(lead->key.id));
	else
	{
		ScanKeyInit(&keys[0], JOURNAL_LEAD_KEY, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(lead->key.key));
		keys[0].sk_collation = C_COLLATION_OID;
	}
	ScanKeyInit(&keys[1], JOURNAL_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(lead->funnel_id));
	scan = systable_beginscan_ordered(writer->rel, index_of(writer, &lead->key), SnapshotSelf, lengthof(keys), keys);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
		result = lappend(result, heap_copytuple(tuple));
	systable_endscan_ordered(scan);
	return result;
}

static int32
optional_int(HeapTuple tuple, AttrNumber attnum, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/* The columns that only people, and those who decide what a move was, want to know. */
static void
read_circumstances(HeapTuple tuple, TupleDesc desc, JournalRow *row)
{
	static const AttrNumber attnums[] = {JOURNAL_FROM_STATUS, JOURNAL_TO_STATUS, JOURNAL_ACTOR, JOURNAL_ROLE_NAME, JOURNAL_REASON, JOURNAL_NOTE};
	text	  **places[] = {&row->from_status, &row->state.status, &row->actor, &row->role_name, &row->reason, &row->note};
	bool		isnull;
	Datum		value;

	for (int i = 0; i < (int) lengthof(attnums); i++)
	{
		value = heap_getattr(tuple, attnums[i], desc, &isnull);
		*places[i] = isnull ? NULL : DatumGetTextPP(value);
	}
	row->rules_version = optional_int(tuple, JOURNAL_RULES_VERSION, desc);
	row->score_model = optional_int(tuple, JOURNAL_SCORE_MODEL, desc);
	row->score_version = optional_int(tuple, JOURNAL_SCORE_VERSION, desc);
	value = heap_getattr(tuple, JOURNAL_SCORE, desc, &isnull);
	row->score = isnull ? NULL : DatumGetNumeric(value);
	value = heap_getattr(tuple, JOURNAL_QUALIFICATION, desc, &isnull);
	row->qualification = isnull ? 0 : DatumGetQualification(value);
}

List *
lf_journal_counted_rows(JournalWriter *writer, const Lead *lead)
{
	List	   *result = NIL;
	ListCell   *cell;

	lf_journal_write(writer);
	foreach(cell, all_tuples(writer, lead))
	{
		JournalRow *row = palloc(sizeof(JournalRow));

		lf_journal_read_row(lfirst(cell), RelationGetDescr(writer->rel), row);
		read_circumstances(lfirst(cell), RelationGetDescr(writer->rel), row);
		row->key = lead->key;
		/* an undo takes the place of the move and of what came after it */
		while (row->undoes != 0 && result != NIL && ((JournalRow *) llast(result))->move >= row->undoes)
			result = list_delete_last(result);
		result = lappend(result, row);
	}
	return result;
}

/* ---------- writing ---------- */

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
	nulls[attnum - 1] = (value == LF_NO_TIME);
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

/*
 * Columns at the end that are missing are not stored, as if they had been added
 * to the table later: most rows have none of a third of the columns.
 */
static HeapTuple
form_short_tuple(Relation rel, Datum *values, bool *nulls)
{
	static TupleDesc descs[JOURNAL_COLUMNS + 1];	/* by length */
	int			length = JOURNAL_COLUMNS;

	while (nulls[length - 1])
		length--;
	if (descs[length] == NULL)
	{
		MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc	desc = lf_truncated_desc(RelationGetDescr(rel), length);

		/* it is never looked at as a value of the table's row type */
		desc->tdtypeid = RECORDOID;
		desc->tdtypmod = -1;
		descs[length] = desc;
		MemoryContextSwitchTo(previous);
	}
	return heap_form_tuple(descs[length], values, nulls);
}

static HeapTuple
form_row(Relation rel, int32 funnel_id, const JournalRow *row)
{
	Datum		values[JOURNAL_COLUMNS];
	bool		nulls[JOURNAL_COLUMNS];
	LeadStage	to = row->state.live ? row->state.stage : LF_STAGE_NONE;

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
	put_int(values, nulls, JOURNAL_UNDOES, row->undoes);
	put_stage(values, nulls, JOURNAL_FROM_STAGE, row->from_stage);
	put_stage(values, nulls, JOURNAL_TO_STAGE, to);
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
	put_text(values, nulls, JOURNAL_TO_STATUS, status_to_keep(row->state.status, to));
	for (int i = 0; i < LF_DIM_COUNT; i++)
		put_text(values, nulls, JOURNAL_SOURCE + i, row->state.dims[i]);
	values[JOURNAL_VALUE - 1] = PointerGetDatum(row->state.value);
	nulls[JOURNAL_VALUE - 1] = (row->state.value == NULL);
	put_text(values, nulls, JOURNAL_ACTOR, row->actor);
	put_text(values, nulls, JOURNAL_ROLE_NAME, row->role_name);
	put_text(values, nulls, JOURNAL_REASON, row->reason);
	put_text(values, nulls, JOURNAL_NOTE, row->note);
	put_text(values, nulls, JOURNAL_RELATED_KEY, row->related_key);
	values[JOURNAL_SCORE - 1] = PointerGetDatum(row->score);
	nulls[JOURNAL_SCORE - 1] = (row->score == NULL);
	values[JOURNAL_QUALIFICATION - 1] = QualificationGetDatum(row->qualification);
	nulls[JOURNAL_QUALIFICATION - 1] = (row->qualification == 0);
	put_int(values, nulls, JOURNAL_SCORE_MODEL, row->score_model);
	put_int(values, nulls, JOURNAL_SCORE_VERSION, row->score_version);

	return form_short_tuple(rel, values, nulls);
}

static void
add_tuple(JournalWriter *writer, int32 funnel_id, int32 move, const LeadKey *key,
		  CommandId cmin, HeapTuple tuple)
{
	NewRow	   *row;

	if (writer->count == LF_BATCH_ROWS)
		lf_journal_write(writer);
	if (writer->count == writer->room)
	{
		writer->room = writer->room == 0 ? 8 : writer->room * 4;
		writer->rows = writer->rows == NULL ?
			MemoryContextAlloc(writer->cxt, writer->room * sizeof(NewRow)) :
			repalloc(writer->rows, writer->room * sizeof(NewRow));
	}
	row = &writer->rows[writer->count++];
	row->funnel_id = funnel_id;
	row->move = move;
	row->key = *key;
	row->cmin = cmin;
	row->tuple = tuple;
	if (!heap_attisnull(tuple, JOURNAL_UNDOES, RelationGetDescr(writer->rel)))
		writer->has_undo = true;
}

void
lf_journal_add(JournalWriter *writer, Lead *lead, JournalRow *row)
{
	row->recorded_at = writer->now;
	add_tuple(writer, lead->funnel_id, row->move, &row->key, row->cmin,
			  form_row(writer->rel, lead->funnel_id, row));
	lead->last = *row;
	lead->last.written_by_us = true;
	lead->has_last = true;
}

static int
by_index(const void *a, const void *b)
{
	const NewRow *x = a;
	const NewRow *y = b;
	int			result = lf_key_compare(&x->key, &y->key);

	if (result == 0)
		result = x->funnel_id < y->funnel_id ? -1 : x->funnel_id > y->funnel_id;
	if (result == 0)
		result = x->move < y->move ? -1 : 1;
	return result;
}

static void
prepare_slots(Relation rel, int count)
{
	MemoryContext previous;

	if (slots.cxt == NULL)
		slots.cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel slots", ALLOCSET_DEFAULT_SIZES);
	if (slots.in_use || slots.desc == NULL || slots.desc->natts != RelationGetNumberOfAttributes(rel))
	{
		slots.count = 0;
		slots.desc = NULL;
		MemoryContextReset(slots.cxt);
	}
	previous = MemoryContextSwitchTo(slots.cxt);
	if (slots.desc == NULL)
		slots.desc = CreateTupleDescCopy(RelationGetDescr(rel));
	while (slots.count < count)
		slots.slot[slots.count++] = MakeTupleTableSlot(slots.desc, &TTSOpsHeapTuple);
	MemoryContextSwitchTo(previous);
	slots.in_use = true;
}

static void
release_slots(int count)
{
	for (int i = 0; i < count; i++)
		ExecClearTuple(slots.slot[i]);
	slots.in_use = false;
}

static void
insert_into_heap(JournalWriter *writer)
{
	int			from = 0;

	prepare_slots(writer->rel, writer->count);
	for (int i = 0; i < writer->count; i++)
		ExecStoreHeapTuple(writer->rows[i].tuple, slots.slot[i], true);
	for (int i = 1; i <= writer->count; i++)
	{
		if (i < writer->count && writer->rows[i].cmin == writer->rows[from].cmin)
			continue;
		heap_multi_insert(writer->rel, slots.slot + from, i - from, writer->rows[from].cmin, 0, NULL);
		from = i;
	}
	/* what was stored may be another, toasted tuple */
	for (int i = 0; i < writer->count; i++)
		writer->rows[i].tuple->t_self = slots.slot[i]->tts_tid;
}

static void
insert_into_index(JournalWriter *writer)
{
	IndexInfo  *info = makeNode(IndexInfo);
	bool		sorted = true;

	info->ii_Unique = true;
	for (int i = 1; i < writer->count && sorted; i++)
		sorted = by_index(&writer->rows[i - 1], &writer->rows[i]) < 0;
	if (!sorted)
		qsort(writer->rows, writer->count, sizeof(NewRow), by_index);
	for (int i = 0; i < writer->count; i++)
	{
		const NewRow *row = &writer->rows[i];
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = row->key.is_integer ? Int64GetDatum(row->key.id) : PointerGetDatum(row->key.key);
		values[1] = Int32GetDatum(row->funnel_id);
		values[2] = Int32GetDatum(row->move);
		index_insert(index_of(writer, &row->key), values, nulls, &row->tuple->t_self, writer->rel,
					 UNIQUE_CHECK_YES, false, info);
	}
}

/* Whether each row belongs to one index, which we know: undoes are few. */
static bool
has_plain_indexes(const JournalWriter *writer)
{
	return !writer->has_undo && has_only_own_indexes(writer->rel);
}

/*
 * A single row needs no slot; and an index that a DBA has added may call a
 * function that gets here again.
 */
static void
insert_one_by_one(JournalWriter *writer)
{
	bool		plain = has_plain_indexes(writer);

	for (int i = 0; i < writer->count; i++)
	{
		const NewRow *row = &writer->rows[i];

		heap_insert(writer->rel, row->tuple, row->cmin, 0, NULL);
		if (!plain)
			insert_into_all_indexes(writer->rel, row->tuple);
	}
	if (plain)
		insert_into_index(writer);
}

/* For the error context: another session is in the way, or the index is broken. */
static void
say_what_is_written(void *arg)
{
	const JournalWriter *writer = arg;

	if (writer->count == 1)
		errcontext("journalling lead \"%s\"", lf_key_string(&writer->rows[0].key));
	else
		errcontext("journalling %d rows of leads", writer->count);
}

void
lf_journal_write(JournalWriter *writer)
{
	ErrorContextCallback context = {.callback = say_what_is_written,.arg = writer};

	if (writer->count == 0)
		return;
	context.previous = error_context_stack;
	error_context_stack = &context;

	/*
	 * the rows belong to commands that have been, but this one must end as
	 * well
	 */
	(void) GetCurrentCommandId(true);
	if (writer->count > 1 && has_plain_indexes(writer))
	{
		insert_into_heap(writer);
		insert_into_index(writer);
		release_slots(writer->count);
	}
	else
		insert_one_by_one(writer);
	error_context_stack = context.previous;
	writer->count = 0;
	writer->has_undo = false;
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
lf_journal_rename(JournalWriter *writer, Lead *from, Lead *to, CommandId cmin)
{
	TupleDesc	desc = RelationGetDescr(writer->rel);
	int			moves = to->has_last ? to->last.move : 0;
	int			cycles = to->has_last ? to->last.cycle : 0;
	ListCell   *cell;

	lf_journal_write(writer);
	/* rows that this very command has written cannot be deleted by it */
	CommandCounterIncrement();
	/* first all, since the new versions may lie ahead of the scan */
	foreach(cell, all_tuples(writer, from))
	{
		HeapTuple	old = lfirst(cell);
		Datum		values[JOURNAL_COLUMNS];
		bool		nulls[JOURNAL_COLUMNS];
		int32		move;

		heap_deform_tuple(old, desc, values, nulls);
		values[JOURNAL_LEAD_ID - 1] = Int64GetDatum(to->key.id);
		nulls[JOURNAL_LEAD_ID - 1] = !to->key.is_integer;
		put_text(values, nulls, JOURNAL_LEAD_KEY, to->key.is_integer ? NULL : to->key.key);
		move = DatumGetInt32(values[JOURNAL_MOVE - 1]) + moves;
		values[JOURNAL_MOVE - 1] = Int32GetDatum(move);
		values[JOURNAL_CYCLE - 1] = Int32GetDatum(DatumGetInt32(values[JOURNAL_CYCLE - 1]) + cycles);
		values[JOURNAL_CYCLE_MOVE - 1] = Int32GetDatum(DatumGetInt32(values[JOURNAL_CYCLE_MOVE - 1]) + moves);
		if (!nulls[JOURNAL_UNDOES - 1])
			values[JOURNAL_UNDOES - 1] = Int32GetDatum(DatumGetInt32(values[JOURNAL_UNDOES - 1]) + moves);
		/* delete and insert, so that one path knows about indexes */
		simple_heap_delete(writer->rel, &old->t_self);
		add_tuple(writer, to->funnel_id, move, &to->key, cmin, heap_form_tuple(desc, values, nulls));
	}
	lf_journal_find(writer, &to, 1);
	from->has_last = false;
}

void
lf_journal_amend(JournalWriter *writer, const Lead *lead, int32 move, const Judgement *judgement)
{
	TupleDesc	desc = RelationGetDescr(writer->rel);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	old;
	Datum		values[JOURNAL_COLUMNS];
	bool		nulls[JOURNAL_COLUMNS];

	if (lead->key.is_integer)
		ScanKeyInit(&keys[0], JOURNAL_LEAD_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(lead->key.id));
	else
	{
		ScanKeyInit(&keys[0], JOURNAL_LEAD_KEY, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(lead->key.key));
		keys[0].sk_collation = C_COLLATION_OID;
	}
	ScanKeyInit(&keys[1], JOURNAL_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(lead->funnel_id));
	ScanKeyInit(&keys[2], JOURNAL_MOVE, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(move));
	scan = systable_beginscan_ordered(writer->rel, index_of(writer, &lead->key), SnapshotSelf, lengthof(keys), keys);
	old = systable_getnext_ordered(scan, ForwardScanDirection);
	if (old != NULL)
		old = heap_copytuple(old);
	systable_endscan_ordered(scan);
	if (old == NULL || !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(old->t_data)))
		return;

	heap_deform_tuple(old, desc, values, nulls);
	if (judgement->breach != 0)
	{
		values[JOURNAL_BREACH - 1] = CharGetDatum(judgement->breach);
		nulls[JOURNAL_BREACH - 1] = false;
		values[JOURNAL_ORIGIN - 1] = CharGetDatum(judgement->origin);
		if (nulls[JOURNAL_REASON - 1])
			put_text(values, nulls, JOURNAL_REASON, judgement->reason);
	}
	values[JOURNAL_SCORE - 1] = PointerGetDatum(judgement->score);
	nulls[JOURNAL_SCORE - 1] = (judgement->score == NULL);
	values[JOURNAL_QUALIFICATION - 1] = QualificationGetDatum(judgement->qualification);
	nulls[JOURNAL_QUALIFICATION - 1] = (judgement->qualification == 0);
	put_int(values, nulls, JOURNAL_SCORE_MODEL, judgement->score_model);
	put_int(values, nulls, JOURNAL_SCORE_VERSION, judgement->score_version);
	/* delete and insert, as lf_journal_rename() does */
	simple_heap_delete(writer->rel, &old->t_self);
	add_tuple(writer, lead->funnel_id, move, &lead->key, HeapTupleHeaderGetCmin(old->t_data),
			  heap_form_tuple(desc, values, nulls));
}

int32
lf_journal_epoch(int32 funnel_id, Snapshot snapshot)
{
	Relation	rel = table_open(lf_own_tables()->journal, AccessShareLock);
	int32		result = lf_greatest_number(rel, lf_own_tables()->journal_epoch, funnel_id, snapshot);

	table_close(rel, AccessShareLock);
	return result;
}

TimestampTz
lf_journal_epoch_end(int32 funnel_id, int32 epoch, char *origin)
{
	Relation	rel = table_open(lf_own_tables()->journal, AccessShareLock);
	Relation	index = index_open(lf_own_tables()->journal_epoch, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	TimestampTz result;

	ScanKeyInit(&keys[0], JOURNAL_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	ScanKeyInit(&keys[1], JOURNAL_EPOCH, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(epoch + 1));
	scan = systable_beginscan_ordered(rel, index, SnapshotSelf, lengthof(keys), keys);
	tuple = systable_getnext_ordered(scan, ForwardScanDirection);
	if (tuple == NULL)
		elog(ERROR, "no marker ends epoch %d of funnel %d", epoch, funnel_id);
	result = DatumGetTimestampTz(lf_required_attribute(tuple, JOURNAL_EFFECTIVE_AT, RelationGetDescr(rel)));
	*origin = DatumGetChar(lf_required_attribute(tuple, JOURNAL_ORIGIN, RelationGetDescr(rel)));
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return result;
}
