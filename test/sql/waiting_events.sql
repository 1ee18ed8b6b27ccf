-- An event that waits while those of more leads than a batch holds are journalled: a trigger of the first row moves the last
-- one, whose own event comes at the end.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;

CREATE SCHEMA we;
SET search_path = we, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all

CREATE TABLE l (id int PRIMARY KEY, stage lead_stage, source text);
INSERT INTO l SELECT i, 'mql', 'web' FROM generate_series(1, 5000) AS i;
SELECT lead_funnel.attach('l', 'stage', source_column => 'source');
CREATE FUNCTION move_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET stage = 'sql' WHERE id IN (4990, 5000);
    RETURN NULL;
END
$$;
-- its name comes before that of the funnel's trigger
CREATE TRIGGER a AFTER UPDATE ON l FOR EACH ROW WHEN (NEW.id = 1 AND NEW.stage = 'sal') EXECUTE FUNCTION move_others();
RESET client_min_messages;

UPDATE l SET stage = 'sal';
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'l' AND leads > 0 ORDER BY stage_rank;
SELECT lead_id, move, from_stage, to_stage, origin
FROM lead_funnel.funnel_history WHERE funnel = 'l' AND lead_id IN (1, 4989, 4990, 5000) AND move > 1 ORDER BY lead_id, move;
SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, source FROM l');

-- and while the memory of those that are journalled is given back
SET client_min_messages = warning;
CREATE TABLE m (id int PRIMARY KEY, stage lead_stage, source text, reason text);
INSERT INTO m SELECT i, 'mql', 'web' FROM generate_series(1, 5000) AS i;
SELECT lead_funnel.attach('m', 'stage', source_column => 'source', reason_column => 'reason');
CREATE FUNCTION disqualify_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE m SET stage = 'disqualified', reason = 'of ' || id FROM generate_series(1, 2) WHERE id IN (4990, 5000);
    RETURN NULL;
END
$$;
CREATE TRIGGER a AFTER UPDATE ON m FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION disqualify_others();
RESET client_min_messages;
UPDATE m SET stage = 'rejected', reason = repeat('because ', 1000) || id;
SELECT to_stage, count(*), count(*) FILTER (WHERE reason = repeat('because ', 1000) || lead_id) AS because, string_agg(reason, ', ' ORDER BY lead_id) FILTER (WHERE length(reason) < 99) AS of
FROM lead_funnel.funnel_history WHERE funnel = 'm' GROUP BY 1 ORDER BY 1;
SELECT * FROM check_funnel('m', 'SELECT id AS lead, stage, source FROM m');

SET client_min_messages = warning;
SELECT lead_funnel.detach('l', purge => true), lead_funnel.detach('m', purge => true);
DROP SCHEMA we CASCADE;
