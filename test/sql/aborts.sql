-- aborts: what fails, is cancelled or taken back while the extension has events and numbers of it in memory

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_ab_owner;
CREATE SCHEMA ab AUTHORIZATION regress_ab_owner;
SET ROLE regress_ab_owner;
SET search_path = ab, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

CREATE TABLE l (id int, region text, stage lead_stage DEFAULT 'lead', src text, val numeric) PARTITION BY LIST (region);
CREATE TABLE l1 PARTITION OF l FOR VALUES IN ('a');
CREATE TABLE l2 PARTITION OF l FOR VALUES IN ('b');
CREATE UNIQUE INDEX ON l (id, region);
SET client_min_messages = warning;
SELECT lead_funnel.attach('l', 'stage', key_column => 'id', source_column => 'src', value_column => 'val');
RESET client_min_messages;
CREATE VIEW moves AS
SELECT lead_id AS lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-') || CASE origin WHEN 'write' THEN '' ELSE ' (' || origin || ')' END,
                                   ', ' ORDER BY move) AS moves
FROM lead_funnel.funnel_history WHERE funnel = 'l' GROUP BY lead_id;
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS
$$ SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, src AS source, val AS value FROM l') $$;
INSERT INTO l SELECT i, 'a', 'mql', 'web', 10 FROM generate_series(1, 9) i;

-- some events of a statement were in line when it failed: later moves of these leads do not wait for them
BEGIN;
UPDATE l SET stage = 'sal' WHERE id IN (1, 2);
INSERT INTO l VALUES (10, 'a', 'mql');
SAVEPOINT a;
UPDATE l SET stage = 'sql' WHERE id IN (1, 2, 10);          -- fails: 10, the last one
ROLLBACK TO a;
UPDATE l SET stage = 'recycled' WHERE id IN (1, 10);        -- fails: 10
ROLLBACK TO a;
UPDATE l SET stage = 'sql' WHERE id = 1;
SELECT * FROM moves WHERE lead IN (1, 2, 10);
SELECT stage, source, leads FROM lead_funnel.funnel_stages WHERE funnel = 'l' ORDER BY stage_rank, source;
COMMIT;
SELECT * FROM moves WHERE lead IN (1, 2, 10);
SELECT * FROM l_check();

-- half of a move to another partition was in line: a lead that is inserted later is not its other half
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'lead % stays', OLD.id; END $$;
CREATE TRIGGER z_stay AFTER DELETE ON l FOR EACH ROW WHEN (OLD.src = 'web') EXECUTE FUNCTION stay();
BEGIN;
SAVEPOINT a;
UPDATE l SET region = 'b' WHERE id = 4;                     -- fails
ROLLBACK TO a;
UPDATE l SET src = NULL WHERE id = 4;
DELETE FROM l WHERE id = 4;
SAVEPOINT b;
INSERT INTO l VALUES (4, 'b', 'sal');                       -- fails: it enters
ROLLBACK TO b;
INSERT INTO l VALUES (4, 'b', 'lead');
COMMIT;
UPDATE l SET region = 'b' WHERE id = 5;                     -- fails
UPDATE l SET src = NULL WHERE id = 5;
DELETE FROM l WHERE id = 5;
INSERT INTO l VALUES (5, 'b', 'sal');                       -- fails
INSERT INTO l VALUES (5, 'b', 'lead');
DROP TRIGGER z_stay ON l;
SELECT * FROM moves WHERE lead IN (4, 5);
SELECT * FROM l_check();

-- thousands of rows are journalled while their statement runs: nothing of them is left in the numbers when it fails
INSERT INTO l SELECT i, 'a', CASE i WHEN 4000 THEN 'won' ELSE 'lead' END FROM generate_series(1001, 4000) i;
INSERT INTO l SELECT i, 'a', 'lead' FROM generate_series(11, 12) i;
SELECT * FROM l_check();
BEGIN;
SAVEPOINT a;
INSERT INTO l SELECT i, 'a', CASE i WHEN 4000 THEN 'won' ELSE 'lead' END FROM generate_series(1001, 4000) i;
ROLLBACK TO a;
INSERT INTO l SELECT i, 'a', 'lead' FROM generate_series(13, 14) i;
COMMIT;
SELECT * FROM l_check();
-- the same, in a trigger that goes on
CREATE TABLE call (id int);
CREATE FUNCTION try_many() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO l SELECT i, 'a', 'lead' FROM generate_series(1001, 3500) i;
    BEGIN
        UPDATE l SET stage = CASE id WHEN 3499 THEN 'won' ELSE 'mql' END::lead_stage WHERE id > 1000;
    EXCEPTION WHEN check_violation THEN
        RAISE WARNING '%', SQLERRM;
    END;
    DELETE FROM l WHERE id BETWEEN 1001 AND 3498;
    RETURN NULL;
END
$$;
CREATE TRIGGER call AFTER INSERT ON call FOR EACH ROW EXECUTE FUNCTION try_many();
INSERT INTO call VALUES (1);
SELECT stage, sum(leads) AS leads FROM lead_funnel.funnel_stages WHERE funnel = 'l' GROUP BY stage, stage_rank ORDER BY stage_rank;
SELECT * FROM moves WHERE lead BETWEEN 3498 AND 3500;
SELECT * FROM l_check();

-- cancelled in the middle of a statement: before and after our own trigger, alone, behind a savepoint, caught
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
CREATE TRIGGER a_wait AFTER INSERT OR UPDATE ON l FOR EACH ROW WHEN (NEW.src = 'before') EXECUTE FUNCTION wait();
CREATE TRIGGER z_wait AFTER INSERT OR UPDATE ON l FOR EACH ROW WHEN (NEW.src = 'after') EXECUTE FUNCTION wait();
INSERT INTO l SELECT i, 'a', 'mql', 'web', 10 FROM generate_series(21, 26) i;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 21;
SET LOCAL statement_timeout = '50ms';
UPDATE l SET stage = 'sal', src = CASE id WHEN 24 THEN 'after' END WHERE id BETWEEN 22 AND 25;
COMMIT;
BEGIN;
UPDATE l SET stage = 'sal' WHERE id BETWEEN 21 AND 23;
SAVEPOINT a;
SET LOCAL statement_timeout = '50ms';
UPDATE l SET stage = 'sql', val = 20, src = CASE id WHEN 23 THEN 'before' END WHERE id BETWEEN 21 AND 23;
ROLLBACK TO a;
SET LOCAL statement_timeout = '50ms';
UPDATE l SET region = 'b', src = CASE id WHEN 22 THEN 'after' END WHERE id BETWEEN 21 AND 23;
ROLLBACK TO a;
UPDATE l SET stage = 'sql' WHERE id IN (21, 23);
COMMIT;
BEGIN;
SET LOCAL statement_timeout = '50ms';
DO $$
BEGIN
    UPDATE l SET stage = 'sal' WHERE id IN (24, 25);
    BEGIN
        UPDATE l SET stage = 'sql', src = CASE id WHEN 25 THEN 'after' END WHERE id IN (24, 25);
    EXCEPTION WHEN query_canceled THEN
        RAISE NOTICE 'cancelled';
    END;
    UPDATE l SET stage = 'recycled' WHERE id = 24;
END
$$;
COMMIT;
SELECT * FROM moves WHERE lead BETWEEN 21 AND 26;
SELECT * FROM l_check();

-- where no statement trigger comes, the end of the transaction does its work: with savepoints, prepared, rolled back
DROP TRIGGER a_wait ON l;
DROP TRIGGER z_wait ON l;
ALTER TABLE l DISABLE TRIGGER lead_funnel_flush;
BEGIN;
INSERT INTO l VALUES (31, 'a', 'mql', 'web', 1);
SAVEPOINT a;
INSERT INTO l SELECT i, 'a', 'lead' FROM generate_series(5001, 6500) i;
RELEASE a;
SAVEPOINT b;
UPDATE l SET stage = 'mql' WHERE id BETWEEN 5001 AND 6500;
ROLLBACK TO b;
UPDATE l SET stage = 'sal' WHERE id = 31;
COMMIT;
BEGIN;
UPDATE l SET stage = 'sql', region = 'b' WHERE id = 31;
DELETE FROM l WHERE id BETWEEN 5001 AND 6500;
PREPARE TRANSACTION 'regress_ab_1';
COMMIT PREPARED 'regress_ab_1';
BEGIN;
UPDATE l SET stage = CASE id WHEN 26 THEN 'sal' ELSE 'won' END::lead_stage WHERE id IN (26, 31); -- fails
ROLLBACK;
BEGIN;
UPDATE l SET stage = 'opportunity' WHERE id = 31;
DELETE FROM l WHERE id < 10;
ROLLBACK;
BEGIN;
DELETE FROM l WHERE id = 26;
UPDATE l SET stage = 'opportunity' WHERE id = 31;
TRUNCATE l2;
INSERT INTO l VALUES (26, 'b', 'mql', 'web', 1);
COMMIT;
SELECT * FROM moves WHERE lead IN (26, 31, 5001, 6500);
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 26;
TRUNCATE l;
INSERT INTO l VALUES (26, 'b', 'mql', 'web', 1), (32, 'b', 'mql', 'web', 1);
COMMIT;
ALTER TABLE l ENABLE TRIGGER lead_funnel_flush;
SELECT * FROM moves WHERE lead IN (26, 32);
SELECT * FROM l_check();

-- the second TRUNCATE of a transaction, which the server does in place
BEGIN;
TRUNCATE l;
INSERT INTO l VALUES (26, 'a', 'mql', 'web', 1), (33, 'b', 'mql', 'web', 1);
TRUNCATE l;
INSERT INTO l VALUES (26, 'a', 'lead', 'web', 1), (34, 'b', 'mql', 'web', 1);
TRUNCATE l2;
INSERT INTO l VALUES (34, 'b', 'lead', 'web', 1);
COMMIT;
SELECT * FROM moves WHERE lead IN (26, 33, 34);
SELECT * FROM l_check();

-- a transaction that would look keys up when it ends is rolled back: the next one has nothing of it
CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN DELETE FROM l WHERE id = NEW.id; INSERT INTO l VALUES (NEW.id + 100, 'b', 'mql'); RETURN NULL; END $$;
CREATE TRIGGER a_gone AFTER UPDATE ON l FOR EACH ROW WHEN (NEW.src = 'gone') EXECUTE FUNCTION gone();
INSERT INTO l SELECT i, 'a', 'mql' FROM generate_series(41, 80) i;
BEGIN;
UPDATE l SET src = 'gone', stage = 'sal' WHERE id BETWEEN 41 AND 79;
ROLLBACK;
BEGIN;
SAVEPOINT a;
UPDATE l SET src = 'gone', stage = 'sal' WHERE id = 42;
ROLLBACK TO a;
UPDATE l SET src = 'gone', stage = 'sal' WHERE id = 41;
COMMIT;
UPDATE l SET src = 'gone', stage = 'sal' WHERE id = 80;
SELECT * FROM moves WHERE lead IN (41, 42, 80, 141, 142, 180);
SELECT * FROM l_check();

-- what a function wrote in a savepoint is in the journal when the next one begins, as psql's ON_ERROR_ROLLBACK has them
CREATE FUNCTION twin() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO l VALUES (NEW.id + 100, 'a', 'mql'); RETURN NULL; END $$;
CREATE TRIGGER a_twin AFTER INSERT ON l FOR EACH ROW WHEN (NEW.src = 'twin') EXECUTE FUNCTION twin();
BEGIN;
SAVEPOINT a;
DO $$ BEGIN INSERT INTO l VALUES (201, 'a', 'mql', 'twin'); END $$;
RELEASE a;
SAVEPOINT a;
SELECT * FROM moves WHERE lead IN (201, 301);
SELECT * FROM l_check();
RELEASE a;
COMMIT;
SELECT * FROM moves WHERE lead IN (201, 301);
-- and what COPY, or any statement of the client, set off is when it ends
BEGIN;
SAVEPOINT a;
COPY l (id, region, stage, src) FROM stdin;
202	a	mql	twin
203	b	mql	twin
\.
SAVEPOINT b;
SELECT * FROM moves WHERE lead IN (202, 203, 302, 303);
INSERT INTO l VALUES (204, 'b', 'mql', 'twin');
SAVEPOINT c;
SELECT * FROM moves WHERE lead IN (204, 304);
COMMIT;

SELECT lead_funnel.detach('l', purge => true);
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA ab CASCADE;
DROP OWNED BY regress_ab_owner;
DROP ROLE regress_ab_owner;
