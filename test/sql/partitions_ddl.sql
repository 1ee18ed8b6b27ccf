-- ATTACH PARTITION of rows that cannot come in, or come in again; DETACH PARTITION CONCURRENTLY, in transactions of its own
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;

CREATE SCHEMA pd;
SET search_path = pd, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

CREATE TABLE l (id int, region text, status text, handed timestamptz) PARTITION BY LIST (region);
CREATE TABLE l1 PARTITION OF l FOR VALUES IN ('a');
CREATE TABLE l2 PARTITION OF l FOR VALUES IN ('b');
SELECT lead_funnel.attach('l', 'status', key_column => 'id', handover_column => 'handed', preset => 'open');
RESET client_min_messages;
CREATE VIEW moves AS
SELECT lead_id AS lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-') || CASE origin WHEN 'write' THEN '' ELSE ' (' || origin || ')' END,
                                   ', ' ORDER BY move) AS moves
FROM lead_funnel.funnel_history WHERE funnel = 'l' GROUP BY lead_id;
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS
$$ SELECT * FROM check_funnel('l', 'SELECT id AS lead, status AS stage FROM l') $$;
INSERT INTO l VALUES (1, 'a', 'mql'), (2, 'b', 'mql'), (3, 'b', 'sal');

-- the leads of a partition that is detached are out of the funnel, whichever way it goes
SET default_transaction_isolation = 'repeatable read';
ALTER TABLE l DETACH PARTITION l2 CONCURRENTLY;
RESET default_transaction_isolation;
SELECT * FROM moves ORDER BY lead;
SELECT * FROM l_check();
UPDATE l2 SET status = 'anything' WHERE id = 3;

-- neither a status that means nothing nor a second row of a lead comes in
ALTER TABLE l ATTACH PARTITION l2 FOR VALUES IN ('b');
UPDATE l2 SET status = 'sql' WHERE id = 3;
INSERT INTO l2 VALUES (1, 'b', 'won');
ALTER TABLE l ATTACH PARTITION l2 FOR VALUES IN ('b');
DELETE FROM l2 WHERE id = 1;
ALTER TABLE l ATTACH PARTITION l2 FOR VALUES IN ('b');
SELECT * FROM moves ORDER BY lead;
SELECT * FROM l_check();

-- nor does a table that is a funnel of its own
CREATE TABLE own (id int PRIMARY KEY, region text, status text, handed timestamptz);
SELECT lead_funnel.attach('own', 'status');
ALTER TABLE l ATTACH PARTITION own FOR VALUES IN ('c');

-- a hand-over that was given before is not given again by a move to another partition
UPDATE l SET handed = '2026-01-01 12:00+00' WHERE id = 1;
UPDATE l SET region = 'b' WHERE id = 1;
SELECT * FROM moves ORDER BY lead;
SELECT lead_id, handed_over_at = '2026-01-01 12:00+00' AS kept FROM lead_funnel.lead_milestones WHERE funnel = 'l' AND lead_id = 1;
SELECT * FROM l_check();

-- partitions that go with a schema or an owner; what is wrong elsewhere is in nobody's way, nor is the isolation level
SET client_min_messages = warning;
CREATE TABLE other (id int, region text, status text) PARTITION BY LIST (region);
CREATE TABLE other1 PARTITION OF other FOR VALUES IN ('a');
SELECT lead_funnel.attach('other', 'status', key_column => 'id');
ALTER TABLE other1 DISABLE TRIGGER USER;
INSERT INTO other VALUES (1, 'a', 'means nothing');
ALTER TABLE other1 ENABLE TRIGGER USER;
CREATE ROLE regress_pd_owner;
CREATE SCHEMA pd_old;
CREATE SCHEMA pd_owned AUTHORIZATION regress_pd_owner;
CREATE TABLE pd_old.l3 PARTITION OF l FOR VALUES IN ('c') PARTITION BY LIST (id);
CREATE TABLE pd_old.l31 PARTITION OF pd_old.l3 FOR VALUES IN (31);
CREATE TABLE l32 PARTITION OF pd_old.l3 DEFAULT;
CREATE TABLE l4 PARTITION OF l FOR VALUES IN ('d') PARTITION BY LIST (id);
CREATE TABLE pd_old.l41 PARTITION OF l4 FOR VALUES IN (41);
CREATE TABLE l42 PARTITION OF l4 FOR VALUES IN (42);
CREATE TABLE l43 PARTITION OF l4 FOR VALUES IN (43);
CREATE TABLE pd_owned.l44 PARTITION OF l4 FOR VALUES IN (44);
ALTER TABLE l42 OWNER TO regress_pd_owner;
INSERT INTO l SELECT n, CASE WHEN n < 40 THEN 'c' ELSE 'd' END, 'mql' FROM unnest('{31,32,41,42,43,44}'::int[]) n;
BEGIN ISOLATION LEVEL REPEATABLE READ;
DROP SCHEMA pd_old CASCADE;
COMMIT;
SELECT * FROM moves WHERE lead > 30 ORDER BY lead;
SELECT * FROM l_check();
-- the schema is not empty: neither it nor anything else goes
DROP OWNED BY regress_pd_owner;
SELECT * FROM moves WHERE lead > 41 ORDER BY lead;
DROP OWNED BY regress_pd_owner CASCADE;
SELECT * FROM moves WHERE lead > 41 ORDER BY lead;
SELECT * FROM l_check();
DROP ROLE regress_pd_owner;
-- a table goes with the type of the column that it is partitioned by, and stays without that of another column
CREATE SCHEMA pd_types;
CREATE TYPE pd_types.kind AS ENUM ('x', 'y');
CREATE TABLE k (id int, region text, status text, kind pd_types.kind, other pd_types.kind) PARTITION BY LIST (region);
CREATE TABLE k_a PARTITION OF k FOR VALUES IN ('a');
CREATE TABLE k_b PARTITION OF k FOR VALUES IN ('b') PARTITION BY LIST (kind);
CREATE TABLE k_bx PARTITION OF k_b FOR VALUES IN ('x');
SELECT lead_funnel.attach('k', 'status', key_column => 'id');
INSERT INTO k VALUES (1, 'a', 'lead', 'x', 'y'), (2, 'b', 'lead', 'x', 'y');
DROP SCHEMA pd_types CASCADE;
SELECT lead_id, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'k' ORDER BY lead_id, move;
SELECT id, status FROM k;
SELECT * FROM lead_funnel.verify('k');

SELECT lead_funnel.detach(f.name, purge => true) FROM lead_funnel.funnel AS f WHERE f.name IN ('l', 'own', 'other', 'k');
DROP SCHEMA pd CASCADE;
