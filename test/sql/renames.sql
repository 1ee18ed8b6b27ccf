-- A lead that gets another key takes its history along: its events, and moves behind those of a lead that had the key before.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE TABLE rn (id int PRIMARY KEY, stage lead_stage, since timestamptz, warmth engagement);
CREATE TABLE rn_text (code text, stage lead_stage, deleted boolean, warmth engagement);
SELECT lead_funnel.attach('rn', 'stage', entered_column => 'since', preset => 'open');
SELECT lead_funnel.attach('rn_text', 'stage', key_column => 'code', excluded_column => 'deleted');
SELECT lead_funnel.create_model('rn'), lead_funnel.set_event_type('rn', 'visit', 1, '7 days'), lead_funnel.set_event_type('rn', 'form', 10, '7 days', 1);
SELECT lead_funnel.set_scoring('rn', 'rn'), lead_funnel.set_engagement_column('rn', 'warmth'), lead_funnel.set_scoring('rn_text', 'rn'),
    lead_funnel.set_engagement_column('rn_text', 'warmth');
CREATE VIEW rn_events AS SELECT lead, string_agg(event_type || ' ' || external_id, ', ' ORDER BY external_id) AS events
    FROM lead_funnel.lead_events WHERE funnel = 'rn' GROUP BY lead ORDER BY lead;
CREATE VIEW rn_wrong AS
    SELECT f.funnel, 'engagement' AS what, v.lead FROM (VALUES ('rn'::name), ('rn_text')) f (funnel), lead_funnel.verify_engagement(f.funnel) v
    UNION ALL SELECT f.funnel, v.problem, v.lead FROM (VALUES ('rn'::name), ('rn_text')) f (funnel), lead_funnel.verify(f.funnel) v;

INSERT INTO rn VALUES (1, 'lead', '2026-01-01'), (2, 'lead', '2026-01-01'), (3, 'lead', '2026-01-01');
SELECT lead_funnel.record_event('rn', i % 3 + 1, CASE WHEN i < 4 THEN 'form' ELSE 'visit' END, '2026-02-01', 'e' || i) FROM generate_series(1, 7) i;
CREATE TABLE rn_before AS SELECT external_id, recorded_at, points FROM lead_funnel.lead_events WHERE funnel = 'rn';
SELECT * FROM rn_events;

-- another key, and one that two leads exchange
UPDATE rn SET id = 10 WHERE id = 1;
UPDATE rn SET id = CASE id WHEN 2 THEN 30 ELSE 20 END WHERE id IN (2, 3);
BEGIN;
ALTER TABLE rn DROP CONSTRAINT rn_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
UPDATE rn SET id = 50 - id WHERE id IN (20, 30);
COMMIT;
SELECT * FROM rn_events;
SELECT * FROM rn_wrong;
-- nothing else of them has changed
SELECT external_id, recorded_at, points FROM lead_funnel.lead_events WHERE funnel = 'rn' EXCEPT TABLE rn_before;

-- events go on under the new key: each once, and capped as before
SELECT lead_funnel.record_event('rn', 10, 'form', '2026-02-02', 'e3') AS known, lead_funnel.record_event('rn', 10, 'form', '2026-02-02', 'e8') AS new;
SELECT external_id, counted FROM lead_funnel.lead_events WHERE funnel = 'rn' AND lead_id = 10 AND event_type = 'form' ORDER BY 1;
SELECT lead_funnel.record_event('rn', 1, 'visit', '2026-02-02', 'e9');
SELECT lead_funnel.correct_event('rn', 'e6', points => 7), lead_funnel.delete_event('rn', 'e4');
SELECT * FROM rn_wrong;

-- in one transaction, to and fro, and rolled back
BEGIN;
SELECT lead_funnel.record_event('rn', 10, 'visit', '2026-02-03', 'e10');
UPDATE rn SET id = 11 WHERE id = 10;
SELECT lead_funnel.record_event('rn', 11, 'visit', '2026-02-03', 'e11');
UPDATE rn SET id = 12 WHERE id = 11;
SAVEPOINT a;
UPDATE rn SET id = 13 WHERE id = 12;
ROLLBACK TO a;
UPDATE rn SET id = 10 WHERE id = 12;
UPDATE rn SET id = 14 WHERE id = 10;
COMMIT;
SELECT * FROM rn_events;
SELECT * FROM rn_wrong;

-- text keys; a lead that is not in the funnel; a row that is out and shares its key with one that is in has no events of its own
INSERT INTO rn_text VALUES ('a', 'lead', false), ('b', 'lead', true), ('c', 'lead', true), ('c', 'lead', false);
SELECT lead_funnel.record_event('rn_text', 'a', 'visit', '2026-02-01', 'a'), lead_funnel.record_event('rn_text', 'b', 'visit', '2026-02-01', 'b');
UPDATE rn_text SET code = code || '2' WHERE code IN ('a', 'b') OR deleted;
SELECT lead, external_id FROM lead_funnel.lead_events WHERE funnel = 'rn_text' ORDER BY 1;
SELECT * FROM rn_wrong;

-- an index that somebody has added
CREATE INDEX rn_points ON lead_funnel.event (points) WHERE event_type = 'form';
UPDATE rn SET id = 15 WHERE id = 14;
SET enable_seqscan = off;
SELECT lead_id, points FROM lead_funnel.event WHERE event_type = 'form' AND points = 10 AND lead_id = 15 ORDER BY 1;
RESET enable_seqscan;
DROP INDEX lead_funnel.rn_points;

-- A key whose lead left with all others, by a lead that was there in the same epoch: both visits end with the TRUNCATE
SELECT lead_funnel.detach('rn', purge => true), lead_funnel.detach('rn_text', purge => true);
TRUNCATE rn;
SELECT lead_funnel.attach('rn', 'stage', entered_column => 'since', preset => 'open');
INSERT INTO rn VALUES (1, 'lead', '2026-01-01'), (2, 'lead', '2026-01-02');
UPDATE rn SET stage = 'mql', since = '2026-01-03' WHERE id = 2;
TRUNCATE rn;
INSERT INTO rn VALUES (1, 'sal', now());
UPDATE rn SET id = 2;
SELECT lead, move, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'rn' ORDER BY lead NULLS FIRST, move;
SELECT v.lead, v.stage, v.entered_at < '2026-02-01' AS old, v.exited_at = m.effective_at AS with_all, v.exit_to
FROM lead_funnel.lead_visits v, lead_funnel.funnel_history m
WHERE v.funnel = 'rn' AND m.funnel = 'rn' AND m.lead IS NULL ORDER BY v.lead, v.entered_at, v.stage;
SELECT count(*) FROM lead_funnel.lead_visits WHERE funnel = 'rn' AND seconds < 0;
SELECT * FROM lead_funnel.verify('rn');
SELECT lead_funnel.rebuild('rn');
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'rn' AND leads <> 0;
SELECT * FROM lead_funnel.verify('rn');
SELECT lead_funnel.detach('rn', purge => true);
DROP VIEW rn_events, rn_wrong;
DROP TABLE rn, rn_text, rn_before;
SELECT lead_funnel.drop_model('rn');
