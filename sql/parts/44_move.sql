--
-- move: a lead goes to another stage
--
-- All of it runs as the caller, whose rights and row security hold, and with
-- the caller's search_path, which triggers on the table may count on: so the
-- names and operators here are qualified.
--

CREATE FUNCTION lead_funnel.move(funnel pg_catalog.name, key pg_catalog.text, to_stage @extschema@.lead_stage,
                                 reason pg_catalog.text DEFAULT NULL, note pg_catalog.text DEFAULT NULL,
                                 actor pg_catalog.text DEFAULT NULL)
    RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                   effective_at pg_catalog.timestamptz, move pg_catalog.int4)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    AS $$
    SELECT m.lead, m.from_stage, m.to_stage, m.effective_at, m.move
    FROM lead_funnel._move($1, $2, $3, $4, $5, $6) AS m
$$;
COMMENT ON FUNCTION lead_funnel.move(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage, pg_catalog.text,
    pg_catalog.text, pg_catalog.text) IS
    'move of the lead with this key, as its table''s UPDATE would do it; says what was journalled';

CREATE FUNCTION lead_funnel.move(funnel pg_catalog.name, key pg_catalog.int8, to_stage @extschema@.lead_stage,
                                 reason pg_catalog.text DEFAULT NULL, note pg_catalog.text DEFAULT NULL,
                                 actor pg_catalog.text DEFAULT NULL)
    RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                   effective_at pg_catalog.timestamptz, move pg_catalog.int4)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    AS $$
    SELECT m.lead, m.from_stage, m.to_stage, m.effective_at, m.move
    FROM lead_funnel._move($1, $2::pg_catalog.text, $3, $4, $5, $6) AS m
$$;
COMMENT ON FUNCTION lead_funnel.move(pg_catalog.name, pg_catalog.int8, @extschema@.lead_stage, pg_catalog.text,
    pg_catalog.text, pg_catalog.text) IS
    'move of the lead with this integer key';

CREATE FUNCTION lead_funnel.move(funnel pg_catalog.name, key pg_catalog.uuid, to_stage @extschema@.lead_stage,
                                 reason pg_catalog.text DEFAULT NULL, note pg_catalog.text DEFAULT NULL,
                                 actor pg_catalog.text DEFAULT NULL)
    RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                   effective_at pg_catalog.timestamptz, move pg_catalog.int4)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    AS $$
    SELECT m.lead, m.from_stage, m.to_stage, m.effective_at, m.move
    FROM lead_funnel._move($1, $2::pg_catalog.text, $3, $4, $5, $6) AS m
$$;
COMMENT ON FUNCTION lead_funnel.move(pg_catalog.name, pg_catalog.uuid, @extschema@.lead_stage, pg_catalog.text,
    pg_catalog.text, pg_catalog.text) IS
    'move of the lead with this uuid key';

-- What a raw status means; move() must know whether there is anything to do
CREATE FUNCTION lead_funnel._stage_of_status(funnel pg_catalog.name, status pg_catalog.text)
    RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT lead_funnel._stage_for(f.funnel_id, lead_funnel._stage_kind(f.relation, f.stage_column),
                                  _stage_of_status.status)
    FROM lead_funnel.funnel AS f
    WHERE f.name = _stage_of_status.funnel
$$;
COMMENT ON FUNCTION lead_funnel._stage_of_status(pg_catalog.name, pg_catalog.text) IS
    'label of the stage that a value of the stage column means, NULL if it means nothing';

-- Reason, note and actor are settings of a function of their own: at its end
-- the server puts back what was, and with it in which transaction it was set.
-- set_config() with the old value would make last week's reason a new one.
CREATE FUNCTION lead_funnel._move_with_reason(funnel pg_catalog.name, key pg_catalog.text,
                                              wanted @extschema@.lead_stage, reason pg_catalog.text,
                                              note pg_catalog.text, actor pg_catalog.text)
    RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                   effective_at pg_catalog.timestamptz, move pg_catalog.int4)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET lead_funnel.reason = ''
    AS $$
BEGIN
    PERFORM pg_catalog.set_config('lead_funnel.reason', reason, true);
    RETURN QUERY SELECT m.* FROM lead_funnel._move(funnel, key, wanted, NULL, note, actor) AS m;
END
$$;
COMMENT ON FUNCTION lead_funnel._move_with_reason(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage,
    pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'move with a reason of its own';

CREATE FUNCTION lead_funnel._move_with_note(funnel pg_catalog.name, key pg_catalog.text,
                                            wanted @extschema@.lead_stage, note pg_catalog.text, actor pg_catalog.text)
    RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                   effective_at pg_catalog.timestamptz, move pg_catalog.int4)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET lead_funnel.note = ''
    AS $$
BEGIN
    PERFORM pg_catalog.set_config('lead_funnel.note', note, true);
    RETURN QUERY SELECT m.* FROM lead_funnel._move(funnel, key, wanted, NULL, NULL, actor) AS m;
END
$$;
COMMENT ON FUNCTION lead_funnel._move_with_note(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage,
    pg_catalog.text, pg_catalog.text) IS
    'move with a note of its own';

CREATE FUNCTION lead_funnel._move_with_actor(funnel pg_catalog.name, key pg_catalog.text,
                                             wanted @extschema@.lead_stage, actor pg_catalog.text)
    RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                   effective_at pg_catalog.timestamptz, move pg_catalog.int4)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET lead_funnel.actor = ''
    AS $$
BEGIN
    PERFORM pg_catalog.set_config('lead_funnel.actor', actor, true);
    RETURN QUERY SELECT m.* FROM lead_funnel._move(funnel, key, wanted, NULL, NULL, NULL) AS m;
END
$$;
COMMENT ON FUNCTION lead_funnel._move_with_actor(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage,
    pg_catalog.text) IS
    'move with an actor of its own';

-- How a statement finds a lead: an error unless moves of the funnel are journalled
CREATE FUNCTION lead_funnel._target(funnel pg_catalog.name, key pg_catalog.text,
                                    OUT relation pg_catalog.regclass, OUT key_column pg_catalog.name,
                                    OUT stage_column pg_catalog.name, OUT stage_type pg_catalog.text,
                                    OUT condition pg_catalog.text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
#variable_conflict use_column
DECLARE
    missing CONSTANT pg_catalog.text := CASE WHEN _target.funnel IS NULL THEN 'funnel'
                                             WHEN _target.key IS NULL THEN 'key' END;
    f pg_catalog.record;
    c pg_catalog.record;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give the name of a funnel and the key of a lead.';
    END IF;
    SELECT o.* INTO f FROM lead_funnel._funnel_of(_target.funnel) AS o;
    IF f.status OPERATOR(pg_catalog.<>) 'active' THEN
        RAISE EXCEPTION 'funnel "%" is %', _target.funnel, f.status
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'The move would not be journalled.',
                  HINT = CASE WHEN f.status OPERATOR(pg_catalog.=) 'suspended' THEN 'The owner of the table ends this with lead_funnel.resume().'
                              ELSE 'Attach a table to it again with lead_funnel.attach().' END;
    END IF;
    SELECT pg_catalog.format_type(s.atttypid, -1) AS stage_type,
           pg_catalog.format_type(k.atttypid, -1) AS key_type,
           (SELECT b.oid::pg_catalog.regtype
            FROM pg_catalog.pg_type AS b
            WHERE b.oid OPERATOR(pg_catalog.=) lead_funnel._base_type(f.relation, f.key_column)
              AND b.oid OPERATOR(pg_catalog.<>) k.atttypid AND b.typtype OPERATOR(pg_catalog.=) 'e') AS enum_of_key
    INTO c
    FROM pg_catalog.pg_attribute AS s
    JOIN pg_catalog.pg_attribute AS k ON k.attrelid OPERATOR(pg_catalog.=) s.attrelid
    WHERE s.attrelid OPERATOR(pg_catalog.=) f.relation
      AND s.attname OPERATOR(pg_catalog.=) f.stage_column
      AND k.attname OPERATOR(pg_catalog.=) f.key_column;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the table of funnel "%" or a column of it does not exist any more', _target.funnel
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = pg_catalog.format('Its stage column was "%s", its key "%s".', f.stage_column, f.key_column),
                  HINT = pg_catalog.format('SELECT * FROM lead_funnel.verify(%L) says what to do.', _target.funnel);
    END IF;
    relation := f.relation;
    key_column := f.key_column;
    stage_column := f.stage_column;
    stage_type := c.stage_type;
    -- written so that an index on the key serves; a number may be beyond the column's type
    condition := pg_catalog.format(
        CASE WHEN f.key_kind OPERATOR(pg_catalog.=) 'int' THEN 't.%I OPERATOR(pg_catalog.=) $1::pg_catalog.int8'
             WHEN f.key_kind OPERATOR(pg_catalog.=) 'uuid' THEN 't.%I OPERATOR(pg_catalog.=) $1::pg_catalog.uuid'
             -- a domain over an enum has no operators
             WHEN c.enum_of_key IS NOT NULL THEN 't.%1$I::%3$s OPERATOR(pg_catalog.=) $1::%3$s'
             ELSE 't.%I OPERATOR(pg_catalog.=) $1::%s' END,
        f.key_column, c.key_type, c.enum_of_key);
END
$$;
COMMENT ON FUNCTION lead_funnel._target(pg_catalog.name, pg_catalog.text) IS
    'table and columns of a funnel, and the condition that its row with the key $1 meets';

-- wait false: no row where another session has it locked, or where there is none
CREATE FUNCTION lead_funnel._lock_lead(funnel pg_catalog.name, key pg_catalog.text, wait pg_catalog.bool,
                                       OUT lead pg_catalog.text, OUT stage pg_catalog.text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
#variable_conflict use_column
DECLARE
    t pg_catalog.record;
BEGIN
    SELECT o.* INTO t FROM lead_funnel._target(_lock_lead.funnel, _lock_lead.key) AS o;
    EXECUTE pg_catalog.format('SELECT t.%I::pg_catalog.text, lead_funnel._stage_of_status($2, t.%I::pg_catalog.text) '
                              'FROM %s AS t WHERE %s FOR NO KEY UPDATE OF t%s',
                              t.key_column, t.stage_column, t.relation, t.condition,
                              CASE WHEN NOT wait THEN ' SKIP LOCKED' END)
    INTO lead, stage
    USING _lock_lead.key, _lock_lead.funnel;
    IF lead IS NULL AND wait THEN
        RAISE EXCEPTION 'lead "%" does not exist in funnel "%"', _lock_lead.key, _lock_lead.funnel
            USING ERRCODE = 'no_data_found',
                  DETAIL = pg_catalog.format('No row of table %s that role "%s" may update has this value in column "%s".',
                                             t.relation, CURRENT_USER, t.key_column),
                  HINT = 'Check the key and, if the table has row security, its policies.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._lock_lead(pg_catalog.name, pg_catalog.text, pg_catalog.bool) IS
    'key and stage of a lead, whose row is locked for an update; an error if there is none';

CREATE FUNCTION lead_funnel._update_lead(funnel pg_catalog.name, key pg_catalog.text, assignments pg_catalog.text,
                                         status pg_catalog.text, entered_at pg_catalog.timestamptz,
                                         handed_over_at pg_catalog.timestamptz)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
#variable_conflict use_column
DECLARE
    t pg_catalog.record;
    affected pg_catalog.int8;
BEGIN
    SELECT o.* INTO t FROM lead_funnel._target(_update_lead.funnel, _update_lead.key) AS o;
    EXECUTE pg_catalog.format('UPDATE %s AS t SET %I = $2::%s%s WHERE %s', t.relation, t.stage_column, t.stage_type,
                              _update_lead.assignments, t.condition)
    USING _update_lead.key, _update_lead.status, _update_lead.entered_at, _update_lead.handed_over_at;
    GET DIAGNOSTICS affected = ROW_COUNT;
    IF affected OPERATOR(pg_catalog.>) 1 THEN
        RAISE EXCEPTION 'several rows of table % have the key "%"', t.relation, _update_lead.key
            USING ERRCODE = 'cardinality_violation',
                  DETAIL = pg_catalog.format('A lead of funnel "%s" is known by its key, column "%s".', _update_lead.funnel, t.key_column),
                  HINT = 'Remove the duplicate rows.';
    ELSIF affected OPERATOR(pg_catalog.=) 0 THEN
        RAISE EXCEPTION 'lead "%" was not moved', _update_lead.key
            USING ERRCODE = 'triggered_action_exception',
                  DETAIL = pg_catalog.format('A trigger or rule of table %s kept the row from being updated.', t.relation),
                  HINT = 'Look at the BEFORE triggers of the table.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._update_lead(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.text,
    pg_catalog.timestamptz, pg_catalog.timestamptz) IS
    'update of the status $2 of one lead and, with further assignments, of the dates $3 and $4';

CREATE FUNCTION lead_funnel._move(funnel pg_catalog.name, key pg_catalog.text, wanted @extschema@.lead_stage,
                                  reason pg_catalog.text, note pg_catalog.text, actor pg_catalog.text)
    RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                   effective_at pg_catalog.timestamptz, move pg_catalog.int4)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
#variable_conflict use_column
DECLARE
    missing CONSTANT pg_catalog.text := CASE WHEN _move.funnel IS NULL THEN 'funnel'
                                             WHEN _move.key IS NULL THEN 'key'
                                             WHEN _move.wanted IS NULL THEN 'to_stage' END;
    found_lead pg_catalog.text;
    old_stage pg_catalog.text;
    before pg_catalog.record;
    last pg_catalog.record;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Call it as lead_funnel.move(funnel, key, to_stage).';
    END IF;

    IF reason IS NOT NULL THEN
        RETURN QUERY SELECT m.* FROM lead_funnel._move_with_reason(_move.funnel, _move.key, _move.wanted, _move.reason,
                                                                   _move.note, _move.actor) AS m;
        RETURN;
    ELSIF note IS NOT NULL THEN
        RETURN QUERY SELECT m.* FROM lead_funnel._move_with_note(_move.funnel, _move.key, _move.wanted, _move.note,
                                                                 _move.actor) AS m;
        RETURN;
    ELSIF actor IS NOT NULL THEN
        RETURN QUERY SELECT m.* FROM lead_funnel._move_with_actor(_move.funnel, _move.key, _move.wanted, _move.actor) AS m;
        RETURN;
    END IF;

    SELECT l.lead, l.stage INTO found_lead, old_stage FROM lead_funnel._lock_lead(_move.funnel, _move.key, true) AS l;
    IF old_stage OPERATOR(pg_catalog.=) _move.wanted::pg_catalog.text THEN
        RETURN QUERY SELECT found_lead, _move.wanted, _move.wanted, NULL::pg_catalog.timestamptz, NULL::pg_catalog.int4;
        RETURN;
    END IF;

    SELECT o.* INTO before FROM lead_funnel._last_move() AS o;
    PERFORM lead_funnel._update_lead(_move.funnel, found_lead, '', lead_funnel._status_for(_move.funnel, _move.wanted),
                                     NULL, NULL);

    -- what a trigger of the user's moved meanwhile is not what we say
    SELECT o.* INTO last FROM lead_funnel._last_move() AS o;
    IF last.lead OPERATOR(pg_catalog.=) found_lead
       AND (before.lead OPERATOR(pg_catalog.=) last.lead AND before.move OPERATOR(pg_catalog.=) last.move) IS NOT TRUE THEN
        RETURN QUERY SELECT last.lead, last.from_stage, last.to_stage, last.effective_at, last.move;
    ELSE
        RETURN QUERY SELECT found_lead, old_stage::@extschema@.lead_stage, _move.wanted,
                            NULL::pg_catalog.timestamptz, NULL::pg_catalog.int4;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._move(pg_catalog.name, pg_catalog.text, @extschema@.lead_stage, pg_catalog.text,
    pg_catalog.text, pg_catalog.text) IS
    'implementation of move()';
