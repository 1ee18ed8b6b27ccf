-- event_order: user triggers before and after ours that move leads again, several writes of one lead in a transaction

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_eo_owner;
CREATE SCHEMA eo AUTHORIZATION regress_eo_owner;
SET ROLE regress_eo_owner;
SET search_path = eo, public;
-- several rows of a statement in the order of their keys, whatever autovacuum has found out
SET enable_seqscan = off;
SET enable_bitmapscan = off;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all

CREATE TABLE l (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', src text, note text);
SELECT lead_funnel.attach('l', 'stage', source_column => 'src');
-- each lead with its moves; what the table has, for the oracle
CREATE VIEW moves AS
SELECT lead_id AS lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-'), ' ' ORDER BY move) AS moves,
       min(origin) AS min_origin, max(origin) AS max_origin, count(DISTINCT cycle) AS cycles
FROM lead_funnel.funnel_history WHERE funnel = 'l' GROUP BY lead_id;
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS
$$ SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, src AS source FROM l') $$;
-- runs its arguments, $1 being the row's id
CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 0 .. TG_NARGS - 1 LOOP
        EXECUTE TG_ARGV[i] USING CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END;
    END LOOP;
    RETURN NULL;
END
$$;

-- the same lead moved again by a trigger that sorts before ours: the events come in the wrong order
INSERT INTO l SELECT i, 'mql' FROM generate_series(1, 3) i;
CREATE TRIGGER a_again AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.stage = 'sal')
EXECUTE FUNCTION act('UPDATE l SET stage = ''sql'' WHERE id = $1');
UPDATE l SET stage = 'sal' WHERE id = 1;
UPDATE l SET stage = 'sal' WHERE id IN (2, 3);
SELECT * FROM moves;
SELECT * FROM l_check();
-- each step is judged: lead -> mql -> sal is allowed where lead -> sal is not, and the other way round
INSERT INTO l VALUES (4);
CREATE TRIGGER a_skip AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.stage = 'nurture')
EXECUTE FUNCTION act('UPDATE l SET stage = ''sal'' WHERE id = $1');
CREATE TRIGGER a_step AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.stage = 'mql')
EXECUTE FUNCTION act('UPDATE l SET stage = ''sal'' WHERE id = $1');
UPDATE l SET stage = 'nurture' WHERE id = 4; -- fails: nurture -> sal
UPDATE l SET stage = 'mql' WHERE id = 4;
SELECT * FROM moves WHERE lead = 4;
SELECT * FROM l_check();
DROP TRIGGER a_again ON l;
DROP TRIGGER a_skip ON l;
DROP TRIGGER a_step ON l;

-- after ours; both; ping-pong over three levels
TRUNCATE l;
INSERT INTO l SELECT i, 'mql' FROM generate_series(11, 16) i;
CREATE TRIGGER z_again AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (NEW.stage = 'sal')
EXECUTE FUNCTION act('UPDATE l SET stage = ''sql'' WHERE id = $1');
UPDATE l SET stage = 'sal' WHERE id = 11;
CREATE TRIGGER a_again AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (NEW.stage = 'sql')
EXECUTE FUNCTION act('UPDATE l SET stage = ''recycled'' WHERE id = $1');
UPDATE l SET stage = 'sal' WHERE id IN (12, 13);
CREATE TRIGGER a_third AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (NEW.stage = 'recycled')
EXECUTE FUNCTION act('UPDATE l SET stage = ''nurture'' WHERE id = $1', 'UPDATE l SET stage = ''mql'', src = ''back'' WHERE id = $1');
UPDATE l SET stage = 'sal' WHERE id IN (14, 15);
SELECT * FROM moves WHERE lead BETWEEN 11 AND 16;
SELECT * FROM l_check();
DROP TRIGGER z_again ON l;
DROP TRIGGER a_again ON l;
DROP TRIGGER a_third ON l;

-- untracked updates between the moves, in the trigger and around it
CREATE TRIGGER a_note AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0)
EXECUTE FUNCTION act('UPDATE l SET note = ''one'' WHERE id = $1', 'UPDATE l SET stage = ''sql'' WHERE id = $1',
                     'UPDATE l SET note = ''two'' WHERE id = $1', 'UPDATE l SET stage = ''opportunity'' WHERE id = $1');
CREATE TRIGGER z_note AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0)
EXECUTE FUNCTION act('UPDATE l SET note = ''three'' WHERE id = $1', 'UPDATE l SET stage = ''won'' WHERE id = $1');
INSERT INTO l SELECT i, 'mql' FROM generate_series(21, 25) i;
UPDATE l SET stage = 'sal' WHERE id = 21;
BEGIN;
UPDATE l SET note = 'before' WHERE id IN (22, 23);
UPDATE l SET stage = 'sal' WHERE id IN (22, 23);
UPDATE l SET note = 'after' WHERE id IN (22, 23);
COMMIT;
SELECT * FROM moves WHERE lead BETWEEN 21 AND 25;
SELECT * FROM l_check();
DROP TRIGGER a_note ON l;
DROP TRIGGER z_note ON l;

-- a trigger moves other leads of the same statement, before and after their own event
CREATE TRIGGER a_other AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id = 31)
EXECUTE FUNCTION act('UPDATE l SET stage = ''sql'' WHERE id IN (31, 32, 33) AND stage = ''sal''');
CREATE TRIGGER z_other AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id = 32)
EXECUTE FUNCTION act('UPDATE l SET stage = ''opportunity'' WHERE id BETWEEN 31 AND 33 AND stage = ''sql''',
                     'UPDATE l SET stage = ''mql'' WHERE id = 34');
INSERT INTO l SELECT i, CASE i WHEN 34 THEN 'lead' ELSE 'mql' END FROM generate_series(31, 34) i;
UPDATE l SET stage = 'sal' WHERE id BETWEEN 31 AND 33;
SELECT * FROM moves WHERE lead BETWEEN 31 AND 34;
SELECT * FROM l_check();
DROP TRIGGER a_other ON l;
DROP TRIGGER z_other ON l;

-- a trigger deletes the lead, deletes and inserts it again, moves it at its insertion
CREATE TRIGGER a_delete AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id IN (41, 42))
EXECUTE FUNCTION act('DELETE FROM l WHERE id = $1', 'INSERT INTO l SELECT $1, ''mql'' WHERE $1 = 42');
CREATE TRIGGER z_delete AFTER UPDATE OF stage ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id IN (43, 44))
EXECUTE FUNCTION act('DELETE FROM l WHERE id = $1', 'INSERT INTO l SELECT $1, ''mql'' WHERE $1 = 44');
CREATE TRIGGER a_insert AFTER INSERT ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id IN (45, 47))
EXECUTE FUNCTION act('UPDATE l SET stage = ''mql'' WHERE id = $1', 'UPDATE l SET stage = ''sal'' WHERE id = $1');
CREATE TRIGGER z_insert AFTER INSERT ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id IN (46, 47))
EXECUTE FUNCTION act('UPDATE l SET stage = ''mql'' WHERE id = $1 AND stage = ''lead''', 'DELETE FROM l WHERE id = $1');
CREATE TRIGGER a_back AFTER DELETE ON l FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.id = 48)
EXECUTE FUNCTION act('INSERT INTO l VALUES ($1, ''lead'')', 'UPDATE l SET stage = ''nurture'' WHERE id = $1');
INSERT INTO l SELECT i, 'mql' FROM generate_series(41, 44) i;
UPDATE l SET stage = 'sal' WHERE id BETWEEN 41 AND 44;
INSERT INTO l SELECT i FROM generate_series(45, 48) i;
DELETE FROM l WHERE id = 48;
SELECT * FROM moves WHERE lead BETWEEN 41 AND 48;
SELECT * FROM l_check();
DROP TRIGGER a_delete ON l;
DROP TRIGGER z_delete ON l;
DROP TRIGGER a_insert ON l;
DROP TRIGGER z_insert ON l;
DROP TRIGGER a_back ON l;

-- BEFORE triggers that sort before and after ours change the stage: what is stored is what is judged
CREATE FUNCTION set_stage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.stage := TG_ARGV[0]; RETURN NEW; END $$;
INSERT INTO l SELECT i, 'mql' FROM generate_series(51, 53) i;
CREATE TRIGGER zz_before BEFORE INSERT OR UPDATE ON l FOR EACH ROW WHEN (NEW.note = 'won') EXECUTE FUNCTION set_stage('won');
CREATE TRIGGER aa_before BEFORE INSERT OR UPDATE ON l FOR EACH ROW WHEN (NEW.note = 'sal') EXECUTE FUNCTION set_stage('sal');
UPDATE l SET stage = 'sal', note = 'won' WHERE id = 51; -- fails: the row would be won
UPDATE l SET note = 'won' WHERE id = 51;                -- fails: no update of stage, but of the lead
INSERT INTO l VALUES (54, 'lead', NULL, 'won');         -- fails
UPDATE l SET stage = 'won', note = 'sal' WHERE id = 52;
UPDATE l SET note = 'sal' WHERE id = 53;
SELECT * FROM moves WHERE lead BETWEEN 51 AND 54;
SELECT * FROM l_check();
DROP TRIGGER zz_before ON l;
DROP TRIGGER aa_before ON l;

-- AFTER STATEMENT triggers, with and without transition tables, before and after ours
CREATE FUNCTION act_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET stage = 'sql' FROM n WHERE n.id = l.id AND l.stage = 'sal';
    RETURN NULL;
END
$$;
CREATE TRIGGER a_statement AFTER UPDATE ON l REFERENCING NEW TABLE AS n FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
EXECUTE FUNCTION act_statement();
CREATE FUNCTION act_once() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN UPDATE l SET stage = 'opportunity' WHERE stage = 'sql' AND id BETWEEN 61 AND 62; RETURN NULL; END $$;
CREATE TRIGGER z_statement AFTER UPDATE ON l FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION act_once();
INSERT INTO l SELECT i, 'mql' FROM generate_series(61, 63) i;
UPDATE l SET stage = 'sal' WHERE id BETWEEN 61 AND 63;
SELECT * FROM moves WHERE lead BETWEEN 61 AND 63;
SELECT * FROM l_check();
DROP TRIGGER a_statement ON l;
DROP TRIGGER z_statement ON l;

-- a function in the SET list and one in the WHERE move other leads first
CREATE FUNCTION pull(int, lead_stage) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN UPDATE l SET stage = $2 WHERE id = $1; RETURN 'pulled ' || $1; END $$;
INSERT INTO l SELECT i, 'mql' FROM generate_series(71, 74) i;
UPDATE l SET stage = 'sal', note = pull(72, 'sal') WHERE id = 71;
UPDATE l SET stage = 'sql' WHERE id IN (71, 72) AND pull(73, CASE id WHEN 71 THEN 'sal' ELSE 'sql' END) IS NOT NULL;
SELECT * FROM moves WHERE lead BETWEEN 71 AND 74;
SELECT * FROM l_check();

-- triggers of another table: the moves are seen by the next statement, not only after the end of the transaction
CREATE TABLE call (id int, how text);
CREATE FUNCTION called() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET note = NEW.how WHERE id = NEW.id;
    PERFORM lead_funnel.move('l', NEW.id, 'mql');
    UPDATE l SET note = note || '!' WHERE id = NEW.id;
    UPDATE l SET stage = 'sal' WHERE id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER called AFTER INSERT ON call FOR EACH ROW EXECUTE FUNCTION called();
INSERT INTO l SELECT i FROM generate_series(81, 84) i;
BEGIN;
INSERT INTO call VALUES (81, 'by phone'), (82, 'by mail');
SELECT * FROM moves WHERE lead BETWEEN 81 AND 84;
SELECT sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'l' AND stage = 'sal';
SAVEPOINT s;
INSERT INTO call VALUES (83, 'by phone');
UPDATE l SET stage = 'disqualified' WHERE id = 82;
ROLLBACK TO s;
UPDATE l SET stage = 'sql' WHERE id = 81;
COMMIT;
SELECT * FROM moves WHERE lead BETWEEN 81 AND 84;
SELECT * FROM l_check();

-- deferred constraint triggers: at commit, and in the middle of a transaction with a savepoint after it
CREATE CONSTRAINT TRIGGER d_move AFTER UPDATE ON l DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.note = 'deferred')
EXECUTE FUNCTION act('UPDATE l SET note = NULL WHERE id = $1', 'UPDATE l SET stage = ''sql'' WHERE id = $1');
INSERT INTO l SELECT i, 'mql' FROM generate_series(91, 94) i;
UPDATE l SET stage = 'sal', note = 'deferred' WHERE id = 91;
BEGIN;
UPDATE l SET stage = 'sal', note = 'deferred' WHERE id IN (92, 93);
SET CONSTRAINTS ALL IMMEDIATE;
SAVEPOINT s;
UPDATE l SET stage = 'sal' WHERE id = 94;
ROLLBACK TO s;
UPDATE l SET stage = 'opportunity' WHERE id = 93;
COMMIT;
SELECT * FROM moves WHERE lead BETWEEN 91 AND 94;
SELECT * FROM l_check();

-- an event that changes no number still has its turn before what a trigger makes of it
CREATE TABLE m (id int PRIMARY KEY, status text, src text, gone boolean DEFAULT false, handed date);
SELECT lead_funnel.attach('m', 'status', source_column => 'src', excluded_column => 'gone', handover_column => 'handed',
                          stage_map => '{"sal": ["Accepted", "Qualified"]}');
INSERT INTO m SELECT i, 'mql' FROM generate_series(1, 5) i;
UPDATE m SET status = 'Accepted' WHERE id <= 3;
UPDATE m SET gone = true WHERE id = 5;
CREATE FUNCTION m_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE m SET status = CASE status WHEN 'mql' THEN 'mql' WHEN 'nurture' THEN 'mql' ELSE 'sql' END, gone = false WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER a_act AFTER INSERT OR UPDATE ON m FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION m_act();
UPDATE m SET status = 'Qualified' WHERE id = 1;
UPDATE m SET handed = '2020-02-20' WHERE id = 2;
UPDATE m SET src = ' ' WHERE id = 3;
UPDATE m SET status = 'nurture', gone = true WHERE id = 4;
UPDATE m SET status = 'nurture' WHERE id = 5;
INSERT INTO m VALUES (6, 'mql', NULL, true);
SELECT lead, string_agg(coalesce(from_status, '-') || '>' || coalesce(to_status, '-'), ' ' ORDER BY move) AS moves, max(origin) AS origin
FROM lead_funnel.funnel_history WHERE funnel = 'm' GROUP BY lead ORDER BY lead;
SELECT lead, (handed_over_at AT TIME ZONE current_setting('TimeZone'))::date = '2020-02-20' AS handed
FROM lead_funnel.lead_milestones WHERE funnel = 'm' AND handed_over_at IS NOT NULL;
SELECT * FROM check_funnel('m', $$SELECT id AS lead, CASE WHEN status IN ('Accepted', 'Qualified') THEN 'sal' ELSE status END AS stage FROM m WHERE NOT gone$$);

-- a lead is deleted and inserted again before its own event has come; triggers in triggers, a key freed and taken by one command
CREATE TABLE o (id int PRIMARY KEY, stage lead_stage, src text, gone boolean NOT NULL DEFAULT false);
SELECT lead_funnel.attach('o', 'stage', preset => 'open', source_column => 'src', excluded_column => 'gone');
CREATE VIEW o_moves AS
SELECT lead_id AS lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-'), ' ' ORDER BY move) AS moves, max(origin) AS origin
FROM lead_funnel.funnel_history WHERE funnel = 'o' GROUP BY lead_id;
CREATE TRIGGER a_1 AFTER INSERT ON o FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id = 1)
EXECUTE FUNCTION act('DELETE FROM o WHERE id = $1', 'INSERT INTO o VALUES ($1, ''sql'')');
CREATE TRIGGER a_2 AFTER UPDATE ON o FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id = 2)
EXECUTE FUNCTION act('DELETE FROM o WHERE id = $1', 'INSERT INTO o VALUES ($1, ''sql'', NULL, true)');
CREATE TRIGGER a_3 AFTER INSERT ON o FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id = 3) EXECUTE FUNCTION act('DELETE FROM o WHERE id = $1');
CREATE TRIGGER a_3_back AFTER DELETE ON o FOR EACH ROW WHEN (OLD.id = 3) EXECUTE FUNCTION act('INSERT INTO o VALUES ($1, ''sql'')');
CREATE TRIGGER a_4 AFTER INSERT ON o FOR EACH ROW WHEN (pg_trigger_depth() = 1 AND NEW.id = 4) EXECUTE FUNCTION act('UPDATE o SET src = ''b'' WHERE id = $1');
CREATE TRIGGER a_5 AFTER UPDATE ON o FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id = 5)
EXECUTE FUNCTION act('WITH d AS (DELETE FROM o WHERE id = 4 RETURNING *) INSERT INTO o SELECT id, stage, src FROM d');
INSERT INTO o VALUES (1, 'nurture', NULL), (2, 'lead', NULL), (3, 'nurture', NULL), (4, 'won', 'a'), (5, 'lead', 'a');
UPDATE o SET stage = 'mql' WHERE id IN (2, 5);
SELECT * FROM o_moves;
SELECT * FROM lead_funnel.verify('o');
SELECT * FROM check_funnel('o', 'SELECT id AS lead, stage, src AS source FROM o WHERE NOT gone');

-- COPY FREEZE says of its rows that they are old: which command wrote them is not known any more
CREATE TABLE z (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
SELECT lead_funnel.attach('z', 'stage');
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE z SET stage = 'mql' WHERE id = NEW.id AND id % 2 = 1; RETURN NULL; END $$;
CREATE TRIGGER a_again AFTER INSERT ON z FOR EACH ROW EXECUTE FUNCTION again();
BEGIN;
TRUNCATE z;
COPY z FROM stdin WITH (FREEZE);
1	lead
2	lead
3	lead
\.
COMMIT;
SELECT id, stage, (SELECT to_stage FROM lead_funnel.funnel_history h WHERE h.funnel = 'z' AND h.lead_id = z.id ORDER BY move DESC LIMIT 1) AS journal FROM z ORDER BY 1;
SELECT * FROM check_funnel('z', 'SELECT id AS lead, stage FROM z');
DROP TRIGGER a_again ON z;
BEGIN;
TRUNCATE z;
COPY z FROM stdin WITH (FREEZE);
1	lead
2	lead
3	lead
\.
UPDATE z SET stage = 'mql' WHERE id = 1;
UPDATE z SET stage = 'sal' WHERE id = 1;
DELETE FROM z WHERE id = 2;
COMMIT;
SELECT lead_id, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-') || ' ' || origin, ', ' ORDER BY move) FROM lead_funnel.funnel_history
WHERE funnel = 'z' AND lead_id IS NOT NULL GROUP BY 1 ORDER BY 1;
SELECT * FROM check_funnel('z', 'SELECT id AS lead, stage FROM z');
SELECT lead_funnel.detach('z', purge => true);

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{l,m,o}'::name[]) f;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA eo CASCADE;
DROP OWNED BY regress_eo_owner;
DROP ROLE regress_eo_owner;
