-- Functions for the rest of the extension: triggers, and what the functions
-- that manage funnels need from C.  Names begin with an underscore; those that
-- act with our rights are nobody's to call.

CREATE FUNCTION lead_funnel.track() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'lf_track';
COMMENT ON FUNCTION lead_funnel.track() IS 'trigger that judges and journals each write of a lead';
REVOKE ALL ON FUNCTION lead_funnel.track() FROM PUBLIC;

CREATE FUNCTION lead_funnel.flush() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'lf_flush';
COMMENT ON FUNCTION lead_funnel.flush() IS 'trigger that appends a statement''s changes to the statistics';
REVOKE ALL ON FUNCTION lead_funnel.flush() FROM PUBLIC;

CREATE FUNCTION lead_funnel.truncated() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'lf_truncated';
COMMENT ON FUNCTION lead_funnel.truncated() IS 'trigger that journals that all leads leave with a TRUNCATE';
REVOKE ALL ON FUNCTION lead_funnel.truncated() FROM PUBLIC;

CREATE FUNCTION lead_funnel.stamp() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'lf_stamp';
COMMENT ON FUNCTION lead_funnel.stamp() IS 'trigger that fills the column that says since when a lead is in its stage';
REVOKE ALL ON FUNCTION lead_funnel.stamp() FROM PUBLIC;

CREATE FUNCTION lead_funnel._origin("char") RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lf_origin';
COMMENT ON FUNCTION lead_funnel._origin("char") IS 'word for the origin of a journal row';

CREATE FUNCTION lead_funnel._constraint_name("char") RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lf_constraint';
COMMENT ON FUNCTION lead_funnel._constraint_name("char") IS 'constraint that a journalled move has broken';

CREATE FUNCTION lead_funnel._last_date_step(internal, integer, timestamptz) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'lf_last_date_step';
COMMENT ON FUNCTION lead_funnel._last_date_step(internal, integer, timestamptz) IS 'step of aggregate _last_date';
CREATE FUNCTION lead_funnel._last_date_final(internal) RETURNS timestamptz
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'lf_last_date';
COMMENT ON FUNCTION lead_funnel._last_date_final(internal) IS 'result of aggregate _last_date';
CREATE AGGREGATE lead_funnel._last_date(move integer, date timestamptz) (
    SFUNC = lead_funnel._last_date_step, STYPE = internal, SSPACE = 16,
    FINALFUNC = lead_funnel._last_date_final, PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_funnel._last_date(integer, timestamptz) IS 'the date of the row with the highest move that has one';

CREATE FUNCTION lead_funnel._caller() RETURNS name
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'lf_caller';
COMMENT ON FUNCTION lead_funnel._caller() IS 'role that called the public function that is running';

CREATE FUNCTION lead_funnel._funnel_of(funnel name,
        OUT funnel_id integer, OUT relation regclass, OUT key_column name,
        OUT stage_column name, OUT key_kind text, OUT status text)
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lf_funnel_of';
COMMENT ON FUNCTION lead_funnel._funnel_of(name) IS 'table and columns of a funnel';

CREATE FUNCTION lead_funnel._status_for(funnel name, stage @extschema@.lead_stage) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lf_status_for';
COMMENT ON FUNCTION lead_funnel._status_for(name, @extschema@.lead_stage) IS 'value that stands for a stage in the status column of a funnel';

CREATE FUNCTION lead_funnel._last_move(
        OUT lead text, OUT from_stage @extschema@.lead_stage, OUT to_stage @extschema@.lead_stage,
        OUT effective_at timestamptz, OUT move integer)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_last_move';
COMMENT ON FUNCTION lead_funnel._last_move() IS 'last move that this transaction journalled, once; NULL if there is none';

CREATE FUNCTION lead_funnel._column_allowed(relation regclass, attname name, use text) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lf_column_allowed';
COMMENT ON FUNCTION lead_funnel._column_allowed(regclass, name, text) IS 'why a column does not fit its use in a funnel; NULL if it does';

CREATE FUNCTION lead_funnel._table_state(funnel_id integer)
    RETURNS TABLE (lead_id bigint, lead_key text, stage @extschema@.lead_stage, status text,
        source text, campaign text, owner text, segment text, currency text, value numeric,
        entered_at timestamptz, handed_over_at timestamptz)
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10000 AS 'MODULE_PATHNAME', 'lf_table_state';
COMMENT ON FUNCTION lead_funnel._table_state(integer) IS 'leads as the lead table has them';
REVOKE ALL ON FUNCTION lead_funnel._table_state(integer) FROM PUBLIC;

CREATE FUNCTION lead_funnel._backfill(funnel_id integer) RETURNS bigint
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_backfill';
COMMENT ON FUNCTION lead_funnel._backfill(integer) IS 'leads taken into the journal as opening stock';
REVOKE ALL ON FUNCTION lead_funnel._backfill(integer) FROM PUBLIC;

CREATE FUNCTION lead_funnel._set_state(funnel_id integer, lead_id bigint, lead_key text,
        stage @extschema@.lead_stage, status text, source text, campaign text, owner text,
        segment text, currency text, value numeric) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_set_state';
COMMENT ON FUNCTION lead_funnel._set_state(integer, bigint, text, @extschema@.lead_stage, text, text, text, text, text, text, numeric)
    IS 'correction of the journal for one lead, with origin reconcile';
REVOKE ALL ON FUNCTION lead_funnel._set_state(integer, bigint, text, @extschema@.lead_stage, text, text, text, text, text, text, numeric) FROM PUBLIC;

CREATE FUNCTION lead_funnel._mark(funnel_id integer, origin text) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_mark';
COMMENT ON FUNCTION lead_funnel._mark(integer, text) IS 'marker that all leads of a funnel leave';
REVOKE ALL ON FUNCTION lead_funnel._mark(integer, text) FROM PUBLIC;

CREATE FUNCTION lead_funnel._fold(funnel_id integer) RETURNS boolean
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_fold';
COMMENT ON FUNCTION lead_funnel._fold(integer) IS 'fold of the pending deltas into a new generation';
REVOKE ALL ON FUNCTION lead_funnel._fold(integer) FROM PUBLIC;

CREATE FUNCTION lead_funnel._lock_statistics(funnel_id integer) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_lock_statistics';
COMMENT ON FUNCTION lead_funnel._lock_statistics(integer) IS 'lock that folds of a funnel take';
REVOKE ALL ON FUNCTION lead_funnel._lock_statistics(integer) FROM PUBLIC;

CREATE FUNCTION lead_funnel._snapshot() RETURNS pg_snapshot
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'lf_snapshot';
COMMENT ON FUNCTION lead_funnel._snapshot() IS 'snapshot of the query, in which the own transaction is in progress';

CREATE FUNCTION lead_funnel._flush() RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_flush_now';
COMMENT ON FUNCTION lead_funnel._flush() IS 'write of what this session still holds in memory';

CREATE FUNCTION lead_funnel._require_idle(relation regclass) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_require_idle';
COMMENT ON FUNCTION lead_funnel._require_idle(regclass) IS
    'error if a query of this session is at work on the table; else all that it has written goes to the journal';
REVOKE ALL ON FUNCTION lead_funnel._require_idle(regclass) FROM PUBLIC;

CREATE FUNCTION lead_funnel._invalidate(relation regclass) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'lf_invalidate';
COMMENT ON FUNCTION lead_funnel._invalidate(regclass) IS 'notice to all sessions that a funnel has changed';
REVOKE ALL ON FUNCTION lead_funnel._invalidate(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION lead_funnel._flush() FROM PUBLIC;
