/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  What a session says of its moves: actor, reason, note, override.
 *
 * NOTES
 *	  Reason, note and override count only in the transaction that set them,
 *	  whether with SET or SET LOCAL: a pooled connection must not carry a
 *	  reason, let alone an override, to the next user.  The check hook stamps
 *	  each value with the transaction that gives it.  The stamp travels in the
 *	  "extra" data, so that a value which comes back when a savepoint is rolled
 *	  back comes back with its old stamp and stays without effect.
 *
 *	  A value given before the library was loaded is kept by the server as a
 *	  placeholder and handed to the check hook at loading.  It was given in
 *	  this transaction only if the placeholder has something to restore at the
 *	  transaction's end.
 *
 * IDENTIFICATION
 *	  src/settings.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "compat.h"
#include "settings.h"

typedef struct OneTransactionSetting
{
	char	   *value;
	LocalTransactionId given_in;	/* invalid: not in a transaction */
} OneTransactionSetting;

static char *actor;
static OneTransactionSetting reason;
static OneTransactionSetting note;
static OneTransactionSetting override;

/*
 * While a setting is being defined: was its placeholder set just now?  And the
 * value that it had before this transaction, which is handed over first.
 */
static bool defining = false;
static bool placeholder_is_fresh = false;
static const char *stale_value = NULL;

/* Stamps the value with the present transaction. */
static bool
check_one_transaction(char **newval, void **extra, GucSource source)
{
	LocalTransactionId *stamp = lf_guc_malloc(sizeof(LocalTransactionId));

	if (stamp == NULL)
		return false;
	if (!IsTransactionState() || MyProc == NULL ||
		(defining && !placeholder_is_fresh))
		*stamp = InvalidLocalTransactionId;
	else if (defining && stale_value != NULL && strcmp(*newval, stale_value) == 0)
	{
		*stamp = InvalidLocalTransactionId;
		stale_value = NULL;
	}
	else
		*stamp = LF_MY_LXID;
	*extra = stamp;
	return true;
}

static void
assign_reason(const char *newval, void *extra)
{
	reason.given_in = extra ? *(LocalTransactionId *) extra : InvalidLocalTransactionId;
}

static void
assign_note(const char *newval, void *extra)
{
	note.given_in = extra ? *(LocalTransactionId *) extra : InvalidLocalTransactionId;
}

static void
assign_override(const char *newval, void *extra)
{
	override.given_in = extra ? *(LocalTransactionId *) extra : InvalidLocalTransactionId;
}

bool
lf_is_blank(const char *s, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (s[i] != ' ' && s[i] != '\t' && s[i] != '\n' && s[i] != '\r')
			return false;
	}
	return true;
}

static const char *
text_or_null(const char *value)
{
	if (value == NULL || lf_is_blank(value, strlen(value)))
		return NULL;
	return value;
}

static const char *
value_in_this_transaction(const OneTransactionSetting *setting)
{
	if (setting->given_in == InvalidLocalTransactionId ||
		setting->given_in != LF_MY_LXID)
		return NULL;
	return text_or_null(setting->value);
}

const char *
lf_setting_actor(void)
{
	return text_or_null(actor);
}

const char *
lf_setting_reason(void)
{
	return value_in_this_transaction(&reason);
}

const char *
lf_setting_note(void)
{
	return value_in_this_transaction(&note);
}

const char *
lf_setting_override(void)
{
	return value_in_this_transaction(&override);
}

/*
 * Finds out whether the placeholder of the name was set in this transaction.
 * If it was, the oldest of the values to restore is that of before.
 */
static void
look_at_placeholder(const char *name)
{
	int			count;
	struct config_generic **variables = lf_guc_variables(&count);

	placeholder_is_fresh = false;
	stale_value = NULL;
	for (int i = 0; i < count; i++)
	{
		GucStack   *oldest = variables[i]->stack;

		if (oldest == NULL || strcmp(variables[i]->name, name) != 0)
			continue;
		placeholder_is_fresh = true;
		while (oldest->prev != NULL)
			oldest = oldest->prev;
		stale_value = oldest->prior.val.stringval;
	}
}

static void
define_setting(const char *name, const char *short_desc, const char *long_desc,
			   char **value, GucStringCheckHook check, GucStringAssignHook assign)
{
	look_at_placeholder(name);
	defining = true;
	DefineCustomStringVariable(name, short_desc, long_desc, value, "",
							   PGC_USERSET, GUC_NOT_IN_SAMPLE,
							   check, assign, NULL);
	defining = false;
}

void
lf_settings_init(void)
{
	define_setting("lead_funnel.actor",
				   "Who moves leads, where one login serves many people.",
				   "Recorded in the journal beside the role.",
				   &actor, NULL, NULL);
	define_setting("lead_funnel.note",
				   "Note of the moves of this transaction.",
				   "Counts only in the transaction that sets it.",
				   &note.value, check_one_transaction, assign_note);
	define_setting("lead_funnel.override",
				   "Reason to move leads against the rules.",
				   "Counts only in the transaction that sets it, for owners of the lead table and roles with grant_override().",
				   &override.value, check_one_transaction, assign_override);
	define_setting("lead_funnel.reason",
				   "Reason of the moves of this transaction.",
				   "Counts only in the transaction that sets it.",
				   &reason.value, check_one_transaction, assign_reason);
	MarkGUCPrefixReserved("lead_funnel");
}
