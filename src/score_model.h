/*-------------------------------------------------------------------------
 *
 * score_model.h
 *	  Scoring models as a backend knows them.
 *
 * IDENTIFICATION
 *	  src/score_model.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_SCORE_MODEL_H
#define LEAD_FUNNEL_SCORE_MODEL_H

/* What points are for; a score is their sum. */
typedef enum ScoreAxis
{
	LF_AXIS_FIT,
	LF_AXIS_ENGAGEMENT,
	LF_AXIS_TOTAL
} ScoreAxis;

#define LF_AXIS_COUNT LF_AXIS_TOTAL

typedef enum ScoreOperator
{
	LF_SCORE_EQ,
	LF_SCORE_NE,
	LF_SCORE_LT,
	LF_SCORE_LE,
	LF_SCORE_GT,
	LF_SCORE_GE,
	LF_SCORE_BETWEEN,
	LF_SCORE_IN,
	LF_SCORE_LIKE,
	LF_SCORE_MATCHES,
	LF_SCORE_CONTAINS,
	LF_SCORE_WITHIN,
	LF_SCORE_IS_NULL,
	LF_SCORE_IS_NOT_NULL
} ScoreOperator;

/* A rule as it was written: operands have no type before they meet a column. */
typedef struct ScoreRule
{
	int32		rule;
	ScoreAxis	axis;
	int			group;			/* index into groups */
	int			attribute;		/* index into attributes */
	ScoreOperator op;
	const char *op_name;
	char	   *operand;		/* as given; NULL: none */
	int			noperands;		/* 1, for a list more or none */
	char	  **operands;
	int32		points;
} ScoreRule;

/* Bounds of a sum, inclusive. */
typedef struct ScoreLimit
{
	int32		floor;
	int32		cap;
} ScoreLimit;

typedef struct ScoreGroup
{
	NameData	name;
	ScoreAxis	axis;
	ScoreLimit	limit;
} ScoreGroup;

/* The first groups are those of rules without one: index = axis. */
#define LF_SCORE_NO_GROUP(group) ((group) < LF_AXIS_COUNT)

/* At most so many rules, of at most so many points: sums fit an int32. */
#define LF_SCORE_RULES_MAX 1000
#define LF_SCORE_POINTS_MAX 1000000

/*
 * One version of a model.  It never changes; whoever keeps it counts as a
 * reference, and what is newer is another struct.
 */
typedef struct ScoreModel
{
	MemoryContext cxt;			/* of everything here */
	int			references;
	bool		stale;			/* may not be the active version any more */
	int32		model_id;
	NameData	name;
	int32		version;
	int			nattributes;
	NameData   *attributes;
	int			nrules;
	ScoreRule  *rules;			/* by attribute, then number */
	int			ngroups;
	ScoreGroup *groups;
	ScoreLimit	limits[LF_AXIS_COUNT + 1];
} ScoreModel;

extern void lf_score_model_init(void);

/*
 * Counts up whenever a model or the columns of a table may have changed: what
 * was found before holds while it is the same.
 */
extern uint64 lf_score_generation;

/*
 * The active version, with a reference for the caller.  If there is none: NULL
 * or an error.
 */
extern ScoreModel *lf_score_model_open(const char *name, bool missing_ok);

/* A version that need not be active. */
extern ScoreModel *lf_score_model_open_version(int32 model_id, int32 version);
extern ScoreModel *lf_score_model_reference(ScoreModel *model);
extern void lf_score_model_close(ScoreModel *model);

/* Releases the reference when the context goes. */
extern void lf_score_model_close_with(ScoreModel *model, MemoryContext cxt);

extern bool lf_score_parse_axis(const char *word, int length, ScoreAxis *axis);
extern const char *lf_score_axis_name(ScoreAxis axis);

/* A rule of no model, for checks; its texts are the caller's. */
extern void lf_score_parse_rule(ScoreRule *rule, const char *op, char *operand);

/* The table lead_funnel.score_model: a relcache invalidation of it means all models. */
extern Oid	lf_score_model_table(void);

#endif							/* LEAD_FUNNEL_SCORE_MODEL_H */
