/*-------------------------------------------------------------------------
 *
 * join_exec.c
 *	  Executing the lookup join.
 *
 * Waiting for memory is most of what a lookup costs.  So the node reads outer
 * rows in batches, makes the keys of a batch, and has the processor fetch the
 * index lines of all of them and then their items; then it looks them up, one
 * when its row's turn comes, with all the checks of then (fetch.c).  Nothing has
 * been concluded from what was fetched ahead.
 *
 * Batches begin with one row and double up to LOOKUP_BATCH; they have no rows
 * that might not be asked for, where that is known (demand.c), and end early
 * when they take more than work_mem.  Of an outer row the
 * columns that are needed are kept, and no page is.
 *
 * A row of the result is put together from the outer columns and the item's.
 * If clauses or expressions are to be evaluated, that is done in the scan
 * slot, which has what they need; if the result is nothing but columns, they
 * go straight to the result slot.
 *
 * May call: fetch, privilege, warmth.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "executor/executor.h"
#include "lookup/fetch.h"
#include "lookup/lookup.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
#include "select/demand.h"
#include "select/join.h"
#include "table/privilege.h"
#include "table/warmth.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

/* A column of the outer rows that is needed. */
typedef struct OuterColumn
{
	AttrNumber	attno;
	int16		typlen;
	bool		typbyval;
} OuterColumn;

/*
 * Where a column of a slot comes from: the outer columns that are kept, by
 * position, or the item, by position in its row.
 */
typedef struct JoinedColumn
{
	bool		is_outer;
	int			position;
} JoinedColumn;

/* An outer row that was read ahead. */
typedef struct OuterRow
{
	Datum	   *values;			/* of the columns needed */
	bool	   *isnull;
	Datum	   *key;
	int			lookup;			/* -1: no item can have the key */
} OuterRow;

typedef struct ItemJoinState
{
	CustomScanState css;
	ItemFetcher fetcher;
	JoinType	jointype;
	bool		single;			/* the first item that joins is all */
	Index		rti;			/* of the items' table */
	ExprState  *qual;			/* what else joins an item */

	int			nscan;			/* columns of the scan slot */
	JoinedColumn *scan;
	bool		only_columns;	/* is the result just these? */
	int			nresult;
	JoinedColumn *result;

	/* the key: columns of the outer rows that are needed, or -1, a constant */
	int			nkeys;
	int		   *keys;
	List	   *constants;		/* ExprStates */

	/* the batch */
	int			nouter;			/* columns needed */
	OuterColumn *outer;
	AttrNumber	last_outer;
	const RowDemand *demand;	/* what is asked of us */
	int			batch;			/* rows to read ahead, if so many are */
	int			to_read;		/* of them, still */
	int			nrows;			/* rows that were */
	int			next;			/* of them, to join */
	int			row;			/* of the items for the one before, to look at
								 * next, if its key has several; or 0 */
	bool		exhausted;
	OuterRow	rows[LOOKUP_BATCH];
	uint64		hashes[LOOKUP_BATCH];	/* of their lookups */
	FetchHint	hints[LOOKUP_BATCH];
	OuterRow   *current;		/* of which the item is being looked up */
	MemoryContext batchcontext; /* holds what their columns point to */

	/* columns of the current item */
	Datum	   *values;
	bool	   *isnull;
} ItemJoinState;

static void BeginItemJoin(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *ExecItemJoin(CustomScanState *node);
static void EndItemJoin(CustomScanState *node);
static void ReScanItemJoin(CustomScanState *node);
static void ExplainItemJoin(CustomScanState *node, List *ancestors,
							ExplainState *es);
static void FindColumns(ItemJoinState *state, CustomScan *plan);
static int	KeepOuterColumn(ItemJoinState *state, AttrNumber attno);
static void FindResult(ItemJoinState *state, List *tlist);
static void MakeRows(ItemJoinState *state, int natts);
static bool ReadAhead(ItemJoinState *state);
static int	RowsToRead(const ItemJoinState *state);
static void KeepRow(ItemJoinState *state, OuterRow *row, TupleTableSlot *slot);
static bool MakeRowKey(ItemJoinState *state, OuterRow *row,
					   const Datum *constants, const bool *constant_nulls);
static bool FindMatch(ItemJoinState *state, OuterRow *row);
static void ShowJoined(PlanState *ps, const Datum *values, const bool *isnull);
static TupleTableSlot *StoreColumns(ItemJoinState *state, OuterRow *row,
									bool matched, TupleTableSlot *slot,
									const JoinedColumn *columns, int ncolumns);
static TupleTableSlot *EmitRow(ItemJoinState *state, OuterRow *row,
							   bool matched);
static const char *JoinTypeName(JoinType jointype);

static const CustomExecMethods ItemJoinExecMethods = {
	.CustomName = JOIN_NAME,
	.BeginCustomScan = BeginItemJoin,
	.ExecCustomScan = ExecItemJoin,
	.EndCustomScan = EndItemJoin,
	.ReScanCustomScan = ReScanItemJoin,
	.ExplainCustomScan = ExplainItemJoin
};

Node *
CreateItemJoinState(CustomScan *plan)
{
	ItemJoinState *state = (ItemJoinState *) newNode(sizeof(ItemJoinState),
													 T_CustomScanState);

	state->css.methods = &ItemJoinExecMethods;
	SetSlotOpsVirtual(&state->css);
	return (Node *) state;
}

/*-------------------------------------------------------------------------
 * The node
 *-------------------------------------------------------------------------
 */

static void
BeginItemJoin(CustomScanState *node, EState *estate, int eflags)
{
	ItemJoinState *state = (ItemJoinState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *numbers = list_nth(plan->custom_private, JOIN_NUMBERS);
	Relation	rel;
	ListCell   *lc;

	/* the range table was joined to others' since JOIN_RTI was written */
	state->jointype = list_nth_int(numbers, JOIN_TYPE);
	state->single = list_nth_int(numbers, JOIN_SINGLE) != 0;
	state->rti = bms_next_member(plan->custom_relids, -1) +
		list_nth_int(numbers, JOIN_RTI);

	node->custom_ps = list_make1(ExecInitNode(linitial(plan->custom_plans),
											  estate, eflags));
	state->qual = ExecInitQual(list_nth(plan->custom_exprs, JOIN_QUAL),
							   &node->ss.ps);
	state->constants = ExecInitExprList(list_nth(plan->custom_exprs,
												 JOIN_CONSTANTS),
										&node->ss.ps);
	foreach(lc, list_nth(plan->custom_exprs, JOIN_COMPARISONS))
		CheckExecutePrivilege(lfirst_node(OpExpr, lc)->opfuncid);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	rel = OpenScannedRelation(estate, state->rti);
	FindColumns(state, plan);
	MakeRows(state, RelationGetNumberOfAttributes(rel));
	BeginFetcher(&state->fetcher, &node->ss.ps, RelationGetRelid(rel),
				 (Oid) list_nth_int(numbers, JOIN_INDEX),
				 list_nth(plan->custom_private, JOIN_KEY_TYPES),
				 list_nth_int(numbers, JOIN_NATTS));
	SetFetchTest(&state->fetcher,
				 list_nth(plan->custom_exprs, JOIN_EXPRESSIONS),
				 list_nth(plan->custom_exprs, JOIN_IMPLYING), ShowJoined);
	TellWarmthIfChanged(state->fetcher.relation);
	state->batch = 1;
	WantDemand(&node->ss.ps, &state->demand, &state->to_read);
}

static TupleTableSlot *
ExecItemJoin(CustomScanState *node)
{
	ItemJoinState *state = (ItemJoinState *) node;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	ExprState  *filter = node->ss.ps.qual;

	for (;;)
	{
		bool		more = state->row > 0;
		OuterRow   *row;
		bool		matched;

		if (!more && state->next == state->nrows && !ReadAhead(state))
			return NULL;
		if (!more)
			state->next++;
		row = &state->rows[state->next - 1];

		matched = FindMatch(state, row);
		if (state->single)
			state->row = 0;
		if (matched ? state->jointype == JOIN_ANTI :
			more || state->jointype == JOIN_INNER || state->jointype == JOIN_SEMI)
			continue;

		if (filter != NULL)
		{
			econtext->ecxt_scantuple =
				StoreColumns(state, row, matched, node->ss.ss_ScanTupleSlot,
							 state->scan, state->nscan);
			if (!ExecQual(filter, econtext))
			{
				InstrCountFiltered1(node, 1);
				continue;
			}
		}
		return EmitRow(state, row, matched);
	}
}

static void
EndItemJoin(CustomScanState *node)
{
	EndFetcher(&((ItemJoinState *) node)->fetcher);
	ExecEndNode(linitial(node->custom_ps));
}

static void
ReScanItemJoin(CustomScanState *node)
{
	ItemJoinState *state = (ItemJoinState *) node;
	PlanState  *outer = linitial(node->custom_ps);

	state->next = state->nrows = 0;
	state->row = 0;
	state->exhausted = false;
	state->batch = 1;
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(outer, node->ss.ps.chgParam);
	if (outer->chgParam == NULL)
		ExecReScan(outer);
}

/*-------------------------------------------------------------------------
 * Columns
 *-------------------------------------------------------------------------
 */

static void
FindColumns(ItemJoinState *state, CustomScan *plan)
{
	List	   *columns = list_nth(plan->custom_private, JOIN_COLUMNS);
	List	   *keys = list_nth(plan->custom_private, JOIN_KEYS);
	ListCell   *lc;

	/* at most so many */
	state->outer = palloc((list_length(columns) + list_length(keys)) *
						  sizeof(OuterColumn));
	state->scan = palloc(list_length(columns) * sizeof(JoinedColumn));
	foreach(lc, columns)
	{
		JoinedColumn *column = &state->scan[state->nscan++];

		column->is_outer = lfirst_int(lc) > 0;
		column->position = column->is_outer ?
			KeepOuterColumn(state, lfirst_int(lc)) : -lfirst_int(lc) - 1;
	}
	state->keys = palloc(list_length(keys) * sizeof(int));
	foreach(lc, keys)
		state->keys[state->nkeys++] =
			lfirst_int(lc) > 0 ? KeepOuterColumn(state, lfirst_int(lc)) : -1;
	FindResult(state, plan->scan.plan.targetlist);
}

/* Position of an outer column among those that are kept. */
static int
KeepOuterColumn(ItemJoinState *state, AttrNumber attno)
{
	TupleDesc	tupdesc = ExecGetResultType(linitial(state->css.custom_ps));
	Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);
	OuterColumn *column = &state->outer[state->nouter];

	for (int i = 0; i < state->nouter; i++)
	{
		if (state->outer[i].attno == attno)
			return i;
	}
	column->attno = attno;
	column->typlen = att->attlen;
	column->typbyval = att->attbyval;
	state->last_outer = Max(state->last_outer, attno);
	return state->nouter++;
}

/* If the target list is columns alone, projection is putting these together. */
static void
FindResult(ItemJoinState *state, List *tlist)
{
	ListCell   *lc;

	if (state->css.ss.ps.ps_ProjInfo == NULL)
		return;
	state->result = palloc(list_length(tlist) * sizeof(JoinedColumn));
	foreach(lc, tlist)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(var, Var))
			return;
		Assert(var->varno == INDEX_VAR);
		state->result[state->nresult++] = state->scan[var->varattno - 1];
	}
	state->only_columns = true;
}

/* Room for outer rows, and for the item's columns, of which there are natts. */
static void
MakeRows(ItemJoinState *state, int natts)
{
	Datum	   *values = palloc(LOOKUP_BATCH * state->nouter * sizeof(Datum));
	bool	   *isnull = palloc(LOOKUP_BATCH * state->nouter * sizeof(bool));
	Datum	   *keys = palloc(LOOKUP_BATCH * state->nkeys * sizeof(Datum));

	for (int i = 0; i < LOOKUP_BATCH; i++)
	{
		state->rows[i].values = values + i * state->nouter;
		state->rows[i].isnull = isnull + i * state->nouter;
		state->rows[i].key = keys + i * state->nkeys;
	}
	state->batchcontext = AllocSetContextCreate(CurrentMemoryContext,
												"itemcache join batch",
												ALLOCSET_DEFAULT_SIZES);
	state->values = palloc(natts * sizeof(Datum));
	state->isnull = palloc(natts * sizeof(bool));
}

/*-------------------------------------------------------------------------
 * Outer rows
 *-------------------------------------------------------------------------
 */

/* The next batch; false if there are no more rows. */
static bool
ReadAhead(ItemJoinState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	PlanState  *outer = linitial(state->css.custom_ps);
	Datum		constants[INDEX_MAX_KEYS];
	bool		constant_nulls[INDEX_MAX_KEYS];
	Datum	   *keys[LOOKUP_BATCH];
	int			nlookups = 0;
	int			limit;
	ListCell   *lc;
	int			i = 0;

	state->next = state->nrows = 0;
	if (state->exhausted)
		return false;

	RefreshFetcher(&state->fetcher);
	MemoryContextReset(state->batchcontext);
	ResetExprContext(econtext);
	foreach(lc, state->constants)
	{
		constants[i] = ExecEvalExprSwitchContext(lfirst(lc), econtext,
												 &constant_nulls[i]);
		i++;
	}
	/* values that were computed can be of any size */
	for (state->to_read = RowsToRead(state);
		 state->to_read > 0 &&
		 MemoryContextMemAllocated(state->batchcontext, false) <= work_mem * (Size) 1024;
		 state->to_read--)
	{
		TupleTableSlot *slot = ExecProcNode(outer);
		OuterRow   *row = &state->rows[state->nrows];

		if (TupIsNull(slot))
		{
			state->exhausted = true;
			break;
		}
		KeepRow(state, row, slot);
		row->lookup = -1;
		if (MakeRowKey(state, row, constants, constant_nulls))
		{
			keys[nlookups] = row->key;
			row->lookup = nlookups++;
			state->hashes[row->lookup] = HashFetchKey(&state->fetcher, row->key);
		}
		state->nrows++;
	}
	limit = PrefetchFetch(&state->fetcher, nlookups, keys, state->hashes,
						  state->hints);
	state->batch = Min(state->batch * 2, limit);
	return state->nrows > 0;
}

/*
 * How many rows to read ahead: not more than are certain to be asked for.  To
 * give a row takes one of the outer plan's at least, unless it joins several.
 */
static int
RowsToRead(const ItemJoinState *state)
{
	int64		demanded = RowsDemanded(state->demand);

	if (demanded < ALL_ROWS && !state->single)
		demanded = 1;
	return Min(demanded, state->batch);
}

static void
KeepRow(ItemJoinState *state, OuterRow *row, TupleTableSlot *slot)
{
	slot_getsomeattrs(slot, state->last_outer);
	for (int i = 0; i < state->nouter; i++)
	{
		const OuterColumn *column = &state->outer[i];

		row->values[i] = slot->tts_values[column->attno - 1];
		row->isnull[i] = slot->tts_isnull[column->attno - 1];
		if (!column->typbyval && !row->isnull[i])
		{
			MemoryContext oldcontext = MemoryContextSwitchTo(state->batchcontext);

			row->values[i] = datumCopy(row->values[i], false, column->typlen);
			MemoryContextSwitchTo(oldcontext);
		}
	}
}

/* False if no item can have the key. */
static bool
MakeRowKey(ItemJoinState *state, OuterRow *row, const Datum *constants,
		   const bool *constant_nulls)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(state->batchcontext);
	bool		exists = true;
	int			nconstants = 0;

	for (int i = 0; i < state->nkeys && exists; i++)
	{
		int			position = state->keys[i];
		Datum		value;

		if (position < 0)
		{
			value = constants[nconstants];
			exists = !constant_nulls[nconstants++];
		}
		else
		{
			value = row->values[position];
			exists = !row->isnull[position];
		}
		exists = exists &&
			MakeFetchKey(&state->fetcher, i, value, &row->key[i]);
	}
	MemoryContextSwitchTo(oldcontext);
	return exists;
}

/*-------------------------------------------------------------------------
 * Joined rows
 *-------------------------------------------------------------------------
 */

/*
 * Is there an item for the row; or, of the several that its key has to some
 * snapshots (rule U), one from state->row on?  Its columns are in state->values
 * then, and state->row is where to go on.
 */
static bool
FindMatch(ItemJoinState *state, OuterRow *row)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	ItemFetcher *fetcher = &state->fetcher;
	ItemPointerData tid;

	state->current = row;
	do
	{
		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		if (state->row > 0)
			FetchAnother(fetcher, state->row, state->values, state->isnull, &tid);
		else if (row->lookup < 0 ||
				 !FetchColumns(fetcher, row->key, state->hashes[row->lookup],
							   &state->hints[row->lookup], state->values,
							   state->isnull, &tid))
			return false;
		state->row = state->row + 1 < fetcher->nrows ? state->row + 1 : 0;

		if (state->qual == NULL)
			return true;
		econtext->ecxt_scantuple =
			StoreColumns(state, row, true, state->css.ss.ss_ScanTupleSlot,
						 state->scan, state->nscan);
		if (ExecQual(state->qual, econtext))
			return true;
	} while (state->row > 0);
	return false;
}

/* For expressions that say whether it is the row's item: FetchShow. */
static void
ShowJoined(PlanState *ps, const Datum *values, const bool *isnull)
{
	ItemJoinState *state = (ItemJoinState *) ps;

	Assert(values == state->values && isnull == state->isnull);
	ps->ps_ExprContext->ecxt_scantuple =
		StoreColumns(state, state->current, true,
					 state->css.ss.ss_ScanTupleSlot, state->scan, state->nscan);
}

/* Put the columns of a row, and of its item, if any, together in a slot. */
static TupleTableSlot *
StoreColumns(ItemJoinState *state, OuterRow *row, bool matched,
			 TupleTableSlot *slot, const JoinedColumn *columns, int ncolumns)
{
	ExecClearTuple(slot);
	for (int i = 0; i < ncolumns; i++)
	{
		int			position = columns[i].position;

		if (columns[i].is_outer)
		{
			slot->tts_values[i] = row->values[position];
			slot->tts_isnull[i] = row->isnull[position];
		}
		else
		{
			slot->tts_values[i] = state->values[position];
			slot->tts_isnull[i] = !matched || state->isnull[position];
		}
	}
	return ExecStoreVirtualTuple(slot);
}

static TupleTableSlot *
EmitRow(ItemJoinState *state, OuterRow *row, bool matched)
{
	PlanState  *ps = &state->css.ss.ps;

	if (state->only_columns)
		return StoreColumns(state, row, matched, ps->ps_ResultTupleSlot,
							state->result, state->nresult);
	ps->ps_ExprContext->ecxt_scantuple =
		StoreColumns(state, row, matched, state->css.ss.ss_ScanTupleSlot,
					 state->scan, state->nscan);
	if (ps->ps_ProjInfo == NULL)
		return state->css.ss.ss_ScanTupleSlot;
	return ExecProject(ps->ps_ProjInfo);
}

/*-------------------------------------------------------------------------
 * EXPLAIN
 *-------------------------------------------------------------------------
 */

static const char *
JoinTypeName(JoinType jointype)
{
	switch (jointype)
	{
		case JOIN_LEFT:
			return "Left";
		case JOIN_SEMI:
			return "Semi";
		case JOIN_ANTI:
			return "Anti";
		default:
			return "Inner";
	}
}

static void
ExplainItemJoin(CustomScanState *node, List *ancestors, ExplainState *es)
{
	ItemJoinState *state = (ItemJoinState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	RangeTblEntry *rte = rt_fetch(state->rti, es->rtable);
	char	   *table = get_rel_name(rte->relid);
	char	   *alias = list_nth(es->rtable_names, state->rti - 1);
	const char *items = quote_identifier(table);
	List	   *qual = list_nth(plan->custom_exprs, JOIN_QUAL);
	List	   *comparisons = list_nth(plan->custom_exprs, JOIN_COMPARISONS);
	List	   *context;

	context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan,
									   ancestors);
	ExplainPropertyText("Join Type", JoinTypeName(state->jointype), es);
	if (alias != NULL && strcmp(alias, table) != 0)
		items = psprintf("%s %s", items, quote_identifier(alias));
	ExplainPropertyText("Items of", items, es);
	ExplainPropertyText("Key",
						deparse_expression((Node *) make_ands_explicit(comparisons),
										   context, true, false),
						es);
	if (qual != NIL)
		ExplainPropertyText("Join Filter",
							deparse_expression((Node *) make_ands_explicit(qual),
											   context, true, false),
							es);
	ExplainPropertyInteger("Batch Size", NULL, LOOKUP_BATCH, es);
	ExplainCacheUse(&node->ss.ps, es);
}
