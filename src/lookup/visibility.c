/*-------------------------------------------------------------------------
 *
 * visibility.c
 *	  Rules 0, 1, 2(a), 4, 5 and U: may this snapshot be served, and may what
 *	  it reads be cached?
 *
 * The arguments are in README.  The one function that decides whether an item
 * is visible is ItemIsVisible(); the one that decides whether the cache may be
 * used at all is BeginItemAccess().
 *
 * May call: relation, replay, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/parallel.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "lookup/visibility.h"
#include "replay/replay.h"
#include "settings.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

/*
 * A snapshot's bounds as 64-bit xids.  They are remembered by their 32-bit
 * values.  Should those come round again in four billion transactions, the
 * remembered bounds are too low, and the worst that can happen is a miss: an
 * xid that is below the true xmin is taken for one at or above xmax.
 */
typedef struct SnapshotBounds
{
	TransactionId xmin;
	TransactionId xmax;
	uint64		full_xmin;
	uint64		full_xmax;
} SnapshotBounds;

static SnapshotBounds Bounds;

static bool MayBeUsed(ItemAccess *access, ItemRelation *relation,
					  const ItemIndex *index, Snapshot snapshot);
static uint64 WidenXid(TransactionId xid, uint64 next);
static const SnapshotBounds *BoundsOf(Snapshot snapshot);
static bool XidDidCommit(uint64 xid, const SnapshotBounds *bounds);

void
BeginItemAccess(ItemAccess *access, ItemRelation *relation,
				const ItemIndex *index, Snapshot snapshot)
{
	if (!MayBeUsed(access, relation, index, snapshot))
		return;

	/*
	 * Rule 4.  A parallel worker has its leader's xid, but not the leader's
	 * locks in its own table of them.
	 */
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		(IsParallelWorker() ||
		 RelationLockHeld(relation->relid, RowExclusiveLock)))
	{
		/* rule U: what it wrote may stand beside what it does not see deleted */
		access->unique = false;
		return;
	}

	access->epoch = ItemRelationEpoch(relation);
	if (access->epoch == EPOCH_NONE)
		return;
	access->fill = true;

	/* rules 5 and U */
	access->serve = access->unique && !IsolationIsSerializable();
}

bool
BeginItemSearch(ItemAccess *access, ItemRelation *relation, Snapshot snapshot)
{
	/* a fetch with a snapshot that is too old is an error */
	if (!MayBeUsed(access, relation, &relation->pk, snapshot) ||
		IsParallelWorker() ||
		IsolationIsSerializable() || SnapshotsBecomeTooOld())
		return false;
	access->epoch = ItemRelationEpoch(relation);
	return access->epoch != EPOCH_NONE;
}

static bool
MayBeUsed(ItemAccess *access, ItemRelation *relation, const ItemIndex *index,
		  Snapshot snapshot)
{
	access->relation = relation;
	access->shape = relation->shape;
	access->snapshot = snapshot;
	access->index = *index;
	access->key = relation->shape;
	access->seed = relation->seed;
	access->unique = IndexIsUnique(index, snapshot);
	access->epoch = EPOCH_NONE;
	access->serve = false;
	access->fill = false;
	access->absences = relation->shape->by_image;
	access->alias = NULL;

	if (relation->state != RELATION_SERVED || !itemcache_enabled)
		return false;

	/* snapshots that are not of the ordinary kind */
	if (snapshot->snapshot_type != SNAPSHOT_MVCC)
		return false;

	/* rule 0 */
	return ReplayIsFollowed() ||
		(!RecoveryInProgress() && !snapshot->takenDuringRecovery);
}

/*
 * An xid of long ago that has come to look like one of the future makes the
 * answer a "no", which only costs.  A transaction's own index is none for
 * snapshots that it took before, and an xid of its own may be in no snapshot.
 */
bool
IndexIsUnique(const ItemIndex *index, Snapshot snapshot)
{
	if (!index->immediate || snapshot->snapshot_type != SNAPSHOT_MVCC)
		return false;
	return TransactionIdPrecedes(index->xmin, snapshot->xmin) ||
		(!XidInMVCCSnapshot(index->xmin, snapshot) &&
		 !TransactionIdIsCurrentTransactionId(index->xmin));
}

bool
IndexIsOld(const ItemIndex *index)
{
	return TransactionIdPrecedes(index->xmin, TransactionXmin);
}

/*
 * A mark may lead to a word somewhere else, which would be waited for with each
 * item anew.
 */
void
PrefetchItems(int nhashes, const uint64 *hashes, Size nbytes, StoreHint *hints)
{
	StoreMark	marks[STORE_PREFETCH_MAX];

	if (!ReplayIsFollowed())
	{
		StorePrefetch(nhashes, hashes, nbytes, hints);
		return;
	}
	StorePrefetch(nhashes, hashes, nbytes + sizeof(StoreMark), hints);
	StorePeekMarks(nhashes, hashes, hints, marks);
	for (int i = 0; i < nhashes; i++)
		ReplayPrefetchMark(&marks[i]);
}

/*
 * Rule 1.  The order matters: asked the other way round, a transaction that
 * commits in between would look like one that had committed before the
 * snapshot.
 */
bool
ItemIsVisible(const ItemAccess *access, const StoreItem *item)
{
	const SnapshotBounds *bounds = BoundsOf(access->snapshot);

	/* rule 0 */
	if (item->marked && !ReplayMarkIsCurrent(&item->mark))
	{
		RelationCount(access->relation, COUNT_OUTDATED, 1);
		return false;
	}

	/* a frozen version may be newer; asked after the item was read */
	if (SnapshotIsTooOld(access->snapshot))
		return false;
	if (item->xid >= bounds->full_xmin)
	{
		if (item->xid >= bounds->full_xmax)
			return false;
		if (XidInMVCCSnapshot((TransactionId) item->xid, access->snapshot))
			return false;
	}
	if (item->committed)
		return true;
	if (!XidDidCommit(item->xid, bounds))
		return false;
	StoreSetCommitted(item);
	return true;
}

/*
 * Did "xid", which is not in progress for the snapshot, commit?  False if
 * that can no longer be found out.
 */
static bool
XidDidCommit(uint64 xid, const SnapshotBounds *bounds)
{
	bool		result;

	/* nobody truncates the commit log past an active snapshot's xmin */
	if (xid >= bounds->full_xmin)
		return TransactionIdDidCommit((TransactionId) xid);

	if (xid < FirstNormalTransactionId)
		return true;
	if (xid + PG_INT32_MAX < U64FromFullTransactionId(ReadNextFullTransactionId()))
		return false;

	/* as pg_xact_status() does it */
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	result = !TransactionIdPrecedes((TransactionId) xid,
									TransamVariables->oldestClogXid) &&
		TransactionIdDidCommit((TransactionId) xid);
	LWLockRelease(XactTruncationLock);
	return result;
}

/* The 64-bit form of an xid within two billion of the next one. */
static uint64
WidenXid(TransactionId xid, uint64 next)
{
	if (!TransactionIdIsNormal(xid))
		return xid;
	return next + (int32) (xid - (TransactionId) next);
}

static const SnapshotBounds *
BoundsOf(Snapshot snapshot)
{
	if (Bounds.xmin != snapshot->xmin || Bounds.xmax != snapshot->xmax)
	{
		uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());

		Bounds.xmin = snapshot->xmin;
		Bounds.xmax = snapshot->xmax;
		Bounds.full_xmin = WidenXid(snapshot->xmin, next);
		Bounds.full_xmax = WidenXid(snapshot->xmax, next);
	}
	return &Bounds;
}

/*
 * Rule 2(a).  In progress is asked before committed: a commit in between must
 * not look like an abort.
 */
bool
VersionIsCurrent(HeapTupleHeader version)
{
	TransactionId updater;

	if (version->t_infomask & HEAP_XMAX_INVALID)
		return true;
	if (HEAP_XMAX_IS_LOCKED_ONLY(version->t_infomask) ||
		HEAP_LOCKED_UPGRADED(version->t_infomask))
		return true;

	updater = HeapTupleHeaderGetUpdateXid(version);
	if (!TransactionIdIsValid(updater))
		return true;
	return !TransactionIdIsInProgress(updater) &&
		!TransactionIdDidCommit(updater);
}

uint64
VersionXid(HeapTupleHeader version)
{
	TransactionId xmin;

	if (version->t_infomask & HEAP_MOVED)
		return 0;				/* left by VACUUM FULL before 9.0 */
	if (HeapTupleHeaderXminFrozen(version))
		return FrozenTransactionId;
	xmin = HeapTupleHeaderGetRawXmin(version);
	if (!TransactionIdIsNormal(xmin))
		return xmin;
	if (TransactionIdIsCurrentTransactionId(xmin))
		return 0;
	if (!HeapTupleHeaderXminCommitted(version) && !TransactionIdDidCommit(xmin))
		return 0;
	return WidenXid(xmin, U64FromFullTransactionId(ReadNextFullTransactionId()));
}
