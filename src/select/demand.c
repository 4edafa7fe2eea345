/*-------------------------------------------------------------------------
 *
 * demand.c
 *	  How many more of a node's rows are certain to be asked for.
 *
 * The lookup join reads outer rows ahead.  An error that is raised by a row
 * that nobody would have asked for, is one that there is only because of us.  So
 * it has to know what is asked of it: of a plan by its user (so many rows of a
 * cursor, or of a function), of a subquery by its LIMIT, of an EXISTS one row.
 *
 * When a plan with a join has begun, each of its joins gets a chain of demands,
 * from its own to that on the top of the plan; what they come to is asked when
 * rows are to be read, since most of it changes with every row.  A bound goes
 * down through nodes that make no more rows than they get: for n more of theirs
 * they ask for n at least.  Below other nodes, if there is a bound above, only
 * the next row is certain.  If there is none, a node is taken to read all that
 * there is, which is not so for merge joins and the like: see README.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "select/demand.h"

typedef enum DemandKind
{
	DEMAND_RUN,					/* of a plan, in one ExecutorRun() */
	DEMAND_LIMIT,				/* of what a Limit is on */
	DEMAND_BATCH,				/* of the outer plan of one that reads ahead */
	DEMAND_ONE,					/* the next row, if there is any bound above */
	DEMAND_FIRST				/* the next row */
} DemandKind;

struct RowDemand
{
	DemandKind	kind;
	const RowDemand *above;		/* of the node that asks; NULL: of all */
	const LimitState *limit;	/* DEMAND_LIMIT */
	const int  *to_read;		/* DEMAND_BATCH */
};

/* A node that wants its demand. */
typedef struct DemandingNode
{
	PlanState  *ps;
	const RowDemand **demand;
	const int  *to_read;
	struct DemandingNode *next;
} DemandingNode;

/* The demand on the top of a plan that has such nodes, as long as it lives. */
typedef struct PlanDemand
{
	RowDemand	demand;			/* must be first */
	EState	   *estate;
	uint64		count;			/* of the current run; 0: all */
	struct PlanDemand *next;
	MemoryContextCallback callback;
} PlanDemand;

/* A node that is walked through, and what is asked of it. */
typedef struct Asker
{
	PlanState  *ps;
	const RowDemand *demand;
} Asker;

static PlanDemand *Plans = NULL;
static DemandingNode *Begun = NULL; /* by the ExecutorStart() that is running */

static ExecutorStart_hook_type PreviousExecutorStartHook = NULL;
static ExecutorRun_hook_type PreviousExecutorRunHook = NULL;

static void StartDemanded(QueryDesc *queryDesc, int eflags);
static void RunDemanded(EXECUTOR_RUN_PARAMETERS);
static void FindDemands(QueryDesc *queryDesc);
static void ForgetPlan(void *arg);
static bool TellDemands(PlanState *ps, Asker *asker);
static const DemandingNode *FindNode(const PlanState *ps);
static const RowDemand *DemandOn(PlanState *ps, const Asker *asker);
static const RowDemand *DemandOnSubPlan(const SubPlan *subplan,
										const Asker *asker);
static const SubPlan *FindSubPlan(const PlanState *ps, const List *subplans);
static RowDemand *MakeDemand(DemandKind kind, const RowDemand *above);
static const RowDemand *MakeDemandOfOne(const Asker *asker);

void
DemandInit(void)
{
	PreviousExecutorStartHook = ExecutorStart_hook;
	ExecutorStart_hook = StartDemanded;
	PreviousExecutorRunHook = ExecutorRun_hook;
	ExecutorRun_hook = RunDemanded;
}

void
WantDemand(PlanState *ps, const RowDemand **demand, const int *to_read)
{
	DemandingNode *node = palloc(sizeof(DemandingNode));

	node->ps = ps;
	node->demand = demand;
	node->to_read = to_read;
	node->next = Begun;
	Begun = node;
}

/* After an error, what others have begun may be gone: it is not looked at. */
static void
StartDemanded(QueryDesc *queryDesc, int eflags)
{
	DemandingNode *others = Begun;

	Begun = NULL;
	if (PreviousExecutorStartHook)
		PreviousExecutorStartHook(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	if (Begun != NULL && queryDesc->planstate != NULL)
		FindDemands(queryDesc);
	Begun = others;
}

static void
RunDemanded(EXECUTOR_RUN_PARAMETERS)
{
	for (PlanDemand *plan = Plans; plan != NULL; plan = plan->next)
	{
		if (plan->estate == queryDesc->estate)
			plan->count = count;
	}
	if (PreviousExecutorRunHook)
		PreviousExecutorRunHook(EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGUMENTS);
}

static void
FindDemands(QueryDesc *queryDesc)
{
	EState	   *estate = queryDesc->estate;
	MemoryContext oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);
	PlanDemand *plan = palloc0(sizeof(PlanDemand));
	Asker		user = {NULL, &plan->demand};

	plan->demand.kind = DEMAND_RUN;
	plan->estate = estate;
	plan->callback.func = ForgetPlan;
	plan->callback.arg = plan;
	plan->next = Plans;
	Plans = plan;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &plan->callback);
	(void) TellDemands(queryDesc->planstate, &user);
	MemoryContextSwitchTo(oldcontext);
}

static void
ForgetPlan(void *arg)
{
	PlanDemand **link = &Plans;

	while (*link != (PlanDemand *) arg)
		link = &(*link)->next;
	*link = (*link)->next;
}

/* For planstate_tree_walker(): what is asked of a node, and of those below. */
static bool
TellDemands(PlanState *ps, Asker *asker)
{
	const DemandingNode *node = FindNode(ps);
	Asker		below = {ps, DemandOn(ps, asker)};

	if (node != NULL)
		*node->demand = below.demand;
	return planstate_tree_walker(ps, TellDemands, &below);
}

static const DemandingNode *
FindNode(const PlanState *ps)
{
	const DemandingNode *node = Begun;

	while (node != NULL && node->ps != ps)
		node = node->next;
	return node;
}

/* What is asked of a node by the one that it is below of. */
static const RowDemand *
DemandOn(PlanState *ps, const Asker *asker)
{
	const DemandingNode *node;
	const SubPlan *subplan;
	RowDemand  *demand;

	if (asker->ps == NULL)
		return asker->demand;
	subplan = FindSubPlan(ps, asker->ps->initPlan);
	if (subplan == NULL)
		subplan = FindSubPlan(ps, asker->ps->subPlan);
	if (subplan != NULL)
		return DemandOnSubPlan(subplan, asker);

	switch (nodeTag(asker->ps))
	{
			/* to give n rows, or all, they ask for as many at least */
		case T_ResultState:
		case T_SubqueryScanState:
		case T_AppendState:
		case T_LockRowsState:
		case T_UniqueState:
		case T_GroupState:
		case T_WindowAggState:
		case T_IncrementalSortState:
			return asker->demand;
		case T_NestLoopState:
		case T_HashJoinState:
			if (!((const JoinState *) asker->ps)->single_match)
				break;
			return ps == outerPlanState(asker->ps) ? asker->demand :
				MakeDemand(DEMAND_FIRST, NULL);

		case T_LimitState:
			demand = MakeDemand(DEMAND_LIMIT, asker->demand);
			demand->limit = (const LimitState *) asker->ps;
			return demand;

			/* to give any, they ask for all */
		case T_AggState:
			if (((const Agg *) asker->ps->plan)->aggstrategy == AGG_SORTED)
				return asker->demand;
			return NULL;
		case T_SortState:
		case T_HashState:
			return NULL;
		case T_ModifyTableState:
			/* each row that it returns is one that it got */
			if (((const ModifyTable *) asker->ps->plan)->returningLists != NIL)
				return asker->demand;
			return NULL;

		default:
			node = FindNode(asker->ps);
			if (node == NULL)
				break;
			demand = MakeDemand(DEMAND_BATCH, asker->demand);
			demand->to_read = node->to_read;
			return demand;
	}
	return MakeDemandOfOne(asker);
}

static const RowDemand *
DemandOnSubPlan(const SubPlan *subplan, const Asker *asker)
{
	switch (subplan->subLinkType)
	{
		case CTE_SUBLINK:
			return MakeDemandOfOne(asker);
		case ARRAY_SUBLINK:
			return NULL;
		case ANY_SUBLINK:
			if (subplan->useHashTable)
				return NULL;
			break;
		default:
			break;
	}
	return MakeDemand(DEMAND_FIRST, NULL);
}

static const SubPlan *
FindSubPlan(const PlanState *ps, const List *subplans)
{
	ListCell   *lc;

	foreach(lc, subplans)
	{
		const SubPlanState *sps = lfirst_node(SubPlanState, lc);

		if (sps->planstate == ps)
			return sps->subplan;
	}
	return NULL;
}

static RowDemand *
MakeDemand(DemandKind kind, const RowDemand *above)
{
	RowDemand  *demand = palloc0(sizeof(RowDemand));

	demand->kind = kind;
	demand->above = above;
	return demand;
}

static const RowDemand *
MakeDemandOfOne(const Asker *asker)
{
	return asker->demand == NULL ? NULL : MakeDemand(DEMAND_ONE, asker->demand);
}

int64
RowsDemanded(const RowDemand *demand)
{
	int64		rows = ALL_ROWS;

	for (; demand != NULL; demand = demand->above)
	{
		const PlanDemand *plan = (const PlanDemand *) demand;
		const LimitState *limit = demand->limit;

		switch (demand->kind)
		{
			case DEMAND_RUN:
				if (plan->count > 0)
					rows = Min(rows, (int64) (plan->count - plan->estate->es_processed));
				break;
			case DEMAND_LIMIT:
				if (!limit->noCount)
					rows = Min(rows, limit->offset + limit->count - limit->position);
				break;
			case DEMAND_BATCH:
				return Max(Min(rows, *demand->to_read), 1);
			case DEMAND_ONE:
				return RowsDemanded(demand->above) == ALL_ROWS ? Max(rows, 1) : 1;
			case DEMAND_FIRST:
				return 1;
		}
	}
	return Max(rows, 1);
}
