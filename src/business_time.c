/*-------------------------------------------------------------------------
 *
 * business_time.c
 *	  Working time: what a calendar's working hours and holidays leave.
 *
 * NOTES
 *	  A moment is working time if the clock on the wall, in the calendar's time
 *	  zone, shows working hours on a day that is no holiday.  Elapsed working
 *	  time is real time: an hour that the clock shows twice counts twice, one
 *	  that it skips does not exist.
 *
 *	  Between two changes of the zone's offset, real time is local time,
 *	  shifted.  In local time, what has been worked up to a moment is found by
 *	  arithmetic: whole weeks, the sum of the week's hours up to there, less the
 *	  sum of the holidays up to there.  So the working time up to a moment t is
 *
 *		F(t) = L(t + offset) + correction
 *
 *	  where L is that sum in local time, and the correction, which is constant
 *	  between two changes, joins the stretches.  business_elapsed() is a
 *	  difference of two F, business_add() goes back from F to t; each costs a
 *	  few binary searches, however far it goes.
 *
 *	  Zones repeat themselves every 400 years, which are whole weeks, once their
 *	  last rule is in force.  The table of changes ends when a whole period of
 *	  these has passed after the last holiday; later moments are taken back
 *	  into it.
 *
 *	  Calendars are read with a snapshot of now, as funnels are (funnel.c), and
 *	  kept until a trigger on their tables sends an invalidation.
 *
 * IDENTIFICATION
 *	  src/business_time.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "common/int.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "business_time.h"
#include "calendar.h"
#include "compat.h"

PG_FUNCTION_INFO_V1(lf_business_add_sql);
PG_FUNCTION_INFO_V1(lf_business_elapsed_sql);
PG_FUNCTION_INFO_V1(lf_business_add_days_sql);

/* Columns of our tables (sql/parts/46_business_time.sql). */
enum
{
	CALENDAR_CALENDAR = 1,
	CALENDAR_TIMEZONE,

	HOURS_CALENDAR = 1,
	HOURS_WEEKDAY,
	HOURS_FROM_TIME,
	HOURS_TO_TIME,

	HOLIDAY_CALENDAR = 1,
	HOLIDAY_DAY
};

#define LF_DAYS_OF_WEEK		7
#define LF_FIRST_MONDAY		2	/* 2000-01-03, in days since 2000-01-01 */
#define LF_PERIOD			(INT64CONST(146097) * USECS_PER_DAY)	/* 400 years */
#define LF_UNIX_TO_PG		((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* The table of changes covers what is worth computing without LF_PERIOD. */
#define LF_LAST_DAY_AT_LEAST	36525	/* 2100-01-01 */

/*
 * A sum over a line of local days that repeats itself weekly, but for
 * holidays: of hours, where a day has 86400000000 units, or of working days,
 * where it has one.
 */
typedef struct Measure
{
	int64		day;			/* units of a day */
	int64		week;
	int64		total;			/* of a week without holidays */
	int			nspans;
	int64	   *starts;			/* of the spans of a week, from Monday on */
	int64	   *sums;			/* of the spans before; one more than spans */
	int			nholidays;
	int64	   *holidays;		/* days, sorted */
	int64	   *lost;			/* to the holidays before; one more than those */
	int64	   *before;			/* measure up to each holiday */
} Measure;

/* A stretch of time in which the offset of the zone is the same. */
typedef struct Stretch
{
	TimestampTz start;
	int64		offset;			/* local time less UTC */
	int64		correction;
	int64		worked;			/* up to its start */
} Stretch;

struct Calendar
{
	char		name[NAMEDATALEN];	/* hash key */
	int			length;			/* of the name */
	bool		valid;
	MemoryContext cxt;			/* of what the fields point to */
	pg_tz	   *tz;
	bool		always;			/* every moment is working time */
	Measure		time;
	Measure		business_days;
	int			nstretches;
	Stretch    *stretches;
	TimestampTz end;			/* of the table */
	int64		worked;			/* up to the end */
	int64		worked_in_period;	/* in the last 400 years before it */
};

/* Hours of a weekday, while a calendar is compiled. */
typedef struct Hours
{
	int64		from;			/* in the week */
	int64		to;
} Hours;

static HTAB *calendars = NULL;

/* The tables that calendars are read from, once one has been. */
typedef enum CalendarTable
{
	LF_CALENDAR,
	LF_WORKING_HOURS,
	LF_HOLIDAY
} CalendarTable;

static const char *const table_names[] = {"calendar", "working_hours", "holiday"};
static Oid	table_relids[lengthof(table_names)];

/* ---------- measures ---------- */

/* Rounds down; the divisor is positive. */
static int64
floor_div(int64 a, int64 b)
{
	int64		result = a / b;

	return result * b > a ? result - 1 : result;
}

/* The number of values that are less than the limit, or equal, too. */
static int
count_below(const int64 *values, int count, int64 limit, bool or_equal)
{
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (values[middle] < limit || (or_equal && values[middle] == limit))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Up to a place on the line, as if there were no holidays. */
static int64
measure_weekly(const Measure *m, int64 place)
{
	int64		shifted = place - LF_FIRST_MONDAY * m->day;
	int64		week = floor_div(shifted, m->week);
	int64		in_week = shifted - week * m->week;
	int			i = count_below(m->starts, m->nspans, in_week, true);
	int64		sum = week * m->total;

	if (i > 0)
		sum += m->sums[i - 1] + Min(in_week - m->starts[i - 1], m->sums[i] - m->sums[i - 1]);
	return sum;
}

static int64
measure(const Measure *m, int64 place)
{
	int64		sum = measure_weekly(m, place);
	int64		day;
	int			i;

	if (m->nholidays == 0)
		return sum;
	day = floor_div(place, m->day);
	i = count_below(m->holidays, m->nholidays, day, false);
	if (i < m->nholidays && m->holidays[i] == day)
		sum = measure_weekly(m, day * m->day);
	return sum - m->lost[i];
}

/*
 * The way back: the first place up to which there is as much, or, if last, the
 * last one up to which there is no more, which is where the next span begins.
 * False if that is out of range.
 */
static bool
place_of(const Measure *m, int64 sum, bool last, int64 *place)
{
	int64		week;
	int64		rest;
	int			i;

	sum += m->lost[count_below(m->before, m->nholidays, sum, last)];
	week = floor_div(last ? sum : sum - 1, m->total);
	rest = sum - week * m->total;
	/* the span that the rest ends in, or begins in */
	i = count_below(m->sums, m->nspans, rest, last) - 1;
	return !pg_mul_s64_overflow(week, m->week, place) &&
		!pg_add_s64_overflow(*place, LF_FIRST_MONDAY * m->day + m->starts[i] + rest - m->sums[i], place);
}

/* ---------- working time ---------- */

static const Stretch *
stretch_at(const Calendar *calendar, TimestampTz moment)
{
	int			low = 0;
	int			high = calendar->nstretches - 1;

	while (low < high)
	{
		int			middle = (low + high + 1) / 2;

		if (calendar->stretches[middle].start <= moment)
			low = middle;
		else
			high = middle - 1;
	}
	return &calendar->stretches[low];
}

/* Working time up to a moment that the table covers. */
static int64
worked_in_table(const Calendar *calendar, TimestampTz moment)
{
	const Stretch *s = stretch_at(calendar, moment);

	return measure(&calendar->time, moment + s->offset) + s->correction;
}

/* Working time up to a moment. */
static int64
worked_up_to(const Calendar *calendar, TimestampTz moment)
{
	int64		periods;

	if (calendar->always)
		return moment;
	if (moment <= calendar->end)
		return worked_in_table(calendar, moment);
	periods = (moment - calendar->end + LF_PERIOD - 1) / LF_PERIOD;
	return worked_in_table(calendar, moment - periods * LF_PERIOD) + periods * calendar->worked_in_period;
}

/*
 * The first moment up to which so much has been worked, or, if last, the last
 * one up to which no more has, which is where work goes on.
 */
static bool
moment_of(const Calendar *calendar, int64 worked, bool last, TimestampTz *moment)
{
	int64		periods = 0;
	int64		skipped = 0;
	int			low = 0;
	int			high = calendar->nstretches - 1;

	if (calendar->always)
		*moment = worked;
	else
	{
		if (last ? worked >= calendar->worked : worked > calendar->worked)
		{
			int64		more;

			if (pg_sub_s64_overflow(worked, calendar->worked, &more))
				return false;
			periods = (last ? more : more - 1) / calendar->worked_in_period + 1;
			worked -= periods * calendar->worked_in_period;
			if (pg_mul_s64_overflow(periods, LF_PERIOD, &skipped))
				return false;
		}
		/* the last stretch that begins early enough */
		while (low < high)
		{
			int			middle = (low + high + 1) / 2;
			int64		at_start = calendar->stretches[middle].worked;

			if (at_start < worked || (last && at_start == worked))
				low = middle;
			else
				high = middle - 1;
		}
		if (!place_of(&calendar->time, worked - calendar->stretches[low].correction, last, moment) ||
			pg_sub_s64_overflow(*moment, calendar->stretches[low].offset, moment) ||
			pg_add_s64_overflow(*moment, skipped, moment))
			return false;
	}
	return IS_VALID_TIMESTAMP(*moment);
}

bool
lf_calendar_works(const Calendar *calendar)
{
	return calendar->time.total > 0;
}

bool
lf_business_add(const Calendar *calendar, TimestampTz moment, int64 usecs, TimestampTz *result)
{
	int64		worked;

	*result = moment;
	if (usecs == 0 || TIMESTAMP_NOT_FINITE(moment))
		return true;
	if (pg_add_s64_overflow(worked_up_to(calendar, moment), usecs, &worked))
		return false;
	return moment_of(calendar, worked, usecs < 0, result);
}

bool
lf_business_add_days(const Calendar *calendar, TimestampTz moment, int32 business_days,
					 TimestampTz *result)
{
	int64		worked;
	int64		local;
	int64		day;
	int64		time_of_day;

	*result = moment;
	if (TIMESTAMP_NOT_FINITE(moment))
		return true;

	/*
	 * outside of working time: where it goes on, or, backwards, where it
	 * ended
	 */
	worked = worked_up_to(calendar, moment);
	if (!moment_of(calendar, worked, true, result))
		return false;
	if (business_days == 0)
		return true;
	if (business_days < 0 && *result != moment)
	{
		if (!moment_of(calendar, worked, false, result))
			return false;
		local = lf_local_timestamp(*result, calendar->tz);
		/* midnight, as an end, belongs to the day that it ends */
		day = floor_div(local - 1, USECS_PER_DAY);
	}
	else
	{
		local = lf_local_timestamp(*result, calendar->tz);
		day = floor_div(local, USECS_PER_DAY);
	}
	time_of_day = local - day * USECS_PER_DAY;

	if (!place_of(&calendar->business_days, measure(&calendar->business_days, day) + business_days, true, &day) ||
		pg_mul_s64_overflow(day, USECS_PER_DAY, &local) ||
		pg_add_s64_overflow(local, time_of_day, &local) ||
		!IS_VALID_TIMESTAMP(local - USECS_PER_DAY) || !IS_VALID_TIMESTAMP(local + USECS_PER_DAY))
		return false;
	*result = lf_moment_of_timestamp(local, calendar->tz);
	return true;
}

/* ---------- compiling a calendar ---------- */

static void
forget_calendars(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	Calendar   *calendar;

	if (OidIsValid(relid) && relid != table_relids[LF_CALENDAR] &&
		relid != table_relids[LF_WORKING_HOURS] && relid != table_relids[LF_HOLIDAY])
		return;
	hash_seq_init(&status, calendars);
	while ((calendar = hash_seq_search(&status)) != NULL)
		calendar->valid = false;
}

/* Rows of one of our tables, whose first column is the calendar's name. */
typedef struct CalendarScan
{
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	row;
} CalendarScan;

static void
begin_scan(CalendarScan *s, CalendarTable table, const Calendar *calendar)
{
	table_relids[table] = get_relname_relid(table_names[table], get_namespace_oid("lead_funnel", false));
	s->rel = table_open(table_relids[table], AccessShareLock);
	s->snapshot = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(s->rel)));
	ScanKeyInit(&s->key, CALENDAR_CALENDAR, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(calendar->name));
	s->key.sk_collation = C_COLLATION_OID;
	s->scan = systable_beginscan(s->rel, InvalidOid, false, s->snapshot, 1, &s->key);
}

static bool
next_row(CalendarScan *s)
{
	s->row = systable_getnext(s->scan);
	return HeapTupleIsValid(s->row);
}

/* All columns that are asked for are NOT NULL. */
static Datum
column(const CalendarScan *s, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(s->row, attnum, RelationGetDescr(s->rel), &isnull);

	if (isnull)
		elog(ERROR, "column %d of table \"%s\" is null", attnum, RelationGetRelationName(s->rel));
	return value;
}

static void
end_scan(CalendarScan *s)
{
	systable_endscan(s->scan);
	UnregisterSnapshot(s->snapshot);
	table_close(s->rel, AccessShareLock);
}

static int
compare_hours(const void *a, const void *b)
{
	int64		x = ((const Hours *) a)->from;
	int64		y = ((const Hours *) b)->from;

	return x < y ? -1 : x > y;
}

static int
compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* Spans of the week, which do not overlap and are in order. */
static void
fill_measure(Measure *m, MemoryContext cxt, int64 day, const Hours *spans, int nspans)
{
	m->day = day;
	m->week = LF_DAYS_OF_WEEK * day;
	m->nspans = nspans;
	m->starts = MemoryContextAlloc(cxt, (nspans + 1) * sizeof(int64));
	m->sums = MemoryContextAlloc(cxt, (nspans + 1) * sizeof(int64));
	m->sums[0] = 0;
	for (int i = 0; i < nspans; i++)
	{
		m->starts[i] = spans[i].from;
		m->sums[i + 1] = m->sums[i] + spans[i].to - spans[i].from;
	}
	m->total = m->sums[nspans];
	m->nholidays = 0;
	m->lost = MemoryContextAllocZero(cxt, sizeof(int64));
}

static void
compile_hours(Calendar *calendar)
{
	CalendarScan s;
	Hours	   *hours = palloc(16 * sizeof(Hours));
	Hours		working_days[LF_DAYS_OF_WEEK];
	int			nhours = 0;
	int			room = 16;
	int			nspans = 0;
	int			ndays = 0;

	begin_scan(&s, LF_WORKING_HOURS, calendar);
	while (next_row(&s))
	{
		int64		midnight = (DatumGetInt16(column(&s, HOURS_WEEKDAY)) - 1) * USECS_PER_DAY;

		if (nhours == room)
		{
			room *= 2;
			hours = repalloc(hours, room * sizeof(Hours));
		}
		hours[nhours].from = midnight + DatumGetTimeADT(column(&s, HOURS_FROM_TIME));
		hours[nhours].to = midnight + DatumGetTimeADT(column(&s, HOURS_TO_TIME));
		nhours++;
	}
	end_scan(&s);

	qsort(hours, nhours, sizeof(Hours), compare_hours);
	for (int i = 0; i < nhours; i++)
	{
		int64		day = hours[i].from / USECS_PER_DAY;

		if (ndays == 0 || working_days[ndays - 1].from != day)
		{
			working_days[ndays].from = day;
			working_days[ndays++].to = day + 1;
		}
		if (nspans > 0 && hours[i].from <= hours[nspans - 1].to)
			hours[nspans - 1].to = Max(hours[nspans - 1].to, hours[i].to);
		else
			hours[nspans++] = hours[i];
	}
	fill_measure(&calendar->time, calendar->cxt, USECS_PER_DAY, hours, nspans);
	fill_measure(&calendar->business_days, calendar->cxt, 1, working_days, ndays);
}

/* Days that are no working days, whatever their weekday. */
typedef struct DayList
{
	int64	   *days;
	int			count;
	int			room;
} DayList;

static void
add_day(DayList *list, int64 day)
{
	if (list->count == list->room)
	{
		list->room *= 2;
		list->days = repalloc(list->days, list->room * sizeof(int64));
	}
	list->days[list->count++] = day;
}

/* Sorts the days and takes them out of the measure. */
static void
take_out(Measure *m, MemoryContext cxt, const DayList *list)
{
	int			nholidays = list->count;
	int64	   *holidays = MemoryContextAlloc(cxt, (nholidays + 1) * sizeof(int64));

	memcpy(holidays, list->days, nholidays * sizeof(int64));
	qsort(holidays, nholidays, sizeof(int64), compare_int64);
	m->holidays = holidays;
	m->lost = MemoryContextAlloc(cxt, (nholidays + 1) * sizeof(int64));
	m->before = MemoryContextAlloc(cxt, (nholidays + 1) * sizeof(int64));
	m->lost[0] = 0;
	for (int i = 0; i < nholidays; i++)
	{
		int64		start = measure_weekly(m, holidays[i] * m->day);

		m->before[i] = start - m->lost[i];
		m->lost[i + 1] = m->lost[i] + measure_weekly(m, (holidays[i] + 1) * m->day) - start;
	}
	m->nholidays = nholidays;
}

/* Returns the last holiday, or a day that is late enough. */
static int64
compile_holidays(Calendar *calendar, DayList *holidays)
{
	CalendarScan s;
	int64		last_day = LF_LAST_DAY_AT_LEAST;

	begin_scan(&s, LF_HOLIDAY, calendar);
	while (next_row(&s))
	{
		int64		day = DatumGetDateADT(column(&s, HOLIDAY_DAY));

		add_day(holidays, day);
		last_day = Max(last_day, day);
	}
	end_scan(&s);
	take_out(&calendar->time, calendar->cxt, holidays);
	calendar->always = holidays->count == 0 && calendar->time.total == calendar->time.week;
	return last_day;
}

static int64
offset_at(pg_time_t t, pg_tz *tz)
{
	return pg_localtime(&t, tz)->tm_gmtoff * USECS_PER_SEC;
}

/*
 * Adds the stretch that begins at a moment; the first one begins with time.  A
 * day that the clock skips altogether is added to the days that are none.
 */
static void
add_stretch(Calendar *calendar, int *room, TimestampTz start, int64 offset, DayList *skipped)
{
	Stretch    *s;

	if (calendar->nstretches == *room)
	{
		*room *= 2;
		calendar->stretches = repalloc(calendar->stretches, *room * sizeof(Stretch));
	}
	s = &calendar->stretches[calendar->nstretches];
	s->start = start;
	s->offset = offset;
	if (calendar->nstretches == 0)
	{
		s->worked = PG_INT64_MIN;
		s->correction = 0;
	}
	else
	{
		s->worked = measure(&calendar->time, start + s[-1].offset) + s[-1].correction;
		s->correction = s->worked - measure(&calendar->time, start + offset);
		for (int64 day = floor_div(start + s[-1].offset - 1, USECS_PER_DAY) + 1;
			 (day + 1) * USECS_PER_DAY <= start + offset; day++)
			add_day(skipped, day);
	}
	calendar->nstretches++;
}

static void
compile_stretches(Calendar *calendar, int64 last_day, DayList *skipped)
{
	int			room = 256;
	pg_time_t	t = MIN_TIMESTAMP / USECS_PER_SEC + LF_UNIX_TO_PG;
	pg_time_t	last;

	/* more than a day later, since local days are not those of UTC */
	calendar->end = (last_day + 2) * USECS_PER_DAY + LF_PERIOD;
	last = calendar->end / USECS_PER_SEC + LF_UNIX_TO_PG;

	calendar->stretches = MemoryContextAlloc(calendar->cxt, room * sizeof(Stretch));
	calendar->nstretches = 0;
	add_stretch(calendar, &room, PG_INT64_MIN, offset_at(t, calendar->tz), skipped);
	for (;;)
	{
		long		before;
		long		after;
		int			before_isdst;
		int			after_isdst;
		pg_time_t	boundary;
		int64		offset;

		if (pg_next_dst_boundary(&t, &before, &before_isdst, &boundary,
								 &after, &after_isdst, calendar->tz) <= 0 || boundary > last)
			break;

		/*
		 * what timestamps are shown with; a change may be one of the name
		 * only
		 */
		offset = offset_at(boundary, calendar->tz);
		if (offset != calendar->stretches[calendar->nstretches - 1].offset)
			add_stretch(calendar, &room, (boundary - LF_UNIX_TO_PG) * USECS_PER_SEC, offset, skipped);

		/*
		 * at its last change itself, the zone would seem to have no further
		 * one
		 */
		t = boundary + 1;
	}
	calendar->worked = worked_in_table(calendar, calendar->end);
	calendar->worked_in_period = calendar->worked - worked_in_table(calendar, calendar->end - LF_PERIOD);
}

/* Fills the entry; false if there is no such calendar. */
static bool
compile(Calendar *calendar)
{
	CalendarScan s;
	char	   *zone = NULL;
	int64		last_day;
	DayList		days_off = {.room = 64};

	begin_scan(&s, LF_CALENDAR, calendar);
	if (next_row(&s))
		zone = TextDatumGetCString(column(&s, CALENDAR_TIMEZONE));
	end_scan(&s);
	if (zone == NULL)
		return false;

	calendar->tz = pg_tzset(zone);
	if (calendar->tz == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" of calendar \"%s\" is not known to this server", zone, calendar->name),
				 errhint("Name another with lead_funnel.alter_calendar(..., timezone => ...).")));
	if (calendar->cxt == NULL)
		calendar->cxt = AllocSetContextCreate(CacheMemoryContext, "lead_funnel calendar",
											  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(calendar->cxt);
	days_off.days = palloc(days_off.room * sizeof(int64));
	compile_hours(calendar);
	last_day = compile_holidays(calendar, &days_off);
	compile_stretches(calendar, last_day, &days_off);
	take_out(&calendar->business_days, calendar->cxt, &days_off);
	return true;
}

static void
init_calendars(void)
{
	HASHCTL		ctl;

	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(Calendar);
	ctl.hcxt = AllocSetContextCreate(CacheMemoryContext, "lead_funnel calendars",
									 ALLOCSET_SMALL_SIZES);
	calendars = hash_create("lead_funnel calendars", 16, &ctl,
							HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_calendars, (Datum) 0);
}

/* Makes the entry valid; false if there is no such calendar. */
static bool
refresh(Calendar *calendar)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel compile",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(scratch);
	bool		exists;

	/* set first: an invalidation that arrives meanwhile must win */
	calendar->valid = true;
	PG_TRY();
	{
		exists = compile(calendar);
	}
	PG_CATCH();
	{
		calendar->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(scratch);
	if (!exists)
		calendar->valid = false;
	return exists;
}

Calendar *
lf_calendar_lookup(const char *name, int length)
{
	char		key[NAMEDATALEN];
	Calendar   *calendar = NULL;
	bool		found = false;

	if (calendars == NULL)
		init_calendars();
	if (length < NAMEDATALEN)
	{
		memcpy(key, name, length);
		key[length] = '\0';
		calendar = hash_search(calendars, key, HASH_ENTER, &found);
		if (!found)
		{
			memset((char *) calendar + NAMEDATALEN, 0, sizeof(Calendar) - NAMEDATALEN);
			calendar->length = length;
		}
		if (calendar->valid || refresh(calendar))
			return calendar;
		/* names that are none are not kept */
		if (!found)
			hash_search(calendars, key, HASH_REMOVE, NULL);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("calendar \"%s\" does not exist", pnstrdup(name, length)),
			 errhint("See lead_funnel.calendars for those that do, or make one with lead_funnel.create_calendar().")));
	return NULL;
}

/* ---------- functions ---------- */

/*
 * The calendar that an argument names, remembered by the call: most queries
 * name one.
 */
static Calendar *
calendar_argument(FunctionCallInfo fcinfo, int argument)
{
	text	   *name = PG_GETARG_TEXT_PP(argument);
	Calendar   *calendar = fcinfo->flinfo->fn_extra;

	/* a statement that locks no table has not heard of changes yet */
	if (calendar == NULL)
		AcceptInvalidationMessages();
	if (calendar == NULL || !calendar->valid || calendar->length != (int) VARSIZE_ANY_EXHDR(name) ||
		memcmp(calendar->name, VARDATA_ANY(name), calendar->length) != 0)
	{
		calendar = lf_calendar_lookup(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		fcinfo->flinfo->fn_extra = calendar;
	}
	if (!lf_calendar_works(calendar))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("calendar \"%s\" has no working time", calendar->name),
				 errhint("Give it some with lead_funnel.set_working_hours().")));
	return calendar;
}

static void
result_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("timestamp out of range")));
}

/* lead_funnel.business_add(ts, d, calendar) */
Datum
lf_business_add_sql(PG_FUNCTION_ARGS)
{
	TimestampTz moment = PG_GETARG_TIMESTAMPTZ(0);
	Interval   *d = PG_GETARG_INTERVAL_P(1);
	Calendar   *calendar = calendar_argument(fcinfo, 2);

	if (d->month != 0 || d->day != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("working time cannot be given in days or months"),
				 errdetail("A day of 24 hours and a working day are not the same, and the interval does not say which one it means."),
				 errhint("Give hours, or call lead_funnel.business_add_days() with a number of business_days.")));
	if (!lf_business_add(calendar, moment, d->time, &moment))
		result_out_of_range();
	PG_RETURN_TIMESTAMPTZ(moment);
}

/* lead_funnel.business_add_days(ts, business_days, calendar) */
Datum
lf_business_add_days_sql(PG_FUNCTION_ARGS)
{
	TimestampTz moment = PG_GETARG_TIMESTAMPTZ(0);

	if (!lf_business_add_days(calendar_argument(fcinfo, 2), moment, PG_GETARG_INT32(1), &moment))
		result_out_of_range();
	PG_RETURN_TIMESTAMPTZ(moment);
}

/* lead_funnel.business_elapsed(from_ts, to_ts, calendar) */
Datum
lf_business_elapsed_sql(PG_FUNCTION_ARGS)
{
	TimestampTz from = PG_GETARG_TIMESTAMPTZ(0);
	TimestampTz to = PG_GETARG_TIMESTAMPTZ(1);
	Calendar   *calendar = calendar_argument(fcinfo, 2);
	Interval   *result = palloc0(sizeof(Interval));

	if (TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("working time from or to infinity is not finite"),
				 errhint("Give two dates.")));
	if (pg_sub_s64_overflow(worked_up_to(calendar, to), worked_up_to(calendar, from), &result->time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("interval out of range")));
	PG_RETURN_INTERVAL_P(result);
}
