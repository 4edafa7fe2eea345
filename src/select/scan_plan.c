/*-------------------------------------------------------------------------
 *
 * scan_plan.c
 *	  The scan for plain SELECT, at plan time: the plan of a path that was
 *	  chosen.
 *
 * What is the key's is evaluated by the node itself; all other clauses are its
 * filter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "select/scan.h"
#include "utils/lsyscache.h"

/* So many columns are formed without a projection. */
#define MAX_DIRECT_COLUMNS	4

const CustomScanMethods ItemScanMethods = {
	.CustomName = SCAN_NAME,
	.CreateCustomScanState = CreateItemScanState
};

static Oid	ComparisonOperator(const Expr *comparison);
static List *DirectColumns(List *tlist, AttrNumber natts);
static bool UsesOnly(List *qual, List *tlist, Index relid);
static int	LastColumnUsed(PlannerInfo *root, RelOptInfo *rel, List *tlist,
						   List *qual);

Plan *
PlanScanPath(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path,
			 List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	List	   *indexclauses = ScanPathClauses(best_path);
	List	   *qual = ScanQual(indexclauses, clauses);
	List	   *expressions = ScanPathExpressions(best_path);
	List	   *implying = ScanPathImplying(best_path);
	List	   *evaluated = list_concat(list_concat_copy(qual, expressions),
										implying);
	List	   *values = ScanKeyValues(indexclauses);
	bool		is_array = ScanPathHasArray(best_path);
	List	   *types = NIL;
	List	   *attnos = NIL;
	List	   *operators = NIL;
	List	   *functions = NIL;
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, ScanKeyComparisons(indexclauses))
	{
		Node	   *column = ScanComparedColumn(lfirst(lc));
		AttrNumber	attno = InvalidAttrNumber;

		if (!list_member(expressions, column))
			attno = castNode(Var, ScanPlainValue(column))->varattno;
		operators = lappend_oid(operators, ComparisonOperator(lfirst(lc)));
		functions = lappend_oid(functions, get_opcode(llast_oid(operators)));
		attnos = lappend_int(attnos, attno);
	}

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = qual;
	plan->scan.scanrelid = rel->relid;
	plan->flags = best_path->flags;
	if (UsesOnly(evaluated, tlist, rel->relid))
		columns = DirectColumns(tlist, rel->max_attr);
	if (columns != NIL)
	{
		/* names would only be copied at each execution */
		plan->custom_scan_tlist = copyObject(tlist);
		foreach(lc, plan->custom_scan_tlist)
			lfirst_node(TargetEntry, lc)->resname = NULL;
	}
	plan->custom_exprs = list_make3(values, expressions, implying);
	foreach(lc, values)
	{
		Oid			type = exprType(lfirst(lc));

		types = lappend_oid(types,
							is_array ? get_base_element_type(type) : type);
	}
	plan->custom_private =
		list_make5(list_make4_int(is_array,
								  LastColumnUsed(root, rel, tlist, evaluated),
								  ScanPathIsDescending(best_path),
								  (int) ScanPathIndex(best_path)),
				   types, attnos, operators, columns);
	plan->custom_private = lappend(plan->custom_private, functions);
	plan->methods = &ItemScanMethods;
	return &plan->scan.plan;
}

/* The operator of a key's comparison. */
static Oid
ComparisonOperator(const Expr *comparison)
{
	return IsA(comparison, ScalarArrayOpExpr) ?
		((const ScalarArrayOpExpr *) comparison)->opno :
		((const OpExpr *) comparison)->opno;
}

/*
 * The columns of a target list that the scan can form as it is, without a
 * projection: if there is nothing but columns in it, each once.  NIL if that
 * is not so, or not worth it: the row as it is takes no projection either, and
 * to describe many columns takes longer than to project them.
 */
static List *
DirectColumns(List *tlist, AttrNumber natts)
{
	List	   *columns = NIL;
	bool		is_row = list_length(tlist) == natts;
	ListCell   *lc;

	if (list_length(tlist) > MAX_DIRECT_COLUMNS)
		return NIL;
	foreach(lc, tlist)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(var, Var) || var->varattno <= 0 ||
			list_member_int(columns, var->varattno))
			return NIL;
		columns = lappend_int(columns, var->varattno);
		if (var->varattno != list_length(columns))
			is_row = false;
	}
	return is_row ? NIL : columns;
}

/* Are the columns in a qual all in the target list? */
static bool
UsesOnly(List *qual, List *tlist, Index relid)
{
	Bitmapset  *used = NULL;
	Bitmapset  *listed = NULL;

	pull_varattnos((Node *) qual, relid, &used);
	pull_varattnos((Node *) tlist, relid, &listed);
	return bms_is_subset(used, listed);
}

/* As create_indexscan_plan(): all but what the key says already. */
List *
ScanQual(List *indexclauses, List *clauses)
{
	List	   *comparisons = ScanKeyComparisons(indexclauses);
	List	   *qual = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (rinfo->pseudoconstant ||
			is_redundant_with_indexclauses(rinfo, indexclauses))
			continue;
		if (!contain_mutable_functions((Node *) rinfo->clause) &&
			predicate_implied_by(list_make1(rinfo->clause), comparisons, false))
			continue;
		qual = lappend(qual, rinfo->clause);
	}
	return qual;
}

/*
 * What the relation has to give is its target now, or the target list, which
 * was made of what it had to give when it was scanned (and is kept if it is as
 * good as a physical one).  The planner may still add placeholders'
 * expressions.
 */
static int
LastColumnUsed(PlannerInfo *root, RelOptInfo *rel, List *tlist, List *qual)
{
	Bitmapset  *used = ScanColumnsUsed(rel, list_concat_copy(tlist, qual));
	int			member = -1;
	int			last = root->placeholder_list != NIL ? rel->max_attr : 0;

	while ((member = bms_next_member(used, member)) >= 0)
	{
		int			attno = member + FirstLowInvalidHeapAttributeNumber;

		last = Max(last, attno == InvalidAttrNumber ? rel->max_attr : attno);
	}
	return last;
}
