/*-------------------------------------------------------------------------
 *
 * score_plan.c
 *	  Scores of the rows of a table without making a value of the whole row.
 *
 * NOTES
 *	  A row as an argument costs more than the score of it: the executor takes
 *	  all columns out of the tuple and puts them together again.  So where a
 *	  query scores rows of a table by a model that it names, the planner gets
 *	  lead_funnel._score_columns() with the columns that the model looks at.
 *
 *	  The plan holds one version of the model, whose columns these are; all rows
 *	  of a query are scored by it.  The plan is made dependent on the table of
 *	  models, as if it read that, so that a cached one is made anew after a
 *	  model has changed.
 *
 * IDENTIFICATION
 *	  src/score_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "score.h"

PG_FUNCTION_INFO_V1(lf_score_columns);
PG_FUNCTION_INFO_V1(lf_score_support);

/* Arguments of _score_columns() before the columns. */
#define FIXED_ARGUMENTS 4

/* lead_funnel._score_columns(model_id, version, axis, at, the attributes of the model in its order) */
Datum
lf_score_columns(PG_FUNCTION_ARGS)
{
	ScoreBinding *binding = fcinfo->flinfo->fn_extra;

	if (binding == NULL)
	{
		FuncExpr   *call = (FuncExpr *) fcinfo->flinfo->fn_expr;
		ScoreModel *model;
		ScoreColumn *columns;

		if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
			PG_RETURN_NULL();
		model = lf_score_model_open_version(PG_GETARG_INT32(0), PG_GETARG_INT32(1));
		lf_score_model_close_with(model, fcinfo->flinfo->fn_mcxt);
		if (call == NULL || !IsA(call, FuncExpr) || call->funcvariadic ||
			PG_NARGS() != FIXED_ARGUMENTS + model->nattributes)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("columns do not fit version %d of scoring model \"%s\"", model->version, NameStr(model->name)),
					 errhint("Call lead_funnel.score() instead.")));
		columns = palloc(PG_NARGS() * sizeof(ScoreColumn));
		for (int i = 0; i < model->nattributes; i++)
		{
			Node	   *argument = list_nth(call->args, FIXED_ARGUMENTS + i);

			columns[i].type = exprType(argument);
			columns[i].collation = exprCollation(argument);
		}
		binding = lf_score_bind(model, columns, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = binding;
	}
	PG_RETURN_INT32(lf_score_evaluate(binding, &fcinfo->args[FIXED_ARGUMENTS], lf_score_axis_argument(fcinfo, 2),
									  lf_score_time_argument(fcinfo, 3), NULL));
}

#ifdef LF_NEEDS_OUTER_JOIN_CHECK
static bool
lf_has_outer_join(List *rtable)
{
	ListCell   *cell;

	foreach(cell, rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind == RTE_JOIN && IS_OUTER_JOIN(rte->jointype))
			return true;
	}
	return false;
}
#endif

/* The columns of the table that the model looks at, as arguments; NIL if it has not all of them. */
static List *
column_arguments(const ScoreModel *model, const Var *row, Oid relid)
{
	List	   *result = NIL;

	for (int i = 0; i < model->nattributes; i++)
	{
		AttrNumber	attnum = get_attnum(relid, NameStr(model->attributes[i]));
		Var		   *var;

		if (attnum <= 0)
			return NIL;
		var = copyObject(unconstify(Var *, row));
		var->varattno = attnum;
		if (var->varnosyn != 0)
			var->varattnosyn = attnum;
		get_atttypetypmodcoll(relid, attnum, &var->vartype, &var->vartypmod, &var->varcollid);
		result = lappend(result, var);
	}
	return result;
}

static Node *
simplify(SupportRequestSimplify *request)
{
	PlannerInfo *root = request->root;
	FuncExpr   *call = request->fcall;
	Const	   *name;
	Var		   *row;
	RangeTblEntry *rte;
	ScoreModel *model;
	List	   *arguments;
	Node	   *result = NULL;

	if (root == NULL || list_length(call->args) != 4)
		return NULL;
	name = linitial(call->args);
	row = lsecond(call->args);
	if (!IsA(name, Const) || name->constisnull || !IsA(row, Var) || row->varattno != InvalidAttrNumber ||
		row->varlevelsup != 0)
		return NULL;

	/*
	 * what a join, RETURNING or a grouping set has made NULL as a whole has
	 * no score
	 */
	if (LF_VAR_IS_NULLABLE(row, root) || LF_VAR_IS_OLD_OR_NEW(row) || root->parse->groupingSets != NIL)
		return NULL;
	if (row->varno < 1 || row->varno > list_length(root->parse->rtable))
		return NULL;
	rte = rt_fetch(row->varno, root->parse->rtable);
	if (rte->rtekind != RTE_RELATION || get_rel_type_id(rte->relid) != row->vartype)
		return NULL;

	model = lf_score_model_open(NameStr(*DatumGetName(name->constvalue)), true);
	if (model == NULL)
		return NULL;
	arguments = model->nattributes + FIXED_ARGUMENTS > FUNC_MAX_ARGS ? NIL : column_arguments(model, row, rte->relid);
	if (arguments != NIL)
	{
		Oid			types[] = {INT4OID, INT4OID, TEXTOID, TIMESTAMPTZOID, ANYOID};
		Oid			function = LookupFuncName(list_make2(makeString("lead_funnel"), makeString("_score_columns")),
											  lengthof(types), types, false);

		arguments = list_concat(list_make4(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(model->model_id), false, true),
										   makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(model->version), false, true),
										   lthird(call->args), lfourth(call->args)),
								arguments);
		result = (Node *) makeFuncExpr(function, INT4OID, arguments, InvalidOid, call->inputcollid, COERCE_EXPLICIT_CALL);
		((FuncExpr *) result)->location = call->location;
		root->glob->relationOids = lappend_oid(root->glob->relationOids, lf_score_model_table());
	}
	lf_score_model_close(model);
	return result;
}

/* lead_funnel._score_support(internal) */
Datum
lf_score_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	PG_RETURN_POINTER(IsA(request, SupportRequestSimplify) ? simplify((SupportRequestSimplify *) request) : NULL);
}
