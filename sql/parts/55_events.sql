--
-- Events: a ledger of what leads do, each event once, and the engagement that it adds up to
--

CREATE TABLE lead_funnel.event_type (
    model_id    integer NOT NULL,
    event_type  text COLLATE "C" NOT NULL,
    points      double precision NOT NULL,
    half_life   bigint NOT NULL,                -- seconds
    max_count   integer,                        -- at most so many of a lead count ...
    per         text,                           -- ... in a period of the funnel's time zone; NULL: ever
    PRIMARY KEY (model_id, event_type),
    CONSTRAINT event_type_per_check CHECK (per IS NULL OR per IN ('hour', 'day', 'week', 'month', 'year') AND max_count IS NOT NULL)
);
COMMENT ON TABLE lead_funnel.event_type IS 'one row per type of event of a scoring model';

CREATE TABLE lead_funnel.funnel_model (
    funnel_id   integer PRIMARY KEY,
    model_id    integer NOT NULL
);
COMMENT ON TABLE lead_funnel.funnel_model IS 'one row per funnel whose events are judged by a scoring model';

CREATE TABLE lead_funnel.engagement_column (
    funnel_id   integer NOT NULL,
    half_life   bigint NOT NULL,                -- seconds: sums of different half-lives cannot be mixed
    column_name name NOT NULL,
    PRIMARY KEY (funnel_id, half_life)
);
COMMENT ON TABLE lead_funnel.engagement_column IS 'one row per column that keeps the engagement of leads';

-- Written by C with heap_insert: the column order is known there (ledger.c).
-- A row has the points of its type as of when it was recorded.
CREATE TABLE lead_funnel.event (
    lead_id     bigint,                         -- integer keys, else NULL
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    points      double precision NOT NULL,
    half_life   bigint NOT NULL,                -- seconds
    bucket      timestamptz,                    -- start of the period; NULL: no cap
    funnel_id   integer NOT NULL,
    max_count   integer,                        -- counts only as one of the first so many of its bucket
    lead_key    text COLLATE "C",               -- other keys, else NULL
    event_type  text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,
    external_id text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX event_once ON lead_funnel.event (funnel_id, external_id, source);
CREATE INDEX event_lead_id ON lead_funnel.event (lead_id, funnel_id, event_type, bucket, happened_at) WHERE lead_id IS NOT NULL;
CREATE INDEX event_lead_key ON lead_funnel.event (lead_key, funnel_id, event_type, bucket, happened_at) WHERE lead_key IS NOT NULL;
ALTER TABLE lead_funnel.event REPLICA IDENTITY USING INDEX event_once;
COMMENT ON TABLE lead_funnel.event IS 'one row per event of a lead';

SELECT pg_catalog.pg_extension_config_dump('lead_funnel.event_type', '');
SELECT pg_catalog.pg_extension_config_dump('lead_funnel.funnel_model', '');
SELECT pg_catalog.pg_extension_config_dump('lead_funnel.engagement_column', '');
SELECT pg_catalog.pg_extension_config_dump('lead_funnel.event', '');

-- Types of events

CREATE FUNCTION lead_funnel._half_life(half_life pg_catalog.interval)
    RETURNS pg_catalog.int8
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    -- the type engagement says which half-lives there are
    SELECT extract(epoch FROM @extschema@.half_life(@extschema@.make_engagement(0, 'epoch', $1)))::bigint
$$;
COMMENT ON FUNCTION lead_funnel._half_life(pg_catalog.interval) IS
    'seconds of a half-life; an error if an engagement cannot have it';

CREATE FUNCTION lead_funnel.set_event_type(model pg_catalog.name, event_type pg_catalog.text, points pg_catalog.float8,
                                           half_life pg_catalog.interval DEFAULT '7 days',
                                           max_count pg_catalog.int4 DEFAULT NULL, per pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.set_event_type(pg_catalog.name, pg_catalog.text, pg_catalog.float8, pg_catalog.interval,
    pg_catalog.int4, pg_catalog.text) IS
    'points that an event of this type adds from now on, their half-life, and how many of a lead count in a period';

CREATE FUNCTION lead_funnel._set_event_type(model pg_catalog.name, event_type pg_catalog.text, points pg_catalog.float8,
                                            half_life pg_catalog.interval, max_count pg_catalog.int4, per pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    m lead_funnel.score_model := lead_funnel._own_model(_set_event_type.model);
BEGIN
    IF num_nulls(_set_event_type.event_type, _set_event_type.points, _set_event_type.half_life) > 0 OR _set_event_type.event_type = '' THEN
        RAISE EXCEPTION 'an event type needs a name, points and a half-life'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Call it as lead_funnel.set_event_type(model, event_type, points, half_life).';
    END IF;
    -- beside the longest key of a lead it must fit into an index
    IF octet_length(_set_event_type.event_type) > 63 THEN
        RAISE EXCEPTION 'name of an event type is too long: % bytes', octet_length(_set_event_type.event_type)
            USING ERRCODE = 'name_too_long',
                  HINT = 'Names of event types have at most 63 bytes.';
    END IF;
    IF _set_event_type.max_count <= 0 OR (_set_event_type.max_count IS NULL AND _set_event_type.per IS NOT NULL) THEN
        RAISE EXCEPTION 'max_count of an event type must be at least 1'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It says how many events of a lead count in a period; leave max_count and per out if all do.';
    END IF;
    IF _set_event_type.per IS NOT NULL THEN
        PERFORM lead_funnel._check_choice('per', _set_event_type.per, ARRAY['hour', 'day', 'week', 'month', 'year']);
    END IF;
    -- the type engagement refuses what it cannot hold
    PERFORM @extschema@.make_engagement(_set_event_type.points, 'epoch', _set_event_type.half_life);
    INSERT INTO lead_funnel.event_type AS t (model_id, event_type, points, half_life, max_count, per)
    VALUES (m.model_id, _set_event_type.event_type, _set_event_type.points, lead_funnel._half_life(_set_event_type.half_life),
            _set_event_type.max_count, _set_event_type.per)
    ON CONFLICT (model_id, event_type) DO UPDATE
    SET points = excluded.points, half_life = excluded.half_life, max_count = excluded.max_count, per = excluded.per;
    PERFORM lead_funnel._invalidate_models();
END
$$;
COMMENT ON FUNCTION lead_funnel._set_event_type(pg_catalog.name, pg_catalog.text, pg_catalog.float8, pg_catalog.interval,
    pg_catalog.int4, pg_catalog.text) IS
    'implementation of set_event_type()';
REVOKE ALL ON FUNCTION lead_funnel._set_event_type(pg_catalog.name, pg_catalog.text, pg_catalog.float8, pg_catalog.interval,
    pg_catalog.int4, pg_catalog.text) FROM PUBLIC;

CREATE FUNCTION lead_funnel.remove_event_type(model pg_catalog.name, event_type pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.remove_event_type(pg_catalog.name, pg_catalog.text) IS
    'end of a type of event; events that are recorded stay';

CREATE FUNCTION lead_funnel._remove_event_type(model pg_catalog.name, event_type pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    m lead_funnel.score_model := lead_funnel._own_model(_remove_event_type.model);
BEGIN
    DELETE FROM lead_funnel.event_type AS t WHERE t.model_id = m.model_id AND t.event_type = _remove_event_type.event_type;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'scoring model "%" has no event type "%"', m.name, _remove_event_type.event_type
            USING ERRCODE = 'undefined_object',
                  HINT = 'View lead_funnel.event_types lists them.';
    END IF;
    PERFORM lead_funnel._invalidate_models();
END
$$;
COMMENT ON FUNCTION lead_funnel._remove_event_type(pg_catalog.name, pg_catalog.text) IS
    'implementation of remove_event_type()';
REVOKE ALL ON FUNCTION lead_funnel._remove_event_type(pg_catalog.name, pg_catalog.text) FROM PUBLIC;

-- What a funnel does with events

CREATE FUNCTION lead_funnel.set_scoring(funnel pg_catalog.name, model pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.set_scoring(pg_catalog.name, pg_catalog.name) IS
    'scoring model whose event types a funnel knows; NULL ends that';

CREATE FUNCTION lead_funnel._set_scoring(funnel pg_catalog.name, model pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_set_scoring.funnel);
    found_id integer;
BEGIN
    IF _set_scoring.model IS NULL THEN
        DELETE FROM lead_funnel.funnel_model AS o WHERE o.funnel_id = f.funnel_id;
    ELSE
        SELECT m.model_id INTO found_id FROM lead_funnel.score_model AS m WHERE m.name = _set_scoring.model;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'scoring model "%" does not exist', _set_scoring.model
                USING ERRCODE = 'undefined_object',
                      HINT = 'See lead_funnel.score_models for those that do, or make one with lead_funnel.create_model().';
        END IF;
        INSERT INTO lead_funnel.funnel_model AS o (funnel_id, model_id) VALUES (f.funnel_id, found_id)
        ON CONFLICT (funnel_id) DO UPDATE SET model_id = excluded.model_id;
    END IF;
    PERFORM lead_funnel._invalidate_models();
END
$$;
COMMENT ON FUNCTION lead_funnel._set_scoring(pg_catalog.name, pg_catalog.name) IS
    'implementation of set_scoring()';
REVOKE ALL ON FUNCTION lead_funnel._set_scoring(pg_catalog.name, pg_catalog.name) FROM PUBLIC;

-- As the caller, who must own the table: the ledger is folded into the column
CREATE FUNCTION lead_funnel.set_engagement_column(funnel pg_catalog.name, "column" pg_catalog.name,
                                                  half_life pg_catalog.interval DEFAULT '7 days')
    RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
BEGIN
    PERFORM lead_funnel._set_engagement_column(funnel, "column", half_life);
    RETURN CASE WHEN "column" IS NULL THEN 0 ELSE lead_funnel.rebuild_engagement(funnel) END;
END
$$;
COMMENT ON FUNCTION lead_funnel.set_engagement_column(pg_catalog.name, pg_catalog.name, pg_catalog.interval) IS
    'number of leads whose engagement was written: the column keeps that of events with this half-life from now on; NULL ends that';

CREATE FUNCTION lead_funnel._set_engagement_column(funnel pg_catalog.name, "column" pg_catalog.name, half_life pg_catalog.interval)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel._set_engagement_column(pg_catalog.name, pg_catalog.name, pg_catalog.interval) IS
    'the part of set_engagement_column() that runs as the owner of the extension';

CREATE FUNCTION lead_funnel.__set_engagement_column(funnel pg_catalog.name, "column" pg_catalog.name, half_life pg_catalog.interval)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel;
    seconds CONSTANT bigint := lead_funnel._half_life(half_life);
BEGIN
    IF seconds IS NULL THEN
        RAISE EXCEPTION 'half_life must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give that of the event types whose points the column adds up.';
    END IF;
    -- no event is recorded while the column is filled
    f := lead_funnel._lock_funnel(__set_engagement_column.funnel, 'SHARE ROW EXCLUSIVE');
    DELETE FROM lead_funnel.engagement_column AS o WHERE o.funnel_id = f.funnel_id AND o.half_life = seconds;
    IF "column" IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM pg_attribute AS a
                       WHERE a.attrelid = f.relation AND a.attname = "column" AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                         AND a.atttypid = '@extschema@.engagement'::regtype) THEN
            RAISE EXCEPTION 'column "%" of table % cannot keep an engagement', "column", f.relation
                USING ERRCODE = 'datatype_mismatch',
                      DETAIL = 'It must exist, be no generated column and have the type engagement.',
                      HINT = format('ALTER TABLE %s ADD COLUMN %I engagement', f.relation, "column");
        END IF;
        IF EXISTS (SELECT FROM lead_funnel.engagement_column AS o WHERE o.funnel_id = f.funnel_id AND o.column_name = "column") THEN
            RAISE EXCEPTION 'column "%" keeps the engagement of another half-life', "column"
                USING ERRCODE = 'duplicate_object',
                      HINT = 'Use a column per half-life.';
        END IF;
        INSERT INTO lead_funnel.engagement_column (funnel_id, half_life, column_name) VALUES (f.funnel_id, seconds, "column");
    END IF;
    PERFORM lead_funnel._invalidate_models();
END
$$;
COMMENT ON FUNCTION lead_funnel.__set_engagement_column(pg_catalog.name, pg_catalog.name, pg_catalog.interval) IS
    'implementation of set_engagement_column()';
REVOKE ALL ON FUNCTION lead_funnel.__set_engagement_column(pg_catalog.name, pg_catalog.name, pg_catalog.interval) FROM PUBLIC;

-- Recording: C inserts into the ledger, and updates the lead as the caller.
-- None is strict: an event with a NULL is an error, not nothing.

CREATE FUNCTION lead_funnel.record_event(funnel pg_catalog.name, lead pg_catalog.text, event_type pg_catalog.text,
                                         at pg_catalog.timestamptz, external_id pg_catalog.text, source pg_catalog.text DEFAULT '')
    RETURNS pg_catalog.bool
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_record_event_text';
COMMENT ON FUNCTION lead_funnel.record_event(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz,
    pg_catalog.text, pg_catalog.text) IS
    'whether an event of a lead was new: one with this external_id of this source counts once';

CREATE FUNCTION lead_funnel.record_event(funnel pg_catalog.name, lead pg_catalog.int8, event_type pg_catalog.text,
                                         at pg_catalog.timestamptz, external_id pg_catalog.text, source pg_catalog.text DEFAULT '')
    RETURNS pg_catalog.bool
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_record_event_int8';
COMMENT ON FUNCTION lead_funnel.record_event(pg_catalog.name, pg_catalog.int8, pg_catalog.text, pg_catalog.timestamptz,
    pg_catalog.text, pg_catalog.text) IS
    'whether an event of the lead with this integer key was new';

CREATE FUNCTION lead_funnel.record_event(funnel pg_catalog.name, lead pg_catalog.uuid, event_type pg_catalog.text,
                                         at pg_catalog.timestamptz, external_id pg_catalog.text, source pg_catalog.text DEFAULT '')
    RETURNS pg_catalog.bool
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_record_event_uuid';
COMMENT ON FUNCTION lead_funnel.record_event(pg_catalog.name, pg_catalog.uuid, pg_catalog.text, pg_catalog.timestamptz,
    pg_catalog.text, pg_catalog.text) IS
    'whether an event of the lead with this uuid key was new';

CREATE FUNCTION lead_funnel.record_events(funnel pg_catalog.name, leads pg_catalog.text[], event_types pg_catalog.text[],
                                          at pg_catalog.timestamptz[], external_ids pg_catalog.text[], source pg_catalog.text DEFAULT '')
    RETURNS pg_catalog.int8
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    AS $$
    -- by lead, so that two calls at a time lock leads in one order
    SELECT pg_catalog.count(*) FILTER (WHERE lead_funnel.record_event($1, e.lead, e.event_type, e.happened_at, e.external_id, $6))
    FROM (SELECT u.* FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))
              AS u (lead, event_type, happened_at, external_id)
          ORDER BY u.lead COLLATE pg_catalog."C", u.happened_at
          OFFSET 0) AS e
$$;
COMMENT ON FUNCTION lead_funnel.record_events(pg_catalog.name, pg_catalog.text[], pg_catalog.text[], pg_catalog.timestamptz[],
    pg_catalog.text[], pg_catalog.text) IS
    'number of the events that were new; the arrays are the columns of a list of events';

CREATE FUNCTION lead_funnel.delete_event(funnel pg_catalog.name, external_id pg_catalog.text, source pg_catalog.text DEFAULT '')
    RETURNS pg_catalog.bool
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_delete_event';
COMMENT ON FUNCTION lead_funnel.delete_event(pg_catalog.name, pg_catalog.text, pg_catalog.text) IS
    'whether there was such an event, which is as if it had never been recorded now';

-- not strict: what is NULL stays as it is
CREATE FUNCTION lead_funnel.correct_event(funnel pg_catalog.name, external_id pg_catalog.text, source pg_catalog.text DEFAULT '',
                                          event_type pg_catalog.text DEFAULT NULL, at pg_catalog.timestamptz DEFAULT NULL,
                                          points pg_catalog.float8 DEFAULT NULL)
    RETURNS pg_catalog.bool
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_correct_event';
COMMENT ON FUNCTION lead_funnel.correct_event(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.text,
    pg_catalog.timestamptz, pg_catalog.float8) IS
    'whether there was such an event, which is as if it had been recorded like this now';

-- Views

CREATE VIEW lead_funnel.event_types WITH (security_barrier) AS
SELECT m.name::pg_catalog.text COLLATE pg_catalog."default" AS model,
    t.event_type COLLATE pg_catalog."default" AS event_type,
    t.points,
    t.half_life AS half_life_seconds,
    t.max_count,
    t.per
FROM lead_funnel.event_type AS t
JOIN lead_funnel.score_model AS m ON m.model_id OPERATOR(pg_catalog.=) t.model_id;
COMMENT ON VIEW lead_funnel.event_types IS 'one row per type of event of a scoring model';
COMMENT ON COLUMN lead_funnel.event_types.model IS 'name of the model';
COMMENT ON COLUMN lead_funnel.event_types.event_type IS 'name of the type';
COMMENT ON COLUMN lead_funnel.event_types.points IS 'points that an event adds when it happens';
COMMENT ON COLUMN lead_funnel.event_types.half_life_seconds IS 'seconds after which half of them are left';
COMMENT ON COLUMN lead_funnel.event_types.max_count IS 'how many events of a lead count in a period; NULL: all';
COMMENT ON COLUMN lead_funnel.event_types.per IS 'the period, in the time zone of the funnel; NULL: ever';

CREATE VIEW lead_funnel.lead_events WITH (security_barrier) AS
SELECT f.funnel,
    coalesce(e.lead_key, e.lead_id::pg_catalog.text COLLATE pg_catalog."C") AS lead,
    e.lead_id,
    e.event_type COLLATE pg_catalog."default" AS event_type,
    e.source COLLATE pg_catalog."default" AS source,
    e.external_id COLLATE pg_catalog."default" AS external_id,
    e.happened_at,
    e.recorded_at,
    e.points,
    e.half_life AS half_life_seconds,
    -- as fold() in ledger.c
    (e.max_count IS NULL
     OR pg_catalog.row_number() OVER (PARTITION BY e.funnel_id, e.lead_id, e.lead_key, e.event_type, e.bucket
                                      ORDER BY e.happened_at, e.external_id, e.source) OPERATOR(pg_catalog.<=) e.max_count) AS counted
FROM lead_funnel.event AS e
JOIN lead_funnel._readable AS f ON f.funnel_id OPERATOR(pg_catalog.=) e.funnel_id;
COMMENT ON VIEW lead_funnel.lead_events IS 'one row per event of a lead';
COMMENT ON COLUMN lead_funnel.lead_events.funnel IS 'name of the funnel';
COMMENT ON COLUMN lead_funnel.lead_events.lead IS 'key of the lead as text';
COMMENT ON COLUMN lead_funnel.lead_events.lead_id IS 'key of the lead where it is an integer';
COMMENT ON COLUMN lead_funnel.lead_events.event_type IS 'type of the event';
COMMENT ON COLUMN lead_funnel.lead_events.source IS 'system that has told of it';
COMMENT ON COLUMN lead_funnel.lead_events.external_id IS 'its identity in that system';
COMMENT ON COLUMN lead_funnel.lead_events.happened_at IS 'when it happened';
COMMENT ON COLUMN lead_funnel.lead_events.recorded_at IS 'when it was recorded, or corrected last';
COMMENT ON COLUMN lead_funnel.lead_events.points IS 'points that it added when it happened';
COMMENT ON COLUMN lead_funnel.lead_events.half_life_seconds IS 'seconds after which half of them are left';
COMMENT ON COLUMN lead_funnel.lead_events.counted IS 'whether it counts; not if the lead had as many of its type in the period before';

-- Column and ledger. As the caller, who reads leads and the view of events.

CREATE FUNCTION lead_funnel._engagement_columns(funnel pg_catalog.name)
    RETURNS TABLE (relation pg_catalog.regclass, key_column pg_catalog.name, column_name pg_catalog.name, half_life pg_catalog.int8)
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT f.relation, f.key_column, c.column_name, c.half_life
    FROM lead_funnel.funnel AS f
    JOIN lead_funnel.engagement_column AS c ON c.funnel_id = f.funnel_id
    WHERE f.name = _engagement_columns.funnel AND f.relation IS NOT NULL
    ORDER BY c.half_life
$$;
COMMENT ON FUNCTION lead_funnel._engagement_columns(pg_catalog.name) IS
    'columns that keep the engagement of a funnel''s leads';

CREATE FUNCTION lead_funnel._fold_query(c pg_catalog.record, funnel pg_catalog.name)
    RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN format('SELECT t.%1$I::pg_catalog.text AS lead, t.%2$I AS stored, e.folded, e.size, t.tableoid, t.ctid '
                  'FROM %3$s AS t LEFT JOIN (SELECT v.lead, '
                  '@extschema@.engagement(v.points, v.happened_at, pg_catalog.make_interval(secs => v.half_life_seconds)) AS folded, '
                  '@extschema@.engagement(pg_catalog.abs(v.points), v.happened_at, pg_catalog.make_interval(secs => v.half_life_seconds)) AS size '
                  'FROM lead_funnel.lead_events AS v '
                  'WHERE v.funnel OPERATOR(pg_catalog.=) %4$L AND v.counted AND v.half_life_seconds OPERATOR(pg_catalog.=) %5$s GROUP BY v.lead) AS e '
                  'ON e.lead OPERATOR(pg_catalog.=) t.%1$I::pg_catalog.text '
                  -- to 10 digits of the sum of the absolute values, which the sum of many events keeps
                  'WHERE t.%2$I IS NULL AND e.folded IS NOT NULL OR t.%2$I IS NOT NULL AND e.folded IS NULL '
                  'OR @extschema@.half_life(t.%2$I) OPERATOR(pg_catalog.<>) @extschema@.half_life(e.folded) '
                  'OR @extschema@.newest(t.%2$I) OPERATOR(pg_catalog.<>) @extschema@.newest(e.folded) '
                  'OR pg_catalog.abs(@extschema@.points_at(t.%2$I, @extschema@.newest(e.folded)) OPERATOR(pg_catalog.-) '
                  '@extschema@.points_at(e.folded, @extschema@.newest(e.folded))) OPERATOR(pg_catalog.>) '
                  '(1e-10 OPERATOR(pg_catalog.*) @extschema@.points_at(e.size, @extschema@.newest(e.folded)))',
                  c.key_column, c.column_name, c.relation, funnel, c.half_life);
END
$$;
COMMENT ON FUNCTION lead_funnel._fold_query(pg_catalog.record, pg_catalog.name) IS
    'query for the leads whose engagement is not what the ledger says';

CREATE FUNCTION lead_funnel.verify_engagement(funnel pg_catalog.name)
    RETURNS TABLE (lead pg_catalog.text, column_name pg_catalog.name, stored @extschema@.engagement, ledger @extschema@.engagement)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    AS $$
DECLARE
    c pg_catalog.record;
BEGIN
    FOR c IN SELECT o.* FROM lead_funnel._engagement_columns(verify_engagement.funnel) AS o LOOP
        RETURN QUERY EXECUTE pg_catalog.format('SELECT q.lead, %L::pg_catalog.name, q.stored, q.folded FROM (%s) AS q',
                                               c.column_name, lead_funnel._fold_query(c, verify_engagement.funnel));
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel.verify_engagement(pg_catalog.name) IS
    'leads whose engagement is not that of the events in the ledger: none, unless something else has written the column';

CREATE FUNCTION lead_funnel.rebuild_engagement(funnel pg_catalog.name)
    RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    c pg_catalog.record;
    n pg_catalog.int8;
    result pg_catalog.int8 := 0;
BEGIN
    IF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) ALL ('{read committed,read uncommitted}'::pg_catalog.text[]) THEN
        RAISE EXCEPTION 'rebuild_engagement needs a READ COMMITTED transaction'
            USING ERRCODE = 'active_sql_transaction',
                  HINT = 'Begin the transaction with BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED.';
    END IF;
    FOR c IN SELECT o.* FROM lead_funnel._engagement_columns(rebuild_engagement.funnel) AS o LOOP
        EXECUTE pg_catalog.format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', c.relation);
        EXECUTE pg_catalog.format('UPDATE %s AS o SET %I = q.folded FROM (%s) AS q '
                                  'WHERE o.tableoid OPERATOR(pg_catalog.=) q.tableoid AND o.ctid OPERATOR(pg_catalog.=) q.ctid',
                                  c.relation, c.column_name, lead_funnel._fold_query(c, rebuild_engagement.funnel));
        GET DIAGNOSTICS n = ROW_COUNT;
        result := result OPERATOR(pg_catalog.+) n;
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION lead_funnel.rebuild_engagement(pg_catalog.name) IS
    'number of leads whose engagement was written anew from the ledger';
