/*-------------------------------------------------------------------------
 *
 * lead_funnel.c
 *	  Entry point of the module.
 *
 * NOTES
 *	  The library needs no shared_preload_libraries: it is loaded by the first
 *	  call of one of its functions in a session.
 *
 * IDENTIFICATION
 *	  src/lead_funnel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/snapmgr.h"

#include "automatic.h"
#include "commit_gate.h"
#include "compat.h"
#include "funnel.h"
#include "ledger.h"
#include "moves.h"
#include "notify.h"
#include "queue.h"
#include "score_model.h"
#include "settings.h"
#include "settle.h"
#include "stats.h"
#include "track.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(
					.name = "lead_funnel",
					.version = LEAD_FUNNEL_VERSION
);
#else
PG_MODULE_MAGIC;
#endif

QuietContext lf_quiet_context = {.type = LF_QUIET_TAG};

void		_PG_init(void);

/*
 * Moves first, since they add to the statistics.  What is written here may
 * have to read a long text of the lead's last row, for which the server wants
 * a snapshot to be active.
 */
static void
before_commit(bool may_fold)
{
	if (!lf_queue_is_empty() || lf_settle_is_pending() || lf_commit_gate_is_pending() || lf_stats_is_pending())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		lf_queue_flush_all();
		if (lf_commit_gate_is_pending())
			lf_commit_gate_judge();
		lf_stats_flush();
		PopActiveSnapshot();
	}
	if (may_fold)
		lf_stats_maybe_fold();
}

/* What the parent would get to journal, a function that reads in its next savepoint could not journal. */
static void
before_subcommit(SubTransactionId subid)
{
	if (!lf_queue_has_events_of(subid))
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	lf_queue_flush_savepoint();
	lf_stats_flush();
	PopActiveSnapshot();
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_commit(true);
			if (lf_notify_is_pending())
				lf_notify_send();
			break;
		case XACT_EVENT_PRE_PREPARE:
			/* the lock of a fold would stay with the prepared transaction */
			before_commit(false);
			if (lf_notify_is_pending())
				lf_notify_refuse_prepare();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			lf_automatic_forget();
			lf_queue_forget();
			lf_settle_forget();
			lf_commit_gate_forget();
			lf_ledger_forget();
			lf_moves_forget();
			lf_notify_forget();
			lf_stats_forget();
			lf_track_forget();
			/* last, for the others may know funnels */
			lf_funnel_forget();
			break;
		default:
			break;
	}
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subid,
						SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_PRE_COMMIT_SUB)
		before_subcommit(subid);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		lf_automatic_drop(subid);
		lf_queue_drop(subid);
		lf_settle_drop(subid);
		lf_commit_gate_drop(subid);
		lf_notify_drop(subid);
		lf_stats_drop(subid);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		lf_automatic_hand_over(subid, parent);
		lf_queue_hand_over(subid, parent);
		lf_settle_hand_over(subid, parent);
		lf_commit_gate_hand_over(subid, parent);
		lf_notify_hand_over(subid, parent);
		lf_stats_hand_over(subid, parent);
	}
}

void
_PG_init(void)
{
	lf_settings_init();
	lf_funnel_init();
	lf_score_model_init();
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}
