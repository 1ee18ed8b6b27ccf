-- icu: keys with a collation of ICU, where PostgreSQL has it

SELECT NOT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') AS no_icu \gset
\if :no_icu
\quit
\endif
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE SCHEMA icu;
SET search_path = icu, public;
SELECT lead_funnel.create_model('icu'), lead_funnel.set_event_type('icu', 'form', 10);

-- a key of which several strings are the same
CREATE COLLATION ci_key (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE ci (id text COLLATE ci_key PRIMARY KEY, stage lead_stage DEFAULT 'lead');
SELECT lead_funnel.attach('ci', 'stage'), lead_funnel.set_scoring('ci', 'icu');
INSERT INTO ci VALUES ('ABC');
SELECT lead_funnel.record_event('ci', 'abc', 'form', '2026-01-01', 'e1');
SELECT lead_funnel.detach('ci', purge => true);
-- a column in which several strings are the same status to PostgreSQL, and each is its own in a stage map
CREATE TABLE status (id int PRIMARY KEY, stage text COLLATE ci_key);
INSERT INTO status VALUES (1, 'new'), (2, 'NEW'), (3, 'Won');
SELECT check_name, value, rows FROM lead_funnel.check_table('status', 'stage') WHERE check_name IN ('unmapped', 'mapped', 'stage_map');
-- I is not the upper case of i in Turkish; it is in the labels of stages
CREATE TABLE turkish (id int PRIMARY KEY, stage text COLLATE "tr-x-icu", score numeric DEFAULT 20);
INSERT INTO turkish VALUES (1, 'OPPORTUNITY'), (2, 'opportunity'), (3, 'Opportunity');
SELECT lead_funnel.attach('turkish', 'stage', score_column => 'score', preset => 'open'),
       lead_funnel.allow('turkish', 'opportunity', 'won', min_score => 10, automatic => true);
SELECT lead FROM lead_funnel.run_due('turkish') ORDER BY lead;
SELECT lead_funnel.detach('turkish', purge => true);
SELECT lead_funnel.drop_model('icu');
SET client_min_messages = warning;
DROP SCHEMA icu CASCADE;
