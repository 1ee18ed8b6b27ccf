-- Column privileges, row security and a hostile search_path: what a lead table's own protection means for its funnel

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
DROP ROLE IF EXISTS regress_lf_table, regress_lf_ann, regress_lf_bob;
RESET client_min_messages;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset null -

CREATE ROLE regress_lf_table;
CREATE ROLE regress_lf_ann;
CREATE ROLE regress_lf_bob;
CREATE SCHEMA rows AUTHORIZATION regress_lf_table;
GRANT USAGE ON SCHEMA rows TO PUBLIC;

-- column privileges: move() asks for no more than SELECT (key, stage), UPDATE (stage)
SET ROLE regress_lf_table;
CREATE TABLE rows.lead (id int PRIMARY KEY, stage lead_stage DEFAULT 'lead', owner name, secret text, since timestamptz, why text);
SELECT lead_funnel.attach('rows.lead', 'stage', owner_column => 'owner', entered_column => 'since', reason_column => 'why');
INSERT INTO rows.lead (id, owner) VALUES (1, 'regress_lf_ann'), (2, 'regress_lf_bob'), (3, 'regress_lf_ann'), (4, NULL);
GRANT SELECT (id, stage), UPDATE (stage) ON rows.lead TO regress_lf_ann;
SET ROLE regress_lf_ann;
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('lead', 1, 'mql', note => 'by columns');
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('lead', 1, 'mql');
UPDATE rows.lead SET stage = 'rejected' WHERE id = 1;
SELECT to_stage FROM lead_funnel.move('lead', 1, 'rejected', reason => 'too small', actor => 'Ann');
SELECT since FROM rows.lead;
RESET ROLE;
SELECT id, since IS NOT NULL AS stamped FROM rows.lead ORDER BY id;

-- row security: a lead that one may not see is not there; statistics and journal cover all
SET ROLE regress_lf_table;
GRANT SELECT, INSERT, UPDATE, DELETE ON rows.lead TO regress_lf_ann, regress_lf_bob;
ALTER TABLE rows.lead ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rows.lead USING (owner = current_user) WITH CHECK (owner = current_user AND stage <> 'won');
CREATE POLICY look ON rows.lead FOR SELECT USING (id < 4);
SET ROLE regress_lf_ann;
SELECT id, stage FROM rows.lead ORDER BY id;
SELECT to_stage FROM lead_funnel.move('lead', 3, 'mql');
SELECT to_stage FROM lead_funnel.move('lead', 2, 'mql');
SELECT to_stage FROM lead_funnel.move('lead', 4, 'mql');
SELECT to_stage FROM lead_funnel.move('lead', 99, 'mql');
UPDATE rows.lead SET stage = 'mql';
UPDATE rows.lead SET owner = 'regress_lf_bob' WHERE id = 1;
INSERT INTO rows.lead (id, owner) VALUES (5, 'regress_lf_ann');
INSERT INTO rows.lead (id, owner) VALUES (6, 'regress_lf_bob');
DELETE FROM rows.lead WHERE id IN (2, 4, 5);
SET ROLE regress_lf_bob;
SELECT to_stage FROM lead_funnel.move('lead', 2, 'mql');
SELECT to_stage FROM lead_funnel.move('lead', 3, 'sal');
RESET ROLE;
SELECT lead, from_stage, to_stage, origin, actor, role_name, reason, note FROM lead_funnel.funnel_history WHERE funnel = 'lead' ORDER BY lead_id, move;
-- not even for an owner who is under it
SET ROLE regress_lf_table;
ALTER TABLE rows.lead FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM rows.lead WHERE owner IS NULL;
SELECT stage, owner, leads FROM lead_funnel.funnel_stages WHERE funnel = 'lead' ORDER BY stage_rank, owner;
SELECT * FROM lead_funnel.verify('lead');
SELECT lead_funnel.reconcile('lead');
SELECT lead_funnel.rebuild('lead');
SELECT lead_funnel.detach('lead');
SELECT lead_funnel.attach('rows.lead', 'stage', owner_column => 'owner');
SELECT sum(leads) FROM lead_funnel.funnel_stages WHERE funnel = 'lead';
SELECT check_name, value FROM lead_funnel.check_table('rows.lead', 'stage') WHERE check_name IN ('row_security', 'rows') ORDER BY 1;
SELECT * FROM lead_funnel.verify('lead');
ALTER TABLE rows.lead NO FORCE ROW LEVEL SECURITY;
RESET ROLE;

-- names and operators of somebody else's in front of ours, for the writer, the owner and who reads
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.cry(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile operator for %', current_user; END $$;
CREATE FUNCTION hostile.cry(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile operator for %', current_user; END $$;
CREATE FUNCTION hostile.cry(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile operator for %', current_user; END $$;
CREATE FUNCTION hostile.cry(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile operator for %', current_user; END $$;
CREATE FUNCTION hostile.cry(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile operator for %', current_user; END $$;
CREATE FUNCTION hostile.cry(lead_stage, lead_stage) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile operator for %', current_user; END $$;
DO $$
DECLARE
    type text;
    operator text;
BEGIN
    FOREACH type IN ARRAY '{text,name,int,bigint,oid,lead_stage}'::text[] LOOP
        FOREACH operator IN ARRAY '{=,<>,<,>,<=,>=}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = hostile.cry)', operator, type);
        END LOOP;
    END LOOP;
END $$;
CREATE FUNCTION hostile.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile now()'; END $$;
CREATE FUNCTION hostile.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile set_config()'; END $$;
CREATE FUNCTION hostile.coalesce(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile coalesce()'; END $$;
CREATE FUNCTION hostile.stage_rank(lead_stage) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile stage_rank()'; END $$;
CREATE DOMAIN hostile.text AS pg_catalog.text CHECK (false);
CREATE DOMAIN hostile.lead_stage AS public.lead_stage CHECK (false);
CREATE DOMAIN hostile.int8 AS pg_catalog.int8 CHECK (false);
CREATE TABLE hostile.lead (id int PRIMARY KEY, stage pg_catalog.text);
CREATE TABLE hostile.journal (id int);
CREATE VIEW hostile.pg_class AS SELECT 1 AS oid;
CREATE VIEW hostile.pg_trigger AS SELECT 1 AS oid;
CREATE VIEW hostile.pg_attribute AS SELECT 1 AS oid;
CREATE TABLE hostile.coded (key varchar(10) PRIMARY KEY, status varchar(20));
GRANT SELECT, UPDATE ON hostile.coded TO regress_lf_bob;
SELECT lead_funnel.attach('hostile.coded', 'status', 'coded', stage_map => '{"lead": ["New"]}');
INSERT INTO hostile.coded VALUES ('a', 'New');
SET search_path = hostile, pg_catalog, public;
SET ROLE regress_lf_bob;
UPDATE rows.lead SET stage = 'sal' WHERE id OPERATOR(pg_catalog.=) 2;
SELECT from_stage, to_stage FROM lead_funnel.move('lead', 2, 'sql', note => 'n', reason => 'r', actor => 'a');
SELECT from_stage, to_stage FROM lead_funnel.move('coded', 'a', 'mql', note => 'n', reason => 'r', actor => 'a');
SET ROLE regress_lf_table;
SELECT lead_funnel.allow('lead', 'lead', 'won');
SELECT lead_funnel.set_mode('lead', 'observe');
SELECT lead_funnel.suspend('lead');
SELECT lead_funnel.resume('lead');
SELECT lead_funnel.alter_funnel('lead', timezone => 'Asia/Tokyo', owner_column => '');
SELECT lead_funnel.reconcile('lead');
SELECT lead_funnel.rebuild('lead');
SELECT * FROM lead_funnel.verify('lead');
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS daily FROM lead_funnel.funnel_daily;
SELECT stage, leads FROM lead_funnel.funnel_stages ORDER BY stage_rank USING OPERATOR(pg_catalog.<);
SELECT triggers_ok FROM lead_funnel.funnel_health;
DO $$
DECLARE
    view pg_catalog.name;
BEGIN
    FOR view IN SELECT c.relname FROM pg_catalog.pg_class c
        WHERE c.relnamespace OPERATOR(pg_catalog.=) 'lead_funnel'::regnamespace AND c.relkind OPERATOR(pg_catalog.=) 'v'
          AND NOT pg_catalog.starts_with(c.relname::pg_catalog.text, '_') LOOP
        EXECUTE pg_catalog.format('SELECT * FROM lead_funnel.%I', view);
    END LOOP;
END $$;
SELECT check_name, value FROM lead_funnel.check_table('rows.lead', 'stage') WHERE severity OPERATOR(pg_catalog.=) 'error';
DROP POLICY own ON rows.lead;
DROP POLICY look ON rows.lead;
SELECT lead_funnel.detach('lead', restore_type => 'text');
RESET search_path;
SELECT pg_typeof(stage), count(*) FROM rows.lead GROUP BY 1;
RESET ROLE;

SET client_min_messages = warning;
SELECT lead_funnel.detach('lead', purge => true), lead_funnel.detach('coded', purge => true);
DROP SCHEMA hostile, rows CASCADE;
DROP OWNED BY regress_lf_table, regress_lf_ann, regress_lf_bob;
DROP ROLE regress_lf_table, regress_lf_ann, regress_lf_bob;
