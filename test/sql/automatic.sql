-- Moves that follow from a score: by a column or by a model, in the write itself, whatever statement it is.
CREATE SCHEMA au;
SET search_path = au, public;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
SET timezone = 'UTC';
\set VERBOSITY terse
\i test/sql/oracle.psql
CREATE FUNCTION history(f text) RETURNS TABLE (lead text, move int, from_stage text, to_stage text, to_status text, origin text, score numeric, version text)
LANGUAGE sql AS $$
    SELECT h.lead, h.move, h.from_stage, h.to_stage, h.to_status, h.origin, h.score, h.score_model || ' ' || h.score_version
    FROM lead_funnel.funnel_history h WHERE h.funnel = f ORDER BY length(h.lead), h.lead, h.move
$$;

-- a column of each type: the first value of the map, or the label
CREATE TYPE status AS ENUM ('New', 'Open', 'MQL', 'Hot', 'sal');
CREATE DOMAIN short_status AS varchar(4) CHECK (value <> 'won');
CREATE TABLE t_native (id int PRIMARY KEY, stage lead_stage NOT NULL, score int);
CREATE TABLE t_text (id int PRIMARY KEY, stage text, score numeric);
CREATE TABLE t_char (id int PRIMARY KEY, stage char(10), score real);
CREATE TABLE t_domain (id int PRIMARY KEY, stage short_status, score int);
CREATE TABLE t_enum (id uuid PRIMARY KEY, stage status, score int);
CREATE TABLE t_number (id text PRIMARY KEY, stage smallint, score int);
SELECT lead_funnel.attach(r.relation, 'stage', score_column => 'score', stage_map => r.map)
FROM (VALUES ('t_native'::regclass, NULL::jsonb), ('t_text', '{"lead": ["Neu", null], "mql": ["Marketing", "mql"]}'), ('t_char', NULL),
             ('t_domain', NULL), ('t_enum', '{"lead": ["New", "Open"], "mql": ["Hot"]}'), ('t_number', '{"lead": [1, 2], "mql": [7, 5]}')) AS r (relation, map);
SELECT lead_funnel.allow(f, 'lead', 'mql', automatic => true, min_score => 50) FROM unnest('{t_native,t_text,t_char,t_domain,t_enum,t_number}'::name[]) AS f;
INSERT INTO t_native VALUES (1, 'lead', 10), (2, 'lead', 50), (3, 'mql', 90), (4, 'lead', NULL);
INSERT INTO t_text VALUES (1, 'Neu', 10), (2, NULL, 50), (3, 'LEAD', 90), (4, 'Neu', 'NaN');
INSERT INTO t_char VALUES (1, 'lead', 10), (2, 'lead', 50);
INSERT INTO t_domain VALUES (1, 'lead', 10), (2, 'lead', 50);
INSERT INTO t_enum VALUES ('00000000-0000-0000-0000-000000000001', 'New', 10), ('00000000-0000-0000-0000-000000000002', 'Open', 50);
INSERT INTO t_number VALUES ('a', 1, 10), ('b', 2, 50);
UPDATE t_native SET score = score + 40;
UPDATE t_text SET score = score + 40;
UPDATE t_char SET score = score + 40;
UPDATE t_domain SET score = score + 40;
UPDATE t_enum SET score = score + 40;
UPDATE t_number SET score = score + 40;
SELECT * FROM t_native ORDER BY 1;
SELECT * FROM t_text ORDER BY 1;
SELECT * FROM history('t_native');
SELECT * FROM history('t_text');
SELECT * FROM history('t_char');
SELECT * FROM history('t_domain');
SELECT * FROM history('t_enum');
SELECT * FROM history('t_number');
SELECT f, c.* FROM unnest('{t_native,t_text,t_char,t_domain,t_enum,t_number}'::text[]) AS f CROSS JOIN LATERAL lead_funnel.verify(f) AS c;

-- ways of writing: upsert, MERGE, COPY, savepoints, a trigger that comes later, one that skips rows
CREATE TABLE w (id int PRIMARY KEY, stage text NOT NULL DEFAULT 'lead', score int, source text, note text, entered date);
SELECT lead_funnel.attach('w', 'stage', score_column => 'score', source_column => 'source', entered_column => 'entered');
SELECT lead_funnel.allow('w', 'mql', 'lead');
SELECT lead_funnel.allow('w', 'lead', 'mql', automatic => true, min_score => 50);
SELECT lead_funnel.allow('w', 'mql', 'lead', automatic => true, below_score => 30);
INSERT INTO w VALUES (1, 'lead', 60) ON CONFLICT (id) DO UPDATE SET score = excluded.score;
INSERT INTO w VALUES (2, 'lead', 10) ON CONFLICT (id) DO UPDATE SET score = excluded.score;
INSERT INTO w (id, score) VALUES (1, 70), (2, 60), (3, 60) ON CONFLICT (id) DO UPDATE SET score = excluded.score;
INSERT INTO w (id, score) VALUES (3, 80), (4, 80) ON CONFLICT DO NOTHING;
INSERT INTO w VALUES (5, 'lead', 90), (6, 'lead', 20) ON CONFLICT (id) DO UPDATE SET score = excluded.score;
MERGE INTO w USING (VALUES (4, 20), (7, 50), (8, 49)) AS s (id, score) ON w.id = s.id
WHEN MATCHED THEN UPDATE SET score = s.score WHEN NOT MATCHED THEN INSERT (id, score) VALUES (s.id, s.score);
COPY w (id, score, source) FROM stdin;
9	50	web
10	49	web
11	\N	web
\.
SELECT * FROM history('w');
SELECT id, stage, entered = current_date AS today FROM w ORDER BY id;
SELECT * FROM check_funnel('w', 'SELECT id AS lead, stage, source FROM w');

-- falling below, and what somebody has sent back
UPDATE w SET score = 29 WHERE id = 9;
UPDATE w SET score = 40 WHERE id = 9;
UPDATE w SET stage = 'lead' WHERE id = 1;          -- its score is still high
UPDATE w SET note = 'called' WHERE id = 1;
UPDATE w SET score = 75 WHERE id = 1;
UPDATE w SET score = 45 WHERE id = 1;
UPDATE w SET score = 55 WHERE id = 1;
UPDATE w SET stage = 'lead', score = 95 WHERE id = 1;    -- it is not sent back to where it was taken from
UPDATE w SET stage = 'nurture', score = 10 WHERE id = 2;
UPDATE w SET stage = 'mql', score = 99 WHERE id = 2;     -- by hand
SELECT * FROM history('w') WHERE lead IN ('1', '2', '9');
SELECT * FROM check_funnel('w', 'SELECT id AS lead, stage, source FROM w');

-- savepoints, and two moves of a lead in a transaction
BEGIN;
INSERT INTO w VALUES (20, 'lead', 60);
SAVEPOINT s;
INSERT INTO w VALUES (21, 'lead', 60);
UPDATE w SET score = 60 WHERE id = 10;
ROLLBACK TO s;
UPDATE w SET score = 51 WHERE id = 10;
UPDATE w SET score = 10 WHERE id = 10;
INSERT INTO w VALUES (21, 'mql', 60);
RELEASE s;
COMMIT;
SELECT * FROM history('w') WHERE lead IN ('10', '20', '21');
DO $$
BEGIN
    FOR i IN 30 .. 33 LOOP
        BEGIN
            INSERT INTO w VALUES (i, 'lead', 60);
            IF i % 2 = 0 THEN RAISE 'undone'; END IF;
        EXCEPTION WHEN raise_exception THEN
            INSERT INTO w VALUES (i, 'mql', 60);
        END;
    END LOOP;
END $$;
SELECT * FROM history('w') WHERE lead ~ '^3.$';

-- a trigger that fires later: it skips rows, changes the stage, or the score
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.note = 'skip' THEN RETURN NULL; END IF;
    IF new.note = 'nurture' THEN new.stage := 'nurture'; END IF;
    IF new.note = 'lead' THEN new.stage := 'lead'; END IF;
    IF new.note = 'low' THEN new.score := 0; END IF;
    IF new.note = 'nested' THEN
        UPDATE w SET score = 60 WHERE id = new.id + 1;
        INSERT INTO w VALUES (new.id + 2, 'lead', 70);
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER z BEFORE INSERT OR UPDATE ON w FOR EACH ROW EXECUTE FUNCTION later();
INSERT INTO w VALUES (40, 'lead', 60, NULL, 'skip'), (41, 'lead', 60, NULL, 'lead'), (42, 'lead', 60, NULL, 'low');
INSERT INTO w VALUES (40, 'mql', 60);
INSERT INTO w VALUES (43, 'lead', 10), (44, 'lead', 10), (45, 'lead', 10);
UPDATE w SET score = 60, note = CASE id WHEN 43 THEN 'skip' WHEN 44 THEN 'nurture' ELSE 'nested' END WHERE id IN (43, 44);
UPDATE w SET stage = 'mql' WHERE id = 43;
INSERT INTO w VALUES (51, 'lead', 10);
INSERT INTO w VALUES (50, 'lead', 60, NULL, 'nested');
SELECT * FROM history('w') WHERE lead ~ '^[45].$';
SELECT * FROM check_funnel('w', 'SELECT id AS lead, stage, source FROM w');
DROP TRIGGER z ON w;

-- an AFTER trigger that fires before ours and writes the lead again
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.note = 'again' THEN
        UPDATE w SET note = 'done', score = 10 WHERE id = new.id;
        UPDATE w SET score = 88 WHERE id = new.id;
    ELSIF new.note = 'anew' THEN
        DELETE FROM w WHERE id = new.id;
        INSERT INTO w VALUES (new.id, 'lead', 66, NULL, 'done');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a AFTER INSERT OR UPDATE ON w FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO w VALUES (60, 'lead', 60, NULL, 'again'), (61, 'lead', 55, NULL, 'anew'), (62, 'lead', 1, NULL, NULL);
UPDATE w SET score = 77, note = 'again' WHERE id = 62;
SELECT * FROM history('w') WHERE lead ~ '^6.$';
SELECT * FROM check_funnel('w', 'SELECT id AS lead, stage, source FROM w');
DROP TRIGGER a ON w;

-- a date that the statement gives is that of its own move
INSERT INTO w (id, score, entered) VALUES (70, 60, '2020-01-01');
UPDATE w SET score = 5 WHERE id = 70;
UPDATE w SET stage = 'nurture', entered = current_date WHERE id = 70;
SELECT lead, from_stage, to_stage, origin, effective_day = '2020-01-01' AS given, effective_day = current_date AS today
FROM lead_funnel.funnel_history WHERE funnel = 'w' AND lead = '70' ORDER BY move;
SELECT entered = current_date FROM w WHERE id = 70;

-- all gates of the rule count, and what is not met is no error
ALTER TABLE w ADD q qualification;
SELECT lead_funnel.alter_funnel('w', qualification_column => 'q');
SELECT lead_funnel.allow('w', 'lead', 'mql', automatic => true, min_score => 50, requires => 'bant(need=1)');
INSERT INTO w (id, score) VALUES (80, 60);
UPDATE w SET q = 'bant(need=2)' WHERE id = 80;
SELECT * FROM history('w') WHERE lead = '80';

-- undo: the lead stays where it is put, whatever its score is
SELECT from_stage, to_stage FROM lead_funnel.undo_move('w', 80);
UPDATE w SET note = 'x' WHERE id = 80;
SELECT * FROM lead_funnel.run_due('w');
SELECT * FROM history('w') WHERE lead = '80';
SELECT move FROM lead_funnel.move('w', 80, 'mql');
SELECT * FROM check_funnel('w', 'SELECT id AS lead, stage, source FROM w');

-- out of the funnel and back in is an entry
CREATE TABLE ex (id int PRIMARY KEY, stage text NOT NULL, score int, gone boolean);
SELECT lead_funnel.attach('ex', 'stage', score_column => 'score', excluded_column => 'gone');
SELECT lead_funnel.allow('ex', 'lead', 'mql', automatic => true, min_score => 50);
INSERT INTO ex VALUES (1, 'lead', 60, true), (2, 'lead', 60, false);
UPDATE ex SET gone = true WHERE id = 2;
UPDATE ex SET gone = false;
SELECT * FROM history('ex');
UPDATE ex SET id = id + 10, score = 60;
UPDATE ex SET score = 10, stage = 'lead' WHERE false;
INSERT INTO ex VALUES (3, 'lead', 10);
UPDATE ex SET id = 30, score = 60 WHERE id = 3;
SELECT * FROM history('ex');
SELECT * FROM check_funnel('ex', 'SELECT id AS lead, stage FROM ex WHERE gone IS NOT TRUE');

-- partitions, also from one to another
CREATE TABLE p (id int, region text, stage text NOT NULL, score int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE p_eu (x int, score int, region text NOT NULL, stage text NOT NULL, id int NOT NULL);
ALTER TABLE p_eu DROP x;
ALTER TABLE p ATTACH PARTITION p_eu FOR VALUES IN ('eu');
CREATE TABLE p_us PARTITION OF p FOR VALUES IN ('us');
SELECT lead_funnel.attach('p', 'stage', key_column => 'id', score_column => 'score', preset => 'open');
SELECT lead_funnel.allow('p', 'lead', 'mql', automatic => true, min_score => 50);
SELECT lead_funnel.allow('p', 'mql', 'sal', automatic => true, min_score => 80);
CREATE TABLE p_asia PARTITION OF p FOR VALUES IN ('asia');
INSERT INTO p VALUES (1, 'eu', 'lead', 60), (2, 'us', 'lead', 10), (3, 'eu', 'lead', 99), (4, 'asia', 'lead', 50), (5, 'eu', 'mql', 10), (6, 'us', 'mql', 90);
UPDATE p SET region = 'us', score = 60 WHERE id = 2;
UPDATE p SET region = 'asia', score = 90 WHERE id IN (1, 5);
UPDATE p SET stage = 'mql' WHERE id = 6;
UPDATE p SET region = 'eu' WHERE id = 6;             -- sent back, and in another partition as well
SELECT * FROM history('p');
SELECT * FROM check_funnel('p', 'SELECT id AS lead, stage FROM p');

-- a model: its active version, on the axis that is named
CREATE TABLE m (id bigint PRIMARY KEY, stage text NOT NULL DEFAULT 'lead', size int, industry text, seen timestamptz, warmth engagement, v text);
SELECT lead_funnel.attach('m', 'stage');
SELECT lead_funnel.create_model('icp', 'm');
SELECT lead_funnel.add_rule('icp', 'fit', 'size', '>=', '50', 30), lead_funnel.add_rule('icp', 'fit', 'industry', '=', 'retail', 30),
       lead_funnel.add_rule('icp', 'engagement', 'warmth', '>=', '10', 40), lead_funnel.add_rule('icp', 'engagement', 'seen', 'within', '7 days', 5);
SELECT lead_funnel.bind_score('m', 'icp');
SELECT lead_funnel.activate_model('icp');
SELECT lead_funnel.bind_score('m', 'icp');
SELECT lead_funnel.allow('m', 'lead', 'mql', automatic => true, min_score => 60);
SELECT lead_funnel.allow('m', 'mql', 'sal', min_score => 70);
INSERT INTO m (id, size, industry) VALUES (1, 100, 'retail'), (2, 100, 'steel'), (3, 10, 'retail');
UPDATE m SET industry = 'retail' WHERE id = 2;
UPDATE m SET stage = 'sal' WHERE id = 1;
SELECT to_stage, requirement, has, needs, met FROM lead_funnel.explain_gate('m', 1) WHERE to_stage = 'sal';
SELECT * FROM lead_funnel.allowed_moves('m', ARRAY[1, 3]) WHERE to_stage IN ('sal', 'mql');
SELECT lead_funnel.add_rule('icp', 'fit', 'v', '=', 'x', 100);
SELECT lead_funnel.activate_model('icp');
UPDATE m SET v = 'x' WHERE id IN (1, 3);
UPDATE m SET stage = 'sal' WHERE id = 1;
SELECT * FROM history('m');
-- a version that makes others leads due; what the journal says of a lead that somebody has put there
SELECT lead_funnel.allow('m', 'mql', 'lead', note => 'back');
UPDATE m SET stage = 'lead' WHERE id = 2;
INSERT INTO m (id, size) VALUES (4, 100), (5, 10);
SELECT * FROM lead_funnel.run_due('m');
SELECT lead_funnel.add_rule('icp', 'fit', 'id', '>', '0', 30);
SELECT lead_funnel.activate_model('icp');
SELECT * FROM lead_funnel.run_due('m');
SELECT * FROM lead_funnel.run_due('m');
SELECT * FROM history('m');
SELECT lead_funnel.activate_model('icp', 1);
SELECT * FROM check_funnel('m', 'SELECT id AS lead, stage FROM m');
-- events: in the transaction that records them
SELECT lead_funnel.set_event_type('icp', 'demo', 50), lead_funnel.set_scoring('m', 'icp');
SELECT lead_funnel.set_engagement_column('m', 'warmth');
INSERT INTO m (id, size) VALUES (6, 100);
BEGIN;
SELECT lead_funnel.record_event('m', 6, 'demo', now(), 'd1');
SELECT stage FROM m WHERE id = 6;
ROLLBACK;
SELECT lead_funnel.record_event('m', 6, 'demo', now(), 'd1');
SELECT * FROM history('m') WHERE lead = '6';
SELECT * FROM lead_funnel.verify_engagement('m');

-- one axis of the model, and time that passes
SELECT lead_funnel.bind_score('m', 'icp', 'engagement');
SELECT lead_funnel.allow('m', 'lead', 'mql', automatic => true, min_score => 45);
INSERT INTO m (id, seen) VALUES (7, now() - interval '8 days'), (8, now());
UPDATE m SET warmth = make_engagement(100, now(), '7 days') WHERE id IN (7, 8);
SELECT * FROM history('m') WHERE lead IN ('7', '8');
SELECT lead_funnel.bind_score('m', 'icp', 'total');

-- drafts, drops and DDL that would break the writes are refused
CREATE FUNCTION error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text; h text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', sqlstate || ': ' || sqlerrm, nullif('DETAIL: ' || d, 'DETAIL: '), nullif('HINT: ' || h, 'HINT: '));
END $$;
SELECT lead_funnel.create_model('loose'), lead_funnel.add_rule('loose', 'fit', 'size', '>', '50', 30), lead_funnel.activate_model('loose');
SELECT lead_funnel.bind_score('m', 'loose');
SELECT lead_funnel.add_rule('loose', 'fit', 'nowhere', '>', '50', 30);
\pset format unaligned
\pset tuples_only on
SELECT error($$SELECT lead_funnel.activate_model('loose')$$);
SELECT error($$SELECT lead_funnel._activate_model('loose', NULL)$$);
SELECT lead_funnel.discard_draft('loose'), lead_funnel.add_rule('loose', 'fit', 'stage', '=', 'lead', 30);
SELECT error($$SELECT lead_funnel.activate_model('loose')$$);
SELECT lead_funnel.discard_draft('loose'), lead_funnel.add_rule('loose', 'fit', 'size', '=', 'many', 30);
SELECT error($$SELECT lead_funnel.activate_model('loose')$$);
SELECT lead_funnel.discard_draft('loose');
SELECT error($$SELECT lead_funnel.drop_model('loose')$$);
SELECT error($$ALTER TABLE m DROP size$$);
SELECT error($$ALTER TABLE m RENAME size TO employees$$);
SELECT error($$ALTER TABLE m ALTER size TYPE bigint$$);
SELECT error($$SELECT lead_funnel.alter_funnel('m', score_column => 'size')$$);
SELECT error($$SELECT lead_funnel.bind_score('m', NULL)$$);
SELECT error($$SELECT lead_funnel.alter_funnel('w', score_column => '')$$);
SELECT error($$SELECT lead_funnel.bind_score('w', 'loose')$$);
SELECT error($$SELECT lead_funnel.bind_score('ex', 'no such')$$);
SELECT error($$SELECT lead_funnel.bind_score('m', 'loose', 'both')$$);
SELECT error($$SELECT lead_funnel.bind_score(NULL, 'loose')$$);
SELECT lead_funnel.suspend('m');
ALTER TABLE m RENAME size TO employees;
SELECT error($$SELECT lead_funnel.resume('m')$$);
ALTER TABLE m RENAME employees TO size;
SELECT lead_funnel.resume('m');
ALTER EVENT TRIGGER lead_funnel_ddl_end DISABLE;
ALTER TABLE m RENAME size TO employees;
ALTER EVENT TRIGGER lead_funnel_ddl_end ENABLE;
SELECT problem, expected, found, fix FROM lead_funnel.verify('m');
ALTER TABLE m RENAME employees TO size;

-- rules that cannot be
SELECT error(format('SELECT lead_funnel.allow(%L, %s)', f, a)) FROM (VALUES
    ('w', $$NULL, 'mql', automatic => true, min_score => 1$$),
    ('w', $$'lead', 'mql', automatic => true$$),
    ('w', $$'lead', 'mql', automatic => true, min_score => 1, below_score => 2$$),
    ('w', $$'lead', 'mql', below_score => 2$$),
    ('w', $$'lead', 'mql', automatic => true, below_score => 'NaN'$$),
    ('w', $$'lead', 'mql', automatic => true, min_score => 1, requires_reason => true$$),
    ('w', $$'lead', 'mql', automatic => true, min_score => 1, allowed_role => 'postgres'$$),
    ('w', $$'lead', 'mql', automatic => true, min_score => 1, check_at => 'commit'$$),
    ('w', $$'lead', 'nurture', automatic => true, min_score => 1$$),
    ('w', $$'mql', 'lead', automatic => true, below_score => 51$$),
    ('t_number', $$'lead', 'sal', automatic => true, min_score => 1$$)) AS c (f, a);
CREATE TABLE g (id int PRIMARY KEY, raw int, score int GENERATED ALWAYS AS (raw * 2) STORED, stage text DEFAULT 'lead');
CREATE TABLE gs (id int PRIMARY KEY, score int, word text DEFAULT 'lead', stage text GENERATED ALWAYS AS (lower(word)) STORED);
CREATE TABLE gp (id int, score int, stage text DEFAULT 'lead') PARTITION BY LIST (lower(stage));
CREATE TABLE gp_lead PARTITION OF gp FOR VALUES IN ('lead');
CREATE TABLE none (id int PRIMARY KEY, stage text);
SELECT lead_funnel.attach(r, 'stage', key_column => 'id', score_column => 'score') FROM unnest('{g,gs,gp}'::regclass[]) AS r;
SELECT lead_funnel.attach('none', 'stage');
SELECT error(format($$SELECT lead_funnel.allow(%L, 'lead', 'mql', automatic => true, min_score => 1)$$, f)) FROM unnest('{g,gs,gp,none}'::text[]) AS f;
SELECT lead_funnel.alter_funnel('g', score_column => ''), lead_funnel.create_model('gen'), lead_funnel.add_rule('gen', 'fit', 'score', '>', '10', 60),
       lead_funnel.activate_model('gen'), lead_funnel.bind_score('g', 'gen');
SELECT error($$SELECT lead_funnel.allow('g', 'lead', 'mql', automatic => true, min_score => 1)$$);
SELECT lead_funnel.allow('g', 'lead', 'mql', min_score => 50);
INSERT INTO g (id, raw) VALUES (1, 10), (2, 2);
UPDATE g SET stage = 'mql' WHERE id = 1;
SELECT error('UPDATE g SET stage = $$mql$$ WHERE id = 2');
\pset format aligned
\pset tuples_only off

-- triggers come and go with the rules
CREATE VIEW triggers AS
SELECT tgrelid::regclass AS relation, tgname, tgtype & 4 = 4 AS on_insert, tgattr <> '' AS has_columns, tgqual IS NOT NULL AS has_condition
FROM pg_trigger WHERE tgname IN ('lead_funnel_stamp', 'lead_funnel_track_update');
CREATE TABLE tr (id int PRIMARY KEY, stage text, score int, since date);
SELECT lead_funnel.attach('tr', 'stage', score_column => 'score');
SELECT * FROM triggers WHERE relation = 'tr'::regclass;
SELECT lead_funnel.allow('tr', 'lead', 'mql', automatic => true, min_score => 50);
SELECT * FROM triggers WHERE relation = 'tr'::regclass ORDER BY tgname;
SELECT lead_funnel.allow('tr', 'nurture', 'mql', automatic => true, min_score => 50);
SELECT lead_funnel.forbid('tr', 'lead', 'mql');
SELECT lead_funnel.suspend('tr');
SELECT lead_funnel.resume('tr');
SELECT * FROM triggers WHERE relation = 'tr'::regclass ORDER BY tgname;
DROP TRIGGER lead_funnel_stamp ON tr;
SELECT problem, expected FROM lead_funnel.verify('tr');
SELECT triggers_ok FROM lead_funnel.funnel_health WHERE funnel = 'tr';
SELECT lead_funnel.resume('tr');
SELECT triggers_ok FROM lead_funnel.funnel_health WHERE funnel = 'tr';
SELECT lead_funnel.allow('tr', 'nurture', 'mql');
SELECT * FROM triggers WHERE relation = 'tr'::regclass ORDER BY tgname;
SELECT lead_funnel.alter_funnel('tr', entered_column => 'since');
SELECT lead_funnel.allow('tr', 'lead', 'mql', automatic => true, min_score => 50);
SELECT lead_funnel.forbid('tr', 'lead', 'mql');
SELECT * FROM triggers WHERE relation = 'tr'::regclass ORDER BY tgname;
-- gates that are switched on by their name leave the score of an automatic rule alone
SELECT lead_funnel.allow('tr', 'mql', 'sal', automatic => true, min_score => 80);
SELECT lead_funnel.use_gates('tr', 'bant', check_at => 'commit');
SELECT from_stage, to_stage, requires, min_score, below_score, automatic, check_at FROM lead_funnel.funnel_rules WHERE funnel = 'tr' AND valid_to IS NULL AND automatic;

-- who only observes moves nothing; replicas neither
CREATE TABLE ob (id int PRIMARY KEY, stage text, score int);
SELECT lead_funnel.attach('ob', 'stage', score_column => 'score', mode => 'observe');
SELECT lead_funnel.allow('ob', 'lead', 'mql', automatic => true, min_score => 50);
INSERT INTO ob VALUES (1, 'lead', 60), (2, 'lead', 10);
UPDATE ob SET score = 70;
SELECT * FROM lead_funnel.run_due('ob');
SELECT lead_funnel.set_mode('ob', 'enforce');
SET session_replication_role = replica;
INSERT INTO ob VALUES (3, 'lead', 60);
RESET session_replication_role;
SELECT lead_funnel.reconcile('ob');
SELECT * FROM lead_funnel.run_due('ob');
SELECT * FROM history('ob');
SELECT * FROM check_funnel('ob', 'SELECT id AS lead, stage FROM ob');
ALTER TABLE ob ENABLE ALWAYS TRIGGER lead_funnel_stamp;
SET session_replication_role = replica;
INSERT INTO ob VALUES (4, 'lead', 60);
SELECT stage FROM ob WHERE id = 4;
RESET session_replication_role;
SELECT lead_funnel.alter_funnel('ob', always => true);
INSERT INTO ob VALUES (5, 'lead', 60);
SET session_replication_role = replica;
INSERT INTO ob VALUES (6, 'lead', 60);
RESET session_replication_role;
SELECT * FROM ob WHERE id > 3 ORDER BY id;
SELECT * FROM check_funnel('ob', 'SELECT id AS lead, stage FROM ob');

-- a writer who may do nothing but write reads no model, and moves leads all the same; only the owner binds
CREATE ROLE au_writer;
GRANT USAGE ON SCHEMA au TO au_writer;
GRANT SELECT (id), UPDATE (size) ON m TO au_writer;
INSERT INTO m (id) VALUES (90);
SET ROLE au_writer;
UPDATE m SET size = 100 WHERE id = 90;
SELECT error($$SELECT lead_funnel.bind_score('m', NULL)$$);
SELECT error($$SELECT lead_funnel.allow('m', 'lead', 'mql', automatic => true, min_score => 1)$$);
RESET ROLE;
SELECT lead_funnel.allow('m', 'lead', 'mql', automatic => true, min_score => 20);
SET ROLE au_writer;
UPDATE m SET size = 10 WHERE id = 90;
UPDATE m SET size = 100 WHERE id = 90;
SELECT error($$SELECT * FROM lead_funnel.run_due('m')$$);
RESET ROLE;
SELECT lead, from_stage, to_stage, origin, score, score_model, score_version, role_name = 'au_writer' AS by_writer
FROM lead_funnel.funnel_history WHERE funnel = 'm' AND lead = '90' ORDER BY move;

-- many notes that are left over do not stay
CREATE TABLE many (id int PRIMARY KEY, stage text NOT NULL DEFAULT 'lead', score int);
SELECT lead_funnel.attach('many', 'stage', score_column => 'score');
SELECT lead_funnel.allow('many', 'lead', 'mql', automatic => true, min_score => 50);
INSERT INTO many SELECT i, 'lead', 10 + i % 60 FROM generate_series(1, 20000) AS i;
BEGIN;
INSERT INTO many SELECT i, 'lead', 90 FROM generate_series(1, 20000) AS i ON CONFLICT DO NOTHING;
INSERT INTO many SELECT i, 'lead', 90 FROM generate_series(1, 20000) AS i ON CONFLICT DO NOTHING;
SELECT coalesce(sum(total_bytes), 0) < 1000000 AS is_little FROM pg_backend_memory_contexts WHERE name = 'lead_funnel automatic moves';
COMMIT;
INSERT INTO many SELECT i, 'lead', 90 FROM generate_series(1, 20000) AS i ON CONFLICT (id) DO UPDATE SET score = excluded.score;
SELECT from_stage, to_stage, origin, count(*) FROM history('many') GROUP BY 1, 2, 3 ORDER BY 4;
SELECT * FROM check_funnel('many', 'SELECT id AS lead, stage FROM many');

-- an INSERT is not the second half of what an earlier transaction did to the same key
CREATE TABLE halves (id int, region text, stage lead_stage DEFAULT 'lead', score int) PARTITION BY LIST (region);
CREATE TABLE halves_eu PARTITION OF halves FOR VALUES IN ('eu');
CREATE TABLE halves_us PARTITION OF halves FOR VALUES IN ('us');
SELECT lead_funnel.attach('halves', 'stage', key_column => 'id', score_column => 'score');
SELECT lead_funnel.allow('halves', 'lead', 'mql', automatic => true, min_score => 50);
INSERT INTO halves VALUES (5, 'eu', 'lead', 1), (6, 'eu', 'lead', 1);
UPDATE halves SET score = 2 WHERE id = 5;
DELETE FROM halves;
INSERT INTO halves VALUES (5, 'us', 'lead', 90);
INSERT INTO halves VALUES (6, 'us', 'lead', 90);
SELECT id, stage, score FROM halves ORDER BY id;

-- in the middle of a large statement one on another table, or partition, ends
CREATE TABLE other (id int PRIMARY KEY, stage text NOT NULL DEFAULT 'lead');
CREATE TABLE large (id int PRIMARY KEY, stage text NOT NULL DEFAULT 'lead', score int);
CREATE TABLE large_parts (id int PRIMARY KEY, stage text NOT NULL DEFAULT 'lead', score int) PARTITION BY RANGE (id);
CREATE TABLE large_parts1 PARTITION OF large_parts FOR VALUES FROM (0) TO (100000);
CREATE TABLE large_parts2 PARTITION OF large_parts FOR VALUES FROM (100000) TO (200000);
SELECT lead_funnel.attach('large', 'stage', score_column => 'score'), lead_funnel.attach('other', 'stage'), lead_funnel.attach('large_parts', 'stage', score_column => 'score');
SELECT lead_funnel.allow(f, 'lead', 'mql', automatic => true, min_score => 50), lead_funnel.allow(f, 'mql', 'sal', automatic => true, min_score => 50)
FROM unnest('{large,large_parts}'::name[]) f;
CREATE FUNCTION log_other(i int) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN IF i % 700 = 0 THEN INSERT INTO other SELECT coalesce(max(id), 0) + 1 FROM other; END IF; RETURN 60; END $$;
CREATE FUNCTION log_self() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.id % 700 = 0 AND NEW.id < 100000 THEN INSERT INTO large_parts VALUES (100000 + NEW.id, 'lead', 60); END IF; RETURN NEW; END $$;
CREATE TRIGGER log_self BEFORE INSERT ON large_parts FOR EACH ROW EXECUTE FUNCTION log_self();
INSERT INTO large SELECT g, 'lead', log_other(g) FROM generate_series(1, 1500) g;
INSERT INTO large_parts SELECT g, 'lead', 60 FROM generate_series(1, 1500) g;
SELECT from_stage, to_stage, origin, count(*) FROM history('large') GROUP BY 1, 2, 3 ORDER BY 1 NULLS FIRST;
SELECT from_stage, to_stage, origin, count(*) FROM history('large_parts') GROUP BY 1, 2, 3 ORDER BY 1 NULLS FIRST;
SELECT lead_funnel.allow('large', 'sal', 'lead');
UPDATE large SET stage = 'lead', score = 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
UPDATE large SET score = log_other(id) WHERE id > 0;
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT from_stage, to_stage, origin, count(*) FROM history('large') GROUP BY 1, 2, 3 ORDER BY 1 NULLS FIRST, 2, 3;
-- and notes of rows that are not written in the end do not stay
CREATE FUNCTION skip_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER zz_skip BEFORE INSERT ON large FOR EACH ROW EXECUTE FUNCTION skip_all();
BEGIN;
DO $$ BEGIN FOR i IN 1 .. 20 LOOP INSERT INTO large SELECT g, 'lead', 60 FROM generate_series(10001, 12000) g; INSERT INTO other VALUES (1000 + i, 'lead'); END LOOP; END $$;
SELECT coalesce(sum(total_bytes), 0) < 1000000 AS is_little FROM pg_backend_memory_contexts WHERE name = 'lead_funnel automatic moves';
COMMIT;
SELECT f, v.* FROM unnest('{large,large_parts,other}'::name[]) f, lead_funnel.verify(f) v;

-- two statements in one query, of which one ends before the rows of the other have had their triggers
DROP TRIGGER zz_skip ON large;
UPDATE large SET stage = 'lead', score = 0 WHERE id <= 3;
WITH i AS (INSERT INTO large SELECT g, 'lead', 60 FROM generate_series(20001, 20003) g RETURNING id)
UPDATE large SET score = 70 WHERE id <= 3;
SELECT lead_id, string_agg(coalesce(from_stage, '') || '>' || to_stage || ' ' || origin, ', ' ORDER BY move DESC) FILTER (WHERE later < 3) AS last_moves
FROM (SELECT lead_id, move, from_stage, to_stage, origin, (SELECT count(*) FROM lead_funnel.funnel_history l WHERE l.funnel = 'large' AND l.lead_id = h.lead_id AND l.move > h.move) AS later
      FROM lead_funnel.funnel_history h WHERE funnel = 'large' AND (lead_id <= 3 OR lead_id > 20000)) h
GROUP BY 1 ORDER BY 1;

-- a partition is written by its own name, and the whole table in the middle of that
CREATE FUNCTION log_root(i int) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN IF i % 700 = 0 THEN INSERT INTO large_parts VALUES (150000 + i, 'lead', 60); END IF; RETURN 60; END $$;
INSERT INTO large_parts1 SELECT 20000 + g, 'lead', log_root(g) FROM generate_series(1, 1500) g;
SELECT from_stage, to_stage, origin, count(*) FROM lead_funnel.funnel_history WHERE funnel = 'large_parts' AND lead_id BETWEEN 20001 AND 21500 GROUP BY 1, 2, 3 ORDER BY 1 NULLS FIRST;

-- another lead is updated between the halves of an UPDATE that takes a row to another partition: what was sent back stays
CREATE TABLE moved (id int, region int, stage text NOT NULL DEFAULT 'lead', score int, note text, PRIMARY KEY (id, region)) PARTITION BY RANGE (region);
CREATE TABLE moved1 PARTITION OF moved FOR VALUES FROM (0) TO (10);
CREATE TABLE moved2 PARTITION OF moved FOR VALUES FROM (10) TO (20);
SELECT lead_funnel.attach('moved', 'stage', key_column => 'id', score_column => 'score');
SELECT lead_funnel.allow('moved', 'lead', 'mql', automatic => true, min_score => 50), lead_funnel.allow('moved', 'mql', 'lead');
INSERT INTO moved VALUES (1, 1, 'lead', 60), (2, 1, 'lead', 60), (9, 1, 'lead', 0);
UPDATE moved SET stage = 'lead' WHERE id IN (1, 2);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF pg_trigger_depth() = 1 AND NEW.note = 'n' THEN UPDATE moved SET note = 'touched' WHERE id = 9; END IF; RETURN NEW; END $$;
CREATE TRIGGER zz_touch BEFORE UPDATE ON moved FOR EACH ROW EXECUTE FUNCTION touch();
UPDATE moved SET region = 11 WHERE id = 1;
UPDATE moved SET region = 11, note = 'n' WHERE id = 2;
SELECT id, region, stage, note FROM moved ORDER BY id;
SELECT * FROM lead_funnel.verify('moved');

-- the end
DROP OWNED BY au_writer;
DROP ROLE au_writer;
SELECT lead_funnel.detach(f.funnel::name, purge => true) FROM lead_funnel.funnels AS f ORDER BY f.funnel;
SELECT lead_funnel.drop_model(model::name) FROM lead_funnel.score_models ORDER BY model;
DROP SCHEMA au CASCADE;
