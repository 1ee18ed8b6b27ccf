/*-------------------------------------------------------------------------
 *
 * event.h
 *	  One write of one lead, as a trigger sees it.
 *
 * IDENTIFICATION
 *	  src/event.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_EVENT_H
#define LEAD_FUNNEL_EVENT_H

#include "commands/trigger.h"
#include "lib/ilist.h"

#include "automatic.h"
#include "lead_row.h"
#include "rules.h"

/* Why an event cannot be journalled yet. */
typedef enum Wait
{
	WAIT_FOR_NOTHING,
	WAIT_FOR_EARLIER,			/* an event that belongs before it may be
								 * still to come */
	WAIT_FOR_LEAD,				/* another event of the lead waits */
	WAIT_FOR_KEY				/* the journal has another lead with its key
								 * in the funnel */
} Wait;

typedef struct Event
{
	Oid			relid;
	Oid			old_relid;		/* another one if the row changes partitions */
	Oid			root;
	int32		funnel_id;
	SubTransactionId subid;
	uint64		serial;
	bool		is_outermost;	/* no statement calls the one that it is of */
	int			depth;			/* of triggers, where it came */
	int			refcnt;			/* how often its table was open: by one
								 * statement or several */
	Wait		wait;
	bool		is_due;			/* as take_due() has found, */
	uint64		candidate_in;	/* in this flush of the queue */
	dlist_node	as_maker;		/* in lists of the index by version */
	dlist_node	as_follower;
	bool		is_noted;		/* by settle.c */
	bool		has_old;
	bool		has_new;
	LeadKey		old_key;
	LeadKey		new_key;
	LeadState	old;
	LeadState	new;
	bool		old_is_ours;	/* this transaction made the old version, */
	CommandId	old_cmin;		/* by this command, */
	bool		old_was_inserted;	/* not by an UPDATE */
	bool		old_is_frozen;	/* this transaction made it, by COPY FREEZE */
	CommandId	new_cmin;		/* the command that did this */
	CommandId	order_cmin;		/* the same, or the one that made way for an
								 * INSERT */
	uint64		insert_serial;	/* of the INSERT that its row is known to
								 * descend from, 0: none */
	bool		to_other_partition; /* a DELETE that is half an UPDATE */
	bool		has_given;
	TimestampTz given;			/* when the move took effect, says the writer */
	bool		given_is_day;
	bool		handover_given;
	TimestampTz handed_over_at;
	bool		keeps_handover; /* the funnel has no column for it */
	text	   *actor;
	text	   *reason;
	bool		reason_is_setting;	/* not from the row */
	text	   *note;
	text	   *role_name;
	Evidence	evidence;		/* what gates look at, if the lead moves */
	char		breach;			/* what it broke, if it was let pass */
	bool		overridden;
	char	   *shown_key;		/* the old key, if it has been parked */
	char		by_right;		/* origin of a move that no rule is asked
								 * about: undo, expiry; 0: none */
	int32		undoes;			/* the move that it takes back */
	AutomaticMove *automatic;	/* that our trigger has made of it, or NULL */
} Event;

/* What is read points into the rows. */
extern void lf_event_read(const Funnel *funnel, FunctionCallInfo fcinfo, Event *event);

/* Copies into the present memory context; shares with "like" (or NULL) what is equal. */
extern Event *lf_event_copy(const Event *event, const Event *like);

/* Makes an INSERT the UPDATE that it is the second half of. */
extern void lf_event_join(Event *insert, const Event *half);

/* The order in which the versions of a lead were made. */
extern int	lf_event_compare(const Event *a, const Event *b);

extern bool lf_event_changes_key(const Event *event);

/* The key that the lead has after the event. */
extern const LeadKey *lf_event_key(const Event *event);

/* How many triggers are running, each one inside of the next. */
extern int	lf_trigger_depth(void);

/*
 * In a trigger for each statement: whether all events of all statements have
 * come, since the client's own one, which writes one table, is at its end.
 */
extern bool lf_all_is_over(FunctionCallInfo fcinfo);

#endif							/* LEAD_FUNNEL_EVENT_H */
