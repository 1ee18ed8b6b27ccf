-- Values at the end of their range: many mapped statuses, dates, times and keys that are looked up in the lead table
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;

CREATE SCHEMA lim;
SET search_path = lim, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

-- forty statuses, text and integer; the first of a stage is what move() writes
CREATE TABLE codes (id int PRIMARY KEY, code text, n int);
INSERT INTO codes VALUES (1, 'c1', 1), (2, 'c40', 40);
SELECT lead_funnel.attach('codes', 'code', stage_map =>
    (SELECT jsonb_object_agg(s, c) FROM (SELECT CASE WHEN i <= 20 THEN 'lead' ELSE 'mql' END AS s, jsonb_agg('c' || i ORDER BY i) AS c
                                         FROM generate_series(1, 40) AS i GROUP BY 1) AS m));
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'codes' AND leads > 0 ORDER BY stage_rank;
SELECT from_stage, to_stage FROM lead_funnel.move('codes', 1, 'mql');
TABLE codes ORDER BY id;
SELECT lead_funnel.detach('codes', purge => true);
SELECT lead_funnel.attach('codes', 'n', stage_map =>
    (SELECT jsonb_object_agg(s, c) FROM (SELECT CASE WHEN i <= 20 THEN 'lead' ELSE 'mql' END AS s, jsonb_agg(i::text ORDER BY i) AS c
                                         FROM generate_series(1, 40) AS i GROUP BY 1) AS m));
UPDATE codes SET n = n + 20 WHERE id = 1;
UPDATE codes SET n = 41 WHERE id = 1;
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'codes' AND leads > 0 ORDER BY stage_rank;
SELECT lead_funnel.detach('codes', purge => true);

-- a day stands for the moment at which the lead came in, if that was on this day
CREATE TABLE days (id int PRIMARY KEY, stage lead_stage, at timestamptz, day date, local timestamp, handed timestamptz);
SELECT lead_funnel.attach('days', 'stage', entered_column => 'at', handover_column => 'handed', timezone => 'America/New_York', preset => 'open');
INSERT INTO days VALUES (1, 'mql', '2026-01-05 15:00+00');
SELECT lead_funnel.alter_funnel('days', entered_column => 'day');
UPDATE days SET stage = 'sal', day = '2026-01-05' WHERE id = 1;
UPDATE days SET stage = 'sql', day = '2026-01-04' WHERE id = 1;
SELECT move, to_stage, effective_at, effective_day FROM lead_funnel.funnel_history WHERE funnel = 'days' ORDER BY move;

-- days and times that are no moment in the zone of the funnel
UPDATE days SET stage = 'sql', day = 'infinity' WHERE id = 1;
UPDATE days SET stage = 'sql', day = '5874897-12-31' WHERE id = 1;
UPDATE days SET stage = 'sql', day = '4714-11-24 BC' WHERE id = 1;
SELECT lead_funnel.alter_funnel('days', entered_column => 'local');
UPDATE days SET stage = 'sql', local = '294276-12-31 23:59:59' WHERE id = 1;
UPDATE days SET stage = 'sql', local = '4714-11-24 00:00 BC' WHERE id = 1;
UPDATE days SET stage = 'sql', local = '-infinity' WHERE id = 1;

-- a hand-over that never was, or will be, is none
UPDATE days SET handed = 'infinity' WHERE id = 1;
UPDATE days SET handed = '-infinity' WHERE id = 1;
SELECT handed_over_at FROM lead_funnel.lead_milestones WHERE funnel = 'days';
SELECT * FROM check_funnel('days', 'SELECT id AS lead, stage FROM days');
SELECT lead_funnel.detach('days', purge => true);

-- leads that change their keys for each other's: who has which is looked up in the table, by an index of each type
CREATE FUNCTION try_swap(type text, a text, b text) RETURNS TABLE (key_type text, lead text, moves text) LANGUAGE plpgsql AS $$
DECLARE
    p text;
BEGIN
    EXECUTE format('CREATE TABLE k (k %s PRIMARY KEY DEFERRABLE, stage lead_stage)', type);
    PERFORM lead_funnel.attach('k', 'stage', preset => 'open');
    EXECUTE format('INSERT INTO k VALUES (%L, ''mql''), (%L, ''sal'')', a, b);
    EXECUTE format('UPDATE k SET k = CASE k WHEN %1$L THEN %2$L::%3$s ELSE %1$L::%3$s END', a, b, type);
    EXECUTE format('WITH d AS (DELETE FROM k WHERE k = %1$L) INSERT INTO k VALUES (%1$L, ''lead'')', a);
    FOR p IN SELECT x.problem || ': ' || x.what FROM check_funnel('k', 'SELECT k AS lead, stage FROM k') AS x LOOP
        RAISE WARNING '%: %', type, p;
    END LOOP;
    RETURN QUERY SELECT type, h.lead, string_agg(concat_ws('>', coalesce(h.from_stage, '-'), coalesce(h.to_stage, '-')), ', ' ORDER BY h.move)
        FROM lead_funnel.funnel_history AS h WHERE h.funnel = 'k' GROUP BY h.lead ORDER BY h.lead;
    PERFORM lead_funnel.detach('k', purge => true);
    DROP TABLE k;
END
$$;
CREATE TYPE colour AS ENUM ('Red', 'Blue');
SELECT s.* FROM (VALUES ('smallint', '-32768', '32767'), ('int', '-2147483648', '2147483647'),
                        ('bigint', '-9223372036854775808', '9223372036854775807'), ('text', '', '  '), ('varchar(10)', 'a', 'B'),
                        ('uuid', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
                        ('colour', 'Red', 'Blue')) AS t, try_swap(t.column1, t.column2, t.column3) AS s;
DROP SCHEMA lim CASCADE;
