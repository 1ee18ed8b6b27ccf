/*-------------------------------------------------------------------------
 *
 * lead_stage.c
 *	  The type lead_stage: where a lead stands in the funnel.
 *
 * NOTES
 *	  A lead_stage is one byte, passed by value, that holds the rank of the
 *	  stage (1 to 11).  Everything outside C sees the label: text and binary
 *	  form alike carry it, as those of enums do, since drivers decode a binary
 *	  format that they do not know as text.
 *
 *	  text, varchar and bpchar cast to lead_stage implicitly and lead_stage
 *	  casts to them on assignment only.  Were both directions implicit, the
 *	  parser would compare a stage with a text column alphabetically.  For the
 *	  same reason there is no comparison operator between the two types; the
 *	  pattern operators at the end of this file are safe, because a pattern is
 *	  never a stage.
 *
 *	  Nothing here reads a catalog or depends on a locale, so that every
 *	  function but the pattern operators gives the same answer for ever and a
 *	  lead_stage can be an index and partition key.
 *
 * IDENTIFICATION
 *	  src/lead_stage.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/sortsupport.h"

#include "compat.h"
#include "lead_stage.h"

/* What stage_class() tells apart */
#define CLASS_OPEN		"open"
#define CLASS_PARKED	"parked"
#define CLASS_WON		"won"
#define CLASS_LOST		"lost"

typedef struct StageInfo
{
	const char *label;			/* lower case, ASCII */
	int			label_len;
	const char *class_label;	/* one of CLASS_xxx */
} StageInfo;

#define STAGE_INFO(label, class_label) {label, sizeof(label) - 1, class_label}

/* Indexed by rank; place 0 is LF_STAGE_NONE */
static const StageInfo stages[LF_STAGE_COUNT + 1] = {
	[LF_STAGE_NONE] = {NULL, 0, NULL},
	[LF_STAGE_LEAD] = STAGE_INFO("lead", CLASS_OPEN),
	[LF_STAGE_MQL] = STAGE_INFO("mql", CLASS_OPEN),
	[LF_STAGE_SAL] = STAGE_INFO("sal", CLASS_OPEN),
	[LF_STAGE_SQL] = STAGE_INFO("sql", CLASS_OPEN),
	[LF_STAGE_OPPORTUNITY] = STAGE_INFO("opportunity", CLASS_OPEN),
	[LF_STAGE_WON] = STAGE_INFO("won", CLASS_WON),
	[LF_STAGE_NURTURE] = STAGE_INFO("nurture", CLASS_PARKED),
	[LF_STAGE_RECYCLED] = STAGE_INFO("recycled", CLASS_LOST),
	[LF_STAGE_REJECTED] = STAGE_INFO("rejected", CLASS_LOST),
	[LF_STAGE_DISQUALIFIED] = STAGE_INFO("disqualified", CLASS_LOST),
	[LF_STAGE_LOST] = STAGE_INFO("lost", CLASS_LOST),
};

static const StageInfo *stage_info(LeadStage stage);
static LeadStage parse_or_report(const char *s, int len, Node *escontext);
static int	lead_stage_fastcmp(Datum x, Datum y, SortSupport ssup);
static Datum match_label(FunctionCallInfo fcinfo, PGFunction matcher);

/*
 * stage_info returns the table entry of a stage that was stored or parsed.
 *
 * No SQL can make any other value, so one means a damaged page.
 */
static const StageInfo *
stage_info(LeadStage stage)
{
	if (stage < LF_STAGE_LEAD || stage > LF_STAGE_COUNT)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid internal value for type %s: %d",
						"lead_stage", stage)));

	return &stages[stage];
}

/*
 * lf_stage_label returns the label of a stage: lower case, NUL-terminated and
 * static.  The stage must not be LF_STAGE_NONE.
 */
const char *
lf_stage_label(LeadStage stage)
{
	return stage_info(stage)->label;
}

/*
 * lf_stage_parse returns the stage with this label, LF_STAGE_NONE if there is
 * none.
 *
 * Letters match in either case, by the rules of ASCII in every locale (to a
 * Turkish one the capital of "disqualified" has dotted letters).  White space
 * is not trimmed.  s need not be NUL-terminated.
 */
LeadStage
lf_stage_parse(const char *s, int len)
{
	for (int stage = LF_STAGE_LEAD; stage <= LF_STAGE_COUNT; stage++)
	{
		const char *label = stages[stage].label;
		int			i;

		if (stages[stage].label_len != len)
			continue;

		for (i = 0; i < len; i++)
		{
			if (pg_ascii_tolower((unsigned char) s[i]) != (unsigned char) label[i])
				break;
		}

		if (i == len)
			return (LeadStage) stage;
	}

	return LF_STAGE_NONE;
}

/*
 * lf_stage_is_open tells whether somebody is working on the lead.
 */
bool
lf_stage_is_open(LeadStage stage)
{
	return stage >= LF_STAGE_LEAD && stage <= LF_STAGE_OPPORTUNITY;
}

/*
 * lf_stage_ends_cycle tells whether entering the stage ends this pass of the
 * lead through the funnel.  A nurtured lead is parked, its cycle goes on.
 */
bool
lf_stage_ends_cycle(LeadStage stage)
{
	return stage == LF_STAGE_WON ||
		(stage >= LF_STAGE_RECYCLED && stage <= LF_STAGE_LOST);
}

/*
 * lf_stage_on_path tells whether the stage is a milestone on the way to a
 * sale, where a higher rank means further.
 */
bool
lf_stage_on_path(LeadStage stage)
{
	return stage >= LF_STAGE_LEAD && stage <= LF_STAGE_WON;
}

/*
 * parse_or_report returns the stage with this label, or reports that there is
 * none: softly, with LF_STAGE_NONE as result, if escontext asks for that.
 */
static LeadStage
parse_or_report(const char *s, int len, Node *escontext)
{
	LeadStage	stage = lf_stage_parse(s, len);

	if (stage == LF_STAGE_NONE)
		ereturn(escontext, LF_STAGE_NONE,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input value for type %s: \"%.*s\"",
						"lead_stage", len, s),
				 errhint("Valid labels are lead, mql, sal, sql, opportunity, won, nurture, recycled, rejected, disqualified, lost.")));

	return stage;
}

/*
 * Input and output
 */

PG_FUNCTION_INFO_V1(lead_stage_in);
Datum
lead_stage_in(PG_FUNCTION_ARGS)
{
	char	   *s = PG_GETARG_CSTRING(0);

	PG_RETURN_LEAD_STAGE(parse_or_report(s, strlen(s), fcinfo->context));
}

PG_FUNCTION_INFO_V1(lead_stage_out);
Datum
lead_stage_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(pstrdup(lf_stage_label(PG_GETARG_LEAD_STAGE(0))));
}

/*
 * lead_stage_recv converts the label, in the client's encoding, to a stage.
 */
PG_FUNCTION_INFO_V1(lead_stage_recv);
Datum
lead_stage_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	char	   *s;
	int			len;

	s = pq_getmsgtext(buf, buf->len - buf->cursor, &len);

	PG_RETURN_LEAD_STAGE(parse_or_report(s, len, fcinfo->context));
}

PG_FUNCTION_INFO_V1(lead_stage_send);
Datum
lead_stage_send(PG_FUNCTION_ARGS)
{
	const StageInfo *info = stage_info(PG_GETARG_LEAD_STAGE(0));
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendtext(&buf, info->label, info->label_len);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * Casts
 */

/*
 * lead_stage_from_text implements the casts from text and from varchar.
 */
PG_FUNCTION_INFO_V1(lead_stage_from_text);
Datum
lead_stage_from_text(PG_FUNCTION_ARGS)
{
	text	   *t = PG_GETARG_TEXT_PP(0);

	PG_RETURN_LEAD_STAGE(parse_or_report(VARDATA_ANY(t),
										 VARSIZE_ANY_EXHDR(t),
										 fcinfo->context));
}

/*
 * lead_stage_from_bpchar leaves out the blanks that pad a char(n) to its
 * length: they are no part of the value.
 */
PG_FUNCTION_INFO_V1(lead_stage_from_bpchar);
Datum
lead_stage_from_bpchar(PG_FUNCTION_ARGS)
{
	BpChar	   *t = PG_GETARG_BPCHAR_PP(0);
	char	   *s = VARDATA_ANY(t);

	PG_RETURN_LEAD_STAGE(parse_or_report(s,
										 bpchartruelen(s, VARSIZE_ANY_EXHDR(t)),
										 fcinfo->context));
}

/*
 * lead_stage_to_text implements the casts to text, varchar and bpchar, whose
 * values are all laid out alike.  A length limit of the target is applied by a
 * cast of its own.
 */
PG_FUNCTION_INFO_V1(lead_stage_to_text);
Datum
lead_stage_to_text(PG_FUNCTION_ARGS)
{
	const StageInfo *info = stage_info(PG_GETARG_LEAD_STAGE(0));

	PG_RETURN_TEXT_P(cstring_to_text_with_len(info->label, info->label_len));
}

/*
 * What a stage means
 */

PG_FUNCTION_INFO_V1(stage_rank);
Datum
stage_rank(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32((int32) PG_GETARG_LEAD_STAGE(0));
}

PG_FUNCTION_INFO_V1(stage_class);
Datum
stage_class(PG_FUNCTION_ARGS)
{
	const StageInfo *info = stage_info(PG_GETARG_LEAD_STAGE(0));

	PG_RETURN_TEXT_P(cstring_to_text(info->class_label));
}

/*
 * String functions that ORMs wrap around any column that looks like text
 */

/*
 * lead_stage_lower implements lower(): the label is in lower case already.
 */
PG_FUNCTION_INFO_V1(lead_stage_lower);
Datum
lead_stage_lower(PG_FUNCTION_ARGS)
{
	return lead_stage_to_text(fcinfo);
}

PG_FUNCTION_INFO_V1(lead_stage_upper);
Datum
lead_stage_upper(PG_FUNCTION_ARGS)
{
	const StageInfo *info = stage_info(PG_GETARG_LEAD_STAGE(0));

	PG_RETURN_TEXT_P(cstring_to_text(asc_toupper(info->label,
												 info->label_len)));
}

PG_FUNCTION_INFO_V1(lead_stage_length);
Datum
lead_stage_length(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(stage_info(PG_GETARG_LEAD_STAGE(0))->label_len);
}

/*
 * Comparison
 */

PG_FUNCTION_INFO_V1(lead_stage_eq);
Datum
lead_stage_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_LEAD_STAGE(0) == PG_GETARG_LEAD_STAGE(1));
}

PG_FUNCTION_INFO_V1(lead_stage_ne);
Datum
lead_stage_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_LEAD_STAGE(0) != PG_GETARG_LEAD_STAGE(1));
}

PG_FUNCTION_INFO_V1(lead_stage_lt);
Datum
lead_stage_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_LEAD_STAGE(0) < PG_GETARG_LEAD_STAGE(1));
}

PG_FUNCTION_INFO_V1(lead_stage_le);
Datum
lead_stage_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_LEAD_STAGE(0) <= PG_GETARG_LEAD_STAGE(1));
}

PG_FUNCTION_INFO_V1(lead_stage_gt);
Datum
lead_stage_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_LEAD_STAGE(0) > PG_GETARG_LEAD_STAGE(1));
}

PG_FUNCTION_INFO_V1(lead_stage_ge);
Datum
lead_stage_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_LEAD_STAGE(0) >= PG_GETARG_LEAD_STAGE(1));
}

PG_FUNCTION_INFO_V1(lead_stage_cmp);
Datum
lead_stage_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32((int32) PG_GETARG_LEAD_STAGE(0) -
					(int32) PG_GETARG_LEAD_STAGE(1));
}

static int
lead_stage_fastcmp(Datum x, Datum y, SortSupport ssup)
{
	return (int) DatumGetLeadStage(x) - (int) DatumGetLeadStage(y);
}

PG_FUNCTION_INFO_V1(lead_stage_sortsupport);
Datum
lead_stage_sortsupport(PG_FUNCTION_ARGS)
{
	SortSupport ssup = (SortSupport) PG_GETARG_POINTER(0);

	ssup->comparator = lead_stage_fastcmp;
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(lead_stage_hash);
Datum
lead_stage_hash(PG_FUNCTION_ARGS)
{
	return hash_uint32(PG_GETARG_LEAD_STAGE(0));
}

PG_FUNCTION_INFO_V1(lead_stage_hash_extended);
Datum
lead_stage_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_uint32_extended(PG_GETARG_LEAD_STAGE(0), PG_GETARG_INT64(1));
}

PG_FUNCTION_INFO_V1(lead_stage_smaller);
Datum
lead_stage_smaller(PG_FUNCTION_ARGS)
{
	PG_RETURN_LEAD_STAGE(Min(PG_GETARG_LEAD_STAGE(0),
							 PG_GETARG_LEAD_STAGE(1)));
}

PG_FUNCTION_INFO_V1(lead_stage_larger);
Datum
lead_stage_larger(PG_FUNCTION_ARGS)
{
	PG_RETURN_LEAD_STAGE(Max(PG_GETARG_LEAD_STAGE(0),
							 PG_GETARG_LEAD_STAGE(1)));
}

/*
 * Pattern matching
 */

/*
 * match_label calls a pattern matching function of text with the label of
 * the first argument, the pattern that is the second one, and the collation
 * of the pattern.
 */
static Datum
match_label(FunctionCallInfo fcinfo, PGFunction matcher)
{
	const StageInfo *info = stage_info(PG_GETARG_LEAD_STAGE(0));
	Datum		pattern = PG_GETARG_DATUM(1);
	Oid			collation = PG_GET_COLLATION();
	text	   *label;

	/* A caller in C may leave the collation out */
	if (!OidIsValid(collation))
		collation = DEFAULT_COLLATION_OID;

	label = cstring_to_text_with_len(info->label, info->label_len);

	return DirectFunctionCall2Coll(matcher, collation,
								   PointerGetDatum(label), pattern);
}

PG_FUNCTION_INFO_V1(lead_stage_like);
Datum
lead_stage_like(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, textlike);
}

PG_FUNCTION_INFO_V1(lead_stage_notlike);
Datum
lead_stage_notlike(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, textnlike);
}

PG_FUNCTION_INFO_V1(lead_stage_ilike);
Datum
lead_stage_ilike(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, texticlike);
}

PG_FUNCTION_INFO_V1(lead_stage_notilike);
Datum
lead_stage_notilike(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, texticnlike);
}

PG_FUNCTION_INFO_V1(lead_stage_regexeq);
Datum
lead_stage_regexeq(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, textregexeq);
}

PG_FUNCTION_INFO_V1(lead_stage_regexne);
Datum
lead_stage_regexne(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, textregexne);
}

PG_FUNCTION_INFO_V1(lead_stage_iregexeq);
Datum
lead_stage_iregexeq(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, texticregexeq);
}

PG_FUNCTION_INFO_V1(lead_stage_iregexne);
Datum
lead_stage_iregexne(PG_FUNCTION_ARGS)
{
	return match_label(fcinfo, texticregexne);
}
