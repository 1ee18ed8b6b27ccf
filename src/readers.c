/*-------------------------------------------------------------------------
 *
 * readers.c
 *	  Who may read a funnel.
 *
 * NOTES
 *	  Its table's owner; once the table is gone or detached, the role that had
 *	  attached it; roles in table reader; and whoever may read the journal
 *	  itself: its owner, superusers, members of pg_read_all_data.  Each of
 *	  them with the roles that inherit from it.
 *
 * IDENTIFICATION
 *	  src/readers.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "funnel.h"
#include "readers.h"

/* Of the relation; invalid if it is gone. */
static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return result;
}

/* In a restored copy a role may not exist. */
static bool
has_privs_of_named_role(const char *name)
{
	Oid			role = get_role_oid(name, true);

	return OidIsValid(role) && has_privs_of_role(GetUserId(), role);
}

static bool
is_reader(Snapshot snapshot)
{
	Relation	rel = table_open(get_relname_relid("reader", lf_own_tables()->schema), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple;
	bool		result = false;

	while (!result && (tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;

		result = has_privs_of_named_role(NameStr(*DatumGetName(heap_getattr(tuple, 1, RelationGetDescr(rel), &isnull))));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static bool
may_read(Oid relid, const char *attached_by, Snapshot snapshot)
{
	Oid			owner = owner_of(relid);

	if (OidIsValid(owner) ? has_privs_of_role(GetUserId(), owner) : has_privs_of_named_role(attached_by))
		return true;
	return pg_class_aclcheck(lf_own_tables()->journal, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		is_reader(snapshot);
}

bool
lf_may_read(int32 funnel_id, Snapshot snapshot)
{
	Relation	rel = table_open(lf_own_tables()->funnel, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result = false;

	/* funnel_id is the first column; a row a funnel needs no index */
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (tuple != NULL)
	{
		bool		isnull;
		Datum		relation = heap_getattr(tuple, get_attnum(RelationGetRelid(rel), "relation"), desc, &isnull);
		Oid			relid = isnull ? InvalidOid : DatumGetObjectId(relation);
		Datum		attached_by = heap_getattr(tuple, get_attnum(RelationGetRelid(rel), "attached_by"), desc, &isnull);

		result = may_read(relid, NameStr(*DatumGetName(attached_by)), snapshot);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

PG_FUNCTION_INFO_V1(lf_may_read_sql);

/* lead_funnel._may_read(relation, attached_by) */
Datum
lf_may_read_sql(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(may_read(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0),
							NameStr(*PG_GETARG_NAME(1)), GetActiveSnapshot()));
}
