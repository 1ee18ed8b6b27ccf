-- the trigger for updates: a list of columns where only statements change them, else a condition on each row
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
\set VERBOSITY terse

CREATE SCHEMA ut;
SET search_path = ut, public;
CREATE FUNCTION definition(relation regclass) RETURNS text LANGUAGE sql
RETURN (SELECT regexp_replace(pg_get_triggerdef(oid), '^.*AFTER', tgenabled::text || ' AFTER') FROM pg_trigger
	WHERE tgrelid = relation AND tgname = 'lead_funnel_track_update');
CREATE FUNCTION sets_stage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.note = 'won' THEN
		NEW.stage := 'won';
	END IF;
	RETURN NEW;
END
$$;

CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage, source text, value numeric, note text, since timestamptz);
SELECT lead_funnel.attach('leads', 'stage', preset => 'open', source_column => 'source', value_column => 'value');
SELECT definition('leads');
INSERT INTO leads (id, stage, source, value) SELECT i, 'lead', repeat('long', 1000), 1.0 FROM generate_series(1, 3) AS i;
UPDATE leads SET note = 'x';
-- what an ORM sends: all columns, of which none or one has changed
UPDATE leads SET id = id, stage = stage, source = source || '', value = 1.00, note = 'y' WHERE id = 1;
UPDATE leads SET id = id, stage = 'mql', source = source, value = value, note = 'y' WHERE id = 2;
UPDATE leads SET source = NULL WHERE id = 3;
UPDATE leads SET source = NULL WHERE id = 3;
INSERT INTO leads VALUES (1, 'sal') ON CONFLICT (id) DO UPDATE SET stage = excluded.stage;
MERGE INTO leads USING (VALUES (2)) AS v (id) ON leads.id = v.id WHEN MATCHED THEN UPDATE SET note = 'z', value = 2;
SELECT lead, move, from_stage, to_stage, kind FROM (SELECT coalesce(lead_key, lead_id::text) AS lead, move, from_stage, to_stage, kind FROM lead_funnel.journal
	WHERE funnel_id = (SELECT funnel_id FROM lead_funnel.funnel WHERE name = 'leads')) AS j ORDER BY lead, move;

-- a BEFORE trigger that comes later may change what the statement does not set
CREATE TRIGGER zzz BEFORE INSERT OR UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION sets_stage();
SELECT definition('leads');
UPDATE leads SET note = 'won' WHERE id = 1;
SELECT * FROM lead_funnel.verify('leads');
SELECT from_stage, to_stage FROM lead_funnel.funnel_history WHERE funnel = 'leads' AND lead = '1' ORDER BY move DESC LIMIT 1;
-- it has gone: the condition stays until the triggers are made anew
DROP TRIGGER zzz ON leads;
SELECT lead_funnel.suspend('leads'), lead_funnel.resume('leads');
SELECT definition('leads');
-- others do not matter
CREATE TRIGGER after_it AFTER UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION sets_stage();
CREATE TRIGGER statement_before BEFORE UPDATE ON leads FOR EACH STATEMENT EXECUTE FUNCTION sets_stage();
CREATE TRIGGER insert_before BEFORE INSERT ON leads FOR EACH ROW EXECUTE FUNCTION sets_stage();
SELECT definition('leads');
-- nor does the one of ours that fills a column in
SELECT lead_funnel.alter_funnel('leads', entered_column => 'since');
SELECT definition('leads');
UPDATE leads SET stage = 'nurture' WHERE id = 2;
SELECT since IS NOT NULL AS filled_in FROM leads WHERE id = 2;

-- created while event triggers do not fire: nothing moves unseen
ALTER EVENT TRIGGER lead_funnel_ddl_end DISABLE;
CREATE TRIGGER zzz BEFORE UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION sets_stage();
ALTER EVENT TRIGGER lead_funnel_ddl_end ENABLE;
UPDATE leads SET note = 'won' WHERE id = 2;
SELECT stage FROM leads WHERE id = 2;
SELECT lead_funnel.resume('leads');
SELECT definition('leads');
UPDATE leads SET note = 'won' WHERE id = 2;
SELECT * FROM lead_funnel.verify('leads');

-- there from the beginning; always; partitions, of which one may have a trigger of its own; a generated column
SELECT lead_funnel.detach('leads', purge => true);
SELECT lead_funnel.attach('leads', 'stage', always => true, mode => 'observe', preset => 'open');
SELECT definition('leads');
DROP TRIGGER zzz ON leads;
SELECT lead_funnel.resume('leads');
SELECT definition('leads');
CREATE TRIGGER zzz BEFORE UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION sets_stage();
SELECT definition('leads');
CREATE TABLE parted (id int PRIMARY KEY, stage lead_stage, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
SELECT lead_funnel.attach('parted', 'stage', preset => 'open');
SELECT definition('parted');
CREATE TRIGGER zzz BEFORE UPDATE ON parted_1 FOR EACH ROW EXECUTE FUNCTION sets_stage();
INSERT INTO parted VALUES (1, 'lead');
UPDATE parted SET note = 'won';
CREATE TABLE generated (id int PRIMARY KEY, status int, stage text GENERATED ALWAYS AS (CASE status WHEN 1 THEN 'lead' ELSE 'mql' END) STORED);
SELECT lead_funnel.attach('generated', 'stage', preset => 'open');
SELECT definition('generated');
INSERT INTO generated VALUES (1, 1);
UPDATE generated SET status = 2;
SELECT * FROM unnest('{leads, parted, generated}'::name[]) AS f, lead_funnel.verify(f);
SELECT funnel, lead, to_stage FROM lead_funnel.funnel_history WHERE funnel IN ('parted', 'generated') ORDER BY funnel, lead, move;

SET client_min_messages = warning;
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{leads, parted, generated}'::name[]) AS f;
DROP SCHEMA ut CASCADE;
