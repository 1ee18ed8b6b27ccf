-- What callers of the types' functions may give, too: NULL, other JSON than an object, spellings, sums beyond the mantissa
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
\set VERBOSITY terse
SET timezone = 'UTC';

SELECT '"bant(need=2)"'::jsonb::qualification;
SELECT '{"framework": "bant", "budget": 1, "Budget": 2}'::jsonb::qualification;
SELECT '{"framework": "bant", "Framework": "champ"}'::jsonb::qualification;
SELECT '[]'::jsonb::qualification;
SELECT set_level('bant(need=2)', NULL, 1);
SELECT set_level('bant(need=2)', NULL, 'validated');
SELECT set_level(NULL::qualification, 'need', 1) AS int, set_level(NULL::qualification, 'need', 'no') AS text,
       NULL::qualification || NULL AS merged, qualification_score(NULL, '{}') AS score;
SELECT criteria_met('bant(need=2)', 4);
SELECT qualification_score('bant(need=2)', '[1]');

-- a table can be partitioned by what is known of its leads
CREATE TEMP TABLE q (q qualification) PARTITION BY HASH (q);
CREATE TEMP TABLE q0 PARTITION OF q FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE q1 PARTITION OF q FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO q SELECT bant(budget => i / 4 % 4, need => i % 4) FROM generate_series(0, 31) AS i;
SELECT count(*) AS found FROM q AS a WHERE EXISTS (SELECT FROM q AS b WHERE b.q = a.q AND b.tableoid = a.tableoid)
    AND NOT EXISTS (SELECT FROM q AS b WHERE b.q = a.q AND b.tableoid <> a.tableoid);
SELECT count(*) AS found FROM q WHERE q = 'bant(budget=3,need=1)';
DROP TABLE q;

-- roles in German spellings, a list of one's own that does not have the role, and one that is no object
SELECT bant_authority('Großkunden-Chef', '{"grosskunden chef": 3}') AS sharp, bant_authority('BÖSS', '{"boess": 2}') AS umlaut,
       bant_authority('CEO', '{"intern": 0}') AS shipped, bant_authority('someone', '{"intern": 0}') AS unknown;
SELECT bant_authority('CEO', '[3]');
SELECT bant_need('late invoices', true, 0, min_impact => 0) AS no_impact, bant_need(NULL, true, 10, min_impact => 10) AS confirmed;
SELECT bant_need('late invoices', true, 10, min_impact => -1);

-- events without number, and sums that are longer than one event's
SELECT engagement(points, '2026-01-01', '7 days') FROM (VALUES (NULL::float8), (1), (NULL)) AS e (points);
SELECT sum(e) FROM (VALUES (NULL::engagement), ('1@2026-01-01/7 days'), (NULL)) AS v (e);
SELECT engagement(1.7e308 / 1024, '2026-01-01', '7 days') FROM generate_series(1, 1000);
SELECT engagement(1, '2026-01-01', '7 days') FROM generate_series(1, 100000);
