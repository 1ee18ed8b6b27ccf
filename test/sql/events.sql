-- events: key types, caps, rights, row security, transactions, half-lives, what is refused

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE ROLE ev_owner;
CREATE ROLE ev_app;
CREATE ROLE ev_nobody;
CREATE SCHEMA ev AUTHORIZATION ev_owner;
GRANT USAGE ON SCHEMA ev TO ev_app, ev_nobody;
SET search_path = ev, public;
SET ROLE ev_owner;
CREATE FUNCTION ev_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text; h text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', sqlstate || ': ' || sqlerrm, nullif('DETAIL: ' || d, 'DETAIL: '), nullif('HINT: ' || h, 'HINT: '));
END $$;

CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', warmth engagement, slow engagement, tenant text DEFAULT 'a');
INSERT INTO leads (id, tenant) SELECT i, CASE WHEN i < 5 THEN 'a' ELSE 'b' END FROM generate_series(1, 6) AS i;
SELECT lead_funnel.attach('leads', 'stage', timezone => 'Europe/Berlin');
SELECT ev_error($$SELECT lead_funnel.record_event('leads', 1, 'visit', '2026-11-20', 'x')$$);
SELECT lead_funnel.create_model('ev'), lead_funnel.set_event_type('ev', 'visit', 1), lead_funnel.set_event_type('ev', 'demo', 40, '90 days'),
       lead_funnel.set_event_type('ev', 'open', 5, max_count => 1), lead_funnel.set_event_type('ev', 'click', 3, max_count => 2, per => 'day');
SELECT lead_funnel.set_scoring('leads', 'ev');
-- without a column the ledger alone has it; a column that comes later is filled
SELECT lead_funnel.record_event('leads', 1, 'visit', '2026-11-20 10:00', 'v1'), lead_funnel.record_event('leads', '1', 'visit', '2026-11-20 10:00', 'v1'),
       lead_funnel.record_event('leads', 1, 'visit', '2026-11-20 10:00', 'v1', 'other system');
SELECT lead_funnel.set_engagement_column('leads', 'warmth');
SELECT id, warmth FROM leads WHERE warmth IS NOT NULL;
SELECT lead_funnel.record_event('leads', 1, 'demo', '2026-11-20 10:00', 'd1');
SELECT lead_funnel.set_engagement_column('leads', 'slow', '90 days');
SELECT id, warmth, slow FROM leads WHERE id = 1;

-- caps: the earliest count, in any order of arrival; days are the funnel's: 23:30 UTC is the next day in Berlin
SELECT lead_funnel.record_event('leads', 2, 'click', t::timestamptz, 'c' || t) FROM unnest('{2026-11-20 12:00,2026-11-20 13:00,2026-11-20 10:00,2026-11-20 23:30}'::text[]) AS t;
SELECT lead_funnel.record_event('leads', 2, 'open', t::timestamptz, 'o' || t) FROM unnest('{2026-11-21,2026-11-19,2026-11-25}'::text[]) AS t;
SELECT event_type, happened_at, counted FROM lead_funnel.lead_events WHERE lead_id = 2 ORDER BY 1, 2;
SELECT warmth, points_at(warmth, '2026-11-20 23:30') FROM leads WHERE id = 2;
SELECT lead_funnel.delete_event('leads', 'c2026-11-20 10:00'), lead_funnel.delete_event('leads', 'o2026-11-19'), lead_funnel.delete_event('leads', 'o2026-11-19');
SELECT event_type, happened_at, counted FROM lead_funnel.lead_events WHERE lead_id = 2 ORDER BY 1, 2;
SELECT * FROM lead_funnel.verify_engagement('leads');
-- a type that changes does so for later events
SELECT lead_funnel.set_event_type('ev', 'visit', 2), lead_funnel.record_event('leads', 3, 'visit', '2026-11-20 10:00', 'v3');
SELECT lead_id, points FROM lead_funnel.lead_events WHERE event_type = 'visit' ORDER BY 1, source;
-- corrections: points, time, type with its half-life; to nothing and back
SELECT lead_funnel.correct_event('leads', 'v3', points => 7), lead_funnel.correct_event('leads', 'v1', 'other system', at => '2026-11-21'),
       lead_funnel.correct_event('leads', 'd1', event_type => 'visit'), lead_funnel.correct_event('leads', 'no such', points => 1);
SELECT id, warmth, slow FROM leads WHERE id IN (1, 3) ORDER BY id;
SELECT lead_funnel.delete_event('leads', 'v3');
SELECT warmth IS NULL AS none_left FROM leads WHERE id = 3;
-- all or nothing
BEGIN;
SELECT lead_funnel.record_event('leads', 3, 'visit', '2026-11-20', 't1');
SAVEPOINT s;
SELECT lead_funnel.record_event('leads', 3, 'visit', '2026-11-20', 't2');
ROLLBACK TO s;
SELECT lead_funnel.record_event('leads', 3, 'visit', '2026-11-20', 't2'), lead_funnel.record_event('leads', 3, 'visit', '2026-11-20', 't2');
COMMIT;
SELECT warmth FROM leads WHERE id = 3;
DO $$
BEGIN
    PERFORM lead_funnel.record_event('leads', 3, 'visit', '2026-11-20', 't3');
    PERFORM lead_funnel.delete_event('leads', 't3');
    PERFORM lead_funnel.record_event('leads', 3, 'visit', '2026-11-20', 't3');
    PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
    NULL;
END $$;
SELECT warmth, (SELECT count(*) FROM lead_funnel.lead_events WHERE external_id = 't3') FROM leads WHERE id = 3;
-- an index that a DBA has added is filled, too
RESET ROLE;
CREATE INDEX ev_dba ON lead_funnel.event (upper(event_type), happened_at) WHERE points > 0;
SELECT lead_funnel.record_event('leads', 4, 'visit', '2026-11-20', 'dba');
SET enable_seqscan = off;
SELECT count(*) FROM lead_funnel.event WHERE upper(event_type) = 'VISIT' AND points > 0;
RESET enable_seqscan;
DROP INDEX lead_funnel.ev_dba;
SET ROLE ev_owner;

-- rights: of the column, and of the row
GRANT SELECT ON leads TO ev_app;
GRANT UPDATE (warmth, slow) ON leads TO ev_app;
ALTER TABLE leads ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenants ON leads TO ev_app USING (tenant = 'a');
SET ROLE ev_app;
SELECT lead_funnel.record_event('leads', 4, 'visit', '2026-11-21', 'app'), lead_funnel.delete_event('leads', 'app'), lead_funnel.record_event('leads', 4, 'open', '2026-11-21', 'app');
SELECT ev.ev_error($$SELECT lead_funnel.record_event('leads', 5, 'visit', '2026-11-21', 'app5')$$);
SELECT ev.ev_error($$SELECT lead_funnel.set_event_type('ev', 'visit', 1000)$$), ev.ev_error($$SELECT lead_funnel.set_scoring('leads', 'ev')$$),
       ev.ev_error($$SELECT lead_funnel.set_engagement_column('leads', NULL)$$), ev.ev_error('SELECT FROM lead_funnel.event');
-- whoever owns another funnel sees its events only
RESET ROLE;
GRANT CREATE ON SCHEMA ev TO ev_app;
SET ROLE ev_app;
SELECT ev.ev_error('SELECT FROM lead_funnel.lead_events');
CREATE TABLE own (id int PRIMARY KEY, stage lead_stage);
INSERT INTO own VALUES (1, 'lead');
SELECT lead_funnel.attach('own', 'stage'), lead_funnel.set_scoring('own', 'ev'), lead_funnel.record_event('own', 1, 'visit', '2026-11-25', 'own');
SELECT funnel, external_id FROM lead_funnel.lead_events;
SELECT lead_funnel.detach('own', purge => true);
DROP TABLE own;
RESET ROLE;
SET ROLE ev_nobody;
SELECT s, ev.ev_error('SELECT lead_funnel.' || s)
FROM unnest(ARRAY[$$record_event('leads', 1, 'visit', '2026-11-20 10:00', 'v1')$$, $$delete_event('leads', 'v1')$$, $$correct_event('leads', 'v1', points => 1)$$]) AS s;
RESET ROLE;
SET ROLE ev_owner;
ALTER TABLE leads DISABLE ROW LEVEL SECURITY;
SELECT * FROM lead_funnel.verify_engagement('leads');

-- other keys
CREATE TYPE ev_code AS ENUM ('one', 'two');
CREATE DOMAIN ev_number AS bigint CHECK (VALUE > 0);
DO $$
DECLARE
    k record;
BEGIN
    FOR k IN SELECT * FROM (VALUES ('smallint', '7'), ('ev_number', '8'), ('uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'), ('text', '007'), ('varchar(10)', 'x y'), ('ev_code', 'two')) AS v (type, key) LOOP
        EXECUTE format('CREATE TABLE keyed ("The Key" %s PRIMARY KEY, stage text, "Warmth" engagement)', k.type);
        EXECUTE format('INSERT INTO keyed VALUES (%L, ''lead'')', k.key);
        PERFORM lead_funnel.attach('keyed', 'stage');
        PERFORM lead_funnel.set_scoring('keyed', 'ev');
        PERFORM lead_funnel.set_engagement_column('keyed', 'Warmth');
        PERFORM lead_funnel.record_event('keyed', k.key, 'visit', '2026-11-20', 'a');
        IF k.type = 'uuid' THEN
            PERFORM lead_funnel.record_event('keyed', k.key::uuid, 'visit', '2026-11-20', 'b');
        ELSIF k.type IN ('smallint', 'ev_number') THEN
            PERFORM lead_funnel.record_event('keyed', k.key::int, 'visit', '2026-11-20', 'b');
        ELSE
            PERFORM lead_funnel.record_event('keyed', k.key, 'click', '2026-11-20', 'b');
        END IF;
        RAISE NOTICE '%: % events, % differ, warmth %', k.type, (SELECT count(DISTINCT lead) || '/' || count(*) FROM lead_funnel.lead_events WHERE funnel = 'keyed'),
            (SELECT count(*) FROM lead_funnel.verify_engagement('keyed')), (SELECT "Warmth" FROM keyed);
        PERFORM lead_funnel.detach('keyed', purge => true);
        DROP TABLE keyed;
    END LOOP;
END $$;

-- a type with another half-life or without its cap: a late event still takes the place of one that counted, and gives it back
CREATE TABLE late (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', warmth engagement, slow engagement);
INSERT INTO late SELECT generate_series(1, 4);
SELECT lead_funnel.attach('late', 'stage'), lead_funnel.create_model('late'), lead_funnel.set_event_type('late', 'open', 5, max_count => 1);
SELECT lead_funnel.set_scoring('late', 'late'), lead_funnel.set_engagement_column('late', 'warmth'), lead_funnel.set_engagement_column('late', 'slow', '90 days');
SELECT count(lead_funnel.record_event('late', i, 'open', '2026-09-28', 'a' || i)) FROM generate_series(1, 4) AS i;
SELECT lead_funnel.set_event_type('late', 'open', 5, '90 days', max_count => 1);
SELECT lead_funnel.record_event('late', 1, 'open', '2026-09-20', 'b1'), lead_funnel.record_event('late', 2, 'open', '2026-09-20', 'b2'),
       lead_funnel.record_event('late', 4, 'open', '2026-09-29', 'b4');
SELECT * FROM lead_funnel.verify_engagement('late');
SELECT lead_funnel.delete_event('late', 'b1'), lead_funnel.correct_event('late', 'b2', at => '2026-09-30');
SELECT * FROM lead_funnel.verify_engagement('late');
SELECT lead_funnel.set_event_type('late', 'open', 5);
SELECT lead_funnel.record_event('late', 3, 'open', '2026-09-20', 'c3');
SELECT lead, external_id, counted FROM lead_funnel.lead_events WHERE funnel = 'late' ORDER BY lead, happened_at;
SELECT id, warmth, slow FROM late ORDER BY id;
SELECT * FROM lead_funnel.verify_engagement('late');

-- what is refused
SELECT s, ev_error('SELECT lead_funnel.' || s)
FROM unnest(ARRAY[$$record_event('nobody', 1, 'visit', '2026-11-20', 'x')$$, $$record_event('leads', 99, 'visit', '2026-11-20', 'x')$$, $$record_event('leads', 99, 'open', '2026-11-20', 'x')$$,
    $$record_event('leads', 99999999999, 'visit', '2026-11-20', 'x')$$, $$record_event('leads', 'abc', 'visit', '2026-11-20', 'x')$$, $$record_event('leads', 1, 'VISIT', '2026-11-20', 'x')$$,
    $$record_event('leads', 1, 'visit', 'infinity', 'x')$$, $$correct_event('leads', 'v1', at => '-infinity')$$, $$record_event('leads', 1, 'visit', '9999-01-01', 'x')$$, $$correct_event('leads', 'v1', at => '9999-01-01')$$,
    $$record_event('leads', 1, 'visit', NULL, 'x')$$, $$record_events('leads', '{1,2}', '{visit,visit}', '{2026-11-20}', '{x1,x2}')$$, $$delete_event('leads', NULL)$$, $$correct_event(NULL, 'v1')$$, $$correct_event('leads', 'v1', points => 'NaN')$$, $$correct_event('leads', 'v1', event_type => 'none')$$,
    $$set_event_type('ev', NULL, 1)$$, $$set_event_type('ev', repeat('x', 64), 1)$$, $$set_event_type('ev', 'x', 'NaN')$$, $$set_event_type('ev', 'x', 1, '1 month')$$, $$set_event_type('ev', 'x', 1, max_count => 0)$$, $$set_event_type('ev', 'x', 1, per => 'day')$$,
    $$set_event_type('ev', 'x', 1, max_count => 1, per => 'decade')$$, $$remove_event_type('ev', 'x')$$, $$set_scoring('leads', 'nobody')$$, $$set_engagement_column('leads', 'stage')$$,
    $$set_engagement_column('leads', 'warmth', '8 days')$$, $$set_engagement_column('leads', 'warmth', NULL)$$]) AS s;
SELECT count(*) AS left_of_them FROM lead_funnel.lead_events WHERE external_id LIKE 'x%';
SELECT lead_funnel.record_events('leads', NULL, NULL, NULL, NULL) AS of_none;
-- events of a lead that is gone: the owner of the table may delete them
DELETE FROM leads WHERE id = 4;
SELECT lead_funnel.delete_event('leads', 'dba');
SELECT ev_error($$SELECT lead_funnel.correct_event('leads', 'app', points => 1)$$);

-- a trigger of the lead table records an event in the middle of another one, after something has changed
RESET ROLE;
CREATE TABLE inner_leads (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', warmth engagement);
SELECT lead_funnel.attach('inner_leads', 'stage');
SELECT lead_funnel.create_model('ev_inner'), lead_funnel.set_event_type('ev_inner', 'form', 10), lead_funnel.set_event_type('ev_inner', 'hot', 1),
    lead_funnel.set_scoring('inner_leads', 'ev_inner'), lead_funnel.set_engagement_column('inner_leads', 'warmth');
INSERT INTO inner_leads (id) SELECT g FROM generate_series(1, 20) g;
SELECT count(lead_funnel.record_event('inner_leads', g, 'form', '2026-01-01', 'e' || g)) FROM generate_series(1, 20) g;
CREATE FUNCTION hot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() > 1 THEN RETURN NULL; END IF;
    CREATE TEMP TABLE scratch (i int);
    DROP TABLE scratch;
    BEGIN
        PERFORM lead_funnel.record_event('inner_leads', NEW.id, 'no such type', '2026-01-01', 'x');
    EXCEPTION WHEN undefined_object THEN NULL;
    END;
    FOR i IN 1 .. 20 LOOP
        EXECUTE format('PREPARE p%s_%s AS SELECT %s AS abcdefghijklmnopqrstuvwxyz, repeat(''x'', %s)', NEW.id, i, i, i);
    END LOOP;
    PERFORM lead_funnel.record_event('inner_leads', NEW.id, 'hot', '2026-01-01', 'hot' || NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER hot AFTER UPDATE OF warmth ON inner_leads FOR EACH ROW EXECUTE FUNCTION hot();
SELECT count(lead_funnel.record_event('inner_leads', g, 'form', '2026-01-02', 'f' || g)) FROM generate_series(1, 20) g;
SELECT * FROM lead_funnel.verify_engagement('inner_leads');
SELECT count(*) FROM lead_funnel.lead_events WHERE funnel = 'inner_leads';
BEGIN READ ONLY;
SELECT lead_funnel.record_event('inner_leads', 1, 'form', '2026-01-02', 'read only');
ROLLBACK;
BEGIN READ ONLY;
SELECT lead_funnel.delete_event('inner_leads', 'e1');
ROLLBACK;
DEALLOCATE ALL;
DROP TRIGGER hot ON inner_leads;
-- the column gets another name, and goes
ALTER TABLE inner_leads RENAME COLUMN warmth TO heat;
SELECT lead_funnel.record_event('inner_leads', 1, 'form', '2026-01-02', 'renamed');
SELECT * FROM lead_funnel.verify_engagement('inner_leads');
ALTER TABLE inner_leads DROP COLUMN heat;
SELECT lead_funnel.record_event('inner_leads', 1, 'form', '2026-01-02', 'dropped');
SELECT lead_funnel.set_engagement_column('inner_leads', NULL), lead_funnel.record_event('inner_leads', 1, 'form', '2026-01-02', 'dropped');
SELECT lead_funnel.detach('inner_leads', purge => true), lead_funnel.drop_model('ev_inner');

-- a trigger of the lead table changes events while one is recorded
CREATE TABLE acting (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', heat engagement);
INSERT INTO acting SELECT generate_series(1, 7);
SELECT lead_funnel.attach('acting', 'stage'), lead_funnel.create_model('acting'), lead_funnel.set_event_type('acting', 'visit', 1),
    lead_funnel.set_event_type('acting', 'once', 10, max_count => 1), lead_funnel.set_scoring('acting', 'acting'), lead_funnel.set_engagement_column('acting', 'heat');
SELECT count(lead_funnel.record_event('acting', i, 'visit', '2026-11-20', 'before ' || i)) FROM generate_series(1, 7) i;
SELECT lead_funnel.record_event('acting', 4, 'once', '2026-11-20', 'once 4');
CREATE TABLE acts (id int PRIMARY KEY, event text, act text);
INSERT INTO acts VALUES
    (1, 'visit', $$SELECT lead_funnel.delete_event('acting', 'before 1')$$),
    (2, 'visit', $$SELECT lead_funnel.correct_event('acting', 'before 2', points => 5)$$),
    (3, 'once', $$SELECT lead_funnel.record_event('acting', 3, 'once', '2026-11-19', 'inner 3')$$),
    (4, 'visit', $$SELECT lead_funnel.record_event('acting', 4, 'once', '2026-11-19', 'inner 4')$$),
    (5, 'visit', $$UPDATE acting SET id = 105 WHERE id = 5$$),
    (6, 'visit', $$SELECT lead_funnel.record_event('acting', 6, 'visit', '2026-11-20', 'outer 6')$$),
    (7, 'visit', $$SELECT lead_funnel.delete_event('acting', 'outer 7')$$);
CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF pg_trigger_depth() = 1 THEN EXECUTE (SELECT a.act FROM acts a WHERE a.id = old.id); END IF; RETURN NULL; END $$;
CREATE TRIGGER act AFTER UPDATE ON acting FOR EACH ROW EXECUTE FUNCTION act();
SELECT id, lead_funnel.record_event('acting', id, event, '2026-11-20', 'outer ' || id) FROM acts ORDER BY id;
SELECT id, points_at(heat, '2026-11-20'), (SELECT string_agg(external_id, ', ' ORDER BY external_id) FROM lead_funnel.lead_events e WHERE e.funnel = 'acting' AND e.lead_id = id) AS events
FROM acting ORDER BY id;
SELECT * FROM lead_funnel.verify_engagement('acting');
SELECT lead_funnel.detach('acting', purge => true), lead_funnel.drop_model('acting');
SET ROLE ev_owner;

SELECT lead_funnel.set_engagement_column('leads', NULL), lead_funnel.record_event('leads', 1, 'visit', '2026-11-25', 'unseen');
SELECT warmth, (SELECT count(*) FROM lead_funnel.verify_engagement('leads')) AS differ FROM leads WHERE id = 1;
SELECT lead_funnel.detach('leads', purge => true), lead_funnel.detach('late', purge => true), lead_funnel.drop_model('ev'), lead_funnel.drop_model('late');
RESET ROLE;
SELECT (SELECT count(*) FROM lead_funnel.event), (SELECT count(*) FROM lead_funnel.event_type), (SELECT count(*) FROM lead_funnel.engagement_column), (SELECT count(*) FROM lead_funnel.funnel_model);
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA ev CASCADE;
DROP OWNED BY ev_owner, ev_app;
DROP ROLE ev_owner, ev_app, ev_nobody;
