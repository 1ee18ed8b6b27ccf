-- gates: what a move asks of a lead, against an evaluator written in SQL; by every way of writing; explained beforehand

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
DROP ROLE IF EXISTS regress_gt_crm, regress_gt_marketing, regress_gt_sales, regress_gt_owner;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never
CREATE SCHEMA gt;
SET search_path = gt, public;

-- 1. All 625 states of BANT, NULL for not asked, and what is known of none or by another framework
CREATE TABLE state AS
SELECT row_number() OVER ()::int AS id, nullif(b, -1) AS b, nullif(a, -1) AS a, nullif(n, -1) AS n, nullif(t, -1) AS t
FROM generate_series(-1, 3) b, generate_series(-1, 3) a, generate_series(-1, 3) n, generate_series(-1, 3) t;
CREATE TABLE l (id int PRIMARY KEY, stage lead_stage, q qualification, score numeric);
INSERT INTO l SELECT id, 'mql', bant(b, a, n, t), id % 100 FROM state;
SELECT lead_funnel.attach('l', 'stage', qualification_column => 'q', score_column => 'score');

-- a gate: how allow() is called; the levels that it wants; how many at which level; no "no"
CREATE TABLE gate (gate int, call text, b int, a int, n int, t int, criteria int, level int, blockers boolean DEFAULT false, sum numeric);
INSERT INTO gate (gate, call, b, a, n, t) VALUES
    (1, $$requires => 'bant(need=1)'$$, NULL, NULL, 1, NULL),
    (2, $$requires => 'bant(budget=2,authority=1,need=2,timeline=2)'$$, 2, 1, 2, 2),
    (3, $$requires => 'bant(budget=0,timeline=3)'$$, 0, NULL, NULL, 3),
    (4, $$requires => 'bant(budget=3,authority=3,need=3,timeline=3)'$$, 3, 3, 3, 3),
    (5, $$requires => 'bant()'$$, NULL, NULL, NULL, NULL);
INSERT INTO gate (gate, call, criteria, level)
SELECT 10 * n + m, format('min_criteria => %s, min_level => %s', n, m), n, m FROM generate_series(1, 4) n, generate_series(0, 3) m;
INSERT INTO gate (gate, call, n, criteria, level, blockers, sum) VALUES
    (6, 'no_blockers => true', NULL, NULL, NULL, true, NULL),
    (7, $$requires => 'bant(need=1)', no_blockers => true, min_criteria => 3$$, 1, 3, 1, true, NULL),
    (8, 'min_qualification_score => 0.6', NULL, NULL, NULL, false, 7.2),
    (9, $$min_qualification_score => 0.75, requires => 'bant(need=2)'$$, 2, NULL, NULL, false, 9);

CREATE FUNCTION word(level int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce((ARRAY['no', 'identified', 'validated', 'confirmed'])[level + 1], 'not asked') $$;
-- what is not met, in the words of the error
CREATE FUNCTION unmet(s state, g gate) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(concat_ws('; ',
        (SELECT string_agg(format('%s: %s, needs %s', c.name, word(c.has), CASE c.needs WHEN 0 THEN 'an answer' ELSE word(c.needs) END), '; ' ORDER BY c.place)
         FROM (VALUES (1, 'budget', s.b, g.b), (2, 'authority', s.a, g.a), (3, 'need', s.n, g.n), (4, 'timeline', s.t, g.t)) c (place, name, has, needs)
         WHERE c.needs IS NOT NULL AND (c.has IS NULL OR c.has < c.needs)),
        (SELECT format('criteria: %s, needs %s %s', count(*) FILTER (WHERE v >= g.level), g.criteria,
                       CASE g.level WHEN 0 THEN 'with an answer' WHEN 3 THEN 'at confirmed' ELSE format('at %s or more', word(g.level)) END)
         FROM unnest(ARRAY[s.b, s.a, s.n, s.t]) v
         HAVING count(*) FILTER (WHERE v >= g.level) < g.criteria),
        (SELECT format('qualification_score: %s, needs %s', round(coalesce(sum(v), 0) / 12.0, 2), trim_scale(round(g.sum / 12, 2)))
         FROM unnest(ARRAY[s.b, s.a, s.n, s.t]) v
         HAVING coalesce(sum(v), 0) < g.sum),
        (SELECT format('blockers: %s, needs none', string_agg(c.name, ', ' ORDER BY c.place))
         FROM (VALUES (1, 'budget', s.b), (2, 'authority', s.a), (3, 'need', s.n), (4, 'timeline', s.t)) c (place, name, has)
         WHERE c.has = 0 AND g.blockers
         HAVING count(*) > 0)), '')
$$;

-- each state by an UPDATE of its own; the rules allow nothing else from mql, so explain_gate() speaks of this move
CREATE FUNCTION try_move(lead int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text; name text;
BEGIN
    UPDATE l SET stage = 'sal' WHERE id = lead;
    RAISE SQLSTATE 'ZZ001';
EXCEPTION
    WHEN SQLSTATE 'ZZ001' THEN RETURN NULL;
    WHEN check_violation THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, name = CONSTRAINT_NAME;
        RETURN CASE name WHEN 'lead_funnel_gate' THEN detail ELSE name END;
END $$;
CREATE FUNCTION truth(OUT gate int, OUT states int, OUT let_pass int, OUT wrong int, OUT wrong_text int, OUT explained_wrong int)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    g gate;
BEGIN
    FOR g IN SELECT * FROM gate ORDER BY 1 LOOP
        EXECUTE format('SELECT lead_funnel.allow(''l'', ''mql'', ''sal'', %s)', g.call);
        gate := g.gate;
        SELECT count(*), count(*) FILTER (WHERE r.said IS NULL), count(*) FILTER (WHERE (r.said IS NULL) <> (unmet(s, g) IS NULL)),
               count(*) FILTER (WHERE r.said <> format('Not met: %s.', unmet(s, g))),
               count(*) FILTER (WHERE m.allowed <> (r.said IS NULL) OR m.missing IS DISTINCT FROM substring(r.said FROM '^Not met: (.*)\.$'))
        INTO states, let_pass, wrong, wrong_text, explained_wrong
        FROM state s
        JOIN LATERAL try_move(s.id) r (said) ON true
        JOIN (SELECT * FROM lead_funnel.allowed_moves('l', ARRAY(SELECT id FROM state)) WHERE to_stage = 'sal') m ON m.lead = s.id::text;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM truth();

-- the same states in a text, a jsonb, plain columns with levels or words, a partition with other columns: all at once, in
-- mode observe, where the journal says who would have been refused
CREATE TABLE as_text (id int PRIMARY KEY, stage text, q varchar(80));
CREATE TABLE as_jsonb (id int PRIMARY KEY, stage text, q jsonb);
CREATE TABLE as_levels (id int PRIMARY KEY, stage text, t smallint, n int, a bigint, b int);
CREATE TABLE as_words (id int PRIMARY KEY, stage text, b text, a varchar(20), n char(12), t text);
CREATE TABLE as_parts (id int, stage text, q qualification, part int) PARTITION BY LIST (part);
CREATE TABLE as_part0 PARTITION OF as_parts FOR VALUES IN (0);
CREATE TABLE as_part1 (junk int, q qualification, part int, stage text, id int);
ALTER TABLE as_part1 DROP junk;
ALTER TABLE as_parts ATTACH PARTITION as_part1 FOR VALUES IN (1);
INSERT INTO as_text SELECT id, 'mql', bant(b, a, n, t) FROM state;
INSERT INTO as_jsonb SELECT id, 'mql', bant(b, a, n, t)::jsonb FROM state;
INSERT INTO as_levels SELECT id, 'mql', t, n, a, b FROM state;
INSERT INTO as_words SELECT id, 'mql', nullif(word(b), 'not asked'), nullif(word(a), 'not asked'), nullif(upper(word(n)), 'NOT ASKED'), coalesce(t::text, '  ') FROM state;
INSERT INTO as_parts SELECT id, 'mql', bant(b, a, n, t), id % 2 FROM state;
SELECT lead_funnel.attach('as_text', 'stage', mode => 'observe', qualification_column => 'q');
SELECT lead_funnel.attach('as_jsonb', 'stage', mode => 'observe', qualification_column => 'q');
SELECT lead_funnel.attach('as_levels', 'stage', mode => 'observe');
SELECT lead_funnel.attach('as_words', 'stage', mode => 'observe');
SET client_min_messages = warning;
SELECT lead_funnel.attach('as_parts', 'stage', mode => 'observe', key_column => 'id', qualification_column => 'q');
RESET client_min_messages;
SELECT lead_funnel.bind_qualification('as_levels', 'bant', budget => 'b', authority => 'a', need => 'n', timeline => 't');
SELECT lead_funnel.bind_qualification('as_words', 'bant', budget => 'b', authority => 'a', need => 'n', timeline => 't');
SELECT count(lead_funnel.allow(f::name, 'mql', 'sal', requires => 'bant(need=1)', min_criteria => 3, no_blockers => true))
FROM unnest('{as_text,as_jsonb,as_levels,as_words,as_parts}'::text[]) f;
UPDATE as_text SET stage = 'sal';
UPDATE as_jsonb SET stage = 'sal';
UPDATE as_levels SET stage = 'sal';
UPDATE as_words SET stage = 'sal';
-- half of them go to the other partition with it
UPDATE as_parts SET stage = 'sal', part = CASE WHEN id % 4 < 2 THEN part ELSE 1 - part END;
SELECT h.funnel, count(*) AS moves, count(*) FILTER (WHERE h.origin = 'write') AS fine,
       count(*) FILTER (WHERE (h.origin = 'write') <> (unmet(s, g) IS NULL) OR h.origin NOT IN ('write', 'violation')) AS wrong,
       count(*) FILTER (WHERE h.qualification::qualification <> bant(s.b, s.a, s.n, s.t)) AS wrong_qualification,
       (SELECT format('%s %s', v.constraint_name, v.moves) FROM lead_funnel.rule_violations v WHERE v.funnel = h.funnel) AS violations
FROM lead_funnel.funnel_history h
JOIN state s ON s.id = h.lead_id
JOIN gate g ON g.gate = 7
WHERE h.funnel LIKE 'as\_%' AND h.to_stage = 'sal'
GROUP BY h.funnel ORDER BY 1;

-- other frameworks, none, what cannot be read, scores that are none
SELECT lead_funnel.allow('l', 'mql', 'sal', requires => 'bant(need=1)', other_requires => '{"champ(challenges=2,authority=1)",meddic(champion=1)}');
SELECT requires FROM lead_funnel.funnel_rules WHERE funnel = 'l' AND version = (SELECT rules_version FROM lead_funnel.funnels WHERE funnel = 'l') AND to_stage = 'sal';
INSERT INTO l VALUES (1001, 'mql', 'champ(challenges=2,authority=1)'), (1002, 'mql', 'champ(challenges=3)'), (1003, 'mql', 'spiced(pain=3)'), (1004, 'mql', NULL), (1005, 'mql', 'meddic(champion=2)'), (1006, 'mql', 'bant(need=0)');
SELECT id, q, try_move(id) FROM l WHERE id > 1000 ORDER BY id;
SELECT lead_funnel.allow('l', 'mql', 'sal', min_criteria => 2);
SELECT id, q, try_move(id) FROM l WHERE id > 1000 ORDER BY id;
SELECT lead_funnel.allow('l', 'mql', 'sal', no_blockers => true, min_score => 49.5);
UPDATE l SET score = s FROM (VALUES (1001, 49.5), (1002, 49.49), (1003, NULL), (1004, 50), (1005, 'NaN'), (1006, 'Infinity')) v (i, s) WHERE id = i;
SELECT id, q, score, try_move(id) FROM l WHERE id > 1000 ORDER BY id;
SELECT lead_funnel.set_mode('as_text', 'enforce'), lead_funnel.set_mode('as_jsonb', 'enforce'), lead_funnel.set_mode('as_levels', 'enforce'), lead_funnel.set_mode('as_words', 'enforce');
INSERT INTO as_text VALUES (2001, 'mql', 'high'), (2002, 'mql', ' '), (2003, 'mql', 'bant(need=9)');
INSERT INTO as_jsonb VALUES (2001, 'mql', '{"need": 3}'), (2002, 'mql', 'null'), (2003, 'mql', '[]');
INSERT INTO as_levels VALUES (2001, 'mql', 1, 1, 1, 20000);
INSERT INTO as_words VALUES (2001, 'mql', 'maybe', 'CEO', 'too slow', 'soon');
UPDATE as_text SET stage = 'sal' WHERE id = 2001;
UPDATE as_text SET stage = 'sal' WHERE id = 2002;
UPDATE as_jsonb SET stage = 'sal' WHERE id = 2001;
UPDATE as_jsonb SET stage = 'sal' WHERE id = 2002;
UPDATE as_levels SET stage = 'sal' WHERE id = 2001;
UPDATE as_words SET stage = 'sal' WHERE id = 2001;
-- where no gate asks, nobody is stopped
UPDATE as_text SET stage = 'nurture' WHERE id > 2000;
UPDATE as_words SET stage = 'nurture' WHERE id > 2000;
SELECT severity, value, rows, example_keys FROM lead_funnel.check_table('as_text', 'stage', qualification_column => 'q') WHERE check_name LIKE '%qualification';
SELECT severity, value, rows, example_keys FROM lead_funnel.check_table('as_jsonb', 'stage', qualification_column => 'q') WHERE check_name LIKE '%qualification';

-- 2. Three criteria at once, by every way to write a lead, with one login
CREATE ROLE regress_gt_crm;
GRANT USAGE ON SCHEMA gt TO regress_gt_crm;
CREATE TABLE w (id int PRIMARY KEY, stage lead_stage, q qualification, score int);
CREATE TABLE incoming (id int, stage lead_stage, q qualification);
GRANT ALL ON w, incoming TO regress_gt_crm;
INSERT INTO w VALUES (1, 'sal', 'bant(budget=1,authority=1)', 10);
SELECT lead_funnel.attach('w', 'stage', qualification_column => 'q', score_column => 'score');
SELECT lead_funnel.use_gates('w', 'bant');
SELECT lead_funnel.allow('w', NULL, 'sql', requires => 'bant(budget=2,need=2,timeline=2)', min_score => 20);
SET ROLE regress_gt_crm;
UPDATE w SET stage = 'sql' WHERE id = 1;
INSERT INTO w VALUES (1, 'lead') ON CONFLICT (id) DO UPDATE SET stage = 'sql';
INSERT INTO incoming VALUES (1, 'sql', 'bant(budget=1,need=1)');
MERGE INTO w USING incoming i ON w.id = i.id WHEN MATCHED THEN UPDATE SET stage = i.stage, q = i.q WHEN NOT MATCHED THEN INSERT VALUES (i.id, i.stage, i.q);
COPY w FROM stdin;
2	sql	bant(budget=1,need=1)	\N
\.
SELECT * FROM lead_funnel.move('w', 1, 'sql');
UPDATE w SET q = 'bant(budget=2,authority=1,need=2,timeline=2)' WHERE id = 1;
UPDATE w SET stage = 'sql' WHERE id = 1;
COPY w FROM stdin;
2	sql	bant(budget=2,need=2,timeline=3)	20
\.
RESET ROLE;
SELECT lead_id, from_stage, to_stage, origin, score, qualification FROM lead_funnel.funnel_history WHERE funnel = 'w' ORDER BY 1, recorded_at;
-- a BEFORE trigger may still fill in what is asked for
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.q := bant(2, 2, 2, 2); RETURN NEW; END $$;
INSERT INTO w VALUES (3, 'mql');
UPDATE w SET stage = 'sal' WHERE id = 3;
CREATE TRIGGER fill BEFORE UPDATE ON w FOR EACH ROW EXECUTE FUNCTION fill();
UPDATE w SET stage = 'sal' WHERE id = 3;
-- who comes back meets the gate of where it was to go
UPDATE w SET stage = 'sql' WHERE id = 3;
DROP TRIGGER fill ON w;
SELECT * FROM lead_funnel.verify('w');

-- observe and override
SELECT lead_funnel.set_mode('w', 'observe');
INSERT INTO w VALUES (4, 'mql', 'bant(need=0)');
UPDATE w SET stage = 'sal' WHERE id = 4;
SELECT from_stage, to_stage, constraint_name, moves, last_lead FROM lead_funnel.rule_violations WHERE funnel = 'w';
SELECT lead_funnel.set_mode('w', 'enforce');
BEGIN;
SET LOCAL lead_funnel.override = 'board';
UPDATE w SET stage = 'sql' WHERE id = 4;
COMMIT;
SELECT lead_id, to_stage, origin, reason, qualification FROM lead_funnel.funnel_history WHERE funnel = 'w' AND lead_id = 4 ORDER BY move;

-- 3. Levels of what a CRM holds, as of the move
CREATE TABLE raw (id int PRIMARY KEY, stage text, budget real, contact text, pain text, decides timestamptz, since date DEFAULT '2026-01-01', price int, likes boolean);
INSERT INTO raw (id, stage) SELECT i, 'mql' FROM generate_series(1, 6) i;
SELECT lead_funnel.attach('raw', 'stage', entered_column => 'since');
SELECT lead_funnel.bind_qualification('raw', 'bant', budget => 'budget', authority => 'contact', need => 'pain', timeline => 'decides', price => 'price',
    list_price => 1000, fits => 'likes', horizon => '2 months', roles => '{"bee keeper": 3}');
SELECT lead_funnel.allow('raw', 'mql', 'sal', requires => 'bant(budget=2,authority=2,need=1,timeline=2)');
UPDATE raw SET stage = 'sal' WHERE id = 1;
UPDATE raw SET stage = 'sal', budget = 799, contact = 'Bee-Keeper', pain = 'slow', decides = '2026-06-01', since = '2026-02-01' WHERE id = 1;
UPDATE raw SET stage = 'sal', budget = 800, contact = 'Bee-Keeper', pain = 'slow', decides = '2026-06-01', since = '2026-04-01' WHERE id = 1;
UPDATE raw SET stage = 'sal', budget = 800, contact = 'confirmed', pain = '1', decides = '2026-05-30', price = 2000, since = '2026-04-01' WHERE id = 2;
UPDATE raw SET stage = 'sal', budget = 5000, contact = 'confirmed', pain = 'x', decides = 'infinity', likes = false, since = '2026-04-01' WHERE id = 2;
UPDATE raw SET stage = 'sal', budget = 5000, contact = 'confirmed', pain = 'x', decides = '2026-04-02', likes = true, since = '2026-04-01' WHERE id = 2;
SELECT lead_id, qualification FROM lead_funnel.funnel_history WHERE funnel = 'raw' AND to_stage = 'sal' ORDER BY 1;
-- DDL on such columns: followed, or refused
ALTER TABLE raw RENAME contact TO "who decides";
ALTER TABLE raw DROP "who decides";
ALTER TABLE raw ALTER budget TYPE text;
SELECT lead_funnel.suspend('raw');
ALTER TABLE raw ALTER budget TYPE numeric, ALTER pain TYPE int USING 1;
SELECT lead_funnel.resume('raw');
UPDATE raw SET stage = 'sal', budget = 800, "who decides" = 'CEO', pain = 2, decides = '2026-05-30', since = '2026-04-01' WHERE id = 3;
SELECT lead_id, qualification FROM lead_funnel.funnel_history WHERE funnel = 'raw' AND to_stage = 'sal' ORDER BY 1;
SELECT lead_funnel.suspend('raw');
ALTER TABLE raw ALTER pain TYPE boolean USING true;
SELECT lead_funnel.resume('raw');
ALTER TABLE raw ALTER pain TYPE text;
SELECT lead_funnel.resume('raw');
SELECT * FROM lead_funnel.verify('raw');

-- 4. Shipped gates, as research has them
SELECT g.name, r.* FROM (VALUES ('bant'), ('champ'), ('fit'), ('meddic')) g (name),
    LATERAL (SELECT to_stage::text, requires, min_criteria, min_level, no_blockers, min_qualification_score, min_score FROM lead_funnel.gates_bant() WHERE name = 'bant'
             UNION ALL SELECT to_stage::text, requires, min_criteria, min_level, no_blockers, min_qualification_score, min_score FROM lead_funnel.gates_champ() WHERE name = 'champ'
             UNION ALL SELECT to_stage::text, requires, min_criteria, min_level, no_blockers, min_qualification_score, min_score FROM lead_funnel.gates_fit() WHERE name = 'fit'
             UNION ALL SELECT to_stage::text, requires, min_criteria, min_level, no_blockers, min_qualification_score, min_score FROM lead_funnel.gates_meddic() WHERE name = 'meddic') r;
CREATE TABLE p (id int PRIMARY KEY, stage lead_stage, q qualification, score float8);
SELECT lead_funnel.attach('p', 'stage', qualification_column => 'q');
BEGIN;
SELECT lead_funnel.allow('p', 'mql', 'sal', allowed_role => 'regress_gt_crm', note => 'sales');
SELECT lead_funnel.use_gates('p', 'fit', min_score => 30);
SELECT lead_funnel.use_gates('p', 'champ', check_at => 'commit');
COMMIT;
SELECT version, from_stage, to_stage, requires, min_score, allowed_role, check_at, note FROM lead_funnel.funnel_rules
WHERE funnel = 'p' AND version > 1 AND (requires IS NOT NULL OR allowed_role IS NOT NULL) ORDER BY version, to_stage;
SELECT lead_funnel.use_gates('p', 'meddic');
SELECT lead_funnel.alter_funnel('p', score_column => 'score');
INSERT INTO p VALUES (1, 'mql', 'meddic(identify_pain=1,champion=1)'), (2, 'mql', meddic(2, 2, 2, 2, 1, 1));
SELECT lead_funnel.allow('p', 'mql', 'sal', requires => 'meddic(identify_pain=1,champion=1)');
UPDATE p SET stage = 'sal';
UPDATE p SET stage = 'sql' WHERE id = 2;
UPDATE p SET q = set_level(q, 'champion', 2), stage = 'sql' WHERE id = 2;

-- 5. What makes no sense
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text; h text;
BEGIN
    EXECUTE 'SELECT lead_funnel.' || command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n  ', SQLSTATE || ': ' || SQLERRM, nullif(d, ''), nullif(h, ''));
END $$;
SELECT try(c) FROM unnest(ARRAY[
    $$allow('p', 'mql', 'sal', requires => 'bant(need=1)', other_requires => '{bant(need=2)}')$$,
    $$allow('p', 'mql', 'sal', requires => 'bant(need=1)', min_criteria => 5)$$,
    $$allow('p', 'mql', 'sal', min_criteria => 9)$$, $$allow('p', 'mql', 'sal', min_criteria => 0)$$,
    $$allow('p', 'mql', 'sal', min_criteria => 1, min_level => 4)$$, $$allow('p', 'mql', 'sal', min_level => 3)$$, $$allow('p', 'mql', 'sal', min_score => 'NaN')$$,
    $$allow('p', 'mql', 'sal', min_qualification_score => 0)$$, $$allow('p', 'mql', 'sal', no_blockers => NULL)$$,
    $$allow('p', 'mql', 'sal', requires => 'high')$$,
    $$use_gates('p', 'best')$$, $$use_gates('p', NULL)$$, $$use_gates('p', 'fit', min_score => 'NaN')$$, $$use_gates('p', 'fit', check_at => 'noon')$$,
    $$bind_qualification(NULL, 'bant')$$, $$bind_qualification('p', 'bant', budget => 'score')$$, $$bind_qualification('raw', 'best', budget => 'budget')$$,
    $$bind_qualification('raw', 'bant')$$, $$bind_qualification('raw', 'bant', pain => 'pain')$$, $$bind_qualification('raw', 'champ', money => 'nope')$$,
    $$bind_qualification('raw', 'champ', money => 'likes')$$, $$bind_qualification('raw', 'champ', money => 'price', horizon => '1 day')$$,
    $$bind_qualification('raw', 'bant', budget => 'budget', amount => 'price')$$, $$bind_qualification('raw', 'bant', budget => 'budget', horizon => '-1 day')$$,
    $$bind_qualification('raw', 'bant', budget => 'budget', roles => '[]')$$, $$alter_funnel('raw', qualification_column => 'pain')$$,
    $$explain_gate('p', 99)$$, $$explain_gate('p', NULL::int)$$, $$explain_gate('p', 'x')$$, $$explain_gate('nowhere', 1)$$,
    $$allowed_moves('p', NULL::int[])$$, $$_explain('p', ROW(1, 2))$$]) c;
SELECT count(*) FROM lead_funnel.allowed_moves('p', '{}'::uuid[]);
SELECT lead_funnel.bind_qualification('raw', NULL);
SELECT lead_funnel.alter_funnel('raw', qualification_column => 'pain');
SELECT lead_funnel.alter_funnel('raw', qualification_column => '');

-- 6. Keys of other types, rights, row security
CREATE ROLE regress_gt_owner;
GRANT USAGE, CREATE ON SCHEMA gt TO regress_gt_owner;
CREATE TYPE color AS ENUM ('red', 'green');
CREATE TABLE k_uuid (id uuid PRIMARY KEY, stage lead_stage, secret text);
CREATE TABLE k_text (id varchar(10) PRIMARY KEY, stage text, x qualification);
CREATE TABLE k_enum (id color PRIMARY KEY, stage text);
ALTER TABLE k_text OWNER TO regress_gt_owner;
INSERT INTO k_uuid VALUES ('5f0c6a34-0000-4000-8000-000000000001', 'mql', 's');
INSERT INTO k_text VALUES ('a', 'Hot', 'bant(need=1)'), ('b', 'Hot', NULL), ('c', 'won', NULL);
INSERT INTO k_enum VALUES ('red', 'sal');
SELECT lead_funnel.attach('k_uuid', 'stage'), lead_funnel.attach('k_enum', 'stage');
SELECT lead_funnel.attach('k_text', 'stage', stage_map => '{"mql": "Hot"}', qualification_column => 'x');
SELECT lead_funnel.use_gates('k_text', 'bant', min_score => NULL);
SELECT to_stage, allowed FROM lead_funnel.explain_gate('k_uuid', '5f0c6a34-0000-4000-8000-000000000001'::uuid) WHERE to_stage = 'sal';
SELECT lead, to_stage, allowed, missing FROM lead_funnel.allowed_moves('k_text', '{b,a,zz,b}'::text[]) WHERE to_stage IN ('sal', 'rejected');
SELECT lead, to_stage FROM lead_funnel.allowed_moves('k_enum', '{red,green}'::text[]);
SELECT * FROM lead_funnel.explain_gate('k_text', 'c');
GRANT SELECT (id, stage, x) ON k_text TO regress_gt_crm;
ALTER TABLE k_text ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_a ON k_text USING (id = 'a');
SET ROLE regress_gt_crm;
SELECT to_stage, allowed, requirement, has, needs, met FROM lead_funnel.explain_gate('k_text', 'a') WHERE to_stage = 'sal';
SELECT lead_funnel.explain_gate('k_text', 'b');
SELECT lead, to_stage, allowed FROM lead_funnel.allowed_moves('k_text', '{a,b}'::text[]) WHERE to_stage = 'nurture';
SELECT lead_funnel.explain_gate('k_uuid', '5f0c6a34-0000-4000-8000-000000000001'::uuid);
SELECT lead_funnel._explain('k_uuid', x) FROM (SELECT 'sal'::lead_stage AS stage, '5f0c6a34-0000-4000-8000-000000000001'::uuid AS id) x;
SELECT lead_funnel.use_gates('k_text', 'fit');
SELECT lead_funnel.bind_qualification('k_text', 'bant', need => 'x');
RESET ROLE;

-- 7. Sales may accept, marketing may not: logins of their own, and one login that takes roles
CREATE ROLE regress_gt_sales;
CREATE ROLE regress_gt_marketing;
ALTER ROLE regress_gt_crm NOINHERIT;
GRANT regress_gt_sales, regress_gt_marketing TO regress_gt_crm;
GRANT USAGE ON SCHEMA gt TO regress_gt_sales, regress_gt_marketing;
CREATE TABLE r (id int PRIMARY KEY, stage lead_stage, q qualification);
ALTER TABLE r OWNER TO regress_gt_owner;
GRANT SELECT, UPDATE ON r TO regress_gt_crm, regress_gt_sales, regress_gt_marketing;
INSERT INTO r SELECT i, 'mql', 'bant(need=1)' FROM generate_series(1, 5) i;
SELECT lead_funnel.attach('r', 'stage', qualification_column => 'q');
SELECT lead_funnel.allow('r', 'mql', 'sal', allowed_role => 'regress_gt_sales', requires => 'bant(need=1)');
SET ROLE regress_gt_sales;
UPDATE r SET stage = 'sal' WHERE id = 1;
SET ROLE regress_gt_marketing;
UPDATE r SET stage = 'sal' WHERE id = 2;
SELECT to_stage, allowed, constraint_name, requirement, has, needs, met FROM lead_funnel.explain_gate('r', 2) WHERE to_stage = 'sal';
RESET ROLE;
SET SESSION AUTHORIZATION regress_gt_crm;
UPDATE r SET stage = 'sal' WHERE id = 2;
SET ROLE regress_gt_sales;
UPDATE r SET stage = 'sal' WHERE id = 2;
RESET ROLE;
RESET SESSION AUTHORIZATION;
-- the owner is no member; it may override, and say why
SET SESSION AUTHORIZATION regress_gt_owner;
UPDATE r SET stage = 'sal' WHERE id = 3;
BEGIN;
SET LOCAL lead_funnel.override = 'holidays';
UPDATE r SET stage = 'sal' WHERE id = 3;
COMMIT;
-- one login that owns the table: with a role taken it has that role's rights only, and no override
RESET SESSION AUTHORIZATION;
ALTER ROLE regress_gt_owner NOINHERIT;
GRANT regress_gt_sales, regress_gt_marketing TO regress_gt_owner;
SET SESSION AUTHORIZATION regress_gt_owner;
UPDATE r SET stage = 'sal' WHERE id = 4;
BEGIN;
SET LOCAL ROLE regress_gt_sales;
UPDATE r SET stage = 'sal' WHERE id = 4;
COMMIT;
BEGIN;
SET LOCAL ROLE regress_gt_marketing;
SET LOCAL lead_funnel.override = 'I own it';
UPDATE r SET stage = 'sal' WHERE id = 5;
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT lead_id, to_stage, origin, role_name, reason FROM lead_funnel.funnel_history WHERE funnel = 'r' AND to_stage = 'sal' ORDER BY 1;

SET client_min_messages = warning;
SELECT count(lead_funnel.detach(funnel::name, purge => true)) FROM lead_funnel.funnels
WHERE funnel IN ('l', 'as_text', 'as_jsonb', 'as_levels', 'as_words', 'as_parts', 'w', 'raw', 'p', 'k_uuid', 'k_text', 'k_enum', 'r');
DROP SCHEMA gt CASCADE;
DROP OWNED BY regress_gt_owner, regress_gt_crm, regress_gt_sales, regress_gt_marketing;
DROP ROLE regress_gt_crm, regress_gt_marketing, regress_gt_sales, regress_gt_owner;
