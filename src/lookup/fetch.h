/*-------------------------------------------------------------------------
 *
 * fetch.h
 *	  The columns of one item after another, for a node of the executor: from
 *	  the cache, else from the table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_FETCH_H
#define ITEMCACHE_FETCH_H

#include "lookup/read.h"
#include "nodes/execnodes.h"
#include "table/keyarg.h"

/* How values are made one column of the key. */
typedef struct FetchKey
{
	Oid			type;			/* of the values */
	ColumnConverter converter;
} FetchKey;

#define FETCH_SPACE		256

typedef struct ItemFetcher
{
	ItemRelation *relation;
	int			nrows;			/* of the key that FetchColumns() looked up */
	/* the rest is private */
	PlanState  *ps;				/* the node: its snapshot, memory, counts */
	int			nkeys;			/* columns of the key */
	FetchKey   *keys;
	FetchKey	only_key;		/* if there is but one */
	int			natts;			/* columns to form */
	uint64		shape_id;		/* that the converters were made for */
	char	   *buffer;			/* the image of the current item */
	Size		buffer_size;
	Size		prefix;			/* bytes of an image that mostly are enough */
	ItemReader *reader;			/* NULL until it is needed */
	ItemPointerData *others;	/* rows of the current key, if it has several */
	int			max_others;		/* room for them; 0: none yet */
	uint64		space[FETCH_SPACE / sizeof(uint64)];	/* a buffer for small ones */
} ItemFetcher;

/*
 * For node "ps", which is beginning, and has the relation locked; *fetcher is
 * zero, and stays where it is.  Keys will be of values of these types (a list
 * of OIDs), for each of which PrepareComparison() succeeded when the plan was
 * made; the first "natts" columns will be wanted.  Memory is the executor
 * state's.
 */
extern void BeginFetcher(ItemFetcher *fetcher, PlanState *ps, Oid relid,
						 const List *keytypes, int natts);
extern void EndFetcher(ItemFetcher *fetcher);

/*
 * Accept invalidations, and be ready for the relation as it is.  To be called
 * in each call of the node before anything below.  Raises an error if the
 * plan does not fit the relation (any more).
 */
extern void RefreshFetcher(ItemFetcher *fetcher);

/*
 * A value of key column "i" from one of its keytype, not NULL; false if no row
 * can have it.  What it is made of is allocated in the current memory context.
 */
static inline bool
MakeFetchKey(ItemFetcher *fetcher, int i, Datum value, Datum *key)
{
	const ItemShape *shape = fetcher->relation->shape;
	ColumnConverter *converter = &fetcher->keys[i].converter;

	if (converter->method == CONVERT_NOTHING && shape->keys[i].typbyval)
	{
		*key = value;
		return true;
	}
	return ConvertColumn(converter, shape, i, value, key);
}

/* Hash of a key, for the next two. */
static inline uint64
HashFetchKey(ItemFetcher *fetcher, const Datum *key)
{
	return KeyHash(fetcher->relation->shape, fetcher->relation->seed, key);
}

/*
 * Have the processor fetch items that will be looked up, all at once: not
 * more than LOOKUP_BATCH of them.  hints[i] is for the lookup of hashes[i].
 */
extern void PrefetchFetch(ItemFetcher *fetcher, int nhashes,
						  const uint64 *hashes, StoreHint *hints);

/*
 * Look a key up, with all checks.  False if the snapshot sees no such row.
 * Values that are not by value point into memory that is the fetcher's until
 * its next call.
 *
 * To a snapshot that the primary key does not hold for (rule U), the key may
 * have several rows: then fetcher->nrows is their number, the row got is the
 * first of them, in the order of the index, and FetchAnother() gets any, the
 * first being 0.
 */
extern bool FetchColumns(ItemFetcher *fetcher, const Datum *key, uint64 hash,
						 StoreHint hint, Datum *values, bool *isnull,
						 ItemPointer tid);
extern void FetchAnother(ItemFetcher *fetcher, int row, Datum *values,
						 bool *isnull, ItemPointer tid);

/* EXPLAIN ANALYZE: what was fetched from the cache, and what was not. */
extern void ExplainCacheUse(PlanState *ps, ExplainState *es);

#endif							/* ITEMCACHE_FETCH_H */
