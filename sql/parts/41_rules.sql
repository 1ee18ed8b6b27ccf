--
-- Rules: presets, allow, forbid, stage map, mode, overriding roles
--

-- Presets: attach copies the rows of lead_funnel.preset_NAME() into the
-- funnel's own rules.  from_stage NULL is the entry to the funnel.

CREATE FUNCTION lead_funnel.preset_classic()
    RETURNS TABLE (from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage, requires_reason pg_catalog.bool)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    VALUES (NULL::@extschema@.lead_stage, 'lead'::@extschema@.lead_stage, false),
           (NULL, 'mql', false),
           ('lead', 'mql', false),
           ('lead', 'nurture', false),
           ('lead', 'disqualified', false),
           ('nurture', 'mql', false),
           ('nurture', 'disqualified', false),
           ('mql', 'sal', false),
           ('mql', 'rejected', true),
           ('mql', 'nurture', false),
           ('mql', 'disqualified', false),
           ('rejected', 'nurture', false),
           ('rejected', 'mql', false),
           ('rejected', 'disqualified', false),
           ('sal', 'sql', false),
           ('sal', 'recycled', false),
           ('sal', 'disqualified', false),
           ('sql', 'opportunity', false),
           ('sql', 'recycled', false),
           ('sql', 'disqualified', false),
           ('opportunity', 'won', false),
           ('opportunity', 'lost', false),
           ('opportunity', 'recycled', false),
           ('opportunity', 'disqualified', false),
           ('lost', 'recycled', false),
           ('recycled', 'nurture', false),
           ('recycled', 'mql', false),
           ('recycled', 'disqualified', false)
$$;
COMMENT ON FUNCTION lead_funnel.preset_classic() IS
    'moves of the preset "classic": sales accepts or rejects each marketing qualified lead';

CREATE FUNCTION lead_funnel.preset_without_sal()
    RETURNS TABLE (from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage, requires_reason pg_catalog.bool)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT p.from_stage, p.to_stage, p.requires_reason
    FROM lead_funnel.preset_classic() AS p
    WHERE p.to_stage OPERATOR(@extschema@.<>) 'sal'
      AND (p.from_stage OPERATOR(@extschema@.=) 'sal') IS NOT TRUE
    UNION ALL
    VALUES ('mql'::@extschema@.lead_stage, 'sql'::@extschema@.lead_stage, false)
$$;
COMMENT ON FUNCTION lead_funnel.preset_without_sal() IS
    'moves of the preset "without_sal": as classic, but from mql to sql directly';

CREATE FUNCTION lead_funnel.preset_open()
    RETURNS TABLE (from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage, requires_reason pg_catalog.bool)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    WITH stages AS (
        SELECT u.stage
        FROM unnest('{lead,mql,sal,sql,opportunity,won,nurture,recycled,rejected,disqualified,lost}'::@extschema@.lead_stage[]) AS u (stage)
    )
    SELECT NULL::@extschema@.lead_stage, t.stage, false
    FROM stages AS t
    UNION ALL
    SELECT f.stage, t.stage, false
    FROM stages AS f
    JOIN stages AS t ON f.stage OPERATOR(@extschema@.<>) t.stage
$$;
COMMENT ON FUNCTION lead_funnel.preset_open() IS
    'moves of the preset "open": entry to any stage, any move';

-- Versions

-- The version of the rules that this transaction may edit.  Its first change
-- copies the newest version; xid alone would not do after a restore.
CREATE FUNCTION lead_funnel._edit_rules(funnel_id pg_catalog.int4)
    RETURNS pg_catalog.int4
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    newest lead_funnel.rule_version;
BEGIN
    PERFORM FROM lead_funnel.funnel AS f WHERE f.funnel_id = _edit_rules.funnel_id FOR UPDATE;
    SELECT * INTO newest
    FROM lead_funnel.rule_version AS v
    WHERE v.funnel_id = _edit_rules.funnel_id
    ORDER BY v.version DESC
    LIMIT 1;
    IF newest.xid = pg_current_xact_id() AND newest.valid_from = now() THEN
        RETURN newest.version;
    END IF;

    INSERT INTO lead_funnel.rule_version (funnel_id, version, changed_by)
    VALUES (_edit_rules.funnel_id, coalesce(newest.version, 0) + 1, lead_funnel._caller());
    INSERT INTO lead_funnel.rule (funnel_id, version, from_stage, to_stage, requires_reason, allowed_role,
                                  requires, min_score, automatic, check_at, note, min_criteria, min_level, no_blockers,
                                  min_qualification_score, below_score)
    SELECT r.funnel_id, newest.version + 1, r.from_stage, r.to_stage, r.requires_reason, r.allowed_role,
           r.requires, r.min_score, r.automatic, r.check_at, r.note, r.min_criteria, r.min_level, r.no_blockers,
           r.min_qualification_score, r.below_score
    FROM lead_funnel.rule AS r
    WHERE r.funnel_id = _edit_rules.funnel_id AND r.version = newest.version;
    RETURN coalesce(newest.version, 0) + 1;
END
$$;
COMMENT ON FUNCTION lead_funnel._edit_rules(pg_catalog.int4) IS
    'number of the version of the rules that this transaction edits; all its changes are one version';
REVOKE ALL ON FUNCTION lead_funnel._edit_rules(pg_catalog.int4) FROM PUBLIC;

CREATE FUNCTION lead_funnel._newest_rules(funnel_id pg_catalog.int4)
    RETURNS SETOF lead_funnel.rule
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT r.*
    FROM lead_funnel.rule AS r
    WHERE r.funnel_id = _newest_rules.funnel_id
      AND r.version = (SELECT max(v.version) FROM lead_funnel.rule_version AS v WHERE v.funnel_id = _newest_rules.funnel_id)
$$;
COMMENT ON FUNCTION lead_funnel._newest_rules(pg_catalog.int4) IS
    'rules in force of a funnel';
REVOKE ALL ON FUNCTION lead_funnel._newest_rules(pg_catalog.int4) FROM PUBLIC;

CREATE FUNCTION lead_funnel._newest_rule(funnel_id pg_catalog.int4, from_stage @extschema@.lead_stage,
                                         to_stage @extschema@.lead_stage)
    RETURNS lead_funnel.rule
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT r
    FROM lead_funnel._newest_rules(_newest_rule.funnel_id) AS r
    WHERE r.from_stage::text IS NOT DISTINCT FROM _newest_rule.from_stage::text
      AND r.to_stage::text = _newest_rule.to_stage::text
$$;
COMMENT ON FUNCTION lead_funnel._newest_rule(pg_catalog.int4, @extschema@.lead_stage, @extschema@.lead_stage) IS
    'rule in force for a move, NULL if it is forbidden';
REVOKE ALL ON FUNCTION lead_funnel._newest_rule(pg_catalog.int4, @extschema@.lead_stage, @extschema@.lead_stage) FROM PUBLIC;

CREATE FUNCTION lead_funnel._check_edge(from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF to_stage IS NULL THEN
        RAISE EXCEPTION 'to_stage must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'A NULL from_stage is the entry to the funnel; leaving it needs no rule.',
                  HINT = 'Name the stage that the move goes to.';
    END IF;
    IF from_stage::text = to_stage::text THEN
        RAISE EXCEPTION 'a move from "%" to "%" is none', from_stage, to_stage
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A change of status inside one stage needs no rule.',
                  HINT = 'Name two different stages.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_edge(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'error unless the two stages make a move';
REVOKE ALL ON FUNCTION lead_funnel._check_edge(@extschema@.lead_stage, @extschema@.lead_stage) FROM PUBLIC;

-- allow and forbid

-- Gates by several frameworks, one a framework, in the order of their numbers
CREATE FUNCTION lead_funnel._gates(requires @extschema@.qualification, other_requires @extschema@.qualification[])
    RETURNS @extschema@.qualification[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    result @extschema@.qualification[];
    twice text;
BEGIN
    SELECT array_agg(g.gate ORDER BY g.gate USING OPERATOR(@extschema@.<)) INTO result
    FROM unnest(array_prepend(requires, other_requires)) AS g (gate)
    WHERE g.gate IS NOT NULL;
    SELECT @extschema@.framework(g.gate) INTO twice
    FROM unnest(result) AS g (gate)
    GROUP BY 1
    HAVING count(*) > 1
    ORDER BY 1
    LIMIT 1;
    IF twice IS NOT NULL THEN
        RAISE EXCEPTION 'there are two gates by framework "%"', twice
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A lead is judged by one gate, that of its own framework.',
                  HINT = 'Make one of them: levels of several criteria stand in one value, such as bant(budget=2,need=2).';
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION lead_funnel._gates(@extschema@.qualification, @extschema@.qualification[]) IS
    'gates of a rule, one for each framework; NULL if there is none';
REVOKE ALL ON FUNCTION lead_funnel._gates(@extschema@.qualification, @extschema@.qualification[]) FROM PUBLIC;

CREATE FUNCTION lead_funnel._check_gate(gates @extschema@.qualification[], min_score pg_catalog.numeric,
                                        min_criteria pg_catalog.int4, min_level pg_catalog.int4,
                                        min_qualification_score pg_catalog.numeric)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    smallest record;
BEGIN
    IF min_level NOT BETWEEN 0 AND 3 THEN
        RAISE EXCEPTION 'min_level % is out of range', min_level
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Levels are 0 to 3.';
    END IF;
    IF min_level IS NOT NULL AND min_criteria IS NULL THEN
        RAISE EXCEPTION 'min_level % asks for nothing without min_criteria', min_level
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It is the level that so many criteria must have.',
                  HINT = 'Give min_criteria as well, or levels in requires, such as bant(budget=2,need=2).';
    END IF;
    SELECT c.framework, c.criteria INTO smallest
    FROM (SELECT @extschema@.framework(g.gate) AS framework,
                 cardinality(lead_funnel._criteria(@extschema@.framework(g.gate))) AS criteria
          FROM unnest(gates) AS g (gate)) AS c
    ORDER BY c.criteria, c.framework
    LIMIT 1;
    IF min_criteria NOT BETWEEN 1 AND coalesce(smallest.criteria, 8) THEN
        RAISE EXCEPTION 'min_criteria % is out of range', min_criteria
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = CASE WHEN gates IS NULL THEN 'It is a number of criteria, 1 to 8; leave it out to ask for none.'
                              ELSE format('Framework "%s" has %s criteria.', smallest.framework, smallest.criteria) END;
    END IF;
    IF min_score IN ('NaN', 'Infinity', '-Infinity') THEN
        RAISE EXCEPTION 'min_score % is no score', min_score
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give a number, or leave it out to ask for none.';
    END IF;
    IF NOT (min_qualification_score > 0 AND min_qualification_score <= 1) THEN
        RAISE EXCEPTION 'min_qualification_score % is out of range', min_qualification_score
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'qualification_score() is 0 to 1; leave it out to ask for none.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_gate(@extschema@.qualification[], pg_catalog.numeric, pg_catalog.int4, pg_catalog.int4,
    pg_catalog.numeric) IS
    'error unless the parts of a gate make sense';
REVOKE ALL ON FUNCTION lead_funnel._check_gate(@extschema@.qualification[], pg_catalog.numeric, pg_catalog.int4, pg_catalog.int4,
    pg_catalog.numeric) FROM PUBLIC;

CREATE FUNCTION lead_funnel._notice_gate(f lead_funnel.funnel, asks_qualification pg_catalog.bool, asks_score pg_catalog.bool)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF asks_qualification AND f.qualification_column IS NULL AND f.binding IS NULL THEN
        RAISE NOTICE 'funnel "%" knows no qualification', f.name
            USING DETAIL = 'The rule is kept; until the funnel does, each lead is one of which nothing is known.',
                  HINT = format('Name the column with lead_funnel.alter_funnel(%1$L, qualification_column => ...), or those that make one '
                                'with lead_funnel.bind_qualification(%1$L, ...).', f.name);
    END IF;
    IF asks_score AND f.score_column IS NULL AND f.score_model IS NULL THEN
        RAISE NOTICE 'funnel "%" knows no score', f.name
            USING DETAIL = 'The rule is kept; until the funnel does, no lead has one.',
                  HINT = format('Name the column with lead_funnel.alter_funnel(%1$L, score_column => ...), or the model that makes it '
                                'with lead_funnel.bind_score(%1$L, ...).', f.name);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._notice_gate(lead_funnel.funnel, pg_catalog.bool, pg_catalog.bool) IS
    'notice if the funnel does not know what its gates ask for';
REVOKE ALL ON FUNCTION lead_funnel._notice_gate(lead_funnel.funnel, pg_catalog.bool, pg_catalog.bool) FROM PUBLIC;

CREATE FUNCTION lead_funnel.allow(funnel pg_catalog.name,
                                  from_stage @extschema@.lead_stage,
                                  to_stage @extschema@.lead_stage,
                                  requires_reason pg_catalog.bool DEFAULT false,
                                  requires @extschema@.qualification DEFAULT NULL,
                                  min_score pg_catalog.numeric DEFAULT NULL,
                                  allowed_role pg_catalog.name DEFAULT NULL,
                                  automatic pg_catalog.bool DEFAULT false,
                                  check_at pg_catalog.text DEFAULT 'statement',
                                  note pg_catalog.text DEFAULT NULL,
                                  other_requires @extschema@.qualification[] DEFAULT NULL,
                                  min_criteria pg_catalog.int4 DEFAULT NULL,
                                  min_level pg_catalog.int4 DEFAULT NULL,
                                  no_blockers pg_catalog.bool DEFAULT false,
                                  min_qualification_score pg_catalog.numeric DEFAULT NULL,
                                  below_score pg_catalog.numeric DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.allow(pg_catalog.name, @extschema@.lead_stage, @extschema@.lead_stage, pg_catalog.bool,
    @extschema@.qualification, pg_catalog.numeric, pg_catalog.name, pg_catalog.bool, pg_catalog.text, pg_catalog.text,
    @extschema@.qualification[], pg_catalog.int4, pg_catalog.int4, pg_catalog.bool, pg_catalog.numeric, pg_catalog.numeric) IS
    'permission of a move with its conditions, in place of those that it had; from_stage NULL is entry';

CREATE FUNCTION lead_funnel._allow(funnel pg_catalog.name,
                                   from_stage @extschema@.lead_stage,
                                   to_stage @extschema@.lead_stage,
                                   requires_reason pg_catalog.bool,
                                   requires @extschema@.qualification,
                                   min_score pg_catalog.numeric,
                                   allowed_role pg_catalog.name,
                                   automatic pg_catalog.bool,
                                   check_at pg_catalog.text,
                                   note pg_catalog.text,
                                   other_requires @extschema@.qualification[],
                                   min_criteria pg_catalog.int4,
                                   min_level pg_catalog.int4,
                                   no_blockers pg_catalog.bool,
                                   min_qualification_score pg_catalog.numeric,
                                   below_score pg_catalog.numeric)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_allow.funnel);
    missing CONSTANT text := CASE WHEN requires_reason IS NULL THEN 'requires_reason'
                                  WHEN automatic IS NULL THEN 'automatic'
                                  WHEN check_at IS NULL THEN 'check_at'
                                  WHEN no_blockers IS NULL THEN 'no_blockers' END;
    gates CONSTANT @extschema@.qualification[] := lead_funnel._gates(_allow.requires, _allow.other_requires);
    level CONSTANT integer := CASE WHEN _allow.min_criteria IS NOT NULL THEN coalesce(_allow.min_level, 1) END;
    present lead_funnel.rule;
    wanted lead_funnel.rule;
    edited integer;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Leave it out to have the default.';
    END IF;
    PERFORM lead_funnel._check_edge(_allow.from_stage, _allow.to_stage);
    PERFORM lead_funnel._check_choice('check_at', _allow.check_at, ARRAY['statement', 'commit']);
    wanted.from_stage := _allow.from_stage;
    wanted.to_stage := _allow.to_stage;
    wanted.automatic := _allow.automatic;
    wanted.requires_reason := _allow.requires_reason;
    wanted.allowed_role := _allow.allowed_role;
    wanted.check_at := _allow.check_at;
    wanted.min_score := _allow.min_score;
    wanted.below_score := _allow.below_score;
    PERFORM lead_funnel._check_automatic_rule(f, wanted);
    PERFORM lead_funnel._check_gate(gates, _allow.min_score, _allow.min_criteria, _allow.min_level,
                                    _allow.min_qualification_score);
    IF _allow.allowed_role IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles AS o WHERE o.rolname = _allow.allowed_role) THEN
        RAISE NOTICE 'role "%" does not exist', _allow.allowed_role
            USING DETAIL = 'The rule is kept; until there is such a role, nobody can make this move.',
                  HINT = 'Create the role, or call allow() again with another one.';
    END IF;
    PERFORM lead_funnel._notice_gate(f, gates IS NOT NULL OR level IS NOT NULL OR _allow.no_blockers
                                        OR _allow.min_qualification_score IS NOT NULL,
                                     _allow.min_score IS NOT NULL);

    present := lead_funnel._newest_rule(f.funnel_id, _allow.from_stage, _allow.to_stage);
    IF present.to_stage IS NOT NULL
       AND (present.requires_reason, present.allowed_role, present.note, present.requires::text, present.min_score::text,
            present.check_at, present.min_criteria, present.min_level, present.no_blockers, present.min_qualification_score::text,
            present.automatic, present.below_score::text)
           IS NOT DISTINCT FROM
           (_allow.requires_reason, _allow.allowed_role, _allow.note, gates::text, _allow.min_score::text,
            _allow.check_at, _allow.min_criteria, level, _allow.no_blockers, _allow.min_qualification_score::text,
            _allow.automatic, _allow.below_score::text) THEN
        RETURN;
    END IF;

    f := lead_funnel._lock_for_rule(f, coalesce(present.automatic, false), _allow.automatic);
    edited := lead_funnel._edit_rules(f.funnel_id);
    DELETE FROM lead_funnel.rule AS r
    WHERE r.funnel_id = f.funnel_id AND r.version = edited
      AND r.from_stage::text IS NOT DISTINCT FROM _allow.from_stage::text AND r.to_stage::text = _allow.to_stage::text;
    INSERT INTO lead_funnel.rule (funnel_id, version, from_stage, to_stage, requires_reason, allowed_role, note, requires,
                                  min_score, check_at, min_criteria, min_level, no_blockers, min_qualification_score,
                                  automatic, below_score)
    VALUES (f.funnel_id, edited, _allow.from_stage, _allow.to_stage, _allow.requires_reason, _allow.allowed_role, _allow.note, gates,
            _allow.min_score, _allow.check_at, _allow.min_criteria, level, _allow.no_blockers, _allow.min_qualification_score,
            _allow.automatic, _allow.below_score);
    IF _allow.automatic THEN
        PERFORM lead_funnel._check_automatic_rules(f, edited);
    END IF;
    PERFORM lead_funnel._fit_triggers(f);
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel._allow(pg_catalog.name, @extschema@.lead_stage, @extschema@.lead_stage, pg_catalog.bool,
    @extschema@.qualification, pg_catalog.numeric, pg_catalog.name, pg_catalog.bool, pg_catalog.text, pg_catalog.text,
    @extschema@.qualification[], pg_catalog.int4, pg_catalog.int4, pg_catalog.bool, pg_catalog.numeric, pg_catalog.numeric) IS
    'implementation of allow()';
REVOKE ALL ON FUNCTION lead_funnel._allow(pg_catalog.name, @extschema@.lead_stage, @extschema@.lead_stage, pg_catalog.bool,
    @extschema@.qualification, pg_catalog.numeric, pg_catalog.name, pg_catalog.bool, pg_catalog.text, pg_catalog.text,
    @extschema@.qualification[], pg_catalog.int4, pg_catalog.int4, pg_catalog.bool, pg_catalog.numeric, pg_catalog.numeric) FROM PUBLIC;

CREATE FUNCTION lead_funnel.forbid(funnel pg_catalog.name,
                                   from_stage @extschema@.lead_stage,
                                   to_stage @extschema@.lead_stage,
                                   note pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.forbid(pg_catalog.name, @extschema@.lead_stage, @extschema@.lead_stage, pg_catalog.text) IS
    'end of the permission of a move; from_stage NULL is entry';

CREATE FUNCTION lead_funnel._forbid(funnel pg_catalog.name,
                                    from_stage @extschema@.lead_stage,
                                    to_stage @extschema@.lead_stage,
                                    note pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_forbid.funnel);
    present lead_funnel.rule;
    edited integer;
BEGIN
    PERFORM lead_funnel._check_edge(_forbid.from_stage, _forbid.to_stage);
    present := lead_funnel._newest_rule(f.funnel_id, _forbid.from_stage, _forbid.to_stage);
    IF present.to_stage IS NULL THEN
        RAISE NOTICE 'nothing to forbid'
            USING DETAIL = CASE WHEN _forbid.from_stage IS NULL
                                THEN format('Funnel "%s" does not allow entry to "%s".', f.name, _forbid.to_stage)
                                ELSE format('Funnel "%s" does not allow "%s" to "%s".', f.name, _forbid.from_stage, _forbid.to_stage) END;
        RETURN;
    END IF;

    f := lead_funnel._lock_for_rule(f, present.automatic, false);
    edited := lead_funnel._edit_rules(f.funnel_id);
    DELETE FROM lead_funnel.rule AS r
    WHERE r.funnel_id = f.funnel_id AND r.version = edited
      AND r.from_stage::text IS NOT DISTINCT FROM _forbid.from_stage::text AND r.to_stage::text = _forbid.to_stage::text;
    UPDATE lead_funnel.rule_version AS v
    SET note = concat_ws('; ', v.note, _forbid.note)
    WHERE v.funnel_id = f.funnel_id AND v.version = edited AND _forbid.note IS NOT NULL;
    PERFORM lead_funnel._fit_triggers(f);
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel._forbid(pg_catalog.name, @extschema@.lead_stage, @extschema@.lead_stage, pg_catalog.text) IS
    'implementation of forbid()';
REVOKE ALL ON FUNCTION lead_funnel._forbid(pg_catalog.name, @extschema@.lead_stage, @extschema@.lead_stage, pg_catalog.text) FROM PUBLIC;

-- map_stage and unmap_stage

CREATE FUNCTION lead_funnel.map_stage(funnel pg_catalog.name, value pg_catalog.text, stage @extschema@.lead_stage)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.map_stage(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage) IS
    'meaning of a value of the stage column, last of its stage; value NULL is a missing status';

CREATE FUNCTION lead_funnel._map_stage(funnel pg_catalog.name, value pg_catalog.text, stage @extschema@.lead_stage)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_map_stage.funnel);
    kind text;
    raw text;
    old_stage text;
    matters boolean;
    own_label text;
BEGIN
    IF _map_stage.stage IS NULL THEN
        RAISE EXCEPTION 'stage must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Name the stage that the value means; lead_funnel.unmap_stage() takes a value out of the map.';
    END IF;
    kind := lead_funnel._stage_kind(f.relation, f.stage_column);
    raw := lead_funnel._stage_value(f.relation, f.stage_column, _map_stage.value);

    old_stage := lead_funnel._stage_for(f.funnel_id, kind, raw);
    -- a value that meant nothing cannot be in the table while rules are enforced
    matters := f.status = 'active' AND coalesce(old_stage <> _map_stage.stage::text, f.mode = 'observe');
    IF matters THEN
        PERFORM lead_funnel._require_read_committed('map_stage');
        f := lead_funnel._lock_funnel(f.name, 'SHARE ROW EXCLUSIVE');
        PERFORM lead_funnel._require_idle(f.relation);
    ELSE
        PERFORM FROM lead_funnel.funnel AS o WHERE o.funnel_id = f.funnel_id FOR UPDATE;
        f := lead_funnel._funnel_row(f.name);
    END IF;

    PERFORM FROM lead_funnel.stage_map AS m
    WHERE m.funnel_id = f.funnel_id AND m.value IS NOT DISTINCT FROM raw AND m.stage::text = _map_stage.stage::text;
    IF FOUND THEN
        RETURN;
    END IF;
    DELETE FROM lead_funnel.stage_map AS m WHERE m.funnel_id = f.funnel_id AND m.value IS NOT DISTINCT FROM raw;

    -- where the table holds labels, move() shall go on writing them, not this first value
    IF kind IN ('text', 'enum')
       AND NOT EXISTS (SELECT FROM lead_funnel.stage_map AS m WHERE m.funnel_id = f.funnel_id AND m.value IS NOT NULL) THEN
        own_label := CASE kind WHEN 'text' THEN _map_stage.stage::text
                               ELSE (SELECT e.enumlabel
                                     FROM pg_enum AS e
                                     WHERE e.enumtypid = lead_funnel._base_type(f.relation, f.stage_column)
                                       AND lower(e.enumlabel COLLATE "C") = _map_stage.stage::text
                                     LIMIT 1) END;
        IF own_label IS DISTINCT FROM raw AND own_label IS NOT NULL THEN
            INSERT INTO lead_funnel.stage_map (funnel_id, stage, position, value)
            SELECT f.funnel_id, _map_stage.stage, coalesce(max(m.position), 0) + 1, own_label
            FROM lead_funnel.stage_map AS m
            WHERE m.funnel_id = f.funnel_id AND m.stage::text = _map_stage.stage::text;
        END IF;
    END IF;
    INSERT INTO lead_funnel.stage_map (funnel_id, stage, position, value)
    SELECT f.funnel_id, _map_stage.stage, coalesce(max(m.position), 0) + 1, raw
    FROM lead_funnel.stage_map AS m
    WHERE m.funnel_id = f.funnel_id AND m.stage::text = _map_stage.stage::text;

    PERFORM lead_funnel._invalidate(f.relation);
    IF matters THEN
        PERFORM lead_funnel._reconcile(f.name);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._map_stage(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage) IS
    'implementation of map_stage()';
REVOKE ALL ON FUNCTION lead_funnel._map_stage(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage) FROM PUBLIC;

-- As the triggers do: the map, byte by byte, then the labels in either case
CREATE FUNCTION lead_funnel._stage_for(funnel_id pg_catalog.int4, kind pg_catalog.text, status pg_catalog.text)
    RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce((SELECT m.stage::text
                     FROM lead_funnel.stage_map AS m
                     WHERE m.funnel_id = _stage_for.funnel_id AND m.value IS NOT DISTINCT FROM status),
                    (SELECT status WHERE kind = 'lead_stage'),
                    (SELECT lower(status COLLATE "C")
                     WHERE kind IN ('text', 'enum')
                       AND lower(status COLLATE "C") IN ('lead', 'mql', 'sal', 'sql', 'opportunity', 'won', 'nurture',
                                                         'recycled', 'rejected', 'disqualified', 'lost')))
$$;
COMMENT ON FUNCTION lead_funnel._stage_for(pg_catalog.int4, pg_catalog.text, pg_catalog.text) IS
    'label of the stage that a value of the stage column means, NULL if it means nothing';
REVOKE ALL ON FUNCTION lead_funnel._stage_for(pg_catalog.int4, pg_catalog.text, pg_catalog.text) FROM PUBLIC;

CREATE FUNCTION lead_funnel.unmap_stage(funnel pg_catalog.name, value pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.unmap_stage(pg_catalog.name, pg_catalog.text) IS
    'removal of a value that no row has from the stage map';

CREATE FUNCTION lead_funnel._unmap_stage(funnel pg_catalog.name, value pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel;
    kind text;
    raw text;
    used record;
BEGIN
    PERFORM lead_funnel._require_read_committed('unmap_stage');
    f := lead_funnel._lock_funnel(_unmap_stage.funnel, 'SHARE ROW EXCLUSIVE');
    PERFORM lead_funnel._require_idle(f.relation);
    kind := lead_funnel._stage_kind(f.relation, f.stage_column);
    raw := lead_funnel._stage_value(f.relation, f.stage_column, _unmap_stage.value);

    PERFORM FROM lead_funnel.stage_map AS m WHERE m.funnel_id = f.funnel_id AND m.value IS NOT DISTINCT FROM raw;
    IF NOT FOUND THEN
        RAISE NOTICE 'value % is not in the stage map of funnel "%"', coalesce(quote_literal(raw), 'NULL'), f.name;
        RETURN;
    END IF;

    -- A column of type lead_stage has only its labels to show.
    SELECT count(*) AS rows, min(coalesce(s.lead_key, s.lead_id::text)) AS example INTO used
    FROM lead_funnel._table_state(f.funnel_id) AS s
    WHERE coalesce(s.status, CASE WHEN kind = 'lead_stage' THEN s.stage::text END) IS NOT DISTINCT FROM raw;
    IF used.rows > 0 THEN
        RAISE EXCEPTION 'value % is still in use', coalesce(quote_literal(raw), 'NULL')
            USING ERRCODE = 'dependent_objects_still_exist',
                  COLUMN = f.stage_column,
                  DETAIL = format('%s rows of table %s have it, such as the lead "%s".', used.rows, f.relation, used.example),
                  HINT = 'Give these rows another value first, or map the value to another stage with lead_funnel.map_stage().';
    END IF;
    DELETE FROM lead_funnel.stage_map AS m WHERE m.funnel_id = f.funnel_id AND m.value IS NOT DISTINCT FROM raw;
    IF kind = 'integer' AND NOT EXISTS (SELECT FROM lead_funnel.stage_map AS m WHERE m.funnel_id = f.funnel_id) THEN
        RAISE EXCEPTION 'value % is the last of the stage map', coalesce(quote_literal(raw), 'NULL')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  COLUMN = f.stage_column,
                  DETAIL = 'A number does not say which stage it means.',
                  HINT = 'Map the other numbers first.';
    END IF;
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel._unmap_stage(pg_catalog.name, pg_catalog.text) IS
    'implementation of unmap_stage()';
REVOKE ALL ON FUNCTION lead_funnel._unmap_stage(pg_catalog.name, pg_catalog.text) FROM PUBLIC;

-- set_mode

CREATE FUNCTION lead_funnel.set_mode(funnel pg_catalog.name, mode pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.set_mode(pg_catalog.name, pg_catalog.text) IS
    'what happens to a move against the rules: enforce refuses it, observe records the breach';

CREATE FUNCTION lead_funnel._set_mode(funnel pg_catalog.name, mode pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_set_mode.funnel);
    unmapped record;
BEGIN
    IF _set_mode.mode IS NULL THEN
        RAISE EXCEPTION 'mode must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Choose one of: enforce, observe.';
    END IF;
    PERFORM lead_funnel._check_choice('mode', _set_mode.mode, ARRAY['enforce', 'observe']);
    IF f.always AND _set_mode.mode = 'enforce' THEN
        RAISE EXCEPTION 'funnel "%" cannot enforce its rules', f.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'It was attached with always => true: one refused row would stop the subscription.',
                  HINT = format('Enforce the rules on the publisher, or call lead_funnel.alter_funnel(%L, always => false) first.', f.name);
    END IF;
    UPDATE lead_funnel.funnel AS o SET mode = _set_mode.mode WHERE o.funnel_id = f.funnel_id AND o.mode <> _set_mode.mode;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM lead_funnel._invalidate(f.relation);

    IF _set_mode.mode = 'enforce' AND f.status = 'active' THEN
        SELECT count(*) AS rows, string_agg(DISTINCT coalesce(quote_literal(s.status), 'NULL'), ', ') AS statuses
        INTO unmapped
        FROM lead_funnel._table_state(f.funnel_id) AS s
        WHERE s.stage IS NULL;
        IF unmapped.rows > 0 THEN
            RAISE WARNING 'table % has % rows whose status means nothing', f.relation, unmapped.rows
                USING DETAIL = format('Their values are %s. They are not in the funnel, and from now on such rows are refused.', unmapped.statuses),
                      HINT = format('Map the values with lead_funnel.map_stage(%1$L, ..., ...), then call lead_funnel.reconcile(%1$L).', f.name);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._set_mode(pg_catalog.name, pg_catalog.text) IS
    'implementation of set_mode()';
REVOKE ALL ON FUNCTION lead_funnel._set_mode(pg_catalog.name, pg_catalog.text) FROM PUBLIC;

-- Roles that may override the rules

CREATE FUNCTION lead_funnel.grant_override(funnel pg_catalog.name, role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.grant_override(pg_catalog.name, pg_catalog.name) IS
    'right of a role to move leads against the rules with setting lead_funnel.override';

CREATE FUNCTION lead_funnel._check_role(role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF role IS NULL THEN
        RAISE EXCEPTION 'role must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Name a role.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles AS o WHERE o.rolname = role) THEN
        RAISE EXCEPTION 'role "%" does not exist', role
            USING ERRCODE = 'undefined_object',
                  HINT = 'Name a role as pg_roles shows it, in its own case. To give a right to everybody, make a group role.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_role(pg_catalog.name) IS
    'error unless the role exists';

CREATE FUNCTION lead_funnel._grant_override(funnel pg_catalog.name, role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_grant_override.funnel);
BEGIN
    PERFORM lead_funnel._check_role(_grant_override.role);
    INSERT INTO lead_funnel.override_role (funnel_id, role)
    VALUES (f.funnel_id, _grant_override.role)
    ON CONFLICT DO NOTHING;
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel._grant_override(pg_catalog.name, pg_catalog.name) IS
    'implementation of grant_override()';
REVOKE ALL ON FUNCTION lead_funnel._grant_override(pg_catalog.name, pg_catalog.name) FROM PUBLIC;

CREATE FUNCTION lead_funnel.revoke_override(funnel pg_catalog.name, role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.revoke_override(pg_catalog.name, pg_catalog.name) IS
    'end of the right of a role to override the rules';

CREATE FUNCTION lead_funnel._revoke_override(funnel pg_catalog.name, role pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_revoke_override.funnel);
BEGIN
    -- the role may be gone
    IF _revoke_override.role IS NULL THEN
        PERFORM lead_funnel._check_role(NULL);
    END IF;
    DELETE FROM lead_funnel.override_role AS o WHERE o.funnel_id = f.funnel_id AND o.role = _revoke_override.role;
    IF NOT FOUND THEN
        RAISE NOTICE 'role "%" has no right to override the rules of funnel "%"', _revoke_override.role, f.name;
        RETURN;
    END IF;
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel._revoke_override(pg_catalog.name, pg_catalog.name) IS
    'implementation of revoke_override()';
REVOKE ALL ON FUNCTION lead_funnel._revoke_override(pg_catalog.name, pg_catalog.name) FROM PUBLIC;
