/*-------------------------------------------------------------------------
 *
 * commit_gate.h
 *	  Gates that are judged when the transaction commits.
 *
 * IDENTIFICATION
 *	  src/commit_gate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_COMMIT_GATE_H
#define LEAD_FUNNEL_COMMIT_GATE_H

#include "journal.h"
#include "rules.h"

/*
 * The lead has made the move, which is its last row in the journal: notes it,
 * if the gate of the move is judged at commit.
 */
extern void lf_commit_gate_note(const Funnel *funnel, const Lead *lead, const Move *move, bool refuses);

/* The rows of a lead are about to get another key: lf_journal_rename(). */
extern void lf_commit_gate_rename(const Lead *from, const Lead *to);

/* Whether moves have been noted in this transaction. */
extern bool lf_commit_gate_is_pending(void);

/* Before commit: judges them. */
extern void lf_commit_gate_judge(void);
extern void lf_commit_gate_forget(void);

/* A subtransaction is rolled back, or becomes part of its parent. */
extern void lf_commit_gate_drop(SubTransactionId subid);
extern void lf_commit_gate_hand_over(SubTransactionId subid, SubTransactionId parent);

#endif							/* LEAD_FUNNEL_COMMIT_GATE_H */
