/*-------------------------------------------------------------------------
 *
 * partition.h
 *	  From the key of a partitioned table to the leaf that has its row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_PARTITION_H
#define ITEMCACHE_PARTITION_H

#include "table/relation.h"

/*
 * The leaf of "root" that a row with this key is in, locked and described as
 * by ItemRelationForRead(); NULL if no partition takes it.  "key" has values
 * of root's key columns.  *by_query is set if the leaf cannot be told from the
 * key, or cannot be read by it; then the root must be read by a query.
 *
 * Uses the partition descriptor of the active snapshot.
 */
extern ItemRelation *FindLeaf(ItemRelation *root, const Datum *key,
							  bool *by_query);

/*
 * Make an image of a leaf's row one with root's columns: the same memory, or a
 * copy in the current memory context.
 */
extern HeapTupleHeader ConvertLeafImage(ItemRelation *root, ItemRelation *leaf,
										HeapTupleHeader image);

#endif							/* ITEMCACHE_PARTITION_H */
