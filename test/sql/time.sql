-- time: when a move took effect, given or not; days and hours in the funnel's time zone

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_ti_owner;
CREATE SCHEMA ti AUTHORIZATION regress_ti_owner;
SET ROLE regress_ti_owner;
SET search_path = ti, public;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'ISO, YMD';
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

-- dates that the writer gives, in a column of each type; the funnel lives in Berlin, the session in Tokyo
CREATE TABLE z (id int PRIMARY KEY, stage lead_stage, at timestamptz, note text);
CREATE TABLE t (LIKE z INCLUDING ALL);
CREATE TABLE d (LIKE z INCLUDING ALL);
ALTER TABLE t ALTER at TYPE timestamp;
ALTER TABLE d ALTER at TYPE date;
SELECT lead_funnel.attach(r, 'stage', entered_column => 'at', timezone => 'Europe/Berlin') FROM unnest('{z,t,d}'::regclass[]) r;
CREATE VIEW berlin AS
SELECT funnel, lead, move, to_stage, effective_day AS day, effective_at AT TIME ZONE 'Europe/Berlin' AS effective,
       recorded_at BETWEEN now() - interval '1 hour' AND clock_timestamp() AS recorded_now FROM lead_funnel.funnel_history ORDER BY funnel, lead, move;
INSERT INTO z VALUES (1, 'lead', '2024-01-31 23:30 Europe/Berlin');
INSERT INTO t VALUES (1, 'lead', '2024-01-31 23:30');
INSERT INTO d VALUES (1, 'lead', '2024-01-31');
UPDATE z SET stage = 'mql', at = '2024-02-01 00:00 Europe/Berlin';
UPDATE t SET stage = 'mql', at = '2024-02-01 00:00';
UPDATE d SET stage = 'mql', at = '2024-02-01';
UPDATE z SET stage = 'sal', at = '2024-02-29 23:59:59.999999+01';
UPDATE t SET stage = 'sal', at = '2024-02-29 23:59:59.999999';
UPDATE d SET stage = 'sal', at = '2024-02-29';
SELECT * FROM berlin;
-- not given: the value as it was, NULL, one that comes without a move; then the column is filled in
UPDATE z SET at = '2024-02-15';
BEGIN;
UPDATE z SET stage = 'sql', at = at;
UPDATE t SET stage = 'sql', at = NULL;
UPDATE d SET stage = 'sql';
SELECT funnel, to_stage, effective_at = now() AS now FROM lead_funnel.funnel_history WHERE to_stage = 'sql' ORDER BY 1;
SELECT z.at = now() AS z, t.at = now() AT TIME ZONE 'Europe/Berlin' AS t, d.at = (now() AT TIME ZONE 'Europe/Berlin')::date AS d FROM z, t, d;
ROLLBACK;
UPDATE z SET note = 'no move';
SELECT z.at, t.at, d.at FROM z, t, d;
UPDATE z SET at = '2024-02-29 23:59:59.999999+01';
-- refused: before the visit, to come, infinite; the day on which the visit began is none of them
UPDATE z SET stage = 'sql', at = '2024-02-29 23:59:59.999998+01';
UPDATE t SET stage = 'sql', at = '2024-02-29 23:59:59';
UPDATE d SET stage = 'sql', at = '2024-02-28';
UPDATE z SET stage = 'sql', at = now() + interval '6 minutes';
UPDATE t SET stage = 'sql', at = (now() + interval '6 minutes') AT TIME ZONE 'Europe/Berlin';
UPDATE d SET stage = 'sql', at = (now() AT TIME ZONE 'Europe/Berlin')::date + 2;
UPDATE z SET stage = 'sql', at = 'infinity';
UPDATE t SET stage = 'sql', at = '-infinity';
UPDATE d SET stage = 'sql', at = 'infinity';
INSERT INTO z VALUES (2, 'lead', now() + interval '1 day');
INSERT INTO d VALUES (2, 'lead', '-infinity');
INSERT INTO z VALUES (3, 'lead', '1999-12-31 22:30:00.5+00'), (4, 'lead', '1999-06-30 22:00+00');
UPDATE d SET stage = 'recycled', at = '2024-02-29';     -- the value as it was: not given, so of now
UPDATE d SET stage = 'mql', at = '2024-02-29';          -- fails
UPDATE d SET stage = 'mql', at = (now() AT TIME ZONE 'Europe/Berlin')::date;
SELECT funnel, lead, move, to_stage, day, effective FROM berlin WHERE effective < '2024-03-01' AND (lead <> '1' OR move > 3);
BEGIN;
UPDATE z SET stage = 'sql', at = now() + interval '4 minutes' WHERE id = 1;
UPDATE z SET stage = 'opportunity' WHERE id = 1;
UPDATE z SET stage = 'won' WHERE id = 1;
SELECT to_stage, effective_at - now() AS ahead FROM lead_funnel.funnel_history WHERE funnel = 'z' AND lead_id = 1 AND move > 3 ORDER BY move;
ROLLBACK;
SELECT f, problem, what FROM unnest('{z,t,d}'::text[]) f, check_funnel(f, 'SELECT id AS lead, stage FROM ' || f);

-- several moves of a transaction, all given, in one second and at one moment
BEGIN;
INSERT INTO z VALUES (6, 'lead', '2024-05-01 12:00+00');
UPDATE z SET stage = 'mql', at = '2024-05-01 12:00:00.000001+00' WHERE id = 6;
UPDATE z SET stage = 'sal', at = '2024-05-01 12:00:00.000002+00' WHERE id = 6;
UPDATE z SET stage = 'sql', at = '2024-05-01 12:00:00.000002+00', note = 'not given: as before' WHERE id = 6;
UPDATE z SET stage = 'opportunity', at = '2024-05-01 12:00:01+00' WHERE id = 6; -- fails: sql is of now
COMMIT;
INSERT INTO z VALUES (6, 'lead', '2024-05-01 12:00+00');
UPDATE z SET stage = 'mql', at = '2024-05-01 12:00:00.000001+00' WHERE id = 6;
UPDATE z SET stage = 'sal', at = '2024-05-02' WHERE id = 6;
SELECT stage, entered_at AT TIME ZONE 'UTC' AS entered, seconds FROM lead_funnel.lead_visits WHERE funnel = 'z' AND lead_id = 6 ORDER BY entered_at;

-- the hours of summer time: 23 and 25 hours a day, an hour that is missing, one that comes twice
INSERT INTO t VALUES (11, 'lead', '2024-03-30 12:00');
UPDATE t SET stage = 'mql', at = '2024-03-31 12:00' WHERE id = 11;
UPDATE t SET stage = 'sal', at = '2024-10-26 12:00' WHERE id = 11;
UPDATE t SET stage = 'sql', at = '2024-10-27 12:00' WHERE id = 11;
INSERT INTO t VALUES (12, 'lead', '2024-03-31 02:30'), (13, 'mql', '2024-10-27 01:59:59'), (14, 'mql', '2024-10-27 00:00');
UPDATE t SET stage = 'mql', at = '2024-03-31 03:31' WHERE id = 12;
UPDATE t SET stage = 'sal', at = '2024-10-27 02:30' WHERE id = 13;
UPDATE t SET stage = 'sal', at = '2024-10-27 23:59:59' WHERE id = 14;
SELECT lead, stage, entered_at AT TIME ZONE 'UTC' AS entered_utc, entered_day, exited_day, seconds / 3600 AS hours FROM lead_funnel.lead_visits
WHERE funnel = 't' AND lead_id > 10 ORDER BY lead_id, entered_at;
SELECT day, stage, entries, exits FROM lead_funnel.funnel_flow WHERE funnel = 't' ORDER BY day, stage_rank;
SELECT * FROM check_funnel('t', 'SELECT id AS lead, stage FROM t');

-- what is filled in is of now even if the clock is being set back in the funnel's zone, or has just been
CREATE TABLE c (id int PRIMARY KEY, stage lead_stage, at timestamp);
CREATE FUNCTION zone(minutes int) RETURNS text LANGUAGE sql AS $$
SELECT format('<AAA>0<BBB>-1,%s/0,%s/%s', (extract(doy FROM s) - 1)::int, (extract(doy FROM e) - 1)::int, to_char(e, 'HH24:MI:SS'))
FROM (SELECT now() AT TIME ZONE 'UTC' - interval '60 days' AS s, now() AT TIME ZONE 'UTC' + make_interval(mins => 60 + minutes) AS e) x $$;
CREATE PROCEDURE set_back(minutes int) LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    PERFORM lead_funnel.attach('c', 'stage', entered_column => 'at', timezone => zone(minutes), preset => 'open');
    INSERT INTO c VALUES (1, 'lead');
    UPDATE c SET stage = 'mql';
    UPDATE c SET stage = 'sal';
    FOR r IN SELECT count(*) AS moves, bool_and(effective_at = now()) AS now FROM lead_funnel.funnel_history WHERE funnel = 'c' LOOP
        RAISE NOTICE '% moves, all of now: %', r.moves, r.now;
    END LOOP;
    PERFORM lead_funnel.detach('c', purge => true);
    DELETE FROM c;
END
$$;
CALL set_back(30);
CALL set_back(-30);

-- zones whose days begin at odd minutes; another zone for the same moves
CREATE TABLE o (id int PRIMARY KEY, stage lead_stage, at timestamptz);
SELECT lead_funnel.attach('o', 'stage', entered_column => 'at', timezone => '<X>-0:07:09');
INSERT INTO o SELECT i, 'lead', '2024-01-01 23:52:45+00'::timestamptz + i * interval '1 second' FROM generate_series(1, 10) i;
SELECT day, entries FROM lead_funnel.funnel_flow WHERE funnel = 'o' ORDER BY 1;
SELECT * FROM check_funnel('o', 'SELECT id AS lead, stage FROM o');
SELECT lead_funnel.alter_funnel('o', timezone => 'Asia/Kathmandu');
INSERT INTO o VALUES (11, 'lead', '2024-01-02 18:14:59.999999+00'), (12, 'lead', '2024-01-02 18:15+00');
SELECT day, entries FROM lead_funnel.funnel_flow WHERE funnel = 'o' ORDER BY 1;
SELECT * FROM check_funnel('o', 'SELECT id AS lead, stage FROM o');

-- in observe mode, and with an override, a wrong date is told, but no visit ends before it began, none in the future
SELECT lead_funnel.set_mode('z', 'observe');
INSERT INTO z VALUES (21, 'mql', '2024-06-10'), (22, 'mql', '2024-06-10'), (23, 'mql', '2999-06-10'), (24, 'mql', '2024-06-10');
UPDATE z SET stage = 'sal', at = '2024-06-01' WHERE id = 21;
UPDATE z SET stage = 'sal', at = '2999-01-01' WHERE id = 22;
UPDATE z SET stage = 'sql' WHERE id = 22;
SELECT lead_funnel.set_mode('z', 'enforce');
BEGIN;
SET LOCAL lead_funnel.override = 'the date is from the contract';
UPDATE z SET stage = 'sal', at = '2024-06-01' WHERE id = 24;
COMMIT;
SELECT lead, move, to_stage, origin, effective_at < '2025-01-01' AS old, effective_at <= recorded_at AS not_to_come FROM lead_funnel.funnel_history
WHERE funnel = 'z' AND lead_id > 20 ORDER BY lead_id, move;
SELECT from_stage, to_stage, constraint_name, moves FROM lead_funnel.rule_violations WHERE funnel = 'z' ORDER BY 1, 2;
SELECT count(*) FROM lead_funnel.lead_visits WHERE seconds < 0;
SELECT count(*) FROM lead_funnel.funnel_daily WHERE funnel = 'z' AND stock < 0;
SELECT * FROM check_funnel('z', 'SELECT id AS lead, stage FROM z');

-- a zone that this server does not know, as behind an upgrade of the operating system: writes wait for another one
RESET ROLE;
UPDATE lead_funnel.funnel SET timezone = 'Mars/Olympus' WHERE name = 'z' RETURNING lead_funnel._invalidate(relation);
SET ROLE regress_ti_owner;
INSERT INTO z (id, stage) VALUES (31, 'lead');
SELECT * FROM lead_funnel.verify('z');
SELECT count(*) FROM lead_funnel.verify('t');
BEGIN;
SELECT lead_funnel.set_mode('z', 'observe'), lead_funnel.suspend('z');
INSERT INTO z (id, stage) VALUES (31, 'lead');
ROLLBACK;
SELECT lead_funnel.rebuild('z');
BEGIN;
SELECT lead_funnel.suspend('z'), lead_funnel.alter_funnel('z', timezone => 'UTC'), lead_funnel.resume('z');
SELECT * FROM lead_funnel.verify('z');
ROLLBACK;
SELECT lead_funnel.detach('z');
ALTER TABLE z ADD COLUMN mars int;
DROP TABLE z;
SELECT lead_funnel.alter_funnel('z', timezone => 'America/New_York');
INSERT INTO z (id, stage) VALUES (31, 'lead');
SELECT * FROM lead_funnel.verify('z');

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{z,t,d,o}'::name[]) f;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA ti CASCADE;
DROP OWNED BY regress_ti_owner;
DROP ROLE regress_ti_owner;
