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

/* What has to be told of a table in the statement that is executed. */
typedef enum RowInterest
{
	INTEREST_ALL,
	INTEREST_CHANGES,			/* updates and deletes, but not inserts */
	INTEREST_NONE
} RowInterest;

/*
 * Note that "new" has taken the place of "old": either is NULL if there is no
 * such version.  Their TIDs must be set; the image of "new" is made now, which
 * may read TOAST.  Returns what changes of the table need to be told from now
 * on; to tell more does no harm.
 */
extern RowInterest TrackRowChange(ItemRelation *relation, HeapTuple old,
								  HeapTuple new);

/*
 * Something of the table was written, and nobody knows what: all that is cached of
 * it will go.
 */
extern void TrackUnknownChange(ItemRelation *relation);

#endif							/* ITEMCACHE_TRACK_H */
