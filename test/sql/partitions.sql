-- partitions: moves between them, writes aimed at one, TRUNCATE, ATTACH, DETACH, DROP, other column orders, sub-partitions

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_pt_owner;
CREATE SCHEMA pt AUTHORIZATION regress_pt_owner;
SET ROLE regress_pt_owner;
SET search_path = pt, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

-- p2 was a table of its own, with dropped columns and another order; p3 has partitions of its own
CREATE TABLE l (id int, region text, stage lead_stage DEFAULT 'lead', owner text, at timestamptz, reason text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE l1 PARTITION OF l FOR VALUES IN ('a');
CREATE TABLE l2 (old1 text, at timestamptz, owner text, old2 int, reason text, stage lead_stage DEFAULT 'lead', region text NOT NULL, id int NOT NULL, PRIMARY KEY (id, region));
ALTER TABLE l2 DROP old1, DROP old2;
ALTER TABLE l ATTACH PARTITION l2 FOR VALUES IN ('b');
CREATE TABLE l3 PARTITION OF l FOR VALUES IN ('c', 'd') PARTITION BY RANGE (id);
CREATE TABLE l31 PARTITION OF l3 FOR VALUES FROM (0) TO (100);
CREATE TABLE l32 PARTITION OF l3 FOR VALUES FROM (100) TO (1000);
INSERT INTO l SELECT i, r, 'mql', 'ann' FROM unnest('{a,b,c}'::text[]) WITH ORDINALITY AS u (r, i);
SELECT lead_funnel.attach('l', 'stage', key_column => 'id', owner_column => 'owner', entered_column => 'at', reason_column => 'reason');
CREATE VIEW moves AS
SELECT lead_id AS lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-') || CASE origin WHEN 'write' THEN '' ELSE ' (' || origin || ')' END,
                                   ', ' ORDER BY move) AS moves
FROM lead_funnel.funnel_history WHERE funnel = 'l' GROUP BY lead_id;
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS
$$ SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, owner FROM l') $$;
SELECT * FROM l_check();

-- moves inside of a partition, and to another one: alone, with a stage, with dimensions; not a second entry
UPDATE l SET stage = 'sal' WHERE id <= 3;
UPDATE l SET region = 'b' WHERE id = 1;
UPDATE l SET region = 'c', stage = 'sql' WHERE id = 2;
UPDATE l SET region = 'a', stage = 'sql', owner = 'bob' WHERE id = 3;
UPDATE l SET region = 'd', stage = 'won' WHERE id = 1;             -- fails: judged as a move, not as an entry
UPDATE l SET region = CASE region WHEN 'a' THEN 'b' WHEN 'b' THEN 'c' ELSE 'a' END, stage = CASE stage WHEN 'sal' THEN 'sql' ELSE 'opportunity' END::lead_stage;
SELECT id, tableoid::regclass, region, stage, owner, at IS NOT NULL AS stamped FROM l ORDER BY id;
SELECT * FROM moves;
SELECT count(*) FROM lead_funnel.lead_visits WHERE funnel = 'l' AND exit_to IS NULL AND exited_at IS NOT NULL;
SELECT * FROM l_check();
-- a reason and a date that the row had before are not given by a move to another partition
UPDATE l SET stage = 'recycled', reason = 'too small' WHERE id = 1;
UPDATE l SET stage = 'mql', at = '2020-01-01' WHERE id = 1;         -- fails
UPDATE l SET stage = 'mql' WHERE id = 1;
UPDATE l SET stage = 'rejected', region = 'd' WHERE id = 1;         -- fails: no reason
UPDATE l SET stage = 'rejected', region = 'd', reason = 'no budget' WHERE id = 1;
UPDATE l SET stage = 'nurture', region = 'a', at = at WHERE id = 1;
SELECT lead, from_stage, to_stage, reason FROM lead_funnel.funnel_history
WHERE funnel = 'l' AND lead_id = 1 ORDER BY move;

-- with a change of the key: alone, on many rows, swapped
INSERT INTO l SELECT i, 'a', 'mql' FROM generate_series(11, 14) i;
UPDATE l SET id = 15, region = 'b' WHERE id = 11;
UPDATE l SET stage = 'nurture' WHERE id = 15;
UPDATE l SET id = id + 100, region = 'c', stage = 'sal' WHERE id IN (12, 13);
UPDATE l SET id = 29 - id, region = CASE id WHEN 14 THEN 'c' ELSE 'd' END WHERE id IN (14, 15);
SELECT id, tableoid::regclass, stage FROM l WHERE id > 3 ORDER BY id;
SELECT * FROM moves WHERE lead > 3;
SELECT * FROM l_check();

-- beside other statements: a CTE that deletes and inserts, MERGE, upsert
WITH d AS (DELETE FROM l WHERE id = 14 RETURNING *), u AS (UPDATE l SET region = 'a', stage = 'sql' WHERE id = 112)
INSERT INTO l SELECT id, 'd', 'lead', 'cte' FROM d;
MERGE INTO l USING (VALUES (112, 'b', 'opportunity'), (200, 'c', 'lead')) AS s (id, region, stage) ON l.id = s.id
WHEN MATCHED THEN UPDATE SET region = s.region, stage = s.stage::lead_stage
WHEN NOT MATCHED THEN INSERT (id, region, stage) VALUES (s.id, s.region, s.stage::lead_stage);
INSERT INTO l VALUES (200, 'c', 'mql') ON CONFLICT (id, region) DO UPDATE SET stage = EXCLUDED.stage;
SELECT * FROM moves WHERE lead IN (14, 112, 200);
SELECT * FROM l_check();

-- user triggers around the two halves; a target that swallows the row
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN NEW.owner = 'nobody' THEN NULL ELSE NEW END; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON l2 FOR EACH ROW EXECUTE FUNCTION swallow();
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET stage = 'opportunity' WHERE id = NEW.id AND stage = 'sql';
    INSERT INTO l VALUES (NEW.id + 500, 'a', 'mql', TG_NAME);
    RETURN NULL;
END
$$;
CREATE TRIGGER a_again AFTER INSERT ON l1 FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id IN (31, 32)) EXECUTE FUNCTION again();
CREATE TRIGGER z_again AFTER INSERT ON l31 FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id IN (33, 34)) EXECUTE FUNCTION again();
INSERT INTO l SELECT i, 'b', 'mql' FROM generate_series(31, 36) i;
UPDATE l SET stage = 'sal' WHERE id BETWEEN 31 AND 36;
UPDATE l SET stage = 'sql', region = CASE WHEN id <= 32 THEN 'a' ELSE 'c' END WHERE id BETWEEN 31 AND 34;
UPDATE l SET region = 'a' WHERE id IN (35, 36);
UPDATE l SET region = 'b', owner = CASE id WHEN 35 THEN 'nobody' END WHERE id IN (35, 36);
BEGIN;
UPDATE l SET region = 'a' WHERE id = 36;
UPDATE l SET region = 'b', owner = 'nobody' WHERE id = 36;
INSERT INTO l VALUES (36, 'b', 'lead', 'new'), (37, 'b', 'mql', 'new');
COMMIT;
SELECT * FROM moves WHERE lead BETWEEN 31 AND 40 OR lead IN (112) OR lead > 500;
SELECT * FROM l_check();
-- a key that changes on the way to another partition, while a trigger between the halves moves other leads there and back
CREATE FUNCTION in_between() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET region = CASE region WHEN 'a' THEN 'b' ELSE 'a' END, id = id + 1 WHERE id BETWEEN 77 AND 80;
    RETURN NULL;
END
$$;
INSERT INTO l SELECT i, 'b', 'mql', 'old ' || i FROM generate_series(74, 77) i;
CREATE TRIGGER a_between AFTER DELETE ON l2 FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.id IN (74, 75)) EXECUTE FUNCTION in_between();
CREATE TRIGGER z_between AFTER DELETE ON l2 FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.id IN (75, 76)) EXECUTE FUNCTION in_between();
UPDATE l SET region = 'a', id = id + 10, stage = 'sal' WHERE id BETWEEN 74 AND 76;
SELECT id, region, m.moves FROM l LEFT JOIN moves m ON m.lead = l.id WHERE owner LIKE 'old %' ORDER BY id;
DELETE FROM l WHERE owner LIKE 'old %';
SELECT * FROM l_check();
-- the same inside of a trigger: the half that got lost belongs to no later INSERT
CREATE TABLE call (id int);
CREATE FUNCTION called() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET region = 'b', owner = 'nobody' WHERE id = NEW.id;
    INSERT INTO l VALUES (NEW.id + 5, 'a', 'mql');
    INSERT INTO l VALUES (NEW.id, 'a', 'mql');
    RETURN NULL;
END
$$;
CREATE TRIGGER called AFTER INSERT ON call FOR EACH ROW EXECUTE FUNCTION called();
INSERT INTO call VALUES (33);
SELECT * FROM moves WHERE lead IN (33, 38);
SELECT * FROM l_check();
-- a trigger before ours moves the lead to a partition that the outer statement has not opened, and on there
CREATE FUNCTION hop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET region = 'b', stage = 'sql' WHERE id = NEW.id;
    INSERT INTO l2 (id, region) VALUES (NEW.id, 'b') ON CONFLICT (id, region) DO UPDATE SET stage = 'opportunity';
    DELETE FROM l2 WHERE id = NEW.id AND id = 40;
    INSERT INTO l2 (id, region, stage) SELECT 40, 'b', 'mql' WHERE NEW.id = 40;
    RETURN NULL;
END
$$;
CREATE TRIGGER a_hop AFTER UPDATE OF stage ON l1 FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION hop();
INSERT INTO l SELECT i, 'a', 'mql' FROM generate_series(39, 40) i;
UPDATE l SET stage = 'sal' WHERE id IN (39, 40) AND region = 'a';
SELECT * FROM moves WHERE lead IN (39, 40);
SELECT * FROM l_check();
DROP TRIGGER a_hop ON l1;
DROP TRIGGER swallow ON l2;
DROP TRIGGER a_again ON l1;
DROP TRIGGER z_again ON l31;

-- statements aimed at one partition
INSERT INTO l2 (id, region, stage) VALUES (41, 'b', 'mql');
INSERT INTO l2 (id, region, stage) SELECT i, 'b', 'lead' FROM generate_series(42, 46) i;
INSERT INTO l31 (id, region, stage) VALUES (47, 'd', 'won');        -- fails
UPDATE l2 SET stage = 'mql' WHERE id BETWEEN 42 AND 44;
UPDATE l2 SET stage = 'won' WHERE id = 41;                          -- fails
UPDATE l3 SET stage = 'nurture', region = 'c' WHERE id = 14;
UPDATE l2 SET region = 'a' WHERE id = 43;                           -- fails: not a row of it
UPDATE l3 SET stage = 'mql', id = 99 WHERE id = 14;
DELETE FROM l2 WHERE id = 46;
COPY l2 (id, region, stage, owner) FROM stdin;
48	b	mql	cop
49	b	lead	cop
\.
INSERT INTO l1 VALUES (49, 'a', 'mql');                             -- fails: the key is in another partition
SELECT * FROM moves WHERE lead BETWEEN 41 AND 99;
SELECT * FROM l_check();

-- TRUNCATE of a partition, of one with partitions, of all; rolled back
SELECT tableoid::regclass, count(*) FROM l GROUP BY 1 ORDER BY 1;
BEGIN;
TRUNCATE l2;
INSERT INTO l VALUES (41, 'b', 'lead'), (42, 'a', 'lead');
SELECT * FROM l_check();
ROLLBACK;
TRUNCATE l2;
TRUNCATE l3;
SELECT * FROM moves WHERE lead IN (41, 45, 99, 113);
SELECT * FROM l_check();
BEGIN;
SAVEPOINT s;
TRUNCATE l;
ROLLBACK TO s;
INSERT INTO l VALUES (41, 'b', 'lead');
COMMIT;
SELECT * FROM l_check();
TRUNCATE l;
INSERT INTO l VALUES (41, 'b', 'mql'), (42, 'c', 'lead');
SELECT * FROM moves WHERE lead IN (3, 41, 42);
SELECT * FROM l_check();

-- new partitions; ATTACH with rows; DETACH; DROP; in REPEATABLE READ, too
CREATE TABLE l4 PARTITION OF l FOR VALUES IN ('e');
CREATE TABLE l5 (LIKE l INCLUDING DEFAULTS);
INSERT INTO l5 SELECT i, 'f', 'sql', 'ann' FROM generate_series(51, 53) i;
BEGIN ISOLATION LEVEL REPEATABLE READ;
CREATE TABLE l6 PARTITION OF l FOR VALUES IN ('g') PARTITION BY HASH (id);
CREATE TABLE l61 PARTITION OF l6 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
ALTER TABLE l ATTACH PARTITION l5 FOR VALUES IN ('f');
INSERT INTO l VALUES (61, 'e', 'mql'), (62, 'g', 'mql');
UPDATE l SET stage = 'opportunity' WHERE id = 51;
COMMIT;
SELECT * FROM moves WHERE lead BETWEEN 51 AND 69;
SELECT * FROM l_check();
ALTER TABLE l DETACH PARTITION l5;
UPDATE l5 SET stage = 'lead';
DROP TABLE l6;
SELECT * FROM l_check();
INSERT INTO l5 VALUES (41, 'f', 'lead');
ALTER TABLE l ATTACH PARTITION l5 FOR VALUES IN ('f');              -- fails: lead 41 is there already
DELETE FROM l5 WHERE id = 41;
ALTER TABLE l ATTACH PARTITION l5 FOR VALUES IN ('f');
UPDATE l SET region = 'b', stage = 'mql' WHERE id = 52;
BEGIN;
ALTER TABLE l DETACH PARTITION l5;
DROP TABLE l4;
ROLLBACK;
INSERT INTO l VALUES (63, 'e', 'lead');
SELECT * FROM moves WHERE lead BETWEEN 51 AND 69;
SELECT * FROM l_check();
SELECT c.relname, count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'pt'::regnamespace AND t.tgname LIKE 'lead\_funnel\_%' GROUP BY 1 ORDER BY 1;

RESET ROLE;
SET client_min_messages = warning;
SELECT lead_funnel.detach('l', purge => true);
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lead\_funnel\_%' AND NOT tgisinternal AND tgrelid::regclass::text LIKE 'l%';
DROP SCHEMA pt CASCADE;
DROP OWNED BY regress_pt_owner;
DROP ROLE regress_pt_owner;
