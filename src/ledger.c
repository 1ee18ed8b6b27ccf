/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  Events of leads: each once in the ledger, and in the lead's engagement.
 *
 * NOTES
 *	  An event goes to the ledger first: a unique index on funnel, external_id
 *	  and source lets it in once, as INSERT ... ON CONFLICT DO NOTHING would.
 *	  Then its points are added to the lead's column by an UPDATE of the
 *	  caller's, with whose rights, row security and triggers, which may record
 *	  and delete events of the lead themselves.
 *
 *	  The events of a lead change under the lock of its row only, and this lock
 *	  comes before all else: whoever has an event in the ledger that is not
 *	  committed yet has the lead, too.  So two sessions that record the same
 *	  events, in calls or transactions of several, wait for leads, and for
 *	  nothing while they have what the other one wants.  An event that is there
 *	  already changes nothing and locks nothing.
 *
 *	  What cannot be added is folded anew from the lead's events: the first
 *	  event of a lead, a deleted or corrected one, and one that takes another
 *	  one's place below a cap.  The events are read with a snapshot that is
 *	  newer than the lock.
 *
 *	  Events with a cap are counted under the lock of the lead, too: the first
 *	  max_count of a bucket count, by time, external_id and source, whatever
 *	  the order in which they come.
 *
 *	  Each row keeps points, half-life and cap of its type as they were when it
 *	  was recorded: the fold needs the ledger only.
 *
 *	  The lock on the lead table that is taken before the configuration is read
 *	  keeps a column from being filled while an event is under way that knows
 *	  nothing of it.
 *
 *	  When a lead gets another key, its events follow, as its rows in the
 *	  journal do, without SPI and without rights of the writer.  Whoever records
 *	  an event under the old key meanwhile needs the row of the lead, waits for
 *	  the new key to be committed, and then finds no lead with the old one.
 *
 * IDENTIFICATION
 *	  src/ledger.c
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
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "engagement.h"
#include "funnel.h"
#include "lead_row.h"
#include "ledger.h"
#include "score_bind.h"

PG_FUNCTION_INFO_V1(lf_record_event_text);
PG_FUNCTION_INFO_V1(lf_record_event_int8);
PG_FUNCTION_INFO_V1(lf_record_event_uuid);
PG_FUNCTION_INFO_V1(lf_delete_event);
PG_FUNCTION_INFO_V1(lf_correct_event);

/* Columns of our tables (sql/parts/55_events.sql). */
enum
{
	EVENT_LEAD_ID = 1,
	EVENT_HAPPENED_AT,
	EVENT_RECORDED_AT,
	EVENT_POINTS,
	EVENT_HALF_LIFE,
	EVENT_BUCKET,
	EVENT_FUNNEL_ID,
	EVENT_MAX_COUNT,
	EVENT_LEAD_KEY,
	EVENT_TYPE,
	EVENT_SOURCE,
	EVENT_EXTERNAL_ID,
	EVENT_COLUMNS = EVENT_EXTERNAL_ID
};

enum
{
	TYPE_MODEL_ID = 1,
	TYPE_EVENT_TYPE,
	TYPE_POINTS,
	TYPE_HALF_LIFE,
	TYPE_MAX_COUNT,
	TYPE_PER
};

typedef struct EventType
{
	char	   *name;
	double		points;
	int64		half_life;		/* seconds */
	int32		max_count;		/* 0: all count */
	char	   *per;			/* NULL: ever */
} EventType;

/* A statement on the lead table, prepared when it is needed. */
typedef enum LeadStatement
{
	STATEMENT_LOCK,
	STATEMENT_ADD,
	STATEMENT_SET
} LeadStatement;

typedef struct EngagementColumn
{
	NameData	name;
	int64		half_life;
	SPIPlanPtr	plans[STATEMENT_SET + 1];
} EngagementColumn;

/*
 * A funnel as far as its events need it, in a memory context of its own.  It
 * never changes: in another generation there is another one, and this one stays
 * as long as it has users.  A trigger of the lead table may record an event in
 * the middle of another one, after whatever made this one stale.
 */
typedef struct LedgerFunnel
{
	NameData	name;
	uint64		generation;		/* in which it is valid */
	MemoryContext cxt;
	int			users;
	bool		is_retired;		/* freed by its last user, */
	struct LedgerFunnel *next_retired;	/* or at the end of the transaction */
	int32		funnel_id;
	Oid			relid;
	char	   *zone;
	NameData	key_column;
	Oid			key_type;		/* base type */
	bool		has_model;
	int			ntypes;
	EventType  *types;
	int			ncolumns;
	EngagementColumn *columns;
	SPIPlanPtr	lock_plan;
} LedgerFunnel;

/* An event that is in the ledger or shall be. */
typedef struct Event
{
	LeadKey		lead;
	TimestampTz happened_at;
	double		points;
	int64		half_life;
	bool		has_bucket;
	TimestampTz bucket;
	int32		max_count;		/* 0: counts anyway */
	text	   *type;
	text	   *source;
	text	   *external_id;
	ItemPointerData tid;
} Event;

/* The ledger, open. */
typedef struct Ledger
{
	Relation	rel;
	Oid			once;
	Oid			by_id;
	Oid			by_key;
} Ledger;

/* Entry of the hash table. */
typedef struct FunnelEntry
{
	NameData	name;			/* hash key */
	LedgerFunnel *funnel;
} FunnelEntry;

static HTAB *funnels = NULL;
static LedgerFunnel *retired = NULL;
static bool has_users = false;	/* a funnel may have some */

/* ---------- configuration ---------- */

static Oid
own_schema(void)
{
	return get_namespace_oid("lead_funnel", false);
}

/* Calls a handler for each row of a table of ours whose first column is this number. */
static void
read_rows(LedgerFunnel *f, const char *table, int32 id, Snapshot snapshot, void (*handler) (LedgerFunnel *, HeapTuple, TupleDesc))
{
	Relation	rel = table_open(lf_own_relation(own_schema(), table), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
		handler(f, tuple, RelationGetDescr(rel));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
read_type(LedgerFunnel *f, HeapTuple tuple, TupleDesc desc)
{
	EventType  *type;
	bool		isnull;
	Datum		value;

	f->types = f->types == NULL ? palloc(sizeof(EventType)) : repalloc(f->types, (f->ntypes + 1) * sizeof(EventType));
	type = &f->types[f->ntypes++];
	type->name = TextDatumGetCString(lf_required_attribute(tuple, TYPE_EVENT_TYPE, desc));
	type->points = DatumGetFloat8(lf_required_attribute(tuple, TYPE_POINTS, desc));
	type->half_life = DatumGetInt64(lf_required_attribute(tuple, TYPE_HALF_LIFE, desc));
	value = heap_getattr(tuple, TYPE_MAX_COUNT, desc, &isnull);
	type->max_count = isnull ? 0 : DatumGetInt32(value);
	value = heap_getattr(tuple, TYPE_PER, desc, &isnull);
	type->per = isnull ? NULL : TextDatumGetCString(value);
}

static void
read_model(LedgerFunnel *f, HeapTuple tuple, TupleDesc desc)
{
	f->has_model = true;
	read_rows(f, "event_type", DatumGetInt32(lf_required_attribute(tuple, 2, desc)), GetActiveSnapshot(), read_type);
}

static void
read_column(LedgerFunnel *f, HeapTuple tuple, TupleDesc desc)
{
	EngagementColumn *column;

	f->columns = f->columns == NULL ? palloc(sizeof(EngagementColumn)) :
		repalloc(f->columns, (f->ncolumns + 1) * sizeof(EngagementColumn));
	column = &f->columns[f->ncolumns++];
	memset(column, 0, sizeof(EngagementColumn));
	column->half_life = DatumGetInt64(lf_required_attribute(tuple, 2, desc));
	column->name = *DatumGetName(lf_required_attribute(tuple, 3, desc));
}

static void
free_funnel(LedgerFunnel *f)
{
	if (f->lock_plan != NULL)
		SPI_freeplan(f->lock_plan);
	for (int i = 0; i < f->ncolumns; i++)
	{
		for (int j = 0; j <= STATEMENT_SET; j++)
		{
			if (f->columns[i].plans[j] != NULL)
				SPI_freeplan(f->columns[i].plans[j]);
		}
	}
	MemoryContextDelete(f->cxt);
}

/* Nobody will open it any more. */
static void
retire(LedgerFunnel *f)
{
	if (f->users == 0)
	{
		free_funnel(f);
		return;
	}
	f->is_retired = true;
	f->next_retired = retired;
	retired = f;
}

static void
close_funnel(LedgerFunnel *f)
{
	LedgerFunnel **place = &retired;

	if (--f->users > 0 || !f->is_retired)
		return;
	while (*place != f)
		place = &(*place)->next_retired;
	*place = f->next_retired;
	free_funnel(f);
}

/* Whoever failed has not closed its funnel. */
void
lf_ledger_forget(void)
{
	HASH_SEQ_STATUS status;
	FunnelEntry *entry;

	if (!has_users)
		return;
	has_users = false;
	while (retired != NULL)
	{
		LedgerFunnel *f = retired;

		retired = f->next_retired;
		free_funnel(f);
	}
	hash_seq_init(&status, funnels);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		entry->funnel->users = 0;
	}
}

static void
check_right(Oid relid)
{
	if (pg_class_aclcheck(relid, GetUserId(), ACL_UPDATE) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_UPDATE, ACLMASK_ANY) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(relid)),
				 errdetail("Whoever records events of leads needs the right to update them.")));
}

/* The funnel as it is now, in the present memory context. */
static LedgerFunnel *
read_funnel(const NameData *name)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel ledger", ALLOCSET_SMALL_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	LedgerFunnel *f = palloc0(sizeof(LedgerFunnel));
	Snapshot	snapshot;
	FunnelRow	row;
	AttrNumber	attnum;
	Oid			type;
	int32		typmod;
	Oid			collation;

	f->cxt = cxt;
	f->name = *name;
	lf_funnel_row_by_name(NameStr(f->name), &row);
	if (!OidIsValid(row.relation) || row.suspended)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("funnel \"%s\" is %s", NameStr(f->name), row.suspended ? "suspended" : "detached"),
				 errdetail("Events are recorded for leads of an active funnel.")));
	attnum = get_attnum(row.relation, NameStr(row.key_column));
	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table of funnel \"%s\" or a column of it does not exist any more", NameStr(f->name))));
	f->funnel_id = row.funnel_id;
	f->relid = row.relation;
	f->key_column = row.key_column;
	get_atttypetypmodcoll(row.relation, attnum, &type, &typmod, &collation);
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("events of leads need a key column with a deterministic collation"),
				 errdetail("Column \"%s\" of table %s takes different strings for the same key; the ledger of events does not.",
						   NameStr(row.key_column), get_rel_name(row.relation)),
				 errhint("Give the column another collation, such as \"C\".")));
	f->key_type = getBaseType(type);
	f->zone = pstrdup(pg_get_timezone_name(lf_funnel_row_zone(&row)));
	snapshot = lf_fresh_snapshot();
	PushActiveSnapshot(snapshot);
	read_rows(f, "funnel_model", f->funnel_id, snapshot, read_model);
	read_rows(f, "engagement_column", f->funnel_id, snapshot, read_column);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(previous);
	return f;
}

/* The funnel, to be closed, its lead table locked against changes of what is read here. */
static LedgerFunnel *
open_funnel(const char *name, const char *command)
{
	NameData	key;
	FunnelEntry *entry;
	bool		found;

	PreventCommandIfReadOnly(command);
	PreventCommandIfParallelMode(command);
	if (funnels == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = NAMEDATALEN;
		ctl.entrysize = sizeof(FunnelEntry);
		ctl.hcxt = CacheMemoryContext;
		funnels = hash_create("lead_funnel ledgers", 16, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	namestrcpy(&key, name);
	for (;;)
	{
		uint64		generation = lf_score_generation;

		entry = hash_search(funnels, &key, HASH_FIND, NULL);
		if (entry == NULL || entry->funnel->generation != generation)
		{
			LedgerFunnel *fresh;

			/* whatever it was, an invalidation of it arrives as one of models */
			(void) lf_score_model_table();
			fresh = read_funnel(&key);
			fresh->generation = generation;
			MemoryContextSetParent(fresh->cxt, CacheMemoryContext);
			/* only now: who makes names up leaves nothing behind */
			entry = hash_search(funnels, &key, HASH_ENTER, &found);
			if (found)
				retire(entry->funnel);
			entry->funnel = fresh;
		}
		check_right(entry->funnel->relid);
		LockRelationOid(entry->funnel->relid, RowExclusiveLock);
		if (entry->funnel->generation == lf_score_generation)
		{
			entry->funnel->users++;
			has_users = true;
			return entry->funnel;
		}
	}
}

static EventType *
find_type(LedgerFunnel *f, const char *name)
{
	for (int i = 0; i < f->ntypes; i++)
	{
		if (strcmp(f->types[i].name, name) == 0)
			return &f->types[i];
	}
	if (!f->has_model)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("funnel \"%s\" has no scoring model", NameStr(f->name)),
				 errhint("The owner of its table names one with lead_funnel.set_scoring().")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("event type \"%s\" is not known to funnel \"%s\"", name, NameStr(f->name)),
			 errhint("View lead_funnel.event_types lists the types of its model; lead_funnel.set_event_type() adds one.")));
	return NULL;
}

static EngagementColumn *
find_column(LedgerFunnel *f, int64 half_life)
{
	for (int i = 0; i < f->ncolumns; i++)
	{
		if (f->columns[i].half_life == half_life)
			return &f->columns[i];
	}
	return NULL;
}

/* ---------- the ledger ---------- */

static Ledger
open_ledger(void)
{
	Ledger		ledger;
	Oid			schema = own_schema();

	ledger.rel = table_open(lf_own_relation(schema, "event"), RowExclusiveLock);
	ledger.once = lf_own_relation(schema, "event_once");
	ledger.by_id = lf_own_relation(schema, "event_lead_id");
	ledger.by_key = lf_own_relation(schema, "event_lead_key");
	return ledger;
}

static void
close_ledger(Ledger *ledger)
{
	table_close(ledger->rel, NoLock);
}

static void
read_event(TupleTableSlot *slot, Event *event)
{
	slot_getallattrs(slot);
	event->lead.is_integer = !slot->tts_isnull[EVENT_LEAD_ID - 1];
	event->lead.id = event->lead.is_integer ? DatumGetInt64(slot->tts_values[EVENT_LEAD_ID - 1]) : 0;
	event->lead.key = event->lead.is_integer ? NULL : DatumGetTextPCopy(slot->tts_values[EVENT_LEAD_KEY - 1]);
	event->happened_at = DatumGetTimestampTz(slot->tts_values[EVENT_HAPPENED_AT - 1]);
	event->points = DatumGetFloat8(slot->tts_values[EVENT_POINTS - 1]);
	event->half_life = DatumGetInt64(slot->tts_values[EVENT_HALF_LIFE - 1]);
	event->has_bucket = !slot->tts_isnull[EVENT_BUCKET - 1];
	event->bucket = event->has_bucket ? DatumGetTimestampTz(slot->tts_values[EVENT_BUCKET - 1]) : 0;
	event->max_count = slot->tts_isnull[EVENT_MAX_COUNT - 1] ? 0 : DatumGetInt32(slot->tts_values[EVENT_MAX_COUNT - 1]);
	event->type = DatumGetTextPCopy(slot->tts_values[EVENT_TYPE - 1]);
	event->source = DatumGetTextPCopy(slot->tts_values[EVENT_SOURCE - 1]);
	event->external_id = DatumGetTextPCopy(slot->tts_values[EVENT_EXTERNAL_ID - 1]);
	event->tid = slot->tts_tid;
}

static int
set_identity_keys(ScanKeyData *keys, int32 funnel_id, text *external_id, text *source)
{
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(external_id));
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(source));
	keys[1].sk_collation = keys[2].sk_collation = C_COLLATION_OID;
	return 3;
}

/*
 * Whether an event with this identity is in the ledger, for whoever is about
 * to insert one: waits for a session that is about to insert or delete it.
 */
static bool
is_recorded(Ledger *ledger, int32 funnel_id, const Event *event)
{
	Relation	index = index_open(ledger->once, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(ledger->rel, NULL);
	ScanKeyData keys[3];
	int			nkeys = set_identity_keys(keys, funnel_id, event->external_id, event->source);
	bool		found;

	for (;;)
	{
		SnapshotData dirty;
		IndexScanDesc scan;
		TransactionId wait_for = InvalidTransactionId;
		uint32		token = 0;
		ItemPointerData tid;

		InitDirtySnapshot(dirty);
		scan = lf_index_beginscan(ledger->rel, index, &dirty, nkeys);
		index_rescan(scan, keys, nkeys, NULL, 0);
		found = index_getnext_slot(scan, ForwardScanDirection, slot);
		if (found)
		{
			wait_for = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
			token = TransactionIdIsValid(dirty.xmin) ? dirty.speculativeToken : 0;
			tid = slot->tts_tid;
		}
		index_endscan(scan);
		if (!TransactionIdIsValid(wait_for))
			break;
		ExecClearTuple(slot);
		if (token != 0)
			SpeculativeInsertionWait(wait_for, token);
		else
			XactLockTableWait(wait_for, ledger->rel, &tid, XLTW_InsertIndex);
	}
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return found;
}

static Oid
lead_index(const Ledger *ledger, const LeadKey *lead)
{
	return lead->is_integer ? ledger->by_id : ledger->by_key;
}

/* Adds an index entry; false if a unique one might be there already. */
static bool
insert_entry(Ledger *ledger, Relation index, TupleTableSlot *slot, bool unique)
{
	IndexInfo  *info = makeNode(IndexInfo);
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	info->ii_Unique = unique;
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
		values[i] = slot_getattr(slot, index->rd_index->indkey.values[i], &nulls[i]);
	return index_insert(index, values, nulls, &slot->tts_tid, ledger->rel,
						unique ? UNIQUE_CHECK_PARTIAL : UNIQUE_CHECK_NO, false, info);
}

/* Indexes that a DBA has added, as the executor fills them. */
static void
insert_other_entries(Ledger *ledger, TupleTableSlot *slot)
{
	List	   *indexes = RelationGetIndexList(ledger->rel);
	ListCell   *cell;

	if (list_length(indexes) > 3)
	{
		EState	   *estate = CreateExecutorState();
		ExprContext *context = GetPerTupleExprContext(estate);

		context->ecxt_scantuple = slot;
		foreach(cell, indexes)
		{
			Relation	index;
			IndexInfo  *info;
			Datum		values[INDEX_MAX_KEYS];
			bool		nulls[INDEX_MAX_KEYS];

			if (lfirst_oid(cell) == ledger->once || lfirst_oid(cell) == ledger->by_id || lfirst_oid(cell) == ledger->by_key)
				continue;
			index = index_open(lfirst_oid(cell), RowExclusiveLock);
			info = BuildIndexInfo(index);
			if (info->ii_ReadyForInserts && ExecQual(ExecPrepareQual(info->ii_Predicate, estate), context))
			{
				FormIndexDatum(info, slot, estate, values, nulls);
				index_insert(index, values, nulls, &slot->tts_tid, ledger->rel,
							 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
			}
			index_close(index, NoLock);
		}
		FreeExecutorState(estate);
	}
	list_free(indexes);
}

static TupleTableSlot *
event_slot(Ledger *ledger, int32 funnel_id, const Event *event)
{
	TupleTableSlot *slot = table_slot_create(ledger->rel, NULL);
	Datum	   *values = slot->tts_values;
	bool	   *nulls = slot->tts_isnull;

	ExecClearTuple(slot);
	memset(nulls, false, EVENT_COLUMNS * sizeof(bool));
	values[EVENT_LEAD_ID - 1] = Int64GetDatum(event->lead.id);
	nulls[EVENT_LEAD_ID - 1] = !event->lead.is_integer;
	values[EVENT_HAPPENED_AT - 1] = TimestampTzGetDatum(event->happened_at);
	values[EVENT_RECORDED_AT - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	values[EVENT_POINTS - 1] = Float8GetDatum(event->points);
	values[EVENT_HALF_LIFE - 1] = Int64GetDatum(event->half_life);
	values[EVENT_BUCKET - 1] = TimestampTzGetDatum(event->bucket);
	nulls[EVENT_BUCKET - 1] = !event->has_bucket;
	values[EVENT_FUNNEL_ID - 1] = Int32GetDatum(funnel_id);
	values[EVENT_MAX_COUNT - 1] = Int32GetDatum(event->max_count);
	nulls[EVENT_MAX_COUNT - 1] = event->max_count == 0;
	values[EVENT_LEAD_KEY - 1] = PointerGetDatum(event->lead.key);
	nulls[EVENT_LEAD_KEY - 1] = event->lead.is_integer;
	values[EVENT_TYPE - 1] = PointerGetDatum(event->type);
	values[EVENT_SOURCE - 1] = PointerGetDatum(event->source);
	values[EVENT_EXTERNAL_ID - 1] = PointerGetDatum(event->external_id);
	return ExecStoreVirtualTuple(slot);
}

/* Adds the index entries that a new row needs beside that of its identity. */
static void
insert_more_entries(Ledger *ledger, Relation lead, TupleTableSlot *slot)
{
	(void) insert_entry(ledger, lead, slot, false);
	insert_other_entries(ledger, slot);
}

/* Inserts the event, which was not there a moment ago; false if it is now. */
static bool
insert_once(Ledger *ledger, int32 funnel_id, const Event *event)
{
	Relation	once = index_open(ledger->once, RowExclusiveLock);
	Relation	lead = index_open(lead_index(ledger, &event->lead), RowExclusiveLock);
	bool		inserted;

	do
	{
		TupleTableSlot *slot = event_slot(ledger, funnel_id, event);
		uint32		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());

		/*
		 * nobody has it, but somebody may be about to: who is second takes it
		 * back and looks again
		 */
		table_tuple_insert_speculative(ledger->rel, slot, GetCurrentCommandId(true), 0, NULL, token);
		inserted = insert_entry(ledger, once, slot, true);
		table_tuple_complete_speculative(ledger->rel, slot, token, inserted);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		if (inserted)
			insert_more_entries(ledger, lead, slot);
		ExecDropSingleTupleTableSlot(slot);
	} while (!inserted && !is_recorded(ledger, funnel_id, event));
	index_close(lead, NoLock);
	index_close(once, NoLock);
	return inserted;
}

/* The event with this identity as of now; false if there is none. */
static bool
find_event(Ledger *ledger, int32 funnel_id, text *external_id, text *source, Event *event)
{
	Relation	index = index_open(ledger->once, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(ledger->rel, NULL);
	ScanKeyData keys[3];
	int			nkeys = set_identity_keys(keys, funnel_id, external_id, source);
	IndexScanDesc scan = lf_index_beginscan(ledger->rel, index, snapshot, nkeys);
	bool		found;

	index_rescan(scan, keys, nkeys, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	if (found)
		read_event(slot, event);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	return found;
}

static void
set_lead_keys(ScanKeyData *keys, int32 funnel_id, const LeadKey *lead)
{
	if (lead->is_integer)
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(lead->id));
	else
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(lead->key));
	keys[0].sk_collation = lead->is_integer ? InvalidOid : C_COLLATION_OID;
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
}

/* All events of a lead as of now, this transaction's own included. */
static Event *
events_of_lead(Ledger *ledger, int32 funnel_id, const LeadKey *lead, int *count)
{
	Relation	index = index_open(lead_index(ledger, lead), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(ledger->rel, NULL);
	Snapshot	snapshot;
	ScanKeyData keys[2];
	IndexScanDesc scan;
	int			room = 16;
	Event	   *events = palloc(room * sizeof(Event));

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	set_lead_keys(keys, funnel_id, lead);
	scan = lf_index_beginscan(ledger->rel, index, snapshot, 2);
	index_rescan(scan, keys, 2, NULL, 0);
	*count = 0;
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (*count == room)
			events = repalloc_huge(events, (room *= 2) * sizeof(Event));
		read_event(slot, &events[(*count)++]);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	return events;
}

/* ---------- another key ---------- */

/* Copies of the rows of a lead. */
static List *
tuples_of_lead(Ledger *ledger, Relation index, int32 funnel_id, const LeadKey *lead)
{
	TupleTableSlot *slot = table_slot_create(ledger->rel, NULL);
	ScanKeyData keys[2];
	IndexScanDesc scan = lf_index_beginscan(ledger->rel, index, SnapshotSelf, 2);
	List	   *result = NIL;

	set_lead_keys(keys, funnel_id, lead);
	index_rescan(scan, keys, 2, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
		result = lappend(result, ExecCopySlotHeapTuple(slot));
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return result;
}

/* Delete and insert, so that one path knows about indexes. */
static void
replace_key(Ledger *ledger, Relation once, Relation lead, HeapTuple old, const LeadKey *key)
{
	int			columns[] = {EVENT_LEAD_ID, EVENT_LEAD_KEY};
	Datum		values[] = {Int64GetDatum(key->id), PointerGetDatum(key->key)};
	bool		nulls[] = {!key->is_integer, key->is_integer};
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(ledger->rel), &TTSOpsHeapTuple);
	HeapTuple	new = heap_modify_tuple_by_cols(old, RelationGetDescr(ledger->rel), lengthof(columns),
												columns, values, nulls);

	simple_heap_delete(ledger->rel, &old->t_self);
	heap_insert(ledger->rel, new, GetCurrentCommandId(true), 0, NULL);
	ExecStoreHeapTuple(new, slot, true);
	slot->tts_tid = new->t_self;
	if (!insert_entry(ledger, once, slot, true))
		elog(ERROR, "event was recorded again meanwhile");
	insert_more_entries(ledger, lead, slot);
	ExecDropSingleTupleTableSlot(slot);
}

void
lf_ledger_rename(int32 funnel_id, const LeadKey *from, const LeadKey *to)
{
	Ledger		ledger = open_ledger();
	Relation	index = index_open(lead_index(&ledger, from), RowExclusiveLock);
	List	   *tuples = tuples_of_lead(&ledger, index, funnel_id, from);

	if (tuples != NIL)
	{
		Relation	once = index_open(ledger.once, RowExclusiveLock);
		Relation	lead = index_open(lead_index(&ledger, to), RowExclusiveLock);
		ListCell   *cell;

		/* rows that this very command has written cannot be deleted by it */
		CommandCounterIncrement();
		foreach(cell, tuples)
		{
			CHECK_FOR_INTERRUPTS();
			replace_key(&ledger, once, lead, lfirst(cell), to);
		}
		index_close(lead, NoLock);
		index_close(once, NoLock);
	}
	index_close(index, NoLock);
	close_ledger(&ledger);
}

/* ---------- folding ---------- */

static int
compare_text(const text *a, const text *b)
{
	int			left = VARSIZE_ANY_EXHDR(a);
	int			right = VARSIZE_ANY_EXHDR(b);
	int			result = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(left, right));

	return result != 0 ? result : left - right;
}

static bool
same_bucket(const Event *a, const Event *b)
{
	return compare_text(a->type, b->type) == 0 && a->has_bucket == b->has_bucket && (!a->has_bucket || a->bucket == b->bucket);
}

static int
compare_in_bucket(const Event *a, const Event *b)
{
	int			result;

	if (a->happened_at != b->happened_at)
		return a->happened_at < b->happened_at ? -1 : 1;
	result = compare_text(a->external_id, b->external_id);
	return result != 0 ? result : compare_text(a->source, b->source);
}

/* By type and bucket, as the view lead_events ranks them. */
static int
compare_events(const void *a, const void *b)
{
	const Event *left = a;
	const Event *right = b;
	int			result = compare_text(left->type, right->type);

	if (result != 0)
		return result;
	if (left->has_bucket != right->has_bucket)
		return left->has_bucket ? 1 : -1;
	if (left->has_bucket && left->bucket != right->bucket)
		return left->bucket < right->bucket ? -1 : 1;
	return compare_in_bucket(left, right);
}

/* The engagement of all events that count and have this half-life; false if there are none. */
static bool
fold(Event *events, int count, int64 half_life, Engagement *result)
{
	bool		any = false;
	int			rank = 0;

	qsort(events, count, sizeof(Event), compare_events);
	for (int i = 0; i < count; i++)
	{
		Engagement	single;

		rank = i > 0 && same_bucket(&events[i - 1], &events[i]) ? rank + 1 : 1;
		if (events[i].half_life != half_life || (events[i].max_count > 0 && rank > events[i].max_count))
			continue;
		(void) lf_engagement_make(&single, events[i].points, events[i].happened_at, (uint32) half_life, NULL);
		if (any)
			lf_engagement_add(result, result, &single, false);
		else
			*result = single;
		any = true;
	}
	return any;
}

/* ---------- the lead ---------- */

/* The key as a value of the column's type. */
static Datum
key_parameter(LedgerFunnel *f, const LeadKey *lead)
{
	char	   *string;
	Oid			input;
	Oid			io_param;

	switch (f->key_type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:

			/*
			 * a number may be beyond the column's type: then there is no such
			 * lead
			 */
			return Int64GetDatum(lead->id);
		case TEXTOID:
		case VARCHAROID:
			return PointerGetDatum(lead->key);
		default:
			string = text_to_cstring(lead->key);
			getTypeInputInfo(f->key_type, &input, &io_param);
			return OidInputFunctionCall(input, string, io_param, -1);
	}
}

static Oid
key_parameter_type(LedgerFunnel *f)
{
	switch (f->key_type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return INT8OID;
		case VARCHAROID:
			return TEXTOID;
		default:
			return f->key_type;
	}
}

static SPIPlanPtr
prepare(LedgerFunnel *f, LeadStatement kind, EngagementColumn *column)
{
	StringInfoData sql;
	const char *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(f->relid)), get_rel_name(f->relid));
	const char *key = quote_identifier(NameStr(f->key_column));
	Oid			types[2];
	SPIPlanPtr	plan;

	types[0] = key_parameter_type(f);
	initStringInfo(&sql);
	if (kind == STATEMENT_LOCK)
		appendStringInfo(&sql, "SELECT FROM %s AS t", table);
	else
	{
		const char *name = quote_identifier(NameStr(column->name));
		AttrNumber	attnum = get_attnum(f->relid, NameStr(column->name));

		if (attnum == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table %s, which keeps engagement, does not exist any more",
							NameStr(column->name), get_rel_name(f->relid)),
					 errhint("The owner of the table names another one, or none, with lead_funnel.set_engagement_column().")));
		types[1] = get_atttype(f->relid, attnum);
		if (kind == STATEMENT_ADD)
			appendStringInfo(&sql, "UPDATE %s AS t SET %s = t.%s OPERATOR(%s.+) $2", table, name, name,
							 quote_identifier(get_namespace_name(lf_type_schema(types[1]))));
		else
			appendStringInfo(&sql, "UPDATE %s AS t SET %s = $2", table, name);
	}
	if (type_is_enum(f->key_type))
		appendStringInfo(&sql, " WHERE t.%s::%s OPERATOR(pg_catalog.=) $1", key, format_type_be_qualified(f->key_type));
	else
		appendStringInfo(&sql, " WHERE t.%s OPERATOR(pg_catalog.=) $1", key);
	if (kind == STATEMENT_ADD)
		appendStringInfo(&sql, " AND t.%s IS NOT NULL", quote_identifier(NameStr(column->name)));
	if (kind == STATEMENT_LOCK)
		appendStringInfoString(&sql, " FOR NO KEY UPDATE OF t");
	plan = SPI_prepare(sql.data, kind == STATEMENT_LOCK ? 1 : 2, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed for \"%s\": %s", sql.data, SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

/* Runs a statement on the lead as the caller; returns how many rows it found. */
static uint64
run(LedgerFunnel *f, LeadStatement kind, EngagementColumn *column, const LeadKey *lead, const Engagement *value)
{
	SPIPlanPtr *plan = kind == STATEMENT_LOCK ? &f->lock_plan : &column->plans[kind];
	Datum		values[2];
	char		nulls[2] = {' ', ' '};
	uint64		found;
	int			result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (*plan == NULL)
		*plan = prepare(f, kind, column);
	values[0] = key_parameter(f, lead);
	values[1] = EngagementPGetDatum(value);
	if (value == NULL)
		nulls[1] = 'n';
	result = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	found = SPI_processed;
	SPI_finish();
	if (found > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("several rows of table %s have the key \"%s\"", get_rel_name(f->relid), lf_key_string(lead)),
				 errhint("Remove the duplicate rows.")));
	return found;
}

static void
lock_lead(LedgerFunnel *f, const LeadKey *lead)
{
	if (run(f, STATEMENT_LOCK, NULL, lead, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("lead \"%s\" does not exist in funnel \"%s\"", lf_key_string(lead), NameStr(f->name)),
				 errdetail("No row of table %s that the current role may update has this key.", get_rel_name(f->relid)),
				 errhint("Check the key and, if the table has row security, its policies.")));
}

/* Writes what the ledger says into the column; the lead is locked. */
static void
refold(LedgerFunnel *f, Ledger *ledger, EngagementColumn *column, const LeadKey *lead)
{
	Engagement	sum;
	int			count;
	Event	   *events = events_of_lead(ledger, f->funnel_id, lead, &count);

	(void) run(f, STATEMENT_SET, column, lead, fold(events, count, column->half_life, &sum) ? &sum : NULL);
}

/* ---------- recording ---------- */

static void
set_type(LedgerFunnel *f, Event *event, const EventType *type)
{
	event->type = cstring_to_text(type->name);
	event->points = type->points;
	event->half_life = type->half_life;
	event->max_count = type->max_count;
}

/* The period that the event falls into; its type must be of now. */
static void
set_bucket(LedgerFunnel *f, Event *event, const EventType *type)
{
	event->has_bucket = type->max_count > 0 && type->per != NULL;
	event->bucket = !event->has_bucket ? 0 :
		DatumGetTimestampTz(DirectFunctionCall3(timestamptz_trunc_zone, CStringGetTextDatum(type->per),
												TimestampTzGetDatum(event->happened_at), CStringGetTextDatum(f->zone)));
}

/* Points fall with time: one to come would have more of them until then. */
static void
check_event_time(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of an event must be finite"),
				 errhint("Give the time at which it happened.")));
	if (lf_time_is_future(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of an event lies in the future"),
				 errdetail("It is %s.", timestamptz_to_str(at)),
				 errhint("Record an event when it has happened, at most 5 minutes ahead of the server's clock.")));
}

/*
 * How many events of the bucket come before this one (side -1), or how many
 * with a cap after it (1), counted up to a limit.
 */
static int
neighbours(Ledger *ledger, int32 funnel_id, const Event *event, int side, int limit)
{
	Relation	index = index_open(lead_index(ledger, &event->lead), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(ledger->rel, NULL);
	Snapshot	snapshot;
	IndexScanDesc scan;
	ScanKeyData keys[5];
	int			count = 0;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = lf_index_beginscan(ledger->rel, index, snapshot, 5);
	set_lead_keys(keys, funnel_id, &event->lead);
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(event->type));
	keys[2].sk_collation = C_COLLATION_OID;
	if (event->has_bucket)
		ScanKeyInit(&keys[3], 4, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(event->bucket));
	else
		ScanKeyEntryInitialize(&keys[3], SK_ISNULL | SK_SEARCHNULL, 4, InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	ScanKeyInit(&keys[4], 5, side > 0 ? BTGreaterEqualStrategyNumber : BTLessEqualStrategyNumber,
				side > 0 ? F_TIMESTAMPTZ_GE : F_TIMESTAMPTZ_LE, TimestampTzGetDatum(event->happened_at));
	index_rescan(scan, keys, 5, NULL, 0);
	while (count < limit && index_getnext_slot(scan, side > 0 ? ForwardScanDirection : BackwardScanDirection, slot))
	{
		Event		other;

		CHECK_FOR_INTERRUPTS();
		read_event(slot, &other);
		if (compare_in_bucket(&other, event) * side > 0 && (side < 0 || other.max_count > 0))
			count++;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	return count;
}

static void
refold_all(LedgerFunnel *f, Ledger *ledger, const LeadKey *lead)
{
	for (int i = 0; i < f->ncolumns; i++)
		refold(f, ledger, &f->columns[i], lead);
}

static bool
record(LedgerFunnel *f, Event *event)
{
	EngagementColumn *column = find_column(f, event->half_life);
	Ledger		ledger = open_ledger();
	bool		inserted = false;

	if (!is_recorded(&ledger, f->funnel_id, event))
	{
		bool		counts = column != NULL;

		lock_lead(f, &event->lead);
		if (event->max_count > 0)
			counts &= neighbours(&ledger, f->funnel_id, event, -1, event->max_count) < event->max_count;
		inserted = insert_once(&ledger, f->funnel_id, event);
		if (inserted && counts)
		{
			Engagement	single;

			(void) lf_engagement_make(&single, event->points, event->happened_at, (uint32) event->half_life, NULL);
			if (run(f, STATEMENT_ADD, column, &event->lead, &single) == 0)
				refold(f, &ledger, column, &event->lead);
		}
	}

	/*
	 * one that comes late may push another one, of whatever half-life, over
	 * its cap
	 */
	if (inserted && f->ncolumns > 0 && neighbours(&ledger, f->funnel_id, event, 1, 1) > 0)
		refold_all(f, &ledger, &event->lead);
	close_ledger(&ledger);
	return inserted;
}

static Datum
record_event(FunctionCallInfo fcinfo, LedgerFunnel *f, const LeadKey *lead)
{
	EventType  *type = find_type(f, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	Event		event = {.lead = *lead};
	bool		inserted;

	set_type(f, &event, type);
	event.happened_at = PG_GETARG_TIMESTAMPTZ(3);
	check_event_time(event.happened_at);
	set_bucket(f, &event, type);
	event.external_id = PG_GETARG_TEXT_PP(4);
	event.source = PG_GETARG_TEXT_PP(5);
	inserted = record(f, &event);
	close_funnel(f);
	PG_RETURN_BOOL(inserted);
}

static bool
key_is_integer(const LedgerFunnel *f)
{
	return f->key_type == INT2OID || f->key_type == INT4OID || f->key_type == INT8OID;
}

static LeadKey
key_of_text(const LedgerFunnel *f, const char *string)
{
	LeadKey		key = {.is_integer = key_is_integer(f)};

	if (key.is_integer)
		key.id = DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(string)));
	else if (f->key_type == UUIDOID)
		key.key = cstring_to_text(DatumGetCString(DirectFunctionCall1(uuid_out, DirectFunctionCall1(uuid_in, CStringGetDatum(string)))));
	else
		key.key = cstring_to_text(string);
	return key;
}

/* A NULL would lose the event in silence. */
static LedgerFunnel *
open_funnel_of_event(FunctionCallInfo fcinfo, const char *function, const char *const *arguments, int count,
					 const char *hint)
{
	for (int i = 0; i < count; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of an event must not be null", arguments[i]),
					 errhint("%s", hint)));
	}
	return open_funnel(NameStr(*PG_GETARG_NAME(0)), function);
}

static LedgerFunnel *
open_funnel_to_record(FunctionCallInfo fcinfo)
{
	static const char *const arguments[] = {"funnel", "lead", "event_type", "at", "external_id", "source"};

	return open_funnel_of_event(fcinfo, "record_event()", arguments, lengthof(arguments),
								"The arrays of record_events() have a value for each event.");
}

/* To change an event, which its identity names. */
static LedgerFunnel *
open_funnel_to_change(FunctionCallInfo fcinfo, const char *function)
{
	static const char *const arguments[] = {"funnel", "external_id", "source"};

	return open_funnel_of_event(fcinfo, function, arguments, lengthof(arguments),
								"An event is known by its external_id and source.");
}

/* lead_funnel.record_event(funnel, lead text, event_type, at, external_id, source) */
Datum
lf_record_event_text(PG_FUNCTION_ARGS)
{
	LedgerFunnel *f = open_funnel_to_record(fcinfo);
	LeadKey		key = key_of_text(f, text_to_cstring(PG_GETARG_TEXT_PP(1)));

	return record_event(fcinfo, f, &key);
}

/* The same with an integer key. */
Datum
lf_record_event_int8(PG_FUNCTION_ARGS)
{
	LedgerFunnel *f = open_funnel_to_record(fcinfo);
	LeadKey		key = {.is_integer = true,.id = PG_GETARG_INT64(1)};

	if (!key_is_integer(f))
		key = key_of_text(f, psprintf(INT64_FORMAT, PG_GETARG_INT64(1)));
	return record_event(fcinfo, f, &key);
}

/* The same with a uuid key. */
Datum
lf_record_event_uuid(PG_FUNCTION_ARGS)
{
	LedgerFunnel *f = open_funnel_to_record(fcinfo);
	LeadKey		key = key_of_text(f, DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(1))));

	return record_event(fcinfo, f, &key);
}

/* ---------- taking back ---------- */

/*
 * Finds an event and locks its lead; another session may delete the event or
 * give the lead another key before that.  A lead that is not in the table any
 * more is an error, unless it may be missing, as for the table's owner.
 */
static bool
find_and_lock(LedgerFunnel *f, Ledger *ledger, text *external_id, text *source, bool may_be_missing,
			  Event *event, bool *exists)
{
	while (find_event(ledger, f->funnel_id, external_id, source, event))
	{
		LeadKey		lead = event->lead;

		*exists = run(f, STATEMENT_LOCK, NULL, &lead, NULL) == 1;
		if (!find_event(ledger, f->funnel_id, external_id, source, event))
			return false;
		if (!lf_key_equal(&lead, &event->lead))
			continue;
		if (!*exists && !may_be_missing)
			lock_lead(f, &lead);
		return true;
	}
	return false;
}

/* lead_funnel.delete_event(funnel, external_id, source) */
Datum
lf_delete_event(PG_FUNCTION_ARGS)
{
	LedgerFunnel *f = open_funnel_to_change(fcinfo, "delete_event()");
	text	   *external_id = PG_GETARG_TEXT_PP(1);
	text	   *source = PG_GETARG_TEXT_PP(2);
	Ledger		ledger = open_ledger();
	Event		event;
	bool		exists;
	bool		found = find_and_lock(f, &ledger, external_id, source, lf_owns_relation(f->relid, GetUserId()), &event, &exists);

	if (found)
	{
		simple_heap_delete(ledger.rel, &event.tid);
		if (exists)
			refold_all(f, &ledger, &event.lead);
	}
	close_ledger(&ledger);
	close_funnel(f);
	PG_RETURN_BOOL(found);
}

/* lead_funnel.correct_event(funnel, external_id, source, event_type, at, points) */
Datum
lf_correct_event(PG_FUNCTION_ARGS)
{
	LedgerFunnel *f;
	Ledger		ledger;
	Event		event;
	text	   *external_id;
	text	   *source;
	bool		exists;
	bool		found;

	f = open_funnel_to_change(fcinfo, "correct_event()");
	external_id = PG_GETARG_TEXT_PP(1);
	source = PG_GETARG_TEXT_PP(2);
	ledger = open_ledger();
	found = find_and_lock(f, &ledger, external_id, source, false, &event, &exists);
	if (found)
	{
		char	   *name = PG_ARGISNULL(3) ? text_to_cstring(event.type) : text_to_cstring(PG_GETARG_TEXT_PP(3));
		double		points;
		Engagement	checked;

		if (!PG_ARGISNULL(4))
			event.happened_at = PG_GETARG_TIMESTAMPTZ(4);
		check_event_time(event.happened_at);
		points = event.points;
		if (!PG_ARGISNULL(3))
		{
			set_type(f, &event, find_type(f, name));
			points = event.points;
			set_bucket(f, &event, find_type(f, name));
		}
		else if (event.has_bucket && !PG_ARGISNULL(4))
			set_bucket(f, &event, find_type(f, name));
		event.points = PG_ARGISNULL(5) ? points : PG_GETARG_FLOAT8(5);
		/* an error if the points are no number */
		(void) lf_engagement_make(&checked, event.points, event.happened_at, (uint32) event.half_life, NULL);
		simple_heap_delete(ledger.rel, &event.tid);
		CommandCounterIncrement();
		if (!insert_once(&ledger, f->funnel_id, &event))
			elog(ERROR, "event was recorded again meanwhile");
		refold_all(f, &ledger, &event.lead);
	}
	close_ledger(&ledger);
	close_funnel(f);
	PG_RETURN_BOOL(found);
}
