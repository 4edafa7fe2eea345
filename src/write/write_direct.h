/*-------------------------------------------------------------------------
 *
 * write_direct.h
 *	  The direct update of a put: the update of a row that the cache has, without
 *	  the search of the INSERT for a conflict.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WRITE_DIRECT_H
#define ITEMCACHE_WRITE_DIRECT_H

#include "nodes/execnodes.h"
#include "table/relation.h"

typedef struct DirectUpdate DirectUpdate;

/*
 * Can rows of the statement that "modify" begins to execute, which is a put's
 * into a relation that the caller has locked, go this way?  Returns NULL if
 * they cannot, else what UpdateDirectly() is to be called with, allocated in
 * the executor state's memory.  Call after ExecutorStart(), and after the
 * statement's condition was set.
 */
extern DirectUpdate *BeginDirectUpdate(ItemRelation *relation,
									   ModifyTableState *modify);

/* How many items are prepared together, at most. */
#define DIRECT_BATCH	16

/*
 * Find out where to look for the rows of these items, which come next, and
 * have the processor fetch what is there.
 */
extern void PrepareItems(DirectUpdate *direct, const HeapTupleHeader *items,
						 int nitems);

/*
 * Update the row of item "i" of those, with all that the statement does for it;
 * "row" is what the statement makes of the item, to insert.  False if nothing
 * was done and that is to be given to the statement.  Raises what the
 * statement would.
 */
extern bool UpdateDirectly(DirectUpdate *direct, int i, TupleTableSlot *row);

#endif							/* ITEMCACHE_WRITE_DIRECT_H */
