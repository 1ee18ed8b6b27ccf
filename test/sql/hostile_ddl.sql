-- hostile_ddl: what a role without a table's ownership, or somebody else's broken table, must not be able to do

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE ROLE regress_hd_owner;
CREATE ROLE regress_hd_other;
CREATE SCHEMA hd;
GRANT USAGE, CREATE ON SCHEMA hd TO regress_hd_owner, regress_hd_other;
SET search_path = hd, public;

-- the right to create triggers is none to replace ours, or to be taken for ours
SET ROLE regress_hd_owner;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', name text);
SELECT lead_funnel.attach('leads', 'stage');
INSERT INTO leads VALUES (1, 'mql', 'a'), (2, 'mql', 'b');
GRANT SELECT, TRIGGER, UPDATE (name, stage) ON leads TO regress_hd_other;
SET ROLE regress_hd_other;
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.stage := 'won'; RETURN NEW; END $$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER lead_funnel_stamp BEFORE UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION evil();
CREATE OR REPLACE TRIGGER lead_funnel_track_update AFTER UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE OR REPLACE TRIGGER lead_funnel_track_update AFTER UPDATE ON leads FOR EACH ROW WHEN (false) EXECUTE FUNCTION lead_funnel.track();
-- made where event triggers do not fire, the name is no excuse
RESET ROLE;
ALTER EVENT TRIGGER lead_funnel_ddl_start DISABLE;
ALTER EVENT TRIGGER lead_funnel_ddl_end DISABLE;
SET ROLE regress_hd_other;
CREATE TRIGGER lead_funnel_stamp BEFORE UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION evil();
RESET ROLE;
ALTER EVENT TRIGGER lead_funnel_ddl_start ENABLE;
ALTER EVENT TRIGGER lead_funnel_ddl_end ENABLE;
SET ROLE regress_hd_other;
UPDATE leads SET name = 'x' WHERE id = 1;
RESET ROLE;
DROP TRIGGER lead_funnel_stamp ON leads;
-- under any other name its work is judged
SET ROLE regress_hd_other;
CREATE TRIGGER evil BEFORE UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION evil();
UPDATE leads SET name = 'x' WHERE id = 1;
RESET ROLE;
DROP TRIGGER evil ON leads;
-- the names are free where no funnel is
CREATE TABLE elsewhere (i int);
CREATE TRIGGER lead_funnel_flush AFTER INSERT ON elsewhere FOR EACH STATEMENT EXECUTE FUNCTION nothing();

-- our own tables: what we write fires no trigger, so one that copies changes would lose some
CREATE TRIGGER repack_trigger AFTER INSERT OR DELETE OR UPDATE ON lead_funnel.event FOR EACH ROW EXECUTE FUNCTION nothing();

-- partitions that go by other ways than DROP TABLE, after one that went by it, or did not
CREATE TABLE parts (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead') PARTITION BY RANGE (id);
CREATE SCHEMA hd_archive;
CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
CREATE TABLE hd_archive.p2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE TABLE p3 PARTITION OF parts FOR VALUES FROM (20) TO (30);
CREATE TABLE p4 PARTITION OF parts FOR VALUES FROM (30) TO (40);
SELECT lead_funnel.attach('parts', 'stage');
INSERT INTO parts SELECT g FROM generate_series(1, 39) g;
SET client_min_messages = warning;
DROP TABLE p1;
DROP SCHEMA hd_archive CASCADE;
SELECT count(*), (SELECT sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'parts') AS counted FROM parts;
CREATE VIEW v AS SELECT * FROM p3;
ALTER TABLE p3 OWNER TO regress_hd_other;
\set VERBOSITY terse
DROP TABLE p3;
DROP OWNED BY regress_hd_other CASCADE;
\set VERBOSITY default
SELECT count(*), (SELECT sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'parts') AS counted FROM parts;
-- who owns the schema may drop the table
CREATE SCHEMA hd_s AUTHORIZATION regress_hd_other;
CREATE TABLE hd_s.p5 PARTITION OF parts FOR VALUES FROM (40) TO (50);
CREATE TABLE hd_s.p6 PARTITION OF parts FOR VALUES FROM (50) TO (60);
ALTER TABLE hd_s.p5 OWNER TO regress_hd_other;
INSERT INTO parts SELECT g FROM generate_series(40, 59) g;
SET ROLE regress_hd_other;
DROP TABLE hd_s.p5, hd_s.p6;
RESET ROLE;
SELECT count(*), (SELECT sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'parts') AS counted FROM parts;
SELECT * FROM lead_funnel.verify('parts');
RESET client_min_messages;

-- one broken table is nobody else's trouble
GRANT USAGE, CREATE ON SCHEMA hd TO regress_hd_other;
SET ROLE regress_hd_other;
CREATE TYPE row_type AS (id int, stage text, source text);
CREATE TABLE broken OF row_type (PRIMARY KEY (id));
SELECT lead_funnel.attach('broken', 'stage', source_column => 'source');
ALTER TYPE row_type RENAME ATTRIBUTE source TO src CASCADE;
SET ROLE regress_hd_owner;
DROP TABLE leads;
RESET ROLE;

-- the history of a table that is dropped belongs to its owner, whatever the name of that role was before
CREATE ROLE regress_hd_a;
GRANT USAGE, CREATE ON SCHEMA hd TO regress_hd_a;
CREATE SCHEMA hd_a AUTHORIZATION regress_hd_a;
SET ROLE regress_hd_a;
CREATE TABLE kept1 (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
CREATE TABLE hd_a.kept2 (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
CREATE TABLE kept3 (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
SELECT lead_funnel.attach('kept1', 'stage'), lead_funnel.attach('hd_a.kept2', 'stage'), lead_funnel.attach('kept3', 'stage');
INSERT INTO kept1 VALUES (1, 'lead');
INSERT INTO hd_a.kept2 VALUES (1, 'lead');
INSERT INTO kept3 VALUES (1, 'lead');
RESET ROLE;
ALTER ROLE regress_hd_a RENAME TO regress_hd_b;
CREATE ROLE regress_hd_a;
SET client_min_messages = warning;
SET ROLE regress_hd_b;
DROP TABLE kept1;
DROP SCHEMA hd_a CASCADE;
SET client_min_messages = error;
DROP OWNED BY regress_hd_b;
SET client_min_messages = warning;
SELECT funnel, count(*) FROM lead_funnel.funnel_history WHERE lead IS NOT NULL GROUP BY 1 ORDER BY 1;
SET ROLE regress_hd_a;
SELECT lead_funnel.detach('kept1', purge => true);
SET ROLE regress_hd_b;
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{kept1,kept2,kept3}'::name[]) f;
RESET ROLE;
DROP OWNED BY regress_hd_a, regress_hd_b;
DROP ROLE regress_hd_a, regress_hd_b;
RESET client_min_messages;

-- a domain's checks are not run for whoever scores a row, wherever the domain is
CREATE FUNCTION ran() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'the check has run as %', current_user; RETURN true; END $$;
CREATE DOMAIN tag AS text CHECK (ran());
CREATE TYPE pair AS (a tag, b int);
CREATE TYPE tags AS RANGE (subtype = tag);
CREATE TABLE scored (id int PRIMARY KEY, list tag[], two pair, span tags, plain tag);
SET client_min_messages = error;
INSERT INTO scored VALUES (1, '{a,b}', '(a,1)', '[a,b]', 'a');
RESET client_min_messages;
SELECT lead_funnel.create_model('hd');
SELECT lead_funnel.add_rule('hd', 'fit', 'plain', '=', 'a', 1), lead_funnel.add_rule('hd', 'fit', 'list', 'contains', 'a', 2), lead_funnel.activate_model('hd');
SELECT lead_funnel.score('hd', s) FROM scored s;
SELECT lead_funnel.add_rule('hd', 'fit', 'list', '=', '{a,b}', 10), lead_funnel.activate_model('hd');
SELECT lead_funnel.score('hd', s) FROM scored s;
SELECT lead_funnel.remove_rule('hd', 3), lead_funnel.add_rule('hd', 'fit', 'two', '=', '(a,1)', 10), lead_funnel.activate_model('hd');
SELECT lead_funnel.score('hd', s) FROM scored s;
SELECT lead_funnel.remove_rule('hd', 4), lead_funnel.add_rule('hd', 'fit', 'span', '=', '[a,b]', 10), lead_funnel.activate_model('hd');
SELECT lead_funnel.score('hd', s) FROM scored s;

-- functions that everybody may call, without what they need
SET ROLE regress_hd_other;
SELECT lead_funnel._check_rule(NULL, 'a', '=', 'x', NULL);
SELECT lead_funnel._check_rule('m', NULL, '=', 'x', NULL);
SELECT lead_funnel._check_rule('m', 'a', NULL, 'x', NULL);
RESET ROLE;

SET client_min_messages = error;
SELECT lead_funnel.drop_model('hd');
DROP SCHEMA hd CASCADE;
DROP SCHEMA hd_s CASCADE;
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{leads,parts,broken}'::name[]) f;
DROP OWNED BY regress_hd_owner, regress_hd_other CASCADE;
DROP ROLE regress_hd_owner, regress_hd_other;
