--
-- BANT levels from what a CRM holds
--
-- Each function gives the level of one criterion, NULL where nothing is known.
-- None reads a clock; data never raise an error, thresholds that make no sense do.
--

CREATE FUNCTION @extschema@.bant_budget(
    amount pg_catalog.numeric,
    price pg_catalog.numeric DEFAULT NULL,
    validated_share pg_catalog.numeric DEFAULT 0.8,
    confirmed_share pg_catalog.numeric DEFAULT 1
)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.bant_budget(pg_catalog.numeric, pg_catalog.numeric, pg_catalog.numeric, pg_catalog.numeric) IS
    'level of budget: 0 an amount of 0 or less, 3 from confirmed_share of the price on, 2 from validated_share on, else 1; NULL without an amount';

CREATE FUNCTION @extschema@.bant_authority(role pg_catalog.text, roles pg_catalog.jsonb DEFAULT NULL)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.bant_authority(pg_catalog.text, pg_catalog.jsonb) IS
    'level of authority of a buying role or job title: 3 decides, 2 influences, 0 has no say, else 1; NULL without a role; roles: an object of roles and levels that goes before the list shipped';

CREATE FUNCTION @extschema@.bant_need(
    problem pg_catalog.text,
    fits pg_catalog.bool DEFAULT NULL,
    impact pg_catalog.numeric DEFAULT NULL,
    needed pg_catalog.bool DEFAULT NULL,
    min_impact pg_catalog.numeric DEFAULT NULL
)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.bant_need(pg_catalog.text, pg_catalog.bool, pg_catalog.numeric, pg_catalog.bool, pg_catalog.numeric) IS
    'level of need: 0 not needed or what we offer does not fit, 1 a problem is named, 2 what we offer fits, 3 and the impact is min_impact or more; NULL where nothing is known';

CREATE FUNCTION @extschema@.bant_timeline(
    decision pg_catalog.date,
    as_of pg_catalog.date,
    horizon pg_catalog.interval DEFAULT '6 months',
    near pg_catalog.interval DEFAULT NULL
)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.bant_timeline(pg_catalog.date, pg_catalog.date, pg_catalog.interval, pg_catalog.interval) IS
    'level of timeline: 0 never (infinity), 3 a decision within near of as_of, by default half the horizon, 2 within the horizon, 1 later or past; NULL without a date';

CREATE FUNCTION @extschema@.bant_evaluate(
    amount pg_catalog.numeric DEFAULT NULL,
    price pg_catalog.numeric DEFAULT NULL,
    role pg_catalog.text DEFAULT NULL,
    problem pg_catalog.text DEFAULT NULL,
    fits pg_catalog.bool DEFAULT NULL,
    impact pg_catalog.numeric DEFAULT NULL,
    needed pg_catalog.bool DEFAULT NULL,
    decision pg_catalog.date DEFAULT NULL,
    as_of pg_catalog.date DEFAULT NULL,
    validated_share pg_catalog.numeric DEFAULT 0.8,
    confirmed_share pg_catalog.numeric DEFAULT 1,
    roles pg_catalog.jsonb DEFAULT NULL,
    min_impact pg_catalog.numeric DEFAULT NULL,
    horizon pg_catalog.interval DEFAULT '6 months',
    near pg_catalog.interval DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.bant_evaluate(pg_catalog.numeric, pg_catalog.numeric, pg_catalog.text, pg_catalog.text, pg_catalog.bool, pg_catalog.numeric, pg_catalog.bool, pg_catalog.date, pg_catalog.date, pg_catalog.numeric, pg_catalog.numeric, pg_catalog.jsonb, pg_catalog.numeric, pg_catalog.interval, pg_catalog.interval) IS
    'qualification by bant of what bant_budget(), bant_authority(), bant_need() and bant_timeline() say';
