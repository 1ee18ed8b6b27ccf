-- scoring models: drafts and versions, who may change them, what is refused and when, score and its explanation

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE ROLE sc_ann;
CREATE ROLE sc_bob;
CREATE ROLE sc_team;
GRANT sc_team TO sc_bob;
CREATE SCHEMA sc;
GRANT ALL ON SCHEMA sc TO sc_ann, sc_bob;
SET search_path = sc, public;
CREATE FUNCTION sc_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text; h text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', sqlstate || ': ' || sqlerrm, nullif('DETAIL: ' || d, 'DETAIL: '), nullif('HINT: ' || h, 'HINT: '));
END $$;

SET ROLE sc_ann;
CREATE TABLE leads (id int PRIMARY KEY, industry text, employees int, country char(2), tags text[], seen timestamptz, extra jsonb);
INSERT INTO leads VALUES (1, 'software', 120, 'DE', '{crm,bi}', '2026-11-24 08:00+00', '{"a": 1}'), (2, 'retail', 3, 'US', '{}', '2026-01-01', NULL), (3, NULL, NULL, NULL, NULL, NULL, NULL);

-- a draft counts for nothing until it is activated
SELECT lead_funnel.create_model('icp', note => 'who fits');
SELECT lead_funnel.add_rule('icp', 'fit', 'industry', 'in', '{software,finance}', 30, 'profile'),
       lead_funnel.add_rule('icp', 'fit', 'employees', 'BETWEEN', '{50,500}', 25, 'profile'),
       lead_funnel.add_rule('icp', 'fit', 'country', 'is  null', NULL, -5),
       lead_funnel.add_rule('icp', 'engagement', 'seen', 'within', '7 days', 40),
       lead_funnel.add_rule('icp', 'fit', 'tags', 'contains', 'crm', 10, note => 'has one');
SELECT lead_funnel.set_group('icp', 'profile', cap => 45), lead_funnel.set_total('icp', 60, 0);
SELECT sc_error($$SELECT lead_funnel.score('icp', leads) FROM leads$$);
SELECT lead_funnel.activate_model('icp');
SELECT id, lead_funnel.score('icp', leads, at => '2026-11-25') AS total, lead_funnel.score('icp', leads, 'fit') AS fit,
       lead_funnel.score('icp', leads, 'engagement', '2026-11-25') AS engagement, lead_funnel.score('icp', to_jsonb(leads), at => '2026-11-25') AS loose
FROM leads ORDER BY id;
SELECT * FROM lead_funnel.explain_score('icp', (SELECT l FROM leads AS l WHERE id = 1), at => '2026-11-25');
SELECT rule, value, matched, points FROM lead_funnel.explain_score('icp', '{"industry": "finance", "tags": ["crm"], "seen": "yesterday-ish", "employees": "120"}'::jsonb);
SELECT rule, axis, operator, operand, value, points FROM leads CROSS JOIN LATERAL lead_funnel.explain_score('icp', leads) WHERE id = 3 AND points <> 0;

-- prepared statements and sessions follow an activation; what was active before can be so again
PREPARE scores AS SELECT array_agg(lead_funnel.score('icp', leads, 'fit') ORDER BY id) FROM leads;
SET plan_cache_mode = force_generic_plan;
EXECUTE scores;
SELECT lead_funnel.add_rule('icp', 'fit', 'employees', '<', '10', -20);
SELECT lead_funnel.remove_rule('icp', 2);
EXECUTE scores;
SELECT model, active_version, draft_version, rules, activated_by FROM lead_funnel.score_models WHERE model = 'icp';
SELECT version, status, rule, "group", attribute, operator, operand, points, group_cap, note FROM lead_funnel.score_rules WHERE model = 'icp' ORDER BY version, rule;
BEGIN;
SELECT lead_funnel.activate_model('icp');
EXECUTE scores;
ROLLBACK;
EXECUTE scores;
SELECT lead_funnel.activate_model('icp');
EXECUTE scores;
SELECT lead_funnel.activate_model('icp', 1);
EXECUTE scores;
SELECT lead_funnel.activate_model('icp');
SELECT lead_funnel.add_rule('icp', 'fit', 'employees', '<', '10', -20), lead_funnel.discard_draft('icp');
SELECT draft_version IS NULL AS discarded FROM lead_funnel.score_models WHERE model = 'icp';
CREATE FUNCTION version_in_use() RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE
    l leads; n int;
BEGIN
    SELECT * INTO l FROM leads WHERE id = 1;
    FOR i IN 1 .. 4 LOOP
        n := lead_funnel.score('icp', l, 'fit');
        RETURN NEXT n;
        IF i = 2 THEN
            PERFORM lead_funnel.activate_model('icp', 2);
        END IF;
    END LOOP;
END $$;
SELECT version_in_use();
SELECT lead_funnel.activate_model('icp', 1);

-- columns come and go below a session that has scored
ALTER TABLE leads DROP COLUMN extra, ADD COLUMN extra text DEFAULT 'x';
EXECUTE scores;
ALTER TABLE leads ALTER COLUMN employees TYPE numeric;
EXECUTE scores;
ALTER TABLE leads RENAME COLUMN tags TO labels;
SELECT sc_error('EXECUTE scores');
ALTER TABLE leads RENAME COLUMN labels TO tags;
ALTER TABLE leads ALTER COLUMN employees TYPE date USING NULL;
SELECT sc_error('EXECUTE scores');
ALTER TABLE leads ALTER COLUMN employees TYPE int USING 120;

-- rows of joins, of subqueries, of none; partitions; what an outer join has made NULL has no score
SELECT n, lead_funnel.score('icp', l, 'fit') FROM generate_series(1, 4) AS n LEFT JOIN leads AS l ON l.id = n ORDER BY n;
SELECT lead_funnel.score('icp', s, 'fit') FROM (SELECT 'software' AS industry, 60::int8 AS employees, NULL AS country, '{crm}'::varchar[] AS tags, now() AS seen) AS s;
SELECT lead_funnel.score('icp', NULL::leads) IS NULL AS no_row, lead_funnel.score(NULL, leads) IS NULL AS no_model FROM leads WHERE id = 1;
SELECT lead_funnel.score('icp', leads, 'fit'), count(*) FROM leads GROUP BY leads ORDER BY 1;
SELECT lead_funnel.score('icp', leads, 'fit'), count(*) FROM leads GROUP BY ROLLUP (leads) ORDER BY 1;
CREATE TABLE parted (seen timestamptz, junk int, tags text[], country text, employees int, industry text, id int) PARTITION BY LIST (id);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted2 (id int, industry text, country text, employees int, junk int, tags text[], seen timestamptz);
ALTER TABLE parted2 DROP COLUMN junk;
ALTER TABLE parted DROP COLUMN junk;
ALTER TABLE parted ATTACH PARTITION parted2 FOR VALUES IN (2);
INSERT INTO parted (id, industry, employees, country, tags, seen) VALUES (1, 'software', 100, 'DE', '{crm}', now()), (2, 'finance', 3, NULL, '{}', NULL);
SELECT id, lead_funnel.score('icp', parted), lead_funnel.score('icp', parted, 'fit') FROM parted ORDER BY id;
SELECT id, lead_funnel.score('icp', p) FROM parted2 AS p;
UPDATE parted SET employees = lead_funnel.score('icp', parted) RETURNING id, employees, lead_funnel.score('icp', parted) AS new_score;

-- what is refused when a rule is added
SELECT s, sc_error('SELECT lead_funnel.' || s)
FROM unnest(ARRAY[$$add_rule('icp', 'size', 'a', '=', '1', 1)$$, $$add_rule('icp', 'fit', 'a', '~', '1', 1)$$, $$add_rule('icp', 'fit', 'a', '=', NULL, 1)$$,
    $$add_rule('icp', 'fit', 'a', 'is null', '1', 1)$$, $$add_rule('icp', 'fit', 'a', 'matches', '((', 1)$$, $$add_rule('icp', 'fit', 'a', 'like', 'x\', 1)$$,
    $$add_rule('icp', 'fit', 'a', 'within', '7 dogs', 1)$$, $$add_rule('icp', 'fit', 'a', 'within', '-7 days', 1)$$, $$add_rule('icp', 'fit', 'a', 'in', 'x', 1)$$,
    $$add_rule('icp', 'fit', 'a', 'in', '{x,NULL}', 1)$$, $$add_rule('icp', 'fit', 'a', 'between', '{1}', 1)$$, $$add_rule('icp', 'fit', 'a', '=', '1', 1000001)$$,
    $$add_rule('icp', 'fit', NULL, '=', '1', 1)$$, $$add_rule('icp', 'engagement', 'a', '=', '1', 1, 'profile')$$, $$add_rule('nobody', 'fit', 'a', '=', '1', 1)$$,
    $$remove_rule('icp', 99)$$, $$set_group('icp', 'profile', 1, 2)$$, $$set_group('icp', '')$$, $$set_total('icp', axis => 'x')$$, $$set_total('icp', 2000000000)$$,
    $$create_model('icp')$$, $$create_model('')$$, $$activate_model('icp', 77)$$, $$activate_model(NULL)$$, $$drop_model('nobody')$$,
    $$score('nobody', ROW(1))$$, $$score('nobody', leads) FROM sc.leads$$, $$score('icp', ROW(1))$$, $$score('icp', '[1]'::jsonb)$$, $$score('icp', leads, 'size') FROM sc.leads$$,
    $$score('icp', leads, at => 'infinity') FROM sc.leads$$]) AS s;
-- with a table, all of it; without one, when it meets a row
SELECT lead_funnel.create_model('made_for', 'leads');
SELECT s, sc_error(format('SELECT lead_funnel.add_rule(''made_for'', ''fit'', %s, 1)', s))
FROM unnest(ARRAY[$$'no_such', '=', '1'$$, $$'employees', '=', 'many'$$, $$'employees', 'like', '1%'$$, $$'industry', 'contains', 'x'$$, $$'employees', 'within', '7 days'$$,
    $$'seen', 'between', '{2026-01-01,never}'$$, $$'tags', 'contains', 'crm'$$, $$'employees', 'in', '{1,99999999999}'$$]) AS s;
SELECT lead_funnel.create_model('loose');
SELECT lead_funnel.add_rule('loose', 'fit', 'employees', '=', 'many', 1), lead_funnel.activate_model('loose');
SELECT sc_error($$SELECT lead_funnel.score('loose', leads) FROM sc.leads$$), lead_funnel.score('loose', '{"employees": "many"}'::jsonb);
-- a column that has gone is found at the latest when a model is activated
ALTER TABLE leads RENAME COLUMN tags TO labels;
SELECT sc_error($$SELECT lead_funnel.activate_model('made_for')$$);
ALTER TABLE leads RENAME COLUMN labels TO tags;
SELECT lead_funnel.activate_model('made_for');
SELECT lead_funnel.activate_model('made_for');

-- a model belongs to its maker; others score by it
RESET ROLE;
SET ROLE sc_bob;
SELECT s, sc_error('SELECT lead_funnel.' || s)
FROM unnest(ARRAY[$$add_rule('icp', 'fit', 'a', '=', '1', 1)$$, $$remove_rule('icp', 1)$$, $$set_group('icp', 'profile', 1)$$, $$set_total('icp', 1)$$, $$activate_model('icp')$$,
    $$discard_draft('icp')$$, $$drop_model('icp')$$, $$_add_rule('icp', 'fit', 'a', '=', '1', 1, NULL, NULL)$$, $$__add_rule('icp', 'fit', 'a', '=', '1', 1, NULL, NULL)$$]) AS s;
SELECT lead_funnel.score('icp', '{"industry": "software"}'::jsonb), sc_error('SELECT FROM lead_funnel.score_rules');
SELECT sc_error('SELECT FROM lead_funnel.score_rule'), sc_error('DELETE FROM lead_funnel.score_model');
-- a member of the owning role may
RESET ROLE;
SET ROLE sc_team;
SELECT lead_funnel.create_model('of_team');
RESET ROLE;
SET ROLE sc_bob;
SELECT lead_funnel.add_rule('of_team', 'fit', 'a', '=', '1', 1), lead_funnel.activate_model('of_team'), lead_funnel.drop_model('of_team');
RESET ROLE;

SELECT sc_error(format('SELECT lead_funnel._score_columns(%s, 1, NULL, NULL, 5)', model_id)), sc_error('SELECT lead_funnel._score_columns(0, 1, NULL, NULL, 5)')
FROM lead_funnel.score_model WHERE name = 'icp';

-- whose table is dropped: a dump must not have a number, which may be another table's later
CREATE TABLE goes (a int);
SELECT lead_funnel.create_model('of_gone', 'goes');
DROP TABLE goes;
SELECT model, relation FROM lead_funnel.score_models WHERE model = 'of_gone';
SELECT lead_funnel.drop_model('of_gone');

-- examples, grades, ratings
SELECT * FROM lead_funnel.create_example_models();
SELECT lead_funnel.score('example_icp', '{"industry": "software", "employees": 120, "country": "DE", "challenges": ["lead quality", "long sales cycles"], "title": "Head of Sales", "email": "a@example.com"}'::jsonb),
       lead_funnel.score('example_engagement', '{"page_views": 9, "downloads": 2, "last_form_at": "2026-11-20", "demo_requested": true}'::jsonb, at => '2026-11-25');
SELECT p, lead_funnel.fit_grade(p), lead_funnel.fit_grade(p / 10.0, 10) AS of_ten FROM unnest('{-1000,-11,-10,-1,0,9,10,55,99,100,1000}'::int[]) AS p;
SELECT lead_funnel.rating(80, 75), lead_funnel.rating(74.9, 0), lead_funnel.rating(25, 50), lead_funnel.rating(-1, 1e9), lead_funnel.rating(8, 3, '{8,5,2}', '{9,6,3}'), lead_funnel.rating(NULL, 1);
SELECT lead_funnel.fit_grade('NaN') IS NULL AS no_grade, lead_funnel.fit_grade('Infinity') AS most, lead_funnel.fit_grade(1e308) AS large, lead_funnel.fit_grade(-1e308) AS small,
       lead_funnel.fit_grade(-20) AS f, lead_funnel.rating('NaN', 1) IS NULL AND lead_funnel.rating(1, 'NaN') IS NULL AS no_rating, lead_funnel.rating('Infinity', '-Infinity');
SELECT sc_error(c) FROM unnest(ARRAY['SELECT lead_funnel.fit_grade(1, 0)', 'SELECT lead_funnel.fit_grade(1, -1)', $$SELECT lead_funnel.fit_grade(1, 'NaN')$$,
    $$SELECT lead_funnel.rating(1, 1, '{1,2,3}')$$, $$SELECT lead_funnel.rating(1, 1, '{3,2,1}', '{}')$$, $$SELECT lead_funnel.rating(1, 1, '{3,2}')$$,
    $$SELECT lead_funnel.rating(1, 1, '{{3,2,1}}')$$, $$SELECT lead_funnel.rating(1, 1, '{3,NULL,1}')$$, $$SELECT lead_funnel.rating(1, 1, '{NaN,2,1}')$$]) c;

SELECT lead_funnel.drop_model(model) FROM lead_funnel.score_models WHERE owner <> 'sc_team' ORDER BY model;
SELECT count(*) AS left_over FROM lead_funnel.score_rule;
RESET search_path;
DROP SCHEMA sc CASCADE;
DROP OWNED BY sc_ann, sc_team;
DROP ROLE sc_ann, sc_bob, sc_team;
