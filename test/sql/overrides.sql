-- overrides: who may break a rule, and when; reasons, notes, actors, roles; what nobody may touch

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_ov_owner;
CREATE ROLE regress_ov_writer;
CREATE ROLE regress_ov_chief;
CREATE ROLE regress_ov_deputy IN ROLE regress_ov_chief;
CREATE ROLE regress_ov_super SUPERUSER;
CREATE SCHEMA ov AUTHORIZATION regress_ov_owner;
SET ROLE regress_ov_owner;
SET search_path = ov, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all

CREATE TABLE l (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', why text, who text);
SELECT lead_funnel.attach('l', 'stage', reason_column => 'why', actor_column => 'who');
CREATE FUNCTION told(int) RETURNS TABLE (lead bigint, move text, origin text, reason text, note text, actor text, role_name text)
LANGUAGE sql SECURITY DEFINER SET search_path = ov, public AS $$
SELECT lead_id, coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-'), origin, reason, note, actor, role_name
FROM lead_funnel.funnel_history WHERE funnel = 'l' AND lead_id = $1 ORDER BY move
$$;
CREATE FUNCTION lend(int, lead_stage) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN UPDATE ov.l SET stage = $2 WHERE id = $1; END $$;
CREATE FUNCTION lend_all(int, lead_stage) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET lead_funnel.override = 'lent' AS
$$ BEGIN UPDATE ov.l SET stage = $2 WHERE id = $1; END $$;
GRANT USAGE, CREATE ON SCHEMA ov TO regress_ov_writer, regress_ov_chief;
GRANT SELECT, INSERT, UPDATE, DELETE ON l TO regress_ov_writer, regress_ov_chief;
INSERT INTO l SELECT i FROM generate_series(1, 9) i;

-- without the right; with it
SET ROLE regress_ov_writer;
BEGIN;
SET LOCAL lead_funnel.override = 'because';
UPDATE l SET stage = 'won' WHERE id = 1;
ROLLBACK;
\set VERBOSITY terse
BEGIN;
SET LOCAL lead_funnel.override = 'because';
SELECT lend(1, 'won');
ROLLBACK;
SELECT lend_all(1, 'won');
CREATE FUNCTION trap(int, lead_stage) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN UPDATE ov.l SET stage = $2 WHERE id = $1; END $$;
SET ROLE regress_ov_owner;
BEGIN;
SET LOCAL lead_funnel.override = 'because';
SELECT trap(1, 'won');                                -- not what the writer does, either
ROLLBACK;
BEGIN;
SET LOCAL lead_funnel.override = 'because';
UPDATE l SET stage = 'won' WHERE id = 1;
UPDATE l SET stage = 'mql' WHERE id = 2;              -- nothing to override
INSERT INTO l VALUES (11, 'won'), (12, 'lead') ON CONFLICT DO NOTHING;
INSERT INTO l VALUES (2, 'opportunity', 'urgent'), (13, 'sql', NULL) ON CONFLICT (id) DO UPDATE SET stage = EXCLUDED.stage, why = EXCLUDED.why;
UPDATE l SET stage = NULL WHERE id = 3;               -- no rule, but nothing
ROLLBACK;
BEGIN;
SET LOCAL lead_funnel.override = 'because';
SET LOCAL lead_funnel.note = 'see file 7';
UPDATE l SET stage = 'won' WHERE id = 1;
INSERT INTO l VALUES (2, 'opportunity', 'urgent') ON CONFLICT (id) DO UPDATE SET stage = EXCLUDED.stage, why = EXCLUDED.why;
COMMIT;
SELECT lend(1, 'lead');
SELECT lend_all(1, 'lead');
UPDATE l SET stage = 'sal' WHERE id = 1;
SELECT * FROM told(1) UNION ALL SELECT * FROM told(2);
SELECT lead_funnel.grant_override('l', 'regress_ov_chief');
SET ROLE regress_ov_deputy;
BEGIN;
SET LOCAL lead_funnel.override = 'as deputy';
UPDATE l SET stage = 'sal' WHERE id = 1;
SELECT lend(1, 'won');                                -- both have the right
COMMIT;
SET ROLE regress_ov_owner;
SELECT lead_funnel.revoke_override('l', 'regress_ov_chief');
SET ROLE regress_ov_chief;
BEGIN;
SET LOCAL lead_funnel.override = 'still';
UPDATE l SET stage = 'lead' WHERE id = 1;
ROLLBACK;
SET ROLE regress_ov_owner;
SELECT * FROM told(1) OFFSET 3;

-- only in the transaction that says so: not the session, not one before, not after a rollback
SET lead_funnel.override = 'for ever';
UPDATE l SET stage = 'won' WHERE id = 3;
BEGIN;
UPDATE l SET stage = 'won' WHERE id = 3;
ROLLBACK;
BEGIN;
SET lead_funnel.override = 'this one';
UPDATE l SET stage = 'won' WHERE id = 3;
COMMIT;
UPDATE l SET stage = 'lead' WHERE id = 3;
BEGIN;
SAVEPOINT a;
SET LOCAL lead_funnel.override = 'taken back';
ROLLBACK TO a;
UPDATE l SET stage = 'lead' WHERE id = 3;
ROLLBACK;
BEGIN;
SET LOCAL lead_funnel.override = 'first';
SAVEPOINT a;
SET LOCAL lead_funnel.override = 'second';
ROLLBACK TO a;
UPDATE l SET stage = 'lead' WHERE id = 3;
SAVEPOINT b;
SET LOCAL lead_funnel.override = ' ';
UPDATE l SET stage = 'won' WHERE id = 3;
ROLLBACK TO b;
RESET lead_funnel.override;
UPDATE l SET stage = 'won' WHERE id = 3;
ROLLBACK TO b;
SELECT set_config('lead_funnel.override', 'third', true);
UPDATE l SET stage = 'won' WHERE id = 3;
COMMIT;
SELECT * FROM told(3);
-- the same in a new connection, whose first statement sets it before the library is there
\c -
SET ROLE regress_ov_owner;
SET search_path = ov, public;
SET lead_funnel.override = 'for ever';
SET lead_funnel.reason = 'for ever';
UPDATE l SET stage = 'won' WHERE id = 4;
\c -
SET ROLE regress_ov_owner;
SET search_path = ov, public;
BEGIN;
SET lead_funnel.override = 'this one';
UPDATE l SET stage = 'won' WHERE id = 4;
COMMIT;
UPDATE l SET stage = 'lead' WHERE id = 4;
\c -
SET ROLE regress_ov_owner;
SET search_path = ov, public;
SET lead_funnel.override = 'an earlier one';
BEGIN;
SAVEPOINT a;
SET LOCAL lead_funnel.override = 'taken back';
UPDATE l SET who = 'library is loaded', stage = 'mql' WHERE id = 5;
ROLLBACK TO a;
UPDATE l SET stage = 'won' WHERE id = 5;
ROLLBACK;
RESET ROLE;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lead_funnel.override = %L', current_database(), 'configured'); END $$;
\c -
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET lead_funnel.override', current_database()); END $$;
SET ROLE regress_ov_owner;
SET search_path = ov, public;
BEGIN;
UPDATE l SET stage = 'won' WHERE id = 5;
ROLLBACK;
SELECT * FROM told(4);

-- reasons: as fresh, and not blank; in the column, changed by the same statement
SET ROLE regress_ov_writer;
UPDATE l SET stage = 'mql' WHERE id BETWEEN 5 AND 9;
UPDATE l SET stage = 'rejected' WHERE id = 5;
UPDATE l SET stage = 'rejected', why = E' \t\n' WHERE id = 5;
UPDATE l SET why = 'said before' WHERE id = 5;
UPDATE l SET stage = 'rejected' WHERE id = 5;
UPDATE l SET stage = 'rejected', why = 'said before' WHERE id = 5;
UPDATE l SET stage = 'rejected', why = 'said now' WHERE id = 5;
SET lead_funnel.reason = 'last week';
UPDATE l SET stage = 'rejected' WHERE id = 6;
BEGIN;
SET LOCAL lead_funnel.reason = 'today';
SET LOCAL lead_funnel.note = 'by phone';
SET lead_funnel.actor = 'Ms Smith';
UPDATE l SET stage = 'rejected', who = 'the column' WHERE id = 6;
COMMIT;
UPDATE l SET stage = 'rejected' WHERE id = 7;
SELECT lead, from_stage, to_stage FROM lead_funnel.move('l', 7, 'rejected', reason => 'moved', note => 'by API');
UPDATE l SET stage = 'rejected' WHERE id = 8;
SET lead_funnel.actor = '  ';
UPDATE l SET stage = 'rejected', why = 'too far', who = 'Mr Column' WHERE id = 8;
UPDATE l SET stage = 'mql' WHERE id = 8;
RESET lead_funnel.actor;
RESET lead_funnel.reason;
SELECT * FROM (SELECT * FROM told(5) UNION ALL SELECT * FROM told(6) UNION ALL SELECT * FROM told(7) UNION ALL SELECT * FROM told(8)) t WHERE move LIKE '%rejected%';

-- moves for a role: its members only, even of the owner; one that is not there has none; an override helps
SET ROLE regress_ov_owner;
SET client_min_messages = warning;
SELECT lead_funnel.allow('l', 'mql', 'sal', allowed_role => 'regress_ov_chief');
SELECT lead_funnel.allow('l', 'mql', 'nurture', allowed_role => 'regress_ov_nobody');
RESET client_min_messages;
UPDATE l SET stage = 'sal' WHERE id = 8;
SET ROLE regress_ov_writer;
\set VERBOSITY sqlstate
UPDATE l SET stage = 'sal' WHERE id = 8;
\set VERBOSITY terse
SELECT lend(8, 'sal');
SET ROLE regress_ov_deputy;
UPDATE l SET stage = 'sal' WHERE id = 8;
\set VERBOSITY default
UPDATE l SET stage = 'nurture' WHERE id = 9;
\set VERBOSITY terse
UPDATE l SET stage = 'sal' WHERE id = 9;
RESET ROLE;
SET ROLE regress_ov_super;
UPDATE ov.l SET stage = 'mql' WHERE id = 5;
UPDATE ov.l SET stage = 'nurture' WHERE id = 5;       -- fails for a superuser, too
RESET ROLE;
SET ROLE regress_ov_owner;
BEGIN;
SET LOCAL lead_funnel.override = 'nobody is there';
UPDATE l SET stage = 'nurture' WHERE id = 5;
COMMIT;
SELECT * FROM told(5) OFFSET 3;
SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage FROM l');

-- journal and statistics are nobody's, the private functions neither; the triggers work for attached tables only
INSERT INTO lead_funnel.journal SELECT * FROM lead_funnel.journal;
UPDATE lead_funnel.journal SET reason = 'better';
DELETE FROM lead_funnel.delta;
TRUNCATE lead_funnel.flow_cell;
SELECT lead_funnel._fold(1);
SELECT lead_funnel._set_state(1, 1, NULL, 'won', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT lead_funnel._allow('l', 'lead', 'won', false, NULL, NULL, NULL, false, 'statement', NULL, NULL, NULL, NULL, false, NULL, NULL);
SET ROLE regress_ov_writer;
SELECT lead_funnel.allow('l', 'lead', 'won');
SELECT lead_funnel.set_mode('l', 'observe');
SELECT lead_funnel.suspend('l');
ALTER TABLE l DISABLE TRIGGER ALL;
SET session_replication_role = replica;
RESET ROLE;
CREATE TABLE ov.stranger (id int PRIMARY KEY, stage lead_stage);
CREATE TRIGGER lead_funnel_track AFTER INSERT ON ov.stranger FOR EACH ROW EXECUTE FUNCTION lead_funnel.track();
CREATE TRIGGER lead_funnel_stamp BEFORE UPDATE ON ov.stranger FOR EACH ROW EXECUTE FUNCTION lead_funnel.stamp();
CREATE TRIGGER lead_funnel_truncate BEFORE TRUNCATE ON ov.stranger FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel.truncated();
CREATE TRIGGER twice AFTER INSERT ON ov.l FOR EACH ROW EXECUTE FUNCTION lead_funnel.track();
INSERT INTO ov.stranger VALUES (1, 'won');
ALTER TABLE ov.stranger DISABLE TRIGGER lead_funnel_track;
INSERT INTO ov.stranger VALUES (1, 'won');
UPDATE ov.stranger SET stage = 'lead';
TRUNCATE ov.stranger;
INSERT INTO ov.l VALUES (99);
DROP TRIGGER twice ON ov.l;

SET client_min_messages = warning;
SELECT lead_funnel.detach('l', purge => true);
DROP SCHEMA ov CASCADE;
DROP OWNED BY regress_ov_owner, regress_ov_writer, regress_ov_chief, regress_ov_deputy, regress_ov_super;
DROP ROLE regress_ov_owner, regress_ov_writer, regress_ov_chief, regress_ov_deputy, regress_ov_super;
