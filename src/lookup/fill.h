/*-------------------------------------------------------------------------
 *
 * fill.h
 *	  Rule 2: caching what was read from the table.  The only caller of
 *	  StoreFill().
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_FILL_H
#define ITEMCACHE_FILL_H

#include "lookup/visibility.h"
#include "storage/buf.h"

typedef struct FillItem
{
	HeapTupleHeader version;	/* on the page; seen by access->snapshot */
	uint64		hash;			/* KeyHash() of it */
	bool		used;			/* it counts as found once already */
	StoreResult result;			/* out; STORE_STALE as well when rule 2(a)
								 * refused it */
	/* private */
	uint64		counter;
	uint64		xid;
	StoreMark	mark;
	/* at the end, as it ends with a row's header, to which more could be added */
	ImageSource image;			/* of the version; has its TID */
} FillItem;

/*
 * Cache versions that were read, under access->snapshot and after
 * BeginItemAccess(), from the page in "buffer", which has been pinned since
 * and is not locked.  Counts fills and refusals.
 */
extern void FillItems(const ItemAccess *access, Buffer buffer,
					  FillItem *items, int nitems, bool if_room);

/*
 * Shall what has been looked up by the key of this hash, and is not in the store,
 * be cached, if it is found in the table?  Asked once for a lookup, before any work
 * is done for the fill: the answer to a second time would be another.  Counts
 * those that are not.
 *
 * PrefetchFill() has the processor fetch what the answer, or else the fill, will
 * read, PrefetchRoom() some time later what the fill will write, and PrefetchTail(),
 * again later, what has to go for that.
 */
extern bool FillPays(const ItemAccess *access, uint64 hash);
extern void PrefetchFill(const ItemAccess *access, uint64 hash);
extern void PrefetchRoom(const ItemAccess *access, uint64 hash);
extern void PrefetchTail(const ItemAccess *access, uint64 hash);

/*
 * Largest image that may be cached, in bytes (itemcache.max_item_size); and a
 * row that was read and has a larger one, or one that the store cannot hold.
 */
extern Size ItemSizeLimit(void);
extern void CountTooLarge(const ItemAccess *access);

#endif							/* ITEMCACHE_FILL_H */
