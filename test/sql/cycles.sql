-- cycles: rounds of a lead, ends and returns; what visits and milestones say of them

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_cy_owner;
CREATE SCHEMA cy AUTHORIZATION regress_cy_owner;
SET ROLE regress_cy_owner;
SET search_path = cy, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

-- the dates are given, so that every day below can be checked by hand
CREATE TABLE l (id int PRIMARY KEY, stage lead_stage, day date, why text, src text, gone timestamptz);
CREATE FUNCTION l_attach() RETURNS name LANGUAGE sql AS $$
SELECT lead_funnel.attach('l', 'stage', entered_column => 'day', reason_column => 'why', source_column => 'src', excluded_column => 'gone', timezone => 'UTC') $$;
INSERT INTO l (id, stage, day, gone)
VALUES (1, 'sal', '2023-12-01', NULL), (2, 'lost', '2023-12-02', NULL), (3, 'nurture', NULL, NULL), (4, 'won', '2023-12-04', NULL), (5, 'mql', '2023-12-05', now());
SELECT l_attach();
CREATE VIEW visits AS
SELECT lead_id, cycle, stage, entered_day, exited_day, exit_to, seconds / 86400 AS days, source FROM lead_funnel.lead_visits WHERE funnel = 'l';
CREATE VIEW milestones AS
SELECT lead_id AS l, cycle AS c, started_at::date AS started, mql_at::date AS mql, handed_over_at::date AS handed, sal_at::date AS sal, sql_at::date AS sql,
       opportunity_at::date AS opp, won_at::date AS won, rejected_at::date AS rejected, ended_at::date AS ended, end_stage, furthest_stage AS furthest
FROM lead_funnel.lead_milestones WHERE funnel = 'l';
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS
$$ SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, src AS source FROM l WHERE gone IS NULL') $$;
CREATE PROCEDURE go(int, VARIADIC text[]) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality($2) BY 2 LOOP
        UPDATE l SET stage = $2[i]::lead_stage, day = $2[i + 1]::date, why = CASE WHEN $2[i] = 'rejected' THEN 'no. ' || i END WHERE id = $1;
    END LOOP;
END
$$;

-- three rounds: recycled, rejected, lost; parked in nurture on the way
INSERT INTO l VALUES (11, 'lead', '2024-01-01', NULL, 'web');
CALL go(11, 'mql', '2024-01-02', 'nurture', '2024-01-04', 'mql', '2024-01-07', 'sal', '2024-01-08', 'recycled', '2024-01-10');
UPDATE l SET src = 'fair' WHERE id = 11;
CALL go(11, 'nurture', '2024-01-20', 'mql', '2024-01-31', 'rejected', '2024-02-29', 'mql', '2024-03-01');
CALL go(11, 'sal', '2024-03-02', 'sql', '2024-03-03', 'opportunity', '2024-03-10', 'lost', '2024-04-10', 'recycled', '2024-04-20', 'mql', '2024-05-01');
SELECT * FROM visits WHERE lead_id = 11 ORDER BY entered_day;
SELECT * FROM milestones WHERE l = 11 ORDER BY c;
SELECT * FROM l_check();

-- won, disqualified and lost are ends; out of the first two only by override, which begins a new round
INSERT INTO l VALUES (12, 'mql', '2024-01-01'), (13, 'lead', '2024-01-01');
CALL go(12, 'sal', '2024-01-02', 'sql', '2024-01-03', 'opportunity', '2024-01-04', 'won', '2024-01-05');
CALL go(13, 'disqualified', '2024-01-06');
CALL go(12, 'opportunity', '2024-02-01');                     -- fails
BEGIN;
SET LOCAL lead_funnel.override = 'signed twice';
CALL go(12, 'opportunity', '2024-02-01', 'won', '2024-02-02', 'lost', '2024-02-03', 'sal', '2024-02-04');
CALL go(13, 'rejected', '2024-02-05', 'disqualified', '2024-02-06', 'sql', '2024-02-07', 'lead', '2024-02-08');
COMMIT;
SELECT * FROM milestones WHERE l IN (12, 13) ORDER BY l, c;
SELECT lead_id, to_stage, cycle, origin, reason FROM lead_funnel.funnel_history WHERE lead_id IN (12, 13) AND cycle > 1 ORDER BY lead_id, move;
SELECT * FROM l_check();

-- deleted and inserted again; two at once
INSERT INTO l VALUES (14, 'mql', '2024-01-01'), (15, 'lead', '2024-01-01');
CALL go(14, 'sal', '2024-01-05');
DELETE FROM l WHERE id IN (14, 15);
INSERT INTO l VALUES (14, 'sal', now());                      -- fails
INSERT INTO l VALUES (14, 'lead', '2024-01-09');              -- fails: it was there until today
INSERT INTO l VALUES (14, 'lead', now());
WITH d AS (DELETE FROM l WHERE id = 14 RETURNING id) INSERT INTO l SELECT id, 'mql' FROM d;
SELECT lead_id, cycle, stage, exited_day IS NOT NULL AS left, exit_to, days > 0 AS any_days, days < 0 AS negative FROM visits WHERE lead_id IN (14, 15) ORDER BY 1, 2, 4;
SELECT l, c, started < '2024-02-01' AS old_start, mql, sal, ended IS NOT NULL AS ended, end_stage, furthest FROM milestones WHERE l IN (14, 15) AND c < 3 ORDER BY l, c;
SELECT * FROM l_check();

-- excluded, and back where it was, or where a move could have brought it, but nowhere else
INSERT INTO l SELECT i, 'mql', '2024-01-01' FROM generate_series(21, 26) i;
INSERT INTO l VALUES (27, 'opportunity', '2024-01-01', NULL, NULL, '2024-01-01');
UPDATE l SET stage = 'sal', day = '2024-01-02' WHERE id BETWEEN 21 AND 24;
UPDATE l SET gone = now() WHERE id BETWEEN 21 AND 25;
UPDATE l SET gone = now() - interval '1 day', src = 'x' WHERE id = 21;
SELECT count(*) FROM lead_funnel.funnel_history WHERE lead_id = 27;
UPDATE l SET gone = NULL WHERE id = 21;
UPDATE l SET gone = NULL, stage = 'sql' WHERE id = 22;
UPDATE l SET gone = NULL, stage = 'won' WHERE id = 23;         -- fails
UPDATE l SET stage = 'won' WHERE id = 23;
UPDATE l SET gone = NULL WHERE id = 23;                        -- fails
UPDATE l SET stage = 'lead' WHERE id = 23;
UPDATE l SET gone = NULL WHERE id = 23;                        -- as a new one
UPDATE l SET gone = NULL, stage = 'rejected' WHERE id = 25;    -- fails: without a reason
UPDATE l SET gone = NULL, stage = 'rejected', why = 'spam' WHERE id = 25;
UPDATE l SET gone = NULL WHERE id = 27;                        -- fails: it never was in
UPDATE l SET gone = NULL, stage = 'mql' WHERE id = 27;
DELETE FROM l WHERE id = 24;                                   -- is out already
UPDATE l SET gone = now(), stage = 'won' WHERE id = 26;        -- leaves as what it was
SELECT lead_id, string_agg(concat_ws(' ', move, coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-'), 'c' || cycle, nullif(origin, 'write'), reason), ', ' ORDER BY move)
FROM lead_funnel.funnel_history WHERE lead_id BETWEEN 21 AND 27 GROUP BY lead_id ORDER BY lead_id;
SELECT * FROM l_check();

-- what was there at the attachment is no entry: its first cycle has no start, the next one has
SELECT * FROM milestones WHERE l BETWEEN 1 AND 5 ORDER BY l, c;
SELECT * FROM visits WHERE lead_id BETWEEN 1 AND 2 ORDER BY 1;
CALL go(1, 'sql', '2024-01-03');
CALL go(2, 'recycled', '2024-01-04', 'mql', '2024-01-05');
CALL go(3, 'mql', NULL);
CALL go(5, 'sal', '2024-01-05');
UPDATE l SET gone = NULL, stage = 'mql' WHERE id = 5;
SELECT * FROM milestones WHERE l BETWEEN 1 AND 2 ORDER BY l, c;
SELECT l, c, started IS NOT NULL AS started, mql IS NOT NULL AS mql, ended, end_stage, furthest FROM milestones WHERE l BETWEEN 3 AND 5 ORDER BY l, c;
SELECT * FROM l_check();

-- detached and attached again: what is in the table then is opening stock again, in a new cycle
SELECT lead_funnel.detach('l');
UPDATE l SET stage = 'won' WHERE id = 1;
DELETE FROM l WHERE id > 2;
SELECT l_attach();
CALL go(2, 'sal', NULL);
SELECT lead_id, string_agg(concat_ws(' ', move, coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-'), 'c' || cycle, nullif(origin, 'write')), ', ' ORDER BY move)
FROM lead_funnel.funnel_history WHERE lead_id <= 2 GROUP BY lead_id ORDER BY lead_id;
SELECT l, c, started, ended IS NOT NULL AS ended, end_stage, furthest FROM milestones WHERE l <= 2 ORDER BY l, c;
SELECT sum(opening) AS opening, sum(entries) AS entries, sum(exits) AS exits, sum(opening + entries - exits + adjustments) AS stock
FROM lead_funnel.funnel_flow WHERE funnel = 'l';
SELECT * FROM l_check();

SELECT lead_funnel.detach('l', purge => true);
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA cy CASCADE;
DROP OWNED BY regress_cy_owner;
DROP ROLE regress_cy_owner;
