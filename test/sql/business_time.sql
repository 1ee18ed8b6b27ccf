-- business_time: calendars, and counting in their working hours

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE SCHEMA bt;
SET search_path = bt, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- short names: local time in, local time out
CREATE FUNCTION add_to(local timestamp, d interval, cal text) RETURNS timestamp LANGUAGE sql STABLE AS
$$ SELECT lead_funnel.business_add(local AT TIME ZONE c.timezone, d, cal) AT TIME ZONE c.timezone FROM lead_funnel.calendars c WHERE c.calendar = cal $$;
CREATE FUNCTION add_days(local timestamp, n int, cal text) RETURNS timestamp LANGUAGE sql STABLE AS
$$ SELECT lead_funnel.business_add_days(local AT TIME ZONE c.timezone, n, cal) AT TIME ZONE c.timezone FROM lead_funnel.calendars c WHERE c.calendar = cal $$;
CREATE FUNCTION elapsed(a timestamp, b timestamp, cal text) RETURNS interval LANGUAGE sql STABLE AS
$$ SELECT lead_funnel.business_elapsed(a AT TIME ZONE c.timezone, b AT TIME ZONE c.timezone, cal) FROM lead_funnel.calendars c WHERE c.calendar = cal $$;

-- a week from 9 to 17
SELECT lead_funnel.create_calendar('bt office', 'Europe/Berlin', note => 'Berlin');
SELECT lead_funnel.business_add(now(), '1 hour', 'bt office');
SELECT lead_funnel.set_working_hours('bt office', '{1,2,3,4,5}', '9:00', '17:00');
SELECT calendar, timezone, monday, friday, saturday, holidays, note FROM lead_funnel.calendars WHERE calendar IN ('bt office', '24x7') ORDER BY 1;
-- on Saturday at 15:00, an hour: Monday at 10:00
SELECT add_to('2026-11-28 15:00', '1 hour', 'bt office');
-- to the end of a day, over it; nothing; back, to the beginning of a day, over it; 20 weeks
SELECT d, add_to('2026-11-27 16:00', d, 'bt office')
FROM unnest('{0:00,1:00,1:00:00.000001,9:00,-7:00,-7:00:00.000001,-8:00,40:00,-40:00,800:00}'::interval[]) d;
SELECT d, add_to('2026-11-28 15:00', d, 'bt office') FROM unnest('{0:00,0:00:00.000001,8:00,-0:00:00.000001,-8:00}'::interval[]) d;
-- half-open: 9:00 is working time, 17:00 is not
SELECT elapsed('2026-11-27 17:00', '2026-11-30 09:00', 'bt office'), elapsed('2026-11-27 16:59:59.999999', '2026-11-30 09:00:00.000001', 'bt office'),
       elapsed('2026-11-30 12:00', '2026-11-27 12:00', 'bt office'), elapsed('2026-11-28 12:00', '2026-11-28 12:00', 'bt office');
-- years
SELECT elapsed('2006-11-27 12:00', '2026-11-27 12:00', 'bt office') AS twenty_years, add_to('2006-11-27 12:00', '41736:00', 'bt office') AS later,
       elapsed('1026-11-27 12:00', '9026-11-27 12:00', 'bt office') AS long;
-- working days: the same local time; from outside working time on, that at which work goes on, or, backwards, ended
SELECT n, add_days('2026-11-25 15:00', n, 'bt office') AS wednesday, add_days('2026-11-27 18:00', n, 'bt office') AS friday_evening,
       add_days('2026-11-28 15:00', n, 'bt office') AS saturday, add_days('2026-11-30 09:00', n, 'bt office') AS monday_morning
FROM unnest('{0,1,2,3,5,260,-1,-3,-5}'::int[]) n;

-- holidays: on a weekday, on a weekend, in a row
SELECT lead_funnel.add_holiday('bt office', d, n) FROM (VALUES (date '2026-12-25', 'Christmas'), ('2026-12-26', NULL), ('2027-01-01', 'New Year'), ('2026-12-24', NULL)) v (d, n);
SELECT * FROM lead_funnel.calendar_holidays WHERE calendar = 'bt office' ORDER BY day;
SELECT d, add_to('2026-12-23 16:00', d, 'bt office') FROM unnest('{1:00,1:00:01,2:00,9:00,33:00,34:00}'::interval[]) d;
SELECT d, add_to('2026-12-25 12:00', d, 'bt office') FROM unnest('{1:00,-1:00,8:00,-8:00,-9:00}'::interval[]) d;
SELECT elapsed('2026-12-24 00:00', '2026-12-28 09:00', 'bt office'), elapsed('2026-12-23 16:00', '2026-12-28 10:00', 'bt office'),
       elapsed('2026-12-25 10:00', '2026-12-25 12:00', 'bt office'), elapsed('2026-11-25 00:00', '2027-01-25 00:00', 'bt office');
SELECT add_days('2026-12-23 11:00', 1, 'bt office'), add_days('2026-12-24 11:00', 1, 'bt office'), add_days('2026-12-28 11:00', -1, 'bt office'),
       add_days('2026-12-31 11:00', 1, 'bt office');
SELECT lead_funnel.add_holiday('bt office', '2026-12-26', 'Boxing Day');
SELECT lead_funnel.remove_holiday('bt office', '2026-12-24'), lead_funnel.remove_holiday('bt office', '2026-12-23');
SELECT day, note FROM lead_funnel.calendar_holidays WHERE calendar = 'bt office' ORDER BY day;
SELECT add_to('2026-12-23 16:00', '2:00', 'bt office');

-- several spans a day; a change shows in the next statement, and not after a rollback
SELECT lead_funnel.set_working_hours('bt office', '{2,1,2}', '13:00', '17:00:30', '9:00', '12:30', '17:00:30', '18:00');
SELECT monday, tuesday, wednesday FROM lead_funnel.calendars WHERE calendar = 'bt office';
SELECT d, add_to('2026-11-30 12:00', d, 'bt office') FROM unnest('{0:30,0:31,5:30,5:31,-3:00,-3:01}'::interval[]) d;
SELECT add_days('2026-11-30 12:45', 1, 'bt office'), add_days('2026-11-30 12:45', -1, 'bt office'), add_days('2026-12-01 12:45', 1, 'bt office');
BEGIN;
SELECT lead_funnel.set_working_hours('bt office', '{1}'), lead_funnel.alter_calendar('bt office', timezone => 'America/New_York');
SELECT monday, timezone, lead_funnel.business_elapsed('2026-11-30 00:00', '2026-12-01 21:00', 'bt office') FROM lead_funnel.calendars WHERE calendar = 'bt office';
ROLLBACK;
SELECT monday, timezone, lead_funnel.business_elapsed('2026-11-30 00:00', '2026-12-01 21:00', 'bt office') FROM lead_funnel.calendars WHERE calendar = 'bt office';

-- all the time: the same as arithmetic, across changes of the clock
SELECT lead_funnel.business_add('2026-03-28 12:00', '48:00', '24x7'), lead_funnel.business_elapsed('1999-12-31 23:59:59.5', '2026-03-28 12:00', '24x7'),
       lead_funnel.business_add_days('2026-03-28 12:00', 2, '24x7');
SELECT lead_funnel.create_calendar('bt always', 'Europe/Berlin');
SELECT lead_funnel.set_working_hours('bt always', '{1,2,3,4,5,6,7}', '0:00', '24:00');
SELECT add_to('2026-03-28 12:00', '24:00', 'bt always'), add_to('2026-10-24 12:00', '24:00', 'bt always'), add_to('2026-10-24 12:00', '-24:00', 'bt always'),
       elapsed('2026-03-28 12:00', '2026-03-29 12:00', 'bt always'), elapsed('2026-10-24 12:00', '2026-10-25 12:00', 'bt always'),
       add_days('2026-10-24 12:00', 1, 'bt always');
-- ... but for one day
SELECT lead_funnel.add_holiday('bt always', '2026-10-25');
SELECT add_to('2026-10-24 12:00', '24:00', 'bt always'), elapsed('2026-10-24 12:00', '2026-10-26 12:00', 'bt always'),
       lead_funnel.business_elapsed('-infinity'::timestamptz, now(), 'bt always');

-- Changes of the clock. Shifts from 22:00 to 06:00 are two spans. The hour that is skipped does not exist, that which comes
-- twice counts twice: 7 hours on the night of March 29, 9 on that of October 25.
SELECT lead_funnel.create_calendar(name, zone) FROM (VALUES ('bt night', 'Europe/Berlin'), ('bt ny', 'America/New_York'), ('bt howe', 'Australia/Lord_Howe'), ('bt apia', 'Pacific/Apia')) v (name, zone);
SELECT lead_funnel.set_working_hours(name, '{1,2,3,4,5,6,7}', '0:00', '6:00', '22:00', '24:00') FROM (VALUES ('bt night'), ('bt ny'), ('bt howe')) v (name);
SELECT cal, elapsed(evening, evening + interval '8 hours', cal) AS night, add_to(evening, '7 hours', cal) AS after_7, add_to(evening, '9 hours', cal) AS after_9,
       lead_funnel.business_add((evening + interval '8 hours') AT TIME ZONE zone, '-7 hours', cal) AS back_7
FROM (VALUES ('bt night', 'Europe/Berlin', timestamp '2026-03-28 22:00'), ('bt night', 'Europe/Berlin', '2026-10-24 22:00'), ('bt night', 'Europe/Berlin', '2026-06-06 22:00'),
             ('bt ny', 'America/New_York', '2026-03-07 22:00'), ('bt ny', 'America/New_York', '2026-10-31 22:00'),
             ('bt howe', 'Australia/Lord_Howe', '2026-04-04 22:00'), ('bt howe', 'Australia/Lord_Howe', '2026-10-03 22:00')) v (cal, zone, evening);
-- a span that lies wholly in the hour that is skipped, or comes twice
SELECT lead_funnel.set_working_hours('bt night', '{1,2,3,4,5,6,7}', '2:15', '2:45');
SELECT elapsed('2026-03-28 12:00', '2026-03-30 12:00', 'bt night'), elapsed('2026-10-24 12:00', '2026-10-26 12:00', 'bt night');
SELECT d, lead_funnel.business_add('2026-10-24 22:00+00', d, 'bt night') FROM unnest('{0:15,0:30,0:30:01,0:45,1:00,1:01,-0:30,-0:31}'::interval[]) d;
SELECT d, lead_funnel.business_add('2026-03-28 12:00+00', d, 'bt night') FROM unnest('{0:00:01,0:30,0:30:01,-0:00:01}'::interval[]) d;
SELECT add_days('2026-03-28 02:30', 1, 'bt night'), add_days('2026-10-24 02:30', 1, 'bt night'), lead_funnel.business_add_days('2026-10-24 00:30+00', 1, 'bt night');
-- Samoa had no December 30 in 2011
SELECT lead_funnel.set_working_hours('bt apia', '{1,2,3,4,5}', '9:00', '17:00');
SELECT add_to('2011-12-29 12:00', d, 'bt apia') FROM unnest('{5:00,6:00,13:00,14:00}'::interval[]) d;
SELECT elapsed('2011-12-29 12:00', '2012-01-02 12:00', 'bt apia'), add_days('2011-12-28 12:00', 1, 'bt apia'), add_days('2011-12-29 12:00', 1, 'bt apia');

-- the ends of time
SELECT lead_funnel.business_add('infinity', '1 hour', 'bt office'), lead_funnel.business_add('-infinity', '-1 hour', 'bt office'), lead_funnel.business_add_days('infinity', 1, 'bt office');
SELECT lead_funnel.business_elapsed(now(), 'infinity', 'bt office');
SELECT lead_funnel.business_elapsed('4713-01-01 BC', '294276-12-31', '24x7');
SELECT lead_funnel.business_elapsed('4713-01-01 BC', '294276-12-31', 'bt office');
SELECT lead_funnel.business_add('4713-01-01 BC', '623888000:00', 'bt office');
SELECT lead_funnel.business_add('294276-12-30', '100 hours', 'bt office');
SELECT lead_funnel.business_add('4713-01-02 BC', '-100 hours', 'bt office');
SELECT lead_funnel.business_add(now(), '2562047788 hours', 'bt office');
SELECT lead_funnel.business_add(now(), '-2562047788 hours', 'bt office');
SELECT lead_funnel.business_add_days(now(), 2147483647, 'bt office');
SELECT lead_funnel.business_add_days(now(), -2147483648, 'bt office');
SELECT lead_funnel.business_add(NULL, '1 hour', 'bt office'), lead_funnel.business_add(now(), NULL, 'bt office'), lead_funnel.business_elapsed(now(), now(), NULL);

-- errors
\set VERBOSITY default
SELECT lead_funnel.business_add(now(), '1 day', 'bt office');
SELECT lead_funnel.business_add(now(), '1 month -1 hour', 'bt office');
SELECT lead_funnel.business_add(now(), '1 hour', 'bt none');
SELECT lead_funnel.business_add(now(), '1 hour', repeat('x', 100));
SELECT lead_funnel.create_calendar('24x7', 'UTC');
SELECT lead_funnel.create_calendar('', 'UTC');
SELECT lead_funnel.create_calendar(repeat('x', 64), 'UTC');
SELECT lead_funnel.create_calendar('bt x', NULL);
SELECT lead_funnel.create_calendar('bt x', 'CET');
SELECT lead_funnel.create_calendar('bt x', 'Berlin');
SELECT lead_funnel.create_calendar('bt x', 'UTC', owner => 'regress_bt_nobody');
SELECT lead_funnel.alter_calendar('24x7', timezone => 'Europe/Berlin');
SELECT lead_funnel.add_holiday('24x7', '2026-12-25');
SELECT lead_funnel.drop_calendar('24x7');
SELECT lead_funnel.drop_calendar('bt none');
SELECT lead_funnel.drop_calendar(NULL);
SELECT lead_funnel.add_holiday('bt office', d) FROM unnest('{infinity}'::date[]) d;
SELECT lead_funnel.add_holiday('bt office', NULL);
SELECT lead_funnel.add_holiday('bt office', '3000-01-01');
SELECT lead_funnel.set_working_hours('bt office', '{0,1}', '9:00', '17:00');
SELECT lead_funnel.set_working_hours('bt office', '{1,NULL}', '9:00', '17:00');
SELECT lead_funnel.set_working_hours('bt office', '{}', '9:00', '17:00');
SELECT lead_funnel.set_working_hours('bt office', '{1}', '9:00', '12:00', '13:00');
SELECT lead_funnel.set_working_hours('bt office', '{1}', '9:00', NULL);
SELECT lead_funnel.set_working_hours('bt office', '{1}', '22:00', '6:00');
SELECT lead_funnel.set_working_hours('bt office', '{1}', '9:00', '9:00');
SELECT lead_funnel.set_working_hours('bt office', '{1}', '13:00', '17:00', '9:00', '13:01');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT lead_funnel.drop_calendar('bt office');
ROLLBACK;
\set VERBOSITY terse

-- what is dropped is gone, also for those who know it
SELECT lead_funnel.drop_calendar('bt always');
SELECT lead_funnel.business_add(now(), '1 hour', 'bt always');
SELECT count(*) FROM lead_funnel.working_hours WHERE calendar = 'bt always';

-- rights: made by owners of lead tables, changed by the role that they belong to
CREATE ROLE regress_bt_owner;
CREATE ROLE regress_bt_hr;
CREATE ROLE regress_bt_else;
CREATE ROLE regress_bt_clerk IN ROLE regress_bt_hr;
CREATE SCHEMA bt_owner AUTHORIZATION regress_bt_owner;
SET ROLE regress_bt_owner;
SELECT lead_funnel.create_calendar('bt mine', 'UTC');
CREATE TABLE bt_owner.leads (id int PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach('bt_owner.leads', 'stage', 'bt');
SELECT lead_funnel.create_calendar('bt mine', 'UTC');
SELECT lead_funnel.create_calendar('bt hr', 'UTC', owner => 'regress_bt_hr');
SELECT lead_funnel.set_working_hours('bt mine', '{1}', '9:00', '10:00');
SELECT lead_funnel.alter_calendar('bt mine', owner => 'regress_bt_hr');
SELECT lead_funnel.add_holiday('bt office', '2026-12-31');
SET ROLE regress_bt_else;
SELECT lead_funnel.set_working_hours('bt mine', '{1}');
SELECT lead_funnel.drop_calendar('bt mine');
SELECT count(*) FROM lead_funnel.calendars;
SELECT lead_funnel.business_elapsed('2026-11-30', '2026-12-01', 'bt mine');
RESET ROLE;
SELECT lead_funnel.alter_calendar('bt mine', owner => 'regress_bt_hr', note => 'given');
SET ROLE regress_bt_owner;
SELECT lead_funnel.add_holiday('bt mine', '2026-12-31');
SET ROLE regress_bt_clerk;
SELECT lead_funnel.add_holiday('bt mine', '2026-12-31');
SELECT calendar, owner, holidays, note FROM lead_funnel.calendars WHERE calendar = 'bt mine';
SELECT lead_funnel.drop_calendar('bt mine');
RESET ROLE;
-- a role that is gone has no members
SELECT lead_funnel.create_calendar('bt gone', 'UTC', owner => 'regress_bt_else');
REVOKE ALL ON lead_funnel.calendars, lead_funnel.calendar_holidays FROM regress_bt_else;
DROP ROLE regress_bt_else;
SET ROLE regress_bt_clerk;
SELECT lead_funnel.drop_calendar('bt gone');
RESET ROLE;
SELECT lead_funnel.drop_calendar('bt gone');

-- clean up
SELECT lead_funnel.detach('bt', purge => true);
SELECT lead_funnel.drop_calendar(calendar) FROM lead_funnel.calendars WHERE calendar LIKE 'bt %';
SET client_min_messages = warning;
DROP SCHEMA bt, bt_owner CASCADE;
DROP OWNED BY regress_bt_owner, regress_bt_hr, regress_bt_clerk;
DROP ROLE regress_bt_owner, regress_bt_hr, regress_bt_clerk;
