/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between the PostgreSQL majors itemcache is built for.
 *
 * Every test of PG_VERSION_NUM lives here.  Include it right after
 * postgres.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_COMPAT_H
#define ITEMCACHE_COMPAT_H

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "itemcache needs PostgreSQL 15 or later"
#endif

/*
 * We build with hidden visibility on every major.  15 has no visibility
 * attribute in PGDLLEXPORT, nor PGDLLEXPORT on SQL functions, so that its
 * function manager could not find ours.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(funcname) \
	PGDLLEXPORT Datum funcname(PG_FUNCTION_ARGS); \
	PGDLLEXPORT const Pg_finfo_record *CppConcat(pg_finfo_,funcname)(void); \
	const Pg_finfo_record * \
	CppConcat(pg_finfo_,funcname) (void) \
	{ \
		static const Pg_finfo_record my_finfo = { 1 }; \
		return &my_finfo; \
	} \
	extern int no_such_variable
#endif

/* 17 renamed the shared variable cache. */
#if PG_VERSION_NUM < 170000
#define TransamVariables ShmemVariableCache
#endif

/* 17 split the process number off from the backend id (which began at 1). */
#if PG_VERSION_NUM < 170000
#define MyProcNumber	(MyProc->pgprocno)
#endif

/*
 * Does this backend hold "tag" in "mode" or a stronger mode?  "Stronger" is
 * numeric, as for CheckRelationLockedByMe().
 */
static inline bool
LockOrStrongerHeld(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(tag, mode, true);
#else
	for (LOCKMODE m = mode; m <= MaxLockMode; m++)
	{
		if (LockHeldByMe(tag, m))
			return true;
	}
	return false;
#endif
}

/*
 * 17 did away with snapshots that become too old (old_snapshot_threshold): then
 * VACUUM removes what they see, and freezes what they do not.
 */
#if PG_VERSION_NUM >= 170000
#define SnapshotsBecomeTooOld() (false)
#define SnapshotIsTooOld(snapshot) (false)
#else
#define SnapshotsBecomeTooOld() OldSnapshotThresholdActive()
#define SnapshotIsTooOld(snapshot) \
	(SnapshotsBecomeTooOld() && \
	 (snapshot)->whenTaken < GetOldSnapshotThresholdTimestamp())
#endif

/* 16 made one function of the ownership checks, and one of those of ACLs. */
#if PG_VERSION_NUM >= 160000
#define SchemaAclCheck(nspid, roleid, mode) \
	object_aclcheck(NamespaceRelationId, (nspid), (roleid), (mode))
#define FunctionAclCheck(funcid, roleid, mode) \
	object_aclcheck(ProcedureRelationId, (funcid), (roleid), (mode))
#define RelationOwnedBy(relid, roleid) \
	object_ownercheck(RelationRelationId, (relid), (roleid))
#define DatabaseOwnedBy(dbid, roleid) \
	object_ownercheck(DatabaseRelationId, (dbid), (roleid))
#else
#define SchemaAclCheck(nspid, roleid, mode) \
	pg_namespace_aclcheck((nspid), (roleid), (mode))
#define FunctionAclCheck(funcid, roleid, mode) \
	pg_proc_aclcheck((funcid), (roleid), (mode))
#define DatabaseOwnedBy(dbid, roleid) \
	pg_database_ownercheck((dbid), (roleid))
#define RelationOwnedBy(relid, roleid) \
	pg_class_ownercheck((relid), (roleid))
#endif

/* Virtual generated columns came with 18; before, no column is one. */
#if PG_VERSION_NUM >= 180000
#define AttributeIsVirtual(att) \
	((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define AttributeIsVirtual(att) (false)
#endif

/*
 * 18 counts index searches in a struct of the caller's, 19 takes flags.
 */
#if PG_VERSION_NUM >= 190000
#define BeginIndexScan(rel, index, snapshot, nkeys) \
	index_beginscan((rel), (index), (snapshot), NULL, (nkeys), 0, 0)
#elif PG_VERSION_NUM >= 180000
#define BeginIndexScan(rel, index, snapshot, nkeys) \
	index_beginscan((rel), (index), (snapshot), NULL, (nkeys), 0)
#else
#define BeginIndexScan(rel, index, snapshot, nkeys) \
	index_beginscan((rel), (index), (snapshot), (nkeys), 0)
#endif
#if PG_VERSION_NUM >= 190000
#define BeginIndexFetch(rel)	table_index_fetch_begin((rel), 0)
#else
#define BeginIndexFetch(rel)	table_index_fetch_begin(rel)
#endif

/*
 * Descend to the leaf page of a b-tree that a key is on, or would be.  16 asks for
 * the table, 17 for no snapshot, and 19 whether the way back is wanted.
 */
#if PG_VERSION_NUM >= 190000
#define SearchLeaf(index, rel, key, snapshot, leaf) \
	((void) _bt_search((index), (rel), (key), (leaf), BT_READ, false))
#elif PG_VERSION_NUM >= 170000
#define SearchLeaf(index, rel, key, snapshot, leaf) \
	_bt_freestack(_bt_search((index), (rel), (key), (leaf), BT_READ))
#elif PG_VERSION_NUM >= 160000
#define SearchLeaf(index, rel, key, snapshot, leaf) \
	_bt_freestack(_bt_search((index), (rel), (key), (leaf), BT_READ, (snapshot)))
#else
#define SearchLeaf(index, rel, key, snapshot, leaf) \
	_bt_freestack(_bt_search((index), (key), (leaf), BT_READ, (snapshot)))
#endif

/* 16 keeps what permissions a relation is checked for in nodes of their own. */
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
typedef RTEPermissionInfo RelationPermissions;
#define MakePermissions(stmt, rte) \
	addRTEPermissionInfo(&(stmt)->permInfos, (rte))
#else
typedef RangeTblEntry RelationPermissions;
#define MakePermissions(stmt, rte) (rte)
#endif

/* Where a block is; 16 renamed what names a relation's file. */
typedef struct BlockTag
{
	Oid			database;
	uint32		filenumber;
	uint32		block;
} BlockTag;

#if PG_VERSION_NUM >= 160000
#define GetBlockTag(buffer, tag) \
	do { \
		RelFileLocator locator_; \
		ForkNumber	fork_; \
		BufferGetTag((buffer), &locator_, &fork_, &(tag)->block); \
		(tag)->database = locator_.dbOid; \
		(tag)->filenumber = locator_.relNumber; \
	} while (0)
#define ReadBlockTag(record, block_id, tag) \
	do { \
		RelFileLocator locator_; \
		XLogRecGetBlockTag((record), (block_id), &locator_, NULL, &(tag)->block); \
		(tag)->database = locator_.dbOid; \
		(tag)->filenumber = locator_.relNumber; \
	} while (0)
#else
#define GetBlockTag(buffer, tag) \
	do { \
		RelFileNode node_; \
		ForkNumber	fork_; \
		BufferGetTag((buffer), &node_, &fork_, &(tag)->block); \
		(tag)->database = node_.dbNode; \
		(tag)->filenumber = node_.relNode; \
	} while (0)
#define ReadBlockTag(record, block_id, tag) \
	do { \
		RelFileNode node_; \
		XLogRecGetBlockTag((record), (block_id), &node_, NULL, &(tag)->block); \
		(tag)->database = node_.dbNode; \
		(tag)->filenumber = node_.relNode; \
	} while (0)
#endif

/* 16 calls what names a relation's file a locator. */
#if PG_VERSION_NUM >= 160000
#define FileOfRelation(rel) ((rel)->rd_locator)
#define FileNumberOfRelation(rel) ((rel)->rd_locator.relNumber)
#else
#define FileOfRelation(rel) ((rel)->rd_node)
#define FileNumberOfRelation(rel) ((rel)->rd_node.relNode)
#endif

/*
 * What the header of a shared buffer says, without its lock: whether it has a block of
 * the main fork, and how often it was used.  16 has the tag in one piece, 19 a wider
 * state.
 */
#if PG_VERSION_NUM >= 160000
#define BufferHasBlock(desc, rel, block) \
	((desc)->tag.blockNum == (block) && (desc)->tag.forkNum == MAIN_FORKNUM && \
	 BufTagMatchesRelFileLocator(&(desc)->tag, &(rel)->rd_locator))
#else
#define BufferHasBlock(desc, rel, block) \
	((desc)->tag.blockNum == (block) && (desc)->tag.forkNum == MAIN_FORKNUM && \
	 RelFileNodeEquals((desc)->tag.rnode, (rel)->rd_node))
#endif
#if PG_VERSION_NUM >= 190000
#define BufferUseCount(desc) \
	BUF_STATE_GET_USAGECOUNT(pg_atomic_read_u64(&(desc)->state))
#else
#define BufferUseCount(desc) \
	BUF_STATE_GET_USAGECOUNT(pg_atomic_read_u32(&(desc)->state))
#endif

/* 16 lets a custom scan choose its slot; 15 always gives it a virtual one. */
#if PG_VERSION_NUM >= 160000
#define SetSlotOpsVirtual(css) ((css)->slotOps = &TTSOpsVirtual)
#else
#define SetSlotOpsVirtual(css) ((void) 0)
#endif

/* 18 keeps count of disabled nodes beside the costs. */
#if PG_VERSION_NUM >= 180000
#define CopyDisabledNodes(to, from) ((to)->disabled_nodes = (from)->disabled_nodes)
#else
#define CopyDisabledNodes(to, from) ((void) 0)
#endif

/* 16 names relations, not their members, to translate expressions between. */
#if PG_VERSION_NUM >= 160000
#define AdjustAttrsMultilevel(root, node, child) \
	adjust_appendrel_attrs_multilevel((root), (node), (child), (child)->top_parent)
#else
#define AdjustAttrsMultilevel(root, node, child) \
	adjust_appendrel_attrs_multilevel((root), (node), (child)->relids, \
									  (child)->top_parent_relids)
#endif

/* 18 asks whether the relation is to be written. */
#if PG_VERSION_NUM >= 180000
#define OpenScannedRelation(estate, rti) \
	ExecGetRangeTableRelation((estate), (rti), false)
#else
#define OpenScannedRelation(estate, rti) \
	ExecGetRangeTableRelation((estate), (rti))
#endif

/* 16 renamed what tells of a file that was made in this transaction. */
#if PG_VERSION_NUM >= 160000
#define FileIsNew(rel) \
	((rel)->rd_createSubid != InvalidSubTransactionId || \
	 (rel)->rd_firstRelfilelocatorSubid != InvalidSubTransactionId)
#else
#define FileIsNew(rel) \
	((rel)->rd_createSubid != InvalidSubTransactionId || \
	 (rel)->rd_firstRelfilenodeSubid != InvalidSubTransactionId)
#endif

/*
 * What an update says of the indexes that want a new entry: since 16 they may
 * be those only that summarize blocks (BRIN).  19 made flags of the booleans.
 */
#if PG_VERSION_NUM >= 190000
#define IndexesToUpdate TU_UpdateIndexes
#define AnyIndexToUpdate(indexes) ((indexes) != TU_None)
#define UpdateIndexes(target, slot, estate, indexes) \
	ExecInsertIndexTuples((target), (estate), EIIT_IS_UPDATE | \
						  ((indexes) == TU_Summarizing ? EIIT_ONLY_SUMMARIZING : 0), \
						  (slot), NIL, NULL)
#elif PG_VERSION_NUM >= 160000
#define IndexesToUpdate TU_UpdateIndexes
#define AnyIndexToUpdate(indexes) ((indexes) != TU_None)
#define UpdateIndexes(target, slot, estate, indexes) \
	ExecInsertIndexTuples((target), (slot), (estate), true, false, NULL, NIL, \
						  (indexes) == TU_Summarizing)
#else
#define IndexesToUpdate bool
#define AnyIndexToUpdate(indexes) (indexes)
#define UpdateIndexes(target, slot, estate, indexes) \
	ExecInsertIndexTuples((target), (slot), (estate), true, false, NULL, NIL)
#endif

/* 19 has options in table_tuple_update(). */
#if PG_VERSION_NUM >= 190000
#define UpdateTuple(rel, tid, slot, cid, snapshot, failure, lockmode, indexes) \
	table_tuple_update((rel), (tid), (slot), (cid), 0, (snapshot), \
					   InvalidSnapshot, true, (failure), (lockmode), (indexes))
#else
#define UpdateTuple(rel, tid, slot, cid, snapshot, failure, lockmode, indexes) \
	table_tuple_update((rel), (tid), (slot), (cid), (snapshot), \
					   InvalidSnapshot, true, (failure), (lockmode), (indexes))
#endif

/*
 * Prune a page that is about to be written.  19 can set its bit in the
 * visibility map on the way, which would be of no use.
 */
#if PG_VERSION_NUM >= 190000
static inline void
PrunePage(Relation rel, Buffer buffer)
{
	Buffer		vmbuffer = InvalidBuffer;

	heap_page_prune_opt(rel, buffer, &vmbuffer, false);
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);
}
#else
#define PrunePage(rel, buffer) heap_page_prune_opt((rel), (buffer))
#endif

/* 19 named the state of ON CONFLICT for what else it can do. */
#if PG_VERSION_NUM < 190000
#define OnConflictActionState OnConflictSetState
#endif

/* 19 has an instrumentation of its own for nodes. */
#if PG_VERSION_NUM < 190000
#define NodeInstrumentation Instrumentation
#endif

/* 19 names a tranche of locks where it is made, for all processes. */
#if PG_VERSION_NUM >= 190000
#define NewLockTranche(name) LWLockNewTrancheId(name)
#define RegisterLockTranche(tranche, name) ((void) 0)
#else
#define NewLockTranche(name) LWLockNewTrancheId()
#define RegisterLockTranche(tranche, name) LWLockRegisterTranche((tranche), (name))
#endif

/*
 * As of 17 what an extension waits for can have a name, in pg_stat_activity and
 * pg_wait_events.  One of so many as there is room for in shared memory, the
 * same number for all processes; may take an LWLock.
 */
#if PG_VERSION_NUM >= 170000
#define NamedWaitEvent(name) WaitEventExtensionNew(name)
#else
#define NamedWaitEvent(name) ((uint32) PG_WAIT_EXTENSION)
#endif

/* 18 asks a library for its name and version, too. */
#if PG_VERSION_NUM >= 180000
#define MODULE_MAGIC(magic_name, magic_version) \
	PG_MODULE_MAGIC_EXT(.name = magic_name, .version = magic_version)
#else
#define MODULE_MAGIC(magic_name, magic_version) PG_MODULE_MAGIC
#endif

/*
 * 19 is told which strategies a join makes use of, to disable it where they
 * are: as try_nestloop_path() and try_partial_nestloop_path() do.
 */
#if PG_VERSION_NUM >= 190000
#define InitialCostNestloop(root, workspace, jointype, outer, inner, extra) \
	initial_cost_nestloop((root), (workspace), (jointype), \
						  PGS_NESTLOOP_PLAIN | \
						  ((outer)->parallel_workers > 0 ? 0 : PGS_CONSIDER_NONPARTIAL), \
						  (outer), (inner), (extra))
#else
#define InitialCostNestloop(root, workspace, jointype, outer, inner, extra) \
	initial_cost_nestloop((root), (workspace), (jointype), (outer), (inner), (extra))
#endif

/* 18's name, and place, for what marks a function that does not return. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* 19's name for going on with the next case. */
#if PG_VERSION_NUM < 190000
#define pg_fallthrough __attribute__((fallthrough))
#endif

/* 18 does without execute_once. */
#if PG_VERSION_NUM >= 180000
#define RunExecutor(queryDesc) \
	ExecutorRun((queryDesc), ForwardScanDirection, 0)
#define EXECUTOR_RUN_PARAMETERS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGUMENTS	queryDesc, direction, count
#else
#define RunExecutor(queryDesc) \
	ExecutorRun((queryDesc), ForwardScanDirection, 0, true)
#define EXECUTOR_RUN_PARAMETERS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, \
	bool execute_once
#define EXECUTOR_RUN_ARGUMENTS	queryDesc, direction, count, execute_once
#endif

/* 18 split commands/explain.h. */
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/*
 * The minor releases of late 2026 stamp composite datums with a version of
 * their row type, and refuse those without.  Declared weak where the headers
 * do not have it, so that a library built for an earlier minor release goes on
 * working when the server is updated.
 */
#ifndef HEAP_IS_DATUM
extern void heap_tuple_set_datum(HeapTupleHeader tup, TupleDesc tupleDesc,
								 uint32 len) __attribute__((weak));
#define HaveVersionedDatums() (heap_tuple_set_datum != NULL)
#else
#define HaveVersionedDatums() (true)
#endif

/* Make a row, made by heap_form_tuple() or read from a table, a datum. */
static inline void
MakeRowDatum(HeapTupleHeader row, TupleDesc tupdesc, uint32 len)
{
	if (HaveVersionedDatums())
		heap_tuple_set_datum(row, tupdesc, len);
	else
	{
		HeapTupleHeaderSetDatumLength(row, len);
		HeapTupleHeaderSetTypeId(row, tupdesc->tdtypeid);
		HeapTupleHeaderSetTypMod(row, tupdesc->tdtypmod);
		ItemPointerSetInvalid(&row->t_ctid);
	}
}

/*
 * Does this server pass over a queued event whose trigger is gone?  Since these
 * minor releases at the latest; before, it raises an error.
 */
static inline bool
EventsMayLoseTheirTrigger(void)
{
	const int	since[] = {150018, 160016, 170012, 180006};
	long		running = strtol(GetConfigOption("server_version_num", false, false),
								 NULL, 10);
	long		major = running / 10000 - 15;

	return major >= (long) lengthof(since) || running >= since[major];
}

#endif							/* ITEMCACHE_COMPAT_H */
