--
-- DDL and restores around a funnel
--
-- The event triggers leave at once if no funnel is concerned.  A restore
-- creates tables before it loads the funnels, and triggers after it, so that it
-- is left alone.
--

CREATE FUNCTION lead_funnel._is_managing() RETURNS boolean
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'lf_is_managing_sql';
COMMENT ON FUNCTION lead_funnel._is_managing() IS 'whether a function of the extension is running that manages a funnel';

CREATE FUNCTION lead_funnel._column_renamed(relation regclass, old_name text, new_name text)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    u record;
BEGIN
    FOR u IN
        SELECT f.funnel_id, c.parameter
        FROM lead_funnel.funnel AS f
        CROSS JOIN LATERAL lead_funnel._columns_of(to_jsonb(f)) AS c
        WHERE f.relation = _column_renamed.relation AND c.column_name = old_name
    LOOP
        IF right(u.parameter, 7) = '_column' THEN
            EXECUTE format('UPDATE lead_funnel.funnel SET %I = $1 WHERE funnel_id = $2', u.parameter)
            USING new_name::name, u.funnel_id;
        ELSE
            UPDATE lead_funnel.funnel AS o
            SET binding = jsonb_set(o.binding, ARRAY['columns', u.parameter], to_jsonb(new_name))
            WHERE o.funnel_id = u.funnel_id;
        END IF;
        PERFORM lead_funnel._invalidate(relation);
    END LOOP;
    UPDATE lead_funnel.engagement_column AS e
    SET column_name = new_name
    FROM lead_funnel.funnel AS f
    WHERE f.relation = _column_renamed.relation AND e.funnel_id = f.funnel_id AND e.column_name = old_name;
    FOR u IN
        SELECT f.name, f.score_model
        FROM lead_funnel.funnel AS f
        CROSS JOIN LATERAL lead_funnel._active_rules(f.score_model) AS r
        WHERE f.relation = _column_renamed.relation AND f.status = 'active' AND r.attribute = old_name
    LOOP
        RAISE EXCEPTION 'cannot rename column "%" of table % because scoring model "%" looks at it', old_name, relation, u.score_model
            USING ERRCODE = 'dependent_objects_still_exist',
                  COLUMN = old_name,
                  DETAIL = format('The model makes the score of funnel "%s", and knows columns by their names.', u.name),
                  HINT = format('Call lead_funnel.suspend(%1$L), rename the column, activate rules with its new name, and call lead_funnel.resume(%1$L).', u.name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel._column_renamed(regclass, text, text) IS 'a funnel follows the new name of a column';
REVOKE ALL ON FUNCTION lead_funnel._column_renamed(regclass, text, text) FROM PUBLIC;

-- The row triggers come and go with a partition; the statement triggers are
-- our part.
CREATE FUNCTION lead_funnel._partitions_changed(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f lead_funnel.funnel;
    member regclass;
    g record;
BEGIN
    SELECT o.* INTO f
    FROM lead_funnel.funnel AS o
    WHERE o.relation = lead_funnel._partition_root(_partitions_changed.relation);
    FOR member IN SELECT r.oid FROM lead_funnel._tree(_partitions_changed.relation) AS r (oid) LOOP
        IF f.funnel_id IS NULL THEN
            -- it left the tree
            FOR g IN SELECT t.tgname FROM lead_funnel._own_triggers(member) AS t
                     WHERE t.tgrelid = member AND NOT t.is_clone LOOP
                EXECUTE format('DROP TRIGGER %I ON %s', g.tgname, member);
            END LOOP;
        ELSIF f.status = 'active'
              AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = member AND t.tgname = 'lead_funnel_flush') THEN
            EXECUTE format('CREATE TRIGGER lead_funnel_flush AFTER INSERT OR UPDATE OR DELETE ON %s '
                           'FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel.flush()', member);
            EXECUTE format('CREATE TRIGGER lead_funnel_truncate BEFORE TRUNCATE ON %s '
                           'FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel.truncated()', member);
            IF f.always THEN
                FOR g IN SELECT t.tgname FROM lead_funnel._own_triggers(member) AS t WHERE t.tgrelid = member LOOP
                    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', member, g.tgname);
                END LOOP;
            END IF;
        END IF;
    END LOOP;
    IF f.funnel_id IS NOT NULL THEN
        PERFORM lead_funnel._invalidate(f.relation);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._partitions_changed(regclass) IS 'triggers of a funnel follow its partitions';
REVOKE ALL ON FUNCTION lead_funnel._partitions_changed(regclass) FROM PUBLIC;

-- What attach() refuses, once there is a funnel
CREATE FUNCTION lead_funnel._relatives_changed(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    detail text;
    funnel name;
BEGIN
    PERFORM lead_funnel._check_relation(relation);
EXCEPTION
    WHEN feature_not_supported THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        SELECT f.name INTO STRICT funnel FROM lead_funnel.funnel AS f WHERE f.relation = _relatives_changed.relation;
        RAISE EXCEPTION 'table % cannot have parents, children or foreign partitions because it carries funnel "%"', relation, funnel
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = detail,
                  HINT = format('Use a partitioned table, or give the funnel up with lead_funnel.detach(%L).', funnel);
END
$$;
COMMENT ON FUNCTION lead_funnel._relatives_changed(regclass) IS 'error if a table with a funnel has come to inherit, or has a foreign partition';
REVOKE ALL ON FUNCTION lead_funnel._relatives_changed(regclass) FROM PUBLIC;

-- lf_flush() refuses to go on if this did not happen
CREATE FUNCTION lead_funnel._trigger_made(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f lead_funnel.funnel;
BEGIN
    SELECT * INTO STRICT f FROM lead_funnel.funnel AS o WHERE o.relation = _trigger_made.relation;
    IF EXISTS (SELECT FROM pg_trigger AS t
               WHERE t.tgrelid = f.relation AND t.tgname = 'lead_funnel_track_update' AND t.tgattr <> '')
       AND lead_funnel._has_other_writers(f.relation) THEN
        PERFORM lead_funnel._create_update_trigger(f);
        IF f.always THEN
            EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER lead_funnel_track_update', f.relation);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._trigger_made(regclass) IS 'the trigger for updates looks at each row, if a BEFORE trigger may change it';
REVOKE ALL ON FUNCTION lead_funnel._trigger_made(regclass) FROM PUBLIC;

CREATE FUNCTION lead_funnel._reconcile_partitioned() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT o.name
        FROM lead_funnel.funnel AS o
        JOIN pg_class AS r ON r.oid = o.relation
        WHERE o.status = 'active' AND r.relkind = 'p'
        ORDER BY o.funnel_id
    LOOP
        PERFORM lead_funnel._reconcile(f.name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel._reconcile_partitioned() IS 'reconcile() of all funnels on partitioned tables';
REVOKE ALL ON FUNCTION lead_funnel._reconcile_partitioned() FROM PUBLIC;

-- CASCADE drops columns of our types with one line among many, in a NOTICE.
-- What is dropped with the extension anyway is not worth a word.
CREATE FUNCTION lead_funnel._before_drop_extension(command text, names text[], is_cascade boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    e record;
    lost record;
BEGIN
    SELECT x.oid, x.extowner, n.nspname::text, o.rolname::text INTO STRICT e
    FROM pg_extension AS x
    JOIN pg_namespace AS n ON n.oid = x.extnamespace
    JOIN pg_roles AS o ON o.oid = x.extowner
    WHERE x.extname = 'lead_funnel';
    IF command <> 'DROP EXTENSION' THEN
        -- lead tables may go along: their history to the names that their owners have now
        PERFORM lead_funnel._follow_owner(f.relation) FROM lead_funnel.funnel AS f WHERE f.relation IS NOT NULL;
    END IF;
    IF NOT (CASE command
               -- who may not drop it is told so by the server
               WHEN 'DROP EXTENSION' THEN 'lead_funnel' = ANY (names) AND pg_has_role(lead_funnel._caller(), e.extowner, 'USAGE')
               WHEN 'DROP SCHEMA' THEN is_cascade AND e.nspname = ANY (names)
               ELSE is_cascade AND e.rolname = ANY (names)
           END) THEN
        RETURN;
    END IF;

    WITH RECURSIVE gone (oid) AS (
        SELECT d.objid
        FROM pg_depend AS d
        WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_type'::regclass
        UNION
        SELECT y.oid
        FROM gone AS g
        JOIN pg_type AS y ON y.typbasetype = g.oid OR y.typelem = g.oid AND y.typcategory = 'A'
    ), used AS (
        SELECT format('%s.%I', r.oid::regclass, a.attname) AS name, format_type(a.atttypid, NULL) AS type,
               CASE WHEN f.name IS NOT NULL THEN format('SELECT lead_funnel.detach(%L, restore_type => ''text'');', f.name)
                    ELSE format('ALTER TABLE %s ALTER COLUMN %I TYPE text%s;', r.oid::regclass, a.attname,
                                CASE WHEN y.typcategory = 'A' THEN '[]' END) END AS fix
        FROM gone AS g
        JOIN pg_type AS y ON y.oid = g.oid
        JOIN pg_attribute AS a ON a.atttypid = g.oid AND a.attinhcount = 0 AND NOT a.attisdropped
        JOIN pg_class AS r ON r.oid = a.attrelid AND r.relkind IN ('r', 'p', 'f')
        LEFT JOIN lead_funnel.funnel AS f ON f.relation = r.oid AND f.stage_column = a.attname
        WHERE NOT EXISTS (SELECT FROM pg_depend AS d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e')
          AND NOT (command = 'DROP SCHEMA' AND r.relnamespace::regnamespace::text = ANY (SELECT quote_ident(n) FROM unnest(names) AS n))
          AND NOT (command = 'DROP OWNED' AND pg_get_userbyid(r.relowner)::text = ANY (names))
    )
    SELECT count(*) AS columns,
           string_agg(format('%s (%s)', u.name, u.type), ', ' ORDER BY u.name) FILTER (WHERE u.place <= 10) AS names,
           string_agg(u.fix, ' ' ORDER BY u.name) FILTER (WHERE u.place <= 10) AS fixes
    INTO lost
    FROM (SELECT o.*, row_number() OVER (ORDER BY o.name) AS place FROM used AS o) AS u;
    IF lost.columns > 10 THEN
        lost.names := format('%s and %s more', lost.names, lost.columns - 10);
    END IF;

    IF lost.columns > 0 AND is_cascade THEN
        RAISE WARNING '% CASCADE drops all columns of the types of extension lead_funnel, with the data in them', command
            USING DETAIL = format('Dropped: %s.', lost.names),
                  HINT = format('To keep the data, roll back and give them another type first: %s', lost.fixes);
    ELSIF lost.columns > 0 THEN
        RAISE EXCEPTION 'cannot drop extension lead_funnel because columns are of its types'
            USING ERRCODE = 'dependent_objects_still_exist',
                  DETAIL = format('They are %s. CASCADE would drop them, with the data in them.', lost.names),
                  HINT = format('Give them another type first: %s', lost.fixes);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._before_drop_extension(text, text[], boolean) IS
    'error or warning if columns would go with the types of the extension';
REVOKE ALL ON FUNCTION lead_funnel._before_drop_extension(text, text[], boolean) FROM PUBLIC;

CREATE FUNCTION lead_funnel._partition_goes(relation regclass) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_partition_goes';
COMMENT ON FUNCTION lead_funnel._partition_goes(regclass) IS 'the leads of a partition that is about to be dropped leave';
REVOKE ALL ON FUNCTION lead_funnel._partition_goes(regclass) FROM PUBLIC;

-- Before the statement locks the partitions: their parents come first. Who
-- may not drop is told so by the server.
CREATE FUNCTION lead_funnel._before_drop_partitions(command text, names text[], is_cascade boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p record;
BEGIN
    FOR p IN
        WITH RECURSIVE gone (classid, objid) AS (
            (SELECT 'pg_namespace'::regclass::oid, n.oid
             FROM pg_namespace AS n
             WHERE command = 'DROP SCHEMA' AND n.nspname = ANY (names) AND pg_has_role(lead_funnel._caller(), n.nspowner, 'USAGE')
             UNION
             SELECT s.classid, s.objid
             FROM pg_roles AS o
             JOIN pg_shdepend AS s ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = o.oid AND s.deptype = 'o'
                                   AND s.dbid = (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database())
             WHERE command = 'DROP OWNED' AND o.rolname = ANY (names) AND pg_has_role(lead_funnel._caller(), o.oid, 'USAGE'))
            UNION
            -- a column that goes takes its table along if the table is partitioned by it
            SELECT d.classid, d.objid
            FROM gone AS g
            JOIN pg_depend AS d ON d.refclassid = g.classid AND d.refobjid = g.objid
            WHERE is_cascade
              AND (d.objsubid = 0
                   OR EXISTS (SELECT FROM pg_depend AS i
                              WHERE i.classid = d.classid AND i.objid = d.objid AND i.objsubid = d.objsubid
                                AND i.refclassid = d.classid AND i.refobjid = d.objid AND i.deptype = 'i'))
        )
        SELECT r.oid
        FROM gone AS g
        JOIN pg_class AS r ON r.oid = g.objid AND r.relispartition AND r.relkind IN ('r', 'p')
        JOIN pg_inherits AS i ON i.inhrelid = r.oid
        WHERE g.classid = 'pg_class'::regclass
          AND NOT EXISTS (SELECT FROM gone AS o WHERE o.classid = 'pg_class'::regclass AND o.objid = i.inhparent)
        ORDER BY i.inhparent, r.oid
    LOOP
        PERFORM lead_funnel._partition_goes(p.oid);
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel._before_drop_partitions(text, text[], boolean) IS
    'the leads leave of partitions that DROP SCHEMA or DROP OWNED is about to drop';
REVOKE ALL ON FUNCTION lead_funnel._before_drop_partitions(text, text[], boolean) FROM PUBLIC;

CREATE FUNCTION lead_funnel.ddl_start() RETURNS event_trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'lf_ddl_start';
COMMENT ON FUNCTION lead_funnel.ddl_start() IS 'refusal of DDL that would break a funnel';

CREATE FUNCTION lead_funnel.ddl_end() RETURNS event_trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'lf_ddl_end';
COMMENT ON FUNCTION lead_funnel.ddl_end() IS 'funnels follow new names and partitions';

CREATE FUNCTION lead_funnel.ddl_drop() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f lead_funnel.funnel;
    d record;
    missing text;
BEGIN
    IF lead_funnel._is_managing() THEN
        RETURN;
    END IF;
    -- a dump would have a number for it, which may be another table's after the restore; no UPDATE where there is nothing to
    -- do, since a read-only transaction may drop temporary tables
    FOR d IN
        SELECT m.model_id
        FROM pg_event_trigger_dropped_objects() AS x
        JOIN lead_funnel.score_model AS m ON m.relation = x.objid
        WHERE x.classid = 'pg_class'::regclass AND x.objsubid = 0
    LOOP
        UPDATE lead_funnel.score_model AS m SET relation = NULL WHERE m.model_id = d.model_id;
    END LOOP;
    IF NOT EXISTS (SELECT FROM lead_funnel.funnel) THEN
        RETURN;
    END IF;
    -- most drops concern nobody, and must wait for nobody
    IF NOT EXISTS (SELECT
                   FROM pg_event_trigger_dropped_objects() AS x
                   WHERE x.object_type = 'trigger' AND starts_with(x.address_names[3], 'lead_funnel_')
                      OR x.classid = 'pg_class'::regclass
                         AND x.objid IN (SELECT o.relation FROM lead_funnel.funnel AS o)) THEN
        RETURN;
    END IF;

    -- the table itself: all leads leave, the history stays
    FOR f IN
        SELECT o.*
        FROM lead_funnel.funnel AS o
        WHERE o.relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class AS r WHERE r.oid = o.relation)
    LOOP
        PERFORM lead_funnel._mark(f.funnel_id, 'truncate');
        UPDATE lead_funnel.funnel AS o
        SET relation = NULL, status = 'detached', detached_at = now()
        WHERE o.funnel_id = f.funnel_id;
        RAISE NOTICE 'funnel "%" has lost its table; its history is kept', f.name
            USING HINT = format('Remove it with lead_funnel.detach(%L, purge => true).', f.name);
    END LOOP;

    FOR f IN SELECT o.* FROM lead_funnel.funnel AS o WHERE o.status = 'active' ORDER BY o.funnel_id LOOP
        SELECT string_agg(quote_ident(c.column_name), ', ') INTO missing
        FROM lead_funnel._columns_of(to_json(f)::jsonb) AS c
        WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                          WHERE a.attrelid = f.relation AND a.attname = c.column_name AND NOT a.attisdropped)
            -- not what has been broken before, or by others
            AND EXISTS (SELECT FROM pg_event_trigger_dropped_objects() AS x
                        WHERE x.classid = 'pg_class'::regclass AND x.objid = f.relation AND x.objsubid > 0);
        IF missing IS NULL THEN
            SELECT string_agg(DISTINCT 'trigger ' || quote_ident(o.object_name), ', ') INTO missing
            FROM (SELECT x.address_names[3] AS object_name, x.address_names[1] AS nspname, x.address_names[2] AS relname
                  FROM pg_event_trigger_dropped_objects() AS x
                  WHERE x.object_type = 'trigger') AS o
            JOIN lead_funnel._tree(f.relation) AS m (oid) ON true
            JOIN pg_class AS r ON r.oid = m.oid AND r.relname = o.relname
            JOIN pg_namespace AS n ON n.oid = r.relnamespace AND n.nspname = o.nspname
            WHERE starts_with(o.object_name, 'lead_funnel_')
              AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = r.oid AND t.tgname = o.object_name);
        ELSE
            missing := 'column ' || missing;
        END IF;
        IF missing IS NOT NULL AND tg_tag = 'DROP TRIGGER' THEN
            -- pg_restore --clean sends it; verify() tells, and resume() mends
            RAISE WARNING 'funnel "%" goes on without %', f.name, missing
                USING HINT = format('Put it back with lead_funnel.resume(%L).', f.name);
        ELSIF missing IS NOT NULL THEN
            RAISE EXCEPTION 'cannot drop % of table % because funnel "%" uses it', missing, f.relation, f.name
                USING ERRCODE = 'dependent_objects_still_exist',
                      HINT = format('Name another column with lead_funnel.alter_funnel(%1$L, ...), call lead_funnel.suspend(%1$L) '
                                    'for a migration and resume after it, or give the funnel up with lead_funnel.detach(%1$L).', f.name);
        END IF;
    END LOOP;

    -- partitions went with their rows; ddl_start() has seen to what it could foresee
    IF tg_tag NOT IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') AND EXISTS (
               SELECT
               FROM pg_event_trigger_dropped_objects() AS x
               WHERE x.object_type = 'trigger' AND x.address_names[3] = 'lead_funnel_flush'
                 AND to_regclass(format('%I.%I', x.address_names[1], x.address_names[2])) IS NULL) THEN
        PERFORM lead_funnel._reconcile_partitioned();
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel.ddl_drop() IS 'refusal of drops that would break a funnel; leads of a dropped table or partition leave';

-- What ALTER TABLE did cannot be read here; the right owner is right after any.
-- It grants nothing: sessions of a parallel restore would be in each other's way.
CREATE FUNCTION lead_funnel.ddl_owner() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT lead_funnel._is_managing() THEN
        PERFORM lead_funnel._follow_owner(f.relation)
        FROM lead_funnel.funnel AS f
        JOIN pg_event_trigger_ddl_commands() AS c ON c.classid = 'pg_class'::regclass AND c.objid = f.relation
        WHERE c.objsubid = 0;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel.ddl_owner() IS 'the history of a funnel follows the owner of its table';

CREATE EVENT TRIGGER lead_funnel_ddl_start ON ddl_command_start
    WHEN TAG IN ('ALTER TABLE', 'DROP TABLE', 'DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'CREATE TRIGGER')
    EXECUTE FUNCTION lead_funnel.ddl_start();
COMMENT ON EVENT TRIGGER lead_funnel_ddl_start IS 'refusal of DDL that would break a funnel';
CREATE EVENT TRIGGER lead_funnel_ddl_end ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'ALTER FOREIGN TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'CREATE TRIGGER')
    EXECUTE FUNCTION lead_funnel.ddl_end();
COMMENT ON EVENT TRIGGER lead_funnel_ddl_end IS 'funnels follow new names and partitions';
CREATE EVENT TRIGGER lead_funnel_ddl_owner ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION lead_funnel.ddl_owner();
COMMENT ON EVENT TRIGGER lead_funnel_ddl_owner IS 'the history of a funnel follows the owner of its table';
CREATE EVENT TRIGGER lead_funnel_ddl_drop ON sql_drop
    EXECUTE FUNCTION lead_funnel.ddl_drop();
COMMENT ON EVENT TRIGGER lead_funnel_ddl_drop IS 'refusal of drops that would break a funnel';

--
-- A dump has the journal, not the statistics: whichever of funnel and journal
-- is loaded last derives them anew.  C's own inserts fire no trigger.
--
CREATE FUNCTION lead_funnel._restored() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
    message text;
BEGIN
    -- attach() has seen to it; to look into the journal of all funnels would take long
    IF lead_funnel._is_managing() THEN
        RETURN NULL;
    END IF;
    -- sessions of a parallel restore: the second one sees what the first has loaded
    PERFORM lead_funnel._lock_statistics(0);
    FOR f IN
        SELECT o.name
        FROM lead_funnel.funnel AS o
        WHERE o.funnel_id IN (SELECT r.funnel_id FROM restored AS r)
          AND EXISTS (SELECT FROM lead_funnel.journal AS j WHERE j.funnel_id = o.funnel_id)
        ORDER BY o.funnel_id
    LOOP
        -- an error would take the journal along, for which there may be no other copy
        BEGIN
            PERFORM lead_funnel._derive_statistics(f.name);
        EXCEPTION
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
                RAISE WARNING 'statistics of funnel "%" could not be derived from its journal: %', f.name, message
                    USING HINT = format('When that is mended: SELECT lead_funnel.rebuild(%L);', f.name);
        END;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION lead_funnel._restored() IS 'trigger that derives the statistics of a restored journal';
REVOKE ALL ON FUNCTION lead_funnel._restored() FROM PUBLIC;

CREATE TRIGGER restored AFTER INSERT ON lead_funnel.funnel
    REFERENCING NEW TABLE AS restored
    FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel._restored();
CREATE TRIGGER restored AFTER INSERT ON lead_funnel.journal
    REFERENCING NEW TABLE AS restored
    FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel._restored();
