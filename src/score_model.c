/*-------------------------------------------------------------------------
 *
 * score_model.c
 *	  Scoring models as a backend knows them.
 *
 * NOTES
 *	  A model is read from its tables once per backend and version, with a
 *	  snapshot of its own, as a funnel's rules are: a transaction that began
 *	  before a model was activated scores by what is active now.
 *
 *	  Plain DML on our tables sends no invalidation, so whoever changes models
 *	  sends one for table score_model.  The callback marks all models as stale;
 *	  a query that is at work keeps the version that it has, since versions are
 *	  counted references, and a new one is another struct.
 *
 * IDENTIFICATION
 *	  src/score_model.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "funnel.h"
#include "score_model.h"

/* Columns of our tables (sql/parts/49_scoring.sql). */
enum
{
	MODEL_MODEL_ID = 1,
	MODEL_NAME,
	MODEL_ACTIVE_VERSION
};

enum
{
	RULE_MODEL_ID = 1,
	RULE_VERSION,
	RULE_RULE,
	RULE_AXIS,
	RULE_GROUP,
	RULE_ATTRIBUTE,
	RULE_OPERATOR,
	RULE_OPERAND,
	RULE_POINTS
};

enum
{
	LIMIT_MODEL_ID = 1,
	LIMIT_VERSION,
	LIMIT_SCOPE,
	LIMIT_GROUP,
	LIMIT_FLOOR,
	LIMIT_CAP
};

typedef struct ModelEntry
{
	NameData	name;			/* hash key */
	ScoreModel *model;			/* NULL: not read yet */
} ModelEntry;

static HTAB *models = NULL;
static Oid	model_table = InvalidOid;

uint64		lf_score_generation = 1;

static const char *const axis_names[] = {"fit", "engagement", "total"};

static const char *const operator_names[] = {
	[LF_SCORE_EQ] = "=",
	[LF_SCORE_NE] = "<>",
	[LF_SCORE_LT] = "<",
	[LF_SCORE_LE] = "<=",
	[LF_SCORE_GT] = ">",
	[LF_SCORE_GE] = ">=",
	[LF_SCORE_BETWEEN] = "between",
	[LF_SCORE_IN] = "in",
	[LF_SCORE_LIKE] = "like",
	[LF_SCORE_MATCHES] = "matches",
	[LF_SCORE_CONTAINS] = "contains",
	[LF_SCORE_WITHIN] = "within",
	[LF_SCORE_IS_NULL] = "is null",
	[LF_SCORE_IS_NOT_NULL] = "is not null",
};

/* ---------- references and the cache ---------- */

static void
mark_stale(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	ModelEntry *entry;

	/* bound columns are looked at again, too */
	lf_score_generation++;
	if (OidIsValid(relid) && relid != model_table)
		return;
	model_table = InvalidOid;
	hash_seq_init(&status, models);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->model != NULL)
			entry->model->stale = true;
	}
}

void
lf_score_model_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(ModelEntry);
	ctl.hcxt = AllocSetContextCreate(CacheMemoryContext, "lead_funnel scoring models", ALLOCSET_SMALL_SIZES);
	models = hash_create("lead_funnel scoring models", 16, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(mark_stale, (Datum) 0);
}

ScoreModel *
lf_score_model_reference(ScoreModel *model)
{
	model->references++;
	return model;
}

void
lf_score_model_close(ScoreModel *model)
{
	if (--model->references == 0)
		MemoryContextDelete(model->cxt);
}

static void
close_at_reset(void *model)
{
	lf_score_model_close(model);
}

void
lf_score_model_close_with(ScoreModel *model, MemoryContext cxt)
{
	MemoryContextCallback *callback = MemoryContextAlloc(cxt, sizeof(MemoryContextCallback));

	callback->func = close_at_reset;
	callback->arg = model;
	MemoryContextRegisterResetCallback(cxt, callback);
}

Oid
lf_score_model_table(void)
{
	if (!OidIsValid(model_table))
		model_table = lf_own_relation(get_namespace_oid("lead_funnel", false), "score_model");
	return model_table;
}

/* ---------- words ---------- */

bool
lf_score_parse_axis(const char *word, int length, ScoreAxis *axis)
{
	for (int i = 0; i < (int) lengthof(axis_names); i++)
	{
		if ((int) strlen(axis_names[i]) == length && memcmp(word, axis_names[i], length) == 0)
		{
			*axis = i;
			return true;
		}
	}
	return false;
}

const char *
lf_score_axis_name(ScoreAxis axis)
{
	return axis_names[axis];
}

static ScoreAxis
axis_of(const char *word)
{
	ScoreAxis	axis;

	if (!lf_score_parse_axis(word, strlen(word), &axis))
		elog(ERROR, "unknown axis \"%s\" in a scoring model", word);
	return axis;
}

/* Splits the operand of a list, in the text form of an array. */
static void
parse_list(ScoreRule *rule)
{
	Datum		array = OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(rule->operand),
										 ObjectIdGetDatum(TEXTOID), Int32GetDatum(-1));
	Datum	   *elements;
	bool	   *nulls;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &rule->noperands);
	rule->operands = palloc((rule->noperands + 1) * sizeof(char *));
	for (int i = 0; i < rule->noperands; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a list of operands must not contain NULL"),
					 errhint("Add a rule with operator \"is null\".")));
		rule->operands[i] = TextDatumGetCString(elements[i]);
	}
}

void
lf_score_parse_rule(ScoreRule *rule, const char *op, char *operand)
{
	int			i;

	for (i = 0; i < (int) lengthof(operator_names); i++)
	{
		if (strcmp(op, operator_names[i]) == 0)
			break;
	}
	if (i == lengthof(operator_names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("operator \"%s\" of a scoring rule is not known", op),
				 errhint("Choose one of: =, <>, <, <=, >, >=, between, in, like, matches, contains, within, is null, is not null.")));
	rule->op = i;
	rule->op_name = operator_names[i];
	rule->operand = operand;
	rule->noperands = 0;
	rule->operands = NULL;
	if (i == LF_SCORE_IS_NULL || i == LF_SCORE_IS_NOT_NULL)
	{
		if (operand != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("operator \"%s\" takes no operand", op),
					 errhint("Give NULL as the operand.")));
		return;
	}
	if (operand == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("operator \"%s\" needs an operand", op),
				 errhint("For a missing value there is the operator \"is null\".")));
	if (i == LF_SCORE_IN || i == LF_SCORE_BETWEEN)
	{
		parse_list(rule);
		if (i == LF_SCORE_BETWEEN && rule->noperands != 2)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("operator \"between\" needs two operands"),
					 errdetail("The operand has %d elements.", rule->noperands),
					 errhint("Give the lowest and the highest value, such as {50,500}.")));
		return;
	}
	rule->noperands = 1;
	rule->operands = palloc(sizeof(char *));
	rule->operands[0] = operand;
}

/* ---------- reading ---------- */

static SysScanDesc
begin_version_scan(Relation rel, Snapshot snapshot, int32 model_id, int32 version, ScanKeyData *keys)
{
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(model_id));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(version));
	return systable_beginscan(rel, InvalidOid, false, snapshot, 2, keys);
}

static int
find_group(ScoreModel *model, const char *name, ScoreAxis axis)
{
	ScoreGroup *group;

	for (int i = LF_AXIS_COUNT; i < model->ngroups; i++)
	{
		if (strcmp(NameStr(model->groups[i].name), name) == 0)
			return i;
	}
	model->groups = repalloc(model->groups, (model->ngroups + 1) * sizeof(ScoreGroup));
	group = &model->groups[model->ngroups];
	memset(group, 0, sizeof(ScoreGroup));
	namestrcpy(&group->name, name);
	group->axis = axis;
	group->limit.floor = PG_INT32_MIN;
	group->limit.cap = PG_INT32_MAX;
	return model->ngroups++;
}

static int
find_attribute(ScoreModel *model, const char *name)
{
	for (int i = 0; i < model->nattributes; i++)
	{
		if (strcmp(NameStr(model->attributes[i]), name) == 0)
			return i;
	}
	/* never more than there are rules */
	namestrcpy(&model->attributes[model->nattributes], name);
	return model->nattributes++;
}

static int
by_number(const void *a, const void *b)
{
	const ScoreRule *left = a;
	const ScoreRule *right = b;

	return left->rule < right->rule ? -1 : left->rule > right->rule;
}

static int
by_attribute(const void *a, const void *b)
{
	const ScoreRule *left = a;
	const ScoreRule *right = b;

	return left->attribute != right->attribute ? left->attribute - right->attribute : by_number(a, b);
}

static void
read_rules(ScoreModel *model, Relation rel, Snapshot snapshot)
{
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData keys[2];
	SysScanDesc scan = begin_version_scan(rel, snapshot, model->model_id, model->version, keys);
	Name		attributes = palloc(LF_SCORE_RULES_MAX * sizeof(NameData));
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		ScoreRule  *rule;
		bool		isnull;
		Datum		operand;
		Datum		group;

		if (model->nrules == LF_SCORE_RULES_MAX)
			elog(ERROR, "scoring model \"%s\" has too many rules", NameStr(model->name));
		rule = &model->rules[model->nrules];
		rule->attribute = model->nrules;
		attributes[model->nrules++] = *DatumGetName(lf_required_attribute(tuple, RULE_ATTRIBUTE, desc));
		rule->rule = DatumGetInt32(lf_required_attribute(tuple, RULE_RULE, desc));
		rule->axis = axis_of(TextDatumGetCString(lf_required_attribute(tuple, RULE_AXIS, desc)));
		group = heap_getattr(tuple, RULE_GROUP, desc, &isnull);
		rule->group = isnull ? (int) rule->axis : find_group(model, NameStr(*DatumGetName(group)), rule->axis);
		operand = heap_getattr(tuple, RULE_OPERAND, desc, &isnull);
		lf_score_parse_rule(rule, TextDatumGetCString(lf_required_attribute(tuple, RULE_OPERATOR, desc)),
							isnull ? NULL : TextDatumGetCString(operand));
		rule->points = DatumGetInt32(lf_required_attribute(tuple, RULE_POINTS, desc));
	}
	systable_endscan(scan);

	/* attributes in an order that all backends agree on: plans count on it */
	qsort(model->rules, model->nrules, sizeof(ScoreRule), by_number);
	for (int i = 0; i < model->nrules; i++)
		model->rules[i].attribute = find_attribute(model, NameStr(attributes[model->rules[i].attribute]));
	qsort(model->rules, model->nrules, sizeof(ScoreRule), by_attribute);
	pfree(attributes);
}

static void
read_limits(ScoreModel *model, Relation rel, Snapshot snapshot)
{
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData keys[2];
	SysScanDesc scan = begin_version_scan(rel, snapshot, model->model_id, model->version, keys);
	HeapTuple	tuple;

	while ((tuple = systable_getnext(scan)) != NULL)
	{
		char	   *scope = TextDatumGetCString(lf_required_attribute(tuple, LIMIT_SCOPE, desc));
		char	   *name = NameStr(*DatumGetName(lf_required_attribute(tuple, LIMIT_GROUP, desc)));
		ScoreLimit *limit = NULL;
		bool		isnull;
		Datum		bound;

		if (strcmp(scope, "group") != 0)
			limit = &model->limits[axis_of(scope)];
		else
		{
			/* a group without rules counts nothing */
			for (int i = LF_AXIS_COUNT; i < model->ngroups; i++)
			{
				if (strcmp(NameStr(model->groups[i].name), name) == 0)
					limit = &model->groups[i].limit;
			}
			if (limit == NULL)
				continue;
		}
		bound = heap_getattr(tuple, LIMIT_FLOOR, desc, &isnull);
		if (!isnull)
			limit->floor = DatumGetInt32(bound);
		bound = heap_getattr(tuple, LIMIT_CAP, desc, &isnull);
		if (!isnull)
			limit->cap = DatumGetInt32(bound);
	}
	systable_endscan(scan);
}

/* Reads a version into the current context, which becomes that of the model. */
static ScoreModel *
read_version(int32 model_id, const char *name, int32 version, Snapshot snapshot)
{
	ScoreModel *model = palloc0(sizeof(ScoreModel));
	Relation	rel;

	model->cxt = CurrentMemoryContext;
	model->model_id = model_id;
	model->version = version;
	namestrcpy(&model->name, name);
	model->attributes = palloc(LF_SCORE_RULES_MAX * sizeof(NameData));
	model->rules = palloc0(LF_SCORE_RULES_MAX * sizeof(ScoreRule));
	model->groups = palloc0(LF_AXIS_COUNT * sizeof(ScoreGroup));
	for (int i = 0; i < LF_AXIS_COUNT; i++)
	{
		model->groups[i].axis = i;
		model->groups[i].limit.floor = PG_INT32_MIN;
		model->groups[i].limit.cap = PG_INT32_MAX;
	}
	model->ngroups = LF_AXIS_COUNT;
	for (int i = 0; i <= LF_AXIS_TOTAL; i++)
	{
		model->limits[i].floor = PG_INT32_MIN;
		model->limits[i].cap = PG_INT32_MAX;
	}

	rel = table_open(lf_own_relation(get_namespace_oid("lead_funnel", false), "score_rule"), AccessShareLock);
	read_rules(model, rel, snapshot);
	table_close(rel, AccessShareLock);
	rel = table_open(lf_own_relation(get_namespace_oid("lead_funnel", false), "score_limit"), AccessShareLock);
	read_limits(model, rel, snapshot);
	table_close(rel, AccessShareLock);

	model->attributes = repalloc(model->attributes, Max(model->nattributes, 1) * sizeof(NameData));
	model->rules = repalloc(model->rules, Max(model->nrules, 1) * sizeof(ScoreRule));
	return model;
}

/* The row of a model by name or number; false if there is none. */
static bool
find_model(const char *name, int32 model_id, Snapshot snapshot, int32 *found_id, NameData *found_name,
		   int32 *active, bool *has_active)
{
	Relation	rel = table_open(lf_score_model_table(), AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found = false;

	if (name != NULL)
		ScanKeyInit(&key, MODEL_NAME, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	else
		ScanKeyInit(&key, MODEL_MODEL_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(model_id));
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 1, &key);
	if ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		Datum		version = heap_getattr(tuple, MODEL_ACTIVE_VERSION, desc, &isnull);

		found = true;
		*found_id = DatumGetInt32(lf_required_attribute(tuple, MODEL_MODEL_ID, desc));
		*found_name = *DatumGetName(lf_required_attribute(tuple, MODEL_NAME, desc));
		*has_active = !isnull;
		*active = isnull ? 0 : DatumGetInt32(version);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static void
report_no_model(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("scoring model \"%s\" does not exist", name),
			 errhint("See lead_funnel.score_models for those that do, or make one with lead_funnel.create_model().")));
}

ScoreModel *
lf_score_model_open_version(int32 model_id, int32 version)
{
	HASH_SEQ_STATUS status;
	ModelEntry *entry;
	MemoryContext cxt;
	MemoryContext previous;
	Snapshot	snapshot;
	NameData	name;
	int32		id;
	int32		active;
	bool		has_active;
	ScoreModel *model;

	/* it mostly is the active one */
	hash_seq_init(&status, models);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		model = entry->model;
		if (model != NULL && !model->stale && model->model_id == model_id && model->version == version)
		{
			hash_seq_term(&status);
			return lf_score_model_reference(model);
		}
	}

	cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel scoring model", ALLOCSET_SMALL_SIZES);
	previous = MemoryContextSwitchTo(cxt);
	snapshot = lf_fresh_snapshot();
	if (!find_model(NULL, model_id, snapshot, &id, &name, &active, &has_active))
		report_no_model(psprintf("%d", model_id));
	model = read_version(id, NameStr(name), version, snapshot);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(previous);
	MemoryContextSetParent(cxt, CacheMemoryContext);
	return lf_score_model_reference(model);
}

ScoreModel *
lf_score_model_open(const char *name, bool missing_ok)
{
	NameData	key;
	ModelEntry *entry;
	bool		found;
	ScoreModel *model;
	uint64		generation;
	MemoryContext cxt;
	MemoryContext previous;
	Snapshot	snapshot;
	NameData	found_name;
	int32		id;
	int32		version;
	bool		has_active;

	namestrcpy(&key, name);
	entry = hash_search(models, &key, HASH_FIND, NULL);
	if (entry != NULL && entry->model != NULL && !entry->model->stale)
		return lf_score_model_reference(entry->model);

	/* read before it is entered: an error leaves the cache as it was */
	(void) lf_score_model_table();
	cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_funnel scoring model", ALLOCSET_SMALL_SIZES);
	previous = MemoryContextSwitchTo(cxt);
	generation = lf_score_generation;
	snapshot = lf_fresh_snapshot();
	found = find_model(NameStr(key), 0, snapshot, &id, &found_name, &version, &has_active);
	if (missing_ok && !(found && has_active))
	{
		UnregisterSnapshot(snapshot);
		MemoryContextSwitchTo(previous);
		MemoryContextDelete(cxt);
		return NULL;
	}
	if (!found)
		report_no_model(NameStr(key));
	if (!has_active)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("scoring model \"%s\" has no active version", NameStr(key)),
				 errhint("Activate its draft with lead_funnel.activate_model(%s).", quote_literal_cstr(NameStr(key)))));
	model = read_version(id, NameStr(key), version, snapshot);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(previous);
	/* an invalidation that arrived meanwhile counts */
	model->stale = (generation != lf_score_generation);

	entry = hash_search(models, &key, HASH_ENTER, &found);
	if (found && entry->model != NULL)
		lf_score_model_close(entry->model);
	MemoryContextSetParent(cxt, CacheMemoryContext);
	entry->model = lf_score_model_reference(model);
	return lf_score_model_reference(model);
}
