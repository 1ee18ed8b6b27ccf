-- handshake_due: hand-overs that nobody decides in time are escalated, or expire; who may call the clock

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
DROP ROLE IF EXISTS regress_hd_owner, regress_hd_cron, regress_hd_reader;
RESET client_min_messages;

CREATE ROLE regress_hd_owner;
CREATE ROLE regress_hd_cron;
CREATE ROLE regress_hd_reader;
CREATE SCHEMA hd AUTHORIZATION regress_hd_owner;
GRANT USAGE ON SCHEMA hd TO PUBLIC;
SET ROLE regress_hd_owner;
SET search_path = hd, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set VERBOSITY terse

CREATE TABLE l (id int PRIMARY KEY, status text, since timestamptz, why text, src text);
INSERT INTO l (id, status, since) VALUES (1, 'Hot', '2026-01-01');
SELECT lead_funnel.attach('l', 'status', entered_column => 'since', reason_column => 'why', source_column => 'src', timezone => 'UTC',
                          stage_map => '{"mql": ["Hot", "Warm"], "nurture": ["Later"]}');
GRANT SELECT, UPDATE ON l TO regress_hd_cron;
GRANT SELECT ON l TO regress_hd_reader;
INSERT INTO l (id, status, since) VALUES (10, 'Hot', now() - interval '3 days'), (11, 'Warm', now() - interval '2 days'), (12, 'mql', now() - interval '1 hour'),
                                         (13, 'lead', now() - interval '3 days');
CREATE VIEW h AS SELECT lead_id AS l, fate, decided_by AS by, from_stage, to_stage, sla, escalated_at IS NOT NULL AS escalated FROM lead_funnel.handovers WHERE funnel = 'l';

-- without an SLA nothing is overdue
SELECT lead, action FROM lead_funnel.run_due('l') ORDER BY lead;
SELECT * FROM h ORDER BY l;

-- escalated once, which moves nobody and changes no number; what was there before tracking is not handed over
SELECT lead_funnel.set_sla('l', 'mql', '24 hours', valid_from => '2020-01-01');
SELECT sla_met, sla_missed FROM lead_funnel.sal_acceptance WHERE funnel = 'l' AND handed_over > 2;
SET ROLE regress_hd_reader;
SELECT lead FROM lead_funnel.run_due('l');                      -- fails: may not update
SET ROLE regress_hd_cron;
SELECT lead, action, due_at - handed_over_at AS target FROM lead_funnel.run_due('l') ORDER BY lead;
SELECT lead, action FROM lead_funnel.run_due('l') ORDER BY lead;
SET ROLE regress_hd_owner;
SELECT id, status FROM l ORDER BY id;
SELECT * FROM h ORDER BY l;
SELECT count(*) FROM lead_funnel.funnel_history WHERE funnel = 'l' AND origin = 'expiry';
SELECT * FROM lead_funnel.verify('l');

-- sales decides after all, late
SELECT verdict FROM lead_funnel.accept('l', 10);
SELECT verdict FROM lead_funnel.accept('l', 12);
SELECT * FROM h ORDER BY l;

-- expired: to nurture, though no rule says so; the lead may be handed over again, and that is a new hand-over
SELECT lead_funnel.set_expiry('l', 'expire');
SELECT lead_funnel.forbid('l', 'mql', 'nurture');
SET ROLE regress_hd_cron;
SELECT lead, action FROM lead_funnel.run_due('l') ORDER BY lead;
SELECT lead, action FROM lead_funnel.run_due('l') ORDER BY lead;
SELECT lead FROM lead_funnel.accept('l', 11);                   -- fails: marketing has it
SET ROLE regress_hd_owner;
SELECT id, status, since > now() - interval '1 hour' AS now FROM l WHERE id = 11;
SELECT from_stage, to_stage, origin, actor, rules_version FROM lead_funnel.funnel_history WHERE funnel = 'l' AND lead_id = 11 ORDER BY move;
UPDATE l SET status = 'Hot' WHERE id = 11;
SELECT verdict FROM lead_funnel.accept('l', 11);
SELECT * FROM h WHERE l = 11 ORDER BY fate;
SELECT sum(handed_over) AS handed_over, sum(accepted) AS accepted, sum(expired) AS expired, sum(sla_met) AS met, sum(sla_missed) AS missed
FROM lead_funnel.sal_acceptance WHERE funnel = 'l';

-- an expiry is taken back by who ran the clock, within the window
INSERT INTO l (id, status, since) VALUES (14, 'Hot', now() - interval '2 days');
SET ROLE regress_hd_cron;
SELECT lead, action FROM lead_funnel.run_due('l');
SELECT to_stage FROM lead_funnel.undo_move('l', 14, 'too early');
SET ROLE regress_hd_owner;
SELECT * FROM h WHERE l = 14;
SELECT id, status FROM l WHERE id = 14;
SELECT lead, stage, state FROM lead_funnel.sla_status WHERE funnel = 'l' AND lead_id IN (11, 14) ORDER BY lead, started_at;
SELECT lead, stage, age_band, is_overdue FROM lead_funnel.stage_ageing WHERE funnel = 'l' AND lead_id = 14;
SELECT * FROM lead_funnel.verify('l');

-- row security: the clock sees what its role sees
ALTER TABLE l ENABLE ROW LEVEL SECURITY;
CREATE POLICY others ON l TO regress_hd_cron USING (id <> 14);
SET ROLE regress_hd_cron;
SELECT lead FROM lead_funnel.run_due('l');
SELECT lead FROM lead_funnel._overdue('l');
SELECT action FROM lead_funnel._expire('l', '14');
SET ROLE regress_hd_owner;

-- arguments; a funnel in which no status means nurture
SELECT lead_funnel.set_expiry('l', 'accept');
SELECT lead_funnel.set_expiry('l', NULL);
SELECT lead_funnel.run_due(NULL);
SELECT lead_funnel.run_due('nil');
CREATE TABLE n (id int PRIMARY KEY, status int);
SELECT lead_funnel.attach('n', 'status', stage_map => '{"lead": ["1"], "mql": ["2"], "sal": ["3"], "rejected": ["4"]}');
SELECT lead_funnel.set_expiry('n', 'expire');
SELECT lead_funnel.set_sla('n', 'mql', '1 microsecond');
INSERT INTO n VALUES (1, 2);
SELECT lead, action FROM lead_funnel.run_due('n');
SELECT verdict FROM lead_funnel.reject('n', 1, 'no_need');
SELECT to_stage FROM lead_funnel.undo_move('n', 1);
SELECT * FROM n;
SELECT lead_funnel.suspend('n');
SELECT lead_funnel.accept('n', 1);
SELECT lead_funnel.run_due('n');
SELECT lead_funnel.detach('n', purge => true), lead_funnel.detach('l', purge => true);
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA hd CASCADE;
DROP OWNED BY regress_hd_owner;
DROP ROLE regress_hd_owner, regress_hd_cron, regress_hd_reader;
