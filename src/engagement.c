/*-------------------------------------------------------------------------
 *
 * engagement.c
 *	  The type engagement: points that decay with a half-life.
 *
 * NOTES
 *	  What a value is and why it is stored so stands in engagement.h.  From
 *	  bottom to top: 2^f in integers; a double to mantissa and exponent and
 *	  back; sums; SQL functions.
 *
 *	  All that is stored, compared or shown is computed in integers or by
 *	  operations that IEEE 754 defines to the last bit (rounding an integer to
 *	  a double, scaling by a power of two).  libm is asked for an estimate only.
 *
 *	  Text and binary form are the same text, as for lead_stage: drivers decode
 *	  a binary format that they do not know as text.
 *
 * IDENTIFICATION
 *	  src/engagement.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "common/hashfn.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "engagement.h"

#ifndef HAVE_INT128
#error "lead_funnel needs a compiler with 128-bit integers"
#endif

StaticAssertDecl(sizeof(Engagement) == 24, "engagement is 24 bytes without padding, which are hashed and compared as such");

/* An aggregate adds terms with so many more bits than a mantissa has */
#define GUARD_BITS		40

/* Room for the longest double, time with offset and half-life */
#define TEXT_SIZE		(DOUBLE_SHORTEST_DECIMAL_LEN + MAXDATELEN + 48)

/*
 * A sum of weights: sum * 2^exponent.  |sum| < 2^126 between calls, so that
 * two of them, or one and a term, add without overflow.
 */
typedef struct Accumulator
{
	int128		sum;
	int64		exponent;
	TimestampTz newest;
	uint32		half_life;
} Accumulator;

/* ln 2 in units of 2^-64 */
#define LN2				UINT64CONST(0xB17217F7D1CF79AB)

/* 2^(i / 64) in units of 2^-63, rounded down */
static const uint64 exp2_coarse[64] = {
	UINT64CONST(0x8000000000000000), UINT64CONST(0x8164D1F3BC030773), UINT64CONST(0x82CD8698AC2BA1D7), UINT64CONST(0x843A28C3ACDE4046),
	UINT64CONST(0x85AAC367CC487B14), UINT64CONST(0x871F61969E8D1010), UINT64CONST(0x88980E8092DA8527), UINT64CONST(0x8A14D575496EFD9A),
	UINT64CONST(0x8B95C1E3EA8BD6E6), UINT64CONST(0x8D1ADF5B7E5BA9E5), UINT64CONST(0x8EA4398B45CD53C0), UINT64CONST(0x9031DC431466B1DC),
	UINT64CONST(0x91C3D373AB11C336), UINT64CONST(0x935A2B2F13E6E92B), UINT64CONST(0x94F4EFA8FEF70961), UINT64CONST(0x96942D3720185A00),
	UINT64CONST(0x9837F0518DB8A96F), UINT64CONST(0x99E0459320B7FA64), UINT64CONST(0x9B8D39B9D54E5538), UINT64CONST(0x9D3ED9A72CFFB750),
	UINT64CONST(0x9EF5326091A111AD), UINT64CONST(0xA0B0510FB9714FC2), UINT64CONST(0xA27043030C496818), UINT64CONST(0xA43515AE09E6809E),
	UINT64CONST(0xA5FED6A9B15138EA), UINT64CONST(0xA7CD93B4E9653569), UINT64CONST(0xA9A15AB4EA7C0EF8), UINT64CONST(0xAB7A39B5A93ED337),
	UINT64CONST(0xAD583EEA42A14AC6), UINT64CONST(0xAF3B78AD690A4374), UINT64CONST(0xB123F581D2AC258F), UINT64CONST(0xB311C412A9112489),
	UINT64CONST(0xB504F333F9DE6484), UINT64CONST(0xB6FD91E328D17791), UINT64CONST(0xB8FBAF4762FB9EE9), UINT64CONST(0xBAFF5AB2133E45FB),
	UINT64CONST(0xBD08A39F580C36BE), UINT64CONST(0xBF1799B67A731082), UINT64CONST(0xC12C4CCA66709456), UINT64CONST(0xC346CCDA24976407),
	UINT64CONST(0xC5672A115506DADD), UINT64CONST(0xC78D74C8ABB9B15C), UINT64CONST(0xC9B9BD866E2F27A2), UINT64CONST(0xCBEC14FEF2727C5C),
	UINT64CONST(0xCE248C151F8480E3), UINT64CONST(0xD06333DAEF2B2594), UINT64CONST(0xD2A81D91F12AE45A), UINT64CONST(0xD4F35AABCFEDFA1F),
	UINT64CONST(0xD744FCCAD69D6AF4), UINT64CONST(0xD99D15C278AFD7B5), UINT64CONST(0xDBFBB797DAF23755), UINT64CONST(0xDE60F4825E0E9123),
	UINT64CONST(0xE0CCDEEC2A94E111), UINT64CONST(0xE33F8972BE8A5A51), UINT64CONST(0xE5B906E77C8348A8), UINT64CONST(0xE8396A503C4BDC68),
	UINT64CONST(0xEAC0C6E7DD24392E), UINT64CONST(0xED4F301ED9942B84), UINT64CONST(0xEFE4B99BDCDAF5CB), UINT64CONST(0xF281773C59FFB139),
	UINT64CONST(0xF5257D152486CC2C), UINT64CONST(0xF7D0DF730AD13BB8), UINT64CONST(0xFA83B2DB722A033A), UINT64CONST(0xFD3E0C0CF486C174),
};

/* 2^(i / 4096) in units of 2^-63, rounded down */
static const uint64 exp2_fine[64] = {
	UINT64CONST(0x8000000000000000), UINT64CONST(0x80058BAF7FEE3B5D), UINT64CONST(0x800B179C82028FD0), UINT64CONST(0x8010A3C708E73282),
	UINT64CONST(0x8016302F17467628), UINT64CONST(0x801BBCD4AFCACB08), UINT64CONST(0x802149B7D51EBEFB), UINT64CONST(0x8026D6D889ECFD69),
	UINT64CONST(0x802C6436D0E04F50), UINT64CONST(0x8031F1D2ACA39B43), UINT64CONST(0x80377FAC1FE1E56A), UINT64CONST(0x803D0DC32D464F85),
	UINT64CONST(0x80429C17D77C18ED), UINT64CONST(0x80482AAA212E9E95), UINT64CONST(0x804DB97A0D095B0C), UINT64CONST(0x805348879DB7E67D),
	UINT64CONST(0x8058D7D2D5E5F6B0), UINT64CONST(0x805E675BB83F5F0F), UINT64CONST(0x8063F722477010A1), UINT64CONST(0x8069872686241A12),
	UINT64CONST(0x806F17687707A7AF), UINT64CONST(0x8074A7E81CC7036B), UINT64CONST(0x807A38A57A0E94DC), UINT64CONST(0x807FC9A0918AE142),
	UINT64CONST(0x80855AD965E88B83), UINT64CONST(0x808AEC4FF9D45430), UINT64CONST(0x80907E044FFB1984), UINT64CONST(0x80960FF66B09D765),
	UINT64CONST(0x809BA2264DADA76A), UINT64CONST(0x80A13493FA93C0D4), UINT64CONST(0x80A6C73F74697897), UINT64CONST(0x80AC5A28BDDC4157),
	UINT64CONST(0x80B1ED4FD999AB6C), UINT64CONST(0x80B780B4CA4F64DF), UINT64CONST(0x80BD145792AB3970), UINT64CONST(0x80C2A838355B1297),
	UINT64CONST(0x80C83C56B50CF77F), UINT64CONST(0x80CDD0B3146F0D11), UINT64CONST(0x80D3654D562F95EC), UINT64CONST(0x80D8FA257CFCF26E),
	UINT64CONST(0x80DE8F3B8B85A0AF), UINT64CONST(0x80E4248F84783C87), UINT64CONST(0x80E9BA216A837F8C), UINT64CONST(0x80EF4FF140564116),
	UINT64CONST(0x80F4E5FF089F763E), UINT64CONST(0x80FA7C4AC60E31E1), UINT64CONST(0x810012D47B51A4A0), UINT64CONST(0x8105A99C2B191CE1),
	UINT64CONST(0x810B40A1D81406D4), UINT64CONST(0x8110D7E584F1EC6D), UINT64CONST(0x81166F673462756D), UINT64CONST(0x811C0726E9156760),
	UINT64CONST(0x81219F24A5BAA59D), UINT64CONST(0x812737606D023148), UINT64CONST(0x812CCFDA419C2956), UINT64CONST(0x813268922638CA8B),
	UINT64CONST(0x813801881D886F7B), UINT64CONST(0x813D9ABC2A3B9090), UINT64CONST(0x8143342E4F02C405), UINT64CONST(0x8148CDDE8E8EBDEC),
	UINT64CONST(0x814E67CCEB90502C), UINT64CONST(0x815401F968B86A87), UINT64CONST(0x81599C6408B81A94), UINT64CONST(0x815F370CCE408BC8),
};

/*
 * exp2_fraction returns 2^(f / 2^64) * 2^63, with a relative error under
 * 2^-60, and never too much, so that it cannot reach 2^64.
 *
 * The upper 12 bits of f are looked up, 52 are a Taylor series: its term of
 * fifth degree is under 2^-69.
 */
static uint64
exp2_fraction(uint64 f)
{
	uint64		head;
	uint64		y,
				y2,
				y3,
				y4;

	head = (uint64) (((uint128) exp2_coarse[f >> 58] * exp2_fine[(f >> 52) & 63]) >> 63);

	/* y = r * ln 2, and its powers, in units of 2^-64 */
	y = (uint64) (((uint128) (f & UINT64CONST(0x000FFFFFFFFFFFFF)) * LN2) >> 64);
	y2 = (uint64) (((uint128) y * y) >> 64);
	y3 = (uint64) (((uint128) y2 * y) >> 64);
	y4 = (uint64) (((uint128) y3 * y) >> 64);
	y += y2 / 2 + y3 / 6 + y4 / 24;

	return head + (uint64) (((uint128) head * y) >> 64);
}

/*
 * periods returns floor(at / h), and in *fraction the rest of at / h in units
 * of 2^-64 if that is wanted.
 */
static inline int64
periods(TimestampTz at, uint32 half_life, uint64 *fraction)
{
	int64		h = (int64) half_life * USECS_PER_SEC;
	int64		n = at / h;
	int64		rest = at % h;

	if (rest < 0)
	{
		rest += h;
		n--;
	}
	if (fraction != NULL)
		*fraction = (uint64) (((uint128) rest << 64) / (uint64) h);

	return n;
}

/*
 * decayed returns mantissa * 2^exponent * 2^-(fraction / 2^64) as a double: an
 * infinite one if that is too large, 0 if it is too small.
 *
 * The mantissa must have its bit 62 or 63 set.  For one fraction, the result
 * never falls as mantissa and exponent rise: an exact product, rounded.
 */
static double
decayed(uint64 mantissa, int64 exponent, uint64 fraction)
{
	uint128		product;
	uint64		top;
	int			excess;

	/* 2^-x = 2^(1-x) / 2 */
	if (fraction == 0)
		product = (uint128) mantissa << 63;
	else
	{
		product = (uint128) mantissa * exp2_fraction(-fraction);
		exponent--;
	}
	exponent -= 63;

	/* keep 64 bits, the last of which says whether anything was cut off */
	excess = pg_leftmost_one_pos64((uint64) (product >> 64)) + 1;
	top = (uint64) (product >> excess);
	if ((product & (((uint128) 1 << excess) - 1)) != 0)
		top |= 1;
	exponent += excess;

	if (exponent > DBL_MAX_EXP)
		return get_float8_infinity();
	if (exponent < -2 * DBL_MAX_EXP)
		return 0.0;
	return ldexp((double) top, (int) exponent);
}

/*
 * set_points gives *e, whose time and half-life are set, these points at its
 * newest event.  They must be 0 or a finite number of full precision.
 */
static void
set_points(Engagement *e, double points)
{
	uint64		fraction;
	uint64		mantissa;
	int			exponent;

	if (points == 0.0)
	{
		e->mantissa = 0;
		e->exponent = 0;
		return;
	}

	/* |points| = mantissa * 2^exponent, with 2^62 <= mantissa < 2^63 */
	mantissa = (uint64) ldexp(frexp(fabs(points), &exponent), 53) << 10;
	exponent -= 63;

	(void) periods(e->newest, e->half_life, &fraction);
	mantissa = (uint64) (((uint128) mantissa * exp2_fraction(fraction)) >> 63);
	if (mantissa >> 63)
	{
		mantissa >>= 1;
		exponent++;
	}

	e->mantissa = points < 0 ? -(int64) mantissa : (int64) mantissa;
	e->exponent = exponent;
}

/*
 * lf_engagement_points_at returns the points that are left at a finite time:
 * an infinite number if they are more than a double holds.
 */
double
lf_engagement_points_at(const Engagement *e, TimestampTz at)
{
	uint64		fraction;
	int64		n;
	double		points;

	if (e->mantissa == 0)
		return 0.0;

	n = periods(at, e->half_life, &fraction);
	points = decayed((uint64) (e->mantissa < 0 ? -e->mantissa : e->mantissa),
					 e->exponent + periods(e->newest, e->half_life, NULL) - n,
					 fraction);

	return e->mantissa < 0 ? -points : points;
}

/*
 * check_points reports points that cannot be stored.
 */
static bool
check_points(double points, Node *escontext)
{
	if (isnan(points) || isinf(points))
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("points of an engagement must be a finite number"),
				 errdetail("The points are %s.", isnan(points) ? "NaN" : points < 0 ? "-Infinity" : "Infinity"),
				 errhint("Give the points that it has at the given time.")));
	if (points != 0.0 && fabs(points) < DBL_MIN)
		ereturn(escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points of an engagement must be 0 or at least 2.2e-308"),
				 errdetail("The points are %g.", points),
				 errhint("Give 0: so few points are none.")));

	return true;
}

static bool
check_time(TimestampTz at, Node *escontext)
{
	if (TIMESTAMP_NOT_FINITE(at))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("time of an engagement must be finite"),
				 errhint("Give the time of the newest event.")));

	return true;
}

/*
 * lf_engagement_make makes the engagement of one event, false after a soft
 * error.
 */
bool
lf_engagement_make(Engagement *result, double points, TimestampTz at, uint32 half_life, Node *escontext)
{
	if (!check_points(points, escontext) || !check_time(at, escontext))
		return false;

	result->newest = at;
	result->half_life = half_life;
	set_points(result, points);

	return true;
}

/*
 * half_life_of_interval converts an interval to a half-life in seconds,
 * false after a soft error.
 */
static bool
half_life_of_interval(uint32 *result, Interval *span, Node *escontext)
{
	int64		usecs;

	if (span->month != 0)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("half-life of an engagement must not have months or years"),
				 errdetail("Months have no fixed length."),
				 errhint("Write it in days, such as 30 days.")));

	if (pg_mul_s64_overflow(span->day, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, span->time, &usecs) ||
		usecs < USECS_PER_SEC ||
		usecs > (int64) LF_HALF_LIFE_MAX * USECS_PER_SEC ||
		usecs % USECS_PER_SEC != 0)
		ereturn(escontext, false,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("half-life of an engagement must be whole seconds, from 1 second to 36525 days"),
				 errdetail("The half-life is \"%s\".",
						   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(span)))),
				 errhint("Give the time in which half of the points are lost, such as 7 days.")));

	*result = (uint32) (usecs / USECS_PER_SEC);
	return true;
}

/*
 * half_life_text writes a half-life as an interval, the same under every
 * IntervalStyle, and returns its end.
 */
static char *
half_life_text(char *buf, size_t size, uint32 half_life)
{
	uint32		ndays = half_life / SECS_PER_DAY;
	uint32		rest = half_life % SECS_PER_DAY;
	int			len = 0;

	if (ndays > 0)
		len = snprintf(buf, size, "%u %s", ndays, ndays == 1 ? "day" : "days");
	if (rest > 0)
		len += snprintf(buf + len, size - len, "%s%02u:%02u:%02u", ndays > 0 ? " " : "",
						rest / SECS_PER_HOUR, rest / SECS_PER_MINUTE % MINS_PER_HOUR, rest % SECS_PER_MINUTE);

	return buf + len;
}

/*
 * check_half_lives reports half-lives that differ.
 */
static void
check_half_lives(uint32 a, uint32 b)
{
	char		text_a[48],
				text_b[48];

	if (likely(a == b))
		return;

	half_life_text(text_a, sizeof(text_a), a);
	half_life_text(text_b, sizeof(text_b), b);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("engagements of different half-lives cannot be added"),
			 errdetail("The half-lives are %s and %s.", text_a, text_b),
			 errhint("Keep one engagement per half-life, or compute both from their events with one half-life.")));
}

/*
 * Sums
 */

static inline int128
shift_right(int128 x, int64 bits)
{
	if (bits >= 127)
		return 0;
	return x < 0 ? -(-x >> bits) : x >> bits;
}

/*
 * accumulate adds term * 2^exponent, where |term| < 2^126.
 *
 * Whichever of sum and term is the smaller loses its last bits alike: the sum
 * of two does not depend on their order.
 */
static inline void
accumulate(Accumulator *acc, int128 term, int64 exponent)
{
	const int128 limit = (int128) 1 << 126;

	if (term == 0)
		return;
	if (acc->sum == 0)
		acc->exponent = exponent;
	else if (acc->exponent < exponent)
	{
		acc->sum = shift_right(acc->sum, exponent - acc->exponent);
		acc->exponent = exponent;
	}
	else
		term = shift_right(term, acc->exponent - exponent);

	acc->sum += term;
	if (unlikely(acc->sum >= limit || acc->sum <= -limit))
	{
		acc->sum = shift_right(acc->sum, 1);
		acc->exponent++;
	}
}

static inline void
accumulate_engagement(Accumulator *acc, const Engagement *e, bool subtract)
{
	check_half_lives(acc->half_life, e->half_life);
	acc->newest = Max(acc->newest, e->newest);
	if (e->mantissa != 0)
		accumulate(acc, (int128) (subtract ? -e->mantissa : e->mantissa) * ((int128) 1 << GUARD_BITS),
				   e->exponent + periods(e->newest, e->half_life, NULL) - GUARD_BITS);
}

/*
 * finish makes the sum an engagement.
 */
static void
finish(const Accumulator *acc, Engagement *result)
{
	double		points = 0.0;

	result->newest = acc->newest;
	result->half_life = acc->half_life;

	if (acc->sum != 0)
	{
		uint128		amount = (uint128) (acc->sum < 0 ? -acc->sum : acc->sum);
		uint64		high = (uint64) (amount >> 64);
		int64		exponent = acc->exponent;
		uint64		fraction;
		uint64		mantissa;
		int			shift;

		if (high != 0)
		{
			shift = pg_leftmost_one_pos64(high) + 1;
			mantissa = (uint64) (amount >> shift);
		}
		else
		{
			shift = pg_leftmost_one_pos64((uint64) amount) - 63;
			mantissa = (uint64) amount << -shift;
		}

		exponent += shift - periods(acc->newest, acc->half_life, &fraction);
		points = decayed(mantissa, exponent, fraction);
		if (isinf(points))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("engagement out of range"),
					 errdetail("At its newest event it would have more than 1.8e308 points.")));
		if (points < DBL_MIN)
			points = 0.0;
		else if (acc->sum < 0)
			points = -points;
	}

	set_points(result, points);
}

/*
 * lf_engagement_add sets *result, which may be one of them, to a + b or a - b.
 */
void
lf_engagement_add(Engagement *result, const Engagement *a, const Engagement *b, bool subtract)
{
	Accumulator acc = {0};

	acc.newest = a->newest;
	acc.half_life = a->half_life;
	accumulate_engagement(&acc, a, false);
	accumulate_engagement(&acc, b, subtract);
	finish(&acc, result);
}

/*
 * lf_engagement_cmp compares by half-life, weight, newest event.
 *
 * Of two equal weights the one with the earlier event is the greater, so that
 * e >= make_engagement(50, now, h) holds for whatever amounts to 50 points now.
 */
int
lf_engagement_cmp(const Engagement *a, const Engagement *b)
{
	int			sign_a,
				sign_b;

	if (a->half_life != b->half_life)
		return a->half_life < b->half_life ? -1 : 1;

	sign_a = (a->mantissa > 0) - (a->mantissa < 0);
	sign_b = (b->mantissa > 0) - (b->mantissa < 0);
	if (sign_a != sign_b)
		return sign_a < sign_b ? -1 : 1;

	if (sign_a != 0)
	{
		int64		exp_a = a->exponent + periods(a->newest, a->half_life, NULL);
		int64		exp_b = b->exponent + periods(b->newest, b->half_life, NULL);

		if (exp_a != exp_b)
			return (exp_a < exp_b) == (sign_a > 0) ? -1 : 1;
		if (a->mantissa != b->mantissa)
			return a->mantissa < b->mantissa ? -1 : 1;
	}

	if (a->newest != b->newest)
		return a->newest > b->newest ? -1 : 1;
	return 0;
}

/*
 * Input and output
 */

/*
 * parse reads points@time/half-life.  The time may have slashes, an interval
 * has none.  Returns NULL after a soft error.
 */
static Engagement *
parse(const char *s, int len, Node *escontext)
{
	char	   *copy = pnstrdup(s, len);
	char	   *at = strchr(copy, '@');
	char	   *slash = at ? strrchr(at, '/') : NULL;
	Engagement *result;
	Datum		points,
				newest,
				span;
	uint32		half_life;

	if (slash == NULL)
		ereturn(escontext, NULL,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", "engagement", copy),
				 errhint("Write points@time of the newest event/half-life, such as 42.5@2026-11-23 10:00:00+00/7 days.")));

	*at++ = '\0';
	*slash++ = '\0';
	if (!lf_input(float8in, copy, escontext, &points) ||
		!lf_input(timestamptz_in, at, escontext, &newest) ||
		!lf_input(interval_in, slash, escontext, &span) ||
		!half_life_of_interval(&half_life, DatumGetIntervalP(span), escontext))
		return NULL;

	result = palloc(sizeof(Engagement));
	if (!lf_engagement_make(result, DatumGetFloat8(points), DatumGetTimestampTz(newest), half_life, escontext))
		return NULL;
	return result;
}

/*
 * print writes the text form to buf, TEXT_SIZE long, and returns its length.
 *
 * Points in the shortest form that reads back as the same double, time in ISO
 * form in the zone of the session with its offset, whatever extra_float_digits,
 * DateStyle and IntervalStyle are.
 */
static int
print(const Engagement *e, char *buf)
{
	char	   *p = buf;
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;
	const char *tzn;

	p += double_to_shortest_decimal_bufn(lf_engagement_points_at(e, e->newest), p);
	*p++ = '@';
	if (timestamp2tm(e->newest, &tz, &tm, &fsec, &tzn, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	EncodeDateTime(&tm, fsec, true, tz, tzn, USE_ISO_DATES, p);
	p += strlen(p);
	*p++ = '/';
	p = half_life_text(p, 48, e->half_life);

	return p - buf;
}

PG_FUNCTION_INFO_V1(engagement_in);
Datum
engagement_in(PG_FUNCTION_ARGS)
{
	char	   *s = PG_GETARG_CSTRING(0);

	PG_RETURN_ENGAGEMENT_P(parse(s, strlen(s), fcinfo->context));
}

PG_FUNCTION_INFO_V1(engagement_out);
Datum
engagement_out(PG_FUNCTION_ARGS)
{
	char		buf[TEXT_SIZE];
	int			len = print(PG_GETARG_ENGAGEMENT_P(0), buf);

	PG_RETURN_CSTRING(pnstrdup(buf, len));
}

/*
 * engagement_recv converts the text form, in the client's encoding.
 */
PG_FUNCTION_INFO_V1(engagement_recv);
Datum
engagement_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	char	   *s;
	int			len;

	s = pq_getmsgtext(buf, buf->len - buf->cursor, &len);

	PG_RETURN_ENGAGEMENT_P(parse(s, len, fcinfo->context));
}

PG_FUNCTION_INFO_V1(engagement_send);
Datum
engagement_send(PG_FUNCTION_ARGS)
{
	char		form[TEXT_SIZE];
	int			len = print(PG_GETARG_ENGAGEMENT_P(0), form);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendtext(&buf, form, len);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * Making, adding, reading
 */

/*
 * get_event reads the arguments (points, at, half_life) of a call, false if
 * the points are NULL: that is no event, as outer joins give one to leads that
 * have none.  Points without a time would be lost silently, and are refused.
 */
static bool
get_event(FunctionCallInfo fcinfo, int first, Engagement *event)
{
	uint32		half_life;

	if (PG_ARGISNULL(first))
		return false;
	if (PG_ARGISNULL(first + 1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("points of an engagement need a time"),
				 errhint("Give all three of points, time and half-life, or no points.")));
	if (PG_ARGISNULL(first + 2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("points of an engagement need a half-life"),
				 errhint("Give all three of points, time and half-life, or no points.")));

	(void) half_life_of_interval(&half_life, PG_GETARG_INTERVAL_P(first + 2), NULL);
	(void) lf_engagement_make(event, PG_GETARG_FLOAT8(first), PG_GETARG_TIMESTAMPTZ(first + 1), half_life, NULL);
	return true;
}

PG_FUNCTION_INFO_V1(make_engagement);
Datum
make_engagement(PG_FUNCTION_ARGS)
{
	Engagement *result = palloc(sizeof(Engagement));

	if (!get_event(fcinfo, 0, result))
		PG_RETURN_NULL();
	PG_RETURN_ENGAGEMENT_P(result);
}

PG_FUNCTION_INFO_V1(engagement_pl);
Datum
engagement_pl(PG_FUNCTION_ARGS)
{
	Engagement *result = palloc(sizeof(Engagement));

	lf_engagement_add(result, PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1), false);
	PG_RETURN_ENGAGEMENT_P(result);
}

PG_FUNCTION_INFO_V1(engagement_mi);
Datum
engagement_mi(PG_FUNCTION_ARGS)
{
	Engagement *result = palloc(sizeof(Engagement));

	lf_engagement_add(result, PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1), true);
	PG_RETURN_ENGAGEMENT_P(result);
}

PG_FUNCTION_INFO_V1(points_at);
Datum
points_at(PG_FUNCTION_ARGS)
{
	Engagement *e = PG_GETARG_ENGAGEMENT_P(0);
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(1);
	double		points;

	check_time(at, NULL);
	points = lf_engagement_points_at(e, at);
	if (isinf(points))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("points out of range"),
				 errdetail("So long before its newest event the engagement amounts to more than 1.8e308 points."),
				 errhint("Ask for the points at its newest event, newest(engagement), or later.")));

	PG_RETURN_FLOAT8(points);
}

PG_FUNCTION_INFO_V1(engagement_half_life);
Datum
engagement_half_life(PG_FUNCTION_ARGS)
{
	Engagement *e = PG_GETARG_ENGAGEMENT_P(0);
	Interval   *result = palloc0(sizeof(Interval));

	result->day = e->half_life / SECS_PER_DAY;
	result->time = (int64) (e->half_life % SECS_PER_DAY) * USECS_PER_SEC;
	PG_RETURN_INTERVAL_P(result);
}

PG_FUNCTION_INFO_V1(engagement_newest);
Datum
engagement_newest(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(PG_GETARG_ENGAGEMENT_P(0)->newest);
}

/*
 * cools_below returns the first microsecond from the newest event on at which
 * points_at() is less than the threshold; -infinity if it is so at the newest
 * event already, infinity if it never will be or after all timestamps.
 *
 * A logarithm says where to look; the answer is found by trying.
 */
PG_FUNCTION_INFO_V1(cools_below);
Datum
cools_below(PG_FUNCTION_ARGS)
{
	Engagement *e = PG_GETARG_ENGAGEMENT_P(0);
	double		threshold = PG_GETARG_FLOAT8(1);
	double		points = lf_engagement_points_at(e, e->newest);
	TimestampTz warm,
				cool;
	double		span,
				margin;

	if (isnan(threshold) || isinf(threshold))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("threshold of an engagement must be a finite number"),
				 errhint("Give a number of points.")));

	if (points < threshold)
		PG_RETURN_TIMESTAMPTZ(DT_NOBEGIN);
	if (threshold <= 0)
		PG_RETURN_TIMESTAMPTZ(DT_NOEND);

	/* warm: not yet below; cool: below */
	warm = e->newest;
	cool = END_TIMESTAMP - 1;
	if (lf_engagement_points_at(e, cool) >= threshold)
		PG_RETURN_TIMESTAMPTZ(DT_NOEND);

	/* differences of timestamps need 64 bits without a sign */
	span = (log2(points) - log2(threshold)) * e->half_life * USECS_PER_SEC;
	margin = 2 + e->half_life * 1e-6;
	for (int side = -1; side <= 1; side += 2)
	{
		double		guess = span + side * margin;
		TimestampTz middle;

		if (guess <= 0 || guess >= (double) END_TIMESTAMP ||
			pg_add_s64_overflow(e->newest, (int64) guess, &middle) ||
			middle <= warm || middle >= cool)
			continue;
		if (lf_engagement_points_at(e, middle) >= threshold)
			warm = middle;
		else
			cool = middle;
	}
	while ((uint64) cool - (uint64) warm > 1)
	{
		TimestampTz middle = warm + (int64) (((uint64) cool - (uint64) warm) / 2);

		if (lf_engagement_points_at(e, middle) >= threshold)
			warm = middle;
		else
			cool = middle;
	}

	PG_RETURN_TIMESTAMPTZ(cool);
}

/*
 * Comparison
 */

PG_FUNCTION_INFO_V1(engagement_eq);
Datum
engagement_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_engagement_cmp(PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1)) == 0);
}

PG_FUNCTION_INFO_V1(engagement_ne);
Datum
engagement_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_engagement_cmp(PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1)) != 0);
}

PG_FUNCTION_INFO_V1(engagement_lt);
Datum
engagement_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_engagement_cmp(PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1)) < 0);
}

PG_FUNCTION_INFO_V1(engagement_le);
Datum
engagement_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_engagement_cmp(PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1)) <= 0);
}

PG_FUNCTION_INFO_V1(engagement_gt);
Datum
engagement_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_engagement_cmp(PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1)) > 0);
}

PG_FUNCTION_INFO_V1(engagement_ge);
Datum
engagement_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lf_engagement_cmp(PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1)) >= 0);
}

PG_FUNCTION_INFO_V1(engagement_cmp);
Datum
engagement_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(lf_engagement_cmp(PG_GETARG_ENGAGEMENT_P(0), PG_GETARG_ENGAGEMENT_P(1)));
}

static int
engagement_fastcmp(Datum x, Datum y, SortSupport ssup)
{
	return lf_engagement_cmp(DatumGetEngagementP(x), DatumGetEngagementP(y));
}

PG_FUNCTION_INFO_V1(engagement_sortsupport);
Datum
engagement_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = engagement_fastcmp;
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(engagement_hash);
Datum
engagement_hash(PG_FUNCTION_ARGS)
{
	return hash_any((unsigned char *) PG_GETARG_ENGAGEMENT_P(0), sizeof(Engagement));
}

PG_FUNCTION_INFO_V1(engagement_hash_extended);
Datum
engagement_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended((unsigned char *) PG_GETARG_ENGAGEMENT_P(0), sizeof(Engagement), PG_GETARG_INT64(1));
}

PG_FUNCTION_INFO_V1(engagement_smaller);
Datum
engagement_smaller(PG_FUNCTION_ARGS)
{
	Engagement *a = PG_GETARG_ENGAGEMENT_P(0);
	Engagement *b = PG_GETARG_ENGAGEMENT_P(1);

	PG_RETURN_ENGAGEMENT_P(lf_engagement_cmp(a, b) <= 0 ? a : b);
}

PG_FUNCTION_INFO_V1(engagement_larger);
Datum
engagement_larger(PG_FUNCTION_ARGS)
{
	Engagement *a = PG_GETARG_ENGAGEMENT_P(0);
	Engagement *b = PG_GETARG_ENGAGEMENT_P(1);

	PG_RETURN_ENGAGEMENT_P(lf_engagement_cmp(a, b) >= 0 ? a : b);
}

/*
 * Aggregates
 *
 * Both keep an Accumulator, in the memory of the aggregate, NULL before the
 * first value.  There is no inverse function for moving windows: neither the
 * bits that a sum has lost to a larger one nor the second newest event can be
 * got back.
 */

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

static Accumulator *
new_accumulator(MemoryContext context, uint32 half_life, TimestampTz newest)
{
	Accumulator *acc = MemoryContextAllocZero(context, sizeof(Accumulator));

	acc->half_life = half_life;
	acc->newest = newest;
	return acc;
}

/*
 * advance adds a value to the state that is argument 0, or to a new one.
 */
static Datum
advance(FunctionCallInfo fcinfo, const Engagement *e)
{
	MemoryContext context = aggregate_context(fcinfo);
	Accumulator *acc;

	acc = PG_ARGISNULL(0) ? new_accumulator(context, e->half_life, e->newest) : (Accumulator *) PG_GETARG_POINTER(0);
	accumulate_engagement(acc, e, false);
	PG_RETURN_POINTER(acc);
}

/*
 * unchanged returns the state that is argument 0.
 */
static Datum
unchanged(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

PG_FUNCTION_INFO_V1(engagement_accum);
Datum
engagement_accum(PG_FUNCTION_ARGS)
{
	Engagement	event;

	if (!get_event(fcinfo, 1, &event))
		return unchanged(fcinfo);
	return advance(fcinfo, &event);
}

PG_FUNCTION_INFO_V1(engagement_sum);
Datum
engagement_sum(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		return unchanged(fcinfo);
	return advance(fcinfo, PG_GETARG_ENGAGEMENT_P(1));
}

PG_FUNCTION_INFO_V1(engagement_combine);
Datum
engagement_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	Accumulator *acc;
	Accumulator *other;

	if (PG_ARGISNULL(1))
		return unchanged(fcinfo);

	other = (Accumulator *) PG_GETARG_POINTER(1);
	acc = PG_ARGISNULL(0) ? new_accumulator(context, other->half_life, other->newest) : (Accumulator *) PG_GETARG_POINTER(0);
	check_half_lives(acc->half_life, other->half_life);
	acc->newest = Max(acc->newest, other->newest);
	accumulate(acc, other->sum, other->exponent);
	PG_RETURN_POINTER(acc);
}

PG_FUNCTION_INFO_V1(engagement_serialize);
Datum
engagement_serialize(PG_FUNCTION_ARGS)
{
	Accumulator *acc = (Accumulator *) PG_GETARG_POINTER(0);
	StringInfoData buf;

	(void) aggregate_context(fcinfo);
	pq_begintypsend(&buf);
	pq_sendint32(&buf, acc->half_life);
	pq_sendint64(&buf, acc->newest);
	pq_sendint64(&buf, acc->exponent);
	pq_sendint64(&buf, (int64) (acc->sum >> 64));
	pq_sendint64(&buf, (int64) acc->sum);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

PG_FUNCTION_INFO_V1(engagement_deserialize);
Datum
engagement_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData buf;
	Accumulator *acc;
	uint64		high,
				low;

	(void) aggregate_context(fcinfo);
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));

	acc = palloc0(sizeof(Accumulator));
	acc->half_life = (uint32) pq_getmsgint(&buf, 4);
	acc->newest = pq_getmsgint64(&buf);
	acc->exponent = pq_getmsgint64(&buf);
	high = (uint64) pq_getmsgint64(&buf);
	low = (uint64) pq_getmsgint64(&buf);
	acc->sum = (int128) (((uint128) high << 64) | low);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(acc);
}

PG_FUNCTION_INFO_V1(engagement_final);
Datum
engagement_final(PG_FUNCTION_ARGS)
{
	Engagement *result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	result = palloc(sizeof(Engagement));
	finish((Accumulator *) PG_GETARG_POINTER(0), result);
	PG_RETURN_ENGAGEMENT_P(result);
}
