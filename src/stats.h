/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  Statistics: deltas of the writers, folds, what a snapshot sees.
 *
 * IDENTIFICATION
 *	  src/stats.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_STATS_H
#define LEAD_FUNNEL_STATS_H

#include "utils/date.h"

#include "lead_row.h"

#define LF_DELTA_OPENING	'o'
#define LF_DELTA_FLOW		'f'
#define LF_DELTA_ADJUSTMENT 'a'

/* Notes a lead's step from one state to another; either may be NULL. */
extern void lf_stats_note(int32 funnel_id, char kind, DateADT day,
						  const LeadState *from, const LeadState *to);

/* Takes back what lf_stats_note() has noted, if only for an earlier day. */
extern void lf_stats_take_back(int32 funnel_id, char kind, DateADT day,
							   const LeadState *from, const LeadState *to);

/* Notes that all leads of the funnel leave. */
extern void lf_stats_note_all_out(int32 funnel_id, DateADT day);

/* Appends what this subtransaction has noted. */
extern void lf_stats_flush(void);

/* The life of what is in memory: lead_funnel.c. */
extern bool lf_stats_is_pending(void);
extern void lf_stats_maybe_fold(void);
extern void lf_stats_forget(void);
extern void lf_stats_drop(SubTransactionId subid);
extern void lf_stats_hand_over(SubTransactionId subid, SubTransactionId parent);

#endif							/* LEAD_FUNNEL_STATS_H */
