-- handshake: sales accepts or rejects what marketing hands over; decisions, reasons, undo; what the views say of it

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
DROP ROLE IF EXISTS regress_hs_owner, regress_hs_ann, regress_hs_bob, regress_hs_nobody;
RESET client_min_messages;

CREATE ROLE regress_hs_owner;
CREATE ROLE regress_hs_ann;
CREATE ROLE regress_hs_bob;
CREATE ROLE regress_hs_nobody;
CREATE SCHEMA hs AUTHORIZATION regress_hs_owner;
GRANT USAGE ON SCHEMA hs TO PUBLIC;
SET ROLE regress_hs_owner;
SET search_path = hs, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset null -

CREATE TABLE l (id int PRIMARY KEY, stage lead_stage, since timestamptz, why text, src text);
INSERT INTO l (id, stage) VALUES (1, 'mql'), (2, 'sal'), (3, 'rejected');
SELECT lead_funnel.attach('l', 'stage', entered_column => 'since', reason_column => 'why', source_column => 'src', timezone => 'UTC');
GRANT SELECT, INSERT, UPDATE ON l TO regress_hs_ann, regress_hs_bob;
INSERT INTO l (id, stage, since, src) SELECT i, 'mql', timestamptz '2026-01-31 12:00+00' + i * interval '1 hour', 'web' FROM generate_series(10, 20) i;
CREATE VIEW h AS
SELECT lead_id AS l, cycle AS c, move, handed_over_at AS handed, month, fate, decided_at IS NOT NULL AS at, decided_by AS by, from_stage, to_stage, reason, note
FROM lead_funnel.handovers WHERE funnel = 'l';
CREATE VIEW history AS
SELECT lead_id AS l, move, from_stage, to_stage, origin, actor, role_name, reason, note, cycle, undoes, undone_by FROM lead_funnel.funnel_history WHERE funnel = 'l';
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text; h text;
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, 'DETAIL: ' || regexp_replace(d, '\d{4}-\d\d-\d\d [0-9:.+]+', '(time)', 'g'), 'HINT: ' || h);
END
$$;
GRANT EXECUTE ON FUNCTION try(text) TO PUBLIC;
\pset format unaligned

-- a decision, and again; the other verdict says who and when
SET ROLE regress_hs_ann;
SELECT lead, verdict, from_stage, to_stage, decided_by, reason, note, move, is_new FROM lead_funnel.accept('l', 10, 'called her');
SELECT lead, verdict, from_stage, to_stage, decided_by, reason, note, move, is_new FROM lead_funnel.accept('l', 10, 'again', actor => 'carl');
SELECT lead, verdict, from_stage, to_stage, decided_by, reason, note, move, is_new FROM lead_funnel.reject('l', '11', 'no_budget', actor => 'carl');
SELECT lead, verdict, from_stage, to_stage, decided_by, reason, note, move, is_new FROM lead_funnel.reject('l', 11, 'no_need');
SET ROLE regress_hs_bob;
SELECT try($$SELECT lead_funnel.reject('l', 10, 'no_need')$$);
SELECT try($$SELECT lead_funnel.accept('l', 11)$$);
UPDATE l SET stage = 'sql' WHERE id = 10;
SELECT verdict, to_stage, decided_by, move, is_new FROM lead_funnel.accept('l', 10);
-- a plain UPDATE leads to the same
UPDATE l SET stage = 'sal' WHERE id = 12;
UPDATE l SET stage = 'rejected', why = 'hates us' WHERE id = 13;
SELECT verdict, decided_by, move, is_new FROM lead_funnel.accept('l', 12);
SELECT verdict, decided_by, reason, move, is_new FROM lead_funnel.reject('l', 13, 'no_need');
SELECT try($$SELECT lead_funnel.accept('l', 13)$$);
-- back to marketing
SELECT try($$SELECT lead_funnel.recycle('l', 12, '  ')$$), try($$SELECT lead_funnel.recycle('l', 14, 'not mine')$$);
SELECT lead, verdict, from_stage, to_stage, decided_by, reason, move, is_new FROM lead_funnel.recycle('l', 12, 'next year', 'call in May');
SELECT lead, verdict, reason, move, is_new FROM lead_funnel.recycle('l', 12, 'whenever');
SELECT verdict, move, is_new FROM lead_funnel.accept('l', 12);
-- what was there before tracking can be decided, and was decided by nobody known
SELECT lead, verdict, from_stage, decided_by, move, is_new FROM lead_funnel.accept('l', 1);
SELECT lead, verdict, from_stage, decided_by, move, is_new FROM lead_funnel.accept('l', 2);
SELECT try($$SELECT lead_funnel.accept('l', 3)$$);
-- arguments, rights
SELECT try($$SELECT lead_funnel.accept(NULL, 3)$$), try($$SELECT lead_funnel.accept('l', NULL::int)$$), try($$SELECT lead_funnel.accept('l', 99)$$),
       try($$SELECT lead_funnel.accept('nil', 99)$$);
SET ROLE regress_hs_nobody;
SELECT try($$SELECT lead_funnel.accept('l', 14)$$), try($$SELECT lead_funnel._decision('l', '10', false)$$), try($$SELECT lead_funnel.undo_move('l', 12)$$),
       try($$SELECT lead_funnel.run_due('l')$$);
SET ROLE regress_hs_owner;
SELECT * FROM history WHERE l IN (10, 11, 12, 13) AND move > 1 ORDER BY l, move;

-- reason codes: those that are shipped, then the funnel's own
SELECT count(*), string_agg(code, ' ' ORDER BY position) FILTER (WHERE needs_note) AS needs_note FROM lead_funnel.reason_codes WHERE funnel = 'l';
SELECT try($$SELECT lead_funnel.reject('l', 14, 'dunno')$$), try($$SELECT lead_funnel.reject('l', 14, NULL)$$), try($$SELECT lead_funnel.reject('l', 14, 'other')$$),
       try($$SELECT lead_funnel.reject('l', 14, 'other', E' \n')$$);
SELECT lead_funnel.add_reason_code('l', 'Falsche Region', 'außerhalb DACH'), lead_funnel.add_reason_code('l', 'no_need', needs_note => true), lead_funnel.remove_reason_code('l', 'competitor');
SELECT lead_funnel.remove_reason_code('l', 'competitor');
SELECT code, position, label, needs_note FROM lead_funnel.reason_codes WHERE funnel = 'l' AND position > 10 OR code = 'no_need' ORDER BY position;
SELECT try($$SELECT lead_funnel.reject('l', 14, 'competitor')$$), try($$SELECT lead_funnel.reject('l', 14, 'no_need')$$);
SELECT verdict, reason FROM lead_funnel.reject('l', 14, 'Falsche Region');
SELECT try($$SELECT lead_funnel.add_reason_code('l', ' ')$$), try($$SELECT lead_funnel.add_reason_code('l', NULL)$$), try($$SELECT lead_funnel.add_reason_code('l', 'x', needs_note => NULL)$$);
SELECT lead_funnel.remove_reason_code('l', code) FROM lead_funnel.reason_codes WHERE funnel = 'l' \g /dev/null
SELECT try($$SELECT lead_funnel.reject('l', 15, 'no_need')$$);
SET ROLE regress_hs_ann;
SELECT try($$SELECT lead_funnel.add_reason_code('l', 'mine')$$), try($$SELECT lead_funnel.remove_reason_code('l', 'no_need')$$), try($$SELECT lead_funnel.set_undo_window('l', '1 day')$$),
       try($$SELECT lead_funnel.set_expiry('l', 'expire')$$);

-- undo: as if it had not been
INSERT INTO l (id, stage, since, src) VALUES (30, 'lead', '2026-02-01', 'web');
UPDATE l SET stage = 'mql', since = '2026-02-02' WHERE id = 30;
SELECT verdict FROM lead_funnel.accept('l', 30, actor => 'ann');
UPDATE l SET src = 'fair' WHERE id = 30;
SELECT try($$SELECT lead_funnel.undo_move('l', 30, 'oops')$$);
SELECT try($$SELECT lead_funnel.undo_move('l', 30, 'oops', actor => 'bea')$$);
SET ROLE regress_hs_bob;
SELECT try($$SELECT lead_funnel.undo_move('l', 30, 'oops', actor => 'ann')$$);
SET ROLE regress_hs_ann;
SELECT lead, from_stage, to_stage, effective_at = now() AS now, move FROM lead_funnel.undo_move('l', 30, 'oops', 'wrong lead', 'ann');
SELECT * FROM l WHERE id = 30;
SET ROLE regress_hs_owner;
SELECT * FROM h WHERE l = 30;
SELECT cycle, stage, entered_at, exited_at, source FROM lead_funnel.lead_visits WHERE funnel = 'l' AND lead_id = 30 ORDER BY entered_at;
SELECT mql_at, handed_over_at, sal_at, furthest_stage FROM lead_funnel.lead_milestones WHERE funnel = 'l' AND lead_id = 30;
SELECT stage, source, sum(entries) AS entries, sum(exits) AS exits, sum(adjustments) AS adjustments FROM lead_funnel.funnel_flow
WHERE funnel = 'l' AND (source = 'fair' OR stage = 'lead') GROUP BY 1, 2 ORDER BY 1, 2;
-- the owner may for everybody, but not in the name of another one; and on, move by move, but not beyond the entry
SELECT from_stage, to_stage FROM lead_funnel.undo_move('l', 13);
SELECT lead_funnel.add_reason_code('l', 'x');
SELECT verdict, decided_by FROM lead_funnel.reject('l', 13, 'x', actor => 'eve');
SELECT try($$SELECT lead_funnel.undo_move('l', 13, actor => 'ann')$$);
SELECT from_stage, to_stage FROM lead_funnel.undo_move('l', 30);
SELECT try($$SELECT lead_funnel.undo_move('l', 30)$$), try($$SELECT lead_funnel.undo_move('l', 2)$$), try($$SELECT lead_funnel.undo_move('l', 98)$$), try($$SELECT lead_funnel.undo_move('l', NULL::int)$$);
SELECT * FROM history WHERE l = 30 ORDER BY move;
SELECT since, stage FROM l WHERE id = 30;
DELETE FROM l WHERE id = 20;
SELECT try($$SELECT lead_funnel.undo_move('l', 20)$$);
-- an ended cycle is open again; a new one has not begun
UPDATE l SET stage = 'sal' WHERE id = 16;
UPDATE l SET stage = 'recycled' WHERE id = 16;
SELECT from_stage, to_stage FROM lead_funnel.undo_move('l', 16);
UPDATE l SET stage = 'recycled' WHERE id = 16;
UPDATE l SET stage = 'mql' WHERE id = 16;
SELECT from_stage, to_stage FROM lead_funnel.undo_move('l', 16);
SELECT cycle, end_stage, furthest_stage FROM lead_funnel.lead_milestones WHERE funnel = 'l' AND lead_id = 16;
UPDATE l SET stage = 'mql' WHERE id = 16;
SELECT l, c, fate FROM h WHERE l = 16 ORDER BY move;
-- the window
SELECT lead_funnel.set_undo_window('l', '0');
SELECT try($$SELECT lead_funnel.undo_move('l', 16)$$) ~ '^55000: the last move of lead "16" can no longer be taken back\nDETAIL: It went from "recycled" to "mql" by regress_hs_owner' AS over;
SELECT try($$SELECT lead_funnel.set_undo_window('l', '8 days')$$), try($$SELECT lead_funnel.set_undo_window('l', '-1 s')$$), try($$SELECT lead_funnel.set_undo_window('l', NULL)$$);
SELECT lead_funnel.set_undo_window('l', '1 hour');
SELECT from_stage, to_stage FROM lead_funnel.undo_move('l', 16);
-- within a transaction, savepoints
BEGIN;
UPDATE l SET stage = 'sal' WHERE id = 17;
SAVEPOINT a;
SELECT to_stage FROM lead_funnel.undo_move('l', 17);
ROLLBACK TO a;
SELECT verdict, is_new FROM lead_funnel.accept('l', 17);
SELECT to_stage FROM lead_funnel.undo_move('l', 17);
SELECT verdict, is_new FROM lead_funnel.accept('l', 17);
COMMIT;
SELECT move, from_stage, to_stage, origin, undoes, undone_by FROM history WHERE l = 17 ORDER BY move;
-- many at once, in a query that reads the table
SELECT lead_funnel.accept('l', id) FROM l WHERE id IN (18, 19) \g /dev/null
SELECT lead_funnel.undo_move('l', id) FROM l WHERE id IN (18, 19) \g /dev/null
SELECT l, fate FROM h WHERE l IN (18, 19) ORDER BY l;
SELECT * FROM lead_funnel.verify('l');

-- nobody writes undo or expiry but through the functions; within their UPDATE no other lead gets it
SELECT try($$SELECT lead_funnel._put_status('l', '18', 'nurture', NULL, false, NULL)$$);
SELECT try($$SELECT lead_funnel._put_status('l', '18', 'won', NULL, false, NULL)$$);
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE l SET stage = 'rejected', why = concat(why, '!') WHERE id = 15 AND stage = 'mql';
    RETURN NEW;
END
$$;
CREATE TRIGGER elsewhere BEFORE UPDATE ON l FOR EACH ROW WHEN (NEW.id = 19) EXECUTE FUNCTION elsewhere();
UPDATE l SET stage = 'sal' WHERE id = 19;
UPDATE l SET stage = 'nurture' WHERE id = 15;
UPDATE l SET stage = 'mql' WHERE id = 15;
SELECT to_stage FROM lead_funnel.undo_move('l', 19);
SELECT l, from_stage, to_stage, origin FROM history WHERE l IN (15, 18, 19) AND move > 1 ORDER BY l, move;
-- a trigger that does something else with the row
CREATE OR REPLACE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.stage := OLD.stage; RETURN NEW; END $$;
UPDATE l SET stage = 'nurture' WHERE id = 18;
DROP TRIGGER elsewhere ON l;
UPDATE l SET stage = 'mql' WHERE id = 18;
CREATE TRIGGER elsewhere BEFORE UPDATE ON l FOR EACH ROW WHEN (NEW.id = 18) EXECUTE FUNCTION elsewhere();
SELECT try($$SELECT lead_funnel.undo_move('l', 18)$$);
DROP TRIGGER elsewhere ON l;
SELECT * FROM lead_funnel.verify('l');

-- month and numbers, by hand: time zones, formulas, empty denominators
SELECT month, source, handed_over AS h, accepted AS a, rejected AS r, expired AS e, withdrawn AS w, undecided AS u, round(sal_rate::numeric, 3) AS sal_rate,
       round(acceptance_rate_decided::numeric, 3) AS decided, round(rejection_rate::numeric, 3) AS rejection_rate, sla_met, sla_missed, is_mature
FROM lead_funnel.sal_acceptance WHERE funnel = 'l' AND month < '2026-03-01' ORDER BY month, source;
SELECT month, source, reason, from_stage, rules_version, rejections, rejected, round(share::numeric, 3) AS share FROM lead_funnel.rejection_reasons
WHERE funnel = 'l' AND month < '2026-03-01' ORDER BY month, source, reason;
SELECT l, handed, month, fate, by, from_stage, to_stage, reason, note FROM h WHERE handed < '2026-03-01' ORDER BY l, move;
SELECT lead_funnel.alter_funnel('l', timezone => 'Pacific/Auckland');
SELECT month, sum(handed_over) AS handed_over FROM lead_funnel.sal_acceptance WHERE funnel = 'l' AND month < '2026-03-01' GROUP BY 1 ORDER BY 1;

-- a column that says when; statuses of a CRM; days; a table that is partitioned by status
CREATE TABLE d (code text NOT NULL, status text, day date, handed date) PARTITION BY LIST (status);
CREATE TABLE d_new PARTITION OF d FOR VALUES IN ('New', NULL, 'Old', 'Hot', 'Hotter');
CREATE TABLE d_rest PARTITION OF d DEFAULT;
INSERT INTO d VALUES ('b1', 'Hot', '2026-03-01', '2026-03-02'), ('b2', 'Hot', '2026-03-01', NULL);
SELECT lead_funnel.attach('d', 'status', key_column => 'code', entered_column => 'day', handover_column => 'handed', timezone => 'UTC', preset => 'open',
                          stage_map => '{"lead": ["New", null, "Old"], "mql": ["Hot", "Hotter"], "sal": ["Taken"], "nurture": ["Later"]}');
CREATE VIEW hd AS SELECT lead AS l, move, handed_over_at::date AS handed, fate, decided_move, to_stage FROM lead_funnel.handovers WHERE funnel = 'd';
INSERT INTO d VALUES ('k', 'Old', '2026-03-01'), ('n', NULL, '2026-03-01'), ('m', 'Hot', '2026-03-01');
UPDATE d SET status = 'Hotter', day = '2026-03-05' WHERE code = 'k';
UPDATE d SET status = 'Hot', day = '2026-03-05' WHERE code = 'n';
SELECT * FROM hd;
SELECT from_stage, to_stage FROM lead_funnel.undo_move('d', 'k') UNION ALL SELECT from_stage, to_stage FROM lead_funnel.undo_move('d', 'n');
SELECT * FROM d WHERE code IN ('k', 'n') ORDER BY code;
-- given with the move it goes with it; corrected it is the same hand-over; after nurture it is another one
UPDATE d SET status = 'Hot', day = '2026-03-06', handed = '2026-03-07' WHERE code = 'k';
SELECT to_stage FROM lead_funnel.undo_move('d', 'k');
SELECT * FROM d WHERE code = 'k';
SELECT * FROM hd;
UPDATE d SET status = 'Hot', handed = '2026-03-07' WHERE code = 'k';
UPDATE d SET handed = '2026-03-04' WHERE code = 'k';
UPDATE d SET status = 'Later' WHERE code = 'k';
UPDATE d SET status = 'Hot' WHERE code = 'k';
SELECT * FROM hd;
UPDATE d SET handed = '2026-03-09' WHERE code = 'k';
SELECT verdict, to_stage FROM lead_funnel.accept('d', 'k');
SELECT status FROM d WHERE code = 'k';
SELECT * FROM hd ORDER BY move;
-- a date that comes late; a backfilled one; back to mql, where no rule forbids it
UPDATE d SET status = 'Taken' WHERE code = 'm';
UPDATE d SET handed = '2026-03-03' WHERE code = 'm';
UPDATE d SET handed = '2026-03-03' WHERE code = 'b1';
UPDATE d SET handed = '2026-03-03' WHERE code = 'b2';
UPDATE d SET status = 'Hot' WHERE code = 'k';
SELECT verdict, is_new FROM lead_funnel.accept('d', 'k');
UPDATE d SET status = 'Hot', handed = '2026-03-11' WHERE code = 'k';
SELECT verdict, is_new FROM lead_funnel.reject('d', 'k', 'bad_data');
SELECT * FROM hd ORDER BY l, move;
-- the last date before the decision counts, everywhere; one that comes on the way back to nurture is none
INSERT INTO d VALUES ('r', 'Hot', '2026-03-01', '2026-03-05'), ('s', 'Hot', '2026-03-01', '2026-03-05'), ('t', 'Later', '2026-03-01', NULL),
                     ('v', 'Hot', '2026-03-01', '2026-03-02');
UPDATE d SET handed = '2026-03-03' WHERE code = 'r';
UPDATE d SET status = 'Taken', day = '2026-03-06' WHERE code = 's';
UPDATE d SET handed = '2026-04-05' WHERE code = 's';
UPDATE d SET handed = '2026-03-02' WHERE code = 't';
UPDATE d SET status = 'Hot', day = '2026-03-04', handed = '2026-03-03' WHERE code = 't';
UPDATE d SET status = 'Later', day = '2026-03-03', handed = '2026-03-03' WHERE code = 'v';
SELECT * FROM hd WHERE l IN ('r', 's', 't', 'v') ORDER BY l, move;
SELECT lead, handed_over_at::date AS handed, sal_at::date FROM lead_funnel.lead_milestones WHERE funnel = 'd' AND lead IN ('r', 's', 't', 'v') ORDER BY lead;
UPDATE d SET handed = '2026-03-04' WHERE code = 'v';
SELECT verdict FROM lead_funnel.accept('d', 't');
SELECT * FROM hd WHERE l IN ('t', 'v') ORDER BY l, move;
SELECT * FROM lead_funnel.verify('d');
DELETE FROM d WHERE code = 'b2';
TRUNCATE d;
SELECT * FROM hd ORDER BY l, move;
SELECT * FROM lead_funnel.verify('d');

-- a month is mature when it is over and all that is undecided in it is overdue
CREATE TABLE m (id int PRIMARY KEY, stage lead_stage, since timestamptz);
SELECT lead_funnel.attach('m', 'stage', entered_column => 'since', timezone => 'UTC');
SELECT lead_funnel.set_sla('m', 'mql', '24 hours', valid_from => '2026-02-20');
INSERT INTO m VALUES (1, 'mql', '2026-01-10'), (2, 'mql', '2026-02-20');
SELECT month, undecided, sla_missed, is_mature FROM lead_funnel.sal_acceptance WHERE funnel = 'm' ORDER BY month;
SELECT lead_funnel.set_sla('m', 'mql', '999999 hours', valid_from => '2026-01-01');
SELECT lead_funnel.set_sla('m', 'mql', '1 hour', valid_from => '2026-02-01');
SELECT month, undecided, sla_missed, is_mature FROM lead_funnel.sal_acceptance WHERE funnel = 'm' ORDER BY month;

-- keys of other types
CREATE TABLE u (id uuid PRIMARY KEY, stage lead_stage);
SELECT lead_funnel.attach('u', 'stage');
INSERT INTO u VALUES ('00000000-0000-0000-0000-000000000001', 'mql');
SELECT verdict FROM lead_funnel.accept('u', uuid '00000000-0000-0000-0000-000000000001');
SELECT to_stage FROM lead_funnel.undo_move('u', uuid '00000000-0000-0000-0000-000000000001');
SELECT verdict FROM lead_funnel.reject('u', uuid '00000000-0000-0000-0000-000000000001', 'no_need');
SELECT to_stage FROM lead_funnel.undo_move('u', '{00000000-0000-0000-0000-000000000001}');
SELECT count(*) FROM lead_funnel.reject('u', '00000000-0000-0000-0000-000000000001', 'bad_data');

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{l,d,u,m}'::name[]) f;
RESET ROLE;
SELECT count(*) AS left FROM (SELECT funnel_id FROM lead_funnel.handshake UNION ALL SELECT funnel_id FROM lead_funnel.reason_code) x;
SET client_min_messages = warning;
DROP SCHEMA hs CASCADE;
DROP OWNED BY regress_hs_owner;
DROP ROLE regress_hs_owner, regress_hs_ann, regress_hs_bob, regress_hs_nobody;
