/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  Leads of which the order of events is not certain.
 *
 * NOTES
 *	  If triggers within triggers give leads other keys, it cannot always be
 *	  told which row had a key when (queue.c).  The journal must be right all
 *	  the same when the transaction commits.  So the keys of such events are
 *	  noted, and before commit the rows that have them are looked up.  Where the
 *	  journal says something else, the difference is journalled as reconcile.
 *
 *	  What a subtransaction that is rolled back has noted is forgotten: its locks
 *	  are gone, so the row may be another session's by then.
 *
 * IDENTIFICATION
 *	  src/settle.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "lead_table.h"
#include "moves.h"
#include "settle.h"

/* Where no index begins with the key, the table is read once for so many leads. */
#define LF_SETTLE_BATCH 10000

/* Allocated in TopTransactionContext; those of the innermost subtransaction are the last ones. */
static Lead **noted = NULL;
static int	count = 0;
static int	room = 0;

/* A lead, the table that it is in, and the subtransaction of its event. */
typedef struct NotedLead
{
	Lead		lead;			/* first, for lf_journal_find() */
	Oid			root;
	SubTransactionId subid;
	int			rows;			/* that have its key, as found before commit */
	LeadState	state;			/* of one */
} NotedLead;

static void
note(const Event *event, const LeadKey *key)
{
	NotedLead  *one = palloc0(sizeof(NotedLead));

	if (count == room)
	{
		room = room == 0 ? 16 : room * 2;
		noted = noted == NULL ? palloc(room * sizeof(Lead *)) : repalloc_huge(noted, room * sizeof(Lead *));
	}
	one->lead.funnel_id = event->funnel_id;
	one->lead.key = lf_key_copy(key);
	one->root = event->root;
	one->subid = event->subid;
	noted[count++] = &one->lead;
}

void
lf_settle_note(Event *event)
{
	MemoryContext previous;

	if (event->is_noted)
		return;
	event->is_noted = true;
	previous = MemoryContextSwitchTo(TopTransactionContext);
	if (event->has_old)
		note(event, &event->old_key);
	if (event->has_new && (!event->has_old || lf_event_changes_key(event)))
		note(event, &event->new_key);
	MemoryContextSwitchTo(previous);
}

bool
lf_settle_is_pending(void)
{
	return count > 0;
}

void
lf_settle_forget(void)
{
	noted = NULL;
	count = room = 0;
}

void
lf_settle_drop(SubTransactionId subid)
{
	while (count > 0 && ((NotedLead *) noted[count - 1])->subid == subid)
		count--;
}

void
lf_settle_hand_over(SubTransactionId subid, SubTransactionId parent)
{
	for (int i = count - 1; i >= 0 && ((NotedLead *) noted[i])->subid == subid; i--)
		((NotedLead *) noted[i])->subid = parent;
}

static int
by_funnel_and_key(const void *a, const void *b)
{
	const Lead *x = *(Lead *const *) a;
	const Lead *y = *(Lead *const *) b;

	if (x->funnel_id != y->funnel_id)
		return x->funnel_id < y->funnel_id ? -1 : 1;
	return lf_key_compare(&x->key, &y->key);
}

/* Leads of one funnel that are settled together. */
typedef struct Batch
{
	MemoryContext cxt;
	Lead	  **leads;
	int			count;
} Batch;

static void
take_row(const Funnel *funnel, TupleTableSlot *slot, int key, void *arg)
{
	const Batch *batch = arg;
	NotedLead  *one = (NotedLead *) batch->leads[key];
	LeadState	state;
	MemoryContext previous;

	if (one->rows++ > 0)
		return;
	lf_lead_state(funnel, slot, NULL, &state);
	previous = MemoryContextSwitchTo(batch->cxt);
	one->state = lf_state_copy(&state, NULL);
	MemoryContextSwitchTo(previous);
}

static void
find_rows(Batch *batch)
{
	const LeadKey **keys = palloc(batch->count * sizeof(LeadKey *));

	for (int i = 0; i < batch->count; i++)
		keys[i] = &batch->leads[i]->key;
	lf_table_visit_keys(((NotedLead *) batch->leads[0])->root, keys, batch->count, take_row, batch);
}

static void
settle(JournalWriter *writer, NotedLead *one)
{
	Funnel	   *funnel = lf_funnel_lookup(one->root);

	if (funnel == NULL || funnel->funnel_id != one->lead.funnel_id)
		return;
	if (one->rows > 1)
		lf_moves_refuse_duplicate(funnel, &one->lead.key);
	lf_moves_set_state(writer, funnel, &one->lead, &one->state, GetCurrentCommandId(true));
}

static void
settle_batch(Batch *batch)
{
	JournalWriter *writer;

	find_rows(batch);
	writer = lf_journal_open();
	lf_journal_find(writer, batch->leads, batch->count);
	for (int i = 0; i < batch->count; i++)
		settle(writer, (NotedLead *) batch->leads[i]);
	lf_journal_close(writer);
}

void
lf_settle_all(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel settling", ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	int			leads = 0;

	qsort(noted, count, sizeof(Lead *), by_funnel_and_key);
	for (int i = 0; i < count; i++)
	{
		if (leads == 0 || by_funnel_and_key(&noted[leads - 1], &noted[i]) != 0)
			noted[leads++] = noted[i];
	}
	for (int i = 0; i < leads;)
	{
		Batch		batch = {.cxt = cxt,.leads = noted + i};

		while (i < leads && batch.count < LF_SETTLE_BATCH && noted[i]->funnel_id == batch.leads[0]->funnel_id)
		{
			batch.count++;
			i++;
		}
		settle_batch(&batch);
		MemoryContextReset(cxt);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	lf_settle_forget();
}
