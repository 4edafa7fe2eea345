/*-------------------------------------------------------------------------
 *
 * scan_exec.c
 *	  Executing the Custom Scan.
 *
 * The node has the keys to look up as an array: one, or those of = ANY in the
 * order of the key, without duplicates.  Its position is on a key, before the
 * first or after the last; so it can go backwards, as an index scan can.
 *
 * Whether the cache may be used is decided anew for every key or batch of
 * keys, for the query's snapshot: after planning, and between two FETCHes of a
 * cursor, anything can have happened.  Where it may not, or does not have the
 * row, the row is read by the primary key's index, which is opened when it is
 * first needed and stays open.
 *
 * A row from the cache is in the node's own buffer, and the scan slot, which
 * is a virtual one, points into it; it has the row's TID, for WHERE CURRENT
 * OF.
 *
 * May call: read, visibility, keyarg, relation, item, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "itemcache.h"
#include "keyarg.h"
#include "lookup.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "read.h"
#include "scan.h"
#include "store.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "visibility.h"

typedef struct ItemScanState
{
	CustomScanState css;
	ItemRelation *relation;
	int			nkeys;			/* key columns */
	int			natts;			/* columns to form */
	TupleDesc	formdesc;		/* of that many columns */
	uint64		shape_id;		/* that these were made for */
	List	   *values;			/* ExprStates of the key's values */
	ColumnConverter *converters;

	/* the keys to look up, once evaluated; NULL if it is none at all */
	bool		evaluated;
	bool		is_array;
	int			nlookups;
	int			position;		/* 0: before the first; nlookups + 1: after */
	Datum	   *keys;			/* of an array; else the key's columns */
	MemoryContext keycontext;	/* holds what the keys point to */
	int			prefetched;		/* keys of an array that were, going forward */

	char	   *buffer;			/* the image of the current row */
	Size		buffer_size;
	ItemReader *reader;			/* NULL until it is needed */
} ItemScanState;

static void BeginItemScan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *ExecItemScan(CustomScanState *node);
static void EndItemScan(CustomScanState *node);
static void ReScanItemScan(CustomScanState *node);
static void ExplainItemScan(CustomScanState *node, List *ancestors,
							ExplainState *es);
static TupleTableSlot *NextItem(ItemScanState *state);
static bool RecheckItem(ItemScanState *state, TupleTableSlot *slot);
static void DescribeRelation(ItemScanState *state);
static void EvaluateKeys(ItemScanState *state);
static bool EvaluateKey(ItemScanState *state);
static void EvaluateArray(ItemScanState *state);
static int	CompareKeys(const void *a, const void *b, void *arg);
static bool FetchAtPosition(ItemScanState *state, TupleTableSlot *slot);
static void PrefetchBatch(ItemScanState *state);
static bool FetchFromCache(ItemScanState *state, const ItemAccess *access,
						   const Datum *key, TupleTableSlot *slot);
static bool FetchFromTable(ItemScanState *state, const ItemAccess *access,
						   const Datum *key, TupleTableSlot *slot);

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
	List	   *values;

	state->nkeys = list_nth_int(plan->custom_private, SCAN_NKEYS);
	state->is_array = list_nth_int(plan->custom_private, SCAN_ARRAY) != 0;
	state->natts = list_nth_int(plan->custom_private, SCAN_NATTS);
	values = list_truncate(list_copy(plan->custom_exprs), state->nkeys);
	state->values = ExecInitExprList(values, &node->ss.ps);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->keycontext = AllocSetContextCreate(CurrentMemoryContext,
											  "itemcache scan keys",
											  ALLOCSET_SMALL_SIZES);
	state->converters = palloc(state->nkeys * sizeof(ColumnConverter));
	state->relation = FindItemRelation(RelationGetRelid(node->ss.ss_currentRelation));
	ItemRelationIsLockedByPlan(state->relation);
}

static TupleTableSlot *
ExecItemScan(CustomScanState *node)
{
	return ExecScan(&node->ss, (ExecScanAccessMtd) NextItem,
					(ExecScanRecheckMtd) RecheckItem);
}

static void
EndItemScan(CustomScanState *node)
{
	ItemScanState *state = (ItemScanState *) node;

	if (state->reader != NULL)
	{
		CloseItemReader(state->reader);
		state->reader = NULL;
	}
}

static void
ReScanItemScan(CustomScanState *node)
{
	ItemScanState *state = (ItemScanState *) node;

	state->evaluated = false;
	state->position = 0;
	ExecScanReScan(&node->ss);
}

/* A row of an EvalPlanQual recheck: is its key still among ours? */
static bool
RecheckItem(ItemScanState *state, TupleTableSlot *slot)
{
	CustomScan *plan = (CustomScan *) state->css.ss.ps.plan;
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	List	   *comparisons = list_copy_tail(plan->custom_exprs, state->nkeys);
	ExprState  *qual;

	econtext->ecxt_scantuple = slot;
	qual = ExecInitQual(comparisons, &state->css.ss.ps);
	return ExecQualAndReset(qual, econtext);
}

static TupleTableSlot *
NextItem(ItemScanState *state)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	bool		backward =
		ScanDirectionIsBackward(state->css.ss.ps.state->es_direction);

	if (!state->evaluated)
		EvaluateKeys(state);

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (backward)
			state->position = Max(state->position - 1, 0);
		else
			state->position = Min(state->position + 1, state->nlookups + 1);
		if (state->position < 1 || state->position > state->nlookups)
			return ExecClearTuple(slot);
		if (FetchAtPosition(state, slot))
			return slot;
	}
}

/*-------------------------------------------------------------------------
 * Keys
 *-------------------------------------------------------------------------
 */

/* Make ready what depends on the shape of the relation's rows. */
static void
DescribeRelation(ItemScanState *state)
{
	ItemShape  *shape = state->relation->shape;
	MemoryContext oldcontext;
	ListCell   *lc;
	int			i = 0;

	if (shape->nkeys != state->nkeys)
		elog(ERROR, "primary key of table \"%s\" has changed under a plan",
			 RelationGetRelationName(state->css.ss.ss_currentRelation));
	oldcontext = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
	foreach(lc, state->values)
	{
		Oid			type = exprType((Node *) ((ExprState *) lfirst(lc))->expr);

		if (state->is_array)
			type = get_base_element_type(type);
		if (!PrepareComparison(&state->converters[i], shape, i, type))
			elog(ERROR, "primary key of table \"%s\" has changed under a plan",
				 RelationGetRelationName(state->css.ss.ss_currentRelation));
		i++;
	}
	state->formdesc = CreateTupleDescCopy(shape->tupdesc);
	state->formdesc->natts = Min(state->natts, shape->tupdesc->natts);
	state->shape_id = shape->id;
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Evaluate the key, or the array of keys.  Sets nlookups to 0 if there can be
 * no row.
 */
static void
EvaluateKeys(ItemScanState *state)
{
	RefreshItemRelation(state->relation, false);
	if (state->shape_id != state->relation->shape->id)
		DescribeRelation(state);

	MemoryContextReset(state->keycontext);
	state->nlookups = 0;
	state->prefetched = 0;
	if (state->is_array)
		EvaluateArray(state);
	else if (EvaluateKey(state))
		state->nlookups = 1;
	state->evaluated = true;
}

static bool
EvaluateKey(ItemScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	ItemShape  *shape = state->relation->shape;
	MemoryContext oldcontext;
	bool		exists = true;
	ListCell   *lc;
	int			i = 0;

	if (state->keys == NULL)
		state->keys = MemoryContextAlloc(state->css.ss.ps.state->es_query_cxt,
										 state->nkeys * sizeof(Datum));
	foreach(lc, state->values)
	{
		bool		isnull;
		Datum		value;

		value = ExecEvalExprSwitchContext(lfirst(lc), econtext, &isnull);
		if (isnull)
			return false;
		oldcontext = MemoryContextSwitchTo(state->keycontext);
		exists = ConvertColumn(&state->converters[i], shape, i, value,
							   &state->keys[i]);
		if (exists && !shape->keys[i].typbyval)
			state->keys[i] = datumCopy(state->keys[i], false,
									   shape->keys[i].typlen);
		MemoryContextSwitchTo(oldcontext);
		if (!exists)
			return false;
		i++;
	}
	return true;
}

/* As a btree does: NULLs match nothing, and each row is found once. */
static void
EvaluateArray(ItemScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	ItemShape  *shape = state->relation->shape;
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

	value = ExecEvalExprSwitchContext(linitial(state->values), econtext, &isnull);
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
			ConvertColumn(&state->converters[0], shape, 0, elements[i],
						  &elements[n]))
			n++;
	}
	MemoryContextSwitchTo(oldcontext);

	if (n > 1)
	{
		int			last = 0;

		qsort_arg(elements, n, sizeof(Datum), CompareKeys, shape);
		for (int i = 1; i < n; i++)
		{
			if (CompareKeys(&elements[last], &elements[i], shape) != 0)
				elements[++last] = elements[i];
		}
		n = last + 1;
	}
	state->keys = elements;
	state->nlookups = n;
}

static int
CompareKeys(const void *a, const void *b, void *arg)
{
	KeyColumn  *key = &((ItemShape *) arg)->keys[0];

	return DatumGetInt32(FunctionCall2Coll(&key->cmpproc, key->collation,
										   *(const Datum *) a,
										   *(const Datum *) b));
}

/*-------------------------------------------------------------------------
 * Lookups
 *-------------------------------------------------------------------------
 */

/* The row of the key at the current position, into "slot". */
static bool
FetchAtPosition(ItemScanState *state, TupleTableSlot *slot)
{
	const Datum *key = &state->keys[state->is_array ? state->position - 1 : 0];
	ItemAccess	access;
	Instrumentation *instrument = state->css.ss.ps.instrument;

	if (state->is_array && state->position > state->prefetched)
		PrefetchBatch(state);

	RefreshItemRelation(state->relation, false);
	if (state->shape_id != state->relation->shape->id)
		DescribeRelation(state);
	BeginItemAccess(&access, state->relation,
					state->css.ss.ps.state->es_snapshot);
	if (!itemcache_transparent)
		access.serve = access.fill = false;

	if (access.serve && FetchFromCache(state, &access, key, slot))
	{
		RelationCount(state->relation, COUNT_HITS, 1);
		if (instrument)
			instrument->ntuples2 += 1;
		return true;
	}
	RelationCount(state->relation,
				  access.serve ? COUNT_MISSES : COUNT_BYPASSES, 1);
	if (instrument)
		instrument->nfiltered2 += 1;
	return FetchFromTable(state, &access, key, slot);
}

/* Have the processor fetch what the next lookups of an array will read. */
static void
PrefetchBatch(ItemScanState *state)
{
	uint64		hashes[LOOKUP_BATCH];
	int			first = state->position - 1;
	int			n = Min(LOOKUP_BATCH, state->nlookups - first);

	for (int i = 0; i < n; i++)
	{
		hashes[i] = KeyHash(state->relation->shape, state->relation->key,
							&state->keys[first + i]);
		StorePrefetchSlots(hashes[i]);
	}
	for (int i = 0; i < n; i++)
		StorePrefetchItem(hashes[i]);
	state->prefetched = first + n;
}

static bool
FetchFromCache(ItemScanState *state, const ItemAccess *access,
			   const Datum *key, TupleTableSlot *slot)
{
	StoreItem	item;
	HeapTupleData tuple;

	if (!StoreFind(KeyHash(access->shape, access->relation->key, key),
				   access->epoch, &item) ||
		!ItemIsVisible(access, &item))
		return false;

	if (item.size > state->buffer_size)
	{
		Size		size = Max(item.size, 512);

		if (state->buffer != NULL)
			pfree(state->buffer);
		state->buffer_size = 0;
		state->buffer = MemoryContextAlloc(state->css.ss.ps.state->es_query_cxt,
										   size);
		state->buffer_size = size;
	}
	ExecClearTuple(slot);		/* it may point into the buffer */
	if (!StoreCopy(&item, state->buffer, item.size) ||
		!ImageHasKey(access->shape, (HeapTupleHeader) state->buffer, key))
		return false;
	StoreTouch(&item);

	tuple.t_data = (HeapTupleHeader) state->buffer;
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	heap_deform_tuple(&tuple, state->formdesc, slot->tts_values,
					  slot->tts_isnull);
	for (int i = state->formdesc->natts; i < access->shape->tupdesc->natts; i++)
		slot->tts_isnull[i] = true;
	slot->tts_tid = tuple.t_data->t_ctid;
	slot->tts_tableOid = access->relation->relid;
	ExecStoreVirtualTuple(slot);
	return true;
}

static bool
FetchFromTable(ItemScanState *state, const ItemAccess *access,
			   const Datum *key, TupleTableSlot *slot)
{
	ItemReader *reader = state->reader;
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext oldcontext;
	int			natts = state->formdesc->natts;

	ExecClearTuple(slot);
	if (reader == NULL)
	{
		oldcontext = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
		reader = palloc(sizeof(ItemReader));
		OpenItemReader(reader, access);
		state->reader = reader;
		MemoryContextSwitchTo(oldcontext);
	}
	if (!ReadItem(reader, key))
		return false;

	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	FillFromReader(reader, access, NULL);
	MemoryContextSwitchTo(oldcontext);

	/* the values stay where they are, on the page the reader's slot has pinned */
	slot_getsomeattrs(reader->slot, natts);
	memcpy(slot->tts_values, reader->slot->tts_values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, reader->slot->tts_isnull, natts * sizeof(bool));
	for (int i = natts; i < access->shape->tupdesc->natts; i++)
		slot->tts_isnull[i] = true;
	slot->tts_tid = reader->slot->tts_tid;
	slot->tts_tableOid = access->relation->relid;
	ExecStoreVirtualTuple(slot);
	return true;
}

/*-------------------------------------------------------------------------
 * EXPLAIN
 *-------------------------------------------------------------------------
 */

static void
ExplainItemScan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	int			nkeys = list_nth_int(plan->custom_private, SCAN_NKEYS);
	List	   *comparisons = list_copy_tail(plan->custom_exprs, nkeys);
	List	   *context;

	context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan,
									   ancestors);
	ExplainPropertyText("Key",
						deparse_expression((Node *) make_ands_explicit(comparisons),
										   context,
										   list_length(es->rtable) > 1 || es->verbose,
										   false),
						es);
	if (es->analyze && node->ss.ps.instrument != NULL)
	{
		ExplainPropertyInteger("Cache Hits", NULL,
							   (int64) node->ss.ps.instrument->ntuples2, es);
		ExplainPropertyInteger("Cache Misses", NULL,
							   (int64) node->ss.ps.instrument->nfiltered2, es);
	}
}
