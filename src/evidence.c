/*-------------------------------------------------------------------------
 *
 * evidence.c
 *	  What a row of a lead table says of the lead's qualification and score.
 *
 * NOTES
 *	  Data never raise an error here: a row may hold what is no qualification
 *	  as long as no rule asks for one.  What cannot be read is kept as text, for
 *	  the message of the gate that it fails.
 *
 * IDENTIFICATION
 *	  src/evidence.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "calendar.h"
#include "compat.h"
#include "evidence.h"
#include "settings.h"

/* How much of what cannot be read is shown. */
#define LF_SHOWN_BYTES 60

static bool
has_qualification(const Funnel *funnel)
{
	return funnel->binding != NULL || funnel->attnum[LF_COL_QUALIFICATION] != InvalidAttrNumber;
}

bool
lf_evidence_has_score(const Funnel *funnel)
{
	return funnel->score_source != NULL || funnel->attnum[LF_COL_SCORE] != InvalidAttrNumber;
}

bool
lf_evidence_is_read(const Funnel *funnel)
{
	return has_qualification(funnel) || lf_evidence_has_score(funnel);
}

static void
set_unreadable(Evidence *evidence, TupleTableSlot *slot, AttrNumber attnum, const char *value)
{
	int			length = strlen(value);
	int			shown = pg_mbcliplen(value, length, LF_SHOWN_BYTES);

	/* the first one is told */
	if (evidence->unreadable == NULL)
		evidence->unreadable = cstring_to_text(psprintf("\"%.*s%s\" in column \"%s\"", shown, value,
														shown < length ? "..." : "",
														NameStr(TupleDescAttr(slot->tts_tupleDescriptor, attnum - 1)->attname)));
}

/* ---------- a column with a qualification ---------- */

static void
read_jsonb(Jsonb *jb, TupleTableSlot *slot, AttrNumber attnum, Evidence *evidence)
{
	JsonbValue	v;

	/* the null of JSON is the NULL of SQL */
	if (JB_ROOT_IS_SCALAR(jb) && JsonbExtractScalar(&jb->root, &v) && v.type == jbvNull)
		return;
	if (!lf_qualification_from_jsonb(jb, &evidence->qualification, LF_QUIET))
	{
		evidence->qualification = 0;
		set_unreadable(evidence, slot, attnum, JsonbToCString(NULL, &jb->root, VARSIZE(jb)));
	}
}

static void
read_text(const text *t, TupleTableSlot *slot, AttrNumber attnum, Evidence *evidence)
{
	if (lf_is_blank(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)))
		return;
	if (!lf_qualification_parse(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), &evidence->qualification, LF_QUIET))
	{
		evidence->qualification = 0;
		set_unreadable(evidence, slot, attnum, text_to_cstring(t));
	}
}

static void
read_column(const Funnel *funnel, TupleTableSlot *slot, Evidence *evidence)
{
	AttrNumber	attnum = funnel->attnum[LF_COL_QUALIFICATION];
	Oid			type = funnel->type[LF_COL_QUALIFICATION];
	bool		isnull;
	Datum		value = slot_getattr(slot, attnum, &isnull);

	if (isnull)
		return;
	if (type == JSONBOID)
		read_jsonb(DatumGetJsonbP(value), slot, attnum, evidence);
	else if (type == TEXTOID || type == VARCHAROID || type == BPCHAROID)
		read_text(DatumGetTextPP(value), slot, attnum, evidence);
	else
	{
		evidence->qualification = DatumGetQualification(value);
		/* what a damaged page holds must not lead astray */
		if (lf_qualification_framework(evidence->qualification) > LF_FRAMEWORK_COUNT ||
			lf_qualification_framework(evidence->qualification) == LF_FRAMEWORK_NONE)
			(void) lf_qualification_check(evidence->qualification);
	}
}

/* ---------- columns with levels, amounts, roles, dates ---------- */

/* The level of a criterion; what is no level is an input of bant_evaluate(), or cannot be read. */
static int
read_level(const Binding *binding, int criterion, TupleTableSlot *slot, NullableDatum *inputs, Evidence *evidence)
{
	AttrNumber	attnum = binding->attnum[criterion];
	Oid			type = binding->type[criterion];
	bool		isnull;
	Datum		value = slot_getattr(slot, attnum, &isnull);
	NullableDatum *input;
	text	   *t;
	int			level;

	if (isnull)
		return LF_LEVEL_NOT_ASKED;
	if (type == INT2OID || type == INT4OID || type == INT8OID)
	{
		int64		number = lf_value_as_integer(value, type);

		if (number >= LF_LEVEL_NO && number <= LF_LEVEL_CONFIRMED)
			return (int) number;
		set_unreadable(evidence, slot, attnum, psprintf(INT64_FORMAT, number));
		return LF_LEVEL_NOT_ASKED;
	}
	t = lf_value_as_text(value, type);
	if (lf_is_blank(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)))
		return LF_LEVEL_NOT_ASKED;
	if (lf_level_parse(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), &level))
		return level;
	if (binding->framework == LF_FRAMEWORK_BANT && criterion == LF_BANT_AUTHORITY)
		input = &inputs[LF_BOUND_ROLE - LF_BOUND_AMOUNT];
	else if (binding->framework == LF_FRAMEWORK_BANT && criterion == LF_BANT_NEED)
		input = &inputs[LF_BOUND_PROBLEM - LF_BOUND_AMOUNT];
	else
	{
		set_unreadable(evidence, slot, attnum, text_to_cstring(t));
		return LF_LEVEL_NOT_ASKED;
	}
	input->value = PointerGetDatum(t);
	input->isnull = false;
	return LF_LEVEL_NOT_ASKED;
}

static DateADT
read_day(Datum value, Oid type, pg_tz *tz)
{
	Timestamp	t;
	DateADT		day;

	if (type == DATEOID)
		return DatumGetDateADT(value);
	t = DatumGetTimestamp(value);
	if (TIMESTAMP_IS_NOBEGIN(t))
		return DATEVAL_NOBEGIN;
	if (TIMESTAMP_IS_NOEND(t))
		return DATEVAL_NOEND;
	if (type == TIMESTAMPTZOID)
		return lf_local_day(t, tz);
	day = t / USECS_PER_DAY;
	return t % USECS_PER_DAY < 0 ? day - 1 : day;
}

/* A column as bant_evaluate() takes it. */
static Datum
read_input(const Funnel *funnel, BoundInput input, Datum value)
{
	Oid			type = funnel->binding->type[input];

	switch (input)
	{
		case LF_BOUND_AMOUNT:
		case LF_BOUND_PRICE:
		case LF_BOUND_IMPACT:
			return PointerGetDatum(lf_value_as_numeric(value, type));
		case LF_BOUND_ROLE:
		case LF_BOUND_PROBLEM:
			return PointerGetDatum(lf_value_as_text(value, type));
		case LF_BOUND_DECISION:
			return DateADTGetDatum(read_day(value, type, funnel->tz));
		default:
			return value;
	}
}

static Qualification
evaluate(const Funnel *funnel, TupleTableSlot *slot, TimestampTz as_of, const NullableDatum *inputs)
{
	const Binding *binding = funnel->binding;

	LOCAL_FCINFO(fcinfo, LF_BANT_ARGUMENTS);

	InitFunctionCallInfoData(*fcinfo, NULL, LF_BANT_ARGUMENTS, InvalidOid, NULL, NULL);
	memcpy(fcinfo->args, binding->thresholds, sizeof(binding->thresholds));
	for (int i = LF_BOUND_AMOUNT; i < LF_BOUND_COUNT; i++)
	{
		NullableDatum *arg = &fcinfo->args[i - LF_BOUND_AMOUNT];

		*arg = inputs[i - LF_BOUND_AMOUNT];
		if (binding->attnum[i] == InvalidAttrNumber)
			continue;
		arg->value = slot_getattr(slot, binding->attnum[i], &arg->isnull);
		if (!arg->isnull)
			arg->value = read_input(funnel, i, arg->value);
	}
	if (fcinfo->args[LF_BOUND_PRICE - LF_BOUND_AMOUNT].isnull)
		fcinfo->args[LF_BOUND_PRICE - LF_BOUND_AMOUNT] = binding->price;
	fcinfo->args[LF_BANT_AS_OF].value = DateADTGetDatum(lf_local_day(as_of, funnel->tz));
	fcinfo->args[LF_BANT_AS_OF].isnull = false;
	return DatumGetQualification(bant_evaluate(fcinfo));
}

static void
read_binding(const Funnel *funnel, TupleTableSlot *slot, TimestampTz as_of, Evidence *evidence)
{
	const Binding *binding = funnel->binding;
	int			count = lf_criterion_count(binding->framework);
	int			levels[LF_MAX_CRITERIA];
	NullableDatum inputs[LF_BOUND_COUNT - LF_BOUND_AMOUNT];
	Qualification evaluated = 0;

	for (int i = 0; i < (int) lengthof(inputs); i++)
	{
		inputs[i].value = (Datum) 0;
		inputs[i].isnull = true;
	}
	for (int c = 0; c < count; c++)
		levels[c] = binding->attnum[c] == InvalidAttrNumber ? LF_LEVEL_NOT_ASKED :
			read_level(binding, c, slot, inputs, evidence);
	if (binding->evaluates)
		evaluated = evaluate(funnel, slot, as_of, inputs);
	/* a level that somebody has set goes before what is made of other data */
	for (int c = 0; c < count && evaluated != 0; c++)
	{
		if (levels[c] == LF_LEVEL_NOT_ASKED)
			levels[c] = lf_qualification_level(evaluated, c);
	}
	evidence->qualification = lf_qualification_make(binding->framework, levels);
}

/* ---------- score ---------- */

/* NaN and infinity are no scores. */
static Numeric
read_score(const Funnel *funnel, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, funnel->attnum[LF_COL_SCORE], &isnull);
	Numeric		score;

	if (isnull)
		return NULL;
	score = DatumGetNumeric(PointerGetDatum(lf_value_as_numeric(value, funnel->type[LF_COL_SCORE])));
	return numeric_is_nan(score) || numeric_is_inf(score) ? NULL : score;
}

static void
make_score(ScoreSource *source, TupleTableSlot *slot, TimestampTz as_of, Evidence *evidence)
{
	ScoreCall  *call = &source->call;

	if (!lf_score_is_current(call, NameStr(source->model)))
		lf_score_prepare(call, NameStr(source->model), slot->tts_tupleDescriptor, source->cxt);
	evidence->score = int64_to_numeric(lf_score_slot(call->row, slot, source->axis, as_of, NULL));
	evidence->score_model = call->model->model_id;
	evidence->score_version = call->model->version;
}

void
lf_evidence_read(const Funnel *funnel, TupleTableSlot *slot, TimestampTz as_of, Evidence *evidence)
{
	memset(evidence, 0, sizeof(*evidence));
	if (funnel->binding != NULL)
		read_binding(funnel, slot, as_of, evidence);
	else if (funnel->attnum[LF_COL_QUALIFICATION] != InvalidAttrNumber)
		read_column(funnel, slot, evidence);
	if (funnel->score_source != NULL)
		make_score(funnel->score_source, slot, as_of, evidence);
	else if (funnel->attnum[LF_COL_SCORE] != InvalidAttrNumber)
		evidence->score = read_score(funnel, slot);
}
