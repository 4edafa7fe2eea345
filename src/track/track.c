/*-------------------------------------------------------------------------
 *
 * track.c
 *	  Rules 3 and 6: what a transaction writes, and what becomes of it in the
 *	  cache when it commits.
 *
 * TrackRowChange() notes, for each key written, the version it was last seen to
 * leave.  At XACT_EVENT_PRE_COMMIT, which comes after the last user code of
 * the transaction and before anybody can see it, each key's item is replaced
 * by that version or removed.
 *
 *	- A key is noted by its 64-bit hash.  Should two keys of a transaction
 *	  have the same, their events contradict each other as below.
 *	- We do not hear of changes in their order.  An event for a key that is
 *	  noted counts only if it changed the very version noted (by TID);
 *	  otherwise the key is only to be removed, whatever else comes.
 *	- So is a key that was touched by a subtransaction which rolled back.
 *	- A transaction that writes very many keys of a table publishes nothing
 *	  of it, and the table's epoch moves (rows only inserted do not count:
 *	  those past the bound are just not published).
 *	- DDL is known by a relcache message for a table that the transaction
 *	  holds in ShareRowExclusiveLock or stronger.
 *	- Once the callback has run, whatever still happens (another extension's
 *	  callback may write) takes effect in the cache at once.
 *
 * The first few tables and keys are noted in static arrays, since most
 * transactions write no more and making hash tables would cost most of the
 * time.  Everything else lives in TopTransactionContext.  Why this is enough is
 * in README, under the rules' numbers.
 *
 * May call: relation, item, owner, store, preload (to tell it of a DROP
 * DATABASE).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "common/hashfn.h"
#include "lookup/fill.h"
#include "miscadmin.h"
#include "settings.h"
#include "store/store.h"
#include "table/relation.h"
#include "track/track.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * Updated or deleted keys of one transaction that are noted; past that, the
 * table that has most of them overflows.
 */
#define MAX_CHANGED_KEYS	131072

/* Inserted keys of one transaction that are noted for publication. */
#define MAX_INSERTED_KEYS	16384

/* Bytes of images that one transaction keeps for publication. */
#define MAX_IMAGE_BYTES		((Size) 16 * 1024 * 1024)

/* Keys whose places in the store are fetched together when they are published. */
#define PUBLISH_BATCH		16

/* Relations whose relcache messages are told apart; past that, all are meant. */
#define MAX_MESSAGES		64

typedef enum TrackPhase
{
	PHASE_OPEN,					/* noting */
	PHASE_PUBLISHED				/* PRE_COMMIT or PRE_PREPARE has run */
} TrackPhase;

/* A table this transaction has written. */
typedef struct TrackedRelation
{
	Oid			relid;			/* hash key; must be first */
	uint64		key;			/* as owner */
	int			nchanged;		/* keys noted that are updated or deleted */
	bool		overflowed;		/* too many keys: its epoch will move */
	bool		redefined;		/* DDL: publishes nothing */
	int			owner;			/* slot to publish under, with this epoch */
	uint64		epoch;
	CounterLine *counters;
} TrackedRelation;

typedef struct TrackedKeyId
{
	uint64		relation;		/* the owner's key */
	uint64		hash;
} TrackedKeyId;

/* A key this transaction has written. */
typedef struct TrackedKey
{
	TrackedKeyId id;			/* hash key; must be first */
	TrackedRelation *relation;
	SubTransactionId subid;		/* that touched it last */
	bool		changed;		/* counted in nchanged */
	bool		replaces;		/* a version before ours is superseded */
	bool		publish;		/* else only remove */
	ItemPointerData tid;		/* of the version noted, if publish */
	HeapTupleHeader image;		/* likewise */
} TrackedKey;

/*
 * Keys touched by subtransactions, in order.  subid never decreases from one
 * entry to the next one of a later touch while the earlier can still roll
 * back by itself, so that an abort takes entries off the end.
 */
typedef struct Touch
{
	TrackedKey *key;
	SubTransactionId subid;
	SubTransactionId previous;	/* the key's subid before */
} Touch;

static TrackPhase Phase = PHASE_OPEN;

/* In order of their first change; the hash tables have what comes later. */
#define FEW_RELATIONS	4
#define FEW_KEYS		8

static TrackedRelation FewRelations[FEW_RELATIONS];
static int	NumFewRelations = 0;
static HTAB *MoreRelations = NULL;
static TrackedKey FewKeys[FEW_KEYS];	/* relation is NULL in removed ones */
static int	NumFewKeys = 0;
static HTAB *MoreKeys = NULL;

/* A walk through all of either. */
typedef struct TrackScan
{
	int			next;			/* in the array; -1 when in the hash table */
	HASH_SEQ_STATUS status;
} TrackScan;

static int	NumChanged = 0;
static int	NumInserted = 0;
static Size ImageBytes = 0;

static Touch *Touches = NULL;
static int	NumTouches = 0;
static int	MaxTouches = 0;

/* Relations for which a relcache message came during this transaction. */
static Oid	Messages[MAX_MESSAGES];
static int	NumMessages = 0;
static bool AllMessages = false;

/* Database this transaction drops. */
static Oid	DroppedDatabase = InvalidOid;

static object_access_hook_type PreviousObjectAccessHook = NULL;

static TrackedRelation *TrackRelation(ItemRelation *relation);
static TrackedRelation *FindRelation(Oid relid);
static HTAB *MakeTable(const char *name, Size keysize, Size entrysize,
					   HashValueFunc hash);
static uint32 HashKeyId(const void *id, Size size);
static void BeginScan(TrackScan *scan);
static TrackedRelation *NextRelation(TrackScan *scan);
static TrackedKey *NextKey(TrackScan *scan);
static void NoteInsert(ItemRelation *relation, uint64 hash, HeapTuple tuple);
static void NoteUpdate(ItemRelation *relation, uint64 hash, HeapTuple old,
					   HeapTuple new);
static bool IsVersionNoted(const TrackedKey *key, HeapTuple tuple);
static void NoteRemoval(ItemRelation *relation, uint64 hash);
static TrackedKey *FindKey(ItemRelation *relation, uint64 hash);
static TrackedKey *EnterKey(ItemRelation *relation, uint64 hash);
static TrackedKey *EnterChangedKey(ItemRelation *relation, uint64 hash);
static void OverflowLargestRelation(void);
static void TouchKey(TrackedKey *key);
static void SetVersion(TrackedKey *key, ItemRelation *relation, HeapTuple tuple);
static void DropImage(TrackedKey *key);
static void OnlyRemove(TrackedKey *key);

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
static void CommitTouches(SubTransactionId subid, SubTransactionId parent);
static void AbortTouches(SubTransactionId subid);
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

void
TrackRowChange(ItemRelation *relation, HeapTuple old, HeapTuple new)
{
	const ItemShape *shape = relation->shape;
	uint64		oldhash = 0;
	uint64		newhash = 0;
	Datum		key[INDEX_MAX_KEYS];

	if (!relation->key_usable)
	{
		/* nothing can have been cached since; but better be sure */
		if (Phase == PHASE_PUBLISHED)
			OwnerMoveEpoch(relation->key);
		else
			TrackRelation(relation)->overflowed = true;
		return;
	}

	if (old != NULL)
	{
		ItemKey(shape, old, key);
		oldhash = KeyHash(shape, relation->seed, key);
	}
	if (new != NULL)
	{
		ItemKey(shape, new, key);
		newhash = KeyHash(shape, relation->seed, key);
	}

	if (Phase == PHASE_PUBLISHED)
	{
		/* rule 3: too late to publish */
		if (old != NULL)
			StoreRemove(oldhash);
		if (new != NULL)
			StoreRemove(newhash);
		return;
	}

	if (TrackRelation(relation)->overflowed)
		return;
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
}

static TrackedRelation *
TrackRelation(ItemRelation *relation)
{
	TrackedRelation *tracked = FindRelation(relation->relid);

	if (tracked != NULL)
		return tracked;
	if (NumFewRelations < FEW_RELATIONS)
	{
		tracked = &FewRelations[NumFewRelations++];
		tracked->relid = relation->relid;
	}
	else
	{
		if (MoreRelations == NULL)
			MoreRelations = MakeTable("itemcache changed relations",
									  sizeof(Oid), sizeof(TrackedRelation),
									  oid_hash);
		tracked = hash_search(MoreRelations, &relation->relid, HASH_ENTER,
							  NULL);
	}
	tracked->key = relation->key;
	tracked->nchanged = 0;
	tracked->overflowed = false;
	tracked->redefined = false;
	tracked->owner = OWNER_NONE;
	tracked->epoch = EPOCH_NONE;
	tracked->counters = NULL;
	return tracked;
}

static TrackedRelation *
FindRelation(Oid relid)
{
	for (int i = 0; i < NumFewRelations; i++)
	{
		if (FewRelations[i].relid == relid)
			return &FewRelations[i];
	}
	if (MoreRelations == NULL)
		return NULL;
	return hash_search(MoreRelations, &relid, HASH_FIND, NULL);
}

static HTAB *
MakeTable(const char *name, Size keysize, Size entrysize, HashValueFunc hash)
{
	HASHCTL		ctl;

	ctl.hcxt = TopTransactionContext;
	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hash = hash;
	return hash_create(name, 64, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_CONTEXT);
}

/* The relation is in the hash of its key, as the seed. */
static uint32
HashKeyId(const void *id, Size size)
{
	return (uint32) ((const TrackedKeyId *) id)->hash;
}

static void
BeginScan(TrackScan *scan)
{
	scan->next = 0;
}

static TrackedRelation *
NextRelation(TrackScan *scan)
{
	if (scan->next >= 0 && scan->next < NumFewRelations)
		return &FewRelations[scan->next++];
	if (MoreRelations == NULL)
		return NULL;
	if (scan->next >= 0)
		hash_seq_init(&scan->status, MoreRelations);
	scan->next = -1;
	return hash_seq_search(&scan->status);
}

static TrackedKey *
NextKey(TrackScan *scan)
{
	while (scan->next >= 0 && scan->next < NumFewKeys)
	{
		TrackedKey *key = &FewKeys[scan->next++];

		if (key->relation != NULL)
			return key;
	}
	if (MoreKeys == NULL)
		return NULL;
	if (scan->next >= 0)
		hash_seq_init(&scan->status, MoreKeys);
	scan->next = -1;
	return hash_seq_search(&scan->status);
}

/*
 * Nothing has to be removed for a row that is new.  But if its key is noted,
 * this event and that note cannot be put in order, unless it is the same event
 * again, from a second trigger of ours.
 */
static void
NoteInsert(ItemRelation *relation, uint64 hash, HeapTuple tuple)
{
	TrackedKey *key = FindKey(relation, hash);

	if (key != NULL)
	{
		if (IsVersionNoted(key, tuple))
			return;
		TouchKey(key);
		OnlyRemove(key);
		return;
	}
	if (!relation->options.cache_new || relation->state != RELATION_SERVED ||
		NumInserted >= MAX_INSERTED_KEYS || ImageBytes >= MAX_IMAGE_BYTES)
		return;
	key = EnterKey(relation, hash);
	NumInserted++;
	TouchKey(key);
	SetVersion(key, relation, tuple);
}

/*
 * A row now has "new" as its version under this key.  "old" is the version
 * before, NULL if that had another key.
 */
static void
NoteUpdate(ItemRelation *relation, uint64 hash, HeapTuple old, HeapTuple new)
{
	TrackedKey *key = FindKey(relation, hash);

	if (key == NULL)
	{
		key = EnterChangedKey(relation, hash);
		if (key == NULL)
			return;
		TouchKey(key);
		SetVersion(key, relation, new);
	}
	else if (!IsVersionNoted(key, new))
	{
		TouchKey(key);
		if (key->publish && old != NULL &&
			ItemPointerEquals(&key->tid, &old->t_self))
			SetVersion(key, relation, new);
		else
			OnlyRemove(key);
	}
	key->replaces = true;
}

/*
 * Is "tuple" the version noted?  A version is made by one change, so then this
 * is another event for that change.
 */
static bool
IsVersionNoted(const TrackedKey *key, HeapTuple tuple)
{
	return key->publish &&
		ItemPointerEquals((ItemPointer) &key->tid, &tuple->t_self);
}

static void
NoteRemoval(ItemRelation *relation, uint64 hash)
{
	TrackedKey *key = FindKey(relation, hash);

	if (key == NULL)
		key = EnterChangedKey(relation, hash);
	if (key == NULL)
		return;
	TouchKey(key);
	OnlyRemove(key);
}

static TrackedKey *
FindKey(ItemRelation *relation, uint64 hash)
{
	TrackedKeyId id = {relation->key, hash};

	for (int i = 0; i < NumFewKeys; i++)
	{
		TrackedKey *key = &FewKeys[i];

		if (key->id.hash == hash && key->id.relation == relation->key &&
			key->relation != NULL)
			return key;
	}
	if (MoreKeys == NULL)
		return NULL;
	return hash_search(MoreKeys, &id, HASH_FIND, NULL);
}

/* A note for a key that FindKey() does not find. */
static TrackedKey *
EnterKey(ItemRelation *relation, uint64 hash)
{
	TrackedKeyId id = {relation->key, hash};
	TrackedRelation *tracked = TrackRelation(relation);
	TrackedKey *key;

	if (NumFewKeys < FEW_KEYS)
	{
		key = &FewKeys[NumFewKeys++];
		key->id = id;
	}
	else
	{
		if (MoreKeys == NULL)
			MoreKeys = MakeTable("itemcache changed keys",
								 sizeof(TrackedKeyId), sizeof(TrackedKey),
								 HashKeyId);
		key = hash_search(MoreKeys, &id, HASH_ENTER, NULL);
	}
	key->relation = tracked;
	key->subid = InvalidSubTransactionId;
	key->changed = false;
	key->replaces = false;
	key->publish = false;
	key->image = NULL;
	return key;
}

/* A note for a key that is updated or deleted; NULL if its table overflowed. */
static TrackedKey *
EnterChangedKey(ItemRelation *relation, uint64 hash)
{
	TrackedKey *key;

	if (NumChanged >= MAX_CHANGED_KEYS)
	{
		OverflowLargestRelation();
		if (TrackRelation(relation)->overflowed)
			return NULL;
	}
	key = EnterKey(relation, hash);
	key->changed = true;
	key->relation->nchanged++;
	NumChanged++;
	return key;
}

/*
 * Give up on the keys of the table with most of them: its epoch will move.
 * That sticks to the end of the transaction, also if the changes roll back.
 */
static void
OverflowLargestRelation(void)
{
	TrackScan	scan;
	TrackedRelation *relation;
	TrackedRelation *largest = NULL;
	TrackedKey *key;
	int			kept = 0;

	BeginScan(&scan);
	while ((relation = NextRelation(&scan)) != NULL)
	{
		if (largest == NULL || relation->nchanged > largest->nchanged)
			largest = relation;
	}
	Assert(largest != NULL);
	largest->overflowed = true;
	NumChanged -= largest->nchanged;
	largest->nchanged = 0;

	for (int i = 0; i < NumTouches; i++)
	{
		if (Touches[i].key->relation != largest)
			Touches[kept++] = Touches[i];
	}
	NumTouches = kept;

	BeginScan(&scan);
	while ((key = NextKey(&scan)) != NULL)
	{
		if (key->relation != largest)
			continue;
		if (!key->changed)
			NumInserted--;
		DropImage(key);
		if (scan.next >= 0)
			key->relation = NULL;
		else
			hash_search(MoreKeys, &key->id, HASH_REMOVE, NULL);
	}
}

/* Remember that the current subtransaction had to do with this key. */
static void
TouchKey(TrackedKey *key)
{
	SubTransactionId subid = GetCurrentSubTransactionId();

	if (key->subid == subid)
		return;
	if (subid != TopSubTransactionId)
	{
		if (NumTouches == MaxTouches)
		{
			int			newmax = MaxTouches > 0 ? MaxTouches * 2 : 64;

			if (Touches == NULL)
				Touches = MemoryContextAlloc(TopTransactionContext,
											 newmax * sizeof(Touch));
			else
				Touches = repalloc_huge(Touches, newmax * sizeof(Touch));
			MaxTouches = newmax;
		}
		Touches[NumTouches].key = key;
		Touches[NumTouches].subid = subid;
		Touches[NumTouches].previous = key->subid;
		NumTouches++;
	}
	key->subid = subid;
}

/* Note "tuple" as the version to publish, if it can be. */
static void
SetVersion(TrackedKey *key, ItemRelation *relation, HeapTuple tuple)
{
	MemoryContext oldcontext;

	DropImage(key);
	key->publish = false;
	if (relation->state != RELATION_SERVED || ImageBytes >= MAX_IMAGE_BYTES)
	{
		OnlyRemove(key);
		return;
	}
	oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	key->image = ItemImage(relation->shape, tuple, ItemSizeLimit());
	MemoryContextSwitchTo(oldcontext);
	if (key->image == NULL)
	{
		OnlyRemove(key);
		return;
	}
	ImageBytes += ItemImageSize(key->image);
	key->tid = tuple->t_self;
	key->publish = true;
}

static void
DropImage(TrackedKey *key)
{
	if (key->image != NULL)
	{
		ImageBytes -= ItemImageSize(key->image);
		pfree(key->image);
		key->image = NULL;
	}
}

/* For good: nothing sets "publish" of a key that has been noted without. */
static void
OnlyRemove(TrackedKey *key)
{
	DropImage(key);
	key->publish = false;
	key->replaces = true;
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
		if (NumFewRelations > 0)
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
	tracked = FindRelation(relid);
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
		uint64		key = pg_atomic_read_u64(&OwnerSlot(i)->key);

		if ((Oid) (key >> 32) == MyDatabaseId)
			MoveEpochIfRedefined((Oid) key);
	}
	BeginScan(&scan);
	while ((tracked = NextRelation(&scan)) != NULL)
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

	BeginScan(&scan);
	while ((relation = NextRelation(&scan)) != NULL)
	{
		if (relation->overflowed)
			OwnerMoveEpoch(relation->key);
		else if (publish && !relation->redefined)
		{
			relation->owner = OwnerMake(relation->key);
			relation->epoch = OwnerEpoch(relation->owner, relation->key);
		}
		else
			relation->owner = OwnerFind(relation->key);
	}

	BeginScan(&scan);
	do
	{
		n = 0;
		while (n < PUBLISH_BATCH && (key = NextKey(&scan)) != NULL)
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
		StorePublish(key->id.hash, relation->epoch, xid, key->image,
					 ItemImageSize(key->image), key->replaces);
		CountEffect(relation, COUNT_PUBLISHES);
	}
	else if (key->replaces)
	{
		StoreRemove(key->id.hash);
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
	NumFewRelations = 0;
	NumFewKeys = 0;
	MoreRelations = NULL;		/* gone with TopTransactionContext */
	MoreKeys = NULL;
	NumChanged = 0;
	NumInserted = 0;
	ImageBytes = 0;
	Touches = NULL;
	NumTouches = 0;
	MaxTouches = 0;
	NumMessages = 0;
	AllMessages = false;
	DroppedDatabase = InvalidOid;
}

/*
 * What a subtransaction touched is now its parent's.  A key has at most one
 * entry for each subtransaction that is open, so the list stays short however
 * many come and go.
 */
static void
CommitTouches(SubTransactionId subid, SubTransactionId parent)
{
	int			first = NumTouches;
	int			kept;

	while (first > 0 && Touches[first - 1].subid >= subid)
		first--;
	kept = first;
	for (int i = first; i < NumTouches; i++)
	{
		Touch	   *touch = &Touches[i];

		touch->key->subid = parent;
		if (parent == TopSubTransactionId || touch->previous == parent)
			continue;
		touch->subid = parent;
		Touches[kept++] = *touch;
	}
	NumTouches = kept;
}

static void
AbortTouches(SubTransactionId subid)
{
	while (NumTouches > 0 && Touches[NumTouches - 1].subid >= subid)
	{
		Touch	   *touch = &Touches[--NumTouches];

		OnlyRemove(touch->key);
		touch->key->subid = touch->previous;
	}
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
 * A database is being dropped: its preload workers must leave it, and when it
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
}
