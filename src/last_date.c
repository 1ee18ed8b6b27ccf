/*-------------------------------------------------------------------------
 *
 * last_date.c
 *	  The date in the last row of a lead that has one, as an aggregate.
 *
 * NOTES
 *	  An array_agg(... ORDER BY move) keeps and sorts all of them, and cannot
 *	  be hashed.
 *
 * IDENTIFICATION
 *	  src/last_date.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(lf_last_date_step);
PG_FUNCTION_INFO_V1(lf_last_date);

typedef struct LastDate
{
	int32		move;
	TimestampTz date;
} LastDate;

/* lead_funnel._last_date_step(internal, move, date) */
Datum
lf_last_date_step(PG_FUNCTION_ARGS)
{
	LastDate   *state = PG_ARGISNULL(0) ? NULL : (LastDate *) PG_GETARG_POINTER(0);
	MemoryContext cxt;

	if (!AggCheckCallContext(fcinfo, &cxt))
		elog(ERROR, "lf_last_date_step called outside an aggregate");
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2) && (state == NULL || PG_GETARG_INT32(1) > state->move))
	{
		if (state == NULL)
			state = MemoryContextAlloc(cxt, sizeof(LastDate));
		state->move = PG_GETARG_INT32(1);
		state->date = PG_GETARG_TIMESTAMPTZ(2);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* lead_funnel._last_date_final(internal) */
Datum
lf_last_date(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(((LastDate *) PG_GETARG_POINTER(0))->date);
}
