/*-------------------------------------------------------------------------
 *
 * notify.h
 *	  Notifications of moves, for funnels that ask for them.
 *
 * IDENTIFICATION
 *	  src/notify.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_NOTIFY_H
#define LEAD_FUNNEL_NOTIFY_H

#include "journal.h"

/* Notes a move that has been journalled, if the funnel notifies. */
extern void lf_notify_note(const Funnel *funnel, const JournalRow *row);

/* The same for a marker that all leads of a funnel leave. */
extern void lf_notify_note_all_out(int32 funnel_id, int32 epoch, TimestampTz effective_at, char origin);

/* The origin of a move that has been noted has turned out to be another one. */
extern void lf_notify_amend(int32 funnel_id, const LeadKey *key, int32 move, char origin);

extern bool lf_notify_is_pending(void);

/* Before commit: hands over to PostgreSQL what has been noted. */
extern void lf_notify_send(void);

/* Before PREPARE TRANSACTION, after which PostgreSQL could not notify. */
extern void lf_notify_refuse_prepare(void);

extern void lf_notify_forget(void);
extern void lf_notify_drop(SubTransactionId subid);
extern void lf_notify_hand_over(SubTransactionId subid, SubTransactionId parent);

#endif							/* LEAD_FUNNEL_NOTIFY_H */
