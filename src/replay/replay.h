/*-------------------------------------------------------------------------
 *
 * replay.h
 *	  What the startup process of a standby tells the cache (rule 0).
 *
 * For each place where a row version can be - database, file, block, line
 * pointer - there is a word in shared memory: the end of the last WAL record
 * replayed that gave a version there an updater.  Places share words, as keys
 * share the buckets of a hash table.  A word and what it held is a mark
 * (StoreMark): an entry made during recovery carries the mark of its version,
 * and is the row's only as long as the word has not changed.
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
 * Say that versions on the buffer's page are about to be cached; then read the
 * mark of one of them.  Before its xmax is looked at, and the former before
 * the buffer is locked for that.  The page must be pinned.
 */
extern uint64 ReplayPage(Buffer buffer);
extern void ReplayReadMark(uint64 page, OffsetNumber offset, StoreMark *mark);

/* in replay.c; NULL: nothing is cached during recovery */
extern pg_atomic_uint64 *ReplayWords;

/* May the cache be used during recovery, and by snapshots taken in it? */
static inline bool
ReplayIsFollowed(void)
{
	return ReplayWords != NULL;
}

/*
 * Is a mark, read from an entry and found to be the entry's own, what it was
 * when the entry was made?  After the snapshot was taken that is to be served.
 */
static inline bool
ReplayMarkIsCurrent(const StoreMark *mark)
{
	return pg_atomic_read_u64(&ReplayWords[mark->word]) == mark->lsn;
}

typedef struct ReplayStats
{
	Size		memory;			/* bytes of the words, with what goes with them */
	uint64		versions;		/* that got an updater, of cached tables */
	uint64		tables;			/* cached, whose items were dropped for DDL */
} ReplayStats;

extern void ReplayGetStats(ReplayStats *stats);

#endif							/* ITEMCACHE_REPLAY_H */
