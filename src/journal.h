/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  The journal: what happened to each lead, and its state after it.
 *
 * IDENTIFICATION
 *	  src/journal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_JOURNAL_H
#define LEAD_FUNNEL_JOURNAL_H

#include "access/htup.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "lead_row.h"
#include "qualification.h"

/* Columns of table journal (sql/parts/20_tables.sql). */
enum
{
	JOURNAL_LEAD_ID = 1,
	JOURNAL_FUNNEL_ID,
	JOURNAL_MOVE,
	JOURNAL_EFFECTIVE_AT,
	JOURNAL_RECORDED_AT,
	JOURNAL_ENTERED_AT,
	JOURNAL_HANDED_OVER_AT,
	JOURNAL_CYCLE,
	JOURNAL_CYCLE_MOVE,
	JOURNAL_EPOCH,
	JOURNAL_RULES_VERSION,
	JOURNAL_FROM_STAGE,
	JOURNAL_TO_STAGE,
	JOURNAL_FURTHEST_STAGE,
	JOURNAL_KIND,
	JOURNAL_ORIGIN,
	JOURNAL_CYCLE_ENDED,
	JOURNAL_ROLE_NAME,
	JOURNAL_VALUE,
	JOURNAL_SOURCE,				/* and the other dimensions behind it */

	/*
	 * seldom present, so at the end: not stored if all behind are missing,
	 * too
	 */
	JOURNAL_LEAD_KEY = JOURNAL_SOURCE + LF_DIM_COUNT,
	JOURNAL_ACTOR,
	JOURNAL_REASON,
	JOURNAL_NOTE,
	JOURNAL_FROM_STATUS,
	JOURNAL_TO_STATUS,
	JOURNAL_BREACH,
	JOURNAL_UNDOES,
	JOURNAL_SCORE,
	JOURNAL_QUALIFICATION,
	JOURNAL_RELATED_KEY,
	JOURNAL_SCORE_MODEL,
	JOURNAL_SCORE_VERSION,
	JOURNAL_COLUMNS = JOURNAL_SCORE_VERSION
};

/* What a row is. */
#define LF_KIND_MOVE	'm'		/* a move, an entry, an exit */
#define LF_KIND_CHANGE	'c'		/* of a dimension, the value or the hand-over */
#define LF_KIND_KEY		'k'		/* the lead got another key */
#define LF_KIND_MARKER	't'		/* all leads left at once */
#define LF_KIND_UNDO	'u'		/* a move is taken back: no move of its own */

/* Where it came from; the words are in lf_origin_name(). */
#define LF_ORIGIN_WRITE		'w'
#define LF_ORIGIN_BACKFILL	'b'
#define LF_ORIGIN_OVERRIDE	'o'
#define LF_ORIGIN_VIOLATION 'v'
#define LF_ORIGIN_AUTOMATIC 'a'
#define LF_ORIGIN_EXPIRY	'x'
#define LF_ORIGIN_UNDO		'u'
#define LF_ORIGIN_EXCLUDE	's'
#define LF_ORIGIN_DELETE	'd'
#define LF_ORIGIN_TRUNCATE	't'
#define LF_ORIGIN_RECONCILE 'r'
#define LF_ORIGIN_REPLICATED 'l'

/* Where a time may be missing; those in the journal are finite. */
#define LF_NO_TIME DT_NOBEGIN

typedef struct JournalRow
{
	LeadKey		key;
	int32		move;
	TimestampTz effective_at;
	TimestampTz recorded_at;
	TimestampTz entered_at;		/* or LF_NO_TIME */
	TimestampTz handed_over_at; /* or LF_NO_TIME */
	int32		cycle;
	int32		cycle_move;
	int32		epoch;
	int32		rules_version;	/* 0: none */
	int32		undoes;			/* the move taken back; 0: none */
	LeadStage	from_stage;
	LeadStage	furthest_stage;
	char		kind;
	char		origin;
	char		breach;			/* 0: none */
	bool		cycle_ended;
	text	   *from_status;
	LeadState	state;			/* after the row; live: to_stage is set */
	text	   *actor;
	text	   *role_name;
	text	   *reason;
	text	   *note;
	Qualification qualification;	/* at a move; 0: none */
	Numeric		score;			/* at a move; NULL: none */
	int32		score_model;	/* that made it; 0: none */
	int32		score_version;
	text	   *related_key;
	bool		written_by_us;	/* in this transaction */
	CommandId	cmin;			/* then: the command that moved the lead */
} JournalRow;

extern const char *lf_origin_name(char origin);

/* A lead and its last row, from which the next one goes on. */
typedef struct Lead
{
	int32		funnel_id;
	LeadKey		key;
	const LeadState *likely;	/* what the row says unless something went
								 * wrong: what is equal is shared with it */
	bool		has_last;
	JournalRow	last;
} Lead;

/* The order of the indexes, and in it that of funnels. */
extern int	lf_lead_compare(const Lead *a, const Lead *b);

/* What the next row needs of this one; the result points into the tuple. */
extern void lf_journal_read_row(HeapTuple tuple, TupleDesc desc, JournalRow *row);

/* Reads and writes rows of many leads; to be closed before the caller returns. */
typedef struct JournalWriter JournalWriter;

extern JournalWriter *lf_journal_open(void);
extern void lf_journal_close(JournalWriter *writer);

/*
 * Finds the last rows of the leads, whoever committed them.  The leads come in
 * the order of lf_lead_compare().
 */
extern void lf_journal_find(JournalWriter *writer, Lead **leads, int count);

/*
 * The rows of a lead that count, the oldest first, with all their columns:
 * neither moves that were taken back nor what came between a move and its undo.
 * They are in the present memory context.
 */
extern List *lf_journal_counted_rows(JournalWriter *writer, const Lead *lead);

/* Adds a row, which is the lead's last one from now on. */
extern void lf_journal_add(JournalWriter *writer, Lead *lead, JournalRow *row);

/* Writes what has been added; closing and finding do so, too. */
extern void lf_journal_write(JournalWriter *writer);

/* The rows of a lead get another key, behind those that the new key has. */
extern void lf_journal_rename(JournalWriter *writer, Lead *from, Lead *to, CommandId cmin);

/*
 * Corrects what the row of a move says of its judgement, where this
 * transaction has written it: nobody else has seen it.
 */
typedef struct Judgement
{
	char		breach;			/* 0: none */
	char		origin;			/* if there is one */
	const text *reason;			/* for a row that has none */
	Qualification qualification;
	Numeric		score;
	int32		score_model;
	int32		score_version;
} Judgement;

extern void lf_journal_amend(JournalWriter *writer, const Lead *lead, int32 move, const Judgement *judgement);

/* For one lead, which is filled in. */
extern void lf_journal_last(int32 funnel_id, const LeadKey *key, Lead *lead);

extern void lf_journal_append_marker(int32 funnel_id, int32 epoch, TimestampTz effective_at, char origin);

/* When the leads of an epoch left at once, and by what. */
extern TimestampTz lf_journal_epoch_end(int32 funnel_id, int32 epoch, char *origin);

/* How often all leads of the funnel have left at once. */
extern int32 lf_journal_epoch(int32 funnel_id, Snapshot snapshot);

/* Inserts into one of our tables and its indexes, of which one is known. */
extern void lf_insert_tuple(Relation rel, HeapTuple tuple, Oid index_oid,
							int nkeys, const AttrNumber *keys);

#endif							/* LEAD_FUNNEL_JOURNAL_H */
