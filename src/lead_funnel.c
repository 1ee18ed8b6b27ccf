/*-------------------------------------------------------------------------
 *
 * lead_funnel.c
 *	  Entry point of the module.
 *
 * NOTES
 *	  The library needs no shared_preload_libraries: it is loaded by the first
 *	  call of one of its functions in a session.
 *
 * IDENTIFICATION
 *	  src/lead_funnel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "funnel.h"
#include "settings.h"
#include "stats.h"
#include "track.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(
					.name = "lead_funnel",
					.version = LEAD_FUNNEL_VERSION
);
#else
PG_MODULE_MAGIC;
#endif

void		_PG_init(void);

void
_PG_init(void)
{
	lf_settings_init();
	lf_funnel_init();
	/* moves first, since they add to the statistics */
	lf_track_init();
	lf_stats_init();
}
