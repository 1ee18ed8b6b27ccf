-- attach, alter_funnel, suspend and resume, detach, the stage map, modes, versions of the rules: what they do

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SET datestyle = 'ISO';
\pset null -

CREATE FUNCTION at_shown(name) RETURNS TABLE (stage text, opening numeric, entries numeric, exits numeric, adjusted numeric, leads numeric, value numeric)
LANGUAGE sql AS $$
    SELECT stage, sum(opening), sum(entries), sum(exits), sum(adjustments), sum(opening + entries - exits + adjustments),
           sum(value_in - value_out + value_adjustments)
    FROM lead_funnel.funnel_flow WHERE funnel = $1 GROUP BY stage, stage_rank ORDER BY stage_rank
$$;
CREATE FUNCTION at_wrong(funnel name) RETURNS TABLE (problem text, lead text, expected text, found text) LANGUAGE sql AS $$
    SELECT problem, lead, expected, found FROM lead_funnel.verify(funnel)
$$;

-- a table without rows; everything by default
CREATE TABLE at_empty (id bigint PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead');
SELECT lead_funnel.attach('at_empty', 'stage');
SELECT funnel, relation, stage_column, key_column, mode, preset, timezone, rules_version FROM lead_funnel.funnels WHERE funnel = 'at_empty';
SELECT count(*) FROM lead_funnel.funnel_daily WHERE funnel = 'at_empty';
SELECT triggers_ok, pending_deltas FROM lead_funnel.funnel_health WHERE funnel = 'at_empty';
INSERT INTO at_empty VALUES (1), (2);
SELECT * FROM at_shown('at_empty');
SELECT * FROM at_wrong('at_empty');
SELECT lead_funnel.detach('at_empty', purge => true);
SELECT count(*) FROM lead_funnel.funnel_history WHERE funnel = 'at_empty';
DROP TABLE at_empty;

-- all columns, opening stock with its own dates
CREATE TABLE at_lead (id int PRIMARY KEY, status text, source varchar(20), campaign int, owner name, segment boolean,
                      currency char(3), amount numeric, since date, by_whom text, why text, handed timestamptz, deleted timestamptz);
INSERT INTO at_lead VALUES
    (1, 'New', 'web', 7, 'ann', true, 'EUR', 100, '2026-01-10', NULL, NULL, NULL, NULL),
    (2, 'mql', 'web', 7, 'ann', true, 'EUR', 250.50, '2026-02-01', NULL, NULL, '2026-02-02 12:00+00', NULL),
    (3, 'Working', ' ', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'Nonsense', NULL, NULL, NULL, NULL, NULL, 5, NULL, NULL, NULL, NULL, '2026-01-01 00:00+00'),
    (5, 'Won', 'fair', NULL, 'bob', false, 'USD', 1000, '2999-01-01', NULL, NULL, NULL, NULL);
SELECT lead_funnel.attach('at_lead', 'status', 'at leads', stage_map => '{"lead": ["New", "Open"], "sal": "Working", "SAL": ["Accepted"]}',
                          source_column => 'source', campaign_column => 'campaign', owner_column => 'owner', segment_column => 'segment',
                          currency_column => 'currency', value_column => 'amount', entered_column => 'since', actor_column => 'by_whom',
                          reason_column => 'why', handover_column => 'handed', excluded_column => 'deleted', timezone => 'Europe/Berlin');
SELECT stage, source, campaign, owner, segment, currency, leads, value FROM lead_funnel.funnel_stages WHERE funnel = 'at leads'
ORDER BY stage_rank, source;
SELECT lead, to_stage, to_status, CASE WHEN effective_day < '2026-06-01' THEN effective_at END AS effective_at, origin, cycle, move
FROM lead_funnel.funnel_history WHERE funnel = 'at leads' ORDER BY lead_id;
SELECT lead, started_at, mql_at, handed_over_at, won_at, ended_at, end_stage, furthest_stage
FROM lead_funnel.lead_milestones WHERE funnel = 'at leads' ORDER BY lead_id;
SELECT * FROM at_shown('at leads');
SELECT * FROM at_wrong('at leads');
-- moving: within a stage no move, out of and back into the funnel, the date filled in
UPDATE at_lead SET status = 'Open' WHERE id = 1;
UPDATE at_lead SET deleted = now() WHERE id = 2;
UPDATE at_lead SET deleted = NULL, status = 'New' WHERE id = 4;
UPDATE at_lead SET status = 'mql', by_whom = 'carl' WHERE id = 4;
UPDATE at_lead SET status = 'rejected', why = 'no budget' WHERE id = 4;
UPDATE at_lead SET amount = 90 WHERE id = 1;
SELECT lead, move, from_stage, to_stage, from_status, to_status, origin,
       replace(actor, current_user, 'us') AS actor, reason, value FROM lead_funnel.funnel_history
WHERE funnel = 'at leads' AND origin <> 'backfill' ORDER BY lead_id, move;
SELECT t.id, t.since = max(h.effective_day) FILTER (WHERE h.origin = 'write') AS filled_in
FROM at_lead t LEFT JOIN lead_funnel.funnel_history h ON h.funnel = 'at leads' AND h.lead_id = t.id GROUP BY t.id, t.since ORDER BY t.id;
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('at leads', 1, 'mql');
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('at leads', 1, 'SAL', note => 'n', actor => 'dora');
SELECT id, status FROM at_lead WHERE id = 1;
SELECT * FROM at_shown('at leads');
SELECT * FROM at_wrong('at leads');

-- detach keeps the history; attached again, it goes on
SELECT lead_funnel.detach('at leads');
SELECT lead_funnel.detach('at leads');
UPDATE at_lead SET status = 'Won' WHERE id = 1;
SELECT relation, mode FROM lead_funnel.funnels WHERE funnel = 'at leads';
SELECT count(*), sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'at leads';
SELECT * FROM at_wrong('at leads');
SELECT origin, count(*) FROM lead_funnel.funnel_history WHERE funnel = 'at leads' GROUP BY origin ORDER BY origin;
SELECT lead_funnel.attach('at_lead', 'status', 'at leads', preset => 'open', stage_map => '{"lead": ["New", "Open"], "sal": ["Working"]}',
                          source_column => 'source', value_column => 'amount', timezone => 'UTC');
SELECT lead, lead_id, cycle, move, from_stage, to_stage, origin FROM lead_funnel.funnel_history
WHERE funnel = 'at leads' AND lead = '1' ORDER BY move;
SELECT preset, rules_version, timezone FROM lead_funnel.funnels WHERE funnel = 'at leads';
SELECT version, count(*), min(note) AS note FROM lead_funnel.funnel_rules WHERE funnel = 'at leads' GROUP BY version ORDER BY version;
SELECT * FROM at_wrong('at leads');

-- alter_funnel: columns come and go, what is left out stays
SELECT lead_funnel.alter_funnel('at leads', owner_column => 'owner', value_column => '');
SELECT stage, source, owner, leads, value FROM lead_funnel.funnel_stages WHERE funnel = 'at leads' ORDER BY stage_rank, source;
SELECT count(*) > 0 AS adjusted FROM lead_funnel.funnel_flow WHERE funnel = 'at leads' AND adjustments <> 0;
SELECT lead_funnel.alter_funnel('at leads', timezone => 'Pacific/Kiritimati', value_column => 'amount');
SELECT timezone FROM lead_funnel.funnels WHERE funnel = 'at leads';
SELECT bool_and(effective_day = (effective_at AT TIME ZONE 'Pacific/Kiritimati')::date) AS its_day FROM lead_funnel.funnel_history WHERE funnel = 'at leads';
SELECT * FROM at_wrong('at leads');
-- another stage column, then another table
ALTER TABLE at_lead ADD stage lead_stage;
UPDATE at_lead SET stage = CASE status WHEN 'New' THEN 'lead' WHEN 'Open' THEN 'lead' WHEN 'Working' THEN 'sal' WHEN 'Nonsense' THEN 'lost' ELSE lower(status) END;
SELECT lead_funnel.alter_funnel('at leads', stage_column => 'stage', stage_map => '{}');
UPDATE at_lead SET status = 'whatever';
UPDATE at_lead SET stage = 'mql' WHERE id = 3;
SELECT stage, sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'at leads' GROUP BY stage, stage_rank ORDER BY stage_rank;
CREATE TABLE at_lead2 AS SELECT id, stage, source, owner, amount FROM at_lead WHERE id <= 3;
SELECT lead_funnel.alter_funnel('at leads', relation => 'at_lead2', key_column => 'id');
SELECT relation FROM lead_funnel.funnels WHERE funnel = 'at leads';
SELECT lead, from_stage, to_stage FROM lead_funnel.funnel_history WHERE funnel = 'at leads' AND origin = 'reconcile' AND lead_id > 3 ORDER BY lead_id, move;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'at_lead'::regclass;
INSERT INTO at_lead2 VALUES (2, 'lead');
SELECT * FROM at_wrong('at leads');
SELECT lead_funnel.detach('at leads', purge => true);
DROP TABLE at_lead, at_lead2;

-- backfill => false: only what is written from now on; the first write of a lead that was there before makes up for it
CREATE TABLE at_late (key uuid PRIMARY KEY, stage lead_stage);
INSERT INTO at_late SELECT lpad(n::text, 32, '0')::uuid, 'sal' FROM generate_series(1, 3) AS n;
SELECT lead_funnel.attach('at_late', 'stage', backfill => false);
SELECT * FROM at_shown('at_late');
UPDATE at_late SET stage = 'sql' WHERE key = lpad('1', 32, '0')::uuid;
INSERT INTO at_late VALUES (lpad('4', 32, '0')::uuid, 'lead');
SELECT right(lead, 4) AS lead, lead_id, move, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'at_late' ORDER BY lead, move;
SELECT problem, right(lead, 4) AS lead, expected, found FROM at_wrong('at_late');
SELECT lead_funnel.reconcile('at_late'), lead_funnel.reconcile('at_late') AS again;
SELECT * FROM at_wrong('at_late');
SELECT * FROM at_shown('at_late');

-- suspend, a migration, resume
SELECT lead_funnel.suspend('at_late');
SELECT lead_funnel.suspend('at_late');
SELECT * FROM at_wrong('at_late');
SELECT triggers_ok FROM lead_funnel.funnel_health WHERE funnel = 'at_late';
UPDATE at_late SET stage = 'won' WHERE stage = 'sal';
DELETE FROM at_late WHERE stage = 'lead';
ALTER TABLE at_late ALTER stage TYPE varchar(20);
SELECT lead_funnel.resume('at_late');
SELECT triggers_ok FROM lead_funnel.funnel_health WHERE funnel = 'at_late';
SELECT right(lead, 4) AS lead, from_stage, to_stage, origin FROM lead_funnel.funnel_history
WHERE funnel = 'at_late' AND origin = 'reconcile' ORDER BY lead, move;
SELECT * FROM at_wrong('at_late');
UPDATE at_late SET stage = 'Opportunity' WHERE stage = 'sql';
SELECT * FROM at_shown('at_late');
SELECT lead_funnel.detach('at_late', purge => true);
DROP TABLE at_late;

-- restore_type: the column and its default are text again
CREATE TABLE at_typed (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'mql');
CREATE INDEX at_typed_stage ON at_typed (stage);
SELECT lead_funnel.attach('at_typed', 'stage');
INSERT INTO at_typed VALUES (1, 'lead');
SELECT lead_funnel.detach('at_typed', restore_type => 'text');
INSERT INTO at_typed VALUES (2, DEFAULT), (3, 'anything');
SELECT id, stage, pg_typeof(stage) FROM at_typed ORDER BY id;
SELECT count(*) FROM pg_depend WHERE refobjid = 'lead_stage'::regtype AND objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = 'at_typed'::regclass);
SELECT lead_funnel.detach('at_typed', purge => true);
SELECT count(*) FROM lead_funnel.funnels WHERE funnel = 'at_typed';
DROP TABLE at_typed;
DROP FUNCTION at_wrong;
DROP FUNCTION at_shown;
