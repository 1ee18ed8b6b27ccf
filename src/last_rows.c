/*-------------------------------------------------------------------------
 *
 * last_rows.c
 *	  The last journal rows of many leads.
 *
 * NOTES
 *	  A descent through the index finds the last row of one lead.  Leads that
 *	  are written together often lie close together, and then it costs less to
 *	  walk on through the leaves of the index from one to the next.  Which of
 *	  both is cheaper depends on how many entries lie between, which is learnt
 *	  on the way.
 *
 * IDENTIFICATION
 *	  src/last_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "last_rows.h"

/*
 * Walking on through the index to the next lead costs less than to descend to
 * it, if no more entries than this lie between.
 */
#define LF_WALK_ENTRIES 24

/* A walk through one of the two indexes, backward: the last row comes first. */
typedef struct Walk
{
	IndexScanDesc scan;
	TupleTableSlot *slot;
	bool		may_go_on;		/* from lead to lead */
	bool		goes_on;		/* has been set out so that it can */
	bool		positioned;		/* on an entry not yet passed */
	LeadKey		here;			/* of that entry, once compared */
	/* what it has learnt of how many entries lie between leads: */
	double		passed;			/* so many */
	double		distance;		/* over this distance of keys */
} Walk;

/* Whether the walk's entry is before (-1), of (0) or behind (1) the lead. */
static int
compare_entry(Walk *walk, const Lead *lead)
{
	TupleDesc	desc = walk->scan->xs_itupdesc;
	IndexTuple	entry = walk->scan->xs_itup;
	Lead		other = {.key.is_integer = lead->key.is_integer};
	bool		isnull;
	Datum		key = index_getattr(entry, 1, desc, &isnull);

	if (lead->key.is_integer)
		other.key.id = DatumGetInt64(key);
	else
		other.key.key = DatumGetTextPP(key);
	other.funnel_id = DatumGetInt32(index_getattr(entry, 2, desc, &isnull));
	walk->here = other.key;
	return lf_lead_compare(&other, lead);
}

static void
init_key(ScanKey key, const Lead *lead, StrategyNumber strategy, RegProcedure of_numbers, RegProcedure of_texts)
{
	if (lead->key.is_integer)
		ScanKeyInit(key, 1, strategy, of_numbers, Int64GetDatum(lead->key.id));
	else
	{
		ScanKeyInit(key, 1, strategy, of_texts, PointerGetDatum(lead->key.key));
		key->sk_collation = C_COLLATION_OID;
	}
}

static void
go_back(Walk *walk)
{
	walk->positioned = index_getnext_tid(walk->scan, BackwardScanDirection) != NULL;
}

/* Descends to the last entry of the lead. */
static void
descend_to_lead(Walk *walk, const Lead *lead)
{
	ScanKeyData keys[2];

	init_key(&keys[0], lead, BTEqualStrategyNumber, F_INT8EQ, F_TEXTEQ);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(lead->funnel_id));
	index_rescan(walk->scan, keys, lengthof(keys), NULL, 0);
	go_back(walk);
}

/* Descends to the last entry of the lead's key, from where one may walk to that of "lowest". */
static void
descend_to_walk(Walk *walk, const Lead *lead, const Lead *lowest)
{
	ScanKeyData keys[2];

	init_key(&keys[0], lead, BTLessEqualStrategyNumber, F_INT8LE, F_TEXT_LE);
	init_key(&keys[1], lowest, BTGreaterEqualStrategyNumber, F_INT8GE, F_TEXT_GE);
	index_rescan(walk->scan, keys, lengthof(keys), NULL, 0);
	go_back(walk);
}

/*
 * Numbers tell how far apart they are, and so about how many entries lie
 * between; of texts only the average is known.
 */
static double
key_distance(const LeadKey *higher, const LeadKey *lower)
{
	return higher->is_integer ? (double) higher->id - (double) lower->id : 1;
}

/* Whether to walk from one lead to the other passes no more entries than a descent is worth. */
static bool
is_near(const Walk *walk, const Lead *higher, const Lead *lower)
{
	return key_distance(&higher->key, &lower->key) * walk->passed <= LF_WALK_ENTRIES * walk->distance;
}

/*
 * Descends to a lead; if the next one is near, so that the walk can go on to it,
 * which costs more, since whole pages are read.
 */
static void
set_out(Walk *walk, Lead *const *leads, int i)
{
	walk->goes_on = walk->may_go_on && i > 0 && is_near(walk, leads[i], leads[i - 1]);
	if (walk->goes_on)
		descend_to_walk(walk, leads[i], leads[0]);
	else
		descend_to_lead(walk, leads[i]);
}

/* Finds the last row of one lead; leads come in falling order. */
static void
find_last(Walk *walk, Lead *const *leads, int i, TupleDesc desc)
{
	Lead	   *lead = leads[i];
	bool		came_on = walk->goes_on && is_near(walk, leads[i + 1], lead);
	int			entries = 0;

	lead->has_last = false;
	if (!came_on)
		set_out(walk, leads, i);

	while (walk->positioned)
	{
		int			order = walk->goes_on ? compare_entry(walk, lead) : 0;

		if (order < 0)
			break;
		if (order == 0 && index_fetch_heap(walk->scan, walk->slot))
		{
			lf_journal_read_row(ExecFetchSlotHeapTuple(walk->slot, false, NULL), desc, &lead->last);
			lead->last.state = lf_state_copy(&lead->last.state, lead->likely);
			lead->last.key = lead->key;
			lead->has_last = true;
			break;
		}
		CHECK_FOR_INTERRUPTS();
		if (order > 0 && ++entries > LF_WALK_ENTRIES)
		{
			/* too far, or the key has many entries in other funnels */
			walk->passed += entries;
			if (came_on)
				walk->distance += key_distance(&leads[i + 1]->key, &walk->here);
			walk->goes_on = came_on = false;
			descend_to_lead(walk, lead);
		}
		else
			go_back(walk);
	}
	if (came_on)
	{
		walk->passed += entries;
		walk->distance += key_distance(&leads[i + 1]->key, &lead->key);
	}
}

void
lf_last_rows(Relation journal, Relation index, Lead **leads, int count)
{
	Walk		walk = {.may_go_on = count > 4};

	walk.scan = lf_index_beginscan(journal, index, SnapshotSelf, 2);
	walk.slot = table_slot_create(journal, NULL);
	walk.scan->xs_want_itup = walk.may_go_on;
	/* a few long ways do not tell that all texts are far apart */
	if (!leads[0]->key.is_integer)
		walk.distance = 10;
	for (int i = count - 1; i >= 0; i--)
		find_last(&walk, leads, i, RelationGetDescr(journal));
	index_endscan(walk.scan);
	ExecDropSingleTupleTableSlot(walk.slot);
}
