-- What a funnel costs its writers: the same statements on a bare table and on one with a funnel, best of five rounds.
-- psql -X -f demo/cost.sql, in a database that has the extension; it leaves nothing behind.
\set QUIET on
SET client_min_messages = warning;
CREATE SCHEMA cost;
CREATE TABLE cost.measured (statement text, kind text, ms numeric);
CREATE PROCEDURE cost.measure() LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    s record;
    began timestamptz;
BEGIN
    FOR round IN 1..5 LOOP
        FOREACH kind IN ARRAY ARRAY['bare', 'funnel'] LOOP
            CREATE TABLE cost.leads (id integer PRIMARY KEY, name text, source text, owner text, value numeric,
                                     stage lead_stage NOT NULL, note text);
            IF kind = 'funnel' THEN
                PERFORM lead_funnel.attach('cost.leads', 'stage', 'cost of a funnel', source_column => 'source',
                                           owner_column => 'owner', value_column => 'value');
            END IF;
            COMMIT;
            FOR s IN VALUES
                ('INSERT of 100,000 leads',
                 'INSERT INTO cost.leads SELECT n, ''company '' || n, (ARRAY[''web'', ''fair'', ''partner''])[1 + n % 3], '
                 '''owner '' || n % 10, n % 1000, ''lead'' FROM generate_series(1, 100000) AS n'),
                ('UPDATE that moves them', 'UPDATE cost.leads SET stage = ''mql'''),
                ('UPDATE of another column', 'UPDATE cost.leads SET note = ''x''')
            LOOP
                began := clock_timestamp();
                EXECUTE s.column2;
                COMMIT;
                INSERT INTO cost.measured VALUES (s.column1, kind, 1000 * extract(epoch FROM clock_timestamp() - began));
            END LOOP;
            IF kind = 'funnel' THEN
                PERFORM lead_funnel.detach('cost of a funnel', purge => true);
            END IF;
            DROP TABLE cost.leads;
            COMMIT;
        END LOOP;
    END LOOP;
END
$$;
CALL cost.measure();
SELECT statement, round(min(ms) FILTER (WHERE kind = 'bare')) AS bare_ms, round(min(ms) FILTER (WHERE kind = 'funnel')) AS funnel_ms
FROM cost.measured GROUP BY statement ORDER BY statement;
DROP SCHEMA cost CASCADE;
