--
-- lead_stage: where a lead stands in the funnel
--
-- One byte by value: the rank of the stage. The type stands in the schema
-- that CREATE EXTENSION names, since operators are found by search_path.
--

CREATE TYPE @extschema@.lead_stage;

-- Input and output

CREATE FUNCTION @extschema@.lead_stage_in(pg_catalog.cstring)
    RETURNS @extschema@.lead_stage
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_in(pg_catalog.cstring) IS
    'input function of lead_stage';

CREATE FUNCTION @extschema@.lead_stage_out(@extschema@.lead_stage)
    RETURNS pg_catalog.cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_out(@extschema@.lead_stage) IS
    'output function of lead_stage';

CREATE FUNCTION @extschema@.lead_stage_recv(pg_catalog.internal)
    RETURNS @extschema@.lead_stage
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_recv(pg_catalog.internal) IS
    'binary input function of lead_stage';

CREATE FUNCTION @extschema@.lead_stage_send(@extschema@.lead_stage)
    RETURNS pg_catalog.bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_send(@extschema@.lead_stage) IS
    'binary output function of lead_stage';

CREATE TYPE @extschema@.lead_stage (
    INPUT = @extschema@.lead_stage_in,
    OUTPUT = @extschema@.lead_stage_out,
    RECEIVE = @extschema@.lead_stage_recv,
    SEND = @extschema@.lead_stage_send,
    INTERNALLENGTH = 1,
    PASSEDBYVALUE,
    ALIGNMENT = char,
    STORAGE = plain,
    CATEGORY = 'U',
    PREFERRED = false
);
COMMENT ON TYPE @extschema@.lead_stage IS
    'where a lead stands in the funnel: lead, mql, sal, sql, opportunity, won, nurture, recycled, rejected, disqualified or lost, in this order';

-- Casts: implicit from text types, so that what drivers send as text is a stage;
-- to text types on assignment only, so that no comparison falls back to text

CREATE FUNCTION @extschema@.lead_stage(pg_catalog.text)
    RETURNS @extschema@.lead_stage
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_from_text';
COMMENT ON FUNCTION @extschema@.lead_stage(pg_catalog.text) IS
    'stage with this label, as text, in either case';

CREATE FUNCTION @extschema@.lead_stage(pg_catalog.varchar)
    RETURNS @extschema@.lead_stage
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_from_text';
COMMENT ON FUNCTION @extschema@.lead_stage(pg_catalog.varchar) IS
    'stage with this label, as varchar, in either case';

CREATE FUNCTION @extschema@.lead_stage(pg_catalog.bpchar)
    RETURNS @extschema@.lead_stage
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_from_bpchar';
COMMENT ON FUNCTION @extschema@.lead_stage(pg_catalog.bpchar) IS
    'stage with this label, as bpchar, in either case and without trailing blanks';

CREATE FUNCTION @extschema@.text(@extschema@.lead_stage)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_to_text';
COMMENT ON FUNCTION @extschema@.text(@extschema@.lead_stage) IS
    'label of the stage as text';

CREATE FUNCTION @extschema@."varchar"(@extschema@.lead_stage)
    RETURNS pg_catalog.varchar
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_to_text';
COMMENT ON FUNCTION @extschema@."varchar"(@extschema@.lead_stage) IS
    'label of the stage as varchar';

CREATE FUNCTION @extschema@.bpchar(@extschema@.lead_stage)
    RETURNS pg_catalog.bpchar
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_to_text';
COMMENT ON FUNCTION @extschema@.bpchar(@extschema@.lead_stage) IS
    'label of the stage as bpchar';

CREATE CAST (pg_catalog.text AS @extschema@.lead_stage)
    WITH FUNCTION @extschema@.lead_stage(pg_catalog.text) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.text AS @extschema@.lead_stage) IS
    'label to stage; implicit';

CREATE CAST (pg_catalog.varchar AS @extschema@.lead_stage)
    WITH FUNCTION @extschema@.lead_stage(pg_catalog.varchar) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.varchar AS @extschema@.lead_stage) IS
    'label to stage; implicit';

CREATE CAST (pg_catalog.bpchar AS @extschema@.lead_stage)
    WITH FUNCTION @extschema@.lead_stage(pg_catalog.bpchar) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.bpchar AS @extschema@.lead_stage) IS
    'label to stage; implicit';

CREATE CAST (@extschema@.lead_stage AS pg_catalog.text)
    WITH FUNCTION @extschema@.text(@extschema@.lead_stage) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.lead_stage AS pg_catalog.text) IS
    'stage to label; on assignment';

CREATE CAST (@extschema@.lead_stage AS pg_catalog.varchar)
    WITH FUNCTION @extschema@."varchar"(@extschema@.lead_stage) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.lead_stage AS pg_catalog.varchar) IS
    'stage to label; on assignment';

CREATE CAST (@extschema@.lead_stage AS pg_catalog.bpchar)
    WITH FUNCTION @extschema@.bpchar(@extschema@.lead_stage) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.lead_stage AS pg_catalog.bpchar) IS
    'stage to label; on assignment';

-- What a stage means

CREATE FUNCTION @extschema@.stage_rank(@extschema@.lead_stage)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.stage_rank(@extschema@.lead_stage) IS
    'rank of the stage, 1 (lead) to 11 (lost)';

CREATE FUNCTION @extschema@.stage_class(@extschema@.lead_stage)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.stage_class(@extschema@.lead_stage) IS
    'class of the stage: open, parked, won or lost';

-- String functions that queries wrap around any column that looks like text

CREATE FUNCTION @extschema@.lower(@extschema@.lead_stage)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_lower';
COMMENT ON FUNCTION @extschema@.lower(@extschema@.lead_stage) IS
    'label of the stage in lower case';

CREATE FUNCTION @extschema@.upper(@extschema@.lead_stage)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_upper';
COMMENT ON FUNCTION @extschema@.upper(@extschema@.lead_stage) IS
    'label of the stage in upper case';

CREATE FUNCTION @extschema@.length(@extschema@.lead_stage)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'lead_stage_length';
COMMENT ON FUNCTION @extschema@.length(@extschema@.lead_stage) IS
    'number of characters in the label of the stage';

-- Comparison, by rank

CREATE FUNCTION @extschema@.lead_stage_eq(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_eq(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'implementation of the = operator';

CREATE FUNCTION @extschema@.lead_stage_ne(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_ne(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'implementation of the <> operator';

CREATE FUNCTION @extschema@.lead_stage_lt(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_lt(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'implementation of the < operator';

CREATE FUNCTION @extschema@.lead_stage_le(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_le(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'implementation of the <= operator';

CREATE FUNCTION @extschema@.lead_stage_gt(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_gt(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'implementation of the > operator';

CREATE FUNCTION @extschema@.lead_stage_ge(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_ge(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'implementation of the >= operator';

CREATE OPERATOR @extschema@.= (
    FUNCTION = @extschema@.lead_stage_eq,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = @extschema@.lead_stage,
    COMMUTATOR = OPERATOR(@extschema@.=),
    NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = pg_catalog.eqsel,
    JOIN = pg_catalog.eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.lead_stage, @extschema@.lead_stage) IS
    'equal';

CREATE OPERATOR @extschema@.<> (
    FUNCTION = @extschema@.lead_stage_ne,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = @extschema@.lead_stage,
    COMMUTATOR = OPERATOR(@extschema@.<>),
    NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = pg_catalog.neqsel,
    JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.lead_stage, @extschema@.lead_stage) IS
    'not equal';

CREATE OPERATOR @extschema@.< (
    FUNCTION = @extschema@.lead_stage_lt,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = @extschema@.lead_stage,
    COMMUTATOR = OPERATOR(@extschema@.>),
    NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = pg_catalog.scalarltsel,
    JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.lead_stage, @extschema@.lead_stage) IS
    'of lower rank';

CREATE OPERATOR @extschema@.<= (
    FUNCTION = @extschema@.lead_stage_le,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = @extschema@.lead_stage,
    COMMUTATOR = OPERATOR(@extschema@.>=),
    NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = pg_catalog.scalarlesel,
    JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.lead_stage, @extschema@.lead_stage) IS
    'of lower or equal rank';

CREATE OPERATOR @extschema@.> (
    FUNCTION = @extschema@.lead_stage_gt,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = @extschema@.lead_stage,
    COMMUTATOR = OPERATOR(@extschema@.<),
    NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = pg_catalog.scalargtsel,
    JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.lead_stage, @extschema@.lead_stage) IS
    'of higher rank';

CREATE OPERATOR @extschema@.>= (
    FUNCTION = @extschema@.lead_stage_ge,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = @extschema@.lead_stage,
    COMMUTATOR = OPERATOR(@extschema@.<=),
    NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = pg_catalog.scalargesel,
    JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.lead_stage, @extschema@.lead_stage) IS
    'of higher or equal rank';

CREATE FUNCTION @extschema@.lead_stage_cmp(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_cmp(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'less than, equal to or greater than 0 as the first stage has a lower, the same or a higher rank';

CREATE FUNCTION @extschema@.lead_stage_sortsupport(pg_catalog.internal)
    RETURNS pg_catalog.void
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_sortsupport(pg_catalog.internal) IS
    'sort support of lead_stage';

CREATE FUNCTION @extschema@.lead_stage_hash(@extschema@.lead_stage)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_hash(@extschema@.lead_stage) IS
    'hash of the stage';

CREATE FUNCTION @extschema@.lead_stage_hash_extended(@extschema@.lead_stage, pg_catalog.int8)
    RETURNS pg_catalog.int8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_hash_extended(@extschema@.lead_stage, pg_catalog.int8) IS
    '64-bit hash of the stage with a seed';

CREATE OPERATOR CLASS @extschema@.lead_stage_ops
    DEFAULT FOR TYPE @extschema@.lead_stage USING btree AS
    OPERATOR 1 @extschema@.< (@extschema@.lead_stage, @extschema@.lead_stage),
    OPERATOR 2 @extschema@.<= (@extschema@.lead_stage, @extschema@.lead_stage),
    OPERATOR 3 @extschema@.= (@extschema@.lead_stage, @extschema@.lead_stage),
    OPERATOR 4 @extschema@.>= (@extschema@.lead_stage, @extschema@.lead_stage),
    OPERATOR 5 @extschema@.> (@extschema@.lead_stage, @extschema@.lead_stage),
    FUNCTION 1 @extschema@.lead_stage_cmp(@extschema@.lead_stage, @extschema@.lead_stage),
    FUNCTION 2 @extschema@.lead_stage_sortsupport(pg_catalog.internal),
    FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid);
COMMENT ON OPERATOR CLASS @extschema@.lead_stage_ops USING btree IS
    'stages by rank';
COMMENT ON OPERATOR FAMILY @extschema@.lead_stage_ops USING btree IS
    'stages by rank';

CREATE OPERATOR CLASS @extschema@.lead_stage_ops
    DEFAULT FOR TYPE @extschema@.lead_stage USING hash AS
    OPERATOR 1 @extschema@.= (@extschema@.lead_stage, @extschema@.lead_stage),
    FUNCTION 1 @extschema@.lead_stage_hash(@extschema@.lead_stage),
    FUNCTION 2 @extschema@.lead_stage_hash_extended(@extschema@.lead_stage, pg_catalog.int8);
COMMENT ON OPERATOR CLASS @extschema@.lead_stage_ops USING hash IS
    'stages by hash';
COMMENT ON OPERATOR FAMILY @extschema@.lead_stage_ops USING hash IS
    'stages by hash';

CREATE FUNCTION @extschema@.lead_stage_smaller(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS @extschema@.lead_stage
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_smaller(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'the stage of lower rank of two';

CREATE FUNCTION @extschema@.lead_stage_larger(@extschema@.lead_stage, @extschema@.lead_stage)
    RETURNS @extschema@.lead_stage
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_larger(@extschema@.lead_stage, @extschema@.lead_stage) IS
    'the stage of higher rank of two';

CREATE AGGREGATE @extschema@.min(@extschema@.lead_stage) (
    SFUNC = @extschema@.lead_stage_smaller,
    STYPE = @extschema@.lead_stage,
    COMBINEFUNC = @extschema@.lead_stage_smaller,
    SORTOP = OPERATOR(@extschema@.<),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.min(@extschema@.lead_stage) IS
    'stage of lowest rank';

CREATE AGGREGATE @extschema@.max(@extschema@.lead_stage) (
    SFUNC = @extschema@.lead_stage_larger,
    STYPE = @extschema@.lead_stage,
    COMBINEFUNC = @extschema@.lead_stage_larger,
    SORTOP = OPERATOR(@extschema@.>),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.max(@extschema@.lead_stage) IS
    'stage of highest rank';

-- Patterns. matchingsel tries them on the most common values, which for stages are
-- all values there are.

CREATE FUNCTION @extschema@.lead_stage_like(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_like(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the ~~ operator';

CREATE FUNCTION @extschema@.lead_stage_notlike(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_notlike(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the !~~ operator';

CREATE FUNCTION @extschema@.lead_stage_ilike(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_ilike(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the ~~* operator';

CREATE FUNCTION @extschema@.lead_stage_notilike(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_notilike(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the !~~* operator';

CREATE FUNCTION @extschema@.lead_stage_regexeq(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_regexeq(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the ~ operator';

CREATE FUNCTION @extschema@.lead_stage_regexne(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_regexne(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the !~ operator';

CREATE FUNCTION @extschema@.lead_stage_iregexeq(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_iregexeq(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the ~* operator';

CREATE FUNCTION @extschema@.lead_stage_iregexne(@extschema@.lead_stage, pg_catalog.text)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.lead_stage_iregexne(@extschema@.lead_stage, pg_catalog.text) IS
    'implementation of the !~* operator';

CREATE OPERATOR @extschema@.~~ (
    FUNCTION = @extschema@.lead_stage_like,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.!~~),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.likejoinsel
);
COMMENT ON OPERATOR @extschema@.~~ (@extschema@.lead_stage, pg_catalog.text) IS
    'label matches LIKE pattern';

CREATE OPERATOR @extschema@.!~~ (
    FUNCTION = @extschema@.lead_stage_notlike,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.~~),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.nlikejoinsel
);
COMMENT ON OPERATOR @extschema@.!~~ (@extschema@.lead_stage, pg_catalog.text) IS
    'label does not match LIKE pattern';

CREATE OPERATOR @extschema@.~~* (
    FUNCTION = @extschema@.lead_stage_ilike,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.!~~*),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.iclikejoinsel
);
COMMENT ON OPERATOR @extschema@.~~* (@extschema@.lead_stage, pg_catalog.text) IS
    'label matches LIKE pattern, case-insensitively';

CREATE OPERATOR @extschema@.!~~* (
    FUNCTION = @extschema@.lead_stage_notilike,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.~~*),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.icnlikejoinsel
);
COMMENT ON OPERATOR @extschema@.!~~* (@extschema@.lead_stage, pg_catalog.text) IS
    'label does not match LIKE pattern, case-insensitively';

CREATE OPERATOR @extschema@.~ (
    FUNCTION = @extschema@.lead_stage_regexeq,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.!~),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.regexeqjoinsel
);
COMMENT ON OPERATOR @extschema@.~ (@extschema@.lead_stage, pg_catalog.text) IS
    'label matches regular expression';

CREATE OPERATOR @extschema@.!~ (
    FUNCTION = @extschema@.lead_stage_regexne,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.~),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.regexnejoinsel
);
COMMENT ON OPERATOR @extschema@.!~ (@extschema@.lead_stage, pg_catalog.text) IS
    'label does not match regular expression';

CREATE OPERATOR @extschema@.~* (
    FUNCTION = @extschema@.lead_stage_iregexeq,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.!~*),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.icregexeqjoinsel
);
COMMENT ON OPERATOR @extschema@.~* (@extschema@.lead_stage, pg_catalog.text) IS
    'label matches regular expression, case-insensitively';

CREATE OPERATOR @extschema@.!~* (
    FUNCTION = @extschema@.lead_stage_iregexne,
    LEFTARG = @extschema@.lead_stage,
    RIGHTARG = pg_catalog.text,
    NEGATOR = OPERATOR(@extschema@.~*),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.icregexnejoinsel
);
COMMENT ON OPERATOR @extschema@.!~* (@extschema@.lead_stage, pg_catalog.text) IS
    'label does not match regular expression, case-insensitively';
