/*-------------------------------------------------------------------------
 *
 * handshake.h
 *	  Hand-overs from marketing to sales: who decided, what is taken back, what
 *	  expires.
 *
 * IDENTIFICATION
 *	  src/handshake.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_HANDSHAKE_H
#define LEAD_FUNNEL_HANDSHAKE_H

#include "event.h"

/*
 * A move that this session is about to make by right: no rule is asked.  Set by
 * the functions that have checked the right, while they update the lead.
 */
typedef struct ByRight
{
	int32		funnel_id;
	LeadKey		key;
	LeadStage	from;
	LeadStage	to;
	char		origin;			/* undo or expiry */
	int32		undoes;			/* the move that is taken back; 0: none */
	text	   *reason;
	text	   *note;
	text	   *actor;
	bool		claimed;		/* its event has come */
	struct ByRight *outer;		/* a trigger of the user's may do so as well */
} ByRight;

extern ByRight *lf_by_right;

/* Makes the event one by right, if it is that. */
extern bool lf_handshake_claim(const Funnel *funnel, Event *event);

/* Whether the row is that of a lead whose last move is being taken back. */
extern bool lf_handshake_is_undoing(const Funnel *funnel, TupleTableSlot *slot);

/* Which one of these rows of a lead that count is its last move; -1: none. */
extern int	lf_handshake_last_move(const List *rows);

#endif							/* LEAD_FUNNEL_HANDSHAKE_H */
