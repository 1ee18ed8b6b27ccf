--
-- Gates: columns that make a qualification, gates of frameworks, what a lead lacks
--

CREATE FUNCTION lead_funnel._criteria(framework pg_catalog.text)
    RETURNS pg_catalog.text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lf_criteria';
COMMENT ON FUNCTION lead_funnel._criteria(pg_catalog.text) IS
    'criteria of a framework, in their order; NULL if there is no such framework';

CREATE FUNCTION lead_funnel._is_qualification(value pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lf_is_qualification_text';
COMMENT ON FUNCTION lead_funnel._is_qualification(pg_catalog.text) IS
    'whether a gate can read a text as qualification, or as none';

CREATE FUNCTION lead_funnel._is_qualification(value pg_catalog.jsonb)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lf_is_qualification_jsonb';
COMMENT ON FUNCTION lead_funnel._is_qualification(pg_catalog.jsonb) IS
    'whether a gate can read a jsonb as qualification, or as none';

-- bind_qualification

CREATE FUNCTION lead_funnel._bind_qualification(funnel pg_catalog.name, framework pg_catalog.text,
                                                columns pg_catalog.jsonb, thresholds pg_catalog.jsonb)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel._bind_qualification(pg_catalog.name, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb) IS
    'the part of bind_qualification() that runs as the owner of the extension';

CREATE FUNCTION lead_funnel.__bind_qualification(funnel pg_catalog.name, framework pg_catalog.text,
                                                 columns pg_catalog.jsonb, thresholds pg_catalog.jsonb)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel;
    criteria CONSTANT text[] := lead_funnel._criteria(__bind_qualification.framework);
    bound jsonb;
    unknown text;
    used record;
BEGIN
    f := lead_funnel._lock_funnel(__bind_qualification.funnel, 'ACCESS SHARE');
    IF __bind_qualification.framework IS NOT NULL THEN
        PERFORM lead_funnel._check_choice('framework', __bind_qualification.framework,
                                          '{bant,champ,meddic,meddpicc,anum,faint,gpctba,spiced}');
        IF f.qualification_column IS NOT NULL THEN
            RAISE EXCEPTION 'funnel "%" has its qualification from column "%"', f.name, f.qualification_column
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      COLUMN = f.qualification_column,
                      DETAIL = 'A qualification has one source.',
                      HINT = format('Call lead_funnel.alter_funnel(%L, qualification_column => '''') first.', f.name);
        END IF;
        SELECT min(c.key) INTO unknown
        FROM jsonb_object_keys(columns) AS c (key)
        WHERE NOT c.key = ANY (criteria)
          AND NOT (__bind_qualification.framework = 'bant'
                   AND c.key = ANY ('{amount,price,role,problem,fits,impact,needed,decision}'));
        IF unknown IS NOT NULL THEN
            RAISE EXCEPTION 'framework "%" has no criterion "%"', __bind_qualification.framework, unknown
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('Its criteria are %s.', array_to_string(criteria, ', '));
        END IF;
        IF columns = '{}' THEN
            RAISE EXCEPTION 'no column is named for a criterion of framework "%"', __bind_qualification.framework
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('Name columns for some of %s.', array_to_string(criteria, ', '));
        END IF;
        IF __bind_qualification.framework <> 'bant' AND thresholds <> '{}' THEN
            RAISE EXCEPTION 'framework "%" has no thresholds', __bind_qualification.framework
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Only levels of bant are made of amounts, roles and dates; columns of other frameworks hold levels.';
        END IF;
        bound := jsonb_build_object('framework', __bind_qualification.framework, 'columns', columns, 'thresholds', thresholds);
        FOR used IN SELECT * FROM lead_funnel._columns_of(jsonb_build_object('binding', bound)) LOOP
            PERFORM lead_funnel._check_column(f.relation, used.parameter, used.column_name, used.use);
        END LOOP;
        SELECT c.key INTO unknown
        FROM jsonb_each_text(columns) AS c
        WHERE __bind_qualification.framework = 'bant'
          AND (c.key = 'budget' AND columns ? 'amount' OR c.key = 'timeline' AND columns ? 'decision')
          AND lead_funnel._column_allowed(f.relation, c.value::name, 'level') IS NOT NULL
        ORDER BY 1
        LIMIT 1;
        IF unknown IS NOT NULL THEN
            RAISE EXCEPTION 'the columns for % and % say the same', unknown, CASE unknown WHEN 'budget' THEN 'amount' ELSE 'decision' END
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = format('Column "%s" is of a type that holds no levels.', columns ->> unknown),
                      HINT = 'Leave one of them out.';
        END IF;
        -- an error if they make no sense
        PERFORM @extschema@.bant_evaluate(role => 'x',
                                          validated_share => coalesce((thresholds ->> 'validated_share')::numeric, 0.8),
                                          confirmed_share => coalesce((thresholds ->> 'confirmed_share')::numeric, 1),
                                          roles => thresholds -> 'roles', min_impact => (thresholds ->> 'min_impact')::numeric,
                                          horizon => coalesce((thresholds ->> 'horizon')::interval, '6 months'),
                                          near => (thresholds ->> 'near')::interval);
    END IF;
    UPDATE lead_funnel.funnel AS o SET binding = bound WHERE o.funnel_id = f.funnel_id;
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel.__bind_qualification(pg_catalog.name, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb) IS
    'implementation of bind_qualification()';
REVOKE ALL ON FUNCTION lead_funnel.__bind_qualification(pg_catalog.name, pg_catalog.text, pg_catalog.jsonb, pg_catalog.jsonb) FROM PUBLIC;

-- The criteria of all frameworks, then what bant levels are made of, then the
-- thresholds of that.  An interval is kept in one style.
CREATE FUNCTION lead_funnel.bind_qualification(funnel pg_catalog.name, framework pg_catalog.text,
                                               budget pg_catalog.name DEFAULT NULL, authority pg_catalog.name DEFAULT NULL,
                                               need pg_catalog.name DEFAULT NULL, timeline pg_catalog.name DEFAULT NULL,
                                               challenges pg_catalog.name DEFAULT NULL, money pg_catalog.name DEFAULT NULL,
                                               prioritization pg_catalog.name DEFAULT NULL,
                                               metrics pg_catalog.name DEFAULT NULL,
                                               economic_buyer pg_catalog.name DEFAULT NULL,
                                               decision_criteria pg_catalog.name DEFAULT NULL,
                                               decision_process pg_catalog.name DEFAULT NULL,
                                               identify_pain pg_catalog.name DEFAULT NULL,
                                               champion pg_catalog.name DEFAULT NULL,
                                               paper_process pg_catalog.name DEFAULT NULL,
                                               competition pg_catalog.name DEFAULT NULL,
                                               urgency pg_catalog.name DEFAULT NULL, funds pg_catalog.name DEFAULT NULL,
                                               interest pg_catalog.name DEFAULT NULL, timing pg_catalog.name DEFAULT NULL,
                                               goals pg_catalog.name DEFAULT NULL, plans pg_catalog.name DEFAULT NULL,
                                               consequences pg_catalog.name DEFAULT NULL,
                                               implications pg_catalog.name DEFAULT NULL,
                                               situation pg_catalog.name DEFAULT NULL, pain pg_catalog.name DEFAULT NULL,
                                               impact pg_catalog.name DEFAULT NULL,
                                               critical_event pg_catalog.name DEFAULT NULL,
                                               decision pg_catalog.name DEFAULT NULL, amount pg_catalog.name DEFAULT NULL,
                                               price pg_catalog.name DEFAULT NULL, role pg_catalog.name DEFAULT NULL,
                                               problem pg_catalog.name DEFAULT NULL, fits pg_catalog.name DEFAULT NULL,
                                               needed pg_catalog.name DEFAULT NULL,
                                               list_price pg_catalog.numeric DEFAULT NULL,
                                               validated_share pg_catalog.numeric DEFAULT NULL,
                                               confirmed_share pg_catalog.numeric DEFAULT NULL,
                                               roles pg_catalog.jsonb DEFAULT NULL,
                                               min_impact pg_catalog.numeric DEFAULT NULL,
                                               horizon pg_catalog.interval DEFAULT NULL,
                                               near pg_catalog.interval DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
    AS $$
BEGIN
    PERFORM lead_funnel._check_given(bind_qualification.funnel);
    PERFORM lead_funnel._bind_qualification(
        bind_qualification.funnel, bind_qualification.framework,
        jsonb_strip_nulls(jsonb_build_object(
            'budget', budget, 'authority', authority, 'need', need, 'timeline', timeline, 'challenges', challenges,
            'money', money, 'prioritization', prioritization, 'metrics', metrics, 'economic_buyer', economic_buyer,
            'decision_criteria', decision_criteria, 'decision_process', decision_process, 'identify_pain', identify_pain,
            'champion', champion, 'paper_process', paper_process, 'competition', competition, 'urgency', urgency,
            'funds', funds, 'interest', interest, 'timing', timing, 'goals', goals, 'plans', plans,
            'consequences', consequences, 'implications', implications, 'situation', situation, 'pain', pain,
            'impact', impact, 'critical_event', critical_event, 'decision', decision, 'amount', amount, 'price', price,
            'role', role, 'problem', problem, 'fits', fits, 'needed', needed)),
        jsonb_strip_nulls(jsonb_build_object(
            'list_price', list_price, 'validated_share', validated_share, 'confirmed_share', confirmed_share,
            'roles', roles, 'min_impact', min_impact, 'horizon', horizon::text, 'near', near::text)));
END
$$;
COMMENT ON FUNCTION lead_funnel.bind_qualification(pg_catalog.name, pg_catalog.text, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name, pg_catalog.name,
    pg_catalog.name, pg_catalog.numeric, pg_catalog.numeric, pg_catalog.numeric, pg_catalog.jsonb, pg_catalog.numeric,
    pg_catalog.interval, pg_catalog.interval) IS
    'columns that make the qualification of a lead, by criterion: levels, or what bant_evaluate() makes levels of; framework NULL ends it';

-- Gates that are switched on by one call: use_gates copies the rows of
-- lead_funnel.gates_NAME() into the rules of the moves to these stages.

CREATE FUNCTION lead_funnel.gates_bant()
    RETURNS TABLE (to_stage @extschema@.lead_stage, requires @extschema@.qualification[], min_criteria pg_catalog.int4,
                   min_level pg_catalog.int4, no_blockers pg_catalog.bool, min_qualification_score pg_catalog.numeric,
                   min_score pg_catalog.numeric)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    VALUES ('sal'::@extschema@.lead_stage,
            '{"bant(need=1)"}'::@extschema@.qualification[],
            3, 1, true, NULL::numeric, NULL::numeric),
           ('sql',
            '{"bant(budget=2,authority=1,need=2,timeline=2)"}',
            NULL, NULL, false, NULL, NULL)
$$;
COMMENT ON FUNCTION lead_funnel.gates_bant() IS
    'gates "bant": to sal no blocker, need identified and three of four criteria identified; to sql concrete budget, need and timeline, and somebody with authority';

CREATE FUNCTION lead_funnel.gates_champ()
    RETURNS TABLE (to_stage @extschema@.lead_stage, requires @extschema@.qualification[], min_criteria pg_catalog.int4,
                   min_level pg_catalog.int4, no_blockers pg_catalog.bool, min_qualification_score pg_catalog.numeric,
                   min_score pg_catalog.numeric)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    VALUES ('sal'::@extschema@.lead_stage,
            '{"champ(challenges=2)"}'::@extschema@.qualification[],
            NULL::integer, NULL::integer, false, NULL::numeric, NULL::numeric),
           ('sql',
            '{"champ(challenges=2,authority=2,money=2,prioritization=2)"}',
            NULL, NULL, false, NULL, NULL)
$$;
COMMENT ON FUNCTION lead_funnel.gates_champ() IS
    'gates "champ": to sal challenges validated; to sql all criteria validated';

CREATE FUNCTION lead_funnel.gates_fit()
    RETURNS TABLE (to_stage @extschema@.lead_stage, requires @extschema@.qualification[], min_criteria pg_catalog.int4,
                   min_level pg_catalog.int4, no_blockers pg_catalog.bool, min_qualification_score pg_catalog.numeric,
                   min_score pg_catalog.numeric)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    VALUES ('sal'::@extschema@.lead_stage,
            '{"bant(need=1)","champ(challenges=1)","meddic(identify_pain=1)","meddpicc(identify_pain=1)","anum(need=1)","faint(need=1)","gpctba(challenges=1)","spiced(pain=1)"}'::@extschema@.qualification[],
            NULL::integer, NULL::integer, false, NULL::numeric, 50::numeric)
$$;
COMMENT ON FUNCTION lead_funnel.gates_fit() IS
    'gates "fit": to sal need identified, whatever the framework calls it, and a score of 50';

CREATE FUNCTION lead_funnel.gates_meddic()
    RETURNS TABLE (to_stage @extschema@.lead_stage, requires @extschema@.qualification[], min_criteria pg_catalog.int4,
                   min_level pg_catalog.int4, no_blockers pg_catalog.bool, min_qualification_score pg_catalog.numeric,
                   min_score pg_catalog.numeric)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    VALUES ('sal'::@extschema@.lead_stage,
            '{"meddic(identify_pain=1,champion=1)"}'::@extschema@.qualification[],
            NULL::integer, NULL::integer, false, NULL::numeric, NULL::numeric),
           ('sql',
            '{"meddic(metrics=1,economic_buyer=1,decision_criteria=1,decision_process=1,identify_pain=1,champion=1)"}',
            NULL, NULL, false, 0.6, NULL)
$$;
COMMENT ON FUNCTION lead_funnel.gates_meddic() IS
    'gates "meddic": to sal pain and champion identified; to sql all criteria identified and 60 % of all points';

CREATE FUNCTION lead_funnel.use_gates(funnel pg_catalog.name, gates pg_catalog.text,
                                      min_score pg_catalog.numeric DEFAULT NULL,
                                      check_at pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.int4
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.use_gates(pg_catalog.name, pg_catalog.text, pg_catalog.numeric, pg_catalog.text) IS
    'number of rules that have got the gates of a name; their other conditions stay';

CREATE FUNCTION lead_funnel._use_gates(funnel pg_catalog.name, gates pg_catalog.text,
                                       min_score pg_catalog.numeric, check_at pg_catalog.text)
    RETURNS pg_catalog.int4
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_use_gates.funnel);
    known CONSTANT text[] := (SELECT array_agg(substr(p.proname::text, 7) ORDER BY p.proname)
                              FROM pg_proc AS p
                              JOIN pg_namespace AS n ON n.oid = p.pronamespace
                              WHERE n.nspname = 'lead_funnel' AND starts_with(p.proname::text, 'gates_') AND p.pronargs = 0);
    g record;
    edited integer;
    changed integer := 0;
    here integer;
BEGIN
    IF _use_gates.gates IS NULL THEN
        RAISE EXCEPTION '% must not be null', 'gates'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = format('Choose one of: %s.', array_to_string(known, ', '));
    END IF;
    PERFORM lead_funnel._check_choice('gates', _use_gates.gates, known);
    IF _use_gates.check_at IS NOT NULL THEN
        PERFORM lead_funnel._check_choice('check_at', _use_gates.check_at, ARRAY['statement', 'commit']);
    END IF;
    PERFORM lead_funnel._check_gate(NULL, _use_gates.min_score, NULL, NULL, NULL);

    edited := lead_funnel._edit_rules(f.funnel_id);
    FOR g IN EXECUTE format('SELECT * FROM lead_funnel.%I()', 'gates_' || _use_gates.gates) LOOP
        IF _use_gates.min_score IS NOT NULL AND g.to_stage::text = 'sal' THEN
            g.min_score := _use_gates.min_score;
        END IF;
        UPDATE lead_funnel.rule AS r
        SET requires = g.requires, min_criteria = g.min_criteria, min_level = g.min_level, no_blockers = g.no_blockers,
            min_qualification_score = g.min_qualification_score,
            -- what makes a lead move by itself stays
            min_score = CASE WHEN r.automatic THEN r.min_score ELSE g.min_score END,
            check_at = CASE WHEN r.automatic THEN r.check_at ELSE coalesce(_use_gates.check_at, r.check_at) END
        WHERE r.funnel_id = f.funnel_id AND r.version = edited AND r.to_stage::text = g.to_stage::text;
        GET DIAGNOSTICS here = ROW_COUNT;
        changed := changed + here;
        IF here = 0 THEN
            RAISE NOTICE 'no move to "%" gets a gate', g.to_stage
                USING DETAIL = format('The rules of funnel "%s" allow none.', f.name);
        END IF;
    END LOOP;
    EXECUTE format('SELECT lead_funnel._notice_gate($1, true, bool_or(g.min_score IS NOT NULL) OR $2) FROM lead_funnel.%I() AS g',
                   'gates_' || _use_gates.gates)
    USING f, _use_gates.min_score IS NOT NULL;
    UPDATE lead_funnel.rule_version AS v
    SET note = concat_ws('; ', v.note, format('gates %s', _use_gates.gates))
    WHERE v.funnel_id = f.funnel_id AND v.version = edited;
    PERFORM lead_funnel._invalidate(f.relation);
    RETURN changed;
END
$$;
COMMENT ON FUNCTION lead_funnel._use_gates(pg_catalog.name, pg_catalog.text, pg_catalog.numeric, pg_catalog.text) IS
    'implementation of use_gates()';
REVOKE ALL ON FUNCTION lead_funnel._use_gates(pg_catalog.name, pg_catalog.text, pg_catalog.numeric, pg_catalog.text) FROM PUBLIC;

-- explain_gate and allowed_moves: as move(), all of it runs as the caller and
-- with the caller's search_path, on which row security may count.

CREATE FUNCTION lead_funnel._judged_columns(funnel pg_catalog.name)
    RETURNS pg_catalog.text[]
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lf_judged_columns';
COMMENT ON FUNCTION lead_funnel._judged_columns(pg_catalog.name) IS
    'columns of the lead table that are read to judge a move';

CREATE FUNCTION lead_funnel._explain(funnel pg_catalog.name, lead_row pg_catalog.record)
    RETURNS TABLE (lead pg_catalog.text, from_stage pg_catalog.text, to_stage pg_catalog.text, stage_rank pg_catalog.int4,
                   allowed pg_catalog.bool, constraint_name pg_catalog.text, requirement pg_catalog.text,
                   has pg_catalog.text, needs pg_catalog.text, met pg_catalog.bool)
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'lf_explain';
COMMENT ON FUNCTION lead_funnel._explain(pg_catalog.name, pg_catalog.record) IS
    'judgement of a row of the lead table, by the code of the triggers: one row per next stage and requirement';

CREATE FUNCTION lead_funnel._explain_leads(funnel pg_catalog.name, keys pg_catalog.text[])
    RETURNS TABLE (place pg_catalog.int8, lead pg_catalog.text, from_stage pg_catalog.text, to_stage pg_catalog.text,
                   stage_rank pg_catalog.int4, allowed pg_catalog.bool, constraint_name pg_catalog.text,
                   requirement pg_catalog.text, has pg_catalog.text, needs pg_catalog.text, met pg_catalog.bool,
                   line pg_catalog.int8)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    AS $$
#variable_conflict use_column
DECLARE
    f pg_catalog.record;
    key_type pg_catalog.text;
    columns pg_catalog.text;
BEGIN
    IF _explain_leads.funnel IS NULL OR _explain_leads.keys IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN _explain_leads.funnel IS NULL THEN 'funnel' ELSE 'keys' END
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Name a funnel and the keys of its leads.';
    END IF;
    SELECT o.* INTO f FROM lead_funnel._funnel_of(_explain_leads.funnel) AS o;
    IF f.status OPERATOR(pg_catalog.<>) 'active' THEN
        RAISE EXCEPTION 'funnel "%" is %', _explain_leads.funnel, f.status
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'No move would be judged.',
                  HINT = CASE WHEN f.status OPERATOR(pg_catalog.=) 'suspended' THEN 'The owner of the table ends this with lead_funnel.resume().'
                              ELSE 'Attach a table to it again with lead_funnel.attach().' END;
    END IF;
    -- a number may be beyond the column's type; a domain over an enum has no operators
    key_type := CASE f.key_kind WHEN 'int' THEN 'pg_catalog.int8'
                                WHEN 'uuid' THEN 'pg_catalog.uuid'
                                ELSE pg_catalog.format_type(lead_funnel._base_type(f.relation, f.key_column), -1) END;
    SELECT pg_catalog.string_agg(pg_catalog.format('t.%I', c.name), ', ') INTO columns
    FROM pg_catalog.unnest(lead_funnel._judged_columns(_explain_leads.funnel)) AS c (name);
    RETURN QUERY EXECUTE pg_catalog.format(
        'SELECT lf_lead.lf_place, e.* '
        'FROM (SELECT k.key::%1$s AS key, pg_catalog.min(k.place) AS place '
        '      FROM pg_catalog.unnest($1) WITH ORDINALITY AS k (key, place) GROUP BY 1) AS k '
        'CROSS JOIN LATERAL (SELECT k.place AS lf_place, %2$s FROM %3$s AS t WHERE t.%4$I%5$s OPERATOR(pg_catalog.=) k.key) AS lf_lead '
        'CROSS JOIN LATERAL lead_funnel._explain($2, lf_lead.*) WITH ORDINALITY AS e',
        key_type, columns, f.relation, f.key_column,
        CASE WHEN f.key_kind OPERATOR(pg_catalog.=) 'text' THEN pg_catalog.concat('::', key_type) END)
    USING _explain_leads.keys, _explain_leads.funnel;
END
$$;
COMMENT ON FUNCTION lead_funnel._explain_leads(pg_catalog.name, pg_catalog.text[]) IS
    'judgement of leads, read as the caller; place is that of the key, line that of the requirement';

CREATE FUNCTION lead_funnel._explain_gate(funnel pg_catalog.name, key pg_catalog.text)
    RETURNS TABLE (to_stage pg_catalog.text, stage_rank pg_catalog.int4, allowed pg_catalog.bool,
                   constraint_name pg_catalog.text, requirement pg_catalog.text, has pg_catalog.text,
                   needs pg_catalog.text, met pg_catalog.bool)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    AS $$
#variable_conflict use_column
DECLARE
    f pg_catalog.record;
    is_there pg_catalog.bool;
BEGIN
    IF _explain_gate.key IS NULL THEN
        RAISE EXCEPTION '% must not be null', 'key'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Call it as lead_funnel.explain_gate(funnel, key).';
    END IF;
    RETURN QUERY
    SELECT e.to_stage, e.stage_rank, e.allowed, e.constraint_name, e.requirement, e.has, e.needs, e.met
    FROM lead_funnel._explain_leads(_explain_gate.funnel, ARRAY[_explain_gate.key]) AS e
    ORDER BY e.line;
    IF FOUND THEN
        RETURN;
    END IF;
    -- a lead from which nothing leads on, or none
    SELECT o.* INTO f FROM lead_funnel._funnel_of(_explain_gate.funnel) AS o;
    EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM %s AS t WHERE t.%I::pg_catalog.text OPERATOR(pg_catalog.=) $1)',
                              f.relation, f.key_column)
    INTO is_there
    USING CASE WHEN f.key_kind OPERATOR(pg_catalog.=) 'int' THEN _explain_gate.key::pg_catalog.int8::pg_catalog.text
               WHEN f.key_kind OPERATOR(pg_catalog.=) 'uuid' THEN _explain_gate.key::pg_catalog.uuid::pg_catalog.text
               ELSE _explain_gate.key END;
    IF NOT is_there THEN
        RAISE EXCEPTION 'lead "%" does not exist in funnel "%"', _explain_gate.key, _explain_gate.funnel
            USING ERRCODE = 'no_data_found',
                  DETAIL = pg_catalog.format('No row of table %s that role "%s" may read has this value in column "%s".',
                                             f.relation, CURRENT_USER, f.key_column),
                  HINT = 'Check the key and, if the table has row security, its policies.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._explain_gate(pg_catalog.name, pg_catalog.text) IS
    'implementation of explain_gate()';

CREATE FUNCTION lead_funnel.explain_gate(funnel pg_catalog.name, key pg_catalog.text)
    RETURNS TABLE (to_stage pg_catalog.text, stage_rank pg_catalog.int4, allowed pg_catalog.bool,
                   constraint_name pg_catalog.text, requirement pg_catalog.text, has pg_catalog.text,
                   needs pg_catalog.text, met pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$
    SELECT e.to_stage, e.stage_rank, e.allowed, e.constraint_name, e.requirement, e.has, e.needs, e.met
    FROM lead_funnel._explain_gate($1, $2) AS e
$$;
COMMENT ON FUNCTION lead_funnel.explain_gate(pg_catalog.name, pg_catalog.text) IS
    'next stages of the lead with this key: one row per stage and requirement, met or not; one without a requirement where there is none';

CREATE FUNCTION lead_funnel.explain_gate(funnel pg_catalog.name, key pg_catalog.int8)
    RETURNS TABLE (to_stage pg_catalog.text, stage_rank pg_catalog.int4, allowed pg_catalog.bool,
                   constraint_name pg_catalog.text, requirement pg_catalog.text, has pg_catalog.text,
                   needs pg_catalog.text, met pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$
    SELECT e.to_stage, e.stage_rank, e.allowed, e.constraint_name, e.requirement, e.has, e.needs, e.met
    FROM lead_funnel._explain_gate($1, $2::pg_catalog.text) AS e
$$;
COMMENT ON FUNCTION lead_funnel.explain_gate(pg_catalog.name, pg_catalog.int8) IS
    'next stages of the lead with this integer key: one row per stage and requirement, met or not; one without a requirement where there is none';

CREATE FUNCTION lead_funnel.explain_gate(funnel pg_catalog.name, key pg_catalog.uuid)
    RETURNS TABLE (to_stage pg_catalog.text, stage_rank pg_catalog.int4, allowed pg_catalog.bool,
                   constraint_name pg_catalog.text, requirement pg_catalog.text, has pg_catalog.text,
                   needs pg_catalog.text, met pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$
    SELECT e.to_stage, e.stage_rank, e.allowed, e.constraint_name, e.requirement, e.has, e.needs, e.met
    FROM lead_funnel._explain_gate($1, $2::pg_catalog.text) AS e
$$;
COMMENT ON FUNCTION lead_funnel.explain_gate(pg_catalog.name, pg_catalog.uuid) IS
    'next stages of the lead with this uuid key: one row per stage and requirement, met or not; one without a requirement where there is none';

CREATE FUNCTION lead_funnel._allowed_moves(funnel pg_catalog.name, keys pg_catalog.text[])
    RETURNS TABLE (lead pg_catalog.text, from_stage pg_catalog.text, to_stage pg_catalog.text, stage_rank pg_catalog.int4,
                   allowed pg_catalog.bool, missing pg_catalog.text, requires_reason pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$
    SELECT e.lead, e.from_stage, e.to_stage, e.stage_rank, e.allowed,
           pg_catalog.string_agg(pg_catalog.format('%s: %s, needs %s', e.requirement, e.has, e.needs), '; ' ORDER BY e.line)
               FILTER (WHERE NOT e.met),
           pg_catalog.bool_or(e.constraint_name OPERATOR(pg_catalog.=) 'lead_funnel_reason') IS TRUE
    FROM lead_funnel._explain_leads($1, $2) AS e
    GROUP BY e.place, e.lead, e.from_stage, e.to_stage, e.stage_rank, e.allowed
    ORDER BY e.place, e.lead, e.stage_rank
$$;
COMMENT ON FUNCTION lead_funnel._allowed_moves(pg_catalog.name, pg_catalog.text[]) IS
    'implementation of allowed_moves()';

CREATE FUNCTION lead_funnel.allowed_moves(funnel pg_catalog.name, keys pg_catalog.text[])
    RETURNS TABLE (lead pg_catalog.text, from_stage pg_catalog.text, to_stage pg_catalog.text, stage_rank pg_catalog.int4,
                   allowed pg_catalog.bool, missing pg_catalog.text, requires_reason pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$
    SELECT m.lead, m.from_stage, m.to_stage, m.stage_rank, m.allowed, m.missing, m.requires_reason
    FROM lead_funnel._allowed_moves($1, $2) AS m
$$;
COMMENT ON FUNCTION lead_funnel.allowed_moves(pg_catalog.name, pg_catalog.text[]) IS
    'next stages of the leads with these keys: one row per lead and stage, with what is missing';

CREATE FUNCTION lead_funnel.allowed_moves(funnel pg_catalog.name, keys pg_catalog.int8[])
    RETURNS TABLE (lead pg_catalog.text, from_stage pg_catalog.text, to_stage pg_catalog.text, stage_rank pg_catalog.int4,
                   allowed pg_catalog.bool, missing pg_catalog.text, requires_reason pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$
    SELECT m.lead, m.from_stage, m.to_stage, m.stage_rank, m.allowed, m.missing, m.requires_reason
    FROM lead_funnel._allowed_moves($1, $2::pg_catalog.text[]) AS m
$$;
COMMENT ON FUNCTION lead_funnel.allowed_moves(pg_catalog.name, pg_catalog.int8[]) IS
    'next stages of the leads with these integer keys: one row per lead and stage, with what is missing';

CREATE FUNCTION lead_funnel.allowed_moves(funnel pg_catalog.name, keys pg_catalog.uuid[])
    RETURNS TABLE (lead pg_catalog.text, from_stage pg_catalog.text, to_stage pg_catalog.text, stage_rank pg_catalog.int4,
                   allowed pg_catalog.bool, missing pg_catalog.text, requires_reason pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    AS $$
    SELECT m.lead, m.from_stage, m.to_stage, m.stage_rank, m.allowed, m.missing, m.requires_reason
    FROM lead_funnel._allowed_moves($1, $2::pg_catalog.text[]) AS m
$$;
COMMENT ON FUNCTION lead_funnel.allowed_moves(pg_catalog.name, pg_catalog.uuid[]) IS
    'next stages of the leads with these uuid keys: one row per lead and stage, with what is missing';
