--
-- Notifications of moves, by NOTIFY
--

CREATE FUNCTION lead_funnel.set_notify(funnel pg_catalog.name, channel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'lf_as_owner';
COMMENT ON FUNCTION lead_funnel.set_notify(pg_catalog.name, pg_catalog.name) IS
    'channel on which whoever listens is told of each move of a lead; NULL ends that';

CREATE FUNCTION lead_funnel._set_notify(funnel pg_catalog.name, channel pg_catalog.name)
    RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    f lead_funnel.funnel := lead_funnel._funnel_row(_set_notify.funnel);
BEGIN
    IF _set_notify.channel = '' THEN
        RAISE EXCEPTION 'channel must not be empty'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Give a name for LISTEN, or NULL to end notifications.';
    END IF;
    UPDATE lead_funnel.funnel AS o SET notify_channel = _set_notify.channel WHERE o.funnel_id = f.funnel_id;
    PERFORM lead_funnel._invalidate(f.relation);
END
$$;
COMMENT ON FUNCTION lead_funnel._set_notify(pg_catalog.name, pg_catalog.name) IS
    'implementation of set_notify()';
REVOKE ALL ON FUNCTION lead_funnel._set_notify(pg_catalog.name, pg_catalog.name) FROM PUBLIC;
