/*-------------------------------------------------------------------------
 *
 * absence.h
 *	  That there is no row of a key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_ABSENCE_H
#define ITEMCACHE_ABSENCE_H

#include "lookup/visibility.h"

/* What has to be read before the index is, to cache that it has nothing. */
typedef struct AbsenceFill
{
	bool		wanted;
	uint64		epoch;
	uint64		counter;
} AbsenceFill;

/*
 * Is it known that the snapshot of an access sees no row of a key?  "hash" is
 * the key's, by access->key and access->seed; "place" as for StoreFind().  Asked
 * when no row has been found.
 */
extern bool KeyIsAbsent(const ItemAccess *access, const Datum *key,
						uint64 hash, StoreHint place);

/*
 * Cache that there is no row of a key: to be called before the index is read, and
 * after, if there is no entry of the key in it at all.
 */
extern void BeginAbsence(AbsenceFill *fill, const ItemAccess *access,
						 uint64 hash);

/*
 * The first of these in two parts, for who looks several keys up in the index one
 * after the other: once for all of them, then for each of a copy of that.
 */
extern void BeginAbsences(AbsenceFill *fill, const ItemAccess *access);

static inline void
NextAbsence(AbsenceFill *fill, uint64 hash)
{
	if (fill->wanted)
		fill->counter = StoreReadCounter(hash);
}

extern void FillAbsence(const AbsenceFill *fill, const ItemAccess *access,
						const Datum *key, uint64 hash);

#endif							/* ITEMCACHE_ABSENCE_H */
