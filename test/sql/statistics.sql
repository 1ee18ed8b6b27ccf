-- statistics: values and dimensions of every kind, changed with and without a move; folds, rebuilds, what a transaction sees

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_st_owner;
CREATE SCHEMA st AUTHORIZATION regress_st_owner;
SET ROLE regress_st_owner;
SET search_path = st, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

-- the numbers of one day, by hand
CREATE TABLE l (id int PRIMARY KEY, stage lead_stage, day date, source text, campaign varchar(40), owner char(6), segment int, currency name, value numeric);
INSERT INTO l VALUES (1, 'mql', '2024-01-01', 'web', NULL, 'ann', 1, 'EUR', 10), (2, 'sal', '2024-01-01', 'web', '', ' ', NULL, 'EUR', 20.50);
SELECT lead_funnel.attach('l', 'stage', entered_column => 'day', source_column => 'source', campaign_column => 'campaign', owner_column => 'owner',
                          segment_column => 'segment', currency_column => 'currency', value_column => 'value', timezone => 'UTC');
INSERT INTO l VALUES (3, 'lead', '2024-01-02', 'fair', 'c1', 'bob', 1, 'EUR', 5), (4, 'lead', '2024-01-02', 'fair', 'c1', 'bob', 1, 'EUR', 7);
UPDATE l SET stage = 'mql', day = '2024-01-03', value = 8 WHERE id = 3;
UPDATE l SET stage = 'mql', day = '2024-01-03', owner = 'cy' WHERE id = 4;
UPDATE l SET stage = 'sal', day = '2024-01-04' WHERE id = 3;
CREATE VIEW flow AS
SELECT day, stage, concat_ws(' ', source, campaign, owner, segment, currency) AS cell, opening AS open, entries AS i, exits AS o, adjustments AS adj,
       value_in AS v_in, value_out AS v_out, value_adjustments AS v_adj
FROM lead_funnel.funnel_flow WHERE funnel = 'l';
SELECT * FROM flow ORDER BY day, stage, cell;
SELECT day, stage, opening, entries, exits, stock, value_stock FROM lead_funnel.funnel_daily WHERE funnel = 'l' AND day < '2024-01-05' AND stage_rank <= 3 ORDER BY day, stage_rank;
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS $$
SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, source, campaign, owner::text, segment, currency, value FROM l') $$;
SELECT * FROM l_check();

-- changes without a move are adjustments of today; none if they change nothing; those within a transaction add up
BEGIN;
UPDATE l SET owner = 'dee' WHERE id = 1;
UPDATE l SET value = value + 1;
UPDATE l SET value = value - 1, source = ' ' || source || ' ' WHERE id = 2;
UPDATE l SET value = value * 1.000, campaign = nullif(campaign, ''), owner = NULL WHERE id = 2;
COMMIT;
SELECT stage, cell, adj, v_adj FROM flow WHERE day > '2024-01-04' ORDER BY stage, cell;
SELECT stage, source, owner, leads, value FROM lead_funnel.funnel_stages WHERE funnel = 'l' ORDER BY stage_rank, source, owner;
SELECT * FROM l_check();
DROP VIEW flow;

-- values: exact whatever the order and scale; NaN, infinity, NULL and nothing at all count zero; huge and tiny ones
CREATE TABLE v (id int PRIMARY KEY, stage lead_stage, value numeric, f float8, r real, i bigint);
CREATE FUNCTION v_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS $$
SELECT * FROM check_funnel('v', 'SELECT id AS lead, stage, CASE WHEN value IN (''NaN'', ''Infinity'', ''-Infinity'') THEN 0 ELSE round(value, 30) END AS value FROM v') $$;
SELECT lead_funnel.attach('v', 'stage', value_column => 'value');
INSERT INTO v SELECT i, 'lead', 0.1 * i FROM generate_series(1, 1000) i;
UPDATE v SET value = value / 3 WHERE id % 2 = 0;
UPDATE v SET stage = 'mql' WHERE id % 3 = 0;
UPDATE v SET value = 'NaN' WHERE id <= 10;
UPDATE v SET value = 'Infinity' WHERE id BETWEEN 6 AND 15;
UPDATE v SET stage = 'nurture' WHERE id IN (4, 6, 9);
UPDATE v SET value = '-Infinity' WHERE id BETWEEN 8 AND 9;
UPDATE v SET value = NULL WHERE id BETWEEN 9 AND 20;
UPDATE v SET value = 1e29 WHERE id = 21;
UPDATE v SET value = -1e29 WHERE id = 22;
UPDATE v SET value = 1e-200 WHERE id = 23;
UPDATE v SET value = -0.00 WHERE id = 24;
SELECT stage, leads, value = (SELECT sum(CASE WHEN value IN ('NaN', 'Infinity', '-Infinity') THEN 0 ELSE round(value, 30) END) FROM v WHERE v.stage = s.stage) AS exact
FROM lead_funnel.funnel_stages s WHERE funnel = 'v' ORDER BY stage_rank;
SELECT * FROM v_check();
SELECT max(length(value::text)) < 100 AS short FROM lead_funnel.funnel_stages WHERE funnel = 'v';
-- so large that a sum could be beyond what numeric holds: as missing
INSERT INTO v SELECT 2000 + i, 'lead', 9 * 10::numeric ^ 131071 FROM generate_series(1, 2) i;
INSERT INTO v SELECT 2010 + i, 'lead', -9 * 10::numeric ^ 131071 FROM generate_series(1, 2) i;
SELECT stage, leads, value < 1e30 AS value FROM lead_funnel.funnel_stages WHERE funnel = 'v' ORDER BY stage_rank;
SELECT * FROM lead_funnel.verify('v');
DELETE FROM v WHERE id > 2000;
SELECT * FROM v_check();
-- the other types of a value
SELECT lead_funnel.alter_funnel('v', value_column => 'f');
UPDATE v SET f = CASE id % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN 1e300 ELSE 0.1 END::float8 WHERE id < 100;
SELECT * FROM check_funnel('v', 'SELECT id AS lead, stage, CASE WHEN id < 100 AND id % 5 > 2 THEN 0.1 END AS value FROM v');
SELECT lead_funnel.alter_funnel('v', value_column => 'r');
UPDATE v SET r = CASE id % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN 3e38 ELSE 0.25 END::real WHERE id < 100;
SELECT * FROM check_funnel('v', 'SELECT id AS lead, stage, CASE WHEN id < 100 AND id % 5 > 2 THEN 0.25 END AS value FROM v');
SELECT lead_funnel.alter_funnel('v', value_column => 'i');
UPDATE v SET i = CASE id WHEN 1 THEN 9223372036854775807 WHEN 2 THEN -9223372036854775808 ELSE id END;
SELECT stage, leads, trim_scale(value) AS value FROM lead_funnel.funnel_stages WHERE funnel = 'v' ORDER BY stage_rank;
SELECT * FROM check_funnel('v', 'SELECT id AS lead, stage, i AS value FROM v');
SELECT lead_funnel.detach('v', purge => true);

-- dimensions: blank, quoted, very long, many; uuid, boolean, enum; one column in two places
CREATE TYPE colour AS ENUM ('red', 'light blue');
CREATE TABLE w (id bigint PRIMARY KEY, stage lead_stage DEFAULT 'lead', s text, b boolean, u uuid, c colour, value int);
SELECT lead_funnel.attach('w', 'stage', source_column => 's', campaign_column => 'b', owner_column => 'u', segment_column => 'c', currency_column => 's', value_column => 'value');
CREATE FUNCTION w_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS $$
SELECT * FROM check_funnel('w', 'SELECT id AS lead, stage, s AS source, b AS campaign, u AS owner, c AS segment, s AS currency, value FROM w') $$;
INSERT INTO w SELECT i, 'lead', v, i % 2 = 0, ('00000000-0000-0000-0000-00000000000' || i)::uuid, CASE WHEN i % 3 = 0 THEN 'light blue' END::colour, i
FROM unnest(ARRAY[NULL, '', E' \t\r\n', 'it''s', '(none)', '"', repeat('long ', 2000) || 'x', (SELECT string_agg(md5(i::text), '' ORDER BY i) FROM generate_series(1, 3000) i), 'NULL'])
    WITH ORDINALITY AS u (v, i);
SELECT left(source, 8) AS source, length(source) AS length, left(currency, 8) AS currency, campaign, segment, leads, value
FROM lead_funnel.funnel_stages WHERE funnel = 'w' ORDER BY value;
UPDATE w SET stage = 'mql' WHERE id > 6;
UPDATE w SET s = s || '!', c = 'red' WHERE id IN (7, 8);
UPDATE w SET s = repeat('y', 1000000), u = NULL WHERE id = 7;
SELECT * FROM w_check();
DELETE FROM w;
INSERT INTO w (id, s, value) SELECT i, 's' || i % 400, 1 FROM generate_series(1, 4000) i;
UPDATE w SET s = 's' || (id + 1) % 400, stage = CASE WHEN id % 7 = 0 THEN 'mql' ELSE stage END;
SELECT count(*), sum(leads), sum(value) FROM lead_funnel.funnel_stages WHERE funnel = 'w';
SELECT * FROM w_check();

-- a fold changes no number: with changes of the same transaction before and after it, rolled back, in each isolation level
CREATE FUNCTION numbers() RETURNS text LANGUAGE sql AS $$
SELECT md5(string_agg(n, ',' ORDER BY n)) FROM (
    SELECT s::text AS n FROM (SELECT stage, source, leads, value::float8 FROM lead_funnel.funnel_stages WHERE funnel = 'w') s
    UNION ALL SELECT f::text FROM (SELECT stage, source, day, opening, entries, exits, adjustments, value_in::float8 FROM lead_funnel.funnel_flow WHERE funnel = 'w') f) x $$;
SELECT numbers() AS before \gset
SELECT lead_funnel.compact();
SELECT numbers() = :'before' AS same, (SELECT pending_deltas FROM lead_funnel.funnel_health WHERE funnel = 'w') AS pending;
SELECT lead_funnel.compact();
SELECT numbers() = :'before' AS same;
BEGIN;
UPDATE w SET stage = 'mql' WHERE id <= 3;
SAVEPOINT a;
UPDATE w SET stage = 'sal' WHERE id = 3;
SELECT lead_funnel.compact();
UPDATE w SET stage = 'sal' WHERE id = 2;
SELECT * FROM w_check();
ROLLBACK TO a;
SELECT lead_funnel.compact();
UPDATE w SET stage = 'nurture' WHERE id = 2;
COMMIT;
SELECT * FROM w_check();
BEGIN;
UPDATE w SET stage = 'nurture' WHERE id = 3;
SELECT lead_funnel.rebuild('w');
UPDATE w SET stage = 'mql' WHERE id = 3;
COMMIT;
SELECT * FROM w_check();
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE w SET stage = 'sal' WHERE id = 3;
SELECT lead_funnel.compact();
UPDATE w SET stage = 'sql' WHERE id = 3;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE w SET stage = 'opportunity' WHERE id = 3;
SELECT lead_funnel.compact();
ROLLBACK;
SELECT * FROM w_check();
SELECT numbers() AS before \gset
SELECT lead_funnel.rebuild('w');
SELECT numbers() = :'before' AS same, (SELECT pending_deltas FROM lead_funnel.funnel_health WHERE funnel = 'w') AS pending;
-- many small transactions, some of which fold on their own
DO $$ BEGIN FOR i IN 1 .. 1500 LOOP
    UPDATE w SET s = 'x' || i % 5, value = i WHERE id = 10 + i % 50;
    UPDATE l SET value = i WHERE id = 4;
    COMMIT;
END LOOP; END $$;
-- not to do so would take that none of 500 transactions looked whether it is due, of either funnel
SELECT funnel, pending_deltas < 1500 AS folded FROM lead_funnel.funnel_health WHERE funnel IN ('l', 'w') ORDER BY 1;
SELECT * FROM w_check();
-- folds do not leave more and more rows of a day
RESET ROLE;
SELECT funnel_id FROM lead_funnel.funnel WHERE name = 'w' \gset
DO $$ BEGIN FOR i IN 1 .. 40 LOOP
    UPDATE st.w SET value = i WHERE id = 3;
    COMMIT;
    PERFORM lead_funnel._fold(funnel_id) FROM lead_funnel.funnel WHERE name = 'w';
END LOOP; END $$;
SELECT max(n) BETWEEN 2 AND 8 AS some FROM (SELECT count(*) AS n FROM lead_funnel.flow_cell WHERE funnel_id = :funnel_id GROUP BY day, stage, source, campaign, owner, segment, currency) AS c;
SET ROLE regress_st_owner;
SELECT * FROM w_check();
SELECT numbers() AS before \gset
SELECT lead_funnel.rebuild('w');
SELECT numbers() = :'before' AS same;
TRUNCATE w;
SELECT sum(entries - exits + adjustments), sum(value_in - value_out + value_adjustments) FROM lead_funnel.funnel_flow WHERE funnel = 'w';
SELECT * FROM w_check();

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{l,w}'::name[]) f;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA st CASCADE;
DROP OWNED BY regress_st_owner;
DROP ROLE regress_st_owner;
