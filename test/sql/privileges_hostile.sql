-- A hostile owner, a role that owns nothing, and what is left when owners go or the extension goes

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
DROP ROLE IF EXISTS regress_lf_evil, regress_lf_good, regress_lf_heir;
RESET client_min_messages;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset null -

CREATE ROLE regress_lf_evil;
CREATE ROLE regress_lf_good;
CREATE ROLE regress_lf_heir;
CREATE SCHEMA ho;
GRANT USAGE, CREATE ON SCHEMA ho TO PUBLIC;
CREATE FUNCTION ho.try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

SET ROLE regress_lf_good;
CREATE TABLE ho.good (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', owner text);
SELECT lead_funnel.attach('ho.good', 'stage', 'ho good', owner_column => 'owner');
INSERT INTO ho.good (id) VALUES (1), (2);
CREATE TABLE ho.plain (id int PRIMARY KEY, stage text);
GRANT SELECT, INSERT, TRIGGER, REFERENCES ON ho.good, ho.plain TO regress_lf_evil;

-- nothing can be hung on our tables
SET ROLE regress_lf_evil;
SELECT command, ho.try(command)
FROM unnest(ARRAY['CREATE INDEX ON lead_funnel.journal (lead_id)', 'CREATE RULE r AS ON INSERT TO lead_funnel.delta DO NOTHING',
    'CREATE TRIGGER t BEFORE INSERT ON lead_funnel.journal FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'CREATE POLICY p ON lead_funnel.journal', 'ALTER TABLE lead_funnel.rule DISABLE TRIGGER ALL', 'LOCK TABLE lead_funnel.delta',
    'CREATE TABLE ho.child () INHERITS (lead_funnel.journal)', 'CREATE STATISTICS ho.s ON lead_id, move FROM lead_funnel.journal',
    'CREATE TABLE ho.ref (f int REFERENCES lead_funnel.funnel)', 'CREATE FUNCTION lead_funnel.preset_evil() RETURNS int LANGUAGE sql AS ''SELECT 1''',
    'CREATE VIEW lead_funnel.v AS SELECT 1', 'TRUNCATE lead_funnel.journal', 'DROP EVENT TRIGGER lead_funnel_ddl_drop',
    'ALTER FUNCTION lead_funnel.track() OWNER TO CURRENT_USER', 'DROP EXTENSION lead_funnel CASCADE']) WITH ORDINALITY AS c (command, position)
ORDER BY position;

-- nor on somebody else's lead table, with an owner's right to execute track()
CREATE TABLE ho.evil (id int PRIMARY KEY, stage text, since timestamptz);
SELECT lead_funnel.attach('ho.evil', 'stage', 'ho evil', entered_column => 'since');
SELECT command, ho.try(command)
FROM unnest(ARRAY['CREATE TRIGGER lead_funnel_track AFTER INSERT ON ho.good FOR EACH ROW EXECUTE FUNCTION lead_funnel.track()',
    'CREATE TABLE ho.part PARTITION OF ho.good DEFAULT', 'CREATE TABLE ho.child () INHERITS (ho.good)', 'ALTER TABLE ho.good DISABLE TRIGGER USER',
    'ALTER TABLE ho.good ENABLE ROW LEVEL SECURITY', 'SELECT lead_funnel.flush()', 'SELECT lead_funnel.track()']) WITH ORDINALITY AS c (command, position)
ORDER BY position;
-- a trigger under our name on a table without a funnel journals nothing
CREATE TRIGGER lead_funnel_track AFTER INSERT ON ho.plain FOR EACH ROW EXECUTE FUNCTION lead_funnel.track();
SELECT ho.try($$INSERT INTO ho.plain VALUES (1, 'won')$$);
-- one more on the other funnel does not count twice
CREATE TRIGGER lead_funnel_more AFTER INSERT ON ho.good FOR EACH ROW EXECUTE FUNCTION lead_funnel.track();
SELECT ho.try('INSERT INTO ho.good (id) VALUES (3)');
SET ROLE regress_lf_good;
DROP TRIGGER lead_funnel_more ON ho.good;
DROP TRIGGER lead_funnel_track ON ho.plain;
-- nor does one in the place of ours that fires at another time or once a statement
SET client_min_messages = error;
BEGIN;
DROP TRIGGER lead_funnel_track ON ho.good;
DROP TRIGGER lead_funnel_truncate ON ho.good;
CREATE TRIGGER lead_funnel_truncate AFTER TRUNCATE ON ho.good FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel.truncated();
CREATE TRIGGER lead_funnel_track BEFORE INSERT ON ho.good FOR EACH ROW EXECUTE FUNCTION lead_funnel.track();
SELECT ho.try('INSERT INTO ho.good (id) VALUES (3)'), ho.try('TRUNCATE ho.good');
DROP TRIGGER lead_funnel_track ON ho.good;
CREATE TRIGGER lead_funnel_track AFTER INSERT ON ho.good FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel.track();
CREATE TRIGGER lead_funnel_stamp AFTER UPDATE ON ho.good FOR EACH ROW EXECUTE FUNCTION lead_funnel.stamp();
SELECT ho.try('INSERT INTO ho.good (id) VALUES (3)'), ho.try('UPDATE ho.good SET stage = ''mql''');
ROLLBACK;
RESET client_min_messages;
-- LIKE copies no trigger
SET ROLE regress_lf_evil;
CREATE TABLE ho.copy (LIKE ho.good INCLUDING ALL);
INSERT INTO ho.copy VALUES (7, 'won');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'ho.copy'::regclass;

-- a default, a domain and a trigger that write as the writer, not as the extension
CREATE FUNCTION ho.who() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_user || ho.try('DELETE FROM lead_funnel.journal'); END $$;
CREATE DOMAIN ho.checked AS text CHECK (ho.try('DELETE FROM lead_funnel.journal') <> 'done');
CREATE TABLE ho.trap (id ho.checked PRIMARY KEY, stage text, who text DEFAULT ho.who());
INSERT INTO ho.trap VALUES ('a', 'lead');
RESET ROLE;
-- attached, verified and rebuilt by a superuser: no expression of the owner's runs
SELECT lead_funnel.attach('ho.trap', 'stage', 'ho trap', owner_column => 'who');
SELECT count(*) FROM lead_funnel.verify('ho trap');
SELECT lead_funnel.rebuild('ho trap');
SELECT lead, owner FROM lead_funnel.funnel_history WHERE funnel = 'ho trap' ORDER BY lead;
SELECT lead, to_stage, role_name FROM lead_funnel.funnel_history WHERE funnel = 'ho good' ORDER BY lead_id;

-- a new owner, by REASSIGN OWNED; the old one sees no more
REASSIGN OWNED BY regress_lf_good TO regress_lf_heir;
SET ROLE regress_lf_good;
SELECT count(*) FROM lead_funnel.funnels WHERE funnel = 'ho good';
SELECT ho.try($$SELECT lead_funnel.suspend('ho good')$$);
SET ROLE regress_lf_heir;
UPDATE ho.good SET stage = 'mql' WHERE id = 1;
SELECT lead_funnel.resume('ho good');
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'ho good' ORDER BY stage_rank;
SELECT * FROM lead_funnel.verify('ho good');
RESET ROLE;
-- grants on the views keep a role from being dropped until it gives them back
SELECT ho.try('DROP ROLE regress_lf_good') ~ '^2BP01';
DROP OWNED BY regress_lf_good;
DROP ROLE regress_lf_good;
SELECT * FROM lead_funnel.verify('ho good');
DROP OWNED BY regress_lf_heir;
SELECT status, relation FROM lead_funnel.funnel WHERE name = 'ho good';

-- the history follows the owner of the table: by ALTER TABLE, and by resume() and alter_funnel() after REASSIGN OWNED
BEGIN;
SET client_min_messages = warning;
CREATE ROLE regress_lf_old;
CREATE FUNCTION ho.attached_by() RETURNS name LANGUAGE sql AS $$ SELECT attached_by FROM lead_funnel.funnel WHERE name = 'ho sold' $$;
SET ROLE regress_lf_old;
CREATE TABLE ho.sold (id int PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach('ho.sold', 'stage', 'ho sold');
INSERT INTO ho.sold VALUES (1, 'lead');
RESET ROLE;
SAVEPOINT s;
ALTER TABLE ho.sold OWNER TO regress_lf_heir;
SELECT ho.attached_by();
SET ROLE regress_lf_heir;
DROP TABLE ho.sold;
SET ROLE regress_lf_old;
SELECT count(*) FROM lead_funnel.funnel_history WHERE funnel = 'ho sold';
SELECT ho.try($$SELECT lead_funnel.detach('ho sold', purge => true)$$);
SET ROLE regress_lf_heir;
SELECT ho.try($$SELECT lead_funnel.detach('ho sold', purge => true)$$);
ROLLBACK TO s;
REASSIGN OWNED BY regress_lf_old TO regress_lf_heir;
SELECT ho.attached_by();
SAVEPOINT s;
SELECT lead_funnel.resume('ho sold');
SELECT ho.attached_by();
ROLLBACK TO s;
SELECT lead_funnel.alter_funnel('ho sold', timezone => 'Asia/Tokyo');
SELECT ho.attached_by();
ROLLBACK;

-- the extension goes: text stays text; a lead_stage column is saved by detach(restore_type)
CREATE TABLE ho.kept (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
SELECT lead_funnel.attach('ho.kept', 'stage', 'ho kept');
INSERT INTO ho.kept VALUES (1, 'mql');
SET client_min_messages = error;
DROP TABLE ho.copy;
BEGIN;
DROP EXTENSION lead_funnel CASCADE;
SELECT attname FROM pg_attribute WHERE attrelid = 'ho.kept'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT id, stage FROM ho.evil;
ROLLBACK;
BEGIN;
SELECT lead_funnel.detach('ho kept', restore_type => 'text');
DROP EXTENSION lead_funnel CASCADE;
SELECT id, stage, pg_typeof(stage) FROM ho.kept;
INSERT INTO ho.kept (id) VALUES (2);
SELECT stage FROM ho.kept WHERE id = 2;
SELECT id, stage, pg_typeof(stage) FROM ho.trap ORDER BY id;
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lead\_funnel\_%';
ROLLBACK;
-- a member of pg_write_all_data writes no table of ours, by a view neither; a superuser does
SELECT t.relname AS open_table FROM pg_class AS t
WHERE t.relnamespace = 'lead_funnel'::regnamespace AND t.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = t.oid AND g.tgname = 'refuse_write' AND g.tgenabled = 'O');
BEGIN;
CREATE ROLE regress_lf_writer IN ROLE pg_write_all_data, pg_read_all_data;
CREATE SCHEMA ho_fake;
CREATE FUNCTION ho_fake.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql RETURN true;
GRANT USAGE ON SCHEMA ho_fake TO regress_lf_writer;
SET ROLE regress_lf_writer;
SET search_path = ho_fake, pg_catalog, public;
SELECT command, ho.try(command)
FROM unnest(ARRAY['INSERT INTO lead_funnel.override_role VALUES (1, ''w'')', 'UPDATE lead_funnel.funnel SET mode = mode',
    'DELETE FROM lead_funnel.journal', 'DELETE FROM lead_funnel.rule', 'TRUNCATE lead_funnel.delta', 'DELETE FROM lead_funnel.delta WHERE false',
    'INSERT INTO lead_funnel.reader VALUES (''w'') ON CONFLICT DO NOTHING', 'DELETE FROM lead_funnel._marker',
    'MERGE INTO lead_funnel.stage_map USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE']) WITH ORDINALITY AS c (command, position)
ORDER BY position;
SAVEPOINT s;
DELETE FROM lead_funnel.journal;
ROLLBACK TO s;
-- leads are written as before
INSERT INTO ho.evil VALUES (9, 'lead');
RESET ROLE;
RESET search_path;
SELECT count(*) FROM lead_funnel.funnel_history WHERE funnel = 'ho evil' AND lead = '9';
INSERT INTO lead_funnel.reader VALUES ('w');
ROLLBACK;
-- it may set a sequence: funnels get their numbers all the same
BEGIN;
CREATE ROLE regress_lf_writer IN ROLE pg_write_all_data;
SELECT relname FROM pg_class WHERE relnamespace = 'lead_funnel'::regnamespace AND relkind = 'S';
SELECT funnel_id AS taken FROM lead_funnel.funnel LIMIT 1 \gset
SET ROLE regress_lf_writer;
SELECT setval('lead_funnel.funnel_funnel_id_seq', :taken, false) > 0 AS set;
RESET ROLE;
CREATE TABLE ho.n1 (id int PRIMARY KEY, stage text);
CREATE TABLE ho.n2 (id int PRIMARY KEY, stage text);
CREATE TABLE ho.n3 (id int PRIMARY KEY, stage text);
SELECT lead_funnel.attach('ho.n1', 'stage');
SET ROLE regress_lf_writer;
SELECT setval('lead_funnel.funnel_funnel_id_seq', 2147483646);
RESET ROLE;
SELECT lead_funnel.attach(t, 'stage') FROM unnest('{ho.n2,ho.n3}'::regclass[]) t;
INSERT INTO ho.n3 VALUES (1, 'lead');
SELECT problem FROM unnest('{n1,n2,n3}'::name[]) n, lead_funnel.verify(n);
SELECT count(*), count(DISTINCT funnel_id), max(funnel_id) FROM lead_funnel.funnel WHERE name IN ('n1', 'n2', 'n3');
ROLLBACK;

-- default privileges open nothing: what everybody has is what everybody has without them
BEGIN;
SET client_min_messages = error;
CREATE TEMPORARY VIEW grants AS
SELECT o.object, a.grantee, a.privilege_type, a.is_grantable
FROM (SELECT r.relnamespace, r.oid::regclass::text,
             coalesce(r.relacl, acldefault(CASE r.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", r.relowner))
      FROM pg_class AS r WHERE r.relkind IN ('r', 'v', 'S')
      UNION ALL
      SELECT p.pronamespace, p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc AS p
      UNION ALL
      SELECT n.oid, n.nspname, n.nspacl FROM pg_namespace AS n) AS o (namespace, object, acl)
JOIN pg_namespace AS n ON n.oid = o.namespace AND n.nspname = 'lead_funnel'
CROSS JOIN LATERAL aclexplode(o.acl) AS a;
DROP EXTENSION lead_funnel CASCADE;
CREATE EXTENSION lead_funnel;
CREATE TEMPORARY TABLE without AS SELECT * FROM grants;
SELECT object, privilege_type FROM without WHERE grantee = 0 AND object !~ '\(';
SELECT count(*) > 20 AS functions FROM without WHERE grantee = 0 AND object ~ '\(';
SELECT count(*) AS neither_owner_nor_public FROM without WHERE grantee NOT IN (0, current_user::regrole);
DROP EXTENSION lead_funnel;
CREATE ROLE "regress_lf App";
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "regress_lf App", PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO "regress_lf App", PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO "regress_lf App" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO "regress_lf App", PUBLIC;
CREATE EXTENSION lead_funnel;
SELECT object, grantee::regrole, privilege_type FROM (TABLE grants EXCEPT TABLE without) AS more ORDER BY 1, 2, 3 LIMIT 20;
SELECT object, grantee::regrole, privilege_type FROM (TABLE without EXCEPT TABLE grants) AS less ORDER BY 1, 2, 3 LIMIT 20;
SET ROLE "regress_lf App";
SELECT ho.try('INSERT INTO lead_funnel.override_role VALUES (1, ''a'')'), ho.try('SELECT lead_funnel._mark(1, ''truncate'')'),
       ho.try('SELECT nextval(''lead_funnel.funnel_funnel_id_seq'')'), ho.try('CREATE TABLE lead_funnel.t ()');
RESET ROLE;
SHOW search_path;
ROLLBACK;

SELECT lead_funnel.detach('ho kept', purge => true), lead_funnel.detach('ho trap', purge => true), lead_funnel.detach('ho evil', purge => true),
       lead_funnel.detach('ho good', purge => true);
DROP SCHEMA ho CASCADE;
DROP OWNED BY regress_lf_evil, regress_lf_heir;
DROP ROLE regress_lf_evil, regress_lf_heir;
