/*-------------------------------------------------------------------------
 *
 * cells.c
 *	  Cells of the statistics, in memory and in the tables that keep them.
 *
 * IDENTIFICATION
 *	  src/cells.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "cells.h"
#include "compat.h"

/* Up to this many cells are searched one by one. */
#define LF_LINEAR_CELLS 8

static uint32
hash_key(const CellKey *key)
{
	uint32		hash = hash_combine(hash_bytes_uint32((uint32) key->day),
									hash_bytes_uint32((uint32) key->kind << 16 | (uint32) key->from << 8 | key->to));

	hash = hash_combine(hash, (uint32) key->funnel_id);
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		const text *dim = key->dims[i];

		if (dim != NULL)
			hash = hash_combine(hash, hash_bytes((const unsigned char *) VARDATA_ANY(dim),
												 VARSIZE_ANY_EXHDR(dim)) + i + 1);
	}
	return hash;
}

static bool
has_key(const Cell *cell, const CellKey *key)
{
	if (cell->key.day != key->day || cell->key.from != key->from || cell->key.to != key->to ||
		cell->key.kind != key->kind || cell->key.funnel_id != key->funnel_id)
		return false;
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		if (!lf_text_equal(cell->key.dims[i], key->dims[i]))
			return false;
	}
	return true;
}

static void
put_into_bucket(CellSet *set, int at)
{
	Cell	   *cell = &set->cells[at];
	int		   *bucket = &set->buckets[cell->hash % set->nbuckets];

	cell->next = *bucket;
	*bucket = at;
}

static void
grow(CellSet *set)
{
	bool		was_linear = set->nbuckets == 0;

	if (set->cells == NULL)
	{
		set->room = LF_LINEAR_CELLS;
		set->cells = palloc(set->room * sizeof(Cell));
		return;
	}
	set->room *= 4;
	set->cells = repalloc_huge(set->cells, set->room * sizeof(Cell));
	if (set->buckets != NULL)
		pfree(set->buckets);
	set->nbuckets = set->room * 2;
	set->buckets = MemoryContextAllocHuge(set->cxt, set->nbuckets * sizeof(int));
	memset(set->buckets, -1, set->nbuckets * sizeof(int));
	for (int i = 0; i < set->count; i++)
	{
		if (was_linear)
			set->cells[i].hash = hash_key(&set->cells[i].key);
		put_into_bucket(set, i);
	}
}

static int
find_cell(const CellSet *set, const CellKey *key, uint32 hash)
{
	if (set->nbuckets == 0)
	{
		for (int i = 0; i < set->count; i++)
		{
			if (has_key(&set->cells[i], key))
				return i;
		}
		return -1;
	}
	for (int i = set->buckets[hash % set->nbuckets]; i >= 0; i = set->cells[i].next)
	{
		if (set->cells[i].hash == hash && has_key(&set->cells[i], key))
			return i;
	}
	return -1;
}

Cell *
lf_known_cell(const CellSet *set, const CellKey *key)
{
	int			at = find_cell(set, key, set->nbuckets > 0 ? hash_key(key) : 0);

	return at >= 0 ? &set->cells[at] : NULL;
}

Cell *
lf_cell(CellSet *set, const CellKey *key)
{
	MemoryContext previous;
	uint32		hash;
	int			at;
	Cell	   *cell;

	if (set->count > 0 && has_key(&set->cells[set->last], key))
		return &set->cells[set->last];
	hash = set->nbuckets > 0 ? hash_key(key) : 0;
	at = find_cell(set, key, hash);
	if (at >= 0)
	{
		set->last = at;
		return &set->cells[at];
	}

	previous = MemoryContextSwitchTo(set->cxt);
	if (set->count == set->room)
	{
		grow(set);
		hash = set->nbuckets > 0 ? hash_key(key) : 0;
	}
	at = set->count++;
	cell = &set->cells[at];
	memset(cell, 0, sizeof(*cell));
	cell->key = *key;
	for (int i = 0; i < LF_DIM_COUNT; i++)
		cell->key.dims[i] = lf_text_copy(key->dims[i]);
	cell->hash = hash;
	if (set->nbuckets > 0)
		put_into_bucket(set, at);
	set->last = at;
	MemoryContextSwitchTo(previous);
	return cell;
}

void
lf_put_stage(Datum *values, bool *nulls, AttrNumber attnum, LeadStage stage)
{
	values[attnum - 1] = LeadStageGetDatum(stage);
	nulls[attnum - 1] = (stage == LF_STAGE_NONE);
}

void
lf_put_dims(Datum *values, bool *nulls, AttrNumber first, text *const *dims)
{
	for (int i = 0; i < LF_DIM_COUNT; i++)
	{
		values[first - 1 + i] = PointerGetDatum(dims[i]);
		nulls[first - 1 + i] = (dims[i] == NULL);
	}
}

void
lf_flow_row(const Cell *cell, Datum *values, bool *nulls)
{
	memset(nulls, false, FLOW_COLUMNS * sizeof(bool));
	values[FLOW_FUNNEL_ID - 1] = Int32GetDatum(cell->key.funnel_id);
	values[FLOW_DAY - 1] = DateADTGetDatum(cell->key.day);
	values[FLOW_OPENING - 1] = Int64GetDatum(cell->leads);
	values[FLOW_ENTRIES - 1] = Int64GetDatum(cell->entries);
	values[FLOW_EXITS - 1] = Int64GetDatum(cell->exits);
	values[FLOW_ADJUSTMENTS - 1] = Int64GetDatum(cell->adjustments);
	lf_put_stage(values, nulls, FLOW_STAGE, cell->key.to);
	values[FLOW_VALUE_IN - 1] = lf_sum_value(&cell->value_in);
	values[FLOW_VALUE_OUT - 1] = lf_sum_value(&cell->value_out);
	values[FLOW_VALUE_ADJUSTMENTS - 1] = lf_sum_value(&cell->value_adjustments);
	lf_put_dims(values, nulls, FLOW_SOURCE, cell->key.dims);
}
