-- shared_keys: a row that is out of the funnel has the key of one that is in, as soft-deleted rows do; many leads at once

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;
RESET client_min_messages;

CREATE ROLE regress_sk_owner;
CREATE SCHEMA sk AUTHORIZATION regress_sk_owner;
SET ROLE regress_sk_owner;
SET search_path = sk, public;

CREATE TABLE e (id serial PRIMARY KEY, email text, stage lead_stage, deleted boolean NOT NULL DEFAULT false, owner text);
CREATE UNIQUE INDEX ON e (email) WHERE NOT deleted;
SELECT lead_funnel.attach('e', 'stage', key_column => 'email', excluded_column => 'deleted', owner_column => 'owner');
CREATE VIEW moves AS
SELECT lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-') || CASE origin WHEN 'write' THEN '' ELSE ' ' || origin END,
                        ', ' ORDER BY move) AS moves
FROM lead_funnel.funnel_history WHERE funnel = 'e' GROUP BY lead;
INSERT INTO e (email, stage) VALUES ('a@x', 'lead');
UPDATE e SET deleted = true;
INSERT INTO e (email, stage) VALUES ('a@x', 'mql');
-- whatever is done to the old row, the new one stays what it is
UPDATE e SET owner = 'x' WHERE deleted;
UPDATE e SET stage = 'sal' WHERE deleted;
SELECT * FROM moves;
SELECT * FROM lead_funnel.verify('e');
INSERT INTO e (email, stage, deleted) VALUES ('a@x', 'lead', true);
UPDATE e SET email = 'old-' || email WHERE deleted AND id = 1;
DELETE FROM e WHERE deleted;
SELECT * FROM moves;
SELECT * FROM lead_funnel.verify('e');
-- the key of one that is in, given to one that is out, and taken by leaving
INSERT INTO e (email, stage) VALUES ('b@x', 'lead');
UPDATE e SET email = 'a@x', deleted = true WHERE email = 'b@x';
SELECT * FROM moves ORDER BY lead COLLATE "C";
SELECT * FROM lead_funnel.verify('e');
-- back among the living only when the key is free
UPDATE e SET deleted = false WHERE deleted; -- fails: the index
UPDATE e SET email = 'c@x', deleted = false WHERE deleted;
UPDATE e SET email = 'd@x', deleted = true WHERE email = 'a@x';
UPDATE e SET email = 'a@x' WHERE email = 'c@x';
SELECT * FROM moves ORDER BY lead COLLATE "C";
SELECT * FROM lead_funnel.verify('e');

-- no unique index: two rows that are both in are refused, whichever way the second one comes
CREATE TABLE n (id int PRIMARY KEY, k int NOT NULL, stage lead_stage, deleted boolean NOT NULL DEFAULT false);
SELECT lead_funnel.attach('n', 'stage', key_column => 'k', excluded_column => 'deleted');
INSERT INTO n VALUES (1, 1, 'lead', false), (2, 1, 'mql', true);
UPDATE n SET deleted = false WHERE id = 2;   -- fails
UPDATE n SET deleted = NOT deleted;          -- both at once
SELECT lead_id, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'n' ORDER BY move;
SELECT * FROM lead_funnel.verify('n');
-- a row went while the trigger was off: its key is free, and the journal says so
ALTER TABLE n DISABLE TRIGGER lead_funnel_track;
DELETE FROM n WHERE id = 2;
ALTER TABLE n ENABLE TRIGGER lead_funnel_track;
INSERT INTO n VALUES (3, 1, 'lead');
SELECT lead_id, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'n' ORDER BY move;
SELECT * FROM lead_funnel.verify('n');

-- a status that means nothing takes no part, either
SELECT lead_funnel.detach('n', purge => true);
CREATE TABLE u (id int PRIMARY KEY, k int NOT NULL, status text);
SELECT lead_funnel.attach('u', 'status', key_column => 'k', mode => 'observe');
INSERT INTO u VALUES (1, 1, 'lead'), (2, 1, 'nonsense'), (3, 2, 'nonsense'), (4, 2, 'mql');
UPDATE u SET status = 'gibberish' WHERE id IN (2, 4);
DELETE FROM u WHERE id = 2;
SELECT lead_id, move, from_stage, to_stage, to_status, origin FROM lead_funnel.funnel_history WHERE funnel = 'u' ORDER BY lead_id, move;
SELECT * FROM lead_funnel.verify('u');
SELECT lead_funnel.reconcile('u');

-- a partition leaves, and with it the row that is out, not the lead that has its key in another one
CREATE TABLE part (id int, region int, stage lead_stage, deleted boolean, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
SELECT lead_funnel.attach('part', 'stage', key_column => 'id', excluded_column => 'deleted');
INSERT INTO part VALUES (1, 0, 'mql', true), (1, 1, 'lead', false), (1, 2, 'mql', true), (2, 0, 'lead', false);
TRUNCATE part_0;
ALTER TABLE part DETACH PARTITION part_2;
SELECT * FROM lead_funnel.verify('part');
SELECT lead, move, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'part' ORDER BY lead, move;

-- a constraint that is deferred may be broken until the transaction ends: keys exchanged by two statements
CREATE TABLE def (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, stage lead_stage);
INSERT INTO def VALUES (1, 'lead'), (2, 'mql'), (3, 'mql');
SELECT lead_funnel.attach('def', 'stage');
BEGIN;
UPDATE def SET id = 2 WHERE id = 1;
UPDATE def SET id = 1, stage = 'sal' WHERE id = 2 AND stage = 'mql';
COMMIT;
SELECT * FROM lead_funnel.verify('def');
SELECT lead, move, from_stage, to_stage, origin FROM lead_funnel.funnel_history WHERE funnel = 'def' ORDER BY lead, move;
-- the new row first, then the old one goes
BEGIN;
INSERT INTO def VALUES (3, 'lead');
DELETE FROM def WHERE id = 3 AND stage = 'mql';
COMMIT;
SELECT * FROM lead_funnel.verify('def');
BEGIN;
INSERT INTO def VALUES (3, 'lead');
COMMIT;
SELECT * FROM lead_funnel.verify('def');

-- several batches: attached, inserted, moved, keys changed, deleted, with what is sparse and what is dense in the index
CREATE TABLE big (id int PRIMARY KEY DEFERRABLE, code text NOT NULL, stage lead_stage NOT NULL DEFAULT 'lead');
INSERT INTO big SELECT i, 'c' || (i * 7919) % 5003 FROM generate_series(1, 5000) i;
SELECT lead_funnel.attach('big', 'stage', 'big_id');
INSERT INTO big SELECT i, 'd' || i FROM generate_series(5001, 9000) i;
UPDATE big SET stage = 'mql' WHERE id % 2 = 0;
UPDATE big SET stage = 'sal' WHERE id % 4 = 0;
UPDATE big SET stage = 'recycled' WHERE id % 400 = 0;
UPDATE big SET stage = CASE stage WHEN 'lead' THEN 'nurture'::lead_stage ELSE 'disqualified' END WHERE id IN (3, 801, 802, 8999);
SELECT * FROM lead_funnel.verify('big_id');
UPDATE big SET id = id + 1;
DELETE FROM big WHERE id % 3 = 0;
SELECT * FROM lead_funnel.verify('big_id');
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'big_id' ORDER BY stage_rank;
SELECT origin, count(*) FROM lead_funnel.funnel_history WHERE funnel = 'big_id' GROUP BY origin ORDER BY origin;
SELECT lead_funnel.detach('big_id', purge => true);
SELECT lead_funnel.attach('big', 'stage', 'big_code', key_column => 'code');
UPDATE big SET stage = CASE stage WHEN 'lead' THEN 'mql'::lead_stage WHEN 'mql' THEN 'sal' ELSE 'disqualified' END;
DELETE FROM big WHERE id % 5 = 0;
SELECT * FROM lead_funnel.verify('big_code');
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'big_code' ORDER BY stage_rank;

-- versions of a lead, one of them in: a statement takes it out and another one in, whichever it comes upon first
CREATE TABLE version (id int, rev int, stage text, ex boolean NOT NULL, PRIMARY KEY (id, rev), EXCLUDE (id WITH =) WHERE (NOT ex) DEFERRABLE);
SELECT lead_funnel.attach('version', 'stage', key_column => 'id', excluded_column => 'ex', preset => 'open');
INSERT INTO version VALUES (1, 1, 'lead', true), (1, 2, 'mql', false), (2, 1, 'mql', false), (2, 2, 'lead', true), (3, 1, 'lead', false);
UPDATE version SET ex = NOT ex WHERE id < 3;
SELECT lead, string_agg(coalesce(from_stage, '-') || '>' || coalesce(to_stage, '-'), ' ' ORDER BY move) AS moves FROM lead_funnel.funnel_history WHERE funnel = 'version' GROUP BY lead ORDER BY lead;
SELECT * FROM lead_funnel.verify('version');
-- a trigger writes the table in between
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE version SET stage = 'sal' WHERE id = 3; RETURN NULL; END $$;
CREATE TRIGGER touch AFTER UPDATE ON version FOR EACH ROW WHEN (new.id < 3) EXECUTE FUNCTION touch();
UPDATE version SET ex = NOT ex WHERE id < 3;
SELECT * FROM lead_funnel.verify('version');
UPDATE version SET ex = NOT ex WHERE id < 3;
SELECT * FROM lead_funnel.verify('version');
DROP TRIGGER touch ON version;
-- until the transaction ends, where the constraint says so
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE version SET ex = false WHERE id = 1;
UPDATE version SET ex = true WHERE id = 1 AND rev = 1;
COMMIT;
SELECT * FROM lead_funnel.verify('version');

-- two rows of one key that a statement makes, and a trigger between them that deletes one or both
CREATE TABLE twin (id int, region text, stage text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE twin_a PARTITION OF twin FOR VALUES IN ('a');
CREATE TABLE twin_b PARTITION OF twin FOR VALUES IN ('b');
SELECT lead_funnel.attach('twin', 'stage', key_column => 'id', source_column => 'region', preset => 'open');
CREATE FUNCTION one_of_them() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM twin WHERE id = NEW.id AND region <= tg_argv[0]; RETURN NULL; END $$;
CREATE TRIGGER m AFTER INSERT ON twin FOR EACH ROW WHEN (NEW.region = 'b') EXECUTE FUNCTION one_of_them('b');
INSERT INTO twin VALUES (1, 'b', 'won'), (1, 'a', 'sql'), (2, 'a', 'mql'), (2, 'b', 'sal');
SELECT * FROM lead_funnel.verify('twin');
DROP TRIGGER m ON twin;
CREATE TRIGGER m AFTER INSERT ON twin FOR EACH ROW WHEN (NEW.region = 'b') EXECUTE FUNCTION one_of_them('a');
INSERT INTO twin VALUES (1, 'b', 'won'), (1, 'a', 'sql'), (2, 'a', 'mql'), (2, 'b', 'sal');
SELECT * FROM lead_funnel.verify('twin');
SELECT stage, leads FROM lead_funnel.funnel_stages WHERE funnel = 'twin' AND leads > 0 ORDER BY stage_rank;

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{e,u,part,def,big_code,version,twin}'::name[]) f;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA sk CASCADE;
DROP OWNED BY regress_sk_owner;
DROP ROLE regress_sk_owner;
