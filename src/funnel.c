/*-------------------------------------------------------------------------
 *
 * funnel.c
 *	  Funnels as a backend knows them: compiled and cached by relation.
 *
 * NOTES
 *	  The trigger asks for a funnel once a row, so everything that a row needs
 *	  is compiled into one struct: attribute numbers (which differ between a
 *	  partitioned table and its partitions), the map of status values, the
 *	  rules as a matrix, the number of the last truncation.
 *
 *	  Configuration is read with a snapshot of its own, newer than the
 *	  transaction's: a REPEATABLE READ transaction that began before a rule was
 *	  changed is judged by the rule in force, not by the one it can see.
 *
 *	  Plain DML on our tables sends no invalidation, so whoever changes them
 *	  calls lf_funnel_invalidate(), which sends one for the lead table.  The
 *	  callback only marks, since a caller may hold the entry; what is marked
 *	  goes when the transaction is over, for the table may be gone as well.
 *
 *	  Changes of types need no callback.  What is compiled of a type is what it
 *	  is a domain over, and whether it is an enum, which a type stays for its
 *	  life; labels are looked up when they are needed.  A column that comes to
 *	  have another type, or loses its own, is a change of the table.
 *
 * IDENTIFICATION
 *	  src/funnel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "evidence.h"
#include "funnel.h"
#include "gate.h"
#include "journal.h"
#include "lead_row.h"

/* Columns of table funnel (sql/parts/20_tables.sql). */
enum
{
	FUNNEL_FUNNEL_ID = 1,
	FUNNEL_NAME,
	FUNNEL_RELATION,
	FUNNEL_STATUS,
	FUNNEL_MODE,
	FUNNEL_PRESET,
	FUNNEL_TIMEZONE,
	FUNNEL_ALWAYS,
	FUNNEL_STAGE_COLUMN,		/* and the others of FunnelColumn behind it */
	FUNNEL_KEY_COLUMN,
	FUNNEL_ATTACHED_BY = FUNNEL_STAGE_COLUMN + LF_COLUMN_COUNT + 1
};

/* Columns of table rule. */
enum
{
	RULE_FUNNEL_ID = 1,
	RULE_VERSION,
	RULE_FROM_STAGE,
	RULE_TO_STAGE,
	RULE_REQUIRES_REASON,
	RULE_ALLOWED_ROLE,
	RULE_REQUIRES,
	RULE_MIN_SCORE,
	RULE_AUTOMATIC,
	RULE_CHECK_AT,
	RULE_NOTE,
	RULE_MIN_CRITERIA,
	RULE_MIN_LEVEL,
	RULE_NO_BLOCKERS,
	RULE_MIN_QUALIFICATION_SCORE,
	RULE_BELOW_SCORE
};

static HTAB *funnels = NULL;
static HTAB *roots = NULL;		/* tables that entries are partitions of */
static bool has_invalid = false;	/* entries that may go */
static OwnTables own_tables;

typedef struct OwnRelation
{
	const char *name;
	size_t		offset;			/* of its oid in OwnTables */
} OwnRelation;

/* The fields have the relations' names. */
#define OWN_RELATION(name) {#name, offsetof(OwnTables, name)}
static const OwnRelation own_relations[] = {
	OWN_RELATION(funnel),
	OWN_RELATION(stage_map),
	OWN_RELATION(stage_map_pkey),
	OWN_RELATION(rule_version),
	OWN_RELATION(rule_version_pkey),
	OWN_RELATION(rule),
	OWN_RELATION(rule_move),
	OWN_RELATION(override_role),
	OWN_RELATION(override_role_pkey),
	OWN_RELATION(journal),
	OWN_RELATION(journal_lead_id),
	OWN_RELATION(journal_lead_key),
	OWN_RELATION(journal_epoch),
	OWN_RELATION(delta),
	OWN_RELATION(delta_xid),
	OWN_RELATION(generation),
	OWN_RELATION(generation_pkey),
	OWN_RELATION(stock_cell),
	OWN_RELATION(stock_cell_generation),
	OWN_RELATION(flow_cell),
	OWN_RELATION(flow_cell_day),
};

static Oid *
own_relation_field(OwnTables *tables, int i)
{
	return (Oid *) ((char *) tables + own_relations[i].offset);
}

/* DROP EXTENSION drops our tables, REINDEX CONCURRENTLY replaces their indexes. */
static bool
is_own_relation(Oid relid)
{
	for (int i = 0; i < (int) lengthof(own_relations); i++)
	{
		if (*own_relation_field(&own_tables, i) == relid)
			return true;
	}
	return false;
}

static void
mark_entry(Funnel *funnel)
{
	funnel->valid = false;
	has_invalid = true;
}

static void
mark_invalid(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	Funnel	   *funnel;

	if (own_tables.valid && (!OidIsValid(relid) || is_own_relation(relid)))
		own_tables.valid = false;

	/* messages are many, and most are about tables that are no root */
	if (OidIsValid(relid) && hash_search(roots, &relid, HASH_REMOVE, NULL) == NULL)
	{
		funnel = hash_search(funnels, &relid, HASH_FIND, NULL);
		if (funnel != NULL)
			mark_entry(funnel);
		return;
	}
	hash_seq_init(&status, funnels);
	while ((funnel = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || funnel->relid == relid || funnel->root == relid)
			mark_entry(funnel);
	}
}

void
lf_funnel_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Funnel);
	ctl.hcxt = AllocSetContextCreate(CacheMemoryContext, "lead_funnel funnels",
									 ALLOCSET_SMALL_SIZES);
	funnels = hash_create("lead_funnel funnels", 16, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.entrysize = sizeof(Oid);
	roots = hash_create("lead_funnel roots", 16, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(mark_invalid, (Datum) 0);
}

/*
 * A snapshot of now, registered.  A catalog snapshot, since those can be taken
 * in a parallel query, too.
 */
Snapshot
lf_fresh_snapshot(void)
{
	return RegisterSnapshot(GetCatalogSnapshot(lf_own_tables()->funnel));
}

Oid
lf_own_relation(Oid schema, const char *name)
{
	Oid			result = get_relname_relid(name, schema);

	if (!OidIsValid(result))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"lead_funnel.%s\" does not exist", name),
				 errhint("Is extension \"lead_funnel\" installed in this database, and in the version of its library?")));
	return result;
}

bool
lf_is_own_function(Oid function)
{
	return OidIsValid(function) && get_func_namespace(function) == lf_own_tables()->schema;
}

const OwnTables *
lf_own_tables(void)
{
	OwnTables	t;

	if (own_tables.valid)
		return &own_tables;

	memset(&t, 0, sizeof(t));
	t.schema = get_namespace_oid("lead_funnel", false);
	for (int i = 0; i < (int) lengthof(own_relations); i++)
		*own_relation_field(&t, i) = lf_own_relation(t.schema, own_relations[i].name);
	t.lead_stage = get_atttype(t.journal, JOURNAL_TO_STAGE);
	t.qualification = get_atttype(t.journal, JOURNAL_QUALIFICATION);
	t.valid = true;
	own_tables = t;
	return &own_tables;
}

/*
 * The only row of table funnel that passes the test, copied; NULL if none.
 * The table has a row a funnel: a scan is cheaper than an index.
 */
static HeapTuple
find_funnel_tuple(Snapshot snapshot, Relation rel, Oid relation,
				  const char *name, int32 funnel_id)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple;
	HeapTuple	result = NULL;

	while (result == NULL && (tuple = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		Datum		value;

		if (name != NULL)
		{
			value = heap_getattr(tuple, FUNNEL_NAME, desc, &isnull);
			if (strcmp(NameStr(*DatumGetName(value)), name) == 0)
				result = heap_copytuple(tuple);
		}
		else if (OidIsValid(relation))
		{
			value = heap_getattr(tuple, FUNNEL_RELATION, desc, &isnull);
			if (!isnull && DatumGetObjectId(value) == relation)
				result = heap_copytuple(tuple);
		}
		else
		{
			value = heap_getattr(tuple, FUNNEL_FUNNEL_ID, desc, &isnull);
			if (DatumGetInt32(value) == funnel_id)
				result = heap_copytuple(tuple);
		}
	}
	systable_endscan(scan);
	return result;
}

/* A column that is NOT NULL; an unforeseen NULL is an error, not a crash. */
Datum
lf_required_attribute(HeapTuple tuple, AttrNumber attnum, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	if (isnull)
		elog(ERROR, "column %d of a row of lead_funnel's is null", attnum);
	return value;
}

static Name
name_attribute(HeapTuple tuple, AttrNumber attnum, TupleDesc desc)
{
	return DatumGetName(lf_required_attribute(tuple, attnum, desc));
}

static char *
text_attribute(HeapTuple tuple, AttrNumber attnum, TupleDesc desc)
{
	return TextDatumGetCString(lf_required_attribute(tuple, attnum, desc));
}

static pg_tz *
lookup_zone(const char *zone, const char *funnel)
{
	pg_tz	   *result = pg_tzset(zone);

	if (result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" of funnel \"%s\" is not known to this server", zone, funnel),
				 errhint("Name another with lead_funnel.alter_funnel(..., timezone => ...).")));
	return result;
}

/* Where moves are told; an empty name if they are not. */
static void
read_notify_channel(HeapTuple tuple, TupleDesc desc, NameData *channel)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, get_attnum(lf_own_tables()->funnel, "notify_channel"), desc, &isnull);

	namestrcpy(channel, isnull ? "" : NameStr(*DatumGetName(value)));
}

static void
fill_funnel_row(HeapTuple tuple, TupleDesc desc, FunnelRow *row)
{
	bool		isnull;
	Datum		value;

	row->funnel_id = DatumGetInt32(lf_required_attribute(tuple, FUNNEL_FUNNEL_ID, desc));
	row->name = *name_attribute(tuple, FUNNEL_NAME, desc);
	value = heap_getattr(tuple, FUNNEL_RELATION, desc, &isnull);
	row->relation = isnull ? InvalidOid : DatumGetObjectId(value);
	row->attached_by = *name_attribute(tuple, FUNNEL_ATTACHED_BY, desc);
	row->stage_column = *name_attribute(tuple, FUNNEL_STAGE_COLUMN, desc);
	row->key_column = *name_attribute(tuple, FUNNEL_KEY_COLUMN, desc);
	row->suspended = strcmp(text_attribute(tuple, FUNNEL_STATUS, desc), "suspended") == 0;
	row->timezone = text_attribute(tuple, FUNNEL_TIMEZONE, desc);
	read_notify_channel(tuple, desc, &row->notify_channel);
}

static bool
find_funnel_row(Oid relation, const char *name, int32 funnel_id, FunnelRow *row)
{
	Relation	rel = table_open(lf_own_tables()->funnel, AccessShareLock);
	Snapshot	snapshot = lf_fresh_snapshot();
	HeapTuple	tuple = find_funnel_tuple(snapshot, rel, relation, name, funnel_id);

	if (tuple != NULL)
		fill_funnel_row(tuple, RelationGetDescr(rel), row);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return tuple != NULL;
}

/* What the relation is a partition of, even if that is to end; invalid if nothing. */
static Oid
partition_parent(Oid relid)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result;

	if (!get_rel_relispartition(relid))
		return InvalidOid;
	rel = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	result = tuple != NULL ? ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent : InvalidOid;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * The top of the partition tree that the relation is in, or itself.
 *
 * A partition that is being detached CONCURRENTLY, or whose detachment was cut
 * short, is in until that is finished: those who have found it in the tree
 * still write it.  get_partition_ancestors() leaves it out.
 */
static Oid
partition_root(Oid relid)
{
	Oid			parent;

	while (OidIsValid(parent = partition_parent(relid)))
		relid = parent;
	return relid;
}

List *
lf_partition_tree(Oid relid, LOCKMODE lockmode)
{
	List	   *result = list_make1_oid(relid);

	for (int i = 0; i < list_length(result); i++)
	{
		Oid			member = list_nth_oid(result, i);

		if (get_rel_relkind(member) == RELKIND_PARTITIONED_TABLE)
			result = list_concat(result, find_inheritance_children_extended(member, false, lockmode, NULL, NULL));
	}
	return result;
}

bool
lf_funnel_row_by_relation(Oid relid, FunnelRow *row)
{
	return find_funnel_row(partition_root(relid), NULL, 0, row);
}

void
lf_funnel_row_by_name(const char *name, FunnelRow *row)
{
	if (!find_funnel_row(InvalidOid, name, 0, row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("funnel \"%s\" does not exist", name),
				 errhint("See lead_funnel.funnels for those that do, or make one with lead_funnel.attach().")));
}

bool
lf_funnel_row_by_id(int32 funnel_id, FunnelRow *row)
{
	return find_funnel_row(InvalidOid, NULL, funnel_id, row);
}

pg_tz *
lf_funnel_row_zone(const FunnelRow *row)
{
	return lookup_zone(row->timezone, NameStr(row->name));
}

bool
lf_any_funnel(void)
{
	Relation	rel = table_open(lf_own_tables()->funnel, AccessShareLock);
	Snapshot	snapshot = lf_fresh_snapshot();
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	bool		result = systable_getnext(scan) != NULL;

	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return result;
}

/* Rows of a table that belong to the funnel; funnel_id is the first column of it and of its index. */
static SysScanDesc
begin_funnel_scan(Relation rel, Oid index, Snapshot snapshot, int32 funnel_id)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	return systable_beginscan(rel, index, true, snapshot, 1, &key);
}

/* The rules of one version: others are kept, too, and may be many. */
static SysScanDesc
begin_rule_scan(Relation rel, Snapshot snapshot, int32 funnel_id, int32 version)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], RULE_FUNNEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	ScanKeyInit(&keys[1], RULE_VERSION, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(version));
	return systable_beginscan(rel, lf_own_tables()->rule_move, true, snapshot, lengthof(keys), keys);
}

int32
lf_greatest_number(Relation rel, Oid index_oid, int32 funnel_id, Snapshot snapshot)
{
	Relation	index = index_open(index_oid, AccessShareLock);
	AttrNumber	funnel_column = index->rd_index->indkey.values[0];
	AttrNumber	number_column = index->rd_index->indkey.values[1];
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int32		result = 0;

	ScanKeyInit(&key, funnel_column, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(funnel_id));
	scan = systable_beginscan_ordered(rel, index, snapshot, 1, &key);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (tuple != NULL)
		result = DatumGetInt32(lf_required_attribute(tuple, number_column, RelationGetDescr(rel)));
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return result;
}

static int32
newest_rules(Snapshot snapshot, int32 funnel_id)
{
	Relation	rel = table_open(lf_own_tables()->rule_version, AccessShareLock);
	int32		result = lf_greatest_number(rel, lf_own_tables()->rule_version_pkey, funnel_id, snapshot);

	table_close(rel, AccessShareLock);
	return result;
}

static StageKind
stage_kind_of(Oid type)
{
	if (type == INT2OID || type == INT4OID || type == INT8OID)
		return LF_STAGE_INTEGER;
	if (type == TEXTOID || type == VARCHAROID || type == BPCHAROID)
		return LF_STAGE_TEXT;
	if (type_is_enum(type))
		return LF_STAGE_ENUM;
	return LF_STAGE_NATIVE;
}

/* What a column of the table is for, in the words of lf_column_complaint(). */
static const char *const column_uses[LF_COLUMN_COUNT] = {
	[LF_COL_STAGE] = "stage",
	[LF_COL_KEY] = "key",
	[LF_COL_SOURCE] = "dim",
	[LF_COL_CAMPAIGN] = "dim",
	[LF_COL_OWNER] = "dim",
	[LF_COL_SEGMENT] = "dim",
	[LF_COL_CURRENCY] = "dim",
	[LF_COL_VALUE] = "value",
	[LF_COL_ENTERED] = "time",
	[LF_COL_ACTOR] = "text",
	[LF_COL_REASON] = "text",
	[LF_COL_HANDOVER] = "time",
	[LF_COL_EXCLUDED] = "excluded",
	[LF_COL_SCORE] = "value",
	[LF_COL_QUALIFICATION] = "qualification",
};

/*
 * Attribute number and base type of a column.  Types are looked at each time:
 * while a funnel is suspended its columns may change, and a type of a table
 * (CREATE TABLE OF) changes without a word to us.
 */
static void
resolve_column(const Funnel *funnel, const char *column, const char *use, AttrNumber *attnum, Oid *type)
{
	char	   *complaint;

	*attnum = get_attnum(funnel->relid, column);
	if (*attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist, but funnel \"%s\" uses it",
						column, get_rel_name(funnel->relid), NameStr(funnel->name)),
				 errhint("Name another column with lead_funnel.alter_funnel(), or give the table up with lead_funnel.detach().")));
	complaint = lf_column_complaint(funnel->relid, column, use);
	if (complaint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" does not suit funnel \"%s\" any more",
						column, get_rel_name(funnel->relid), NameStr(funnel->name)),
				 errdetail("%s", complaint),
				 errhint("Change the column back, name another one with lead_funnel.alter_funnel(), or give the table up with lead_funnel.detach().")));
	*type = getBaseType(get_atttype(funnel->relid, *attnum));
}

static void
compile_columns(Funnel *funnel, HeapTuple tuple, TupleDesc desc)
{
	for (int i = 0; i < LF_COLUMN_COUNT; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, FUNNEL_STAGE_COLUMN + i, desc, &isnull);

		funnel->attnum[i] = InvalidAttrNumber;
		funnel->type[i] = InvalidOid;
		if (!isnull)
			resolve_column(funnel, NameStr(*DatumGetName(value)), column_uses[i],
						   &funnel->attnum[i], &funnel->type[i]);
	}
	funnel->stage_kind = stage_kind_of(funnel->type[LF_COL_STAGE]);
	funnel->stage_column = *name_attribute(tuple, FUNNEL_STAGE_COLUMN, desc);
}

/* ---------- columns that make a qualification ---------- */

/* A field of a JSON object, as text; NULL if it is not there. */
static char *
text_field(JsonbContainer *object, const char *key)
{
	JsonbValue	v;

	if (object == NULL || getKeyJsonValueFromContainer(object, key, strlen(key), &v) == NULL)
		return NULL;
	if (v.type == jbvString)
		return pnstrdup(v.val.string.val, v.val.string.len);
	if (v.type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v.val.numeric)));
	if (v.type == jbvBinary)
		return JsonbToCString(NULL, v.val.binary.data, v.val.binary.len);
	return NULL;
}

static JsonbContainer *
object_field(JsonbContainer *object, const char *key)
{
	JsonbValue	v;

	if (getKeyJsonValueFromContainer(object, key, strlen(key), &v) == NULL || v.type != jbvBinary)
		return NULL;
	return v.val.binary.data;
}

/* A threshold of bant_evaluate(), which lives as long as the binding. */
static NullableDatum
threshold(Funnel *funnel, JsonbContainer *thresholds, const char *key, PGFunction input, const char *otherwise)
{
	NullableDatum result = {(Datum) 0, true};
	const char *s = text_field(thresholds, key);
	MemoryContext previous;

	if (s == NULL)
		s = otherwise;
	if (s == NULL)
		return result;
	previous = MemoryContextSwitchTo(funnel->cxt);
	result.value = DirectFunctionCall3(input, CStringGetDatum(s), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	result.isnull = false;
	MemoryContextSwitchTo(previous);
	return result;
}

/* What a column stands for, in the words of lf_column_complaint(), after its name in bind_qualification(). */
static const char *
use_of_criterion(int framework, int criterion)
{
	if (framework == LF_FRAMEWORK_BANT && criterion == LF_BANT_BUDGET)
		return "budget";
	if (framework == LF_FRAMEWORK_BANT && criterion == LF_BANT_TIMELINE)
		return "timeline";
	return "level";
}

/* A column of amounts or dates that was named for a criterion is an input of bant_evaluate(). */
static void
tell_levels_from_data(Binding *binding)
{
	static const struct
	{
		int			criterion;
		BoundInput	input;
	}			pairs[] = {{LF_BANT_BUDGET, LF_BOUND_AMOUNT}, {LF_BANT_TIMELINE, LF_BOUND_DECISION}};

	for (int i = 0; i < (int) lengthof(pairs); i++)
	{
		Oid			type = binding->type[pairs[i].criterion];

		if (type != NUMERICOID && type != FLOAT4OID && type != FLOAT8OID &&
			type != DATEOID && type != TIMESTAMPOID && type != TIMESTAMPTZOID)
			continue;
		binding->attnum[pairs[i].input] = binding->attnum[pairs[i].criterion];
		binding->type[pairs[i].input] = type;
		binding->attnum[pairs[i].criterion] = InvalidAttrNumber;
	}
}

static void
compile_binding(Funnel *funnel, HeapTuple tuple, TupleDesc desc)
{
	static const struct
	{
		const char *name;
		const char *use;
	}			inputs[] = {
		{"amount", "value"}, {"price", "value"}, {"role", "text"}, {"problem", "text"},
		{"fits", "boolean"}, {"impact", "value"}, {"needed", "boolean"}, {"decision", "time"},
	};
	bool		isnull;
	Datum		value = heap_getattr(tuple, get_attnum(lf_own_tables()->funnel, "binding"), desc, &isnull);
	Binding    *binding;
	JsonbContainer *root;
	JsonbContainer *columns;
	JsonbContainer *thresholds;
	char	   *s;

	funnel->binding = NULL;
	if (isnull)
		return;
	binding = MemoryContextAllocZero(funnel->cxt, sizeof(Binding));
	root = &DatumGetJsonbP(value)->root;
	s = text_field(root, "framework");
	binding->framework = s ? lf_framework_parse(s, strlen(s)) : LF_FRAMEWORK_NONE;
	columns = object_field(root, "columns");
	thresholds = object_field(root, "thresholds");
	if (binding->framework == LF_FRAMEWORK_NONE || columns == NULL)
		elog(ERROR, "binding of funnel \"%s\" makes no sense", NameStr(funnel->name));

	for (int c = 0; c < lf_criterion_count(binding->framework); c++)
	{
		s = text_field(columns, lf_criterion_label(binding->framework, c));
		if (s != NULL)
			resolve_column(funnel, s, use_of_criterion(binding->framework, c), &binding->attnum[c], &binding->type[c]);
	}
	if (binding->framework == LF_FRAMEWORK_BANT)
	{
		for (int i = 0; i < (int) lengthof(inputs); i++)
		{
			s = text_field(columns, inputs[i].name);
			if (s != NULL)
				resolve_column(funnel, s, inputs[i].use, &binding->attnum[LF_BOUND_AMOUNT + i],
							   &binding->type[LF_BOUND_AMOUNT + i]);
		}
		tell_levels_from_data(binding);
		binding->evaluates = true;
	}
	binding->price = threshold(funnel, thresholds, "list_price", numeric_in, NULL);
	for (int i = 0; i < LF_BANT_ARGUMENTS; i++)
		binding->thresholds[i].isnull = true;
	binding->thresholds[LF_BANT_VALIDATED_SHARE] = threshold(funnel, thresholds, "validated_share", numeric_in, "0.8");
	binding->thresholds[LF_BANT_CONFIRMED_SHARE] = threshold(funnel, thresholds, "confirmed_share", numeric_in, "1");
	binding->thresholds[LF_BANT_ROLES] = threshold(funnel, thresholds, "roles", jsonb_in, NULL);
	binding->thresholds[LF_BANT_MIN_IMPACT] = threshold(funnel, thresholds, "min_impact", numeric_in, NULL);
	binding->thresholds[LF_BANT_HORIZON] = threshold(funnel, thresholds, "horizon", interval_in, "6 months");
	binding->thresholds[LF_BANT_NEAR] = threshold(funnel, thresholds, "near", interval_in, NULL);
	funnel->binding = binding;
}

/* ---------- a model that makes the score ---------- */

static void
compile_score_source(Funnel *funnel, HeapTuple tuple, TupleDesc desc)
{
	Oid			table = lf_own_tables()->funnel;
	bool		isnull;
	Datum		value = heap_getattr(tuple, get_attnum(table, "score_model"), desc, &isnull);
	ScoreSource *source;

	funnel->score_source = NULL;
	if (isnull)
		return;
	source = MemoryContextAllocZero(funnel->cxt, sizeof(ScoreSource));
	source->cxt = funnel->cxt;
	source->model = *DatumGetName(value);
	source->axis = LF_AXIS_TOTAL;
	value = heap_getattr(tuple, get_attnum(table, "score_axis"), desc, &isnull);
	if (!isnull)
	{
		char	   *axis = TextDatumGetCString(value);

		if (!lf_score_parse_axis(axis, strlen(axis), &source->axis))
			elog(ERROR, "axis of the score of funnel \"%s\" makes no sense", NameStr(funnel->name));
	}
	funnel->score_source = source;
}

static int
by_position(const void *a, const void *b)
{
	return ((const StageValue *) a)->position - ((const StageValue *) b)->position;
}

static void
compile_stage_map(Funnel *funnel, Snapshot snapshot)
{
	Relation	rel = table_open(lf_own_tables()->stage_map, AccessShareLock);
	SysScanDesc scan = begin_funnel_scan(rel, lf_own_tables()->stage_map_pkey, snapshot, funnel->funnel_id);
	HeapTuple	tuple;
	int			room = 0;

	funnel->nvalues = 0;
	funnel->values = NULL;
	funnel->null_stage = LF_STAGE_NONE;
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		LeadStage	stage = DatumGetLeadStage(heap_getattr(tuple, 2, RelationGetDescr(rel), &isnull));
		Datum		raw = heap_getattr(tuple, 4, RelationGetDescr(rel), &isnull);
		char	   *value;
		StageValue *entry;

		if (isnull)
		{
			funnel->null_stage = stage;
			continue;
		}
		value = TextDatumGetCString(raw);
		if (funnel->nvalues == room)
		{
			room = room == 0 ? 16 : room * 2;
			funnel->values = funnel->values == NULL ?
				MemoryContextAlloc(funnel->cxt, room * sizeof(StageValue)) :
				repalloc(funnel->values, room * sizeof(StageValue));
		}
		entry = &funnel->values[funnel->nvalues++];
		entry->value = MemoryContextStrdup(funnel->cxt, value);
		entry->length = strlen(value);
		entry->number = funnel->stage_kind == LF_STAGE_INTEGER ? pg_strtoint64(value) : 0;
		entry->stage = stage;
		entry->position = DatumGetInt32(heap_getattr(tuple, 3, RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (funnel->nvalues > 1)
		qsort(funnel->values, funnel->nvalues, sizeof(StageValue), by_position);
}

static Numeric
copy_numeric(Funnel *funnel, HeapTuple tuple, AttrNumber attnum, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);
	MemoryContext previous;
	Numeric		result;

	if (isnull)
		return NULL;
	previous = MemoryContextSwitchTo(funnel->cxt);
	result = DatumGetNumericCopy(value);
	MemoryContextSwitchTo(previous);
	return result;
}

/* The conditions of a rule that look at the lead; NULL if it has none. */
static Gate *
compile_gate(Funnel *funnel, HeapTuple tuple, TupleDesc desc)
{
	Gate		gate = {0};
	Gate	   *result;
	bool		isnull;
	Datum		value = heap_getattr(tuple, RULE_REQUIRES, desc, &isnull);

	if (!isnull)
	{
		Datum	   *elements;
		int			count;

		deconstruct_array(DatumGetArrayTypeP(value), lf_own_tables()->qualification, sizeof(Qualification), true,
						  TYPALIGN_DOUBLE, &elements, NULL, &count);
		for (int i = 0; i < count; i++)
		{
			Qualification q = DatumGetQualification(elements[i]);

			gate.requires[lf_qualification_check(q)] = q;
		}
	}
	value = heap_getattr(tuple, RULE_MIN_CRITERIA, desc, &isnull);
	gate.min_criteria = isnull ? 0 : DatumGetInt32(value);
	value = heap_getattr(tuple, RULE_MIN_LEVEL, desc, &isnull);
	gate.min_level = isnull ? LF_LEVEL_IDENTIFIED : DatumGetInt32(value);
	gate.no_blockers = DatumGetBool(lf_required_attribute(tuple, RULE_NO_BLOCKERS, desc));
	value = heap_getattr(tuple, RULE_MIN_QUALIFICATION_SCORE, desc, &isnull);
	gate.has_min_sum = !isnull;
	if (!isnull)
		gate.min_qualification_score = DatumGetFloat8(DirectFunctionCall1(numeric_float8, value));
	gate.at_commit = strcmp(text_attribute(tuple, RULE_CHECK_AT, desc), "commit") == 0;
	gate.min_score = copy_numeric(funnel, tuple, RULE_MIN_SCORE, desc);
	if (!lf_gate_finish(&gate))
		return NULL;
	result = MemoryContextAlloc(funnel->cxt, sizeof(Gate));
	*result = gate;
	return result;
}

/* The rule that a score reaches goes before the one that it falls to. */
static void
add_automatic(Funnel *funnel, LeadStage from, const Rule *rule)
{
	LeadStage  *targets = funnel->automatic[from];
	LeadStage	to = rule - funnel->rules[from];

	funnel->has_automatic = true;
	if (targets[0] == LF_STAGE_NONE)
		targets[0] = to;
	else if (rule->below_score == NULL)
	{
		targets[1] = targets[0];
		targets[0] = to;
	}
	else
		targets[1] = to;
}

static void
compile_rules(Funnel *funnel, Snapshot snapshot)
{
	Relation	rel = table_open(lf_own_tables()->rule, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	SysScanDesc scan;
	HeapTuple	tuple;

	funnel->rules_version = newest_rules(snapshot, funnel->funnel_id);
	memset(funnel->rules, 0, sizeof(funnel->rules));
	memset(funnel->automatic, 0, sizeof(funnel->automatic));
	funnel->has_automatic = false;
	scan = begin_rule_scan(rel, snapshot, funnel->funnel_id, funnel->rules_version);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, RULE_FROM_STAGE, desc, &isnull);
		LeadStage	from;
		Rule	   *rule;

		from = isnull ? LF_STAGE_NONE : DatumGetLeadStage(value);
		rule = &funnel->rules[from][DatumGetLeadStage(heap_getattr(tuple, RULE_TO_STAGE, desc, &isnull))];
		rule->allowed = true;
		rule->requires_reason = DatumGetBool(heap_getattr(tuple, RULE_REQUIRES_REASON, desc, &isnull));
		value = heap_getattr(tuple, RULE_ALLOWED_ROLE, desc, &isnull);
		if (!isnull)
			rule->allowed_role = MemoryContextStrdup(funnel->cxt, NameStr(*DatumGetName(value)));
		rule->gate = compile_gate(funnel, tuple, desc);
		rule->automatic = DatumGetBool(lf_required_attribute(tuple, RULE_AUTOMATIC, desc));
		rule->below_score = copy_numeric(funnel, tuple, RULE_BELOW_SCORE, desc);
		if (rule->automatic)
			add_automatic(funnel, from, rule);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
compile_overriders(Funnel *funnel, Snapshot snapshot)
{
	Relation	rel = table_open(lf_own_tables()->override_role, AccessShareLock);
	SysScanDesc scan = begin_funnel_scan(rel, lf_own_tables()->override_role_pkey, snapshot, funnel->funnel_id);
	HeapTuple	tuple;
	List	   *names = NIL;
	ListCell   *cell;

	while ((tuple = systable_getnext(scan)) != NULL)
		names = lappend(names, pstrdup(NameStr(*name_attribute(tuple, 2, RelationGetDescr(rel)))));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	funnel->noverriders = 0;
	funnel->overriders = MemoryContextAlloc(funnel->cxt, (list_length(names) + 1) * sizeof(NameData));
	foreach(cell, names)
		namestrcpy(&funnel->overriders[funnel->noverriders++], lfirst(cell));
}

/* Fills the entry; returns false if the root has no active funnel. */
static bool
compile(Funnel *funnel, Oid root)
{
	Relation	rel = table_open(lf_own_tables()->funnel, AccessShareLock);
	Snapshot	snapshot;
	TupleDesc	desc = RelationGetDescr(rel);
	HeapTuple	tuple;
	bool		isnull;

	funnel->root = root;
	if (funnel->root != funnel->relid)
		hash_search(roots, &funnel->root, HASH_ENTER, NULL);
	/* after that, so that what it does not see is told to this entry */
	snapshot = lf_fresh_snapshot();
	tuple = find_funnel_tuple(snapshot, rel, funnel->root, NULL, 0);
	if (tuple != NULL &&
		strcmp(text_attribute(tuple, FUNNEL_STATUS, desc), "detached") != 0)
	{
		char	   *mode = text_attribute(tuple, FUNNEL_MODE, desc);
		bool		always = DatumGetBool(heap_getattr(tuple, FUNNEL_ALWAYS, desc, &isnull));

		if (funnel->cxt == NULL)
			funnel->cxt = AllocSetContextCreate(CacheMemoryContext, "lead_funnel funnel",
												ALLOCSET_SMALL_SIZES);
		MemoryContextReset(funnel->cxt);
		funnel->funnel_id = DatumGetInt32(heap_getattr(tuple, FUNNEL_FUNNEL_ID, desc, &isnull));
		funnel->name = *name_attribute(tuple, FUNNEL_NAME, desc);
		/* a refused move would stop an apply worker for good */
		funnel->suspended = strcmp(text_attribute(tuple, FUNNEL_STATUS, desc), "suspended") == 0;
		funnel->enforce = strcmp(mode, "enforce") == 0 && !always;
		funnel->tz = lookup_zone(text_attribute(tuple, FUNNEL_TIMEZONE, desc), NameStr(funnel->name));
		read_notify_channel(tuple, desc, &funnel->notify_channel);
		compile_columns(funnel, tuple, desc);
		compile_binding(funnel, tuple, desc);
		compile_score_source(funnel, tuple, desc);
		compile_stage_map(funnel, snapshot);
		compile_rules(funnel, snapshot);
		compile_overriders(funnel, snapshot);
		funnel->epoch = lf_journal_epoch(funnel->funnel_id, snapshot);
	}
	else
		tuple = NULL;
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return tuple != NULL;
}

Funnel *
lf_funnel_lookup(Oid relid)
{
	bool		found;
	Funnel	   *funnel = hash_search(funnels, &relid, HASH_ENTER, &found);
	MemoryContext scratch;
	MemoryContext previous;
	bool		exists;

	if (!found)
	{
		memset((char *) funnel + sizeof(Oid), 0, sizeof(Funnel) - sizeof(Oid));
		funnel->root = relid;
	}
	if (funnel->valid)
		return funnel;

	scratch = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel compile",
									ALLOCSET_DEFAULT_SIZES);
	previous = MemoryContextSwitchTo(scratch);
	/* set first: an invalidation that arrives meanwhile must win */
	funnel->valid = true;
	PG_TRY();
	{
		exists = compile(funnel, partition_root(relid));
	}
	PG_CATCH();
	{
		mark_entry(funnel);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(scratch);
	if (!exists)
	{
		mark_entry(funnel);
		return NULL;
	}
	return funnel;
}

Funnel *
lf_funnel_of_former_partition(Oid relid, Oid former_parent)
{
	Funnel	   *funnel = palloc0(sizeof(Funnel));

	funnel->relid = relid;
	funnel->cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel former partition", ALLOCSET_SMALL_SIZES);
	return compile(funnel, partition_root(former_parent)) ? funnel : NULL;
}

void
lf_funnel_forget(void)
{
	HASH_SEQ_STATUS status;
	Funnel	   *funnel;

	if (!has_invalid)
		return;
	has_invalid = false;
	hash_seq_init(&status, funnels);
	while ((funnel = hash_seq_search(&status)) != NULL)
	{
		if (funnel->valid)
			continue;
		if (funnel->cxt != NULL)
			MemoryContextDelete(funnel->cxt);
		hash_search(funnels, &funnel->relid, HASH_REMOVE, NULL);
	}
}

Funnel *
lf_funnel_by_id(int32 funnel_id)
{
	FunnelRow	row;
	Funnel	   *funnel;

	if (!lf_funnel_row_by_id(funnel_id, &row) || !OidIsValid(row.relation) ||
		(funnel = lf_funnel_lookup(row.relation)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("funnel %d does not exist or is detached", funnel_id)));
	return funnel;
}

Funnel *
lf_funnel_by_name(const char *name)
{
	FunnelRow	row;

	lf_funnel_row_by_name(name, &row);
	return lf_funnel_by_id(row.funnel_id);
}

void
lf_funnel_invalidate(Oid relid)
{
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
}

LeadStage
lf_funnel_stage_of_text(const Funnel *funnel, const char *value, int length)
{
	for (int i = 0; i < funnel->nvalues; i++)
	{
		const StageValue *entry = &funnel->values[i];

		if (entry->length == length && memcmp(entry->value, value, length) == 0)
			return entry->stage;
	}
	/* a stage's own label needs no mapping */
	return lf_stage_parse(value, length);
}

LeadStage
lf_funnel_stage_of_number(const Funnel *funnel, int64 value)
{
	for (int i = 0; i < funnel->nvalues; i++)
	{
		if (funnel->values[i].number == value)
			return funnel->values[i].stage;
	}
	return LF_STAGE_NONE;
}

/* The enum's own spelling of the label; NULL if it has none like it. */
static char *
enum_spelling(Oid type, const char *label)
{
	CatCList   *list = SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(type));
	char	   *result = NULL;

	for (int i = 0; i < list->n_members; i++)
	{
		char	   *name = NameStr(((Form_pg_enum) GETSTRUCT(&list->members[i]->tuple))->enumlabel);

		if (pg_strcasecmp(name, label) == 0)
			result = pstrdup(name);
	}
	ReleaseSysCacheList(list);
	return result;
}

const char *
lf_funnel_status_of_stage(const Funnel *funnel, LeadStage stage)
{
	for (int i = 0; i < funnel->nvalues; i++)
	{
		if (funnel->values[i].stage == stage)
			return funnel->values[i].value;
	}
	if (funnel->stage_kind == LF_STAGE_ENUM)
		return enum_spelling(funnel->type[LF_COL_STAGE], lf_stage_label(stage));
	return funnel->stage_kind == LF_STAGE_INTEGER ? NULL : lf_stage_label(stage);
}

bool
lf_funnel_was_automatic(const Funnel *funnel, int32 version, LeadStage from, LeadStage to)
{
	Relation	rel = table_open(lf_own_tables()->rule, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Snapshot	snapshot = lf_fresh_snapshot();
	SysScanDesc scan = begin_rule_scan(rel, snapshot, funnel->funnel_id, version);
	HeapTuple	tuple;
	bool		result = false;

	while (!result && (tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, RULE_FROM_STAGE, desc, &isnull);

		result = !isnull && DatumGetLeadStage(value) == from &&
			DatumGetLeadStage(lf_required_attribute(tuple, RULE_TO_STAGE, desc)) == to &&
			DatumGetBool(lf_required_attribute(tuple, RULE_AUTOMATIC, desc));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return result;
}
