/*-------------------------------------------------------------------------
 *
 * calendar.h
 *	  Days and times in the time zone of a funnel.
 *
 * IDENTIFICATION
 *	  src/calendar.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_CALENDAR_H
#define LEAD_FUNNEL_CALENDAR_H

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/date.h"

/* The day, in the time zone, that a moment belongs to. */
extern DateADT lf_local_day(TimestampTz moment, pg_tz *tz);

/* The moment at which a local time, or a day, stands in the time zone. */
extern TimestampTz lf_moment_of_timestamp(Timestamp local, pg_tz *tz);
extern TimestampTz lf_moment_of_day(DateADT day, pg_tz *tz);

/* The local time of a moment. */
extern Timestamp lf_local_timestamp(TimestampTz moment, pg_tz *tz);

#endif							/* LEAD_FUNNEL_CALENDAR_H */
