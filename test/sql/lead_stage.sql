-- lead_stage: input, output, casts, operators, opclasses, and what drivers and ORMs do with a column of it

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

-- labels, ranks, classes
CREATE TABLE ls_label (stage lead_stage PRIMARY KEY, t text, v varchar(20), b char(14));
INSERT INTO ls_label
SELECT l, l, l, l
FROM unnest('{lost,lead,mql,sal,sql,opportunity,won,nurture,recycled,rejected,disqualified}'::text[]) AS l;
ANALYZE ls_label;
SELECT stage, stage_rank(stage), stage_class(stage), lower(stage), upper(stage), length(stage) FROM ls_label ORDER BY stage;

-- input: either case, nothing trimmed
SELECT 'SQL'::lead_stage, 'Opportunity'::lead_stage, lead_stage 'wOn', lead_stage('lost'), CAST('mql' AS lead_stage);
SELECT 'qualified'::lead_stage;
SELECT ''::lead_stage;
SELECT ' sql'::lead_stage;
SELECT 'sql '::text::lead_stage;
SELECT 'sqlx'::varchar::lead_stage;
SELECT 'sq'::char(10)::lead_stage;
SELECT U&'d\0131squalified'::lead_stage; -- a dotless i
SELECT 4::lead_stage;
SELECT 'sql'::lead_stage::int;
\set VERBOSITY sqlstate
SELECT 'qualified'::lead_stage;
SELECT 'qualified'::text::lead_stage;
\set VERBOSITY default

-- casts
SELECT pg_typeof(lead_stage(t)), pg_typeof(lead_stage(v)), pg_typeof(lead_stage(b)), pg_typeof(text(stage)),
       stage::text, stage::varchar, stage::varchar(3), stage::char(8) || '|' AS bpchar, stage::name, 'won'::name::lead_stage
FROM ls_label WHERE stage = 'opportunity';
SELECT count(*) FROM ls_label WHERE t::lead_stage = stage AND v::lead_stage = stage AND b::lead_stage = stage;
SELECT NULL::text::lead_stage IS NULL AS null_text, NULL::lead_stage::text IS NULL AS null_stage;
CREATE TABLE ls_copy (stage lead_stage DEFAULT 'lead', t text, v varchar(20), b char(14), v3 varchar(3));
INSERT INTO ls_copy SELECT t, stage, stage, stage FROM ls_label;
INSERT INTO ls_copy (stage) SELECT v FROM ls_label WHERE v = 'sal';
INSERT INTO ls_copy (stage) SELECT b FROM ls_label WHERE b = 'sal';
INSERT INTO ls_copy (t) VALUES ('stage by default');
INSERT INTO ls_copy (v3) SELECT stage FROM ls_label WHERE stage = 'opportunity';
SELECT stage, count(*), min(t) AS t, min(v) AS v, max(b) AS b FROM ls_copy GROUP BY stage ORDER BY stage;
CREATE DOMAIN ls_domain AS varchar(20);
CREATE DOMAIN ls_domain2 AS ls_domain;
SELECT count(*) FROM ls_label WHERE stage = v::ls_domain AND stage = v::ls_domain2;

-- a text column becomes a stage and text again with no USING; a constraint and a default follow
CREATE TABLE ls_crm (id int, status varchar(20) DEFAULT 'lead' CHECK (status <> 'won'));
INSERT INTO ls_crm VALUES (1, 'MQL'), (2, DEFAULT);
ALTER TABLE ls_crm ALTER status TYPE lead_stage;
INSERT INTO ls_crm VALUES (3, DEFAULT);
INSERT INTO ls_crm VALUES (4, 'Won');
SELECT id, status, pg_typeof(status) FROM ls_crm ORDER BY status DESC, id;
ALTER TABLE ls_crm ALTER status TYPE text;
SELECT id, status, pg_typeof(status) FROM ls_crm ORDER BY id;

-- comparison with text parameters and columns goes by rank
SELECT 'sql'::lead_stage > 'lost' AS gt, 'sql'::lead_stage < 'lost'::text AS lt, 'SAL'::text <= 'sal'::lead_stage AS le,
       'won'::varchar >= 'opportunity'::lead_stage AS ge, 'won'::char(5) = 'won'::lead_stage AS eq,
       'won'::lead_stage <> 'lost'::text AS ne;
SELECT count(*) FROM ls_label WHERE stage = t;
SELECT count(*) FROM ls_label WHERE v = stage;
SELECT count(*) FROM ls_label WHERE stage = b;
SELECT count(*) FROM ls_label WHERE stage = 'qualified'::text;

-- and indexes are used
CREATE FUNCTION ls_plan(query text, wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ wanted THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
CREATE TABLE ls_lead (id int, stage lead_stage, label text);
INSERT INTO ls_lead
SELECT id, l.stage, l.t FROM generate_series(1, 1100) AS id JOIN ls_label l ON stage_rank(l.stage) = 1 + id % 11;
CREATE INDEX ls_lead_stage ON ls_lead (stage);
ANALYZE ls_lead;
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE p_text(text) AS SELECT count(*) FROM ls_lead WHERE stage = $1;
PREPARE p_varchar(varchar) AS SELECT count(*) FROM ls_lead WHERE stage = $1;
PREPARE p_bpchar(bpchar) AS SELECT count(*) FROM ls_lead WHERE stage = $1;
PREPARE p_untyped AS SELECT count(*) FROM ls_lead WHERE stage = $1;
PREPARE p_any(text[]) AS SELECT count(*) FROM ls_lead WHERE stage = ANY ($1);
PREPARE p_any_varchar(varchar[]) AS SELECT count(*) FROM ls_lead WHERE stage = ANY ($1);
PREPARE p_in(text, text) AS SELECT count(*) FROM ls_lead WHERE stage IN ($1, $2);
PREPARE p_in_mixed(text) AS SELECT count(*) FROM ls_lead WHERE stage IN ('mql', $1);
PREPARE p_between(text, text) AS SELECT count(*) FROM ls_lead WHERE stage BETWEEN $1 AND $2;
PREPARE p_row(text, int) AS SELECT count(*) FROM ls_lead WHERE (stage, id) > ($1, $2);
EXECUTE p_text('sql');
EXECUTE p_varchar('Sql');
EXECUTE p_bpchar('sql  ');
EXECUTE p_untyped('sql');
EXECUTE p_any('{mql,SQL}');
EXECUTE p_any_varchar('{mql,SQL}');
EXECUTE p_in('mql', 'sql');
EXECUTE p_in_mixed('sql');
EXECUTE p_between('mql', 'sql');
EXECUTE p_row('disqualified', 550);
EXECUTE p_text('typo');
SELECT query, ls_plan('EXECUTE ' || query, 'Index.* ls_lead_stage') AS index_used
FROM unnest(ARRAY['p_text(''sql'')', 'p_varchar(''sql'')', 'p_bpchar(''sql'')', 'p_untyped(''sql'')', 'p_any(''{sql}'')',
                  'p_any_varchar(''{sql}'')', 'p_in(''mql'', ''sql'')', 'p_in_mixed(''sql'')', 'p_between(''mql'', ''sql'')',
                  'p_row(''lost'', 1)']) AS query;
SELECT ls_plan('SELECT max(stage) FROM ls_lead', 'Index.* ls_lead_stage') AS max_by_index;
RESET plan_cache_mode;
RESET enable_seqscan;
CREATE INDEX ls_lead_hash ON ls_lead USING hash (stage);
DROP INDEX ls_lead_stage;
SET enable_seqscan = off;
SELECT ls_plan('SELECT * FROM ls_lead WHERE stage = ''sql''::text', 'Index.* ls_lead_hash') AS hash_index_used;
SELECT count(*) FROM ls_lead WHERE stage = 'sql'::text;
RESET enable_seqscan;

-- other forms that queries take
SELECT count(*) FROM ls_lead WHERE stage IN ('sql', 'won');
SELECT count(*) FROM ls_lead WHERE stage NOT IN ('sql', 'won'::text);
SELECT count(*) FROM ls_lead WHERE stage IN (VALUES ('sql'), ('won'));
SELECT count(*) FROM ls_lead WHERE stage IN (SELECT v FROM ls_label WHERE v LIKE 's%');
SELECT count(*) FROM ls_lead WHERE stage = ANY (ARRAY['sql', 'won']) OR stage = ANY (string_to_array('lost,mql', ','));
SELECT count(*) FROM ls_lead WHERE stage = '{"stage": "sql"}'::jsonb ->> 'stage';
SELECT count(NULLIF(stage, 'sql'::text)), count(*) FILTER (WHERE stage IS DISTINCT FROM 'sql'::text) FROM ls_lead;
PREPARE p_case(text, text) AS UPDATE ls_lead SET stage = CASE WHEN id = 1 THEN $1 WHEN id = 2 THEN $2 END WHERE id IN (1, 2);
EXECUTE p_case('mql', 'sal');
UPDATE ls_lead SET stage = new.stage FROM (VALUES (1, 'lost'), (2, 'won')) AS new(id, stage) WHERE ls_lead.id = new.id;
SELECT id, stage FROM ls_lead WHERE id < 4 ORDER BY id;
SELECT COALESCE(NULL::lead_stage, 'lead') AS c, CASE WHEN false THEN 'won'::lead_stage ELSE 'lost' END AS w,
       GREATEST('sql'::lead_stage, 'lost') AS g;
SELECT stage FROM ls_label WHERE stage < 'sal' UNION SELECT 'lost' ORDER BY 1;

-- sorting, grouping, aggregates
SELECT DISTINCT stage FROM ls_lead ORDER BY stage DESC LIMIT 3;
SELECT min(stage), max(stage), min(label), pg_typeof(min(stage)), count(DISTINCT stage) FROM ls_lead;
SELECT min(stage), max(stage) FROM ls_lead WHERE false;
SELECT array_agg(stage ORDER BY stage) FILTER (WHERE stage_class(stage) = 'open'), count(*) FROM ls_label;

-- a key
CREATE TABLE ls_reference (stage lead_stage REFERENCES ls_label (stage) ON UPDATE CASCADE);
INSERT INTO ls_reference SELECT v FROM ls_label WHERE stage = 'sql';
DELETE FROM ls_label WHERE stage = 'sql';
DROP TABLE ls_reference;

-- joins
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT ls_plan('SELECT 1 FROM ls_lead a JOIN ls_label b ON a.stage = b.v', 'Hash Join') AS hash_join;
SELECT count(*) FROM ls_lead a JOIN ls_label b USING (stage);
SELECT count(*), count(DISTINCT a.stage) FROM ls_lead a JOIN ls_label b ON a.stage = b.b;
RESET enable_mergejoin;
SET enable_hashjoin = off;
SELECT ls_plan('SELECT 1 FROM ls_lead a JOIN ls_label b ON a.stage = b.t', 'Merge Join') AS merge_join;
SELECT count(*) FROM ls_lead a JOIN ls_label b USING (stage);
SELECT count(*), count(DISTINCT a.stage) FROM ls_lead a FULL JOIN ls_label b ON a.stage = b.t;
RESET enable_hashjoin;
RESET enable_nestloop;

-- partition key: list, range, hash; a text parameter prunes
CREATE TABLE ls_list (stage lead_stage) PARTITION BY LIST (stage);
CREATE TABLE ls_list_open PARTITION OF ls_list FOR VALUES IN ('lead', 'MQL', 'sal', 'sql', 'opportunity');
CREATE TABLE ls_list_rest PARTITION OF ls_list DEFAULT;
CREATE TABLE ls_range (stage lead_stage) PARTITION BY RANGE (stage);
CREATE TABLE ls_range_path PARTITION OF ls_range FOR VALUES FROM ('lead') TO ('nurture');
CREATE TABLE ls_range_rest PARTITION OF ls_range FOR VALUES FROM ('nurture') TO (MAXVALUE);
CREATE TABLE ls_hash (stage lead_stage) PARTITION BY HASH (stage);
CREATE TABLE ls_hash_0 PARTITION OF ls_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE ls_hash_1 PARTITION OF ls_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO ls_list SELECT stage FROM ls_label;
INSERT INTO ls_range SELECT t FROM ls_label;
INSERT INTO ls_hash SELECT stage FROM ls_label;
SELECT tableoid::regclass, string_agg(stage::text, ' ' ORDER BY stage) FROM ls_list GROUP BY 1 ORDER BY 1;
SELECT tableoid::regclass, string_agg(stage::text, ' ' ORDER BY stage) FROM ls_range GROUP BY 1 ORDER BY 1;
SELECT tableoid::regclass, string_agg(stage::text, ' ' ORDER BY stage) FROM ls_hash GROUP BY 1 ORDER BY 1;
SELECT t AS partitioned, NOT ls_plan(format('SELECT FROM %I WHERE stage = ''sql''::text', t), o) AS pruned
FROM (VALUES ('ls_list', 'ls_list_rest'), ('ls_range', 'ls_range_rest'), ('ls_hash', 'ls_hash_0')) AS x(t, o);

-- patterns and strings; lower() and the like of other types are what they were
SELECT stage, stage LIKE 's%' AS "like", stage NOT LIKE 's%' AS nlike, stage ILIKE 'S%' AS ilike, stage NOT ILIKE 'S%' AS nilike,
       stage ~ '^s.l$' AS re, stage !~ '^s.l$' AS nre, stage ~* '^S' AS ire, stage !~* '^S' AS nire, stage SIMILAR TO 's%|w%' AS sim
FROM ls_label WHERE stage IN ('sal', 'won', 'lost') ORDER BY stage;
SELECT string_agg(stage::text, ' ' ORDER BY stage) FROM ls_label WHERE stage LIKE ANY (ARRAY['s%', 'n%']) OR stage LIKE 'lo#%' ESCAPE '#';
SELECT stage LIKE 'S%' COLLATE "C" AS c, stage ILIKE 'S%' COLLATE "C" AS ic, stage LIKE v AS v, stage LIKE b AS b
FROM ls_label WHERE stage = 'sql';
SELECT lower('ABC'), upper('abc'), length('abc'), lower('ABC'::varchar), length('abc'::varchar), lower('ABC '::char(5)) || '|' AS b,
       length('abc '::char(5)), pg_typeof(lower('ABC'::varchar)), pg_typeof(upper(v)), pg_typeof(max(v)), pg_typeof(max(b))
FROM ls_label GROUP BY v LIMIT 1;
SELECT 'b'::varchar > 'a'::varchar AS vv, 'b'::varchar > 'a' AS vu, 'b'::char(3) > 'a'::varchar AS bv, 'b'::varchar = 'b'::text AS vt,
       'b'::varchar IN ('b', 'c') AS vin, 'b'::varchar = ANY (ARRAY['b']) AS vany, 'b'::varchar ~~ 'B' AS vlike, 'b' = 'b' AS uu;
SELECT stage || '', '' || stage, stage || t, concat(stage, '-', stage), format('%s %I %L', stage, stage, stage) FROM ls_label WHERE stage = 'sql';
SELECT to_json(stage), to_jsonb(stage), row_to_json(x), jsonb_build_object('stage', stage)
FROM (SELECT stage FROM ls_label WHERE stage = 'won') AS x;
SELECT * FROM jsonb_populate_record(NULL::ls_copy, '{"stage": "SQL", "t": "x"}');

-- what no cast can mend: one column out of a stage and a text; other string functions; arrays
\set VERBOSITY terse
SELECT COALESCE(stage, t) FROM ls_label;
SELECT CASE WHEN true THEN stage ELSE v END FROM ls_label;
SELECT stage FROM ls_label UNION SELECT t FROM ls_label;
SELECT 1 FROM ls_label JOIN (SELECT t AS stage FROM ls_label) AS x USING (stage);
SELECT GREATEST(stage, t), ARRAY[stage, t] FROM ls_label;
SELECT t LIKE stage FROM ls_label;
SELECT substr(stage, 1, 2) FROM ls_label;
SELECT string_agg(stage, ', ') FROM ls_label;
SELECT array_agg(stage) @> ARRAY['sql'] FROM ls_label;
SELECT count(*) FROM ls_label WHERE stage = 'sql'::name;
\set VERBOSITY default

-- binary form: the label, in either case, checked
SELECT stage, lead_stage_send(stage) = convert_to(stage::text, 'UTF8') AS label_sent FROM ls_label WHERE stage = 'recycled';
SELECT d || '/lead_stage.copy' AS file, format('rm %L', d || '/lead_stage.copy') AS rm FROM current_setting('data_directory') AS d \gset
CREATE TABLE ls_binary (stage lead_stage);
COPY (SELECT upper(stage) FROM ls_label UNION ALL SELECT t FROM ls_label UNION ALL SELECT NULL) TO :'file' (FORMAT binary);
COPY ls_binary FROM :'file' (FORMAT binary);
COPY ls_binary TO :'file' (FORMAT binary);
COPY ls_binary FROM :'file' (FORMAT binary);
SELECT count(*), count(stage), count(DISTINCT stage) FROM ls_binary;
COPY (SELECT 'typo') TO :'file' (FORMAT binary);
COPY ls_binary FROM :'file' (FORMAT binary);
COPY (SELECT WHERE false) TO PROGRAM :'rm';

DROP TABLE ls_label, ls_copy, ls_crm, ls_lead, ls_list, ls_range, ls_hash, ls_binary;
DROP FUNCTION ls_plan;
DROP DOMAIN ls_domain2, ls_domain;
DEALLOCATE ALL;
