-- funnel_cache: what a session reads to know a funnel, when it reads it again, and what it keeps of it

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE SCHEMA fc;
SET search_path = fc, public;

CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead');
SELECT lead_funnel.attach('leads', 'stage', preset => 'open');
DO $$ BEGIN FOR i IN 1 .. 3 LOOP PERFORM lead_funnel.allow('leads', 'lead', 'won', note => i::text); COMMIT; END LOOP; END $$;

-- how often this session has looked into the tables of a funnel's rules so far: all of each, or a part
CREATE FUNCTION reads(OUT scans bigint, OUT searches bigint) LANGUAGE sql BEGIN ATOMIC
    SELECT sum(pg_stat_get_xact_numscans(r)), sum((SELECT sum(pg_stat_get_xact_numscans(indexrelid)) FROM pg_index WHERE indrelid = r))
    FROM unnest('{lead_funnel.rule,lead_funnel.rule_version,lead_funnel.stage_map,lead_funnel.override_role}'::regclass[]) AS r;
END;

-- old versions of the rules and rules of other funnels are not read
\c -
SET search_path = fc, public;
BEGIN;
INSERT INTO leads VALUES (1);
SELECT * FROM reads();
COMMIT;

SET client_min_messages = warning;
SELECT lead_funnel.detach('leads', purge => true);
DROP SCHEMA fc CASCADE;
