-- Triggers that write leads from within triggers, three deep, at random but always the same: whatever they do, table,
-- journal and statistics agree at each commit, and each journal row goes on from the one before it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_funnel;

CREATE SCHEMA nested;
SET search_path = nested, public;

CREATE TABLE plain (
	id      integer PRIMARY KEY DEFERRABLE,
	stage   lead_stage,
	source  text,
	is_out  boolean DEFAULT false,
	value   numeric,
	note    text DEFAULT ''
);
-- no unique index can promise that id is unique; one partition has its columns in another order
CREATE TABLE parted (LIKE plain INCLUDING DEFAULTS, region integer, PRIMARY KEY (id, region) DEFERRABLE) PARTITION BY LIST (region);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES IN (0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 (
	note    text,
	region  integer NOT NULL,
	stage   lead_stage,
	id      integer NOT NULL,
	value   numeric,
	is_out  boolean DEFAULT false,
	source  text,
	PRIMARY KEY (id, region) DEFERRABLE
);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2);
SELECT lead_funnel.attach(t, 'stage', preset => 'open', key_column => 'id', source_column => 'source',
                          excluded_column => 'is_out', value_column => 'value', score_column => 'value')
FROM unnest('{plain, parted}'::regclass[]) AS t;

CREATE FUNCTION any_of(VARIADIC items text[]) RETURNS text LANGUAGE sql VOLATILE
RETURN items[1 + floor(random() * cardinality(items))::integer];

CREATE FUNCTION any_id() RETURNS integer LANGUAGE sql VOLATILE
RETURN 1 + floor(random() * 8)::integer;

CREATE FUNCTION any_statement(target text, kinds text[]) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	a integer := any_id();
	b integer := any_id();
	stage text := any_of('lead', 'mql', 'sal', 'sql', 'opportunity', 'won', 'nurture', 'recycled', 'rejected', 'lost');
	region text := any_of('0', '1', '2');
	is_parted boolean := target = 'parted';
	and_region text := CASE WHEN is_parted THEN ', region = ' || region ELSE '' END;
	region_column text := CASE WHEN is_parted THEN ', region' ELSE '' END;
	region_value text := CASE WHEN is_parted THEN ', ' || region ELSE '' END;
BEGIN
	RETURN CASE any_of(VARIADIC kinds)
	WHEN 'move' THEN
		format('UPDATE %s SET stage = %L WHERE id IN (%s, %s)', target, stage, a, b)
	WHEN 'move and go' THEN
		format('UPDATE %s SET stage = %L%s WHERE id = %s', target, stage, and_region, a)
	WHEN 'note' THEN
		format('UPDATE %s SET note = note || ''x'' WHERE id IN (%s, %s)', target, a, b)
	WHEN 'dimension' THEN
		format('UPDATE %s SET source = %L, value = %s WHERE id IN (%s, %s)', target, any_of('ads', 'web', ' ', NULL), b, a, b)
	WHEN 'exclude' THEN
		format('UPDATE %s SET is_out = NOT is_out WHERE id = %s', target, a)
	WHEN 'delete' THEN
		format('DELETE FROM %s WHERE id IN (%s, %s)', target, a, b)
	WHEN 'insert' THEN
		format('INSERT INTO %s (id, stage, value, is_out%s) SELECT i, %L, 1, %L%s FROM generate_series(%s, %s) AS i '
			   'WHERE NOT EXISTS (SELECT FROM %1$s AS x WHERE x.id = i)',
			   target, region_column, stage, (random() < 0.2)::text, region_value, least(a, b), greatest(a, b))
	WHEN 'delete and insert' THEN
		format('WITH d AS (DELETE FROM %1$s WHERE id = %2$s RETURNING *) '
			   'INSERT INTO %1$s (id, stage, source%3$s) SELECT id, %4$L, source%5$s FROM d',
			   target, a, region_column, stage, region_value)
	WHEN 'new key' THEN
		format('UPDATE %s SET id = %s%s WHERE id = %s AND NOT EXISTS (SELECT FROM %1$s WHERE id = %2$s)',
			   target, b, and_region, a)
	WHEN 'exchange keys' THEN
		format('UPDATE %s SET id = CASE id WHEN %s THEN %s ELSE %2$s END WHERE id IN (%2$s, %3$s) '
			   'AND 2 = (SELECT count(*) FROM %1$s WHERE id IN (%2$s, %3$s))', target, a, b)
	WHEN 'mirror keys' THEN
		format('UPDATE %s SET id = 9 - id', target)
	END;
END
$$;

-- some statements, of which some are rolled back
CREATE FUNCTION run(target text, kinds text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 1 + floor(random() * 2)::integer LOOP
		BEGIN
			EXECUTE any_statement(target, kinds);
			IF random() < 0.15 THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION
			WHEN division_by_zero OR unique_violation OR triggered_data_change_violation THEN
				-- the table's own indexes refuse some; we have no reason to
				IF SQLSTATE = '23505' AND SQLERRM NOT LIKE '%unique constraint%' THEN
					RAISE;
				END IF;
		END;
	END LOOP;
END
$$;

CREATE TABLE fuzz (target text, kinds text[]);
CREATE FUNCTION write_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() <= TG_ARGV[0]::integer AND random() < TG_ARGV[1]::float8 THEN
		PERFORM run(target, kinds) FROM fuzz;
	END IF;
	RETURN NULL;
END
$$;
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY '{plain, parted}'::text[] LOOP
		-- before and behind ours by name
		EXECUTE format('CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW '
					   'EXECUTE FUNCTION write_more(3, 0.3)', t);
		EXECUTE format('CREATE TRIGGER z AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW '
					   'EXECUTE FUNCTION write_more(3, 0.3)', t);
		EXECUTE format('CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT '
					   'EXECUTE FUNCTION write_more(2, 0.2)', t);
		EXECUTE format('CREATE CONSTRAINT TRIGGER d AFTER UPDATE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW '
					   'EXECUTE FUNCTION write_more(2, 0.1)', t);
	END LOOP;
END
$$;

CREATE FUNCTION wrong(target name, may_reconcile boolean) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT v::text FROM lead_funnel.verify(target) AS v
	UNION ALL
	SELECT format('lead %s, move %s: from %s, but %s before, %s', lead, move, from_stage, before, origin)
	FROM (
		SELECT *, lag(to_stage) OVER (PARTITION BY lead ORDER BY move) AS before
		FROM lead_funnel.funnel_history WHERE funnel = target
	) AS h
	WHERE from_stage IS DISTINCT FROM before OR (origin = 'reconcile' AND NOT may_reconcile)
$$;

CREATE PROCEDURE try(target text, seed float8, transactions integer, kinds text[], may_reconcile boolean)
LANGUAGE plpgsql AS $$
DECLARE
	problem text;
BEGIN
	PERFORM setseed(seed);
	TRUNCATE fuzz;
	INSERT INTO fuzz VALUES (target, kinds);
	FOR i IN 1 .. transactions LOOP
		PERFORM set_config('lead_funnel.override', 'any', true);
		PERFORM run(target, kinds);
		IF random() < 0.2 THEN
			SET CONSTRAINTS ALL IMMEDIATE;
			PERFORM run(target, kinds);
		END IF;
		COMMIT;
		FOR problem IN SELECT wrong(target, may_reconcile) LOOP
			RAISE WARNING 'transaction %: %', i, problem;
		END LOOP;
	END LOOP;
END
$$;

-- keys stay: the order of events can always be told, so nothing is ever to be reconciled
CALL try('plain', 0.1, 50, '{move, move, note, dimension, exclude, delete, insert, insert, delete and insert}', false);
-- keys change: the order cannot always be told
CALL try('plain', 0.2, 50, '{move, move, note, dimension, exclude, delete, insert, insert, delete and insert,
	new key, exchange keys, mirror keys}', true);
CALL try('parted', 0.3, 50, '{move and go, move and go, move, note, dimension, exclude, delete, insert, insert,
	delete and insert, new key, exchange keys, mirror keys}', true);

-- leads that move on by themselves; hands override what the rules ask of them
SELECT count(lead_funnel.allow(funnel, r.f::lead_stage, r.t::lead_stage, automatic => true, min_score => r.low, below_score => r.high))
FROM unnest('{plain, parted}'::name[]) AS funnel,
     (VALUES ('lead', 'mql', 1, NULL), ('mql', 'sal', 3, NULL), ('nurture', 'lead', 1, NULL), ('sal', 'nurture', NULL, 2)) AS r (f, t, low, high);
CALL try('plain', 0.4, 30, '{move, move, note, dimension, exclude, delete, insert, insert, delete and insert}', true);
CALL try('parted', 0.6, 40, '{move and go, move and go, move, dimension, exclude, delete, insert, insert, delete and insert,
	new key, exchange keys}', true);

-- it has been busy
SELECT funnel, count(*) > 300 AS moved_much, count(DISTINCT origin) AS origins,
       count(*) FILTER (WHERE origin = 'reconcile') > 0 AS reconciled, count(*) FILTER (WHERE origin = 'automatic') > 0 AS automatic
FROM lead_funnel.funnel_history GROUP BY funnel ORDER BY funnel;

SELECT lead_funnel.detach(f, purge => true) FROM unnest('{plain, parted}'::name[]) AS f;
DROP SCHEMA nested CASCADE;
