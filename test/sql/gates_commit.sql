-- gates that are judged at commit: on the row as it is then, wherever it has gone, for every move of the transaction

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
DROP ROLE IF EXISTS regress_gc_sales;
RESET client_min_messages;
SET timezone = 'UTC';
CREATE SCHEMA gc;
SET search_path = gc, public;
CREATE TABLE l (id int PRIMARY KEY, stage lead_stage, q qualification, score int, owner text, deleted boolean);
INSERT INTO l SELECT i, 'mql' FROM generate_series(1, 60) i;
SELECT lead_funnel.attach('l', 'stage', qualification_column => 'q', score_column => 'score', owner_column => 'owner', excluded_column => 'deleted');
SELECT lead_funnel.use_gates('l', 'bant', check_at => 'commit');
CREATE VIEW moves AS
SELECT lead_id, from_stage, to_stage, origin, reason, score, qualification FROM lead_funnel.funnel_history WHERE funnel = 'l' AND origin <> 'backfill';

-- the form saves the stage first and BANT second; a statement alone is a transaction
UPDATE l SET stage = 'sal' WHERE id = 1;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 1;
UPDATE l SET q = 'bant(budget=1,need=2,timeline=1)', score = 7 WHERE id = 1;
COMMIT;
SELECT * FROM moves;
-- what is fine at the statement may not be at commit
BEGIN;
UPDATE l SET stage = 'sal', q = 'bant(budget=1,need=2,timeline=1)' WHERE id = 2;
UPDATE l SET q = set_level(q, 'need', 0) WHERE id = 2;
COMMIT;
SELECT stage, q FROM l WHERE id = 2;
-- graph, reasons and roles are judged at once
BEGIN;
UPDATE l SET stage = 'sql' WHERE id = 3;
ROLLBACK;
CREATE ROLE regress_gc_sales;
GRANT USAGE ON SCHEMA gc TO regress_gc_sales;
GRANT SELECT, UPDATE ON l TO regress_gc_sales;
SELECT lead_funnel.allow('l', 'mql', 'sal', allowed_role => 'regress_gc_sales', requires => 'bant(need=1)', check_at => 'commit');
SET ROLE regress_gc_sales;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 3;
UPDATE l SET q = 'bant(need=1)' WHERE id = 3;
COMMIT;
RESET ROLE;
SELECT lead_funnel.allow('l', 'mql', 'sal', requires => 'bant(need=1)', check_at => 'commit');

-- several moves of one lead, each by its gate; also one that is taken back
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 4;
UPDATE l SET stage = 'sql' WHERE id = 4;
UPDATE l SET q = 'bant(need=3)' WHERE id = 4;
COMMIT;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 4;
UPDATE l SET stage = 'sql' WHERE id = 4;
UPDATE l SET q = bant(2, 1, 2, 2) WHERE id = 4;
COMMIT;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 5;
UPDATE l SET stage = 'disqualified' WHERE id = 5;
COMMIT;
SELECT * FROM moves WHERE lead_id IN (4, 5);
-- several leads, one of which fails
BEGIN;
UPDATE l SET stage = 'sal' WHERE id BETWEEN 6 AND 9;
UPDATE l SET q = 'bant(need=1)' WHERE id IN (6, 7, 9);
COMMIT;
SELECT count(*) FROM l WHERE stage = 'sal' AND id BETWEEN 6 AND 9;

-- subtransactions: what is rolled back is not judged, what is released is
BEGIN;
SAVEPOINT a;
UPDATE l SET stage = 'sal' WHERE id = 10;
ROLLBACK TO a;
UPDATE l SET stage = 'sal', q = 'bant(need=1)' WHERE id = 11;
SAVEPOINT b;
UPDATE l SET q = NULL WHERE id = 11;
ROLLBACK TO b;
COMMIT;
BEGIN;
SAVEPOINT a;
UPDATE l SET stage = 'sal' WHERE id = 10;
RELEASE a;
COMMIT;
SELECT id, stage FROM l WHERE id IN (10, 11);

-- the row is gone or out of the funnel by then: as it was when it moved
BEGIN; UPDATE l SET stage = 'sal' WHERE id = 12; DELETE FROM l WHERE id = 12; COMMIT;
BEGIN; UPDATE l SET stage = 'sal', q = 'bant(need=1)' WHERE id = 12; DELETE FROM l WHERE id = 12; COMMIT;
BEGIN; UPDATE l SET stage = 'sal' WHERE id = 13; UPDATE l SET q = 'bant(need=1)', deleted = true WHERE id = 13; COMMIT;
BEGIN; UPDATE l SET stage = 'sal', q = 'bant(need=1)' WHERE id = 13; UPDATE l SET q = NULL, deleted = true WHERE id = 13; COMMIT;
BEGIN; UPDATE l SET stage = 'sal', q = 'bant(need=1)' WHERE id = 14; TRUNCATE l; INSERT INTO l SELECT i, 'mql' FROM generate_series(14, 60) i; COMMIT;
SELECT * FROM moves WHERE lead_id BETWEEN 12 AND 13;

-- the key changes: alone, twice, to one that another lead has given up, in a circle, and back again
BEGIN; UPDATE l SET stage = 'sal' WHERE id = 20; UPDATE l SET id = 120 WHERE id = 20; UPDATE l SET id = 220, q = 'bant(need=1)' WHERE id = 120; COMMIT;
BEGIN; UPDATE l SET stage = 'sal' WHERE id = 21; UPDATE l SET id = 121 WHERE id = 21; INSERT INTO l VALUES (21, 'mql', 'bant(need=1)'); COMMIT;
BEGIN; UPDATE l SET stage = 'sal' WHERE id = 21; UPDATE l SET id = 121, q = 'bant(need=2)' WHERE id = 21; INSERT INTO l VALUES (21, 'mql'); COMMIT;
BEGIN; UPDATE l SET stage = 'sal', q = 'bant(need=1)' WHERE id = 22; DELETE FROM l WHERE id = 22;
UPDATE l SET stage = 'sal' WHERE id = 23; UPDATE l SET id = 22, q = 'bant(need=3)', score = 5 WHERE id = 23; COMMIT;
SELECT lead_id, move, from_stage, to_stage, score, qualification FROM lead_funnel.funnel_history WHERE funnel = 'l' AND lead_id IN (20, 21, 120, 121, 220, 22, 23) ORDER BY 1, 2;
ALTER TABLE l DROP CONSTRAINT l_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id IN (24, 25);
UPDATE l SET id = 49 - id WHERE id IN (24, 25);
UPDATE l SET q = 'bant(need=1)' WHERE id = 24;
COMMIT;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id IN (24, 25);
UPDATE l SET id = 49 - id, owner = 'was ' || id WHERE id IN (24, 25);
UPDATE l SET q = bant(need => id - 23) WHERE id IN (24, 25);
COMMIT;
SELECT id, stage, q, owner FROM l WHERE id IN (24, 25) ORDER BY 1;
SELECT lead_id, to_stage, qualification FROM moves WHERE lead_id IN (24, 25) AND to_stage = 'sal' ORDER BY 1;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 26;
SAVEPOINT a;
UPDATE l SET id = 126, q = 'bant(need=1)' WHERE id = 26;
ROLLBACK TO a;
COMMIT;

-- PREPARE TRANSACTION judges; deferred triggers of the user's come before
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 30;
PREPARE TRANSACTION 'gc';
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 30;
UPDATE l SET q = 'bant(need=1)' WHERE id = 30;
PREPARE TRANSACTION 'gc';
COMMIT PREPARED 'gc';
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE l SET q = 'bant(need=1)' WHERE id = NEW.id AND q IS NULL; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON l DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 31) EXECUTE FUNCTION late();
UPDATE l SET stage = 'sal' WHERE id = 31;
DROP TRIGGER late ON l;
SELECT id, stage, q FROM l WHERE id IN (30, 31) ORDER BY 1;

-- observe mode: the move itself is the violation; override: as one; the rules of the statement count
SELECT lead_funnel.set_mode('l', 'observe');
BEGIN;
UPDATE l SET stage = 'sal' WHERE id IN (32, 33);
UPDATE l SET q = 'bant(need=1)' WHERE id = 33;
UPDATE l SET owner = 'ann' WHERE id = 32;
UPDATE l SET stage = 'recycled' WHERE id = 32;
COMMIT;
SELECT * FROM moves WHERE lead_id IN (32, 33) AND from_stage IS NOT NULL ORDER BY 1, 3 DESC;
SELECT from_stage, to_stage, constraint_name, moves, last_lead FROM lead_funnel.rule_violations WHERE funnel = 'l';
SELECT lead_funnel.set_mode('l', 'enforce');
BEGIN;
SET LOCAL lead_funnel.override = 'fair';
UPDATE l SET stage = 'sal' WHERE id = 34;
RESET lead_funnel.override;
COMMIT;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 35;
SELECT lead_funnel.allow('l', 'mql', 'sal');
COMMIT;
BEGIN;
SELECT lead_funnel.allow('l', 'mql', 'sal');
UPDATE l SET stage = 'sal' WHERE id = 36;
SELECT lead_funnel.allow('l', 'mql', 'sal', requires => 'bant(need=1)', check_at => 'commit');
COMMIT;
SELECT * FROM moves WHERE lead_id IN (34, 35, 36) AND from_stage IS NOT NULL ORDER BY 1;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 35;
SELECT lead_funnel.suspend('l');
SELECT lead_funnel.resume('l');
COMMIT;
SELECT * FROM lead_funnel.verify('l');

-- partitions with other columns and no index on the key; all rows are looked up in one pass
CREATE TABLE p (part int, id text, stage text, budget int, need text) PARTITION BY LIST (part);
CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0);
CREATE TABLE p1 (need text, junk int, id text, budget int, stage text, part int);
ALTER TABLE p1 DROP junk;
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);
INSERT INTO p SELECT i % 2, 'k' || i, 'mql' FROM generate_series(1, 40) i;
SET client_min_messages = warning;
SELECT lead_funnel.attach('p', 'stage', key_column => 'id');
RESET client_min_messages;
SELECT lead_funnel.bind_qualification('p', 'bant', budget => 'budget', need => 'need');
SELECT lead_funnel.allow('p', 'mql', 'sal', requires => 'bant(budget=2,need=1)', check_at => 'commit');
BEGIN;
UPDATE p SET stage = 'sal' WHERE id <> 'k40';
UPDATE p SET part = 1 - part WHERE id IN ('k1', 'k2', 'k3', 'k4');
UPDATE p SET budget = 2, need = 'slow' WHERE id <> 'k4';
COMMIT;
BEGIN;
UPDATE p SET stage = 'sal' WHERE id <> 'k40';
UPDATE p SET part = 1 - part WHERE id IN ('k1', 'k2', 'k3', 'k4');
UPDATE p SET budget = 2, need = 'slow';
COMMIT;
UPDATE p SET stage = 'sal', part = 1 WHERE id = 'k40';
SELECT count(*), count(*) FILTER (WHERE qualification = 'bant(budget=2,need=1)') AS judged FROM lead_funnel.funnel_history WHERE funnel = 'p' AND to_stage = 'sal';
SELECT * FROM lead_funnel.verify('p');

-- a procedure that commits; COPY and a trigger's own writes
CREATE PROCEDURE save(lead int, known qualification) LANGUAGE plpgsql AS $$ BEGIN UPDATE l SET stage = 'sal' WHERE id = lead; UPDATE l SET q = known WHERE id = lead; COMMIT; END $$;
CALL save(40, NULL);
CALL save(40, 'bant(need=1)');
CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE l SET q = 'bant(need=1)' WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER a_ask AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (NEW.id = 41) EXECUTE FUNCTION ask();
UPDATE l SET stage = 'sal' WHERE id = 41;
SELECT id, stage, q FROM l WHERE id IN (40, 41) ORDER BY 1;
SELECT * FROM lead_funnel.verify('l');

SET client_min_messages = warning;
SELECT count(lead_funnel.detach(f::name, purge => true)) FROM unnest('{l,p}'::text[]) f;
DROP SCHEMA gc CASCADE;
DROP ROLE regress_gc_sales;
