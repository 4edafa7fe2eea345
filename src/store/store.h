/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The shared-memory store: bytes under 64-bit hashes.
 *
 * The store knows nothing of tables.  An item is found by the hash of its
 * key and the epoch of its owner (owner.h); it carries the 64-bit xid that
 * made it visible.  It compares 40 bits of the hash or more, so a caller
 * compares the key itself with what it has copied out.  Two keys of one hash
 * push each other out; removing one removes both.
 *
 * Readers take no lock.  A lookup is
 *
 *		StorePrefetch(1, &hash, nbytes, &hint);	-- optional, some time before
 *		if (StoreFind(hash, epoch, nbytes, hint, &item) &&
 *			... rule 1 on item.xid, item.committed ... &&
 *			StoreCopy(&item, buffer, nbytes))
 *			... and only now are the bytes known to be the item's ...
 *
 * Nothing here raises an error or allocates memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_STORE_H
#define ITEMCACHE_STORE_H

#include "port/atomics.h"
#include "settings.h"

/* Payload sizes are multiples of this; payloads are aligned to it. */
#define STORE_ALIGN			8

/* No payload may be larger, whatever the settings say. */
#define STORE_MAX_SIZE		((Size) MAX_ITEM_SIZE_LIMIT * 1024)

/* An item as StoreFind() found it. */
typedef struct StoreItem
{
	uint64		xid;			/* FullTransactionId that made it visible */
	bool		committed;		/* known to have committed */
	Size		size;			/* bytes of payload */
	/* the rest is the store's own */
	const char *payload;
	pg_atomic_uint64 *tail;
	uint64		position;
	pg_atomic_uint64 *slot;
	uint64		word;
} StoreItem;

typedef enum StoreResult
{
	STORE_DONE,					/* the item is in */
	STORE_STALE,				/* the epoch or the key's counter has moved */
	STORE_FULL,					/* no room but by evicting a live item */
	STORE_TOO_LARGE				/* can never be held */
} StoreResult;

typedef struct StoreStats
{
	Size		memory;			/* bytes of shared memory, all in all */
	Size		capacity;		/* bytes of the rings */
	Size		used;			/* bytes of live items in them */
	uint64		max_items;
	uint64		items;
	uint64		evictions;
	int			partitions;
} StoreStats;

/*
 * Shared memory.  StoreShmemSize() is what is left of "memory" after "taken"
 * bytes went to others; StoreShmemInit() lays it out, once for the cluster,
 * and attaches.  Neither uses more than that.
 */
extern Size StoreShmemSize(Size memory, Size taken);
extern int	StorePartitionLocks(Size memory);
extern void StoreShmemInit(Size memory, Size taken);

/* True when shared memory is there, that is, the library was preloaded. */
extern bool StoreIsAttached(void);

/*
 * Have the processor fetch what StoreFind() reads first for a hash; or all
 * that it and StoreCopy() will read for some hashes, at most
 * STORE_PREFETCH_MAX.  Here and below, "nbytes" is what the caller is going to
 * copy of the payload.  hints[i] is set to where hashes[i] seems to be, for
 * StoreFind() to look first; it promises nothing.
 */
#define STORE_PREFETCH_MAX	64

typedef pg_atomic_uint64 *StoreHint;	/* NULL: it may be anywhere */

extern void StorePrefetchSlots(uint64 hash);
extern void StorePrefetch(int nhashes, const uint64 *hashes, Size nbytes,
						  StoreHint *hints);

/*
 * Look for an item of "hash" under "epoch".  On true, *item describes it as
 * it was at that moment (its header has been verified against the tail).
 */
extern bool StoreFind(uint64 hash, uint64 epoch, Size nbytes, StoreHint hint,
					  StoreItem *item);

/*
 * Copy the first "nbytes" (at most item->size) of the payload to "dest".
 * False if the ring has moved over the item meanwhile: "dest" is garbage.
 */
extern bool StoreCopy(const StoreItem *item, void *dest, Size nbytes);

/* Record a hit: the frequency bits, while below their maximum. */
extern void StoreTouch(const StoreItem *item);

/* Remember in the slot that the item's xid has committed. */
extern void StoreSetCommitted(const StoreItem *item);

/*
 * The invalidation counter of "hash": moved by every StoreRemove() and by
 * every StorePublish() that replaces a version.  For rule 2(b): read it after
 * the version, and look at the version's xmax after it.  The function has the
 * read barriers on both sides.
 */
extern uint64 StoreReadCounter(uint64 hash);

/*
 * Put in an item read from the table: rule 2(b) under the partition lock:
 * refused with STORE_STALE unless the owner's epoch is "epoch" and the hash's
 * counter is "counter".  Replaces whatever the slot holds.  "size" is a
 * multiple of STORE_ALIGN.  With "if_room", refuses to evict a live item.
 */
extern StoreResult StoreFill(uint64 hash, uint64 epoch, uint64 xid,
							 const void *payload, Size size,
							 uint64 counter, bool if_room);

/*
 * Put in, uncommitted, the version that a transaction leaves; "replaces" says
 * that it supersedes another version, so that fills must be refused.  If it
 * cannot be held, or "epoch" is no longer its owner's, whatever the store has
 * of the hash is removed.
 */
extern StoreResult StorePublish(uint64 hash, uint64 epoch, uint64 xid,
								const void *payload, Size size, bool replaces);

/* Remove whatever the store has of "hash", and refuse fills in flight. */
extern void StoreRemove(uint64 hash);

/* Sums over the partitions; takes each partition lock in turn, shared. */
extern void StoreGetStats(StoreStats *stats);

#endif							/* ITEMCACHE_STORE_H */
