/*-------------------------------------------------------------------------
 *
 * lookup.h
 *	  One item or a batch of items by key: from the cache, else from the
 *	  table, which fills the cache.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_LOOKUP_H
#define ITEMCACHE_LOOKUP_H

#include "table/uniquekey.h"
#include "utils/snapshot.h"

/* How many keys LookupItems() handles at a time. */
#define LOOKUP_BATCH	64

/*
 * Look up items of "relation" (plain or partitioned, with ItemRelationForRead
 * called since the snapshot was taken) by "unique", as known since then, or by the
 * primary key if that is NULL.  keys[i] is an array of non-null values of the key
 * columns' types, or NULL for a key that cannot exist.  results[i] is set to a row of the relation,
 * allocated in the current memory context, with its length as a datum has it,
 * or NULL where there is no row; MakeRowDatum() makes it a datum.
 *
 * Where the key does not hold for the snapshot (rule U), a key can have
 * more rows: more[i], which is NIL else, is set to a list of those after the
 * first.  If "more" is NULL, they are ERRCODE_CARDINALITY_VIOLATION.
 *
 * "read_table": row security is in force, read the table through a planned
 * query.  Privileges have been checked by the caller.
 *
 * At most LOOKUP_BATCH keys.
 */
extern void LookupItems(ItemRelation *relation, UniqueKey *unique,
						Snapshot snapshot, bool read_table, int nkeys,
						Datum *const *keys, HeapTupleHeader *results,
						List **more);

/*
 * The same for one key that can exist and shall have one row at most, without
 * the detours of a batch; "hash" is its KeyHash().
 */
extern HeapTupleHeader LookupItem(ItemRelation *relation, UniqueKey *unique,
								  Snapshot snapshot, bool read_table,
								  Datum *key, uint64 hash);

/*
 * Have the processor fetch what a lookup of the key with this hash will read
 * first, while the caller still prepares for it.  Changes nothing and promises
 * nothing.
 */
extern void PrefetchItem(const ItemRelation *relation, uint64 hash);

#endif							/* ITEMCACHE_LOOKUP_H */
