--
-- check_table: what attach() would find, and what would surprise later
--
-- Runs as the caller throughout, since it queries the table.  It changes
-- nothing and takes no lock that a SELECT does not take.
--

-- Words that CRMs use, in lower case and without anything but letters and digits
CREATE FUNCTION lead_funnel._guess_stage(value pg_catalog.text)
    RETURNS pg_catalog.text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT g.stage
    FROM (VALUES
        ('lead', '{lead,leads,new,newlead,open,opened,opennotcontacted,notcontacted,uncontacted,inquiry,enquiry,incoming,'
                 'fresh,raw,created,unassigned,unqualifiedlead,subscriber,contact,prospect,suspect,'
                 'neu,offen,anfrage,interessent,eingang}'),
        ('mql', '{mql,marketingqualified,marketingqualifiedlead,marketingaccepted,prequalified,assigned,zugewiesen,'
                'vorqualifiziert}'),
        ('sal', '{sal,salesaccepted,salesacceptedlead,accepted,working,workingcontacted,contacted,attempted,'
                'attemptedtocontact,attemptingcontact,connected,engaged,inprogress,inprocess,followup,discovery,'
                'akzeptiert,angenommen,kontaktiert,inbearbeitung}'),
        ('sql', '{sql,qualified,salesqualified,salesqualifiedlead,qualifiedlead,salesready,meetingscheduled,'
                'appointmentscheduled,qualifiedtobuy,demo,demoscheduled,qualifiziert}'),
        ('opportunity', '{opportunity,opp,opendeal,deal,proposal,proposalsent,proposalpricequote,presentation,'
                        'presentationscheduled,negotiation,negotiationreview,quote,quotation,quoted,contractsent,'
                        'decisionmakerboughtin,valueproposition,needsanalysis,iddecisionmakers,perceptionanalysis,'
                        'angebot,verhandlung,chance}'),
        ('won', '{won,closedwon,closewon,customer,converted,closedconverted,client,sold,signed,evangelist,'
                'gewonnen,kunde,abgeschlossen,konvertiert}'),
        ('nurture', '{nurture,nurturing,nurtured,onhold,hold,badtiming,later,future,dormant,longterm,'
                    'ruhend}'),
        ('recycled', '{recycled,recycle,recycling,returned,backtomarketing,wiedervorlage}'),
        ('rejected', '{rejected,salesrejected,declined,refused,notaccepted,abgelehnt}'),
        ('disqualified', '{disqualified,unqualified,notqualified,junk,junklead,spam,dead,deadlead,invalid,bogus,'
                         'duplicate,unreachable,test,nofit,badfit,disqualifiziert,unqualifiziert}'),
        ('lost', '{lost,closedlost,closelost,lostlead,losttocompetitor,lostopportunity,closednotconverted,notconverted,verloren}')
    ) AS g (stage, words)
    WHERE regexp_replace(lower(value COLLATE "C"), '[^a-z0-9]+|^[0-9]+', '', 'g') = ANY (g.words::text[])
    LIMIT 1
$$;
COMMENT ON FUNCTION lead_funnel._guess_stage(pg_catalog.text) IS
    'label of the stage that a status of a CRM probably means, NULL if there is no telling';

CREATE FUNCTION lead_funnel.check_table(relation pg_catalog.regclass,
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
    RETURNS TABLE (severity pg_catalog.text, check_name pg_catalog.text, value pg_catalog.text, rows pg_catalog.int8,
                   example_keys pg_catalog.text, fix pg_catalog.text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    tab CONSTANT text := relation::text;
    columns jsonb := jsonb_strip_nulls(jsonb_build_object(
        'stage_column', stage_column, 'key_column', key_column, 'source_column', source_column,
        'campaign_column', campaign_column, 'owner_column', owner_column, 'segment_column', segment_column,
        'currency_column', currency_column, 'value_column', value_column, 'entered_column', entered_column,
        'actor_column', actor_column, 'reason_column', reason_column, 'handover_column', handover_column,
        'excluded_column', excluded_column, 'score_column', score_column, 'qualification_column', qualification_column));
    kind text;                                  -- of the stage column
    fits jsonb := '{}';                         -- columns without complaint
    key text;                                   -- expressions on row t
    stage text;
    live text := 'true';
    map jsonb := '{}';                          -- value -> stage, as given
    map_order jsonb := '{}';                    -- value -> place in its list
    null_stage text;
    ready jsonb := '{}';                        -- stage_map to paste
    problems bigint := 0;
    total bigint;
    used record;
    r record;
    n bigint;
    examples text;
    meaning text;
    message text;
    detail text;
    hint text;
BEGIN
    IF relation IS NULL OR stage_column IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN relation IS NULL THEN 'relation' ELSE 'stage_column' END
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Call it as attach() is to be called: lead_funnel.check_table(''leads'', ''status'').';
    END IF;

    -- what attach() would refuse, all of it at once

    BEGIN
        PERFORM lead_funnel._check_relation(check_table.relation);
    EXCEPTION
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            RETURN QUERY SELECT 'error', 'relation', tab, NULL::bigint, NULL::text, concat_ws(' ', message || '.', detail, hint);
            RETURN;
    END;
    IF EXISTS (SELECT FROM lead_funnel._own_triggers(check_table.relation)) THEN
        problems := problems + 1;
        RETURN QUERY SELECT 'error', 'relation', tab, NULL::bigint, NULL::text,
                            'The table carries a funnel already: use lead_funnel.alter_funnel(), or lead_funnel.detach() first.';
    END IF;
    BEGIN
        SELECT * INTO r
        FROM lead_funnel._funnel_of(coalesce(check_table.funnel,
                                             (SELECT c.relname FROM pg_class AS c WHERE c.oid = check_table.relation)));
        IF r.relation <> check_table.relation THEN
            problems := problems + 1;
            RETURN QUERY SELECT 'error', 'funnel', check_table.funnel::text, NULL::bigint, NULL::text,
                                format('Table %s carries a funnel of this name: choose another one with funnel => ...', r.relation);
        END IF;
    EXCEPTION
        WHEN undefined_object THEN
            NULL;
    END;
    BEGIN
        PERFORM lead_funnel._check_choice('preset', check_table.preset, lead_funnel._presets());
        PERFORM lead_funnel._check_choice('mode', check_table.mode, ARRAY['enforce', 'observe']);
        PERFORM lead_funnel._check_timezone(coalesce(check_table.timezone, current_setting('TimeZone')));
    EXCEPTION
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            problems := problems + 1;
            RETURN QUERY SELECT 'error', 'argument', message, NULL::bigint, NULL::text, concat_ws(' ', detail, hint);
    END;

    IF NOT columns ? 'key_column' THEN
        BEGIN
            columns := columns || jsonb_build_object('key_column', lead_funnel._default_key(check_table.relation));
        EXCEPTION
            WHEN undefined_object THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                problems := problems + 1;
                RETURN QUERY SELECT 'error', 'key_column', NULL::text, NULL::bigint, NULL::text,
                                    concat_ws(' ', message || '.', detail, hint);
        END;
    END IF;
    FOR used IN SELECT * FROM lead_funnel._columns_of(columns) LOOP
        BEGIN
            PERFORM lead_funnel._check_column(check_table.relation, used.parameter, used.column_name, used.use);
            fits := fits || jsonb_build_object(used.parameter, used.column_name);
        EXCEPTION
            WHEN undefined_column OR datatype_mismatch OR feature_not_supported THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                problems := problems + 1;
                RETURN QUERY SELECT 'error', used.parameter, used.column_name::text, NULL::bigint, NULL::text,
                                    concat_ws(' ', message || '.', detail, hint);
        END;
    END LOOP;
    IF fits ? 'stage_column' THEN
        BEGIN
            PERFORM lead_funnel._check_columns(check_table.relation, fits);
        EXCEPTION
            WHEN duplicate_column OR feature_not_supported THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                problems := problems + 1;
                RETURN QUERY SELECT 'error', 'columns', message, NULL::bigint, NULL::text, concat_ws(' ', detail, hint);
        END;
    END IF;
    IF fits ? 'key_column' AND NOT lead_funnel._has_unique_index(check_table.relation, fits ->> 'key_column') THEN
        RETURN QUERY SELECT 'warning', 'unique_index', fits ->> 'key_column', NULL::bigint, NULL::text,
                            format('No unique index on this column alone keeps the keys apart: CREATE UNIQUE INDEX ON %s (%I);',
                                   tab, fits ->> 'key_column');
    END IF;

    -- what surrounds the table

    FOR r IN
        SELECT t.oid::regclass::text AS relation, g.tgname, p.oid::regprocedure::text AS function
        FROM lead_funnel._tree(check_table.relation) AS t (oid)
        JOIN pg_trigger AS g ON g.tgrelid = t.oid
        JOIN pg_proc AS p ON p.oid = g.tgfoid
        WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled <> 'D'
          AND (g.tgtype & 1) <> 0 AND (g.tgtype & 2) <> 0 AND (g.tgtype & (4 | 16)) <> 0
          AND NOT starts_with(g.tgname::text, 'lead_funnel_')
        ORDER BY 1, 2
    LOOP
        RETURN QUERY SELECT 'info', 'before_trigger', format('%s on %s', r.tgname, r.relation), NULL::bigint, NULL::text,
                            format('Function %s may change the stage of a row; the rules judge what it makes of it.', r.function);
    END LOOP;
    SELECT c.relrowsecurity, c.relpersistence, o.rolname, o.rolcanlogin, o.rolsuper
    INTO STRICT r
    FROM pg_class AS c
    JOIN pg_roles AS o ON o.oid = c.relowner
    WHERE c.oid = check_table.relation;
    IF row_security_active(check_table.relation) THEN
        RETURN QUERY SELECT 'warning', 'row_security', tab, NULL::bigint, NULL::text,
                            'Row security hides rows from you: the counts below leave them out. Call check_table() as owner of the table.'::text;
    ELSIF r.relrowsecurity THEN
        RETURN QUERY SELECT 'info', 'row_security', tab, NULL::bigint, NULL::text,
                            'Statistics and journal cover all rows; the views show a funnel as a whole to those who may read it.'::text;
    END IF;
    IF r.rolcanlogin THEN
        RETURN QUERY SELECT 'info', 'owner_login', r.rolname::text, NULL::bigint, NULL::text,
                            'The owner of the table can log in, so it may override rules and disable triggers. '
                            'Let applications log in as another role, with rights on the table.'::text;
    END IF;
    IF r.relpersistence = 'u' THEN
        RETURN QUERY SELECT 'warning', 'unlogged', tab, NULL::bigint, NULL::text,
                            format('A crash empties the table, but not the journal. ALTER TABLE %s SET LOGGED; '
                                   'or call lead_funnel.reconcile() after a crash.', tab);
    END IF;
    IF NOT fits ? 'excluded_column' THEN
        FOR r IN
            SELECT t.attname,
                   CASE WHEN t.atttypid = 'bool'::regtype THEN format('t.%I', t.attname)
                        ELSE format('t.%I IS NOT NULL', t.attname) END AS condition
            FROM pg_attribute AS t
            WHERE t.attrelid = check_table.relation AND t.attnum > 0 AND NOT t.attisdropped
              AND regexp_replace(lower(t.attname::text), '[^a-z]', '', 'g') IN
                  ('deleted', 'isdeleted', 'deletedat', 'deletedon', 'deletedate', 'datedeleted', 'removed', 'isremoved', 'removedat',
                   'archived', 'isarchived', 'archivedat', 'trashed', 'istrashed', 'trashedat', 'discardedat', 'voided', 'isvoid',
                   'istest', 'testlead', 'isspam', 'isjunk', 'geloescht', 'geloeschtam')
              AND lead_funnel._column_allowed(check_table.relation, t.attname, 'excluded') IS NULL
            ORDER BY t.attnum
        LOOP
            EXECUTE format('SELECT count(*) FROM %s AS t WHERE %s', tab, r.condition) INTO n;
            RETURN QUERY SELECT 'warning', 'excluded_column', r.attname::text, n, NULL::text,
                                format('The column seems to mark rows that are no leads any more: excluded_column => %L', r.attname);
        END LOOP;
    END IF;

    -- what is in it

    IF NOT (fits ? 'stage_column' AND fits ? 'key_column') THEN
        RETURN;
    END IF;
    kind := lead_funnel._stage_kind(check_table.relation, fits ->> 'stage_column');
    key := format('t.%I::text', fits ->> 'key_column');
    stage := format('t.%I::text COLLATE "C"', fits ->> 'stage_column');
    IF fits ? 'excluded_column' THEN
        SELECT CASE WHEN y.typcategory = 'B' THEN format('t.%I IS NOT TRUE', t.attname)
                    ELSE format('t.%I IS NULL', t.attname) END
        INTO STRICT live
        FROM pg_attribute AS t
        JOIN pg_type AS y ON y.oid = t.atttypid
        WHERE t.attrelid = check_table.relation AND t.attname = fits ->> 'excluded_column';
    END IF;
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE %s) FROM %s AS t', live, tab) INTO n, total;
    RETURN QUERY SELECT 'info', 'rows', tab, total, NULL::text,
                        CASE WHEN n > total THEN format('%s more rows are excluded.', n - total) END;

    EXECUTE format('SELECT count(*) FROM %s AS t WHERE %s AND %s IS NULL', tab, live, key) INTO n;
    IF n > 0 THEN
        problems := problems + 1;
        RETURN QUERY SELECT 'error', 'null_key', fits ->> 'key_column', n, NULL::text,
                            format('A lead is known by its key: fill it in, then ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;',
                                   tab, fits ->> 'key_column');
    END IF;
    EXECUTE format('SELECT coalesce(sum(d.copies), 0)::bigint, '
                   'string_agg(d.key, '', '' ORDER BY d.copies DESC, d.key) FILTER (WHERE d.place <= 3) '
                   'FROM (SELECT %1$s AS key, count(*) AS copies, row_number() OVER (ORDER BY count(*) DESC, %1$s) AS place '
                   'FROM %2$s AS t WHERE %3$s AND %1$s IS NOT NULL GROUP BY %1$s HAVING count(*) > 1) AS d', key, tab, live)
    INTO n, examples;
    IF n > 0 THEN
        problems := problems + 1;
        RETURN QUERY SELECT 'error', 'duplicate_key', fits ->> 'key_column', n, examples,
                            'Give each row a key of its own, name another key_column, or exclude all rows of a key but one.'::text;
    END IF;

    FOR used IN SELECT * FROM lead_funnel._columns_of(fits) AS c WHERE c.parameter IN ('entered_column', 'handover_column') LOOP
        EXECUTE format('SELECT count(*), (array_agg(%1$s ORDER BY t.%2$I DESC))[1:3]::text FROM %3$s AS t '
                       'WHERE %4$s AND t.%2$I > now()', key, used.column_name, tab, live)
        INTO n, examples;
        IF n > 0 THEN
            RETURN QUERY SELECT 'warning', 'future_date', used.column_name::text, n, btrim(examples, '{}'),
                                CASE WHEN used.parameter = 'handover_column'
                                     THEN 'A hand-over to come counts as of its date, and no SLA is missed before; correct the dates first.'
                                     ELSE 'A date to come counts as none at attach(), and is refused in a move; correct the dates first.' END;
        END IF;
    END LOOP;
    IF fits ? 'value_column' THEN
        EXECUTE format('SELECT count(*), (array_agg(%1$s))[1:3]::text FROM %3$s AS t '
                       'WHERE %4$s AND t.%2$I::text IN (''NaN'', ''Infinity'', ''-Infinity'')', key, fits ->> 'value_column', tab, live)
        INTO n, examples;
        IF n > 0 THEN
            RETURN QUERY SELECT 'warning', 'nan_value', fits ->> 'value_column', n, btrim(examples, '{}'),
                                'These values are no amounts and count as missing.'::text;
        END IF;
    END IF;
    IF fits ? 'qualification_column'
       AND lead_funnel._base_type(check_table.relation, fits ->> 'qualification_column') <> '@extschema@.qualification'::regtype THEN
        EXECUTE format('SELECT count(*), (array_agg(%1$s))[1:3]::text FROM %3$s AS t '
                       'WHERE %4$s AND NOT lead_funnel._is_qualification(t.%2$I%5$s)', key, fits ->> 'qualification_column', tab, live,
                       CASE WHEN lead_funnel._base_type(check_table.relation, fits ->> 'qualification_column') <> 'jsonb'::regtype
                            THEN '::text' ELSE '::jsonb' END)
        INTO n, examples;
        IF n > 0 THEN
            RETURN QUERY SELECT 'warning', 'unreadable_qualification', fits ->> 'qualification_column', n, btrim(examples, '{}'),
                                'These values are no qualifications; such leads will fail each gate that asks for one.'::text;
        END IF;
    END IF;
    FOR used IN SELECT * FROM lead_funnel._columns_of(fits) AS c WHERE c.use = 'dim' LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT DISTINCT t.%I FROM %s AS t WHERE %s) AS d', used.column_name, tab, live) INTO n;
        IF n > 1000 THEN
            RETURN QUERY SELECT 'warning', 'many_values', used.column_name::text, n, NULL::text,
                                format('The statistics have a cell per value, stage and day. A column that groups leads serves better than this one as %s.',
                                       used.parameter);
        END IF;
    END LOOP;

    -- the stages

    BEGIN
        FOR r IN SELECT * FROM lead_funnel._parse_stage_map(check_table.relation, fits ->> 'stage_column', check_table.stage_map) LOOP
            IF r.value IS NULL THEN
                null_stage := r.stage::text;
            ELSE
                map := map || jsonb_build_object(r.value, r.stage::text);
                map_order := map_order || jsonb_build_object(r.value, r.position);
            END IF;
        END LOOP;
    EXCEPTION
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            problems := problems + 1;
            map := '{}';
            map_order := '{}';
            null_stage := NULL;
            RETURN QUERY SELECT 'error', 'stage_map', check_table.stage_map::text, NULL::bigint, NULL::text,
                                concat_ws(' ', message || '.', detail, hint);
    END;

    EXECUTE format('SELECT count(*) FROM (SELECT DISTINCT %s FROM %s AS t WHERE %s LIMIT 1001) AS d', stage, tab, live) INTO n;
    IF n > 1000 THEN
        RETURN QUERY SELECT 'error', 'stage_column', fits ->> 'stage_column', n, NULL::text,
                            'The column has more than 1000 different values; it does not seem to hold a status.'::text;
        RETURN;
    END IF;
    FOR r IN EXECUTE format(
        'SELECT d.status, d.rows, count(*) OVER (PARTITION BY lower(btrim(d.status) COLLATE "default")) AS spellings, '
        'string_agg(quote_literal(d.status), '', '') OVER (PARTITION BY lower(btrim(d.status) COLLATE "default")) AS spelled '
        'FROM (SELECT %s AS status, count(*) AS rows FROM %s AS t WHERE %s GROUP BY 1) AS d '
        'ORDER BY d.rows DESC, d.status COLLATE "C"', stage, tab, live)
    LOOP
        meaning := CASE
            WHEN r.status IS NULL THEN null_stage
            WHEN map ? r.status THEN map ->> r.status
            WHEN kind <> 'integer' AND lower(r.status COLLATE "C") IN
                ('lead', 'mql', 'sal', 'sql', 'opportunity', 'won', 'nurture', 'recycled', 'rejected', 'disqualified', 'lost')
            THEN lower(r.status COLLATE "C")
        END;
        examples := NULL;
        IF meaning IS NULL OR r.status <> btrim(r.status) THEN
            EXECUTE format('SELECT string_agg(e.key, '', '') FROM (SELECT %s AS key FROM %s AS t '
                           'WHERE %s AND %s IS NOT DISTINCT FROM $1 LIMIT 3) AS e', key, tab, live, stage)
            INTO examples
            USING r.status;
        END IF;

        IF meaning IS NOT NULL THEN
            RETURN QUERY SELECT 'ok', 'mapped', coalesce(r.status, 'NULL'), r.rows, NULL::text, format('means stage %s', meaning);
        ELSE
            problems := problems + 1;
            meaning := CASE WHEN r.status IS NOT NULL AND kind <> 'integer' THEN lead_funnel._guess_stage(r.status) END;
            RETURN QUERY SELECT 'error', CASE WHEN r.status IS NULL THEN 'null_stage' ELSE 'unmapped' END, r.status, r.rows, examples,
                CASE WHEN meaning IS NOT NULL
                     THEN format('Probably stage %s; the stage_map of the last row says so.', meaning)
                     WHEN r.status IS NULL
                     THEN 'Say what a missing status means, such as stage_map => ''{"lead": [null]}'', or fill it in.'
                     ELSE format('Say what it means: add %s to a stage of stage_map.', to_json(r.status)) END;
        END IF;
        IF r.status <> btrim(r.status) THEN
            RETURN QUERY SELECT 'warning', 'padded', format('%L', r.status), r.rows, examples,
                                format('Blanks count: UPDATE %s SET %2$I = btrim(%2$I) WHERE %2$I <> btrim(%2$I);',
                                       tab, fits ->> 'stage_column');
        END IF;
        IF r.spellings > 1 THEN
            RETURN QUERY SELECT 'warning', 'letter_case', format('%L', r.status), r.rows, NULL::text,
                                format('The column has several spellings of it: %s. Each one must be mapped.', r.spelled);
        END IF;

        IF meaning IS NOT NULL THEN
            ready := jsonb_set(ready, ARRAY[meaning],
                               coalesce(ready -> meaning, '[]') || jsonb_build_array(r.status));
        END IF;
    END LOOP;

    IF problems = 0 THEN
        RETURN QUERY SELECT 'ok', 'attach', tab, total, NULL::text, 'Nothing stands in the way of attach().'::text;
    END IF;
    -- first the values as the caller has them in order, since the first one is written by move()
    SELECT jsonb_object_agg(s.stage, s.statuses ORDER BY s.stage) INTO ready
    FROM (SELECT m.stage, jsonb_agg(m.status ORDER BY m.position NULLS LAST, m.seen) AS statuses
          FROM (SELECT x.stage, x.status, (map_order ->> x.status)::integer AS position, x.seen
                FROM (SELECT o.key AS stage, e.value #>> '{}' AS status, e.ordinality AS seen
                      FROM jsonb_each(ready) AS o
                      CROSS JOIN LATERAL jsonb_array_elements(o.value) WITH ORDINALITY AS e) AS x
                UNION ALL
                -- given, but in no row
                SELECT g.value, g.key, (map_order ->> g.key)::integer, 0
                FROM jsonb_each_text(map) AS g
                WHERE NOT coalesce(ready -> g.value, '[]') @> jsonb_build_array(g.key)) AS m
          GROUP BY m.stage) AS s;
    RETURN QUERY SELECT 'info', 'stage_map', coalesce(ready, '{}')::text, total, NULL::text,
                        'Every value that means something or probably does: read it through, then pass it to attach() as stage_map => ...'::text;
END
$$;
COMMENT ON FUNCTION lead_funnel.check_table(pg_catalog.regclass, pg_catalog.name, pg_catalog.name, pg_catalog.text,
    pg_catalog.text, pg_catalog.jsonb, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.text, pg_catalog.bool,
    pg_catalog.bool) IS
    'one row per finding about a table that is to be attached with these arguments; changes nothing';
