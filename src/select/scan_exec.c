/*-------------------------------------------------------------------------
 *
 * scan_exec.c
 *	  Executing the Custom Scan.
 *
 * The node has the keys to look up as an array: one, or those of = ANY in the
 * order of the key, without duplicates.  Its position is on a key, before the
 * first or after the last; so it can go backwards, as an index scan can.
 *
 * Whether the cache may be used is decided anew for every key, for the query's
 * snapshot: after planning, and between two FETCHes of a cursor, anything can
 * have happened.  See fetch.c.
 *
 * The scan slot is a virtual one, and points to what the fetcher has of the
 * row; it has the row's TID, for WHERE CURRENT OF.
 *
 * May call: fetch, privilege, relation, item.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lookup/fetch.h"
#include "lookup/lookup.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "select/scan.h"
#include "table/privilege.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

typedef struct ItemScanState
{
	CustomScanState css;
	int			nkeys;			/* key columns */
	List	   *values;			/* what they are compared with */
	ExprState **valuestates;	/* NULL, or NULL for some: not needed (yet) */
	List	   *columns;		/* of the table that the scan slot has; NIL: all */

	int			nlookups;		/* -1: not evaluated yet */
	int			position;		/* 0: before the first; nlookups + 1: after */
	int			row;			/* of the key's there, where it has several */

	/* what is evaluated, is once until the next rescan */
	MemoryContext keycontext;	/* holds it; NULL if nothing is */
	Datum	   *keys;			/* of an array's elements, or one key's columns */
	Datum		only_key;		/* if it is but one column */
	bool		key_kept;		/* if one: has it been evaluated, */
	bool		key_exists;		/* and can there be a row? */

	/* if the value is an array */
	bool		is_array;
	bool		descending;		/* is its greatest key the first? */
	int			batch;			/* of LOOKUP_BATCH keys that was fetched, or -1 */
	uint64	   *hashes;			/* of its keys */
	FetchHint  *hints;

	ItemFetcher fetcher;
} ItemScanState;

/* How keys are compared. */
typedef struct KeyOrder
{
	FmgrInfo	function;
	Oid			collation;
} KeyOrder;

static void BeginItemScan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *ExecItemScan(CustomScanState *node);
static void EndItemScan(CustomScanState *node);
static void ReScanItemScan(CustomScanState *node);
static void ExplainItemScan(CustomScanState *node, List *ancestors,
							ExplainState *es);
static TupleTableSlot *NextItem(ItemScanState *state);
static bool NextRowOfKey(ItemScanState *state, bool backward);
static bool RecheckItem(ItemScanState *state, TupleTableSlot *slot);
static void EvaluateArray(ItemScanState *state);
static int	SortKeys(ItemScanState *state, Datum *keys, int n);
static int	CompareKeys(const void *a, const void *b, void *arg);
static bool FetchAtPosition(ItemScanState *state, TupleTableSlot *slot);
static bool FetchRow(ItemScanState *state, const Datum *key, uint64 hash,
					 const FetchHint *hint, TupleTableSlot *slot);
static void ShowRow(PlanState *ps, const Datum *values, const bool *isnull);
static bool MakeKey(ItemScanState *state);
static bool EvaluateKey(ItemScanState *state, MemoryContext context);
static Datum EvaluateValue(ItemScanState *state, int i, bool *isnull);
static bool NeedsNoState(const Expr *value);
static void InitValue(ItemScanState *state, int i);
static Expr *KeyComparison(CustomScan *plan, Oid relid, int i,
						   int *expression);
static void PrefetchBatch(ItemScanState *state, int batch);

static const CustomExecMethods ItemScanExecMethods = {
	.CustomName = SCAN_NAME,
	.BeginCustomScan = BeginItemScan,
	.ExecCustomScan = ExecItemScan,
	.EndCustomScan = EndItemScan,
	.ReScanCustomScan = ReScanItemScan,
	.ExplainCustomScan = ExplainItemScan
};

Node *
CreateItemScanState(CustomScan *plan)
{
	ItemScanState *state = (ItemScanState *) newNode(sizeof(ItemScanState),
													 T_CustomScanState);

	state->css.methods = &ItemScanExecMethods;
	SetSlotOpsVirtual(&state->css);
	return (Node *) state;
}

/*-------------------------------------------------------------------------
 * The node
 *-------------------------------------------------------------------------
 */

static void
BeginItemScan(CustomScanState *node, EState *estate, int eflags)
{
	ItemScanState *state = (ItemScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *numbers = list_nth(plan->custom_private, SCAN_NUMBERS);
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ListCell   *lc;

	state->values = list_nth(plan->custom_exprs, SCAN_VALUES);
	state->nkeys = list_length(state->values);
	state->is_array = list_nth_int(numbers, SCAN_ARRAY) != 0;
	state->descending = list_nth_int(numbers, SCAN_DESCENDING) != 0;
	state->nlookups = -1;
	for (int i = 0; i < state->nkeys; i++)
	{
		if (!NeedsNoState(list_nth(state->values, i)))
			InitValue(state, i);
	}
	foreach(lc, list_nth(plan->custom_private, SCAN_FUNCTIONS))
		CheckExecutePrivilege(lfirst_oid(lc));
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	if (state->is_array || state->valuestates != NULL)
		state->keycontext = AllocSetContextCreate(CurrentMemoryContext,
												  "itemcache scan keys",
												  ALLOCSET_SMALL_SIZES);
	if (!state->is_array)
		state->keys = state->nkeys == 1 ? &state->only_key :
			palloc(state->nkeys * sizeof(Datum));
	else
	{
		state->hashes = palloc(LOOKUP_BATCH * sizeof(uint64));
		state->hints = palloc(LOOKUP_BATCH * sizeof(FetchHint));
	}
	BeginFetcher(&state->fetcher, &node->ss.ps,
				 RelationGetRelid(node->ss.ss_currentRelation),
				 (Oid) list_nth_int(numbers, SCAN_INDEX),
				 list_nth(plan->custom_private, SCAN_KEY_TYPES),
				 list_nth_int(numbers, SCAN_NATTS));
	SetFetchTest(&state->fetcher,
				 list_nth(plan->custom_exprs, SCAN_EXPRESSIONS),
				 list_nth(plan->custom_exprs, SCAN_IMPLYING), ShowRow);

	/* of the whole row, columns that are not looked at might be copied */
	slot->tts_tableOid = state->fetcher.relation->relid;
	state->columns = list_nth(plan->custom_private, SCAN_COLUMNS);
	if (state->columns == NIL)
		memset(slot->tts_isnull, true,
			   slot->tts_tupleDescriptor->natts * sizeof(bool));
}

/* Mostly there is nothing to check and nothing to project. */
static TupleTableSlot *
ExecItemScan(CustomScanState *node)
{
	if (node->ss.ps.qual == NULL && node->ss.ps.ps_ProjInfo == NULL &&
		node->ss.ps.state->es_epq_active == NULL)
		return NextItem((ItemScanState *) node);
	return ExecScan(&node->ss, (ExecScanAccessMtd) NextItem,
					(ExecScanRecheckMtd) RecheckItem);
}

static void
EndItemScan(CustomScanState *node)
{
	EndFetcher(&((ItemScanState *) node)->fetcher);
}

static void
ReScanItemScan(CustomScanState *node)
{
	ItemScanState *state = (ItemScanState *) node;

	state->nlookups = -1;
	state->position = 0;
	state->fetcher.nrows = 0;
	ExecScanReScan(&node->ss);
}

/* Tables whose rows EvalPlanQual could check anew are not scanned by us. */
static bool
RecheckItem(ItemScanState *state, TupleTableSlot *slot)
{
	elog(ERROR, "item scan cannot recheck a row");
	return false;
}

static TupleTableSlot *
NextItem(ItemScanState *state)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	bool		backward =
		ScanDirectionIsBackward(state->css.ss.ps.state->es_direction);

	if (!TTS_EMPTY(slot))
		ExecClearTuple(slot);
	if (state->nlookups < 0)
	{
		state->nlookups = 1;
		state->key_kept = false;
		if (state->is_array)
			EvaluateArray(state);
	}

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (state->fetcher.nrows > 1 &&
			NextRowOfKey(state, backward != state->descending))
		{
			FetchRow(state, NULL, 0, NULL, slot);
			return slot;
		}
		state->fetcher.nrows = 0;
		if (backward)
			state->position = Max(state->position - 1, 0);
		else
			state->position = Min(state->position + 1, state->nlookups + 1);
		if (state->position < 1 || state->position > state->nlookups)
			return slot;
		if (!FetchAtPosition(state, slot))
			continue;
		state->row = backward != state->descending ?
			state->fetcher.nrows - 1 : 0;
		if (state->row > 0)
		{
			ExecClearTuple(slot);
			FetchRow(state, NULL, 0, NULL, slot);
		}
		return slot;
	}
}

/* Rule U: where the key has several rows, on to the next, if there is one. */
static bool
NextRowOfKey(ItemScanState *state, bool backward)
{
	int			row = backward ? state->row - 1 : state->row + 1;

	if (row < 0 || row >= state->fetcher.nrows)
		return false;
	state->row = row;
	return true;
}

/* As a btree does: NULLs match nothing, and each row is found once. */
static void
EvaluateArray(ItemScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext oldcontext;
	Datum		value;
	bool		isnull;
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;
	int			n = 0;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	RefreshFetcher(&state->fetcher);
	state->nlookups = 0;
	state->batch = -1;
	MemoryContextReset(state->keycontext);
	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	value = EvaluateValue(state, 0, &isnull);
	MemoryContextSwitchTo(oldcontext);
	if (isnull)
		return;

	oldcontext = MemoryContextSwitchTo(state->keycontext);
	array = DatumGetArrayTypePCopy(value);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign,
					  &elements, &nulls, &nelements);
	for (int i = 0; i < nelements; i++)
	{
		if (!nulls[i] &&
			MakeFetchKey(&state->fetcher, 0, elements[i], &elements[n]))
			n++;
	}
	MemoryContextSwitchTo(oldcontext);

	state->keys = elements;
	state->nlookups = n > 1 ? SortKeys(state, elements, n) : n;
}

/* Sort keys of one column and leave out those that are equal; how many are left? */
static int
SortKeys(ItemScanState *state, Datum *keys, int n)
{
	const KeyColumn *column = &state->fetcher.shape->keys[0];
	KeyOrder	order;
	int			last = 0;

	fmgr_info_cxt(column->cmpproc, &order.function, state->keycontext);
	order.collation = column->collation;
	qsort_arg(keys, n, sizeof(Datum), CompareKeys, &order);
	for (int i = 1; i < n; i++)
	{
		if (CompareKeys(&keys[last], &keys[i], &order) != 0)
			keys[++last] = keys[i];
	}
	return last + 1;
}

static int
CompareKeys(const void *a, const void *b, void *arg)
{
	KeyOrder   *order = arg;

	return DatumGetInt32(FunctionCall2Coll(&order->function, order->collation,
										   *(const Datum *) a,
										   *(const Datum *) b));
}

/*-------------------------------------------------------------------------
 * Lookups
 *-------------------------------------------------------------------------
 */

/*
 * The row of the key at the current position, into "slot".  What the one before
 * has left in the memory of the current row is not needed any more.
 */
static bool
FetchAtPosition(ItemScanState *state, TupleTableSlot *slot)
{
	const Datum *key = state->keys;
	uint64		hash;
	const FetchHint *hint = NULL;

	ResetExprContext(state->css.ss.ps.ps_ExprContext);
	RefreshFetcher(&state->fetcher);
	if (state->is_array)
	{
		int			i = state->descending ?
			state->nlookups - state->position : state->position - 1;

		if (i / LOOKUP_BATCH != state->batch)
			PrefetchBatch(state, i / LOOKUP_BATCH);
		key = &state->keys[i];
		hash = state->hashes[i % LOOKUP_BATCH];
		hint = &state->hints[i % LOOKUP_BATCH];
	}
	else if (MakeKey(state))
		hash = HashFetchKey(&state->fetcher, key);
	else
		return false;

	return FetchRow(state, key, hash, hint, slot);
}

/*
 * A row into "slot": that of a key, or, without one, number state->row of those
 * of the key that was looked up last.
 */
static bool
FetchRow(ItemScanState *state, const Datum *key, uint64 hash,
		 const FetchHint *hint, TupleTableSlot *slot)
{
	ItemFetcher *fetcher = &state->fetcher;
	Datum		item_values[MaxHeapAttributeNumber];
	bool		item_isnull[MaxHeapAttributeNumber];
	bool		direct = state->columns == NIL;
	Datum	   *values = direct ? slot->tts_values : item_values;
	bool	   *isnull = direct ? slot->tts_isnull : item_isnull;
	ItemPointerData tid;

	if (key == NULL)
		FetchAnother(fetcher, state->row, values, isnull, &tid);
	else if (!FetchColumns(fetcher, key, hash, hint, values, isnull, &tid))
	{
		/* another row may have been shown, and was not it */
		if (!TTS_EMPTY(slot))
			ExecClearTuple(slot);
		return false;
	}
	ShowRow(&state->css.ss.ps, values, isnull);
	slot->tts_tid = tid;
	return true;
}

/*
 * Put a row into the scan slot, of whose columns, if it has not those of the
 * table, these are all up to the last one used.  Also for expressions that say
 * whether it is the row: FetchShow.
 */
static void
ShowRow(PlanState *ps, const Datum *values, const bool *isnull)
{
	ItemScanState *state = (ItemScanState *) ps;
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	ListCell   *lc;
	int			i = 0;

	if (!TTS_EMPTY(slot))
		ExecClearTuple(slot);
	foreach(lc, state->columns)
	{
		AttrNumber	attno = lfirst_int(lc);

		Assert(attno <= state->fetcher.natts);
		slot->tts_values[i] = values[attno - 1];
		slot->tts_isnull[i++] = isnull[attno - 1];
	}
	ExecStoreVirtualTuple(slot);
	ps->ps_ExprContext->ecxt_scantuple = slot;
}

/*
 * The key, into state->keys; false if there can be no row.  Constants and
 * parameters are taken for each row, into its memory; what is evaluated is kept,
 * as an index scan does: a cursor can come back to the row when the expression
 * would have another value.
 */
static bool
MakeKey(ItemScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;

	if (state->keycontext == NULL)
		return EvaluateKey(state, econtext->ecxt_per_tuple_memory);
	if (!state->key_kept)
	{
		MemoryContextReset(state->keycontext);
		state->key_exists = EvaluateKey(state, state->keycontext);
		state->key_kept = true;
	}
	return state->key_exists;
}

static bool
EvaluateKey(ItemScanState *state, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	bool		exists;
	int			i = 0;

	do
	{
		bool		isnull;
		Datum		value = EvaluateValue(state, i, &isnull);

		exists = !isnull && MakeFetchKey(&state->fetcher, i, value,
											&state->keys[i]);
	} while (++i < state->nkeys && exists);
	MemoryContextSwitchTo(oldcontext);
	return exists;
}

/*
 * Constants and the caller's parameters, which most values are, are taken as
 * they are: to make an expression state ready takes longer than the lookup.
 */
static Datum
EvaluateValue(ItemScanState *state, int i, bool *isnull)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	Expr	   *value = list_nth(state->values, i);

	if (IsA(value, Const))
	{
		*isnull = ((Const *) value)->constisnull;
		return ((Const *) value)->constvalue;
	}
	if (state->valuestates == NULL || state->valuestates[i] == NULL)
	{
		Param	   *param = castNode(Param, value);
		ParamListInfo params = econtext->ecxt_param_list_info;

		if (params != NULL && params->paramFetch == NULL &&
			param->paramid > 0 && param->paramid <= params->numParams &&
			params->params[param->paramid - 1].ptype == param->paramtype)
		{
			*isnull = params->params[param->paramid - 1].isnull;
			return params->params[param->paramid - 1].value;
		}
		InitValue(state, i);
	}
	return ExecEvalExpr(state->valuestates[i], econtext, isnull);
}

static void
InitValue(ItemScanState *state, int i)
{
	PlanState  *ps = &state->css.ss.ps;
	MemoryContext oldcontext = MemoryContextSwitchTo(ps->state->es_query_cxt);

	if (state->valuestates == NULL)
		state->valuestates = palloc0(state->nkeys * sizeof(ExprState *));
	state->valuestates[i] = ExecInitExpr(list_nth(state->values, i), ps);
	MemoryContextSwitchTo(oldcontext);
}

static bool
NeedsNoState(const Expr *value)
{
	return IsA(value, Const) ||
		(IsA(value, Param) && ((const Param *) value)->paramkind == PARAM_EXTERN);
}

/* Have the processor fetch what lookups of a batch of an array will read. */
static void
PrefetchBatch(ItemScanState *state, int batch)
{
	int			first = batch * LOOKUP_BATCH;
	int			n = Min(LOOKUP_BATCH, state->nlookups - first);
	Datum	   *keys[LOOKUP_BATCH];

	for (int i = 0; i < n; i++)
	{
		keys[i] = &state->keys[first + i];
		state->hashes[i] = HashFetchKey(&state->fetcher, keys[i]);
	}
	PrefetchFetch(&state->fetcher, n, keys, state->hashes, state->hints);
	state->batch = batch;
}

/*-------------------------------------------------------------------------
 * EXPLAIN
 *-------------------------------------------------------------------------
 */

static void
ExplainItemScan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *comparisons = NIL;
	int			expression = 0;
	List	   *context;

	for (int i = 0; i < ((ItemScanState *) node)->nkeys; i++)
		comparisons = lappend(comparisons,
							  KeyComparison(plan, RelationGetRelid(node->ss.ss_currentRelation),
											i, &expression));
	context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan,
									   ancestors);
	ExplainPropertyText("Key",
						deparse_expression((Node *) make_ands_explicit(comparisons),
										   context,
										   list_length(es->rtable) > 1 || es->verbose,
										   false),
						es);
	if (list_nth_int(list_nth(plan->custom_private, SCAN_NUMBERS), SCAN_DESCENDING))
		ExplainPropertyText("Key Order", "descending", es);
	ExplainCacheUse(&node->ss.ps, es);
}

/*
 * The clause that a value of the key was taken from, for people to read.
 * *expression counts the key's columns that are expressions.
 */
static Expr *
KeyComparison(CustomScan *plan, Oid relid, int i, int *expression)
{
	Oid			opno = list_nth_oid(list_nth(plan->custom_private, SCAN_OPERATORS), i);
	AttrNumber	attno = list_nth_int(list_nth(plan->custom_private, SCAN_ATTNOS), i);
	Expr	   *value = list_nth(list_nth(plan->custom_exprs, SCAN_VALUES), i);
	Expr	   *column;
	Oid			type;
	int32		typmod;
	Oid			collation;
	Oid			left;
	Oid			right;

	if (attno == InvalidAttrNumber)
	{
		column = list_nth(list_nth(plan->custom_exprs, SCAN_EXPRESSIONS),
						  (*expression)++);
		type = exprType((Node *) column);
		collation = exprCollation((Node *) column);
	}
	else
	{
		get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
		column = (Expr *) makeVar(plan->scan.scanrelid, attno, type, typmod,
								  collation, 0);
	}
	op_input_types(opno, &left, &right);
	if (left != type && !IsPolymorphicType(left))
		column = (Expr *) makeRelabelType(column, left, -1, collation,
										  COERCE_IMPLICIT_CAST);
	if (list_nth_int(list_nth(plan->custom_private, SCAN_NUMBERS), SCAN_ARRAY))
	{
		ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);

		any->opno = opno;
		any->useOr = true;
		any->inputcollid = collation;
		any->args = list_make2(column, value);
		return (Expr *) any;
	}
	return make_opclause(opno, BOOLOID, false, column, value, InvalidOid,
						 collation);
}
