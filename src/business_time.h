/*-------------------------------------------------------------------------
 *
 * business_time.h
 *	  Working time: what a calendar's working hours and holidays leave.
 *
 * IDENTIFICATION
 *	  src/business_time.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_BUSINESS_TIME_H
#define LEAD_FUNNEL_BUSINESS_TIME_H

#include "datatype/timestamp.h"

typedef struct Calendar Calendar;

/*
 * An error if there is none.  The result lives as long as the backend; its
 * fields may change at the next call.
 */
extern Calendar *lf_calendar_lookup(const char *name, int length);

/* Whether it has any working time at all; the functions below need that. */
extern bool lf_calendar_works(const Calendar *calendar);

/* The moment that is so much working time away; false if out of range. */
extern bool lf_business_add(const Calendar *calendar, TimestampTz moment, int64 usecs,
							TimestampTz *result);

/* The same local time so many working days away; false if out of range. */
extern bool lf_business_add_days(const Calendar *calendar, TimestampTz moment, int32 days,
								 TimestampTz *result);

#endif							/* LEAD_FUNNEL_BUSINESS_TIME_H */
