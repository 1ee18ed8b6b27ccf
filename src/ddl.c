/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  DDL on lead tables: refuse what would break a funnel, follow the rest.
 *
 * NOTES
 *	  Event triggers run for DDL of the whole database, so each leaves at once
 *	  if no funnel is concerned.  What is left to do is done in PL/pgSQL (see
 *	  sql/parts/60_ddl.sql), as the owner of the extension.
 *
 * IDENTIFICATION
 *	  src/ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "admin.h"
#include "funnel.h"

PG_FUNCTION_INFO_V1(lf_ddl_start);
PG_FUNCTION_INFO_V1(lf_ddl_end);

/* The working funnel of the table, or of the one that it is a partition of. */
static Funnel *
concerned_funnel(RangeVar *relation)
{
	Oid			relid = RangeVarGetRelid(relation, NoLock, true);
	FunnelRow	row;

	if (!OidIsValid(relid) ||
		(get_rel_relkind(relid) != RELKIND_RELATION && get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE))
		return NULL;
	if (!lf_funnel_row_by_relation(relid, &row) || row.suspended)
		return NULL;
	return lf_funnel_lookup(relid);
}

static bool
uses_column(const Funnel *funnel, const char *name)
{
	AttrNumber	attnum = get_attnum(funnel->relid, name);

	if (attnum == InvalidAttrNumber)
		return false;
	for (int i = 0; i < LF_COLUMN_COUNT; i++)
	{
		if (funnel->attnum[i] == attnum)
			return true;
	}
	return false;
}

static void
check_alter_table(AlterTableStmt *stmt)
{
	Funnel	   *funnel = NULL;
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);
		bool		drops = cmd->subtype == AT_DropColumn;

		if (!drops && cmd->subtype != AT_AlterColumnType)
			continue;
		if (funnel == NULL && (funnel = concerned_funnel(stmt->relation)) == NULL)
			return;
		if (!uses_column(funnel, cmd->name))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 drops ?
				 errmsg("cannot drop column \"%s\" of table \"%s\" because funnel \"%s\" uses it",
						cmd->name, stmt->relation->relname, NameStr(funnel->name)) :
				 errmsg("cannot alter type of column \"%s\" of table \"%s\" because funnel \"%s\" uses it",
						cmd->name, stmt->relation->relname, NameStr(funnel->name)),
				 drops ?
				 errhint("Name another column with lead_funnel.alter_funnel('%s', ...), call lead_funnel.suspend('%s') for a migration and resume after it, or give the funnel up with lead_funnel.detach('%s').",
						 NameStr(funnel->name), NameStr(funnel->name), NameStr(funnel->name)) :
				 errhint("Call lead_funnel.suspend('%s'), alter the column, and call lead_funnel.resume('%s').",
						 NameStr(funnel->name), NameStr(funnel->name))));
	}
}

static EventTriggerData *
event_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager",
						get_func_name(fcinfo->flinfo->fn_oid))));
	return (EventTriggerData *) fcinfo->context;
}

/* lead_funnel.ddl_start(): ON ddl_command_start */
Datum
lf_ddl_start(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = event_data(fcinfo);

	if (!lf_is_managing() && IsA(data->parsetree, AlterTableStmt) && lf_any_funnel())
		check_alter_table((AlterTableStmt *) data->parsetree);
	PG_RETURN_NULL();
}

/* A column was renamed: the funnel follows. */
static void
after_rename(RenameStmt *stmt)
{
	static const Oid types[] = {REGCLASSOID, TEXTOID, TEXTOID};
	Oid			relid;
	Datum		values[3];

	if (stmt->renameType != OBJECT_COLUMN ||
		(stmt->relationType != OBJECT_TABLE && stmt->relationType != OBJECT_COLUMN))
		return;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid))
		return;
	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(stmt->subname);
	values[2] = CStringGetTextDatum(stmt->newname);
	lf_call_as_owner("_column_renamed", 3, types, values);
}

/* Whether the statement gives a table another set of partitions. */
static bool
changes_partitions(Node *parsetree)
{
	ListCell   *cell;

	if (IsA(parsetree, CreateStmt))
		return ((CreateStmt *) parsetree)->partbound != NULL;
	if (!IsA(parsetree, AlterTableStmt))
		return false;
	foreach(cell, ((AlterTableStmt *) parsetree)->cmds)
	{
		switch (lfirst_node(AlterTableCmd, cell)->subtype)
		{
			case AT_AttachPartition:
			case AT_DetachPartition:
			case AT_DetachPartitionFinalize:
				return true;
			default:
				break;
		}
	}
	return false;
}

/* lead_funnel.ddl_end(): ON ddl_command_end */
Datum
lf_ddl_end(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = event_data(fcinfo);

	if (lf_is_managing())
		PG_RETURN_NULL();
	if (IsA(data->parsetree, RenameStmt))
	{
		if (lf_any_funnel())
			after_rename((RenameStmt *) data->parsetree);
	}
	else if (changes_partitions(data->parsetree) && lf_any_funnel())
		lf_call_as_owner("_partitions_changed", 0, NULL, NULL);
	PG_RETURN_NULL();
}
