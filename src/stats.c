/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  Statistics: deltas of the writers, folds, what a snapshot sees.
 *
 * NOTES
 *	  A statement's changes are summed in memory by cell (kind, day, stages,
 *	  dimensions) and appended as delta rows, stamped with the top-level
 *	  transaction.  Nobody updates a row that another writer might want, so
 *	  writers never wait for each other here.
 *
 *	  A fold appends a generation of stock cells, adds flow cells, and stores
 *	  the snapshot that it read with.  A reader takes the newest generation
 *	  that it sees and the deltas that this snapshot did not see.  Whatever the
 *	  isolation level, each committed delta is counted exactly once.  Folded
 *	  deltas and old generations are deleted, but nothing depends on it: the
 *	  index is searched from the snapshot's xmax on (and for its transactions
 *	  in progress), past everything that is dead.
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

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "journal.h"
#include "stats.h"

/* Columns of our tables (sql/parts/20_tables.sql). */
enum
{
	DELTA_XID = 1,
	DELTA_FUNNEL_ID,
	DELTA_DAY,
	DELTA_LEADS,
	DELTA_FROM_STAGE,
	DELTA_TO_STAGE,
	DELTA_KIND,
	DELTA_VALUE_OUT,
	DELTA_VALUE_IN,
	DELTA_SOURCE,
	DELTA_COLUMNS = DELTA_SOURCE + LF_DIM_COUNT - 1
};

enum
{
	GENERATION_FUNNEL_ID = 1,
	GENERATION_GENERATION,
	GENERATION_SNAPSHOT,
	GENERATION_CELLS,
	GENERATION_FOLDED_AT,
	GENERATION_COLUMNS = GENERATION_FOLDED_AT
};

enum
{
	STOCK_FUNNEL_ID = 1,
	STOCK_GENERATION,
	STOCK_LEADS,
	STOCK_STAGE,
	STOCK_VALUE,
	STOCK_SOURCE,
	STOCK_COLUMNS = STOCK_SOURCE + LF_DIM_COUNT - 1
};

enum
{
	FLOW_FUNNEL_ID = 1,
	FLOW_DAY,
	FLOW_OPENING,
	FLOW_ENTRIES,
	FLOW_EXITS,
	FLOW_ADJUSTMENTS,
	FLOW_STAGE,
	FLOW_VALUE_IN,
	FLOW_VALUE_OUT,
	FLOW_VALUE_ADJUSTMENTS,
	FLOW_SOURCE,
	FLOW_COLUMNS = FLOW_SOURCE + LF_DIM_COUNT - 1
};

/*
 * One in so many appended rows leads to a look at whether a fold is due, and
 * a fold is due if the tail is at least that long (or as long as a quarter of
 * the cells, since a generation writes them all).
 */
#define LF_FOLD_EVERY 256

/* A cell's amounts.  The key is everything that tells cells apart, as bytes. */
typedef struct Cell
{
	int32		funnel_id;
	char		kind;
	LeadStage	from;
	LeadStage	to;
	DateADT		day;
	text	   *dims[LF_DIM_COUNT];
	uint32		hash;
	int			next;			/* in the bucket; -1: none */
	/* of a delta: */
	int64		leads;
	Numeric		value_out;
	Numeric		value_in;
	/* of a flow: */
	int64		entries;
	int64		exits;
	int64		adjustments;
	Numeric		value_adjustments;
} Cell;

/* A set of cells; linear while it is small, which it is in one-row statements. */
typedef struct CellSet
{
	MemoryContext cxt;
	int			count;
	int			room;
	Cell	   *cells;
	int			nbuckets;
	int		   *buckets;
	int			last;			/* the cell found last: mostly the next one, too */
} CellSet;

/* What a subtransaction has noted. */
typedef struct Level
{
	SubTransactionId subid;
	CellSet		set;
	struct Level *outer;
} Level;

static MemoryContext stats_cxt = NULL;
static Level *levels = NULL;

/* Deltas that this transaction has appended, and for which funnel last. */
static int64 appended = 0;
static int32 appended_for = 0;

static uint32
cell_hash(int32 funnel_id, char kind, DateADT day, LeadStage from, LeadStage to,
		  text *const *dims)
{
	uint32		hash = hash_combine(hash_bytes_uint32((uint32) day),
									hash_bytes_uint32((uint32) kind << 16 | (uint32) from << 8 | to));

	hash = hash_combine(hash, (uint32) funnel_id);
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		if (dims[i] != NULL)
			hash = hash_combine(hash, hash_bytes((const unsigned char *) VARDATA_ANY(dims[i]),
												 VARSIZE_ANY_EXHDR(dims[i])) + i + 1);
	}
	return hash;
}

static bool
is_cell(const Cell *cell, int32 funnel_id, char kind, DateADT day, LeadStage from,
		LeadStage to, text *const *dims)
{
	if (cell->day != day || cell->from != from || cell->to != to ||
		cell->kind != kind || cell->funnel_id != funnel_id)
		return false;
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		if (!lf_text_equal(cell->dims[i], dims[i]))
			return false;
	}
	return true;
}

static void
rehash(CellSet *set)
{
	set->nbuckets = set->room * 2;
	if (set->buckets)
		pfree(set->buckets);
	set->buckets = MemoryContextAlloc(set->cxt, set->nbuckets * sizeof(int));
	for (int i = 0; i < set->nbuckets; i++)
		set->buckets[i] = -1;
	for (int i = 0; i < set->count; i++)
	{
		Cell	   *cell = &set->cells[i];
		int		   *bucket;

		cell->hash = cell_hash(cell->funnel_id, cell->kind, cell->day, cell->from, cell->to, cell->dims);
		bucket = &set->buckets[cell->hash % set->nbuckets];
		cell->next = *bucket;
		*bucket = i;
	}
}

static int
find_cell(const CellSet *set, uint32 hash, int32 funnel_id, char kind, DateADT day,
		  LeadStage from, LeadStage to, text *const *dims)
{
	if (set->nbuckets == 0)
	{
		for (int i = 0; i < set->count; i++)
		{
			if (is_cell(&set->cells[i], funnel_id, kind, day, from, to, dims))
				return i;
		}
		return -1;
	}
	for (int i = set->buckets[hash % set->nbuckets]; i >= 0; i = set->cells[i].next)
	{
		if (set->cells[i].hash == hash &&
			is_cell(&set->cells[i], funnel_id, kind, day, from, to, dims))
			return i;
	}
	return -1;
}

/* The cell with these marks, made if it is new. */
static Cell *
get_cell(CellSet *set, int32 funnel_id, char kind, DateADT day,
		 LeadStage from, LeadStage to, text *const *dims)
{
	MemoryContext previous;
	uint32		hash = 0;
	int			at;
	Cell	   *cell;

	if (set->count > 0 &&
		is_cell(&set->cells[set->last], funnel_id, kind, day, from, to, dims))
		return &set->cells[set->last];
	if (set->nbuckets > 0)
		hash = cell_hash(funnel_id, kind, day, from, to, dims);
	at = find_cell(set, hash, funnel_id, kind, day, from, to, dims);
	if (at >= 0)
	{
		set->last = at;
		return &set->cells[at];
	}

	previous = MemoryContextSwitchTo(set->cxt);
	if (set->count == set->room)
	{
		set->room = set->room == 0 ? 8 : set->room * 2;
		set->cells = set->cells == NULL ?
			palloc(set->room * sizeof(Cell)) :
			repalloc_huge(set->cells, set->room * sizeof(Cell));
		if (set->room > 8)
			rehash(set);
	}
	at = set->count++;
	cell = &set->cells[at];
	memset(cell, 0, sizeof(*cell));
	cell->funnel_id = funnel_id;
	cell->kind = kind;
	cell->day = day;
	cell->from = from;
	cell->to = to;
	for (int i = 0; i < LF_DIM_COUNT; i++)
		cell->dims[i] = lf_text_copy(dims[i]);
	if (set->nbuckets > 0)
	{
		int		   *bucket;

		cell->hash = cell_hash(funnel_id, kind, day, from, to, dims);
		bucket = &set->buckets[cell->hash % set->nbuckets];
		cell->next = *bucket;
		*bucket = at;
	}
	set->last = at;
	MemoryContextSwitchTo(previous);
	return cell;
}

/* sum += sign * value; NULL stands for zero in both. */
static void
add_value(CellSet *set, Numeric *sum, Numeric value, int sign)
{
	MemoryContext previous;
	Numeric		result;

	if (value == NULL)
		return;
	previous = MemoryContextSwitchTo(set->cxt);
	if (*sum == NULL)
		result = sign > 0 ? DatumGetNumericCopy(NumericGetDatum(value)) :
			DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(value)));
	else
		result = DatumGetNumeric(DirectFunctionCall2(sign > 0 ? numeric_add : numeric_sub,
													 NumericGetDatum(*sum), NumericGetDatum(value)));
	if (*sum != NULL)
		pfree(*sum);
	*sum = result;
	MemoryContextSwitchTo(previous);
}

static Datum
value_datum(Numeric value)
{
	return NumericGetDatum(value ? value : int64_to_numeric(0));
}

static bool
is_zero(Numeric value)
{
	return value == NULL ||
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value),
										 NumericGetDatum(int64_to_numeric(0))));
}

/* The set of the present subtransaction. */
static CellSet *
current_set(void)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Level	   *level = levels;

	if (level != NULL && level->subid == subid)
		return &level->set;
	if (stats_cxt == NULL)
		stats_cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel statistics",
										  ALLOCSET_DEFAULT_SIZES);
	level = MemoryContextAllocZero(stats_cxt, sizeof(Level));
	level->subid = subid;
	level->set.cxt = stats_cxt;
	level->outer = levels;
	levels = level;
	return &level->set;
}

static void
note(int32 funnel_id, char kind, DateADT day, LeadStage from, LeadStage to,
	 text *const *dims, Numeric value_out, Numeric value_in, int64 leads)
{
	CellSet    *set = current_set();
	Cell	   *cell = get_cell(set, funnel_id, kind, day, from, to, dims);

	cell->leads += leads;
	add_value(set, &cell->value_out, value_out, 1);
	add_value(set, &cell->value_in, value_in, 1);
}

/*
 * A step within one set of dimensions is one delta with both stages.  If a
 * dimension changes, the lead leaves one cell and enters another.
 */
void
lf_stats_note(int32 funnel_id, char kind, DateADT day,
			  const LeadState *from, const LeadState *to)
{
	if (from != NULL && to != NULL && lf_same_cell(from, to))
		note(funnel_id, kind, day, from->stage, to->stage, to->dims, from->value, to->value, 1);
	else
	{
		if (from != NULL)
			note(funnel_id, kind, day, from->stage, LF_STAGE_NONE, from->dims, from->value, NULL, 1);
		if (to != NULL)
			note(funnel_id, kind, day, LF_STAGE_NONE, to->stage, to->dims, NULL, to->value, 1);
	}
}

static void
put_dims(Datum *values, bool *nulls, AttrNumber first, text *const *dims)
{
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		values[first - 1 + i] = PointerGetDatum(dims[i]);
		nulls[first - 1 + i] = (dims[i] == NULL);
	}
}

static void
put_stage(Datum *values, bool *nulls, AttrNumber attnum, LeadStage stage)
{
	values[attnum - 1] = LeadStageGetDatum(stage);
	nulls[attnum - 1] = (stage == LF_STAGE_NONE);
}

static void
append_delta(Relation rel, FullTransactionId xid, const Cell *cell)
{
	static const AttrNumber keys[] = {DELTA_FUNNEL_ID, DELTA_XID};
	Datum		values[DELTA_COLUMNS];
	bool		nulls[DELTA_COLUMNS];
	HeapTuple	tuple;

	memset(nulls, false, sizeof(nulls));
	values[DELTA_XID - 1] = FullTransactionIdGetDatum(xid);
	values[DELTA_FUNNEL_ID - 1] = Int32GetDatum(cell->funnel_id);
	values[DELTA_DAY - 1] = DateADTGetDatum(cell->day);
	values[DELTA_LEADS - 1] = Int64GetDatum(cell->leads);
	put_stage(values, nulls, DELTA_FROM_STAGE, cell->from);
	put_stage(values, nulls, DELTA_TO_STAGE, cell->to);
	values[DELTA_KIND - 1] = CharGetDatum(cell->kind);
	values[DELTA_VALUE_OUT - 1] = value_datum(cell->value_out);
	values[DELTA_VALUE_IN - 1] = value_datum(cell->value_in);
	put_dims(values, nulls, DELTA_SOURCE, cell->dims);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	lf_insert_tuple(rel, tuple, lf_own_tables()->delta_xid, 2, keys);
	heap_freetuple(tuple);
}

/* Appends the deltas of one set. */
static void
append_set(const CellSet *set)
{
	Relation	rel;
	FullTransactionId xid;

	if (set->count == 0)
		return;
	rel = table_open(lf_own_tables()->delta, RowExclusiveLock);
	xid = GetTopFullTransactionId();
	for (int i = 0; i < set->count; i++)
		append_delta(rel, xid, &set->cells[i]);
	table_close(rel, NoLock);
	/* any funnel will do: each one's turn comes */
	appended += set->count;
	appended_for = set->cells[0].funnel_id;
}

/* Forgets the levels of a subtransaction, the innermost ones. */
static void
drop_levels(SubTransactionId subid)
{
	while (levels != NULL && levels->subid == subid)
		levels = levels->outer;
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

/* What a fold must know of the newest generation that the snapshot sees. */
typedef struct Generation
{
	int64		number;			/* 0: there is none */
	ItemPointerData tid;
	uint64		xmax;			/* deltas from here on were not seen, */
	int			nxip;			/* nor those of these transactions */
	uint64	   *xip;
} Generation;

/* Reads xmin:xmax:xip,xip,... */
static void
parse_snapshot(char *s, Generation *generation)
{
	char	   *end;

	generation->nxip = 0;
	generation->xip = palloc((strlen(s) / 2 + 1) * sizeof(uint64));
	(void) strtou64(s, &end, 10);
	generation->xmax = strtou64(end + 1, &end, 10);
	while (*end != '\0' && end[1] != '\0')
		generation->xip[generation->nxip++] = strtou64(end + 1, &end, 10);
}

static void
read_generation(int32 funnel_id, Snapshot snapshot, Generation *generation)
{
	Relation	rel = table_open(lf_own_tables()->generation, AccessShareLock);
	Relation	index = index_open(lf_own_tables()->generation_pkey, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	memset(generation, 0, sizeof(*generation));
	ScanKeyInit(&key, GENERATION_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	scan = systable_beginscan_ordered(rel, index, snapshot, 1, &key);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (tuple != NULL)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, GENERATION_SNAPSHOT, RelationGetDescr(rel), &isnull);

		parse_snapshot(DatumGetCString(DirectFunctionCall1(pg_snapshot_out, value)), generation);
		generation->number = DatumGetInt64(heap_getattr(tuple, GENERATION_GENERATION, RelationGetDescr(rel), &isnull));
		generation->tid = tuple->t_self;
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
}

/* Tuples that a fold has taken in and may delete. */
typedef struct TupleIds
{
	int			count;
	int			room;
	ItemPointerData *tids;
} TupleIds;

static void
remember_tuple(TupleIds *ids, ItemPointer tid)
{
	if (ids == NULL)
		return;
	if (ids->count == ids->room)
	{
		ids->room = ids->room == 0 ? 512 : ids->room * 2;
		ids->tids = ids->tids == NULL ?
			palloc(ids->room * sizeof(ItemPointerData)) :
			repalloc_huge(ids->tids, ids->room * sizeof(ItemPointerData));
	}
	ids->tids[ids->count++] = *tid;
}

static void
get_dims(HeapTuple tuple, TupleDesc desc, AttrNumber first, text *dims[LF_DIM_COUNT])
{
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, first + i, desc, &isnull);

		dims[i] = isnull ? NULL : DatumGetTextPP(value);
	}
}

static LeadStage
get_stage(HeapTuple tuple, AttrNumber attnum, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? LF_STAGE_NONE : DatumGetLeadStage(value);
}

/* Adds the stock cells of the generation. */
static void
collect_stock(int32 funnel_id, Snapshot snapshot, int64 generation,
			  CellSet *stock, TupleIds *seen)
{
	Relation	rel = table_open(lf_own_tables()->stock_cell, AccessShareLock);
	Relation	index = index_open(lf_own_tables()->stock_cell_generation, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], STOCK_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	ScanKeyInit(&keys[1], STOCK_GENERATION, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(generation));
	scan = systable_beginscan_ordered(rel, index, snapshot, 2, keys);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		text	   *dims[LF_DIM_COUNT];
		Cell	   *cell;

		get_dims(tuple, desc, STOCK_SOURCE, dims);
		cell = get_cell(stock, funnel_id, 0, 0, LF_STAGE_NONE,
						get_stage(tuple, STOCK_STAGE, desc), dims);
		cell->leads += DatumGetInt64(heap_getattr(tuple, STOCK_LEADS, desc, &isnull));
		add_value(stock, &cell->value_in,
				  DatumGetNumeric(heap_getattr(tuple, STOCK_VALUE, desc, &isnull)), 1);
		remember_tuple(seen, &tuple->t_self);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
}

/* One side of a delta: a stage that leads come to (sign 1) or leave (-1). */
static void
collect_side(CellSet *stock, CellSet *flow, const Cell *delta, LeadStage stage,
			 Numeric value, int sign)
{
	Cell	   *cell = get_cell(stock, delta->funnel_id, 0, 0, LF_STAGE_NONE, stage, delta->dims);

	cell->leads += sign * delta->leads;
	add_value(stock, &cell->value_in, value, sign);
	if (flow == NULL)
		return;

	cell = get_cell(flow, delta->funnel_id, 0, delta->day, LF_STAGE_NONE, stage, delta->dims);
	switch (delta->kind)
	{
		case LF_DELTA_OPENING:
			cell->leads += delta->leads;
			add_value(flow, &cell->value_adjustments, value, sign);
			break;
		case LF_DELTA_FLOW:
			if (sign > 0)
				cell->entries += delta->leads;
			else
				cell->exits += delta->leads;
			add_value(flow, sign > 0 ? &cell->value_in : &cell->value_out, value, 1);
			break;
		default:
			cell->adjustments += sign * delta->leads;
			add_value(flow, &cell->value_adjustments, value, sign);
			break;
	}
}

/* Adds the deltas in a range of transactions. */
static void
collect_deltas(int32 funnel_id, Snapshot snapshot, StrategyNumber strategy, RegProcedure compare,
			   uint64 xid, FullTransactionId skip, CellSet *stock, CellSet *flow, TupleIds *seen)
{
	Relation	rel = table_open(lf_own_tables()->delta, AccessShareLock);
	Relation	index = index_open(lf_own_tables()->delta_xid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], DELTA_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	ScanKeyInit(&keys[1], DELTA_XID, strategy, compare,
				FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)));
	scan = systable_beginscan_ordered(rel, index, snapshot, 2, keys);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Cell		delta;
		FullTransactionId writer =
			DatumGetFullTransactionId(heap_getattr(tuple, DELTA_XID, desc, &isnull));

		if (FullTransactionIdEquals(writer, skip))
			continue;
		memset(&delta, 0, sizeof(delta));
		delta.funnel_id = funnel_id;
		delta.day = DatumGetDateADT(heap_getattr(tuple, DELTA_DAY, desc, &isnull));
		delta.leads = DatumGetInt64(heap_getattr(tuple, DELTA_LEADS, desc, &isnull));
		delta.from = get_stage(tuple, DELTA_FROM_STAGE, desc);
		delta.to = get_stage(tuple, DELTA_TO_STAGE, desc);
		delta.kind = DatumGetChar(heap_getattr(tuple, DELTA_KIND, desc, &isnull));
		get_dims(tuple, desc, DELTA_SOURCE, delta.dims);
		if (delta.from != LF_STAGE_NONE)
			collect_side(stock, flow, &delta, delta.from,
						 DatumGetNumeric(heap_getattr(tuple, DELTA_VALUE_OUT, desc, &isnull)), -1);
		if (delta.to != LF_STAGE_NONE)
			collect_side(stock, flow, &delta, delta.to,
						 DatumGetNumeric(heap_getattr(tuple, DELTA_VALUE_IN, desc, &isnull)), 1);
		remember_tuple(seen, &tuple->t_self);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
}

/* Adds all deltas that the snapshot sees and the generation did not. */
static void
collect_tail(int32 funnel_id, Snapshot snapshot, const Generation *generation,
			 FullTransactionId skip, CellSet *stock, CellSet *flow, TupleIds *seen)
{
	for (int i = 0; i < generation->nxip; i++)
	{
		if (generation->xip[i] < generation->xmax)
			collect_deltas(funnel_id, snapshot, BTEqualStrategyNumber, F_XID8EQ,
						   generation->xip[i], skip, stock, flow, seen);
	}
	collect_deltas(funnel_id, snapshot, BTGreaterEqualStrategyNumber, F_XID8GE,
				   generation->xmax, skip, stock, flow, seen);
}

void
lf_stats_note_all_out(int32 funnel_id, DateADT day)
{
	CellSet		stock = {.cxt = CurrentMemoryContext};
	Generation	generation;
	Snapshot	snapshot;

	lf_stats_flush();
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	read_generation(funnel_id, snapshot, &generation);
	collect_stock(funnel_id, snapshot, generation.number, &stock, NULL);
	collect_tail(funnel_id, snapshot, &generation, InvalidFullTransactionId, &stock, NULL, NULL);
	UnregisterSnapshot(snapshot);
	for (int i = 0; i < stock.count; i++)
	{
		const Cell *cell = &stock.cells[i];

		if (cell->leads != 0 || !is_zero(cell->value_in))
			note(funnel_id, LF_DELTA_FLOW, day, cell->to, LF_STAGE_NONE, cell->dims,
				 cell->value_in, NULL, cell->leads);
	}
	lf_stats_flush();
}

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

		if (cell->leads == 0 && is_zero(cell->value_in))
			continue;
		memset(nulls, false, sizeof(nulls));
		values[STOCK_FUNNEL_ID - 1] = Int32GetDatum(funnel_id);
		values[STOCK_GENERATION - 1] = Int64GetDatum(generation);
		values[STOCK_LEADS - 1] = Int64GetDatum(cell->leads);
		put_stage(values, nulls, STOCK_STAGE, cell->to);
		values[STOCK_VALUE - 1] = value_datum(cell->value_in);
		put_dims(values, nulls, STOCK_SOURCE, cell->dims);
		tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
		lf_insert_tuple(rel, tuple, lf_own_tables()->stock_cell_generation, 2, keys);
		heap_freetuple(tuple);
		(*written)++;
	}
	table_close(rel, NoLock);
}

static void
write_flow(int32 funnel_id, const CellSet *flow)
{
	static const AttrNumber keys[] = {FLOW_FUNNEL_ID, FLOW_DAY};
	Relation	rel = table_open(lf_own_tables()->flow_cell, RowExclusiveLock);

	for (int i = 0; i < flow->count; i++)
	{
		const Cell *cell = &flow->cells[i];
		Datum		values[FLOW_COLUMNS];
		bool		nulls[FLOW_COLUMNS];
		HeapTuple	tuple;

		memset(nulls, false, sizeof(nulls));
		values[FLOW_FUNNEL_ID - 1] = Int32GetDatum(funnel_id);
		values[FLOW_DAY - 1] = DateADTGetDatum(cell->day);
		values[FLOW_OPENING - 1] = Int64GetDatum(cell->leads);
		values[FLOW_ENTRIES - 1] = Int64GetDatum(cell->entries);
		values[FLOW_EXITS - 1] = Int64GetDatum(cell->exits);
		values[FLOW_ADJUSTMENTS - 1] = Int64GetDatum(cell->adjustments);
		put_stage(values, nulls, FLOW_STAGE, cell->to);
		values[FLOW_VALUE_IN - 1] = value_datum(cell->value_in);
		values[FLOW_VALUE_OUT - 1] = value_datum(cell->value_out);
		values[FLOW_VALUE_ADJUSTMENTS - 1] = value_datum(cell->value_adjustments);
		put_dims(values, nulls, FLOW_SOURCE, cell->dims);
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
	uint64		xmin;
	bool		written = false;

	parse_snapshot(s, &parsed);
	xmin = strtou64(s, NULL, 10);
	own = FullTransactionIdIsValid(top) ? U64FromFullTransactionId(top) : parsed.xmax;
	initStringInfo(&result);
	appendStringInfo(&result, UINT64_FORMAT ":" UINT64_FORMAT ":", Min(xmin, own), parsed.xmax);
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
 * Who commits must not wait for a fold: neither for another one, nor for a
 * DBA who has locked one of the tables.
 */
static bool
lock_for_fold(int32 funnel_id, bool wait)
{
	const OwnTables *own = lf_own_tables();

	if (!lock_statistics(funnel_id, wait))
		return false;
	return wait ||
		(ConditionalLockRelationOid(own->generation, RowExclusiveLock) &&
		 ConditionalLockRelationOid(own->stock_cell, RowExclusiveLock) &&
		 ConditionalLockRelationOid(own->flow_cell, RowExclusiveLock) &&
		 ConditionalLockRelationOid(own->delta, RowExclusiveLock));
}

bool
lf_stats_fold(int32 funnel_id, bool wait)
{
	MemoryContext cxt;
	MemoryContext previous;
	bool		due;

	if (!lock_for_fold(funnel_id, wait))
		return false;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel fold", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(cxt);
	{
		CellSet		stock = {.cxt = cxt};
		CellSet		flow = {.cxt = cxt};
		TupleIds	cells = {0};
		TupleIds	deltas = {0};
		TupleIds	generations = {0};
		Generation	old;
		int64		written;
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		FullTransactionId own_xid = GetTopFullTransactionIdIfAny();

		/* after the lock, so that it sees what the last holder committed */
		PushActiveSnapshot(snapshot);
		read_generation(funnel_id, snapshot, &old);
		collect_stock(funnel_id, snapshot, old.number, &stock, &cells);
		collect_tail(funnel_id, snapshot, &old, own_xid, &stock, &flow, &deltas);
		due = deltas.count > 0 &&
			(wait || deltas.count >= Max(LF_FOLD_EVERY, cells.count / 4));
		if (due)
		{
			write_stock(funnel_id, old.number + 1, &stock, &written);
			write_flow(funnel_id, &flow);
			write_generation(funnel_id, old.number + 1, stored_snapshot(), written);
			delete_tuples(lf_own_tables()->delta, &deltas);
			delete_tuples(lf_own_tables()->stock_cell, &cells);
			if (old.number > 0)
			{
				remember_tuple(&generations, &old.tid);
				delete_tuples(lf_own_tables()->generation, &generations);
			}
		}
		PopActiveSnapshot();
		UnregisterSnapshot(snapshot);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	return due;
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
		pg_prng_uint64(&pg_global_prng_state) % LF_FOLD_EVERY >= appended)
		return;
	HOLD_INTERRUPTS();
	(void) lf_stats_fold(appended_for, false);
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

PG_FUNCTION_INFO_V1(lf_fold);
PG_FUNCTION_INFO_V1(lf_lock_statistics);
PG_FUNCTION_INFO_V1(lf_snapshot);

/* lead_funnel._fold(funnel_id) */
Datum
lf_fold(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_stats_fold(PG_GETARG_INT32(0), true));
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
