/*-------------------------------------------------------------------------
 *
 * lead_table.c
 *	  Finds the rows of a lead table that have a key.
 *
 * NOTES
 *	  For the few cases in which the journal alone cannot tell (queue.c).  An
 *	  index is used if there is one that begins with the key; else the table is
 *	  read.
 *
 * IDENTIFICATION
 *	  src/lead_table.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "compat.h"
#include "lead_table.h"

/* ---------- reading one table ---------- */

/* A scan by index, or of the whole table. */
typedef struct KeyScan
{
	Relation	rel;
	Oid			type;			/* of the key */
	Relation	index;			/* or NULL */
	RegProcedure equality;		/* of the index */
	IndexScanDesc index_scan;
	TableScanDesc table_scan;
	TupleTableSlot *slot;
} KeyScan;

/* The key as the index has it: the type of the column, or the text that a varchar is. */
static Datum
key_datum(const LeadKey *key, Oid type)
{
	Oid			input;
	Oid			param;

	switch (type)
	{
		case INT2OID:
			return Int16GetDatum((int16) key->id);
		case INT4OID:
			return Int32GetDatum((int32) key->id);
		case INT8OID:
			return Int64GetDatum(key->id);
		case TEXTOID:
		case VARCHAROID:
			return PointerGetDatum(key->key);
		default:
			getTypeInputInfo(type, &input, &param);
			return OidInputFunctionCall(input, text_to_cstring(key->key), param, -1);
	}
}

/* The function that compares with the index's first column; invalid if that is not for us. */
static RegProcedure
index_equality(Relation index, AttrNumber attnum, Oid type)
{
	Oid			family;
	Oid			operator;

	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
		index->rd_index->indkey.values[0] != attnum || RelationGetIndexPredicate(index) != NIL)
		return InvalidOid;
	family = index->rd_opfamily[0];
	type = index->rd_opcintype[0] == ANYENUMOID ? ANYENUMOID : type;
	if (type == VARCHAROID)
		type = TEXTOID;
	operator = get_opfamily_member(family, type, type, BTEqualStrategyNumber);
	return OidIsValid(operator) ? get_opcode(operator) : InvalidOid;
}

static void
begin_scan(KeyScan *scan, const Funnel *funnel, Snapshot snapshot)
{
	AttrNumber	attnum = funnel->attnum[LF_COL_KEY];
	ListCell   *cell;

	memset(scan, 0, sizeof(*scan));
	scan->rel = table_open(funnel->relid, AccessShareLock);
	scan->slot = table_slot_create(scan->rel, NULL);
	scan->type = funnel->type[LF_COL_KEY];
	foreach(cell, RelationGetIndexList(scan->rel))
	{
		scan->index = index_open(lfirst_oid(cell), AccessShareLock);
		scan->equality = index_equality(scan->index, attnum, scan->type);
		if (OidIsValid(scan->equality))
			break;
		index_close(scan->index, AccessShareLock);
		scan->index = NULL;
	}
	if (scan->index != NULL)
		scan->index_scan = lf_index_beginscan(scan->rel, scan->index, snapshot, 1);
	else
		scan->table_scan = table_beginscan(scan->rel, snapshot, 0, NULL);
}

/* Goes to the rows that have the key; without an index, to all. */
static void
seek_key(KeyScan *scan, const LeadKey *key)
{
	ScanKeyData scankey;

	if (scan->index == NULL)
		return;
	ScanKeyEntryInitialize(&scankey, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   scan->index->rd_indcollation[0], scan->equality, key_datum(key, scan->type));
	index_rescan(scan->index_scan, &scankey, 1, NULL, 0);
}

static bool
next_row(KeyScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	if (scan->index != NULL)
		return index_getnext_slot(scan->index_scan, ForwardScanDirection, scan->slot);
	return table_scan_getnextslot(scan->table_scan, ForwardScanDirection, scan->slot);
}

static void
end_scan(KeyScan *scan)
{
	ExecDropSingleTupleTableSlot(scan->slot);
	if (scan->index != NULL)
	{
		index_endscan(scan->index_scan);
		index_close(scan->index, NoLock);
	}
	else
		table_endscan(scan->table_scan);
	table_close(scan->rel, NoLock);
}

/* ---------- all partitions ---------- */

/* Rows of which another transaction decides are not counted; gives one that is about to remove a row. */
static int
count_rows(Oid root, const LeadKey *key, SnapshotData *dirty, TransactionId *remover)
{
	int			count = 0;
	ListCell   *cell;

	foreach(cell, lf_partition_tree(root, AccessShareLock))
	{
		Funnel	   *funnel = lf_funnel_lookup(lfirst_oid(cell));
		KeyScan		scan;

		if (funnel == NULL || funnel->root != root || get_rel_relkind(lfirst_oid(cell)) != RELKIND_RELATION)
			continue;
		begin_scan(&scan, funnel, dirty);
		seek_key(&scan, key);
		while (next_row(&scan))
		{
			LeadKey		its_key;
			LeadState	its_state;

			lf_lead_key(funnel, scan.slot, &its_key);
			if (!lf_key_equal(&its_key, key))
				continue;
			lf_lead_state(funnel, scan.slot, NULL, &its_state);
			if (!its_state.live)
				continue;
			if (TransactionIdIsValid(dirty->xmin))
				continue;
			if (TransactionIdIsValid(dirty->xmax))
				*remover = dirty->xmax;
			else
				count++;
		}
		end_scan(&scan);
	}
	return count;
}

/* The place of the key among those that are in order; -1 if it is not there. */
static int
place_of_key(const LeadKey **keys, int from, int to, const LeadKey *key)
{
	int			low = from;
	int			high = to - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			order = lf_key_compare(key, keys[middle]);

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}

/* The keys from one place on to another, which is not one of them. */
static void
visit_rows(const Funnel *funnel, KeyScan *scan, const LeadKey **keys, int from, int to, KeyRowHandler handler, void *arg,
		   MemoryContext cxt)
{
	/* not in cxt: what the scan allocates on its way it keeps */
	while (next_row(scan))
	{
		MemoryContext previous = MemoryContextSwitchTo(cxt);
		LeadKey		key;
		int			place;

		lf_lead_key(funnel, scan->slot, &key);
		place = place_of_key(keys, from, to, &key);
		if (place >= 0)
		{
			LeadState	state;

			lf_lead_state(funnel, scan->slot, NULL, &state);
			if (state.live)
				handler(funnel, scan->slot, place, arg);
		}
		MemoryContextSwitchTo(previous);
		MemoryContextReset(cxt);
	}
}

void
lf_table_visit_keys(Oid root, const LeadKey **keys, int count, KeyRowHandler handler, void *arg)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel rows", ALLOCSET_DEFAULT_SIZES);
	ListCell   *cell;

	/* a table that was dropped has none */
	if (get_rel_relkind(root) == '\0')
		return;
	foreach(cell, lf_partition_tree(root, AccessShareLock))
	{
		Funnel	   *funnel = lf_funnel_lookup(lfirst_oid(cell));
		KeyScan		scan;

		if (funnel == NULL || funnel->root != root || get_rel_relkind(lfirst_oid(cell)) != RELKIND_RELATION)
			continue;
		begin_scan(&scan, funnel, SnapshotSelf);
		if (scan.index == NULL)
			visit_rows(funnel, &scan, keys, 0, count, handler, arg, cxt);
		else
		{
			for (int i = 0; i < count; i++)
			{
				seek_key(&scan, keys[i]);
				visit_rows(funnel, &scan, keys, i, i + 1, handler, arg, cxt);
			}
		}
		end_scan(&scan);
	}
	MemoryContextDelete(cxt);
}

int
lf_table_rows_of_key_or_wait(Oid root, const LeadKey *key)
{
	for (;;)
	{
		TransactionId remover = InvalidTransactionId;
		SnapshotData dirty;
		int			count;

		InitDirtySnapshot(dirty);
		count = count_rows(root, key, &dirty, &remover);
		if (count > 1 || !TransactionIdIsValid(remover))
			return count;
		XactLockTableWait(remover, NULL, NULL, XLTW_None);
	}
}

int
lf_table_open_count(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	int			count;

	if (rel == NULL)
		return 0;
	/* but for ourselves */
	count = rel->rd_refcnt - 1;
	RelationClose(rel);
	return count;
}

bool
lf_table_key_is_deferrable(const Funnel *funnel)
{
	Relation	rel = table_open(funnel->relid, AccessShareLock);
	bool		result = false;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if ((index->rd_index->indisunique || index->rd_index->indisexclusion) && !index->rd_index->indimmediate &&
			index->rd_index->indkey.values[0] == funnel->attnum[LF_COL_KEY])
			result = true;
		index_close(index, AccessShareLock);
	}
	table_close(rel, AccessShareLock);
	return result;
}
