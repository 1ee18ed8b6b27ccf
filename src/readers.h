/*-------------------------------------------------------------------------
 *
 * readers.h
 *	  Who may read a funnel.
 *
 * IDENTIFICATION
 *	  src/readers.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_READERS_H
#define LEAD_FUNNEL_READERS_H

#include "utils/snapshot.h"

/* Whether the current user may read the funnel; false if there is none. */
extern bool lf_may_read(int32 funnel_id, Snapshot snapshot);

#endif							/* LEAD_FUNNEL_READERS_H */
