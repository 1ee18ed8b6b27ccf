-- qualification: forms, order, gates and verdicts against an evaluator in plain SQL, BANT from what a CRM holds
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
\set VERBOSITY terse

-- text form: any order and case, digits or words, blanks
SELECT v::qualification FROM unnest('{"bant()", "BANT(need=3,budget=0)", " champ ( money = validated , Challenges=1 ) ",
	"meddpicc(metrics=3,economic_buyer=2,decision_criteria=1,decision_process=0,paper_process=3,identify_pain=2,champion=1,competition=0)",
	"spiced(critical_event=confirmed)"}'::text[]) AS v;
SELECT 'bant'::qualification;
SELECT 'bant(budget=4)'::qualification;
SELECT 'bant(budget=-1)'::qualification;
SELECT 'bant(budget=1,budget=1)'::qualification;
SELECT 'bant(money=1)'::qualification;
SELECT 'ban(budget=1)'::qualification;
SELECT 'bant(budget=1'::qualification;
SELECT 'bant(budget=1))'::qualification;
SELECT 'bant(budget)'::qualification;
SELECT ''::qualification;

-- constructors
SELECT bant(2, 1, 3), bant(budget => 0, timeline => NULL), bant(), champ(1, 2, 3, 0), meddic(1, 1, 1, 1, 1, 1), anum(3),
	faint(need => 2), gpctba(implications => 1), spiced(decision => 3), meddpicc(competition => 2);
SELECT bant(4);
SELECT bant(need => -1);

-- jsonb, both ways
SELECT bant(2, NULL, 0)::jsonb, champ()::jsonb, '{"need": 2, "framework": "BANT", "budget": null, "timeline": "confirmed"}'::jsonb::qualification,
	'null'::jsonb::qualification IS NULL AS is_null;
SELECT '{"need": 2}'::jsonb::qualification;
SELECT '{"framework": "bant", "money": 2}'::jsonb::qualification;
SELECT '{"framework": "bant", "need": 2.5}'::jsonb::qualification;
SELECT '[1]'::jsonb::qualification;

-- parts and measures
SELECT framework(q), get_level(q, 'need'), get_level(q, 'Authority'), get_level(q, 'champion'), completeness(q), criteria_met(q), criteria_met(q, 2),
	qualification_score(q), qualification_score(q, '{"budget": 25, "authority": 20, "need": 30, "timeline": 25}'),
	qualification_score(q, answered_only => true), blockers(q), set_level(q, 'authority', 1), set_level(q, 'need', NULL::integer), set_level(q, 'timeline', 'validated')
FROM (VALUES (bant(2, NULL, 3, 0))) AS v (q);
SELECT get_level(bant(), 'money?');
SELECT set_level(bant(), 'champion', 1);
SELECT set_level(bant(), 'need', 'much');
SELECT qualification_score(bant(1), '{"budget": -1}');
SELECT qualification_score(bant(1), '{"money?": 1}');
SELECT qualification_score(bant(), answered_only => true) IS NULL AS nothing_answered, qualification_score(bant()) AS nothing_known;

-- putting answers together
SELECT bant(1, 2, NULL, 0) || bant(NULL, 3, 1) AS later_wins, bant(1) || 'bant(need=2)'::text AS as_text, bant(1) || NULL::qualification AS right_null,
	NULL::qualification || bant(1) AS left_null;
SELECT bant(1) || champ(1);

-- all 625 states of BANT
CREATE TEMP TABLE state AS
SELECT b, a, n, t, bant(b, a, n, t) AS q
FROM (VALUES (NULL::integer), (0), (1), (2), (3)) AS b (b), (VALUES (NULL::integer), (0), (1), (2), (3)) AS a (a),
	(VALUES (NULL::integer), (0), (1), (2), (3)) AS n (n), (VALUES (NULL::integer), (0), (1), (2), (3)) AS t (t);
SELECT count(*), count(DISTINCT q), count(*) FILTER (WHERE q::text::qualification = q), count(*) FILTER (WHERE q::jsonb::qualification = q),
	count(*) FILTER (WHERE get_level(q, 'budget') IS NOT DISTINCT FROM b AND get_level(q, 'authority') IS NOT DISTINCT FROM a
		AND get_level(q, 'need') IS NOT DISTINCT FROM n AND get_level(q, 'timeline') IS NOT DISTINCT FROM t) AS levels
FROM state;
-- each state against each state as a gate: what is said against what a criterion at a time says
CREATE TEMP TABLE judged AS
SELECT s.q, g.q AS gate,
	every.met, every.disqualified, every.unmet_answered, every.missing
FROM state AS s
CROSS JOIN state AS g
CROSS JOIN LATERAL (
	SELECT bool_and(coalesce(has >= needs, needs IS NULL)) AS met,
		bool_or(has = 0 AND needs > 0) IS TRUE AS disqualified,
		bool_or(has < needs) IS TRUE AS unmet_answered,
		string_agg(name || ' ' || coalesce(has::text, '-') || ' ' || needs, ', ' ORDER BY place) FILTER (WHERE coalesce(has < needs, needs IS NOT NULL)) AS missing
	FROM (VALUES (1, 'budget', s.b, g.b), (2, 'authority', s.a, g.a), (3, 'need', s.n, g.n), (4, 'timeline', s.t, g.t)) AS c (place, name, has, needs)
) AS every;
SELECT count(*), count(*) FILTER (WHERE (q @> gate) <> met) AS contains, count(*) FILTER (WHERE (gate <@ q) <> met) AS contained,
	count(*) FILTER (WHERE verdict(q, gate) <> CASE WHEN disqualified THEN 'disqualified' WHEN met THEN 'qualified' WHEN unmet_answered THEN 'not_yet' ELSE 'incomplete' END) AS verdict,
	count(*) FILTER (WHERE verdict(q, gate, true) <> CASE WHEN disqualified OR cardinality(blockers(q)) > 0 THEN 'disqualified' ELSE verdict(q, gate) END) AS no_blockers,
	count(*) FILTER (WHERE (missing_text(q, gate) = '') <> met) AS missing_text, count(*) FILTER (WHERE met AND q < gate) AS contains_but_less
FROM judged;
SELECT count(*) FILTER (WHERE j.missing IS DISTINCT FROM m.missing) AS missing
FROM (SELECT * FROM judged WHERE hashint8(hashtext(q::text || gate::text)) % 20 = 0) AS j
CROSS JOIN LATERAL (SELECT string_agg(criterion || ' ' || coalesce(has::text, '-') || ' ' || needs, ', ') AS missing FROM missing(j.q, j.gate)) AS m;
SELECT missing_text(bant(1, NULL, 0), bant(2, 1, 2, 0)), verdict(bant(1), champ()), verdict(NULL, bant(need => 1)), verdict(bant(1), NULL) IS NULL AS no_gate;
SELECT * FROM missing(NULL, bant(need => 1, timeline => 2));
SELECT count(*) FROM missing(bant(), NULL);

-- other measures against their formulas
SELECT count(*) FILTER (WHERE completeness(q) <> num_nonnulls(b, a, n, t) / 4.0) AS completeness,
	count(*) FILTER (WHERE criteria_met(q, 2) <> (SELECT count(*) FROM unnest(ARRAY[b, a, n, t]) AS x WHERE x >= 2)) AS criteria_met,
	count(*) FILTER (WHERE abs(qualification_score(q) - (coalesce(b, 0) + coalesce(a, 0) + coalesce(n, 0) + coalesce(t, 0)) / 12.0) > 1e-12) AS score,
	count(*) FILTER (WHERE cardinality(blockers(q)) <> (SELECT count(*) FROM unnest(ARRAY[b, a, n, t]) AS x WHERE x = 0)) AS blockers,
	count(*) FILTER (WHERE (q || bant()) <> q OR (bant() || q) <> q OR (q || q) <> q) AS merge
FROM state;

-- order and hash, other frameworks among them
INSERT INTO state (q) VALUES (champ()), (champ(1, 1)), (meddic(3)), (meddpicc(3)), (anum(1)), (faint(1)), (gpctba(1)), (spiced(1)), (NULL);
SELECT count(*) FILTER (WHERE (x.q < y.q)::integer + (x.q = y.q)::integer + (x.q > y.q)::integer <> 1) AS not_total,
	count(*) FILTER (WHERE (x.q <= y.q) <> (NOT x.q > y.q) OR (x.q >= y.q) <> (NOT x.q < y.q) OR (x.q <> y.q) <> (NOT x.q = y.q)) AS operators,
	count(*) FILTER (WHERE (x.q = y.q) <> (x.q::text = y.q::text)) AS equal,
	count(*) FILTER (WHERE x.q = y.q AND qualification_hash(x.q) <> qualification_hash(y.q)) AS hash
FROM state AS x CROSS JOIN state AS y WHERE x.q IS NOT NULL AND y.q IS NOT NULL;
SELECT min(q), max(q) FROM state;
CREATE INDEX ON state (q);
CREATE INDEX ON state USING hash (q);
ANALYZE state;
SET enable_seqscan = off;
SELECT count(*) FROM state WHERE q = bant(1, 2, 3, 0);
SELECT count(*) FROM state WHERE q >= bant() AND q < champ();
SELECT array_agg(q) = (SELECT array_agg(q ORDER BY q) FROM state) AS in_order FROM (SELECT q FROM state ORDER BY q) AS i;
RESET enable_seqscan;
SET enable_hashjoin = off;
SELECT count(*) FROM state AS x JOIN state AS y USING (q);
RESET enable_hashjoin;
SET enable_mergejoin = off;
SELECT count(*) FROM state AS x JOIN state AS y USING (q);
SELECT count(*) FROM (SELECT DISTINCT q FROM state) AS d;
RESET enable_mergejoin;

-- a generated column, judged by a gate in an index
CREATE TEMP TABLE deal (
	id integer PRIMARY KEY,
	budget numeric, price numeric, contact_role text, pain text, fits boolean, decision date, asked_on date,
	qualification qualification GENERATED ALWAYS AS (bant_evaluate(amount => budget, price => price, role => contact_role, problem => pain,
		fits => fits, decision => decision, as_of => asked_on)) STORED
);
CREATE INDEX ON deal (id) WHERE qualification @> 'bant(budget=2,need=2,timeline=2)';
INSERT INTO deal VALUES (1, 90000, 100000, 'Head of Department', 'leads get lost', true, '2026-03-01', '2026-01-10'),
	(2, 0, 100000, 'Intern', NULL, NULL, NULL, '2026-01-10'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(4, 'NaN', 100000, ' Geschäftsführer ', ' ', false, 'infinity', '2026-01-10'), (5, 100, 0, 'Somebody', 'x', NULL, '2025-12-31', '2026-01-10');
SELECT id, qualification, qualification @> 'bant(budget=2,need=2,timeline=2)' AS is_sql FROM deal ORDER BY id;

-- BANT one by one, at the edges
SELECT bant_budget(80, 100), bant_budget(79.99, 100), bant_budget(100, 100), bant_budget(-1, 100), bant_budget(5), bant_budget(NULL, 5),
	bant_budget(50, 100, validated_share => 0.5), bant_budget(1000, 100, confirmed_share => NULL), bant_budget('Infinity', 1),
	bant_budget(1, repeat('9', 131072)::numeric, 0.8, 2) AS beyond_numeric, bant_budget(repeat('9', 131072)::numeric, 1, 0.8, 2) AS wealthy;
SELECT bant_budget(1, 1, validated_share => 0);
SELECT bant_authority('CEO'), bant_authority('c.e.o'), bant_authority('Economic-Buyer'), bant_authority('janitor'), bant_authority('student'), bant_authority(' '),
	bant_authority('unknown'), bant_authority('Janitor', '{"janitor": "confirmed"}'), bant_authority(repeat('x', 1000));
SELECT bant_authority('Janitor', '{"janitor": 7}');
SELECT bant_authority('Janitor', '[]');
SELECT bant_need('pain'), bant_need(''), bant_need('pain', fits => false), bant_need('pain', true), bant_need(NULL, true, 5, min_impact => 5),
	bant_need(NULL, true, 4.99, min_impact => 5), bant_need(NULL, needed => false), bant_need(NULL, impact => 1), bant_need(NULL);
SELECT bant_timeline('2026-07-01', '2026-01-01'), bant_timeline('2026-07-02', '2026-01-01'), bant_timeline('2026-04-01', '2026-01-01'), bant_timeline('2026-04-02', '2026-01-01'),
	bant_timeline('2025-12-31', '2026-01-01'), bant_timeline('infinity', '2026-01-01'), bant_timeline('2026-02-01', NULL), bant_timeline(NULL, '2026-01-01'),
	bant_timeline('2026-01-31', '2026-01-01', near => '1 month'), bant_timeline('2026-02-28', '2026-01-31', '1 month'), bant_timeline('5874897-12-31', '5874897-01-01', '1000000 years');
SELECT bant_timeline('2026-01-31', '2026-01-01', horizon => '-1 day');
-- the horizon as date + interval counts it
SELECT count(*) FILTER (WHERE (bant_timeline(d, a, h) >= 2) <> (d <= (a + h)::date)) AS wrong, count(*) > 1000 AS enough
FROM generate_series('2023-12-27'::timestamp, '2024-03-05', '1 day') AS x (day), LATERAL (SELECT x.day::date) AS y (a), unnest('{1 month,1 mon 3 days,1 year,30 days,0}'::interval[]) AS h,
	LATERAL (SELECT (a + h)::date + n FROM generate_series(-2, 2) AS n) AS z (d) WHERE d >= a;

-- binary form, and a type that comes by text from drivers
CREATE TEMP TABLE again (LIKE state);
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/qualification.bin'
COPY (SELECT q FROM state) TO :'file' (FORMAT binary);
COPY again (q) FROM :'file' (FORMAT binary);
SELECT count(*) FROM (SELECT q FROM state EXCEPT ALL SELECT q FROM again) AS d;
PREPARE by_text (text) AS SELECT count(*) FROM state WHERE q @> $1;
EXECUTE by_text ('bant(budget=3)');
PREPARE by_array (text[]) AS SELECT count(*) FROM state WHERE q = ANY ($1);
EXECUTE by_array ('{"bant(budget=3)", "champ()"}');
SELECT count(*) FROM state WHERE q = ANY (ARRAY['bant(budget=3)', 'champ()']::qualification[]);
