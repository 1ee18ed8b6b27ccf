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
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "admin.h"
#include "compat.h"
#include "evidence.h"
#include "moves.h"
#include "track.h"

PG_FUNCTION_INFO_V1(lf_ddl_start);
PG_FUNCTION_INFO_V1(lf_ddl_end);
PG_FUNCTION_INFO_V1(lf_partition_goes);

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
model_looks_at(const char *name, const char *column)
{
	ScoreModel *model = lf_score_model_open(name, true);
	bool		result = false;

	for (int i = 0; model != NULL && i < model->nattributes && !result; i++)
		result = namestrcmp(&model->attributes[i], column) == 0;
	if (model != NULL)
		lf_score_model_close(model);
	return result;
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
	for (int i = 0; funnel->binding != NULL && i < LF_BOUND_COUNT; i++)
	{
		if (funnel->binding->attnum[i] == attnum)
			return true;
	}
	return funnel->score_source != NULL && model_looks_at(NameStr(funnel->score_source->model), name);
}

static char *
quoted(const Funnel *funnel)
{
	return quote_literal_cstr(NameStr(funnel->name));
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

		if (!drops && cmd->subtype != AT_AlterColumnType && !LF_SETS_EXPRESSION(cmd))
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
				 LF_SETS_EXPRESSION(cmd) ?
				 errmsg("cannot alter expression of column \"%s\" of table \"%s\" because funnel \"%s\" uses it",
						cmd->name, stmt->relation->relname, NameStr(funnel->name)) :
				 errmsg("cannot alter type of column \"%s\" of table \"%s\" because funnel \"%s\" uses it",
						cmd->name, stmt->relation->relname, NameStr(funnel->name)),
				 drops ?
				 errhint("Name another column with lead_funnel.alter_funnel(%s, ...), call lead_funnel.suspend(%s) for a migration and resume after it, or give the funnel up with lead_funnel.detach(%s).",
						 quoted(funnel), quoted(funnel), quoted(funnel)) :
				 errhint("Call lead_funnel.suspend(%s), alter the column, and call lead_funnel.resume(%s).",
						 quoted(funnel), quoted(funnel))));
	}
}

/* Calls the handler for the table, or for its partitions that have rows. */
static void
for_each_leaf(Oid relid, Oid former_parent, void (*handler) (Relation rel, Funnel *funnel))
{
	ListCell   *cell;

	LockRelationOid(relid, AccessExclusiveLock);
	foreach(cell, lf_partition_tree(relid, AccessExclusiveLock))
	{
		Relation	rel;

		if (get_rel_relkind(lfirst_oid(cell)) != RELKIND_RELATION)
			continue;
		rel = table_open(lfirst_oid(cell), NoLock);
		handler(rel, OidIsValid(former_parent) ? lf_funnel_of_former_partition(lfirst_oid(cell), former_parent) :
				lf_funnel_lookup(lfirst_oid(cell)));
		table_close(rel, NoLock);
	}
}

static void
leads_leave(Relation rel, Funnel *funnel)
{
	lf_moves_partition_out(rel, funnel, LF_ORIGIN_RECONCILE);
}

static void
leads_are_deleted(Relation rel, Funnel *funnel)
{
	lf_moves_partition_out(rel, funnel, LF_ORIGIN_DELETE);
}

static bool
is_in_funnel(Oid partition)
{
	FunnelRow	row;

	return get_rel_relispartition(partition) && lf_funnel_row_by_relation(partition, &row) && !row.suspended;
}

/* The partition of a working funnel that the name stands for; else invalid. */
static Oid
partition_of_funnel(RangeVar *relation)
{
	Oid			relid = RangeVarGetRelid(relation, NoLock, true);

	return OidIsValid(relid) && is_in_funnel(relid) ? relid : InvalidOid;
}

/*
 * The partition is about to go.  The statement will lock the parent before the
 * partition, as readers do; if we were to take the partition first, they and we
 * could block each other.  While we wait, it may be detached, or its name may
 * become another table's, if the statement has it by name.
 */
static void
partition_goes(Oid relid, RangeVar *name, void (*handler) (Relation rel, Funnel *funnel))
{
	if (!is_in_funnel(relid))
		return;
	LockRelationOid(get_partition_parent(relid, true), AccessExclusiveLock);
	if (name != NULL ? partition_of_funnel(name) == relid : is_in_funnel(relid))
		for_each_leaf(relid, InvalidOid, handler);
}

/* The history belongs to who owned the table last, by the name that the role has now. */
static void
follow_owner(Oid relid)
{
	static const Oid types[] = {REGCLASSOID};
	Datum		value = ObjectIdGetDatum(relid);
	FunnelRow	row;

	if (lf_funnel_row_by_relation(relid, &row) && row.relation == relid)
		lf_call_as_owner("_follow_owner", 1, types, &value);
}

/* Partitions that are about to be dropped: their leads are gone then. */
static void
before_drop(DropStmt *stmt)
{
	ListCell   *cell;

	if (stmt->removeType != OBJECT_TABLE)
		return;
	foreach(cell, stmt->objects)
	{
		RangeVar   *name = makeRangeVarFromNameList(lfirst_node(List, cell));
		Oid			relid = RangeVarGetRelid(name, NoLock, true);

		/*
		 * DROP itself asks for the owner's right, of the table or its schema;
		 * who may not drop must not journal
		 */
		if (!OidIsValid(relid) ||
			!(lf_owns_relation(relid, GetUserId()) || lf_owns_schema(get_rel_namespace(relid), GetUserId())))
			continue;
		follow_owner(relid);
		partition_goes(relid, name, leads_are_deleted);
	}
}

/*
 * The partition of a funnel that the last DETACH CONCURRENTLY is about, and its
 * parent, since both may be renamed before that is done.
 */
static Oid	leaving = InvalidOid;
static Oid	left = InvalidOid;

/* Its leads leave before it does; if it leaves concurrently, after_detach() lets them go. */
static void
before_detach(PartitionCmd *partition)
{
	Oid			relid = partition_of_funnel(partition->name);
	Oid			parent = OidIsValid(relid) ? get_partition_parent(relid, true) : InvalidOid;

	if (partition->concurrent)
	{
		leaving = relid;
		left = parent;
	}
	/* the right that DETACH asks for */
	else if (OidIsValid(parent) && lf_owns_relation(parent, GetUserId()))
		partition_goes(relid, partition->name, leads_leave);
}

/* Which partition the statement attaches or detaches. */
static void
before_partition_command(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);
		PartitionCmd *partition;
		FunnelRow	row;
		Oid			relid;

		if (cmd->subtype != AT_AttachPartition && cmd->subtype != AT_DetachPartition)
			continue;
		partition = castNode(PartitionCmd, cmd->def);
		if (cmd->subtype == AT_AttachPartition)
		{
			relid = RangeVarGetRelid(partition->name, NoLock, true);
			if (OidIsValid(relid) && lf_funnel_row_by_relation(relid, &row))
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("table \"%s\" cannot become a partition because it carries funnel \"%s\"",
								partition->name->relname, NameStr(row.name)),
						 errhint("Give its funnel up first: lead_funnel.detach(%s).", quote_literal_cstr(NameStr(row.name)))));
		}
		else
			before_detach(partition);
	}
}

/* Extensions, schemas, or owners of something, are to be dropped: columns of our types may go, and partitions. */
static void
before_drop_many(Node *parsetree, List *names, DropBehavior behavior)
{
	static const Oid types[] = {TEXTOID, TEXTARRAYOID, BOOLOID};
	Datum	   *elements = palloc(list_length(names) * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;
	Datum		values[3];

	foreach(cell, names)
	{
		if (IsA(lfirst(cell), RoleSpec))
			elements[n++] = CStringGetTextDatum(get_rolespec_name(lfirst_node(RoleSpec, cell)));
		else
			elements[n++] = CStringGetTextDatum(strVal(lfirst(cell)));
	}
	values[0] = CStringGetTextDatum(CreateCommandName(parsetree));
	values[1] = PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = BoolGetDatum(behavior == DROP_CASCADE);
	lf_call_as_owner("_before_drop_extension", 3, types, values);
	if (lf_any_funnel())
		lf_call_as_owner("_before_drop_partitions", 3, types, values);
}

/* lead_funnel._partition_goes(relation): is about to be dropped, with others */
Datum
lf_partition_goes(PG_FUNCTION_ARGS)
{
	partition_goes(PG_GETARG_OID(0), NULL, leads_are_deleted);
	PG_RETURN_VOID();
}

/*
 * What we write into our own tables fires no trigger.  One that is to copy
 * changes, as pg_repack's, would miss them, and they would be lost.
 */
static void
check_own_table(Oid relid)
{
	if (get_rel_namespace(relid) != get_namespace_oid("lead_funnel", false))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s\" of extension \"lead_funnel\" cannot have more triggers", get_rel_name(relid)),
			 errdetail("The extension writes its tables without firing triggers."),
			 errhint("VACUUM FULL and REINDEX CONCURRENTLY need none; call pg_repack with --exclude-extension=lead_funnel.")));
}

/*
 * Our names are for our triggers: who may create triggers, but does not own the
 * table, could put another one in the place of ours.  A restore creates ours
 * as attach() did.
 */
static void
check_create_trigger(CreateTrigStmt *stmt)
{
	Oid			relid;
	FunnelRow	row;

	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid))
		return;
	check_own_table(relid);
	if (strncmp(stmt->trigname, "lead_funnel_", strlen("lead_funnel_")) != 0 ||
		!lf_funnel_row_by_relation(relid, &row))
		return;
	if (stmt->replace || !lf_is_own_function(LookupFuncName(stmt->funcname, 0, NULL, true)))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("trigger name \"%s\" is kept for triggers of extension \"lead_funnel\"", stmt->trigname),
				 errdetail("Table \"%s\" carries funnel \"%s\".", stmt->relation->relname, NameStr(row.name)),
				 errhint("Choose another name.")));
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

	if (lf_is_managing())
		PG_RETURN_NULL();
	if (IsA(data->parsetree, CreateTrigStmt))
	{
		if (!creating_extension)
			check_create_trigger((CreateTrigStmt *) data->parsetree);
		PG_RETURN_NULL();
	}
	/* what has been written belongs to the history, of what goes, too */
	lf_track_flush();
	if (IsA(data->parsetree, DropOwnedStmt))
	{
		DropOwnedStmt *stmt = (DropOwnedStmt *) data->parsetree;

		before_drop_many(data->parsetree, stmt->roles, stmt->behavior);
		PG_RETURN_NULL();
	}
	if (IsA(data->parsetree, DropStmt))
	{
		DropStmt   *stmt = (DropStmt *) data->parsetree;

		if (stmt->removeType == OBJECT_EXTENSION || stmt->removeType == OBJECT_SCHEMA)
		{
			before_drop_many(data->parsetree, stmt->objects, stmt->behavior);
			PG_RETURN_NULL();
		}
	}
	if (!lf_any_funnel())
		PG_RETURN_NULL();
	if (IsA(data->parsetree, AlterTableStmt))
	{
		check_alter_table((AlterTableStmt *) data->parsetree);
		before_partition_command((AlterTableStmt *) data->parsetree);
	}
	else if (IsA(data->parsetree, DropStmt))
		before_drop((DropStmt *) data->parsetree);
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

/*
 * A partition has left CONCURRENTLY.  That took transactions of its own, in
 * which others wrote it; only now is it out, and locked, and its leads leave.
 * No other lock is taken: it would come in the wrong order.
 */
static void
after_detach(Oid relid, Oid parent)
{
	FunnelRow	row;

	if (OidIsValid(parent) && lf_funnel_row_by_relation(parent, &row) && !row.suspended)
		for_each_leaf(relid, parent, leads_leave);
}

/* Triggers of the tree that the table belongs to, or has just left. */
static void
sync_triggers(Oid relid)
{
	static const Oid types[] = {REGCLASSOID};
	Datum		value = ObjectIdGetDatum(relid);

	lf_call_as_owner("_partitions_changed", 1, types, &value);
	CommandCounterIncrement();
}

static void
after_partition_command(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);
		PartitionCmd *partition;
		bool		concurrent;
		Oid			relid;

		if (cmd->subtype != AT_AttachPartition && cmd->subtype != AT_DetachPartition &&
			cmd->subtype != AT_DetachPartitionFinalize)
			continue;
		partition = castNode(PartitionCmd, cmd->def);
		concurrent = cmd->subtype == AT_DetachPartition && partition->concurrent;
		relid = concurrent ? leaving : RangeVarGetRelid(partition->name, NoLock, true);
		if (!OidIsValid(relid))
			continue;
		sync_triggers(relid);
		if (cmd->subtype == AT_AttachPartition && is_in_funnel(relid))
			for_each_leaf(relid, InvalidOid, lf_moves_partition_in);
		else if (concurrent || cmd->subtype == AT_DetachPartitionFinalize)
			after_detach(relid, concurrent ? left : RangeVarGetRelid(stmt->relation, NoLock, true));
	}
}

/*
 * Parents or children that attach() would refuse, and foreign partitions: an
 * error, now that the statement has been found to be allowed.
 */
static void
check_relation(RangeVar *relation)
{
	static const Oid types[] = {REGCLASSOID};
	Oid			relid = RangeVarGetRelid(relation, NoLock, true);
	FunnelRow	row;
	Datum		value;

	if (!OidIsValid(relid) || !lf_funnel_row_by_relation(relid, &row) || row.suspended)
		return;
	value = ObjectIdGetDatum(row.relation);
	lf_call_as_owner("_relatives_changed", 1, types, &value);
}

/* A BEFORE trigger may change columns that the statement does not set. */
static void
after_create_trigger(CreateTrigStmt *stmt)
{
	static const Oid types[] = {REGCLASSOID};
	Oid			relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	FunnelRow	row;
	Datum		value;

	if (!OidIsValid(relid) || !lf_funnel_row_by_relation(relid, &row) || row.suspended || row.relation != relid)
		return;
	value = ObjectIdGetDatum(relid);
	lf_call_as_owner("_trigger_made", 1, types, &value);
}

static void
after_create(CreateStmt *stmt)
{
	ListCell   *cell;

	if (stmt->partbound != NULL)
	{
		/* a new partition has no leads yet */
		Oid			relid = partition_of_funnel(stmt->relation);

		if (!OidIsValid(relid))
			return;
		if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
			check_relation(stmt->relation);
		sync_triggers(relid);
		return;
	}
	foreach(cell, stmt->inhRelations)
		check_relation(lfirst_node(RangeVar, cell));
}

static void
after_inherit(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		if (cmd->subtype == AT_AddInherit)
		{
			check_relation(stmt->relation);
			check_relation(castNode(RangeVar, cmd->def));
		}
		else if (cmd->subtype == AT_AttachPartition)
			check_relation(stmt->relation);
	}
}

/* lead_funnel.ddl_end(): ON ddl_command_end */
Datum
lf_ddl_end(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = event_data(fcinfo);
	Node	   *parsetree = data->parsetree;

	if (lf_is_managing())
		PG_RETURN_NULL();
	if (IsA(parsetree, RenameStmt))
	{
		if (lf_any_funnel())
			after_rename((RenameStmt *) parsetree);
	}
	else if (IsA(parsetree, AlterTableStmt))
	{
		if (lf_any_funnel())
		{
			after_inherit((AlterTableStmt *) parsetree);
			after_partition_command((AlterTableStmt *) parsetree);
		}
	}
	else if (IsA(parsetree, CreateTrigStmt))
	{
		if (lf_any_funnel())
			after_create_trigger((CreateTrigStmt *) parsetree);
	}
	else if (IsA(parsetree, CreateSchemaStmt))
	{
		ListCell   *cell;

		/* what it makes fires no event trigger */
		foreach(cell, ((CreateSchemaStmt *) parsetree)->schemaElts)
		{
			if (IsA(lfirst(cell), CreateStmt) && lf_any_funnel())
				after_create(lfirst_node(CreateStmt, cell));
		}
	}
	else if (IsA(parsetree, CreateStmt) || IsA(parsetree, CreateForeignTableStmt))
	{
		/* the statement for a foreign table begins with one for a table */
		CreateStmt *stmt = (CreateStmt *) parsetree;

		if ((stmt->partbound != NULL || stmt->inhRelations != NIL) && lf_any_funnel())
			after_create(stmt);
	}
	PG_RETURN_NULL();
}
