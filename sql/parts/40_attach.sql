--
-- attach, detach, suspend, resume, alter_funnel
--
-- The public functions check that the caller owns the table, then run the
-- private one of the same name as the owner of the extension.  Private
-- functions never query a user's table, since its functions would run with
-- their rights: they lock it, put triggers on it, and read it in C.
--
-- One order of locks: the lead table, the row of the funnel, the statistics.
--

-- Helpers that read catalogs only; check_table calls them as the caller.  Those
-- that catch errors are parallel unsafe: a worker starts no subtransaction.

-- Of a row in a variable make the argument by to_json(f)::jsonb: to_jsonb(f) forgets
-- the names of its columns if the description of the row's type is invalidated
-- meanwhile.
CREATE FUNCTION lead_funnel._columns_of(columns pg_catalog.jsonb)
    RETURNS TABLE (parameter pg_catalog.text, column_name pg_catalog.name, use pg_catalog.text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT u.parameter, (columns ->> u.parameter)::name, u.use
    FROM (VALUES (1, 'stage_column', 'stage'),
                 (2, 'key_column', 'key'),
                 (3, 'source_column', 'dim'),
                 (4, 'campaign_column', 'dim'),
                 (5, 'owner_column', 'dim'),
                 (6, 'segment_column', 'dim'),
                 (7, 'currency_column', 'dim'),
                 (8, 'value_column', 'value'),
                 (9, 'entered_column', 'time'),
                 (10, 'actor_column', 'text'),
                 (11, 'reason_column', 'text'),
                 (12, 'handover_column', 'time'),
                 (13, 'excluded_column', 'excluded'),
                 (14, 'score_column', 'value'),
                 (15, 'qualification_column', 'qualification')) AS u (position, parameter, use)
    WHERE columns ->> u.parameter IS NOT NULL
    UNION ALL
    -- those that make a qualification: bind_qualification()
    SELECT b.key, b.value::name,
           CASE WHEN columns #>> '{binding,framework}' <> 'bant' THEN 'level'
                WHEN b.key IN ('budget', 'timeline') THEN b.key
                WHEN b.key IN ('authority', 'need') THEN 'level'
                WHEN b.key IN ('amount', 'price', 'impact') THEN 'value'
                WHEN b.key IN ('fits', 'needed') THEN 'boolean'
                WHEN b.key = 'decision' THEN 'time'
                ELSE 'text' END
    FROM jsonb_each_text(columns #> '{binding,columns}') AS b
$$;
COMMENT ON FUNCTION lead_funnel._columns_of(pg_catalog.jsonb) IS
    'columns of a funnel with their use, of those that are given';

CREATE FUNCTION lead_funnel._check_relation(relation pg_catalog.regclass)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
    other text;
BEGIN
    SELECT r.relname, n.nspname, r.relkind, r.relpersistence, r.relispartition,
           pg_is_other_temp_schema(n.oid) AS of_other_session
    INTO c
    FROM pg_class AS r
    JOIN pg_namespace AS n ON n.oid = r.relnamespace
    WHERE r.oid = relation;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'relation with OID % does not exist', relation::oid
            USING ERRCODE = 'undefined_table';
    END IF;

    IF c.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION 'relation "%" cannot carry a funnel', c.relname
            USING ERRCODE = 'wrong_object_type',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  DETAIL = format('It is %s; a funnel needs an ordinary or partitioned table.',
                                  CASE c.relkind WHEN 'v' THEN 'a view'
                                                 WHEN 'm' THEN 'a materialized view'
                                                 WHEN 'f' THEN 'a foreign table'
                                                 WHEN 'S' THEN 'a sequence'
                                                 WHEN 'i' THEN 'an index'
                                                 WHEN 'I' THEN 'an index'
                                                 WHEN 'c' THEN 'a composite type'
                                                 ELSE 'of another kind' END),
                  HINT = CASE WHEN c.relkind IN ('v', 'm') THEN 'Attach the table that the view reads.'
                              WHEN c.relkind = 'f' THEN 'Attach the table on the server that it lives on.'
                              ELSE 'Name the table that has a row per lead.' END;
    END IF;

    IF c.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') THEN
        RAISE EXCEPTION 'permission denied: "%" is a system catalog', c.relname
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'Nothing is attached to tables of the server itself.',
                  HINT = 'Name the table that has a row per lead.';
    END IF;
    IF c.nspname = 'lead_funnel' THEN
        RAISE EXCEPTION 'table "%" belongs to extension "lead_funnel"', c.relname
            USING ERRCODE = 'wrong_object_type',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  DETAIL = 'A funnel cannot watch the tables that it is kept in.',
                  HINT = 'Name the table that has a row per lead.';
    END IF;

    IF c.relpersistence = 't' THEN
        RAISE EXCEPTION 'table "%" is temporary and cannot carry a funnel', c.relname
            USING ERRCODE = 'wrong_object_type',
                  TABLE = c.relname,
                  DETAIL = 'Its rows end with the session, the journal stays.',
                  HINT = 'Create it as an ordinary table.';
    END IF;

    IF c.relispartition THEN
        other := pg_partition_root(relation)::text;
        RAISE EXCEPTION 'table "%" is a partition and cannot carry a funnel of its own', c.relname
            USING ERRCODE = 'wrong_object_type',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  DETAIL = format('It is a partition of table %s.', other),
                  HINT = format('Attach %s.', other);
    END IF;

    SELECT i.inhrelid::regclass::text INTO other
    FROM pg_inherits AS i
    WHERE i.inhparent = relation AND c.relkind = 'r'
    ORDER BY 1
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table "%" has inheritance children and cannot carry a funnel', c.relname
            USING ERRCODE = 'feature_not_supported',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  DETAIL = format('Table %s inherits from it; triggers of a parent do not see the rows of a child.', other),
                  HINT = 'Use a partitioned table, or attach each child.';
    END IF;
    SELECT i.inhparent::regclass::text INTO other
    FROM pg_inherits AS i
    WHERE i.inhrelid = relation
    ORDER BY i.inhseqno
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table "%" is an inheritance child and cannot carry a funnel', c.relname
            USING ERRCODE = 'feature_not_supported',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  DETAIL = format('It inherits from table %s, whose queries see its rows.', other),
                  HINT = 'Use a partitioned table, or end the inheritance with ALTER TABLE ... NO INHERIT.';
    END IF;

    SELECT r.relname INTO other
    FROM pg_partition_tree(relation) AS p
    JOIN pg_class AS r ON r.oid = p.relid
    WHERE r.relkind = 'f'
    ORDER BY 1
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'table "%" has a foreign partition and cannot carry a funnel', c.relname
            USING ERRCODE = 'feature_not_supported',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  DETAIL = format('Partition "%s" is a foreign table; what its server writes is not seen here.', other),
                  HINT = 'Detach the foreign partition.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_relation(pg_catalog.regclass) IS
    'error unless the relation is a table that may carry a funnel';

CREATE FUNCTION lead_funnel._check_column(relation pg_catalog.regclass, parameter pg_catalog.text,
                                          column_name pg_catalog.name, use pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
    a record;
    complaint text;
    alike text;
    everything text;
BEGIN
    SELECT r.relname, n.nspname INTO STRICT c
    FROM pg_class AS r
    JOIN pg_namespace AS n ON n.oid = r.relnamespace
    WHERE r.oid = relation;

    SELECT t.attnum, t.attgenerated INTO a
    FROM pg_attribute AS t
    WHERE t.attrelid = relation AND t.attname = column_name AND NOT t.attisdropped;
    IF NOT FOUND THEN
        SELECT string_agg(quote_ident(t.attname), ', ' ORDER BY t.attnum),
               string_agg(quote_ident(t.attname), ', ' ORDER BY t.attnum)
                   FILTER (WHERE least(length(s.has), length(s.wanted)) >= 3
                               AND (strpos(s.has, s.wanted) > 0 OR strpos(s.wanted, s.has) > 0))
        INTO everything, alike
        FROM pg_attribute AS t
        CROSS JOIN LATERAL (SELECT regexp_replace(lower(t.attname::text), '[^[:alnum:]]', '', 'g') AS has,
                                   regexp_replace(lower(column_name::text), '[^[:alnum:]]', '', 'g') AS wanted) AS s
        WHERE t.attrelid = relation AND t.attnum > 0 AND NOT t.attisdropped;
        RAISE EXCEPTION 'column "%" of relation "%" does not exist', column_name, c.relname
            USING ERRCODE = 'undefined_column',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  COLUMN = column_name,
                  DETAIL = format('It is given as %s.', parameter),
                  HINT = CASE WHEN alike IS NOT NULL THEN format('Columns of a like name: %s.', alike)
                              ELSE format('The table has these columns: %s.', everything) END;
    END IF;

    IF a.attnum < 0 THEN
        RAISE EXCEPTION 'system column "%" cannot be used by a funnel', column_name
            USING ERRCODE = 'feature_not_supported',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  COLUMN = column_name,
                  DETAIL = format('It is given as %s.', parameter),
                  HINT = 'Name a column that the table declares.';
    END IF;

    IF a.attgenerated = 'v' THEN
        RAISE EXCEPTION 'virtual generated column "%" of relation "%" cannot be used by a funnel', column_name, c.relname
            USING ERRCODE = 'feature_not_supported',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  COLUMN = column_name,
                  DETAIL = format('It is given as %s. A trigger does not see its value, since none is stored.', parameter),
                  HINT = 'Declare it as GENERATED ALWAYS AS (...) STORED.';
    END IF;

    complaint := lead_funnel._column_allowed(relation, column_name, use);
    IF complaint IS NOT NULL THEN
        RAISE EXCEPTION 'column "%" of relation "%" cannot be the % of a funnel', column_name, c.relname, parameter
            USING ERRCODE = 'datatype_mismatch',
                  SCHEMA = c.nspname,
                  TABLE = c.relname,
                  COLUMN = column_name,
                  DETAIL = complaint,
                  HINT = 'Change the type of the column, or name another one.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_column(pg_catalog.regclass, pg_catalog.text, pg_catalog.name, pg_catalog.text) IS
    'error unless the table has this column and its type fits its use';

CREATE FUNCTION lead_funnel._check_columns(relation pg_catalog.regclass, columns pg_catalog.jsonb)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    used record;
    relname name;
    generated "char";
BEGIN
    FOR used IN SELECT * FROM lead_funnel._columns_of(columns) LOOP
        PERFORM lead_funnel._check_column(relation, used.parameter, used.column_name, used.use);
    END LOOP;

    SELECT r.relname INTO STRICT relname FROM pg_class AS r WHERE r.oid = relation;
    IF columns ->> 'key_column' = columns ->> 'stage_column' THEN
        RAISE EXCEPTION 'column "%" of relation "%" cannot be both key and stage', columns ->> 'stage_column', relname
            USING ERRCODE = 'duplicate_column',
                  TABLE = relname,
                  COLUMN = columns ->> 'stage_column',
                  DETAIL = 'A lead that moves would become another lead.',
                  HINT = 'Name the column that identifies a lead: key_column => ...';
    END IF;

    IF columns ->> 'entered_column' IS NULL THEN
        RETURN;
    END IF;
    IF columns ->> 'entered_column' = columns ->> 'stage_column' THEN
        RAISE EXCEPTION 'column "%" of relation "%" cannot be both stage and entered_column', columns ->> 'stage_column', relname
            USING ERRCODE = 'duplicate_column',
                  TABLE = relname,
                  COLUMN = columns ->> 'stage_column',
                  DETAIL = 'entered_column says since when a lead is in its stage.',
                  HINT = 'Name a column with a time, or leave entered_column out.';
    END IF;
    SELECT t.attgenerated INTO STRICT generated
    FROM pg_attribute AS t
    WHERE t.attrelid = relation AND t.attname = columns ->> 'entered_column';
    IF generated <> '' THEN
        RAISE EXCEPTION 'generated column "%" of relation "%" cannot be the entered_column of a funnel', columns ->> 'entered_column', relname
            USING ERRCODE = 'feature_not_supported',
                  TABLE = relname,
                  COLUMN = columns ->> 'entered_column',
                  DETAIL = 'The funnel fills this column in when a lead moves.',
                  HINT = 'Leave entered_column out: views and journal know since when a lead is in its stage.';
    END IF;
    SELECT t.attgenerated INTO STRICT generated
    FROM pg_attribute AS t
    WHERE t.attrelid = relation AND t.attname = columns ->> 'stage_column';
    IF generated <> '' THEN
        RAISE EXCEPTION 'entered_column cannot be used with generated stage column "%" of relation "%"', columns ->> 'stage_column', relname
            USING ERRCODE = 'feature_not_supported',
                  TABLE = relname,
                  COLUMN = columns ->> 'stage_column',
                  DETAIL = 'The column would be filled in before the stage is generated.',
                  HINT = 'Leave entered_column out: views and journal know since when a lead is in its stage.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_columns(pg_catalog.regclass, pg_catalog.jsonb) IS
    'error unless the table has these columns, with types that fit, and they go together';

CREATE FUNCTION lead_funnel._default_key(relation pg_catalog.regclass)
    RETURNS pg_catalog.name
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    relname name;
    columns name[];
BEGIN
    SELECT r.relname,
           (SELECT array_agg(t.attname ORDER BY k.position)
            FROM pg_index AS i
            CROSS JOIN LATERAL unnest(i.indkey[:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, position)
            JOIN pg_attribute AS t ON t.attrelid = i.indrelid AND t.attnum = k.attnum
            WHERE i.indrelid = r.oid AND i.indisprimary)
    INTO STRICT relname, columns
    FROM pg_class AS r
    WHERE r.oid = relation;
    IF cardinality(columns) = 1 THEN
        RETURN columns[1];
    END IF;
    RAISE EXCEPTION 'relation "%" has no primary key of one column', relname
        USING ERRCODE = 'undefined_object',
              TABLE = relname,
              DETAIL = CASE WHEN columns IS NULL THEN 'It has no primary key.'
                            ELSE format('Its primary key has the columns %s.', array_to_string(columns, ', ')) END,
              HINT = 'Name the column that identifies a lead: key_column => ...';
END
$$;
COMMENT ON FUNCTION lead_funnel._default_key(pg_catalog.regclass) IS
    'column of the primary key; an error unless there is exactly one';

CREATE FUNCTION lead_funnel._has_unique_index(relation pg_catalog.regclass, column_name pg_catalog.name)
    RETURNS pg_catalog.bool
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT EXISTS (SELECT
                   FROM pg_index AS i
                   JOIN pg_attribute AS t ON t.attrelid = i.indrelid AND t.attnum = i.indkey[0]
                   WHERE i.indrelid = relation AND t.attname = column_name AND i.indisunique AND i.indisvalid
                     AND i.indnkeyatts = 1 AND i.indpred IS NULL)
$$;
COMMENT ON FUNCTION lead_funnel._has_unique_index(pg_catalog.regclass, pg_catalog.name) IS
    'whether an index makes sure that no two rows have the same value in the column';

CREATE FUNCTION lead_funnel._check_timezone(timezone pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF btrim(timezone) = '' THEN
        RAISE EXCEPTION 'time zone is empty'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It says when a day begins.',
                  HINT = 'Give a name such as timezone => ''Europe/Berlin''.';
    END IF;
    -- CET is a place's zone to SET timezone, and winter time all year round to AT TIME ZONE; EST may be Australian
    IF upper(timezone COLLATE "C") NOT IN ('UTC', 'GMT', 'UCT', 'ZULU', 'Z')
       AND EXISTS (SELECT FROM pg_timezone_abbrevs AS z WHERE z.abbrev = upper(timezone COLLATE "C")) THEN
        RAISE EXCEPTION 'time zone "%" is an abbreviation', timezone
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An abbreviation means one offset from UTC and knows no daylight saving time.',
                  HINT = 'Give the name of a place, such as timezone => ''Europe/Berlin''.';
    END IF;
    -- +05 is east of Greenwich to SET timezone, and west of it to AT TIME ZONE; <+05>-05 is what SET makes of it
    IF timezone ~ '^[^/<]*[0-9]'
       AND NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE lower(z.name COLLATE "C") = lower(timezone COLLATE "C")) THEN
        RAISE EXCEPTION 'time zone "%" is an offset', timezone
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An offset knows no daylight saving time, and PostgreSQL has two ways to count it, east or west of Greenwich.',
                  HINT = 'Give the name of a place, such as timezone => ''Europe/Berlin'', or of an offset, such as ''Etc/GMT-5'', which is east.';
    END IF;
    BEGIN
        PERFORM now() AT TIME ZONE timezone;
    EXCEPTION
        WHEN invalid_parameter_value THEN
            RAISE EXCEPTION 'time zone "%" is not known', timezone
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = 'It says when a day begins.',
                      HINT = 'Give a name of view pg_timezone_names, such as timezone => ''Europe/Berlin''.';
    END;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_timezone(pg_catalog.text) IS
    'error unless the server knows this time zone by its full name';

CREATE FUNCTION lead_funnel._check_choice(parameter pg_catalog.text, value pg_catalog.text, choices pg_catalog.text[])
    RETURNS pg_catalog.void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF value = ANY (choices) THEN
        RETURN;
    END IF;
    RAISE EXCEPTION '% "%" is not known', parameter, value
        USING ERRCODE = 'invalid_parameter_value',
              DETAIL = 'The value must be given in lower case, as in the hint.',
              HINT = format('Choose one of: %s.', array_to_string(choices, ', '));
END
$$;
COMMENT ON FUNCTION lead_funnel._check_choice(pg_catalog.text, pg_catalog.text, pg_catalog.text[]) IS
    'error unless the value is one of the choices';

CREATE FUNCTION lead_funnel._presets()
    RETURNS pg_catalog.text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT array_agg(substr(p.proname::text, 8) ORDER BY p.proname)
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = 'lead_funnel' AND starts_with(p.proname::text, 'preset_') AND p.pronargs = 0
$$;
COMMENT ON FUNCTION lead_funnel._presets() IS
    'names of the presets: what follows preset_ in the names of the functions that return them';

CREATE FUNCTION lead_funnel._stage_label(label pg_catalog.text, source pg_catalog.text)
    RETURNS @extschema@.lead_stage
    LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN label::@extschema@.lead_stage;
EXCEPTION
    WHEN invalid_text_representation THEN
        RAISE EXCEPTION 'invalid stage "%" in %', label, source
            USING ERRCODE = 'invalid_text_representation',
                  DETAIL = 'The keys are stages, the values are what the stage column holds: {"sal": ["Accepted", "Working"]}.',
                  HINT = 'Stages are lead, mql, sal, sql, opportunity, won, nurture, recycled, rejected, disqualified and lost.';
END
$$;
COMMENT ON FUNCTION lead_funnel._stage_label(pg_catalog.text, pg_catalog.text) IS
    'stage with this label; the error names where the label stands';

-- The type that a column of a domain is made of
CREATE FUNCTION lead_funnel._base_type(relation pg_catalog.regclass, column_name pg_catalog.name)
    RETURNS pg_catalog.regtype
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE base AS (
        SELECT t.atttypid AS oid
        FROM pg_attribute AS t
        WHERE t.attrelid = relation AND t.attname = column_name AND NOT t.attisdropped
        UNION ALL
        SELECT y.typbasetype
        FROM base AS b
        JOIN pg_type AS y ON y.oid = b.oid
        WHERE y.typtype = 'd'
    )
    SELECT y.oid::regtype
    FROM base AS b
    JOIN pg_type AS y ON y.oid = b.oid
    WHERE y.typtype <> 'd'
$$;
COMMENT ON FUNCTION lead_funnel._base_type(pg_catalog.regclass, pg_catalog.name) IS
    'type of a column; of a domain the type that it is over';

CREATE FUNCTION lead_funnel._stage_kind(relation pg_catalog.regclass, stage_column pg_catalog.name)
    RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN y.oid = '@extschema@.lead_stage'::regtype THEN 'lead_stage'
                WHEN y.typtype = 'e' THEN 'enum'
                WHEN y.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN 'integer'
                ELSE 'text' END
    FROM pg_type AS y
    WHERE y.oid = lead_funnel._base_type(relation, stage_column)
$$;
COMMENT ON FUNCTION lead_funnel._stage_kind(pg_catalog.regclass, pg_catalog.name) IS
    'how a column holds stages: lead_stage, enum, integer or text';

-- A value as the stage column holds it: numbers in one spelling only, in char(n)
-- no blanks at the end, since they count for nothing there
CREATE FUNCTION lead_funnel._stage_value(relation pg_catalog.regclass, stage_column pg_catalog.name, value pg_catalog.text)
    RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF value IS NULL THEN
        RETURN NULL;
    ELSIF lead_funnel._stage_kind(relation, stage_column) = 'integer' THEN
        RETURN value::bigint::text;
    ELSIF lead_funnel._base_type(relation, stage_column) = 'bpchar'::regtype THEN
        RETURN rtrim(value, ' ');
    END IF;
    RETURN value;
EXCEPTION
    WHEN invalid_text_representation OR numeric_value_out_of_range THEN
        RAISE EXCEPTION 'value "%" is no integer, but stage column "%" is', value, stage_column
            USING ERRCODE = 'invalid_parameter_value',
                  COLUMN = stage_column,
                  DETAIL = 'A row with this value cannot exist.',
                  HINT = 'Map the numbers that the column holds: {"sal": [3, 4]}.';
END
$$;
COMMENT ON FUNCTION lead_funnel._stage_value(pg_catalog.regclass, pg_catalog.name, pg_catalog.text) IS
    'value as the stage column shows it';

CREATE FUNCTION lead_funnel._parse_stage_map(relation pg_catalog.regclass, stage_column pg_catalog.name,
                                             stage_map pg_catalog.jsonb)
    RETURNS TABLE (stage @extschema@.lead_stage, "position" pg_catalog.int4, value pg_catalog.text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kind CONSTANT text := lead_funnel._stage_kind(relation, stage_column);
    entry record;
    element record;
    seen jsonb := '{}';                         -- value -> stage
    positions jsonb := '{}';
    null_seen text;
BEGIN
    IF stage_map IS NULL OR jsonb_typeof(stage_map) = 'null' THEN
        IF kind = 'integer' THEN
            RAISE EXCEPTION 'integer stage column "%" needs a stage_map', stage_column
                USING ERRCODE = 'invalid_parameter_value',
                      COLUMN = stage_column,
                      DETAIL = 'A number does not say which stage it means.',
                      HINT = 'Give one such as stage_map => ''{"lead": [0, 1], "mql": 2}''; lead_funnel.check_table() lists the numbers.';
        END IF;
        RETURN;
    END IF;
    IF jsonb_typeof(stage_map) <> 'object' THEN
        RAISE EXCEPTION 'stage_map is not an object'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It is of the JSON type %s.', jsonb_typeof(stage_map)),
                  HINT = 'Give stages with their values: {"sal": ["Accepted", "Working"], "won": "closed_won", "lead": ["New", null]}.';
    END IF;

    FOR entry IN SELECT m.key, m.value FROM jsonb_each(stage_map) AS m LOOP
        stage := lead_funnel._stage_label(entry.key, 'stage_map');
        FOR element IN
            SELECT e.value, e.ordinality
            FROM jsonb_array_elements(CASE jsonb_typeof(entry.value) WHEN 'array' THEN entry.value
                                      ELSE jsonb_build_array(entry.value) END) WITH ORDINALITY AS e
            ORDER BY e.ordinality
        LOOP
            IF jsonb_typeof(element.value) NOT IN ('string', 'number', 'null') THEN
                RAISE EXCEPTION 'value % of stage "%" in stage_map is of the wrong type', element.value, entry.key
                    USING ERRCODE = 'invalid_parameter_value',
                          DETAIL = format('It is of the JSON type %s.', jsonb_typeof(element.value)),
                          HINT = 'Give a string, a number, null, or a list of them.';
            END IF;
            value := lead_funnel._stage_value(relation, stage_column, element.value #>> '{}');
            IF value IS NULL AND null_seen IS NOT NULL OR seen ? value THEN
                RAISE EXCEPTION 'value % is mapped twice in stage_map', coalesce(quote_literal(value), 'NULL')
                    USING ERRCODE = 'unique_violation',
                          DETAIL = format('It stands for "%s" and for "%s".',
                                          CASE WHEN value IS NULL THEN null_seen ELSE seen ->> value END, stage),
                          HINT = 'Map each value to one stage.';
            END IF;
            IF value IS NULL THEN
                null_seen := stage::text;
            ELSE
                seen := seen || jsonb_build_object(value, stage::text);
            END IF;
            -- "sal" and "SAL" are one stage
            "position" := coalesce((positions ->> stage::text)::integer, 0) + 1;
            positions := positions || jsonb_build_object(stage::text, "position");
            RETURN NEXT;
        END LOOP;
    END LOOP;
    IF kind = 'integer' AND seen = '{}' THEN
        RETURN QUERY SELECT * FROM lead_funnel._parse_stage_map(relation, stage_column, NULL);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._parse_stage_map(pg_catalog.regclass, pg_catalog.name, pg_catalog.jsonb) IS
    'values of a stage_map, one a row; an error if it does not make sense for the stage column';

-- Helpers of private functions

CREATE FUNCTION lead_funnel._check_given(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF funnel IS NULL THEN
        RAISE EXCEPTION 'funnel must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give the name of a funnel; view lead_funnel.funnels lists them.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_given(pg_catalog.name) IS
    'error unless a funnel is named';

CREATE FUNCTION lead_funnel._funnel_row(funnel_name pg_catalog.name, detached_too pg_catalog.bool DEFAULT false)
    RETURNS lead_funnel.funnel
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    result lead_funnel.funnel;
BEGIN
    PERFORM lead_funnel._check_given(funnel_name);
    SELECT * INTO result FROM lead_funnel.funnel AS f WHERE f.name = funnel_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'funnel "%" does not exist', funnel_name
            USING ERRCODE = 'undefined_object',
                  HINT = 'View lead_funnel.funnels lists the funnels; lead_funnel.attach() makes one.';
    END IF;
    IF result.status = 'detached' AND NOT detached_too THEN
        RAISE EXCEPTION 'funnel "%" is detached', funnel_name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('It has had no table since %s.', coalesce(result.detached_at::text, 'its table was dropped')),
                  HINT = format('Attach a table to it again: lead_funnel.attach(..., funnel => %L).', funnel_name);
    END IF;
    IF result.relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class AS r WHERE r.oid = result.relation) THEN
        IF NOT detached_too THEN
            RAISE EXCEPTION 'the table of funnel "%" does not exist any more', funnel_name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'It was dropped while event triggers were off.',
                      HINT = format('Give the funnel up with lead_funnel.detach(%L).', funnel_name);
        END IF;
        result.relation := NULL;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION lead_funnel._funnel_row(pg_catalog.name, pg_catalog.bool) IS
    'row of the funnel; an error if there is none, or none that has a table';
REVOKE ALL ON FUNCTION lead_funnel._funnel_row(pg_catalog.name, pg_catalog.bool) FROM PUBLIC;

-- A snapshot that is older than the lock would miss what was committed between
CREATE FUNCTION lead_funnel._require_read_committed(what pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    isolation CONSTANT text := current_setting('transaction_isolation');
BEGIN
    IF isolation IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION '% cannot run in a % transaction', what, upper(isolation COLLATE "C")
            USING ERRCODE = 'active_sql_transaction',
                  DETAIL = 'It must see what was committed until it had its locks.',
                  HINT = 'Begin the transaction with BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._require_read_committed(pg_catalog.text) IS
    'error in a transaction that keeps its first snapshot';
REVOKE ALL ON FUNCTION lead_funnel._require_read_committed(pg_catalog.text) FROM PUBLIC;

-- LOCK TABLE takes a name, and a name may be given to another table while we wait
CREATE FUNCTION lead_funnel._lock_relation(relation pg_catalog.regclass, mode pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    known_as text;
BEGIN
    LOOP
        known_as := relation::text;
        EXECUTE format('LOCK TABLE %s IN %s MODE', known_as, mode);
        EXIT WHEN relation::text = known_as;
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel._lock_relation(pg_catalog.regclass, pg_catalog.text) IS
    'lock on the table and its partitions';
REVOKE ALL ON FUNCTION lead_funnel._lock_relation(pg_catalog.regclass, pg_catalog.text) FROM PUBLIC;

-- The row is read again under the lock, since another session may have changed
-- it while we waited.  If it has another table now, then nobody has checked
-- whether the caller owns that one.
CREATE FUNCTION lead_funnel._lock_funnel(funnel_name pg_catalog.name, mode pg_catalog.text,
                                         detached_too pg_catalog.bool DEFAULT false)
    RETURNS lead_funnel.funnel
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    before CONSTANT lead_funnel.funnel := lead_funnel._funnel_row(funnel_name, detached_too);
    f lead_funnel.funnel;
BEGIN
    IF before.relation IS NOT NULL THEN
        PERFORM lead_funnel._lock_relation(before.relation, mode);
    END IF;
    PERFORM FROM lead_funnel.funnel AS o WHERE o.funnel_id = before.funnel_id FOR UPDATE;
    f := lead_funnel._funnel_row(funnel_name, detached_too);
    IF f.funnel_id <> before.funnel_id OR f.relation IS DISTINCT FROM before.relation THEN
        RAISE EXCEPTION 'funnel "%" has been given another table meanwhile', funnel_name
            USING ERRCODE = 'serialization_failure',
                  HINT = 'Try again.';
    END IF;
    RETURN f;
END
$$;
COMMENT ON FUNCTION lead_funnel._lock_funnel(pg_catalog.name, pg_catalog.text, pg_catalog.bool) IS
    'row of the funnel, with a lock on it and on its table';
REVOKE ALL ON FUNCTION lead_funnel._lock_funnel(pg_catalog.name, pg_catalog.text, pg_catalog.bool) FROM PUBLIC;

CREATE FUNCTION lead_funnel._tree(relation pg_catalog.regclass)
    RETURNS SETOF pg_catalog.regclass
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    -- pg_partition_tree() leaves out partitions that are being detached, and locks the others
    WITH RECURSIVE tree (relid) AS (
        SELECT relation::oid
        UNION ALL
        SELECT i.inhrelid
        FROM tree AS t
        JOIN pg_class AS p ON p.oid = t.relid AND p.relkind = 'p'
        JOIN pg_inherits AS i ON i.inhparent = t.relid
    )
    SELECT t.relid::regclass FROM tree AS t
$$;
COMMENT ON FUNCTION lead_funnel._tree(pg_catalog.regclass) IS
    'the table and its partitions of all levels, those included that are being detached';

CREATE FUNCTION lead_funnel._partition_root(relation pg_catalog.regclass)
    RETURNS pg_catalog.regclass
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    -- pg_partition_root() ends at a partition that is being detached
    WITH RECURSIVE up (relid, level) AS (
        SELECT relation::oid, 0
        UNION ALL
        SELECT i.inhparent, u.level + 1
        FROM up AS u
        JOIN pg_class AS c ON c.oid = u.relid AND c.relispartition
        JOIN pg_inherits AS i ON i.inhrelid = u.relid
    )
    SELECT u.relid::regclass FROM up AS u ORDER BY u.level DESC LIMIT 1
$$;
COMMENT ON FUNCTION lead_funnel._partition_root(pg_catalog.regclass) IS
    'the table that the partition is in, also while it is being detached; any other table itself';

-- The server gives a partition that is being detached neither triggers nor columns.
CREATE FUNCTION lead_funnel._require_whole(relation pg_catalog.regclass)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    pending record;
BEGIN
    SELECT i.inhrelid::regclass AS partition, i.inhparent::regclass AS parent INTO pending
    FROM lead_funnel._tree(relation) AS t (oid)
    JOIN pg_inherits AS i ON i.inhrelid = t.oid AND i.inhdetachpending
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'partition % of table % is being detached', pending.partition, pending.parent
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'DETACH PARTITION ... CONCURRENTLY is at work or was cut short, and triggers do not come to such a partition.',
                  HINT = format('Wait for it, or end it with ALTER TABLE %s DETACH PARTITION %s FINALIZE.', pending.parent, pending.partition);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._require_whole(pg_catalog.regclass) IS
    'error if a partition of the table is being detached';
REVOKE ALL ON FUNCTION lead_funnel._require_whole(pg_catalog.regclass) FROM PUBLIC;

CREATE FUNCTION lead_funnel._own_triggers(relation pg_catalog.regclass)
    RETURNS TABLE (tgrelid pg_catalog.regclass, tgname pg_catalog.name, tgenabled "char", is_clone pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT g.tgrelid::regclass, g.tgname, g.tgenabled, g.tgparentid <> 0
    FROM lead_funnel._tree(relation) AS r (oid)
    JOIN pg_trigger AS g ON g.tgrelid = r.oid
    JOIN pg_proc AS p ON p.oid = g.tgfoid
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = 'lead_funnel'
$$;
COMMENT ON FUNCTION lead_funnel._own_triggers(pg_catalog.regclass) IS
    'triggers of the extension on the table and its partitions';

CREATE FUNCTION lead_funnel._drop_triggers(relation pg_catalog.regclass)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT * FROM lead_funnel._own_triggers(relation) AS o WHERE NOT o.is_clone LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', g.tgname, g.tgrelid);
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel._drop_triggers(pg_catalog.regclass) IS
    'removal of the triggers from the table and its partitions';
REVOKE ALL ON FUNCTION lead_funnel._drop_triggers(pg_catalog.regclass) FROM PUBLIC;

-- "The column differs", for the WHEN of a trigger.  pg_dump cannot restore IS
-- DISTINCT FROM on an operator outside pg_catalog, a nondeterministic collation
-- finds values equal that the statistics tell apart, and a domain over an enum
-- has no operators at all.
CREATE FUNCTION lead_funnel._differs(relation pg_catalog.regclass, column_name pg_catalog.name)
    RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE
               WHEN lead_funnel._stage_kind(relation, column_name) = 'lead_stage'
               THEN format('(OLD.%1$I OPERATOR(@extschema@.=) NEW.%1$I) IS NOT TRUE', column_name)
               WHEN EXISTS (SELECT FROM pg_collation AS c WHERE c.oid = t.attcollation AND NOT c.collisdeterministic)
               THEN format('OLD.%1$I COLLATE "C" IS DISTINCT FROM NEW.%1$I COLLATE "C"', column_name)
               WHEN b.typtype = 'e' AND b.oid <> t.atttypid
               THEN format('OLD.%1$I::%2$s IS DISTINCT FROM NEW.%1$I::%2$s', column_name, b.oid::regtype)
               ELSE format('OLD.%1$I IS DISTINCT FROM NEW.%1$I', column_name)
           END
    FROM pg_attribute AS t
    JOIN pg_type AS b ON b.oid = lead_funnel._base_type(relation, column_name)
    WHERE t.attrelid = relation AND t.attname = column_name
$$;
COMMENT ON FUNCTION lead_funnel._differs(pg_catalog.regclass, pg_catalog.name) IS
    'condition of a trigger that is true if an UPDATE changed the column';

-- A condition is parsed for each statement, whatever that changes; a list of
-- columns costs nothing.  But a list goes by what the statement sets: it is
-- enough only where nothing else can change a column of the funnel.
CREATE FUNCTION lead_funnel._create_update_trigger(f lead_funnel.funnel)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    columns text;
    condition text;
    all_set_by_statements boolean;
BEGIN
    SELECT string_agg(quote_ident(c.column_name), ', ' ORDER BY c.first),
           string_agg(lead_funnel._differs(f.relation, c.column_name), ' OR ' ORDER BY c.first),
           bool_and(a.attgenerated = '')
    INTO columns, condition, all_set_by_statements
    FROM (SELECT u.column_name, min(u.ordinality) AS first
          FROM lead_funnel._columns_of(to_json(f)::jsonb) WITH ORDINALITY AS u
          WHERE u.parameter IN ('stage_column', 'key_column', 'source_column', 'campaign_column', 'owner_column', 'segment_column',
                                'currency_column', 'value_column', 'handover_column', 'excluded_column')
          GROUP BY u.column_name) AS c
    JOIN pg_attribute AS a ON a.attrelid = f.relation AND a.attname = c.column_name;
    IF all_set_by_statements
       AND NOT lead_funnel._has_other_writers(f.relation)
       AND NOT lead_funnel._has_automatic_rules(f.funnel_id) THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER lead_funnel_track_update AFTER UPDATE OF %s ON %s '
                       'FOR EACH ROW EXECUTE FUNCTION lead_funnel.track()', columns, f.relation);
    ELSE
        EXECUTE format('CREATE OR REPLACE TRIGGER lead_funnel_track_update AFTER UPDATE ON %s '
                       'FOR EACH ROW WHEN (%s) EXECUTE FUNCTION lead_funnel.track()', f.relation, condition);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._create_update_trigger(lead_funnel.funnel) IS
    'trigger for updates of a funnel, made anew if it is there';
REVOKE ALL ON FUNCTION lead_funnel._create_update_trigger(lead_funnel.funnel) FROM PUBLIC;

CREATE FUNCTION lead_funnel._has_other_writers(relation pg_catalog.regclass)
    RETURNS pg_catalog.bool
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    -- 1: row, 2: before, 16: update; partitions may have triggers that their parent has not
    SELECT (SELECT c.relkind = 'p' FROM pg_class AS c WHERE c.oid = relation)
        OR EXISTS (SELECT FROM pg_trigger AS t
                   WHERE t.tgrelid = relation AND t.tgtype & 19 = 19
                     AND (t.tgname <> 'lead_funnel_stamp' OR t.tgfoid <> 'lead_funnel.stamp()'::regprocedure))
$$;
COMMENT ON FUNCTION lead_funnel._has_other_writers(pg_catalog.regclass) IS
    'whether columns of the table may change that an UPDATE does not set: by BEFORE triggers, on partitions, too';
REVOKE ALL ON FUNCTION lead_funnel._has_other_writers(pg_catalog.regclass) FROM PUBLIC;

CREATE FUNCTION lead_funnel._create_triggers(funnel_id pg_catalog.int4)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f lead_funnel.funnel;
    member regclass;
    taken record;
    g record;
BEGIN
    SELECT * INTO STRICT f FROM lead_funnel.funnel AS o WHERE o.funnel_id = _create_triggers.funnel_id;
    PERFORM lead_funnel._require_whole(f.relation);

    SELECT t.tgname, t.tgrelid::regclass::text AS relation INTO taken
    FROM lead_funnel._tree(f.relation) AS r (oid)
    JOIN pg_trigger AS t ON t.tgrelid = r.oid
    WHERE t.tgname IN ('lead_funnel_track', 'lead_funnel_track_update', 'lead_funnel_flush', 'lead_funnel_truncate',
                       'lead_funnel_stamp')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'trigger "%" for relation % already exists', taken.tgname, taken.relation
            USING ERRCODE = 'duplicate_object',
                  DETAIL = 'The name is kept for triggers of extension "lead_funnel".',
                  HINT = 'Drop or rename the trigger.';
    END IF;

    EXECUTE format('CREATE TRIGGER lead_funnel_track AFTER INSERT OR DELETE ON %s '
                   'FOR EACH ROW EXECUTE FUNCTION lead_funnel.track()', f.relation);
    PERFORM lead_funnel._create_update_trigger(f);
    PERFORM lead_funnel._create_stamp_trigger(f);
    -- the server clones row triggers to the partitions, but not these
    FOR member IN SELECT r.oid FROM lead_funnel._tree(f.relation) AS r (oid) LOOP
        EXECUTE format('CREATE TRIGGER lead_funnel_flush AFTER INSERT OR UPDATE OR DELETE ON %s '
                       'FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel.flush()', member);
        EXECUTE format('CREATE TRIGGER lead_funnel_truncate BEFORE TRUNCATE ON %s '
                       'FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel.truncated()', member);
    END LOOP;

    IF f.always THEN
        FOR g IN SELECT * FROM lead_funnel._own_triggers(f.relation) LOOP
            EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', g.tgrelid, g.tgname);
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._create_triggers(pg_catalog.int4) IS
    'triggers of a funnel, on its table and the partitions';
REVOKE ALL ON FUNCTION lead_funnel._create_triggers(pg_catalog.int4) FROM PUBLIC;

CREATE FUNCTION lead_funnel._store_stage_map(funnel_id pg_catalog.int4, relation pg_catalog.regclass,
                                             stage_column pg_catalog.name, stage_map pg_catalog.jsonb)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    DELETE FROM lead_funnel.stage_map AS m WHERE m.funnel_id = _store_stage_map.funnel_id;
    INSERT INTO lead_funnel.stage_map (funnel_id, stage, position, value)
    SELECT _store_stage_map.funnel_id, p.stage, p.position, p.value
    FROM lead_funnel._parse_stage_map(relation, _store_stage_map.stage_column, _store_stage_map.stage_map) AS p;
END
$$;
COMMENT ON FUNCTION lead_funnel._store_stage_map(pg_catalog.int4, pg_catalog.regclass, pg_catalog.name, pg_catalog.jsonb) IS
    'replacement of the stage map of a funnel';
REVOKE ALL ON FUNCTION lead_funnel._store_stage_map(pg_catalog.int4, pg_catalog.regclass, pg_catalog.name, pg_catalog.jsonb) FROM PUBLIC;

-- A map that was made for another type of column.  Two of its values may be one
-- now, as 'x' and 'x ' in char(n): the first one counts.
CREATE FUNCTION lead_funnel._fit_stage_map(f lead_funnel.funnel)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF lead_funnel._stage_kind(f.relation, f.stage_column) = 'integer'
       AND (SELECT bool_and(m.value ~ '^-?[0-9]+$') FROM lead_funnel.stage_map AS m WHERE m.funnel_id = f.funnel_id) IS NOT TRUE THEN
        -- an error
        PERFORM lead_funnel._parse_stage_map(f.relation, f.stage_column, NULL);
    END IF;
    WITH fitting AS (
        SELECT m.stage, m.position, m.value,
               lead_funnel._stage_value(f.relation, f.stage_column, m.value) AS wanted
        FROM lead_funnel.stage_map AS m
        WHERE m.funnel_id = f.funnel_id AND m.value IS NOT NULL
    )
    DELETE FROM lead_funnel.stage_map AS m
    USING (SELECT o.*, row_number() OVER (PARTITION BY o.wanted ORDER BY o.stage::text, o.position) AS copy FROM fitting AS o) AS x
    WHERE m.funnel_id = f.funnel_id AND m.value = x.value AND x.copy > 1;
    UPDATE lead_funnel.stage_map AS m
    SET value = lead_funnel._stage_value(f.relation, f.stage_column, m.value)
    WHERE m.funnel_id = f.funnel_id AND m.value <> lead_funnel._stage_value(f.relation, f.stage_column, m.value);
END
$$;
COMMENT ON FUNCTION lead_funnel._fit_stage_map(lead_funnel.funnel) IS
    'stage map as the stage column shows its values; an error if they do not fit the column';
REVOKE ALL ON FUNCTION lead_funnel._fit_stage_map(lead_funnel.funnel) FROM PUBLIC;

CREATE FUNCTION lead_funnel._public_views()
    RETURNS SETOF pg_catalog.regclass
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT r.oid::regclass
    FROM pg_class AS r
    JOIN pg_namespace AS n ON n.oid = r.relnamespace
    WHERE n.nspname = 'lead_funnel' AND r.relkind = 'v' AND NOT starts_with(r.relname::text, '_')
    ORDER BY r.relname
$$;
COMMENT ON FUNCTION lead_funnel._public_views() IS
    'views that users read';

CREATE FUNCTION lead_funnel._grant_reading(role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    v regclass;
BEGIN
    FOR v IN SELECT * FROM lead_funnel._public_views() LOOP
        EXECUTE format('GRANT SELECT ON %s TO %I', v, role);
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION lead_funnel.compact() TO %I', role);
END
$$;
COMMENT ON FUNCTION lead_funnel._grant_reading(pg_catalog.name) IS
    'right to read the views and to call compact()';
REVOKE ALL ON FUNCTION lead_funnel._grant_reading(pg_catalog.name) FROM PUBLIC;

-- The views show a role only the funnels whose tables it owns
CREATE FUNCTION lead_funnel._grant_owner(relation pg_catalog.regclass)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    table_owner name;
BEGIN
    SELECT o.rolname INTO table_owner
    FROM pg_class AS r
    JOIN pg_roles AS o ON o.oid = r.relowner
    WHERE r.oid = relation AND NOT o.rolsuper;
    IF FOUND THEN
        PERFORM lead_funnel._grant_reading(table_owner);
        -- to make a partition, which clones the triggers; on a table without a
        -- funnel the functions refuse to work
        EXECUTE format('GRANT EXECUTE ON FUNCTION lead_funnel.track(), lead_funnel.stamp(), lead_funnel.flush(), '
                       'lead_funnel.truncated() TO %I', table_owner);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._grant_owner(pg_catalog.regclass) IS
    'right of the owner of the table to read the views';
REVOKE ALL ON FUNCTION lead_funnel._grant_owner(pg_catalog.regclass) FROM PUBLIC;

-- The history goes with the table: once that is gone, whoever owned it last
-- reads and removes it.
CREATE FUNCTION lead_funnel._follow_owner(relation pg_catalog.regclass)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    UPDATE lead_funnel.funnel AS f
    SET attached_by = o.rolname
    FROM pg_class AS r
    JOIN pg_roles AS o ON o.oid = r.relowner
    WHERE f.relation = _follow_owner.relation AND r.oid = f.relation AND f.attached_by <> o.rolname;
END
$$;
COMMENT ON FUNCTION lead_funnel._follow_owner(pg_catalog.regclass) IS
    'history of a funnel to the present owner of its table';
REVOKE ALL ON FUNCTION lead_funnel._follow_owner(pg_catalog.regclass) FROM PUBLIC;

CREATE FUNCTION lead_funnel._check_not_attached(relation pg_catalog.regclass)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    other lead_funnel.funnel;
BEGIN
    SELECT * INTO other FROM lead_funnel.funnel AS f WHERE f.relation = _check_not_attached.relation;
    IF FOUND THEN
        RAISE EXCEPTION 'table % already carries funnel "%"', relation, other.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'A table carries one funnel.',
                  HINT = format('Change the funnel with lead_funnel.alter_funnel(%L, ...), or give it up with lead_funnel.detach(%L).',
                                other.name, other.name);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_not_attached(pg_catalog.regclass) IS
    'error if the table carries a funnel';
REVOKE ALL ON FUNCTION lead_funnel._check_not_attached(pg_catalog.regclass) FROM PUBLIC;

CREATE FUNCTION lead_funnel._notice_key(relation pg_catalog.regclass, key_column pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT lead_funnel._has_unique_index(relation, key_column) THEN
        RAISE NOTICE 'key column "%" of table % has no unique index', key_column, relation
            USING DETAIL = 'A second row with the key of a lead that is in the funnel will be refused.',
                  HINT = 'Nothing has to be done where another constraint, or the application, keeps the keys apart.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._notice_key(pg_catalog.regclass, pg_catalog.name) IS
    'notice if no index keeps the keys of leads apart';
REVOKE ALL ON FUNCTION lead_funnel._notice_key(pg_catalog.regclass, pg_catalog.name) FROM PUBLIC;

-- Members of pg_write_all_data may set any sequence, and no trigger can refuse it
CREATE FUNCTION lead_funnel._next_funnel_id()
    RETURNS pg_catalog.int4
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    result integer;
BEGIN
    BEGIN
        result := nextval('lead_funnel.funnel_funnel_id_seq');
    EXCEPTION
        WHEN sequence_generator_limit_exceeded THEN
            NULL;
    END;
    IF result IS NULL OR EXISTS (SELECT FROM lead_funnel.funnel AS f WHERE f.funnel_id = result) THEN
        PERFORM lead_funnel._lock_statistics(0);
        SELECT min(g.id) + 1 INTO STRICT result
        FROM (SELECT 0::bigint AS id UNION ALL SELECT f.funnel_id FROM lead_funnel.funnel AS f) AS g
        WHERE NOT EXISTS (SELECT FROM lead_funnel.funnel AS o WHERE o.funnel_id = g.id + 1);
        PERFORM setval('lead_funnel.funnel_funnel_id_seq', result);
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION lead_funnel._next_funnel_id() IS
    'number for a new funnel, whatever its sequence says';
REVOKE ALL ON FUNCTION lead_funnel._next_funnel_id() FROM PUBLIC;

-- attach

CREATE FUNCTION lead_funnel.attach(relation pg_catalog.regclass,
                                   stage_column pg_catalog.name,
                                   funnel pg_catalog.name DEFAULT NULL,
                                   preset pg_catalog.text DEFAULT 'classic',
                                   mode pg_catalog.text DEFAULT 'enforce',
                                   stage_map pg_catalog.jsonb DEFAULT NULL,
                                   key_column pg_catalog.name DEFAULT NULL,
                                   source_column pg_catalog.name DEFAULT NULL,
                                   campaign_column pg_catalog.name DEFAULT NULL,
                                   owner_column pg_catalog.name DEFAULT NULL,
                                   segment_column pg_catalog.name DEFAULT NULL,
                                   currency_column pg_catalog.name DEFAULT NULL,
                                   value_column pg_catalog.name DEFAULT NULL,
                                   entered_column pg_catalog.name DEFAULT NULL,
                                   actor_column pg_catalog.name DEFAULT NULL,
                                   reason_column pg_catalog.name DEFAULT NULL,
                                   handover_column pg_catalog.name DEFAULT NULL,
                                   excluded_column pg_catalog.name DEFAULT NULL,
                                   score_column pg_catalog.name DEFAULT NULL,
                                   qualification_column pg_catalog.name DEFAULT NULL,
                                   timezone pg_catalog.text DEFAULT NULL,
                                   backfill pg_catalog.bool DEFAULT true,
                                   always pg_catalog.bool DEFAULT false)
    RETURNS pg_catalog.name
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.attach(pg_catalog.regclass, pg_catalog.name, pg_catalog.name, pg_catalog.text,
    pg_catalog.text, pg_catalog.jsonb, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.text, pg_catalog.bool,
    pg_catalog.bool) IS
    'new funnel on a lead table: rules, journal and statistics from now on';

CREATE FUNCTION lead_funnel._attach(relation pg_catalog.regclass,
                                    stage_column pg_catalog.name,
                                    funnel pg_catalog.name,
                                    preset pg_catalog.text,
                                    mode pg_catalog.text,
                                    stage_map pg_catalog.jsonb,
                                    key_column pg_catalog.name,
                                    source_column pg_catalog.name,
                                    campaign_column pg_catalog.name,
                                    owner_column pg_catalog.name,
                                    segment_column pg_catalog.name,
                                    currency_column pg_catalog.name,
                                    value_column pg_catalog.name,
                                    entered_column pg_catalog.name,
                                    actor_column pg_catalog.name,
                                    reason_column pg_catalog.name,
                                    handover_column pg_catalog.name,
                                    excluded_column pg_catalog.name,
                                    score_column pg_catalog.name,
                                    qualification_column pg_catalog.name,
                                    timezone pg_catalog.text,
                                    backfill pg_catalog.bool,
                                    always pg_catalog.bool)
    RETURNS pg_catalog.name
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    missing CONSTANT text := CASE WHEN relation IS NULL THEN 'relation'
                                  WHEN stage_column IS NULL THEN 'stage_column'
                                  WHEN preset IS NULL THEN 'preset'
                                  WHEN mode IS NULL THEN 'mode'
                                  WHEN backfill IS NULL THEN 'backfill'
                                  WHEN always IS NULL THEN 'always' END;
    caller CONSTANT name := lead_funnel._caller();
    f lead_funnel.funnel;
    old lead_funnel.funnel;
    next_version integer;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('Give a value for %s, or leave it out if it has a default.', missing);
    END IF;
    PERFORM lead_funnel._check_relation(_attach.relation);
    -- triggers of ours on a table that was restored alone are replaced, which needs the stronger lock
    PERFORM lead_funnel._lock_relation(_attach.relation,
                                       CASE WHEN EXISTS (SELECT FROM lead_funnel._own_triggers(_attach.relation))
                                            THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
    PERFORM lead_funnel._require_idle(_attach.relation);
    -- again: partitions may have come while we waited
    PERFORM lead_funnel._check_relation(_attach.relation);
    PERFORM lead_funnel._check_not_attached(_attach.relation);

    PERFORM lead_funnel._check_choice('preset', _attach.preset, lead_funnel._presets());
    PERFORM lead_funnel._check_choice('mode', _attach.mode, ARRAY['enforce', 'observe']);
    f.timezone := coalesce(_attach.timezone, current_setting('TimeZone'));
    PERFORM lead_funnel._check_timezone(f.timezone);
    f.mode := _attach.mode;
    IF _attach.always AND f.mode <> 'observe' THEN
        f.mode := 'observe';
        RAISE NOTICE 'funnel is in mode "observe"'
            USING DETAIL = 'With always => true the triggers run for replicated rows too, and one refused row would stop the subscription.',
                  HINT = 'Enforce the rules on the publisher; view lead_funnel.rule_violations shows breaches.';
    END IF;

    SELECT coalesce(_attach.funnel, r.relname) INTO STRICT f.name FROM pg_class AS r WHERE r.oid = _attach.relation;
    IF btrim(f.name::text) = '' THEN
        RAISE EXCEPTION 'funnel name is empty'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give a name, or leave funnel out to have the name of the table.';
    END IF;

    f.relation := _attach.relation;
    f.stage_column := _attach.stage_column;
    f.key_column := coalesce(_attach.key_column, lead_funnel._default_key(_attach.relation));
    f.source_column := _attach.source_column;
    f.campaign_column := _attach.campaign_column;
    f.owner_column := _attach.owner_column;
    f.segment_column := _attach.segment_column;
    f.currency_column := _attach.currency_column;
    f.value_column := _attach.value_column;
    f.entered_column := _attach.entered_column;
    f.actor_column := _attach.actor_column;
    f.reason_column := _attach.reason_column;
    f.handover_column := _attach.handover_column;
    f.excluded_column := _attach.excluded_column;
    f.score_column := _attach.score_column;
    f.qualification_column := _attach.qualification_column;
    PERFORM lead_funnel._check_columns(f.relation, to_json(f)::jsonb);
    PERFORM lead_funnel._notice_key(f.relation, f.key_column);

    -- a detached funnel of this name goes on, with its history, if it was the caller's
    SELECT * INTO old FROM lead_funnel.funnel AS o WHERE o.name = f.name FOR UPDATE;
    IF FOUND THEN
        IF old.status <> 'detached' THEN
            RAISE EXCEPTION 'funnel "%" already exists', f.name
                USING ERRCODE = 'duplicate_object',
                      DETAIL = CASE WHEN EXISTS (SELECT FROM pg_class AS r WHERE r.oid = old.relation)
                                    THEN format('It is attached to table %s.', old.relation)
                                    ELSE 'Its table was dropped while event triggers were off.' END,
                      HINT = format('Choose another name, funnel => ..., or give it up with lead_funnel.detach(%L).', f.name);
        END IF;
        IF NOT (SELECT bool_or(o.rolsuper) FROM pg_roles AS o WHERE o.rolname = caller)
           AND NOT coalesce((SELECT pg_has_role(caller, o.oid, 'USAGE') FROM pg_roles AS o WHERE o.rolname = old.attached_by), false)
        THEN
            RAISE EXCEPTION 'funnel "%" already exists', f.name
                USING ERRCODE = 'duplicate_object',
                      DETAIL = format('It is detached, and its history belongs to role "%s".', old.attached_by),
                      HINT = 'Choose another name: funnel => ...';
        END IF;
        f.funnel_id := old.funnel_id;
        UPDATE lead_funnel.funnel AS o
        SET relation = f.relation, status = 'active', mode = f.mode, preset = _attach.preset,
            timezone = f.timezone, always = _attach.always, stage_column = f.stage_column,
            key_column = f.key_column, source_column = f.source_column, campaign_column = f.campaign_column,
            owner_column = f.owner_column, segment_column = f.segment_column,
            currency_column = f.currency_column, value_column = f.value_column,
            entered_column = f.entered_column, actor_column = f.actor_column,
            reason_column = f.reason_column, handover_column = f.handover_column,
            excluded_column = f.excluded_column, score_column = f.score_column,
            qualification_column = f.qualification_column, binding = NULL, score_model = NULL, score_axis = NULL, notify_channel = NULL,
            attached_at = now(), attached_by = caller, detached_at = NULL
        WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.override_role AS o WHERE o.funnel_id = f.funnel_id;
    ELSE
        INSERT INTO lead_funnel.funnel
            (funnel_id, name, relation, mode, preset, timezone, always, stage_column, key_column, source_column,
             campaign_column, owner_column, segment_column, currency_column, value_column, entered_column,
             actor_column, reason_column, handover_column, excluded_column, score_column, qualification_column, attached_by)
        VALUES
            (lead_funnel._next_funnel_id(), f.name, f.relation, f.mode, _attach.preset, f.timezone, _attach.always, f.stage_column,
             f.key_column, f.source_column, f.campaign_column, f.owner_column, f.segment_column,
             f.currency_column, f.value_column, f.entered_column, f.actor_column, f.reason_column,
             f.handover_column, f.excluded_column, f.score_column, f.qualification_column, caller)
        ON CONFLICT (name) DO NOTHING
        RETURNING funnel_id INTO f.funnel_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'funnel "%" already exists', f.name
                USING ERRCODE = 'duplicate_object',
                      DETAIL = 'Another session has just attached it.',
                      HINT = 'Choose another name: funnel => ...';
        END IF;
    END IF;

    PERFORM lead_funnel._store_stage_map(f.funnel_id, f.relation, f.stage_column, _attach.stage_map);

    SELECT coalesce(max(v.version), 0) + 1 INTO next_version
    FROM lead_funnel.rule_version AS v
    WHERE v.funnel_id = f.funnel_id;
    INSERT INTO lead_funnel.rule_version (funnel_id, version, changed_by, note)
    VALUES (f.funnel_id, next_version, caller, format('preset %s', _attach.preset));
    EXECUTE format('INSERT INTO lead_funnel.rule (funnel_id, version, from_stage, to_stage, requires_reason) '
                   'SELECT $1, $2, p.from_stage, p.to_stage, p.requires_reason FROM lead_funnel.%I() AS p',
                   'preset_' || _attach.preset)
    USING f.funnel_id, next_version;

    -- a generation that saw nothing: every delta counts
    INSERT INTO lead_funnel.generation (funnel_id, generation, snapshot, cells, folded_at)
    SELECT f.funnel_id, 0, '3:3:', 0, now()
    WHERE NOT EXISTS (SELECT FROM lead_funnel.generation AS g WHERE g.funnel_id = f.funnel_id);

    PERFORM lead_funnel._invalidate(f.relation);
    IF old.timezone <> f.timezone THEN
        -- the days of its history begin at another hour
        PERFORM lead_funnel._rebuild(f.name);
    END IF;
    IF _attach.backfill THEN
        PERFORM lead_funnel._backfill(f.funnel_id);
    END IF;
    PERFORM lead_funnel._drop_triggers(f.relation);
    PERFORM lead_funnel._create_triggers(f.funnel_id);
    PERFORM lead_funnel._grant_owner(f.relation);
    RETURN f.name;
END
$$;
COMMENT ON FUNCTION lead_funnel._attach(pg_catalog.regclass, pg_catalog.name, pg_catalog.name, pg_catalog.text,
    pg_catalog.text, pg_catalog.jsonb, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.text, pg_catalog.bool,
    pg_catalog.bool) IS
    'implementation of attach()';
REVOKE ALL ON FUNCTION lead_funnel._attach(pg_catalog.regclass, pg_catalog.name, pg_catalog.name, pg_catalog.text,
    pg_catalog.text, pg_catalog.jsonb, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.text, pg_catalog.bool,
    pg_catalog.bool) FROM PUBLIC;

-- detach

CREATE FUNCTION lead_funnel._detach(funnel pg_catalog.name, purge pg_catalog.bool)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel._detach(pg_catalog.name, pg_catalog.bool) IS
    'the part of detach() that runs as the owner of the extension';

CREATE FUNCTION lead_funnel.__detach(funnel pg_catalog.name, purge pg_catalog.bool)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel;
BEGIN
    IF __detach.purge IS NULL THEN
        RAISE EXCEPTION 'purge must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'true deletes the history, false keeps it.';
    END IF;
    IF __detach.purge THEN
        PERFORM lead_funnel._require_read_committed('detach');
    END IF;
    f := lead_funnel._lock_funnel(__detach.funnel, 'ACCESS EXCLUSIVE', true);
    IF f.status = 'detached' AND NOT __detach.purge THEN
        RAISE NOTICE 'funnel "%" is detached already', f.name;
        RETURN;
    END IF;
    PERFORM lead_funnel._require_idle(f.relation);
    IF f.status <> 'detached' AND NOT __detach.purge THEN
        PERFORM lead_funnel._mark(f.funnel_id, 'exclude');
        PERFORM lead_funnel._flush();
    END IF;
    -- before the triggers go: dropping one of a live funnel is an error; the
    -- history belongs to who owned the table last
    UPDATE lead_funnel.funnel AS o
    SET status = 'detached', relation = NULL, detached_at = coalesce(o.detached_at, now()),
        attached_by = coalesce((SELECT r.rolname FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
                                WHERE c.oid = f.relation), o.attached_by)
    WHERE o.funnel_id = f.funnel_id;
    IF f.relation IS NOT NULL THEN
        PERFORM lead_funnel._invalidate(f.relation);
        PERFORM lead_funnel._drop_triggers(f.relation);
    END IF;

    IF __detach.purge THEN
        PERFORM lead_funnel._lock_statistics(f.funnel_id);
        DELETE FROM lead_funnel.journal AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.delta AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.generation AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.stock_cell AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.flow_cell AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.stage_map AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.rule AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.rule_version AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.override_role AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.event AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.engagement_column AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.funnel_model AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.handshake AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.reason_code AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.sla AS o WHERE o.funnel_id = f.funnel_id;
        DELETE FROM lead_funnel.funnel AS o WHERE o.funnel_id = f.funnel_id;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel.__detach(pg_catalog.name, pg_catalog.bool) IS
    'implementation of _detach()';
REVOKE ALL ON FUNCTION lead_funnel.__detach(pg_catalog.name, pg_catalog.bool) FROM PUBLIC;

-- Changing the type of a column evaluates expressions of its table's owner:
-- that part runs as the caller.
CREATE FUNCTION lead_funnel.detach(funnel pg_catalog.name,
                                   purge pg_catalog.bool DEFAULT false,
                                   restore_type pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f record;
    kind text;
    defaults text[] := '{}';
    d record;
    statement text;
BEGIN
    PERFORM lead_funnel._check_given(detach.funnel);
    IF detach.restore_type IS NOT NULL THEN
        PERFORM lead_funnel._check_choice('restore_type', detach.restore_type, ARRAY['text', 'varchar']);
        SELECT * INTO f FROM lead_funnel._funnel_of(detach.funnel);
        IF f.relation IS NULL THEN
            RAISE EXCEPTION 'funnel "%" has no table whose column could be restored', detach.funnel
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'Leave restore_type out, and use ALTER TABLE ... ALTER COLUMN ... TYPE text USING ...::text.';
        END IF;
        kind := lead_funnel._stage_kind(f.relation, f.stage_column);
    END IF;

    PERFORM lead_funnel._detach(detach.funnel, detach.purge);
    IF kind IS NULL THEN
        RETURN;
    END IF;
    IF kind <> 'lead_stage' THEN
        RAISE NOTICE 'column "%" of table % is not of type lead_stage, nothing to restore', f.stage_column, f.relation;
        RETURN;
    END IF;

    FOR d IN
        SELECT r.oid AS relation, pg_get_expr(e.adbin, e.adrelid) AS expression
        FROM lead_funnel._tree(f.relation) AS r (oid)
        JOIN pg_attribute AS t ON t.attrelid = r.oid AND t.attname = f.stage_column AND t.attgenerated = ''
        JOIN pg_attrdef AS e ON e.adrelid = t.attrelid AND e.adnum = t.attnum
    LOOP
        -- a literal must not depend on the type any more
        defaults := defaults || format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s', d.relation::regclass, f.stage_column,
                                       coalesce(substring(d.expression FROM '^(''[a-z]+'')::[^('']*lead_stage"?$'),
                                                format('(%s)::text', d.expression)));
    END LOOP;
    IF cardinality(defaults) > 0 THEN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', f.relation, f.stage_column);
    END IF;
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING %2$I::text', f.relation, f.stage_column, detach.restore_type);
    FOREACH statement IN ARRAY defaults LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel.detach(pg_catalog.name, pg_catalog.bool, pg_catalog.text) IS
    'end of a funnel: the table is left alone, its history is kept unless purged';

-- suspend and resume

CREATE FUNCTION lead_funnel.suspend(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.suspend(pg_catalog.name) IS
    'pause of a funnel, without triggers on its table, for a migration';

CREATE FUNCTION lead_funnel._suspend(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._lock_funnel(_suspend.funnel, 'ACCESS EXCLUSIVE');
BEGIN
    IF f.status = 'suspended' THEN
        RAISE NOTICE 'funnel "%" is suspended already', f.name;
        RETURN;
    END IF;
    PERFORM lead_funnel._require_idle(f.relation);
    UPDATE lead_funnel.funnel AS o SET status = 'suspended' WHERE o.funnel_id = f.funnel_id;
    PERFORM lead_funnel._drop_triggers(f.relation);
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel._suspend(pg_catalog.name) IS
    'implementation of suspend()';
REVOKE ALL ON FUNCTION lead_funnel._suspend(pg_catalog.name) FROM PUBLIC;

CREATE FUNCTION lead_funnel.resume(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.resume(pg_catalog.name) IS
    'end of the pause of a funnel: new triggers, and what changed meanwhile into the journal; also mends triggers';

CREATE FUNCTION lead_funnel._resume(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_resume.funnel);
BEGIN
    PERFORM lead_funnel._require_read_committed('resume');
    -- dropping a trigger needs the stronger lock; taking it later could deadlock
    f := lead_funnel._lock_funnel(f.name, CASE WHEN EXISTS (SELECT FROM lead_funnel._own_triggers(f.relation))
                                               THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
    PERFORM lead_funnel._require_idle(f.relation);
    PERFORM lead_funnel._check_relation(f.relation);
    PERFORM lead_funnel._check_columns(f.relation, to_json(f)::jsonb);
    PERFORM lead_funnel._check_score(f);
    UPDATE lead_funnel.funnel AS o SET status = 'suspended' WHERE o.funnel_id = f.funnel_id;
    PERFORM lead_funnel._drop_triggers(f.relation);
    PERFORM lead_funnel._fit_stage_map(f);
    PERFORM lead_funnel._create_triggers(f.funnel_id);
    UPDATE lead_funnel.funnel AS o SET status = 'active' WHERE o.funnel_id = f.funnel_id;
    PERFORM lead_funnel._invalidate(f.relation);
    PERFORM lead_funnel._grant_owner(f.relation);
    PERFORM lead_funnel._follow_owner(f.relation);
    PERFORM lead_funnel._reconcile(f.name);
END
$$;
COMMENT ON FUNCTION lead_funnel._resume(pg_catalog.name) IS
    'implementation of resume()';
REVOKE ALL ON FUNCTION lead_funnel._resume(pg_catalog.name) FROM PUBLIC;

-- alter_funnel

CREATE FUNCTION lead_funnel.alter_funnel(funnel pg_catalog.name,
                                         relation pg_catalog.regclass DEFAULT NULL,
                                         stage_column pg_catalog.name DEFAULT NULL,
                                         stage_map pg_catalog.jsonb DEFAULT NULL,
                                         timezone pg_catalog.text DEFAULT NULL,
                                         key_column pg_catalog.name DEFAULT NULL,
                                         source_column pg_catalog.name DEFAULT NULL,
                                         campaign_column pg_catalog.name DEFAULT NULL,
                                         owner_column pg_catalog.name DEFAULT NULL,
                                         segment_column pg_catalog.name DEFAULT NULL,
                                         currency_column pg_catalog.name DEFAULT NULL,
                                         value_column pg_catalog.name DEFAULT NULL,
                                         entered_column pg_catalog.name DEFAULT NULL,
                                         actor_column pg_catalog.name DEFAULT NULL,
                                         reason_column pg_catalog.name DEFAULT NULL,
                                         handover_column pg_catalog.name DEFAULT NULL,
                                         excluded_column pg_catalog.name DEFAULT NULL,
                                         score_column pg_catalog.name DEFAULT NULL,
                                         qualification_column pg_catalog.name DEFAULT NULL,
                                         always pg_catalog.bool DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.alter_funnel(pg_catalog.name, pg_catalog.regclass, pg_catalog.name, pg_catalog.jsonb,
    pg_catalog.text, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.bool) IS
    'change of the table, the columns, the stage map or the time zone of a funnel; what is left out stays';

CREATE FUNCTION lead_funnel._alter_funnel(funnel pg_catalog.name,
                                          relation pg_catalog.regclass,
                                          stage_column pg_catalog.name,
                                          stage_map pg_catalog.jsonb,
                                          timezone pg_catalog.text,
                                          key_column pg_catalog.name,
                                          source_column pg_catalog.name,
                                          campaign_column pg_catalog.name,
                                          owner_column pg_catalog.name,
                                          segment_column pg_catalog.name,
                                          currency_column pg_catalog.name,
                                          value_column pg_catalog.name,
                                          entered_column pg_catalog.name,
                                          actor_column pg_catalog.name,
                                          reason_column pg_catalog.name,
                                          handover_column pg_catalog.name,
                                          excluded_column pg_catalog.name,
                                          score_column pg_catalog.name,
                                          qualification_column pg_catalog.name,
                                          always pg_catalog.bool)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    old lead_funnel.funnel := lead_funnel._funnel_row(_alter_funnel.funnel);
    f lead_funnel.funnel;
    locked lead_funnel.funnel;
    has_triggers boolean;
    retrigger boolean;
BEGIN
    PERFORM lead_funnel._require_read_committed('alter_funnel');

    IF _alter_funnel.stage_column = '' THEN
        RAISE EXCEPTION 'stage_column is empty'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'A funnel needs a stage column; an empty name takes out the other columns only.';
    END IF;

    LOOP
        -- NULL leaves a column as it is, an empty name takes it out
        f := old;
        f.relation := coalesce(_alter_funnel.relation, old.relation);
        f.stage_column := coalesce(_alter_funnel.stage_column, old.stage_column);
        f.timezone := coalesce(_alter_funnel.timezone, old.timezone);
        f.key_column := nullif(coalesce(_alter_funnel.key_column, old.key_column), '');
        f.source_column := nullif(coalesce(_alter_funnel.source_column, old.source_column), '');
        f.campaign_column := nullif(coalesce(_alter_funnel.campaign_column, old.campaign_column), '');
        f.owner_column := nullif(coalesce(_alter_funnel.owner_column, old.owner_column), '');
        f.segment_column := nullif(coalesce(_alter_funnel.segment_column, old.segment_column), '');
        f.currency_column := nullif(coalesce(_alter_funnel.currency_column, old.currency_column), '');
        f.value_column := nullif(coalesce(_alter_funnel.value_column, old.value_column), '');
        f.entered_column := nullif(coalesce(_alter_funnel.entered_column, old.entered_column), '');
        f.actor_column := nullif(coalesce(_alter_funnel.actor_column, old.actor_column), '');
        f.reason_column := nullif(coalesce(_alter_funnel.reason_column, old.reason_column), '');
        f.handover_column := nullif(coalesce(_alter_funnel.handover_column, old.handover_column), '');
        f.excluded_column := nullif(coalesce(_alter_funnel.excluded_column, old.excluded_column), '');
        f.score_column := nullif(coalesce(_alter_funnel.score_column, old.score_column), '');
        f.qualification_column := nullif(coalesce(_alter_funnel.qualification_column, old.qualification_column), '');
        f.always := coalesce(_alter_funnel.always, old.always);

        -- locks of all tables before anything is done
        has_triggers := EXISTS (SELECT FROM lead_funnel._own_triggers(old.relation));
        retrigger := has_triggers AND to_json(f)::jsonb - '{timezone,score_column,qualification_column}'::text[]
                                      <> to_json(old)::jsonb - '{timezone,score_column,qualification_column}'::text[];
        locked := lead_funnel._lock_funnel(old.name, CASE WHEN retrigger THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
        EXIT WHEN to_json(locked)::jsonb = to_json(old)::jsonb;
        old := locked;
    END LOOP;
    IF f.relation <> old.relation THEN
        PERFORM lead_funnel._check_relation(f.relation);
        IF NOT (SELECT pg_has_role(lead_funnel._caller(), r.relowner, 'USAGE') FROM pg_class AS r WHERE r.oid = f.relation) THEN
            RAISE EXCEPTION 'must be owner of table %', f.relation
                USING ERRCODE = 'insufficient_privilege',
                      DETAIL = format('Funnel "%s" would put triggers on it.', f.name),
                      HINT = 'Call it as the owner of both tables.';
        END IF;
        PERFORM lead_funnel._lock_relation(f.relation, 'SHARE ROW EXCLUSIVE');
        PERFORM lead_funnel._require_idle(f.relation);
        PERFORM lead_funnel._check_not_attached(f.relation);
    END IF;
    PERFORM lead_funnel._check_relation(f.relation);
    -- without a time zone that the server knows, a partition cannot even leave
    IF to_json(f)::jsonb - 'timezone' <> to_json(old)::jsonb - 'timezone' THEN
        PERFORM lead_funnel._require_whole(f.relation);
    END IF;
    PERFORM lead_funnel._require_idle(old.relation);

    f.key_column := coalesce(f.key_column, lead_funnel._default_key(f.relation));
    PERFORM lead_funnel._check_columns(f.relation, to_json(f)::jsonb);
    IF f.binding IS NOT NULL AND f.qualification_column IS NOT NULL THEN
        RAISE EXCEPTION 'the qualification of funnel "%" is made of columns already', f.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('They are %s.', (SELECT string_agg(quote_ident(b.value), ', ' ORDER BY b.value)
                                                   FROM jsonb_each_text(f.binding -> 'columns') AS b)),
                  HINT = format('Call lead_funnel.bind_qualification(%L, NULL) first.', f.name);
    END IF;
    IF f.score_model IS NOT NULL AND f.score_column IS NOT NULL THEN
        RAISE EXCEPTION 'the score of funnel "%" is made by scoring model "%" already', f.name, f.score_model
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'A score has one source.',
                  HINT = format('Call lead_funnel.bind_score(%L, NULL) first.', f.name);
    END IF;
    PERFORM lead_funnel._check_score(f);
    IF f.key_column <> old.key_column OR f.relation <> old.relation THEN
        PERFORM lead_funnel._notice_key(f.relation, f.key_column);
    END IF;
    IF f.timezone <> old.timezone THEN
        PERFORM lead_funnel._check_timezone(f.timezone);
    END IF;
    IF f.always AND f.mode <> 'observe' THEN
        f.mode := 'observe';
        RAISE NOTICE 'funnel is in mode "observe"'
            USING DETAIL = 'With always => true the triggers run for replicated rows too, and one refused row would stop the subscription.',
                  HINT = 'Enforce the rules on the publisher; view lead_funnel.rule_violations shows breaches.';
    END IF;

    UPDATE lead_funnel.funnel AS o SET status = 'suspended' WHERE o.funnel_id = f.funnel_id;
    IF retrigger THEN
        PERFORM lead_funnel._drop_triggers(old.relation);
    END IF;
    UPDATE lead_funnel.funnel AS o
    SET relation = f.relation, mode = f.mode, timezone = f.timezone, always = f.always,
        stage_column = f.stage_column, key_column = f.key_column, source_column = f.source_column,
        campaign_column = f.campaign_column, owner_column = f.owner_column, segment_column = f.segment_column,
        currency_column = f.currency_column, value_column = f.value_column, entered_column = f.entered_column,
        actor_column = f.actor_column, reason_column = f.reason_column, handover_column = f.handover_column,
        excluded_column = f.excluded_column, score_column = f.score_column, qualification_column = f.qualification_column
    WHERE o.funnel_id = f.funnel_id;
    IF _alter_funnel.stage_map IS NOT NULL THEN
        PERFORM lead_funnel._store_stage_map(f.funnel_id, f.relation, f.stage_column, _alter_funnel.stage_map);
    ELSE
        PERFORM lead_funnel._fit_stage_map(f);
    END IF;
    IF old.status = 'active' THEN
        IF retrigger OR NOT has_triggers THEN
            PERFORM lead_funnel._create_triggers(f.funnel_id);
        END IF;
        UPDATE lead_funnel.funnel AS o SET status = 'active' WHERE o.funnel_id = f.funnel_id;
    END IF;
    PERFORM lead_funnel._invalidate(old.relation);
    PERFORM lead_funnel._invalidate(f.relation);
    PERFORM lead_funnel._grant_owner(f.relation);
    PERFORM lead_funnel._follow_owner(f.relation);

    IF f.timezone <> old.timezone THEN
        PERFORM lead_funnel._rebuild(f.name);
    END IF;
    IF old.status = 'active' THEN
        PERFORM lead_funnel._reconcile(f.name);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._alter_funnel(pg_catalog.name, pg_catalog.regclass, pg_catalog.name, pg_catalog.jsonb,
    pg_catalog.text, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.bool) IS
    'implementation of alter_funnel()';
REVOKE ALL ON FUNCTION lead_funnel._alter_funnel(pg_catalog.name, pg_catalog.regclass, pg_catalog.name, pg_catalog.jsonb,
    pg_catalog.text, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.bool) FROM PUBLIC;
