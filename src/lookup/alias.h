/*-------------------------------------------------------------------------
 *
 * alias.h
 *	  From a value of a unique index to the row that probably has it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_ALIAS_H
#define ITEMCACHE_ALIAS_H

#include "lookup/visibility.h"
#include "table/uniquekey.h"

/*
 * BeginItemAccess() for lookups by another unique index than the primary key's.
 */
extern void BeginAliasAccess(ItemAccess *access, ItemRelation *relation,
							 UniqueKey *unique, Snapshot snapshot);

/*
 * Where the row of the value with hash "hash" (KeyHash() by the index's shape
 * and seed) probably is: *row is the hash of its primary key.  The caller
 * compares the row that is there with the value.
 */
extern bool FindAlias(uint64 epoch, uint64 hash, StoreHint hint, uint64 *row);

/*
 * The row of that value was found in the table, and cached as "row": remember
 * it, if that is not what is known already; with "if_room", only if nothing else
 * has to go for it.
 */
extern void PutAlias(const ItemAccess *access, uint64 hash, uint64 row,
					 bool if_room);

/*
 * Have the processor fetch what lookups of these hashes will read, the rows'
 * first "nbytes" included; at most STORE_PREFETCH_MAX.  rows[i] is set to where
 * the i-th leads, and hints[i] is for looking there; or rows[i] to NO_ROW, and
 * hints[i] is for looking for something else of the value.
 */
#define NO_ROW		UINT64CONST(0)

extern void PrefetchAliases(uint64 epoch, int nhashes, const uint64 *hashes,
							Size nbytes, uint64 *rows, StoreHint *hints);

#endif							/* ITEMCACHE_ALIAS_H */
