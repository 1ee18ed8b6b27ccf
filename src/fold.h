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
 * A fold is due if the tail is at least so long (or as long as a quarter of the
 * cells, since a generation writes them all).
 */
#define LF_FOLD_EVERY 384

/* One in so many appended rows leads to a look at whether a fold is due. */
#define LF_LOOK_EVERY 64

/* From one fold to the next the deltas are counted about so many times, or less often. */
#define LF_LOOKS 8

/* One in so many folds takes the rows of its flow cells together. */
#define LF_MERGE_EVERY 8

/*
 * Takes the deltas that all can see into a new generation, if that is due and
 * nobody is in the way.  The caller says how many deltas its transaction has
 * appended, as an idea of how many others do.
 */
extern bool lf_fold_if_due(int32 funnel_id, int64 appended);

#endif							/* LEAD_FUNNEL_FOLD_H */
