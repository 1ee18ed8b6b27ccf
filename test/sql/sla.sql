-- sla: how long a lead may stay in a stage, and what the views say of it

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_sla_owner;
CREATE ROLE regress_sla_else;
CREATE SCHEMA sl AUTHORIZATION regress_sla_owner;
SET search_path = sl, public;
SET timezone = 'Europe/Berlin';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
\set SHOW_CONTEXT never

SELECT lead_funnel.create_calendar('sl office', 'Europe/Berlin');
SELECT lead_funnel.set_working_hours('sl office', '{1,2,3,4,5}', '9:00', '17:00');
SELECT lead_funnel.create_calendar('sl idle', 'UTC');

SET ROLE regress_sla_owner;
CREATE TABLE leads (id int PRIMARY KEY, stage text, own text, since timestamptz, why text);
CREATE TABLE handed (id text PRIMARY KEY, stage lead_stage, own text, since timestamptz, handed timestamptz);
INSERT INTO leads VALUES (100, 'mql', 'ann', '2025-01-02 10:00');
SELECT lead_funnel.attach(r, 'stage', owner_column => 'own', entered_column => 'since', timezone => 'Europe/Berlin',
                          reason_column => CASE r WHEN 'leads'::regclass THEN 'why'::name END, handover_column => CASE r WHEN 'handed'::regclass THEN 'handed'::name END)
FROM unnest('{leads,handed}'::regclass[]) r;

-- set_sla: nothing in force before valid_from; a change begins a row, the same again does not, a change that reaches back takes those behind it away
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', 'sl office', valid_from => '2025-01-01');
SELECT lead_funnel.set_sla('leads', 'mql', '60 minutes', 'sl office', valid_from => '2025-02-01');
SELECT lead_funnel.set_sla('leads', 'mql', '2 hours', 'sl office', valid_from => '2025-06-01');
SELECT lead_funnel.set_sla('leads', 'mql', '3 hours', valid_from => '2025-07-01');
SELECT lead_funnel.set_sla('leads', 'mql', NULL, valid_from => '2025-08-01');
SELECT lead_funnel.set_sla('leads', 'sal', NULL, 'sl office', 2, '-infinity');
CREATE VIEW targets AS SELECT funnel, stage, stage_rank, target_seconds, business_days, calendar, valid_from, valid_to, changed_by FROM lead_funnel.sla_targets WHERE funnel IN ('leads', 'handed') ORDER BY stage_rank, valid_from;
SELECT * FROM targets;
CREATE FUNCTION due(stage lead_stage, at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT lead_funnel._due_at((SELECT o.funnel_id FROM lead_funnel._funnel_of('leads') o), stage, at) $$;
SELECT at, due('mql', at) FROM unnest('{2024-12-31 23:59:59.999999,2025-01-01,2025-05-31,2025-06-01,2025-07-31,2025-08-01}'::timestamptz[]) at;
SELECT due('sal', '2025-11-28 18:00'), due('sql', '2025-11-28 18:00'), due(NULL, now()), lead_funnel._due_at(-1, 'mql', now());
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', 'sl office', valid_from => '2025-06-01');
SELECT * FROM targets WHERE stage = 'mql';
BEGIN;
SELECT lead_funnel.set_sla('leads', 'mql', '5 hours', valid_from => '-infinity');
SELECT due('mql', '2025-06-01');
ROLLBACK;
SELECT due('mql', '2025-06-01');
-- by default from now on
BEGIN;
SELECT lead_funnel.set_sla('leads', 'mql', '5 hours'), lead_funnel.set_sla('leads', 'mql', '6 hours');
SELECT target_seconds, valid_from = now() AS now FROM lead_funnel.sla_targets WHERE funnel = 'leads' AND stage = 'mql' AND valid_to IS NULL;
SELECT due('mql', now() - interval '1 us') = lead_funnel.business_add(now() - interval '1 us', '1 hour', 'sl office') AS before, due('mql', now()) - now() AS after;
ROLLBACK;
-- an end of what never was
SELECT lead_funnel.set_sla('leads', 'won', NULL);
SELECT count(*) FROM targets WHERE stage = 'won';

\set VERBOSITY default
SELECT lead_funnel.set_sla('leads', 'mql', '1 day');
SELECT lead_funnel.set_sla('leads', 'mql', '1 year -1 hour');
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', business_days => 1);
SELECT lead_funnel.set_sla('leads', 'mql', '0');
SELECT lead_funnel.set_sla('leads', 'mql', NULL, business_days => -1);
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', 'sl none');
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', 'sl idle');
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', NULL);
SELECT lead_funnel.set_sla('leads', NULL, '1 hour');
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour', valid_from => 'infinity');
SELECT lead_funnel.set_sla('none', 'mql', '1 hour');
SELECT lead_funnel.set_sla(NULL, 'mql', '1 hour');
\set VERBOSITY terse

-- states: in time, too late, at the last moment, undecided, by deletion in time and too late, to nurture and back
INSERT INTO leads (id, stage, own, since) SELECT g, 'mql', 'ann', '2025-11-22 15:00' FROM generate_series(1, 9) g;
UPDATE leads SET stage = 'sal', since = '2025-11-24 09:30' WHERE id = 1;
UPDATE leads SET stage = 'rejected', since = '2025-11-24 10:00:00.000001', why = 'no' WHERE id = 2;
UPDATE leads SET stage = 'sal', since = '2025-11-24 10:00', own = 'bob' WHERE id = 3;
UPDATE leads SET own = 'cy' WHERE id = 4;
UPDATE leads SET stage = 'nurture', since = '2025-11-23 10:00' WHERE id = 6;
UPDATE leads SET stage = 'mql', since = '2025-11-24 11:00' WHERE id = 6;
UPDATE leads SET stage = 'disqualified', since = '2025-11-24 11:30' WHERE id = 6;
UPDATE leads SET stage = 'nurture', since = '2025-11-25 10:00' WHERE id = 7;
DELETE FROM leads WHERE id = 8;
SELECT lead_funnel.set_sla('leads', 'lead', '2562000000 hours', 'sl office', valid_from => '-infinity');
SELECT lead, lead_id, stage, stage_rank, owner, started_at, due_at, decided_at, state
FROM lead_funnel.sla_status WHERE funnel = 'leads' ORDER BY lead_id, started_at;
-- now, never due, no SLA
SELECT lead_funnel.allow('leads', NULL, s::lead_stage) FROM unnest('{sal,sql,opportunity,won,nurture}'::text[]) s;
INSERT INTO leads (id, stage) VALUES (20, 'lead'), (21, 'sal'), (22, 'sql');
SELECT lead_id, stage, started_at <= now() AS started, due_at = 'infinity' AS never, due_at > now() AS later, decided_at, state
FROM lead_funnel.sla_status WHERE funnel = 'leads' AND lead_id IN (20, 21, 22) ORDER BY 1;

-- The hand-over starts the clock of mql, whenever it comes. One that an earlier stay has used up does not count again; a corrected one does.
SELECT lead_funnel.set_sla('handed', 'mql', '1 hour', 'sl office', valid_from => '-infinity');
INSERT INTO handed VALUES ('a', 'mql', 'ann', '2025-11-17 10:00', NULL), ('b', 'mql', NULL, '2025-11-17 10:00', '2025-11-14 16:30'),
                          ('c', 'lead', NULL, '2025-11-17 10:00', '2025-11-16'), ('d', 'mql', NULL, '2025-11-17 10:00', '2025-11-17 10:00');
CREATE VIEW status AS SELECT lead, stage, owner, started_at, due_at, decided_at, state FROM lead_funnel.sla_status WHERE funnel = 'handed' ORDER BY lead, started_at;
SELECT * FROM status;
UPDATE handed SET handed = '2025-11-18 16:30' WHERE id = 'a';
UPDATE handed SET handed = '2025-11-18 16:45', own = 'bob' WHERE id = 'a';
UPDATE handed SET stage = 'mql', since = '2025-11-18 09:00' WHERE id = 'c';
UPDATE handed SET stage = 'nurture', since = '2025-11-17 10:30' WHERE id = 'd';
UPDATE handed SET stage = 'mql', since = '2025-11-19 09:00' WHERE id = 'd';
SELECT * FROM status;
UPDATE handed SET handed = '2025-11-19 12:00' WHERE id = 'd';
UPDATE handed SET stage = 'sal', since = '2025-11-19 12:59' WHERE id = 'd';
UPDATE handed SET stage = 'recycled', since = '2025-11-20 12:59' WHERE id = 'd';
UPDATE handed SET stage = 'mql', since = '2025-11-21 12:59' WHERE id = 'd';
UPDATE handed SET id = 'e' WHERE id = 'd';
SELECT * FROM status WHERE lead IN ('d', 'e');
UPDATE handed SET handed = '2025-11-21 13:30' WHERE id = 'e';
SELECT * FROM status WHERE lead IN ('d', 'e');
TRUNCATE handed;
SELECT lead, stage, started_at, due_at, decided_at, state FROM status;

-- ages
BEGIN;
INSERT INTO leads (id, stage, since)
SELECT 200 + g, (ARRAY['lead', 'mql', 'sal', 'sql', 'opportunity', 'won', 'nurture'])[g % 7 + 1], now() - d
FROM unnest('{0:00,47:59:59.999999,48:00,95:59:59,96:00,191:59:59,192:00,359:59:59,360:00,743:59:59,744:00,10000:00,0:00,0:00}'::interval[]) WITH ORDINALITY u (d, g);
SELECT lead, lead_id, stage, stage_rank, floor(age_seconds / 86400) AS days, age_band, due_at IS NULL AS no_sla, is_overdue
FROM lead_funnel.stage_ageing WHERE funnel = 'leads' AND lead_id > 200 ORDER BY lead_id;
COMMIT;
SELECT lead, stage, entered_at, due_at, is_overdue FROM lead_funnel.stage_ageing WHERE funnel = 'leads' AND lead_id < 20 OR lead = '100' ORDER BY lead_id;
SELECT count(*) = (SELECT count(*) FROM lead_funnel.lead_visits v WHERE v.funnel = 'leads' AND exited_at IS NULL AND stage_rank <= 5) AS as_visits
FROM lead_funnel.stage_ageing WHERE funnel = 'leads';
-- every stay in a stage with an SLA, as lead_visits has them
SELECT count(*), count(*) FILTER (WHERE s.lead IS NULL), count(*) FILTER (WHERE v.lead IS NULL)
FROM (SELECT * FROM lead_funnel.lead_visits WHERE funnel = 'leads' AND stage IN ('lead', 'mql', 'sal') AND entered_at >= '2025-01-01') v
FULL JOIN (SELECT * FROM lead_funnel.sla_status WHERE funnel = 'leads') s
  ON s.lead_id = v.lead_id AND s.stage = v.stage AND s.started_at = v.entered_at AND (s.decided_at = v.exited_at OR s.decided_at IS NULL);

-- a calendar that loses its hours leaves leads that are never due; in use it stays
RESET ROLE;
BEGIN;
SELECT lead_funnel.set_working_hours('sl office', '{1,2,3,4,5}');
SELECT due('mql', '2025-06-01'), due('sal', '2025-06-01');
ROLLBACK;
SELECT lead_funnel.set_sla('handed', 'mql', NULL, valid_from => '-infinity');
\set VERBOSITY default
SELECT lead_funnel.drop_calendar('sl office');
\set VERBOSITY terse

-- rights: the owner of the table; others neither set nor see
SET ROLE regress_sla_else;
SELECT lead_funnel.set_sla('leads', 'mql', '1 hour');
SELECT lead_funnel._due_at(f, 'mql', '2025-06-01') FROM generate_series(1, 1000) f WHERE lead_funnel._due_at(f, 'mql', '2025-06-01') IS NOT NULL;
SELECT count(*) FROM lead_funnel.sla_status;
RESET ROLE;
SET client_min_messages = warning;
SELECT lead_funnel.grant_reader('regress_sla_else');
SET ROLE regress_sla_else;
SELECT count(*) > 0 AS reads FROM lead_funnel.sla_status WHERE funnel = 'leads';
RESET ROLE;

-- indexes: a lead is found by its key
SET enable_seqscan = off; SET enable_bitmapscan = off;
CREATE FUNCTION finds_lead(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text = '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        plan := plan || line || E'\n';
    END LOOP;
    RETURN plan ~ 'Index Scan using journal_lead_id on journal[^\n]*\n *Index Cond: .*lead_id = 5' AND plan !~ 'Seq Scan on journal';
END $$;
SELECT finds_lead($$SELECT * FROM lead_funnel.sla_status WHERE funnel = 'leads' AND lead_id = 5$$),
       finds_lead($$SELECT * FROM lead_funnel.stage_ageing WHERE funnel = 'leads' AND lead_id = 5$$),
       finds_lead($$SELECT * FROM lead_funnel.stage_ageing WHERE funnel = 'leads'$$) AS all_leads;
RESET enable_seqscan; RESET enable_bitmapscan;

-- purged with its funnel, after which the calendar may go
SELECT lead_funnel.revoke_reader('regress_sla_else');
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{leads,handed}'::name[]) f;
SELECT lead_funnel.drop_calendar(c) FROM unnest('{sl office,sl idle}'::text[]) c;
DROP SCHEMA sl CASCADE;
DROP OWNED BY regress_sla_owner, regress_sla_else;
DROP ROLE regress_sla_owner, regress_sla_else;
