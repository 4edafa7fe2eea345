/*-------------------------------------------------------------------------
 *
 * load.h
 *	  Caching all rows of a table, page by page.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_LOAD_H
#define ITEMCACHE_LOAD_H

#include "lookup/fill.h"
#include "storage/block.h"
#include "storage/off.h"

typedef struct AliasLoader AliasLoader;

/* Loading pages of one relation, under one snapshot. */
typedef struct PageLoader
{
	Relation	rel;
	ItemAccess	access;
	bool		used;			/* to be set: what is loaded counts as found
								 * once already */
	uint64		items;			/* loaded so far ... */
	uint64		bytes;			/* ... and their size */
	int			streak;			/* items in a row that found no room */
	int64		no_room;		/* items that found none, all in all */
	uint64		filled;			/* items that were not there before ... */
	uint64		filled_bytes;	/* ... since BeginLoading() */
	/* the rest is private */
	BufferAccessStrategy strategy;
	MemoryContext context;		/* reset for each page */
	FillItem   *fills;			/* of one page */
	HeapTupleData *tuples;		/* on it */
	uint64	   *hashes;			/* of these tuples' keys */
	StoreHint  *hints;
	Size		limit;
	MemoryContext alias_context;	/* of what BeginLoadingAliases() makes */
	AliasLoader *aliases;		/* NULL: none are made */
} PageLoader;

/* Allocates in the current memory context. */
extern void InitLoader(PageLoader *loader);

/*
 * Begin, or begin anew, to load pages of a relation, which the caller has
 * locked.  False if nothing can be cached of it (by this transaction).  To be
 * called for each new snapshot, and now and then, so that not everything is
 * refused after somebody has moved the table's epoch.
 */
extern bool BeginLoading(PageLoader *loader, Relation rel, Snapshot snapshot);

/* Cache what the snapshot sees on a page, as far as there is room. */
extern void LoadPage(PageLoader *loader, BlockNumber block);

/*
 * The same for those at some offsets of it, or what seems to have taken their
 * place.  Any number will do for an offset.
 */
extern void LoadPlaces(PageLoader *loader, BlockNumber block,
					   const OffsetNumber *offsets, int noffsets);

/*
 * Since BeginLoading(), so many blocks have been loaded, and so many are left of
 * the table: make the store ready for what is in them.  It looks at all of the
 * store's partitions, so it is not for every page.
 */
extern void ExpectItems(const PageLoader *loader, BlockNumber done,
						BlockNumber left);

/*
 * Make ready to have aliases made of the rows that are loaded, if attach() was told
 * to; and make those of one row, which is cached under the hash "row".
 */
extern void BeginLoadingAliases(PageLoader *loader);
extern void LoadAliases(PageLoader *loader, HeapTuple tuple, uint64 row);

/* Say of which keys that attach() was told of there is no index (any more). */
extern void ReportMissingAliases(ItemRelation *relation, int elevel);

/* Is there no use in going on? */
extern bool CacheIsFull(const PageLoader *loader);

/* For an ereport() that something found no room: what there is too little of. */
extern int	HintMoreRoom(void);

/* The same for a table that found none. */
extern int	HintMoreTables(void);

#endif							/* ITEMCACHE_LOAD_H */
