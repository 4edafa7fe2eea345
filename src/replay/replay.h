/*-------------------------------------------------------------------------
 *
 * replay.h
 *	  What the startup process of a standby tells the cache (rule 0).
 *
 * For each place where a row version can be - database, file, block, line
 * pointer - there is a word in shared memory: the end of the last WAL record
 * replayed that gave a version there an updater.  For each region, so many
 * blocks of a file, there is one for all of its places.  Places share words, and
 * regions theirs, as keys share the buckets of a hash table.
 *
 * An entry made during recovery carries a mark (StoreMark): which the words of
 * its version are, and what the higher one held when it was made.  It is the
 * row's as long as one of them holds no more than that.  Where nothing is written the
 * region's says so, and that is in the processor's cache.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_REPLAY_H
#define ITEMCACHE_REPLAY_H

#include "port/atomics.h"
#include "storage/buf.h"
#include "storage/off.h"
#include "store/store.h"

/*
 * Will this server, as it was started, use the cache during recovery?  Asked
 * first in _PG_init, and the same as long as the postmaster lives.
 */
extern bool ReplayWillBeFollowed(void);

/* Have the startup process tell us, if so.  In _PG_init. */
extern void ReplayInit(void);

/* Shared memory for a cache of "memory" bytes; none unless it is followed. */
extern Size ReplayShmemSize(Size memory);
extern void ReplayShmemInit(Size memory);

/*
 * Say that versions on the buffer's page are about to be cached, and read what
 * their marks have in common; the mark of one of them.  Both before the buffer
 * is locked to look at their xmax.  The page must be pinned.
 */
extern void ReplayReadMark(Buffer buffer, StoreMark *page);
extern StoreMark ReplayMarkOf(const StoreMark *page, OffsetNumber offset);

/* in replay.c; NULL: nothing is cached during recovery */
extern pg_atomic_uint64 *ReplayRegions;
extern pg_atomic_uint64 *ReplayWords;
extern uint64 ReplayRegionCount;

/*
 * A mark's place:
 *
 *		region 16 | word 48
 */
#define MARK_REGION_SHIFT	48
#define MarkRegion(mark)	((mark)->place >> MARK_REGION_SHIFT)
#define MarkWord(mark) \
	((mark)->place & ((UINT64CONST(1) << MARK_REGION_SHIFT) - 1))

/* May the cache be used during recovery, and by snapshots taken in it? */
static inline bool
ReplayIsFollowed(void)
{
	return ReplayRegions != NULL;
}

static inline bool
RegionIsUnchanged(const StoreMark *mark)
{
	return pg_atomic_read_u64(&ReplayRegions[MarkRegion(mark)]) <= mark->lsn;
}

/*
 * Has the version of an entry got no updater since the entry was made?  The
 * mark has been read from it, and found to be its own.  After the snapshot was
 * taken that is to be served.
 */
static inline bool
ReplayMarkIsCurrent(const StoreMark *mark)
{
	return RegionIsUnchanged(mark) ||
		pg_atomic_read_u64(&ReplayWords[MarkWord(mark)]) <= mark->lsn;
}

/* Have the processor fetch what that will read.  The mark may be garbage. */
static inline void
ReplayPrefetchMark(const StoreMark *mark)
{
	if (MarkRegion(mark) < ReplayRegionCount && !RegionIsUnchanged(mark))
		prefetch(&ReplayWords[MarkWord(mark)]);
}

typedef struct ReplayStats
{
	Size		memory;			/* bytes of the words, with what goes with them */
	uint64		versions;		/* that got an updater, of cached tables */
	uint64		tables;			/* cached, whose items were dropped for DDL */
} ReplayStats;

extern void ReplayGetStats(ReplayStats *stats);

#endif							/* ITEMCACHE_REPLAY_H */
