/*-------------------------------------------------------------------------
 *
 * commit_gate.c
 *	  Gates that are judged when the transaction commits.
 *
 * NOTES
 *	  Forms save the stage first and what qualifies the lead for it second.
 *	  So the moves whose gates wait for that are noted, and before commit the
 *	  rows of the leads are looked up and judged as they are then.  Each move
 *	  of the transaction is judged, also one that another has followed: it is
 *	  in the journal, and counts.  A lead that is not in the funnel any more is
 *	  judged by what its row had when it moved.
 *
 *	  A lead is looked up by its key, which later statements may change.  The
 *	  changes are noted as well, in one line with the moves, and followed.
 *	  Rows of the journal are known by key and number, both of which follow.
 *
 *	  What a move asked for was decided by the rules in force when it was
 *	  made, so the note has a copy of the gate; and who made it, so the note
 *	  says whether it is refused, recorded only, or overridden.
 *
 *	  The journal's row of the move is there by the time of the judgement.  If
 *	  the gate refuses, nothing is left of it.  Else it is corrected, if there
 *	  is something to correct: nobody but this transaction has seen it.
 *
 * IDENTIFICATION
 *	  src/commit_gate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "commit_gate.h"
#include "compat.h"
#include "lead_table.h"
#include "notify.h"
#include "settings.h"

/* A move, or a change of a key. */
typedef struct Note
{
	SubTransactionId subid;
	Lead		lead;			/* without its last row; the old key */
	bool		is_rename;
	LeadKey		new_key;		/* rename */
	int32		number;			/* of the journal row; rename: by how much
								 * numbers grow */
	/* move: */
	Oid			root;
	LeadStage	from;
	LeadStage	to;
	TimestampTz effective_at;
	const Gate *gate;
	bool		refuses;
	text	   *override;		/* NULL, or why this may break the rules */
	Evidence	evidence;		/* at the move, then as it is judged */
	bool		is_gone;		/* another lead has got the key */
	bool		is_changed;		/* the evidence is another one by now */
} Note;

/*
 * Allocated in TopTransactionContext, in the order in which they happened: those
 * of the innermost subtransaction are the last ones.
 */
static Note **notes = NULL;
static int	count = 0;
static int	room = 0;

static Note *
add_note(const Lead *lead)
{
	Note	   *note = palloc0(sizeof(Note));

	if (count == room)
	{
		room = room == 0 ? 16 : room * 2;
		notes = notes == NULL ? palloc(room * sizeof(Note *)) : repalloc_huge(notes, room * sizeof(Note *));
	}
	note->subid = GetCurrentSubTransactionId();
	note->lead.funnel_id = lead->funnel_id;
	note->lead.key = lf_key_copy(&lead->key);
	notes[count++] = note;
	return note;
}

static bool
same_gate(const Gate *a, const Gate *b)
{
	/* what the other fields follow from */
	return a->at_commit == b->at_commit && a->no_blockers == b->no_blockers &&
		a->has_min_sum == b->has_min_sum && a->min_qualification_score == b->min_qualification_score &&
		a->min_criteria == b->min_criteria && a->min_level == b->min_level &&
		memcmp(a->requires, b->requires, sizeof(a->requires)) == 0 &&
		lf_numeric_equal((const PackedNumeric *) a->min_score, (const PackedNumeric *) b->min_score);
}

/* A copy that outlives a change of the rules; moves by the same gate share it. */
static const Gate *
keep_gate(const Gate *gate)
{
	Gate	   *copy;

	for (int i = count - 1; i >= 0 && i >= count - 4; i--)
	{
		if (notes[i]->gate != NULL && same_gate(notes[i]->gate, gate))
			return notes[i]->gate;
	}
	copy = palloc(sizeof(Gate));
	memcpy(copy, gate, sizeof(Gate));
	copy->min_score = (Numeric) lf_text_copy((const text *) gate->min_score);
	return copy;
}

void
lf_commit_gate_note(const Funnel *funnel, const Lead *lead, const Move *move, bool refuses)
{
	const Gate *gate = lf_gate_of(funnel, move);
	text	   *override = NULL;
	text	   *last_override = count > 0 ? notes[count - 1]->override : NULL;
	MemoryContext previous;
	const Gate *kept;
	Note	   *note;

	if (gate == NULL || !gate->at_commit)
		return;
	if (lf_setting_override() != NULL && lf_may_override(funnel))
		override = cstring_to_text(lf_setting_override());
	previous = MemoryContextSwitchTo(TopTransactionContext);
	kept = keep_gate(gate);
	note = add_note(lead);
	note->gate = kept;
	note->number = lead->last.move;
	note->root = funnel->root;
	note->from = move->from;
	note->to = move->to;
	note->effective_at = lead->last.effective_at;
	note->refuses = refuses;
	note->override = lf_text_copy_or_share(override, last_override);
	note->evidence = lf_evidence_copy(move->evidence, NULL);
	MemoryContextSwitchTo(previous);
}

void
lf_commit_gate_rename(const Lead *from, const Lead *to)
{
	MemoryContext previous;
	Note	   *note;

	if (count == 0)
		return;
	previous = MemoryContextSwitchTo(TopTransactionContext);
	note = add_note(from);
	note->is_rename = true;
	note->new_key = lf_key_copy(&to->key);
	note->number = to->has_last ? to->last.move : 0;
	MemoryContextSwitchTo(previous);
}

bool
lf_commit_gate_is_pending(void)
{
	return count > 0;
}

void
lf_commit_gate_forget(void)
{
	notes = NULL;
	count = room = 0;
}

void
lf_commit_gate_drop(SubTransactionId subid)
{
	while (count > 0 && notes[count - 1]->subid == subid)
		count--;
}

void
lf_commit_gate_hand_over(SubTransactionId subid, SubTransactionId parent)
{
	for (int i = count - 1; i >= 0 && notes[i]->subid == subid; i--)
		notes[i]->subid = parent;
}

/* ---------- following keys ---------- */

/* What has become of a key, seen from some point of the line. */
typedef struct Fate
{
	Lead		lead;			/* funnel and key */
	LeadKey		key;			/* that the journal's rows have in the end */
	int32		shift;			/* by how much their numbers have grown */
	bool		is_gone;		/* the lead that has the key is not in the
								 * funnel any more */
} Fate;

typedef struct FateEntry
{
	uint32		hash;
	List	   *fates;
} FateEntry;

static Fate *
find_fate(HTAB *table, int32 funnel_id, const LeadKey *key, bool create)
{
	uint32		hash = lf_key_hash(key);
	bool		found;
	FateEntry  *entry = hash_search(table, &hash, create ? HASH_ENTER : HASH_FIND, &found);
	ListCell   *cell;
	Fate	   *fate;

	if (!found && !create)
		return NULL;
	if (!found)
		entry->fates = NIL;
	foreach(cell, entry->fates)
	{
		fate = lfirst(cell);
		if (fate->lead.funnel_id == funnel_id && lf_key_equal(&fate->lead.key, key))
			return fate;
	}
	if (!create)
		return NULL;
	fate = palloc0(sizeof(Fate));
	fate->lead.funnel_id = funnel_id;
	fate->lead.key = fate->key = *key;
	entry->fates = lappend(entry->fates, fate);
	return fate;
}

/*
 * Goes from the last change of a key to the first.  Rows that the new key had
 * of a lead that was gone stay with it, before those of the lead that takes it.
 */
static void
follow_keys(void)
{
	HASHCTL		ctl = {.keysize = sizeof(uint32),.entrysize = sizeof(FateEntry),.hcxt = CurrentMemoryContext};
	HTAB	   *table = hash_create("lead_funnel keys", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	for (int i = count - 1; i >= 0; i--)
	{
		Note	   *note = notes[i];

		if (note->is_rename)
		{
			Fate	   *new = find_fate(table, note->lead.funnel_id, &note->new_key, true);
			Fate	   *old = find_fate(table, note->lead.funnel_id, &note->lead.key, true);

			old->key = new->key;
			old->shift = new->shift + note->number;
			old->is_gone = new->is_gone;
			new->is_gone = true;
		}
		else
		{
			const Fate *fate = find_fate(table, note->lead.funnel_id, &note->lead.key, false);

			if (fate == NULL)
				continue;
			note->lead.key = fate->key;
			note->number += fate->shift;
			note->is_gone = fate->is_gone;
		}
	}
	hash_destroy(table);
}

/* ---------- judging ---------- */

static int
by_lead(const void *a, const void *b)
{
	const Note *x = *(Note *const *) a;
	const Note *y = *(Note *const *) b;

	if (x->root != y->root)
		return x->root < y->root ? -1 : 1;
	return lf_lead_compare(&x->lead, &y->lead);
}

/* Notes of leads of one table, in the order of their keys. */
typedef struct Group
{
	Note	  **notes;
	int			count;
	const LeadKey **keys;		/* each one once */
	int		   *first;			/* the first note that has it */
	int			nkeys;
} Group;

/* The row of a lead, found in the table. */
static void
read_row(const Funnel *funnel, TupleTableSlot *slot, int key, void *arg)
{
	const Group *group = arg;
	int			end = key + 1 < group->nkeys ? group->first[key + 1] : group->count;

	for (int i = group->first[key]; i < end; i++)
	{
		Note	   *note = group->notes[i];
		Evidence	now;
		MemoryContext previous;

		if (note->is_gone)
			continue;
		lf_evidence_read(funnel, slot, note->effective_at, &now);
		note->is_changed = !lf_evidence_equal(&now, &note->evidence);
		previous = MemoryContextSwitchTo(TopTransactionContext);
		note->evidence = lf_evidence_copy(&now, &note->evidence);
		MemoryContextSwitchTo(previous);
	}
}

static void
read_rows(Note **sorted, int n)
{
	Group		group = {.notes = sorted,.count = n};

	group.keys = palloc(n * sizeof(LeadKey *));
	group.first = palloc(n * sizeof(int));
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && lf_key_equal(&sorted[i - 1]->lead.key, &sorted[i]->lead.key))
			continue;
		group.keys[group.nkeys] = &sorted[i]->lead.key;
		group.first[group.nkeys++] = i;
	}
	lf_table_visit_keys(sorted[0]->root, group.keys, group.nkeys, read_row, &group);
}

static void
judge(JournalWriter *writer, const Note *note)
{
	Funnel	   *funnel = lf_funnel_lookup(note->root);
	Judgement	judgement = {.qualification = note->evidence.qualification,.score = note->evidence.score,
	.score_model = note->evidence.score_model,.score_version = note->evidence.score_version};

	/* detached meanwhile: nobody keeps to its rules any more */
	if (funnel == NULL || funnel->funnel_id != note->lead.funnel_id)
		return;
	if (!lf_gate_met(note->gate, &note->evidence))
	{
		if (note->override == NULL && note->refuses)
		{
			Move		move = {.key = note->lead.key,.from = note->from,.to = note->to,.evidence = &note->evidence};

			lf_refuse_at_gate(funnel, &move, note->gate);
		}
		judgement.breach = LF_BREACH_GATE;
		judgement.origin = note->override ? LF_ORIGIN_OVERRIDE : LF_ORIGIN_VIOLATION;
		judgement.reason = note->override;
		lf_notify_amend(note->lead.funnel_id, &note->lead.key, note->number, judgement.origin);
	}
	else if (!note->is_changed)
		return;
	lf_journal_amend(writer, &note->lead, note->number, &judgement);
}

void
lf_commit_gate_judge(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel gates at commit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	Note	  **moves = palloc(count * sizeof(Note *));
	Note	  **sorted = palloc(count * sizeof(Note *));
	int			nmoves = 0;
	JournalWriter *writer;

	follow_keys();
	for (int i = 0; i < count; i++)
	{
		if (!notes[i]->is_rename)
			moves[nmoves++] = notes[i];
	}
	memcpy(sorted, moves, nmoves * sizeof(Note *));
	qsort(sorted, nmoves, sizeof(Note *), by_lead);
	for (int from = 0, i = 1; i <= nmoves; i++)
	{
		if (i < nmoves && sorted[i]->root == sorted[from]->root)
			continue;
		read_rows(sorted + from, i - from);
		from = i;
	}

	/* a row that this very command has written cannot be deleted by it */
	(void) GetCurrentCommandId(true);
	CommandCounterIncrement();
	writer = lf_journal_open();
	for (int i = 0; i < nmoves; i++)
	{
		CHECK_FOR_INTERRUPTS();
		judge(writer, moves[i]);
	}
	lf_journal_close(writer);
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	lf_commit_gate_forget();
}
