/*-------------------------------------------------------------------------
 *
 * fold.h
 *	  Folding of deltas into a new generation.
 *
 * IDENTIFICATION
 *	  src/fold.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_FOLD_H
#define LEAD_FUNNEL_FOLD_H

/*
 * One in so many appended rows leads to a look at whether a fold is due, and
 * a fold is due if the tail is at least that long (or as long as a quarter of
 * the cells, since a generation writes them all).
 */
#define LF_FOLD_EVERY 256

/*
 * Takes the deltas that all can see into a new generation.  Who waits folds
 * whatever there is, else only if it is due and nobody is in the way.
 */
extern bool lf_fold_deltas(int32 funnel_id, bool wait);

#endif							/* LEAD_FUNNEL_FOLD_H */
