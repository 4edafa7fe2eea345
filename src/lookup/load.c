/*-------------------------------------------------------------------------
 *
 * load.c
 *	  Caching all rows of a table, page by page, and the SQL function
 *	  preload(), which does so in the caller's own transaction.
 *
 * What makes it right to cache what is on a page is rule 2 in README, which is
 * FillItems()'s to keep.  The loader's part is to begin the access before it
 * reads a page, and to keep the page pinned until its items are in.
 *
 * A load never evicts anything: it stops where the cache is full.
 *
 * May call: fill, item, relation, warmth, privilege.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "fmgr.h"
#include "lookup/load.h"
#include "lookup/read.h"
#include "miscadmin.h"
#include "replay/replay.h"
#include "settings.h"
#include "storage/bufmgr.h"
#include "store/owner.h"
#include "table/privilege.h"
#include "table/warmth.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* The cache is full when so many items in a row found no room. */
#define LOAD_FULL_STREAK	1000

/* Blocks after which preload() begins the access anew. */
#define LOAD_BEGIN_ANEW		1024

static void LoadTuples(PageLoader *loader, Buffer buffer, int n);
static int	VisibleTuples(PageLoader *loader, Buffer buffer);
static int	WantedTuples(PageLoader *loader, Buffer buffer,
						 const OffsetNumber *offsets, int noffsets);
static bool GetVisible(PageLoader *loader, Buffer buffer, OffsetNumber offset,
					   HeapTuple tuple);
static int	TuplesWithKey(PageLoader *loader, int ntuples);
static int	FormItems(PageLoader *loader, int ntuples);
static void HashTuples(PageLoader *loader, int ntuples);
static bool IsCached(PageLoader *loader, uint64 hash, StoreHint hint);
static void LoadPartitions(PageLoader *loader, Relation root);
static void LoadWholeTable(PageLoader *loader, Relation rel);
static void BeginLoadingOrComplain(PageLoader *loader, Relation rel);
static void ComplainNotServed(Relation rel, ItemRelation *relation);


void
InitLoader(PageLoader *loader)
{
	memset(loader, 0, sizeof(PageLoader));
	loader->strategy = GetAccessStrategy(BAS_BULKREAD);
	loader->context = AllocSetContextCreate(CurrentMemoryContext,
											"itemcache preload page",
											ALLOCSET_DEFAULT_SIZES);
	loader->alias_context = AllocSetContextCreate(CurrentMemoryContext,
												  "itemcache preload aliases",
												  ALLOCSET_SMALL_SIZES);
	loader->fills = palloc(MaxHeapTuplesPerPage * sizeof(FillItem));
	loader->tuples = palloc(MaxHeapTuplesPerPage * sizeof(HeapTupleData));
	loader->hashes = palloc(MaxHeapTuplesPerPage * sizeof(uint64));
	loader->hints = palloc(MaxHeapTuplesPerPage * sizeof(StoreHint));
	loader->limit = ItemSizeLimit();
}

bool
BeginLoading(PageLoader *loader, Relation rel, Snapshot snapshot)
{
	ItemRelation *relation;

	AcceptInvalidationMessages();
	loader->rel = rel;
	loader->filled = 0;
	loader->filled_bytes = 0;
	relation = ItemRelationOf(rel);
	if (relation->state == RELATION_SERVED &&
		(relation->owner == OWNER_NONE ||
		 OwnerEpoch(relation->owner, relation->key) == EPOCH_NONE))
		(void) NewItemRelationEpoch(relation, true);
	BeginItemAccess(&loader->access, relation, &relation->pk, snapshot);
	BeginLoadingAliases(loader);
	return loader->access.fill;
}

void
LoadPage(PageLoader *loader, BlockNumber block)
{
	Buffer		buffer = ReadBufferExtended(loader->rel, MAIN_FORKNUM, block,
											RBM_NORMAL, loader->strategy);

	LoadTuples(loader, buffer, VisibleTuples(loader, buffer));
}

void
LoadPlaces(PageLoader *loader, BlockNumber block, const OffsetNumber *offsets,
		   int noffsets)
{
	Buffer		buffer = ReadBufferExtended(loader->rel, MAIN_FORKNUM, block,
											RBM_NORMAL, loader->strategy);

	LoadTuples(loader, buffer, WantedTuples(loader, buffer, offsets, noffsets));
}

/* Cache what is in loader->tuples[], and release the buffer they are on. */
static void
LoadTuples(PageLoader *loader, Buffer buffer, int n)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(loader->context);

	if (!loader->access.unique)
		n = TuplesWithKey(loader, n);
	n = FormItems(loader, n);
	if (n > 0)
		FillItems(&loader->access, buffer, loader->fills, n, true);

	for (int i = 0; i < n; i++)
	{
		if (loader->fills[i].result == STORE_DONE)
		{
			Size		size = ImageSourceSize(&loader->fills[i].image);

			LoadAliases(loader, &loader->tuples[i], loader->fills[i].hash);
			loader->items++;
			loader->bytes += size;
			loader->filled++;
			loader->filled_bytes += size;
			loader->streak = 0;
		}
		else if (loader->fills[i].result == STORE_FULL)
		{
			loader->streak++;
			loader->no_room++;
		}
	}
	ReleaseBuffer(buffer);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(loader->context);
}

/*
 * Sets loader->tuples[] to the tuples that the snapshot sees, as heapgetpage() finds
 * them.  They are good as long as the page is pinned; what of them can change is not
 * looked at.  No predicate locks are taken, as nothing of it is returned to anyone.
 */
static int
VisibleTuples(PageLoader *loader, Buffer buffer)
{
	OffsetNumber last;
	int			n = 0;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	last = PageGetMaxOffsetNumber(BufferGetPage(buffer));
	for (OffsetNumber off = FirstOffsetNumber; off <= last; off++)
	{
		if (GetVisible(loader, buffer, off, &loader->tuples[n]))
			n++;
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return n;
}

/*
 * The same for those at some places.  Where one has gone, its successor may be among
 * the page's heap-only tuples: these are taken along.
 */
static int
WantedTuples(PageLoader *loader, Buffer buffer, const OffsetNumber *offsets,
			 int noffsets)
{
	bool		wanted[MaxHeapTuplesPerPage + 1];
	int			visible;
	int			n = 0;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	while (n < noffsets && (n == 0 || offsets[n] > offsets[n - 1]) &&
		   GetVisible(loader, buffer, offsets[n], &loader->tuples[n]))
		n++;
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (n == noffsets)
		return n;

	memset(wanted, 0, sizeof(wanted));
	for (int i = 0; i < noffsets; i++)
	{
		if (offsets[i] <= MaxHeapTuplesPerPage)
			wanted[offsets[i]] = true;
	}
	visible = VisibleTuples(loader, buffer);
	n = 0;
	for (int i = 0; i < visible; i++)
	{
		HeapTuple	tuple = &loader->tuples[i];

		if (wanted[ItemPointerGetOffsetNumber(&tuple->t_self)] ||
			HeapTupleIsHeapOnly(tuple))
			loader->tuples[n++] = *tuple;
	}
	return n;
}

/* The tuple at an offset, which may be any number; false if there is none. */
static bool
GetVisible(PageLoader *loader, Buffer buffer, OffsetNumber offset, HeapTuple tuple)
{
	Page		page = BufferGetPage(buffer);
	Snapshot	snapshot = loader->access.snapshot;
	ItemId		lp;

	if (offset < FirstOffsetNumber || offset > PageGetMaxOffsetNumber(page))
		return false;
	lp = PageGetItemId(page, offset);
	if (!ItemIdIsNormal(lp))
		return false;
	tuple->t_tableOid = RelationGetRelid(loader->rel);
	tuple->t_data = (HeapTupleHeader) PageGetItem(page, lp);
	tuple->t_len = ItemIdGetLength(lp);
	ItemPointerSet(&tuple->t_self, BufferGetBlockNumber(buffer), offset);
	return (PageIsAllVisible(page) && !snapshot->takenDuringRecovery) ||
		HeapTupleSatisfiesVisibility(tuple, snapshot, buffer);
}

/* Those of the visible tuples that have a key: others are older than it (rule U). */
static int
TuplesWithKey(PageLoader *loader, int ntuples)
{
	int			n = 0;

	for (int i = 0; i < ntuples; i++)
	{
		if (HasItemKey(loader->access.shape, &loader->tuples[i]))
			loader->tuples[n++] = loader->tuples[i];
	}
	return n;
}

/*
 * Make items of these tuples.  Rows over the size limit are left out, and those
 * that are there already.  What is left is in loader->tuples[] as well.
 */
static int
FormItems(PageLoader *loader, int ntuples)
{
	const ItemAccess *access = &loader->access;
	int			n = 0;

	HashTuples(loader, ntuples);
	for (int i = 0; i < ntuples; i++)
	{
		FillItem   *fill = &loader->fills[n];
		HeapTuple	tuple = &loader->tuples[n];

		*tuple = loader->tuples[i];
		fill->hash = loader->hashes[i];
		if (IsCached(loader, fill->hash, loader->hints[i]))
		{
			LoadAliases(loader, tuple, fill->hash);
			continue;
		}
		StorePrefetchFill(fill->hash);
		fill->version = tuple->t_data;
		fill->used = loader->used;
		if (FindImage(access->shape, tuple, NULL, loader->limit, &fill->image))
			n++;
		else
			CountTooLarge(access);
	}
	return n;
}

/*
 * The hashes of these tuples' keys, and where they seem to be in the store: most
 * are not there, which takes a look into both of their buckets.
 */
static void
HashTuples(PageLoader *loader, int ntuples)
{
	const ItemAccess *access = &loader->access;

	for (int i = 0; i < ntuples; i++)
	{
		Datum		key[INDEX_MAX_KEYS];

		ItemKey(access->shape, &loader->tuples[i], key);
		loader->hashes[i] = KeyHash(access->shape, access->relation->seed, key);
	}
	for (int i = 0; i < ntuples; i += STORE_PREFETCH_MAX)
		StorePrefetch(Min(ntuples - i, STORE_PREFETCH_MAX), &loader->hashes[i], 0,
					  &loader->hints[i]);
}

/* If so it counts as loaded, but says nothing of whether there is room. */
static bool
IsCached(PageLoader *loader, uint64 hash, StoreHint hint)
{
	StoreItem	item;

	if (!StoreFind(hash, loader->access.epoch, STORE_ROW, 0, hint, &item) ||
		!item.committed)
		return false;
	loader->items++;
	loader->bytes += item.size;
	return true;
}

/* Single items find no room before that, where much is going on. */
bool
CacheIsFull(const PageLoader *loader)
{
	return loader->streak >= LOAD_FULL_STREAK;
}

/* Aliases are not counted: they come later as well, and the index grows then. */
void
ExpectItems(const PageLoader *loader, BlockNumber done, BlockNumber left)
{
	if (loader->filled > 0 && left > 0)
		StoreExpect((uint64) ((double) loader->filled / done * left),
					loader->filled_bytes / loader->filled);
}

int
HintMoreRoom(void)
{
	StoreStats	stats;

	StoreGetStats(&stats);
	return errhint("Consider increasing \"%s\".",
				   itemcache_max_items > 0 &&
				   (double) stats.items / stats.max_items >
				   (double) stats.used / stats.capacity ?
				   "itemcache.max_items" : "itemcache.memory");
}

int
HintMoreTables(void)
{
	return errhint("Up to %d tables can be cached. Consider increasing \"%s\".",
				   OwnerCount(), "itemcache.memory");
}

PG_FUNCTION_INFO_V1(itemcache_preload);

Datum
itemcache_preload(PG_FUNCTION_ARGS)
{
	Oid			relid = RequireRelation(fcinfo);
	Relation	rel;
	PageLoader	loader;

	RequirePreloaded();
	if (RecoveryInProgress() && !ReplayIsFollowed())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot load a table into the cache during recovery"),
				 errdetail("The server was not started as a standby, and so does not use the cache before recovery ends."),
				 errhint("Restart the server.")));

	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));

	AcceptInvalidationMessages();
	if (CheckReadPrivilege(ItemRelationOf(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot load table \"%s\" into the cache: row-level security hides rows of it from you",
						RelationGetRelationName(rel)),
				 errhint("Its owner can load it.")));
	ReportMissingAliases(ItemRelationOf(rel), WARNING);
	InitLoader(&loader);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		LoadPartitions(&loader, rel);
	else
		LoadWholeTable(&loader, rel);
	relation_close(rel, NoLock);
	if (loader.no_room > 0 && !CacheIsFull(&loader))
		ereport(NOTICE,
				(errmsg_plural("%lld item found no room in the cache",
							   "%lld items found no room in the cache",
							   loader.no_room, (long long) loader.no_room),
				 HintMoreRoom()));
	PG_RETURN_INT64(loader.items);
}

static void
LoadPartitions(PageLoader *loader, Relation root)
{
	List	   *relids;
	ListCell   *lc;
	int			nowhere = 0;

	if (!ItemRelationOf(root)->attached)
		ComplainNotServed(root, ItemRelationOf(root));

	relids = find_all_inheritors(RelationGetRelid(root), AccessShareLock, NULL);
	foreach(lc, relids)
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);
		ItemRelation *relation = ItemRelationOf(rel);

		if (RelationFindsNoRoom(relation))
			nowhere++;
		else if (relation->state == RELATION_SERVED)
			LoadWholeTable(loader, rel);
		else if (relation->state != RELATION_PARTITIONED)
			ereport(NOTICE,
					(errmsg("partition \"%s\" was not loaded into the cache: %s",
							RelationGetRelationName(rel),
							RelationStateName(relation->state))));
		relation_close(rel, NoLock);
		if (CacheIsFull(loader))
			break;
	}
	if (nowhere > 0)
		ereport(WARNING,
				(errmsg_plural("%d partition was not loaded into the cache: there is no room for another table",
							   "%d partitions were not loaded into the cache: there is no room for other tables",
							   nowhere, nowhere),
				 HintMoreTables()));
}

static void
LoadWholeTable(PageLoader *loader, Relation rel)
{
	BlockNumber nblocks;

	RefuseUnloggedInRecovery(rel);
	BeginLoadingOrComplain(loader, rel);
	nblocks = RelationGetNumberOfBlocks(rel);
	for (BlockNumber block = 0; block < nblocks; block++)
	{
		if (block > 0 && block % LOAD_BEGIN_ANEW == 0)
		{
			ExpectItems(loader, LOAD_BEGIN_ANEW, nblocks - block);
			BeginLoadingOrComplain(loader, rel);
		}
		CHECK_FOR_INTERRUPTS();
		LoadPage(loader, block);
		if (CacheIsFull(loader))
		{
			ereport(NOTICE,
					(errmsg("the cache is full: loading of table \"%s\" stopped at block %u of %u",
							RelationGetRelationName(rel), block, nblocks),
					 HintMoreRoom()));
			break;
		}
	}
	TellWarmth(loader->access.relation);
}

static void
BeginLoadingOrComplain(PageLoader *loader, Relation rel)
{
	if (BeginLoading(loader, rel, GetActiveSnapshot()))
		return;

	if (loader->access.relation->state != RELATION_SERVED)
		ComplainNotServed(rel, loader->access.relation);
	if (RelationFindsNoRoom(loader->access.relation))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("cannot load table \"%s\" into the cache: there is no room for another table",
						RelationGetRelationName(rel)),
				 HintMoreTables()));
	if (!itemcache_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot load table \"%s\" into the cache while \"itemcache.enabled\" is off",
						RelationGetRelationName(rel))));
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot load table \"%s\" into the cache in a transaction that has changed it",
						RelationGetRelationName(rel)),
				 errhint("Commit the transaction first.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot load table \"%s\" into the cache in this transaction",
					RelationGetRelationName(rel))));
}

static void
ComplainNotServed(Relation rel, ItemRelation *relation)
{
	RelationState state = relation->state;

	if (state == RELATION_NOT_ATTACHED || state == RELATION_PARTITIONED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not attached to the cache",
						RelationGetRelationName(rel)),
				 errhint("Use itemcache.attach() to attach it.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot load \"%s\" into the cache",
					RelationGetRelationName(rel)),
			 errdetail("It is not served from the cache: %s.",
					   RelationStateName(state)),
			 relation->attached ?
			 errhint("If its trigger was altered or disabled, itemcache.attach() repairs it.") : 0));
}
