/*-------------------------------------------------------------------------
 *
 * ledger.h
 *	  Events of leads, for the rest of the extension.
 *
 * IDENTIFICATION
 *	  src/ledger.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_LEDGER_H
#define LEAD_FUNNEL_LEDGER_H

#include "lead_row.h"

/* The events of a lead get another key, beside those that the new key has. */
extern void lf_ledger_rename(int32 funnel_id, const LeadKey *from, const LeadKey *to);

/* The transaction has ended. */
extern void lf_ledger_forget(void);

#endif							/* LEAD_FUNNEL_LEDGER_H */
