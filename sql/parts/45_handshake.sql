--
-- The handshake: sales accepts or rejects what marketing hands over
--
-- accept, reject, recycle and undo_move move a lead as its table's UPDATE would
-- do it, as the caller: see 44_move.sql. What they add is the look at the
-- journal under the lead's lock, see src/handshake.c.
--

CREATE TABLE lead_funnel.handshake (
    funnel_id        integer PRIMARY KEY,       -- no row: all as by default
    undo_window      interval NOT NULL DEFAULT '15 minutes',
    on_expiry        text NOT NULL DEFAULT 'escalate',
    own_reasons      boolean NOT NULL DEFAULT false,    -- its reason codes are in reason_code
    CONSTRAINT handshake_on_expiry_check CHECK (on_expiry IN ('escalate', 'expire'))
);
COMMENT ON TABLE lead_funnel.handshake IS 'one row per funnel whose handshake is not as by default';

CREATE TABLE lead_funnel.reason_code (
    funnel_id   integer NOT NULL,
    code        text NOT NULL,
    position    integer NOT NULL,
    label       text NOT NULL,
    needs_note  boolean NOT NULL,
    PRIMARY KEY (funnel_id, code)
);
COMMENT ON TABLE lead_funnel.reason_code IS 'one row per reason for which sales rejects leads, of funnels that have reasons of their own';

SELECT pg_catalog.pg_extension_config_dump('lead_funnel.handshake', '');
SELECT pg_catalog.pg_extension_config_dump('lead_funnel.reason_code', '');

-- Settings

CREATE FUNCTION lead_funnel._handshake_settings(funnel_id pg_catalog.int4, OUT undo_window pg_catalog.interval,
                                                OUT on_expiry pg_catalog.text)
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(max(h.undo_window), '15 minutes'), coalesce(max(h.on_expiry), 'escalate')
    FROM lead_funnel.handshake AS h
    WHERE h.funnel_id = _handshake_settings.funnel_id
$$;
COMMENT ON FUNCTION lead_funnel._handshake_settings(pg_catalog.int4) IS
    'how long a move of a funnel can be taken back, and what happens to hand-overs that are overdue';

CREATE FUNCTION lead_funnel._edit_handshake(funnel_id pg_catalog.int4)
    RETURNS pg_catalog.void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO lead_funnel.handshake (funnel_id) VALUES (_edit_handshake.funnel_id) ON CONFLICT DO NOTHING;
    SELECT FROM lead_funnel.handshake AS h WHERE h.funnel_id = _edit_handshake.funnel_id FOR UPDATE
$$;
COMMENT ON FUNCTION lead_funnel._edit_handshake(pg_catalog.int4) IS
    'row of the funnel, made and locked';
REVOKE ALL ON FUNCTION lead_funnel._edit_handshake(pg_catalog.int4) FROM PUBLIC;

CREATE FUNCTION lead_funnel.set_undo_window(funnel pg_catalog.name, undo_window pg_catalog.interval)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.set_undo_window(pg_catalog.name, pg_catalog.interval) IS
    'how long the last move of a lead can be taken back: up to 7 days, 15 minutes by default; 0: not at all';

CREATE FUNCTION lead_funnel._set_undo_window(funnel pg_catalog.name, undo_window pg_catalog.interval)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_set_undo_window.funnel);
BEGIN
    IF _set_undo_window.undo_window IS NULL OR _set_undo_window.undo_window NOT BETWEEN '0' AND '7 days' THEN
        RAISE EXCEPTION 'undo window % is out of range', coalesce(_set_undo_window.undo_window::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An undo changes what reports have said of the time since the move.',
                  HINT = 'Give an interval from 0, which switches undo off, to 7 days.';
    END IF;
    PERFORM lead_funnel._edit_handshake(f.funnel_id);
    UPDATE lead_funnel.handshake AS h SET undo_window = _set_undo_window.undo_window WHERE h.funnel_id = f.funnel_id;
END
$$;
COMMENT ON FUNCTION lead_funnel._set_undo_window(pg_catalog.name, pg_catalog.interval) IS
    'implementation of set_undo_window()';
REVOKE ALL ON FUNCTION lead_funnel._set_undo_window(pg_catalog.name, pg_catalog.interval) FROM PUBLIC;

CREATE FUNCTION lead_funnel.set_expiry(funnel pg_catalog.name, on_expiry pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.set_expiry(pg_catalog.name, pg_catalog.text) IS
    'what run_due() does to hand-overs that are overdue: escalate (default) journals it once, expire moves the lead to nurture';

CREATE FUNCTION lead_funnel._set_expiry(funnel pg_catalog.name, on_expiry pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_set_expiry.funnel);
BEGIN
    PERFORM lead_funnel._check_choice('on_expiry', _set_expiry.on_expiry, ARRAY['escalate', 'expire']);
    IF _set_expiry.on_expiry = 'expire' THEN
        -- an error now if no status means nurture, and not at night
        PERFORM lead_funnel._status_for(f.name, 'nurture');
    END IF;
    PERFORM lead_funnel._edit_handshake(f.funnel_id);
    UPDATE lead_funnel.handshake AS h SET on_expiry = _set_expiry.on_expiry WHERE h.funnel_id = f.funnel_id;
END
$$;
COMMENT ON FUNCTION lead_funnel._set_expiry(pg_catalog.name, pg_catalog.text) IS
    'implementation of set_expiry()';
REVOKE ALL ON FUNCTION lead_funnel._set_expiry(pg_catalog.name, pg_catalog.text) FROM PUBLIC;

-- Reason codes

CREATE FUNCTION lead_funnel.default_reason_codes()
    RETURNS TABLE (code pg_catalog.text, "position" pg_catalog.int4, label pg_catalog.text, needs_note pg_catalog.bool)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    VALUES ('wrong_size', 1, 'Company too small or too large', false),
           ('wrong_industry', 2, 'Wrong industry', false),
           ('wrong_region', 3, 'Wrong region', false),
           ('wrong_title', 4, 'Wrong person or role', false),
           ('not_icp', 5, 'Not our ideal customer in another respect', false),
           ('no_need', 6, 'No need', false),
           ('no_budget', 7, 'No budget', false),
           ('bad_timing', 8, 'Too early or too late', false),
           ('no_response', 9, 'Could not be reached', false),
           ('bad_data', 10, 'Contact data wrong or not verified', false),
           ('existing_customer', 11, 'Customer already', false),
           ('competitor', 12, 'Competitor', false),
           ('duplicate', 13, 'Another lead already', false),
           ('other', 14, 'Other, see the note', true)
$$;
COMMENT ON FUNCTION lead_funnel.default_reason_codes() IS
    'reasons for which sales rejects leads, of funnels that have none of their own';

CREATE FUNCTION lead_funnel._reason_codes(funnel_id pg_catalog.int4)
    RETURNS TABLE (code pg_catalog.text, "position" pg_catalog.int4, label pg_catalog.text, needs_note pg_catalog.bool)
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT c.code, c.position, c.label, c.needs_note
    FROM lead_funnel.reason_code AS c
    WHERE c.funnel_id = _reason_codes.funnel_id
    UNION ALL
    SELECT d.code, d.position, d.label, d.needs_note
    FROM lead_funnel.default_reason_codes() AS d
    WHERE NOT EXISTS (SELECT FROM lead_funnel.handshake AS h WHERE h.funnel_id = _reason_codes.funnel_id AND h.own_reasons)
$$;
COMMENT ON FUNCTION lead_funnel._reason_codes(pg_catalog.int4) IS
    'reason codes of a funnel, its own or the default';

CREATE FUNCTION lead_funnel._edit_reason_codes(funnel_id pg_catalog.int4)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM lead_funnel._edit_handshake(_edit_reason_codes.funnel_id);
    INSERT INTO lead_funnel.reason_code (funnel_id, code, position, label, needs_note)
    SELECT _edit_reason_codes.funnel_id, c.code, c.position, c.label, c.needs_note
    FROM lead_funnel._reason_codes(_edit_reason_codes.funnel_id) AS c
    ON CONFLICT DO NOTHING;
    UPDATE lead_funnel.handshake AS h SET own_reasons = true
    WHERE h.funnel_id = _edit_reason_codes.funnel_id AND NOT h.own_reasons;
END
$$;
COMMENT ON FUNCTION lead_funnel._edit_reason_codes(pg_catalog.int4) IS
    'copy of the default reason codes, unless the funnel has its own';
REVOKE ALL ON FUNCTION lead_funnel._edit_reason_codes(pg_catalog.int4) FROM PUBLIC;

CREATE FUNCTION lead_funnel.add_reason_code(funnel pg_catalog.name, code pg_catalog.text,
                                            label pg_catalog.text DEFAULT NULL,
                                            needs_note pg_catalog.bool DEFAULT false)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.add_reason_code(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.bool) IS
    'reason for which sales may reject a lead; a code that is there gets the new label';

CREATE FUNCTION lead_funnel._add_reason_code(funnel pg_catalog.name, code pg_catalog.text, label pg_catalog.text,
                                             needs_note pg_catalog.bool)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_add_reason_code.funnel);
BEGIN
    IF btrim(coalesce(_add_reason_code.code, '')) = '' OR _add_reason_code.code <> btrim(_add_reason_code.code) THEN
        RAISE EXCEPTION 'reason code % is not valid', coalesce(quote_literal(_add_reason_code.code), 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It is empty, or has blanks around it.',
                  HINT = 'Give a word, or the label that the application shows.';
    END IF;
    IF _add_reason_code.needs_note IS NULL THEN
        RAISE EXCEPTION 'needs_note must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Leave it out to have the default.';
    END IF;
    PERFORM lead_funnel._edit_reason_codes(f.funnel_id);
    INSERT INTO lead_funnel.reason_code (funnel_id, code, position, label, needs_note)
    SELECT f.funnel_id, _add_reason_code.code, coalesce(max(c.position), 0) + 1,
           coalesce(_add_reason_code.label, _add_reason_code.code), _add_reason_code.needs_note
    FROM lead_funnel.reason_code AS c
    WHERE c.funnel_id = f.funnel_id
    ON CONFLICT (funnel_id, code) DO UPDATE
    SET label = coalesce(_add_reason_code.label, reason_code.label), needs_note = excluded.needs_note;
END
$$;
COMMENT ON FUNCTION lead_funnel._add_reason_code(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.bool) IS
    'implementation of add_reason_code()';
REVOKE ALL ON FUNCTION lead_funnel._add_reason_code(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.bool) FROM PUBLIC;

CREATE FUNCTION lead_funnel.remove_reason_code(funnel pg_catalog.name, code pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.remove_reason_code(pg_catalog.name, pg_catalog.text) IS
    'end of a reason code; leads that have been rejected for it keep it';

CREATE FUNCTION lead_funnel._remove_reason_code(funnel pg_catalog.name, code pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_remove_reason_code.funnel);
BEGIN
    PERFORM lead_funnel._edit_reason_codes(f.funnel_id);
    DELETE FROM lead_funnel.reason_code AS c WHERE c.funnel_id = f.funnel_id AND c.code = _remove_reason_code.code;
    IF NOT FOUND THEN
        RAISE NOTICE 'funnel "%" has no reason code %', f.name, coalesce(quote_literal(_remove_reason_code.code), 'NULL');
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._remove_reason_code(pg_catalog.name, pg_catalog.text) IS
    'implementation of remove_reason_code()';
REVOKE ALL ON FUNCTION lead_funnel._remove_reason_code(pg_catalog.name, pg_catalog.text) FROM PUBLIC;

CREATE FUNCTION lead_funnel._check_reason_code(funnel pg_catalog.name, code pg_catalog.text, note pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
    known record;
BEGIN
    SELECT o.* INTO f FROM lead_funnel._funnel_of(_check_reason_code.funnel) AS o;
    SELECT c.* INTO known FROM lead_funnel._reason_codes(f.funnel_id) AS c WHERE c.code = _check_reason_code.code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'funnel "%" has no reason code %', _check_reason_code.funnel,
                        coalesce(quote_literal(_check_reason_code.code), 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('Its reason codes are %s.',
                                  coalesce((SELECT string_agg(quote_literal(c.code), ', ' ORDER BY c.position, c.code)
                                            FROM lead_funnel._reason_codes(f.funnel_id) AS c), 'none')),
                  HINT = 'Give one of them, and what else there is to say as note; the owner of the table adds codes with lead_funnel.add_reason_code().';
    END IF;
    IF known.needs_note AND btrim(coalesce(_check_reason_code.note, ''), E' \t\r\n') = '' THEN
        RAISE EXCEPTION 'reason code % needs a note', quote_literal(known.code)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Alone it does not say why.',
                  HINT = 'Give a note => ..., or a reason code that says it.';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._check_reason_code(pg_catalog.name, pg_catalog.text, pg_catalog.text) IS
    'error unless the funnel knows the reason code and has the note that it needs';

-- Decisions

CREATE FUNCTION lead_funnel._decision(funnel pg_catalog.name, key pg_catalog.text, recycled pg_catalog.bool,
                                      OUT lead pg_catalog.text, OUT stage @extschema@.lead_stage,
                                      OUT verdict pg_catalog.text, OUT from_stage @extschema@.lead_stage,
                                      OUT to_stage @extschema@.lead_stage, OUT decided_at pg_catalog.timestamptz,
                                      OUT decided_by pg_catalog.text, OUT reason pg_catalog.text,
                                      OUT note pg_catalog.text, OUT move pg_catalog.int4)
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_decision';
COMMENT ON FUNCTION lead_funnel._decision(pg_catalog.name, pg_catalog.text, pg_catalog.bool) IS
    'decision about a lead, whose row is locked for an update; verdict NULL if there is none';

CREATE FUNCTION lead_funnel._decide(funnel pg_catalog.name, key pg_catalog.text, wanted pg_catalog.text,
                                    target @extschema@.lead_stage, given_reason pg_catalog.text,
                                    given_note pg_catalog.text, actor pg_catalog.text)
    RETURNS TABLE (lead pg_catalog.text, verdict pg_catalog.text, from_stage @extschema@.lead_stage,
                   to_stage @extschema@.lead_stage, decided_at pg_catalog.timestamptz, decided_by pg_catalog.text,
                   reason pg_catalog.text, note pg_catalog.text, move pg_catalog.int4, is_new pg_catalog.bool)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
#variable_conflict use_column
DECLARE
    missing CONSTANT pg_catalog.text := CASE WHEN _decide.funnel IS NULL THEN 'funnel'
                                             WHEN _decide.key IS NULL THEN 'key' END;
    recycles CONSTANT pg_catalog.bool := wanted OPERATOR(pg_catalog.=) 'recycled';
    d pg_catalog.record;
    m pg_catalog.record;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give the name of a funnel and the key of a lead.';
    END IF;
    IF wanted OPERATOR(pg_catalog.=) 'rejected' THEN
        PERFORM lead_funnel._check_reason_code(_decide.funnel, given_reason, given_note);
    ELSIF recycles AND pg_catalog.btrim(coalesce(given_reason, ''), E' \t\r\n') OPERATOR(pg_catalog.=) '' THEN
        RAISE EXCEPTION 'recycling a lead needs a reason'
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'Marketing learns from it what to do with the lead.',
                  HINT = 'Call it as lead_funnel.recycle(funnel, key, reason).';
    END IF;

    SELECT x.* INTO d FROM lead_funnel._decision(_decide.funnel, _decide.key, recycles) AS x;
    IF d.verdict OPERATOR(pg_catalog.=) wanted THEN
        RETURN QUERY SELECT d.lead, d.verdict, d.from_stage, d.to_stage, d.decided_at, d.decided_by, d.reason, d.note,
                            d.move, false;
        RETURN;
    ELSIF d.verdict IS NOT NULL THEN
        RAISE EXCEPTION 'lead "%" has been % already', d.lead, d.verdict
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = pg_catalog.format('It was %s by %s, %s, and went to "%s"%s.', d.verdict,
                                             coalesce(d.decided_by, 'nobody known'), d.decided_at, d.to_stage,
                                             CASE WHEN d.reason IS NOT NULL THEN pg_catalog.format(' (%s)', d.reason) END),
                  HINT = pg_catalog.format(
                      CASE WHEN d.verdict OPERATOR(pg_catalog.=) 'accepted'
                           THEN 'Who decided takes it back with lead_funnel.undo_move(%L, ...) within the undo window; later, lead_funnel.recycle(%1$L, ...) gives the lead back to marketing.'
                           ELSE 'Who decided takes it back with lead_funnel.undo_move(%L, ...) within the undo window; later, marketing hands the lead over again.' END,
                      _decide.funnel);
    END IF;

    SELECT x.* INTO m FROM lead_funnel._move(_decide.funnel, d.lead, target, given_reason, given_note, _decide.actor) AS x;
    SELECT x.* INTO d FROM lead_funnel._decision(_decide.funnel, d.lead, recycles) AS x;
    IF d.verdict OPERATOR(pg_catalog.=) wanted THEN
        RETURN QUERY SELECT d.lead, d.verdict, d.from_stage, d.to_stage, d.decided_at, d.decided_by, d.reason, d.note,
                            d.move, true;
    ELSE
        -- within a query that reads the table it is journalled when that ends
        RETURN QUERY SELECT m.lead, wanted, m.from_stage, m.to_stage, m.effective_at, NULL::pg_catalog.text, given_reason,
                            given_note, m.move, true;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._decide(pg_catalog.name, pg_catalog.text, pg_catalog.text, @extschema@.lead_stage,
    pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'implementation of accept(), reject() and recycle()';

-- Undo

CREATE FUNCTION lead_funnel._undo(funnel pg_catalog.name, key pg_catalog.text, reason pg_catalog.text,
                                  note pg_catalog.text, actor pg_catalog.text,
                                  OUT lead pg_catalog.text, OUT from_stage @extschema@.lead_stage,
                                  OUT to_stage @extschema@.lead_stage, OUT effective_at pg_catalog.timestamptz,
                                  OUT move pg_catalog.int4)
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_undo';
COMMENT ON FUNCTION lead_funnel._undo(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
    'implementation of undo_move()';

CREATE FUNCTION lead_funnel._date_columns(funnel pg_catalog.name, OUT entered_column pg_catalog.name,
                                          OUT handover_column pg_catalog.name, OUT timezone pg_catalog.text)
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT f.entered_column, f.handover_column, f.timezone
    FROM lead_funnel.funnel AS f
    WHERE f.name = _date_columns.funnel
$$;
COMMENT ON FUNCTION lead_funnel._date_columns(pg_catalog.name) IS
    'columns of a funnel that hold dates, and the time zone of those without one';

-- Does no more than the caller could do: see src/handshake.c for who calls it
CREATE FUNCTION lead_funnel._put_status(funnel pg_catalog.name, key pg_catalog.text, status pg_catalog.text,
                                        entered_at pg_catalog.timestamptz, sets_handover pg_catalog.bool,
                                        handed_over_at pg_catalog.timestamptz)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
#variable_conflict use_column
DECLARE
    t pg_catalog.record;
    c pg_catalog.record;
    assignments pg_catalog.text;
BEGIN
    SELECT o.* INTO t FROM lead_funnel._target(_put_status.funnel, _put_status.key) AS o;
    SELECT o.* INTO c FROM lead_funnel._date_columns(_put_status.funnel) AS o;
    SELECT pg_catalog.string_agg(
               pg_catalog.format(CASE lead_funnel._base_type(t.relation, u.column_name)::pg_catalog.regtype
                                     WHEN 'pg_catalog.timestamptz'::pg_catalog.regtype THEN ', %I = %s'
                                     WHEN 'pg_catalog.timestamp'::pg_catalog.regtype THEN ', %I = %s AT TIME ZONE %L'
                                     ELSE ', %I = (%s AT TIME ZONE %L)::pg_catalog.date' END,
                                 u.column_name, u.value, c.timezone), '')
    INTO assignments
    FROM (VALUES (CASE WHEN _put_status.entered_at IS NOT NULL THEN c.entered_column END, '$3'),
                 (CASE WHEN sets_handover THEN c.handover_column END, '$4')) AS u (column_name, value)
    WHERE u.column_name IS NOT NULL;
    PERFORM lead_funnel._update_lead(_put_status.funnel, _put_status.key, coalesce(assignments, ''), _put_status.status,
                                     _put_status.entered_at, _put_status.handed_over_at);
END
$$;
COMMENT ON FUNCTION lead_funnel._put_status(pg_catalog.name, pg_catalog.text, pg_catalog.text, pg_catalog.timestamptz,
    pg_catalog.bool, pg_catalog.timestamptz) IS
    'update of a lead''s status and, where they are given, of its dates';

-- What is overdue

CREATE FUNCTION lead_funnel._statuses_of(funnel pg_catalog.name, stage @extschema@.lead_stage)
    RETURNS pg_catalog.text[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT array_agg(m.value) || _statuses_of.stage::text
    FROM lead_funnel.funnel AS f
    LEFT JOIN lead_funnel.stage_map AS m ON m.funnel_id = f.funnel_id AND m.stage::text = _statuses_of.stage::text
    WHERE f.name = _statuses_of.funnel
$$;
COMMENT ON FUNCTION lead_funnel._statuses_of(pg_catalog.name, @extschema@.lead_stage) IS
    'values of the stage column that may mean a stage';

CREATE FUNCTION lead_funnel._has_status(stage_column pg_catalog.name, statuses pg_catalog.text)
    RETURNS pg_catalog.text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('(pg_catalog.lower(t.%1$I::pg_catalog.text COLLATE pg_catalog."C") OPERATOR(pg_catalog.=) '
                  'ANY (SELECT pg_catalog.lower(s.value COLLATE pg_catalog."C") FROM pg_catalog.unnest(%2$s) AS s (value)) '
                  'OR t.%1$I IS NULL AND EXISTS (SELECT FROM pg_catalog.unnest(%2$s) AS s (value) WHERE s.value IS NULL))',
                  stage_column, statuses)
$$;
COMMENT ON FUNCTION lead_funnel._has_status(pg_catalog.name, pg_catalog.text) IS
    'condition that a row t of a lead table has one of the statuses, a parameter of the query';

-- The caller's own view of the table; whether they are overdue, the journal says
CREATE FUNCTION lead_funnel._waiting(funnel pg_catalog.name)
    RETURNS TABLE (lead pg_catalog.text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    t pg_catalog.record;
BEGIN
    SELECT o.* INTO t FROM lead_funnel._target(_waiting.funnel, '') AS o;
    RETURN QUERY EXECUTE pg_catalog.format(
        'SELECT t.%I::pg_catalog.text FROM %s AS t WHERE %s',
        t.key_column, t.relation, lead_funnel._has_status(t.stage_column, '$1'))
    USING lead_funnel._statuses_of(_waiting.funnel, 'mql');
END
$$;
COMMENT ON FUNCTION lead_funnel._waiting(pg_catalog.name) IS
    'keys of the leads in mql that the caller sees';

CREATE FUNCTION lead_funnel._overdue(funnel pg_catalog.name)
    RETURNS TABLE (lead pg_catalog.text, due_at pg_catalog.timestamptz)
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_overdue';
COMMENT ON FUNCTION lead_funnel._overdue(pg_catalog.name) IS
    'keys of the leads that the caller sees and for which run_due() has something to do';

CREATE FUNCTION lead_funnel._expire(funnel pg_catalog.name, key pg_catalog.text, OUT lead pg_catalog.text,
                                    OUT action pg_catalog.text, OUT handed_over_at pg_catalog.timestamptz,
                                    OUT due_at pg_catalog.timestamptz)
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_expire';
COMMENT ON FUNCTION lead_funnel._expire(pg_catalog.name, pg_catalog.text) IS
    'what run_due() does for a lead; NULL if there is nothing to do, or another session is at it';

CREATE FUNCTION lead_funnel.run_due(funnel pg_catalog.name)
    RETURNS TABLE (lead pg_catalog.text, action pg_catalog.text, handed_over_at pg_catalog.timestamptz,
                   due_at pg_catalog.timestamptz)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
#variable_conflict use_column
DECLARE
    overdue pg_catalog.text;
    moving pg_catalog.text;
    has_moved pg_catalog.bool;
BEGIN
    PERFORM lead_funnel._check_given(run_due.funnel);
    FOR overdue IN SELECT o.lead FROM lead_funnel._overdue(run_due.funnel) AS o LOOP
        RETURN QUERY
        SELECT e.lead, e.action, e.handed_over_at, e.due_at
        FROM lead_funnel._expire(run_due.funnel, overdue) AS e
        WHERE e.action IS NOT NULL;
    END LOOP;
    FOREACH moving IN ARRAY ARRAY(SELECT a.lead FROM lead_funnel._automatic_leads(run_due.funnel) AS a) LOOP
        -- and on, as far as the rules lead
        has_moved := false;
        WHILE lead_funnel._move_automatically(run_due.funnel, moving) IS NOT NULL LOOP
            has_moved := true;
        END LOOP;
        IF has_moved THEN
            RETURN QUERY SELECT moving, 'automatic'::pg_catalog.text, NULL::pg_catalog.timestamptz, NULL::pg_catalog.timestamptz;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION lead_funnel.run_due(pg_catalog.name) IS
    'one row per hand-over that was overdue and is escalated or expired now, and per lead that automatic rules have moved now; to be called by a clock';

-- The public functions, for keys of each type

DO $do$
DECLARE
    key_type pg_catalog.text;
    result CONSTANT pg_catalog.text := $$(lead pg_catalog.text, verdict pg_catalog.text, from_stage @extschema@.lead_stage,
        to_stage @extschema@.lead_stage, decided_at pg_catalog.timestamptz, decided_by pg_catalog.text,
        reason pg_catalog.text, note pg_catalog.text, move pg_catalog.int4, is_new pg_catalog.bool)$$;
BEGIN
    FOREACH key_type IN ARRAY ARRAY['text', 'int8', 'uuid'] LOOP
        EXECUTE pg_catalog.format($$
            CREATE FUNCTION lead_funnel.accept(funnel pg_catalog.name, key pg_catalog.%1$s,
                                               note pg_catalog.text DEFAULT NULL, actor pg_catalog.text DEFAULT NULL)
                RETURNS TABLE %2$s
                LANGUAGE sql VOLATILE PARALLEL UNSAFE
                AS $f$
                SELECT d.* FROM lead_funnel._decide($1, $2::pg_catalog.text, 'accepted', 'sal', NULL, $3, $4) AS d
            $f$;
            COMMENT ON FUNCTION lead_funnel.accept(pg_catalog.name, pg_catalog.%1$s, pg_catalog.text, pg_catalog.text) IS
                'acceptance of a lead by sales, which moves it to sal; the decision itself if it has been accepted already';

            CREATE FUNCTION lead_funnel.reject(funnel pg_catalog.name, key pg_catalog.%1$s, reason_code pg_catalog.text,
                                               note pg_catalog.text DEFAULT NULL, actor pg_catalog.text DEFAULT NULL)
                RETURNS TABLE %2$s
                LANGUAGE sql VOLATILE PARALLEL UNSAFE
                AS $f$
                SELECT d.* FROM lead_funnel._decide($1, $2::pg_catalog.text, 'rejected', 'rejected', $3, $4, $5) AS d
            $f$;
            COMMENT ON FUNCTION lead_funnel.reject(pg_catalog.name, pg_catalog.%1$s, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
                'rejection of a lead by sales, which moves it to rejected; the decision itself if it has been rejected already';

            CREATE FUNCTION lead_funnel.recycle(funnel pg_catalog.name, key pg_catalog.%1$s, reason pg_catalog.text,
                                                note pg_catalog.text DEFAULT NULL, actor pg_catalog.text DEFAULT NULL)
                RETURNS TABLE %2$s
                LANGUAGE sql VOLATILE PARALLEL UNSAFE
                AS $f$
                SELECT d.* FROM lead_funnel._decide($1, $2::pg_catalog.text, 'recycled', 'recycled', $3, $4, $5) AS d
            $f$;
            COMMENT ON FUNCTION lead_funnel.recycle(pg_catalog.name, pg_catalog.%1$s, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
                'return of a lead that sales had accepted to marketing, which moves it to recycled';

            CREATE FUNCTION lead_funnel.undo_move(funnel pg_catalog.name, key pg_catalog.%1$s, reason pg_catalog.text DEFAULT NULL,
                                                  note pg_catalog.text DEFAULT NULL, actor pg_catalog.text DEFAULT NULL)
                RETURNS TABLE (lead pg_catalog.text, from_stage @extschema@.lead_stage, to_stage @extschema@.lead_stage,
                               effective_at pg_catalog.timestamptz, move pg_catalog.int4)
                LANGUAGE sql VOLATILE PARALLEL UNSAFE
                AS $f$
                SELECT u.* FROM lead_funnel._undo($1, $2::pg_catalog.text, $3, $4, $5) AS u
            $f$;
            COMMENT ON FUNCTION lead_funnel.undo_move(pg_catalog.name, pg_catalog.%1$s, pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
                'return of a lead to where it was before its last move, as if that had not been'$$, key_type, result);
    END LOOP;
END
$do$;
