/*-------------------------------------------------------------------------
 *
 * moves.h
 *	  From events to journal rows: numbers, cycles, dates, statistics.
 *
 * IDENTIFICATION
 *	  src/moves.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_MOVES_H
#define LEAD_FUNNEL_MOVES_H

#include "event.h"
#include "journal.h"

/* The rules that need nothing but the event itself; an error if it is refused. */
extern void lf_moves_judge(const Funnel *funnel, Event *event);

/*
 * Journals an event: of "lead", which had the key of "old_lead" before if that
 * is another one.  If the journal has another lead with the key in the funnel,
 * nothing is done and the result is false; or, by force, that one is taken out.
 */
extern bool lf_moves_write(JournalWriter *writer, Funnel *funnel, Event *event, Lead *lead, Lead *old_lead,
						   bool force);

/* The error of a key that two rows share. */
lf_noreturn extern void lf_moves_refuse_duplicate(const Funnel *funnel, const LeadKey *key);

/* A lead that was there when its table was attached. */
typedef struct Arrival
{
	Lead		lead;
	LeadState	state;
	TimestampTz entered_at;
	TimestampTz handed_over_at; /* or LF_NO_TIME */
} Arrival;

/* Reads a row into the present memory context; false: it is excluded. */
extern bool lf_moves_read_arrival(Funnel *funnel, TupleTableSlot *slot, Arrival *arrival);

/* Takes leads into the funnel as opening stock. */
extern void lf_moves_backfill(JournalWriter *writer, Funnel *funnel, Arrival **arrivals, int count);

/*
 * Journals what is needed that the lead's last row says this state (not live:
 * out of the funnel), without asking a rule.
 */
extern void lf_moves_set_state(JournalWriter *writer, Funnel *funnel, Lead *lead, const LeadState *state,
							   CommandId cmin);

/* Journals that a hand-over is overdue, which moves no lead. */
extern void lf_moves_escalate(JournalWriter *writer, const Funnel *funnel, Lead *lead);

/* Journals that all leads leave; the table may be gone already. */
extern void lf_moves_all_out(int32 funnel_id, Oid relid, pg_tz *tz, char origin);

/* The leads of one partition leave or enter, each with a row of its own. */
extern void lf_moves_partition_out(Relation rel, Funnel *funnel, char origin);
extern void lf_moves_partition_in(Relation rel, Funnel *funnel);

/* The last move of this transaction, until the next call; NULL if there was none. */
typedef struct LastMove
{
	TransactionId xid;
	LeadKey		key;
	LeadStage	from;
	LeadStage	to;
	TimestampTz effective_at;
	int32		move;
} LastMove;

extern const LastMove *lf_moves_last(void);
extern void lf_moves_forget(void);

#endif							/* LEAD_FUNNEL_MOVES_H */
