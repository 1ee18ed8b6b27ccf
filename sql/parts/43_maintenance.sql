--
-- reconcile, verify, rebuild, compact; readers
--

-- One statement, so one snapshot: what was committed together is seen together
CREATE FUNCTION lead_funnel._differences(funnel_id pg_catalog.int4)
    RETURNS TABLE (lead_id pg_catalog.int8, lead_key pg_catalog.text, in_table pg_catalog.bool, copies pg_catalog.int8,
                   stage @extschema@.lead_stage, status pg_catalog.text, source pg_catalog.text,
                   campaign pg_catalog.text, owner pg_catalog.text, segment pg_catalog.text,
                   currency pg_catalog.text, value pg_catalog.numeric, journal_state pg_catalog.text,
                   differs pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(t.lead_id, j.lead_id), coalesce(t.lead_key, j.lead_key), t.copies IS NOT NULL, t.copies,
           t.stage, t.status, t.source, t.campaign, t.owner, t.segment, t.currency, t.value,
           CASE WHEN j.stage IS NOT NULL THEN
               lead_funnel._describe(j.stage, j.source, j.campaign, j.owner, j.segment, j.currency, j.value)
           END,
           d.differs
    FROM (SELECT c.*
          FROM (SELECT s.*, count(s.stage) OVER (PARTITION BY s.lead_id, s.lead_key COLLATE "C") AS copies
                FROM lead_funnel._table_state(_differences.funnel_id) AS s) AS c
          -- a row whose status means nothing is out, and may share the key of one that is in
          WHERE c.stage IS NOT NULL OR c.copies = 0) AS t
    FULL JOIN (SELECT s.* FROM lead_funnel._lead_state AS s WHERE s.funnel_id = _differences.funnel_id) AS j
        ON coalesce(t.lead_id, 0) = coalesce(j.lead_id, 0)
        AND coalesce(t.lead_key, '') COLLATE "C" = coalesce(j.lead_key, '') COLLATE "C"
        AND (t.lead_id IS NULL) = (j.lead_id IS NULL)
    CROSS JOIN LATERAL
        (SELECT t.stage::text IS DISTINCT FROM j.stage::text
             OR t.stage IS NOT NULL
                AND (t.source, t.campaign, t.owner, t.segment, t.currency, t.value)
                    IS DISTINCT FROM (j.source, j.campaign, j.owner, j.segment, j.currency, j.value) AS differs) AS d
    WHERE d.differs OR t.copies > 1 OR (t.copies IS NOT NULL AND t.stage IS NULL)
$$;
COMMENT ON FUNCTION lead_funnel._differences(pg_catalog.int4) IS
    'leads of which the table does not say what the journal says, whose status means nothing, or that share their key';
REVOKE ALL ON FUNCTION lead_funnel._differences(pg_catalog.int4) FROM PUBLIC;

CREATE FUNCTION lead_funnel._describe(stage @extschema@.lead_stage, source pg_catalog.text, campaign pg_catalog.text,
                                      owner pg_catalog.text, segment pg_catalog.text, currency pg_catalog.text,
                                      value pg_catalog.numeric)
    RETURNS pg_catalog.text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT concat_ws(', ', 'stage ' || stage::text, 'source ' || source, 'campaign ' || campaign, 'owner ' || owner,
                     'segment ' || segment, 'currency ' || currency, 'value ' || value::text)
$$;
COMMENT ON FUNCTION lead_funnel._describe(@extschema@.lead_stage, pg_catalog.text, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.numeric) IS
    'state of a lead or a cell, for people';
REVOKE ALL ON FUNCTION lead_funnel._describe(@extschema@.lead_stage, pg_catalog.text, pg_catalog.text, pg_catalog.text,
    pg_catalog.text, pg_catalog.text, pg_catalog.numeric) FROM PUBLIC;

CREATE FUNCTION lead_funnel._wrong_cells(funnel_id pg_catalog.int4)
    RETURNS TABLE (problem pg_catalog.text, expected pg_catalog.text, found pg_catalog.text)
    LANGUAGE sql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('flow of %s, %s', c.day,
                  lead_funnel._describe(c.stage, c.source, c.campaign, c.owner, c.segment, c.currency, NULL)),
           coalesce(max(c.text) FILTER (WHERE c.sign = 1), 'none'),
           coalesce(max(c.text) FILTER (WHERE c.sign = -1), 'none')
    FROM (SELECT v.*, format('opening %s, entries %s, exits %s, adjustments %s, value_in %s, value_out %s, value_adjustments %s',
                             v.opening, v.entries, v.exits, v.adjustments, v.value_in, v.value_out, v.value_adjustments) AS text
          FROM (SELECT 1 AS sign, j.day, j.stage, j.source, j.campaign, j.owner, j.segment, j.currency, j.opening,
                       j.entries, j.exits, j.adjustments, j.value_in, j.value_out, j.value_adjustments
                FROM lead_funnel._journal_flow AS j
                WHERE j.funnel_id = _wrong_cells.funnel_id
                UNION ALL
                SELECT -1, s.day, s.stage, s.source, s.campaign, s.owner, s.segment, s.currency, s.opening,
                       s.entries, s.exits, s.adjustments, s.value_in, s.value_out, s.value_adjustments
                FROM lead_funnel._flow AS s
                WHERE s.funnel_id = _wrong_cells.funnel_id) AS v) AS c
    GROUP BY c.day, c.stage, c.source, c.campaign, c.owner, c.segment, c.currency
    HAVING sum(c.sign * c.opening) <> 0 OR sum(c.sign * c.entries) <> 0 OR sum(c.sign * c.exits) <> 0
        OR sum(c.sign * c.adjustments) <> 0 OR sum(c.sign * c.value_in) <> 0 OR sum(c.sign * c.value_out) <> 0
        OR sum(c.sign * c.value_adjustments) <> 0
    UNION ALL
    SELECT format('stock of %s',
                  lead_funnel._describe(c.stage, c.source, c.campaign, c.owner, c.segment, c.currency, NULL)),
           format('leads %s, value %s', coalesce(sum(c.leads) FILTER (WHERE c.sign = 1), 0),
                  coalesce(sum(c.value) FILTER (WHERE c.sign = 1), 0)),
           format('leads %s, value %s', coalesce(sum(c.leads) FILTER (WHERE c.sign = -1), 0),
                  coalesce(sum(c.value) FILTER (WHERE c.sign = -1), 0))
    FROM (SELECT 1 AS sign, s.stage, s.source, s.campaign, s.owner, s.segment, s.currency, 1 AS leads, coalesce(s.value, 0) AS value
          FROM lead_funnel._lead_state AS s
          WHERE s.funnel_id = _wrong_cells.funnel_id
          UNION ALL
          SELECT -1, s.stage, s.source, s.campaign, s.owner, s.segment, s.currency, s.leads, s.value
          FROM lead_funnel._stock(_wrong_cells.funnel_id, NULL) AS s) AS c
    GROUP BY c.stage, c.source, c.campaign, c.owner, c.segment, c.currency
    HAVING sum(c.sign * c.leads) <> 0 OR sum(c.sign * c.value) <> 0
$$;
COMMENT ON FUNCTION lead_funnel._wrong_cells(pg_catalog.int4) IS
    'cells of the statistics as stored that differ from those that the journal gives';
REVOKE ALL ON FUNCTION lead_funnel._wrong_cells(pg_catalog.int4) FROM PUBLIC;

-- reconcile

CREATE FUNCTION lead_funnel.reconcile(funnel pg_catalog.name)
    RETURNS pg_catalog.int8
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.reconcile(pg_catalog.name) IS
    'number of leads that differed between table and journal and are journalled now, with origin reconcile';

CREATE FUNCTION lead_funnel._reconcile(funnel pg_catalog.name)
    RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._lock_funnel(_reconcile.funnel, 'SHARE ROW EXCLUSIVE');
    d record;
    corrected bigint := 0;
    unmapped bigint := 0;
    statuses text[] := '{}';
    shared text;
BEGIN
    IF f.status = 'suspended' THEN
        RAISE EXCEPTION 'funnel "%" is suspended', f.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Its table has no triggers: the journal would be behind again at once.',
                  HINT = format('Call lead_funnel.resume(%L), which reconciles.', f.name);
    END IF;
    PERFORM lead_funnel._flush();

    -- the loop reads with the snapshot that it began with
    FOR d IN SELECT * FROM lead_funnel._differences(f.funnel_id) LOOP
        IF d.copies > 1 THEN
            shared := coalesce(d.lead_key, d.lead_id::text);
            EXIT;
        ELSIF d.in_table AND d.stage IS NULL AND f.mode = 'enforce' THEN
            unmapped := unmapped + 1;
            IF cardinality(statuses) < 20 AND NOT coalesce(quote_literal(d.status), 'NULL') = ANY (statuses) THEN
                statuses := statuses || coalesce(quote_literal(d.status), 'NULL');
            END IF;
        ELSIF d.differs THEN
            -- an old snapshot may show a difference that is none any more
            PERFORM lead_funnel._require_read_committed('reconcile');
            PERFORM lead_funnel._set_state(f.funnel_id, d.lead_id, d.lead_key, d.stage, d.status, d.source, d.campaign,
                                           d.owner, d.segment, d.currency, d.value);
            corrected := corrected + 1;
        END IF;
    END LOOP;
    IF shared IS NOT NULL THEN
        RAISE EXCEPTION 'several rows of table % have the key "%"', f.relation, shared
            USING ERRCODE = 'unique_violation',
                  COLUMN = f.key_column,
                  DETAIL = format('A lead of funnel "%s" is known by its key, column "%s".', f.name, f.key_column),
                  HINT = format('Remove the duplicates; SELECT * FROM lead_funnel.verify(%L) lists them.', f.name);
    END IF;
    IF unmapped > 0 THEN
        RAISE EXCEPTION 'table % has % rows whose status means nothing', f.relation, unmapped
            USING ERRCODE = 'invalid_text_representation',
                  COLUMN = f.stage_column,
                  DETAIL = format('The values of column "%s" are %s.', f.stage_column, array_to_string(statuses, ', ')),
                  HINT = format('Map them with lead_funnel.map_stage(%L, ..., ...), or give the rows another status.', f.name);
    END IF;
    PERFORM lead_funnel._flush();
    IF EXISTS (SELECT FROM lead_funnel._wrong_cells(f.funnel_id)) THEN
        PERFORM lead_funnel._rebuild(f.name);
    END IF;
    RETURN corrected;
END
$$;
COMMENT ON FUNCTION lead_funnel._reconcile(pg_catalog.name) IS
    'implementation of reconcile()';
REVOKE ALL ON FUNCTION lead_funnel._reconcile(pg_catalog.name) FROM PUBLIC;

-- verify

CREATE FUNCTION lead_funnel.verify(funnel pg_catalog.name)
    RETURNS TABLE (problem pg_catalog.text, lead pg_catalog.text, expected pg_catalog.text, found pg_catalog.text,
                   fix pg_catalog.text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.verify(pg_catalog.name) IS
    'one row per disagreement of table, journal, statistics and triggers; none if the funnel is healthy';

-- Neither locks nor writes: it runs on a standby.  VOLATILE, since each check
-- needs a snapshot that sees what _flush() wrote.
CREATE FUNCTION lead_funnel._verify(funnel pg_catalog.name)
    RETURNS TABLE (problem pg_catalog.text, lead pg_catalog.text, expected pg_catalog.text, found pg_catalog.text,
                   fix pg_catalog.text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_verify.funnel, true);
    used record;
    complaints bigint := 0;
    message text;
    hint text;
BEGIN
    IF NOT pg_is_in_recovery() THEN
        PERFORM lead_funnel._flush();
    END IF;

    -- as behind an upgrade of the operating system; nothing can be counted by day then
    BEGIN
        PERFORM now() AT TIME ZONE f.timezone;
    EXCEPTION
        WHEN invalid_parameter_value THEN
            RETURN QUERY SELECT 'time zone is not known', NULL::text, 'a name of view pg_timezone_names'::text, f.timezone,
                                format(CASE f.status WHEN 'detached' THEN 'SELECT lead_funnel.attach(%L, ..., timezone => ...);'
                                       ELSE 'SELECT lead_funnel.alter_funnel(%L, timezone => ...);' END, f.name);
            RETURN;
    END;

    IF f.relation IS NULL AND f.status <> 'detached' THEN
        RETURN QUERY SELECT 'table is gone', NULL::text, NULL::text, NULL::text,
                            format('SELECT lead_funnel.detach(%L);', f.name);
    ELSIF f.status = 'suspended' THEN
        RETURN QUERY SELECT 'suspended', NULL::text, 'active'::text, 'suspended'::text,
                            format('SELECT lead_funnel.resume(%L);', f.name);
    ELSIF f.status = 'active' THEN
        BEGIN
            PERFORM lead_funnel._check_relation(f.relation);
        EXCEPTION
            WHEN feature_not_supported OR wrong_object_type THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
                RETURN QUERY SELECT 'table does not fit', NULL::text, 'a table that attach() accepts'::text, message, hint;
        END;

        RETURN QUERY
        SELECT CASE WHEN g.tgenabled IS NULL THEN 'trigger is missing' ELSE 'trigger is disabled' END, NULL::text,
               format('trigger %s on %s%s', e.tgname, r.oid, CASE WHEN f.always THEN ', enabled always' ELSE '' END),
               CASE g.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled for replicas only'
                                WHEN 'O' THEN 'not enabled for replicated rows' END,
               format('SELECT lead_funnel.resume(%L);', f.name)
        FROM lead_funnel._tree(f.relation) AS r (oid)
        CROSS JOIN (VALUES ('lead_funnel_track'::name, 1), ('lead_funnel_track_update', 2), ('lead_funnel_flush', 3),
                           ('lead_funnel_truncate', 4), ('lead_funnel_stamp', 5)) AS e (tgname, position)
        LEFT JOIN lead_funnel._own_triggers(f.relation) AS g ON g.tgrelid = r.oid AND g.tgname = e.tgname
        WHERE (e.tgname <> 'lead_funnel_stamp' OR lead_funnel._needs_stamp(f))
          AND (g.tgenabled IS NULL OR g.tgenabled NOT IN ('O', 'A') OR (f.always AND g.tgenabled <> 'A'))
        ORDER BY r.oid::text, e.position;

        FOR used IN SELECT * FROM lead_funnel._columns_of(to_json(f)::jsonb) LOOP
            BEGIN
                PERFORM lead_funnel._check_column(f.relation, used.parameter, used.column_name, used.use);
            EXCEPTION
                WHEN undefined_column OR datatype_mismatch OR feature_not_supported THEN
                    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
                    complaints := complaints + 1;
                    RETURN QUERY SELECT 'column does not fit', NULL::text,
                                        format('%s %s', used.parameter, used.column_name), message,
                                        CASE WHEN right(used.parameter, 7) = '_column'
                                             THEN format('SELECT lead_funnel.alter_funnel(%L, %s => ...); %s', f.name, used.parameter, hint)
                                             ELSE format('SELECT lead_funnel.bind_qualification(%L, %L, %s => ...); %s', f.name,
                                                         f.binding ->> 'framework', used.parameter, hint) END;
            END;
        END LOOP;

        BEGIN
            PERFORM lead_funnel._check_score(f);
        EXCEPTION
            WHEN undefined_column OR feature_not_supported OR invalid_parameter_value THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
                RETURN QUERY SELECT 'score does not fit', NULL::text, coalesce('scoring model ' || f.score_model, 'score_column ' || f.score_column),
                                    message, hint;
        END;

        IF pg_is_in_recovery() AND EXISTS (SELECT FROM lead_funnel._tree(f.relation) AS r (oid) JOIN pg_class AS c ON c.oid = r.oid
                                           WHERE c.relpersistence = 'u') THEN
            RETURN QUERY SELECT 'rows are not on this server', NULL::text, 'a logged table'::text, 'an unlogged one'::text,
                                'Call verify() on the primary.'::text;
        ELSIF complaints = 0 THEN
            BEGIN
                RETURN QUERY
                SELECT CASE WHEN d.copies > 1 THEN 'key is not unique'
                            WHEN d.in_table AND d.stage IS NULL AND NOT d.differs THEN 'status is not mapped'
                            WHEN NOT d.in_table THEN 'lead is in the journal only'
                            WHEN d.journal_state IS NULL THEN 'lead is in the table only'
                            ELSE 'lead differs' END,
                       coalesce(d.lead_key, d.lead_id::text),
                       CASE WHEN d.copies > 1 THEN 'one row'
                            WHEN NOT d.in_table THEN 'not in the funnel'
                            WHEN d.stage IS NULL THEN format('status %s', coalesce(quote_literal(d.status), 'NULL'))
                            ELSE lead_funnel._describe(d.stage, d.source, d.campaign, d.owner, d.segment, d.currency, d.value) END,
                       CASE WHEN d.copies > 1 THEN format('%s rows', d.copies) ELSE coalesce(d.journal_state, 'not in the funnel') END,
                       CASE WHEN d.copies > 1 THEN 'Remove the duplicate rows.'
                            WHEN d.in_table AND d.stage IS NULL AND f.mode = 'enforce'
                            THEN format('SELECT lead_funnel.map_stage(%L, %s, ...);', f.name, coalesce(quote_literal(d.status), 'NULL'))
                            ELSE format('SELECT lead_funnel.reconcile(%L);', f.name) END
                FROM (SELECT x.*, row_number() OVER (PARTITION BY x.lead_id, x.lead_key) AS copy
                      FROM lead_funnel._differences(f.funnel_id) AS x) AS d
                WHERE CASE WHEN d.copies > 1 THEN d.copy = 1
                           WHEN d.differs THEN true
                           ELSE f.mode = 'enforce' END
                ORDER BY d.lead_id, d.lead_key COLLATE "C";
            EXCEPTION
                WHEN not_null_violation THEN
                    RETURN QUERY SELECT 'key is NULL', NULL::text, format('a value in column %I', f.key_column), 'NULL'::text,
                                        format('Give the rows a key, and declare column %I NOT NULL.', f.key_column);
            END;
        END IF;
    END IF;

    -- where a subscription has brought them, changes here would not count
    RETURN QUERY
    SELECT 'statistics are of another server', NULL::text, 'transactions before ' || pg_snapshot_xmax(pg_current_snapshot()),
           'transactions before ' || max(pg_snapshot_xmax(g.snapshot)::text::bigint), format('SELECT lead_funnel.rebuild(%L);', f.name)
    FROM lead_funnel.generation AS g
    WHERE g.funnel_id = f.funnel_id
      -- its own fold is newer than what a transaction with an older snapshot sees
      AND (current_setting('transaction_isolation') = 'read committed' OR pg_current_xact_id_if_assigned() IS NULL)
    HAVING max(pg_snapshot_xmax(g.snapshot)::text::bigint) > pg_snapshot_xmax(pg_current_snapshot())::text::bigint;

    RETURN QUERY
    SELECT w.problem, NULL::text, w.expected, w.found, format('SELECT lead_funnel.rebuild(%L);', f.name)
    FROM lead_funnel._wrong_cells(f.funnel_id) AS w
    ORDER BY w.problem;
END
$$;
COMMENT ON FUNCTION lead_funnel._verify(pg_catalog.name) IS
    'implementation of verify()';
REVOKE ALL ON FUNCTION lead_funnel._verify(pg_catalog.name) FROM PUBLIC;

-- rebuild

CREATE FUNCTION lead_funnel.rebuild(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.rebuild(pg_catalog.name) IS
    'statistics of a funnel, computed anew from its journal while writers go on';

CREATE FUNCTION lead_funnel._rebuild(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM lead_funnel._require_read_committed('rebuild');
    PERFORM lead_funnel._derive_statistics(_rebuild.funnel);
END
$$;
COMMENT ON FUNCTION lead_funnel._rebuild(pg_catalog.name) IS
    'implementation of rebuild()';
REVOKE ALL ON FUNCTION lead_funnel._rebuild(pg_catalog.name) FROM PUBLIC;

CREATE FUNCTION lead_funnel._derive_statistics(funnel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_derive_statistics.funnel, true);
BEGIN
    PERFORM lead_funnel._flush();
    PERFORM lead_funnel._lock_statistics(f.funnel_id);

    -- One statement: the snapshot that is stored must be the one that the
    -- journal is read with.  The deltas that it sees are in the journal that it
    -- sees, so they go; those that it does not see, and our own to come, count.
    WITH newest AS (
        SELECT coalesce(max(g.generation), -1) + 1 AS generation
        FROM lead_funnel.generation AS g
        WHERE g.funnel_id = f.funnel_id
    ), gone_delta AS (
        DELETE FROM lead_funnel.delta AS d WHERE d.funnel_id = f.funnel_id
    ), gone_stock AS (
        DELETE FROM lead_funnel.stock_cell AS c WHERE c.funnel_id = f.funnel_id
    ), gone_flow AS (
        DELETE FROM lead_funnel.flow_cell AS c WHERE c.funnel_id = f.funnel_id
    ), gone_generation AS (
        DELETE FROM lead_funnel.generation AS g WHERE g.funnel_id = f.funnel_id
    ), flow AS (
        INSERT INTO lead_funnel.flow_cell
            (funnel_id, day, stage, source, campaign, owner, segment, currency, opening, entries, exits, adjustments,
             value_in, value_out, value_adjustments)
        SELECT j.funnel_id, j.day, j.stage, j.source, j.campaign, j.owner, j.segment, j.currency, j.opening, j.entries,
               j.exits, j.adjustments, j.value_in, j.value_out, j.value_adjustments
        FROM lead_funnel._journal_flow AS j
        WHERE j.funnel_id = f.funnel_id
        RETURNING stage, source, campaign, owner, segment, currency, opening, entries, exits, adjustments, value_in,
                  value_out, value_adjustments
    ), stock AS (
        INSERT INTO lead_funnel.stock_cell
            (funnel_id, generation, stage, source, campaign, owner, segment, currency, leads, value)
        SELECT f.funnel_id, (SELECT n.generation FROM newest AS n), w.stage, w.source, w.campaign, w.owner, w.segment,
               w.currency, sum(w.opening + w.entries - w.exits + w.adjustments),
               sum(w.value_in - w.value_out + w.value_adjustments)
        FROM flow AS w
        GROUP BY w.stage, w.source, w.campaign, w.owner, w.segment, w.currency
        HAVING sum(w.opening + w.entries - w.exits + w.adjustments) <> 0
            OR sum(w.value_in - w.value_out + w.value_adjustments) <> 0
        RETURNING 1
    )
    INSERT INTO lead_funnel.generation (funnel_id, generation, snapshot, cells, folded_at)
    SELECT f.funnel_id, n.generation, lead_funnel._snapshot(), (SELECT count(*) FROM stock), clock_timestamp()
    FROM newest AS n;
END
$$;
COMMENT ON FUNCTION lead_funnel._derive_statistics(pg_catalog.name) IS
    'statistics of a funnel from its journal, as the transaction sees it';
REVOKE ALL ON FUNCTION lead_funnel._derive_statistics(pg_catalog.name) FROM PUBLIC;

-- compact

-- Names no funnel, so nobody's ownership can be checked: it runs with the
-- rights of the extension's owner and may be called by those to whom attach()
-- and grant_reader() give the right.  It changes no number.
CREATE FUNCTION lead_funnel.compact()
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
BEGIN
    PERFORM lead_funnel._flush();
    FOR f IN SELECT o.funnel_id FROM lead_funnel.funnel AS o ORDER BY o.funnel_id LOOP
        PERFORM lead_funnel._lock_statistics(f.funnel_id);
        PERFORM lead_funnel._fold(f.funnel_id);

        WITH gone AS (
            DELETE FROM lead_funnel.flow_cell AS c
            WHERE c.ctid = ANY (ARRAY(
                SELECT p.ctid
                FROM (SELECT o.ctid,
                             count(*) OVER (PARTITION BY o.day, o.stage, o.source, o.campaign, o.owner, o.segment, o.currency) AS rows
                      FROM lead_funnel.flow_cell AS o
                      WHERE o.funnel_id = f.funnel_id) AS p
                WHERE p.rows > 1))
            RETURNING c.*
        )
        INSERT INTO lead_funnel.flow_cell
            (funnel_id, day, stage, source, campaign, owner, segment, currency, opening, entries, exits, adjustments,
             value_in, value_out, value_adjustments)
        SELECT f.funnel_id, g.day, g.stage, g.source, g.campaign, g.owner, g.segment, g.currency, sum(g.opening),
               sum(g.entries), sum(g.exits), sum(g.adjustments), sum(g.value_in), sum(g.value_out), sum(g.value_adjustments)
        FROM gone AS g
        GROUP BY g.day, g.stage, g.source, g.campaign, g.owner, g.segment, g.currency;

        DELETE FROM lead_funnel.stock_cell AS c
        WHERE c.funnel_id = f.funnel_id
          AND c.generation < (SELECT max(g.generation) FROM lead_funnel.generation AS g WHERE g.funnel_id = f.funnel_id);
        DELETE FROM lead_funnel.generation AS o
        WHERE o.funnel_id = f.funnel_id
          AND o.generation < (SELECT max(g.generation) FROM lead_funnel.generation AS g WHERE g.funnel_id = f.funnel_id);
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel.compact() IS
    'fold of all pending deltas, and one row per cell of the statistics; changes no number';
REVOKE ALL ON FUNCTION lead_funnel.compact() FROM PUBLIC;

-- Readers: roles that read the views for every funnel

CREATE FUNCTION lead_funnel._caller_owns_extension()
    RETURNS pg_catalog.bool
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT pg_has_role(lead_funnel._caller(), e.extowner, 'USAGE') FROM pg_extension AS e WHERE e.extname = 'lead_funnel'
$$;
COMMENT ON FUNCTION lead_funnel._caller_owns_extension() IS
    'whether the caller is a superuser or owns the extension';
REVOKE ALL ON FUNCTION lead_funnel._caller_owns_extension() FROM PUBLIC;

CREATE FUNCTION lead_funnel._check_extension_owner(what pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT lead_funnel._caller_owns_extension() THEN
        RAISE EXCEPTION 'permission denied for function %', what
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'A reader sees the funnels of all tables.',
                  HINT = 'Call it as superuser or as the owner of extension "lead_funnel". '
                         'The owner of a table needs no such right: the views show it the funnel of its table.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_extension_owner(pg_catalog.text) IS
    'error unless the caller is a superuser or owns the extension';

CREATE FUNCTION lead_funnel.grant_reader(role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.grant_reader(pg_catalog.name) IS
    'right of a role to read the views for every funnel';

CREATE FUNCTION lead_funnel._grant_reader(role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM lead_funnel._check_extension_owner('grant_reader');
    PERFORM lead_funnel._check_role(_grant_reader.role);
    PERFORM lead_funnel._grant_reading(_grant_reader.role);
    INSERT INTO lead_funnel.reader (role) VALUES (_grant_reader.role) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION lead_funnel._grant_reader(pg_catalog.name) IS
    'implementation of grant_reader()';
REVOKE ALL ON FUNCTION lead_funnel._grant_reader(pg_catalog.name) FROM PUBLIC;

CREATE FUNCTION lead_funnel.revoke_reader(role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.revoke_reader(pg_catalog.name) IS
    'end of the right of a role to read the views for every funnel';

CREATE FUNCTION lead_funnel._revoke_reader(role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    v regclass;
BEGIN
    PERFORM lead_funnel._check_extension_owner('revoke_reader');
    IF _revoke_reader.role IS NULL THEN
        PERFORM lead_funnel._check_role(NULL);
    END IF;
    DELETE FROM lead_funnel.reader AS r WHERE r.role = _revoke_reader.role;
    IF NOT FOUND THEN
        RAISE NOTICE 'role "%" is no reader', _revoke_reader.role;
    END IF;
    -- the role may be gone, and it may read as owner of a table
    IF EXISTS (SELECT FROM pg_roles AS o WHERE o.rolname = _revoke_reader.role)
       AND NOT EXISTS (SELECT
                       FROM lead_funnel.funnel AS f
                       LEFT JOIN pg_class AS c ON c.oid = f.relation
                       LEFT JOIN pg_roles AS o ON o.oid = c.relowner
                       WHERE coalesce(o.rolname, f.attached_by) = _revoke_reader.role) THEN
        FOR v IN SELECT * FROM lead_funnel._public_views() LOOP
            EXECUTE format('REVOKE SELECT ON %s FROM %I', v, _revoke_reader.role);
        END LOOP;
        EXECUTE format('REVOKE EXECUTE ON FUNCTION lead_funnel.compact() FROM %I', _revoke_reader.role);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._revoke_reader(pg_catalog.name) IS
    'implementation of revoke_reader()';
REVOKE ALL ON FUNCTION lead_funnel._revoke_reader(pg_catalog.name) FROM PUBLIC;
