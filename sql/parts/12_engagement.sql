--
-- engagement: how warm a lead is
--
-- The sum of its events' points, each of which decays with a half-life. 24
-- bytes by reference; the type stands in the schema that CREATE EXTENSION
-- names, since operators are found by search_path.
--

CREATE TYPE @extschema@.engagement;

-- Input and output: stable, since the text form has a time in the zone of the
-- session, with its offset. The binary form is the text form.

CREATE FUNCTION @extschema@.engagement_in(pg_catalog.cstring)
    RETURNS @extschema@.engagement
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_in(pg_catalog.cstring) IS
    'input function of engagement';

CREATE FUNCTION @extschema@.engagement_out(@extschema@.engagement)
    RETURNS pg_catalog.cstring
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_out(@extschema@.engagement) IS
    'output function of engagement';

CREATE FUNCTION @extschema@.engagement_recv(pg_catalog.internal)
    RETURNS @extschema@.engagement
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_recv(pg_catalog.internal) IS
    'binary input function of engagement';

CREATE FUNCTION @extschema@.engagement_send(@extschema@.engagement)
    RETURNS pg_catalog.bytea
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_send(@extschema@.engagement) IS
    'binary output function of engagement';

CREATE TYPE @extschema@.engagement (
    INPUT = @extschema@.engagement_in,
    OUTPUT = @extschema@.engagement_out,
    RECEIVE = @extschema@.engagement_recv,
    SEND = @extschema@.engagement_send,
    INTERNALLENGTH = 24,
    ALIGNMENT = double,
    STORAGE = plain,
    CATEGORY = 'U',
    PREFERRED = false
);
COMMENT ON TYPE @extschema@.engagement IS
    'how warm a lead is: points that decay with a half-life, as points@time of the newest event/half-life';

-- Casts from text types on assignment, for drivers that send strings as text;
-- not implicit, since text + text and sum(text) would then mean engagements

CREATE CAST (pg_catalog.text AS @extschema@.engagement)
    WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (pg_catalog.text AS @extschema@.engagement) IS
    'text form to engagement; on assignment';

CREATE CAST (pg_catalog.varchar AS @extschema@.engagement)
    WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (pg_catalog.varchar AS @extschema@.engagement) IS
    'text form to engagement; on assignment';

CREATE CAST (pg_catalog.bpchar AS @extschema@.engagement)
    WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (pg_catalog.bpchar AS @extschema@.engagement) IS
    'text form to engagement; on assignment';

-- Making and reading. make_engagement is not strict: NULL points give NULL, but
-- points without a time or a half-life are an error.

CREATE FUNCTION @extschema@.make_engagement(points pg_catalog.float8, at pg_catalog.timestamptz, half_life pg_catalog.interval)
    RETURNS @extschema@.engagement
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.make_engagement(pg_catalog.float8, pg_catalog.timestamptz, pg_catalog.interval) IS
    'engagement of one event';

CREATE FUNCTION @extschema@.points_at(@extschema@.engagement, pg_catalog.timestamptz)
    RETURNS pg_catalog.float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.points_at(@extschema@.engagement, pg_catalog.timestamptz) IS
    'points that are left of the engagement at a time';

CREATE FUNCTION @extschema@.cools_below(@extschema@.engagement, pg_catalog.float8)
    RETURNS pg_catalog.timestamptz
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.cools_below(@extschema@.engagement, pg_catalog.float8) IS
    'time from which on the engagement has less than so many points; -infinity if it has so at its newest event already, infinity if never';

CREATE FUNCTION @extschema@.half_life(@extschema@.engagement)
    RETURNS pg_catalog.interval
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'engagement_half_life';
COMMENT ON FUNCTION @extschema@.half_life(@extschema@.engagement) IS
    'half-life of the engagement';

CREATE FUNCTION @extschema@.newest(@extschema@.engagement)
    RETURNS pg_catalog.timestamptz
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'engagement_newest';
COMMENT ON FUNCTION @extschema@.newest(@extschema@.engagement) IS
    'time of the newest event of the engagement';

-- Sum and difference

CREATE FUNCTION @extschema@.engagement_pl(@extschema@.engagement, @extschema@.engagement)
    RETURNS @extschema@.engagement
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_pl(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the + operator';

CREATE OPERATOR @extschema@.+ (
    FUNCTION = @extschema@.engagement_pl,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement,
    COMMUTATOR = OPERATOR(@extschema@.+)
);
COMMENT ON OPERATOR @extschema@.+ (@extschema@.engagement, @extschema@.engagement) IS
    'sum of two engagements of one half-life';

CREATE FUNCTION @extschema@.engagement_mi(@extschema@.engagement, @extschema@.engagement)
    RETURNS @extschema@.engagement
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_mi(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the - operator';

CREATE OPERATOR @extschema@.- (
    FUNCTION = @extschema@.engagement_mi,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement
);
COMMENT ON OPERATOR @extschema@.- (@extschema@.engagement, @extschema@.engagement) IS
    'difference of two engagements of one half-life';

-- Comparison: by half-life, then by warmth, which is the same order at every moment, then by newest event, later first

CREATE FUNCTION @extschema@.engagement_eq(@extschema@.engagement, @extschema@.engagement)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_eq(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the = operator';

CREATE FUNCTION @extschema@.engagement_ne(@extschema@.engagement, @extschema@.engagement)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_ne(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the <> operator';

CREATE FUNCTION @extschema@.engagement_lt(@extschema@.engagement, @extschema@.engagement)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_lt(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the < operator';

CREATE FUNCTION @extschema@.engagement_le(@extschema@.engagement, @extschema@.engagement)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_le(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the <= operator';

CREATE FUNCTION @extschema@.engagement_gt(@extschema@.engagement, @extschema@.engagement)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_gt(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the > operator';

CREATE FUNCTION @extschema@.engagement_ge(@extschema@.engagement, @extschema@.engagement)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_ge(@extschema@.engagement, @extschema@.engagement) IS
    'implementation of the >= operator';

CREATE OPERATOR @extschema@.= (
    FUNCTION = @extschema@.engagement_eq,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement,
    COMMUTATOR = OPERATOR(@extschema@.=),
    NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = pg_catalog.eqsel,
    JOIN = pg_catalog.eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.engagement, @extschema@.engagement) IS
    'equal';

CREATE OPERATOR @extschema@.<> (
    FUNCTION = @extschema@.engagement_ne,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement,
    COMMUTATOR = OPERATOR(@extschema@.<>),
    NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = pg_catalog.neqsel,
    JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.engagement, @extschema@.engagement) IS
    'not equal';

CREATE OPERATOR @extschema@.< (
    FUNCTION = @extschema@.engagement_lt,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement,
    COMMUTATOR = OPERATOR(@extschema@.>),
    NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = pg_catalog.scalarltsel,
    JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.engagement, @extschema@.engagement) IS
    'colder';

CREATE OPERATOR @extschema@.<= (
    FUNCTION = @extschema@.engagement_le,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement,
    COMMUTATOR = OPERATOR(@extschema@.>=),
    NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = pg_catalog.scalarlesel,
    JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.engagement, @extschema@.engagement) IS
    'colder or equal';

CREATE OPERATOR @extschema@.> (
    FUNCTION = @extschema@.engagement_gt,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement,
    COMMUTATOR = OPERATOR(@extschema@.<),
    NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = pg_catalog.scalargtsel,
    JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.engagement, @extschema@.engagement) IS
    'warmer';

CREATE OPERATOR @extschema@.>= (
    FUNCTION = @extschema@.engagement_ge,
    LEFTARG = @extschema@.engagement,
    RIGHTARG = @extschema@.engagement,
    COMMUTATOR = OPERATOR(@extschema@.<=),
    NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = pg_catalog.scalargesel,
    JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.engagement, @extschema@.engagement) IS
    'warmer or equal';

CREATE FUNCTION @extschema@.engagement_cmp(@extschema@.engagement, @extschema@.engagement)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_cmp(@extschema@.engagement, @extschema@.engagement) IS
    'less than, equal to or greater than 0 as the first engagement is colder, equal or warmer';

CREATE FUNCTION @extschema@.engagement_sortsupport(pg_catalog.internal)
    RETURNS pg_catalog.void
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_sortsupport(pg_catalog.internal) IS
    'sort support of engagement';

CREATE FUNCTION @extschema@.engagement_hash(@extschema@.engagement)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_hash(@extschema@.engagement) IS
    'hash of the engagement';

CREATE FUNCTION @extschema@.engagement_hash_extended(@extschema@.engagement, pg_catalog.int8)
    RETURNS pg_catalog.int8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_hash_extended(@extschema@.engagement, pg_catalog.int8) IS
    '64-bit hash of the engagement with a seed';

CREATE OPERATOR CLASS @extschema@.engagement_ops
    DEFAULT FOR TYPE @extschema@.engagement USING btree AS
    OPERATOR 1 @extschema@.< (@extschema@.engagement, @extschema@.engagement),
    OPERATOR 2 @extschema@.<= (@extschema@.engagement, @extschema@.engagement),
    OPERATOR 3 @extschema@.= (@extschema@.engagement, @extschema@.engagement),
    OPERATOR 4 @extschema@.>= (@extschema@.engagement, @extschema@.engagement),
    OPERATOR 5 @extschema@.> (@extschema@.engagement, @extschema@.engagement),
    FUNCTION 1 @extschema@.engagement_cmp(@extschema@.engagement, @extschema@.engagement),
    FUNCTION 2 @extschema@.engagement_sortsupport(pg_catalog.internal),
    FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid);
COMMENT ON OPERATOR CLASS @extschema@.engagement_ops USING btree IS
    'engagements by warmth';
COMMENT ON OPERATOR FAMILY @extschema@.engagement_ops USING btree IS
    'engagements by warmth';

CREATE OPERATOR CLASS @extschema@.engagement_ops
    DEFAULT FOR TYPE @extschema@.engagement USING hash AS
    OPERATOR 1 @extschema@.= (@extschema@.engagement, @extschema@.engagement),
    FUNCTION 1 @extschema@.engagement_hash(@extschema@.engagement),
    FUNCTION 2 @extschema@.engagement_hash_extended(@extschema@.engagement, pg_catalog.int8);
COMMENT ON OPERATOR CLASS @extschema@.engagement_ops USING hash IS
    'engagements by hash';
COMMENT ON OPERATOR FAMILY @extschema@.engagement_ops USING hash IS
    'engagements by hash';

CREATE FUNCTION @extschema@.engagement_smaller(@extschema@.engagement, @extschema@.engagement)
    RETURNS @extschema@.engagement
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_smaller(@extschema@.engagement, @extschema@.engagement) IS
    'the colder engagement of two';

CREATE FUNCTION @extschema@.engagement_larger(@extschema@.engagement, @extschema@.engagement)
    RETURNS @extschema@.engagement
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_larger(@extschema@.engagement, @extschema@.engagement) IS
    'the warmer engagement of two';

CREATE AGGREGATE @extschema@.min(@extschema@.engagement) (
    SFUNC = @extschema@.engagement_smaller,
    STYPE = @extschema@.engagement,
    COMBINEFUNC = @extschema@.engagement_smaller,
    SORTOP = OPERATOR(@extschema@.<),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.min(@extschema@.engagement) IS
    'coldest engagement';

CREATE AGGREGATE @extschema@.max(@extschema@.engagement) (
    SFUNC = @extschema@.engagement_larger,
    STYPE = @extschema@.engagement,
    COMBINEFUNC = @extschema@.engagement_larger,
    SORTOP = OPERATOR(@extschema@.>),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.max(@extschema@.engagement) IS
    'warmest engagement';

-- Sums. None of these functions is strict, but for those that take a state apart: there is no state before the first
-- value. No inverse for moving windows: what a sum has lost to a larger one cannot be got back.

CREATE FUNCTION @extschema@.engagement_accum(pg_catalog.internal, pg_catalog.float8, pg_catalog.timestamptz, pg_catalog.interval)
    RETURNS pg_catalog.internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_accum(pg_catalog.internal, pg_catalog.float8, pg_catalog.timestamptz, pg_catalog.interval) IS
    'transition function of the aggregate engagement';

CREATE FUNCTION @extschema@.engagement_sum(pg_catalog.internal, @extschema@.engagement)
    RETURNS pg_catalog.internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_sum(pg_catalog.internal, @extschema@.engagement) IS
    'transition function of the aggregate sum';

CREATE FUNCTION @extschema@.engagement_combine(pg_catalog.internal, pg_catalog.internal)
    RETURNS pg_catalog.internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_combine(pg_catalog.internal, pg_catalog.internal) IS
    'combine function of the aggregates engagement and sum';

CREATE FUNCTION @extschema@.engagement_serialize(pg_catalog.internal)
    RETURNS pg_catalog.bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_serialize(pg_catalog.internal) IS
    'serialization function of the aggregates engagement and sum';

CREATE FUNCTION @extschema@.engagement_deserialize(pg_catalog.bytea, pg_catalog.internal)
    RETURNS pg_catalog.internal
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_deserialize(pg_catalog.bytea, pg_catalog.internal) IS
    'deserialization function of the aggregates engagement and sum';

CREATE FUNCTION @extschema@.engagement_final(pg_catalog.internal)
    RETURNS @extschema@.engagement
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.engagement_final(pg_catalog.internal) IS
    'final function of the aggregates engagement and sum';

CREATE AGGREGATE @extschema@.engagement(points pg_catalog.float8, at pg_catalog.timestamptz, half_life pg_catalog.interval) (
    SFUNC = @extschema@.engagement_accum,
    STYPE = pg_catalog.internal,
    SSPACE = 64,
    FINALFUNC = @extschema@.engagement_final,
    COMBINEFUNC = @extschema@.engagement_combine,
    SERIALFUNC = @extschema@.engagement_serialize,
    DESERIALFUNC = @extschema@.engagement_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.engagement(pg_catalog.float8, pg_catalog.timestamptz, pg_catalog.interval) IS
    'engagement of all events';

CREATE AGGREGATE @extschema@.sum(@extschema@.engagement) (
    SFUNC = @extschema@.engagement_sum,
    STYPE = pg_catalog.internal,
    SSPACE = 64,
    FINALFUNC = @extschema@.engagement_final,
    COMBINEFUNC = @extschema@.engagement_combine,
    SERIALFUNC = @extschema@.engagement_serialize,
    DESERIALFUNC = @extschema@.engagement_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.sum(@extschema@.engagement) IS
    'sum of engagements of one half-life';
