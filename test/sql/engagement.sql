-- engagement: input, output, sums, thresholds, errors, indexes, and what a table of leads does with it

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';

-- text form: points at the newest event, its time, the half-life
SELECT make_engagement(42.5, '2026-11-23 10:00+00', '7 days');
SELECT e::engagement
FROM unnest('{42.5@2026-11-23 10:00:00+00/7 days," 1e2 @ 2026-11-23 11:00+01 / 168 hours","1@11/23/2026 10:00 UTC/P1DT12H","-0@2026-11-23/1:30",
    "-3.25@2026-11-23 10:00:00.5/1 day","0.1@4714-11-24 00:00:00+00 BC/1 second","1.7976931348623157e308@294276-12-31 23:59:59.999999/36525 days",
    2.2250738585072014e-308@epoch/25 hours 1 second}'::text[]) AS e;
SELECT half_life('1@2026-11-23/36 hours'), newest('1@2026-11-23 10:00+02/7 days'), points_at('1@2026-11-23/7 days', '2026-11-23');
-- its time has the offset of the session; style settings change nothing
SET timezone = 'Europe/Berlin';
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -10;
SELECT '0.30000000000000004@2026-07-01 10:00:00+00/7 days 12:00:00'::engagement, '1@23.11.2026 10:00/P7D'::engagement;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
RESET intervalstyle;
RESET extra_float_digits;

-- what is refused
CREATE FUNCTION en_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text; h text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', sqlstate || ': ' || sqlerrm, nullif('DETAIL: ' || d, 'DETAIL: '), nullif('HINT: ' || h, 'HINT: '));
END $$;
SELECT t, en_error(format('SELECT %L::engagement', t))
FROM unnest('{"",hot,42.5,42.5@2026-11-23,1/7 days,x@2026-11-23/7 days,@2026-11-23/7 days,1@/7 days,1@yesterdayish/7 days,1@2026-11-23/,1@2026-11-23/week,
    1@2026-11-23/7 days/,1e400@2026-11-23/7 days,NaN@2026-11-23/7 days,-Infinity@2026-11-23/7 days,1e-310@2026-11-23/7 days,1@infinity/7 days,1@-infinity/7 days,
    1@2026-11-23/1 month,1@2026-11-23/1 year -1 month,1@2026-11-23/0,1@2026-11-23/-7 days,1@2026-11-23/0.5 seconds,1@2026-11-23/1.5 seconds,
    1@2026-11-23/36525 days 1 second,1@2026-11-23/2147483647 days}'::text[]) AS t;
SELECT s, en_error(s)
FROM unnest(ARRAY['SELECT make_engagement(''NaN'', ''2026-11-23'', ''7 days'')', 'SELECT make_engagement(1, ''infinity'', ''7 days'')',
    'SELECT make_engagement(1, ''2026-11-23'', ''1 mon'')', 'SELECT make_engagement(1, NULL, ''7 days'')', 'SELECT make_engagement(1, ''2026-11-23'', NULL)',
    'SELECT engagement(1, NULL, ''7 days'')', 'SELECT engagement(p, ''2026-11-23'', ''7 days'') FROM unnest(''{1,Infinity}''::float8[]) AS p',
    'SELECT engagement(1, ''2026-11-23'', h) FROM unnest(''{7 days,168 hours,1 day 06:00}''::interval[]) AS h',
    'SELECT sum(e) FROM unnest(''{1@2026-11-23/7 days,1@2026-11-23/30 days}''::engagement[]) AS e',
    'SELECT ''1@2026-11-23/7 days''::engagement + ''1@2026-11-23/7 days 00:00:01''', 'SELECT ''1@2026-11-23/7 days''::engagement - ''0@2026-11-23/12:00:00''',
    'SELECT ''1e308@2026-11-23/7 days''::engagement + ''1e308@2026-11-23/7 days''', 'SELECT points_at(''1@2026-11-23/1 day'', ''infinity'')',
    'SELECT points_at(''1@2026-11-23/1 day'', ''2020-01-01'')', 'SELECT cools_below(''1@2026-11-23/1 day'', ''NaN'')',
    'SELECT cools_below(''1@2026-11-23/1 day'', ''-Infinity'')', 'SELECT ''1@2026-11-23/1 day''::engagement > ''1''', 'SELECT ''1''::text + ''1''::text',
    'SELECT sum(''1''::text)']) AS s;
SELECT make_engagement(NULL, '2026-11-23', '7 days') IS NULL AS no_points, make_engagement(NULL, NULL, NULL) IS NULL AS nothing,
       points_at(NULL, now()) IS NULL AS no_engagement, '1@2026-11-23/1 day'::engagement + NULL IS NULL AS sum_with_null;

-- sums: late events, several at once, taking one out again
SELECT e + '20@2026-11-16/7 days' AS late, e + '20@2026-11-30/7 days' AS newer, e - '2.5@2026-11-23/7 days' AS less, e - '80@2026-11-30/7 days' AS negative,
       e - e AS none, e + '0@2026-12-07/7 days' AS looked_again
FROM (SELECT '40@2026-11-23/7 days'::engagement) AS x(e);
-- neither centuries nor short half-lives overflow; what is too small is 0
SELECT e + '1@2026-11-23/1 second' AS newer, e + '-1@4714-11-24 BC/1 second' AS older, e + '0@294276-12-31/1 second' AS gone, points_at(e, '2500-01-01') AS left
FROM (SELECT '1e300@1900-01-01/1 second'::engagement) AS x(e);
SELECT '1e300@1900-01-01/36525 days'::engagement + '1e300@294276-12-31/36525 days', points_at('1e308@1900-01-01/36525 days', '294276-12-31');
SELECT '-2e-308@2026-11-23/1 day'::engagement;
SELECT '-2.3e-308@2026-11-23/1 day'::engagement + '0@2026-11-24/1 day' AS flushed;

-- the aggregates; NULL points are no event, as outer joins make them
CREATE TABLE en_event (lead int, points float8, at timestamptz);
INSERT INTO en_event
VALUES (1, 10, '2026-11-20'), (1, 40, '2026-11-06'), (2, 5, '2026-11-20'), (2, -1, '2026-11-21'), (4, 8, '2026-11-20'), (4, -8, '2026-11-20');
SELECT id, engagement(points, at, '7 days'), sum(make_engagement(points, at, '7 days')), count(points)
FROM generate_series(1, 4) AS id LEFT JOIN en_event ON lead = id GROUP BY id ORDER BY id;
SELECT lead, at, engagement(points, at, '7 days') OVER (PARTITION BY lead ORDER BY at, points ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM en_event ORDER BY 1, 2, points;
SELECT min(e), max(e), min(e) FILTER (WHERE false) FROM (SELECT make_engagement(points, at, '7 days') FROM en_event) AS x(e);

CREATE FUNCTION en_plan(query text, wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ wanted THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;

-- parallel workers give what one process gives
CREATE TABLE en_many AS
SELECT g % 10 AS lead, (g * 7919 % 1000) / 10.0::float8 - 5 AS points, '2026-01-01'::timestamptz + g * 7919 % 100003 * interval '3 minutes' AS at
FROM generate_series(1, 40000) AS g;
ANALYZE en_many;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE en_serial AS
SELECT lead, engagement(points, at, '7 days') AS a, sum(make_engagement(points, at, '7 days')) AS s, max(make_engagement(points, at, '7 days')) AS m FROM en_many GROUP BY lead;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE VIEW en_parallel AS
SELECT lead, engagement(points, at, '7 days') AS a, sum(make_engagement(points, at, '7 days')) AS s, max(make_engagement(points, at, '7 days')) AS m FROM en_many GROUP BY lead;
SELECT en_plan('SELECT * FROM en_parallel', 'Partial (Hash|Group)Aggregate') AS parallel_plan;
SELECT count(*) AS leads, count(*) FILTER (WHERE p.a = s.a AND p.s = s.s AND p.m = s.m AND s.a = s.s) AS same FROM en_parallel p JOIN en_serial s USING (lead);
SELECT en_error('SELECT engagement(points, at, CASE WHEN lead = 3 THEN interval ''1 day'' ELSE ''7 days'' END) FROM en_many') LIKE '22023: engagements of different%' AS mixed_refused;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- cooling
SELECT threshold, cools_below('40@2026-11-23/7 days', threshold), cools_below('0@2026-11-23/7 days', threshold) AS zero,
       cools_below('-40@2026-11-23/7 days', threshold) AS negative
FROM unnest('{50,40,20,10,1,1e-320,0,-1,-40,-50}'::float8[]) AS threshold;
SELECT cools_below('1e308@2026-11-23/36525 days', 1) AS late, cools_below('1e300@294000-01-01/36525 days', 1) AS never;

-- order: half-life, warmth, then the earlier event is the greater
SELECT e FROM unnest('{5@2026-11-23/7 days,10@2026-11-16/7 days,9@2026-11-23/7 days,1@2026-11-24/7 days,0@2026-11-23/7 days,0@2026-11-24/7 days,
    -5@2026-11-23/7 days,-1@2026-11-23/7 days,1e9@2026-11-23/1 day,1e-9@2026-11-23/30 days}'::engagement[]) AS e ORDER BY e DESC;

-- leads: an index serves the hottest, for ever; a threshold now is a comparison
CREATE TABLE en_lead (id int PRIMARY KEY, e engagement NOT NULL DEFAULT '0@2000-01-01 00:00:00+00/7 days');
INSERT INTO en_lead SELECT g, make_engagement((g * 7919 % 1000) / 10.0, '2026-01-01'::timestamptz + g * 104729 % 300 * interval '1 day', '7 days') FROM generate_series(1, 3000) AS g;
CREATE INDEX en_lead_e ON en_lead (e);
VACUUM ANALYZE en_lead;
SELECT en_plan('SELECT id FROM en_lead ORDER BY e DESC LIMIT 5', 'Index Scan Backward using en_lead_e') AS hottest_by_index,
       en_plan('SELECT id FROM en_lead WHERE e >= make_engagement(50, ''2026-11-01'', ''7 days'')', 'Index.* en_lead_e') AS threshold_by_index,
       en_plan('SELECT max(e) FROM en_lead', 'Index.* en_lead_e') AS max_by_index;
SELECT id, e, round(points_at(e, '2026-11-01')::numeric, 6) AS points FROM en_lead ORDER BY e DESC LIMIT 5;
SELECT count(*) FROM en_lead WHERE e >= make_engagement(50, '2026-11-01', '7 days');
SELECT count(*) FROM en_lead WHERE points_at(e, '2026-11-01') >= 50;
SELECT max(e) = (SELECT e FROM en_lead ORDER BY e DESC LIMIT 1) AS max_is_hottest FROM en_lead;
INSERT INTO en_lead (id) VALUES (5000);
UPDATE en_lead SET e = e + make_engagement(500, '2026-11-02', '7 days') WHERE id = 5000;
SELECT id, e FROM en_lead ORDER BY e DESC LIMIT 1;
PREPARE en_text(text) AS UPDATE en_lead SET e = $1 WHERE id = 5000 RETURNING e;
EXECUTE en_text('7@2026-11-02 10:00/7 days');
PREPARE en_untyped AS SELECT count(*) FROM en_lead WHERE e > $1;
EXECUTE en_untyped('95@2026-10-27/7 days');
DEALLOCATE ALL;

-- joins and groups by hash and by merge; hash partitions
SELECT count(*), count(DISTINCT e) FROM en_lead;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM en_lead a JOIN en_lead b USING (e) WHERE a.id <= b.id;
SET enable_mergejoin = on;
SET enable_hashjoin = off;
SELECT count(*) FROM en_lead a JOIN en_lead b USING (e) WHERE a.id <= b.id;
RESET enable_mergejoin;
RESET enable_hashjoin;
RESET enable_nestloop;
CREATE TABLE en_part (e engagement) PARTITION BY HASH (e);
CREATE TABLE en_part0 PARTITION OF en_part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE en_part1 PARTITION OF en_part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO en_part SELECT e FROM en_lead;
SELECT count(*) > 1000 AS half FROM en_part0;

-- JSON, arrays, rows
SELECT to_json(e), ARRAY[e], ROW(1, e), concat(e, '!') FROM en_lead WHERE id = 5000;

DROP VIEW en_parallel;
DROP TABLE en_event, en_many, en_serial, en_lead, en_part;
DROP FUNCTION en_error(text), en_plan(text, text);
