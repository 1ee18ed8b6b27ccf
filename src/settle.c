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

#define LF_SETTLE_BATCH 1000

/* Allocated in TopTransactionContext; those of the innermost subtransaction are the last ones. */
static Lead **noted = NULL;
static int	count = 0;
static int	room = 0;

/* A lead, the table that it is in, and the subtransaction of its event. */
typedef struct NotedLead
{
	Lead		lead;			/* first, for lf_lead_compare() */
	Oid			root;
	SubTransactionId subid;
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
by_lead(const void *a, const void *b)
{
	return lf_lead_compare(*(Lead *const *) a, *(Lead *const *) b);
}

static void
settle(JournalWriter *writer, Lead *lead)
{
	Oid			root = ((NotedLead *) lead)->root;
	Funnel	   *funnel = lf_funnel_lookup(root);
	LeadState	state = {.live = false};

	if (funnel == NULL || funnel->funnel_id != lead->funnel_id)
		return;
	if (lf_table_rows_of_key(root, &lead->key, &state) > 1)
		lf_moves_refuse_duplicate(funnel, &lead->key);
	lf_moves_set_state(writer, funnel, lead, &state, GetCurrentCommandId(true));
}

void
lf_settle_all(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel settling", ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	int			leads = 0;

	qsort(noted, count, sizeof(Lead *), by_lead);
	for (int i = 0; i < count; i++)
	{
		if (leads == 0 || lf_lead_compare(noted[leads - 1], noted[i]) != 0)
			noted[leads++] = noted[i];
	}
	for (int i = 0; i < leads; i += LF_SETTLE_BATCH)
	{
		int			size = Min(leads - i, LF_SETTLE_BATCH);
		JournalWriter *writer = lf_journal_open();

		lf_journal_find(writer, noted + i, size);
		for (int j = i; j < i + size; j++)
			settle(writer, noted[j]);
		lf_journal_close(writer);
		MemoryContextReset(cxt);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	lf_settle_forget();
}
