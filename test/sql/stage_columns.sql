-- stage_columns: moves in stage columns of all types, with and without a map; stages that the database writes; values that mean
-- nothing, NULL; observe mode

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_sc_owner;
CREATE SCHEMA sc AUTHORIZATION regress_sc_owner;
SET ROLE regress_sc_owner;
SET search_path = sc, public;
\set ECHO none
\getenv abs_srcdir PG_ABS_SRCDIR
\set oracle :abs_srcdir '/sql/oracle.psql'
\i :oracle
\set ECHO all
\set VERBOSITY terse

CREATE VIEW moves AS
SELECT funnel, lead, string_agg(concat(coalesce(from_stage, '-'), '>', coalesce(to_stage, '-'),
           CASE WHEN concat(from_status, to_status) <> concat(from_stage, to_stage) THEN format(' [%s>%s]', from_status, to_status) END,
           ' ' || nullif(origin, 'write')), ', ' ORDER BY move) AS moves
FROM lead_funnel.funnel_history GROUP BY funnel, lead;

-- the same life in each type: in as the 1st value, through the next two by UPDATE, to the 4th by move(), over the stage map
CREATE TYPE status AS ENUM ('New', 'mql', 'SAL', 'sql', 'Closed won');
CREATE DOMAIN short AS varchar(12) CHECK (VALUE <> 'x');
CREATE DOMAIN shorter AS short;
CREATE DOMAIN padded AS char(10);
CREATE DOMAIN some_status AS status CHECK (VALUE <> 'Closed won');
CREATE DOMAIN paddedder AS padded NOT NULL;
CREATE DOMAIN number AS smallint CHECK (VALUE < 100);
CREATE FUNCTION try_type(type text, map jsonb, VARIADIC v text[]) RETURNS TABLE (lead text, moves text, stored text) LANGUAGE plpgsql AS $$
DECLARE
    p text;
BEGIN
    EXECUTE format('CREATE TABLE try (id int PRIMARY KEY, st %s)', type);
    PERFORM lead_funnel.attach('try', 'st', stage_map => map);
    EXECUTE 'INSERT INTO try VALUES (1, $1::' || type || '), (2, $1::' || type || ')' USING v[1];
    EXECUTE 'UPDATE try SET st = $1::' || type USING v[2];
    EXECUTE 'UPDATE try SET st = $1::' || type || ' WHERE id = 1' USING v[3];
    PERFORM lead_funnel.move('try', 1, 'sql');
    FOR p IN SELECT x.problem || ': ' || x.what FROM check_funnel('try', 'SELECT 1 AS lead, ''sql'' AS stage UNION ALL SELECT 2, ''mql''') x LOOP
        RAISE WARNING '%: %', type, p;
    END LOOP;
    RETURN QUERY EXECUTE 'SELECT m.lead, m.moves, format(''%s|'', t.st) FROM moves m JOIN try t ON t.id = m.lead::int WHERE funnel = ''try'' ORDER BY 1';
    PERFORM lead_funnel.detach('try', purge => true);
    DROP TABLE try;
END
$$;
SELECT * FROM try_type('lead_stage', NULL, 'lead', 'mql', 'sal');
SELECT * FROM try_type('text', NULL, 'Lead', 'MQL', 'sAl');
SELECT * FROM try_type('varchar(20)', '{"lead": "New"}', 'New', 'mql', 'sal');
SELECT * FROM try_type('char(12)', '{"sal": ["Accepted", "OK"], "sql": "Qualified"}', 'lead', 'mql', 'OK');
SELECT * FROM try_type('shorter', '{"lead": ["", " "], "sql": ["sql", "SQL!"]}', '', 'mql', 'sal');
SELECT * FROM try_type('status', '{"lead": "New", "won": "Closed won"}', 'New', 'mql', 'SAL');
SELECT * FROM try_type('smallint', '{"lead": [0, -1], "mql": 1, "sal": [2, 20], "sql": ["3", 30]}', '-1', '1', '20');
SELECT * FROM try_type('int', '{"lead": null, "mql": [1, 10], "sal": 2, "sql": 2147483647}', NULL, '10', '2');
SELECT * FROM try_type('bigint', '{"lead": -9223372036854775808, "mql": 1, "sal": 2, "sql": 9223372036854775807}', '-9223372036854775808', '1', '2');
SELECT * FROM try_type('lead_stage', '{"lead": [null]}', NULL, 'mql', 'sal');
SELECT * FROM try_type('padded', '{"lead": "New", "sal": "OK"}', 'New', 'MQL', 'OK ');
SELECT * FROM try_type('paddedder', '{"lead": "New   ", "sal": ["Not OK     ", "OK"], "sql": "Qualified               "}', 'New   ', ' MQL'::char(1) || 'mql', 'OK');
SELECT * FROM try_type('char(12)', '{"lead": "  ", "mql": " New", "sal": "OK ", "sql": ["Qual   ", "sql"]}', '', ' New  ', 'OK');
SELECT * FROM try_type('bpchar', '{"sal": "OK ", "sql": ["Qual   ", "sql"]}', 'lead ', 'mql', 'OK  ');
SELECT * FROM try_type('some_status', '{"lead": "New"}', 'New', 'mql', 'SAL');
SELECT * FROM try_type('status', '{"lead": "New", "sql": "Closed won"}', 'New', 'mql', 'SAL');
SELECT * FROM try_type('number', '{"lead": 0, "mql": 1, "sal": 2, "sql": 3}', '0', '1', '2');

-- blanks at the end count in text, and for nothing in char(n), wherever a value is given
CREATE TABLE c (id int PRIMARY KEY, st padded, other text, n int);
SELECT lead_funnel.attach('c', 'st', preset => 'open', stage_map => '{"won": ["Won", "Won  "]}');  -- fails: the same
SELECT lead_funnel.attach('c', 'st', preset => 'open', stage_map => '{"won": ["Won  "]}');
INSERT INTO c VALUES (1, 'Won'), (2, 'Won '), (3, 'Neu');                                          -- fails: Neu means nothing
INSERT INTO c VALUES (1, 'Won'), (2, 'Won '), (3, 'lead  ');
SELECT lead_funnel.map_stage('c', 'Neu   ', 'lead');
SELECT lead_funnel.map_stage('c', 'Neu', 'lead');
SELECT lead_funnel.map_stage('c', 'Alt ', 'mql');
INSERT INTO c VALUES (4, 'Neu'), (5, 'Alt');
SELECT lead_funnel.map_stage('c', 'Alt', 'nurture');
SELECT lead_funnel.unmap_stage('c', 'Alt   ');                                                     -- fails: in use
UPDATE c SET st = 'sal' WHERE st = 'Alt  ';
SELECT lead_funnel.unmap_stage('c', 'Alt   ');
SELECT lead_funnel.unmap_stage('c', 'Alt');
SELECT lead, from_stage, to_stage FROM lead_funnel.move('c', 3, 'won');
SELECT lead, moves FROM moves WHERE funnel = 'c' ORDER BY lead;
SELECT * FROM check_funnel('c', 'SELECT id AS lead, CASE st WHEN ''Won'' THEN ''won'' WHEN ''Neu'' THEN ''lead'' ELSE st::text END AS stage FROM c');
SELECT severity, check_name, value, rows FROM lead_funnel.check_table('c', 'st', stage_map => '{"won": "Won      ", "lead": "Neu "}') WHERE check_name <> 'owner_login';
-- a map from text to char(n) and back: to another column, and by ALTER COLUMN ... TYPE
UPDATE c SET other = rtrim(st) || ' ', n = id;
SELECT lead_funnel.alter_funnel('c', stage_column => 'other');                                     -- fails: blanks
SELECT lead_funnel.alter_funnel('c', stage_column => 'other', stage_map => '{"won": ["Won "], "lead": ["Neu ", "Neu"], "sal": "sal "}');
SELECT * FROM lead_funnel.verify('c');
SELECT lead, from_stage, to_stage FROM lead_funnel.move('c', 1, 'sal');
SELECT lead_funnel.suspend('c');
ALTER TABLE c ALTER other TYPE char(12);
SELECT lead_funnel.resume('c');
INSERT INTO c (id, other) VALUES (6, 'Neu'), (7, 'sal');
SELECT lead, from_stage, to_stage FROM lead_funnel.move('c', 6, 'won');
SELECT count(*), max(length(other::text)) FROM c WHERE other = 'Won';
SELECT * FROM lead_funnel.verify('c');
SELECT lead_funnel.alter_funnel('c', stage_column => 'n');                                         -- fails: no numbers
SELECT lead_funnel.suspend('c');
ALTER TABLE c ALTER other TYPE int USING id;
SELECT lead_funnel.resume('c');                                                                    -- fails, too
SELECT lead_funnel.alter_funnel('c', stage_map => '{"lead": [1, 2, 3, 4], "mql": [5, 6, 7]}');
SELECT lead_funnel.resume('c');
SELECT * FROM lead_funnel.verify('c');
SELECT lead_funnel.detach('c', purge => true);
-- a domain over an enum: map_stage() keeps writing its own labels
CREATE TABLE d (id int PRIMARY KEY, st some_status);
SELECT lead_funnel.attach('d', 'st');
SELECT lead_funnel.map_stage('d', 'New', 'lead'), lead_funnel.map_stage('d', 'Closed won', 'sal');
INSERT INTO d VALUES (1, 'New'), (2, 'mql');
INSERT INTO d VALUES (3, 'Closed won');                                                            -- fails: the domain
SELECT lead, from_stage, to_stage FROM lead_funnel.move('d', 1, 'mql');
SELECT lead, from_stage, to_stage FROM lead_funnel.move('d', 1, 'sal');
SELECT lead_funnel.unmap_stage('d', 'Closed won');
SELECT lead_funnel.map_stage('d', 'mql', 'nurture');
SELECT * FROM check_funnel('d', 'SELECT id AS lead, CASE st::text WHEN ''SAL'' THEN ''sal'' WHEN ''mql'' THEN ''nurture'' END AS stage FROM d');
SELECT id, st FROM d ORDER BY id;
SELECT lead_funnel._differs('d', 'st');
SELECT lead_funnel.detach('d', purge => true);
-- as key and as dimension
CREATE TABLE k (id some_status PRIMARY KEY, st text, src some_status);
SELECT lead_funnel.attach('k', 'st', source_column => 'src');
INSERT INTO k VALUES ('New', 'lead', 'mql'), ('SAL', 'lead', NULL);
SELECT lead, from_stage, to_stage FROM lead_funnel.move('k', 'New', 'mql');
SELECT lead_funnel.move('k', 'sql', 'mql');                                                        -- fails: no such lead
SELECT lead_funnel.move('k', 'nix', 'mql');                                                        -- fails: no such label
UPDATE k SET src = 'sql' WHERE id::text = 'New';
SELECT * FROM check_funnel('k', 'SELECT id::text AS lead, st AS stage, src::text AS source FROM k');
SELECT lead_funnel.detach('k', purge => true);

-- a stage that the database computes
CREATE TABLE g (id int PRIMARY KEY, called boolean, amount int,
                st text GENERATED ALWAYS AS (CASE WHEN amount < 0 THEN 'Junk' WHEN amount > 0 THEN 'Accepted' WHEN called THEN 'MQL' ELSE 'lead' END) STORED);
SELECT lead_funnel.attach('g', 'st', stage_map => '{"sal": "Accepted", "disqualified": "Junk"}');
INSERT INTO g VALUES (1, NULL, NULL), (2, true, NULL), (3, false, 0);
INSERT INTO g VALUES (4, true, 1);                           -- fails: enters at sal
UPDATE g SET called = false, amount = 0;                     -- fails: 2 would go back to lead
UPDATE g SET called = true;
UPDATE g SET amount = 7 WHERE id <= 2;
UPDATE g SET amount = -7, called = NULL WHERE id = 2;
UPDATE g SET amount = 8, called = NULL WHERE id = 2;         -- fails
SELECT lead_funnel.move('g', 3, 'sal');                      -- fails: nobody can write it
SELECT lead, moves FROM moves WHERE funnel = 'g' ORDER BY lead;
SELECT * FROM check_funnel('g', 'SELECT id AS lead, CASE st WHEN ''Accepted'' THEN ''sal'' WHEN ''Junk'' THEN ''disqualified'' ELSE lower(st) END AS stage FROM g');

-- BEFORE triggers that write another stage than the statement did: what is stored counts, and nothing else
CREATE TABLE b (id int PRIMARY KEY, st varchar(20), note text, since timestamptz);
SELECT lead_funnel.attach('b', 'st', entered_column => 'since', stage_map => '{"sal": "Accepted"}');
CREATE FUNCTION rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.note = 'keep' THEN
        NEW.st := OLD.st;
    ELSIF NEW.note IN ('won', 'Accepted', 'what') THEN
        NEW.st := NEW.note;
    ELSE
        NEW.st := trim(NEW.st);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER a_rewrite BEFORE INSERT OR UPDATE ON b FOR EACH ROW WHEN (NEW.id % 2 = 0) EXECUTE FUNCTION rewrite();
CREATE TRIGGER z_rewrite BEFORE INSERT OR UPDATE ON b FOR EACH ROW WHEN (NEW.id % 2 = 1) EXECUTE FUNCTION rewrite();
INSERT INTO b SELECT i, ' mql ' FROM generate_series(1, 6) i;
INSERT INTO b VALUES (7, 'mql', 'won'), (8, 'mql', 'won');   -- fails: won is no entry
UPDATE b SET st = 'won', note = 'keep' WHERE id <= 2;        -- no move
UPDATE b SET note = 'Accepted' WHERE id <= 4;                -- a move without the column in SET
UPDATE b SET st = 'nurture', note = 'what' WHERE id <= 4;    -- fails
UPDATE b SET note = 'won' WHERE id = 5;                      -- fails
UPDATE b SET st = ' nurture ', note = 'x' WHERE id >= 5;
SELECT lead, moves FROM moves WHERE funnel = 'b' ORDER BY lead;
SELECT * FROM check_funnel('b', 'SELECT id AS lead, CASE st WHEN ''Accepted'' THEN ''sal'' ELSE st END AS stage FROM b');

-- partitioned by a mapped stage column, which is another column in each partition
CREATE TABLE p (id int, st varchar(20) NOT NULL, src text) PARTITION BY LIST (st);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('New', 'MQL');
CREATE TABLE p2 (old1 int, src text, old2 text, old3 text, id int, old4 text, st varchar(20) NOT NULL);
ALTER TABLE p2 DROP old1, DROP old2, DROP old3, DROP old4;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN ('Accepted', 'Working', 'sql');
CREATE TABLE p3 (st varchar(20) NOT NULL, id int, src text);
ALTER TABLE p ATTACH PARTITION p3 DEFAULT;
INSERT INTO p VALUES (1, 'New', 'web'), (2, 'Accepted', 'web'), (3, 'lost', 'fair');
SELECT lead_funnel.attach('p', 'st', key_column => 'id', source_column => 'src', stage_map => '{"lead": "New", "sal": ["Accepted", "Working"]}');
INSERT INTO p VALUES (4, 'New', 'web'), (5, 'MQL', 'fair');
INSERT INTO p2 (id, st) VALUES (6, 'Working');               -- fails: no entry
INSERT INTO p3 (id, st) VALUES (6, 'cold');                  -- fails: means nothing
UPDATE p SET st = 'MQL' WHERE id IN (1, 4);
UPDATE p SET st = 'Accepted' WHERE id IN (1, 5);
UPDATE p SET st = 'Working', src = 'fair' WHERE id IN (1, 2);
UPDATE p2 SET st = 'sql' WHERE id = 2;
UPDATE p SET st = 'nurture' WHERE id = 4;
UPDATE p SET st = 'recycled', src = NULL WHERE id = 5;
UPDATE p SET st = 'Working' WHERE id = 3;                    -- fails
SELECT from_stage, to_stage, move FROM lead_funnel.move('p', 3, 'recycled');
SELECT from_stage, to_stage, move FROM lead_funnel.move('p', 4, 'mql');
SELECT lead, moves FROM moves WHERE funnel = 'p' ORDER BY lead;
SELECT * FROM check_funnel('p', 'SELECT id AS lead, CASE st WHEN ''New'' THEN ''lead'' WHEN ''Accepted'' THEN ''sal'' WHEN ''Working'' THEN ''sal'' ELSE lower(st) END AS stage, src AS source FROM p');
SELECT lead_funnel.detach(f, purge => true) FROM unnest('{g,b,p}'::name[]) f;

-- values that mean nothing are refused and name what to do; a missing one, too; nothing of the statement is left
CREATE TABLE l (id int PRIMARY KEY, st text, gone boolean DEFAULT false, src text);
SELECT lead_funnel.attach('l', 'st', excluded_column => 'gone', source_column => 'src', stage_map => '{"sal": ["Accepted", "Working", "O''K"], "nurture": ["later", "Later"]}');
CREATE FUNCTION l_check() RETURNS TABLE (problem text, what text) LANGUAGE sql AS $$
SELECT * FROM check_funnel('l', 'SELECT id AS lead, CASE WHEN st IN (''Accepted'', ''Working'', ''O''''K'', ''hot'') THEN ''sal'' WHEN st ILIKE ''later'' OR st IS NULL THEN ''nurture'' ELSE lower(st) END AS stage,
    src AS source FROM l WHERE NOT gone AND coalesce(st, ''later'') NOT IN (''cold'', ''accepted'', '''')') $$;
\set VERBOSITY default
INSERT INTO l VALUES (1, 'lead'), (2, 'it''s hot');
INSERT INTO l VALUES (1, NULL);
\set VERBOSITY sqlstate
INSERT INTO l VALUES (1, 'hot');
INSERT INTO l VALUES (1, 'accepted');
INSERT INTO l VALUES (1, ' lead');
INSERT INTO l VALUES (1, '');
INSERT INTO l VALUES (1, NULL);
\set VERBOSITY terse
INSERT INTO l VALUES (1, 'LEAD'), (2, 'mql'), (3, 'mql');
INSERT INTO l VALUES (4, 'cold', true), (5, NULL, true);
UPDATE l SET st = 'hot';
UPDATE l SET st = NULL WHERE id = 1;
UPDATE l SET gone = false WHERE id IN (4, 5);
UPDATE l SET st = 'Accepted' WHERE id <= 2;
UPDATE l SET st = 'Accepted' WHERE id IN (2, 3);
-- inside of one stage nothing moves, whatever the value; a dimension may change with it
UPDATE l SET st = 'Working' WHERE id = 2;
UPDATE l SET st = 'O''K', src = 'web' WHERE id = 3;
UPDATE l SET st = 'SAL' WHERE id = 3;
UPDATE l SET st = 'sql' WHERE id IN (2, 3);
SELECT lead, moves FROM moves WHERE funnel = 'l' ORDER BY lead;
SELECT adjustments, stage, source FROM lead_funnel.funnel_flow WHERE funnel = 'l' AND adjustments <> 0 ORDER BY adjustments;
SELECT * FROM l_check();
-- move() knows what is a move, and writes the first value of the list
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('l', 1, 'nurture');
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('l', 1, 'nurture');
UPDATE l SET st = 'Later' WHERE id = 1;
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('l', 1, 'nurture');
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('l', 1, 'mql');
SELECT lead, from_stage, to_stage, move FROM lead_funnel.move('l', 1, 'sal');
SELECT id, st FROM l WHERE id = 1;
-- mapped later: from then on; one that is in use stays
SELECT lead_funnel.map_stage('l', 'hot', 'sal');
SELECT lead_funnel.map_stage('l', NULL, 'nurture');
UPDATE l SET st = 'hot' WHERE id = 1;
INSERT INTO l VALUES (6, 'mql');
UPDATE l SET st = NULL WHERE id = 6;
SELECT lead_funnel.unmap_stage('l', 'hot');
SELECT lead, moves FROM moves WHERE funnel = 'l' AND lead IN ('1', '6') ORDER BY lead;
SELECT * FROM l_check();

-- observe: values that mean nothing take the lead out, and are told; back is where it was, or an entry
SELECT lead_funnel.set_mode('l', 'observe');
INSERT INTO l VALUES (7, 'cold'), (8, 'won'), (9, 'mql');
UPDATE l SET st = 'accepted' WHERE id = 7;
UPDATE l SET st = 'cold' WHERE id IN (8, 9);
UPDATE l SET src = 'x' WHERE id = 9;
UPDATE l SET st = 'sql' WHERE id = 9;
UPDATE l SET st = 'mql' WHERE id = 7;
UPDATE l SET gone = false WHERE id = 4;
DELETE FROM l WHERE id = 8;
SELECT lead, moves FROM moves WHERE funnel = 'l' AND lead IN ('4', '7', '8', '9') ORDER BY lead;
SELECT from_stage, to_stage, constraint_name, moves, last_lead FROM lead_funnel.rule_violations WHERE funnel = 'l' ORDER BY 1, 2, 3;
SELECT * FROM l_check();
SET client_min_messages = error;
SELECT lead_funnel.set_mode('l', 'enforce');
RESET client_min_messages;
UPDATE l SET src = 'y' WHERE id = 4;                    -- fails: cold, from before
UPDATE l SET st = 'mql' WHERE id = 4;
UPDATE l SET src = 'y' WHERE id = 9;
SELECT * FROM l_check();

SELECT lead_funnel.detach('l', purge => true);
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA sc CASCADE;
DROP OWNED BY regress_sc_owner;
DROP ROLE regress_sc_owner;
