/*-------------------------------------------------------------------------
 *
 * adopted.h
 *	  Events that a subtransaction journals for one that it is in.
 *
 * IDENTIFICATION
 *	  src/adopted.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_ADOPTED_H
#define LEAD_FUNNEL_ADOPTED_H

#include "event.h"

/* Keeps the events as they are, before they become the adopter's. */
extern void lf_adopted_keep(const List *events, SubTransactionId adopter);

/* The subtransaction is rolled back: calls the function for each event that it had adopted. */
extern void lf_adopted_return(SubTransactionId adopter, void (*take_back) (const Event *event));

/* The subtransaction becomes part of its parent. */
extern void lf_adopted_hand_over(SubTransactionId adopter, SubTransactionId parent);

extern void lf_adopted_forget(void);

#endif							/* LEAD_FUNNEL_ADOPTED_H */
