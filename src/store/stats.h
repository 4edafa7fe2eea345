/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  Counters: kept per backend, summed when read.
 *
 * Each backend has a few lines in shared memory, one for each table it has
 * used lately, which nobody else writes.  When it needs a line for another
 * table, it adds the line's counts to the table's Owner and takes the line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_STATS_H
#define ITEMCACHE_STATS_H

#include "store/owner.h"

typedef struct CounterLine
{
	uint64		owner;			/* owner's key; 0 for a free line */
	uint64		counts[COUNTER_KINDS];
} CounterLine;

/* (The server has a StatsShmemInit() of its own.) */
extern Size CountersShmemSize(void);
extern void CountersShmemInit(void);

/* This backend's line for owner "number" of key "key"; never NULL. */
extern CounterLine *StatsLine(int number, uint64 key);

/*
 * Count "n" events.  "*line" is the caller's remembered line for the owner
 * (or NULL), looked up again when it has been given to another.
 */
static inline void
StatsCount(CounterLine **line, int number, uint64 key, CounterKind kind, uint64 n)
{
	if (*line == NULL || (*line)->owner != key)
		*line = StatsLine(number, key);
	(*line)->counts[kind] += n;
}

/* The counts of an owner over all backends, and of all owners together. */
extern void StatsOfOwner(int number, uint64 key, uint64 counts[COUNTER_KINDS]);
extern void StatsOfAll(uint64 counts[COUNTER_KINDS]);

/*
 * Let an owner's counts begin at zero.  Those of all owners together stay as
 * they are.  Counts that come at this very moment may be lost.
 */
extern void StatsReset(int number, uint64 key);

#endif							/* ITEMCACHE_STATS_H */
