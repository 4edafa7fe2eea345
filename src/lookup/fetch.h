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

#include "lookup/keytest.h"
#include "lookup/read.h"
#include "nodes/execnodes.h"
#include "table/keyarg.h"
#include "table/uniquekey.h"

/* How values are made one column of the key. */
typedef struct FetchKey
{
	Oid			type;			/* of the values */
	ColumnConverter converter;
} FetchKey;

/* What is known of a lookup that was fetched ahead. */
typedef struct FetchHint
{
	StoreHint	place;
	uint64		row;			/* by another unique index: where it leads */
	bool		looked;			/* not cached, but looked for in the index: */
	AheadItem	item;			/* this is what that has */
} FetchHint;

/*
 * The node's own way to show a row, of which these are the first columns, to
 * expressions: in ecxt_scantuple of its expression context.
 */
typedef void (*FetchShow) (PlanState *ps, const Datum *values,
						   const bool *isnull);

/* What an index is made of that is no column, as expressions of the node. */
typedef struct FetchKeyTest
{
	KeyTest		test;			/* "equals" is NULL until it is needed */
	FetchShow	show;
} FetchKeyTest;

#define FETCH_SPACE		256

typedef struct ItemFetcher
{
	ItemRelation *relation;
	ItemShape  *shape;			/* with the columns looked up by for its key */
	const uint64 *seed;			/* of the key's hashes */
	int			nrows;			/* of the key that FetchColumns() looked up */
	/* the rest is private */
	Oid			index;			/* the plan's; InvalidOid: the primary key's */
	Relation	pin;			/* it */
	UniqueKey  *unique;			/* it; NULL: the primary key's */
	FetchKeyTest *test;			/* NULL until it is needed, or at all */
	PlanState  *ps;				/* the node: its snapshot, memory, counts */
	int			nkeys;			/* columns of the key */
	FetchKey   *keys;
	FetchKey	only_key;		/* if there is but one */
	int			natts;			/* columns to form */
	uint64		described;		/* the description that this is made for */
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
 * zero, and stays where it is.  Rows are looked up by unique index "index", or
 * by the primary key, if that is InvalidOid.  Keys will be of values of these
 * types (a list of OIDs), for each of which PrepareComparison() succeeded when
 * the plan was made; the first "natts" columns will be wanted.  Memory is the
 * executor state's.
 */
extern void BeginFetcher(ItemFetcher *fetcher, PlanState *ps, Oid relid,
						 Oid index, const List *keytypes, int natts);
extern void EndFetcher(ItemFetcher *fetcher);

/*
 * Then, if the index has expressions among its columns or is partial: these, and
 * clauses that imply its predicate.
 */
extern void SetFetchTest(ItemFetcher *fetcher, List *expressions,
						 List *implying, FetchShow show);

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
	const ItemShape *shape = fetcher->shape;
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
	return KeyHash(fetcher->shape, fetcher->seed, key);
}

/*
 * Have the processor fetch items that will be looked up, all at once: not
 * more than LOOKUP_BATCH of them; and where several are not cached, their rows.
 * hints[i] is for the lookup of keys[i], with hashes[i].
 *
 * Returns how many keys would best be the next batch, at most: of rows that are
 * fetched from memory more would push each other out of the processor's caches.
 */
#define MISSES_BATCH	16

extern int	PrefetchFetch(ItemFetcher *fetcher, int nkeys, Datum *const *keys,
						  const uint64 *hashes, FetchHint *hints);

/*
 * Look a key up, with all checks; "hint" may be NULL.  False if the snapshot
 * sees no such row.  Values that are not by value point into memory that is the
 * fetcher's until its next call.
 *
 * To a snapshot that the index does not hold for (rule U), the key may
 * have several rows: then fetcher->nrows is their number, the row got is the
 * first of them, in the order of the index, and FetchAnother() gets any, the
 * first being 0.
 */
extern bool FetchColumns(ItemFetcher *fetcher, const Datum *key, uint64 hash,
						 const FetchHint *hint, Datum *values, bool *isnull,
						 ItemPointer tid);
extern void FetchAnother(ItemFetcher *fetcher, int row, Datum *values,
						 bool *isnull, ItemPointer tid);

/* EXPLAIN ANALYZE: what was fetched from the cache, and what was not. */
extern void ExplainCacheUse(PlanState *ps, ExplainState *es);

#endif							/* ITEMCACHE_FETCH_H */
