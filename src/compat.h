/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the supported PostgreSQL versions.
 *
 * NOTES
 *	  The only file of the extension that looks at PG_VERSION_NUM.  Where a
 *	  newer server has a better interface, older ones are given its name, so
 *	  that a branch can be deleted here when its version is dropped.
 *
 * IDENTIFICATION
 *	  src/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_COMPAT_H
#define LEAD_FUNNEL_COMPAT_H

#include "access/tupdesc.h"

/* amounts are summed exactly, and points decay the same on every machine */
#ifndef HAVE_INT128
#error "lead_funnel needs a compiler with integers of 128 bits, that is a 64-bit system"
#endif

/*
 * Soft errors: input functions report bad input with ereturn() or errsave()
 * and fcinfo->context.  Servers before 16 know hard errors only.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
typedef ErrorSaveContext QuietContext;
#define LF_QUIET_TAG T_ErrorSaveContext
#else
#define errsave(context, ...) \
	ereport(ERROR, __VA_ARGS__)
#define ereturn(context, dummy_value, ...) \
	do { \
		if ((context) == LF_QUIET) \
			return dummy_value; \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
typedef Node QuietContext;
#define LF_QUIET_TAG T_Invalid
#endif

/*
 * The context of a caller who only wants to know whether the input is good:
 * what is reported with ereturn() is then no error on any server.
 */
extern QuietContext lf_quiet_context;	/* lead_funnel.c */
#define LF_QUIET ((Node *) &lf_quiet_context)

/* Calls the input function of another type, false after a soft error. */
#if PG_VERSION_NUM >= 160000
#define lf_input(function, string, context, result) \
	DirectInputFunctionCallSafe((function), (string), InvalidOid, -1, (context), (result))
#else
#define lf_input(function, string, context, result) \
	(*(result) = DirectFunctionCall3((function), CStringGetDatum(string), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)), true)
#endif

/* Two more arguments from 16 on; what they say is for messages. */
#if PG_VERSION_NUM >= 160000
#define lf_decode_datetime(field, ftype, nf, dtype, tm, fsec, tzp) \
	DecodeDateTime((field), (ftype), (nf), (dtype), (tm), (fsec), (tzp), &(DateTimeErrorExtra) {0})
#else
#define lf_decode_datetime(field, ftype, nf, dtype, tm, fsec, tzp) \
	DecodeDateTime((field), (ftype), (nf), (dtype), (tm), (fsec), (tzp))
#endif

/* Settings: the extra data of a check hook is allocated by guc_malloc() from 16 on. */
#if PG_VERSION_NUM >= 160000
#define lf_guc_malloc(size) guc_malloc(LOG, (size))
#else
#define lf_guc_malloc(size) malloc(size)
#endif

#if PG_VERSION_NUM >= 160000
#define lf_guc_variables(count) get_guc_variables(count)
#else
#define lf_guc_variables(count) \
	(*(count) = GetNumConfigOptions(), get_guc_variables())
#endif

/* A function that does not return; before the declaration. */
#if PG_VERSION_NUM >= 180000
#define lf_noreturn pg_noreturn
#else
#define lf_noreturn __attribute__((noreturn))
#endif

/* One more argument from 16 on. */
#if PG_VERSION_NUM >= 160000
#define lf_exec_insert_index_tuples(rel, slot, estate) \
	ExecInsertIndexTuples((rel), (slot), (estate), false, false, NULL, NIL, false)
#else
#define lf_exec_insert_index_tuples(rel, slot, estate) \
	ExecInsertIndexTuples((rel), (slot), (estate), false, false, NULL, NIL)
#endif

/* One more argument from 18 on. */
#if PG_VERSION_NUM >= 180000
#define lf_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan((rel), (index), (snapshot), NULL, (nkeys), 0)
#else
#define lf_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan((rel), (index), (snapshot), (nkeys), 0)
#endif

/* Whether an outer join may make NULL of a variable: known of each from 16 on, else of the query. */
#if PG_VERSION_NUM >= 160000
#define LF_VAR_IS_NULLABLE(var, root) ((var)->varnullingrels != NULL)
#else
#define LF_VAR_IS_NULLABLE(var, root) lf_has_outer_join((root)->parse->rtable)
#define LF_NEEDS_OUTER_JOIN_CHECK
#endif

/* RETURNING may ask for the row as it was, or will be, from 18 on: there may be none. */
#if PG_VERSION_NUM >= 180000
#define LF_VAR_IS_OLD_OR_NEW(var) ((var)->varreturningtype != VAR_RETURNING_DEFAULT)
#else
#define LF_VAR_IS_OLD_OR_NEW(var) false
#endif

/* The expression of a generated column can be changed from 17 on. */
#if PG_VERSION_NUM >= 170000
#define LF_SETS_EXPRESSION(cmd) ((cmd)->subtype == AT_SetExpression)
#else
#define LF_SETS_EXPRESSION(cmd) false
#endif

/* The local transaction id of this backend. */
#if PG_VERSION_NUM >= 170000
#define LF_MY_LXID (MyProc->vxid.lxid)
#else
#define LF_MY_LXID (MyProc->lxid)
#endif

/* Ownership checks became one function. */
#if PG_VERSION_NUM >= 160000
#define lf_owns_relation(relid, roleid) \
	object_ownercheck(RelationRelationId, (relid), (roleid))
#define lf_owns_schema(schema, roleid) \
	object_ownercheck(NamespaceRelationId, (schema), (roleid))
#else
#define lf_owns_relation(relid, roleid) \
	pg_class_ownercheck((relid), (roleid))
#define lf_owns_schema(schema, roleid) \
	pg_namespace_ownercheck((schema), (roleid))
#endif

#if PG_VERSION_NUM < 150000
#error "lead_funnel needs PostgreSQL 15 or later"
#endif

/* A generated column may be computed on reading from 18 on. */
#if PG_VERSION_NUM >= 180000
#define LF_IS_VIRTUAL(att) ((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define LF_IS_VIRTUAL(att) false
#endif

/* A copy of a tuple descriptor that has the first columns only. */
#if PG_VERSION_NUM >= 180000
#define lf_truncated_desc(desc, natts) CreateTupleDescTruncatedCopy((desc), (natts))
#else
static inline TupleDesc
lf_truncated_desc(TupleDesc desc, int natts)
{
	TupleDesc	result = CreateTupleDescCopy(desc);

	result->natts = natts;
	return result;
}
#endif

#endif							/* LEAD_FUNNEL_COMPAT_H */
