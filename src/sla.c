/*-------------------------------------------------------------------------
 *
 * sla.c
 *	  When a lead is to have left its stage.
 *
 * NOTES
 *	  Targets are versioned: a clock runs by the target that was in force when
 *	  it started.  They are few, so a backend keeps those of all funnels,
 *	  sorted, until a trigger on their table sends an invalidation.
 *
 *	  A due date is asked for once a row by views and by reports, which must
 *	  not fail for one lead: where it is out of range, or the calendar has no
 *	  working time, it is infinity.
 *
 * IDENTIFICATION
 *	  src/sla.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "business_time.h"
#include "readers.h"
#include "sla.h"

PG_FUNCTION_INFO_V1(lf_due_at);

/* Columns of table sla (sql/parts/47_sla.sql). */
enum
{
	SLA_FUNNEL_ID = 1,
	SLA_STAGE,
	SLA_VALID_FROM,
	SLA_TARGET,
	SLA_BUSINESS_DAYS,
	SLA_CALENDAR
};

typedef struct Sla
{
	int32		funnel_id;
	LeadStage	stage;
	TimestampTz valid_from;
	int64		target;			/* microseconds; 0: business_days */
	int32		business_days;	/* 0, too: no SLA from then on */
	char	   *calendar;
	int			calendar_length;
} Sla;

static bool valid = false;
static MemoryContext sla_cxt = NULL;
static Oid	sla_relid = InvalidOid;
static Sla *slas;
static int	nslas;

static void
forget_slas(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == sla_relid)
		valid = false;
}

static int
compare_sla(const Sla *a, int32 funnel_id, LeadStage stage, TimestampTz valid_from)
{
	if (a->funnel_id != funnel_id)
		return a->funnel_id < funnel_id ? -1 : 1;
	if (a->stage != stage)
		return a->stage < stage ? -1 : 1;
	return a->valid_from < valid_from ? -1 : a->valid_from > valid_from;
}

static int
by_validity(const void *a, const void *b)
{
	const Sla  *other = b;

	return compare_sla(a, other->funnel_id, other->stage, other->valid_from);
}

static void
fill_sla(Sla *sla, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value;

	memset(sla, 0, sizeof(*sla));
	sla->funnel_id = DatumGetInt32(heap_getattr(tuple, SLA_FUNNEL_ID, desc, &isnull));
	sla->stage = DatumGetLeadStage(heap_getattr(tuple, SLA_STAGE, desc, &isnull));
	sla->valid_from = DatumGetTimestampTz(heap_getattr(tuple, SLA_VALID_FROM, desc, &isnull));
	value = heap_getattr(tuple, SLA_TARGET, desc, &isnull);
	if (!isnull)
		sla->target = DatumGetIntervalP(value)->time;
	value = heap_getattr(tuple, SLA_BUSINESS_DAYS, desc, &isnull);
	if (!isnull)
		sla->business_days = DatumGetInt32(value);
	value = heap_getattr(tuple, SLA_CALENDAR, desc, &isnull);
	if (!isnull)
	{
		char	   *name = TextDatumGetCString(value);

		sla->calendar = MemoryContextStrdup(sla_cxt, name);
		sla->calendar_length = strlen(name);
	}
}

static void
read_slas(void)
{
	Relation	rel = table_open(get_relname_relid("sla", get_namespace_oid("lead_funnel", false)),
								 AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(rel)));
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple;
	int			room = 16;

	sla_relid = RelationGetRelid(rel);
	MemoryContextReset(sla_cxt);
	slas = MemoryContextAlloc(sla_cxt, room * sizeof(Sla));
	nslas = 0;
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		if (nslas == room)
		{
			room *= 2;
			slas = repalloc(slas, room * sizeof(Sla));
		}
		fill_sla(&slas[nslas], tuple, RelationGetDescr(rel));
		nslas++;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	qsort(slas, nslas, sizeof(Sla), by_validity);
}

static void
refresh_slas(void)
{
	if (sla_cxt == NULL)
	{
		sla_cxt = AllocSetContextCreate(CacheMemoryContext, "lead_funnel slas",
										ALLOCSET_SMALL_SIZES);
		CacheRegisterRelcacheCallback(forget_slas, (Datum) 0);
	}
	/* set first: an invalidation that arrives meanwhile must win */
	valid = true;
	PG_TRY();
	{
		read_slas();
	}
	PG_CATCH();
	{
		valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* In force for a stage at a time; NULL if none is. */
static const Sla *
find_sla(int32 funnel_id, LeadStage stage, TimestampTz at)
{
	int			low = 0;
	int			high;
	const Sla  *sla;

	if (!valid)
		refresh_slas();
	/* the last one that is not behind it */
	high = nslas;
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (compare_sla(&slas[middle], funnel_id, stage, at) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	sla = &slas[low - 1];
	if (sla->funnel_id != funnel_id || sla->stage != stage ||
		(sla->target == 0 && sla->business_days == 0))
		return NULL;
	return sla;
}

bool
lf_sla_due_at(int32 funnel_id, LeadStage stage, TimestampTz started_at, TimestampTz *due_at)
{
	const Sla  *sla = find_sla(funnel_id, stage, started_at);
	int64		target;
	int32		business_days;
	Calendar   *calendar;

	if (sla == NULL)
		return false;
	/* looking up the calendar may let the targets be read anew */
	target = sla->target;
	business_days = sla->business_days;
	calendar = lf_calendar_lookup(sla->calendar, sla->calendar_length);
	if (!lf_calendar_works(calendar) ||
		!(target != 0 ? lf_business_add(calendar, started_at, target, due_at) :
		  lf_business_add_days(calendar, started_at, business_days, due_at)))
		*due_at = DT_NOEND;
	return true;
}

/* The funnel that this call has been asked for, and whether it may be told. */
typedef struct Asked
{
	int32		funnel_id;
	bool		may_read;
} Asked;

/* lead_funnel._due_at(funnel_id, stage, started_at) */
Datum
lf_due_at(PG_FUNCTION_ARGS)
{
	int32		funnel_id = PG_GETARG_INT32(0);
	Asked	   *asked = fcinfo->flinfo->fn_extra;
	TimestampTz due_at;

	/*
	 * views call it with the rights of their reader: it looks itself who it
	 * is
	 */
	if (asked == NULL)
	{
		fcinfo->flinfo->fn_extra = asked = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Asked));
		/* a statement that locks no table has not heard of changes yet */
		AcceptInvalidationMessages();
	}
	if (asked->funnel_id != funnel_id)
	{
		asked->may_read = lf_may_read(funnel_id, GetActiveSnapshot());
		asked->funnel_id = funnel_id;
	}
	if (!asked->may_read ||
		!lf_sla_due_at(funnel_id, PG_GETARG_LEAD_STAGE(1), PG_GETARG_TIMESTAMPTZ(2), &due_at))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(due_at);
}
