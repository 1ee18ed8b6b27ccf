/*-------------------------------------------------------------------------
 *
 * event.c
 *	  One write of one lead, as a trigger sees it.
 *
 * IDENTIFICATION
 *	  src/event.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"

#include "event.h"
#include "settings.h"

/* ---------- reading ---------- */

static text *
setting_text(const char *value)
{
	return value ? cstring_to_text(value) : NULL;
}

/* COPY FREEZE says of a row that it is old, but keeps who wrote it. */
static bool
is_frozen_by_us(HeapTupleHeader header)
{
	return HeapTupleHeaderXminFrozen(header) && TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(header));
}

/* The command that wrote a row of this transaction. */
static CommandId
written_by(HeapTupleHeader header)
{
	return is_frozen_by_us(header) ? HeapTupleHeaderGetRawCommandId(header) : HeapTupleHeaderGetCmin(header);
}

static void
read_old(const Funnel *funnel, TupleTableSlot *slot, HeapTuple tuple, Event *event)
{
	event->has_old = true;
	lf_lead_state(funnel, slot, NULL, &event->old);
	lf_lead_key(funnel, slot, &event->old_key);
	if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
	{
		event->old_is_ours = true;
		event->old_cmin = HeapTupleHeaderGetCmin(tuple->t_data);
		event->old_was_inserted = (tuple->t_data->t_infomask & HEAP_UPDATED) == 0;
	}
	/* its command was forgotten when the row was written again */
	event->old_is_frozen = is_frozen_by_us(tuple->t_data);
}

static void
read_new(const Funnel *funnel, TupleTableSlot *slot, HeapTuple tuple, Event *event)
{
	event->has_new = true;
	lf_lead_state(funnel, slot, event->has_old ? &event->old : NULL, &event->new);
	lf_lead_key(funnel, slot, &event->new_key);
	event->new_cmin = written_by(tuple->t_data);
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
		if (event->handover_given && !lf_time_is_usable(event->handed_over_at))
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

/* Only a move is judged, and needs to know. */
static void
read_evidence(const Funnel *funnel, TupleTableSlot *slot, Event *event)
{
	TimestampTz as_of = GetCurrentTransactionStartTimestamp();

	if (!event->new.live || !lf_evidence_is_read(funnel) ||
		(event->has_old && event->old.live && event->old.stage == event->new.stage))
		return;
	if (event->has_given && !TIMESTAMP_NOT_FINITE(event->given))
		as_of = event->given;
	lf_evidence_read(funnel, slot, as_of, &event->evidence);
}

/* What our BEFORE trigger has made of the row, unless another trigger thought otherwise. */
static void
read_automatic(Event *event)
{
	AutomaticMove *automatic = lf_automatic_take(event->relid, &event->new_key, event->new_cmin);

	if (automatic == NULL || !event->new.live || event->new.stage != lf_automatic_target(automatic))
		return;
	event->automatic = automatic;
	/* the column has been stamped since */
	event->has_given = automatic->has_given;
	event->given = automatic->given;
}

int
lf_trigger_depth(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return DatumGetInt32(pg_trigger_depth(fcinfo));
}

/*
 * Whether the statement that fires the trigger was sent by the client, and not
 * by a function: then the executor's memory, in which the trigger's function
 * is looked up, belongs to the client's portal, and COPY looks it up in the
 * portal's own.  Portals of functions have names.  Where the client names its
 * own, the answer is no as well.
 */
static bool
is_outermost(FunctionCallInfo fcinfo)
{
	MemoryContext cxt = fcinfo->flinfo->fn_mcxt;

	return ActivePortal != NULL && ActivePortal->name[0] == '\0' &&
		(cxt == ActivePortal->portalContext || MemoryContextGetParent(cxt) == ActivePortal->portalContext);
}

bool
lf_all_is_over(FunctionCallInfo fcinfo)
{
	const PlannedStmt *stmt;

	if (!is_outermost(fcinfo) || list_length(ActivePortal->stmts) != 1)
		return false;
	/* not one that EXPLAIN hides, and not one of several */
	stmt = linitial_node(PlannedStmt, ActivePortal->stmts);
	if (stmt->commandType == CMD_UTILITY)
		return IsA(stmt->utilityStmt, CopyStmt) && castNode(CopyStmt, stmt->utilityStmt)->is_from;
	return !stmt->hasModifyingCTE;
}

void
lf_event_read(const Funnel *funnel, FunctionCallInfo fcinfo, Event *event)
{
	static uint64 serial = 0;
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	memset(event, 0, sizeof(*event));
	event->relid = RelationGetRelid(trigdata->tg_relation);
	event->old_relid = event->relid;
	event->root = funnel->root;
	event->funnel_id = funnel->funnel_id;
	event->subid = GetCurrentSubTransactionId();
	event->serial = ++serial;
	event->depth = lf_trigger_depth();
	event->is_outermost = is_outermost(fcinfo);
	event->refcnt = trigdata->tg_relation->rd_refcnt;
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
	{
		read_new(funnel, trigdata->tg_trigslot, trigdata->tg_trigtuple, event);
		read_circumstances(funnel, NULL, trigdata->tg_trigslot, event);
		read_automatic(event);
		read_evidence(funnel, trigdata->tg_trigslot, event);
	}
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		read_old(funnel, trigdata->tg_trigslot, trigdata->tg_trigtuple, event);
		read_new(funnel, trigdata->tg_newslot, trigdata->tg_newtuple, event);
		read_circumstances(funnel, trigdata->tg_trigslot, trigdata->tg_newslot, event);
		read_automatic(event);
		read_evidence(funnel, trigdata->tg_newslot, event);
	}
	else
	{
		HeapTupleHeader header = trigdata->tg_trigtuple->t_data;

		read_old(funnel, trigdata->tg_trigslot, trigdata->tg_trigtuple, event);
		event->new_cmin = HeapTupleHeaderGetCmax(header);
		event->to_other_partition = HeapTupleHeaderIndicatesMovedPartitions(header);
		if (event->to_other_partition)
		{
			/* for lf_event_join(): what the row had */
			read_circumstances(funnel, NULL, trigdata->tg_trigslot, event);
		}
		else
			read_circumstances(funnel, trigdata->tg_trigslot, NULL, event);
	}
	event->order_cmin = event->new_cmin;
}

/* ---------- copying ---------- */

Event *
lf_event_copy(const Event *event, const Event *like)
{
	static const Event nothing;
	Event	   *copy = palloc(sizeof(Event));

	if (like == NULL)
		like = &nothing;
	*copy = *event;
	copy->new_key = lf_key_copy(&event->new_key);
	copy->old_key = event->old_key;
	if (event->old_key.key != NULL)
		copy->old_key.key = lf_text_copy_or_share(event->old_key.key, copy->new_key.key);
	copy->new = lf_state_copy(&event->new, &like->new);
	copy->old = lf_state_copy(&event->old, &copy->new);
	copy->actor = lf_text_copy_or_share(event->actor, like->actor);
	copy->reason = lf_text_copy_or_share(event->reason, like->reason);
	copy->note = lf_text_copy_or_share(event->note, like->note);
	copy->role_name = lf_text_copy_or_share(event->role_name, like->role_name);
	if (event->evidence.unreadable != NULL || event->evidence.score != NULL)
		copy->evidence = lf_evidence_copy(&event->evidence, &like->evidence);
	if (event->automatic != NULL)
		copy->automatic = lf_automatic_copy(event->automatic);
	if (event->shown_key != NULL)
		copy->shown_key = pstrdup(event->shown_key);
	return copy;
}

/* ---------- what it is ---------- */

void
lf_event_join(Event *insert, const Event *half)
{
	insert->has_old = true;
	insert->old_relid = half->relid;
	insert->old_key = half->old_key;
	insert->old = half->old;
	insert->old_is_ours = half->old_is_ours;
	insert->old_cmin = half->old_cmin;
	insert->old_was_inserted = half->old_was_inserted;
	insert->refcnt = Max(insert->refcnt, half->refcnt);
	/* as in any UPDATE, what did not change was not given */
	if (insert->has_given && half->has_given && insert->given == half->given)
		insert->has_given = false;
	if (insert->handover_given && half->handover_given && insert->handed_over_at == half->handed_over_at)
		insert->handover_given = false;
	if (insert->reason != NULL && !insert->reason_is_setting && lf_text_equal(insert->reason, half->reason))
		insert->reason = setting_text(lf_setting_reason());
}

/*
 * One command may delete a lead and insert it again (WITH ... DELETE), or take a
 * row out of the funnel and another one with its key in, in whatever order it
 * comes upon them: who leaves goes first, who enters last.
 */
static int
order_in_command(const Event *event)
{
	bool		was_in = event->has_old && event->old.live;
	bool		is_in = event->has_new && event->new.live;

	if (!event->has_new || (was_in && !is_in))
		return 0;
	return event->has_old && (was_in || !is_in) ? 1 : 2;
}

int
lf_event_compare(const Event *a, const Event *b)
{
	if (a->order_cmin != b->order_cmin)
		return a->order_cmin < b->order_cmin ? -1 : 1;
	if (order_in_command(a) != order_in_command(b))
		return order_in_command(a) - order_in_command(b);
	return a->serial < b->serial ? -1 : a->serial > b->serial;
}

bool
lf_event_changes_key(const Event *event)
{
	return event->has_old && event->has_new && !lf_key_equal(&event->old_key, &event->new_key);
}

const LeadKey *
lf_event_key(const Event *event)
{
	return event->has_new ? &event->new_key : &event->old_key;
}
