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
