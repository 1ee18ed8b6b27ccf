/*-------------------------------------------------------------------------
 *
 * settle.h
 *	  Leads of which the order of events is not certain.
 *
 * IDENTIFICATION
 *	  src/settle.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_SETTLE_H
#define LEAD_FUNNEL_SETTLE_H

#include "event.h"

extern void lf_settle_note(Event *event);

/* Whether some have been noted in this transaction. */
extern bool lf_settle_is_pending(void);

/* Before commit: what the journal says becomes what the table says. */
extern void lf_settle_all(void);
extern void lf_settle_forget(void);

/* A subtransaction is rolled back, or becomes part of its parent. */
extern void lf_settle_drop(SubTransactionId subid);
extern void lf_settle_hand_over(SubTransactionId subid, SubTransactionId parent);

#endif							/* LEAD_FUNNEL_SETTLE_H */
