-- What a function wrote before a savepoint may not be journalled yet when the savepoint begins. What comes in it and needs a
-- journal that is up to date (TRUNCATE, a change of the funnel, a decision) finds it there; what is rolled back stays undone.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;

CREATE SCHEMA ad;
SET search_path = ad, public;

CREATE TABLE leads (id int PRIMARY KEY, stage text, pad text, gone bool);
SELECT lead_funnel.attach('leads', 'stage', preset => 'open', excluded_column => 'gone',
                          stage_map => '{"lead": ["New"], "mql": ["Q"], "sal": ["A"], "rejected": ["R"]}');
CREATE FUNCTION error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint);
END
$$;
-- moves that wait: for all that can be told, an event of the first UPDATE may be still to come
CREATE PROCEDURE work(status text DEFAULT 'A') LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT id FROM leads ORDER BY id LOOP
        UPDATE leads SET pad = status WHERE id = r.id;
        UPDATE leads SET stage = status WHERE id = r.id;
    END LOOP;
END
$$;
CREATE PROCEDURE again(status text DEFAULT 'New') LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE leads;
    INSERT INTO leads SELECT i, status FROM generate_series(1, 2) AS i;
END
$$;
-- the leads' last rows, and what is wrong
CREATE VIEW outcome AS
SELECT lead_id AS lead, string_agg(concat(coalesce(from_stage::text, '-'), '>', coalesce(to_stage::text, '-'), ' ', origin), ', ' ORDER BY move) AS moves
FROM lead_funnel.funnel_history AS h
WHERE funnel = 'leads' AND recorded_at >= now()
GROUP BY lead_id
UNION ALL
SELECT NULL, concat(problem, ' ', lead) FROM lead_funnel.verify('leads')
ORDER BY 1;

\set begin 'CALL again(); BEGIN; CALL work();'
-- for now() to be before the commit of what is looked at
\set end 'SELECT * FROM outcome; COMMIT; SELECT stage, leads FROM lead_funnel.funnel_stages WHERE leads > 0 ORDER BY stage_rank; SELECT * FROM lead_funnel.verify(''leads'');'

-- TRUNCATE
:begin
SAVEPOINT s; TRUNCATE leads; RELEASE s;
:end
:begin
SAVEPOINT s; TRUNCATE leads; ROLLBACK TO s;
:end
:begin
SAVEPOINT s; SAVEPOINT t; TRUNCATE leads; RELEASE t; ROLLBACK TO s;
:end
:begin
SAVEPOINT s; SAVEPOINT t; TRUNCATE leads; RELEASE t; UPDATE leads SET stage = 'Q'; RELEASE s;
:end
:begin
SAVEPOINT s; CALL work('Q'); SAVEPOINT t; TRUNCATE leads; ROLLBACK TO t; CALL work('R'); SAVEPOINT t; SAVEPOINT u; UPDATE leads SET pad = 'x';
SELECT count(*) AS problems FROM lead_funnel.verify('leads'); ROLLBACK TO t; RELEASE s;
:end
DO $$
BEGIN
    CALL again();
    CALL work();
    BEGIN
        TRUNCATE leads;
    EXCEPTION
        WHEN OTHERS THEN RAISE;
    END;
END
$$;
SELECT * FROM lead_funnel.verify('leads');

-- a change of the funnel
:begin
SAVEPOINT s; SELECT lead_funnel.map_stage('leads', 'A', 'lead'); RELEASE s;
:end
SELECT lead_funnel.map_stage('leads', 'A', 'sal');
:begin
SAVEPOINT s; SELECT lead_funnel.map_stage('leads', 'A', 'lead'); ROLLBACK TO s;
:end
:begin
SAVEPOINT s; SELECT lead_funnel.suspend('leads'); UPDATE leads SET stage = 'New'; SELECT lead_funnel.resume('leads'); RELEASE s;
:end
:begin
SAVEPOINT s; SELECT lead_funnel.suspend('leads'); UPDATE leads SET stage = 'New'; SELECT lead_funnel.resume('leads'); ROLLBACK TO s;
:end
:begin
SAVEPOINT s; SELECT lead_funnel.alter_funnel('leads', excluded_column => NULL); UPDATE leads SET gone = true WHERE id = 1; RELEASE s;
:end
SELECT lead_funnel.alter_funnel('leads', excluded_column => 'gone');
:begin
SAVEPOINT s; SELECT lead_funnel.reconcile('leads'); RELEASE s;
:end

-- a decision
CALL again('Q');
BEGIN; CALL work();
SAVEPOINT s; SELECT split_part(error($$SELECT lead_funnel.reject('leads', '1', 'no_need')$$), E'\n', 1) AS error; RELEASE s;
:end
CALL again('Q');
BEGIN; CALL work();
SAVEPOINT s; SELECT from_stage, to_stage FROM lead_funnel.undo_move('leads', '1', 'wrong click'); RELEASE s;
:end
CALL again('Q');
BEGIN; CALL work();
SAVEPOINT s; SELECT from_stage, to_stage FROM lead_funnel.undo_move('leads', '1', 'wrong click'); ROLLBACK TO s;
:end

-- a decision by a trigger that catches errors, on leads that its own statement moves
CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lead_funnel.reject('leads', NEW.id::text, 'no_need');
    RETURN NULL;
EXCEPTION
    WHEN OTHERS THEN
        RAISE NOTICE '%', SQLERRM;
        RETURN NULL;
END
$$;
CREATE TRIGGER z AFTER UPDATE ON leads FOR EACH ROW WHEN (NEW.stage = 'A') EXECUTE FUNCTION reject();
RESET client_min_messages;
CALL again('Q');
BEGIN; UPDATE leads SET stage = 'A';
:end
SET client_min_messages = warning;
DROP TRIGGER z ON leads;

-- two tables: what is adopted comes back before what the savepoint in between has in line
CREATE TABLE others (id int PRIMARY KEY, stage text, pad text);
SELECT lead_funnel.attach('others', 'stage', preset => 'open', stage_map => '{"lead": ["New"], "sal": ["A"]}');
INSERT INTO others VALUES (1, 'New');
:begin
SAVEPOINT s; DECLARE c CURSOR FOR SELECT * FROM others; FETCH 1 FROM c;
DO $$ BEGIN UPDATE others SET pad = 'x'; UPDATE others SET stage = 'A'; END $$;
SAVEPOINT t; SELECT lead_funnel.reconcile('leads'); ROLLBACK TO t; RELEASE t; CLOSE c;
SELECT * FROM lead_funnel.verify('others'); RELEASE s;
:end
SELECT * FROM lead_funnel.verify('others');

-- what came back is in the way of what comes behind it, however many flushes later
CALL again(); TRUNCATE others; INSERT INTO others VALUES (1, 'New');
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM others; FETCH c;
DECLARE d CURSOR FOR SELECT * FROM leads; FETCH d;
DO $$
BEGIN
    UPDATE others SET pad = 'x'; UPDATE others SET stage = 'A';
    UPDATE leads SET pad = 'x'; UPDATE leads SET stage = 'A';
END
$$;
CLOSE d;
SELECT count(*) AS problems FROM lead_funnel.verify('leads');
SAVEPOINT s; CLOSE c; SELECT lead_funnel.reconcile('others'); ROLLBACK TO s;
UPDATE leads SET stage = 'R'; UPDATE leads SET stage = 'Q';
UPDATE others SET stage = 'New'; RELEASE s; COMMIT;
SELECT from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'others' AND recorded_at > now() - interval '1 h' AND lead_id = 1 ORDER BY move DESC LIMIT 3;

-- decisions that fail, each in a block of its own, journal no lead but theirs for nothing
CREATE TABLE many (id int PRIMARY KEY, stage text, pad text);
SELECT lead_funnel.attach('many', 'stage', preset => 'open', stage_map => '{"mql": ["Q"], "sal": ["A"], "rejected": ["R"]}');
INSERT INTO many SELECT i, 'Q' FROM generate_series(1, 200) AS i;
BEGIN;
SELECT pg_stat_get_xact_tuples_inserted('lead_funnel.journal'::regclass) AS before \gset
DO $$
DECLARE
    r record;
    failed int := 0;
BEGIN
    FOR r IN SELECT id FROM many LOOP
        UPDATE many SET pad = 'x' WHERE id = r.id;
        UPDATE many SET stage = 'A' WHERE id = r.id;
    END LOOP;
    FOR r IN SELECT i AS id FROM generate_series(1, 200) AS i LOOP
        BEGIN
            PERFORM lead_funnel.reject('many', r.id::text, 'no_need');
        EXCEPTION
            WHEN object_not_in_prerequisite_state THEN failed := failed + 1;
        END;
    END LOOP;
    RAISE WARNING '% decisions failed', failed;
END
$$;
SELECT pg_stat_get_xact_tuples_inserted('lead_funnel.journal'::regclass) - :before AS journalled;
COMMIT;
SELECT * FROM lead_funnel.verify('many');
SELECT lead_funnel.detach('many', purge => true);

-- within a query of the table not even that is possible
CALL again();
BEGIN; DECLARE c CURSOR FOR SELECT * FROM leads; FETCH 1 FROM c; CALL work();
SELECT error($$SELECT lead_funnel.map_stage('leads', 'A', 'lead')$$);
CLOSE c;
:end
SELECT lead_funnel.suspend('leads');
CREATE FUNCTION resume() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lead_funnel.resume('leads');
    RETURN NEW;
END
$$;
CREATE TRIGGER b BEFORE UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION resume();
SELECT error($$UPDATE leads SET stage = 'Q'$$);
DROP TRIGGER b ON leads;
SELECT lead_funnel.resume('leads');

-- triggers for TRUNCATE that write the table after ours, or that of another table
CREATE FUNCTION last_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE leads SET stage = 'R' WHERE id = 1;
    RETURN NULL;
END
$$;
CREATE TABLE acts (id int);
CREATE TRIGGER z BEFORE TRUNCATE ON leads EXECUTE FUNCTION last_words();
TRUNCATE leads;
SELECT * FROM lead_funnel.verify('leads');
DROP TRIGGER z ON leads;
CREATE TRIGGER a BEFORE TRUNCATE ON acts EXECUTE FUNCTION last_words();
INSERT INTO leads VALUES (1, 'New'), (2, 'New');
TRUNCATE leads, acts;
SELECT * FROM lead_funnel.verify('leads');

-- what is dropped
:begin
DROP TABLE leads;
SELECT lead_id AS lead, from_stage, to_stage, origin FROM lead_funnel.funnel_history
WHERE funnel = 'leads' AND recorded_at >= now() ORDER BY lead_id, move;
COMMIT;
CREATE TABLE leads (id int PRIMARY KEY, stage text, pad text);
SELECT lead_funnel.detach('leads', purge => true);
SELECT lead_funnel.attach('leads', 'stage', preset => 'open', stage_map => '{"lead": ["New"], "sal": ["A"]}');
:begin
DROP EXTENSION lead_funnel CASCADE;
COMMIT;
SELECT * FROM leads ORDER BY id;
CREATE EXTENSION lead_funnel;

DROP SCHEMA ad CASCADE;
