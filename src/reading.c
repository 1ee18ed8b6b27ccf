/*-------------------------------------------------------------------------
 *
 * reading.c
 *	  What a snapshot sees of the statistics.
 *
 * NOTES
 *	  That is the newest generation that it sees, and the deltas that it sees
 *	  and this generation did not.  They are found by index from the xmax of
 *	  the generation's snapshot on, and for its transactions in progress, past
 *	  everything that has been folded: how much of that is still there does
 *	  not matter, so an old snapshot that keeps VACUUM away costs nothing.
 *
 *	  The views call lead_funnel._stock() and its like with the rights of
 *	  whoever reads the view.  So everybody may call them, and they look
 *	  themselves who it is (readers.c).  They only read: on a standby, too.
 *
 * IDENTIFICATION
 *	  src/reading.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "reading.h"
#include "readers.h"
#include "stats.h"

void
lf_parse_snapshot(const char *s, Generation *generation)
{
	char	   *end;

	generation->nxip = 0;
	generation->xip = palloc((strlen(s) / 2 + 1) * sizeof(uint64));
	generation->xmin = strtou64(s, &end, 10);
	generation->xmax = strtou64(end + 1, &end, 10);
	while (*end != '\0' && end[1] != '\0')
		generation->xip[generation->nxip++] = strtou64(end + 1, &end, 10);
}

void
lf_remember_tuple(TupleIds *ids, ItemPointer tid)
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

void
lf_read_generation(int32 funnel_id, Snapshot snapshot, Generation *generation)
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
		Datum		values[GENERATION_COLUMNS];
		bool		nulls[GENERATION_COLUMNS];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		lf_parse_snapshot(DatumGetCString(DirectFunctionCall1(pg_snapshot_out, values[GENERATION_SNAPSHOT - 1])),
						  generation);
		generation->number = DatumGetInt64(values[GENERATION_GENERATION - 1]);
		generation->cells = DatumGetInt64(values[GENERATION_CELLS - 1]);
		generation->tid = tuple->t_self;
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
}

static LeadStage
stage_of(const Datum *values, const bool *nulls, AttrNumber attnum)
{
	return nulls[attnum - 1] ? LF_STAGE_NONE : DatumGetLeadStage(values[attnum - 1]);
}

static void
get_dims(const Reading *reading, const Datum *values, const bool *nulls, AttrNumber first,
		 CellKey *key)
{
	for (int i = first - 1; i < first - 1 + LF_DIM_COUNT; i++)
		key->dims[i - first + 1] = nulls[i] ? reading->missing : DatumGetTextPP(values[i]);
}

/* Unpacked by the functions that it is given to. */
static const PackedNumeric *
packed(Datum value)
{
	return (const PackedNumeric *) DatumGetPointer(value);
}

/* What a row of one of the tables says. */
typedef void (*AddRow) (Reading *reading, HeapTuple tuple, const Datum *values, const bool *nulls);

/* A table, its index, and the range of the index that is read. */
typedef struct Range
{
	Relation	rel;
	Relation	index;
	AttrNumber	funnel_id;		/* first column of the index */
	AttrNumber	second;
	StrategyNumber strategy;
	RegProcedure compare;
	RegProcedure compare_end;	/* of an end that is not in it; or invalid */
	Datum		end;
} Range;

static void
read_range(Reading *reading, const Range *range, Datum value, AddRow add)
{
	TupleDesc	desc = RelationGetDescr(range->rel);
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	ScanKeyData keys[3];
	int			nkeys = 2;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], range->funnel_id, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(reading->funnel_id));
	ScanKeyInit(&keys[1], range->second, range->strategy, range->compare, value);
	if (RegProcedureIsValid(range->compare_end))
		ScanKeyInit(&keys[nkeys++], range->second, BTLessStrategyNumber, range->compare_end, range->end);
	scan = systable_beginscan_ordered(range->rel, range->index, reading->snapshot, nkeys, keys);
	while ((tuple = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(tuple, desc, values, nulls);
		add(reading, tuple, values, nulls);
	}
	systable_endscan_ordered(scan);
	pfree(values);
	pfree(nulls);
}

static void
end_range(const Range *range)
{
	index_close(range->index, AccessShareLock);
	table_close(range->rel, AccessShareLock);
}

static void
add_stock(Reading *reading, HeapTuple tuple, const Datum *values, const bool *nulls)
{
	CellKey		key = {.funnel_id = reading->funnel_id};
	Cell	   *cell;

	key.to = stage_of(values, nulls, STOCK_STAGE);
	get_dims(reading, values, nulls, STOCK_SOURCE, &key);
	cell = lf_cell(reading->stock, &key);
	cell->leads += DatumGetInt64(values[STOCK_LEADS - 1]);
	lf_sum_add(&cell->value_in, packed(values[STOCK_VALUE - 1]), 1, reading->stock->cxt);
	lf_remember_tuple(reading->stock_rows, &tuple->t_self);
}

void
lf_read_stock(Reading *reading, const Generation *generation)
{
	Range		range = {
		.rel = table_open(lf_own_tables()->stock_cell, AccessShareLock),
		.index = index_open(lf_own_tables()->stock_cell_generation, AccessShareLock),
		.funnel_id = STOCK_FUNNEL_ID,.second = STOCK_GENERATION,
		.strategy = BTEqualStrategyNumber,.compare = F_INT8EQ
	};

	read_range(reading, &range, Int64GetDatum(generation->number), add_stock);
	end_range(&range);
}

static void
add_flow(Reading *reading, HeapTuple tuple, const Datum *values, const bool *nulls)
{
	MemoryContext cxt = reading->flow->cxt;
	CellKey		key = {.funnel_id = reading->funnel_id,.day = DatumGetDateADT(values[FLOW_DAY - 1])};
	Cell	   *cell;

	key.to = stage_of(values, nulls, FLOW_STAGE);
	get_dims(reading, values, nulls, FLOW_SOURCE, &key);
	cell = lf_known_cell(reading->flow, &key);
	if (cell == NULL)
		return;
	cell->leads += DatumGetInt64(values[FLOW_OPENING - 1]);
	cell->entries += DatumGetInt64(values[FLOW_ENTRIES - 1]);
	cell->exits += DatumGetInt64(values[FLOW_EXITS - 1]);
	cell->adjustments += DatumGetInt64(values[FLOW_ADJUSTMENTS - 1]);
	lf_sum_add(&cell->value_in, packed(values[FLOW_VALUE_IN - 1]), 1, cxt);
	lf_sum_add(&cell->value_out, packed(values[FLOW_VALUE_OUT - 1]), 1, cxt);
	lf_sum_add(&cell->value_adjustments, packed(values[FLOW_VALUE_ADJUSTMENTS - 1]), 1, cxt);
	lf_remember_tuple(reading->flow_rows, &tuple->t_self);
}

static int
by_day(const void *a, const void *b)
{
	DateADT		x = *(const DateADT *) a;
	DateADT		y = *(const DateADT *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

void
lf_read_flow(Reading *reading)
{
	Range		range = {
		.rel = table_open(lf_own_tables()->flow_cell, AccessShareLock),
		.index = index_open(lf_own_tables()->flow_cell_day, AccessShareLock),
		.funnel_id = FLOW_FUNNEL_ID,.second = FLOW_DAY,
		.strategy = BTEqualStrategyNumber,.compare = F_DATE_EQ
	};
	int			count = reading->flow->count;
	DateADT    *days = palloc(count * sizeof(DateADT));

	for (int i = 0; i < count; i++)
		days[i] = reading->flow->cells[i].key.day;
	qsort(days, count, sizeof(DateADT), by_day);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || days[i] != days[i - 1])
			read_range(reading, &range, DateADTGetDatum(days[i]), add_flow);
	}
	pfree(days);
	end_range(&range);
}

/* One side of a delta: a stage that leads come to (sign 1) or leave (-1). */
static void
add_side(Reading *reading, const CellKey *delta, LeadStage stage, int64 leads, const PackedNumeric *value, int sign)
{
	CellKey		key = *delta;
	Cell	   *cell;

	key.kind = 0;
	key.from = LF_STAGE_NONE;
	key.to = stage;
	if (reading->flow != NULL)
	{
		CellSet    *flow = reading->flow;

		cell = lf_cell(flow, &key);
		switch (delta->kind)
		{
			case LF_DELTA_OPENING:
				cell->leads += leads;
				lf_sum_add(&cell->value_adjustments, value, sign, flow->cxt);
				break;
			case LF_DELTA_FLOW:
				if (sign > 0)
					cell->entries += leads;
				else
					cell->exits += leads;
				lf_sum_add(sign > 0 ? &cell->value_in : &cell->value_out, value, 1, flow->cxt);
				break;
			default:
				cell->adjustments += sign * leads;
				lf_sum_add(&cell->value_adjustments, value, sign, flow->cxt);
				break;
		}
	}
	if (reading->stock != NULL)
	{
		key.day = 0;
		cell = lf_cell(reading->stock, &key);
		cell->leads += sign * leads;
		lf_sum_add(&cell->value_in, value, sign, reading->stock->cxt);
	}
}

static void
add_delta(Reading *reading, HeapTuple tuple, const Datum *values, const bool *nulls)
{
	CellKey		key = {.funnel_id = reading->funnel_id};
	LeadStage	stage;
	int64		leads;

	if (FullTransactionIdEquals(DatumGetFullTransactionId(values[DELTA_XID - 1]), reading->skip))
		return;
	reading->deltas++;
	lf_remember_tuple(reading->delta_rows, &tuple->t_self);
	if (reading->stock == NULL && reading->flow == NULL)
		return;
	key.day = DatumGetDateADT(values[DELTA_DAY - 1]);
	key.kind = DatumGetChar(values[DELTA_KIND - 1]);
	get_dims(reading, values, nulls, DELTA_SOURCE, &key);
	leads = DatumGetInt64(values[DELTA_LEADS - 1]);
	stage = stage_of(values, nulls, DELTA_FROM_STAGE);
	if (stage != LF_STAGE_NONE)
		add_side(reading, &key, stage, leads, packed(values[DELTA_VALUE_OUT - 1]), -1);
	stage = stage_of(values, nulls, DELTA_TO_STAGE);
	if (stage != LF_STAGE_NONE)
		add_side(reading, &key, stage, leads, packed(values[DELTA_VALUE_IN - 1]), 1);
}

/* The transaction id of a snapshot with its epoch; it is not in the future. */
static uint64
full_xid(TransactionId xid)
{
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());

	return next - (uint32) ((uint32) next - xid);
}

/*
 * What has come behind the snapshot is not even looked at: a transaction that
 * reads for hours beside busy writers would have to pass all of it.
 */
void
lf_read_tail(Reading *reading, const Generation *generation)
{
	Range		range = {
		.rel = table_open(lf_own_tables()->delta, AccessShareLock),
		.index = index_open(lf_own_tables()->delta_xid, AccessShareLock),
		.funnel_id = DELTA_FUNNEL_ID,.second = DELTA_XID,
		.strategy = BTEqualStrategyNumber,.compare = F_XID8EQ
	};
	FullTransactionId own = GetTopFullTransactionIdIfAny();
	uint64		end = full_xid(reading->snapshot->xmax);

	for (int i = 0; i < generation->nxip; i++)
	{
		if (generation->xip[i] < generation->xmax)
			read_range(reading, &range, FullTransactionIdGetDatum(FullTransactionIdFromU64(generation->xip[i])), add_delta);
	}
	if (FullTransactionIdIsValid(own) && U64FromFullTransactionId(own) >= Max(generation->xmax, end))
		read_range(reading, &range, FullTransactionIdGetDatum(own), add_delta);
	range.strategy = BTGreaterEqualStrategyNumber;
	range.compare = F_XID8GE;
	range.compare_end = F_XID8LT;
	range.end = FullTransactionIdGetDatum(FullTransactionIdFromU64(end));
	read_range(reading, &range, FullTransactionIdGetDatum(FullTransactionIdFromU64(generation->xmax)), add_delta);
	end_range(&range);
}

/* ---------- functions of the views ---------- */

/* What the statement's own snapshot sees; false if the caller may not know. */
static bool
begin_reading(int32 funnel_id, Reading *reading, Generation *generation)
{
	if (!lf_may_read(funnel_id, GetActiveSnapshot()))
		return false;
	reading->funnel_id = funnel_id;
	reading->snapshot = GetActiveSnapshot();
	lf_read_generation(funnel_id, reading->snapshot, generation);
	return true;
}

PG_FUNCTION_INFO_V1(lf_stock);
PG_FUNCTION_INFO_V1(lf_flow_tail);
PG_FUNCTION_INFO_V1(lf_pending_deltas);

/* lead_funnel._stock(funnel_id, missing) */
Datum
lf_stock(PG_FUNCTION_ARGS)
{
	enum
	{
		STAGE = 1,
		SOURCE,
		LEADS = SOURCE + LF_DIM_COUNT,
		VALUE,
		COLUMNS = VALUE
	};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CellSet		stock = {.cxt = CurrentMemoryContext};
	Reading		reading = {.stock = &stock};
	Generation	generation;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0) || !begin_reading(PG_GETARG_INT32(0), &reading, &generation))
		PG_RETURN_NULL();
	reading.missing = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	lf_read_stock(&reading, &generation);
	lf_read_tail(&reading, &generation);
	for (int i = 0; i < stock.count; i++)
	{
		const Cell *cell = &stock.cells[i];
		Datum		values[COLUMNS];
		bool		nulls[COLUMNS] = {false};

		if (cell->leads == 0 && lf_sum_is_zero(&cell->value_in))
			continue;
		lf_put_stage(values, nulls, STAGE, cell->key.to);
		lf_put_dims(values, nulls, SOURCE, cell->key.dims);
		values[LEADS - 1] = Int64GetDatum(cell->leads);
		values[VALUE - 1] = lf_sum_value(&cell->value_in);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	PG_RETURN_NULL();
}

/* lead_funnel._flow_tail(funnel_id) */
Datum
lf_flow_tail(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CellSet		flow = {.cxt = CurrentMemoryContext};
	Reading		reading = {.flow = &flow};
	Generation	generation;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0) || !begin_reading(PG_GETARG_INT32(0), &reading, &generation))
		PG_RETURN_NULL();
	lf_read_tail(&reading, &generation);
	for (int i = 0; i < flow.count; i++)
	{
		Datum		values[FLOW_COLUMNS];
		bool		nulls[FLOW_COLUMNS];

		lf_flow_row(&flow.cells[i], values, nulls);
		/* the row of table flow_cell without its funnel_id */
		tuplestore_putvalues(result->setResult, result->setDesc,
							 values + FLOW_FUNNEL_ID, nulls + FLOW_FUNNEL_ID);
	}
	PG_RETURN_NULL();
}

/* lead_funnel._pending_deltas(funnel_id) */
Datum
lf_pending_deltas(PG_FUNCTION_ARGS)
{
	Reading		reading = {0};
	Generation	generation;

	if (!begin_reading(PG_GETARG_INT32(0), &reading, &generation))
		PG_RETURN_NULL();
	lf_read_tail(&reading, &generation);
	PG_RETURN_INT64(reading.deltas);
}
