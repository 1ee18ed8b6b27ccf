/*-------------------------------------------------------------------------
 *
 * track.h
 *	  The triggers: each write of a lead becomes a judged, journalled move.
 *
 * IDENTIFICATION
 *	  src/track.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_TRACK_H
#define LEAD_FUNNEL_TRACK_H

#include "journal.h"

/* Takes a row of the table into the funnel as opening stock; false: it is excluded. */
extern bool lf_track_backfill(Funnel *funnel, TupleTableSlot *slot);

/*
 * Journals what is needed that the lead's last row says this state (not live:
 * out of the funnel), without asking a rule.
 */
extern void lf_track_set_state(Funnel *funnel, const LeadKey *key, const LeadState *state);

/* Journals that all leads leave; the table may be gone already. */
extern void lf_track_all_out(int32 funnel_id, Oid relid, pg_tz *tz, char origin);

/* The leads of one partition leave or enter, each with a row of its own. */
extern void lf_track_partition_out(Relation rel, char origin);
extern void lf_track_partition_in(Relation rel);

/* The life of what is in memory: lead_funnel.c. */
extern bool lf_track_is_pending(void);
extern void lf_track_serve_all(void);
extern void lf_track_forget(void);
extern void lf_track_drop(SubTransactionId subid);
extern void lf_track_hand_over(SubTransactionId subid, SubTransactionId parent);

/* Writes what is held in memory and can be written. */
extern void lf_track_flush(void);

#endif							/* LEAD_FUNNEL_TRACK_H */
