/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The shared-memory store: bytes under 64-bit hashes.
 *
 * The store knows nothing of tables.  An item is found by the hash of its
 * key and the epoch of its owner (owner.h); it carries the 64-bit xid that
 * made it visible.  It compares 40 bits of the hash or more, so a caller
 * compares the key itself with what it has copied out.  Two keys of one owner
 * with one hash push each other out; removing one removes both.  Those of
 * different owners do not know of each other.
 *
 * Besides rows there are aliases and absences, which are found likewise, and
 * by nobody who looks for a row.
 *
 * Readers take no lock.  A lookup is
 *
 *		StorePrefetch(1, &hash, nbytes, &hint);	-- optional, some time before
 *		if (StoreFind(hash, epoch, STORE_ROW, nbytes, hint, &item) &&
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
#include "store/owner.h"

/* Have the processor fetch a cache line, which need not be there. */
#if defined(__GNUC__) || defined(__clang__)
#define prefetch(address)	__builtin_prefetch(address)
#define prefetch_for_write(address) __builtin_prefetch((address), 1)
#else
#define prefetch(address)	((void) 0)
#define prefetch_for_write(address) ((void) 0)
#endif

/* Payload sizes are multiples of this; payloads are aligned to it. */
#define STORE_ALIGN			8

/* No payload may be larger, whatever the settings say. */
#define STORE_MAX_SIZE		((Size) MAX_ITEM_SIZE_LIMIT * 1024)

/*
 * What a row may carry besides; kept with it, and not interpreted here.
 */
typedef struct StoreMark
{
	uint64		place;
	uint64		lsn;
} StoreMark;

/* What is put in under a hash. */
typedef struct StoreContent
{
	StoreKind	kind;
	uint64		xid;			/* of a row: the FullTransactionId that made it
								 * visible; of an alias: the row's hash; of an
								 * absence: nothing (it takes no room) */
	const void *payload;
	Size		size;			/* of it, a multiple of STORE_ALIGN */
	Size		padding;		/* zeroes that end it, and are not at "payload" */
	const void *head;			/* what stands for the first bytes of it, ... */
	Size		head_size;		/* ... which are so many */
	const StoreMark *mark;		/* NULL if it has none */
	bool		used;			/* it counts as found once already */
} StoreContent;

/* An item as StoreFind() found it. */
typedef struct StoreItem
{
	uint64		xid;			/* as in StoreContent */
	bool		committed;		/* its xid is known to have committed */
	bool		marked;			/* has "mark" */
	StoreMark	mark;
	Size		size;			/* bytes of payload */
	/* the rest is the store's own */
	uint64		epoch;
	const char *payload;
	pg_atomic_uint64 *tail;
	uint64		position;
	pg_atomic_uint64 *slot;
	uint64		slot_word;
} StoreItem;

typedef enum StoreResult
{
	STORE_DONE,					/* the item is in */
	STORE_STALE,				/* the epoch or the key's counter has moved */
	STORE_BUSY,					/* others kept the partition locked */
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

/* A hint that says that the hash was not there, which StoreFind() then believes. */
#define STORE_MISSING		((StoreHint) 1)

/* For one key; "missing": which is expected not to be there. */
extern void StorePrefetchSlots(uint64 hash, bool missing);

/*
 * The same for a fill of the hash, in three steps, each some time after the one
 * before: what it reads that StoreFind() has not read; where it will write, about
 * so many bytes; and what it has to change for that, of what is there.
 */
extern void StorePrefetchFill(uint64 hash);
extern void StorePrefetchRoom(uint64 hash, Size nbytes);
extern void StorePrefetchTail(uint64 hash, Size nbytes);

/*
 * For who fills very much: have the kernel map for this process the memory that so
 * many bytes of the hash will be written to, and what comes next.  Otherwise it is
 * done page by page, under the lock.
 */
extern void StoreMapRoom(uint64 hash, Size nbytes);

extern void StorePrefetch(int nhashes, const uint64 *hashes, Size nbytes,
						  StoreHint *hints);

/*
 * After StorePrefetch(), with nbytes of which a mark is part: marks[i] is set to
 * that of what hints[i] points to, to zeroes if there is none.  Not verified in
 * any way: good for nothing but to have the processor fetch something.
 */
extern void StorePeekMarks(int nhashes, const uint64 *hashes,
						   const StoreHint *hints, StoreMark *marks);

/*
 * Look for an item of a kind and "hash" under "epoch".  On true, *item describes
 * it as it was at that moment (header and mark have been verified against the tail).
 */
extern bool StoreFind(uint64 hash, uint64 epoch, StoreKind kind, Size nbytes,
					  StoreHint hint, StoreItem *item);

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
 * Put in what was read from the table: rule 2(b) under the partition lock:
 * refused with STORE_STALE unless the owner's epoch is "epoch" and the hash's
 * counter is "counter".  Replaces whatever the owner has of the hash, be it of
 * another kind.  With "if_room", refuses to evict a live item.
 *
 * Nobody needs a fill: it does not wait for the partition's lock, but tries a
 * few times and gives up with STORE_BUSY.  With "if_room", which is a load's and
 * leaves a hole then, it tries for a moment longer.
 */
extern StoreResult StoreFill(uint64 hash, uint64 epoch,
							 const StoreContent *content,
							 uint64 counter, bool if_room);

/*
 * Put in, uncommitted, the version that a transaction leaves; "replaces" says
 * that it supersedes another version, so that fills must be refused.  If it
 * cannot be held, or "epoch" is no longer that of "owner" (its key), whatever
 * this one has of the hash is removed.
 */
extern StoreResult StorePublish(uint64 owner, uint64 hash, uint64 epoch,
								const StoreContent *content, bool replaces);

/*
 * Remove whatever the owner of key "owner" has of "hash", of any kind, and
 * refuse fills in flight.
 */
extern void StoreRemove(uint64 owner, uint64 hash);

/*
 * Aliases: "hash" leads to the row of hash "row".  A hint: the row there may have
 * any key by now, or be gone.
 */
extern bool StoreFindAlias(uint64 hash, uint64 epoch, StoreHint hint,
						   uint64 *row);
extern StoreResult StorePutAlias(uint64 hash, uint64 epoch, uint64 row,
								 bool if_room);

/*
 * Absences, under OwnerAbsenceEpoch(): there is no row of the key whose image is
 * "key" ("size" bytes, a multiple of STORE_ALIGN).  Put in as by StoreFill().
 */
extern bool StoreFindAbsence(uint64 hash, uint64 epoch, StoreHint hint,
							 const void *key, Size size);
extern StoreResult StoreFillAbsence(uint64 hash, uint64 epoch,
									const void *key, Size size,
									uint64 counter);

/*
 * A walk through all rows under current epochs; begins with a zeroed
 * StoreWalk.  Sets at most "max" (64 or more) of walked[], and returns how many;
 * 0 at the end.  Takes no lock: what is moved meanwhile may be met twice, or
 * not at all.
 */
#define STORE_WALK_BYTES	24
#define STORE_MAX_USES		4

typedef struct StoreWalk
{
	int			partition;
	uint32		bucket;
} StoreWalk;

typedef struct StoreWalked
{
	uint64		epoch;
	int			uses;			/* how much it is used; 0 is little, and
								 * STORE_MAX_USES the most */
	char		payload[STORE_WALK_BYTES];	/* how it begins */
} StoreWalked;

extern int	StoreWalkNext(StoreWalk *walk, StoreWalked *walked, int max);

/*
 * entries[0] to entries[STORE_MAX_USES]: how many of any kind are used so much, about.
 * StoreForgetUse() takes one of their uses from all that are no newcomers, so that
 * those that go on being used can be told from others.
 */
extern void StoreCountUses(uint64 *entries);
extern void StoreForgetUse(void);

/* Sums over the partitions, read without locks. */
extern void StoreGetStats(StoreStats *stats);

/*
 * A hint: so many more items, of so many bytes on average, are about to be put
 * in.  The index is made large enough for those that there is room for, as far
 * as that can be believed: not for more than some times what it has.  Does not
 * wait for locks.
 */
extern void StoreExpect(uint64 nitems, Size nbytes);

#endif							/* ITEMCACHE_STORE_H */
