/*-------------------------------------------------------------------------
 *
 * track.c
 *	  The triggers of a lead table.
 *
 * NOTES
 *	  The AFTER ROW trigger sees the row as it is stored: every BEFORE trigger
 *	  is done, ON CONFLICT is decided, a concurrent update has been re-read.
 *
 * IDENTIFICATION
 *	  src/track.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "automatic.h"
#include "calendar.h"
#include "handshake.h"
#include "moves.h"
#include "queue.h"
#include "stats.h"
#include "track.h"

PG_FUNCTION_INFO_V1(lf_track);
PG_FUNCTION_INFO_V1(lf_flush);
PG_FUNCTION_INFO_V1(lf_stamp);
PG_FUNCTION_INFO_V1(lf_truncated);
PG_FUNCTION_INFO_V1(lf_last_move);

static void
check_is_trigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						get_func_name(fcinfo->flinfo->fn_oid))));
}

/* The funnel of the trigger's table; an error unless attach() made the trigger. */
static Funnel *
funnel_of_trigger(FunctionCallInfo fcinfo, TriggerEvent wanted, const char *const *names)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Funnel	   *funnel;

	check_is_trigger(fcinfo);
	/* the entry of the last row, if the trigger fires for many */
	funnel = fcinfo->flinfo->fn_extra;
	if (funnel != NULL && funnel->valid && !funnel->suspended &&
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

				/*
				 * a suspended funnel has no triggers: this one was made by
				 * hand
				 */
				if (funnel != NULL && !funnel->suspended)
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

/* Whether an UPDATE changed a column for which the trigger fires, byte by byte. */
static bool
changes_column(const TriggerData *trigdata)
{
	const Trigger *trigger = trigdata->tg_trigger;
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);

	for (int i = 0; i < trigger->tgnattr; i++)
	{
		AttrNumber	attnum = trigger->tgattr[i];
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool		old_isnull;
		bool		new_isnull;
		Datum		old_value = slot_getattr(trigdata->tg_trigslot, attnum, &old_isnull);
		Datum		new_value = slot_getattr(trigdata->tg_newslot, attnum, &new_isnull);

		if (old_isnull != new_isnull ||
			(!old_isnull && !datum_image_eq(old_value, new_value, att->attbyval, att->attlen)))
			return true;
	}
	/* without a list of columns the trigger's condition has seen a change */
	return trigger->tgnattr == 0;
}

/* lead_funnel.track(): AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW */
Datum
lf_track(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"lead_funnel_track", "lead_funnel_track_update", NULL};
	Funnel	   *funnel = funnel_of_trigger(fcinfo, TRIGGER_EVENT_ROW | TRIGGER_EVENT_AFTER, names);
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Event		event;

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) && !changes_column(trigdata))
		return PointerGetDatum(NULL);
	lf_event_read(funnel, fcinfo, &event);
	lf_queue_add(funnel, &event);
	return PointerGetDatum(NULL);
}

void
lf_track_flush(void)
{
	lf_queue_flush();
	lf_stats_flush();
}

/*
 * The trigger for updates fires for columns that statements set, if nothing
 * else changes them.  A BEFORE trigger may, and one that was made behind our
 * event trigger's back would let leads move unseen.
 */
static void
check_other_writers(const TriggerData *trigdata)
{
	const TriggerDesc *desc = trigdata->tg_relation->trigdesc;
	const Trigger *other = NULL;
	Oid			stamp = InvalidOid;
	const char *name;
	bool		has_columns = false;

	if (!desc->trig_update_before_row)
		return;
	for (int i = 0; i < desc->numtriggers; i++)
	{
		const Trigger *trigger = &desc->triggers[i];

		if (strcmp(trigger->tgname, "lead_funnel_track_update") == 0)
			has_columns = trigger->tgnattr > 0;
		else if (TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
				 TRIGGER_FOR_UPDATE(trigger->tgtype))
		{
			if (strcmp(trigger->tgname, "lead_funnel_stamp") == 0)
				stamp = trigger->tgfoid;
			else
				other = trigger;
		}
	}
	if (!has_columns)
		return;
	/* a look into the catalogs may make another description of the triggers */
	name = other != NULL ? pstrdup(other->tgname) : "lead_funnel_stamp";
	if (other != NULL || (OidIsValid(stamp) && !lf_is_own_function(stamp)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trigger \"%s\" of table \"%s\" may change leads unseen",
						name, RelationGetRelationName(trigdata->tg_relation)),
				 errdetail("It was created while the event triggers of lead_funnel did not fire."),
				 errhint("Call lead_funnel.resume() for the funnel of the table.")));
}

/* lead_funnel.flush(): AFTER INSERT OR UPDATE OR DELETE FOR EACH STATEMENT */
Datum
lf_flush(PG_FUNCTION_ARGS)
{
	check_is_trigger(fcinfo);
	if (TRIGGER_FIRED_BY_UPDATE(((TriggerData *) fcinfo->context)->tg_event))
		check_other_writers((TriggerData *) fcinfo->context);
	lf_queue_flush_statement(RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation), lf_all_is_over(fcinfo));
	lf_stats_flush();
	if (lf_automatic_is_noted())
	{
		Oid			relid = RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation);
		Funnel	   *funnel = lf_funnel_lookup(relid);

		lf_automatic_purge(funnel != NULL ? funnel->root : relid);
	}
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

/* Whether the column since when the lead is in its stage has this moment. */
static bool
has_time(const Funnel *funnel, TupleTableSlot *slot, TimestampTz moment)
{
	TimestampTz has;

	return lf_lead_time(funnel, slot, LF_COL_ENTERED, &has) && has == moment;
}

/* Whether the key is there yet: a BEFORE trigger may be about to fill it in. */
static bool
has_key(const Funnel *funnel, TupleTableSlot *slot)
{
	return !slot_attisnull(slot, funnel->attnum[LF_COL_KEY]);
}

/*
 * An UPDATE that takes a row to another partition writes it by a DELETE and an
 * INSERT.  The triggers of the INSERT follow those of the UPDATE; other
 * triggers may run statements in between, which have higher command numbers.
 */
typedef struct LastUpdate
{
	Oid			relid;
	Oid			root;
	CommandId	cid;
	LeadKey		key;			/* a text is kept in TopMemoryContext */
} LastUpdate;

/* Of each statement at work the last one, in the order of commands; and of some that have ended. */
#define LF_LAST_UPDATES 64
static LastUpdate last_updates[LF_LAST_UPDATES];
static int	nlast_updates = 0;

static void
drop_last_update(int i)
{
	if (last_updates[i].key.key != NULL)
		pfree(last_updates[i].key.key);
	nlast_updates--;
	memmove(&last_updates[i], &last_updates[i + 1], (nlast_updates - i) * sizeof(LastUpdate));
}

/* That of the statement at work; NULL if there is none.  Statements within it have ended. */
static LastUpdate *
last_update_of(CommandId cid)
{
	while (nlast_updates > 0 && last_updates[nlast_updates - 1].cid > cid)
		drop_last_update(nlast_updates - 1);
	if (nlast_updates > 0 && last_updates[nlast_updates - 1].cid == cid)
		return &last_updates[nlast_updates - 1];
	return NULL;
}

void
lf_track_forget(void)
{
	while (nlast_updates > 0)
		drop_last_update(nlast_updates - 1);
}

static void
remember_update(const Funnel *funnel, const LeadKey *key)
{
	CommandId	cid = lf_automatic_command();
	LastUpdate *last = last_update_of(cid);
	MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);
	LeadKey		copy = lf_key_copy(key);

	MemoryContextSwitchTo(previous);
	if (last != NULL)
		drop_last_update(last - last_updates);
	else if (nlast_updates == LF_LAST_UPDATES)
		drop_last_update(0);
	last = &last_updates[nlast_updates++];
	last->relid = funnel->relid;
	last->root = funnel->root;
	last->cid = cid;
	last->key = copy;
}

/* The UPDATE of which the INSERT of this row is the second half, or NULL. */
static LastUpdate *
first_half(const Funnel *funnel, const LeadKey *key)
{
	LastUpdate *last = last_update_of(lf_automatic_command());

	if (last == NULL || last->root != funnel->root || last->relid == funnel->relid || !lf_key_equal(&last->key, key))
		return NULL;
	return last;
}

/* The moves that follow from the write of the row, which are noted for the trigger after it. */
static AutomaticMove *
automatic_moves(const Funnel *funnel, const TriggerData *trigdata, TupleTableSlot *old, TupleTableSlot *new)
{
	bool		is_partition = trigdata->tg_relation->rd_rel->relispartition;
	AutomaticMove *result;
	LastUpdate *half;
	LeadKey		key;

	if (!funnel->has_automatic || !has_key(funnel, new))
		return NULL;
	if (is_partition && old == NULL)
	{
		lf_lead_key(funnel, new, &key);
		half = first_half(funnel, &key);
		if (half != NULL)
		{
			/* decided already */
			lf_automatic_note(funnel->relid, funnel->root, &key, lf_automatic_take(half->relid, &key, half->cid));
			drop_last_update(half - last_updates);
			return NULL;
		}
	}
	result = lf_automatic_decide(funnel, old, new);
	if (result == NULL && !is_partition && !lf_automatic_is_noted())
		return NULL;
	lf_lead_key(funnel, new, &key);
	if (is_partition && old != NULL)
		remember_update(funnel, &key);
	if (result != NULL)
		result->has_given = lf_lead_time(funnel, new, LF_COL_ENTERED, &result->given) &&
			!(old != NULL && has_time(funnel, old, result->given));
	lf_automatic_note(funnel->relid, funnel->root, &key, result);
	return result;
}

/*
 * Since when the lead is in its stage, if this write takes it there and the
 * statement does not say so itself.
 */
static bool
entered_now(const Funnel *funnel, TupleTableSlot *old, TupleTableSlot *new, bool is_automatic, TimestampTz *now)
{
	TimestampTz before;
	TimestampTz given;
	LeadState	was;
	LeadState	is;
	bool		had = old != NULL && lf_lead_time(funnel, old, LF_COL_ENTERED, &before);

	*now = GetCurrentTransactionStartTimestamp();
	/* an undo gives the old date */
	if (funnel->attnum[LF_COL_ENTERED] == InvalidAttrNumber || lf_handshake_is_undoing(funnel, new))
		return false;
	if (!is_automatic)
	{
		if (old == NULL || (lf_lead_time(funnel, new, LF_COL_ENTERED, &given) && !(had && given == before)))
			return false;
		lf_lead_place(funnel, old, &was);
		lf_lead_place(funnel, new, &is);
		if (was.stage == is.stage)
			return false;
	}

	/*
	 * a transaction that began later may have moved the lead before us, or
	 * the statement's own move be dated ahead
	 */
	if (had && before > *now && before <= GetCurrentTimestamp() + LF_FUTURE_TOLERANCE)
		*now = before;
	if (is_automatic && lf_lead_time(funnel, new, LF_COL_ENTERED, &given) &&
		given > *now && given <= GetCurrentTimestamp() + LF_FUTURE_TOLERANCE)
		*now = given;
	return true;
}

/*
 * lead_funnel.stamp(): BEFORE UPDATE FOR EACH ROW, with automatic rules BEFORE
 * INSERT, too
 *
 * Moves the lead on as the automatic rules say, and fills the column that says
 * since when it has been in its stage.
 */
Datum
lf_stamp(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"lead_funnel_stamp", NULL};
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Funnel	   *funnel = funnel_of_trigger(fcinfo, TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE, names);
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	TupleTableSlot *old = is_update ? trigdata->tg_trigslot : NULL;
	TupleTableSlot *new = is_update ? trigdata->tg_newslot : trigdata->tg_trigslot;
	HeapTuple	tuple = is_update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	AutomaticMove *automatic;
	TimestampTz now;
	int			attnums[2];
	Datum		values[2];
	bool		nulls[2] = {false};
	int			count = 0;

	/* a replicated row is stored as it comes */
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return PointerGetDatum(tuple);
	automatic = automatic_moves(funnel, trigdata, old, new);
	if (automatic != NULL)
	{
		attnums[count] = funnel->attnum[LF_COL_STAGE];
		values[count++] = lf_automatic_status(funnel, lf_automatic_target(automatic));
	}
	if (entered_now(funnel, old, new, automatic != NULL, &now))
	{
		attnums[count] = funnel->attnum[LF_COL_ENTERED];
		values[count++] = time_datum(now, funnel->type[LF_COL_ENTERED], funnel->tz);
	}
	if (count == 0)
		return PointerGetDatum(tuple);
	return PointerGetDatum(heap_modify_tuple_by_cols(tuple, RelationGetDescr(trigdata->tg_relation),
													 count, attnums, values, nulls));
}

/* lead_funnel.truncated(): BEFORE TRUNCATE FOR EACH STATEMENT */
Datum
lf_truncated(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"lead_funnel_truncate", NULL};
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Funnel	   *funnel = funnel_of_trigger(fcinfo, TRIGGER_EVENT_BEFORE, names);
	Oid			relid = RelationGetRelid(trigdata->tg_relation);

	/* the queue may hold events of the rows that go */
	lf_queue_flush_truncated(relid);
	lf_stats_flush();
	if (relid == funnel->root)
		lf_moves_all_out(funnel->funnel_id, relid, funnel->tz, LF_ORIGIN_TRUNCATE);
	else if (trigdata->tg_relation->rd_rel->relkind == RELKIND_RELATION)
		lf_moves_partition_out(trigdata->tg_relation, funnel, LF_ORIGIN_TRUNCATE);
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
	const LastMove *last = lf_moves_last();

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (last == NULL)
		PG_RETURN_NULL();
	values[0] = CStringGetTextDatum(lf_key_string(&last->key));
	values[1] = LeadStageGetDatum(last->from);
	nulls[1] = last->from == LF_STAGE_NONE;
	values[2] = LeadStageGetDatum(last->to);
	nulls[2] = last->to == LF_STAGE_NONE;
	values[3] = TimestampTzGetDatum(last->effective_at);
	values[4] = Int32GetDatum(last->move);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
