/*-------------------------------------------------------------------------
 *
 * visibility.h
 *	  Rules 0, 1, 2(a), 4, 5 and U: may this snapshot be served, and may what
 *	  it reads be cached?
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_VISIBILITY_H
#define ITEMCACHE_VISIBILITY_H

#include "access/htup.h"
#include "store/store.h"
#include "table/uniquekey.h"
#include "utils/snapshot.h"

/*
 * Permission to use the cache for one relation (never a partitioned one)
 * under one snapshot; good for one call or batch.
 */
typedef struct ItemAccess
{
	ItemRelation *relation;
	ItemShape  *shape;
	Snapshot	snapshot;
	ItemIndex	index;			/* by which rows are looked up */
	ItemShape  *key;			/* with its columns for the key */
	const uint64 *seed;			/* of that key's hashes */
	bool		unique;			/* rule U: a key has one row at most */
	uint64		epoch;			/* EPOCH_NONE: keep away from the cache */
	bool		serve;
	bool		fill;
	bool		absences;		/* if "serve": also that there is no row */
	UniqueKey  *alias;			/* the key, if it is not the primary key */
} ItemAccess;

/*
 * Decide.  The caller has called ItemRelationForRead() (or ItemRelationOf()
 * after accepting invalidations) since it got the snapshot; "index" is the
 * relation's, as it was described then, by whose columns rows are looked up.
 */
extern void BeginItemAccess(ItemAccess *access, ItemRelation *relation,
							const ItemIndex *index, Snapshot snapshot);

/*
 * The same for who asks the cache only where a row is, to look in the table:
 * false if it is not to be asked.  A transaction that has written the relation
 * may ask, if the relation's file is still the one that others have.
 */
extern bool BeginItemSearch(ItemAccess *access, ItemRelation *relation,
							Snapshot snapshot);

/*
 * Rule U: are the rows of a key, among those that the snapshot sees, one at
 * most, and do none have a NULL in it?  What is asked of the index has been
 * read since the snapshot was taken, as above.
 */
extern bool IndexIsUnique(const ItemIndex *index, Snapshot snapshot);

/*
 * The planner's question about an index: do all snapshots that this session can
 * have now see the transaction that made it what it is?
 */
extern bool IndexIsOld(const ItemIndex *index);

/*
 * StorePrefetch() of rows that will be served, with what ItemIsVisible() reads
 * for them.
 */
extern void PrefetchItems(int nhashes, const uint64 *hashes, Size nbytes,
						  StoreHint *hints);

/*
 * Rule 1: does "item" serve the snapshot?  May look up the commit status of
 * its xid, and remembers it in the slot.  The epoch has been compared by the
 * store.
 */
extern bool ItemIsVisible(const ItemAccess *access, const StoreItem *item);

/*
 * Rule 2(a): has the version no updater?  The caller holds a share lock on
 * the version's buffer.
 */
extern bool VersionIsCurrent(HeapTupleHeader version);

/*
 * The stamp of a version that the snapshot sees: the 64-bit xid that made it
 * visible; 0 if it may not be cached (its inserter is this transaction).
 * Call with the buffer share-locked.
 */
extern uint64 VersionXid(HeapTupleHeader version);

#endif							/* ITEMCACHE_VISIBILITY_H */
