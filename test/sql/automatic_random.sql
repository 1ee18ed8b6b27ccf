-- automatic moves against an evaluator in plain SQL: random writes of every kind, random scores, chains and ways back
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
CREATE SCHEMA ar;
SET search_path = ar, public;
SET timezone = 'UTC';
\i test/sql/oracle.psql

CREATE TABLE l (id int PRIMARY KEY, stage text NOT NULL, score int, fit int, value numeric, note text, gone boolean NOT NULL DEFAULT false);
-- the same rules three times: the score in a column, or made by a model, or in partitions
CREATE TABLE b (LIKE l INCLUDING ALL);
CREATE TABLE c (LIKE l INCLUDING DEFAULTS, PRIMARY KEY (id, gone)) PARTITION BY LIST (gone);
CREATE TABLE c_in PARTITION OF c FOR VALUES IN (false);
CREATE TABLE c_out PARTITION OF c FOR VALUES IN (true);
SELECT lead_funnel.attach(r, 'stage', preset => 'open', key_column => 'id', value_column => 'value', excluded_column => 'gone',
                          score_column => CASE WHEN r <> 'b'::regclass THEN 'score'::name END)
FROM unnest('{l,b,c}'::regclass[]) AS r;
-- points that come to the score itself
SELECT lead_funnel.create_model('ar', 'b');
SELECT count(lead_funnel.add_rule('ar', 'fit', 'score', '>=', i::text, 1)) FROM generate_series(1, 99) AS i;
SELECT lead_funnel.activate_model('ar'), lead_funnel.bind_score('b', 'ar');
CREATE TABLE rule (from_stage text, to_stage text, low int, high int);
INSERT INTO rule VALUES ('nurture', 'lead', 20, NULL), ('lead', 'mql', 50, NULL), ('mql', 'sal', 80, NULL), ('mql', 'lead', NULL, 40), ('sal', 'mql', NULL, 60), ('rejected', 'nurture', 10, NULL);
SELECT count(lead_funnel.allow(f, from_stage::lead_stage, to_stage::lead_stage, automatic => true, min_score => low, below_score => high))
FROM rule, unnest('{l,b,c}'::name[]) AS f;

-- where the statement leaves the lead, and the stages that it goes on to
CREATE FUNCTION path(old_stage text, old_score int, new_stage text, new_score int) RETURNS text[] LANGUAGE sql AS $$
    WITH RECURSIVE way AS (
        SELECT new_stage AS stage, ARRAY[new_stage] AS stages
        UNION ALL
        SELECT n.to_stage, w.stages || n.to_stage
        FROM way AS w
        CROSS JOIN LATERAL (
            SELECT r.to_stage
            FROM rule AS r
            WHERE r.from_stage = w.stage AND r.to_stage IS DISTINCT FROM old_stage
              AND (new_score >= r.low OR new_score < r.high)
              AND CASE WHEN old_stage IS NULL THEN r.low IS NOT NULL ELSE (old_score >= r.low OR old_score < r.high) IS NOT TRUE END
            ORDER BY r.low IS NULL
            LIMIT 1) AS n
    )
    SELECT stages FROM way ORDER BY cardinality(stages) DESC LIMIT 1
$$;
CREATE TABLE expected_lead (id int PRIMARY KEY, stage text, score int, gone boolean);
CREATE TABLE expected (n serial, lead int, from_stage text, to_stage text, origin text);
-- what a write of a lead does
CREATE FUNCTION expect(i int, new_stage text, new_score int, new_gone boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    old expected_lead;
    old_stage text;
    stages text[];
BEGIN
    SELECT * INTO old FROM expected_lead WHERE id = i;
    old_stage := CASE WHEN NOT old.gone THEN old.stage END;
    stages := CASE WHEN NOT new_gone THEN path(old_stage, old.score, new_stage, new_score) END;
    IF old_stage IS DISTINCT FROM stages[1] THEN
        INSERT INTO expected (lead, from_stage, to_stage, origin) VALUES (i, old_stage, stages[1], CASE WHEN stages IS NULL THEN 'exclude' ELSE 'write' END);
    END IF;
    INSERT INTO expected (lead, from_stage, to_stage, origin)
    SELECT i, stages[k], stages[k + 1], 'automatic' FROM generate_series(1, cardinality(stages) - 1) AS k ORDER BY k;
    INSERT INTO expected_lead VALUES (i, coalesce(stages[cardinality(stages)], new_stage), new_score, new_gone)
    ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, score = excluded.score, gone = excluded.gone;
    RETURN NULL;
END $$;
CREATE FUNCTION expect_none(i int) RETURNS text LANGUAGE sql AS $$
    INSERT INTO expected (lead, from_stage, to_stage, origin) SELECT i, stage, NULL, 'delete' FROM expected_lead WHERE id = i AND NOT gone;
    DELETE FROM expected_lead WHERE id = i;
    SELECT NULL
$$;
CREATE TABLE wrong (n int, what text);
SELECT setseed(0.42);
DO $$
DECLARE
    t text;
    i int;
    s text;
    points int;
    leaves boolean;
    kind int;
    is_refused boolean;
    refused int := 0;
BEGIN
    FOR n IN 1 .. 2500 LOOP
        i := 1 + floor(random() * 60);
        s := ('{lead,mql,sal,nurture,rejected,won}'::text[])[1 + floor(random() * 6)];
        points := floor(random() * 100);
        leaves := random() < 0.4;
        kind := floor(random() * 8);
        -- min_score keeps hands from moving the lead, too; below_score does not
        is_refused := kind IN (1, 2) AND EXISTS (
            SELECT FROM expected_lead AS e JOIN rule AS r ON r.from_stage = e.stage AND r.to_stage = s
            WHERE e.id = i AND NOT e.gone AND r.low > CASE kind WHEN 1 THEN e.score ELSE points END);
        BEGIN
            FOREACH t IN ARRAY '{l,b,c}'::text[] LOOP
                EXECUTE format((ARRAY[
                    'UPDATE %1$I SET score = $3 WHERE id = $1',
                    'UPDATE %1$I SET stage = $2 WHERE id = $1',
                    'UPDATE %1$I SET stage = $2, score = $3, value = $3 WHERE id = $1',
                    'UPDATE %1$I SET note = $2, value = $3 WHERE id = $1',
                    'UPDATE %1$I SET gone = $4, score = $3 WHERE id = $1',
                    'DELETE FROM %1$I WHERE id = $1',
                    'INSERT INTO %1$I (id, stage, score) SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM %1$I WHERE id = $1)',
                    'UPDATE %1$I SET score = least(99, score + 15) WHERE id %% 4 = $1 %% 4'])[kind + 1], t)
                USING i, s, points, leaves;
            END LOOP;
            IF random() < 0.1 THEN
                RAISE 'taken back';
            END IF;
            PERFORM CASE kind
                        WHEN 0 THEN expect(i, e.stage, points, e.gone)
                        WHEN 1 THEN expect(i, s, e.score, e.gone)
                        WHEN 2 THEN expect(i, s, points, e.gone)
                        WHEN 4 THEN expect(i, e.stage, points, leaves)
                        WHEN 5 THEN expect_none(i)
                        WHEN 7 THEN expect(e.id, e.stage, least(99, e.score + 15), e.gone)
                    END
            FROM expected_lead AS e
            WHERE CASE WHEN kind = 7 THEN e.id % 4 = i % 4 ELSE e.id = i END;
            IF kind = 6 AND NOT EXISTS (SELECT FROM expected_lead WHERE id = i) THEN
                PERFORM expect(i, s, points, false);
            END IF;
            IF is_refused THEN
                INSERT INTO wrong VALUES (n, 'was not refused');
            END IF;
        EXCEPTION
            WHEN raise_exception THEN NULL;
            WHEN check_violation THEN
                refused := refused + 1;
                IF NOT is_refused THEN
                    INSERT INTO wrong VALUES (n, sqlerrm);
                END IF;
        END;
    END LOOP;
    INSERT INTO wrong SELECT 0, 'few were refused' WHERE refused < 5;
END $$;
TABLE wrong;

SELECT origin, count(*) > 30 AS many FROM expected GROUP BY origin ORDER BY 1;
CREATE FUNCTION differences(f text, rel regclass) RETURNS TABLE (what text, row_text text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT ''row'', x::text FROM ((SELECT id, stage, score, gone FROM %1$s EXCEPT TABLE expected_lead) UNION ALL '
                                '(TABLE expected_lead EXCEPT SELECT id, stage, score, gone FROM %1$s)) AS x', rel);
    RETURN QUERY
    WITH a AS (SELECT lead_id::int AS lead, row_number() OVER (PARTITION BY lead_id ORDER BY move) AS n, from_stage, to_stage, origin
               FROM lead_funnel.funnel_history WHERE funnel = f),
         b AS (SELECT lead, row_number() OVER (PARTITION BY lead ORDER BY e.n) AS n, from_stage, to_stage, origin FROM expected AS e)
    SELECT 'move', x::text FROM ((TABLE a EXCEPT TABLE b) UNION ALL (TABLE b EXCEPT TABLE a)) AS x;
END $$;
SELECT f, d.* FROM unnest('{l,b,c}'::text[]) AS f CROSS JOIN LATERAL differences(f, f::regclass) AS d LIMIT 20;
SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, value FROM l WHERE NOT gone');
SELECT * FROM check_funnel('b', 'SELECT id AS lead, stage, value FROM b WHERE NOT gone');
SELECT * FROM check_funnel('c', 'SELECT id AS lead, stage, value FROM c WHERE NOT gone');
-- the score that did it meets the rule that it met
SELECT h.funnel, h.lead, h.from_stage, h.to_stage, h.score
FROM lead_funnel.funnel_history AS h
LEFT JOIN rule AS r ON r.from_stage = h.from_stage AND r.to_stage = h.to_stage AND (h.score >= r.low OR h.score < r.high)
WHERE h.origin = 'automatic' AND (r.to_stage IS NULL OR (h.funnel = 'b') <> (h.score_model = 'ar' AND h.score_version = 1) IS TRUE);
-- what no write has moved: when run_due() is done, no lead is left that it would move, but those that somebody has put there
UPDATE rule SET low = 5 WHERE from_stage = 'nurture';
SELECT lead_funnel.allow('l', 'nurture', 'lead', automatic => true, min_score => 5);
SELECT count(*) > 0 AS some FROM lead_funnel.run_due('l');
SELECT count(*) FROM lead_funnel.run_due('l');
SELECT count(*) > 0 AS stay, bool_and(h.origin = 'write' AND h.from_stage IS NOT NULL AND (h.score >= r.low OR h.score < r.high)) AS put_there
FROM l
JOIN rule AS r ON r.from_stage = l.stage AND (l.score >= r.low OR l.score < r.high)
CROSS JOIN LATERAL (SELECT o.* FROM lead_funnel.funnel_history AS o WHERE o.funnel = 'l' AND o.lead_id = l.id ORDER BY o.move DESC LIMIT 1) AS h
WHERE NOT l.gone;
SELECT * FROM check_funnel('l', 'SELECT id AS lead, stage, value FROM l WHERE NOT gone');

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{l,b,c}'::name[]) AS f;
SELECT lead_funnel.drop_model('ar');
SET client_min_messages = warning;
DROP SCHEMA ar CASCADE;
