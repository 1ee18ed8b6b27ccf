/*-------------------------------------------------------------------------
 *
 * automatic.c
 *	  Moves that follow by themselves from a lead's score.
 *
 * NOTES
 *	  The BEFORE ROW trigger writes the new stage into the row, so that there is
 *	  one version of it and one statement.  The AFTER ROW trigger journals what
 *	  the statement did, and then what followed.  It must know of it: a lead that
 *	  somebody has put where it is may look the same.  So what was done is noted
 *	  for the row that is about to be written, by table, key and command; no
 *	  command writes a lead twice.  A row may not be written in the end, because
 *	  a later trigger or ON CONFLICT is against it: the next version of the lead
 *	  in the command takes the place of its note, or the end of the statement
 *	  removes it.
 *
 *	  A rule applies where its conditions are met by the new row and were not by
 *	  the old one, both as of now.  So a lead that somebody has sent back stays
 *	  there while its score is as high as it was.
 *
 * IDENTIFICATION
 *	  src/automatic.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "automatic.h"
#include "handshake.h"

/* ---------- deciding ---------- */

bool
lf_automatic_is_met(const Rule *rule, const Evidence *evidence)
{
	if (evidence->score == NULL || (rule->gate != NULL && !lf_gate_met(rule->gate, evidence)))
		return false;
	return rule->below_score == NULL ||
		DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(evidence->score),
										 NumericGetDatum(rule->below_score)));
}

/* The row as it was. */
typedef struct Before
{
	TupleTableSlot *slot;		/* NULL: the lead was not in the funnel */
	LeadStage	stage;
	bool		is_read;
	Evidence	evidence;
} Before;

static bool
was_met(const Funnel *funnel, const Rule *rule, Before *before, TimestampTz now)
{
	/* what enters has reached its score, but has not fallen to it */
	if (before->slot == NULL)
		return rule->below_score != NULL;
	if (!before->is_read)
	{
		lf_evidence_read(funnel, before->slot, now, &before->evidence);
		before->is_read = true;
	}
	return lf_automatic_is_met(rule, &before->evidence);
}

/* Where a lead goes from the stage; none: it stays. */
static LeadStage
next_stage(const Funnel *funnel, LeadStage from, const Evidence *evidence, Before *before, TimestampTz now)
{
	for (int i = 0; i < LF_AUTOMATIC_MAX; i++)
	{
		LeadStage	to = funnel->automatic[from][i];
		const Rule *rule = &funnel->rules[from][to];

		/* the statement has just taken it from there */
		if (to == LF_STAGE_NONE || (before->slot != NULL && to == before->stage))
			continue;
		if (lf_automatic_is_met(rule, evidence) && !was_met(funnel, rule, before, now))
			return to;
	}
	return LF_STAGE_NONE;
}

static bool
is_by_right(const Funnel *funnel, TupleTableSlot *slot)
{
	LeadKey		key;

	if (lf_by_right == NULL || lf_by_right->funnel_id != funnel->funnel_id)
		return false;
	lf_lead_key(funnel, slot, &key);
	return lf_key_equal(&key, &lf_by_right->key);
}

AutomaticMove *
lf_automatic_decide(const Funnel *funnel, TupleTableSlot *old, TupleTableSlot *new)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Before		before = {.slot = old};
	LeadState	was;
	LeadState	is;
	AutomaticMove move = {0};
	uint32		seen;
	LeadStage	to;

	/* who only observes moves nothing */
	if (!funnel->has_automatic || !funnel->enforce || !lf_evidence_has_score(funnel))
		return NULL;
	lf_lead_place(funnel, new, &is);
	if (!is.live || funnel->automatic[is.stage][0] == LF_STAGE_NONE || is_by_right(funnel, new))
		return NULL;
	if (old != NULL)
	{
		lf_lead_place(funnel, old, &was);
		before.stage = was.stage;
		if (!was.live)
			before.slot = NULL;
	}
	lf_evidence_read(funnel, new, now, &move.evidence);
	move.path[0] = is.stage;
	move.status = is.status;
	seen = 1U << is.stage;
	while ((to = next_stage(funnel, lf_automatic_target(&move), &move.evidence, &before, now)) != LF_STAGE_NONE &&
		   (seen & (1U << to)) == 0)
	{
		move.path[++move.steps] = to;
		seen |= 1U << to;
	}
	return move.steps == 0 ? NULL : lf_automatic_copy(&move);
}

Datum
lf_automatic_status(const Funnel *funnel, LeadStage stage)
{
	AttrNumber	attnum = funnel->attnum[LF_COL_STAGE];
	const char *status = lf_funnel_status_of_stage(funnel, stage);
	Oid			type;
	int32		typmod;
	Oid			collation;
	Oid			input;
	Oid			io_param;

	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no status of funnel \"%s\" means stage \"%s\"", NameStr(funnel->name), lf_stage_label(stage)),
				 errhint("Map one with lead_funnel.map_stage(%s, ..., '%s').",
						 quote_literal_cstr(NameStr(funnel->name)), lf_stage_label(stage))));
	/* the column's own type, which may be a domain, and with its length */
	get_atttypetypmodcoll(funnel->relid, attnum, &type, &typmod, &collation);
	getTypeInputInfo(type, &input, &io_param);
	return OidInputFunctionCall(input, pstrdup(status), io_param, typmod);
}

AutomaticMove *
lf_automatic_copy(const AutomaticMove *move)
{
	AutomaticMove *copy = palloc(sizeof(AutomaticMove));

	*copy = *move;
	copy->status = lf_text_copy(move->status);
	copy->evidence = lf_evidence_copy(&move->evidence, NULL);
	return copy;
}

/* ---------- notes ---------- */

typedef struct Note
{
	struct Note *next;			/* of the same hash value */
	struct Note *older;			/* in the order in which they were made */
	struct Note *newer;
	Oid			relid;
	Oid			root;
	CommandId	cid;
	SubTransactionId subid;
	LeadKey		key;
	AutomaticMove *move;
} Note;

typedef struct NoteEntry
{
	uint32		hash;			/* hash key */
	Note	   *notes;
} NoteEntry;

/* In a context of the transaction's. */
static MemoryContext notes_cxt = NULL;
static HTAB *notes = NULL;
static Note *newest = NULL;
static int64 count = 0;

/* From so many on they are looked at for those that earlier statements have left. */
#define LF_PURGE_AT 1000
static int64 purge_at = LF_PURGE_AT;

CommandId
lf_automatic_command(void)
{
	/* a trigger before ours may have run commands of its own */
	return ActiveSnapshotSet() ? GetActiveSnapshot()->curcid : GetCurrentCommandId(false);
}

bool
lf_automatic_is_noted(void)
{
	return count > 0;
}

static uint32
hash_note(Oid relid, const LeadKey *key, CommandId cid)
{
	return hash_combine(hash_combine(lf_key_hash(key), relid), cid);
}

static void
free_note(Note *note)
{
	if (note->newer != NULL)
		note->newer->older = note->older;
	else
		newest = note->older;
	if (note->older != NULL)
		note->older->newer = note->newer;
	if (note->key.key != NULL)
		pfree(note->key.key);
	if (note->move->status != NULL)
		pfree(note->move->status);
	if (note->move->evidence.unreadable != NULL)
		pfree(note->move->evidence.unreadable);
	if (note->move->evidence.score != NULL)
		pfree(note->move->evidence.score);
	pfree(note->move);
	pfree(note);
	count--;
}

/* Unlinks the note; NULL if there is none. */
static Note *
unlink_note(Oid relid, const LeadKey *key, CommandId cid)
{
	uint32		hash;
	NoteEntry  *entry;
	Note	   *note = NULL;

	if (count == 0)
		return NULL;
	hash = hash_note(relid, key, cid);
	entry = hash_search(notes, &hash, HASH_FIND, NULL);
	if (entry == NULL)
		return NULL;
	for (Note **place = &entry->notes; *place != NULL; place = &(*place)->next)
	{
		if ((*place)->relid == relid && (*place)->cid == cid && lf_key_equal(&(*place)->key, key))
		{
			note = *place;
			*place = note->next;
			break;
		}
	}
	if (entry->notes == NULL)
		(void) hash_search(notes, &hash, HASH_REMOVE, NULL);
	return note;
}

void
lf_automatic_note(Oid relid, Oid root, const LeadKey *key, const AutomaticMove *move)
{
	CommandId	cid = lf_automatic_command();
	Note	   *note = unlink_note(relid, key, cid);
	MemoryContext previous;
	uint32		hash;
	bool		found;
	NoteEntry  *entry;

	if (note != NULL)
		free_note(note);
	if (move == NULL)
		return;
	if (notes == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(uint32),.entrysize = sizeof(NoteEntry)};

		notes_cxt = AllocSetContextCreate(TopTransactionContext, "lead_funnel automatic moves", ALLOCSET_DEFAULT_SIZES);
		ctl.hcxt = notes_cxt;
		notes = hash_create("lead_funnel automatic moves", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	hash = hash_note(relid, key, cid);
	entry = hash_search(notes, &hash, HASH_ENTER, &found);
	if (!found)
		entry->notes = NULL;
	previous = MemoryContextSwitchTo(notes_cxt);
	note = palloc(sizeof(Note));
	note->newer = NULL;
	note->older = newest;
	if (newest != NULL)
		newest->newer = note;
	newest = note;
	note->relid = relid;
	note->root = root;
	note->cid = cid;
	note->subid = GetCurrentSubTransactionId();
	note->key = lf_key_copy(key);
	note->move = lf_automatic_copy(move);
	note->next = entry->notes;
	entry->notes = note;
	count++;
	MemoryContextSwitchTo(previous);
}

AutomaticMove *
lf_automatic_take(Oid relid, const LeadKey *key, CommandId cid)
{
	Note	   *note = unlink_note(relid, key, cid);
	AutomaticMove *move;

	if (note == NULL)
		return NULL;
	move = lf_automatic_copy(note->move);
	free_note(note);
	return move;
}

static void
remove_note(Note *note)
{
	free_note(unlink_note(note->relid, &note->key, note->cid));
}

/* In how many places the table is open: once at least in each statement that writes it. */
static int
times_open(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	int			result;

	if (rel == NULL)
		return 0;
	result = rel->rd_refcnt - 1;
	RelationClose(rel);
	return result;
}

/* Removes the notes of tables that no statement is at work on. */
static void
remove_left_notes(void)
{
	for (Note *note = newest, *older; note != NULL; note = older)
	{
		older = note->older;
		if (times_open(note->relid) == 0)
			remove_note(note);
	}
}

/*
 * The notes of the statement that ends and of those within it are the newest
 * ones.  Those within it have ended, too.  A query may be made of several
 * statements by WITH: if it has the table open once, this is the only one.
 * Notes of statements around it, which go on, and of earlier ones cannot be
 * told apart while their table is open.
 */
void
lf_automatic_purge(Oid root)
{
	CommandId	cid = lf_automatic_command();
	bool		is_only = times_open(root) <= 1;

	for (Note *note = newest, *older; note != NULL && note->cid >= cid; note = older)
	{
		older = note->older;
		if (note->cid > cid || (is_only && note->root == root && times_open(note->relid) <= 1))
			remove_note(note);
	}
	if (count >= purge_at)
	{
		remove_left_notes();
		purge_at = Max(LF_PURGE_AT, 2 * count);
	}
	if (count == 0)
	{
		MemoryContextDelete(notes_cxt);
		notes = NULL;
		newest = NULL;
	}
}

void
lf_automatic_forget(void)
{
	notes = NULL;
	notes_cxt = NULL;
	newest = NULL;
	count = 0;
	purge_at = LF_PURGE_AT;
}

/* The notes of the innermost subtransaction are the newest ones. */
void
lf_automatic_drop(SubTransactionId subid)
{
	while (newest != NULL && newest->subid == subid)
		remove_note(newest);
}

void
lf_automatic_hand_over(SubTransactionId subid, SubTransactionId parent)
{
	for (Note *note = newest; note != NULL && note->subid == subid; note = note->older)
		note->subid = parent;
}
