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
-- and none are read again for what another table or type has to do with
CREATE TEMP TABLE fc_other (id int);
CREATE TYPE fc_enum AS ENUM ('lead', 'mql');
CREATE DOMAIN fc_domain AS text;
INSERT INTO leads VALUES (2);
SELECT * FROM reads();
-- but for a change of the table
ALTER TABLE leads ADD note text;
INSERT INTO leads VALUES (3);
SELECT * FROM reads();
COMMIT;

-- tables that are gone are forgotten, and those whose funnel has changed meanwhile are known anew
CREATE TABLE parts (id int, stage lead_stage DEFAULT 'lead', day int, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
SELECT lead_funnel.attach('parts', 'stage', key_column => 'id');
CREATE FUNCTION known() RETURNS bigint LANGUAGE sql RETURN
    (SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'lead_funnel funnel');
SELECT known() AS before;
DO $$
BEGIN
    FOR i IN 1 .. 20 LOOP
        EXECUTE format('CREATE TABLE parts%s PARTITION OF parts FOR VALUES IN (%s)', i, i);
        EXECUTE format('INSERT INTO parts VALUES (%s, ''lead'', %s)', i, i);
        COMMIT;
        EXECUTE format('DROP TABLE parts%s', i);
        COMMIT;
    END LOOP;
END
$$;
SELECT known() AS after;
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts VALUES (101, 'lead', 1), (102, 'lead', 2);
SELECT known() AS partitions;
SELECT lead_funnel.forbid('parts', 'lead', 'mql');
UPDATE parts SET stage = 'mql' WHERE day = 1; -- fails
UPDATE parts SET stage = 'mql' WHERE day = 2; -- fails
UPDATE parts2 SET stage = 'sal'; -- fails
BEGIN;
DROP TABLE parts2;
SAVEPOINT s;
UPDATE parts SET stage = 'nurture';
ROLLBACK;
UPDATE parts SET stage = 'nurture';
SELECT lead, from_stage, to_stage FROM lead_funnel.funnel_history WHERE funnel = 'parts' AND lead_id > 100 ORDER BY lead_id, move;

SET client_min_messages = warning;
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{leads,parts}'::name[]) f;
DROP SCHEMA fc CASCADE;
