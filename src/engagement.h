/*-------------------------------------------------------------------------
 *
 * engagement.h
 *	  How warm a lead is: the sum of its events' points, each of which decays
 *	  with a half-life.
 *
 * DESIGN
 *	  An engagement is warmth(T) = sum of p_i * 2^((t_i - T) / h).  All of it is
 *	  in one number, weight = warmth(0) = sum of p_i * 2^(t_i / h), where time
 *	  is counted from 2000-01-01 UTC, so that warmth(T) = weight * 2^(-T / h)
 *	  (forward decay, Cormode et al., 2009).  Time passing changes nothing that
 *	  is stored.
 *
 *	  Representation: the half-life, the time of the newest event, and the
 *	  weight as mantissa and binary exponent.  The exponent is stored relative
 *	  to the newest event, so it is that of a double, whatever the date and
 *	  however short the half-life: centuries neither overflow nor underflow.
 *
 *	  Canonical form: the points at the newest event, as printed, are a double,
 *	  and the mantissa is computed from them.  Whatever makes a value rounds
 *	  those points to a double, then derives the mantissa: equal points, time
 *	  and half-life are equal bytes, and vice versa.  The mantissa has 63 bits,
 *	  ten more than the points, so the way back gives the very same points.  The
 *	  text form prints as many digits as they need, always, and the time with
 *	  its offset: dumps round-trip under any setting.
 *
 *	  Order: half-life (shorter first), weight, newest event (later first).  For
 *	  one half-life warmth(T) of all values is their weight times one factor,
 *	  rounded once, so this is the order of points_at() at every T, ties included: where two
 *	  values differ by less than a double can tell, points_at() is equal, never
 *	  the other way round.  All of it is integer arithmetic of our own: an index
 *	  does not depend on the C library of the server that made it.
 *
 *	  Negative points and subtraction: the mantissa has a sign.  Zero has
 *	  mantissa and exponent 0, and keeps its newest event and half-life.  A
 *	  difference keeps the later of both times: which event was the second
 *	  newest, nobody knows.
 *
 *	  Accuracy: make, + and - round once, to the nearest double or, where the
 *	  exact value is half-way within 2^-7 of a bit, its neighbour: each is within
 *	  1.2e-16 of the exact result, n of them within n * 1.2e-16 of the sum of all
 *	  absolute values, in any order.  The aggregates add with 103 bits and round
 *	  at the end, so that their error is 1.2e-16 whatever the number of events,
 *	  and another order gives other bits in one case of 2^40 or so.
 *	  An amount under 2.2e-308 points at the newest event is stored as 0, one
 *	  over 1.8e308 is an error.
 *
 *	  A half-life is 1 second to 36525 days, in whole seconds; a day is 24 hours,
 *	  and months, which have no fixed length, are refused.
 *
 * IDENTIFICATION
 *	  src/engagement.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_ENGAGEMENT_H
#define LEAD_FUNNEL_ENGAGEMENT_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/nodes.h"

/*
 * The on-disk format.  weight = mantissa * 2^(exponent + floor(newest / h)).
 */
typedef struct Engagement
{
	TimestampTz newest;			/* time of the newest event, finite */
	int64		mantissa;		/* 0, or 2^62 <= |mantissa| < 2^63 */
	int32		exponent;		/* 0 if the mantissa is */
	uint32		half_life;		/* in seconds */
} Engagement;

#define LF_HALF_LIFE_MAX	(36525U * SECS_PER_DAY)

#define DatumGetEngagementP(X) ((Engagement *) DatumGetPointer(X))
#define EngagementPGetDatum(X) PointerGetDatum(X)
#define PG_GETARG_ENGAGEMENT_P(n) DatumGetEngagementP(PG_GETARG_DATUM(n))
#define PG_RETURN_ENGAGEMENT_P(x) return EngagementPGetDatum(x)

extern bool lf_engagement_make(Engagement *result, double points, TimestampTz at, uint32 half_life, Node *escontext);
extern void lf_engagement_add(Engagement *result, const Engagement *a, const Engagement *b, bool subtract);
extern double lf_engagement_points_at(const Engagement *e, TimestampTz at);
extern int	lf_engagement_cmp(const Engagement *a, const Engagement *b);

#endif							/* LEAD_FUNNEL_ENGAGEMENT_H */
