/*-------------------------------------------------------------------------
 *
 * join_plan.c
 *	  Planning the lookup join.
 *
 * It is offered where a nested loop over one of our scans (scan_plan.c) would
 * be, and is made from that nested loop's path: its cost (with lookups that do
 * not wait for memory), its parameters, and which clauses are applied where.
 * So what it joins is what the nested loop would, and it wins where that would
 * if its lookups were that cheap.
 *
 * The clauses end up in two places.  An item joins a row if it passes the
 * clauses of its own table, those that the nested loop would have moved into
 * the inner scan, and the join's own.  What was joined, or for an outer join
 * was not, then has to pass the others.
 *
 * May call: scan.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "select/join.h"
#include "settings.h"

/* Below that many outer rows, the plain nested loop is as good. */
#define MIN_OUTER_ROWS	4

/* A path's custom_private; the clauses are RestrictInfos. */
typedef enum JoinPathPrivate
{
	PATH_NUMBERS,				/* integers: the join's type, the inner relid,
								 * 1 if a row joins one item at most */
	PATH_INNER,					/* the inner scan's path */
	PATH_INNER_CLAUSES,			/* of the inner scan, these included */
	PATH_JOIN_CLAUSES			/* of the join */
} JoinPathPrivate;

static set_join_pathlist_hook_type PreviousSetJoinPathlistHook = NULL;

static void SetJoinPathlist(PlannerInfo *root, RelOptInfo *joinrel,
							RelOptInfo *outerrel, RelOptInfo *innerrel,
							JoinType jointype, JoinPathExtraData *extra);
static bool MayOfferJoin(PlannerInfo *root, RelOptInfo *innerrel,
						 JoinType jointype, JoinPathExtraData *extra);
static bool MayReadAhead(PlannerInfo *root, RelOptInfo *outerrel);
static bool ReadingChanges(PlannerInfo *root, RangeTblEntry *rte);
static bool QueryChanges(Node *query);
static bool LocksRows(Node *node, void *context);
static bool CommonTableChanges(PlannerInfo *root, RangeTblEntry *rte);
static bool UsesOnlyColumns(RelOptInfo *innerrel);
static bool ClausesAreOrdinary(List *clauses);
static void OfferJoins(PlannerInfo *root, RelOptInfo *joinrel,
					   RelOptInfo *outerrel, CustomPath *inner,
					   JoinType jointype, JoinPathExtraData *extra);
static Path *MakeJoinPath(PlannerInfo *root, RelOptInfo *joinrel,
						  Path *outer, CustomPath *inner, JoinType jointype,
						  JoinPathExtraData *extra, Relids required_outer);
static bool IsOuterPath(RelOptInfo *joinrel, Path *outer, CustomPath *inner);
static bool KeyIsInOuterRows(Path *outer, CustomPath *inner);
static bool HasColumn(List *exprs, const Var *var);
static bool IsColumn(const Node *expr, const Var *var);
static Path *MakeBatchedPath(PlannerInfo *root, CustomPath *inner,
							 double lookups);
static Plan *PlanJoinPath(PlannerInfo *root, RelOptInfo *rel,
						  CustomPath *best_path, List *tlist,
						  List *clauses, List *custom_plans);
static List *JoinKeys(Plan *outer, List *values, List **types,
					  List **constants);
static List *JoinColumns(Plan *outer, List *tlist, Index relid, int *natts);
static List *OrderClauses(PlannerInfo *root, List *clauses);
static List *ScanTargetList(RelOptInfo *joinrel, List *exprs);
static Node *UseVarsOf(Node *node, List *tlist);
static TargetEntry *ColumnOf(List *tlist, const Var *var);
static int	OuterColumn(Plan *outer, const Var *var);

/*
 * Never translated for a partitionwise join: a scan of a partition depends on
 * whole tables, not on partitions, so no join of ours is one of partitions.
 */
static const CustomPathMethods ItemJoinPathMethods = {
	.CustomName = JOIN_NAME,
	.PlanCustomPath = PlanJoinPath
};

static const CustomScanMethods ItemJoinMethods = {
	.CustomName = JOIN_NAME,
	.CreateCustomScanState = CreateItemJoinState
};

void
JoinInit(void)
{
	RegisterCustomScanMethods(&ItemJoinMethods);
	PreviousSetJoinPathlistHook = set_join_pathlist_hook;
	set_join_pathlist_hook = SetJoinPathlist;
}

static void
SetJoinPathlist(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
				RelOptInfo *innerrel, JoinType jointype,
				JoinPathExtraData *extra)
{
	ListCell   *lc;

	if (PreviousSetJoinPathlistHook)
		PreviousSetJoinPathlistHook(root, joinrel, outerrel, innerrel,
									jointype, extra);

	if (!itemcache_transparent || !itemcache_enabled || !enable_nestloop)
		return;
	foreach(lc, innerrel->pathlist)
	{
		CustomPath *inner = lfirst(lc);

		if (IsScanPath((Path *) inner) && !ScanPathHasArray(inner) &&
			PATH_REQ_OUTER(&inner->path) != NULL &&
			bms_is_subset(PATH_REQ_OUTER(&inner->path), outerrel->relids) &&
			MayOfferJoin(root, innerrel, jointype, extra) &&
			ClausesAreOrdinary(inner->path.param_info->ppi_clauses) &&
			MayReadAhead(root, outerrel))
			OfferJoins(root, joinrel, outerrel, inner, jointype, extra);
	}
}

/*
 * Row marks have ways of their own through a join (EvalPlanQual); expressions
 * of the items' columns that have to be evaluated before an outer join makes
 * them NULL, and row values, are left to the scan.
 */
static bool
MayOfferJoin(PlannerInfo *root, RelOptInfo *innerrel, JoinType jointype,
			 JoinPathExtraData *extra)
{
	if (root->rowMarks != NIL || root->placeholder_list != NIL)
		return false;
	if (jointype != JOIN_INNER && jointype != JOIN_LEFT &&
		jointype != JOIN_SEMI && jointype != JOIN_ANTI)
		return false;
	return UsesOnlyColumns(innerrel) &&
		ClausesAreOrdinary(extra->restrictlist) &&
		ClausesAreOrdinary(innerrel->baserestrictinfo);
}

/*
 * Is it all the same how many rows of the outer relation are read?  Not if
 * reading one calls a volatile function or locks a row: that must not happen
 * for rows that are not asked for.
 */
static bool
MayReadAhead(PlannerInfo *root, RelOptInfo *outerrel)
{
	int			relid = -1;

	while ((relid = bms_next_member(outerrel->relids, relid)) >= 0)
	{
		RelOptInfo *rel = root->simple_rel_array[relid];

		/* 16 and later have outer joins among them */
		if (rel == NULL)
			continue;
		if (contain_volatile_functions((Node *) rel->baserestrictinfo) ||
			contain_volatile_functions((Node *) rel->joininfo) ||
			ReadingChanges(root, root->simple_rte_array[relid]))
			return false;
	}
	return true;
}

static bool
ReadingChanges(PlannerInfo *root, RangeTblEntry *rte)
{
	switch (rte->rtekind)
	{
		case RTE_SUBQUERY:
			return QueryChanges((Node *) rte->subquery);
		case RTE_FUNCTION:
			return contain_volatile_functions((Node *) rte->functions);
		case RTE_TABLEFUNC:
			return contain_volatile_functions((Node *) rte->tablefunc);
		case RTE_VALUES:
			return contain_volatile_functions((Node *) rte->values_lists);
		case RTE_CTE:
			return !rte->self_reference && CommonTableChanges(root, rte);
		default:
			return false;
	}
}

/* Has a query a volatile function, or a row lock, anywhere? */
static bool
QueryChanges(Node *query)
{
	return contain_volatile_functions(query) || LocksRows(query, NULL);
}

static bool
LocksRows(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return ((Query *) node)->rowMarks != NIL ||
			query_tree_walker((Query *) node, LocksRows, context, 0);
	return expression_tree_walker(node, LocksRows, context);
}

/* One that writes is not read ahead: it is executed as a whole. */
static bool
CommonTableChanges(PlannerInfo *root, RangeTblEntry *rte)
{
	ListCell   *lc;

	for (Index level = rte->ctelevelsup; level > 0; level--)
		root = root->parent_root;
	foreach(lc, root->parse->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return ((Query *) cte->ctequery)->commandType == CMD_SELECT &&
				QueryChanges(cte->ctequery);
	}
	return true;
}

/* The items' rows and system columns have numbers up to 0. */
static bool
UsesOnlyColumns(RelOptInfo *innerrel)
{
	List	   *clauses = extract_actual_clauses(innerrel->baserestrictinfo, false);
	int			first = bms_next_member(ScanColumnsUsed(innerrel, clauses), -1);

	return first < 0 || first + FirstLowInvalidHeapAttributeNumber > 0;
}

/* None that is for a gating Result, which knows nothing of us? */
static bool
ClausesAreOrdinary(List *clauses)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return false;
	}
	return true;
}

static void
OfferJoins(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
		   CustomPath *inner, JoinType jointype, JoinPathExtraData *extra)
{
	ListCell   *lc;

	foreach(lc, outerrel->pathlist)
	{
		Path	   *outer = lfirst(lc);
		Relids		required_outer;

		if (!IsOuterPath(joinrel, outer, inner))
			continue;

		/* as try_nestloop_path(), but for joins of stars */
		required_outer = calc_nestloop_required_outer(outerrel->relids,
													  PATH_REQ_OUTER(outer),
													  inner->path.parent->relids,
													  PATH_REQ_OUTER(&inner->path));
		if (required_outer != NULL &&
			!bms_overlap(required_outer, extra->param_source_rels))
			continue;
		add_path(joinrel, MakeJoinPath(root, joinrel, outer, inner, jointype,
									   extra, required_outer));
	}

	if (!joinrel->consider_parallel || !inner->path.parallel_safe)
		return;
	foreach(lc, outerrel->partial_pathlist)
	{
		Path	   *outer = lfirst(lc);

		if (IsOuterPath(joinrel, outer, inner))
			add_partial_path(joinrel, MakeJoinPath(root, joinrel, outer, inner,
												   jointype, extra, NULL));
	}
}

static Path *
MakeJoinPath(PlannerInfo *root, RelOptInfo *joinrel, Path *outer,
			 CustomPath *inner, JoinType jointype, JoinPathExtraData *extra,
			 Relids required_outer)
{
	CustomPath *path = makeNode(CustomPath);
	Path	   *batched = MakeBatchedPath(root, inner, outer->rows);
	JoinCostWorkspace workspace;
	NestPath   *loop;

	InitialCostNestloop(root, &workspace, jointype, outer, batched, extra);
	loop = create_nestloop_path(root, joinrel, jointype, &workspace, extra,
								outer, batched, extra->restrictlist,
								build_join_pathkeys(root, joinrel, jointype,
													outer->pathkeys),
								required_outer);
	path->path = loop->jpath.path;
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(outer);
	path->custom_private =
		list_make4(list_make3_int(jointype, inner->path.parent->relid,
								  loop->jpath.inner_unique ||
								  jointype == JOIN_SEMI || jointype == JOIN_ANTI),
				   inner,
				   list_concat_copy(inner->path.parent->baserestrictinfo,
									inner->path.param_info->ppi_clauses),
				   loop->jpath.joinrestrictinfo);
	path->methods = &ItemJoinPathMethods;
	return &path->path;
}

/*
 * Can the rows of a path be looked up, and are there enough of them?  A path
 * may want parameters that the join makes, the items' columns or, in 16 and
 * later, what the outer join makes of columns.
 */
static bool
IsOuterPath(RelOptInfo *joinrel, Path *outer, CustomPath *inner)
{
	return outer->rows >= MIN_OUTER_ROWS &&
		!bms_overlap(PATH_REQ_OUTER(outer), joinrel->relids) &&
		KeyIsInOuterRows(outer, inner);
}

/*
 * Are the key's values columns of the outer rows, or constants?  Anything else
 * would be evaluated for rows that may never be asked for, and could fail.
 */
static bool
KeyIsInOuterRows(Path *outer, CustomPath *inner)
{
	ListCell   *lc;

	foreach(lc, ScanKeyValues(ScanPathClauses(inner)))
	{
		Node	   *value = ScanPlainValue(lfirst(lc));

		if (IsA(value, Const))
			continue;
		if (!IsA(value, Var) ||
			!HasColumn(outer->pathtarget->exprs, (Var *) value))
			return false;
	}
	return true;
}

static bool
HasColumn(List *exprs, const Var *var)
{
	ListCell   *lc;

	foreach(lc, exprs)
	{
		if (IsColumn(lfirst(lc), var))
			return true;
	}
	return false;
}

/*
 * Is an expression the same column as a variable?  They may differ in which
 * outer joins could have made it NULL, of which 16 and later keep account: of
 * two joins that can change places, the clauses tell of one order only.
 */
static bool
IsColumn(const Node *expr, const Var *var)
{
	return IsA(expr, Var) &&
		((const Var *) expr)->varno == var->varno &&
		((const Var *) expr)->varattno == var->varattno;
}

/* The inner path, as it costs when so many items are fetched ahead. */
static Path *
MakeBatchedPath(PlannerInfo *root, CustomPath *inner, double lookups)
{
	CustomPath *path = makeNode(CustomPath);

	memcpy(path, inner, sizeof(CustomPath));
	path->path.total_cost = ScanPathBatchedCost(root, inner, lookups);
	return &path->path;
}

static Plan *
PlanJoinPath(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path,
			 List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	Plan	   *outer = linitial(custom_plans);
	List	   *numbers = list_nth(best_path->custom_private, PATH_NUMBERS);
	CustomPath *inner = list_nth(best_path->custom_private, PATH_INNER);
	List	   *indexclauses = ScanPathClauses(inner);
	List	   *expressions = ScanPathExpressions(inner);
	List	   *implying = ScanPathImplying(inner);
	List	   *inner_clauses = list_nth(best_path->custom_private, PATH_INNER_CLAUSES);
	List	   *join_clauses = list_nth(best_path->custom_private, PATH_JOIN_CLAUSES);
	JoinType	jointype = linitial_int(numbers);
	Index		relid = lsecond_int(numbers);
	List	   *constants;
	List	   *keys;
	List	   *types;
	List	   *comparisons = ScanKeyComparisons(indexclauses);
	List	   *qual;
	List	   *joinqual;
	List	   *otherqual = NIL;
	List	   *columns;
	int			natts;

	keys = JoinKeys(outer, ScanKeyValues(indexclauses), &types, &constants);
	qual = ScanQual(indexclauses, OrderClauses(root, inner_clauses));
	join_clauses = OrderClauses(root, join_clauses);
	if (IS_OUTER_JOIN(jointype))
		extract_actual_join_clauses(join_clauses, rel->relids, &joinqual,
									&otherqual);
	else
		joinqual = extract_actual_clauses(join_clauses, false);
	qual = list_concat(qual, joinqual);

	/* a projection may put another target list in the place of this one */
	plan->custom_scan_tlist =
		ScanTargetList(rel, list_concat(list_make4(best_path->path.pathtarget->exprs,
												   qual, otherqual, comparisons),
										list_copy(implying)));
	qual = (List *) UseVarsOf((Node *) qual, plan->custom_scan_tlist);
	otherqual = (List *) UseVarsOf((Node *) otherqual, plan->custom_scan_tlist);
	comparisons = (List *) UseVarsOf((Node *) comparisons, plan->custom_scan_tlist);
	expressions = (List *) UseVarsOf((Node *) expressions, plan->custom_scan_tlist);
	implying = (List *) UseVarsOf((Node *) implying, plan->custom_scan_tlist);
	columns = JoinColumns(outer, plan->custom_scan_tlist, relid, &natts);

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = otherqual;
	plan->scan.scanrelid = 0;
	plan->flags = best_path->flags;
	plan->custom_plans = custom_plans;
	plan->custom_exprs = list_make5(constants, qual, comparisons, expressions,
									implying);
	plan->custom_private =
		list_make4(list_make5_int(jointype,
								  relid - bms_next_member(rel->relids, -1),
								  natts, lthird_int(numbers),
								  (int) ScanPathIndex(inner)),
				   columns, keys, types);
	plan->methods = &ItemJoinMethods;
	return &plan->scan.plan;
}

/*
 * Where the key's values come from: columns of the outer plan, or 0 for the next
 * of *constants; and their types.
 */
static List *
JoinKeys(Plan *outer, List *values, List **types, List **constants)
{
	List	   *keys = NIL;
	ListCell   *lc;

	*types = NIL;
	*constants = NIL;
	foreach(lc, values)
	{
		Node	   *value = lfirst(lc);

		*types = lappend_oid(*types, exprType(value));
		if (IsA(ScanPlainValue(value), Var))
			keys = lappend_int(keys, OuterColumn(outer, (Var *) ScanPlainValue(value)));
		else
		{
			keys = lappend_int(keys, 0);
			*constants = lappend(*constants, value);
		}
	}
	return keys;
}

/*
 * Where the columns of the node's rows come from: those of the items, as negative
 * numbers, of which *natts is the last; and columns of the outer plan.
 */
static List *
JoinColumns(Plan *outer, List *tlist, Index relid, int *natts)
{
	List	   *columns = NIL;
	ListCell   *lc;

	*natts = 0;
	foreach(lc, tlist)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (var->varno == relid)
		{
			columns = lappend_int(columns, -var->varattno);
			*natts = Max(*natts, var->varattno);
		}
		else
			columns = lappend_int(columns, OuterColumn(outer, var));
	}
	return columns;
}

/*
 * As the planner orders the clauses of a node, order_qual_clauses(): first by
 * security level, where a leakproof clause that is cheap is at the lowest, then
 * by cost.
 */
static List *
OrderClauses(PlannerInfo *root, List *clauses)
{
	int			n = list_length(clauses);
	Index	   *levels = palloc(n * sizeof(Index));
	Cost	   *costs = palloc(n * sizeof(Cost));
	List	   *ordered = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		int			i = list_length(ordered);
		Index		level = rinfo->security_level;
		QualCost	cost;

		cost_qual_eval_node(&cost, (Node *) rinfo, root);
		if (rinfo->leakproof && cost.per_tuple < 10 * cpu_operator_cost)
			level = 0;
		for (; i > 0; i--)
		{
			if (levels[i - 1] < level ||
				(levels[i - 1] == level && costs[i - 1] <= cost.per_tuple))
				break;
			levels[i] = levels[i - 1];
			costs[i] = costs[i - 1];
		}
		levels[i] = level;
		costs[i] = cost.per_tuple;
		ordered = list_insert_nth(ordered, i, rinfo);
	}
	return ordered;
}

/*
 * The columns of both sides that expressions are made of, each once and as the
 * first of them has it.  Where they are from outside the join, they will be
 * parameters.
 */
static List *
ScanTargetList(RelOptInfo *joinrel, List *exprs)
{
	List	   *vars = pull_var_clause((Node *) exprs, 0);
	List	   *tlist = NIL;
	ListCell   *lc;

	foreach(lc, vars)
	{
		Var		   *var = lfirst(lc);

		if (bms_is_member(var->varno, joinrel->relids) &&
			ColumnOf(tlist, var) == NULL)
			tlist = lappend(tlist,
							makeTargetEntry((Expr *) copyObject(var),
											list_length(tlist) + 1, NULL, false));
	}
	return tlist;
}

/*
 * An expression with the target list's variables for its own.  Below an outer
 * join, 16 and later have another variable for a column of the items than
 * above it.  To us, whose columns are the same in both, it has to be one.
 */
static Node *
UseVarsOf(Node *node, List *tlist)
{
	TargetEntry *entry;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, UseVarsOf, tlist);
	entry = ColumnOf(tlist, (Var *) node);
	return copyObject(entry == NULL ? node : (Node *) entry->expr);
}

/* The entry of a target list that is a variable, or NULL. */
static TargetEntry *
ColumnOf(List *tlist, const Var *var)
{
	ListCell   *lc;

	foreach(lc, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (IsColumn((Node *) entry->expr, var))
			return entry;
	}
	return NULL;
}

/* The column of the outer plan that is a variable. */
static int
OuterColumn(Plan *outer, const Var *var)
{
	TargetEntry *entry = ColumnOf(outer->targetlist, var);

	if (entry == NULL)
		elog(ERROR, "column %d of relation %d is not in the outer plan of a join",
			 var->varattno, var->varno);
	return entry->resno;
}
