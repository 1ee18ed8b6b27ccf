-- business_time_random: adding and elapsing are inverse on 100,000 random cases, and agree with a slow evaluator that looks at
-- each minute

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
CREATE SCHEMA br;
SET search_path = br, public;
SET timezone = 'UTC';
SELECT setseed(0.4);

-- A few calendars: lunch breaks, nights, all the time, seconds; zones that change by an hour, by half an hour, just after
-- midnight, by a day, never
CREATE TABLE cal (name text, zone text, n int GENERATED ALWAYS AS IDENTITY (START 0 MINVALUE 0));
INSERT INTO cal (name, zone)
VALUES ('br office', 'Europe/Berlin'), ('br lunch', 'America/New_York'), ('br night', 'Europe/Berlin'), ('br howe', 'Australia/Lord_Howe'),
       ('br apia', 'Pacific/Apia'), ('br johns', 'America/St_Johns'), ('br utc', 'UTC'), ('br rare', 'Africa/Casablanca');
SELECT count(lead_funnel.create_calendar(name, zone)) FROM cal;
DO $$
BEGIN
    PERFORM lead_funnel.set_working_hours('br office', '{1,2,3,4,5}', '9:00', '17:00');
    PERFORM lead_funnel.set_working_hours('br lunch', '{1,2,3,4}', '8:30', '12:00', '12:45', '17:17');
    PERFORM lead_funnel.set_working_hours('br lunch', '{5}', '8:30', '14:00');
    PERFORM lead_funnel.set_working_hours('br night', '{1,2,3,4,5,6,7}', '0:00', '6:00', '22:00', '24:00');
    PERFORM lead_funnel.set_working_hours('br howe', '{6,7,1}', '0:00', '2:10', '2:20', '24:00');
    PERFORM lead_funnel.set_working_hours('br apia', '{1,2,3,4,5,6}', '7:00', '19:00');
    PERFORM lead_funnel.set_working_hours('br johns', '{1,2,3,4,5,6,7}', '0:00', '24:00');
    PERFORM lead_funnel.set_working_hours('br utc', '{2}', '0:01', '0:02', '5:00', '6:00');
    PERFORM lead_funnel.set_working_hours('br rare', '{7}', '2:30', '3:00');
    PERFORM lead_funnel.add_holiday(c.name, d)
    FROM cal c, LATERAL (SELECT DISTINCT date '1990-01-01' + floor(random() * 18262 + c.n * 0)::int AS d FROM generate_series(1, 300 * (1 - c.n % 2))) h;
    -- days on which the clock changes
    PERFORM lead_funnel.add_holiday('br johns', d) FROM unnest('{2010-11-07,2011-03-13,2009-11-01}'::date[]) d;
END
$$;

-- 1. Inverse, from 1850 to 2450, over up to some hundred years there and back; the result is the first such moment, or the last one if
-- time goes back
CREATE FUNCTION shortest(d interval) RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN d < interval '0' THEN -interval '1 microsecond' ELSE interval '1 microsecond' END $$;
CREATE TABLE rnd AS
SELECT coalesce(c.name, '24x7') AS cal, timestamptz '1850-01-01' + (random() * 219145 * 86400e6)::bigint * interval '1 microsecond' AS t,
       ((random() - 0.5) * power(10, random() * CASE WHEN c.name IN ('br utc', 'br rare') THEN 13.5 ELSE 15.2 END))::bigint * interval '1 microsecond' AS d
FROM generate_series(1, 100000) g LEFT JOIN cal c ON c.n = g % 9;
SELECT count(*) AS cases,
       count(*) FILTER (WHERE lead_funnel.business_elapsed(t, u, cal) = d) AS inverse,
       count(*) FILTER (WHERE d = interval '0' OR abs(extract(epoch FROM lead_funnel.business_elapsed(t, u - shortest(d), cal))) < abs(extract(epoch FROM d))) AS tight,
       count(*) FILTER (WHERE lead_funnel.business_elapsed(t, u, cal) = -lead_funnel.business_elapsed(u, t, cal)) AS antisymmetric,
       count(*) FILTER (WHERE lead_funnel.business_elapsed(t, m, cal) + lead_funnel.business_elapsed(m, u, cal) = d) AS additive
FROM rnd, LATERAL (SELECT lead_funnel.business_add(t, d, cal) AS u) x, LATERAL (SELECT t + (u - t) / 3 AS m) y;

-- 2. The slow way: minutes of some weeks in which much happens, each with its local time
CREATE TABLE span (a timestamptz, b timestamptz);
INSERT INTO span VALUES ('2010-10-30', '2010-11-02'), ('2010-11-06', '2010-11-09'), ('2011-03-12', '2011-03-15'), ('2011-04-01', '2011-04-05'), ('2011-12-28', '2012-01-02'),
                       ('2026-10-23', '2026-10-26'), ('2026-10-30', '2026-11-03'), ('2125-03-24', '2125-03-26');
CREATE TABLE minute AS
SELECT c.name AS cal, s.a AS span, m AS t, l.working,
       sum(l.working::int) OVER (PARTITION BY c.n, s.a ORDER BY m ROWS UNBOUNDED PRECEDING) - l.working::int AS before
FROM cal c CROSS JOIN span s CROSS JOIN LATERAL generate_series(s.a, s.b, '1 minute') m
CROSS JOIN LATERAL (SELECT m AT TIME ZONE c.zone AS local) z
LEFT JOIN lead_funnel.working_hours h ON h.calendar = c.name AND h.weekday = extract(isodow FROM z.local)
                                     AND z.local::time >= h.from_time AND z.local::time < h.to_time
LEFT JOIN lead_funnel.holiday f ON f.calendar = c.name AND f.day = z.local::date
CROSS JOIN LATERAL (SELECT h.calendar IS NOT NULL AND f.day IS NULL AS working) l;
CREATE INDEX ON minute (cal, t);
CREATE INDEX ON minute (cal, span, before, t);
CREATE TABLE pair AS
SELECT c.name AS cal, s.a + (extract(epoch FROM s.b - s.a) / 60 * random())::int * interval '1 minute' AS t,
       s.a + (extract(epoch FROM s.b - s.a) / 60 * random())::int * interval '1 minute' AS u
FROM generate_series(1, 100) g CROSS JOIN cal c CROSS JOIN span s;
ANALYZE;
SELECT count(*) AS cases,
       count(*) FILTER (WHERE lead_funnel.business_elapsed(p.t, p.u, p.cal) = (m.before - l.before) * interval '1 minute') AS elapsed,
       count(*) FILTER (WHERE m.before <> l.before) > 3000 AS some
FROM pair p JOIN minute l ON l.cal = p.cal AND l.t = p.t JOIN minute m ON m.cal = p.cal AND m.t = p.u;
-- the first minute up to which there is as much, the last one up to which there is no more
SELECT count(*) > 500 AS cases,
       count(*) FILTER (WHERE lead_funnel.business_add(p.t, d, p.cal)
                              = CASE WHEN d > interval '0' THEN (SELECT min(x.t) FROM minute x WHERE x.cal = p.cal AND x.span = l.span AND x.before = m.before)
                                     WHEN d = interval '0' THEN p.t
                                     ELSE (SELECT max(x.t) FROM minute x WHERE x.cal = p.cal AND x.span = l.span AND x.before = m.before) END) = count(*) AS added
FROM (SELECT * FROM pair WHERE random() < 0.1) p JOIN minute l ON l.cal = p.cal AND l.t = p.t JOIN minute m ON m.cal = p.cal AND m.t = p.u
CROSS JOIN LATERAL (SELECT (m.before - l.before) * interval '1 minute' AS d) x;

-- 3. Working days, the slow way: of all local days, those that exist, have hours and are no holiday
CREATE TABLE day AS
SELECT c.name AS cal, c.zone, d::date AS day, row_number() OVER (PARTITION BY c.n ORDER BY d) AS n
FROM cal c CROSS JOIN generate_series(timestamp '2009-01-01', '2014-01-01', '1 day') d
WHERE EXISTS (SELECT FROM lead_funnel.working_hours h WHERE h.calendar = c.name AND h.weekday = extract(isodow FROM d))
  AND NOT EXISTS (SELECT FROM lead_funnel.holiday h WHERE h.calendar = c.name AND h.day = d)
  AND NOT (c.zone = 'Pacific/Apia' AND d = '2011-12-30');
CREATE INDEX ON day (cal, n);
ANALYZE day;
SELECT count(*) > 5000 AS cases,
       count(*) FILTER (WHERE lead_funnel.business_add_days((a.day + o) AT TIME ZONE a.zone, k, a.cal) = (b.day + o) AT TIME ZONE a.zone) = count(*) AS added
FROM day a CROSS JOIN LATERAL (SELECT floor((random() - 0.5) * 200)::int + a.n::int * 0 AS k) r
JOIN day b ON b.cal = a.cal AND b.n = a.n + k
-- a time of day that is working time
CROSS JOIN LATERAL (SELECT h.from_time AS o FROM lead_funnel.working_hours h WHERE h.calendar = a.cal AND h.weekday = extract(isodow FROM a.day)
                    ORDER BY h.from_time DESC LIMIT 1) h
WHERE a.day BETWEEN '2010-01-01' AND '2013-01-01'
  AND ((a.day + o) AT TIME ZONE a.zone) AT TIME ZONE a.zone = a.day + o;

SELECT count(lead_funnel.drop_calendar(name)) FROM cal;
DROP SCHEMA br CASCADE;
