/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  Events that have come and are not journalled yet, and their order.
 *
 * NOTES
 *	  Events are journalled in batches, at the end of the statement at the
 *	  latest.  The rules judge each one when it comes.
 *
 *	  Events may come in the wrong order.  If a user's AFTER trigger writes a
 *	  lead again, the events of that inner statement fire before ours for the
 *	  outer one does.  But the commands that made the versions of a lead are in
 *	  order, and each event knows which command made its old and its new
 *	  version.  So it is enough to know whether an event that belongs before
 *	  this one may be still to come; if so, this one waits.  It may be so only
 *	  if another statement is at work on the same table.  A statement keeps its
 *	  tables open until its triggers are done, so rd_refcnt is more than one
 *	  then (a scan counts as well, so it may be so without another statement).
 *	  And either
 *
 *	  - this transaction made the old version, no event of the command that did
 *	    so has come, and the journal says something else than the old version;
 *	  - or the event takes a key, in a trigger: who had it before may be still
 *	    to give it up.
 *
 *	  Whatever else concerns the lead waits behind it, until the event that made
 *	  the old version comes, or no statement is at work on the table any more,
 *	  at the latest until the transaction ends.  That a statement is over does
 *	  not mean so: a function that another one calls may have made it.
 *
 *	  For keys that change within triggers that is not enough to tell the order
 *	  in each case; settle.c then sees to it that the end is right.
 *
 *	  An event is journalled in the subtransaction that it belongs to: if it
 *	  were in a deeper one, a rollback of that would undo what is written for a
 *	  change that stays.  Where a deeper one needs it in the journal, it adopts
 *	  the event (adopted.c).
 *
 *	  A lead that moves to another partition comes as a DELETE, whose tuple
 *	  says so, and an INSERT; they are joined to the UPDATE that they are.
 *
 * IDENTIFICATION
 *	  src/queue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "adopted.h"
#include "commit_gate.h"
#include "lead_table.h"
#include "ledger.h"
#include "moves.h"
#include "queue.h"
#include "settle.h"

/* A batch is journalled when it has so many events, or takes so much memory. */
#define LF_BATCH_EVENTS 1000
#define LF_BATCH_BYTES (8 * 1024 * 1024)

/* A table with events that wait for an earlier one. */
typedef struct EarlyTable
{
	Oid			relid;
	int			nevents;
} EarlyTable;

typedef struct Queue
{
	MemoryContext cxt;			/* of the events; emptied with the queue */
	Event	  **events;			/* in the order in which they came, so those
								 * of the innermost subtransaction are last */
	int			count;
	int			room;
	int			total;			/* events in cxt, journalled ones, too */
	Size		kept_bytes;		/* of cxt, when it was last compacted */
	int			nwaiting;		/* those that wait, and halves */
	int			nhalves;		/* of moves to another partition */
	int			nearly;			/* those that wait for an earlier one */
	EarlyTable *early_tables;	/* the tables of these */
	int			nearly_tables;
	int			early_room;
	CommandId	newest;			/* what came since the queue was empty is of
								 * no later command */
	HTAB	   *by_key;			/* made when a search is needed, then kept up */
	HTAB	   *by_version;		/* with it */
	uint64		flush;			/* the number of the last one */
} Queue;

static Queue queue;

/*
 * When the client's statement came that has truncated a table last.  Its rows
 * go only after the triggers for that, ours among them, and the others may
 * write it.
 */
static TimestampTz truncated_by = LF_NO_TIME;

/*
 * From so many events on, the memory of a statement and of a batch is kept for
 * the next one: the system, if it were given back, would have to map and clear
 * it anew each time.
 */
#define LF_MANY_EVENTS 64
#define LF_KEPT_BYTES (1024 * 1024)

static bool keeps_events = false;	/* queue.cxt is such memory */
static MemoryContext batch_cxt = NULL;
static SubTransactionId batch_owner = InvalidSubTransactionId;	/* who is using it */

/* Entry of an index by key: the events that concern keys of one hash value. */
typedef struct KeyEntry
{
	uint32		hash;
	List	   *events;
	const Event *undue;			/* one that is not due, */
	uint64		undue_in;		/* in this flush */
} KeyEntry;

/* The same by key and command: events that made a version of a lead, and that replaced it. */
typedef struct VersionEntry
{
	uint32		hash;
	dlist_head	makers;
	dlist_head	followers;
} VersionEntry;

/* ---------- searching by key ---------- */

static uint32
hash_key(Oid root, const LeadKey *key)
{
	return hash_combine(lf_key_hash(key), root);
}

static bool
concerns_key(const Event *event, const LeadKey *key)
{
	return (event->has_old && lf_key_equal(&event->old_key, key)) ||
		(event->has_new && lf_key_equal(&event->new_key, key));
}

static void
index_event(HTAB *index, Event *event, const LeadKey *key)
{
	uint32		hash = hash_key(event->root, key);
	bool		found;
	KeyEntry   *entry = hash_search(index, &hash, HASH_ENTER, &found);

	if (!found)
	{
		entry->events = NIL;
		entry->undue_in = 0;
	}
	entry->events = lappend(entry->events, event);
}

static void
unindex_event(HTAB *index, Event *event, const LeadKey *key)
{
	uint32		hash = hash_key(event->root, key);
	KeyEntry   *entry = hash_search(index, &hash, HASH_FIND, NULL);

	/* what is rolled back is at the end */
	if (llast(entry->events) == event)
		entry->events = list_delete_last(entry->events);
	else
		entry->events = list_delete_ptr(entry->events, event);
	if (entry->events == NIL)
		(void) hash_search(index, &hash, HASH_REMOVE, NULL);
}

/* What it allocates is in the present memory context, which is to be that of the index. */
static void
index_keys(HTAB *index, Event *event, void (*action) (HTAB *index, Event *event, const LeadKey *key))
{
	if (event->has_old)
		action(index, event, &event->old_key);
	if (event->has_new && !(event->has_old && lf_key_equal(&event->old_key, &event->new_key)))
		action(index, event, &event->new_key);
}

static HTAB *
make_index(const char *name, Size entrysize)
{
	HASHCTL		ctl = {.keysize = sizeof(uint32),.entrysize = entrysize,.hcxt = CurrentMemoryContext};

	return hash_create(name, 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static HTAB *
make_key_index(void)
{
	return make_index("lead_funnel events by key", sizeof(KeyEntry));
}

static void index_queue(void);

static VersionEntry *
find_version(Oid root, const LeadKey *key, CommandId cmin, HASHACTION action)
{
	uint32		hash = hash_combine(hash_key(root, key), murmurhash32(cmin));
	bool		found;
	VersionEntry *entry;

	if (queue.by_version == NULL)
		index_queue();
	entry = hash_search(queue.by_version, &hash, action, &found);
	if (entry != NULL && !found)
	{
		dlist_init(&entry->makers);
		dlist_init(&entry->followers);
	}
	return entry;
}

static void
index_versions(Event *event)
{
	VersionEntry *entry;

	if (event->has_new)
	{
		entry = find_version(event->root, &event->new_key, event->new_cmin, HASH_ENTER);
		dlist_push_head(&entry->makers, &event->as_maker);
	}
	if (event->has_old && event->old_is_ours)
	{
		entry = find_version(event->root, &event->old_key, event->old_cmin, HASH_ENTER);
		dlist_push_head(&entry->followers, &event->as_follower);
	}
}

static void
remove_if_empty(VersionEntry *entry)
{
	if (dlist_is_empty(&entry->makers) && dlist_is_empty(&entry->followers))
		(void) hash_search(queue.by_version, &entry->hash, HASH_REMOVE, NULL);
}

static void
unindex_versions(Event *event)
{
	if (event->has_new)
	{
		dlist_delete(&event->as_maker);
		remove_if_empty(find_version(event->root, &event->new_key, event->new_cmin, HASH_FIND));
	}
	if (event->has_old && event->old_is_ours)
	{
		dlist_delete(&event->as_follower);
		remove_if_empty(find_version(event->root, &event->old_key, event->old_cmin, HASH_FIND));
	}
}

static void
index_in_queue(Event *event)
{
	MemoryContext previous = MemoryContextSwitchTo(queue.cxt);

	index_keys(queue.by_key, event, index_event);
	index_versions(event);
	MemoryContextSwitchTo(previous);
}

static void
unindex_in_queue(Event *event)
{
	index_keys(queue.by_key, event, unindex_event);
	unindex_versions(event);
}

static void
index_queue(void)
{
	MemoryContext previous = MemoryContextSwitchTo(queue.cxt);

	queue.by_key = make_key_index();
	queue.by_version = make_index("lead_funnel events by version", sizeof(VersionEntry));
	MemoryContextSwitchTo(previous);
	for (int i = 0; i < queue.count; i++)
		index_in_queue(queue.events[i]);
}

static void
drop_index(void)
{
	if (queue.by_key == NULL)
		return;
	hash_destroy(queue.by_key);
	hash_destroy(queue.by_version);
	queue.by_key = queue.by_version = NULL;
}

static KeyEntry *
find_key(Oid root, const LeadKey *key)
{
	uint32		hash = hash_key(root, key);

	if (queue.count == 0)
		return NULL;
	if (queue.by_key == NULL)
		index_queue();
	return hash_search(queue.by_key, &hash, HASH_FIND, NULL);
}

/* Calls the function for each event in line that concerns the key, until it returns true. */
typedef bool (*Visitor) (Event *other, const LeadKey *key, const void *arg);

static bool
visit_key(Oid root, const LeadKey *key, Visitor visitor, const void *arg)
{
	KeyEntry   *entry = find_key(root, key);
	ListCell   *cell;

	if (entry == NULL)
		return false;
	foreach(cell, entry->events)
	{
		Event	   *other = lfirst(cell);

		if (other->root == root && concerns_key(other, key) && visitor(other, key, arg))
			return true;
	}
	return false;
}

static bool
visit_lead(const Event *event, Visitor visitor, const void *arg)
{
	return (event->has_old && visit_key(event->root, &event->old_key, visitor, arg)) ||
		(lf_event_changes_key(event) || !event->has_old ?
		 visit_key(event->root, &event->new_key, visitor, arg) : false);
}

/* The next one after the last, or the first, of the events in line that made the event's old version. */
static Event *
next_maker(const Event *event, Event *last)
{
	VersionEntry *entry = queue.count > 0 ? find_version(event->root, &event->old_key, event->old_cmin, HASH_FIND) : NULL;
	dlist_node *node;

	if (entry == NULL)
		return NULL;
	for (node = last ? last->as_maker.next : entry->makers.head.next; node != &entry->makers.head; node = node->next)
	{
		Event	   *other = dlist_container(Event, as_maker, node);

		if (other != event && other->root == event->root && other->new_cmin == event->old_cmin &&
			lf_key_equal(&other->new_key, &event->old_key))
			return other;
	}
	return NULL;
}

/* ---------- counting what waits ---------- */

static bool
is_waiting(const Event *event)
{
	return event->wait != WAIT_FOR_NOTHING || event->to_other_partition;
}

/* Doubles the array, which is of the queue's memory context, if it is full. */
static void *
make_room(void *array, int count, int *room, Size size)
{
	if (count < *room)
		return array;
	*room = *room == 0 ? 16 : *room * 2;
	return array == NULL ? MemoryContextAlloc(queue.cxt, *room * size) : repalloc_huge(array, *room * size);
}

static EarlyTable *
find_early_table(Oid relid)
{
	for (int i = queue.nearly_tables - 1; i >= 0; i--)
	{
		if (queue.early_tables[i].relid == relid)
			return &queue.early_tables[i];
	}
	return NULL;
}

static void
count_early_in(Oid relid)
{
	EarlyTable *table = find_early_table(relid);

	queue.nearly++;
	if (table == NULL)
	{
		queue.early_tables = make_room(queue.early_tables, queue.nearly_tables, &queue.early_room, sizeof(EarlyTable));
		table = &queue.early_tables[queue.nearly_tables++];
		table->relid = relid;
		table->nevents = 0;
	}
	table->nevents++;
}

static void
count_early_out(Oid relid)
{
	EarlyTable *table = find_early_table(relid);

	queue.nearly--;
	if (--table->nevents == 0)
		*table = queue.early_tables[--queue.nearly_tables];
}

static void
count_in(const Event *event)
{
	if (is_waiting(event))
		queue.nwaiting++;
	if (event->to_other_partition)
		queue.nhalves++;
	if (event->wait == WAIT_FOR_EARLIER)
		count_early_in(event->relid);
}

static void
count_out(const Event *event)
{
	if (is_waiting(event))
		queue.nwaiting--;
	if (event->to_other_partition)
		queue.nhalves--;
	if (event->wait == WAIT_FOR_EARLIER)
		count_early_out(event->relid);
}

/* ---------- who is early ---------- */

/* An event that waits, or that only another subtransaction may journal. */
static bool
blocks(Event *other, const LeadKey *key, const void *arg)
{
	const Event *event = arg;

	return (other->wait != WAIT_FOR_NOTHING || other->subid != event->subid) && !other->to_other_partition;
}

/* Whether the event that made the old version has come and is to be journalled before this one. */
static bool
old_version_has_come(const Event *event)
{
	for (Event *maker = next_maker(event, NULL); maker != NULL; maker = next_maker(event, maker))
	{
		if (!is_waiting(maker) && maker->subid == event->subid)
			return true;
	}
	return false;
}

static bool
is_any(Event *other, const LeadKey *key, const void *arg)
{
	return !other->to_other_partition;
}

static bool
is_in_journal(const Event *event)
{
	Lead		lead;

	lf_journal_last(event->funnel_id, &event->old_key, &lead);
	return lead.has_last && lead.last.state.live;
}

/*
 * Whether the row that the event writes is the one that was inserted, rather
 * than one that had its key before.
 */
static bool
find_descent(const Event *event, const Event *insert)
{
	while (event->has_old && event->old_is_ours && event->old_cmin >= insert->new_cmin)
	{
		const Event *maker;

		if (event->old_cmin == insert->new_cmin || event->insert_serial == insert->serial)
			return true;

		/*
		 * What becomes of a row is not journalled before its INSERT is. So if
		 * the journal has a lead with this key, it is the one before.
		 */
		maker = next_maker(event, NULL);
		if (maker == NULL)
			return !is_in_journal(event);
		event = maker;
	}
	return false;
}

/* The same, noted: then the next version need not go back further than this one. */
static bool
descends_from(Event *event, const Event *insert)
{
	if (!find_descent(event, insert))
		return false;
	event->insert_serial = insert->serial;
	return true;
}

/*
 * A statement has its command id from its start.  What a function or a trigger
 * does before the statement inserts a row has a higher one, but comes first:
 * that another row gives up the key.
 */
static bool
makes_way(Event *other, const LeadKey *key, const void *arg)
{
	Event	   *insert = unconstify(Event *, (const Event *) arg);

	if (other->has_old && !other->to_other_partition && lf_key_equal(&other->old_key, key) &&
		(!other->has_new || lf_event_changes_key(other)) && !descends_from(other, insert))
		insert->order_cmin = Max(insert->order_cmin, other->order_cmin);
	return false;
}

/* Whether the old version's own event has been journalled, or will never come. */
static bool
is_journalled(const Funnel *funnel, const Event *event)
{
	Lead		lead;

	lf_journal_last(funnel->funnel_id, &event->old_key, &lead);

	/*
	 * if the lead is gone, it is the one before, which has made way for this
	 * one by a later command
	 */
	if (lead.has_last && lead.last.written_by_us && lead.last.cmin >= event->old_cmin &&
		(lead.last.state.live || !event->old.live))
		return true;

	/*
	 * its event may be still to come if the statement that made it has called
	 * this one
	 */
	if (!event->is_outermost)
		return false;

	/*
	 * no other event is in line: what made the version changed nothing that
	 * we are told of
	 */
	if (visit_key(event->root, &event->old_key, is_any, NULL))
		return false;
	if (!lead.has_last || !lead.last.state.live || lead.last.epoch != funnel->epoch)
		return !event->old.live;
	return event->old.live && lf_state_equal(&lead.last.state, &event->old);
}

/* Whether an event that belongs before this one, and has not come, may yet come. */
static bool
is_early(const Funnel *funnel, const Event *event)
{
	if (event->refcnt <= 1)
		return false;
	if (!event->has_old || lf_event_changes_key(event))
	{
		if (event->depth > 1)
			return true;
	}
	if (!event->has_old || !event->old_is_ours || old_version_has_come(event))
		return false;
	/* what is in line is not in the journal */
	return next_maker(event, NULL) != NULL || !is_journalled(funnel, event);
}

/* What became of the row that is inserted, in a trigger before ours, comes behind it. */
static bool
blocks_insert(Event *other, const LeadKey *key, const void *arg)
{
	const Event *insert = arg;

	return blocks(other, key, insert) && !(other->subid == insert->subid && descends_from(other, insert));
}

static void
release(Event *event)
{
	event->wait = WAIT_FOR_NOTHING;
	queue.nwaiting--;
	count_early_out(event->relid);
}

/* The event that waits for nothing but this one, which made its old version. */
static Event *
find_follower(const Event *event)
{
	VersionEntry *entry;
	dlist_iter	i;

	if (!event->has_new || queue.nearly == 0)
		return NULL;
	entry = find_version(event->root, &event->new_key, event->new_cmin, HASH_FIND);
	if (entry == NULL)
		return NULL;
	dlist_foreach(i, &entry->followers)
	{
		Event	   *other = dlist_container(Event, as_follower, i.cur);

		if (other->wait == WAIT_FOR_EARLIER && other->has_new && other->root == event->root &&
			other->subid == event->subid && other->old_cmin == event->new_cmin &&
			!lf_event_changes_key(other) && lf_key_equal(&other->old_key, &event->new_key))
			return other;
	}
	return NULL;
}

/* The next version of the lead need not wait any more, nor the one after it, and so on. */
static void
release_followers(const Event *event)
{
	Event	   *follower;

	while ((follower = find_follower(event)) != NULL)
	{
		release(follower);
		event = follower;
	}
}

/* ---------- adding ---------- */

/* From such an event on it is not certain which row has a key, until the end of the transaction. */
static bool
is_doubtful(const Event *event)
{
	return event->old_is_frozen ||
		(is_waiting(event) && event->depth > 1 &&
		 !(event->has_old && event->has_new && !lf_event_changes_key(event)));
}

/* Notes the events in line, and these.  The ones to come are noted by append(). */
static void
settle_later(const List *events)
{
	const ListCell *cell;

	for (int i = 0; i < queue.count; i++)
		lf_settle_note(queue.events[i]);
	foreach(cell, events)
		lf_settle_note(lfirst(cell));
}

static Event *
put_in_line(const Event *original)
{
	MemoryContext previous;
	Event	   *event;

	if (queue.cxt == NULL)
		queue.cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel events", ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(queue.cxt);
	queue.events = make_room(queue.events, queue.count, &queue.room, sizeof(Event *));
	event = lf_event_copy(original, queue.count > 0 ? queue.events[queue.count - 1] : NULL);
	queue.events[queue.count++] = event;
	queue.newest = Max(queue.newest, event->new_cmin);
	queue.total++;
	count_in(event);
	MemoryContextSwitchTo(previous);
	if (queue.by_key != NULL)
		index_in_queue(event);
	return event;
}

static void
append(const Event *original)
{
	Event	   *event = put_in_line(original);

	if (lf_settle_is_pending())
		lf_settle_note(event);
	else if (is_doubtful(event) || (event->depth > 1 && truncated_by == GetCurrentStatementStartTimestamp()))
		settle_later(NIL);
}

static void
remove_at(int i)
{
	Event	   *event = queue.events[i];

	count_out(event);
	if (queue.by_key != NULL)
		unindex_in_queue(event);
	memmove(&queue.events[i], &queue.events[i + 1], (queue.count - i - 1) * sizeof(Event *));
	queue.count--;
}

/*
 * An INSERT may be the second half of a move to another partition: of the
 * DELETE with its key by the same command, or else, the key being changed as
 * well, of the one that was the last event of the command.  What triggers did
 * in between is of other commands.
 */
static void
join_halves(Event *insert)
{
	int			half = -1;
	uint64		last = 0;

	for (int i = 0; i < queue.count; i++)
	{
		const Event *event = queue.events[i];

		if (event->root != insert->root || event->new_cmin != insert->new_cmin)
			continue;
		if (event->to_other_partition && lf_key_equal(&event->old_key, &insert->new_key))
		{
			half = i;
			break;
		}
		if (event->serial > last)
		{
			last = event->serial;
			half = event->to_other_partition ? i : -1;
		}
	}
	if (half < 0)
		return;
	lf_event_join(insert, queue.events[half]);
	remove_at(half);
}

typedef enum FlushMode
{
	BATCH_IS_FULL,				/* in the middle of a statement */
	SAVEPOINT_IS_RELEASED,		/* maybe in the middle of one, too */
	JOURNAL_IS_READ,			/* the same */
	STATEMENT_IS_OVER,
	ALL_IS_OVER,				/* the client's own statement */
	TABLE_IS_IDLE,				/* no statement is at work on it */
	TRANSACTION_IS_OVER			/* nothing more can come */
} FlushMode;

static void flush(FlushMode mode, Oid relid);

/* Whether so much memory has come to what is kept that it is worth a batch, and to be given back. */
static bool
is_large(void)
{
	return MemoryContextMemAllocated(queue.cxt, false) > LF_BATCH_BYTES + 2 * queue.kept_bytes;
}

static bool
has_others(const Event *event)
{
	return queue.nwaiting > 0 || (queue.count > 0 && queue.events[0]->subid != event->subid);
}

void
lf_queue_add(const Funnel *funnel, Event *event)
{
	if (!event->to_other_partition)
	{
		if (!event->has_old && queue.nhalves > 0)
			join_halves(event);
		if (!event->has_old && queue.count > 0 && queue.newest > event->new_cmin)
			(void) visit_key(event->root, &event->new_key, makes_way, event);
		lf_moves_judge(funnel, event);
		if (is_early(funnel, event))
			event->wait = WAIT_FOR_EARLIER;
		else if (has_others(event))
		{
			/*
			 * an UPDATE or DELETE of a version that came before all that
			 * waits of the lead lets it go on
			 */
			if (event->has_old && !event->old_is_ours && !lf_event_changes_key(event))
				release_followers(event);
			else if (visit_lead(event, event->has_old ? blocks : blocks_insert, event))
				event->wait = WAIT_FOR_LEAD;
			else
				release_followers(event);
		}
	}
	append(event);
	if (queue.count - queue.nwaiting >= LF_BATCH_EVENTS ||
		(queue.count > queue.nwaiting && is_large()))
		flush(BATCH_IS_FULL, InvalidOid);
}

/* ---------- journalling ---------- */

/* An event and the leads whose keys it has. */
typedef struct BatchEvent
{
	Event	   *event;
	Lead	   *lead;
	Lead	   *old_lead;		/* if the key changes */
} BatchEvent;

/* The events that are journalled together. */
typedef struct Batch
{
	JournalWriter *writer;
	int			count;
	BatchEvent *events;			/* in the order of commands */
	List	   *kept;			/* events that must wait on */
	HTAB	   *kept_by_key;	/* if there are any */
} Batch;

static int
by_command(const void *a, const void *b)
{
	return lf_event_compare(((const BatchEvent *) a)->event, ((const BatchEvent *) b)->event);
}

static Lead *
make_lead(const Event *event, const LeadKey *key)
{
	Lead	   *lead = palloc(sizeof(Lead));

	lead->funnel_id = event->funnel_id;
	lead->key = *key;
	lead->likely = event->has_old ? &event->old : NULL;
	lead->has_last = false;
	return lead;
}

static int
by_lead(const void *a, const void *b)
{
	return lf_lead_compare(**(Lead **const *) a, **(Lead **const *) b);
}

/*
 * Puts the events into the order of their leads, if each is of another lead and
 * all are of one command: then neither the rows nor their index entries need to
 * be sorted again.
 */
static void
follow_leads(Batch *batch, Lead **const *places)
{
	BatchEvent *events = palloc(batch->count * sizeof(BatchEvent));

	for (int i = 0; i < batch->count; i++)
		events[i] = *(BatchEvent *) ((char *) places[i] - offsetof(BatchEvent, lead));
	batch->events = events;
}

/* Gives events of one lead the same Lead, and finds the last rows. */
static void
find_leads(Batch *batch)
{
	Lead	 ***places = palloc(2 * batch->count * sizeof(Lead **));
	Lead	  **leads = palloc(2 * batch->count * sizeof(Lead *));
	int			nplaces = 0;
	int			nleads = 0;

	for (int i = 0; i < batch->count; i++)
	{
		BatchEvent *e = &batch->events[i];

		e->lead = make_lead(e->event, lf_event_key(e->event));
		places[nplaces++] = &e->lead;
		e->old_lead = NULL;
		if (!lf_event_changes_key(e->event))
			continue;
		e->old_lead = make_lead(e->event, &e->event->old_key);
		places[nplaces++] = &e->old_lead;
	}
	qsort(places, nplaces, sizeof(Lead **), by_lead);
	for (int i = 0; i < nplaces; i++)
	{
		if (nleads > 0 && lf_lead_compare(leads[nleads - 1], *places[i]) == 0)
			*places[i] = leads[nleads - 1];
		else
			leads[nleads++] = *places[i];
	}
	lf_journal_find(batch->writer, leads, nleads);
	if (nleads == batch->count && nplaces == batch->count &&
		batch->events[0].event->new_cmin == batch->events[batch->count - 1].event->new_cmin)
		follow_leads(batch, places);
}

/* The events that wait on and concern the key, others of the same hash value among them. */
static List *
kept_with_key(const Batch *batch, const Event *event, const LeadKey *key)
{
	uint32		hash = hash_key(event->root, key);
	KeyEntry   *entry = batch->kept == NIL ? NULL : hash_search(batch->kept_by_key, &hash, HASH_FIND, NULL);

	return entry == NULL ? NIL : entry->events;
}

static bool
key_waits_behind_kept(const Batch *batch, const Event *event, const LeadKey *key)
{
	ListCell   *cell;

	foreach(cell, kept_with_key(batch, event, key))
	{
		const Event *other = lfirst(cell);

		if (other->funnel_id == event->funnel_id && concerns_key(other, key))
			return true;
	}
	return false;
}

/* Whether an event that waits on concerns a lead of this one. */
static bool
waits_behind_kept(const Batch *batch, const Event *event)
{
	return (event->has_old && key_waits_behind_kept(batch, event, &event->old_key)) ||
		(event->has_new && key_waits_behind_kept(batch, event, &event->new_key));
}

static void
keep(Batch *batch, Event *event)
{
	if (batch->kept == NIL)
		batch->kept_by_key = make_key_index();
	batch->kept = lappend(batch->kept, event);
	index_keys(batch->kept_by_key, event, index_event);
}

/* What is journalled although the journal has its key in the funnel. */
typedef enum Force
{
	FORCE_NONE,
	FORCE_SAME_KEY,				/* a row that had the key before, out of the
								 * funnel */
	FORCE_ALL
} Force;

/*
 * Waits for sessions that are about to give up a key, before this one writes
 * what others may wait for: then writers who take leads in the same order
 * cannot block each other in a circle.
 */
static void
wait_for_keys(const List *events)
{
	const ListCell *cell;

	foreach(cell, events)
	{
		const Event *event = lfirst(cell);

		if (event->has_new && event->new.live && !lf_event_changes_key(event))
			(void) lf_table_rows_of_key_or_wait(event->root, &event->new_key);
	}
}

/*
 * Whether this transaction made the old version, and the journal says something
 * else of the lead: then another row, made by the same command with the same
 * key, has been taken for this one.
 */
static bool
is_of_another_row(const Funnel *funnel, const BatchEvent *e)
{
	const Lead *lead = e->old_lead != NULL ? e->old_lead : e->lead;

	return e->event->has_old && e->event->old_is_ours && e->event->old.live &&
		!(lead->has_last && lead->last.state.live && lead->last.epoch == funnel->epoch &&
		  lf_state_equal(&lead->last.state, &e->event->old));
}

/*
 * Journals the batch.  What waits for a key that another lead still has, and
 * what comes behind that, is kept.
 */
static void
write_batch(Batch *batch, Force force)
{
	batch->kept = NIL;
	qsort(batch->events, batch->count, sizeof(BatchEvent), by_command);
	find_leads(batch);
	for (int i = 0; i < batch->count; i++)
	{
		BatchEvent *e = &batch->events[i];
		Event	   *event = e->event;
		Funnel	   *funnel = lf_funnel_lookup(event->relid);

		CHECK_FOR_INTERRUPTS();
		if (funnel == NULL)
			continue;
		if (is_of_another_row(funnel, e))
			lf_settle_note(event);
		if (waits_behind_kept(batch, event) ||
			!lf_moves_write(batch->writer, funnel, event, e->lead, e->old_lead,
							force == FORCE_ALL || (force == FORCE_SAME_KEY && event->has_old && e->old_lead == NULL)))
			keep(batch, event);
	}
	wait_for_keys(batch->kept);
	lf_journal_write(batch->writer);
}

/* ---------- keys that are taken ---------- */

/* Another event that waits on gives the lead the key that this one takes from it. */
static bool
comes_from_kept(const Batch *batch, const Event *event)
{
	ListCell   *cell;

	if (!event->old_is_ours)
		return false;
	foreach(cell, kept_with_key(batch, event, &event->old_key))
	{
		const Event *other = lfirst(cell);

		if (other != event && other->has_new && other->new_cmin == event->old_cmin &&
			lf_key_equal(&other->new_key, &event->old_key))
			return true;
	}
	return false;
}

/*
 * Keys may go round: each event waits for the key of another one.  So the
 * leads that are about to get another key leave their old one first.
 */
static void
park_keys(Batch *batch)
{
	ListCell   *cell;

	foreach(cell, batch->kept)
	{
		Event	   *event = lfirst(cell);
		Lead	   *from;
		Lead	   *to;
		LeadKey		parked = {0};
		MemoryContext previous;

		if (!lf_event_changes_key(event) || !event->old.live || !event->new.live ||
			comes_from_kept(batch, event))
			continue;
		previous = MemoryContextSwitchTo(queue.cxt);
		parked.key = cstring_to_text(psprintf("\001parked " UINT64_FORMAT, event->serial));
		event->shown_key = lf_key_string(&event->old_key);
		MemoryContextSwitchTo(previous);
		from = make_lead(event, &event->old_key);
		to = make_lead(event, &parked);
		lf_journal_find(batch->writer, &from, 1);
		lf_commit_gate_rename(from, to);
		lf_journal_rename(batch->writer, from, to, event->new_cmin);
		lf_ledger_rename(event->funnel_id, &from->key, &to->key);
		event->old_key = parked;
	}
}

/*
 * A key that two rows share is an error at the end of the statement.  But the
 * statement trigger may fire between the events of one query, if that is made
 * of several statements by WITH: then the other row is gone already, and its
 * event is on the way.  And a unique constraint may be deferred: then there is
 * time until the transaction ends.  Tells whether a key is shared until then.
 */
static bool
refuse_shared_keys(const List *events, FlushMode mode)
{
	const ListCell *cell;
	bool		may_share = false;

	foreach(cell, events)
	{
		const Event *event = lfirst(cell);
		Funnel	   *funnel = lf_funnel_lookup(event->relid);

		if (funnel == NULL || !event->has_new || !event->new.live ||
			lf_table_rows_of_key_or_wait(event->root, &event->new_key) <= 1)
			continue;
		if (mode == TRANSACTION_IS_OVER || !lf_table_key_is_deferrable(funnel))
			lf_moves_refuse_duplicate(funnel, &event->new_key);
		may_share = true;
	}
	return may_share;
}

static void
write_again(Batch *batch, Force force)
{
	ListCell   *cell;

	batch->count = 0;
	foreach(cell, batch->kept)
		batch->events[batch->count++].event = lfirst(cell);
	write_batch(batch, force);
}

/* Whether one of the events takes a row into the funnel that was out. */
static bool
any_comes_back(const List *events)
{
	const ListCell *cell;

	foreach(cell, events)
	{
		const Event *event = lfirst(cell);

		if (event->has_old && !event->old.live && event->has_new && event->new.live)
			return true;
	}
	return false;
}

/* What is kept waits for keys: of each other, of rows that are gone or are there. */
static void
write_kept(Batch *batch, FlushMode mode)
{
	bool		may_share;

	park_keys(batch);
	write_again(batch, FORCE_NONE);
	if (batch->kept == NIL)
		return;
	may_share = refuse_shared_keys(batch->kept, mode);

	/*
	 * a row that comes back is taken for the lead that the journal has with
	 * its key, but that may be another row whose event is on the way
	 */
	if (may_share || any_comes_back(batch->kept))
		settle_later(batch->kept);
	if (!may_share)
		write_again(batch, mode == TRANSACTION_IS_OVER ? FORCE_ALL : FORCE_SAME_KEY);
}

/* ---------- flushing ---------- */

/* When events are journalled: of a statement or an idle table the table, else invalid. */
typedef struct Moment
{
	FlushMode	mode;
	Oid			relid;
	Oid			root;			/* of a lead that is decided on, */
	const LeadKey *key;			/* and which, or NULL */
	int			depth;
	Oid			known_relid;	/* whether this one is idle has been found out */
	bool		known_idle;
} Moment;

/*
 * Whether no statement but the one that is just over is at work on the table.
 * If that one scans it, or names the parent of a partition, this cannot be
 * told, and the answer is no.
 */
static bool
is_idle(Oid relid, Moment *now)
{
	if (relid != now->known_relid)
	{
		now->known_idle = lf_table_open_count(relid) <= (relid == now->relid ? 1 : 0);
		now->known_relid = relid;
	}
	return now->known_idle;
}

/*
 * Whether all events that belong before an early one have come, though not the
 * one that made its old version: that would have released it.  What does not
 * come before the transaction ends will never come.
 */
static bool
all_have_come(const Event *event, Moment *now)
{
	if (now->mode == ALL_IS_OVER)
		return true;
	if (now->mode == TABLE_IS_IDLE && (event->root == now->relid || event->relid == now->relid))
		return true;
	return now->depth <= 1 && is_idle(event->relid, now) &&
		(event->old_relid == event->relid || is_idle(event->old_relid, now));
}

/* An event that has to be journalled before, but is no candidate of this flush. */
static bool
is_in_the_way(Event *other, const LeadKey *key, const void *arg)
{
	const Event *event = arg;

	return other->candidate_in != queue.flush && !other->to_other_partition && lf_event_compare(other, event) < 0;
}

/* Notes that the event, of which this flush has found that it is not due, is in the way of later ones. */
static void
note_undue(HTAB *index, Event *event, const LeadKey *key)
{
	KeyEntry   *entry = find_key(event->root, key);

	entry->undue = event;
	entry->undue_in = queue.flush;
}

static bool
waits_behind_undue(const Event *event, const LeadKey *key)
{
	KeyEntry   *entry = find_key(event->root, key);

	return entry != NULL && entry->undue_in == queue.flush &&
		entry->undue->root == event->root && concerns_key(entry->undue, key);
}

/* Whether one that belongs before it has to wait on.  All candidates before it have been looked at. */
static bool
has_to_wait(const Event *event)
{
	return (event->has_old && waits_behind_undue(event, &event->old_key)) ||
		(event->has_new && waits_behind_undue(event, &event->new_key)) ||
		(queue.events[0]->candidate_in != queue.flush && visit_lead(event, is_in_the_way, event));
}

/*
 * Whether an event of the present subtransaction is to be journalled now.  Of
 * those before it that is known already.
 */
static bool
is_due(const Event *event, Moment *now)
{
	if (now->mode == TRANSACTION_IS_OVER)
		return true;

	/*
	 * the INSERT did not come: a trigger has kept the row from the other
	 * partition
	 */
	if (event->to_other_partition)
		return (now->mode == STATEMENT_IS_OVER || now->mode == ALL_IS_OVER) && event->depth >= now->depth;
	if (event->wait == WAIT_FOR_NOTHING)
		return true;
	return now->mode != BATCH_IS_FULL &&
		(event->wait != WAIT_FOR_EARLIER || all_have_come(event, now)) &&
		!has_to_wait(event);
}

/*
 * Whether what waits for a key waits in vain: a statement is over, or no
 * statement is at work.
 */
static bool
may_force(const Batch *batch, Moment *now)
{
	ListCell   *cell;

	if (now->mode != JOURNAL_IS_READ && now->mode != SAVEPOINT_IS_RELEASED)
		return now->mode != BATCH_IS_FULL;
	foreach(cell, batch->kept)
	{
		if (!all_have_come(lfirst(cell), now))
			return false;
	}
	return true;
}

/* Empties the queue. */
static void
forget_events(void)
{
	MemoryContext cxt = queue.cxt;
	bool		many = queue.total >= LF_MANY_EVENTS;
	uint64		flush = queue.flush;

	if (queue.total == 0)
		return;
	memset(&queue, 0, sizeof(queue));
	queue.flush = flush;
	if (many && !keeps_events)
	{
		MemoryContextDelete(cxt);
		cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel events",
									LF_KEPT_BYTES, LF_KEPT_BYTES, ALLOCSET_DEFAULT_MAXSIZE);
		keeps_events = true;
	}
	else
		MemoryContextReset(cxt);
	queue.cxt = cxt;
}

/* Gives the memory of journalled events back, if that is much. */
static void
compact(void)
{
	MemoryContext old = queue.cxt;
	MemoryContext previous;
	Event	  **events = queue.events;
	EarlyTable *early_tables = queue.early_tables;

	if (queue.count == 0)
	{
		forget_events();
		return;
	}
	if (!is_large())
		return;
	if (queue.total < 2 * queue.count)
	{
		/* nearly all wait: there is little to be given back */
		queue.kept_bytes = MemoryContextMemAllocated(queue.cxt, false);
		return;
	}
	queue.cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel events", ALLOCSET_DEFAULT_SIZES);
	queue.by_key = queue.by_version = NULL;
	queue.room = queue.total = queue.count;
	previous = MemoryContextSwitchTo(queue.cxt);
	queue.events = palloc(queue.room * sizeof(Event *));
	for (int i = 0; i < queue.count; i++)
		queue.events[i] = lf_event_copy(events[i], i > 0 ? queue.events[i - 1] : NULL);
	if (queue.early_room > 0)
	{
		queue.early_tables = palloc(queue.early_room * sizeof(EarlyTable));
		memcpy(queue.early_tables, early_tables, queue.nearly_tables * sizeof(EarlyTable));
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(old);
	queue.kept_bytes = MemoryContextMemAllocated(queue.cxt, false);
	keeps_events = false;
}

/*
 * Where a statement makes others for each of its rows, all that they do may
 * wait for it: then each of them need not look at that.
 */
static bool
early_may_be_due(Moment *now)
{
	if (now->mode > STATEMENT_IS_OVER)
		return true;
	if (now->mode == BATCH_IS_FULL || now->depth > 1)
		return false;
	for (int i = 0; i < queue.nearly_tables; i++)
	{
		if (is_idle(queue.early_tables[i].relid, now))
			return true;
	}
	return false;
}

/* Where in the queue events begin that may be due. */
static int
first_candidate(Moment *now)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	int			others = queue.count - queue.nearly;
	bool		all = queue.nearly > 0 && early_may_be_due(now);
	int			first = queue.count;

	while (first > 0 && (all || others > 0) && queue.events[first - 1]->subid == subid)
	{
		if (queue.events[--first]->wait != WAIT_FOR_EARLIER)
			others--;
	}
	return first;
}

/* Takes the events that are due out of the queue. */
static void
take_due(Batch *batch, Moment *now)
{
	int			first = first_candidate(now);
	int			candidates = queue.count - first;
	int			left = first;

	queue.flush++;
	batch->events = palloc(candidates * sizeof(BatchEvent));
	for (int i = 0; i < candidates; i++)
	{
		batch->events[i].event = queue.events[first + i];
		batch->events[i].event->candidate_in = queue.flush;
	}
	if (queue.nwaiting > 0 && now->mode != BATCH_IS_FULL)
		qsort(batch->events, candidates, sizeof(BatchEvent), by_command);
	batch->count = 0;
	for (int i = 0; i < candidates; i++)
	{
		Event	   *event = batch->events[i].event;

		CHECK_FOR_INTERRUPTS();
		event->is_due = is_due(event, now);
		if (event->is_due)
			batch->events[batch->count++].event = event;
		else if (!event->to_other_partition && now->mode != BATCH_IS_FULL)
			index_keys(queue.by_key, event, note_undue);
	}
	if (batch->count == 0)
		return;
	/* where little is left, it costs less to index that */
	if (batch->count > queue.count / 2)
		drop_index();
	for (int i = first; i < queue.count; i++)
	{
		Event	   *event = queue.events[i];

		if (event->is_due)
		{
			count_out(event);
			if (queue.by_key != NULL)
				unindex_in_queue(event);
		}
		else
			queue.events[left++] = event;
	}
	queue.count = left;
}

/* Events that the present subtransaction may adopt. */
typedef struct Adoptable
{
	Moment	   *now;
	SubTransactionId subid;
	List	   *events;
} Adoptable;

static bool
add_adoptable(Event *event, const LeadKey *key, const void *arg)
{
	Adoptable  *adoptable = unconstify(Adoptable *, (const Adoptable *) arg);

	if (event->subid != adoptable->subid && !event->to_other_partition &&
		(event->wait == WAIT_FOR_NOTHING || all_have_come(event, adoptable->now)))
		adoptable->events = lappend(adoptable->events, event);
	return false;
}

/*
 * Makes those events of subtransactions around the present one its own that
 * would be due there: of one lead, since this may be called for each, or of
 * all.  Nothing is changed before all that may fail is done.
 */
static void
adopt(Moment *now)
{
	Adoptable	adoptable = {now, GetCurrentSubTransactionId(), NIL};
	ListCell   *cell;
	int			others = 0;
	int			left = 0;

	if (queue.nwaiting == queue.count && !early_may_be_due(now))
		return;
	while (others < queue.count && queue.events[others]->subid != adoptable.subid)
		others++;
	if (others == 0)
		return;
	if (now->key != NULL)
		(void) visit_key(now->root, now->key, add_adoptable, &adoptable);
	else
	{
		for (int i = 0; i < others; i++)
			(void) add_adoptable(queue.events[i], NULL, &adoptable);
	}
	if (adoptable.events == NIL)
		return;
	lf_adopted_keep(adoptable.events, adoptable.subid);
	foreach(cell, adoptable.events)
		((Event *) lfirst(cell))->subid = adoptable.subid;
	for (int i = 0; i < others; i++)
	{
		if (queue.events[i]->subid != adoptable.subid)
			queue.events[left++] = queue.events[i];
	}
	foreach(cell, adoptable.events)
		queue.events[left++] = lfirst(cell);
}

/* Puts back what waits for a key. */
static void
put_back(List *events)
{
	ListCell   *cell;

	foreach(cell, events)
	{
		Event	   *event = lfirst(cell);

		event->wait = WAIT_FOR_KEY;
		queue.events[queue.count++] = event;
		count_in(event);
		if (queue.by_key != NULL)
			index_in_queue(event);
	}
}

/* A flush may be in another one, if an index that a DBA has added to the journal calls a function. */
static MemoryContext
take_batch_memory(void)
{
	if (queue.count < LF_MANY_EVENTS || batch_owner != InvalidSubTransactionId)
		return AllocSetContextCreate(CurrentMemoryContext, "lead_funnel small batch", ALLOCSET_DEFAULT_SIZES);
	if (batch_cxt == NULL)
		batch_cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel batch",
										  LF_KEPT_BYTES, LF_KEPT_BYTES, ALLOCSET_DEFAULT_MAXSIZE);
	batch_owner = GetCurrentSubTransactionId();
	return batch_cxt;
}

static void
release_batch_memory(void)
{
	MemoryContextReset(batch_cxt);
	batch_owner = InvalidSubTransactionId;
}

static void
flush_for(FlushMode mode, Oid relid, Oid root, const LeadKey *key)
{
	Moment		now = {mode, relid, root, key, lf_trigger_depth(), InvalidOid, false};
	MemoryContext cxt = take_batch_memory();
	MemoryContext previous;
	Batch		batch;

	previous = MemoryContextSwitchTo(cxt);
	if (mode == JOURNAL_IS_READ || mode == TABLE_IS_IDLE)
		adopt(&now);
	take_due(&batch, &now);
	if (batch.count > 0)
	{
		batch.writer = lf_journal_open();
		write_batch(&batch, FORCE_NONE);
		if (batch.kept != NIL && may_force(&batch, &now))
			write_kept(&batch, mode);
		lf_journal_close(batch.writer);
		put_back(batch.kept);
	}
	MemoryContextSwitchTo(previous);
	compact();
	if (cxt == batch_cxt)
		release_batch_memory();
	else
		MemoryContextDelete(cxt);
}

static void
flush(FlushMode mode, Oid relid)
{
	flush_for(mode, relid, InvalidOid, NULL);
}

void
lf_queue_flush_lead(Oid root, const LeadKey *key)
{
	if (queue.count > 0)
		flush_for(JOURNAL_IS_READ, InvalidOid, root, key);
}

void
lf_queue_flush(void)
{
	if (queue.count > 0)
		flush(JOURNAL_IS_READ, InvalidOid);
}

void
lf_queue_flush_statement(Oid relid, bool all_is_over)
{
	if (queue.count > 0)
		flush(all_is_over ? ALL_IS_OVER : STATEMENT_IS_OVER, relid);
}

void
lf_queue_flush_savepoint(void)
{
	if (queue.count > 0)
		flush(SAVEPOINT_IS_RELEASED, InvalidOid);
}

void
lf_queue_flush_idle(Oid relid)
{
	if (queue.count > 0)
		flush(TABLE_IS_IDLE, relid);
}

void
lf_queue_flush_truncated(Oid relid)
{
	lf_queue_flush_idle(relid);
	truncated_by = GetCurrentStatementStartTimestamp();
}

void
lf_queue_flush_all(void)
{
	if (queue.count > 0)
		flush(TRANSACTION_IS_OVER, InvalidOid);
	if (lf_settle_is_pending())
		lf_settle_all();
}

/* ---------- the life of the queue ---------- */

bool
lf_queue_is_empty(void)
{
	return queue.count == 0;
}

bool
lf_queue_has_events_of(SubTransactionId subid)
{
	return queue.count > 0 && queue.events[queue.count - 1]->subid == subid;
}

void
lf_queue_forget(void)
{
	if (batch_owner != InvalidSubTransactionId)
		release_batch_memory();
	forget_events();
	lf_adopted_forget();
	truncated_by = LF_NO_TIME;
}

/* Puts an event that was adopted back into line, among those of its subtransaction. */
static void
take_back(const Event *event)
{
	Event	   *back = put_in_line(event);
	int			i = queue.count - 1;

	/* inner subtransactions have greater numbers */
	while (i > 0 && (queue.events[i - 1]->subid > back->subid ||
					 (queue.events[i - 1]->subid == back->subid && queue.events[i - 1]->serial > back->serial)))
	{
		queue.events[i] = queue.events[i - 1];
		i--;
	}
	queue.events[i] = back;
}

void
lf_queue_drop(SubTransactionId subid)
{
	if (batch_owner == subid)
		release_batch_memory();
	while (queue.count > 0 && queue.events[queue.count - 1]->subid == subid)
		remove_at(queue.count - 1);
	if (queue.count == 0)
		forget_events();
	lf_adopted_return(subid, take_back);
}

void
lf_queue_hand_over(SubTransactionId subid, SubTransactionId parent)
{
	int			first = queue.count;

	lf_adopted_hand_over(subid, parent);

	while (first > 0 && queue.events[first - 1]->subid == subid)
		queue.events[--first]->subid = parent;

	/*
	 * what made an old version may have come in the parent, where it could
	 * not be seen
	 */
	for (int i = first; i < queue.count && queue.nearly > 0; i++)
	{
		Event	   *event = queue.events[i];

		if (event->wait == WAIT_FOR_EARLIER && event->has_old && event->old_is_ours && !lf_event_changes_key(event) &&
			old_version_has_come(event))
		{
			release(event);
			release_followers(event);
		}
	}
}
