/*-------------------------------------------------------------------------
 *
 * read.h
 *	  Reading items from the table: by its primary key's index, or by a
 *	  planned query where that cannot be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_READ_H
#define ITEMCACHE_READ_H

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "lookup/visibility.h"

/* An open scan of a plain table's primary key. */
typedef struct ItemReader
{
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;		/* the row found, pinned on its page */
	IndexScanDesc scan;
	ScanKeyData keys[INDEX_MAX_KEYS];
} ItemReader;

/*
 * Can the relation be read by its primary key's index under "snapshot", as
 * the planner would judge it?  If not, ReadItemsByQuery() reads it.
 */
extern bool RelationIsReadByIndex(const ItemRelation *relation, Snapshot snapshot);

/*
 * Open a reader, for which RelationIsReadByIndex() has been asked; read the
 * row of a key into reader->slot (false if there is none); cache the row that
 * was read, which is "image" if that has been made, if access->fill; close.
 */
extern void OpenItemReader(ItemReader *reader, const ItemAccess *access);
extern bool ReadItem(ItemReader *reader, const Datum *key);
extern void FillFromReader(ItemReader *reader, const ItemAccess *access,
						   HeapTupleHeader image);
extern void CloseItemReader(ItemReader *reader);

/*
 * Read the rows of "nkeys" keys (all of them, in order) of a plain table, and
 * cache what may be cached if access->fill.  results[i] as for LookupItems(),
 * but untouched where keys[i] is NULL.
 */
extern void ReadItemsByIndex(const ItemAccess *access, int nkeys,
							 Datum *const *keys, HeapTupleHeader *results);

/*
 * The same, as the query "SELECT t FROM relation t WHERE key = ..." with all
 * that the planner puts into it (row-level security, partitions); caches
 * nothing.  Uses the active snapshot.
 */
extern void ReadItemsByQuery(ItemRelation *relation, int nkeys,
							 Datum *const *keys, HeapTupleHeader *results);

#endif							/* ITEMCACHE_READ_H */
