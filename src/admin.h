/*-------------------------------------------------------------------------
 *
 * admin.h
 *	  What the functions that manage funnels need from C.
 *
 * IDENTIFICATION
 *	  src/admin.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_ADMIN_H
#define LEAD_FUNNEL_ADMIN_H

/* Calls a function of schema lead_funnel that returns void, as its owner. */
extern void lf_call_as_owner(const char *name, int nargs, const Oid *types, const Datum *values);

/* Who acts: the current user, or who called the function that acts as our owner. */
extern Oid	lf_acting_user(void);

/* Whether one of our functions is at work, whose DDL needs no check. */
extern bool lf_is_managing(void);

#endif							/* LEAD_FUNNEL_ADMIN_H */
