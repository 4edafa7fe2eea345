/*-------------------------------------------------------------------------
 *
 * write_direct.c
 *	  The direct update of a put: the update of a row that the cache has, without
 *	  the search of the INSERT for a conflict.
 *
 * For a row that is there, INSERT ... ON CONFLICT DO UPDATE searches the
 * indexes, locks the row that it finds, which is a change of the page and a
 * record in the log, and then updates it.  The cache knows where the row is.
 * So we fetch that version, and if it is the row of our key, and differs, tell
 * the table to update that very version: which it does if there is no later one,
 * waiting for other transactions as need be.  Else the row goes the statement's
 * way, as it does where more is to be done than is done here.
 *
 * The cache only says where to look.  What is updated has been found in the
 * table, so whatever is wrong about the cache, no other row is written.  Why
 * the result is the statement's is in README, under "Writing".
 *
 * May call: write_plan, trigger, visibility, relation, item, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_attribute.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "lookup/visibility.h"
#include "storage/bufmgr.h"
#include "store/store.h"
#include "table/item.h"
#include "track/trigger.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "write/write_direct.h"
#include "write/write_plan.h"

struct DirectUpdate
{
	ModifyTableState *modify;
	ResultRelInfo *target;
	ItemAccess	access;
	RowCondition *condition;	/* of our trigger, if it is the only one */
	/* the items that come next */
	bool		has_key[DIRECT_BATCH];
	uint64		hashes[DIRECT_BATCH];
	StoreHint	hints[DIRECT_BATCH];
};

static bool SomeComputedColumnsStay(TupleDesc tupdesc, ResultRelInfo *target,
									EState *estate);
static bool HashItem(const ItemAccess *access, HeapTupleHeader item,
					 uint64 *hash);
static bool FindVersion(const ItemAccess *access, uint64 hash, StoreHint hint,
						ItemPointer tid);
static bool FetchVersion(const DirectUpdate *direct, ItemPointer tid);
static bool IsRowOf(const ItemShape *shape, TupleTableSlot *old,
					TupleTableSlot *row);
static TupleTableSlot *MakeVersion(const DirectUpdate *direct,
								   TupleTableSlot *row);
static bool ReplaceVersion(const DirectUpdate *direct, ItemPointer tid,
						   TupleTableSlot *new);

/*
 * Not with what is done for a row before it is known that it is there: BEFORE
 * triggers, which can change it, and the checks of row security.  Nor with
 * transition tables, which the statement collects.
 */
DirectUpdate *
BeginDirectUpdate(ItemRelation *relation, ModifyTableState *modify)
{
	EState	   *estate = modify->ps.state;
	ResultRelInfo *target = modify->resultRelInfo;
	TriggerDesc *triggers = target->ri_TrigDesc;
	ItemAccess	access;
	DirectUpdate *direct;

	if (relation->partitioned || target->ri_onConflict == NULL ||
		target->ri_WithCheckOptions != NIL)
		return NULL;
	if (triggers != NULL &&
		(triggers->trig_insert_before_row || triggers->trig_update_before_row ||
		 triggers->trig_update_old_table || triggers->trig_update_new_table))
		return NULL;
	/* messages accepted after the snapshot was taken, as BeginItemSearch() wants */
	RefreshItemRelation(relation, false);
	for (int i = 0; i < relation->shape->nkeys; i++)
	{
		if (!ColumnIsWritten(relation->shape, relation->shape->keys[i].attno - 1,
							 false))
			return NULL;		/* the item's value is not the row's */
	}
	if (SomeComputedColumnsStay(relation->shape->tupdesc, target, estate) ||
		FileIsNew(target->ri_RelationDesc) ||
		!BeginItemSearch(&access, relation, estate->es_snapshot))
		return NULL;

	direct = MemoryContextAlloc(estate->es_query_cxt, sizeof(DirectUpdate));
	direct->modify = modify;
	direct->target = target;
	direct->access = access;
	direct->condition = OnlyRowCondition(target);
	return direct;
}

/*
 * Since 16 an update computes no generated columns that depend on none it
 * sets, while the row to insert has them computed, and checked.
 */
static bool
SomeComputedColumnsStay(TupleDesc tupdesc, ResultRelInfo *target, EState *estate)
{
	int			ncomputed = 0;

	if (tupdesc->constr == NULL || !tupdesc->constr->has_generated_stored)
		return false;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (TupleDescAttr(tupdesc, i)->attgenerated == ATTRIBUTE_GENERATED_STORED)
			ncomputed++;
	}
	return bms_num_members(ExecGetExtraUpdatedCols(target, estate)) != ncomputed;
}

void
PrepareItems(DirectUpdate *direct, const HeapTupleHeader *items, int nitems)
{
	ExprContext *econtext = direct->modify->ps.ps_ExprContext;
	MemoryContext oldcontext;
	int			n = 0;

	Assert(nitems <= DIRECT_BATCH);
	ResetExprContext(econtext);
	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	for (int i = 0; i < nitems; i++)
	{
		direct->has_key[i] = HashItem(&direct->access, items[i],
									  &direct->hashes[i]);
		direct->hints[i] = NULL;
		if (direct->has_key[i])
			n++;
	}
	MemoryContextSwitchTo(oldcontext);
	if (nitems > 1 && n == nitems)
		PrefetchItems(nitems, direct->hashes, SizeofHeapTupleHeader,
					  direct->hints);
}

/* Hash of an item's key; false if it has none. */
static bool
HashItem(const ItemAccess *access, HeapTupleHeader item, uint64 *hash)
{
	const ItemShape *shape = access->shape;
	HeapTupleData tuple;
	Datum		key[INDEX_MAX_KEYS];

	tuple.t_data = item;
	tuple.t_len = HeapTupleHeaderGetDatumLength(item);
	if (!HasItemKey(shape, &tuple))
		return false;
	ItemKey(shape, &tuple, key);
	*hash = KeyHash(shape, access->relation->seed, key);
	return true;
}

bool
UpdateDirectly(DirectUpdate *direct, int i, TupleTableSlot *row)
{
	Relation	rel = direct->target->ri_RelationDesc;
	TupleTableSlot *old = direct->target->ri_onConflict->oc_Existing;
	TupleTableSlot *new;
	ItemPointerData tid;
	bool		updated = false;

	ResetPerTupleExprContext(direct->modify->ps.state);
	ResetExprContext(direct->modify->ps.ps_ExprContext);
	if (!direct->has_key[i] ||
		!FindVersion(&direct->access, direct->hashes[i], direct->hints[i],
					 &tid) ||
		!FetchVersion(direct, &tid))
		return false;
	if (IsRowOf(direct->access.shape, old, row))
	{
		/* as the statement does, before anything of the user's is called */
		if (rel->rd_rel->relhasindex &&
			direct->target->ri_IndexRelationDescs == NULL)
			ExecOpenIndices(direct->target, true);
		new = MakeVersion(direct, row);
		if (new != NULL)
		{
			updated = ReplaceVersion(direct, &tid, new);
			ExecClearTuple(new);
		}
	}
	ExecClearTuple(old);
	return updated;
}

/* Where is the version that the snapshot sees, as the cache knows? */
static bool
FindVersion(const ItemAccess *access, uint64 hash, StoreHint hint,
			ItemPointer tid)
{
	StoreItem	item;
	HeapTupleHeaderData header;

	if (!StoreFind(hash, access->epoch, STORE_ROW, SizeofHeapTupleHeader, hint,
				   &item) ||
		!ItemIsVisible(access, &item) ||
		!StoreCopy(&item, &header, SizeofHeapTupleHeader))
		return false;
	*tid = header.t_ctid;
	return true;
}

/*
 * Fetch it into the statement's slot for the row that is there.  The index scan
 * of the statement would have pruned the page before.
 */
static bool
FetchVersion(const DirectUpdate *direct, ItemPointer tid)
{
	Relation	rel = direct->target->ri_RelationDesc;
	Buffer		buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(tid));
	bool		found;

	PrunePage(rel, buffer);
	found = table_tuple_fetch_row_version(rel, tid, direct->access.snapshot,
										  direct->target->ri_onConflict->oc_Existing);
	ReleaseBuffer(buffer);
	return found;
}

/*
 * Has it the row's own values where the statement would leave the old ones: in
 * the key, and in identities?
 */
static bool
IsRowOf(const ItemShape *shape, TupleTableSlot *old, TupleTableSlot *row)
{
	slot_getallattrs(old);
	slot_getallattrs(row);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

		if (!ColumnIsWritten(shape, i, false) || ColumnIsSet(shape, i))
			continue;
		if (old->tts_isnull[i] || row->tts_isnull[i] ||
			!datum_image_eq(old->tts_values[i], row->tts_values[i],
							att->attbyval, att->attlen))
			return false;
	}
	return true;
}

/*
 * The new version, made and checked as ExecOnConflictUpdate() and ExecUpdate()
 * do; NULL if there is to be none.
 */
static TupleTableSlot *
MakeVersion(const DirectUpdate *direct, TupleTableSlot *row)
{
	EState	   *estate = direct->modify->ps.state;
	ExprContext *econtext = direct->modify->ps.ps_ExprContext;
	ResultRelInfo *target = direct->target;
	Relation	rel = target->ri_RelationDesc;
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	OnConflictActionState *conflict = target->ri_onConflict;
	TupleTableSlot *new;

	econtext->ecxt_scantuple = conflict->oc_Existing;
	econtext->ecxt_innertuple = row;
	econtext->ecxt_outertuple = NULL;
	if (!ExecQual(conflict->oc_WhereClause, econtext))
		return NULL;
	new = ExecProject(conflict->oc_ProjInfo);
	ExecMaterializeSlot(new);
	new->tts_tableOid = RelationGetRelid(rel);

	/* all of them, as for the row to insert: see SomeComputedColumnsStay() */
	if (constr != NULL && constr->has_generated_stored)
		ExecComputeStoredGenerated(target, estate, new, CMD_INSERT);
	if (constr != NULL)
		ExecConstraints(target, new, estate);
	if (rel->rd_rel->relispartition)
		(void) ExecPartitionCheck(target, new, estate, true);
	return new;
}

/*
 * Update the version at "tid", if there is none that is later: as
 * ExecUpdate() does.
 */
static bool
ReplaceVersion(const DirectUpdate *direct, ItemPointer tid, TupleTableSlot *new)
{
	EState	   *estate = direct->modify->ps.state;
	ResultRelInfo *target = direct->target;
	Relation	rel = target->ri_RelationDesc;
	TM_FailureData failure;
	LockTupleMode lockmode;
	IndexesToUpdate indexes;
	List	   *recheck = NIL;

	if (UpdateTuple(rel, tid, new, estate->es_output_cid, estate->es_snapshot,
					&failure, &lockmode, &indexes) != TM_Ok)
		return false;
	if (target->ri_NumIndices > 0 && AnyIndexToUpdate(indexes))
		recheck = UpdateIndexes(target, new, estate, indexes);
	if (direct->condition != NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));

		NoteVersions(direct->condition, target->ri_onConflict->oc_Existing, new);
		MemoryContextSwitchTo(oldcontext);
	}
	else
		ExecARUpdateTriggers(estate, target, NULL, NULL, tid, NULL, new,
							 recheck, NULL, false);
	list_free(recheck);
	estate->es_processed++;
	return true;
}
