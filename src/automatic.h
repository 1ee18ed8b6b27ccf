/*-------------------------------------------------------------------------
 *
 * automatic.h
 *	  Moves that follow by themselves from a lead's score.
 *
 * IDENTIFICATION
 *	  src/automatic.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_AUTOMATIC_H
#define LEAD_FUNNEL_AUTOMATIC_H

#include "evidence.h"

/* What the write of a lead has led to. */
typedef struct AutomaticMove
{
	int			steps;			/* at least one */
	LeadStage	path[LF_STAGE_COUNT + 1];	/* where the statement left the
											 * lead, and where it went on to */
	text	   *status;			/* where the statement left it, raw */
	bool		has_given;		/* the statement gave a date for its own move */
	TimestampTz given;
	Evidence	evidence;		/* that led to it */
} AutomaticMove;

static inline LeadStage
lf_automatic_target(const AutomaticMove *move)
{
	return move->path[move->steps];
}

/* Whether the evidence meets all conditions of the automatic move. */
extern bool lf_automatic_is_met(const Rule *rule, const Evidence *evidence);

/*
 * Before the row is written: the moves that follow from it, or NULL.  Without
 * an old row the lead enters.
 */
extern AutomaticMove *lf_automatic_decide(const Funnel *funnel, TupleTableSlot *old, TupleTableSlot *new);

/* The stage as a value of the status column. */
extern Datum lf_automatic_status(const Funnel *funnel, LeadStage stage);

/*
 * Between the triggers before and after the write of a row: notes what follows
 * from it, in place of what was noted for the lead in this command.
 */
extern void lf_automatic_note(Oid relid, Oid root, const LeadKey *key, const AutomaticMove *move);

/* Whether anything is noted. */
extern bool lf_automatic_is_noted(void);

/* Takes the note out; NULL: there is none. */
extern AutomaticMove *lf_automatic_take(Oid relid, const LeadKey *key, CommandId cid);

/* The command that is at work, as rows that it writes have it. */
extern CommandId lf_automatic_command(void);

extern AutomaticMove *lf_automatic_copy(const AutomaticMove *move);

/* A statement on a table of the tree ends: removes the notes of rows that it has not written in the end. */
extern void lf_automatic_purge(Oid root);
extern void lf_automatic_forget(void);
extern void lf_automatic_drop(SubTransactionId subid);
extern void lf_automatic_hand_over(SubTransactionId subid, SubTransactionId parent);

#endif							/* LEAD_FUNNEL_AUTOMATIC_H */
