/*-------------------------------------------------------------------------
 *
 * track.h
 *	  Rules 3 and 6: what a transaction writes, and what becomes of it in the
 *	  cache when it commits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_TRACK_H
#define ITEMCACHE_TRACK_H

#include "table/relation.h"

/* Install the transaction, relcache and object-access callbacks. */
extern void TrackInit(void);

/*
 * Note that "new" has taken the place of "old": either is NULL if there is no
 * such version.  Their TIDs must be set; the image of "new" is made now, which
 * may read TOAST.
 */
extern void TrackRowChange(ItemRelation *relation, HeapTuple old,
						   HeapTuple new);

#endif							/* ITEMCACHE_TRACK_H */
