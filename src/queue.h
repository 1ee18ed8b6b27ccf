/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  Events that have come and are not journalled yet, and their order.
 *
 * IDENTIFICATION
 *	  src/queue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_QUEUE_H
#define LEAD_FUNNEL_QUEUE_H

#include "event.h"

/* Judges the event and puts it in line. */
extern void lf_queue_add(const Funnel *funnel, Event *event);

/* Journals what can be: for a function that reads the journal. */
extern void lf_queue_flush(void);

/* The same for a decision on one lead. */
extern void lf_queue_flush_lead(Oid root, const LeadKey *key);

/* The same of the present subtransaction alone, which is about to become part of its parent. */
extern void lf_queue_flush_savepoint(void);

/* The same when nothing is at work on the table in this session. */
extern void lf_queue_flush_idle(Oid relid);

/* The same when a statement that names the table is over. */
extern void lf_queue_flush_statement(Oid relid, bool all_is_over);

/* The same before the table is truncated. */
extern void lf_queue_flush_truncated(Oid relid);

/* Journals everything: before the transaction commits. */
extern void lf_queue_flush_all(void);

/* The life of what is in memory: lead_funnel.c. */
extern bool lf_queue_is_empty(void);
extern bool lf_queue_has_events_of(SubTransactionId subid); /* the present one */
extern void lf_queue_forget(void);
extern void lf_queue_drop(SubTransactionId subid);
extern void lf_queue_hand_over(SubTransactionId subid, SubTransactionId parent);

#endif							/* LEAD_FUNNEL_QUEUE_H */
