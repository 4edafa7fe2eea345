/*-------------------------------------------------------------------------
 *
 * track.c
 *	  Rules 3 and 6: what becomes in the cache of what a transaction writes.
 *
 * TrackRowChange() has the keys noted that are written (notes.c).  At
 * XACT_EVENT_PRE_COMMIT, which comes after the last user code of the
 * transaction and before anybody can see it, each key's item is replaced by
 * the version noted, or removed.
 *
 *	- DDL is known by a relcache message for a table that the transaction
 *	  holds in ShareRowExclusiveLock or stronger.
 *	- Once the callback has run, whatever still happens (another extension's
 *	  callback may write) takes effect in the cache at once.
 *
 * Why this is enough is in README, under the rules' numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "settings.h"
#include "store/store.h"
#include "table/relation.h"
#include "track/arrival.h"
#include "track/bounds.h"
#include "track/notes.h"
#include "track/track.h"

/* Keys whose places in the store are fetched together when they are published. */
#define PUBLISH_BATCH		16

/* Relations whose relcache messages are told apart; past that, all are meant. */
#define MAX_MESSAGES		64

typedef enum TrackPhase
{
	PHASE_OPEN,					/* noting */
	PHASE_PUBLISHED				/* PRE_COMMIT or PRE_PREPARE has run */
} TrackPhase;

static TrackPhase Phase = PHASE_OPEN;

/* Relations for which a relcache message came during this transaction. */
static Oid	Messages[MAX_MESSAGES];
static int	NumMessages = 0;
static bool AllMessages = false;

/* Database this transaction drops. */
static Oid	DroppedDatabase = InvalidOid;

static object_access_hook_type PreviousObjectAccessHook = NULL;


static RowInterest InterestIn(TrackedRelation *tracked);
static void XactCallbackFn(XactEvent event, void *arg);
static void SubXactCallbackFn(SubXactEvent event, SubTransactionId subid,
							  SubTransactionId parent, void *arg);
static void TakeEffect(bool publish);
static void MoveEpochsForDDL(void);
static void MoveEpochIfRedefined(Oid relid);
static void MoveEpochsOfLockedRelations(void);
static void PublishKeys(bool publish);
static void PublishKey(const TrackedKey *key, uint64 xid);
static void CountEffect(TrackedRelation *relation, CounterKind kind);
static void ForgetTransaction(void);
static void RelcacheMessage(Oid relid);
static void ObjectAccess(ObjectAccessType access, Oid classid, Oid objectid,
						 int subid, void *arg);

void
TrackInit(void)
{
	RelationsInit(RelcacheMessage);
	RegisterXactCallback(XactCallbackFn, NULL);
	RegisterSubXactCallback(SubXactCallbackFn, NULL);
	PreviousObjectAccessHook = object_access_hook;
	object_access_hook = ObjectAccess;
}

/*-------------------------------------------------------------------------
 * Row changes
 *-------------------------------------------------------------------------
 */

RowInterest
TrackRowChange(ItemRelation *relation, HeapTuple old, HeapTuple new)
{
	const ItemShape *shape = relation->shape;
	TrackedRelation *tracked;
	uint64		oldhash = 0;
	uint64		newhash = 0;
	Datum		key[INDEX_MAX_KEYS];

	if (!relation->pk.usable)
	{
		/* nothing can have been cached since; but better be sure */
		TrackUnknownChange(relation);
		return INTEREST_ALL;
	}

	if (new != NULL)
	{
		ItemKey(shape, new, key);
		newhash = KeyHash(shape, relation->seed, key);
	}
	if (old != NULL && new != NULL && HeapTupleIsHeapOnly(new))
		oldhash = newhash;		/* it is found by the index entries of the old one */
	else if (old != NULL)
	{
		ItemKey(shape, old, key);
		oldhash = KeyHash(shape, relation->seed, key);
	}

	if (Phase == PHASE_PUBLISHED)
	{
		/* rule 3: too late to publish */
		if (old != NULL)
			StoreRemove(relation->key, oldhash);
		if (new != NULL)
		{
			StoreRemove(relation->key, newhash);
			RemoveAbsences(relation, NULL, old, new);
		}
		return INTEREST_ALL;
	}

	tracked = TrackRelation(relation);
	if (new != NULL)
		RemoveAbsences(relation, tracked, old, new);
	if (tracked->overflowed)
		return INTEREST_NONE;
	Assert(old != NULL || new != NULL);
	if (old == NULL)
		NoteInsert(relation, newhash, new);
	else if (new == NULL)
		NoteRemoval(relation, oldhash);
	else if (oldhash == newhash)
		NoteUpdate(relation, newhash, old, new);
	else
	{
		NoteRemoval(relation, oldhash);
		NoteUpdate(relation, newhash, NULL, new);
	}
	return InterestIn(tracked);
}

void
TrackUnknownChange(ItemRelation *relation)
{
	if (Phase == PHASE_PUBLISHED)
		OwnerMoveEpoch(relation->key);
	else
		TrackRelation(relation)->overflowed = true;
}

/* Monotonous: what is not wanted will not be wanted later in the transaction. */
static RowInterest
InterestIn(TrackedRelation *tracked)
{
	if (tracked->overflowed)
		return INTEREST_NONE;
	if (tracked->npassed < MAX_PASSED)
		return INTEREST_ALL;
	VoidAbsences(tracked);
	return INTEREST_CHANGES;
}

/*-------------------------------------------------------------------------
 * The end of transactions and subtransactions
 *-------------------------------------------------------------------------
 */

static void
XactCallbackFn(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			TakeEffect(true);
			break;
		case XACT_EVENT_PRE_PREPARE:
			TakeEffect(false);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			ForgetTransaction();
			RelationsAtTransactionEnd(event != XACT_EVENT_ABORT &&
									  event != XACT_EVENT_PARALLEL_ABORT);
			break;
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

static void
SubXactCallbackFn(SubXactEvent event, SubTransactionId subid,
				  SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		CommitTouches(subid, parent);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		AbortTouches(subid);
		RelationsAtSubTransactionAbort();
	}
}

/*
 * The transaction is about to become visible, or to be prepared, and then its
 * keys can only be removed: nobody will publish at COMMIT PREPARED.
 */
static void
TakeEffect(bool publish)
{
	if (Phase == PHASE_PUBLISHED)
		return;
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
	{
		/* have the last command's messages delivered to us, too */
		CommandCounterIncrement();
		MoveEpochsForDDL();
		if (AnythingNoted())
			PublishKeys(publish);
	}
	Phase = PHASE_PUBLISHED;
}

static void
MoveEpochsForDDL(void)
{
	if (AllMessages)
		MoveEpochsOfLockedRelations();
	else
	{
		for (int i = 0; i < NumMessages; i++)
			MoveEpochIfRedefined(Messages[i]);
	}
	if (OidIsValid(DroppedDatabase))
		OwnerMoveEpochs(RelationOwnerKey(DroppedDatabase, 0),
						RelationOwnerKey(PG_UINT32_MAX, 0));
}

/* Rule 6, for a relation that a relcache message came for. */
static void
MoveEpochIfRedefined(Oid relid)
{
	TrackedRelation *tracked;

	if (!RelationLockHeld(relid, ShareRowExclusiveLock))
		return;
	OwnerMoveEpoch(RelationOwnerKey(MyDatabaseId, relid));
	tracked = FindTrackedRelation(relid);
	if (tracked != NULL)
		tracked->redefined = true;
}

/* The same when we cannot tell which relations were meant. */
static void
MoveEpochsOfLockedRelations(void)
{
	TrackScan	scan;
	TrackedRelation *tracked;

	for (int i = 0; i < OwnerCount(); i++)
	{
		uint64		key = OwnerKey(i);

		if ((Oid) (key >> 32) == MyDatabaseId)
			MoveEpochIfRedefined((Oid) key);
	}
	BeginNotesScan(&scan);
	while ((tracked = NextTrackedRelation(&scan)) != NULL)
		MoveEpochIfRedefined(tracked->relid);
}

static void
PublishKeys(bool publish)
{
	uint64		xid = U64FromFullTransactionId(GetTopFullTransactionId());
	TrackScan	scan;
	TrackedRelation *relation;
	TrackedKey *key = NULL;
	TrackedKey *keys[PUBLISH_BATCH];
	uint64		hashes[PUBLISH_BATCH];
	StoreHint	hints[PUBLISH_BATCH];
	int			n;

	BeginNotesScan(&scan);
	while ((relation = NextTrackedRelation(&scan)) != NULL)
	{
		if (relation->overflowed)
		{
			OwnerMoveEpoch(relation->key);
			relation->owner = OwnerFindAt(relation->owner, relation->key);
			CountEffect(relation, COUNT_OVERFLOWS);
			continue;
		}
		if (AbsencesAreVoid(relation))
			OwnerMoveAbsences(relation->key);
		relation->owner = OwnerFindAt(relation->owner, relation->key);
		if (!publish || relation->redefined)
			continue;
		if (relation->owner == OWNER_NONE)
			relation->owner = OwnerMake(relation->key, false);
		if (relation->owner != OWNER_NONE)
			relation->epoch = OwnerEpoch(relation->owner, relation->key);
	}

	BeginNotesScan(&scan);
	do
	{
		n = 0;
		while (n < PUBLISH_BATCH && (key = NextTrackedKey(&scan)) != NULL)
		{
			keys[n] = key;
			hashes[n++] = key->id.hash;
		}
		if (n > 1)
			StorePrefetch(n, hashes, 0, hints);
		for (int i = 0; i < n; i++)
			PublishKey(keys[i], xid);
	} while (key != NULL);
}

static void
PublishKey(const TrackedKey *key, uint64 xid)
{
	TrackedRelation *relation = key->relation;

	if (relation->overflowed)
		return;
	if (key->publish && relation->epoch != EPOCH_NONE)
	{
		StoreContent content = {
			.kind = STORE_ROW,
			.xid = xid,
			.payload = key->image,
			.size = ItemImageSize(key->image)
		};

		StorePublish(relation->key, key->id.hash, relation->epoch, &content,
					 key->replaces);
		CountEffect(relation, COUNT_PUBLISHES);
	}
	else if (key->replaces)
	{
		StoreRemove(relation->key, key->id.hash);
		CountEffect(relation, COUNT_REMOVALS);
	}
}

static void
CountEffect(TrackedRelation *relation, CounterKind kind)
{
	if (relation->owner != OWNER_NONE)
		StatsCount(&relation->counters, relation->owner, relation->key, kind, 1);
}

static void
ForgetTransaction(void)
{
	Phase = PHASE_OPEN;
	ForgetNotes();
	NumMessages = 0;
	AllMessages = false;
	DroppedDatabase = InvalidOid;
}

/*-------------------------------------------------------------------------
 * DDL
 *-------------------------------------------------------------------------
 */

/*
 * From the relcache callback: neither allocates nor reads catalogs.  Our own
 * messages and others' look alike; whether it matters is decided by the lock.
 */
static void
RelcacheMessage(Oid relid)
{
	if (Phase == PHASE_PUBLISHED)
	{
		/* DDL after our callback has run */
		if (OidIsValid(relid))
			MoveEpochIfRedefined(relid);
		else
			MoveEpochsOfLockedRelations();
		return;
	}
	if (AllMessages)
		return;
	if (OidIsValid(relid))
	{
		for (int i = 0; i < NumMessages; i++)
		{
			if (Messages[i] == relid)
				return;
		}
		if (NumMessages < MAX_MESSAGES)
		{
			Messages[NumMessages++] = relid;
			return;
		}
	}
	AllMessages = true;
}

/*
 * An index has been made: see README, "Absent keys".  A database is being
 * dropped: its preload workers must leave it, and when it
 * is gone (by PRE_COMMIT, no session is left in it) so must its items, since
 * its OID can be used again.
 */
static void
ObjectAccess(ObjectAccessType access, Oid classid, Oid objectid, int subid,
			 void *arg)
{
	if (PreviousObjectAccessHook)
		PreviousObjectAccessHook(access, classid, objectid, subid, arg);
	if (access == OAT_DROP && classid == DatabaseRelationId)
		DroppedDatabase = objectid;
	if (access == OAT_POST_CREATE && classid == RelationRelationId && subid == 0)
		ForgetAbsencesIfIndex(objectid);
}
