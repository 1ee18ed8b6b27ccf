/*-------------------------------------------------------------------------
 *
 * notify.c
 *	  Notifications of moves, for funnels that ask for them.
 *
 * NOTES
 *	  Moves are noted as they are journalled and handed to PostgreSQL before
 *	  commit, when it is known how many there are and what the gates that are
 *	  judged then have said.  PostgreSQL delivers when the transaction has
 *	  committed, to all sessions in the order of commits.
 *
 *	  A transaction that moves very many leads of a funnel sends one message
 *	  with their number: PostgreSQL keeps all messages in one queue for all
 *	  databases, and once that is full, no transaction that notifies can commit.
 *	  So no more than the first moves are kept in memory.
 *
 *	  What is noted belongs to a subtransaction, as the journal's rows do.
 *
 *	  The key and the number are those that the move had when it was made: a
 *	  key that changes later, in this transaction or in another one, is no move.
 *
 * IDENTIFICATION
 *	  src/notify.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "lead_stage.h"
#include "notify.h"

/* Up to so many moves of a funnel in a transaction are told one by one. */
#define LF_NOTIFY_MOVES 1000

/* A payload must be shorter: NOTIFY_PAYLOAD_MAX_LENGTH in async.c. */
#define LF_PAYLOAD_BYTES (BLCKSZ - NAMEDATALEN - 128)

typedef struct NotedMove
{
	bool		has_lead;		/* else all leads have left at once */
	LeadKey		key;
	int32		move;
	int32		undoes;			/* 0: none */
	LeadStage	from;
	LeadStage	to;
	TimestampTz effective_at;
	char		origin;
} NotedMove;

/* The moves of one funnel in one subtransaction. */
typedef struct Bundle
{
	SubTransactionId subid;
	int32		funnel_id;
	NameData	funnel;
	NameData	channel;
	int64		total;			/* if more than can be told one by one, none
								 * is kept */
	int			count;
	int			room;
	NotedMove  *moves;
} Bundle;

/* In TopTransactionContext, as all that it points to. */
static List *bundles = NIL;

/* ---------- noting ---------- */

static Bundle *
find_bundle(SubTransactionId subid, int32 funnel_id, const char *channel)
{
	/* the present subtransaction's are the last ones */
	for (int i = list_length(bundles) - 1; i >= 0; i--)
	{
		Bundle	   *bundle = list_nth(bundles, i);

		if (bundle->subid == subid && bundle->funnel_id == funnel_id &&
			strcmp(NameStr(bundle->channel), channel) == 0)
			return bundle;
	}
	return NULL;
}

static void
forget_moves(Bundle *bundle)
{
	for (int i = 0; i < bundle->count; i++)
	{
		if (bundle->moves[i].key.key != NULL)
			pfree(bundle->moves[i].key.key);
	}
	if (bundle->moves != NULL)
		pfree(bundle->moves);
	bundle->moves = NULL;
	bundle->count = bundle->room = 0;
}

/* Makes room for more moves; false if they are too many to be kept. */
static bool
add_room(Bundle *bundle, int64 more)
{
	bundle->total += more;
	if (bundle->total > LF_NOTIFY_MOVES)
	{
		forget_moves(bundle);
		return false;
	}
	if (bundle->total > bundle->room)
	{
		bundle->room = Max(bundle->room * 2, Max((int) bundle->total, 8));
		bundle->moves = bundle->moves == NULL ? palloc(bundle->room * sizeof(NotedMove)) :
			repalloc(bundle->moves, bundle->room * sizeof(NotedMove));
	}
	return true;
}

static void
note(int32 funnel_id, const NameData *funnel, const NameData *channel, const NotedMove *move)
{
	MemoryContext previous = MemoryContextSwitchTo(TopTransactionContext);
	Bundle	   *bundle = find_bundle(GetCurrentSubTransactionId(), funnel_id, NameStr(*channel));

	if (bundle == NULL)
	{
		bundle = palloc0(sizeof(Bundle));
		bundle->subid = GetCurrentSubTransactionId();
		bundle->funnel_id = funnel_id;
		bundle->funnel = *funnel;
		bundle->channel = *channel;
		bundles = lappend(bundles, bundle);
	}
	if (add_room(bundle, 1))
	{
		bundle->moves[bundle->count] = *move;
		bundle->moves[bundle->count++].key = lf_key_copy(&move->key);
	}
	MemoryContextSwitchTo(previous);
}

void
lf_notify_note(const Funnel *funnel, const JournalRow *row)
{
	NotedMove	move = {.has_lead = true};

	/* opening stock has not moved */
	if (NameStr(funnel->notify_channel)[0] == '\0' || row->origin == LF_ORIGIN_BACKFILL)
		return;
	move.key = row->key;
	move.move = row->move;
	move.undoes = row->undoes;
	move.from = row->from_stage;
	move.to = row->state.live ? row->state.stage : LF_STAGE_NONE;
	move.effective_at = row->effective_at;
	move.origin = row->origin;
	note(funnel->funnel_id, &funnel->name, &funnel->notify_channel, &move);
}

void
lf_notify_note_all_out(int32 funnel_id, int32 epoch, TimestampTz effective_at, char origin)
{
	NotedMove	move = {.move = epoch,.effective_at = effective_at,.origin = origin};
	FunnelRow	row;

	/* the table may be gone, and with it the compiled funnel */
	if (!lf_funnel_row_by_id(funnel_id, &row) || NameStr(row.notify_channel)[0] == '\0')
		return;
	note(funnel_id, &row.name, &row.notify_channel, &move);
}

void
lf_notify_amend(int32 funnel_id, const LeadKey *key, int32 move, char origin)
{
	ListCell   *cell;

	foreach(cell, bundles)
	{
		Bundle	   *bundle = lfirst(cell);

		if (bundle->funnel_id != funnel_id)
			continue;
		for (int i = 0; i < bundle->count; i++)
		{
			NotedMove  *noted = &bundle->moves[i];

			if (noted->has_lead && noted->move == move && lf_key_equal(&noted->key, key))
				noted->origin = origin;
		}
	}
}

/* ---------- sending ---------- */

static void
append_string(StringInfo payload, const char *name, const char *value)
{
	appendStringInfo(payload, "%s\"%s\": ", payload->len == 1 ? "" : ", ", name);
	if (value == NULL)
		appendStringInfoString(payload, "null");
	else
		escape_json(payload, value);
}

static void
append_number(StringInfo payload, const char *name, int64 value)
{
	appendStringInfo(payload, ", \"%s\": " INT64_FORMAT, name, value);
}

static const char *
stage_name(LeadStage stage)
{
	return stage == LF_STAGE_NONE ? NULL : lf_stage_label(stage);
}

static char *
payload_of(const Bundle *bundle, const NotedMove *move, const char *lead)
{
	StringInfoData payload;
	int			utc = 0;

	initStringInfo(&payload);
	appendStringInfoChar(&payload, '{');
	append_string(&payload, "funnel", NameStr(bundle->funnel));
	append_string(&payload, "lead", lead);
	append_number(&payload, "move", move->move);
	append_string(&payload, "from", stage_name(move->from));
	append_string(&payload, "to", stage_name(move->to));
	append_string(&payload, "at", JsonEncodeDateTime(NULL, TimestampTzGetDatum(move->effective_at), TIMESTAMPTZOID, &utc));
	append_string(&payload, "origin", lf_origin_name(move->origin));
	if (move->undoes != 0)
		append_number(&payload, "undoes", move->undoes);
	appendStringInfoChar(&payload, '}');
	return payload.data;
}

static void
tell_move(const Bundle *bundle, const NotedMove *move)
{
	char	   *payload = payload_of(bundle, move, move->has_lead ? lf_key_string(&move->key) : NULL);

	/* half a key might be another lead's */
	if (strlen(payload) >= LF_PAYLOAD_BYTES)
		payload = payload_of(bundle, move, NULL);
	Async_Notify(NameStr(bundle->channel), payload);
}

static void
tell_number(const Bundle *bundle)
{
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfoChar(&payload, '{');
	append_string(&payload, "funnel", NameStr(bundle->funnel));
	append_number(&payload, "moves", bundle->total);
	appendStringInfoChar(&payload, '}');
	Async_Notify(NameStr(bundle->channel), payload.data);
}

bool
lf_notify_is_pending(void)
{
	return bundles != NIL;
}

void
lf_notify_send(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel notifications", ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	ListCell   *cell;

	foreach(cell, bundles)
	{
		const Bundle *bundle = lfirst(cell);

		if (bundle->total > LF_NOTIFY_MOVES)
			tell_number(bundle);
		for (int i = 0; i < bundle->count; i++)
			tell_move(bundle, &bundle->moves[i]);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	lf_notify_forget();
}

/* A row of the publisher's may not be refused: the apply worker would send it again for ever. */
void
lf_notify_refuse_prepare(void)
{
	const Bundle *bundle = linitial(bundles);

	ereport(SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ? WARNING : ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ?
			 errmsg("moves of funnel \"%s\" are prepared without notifying", NameStr(bundle->funnel)) :
			 errmsg("cannot prepare a transaction that has moved leads of funnel \"%s\"", NameStr(bundle->funnel)),
			 errdetail("The funnel notifies listeners on channel \"%s\", which PostgreSQL cannot do for a prepared transaction.",
					   NameStr(bundle->channel)),
			 errhint("Commit in one phase, or let the owner of the table end notifications with lead_funnel.set_notify(%s, NULL).",
					 quote_literal_cstr(NameStr(bundle->funnel)))));
	lf_notify_forget();
}

/* ---------- transactions ---------- */

void
lf_notify_forget(void)
{
	bundles = NIL;
}

void
lf_notify_drop(SubTransactionId subid)
{
	ListCell   *cell;

	foreach(cell, bundles)
	{
		Bundle	   *bundle = lfirst(cell);

		if (bundle->subid != subid)
			continue;
		forget_moves(bundle);
		pfree(bundle);
		bundles = foreach_delete_current(bundles, cell);
	}
}

/* The moves of a subtransaction come behind those that its parent has made before. */
void
lf_notify_hand_over(SubTransactionId subid, SubTransactionId parent)
{
	MemoryContext previous = MemoryContextSwitchTo(TopTransactionContext);
	ListCell   *cell;

	foreach(cell, bundles)
	{
		Bundle	   *bundle = lfirst(cell);
		Bundle	   *other;

		if (bundle->subid != subid)
			continue;
		other = find_bundle(parent, bundle->funnel_id, NameStr(bundle->channel));
		if (other == NULL)
		{
			bundle->subid = parent;
			continue;
		}
		if (add_room(other, bundle->total))
		{
			memcpy(&other->moves[other->count], bundle->moves, bundle->count * sizeof(NotedMove));
			other->count += bundle->count;
			bundle->count = 0;
		}
		forget_moves(bundle);
		pfree(bundle);
		bundles = foreach_delete_current(bundles, cell);
	}
	MemoryContextSwitchTo(previous);
}
