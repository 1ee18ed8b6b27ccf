/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  Which moves a funnel allows, and how it refuses the others.
 *
 * NOTES
 *	  Errors carry SQLSTATE 23514, which every driver and ORM maps to an
 *	  integrity error, and are told apart by the constraint's name.
 *
 * IDENTIFICATION
 *	  src/rules.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "admin.h"
#include "compat.h"
#include "rules.h"
#include "settings.h"

const char *
lf_constraint_name(char breach)
{
	switch (breach)
	{
		case LF_BREACH_TRANSITION:
			return "lead_funnel_transition";
		case LF_BREACH_GATE:
			return "lead_funnel_gate";
		case LF_BREACH_REASON:
			return "lead_funnel_reason";
		case LF_BREACH_TIME:
			return "lead_funnel_time";
		case LF_BREACH_ROLE:
			return "lead_funnel_role";
		case LF_BREACH_STAGE:
			return "lead_funnel_stage";
		default:
			return NULL;
	}
}

/* The current user is a member of the role; nobody is of one that is not there. */
bool
lf_rule_has_role(const Rule *rule)
{
	Oid			role = get_role_oid(rule->allowed_role, true);

	return OidIsValid(role) && has_privs_of_role(GetUserId(), role);
}

/*
 * The rule that allows the move; NULL if there is none.  A lead that comes
 * back may do so where it was, or where a move could have brought it.
 */
static const Rule *
find_rule(const Funnel *funnel, const Move *move)
{
	static const Rule anything = {.allowed = true};
	const Rule *rule = &funnel->rules[move->from][move->to];

	if (rule->allowed)
		return rule;
	if (move->left_from == LF_STAGE_NONE)
		return NULL;
	if (move->left_from == move->to)
		return &anything;
	rule = &funnel->rules[move->left_from][move->to];
	return rule->allowed ? rule : NULL;
}

char
lf_judge(const Funnel *funnel, const Move *move)
{
	const Rule *rule = find_rule(funnel, move);

	if (rule == NULL)
		return LF_BREACH_TRANSITION;
	if (rule->allowed_role != NULL && !lf_rule_has_role(rule))
		return LF_BREACH_ROLE;
	if (rule->requires_reason && move->reason == NULL)
		return LF_BREACH_REASON;
	if (rule->gate != NULL && !rule->gate->at_commit && !lf_gate_met(rule->gate, move->evidence))
		return LF_BREACH_GATE;
	return LF_BREACH_NONE;
}

const Gate *
lf_gate_of(const Funnel *funnel, const Move *move)
{
	const Rule *rule = find_rule(funnel, move);

	return rule != NULL ? rule->gate : NULL;
}

static bool
owns_or_was_granted(const Funnel *funnel, Oid user)
{
	if (lf_owns_relation(funnel->root, user))
		return true;
	for (int i = 0; i < funnel->noverriders; i++)
	{
		Oid			role = get_role_oid(NameStr(funnel->overriders[i]), true);

		if (OidIsValid(role) && has_privs_of_role(user, role))
			return true;
	}
	return false;
}

/*
 * Both the current user and the one that the session set: a SECURITY DEFINER
 * function of the table's owner must not lend the right to whoever calls it.
 */
bool
lf_may_override(const Funnel *funnel)
{
	return owns_or_was_granted(funnel, GetUserId()) &&
		owns_or_was_granted(funnel, GetOuterUserId());
}

static Oid	known_user = InvalidOid;

/* A role was renamed or dropped. */
static void
forget_role(Datum arg, int cacheid, uint32 hashvalue)
{
	known_user = InvalidOid;
}

text *
lf_role_name(void)
{
	static text *known_name = NULL;
	Oid			user = lf_acting_user();

	if (known_name == NULL)
		CacheRegisterSyscacheCallback(AUTHOID, forget_role, (Datum) 0);
	if (known_name == NULL || known_user != user)
	{
		char	   *name = GetUserNameFromId(user, true);
		MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);

		if (known_name)
			pfree(known_name);
		known_name = cstring_to_text(name ? name : psprintf("%u", user));
		known_user = user;
		MemoryContextSwitchTo(previous);
	}
	return known_name;
}

/* "mql", "nurture": the moves that the rules allow from a stage, or entries. */
static char *
allowed_moves(const Funnel *funnel, LeadStage from)
{
	StringInfoData list;

	initStringInfo(&list);
	for (LeadStage to = 1; to <= LF_STAGE_COUNT; to++)
	{
		if (!funnel->rules[from][to].allowed)
			continue;
		if (list.len > 0)
			appendStringInfoString(&list, ", ");
		appendStringInfoString(&list, lf_stage_label(to));
	}
	return list.data;
}

/* Schema, table, column and constraint fields of the error. */
int
lf_error_fields(const Funnel *funnel, const char *constraint)
{
	err_generic_string(PG_DIAG_SCHEMA_NAME, get_namespace_name(get_rel_namespace(funnel->root)));
	err_generic_string(PG_DIAG_TABLE_NAME, get_rel_name(funnel->root));
	err_generic_string(PG_DIAG_COLUMN_NAME, NameStr(funnel->stage_column));
	if (constraint != NULL)
		err_generic_string(PG_DIAG_CONSTRAINT_NAME, constraint);
	return 0;
}

static char *
describe(const Funnel *funnel, const Move *move, char breach)
{
	char	   *lead = lf_key_string(&move->key);

	if (move->to == LF_STAGE_NONE)
		return psprintf("lead \"%s\" without a stage violates check constraint \"%s\" of funnel \"%s\"",
						lead, lf_constraint_name(breach), NameStr(funnel->name));
	if (move->from == LF_STAGE_NONE)
		return psprintf("lead \"%s\" entering at \"%s\" violates check constraint \"%s\" of funnel \"%s\"",
						lead, lf_stage_label(move->to), lf_constraint_name(breach), NameStr(funnel->name));
	return psprintf("lead \"%s\" moving from \"%s\" to \"%s\" violates check constraint \"%s\" of funnel \"%s\"",
					lead, lf_stage_label(move->from), lf_stage_label(move->to),
					lf_constraint_name(breach), NameStr(funnel->name));
}

static char *
override_hint(const Funnel *funnel)
{
	if (lf_setting_override() != NULL)
		return psprintf(" lead_funnel.override has no effect for role \"%s\": it is honoured for the owner of the table and for roles with lead_funnel.grant_override(), also as the session's own role.",
						GetUserNameFromId(GetUserId(), false));
	return pstrdup("");
}

static void
refuse_transition(const Funnel *funnel, const Move *move, char *message)
{
	char	   *moves = allowed_moves(funnel, move->from);

	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg_internal("%s", message),
			 move->from == LF_STAGE_NONE ?
			 errdetail("The rules of the funnel, version %d, let no lead enter at \"%s\".",
					   funnel->rules_version, lf_stage_label(move->to)) :
			 errdetail("The rules of the funnel, version %d, know no move from \"%s\" to \"%s\".",
					   funnel->rules_version, lf_stage_label(move->from), lf_stage_label(move->to)),
			 move->from == LF_STAGE_NONE ?
			 errhint("Stages to enter at: %s.%s", *moves ? moves : "none", override_hint(funnel)) :
			 errhint("Moves allowed from \"%s\": %s.%s", lf_stage_label(move->from),
					 *moves ? moves : "none", override_hint(funnel)),
			 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_TRANSITION))));
}

static void
refuse_role(const Funnel *funnel, const Move *move, char *message)
{
	const Rule *rule = find_rule(funnel, move);
	const char *role = rule->allowed_role;

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg_internal("%s", message),
			 errdetail("The move is for members of role \"%s\"; the current role is \"%s\".",
					   role, GetUserNameFromId(GetUserId(), false)),
			 OidIsValid(get_role_oid(role, true)) ?
			 errhint("Ask a member of \"%s\", or SET ROLE to it if the session may.%s", role, override_hint(funnel)) :
			 errhint("Role \"%s\" does not exist in this server, so nobody is a member of it: create it, or change the rule with lead_funnel.allow().%s",
					 role, override_hint(funnel)),
			 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_ROLE))));
}

static void
refuse_reason(const Funnel *funnel, char *message)
{
	char	   *column = funnel->attnum[LF_COL_REASON] != InvalidAttrNumber ?
		get_attname(funnel->relid, funnel->attnum[LF_COL_REASON], true) : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg_internal("%s", message),
			 errdetail("The move requires a reason."),
			 column ?
			 errhint("Give one in column \"%s\" of the same statement, or with SET LOCAL lead_funnel.reason in the same transaction.%s",
					 column, override_hint(funnel)) :
			 errhint("Give one with SET LOCAL lead_funnel.reason in the same transaction, or with lead_funnel.move(..., reason => ...).%s",
					 override_hint(funnel)),
			 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_REASON))));
}

static void
refuse_time(const Funnel *funnel, const Move *move, char *message)
{
	char	   *given = pstrdup(timestamptz_to_str(move->given));
	bool		future = move->given >= move->earliest;

	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg_internal("%s", message),
			 future ?
			 errdetail("The date given, %s, lies in the future.", given) :
			 move->given < LF_FIRST_TIME ?
			 errdetail("The date given, %s, lies before the year 1.", given) :
			 errdetail("The date given, %s, lies before %s, when the lead's present visit began.",
					   given, timestamptz_to_str(move->earliest)),
			 future ?
			 errhint("Give the date at which the move took effect, at most 5 minutes ahead of the server's clock.%s", override_hint(funnel)) :
			 errhint("Give the date at which the move took effect, or leave column \"%s\" as it is.%s",
					 get_attname(funnel->relid, funnel->attnum[LF_COL_ENTERED], false), override_hint(funnel)),
			 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_TIME))));
}

/* Where answers belong: the column of the qualification, or those that make one. */
static char *
qualification_columns(const Funnel *funnel)
{
	StringInfoData list;

	initStringInfo(&list);
	if (funnel->binding == NULL)
	{
		if (funnel->attnum[LF_COL_QUALIFICATION] != InvalidAttrNumber)
			appendStringInfo(&list, "column \"%s\"",
							 get_attname(funnel->relid, funnel->attnum[LF_COL_QUALIFICATION], false));
		return list.data;
	}
	for (int i = 0; i < LF_BOUND_COUNT; i++)
	{
		if (funnel->binding->attnum[i] != InvalidAttrNumber)
			appendStringInfo(&list, "%s\"%s\"", list.len > 0 ? ", " : "columns ",
							 get_attname(funnel->relid, funnel->binding->attnum[i], false));
	}
	return list.data;
}

/* What to do so that the gate is met. */
static char *
gate_hint(const Funnel *funnel, const Gate *gate)
{
	char	   *columns = qualification_columns(funnel);
	const char *when = gate->at_commit ? "before the transaction commits" : "with the move or before it";
	char	   *name = quote_literal_cstr(NameStr(funnel->name));

	if (gate->asks_qualification && *columns == '\0')
		return psprintf("Funnel %s knows no qualification: name its column with lead_funnel.alter_funnel(%s, qualification_column => ...), or those that make one with lead_funnel.bind_qualification(%s, ...).",
						name, name, name);
	if (gate->min_score != NULL && !lf_evidence_has_score(funnel))
		return psprintf("Funnel %s knows no score: name its column with lead_funnel.alter_funnel(%s, score_column => ...), or the model that makes it with lead_funnel.bind_score(%s, ...).",
						name, name, name);
	return psprintf("Save what is missing in %s%s%s %s.", gate->asks_qualification ? columns : "",
					gate->asks_qualification && gate->min_score ? " and " : "",
					gate->min_score == NULL ? "" :
					funnel->score_source != NULL ?
					psprintf("the columns that scoring model \"%s\" looks at", NameStr(funnel->score_source->model)) :
					psprintf("column \"%s\"", get_attname(funnel->relid, funnel->attnum[LF_COL_SCORE], false)),
					when);
}

void
lf_refuse_at_gate(const Funnel *funnel, const Move *move, const Gate *gate)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg_internal("%s", describe(funnel, move, LF_BREACH_GATE)),
			 errdetail("Not met: %s.", lf_gate_unmet(gate, move->evidence)),
			 errhint("%s%s", gate_hint(funnel, gate), override_hint(funnel)),
			 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_GATE))));
	pg_unreachable();
}

void
lf_refuse(const Funnel *funnel, const Move *move, char breach)
{
	char	   *message = describe(funnel, move, breach);

	switch (breach)
	{
		case LF_BREACH_TRANSITION:
			refuse_transition(funnel, move, message);
			break;
		case LF_BREACH_ROLE:
			refuse_role(funnel, move, message);
			break;
		case LF_BREACH_REASON:
			refuse_reason(funnel, message);
			break;
		case LF_BREACH_TIME:
			refuse_time(funnel, move, message);
			break;
		case LF_BREACH_GATE:
			lf_refuse_at_gate(funnel, move, lf_gate_of(funnel, move));
			break;
		default:
			break;
	}
	elog(ERROR, "unexpected breach %d", breach);
	pg_unreachable();
}

void
lf_refuse_status(const Funnel *funnel, const LeadKey *key, const text *status)
{
	Move		move = {.key = *key};

	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg_internal("%s", describe(funnel, &move, LF_BREACH_STAGE)),
				 errdetail("Column \"%s\" is null.", NameStr(funnel->stage_column)),
				 errhint("Give the lead a stage, or say what a missing one means with lead_funnel.map_stage(%s, NULL, ...).",
						 quote_literal_cstr(NameStr(funnel->name))),
				 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_STAGE))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("status \"%s\" of lead \"%s\" means no stage in funnel \"%s\"",
					text_to_cstring(status), lf_key_string(key), NameStr(funnel->name)),
			 errdetail("Column \"%s\" holds a value that is neither a stage nor mapped to one.",
					   NameStr(funnel->stage_column)),
			 errhint("Map it with lead_funnel.map_stage(%s, %s, ...).",
					 quote_literal_cstr(NameStr(funnel->name)), quote_literal_cstr(text_to_cstring(status))),
			 lf_error_fields(funnel, lf_constraint_name(LF_BREACH_STAGE))));
}
