--
-- qualification: what is known of a lead, by one of the frameworks of sales
--
-- Eight bytes by value: the framework and a level for each of its criteria.
-- The type stands in the schema that CREATE EXTENSION names, as lead_stage does.
--

CREATE TYPE @extschema@.qualification;

-- Input and output

CREATE FUNCTION @extschema@.qualification_in(pg_catalog.cstring)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_in(pg_catalog.cstring) IS
    'input function of qualification';

CREATE FUNCTION @extschema@.qualification_out(@extschema@.qualification)
    RETURNS pg_catalog.cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_out(@extschema@.qualification) IS
    'output function of qualification';

CREATE FUNCTION @extschema@.qualification_recv(pg_catalog.internal)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_recv(pg_catalog.internal) IS
    'binary input function of qualification';

CREATE FUNCTION @extschema@.qualification_send(@extschema@.qualification)
    RETURNS pg_catalog.bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_send(@extschema@.qualification) IS
    'binary output function of qualification';

CREATE TYPE @extschema@.qualification (
    INPUT = @extschema@.qualification_in,
    OUTPUT = @extschema@.qualification_out,
    RECEIVE = @extschema@.qualification_recv,
    SEND = @extschema@.qualification_send,
    INTERNALLENGTH = 8,
    PASSEDBYVALUE,
    ALIGNMENT = double,
    STORAGE = plain,
    CATEGORY = 'U',
    PREFERRED = false
);
COMMENT ON TYPE @extschema@.qualification IS
    'what is known of a lead by bant, champ, meddic, meddpicc, anum, faint, gpctba or spiced: a level, 0 no, 1 identified, 2 validated, 3 confirmed, for each criterion that was asked, as bant(budget=2,need=3)';

-- Casts: implicit from text types, so that what drivers send as text is a
-- qualification; to text types on assignment only, as those of lead_stage

CREATE FUNCTION @extschema@.qualification(pg_catalog.text)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_from_text';
COMMENT ON FUNCTION @extschema@.qualification(pg_catalog.text) IS
    'qualification in its text form, as text';

CREATE FUNCTION @extschema@.qualification(pg_catalog.varchar)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_from_text';
COMMENT ON FUNCTION @extschema@.qualification(pg_catalog.varchar) IS
    'qualification in its text form, as varchar';

CREATE FUNCTION @extschema@.qualification(pg_catalog.bpchar)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_from_text';
COMMENT ON FUNCTION @extschema@.qualification(pg_catalog.bpchar) IS
    'qualification in its text form, as bpchar';

CREATE FUNCTION @extschema@.text(@extschema@.qualification)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_to_text';
COMMENT ON FUNCTION @extschema@.text(@extschema@.qualification) IS
    'text form of the qualification as text';

CREATE FUNCTION @extschema@."varchar"(@extschema@.qualification)
    RETURNS pg_catalog.varchar
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_to_text';
COMMENT ON FUNCTION @extschema@."varchar"(@extschema@.qualification) IS
    'text form of the qualification as varchar';

CREATE FUNCTION @extschema@.bpchar(@extschema@.qualification)
    RETURNS pg_catalog.bpchar
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_to_text';
COMMENT ON FUNCTION @extschema@.bpchar(@extschema@.qualification) IS
    'text form of the qualification as bpchar';

CREATE FUNCTION @extschema@.qualification(pg_catalog.jsonb)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_from_jsonb';
COMMENT ON FUNCTION @extschema@.qualification(pg_catalog.jsonb) IS
    'qualification of an object such as {"framework": "bant", "budget": 2}; JSON null gives NULL';

CREATE FUNCTION @extschema@.jsonb(@extschema@.qualification)
    RETURNS pg_catalog.jsonb
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_to_jsonb';
COMMENT ON FUNCTION @extschema@.jsonb(@extschema@.qualification) IS
    'object with the framework and a number for each criterion that was asked';

CREATE CAST (pg_catalog.text AS @extschema@.qualification)
    WITH FUNCTION @extschema@.qualification(pg_catalog.text) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.text AS @extschema@.qualification) IS
    'text form to qualification; implicit';

CREATE CAST (pg_catalog.varchar AS @extschema@.qualification)
    WITH FUNCTION @extschema@.qualification(pg_catalog.varchar) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.varchar AS @extschema@.qualification) IS
    'text form to qualification; implicit';

CREATE CAST (pg_catalog.bpchar AS @extschema@.qualification)
    WITH FUNCTION @extschema@.qualification(pg_catalog.bpchar) AS IMPLICIT;
COMMENT ON CAST (pg_catalog.bpchar AS @extschema@.qualification) IS
    'text form to qualification; implicit';

CREATE CAST (@extschema@.qualification AS pg_catalog.text)
    WITH FUNCTION @extschema@.text(@extschema@.qualification) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.qualification AS pg_catalog.text) IS
    'qualification to text form; on assignment';

CREATE CAST (@extschema@.qualification AS pg_catalog.varchar)
    WITH FUNCTION @extschema@."varchar"(@extschema@.qualification) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.qualification AS pg_catalog.varchar) IS
    'qualification to text form; on assignment';

CREATE CAST (@extschema@.qualification AS pg_catalog.bpchar)
    WITH FUNCTION @extschema@.bpchar(@extschema@.qualification) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.qualification AS pg_catalog.bpchar) IS
    'qualification to text form; on assignment';

CREATE CAST (pg_catalog.jsonb AS @extschema@.qualification)
    WITH FUNCTION @extschema@.qualification(pg_catalog.jsonb) AS ASSIGNMENT;
COMMENT ON CAST (pg_catalog.jsonb AS @extschema@.qualification) IS
    'object to qualification; on assignment';

CREATE CAST (@extschema@.qualification AS pg_catalog.jsonb)
    WITH FUNCTION @extschema@.jsonb(@extschema@.qualification) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.qualification AS pg_catalog.jsonb) IS
    'qualification to object; on assignment';

-- Comparison

CREATE FUNCTION @extschema@.qualification_eq(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_eq(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the = operator';

CREATE FUNCTION @extschema@.qualification_ne(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_ne(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the <> operator';

CREATE FUNCTION @extschema@.qualification_lt(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_lt(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the < operator';

CREATE FUNCTION @extschema@.qualification_le(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_le(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the <= operator';

CREATE FUNCTION @extschema@.qualification_gt(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_gt(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the > operator';

CREATE FUNCTION @extschema@.qualification_ge(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_ge(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the >= operator';

CREATE OPERATOR @extschema@.= (
    FUNCTION = @extschema@.qualification_eq,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.=),
    NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = pg_catalog.eqsel,
    JOIN = pg_catalog.eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.qualification, @extschema@.qualification) IS
    'equal';

CREATE OPERATOR @extschema@.<> (
    FUNCTION = @extschema@.qualification_ne,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.<>),
    NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = pg_catalog.neqsel,
    JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.qualification, @extschema@.qualification) IS
    'not equal';

CREATE OPERATOR @extschema@.< (
    FUNCTION = @extschema@.qualification_lt,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.>),
    NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = pg_catalog.scalarltsel,
    JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.qualification, @extschema@.qualification) IS
    'of an earlier framework, or of the same one and with a lower sum of levels, or else with a lower level at the first criterion that differs';

CREATE OPERATOR @extschema@.<= (
    FUNCTION = @extschema@.qualification_le,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.>=),
    NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = pg_catalog.scalarlesel,
    JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.qualification, @extschema@.qualification) IS
    'less or equal in the order of <';

CREATE OPERATOR @extschema@.> (
    FUNCTION = @extschema@.qualification_gt,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.<),
    NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = pg_catalog.scalargtsel,
    JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.qualification, @extschema@.qualification) IS
    'greater in the order of <';

CREATE OPERATOR @extschema@.>= (
    FUNCTION = @extschema@.qualification_ge,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.<=),
    NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = pg_catalog.scalargesel,
    JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.qualification, @extschema@.qualification) IS
    'greater or equal in the order of <';

CREATE FUNCTION @extschema@.qualification_cmp(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_cmp(@extschema@.qualification, @extschema@.qualification) IS
    'less than, equal to or greater than 0 as the first qualification is less than, equal to or greater than the second';

CREATE FUNCTION @extschema@.qualification_sortsupport(pg_catalog.internal)
    RETURNS pg_catalog.void
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_sortsupport(pg_catalog.internal) IS
    'sort support of qualification';

CREATE FUNCTION @extschema@.qualification_hash(@extschema@.qualification)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_hash(@extschema@.qualification) IS
    'hash of the qualification';

CREATE FUNCTION @extschema@.qualification_hash_extended(@extschema@.qualification, pg_catalog.int8)
    RETURNS pg_catalog.int8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_hash_extended(@extschema@.qualification, pg_catalog.int8) IS
    '64-bit hash of the qualification with a seed';

CREATE OPERATOR CLASS @extschema@.qualification_ops
    DEFAULT FOR TYPE @extschema@.qualification USING btree AS
    OPERATOR 1 @extschema@.< (@extschema@.qualification, @extschema@.qualification),
    OPERATOR 2 @extschema@.<= (@extschema@.qualification, @extschema@.qualification),
    OPERATOR 3 @extschema@.= (@extschema@.qualification, @extschema@.qualification),
    OPERATOR 4 @extschema@.>= (@extschema@.qualification, @extschema@.qualification),
    OPERATOR 5 @extschema@.> (@extschema@.qualification, @extschema@.qualification),
    FUNCTION 1 @extschema@.qualification_cmp(@extschema@.qualification, @extschema@.qualification),
    FUNCTION 2 @extschema@.qualification_sortsupport(pg_catalog.internal),
    FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid);
COMMENT ON OPERATOR CLASS @extschema@.qualification_ops USING btree IS
    'qualifications by framework, then by the sum of their levels';
COMMENT ON OPERATOR FAMILY @extschema@.qualification_ops USING btree IS
    'qualifications by framework, then by the sum of their levels';

CREATE OPERATOR CLASS @extschema@.qualification_ops
    DEFAULT FOR TYPE @extschema@.qualification USING hash AS
    OPERATOR 1 @extschema@.= (@extschema@.qualification, @extschema@.qualification),
    FUNCTION 1 @extschema@.qualification_hash(@extschema@.qualification),
    FUNCTION 2 @extschema@.qualification_hash_extended(@extschema@.qualification, pg_catalog.int8);
COMMENT ON OPERATOR CLASS @extschema@.qualification_ops USING hash IS
    'qualifications by hash';
COMMENT ON OPERATOR FAMILY @extschema@.qualification_ops USING hash IS
    'qualifications by hash';

CREATE FUNCTION @extschema@.qualification_smaller(@extschema@.qualification, @extschema@.qualification)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_smaller(@extschema@.qualification, @extschema@.qualification) IS
    'the lesser one of two qualifications';

CREATE FUNCTION @extschema@.qualification_larger(@extschema@.qualification, @extschema@.qualification)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_larger(@extschema@.qualification, @extschema@.qualification) IS
    'the greater one of two qualifications';

CREATE AGGREGATE @extschema@.min(@extschema@.qualification) (
    SFUNC = @extschema@.qualification_smaller,
    STYPE = @extschema@.qualification,
    COMBINEFUNC = @extschema@.qualification_smaller,
    SORTOP = OPERATOR(@extschema@.<),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.min(@extschema@.qualification) IS
    'least qualification';

CREATE AGGREGATE @extschema@.max(@extschema@.qualification) (
    SFUNC = @extschema@.qualification_larger,
    STYPE = @extschema@.qualification,
    COMBINEFUNC = @extschema@.qualification_larger,
    SORTOP = OPERATOR(@extschema@.>),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.max(@extschema@.qualification) IS
    'greatest qualification';

-- Meeting a gate, and putting answers together

CREATE FUNCTION @extschema@.qualification_contains(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_contains(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the @> operator';

CREATE FUNCTION @extschema@.qualification_contained(@extschema@.qualification, @extschema@.qualification)
    RETURNS pg_catalog.bool
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_contained(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the <@ operator';

CREATE FUNCTION @extschema@.qualification_merge(@extschema@.qualification, @extschema@.qualification)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_merge(@extschema@.qualification, @extschema@.qualification) IS
    'implementation of the || operator';

CREATE FUNCTION @extschema@.qualification_merge(@extschema@.qualification, pg_catalog.text)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_merge_text';
COMMENT ON FUNCTION @extschema@.qualification_merge(@extschema@.qualification, pg_catalog.text) IS
    'implementation of the || operator with a qualification as text';

CREATE OPERATOR @extschema@.@> (
    FUNCTION = @extschema@.qualification_contains,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.<@),
    RESTRICT = pg_catalog.contsel,
    JOIN = pg_catalog.contjoinsel
);
COMMENT ON OPERATOR @extschema@.@> (@extschema@.qualification, @extschema@.qualification) IS
    'meets: the same framework, and each criterion that the right side asks for has at least its level';

CREATE OPERATOR @extschema@.<@ (
    FUNCTION = @extschema@.qualification_contained,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification,
    COMMUTATOR = OPERATOR(@extschema@.@>),
    RESTRICT = pg_catalog.contsel,
    JOIN = pg_catalog.contjoinsel
);
COMMENT ON OPERATOR @extschema@.<@ (@extschema@.qualification, @extschema@.qualification) IS
    'is met by';

CREATE OPERATOR @extschema@.|| (
    FUNCTION = @extschema@.qualification_merge,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = @extschema@.qualification
);
COMMENT ON OPERATOR @extschema@.|| (@extschema@.qualification, @extschema@.qualification) IS
    'the answers of both, those of the right side where both have some';

CREATE OPERATOR @extschema@.|| (
    FUNCTION = @extschema@.qualification_merge,
    LEFTARG = @extschema@.qualification,
    RIGHTARG = pg_catalog.text
);
COMMENT ON OPERATOR @extschema@.|| (@extschema@.qualification, pg_catalog.text) IS
    'the answers of both, those of the right side where both have some; the right side as text';

-- Constructors: a level or NULL, not asked, for each criterion

CREATE FUNCTION @extschema@.bant(
    budget pg_catalog.int4 DEFAULT NULL,
    authority pg_catalog.int4 DEFAULT NULL,
    need pg_catalog.int4 DEFAULT NULL,
    timeline pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_bant';
COMMENT ON FUNCTION @extschema@.bant(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by bant; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

CREATE FUNCTION @extschema@.champ(
    challenges pg_catalog.int4 DEFAULT NULL,
    authority pg_catalog.int4 DEFAULT NULL,
    money pg_catalog.int4 DEFAULT NULL,
    prioritization pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_champ';
COMMENT ON FUNCTION @extschema@.champ(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by champ; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

CREATE FUNCTION @extschema@.meddic(
    metrics pg_catalog.int4 DEFAULT NULL,
    economic_buyer pg_catalog.int4 DEFAULT NULL,
    decision_criteria pg_catalog.int4 DEFAULT NULL,
    decision_process pg_catalog.int4 DEFAULT NULL,
    identify_pain pg_catalog.int4 DEFAULT NULL,
    champion pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_meddic';
COMMENT ON FUNCTION @extschema@.meddic(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by meddic; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

CREATE FUNCTION @extschema@.meddpicc(
    metrics pg_catalog.int4 DEFAULT NULL,
    economic_buyer pg_catalog.int4 DEFAULT NULL,
    decision_criteria pg_catalog.int4 DEFAULT NULL,
    decision_process pg_catalog.int4 DEFAULT NULL,
    paper_process pg_catalog.int4 DEFAULT NULL,
    identify_pain pg_catalog.int4 DEFAULT NULL,
    champion pg_catalog.int4 DEFAULT NULL,
    competition pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_meddpicc';
COMMENT ON FUNCTION @extschema@.meddpicc(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by meddpicc; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

CREATE FUNCTION @extschema@.anum(
    authority pg_catalog.int4 DEFAULT NULL,
    need pg_catalog.int4 DEFAULT NULL,
    urgency pg_catalog.int4 DEFAULT NULL,
    money pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_anum';
COMMENT ON FUNCTION @extschema@.anum(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by anum; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

CREATE FUNCTION @extschema@.faint(
    funds pg_catalog.int4 DEFAULT NULL,
    authority pg_catalog.int4 DEFAULT NULL,
    interest pg_catalog.int4 DEFAULT NULL,
    need pg_catalog.int4 DEFAULT NULL,
    timing pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_faint';
COMMENT ON FUNCTION @extschema@.faint(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by faint; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

CREATE FUNCTION @extschema@.gpctba(
    goals pg_catalog.int4 DEFAULT NULL,
    plans pg_catalog.int4 DEFAULT NULL,
    challenges pg_catalog.int4 DEFAULT NULL,
    timeline pg_catalog.int4 DEFAULT NULL,
    budget pg_catalog.int4 DEFAULT NULL,
    authority pg_catalog.int4 DEFAULT NULL,
    consequences pg_catalog.int4 DEFAULT NULL,
    implications pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_gpctba';
COMMENT ON FUNCTION @extschema@.gpctba(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by gpctba; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

CREATE FUNCTION @extschema@.spiced(
    situation pg_catalog.int4 DEFAULT NULL,
    pain pg_catalog.int4 DEFAULT NULL,
    impact pg_catalog.int4 DEFAULT NULL,
    critical_event pg_catalog.int4 DEFAULT NULL,
    decision pg_catalog.int4 DEFAULT NULL
)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_spiced';
COMMENT ON FUNCTION @extschema@.spiced(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4, pg_catalog.int4) IS
    'qualification by spiced; levels 0 no, 1 identified, 2 validated, 3 confirmed, NULL not asked';

-- Its parts, and measures of it

CREATE FUNCTION @extschema@.framework(@extschema@.qualification)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_framework';
COMMENT ON FUNCTION @extschema@.framework(@extschema@.qualification) IS
    'framework of the qualification';

CREATE FUNCTION @extschema@.get_level(@extschema@.qualification, criterion pg_catalog.text)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_get_level';
COMMENT ON FUNCTION @extschema@.get_level(@extschema@.qualification, pg_catalog.text) IS
    'level of a criterion, 0 to 3; NULL: not asked, or of another framework';

CREATE FUNCTION @extschema@.set_level(@extschema@.qualification, criterion pg_catalog.text, level pg_catalog.int4)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_set_level';
COMMENT ON FUNCTION @extschema@.set_level(@extschema@.qualification, pg_catalog.text, pg_catalog.int4) IS
    'the qualification with another level of a criterion; NULL: not asked';

CREATE FUNCTION @extschema@.set_level(@extschema@.qualification, criterion pg_catalog.text, level pg_catalog.text)
    RETURNS @extschema@.qualification
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_set_level_text';
COMMENT ON FUNCTION @extschema@.set_level(@extschema@.qualification, pg_catalog.text, pg_catalog.text) IS
    'the qualification with another level of a criterion: no, identified, validated, confirmed or 0 to 3; NULL: not asked';

CREATE FUNCTION @extschema@.completeness(@extschema@.qualification)
    RETURNS pg_catalog.float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_completeness';
COMMENT ON FUNCTION @extschema@.completeness(@extschema@.qualification) IS
    'share of the criteria that were asked, 0 to 1';

CREATE FUNCTION @extschema@.criteria_met(@extschema@.qualification, min_level pg_catalog.int4 DEFAULT 1)
    RETURNS pg_catalog.int4
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_criteria_met';
COMMENT ON FUNCTION @extschema@.criteria_met(@extschema@.qualification, pg_catalog.int4) IS
    'number of criteria with this level or more';

CREATE FUNCTION @extschema@.qualification_score(
    @extschema@.qualification,
    weights pg_catalog.jsonb DEFAULT NULL,
    answered_only pg_catalog.bool DEFAULT false
)
    RETURNS pg_catalog.float8
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.qualification_score(@extschema@.qualification, pg_catalog.jsonb, pg_catalog.bool) IS
    'weighted sum of the levels as a share of the highest there can be, 0 to 1; weights: an object with a number for each criterion that counts, NULL: all count alike';

CREATE FUNCTION @extschema@.blockers(@extschema@.qualification)
    RETURNS pg_catalog.text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_blockers';
COMMENT ON FUNCTION @extschema@.blockers(@extschema@.qualification) IS
    'criteria that were answered with no';

-- Judgement by a gate, which is a qualification, too: the levels that are wanted

CREATE FUNCTION @extschema@.missing(@extschema@.qualification, gate @extschema@.qualification)
    RETURNS TABLE (criterion pg_catalog.text, has pg_catalog.int4, needs pg_catalog.int4)
    LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 4
    AS 'MODULE_PATHNAME', 'qualification_missing';
COMMENT ON FUNCTION @extschema@.missing(@extschema@.qualification, @extschema@.qualification) IS
    'criteria that keep the qualification from meeting the gate, with the levels that they have and need';

CREATE FUNCTION @extschema@.missing_text(@extschema@.qualification, gate @extschema@.qualification)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_missing_text';
COMMENT ON FUNCTION @extschema@.missing_text(@extschema@.qualification, @extschema@.qualification) IS
    'what missing() gives, as one line; empty if the gate is met';

CREATE FUNCTION @extschema@.verdict(
    @extschema@.qualification,
    gate @extschema@.qualification,
    no_blockers pg_catalog.bool DEFAULT false
)
    RETURNS pg_catalog.text
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'qualification_verdict';
COMMENT ON FUNCTION @extschema@.verdict(@extschema@.qualification, @extschema@.qualification, pg_catalog.bool) IS
    'qualified, incomplete (all that is missing was not asked), not_yet, or disqualified (answered with no where the gate asks for more, or with no_blockers anywhere)';
