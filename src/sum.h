/*-------------------------------------------------------------------------
 *
 * sum.h
 *	  Sums of the values of leads.
 *
 * IDENTIFICATION
 *	  src/sum.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_SUM_H
#define LEAD_FUNNEL_SUM_H

#include "lead_row.h"

/* A sum; all zero: of nothing. */
typedef struct Sum
{
	int64		units;			/* of amounts that are small, in 1/10000 */
	int			scale;			/* digits behind the point of these, at most */
	Numeric		others;			/* sum of all others, or NULL */
} Sum;

/* sum += sign * value, which may be NULL; memory is taken from the context. */
extern void lf_sum_add(Sum *sum, const PackedNumeric *value, int sign, MemoryContext cxt);

/* sum += addend */
extern void lf_sum_add_sum(Sum *sum, const Sum *addend, MemoryContext cxt);

/* Whether the amount is one of those that are summed fast: less than 10^12, with four digits behind the point at most. */
extern bool lf_sum_takes_as_integer(const PackedNumeric *value);

extern bool lf_sum_is_zero(const Sum *sum);

/* As a numeric, with as many digits behind the point as its most exact addend. */
extern Datum lf_sum_value(const Sum *sum);

#endif							/* LEAD_FUNNEL_SUM_H */
