/*-------------------------------------------------------------------------
 *
 * sum.c
 *	  Sums of the values of leads.
 *
 * NOTES
 *	  Each lead that is written adds its value to a sum, and an addition of
 *	  numerics allocates and frees some pieces of memory.  Nearly all amounts
 *	  are below 10^12 with four digits behind the point at most, so these are
 *	  added up as integers, exactly.
 *
 * IDENTIFICATION
 *	  src/sum.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "compat.h"
#include "sum.h"

/*
 * The header of a short numeric and its digits, each worth 10000 times the
 * next one, as numeric.c stores them on disk and pg_upgrade leaves them.
 */
#define HEADER_KIND		0xC000
#define HEADER_IS_SHORT	0x8000
#define HEADER_NEGATIVE	0x2000
#define HEADER_SCALE(h)	(((h) & 0x1F80) >> 7)
#define HEADER_WEIGHT(h) (((h) & 0x0040 ? ~0x003F : 0) | ((h) & 0x003F))
#define DIGIT_BASE		10000

/* The first of them may be worth 10000^2 units of one: the amount is less than 10^12. */
#define MAX_WEIGHT		2
/* The last of them 1/10000. */
#define MIN_WEIGHT		(-1)
#define MAX_PLACES		4

static bool
is_small(const PackedNumeric *value, int64 *units, int *scale)
{
	const char *p = VARDATA_ANY(value);
	int			ndigits;
	int			weight;
	uint16		header;

	if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
		return false;
	ndigits = ((int) VARSIZE_ANY_EXHDR(value) - (int) sizeof(header)) / (int) sizeof(int16);
	memcpy(&header, p, sizeof(header));
	if ((header & HEADER_KIND) != HEADER_IS_SHORT)
		return false;
	weight = HEADER_WEIGHT(header);
	if (ndigits > 0 && (weight > MAX_WEIGHT || weight - ndigits + 1 < MIN_WEIGHT))
		return false;
	*units = 0;
	for (int i = 0; i < ndigits; i++)
	{
		int16		digit;

		memcpy(&digit, p + sizeof(header) + i * sizeof(digit), sizeof(digit));
		*units = *units * DIGIT_BASE + digit;
	}
	for (int w = weight - ndigits + 1; ndigits > 0 && w > MIN_WEIGHT; w--)
		*units *= DIGIT_BASE;
	if (header & HEADER_NEGATIVE)
		*units = -*units;
	*scale = HEADER_SCALE(header);
	return true;
}

bool
lf_sum_takes_as_integer(const PackedNumeric *value)
{
	int64		units;
	int			scale;

	return is_small(value, &units, &scale) && scale <= MAX_PLACES;
}

static Datum
as_numeric(int64 units, int scale)
{
	return DirectFunctionCall2(numeric_round, NumericGetDatum(int64_div_fast_to_numeric(units, 4)), Int32GetDatum(scale));
}

static void
add_to_others(Sum *sum, Datum value, int sign, MemoryContext cxt)
{
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	Numeric		before = sum->others;

	if (before != NULL)
		sum->others = DatumGetNumeric(DirectFunctionCall2(sign > 0 ? numeric_add : numeric_sub,
														  NumericGetDatum(before), value));
	else if (sign > 0)
		sum->others = DatumGetNumericCopy(value);
	else
		sum->others = DatumGetNumeric(DirectFunctionCall1(numeric_uminus, value));
	if (before != NULL)
		pfree(before);
	MemoryContextSwitchTo(previous);
}

static void
add_units(Sum *sum, int64 units, int scale, MemoryContext cxt)
{
	int64		result;

	if (pg_add_s64_overflow(sum->units, units, &result))
	{
		add_to_others(sum, as_numeric(sum->units, sum->scale), 1, cxt);
		result = units;
	}
	sum->units = result;
	sum->scale = Max(sum->scale, scale);
}

void
lf_sum_add(Sum *sum, const PackedNumeric *value, int sign, MemoryContext cxt)
{
	int64		units;
	int			scale;

	if (value == NULL)
		return;
	if (is_small(value, &units, &scale))
		add_units(sum, sign * units, scale, cxt);
	else
		add_to_others(sum, PointerGetDatum(value), sign, cxt);
}

void
lf_sum_add_sum(Sum *sum, const Sum *addend, MemoryContext cxt)
{
	add_units(sum, addend->units, addend->scale, cxt);
	if (addend->others != NULL)
		add_to_others(sum, NumericGetDatum(addend->others), 1, cxt);
}

Datum
lf_sum_value(const Sum *sum)
{
	Datum		result = as_numeric(sum->units, sum->scale);

	if (sum->others == NULL)
		return result;
	return DirectFunctionCall2(numeric_add, result, NumericGetDatum(sum->others));
}

bool
lf_sum_is_zero(const Sum *sum)
{
	if (sum->others == NULL)
		return sum->units == 0;
	return DatumGetBool(DirectFunctionCall2(numeric_eq, lf_sum_value(sum), NumericGetDatum(int64_to_numeric(0))));
}
