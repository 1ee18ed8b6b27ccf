-- The stage map, the mode and the versions of the rules of a funnel, and overrides

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SET datestyle = 'ISO';
\pset null -

CREATE FUNCTION ar_wrong(funnel name) RETURNS TABLE (problem text, lead text, expected text, found text) LANGUAGE sql AS $$
    SELECT problem, lead, expected, found FROM lead_funnel.verify(funnel)
$$;
CREATE VIEW ar_stock AS
SELECT funnel, stage, sum(leads) AS leads FROM lead_funnel.funnel_stages GROUP BY funnel, stage, stage_rank ORDER BY funnel, stage_rank;

-- the stage map of a text column
CREATE TABLE ar_lead (id int PRIMARY KEY, status text);
INSERT INTO ar_lead VALUES (1, 'lead'), (2, 'Mql');
SELECT lead_funnel.attach('ar_lead', 'status');
INSERT INTO ar_lead VALUES (3, 'Neu');
SELECT lead_funnel.map_stage('ar_lead', 'Neu', 'lead');
INSERT INTO ar_lead VALUES (3, 'Neu');
INSERT INTO ar_lead VALUES (4, 'neu');
INSERT INTO ar_lead VALUES (4, NULL);
SELECT lead_funnel.map_stage('ar_lead', NULL, 'lead');
INSERT INTO ar_lead VALUES (4, NULL);
SELECT lead_funnel.map_stage('ar_lead', 'Annahme', 'sal');
SELECT lead, to_stage FROM lead_funnel.move('ar_lead', 2, 'sal');
SELECT lead, to_stage FROM lead_funnel.move('ar_lead', 4, 'mql');
SELECT lead, from_stage, to_stage, from_status, to_status FROM lead_funnel.funnel_history WHERE funnel = 'ar_lead' AND origin = 'write' ORDER BY lead_id, move;
SELECT * FROM ar_lead ORDER BY id;
SELECT * FROM ar_stock WHERE funnel = 'ar_lead';
-- another meaning moves the leads that have it
SELECT lead_funnel.map_stage('ar_lead', 'Neu', 'mql');
SELECT lead, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'ar_lead' AND lead = '3' ORDER BY move;
SELECT lead_funnel.map_stage('ar_lead', 'Neu', 'mql');
SELECT lead_funnel.unmap_stage('ar_lead', 'Neu');
UPDATE ar_lead SET status = 'MQL' WHERE id = 3;
SELECT lead_funnel.unmap_stage('ar_lead', 'Neu');
SELECT lead_funnel.unmap_stage('ar_lead', 'Neu');
UPDATE ar_lead SET status = 'Neu' WHERE id = 3;
SELECT * FROM ar_wrong('ar_lead');
SELECT lead_funnel.detach('ar_lead', purge => true);
DROP TABLE ar_lead;

-- of an integer column, of an enum, of a native column with missing stages
CREATE TYPE ar_status AS ENUM ('New', 'Mql', 'won', 'Dead');
CREATE TABLE ar_number (id uuid PRIMARY KEY, n smallint, e ar_status, s lead_stage);
INSERT INTO ar_number VALUES ('00000000-0000-0000-0000-000000000001', 10, 'New', NULL), ('00000000-0000-0000-0000-000000000002', 20, 'Mql', 'mql');
SELECT lead_funnel.attach('ar_number', 'n', stage_map => '{"lead": 10, "mql": [20, 21]}');
UPDATE ar_number SET n = 30;
SELECT lead_funnel.map_stage('ar_number', '030', 'won');
SELECT lead_funnel.allow('ar_number', 'lead', 'won');
SELECT lead_funnel.allow('ar_number', 'mql', 'won');
SELECT lead, from_stage, to_stage FROM lead_funnel.move('ar_number', '00000000-0000-0000-0000-000000000001'::uuid, 'won');
SELECT lead, from_stage, to_stage FROM lead_funnel.move('ar_number', '00000000-0000-0000-0000-000000000002', 'won');
SELECT lead_funnel.move('ar_number', '00000000-0000-0000-0000-000000000002', 'lost');
SELECT n FROM ar_number ORDER BY id;
SELECT right(lead, 1) AS lead, lead_id, to_stage, to_status FROM lead_funnel.funnel_history WHERE funnel = 'ar_number' ORDER BY lead, move;
SELECT * FROM ar_wrong('ar_number');
SELECT lead_funnel.detach('ar_number', purge => true);
SELECT lead_funnel.attach('ar_number', 'e', 'ar_enum', stage_map => '{"lead": "New", "disqualified": ["Dead"]}', preset => 'open');
SELECT to_stage FROM lead_funnel.move('ar_enum', '00000000-0000-0000-0000-000000000001', 'disqualified');
SELECT to_stage FROM lead_funnel.move('ar_enum', '00000000-0000-0000-0000-000000000002', 'won');
SELECT lead_funnel.move('ar_enum', '00000000-0000-0000-0000-000000000001', 'sal');
SELECT e FROM ar_number ORDER BY id;
SELECT * FROM ar_wrong('ar_enum');
SELECT lead_funnel.detach('ar_enum', purge => true);
SELECT lead_funnel.attach('ar_number', 's', 'ar_native', stage_map => '{"lead": [null]}');
SELECT lead_funnel.unmap_stage('ar_native', NULL);
SELECT from_stage, to_stage FROM lead_funnel.move('ar_native', '00000000-0000-0000-0000-000000000001', 'mql');
SELECT lead_funnel.unmap_stage('ar_native', NULL);
UPDATE ar_number SET s = NULL;
SELECT * FROM ar_wrong('ar_native');
SELECT lead_funnel.detach('ar_native', purge => true);
DROP TABLE ar_number;
DROP TYPE ar_status;

-- observe: nothing is refused, all is known
CREATE TABLE ar_seen (id int PRIMARY KEY, status text, since timestamptz);
INSERT INTO ar_seen VALUES (1, 'lead'), (2, 'mql');
SELECT lead_funnel.attach('ar_seen', 'status', mode => 'observe', entered_column => 'since');
UPDATE ar_seen SET status = 'won';
UPDATE ar_seen SET status = 'rejected' WHERE id = 1;
INSERT INTO ar_seen VALUES (3, 'opportunity'), (4, 'Unheard'), (5, 'mql');
UPDATE ar_seen SET status = NULL WHERE id = 2;
UPDATE ar_seen SET status = 'rejected' WHERE id = 5;
UPDATE ar_seen SET status = 'mql', since = '2999-01-01' WHERE id = 5;
SELECT from_stage, to_stage, constraint_name, moves, last_lead, last_actor = current_user AS by_us, last_at >= first_at AS in_order
FROM lead_funnel.rule_violations WHERE funnel = 'ar_seen' ORDER BY constraint_name, from_stage, to_stage;
SELECT * FROM ar_stock WHERE funnel = 'ar_seen';
SELECT * FROM ar_wrong('ar_seen');
SELECT lead_funnel.set_mode('ar_seen', 'enforce');
SELECT lead_funnel.set_mode('ar_seen', 'enforce');
SELECT mode FROM lead_funnel.funnels WHERE funnel = 'ar_seen';
SELECT * FROM ar_wrong('ar_seen');
UPDATE ar_seen SET status = 'won' WHERE id = 5;
SELECT lead_funnel.map_stage('ar_seen', 'Unheard', 'lead');
SELECT lead_funnel.reconcile('ar_seen');
SELECT lead_funnel.map_stage('ar_seen', NULL, 'lost');
SELECT lead_funnel.reconcile('ar_seen');
SELECT * FROM ar_wrong('ar_seen');
SELECT * FROM ar_stock WHERE funnel = 'ar_seen';
SELECT lead_funnel.detach('ar_seen', purge => true);
DROP TABLE ar_seen;

-- versions: all changes of a transaction are one; each move knows the version that judged it
CREATE TABLE ar_rule (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
SELECT lead_funnel.attach('ar_rule', 'stage');
INSERT INTO ar_rule SELECT generate_series(1, 4);
SELECT lead_funnel.allow('ar_rule', 'lead', 'won', note => 'shop sale');
BEGIN;
SELECT lead_funnel.allow('ar_rule', 'lead', 'lost', requires_reason => true);
SELECT lead_funnel.forbid('ar_rule', 'lead', 'mql', note => 'no marketing');
SELECT lead_funnel.allow('ar_rule', NULL, 'won');
SAVEPOINT s;
SELECT lead_funnel.forbid('ar_rule', NULL, 'lead');
ROLLBACK TO s;
UPDATE ar_rule SET stage = 'won' WHERE id = 1;
SELECT lead_funnel.forbid('ar_rule', 'lead', 'won');
UPDATE ar_rule SET stage = 'won' WHERE id = 2;
COMMIT;
BEGIN;
SELECT lead_funnel.allow('ar_rule', 'lead', 'lost', requires_reason => true);
SELECT lead_funnel.forbid('ar_rule', 'lead', 'mql', note => 'no marketing');
SELECT lead_funnel.forbid('ar_rule', 'lead', 'nurture', note => 'nor this');
SELECT lead_funnel.allow('ar_rule', NULL, 'won');
UPDATE ar_rule SET stage = 'won' WHERE id = 1;
COMMIT;
SELECT lead_funnel.forbid('ar_rule', 'lead', 'mql');
SELECT lead_funnel.allow('ar_rule', 'lead', 'won', note => 'shop sale');
UPDATE ar_rule SET stage = 'mql' WHERE id = 2;
UPDATE ar_rule SET stage = 'lost' WHERE id = 2;
BEGIN;
SET LOCAL lead_funnel.reason = 'price';
UPDATE ar_rule SET stage = 'lost' WHERE id = 2;
COMMIT;
UPDATE ar_rule SET stage = 'lost' WHERE id = 3;
BEGIN;
SET lead_funnel.override = 'asked by the board';
UPDATE ar_rule SET stage = 'mql' WHERE id = 3;
COMMIT;
UPDATE ar_rule SET stage = 'won' WHERE id = 3;
INSERT INTO ar_rule VALUES (5, 'won');
SELECT lead, from_stage, to_stage, origin, reason, rules_version FROM lead_funnel.funnel_history WHERE funnel = 'ar_rule' ORDER BY lead_id, move;
SELECT version, from_stage, to_stage, requires_reason, valid_to IS NULL AS valid, changed_by = current_user AS by_us, note
FROM lead_funnel.funnel_rules
WHERE funnel = 'ar_rule' AND (from_stage IS NULL AND to_stage IN ('lead', 'won') OR from_stage = 'lead' AND to_stage IN ('won', 'lost', 'mql'))
ORDER BY version, from_stage, to_stage;
SELECT a.version, b.valid_from = a.valid_to AS seamless
FROM (SELECT DISTINCT version, valid_from, valid_to FROM lead_funnel.funnel_rules WHERE funnel = 'ar_rule') a
LEFT JOIN (SELECT DISTINCT version, valid_from FROM lead_funnel.funnel_rules WHERE funnel = 'ar_rule') b ON b.version = a.version + 1
ORDER BY a.version;
SELECT rules_version FROM lead_funnel.funnels WHERE funnel = 'ar_rule';
SELECT * FROM ar_wrong('ar_rule');
SELECT lead_funnel.detach('ar_rule', purge => true);
SELECT count(*) FROM lead_funnel.funnel_rules WHERE funnel = 'ar_rule';
DROP TABLE ar_rule;
DROP VIEW ar_stock;
DROP FUNCTION ar_wrong;
