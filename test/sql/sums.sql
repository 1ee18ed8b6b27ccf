-- sums: values of leads are added up exactly, small ones as integers, others as numerics
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE SCHEMA sums;
SET search_path = sums, public;
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'mql', source text NOT NULL, value numeric);
SELECT lead_funnel.attach('leads', 'stage', 'sums', source_column => 'source', value_column => 'value', preset => 'open');
-- what the statistics say against what the table says, with the digits behind the point
CREATE VIEW wrong AS
SELECT coalesce(s.source, t.source) AS source, s.value AS statistics, t.value AS leads
FROM (SELECT stage, source, value FROM lead_funnel.funnel_stages WHERE funnel = 'sums') AS s
FULL JOIN (SELECT stage::text, source, sum(value) AS value FROM leads GROUP BY 1, 2) AS t USING (stage, source)
WHERE s.value::text IS DISTINCT FROM t.value::text;
CREATE TEMPORARY TABLE amounts AS
SELECT row_number() OVER () AS n, v::numeric AS v
FROM unnest('{0,0.00,0.0000,0.00000,1,-1,0.5,1.10,1.00000,0.1,0.01,0.001,0.0001,0.00001,0.000123,-0.0001,9999,10000,10001,99999999,
    100000000,100000000.0001,999999999999,999999999999.9999,-999999999999.9999,1000000000000,1000000000000.1,123456789012.3456,
    99990000,99990001.0001,1e15,1e20,1e29,-1e29,12345678901234567890.123,0.99995,12.345678}'::text[]) AS v;
-- each alone
INSERT INTO leads SELECT n, 'mql', 'alone ' || n, v FROM amounts;
SELECT * FROM wrong;
-- each pair
INSERT INTO leads SELECT 1000 + 100 * a.n + b.n, 'mql', 'pair ' || a.n || ' ' || b.n, a.v FROM amounts a, amounts b;
INSERT INTO leads SELECT 6000 + 100 * a.n + b.n, 'mql', 'pair ' || a.n || ' ' || b.n, b.v FROM amounts a, amounts b;
SELECT * FROM wrong;
-- moves with the value that was there, with another one, and taking it away again
UPDATE leads SET stage = 'sal' WHERE id % 3 = 0;
UPDATE leads SET stage = 'sql', value = value + 0.25 WHERE id % 5 = 0;
UPDATE leads SET value = NULL WHERE id % 7 = 0;
UPDATE leads SET source = 'moved' WHERE id % 11 = 0;
DELETE FROM leads WHERE id % 13 = 0;
SELECT w.* FROM wrong w WHERE coalesce(w.statistics, 0) <> coalesce(w.leads, 0);
-- more than 64 bits hold, in one statement and over statements
INSERT INTO leads SELECT 20000 + i, 'mql', 'many', 999999999999.9999 FROM generate_series(1, 3000) i;
INSERT INTO leads SELECT 24000 + i, 'mql', 'less', -999999999999.9999 FROM generate_series(1, 3000) i;
SELECT source, value FROM lead_funnel.funnel_stages WHERE funnel = 'sums' AND source IN ('many', 'less') ORDER BY source;
UPDATE leads SET stage = 'sal' WHERE source = 'many';
SELECT stage, source, value FROM lead_funnel.funnel_stages WHERE funnel = 'sums' AND source = 'many' AND leads <> 0;
SELECT sum(value_in) AS value_in, sum(value_out) AS value_out FROM lead_funnel.funnel_flow WHERE funnel = 'sums' AND source = 'many';
SELECT * FROM lead_funnel.verify('sums');
SELECT lead_funnel.rebuild('sums');
SELECT w.* FROM wrong w WHERE coalesce(w.statistics, 0) <> coalesce(w.leads, 0);
SELECT lead_funnel.detach('sums', purge => true);
DROP SCHEMA sums CASCADE;
