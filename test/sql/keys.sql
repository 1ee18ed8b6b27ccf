-- keys: of all types, odd ones, changed, exchanged, used again, used twice

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_ky_owner;
CREATE SCHEMA ky AUTHORIZATION regress_ky_owner;
SET ROLE regress_ky_owner;
SET search_path = ky, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

CREATE VIEW moves AS
SELECT funnel, lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-'), ' ' ORDER BY move) AS moves,
       array_agg(move ORDER BY move) AS numbers, max(cycle) AS cycle
FROM lead_funnel.funnel_history GROUP BY funnel, lead;

-- each type: enter, move, rename, delete, rename onto the deleted one's key, and again
CREATE TYPE colour AS ENUM ('blue', 'Red', 'green', 'a b');
CREATE DOMAIN code AS text CHECK (VALUE <> '');
CREATE DOMAIN number AS bigint;
CREATE FUNCTION try_type(n text, type text, a text, b text, c text) RETURNS TABLE (type_name text, lead text, lead_id bigint, moves text, numbers int[], cycle int)
LANGUAGE plpgsql AS $$
DECLARE
    t text := 'k_' || n;
    p text;
BEGIN
    EXECUTE format('CREATE TABLE %I (k %s PRIMARY KEY, stage lead_stage)', t, type);
    EXECUTE format('INSERT INTO %I VALUES (%L, ''sal'')', t, a);
    PERFORM lead_funnel.attach(t::regclass, 'stage');
    EXECUTE format('INSERT INTO %I VALUES (%L, ''lead'')', t, b);
    EXECUTE format('UPDATE %I SET stage = CASE stage WHEN ''sal'' THEN ''sql'' ELSE ''mql'' END::lead_stage', t);
    EXECUTE format('DELETE FROM %I WHERE k = %L', t, b);
    EXECUTE format('UPDATE %I SET k = %L, stage = ''opportunity'' WHERE k = %L', t, b, a);
    EXECUTE format('UPDATE %I SET k = %L', t, c);
    EXECUTE format('INSERT INTO %I VALUES (%L, ''mql'')', t, a);
    IF type IN ('uuid', 'text', 'varchar(40)') THEN
        PERFORM lead_funnel.move(t::name, a, 'sal');
    END IF;
    FOR p IN SELECT x.problem || ': ' || x.what FROM check_funnel(t, format('SELECT k AS lead, stage FROM %I', t)) x LOOP
        RAISE WARNING '%: %', n, p;
    END LOOP;
    RETURN QUERY SELECT type, m.lead, v.lead_id, m.moves, m.numbers, m.cycle
        FROM moves m, LATERAL (SELECT max(h.lead_id) AS lead_id FROM lead_funnel.funnel_history h WHERE h.funnel = m.funnel AND h.lead = m.lead) v
        WHERE m.funnel = t ORDER BY m.lead COLLATE "C";
    PERFORM lead_funnel.detach(t::name, purge => true);
END
$$;
SELECT * FROM try_type('int2', 'smallint', '-32768', '32767', '0');
SELECT * FROM try_type('int4', 'int', '-2147483648', '7', '2147483647');
SELECT * FROM try_type('int8', 'bigint', '-9223372036854775808', '9223372036854775807', '4294967296');
SELECT * FROM try_type('uuid', 'uuid', '00000000-0000-0000-0000-000000000000', '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
SELECT * FROM try_type('text', 'text', '', '  ', 'it''s "q"\ %s $1 ; --');
SELECT * FROM try_type('varchar', 'varchar(40)', '007', '7', '7 ');
SELECT * FROM try_type('enum', 'colour', 'blue', 'Red', 'a b');
SELECT * FROM try_type('domain', 'code', 'Ä', 'ä', U&'\5B57\+01F600');
SELECT * FROM try_type('number', 'number', '1', '2', '3');
SELECT type_name, length(lead), md5(lead), moves FROM
    try_type('long', 'text', repeat('x', 2000), (SELECT string_agg(md5(i::text), '' ORDER BY i) FROM generate_series(1, 62) i), 'z');
-- the server itself has a limit for what it can index: ours is said before, even if the value could be compressed
CREATE TABLE long (k text, stage lead_stage);
SELECT lead_funnel.attach('long', 'stage', key_column => 'k');
\set VERBOSITY sqlstate
INSERT INTO long SELECT string_agg(md5(i::text), ''), 'lead' FROM generate_series(1, 100) i;
INSERT INTO long SELECT repeat('x', 100000), 'lead';
\set VERBOSITY terse
INSERT INTO long VALUES ('short', 'lead');
SELECT * FROM check_funnel('long', 'SELECT k AS lead, stage FROM long');

-- a table without a unique index: the extension keeps keys apart
CREATE TABLE n (k int, stage lead_stage, note text);
SELECT lead_funnel.attach('n', 'stage', key_column => 'k');
INSERT INTO n VALUES (1, 'lead'), (2, 'mql');
\set VERBOSITY sqlstate
INSERT INTO n VALUES (1, 'lead');
INSERT INTO n VALUES (3, 'lead'), (3, 'mql');
UPDATE n SET k = 1 WHERE k = 2;
UPDATE n SET k = 5;
INSERT INTO n VALUES (NULL, 'lead');
UPDATE n SET k = NULL WHERE k = 1;
\set VERBOSITY terse
WITH d AS (DELETE FROM n WHERE k = 1) INSERT INTO n VALUES (1, 'mql', 'after');
WITH i AS (INSERT INTO n VALUES (2, 'lead', 'before')) DELETE FROM n WHERE k = 2;
WITH u AS (UPDATE n SET k = 9 WHERE k = 1) INSERT INTO n VALUES (1, 'lead', 'new 1');
BEGIN;
UPDATE n SET k = 10 WHERE k = 9;
INSERT INTO n VALUES (9, 'lead', 'new 9');
UPDATE n SET k = 11, stage = 'sal' WHERE k = 10;
SAVEPOINT a;
UPDATE n SET k = 12, stage = 'sql' WHERE k = 11;
DELETE FROM n WHERE k = 9;
UPDATE n SET k = 9 WHERE k = 12;
ROLLBACK TO a;
UPDATE n SET k = k + 100 WHERE k IN (9, 11);
COMMIT;
SELECT * FROM n ORDER BY k;
SELECT lead, moves, numbers, cycle FROM moves WHERE funnel = 'n' ORDER BY lead::int;
SELECT * FROM check_funnel('n', 'SELECT k AS lead, stage FROM n');

-- all keys at once: shifted, turned round, exchanged, with moves and triggers; a deferrable key allows it
CREATE TABLE d (id int PRIMARY KEY DEFERRABLE, stage lead_stage, who text);
SELECT lead_funnel.attach('d', 'stage', owner_column => 'who');
INSERT INTO d SELECT i, (ARRAY['lead', 'mql', 'mql', 'mql'])[i]::lead_stage, 'w' || i FROM generate_series(1, 4) i;
UPDATE d SET stage = 'nurture' WHERE id = 4;
UPDATE d SET id = id + 1;
UPDATE d SET id = 7 - id;
UPDATE d SET id = CASE id WHEN 2 THEN 3 WHEN 3 THEN 4 WHEN 4 THEN 2 ELSE 5 END, stage = CASE id WHEN 3 THEN 'sal' ELSE stage END;
SELECT id, stage, who, moves, numbers FROM d JOIN moves ON funnel = 'd' AND lead = id::text ORDER BY id;
SELECT * FROM check_funnel('d', 'SELECT id AS lead, stage, who AS owner FROM d');
UPDATE d SET id = 9 - id, stage = 'won' WHERE id IN (4, 5);          -- fails, and leaves nothing
UPDATE d SET id = 4 WHERE id = 5;                                    -- fails
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE d SET who = who || TG_ARGV[0], stage = CASE stage WHEN 'nurture' THEN 'mql' ELSE stage END WHERE id = NEW.id; RETURN NULL; END $$;
CREATE TRIGGER a_again AFTER UPDATE OF id ON d FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id > 3) EXECUTE FUNCTION again('a');
CREATE TRIGGER z_again AFTER UPDATE OF id ON d FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.id <= 3) EXECUTE FUNCTION again('z');
UPDATE d SET id = 7 - id;
DROP TRIGGER a_again ON d;
DROP TRIGGER z_again ON d;
SELECT id, stage, who, moves, numbers FROM d JOIN moves ON funnel = 'd' AND lead = id::text ORDER BY id;
SELECT * FROM check_funnel('d', 'SELECT id AS lead, stage, who AS owner FROM d');
BEGIN;
INSERT INTO d SELECT i, 'lead' FROM generate_series(11, 10150) i;
UPDATE d SET id = id + 1;
SELECT count(*), min(id), max(id) FROM d;
SELECT * FROM lead_funnel.verify('d');
ROLLBACK;

-- a lead that is out of the funnel takes its history along as well
CREATE TABLE e (id int PRIMARY KEY, stage lead_stage, gone boolean DEFAULT false);
SELECT lead_funnel.attach('e', 'stage', excluded_column => 'gone');
INSERT INTO e VALUES (3, 'mql');
DELETE FROM e;
INSERT INTO e VALUES (1, 'mql'), (2, 'mql');
UPDATE e SET stage = 'sal';
UPDATE e SET gone = true;
UPDATE e SET id = id + 10;
UPDATE e SET gone = false, id = id + 10 WHERE id IN (11, 12);
UPDATE e SET stage = 'sql' WHERE id = 22;
UPDATE e SET gone = true, id = 3 WHERE id = 22;
UPDATE e SET gone = false WHERE id = 3;
SELECT lead, moves, numbers, cycle FROM moves WHERE funnel = 'e' ORDER BY lead;
SELECT * FROM check_funnel('e', 'SELECT id AS lead, stage FROM e WHERE NOT gone');
-- not what it had before a TRUNCATE
TRUNCATE e;
INSERT INTO e VALUES (3, 'lead', true), (21, 'lead', false);
UPDATE e SET id = 30 WHERE id = 3;
UPDATE e SET id = 3 WHERE id = 21;
UPDATE e SET gone = false WHERE id = 30;
SELECT lead, moves, numbers, cycle FROM moves WHERE funnel = 'e' ORDER BY lead;
SELECT * FROM check_funnel('e', 'SELECT id AS lead, stage FROM e WHERE NOT gone');

SET client_min_messages = warning;
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{long,n,d,e}'::name[]) f;
RESET ROLE;
DROP SCHEMA ky CASCADE;
DROP OWNED BY regress_ky_owner;
DROP ROLE regress_ky_owner;
