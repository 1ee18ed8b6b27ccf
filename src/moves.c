/*-------------------------------------------------------------------------
 *
 * moves.c
 *	  From events to journal rows: numbers, cycles, dates, statistics.
 *
 * NOTES
 *	  Each function goes on from the last row of a lead (struct Lead) and leaves
 *	  there the row that it has added.  The order of the events of a lead is
 *	  the caller's business (queue.c).
 *
 * IDENTIFICATION
 *	  src/moves.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "calendar.h"
#include "commit_gate.h"
#include "compat.h"
#include "handshake.h"
#include "ledger.h"
#include "moves.h"
#include "notify.h"
#include "settings.h"
#include "stats.h"

static LastMove last_move;

static text *
setting_text(const char *value)
{
	return value ? cstring_to_text(value) : NULL;
}

/* ---------- the last move, for lead_funnel.move() ---------- */

static void
remember_move(const JournalRow *row)
{
	if (last_move.key.key != NULL)
		pfree(last_move.key.key);
	last_move.key = row->key;
	last_move.key.key = NULL;
	if (row->key.key != NULL)
	{
		MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);

		last_move.key = lf_key_copy(&row->key);
		MemoryContextSwitchTo(previous);
	}
	last_move.xid = GetTopTransactionId();
	last_move.from = row->from_stage;
	last_move.to = row->state.live ? row->state.stage : LF_STAGE_NONE;
	last_move.effective_at = row->effective_at;
	last_move.move = row->move;
}

const LastMove *
lf_moves_last(void)
{
	static LastMove result;

	if (!TransactionIdIsValid(last_move.xid) || last_move.xid != GetTopTransactionIdIfAny())
		return NULL;
	result = last_move;
	last_move.xid = InvalidTransactionId;
	return &result;
}

void
lf_moves_forget(void)
{
	last_move.xid = InvalidTransactionId;
}

/* What is told of a move, once it has been journalled. */
static void
tell_move(const Funnel *funnel, const JournalRow *row)
{
	remember_move(row);
	lf_notify_note(funnel, row);
}

/* ---------- going on from the last row ---------- */

/* Whether the journal has the lead in the funnel. */
static bool
is_live(const Funnel *funnel, const Lead *lead)
{
	return lead->has_last && lead->last.state.live && lead->last.epoch == funnel->epoch;
}

/*
 * Fills the row that continues from the lead's last one to the state: number,
 * cycle, furthest stage, since when.
 */
static void
continue_journal(const Funnel *funnel, const Lead *lead, const LeadState *state,
				 TimestampTz effective_at, JournalRow *row)
{
	const JournalRow *last = lead->has_last ? &lead->last : NULL;
	bool		live = is_live(funnel, lead);
	bool		moves = !live || !state->live || last->state.stage != state->stage;

	row->key = lead->key;
	row->move = last ? last->move + 1 : 1;
	row->kind = moves ? LF_KIND_MOVE : LF_KIND_CHANGE;
	row->effective_at = effective_at;
	row->epoch = funnel->epoch;
	row->rules_version = funnel->rules_version;
	row->state = *state;
	row->from_stage = live ? last->state.stage : LF_STAGE_NONE;
	row->cycle = last ? last->cycle : 1;
	row->cycle_move = last ? last->cycle_move : 1;
	row->cycle_ended = last ? last->cycle_ended : false;
	row->furthest_stage = last ? last->furthest_stage : LF_STAGE_NONE;
	row->handed_over_at = last ? last->handed_over_at : LF_NO_TIME;
	row->entered_at = !state->live ? LF_NO_TIME : (moves ? effective_at : last->entered_at);
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
		row->handed_over_at = LF_NO_TIME;
	}

	/*
	 * Entering mql hands over, unless a column says when that is; back with
	 * marketing, a lead is not handed over any more.
	 */
	if (state->stage == LF_STAGE_LEAD || state->stage == LF_STAGE_NURTURE)
		row->handed_over_at = LF_NO_TIME;
	else if (state->stage == LF_STAGE_MQL && funnel->attnum[LF_COL_HANDOVER] == InvalidAttrNumber)
		row->handed_over_at = effective_at;

	if (lf_stage_ends_cycle(state->stage))
		row->cycle_ended = true;
	if (lf_stage_on_path(state->stage) && state->stage > row->furthest_stage)
		row->furthest_stage = state->stage;
}

/* Journals the row and notes the change in the statistics. */
static void
write_row(JournalWriter *writer, const Funnel *funnel, Lead *lead, JournalRow *row)
{
	LeadState	before = lead->last.state;
	const LeadState *from = is_live(funnel, lead) ? &before : NULL;
	const LeadState *to = row->state.live ? &row->state : NULL;
	char		kind = row->kind == LF_KIND_MOVE ? LF_DELTA_FLOW : LF_DELTA_ADJUSTMENT;

	lf_journal_add(writer, lead, row);
	if (row->kind == LF_KIND_MOVE)
		tell_move(funnel, row);
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
default_effective_at(const Lead *lead)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	/* another transaction that began later may have moved the lead before us */
	return lead->has_last && lead->last.effective_at > now ? lead->last.effective_at : now;
}

void
lf_moves_set_state(JournalWriter *writer, Funnel *funnel, Lead *lead, const LeadState *state, CommandId cmin)
{
	JournalRow	row = {.cmin = cmin};

	if (!state->live && !is_live(funnel, lead))
		return;
	if (state->live && is_live(funnel, lead) && lf_state_equal(&lead->last.state, state))
		return;
	continue_journal(funnel, lead, state, default_effective_at(lead), &row);
	if (!state->live)
	{
		/* the row keeps what the lead had */
		row.state = lead->last.state;
		row.state.live = false;
	}
	row.origin = LF_ORIGIN_RECONCILE;
	row.role_name = lf_role_name();
	row.actor = setting_text(lf_setting_actor());
	row.note = setting_text(lf_setting_note());
	write_row(writer, funnel, lead, &row);
}

/* ---------- judging an event ---------- */

static Move
move_of(const Event *event)
{
	Move		move = {.key = *lf_event_key(event),.reason = event->reason,.evidence = &event->evidence};

	move.from = event->has_old && event->old.live ? event->old.stage : LF_STAGE_NONE;
	move.to = event->has_new && event->new.live ? event->new.stage : LF_STAGE_NONE;
	return move;
}

static bool
refuses(const Funnel *funnel)
{
	return funnel->enforce && SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA;
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
	if (refuses(funnel))
		lf_refuse(funnel, move, breach);
}

/*
 * Of an event after which the lead moved on by itself, what the statement did;
 * false if it moved nothing.
 */
static bool
own_part(const Event *event, Event *own)
{
	*own = *event;
	own->automatic = NULL;
	own->new.stage = event->automatic->path[0];
	own->new.status = event->automatic->status;
	return !(event->has_old && event->old.live && event->old.stage == own->new.stage);
}

void
lf_moves_judge(const Funnel *funnel, Event *event)
{
	Move		move = move_of(event);

	if (event->automatic != NULL)
	{
		Event		own;

		/* what follows by itself has been judged when it was made */
		if (!own_part(event, &own))
			return;
		lf_moves_judge(funnel, &own);
		event->breach = own.breach;
		event->overridden = own.overridden;
		event->reason = own.reason;
		return;
	}
	if (move.to == LF_STAGE_NONE || move.from == move.to)
		return;
	if (lf_by_right != NULL && lf_handshake_claim(funnel, event))
		return;
	/* who comes back is judged when it is known where it was */
	if (move.from == LF_STAGE_NONE && event->has_old)
		return;
	handle_breach(funnel, event, &move, lf_judge(funnel, &move));
}

/* A moment as the column since when a lead is in its stage can hold it. */
static TimestampTz
stamp_of_moment(TimestampTz moment, const Funnel *funnel)
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
effective_time(const Funnel *funnel, Event *event, const Lead *lead)
{
	TimestampTz now = default_effective_at(lead);
	TimestampTz earliest = LF_FIRST_TIME;
	TimestampTz given = event->given;
	Move		move = move_of(event);

	if (!event->has_given || move.to == LF_STAGE_NONE || move.from == move.to)
		return now;
	if (lead->has_last)
		earliest = Max(earliest, is_live(funnel, lead) ? lead->last.entered_at : lead->last.effective_at);

	/* what lf_stamp() fills in was not given */
	if (given == stamp_of_moment(GetCurrentTransactionStartTimestamp(), funnel))
		return now;
	/* a day stands for any moment of it */
	if (event->given_is_day && !TIMESTAMP_NOT_FINITE(given))
	{
		DateADT		day = lf_local_day(given, funnel->tz);

		if (day == lf_local_day(now, funnel->tz))
			return now;
		if (day == lf_local_day(earliest, funnel->tz))
			given = earliest;
	}
	move.given = given;
	move.earliest = earliest;
	if (given < LF_FIRST_TIME || lf_time_is_future(given))
	{
		/*
		 * let pass or not, nothing takes effect in the future, or before the
		 * calendar begins
		 */
		handle_breach(funnel, event, &move, LF_BREACH_TIME);
		return now;
	}
	if (given < earliest)
	{
		handle_breach(funnel, event, &move, LF_BREACH_TIME);
		/* an override means the date, a violation does not mend the past */
		return event->overridden ? given : earliest;
	}
	return given;
}

/* ---------- journalling an event ---------- */

static void
describe_writer(const Event *event, JournalRow *row)
{
	row->cmin = event->order_cmin;
	row->role_name = event->role_name;
	row->actor = event->actor;
	row->reason = event->reason;
	row->note = event->note;
	if (row->kind == LF_KIND_MOVE || row->kind == LF_KIND_UNDO)
	{
		row->qualification = event->evidence.qualification;
		row->score = event->evidence.score;
		row->score_model = event->evidence.score_model;
		row->score_version = event->evidence.score_version;
	}
	row->breach = event->breach;
	if (event->by_right)
		row->origin = event->by_right;
	else if (event->breach != LF_BREACH_NONE)
		row->origin = event->overridden ? LF_ORIGIN_OVERRIDE : LF_ORIGIN_VIOLATION;
	else
		row->origin = SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ?
			LF_ORIGIN_REPLICATED : LF_ORIGIN_WRITE;
}

static void
write_exit(JournalWriter *writer, const Funnel *funnel, const Event *event, Lead *lead)
{
	JournalRow	row = {0};
	LeadState	out = lead->last.state;
	bool		unmapped = event->has_new && event->new.unmapped;

	out.live = false;
	out.status = unmapped ? event->new.status : NULL;
	continue_journal(funnel, lead, &out, default_effective_at(lead), &row);
	row.from_status = event->old.status;
	describe_writer(event, &row);
	if (unmapped)
	{
		row.origin = LF_ORIGIN_VIOLATION;
		row.breach = LF_BREACH_STAGE;
	}
	else
		row.origin = event->has_new ? LF_ORIGIN_EXCLUDE : LF_ORIGIN_DELETE;
	write_row(writer, funnel, lead, &row);
}

/* Where a lead that is out had been last. */
static LeadStage
left_from(const Lead *lead)
{
	return lead->last.state.live ? lead->last.state.stage : lead->last.from_stage;
}

void
lf_moves_refuse_duplicate(const Funnel *funnel, const LeadKey *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("lead \"%s\" is in funnel \"%s\" already", lf_key_string(key), NameStr(funnel->name)),
			 errdetail("A lead is known by column \"%s\", and another row of table \"%s\" has this key.",
					   get_attname(funnel->relid, funnel->attnum[LF_COL_KEY], false), get_rel_name(funnel->root)),
			 errhint("Give the column a unique index.  If that row has gone while the triggers were off, call lead_funnel.reconcile(%s).",
					 quote_literal_cstr(NameStr(funnel->name))),
			 lf_error_fields(funnel, NULL)));
	pg_unreachable();
}

/*
 * The lead that had a key before left with all others.  Their marker ends its
 * last visit only as long as no row of the same epoch comes behind, and one of
 * the lead that takes the key may.  So it gets an exit of its own.  The
 * statistics have counted it with the marker.
 */
static void
write_exit_with_all(JournalWriter *writer, const Funnel *funnel, const Event *event, Lead *lead)
{
	const JournalRow *last = &lead->last;
	JournalRow	row = {.key = last->key,.move = last->move + 1,.kind = LF_KIND_MOVE,.cmin = event->new_cmin};

	row.effective_at = Max(lf_journal_epoch_end(funnel->funnel_id, last->epoch, &row.origin), last->effective_at);
	row.epoch = last->epoch;
	row.cycle = last->cycle;
	row.cycle_move = last->cycle_move;
	row.cycle_ended = true;
	row.furthest_stage = last->furthest_stage;
	row.entered_at = LF_NO_TIME;
	row.handed_over_at = last->handed_over_at;
	row.from_stage = last->state.stage;
	row.state = last->state;
	row.state.live = false;
	row.state.status = NULL;
	row.role_name = event->role_name;
	lf_journal_add(writer, lead, &row);
}

/* The new key takes the history over; the journal says so. */
static void
write_new_key(JournalWriter *writer, const Funnel *funnel, const Event *event, Lead *lead, Lead *old_lead)
{
	JournalRow	row = {0};
	LeadState	state;

	lf_ledger_rename(funnel->funnel_id, &event->old_key, &lead->key);
	if (!old_lead->has_last)
		return;
	if (lead->has_last && lead->last.state.live)
		write_exit_with_all(writer, funnel, event, lead);
	lf_commit_gate_rename(old_lead, lead);
	lf_journal_rename(writer, old_lead, lead, event->new_cmin);
	state = lead->last.state;
	state.live = is_live(funnel, lead);
	continue_journal(funnel, lead, &state, default_effective_at(lead), &row);
	row.kind = LF_KIND_KEY;
	/* one that is out may come back to where it was */
	if (!state.live)
		row.from_stage = left_from(lead);
	describe_writer(event, &row);
	row.origin = LF_ORIGIN_WRITE;
	row.breach = LF_BREACH_NONE;
	row.related_key = cstring_to_text(event->shown_key ? event->shown_key : lf_key_string(&event->old_key));
	lf_journal_add(writer, lead, &row);
}

/* Whether the row takes back what had been handed over; a date that comes with it does not hand over at the same time. */
static bool
takes_back(const Lead *lead, const JournalRow *row)
{
	return row->kind == LF_KIND_MOVE && (row->state.stage == LF_STAGE_LEAD || row->state.stage == LF_STAGE_NURTURE) &&
		lead->has_last && lead->last.handed_over_at != LF_NO_TIME && lead->last.cycle == row->cycle;
}

static void
write_move(JournalWriter *writer, const Funnel *funnel, Event *event, Lead *lead)
{
	JournalRow	row = {0};
	Move		move = move_of(event);
	TimestampTz effective_at;

	/* one that comes back */
	if (move.from == LF_STAGE_NONE && event->has_old)
	{
		if (lead->has_last)
			move.left_from = left_from(lead);
		handle_breach(funnel, event, &move, lf_judge(funnel, &move));
	}
	effective_at = effective_time(funnel, event, lead);
	continue_journal(funnel, lead, &event->new, effective_at, &row);
	if (event->has_old)
		row.from_status = event->old.status;

	if (event->handover_given && !event->keeps_handover && !takes_back(lead, &row))
		row.handed_over_at = event->handed_over_at;

	if (row.kind == LF_KIND_CHANGE && lead->has_last &&
		lf_state_equal(&lead->last.state, &event->new) && row.handed_over_at == lead->last.handed_over_at)
		return;					/* nothing that the journal keeps */
	describe_writer(event, &row);
	write_row(writer, funnel, lead, &row);
	if (row.kind == LF_KIND_MOVE && event->breach == LF_BREACH_NONE)
		lf_commit_gate_note(funnel, lead, &move, refuses(funnel));
}

/* Counts as if the moves from this one on had not been. */
static void
take_back_numbers(const Funnel *funnel, const List *rows, int from)
{
	for (int i = from; i < list_length(rows); i++)
	{
		const JournalRow *row = list_nth(rows, i);
		const JournalRow *before = list_nth(rows, i - 1);
		bool		moved = row->kind == LF_KIND_MOVE;

		if (moved || !lf_state_equal(&before->state, &row->state))
			lf_stats_take_back(funnel->funnel_id, moved ? LF_DELTA_FLOW : LF_DELTA_ADJUSTMENT,
							   lf_local_day(row->effective_at, funnel->tz), &before->state, &row->state);
	}
}

/*
 * The lead is again where it was before its last move, as if that had not been;
 * dimensions and value stay what they are now.
 */
static void
write_undo(JournalWriter *writer, const Funnel *funnel, const Event *event, Lead *lead)
{
	List	   *rows = lf_journal_counted_rows(writer, lead);
	int			at = lf_handshake_last_move(rows);
	const JournalRow *undone = at > 0 ? list_nth(rows, at) : NULL;
	const JournalRow *before = at > 0 ? list_nth(rows, at - 1) : NULL;
	JournalRow	row = {0};

	if (undone == NULL || undone->move != event->undoes || before->state.stage != event->new.stage)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the last move of lead \"%s\" was not taken back", lf_key_string(&lead->key)),
				 errdetail("A trigger of table \"%s\" has moved the lead meanwhile.", get_rel_name(funnel->root)),
				 errhint("Look at the triggers of the table.")));
	continue_journal(funnel, lead, &event->new, default_effective_at(lead), &row);
	row.kind = LF_KIND_UNDO;
	row.undoes = undone->move;
	row.entered_at = before->entered_at;
	row.cycle = before->cycle;
	row.cycle_move = before->cycle_move;
	row.cycle_ended = before->cycle_ended;
	row.furthest_stage = before->furthest_stage;
	/* a date of the hand-over that was given since stays */
	row.handed_over_at = lead->last.handed_over_at == undone->handed_over_at ?
		before->handed_over_at : lead->last.handed_over_at;
	row.from_status = event->old.status;
	describe_writer(event, &row);
	lf_journal_add(writer, lead, &row);
	tell_move(funnel, &row);
	take_back_numbers(funnel, rows, at);
	if (!lf_state_equal(&before->state, &row.state))
		lf_stats_note(funnel->funnel_id, LF_DELTA_ADJUSTMENT, lf_local_day(row.effective_at, funnel->tz),
					  &before->state, &row.state);
}

void
lf_moves_escalate(JournalWriter *writer, const Funnel *funnel, Lead *lead)
{
	JournalRow	row = {.cmin = GetCurrentCommandId(true)};

	continue_journal(funnel, lead, &lead->last.state, default_effective_at(lead), &row);
	row.origin = LF_ORIGIN_EXPIRY;
	row.role_name = lf_role_name();
	row.actor = setting_text(lf_setting_actor());
	write_row(writer, funnel, lead, &row);
}

/*
 * No number changes; at most the hand-over does.  A trigger of the user's may
 * have moved the lead since, and that be journalled, so the row goes on from
 * what the journal says and not from what the event does.
 */
static void
write_handover(JournalWriter *writer, const Funnel *funnel, Event *event, Lead *lead)
{
	JournalRow	row = {0};

	if (event->keeps_handover || !event->handover_given ||
		event->handed_over_at == lead->last.handed_over_at)
		return;
	continue_journal(funnel, lead, &lead->last.state, default_effective_at(lead), &row);
	row.handed_over_at = event->handed_over_at;
	describe_writer(event, &row);
	write_row(writer, funnel, lead, &row);
}

/* A status that means nothing: in observe mode the lead stays out, and it is told. */
static void
write_unmapped(JournalWriter *writer, const Funnel *funnel, const Event *event, Lead *lead)
{
	JournalRow	row = {0};

	continue_journal(funnel, lead, &event->new, default_effective_at(lead), &row);
	describe_writer(event, &row);
	row.origin = LF_ORIGIN_VIOLATION;
	row.breach = LF_BREACH_STAGE;
	write_row(writer, funnel, lead, &row);
}

/* What the statement did itself, if it moved the lead, and each move that followed. */
static bool
write_parts(JournalWriter *writer, Funnel *funnel, const Event *event, Lead *lead, Lead *old_lead, bool force)
{
	const AutomaticMove *automatic = event->automatic;
	Event		part;

	if (own_part(event, &part))
	{
		if (!lf_moves_write(writer, funnel, &part, lead, old_lead, force))
			return false;
		old_lead = NULL;
	}
	for (int i = 1; i <= automatic->steps; i++)
	{
		Event		next = *event;
		const char *status;

		next.automatic = NULL;
		next.by_right = LF_ORIGIN_AUTOMATIC;
		next.evidence = automatic->evidence;
		next.reason = next.note = NULL;
		next.breach = LF_BREACH_NONE;
		next.overridden = next.has_given = false;
		if (old_lead == NULL)
			next.old_key = event->new_key;
		next.has_old = true;
		if (i > 1 || !event->has_old || !event->old.live || event->old.stage != automatic->path[0])
			next.old = part.new;
		next.new.stage = automatic->path[i];
		if (i < automatic->steps)
		{
			status = lf_funnel_status_of_stage(funnel, next.new.stage);
			next.new.status = status && funnel->stage_kind != LF_STAGE_NATIVE ? cstring_to_text(status) : NULL;
		}
		if (!lf_moves_write(writer, funnel, &next, lead, old_lead, force))
			return false;
		old_lead = NULL;
		part.new = next.new;
	}
	return true;
}

bool
lf_moves_write(JournalWriter *writer, Funnel *funnel, Event *event, Lead *lead, Lead *old_lead, bool force)
{
	bool		was_in = event->has_old && event->old.live;
	bool		is_in = event->has_new && event->new.live;

	if (event->automatic != NULL)
		return write_parts(writer, funnel, event, lead, old_lead, force);

	/* another lead must first give up the key */
	if (is_in && (!was_in || old_lead != NULL) && is_live(funnel, lead))
	{
		LeadState	out = {.live = false};

		if (!force)
			return false;
		/* the row that the journal knows, restored with triggers on */
		if (!event->has_old && lf_state_equal(&lead->last.state, &event->new))
			return true;

		/*
		 * there is no other row: that went while the trigger was off, or it
		 * is this one
		 */
		if (!event->has_old || old_lead != NULL)
			lf_moves_set_state(writer, funnel, lead, &out, event->new_cmin);
	}

	/*
	 * The history goes with the row.  But a row that is out may share its key
	 * with one that is in, whose history it then is: soft-deleted rows do so.
	 */
	if (old_lead != NULL && (was_in || !is_live(funnel, old_lead)))
	{
		if (is_live(funnel, lead))
			lead = old_lead;
		else
			write_new_key(writer, funnel, event, lead, old_lead);
	}

	if (was_in && is_in && is_live(funnel, lead) && lf_state_equal(&event->old, &event->new))
		write_handover(writer, funnel, event, lead);
	else if (lead->has_last && lead->last.written_by_us && lead->last.cmin > event->order_cmin &&
			 (event->has_old || lead->last.state.live))
		return true;			/* what a later event said stands, and was
								 * counted as a gap before it */
	else if (was_in && is_in)
	{
		/*
		 * If the journal does not know the old version, the trigger was off
		 * for a while.  What happened meanwhile is journalled as reconcile,
		 * so that the statistics take the minus side from where the lead is
		 * counted.
		 */
		if (!is_live(funnel, lead) || !lf_state_equal(&lead->last.state, &event->old))
			lf_moves_set_state(writer, funnel, lead, &event->old, event->new_cmin);
		if (event->undoes != 0)
			write_undo(writer, funnel, event, lead);
		else
			write_move(writer, funnel, event, lead);
	}
	else if (is_in)
		write_move(writer, funnel, event, lead);
	else if (was_in && is_live(funnel, lead))
		write_exit(writer, funnel, event, lead);
	else if (event->has_new && event->new.unmapped && !(event->has_old && event->old.unmapped) &&
			 !is_live(funnel, lead))
		write_unmapped(writer, funnel, event, lead);
	return true;
}

/* ---------- whole tables ---------- */

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
lf_moves_read_arrival(Funnel *funnel, TupleTableSlot *slot, Arrival *arrival)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	LeadState	state;
	LeadKey		key;

	lf_lead_state(funnel, slot, NULL, &state);
	if (!state.live && !state.unmapped)
		return false;
	lf_lead_key(funnel, slot, &key);
	if (state.unmapped)
		refuse_to_attach(funnel, &key, state.status);
	arrival->lead.funnel_id = funnel->funnel_id;
	arrival->lead.key = lf_key_copy(&key);
	arrival->lead.likely = NULL;
	arrival->state = lf_state_copy(&state, NULL);

	/* true dates where the table has them; a date to come is none */
	if (!lf_lead_time(funnel, slot, LF_COL_ENTERED, &arrival->entered_at) ||
		!lf_time_is_usable(arrival->entered_at) || arrival->entered_at > now)
		arrival->entered_at = now;
	if (!lf_lead_time(funnel, slot, LF_COL_HANDOVER, &arrival->handed_over_at) ||
		!lf_time_is_usable(arrival->handed_over_at))
		arrival->handed_over_at = LF_NO_TIME;
	return true;
}

static void
refuse_key_of_two(const Funnel *funnel, const LeadKey *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("key \"%s\" of table \"%s\" is not unique", lf_key_string(key), get_rel_name(funnel->root)),
			 errdetail("A lead is known by its key, and two rows of funnel \"%s\" have this one.", NameStr(funnel->name)),
			 errhint("List such keys with lead_funnel.check_table(), or name another key_column.")));
}

static int
by_lead(const void *a, const void *b)
{
	return lf_lead_compare(&(*(Arrival *const *) a)->lead, &(*(Arrival *const *) b)->lead);
}

void
lf_moves_backfill(JournalWriter *writer, Funnel *funnel, Arrival **arrivals, int count)
{
	Lead	  **leads = palloc(count * sizeof(Lead *));

	qsort(arrivals, count, sizeof(Arrival *), by_lead);
	for (int i = 0; i < count; i++)
	{
		leads[i] = &arrivals[i]->lead;
		if (i > 0 && lf_lead_compare(leads[i - 1], leads[i]) == 0)
			refuse_key_of_two(funnel, &leads[i]->key);
	}
	lf_journal_find(writer, leads, count);
	for (int i = 0; i < count; i++)
	{
		const Arrival *arrival = arrivals[i];
		Lead	   *lead = leads[i];
		TimestampTz entered_at = arrival->entered_at;
		JournalRow	row = {.cmin = GetCurrentCommandId(true)};

		if (is_live(funnel, lead))
			refuse_key_of_two(funnel, &lead->key);
		if (lead->has_last && entered_at < lead->last.effective_at)
			entered_at = lead->last.effective_at;
		continue_journal(funnel, lead, &arrival->state, entered_at, &row);
		row.origin = LF_ORIGIN_BACKFILL;
		row.role_name = lf_role_name();
		/* when it entered mql is no date of its hand-over */
		row.handed_over_at = arrival->handed_over_at;
		write_row(writer, funnel, lead, &row);
	}
	lf_journal_write(writer);
}

void
lf_moves_all_out(int32 funnel_id, Oid relid, pg_tz *tz, char origin)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Snapshot	snapshot;
	int32		epoch;

	lf_stats_flush();
	lf_stats_note_all_out(funnel_id, lf_local_day(now, tz));
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	epoch = lf_journal_epoch(funnel_id, snapshot);
	UnregisterSnapshot(snapshot);
	lf_journal_append_marker(funnel_id, epoch + 1, now, origin);
	lf_notify_note_all_out(funnel_id, epoch + 1, now, origin);

	/*
	 * the epoch is compiled into the funnel; here, too, from the next command
	 * on
	 */
	if (OidIsValid(relid))
		lf_funnel_invalidate(relid);
	CommandCounterIncrement();
}

typedef void (*RowHandler) (JournalWriter *writer, Funnel *funnel, TupleTableSlot *slot, char origin);

/* Calls the handler for each row of the partition. */
static void
scan_partition(Relation rel, Funnel *funnel, RowHandler handler, char origin)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	JournalWriter *writer = lf_journal_open();
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel partition",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		handler(writer, funnel, slot, origin);
		lf_journal_write(writer);
		MemoryContextReset(cxt);
	}
	MemoryContextSwitchTo(previous);
	lf_journal_close(writer);
	MemoryContextDelete(cxt);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	lf_stats_flush();
}

static void
take_out(JournalWriter *writer, Funnel *funnel, TupleTableSlot *slot, char origin)
{
	Lead		lead = {.funnel_id = funnel->funnel_id};
	Lead	   *found = &lead;
	JournalRow	row = {.cmin = GetCurrentCommandId(true)};
	LeadState	state;
	LeadState	out;

	/*
	 * a row that is out already may share its key with one in another
	 * partition
	 */
	lf_lead_state(funnel, slot, NULL, &state);
	if (!state.live)
		return;
	lf_lead_key(funnel, slot, &lead.key);
	lf_journal_find(writer, &found, 1);
	if (!is_live(funnel, &lead))
		return;
	out = lead.last.state;
	out.live = false;
	continue_journal(funnel, &lead, &out, default_effective_at(&lead), &row);
	row.origin = origin;
	row.role_name = lf_role_name();
	row.actor = setting_text(lf_setting_actor());
	write_row(writer, funnel, &lead, &row);
}

void
lf_moves_partition_out(Relation rel, Funnel *funnel, char origin)
{
	scan_partition(rel, funnel, take_out, origin);
}

static void
take_in(JournalWriter *writer, Funnel *funnel, TupleTableSlot *slot, char origin)
{
	Lead		lead = {.funnel_id = funnel->funnel_id};
	Lead	   *found = &lead;
	LeadState	state;

	lf_lead_state(funnel, slot, NULL, &state);
	if (!state.live && !state.unmapped)
		return;
	lf_lead_key(funnel, slot, &lead.key);
	if (state.unmapped && funnel->enforce)
		lf_refuse_status(funnel, &lead.key, state.status);
	if (!state.live)
		return;
	lf_journal_find(writer, &found, 1);
	if (is_live(funnel, &lead))
		lf_moves_refuse_duplicate(funnel, &lead.key);
	lf_moves_set_state(writer, funnel, &lead, &state, GetCurrentCommandId(true));
}

void
lf_moves_partition_in(Relation rel, Funnel *funnel)
{
	scan_partition(rel, funnel, take_in, LF_ORIGIN_RECONCILE);
}
