/*-------------------------------------------------------------------------
 *
 * lookup.c
 *	  One item or a batch of items by key: from the cache, else from the
 *	  table, which fills the cache.
 *
 * A batch goes through the store in stages, so that the processor fetches the
 * index lines of all its keys at once, and then their items: waiting for
 * memory is most of what a lookup costs.
 *
 * May call: read, alias, absence, keytest, partition, visibility, relation, item, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "lookup/absence.h"
#include "lookup/alias.h"
#include "lookup/fill.h"
#include "lookup/keytest.h"
#include "lookup/lookup.h"
#include "lookup/read.h"
#include "lookup/visibility.h"
#include "miscadmin.h"
#include "settings.h"
#include "store/store.h"
#include "table/partition.h"

/* Bytes of an item to ask the processor for; it follows longer ones itself. */
#define PREFETCH_SIZE	320

/* What a batch, or one key, is looked up in and by. */
typedef struct Lookup
{
	ItemRelation *relation;
	UniqueKey  *unique;			/* NULL: the primary key */
	Snapshot	snapshot;
	ImageTest  *test;			/* NULL: a row has the key if its bytes are there */
	ItemAccess	access;
} Lookup;

/* Of a key: its hash, the row that leads to, and where that probably is. */
typedef struct KeyPlace
{
	uint64		hash;
	uint64		row;
	StoreHint	hint;
} KeyPlace;

static bool HasItem(const Lookup *lookup, const KeyPlace *place,
					const Datum *key, HeapTupleHeader *result);
static HeapTupleHeader LookupAhead(const Lookup *lookup, const KeyPlace *place,
								   Datum *key);
static void LookupOneByOne(Lookup *lookup, int nkeys, Datum *const *keys,
						   HeapTupleHeader *results, List **more);
static void LookupInRelation(Lookup *lookup, int nkeys, Datum *const *keys,
							 HeapTupleHeader *results, List **more);
static void ReadMissing(const Lookup *lookup, int nkeys, int nmissing,
						Datum *const *keys, HeapTupleHeader *results,
						List **more);
static int	LookupInStore(Lookup *lookup, int nkeys, Datum *const *keys,
						  HeapTupleHeader *results, Datum **missing);
static void FindPlaces(const Lookup *lookup, int nkeys, Datum *const *keys,
					   KeyPlace *places);
static void BeginLookup(Lookup *lookup);
static HeapTupleHeader FetchItem(const Lookup *lookup, const KeyPlace *place,
								 const Datum *key);
static bool ItemHasKey(const Lookup *lookup, HeapTupleHeader image,
					   const Datum *key);
static void LookupInPartitions(ItemRelation *root, Snapshot snapshot,
							   int nkeys, Datum *const *keys,
							   HeapTupleHeader *results, List **more);

void
LookupItems(ItemRelation *relation, UniqueKey *unique, Snapshot snapshot,
			bool read_table, int nkeys, Datum *const *keys,
			HeapTupleHeader *results, List **more)
{
	Lookup		lookup = {
		.relation = relation,.unique = unique,.snapshot = snapshot
	};

	Assert(nkeys <= LOOKUP_BATCH);

	if (more != NULL)
		memset(more, 0, nkeys * sizeof(List *));
	if (unique != NULL && (relation->partitioned ||
						   (!unique->by_columns &&
							!IndexIsThere(unique->index.oid))))
		read_table = true;
	if (read_table)
	{
		for (int i = 0; i < nkeys; i++)
			results[i] = NULL;
		ReadItemsByQuery(relation, unique, nkeys, keys, results, more);
		RelationCount(relation, COUNT_BYPASSES, nkeys);
	}
	else if (relation->partitioned)
		LookupInPartitions(relation, snapshot, nkeys, keys, results, more);
	else if (unique != NULL && !unique->by_columns)
		LookupOneByOne(&lookup, nkeys, keys, results, more);
	else
		LookupInRelation(&lookup, nkeys, keys, results, more);
}

HeapTupleHeader
LookupItem(ItemRelation *relation, UniqueKey *unique, Snapshot snapshot,
		   bool read_table, Datum *key, uint64 hash)
{
	Lookup		lookup;
	KeyPlace	place = {.hash = hash, .row = NO_ROW};
	HeapTupleHeader result = NULL;

	if (read_table || relation->partitioned ||
		(unique != NULL && !unique->by_columns))
	{
		LookupItems(relation, unique, snapshot, read_table, 1, &key, &result,
					NULL);
		return result;
	}
	lookup.relation = relation;
	lookup.unique = unique;
	lookup.snapshot = snapshot;
	lookup.test = NULL;
	BeginLookup(&lookup);
	if (MayReadAheadOne(&lookup.access) && IsReadByIndex(&lookup.access))
		return LookupAhead(&lookup, &place, key);
	if (HasItem(&lookup, &place, key, &result))
		return result;
	PrefetchFill(&lookup.access, hash);
	ReadMissing(&lookup, 1, 1, &key, &result, NULL);
	return result;
}

/* Does the cache have an item, or that there is none?  *result is it, or NULL. */
static bool
HasItem(const Lookup *lookup, const KeyPlace *place, const Datum *key,
		HeapTupleHeader *result)
{
	const ItemAccess *access = &lookup->access;
	bool		hit;

	*result = access->serve ? FetchItem(lookup, place, key) : NULL;
	hit = *result != NULL || KeyIsAbsent(access, key, place->hash, NULL);
	if (hit)
		RelationCount(lookup->relation, COUNT_HITS, 1);
	NoteLookup(lookup->relation, hit);
	return hit;
}

/*
 * Where the cache is not expected to have it.  What it has for the key is fetched
 * for the processor while the index is searched, and the row while the cache is.
 */
static HeapTupleHeader
LookupAhead(const Lookup *lookup, const KeyPlace *place, Datum *key)
{
	const ItemAccess *access = &lookup->access;
	ItemReader *reader = OpenItemReader(access);
	HeapTupleHeader result;
	AheadItem	item;

	FindItem(reader, access, key, place->hash, &item);
	if (!HasItem(lookup, place, key, &result))
	{
		PrefetchFound(access, place->hash, &item);
		RelationCount(lookup->relation, COUNT_MISSES, 1);
		result = ReadImage(reader, access, key, place->hash, &item);
	}
	CloseItemReader(reader);
	return result;
}

/*
 * Where rows are compared by functions, which may be the user's and do anything,
 * what has been decided is good for one key.
 */
static void
LookupOneByOne(Lookup *lookup, int nkeys, Datum *const *keys,
			   HeapTupleHeader *results, List **more)
{
	ImageTest	test;

	OpenImageTest(&test, lookup->relation, lookup->unique);
	lookup->test = &test;
	for (int i = 0; i < nkeys; i++)
	{
		if (i > 0)
		{
			RefreshItemRelation(lookup->relation, false);
			lookup->unique = RequireUniqueKey(lookup->relation, lookup->unique);
		}
		LookupInRelation(lookup, 1, &keys[i], &results[i],
						 more == NULL ? NULL : &more[i]);
	}
	CloseImageTest(&test);
}

static void
LookupInRelation(Lookup *lookup, int nkeys, Datum *const *keys,
				 HeapTupleHeader *results, List **more)
{
	Datum	   *missing[LOOKUP_BATCH];
	int			nmissing;

	nmissing = LookupInStore(lookup, nkeys, keys, results, missing);
	if (nmissing == 0)
		return;
	ReadMissing(lookup, nkeys, nmissing, missing, results, more);
}

/* Read from the table what the cache did not have: keys[i] is NULL if it did. */
static void
ReadMissing(const Lookup *lookup, int nkeys, int nmissing,
			Datum *const *keys, HeapTupleHeader *results, List **more)
{
	const ItemAccess *access = &lookup->access;

	RelationCount(lookup->relation,
				  access->serve ? COUNT_MISSES : COUNT_BYPASSES, nmissing);
	if (IsReadByIndex(access))
		ReadItemsByIndex(access, nkeys, keys, results, more);
	else
		ReadItemsByQuery(lookup->relation, lookup->unique, nkeys, keys, results,
						 more);
}

/*
 * Begin access to the relation, and look in the store; returns the number of
 * keys that it cannot answer, which are those in missing[] that are not NULL.
 * All results are set, to NULL where there is none.
 */
static int
LookupInStore(Lookup *lookup, int nkeys, Datum *const *keys,
			  HeapTupleHeader *results, Datum **missing)
{
	ItemRelation *relation = lookup->relation;
	const ItemAccess *access = &lookup->access;
	KeyPlace	places[LOOKUP_BATCH];
	bool		served = relation->state == RELATION_SERVED;
	int			nhits = 0;
	int			nmissing = 0;

	if (served)
		FindPlaces(lookup, nkeys, keys, places);
	BeginLookup(lookup);

	for (int i = 0, wanted = 0; i < nkeys; i++)
	{
		bool		known = false;

		results[i] = NULL;
		missing[i] = NULL;
		if (keys[i] == NULL)
			continue;
		if (served && access->serve)
		{
			KeyPlace   *place = &places[wanted];

			results[i] = FetchItem(lookup, place, keys[i]);
			known = results[i] != NULL ||
				KeyIsAbsent(access, keys[i], place->hash,
							place->row == NO_ROW ? place->hint : NULL);
		}
		wanted++;
		if (known)
			nhits++;
		else
		{
			missing[i] = keys[i];
			nmissing++;
		}
	}
	if (nhits > 0)
		RelationCount(relation, COUNT_HITS, nhits);
	return nmissing;
}

/* Have the processor fetch what will be looked at, of all keys but NULL ones. */
static void
FindPlaces(const Lookup *lookup, int nkeys, Datum *const *keys, KeyPlace *places)
{
	ItemRelation *relation = lookup->relation;
	UniqueKey  *unique = lookup->unique;
	const ItemShape *shape = ShapeOfKey(relation, unique);
	const uint64 *seed = SeedOfKey(relation, unique);
	uint64		hashes[LOOKUP_BATCH];
	uint64		rows[LOOKUP_BATCH];
	StoreHint	hints[LOOKUP_BATCH];
	int			n = 0;

	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i] != NULL)
			hashes[n++] = KeyHash(shape, seed, keys[i]);
	}
	if (n == 0)
		return;
	if (unique == NULL)
		PrefetchItems(n, hashes, PREFETCH_SIZE, hints);
	else
		PrefetchAliases(ItemRelationEpoch(relation), n, hashes, PREFETCH_SIZE,
						rows, hints);
	for (int i = 0; i < n; i++)
	{
		places[i].hash = hashes[i];
		places[i].row = unique == NULL ? NO_ROW : rows[i];
		places[i].hint = hints[i];
	}
}

static void
BeginLookup(Lookup *lookup)
{
	ItemRelation *relation = lookup->relation;

	if (lookup->unique != NULL)
		BeginAliasAccess(&lookup->access, relation, lookup->unique,
						 lookup->snapshot);
	else
		BeginItemAccess(&lookup->access, relation, &relation->pk,
						lookup->snapshot);
}

void
PrefetchItem(const ItemRelation *relation, uint64 hash)
{
	if (relation->state == RELATION_SERVED)
		StorePrefetchSlots(hash, MissesInARow(relation));
}

/*
 * A copy of an item, if the snapshot may be served it.  What is compared
 * before the copy (epoch, xid) StoreFind() has read safely; the key is
 * compared in the copy.
 */
static HeapTupleHeader
FetchItem(const Lookup *lookup, const KeyPlace *place, const Datum *key)
{
	const ItemAccess *access = &lookup->access;
	uint64		hash = place->hash;
	StoreHint	hint = place->hint;
	StoreItem	item;
	HeapTupleHeader image;

	if (place->row != NO_ROW)
		hash = place->row;
	else if (lookup->unique != NULL)
	{
		if (!FindAlias(access->epoch, hash, hint, &hash))
			return NULL;
		hint = NULL;
	}
	if (!StoreFind(hash, access->epoch, STORE_ROW, PREFETCH_SIZE, hint,
				   &item) ||
		!ItemIsVisible(access, &item))
		return NULL;

	image = (HeapTupleHeader) palloc(item.size);
	if (!StoreCopy(&item, image, item.size) ||
		!ItemHasKey(lookup, image, key))
	{
		pfree(image);
		return NULL;
	}
	StoreTouch(&item);
	return image;
}

static bool
ItemHasKey(const Lookup *lookup, HeapTupleHeader image, const Datum *key)
{
	if (lookup->test != NULL)
		return ImagePassesTest(lookup->test, image, key);
	return ImageHasKey(lookup->access.key, image, key);
}

/*
 * Keys of a partitioned table are looked up leaf by leaf, in the order in
 * which leaves first come up.  To find a leaf, and to read by a query, may call
 * functions of the user's.
 */
static void
LookupInPartitions(ItemRelation *root, Snapshot snapshot, int nkeys,
				   Datum *const *keys, HeapTupleHeader *results, List **more)
{
	const ItemShape *shape = root->shape;
	const ItemShape *shapes[LOOKUP_BATCH];
	ItemRelation *leaves[LOOKUP_BATCH];
	Datum	   *subset[LOOKUP_BATCH];
	HeapTupleHeader subresults[LOOKUP_BATCH];
	List	   *submore[LOOKUP_BATCH];
	int			positions[LOOKUP_BATCH];

	for (int i = 0; i < nkeys; i++)
	{
		bool		by_query = false;

		results[i] = NULL;
		leaves[i] = NULL;
		if (keys[i] == NULL)
			continue;
		KeepToShape(root, shape);
		leaves[i] = FindLeaf(root, keys[i], &by_query);
		if (leaves[i] != NULL && !RelationIsReadByIndex(leaves[i]))
		{
			/* through the root, whose privileges are the caller's */
			by_query = true;
			leaves[i] = NULL;
		}
		if (leaves[i] != NULL)
			shapes[i] = leaves[i]->shape;
		if (by_query)
			ReadItemsByQuery(root, NULL, 1, &keys[i], &results[i],
							 more == NULL ? NULL : &more[i]);
	}

	for (int i = 0; i < nkeys; i++)
	{
		ItemRelation *leaf = leaves[i];
		Lookup		lookup = {.relation = leaf,.snapshot = snapshot};
		int			n = 0;

		if (leaf == NULL)
			continue;
		for (int j = i; j < nkeys; j++)
		{
			if (leaves[j] != leaf)
				continue;
			subset[n] = keys[j];
			positions[n++] = j;
			leaves[j] = NULL;
		}
		memset(submore, 0, n * sizeof(List *));
		KeepToShape(leaf, shapes[i]);
		LookupInRelation(&lookup, n, subset, subresults,
						 more == NULL ? NULL : submore);
		for (int j = 0; j < n; j++)
		{
			ListCell   *lc;

			if (subresults[j] != NULL)
				results[positions[j]] = ConvertLeafImage(root, leaf,
														 subresults[j]);
			if (more == NULL)
				continue;
			foreach(lc, submore[j])
				more[positions[j]] = lappend(more[positions[j]],
											 ConvertLeafImage(root, leaf, lfirst(lc)));
		}
	}
}
