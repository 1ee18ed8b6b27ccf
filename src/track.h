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

extern void lf_track_init(void);

/* Takes a row of the table into the funnel as opening stock; false: it is excluded. */
extern bool lf_track_backfill(Funnel *funnel, TupleTableSlot *slot);

/*
 * Journals what is needed that the lead's last row says this state (not live:
 * out of the funnel), without asking a rule.
 */
extern void lf_track_set_state(Funnel *funnel, const LeadKey *key, const LeadState *state);

/* Journals that all leads leave; the table may be gone already. */
extern void lf_track_all_out(int32 funnel_id, pg_tz *tz, char origin);

/* Writes all that is held in memory. */
extern void lf_track_flush(void);

#endif							/* LEAD_FUNNEL_TRACK_H */
