/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  Statistics: what writers note and append.
 *
 * NOTES
 *	  A statement's changes are summed in memory by cell (kind, day, stages,
 *	  dimensions) and appended as delta rows, stamped with the top-level
 *	  transaction.  Nobody updates a row that another writer might want, so
 *	  writers never wait for each other here.
 *
 *	  What is in memory belongs to a subtransaction: dropped if it aborts,
 *	  handed to the parent if it commits, appended at the end of the statement.
 *
 * IDENTIFICATION
 *	  src/stats.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "cells.h"
#include "fold.h"
#include "journal.h"
#include "reading.h"
#include "stats.h"

/* What a subtransaction has noted. */
typedef struct Level
{
	SubTransactionId subid;
	CellSet		set;
	struct Level *outer;
} Level;

static MemoryContext stats_cxt = NULL;
static Level *levels = NULL;

/* Deltas that this transaction has appended, and the funnel of one of them. */
static int64 appended = 0;
static int32 appended_for = 0;

/* The set of the present subtransaction. */
static CellSet *
current_set(void)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Level	   *level = levels;
	MemoryContext cxt;

	if (level != NULL && level->subid == subid)
		return &level->set;
	if (stats_cxt == NULL)
		stats_cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel statistics",
										  ALLOCSET_DEFAULT_SIZES);
	/* what many subtransactions of a statement note is given back one by one */
	cxt = levels == NULL ? stats_cxt :
		AllocSetContextCreate(stats_cxt, "lead_funnel statistics of a subtransaction", ALLOCSET_SMALL_SIZES);
	level = MemoryContextAllocZero(cxt, sizeof(Level));
	level->subid = subid;
	level->set.cxt = cxt;
	level->outer = levels;
	levels = level;
	return &level->set;
}

static void
note(int32 funnel_id, char kind, DateADT day, LeadStage from, LeadStage to,
	 text *const *dims, const PackedNumeric *value_out, const PackedNumeric *value_in, int64 leads, int sign)
{
	CellSet    *set = current_set();
	CellKey		key = {.funnel_id = funnel_id,.kind = kind,.day = day,.from = from,.to = to};
	Cell	   *cell;

	memcpy(key.dims, dims, sizeof(key.dims));
	cell = lf_cell(set, &key);
	cell->leads += sign * leads;
	/* a lead that moves mostly keeps its value: one sum for both sides */
	if (lf_text_equal(value_out, value_in))
		lf_sum_add(&cell->value_both, value_in, sign, set->cxt);
	else
	{
		lf_sum_add(&cell->value_out, value_out, sign, set->cxt);
		lf_sum_add(&cell->value_in, value_in, sign, set->cxt);
	}
}

/*
 * A step within one set of dimensions is one delta with both stages.  If a
 * dimension changes, the lead leaves one cell and enters another.
 */
static void
note_step(int32 funnel_id, char kind, DateADT day, const LeadState *from, const LeadState *to, int sign)
{
	if (from != NULL && to != NULL && lf_same_cell(from, to))
		note(funnel_id, kind, day, from->stage, to->stage, to->dims, from->value, to->value, 1, sign);
	else
	{
		if (from != NULL)
			note(funnel_id, kind, day, from->stage, LF_STAGE_NONE, from->dims, from->value, NULL, 1, sign);
		if (to != NULL)
			note(funnel_id, kind, day, LF_STAGE_NONE, to->stage, to->dims, NULL, to->value, 1, sign);
	}
}

void
lf_stats_note(int32 funnel_id, char kind, DateADT day,
			  const LeadState *from, const LeadState *to)
{
	note_step(funnel_id, kind, day, from, to, 1);
}

void
lf_stats_take_back(int32 funnel_id, char kind, DateADT day,
				   const LeadState *from, const LeadState *to)
{
	note_step(funnel_id, kind, day, from, to, -1);
}

static void
append_delta(Relation rel, FullTransactionId xid, CellSet *set, Cell *cell)
{
	static const AttrNumber keys[] = {DELTA_FUNNEL_ID, DELTA_XID};
	Datum		values[DELTA_COLUMNS];
	bool		nulls[DELTA_COLUMNS];
	HeapTuple	tuple;

	lf_sum_add_sum(&cell->value_out, &cell->value_both, set->cxt);
	lf_sum_add_sum(&cell->value_in, &cell->value_both, set->cxt);
	memset(nulls, false, sizeof(nulls));
	values[DELTA_XID - 1] = FullTransactionIdGetDatum(xid);
	values[DELTA_FUNNEL_ID - 1] = Int32GetDatum(cell->key.funnel_id);
	values[DELTA_DAY - 1] = DateADTGetDatum(cell->key.day);
	values[DELTA_LEADS - 1] = Int64GetDatum(cell->leads);
	lf_put_stage(values, nulls, DELTA_FROM_STAGE, cell->key.from);
	lf_put_stage(values, nulls, DELTA_TO_STAGE, cell->key.to);
	values[DELTA_KIND - 1] = CharGetDatum(cell->key.kind);
	values[DELTA_VALUE_OUT - 1] = lf_sum_value(&cell->value_out);
	values[DELTA_VALUE_IN - 1] = lf_sum_value(&cell->value_in);
	lf_put_dims(values, nulls, DELTA_SOURCE, cell->key.dims);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	lf_insert_tuple(rel, tuple, lf_own_tables()->delta_xid, 2, keys);
	heap_freetuple(tuple);
}

/* Appends the deltas of one set. */
static void
append_set(CellSet *set)
{
	Relation	rel;
	FullTransactionId xid;
	uint64		chosen;

	if (set->count == 0)
		return;
	rel = table_open(lf_own_tables()->delta, RowExclusiveLock);
	xid = GetTopFullTransactionId();
	for (int i = 0; i < set->count; i++)
		append_delta(rel, xid, set, &set->cells[i]);
	table_close(rel, NoLock);
	appended += set->count;

	/*
	 * Of all deltas of the transaction one is chosen, each as likely: then
	 * the turn of each funnel comes, in whatever order they are written.
	 */
	chosen = pg_prng_uint64(&pg_global_prng_state) % appended;
	if (chosen < (uint64) set->count)
		appended_for = set->cells[chosen].key.funnel_id;
}

/* Forgets the levels of a subtransaction, the innermost ones. */
static void
drop_levels(SubTransactionId subid)
{
	while (levels != NULL && levels->subid == subid)
	{
		MemoryContext cxt = levels->set.cxt;

		levels = levels->outer;
		if (cxt != stats_cxt)
			MemoryContextDelete(cxt);
	}
	if (levels == NULL && stats_cxt != NULL)
		MemoryContextReset(stats_cxt);
}

void
lf_stats_flush(void)
{
	SubTransactionId subid = GetCurrentSubTransactionId();

	if (levels == NULL)
		return;
	for (Level *level = levels; level != NULL && level->subid == subid; level = level->outer)
		append_set(&level->set);
	drop_levels(subid);
}

void
lf_stats_note_all_out(int32 funnel_id, DateADT day)
{
	CellSet		stock = {.cxt = CurrentMemoryContext};
	Reading		reading = {.funnel_id = funnel_id,.stock = &stock};
	Generation	generation;

	lf_stats_flush();
	CommandCounterIncrement();
	reading.snapshot = RegisterSnapshot(GetLatestSnapshot());
	lf_read_generation(funnel_id, reading.snapshot, &generation);
	lf_read_stock(&reading, &generation);
	lf_read_tail(&reading, &generation);
	UnregisterSnapshot(reading.snapshot);
	for (int i = 0; i < stock.count; i++)
	{
		const Cell *cell = &stock.cells[i];

		if (cell->leads != 0 || !lf_sum_is_zero(&cell->value_in))
			note(funnel_id, LF_DELTA_FLOW, day, cell->key.to, LF_STAGE_NONE, cell->key.dims,
				 (PackedNumeric *) DatumGetPointer(lf_sum_value(&cell->value_in)), NULL, cell->leads, 1);
	}
	lf_stats_flush();
}

/*
 * Now and then a transaction that is about to commit folds.  Not before: the
 * lock, held by an idle transaction, would keep everybody else from it.  Not in
 * SERIALIZABLE, whose bookkeeping it would burden.
 */
void
lf_stats_maybe_fold(void)
{
	if (appended == 0 || IsolationIsSerializable() ||
		pg_prng_uint64(&pg_global_prng_state) % LF_LOOK_EVERY >= (uint64) appended)
		return;
	/* this transaction may have dropped the extension */
	if (!OidIsValid(get_namespace_oid("lead_funnel", true)))
		return;
	HOLD_INTERRUPTS();
	(void) lf_fold_if_due(appended_for, appended);
	RESUME_INTERRUPTS();
}

bool
lf_stats_is_pending(void)
{
	return levels != NULL;
}

void
lf_stats_forget(void)
{
	levels = NULL;
	appended = 0;
	if (stats_cxt != NULL)
		MemoryContextReset(stats_cxt);
}

void
lf_stats_drop(SubTransactionId subid)
{
	drop_levels(subid);
}

void
lf_stats_hand_over(SubTransactionId subid, SubTransactionId parent)
{
	for (Level *level = levels; level != NULL && level->subid == subid; level = level->outer)
		level->subid = parent;
}
