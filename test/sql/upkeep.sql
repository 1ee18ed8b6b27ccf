-- upkeep: REINDEX and rewrites of the extension's own tables under sessions that know them

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE SCHEMA uk;
SET search_path = uk, public;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
CREATE TABLE texts (id text PRIMARY KEY, stage lead_stage DEFAULT 'lead', warmth engagement);
SELECT lead_funnel.attach('leads', 'stage'), lead_funnel.attach('texts', 'stage');
SELECT lead_funnel.create_model('uk'), lead_funnel.set_event_type('uk', 'form', 10), lead_funnel.set_scoring('texts', 'uk'),
    lead_funnel.set_engagement_column('texts', 'warmth');
INSERT INTO leads SELECT g FROM generate_series(1, 3) g;
INSERT INTO texts (id) SELECT g FROM generate_series(1, 3) g;
SELECT lead_funnel.record_event('texts', '1', 'form', '2026-01-01', 'e1');

-- indexes under new numbers
REINDEX TABLE CONCURRENTLY lead_funnel.journal;
REINDEX TABLE CONCURRENTLY lead_funnel.delta;
REINDEX TABLE CONCURRENTLY lead_funnel.generation;
REINDEX TABLE CONCURRENTLY lead_funnel.stock_cell;
REINDEX TABLE CONCURRENTLY lead_funnel.flow_cell;
REINDEX TABLE CONCURRENTLY lead_funnel.event;
REINDEX TABLE CONCURRENTLY lead_funnel.rule;
REINDEX TABLE CONCURRENTLY lead_funnel.rule_version;
REINDEX TABLE CONCURRENTLY lead_funnel.stage_map;
REINDEX TABLE CONCURRENTLY lead_funnel.override_role;
SELECT lead_funnel.allow('leads', 'lead', 'won');
UPDATE leads SET stage = 'mql' WHERE id < 3;
UPDATE texts SET stage = 'mql' WHERE id < '3';
SELECT lead_funnel.record_event('texts', '1', 'form', '2026-01-01', 'e2');
SELECT lead_funnel.compact();
SELECT funnel, stage, leads FROM lead_funnel.funnel_stages WHERE funnel IN ('leads', 'texts') ORDER BY 1, 2;

-- tables in new files
VACUUM FULL lead_funnel.journal;
VACUUM FULL lead_funnel.delta;
VACUUM FULL lead_funnel.generation;
VACUUM FULL lead_funnel.stock_cell;
VACUUM FULL lead_funnel.flow_cell;
VACUUM FULL lead_funnel.event;
VACUUM FULL lead_funnel.rule;
VACUUM FULL lead_funnel.rule_version;
VACUUM FULL lead_funnel.stage_map;
VACUUM FULL lead_funnel.override_role;
SELECT lead_funnel.forbid('leads', 'lead', 'won');
UPDATE leads SET stage = 'sal' WHERE id = 1;
DELETE FROM texts WHERE id = '3';
SELECT lead_funnel.record_event('texts', '1', 'form', '2026-01-01', 'e3');
SELECT lead_funnel.compact();
SELECT funnel, stage, leads FROM lead_funnel.funnel_stages WHERE funnel IN ('leads', 'texts') ORDER BY 1, 2;
SELECT * FROM lead_funnel.verify('leads') UNION ALL SELECT * FROM lead_funnel.verify('texts');
SELECT * FROM lead_funnel.verify_engagement('texts');

-- rows that the journal knows come back: a restore of data with triggers on, behind the journal; others are new
ALTER TABLE leads DISABLE TRIGGER ALL;
CREATE TEMP TABLE saved AS SELECT * FROM leads WHERE id IN (2, 3);
DELETE FROM leads WHERE id IN (2, 3);
ALTER TABLE leads ENABLE TRIGGER ALL;
UPDATE saved SET stage = 'lead' WHERE id = 2;
INSERT INTO leads SELECT * FROM saved;
SELECT lead, move, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'leads' AND lead_id IN (2, 3) ORDER BY lead, move;
SELECT * FROM lead_funnel.verify('leads');

-- statistics with another server's transaction ids, as a subscription to all tables brings them
UPDATE lead_funnel.generation SET snapshot = (t || ':' || t || ':')::pg_snapshot
FROM (SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000)::text) AS x (t);
SELECT problem, fix FROM lead_funnel.verify('leads') WHERE problem NOT LIKE '%stage%';
SELECT lead_funnel.rebuild('leads');
SELECT * FROM lead_funnel.verify('leads');

-- a transaction that has written deltas drops the extension: what folds at commit finds nothing
\set VERBOSITY terse
BEGIN;
INSERT INTO leads SELECT g FROM generate_series(11, 12) g;
DO $$ BEGIN FOR i IN 1 .. 400 LOOP UPDATE leads SET stage = CASE stage WHEN 'mql' THEN 'nurture' ELSE 'mql' END::lead_stage WHERE id = 2; END LOOP; END $$;
SET client_min_messages = error;
DROP EXTENSION lead_funnel CASCADE;
COMMIT;
RESET client_min_messages;
\set VERBOSITY default
SELECT attname FROM pg_attribute WHERE attrelid = 'leads'::regclass AND attnum > 0 AND NOT attisdropped;
DROP SCHEMA uk CASCADE;
