--
-- Scores made by a model, and moves that follow from a score
--

-- bind_score

CREATE FUNCTION lead_funnel._bind_score(funnel pg_catalog.name, model pg_catalog.name, axis pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel._bind_score(pg_catalog.name, pg_catalog.name, pg_catalog.text) IS
    'the part of bind_score() that runs as the owner of the extension';

CREATE FUNCTION lead_funnel.__bind_score(funnel pg_catalog.name, model pg_catalog.name, axis pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel;
    m lead_funnel.score_model;
BEGIN
    f := lead_funnel._lock_funnel(__bind_score.funnel, 'ACCESS SHARE');
    IF __bind_score.model IS NULL AND f.score_column IS NULL THEN
        PERFORM lead_funnel._refuse_without_score(f);
    ELSIF __bind_score.model IS NOT NULL THEN
        IF f.score_column IS NOT NULL THEN
            RAISE EXCEPTION 'funnel "%" has its score from column "%"', f.name, f.score_column
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      COLUMN = f.score_column,
                      DETAIL = 'A score has one source.',
                      HINT = format('Call lead_funnel.alter_funnel(%L, score_column => '''') first.', f.name);
        END IF;
        -- drop_model() must wait until others see that it is bound
        SELECT o.* INTO m FROM lead_funnel.score_model AS o WHERE o.name = __bind_score.model FOR UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'scoring model "%" does not exist', __bind_score.model
                USING ERRCODE = 'undefined_object',
                      HINT = 'See lead_funnel.score_models for those that do, or make one with lead_funnel.create_model().';
        ELSIF m.active_version IS NULL THEN
            RAISE EXCEPTION 'scoring model "%" has no active version', m.name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('Activate its draft with lead_funnel.activate_model(%L).', m.name);
        END IF;
        PERFORM lead_funnel._check_choice('axis', coalesce(__bind_score.axis, 'total'), '{fit,engagement,total}');
        f.score_model := m.name;
        PERFORM lead_funnel._check_score_model(f, m.active_version);
    END IF;
    UPDATE lead_funnel.funnel AS o
    SET score_model = __bind_score.model,
        score_axis = CASE WHEN __bind_score.model IS NOT NULL THEN nullif(__bind_score.axis, 'total') END
    WHERE o.funnel_id = f.funnel_id;
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel.__bind_score(pg_catalog.name, pg_catalog.name, pg_catalog.text) IS
    'implementation of bind_score()';
REVOKE ALL ON FUNCTION lead_funnel.__bind_score(pg_catalog.name, pg_catalog.name, pg_catalog.text) FROM PUBLIC;

-- The rules of a model are tried on the columns as the caller, since that may
-- run functions of the types of the caller's table
CREATE FUNCTION lead_funnel.bind_score(funnel pg_catalog.name, model pg_catalog.name, axis pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM lead_funnel._check_given(bind_score.funnel);
    PERFORM lead_funnel._check_rule(bind_score.model, r.attribute, r.operator, r.operand, f.relation)
    FROM lead_funnel._funnel_of(bind_score.funnel) AS f
    CROSS JOIN lead_funnel._active_rules(bind_score.model) AS r
    WHERE f.status <> 'detached';
    PERFORM lead_funnel._bind_score(bind_score.funnel, bind_score.model, bind_score.axis);
END
$$;
COMMENT ON FUNCTION lead_funnel.bind_score(pg_catalog.name, pg_catalog.name, pg_catalog.text) IS
    'scoring model whose active version makes the score of a lead when its row is written; model NULL ends it';

CREATE FUNCTION lead_funnel._active_rules(model pg_catalog.name)
    RETURNS TABLE (attribute pg_catalog.name, operator pg_catalog.text, operand pg_catalog.text)
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT r.attribute, r.operator, r.operand
    FROM lead_funnel.score_model AS m
    JOIN lead_funnel.score_rule AS r ON r.model_id = m.model_id AND r.version = m.active_version
    WHERE m.name = _active_rules.model
$$;
COMMENT ON FUNCTION lead_funnel._active_rules(pg_catalog.name) IS
    'rules of the active version of a scoring model';

CREATE FUNCTION lead_funnel._relations_scored_by(model pg_catalog.name)
    RETURNS SETOF pg_catalog.regclass
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT f.relation
    FROM lead_funnel.funnel AS f
    JOIN pg_class AS r ON r.oid = f.relation
    WHERE f.score_model = _relations_scored_by.model
$$;
COMMENT ON FUNCTION lead_funnel._relations_scored_by(pg_catalog.name) IS
    'lead tables whose funnels have their score from the scoring model';

-- Whether the rows of the table could be scored: what can be said without
-- running functions of its types
CREATE FUNCTION lead_funnel._check_score_model(f lead_funnel.funnel, version pg_catalog.int4)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    a record;
BEGIN
    FOR a IN
        SELECT DISTINCT r.attribute, t.attnum, t.attgenerated
        FROM lead_funnel.score_model AS m
        JOIN lead_funnel.score_rule AS r ON r.model_id = m.model_id AND r.version = _check_score_model.version
        LEFT JOIN pg_attribute AS t ON t.attrelid = f.relation AND t.attname = r.attribute AND t.attnum > 0 AND NOT t.attisdropped
        WHERE m.name = f.score_model
        ORDER BY r.attribute
    LOOP
        IF a.attnum IS NULL THEN
            RAISE EXCEPTION 'attribute "%" of scoring model "%" is no column of table %', a.attribute, f.score_model, f.relation
                USING ERRCODE = 'undefined_column',
                      COLUMN = a.attribute,
                      DETAIL = format('The model makes the score of funnel "%s".', f.name),
                      HINT = 'Add the column, or remove the rules that look at it; view lead_funnel.score_rules lists them.';
        ELSIF a.attribute = f.stage_column THEN
            RAISE EXCEPTION 'scoring model "%" looks at the stage column "%" of funnel "%"', f.score_model, a.attribute, f.name
                USING ERRCODE = 'invalid_parameter_value',
                      COLUMN = a.attribute,
                      DETAIL = 'A move would change the score that it is judged by.',
                      HINT = 'Ask for stages in the rules of the funnel, and for the lead in the model.';
        ELSIF a.attgenerated = 'v' THEN
            RAISE EXCEPTION 'scoring model "%" looks at the virtual generated column "%" of table %', f.score_model, a.attribute, f.relation
                USING ERRCODE = 'feature_not_supported',
                      COLUMN = a.attribute,
                      DETAIL = 'A trigger does not see its value, since none is stored.',
                      HINT = 'Declare it as GENERATED ALWAYS AS (...) STORED.';
        ELSIF a.attgenerated <> '' AND lead_funnel._has_automatic_rules(f.funnel_id) THEN
            PERFORM lead_funnel._refuse_generated(f, a.attribute);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_score_model(lead_funnel.funnel, pg_catalog.int4) IS
    'error unless the version of the scoring model could score the rows of the funnel';
REVOKE ALL ON FUNCTION lead_funnel._check_score_model(lead_funnel.funnel, pg_catalog.int4) FROM PUBLIC;

-- Automatic rules

CREATE FUNCTION lead_funnel._has_automatic_rules(funnel_id pg_catalog.int4)
    RETURNS pg_catalog.bool
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT EXISTS (SELECT FROM lead_funnel._newest_rules(_has_automatic_rules.funnel_id) AS r WHERE r.automatic)
$$;
COMMENT ON FUNCTION lead_funnel._has_automatic_rules(pg_catalog.int4) IS
    'whether rules in force move leads by themselves';
REVOKE ALL ON FUNCTION lead_funnel._has_automatic_rules(pg_catalog.int4) FROM PUBLIC;

CREATE FUNCTION lead_funnel._refuse_without_score(f lead_funnel.funnel)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF lead_funnel._has_automatic_rules(f.funnel_id) THEN
        RAISE EXCEPTION 'automatic rules of funnel "%" need a score', f.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Nothing else would tell when they apply.',
                  HINT = format('Call lead_funnel.allow(%1$L, ...) for these moves without automatic => true first, or lead_funnel.forbid(%1$L, ...).',
                                f.name);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._refuse_without_score(lead_funnel.funnel) IS
    'error if the funnel has automatic rules, and is about to lose its score';
REVOKE ALL ON FUNCTION lead_funnel._refuse_without_score(lead_funnel.funnel) FROM PUBLIC;

CREATE FUNCTION lead_funnel._refuse_generated(f lead_funnel.funnel, column_name pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'automatic rules of funnel "%" cannot go with generated column "%"', f.name, column_name
        USING ERRCODE = 'feature_not_supported',
              COLUMN = column_name,
              DETAIL = CASE WHEN column_name = f.stage_column THEN 'It is the stage column, which an automatic move writes.'
                            ELSE 'It makes the score, and is generated after automatic moves are decided.' END,
              HINT = 'Use a column that is not generated.';
END
$$;
COMMENT ON FUNCTION lead_funnel._refuse_generated(lead_funnel.funnel, pg_catalog.name) IS
    'error about a generated column that an automatic move would need';
REVOKE ALL ON FUNCTION lead_funnel._refuse_generated(lead_funnel.funnel, pg_catalog.name) FROM PUBLIC;

-- Whether the table lets rows be moved as they are written
CREATE FUNCTION lead_funnel._check_automatic(f lead_funnel.funnel)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    generated name;
    partitioned record;
    target record;
BEGIN
    SELECT t.attname INTO generated
    FROM pg_attribute AS t
    WHERE t.attrelid = f.relation AND t.attgenerated <> ''
      AND (t.attname IN (f.stage_column, f.score_column)
           OR EXISTS (SELECT FROM lead_funnel._active_rules(f.score_model) AS r WHERE r.attribute = t.attname))
    ORDER BY t.attname <> f.stage_column, t.attnum
    LIMIT 1;
    IF FOUND THEN
        PERFORM lead_funnel._refuse_generated(f, generated);
    END IF;

    -- an internal dependency of a column on its own table is the partition key
    SELECT t.attname, r.oid::regclass AS relation INTO partitioned
    FROM lead_funnel._tree(f.relation) AS r (oid)
    JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.objsubid > 0
                       AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid AND d.refobjsubid = 0 AND d.deptype = 'i'
    JOIN pg_partitioned_table AS p ON p.partrelid = r.oid
    JOIN pg_attribute AS t ON t.attrelid = r.oid AND t.attnum = d.objsubid
    WHERE t.attname IN (f.stage_column, f.entered_column) AND t.attidentity = ''
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'automatic rules of funnel "%" cannot go with partitions by column "%"', f.name, partitioned.attname
            USING ERRCODE = 'feature_not_supported',
                  COLUMN = partitioned.attname,
                  DETAIL = format('A row that a trigger changes cannot go to another partition of table %s.', partitioned.relation),
                  HINT = 'Partition the table by another column.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_automatic(lead_funnel.funnel) IS
    'error unless the lead table lets automatic rules move its rows';
REVOKE ALL ON FUNCTION lead_funnel._check_automatic(lead_funnel.funnel) FROM PUBLIC;

-- What makes the score still fits the table, and the automatic rules
CREATE FUNCTION lead_funnel._check_score(f lead_funnel.funnel)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF f.score_model IS NOT NULL THEN
        PERFORM lead_funnel._check_score_model(f, m.active_version)
        FROM lead_funnel.score_model AS m
        WHERE m.name = f.score_model;
    ELSIF f.score_column IS NULL THEN
        PERFORM lead_funnel._refuse_without_score(f);
    END IF;
    IF lead_funnel._has_automatic_rules(f.funnel_id) THEN
        PERFORM lead_funnel._check_automatic(f);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_score(lead_funnel.funnel) IS
    'error unless the columns of a funnel suit what makes its score, and its automatic rules';
REVOKE ALL ON FUNCTION lead_funnel._check_score(lead_funnel.funnel) FROM PUBLIC;

-- A score by which leads would go in a circle for ever
CREATE FUNCTION lead_funnel._check_circles(f lead_funnel.funnel, version pg_catalog.int4)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    circle text;
BEGIN
    WITH RECURSIVE step AS (
        SELECT r.from_stage::text AS from_stage, r.to_stage::text AS to_stage, r.min_score, r.below_score
        FROM lead_funnel.rule AS r
        WHERE r.funnel_id = f.funnel_id AND r.version = _check_circles.version AND r.automatic
    ), way AS (
        SELECT s.from_stage AS first, s.to_stage AS last, ARRAY[s.from_stage, s.to_stage] AS stages,
               s.min_score AS low, s.below_score AS high
        FROM step AS s
        UNION ALL
        SELECT w.first, s.to_stage, w.stages || s.to_stage, greatest(w.low, s.min_score), least(w.high, s.below_score)
        FROM way AS w
        JOIN step AS s ON s.from_stage = w.last
        WHERE w.first <> w.last AND (s.to_stage = w.first OR NOT s.to_stage = ANY (w.stages))
    )
    SELECT array_to_string(w.stages, ', ') INTO circle
    FROM way AS w
    WHERE w.first = w.last AND (w.low < w.high) IS NOT FALSE
    ORDER BY cardinality(w.stages), w.stages
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'automatic rules of funnel "%" would move leads in a circle', f.name
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('There is a score by which a lead would go on for ever: %s.', circle),
                  HINT = 'Let below_score of the way back be at most min_score of the way there.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_circles(lead_funnel.funnel, pg_catalog.int4) IS
    'error if a lead could move by automatic rules for ever';
REVOKE ALL ON FUNCTION lead_funnel._check_circles(lead_funnel.funnel, pg_catalog.int4) FROM PUBLIC;

-- What makes no sense in an automatic rule, whatever the others are
CREATE FUNCTION lead_funnel._check_automatic_rule(f lead_funnel.funnel, rule lead_funnel.rule)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    argument CONSTANT text := CASE WHEN rule.requires_reason THEN 'requires_reason'
                                   WHEN rule.allowed_role IS NOT NULL THEN 'allowed_role'
                                   WHEN rule.check_at <> 'statement' THEN 'check_at' END;
BEGIN
    IF rule.below_score IN ('NaN', 'Infinity', '-Infinity') THEN
        RAISE EXCEPTION 'below_score % is no score', rule.below_score
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give a number, or leave it out to ask for none.';
    ELSIF NOT rule.automatic AND rule.below_score IS NOT NULL THEN
        RAISE EXCEPTION 'below_score is for automatic rules'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It says when a lead moves by itself, and keeps nobody from moving it.',
                  HINT = 'Add automatic => true, or leave it out.';
    ELSIF NOT rule.automatic THEN
        RETURN;
    ELSIF rule.from_stage IS NULL THEN
        RAISE EXCEPTION 'the entry to a funnel cannot be automatic'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A lead enters where its row says.',
                  HINT = format('Let it move on from there: lead_funnel.allow(%L, ''lead'', %L, automatic => true, ...).', f.name, rule.to_stage);
    ELSIF num_nonnulls(rule.min_score, rule.below_score) <> 1 THEN
        RAISE EXCEPTION 'an automatic rule needs min_score or below_score'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A lead moves by itself when its score reaches the one, or falls below the other.',
                  HINT = 'Give one of them.';
    ELSIF argument IS NOT NULL THEN
        RAISE EXCEPTION 'an automatic rule cannot have %', argument
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = CASE argument
                               WHEN 'requires_reason' THEN 'Nobody is there who could give a reason.'
                               WHEN 'allowed_role' THEN 'A lead moves by itself, whoever writes it.'
                               ELSE 'A lead moves by itself when its row is written.' END,
                  HINT = 'Leave it out.';
    ELSIF f.score_column IS NULL AND f.score_model IS NULL THEN
        RAISE EXCEPTION 'funnel "%" knows no score', f.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'An automatic rule needs one.',
                  HINT = format('Name its column with lead_funnel.alter_funnel(%1$L, score_column => ...), or the model that makes it '
                                'with lead_funnel.bind_score(%1$L, ...).', f.name);
    END IF;
    PERFORM lead_funnel._check_automatic(f);
    IF f.status = 'active' THEN
        PERFORM lead_funnel._status_for(f.name, rule.to_stage);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_automatic_rule(lead_funnel.funnel, lead_funnel.rule) IS
    'error if a rule is automatic and cannot be, or is not and has below_score';
REVOKE ALL ON FUNCTION lead_funnel._check_automatic_rule(lead_funnel.funnel, lead_funnel.rule) FROM PUBLIC;

CREATE FUNCTION lead_funnel._check_automatic_rules(f lead_funnel.funnel, version pg_catalog.int4)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    twice record;
BEGIN
    SELECT r.from_stage, string_agg(format('"%s"', r.to_stage), ' and ' ORDER BY r.to_stage::text) AS targets,
           r.below_score IS NOT NULL AS falls
    INTO twice
    FROM lead_funnel.rule AS r
    WHERE r.funnel_id = f.funnel_id AND r.version = _check_automatic_rules.version AND r.automatic
    GROUP BY r.from_stage, r.below_score IS NOT NULL
    HAVING count(*) > 1
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'two automatic rules with % lead from "%"', CASE WHEN twice.falls THEN 'below_score' ELSE 'min_score' END,
                        twice.from_stage
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('They lead to %s, and a lead could meet both.', twice.targets),
                  HINT = format('Call lead_funnel.allow(%L, ...) for one of them without automatic => true first.', f.name);
    END IF;
    PERFORM lead_funnel._check_circles(f, _check_automatic_rules.version);
END
$$;
COMMENT ON FUNCTION lead_funnel._check_automatic_rules(lead_funnel.funnel, pg_catalog.int4) IS
    'error unless the automatic rules of a version go together';
REVOKE ALL ON FUNCTION lead_funnel._check_automatic_rules(lead_funnel.funnel, pg_catalog.int4) FROM PUBLIC;

-- The trigger before the write: with automatic rules for each row, else for
-- those of which the stage changes, or none

CREATE FUNCTION lead_funnel._needs_stamp(f lead_funnel.funnel)
    RETURNS pg_catalog.bool
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT f.entered_column IS NOT NULL OR lead_funnel._has_automatic_rules(f.funnel_id)
$$;
COMMENT ON FUNCTION lead_funnel._needs_stamp(lead_funnel.funnel) IS
    'whether a funnel has a trigger before the write';
REVOKE ALL ON FUNCTION lead_funnel._needs_stamp(lead_funnel.funnel) FROM PUBLIC;

CREATE FUNCTION lead_funnel._create_stamp_trigger(f lead_funnel.funnel)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF lead_funnel._has_automatic_rules(f.funnel_id) THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER lead_funnel_stamp BEFORE INSERT OR UPDATE ON %s '
                       'FOR EACH ROW EXECUTE FUNCTION lead_funnel.stamp()', f.relation);
    ELSIF f.entered_column IS NOT NULL THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER lead_funnel_stamp BEFORE UPDATE ON %s '
                       'FOR EACH ROW WHEN (%s) EXECUTE FUNCTION lead_funnel.stamp()',
                       f.relation, lead_funnel._differs(f.relation, f.stage_column));
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._create_stamp_trigger(lead_funnel.funnel) IS
    'trigger before the write of a lead, if a funnel needs one';
REVOKE ALL ON FUNCTION lead_funnel._create_stamp_trigger(lead_funnel.funnel) FROM PUBLIC;

-- Whether the trigger before the write is the one of automatic rules
CREATE FUNCTION lead_funnel._moves_automatically(relation pg_catalog.regclass)
    RETURNS pg_catalog.bool
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    -- 4: insert
    SELECT EXISTS (SELECT FROM pg_trigger AS t
                   WHERE t.tgrelid = relation AND t.tgname = 'lead_funnel_stamp' AND t.tgtype & 4 = 4)
$$;
COMMENT ON FUNCTION lead_funnel._moves_automatically(pg_catalog.regclass) IS
    'whether the table has the trigger of automatic rules';

-- Before rules change: the lock that the triggers will need, taken before that of the funnel's row
CREATE FUNCTION lead_funnel._lock_for_rule(f lead_funnel.funnel, was_automatic pg_catalog.bool, is_automatic pg_catalog.bool)
    RETURNS lead_funnel.funnel
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF was_automatic IS NOT DISTINCT FROM is_automatic OR f.status <> 'active' THEN
        RETURN f;
    ELSIF is_automatic THEN
        RETURN CASE WHEN lead_funnel._moves_automatically(f.relation) THEN f
                    ELSE lead_funnel._lock_funnel(f.name, 'SHARE ROW EXCLUSIVE') END;
    END IF;
    -- it may be the last one; dropping a trigger needs the stronger lock
    RETURN lead_funnel._lock_funnel(f.name, CASE WHEN f.entered_column IS NULL THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END);
END
$$;
COMMENT ON FUNCTION lead_funnel._lock_for_rule(lead_funnel.funnel, pg_catalog.bool, pg_catalog.bool) IS
    'row of the funnel, with the lock on its table that a rule needs that begins or ends to be automatic';
REVOKE ALL ON FUNCTION lead_funnel._lock_for_rule(lead_funnel.funnel, pg_catalog.bool, pg_catalog.bool) FROM PUBLIC;

-- After rules changed
CREATE FUNCTION lead_funnel._fit_triggers(f lead_funnel.funnel)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    g record;
BEGIN
    IF f.status <> 'active' OR lead_funnel._moves_automatically(f.relation) = lead_funnel._has_automatic_rules(f.funnel_id) THEN
        RETURN;
    END IF;
    PERFORM lead_funnel._flush();
    IF lead_funnel._needs_stamp(f) THEN
        PERFORM lead_funnel._create_stamp_trigger(f);
    ELSE
        EXECUTE format('DROP TRIGGER lead_funnel_stamp ON %s', f.relation);
    END IF;
    PERFORM lead_funnel._create_update_trigger(f);
    IF f.always THEN
        FOR g IN SELECT * FROM lead_funnel._own_triggers(f.relation) LOOP
            EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', g.tgrelid, g.tgname);
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._fit_triggers(lead_funnel.funnel) IS
    'triggers of a funnel as its automatic rules need them';
REVOKE ALL ON FUNCTION lead_funnel._fit_triggers(lead_funnel.funnel) FROM PUBLIC;

-- Leads that no write has moved: for run_due(), as the caller

CREATE FUNCTION lead_funnel._automatic_stage(funnel pg_catalog.name, lead_row pg_catalog.record)
    RETURNS @extschema@.lead_stage
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'lf_automatic_stage';
COMMENT ON FUNCTION lead_funnel._automatic_stage(pg_catalog.name, pg_catalog.record) IS
    'stage that the automatic rules have for a row of the lead table, as of now; NULL: the one that it has';

CREATE FUNCTION lead_funnel._automatic_statuses(funnel pg_catalog.name)
    RETURNS pg_catalog.text[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT array_agg(s.value)
    FROM lead_funnel.funnel AS f
    CROSS JOIN LATERAL lead_funnel._newest_rules(f.funnel_id) AS r
    CROSS JOIN LATERAL unnest(lead_funnel._statuses_of(f.name, r.from_stage)) AS s (value)
    WHERE f.name = _automatic_statuses.funnel AND f.mode = 'enforce' AND NOT f.always AND r.automatic
$$;
COMMENT ON FUNCTION lead_funnel._automatic_statuses(pg_catalog.name) IS
    'values of the stage column from which automatic rules lead on, NULL if there are none';

CREATE FUNCTION lead_funnel._automatic_leads(funnel pg_catalog.name)
    RETURNS TABLE (lead pg_catalog.text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    t pg_catalog.record;
    statuses CONSTANT pg_catalog.text[] := lead_funnel._automatic_statuses(_automatic_leads.funnel);
    columns pg_catalog.text;
BEGIN
    SELECT o.* INTO t FROM lead_funnel._target(_automatic_leads.funnel, '') AS o;
    IF statuses IS NULL THEN
        RETURN;
    END IF;
    SELECT pg_catalog.string_agg(pg_catalog.format('t.%I', c.name), ', ') INTO columns
    FROM pg_catalog.unnest(lead_funnel._judged_columns(_automatic_leads.funnel)) AS c (name);
    RETURN QUERY EXECUTE pg_catalog.format(
        'SELECT lf_lead.%I::pg_catalog.text '
        'FROM (SELECT %s FROM %s AS t '
        '      WHERE %s OFFSET 0) AS lf_lead '
        'WHERE lead_funnel._automatic_stage($1, lf_lead.*) IS NOT NULL',
        t.key_column, columns, t.relation, lead_funnel._has_status(t.stage_column, '$2'))
    USING _automatic_leads.funnel, statuses;
END
$$;
COMMENT ON FUNCTION lead_funnel._automatic_leads(pg_catalog.name) IS
    'keys of the leads that the caller sees and for which automatic rules have another stage';

CREATE FUNCTION lead_funnel._automatic_stages(funnel pg_catalog.name, key pg_catalog.text,
                                              OUT from_stage @extschema@.lead_stage, OUT to_stage @extschema@.lead_stage)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    t pg_catalog.record;
    columns pg_catalog.text;
BEGIN
    SELECT o.* INTO t FROM lead_funnel._target(_automatic_stages.funnel, _automatic_stages.key) AS o;
    SELECT pg_catalog.string_agg(pg_catalog.format('t.%I', c.name), ', ') INTO columns
    FROM pg_catalog.unnest(lead_funnel._judged_columns(_automatic_stages.funnel)) AS c (name);
    EXECUTE pg_catalog.format(
        'SELECT lead_funnel._stage_of_status($2, lf_lead.%I::pg_catalog.text), lead_funnel._automatic_stage($2, lf_lead.*) '
        'FROM (SELECT %s FROM %s AS t WHERE %s) AS lf_lead',
        t.stage_column, columns, t.relation, t.condition)
    INTO from_stage, to_stage
    USING _automatic_stages.key, _automatic_stages.funnel;
END
$$;
COMMENT ON FUNCTION lead_funnel._automatic_stages(pg_catalog.name, pg_catalog.text) IS
    'stage of a lead, and the one that the automatic rules have for it';

CREATE FUNCTION lead_funnel._move_automatically(funnel pg_catalog.name, key pg_catalog.text)
    RETURNS pg_catalog.text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_move_automatically';
COMMENT ON FUNCTION lead_funnel._move_automatically(pg_catalog.name, pg_catalog.text) IS
    'key of a lead that an automatic rule has moved now; NULL if there is nothing to do, or another session is at it';
