/*-------------------------------------------------------------------------
 *
 * sla.h
 *	  When a lead is to have left its stage.
 *
 * IDENTIFICATION
 *	  src/sla.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_SLA_H
#define LEAD_FUNNEL_SLA_H

#include "datatype/timestamp.h"

#include "lead_stage.h"

/*
 * By the SLA that was in force when the clock started; false if there was
 * none.  DT_NOEND if the calendar leaves no time for it, so that it is never
 * due.
 */
extern bool lf_sla_due_at(int32 funnel_id, LeadStage stage, TimestampTz started_at,
						  TimestampTz *due_at);

#endif							/* LEAD_FUNNEL_SLA_H */
