/*-------------------------------------------------------------------------
 *
 * handshake.c
 *	  Hand-overs from marketing to sales: who decided, what is taken back, what
 *	  expires.
 *
 * NOTES
 *	  A writer has no right on the journal, but must learn whether a lead has
 *	  been decided.  So the functions here first lock the lead's row, as the
 *	  caller and by a query: whoever may not update the row learns nothing.
 *	  Under the lock nobody else can decide, and the journal is read as it is
 *	  now, whatever the transaction's snapshot is.
 *
 *	  A move with the origin undo or expiry is asked no rule, so no writer may
 *	  call a move so.  The function that has checked the right runs the UPDATE
 *	  itself and says for its duration which move of which lead is meant
 *	  (lf_by_right); the trigger takes that one event for it and no other.
 *
 *	  What a hand-over is, and what has become of it, stands once more in view
 *	  _handover_row (sql/parts/51_views_handshake.sql); a test compares them.
 *
 * IDENTIFICATION
 *	  src/handshake.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "automatic.h"
#include "compat.h"
#include "handshake.h"
#include "moves.h"
#include "queue.h"
#include "settings.h"
#include "sla.h"
#include "stats.h"
#include "track.h"

PG_FUNCTION_INFO_V1(lf_decision);
PG_FUNCTION_INFO_V1(lf_undo);
PG_FUNCTION_INFO_V1(lf_overdue);
PG_FUNCTION_INFO_V1(lf_expire);
PG_FUNCTION_INFO_V1(lf_move_automatically);

ByRight    *lf_by_right = NULL;

/* ---------- what is done by right ---------- */

bool
lf_handshake_claim(const Funnel *funnel, Event *event)
{
	ByRight    *right = lf_by_right;

	if (right->claimed || right->funnel_id != funnel->funnel_id ||
		!event->has_old || !event->has_new || !event->old.live || !event->new.live ||
		event->old.stage != right->from || event->new.stage != right->to ||
		!lf_key_equal(&event->old_key, &right->key) || !lf_key_equal(&event->new_key, &right->key))
		return false;
	right->claimed = true;
	event->by_right = right->origin;
	event->undoes = right->undoes;
	if (right->reason != NULL)
		event->reason = right->reason;
	if (right->note != NULL)
		event->note = right->note;
	if (right->actor != NULL)
		event->actor = right->actor;
	return true;
}

bool
lf_handshake_is_undoing(const Funnel *funnel, TupleTableSlot *slot)
{
	LeadKey		key;

	if (lf_by_right == NULL || lf_by_right->undoes == 0 || lf_by_right->funnel_id != funnel->funnel_id)
		return false;
	lf_lead_key(funnel, slot, &key);
	return lf_key_equal(&key, &lf_by_right->key);
}

/* ---------- queries, as the caller ---------- */

/* Runs the query with these arguments; a NULL pointer is a null of its type. */
static void
query(const char *sql, int nargs, Oid *types, const Datum *values, const bool *is_null)
{
	char		nulls[8];

	for (int i = 0; i < nargs; i++)
		nulls[i] = is_null != NULL && is_null[i] ? 'n' : ' ';
	if (SPI_execute_with_args(sql, nargs, types, unconstify(Datum *, values), nulls, false, 0) < 0)
		elog(ERROR, "query failed: %s", sql);
}

static Datum
result(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

/* The lead as the journal names it, from its key as text. */
static void
make_lead(const Funnel *funnel, text *key, Lead *lead)
{
	Oid			type = funnel->type[LF_COL_KEY];

	memset(lead, 0, sizeof(*lead));
	lead->funnel_id = funnel->funnel_id;
	lead->key.is_integer = type == INT2OID || type == INT4OID || type == INT8OID;
	if (lead->key.is_integer)
		lead->key.id = pg_strtoint64(text_to_cstring(key));
	else
		lead->key.key = lf_text_copy(key);
}

/*
 * Locks the lead's row; false if another session has it locked and we do not
 * wait.  What the journal says is final until the transaction ends.
 */
static bool
lock_lead(const char *funnel_name, text *key, bool wait, Funnel **funnel, Lead *lead)
{
	Oid			types[] = {NAMEOID, TEXTOID, BOOLOID};
	Datum		values[] = {CStringGetDatum(funnel_name), PointerGetDatum(key), BoolGetDatum(wait)};
	bool		isnull;
	Datum		found;

	query("SELECT l.lead FROM lead_funnel._lock_lead($1, $2, $3) AS l", 3, types, values, NULL);
	if (SPI_processed == 0)
		return false;
	found = result(0, 1, &isnull);
	if (isnull)
		return false;
	*funnel = lf_funnel_by_name(funnel_name);
	make_lead(*funnel, DatumGetTextPP(found), lead);
	/* what this transaction has done belongs to the journal, too */
	lf_queue_flush_lead((*funnel)->root, &lead->key);
	lf_stats_flush();
	return true;
}

/* ---------- hand-overs ---------- */

typedef enum Verdict
{
	VERDICT_NONE,
	VERDICT_ACCEPTED,
	VERDICT_REJECTED,
	VERDICT_WITHDRAWN
} Verdict;

/* What the row says of a hand-over that is undecided. */
static Verdict
verdict_of(const JournalRow *row)
{
	switch (row->state.stage)
	{
		case LF_STAGE_SAL:
		case LF_STAGE_SQL:
		case LF_STAGE_OPPORTUNITY:
		case LF_STAGE_WON:
			return VERDICT_ACCEPTED;
		case LF_STAGE_REJECTED:
		case LF_STAGE_DISQUALIFIED:
		case LF_STAGE_RECYCLED:
		case LF_STAGE_LOST:
			return VERDICT_REJECTED;
		case LF_STAGE_NONE:
			return row->kind == LF_KIND_MOVE ? VERDICT_WITHDRAWN : VERDICT_NONE;
		case LF_STAGE_LEAD:
		case LF_STAGE_NURTURE:
			return row->kind == LF_KIND_MOVE && row->handed_over_at == LF_NO_TIME ? VERDICT_WITHDRAWN : VERDICT_NONE;
		default:
			return VERDICT_NONE;
	}
}

/* Whether a hand-over begins with the row; "before" is the row before it, or NULL. */
static bool
hands_over(const JournalRow *row, const JournalRow *before)
{
	if (row->handed_over_at == LF_NO_TIME)
		return false;
	if (before == NULL || before->handed_over_at == LF_NO_TIME || before->cycle != row->cycle)
		return true;
	/* back from sales to mql */
	return row->kind == LF_KIND_MOVE && row->state.stage == LF_STAGE_MQL &&
		before->state.stage != LF_STAGE_LEAD && before->state.stage != LF_STAGE_NURTURE &&
		(row->handed_over_at != before->handed_over_at || row->handed_over_at == row->effective_at);
}

/* Where the lead stands now. */
typedef struct Handover
{
	const JournalRow *last;		/* NULL: the lead has no rows */
	const JournalRow *opened;	/* with this row; NULL: not handed over, or
								 * before tracking began */
	const JournalRow *decided;	/* by this row; NULL: undecided */
	bool		escalated;
} Handover;

static void
find_handover(const List *rows, Handover *handover)
{
	ListCell   *cell;

	memset(handover, 0, sizeof(*handover));
	foreach(cell, rows)
	{
		const JournalRow *row = lfirst(cell);
		const JournalRow *before = handover->last;
		Verdict		verdict = verdict_of(row);

		if (before != NULL && before->cycle != row->cycle)
			handover->opened = handover->decided = NULL;
		if (hands_over(row, before))
		{
			handover->opened = row->origin == LF_ORIGIN_BACKFILL ? NULL : row;
			handover->decided = NULL;
			handover->escalated = false;
		}
		if (verdict == VERDICT_WITHDRAWN)
			handover->opened = handover->decided = NULL;
		else if (verdict != VERDICT_NONE && handover->decided == NULL)
			handover->decided = row;
		if (row->kind == LF_KIND_CHANGE && row->origin == LF_ORIGIN_EXPIRY)
			handover->escalated = true;
		handover->last = row;
	}
	/* where no rule forbids it, a decided lead may have gone back */
	if (handover->last != NULL && verdict_of(handover->last) == VERDICT_NONE)
		handover->decided = NULL;
}

static List *
rows_of(const Lead *lead)
{
	JournalWriter *writer = lf_journal_open();
	List	   *rows = lf_journal_counted_rows(writer, lead);

	lf_journal_close(writer);
	return rows;
}

int
lf_handshake_last_move(const List *rows)
{
	for (int i = list_length(rows) - 1; i >= 0; i--)
	{
		if (((const JournalRow *) list_nth(rows, i))->kind == LF_KIND_MOVE)
			return i;
	}
	return -1;
}

/* Who made the move, for people; what was there before has nobody. */
static text *
who_moved(const JournalRow *row)
{
	if (row->origin == LF_ORIGIN_BACKFILL)
		return NULL;
	return row->actor != NULL ? row->actor : row->role_name;
}

static void
put_text(text *value, Datum *place, bool *isnull)
{
	*isnull = value == NULL;
	*place = PointerGetDatum(value);
}

static void
put_stage(LeadStage stage, Datum *place, bool *isnull)
{
	*isnull = stage == LF_STAGE_NONE;
	*place = LeadStageGetDatum(stage);
}

/*
 * lead_funnel._decision(funnel, key, recycled): locks the lead and says who
 * decided its hand-over, or who has recycled it
 */
Datum
lf_decision(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext previous;
	Funnel	   *funnel;
	Lead		lead;
	List	   *rows;
	Handover	handover;
	const JournalRow *row;
	Datum		values[10];
	bool		nulls[10] = {false};
	Datum		tuple;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	SPI_connect();
	if (!lock_lead(NameStr(*PG_GETARG_NAME(0)), PG_GETARG_TEXT_PP(1), true, &funnel, &lead))
		elog(ERROR, "lead was not locked");
	rows = rows_of(&lead);
	find_handover(rows, &handover);
	row = handover.decided;
	if (PG_GETARG_BOOL(2))
	{
		row = handover.last;
		if (row != NULL && row->state.stage == LF_STAGE_RECYCLED)
			row = list_nth(rows, lf_handshake_last_move(rows));
		else
			row = NULL;
	}

	previous = MemoryContextSwitchTo(cxt);
	memset(nulls, true, sizeof(nulls));
	values[0] = CStringGetTextDatum(lf_key_string(&lead.key));
	nulls[0] = false;
	if (handover.last != NULL)
		put_stage(handover.last->state.stage, &values[1], &nulls[1]);
	if (row != NULL)
	{
		values[2] = CStringGetTextDatum(PG_GETARG_BOOL(2) ? "recycled" :
										verdict_of(row) == VERDICT_ACCEPTED ? "accepted" : "rejected");
		nulls[2] = false;
		put_stage(row->from_stage, &values[3], &nulls[3]);
		put_stage(row->state.stage, &values[4], &nulls[4]);
		values[5] = TimestampTzGetDatum(row->kind == LF_KIND_MOVE ? row->effective_at : row->entered_at);
		nulls[5] = false;
		put_text(lf_text_copy(who_moved(row)), &values[6], &nulls[6]);
		put_text(lf_text_copy(row->reason), &values[7], &nulls[7]);
		put_text(lf_text_copy(row->note), &values[8], &nulls[8]);
		values[9] = Int32GetDatum(row->move);
		nulls[9] = false;
	}
	tuple = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	MemoryContextSwitchTo(previous);
	SPI_finish();
	PG_RETURN_DATUM(tuple);
}

/* ---------- moving by right ---------- */

/* How the funnel handles its hand-overs. */
typedef struct Settings
{
	Interval	undo_window;
	bool		expires;		/* else: escalates */
} Settings;

static void
read_settings(int32 funnel_id, Settings *settings)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(funnel_id)};
	bool		isnull;

	query("SELECT s.undo_window, s.on_expiry FROM lead_funnel._handshake_settings($1) AS s", 1, types, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "funnel %d has no settings", funnel_id);
	settings->undo_window = *DatumGetIntervalP(result(0, 1, &isnull));
	settings->expires = strcmp(text_to_cstring(DatumGetTextPP(result(0, 2, &isnull))), "expire") == 0;
}

/* Updates the lead: its status, since when it has it, when it was handed over. */
static void
update_by_right(ByRight *right, const char *funnel_name, text *status, TimestampTz entered_at,
				bool sets_handover, TimestampTz handed_over_at)
{
	Oid			types[] = {NAMEOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, BOOLOID, TIMESTAMPTZOID};
	Datum		values[] = {CStringGetDatum(funnel_name), CStringGetTextDatum(lf_key_string(&right->key)), PointerGetDatum(status),
	TimestampTzGetDatum(entered_at), BoolGetDatum(sets_handover), TimestampTzGetDatum(handed_over_at)};
	bool		nulls[] = {false, false, status == NULL, entered_at == LF_NO_TIME, false, handed_over_at == LF_NO_TIME};

	right->outer = lf_by_right;
	lf_by_right = right;
	PG_TRY();
	{
		query("SELECT lead_funnel._put_status($1, $2, $3, $4, $5, $6)", lengthof(types), types, values, nulls);
	}
	PG_FINALLY();
	{
		lf_by_right = right->outer;
	}
	PG_END_TRY();
	if (!right->claimed)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("lead \"%s\" did not get stage \"%s\"", lf_key_string(&right->key), lf_stage_label(right->to)),
				 errdetail("A trigger of the table has changed the row, or the triggers of the funnel do not fire."),
				 errhint("SELECT * FROM lead_funnel.verify(%s) says whether they do.", quote_literal_cstr(funnel_name))));
}

/* The status that the lead had before the move. */
static text *
status_before(const Funnel *funnel, const JournalRow *undone)
{
	if (undone->from_status != NULL)
		return undone->from_status;
	/* the journal keeps no NULL, and no status that is the label */
	if (funnel->null_stage == undone->from_stage)
	{
		HeapTuple	tuple = SearchSysCacheAttName(funnel->root, NameStr(funnel->stage_column));
		bool		not_null = HeapTupleIsValid(tuple) && ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;

		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		if (!not_null)
			return NULL;
	}
	return cstring_to_text(lf_stage_label(undone->from_stage));
}

/* "from "mql" to "sal" by bob, 2026-11-25 10:00:00+00" */
static char *
describe_move(const JournalRow *row)
{
	text	   *who = who_moved(row);

	return psprintf("from \"%s\" to \"%s\" by %s, %s", lf_stage_label(row->from_stage), lf_stage_label(row->state.stage),
					who ? text_to_cstring(who) : "nobody known", timestamptz_to_str(row->recorded_at));
}

/* A move that took the lead from one stage to another, as somebody has made it. */
static void
check_can_be_undone(const Funnel *funnel, const Lead *lead, const JournalRow *row)
{
	const char *why = NULL;

	if (row == NULL)
		why = "The journal has no move of it.";
	else if (!row->state.live)
		why = "It has left the funnel; that is no move.";
	else if (row->epoch != funnel->epoch)
		why = "Its last move was before the table was emptied.";
	else if (row->origin == LF_ORIGIN_BACKFILL)
		why = "It has not moved since its table was attached.";
	else if (row->from_stage == LF_STAGE_NONE)
		why = "It has not moved since it entered the funnel, which is no move.";
	else if (row->origin == LF_ORIGIN_RECONCILE || row->origin == LF_ORIGIN_REPLICATED)
		why = "Its last move was made where nothing was journalled.";
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("lead \"%s\" has no move to take back", lf_key_string(&lead->key)),
				 errdetail("%s", why),
				 errhint("Move the lead on, or change its row.")));
}

static void
check_undo_window(const Lead *lead, const JournalRow *row, const Settings *settings, const char *funnel_name)
{
	TimestampTz until = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
																TimestampTzGetDatum(row->recorded_at),
																IntervalPGetDatum(unconstify(Interval *, &settings->undo_window))));

	if (GetCurrentTimestamp() > until)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the last move of lead \"%s\" can no longer be taken back", lf_key_string(&lead->key)),
				 errdetail("It went %s; the undo window of funnel \"%s\" ended %s.",
						   describe_move(row), funnel_name, timestamptz_to_str(until)),
				 errhint("Move the lead on as the rules allow, or let the owner of the table override them.")));
}

/*
 * Who may take a move back: who made it, by role and by actor; and the owner of
 * the table, or who may override its rules, unless in the name of another actor.
 */
static void
check_undo_right(const Funnel *funnel, const Lead *lead, const JournalRow *row, text *actor)
{
	bool		same_actor;

	if (actor == NULL && lf_setting_actor() != NULL)
		actor = cstring_to_text(lf_setting_actor());
	same_actor = lf_text_equal(actor, row->actor);
	if (same_actor && lf_text_equal(lf_role_name(), row->role_name))
		return;
	if ((same_actor || actor == NULL || row->actor == NULL) && lf_may_override(funnel))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to take back the last move of lead \"%s\"", lf_key_string(&lead->key)),
			 errdetail("It went %s; the current role is \"%s\"%s.", describe_move(row),
					   GetUserNameFromId(GetUserId(), false),
					   actor ? psprintf(", for actor \"%s\"", text_to_cstring(actor)) : ""),
			 errhint("A move is taken back by who made it, or by the owner of the table without an actor.")));
}

static text *
text_argument(FunctionCallInfo fcinfo, int n)
{
	text	   *value = PG_ARGISNULL(n) ? NULL : PG_GETARG_TEXT_PP(n);

	if (value != NULL && lf_is_blank(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)))
		return NULL;
	return value;
}

/* lead_funnel._undo(funnel, key, reason, note, actor) */
Datum
lf_undo(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext previous;
	char	   *funnel_name;
	Funnel	   *funnel;
	Lead		lead;
	List	   *rows;
	int			at;
	const JournalRow *undone;
	const JournalRow *before;
	const JournalRow *last_row;
	Settings	settings;
	ByRight		right = {.origin = LF_ORIGIN_UNDO};
	const LastMove *last;
	Datum		values[5];
	bool		nulls[5] = {false};
	Datum		tuple;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "funnel" : "key"),
				 errhint("Call it as lead_funnel.undo_move(funnel, key, reason).")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	funnel_name = NameStr(*PG_GETARG_NAME(0));
	SPI_connect();
	if (!lock_lead(funnel_name, PG_GETARG_TEXT_PP(1), true, &funnel, &lead))
		elog(ERROR, "lead was not locked");
	rows = rows_of(&lead);
	at = lf_handshake_last_move(rows);
	undone = at < 0 ? NULL : list_nth(rows, at);
	check_can_be_undone(funnel, &lead, undone);
	/* what it came from has a row, too */
	if (undone == NULL || at == 0)
		elog(ERROR, "journal of lead \"%s\" begins with a move", lf_key_string(&lead.key));
	before = list_nth(rows, at - 1);
	last_row = llast(rows);
	read_settings(funnel->funnel_id, &settings);
	right.reason = text_argument(fcinfo, 2);
	right.note = text_argument(fcinfo, 3);
	right.actor = text_argument(fcinfo, 4);
	check_undo_right(funnel, &lead, undone, right.actor);
	check_undo_window(&lead, undone, &settings, funnel_name);

	right.funnel_id = funnel->funnel_id;
	right.key = lead.key;
	right.from = undone->state.stage;
	right.to = undone->from_stage;
	right.undoes = undone->move;
	/* a date of the hand-over that came with the move goes with it */
	update_by_right(&right, funnel_name, status_before(funnel, undone), before->entered_at,
					undone->handed_over_at != LF_NO_TIME && undone->handed_over_at != before->handed_over_at &&
					undone->handed_over_at == last_row->handed_over_at,
					before->handed_over_at);

	previous = MemoryContextSwitchTo(cxt);
	last = lf_moves_last();
	values[0] = CStringGetTextDatum(lf_key_string(&lead.key));
	values[1] = LeadStageGetDatum(right.from);
	values[2] = LeadStageGetDatum(right.to);
	nulls[3] = nulls[4] = last == NULL || !lf_key_equal(&last->key, &lead.key);
	if (!nulls[3])
	{
		values[3] = TimestampTzGetDatum(last->effective_at);
		values[4] = Int32GetDatum(last->move);
	}
	tuple = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	MemoryContextSwitchTo(previous);
	SPI_finish();
	PG_RETURN_DATUM(tuple);
}

/* ---------- what is overdue ---------- */

/* As of the transaction, as which an expiry takes effect. */
static bool
is_past(TimestampTz due)
{
	return due <= GetCurrentTransactionStartTimestamp();
}

/* Whether run_due() has something to do for the lead. */
static bool
is_overdue(const Funnel *funnel, const Lead *lead, bool expires, TimestampTz *due)
{
	Handover	handover;

	find_handover(rows_of(lead), &handover);
	return handover.opened != NULL && handover.decided == NULL &&
		handover.last->state.live && handover.last->epoch == funnel->epoch &&
		handover.last->state.stage == LF_STAGE_MQL &&
		(expires || !handover.escalated) &&
		lf_sla_due_at(funnel->funnel_id, LF_STAGE_MQL, handover.last->handed_over_at, due) && is_past(*due);
}

static int
by_lead(const void *a, const void *b)
{
	return lf_lead_compare(*(Lead *const *) a, *(Lead *const *) b);
}

/* lead_funnel._overdue(funnel): those of the leads that the caller sees; nothing is locked */
Datum
lf_overdue(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[] = {NAMEOID};
	Datum		values[] = {NameGetDatum(PG_GETARG_NAME(0))};
	Funnel	   *funnel;
	Settings	settings;
	Lead	  **leads;
	int			count;
	JournalWriter *writer;
	MemoryContext cxt;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	query("SELECT w.lead FROM lead_funnel._waiting($1) AS w", 1, types, values, NULL);
	count = SPI_processed;
	funnel = lf_funnel_by_name(NameStr(*PG_GETARG_NAME(0)));
	leads = palloc(Max(count, 1) * sizeof(Lead *));
	for (int i = 0; i < count; i++)
	{
		bool		isnull;
		text	   *key = DatumGetTextPP(result(i, 1, &isnull));

		leads[i] = palloc(sizeof(Lead));
		make_lead(funnel, key, leads[i]);
	}
	read_settings(funnel->funnel_id, &settings);
	lf_track_flush();
	qsort(leads, count, sizeof(Lead *), by_lead);
	writer = lf_journal_open();
	lf_journal_find(writer, leads, count);
	lf_journal_close(writer);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel overdue", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	for (int i = 0; i < count; i++)
	{
		TimestampTz due;
		Datum		row_values[2];
		bool		nulls[2] = {false};

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(cxt);
		/* the last row says enough of most of them */
		if (!leads[i]->has_last || leads[i]->last.handed_over_at == LF_NO_TIME ||
			!lf_sla_due_at(funnel->funnel_id, LF_STAGE_MQL, leads[i]->last.handed_over_at, &due) || !is_past(due) ||
			!is_overdue(funnel, leads[i], settings.expires, &due))
			continue;
		row_values[0] = CStringGetTextDatum(lf_key_string(&leads[i]->key));
		row_values[1] = TimestampTzGetDatum(due);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row_values, nulls);
	}
	/* with all of its memory */
	SPI_finish();
	return (Datum) 0;
}

/* lead_funnel._expire(funnel, key): NULL if another session is at the lead, or has been */
Datum
lf_expire(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext previous;
	char	   *funnel_name = NameStr(*PG_GETARG_NAME(0));
	Funnel	   *funnel;
	Lead		lead;
	Lead	   *found = &lead;
	Settings	settings;
	JournalWriter *writer;
	TimestampTz due;
	Datum		values[4];
	bool		nulls[4] = {false};
	Datum		tuple;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	SPI_connect();
	if (!lock_lead(funnel_name, PG_GETARG_TEXT_PP(1), false, &funnel, &lead))
	{
		SPI_finish();
		PG_RETURN_NULL();
	}
	read_settings(funnel->funnel_id, &settings);
	if (!is_overdue(funnel, &lead, settings.expires, &due))
	{
		SPI_finish();
		PG_RETURN_NULL();
	}
	writer = lf_journal_open();
	lf_journal_find(writer, &found, 1);
	if (!settings.expires)
		lf_moves_escalate(writer, funnel, &lead);
	lf_journal_close(writer);
	if (settings.expires)
	{
		ByRight		right = {.origin = LF_ORIGIN_EXPIRY,.funnel_id = funnel->funnel_id,.key = lead.key,
		.from = LF_STAGE_MQL,.to = LF_STAGE_NURTURE};
		Oid			types[] = {NAMEOID};
		Datum		arguments[] = {NameGetDatum(PG_GETARG_NAME(0))};
		bool		isnull;

		query("SELECT lead_funnel._status_for($1, 'nurture')", 1, types, arguments, NULL);
		update_by_right(&right, funnel_name, DatumGetTextPP(result(0, 1, &isnull)), LF_NO_TIME, false, LF_NO_TIME);
	}

	previous = MemoryContextSwitchTo(cxt);
	values[0] = CStringGetTextDatum(lf_key_string(&lead.key));
	values[1] = CStringGetTextDatum(settings.expires ? "expired" : "escalated");
	values[2] = TimestampTzGetDatum(lead.last.handed_over_at);
	values[3] = TimestampTzGetDatum(due);
	tuple = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	MemoryContextSwitchTo(previous);
	SPI_finish();
	PG_RETURN_DATUM(tuple);
}

/* ---------- automatic moves that no write has made ---------- */

/*
 * Whether somebody has put the lead where it is although the rule would have
 * moved it on: then it stays, until a write takes its score to the threshold
 * again.
 */
static bool
was_put_there(const Funnel *funnel, const Lead *lead, LeadStage to)
{
	List	   *rows = rows_of(lead);
	const JournalRow *row = NULL;
	Evidence	evidence = {0};

	for (int i = list_length(rows) - 1; i >= 0 && row == NULL; i--)
	{
		const JournalRow *candidate = list_nth(rows, i);

		if (candidate->kind == LF_KIND_MOVE || candidate->kind == LF_KIND_UNDO)
			row = candidate;
	}
	if (row == NULL || row->origin == LF_ORIGIN_AUTOMATIC || row->from_stage == LF_STAGE_NONE ||
		!lf_funnel_was_automatic(funnel, row->rules_version, row->state.stage, to))
		return false;
	evidence.qualification = row->qualification;
	evidence.score = row->score;
	return lf_automatic_is_met(&funnel->rules[row->state.stage][to], &evidence);
}

/* lead_funnel._move_automatically(funnel, key): NULL if there is nothing to do, or another session is at the lead */
Datum
lf_move_automatically(PG_FUNCTION_ARGS)
{
	char	   *funnel_name = NameStr(*PG_GETARG_NAME(0));
	Oid			types[] = {NAMEOID, TEXTOID};
	Datum		values[] = {NameGetDatum(PG_GETARG_NAME(0)), PG_GETARG_DATUM(1)};
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext previous;
	ByRight		right = {.origin = LF_ORIGIN_AUTOMATIC};
	Funnel	   *funnel;
	Lead		lead;
	bool		isnull = true;
	Datum		value = (Datum) 0;
	text	   *moved;

	SPI_connect();
	if (lock_lead(funnel_name, PG_GETARG_TEXT_PP(1), false, &funnel, &lead))
	{
		query("SELECT s.from_stage, s.to_stage, lead_funnel._status_for($1, s.to_stage) "
			  "FROM lead_funnel._automatic_stages($1, $2) AS s", 2, types, values, NULL);
		if (SPI_processed == 1)
		{
			right.from = DatumGetLeadStage(result(0, 1, &isnull));
			right.to = DatumGetLeadStage(result(0, 2, &isnull));
			value = result(0, 3, &isnull);
		}
	}
	if (isnull || was_put_there(funnel, &lead, right.to))
	{
		SPI_finish();
		PG_RETURN_NULL();
	}
	right.funnel_id = funnel->funnel_id;
	right.key = lead.key;
	update_by_right(&right, funnel_name, DatumGetTextPP(value), LF_NO_TIME, false, LF_NO_TIME);
	previous = MemoryContextSwitchTo(cxt);
	moved = cstring_to_text(lf_key_string(&lead.key));
	MemoryContextSwitchTo(previous);
	SPI_finish();
	PG_RETURN_TEXT_P(moved);
}
