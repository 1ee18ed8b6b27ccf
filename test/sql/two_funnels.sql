-- two_funnels: the journal holds leads of several funnels under one key; many leads at once find their own last rows

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE SCHEMA tf;
SET search_path = tf, public;

CREATE TABLE older (id int PRIMARY KEY, stage lead_stage);
CREATE TABLE newer (id int PRIMARY KEY, stage lead_stage);
CREATE TABLE older_text (id text PRIMARY KEY, stage lead_stage);
CREATE TABLE newer_text (id text PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach(t, 'stage') FROM unnest('{older,newer,older_text,newer_text}'::regclass[]) t;

INSERT INTO older SELECT i, 'lead' FROM generate_series(1, 40) i;
INSERT INTO newer SELECT i, 'lead' FROM generate_series(1, 40) i;
INSERT INTO older_text SELECT i, 'lead' FROM generate_series(1, 40) i;
INSERT INTO newer_text SELECT i, 'lead' FROM generate_series(1, 40) i;

-- one lead of the newer funnels has more rows than a walk through the index passes
DO $$
BEGIN
    FOR i IN 1 .. 40 LOOP
        UPDATE newer SET stage = CASE WHEN stage = 'mql' THEN 'nurture' ELSE 'mql' END::lead_stage WHERE id = 20;
        UPDATE newer_text SET stage = CASE WHEN stage = 'mql' THEN 'nurture' ELSE 'mql' END::lead_stage WHERE id = '20';
    END LOOP;
END $$;
-- and another has entries that no row belongs to any more
DO $$
BEGIN
    FOR i IN 1 .. 40 LOOP
        BEGIN
            UPDATE newer SET stage = 'mql' WHERE id = 10;
            UPDATE newer_text SET stage = 'mql' WHERE id = '10';
            UPDATE older SET stage = 'mql' WHERE id = 30;
            UPDATE older_text SET stage = 'mql' WHERE id = '30';
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
    END LOOP;
END $$;

SET statement_timeout = '60s';
UPDATE older SET stage = 'mql';
UPDATE older_text SET stage = 'mql';
UPDATE newer SET stage = 'mql';
UPDATE newer_text SET stage = 'mql';
RESET statement_timeout;
SELECT funnel, move, from_stage, to_stage, count(*), min(lead::int), max(lead::int)
FROM lead_funnel.funnel_history WHERE funnel ~ '^(older|newer)' AND (lead <> '20' OR move > 40)
GROUP BY 1, 2, 3, 4 ORDER BY funnel COLLATE "C", 2;
SELECT f, v.* FROM unnest('{older,newer,older_text,newer_text}'::text[]) f, lead_funnel.verify(f) v;

SELECT lead_funnel.detach(f) FROM unnest('{older,newer,older_text,newer_text}'::text[]) f;
SET client_min_messages = warning;
DROP SCHEMA tf CASCADE;
