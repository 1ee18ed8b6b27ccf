/*-------------------------------------------------------------------------
 *
 * track.h
 *	  The triggers of a lead table.
 *
 * IDENTIFICATION
 *	  src/track.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_TRACK_H
#define LEAD_FUNNEL_TRACK_H

/* Writes what is held in memory and can be written. */
extern void lf_track_flush(void);

/* The transaction has ended. */
extern void lf_track_forget(void);

#endif							/* LEAD_FUNNEL_TRACK_H */
