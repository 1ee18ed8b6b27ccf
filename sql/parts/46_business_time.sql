--
-- Calendars: working hours and holidays, and how time is counted in them
--
-- A calendar is of the whole database and names no funnel, so no table's owner
-- can be asked. It belongs to a role, whose members change it. Whoever manages
-- a funnel may make one: others have no use for it, and shall not fill our
-- tables. Reading one is no secret: business_add() tells its hours anyway.
--

-- No foreign keys, as with our other tables: pg_restore --jobs loads tables in
-- any order. The columns are known to business_time.c.
CREATE TABLE lead_funnel.calendar (
    calendar    text PRIMARY KEY,
    timezone    text NOT NULL,
    owner       name NOT NULL,                  -- by name: a role may be missing in a restored copy
    note        text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT calendar_name_check CHECK (btrim(calendar) <> '' AND octet_length(calendar) < 64)
);
COMMENT ON TABLE lead_funnel.calendar IS 'one row per calendar: its time zone and who may change it';

CREATE TABLE lead_funnel.working_hours (
    calendar    text NOT NULL,
    weekday     smallint NOT NULL,              -- 1 Monday to 7 Sunday
    from_time   time NOT NULL,
    to_time     time NOT NULL,                  -- 24:00 is the end of the day
    PRIMARY KEY (calendar, weekday, from_time),
    CONSTRAINT working_hours_weekday_check CHECK (weekday BETWEEN 1 AND 7),
    CONSTRAINT working_hours_order_check CHECK (from_time < to_time)
);
COMMENT ON TABLE lead_funnel.working_hours IS 'one row per span of a weekday in which work is done';

CREATE TABLE lead_funnel.holiday (
    calendar    text NOT NULL,
    day         date NOT NULL,
    note        text,
    PRIMARY KEY (calendar, day),
    CONSTRAINT holiday_day_check CHECK (day BETWEEN '1900-01-01' AND '2999-12-31')
);
COMMENT ON TABLE lead_funnel.holiday IS 'one row per day of a calendar on which no work is done';

-- The one that is always there; a dump leaves it out, since CREATE EXTENSION
-- brings it.
INSERT INTO lead_funnel.calendar (calendar, timezone, owner, note)
SELECT '24x7', 'UTC', r.rolname, 'every moment; built in'
FROM pg_catalog.pg_roles AS r
WHERE r.oid = (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'lead_funnel');
INSERT INTO lead_funnel.working_hours (calendar, weekday, from_time, to_time)
SELECT '24x7', d.weekday, '00:00', '24:00'
FROM pg_catalog.generate_series(1, 7) AS d (weekday);

SELECT pg_catalog.pg_extension_config_dump('lead_funnel.calendar', 'WHERE calendar <> ''24x7''');
SELECT pg_catalog.pg_extension_config_dump('lead_funnel.working_hours', 'WHERE calendar <> ''24x7''');
SELECT pg_catalog.pg_extension_config_dump('lead_funnel.holiday', 'WHERE calendar <> ''24x7''');

-- DML sends no invalidation, and backends keep what they have read.
CREATE FUNCTION lead_funnel._configuration_changed() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM lead_funnel._invalidate(tg_relid::regclass);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION lead_funnel._configuration_changed() IS
    'trigger that makes all sessions read a table of the extension anew';
REVOKE ALL ON FUNCTION lead_funnel._configuration_changed() FROM PUBLIC;

CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_funnel.calendar
    FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel._configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_funnel.working_hours
    FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel._configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_funnel.holiday
    FOR EACH STATEMENT EXECUTE FUNCTION lead_funnel._configuration_changed();

-- Counting

CREATE FUNCTION lead_funnel.business_add(ts pg_catalog.timestamptz, d pg_catalog.interval, calendar pg_catalog.text)
    RETURNS pg_catalog.timestamptz
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lf_business_add_sql';
COMMENT ON FUNCTION lead_funnel.business_add(pg_catalog.timestamptz, pg_catalog.interval, pg_catalog.text) IS
    'moment that is so much working time later, or earlier';

CREATE FUNCTION lead_funnel.business_elapsed(from_ts pg_catalog.timestamptz, to_ts pg_catalog.timestamptz,
                                             calendar pg_catalog.text)
    RETURNS pg_catalog.interval
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lf_business_elapsed_sql';
COMMENT ON FUNCTION lead_funnel.business_elapsed(pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.text) IS
    'working time between two moments, negative if the second one is earlier';

CREATE FUNCTION lead_funnel.business_add_days(ts pg_catalog.timestamptz, business_days pg_catalog.int4,
                                              calendar pg_catalog.text)
    RETURNS pg_catalog.timestamptz
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lf_business_add_days_sql';
COMMENT ON FUNCTION lead_funnel.business_add_days(pg_catalog.timestamptz, pg_catalog.int4, pg_catalog.text) IS
    'the same local time so many working days later, or earlier';

-- Who may change a calendar

-- The calendar is locked until the transaction ends, so that two changes of
-- its hours do not mix and drop_calendar() and set_sla() see each other.
CREATE FUNCTION lead_funnel._edit_calendar(calendar pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    present lead_funnel.calendar;
BEGIN
    IF _edit_calendar.calendar IS NULL THEN
        RAISE EXCEPTION 'calendar must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Give the name of a calendar; view lead_funnel.calendars lists them.';
    END IF;
    SELECT * INTO present FROM lead_funnel.calendar AS c WHERE c.calendar = _edit_calendar.calendar FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'calendar "%" does not exist', _edit_calendar.calendar
            USING ERRCODE = 'undefined_object',
                  HINT = 'See lead_funnel.calendars for those that do, or make one with lead_funnel.create_calendar().';
    END IF;
    IF present.calendar = '24x7' THEN
        RAISE EXCEPTION 'calendar "%" cannot be changed', present.calendar
            USING ERRCODE = 'wrong_object_type',
                  DETAIL = 'It is built in: every moment is working time.',
                  HINT = 'Make another one with lead_funnel.create_calendar().';
    END IF;
    IF NOT (lead_funnel._caller_owns_extension()
            OR EXISTS (SELECT FROM pg_roles AS r
                       WHERE r.rolname = present.owner AND pg_has_role(lead_funnel._caller(), r.oid, 'USAGE'))) THEN
        RAISE EXCEPTION 'permission denied for calendar "%"', present.calendar
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('It is for members of role "%s" to change.', present.owner),
                  HINT = 'Ask one of them, or make a calendar of your own with lead_funnel.create_calendar().';
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._edit_calendar(pg_catalog.text) IS
    'lock on a calendar; an error unless the caller may change it';
REVOKE ALL ON FUNCTION lead_funnel._edit_calendar(pg_catalog.text) FROM PUBLIC;

-- Whoever is to keep a calendar must be able to read it.
CREATE FUNCTION lead_funnel._give_calendar(owner pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM lead_funnel._check_role(owner);
    IF NOT (pg_has_role(lead_funnel._caller(), owner, 'MEMBER') OR lead_funnel._caller_owns_extension()) THEN
        RAISE EXCEPTION 'must be member of role "%"', owner
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'A calendar is given to a role by a member of it.',
                  HINT = 'Name a role that you are a member of, or ask the owner of extension "lead_funnel".';
    END IF;
    IF NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = owner) THEN
        EXECUTE format('GRANT SELECT ON lead_funnel.calendars, lead_funnel.calendar_holidays TO %I', owner);
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._give_calendar(pg_catalog.name) IS
    'right of a role to read calendars; an error unless the caller may give one to it';
REVOKE ALL ON FUNCTION lead_funnel._give_calendar(pg_catalog.name) FROM PUBLIC;

-- create_calendar, alter_calendar, drop_calendar

CREATE FUNCTION lead_funnel.create_calendar(calendar pg_catalog.text, timezone pg_catalog.text,
                                            owner pg_catalog.name DEFAULT NULL, note pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.create_calendar(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text) IS
    'calendar without working hours yet; members of owner may change it';

CREATE FUNCTION lead_funnel._create_calendar(calendar pg_catalog.text, timezone pg_catalog.text, owner pg_catalog.name,
                                             note pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    new_owner CONSTANT name := coalesce(_create_calendar.owner, lead_funnel._caller());
    missing CONSTANT text := CASE WHEN _create_calendar.calendar IS NULL THEN 'calendar'
                                  WHEN _create_calendar.timezone IS NULL THEN 'timezone' END;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% must not be null', missing
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'A calendar needs a name and a time zone: lead_funnel.create_calendar(''office'', ''Europe/Berlin'').';
    END IF;
    IF NOT (lead_funnel._caller_owns_extension()
            OR EXISTS (SELECT
                       FROM lead_funnel.funnel AS f
                       JOIN pg_class AS r ON r.oid = f.relation
                       WHERE pg_has_role(lead_funnel._caller(), r.relowner, 'USAGE'))) THEN
        RAISE EXCEPTION 'permission denied to create a calendar'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'Calendars are made by roles that own the lead table of a funnel, and by the owner of extension "lead_funnel".',
                  HINT = 'Attach your lead table first, or ask one of them: lead_funnel.create_calendar(..., owner => ...).';
    END IF;
    IF btrim(_create_calendar.calendar) = '' OR octet_length(_create_calendar.calendar) > 63 THEN
        RAISE EXCEPTION 'name of a calendar is empty or too long'
            USING ERRCODE = 'invalid_name',
                  HINT = 'Give a name of at most 63 bytes.';
    END IF;
    PERFORM lead_funnel._check_timezone(_create_calendar.timezone);
    INSERT INTO lead_funnel.calendar (calendar, timezone, owner, note)
    VALUES (_create_calendar.calendar, _create_calendar.timezone, new_owner, _create_calendar.note)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'calendar "%" already exists', _create_calendar.calendar
            USING ERRCODE = 'duplicate_object',
                  HINT = 'Calendars are of the whole database; choose another name, or change this one if it is yours.';
    END IF;
    PERFORM lead_funnel._give_calendar(new_owner);
END
$$;
COMMENT ON FUNCTION lead_funnel._create_calendar(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text) IS
    'implementation of create_calendar()';
REVOKE ALL ON FUNCTION lead_funnel._create_calendar(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text) FROM PUBLIC;

CREATE FUNCTION lead_funnel.alter_calendar(calendar pg_catalog.text, timezone pg_catalog.text DEFAULT NULL,
                                           owner pg_catalog.name DEFAULT NULL, note pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.alter_calendar(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text) IS
    'another time zone, owner or note of a calendar; what is NULL stays as it is';

CREATE FUNCTION lead_funnel._alter_calendar(calendar pg_catalog.text, timezone pg_catalog.text, owner pg_catalog.name,
                                            note pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM lead_funnel._edit_calendar(_alter_calendar.calendar);
    IF _alter_calendar.timezone IS NOT NULL THEN
        PERFORM lead_funnel._check_timezone(_alter_calendar.timezone);
    END IF;
    IF _alter_calendar.owner IS NOT NULL THEN
        PERFORM lead_funnel._give_calendar(_alter_calendar.owner);
    END IF;
    UPDATE lead_funnel.calendar AS c
    SET timezone = coalesce(_alter_calendar.timezone, c.timezone),
        owner = coalesce(_alter_calendar.owner, c.owner),
        note = coalesce(_alter_calendar.note, c.note)
    WHERE c.calendar = _alter_calendar.calendar;
END
$$;
COMMENT ON FUNCTION lead_funnel._alter_calendar(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text) IS
    'implementation of alter_calendar()';
REVOKE ALL ON FUNCTION lead_funnel._alter_calendar(pg_catalog.text, pg_catalog.text, pg_catalog.name, pg_catalog.text) FROM PUBLIC;

CREATE FUNCTION lead_funnel.drop_calendar(calendar pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.drop_calendar(pg_catalog.text) IS
    'end of a calendar that no SLA uses or has used';

-- plpgsql looks tables up when it runs: lead_funnel.sla comes with the next part
CREATE FUNCTION lead_funnel._drop_calendar(calendar pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    users text;
BEGIN
    PERFORM lead_funnel._require_read_committed('drop_calendar');
    PERFORM lead_funnel._edit_calendar(_drop_calendar.calendar);
    SELECT string_agg(DISTINCT format('stage "%s" of funnel "%s"', s.stage::text, f.name), ', ') INTO users
    FROM lead_funnel.sla AS s
    JOIN lead_funnel.funnel AS f ON f.funnel_id = s.funnel_id
    WHERE s.calendar = _drop_calendar.calendar;
    IF users IS NOT NULL THEN
        RAISE EXCEPTION 'calendar "%" is still in use', _drop_calendar.calendar
            USING ERRCODE = 'dependent_objects_still_exist',
                  DETAIL = format('It is, or was, that of an SLA of %s.', users),
                  HINT = 'Due dates of the past are computed with it, so keep it. An SLA with other hours takes another calendar from now on: lead_funnel.set_sla().';
    END IF;
    DELETE FROM lead_funnel.holiday AS h WHERE h.calendar = _drop_calendar.calendar;
    DELETE FROM lead_funnel.working_hours AS h WHERE h.calendar = _drop_calendar.calendar;
    DELETE FROM lead_funnel.calendar AS c WHERE c.calendar = _drop_calendar.calendar;
END
$$;
COMMENT ON FUNCTION lead_funnel._drop_calendar(pg_catalog.text) IS
    'implementation of drop_calendar()';
REVOKE ALL ON FUNCTION lead_funnel._drop_calendar(pg_catalog.text) FROM PUBLIC;

-- set_working_hours

CREATE FUNCTION lead_funnel.set_working_hours(calendar pg_catalog.text, weekdays pg_catalog.int4[],
                                              VARIADIC hours pg_catalog.time[] DEFAULT '{}')
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.set_working_hours(pg_catalog.text, pg_catalog.int4[], pg_catalog.time[]) IS
    'working hours of weekdays, 1 Monday to 7 Sunday, in place of those that they had: from, to, from, to, ...; none: days off';

CREATE FUNCTION lead_funnel._set_working_hours(calendar pg_catalog.text, weekdays pg_catalog.int4[],
                                               hours pg_catalog.time[])
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    -- slices have no subscripts to be surprised by
    given CONSTANT time[] := ARRAY(SELECT u.t FROM unnest(_set_working_hours.hours) WITH ORDINALITY AS u (t, n) ORDER BY u.n);
    span record;
BEGIN
    PERFORM lead_funnel._edit_calendar(_set_working_hours.calendar);
    IF _set_working_hours.weekdays IS NULL OR cardinality(_set_working_hours.weekdays) = 0
       OR EXISTS (SELECT FROM unnest(_set_working_hours.weekdays) AS d (weekday) WHERE (d.weekday BETWEEN 1 AND 7) IS NOT TRUE) THEN
        RAISE EXCEPTION 'weekdays must be numbers from 1 to 7'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Monday is 1, Sunday 7; Monday to Friday are ''{1,2,3,4,5}''.';
    END IF;
    IF cardinality(given) % 2 <> 0 OR array_position(given, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'working hours must be pairs of times'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give from and to of each span, such as ''9:00'', ''12:30'', ''13:00'', ''17:00''. No times at all mean days off.';
    END IF;
    FOR span IN
        SELECT h.from_time, h.to_time, lag(h.to_time) OVER (ORDER BY h.from_time, h.to_time) AS before
        FROM (SELECT given[2 * n - 1] AS from_time, given[2 * n] AS to_time
              FROM generate_series(1, cardinality(given) / 2) AS n) AS h
    LOOP
        IF span.from_time >= span.to_time THEN
            RAISE EXCEPTION 'working hours from % to % have no length', span.from_time, span.to_time
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'A shift over midnight is two spans: to ''24:00'' on one day, from ''0:00'' on the next.';
        END IF;
        IF span.from_time < span.before THEN
            RAISE EXCEPTION 'working hours from % to % overlap others', span.from_time, span.to_time
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Give spans that begin when the one before has ended, or later.';
        END IF;
    END LOOP;

    DELETE FROM lead_funnel.working_hours AS h
    WHERE h.calendar = _set_working_hours.calendar AND h.weekday = ANY (_set_working_hours.weekdays);
    INSERT INTO lead_funnel.working_hours (calendar, weekday, from_time, to_time)
    SELECT _set_working_hours.calendar, d.weekday, given[2 * n - 1], given[2 * n]
    FROM (SELECT DISTINCT u.weekday FROM unnest(_set_working_hours.weekdays) AS u (weekday)) AS d
    CROSS JOIN generate_series(1, cardinality(given) / 2) AS n;
END
$$;
COMMENT ON FUNCTION lead_funnel._set_working_hours(pg_catalog.text, pg_catalog.int4[], pg_catalog.time[]) IS
    'implementation of set_working_hours()';
REVOKE ALL ON FUNCTION lead_funnel._set_working_hours(pg_catalog.text, pg_catalog.int4[], pg_catalog.time[]) FROM PUBLIC;

-- Holidays

CREATE FUNCTION lead_funnel.add_holiday(calendar pg_catalog.text, day pg_catalog.date, note pg_catalog.text DEFAULT NULL)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.add_holiday(pg_catalog.text, pg_catalog.date, pg_catalog.text) IS
    'day on which no work is done; if it is one already, its note is replaced';

CREATE FUNCTION lead_funnel._add_holiday(calendar pg_catalog.text, day pg_catalog.date, note pg_catalog.text)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM lead_funnel._edit_calendar(_add_holiday.calendar);
    IF (_add_holiday.day BETWEEN '1900-01-01' AND '2999-12-31') IS NOT TRUE THEN
        RAISE EXCEPTION 'day of a holiday must be from 1900 to 2999'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('The day given is %s.', coalesce(_add_holiday.day::text, 'NULL')),
                  HINT = 'Holidays that recur are added year by year.';
    END IF;
    INSERT INTO lead_funnel.holiday (calendar, day, note)
    VALUES (_add_holiday.calendar, _add_holiday.day, _add_holiday.note)
    ON CONFLICT ON CONSTRAINT holiday_pkey DO UPDATE SET note = excluded.note;
END
$$;
COMMENT ON FUNCTION lead_funnel._add_holiday(pg_catalog.text, pg_catalog.date, pg_catalog.text) IS
    'implementation of add_holiday()';
REVOKE ALL ON FUNCTION lead_funnel._add_holiday(pg_catalog.text, pg_catalog.date, pg_catalog.text) FROM PUBLIC;

CREATE FUNCTION lead_funnel.remove_holiday(calendar pg_catalog.text, day pg_catalog.date)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner_unchecked';
COMMENT ON FUNCTION lead_funnel.remove_holiday(pg_catalog.text, pg_catalog.date) IS
    'day that is no holiday any more';

CREATE FUNCTION lead_funnel._remove_holiday(calendar pg_catalog.text, day pg_catalog.date)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM lead_funnel._edit_calendar(_remove_holiday.calendar);
    DELETE FROM lead_funnel.holiday AS h WHERE h.calendar = _remove_holiday.calendar AND h.day = _remove_holiday.day;
    IF NOT FOUND THEN
        RAISE NOTICE '% is no holiday of calendar "%"', coalesce(_remove_holiday.day::text, 'NULL'), _remove_holiday.calendar;
    END IF;
END
$$;
COMMENT ON FUNCTION lead_funnel._remove_holiday(pg_catalog.text, pg_catalog.date) IS
    'implementation of remove_holiday()';
REVOKE ALL ON FUNCTION lead_funnel._remove_holiday(pg_catalog.text, pg_catalog.date) FROM PUBLIC;
