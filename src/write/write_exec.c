/*-------------------------------------------------------------------------
 *
 * write_exec.c
 *	  Executing the statements of put(), put_many() and delete().
 *
 * A put's plan is executed as SPI would, but without SPI: a snapshot is taken
 * for the statement, after the caller's changes were made visible to it, and
 * afterwards what it did is visible to the caller.  What is executed is a copy
 * of the plan with these changes, where they can be made:
 *
 *	- Only unique indexes that are like the primary key say whether the row is
 *	  there.
 *	- The statement has a condition, so that what it reads needs SELECT
 *	  privilege and row security knows of it, but to make the two records
 *	  that it compares costs more than the rest.  We execute the plan
 *	  without the condition and compare column by column.  Partitions that
 *	  rows are routed to have their own, made from the plan: with
 *	  partitioned tables it stays.
 *	- The statement inserts one row, made of its parameters.  Ours has a node
 *	  below that gives all rows there are to put (RowSource), and the columns of
 *	  these take the place of the parameters.  If they are all that a row is
 *	  made of, the node that makes it is left out.
 *
 * The copy is kept in the memory of the cached plan that it was made from, and
 * known by its generation, so it lives just as long.
 *
 * That a plan is one for the relation (see write_plan.c) is checked of a put
 * before it is executed, of a delete, which rules may have made something
 * else, after (then an error undoes it).
 *
 * May call: write_direct, write_plan, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "tcop/dest.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "write/write_direct.h"
#include "write/write_exec.h"
#include "write/write_plan.h"

/* A node that gives the rows to put: all columns of the relation written. */
typedef struct RowSource
{
	CustomScanState css;
	const HeapTupleHeader *items;
	int			nitems;
	int			next;
	DirectUpdate *direct;		/* NULL if no row may be updated so */
} RowSource;

/* Which column, by its number, each parameter of a statement stands for. */
typedef struct ParamColumns
{
	Index		rti;
	int			nparams;
	AttrNumber	attnos[MaxHeapAttributeNumber];
} ParamColumns;

static void MakePutStatement(const ItemRelation *relation,
							 const ItemShape *shape, WriteKind kind,
							 WritePlan *plan, const CachedPlan *cplan);
static List *IndexesLikeKey(const ItemShape *shape, List *indexes);
static bool IndexIsLikeKey(const ItemShape *shape, Oid indexid);
static bool ComparesLike(const KeyColumn *key, Oid opclass, Oid collation);
static Plan *MakeRowsPlan(const ItemRelation *relation, const ItemShape *shape,
						  WriteKind kind, Index rti, const Plan *plan);
static Node *ParamsToColumns(Node *node, void *context);
static void SetCondition(const ItemShape *shape, EState *estate);
static Datum RowIsChanged(ExprState *state, ExprContext *econtext,
						  bool *isnull);
static void AddErrorContext(void *arg);
static void RefuseTarget(const ItemRelation *relation);
static void RefusePlan(const ItemRelation *relation);
static Node *CreateRowSource(CustomScan *plan);
static void BeginRowSource(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *ExecRowSource(CustomScanState *node);
static TupleTableSlot *MakeRow(RowSource *source, HeapTupleHeader item);
static void EndRowSource(CustomScanState *node);
static void ReScanRowSource(CustomScanState *node);
static void ExplainRowSource(CustomScanState *node, List *ancestors,
							 ExplainState *es);

static const CustomScanMethods RowSourceMethods = {
	.CustomName = "ItemCache Row",
	.CreateCustomScanState = CreateRowSource
};

static const CustomExecMethods RowSourceExecMethods = {
	.CustomName = "ItemCache Row",
	.BeginCustomScan = BeginRowSource,
	.ExecCustomScan = ExecRowSource,
	.EndCustomScan = EndRowSource,
	.ReScanCustomScan = ReScanRowSource,
	.ExplainCustomScan = ExplainRowSource
};

uint64
ExecuteDelete(ItemRelation *relation, Datum *key)
{
	SPIPlanPtr	plan = GetWritePlan(relation, WRITE_DELETE)->saved;
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	uint64		count;
	int			rc;

	SPI_connect();
	rc = SPI_execute_plan(plan, key, NULL, false, 0);
	if (rc == SPI_OK_REWRITTEN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot delete from table \"%s\" by key",
						get_rel_name(relation->relid)),
				 errdetail("A rule on the table does something else instead.")));
	if (rc != SPI_OK_DELETE)
		elog(ERROR, "deleting from table \"%s\" failed: %s",
			 get_rel_name(relation->relid), SPI_result_code_string(rc));
	if (!list_member_oid(source->relationOids, relation->relid))
		RefuseTarget(relation);
	count = SPI_processed;
	SPI_finish();
	return count;
}

/*-------------------------------------------------------------------------
 * Execution of a put
 *-------------------------------------------------------------------------
 */

uint64
ExecutePut(ItemRelation *relation, const HeapTupleHeader *items, int nitems,
		   bool new_identity)
{
	WriteKind	kind = new_identity ? WRITE_PUT_NEW_IDENTITY : WRITE_PUT;
	WritePlan  *plan = GetWritePlan(relation, kind);
	const ItemShape *shape = relation->shape;
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan->saved));
	ErrorContextCallback errcallback;
	CachedPlan *cplan;
	QueryDesc  *queryDesc;
	RowSource  *rows;
	uint64		count;

	errcallback.callback = AddErrorContext;
	errcallback.arg = (void *) source->query_string;
	errcallback.previous = error_context_stack;
	error_context_stack = &errcallback;

	/* to make a plan may call functions of the user's, before the table is open */
	cplan = GetCachedPlan(source, NULL, CurrentResourceOwner, NULL);
	KeepToShape(relation, shape);
	if (plan->generation != cplan->generation)
		MakePutStatement(relation, shape, kind, plan, cplan);

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	queryDesc = CreateQueryDesc(plan->stmt, source->query_string,
								GetActiveSnapshot(), InvalidSnapshot,
								None_Receiver, NULL, NULL, 0);
	ExecutorStart(queryDesc, 0);
	if (!relation->partitioned)
		SetCondition(shape, queryDesc->estate);
	rows = (RowSource *) outerPlanState(queryDesc->planstate);
	rows->items = items;
	rows->nitems = nitems;
	if (!new_identity)
		rows->direct = BeginDirectUpdate(relation,
										 castNode(ModifyTableState, queryDesc->planstate));
	RunExecutor(queryDesc);
	count = queryDesc->estate->es_processed;
	ExecutorFinish(queryDesc);
	ExecutorEnd(queryDesc);
	FreeQueryDesc(queryDesc);
	PopActiveSnapshot();
	CommandCounterIncrement();

	ReleaseCachedPlan(cplan, CurrentResourceOwner);
	error_context_stack = errcallback.previous;
	return count;
}

/* What is executed of a plan: see the head of this file. */
static void
MakePutStatement(const ItemRelation *relation, const ItemShape *shape,
				 WriteKind kind, WritePlan *plan, const CachedPlan *cplan)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cplan->context);
	PlannedStmt *stmt = palloc(sizeof(PlannedStmt));
	ModifyTable *modify = palloc(sizeof(ModifyTable));
	Index		rti;

	*stmt = *linitial_node(PlannedStmt, cplan->stmt_list);
	if (!IsA(stmt->planTree, ModifyTable))
		RefusePlan(relation);
	*modify = *(ModifyTable *) stmt->planTree;
	rti = linitial_int(modify->resultRelations);
	if (rt_fetch(rti, stmt->rtable)->relid != relation->relid)
		RefuseTarget(relation);

	stmt->planTree = &modify->plan;
	if (list_length(modify->arbiterIndexes) > 1)
		modify->arbiterIndexes = IndexesLikeKey(shape, modify->arbiterIndexes);
	if (!relation->partitioned)
		modify->onConflictWhere = NULL;
	outerPlan(modify) = MakeRowsPlan(relation, shape, kind, rti,
									 outerPlan(modify));
	MemoryContextSwitchTo(oldcontext);

	plan->stmt = stmt;
	plan->generation = cplan->generation;
}

/*
 * ON CONFLICT names the key's columns, and so means every unique index on
 * these, also one whose operators or collation call other keys equal: it would
 * have the row of such a key updated; or one that is deferrable, which is an
 * error if it comes to that.  These are the others.  To leave out more would
 * be wrong: two sessions that insert the same key at once would find each
 * other's entry in that index, and one would fail.
 */
static List *
IndexesLikeKey(const ItemShape *shape, List *indexes)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		if (IndexIsLikeKey(shape, lfirst_oid(lc)))
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

static bool
IndexIsLikeKey(const ItemShape *shape, Oid indexid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index form;
	oidvector  *opclasses;
	oidvector  *collations;
	bool		isnull;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	form = (Form_pg_index) GETSTRUCT(tuple);
	result = form->indimmediate;
	opclasses = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indclass, &isnull));
	collations = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indcollation, &isnull));
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		for (int k = 0; k < shape->nkeys; k++)
		{
			if (shape->keys[k].attno == form->indkey.values[i] &&
				!ComparesLike(&shape->keys[k], opclasses->values[i],
							  collations->values[i]))
				result = false;
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

static bool
ComparesLike(const KeyColumn *key, Oid opclass, Oid collation)
{
	Oid			type = get_opclass_input_type(opclass);

	if (get_opfamily_member(get_opclass_family(opclass), type, type,
							BTEqualStrategyNumber) != key->eqop)
		return false;
	return collation == key->collation ||
		(get_collation_isdeterministic(collation) &&
		 get_collation_isdeterministic(key->collation));
}

/*
 * The plan that makes one row of the statement's parameters becomes one that
 * makes rows of the columns of a row source.  As far as the executor sees, that
 * scans the relation, so that there is no row type to be made.
 */
static Plan *
MakeRowsPlan(const ItemRelation *relation, const ItemShape *shape,
			 WriteKind kind, Index rti, const Plan *plan)
{
	CustomScan *source = makeNode(CustomScan);
	ParamColumns columns;

	if (!IsA(plan, Result) || outerPlan(plan) != NULL || plan->qual != NIL ||
		plan->initPlan != NIL || ((const Result *) plan)->resconstantqual != NULL)
		RefusePlan(relation);

	columns.rti = rti;
	columns.nparams = 0;
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		if (ColumnIsWritten(shape, i, kind == WRITE_PUT_NEW_IDENTITY))
			columns.attnos[columns.nparams++] = i + 1;
	}
	source->scan.plan = *plan;
	source->scan.plan.type = T_CustomScan;
	source->scan.plan.targetlist = (List *)
		ParamsToColumns((Node *) plan->targetlist, &columns);
	source->scan.scanrelid = rti;
	source->methods = &RowSourceMethods;
	return &source->scan.plan;
}

static Node *
ParamsToColumns(Node *node, void *context)
{
	const ParamColumns *columns = context;

	if (node != NULL && IsA(node, Param) &&
		((Param *) node)->paramkind == PARAM_EXTERN)
	{
		Param	   *param = (Param *) node;

		Assert(param->paramid <= columns->nparams);
		return (Node *) makeVar(columns->rti,
								columns->attnos[param->paramid - 1],
								param->paramtype, param->paramtypmod,
								param->paramcollid, 0);
	}
	return expression_tree_mutator(node, ParamsToColumns, context);
}

/* The condition of the UPDATE: see the head of this file. */
static void
SetCondition(const ItemShape *shape, EState *estate)
{
	ResultRelInfo *rri = linitial(estate->es_opened_result_relations);
	MemoryContext oldcontext;
	ExprState  *state;

	if (rri->ri_onConflict == NULL)
		return;					/* DO NOTHING */
	Assert(rri->ri_onConflict->oc_WhereClause == NULL);
	oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);
	state = makeNode(ExprState);
	state->flags = EEO_FLAG_IS_QUAL;
	state->evalfunc = RowIsChanged;
	state->evalfunc_private = (void *) shape;
	rri->ri_onConflict->oc_WhereClause = state;
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Does the row that is there, in the scan slot, differ from the one that would
 * take its place, in the inner slot, in a column that would be set?
 */
static Datum
RowIsChanged(ExprState *state, ExprContext *econtext, bool *isnull)
{
	const ItemShape *shape = state->evalfunc_private;
	TupleTableSlot *old = econtext->ecxt_scantuple;
	TupleTableSlot *new = econtext->ecxt_innertuple;

	*isnull = false;
	slot_getallattrs(old);
	slot_getallattrs(new);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

		if (!ColumnIsSet(shape, i))
			continue;
		if (old->tts_isnull[i] != new->tts_isnull[i])
			return BoolGetDatum(true);
		if (!old->tts_isnull[i] &&
			!datum_image_eq(old->tts_values[i], new->tts_values[i],
							att->attbyval, att->attlen))
			return BoolGetDatum(true);
	}
	return BoolGetDatum(false);
}

static void
AddErrorContext(void *arg)
{
	errcontext("SQL statement \"%s\"", (const char *) arg);
}

static void
RefuseTarget(const ItemRelation *relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("table \"%s\" was renamed during the write",
					get_rel_name(relation->relid))));
}

/* Another extension's planner, of whose plans we know nothing. */
static void
RefusePlan(const ItemRelation *relation)
{
	elog(ERROR, "unexpected plan for a put into table \"%s\"",
		 get_rel_name(relation->relid));
}

/*-------------------------------------------------------------------------
 * The row source
 *-------------------------------------------------------------------------
 */

static Node *
CreateRowSource(CustomScan *plan)
{
	RowSource  *source = (RowSource *) newNode(sizeof(RowSource),
											   T_CustomScanState);

	source->css.methods = &RowSourceExecMethods;
	SetSlotOpsVirtual(&source->css);
	return (Node *) source;
}

static void
BeginRowSource(CustomScanState *node, EState *estate, int eflags)
{
}

/* The next row that the statement has to deal with. */
static TupleTableSlot *
ExecRowSource(CustomScanState *node)
{
	RowSource  *source = (RowSource *) node;

	while (source->next < source->nitems)
	{
		int			i = source->next++;
		TupleTableSlot *row;

		if (source->direct != NULL && i % DIRECT_BATCH == 0)
			PrepareItems(source->direct, source->items + i,
						 Min(DIRECT_BATCH, source->nitems - i));
		row = MakeRow(source, source->items[i]);
		if (source->direct == NULL ||
			!UpdateDirectly(source->direct, i % DIRECT_BATCH, row))
			return row;
		InstrCountTuples2(&node->ss.ps, 1);
		CHECK_FOR_INTERRUPTS();
	}
	return NULL;
}

/* The row to insert, in a slot that keeps it to the next call. */
static TupleTableSlot *
MakeRow(RowSource *source, HeapTupleHeader item)
{
	ScanState  *ss = &source->css.ss;
	TupleTableSlot *columns = ss->ss_ScanTupleSlot;
	HeapTupleData tuple;

	tuple.t_data = item;
	tuple.t_len = HeapTupleHeaderGetDatumLength(item);
	ExecClearTuple(columns);
	heap_deform_tuple(&tuple, columns->tts_tupleDescriptor,
					  columns->tts_values, columns->tts_isnull);
	ExecStoreVirtualTuple(columns);

	if (ss->ps.ps_ProjInfo == NULL)
		return columns;
	ResetExprContext(ss->ps.ps_ExprContext);
	ss->ps.ps_ExprContext->ecxt_scantuple = columns;
	return ExecProject(ss->ps.ps_ProjInfo);
}

static void
EndRowSource(CustomScanState *node)
{
}

/* A ModifyTable never does. */
static void
ReScanRowSource(CustomScanState *node)
{
	elog(ERROR, "rows to put cannot be scanned again");
}

/* For auto_explain, which may log nested statements. */
static void
ExplainRowSource(CustomScanState *node, List *ancestors, ExplainState *es)
{
	NodeInstrumentation *instrument = node->ss.ps.instrument;

	if (es->analyze && instrument != NULL)
		ExplainPropertyInteger("Cached Rows Updated", NULL,
							   (int64) instrument->ntuples2, es);
}
