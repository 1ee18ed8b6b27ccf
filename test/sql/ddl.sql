-- DDL on a lead table: what is followed, what is refused, what verify() and reconcile() make of the rest

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset null -

CREATE SCHEMA ddl;
CREATE FUNCTION ddl.health() RETURNS TABLE (relation text, stage_column text, triggers_ok boolean, problems text) LANGUAGE sql AS $$
    SELECT f.relation, f.stage_column, h.triggers_ok,
           (SELECT string_agg(concat_ws(' ', v.problem, v.lead, v.expected || ' <> ' || v.found), '; ') FROM lead_funnel.verify(f.funnel::name) v)
    FROM lead_funnel.funnels f JOIN lead_funnel.funnel_health h USING (funnel)
    WHERE f.funnel = 'ddl'
$$;
CREATE TYPE ddl.status AS ENUM ('lead', 'mql', 'sal', 'sql', 'won');
CREATE TABLE ddl.leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', source text, amount numeric, since timestamptz, extra int, note text);
SELECT lead_funnel.attach('ddl.leads', 'stage', 'ddl', source_column => 'source', value_column => 'amount', entered_column => 'since');
INSERT INTO ddl.leads (id, source, amount) VALUES (1, 'web', 10), (2, 'fair', 20), (3, NULL, NULL);

-- new names, another schema: followed
ALTER TABLE ddl.leads RENAME TO "Lead Table";
ALTER TABLE ddl."Lead Table" RENAME stage TO "Lead Stage";
ALTER TABLE ddl."Lead Table" RENAME COLUMN source TO origin;
ALTER TABLE ddl."Lead Table" RENAME COLUMN extra TO more;
ALTER TABLE ddl."Lead Table" SET SCHEMA public;
ALTER SCHEMA ddl RENAME TO ddl2;
UPDATE "Lead Table" SET "Lead Stage" = 'mql' WHERE id = 1;
INSERT INTO "Lead Table" (id, origin) VALUES (4, 'web');
UPDATE "Lead Table" SET "Lead Stage" = 'won' WHERE id = 1;
SELECT lead, from_stage, to_stage FROM lead_funnel.move('ddl', 4, 'mql');
SELECT * FROM ddl2.health();
ALTER SCHEMA ddl2 RENAME TO ddl;
ALTER TABLE "Lead Table" SET SCHEMA ddl;
BEGIN;
ALTER TABLE ddl."Lead Table" RENAME TO leads;
ALTER TABLE ddl.leads RENAME COLUMN "Lead Stage" TO stage;
UPDATE ddl.leads SET stage = 'sal' WHERE id = 4;
ROLLBACK;
UPDATE ddl."Lead Table" SET "Lead Stage" = 'sal' WHERE id = 4;
ALTER TABLE ddl."Lead Table" RENAME TO leads;
ALTER TABLE ddl.leads RENAME "Lead Stage" TO stage;
SELECT * FROM ddl.health();
SELECT lead, from_stage, to_stage, source FROM lead_funnel.funnel_history WHERE funnel = 'ddl' ORDER BY lead_id, move;

-- columns of the funnel: refused, with and without CASCADE; others: as ever
ALTER TABLE ddl.leads DROP COLUMN stage;
ALTER TABLE ddl.leads DROP COLUMN stage CASCADE;
ALTER TABLE ddl.leads DROP COLUMN IF EXISTS origin CASCADE, ADD COLUMN x int;
ALTER TABLE ddl.leads DROP COLUMN since CASCADE;
ALTER TABLE ddl.leads DROP COLUMN id CASCADE;
ALTER TABLE ddl.leads ALTER COLUMN stage TYPE text;
ALTER TABLE ddl.leads ALTER amount TYPE float8;
ALTER TABLE ddl.leads ALTER since TYPE timestamp;
ALTER TABLE ddl.leads DROP COLUMN more;
ALTER TABLE ddl.leads ALTER note TYPE varchar(10), ADD COLUMN y int DEFAULT 7, ALTER COLUMN stage DROP DEFAULT, ALTER stage SET DEFAULT 'mql';
ALTER TABLE ddl.leads ADD COLUMN z timestamptz DEFAULT clock_timestamp();
ALTER TABLE ddl.leads DROP COLUMN nowhere;
ALTER TABLE ddl.leads DROP COLUMN IF EXISTS nowhere;
INSERT INTO ddl.leads (id) VALUES (5);
SELECT * FROM ddl.health();
-- rewritten tables
CLUSTER ddl.leads USING leads_pkey;
VACUUM FULL ddl.leads;
ALTER TABLE ddl.leads SET UNLOGGED;
ALTER TABLE ddl.leads SET LOGGED;
ALTER TABLE ddl.leads ALTER id TYPE bigint;
BEGIN;
SELECT lead_funnel.suspend('ddl');
ALTER TABLE ddl.leads ALTER id TYPE bigint;
ALTER TABLE ddl.leads DROP COLUMN origin;
SELECT lead_funnel.alter_funnel('ddl', source_column => '');
SELECT lead_funnel.resume('ddl');
COMMIT;
UPDATE ddl.leads SET stage = 'sal' WHERE id = 5;
SELECT * FROM ddl.health();
SELECT lead, lead_id, to_stage FROM lead_funnel.funnel_history WHERE funnel = 'ddl' AND lead_id = 5 ORDER BY move;

-- triggers: dropped and disabled ones are told, the next write and reconcile() mend
DROP TRIGGER lead_funnel_track ON ddl.leads;
DROP TRIGGER lead_funnel_truncate ON ddl.leads;
ALTER TABLE ddl.leads DISABLE TRIGGER lead_funnel_track_update;
UPDATE ddl.leads SET stage = 'sal' WHERE id = 1;
UPDATE ddl.leads SET stage = 'won', amount = 99 WHERE id = 2;
SELECT * FROM ddl.health();
ALTER TABLE ddl.leads ENABLE TRIGGER lead_funnel_track_update;
SELECT * FROM ddl.health();
UPDATE ddl.leads SET stage = 'sql' WHERE id = 1;
SELECT lead, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'ddl' AND lead_id = 1 ORDER BY move;
SELECT lead_funnel.reconcile('ddl');
SELECT * FROM ddl.health();
ALTER TABLE ddl.leads DISABLE TRIGGER ALL;
INSERT INTO ddl.leads VALUES (6, 'sql');
DELETE FROM ddl.leads WHERE id = 3;
SELECT problem, lead FROM lead_funnel.verify('ddl');
ALTER TABLE ddl.leads ENABLE TRIGGER USER;
DELETE FROM ddl.leads WHERE id = 6;
INSERT INTO ddl.leads VALUES (3, 'mql');
SELECT lead_funnel.reconcile('ddl');
INSERT INTO ddl.leads VALUES (6, 'mql');
SELECT * FROM ddl.health();
SELECT lead, cycle, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'ddl' AND lead_id IN (3, 6) ORDER BY lead_id, move;
ALTER TABLE ddl.leads ENABLE REPLICA TRIGGER lead_funnel_flush;
SELECT * FROM ddl.health();
SELECT fix FROM lead_funnel.verify('ddl');
SELECT lead_funnel.resume('ddl');
SELECT * FROM ddl.health();
-- as a replica: no trigger, no journal; and with always: all is journalled, nothing refused
SET session_replication_role = replica;
UPDATE ddl.leads SET stage = 'lost' WHERE id = 6;
INSERT INTO ddl.leads VALUES (7, 'lost');
RESET session_replication_role;
SELECT * FROM ddl.health();
SELECT lead_funnel.reconcile('ddl');
SELECT lead_funnel.alter_funnel('ddl', always => true);
SET session_replication_role = replica;
UPDATE ddl.leads SET stage = 'won' WHERE id = 6;
INSERT INTO ddl.leads VALUES (8, 'lead');
RESET session_replication_role;
SELECT * FROM ddl.health();
SELECT lead, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'ddl' AND lead_id IN (6, 8) ORDER BY lead_id, move;
SELECT lead_funnel.set_mode('ddl', 'enforce');
SELECT lead_funnel.alter_funnel('ddl', always => false);
SELECT lead_funnel.set_mode('ddl', 'enforce');
SELECT * FROM ddl.health();

-- a table made after this one has no funnel
CREATE TABLE ddl.copy (LIKE ddl.leads INCLUDING ALL);
INSERT INTO ddl.copy VALUES (1, 'won');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'ddl.copy'::regclass;
CREATE TRIGGER lead_funnel_track AFTER INSERT ON ddl.copy FOR EACH ROW EXECUTE FUNCTION lead_funnel.track();
INSERT INTO ddl.copy VALUES (2, 'won');
DROP TABLE ddl.copy;

-- inheritance: refused, as attach() does; while event triggers are off, verify() tells
CREATE TABLE ddl.other (id int PRIMARY KEY, stage text NOT NULL DEFAULT 'lead');
SELECT lead_funnel.attach('ddl.other', 'stage', 'ddl other');
CREATE TABLE ddl.relative (id int NOT NULL);
CREATE TABLE ddl.kin (stage text NOT NULL, id int NOT NULL);
CREATE ROLE regress_ddl_stranger;
GRANT ALL ON SCHEMA ddl TO regress_ddl_stranger;
SET ROLE regress_ddl_stranger;
CREATE TABLE ddl.child () INHERITS (ddl.other);
RESET ROLE;
CREATE TABLE ddl.child () INHERITS (ddl.other);
CREATE TEMP TABLE child () INHERITS (ddl.relative, ddl.other);
CREATE SCHEMA ddl_other CREATE TABLE child () INHERITS (ddl.other);
CREATE TABLE IF NOT EXISTS ddl.kin () INHERITS (ddl.other);
ALTER TABLE ddl.kin ADD x int, INHERIT ddl.other;
ALTER TABLE ddl.other INHERIT ddl.relative;
CREATE FOREIGN DATA WRAPPER ddl_nothing;
CREATE SERVER ddl_nowhere FOREIGN DATA WRAPPER ddl_nothing;
CREATE FOREIGN TABLE ddl.remote () INHERITS (ddl.other) SERVER ddl_nowhere;
CREATE FOREIGN TABLE ddl.remote (id int NOT NULL, stage text NOT NULL) SERVER ddl_nowhere;
ALTER FOREIGN TABLE ddl.remote INHERIT ddl.other;
ALTER TABLE ddl.remote INHERIT ddl.other;
CREATE TABLE ddl.child () INHERITS (ddl.relative);
ALTER TABLE ddl.remote INHERIT ddl.relative;
ALTER TABLE ddl.remote NO INHERIT ddl.relative;
SELECT * FROM lead_funnel.verify('ddl other');
BEGIN;
SET LOCAL session_replication_role = replica;
ALTER TABLE ddl.kin INHERIT ddl.other;
SET LOCAL session_replication_role = origin;
SELECT problem, expected, found, fix FROM lead_funnel.verify('ddl other');
ALTER TABLE ddl.kin NO INHERIT ddl.other;
SELECT * FROM lead_funnel.verify('ddl other');
ROLLBACK;
BEGIN;
SELECT lead_funnel.suspend('ddl other');
ALTER TABLE ddl.other INHERIT ddl.relative;
SELECT lead_funnel.resume('ddl other');
ROLLBACK;
-- a foreign partition, too, at any level
CREATE TABLE ddl.parts (id int, stage text) PARTITION BY LIST (stage);
CREATE TABLE ddl.parts1 PARTITION OF ddl.parts DEFAULT PARTITION BY LIST (id);
SELECT lead_funnel.attach('ddl.parts', 'stage', 'ddl parts', key_column => 'id');
CREATE FOREIGN TABLE ddl.part PARTITION OF ddl.parts FOR VALUES IN ('mql') SERVER ddl_nowhere;
CREATE FOREIGN TABLE ddl.part PARTITION OF ddl.parts1 DEFAULT SERVER ddl_nowhere;
ALTER TABLE ddl.parts1 ATTACH PARTITION ddl.remote DEFAULT;
CREATE TABLE ddl.parts2 (id int, stage text) PARTITION BY LIST (id);
CREATE FOREIGN TABLE ddl.part PARTITION OF ddl.parts2 DEFAULT SERVER ddl_nowhere;
ALTER TABLE ddl.parts ATTACH PARTITION ddl.parts2 FOR VALUES IN ('mql');
CREATE SCHEMA ddl_other CREATE TABLE part PARTITION OF ddl.parts FOR VALUES IN ('mql');
INSERT INTO ddl_other.part VALUES (1, 'mql');
TRUNCATE ddl_other.part;
SELECT * FROM lead_funnel.verify('ddl parts');
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{ddl other,ddl parts}'::name[]) f;
SET client_min_messages = warning;
DROP SCHEMA ddl_other CASCADE;
DROP TABLE ddl.other, ddl.child, ddl.relative, ddl.kin, ddl.parts, ddl.parts2;
DROP FOREIGN DATA WRAPPER ddl_nothing CASCADE;
RESET client_min_messages;
REVOKE ALL ON SCHEMA ddl FROM regress_ddl_stranger;
DROP ROLE regress_ddl_stranger;

-- an index that a DBA adds to the journal is maintained
CREATE INDEX ddl_extra ON lead_funnel.journal (funnel_id, upper(note)) WHERE kind = 'm';
CREATE INDEX ddl_delta ON lead_funnel.delta (day);
BEGIN;
SET LOCAL lead_funnel.note = 'indexed';
INSERT INTO ddl.leads VALUES (9, 'lead'), (10, 'mql');
DELETE FROM ddl.leads WHERE id IN (8, 9);
TRUNCATE ddl.leads;
INSERT INTO ddl.leads VALUES (8, 'lead');
COMMIT;
SELECT lead_funnel.compact();
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM lead_funnel.journal WHERE upper(note) = 'INDEXED' AND kind = 'm';
SELECT count(*) FROM lead_funnel.delta WHERE day > '2000-01-01';
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(*) FROM lead_funnel.journal WHERE upper(note) = 'INDEXED' AND kind = 'm';
DROP INDEX lead_funnel.ddl_extra, lead_funnel.ddl_delta;
SELECT * FROM ddl.health();

-- the type of a status goes: refused as long as a funnel needs its column
CREATE TABLE ddl.typed (id int PRIMARY KEY, status ddl.status);
SELECT lead_funnel.attach('ddl.typed', 'status', 'ddl typed');
INSERT INTO ddl.typed VALUES (1, 'lead');
DROP TYPE ddl.status;
DROP TYPE ddl.status CASCADE;
ALTER TYPE ddl.status RENAME VALUE 'won' TO 'gewonnen';
ALTER TYPE ddl.status ADD VALUE 'lost' AFTER 'gewonnen';
SELECT lead_funnel.map_stage('ddl typed', 'gewonnen', 'won');
SELECT lead_funnel.allow('ddl typed', 'lead', 'won');
SELECT to_stage FROM lead_funnel.move('ddl typed', 1, 'won');
SELECT * FROM ddl.typed;
SELECT problem FROM lead_funnel.verify('ddl typed');

-- the extension goes: columns of its types are named, and what to call first
CREATE DOMAIN ddl.some_stage AS lead_stage;
CREATE TABLE ddl."not A funnel" (id int, a lead_stage[], d ddl.some_stage, note text);
CREATE TABLE ddl.parent (id int, s lead_stage) PARTITION BY LIST (id);
CREATE TABLE ddl.child PARTITION OF ddl.parent DEFAULT;
CREATE ROLE regress_ddl_stranger;
CREATE ROLE regress_ddl_owner SUPERUSER;
DROP EXTENSION lead_funnel;
SET ROLE regress_ddl_stranger;
DROP EXTENSION lead_funnel;
DROP OWNED BY regress_ddl_stranger CASCADE;
RESET ROLE;
SET client_min_messages = warning;
BEGIN;
DROP EXTENSION IF EXISTS nowhere, lead_funnel CASCADE;
SELECT id, a IS NULL AS null FROM ddl."not A funnel" WHERE false;
ROLLBACK;
BEGIN;
ALTER TABLE ddl."not A funnel" ALTER COLUMN a TYPE text[], ALTER COLUMN d TYPE text;
ALTER TABLE ddl.parent SET SCHEMA public;
DROP SCHEMA public CASCADE;
ROLLBACK;
BEGIN;
DROP EXTENSION lead_funnel CASCADE;
SET ROLE regress_ddl_owner;
CREATE EXTENSION lead_funnel;
CREATE TABLE ddl.mine (id int PRIMARY KEY, stage lead_stage);
RESET ROLE;
CREATE TABLE ddl.yours (id int PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach('ddl.yours', 'stage', 'y''s');
DROP OWNED BY regress_ddl_stranger, regress_ddl_owner CASCADE;
SELECT * FROM ddl.yours;
ROLLBACK;
BEGIN;
DROP TABLE ddl."not A funnel", ddl.parent;
SELECT lead_funnel.detach('ddl', restore_type => 'text');
DROP DOMAIN ddl.some_stage;
SELECT lead_funnel.detach('ddl typed');
DROP FUNCTION ddl.health();
DROP EXTENSION lead_funnel;
SELECT id, stage FROM ddl.leads ORDER BY id;
ROLLBACK;
RESET client_min_messages;
DROP TABLE ddl."not A funnel", ddl.parent;
DROP ROLE regress_ddl_stranger, regress_ddl_owner;
SELECT * FROM ddl.health();

-- the table goes: all leads leave, the history stays
DROP TABLE ddl.typed;
SELECT relation FROM lead_funnel.funnels WHERE funnel = 'ddl typed';
SELECT from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'ddl typed' ORDER BY move, origin;
SELECT count(*) FROM lead_funnel.funnel_stages WHERE funnel = 'ddl typed';
SELECT problem FROM lead_funnel.verify('ddl typed');
BEGIN;
DROP TABLE ddl.leads;
SELECT relation FROM lead_funnel.funnels WHERE funnel = 'ddl';
ROLLBACK;
UPDATE ddl.leads SET stage = 'mql';
SELECT * FROM ddl.health();
CREATE TABLE ddl.typed (id int PRIMARY KEY, status text);
SELECT lead_funnel.attach('ddl.typed', 'status', 'ddl typed');
INSERT INTO ddl.typed VALUES (1, 'lead');
SELECT cycle, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'ddl typed' AND lead = '1' ORDER BY move;

SET client_min_messages = warning;
SELECT lead_funnel.detach('ddl typed', purge => true), lead_funnel.detach('ddl', purge => true);
DROP SCHEMA ddl CASCADE;
