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

#include "lookup/absence.h"
#include "lookup/reader.h"

/*
 * Can the relation be read by its primary key's index, as the planner would
 * judge it?  If not, ReadItemsByQuery() reads it.  The other asks for the index
 * of an access, which may be another.
 */
extern bool RelationIsReadByIndex(const ItemRelation *relation);
extern bool IsReadByIndex(const ItemAccess *access);

/*
 * Can an index of the relation's description still be opened?  It stays so: it is
 * locked where it might not be.
 */
extern bool IndexIsThere(Oid index);

/*
 * For several keys of a reader, at most READ_AHEAD_MAX, of which NULL ones are
 * passed over: look in the index where their rows are, and have the disk and the
 * processor fetch them, all at once.  hashes[i] is that of keys[i].
 *
 * MayReadByPlace() says whether that may be done.  FindItems() returns false if the
 * disk has been asked for any.
 */
#define READ_AHEAD_MAX	STORE_PREFETCH_MAX

typedef struct AheadItem
{
	ItemPointerData tid;		/* invalid: the index had nothing */
	Buffer		recent;			/* had the row's page, perhaps; or none */
	AbsenceFill absence;		/* begun before it was asked */
} AheadItem;

extern bool MayReadByPlace(const ItemAccess *access);
extern bool FindItems(ItemReader *reader, const ItemAccess *access, int nkeys,
					  Datum *const *keys, const uint64 *hashes,
					  AheadItem *items);

/*
 * The same for one key, before the cache is asked, which is fetched meanwhile: where
 * so many lookups were in vain that this one most likely will be.  After it has been
 * asked, PrefetchFound() has the row fetched.
 */
#define MANY_MISSES		16

extern void FindItem(ItemReader *reader, const ItemAccess *access,
					 const Datum *key, uint64 hash, AheadItem *item);
extern void PrefetchFound(const ItemAccess *access, uint64 hash,
						  const AheadItem *item);

static inline bool
MissesInARow(const ItemRelation *relation)
{
	return relation->misses >= MANY_MISSES;
}

static inline bool
MayReadAheadOne(const ItemAccess *access)
{
	return MissesInARow(access->relation) && MayReadByPlace(access);
}

/* Each lookup of a key tells the next. */
static inline void
NoteLookup(ItemRelation *relation, bool hit)
{
	if (hit)
		relation->misses = 0;
	else if (relation->misses < MANY_MISSES)
		relation->misses++;
}

/*
 * Read the row of a key into reader->slot: where FindItems() has found it, or by
 * the index if "item" is NULL.  If there is none, false, and that is cached if it
 * may be.  FillFromReader() caches the row that was read, which is "image" if that
 * has been made, if access->fill (true, and *hash the hash that it is under, if it
 * is cached now).
 *
 * Unless access->unique the key may have more rows, each of which the next call
 * of ReadAnother() reads into reader->other; "key" must not have changed.
 * ReadItemAt() reads one of them again, by its TID, into reader->slot.
 */
extern bool ReadItem(ItemReader *reader, const ItemAccess *access,
					 const Datum *key, uint64 hash, const AheadItem *item);
extern bool ReadAnother(ItemReader *reader);
extern void ReadItemAt(ItemReader *reader, ItemPointer tid);
extern bool FillFromReader(ItemReader *reader, const ItemAccess *access,
						   HeapTupleHeader image, uint64 *hash);

/*
 * ReadItem() and FillFromReader(), if that pays: a copy of the row in the current
 * context, NULL if there is none.
 */
extern HeapTupleHeader ReadImage(ItemReader *reader, const ItemAccess *access,
								 const Datum *key, uint64 hash,
								 const AheadItem *item);

/*
 * Read the rows of "nkeys" keys (all of them, in order) of a plain table, and
 * cache what may be cached if access->fill.  results[i] and more[i] as for
 * LookupItems(), but untouched where keys[i] is NULL.
 */
extern void ReadItemsByIndex(const ItemAccess *access, int nkeys,
							 Datum *const *keys, HeapTupleHeader *results,
							 List **more);

/*
 * The same, as the query "SELECT t FROM relation t WHERE key = ..." with all
 * that the planner puts into it (row-level security, partitions); caches
 * nothing.  Uses the active snapshot.  The keys are of "unique", or of the primary
 * key if that is NULL.
 */
extern void ReadItemsByQuery(ItemRelation *relation, const UniqueKey *unique,
							 int nkeys, Datum *const *keys,
							 HeapTupleHeader *results, List **more);

#endif							/* ITEMCACHE_READ_H */
