-- Who may do what: writers, owners, readers, everybody; and what the extension lends nobody

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
DROP ROLE IF EXISTS regress_lf_owner, regress_lf_other, regress_lf_writer, regress_lf_reader, regress_lf_sales;
RESET client_min_messages;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset null -

-- nothing of ours is anybody's
SELECT c.relkind, c.relname, a.privilege_type
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE c.relnamespace = 'lead_funnel'::regnamespace AND a.grantee <> c.relowner ORDER BY 1, 2, 3;
SELECT c.relname, t.attname FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid
WHERE c.relnamespace = 'lead_funnel'::regnamespace AND t.attacl IS NOT NULL;
SELECT array_agg(DISTINCT a.privilege_type) AS schema_for_public
FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a WHERE n.nspname = 'lead_funnel' AND a.grantee = 0;
SELECT p.oid::regprocedure AS definer_without_path FROM pg_proc p
WHERE p.pronamespace = 'lead_funnel'::regnamespace AND p.prosecdef
  AND NOT coalesce(p.proconfig && '{"search_path=pg_catalog, pg_temp"}'::text[], false) ORDER BY 1;
SELECT p.oid::regprocedure AS definer, has_function_privilege('public', p.oid, 'EXECUTE') AS for_public FROM pg_proc p
WHERE p.pronamespace = 'lead_funnel'::regnamespace AND p.prosecdef AND p.prorettype <> 'event_trigger'::regtype
ORDER BY p.proname;
SELECT p.oid::regprocedure AS without_comment FROM pg_proc p
WHERE p.pronamespace = 'lead_funnel'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT c.relname AS without_comment, t.attname
FROM pg_class c LEFT JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0 AND c.relkind = 'v' AND c.relname NOT LIKE '\_%'
WHERE c.relnamespace = 'lead_funnel'::regnamespace AND c.relkind IN ('r', 'v') AND col_description(c.oid, coalesce(t.attnum, 0)) IS NULL
  AND (t.attnum IS NOT NULL OR obj_description(c.oid, 'pg_class') IS NULL) ORDER BY 1, 2;
-- private functions that change something are nobody's; lf_as_owner asks who owns the table; the parts of move() and of the handshake run as the caller
SELECT p.proname AS private_and_public FROM pg_proc p
WHERE p.pronamespace = 'lead_funnel'::regnamespace AND p.proname LIKE '\_%' AND p.provolatile = 'v'
  AND has_function_privilege('public', p.oid, 'EXECUTE') AND p.prosrc NOT IN ('lf_as_owner', 'lf_as_owner_unchecked') AND p.proname NOT LIKE '\_move%'
  AND p.proname <> ALL ('{_last_move,_target,_lock_lead,_update_lead,_put_status,_decide,_decision,_undo,_waiting,_overdue,_expire,_automatic_leads,_automatic_stages}')
ORDER BY 1;
SELECT p.proname AS trigger_and_public FROM pg_proc p
WHERE p.pronamespace = 'lead_funnel'::regnamespace AND p.prorettype = 'trigger'::regtype AND has_function_privilege('public', p.oid, 'EXECUTE');

CREATE ROLE regress_lf_owner;
CREATE ROLE regress_lf_other;
CREATE ROLE regress_lf_writer;
CREATE ROLE regress_lf_reader;
CREATE ROLE regress_lf_sales;
CREATE SCHEMA pr AUTHORIZATION regress_lf_owner;
GRANT USAGE ON SCHEMA pr TO PUBLIC;
GRANT CREATE ON SCHEMA pr TO regress_lf_other;
CREATE FUNCTION pr.try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

-- the owner manages, without a right on any of our tables
SET ROLE regress_lf_owner;
CREATE TABLE pr.leads (id int PRIMARY KEY, stage lead_stage NOT NULL DEFAULT 'lead', secret text, owner text DEFAULT 'ann');
INSERT INTO pr.leads (id, stage) VALUES (1, 'lead'), (2, 'lead'), (3, 'lead'), (4, 'mql');
SELECT lead_funnel.attach('pr.leads', 'stage', 'pr leads', owner_column => 'owner');
SELECT lead_funnel.allow('pr leads', 'mql', 'sal', allowed_role => 'regress_lf_sales');
SELECT lead_funnel.allow('pr leads', 'mql', 'won', allowed_role => 'regress_lf_nobody');
GRANT SELECT (id), UPDATE (stage) ON pr.leads TO regress_lf_writer;
SET ROLE regress_lf_other;
CREATE TABLE pr.others (id int PRIMARY KEY, stage text);
INSERT INTO pr.others VALUES (1, 'lead');
SELECT lead_funnel.attach('pr.others', 'stage', 'pr others');

-- a writer with nothing but its columns
SET ROLE regress_lf_writer;
UPDATE pr.leads SET stage = 'mql' WHERE id = 1;
UPDATE pr.leads SET stage = 'won' WHERE id = 2;
UPDATE pr.leads SET stage = 'sal' WHERE id = 1;
UPDATE pr.leads SET stage = 'won' WHERE id = 1;
UPDATE pr.leads SET owner = 'bob' WHERE id = 1;
SELECT lead_funnel.move('pr leads', 2, 'mql');
SET lead_funnel.override = 'let me';
UPDATE pr.leads SET stage = 'won' WHERE id = 2;
SELECT c.relname, c.relkind, pr.try(format('SELECT FROM lead_funnel.%I', c.relname)) ~ '^42501: permission denied' AS unread,
       CASE WHEN c.relkind = 'r' THEN pr.try(format('INSERT INTO lead_funnel.%I DEFAULT VALUES', c.relname)) ~ '^42501' END AS unwritten,
       CASE WHEN c.relkind = 'r' THEN pr.try(format('DELETE FROM lead_funnel.%I', c.relname)) ~ '^42501' END AS undeleted
FROM pg_class c WHERE c.relnamespace = 'lead_funnel'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND NOT starts_with(c.relname, '_') ORDER BY 1;
SELECT call, pr.try('SELECT lead_funnel.' || call) AS said
FROM unnest(ARRAY[$$attach('pr.leads', 'stage', 'mine')$$, $$detach('pr leads')$$, $$_detach('pr leads', true)$$, $$suspend('pr leads')$$,
                  $$resume('pr leads')$$, $$alter_funnel('pr leads', timezone => 'UTC')$$, $$map_stage('pr leads', 'x', 'won')$$,
                  $$unmap_stage('pr leads', 'x')$$, $$set_mode('pr leads', 'observe')$$, $$allow('pr leads', 'lead', 'won')$$,
                  $$forbid('pr leads', 'lead', 'won')$$, $$grant_override('pr leads', 'regress_lf_writer')$$, $$verify('pr leads')$$,
                  $$reconcile('pr leads')$$, $$rebuild('pr leads')$$, $$compact()$$, $$grant_reader('regress_lf_writer')$$, $$revoke_reader('x')$$,
                  $$set_sla('pr leads', 'mql', '1 hour')$$, $$create_calendar('mine', 'UTC')$$, $$_set_sla('pr leads', 'mql', '1 hour', '24x7', NULL, NULL)$$,
                  $$_allow('pr leads', 'lead', 'won', false, NULL, NULL, NULL, false, 'statement', NULL, NULL, NULL, NULL, false, NULL, NULL)$$, $$_set_mode('pr leads', 'observe')$$,
                  $$_mark(1, 'truncate')$$, $$_set_state(1, 1, NULL, 'won', NULL, NULL, NULL, NULL, NULL, NULL, NULL)$$, $$_table_state(1)$$,
                  $$_invalidate('pr.leads')$$, $$_lock_statistics(1)$$, $$_grant_reading('regress_lf_writer')$$]) AS call;
SELECT pr.try('CREATE TRIGGER t AFTER INSERT ON pr.leads FOR EACH ROW EXECUTE FUNCTION lead_funnel.track()');
RESET ROLE;
SELECT lead, from_stage, to_stage, origin, role_name FROM lead_funnel.funnel_history WHERE funnel = 'pr leads' AND origin <> 'backfill' ORDER BY lead_id, move;

-- the owner sees its own funnel, the other one the other, a reader both, everybody none
SELECT lead_funnel.grant_reader('regress_lf_reader');
SELECT lead_funnel.set_sla(f, 'lead', '1 hour', valid_from => '-infinity') FROM unnest('{pr leads,pr others}'::name[]) f;
CREATE FUNCTION pr.seen() RETURNS TABLE (view name, funnels text[]) LANGUAGE plpgsql AS $$
BEGIN
    FOR view IN SELECT relname FROM pg_class AS c WHERE relnamespace = 'lead_funnel'::regnamespace AND relkind = 'v' AND relname NOT LIKE '\_%'
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum = 1 AND attname = 'funnel') AND relname <> 'lead_events' ORDER BY 1 LOOP
        EXECUTE format('SELECT array_agg(DISTINCT funnel ORDER BY funnel) FROM lead_funnel.%I WHERE funnel LIKE ''pr %%''', view) INTO funnels;
        RETURN NEXT;
    END LOOP;
END $$;
SET ROLE regress_lf_owner;
SELECT * FROM pr.seen();
SELECT * FROM lead_funnel.verify('pr leads');
SELECT pr.try($$SELECT lead_funnel.verify('pr others')$$);
SELECT pr.try($$SELECT lead_funnel.attach('pr.others', 'stage')$$);
SELECT pr.try($$SELECT lead_funnel.alter_funnel('pr leads', relation => 'pr.others')$$);
SET ROLE regress_lf_other;
SELECT DISTINCT funnels FROM pr.seen() WHERE view NOT IN ('rule_violations', 'handovers', 'sal_acceptance', 'rejection_reasons');
-- a leaky function sees no row of the other funnel
CREATE FUNCTION pr.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
SELECT count(*) FROM lead_funnel.funnel_history WHERE pr.leak(lead || ' of ' || funnel);
SET ROLE regress_lf_reader;
SELECT DISTINCT funnels FROM pr.seen() WHERE view NOT IN ('rule_violations', 'handovers', 'sal_acceptance', 'rejection_reasons');
SELECT lead_funnel.compact();
SELECT pr.try($$SELECT lead_funnel.verify('pr leads')$$), pr.try('SELECT FROM lead_funnel.journal'), pr.try('SELECT FROM lead_funnel._lead_row');
RESET ROLE;
-- the owner of the extension needs no right on its objects, which are somebody else's if a superuser installed a trusted extension
BEGIN;
UPDATE pg_extension SET extowner = 'regress_lf_other'::regrole WHERE extname = 'lead_funnel';
SET ROLE regress_lf_other;
SELECT lead_funnel.grant_reader('regress_lf_writer');
SELECT lead_funnel.grant_reader(NULL);
ROLLBACK;
BEGIN;
UPDATE pg_extension SET extowner = 'regress_lf_other'::regrole WHERE extname = 'lead_funnel';
SET ROLE regress_lf_other;
SELECT lead_funnel.grant_reader('regress_lf_writer');
SET ROLE regress_lf_writer;
SELECT count(DISTINCT funnel) FROM lead_funnel.funnel_stages WHERE funnel LIKE 'pr %';
SET ROLE regress_lf_other;
SELECT lead_funnel.revoke_reader('regress_lf_writer');
SET ROLE regress_lf_writer;
SELECT count(*) FROM lead_funnel.funnel_stages;
ROLLBACK;
SELECT lead_funnel.revoke_reader('regress_lf_reader');
SET ROLE regress_lf_reader;
SELECT pr.try('SELECT FROM lead_funnel.funnels'), pr.try('SELECT lead_funnel.compact()');
RESET ROLE;

-- a member of the role may, so may who is granted the override, not through a function that somebody lends
GRANT regress_lf_sales TO regress_lf_writer;
SET ROLE regress_lf_writer;
UPDATE pr.leads SET stage = 'sal' WHERE id = 1;
RESET ROLE;
SET ROLE regress_lf_owner;
SELECT lead_funnel.grant_override('pr leads', 'regress_lf_reader');
GRANT SELECT, UPDATE, INSERT ON pr.leads TO regress_lf_reader;
CREATE FUNCTION pr.lend() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    SELECT set_config('lead_funnel.override', 'lent', true);
    UPDATE pr.leads SET stage = 'opportunity' WHERE id = 3;
$$;
SET ROLE regress_lf_writer;
SELECT pr.try('SELECT pr.lend()');
SET ROLE regress_lf_reader;
BEGIN;
SET LOCAL lead_funnel.override = 'granted';
SELECT to_stage FROM lead_funnel.move('pr leads', 2, 'won', reason => 'because');
COMMIT;
UPDATE pr.leads SET stage = 'lead' WHERE id = 2;
RESET ROLE;
SELECT lead, to_stage, origin, reason, role_name FROM lead_funnel.funnel_history WHERE funnel = 'pr leads' AND lead = '2' ORDER BY move;
SET ROLE regress_lf_owner;
SELECT lead_funnel.revoke_override('pr leads', 'regress_lf_reader');
SELECT lead_funnel.revoke_override('pr leads', 'regress_lf_reader');
SET ROLE regress_lf_reader;
BEGIN;
SET LOCAL lead_funnel.override = 'no more';
UPDATE pr.leads SET stage = 'lead' WHERE id = 2;
COMMIT;
-- a role may be renamed or dropped; who has another role's rights has its funnels
RESET ROLE;
ALTER ROLE regress_lf_sales RENAME TO regress_lf_nobody;
SET ROLE regress_lf_writer;
UPDATE pr.leads SET stage = 'won' WHERE id = 4;
RESET ROLE;
GRANT regress_lf_owner TO regress_lf_other;
SET ROLE regress_lf_other;
SELECT DISTINCT funnels FROM pr.seen() WHERE view IN ('funnels', 'funnel_stages');
SELECT lead_funnel.set_mode('pr leads', 'observe');
SELECT mode FROM lead_funnel.funnels WHERE funnel = 'pr leads';
-- the new owner of a table is the new owner of its funnel, once resume() has given it the views
RESET ROLE;
REVOKE regress_lf_owner FROM regress_lf_other;
ALTER TABLE pr.others OWNER TO regress_lf_reader;
SET ROLE regress_lf_other;
SELECT count(*) FROM lead_funnel.funnels WHERE funnel LIKE 'pr %';
SELECT pr.try($$SELECT lead_funnel.suspend('pr others')$$);
SET ROLE regress_lf_reader;
SELECT lead_funnel.resume('pr others');
SELECT funnel FROM lead_funnel.funnels WHERE funnel LIKE 'pr %';
SELECT * FROM lead_funnel.verify('pr others');
-- a detached funnel belongs to who owned the table last
SELECT lead_funnel.detach('pr others');
SET ROLE regress_lf_other;
SELECT count(*) FROM lead_funnel.funnels WHERE funnel LIKE 'pr %';
SELECT pr.try($$SELECT lead_funnel.detach('pr others', purge => true)$$);
SET ROLE regress_lf_owner;
CREATE TABLE pr.mine (id int PRIMARY KEY, stage lead_stage);
SELECT pr.try($$SELECT lead_funnel.attach('pr.mine', 'stage', 'pr others')$$);
SET ROLE regress_lf_reader;
SELECT funnel, relation FROM lead_funnel.funnels WHERE funnel LIKE 'pr %';
SELECT lead_funnel.detach('pr others', purge => true);
RESET ROLE;

SET client_min_messages = warning;
SELECT lead_funnel.detach('pr leads', purge => true);
DROP SCHEMA pr CASCADE;
DROP OWNED BY regress_lf_owner, regress_lf_other, regress_lf_reader;
DROP ROLE regress_lf_owner, regress_lf_other, regress_lf_writer, regress_lf_reader, regress_lf_nobody;
