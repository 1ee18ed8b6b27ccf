/*-------------------------------------------------------------------------
 *
 * lead_stage.h
 *	  The stages of a lead, as C code sees them.
 *
 * IDENTIFICATION
 *	  src/lead_stage.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_LEAD_STAGE_H
#define LEAD_FUNNEL_LEAD_STAGE_H

#include "fmgr.h"

/*
 * A stage is stored as its rank, so the numbers are the on-disk format and
 * the sort order at once: they can be added to at the end, never changed.
 */
typedef uint8 LeadStage;

enum
{
	LF_STAGE_NONE = 0,			/* no stage; never stored */
	LF_STAGE_LEAD = 1,
	LF_STAGE_MQL = 2,
	LF_STAGE_SAL = 3,
	LF_STAGE_SQL = 4,
	LF_STAGE_OPPORTUNITY = 5,
	LF_STAGE_WON = 6,
	LF_STAGE_NURTURE = 7,
	LF_STAGE_RECYCLED = 8,
	LF_STAGE_REJECTED = 9,
	LF_STAGE_DISQUALIFIED = 10,
	LF_STAGE_LOST = 11
};

#define LF_STAGE_COUNT 11

#define DatumGetLeadStage(X) ((LeadStage) DatumGetUInt8(X))
#define LeadStageGetDatum(X) UInt8GetDatum((uint8) (X))
#define PG_GETARG_LEAD_STAGE(n) DatumGetLeadStage(PG_GETARG_DATUM(n))
#define PG_RETURN_LEAD_STAGE(x) return LeadStageGetDatum(x)

extern const char *lf_stage_label(LeadStage stage);
extern LeadStage lf_stage_parse(const char *s, int len);
extern bool lf_stage_is_open(LeadStage stage);
extern bool lf_stage_ends_cycle(LeadStage stage);
extern bool lf_stage_on_path(LeadStage stage);

#endif							/* LEAD_FUNNEL_LEAD_STAGE_H */
