-- handshake_random: random histories of leads; each hand-over has one fate, and all numbers agree

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_hr_owner;
CREATE SCHEMA hr AUTHORIZATION regress_hr_owner;
SET ROLE regress_hr_owner;
SET search_path = hr, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

-- plain: entering mql hands over; dated: a column says when; open: any move, keys are texts
CREATE TABLE plain (id int PRIMARY KEY, stage lead_stage NOT NULL, src text, amount numeric, since timestamptz, gone boolean);
CREATE TABLE dated (id int PRIMARY KEY, stage text, src text, handed timestamptz, gone boolean);
CREATE TABLE anyway (id text PRIMARY KEY, stage text, src text, amount int, gone boolean);
INSERT INTO plain (id, stage) SELECT i, (ARRAY['lead', 'mql', 'sal', 'rejected'])[1 + i % 4]::lead_stage FROM generate_series(1, 8) i;
INSERT INTO dated (id, stage, handed) SELECT i, (ARRAY['lead', 'mql', 'sal', 'rejected'])[1 + i % 4], '2026-01-01' FROM generate_series(1, 8) i;
INSERT INTO anyway (id, stage) SELECT i, (ARRAY['lead', 'mql', 'sal', 'rejected'])[1 + i % 4] FROM generate_series(1, 8) i;
SELECT lead_funnel.attach('plain', 'stage', source_column => 'src', value_column => 'amount', entered_column => 'since', excluded_column => 'gone', timezone => 'UTC');
SELECT lead_funnel.attach('dated', 'stage', source_column => 'src', handover_column => 'handed', excluded_column => 'gone', timezone => 'UTC',
                          stage_map => '{"mql": ["Hot", "mql"], "nurture": ["Later"]}');
SELECT lead_funnel.attach('anyway', 'stage', preset => 'open', source_column => 'src', value_column => 'amount', excluded_column => 'gone', timezone => 'UTC');
SELECT lead_funnel.set_sla(f, 'mql', '1 microsecond', valid_from => '2020-01-01') FROM unnest('{plain,dated,anyway}'::name[]) f;
SELECT lead_funnel.set_expiry('plain', 'expire'), lead_funnel.set_expiry('anyway', 'expire');

-- one of many things, to one of few leads; what the rules refuse is left undone
CREATE TABLE done (f name, what text, refused text, times int, PRIMARY KEY (f, what, refused));
CREATE SEQUENCE new_key START 101;
CREATE PROCEDURE one_thing(f name) LANGUAGE plpgsql AS $$
DECLARE
    k int := CASE WHEN random() < 0.9 THEN 1 + floor(random() * 40) ELSE (SELECT last_value - floor(random() * 5) FROM new_key) END;
    stages text[] := '{lead,lead,mql,mql,mql,sal,sql,opportunity,won,nurture,recycled,rejected,disqualified,lost}';
    stage text := stages[1 + floor(random() * 14)];
    src text := (ARRAY['web', 'fair', NULL])[1 + floor(random() * 3)];
    -- run_due leaves nobody waiting, so it comes seldom
    things text[] := '{update,update,update,update,update,update,update,update,insert,insert,insert,insert,insert,accept,accept,reject,recycle,undo,undo,undo,dims,dims,gone,delete,date,update date,twice,twice,savepoint,two,rename}';
    what text := CASE WHEN random() < 0.01 THEN 'run_due' ELSE things[1 + floor(random() * 31)] END;
    refused text := '';
BEGIN
    IF random() < 0.002 THEN
        what := 'truncate';
    END IF;
    IF f <> 'dated' AND what IN ('date', 'update date') THEN
        what := 'update';
    END IF;
    BEGIN
        PERFORM set_config('lead_funnel.reason', 'why ' || k % 3, true);
        CASE what
            WHEN 'update' THEN EXECUTE format('UPDATE %I SET stage = %L WHERE id = %L', f, stage, k);
            WHEN 'insert' THEN EXECUTE format('INSERT INTO %I (id, stage, src) VALUES (%L, %L, %L)', f, k, (ARRAY['lead', 'mql'])[1 + floor(random() * 2)], src);
            WHEN 'accept' THEN PERFORM lead_funnel.accept(f, k::text);
            WHEN 'reject' THEN PERFORM lead_funnel.reject(f, k::text, 'no_need');
            WHEN 'recycle' THEN PERFORM lead_funnel.recycle(f, k::text, 'later');
            WHEN 'undo' THEN PERFORM lead_funnel.undo_move(f, k::text, 'wrong button');
            WHEN 'dims' THEN EXECUTE format('UPDATE %I SET src = %L%s WHERE id = %L', f, src, CASE WHEN f <> 'dated' THEN ', amount = 10 * random()' END, k);
            WHEN 'gone' THEN EXECUTE format('UPDATE %I SET gone = NOT coalesce(gone, false) WHERE id = %L', f, k);
            WHEN 'delete' THEN EXECUTE format('DELETE FROM %I WHERE id = %L', f, k);
            WHEN 'date' THEN UPDATE dated SET handed = now() - random() * interval '90 days' WHERE id = k;
            WHEN 'update date' THEN UPDATE dated SET stage = 'Hot', handed = now() WHERE id = k;
            WHEN 'twice' THEN
                EXECUTE format('UPDATE %I SET stage = %L WHERE id = %L', f, stage, k);
                PERFORM lead_funnel.undo_move(f, k::text);
                EXECUTE format('UPDATE %I SET stage = %L, src = ''twice'' WHERE id = %L', f, stage, k);
            WHEN 'savepoint' THEN
                BEGIN
                    PERFORM lead_funnel.undo_move(f, k::text, 'rolled back');
                    RAISE EXCEPTION 'roll back' USING ERRCODE = 'XX001';
                EXCEPTION WHEN SQLSTATE 'XX001' THEN
                    NULL;
                END;
            WHEN 'two' THEN
                PERFORM lead_funnel.undo_move(f, k::text);
                EXECUTE format('UPDATE %I SET src = %L WHERE id = %L', f, src, k);
                PERFORM lead_funnel.undo_move(f, k::text);
            WHEN 'run_due' THEN PERFORM lead_funnel.run_due(f);
            WHEN 'rename' THEN EXECUTE format('UPDATE %I SET id = %L WHERE id = %L', f, nextval('new_key'), k);
            WHEN 'truncate' THEN EXECUTE format('TRUNCATE %I', f);
        END CASE;
    EXCEPTION WHEN check_violation OR no_data_found OR unique_violation OR object_not_in_prerequisite_state THEN
        refused := SQLSTATE;
    END;
    INSERT INTO done VALUES (f, what, refused, 1) ON CONFLICT ON CONSTRAINT done_pkey DO UPDATE SET times = done.times + 1;
END
$$;
CREATE PROCEDURE many(times int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. times LOOP
        CALL one_thing((ARRAY['plain', 'dated', 'anyway'])[1 + i % 3]);
        IF random() < 0.7 THEN
            COMMIT;
        END IF;
    END LOOP;
END
$$;

-- what views and functions must say, told another way
CREATE FUNCTION problems() RETURNS TABLE (f text, problem text, what text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT 'plain', c.* FROM check_funnel('plain', 'SELECT id AS lead, stage, src AS source, amount AS value FROM plain WHERE gone IS NOT TRUE') c;
    RETURN QUERY SELECT 'dated', c.* FROM check_funnel('dated', 'SELECT id AS lead, CASE stage WHEN ''Hot'' THEN ''mql'' WHEN ''Later'' THEN ''nurture'' ELSE stage END AS stage, src AS source FROM dated WHERE gone IS NOT TRUE') c;
    RETURN QUERY SELECT 'anyway', c.* FROM check_funnel('anyway', 'SELECT id AS lead, stage, src AS source, amount AS value FROM anyway WHERE gone IS NOT TRUE') c;

    -- where entering mql hands over, the next move that counts is its fate
    RETURN QUERY
    WITH moves AS (
        SELECT h.*, lead(h.to_stage) OVER w AS next_to, lead(h.move) OVER w AS next_move, lead(h.origin) OVER w AS next_origin,
               lead(h.from_stage) OVER w AS next_from, lead(h.effective_at) OVER w AS next_at,
               EXISTS (SELECT FROM lead_funnel.funnel_history x WHERE x.funnel = h.funnel AND x.lead IS NULL AND x.recorded_at >= h.recorded_at) AS all_out
        FROM lead_funnel.funnel_history h
        WHERE h.funnel IN ('plain', 'anyway') AND h.lead IS NOT NULL AND h.undoes IS NULL AND h.undone_by IS NULL
        WINDOW w AS (PARTITION BY h.funnel, h.lead ORDER BY h.move)),
    expected AS (
        SELECT funnel, lead, move, effective_at, source,
               CASE WHEN next_from IS NULL THEN CASE WHEN all_out THEN 'withdrawn' ELSE 'undecided' END
                    WHEN next_to IN ('sal', 'sql', 'opportunity', 'won') THEN 'accepted'
                    WHEN next_to IN ('rejected', 'disqualified', 'recycled', 'lost') THEN 'rejected'
                    WHEN next_origin = 'expiry' THEN 'expired'
                    ELSE 'withdrawn' END AS fate,
               CASE WHEN next_from IS NOT NULL THEN next_move END AS decided_move,
               CASE WHEN next_from IS NOT NULL THEN next_to END AS to_stage
        FROM moves WHERE to_stage = 'mql' AND origin <> 'backfill'),
    found AS (SELECT funnel, lead, move, handed_over_at, source, fate, decided_move, to_stage FROM lead_funnel.handovers WHERE funnel IN ('plain', 'anyway'))
    SELECT x.funnel, 'hand-overs', x::text FROM ((TABLE expected EXCEPT ALL TABLE found) UNION ALL (TABLE found EXCEPT ALL TABLE expected)) x;

    -- the partition, and the views that build on it
    RETURN QUERY SELECT h.funnel, 'fate', h::text FROM lead_funnel.handovers h
    WHERE h.fate NOT IN ('accepted', 'rejected', 'expired', 'withdrawn', 'undecided') OR h.fate IS NULL
       OR (h.fate = 'undecided') <> (h.decided_at IS NULL) OR (h.fate = 'undecided') <> (h.decided_by IS NULL);
    RETURN QUERY SELECT s.funnel, 'partition', s::text FROM lead_funnel.sal_acceptance s
    WHERE s.accepted + s.rejected + s.expired + s.withdrawn + s.undecided <> s.handed_over;
    RETURN QUERY SELECT h.funnel, 'sums', concat_ws(' ', h.n, s.n)
    FROM (SELECT x.funnel, count(*) AS n FROM lead_funnel.handovers x GROUP BY 1) h
    FULL JOIN (SELECT x.funnel, sum(x.handed_over) AS n FROM lead_funnel.sal_acceptance x GROUP BY 1) s USING (funnel)
    WHERE h.n IS DISTINCT FROM s.n;
    RETURN QUERY SELECT s.funnel, 'reasons', concat_ws(' ', s.month, s.rejected, r.n, r.share)
    FROM (SELECT x.funnel, x.month, x.source, sum(x.rejected) AS rejected FROM lead_funnel.sal_acceptance x GROUP BY 1, 2, 3) s
    LEFT JOIN (SELECT x.funnel, x.month, x.source, sum(x.rejections) AS n, sum(x.share) AS share FROM lead_funnel.rejection_reasons x GROUP BY 1, 2, 3) r
        USING (funnel, month, source)
    WHERE s.rejected <> coalesce(r.n, 0) OR abs(r.share - 1) > 1e-9;

    -- what is undecided waits in the table, in a stage in which it may
    RETURN QUERY SELECT h.funnel, 'waits elsewhere', h::text FROM lead_funnel.handovers h
    JOIN LATERAL (SELECT v.stage FROM lead_funnel.lead_visits v WHERE v.funnel = h.funnel AND v.lead = h.lead AND v.exited_at IS NULL) v ON true
    WHERE h.fate = 'undecided' AND v.stage <> 'mql' AND NOT (h.funnel = 'dated' AND v.stage IN ('lead', 'nurture'));
    RETURN QUERY SELECT h.funnel, 'waits twice', h.lead FROM lead_funnel.handovers h WHERE h.fate = 'undecided' GROUP BY h.funnel, h.lead HAVING count(*) > 1;
END
$$;

-- of what has been decided accept() says the same as the view
CREATE FUNCTION answers() RETURNS TABLE (f text, lead text, answer text, fate text) LANGUAGE plpgsql AS $$
DECLARE
    l record;
BEGIN
    FOR l IN SELECT v.funnel, v.lead, h.fate, h.decided_move, h.decided_by FROM lead_funnel.lead_visits v
             LEFT JOIN LATERAL (SELECT * FROM lead_funnel.handovers h WHERE h.funnel = v.funnel AND h.lead = v.lead ORDER BY h.move DESC LIMIT 1) h ON true
             LEFT JOIN LATERAL (SELECT max(c.cycle) AS cycle FROM lead_funnel.handovers c WHERE c.funnel = v.funnel AND c.lead = v.lead) c ON true
             WHERE v.exited_at IS NULL AND v.stage NOT IN ('lead', 'mql', 'nurture') AND c.cycle = v.cycle AND h.fate IN ('accepted', 'rejected') LOOP
        f := l.funnel;
        lead := l.lead;
        fate := concat_ws(' ', l.fate, l.decided_move, l.decided_by);
        BEGIN
            SELECT concat_ws(' ', a.verdict, a.move, a.decided_by, CASE WHEN a.is_new THEN 'new' END) INTO answer FROM lead_funnel.accept(l.funnel, l.lead) a;
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            answer := 'rejected';
            fate := split_part(fate, ' ', 1);
        END;
        IF answer IS DISTINCT FROM fate THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

\set ECHO queries
SELECT setseed(0.5);
CALL many(1500);
SELECT * FROM problems();
SELECT * FROM answers();
SELECT setseed(0.25);
CALL many(1500);
SELECT * FROM problems();
SELECT * FROM answers();
\set ECHO all

-- all of it has been seen
SELECT string_agg(DISTINCT what, ' ' ORDER BY what) AS done FROM done WHERE refused = '';
SELECT string_agg(DISTINCT what, ' ' ORDER BY what) AS refused FROM done WHERE refused <> '';
SELECT funnel, string_agg(DISTINCT fate, ' ' ORDER BY fate) AS fates FROM lead_funnel.handovers WHERE funnel IN ('plain', 'dated', 'anyway') GROUP BY 1 ORDER BY 1;
SELECT funnel, count(*) FILTER (WHERE undone_by IS NOT NULL) > 5 AS undone, count(*) FILTER (WHERE undone_by IS NOT NULL) = count(undoes) AS each_once
FROM lead_funnel.funnel_history WHERE funnel IN ('plain', 'dated', 'anyway') GROUP BY 1 ORDER BY 1;
SELECT funnel, count(*) > 0 AS escalated FROM lead_funnel.handovers WHERE escalated_at IS NOT NULL AND funnel IN ('plain', 'dated', 'anyway') GROUP BY 1 ORDER BY 1;

-- and computed anew from the journal it is the same
SELECT lead_funnel.rebuild(f) FROM unnest('{plain,dated,anyway}'::name[]) f;
SELECT * FROM problems();

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{plain,dated,anyway}'::name[]) f;
RESET ROLE;
SELECT count(*) FROM lead_funnel.handshake;
SET client_min_messages = warning;
DROP SCHEMA hr CASCADE;
DROP OWNED BY regress_hr_owner;
DROP ROLE regress_hr_owner;
