/*-------------------------------------------------------------------------
 *
 * notes.c
 *	  What a transaction has written: for each key, the version it was last
 *	  seen to leave.
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
 *
 * The first few tables and keys are noted in static arrays, since most
 * transactions write no more and making hash tables would cost most of the
 * time.  Everything else lives in TopTransactionContext.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "lookup/fill.h"
#include "track/bounds.h"
#include "track/notes.h"
#include "utils/memutils.h"

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

static TrackedRelation FewRelations[FEW_RELATIONS];
static int	NumFewRelations = 0;
static HTAB *MoreRelations = NULL;
static TrackedKey FewKeys[FEW_KEYS];	/* relation is NULL in removed ones */
static int	NumFewKeys = 0;
static HTAB *MoreKeys = NULL;

static int	NumChanged = 0;
static int	NumInserted = 0;
static Size ImageBytes = 0;

static Touch *Touches = NULL;
static int	NumTouches = 0;
static int	MaxTouches = 0;

static HTAB *MakeTable(const char *name, Size keysize, Size entrysize,
					   HashValueFunc hash);
static uint32 HashKeyId(const void *id, Size size);
static bool IsVersionNoted(const TrackedKey *key, HeapTuple tuple);
static TrackedKey *FindKey(ItemRelation *relation, uint64 hash);
static TrackedKey *EnterKey(ItemRelation *relation, uint64 hash);
static TrackedKey *EnterChangedKey(ItemRelation *relation, uint64 hash);
static void OverflowLargestRelation(void);
static void TouchKey(TrackedKey *key);
static void SetVersion(TrackedKey *key, ItemRelation *relation, HeapTuple tuple);
static void DropImage(TrackedKey *key);
static void OnlyRemove(TrackedKey *key);

bool
AnythingNoted(void)
{
	return NumFewRelations > 0;
}

void
ForgetNotes(void)
{
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
}

TrackedRelation *
TrackRelation(ItemRelation *relation)
{
	TrackedRelation *tracked = FindTrackedRelation(relation->relid);

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
	tracked->narrivals = 0;
	tracked->npassed = 0;
	tracked->redefined = false;
	tracked->owner = relation->owner;
	tracked->epoch = EPOCH_NONE;
	tracked->counters = NULL;
	return tracked;
}

TrackedRelation *
FindTrackedRelation(Oid relid)
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

void
BeginNotesScan(TrackScan *scan)
{
	scan->next = 0;
}

TrackedRelation *
NextTrackedRelation(TrackScan *scan)
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

TrackedKey *
NextTrackedKey(TrackScan *scan)
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
void
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
	{
		TrackRelation(relation)->npassed++;
		return;
	}
	key = EnterKey(relation, hash);
	NumInserted++;
	TouchKey(key);
	SetVersion(key, relation, tuple);
}

/*
 * A row now has "new" as its version under this key.  "old" is the version
 * before, NULL if that had another key.
 */
void
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

void
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

	BeginNotesScan(&scan);
	while ((relation = NextTrackedRelation(&scan)) != NULL)
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

	BeginNotesScan(&scan);
	while ((key = NextTrackedKey(&scan)) != NULL)
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

/*
 * What a subtransaction touched is now its parent's.  A key has at most one
 * entry for each subtransaction that is open, so the list stays short however
 * many come and go.
 */
void
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

void
AbortTouches(SubTransactionId subid)
{
	while (NumTouches > 0 && Touches[NumTouches - 1].subid >= subid)
	{
		Touch	   *touch = &Touches[--NumTouches];

		OnlyRemove(touch->key);
		touch->key->subid = touch->previous;
	}
}
