--
-- SLA: how long a lead may stay in a stage
--

-- One row per change, so that a changed target does not rewrite the past: a
-- clock runs by the row that was in force when it started. A row with neither
-- target nor business_days ends the SLA. The columns are known to sla.c.
CREATE TABLE lead_funnel.sla (
    funnel_id     integer NOT NULL,
    stage         @extschema@.lead_stage NOT NULL,
    valid_from    timestamptz NOT NULL,
    target        interval,
    business_days integer,
    calendar      text,
    changed_by    name NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (funnel_id, stage, valid_from),
    CONSTRAINT sla_target_check CHECK (target IS NULL OR business_days IS NULL),
    CONSTRAINT sla_calendar_check CHECK ((calendar IS NULL) = (target IS NULL AND business_days IS NULL))
);
ALTER TABLE lead_funnel.sla REPLICA IDENTITY FULL;
COMMENT ON TABLE lead_funnel.sla IS 'one row per change of the time that leads may stay in a stage of a funnel';
SELECT pg_catalog.pg_extension_config_dump('lead_funnel.sla', '');

CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_funnel.sla
    FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel._configuration_changed();

-- Views call it with the rights of their reader, so everybody may: it looks
-- itself whether that role may read the funnel.
CREATE FUNCTION lead_funnel._due_at(funnel_id pg_catalog.int4, stage @extschema@.lead_stage,
                                    started_at pg_catalog.timestamptz)
    RETURNS pg_catalog.timestamptz
    LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'lf_due_at';
COMMENT ON FUNCTION lead_funnel._due_at(pg_catalog.int4, @extschema@.lead_stage, pg_catalog.timestamptz) IS
    'when a lead is to have left a stage by the SLA that was in force when the clock started; NULL if none was, infinity if the calendar leaves no time';
GRANT EXECUTE ON FUNCTION lead_funnel._due_at(pg_catalog.int4, @extschema@.lead_stage, pg_catalog.timestamptz) TO PUBLIC;

CREATE FUNCTION lead_funnel.set_sla(funnel pg_catalog.name,
                                    stage @extschema@.lead_stage,
                                    target pg_catalog.interval,
                                    calendar pg_catalog.text DEFAULT '24x7',
                                    business_days pg_catalog.int4 DEFAULT NULL,
                                    valid_from pg_catalog.timestamptz DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.set_sla(pg_catalog.name, @extschema@.lead_stage, pg_catalog.interval, pg_catalog.text,
    pg_catalog.int4, pg_catalog.timestamptz) IS
    'how long leads may stay in a stage, for clocks that start from valid_from on, by default now; no target and no business_days: as long as they like';

CREATE FUNCTION lead_funnel._set_sla(funnel pg_catalog.name,
                                     stage @extschema@.lead_stage,
                                     target pg_catalog.interval,
                                     calendar pg_catalog.text,
                                     business_days pg_catalog.int4,
                                     valid_from pg_catalog.timestamptz)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_set_sla.funnel);
    since CONSTANT timestamptz := coalesce(_set_sla.valid_from, now());
    ends CONSTANT boolean := _set_sla.target IS NULL AND _set_sla.business_days IS NULL;
    missing CONSTANT text := CASE WHEN _set_sla.stage IS NULL THEN 'stage'
                                  WHEN _set_sla.calendar IS NULL AND NOT ends THEN 'calendar' END;
    present lead_funnel.sla;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = CASE missing WHEN 'stage' THEN 'Name the stage that leads are to leave in time.'
                                      ELSE 'Leave it out to count every moment; view lead_funnel.calendars lists the others.' END;
    END IF;
    IF _set_sla.target IS NOT NULL AND _set_sla.business_days IS NOT NULL THEN
        RAISE EXCEPTION 'target and business_days cannot both be given'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give hours as target, or NULL as target and a number of business_days.';
    END IF;
    IF EXTRACT(month FROM _set_sla.target) <> 0 OR EXTRACT(year FROM _set_sla.target) <> 0
       OR EXTRACT(day FROM _set_sla.target) <> 0 THEN
        RAISE EXCEPTION 'target cannot be given in days or months'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A day of 24 hours and a working day are not the same, and the interval does not say which one it means.',
                  HINT = 'Give hours, or NULL as target and a number of business_days.';
    END IF;
    IF _set_sla.target <= interval '0' OR _set_sla.business_days <= 0 THEN
        RAISE EXCEPTION 'target of an SLA must be more than 0'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'NULL as target, without business_days, ends the SLA.';
    END IF;
    IF since = 'infinity' THEN
        RAISE EXCEPTION 'valid_from must not be infinity'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Leave it out for now; ''-infinity'' makes the target count for all visits of the past, too.';
    END IF;
    IF NOT ends THEN
        -- until the end of the transaction, against drop_calendar()
        PERFORM FROM lead_funnel.calendar AS c WHERE c.calendar = _set_sla.calendar FOR SHARE;
        -- an error if it does not exist or has no working time
        PERFORM lead_funnel.business_elapsed(now(), now(), _set_sla.calendar);
    END IF;

    PERFORM FROM lead_funnel.funnel AS o WHERE o.funnel_id = f.funnel_id FOR UPDATE;
    DELETE FROM lead_funnel.sla AS s
    WHERE s.funnel_id = f.funnel_id AND s.stage::text = _set_sla.stage::text AND s.valid_from > since;
    SELECT * INTO present
    FROM lead_funnel.sla AS s
    WHERE s.funnel_id = f.funnel_id AND s.stage::text = _set_sla.stage::text
    ORDER BY s.valid_from DESC
    LIMIT 1;
    IF (present.target, present.business_days, present.calendar)
       IS NOT DISTINCT FROM (_set_sla.target, _set_sla.business_days, CASE WHEN NOT ends THEN _set_sla.calendar END) THEN
        RETURN;
    END IF;
    INSERT INTO lead_funnel.sla (funnel_id, stage, valid_from, target, business_days, calendar, changed_by)
    VALUES (f.funnel_id, _set_sla.stage, since, _set_sla.target, _set_sla.business_days,
            CASE WHEN NOT ends THEN _set_sla.calendar END, lead_funnel._caller())
    ON CONFLICT ON CONSTRAINT sla_pkey DO UPDATE
    SET target = excluded.target, business_days = excluded.business_days, calendar = excluded.calendar,
        changed_by = excluded.changed_by, changed_at = excluded.changed_at;
END
$$;
COMMENT ON FUNCTION lead_funnel._set_sla(pg_catalog.name, @extschema@.lead_stage, pg_catalog.interval, pg_catalog.text,
    pg_catalog.int4, pg_catalog.timestamptz) IS
    'implementation of set_sla()';
REVOKE ALL ON FUNCTION lead_funnel._set_sla(pg_catalog.name, @extschema@.lead_stage, pg_catalog.interval, pg_catalog.text,
    pg_catalog.int4, pg_catalog.timestamptz) FROM PUBLIC;
