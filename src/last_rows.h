/*-------------------------------------------------------------------------
 *
 * last_rows.h
 *	  The last journal rows of many leads.
 *
 * IDENTIFICATION
 *	  src/last_rows.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_LAST_ROWS_H
#define LEAD_FUNNEL_LAST_ROWS_H

#include "utils/relcache.h"

#include "journal.h"

/*
 * Finds the last row of each lead in the journal.  The keys are all numbers or
 * all texts, that the index is on, in rising order.
 */
extern void lf_last_rows(Relation journal, Relation index, Lead **leads, int count);

#endif							/* LEAD_FUNNEL_LAST_ROWS_H */
