/*-------------------------------------------------------------------------
 *
 * fold.c
 *	  Folding of deltas into a new generation.
 *
 * NOTES
 *	  A fold appends a generation of stock cells, adds flow cells, and stores
 *	  the snapshot that it read with.  A reader takes the newest generation
 *	  that it sees and the deltas that this snapshot did not see.  Whatever the
 *	  isolation level, each committed delta is counted exactly once.  Folded
 *	  deltas and old generations are deleted, but nothing depends on it.
 *
 *	  A flow cell may have several rows, which readers sum.  Now and then a
 *	  fold takes those of the cells that it adds to together.  Not each time:
 *	  beside a snapshot that is held open it would have to pass all rows that
 *	  were ever taken together.
 *
 * IDENTIFICATION
 *	  src/fold.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "common/pg_prng.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "cells.h"
#include "fold.h"
#include "journal.h"
#include "reading.h"

static void
write_stock(int32 funnel_id, int64 generation, const CellSet *stock, int64 *written)
{
	static const AttrNumber keys[] = {STOCK_FUNNEL_ID, STOCK_GENERATION};
	Relation	rel = table_open(lf_own_tables()->stock_cell, RowExclusiveLock);

	*written = 0;
	for (int i = 0; i < stock->count; i++)
	{
		const Cell *cell = &stock->cells[i];
		Datum		values[STOCK_COLUMNS];
		bool		nulls[STOCK_COLUMNS];
		HeapTuple	tuple;

		if (cell->leads == 0 && lf_sum_is_zero(&cell->value_in))
			continue;
		memset(nulls, false, sizeof(nulls));
		values[STOCK_FUNNEL_ID - 1] = Int32GetDatum(funnel_id);
		values[STOCK_GENERATION - 1] = Int64GetDatum(generation);
		values[STOCK_LEADS - 1] = Int64GetDatum(cell->leads);
		lf_put_stage(values, nulls, STOCK_STAGE, cell->key.to);
		values[STOCK_VALUE - 1] = lf_sum_value(&cell->value_in);
		lf_put_dims(values, nulls, STOCK_SOURCE, cell->key.dims);
		tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
		lf_insert_tuple(rel, tuple, lf_own_tables()->stock_cell_generation, 2, keys);
		heap_freetuple(tuple);
		(*written)++;
	}
	table_close(rel, NoLock);
}

static void
write_flow(const CellSet *flow)
{
	static const AttrNumber keys[] = {FLOW_FUNNEL_ID, FLOW_DAY};
	Relation	rel = table_open(lf_own_tables()->flow_cell, RowExclusiveLock);

	for (int i = 0; i < flow->count; i++)
	{
		Datum		values[FLOW_COLUMNS];
		bool		nulls[FLOW_COLUMNS];
		HeapTuple	tuple;

		lf_flow_row(&flow->cells[i], values, nulls);
		tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
		lf_insert_tuple(rel, tuple, lf_own_tables()->flow_cell_day, 2, keys);
		heap_freetuple(tuple);
	}
	table_close(rel, NoLock);
}

/*
 * The active snapshot as a pg_snapshot in which this transaction is still in
 * progress.  A snapshot lists no transaction of its own, but what we append
 * after the fold, under the same transaction id, must count as not seen.
 */
static Datum
stored_snapshot(void)
{
	char	   *s = DatumGetCString(DirectFunctionCall1(pg_snapshot_out,
														OidFunctionCall0(F_PG_CURRENT_SNAPSHOT)));
	FullTransactionId top = GetTopFullTransactionIdIfAny();
	Generation	parsed;
	StringInfoData result;
	uint64		own;
	bool		written = false;

	lf_parse_snapshot(s, &parsed);
	own = FullTransactionIdIsValid(top) ? U64FromFullTransactionId(top) : parsed.xmax;
	initStringInfo(&result);
	appendStringInfo(&result, UINT64_FORMAT ":" UINT64_FORMAT ":", Min(parsed.xmin, own), parsed.xmax);
	for (int i = 0; i <= parsed.nxip; i++)
	{
		if (!written && own < parsed.xmax && (i == parsed.nxip || own <= parsed.xip[i]))
		{
			appendStringInfo(&result, "%s" UINT64_FORMAT, i > 0 ? "," : "", own);
			written = true;
			if (i < parsed.nxip && own == parsed.xip[i])
				continue;
		}
		if (i < parsed.nxip)
			appendStringInfo(&result, "%s" UINT64_FORMAT, i > 0 || written ? "," : "", parsed.xip[i]);
	}
	return DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(result.data));
}

static void
write_generation(int32 funnel_id, int64 generation, Datum snapshot, int64 cells)
{
	static const AttrNumber keys[] = {GENERATION_FUNNEL_ID, GENERATION_GENERATION};
	Relation	rel = table_open(lf_own_tables()->generation, RowExclusiveLock);
	Datum		values[GENERATION_COLUMNS];
	bool		nulls[GENERATION_COLUMNS] = {false};

	values[GENERATION_FUNNEL_ID - 1] = Int32GetDatum(funnel_id);
	values[GENERATION_GENERATION - 1] = Int64GetDatum(generation);
	values[GENERATION_SNAPSHOT - 1] = snapshot;
	values[GENERATION_CELLS - 1] = Int64GetDatum(cells);
	values[GENERATION_FOLDED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	lf_insert_tuple(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls),
					lf_own_tables()->generation_pkey, 2, keys);
	table_close(rel, NoLock);
}

static void
delete_tuples(Oid relid, const TupleIds *ids)
{
	Relation	rel = table_open(relid, RowExclusiveLock);

	for (int i = 0; i < ids->count; i++)
		simple_heap_delete(rel, &ids->tids[i]);
	table_close(rel, NoLock);
}

/* The lock that folds and rebuilds of a funnel take, until the transaction ends. */
static bool
lock_statistics(int32 funnel_id, bool wait)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, lf_own_tables()->generation, funnel_id, 0);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * The tables are locked before rows are read that are deleted afterwards: VACUUM
 * FULL in between would give their places to others.
 */
static bool
lock_tables(bool wait)
{
	const OwnTables *own = lf_own_tables();
	const Oid	tables[] = {own->generation, own->stock_cell, own->flow_cell, own->delta};

	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		if (wait)
			LockRelationOid(tables[i], RowExclusiveLock);
		else if (!ConditionalLockRelationOid(tables[i], RowExclusiveLock))
			return false;
	}
	return true;
}

/* How many deltas make a fold worth its while. */
static int64
worthwhile(const Generation *old)
{
	return Max(LF_FOLD_EVERY, old->cells / 4);
}

/*
 * Whether to count the deltas now.  A commit does so with such a chance that
 * it happens about LF_LOOKS times from one fold to the next: to count them has
 * to pass them all.  LF_LOOK_EVERY has thinned the commits out already.
 */
static bool
draw_look(const Generation *old, int64 appended)
{
	uint64		chances = (uint64) Max(appended, LF_LOOK_EVERY) * LF_LOOKS;

	return pg_prng_uint64(&pg_global_prng_state) % (uint64) worthwhile(old) < chances;
}

static bool
is_due(int32 funnel_id, Snapshot snapshot, const Generation *old, int64 appended)
{
	Reading		counting = {.funnel_id = funnel_id,.snapshot = snapshot,.skip = GetTopFullTransactionIdIfAny()};

	if (!draw_look(old, appended))
		return false;
	lf_read_tail(&counting, old);
	return counting.deltas >= worthwhile(old);
}

/* The locks are held.  "appended" is 0 if whatever there is shall be folded. */
static bool
fold(int32 funnel_id, int64 appended)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel fold", ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	CellSet		stock = {.cxt = cxt};
	CellSet		flow = {.cxt = cxt};
	TupleIds	cells = {0};
	TupleIds	flow_cells = {0};
	TupleIds	deltas = {0};
	Reading		reading = {
		.funnel_id = funnel_id,
		/* after the lock, so that it sees what the last holder committed */
		.snapshot = RegisterSnapshot(GetLatestSnapshot()),
		.skip = GetTopFullTransactionIdIfAny(),
		.stock = &stock,
		.flow = &flow,
		.stock_rows = &cells,
		.flow_rows = &flow_cells,
		.delta_rows = &deltas
	};
	Generation	old;
	bool		worth_it;

	PushActiveSnapshot(reading.snapshot);
	lf_read_generation(funnel_id, reading.snapshot, &old);
	worth_it = appended == 0 || is_due(funnel_id, reading.snapshot, &old, appended);
	if (worth_it)
	{
		lf_read_tail(&reading, &old);
		worth_it = deltas.count > 0;
	}
	if (worth_it)
	{
		int64		written;

		lf_read_stock(&reading, &old);
		if ((old.number + 1) % LF_MERGE_EVERY == 0)
			lf_read_flow(&reading);
		write_stock(funnel_id, old.number + 1, &stock, &written);
		write_flow(&flow);
		write_generation(funnel_id, old.number + 1, stored_snapshot(), written);
		delete_tuples(lf_own_tables()->delta, &deltas);
		delete_tuples(lf_own_tables()->stock_cell, &cells);
		delete_tuples(lf_own_tables()->flow_cell, &flow_cells);
		if (old.number > 0)
		{
			TupleIds	generations = {0};

			lf_remember_tuple(&generations, &old.tid);
			delete_tuples(lf_own_tables()->generation, &generations);
		}
	}
	PopActiveSnapshot();
	UnregisterSnapshot(reading.snapshot);
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	return worth_it;
}

/*
 * Who commits must not wait for a fold: neither for another one, nor for a
 * DBA who has locked one of the tables.
 */
bool
lf_fold_if_due(int32 funnel_id, int64 appended)
{
	return lock_statistics(funnel_id, false) && lock_tables(false) && fold(funnel_id, appended);
}

PG_FUNCTION_INFO_V1(lf_fold);
PG_FUNCTION_INFO_V1(lf_lock_statistics);
PG_FUNCTION_INFO_V1(lf_snapshot);

/*
 * lead_funnel._fold(funnel_id)
 *
 * Takes the deltas that all can see into a new generation; false if there are
 * none.
 */
Datum
lf_fold(PG_FUNCTION_ARGS)
{
	int32		funnel_id = PG_GETARG_INT32(0);

	(void) lock_statistics(funnel_id, true);
	(void) lock_tables(true);
	PG_RETURN_BOOL(fold(funnel_id, 0));
}

/* lead_funnel._lock_statistics(funnel_id) */
Datum
lf_lock_statistics(PG_FUNCTION_ARGS)
{
	(void) lock_statistics(PG_GETARG_INT32(0), true);
	PG_RETURN_VOID();
}

/* lead_funnel._snapshot() */
Datum
lf_snapshot(PG_FUNCTION_ARGS)
{
	return stored_snapshot();
}
