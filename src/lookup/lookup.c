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
 * May call: read, absence, partition, visibility, relation, item, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "lookup/absence.h"
#include "lookup/lookup.h"
#include "lookup/read.h"
#include "lookup/visibility.h"
#include "miscadmin.h"
#include "settings.h"
#include "store/store.h"
#include "table/partition.h"

/* Bytes of an item to ask the processor for; it follows longer ones itself. */
#define PREFETCH_SIZE	320

static void LookupInRelation(ItemRelation *relation, Snapshot snapshot,
							 int nkeys, Datum *const *keys,
							 HeapTupleHeader *results, List **more);
static void ReadMissing(const ItemAccess *access, int nkeys, int nmissing,
						Datum *const *keys, HeapTupleHeader *results,
						List **more);
static int	LookupInStore(ItemAccess *access, ItemRelation *relation,
						  Snapshot snapshot, int nkeys, Datum *const *keys,
						  HeapTupleHeader *results, Datum **missing);
static HeapTupleHeader FetchItem(const ItemAccess *access, uint64 hash,
								 StoreHint hint, const Datum *key);
static void LookupInPartitions(ItemRelation *root, Snapshot snapshot,
							   int nkeys, Datum *const *keys,
							   HeapTupleHeader *results, List **more);

void
LookupItems(ItemRelation *relation, Snapshot snapshot, bool read_table,
			int nkeys, Datum *const *keys, HeapTupleHeader *results,
			List **more)
{
	Assert(nkeys <= LOOKUP_BATCH);

	if (more != NULL)
		memset(more, 0, nkeys * sizeof(List *));
	if (read_table)
	{
		for (int i = 0; i < nkeys; i++)
			results[i] = NULL;
		ReadItemsByQuery(relation, nkeys, keys, results, more);
		RelationCount(relation, COUNT_BYPASSES, nkeys);
	}
	else if (relation->partitioned)
		LookupInPartitions(relation, snapshot, nkeys, keys, results, more);
	else
		LookupInRelation(relation, snapshot, nkeys, keys, results, more);
}

HeapTupleHeader
LookupItem(ItemRelation *relation, Snapshot snapshot, bool read_table,
		   Datum *key, uint64 hash)
{
	ItemAccess	access;
	HeapTupleHeader result = NULL;

	if (read_table || relation->partitioned)
	{
		LookupItems(relation, snapshot, read_table, 1, &key, &result, NULL);
		return result;
	}
	BeginItemAccess(&access, relation, &relation->pk, snapshot);
	if (access.serve)
		result = FetchItem(&access, hash, NULL, key);
	if (result != NULL || KeyIsAbsent(&access, key, hash, NULL))
		RelationCount(relation, COUNT_HITS, 1);
	else
	{
		if (access.fill)
		{
			StorePrefetchFill(hash);
			StorePrefetchRoom(hash, PREFETCH_SIZE);
		}
		ReadMissing(&access, 1, 1, &key, &result, NULL);
	}
	return result;
}

static void
LookupInRelation(ItemRelation *relation, Snapshot snapshot, int nkeys,
				 Datum *const *keys, HeapTupleHeader *results, List **more)
{
	ItemAccess	access;
	Datum	   *missing[LOOKUP_BATCH];
	int			nmissing;

	nmissing = LookupInStore(&access, relation, snapshot, nkeys, keys, results,
							 missing);
	if (nmissing == 0)
		return;
	ReadMissing(&access, nkeys, nmissing, missing, results, more);
}

/* Read from the table what the cache did not have: keys[i] is NULL if it did. */
static void
ReadMissing(const ItemAccess *access, int nkeys, int nmissing,
			Datum *const *keys, HeapTupleHeader *results, List **more)
{
	ItemRelation *relation = access->relation;

	RelationCount(relation, access->serve ? COUNT_MISSES : COUNT_BYPASSES,
				  nmissing);
	if (RelationIsReadByIndex(relation))
		ReadItemsByIndex(access, nkeys, keys, results, more);
	else
		ReadItemsByQuery(relation, nkeys, keys, results, more);
}

/*
 * Begin access to the relation, and look in the store; returns the number of
 * keys that it cannot answer, which are those in missing[] that are not NULL.
 * All results are set, to NULL where there is none.
 */
static int
LookupInStore(ItemAccess *access, ItemRelation *relation, Snapshot snapshot,
			  int nkeys, Datum *const *keys, HeapTupleHeader *results,
			  Datum **missing)
{
	uint64		hashes[LOOKUP_BATCH];
	StoreHint	hints[LOOKUP_BATCH];
	bool		served = relation->state == RELATION_SERVED;
	int			nwanted = 0;
	int			nhits = 0;
	int			nmissing = 0;

	for (int i = 0; i < nkeys && served; i++)
	{
		if (keys[i] != NULL)
			hashes[nwanted++] = KeyHash(relation->shape, relation->seed, keys[i]);
	}
	if (nwanted > 0)
		StorePrefetch(nwanted, hashes, PREFETCH_SIZE, hints);
	BeginItemAccess(access, relation, &relation->pk, snapshot);

	for (int i = 0, wanted = 0; i < nkeys; i++)
	{
		bool		known = false;

		results[i] = NULL;
		missing[i] = NULL;
		if (keys[i] == NULL)
			continue;
		if (served && access->serve)
		{
			results[i] = FetchItem(access, hashes[wanted], hints[wanted], keys[i]);
			known = results[i] != NULL ||
				KeyIsAbsent(access, keys[i], hashes[wanted], hints[wanted]);
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

void
PrefetchItem(const ItemRelation *relation, uint64 hash)
{
	if (relation->state == RELATION_SERVED)
		StorePrefetchSlots(hash);
}

/*
 * A copy of an item, if the snapshot may be served it.  What is compared
 * before the copy (epoch, xid) StoreFind() has read safely; the key is
 * compared in the copy.
 */
static HeapTupleHeader
FetchItem(const ItemAccess *access, uint64 hash, StoreHint hint,
		  const Datum *key)
{
	StoreItem	item;
	HeapTupleHeader image;

	if (!StoreFind(hash, access->epoch, STORE_ROW, PREFETCH_SIZE, hint,
				   &item) ||
		!ItemIsVisible(access, &item))
		return NULL;

	image = (HeapTupleHeader) palloc(item.size);
	if (!StoreCopy(&item, image, item.size) ||
		!ImageHasKey(access->shape, image, key))
	{
		pfree(image);
		return NULL;
	}
	StoreTouch(&item);
	return image;
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
			ReadItemsByQuery(root, 1, &keys[i], &results[i],
							 more == NULL ? NULL : &more[i]);
	}

	for (int i = 0; i < nkeys; i++)
	{
		ItemRelation *leaf = leaves[i];
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
		LookupInRelation(leaf, snapshot, n, subset, subresults,
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
