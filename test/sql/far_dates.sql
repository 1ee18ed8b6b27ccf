-- far_dates: a moment like any other that many programs use for none, and dates beyond all calendars

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE SCHEMA fd;
SET search_path = fd, public;

-- the first second of the year 2000
CREATE TABLE leads (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', since timestamptz, handed timestamptz);
SELECT lead_funnel.attach('leads', 'stage', entered_column => 'since', handover_column => 'handed', timezone => 'UTC');
INSERT INTO leads VALUES (1, 'lead', '2000-01-01 00:00:00+00'), (2, 'lead', '2000-01-01 00:00:01+00');
UPDATE leads SET stage = 'nurture', since = '1990-01-01' WHERE id = 1;
UPDATE leads SET stage = 'nurture', since = '1990-01-01' WHERE id = 2;
INSERT INTO leads VALUES (3, 'mql', '1999-12-31', '2000-01-01 00:00:00+00'), (4, 'mql', '1999-12-31', '2000-01-01 00:00:01+00');
SELECT lead_id, stage, entered_at, exited_at FROM lead_funnel.lead_visits WHERE funnel = 'leads' ORDER BY 1, 3;
SELECT lead_id, handed_over_at, fate FROM lead_funnel.handovers WHERE funnel = 'leads' ORDER BY 1;
SELECT lead_id, stage, entered_at FROM lead_funnel.stage_ageing WHERE funnel = 'leads' ORDER BY 1;
UPDATE leads SET stage = 'sal', since = '2000-01-01 00:00:02+00' WHERE id = 3;
SELECT outcome, decided_at FROM (SELECT fate AS outcome, decided_at FROM lead_funnel.handovers WHERE funnel = 'leads' AND lead_id = 3) x;
SELECT * FROM lead_funnel.verify('leads');

-- years before the first
CREATE TABLE west (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', since timestamptz, handed timestamptz);
SELECT lead_funnel.attach('west', 'stage', entered_column => 'since', handover_column => 'handed', timezone => 'America/New_York');
INSERT INTO west (id, since) VALUES (1, '4714-11-24 00:00:00+00 BC');
INSERT INTO west (id, since) VALUES (1, '0001-12-31 23:59:59+00 BC');
INSERT INTO west (id, since) VALUES (1, '0001-01-01 00:00:00+00');
BEGIN;
SET LOCAL lead_funnel.override = 'as the old system has it';
INSERT INTO west (id, since) VALUES (2, '4714-11-24 00:00:00+00 BC');
COMMIT;
SELECT lead_funnel.set_mode('west', 'observe');
INSERT INTO west (id, since) VALUES (3, '4714-11-24 00:00:00+00 BC');
SELECT lead_funnel.set_mode('west', 'enforce');
-- a date of the hand-over that no calendar has is none
INSERT INTO west (id, stage, handed) VALUES (4, 'mql', '294276-12-31 23:00:00+00'), (5, 'mql', '4714-11-24 00:00:00+00 BC'), (6, 'mql', '9999-12-31 23:00:00+00');
SELECT lead_id, origin, effective_at FROM lead_funnel.funnel_history WHERE funnel = 'west' AND effective_at < '2000-01-01' ORDER BY 1;
SELECT lead_id, origin FROM lead_funnel.funnel_history WHERE funnel = 'west' ORDER BY 1;
SELECT constraint_name, moves FROM lead_funnel.rule_violations WHERE funnel = 'west';
SELECT lead_id, handed_over_at FROM lead_funnel.handovers WHERE funnel = 'west' ORDER BY 1;
SELECT count(*) FROM lead_funnel.lead_visits WHERE funnel = 'west' AND entered_day IS NOT NULL;
SELECT sum(handed_over) FROM lead_funnel.sal_acceptance WHERE funnel = 'west';
SELECT * FROM lead_funnel.verify('west');
SELECT lead_funnel.rebuild('west');
-- those that the table has when it is attached
SELECT lead_funnel.detach('west', purge => true);
UPDATE west SET since = '4714-11-24 00:00:00+00 BC', handed = '294276-12-31 23:00:00+00';
SELECT lead_funnel.attach('west', 'stage', entered_column => 'since', handover_column => 'handed', timezone => 'Asia/Tokyo');
SELECT count(*), count(*) FILTER (WHERE entered_at > '2026-01-01') AS now, count(entered_day) FROM lead_funnel.lead_visits WHERE funnel = 'west';
SELECT * FROM lead_funnel.verify('west');

SET client_min_messages = warning;
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{leads,west}'::name[]) f;
DROP SCHEMA fd CASCADE;
