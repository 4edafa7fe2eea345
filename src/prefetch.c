/*-------------------------------------------------------------------------
 *
 * prefetch.c
 *	  The lookup join: a nested loop into the cache whose outer rows come in
 *	  batches, and have their items fetched by the processor ahead of use.
 *
 * The join is PostgreSQL's own nested loop, with a scan of ours (scan_plan.c)
 * inside, so that every kind of join, clause and parameter is as ever.  What
 * is ours is a node between the loop and its outer plan.  It reads some rows
 * ahead, works out the key that the inner scan will look up for each, and asks
 * the processor for its index line and its item; then it hands the rows on,
 * unchanged and in order.  Waiting for memory is most of what a lookup costs,
 * and this way a batch waits once.
 *
 * It changes no result: it evaluates no clause that could fail to the user
 * (the keys are plain columns of the outer rows), and reads no further ahead
 * than 64 rows, beginning with one, for the sake of LIMIT.
 *
 * May call: scan (for the clauses of its paths), keyarg, relation, item,
 * store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "executor/executor.h"
#include "itemcache.h"
#include "keyarg.h"
#include "lookup.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "parser/parsetree.h"
#include "prefetch.h"
#include "scan.h"
#include "store.h"
#include "utils/lsyscache.h"

#define PREFETCH_NAME	SCAN_NAME " Prefetch"

/* Below that many outer rows, the plain nested loop is as good. */
#define MIN_OUTER_ROWS	4

typedef struct PrefetchState
{
	CustomScanState css;
	ItemRelation *relation;		/* whose items are fetched */
	uint64		shape_id;		/* that the converters were made for */
	int			nkeys;
	List	   *values;			/* ExprStates of the key's values */
	ColumnConverter converters[INDEX_MAX_KEYS];

	int			batch;			/* rows to read ahead */
	int			nrows;			/* rows that were */
	int			next;			/* of them, to hand on */
	bool		exhausted;
	TupleTableSlot *rows[LOOKUP_BATCH];
	uint64		hashes[LOOKUP_BATCH];
} PrefetchState;

static set_join_pathlist_hook_type PreviousSetJoinPathlistHook = NULL;

static void SetJoinPathlist(PlannerInfo *root, RelOptInfo *joinrel,
							RelOptInfo *outerrel, RelOptInfo *innerrel,
							JoinType jointype, JoinPathExtraData *extra);
static void OfferJoins(PlannerInfo *root, RelOptInfo *joinrel,
					   RelOptInfo *outerrel, CustomPath *inner,
					   JoinType jointype, JoinPathExtraData *extra);
static Path *MakeJoinPath(PlannerInfo *root, RelOptInfo *joinrel,
						  Path *outer, CustomPath *inner, JoinType jointype,
						  JoinPathExtraData *extra);
static bool IsWorthPrefetching(Path *outer, CustomPath *inner);
static bool KeyIsInOuterRows(Path *outer, CustomPath *inner);
static Path *MakePrefetchPath(PlannerInfo *root, Path *outer, CustomPath *inner);
static Path *MakeBatchedPath(CustomPath *inner);
static Plan *PlanPrefetchPath(PlannerInfo *root, RelOptInfo *rel,
							  CustomPath *best_path, List *tlist,
							  List *clauses, List *custom_plans);
static Node *CreatePrefetchState(CustomScan *plan);
static void BeginPrefetch(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *ExecPrefetch(CustomScanState *node);
static void EndPrefetch(CustomScanState *node);
static void ReScanPrefetch(CustomScanState *node);
static void ExplainPrefetch(CustomScanState *node, List *ancestors,
							ExplainState *es);
static void ReadAhead(PrefetchState *state);
static TupleTableSlot *KeepRow(PrefetchState *state, TupleTableSlot *row);
static bool PrepareKeys(PrefetchState *state);
static bool HashOfRow(PrefetchState *state, TupleTableSlot *row, uint64 *hash);

static const CustomPathMethods PrefetchPathMethods = {
	.CustomName = PREFETCH_NAME,
	.PlanCustomPath = PlanPrefetchPath
};

static const CustomScanMethods PrefetchScanMethods = {
	.CustomName = PREFETCH_NAME,
	.CreateCustomScanState = CreatePrefetchState
};

static const CustomExecMethods PrefetchExecMethods = {
	.CustomName = PREFETCH_NAME,
	.BeginCustomScan = BeginPrefetch,
	.ExecCustomScan = ExecPrefetch,
	.EndCustomScan = EndPrefetch,
	.ReScanCustomScan = ReScanPrefetch,
	.ExplainCustomScan = ExplainPrefetch
};

void
PrefetchInit(void)
{
	RegisterCustomScanMethods(&PrefetchScanMethods);
	PreviousSetJoinPathlistHook = set_join_pathlist_hook;
	set_join_pathlist_hook = SetJoinPathlist;
}

/*-------------------------------------------------------------------------
 * Planning
 *-------------------------------------------------------------------------
 */

/*
 * Where a nested loop over one of our scans is possible, offer one with
 * prefetching.
 */
static void
SetJoinPathlist(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
				RelOptInfo *innerrel, JoinType jointype,
				JoinPathExtraData *extra)
{
	ListCell   *lc;

	if (PreviousSetJoinPathlistHook)
		PreviousSetJoinPathlistHook(root, joinrel, outerrel, innerrel,
									jointype, extra);

	if (!itemcache_transparent || !itemcache_enabled || !enable_nestloop ||
		root->rowMarks != NIL)
		return;
	if (jointype != JOIN_INNER && jointype != JOIN_LEFT &&
		jointype != JOIN_SEMI && jointype != JOIN_ANTI)
		return;
	foreach(lc, innerrel->pathlist)
	{
		CustomPath *inner = lfirst(lc);

		if (IsScanPath((Path *) inner) && !ScanPathHasArray(inner) &&
			PATH_REQ_OUTER(&inner->path) != NULL &&
			bms_is_subset(PATH_REQ_OUTER(&inner->path), outerrel->relids))
			OfferJoins(root, joinrel, outerrel, inner, jointype, extra);
	}
}

static void
OfferJoins(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
		   CustomPath *inner, JoinType jointype, JoinPathExtraData *extra)
{
	ListCell   *lc;

	foreach(lc, outerrel->pathlist)
	{
		Path	   *outer = lfirst(lc);

		if (IsWorthPrefetching(outer, inner))
			add_path(joinrel, MakeJoinPath(root, joinrel, outer, inner,
										   jointype, extra));
	}

	if (!joinrel->consider_parallel || !inner->path.parallel_safe)
		return;
	foreach(lc, outerrel->partial_pathlist)
	{
		Path	   *outer = lfirst(lc);

		if (IsWorthPrefetching(outer, inner))
			add_partial_path(joinrel, MakeJoinPath(root, joinrel, outer, inner,
												   jointype, extra));
	}
}

/* The outer path has no parameters, and the inner one's are the outer's rows. */
static Path *
MakeJoinPath(PlannerInfo *root, RelOptInfo *joinrel, Path *outer,
			 CustomPath *inner, JoinType jointype, JoinPathExtraData *extra)
{
	JoinCostWorkspace workspace;
	Path	   *prefetch = MakePrefetchPath(root, outer, inner);
	Path	   *batched = MakeBatchedPath(inner);

	initial_cost_nestloop(root, &workspace, jointype, prefetch, batched, extra);
	return (Path *) create_nestloop_path(root, joinrel, jointype, &workspace,
										 extra, prefetch, batched,
										 extra->restrictlist,
										 build_join_pathkeys(root, joinrel, jointype,
															 outer->pathkeys),
										 NULL);
}

/* Can it be done, and are there rows enough to make up for the node? */
static bool
IsWorthPrefetching(Path *outer, CustomPath *inner)
{
	return outer->rows >= MIN_OUTER_ROWS && PATH_REQ_OUTER(outer) == NULL &&
		KeyIsInOuterRows(outer, inner);
}

/*
 * Are the key's values columns of the outer rows, or constants?  Anything else
 * would be evaluated twice, and for rows that are never asked for.
 */
static bool
KeyIsInOuterRows(Path *outer, CustomPath *inner)
{
	ListCell   *lc;

	foreach(lc, ScanPathValues(inner))
	{
		Node	   *value = lfirst(lc);

		while (IsA(value, RelabelType))
			value = (Node *) ((RelabelType *) value)->arg;
		if (IsA(value, Const))
			continue;
		if (!IsA(value, Var) ||
			!list_member(outer->pathtarget->exprs, value))
			return false;
	}
	return true;
}

static Path *
MakePrefetchPath(PlannerInfo *root, Path *outer, CustomPath *inner)
{
	CustomPath *path = makeNode(CustomPath);

	path->path.pathtype = T_CustomScan;
	path->path.parent = outer->parent;
	path->path.pathtarget = outer->pathtarget;
	path->path.param_info = outer->param_info;
	path->path.parallel_safe = outer->parallel_safe;
	path->path.parallel_workers = outer->parallel_workers;
	path->path.rows = outer->rows;
	path->path.startup_cost = outer->startup_cost;
	path->path.total_cost = outer->total_cost + outer->rows * cpu_operator_cost;
	CopyDisabledNodes(&path->path, outer);
	path->path.pathkeys = outer->pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(outer);
	path->custom_private =
		list_make2(list_make1_oid(planner_rt_fetch(inner->path.parent->relid, root)->relid),
				   ScanPathValues(inner));
	path->methods = &PrefetchPathMethods;
	return &path->path;
}

/* The inner path, as it costs when its items have been fetched ahead. */
static Path *
MakeBatchedPath(CustomPath *inner)
{
	CustomPath *path = makeNode(CustomPath);

	memcpy(path, inner, sizeof(CustomPath));
	path->path.total_cost *= PREFETCHED_COST_FACTOR;
	return &path->path;
}

/* The clauses are those of the outer relation, which the outer plan applies. */
static Plan *
PlanPrefetchPath(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path,
				 List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	Plan	   *outer = linitial(custom_plans);

	plan->scan.plan.targetlist = tlist;
	plan->scan.scanrelid = 0;
	plan->flags = best_path->flags;
	plan->custom_plans = custom_plans;
	plan->custom_scan_tlist = outer->targetlist;
	plan->custom_private = linitial(best_path->custom_private);
	plan->custom_exprs = lsecond(best_path->custom_private);
	plan->methods = &PrefetchScanMethods;
	return &plan->scan.plan;
}

/*-------------------------------------------------------------------------
 * Execution
 *-------------------------------------------------------------------------
 */

static Node *
CreatePrefetchState(CustomScan *plan)
{
	PrefetchState *state = (PrefetchState *) newNode(sizeof(PrefetchState),
													 T_CustomScanState);

	state->css.methods = &PrefetchExecMethods;
	return (Node *) state;
}

/*
 * Our rows are copies of the outer plan's, in slots of one kind: say so to the
 * parent, and to our own expressions, which have been told otherwise.
 */
static void
BeginPrefetch(CustomScanState *node, EState *estate, int eflags)
{
	PrefetchState *state = (PrefetchState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	PlanState  *outer;
	const TupleTableSlotOps *ops;

	outer = ExecInitNode(linitial(plan->custom_plans), estate, eflags);
	node->custom_ps = list_make1(outer);
	ops = ExecGetResultSlotOps(outer, NULL);

	/* rows that are kept for a while must not keep their pages pinned */
	if (ops == &TTSOpsBufferHeapTuple)
		ops = &TTSOpsMinimalTuple;
	node->ss.ps.scanops = ops;
	node->ss.ps.scanopsfixed = true;
	if (node->ss.ps.ps_ProjInfo != NULL)
		ExecAssignScanProjectionInfoWithVarno(&node->ss, INDEX_VAR);
	if (node->ss.ps.ps_ProjInfo == NULL)
	{
		node->ss.ps.resultops = ops;
		node->ss.ps.resultopsfixed = true;
		node->ss.ps.resultopsset = true;
	}
	state->nkeys = list_length(plan->custom_exprs);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->values = ExecInitExprList(plan->custom_exprs, &node->ss.ps);
	state->relation = FindItemRelation(linitial_oid(plan->custom_private));
	state->batch = 1;
}

static TupleTableSlot *
ExecPrefetch(CustomScanState *node)
{
	PrefetchState *state = (PrefetchState *) node;
	TupleTableSlot *row;

	if (state->next == state->nrows && !state->exhausted)
		ReadAhead(state);
	if (state->next == state->nrows)
		return NULL;
	row = state->rows[state->next++];
	if (node->ss.ps.ps_ProjInfo == NULL)
		return row;

	ResetExprContext(node->ss.ps.ps_ExprContext);
	node->ss.ps.ps_ExprContext->ecxt_scantuple = row;
	return ExecProject(node->ss.ps.ps_ProjInfo);
}

static void
ReadAhead(PrefetchState *state)
{
	PlanState  *outer = linitial(state->css.custom_ps);
	bool		prepared = PrepareKeys(state);
	int			nhashes = 0;

	state->next = state->nrows = 0;
	while (state->nrows < state->batch)
	{
		TupleTableSlot *row = ExecProcNode(outer);

		if (TupIsNull(row))
		{
			state->exhausted = true;
			break;
		}
		row = KeepRow(state, row);
		if (prepared && HashOfRow(state, row, &state->hashes[nhashes]))
			StorePrefetchSlots(state->hashes[nhashes++]);
	}
	for (int i = 0; i < nhashes; i++)
		StorePrefetchItem(state->hashes[i]);
	state->batch = Min(state->batch * 2, LOOKUP_BATCH);
}

/* A copy of an outer row, in the next slot, which is made when first needed. */
static TupleTableSlot *
KeepRow(PrefetchState *state, TupleTableSlot *row)
{
	TupleTableSlot **slot = &state->rows[state->nrows++];

	if (*slot == NULL)
	{
		EState	   *estate = state->css.ss.ps.state;
		MemoryContext oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);

		*slot = ExecInitExtraTupleSlot(estate,
									   ExecGetResultType(linitial(state->css.custom_ps)),
									   state->css.ss.ps.scanops);
		MemoryContextSwitchTo(oldcontext);
	}
	return ExecCopySlot(*slot, row);
}

/* Is there anything to fetch, and do we know how its keys are made? */
static bool
PrepareKeys(PrefetchState *state)
{
	ItemShape  *shape;
	ListCell   *lc;
	int			i = 0;

	RefreshItemRelation(state->relation, false);
	shape = state->relation->shape;
	if (state->relation->state != RELATION_SERVED || shape->nkeys != state->nkeys)
		return false;
	if (state->shape_id == shape->id)
		return true;
	foreach(lc, state->values)
	{
		Oid			type = exprType((Node *) ((ExprState *) lfirst(lc))->expr);

		if (!PrepareComparison(&state->converters[i], shape, i, type))
			return false;
		i++;
	}
	state->shape_id = shape->id;
	return true;
}

static bool
HashOfRow(PrefetchState *state, TupleTableSlot *row, uint64 *hash)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	ItemShape  *shape = state->relation->shape;
	MemoryContext oldcontext;
	Datum		key[INDEX_MAX_KEYS];
	bool		exists = true;
	ListCell   *lc;
	int			i = 0;

	ResetExprContext(econtext);
	econtext->ecxt_scantuple = row;
	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	foreach(lc, state->values)
	{
		bool		isnull;
		Datum		value = ExecEvalExpr((ExprState *) lfirst(lc), econtext,
										 &isnull);

		exists = !isnull &&
			ConvertColumn(&state->converters[i], shape, i, value, &key[i]);
		if (!exists)
			break;
		i++;
	}
	if (exists)
		*hash = KeyHash(shape, state->relation->key, key);
	MemoryContextSwitchTo(oldcontext);
	return exists;
}

static void
EndPrefetch(CustomScanState *node)
{
	ExecEndNode(linitial(node->custom_ps));
}

static void
ReScanPrefetch(CustomScanState *node)
{
	PrefetchState *state = (PrefetchState *) node;
	PlanState  *outer = linitial(node->custom_ps);

	state->next = state->nrows = 0;
	state->exhausted = false;
	state->batch = 1;
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(outer, node->ss.ps.chgParam);
	if (outer->chgParam == NULL)
		ExecReScan(outer);
}

static void
ExplainPrefetch(CustomScanState *node, List *ancestors, ExplainState *es)
{
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;

	ExplainPropertyText("Items of",
						get_rel_name(linitial_oid(plan->custom_private)), es);
	ExplainPropertyInteger("Batch Size", NULL, LOOKUP_BATCH, es);
}
