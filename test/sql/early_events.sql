-- early_events: triggers and functions write a lead while the statement that wrote it before is still at work

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE SCHEMA early;
SET search_path = early, public;
CREATE VIEW moves AS
SELECT funnel, lead, string_agg(coalesce(from_stage, '') || '>' || coalesce(to_stage, '') || CASE WHEN origin <> 'write' THEN ' ' || origin ELSE '' END,
                                ', ' ORDER BY move) AS moves
FROM lead_funnel.funnel_history GROUP BY 1, 2;

-- a trigger that accepts: our trigger for the INSERT fires behind it
CREATE TABLE accepted (id int PRIMARY KEY, stage lead_stage, val int, reason text, who text);
SELECT lead_funnel.attach('accepted', 'stage', value_column => 'val', reason_column => 'reason', actor_column => 'who');
CREATE FUNCTION accept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM lead_funnel.accept('accepted', new.id); RETURN NULL; END $$;
CREATE TRIGGER accept AFTER INSERT OR UPDATE ON accepted FOR EACH ROW WHEN (new.stage = 'mql') EXECUTE FUNCTION accept();
INSERT INTO accepted VALUES (1, 'mql', 10), (2, 'lead', 10), (3, 'lead', 10);
COPY accepted (id, stage) FROM stdin;
4	mql
5	mql
\.
UPDATE accepted SET stage = 'mql', val = 20, reason = 'webinar', who = 'ann' WHERE id = 2;
SELECT * FROM moves WHERE funnel = 'accepted' ORDER BY lead;
SELECT lead, to_stage, reason, actor = 'ann' AS ann, value FROM lead_funnel.funnel_history WHERE funnel = 'accepted' AND lead = '2' ORDER BY move;
SELECT stage, sum(leads) AS leads, sum(value) AS value FROM lead_funnel.funnel_stages WHERE funnel = 'accepted' GROUP BY 1 ORDER BY 1;
SELECT lead, fate FROM lead_funnel.handovers WHERE funnel = 'accepted' ORDER BY lead;
-- the same in one transaction, which sees it when the statement is over
BEGIN;
UPDATE accepted SET stage = 'mql' WHERE id = 3;
SELECT moves FROM moves WHERE funnel = 'accepted' AND lead = '3';
COMMIT;
SELECT * FROM lead_funnel.verify('accepted');

-- a function in one statement
ALTER TABLE accepted DISABLE TRIGGER accept;
WITH u AS (INSERT INTO accepted VALUES (6, 'mql') RETURNING id) SELECT a.verdict FROM u, lead_funnel.accept('accepted', u.id) AS a;
SELECT moves FROM moves WHERE funnel = 'accepted' AND lead = '6';
SELECT * FROM lead_funnel.verify('accepted');

-- statements of a function that is called in the midst of another one, whatever their plans
CREATE TABLE called (id int PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach('called', 'stage', preset => 'open');
CREATE TABLE other (id int PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach('other', 'stage', preset => 'open');
INSERT INTO called SELECT i, 'lead' FROM generate_series(1, 9) AS i;
INSERT INTO other SELECT i, 'lead' FROM generate_series(1, 9) AS i;
CREATE FUNCTION move(i int, what text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    UPDATE called SET stage = 'sal' FROM called AS x WHERE called.id = i AND x.id = 1;
    CASE what
        WHEN 'update' THEN UPDATE called SET stage = 'mql' WHERE id = 2;
        WHEN 'insert' THEN INSERT INTO called VALUES (i + 100, 'lead');
        WHEN 'other' THEN UPDATE other SET stage = 'mql' WHERE id = i % 10;
        WHEN 'truncate' THEN TRUNCATE other;
        WHEN 'verify' THEN PERFORM lead_funnel.verify('called');
    END CASE;
    RETURN i;
END
$$;
INSERT INTO called VALUES (11, 'mql') RETURNING move(id, 'update');
INSERT INTO called VALUES (12, 'mql') RETURNING move(id, 'insert');
INSERT INTO called VALUES (13, 'mql') RETURNING move(id, 'other');
INSERT INTO called VALUES (14, 'mql') RETURNING move(id, 'truncate');
INSERT INTO called VALUES (15, 'mql') RETURNING move(id, 'verify');
SET enable_indexscan = off;
SET enable_bitmapscan = off;
INSERT INTO called VALUES (21, 'mql') RETURNING move(id, 'update');
INSERT INTO called VALUES (22, 'mql') RETURNING move(id, 'insert');
INSERT INTO called VALUES (23, 'mql') RETURNING move(id, 'other');
UPDATE called SET stage = 'mql' WHERE id = 4 RETURNING move(id, 'update');
RESET enable_indexscan;
RESET enable_bitmapscan;
UPDATE called SET stage = 'mql' WHERE id = 3 RETURNING move(id, 'insert');
SELECT lead, moves FROM moves WHERE funnel = 'called' ORDER BY lead::int;
SELECT * FROM lead_funnel.verify('called');
SELECT * FROM lead_funnel.verify('other');

-- in one of two statements of a query, and in what EXPLAIN runs
WITH a AS (INSERT INTO called VALUES (31, 'lead') RETURNING id), b AS (UPDATE called SET stage = 'mql' WHERE id = 9 RETURNING move(id, 'verify')) SELECT count(*) FROM a;
EXPLAIN ANALYZE WITH a AS (INSERT INTO called VALUES (32, 'lead') RETURNING id), b AS (UPDATE called SET stage = 'lead' WHERE id = 9 RETURNING move(id, 'verify')) SELECT count(*) FROM a \g /dev/null
SELECT lead, moves FROM moves WHERE funnel = 'called' AND lead IN ('9', '31', '32') ORDER BY lead::int;
SELECT * FROM lead_funnel.verify('called');

-- in a subtransaction of the function
CREATE FUNCTION move_in_block(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        UPDATE called SET stage = 'sal' WHERE id = i;
        UPDATE called SET stage = 'sql' WHERE id = i;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
    RETURN i;
END
$$;
UPDATE called SET stage = 'mql' WHERE id IN (5, 6) RETURNING move_in_block(id);
CREATE FUNCTION zz_move_in_block() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM move_in_block(new.id); RETURN NULL; END $$;
CREATE TRIGGER zz_move AFTER UPDATE ON called FOR EACH ROW WHEN (new.stage = 'mql') EXECUTE FUNCTION zz_move_in_block();
BEGIN;
UPDATE called SET stage = 'mql' WHERE id IN (7, 8);
SELECT lead, moves FROM moves WHERE funnel = 'called' AND lead IN ('7', '8') ORDER BY 1;
COMMIT;
DROP TRIGGER zz_move ON called;
SELECT lead, moves FROM moves WHERE funnel = 'called' AND lead IN ('5', '6') ORDER BY 1;
SELECT * FROM lead_funnel.verify('called');

-- what is written so is judged, too: at commit, in observe mode, overridden
CREATE TABLE judged (id int PRIMARY KEY, stage lead_stage, q qualification);
SELECT lead_funnel.attach('judged', 'stage', qualification_column => 'q');
SELECT lead_funnel.allow('judged', 'lead', 'mql', requires => 'bant(budget=3)', check_at => 'commit');
INSERT INTO judged SELECT i, 'lead' FROM generate_series(1, 9) AS i;
CREATE FUNCTION move_judged(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    UPDATE judged SET stage = 'sal' FROM judged AS x WHERE judged.id = i AND x.id = 1;
    UPDATE judged SET q = 'bant(need=1)' WHERE id = 9;
    RETURN i;
END
$$;
\set VERBOSITY terse
WITH u AS (UPDATE judged SET stage = 'mql' WHERE id = 2 RETURNING id) SELECT a.* FROM u, lead_funnel.accept('judged', u.id) AS a;
WITH u AS (UPDATE judged SET stage = 'mql' WHERE id = 2 RETURNING id) SELECT a.* FROM u, lead_funnel.reject('judged', u.id, 'no_need') AS a;
UPDATE judged SET stage = 'mql' WHERE id = 3 RETURNING move_judged(id);
\set VERBOSITY default
BEGIN;
SET LOCAL lead_funnel.override = 'boss said so';
WITH u AS (UPDATE judged SET stage = 'sql' WHERE id = 4 RETURNING id) SELECT a.lead FROM u, lead_funnel.recycle('judged', u.id, 'later') AS a;
COMMIT;
SELECT lead_funnel.set_mode('judged', 'observe');
WITH u AS (UPDATE judged SET stage = 'won' WHERE id = 5 RETURNING id) SELECT a.verdict FROM u, lead_funnel.accept('judged', u.id) AS a;
UPDATE judged SET stage = 'won' WHERE id = 6 RETURNING move_judged(id);
SELECT lead, moves FROM moves WHERE funnel = 'judged' ORDER BY 1;
SELECT lead, reason FROM lead_funnel.funnel_history WHERE funnel = 'judged' AND reason IS NOT NULL ORDER BY 1, move;
SELECT from_stage, to_stage, moves FROM lead_funnel.rule_violations WHERE funnel = 'judged' ORDER BY 1, 2;
SELECT * FROM lead_funnel.verify('judged');

-- partitions: another one is written in between, or the journal is read while a lead changes partitions
CREATE TABLE parts (id int, region text, stage lead_stage, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
SELECT lead_funnel.attach('parts', 'stage', key_column => 'id', preset => 'open');
INSERT INTO parts SELECT i, CASE WHEN i < 5 THEN 'a' ELSE 'b' END, 'lead' FROM generate_series(1, 8) AS i;
CREATE FUNCTION move_part(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    UPDATE parts SET stage = 'sal' WHERE id = i;
    UPDATE parts SET stage = 'mql' WHERE region = 'b' AND id = 8;
    UPDATE parts SET stage = 'lead' WHERE region = 'b' AND id = 8;
    RETURN i;
END
$$;
INSERT INTO parts VALUES (11, 'a', 'mql') RETURNING move_part(id);
UPDATE parts SET stage = 'mql' WHERE id = 1 AND region = 'a' RETURNING move_part(id);
UPDATE parts SET stage = 'mql', region = 'b' WHERE id = 2 RETURNING move_part(id);
CREATE FUNCTION read_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM lead_funnel.verify('parts'); RETURN NULL; END $$;
CREATE TRIGGER zz_read AFTER DELETE ON parts FOR EACH ROW EXECUTE FUNCTION read_journal();
UPDATE parts SET stage = 'mql', region = 'b' WHERE id = 3;
SELECT lead, moves FROM moves WHERE funnel = 'parts' ORDER BY lead::int;
SELECT * FROM lead_funnel.verify('parts');

-- what a statement does before it inserts a row has a later command, but comes first
CREATE TABLE replaced (id int PRIMARY KEY, stage lead_stage, reason text);
SELECT lead_funnel.attach('replaced', 'stage', preset => 'open', reason_column => 'reason');
CREATE FUNCTION remove(i int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM replaced WHERE id = i; RETURN 'of ' || i; END $$;
CREATE FUNCTION replace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM remove(new.id); RETURN new; END $$;
CREATE TRIGGER replace BEFORE INSERT ON replaced FOR EACH ROW WHEN (new.id < 3) EXECUTE FUNCTION replace();
INSERT INTO replaced VALUES (1, 'lead'), (2, 'lead'), (3, 'lead'), (4, 'lead');
INSERT INTO replaced VALUES (1, 'mql', 'again');
INSERT INTO replaced VALUES (3, 'mql', remove(3));
INSERT INTO replaced SELECT 3, 'won', remove(3);
INSERT INTO replaced VALUES (9, 'mql'), (4, 'sal') RETURNING remove(id - 5);
-- the same if it had been moved just before, and that is journalled already
CREATE FUNCTION move_and_remove(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE replaced SET stage = 'lost' WHERE id = i;
    UPDATE replaced SET stage = 'mql' FROM replaced AS x WHERE replaced.id = i AND x.id = i;
    DELETE FROM replaced USING replaced AS x WHERE replaced.id = i AND x.id = i;
    RETURN 'moved ' || i;
END
$$;
INSERT INTO replaced VALUES (2, 'lead', move_and_remove(2)), (4, 'lead', move_and_remove(4));
-- and if its last version is one that the journal does not tell apart from the one before
CREATE FUNCTION move_twice_and_remove(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE replaced SET stage = 'sal' WHERE id = i;
    UPDATE replaced SET stage = 'sal' WHERE id = i;
    RETURN remove(i);
END
$$;
INSERT INTO replaced VALUES (9, 'lead', move_twice_and_remove(9));
-- and if the new row is changed at once, while the journal has only that the old one is gone
CREATE FUNCTION remove_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM replaced WHERE id = 5; RETURN NULL; END $$;
CREATE FUNCTION change_at_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE replaced SET stage = 'won' WHERE id = new.id;
    DELETE FROM replaced WHERE id = new.id AND new.reason = 'remove';
    RETURN NULL;
END
$$;
INSERT INTO replaced VALUES (5, 'lead');
CREATE TRIGGER a_remove_first BEFORE INSERT ON replaced FOR EACH STATEMENT EXECUTE FUNCTION remove_first();
CREATE TRIGGER a_change AFTER INSERT ON replaced FOR EACH ROW WHEN (new.id = 5) EXECUTE FUNCTION change_at_once();
INSERT INTO replaced VALUES (5, 'sal', 'keep');
INSERT INTO replaced VALUES (5, 'sal', 'remove');
DROP TRIGGER a_remove_first ON replaced;
DROP TRIGGER a_change ON replaced;
-- or if another row came and went before, and more rows follow than a batch holds
CREATE FUNCTION try_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        INSERT INTO replaced VALUES (new.id, 'lead', 'first');
        UPDATE replaced SET stage = 'sql', reason = 'second' WHERE id = new.id;
        DELETE FROM replaced WHERE id = new.id;
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER try_first BEFORE INSERT ON replaced FOR EACH ROW WHEN (new.id = 10) EXECUTE FUNCTION try_first();
INSERT INTO replaced SELECT i, 'mql' FROM generate_series(10, 150010, 100) AS i;
-- but one that is removed at once had been inserted
CREATE FUNCTION come_and_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE replaced SET stage = 'mql' WHERE id = new.id;
    UPDATE replaced SET reason = 'none' WHERE id = new.id;
    DELETE FROM replaced WHERE id = new.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER come_and_go AFTER INSERT ON replaced FOR EACH ROW WHEN (new.id > 20) EXECUTE FUNCTION come_and_go();
INSERT INTO replaced VALUES (21, 'lead'), (22, 'lead');
SELECT lead, moves FROM moves WHERE funnel = 'replaced' AND lead::int < 100 ORDER BY lead::int;
SELECT lead, reason FROM lead_funnel.funnel_history WHERE funnel = 'replaced' AND reason IS NOT NULL ORDER BY lead, move;
SELECT * FROM lead_funnel.verify('replaced');

-- a trigger inserts another lead while one goes to another partition
CREATE FUNCTION child() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO parts VALUES (old.id + 100, 'a', 'lead'); RETURN NULL; END $$;
CREATE TRIGGER zz_child AFTER DELETE ON parts FOR EACH ROW WHEN (old.id = 4) EXECUTE FUNCTION child();
UPDATE parts SET stage = 'mql' WHERE id = 4;
UPDATE parts SET region = 'b', stage = 'sal' WHERE id = 4;
SELECT lead, moves FROM moves WHERE funnel = 'parts' AND lead IN ('4', '104') ORDER BY lead::int;
SELECT * FROM lead_funnel.verify('parts');

-- there and back again: the version before has the state that the journal knows, but others were between
CREATE TABLE back (id int PRIMARY KEY DEFERRABLE, stage lead_stage, q qualification);
SELECT lead_funnel.attach('back', 'stage', preset => 'open', mode => 'observe', qualification_column => 'q');
SELECT lead_funnel.allow('back', 'lead', 'mql', requires => 'bant(budget=3)', check_at => 'commit');
INSERT INTO back SELECT i, 'lead' FROM generate_series(1, 4) AS i;
CREATE FUNCTION to_sal(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE back SET stage = 'sal' WHERE id = i; RETURN i; END $$;
CREATE FUNCTION to_lead(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE back SET stage = 'lead' WHERE id = i RETURNING to_sal(id) INTO i; RETURN i; END $$;
UPDATE back SET stage = 'mql' WHERE id = 1 RETURNING to_lead(id);
BEGIN;
UPDATE back SET stage = 'mql' WHERE id = 2;
UPDATE back SET stage = 'lead' WHERE id = 2;
UPDATE back SET stage = 'sal' WHERE id = 2;
COMMIT;
SELECT lead, moves FROM moves WHERE funnel = 'back' ORDER BY lead;
UPDATE back SET id = 7 - id WHERE id > 2 RETURNING id, CASE WHEN id = 3 THEN to_sal(3) END;
SELECT lead, to_stage FROM lead_funnel.funnel_history WHERE funnel = 'back' AND lead > '2' ORDER BY lead, move;
SELECT * FROM lead_funnel.verify('back');
-- in another savepoint the lead gets another key, while what triggers have made of it still waits: what it goes on to do waits, too
CREATE TABLE renamed (id int PRIMARY KEY, stage lead_stage, source text DEFAULT '');
SELECT lead_funnel.attach('renamed', 'stage', source_column => 'source', preset => 'open');
INSERT INTO renamed VALUES (4, 'nurture');
CREATE FUNCTION go_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 3 THEN
        UPDATE renamed SET stage = 'nurture', source = source || 't' WHERE id = new.id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER go_on AFTER UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION go_on();
BEGIN;
WITH u AS (UPDATE renamed SET stage = stage RETURNING id) SELECT count(*) FROM u;
SAVEPOINT x;
UPDATE renamed SET stage = 'sql', id = 24, source = 's' WHERE id = 4;
RELEASE x;
COMMIT;
SELECT * FROM renamed;
SELECT lead, moves FROM moves WHERE funnel = 'renamed';
SELECT * FROM lead_funnel.verify('renamed');

-- what no trigger has told of is not waited for
BEGIN;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = off;
ALTER TABLE back ADD note text;
UPDATE back SET note = 'x';
UPDATE back SET stage = 'won' WHERE id = 2;
SELECT moves FROM moves WHERE funnel = 'back' AND lead = '2';
COMMIT;

-- a row that its own statement has changed again tens of thousands of times, so that all of that waits for one event
CREATE TABLE long (id int PRIMARY KEY, stage lead_stage, n int);
SELECT lead_funnel.attach('long', 'stage', value_column => 'n');
INSERT INTO long VALUES (1, 'lead', 0);
CREATE FUNCTION again(times int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    place tid := (SELECT ctid FROM long);
BEGIN
    FOR i IN 1 .. times LOOP
        UPDATE long SET n = i WHERE ctid = place RETURNING ctid INTO place;
    END LOOP;
    RETURN times;
END
$$;
UPDATE long SET stage = 'mql' WHERE id = 1 RETURNING again(70000);
SELECT moves FROM moves WHERE funnel = 'long';
SELECT * FROM lead_funnel.verify('long');

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{long,accepted,called,other,judged,parts,replaced,renamed,back}'::name[]) AS f;
SET client_min_messages = warning;
DROP SCHEMA early CASCADE;
