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
 *	- The node that makes a row of the statement's parameters gives way to one
 *	  that has the row already (RowSource), since to make expressions for so
 *	  many parameters ready, for one row, takes longer than the insertion.
 *
 * The copy is kept in the memory of the cached plan that it was made from, and
 * known by its generation, so it lives just as long.
 *
 * That a plan is one for the relation (see write_plan.c) is checked of a put
 * before it is executed, of a delete, which rules may have made something
 * else, after (then an error undoes it).
 *
 * May call: write_plan, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_index.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
#include "tcop/dest.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "write_exec.h"
#include "write_plan.h"

/* A node that gives one row: all columns of the relation that is written. */
typedef struct RowSource
{
	CustomScanState css;
	const Datum *values;		/* NULL: none yet, or no more */
	const bool *isnull;
} RowSource;

static uint64 ExecutePutPlan(ItemRelation *relation, WriteKind kind,
							 const Datum *values, const bool *isnull);
static void MakePutStatement(const ItemRelation *relation, WritePlan *plan,
							 const CachedPlan *cplan);
static List *IndexesLikeKey(const ItemShape *shape, List *indexes);
static bool IndexComparesLikeKey(const ItemShape *shape, Oid indexid);
static Plan *MakeRowSourcePlan(const ItemRelation *relation,
							   const PlannedStmt *stmt, const Plan *plan);
static ParamListInfo MakeParams(const ItemShape *shape, WriteKind kind,
								const CachedPlanSource *source,
								const Datum *values, const bool *isnull);
static void SetCondition(const ItemRelation *relation, EState *estate);
static Datum RowIsChanged(ExprState *state, ExprContext *econtext,
						  bool *isnull);
static void AddErrorContext(void *arg);
static void RefuseTarget(const ItemRelation *relation);
static Node *CreateRowSource(CustomScan *plan);
static void BeginRowSource(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *ExecRowSource(CustomScanState *node);
static void EndRowSource(CustomScanState *node);
static void ReScanRowSource(CustomScanState *node);

static const CustomScanMethods RowSourceMethods = {
	.CustomName = "ItemCache Row",
	.CreateCustomScanState = CreateRowSource
};

static const CustomExecMethods RowSourceExecMethods = {
	.CustomName = "ItemCache Row",
	.BeginCustomScan = BeginRowSource,
	.ExecCustomScan = ExecRowSource,
	.EndCustomScan = EndRowSource,
	.ReScanCustomScan = ReScanRowSource
};

void
ExecutePut(ItemRelation *relation, const Datum *values, const bool *isnull)
{
	int			identity = AlwaysIdentity(relation->shape);

	(void) ExecutePutPlan(relation,
						  identity >= 0 && isnull[identity] ?
						  WRITE_PUT_NEW_IDENTITY : WRITE_PUT,
						  values, isnull);
}

uint64
ExecutePutMany(ItemRelation *relation, Datum rows, bool new_identity)
{
	bool		isnull = false;

	return ExecutePutPlan(relation,
						  new_identity ?
						  WRITE_PUT_MANY_NEW_IDENTITY : WRITE_PUT_MANY,
						  &rows, &isnull);
}

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

static uint64
ExecutePutPlan(ItemRelation *relation, WriteKind kind, const Datum *values,
			   const bool *isnull)
{
	WritePlan  *plan = GetWritePlan(relation, kind);
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan->saved));
	ErrorContextCallback errcallback;
	CachedPlan *cplan;
	ParamListInfo params = NULL;
	QueryDesc  *queryDesc;
	bool		takes_row;
	uint64		count;

	errcallback.callback = AddErrorContext;
	errcallback.arg = (void *) source->query_string;
	errcallback.previous = error_context_stack;
	error_context_stack = &errcallback;

	cplan = GetCachedPlan(source, NULL, CurrentResourceOwner, NULL);
	if (plan->generation != cplan->generation)
		MakePutStatement(relation, plan, cplan);
	/* a put by a trigger of this one may make it anew */
	takes_row = plan->takes_row;
	if (!takes_row)
		params = MakeParams(relation->shape, kind, source, values, isnull);

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	queryDesc = CreateQueryDesc(plan->stmt, source->query_string,
								GetActiveSnapshot(), InvalidSnapshot,
								None_Receiver, params, NULL, 0);
	ExecutorStart(queryDesc, 0);
	if (takes_row)
	{
		RowSource  *row = (RowSource *) outerPlanState(queryDesc->planstate);

		row->values = values;
		row->isnull = isnull;
	}
	if (!relation->partitioned)
		SetCondition(relation, queryDesc->estate);
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
MakePutStatement(const ItemRelation *relation, WritePlan *plan,
				 const CachedPlan *cplan)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(cplan->context);
	PlannedStmt *stmt = palloc(sizeof(PlannedStmt));
	ModifyTable *modify = palloc(sizeof(ModifyTable));
	Plan	   *source;

	*stmt = *linitial_node(PlannedStmt, cplan->stmt_list);
	*modify = *castNode(ModifyTable, stmt->planTree);
	if (rt_fetch(linitial_int(stmt->resultRelations), stmt->rtable)->relid !=
		relation->relid)
		RefuseTarget(relation);

	stmt->planTree = &modify->plan;
	if (list_length(modify->arbiterIndexes) > 1)
		modify->arbiterIndexes = IndexesLikeKey(relation->shape,
												modify->arbiterIndexes);
	if (!relation->partitioned)
		modify->onConflictWhere = NULL;
	source = MakeRowSourcePlan(relation, stmt, outerPlan(modify));
	if (source != NULL)
		outerPlan(modify) = source;
	MemoryContextSwitchTo(oldcontext);

	plan->stmt = stmt;
	plan->takes_row = source != NULL;
	plan->generation = cplan->generation;
}

/*
 * ON CONFLICT names the key's columns, and so means every unique index on
 * these, also one whose collation calls other keys equal: it would have the
 * row of such a key updated.  These are the others.
 */
static List *
IndexesLikeKey(const ItemShape *shape, List *indexes)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		if (IndexComparesLikeKey(shape, lfirst_oid(lc)))
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

static bool
IndexComparesLikeKey(const ItemShape *shape, Oid indexid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index form;
	oidvector  *collations;
	bool		isnull;
	bool		result = true;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	form = (Form_pg_index) GETSTRUCT(tuple);
	collations = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indcollation, &isnull));
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		for (int k = 0; k < shape->nkeys; k++)
		{
			if (shape->keys[k].attno == form->indkey.values[i] &&
				shape->keys[k].collation != collations->values[i])
				result = false;
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * A RowSource in place of a plan, if that only gives the parameters as they
 * are, one for each column.  NULL if not: where a default, a length or NULLs
 * of dropped columns come in, say.
 *
 * As far as the executor sees, it scans the relation and gives its columns, so
 * that there is no row type to be made and nothing to be projected.
 */
static Plan *
MakeRowSourcePlan(const ItemRelation *relation, const PlannedStmt *stmt,
				  const Plan *plan)
{
	TupleDesc	tupdesc = relation->shape->tupdesc;
	Index		rti = linitial_int(stmt->resultRelations);
	CustomScan *source;
	List	   *columns = NIL;
	ListCell   *lc;

	if (!IsA(plan, Result) || outerPlan(plan) != NULL || plan->qual != NIL ||
		plan->initPlan != NIL || ((const Result *) plan)->resconstantqual != NULL ||
		list_length(plan->targetlist) != tupdesc->natts)
		return NULL;
	foreach(lc, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Form_pg_attribute att = TupleDescAttr(tupdesc, entry->resno - 1);
		Param	   *param = (Param *) entry->expr;
		Var		   *column;

		if (!IsA(param, Param) || param->paramkind != PARAM_EXTERN ||
			param->paramid != entry->resno || param->paramtype != att->atttypid)
			return NULL;
		column = makeVar(rti, att->attnum, att->atttypid, att->atttypmod,
						 att->attcollation, 0);
		columns = lappend(columns,
						  makeTargetEntry((Expr *) column, entry->resno, NULL,
										  false));
	}

	source = makeNode(CustomScan);
	source->scan.plan = *plan;
	source->scan.plan.type = T_CustomScan;
	source->scan.plan.targetlist = columns;
	source->scan.scanrelid = rti;
	source->methods = &RowSourceMethods;
	return &source->scan.plan;
}

static ParamListInfo
MakeParams(const ItemShape *shape, WriteKind kind,
		   const CachedPlanSource *source, const Datum *values,
		   const bool *isnull)
{
	bool		many = kind == WRITE_PUT_MANY ||
		kind == WRITE_PUT_MANY_NEW_IDENTITY;
	ParamListInfo params = makeParamList(source->num_params);
	int			column = 0;

	for (int i = 0; i < source->num_params; i++, column++)
	{
		while (!many &&
			   !ColumnIsWritten(shape, column, kind == WRITE_PUT_NEW_IDENTITY))
			column++;
		params->params[i].value = values[column];
		params->params[i].isnull = isnull[column];
		params->params[i].pflags = 0;
		params->params[i].ptype = source->param_types[i];
	}
	return params;
}

/* The condition of the UPDATE: see the head of this file. */
static void
SetCondition(const ItemRelation *relation, EState *estate)
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
	state->evalfunc_private = relation->shape;
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

/*
 * The columns of the slot are those of the target list.  (Where the executor
 * thinks it better to project them, as with columns that have missing values,
 * that would make the same row of them.)
 */
static TupleTableSlot *
ExecRowSource(CustomScanState *node)
{
	RowSource  *source = (RowSource *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	int			natts = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	if (source->values == NULL)
		return slot;
	memcpy(slot->tts_values, source->values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, source->isnull, natts * sizeof(bool));
	source->values = NULL;
	return ExecStoreVirtualTuple(slot);
}

static void
EndRowSource(CustomScanState *node)
{
}

/* A ModifyTable never does. */
static void
ReScanRowSource(CustomScanState *node)
{
	elog(ERROR, "row to put cannot be scanned again");
}
