/*-------------------------------------------------------------------------
 *
 * notes.h
 *	  What a transaction has written: tables, and for each key the version it
 *	  was last seen to leave.  For the files of track/.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_NOTES_H
#define ITEMCACHE_NOTES_H

#include "storage/itemptr.h"
#include "table/relation.h"
#include "utils/hsearch.h"

/* A table this transaction has written. */
typedef struct TrackedRelation
{
	Oid			relid;			/* hash key; must be first */
	uint64		key;			/* as owner */
	int			nchanged;		/* keys noted that are updated or deleted */
	bool		overflowed;		/* too many keys: its epoch will move */
	int			narrivals;		/* see arrival.h */
	int			npassed;		/* rows inserted that were not noted */
	bool		redefined;		/* DDL: publishes nothing */
	int			owner;			/* slot to publish under, with this epoch; until
								 * then, where it may be */
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

/* A walk through all tables, or all keys, noted. */
typedef struct TrackScan
{
	int			next;			/* in the array; -1 when in the hash table */
	HASH_SEQ_STATUS status;
} TrackScan;

/* Has anything been noted in this transaction? */
extern bool AnythingNoted(void);

/* The note of a table, made if there is none; or the one there is, or NULL. */
extern TrackedRelation *TrackRelation(ItemRelation *relation);
extern TrackedRelation *FindTrackedRelation(Oid relid);

/*
 * Note that a row came, changed or went.  "hash" is its key's; of an update
 * that changed the key, the old one is a removal and the new one an update
 * whose "old" is NULL.  The image of the version is made now, which may read
 * TOAST and run out of memory.
 */
extern void NoteInsert(ItemRelation *relation, uint64 hash, HeapTuple tuple);
extern void NoteUpdate(ItemRelation *relation, uint64 hash, HeapTuple old,
					   HeapTuple new);
extern void NoteRemoval(ItemRelation *relation, uint64 hash);

/*
 * Walk through the notes.  A walk that is given up before its end must not be
 * one of more notes than fit the arrays (it would leave a hash table's scan
 * open).
 */
extern void BeginNotesScan(TrackScan *scan);
extern TrackedRelation *NextTrackedRelation(TrackScan *scan);
extern TrackedKey *NextTrackedKey(TrackScan *scan);

/* The end of a subtransaction, and of the transaction; neither raises errors. */
extern void CommitTouches(SubTransactionId subid, SubTransactionId parent);
extern void AbortTouches(SubTransactionId subid);
extern void ForgetNotes(void);

#endif							/* ITEMCACHE_NOTES_H */
