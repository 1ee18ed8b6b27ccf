-- What attach, alter_funnel and check_table refuse: SQLSTATE, message, detail and hint. attach() refuses just where
-- check_table() finds an error.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION ae_try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN replace(concat_ws(E'\n  ', state || ': ' || message, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, '')),
                   format('"%s"', current_user), '"us"');
END $$;

-- both with the same arguments; check_table() names what it finds
CREATE FUNCTION ae(arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text := ae_try('SELECT lead_funnel.attach(' || arguments || ')');
    found text;
BEGIN
    IF said = 'done' THEN
        RETURN 'attached';
    END IF;
    EXECUTE 'SELECT string_agg(check_name, '', '' ORDER BY check_name) FROM lead_funnel.check_table(' || arguments ||
            ') WHERE severity = ''error''' INTO found;
    RETURN said || E'\n  check_table: ' || coalesce(found, 'NOTHING');
END $$;

-- relations
CREATE TABLE ae_lead (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', status text, n int, f float8, u uuid, t timestamptz,
                      d date, b boolean, j jsonb, a text[], generated timestamptz GENERATED ALWAYS AS ('2026-01-01 00:00+00') STORED,
                      stage2 lead_stage GENERATED ALWAYS AS ('lead') STORED);
CREATE VIEW ae_view AS SELECT * FROM ae_lead;
CREATE MATERIALIZED VIEW ae_matview AS SELECT * FROM ae_lead;
CREATE TEMP TABLE ae_temp (id int PRIMARY KEY, stage lead_stage);
CREATE FOREIGN DATA WRAPPER ae_wrapper;
CREATE SERVER ae_server FOREIGN DATA WRAPPER ae_wrapper;
CREATE FOREIGN TABLE ae_foreign (id int, stage lead_stage) SERVER ae_server;
CREATE SEQUENCE ae_sequence;
CREATE TYPE ae_composite AS (id int, stage lead_stage);
CREATE TABLE ae_partitioned (id int, stage lead_stage, r int) PARTITION BY LIST (r);
CREATE TABLE ae_partition PARTITION OF ae_partitioned FOR VALUES IN (1);
CREATE FOREIGN TABLE ae_far PARTITION OF ae_partitioned FOR VALUES IN (2) SERVER ae_server;
CREATE TABLE ae_parent (id int PRIMARY KEY, stage lead_stage);
CREATE TABLE ae_child (PRIMARY KEY (id)) INHERITS (ae_parent);
SELECT ae($$'ae_view', 'stage'$$);
SELECT ae($$'ae_matview', 'stage'$$);
SELECT ae($$'pg_temp.ae_temp', 'stage'$$);
SELECT ae($$'ae_foreign', 'stage', key_column => 'id'$$);
SELECT ae($$'ae_sequence', 'last_value'$$);
SELECT ae($$'ae_lead_pkey', 'id'$$);
SELECT ae($$'ae_composite', 'stage', key_column => 'id'$$);
SELECT ae($$'ae_partition', 'stage', key_column => 'id'$$);
SELECT ae($$'ae_partitioned', 'stage', key_column => 'id'$$);
SELECT ae($$'ae_parent', 'stage'$$);
SELECT ae($$'ae_child', 'stage'$$);
SELECT ae($$'pg_class', 'relname', key_column => 'oid'$$);
SELECT ae($$'information_schema.sql_features', 'feature_id', key_column => 'feature_id'$$);
SELECT ae($$'lead_funnel.journal', 'to_stage', key_column => 'lead_id'$$);
SELECT ae_try($$SELECT lead_funnel.attach(0, 'stage')$$);
SELECT ae_try($$SELECT lead_funnel.attach('ae_nowhere', 'stage')$$);
SELECT ae_try($$SELECT lead_funnel.attach(NULL, 'stage')$$);
SELECT ae_try($$SELECT lead_funnel.attach('ae_lead', NULL)$$);
SELECT ae_try($$SELECT lead_funnel.attach('ae_lead', 'stage', $$ || argument || ' => NULL)')
FROM unnest('{preset,mode,backfill,always}'::text[]) AS argument;

-- columns
SELECT ae($$'ae_lead', 'Stage'$$);
SELECT ae($$'ae_lead', 'phase'$$);
SELECT ae($$'ae_lead', 'ctid'$$);
SELECT ae(format('''ae_lead'', %s', used)) AS refused
FROM unnest(ARRAY[
    $$'t'$$, $$'j'$$, $$'a'$$,
    $$'stage', key_column => 't'$$, $$'stage', key_column => 'b'$$, $$'stage', key_column => 'f'$$,
    $$'stage', key_column => 'stage'$$, $$'id'$$,
    $$'stage', source_column => 'j'$$, $$'stage', campaign_column => 'a'$$, $$'stage', owner_column => 't'$$,
    $$'stage', segment_column => 'f'$$, $$'stage', currency_column => 'nope'$$, $$'stage', value_column => 'status'$$,
    $$'stage', entered_column => 'n'$$, $$'stage', entered_column => 'generated'$$, $$'stage', entered_column => 'status'$$,
    $$'stage2', entered_column => 't'$$, $$'t', entered_column => 't'$$,
    $$'stage', actor_column => 'j'$$, $$'stage', reason_column => 'b'$$,
    $$'stage', handover_column => 'b'$$, $$'stage', excluded_column => 'n'$$,
    $$'stage', score_column => 't'$$, $$'stage', qualification_column => 'n'$$]) AS used;
CREATE DOMAIN ae_domain AS lead_stage;
CREATE TABLE ae_domains (id int PRIMARY KEY, stage ae_domain);
SELECT ae($$'ae_domains', 'stage'$$);
CREATE TABLE ae_no_key (id int, stage lead_stage);
SELECT ae($$'ae_no_key', 'stage'$$);
CREATE TABLE ae_two_keys (id int, tenant int, stage lead_stage, PRIMARY KEY (tenant, id));
SELECT ae($$'ae_two_keys', 'stage'$$);
CREATE TABLE ae_time_key (id timestamptz PRIMARY KEY, stage lead_stage);
SELECT ae($$'ae_time_key', 'stage'$$);

-- choices
SELECT ae($$'ae_lead', 'stage', preset => 'classical'$$);
SELECT ae($$'ae_lead', 'stage', preset => 'Classic'$$);
SELECT ae($$'ae_lead', 'stage', mode => 'watch'$$);
SELECT ae($$'ae_lead', 'stage', timezone => 'Mars/Olympus'$$);
SELECT ae($$'ae_lead', 'stage', timezone => 'CEST'$$);
SELECT ae($$'ae_lead', 'stage', timezone => 'EST'$$);
SELECT ae($$'ae_lead', 'stage', timezone => '+05'$$);
SELECT ae($$'ae_lead', 'stage', timezone => 'FOO5'$$);
SELECT z, lead_funnel._check_timezone(z)::text AS fits FROM unnest('{Etc/GMT-5,<+05>-05}'::text[]) AS z;
SELECT ae($$'ae_lead', 'stage', timezone => ''$$);
SELECT ae_try($$SELECT lead_funnel.attach('ae_lead', 'stage', funnel => '')$$);

-- stage_map
SELECT ae($$'ae_lead', 'status', stage_map => $$ || quote_literal(map)) AS refused
FROM unnest(ARRAY['[]', '7', '"sal"', '{"accepted": "sal"}', '{"": ["x"]}', '{"sal": {"a": 1}}', '{"sal": [true]}', '{"sal": [["x"]]}',
                  '{"sal": ["x", "x"]}', '{"sal": ["x"], "sql": ["x"]}', '{"sal": [null], "sql": null}', '{"sal": ["x"], "SAL": ["x"]}']) AS map;
SELECT ae($$'ae_lead', 'n'$$);
SELECT ae($$'ae_lead', 'n', stage_map => '{}'$$);
SELECT ae($$'ae_lead', 'n', stage_map => '{"lead": ["new"]}'$$);
SELECT ae($$'ae_lead', 'n', stage_map => '{"lead": [1.5]}'$$);
SELECT ae($$'ae_lead', 'n', stage_map => '{"lead": [1, "01"]}'$$);
SELECT ae($$'ae_lead', 'n', stage_map => '{"lead": [99999999999999999999]}'$$);

-- rows that do not fit
INSERT INTO ae_lead (id, stage, status, n, u) VALUES (1, 'lead', 'Open', 1, NULL), (2, 'mql', ' mql', 2, NULL), (3, NULL, NULL, 7, NULL);
SELECT ae($$'ae_lead', 'stage'$$);
SELECT ae($$'ae_lead', 'status'$$);
SELECT ae($$'ae_lead', 'status', stage_map => '{"lead": ["Open", null]}'$$);
SELECT ae($$'ae_lead', 'n', stage_map => '{"lead": [1], "mql": [2]}'$$);
SELECT ae($$'ae_lead', 'stage', key_column => 'u', stage_map => '{"lead": [null]}'$$);
INSERT INTO ae_no_key VALUES (1, 'lead'), (2, 'mql'), (2, 'sal');
SELECT ae($$'ae_no_key', 'stage', key_column => 'id'$$);

-- twice; the name of another funnel
SELECT ae($$'ae_lead', 'stage', funnel => 'ae one', stage_map => '{"lead": [null]}'$$);
SELECT ae($$'ae_lead', 'stage', funnel => 'ae two', stage_map => '{"lead": [null]}'$$);
CREATE TABLE ae_other (id int PRIMARY KEY, stage lead_stage);
SELECT ae($$'ae_other', 'stage', funnel => 'ae one'$$);
SELECT count(*) AS funnels FROM lead_funnel.funnels WHERE funnel LIKE 'ae%';

-- alter_funnel
SELECT ae_try($$SELECT lead_funnel.alter_funnel('ae one', $$ || change || ')') AS refused
FROM unnest(ARRAY[
    $$stage_column => 'phase'$$, $$stage_column => ''$$, $$stage_column => 'j'$$, $$stage_column => 'n'$$, $$key_column => 'b'$$,
    $$value_column => 'status'$$, $$entered_column => 'generated'$$, $$score_column => 't'$$, $$timezone => 'Nowhere'$$,
    $$stage_map => '{"lead": ["x", "x"]}'$$, $$stage_map => '{}'$$, $$relation => 'ae_view'$$, $$relation => 'ae_parent'$$,
    $$stage_column => 'status'$$]) AS change;
SELECT ae_try($$SELECT lead_funnel.alter_funnel('ae two', timezone => 'UTC')$$);
SELECT ae_try($$SELECT lead_funnel.alter_funnel(NULL, timezone => 'UTC')$$);
SELECT ae($$'ae_other', 'stage'$$);
SELECT ae_try($$SELECT lead_funnel.alter_funnel('ae one', relation => 'ae_other')$$);
-- nothing of all this has left a trace
SELECT stage_column, key_column, timezone, rules_version FROM lead_funnel.funnels WHERE funnel = 'ae one';
SELECT * FROM lead_funnel.verify('ae one');

-- the other functions
SELECT ae_try('SELECT lead_funnel.' || call) AS refused
FROM unnest(ARRAY[
    $$detach('nowhere')$$, $$detach(NULL)$$, $$detach('ae one', purge => NULL)$$, $$detach('ae one', restore_type => 'int')$$,
    $$suspend('nowhere')$$, $$resume('nowhere')$$, $$set_mode('ae one', 'off')$$, $$set_mode('ae one', NULL)$$, $$set_mode('nowhere', 'observe')$$,
    $$map_stage('ae one', 'x', NULL)$$, $$map_stage('ae one', 'x', 'accepted')$$, $$unmap_stage('ae one', NULL)$$,
    $$allow('ae one', 'lead', NULL)$$, $$allow('ae one', 'lead', 'lead')$$, $$allow('ae one', 'lead', 'won', requires_reason => NULL)$$,
    $$allow('ae one', 'lead', 'won', automatic => true)$$,
    $$allow('ae one', 'lead', 'won', check_at => 'noon')$$, $$forbid('ae one', 'lead', NULL)$$, $$allow('nowhere', 'lead', 'won')$$,
    $$grant_override('ae one', 'regress_nobody')$$, $$grant_override('ae one', NULL)$$, $$grant_reader('regress_nobody')$$,
    $$verify('nowhere')$$, $$reconcile('nowhere')$$, $$rebuild('nowhere')$$, $$verify(NULL)$$,
    $$move('ae one', 99, 'mql')$$, $$move('ae one', NULL::int, 'mql')$$, $$move('ae one', 1, NULL)$$, $$move('ae one', 'x', 'mql')$$,
    $$move('nowhere', 1, 'mql')$$, $$move('ae one', 1, 'won')$$]) AS call;
SELECT lead_funnel.suspend('ae one');
SELECT ae_try($$SELECT lead_funnel.move('ae one', 1, 'mql')$$);
SELECT ae_try($$SELECT lead_funnel.reconcile('ae one')$$);
SELECT lead_funnel.detach('ae one');
SELECT ae_try($$SELECT lead_funnel.move('ae one', 1, 'mql')$$);
SELECT ae_try(format('SELECT lead_funnel.%s(''ae one'')', call)) ~ '^55000: funnel "ae one" is detached\n  DETAIL: .*\n  HINT: ' AS said
FROM unnest('{reconcile,suspend,resume}'::text[]) AS call;

SET client_min_messages = warning;
SELECT lead_funnel.detach('ae one', purge => true);
SELECT lead_funnel.detach('ae_other', purge => true);
DROP TABLE ae_lead, ae_partitioned, ae_parent, ae_domains, ae_no_key, ae_two_keys, ae_time_key, ae_other, ae_temp CASCADE;
DROP FOREIGN DATA WRAPPER ae_wrapper CASCADE;
DROP TYPE ae_composite, ae_domain;
DROP SEQUENCE ae_sequence;
DROP FUNCTION ae, ae_try;
