/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  The columns of one item after another, for a node of the executor: from
 *	  the cache, else from the table.
 *
 * A hit copies no more of the image than the columns asked for take, and
 * forms no others.  How much that is has been learned from the items before, also
 * from those of earlier nodes that wanted as many columns: the bytes that were
 * copied are checked column by column, and if an item turns out to want more, the
 * rest follows.
 *
 * A lookup by another unique index than the primary key's follows an alias to the
 * row, and then sees whether that has the key: by its bytes or, where equal
 * values can differ in theirs, by the index's own equality; by expressions, where
 * the index has such among its columns; and whether it is in a partial index.
 *
 * May call: keyarg, read, keytest, alias, absence, visibility, relation, item, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "lookup/absence.h"
#include "lookup/alias.h"
#include "lookup/fetch.h"
#include "lookup/fill.h"
#include "lookup/lookup.h"
#include "lookup/visibility.h"
#include "miscadmin.h"
#include "settings.h"
#include "store/store.h"
#include "utils/lsyscache.h"
#include "utils/memdebug.h"

/* What is copied of an image at first, and at most without looking. */
#define MIN_PREFIX		64
#define MAX_PREFIX		1024

static void FitRelation(ItemFetcher *fetcher);
static void FindPlansIndex(ItemFetcher *fetcher);
static void CountHit(ItemFetcher *fetcher);
static void BeginFetchAccess(ItemFetcher *fetcher, ItemAccess *access);
static bool FetchFromCache(ItemFetcher *fetcher, const ItemAccess *access,
						   const Datum *key, uint64 hash,
						   const FetchHint *hint, Datum *values, bool *isnull,
						   ItemPointer tid);
static bool RowHasKey(ItemFetcher *fetcher, const Datum *key,
					  const Datum *values, const bool *isnull);
static bool RowPassesTest(ItemFetcher *fetcher, const Datum *key,
						  const Datum *values, const bool *isnull);
static FetchKeyTest *GetTest(ItemFetcher *fetcher);
static bool CopyColumns(ItemFetcher *fetcher, const ItemAccess *access,
						const StoreItem *item, Datum *values, bool *isnull);
static void LearnPrefix(ItemFetcher *fetcher, Size used);
static void ShowBuffer(ItemFetcher *fetcher, Size size);
static void GrowBuffer(ItemFetcher *fetcher, Size size);
static bool FetchFromTable(ItemFetcher *fetcher, ItemAccess *access,
						   const Datum *key, uint64 hash, const FetchHint *hint,
						   Datum *values, bool *isnull, ItemPointer tid);
static void FindOthers(ItemFetcher *fetcher);
static void NoteOther(ItemFetcher *fetcher, int row, ItemPointer tid);
static void GetColumns(const ItemFetcher *fetcher, Datum *values, bool *isnull,
					   ItemPointer tid);
static void OpenReader(ItemFetcher *fetcher, const ItemAccess *access);
static bool FindMissing(ItemFetcher *fetcher, int nkeys, Datum *const *keys,
						const uint64 *hashes, FetchHint *hints);
static void FindAhead(ItemFetcher *fetcher, const ItemAccess *access,
					  const Datum *key, uint64 hash, FetchHint *hint);

void
BeginFetcher(ItemFetcher *fetcher, PlanState *ps, Oid relid, Oid index,
			 const List *keytypes, int natts)
{
	int			nkeys = list_length(keytypes);

	fetcher->relation = FindItemRelation(relid);
	ItemRelationIsLockedByPlan(fetcher->relation);
	fetcher->index = index;

	/*
	 * As for an index scan, this session shall not drop it meanwhile; nor shall
	 * replay, which waits for no lock of the table to drop an index concurrently.
	 */
	if (OidIsValid(index))
		fetcher->pin = RecoveryInProgress() ?
			index_open(index, AccessShareLock) : RelationIdGetRelation(index);
	fetcher->ps = ps;
	fetcher->nkeys = nkeys;
	fetcher->keys = nkeys == 1 ? &fetcher->only_key :
		palloc(nkeys * sizeof(FetchKey));
	for (int i = 0; i < nkeys; i++)
		fetcher->keys[i].type = list_nth_oid(keytypes, i);
	fetcher->natts = natts;
	fetcher->buffer = (char *) fetcher->space;
	fetcher->buffer_size = sizeof(fetcher->space);
	fetcher->prefix = MIN_PREFIX;
}

void
EndFetcher(ItemFetcher *fetcher)
{
	if (fetcher->reader != NULL)
		CloseItemReader(fetcher->reader);
	fetcher->reader = NULL;
	if (fetcher->pin != NULL)
		RelationClose(fetcher->pin);
	fetcher->pin = NULL;
}

void
SetFetchTest(ItemFetcher *fetcher, List *expressions, List *implying,
			 FetchShow show)
{
	if (expressions == NIL && implying == NIL)
		return;
	fetcher->test = palloc0(sizeof(FetchKeyTest));
	fetcher->test->test.expressions = ExecInitExprList(expressions, fetcher->ps);
	fetcher->test->test.implying = ExecInitQual(implying, fetcher->ps);
	fetcher->test->show = show;
}

void
RefreshFetcher(ItemFetcher *fetcher)
{
	RefreshItemRelation(fetcher->relation, false);
	if (fetcher->described != fetcher->relation->described)
		FitRelation(fetcher);
}

/* Make ready what depends on the description of the relation. */
static void
FitRelation(ItemFetcher *fetcher)
{
	uint64		described = fetcher->relation->described;
	ItemShape  *shape;
	bool		fits;

	FindPlansIndex(fetcher);
	shape = fetcher->shape;
	fits = shape->nkeys == fetcher->nkeys &&
		fetcher->natts <= shape->tupdesc->natts;
	for (int i = 0; i < fetcher->nkeys && fits; i++)
		fits = PrepareComparison(&fetcher->keys[i].converter, shape, i,
								 fetcher->keys[i].type);
	if (!fits)
		elog(ERROR, "key of table \"%s\" has changed under a plan",
			 get_rel_name(fetcher->relation->relid));

	/* the key is compared in what is formed */
	for (int i = 0; i < shape->nkeys; i++)
		fetcher->natts = Max(fetcher->natts, shape->keys[i].attno);
	if (fetcher->relation->prefix_natts == fetcher->natts)
		fetcher->prefix = Max(fetcher->prefix, fetcher->relation->prefix);
	fetcher->described = described;
}

/*
 * The plan's index as it is now.  It may be invalid by now, but not gone: it is
 * maintained for as long as the plan has the table locked.
 */
static void
FindPlansIndex(ItemFetcher *fetcher)
{
	ItemRelation *relation = fetcher->relation;

	fetcher->shape = relation->shape;
	fetcher->seed = relation->seed;
	if (!OidIsValid(fetcher->index))
		return;
	fetcher->unique = FindUniqueKey(relation, fetcher->index);
	if (fetcher->unique == NULL)
		elog(ERROR, "index %u of table \"%s\" has gone under a plan",
			 fetcher->index, get_rel_name(relation->relid));
	fetcher->shape = fetcher->unique->shape;
	fetcher->seed = fetcher->unique->seed;
}

int
PrefetchFetch(ItemFetcher *fetcher, int nkeys, Datum *const *keys,
			  const uint64 *hashes, FetchHint *hints)
{
	StoreHint	places[STORE_PREFETCH_MAX];
	uint64		rows[STORE_PREFETCH_MAX];
	Datum	   *missing[STORE_PREFETCH_MAX];
	int			nmissing = 0;

	if (fetcher->unique == NULL)
		PrefetchItems(nkeys, hashes, fetcher->prefix, places);
	else
		PrefetchAliases(ItemRelationEpoch(fetcher->relation), nkeys, hashes,
						fetcher->prefix, rows, places);
	for (int i = 0; i < nkeys; i++)
	{
		hints[i].place = places[i];
		hints[i].row = fetcher->unique == NULL ? NO_ROW : rows[i];
		hints[i].looked = false;
		missing[i] = NULL;
		/* neither the row, nor that there is none */
		if (places[i] == STORE_MISSING)
		{
			missing[i] = keys[i];
			nmissing++;
		}
	}
	if (nmissing > 1 &&
		FindMissing(fetcher, nkeys, missing, hashes, hints) &&
		2 * nmissing > nkeys)
		return MISSES_BATCH;
	return LOOKUP_BATCH;
}

/*
 * Rows that are not cached, and whose keys are not NULL, are found together.  Are
 * they all in memory?
 */
static bool
FindMissing(ItemFetcher *fetcher, int nkeys, Datum *const *keys,
			const uint64 *hashes, FetchHint *hints)
{
	AheadItem	items[READ_AHEAD_MAX];
	ItemAccess	access;
	bool		in_memory;

	BeginFetchAccess(fetcher, &access);
	if (!itemcache_transparent || !MayReadByPlace(&access))
		return false;
	if (fetcher->reader == NULL)
		OpenReader(fetcher, &access);
	in_memory = FindItems(fetcher->reader, &access, nkeys, keys, hashes, items);
	for (int i = 0; i < nkeys; i++)
	{
		hints[i].looked = keys[i] != NULL;
		hints[i].item = items[i];
	}
	return in_memory;
}

/* The same for one key. */
static void
FindAhead(ItemFetcher *fetcher, const ItemAccess *access, const Datum *key,
		  uint64 hash, FetchHint *hint)
{
	if (fetcher->reader == NULL)
		OpenReader(fetcher, access);
	hint->place = NULL;
	hint->row = NO_ROW;
	hint->looked = true;
	FindItem(fetcher->reader, access, key, hash, &hint->item);
}

bool
FetchColumns(ItemFetcher *fetcher, const Datum *key, uint64 hash,
			 const FetchHint *hint, Datum *values, bool *isnull,
			 ItemPointer tid)
{
	NodeInstrumentation *instrument = fetcher->ps->instrument;
	ItemAccess	access;
	FetchHint	found;

	fetcher->nrows = 1;
	if (hint == NULL)
		StorePrefetchSlots(hash, MissesInARow(fetcher->relation));
	BeginFetchAccess(fetcher, &access);
	if (!itemcache_transparent)
		access.serve = access.fill = false;
	if (hint == NULL && MayReadAheadOne(&access))
	{
		FindAhead(fetcher, &access, key, hash, &found);
		hint = &found;
	}

	if (access.serve &&
		FetchFromCache(fetcher, &access, key, hash, hint, values, isnull, tid))
	{
		CountHit(fetcher);
		return true;
	}
	if (KeyIsAbsent(&access, key, hash,
					hint != NULL && hint->row == NO_ROW ? hint->place : NULL))
	{
		CountHit(fetcher);
		fetcher->nrows = 0;
		return false;
	}
	if (hint == NULL || !hint->looked)
		PrefetchFill(&access, hash);
	else if (hint == &found)
		PrefetchFound(&access, hash, &hint->item);
	RelationCount(fetcher->relation,
				  access.serve ? COUNT_MISSES : COUNT_BYPASSES, 1);
	NoteLookup(fetcher->relation, false);
	if (instrument)
		instrument->nfiltered2 += 1;
	return FetchFromTable(fetcher, &access, key, hash, hint, values, isnull, tid);
}

static void
CountHit(ItemFetcher *fetcher)
{
	NodeInstrumentation *instrument = fetcher->ps->instrument;

	RelationCount(fetcher->relation, COUNT_HITS, 1);
	NoteLookup(fetcher->relation, true);
	if (instrument)
		instrument->ntuples2 += 1;
}

static void
BeginFetchAccess(ItemFetcher *fetcher, ItemAccess *access)
{
	ItemRelation *relation = fetcher->relation;
	Snapshot	snapshot = fetcher->ps->state->es_snapshot;

	if (fetcher->unique != NULL)
		BeginAliasAccess(access, relation, fetcher->unique, snapshot);
	else
		BeginItemAccess(access, relation, &relation->pk, snapshot);
}

static bool
FetchFromCache(ItemFetcher *fetcher, const ItemAccess *access,
			   const Datum *key, uint64 hash, const FetchHint *hint,
			   Datum *values, bool *isnull, ItemPointer tid)
{
	StoreHint	place = hint != NULL ? hint->place : NULL;
	StoreItem	item;

	if (fetcher->unique != NULL)
	{
		if (hint != NULL && hint->row != NO_ROW)
			hash = hint->row;
		else if (!FindAlias(access->epoch, hash, place, &hash))
			return false;
		else
			place = NULL;
	}
	if (!StoreFind(hash, access->epoch, STORE_ROW, fetcher->prefix, place,
				   &item) ||
		!ItemIsVisible(access, &item) ||
		!CopyColumns(fetcher, access, &item, values, isnull) ||
		!RowHasKey(fetcher, key, values, isnull))
		return false;
	StoreTouch(&item);
	*tid = ((HeapTupleHeader) fetcher->buffer)->t_ctid;
	return true;
}

static bool
RowHasKey(ItemFetcher *fetcher, const Datum *key, const Datum *values,
		  const bool *isnull)
{
	if (fetcher->unique == NULL || fetcher->unique->by_columns)
		return ColumnsHaveKey(fetcher->shape, values, isnull, key);
	return RowPassesTest(fetcher, key, values, isnull);
}

static bool
RowPassesTest(ItemFetcher *fetcher, const Datum *key, const Datum *values,
			  const bool *isnull)
{
	FetchKeyTest *test = GetTest(fetcher);

	if (test->show != NULL)
		test->show(fetcher->ps, values, isnull);
	return RowHasKeyOf(&test->test, fetcher->shape, fetcher->ps->ps_ExprContext,
					   values, isnull, key);
}

static FetchKeyTest *
GetTest(ItemFetcher *fetcher)
{
	MemoryContext context = fetcher->ps->state->es_query_cxt;

	if (fetcher->test == NULL)
		fetcher->test = MemoryContextAllocZero(context, sizeof(FetchKeyTest));
	if (fetcher->test->test.equals == NULL)
		fetcher->test->test.equals = KeyEquality(fetcher->shape, context);
	return fetcher->test;
}

/*
 * Form the columns of an item from as much of it as they mostly take, or from
 * all of it.  StoreCopy() has said each time that the bytes are the item's.
 */
static bool
CopyColumns(ItemFetcher *fetcher, const ItemAccess *access,
			const StoreItem *item, Datum *values, bool *isnull)
{
	Size		size = Min(item->size, fetcher->prefix);

	for (;;)
	{
		Size		used;

		if (size > fetcher->buffer_size)
			GrowBuffer(fetcher, size);
		ShowBuffer(fetcher, size);
		if (!StoreCopy(item, fetcher->buffer, size))
			return false;
		used = FormColumns(access->shape, (HeapTupleHeader) fetcher->buffer,
						   size, fetcher->natts, values, isnull);
		if (used > fetcher->prefix)
			LearnPrefix(fetcher, used);
		if (used > 0 || size == item->size)
			return used > 0;
		size = item->size;
	}
}

static void
LearnPrefix(ItemFetcher *fetcher, Size used)
{
	ItemRelation *relation = fetcher->relation;

	fetcher->prefix = Min(TYPEALIGN(64, used), MAX_PREFIX);
	relation->prefix = fetcher->prefix;
	relation->prefix_natts = fetcher->natts;
}

/* Valgrind shall report who looks at bytes of the buffer beyond these. */
static void
ShowBuffer(ItemFetcher *fetcher, Size size)
{
	VALGRIND_MAKE_MEM_UNDEFINED(fetcher->buffer, size);
	VALGRIND_MAKE_MEM_NOACCESS(fetcher->buffer + size,
							   fetcher->buffer_size - size);
}

static void
GrowBuffer(ItemFetcher *fetcher, Size size)
{
	if (fetcher->buffer != (char *) fetcher->space)
		pfree(fetcher->buffer);
	fetcher->buffer = (char *) fetcher->space;
	fetcher->buffer_size = sizeof(fetcher->space);
	fetcher->buffer = MemoryContextAlloc(fetcher->ps->state->es_query_cxt, size);
	fetcher->buffer_size = size;
}

/* The values stay where they are, on the page that the reader has pinned. */
static bool
FetchFromTable(ItemFetcher *fetcher, ItemAccess *access,
			   const Datum *key, uint64 hash, const FetchHint *hint,
			   Datum *values, bool *isnull, ItemPointer tid)
{
	ExprContext *econtext = fetcher->ps->ps_ExprContext;
	MemoryContext oldcontext;
	bool		ahead = hint != NULL && hint->looked && MayReadByPlace(access);
	uint64		row;

	if (fetcher->reader == NULL)
		OpenReader(fetcher, access);
	access->fill = FillPays(access, hash);
	if (!ReadItem(fetcher->reader, access, key, hash,
				  ahead ? &hint->item : NULL))
	{
		fetcher->nrows = 0;
		return false;
	}
	if (!access->unique)
		FindOthers(fetcher);

	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	if (FillFromReader(fetcher->reader, access, NULL, &row) &&
		fetcher->unique != NULL)
		PutAlias(access, hash, row, false);
	MemoryContextSwitchTo(oldcontext);

	GetColumns(fetcher, values, isnull, tid);
	return true;
}

static void
OpenReader(ItemFetcher *fetcher, const ItemAccess *access)
{
	MemoryContext oldcontext =
		MemoryContextSwitchTo(fetcher->ps->state->es_query_cxt);

	fetcher->reader = OpenItemReader(access);
	MemoryContextSwitchTo(oldcontext);
}

/* After the first row of a key has been read: where the others are, if any. */
static void
FindOthers(ItemFetcher *fetcher)
{
	ItemReader *reader = fetcher->reader;

	if (!ReadAnother(reader))
		return;
	NoteOther(fetcher, 0, &reader->slot->tts_tid);
	do
	{
		CHECK_FOR_INTERRUPTS();
		NoteOther(fetcher, fetcher->nrows++, &reader->other->tts_tid);
	} while (ReadAnother(reader));
}

static void
NoteOther(ItemFetcher *fetcher, int row, ItemPointer tid)
{
	if (row >= fetcher->max_others)
	{
		int			n = Max(2 * fetcher->max_others, 16);

		if (fetcher->others == NULL)
			fetcher->others =
				MemoryContextAlloc(fetcher->ps->state->es_query_cxt,
								   n * sizeof(ItemPointerData));
		else
			fetcher->others = repalloc_huge(fetcher->others,
											n * sizeof(ItemPointerData));
		fetcher->max_others = n;
	}
	fetcher->others[row] = *tid;
}

void
FetchAnother(ItemFetcher *fetcher, int row, Datum *values, bool *isnull,
			 ItemPointer tid)
{
	Assert(row < fetcher->nrows && fetcher->nrows > 1);
	ReadItemAt(fetcher->reader, &fetcher->others[row]);
	GetColumns(fetcher, values, isnull, tid);
}

static void
GetColumns(const ItemFetcher *fetcher, Datum *values, bool *isnull,
		   ItemPointer tid)
{
	TupleTableSlot *slot = fetcher->reader->slot;
	int			natts = fetcher->natts;

	slot_getsomeattrs(slot, natts);
	memcpy(values, slot->tts_values, natts * sizeof(Datum));
	memcpy(isnull, slot->tts_isnull, natts * sizeof(bool));
	*tid = slot->tts_tid;
}

void
ExplainCacheUse(PlanState *ps, ExplainState *es)
{
	if (es->analyze && ps->instrument != NULL)
	{
		ExplainPropertyInteger("Cache Hits", NULL,
							   (int64) ps->instrument->ntuples2, es);
		ExplainPropertyInteger("Cache Misses", NULL,
							   (int64) ps->instrument->nfiltered2, es);
	}
}
