/*-------------------------------------------------------------------------
 *
 * arrival.h
 *	  Keys that come: what the cache has of their absence goes.  For the files
 *	  of track/.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_ARRIVAL_H
#define ITEMCACHE_ARRIVAL_H

#include "track/notes.h"

/*
 * A row has come, or has changed: "new" is what it is, "old" what it was, or
 * NULL.  The row is in all indexes.  "tracked" is the relation's note; NULL when
 * it is too late for notes.
 */
extern void RemoveAbsences(ItemRelation *relation, TrackedRelation *tracked,
						   HeapTuple old, HeapTuple new);

/* Remove no more: there are too many to be told one by one. */
extern void VoidAbsences(TrackedRelation *tracked);

/*
 * Were there so many that some were not removed?  Then the table's epoch of
 * absences has to move when the transaction is about to be seen, or prepared.
 */
extern bool AbsencesAreVoid(const TrackedRelation *tracked);

/*
 * A relation has just been made.  If it is an index, its table may have had
 * another over the same columns, which was dropped: what was absent from that
 * need not be any more.
 */
extern void ForgetAbsencesIfIndex(Oid relid);

#endif							/* ITEMCACHE_ARRIVAL_H */
