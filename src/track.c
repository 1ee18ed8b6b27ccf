/*-------------------------------------------------------------------------
 *
 * track.c
 *	  The triggers: each write of a lead becomes a judged, journalled move.
 *
 * NOTES
 *	  The AFTER ROW trigger sees the row as it is stored: every BEFORE trigger
 *	  is done, ON CONFLICT is decided, a concurrent update has been re-read.
 *
 *	  Events may come in the wrong order.  If a user's AFTER trigger moves the
 *	  lead again, the events of that inner statement fire before ours for the
 *	  outer one does.  An event continues from the row version that it replaced.
 *	  If another transaction made that version, or if we have journalled since
 *	  it was made, its turn has come; else it waits (struct Event in "waiting")
 *	  until the missing event arrives or the outermost statement ends.  The rules
 *	  judge each event as it happened, not a summary.
 *
 *	  A lead that moves to another partition comes as a DELETE, whose tuple
 *	  says so, and an INSERT; they are joined to the UPDATE that they are.
 *
 * IDENTIFICATION
 *	  src/track.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "calendar.h"
#include "compat.h"
#include "rules.h"
#include "settings.h"
#include "stats.h"
#include "track.h"

/* A date that the writer gives may be so far ahead: clocks differ. */
#define LF_FUTURE_TOLERANCE (5 * USECS_PER_MINUTE)

/* One write of one lead. */
typedef struct Event
{
	Oid			relid;
	Oid			root;
	SubTransactionId subid;
	uint64		serial;
	int			depth;			/* of triggers, where it came */
	bool		has_old;
	bool		has_new;
	LeadKey		old_key;
	LeadKey		new_key;
	LeadState	old;
	LeadState	new;
	bool		old_is_ours;	/* this transaction made the old version, */
	CommandId	old_cmin;		/* by this command */
	CommandId	new_cmin;		/* of a DELETE: when */
	bool		to_other_partition; /* a DELETE that is half an UPDATE */
	bool		has_given;
	TimestampTz given;			/* when the move took effect, says the writer */
	bool		given_is_day;
	bool		handover_given;
	TimestampTz handed_over_at;
	bool		keeps_handover; /* the funnel has no column for it */
	text	   *actor;
	text	   *reason;
	bool		reason_is_setting;	/* not from the row */
	text	   *note;
	text	   *role_name;
	char		breach;			/* what it broke, if it was let pass */
	bool		overridden;
	char	   *shown_key;		/* the old key, if it has been parked */
} Event;

static MemoryContext waiting_cxt = NULL;
static List *waiting = NIL;

/* The last move of this transaction, for lead_funnel.move(). */
typedef struct LastMove
{
	bool		valid;
	TransactionId xid;
	LeadKey		key;
	LeadStage	from;
	LeadStage	to;
	TimestampTz effective_at;
	int32		move;
} LastMove;

static LastMove last_move;

PG_FUNCTION_INFO_V1(lf_track);
PG_FUNCTION_INFO_V1(lf_flush);
PG_FUNCTION_INFO_V1(lf_stamp);
PG_FUNCTION_INFO_V1(lf_truncated);
PG_FUNCTION_INFO_V1(lf_last_move);

lf_noreturn static void refuse_duplicate(const Funnel *funnel, const LeadKey *key);

/* ---------- writing the journal ---------- */

static text *
setting_text(const char *value)
{
	return value ? cstring_to_text(value) : NULL;
}

static void
remember_move(const JournalRow *row)
{
	if (last_move.key.key != NULL)
		pfree(last_move.key.key);
	last_move.valid = false;
	last_move.key = row->key;
	if (row->key.key != NULL)
	{
		MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);

		last_move.key.key = NULL;
		last_move.key = lf_key_copy(&row->key);
		MemoryContextSwitchTo(previous);
	}
	last_move.xid = GetTopTransactionId();
	last_move.from = row->from_stage;
	last_move.to = row->state.live ? row->state.stage : LF_STAGE_NONE;
	last_move.effective_at = row->effective_at;
	last_move.move = row->move;
	last_move.valid = true;
}

/* Whether the journal has the lead in the funnel. */
static bool
is_live(const Funnel *funnel, const JournalRow *last)
{
	return last != NULL && last->state.live && last->epoch == funnel->epoch;
}

/*
 * Fills the row that continues from "last" (NULL: the lead's first) to the
 * state: number, cycle, furthest stage, since when.
 */
static void
continue_journal(const Funnel *funnel, const LeadKey *key, const JournalRow *last,
				 const LeadState *state, TimestampTz effective_at, JournalRow *row)
{
	bool		live = is_live(funnel, last);
	bool		moves = !live || !state->live || last->state.stage != state->stage;

	row->key = *key;
	row->move = last ? last->move + 1 : 1;
	row->kind = moves ? LF_KIND_MOVE : LF_KIND_CHANGE;
	row->effective_at = effective_at;
	row->recorded_at = GetCurrentTimestamp();
	row->epoch = funnel->epoch;
	row->rules_version = funnel->rules_version;
	row->state = *state;
	row->from_stage = live ? last->state.stage : LF_STAGE_NONE;
	row->cycle = last ? last->cycle : 1;
	row->cycle_move = last ? last->cycle_move : 1;
	row->cycle_ended = last ? last->cycle_ended : false;
	row->furthest_stage = last ? last->furthest_stage : LF_STAGE_NONE;
	row->handed_over_at = last ? last->handed_over_at : 0;
	row->entered_at = !state->live ? 0 : (moves ? effective_at : last->entered_at);
	if (!state->live)
	{
		row->cycle_ended = true;
		return;
	}
	if (!moves)
		return;

	/* coming back, or leaving the end of a cycle for an open stage */
	if (last != NULL && (!live || (last->cycle_ended && lf_stage_is_open(state->stage))))
	{
		row->cycle = last->cycle + 1;
		row->cycle_move = row->move;
		row->cycle_ended = false;
		row->furthest_stage = LF_STAGE_NONE;
		row->handed_over_at = 0;
	}
	if (lf_stage_ends_cycle(state->stage))
		row->cycle_ended = true;
	if (lf_stage_on_path(state->stage) && state->stage > row->furthest_stage)
		row->furthest_stage = state->stage;
}

/* Journals the row and notes the change in the statistics. */
static void
write_row(const Funnel *funnel, const JournalRow *last, const JournalRow *row)
{
	const LeadState *from = is_live(funnel, last) ? &last->state : NULL;
	const LeadState *to = row->state.live ? &row->state : NULL;
	char		kind = row->kind == LF_KIND_MOVE ? LF_DELTA_FLOW : LF_DELTA_ADJUSTMENT;

	lf_journal_append(funnel->funnel_id, row);
	if (row->kind == LF_KIND_MOVE)
		remember_move(row);
	if (row->origin == LF_ORIGIN_BACKFILL)
		kind = LF_DELTA_OPENING;
	if (from == NULL && to == NULL)
		return;
	/* a hand-over or a new key changes no number */
	if (row->kind != LF_KIND_MOVE && lf_state_equal(from, to))
		return;
	lf_stats_note(funnel->funnel_id, kind, lf_local_day(row->effective_at, funnel->tz), from, to);
}

static TimestampTz
default_effective_at(const JournalRow *last)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	/* another transaction that began later may have moved the lead before us */
	return last != NULL && last->effective_at > now ? last->effective_at : now;
}

void
lf_track_set_state(Funnel *funnel, const LeadKey *key, const LeadState *state)
{
	JournalRow	last_row;
	JournalRow *last = lf_journal_last(funnel->funnel_id, key, &last_row) ? &last_row : NULL;
	JournalRow	row = {0};

	if (!state->live && !is_live(funnel, last))
		return;
	if (state->live && is_live(funnel, last) && lf_state_equal(&last->state, state))
		return;
	continue_journal(funnel, key, last, state, default_effective_at(last), &row);
	if (!state->live)
	{
		/* the row keeps what the lead had */
		row.state = last->state;
		row.state.live = false;
	}
	row.origin = LF_ORIGIN_RECONCILE;
	row.role_name = lf_role_name();
	row.actor = setting_text(lf_setting_actor());
	row.note = setting_text(lf_setting_note());
	write_row(funnel, last, &row);
}

static void
refuse_to_attach(const Funnel *funnel, const LeadKey *key, const text *status)
{
	ereport(ERROR,
			(errcode(status ? ERRCODE_INVALID_TEXT_REPRESENTATION : ERRCODE_CHECK_VIOLATION),
			 status ?
			 errmsg("status \"%s\" of lead \"%s\" means no stage", text_to_cstring(status), lf_key_string(key)) :
			 errmsg("lead \"%s\" has no stage", lf_key_string(key)),
			 errdetail("Column \"%s\" of table \"%s\" holds a value that is neither a stage nor mapped to one.",
					   NameStr(funnel->stage_column), get_rel_name(funnel->root)),
			 errhint("Say what it means in stage_map => ...; lead_funnel.check_table() lists all such values and a stage_map ready to paste."),
			 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_STAGE))));
}

bool
lf_track_backfill(Funnel *funnel, TupleTableSlot *slot)
{
	LeadKey		key;
	LeadState	state;
	JournalRow	last_row;
	JournalRow *last;
	JournalRow	row = {0};
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	TimestampTz entered;

	lf_lead_state(funnel, slot, &state);
	if (!state.live && !state.unmapped)
		return false;
	lf_lead_key(funnel, slot, &key);
	if (state.unmapped)
		refuse_to_attach(funnel, &key, state.status);

	/* true dates where the table has them; a date to come is none */
	if (!lf_lead_time(funnel, slot, LF_COL_ENTERED, &entered) ||
		TIMESTAMP_NOT_FINITE(entered) || entered > now)
		entered = now;
	last = lf_journal_last(funnel->funnel_id, &key, &last_row) ? &last_row : NULL;
	if (is_live(funnel, last))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("key \"%s\" of table \"%s\" is not unique", lf_key_string(&key), get_rel_name(funnel->root)),
				 errdetail("A lead is known by its key, and two rows of funnel \"%s\" have this one.", NameStr(funnel->name)),
				 errhint("List such keys with lead_funnel.check_table(), or name another key_column.")));
	if (last != NULL && entered < last->effective_at)
		entered = last->effective_at;
	continue_journal(funnel, &key, last, &state, entered, &row);
	row.origin = LF_ORIGIN_BACKFILL;
	row.role_name = lf_role_name();
	if (lf_lead_time(funnel, slot, LF_COL_HANDOVER, &entered) && !TIMESTAMP_NOT_FINITE(entered))
		row.handed_over_at = entered;
	write_row(funnel, last, &row);
	return true;
}

void
lf_track_all_out(int32 funnel_id, Oid relid, pg_tz *tz, char origin)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Snapshot	snapshot;
	int32		epoch;

	lf_track_flush();
	lf_stats_note_all_out(funnel_id, lf_local_day(now, tz));
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	epoch = lf_journal_epoch(funnel_id, snapshot);
	UnregisterSnapshot(snapshot);
	lf_journal_append_marker(funnel_id, epoch + 1, now, origin);
	/* the epoch is compiled into the funnel; here, too, from the next command on */
	if (OidIsValid(relid))
		lf_funnel_invalidate(relid);
	CommandCounterIncrement();
}

void
lf_track_partition_out(Relation rel, char origin)
{
	Funnel	   *funnel = lf_funnel_lookup(RelationGetRelid(rel));
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel truncate",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		LeadKey		key;
		JournalRow	last;
		JournalRow	row = {0};

		CHECK_FOR_INTERRUPTS();
		lf_lead_key(funnel, slot, &key);
		if (lf_journal_last(funnel->funnel_id, &key, &last) && is_live(funnel, &last))
		{
			LeadState	out = last.state;

			out.live = false;
			continue_journal(funnel, &key, &last, &out, default_effective_at(&last), &row);
			row.origin = origin;
			row.role_name = lf_role_name();
			row.actor = setting_text(lf_setting_actor());
			write_row(funnel, &last, &row);
		}
		MemoryContextReset(cxt);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	lf_stats_flush();
}

void
lf_track_partition_in(Relation rel)
{
	Funnel	   *funnel = lf_funnel_lookup(RelationGetRelid(rel));
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel attach",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		LeadKey		key;
		LeadState	state;
		JournalRow	last;

		CHECK_FOR_INTERRUPTS();
		lf_lead_state(funnel, slot, &state);
		if (state.live || state.unmapped)
		{
			lf_lead_key(funnel, slot, &key);
			if (state.unmapped && funnel->enforce)
				lf_refuse_status(funnel, &key, state.status);
			if (state.live && lf_journal_last(funnel->funnel_id, &key, &last) && is_live(funnel, &last))
				refuse_duplicate(funnel, &key);
			if (state.live)
				lf_track_set_state(funnel, &key, &state);
		}
		MemoryContextReset(cxt);
	}
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(cxt);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	lf_stats_flush();
}

/* ---------- judging and journalling an event ---------- */

static const LeadKey *
event_key(const Event *event)
{
	return event->has_new ? &event->new_key : &event->old_key;
}

static Move
move_of(const Event *event)
{
	Move		move = {.key = *event_key(event), .reason = event->reason};

	move.from = event->has_old && event->old.live ? event->old.stage : LF_STAGE_NONE;
	move.to = event->has_new && event->new.live ? event->new.stage : LF_STAGE_NONE;
	return move;
}

/* Refuses, unless the funnel observes only or the breach is overridden. */
static void
handle_breach(const Funnel *funnel, Event *event, const Move *move, char breach)
{
	if (breach == LF_BREACH_NONE || event->breach != LF_BREACH_NONE)
		return;
	event->breach = breach;
	if (event->overridden)
		return;
	if (lf_setting_override() != NULL && lf_may_override(funnel))
	{
		event->overridden = true;
		if (event->reason == NULL)
			event->reason = setting_text(lf_setting_override());
		return;
	}
	if (funnel->enforce && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
		lf_refuse(funnel, move, breach);
}

/* The rules that need nothing but the event itself. */
static void
judge_event(const Funnel *funnel, Event *event)
{
	Move		move = move_of(event);

	if (move.to == LF_STAGE_NONE || move.from == move.to)
		return;
	/* who comes back is judged when it is known where it was */
	if (move.from == LF_STAGE_NONE && event->has_old)
		return;
	handle_breach(funnel, event, &move, lf_judge(funnel, &move));
}

/* A moment as the column since when a lead is in its stage can hold it. */
static TimestampTz
stamp_of(TimestampTz moment, const Funnel *funnel)
{
	if (funnel->type[LF_COL_ENTERED] == TIMESTAMPOID)
		return lf_moment_of_timestamp(lf_local_timestamp(moment, funnel->tz), funnel->tz);
	return moment;
}

/*
 * When the move took effect: the date that the writer gave, if it is neither
 * before the visit that it ends nor in the future, else now.
 */
static TimestampTz
effective_time(const Funnel *funnel, Event *event, const JournalRow *last)
{
	TimestampTz now = default_effective_at(last);
	TimestampTz earliest = 0;
	TimestampTz given = event->given;
	Move		move = move_of(event);

	if (!event->has_given || move.to == LF_STAGE_NONE || move.from == move.to)
		return now;
	if (last != NULL)
		earliest = is_live(funnel, last) ? last->entered_at : last->effective_at;

	/* what lf_stamp() fills in was not given */
	if (given == stamp_of(GetCurrentTransactionStartTimestamp(), funnel))
		return now;
	/* a day stands for any moment of it */
	if (event->given_is_day && !TIMESTAMP_NOT_FINITE(given))
	{
		DateADT		day = lf_local_day(given, funnel->tz);

		if (day == lf_local_day(now, funnel->tz))
			return now;
		if (earliest != 0 && day == lf_local_day(earliest, funnel->tz))
			given = earliest;
	}
	move.given = given;
	move.earliest = earliest;
	if (TIMESTAMP_NOT_FINITE(given) ||
		(given > now && given > GetCurrentTimestamp() + LF_FUTURE_TOLERANCE))
	{
		/* let pass or not, nothing takes effect in the future */
		handle_breach(funnel, event, &move, LF_BREACH_TIME);
		return now;
	}
	if (earliest != 0 && given < earliest)
	{
		handle_breach(funnel, event, &move, LF_BREACH_TIME);
		/* an override means the date, a violation does not mend the past */
		return event->overridden ? given : earliest;
	}
	return given;
}

static void
describe_writer(const Event *event, JournalRow *row)
{
	row->role_name = event->role_name;
	row->actor = event->actor;
	row->reason = event->reason;
	row->note = event->note;
	row->breach = event->breach;
	if (event->breach != LF_BREACH_NONE)
		row->origin = event->overridden ? LF_ORIGIN_OVERRIDE : LF_ORIGIN_VIOLATION;
	else
		row->origin = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ?
			LF_ORIGIN_REPLICATED : LF_ORIGIN_WRITE;
}

static void
write_exit(Funnel *funnel, const Event *event, const JournalRow *last)
{
	JournalRow	row = {0};
	LeadState	out = last->state;

	out.live = false;
	out.status = NULL;
	continue_journal(funnel, &last->key, last, &out, default_effective_at(last), &row);
	row.from_status = event->old.status;
	describe_writer(event, &row);
	if (event->has_new && event->new.unmapped)
	{
		row.origin = LF_ORIGIN_VIOLATION;
		row.breach = LF_BREACH_STAGE;
	}
	else
		row.origin = event->has_new ? LF_ORIGIN_EXCLUDE : LF_ORIGIN_DELETE;
	write_row(funnel, last, &row);
}

/* Where a lead that is out had been last. */
static LeadStage
left_from(const JournalRow *last)
{
	return last->state.live ? last->state.stage : last->from_stage;
}

static void
refuse_duplicate(const Funnel *funnel, const LeadKey *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("lead \"%s\" is in funnel \"%s\" already", lf_key_string(key), NameStr(funnel->name)),
			 errdetail("A lead is known by column \"%s\", and another row of table \"%s\" has this key.",
					   get_attname(funnel->relid, funnel->attnum[LF_COL_KEY], false), get_rel_name(funnel->root)),
			 errhint("Give the column a unique index.  If that row has gone while the triggers were off, call lead_funnel.reconcile('%s').",
					 NameStr(funnel->name)),
			 lf_error_fields(funnel, NULL)));
	pg_unreachable();
}

/* The new key takes the history over; the journal says so. */
static void
write_new_key(Funnel *funnel, const Event *event, JournalRow **last, JournalRow *last_row)
{
	JournalRow	before;
	JournalRow	of_new_key;
	JournalRow	row = {0};
	LeadState	state;
	bool		has_history = lf_journal_last(funnel->funnel_id, &event->new_key, &of_new_key);

	if (has_history && is_live(funnel, &of_new_key))
		refuse_duplicate(funnel, &event->new_key);
	if (!lf_journal_last(funnel->funnel_id, &event->old_key, &before))
	{
		if (has_history)
		{
			*last_row = of_new_key;
			*last = last_row;
		}
		return;
	}
	lf_journal_rename(funnel->funnel_id, &event->old_key, &event->new_key,
					  has_history ? &of_new_key : NULL);
	(void) lf_journal_last(funnel->funnel_id, &event->new_key, last_row);
	*last = last_row;
	state = last_row->state;
	state.live = is_live(funnel, *last);
	continue_journal(funnel, &event->new_key, *last, &state,
					 default_effective_at(*last), &row);
	row.kind = LF_KIND_KEY;
	/* one that is out may come back to where it was */
	if (!state.live)
		row.from_stage = left_from(last_row);
	describe_writer(event, &row);
	row.origin = LF_ORIGIN_WRITE;
	row.breach = LF_BREACH_NONE;
	row.related_key = cstring_to_text(event->shown_key ? event->shown_key : lf_key_string(&event->old_key));
	lf_journal_append(funnel->funnel_id, &row);
	*last_row = row;
}

/*
 * The journal does not know the old version: the trigger was off for a while.
 * What happened meanwhile is journalled as reconcile, so that the statistics
 * take the minus side from where the lead is counted.
 */
static void
close_gap(Funnel *funnel, const Event *event, JournalRow **last, JournalRow *last_row)
{
	if (is_live(funnel, *last) && lf_state_equal(&(*last)->state, &event->old))
		return;
	lf_track_set_state(funnel, event_key(event), &event->old);
	if (lf_journal_last(funnel->funnel_id, event_key(event), last_row))
		*last = last_row;
}

static void
write_move(Funnel *funnel, Event *event, const JournalRow *last)
{
	JournalRow	row = {0};
	Move		move = move_of(event);
	bool		comes_back = move.from == LF_STAGE_NONE && event->has_old;
	TimestampTz effective_at;

	if (comes_back)
	{
		if (last != NULL)
			move.left_from = left_from(last);
		handle_breach(funnel, event, &move, lf_judge(funnel, &move));
	}
	effective_at = effective_time(funnel, event, last);
	continue_journal(funnel, &event->new_key, last, &event->new, effective_at, &row);
	if (event->has_old)
		row.from_status = event->old.status;

	/* the hand-over: as the column says, else the entry to mql */
	if (event->keeps_handover)
	{
		if (row.kind == LF_KIND_MOVE && event->new.stage == LF_STAGE_MQL && row.handed_over_at == 0)
			row.handed_over_at = effective_at;
	}
	else if (event->handover_given)
		row.handed_over_at = event->handed_over_at;

	if (row.kind == LF_KIND_CHANGE && last != NULL &&
		lf_state_equal(&last->state, &event->new) && row.handed_over_at == last->handed_over_at)
		return;					/* nothing that the journal keeps */
	describe_writer(event, &row);
	write_row(funnel, last, &row);
}

/*
 * No number changes; at most the hand-over does.  A trigger of the user's may
 * have moved the lead since, and that be journalled, so the row goes on from
 * what the journal says and not from what the event does.
 */
static void
write_handover(Funnel *funnel, Event *event, const JournalRow *last)
{
	JournalRow	row = {0};

	if (event->keeps_handover || !event->handover_given ||
		event->handed_over_at == last->handed_over_at)
		return;
	continue_journal(funnel, &event->new_key, last, &last->state, default_effective_at(last), &row);
	row.handed_over_at = event->handed_over_at;
	describe_writer(event, &row);
	write_row(funnel, last, &row);
}

/* This transaction has journalled a later event of the lead already. */
static bool
is_journalled_after(const JournalRow *last, const Event *event)
{
	return last->written_by_us && last->cmin > event->new_cmin;
}

/* A status that means nothing: in observe mode the lead stays out, and it is told. */
static void
write_unmapped(Funnel *funnel, const Event *event, const JournalRow *last)
{
	JournalRow	row = {0};

	continue_journal(funnel, event_key(event), last, &event->new, default_effective_at(last), &row);
	describe_writer(event, &row);
	row.origin = LF_ORIGIN_VIOLATION;
	row.breach = LF_BREACH_STAGE;
	write_row(funnel, last, &row);
}

/*
 * Journals an event whose turn has come.  A new lead whose key the journal
 * still has is refused, or, if it may wait for the key, nothing is done and
 * the result is false.
 */
static bool
write_event(Funnel *funnel, Event *event, bool may_wait)
{
	JournalRow	last_row;
	JournalRow *last = NULL;
	bool		was_in = event->has_old && event->old.live;
	bool		is_in = event->has_new && event->new.live;

	if (event->has_old && event->has_new && !lf_key_equal(&event->old_key, &event->new_key))
		write_new_key(funnel, event, &last, &last_row);
	else if (lf_journal_last(funnel->funnel_id, event_key(event), &last_row))
		last = &last_row;

	if (was_in && is_in && is_live(funnel, last) && lf_state_equal(&event->old, &event->new))
		write_handover(funnel, event, last);
	else if (was_in && is_in)
	{
		close_gap(funnel, event, &last, &last_row);
		write_move(funnel, event, last);
	}
	else if (is_in)
	{
		if (is_live(funnel, last) && !event->has_old)
		{
			if (may_wait)
				return false;
			refuse_duplicate(funnel, &event->new_key);
		}
		write_move(funnel, event, last);
	}
	else if (is_live(funnel, last) && (was_in || !is_journalled_after(last, event)))
		write_exit(funnel, event, last);
	else if (event->has_new && event->new.unmapped && !(event->has_old && event->old.unmapped))
		write_unmapped(funnel, event, last);
	return true;
}

/* ---------- the order of events ---------- */

/* Whether an event of the lead is in line. */
static bool
is_awaited(const LeadKey *key)
{
	ListCell   *cell;

	foreach(cell, waiting)
	{
		const Event *event = lfirst(cell);

		if ((event->has_old && lf_key_equal(&event->old_key, key)) ||
			(event->has_new && lf_key_equal(&event->new_key, key)))
			return true;
	}
	return false;
}

/*
 * Whether the event continues from what is journalled.
 *
 * If this transaction made the old version, the event of that may be missing.
 * It is not if we have journalled since; nor if the journal says what the old
 * version says and nothing of the lead is in line: then what made the old
 * version changed nothing that we are told of.
 */
static bool
is_its_turn(const Funnel *funnel, const Event *event, bool in_line)
{
	JournalRow	last_row;
	JournalRow *last;

	/* another lead must first give up the key */
	if (event->has_new && event->new.live &&
		(!event->has_old || !lf_key_equal(&event->old_key, &event->new_key)) &&
		lf_journal_last(funnel->funnel_id, &event->new_key, &last_row) &&
		is_live(funnel, &last_row))
		return false;
	if (!event->has_old || !event->old_is_ours)
		return true;

	last = lf_journal_last(funnel->funnel_id, &event->old_key, &last_row) ? &last_row : NULL;
	if (last != NULL && last->written_by_us && last->cmin >= event->old_cmin)
		return true;
	if (!in_line && is_awaited(&event->old_key))
		return false;
	return is_live(funnel, last) ?
		event->old.live && lf_state_equal(&last->state, &event->old) :
		!event->old.live;
}

/* A later event of the lead was journalled before this one arrived. */
static bool
comes_too_late(const Funnel *funnel, const Event *event)
{
	JournalRow	last;

	return event->has_old && event->old_is_ours &&
		lf_journal_last(funnel->funnel_id, &event->old_key, &last) &&
		is_journalled_after(&last, event);
}

/* How many triggers are running, each one inside of the next. */
static int
trigger_depth(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetInt32(pg_trigger_depth(fcinfo));
}

static void
wait_in_line(Event *event)
{
	MemoryContext previous;
	Event	   *copy;

	if (waiting_cxt == NULL)
		waiting_cxt = AllocSetContextCreate(TopMemoryContext, "lead_funnel waiting events",
											ALLOCSET_DEFAULT_SIZES);
	event->depth = trigger_depth();
	previous = MemoryContextSwitchTo(waiting_cxt);
	copy = palloc(sizeof(Event));
	*copy = *event;
	copy->old_key = lf_key_copy(&event->old_key);
	copy->new_key = lf_key_copy(&event->new_key);
	copy->old = lf_state_copy(&event->old);
	copy->new = lf_state_copy(&event->new);
	copy->actor = lf_text_copy(event->actor);
	copy->reason = lf_text_copy(event->reason);
	copy->note = lf_text_copy(event->note);
	copy->role_name = lf_text_copy(event->role_name);
	waiting = lappend(waiting, copy);
	MemoryContextSwitchTo(previous);
}

static void
forget_line(void)
{
	waiting = NIL;
	if (waiting_cxt != NULL)
		MemoryContextReset(waiting_cxt);	/* nothing, if it is empty */
}

static bool
concerns(const Event *event, const Event *other)
{
	const LeadKey *keys[2] = {&other->old_key, &other->new_key};

	for (int i = 0; i < 2; i++)
	{
		if (i == 0 ? !other->has_old : !other->has_new)
			continue;
		if ((event->has_old && lf_key_equal(&event->old_key, keys[i])) ||
			(event->has_new && lf_key_equal(&event->new_key, keys[i])))
			return true;
	}
	return false;
}

/*
 * The earliest event in line that "done" lets go on.  Rows of one lead are
 * versions that follow each other, so the order of commands is theirs.
 */
static Event *
next_in_line(const Event *done)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Event	   *result = NULL;
	ListCell   *cell;

	foreach(cell, waiting)
	{
		Event	   *event = lfirst(cell);
		Funnel	   *funnel;

		if (event->to_other_partition || !concerns(event, done) ||
			event->subid != subid ||
			(result != NULL && result->new_cmin <= event->new_cmin))
			continue;
		funnel = lf_funnel_lookup(event->relid);
		if (funnel != NULL && is_its_turn(funnel, event, true))
			result = event;
	}
	return result;
}

/* Writes the event, and those in line that waited for it. */
static bool
write_event_and_followers(Funnel *funnel, Event *event, bool may_wait)
{
	Event		done = *event;
	Event	   *next;

	if (!write_event(funnel, event, may_wait))
		return false;
	while (waiting != NIL && (next = next_in_line(&done)) != NULL)
	{
		waiting = list_delete_ptr(waiting, next);
		done = *next;
		(void) write_event(lf_funnel_lookup(next->relid), next, false);
	}
	return true;
}

static int
by_command(const ListCell *a, const ListCell *b)
{
	const Event *x = lfirst(a);
	const Event *y = lfirst(b);

	if (x->new_cmin != y->new_cmin)
		return x->new_cmin < y->new_cmin ? -1 : 1;
	return x->serial < y->serial ? -1 : 1;
}

/* Which waiting events are written although what they wait for did not come. */
typedef enum Force
{
	FORCE_HALVES,				/* of moves to another partition: their statement is over */
	FORCE_KEYS,					/* and those that wait for a key: all statements are over */
	FORCE_ALL					/* nothing more can come */
} Force;

static bool
is_forced(const Event *event, Force force, int depth)
{
	if (force == FORCE_ALL)
		return true;
	if (event->to_other_partition)
		return event->depth >= depth;
	return force == FORCE_KEYS && event->has_new &&
		(!event->has_old || !lf_key_equal(&event->old_key, &event->new_key));
}

/* Another event in line gives the lead the key that this one takes from it. */
static bool
comes_from_line(const Event *event, List *line)
{
	ListCell   *cell;

	foreach(cell, line)
	{
		const Event *other = lfirst(cell);

		if (other != event && other->has_new && event->old_is_ours &&
			other->new_cmin == event->old_cmin && lf_key_equal(&other->new_key, &event->old_key))
			return true;
	}
	return false;
}

/*
 * Keys may go round: each event waits for the key of another one.  So the
 * leads that are about to get another key leave their old one first.
 */
static void
park_keys(List *line)
{
	ListCell   *cell;

	foreach(cell, line)
	{
		Event	   *event = lfirst(cell);
		Funnel	   *funnel;
		LeadKey		parked = {0};

		if (!event->has_old || !event->has_new || lf_key_equal(&event->old_key, &event->new_key) ||
			comes_from_line(event, line) || (funnel = lf_funnel_lookup(event->relid)) == NULL)
			continue;
		parked.key = cstring_to_text(psprintf("\001parked " UINT64_FORMAT, event->serial));
		lf_journal_rename(funnel->funnel_id, &event->old_key, &parked, NULL);
		event->shown_key = lf_key_string(&event->old_key);
		event->old_key = parked;
	}
}

/* Rows of the table, and of its partitions, that are in the funnel with this key. */
static int
count_rows_of_key(Oid root, const LeadKey *key)
{
	int			count = 0;
	ListCell   *cell;

	foreach(cell, find_all_inheritors(root, AccessShareLock, NULL))
	{
		Relation	rel;
		TableScanDesc scan;
		TupleTableSlot *slot;
		Funnel	   *funnel = lf_funnel_lookup(lfirst_oid(cell));

		if (funnel == NULL || funnel->root != root || get_rel_relkind(lfirst_oid(cell)) != RELKIND_RELATION)
			continue;
		rel = table_open(lfirst_oid(cell), AccessShareLock);
		scan = table_beginscan(rel, SnapshotSelf, 0, NULL);
		slot = table_slot_create(rel, NULL);
		while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		{
			LeadKey		other;
			LeadState	state;

			CHECK_FOR_INTERRUPTS();
			lf_lead_key(funnel, slot, &other);
			if (!lf_key_equal(&other, key))
				continue;
			lf_lead_state(funnel, slot, &state);
			count += state.live ? 1 : 0;
		}
		ExecDropSingleTupleTableSlot(slot);
		table_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	return count;
}

/*
 * A key that two rows share is an error at the end of the statement.  But the
 * statement trigger may fire between the events of one query, if that is made
 * of several statements by WITH: then the other row is gone already, and its
 * event is on the way.  The first of the line stands for all.
 */
static bool
is_key_taken(List *line)
{
	ListCell   *cell;

	foreach(cell, line)
	{
		const Event *event = lfirst(cell);

		if (!event->to_other_partition && event->has_new)
			return count_rows_of_key(event->root, &event->new_key) > 1;
	}
	return true;
}

/* Only leads that get another key: each may wait for the key of the next. */
static bool
is_cycle_of_keys(List *line)
{
	ListCell   *cell;

	foreach(cell, line)
	{
		const Event *event = lfirst(cell);

		if (!event->has_old || !event->has_new)
			return false;
	}
	return true;
}

/*
 * Writes waiting events in the order of commands.  An event is written in the
 * subtransaction that it belongs to: if it were in a deeper one, a rollback of
 * that would undo what is written for a change that stays.
 */
static void
serve_line(Force force, int depth)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	List	   *line = NIL;
	ListCell   *cell;

	foreach(cell, waiting)
	{
		Event	   *event = lfirst(cell);

		if (event->subid == subid && is_forced(event, force, depth))
			line = lappend(line, event);
	}
	if (line != NIL && force == FORCE_KEYS && !is_cycle_of_keys(line) && !is_key_taken(line))
	{
		serve_line(FORCE_HALVES, depth);
		return;
	}
	foreach(cell, line)
		waiting = list_delete_ptr(waiting, lfirst(cell));
	if (line == NIL)
		return;
	list_sort(line, by_command);
	if (force != FORCE_HALVES)
		park_keys(line);
	foreach(cell, line)
	{
		Event	   *event = lfirst(cell);
		Funnel	   *funnel = lf_funnel_lookup(event->relid);

		CHECK_FOR_INTERRUPTS();
		if (funnel != NULL)
			(void) write_event_and_followers(funnel, event, false);
	}
	if (waiting == NIL)
		forget_line();
}

/*
 * An INSERT may be the second half of a move to another partition: of the
 * DELETE with its key, or else, the key being changed as well, of the one that
 * came just before.
 */
static void
join_halves(Funnel *funnel, Event *insert)
{
	Event	   *half = NULL;
	ListCell   *cell;

	foreach(cell, waiting)
	{
		Event	   *event = lfirst(cell);

		if (event->to_other_partition && event->root == funnel->root &&
			(lf_key_equal(&event->old_key, &insert->new_key) ||
			 (half == NULL && event->serial + 1 == insert->serial)))
			half = event;
	}
	if (half == NULL)
		return;
	waiting = list_delete_ptr(waiting, half);
	insert->has_old = true;
	insert->old_key = half->old_key;
	insert->old = half->old;
	insert->old_is_ours = half->old_is_ours;
	insert->old_cmin = half->old_cmin;
	/* as in any UPDATE, what did not change was not given */
	if (insert->has_given && half->has_given && insert->given == half->given)
		insert->has_given = false;
	if (insert->handover_given && half->handover_given && insert->handed_over_at == half->handed_over_at)
		insert->handover_given = false;
	if (insert->reason != NULL && !insert->reason_is_setting && lf_text_equal(insert->reason, half->reason))
		insert->reason = setting_text(lf_setting_reason());
}

/* Judges the event, and writes it if its turn has come. */
static void
judge_and_write(Funnel *funnel, Event *event)
{
	if (event->to_other_partition)
	{
		wait_in_line(event);
		return;
	}
	if (!event->has_old && waiting != NIL)
		join_halves(funnel, event);
	judge_event(funnel, event);
	if (event->has_old && event->has_new && !event->old_is_ours &&
		lf_key_equal(&event->old_key, &event->new_key))
		(void) write_event_and_followers(funnel, event, false);
	else if (!event->has_old)
	{
		if (!write_event_and_followers(funnel, event, true))
			wait_in_line(event);
	}
	else if (comes_too_late(funnel, event))
		return;					/* counted as the gap before the later one */
	else if (is_its_turn(funnel, event, false))
		(void) write_event_and_followers(funnel, event, false);
	else
	{
		CHECK_FOR_INTERRUPTS();
		wait_in_line(event);
	}
}

static void
handle_event(Funnel *funnel, Event *event)
{
	judge_and_write(funnel, event);
	/* also what join_halves() took is done with now */
	if (waiting == NIL && waiting_cxt != NULL)
		forget_line();
}

/* ---------- reading an event ---------- */

static void
read_old(const Funnel *funnel, TupleTableSlot *slot, HeapTuple tuple, Event *event)
{
	event->has_old = true;
	lf_lead_state(funnel, slot, &event->old);
	lf_lead_key(funnel, slot, &event->old_key);
	if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
	{
		event->old_is_ours = true;
		event->old_cmin = HeapTupleHeaderGetCmin(tuple->t_data);
	}
}

static void
read_new(const Funnel *funnel, TupleTableSlot *slot, HeapTuple tuple, Event *event)
{
	event->has_new = true;
	lf_lead_state(funnel, slot, &event->new);
	lf_lead_key(funnel, slot, &event->new_key);
	event->new_cmin = HeapTupleHeaderGetCmin(tuple->t_data);
	if (event->new.unmapped && funnel->enforce &&
		SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
		lf_refuse_status(funnel, &event->new_key, event->new.status);
}

/*
 * When, why, who.  A date or a reason in a column was given only if this
 * statement changed it: last year's reason is no reason.
 */
static void
read_circumstances(const Funnel *funnel, TupleTableSlot *old, TupleTableSlot *new, Event *event)
{
	TimestampTz before;
	text	   *reason = new ? lf_lead_text(funnel, new, LF_COL_REASON) : NULL;

	if (new != NULL)
	{
		event->has_given = lf_lead_time(funnel, new, LF_COL_ENTERED, &event->given) &&
			!(old != NULL && lf_lead_time(funnel, old, LF_COL_ENTERED, &before) && before == event->given);
		event->given_is_day = funnel->type[LF_COL_ENTERED] == DATEOID;
		event->handover_given = lf_lead_time(funnel, new, LF_COL_HANDOVER, &event->handed_over_at) &&
			!(old != NULL && lf_lead_time(funnel, old, LF_COL_HANDOVER, &before) && before == event->handed_over_at);
		if (event->handover_given && TIMESTAMP_NOT_FINITE(event->handed_over_at))
			event->handover_given = false;
	}
	event->keeps_handover = funnel->attnum[LF_COL_HANDOVER] == InvalidAttrNumber;
	if (reason != NULL && old != NULL && lf_text_equal(reason, lf_lead_text(funnel, old, LF_COL_REASON)))
		reason = NULL;
	event->reason_is_setting = reason == NULL;
	event->reason = reason ? reason : setting_text(lf_setting_reason());
	event->note = setting_text(lf_setting_note());
	event->actor = setting_text(lf_setting_actor());
	if (event->actor == NULL)
		event->actor = lf_lead_text(funnel, new ? new : old, LF_COL_ACTOR);
	event->role_name = lf_role_name();
}

static void
read_event(const Funnel *funnel, TriggerData *trigdata, Event *event)
{
	static uint64 serial = 0;

	memset(event, 0, sizeof(*event));
	event->relid = RelationGetRelid(trigdata->tg_relation);
	event->root = funnel->root;
	event->subid = GetCurrentSubTransactionId();
	event->serial = ++serial;
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		read_new(funnel, trigdata->tg_trigslot, trigdata->tg_trigtuple, event);
		read_circumstances(funnel, NULL, trigdata->tg_trigslot, event);
	}
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		read_old(funnel, trigdata->tg_trigslot, trigdata->tg_trigtuple, event);
		read_new(funnel, trigdata->tg_newslot, trigdata->tg_newtuple, event);
		read_circumstances(funnel, trigdata->tg_trigslot, trigdata->tg_newslot, event);
	}
	else
	{
		HeapTupleHeader header = trigdata->tg_trigtuple->t_data;

		read_old(funnel, trigdata->tg_trigslot, trigdata->tg_trigtuple, event);
		event->new_cmin = HeapTupleHeaderGetCmax(header);
		event->to_other_partition = HeapTupleHeaderIndicatesMovedPartitions(header);
		if (event->to_other_partition)
		{
			/* for join_halves(): what the row had */
			read_circumstances(funnel, NULL, trigdata->tg_trigslot, event);
		}
		else
			read_circumstances(funnel, trigdata->tg_trigslot, NULL, event);
	}
}

/* ---------- trigger functions ---------- */

/* The funnel of the trigger's table; an error unless attach() made the trigger. */
static Funnel *
funnel_of_trigger(FunctionCallInfo fcinfo, TriggerEvent wanted, const char *const *names)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Funnel	   *funnel;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						get_func_name(fcinfo->flinfo->fn_oid))));

	/* the entry of the last row, if the trigger fires for many */
	funnel = fcinfo->flinfo->fn_extra;
	if (funnel != NULL && funnel->valid &&
		funnel->relid == RelationGetRelid(trigdata->tg_relation))
		return funnel;

	/* the first row of a statement: rules may have changed since the last one */
	AcceptInvalidationMessages();
	if ((trigdata->tg_event & (TRIGGER_EVENT_ROW | TRIGGER_EVENT_TIMINGMASK)) == wanted)
	{
		for (int i = 0; names[i] != NULL; i++)
		{
			if (strcmp(trigdata->tg_trigger->tgname, names[i]) == 0)
			{
				funnel = lf_funnel_lookup(RelationGetRelid(trigdata->tg_relation));
				fcinfo->flinfo->fn_extra = funnel;
				if (funnel != NULL)
					return funnel;
			}
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("trigger \"%s\" of table \"%s\" is not one that lead_funnel.attach() made",
					trigdata->tg_trigger->tgname, RelationGetRelationName(trigdata->tg_relation)),
			 errhint("Drop the trigger, and attach the table with lead_funnel.attach() if it holds leads.")));
	return NULL;
}

/* lead_funnel.track(): AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW */
Datum
lf_track(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"lead_funnel_track", "lead_funnel_track_update", NULL};
	Funnel	   *funnel = funnel_of_trigger(fcinfo, TRIGGER_EVENT_ROW | TRIGGER_EVENT_AFTER, names);
	Event		event;

	read_event(funnel, (TriggerData *) fcinfo->context, &event);
	handle_event(funnel, &event);
	return PointerGetDatum(NULL);
}

void
lf_track_flush(void)
{
	int			depth = trigger_depth();

	/* inside of a trigger, statements around it have events to come */
	if (waiting != NIL)
		serve_line(depth == 0 ? FORCE_ALL : depth == 1 ? FORCE_KEYS : FORCE_HALVES, depth);
	lf_stats_flush();
}

/* lead_funnel.flush(): AFTER INSERT OR UPDATE OR DELETE FOR EACH STATEMENT */
Datum
lf_flush(PG_FUNCTION_ARGS)
{
	lf_track_flush();
	return PointerGetDatum(NULL);
}

static Datum
time_datum(TimestampTz moment, Oid type, pg_tz *tz)
{
	switch (type)
	{
		case DATEOID:
			return DateADTGetDatum(lf_local_day(moment, tz));
		case TIMESTAMPOID:
			return TimestampGetDatum(lf_local_timestamp(moment, tz));
		default:
			return TimestampTzGetDatum(moment);
	}
}

/*
 * lead_funnel.stamp(): BEFORE UPDATE FOR EACH ROW
 *
 * Fills the column that says since when the lead has been in its stage, unless
 * the statement does so itself.
 */
Datum
lf_stamp(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"lead_funnel_stamp", NULL};
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Funnel	   *funnel = funnel_of_trigger(fcinfo, TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE, names);
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	TimestampTz before;
	TimestampTz given;
	LeadState	old;
	LeadState	new;
	bool		had;
	int			attnum = funnel->attnum[LF_COL_ENTERED];
	Datum		value;
	bool		isnull = false;

	/* a replicated row is stored as it comes */
	if (attnum == InvalidAttrNumber || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return PointerGetDatum(trigdata->tg_newtuple);
	had = lf_lead_time(funnel, trigdata->tg_trigslot, LF_COL_ENTERED, &before);
	if (lf_lead_time(funnel, trigdata->tg_newslot, LF_COL_ENTERED, &given) && !(had && given == before))
		return PointerGetDatum(trigdata->tg_newtuple);
	lf_lead_state(funnel, trigdata->tg_trigslot, &old);
	lf_lead_state(funnel, trigdata->tg_newslot, &new);
	if (old.stage == new.stage)
		return PointerGetDatum(trigdata->tg_newtuple);

	/* a transaction that began later may have moved the lead before us */
	if (had && before > now && before <= GetCurrentTimestamp() + LF_FUTURE_TOLERANCE)
		now = before;
	value = time_datum(now, funnel->type[LF_COL_ENTERED], funnel->tz);
	return PointerGetDatum(heap_modify_tuple_by_cols(trigdata->tg_newtuple,
													 RelationGetDescr(trigdata->tg_relation),
													 1, &attnum, &value, &isnull));
}

/* lead_funnel.truncated(): BEFORE TRUNCATE FOR EACH STATEMENT */
Datum
lf_truncated(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"lead_funnel_truncate", NULL};
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Funnel	   *funnel = funnel_of_trigger(fcinfo, TRIGGER_EVENT_BEFORE, names);
	Oid			relid = RelationGetRelid(trigdata->tg_relation);

	/* the line may hold events of the rows that go */
	lf_track_flush();
	if (relid == funnel->root)
		lf_track_all_out(funnel->funnel_id, relid, funnel->tz, LF_ORIGIN_TRUNCATE);
	else if (trigdata->tg_relation->rd_rel->relkind == RELKIND_RELATION)
		lf_track_partition_out(trigdata->tg_relation, LF_ORIGIN_TRUNCATE);
	/* else the partitions of the partition have triggers of their own */
	return PointerGetDatum(NULL);
}

/* lead_funnel._last_move(): of this transaction; one row or none */
Datum
lf_last_move(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!last_move.valid || last_move.xid != GetTopTransactionIdIfAny())
		PG_RETURN_NULL();
	last_move.valid = false;
	values[0] = CStringGetTextDatum(lf_key_string(&last_move.key));
	values[1] = LeadStageGetDatum(last_move.from);
	nulls[1] = last_move.from == LF_STAGE_NONE;
	values[2] = LeadStageGetDatum(last_move.to);
	nulls[2] = last_move.to == LF_STAGE_NONE;
	values[3] = TimestampTzGetDatum(last_move.effective_at);
	values[4] = Int32GetDatum(last_move.move);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* ---------- the end of transactions ---------- */

bool
lf_track_is_pending(void)
{
	return waiting != NIL;
}

void
lf_track_serve_all(void)
{
	serve_line(FORCE_ALL, 0);
}

void
lf_track_forget(void)
{
	forget_line();
	last_move.valid = false;
}

void
lf_track_drop(SubTransactionId subid)
{
	ListCell   *cell;

	foreach(cell, waiting)
	{
		if (((Event *) lfirst(cell))->subid == subid)
			waiting = foreach_delete_current(waiting, cell);
	}
}

void
lf_track_hand_over(SubTransactionId subid, SubTransactionId parent)
{
	ListCell   *cell;

	foreach(cell, waiting)
	{
		Event	   *event = lfirst(cell);

		if (event->subid == subid)
			event->subid = parent;
	}
}
