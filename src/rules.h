/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  Which moves a funnel allows, and how it refuses the others.
 *
 * IDENTIFICATION
 *	  src/rules.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_RULES_H
#define LEAD_FUNNEL_RULES_H

#include "compat.h"
#include "evidence.h"
#include "lead_row.h"

/* What was broken; lf_constraint_name() has the names that users see. */
#define LF_BREACH_NONE			0
#define LF_BREACH_TRANSITION	't'
#define LF_BREACH_REASON		'r'
#define LF_BREACH_TIME			'm'
#define LF_BREACH_ROLE			'o'
#define LF_BREACH_GATE			'g'
#define LF_BREACH_STAGE			's'

/* A move that is to be judged. */
typedef struct Move
{
	LeadKey		key;
	LeadStage	from;			/* none: entry */
	LeadStage	left_from;		/* entry: where it was when it left, if it
								 * comes back */
	LeadStage	to;
	const text *reason;
	const Evidence *evidence;
	/* breach of time: */
	TimestampTz given;
	TimestampTz earliest;
} Move;

extern const char *lf_constraint_name(char breach);

/*
 * The first rule that the move breaks, or LF_BREACH_NONE.  Gates that are
 * judged at commit are left out.
 */
extern char lf_judge(const Funnel *funnel, const Move *move);

/* The gate of the move, whenever it is judged; NULL: none. */
extern const Gate *lf_gate_of(const Funnel *funnel, const Move *move);

/* Whether the current user may make moves of the rule. */
extern bool lf_rule_has_role(const Rule *rule);

/* Raises the error of the breach. */
lf_noreturn extern void lf_refuse(const Funnel *funnel, const Move *move, char breach);
lf_noreturn extern void lf_refuse_at_gate(const Funnel *funnel, const Move *move, const Gate *gate);
lf_noreturn extern void lf_refuse_status(const Funnel *funnel, const LeadKey *key, const text *status);

/* For ereport(): schema, table, column and constraint (or NULL) of the error. */
extern int	lf_error_fields(const Funnel *funnel, const char *constraint);

/* Whether this session may move leads of the funnel against its rules. */
extern bool lf_may_override(const Funnel *funnel);

/* The current role, as the journal names it. */
extern text *lf_role_name(void);

#endif							/* LEAD_FUNNEL_RULES_H */
