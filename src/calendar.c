/*-------------------------------------------------------------------------
 *
 * calendar.c
 *	  Days and times in the time zone of a funnel.
 *
 * NOTES
 *	  Statistics count by day.  The zone is the funnel's, whatever the
 *	  session's TimeZone is, so that two writers agree on the day of a move.
 *	  Finding the day of a moment walks the zone's rules; nearly all moves of a
 *	  session fall on the same day, so its bounds are remembered.
 *
 * IDENTIFICATION
 *	  src/calendar.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "calendar.h"

/*
 * The last answer holds for all moments of one aligned stretch in which no zone
 * changes its offset: a quarter of an hour divides the offsets and changes of
 * all zones since 1972.
 */
#define LF_STRETCH (15 * USECS_PER_MINUTE)

static pg_tz *last_tz = NULL;
static TimestampTz last_stretch;
static DateADT last_day;

static void
out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("timestamp out of range")));
}

DateADT
lf_local_day(TimestampTz moment, pg_tz *tz)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	TimestampTz stretch = moment - moment % LF_STRETCH;

	if (tz == last_tz && stretch == last_stretch && moment > 0)
		return last_day;
	if (timestamp2tm(moment, &offset, &tm, &fsec, NULL, tz) != 0)
		out_of_range();
	last_day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
	/* others are exact, too, but not remembered */
	last_tz = (moment > 0 && offset % (15 * SECS_PER_MINUTE) == 0) ? tz : NULL;
	last_stretch = stretch;
	return last_day;
}

TimestampTz
lf_moment_of_timestamp(Timestamp local, pg_tz *tz)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	TimestampTz result;

	if (TIMESTAMP_NOT_FINITE(local))
		return local;
	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
		out_of_range();
	offset = DetermineTimeZoneOffset(&tm, tz);
	if (tm2timestamp(&tm, fsec, &offset, &result) != 0)
		out_of_range();
	return result;
}

TimestampTz
lf_moment_of_day(DateADT day, pg_tz *tz)
{
	if (DATE_IS_NOBEGIN(day))
		return DT_NOBEGIN;
	if (DATE_IS_NOEND(day) || day >= (TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE))
		return DT_NOEND;
	return lf_moment_of_timestamp((Timestamp) day * USECS_PER_DAY, tz);
}

Timestamp
lf_local_timestamp(TimestampTz moment, pg_tz *tz)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	Timestamp	result = 0;

	if (timestamp2tm(moment, &offset, &tm, &fsec, NULL, tz) != 0 ||
		tm2timestamp(&tm, fsec, NULL, &result) != 0)
		out_of_range();
	return result;
}
