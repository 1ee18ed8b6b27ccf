/*-------------------------------------------------------------------------
 *
 * lead_table.h
 *	  Finds the rows of a lead table that have a key.
 *
 * IDENTIFICATION
 *	  src/lead_table.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_LEAD_TABLE_H
#define LEAD_FUNNEL_LEAD_TABLE_H

#include "lead_row.h"

/*
 * Counts the rows of the table and of its partitions that are in the funnel
 * with this key, as this transaction would leave them.  Waits for a session
 * that is about to remove a row.  Which one of two that are about to add one is
 * the first, the journal's own index decides.
 */
extern int	lf_table_rows_of_key_or_wait(Oid root, const LeadKey *key);

/*
 * Calls the handler for each row of the table and of its partitions that is in
 * the funnel with one of the keys, as this transaction would leave them.  The
 * keys are in the order of lf_key_compare(), each one once; the handler is told
 * the place of the key.
 */
typedef void (*KeyRowHandler) (const Funnel *funnel, TupleTableSlot *slot, int key, void *arg);

extern void lf_table_visit_keys(Oid root, const LeadKey **keys, int count, KeyRowHandler handler, void *arg);

/* How often this session has the table open: by a scan, a statement or its triggers. */
extern int	lf_table_open_count(Oid relid);

/* Whether a unique constraint of the key may be broken until the transaction ends. */
extern bool lf_table_key_is_deferrable(const Funnel *funnel);

#endif							/* LEAD_FUNNEL_LEAD_TABLE_H */
