-- set_notify(): who may, what it refuses, what it keeps; what PREPARE TRANSACTION says
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
\set SHOW_CONTEXT never
CREATE ROLE nt_owner;
CREATE ROLE nt_writer;
CREATE SCHEMA nt AUTHORIZATION nt_owner;
SET search_path = nt, public;
SET ROLE nt_owner;
CREATE TABLE nt.leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead');
SELECT lead_funnel.attach('nt.leads', 'stage', 'nt leads');
GRANT USAGE ON SCHEMA nt TO nt_writer;
GRANT SELECT, INSERT, UPDATE ON nt.leads TO nt_writer;
SELECT notify_channel FROM lead_funnel.funnels WHERE funnel = 'nt leads';

-- refused
SELECT lead_funnel.set_notify('nt leads', '');
SELECT lead_funnel.set_notify(NULL, 'x');
SELECT lead_funnel.set_notify('nobody', 'x');
SET ROLE nt_writer;
SELECT lead_funnel.set_notify('nt leads', 'x');
SELECT lead_funnel._set_notify('nt leads', 'x');

-- kept, also while suspended and by alter_funnel(); rolled back with the rest
SET ROLE nt_owner;
SELECT lead_funnel.set_notify('nt leads', 'Any "name"');
BEGIN;
SELECT lead_funnel.set_notify('nt leads', NULL);
ROLLBACK;
SELECT lead_funnel.suspend('nt leads');
SELECT lead_funnel.resume('nt leads');
SELECT lead_funnel.alter_funnel('nt leads', timezone => 'Europe/Berlin');
SELECT notify_channel FROM lead_funnel.funnels WHERE funnel = 'nt leads';

-- a writer needs no right of his own to notify
SET ROLE nt_writer;
INSERT INTO nt.leads VALUES (1), (2);

-- prepared transactions: not with moves to tell, but with any other change
BEGIN;
UPDATE nt.leads SET stage = 'mql' WHERE id = 1;
PREPARE TRANSACTION 'nt';
SELECT stage FROM nt.leads WHERE id = 1;
BEGIN;
SAVEPOINT a;
UPDATE nt.leads SET stage = 'mql' WHERE id = 1;
ROLLBACK TO a;
PREPARE TRANSACTION 'nt';
ROLLBACK PREPARED 'nt';
SET ROLE nt_owner;
SELECT lead_funnel.set_notify('nt leads', NULL);
SELECT notify_channel FROM lead_funnel.funnels WHERE funnel = 'nt leads';
BEGIN;
UPDATE nt.leads SET stage = 'mql' WHERE id = 1;
PREPARE TRANSACTION 'nt';
COMMIT PREPARED 'nt';
SELECT stage FROM nt.leads WHERE id = 1;

-- a subscriber is told what is lost, and goes on
RESET ROLE;
SELECT lead_funnel.alter_funnel('nt leads', always => true), lead_funnel.set_notify('nt leads', 'x');
SET session_replication_role = replica;
BEGIN;
UPDATE nt.leads SET stage = 'sal' WHERE id = 1;
PREPARE TRANSACTION 'nt';
COMMIT PREPARED 'nt';
RESET session_replication_role;
SELECT * FROM lead_funnel.verify('nt leads');

-- whoever attaches again begins anew
SELECT lead_funnel.detach('nt leads');
SELECT lead_funnel.attach('nt.leads', 'stage', 'nt leads');
SELECT notify_channel FROM lead_funnel.funnels WHERE funnel = 'nt leads';
SELECT lead_funnel.detach('nt leads', purge => true);
DROP TABLE nt.leads;
DROP SCHEMA nt;
DROP OWNED BY nt_owner, nt_writer;
DROP ROLE nt_owner, nt_writer;
