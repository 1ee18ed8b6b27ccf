/*-------------------------------------------------------------------------
 *
 * bant.c
 *	  BANT levels from what a CRM holds: amounts, roles, problems, dates.
 *
 * NOTES
 *	  Each bant_xxx() makes the level of one criterion, or NULL where nothing
 *	  is known; bant_evaluate() makes a qualification of all four.  None reads
 *	  a clock: the day as of which a date is judged is an argument.
 *
 *	  Data never raise an error, however wild they are, since a generated
 *	  column would keep such a row from being written.  Thresholds that make no
 *	  sense do: they are written once, by who wrote the query.
 *
 * IDENTIFICATION
 *	  src/bant.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "qualification.h"

/* Arguments by place; the functions of one criterion take a part of them. */
typedef struct BudgetArgs
{
	int			amount,
				price,
				validated_share,
				confirmed_share;
} BudgetArgs;

typedef struct AuthorityArgs
{
	int			role,
				roles;
} AuthorityArgs;

typedef struct NeedArgs
{
	int			problem,
				fits,
				impact,
				needed,
				min_impact;
} NeedArgs;

typedef struct TimelineArgs
{
	int			decision,
				as_of,
				horizon,
				near;
} TimelineArgs;

typedef struct RoleLevel
{
	const char *role;			/* as normalize() makes it */
	int			level;
} RoleLevel;

/* What the roles mean in the buying roles of CRMs and in job titles; sorted. */
static const RoleLevel shipped_roles[] = {
	{"abteilungsleiter", 2},
	{"abteilungsleiterin", 2},
	{"applicant", 0},
	{"apprentice", 0},
	{"auszubildende", 0},
	{"auszubildender", 0},
	{"azubi", 0},
	{"bereichsleiter", 2},
	{"bereichsleiterin", 2},
	{"bewerber", 0},
	{"bewerberin", 0},
	{"budget holder", 3},
	{"ceo", 3},
	{"cfo", 3},
	{"champion", 2},
	{"chief executive officer", 3},
	{"chief financial officer", 3},
	{"chief information officer", 3},
	{"chief marketing officer", 3},
	{"chief operating officer", 3},
	{"chief revenue officer", 3},
	{"chief technology officer", 3},
	{"cio", 3},
	{"cmo", 3},
	{"co founder", 3},
	{"co owner", 3},
	{"cofounder", 3},
	{"coo", 3},
	{"cro", 3},
	{"cto", 3},
	{"decision maker", 3},
	{"department head", 2},
	{"director", 2},
	{"economic buyer", 3},
	{"economic decision maker", 3},
	{"eigentuemer", 3},
	{"eigentuemerin", 3},
	{"einkaufsleiter", 2},
	{"einkaufsleiterin", 2},
	{"entscheider", 3},
	{"entscheiderin", 3},
	{"evaluator", 2},
	{"executive sponsor", 3},
	{"founder", 3},
	{"geschaeftsfuehrer", 3},
	{"geschaeftsfuehrerin", 3},
	{"geschaeftsleitung", 3},
	{"gruender", 3},
	{"gruenderin", 3},
	{"head of department", 2},
	{"influencer", 2},
	{"inhaber", 3},
	{"inhaberin", 3},
	{"intern", 0},
	{"job applicant", 0},
	{"k a", LF_LEVEL_NOT_ASKED},
	{"keine", 0},
	{"keine angabe", LF_LEVEL_NOT_ASKED},
	{"legal compliance", 2},
	{"manager", 2},
	{"managing director", 3},
	{"managing partner", 3},
	{"n a", LF_LEVEL_NOT_ASKED},
	{"no", 0},
	{"no authority", 0},
	{"no influence", 0},
	{"none", 0},
	{"owner", 3},
	{"praktikant", 0},
	{"praktikantin", 0},
	{"president", 3},
	{"prokurist", 3},
	{"prokuristin", 3},
	{"recommender", 2},
	{"student", 0},
	{"tbd", LF_LEVEL_NOT_ASKED},
	{"technical buyer", 2},
	{"trainee", 0},
	{"unbekannt", LF_LEVEL_NOT_ASKED},
	{"unknown", LF_LEVEL_NOT_ASKED},
	{"vice president", 2},
	{"vorstand", 3},
	{"vp", 2},
	{"werkstudent", 0},
	{"werkstudentin", 0},
};

/* threshold_error reports a threshold that makes no sense. */
lf_noreturn static void
threshold_error(const char *name, const char *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be %s", name, rule)));
}

/*
 * Budget
 */

/* numeric_sign returns -1, 0 or 1; NaN counts as positive, as it sorts. */
static int
sign_of(Numeric n)
{
	Datum		zero = NumericGetDatum(int64_to_numeric(0));

	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(n), zero));
}

/* numeric_arg returns NULL for an argument that is NULL or no number. */
static Numeric
numeric_arg(FunctionCallInfo fcinfo, int arg)
{
	Numeric		n;

	if (arg < 0 || PG_ARGISNULL(arg))
		return NULL;
	n = PG_GETARG_NUMERIC(arg);
	return numeric_is_nan(n) ? NULL : n;
}

/*
 * covers tells whether amount >= price * share; a share of NULL asks for more
 * than there is, and so does a product that is no numeric any more.
 */
static bool
covers(Numeric amount, Numeric price, Numeric share)
{
	Numeric		needed;
	bool		overflows = false;

	if (share == NULL)
		return false;
	needed = numeric_mul_opt_error(price, share, &overflows);
	return !overflows && DatumGetBool(DirectFunctionCall2(numeric_ge, NumericGetDatum(amount), NumericGetDatum(needed)));
}

/* share_arg returns a threshold that is a share of the price. */
static Numeric
share_arg(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		return NULL;
	/* NaN sorts above all numbers, so only the first test can see it */
	if (numeric_is_nan(PG_GETARG_NUMERIC(arg)) || sign_of(PG_GETARG_NUMERIC(arg)) <= 0)
		threshold_error(name, "greater than 0");
	return PG_GETARG_NUMERIC(arg);
}

static int
budget_level(FunctionCallInfo fcinfo, const BudgetArgs *args)
{
	Numeric		validated_share = share_arg(fcinfo, args->validated_share, "validated_share");
	Numeric		confirmed_share = share_arg(fcinfo, args->confirmed_share, "confirmed_share");
	Numeric		amount = numeric_arg(fcinfo, args->amount);
	Numeric		price = numeric_arg(fcinfo, args->price);

	if (amount == NULL)
		return LF_LEVEL_NOT_ASKED;
	if (sign_of(amount) <= 0)
		return LF_LEVEL_NO;
	/* what is for nothing, or less, has no price yet */
	if (price == NULL || sign_of(price) <= 0)
		return LF_LEVEL_IDENTIFIED;
	if (covers(amount, price, confirmed_share))
		return LF_LEVEL_CONFIRMED;
	if (covers(amount, price, validated_share))
		return LF_LEVEL_VALIDATED;
	return LF_LEVEL_IDENTIFIED;
}

/*
 * Authority
 */

/*
 * normalize writes what of a role is compared: letters and digits in lower
 * case, words parted by one blank.  In UTF-8, German umlauts are written out.
 * The result is at most as long as the input, and its length is returned.
 */
static int
normalize(const char *s, int len, char *to)
{
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;
	int			n = 0;
	bool		gap = false;

	for (int i = 0; i < len; i++)
	{
		unsigned char c = s[i];
		const char *written = NULL;

		if (!IS_HIGHBIT_SET(c) && !isalnum(c))
		{
			gap = n > 0;
			continue;
		}
		if (gap)
			to[n++] = ' ';
		gap = false;

		if (utf8 && c == 0xC3 && i + 1 < len)
		{
			switch ((unsigned char) s[i + 1])
			{
				case 0xA4:
				case 0x84:
					written = "ae";
					break;
				case 0xB6:
				case 0x96:
					written = "oe";
					break;
				case 0xBC:
				case 0x9C:
					written = "ue";
					break;
				case 0x9F:
					written = "ss";
					break;
			}
		}
		if (written)
		{
			to[n++] = written[0];
			to[n++] = written[1];
			i++;
		}
		else
			to[n++] = pg_ascii_tolower(c);
	}
	return n;
}

/* own_role looks a role up in an object of roles and levels. */
static bool
own_role(Jsonb *jb, const char *role, int len, int *level)
{
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken t;

	if (!JB_ROOT_IS_OBJECT(jb))
		threshold_error("roles", "a JSON object of roles and levels");

	it = JsonbIteratorInit(&jb->root);
	while ((t = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		JsonbValue	key = v;
		char	   *name;
		bool		same;

		if (t != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &v, true);
		name = palloc(key.val.string.len + 1);
		same = normalize(key.val.string.val, key.val.string.len, name) == len &&
			memcmp(name, role, len) == 0;
		pfree(name);
		if (!same)
			continue;
		if (!lf_level_from_jsonb(&v, level))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the level of role \"%.*s\" is none",
							key.val.string.len, key.val.string.val),
					 errhint("Levels are 0 to 3, or no, identified, validated, confirmed, or null for not asked.")));
		return true;
	}
	return false;
}

static int
authority_level(FunctionCallInfo fcinfo, const AuthorityArgs *args)
{
	text	   *t;
	char		buffer[128];
	char	   *role = buffer;
	int			len;
	int			level;
	int			low = 0;
	int			high = lengthof(shipped_roles) - 1;

	if (PG_ARGISNULL(args->role))
		return LF_LEVEL_NOT_ASKED;
	t = PG_GETARG_TEXT_PP(args->role);
	len = VARSIZE_ANY_EXHDR(t);
	if (len >= (int) sizeof(buffer))
		role = palloc(len + 1);
	len = normalize(VARDATA_ANY(t), len, role);
	role[len] = '\0';
	if (len == 0)
		return LF_LEVEL_NOT_ASKED;

	if (!PG_ARGISNULL(args->roles) &&
		own_role(PG_GETARG_JSONB_P(args->roles), role, len, &level))
		return level;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			order = strcmp(role, shipped_roles[middle].role);

		if (order == 0)
			return shipped_roles[middle].level;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}

	/* somebody whose say is not known */
	return LF_LEVEL_IDENTIFIED;
}

/*
 * Need
 */

/* bool_arg returns 1, 0, or -1 for NULL. */
static int
bool_arg(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? -1 : PG_GETARG_BOOL(arg);
}

static bool
has_words(FunctionCallInfo fcinfo, int arg)
{
	text	   *t;

	if (PG_ARGISNULL(arg))
		return false;
	t = PG_GETARG_TEXT_PP(arg);
	for (int i = 0; i < (int) VARSIZE_ANY_EXHDR(t); i++)
	{
		unsigned char c = VARDATA_ANY(t)[i];

		if (c > ' ' && c != 0x7F)
			return true;
	}
	return false;
}

static int
need_level(FunctionCallInfo fcinfo, const NeedArgs *args)
{
	Numeric		impact = numeric_arg(fcinfo, args->impact);
	Numeric		min_impact = numeric_arg(fcinfo, args->min_impact);
	int			fits = bool_arg(fcinfo, args->fits);
	int			needed = bool_arg(fcinfo, args->needed);

	if (!PG_ARGISNULL(args->min_impact) && (min_impact == NULL || sign_of(min_impact) < 0))
		threshold_error("min_impact", "0 or greater");

	if (needed == 0 || fits == 0)
		return LF_LEVEL_NO;
	if (impact && sign_of(impact) <= 0)
		impact = NULL;
	if (fits == 1)
	{
		if (impact && min_impact &&
			DatumGetBool(DirectFunctionCall2(numeric_ge, NumericGetDatum(impact), NumericGetDatum(min_impact))))
			return LF_LEVEL_CONFIRMED;
		return LF_LEVEL_VALIDATED;
	}
	if (needed == 1 || impact || has_words(fcinfo, args->problem))
		return LF_LEVEL_IDENTIFIED;
	return LF_LEVEL_NOT_ASKED;
}

/*
 * Timeline
 */

/*
 * days_until_end returns the number of days from a day to the last one that a
 * span reaches, counted as date + interval does: months first, where a day
 * that the month does not have becomes its last one.  A part of a day does not
 * reach the next midnight.  No date or span overflows here.
 */
static int64
days_until_end(DateADT from, const Interval *span)
{
	int64		total_days = span->day + span->time / USECS_PER_DAY;

	if (span->month != 0)
	{
		int			year;
		int			month;
		int			day;
		int64		total_months;
		int64		year_from;

		j2date(from + POSTGRES_EPOCH_JDATE, &year, &month, &day);
		year_from = year;
		total_months = month - 1 + (int64) span->month;

		/*
		 * The calendar repeats every 400 years of 146,097 days: stay within
		 * the years that date2j knows.
		 */
		total_days += total_months / 4800 * 146097;
		total_months %= 4800;
		year += total_months / 12;
		month = total_months % 12 + 1;
		if (year_from > 5800000)
		{
			total_days += 146097;
			year -= 400;
		}
		day = Min(day, day_tab[isleap(year)][month - 1]);
		total_days += (int64) date2j(year, month, day) - POSTGRES_EPOCH_JDATE - from;
	}
	return total_days;
}

/* span_arg returns a threshold that is a span of time. */
static Interval *
span_arg(FunctionCallInfo fcinfo, int arg, const char *name)
{
	Interval   *span;

	if (PG_ARGISNULL(arg))
		return NULL;
	span = PG_GETARG_INTERVAL_P(arg);
	if (span->month < 0 || span->day < 0 || span->time < 0)
		threshold_error(name, "0 or longer, in each of its parts");
	return span;
}

static int
timeline_level(FunctionCallInfo fcinfo, const TimelineArgs *args)
{
	Interval   *horizon = span_arg(fcinfo, args->horizon, "horizon");
	Interval   *near = span_arg(fcinfo, args->near, "near");
	DateADT		decision;
	DateADT		as_of;
	int64		wait;
	int64		far_end;

	if (PG_ARGISNULL(args->decision))
		return LF_LEVEL_NOT_ASKED;
	decision = PG_GETARG_DATEADT(args->decision);
	if (DATE_IS_NOEND(decision))
		return LF_LEVEL_NO;
	if (DATE_IS_NOBEGIN(decision) || PG_ARGISNULL(args->as_of))
		return LF_LEVEL_IDENTIFIED;
	as_of = PG_GETARG_DATEADT(args->as_of);
	if (DATE_NOT_FINITE(as_of) || decision < as_of)
		return LF_LEVEL_IDENTIFIED;

	/*
	 * without a horizon no date is too far, and only "near" can tell them
	 * apart
	 */
	wait = (int64) decision - as_of;
	far_end = horizon ? days_until_end(as_of, horizon) : PG_INT64_MAX;
	if (wait > far_end)
		return LF_LEVEL_IDENTIFIED;
	if (near ? wait <= days_until_end(as_of, near) : (horizon && wait <= far_end / 2))
		return LF_LEVEL_CONFIRMED;
	return LF_LEVEL_VALIDATED;
}

/*
 * SQL functions
 */

#define RETURN_LEVEL(level) \
	do { \
		int			level_ = (level); \
		if (level_ == LF_LEVEL_NOT_ASKED) \
			PG_RETURN_NULL(); \
		PG_RETURN_INT32(level_); \
	} while (0)

PG_FUNCTION_INFO_V1(bant_budget);
Datum
bant_budget(PG_FUNCTION_ARGS)
{
	static const BudgetArgs args = {0, 1, 2, 3};

	RETURN_LEVEL(budget_level(fcinfo, &args));
}

PG_FUNCTION_INFO_V1(bant_authority);
Datum
bant_authority(PG_FUNCTION_ARGS)
{
	static const AuthorityArgs args = {0, 1};

	RETURN_LEVEL(authority_level(fcinfo, &args));
}

PG_FUNCTION_INFO_V1(bant_need);
Datum
bant_need(PG_FUNCTION_ARGS)
{
	static const NeedArgs args = {0, 1, 2, 3, 4};

	RETURN_LEVEL(need_level(fcinfo, &args));
}

PG_FUNCTION_INFO_V1(bant_timeline);
Datum
bant_timeline(PG_FUNCTION_ARGS)
{
	static const TimelineArgs args = {0, 1, 2, 3};

	RETURN_LEVEL(timeline_level(fcinfo, &args));
}

/*
 * bant_evaluate takes the data of all four, then the thresholds.
 */
PG_FUNCTION_INFO_V1(bant_evaluate);
Datum
bant_evaluate(PG_FUNCTION_ARGS)
{
	static const BudgetArgs budget = {0, 1, 9, 10};
	static const AuthorityArgs authority = {2, 11};
	static const NeedArgs need = {3, 4, 5, 6, 12};
	static const TimelineArgs timeline = {7, 8, 13, 14};
	int			levels[LF_MAX_CRITERIA];

	levels[0] = budget_level(fcinfo, &budget);
	levels[1] = authority_level(fcinfo, &authority);
	levels[2] = need_level(fcinfo, &need);
	levels[3] = timeline_level(fcinfo, &timeline);

	PG_RETURN_QUALIFICATION(lf_qualification_make(LF_FRAMEWORK_BANT, levels));
}
