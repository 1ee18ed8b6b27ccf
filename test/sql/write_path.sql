-- write_path: every way to write a lead, errors and subtransactions in the middle of it, done by a role that may just write

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_wp_owner;
CREATE ROLE regress_wp_writer;
CREATE SCHEMA wp AUTHORIZATION regress_wp_owner;
SET ROLE regress_wp_owner;
SET search_path = wp, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all

CREATE TABLE l (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', src text, val numeric, note text);
SELECT lead_funnel.attach('l', 'stage', source_column => 'src', value_column => 'val');
CREATE FUNCTION moves(int, int) RETURNS TABLE (lead bigint, moves text) LANGUAGE sql SECURITY DEFINER SET search_path = wp, public AS $$
SELECT lead_id, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-') || CASE origin WHEN 'write' THEN '' ELSE ' (' || origin || ')' END,
                           ', ' ORDER BY move)
FROM lead_funnel.funnel_history WHERE funnel = 'l' AND lead_id BETWEEN $1 AND $2 GROUP BY lead_id ORDER BY lead_id
$$;
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql SECURITY DEFINER SET search_path = wp, public AS
$$ SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, src AS source, val AS value FROM l') $$;
GRANT USAGE, CREATE ON SCHEMA wp TO regress_wp_writer;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON l TO regress_wp_writer;
SET ROLE regress_wp_writer;
\set VERBOSITY terse

-- a statement that fails after some rows leaves nothing
INSERT INTO l VALUES (1, 'lead'), (2, 'mql'), (3, 'won');
INSERT INTO l (id, stage) VALUES (1, 'mql'), (2, 'mql'), (3, 'lead'), (4, 'mql');
UPDATE l SET stage = 'sal';
COPY l (id, stage, src) FROM stdin;
5	lead	web
6	mql	web
7	opportunity	web
\.
COPY l (id, stage, src) FROM stdin;
5	lead	web
6	mql	fair
\.
DELETE FROM l WHERE id / (4 - id) >= 0;
SELECT * FROM moves(1, 9);
SELECT * FROM l_check();

-- savepoints: released, rolled back, nested, at the same lead
BEGIN;
UPDATE l SET stage = 'sal', val = 10 WHERE id = 1;
SAVEPOINT a;
UPDATE l SET stage = 'sql', val = 20 WHERE id = 1;
SAVEPOINT b;
UPDATE l SET stage = 'opportunity', val = 30 WHERE id IN (1);
UPDATE l SET stage = 'sal' WHERE id = 2;
ROLLBACK TO b;
UPDATE l SET stage = 'recycled' WHERE id = 1;
SAVEPOINT c;
UPDATE l SET stage = 'won' WHERE id = 1;     -- fails
ROLLBACK TO c;
UPDATE l SET src = 'x' WHERE id = 1;
RELEASE SAVEPOINT a;
UPDATE l SET stage = 'nurture' WHERE id = 1;
COMMIT;
BEGIN;
SAVEPOINT a;
DELETE FROM l WHERE id = 1;
INSERT INTO l VALUES (1, 'lead');
INSERT INTO l VALUES (8, 'lead');
ROLLBACK TO a;
INSERT INTO l VALUES (9, 'lead');
ROLLBACK;
SELECT * FROM moves(1, 2);
SELECT * FROM moves(8, 9);
SELECT * FROM l_check();

-- an error caught in a function, in a loop and inside of triggers on the table
DO $$
BEGIN
    FOR i IN 1 .. 6 LOOP
        BEGIN
            UPDATE l SET stage = 'mql', note = 'loop' WHERE id = i;
            UPDATE l SET stage = CASE i WHEN 6 THEN 'won' ELSE 'sal' END::lead_stage WHERE id = i AND i <> 4;
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING '%', SQLERRM;
        END;
    END LOOP;
END
$$;
CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        UPDATE l SET val = coalesce(val, 0) + 1 WHERE id = NEW.id;
        UPDATE l SET stage = 'won' WHERE id = NEW.id;
    EXCEPTION WHEN check_violation THEN
        NULL;
    END;
    BEGIN
        UPDATE l SET val = coalesce(val, 0) + 100 WHERE id = NEW.id;
        UPDATE l SET src = TG_NAME WHERE id = NEW.id + 1;
        IF NEW.id % 2 = 0 THEN
            RAISE division_by_zero;
        END IF;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
    RETURN NULL;
END
$$;
CREATE TRIGGER a_try AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION try();
CREATE TRIGGER z_try AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION try();
UPDATE l SET stage = 'sql' WHERE stage = 'sal';
BEGIN;
SAVEPOINT a;
UPDATE l SET stage = 'recycled' WHERE id <= 3;
ROLLBACK TO a;
UPDATE l SET stage = 'opportunity' WHERE id = 2;
COMMIT;
DROP TRIGGER a_try ON l;                       -- fails: for the owner only
SET ROLE regress_wp_owner;
DROP TRIGGER a_try ON l;
DROP TRIGGER z_try ON l;
SET ROLE regress_wp_writer;
SELECT id, stage, src, val, note FROM l ORDER BY id;
SELECT * FROM moves(1, 9);
SELECT * FROM l_check();

-- upserts: the entry rules are for those that enter, the others move
INSERT INTO l VALUES (5, 'sql'), (11, 'lead') ON CONFLICT (id) DO UPDATE SET stage = EXCLUDED.stage;
INSERT INTO l VALUES (5, 'nurture'), (11, 'opportunity') ON CONFLICT (id) DO NOTHING;
INSERT INTO l VALUES (4, 'sql'), (11, 'mql') ON CONFLICT (id) DO UPDATE SET stage = EXCLUDED.stage;
INSERT INTO l VALUES (4, 'sal'), (11, 'mql'), (5, 'won') ON CONFLICT (id) DO UPDATE SET stage = EXCLUDED.stage WHERE l.stage = 'mql'
RETURNING id, stage;
INSERT INTO l VALUES (5, 'opportunity', 'z') ON CONFLICT DO NOTHING;
MERGE INTO l USING (VALUES (4, 'sql'), (12, 'lead'), (6, NULL)) AS s (id, stage) ON l.id = s.id
WHEN MATCHED AND s.stage IS NULL THEN DELETE
WHEN MATCHED THEN UPDATE SET stage = s.stage::lead_stage
WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.stage::lead_stage);
MERGE INTO l USING (VALUES (4, 'opportunity'), (13, 'won')) AS s (id, stage) ON l.id = s.id
WHEN MATCHED THEN UPDATE SET stage = s.stage::lead_stage
WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.stage::lead_stage);
SELECT * FROM moves(4, 19);
SELECT * FROM l_check();

-- data-modifying CTEs: of the same and of other leads; joins; RETURNING says what is stored
WITH d AS (DELETE FROM l WHERE id = 11 RETURNING *) INSERT INTO l SELECT id, 'lead', 'cte', 5 FROM d RETURNING id, stage, src;
WITH d AS (DELETE FROM l WHERE id = 11 RETURNING *) INSERT INTO l SELECT id, 'sql' FROM d;
WITH u AS (UPDATE l SET stage = 'mql' WHERE id IN (11, 12) RETURNING id), i AS (INSERT INTO l SELECT id + 10, 'mql' FROM u RETURNING id)
SELECT (SELECT count(*) FROM u) AS u, (SELECT count(*) FROM i) AS i;
WITH d AS (DELETE FROM l WHERE id = 21), u AS (UPDATE l SET id = 23, stage = 'sal' WHERE id = 12) INSERT INTO l VALUES (24, 'mql');
WITH u AS (UPDATE l SET stage = 'sal', val = v.val FROM (VALUES (11, 1.25), (22, 2.50), (22, 2.50)) AS v (id, val) WHERE l.id = v.id RETURNING l.*)
SELECT id, stage, val FROM u ORDER BY id;
DELETE FROM l USING (VALUES (24)) AS v (id) WHERE l.id = v.id RETURNING l.*;
SELECT * FROM moves(11, 29);
SELECT * FROM l_check();

-- a procedure that commits and rolls back on its way; a cursor WITH HOLD that moves leads when the transaction ends
CREATE PROCEDURE walk(int) LANGUAGE plpgsql AS $$
DECLARE
    s text;
BEGIN
    FOREACH s IN ARRAY '{lead,mql,sal,sql,opportunity,won}'::text[] LOOP
        INSERT INTO l VALUES ($1, s::lead_stage, 'walk', 7) ON CONFLICT (id) DO UPDATE SET stage = EXCLUDED.stage, val = l.val + 1;
        IF s IN ('lead', 'sql') THEN
            COMMIT;
        ELSIF s = 'sal' THEN
            ROLLBACK;
            UPDATE l SET stage = 'mql' WHERE id = $1;
            UPDATE l SET stage = 'sal' WHERE id = $1;
        END IF;
    END LOOP;
END
$$;
CALL walk(31);
CREATE FUNCTION pull(int, lead_stage) RETURNS lead_stage LANGUAGE plpgsql AS
$$ DECLARE s lead_stage; BEGIN UPDATE l SET stage = $2 WHERE id = $1 RETURNING stage INTO s; RETURN s; END $$;
INSERT INTO l SELECT i, 'mql' FROM generate_series(32, 34) i;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT id, pull(id, 'sal') FROM l WHERE id IN (32, 33) ORDER BY id;
FETCH 1 FROM c;
COMMIT;
FETCH 2 FROM c;
CLOSE c;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM l WHERE id = 34 FOR UPDATE;
FETCH 1 FROM c;
UPDATE l SET stage = 'sal' WHERE CURRENT OF c;
COMMIT;
SELECT * FROM moves(31, 39);
SELECT * FROM l_check();

-- prepared transactions; SERIALIZABLE and REPEATABLE READ; nothing at all
BEGIN;
UPDATE l SET stage = 'sql' WHERE id = 32;
SAVEPOINT a;
UPDATE l SET stage = 'opportunity' WHERE id = 32;
INSERT INTO l VALUES (35, 'lead', 'prepared', 3);
PREPARE TRANSACTION 'regress_wp_1';
SELECT * FROM l_check();
COMMIT PREPARED 'regress_wp_1';
BEGIN;
UPDATE l SET stage = 'won' WHERE id = 32;
DELETE FROM l WHERE id = 33;
PREPARE TRANSACTION 'regress_wp_2';
ROLLBACK PREPARED 'regress_wp_2';
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE l SET stage = 'sql' WHERE id = 33;
INSERT INTO l VALUES (36);
UPDATE l SET stage = 'disqualified' WHERE id = 36;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE l SET stage = 'opportunity' WHERE id = 33;
SELECT * FROM moves(33, 33);
TRUNCATE l;
INSERT INTO l VALUES (33);
COMMIT;
BEGIN;
TRUNCATE l;
INSERT INTO l VALUES (33, 'mql'), (34, 'mql');
SAVEPOINT a;
TRUNCATE l;
ROLLBACK TO a;
UPDATE l SET stage = 'sal' WHERE id = 33;
COMMIT;
UPDATE l SET stage = 'sal' WHERE false;
UPDATE l SET stage = 'mql', note = 'same' WHERE id = 34;
SELECT * FROM moves(32, 39);
SELECT * FROM l_check();

RESET ROLE;
SET client_min_messages = warning;
SELECT lead_funnel.detach('l', purge => true);
DROP SCHEMA wp CASCADE;
DROP OWNED BY regress_wp_owner, regress_wp_writer;
DROP ROLE regress_wp_owner, regress_wp_writer;
