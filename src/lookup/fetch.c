/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  The columns of one item after another, for a node of the executor: from
 *	  the cache, else from the table.
 *
 * A hit copies no more of the image than the columns asked for take, and
 * forms no others.  How much that is has been learned from the items before:
 * the bytes that were copied are checked column by column, and if an item
 * turns out to want more, the rest follows.
 *
 * May call: keyarg, read, visibility, relation, item, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "executor/executor.h"
#include "lookup/fetch.h"
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
static bool FetchFromCache(ItemFetcher *fetcher, const ItemAccess *access,
						   const Datum *key, uint64 hash, StoreHint hint,
						   Datum *values, bool *isnull, ItemPointer tid);
static bool CopyColumns(ItemFetcher *fetcher, const ItemAccess *access,
						const StoreItem *item, Datum *values, bool *isnull);
static void ShowBuffer(ItemFetcher *fetcher, Size size);
static void GrowBuffer(ItemFetcher *fetcher, Size size);
static bool FetchFromTable(ItemFetcher *fetcher, const ItemAccess *access,
						   const Datum *key,
						   Datum *values, bool *isnull, ItemPointer tid);
static void FindOthers(ItemFetcher *fetcher);
static void NoteOther(ItemFetcher *fetcher, int row, ItemPointer tid);
static void GetColumns(const ItemFetcher *fetcher, Datum *values, bool *isnull,
					   ItemPointer tid);

void
BeginFetcher(ItemFetcher *fetcher, PlanState *ps, Oid relid,
			 const List *keytypes, int natts)
{
	int			nkeys = list_length(keytypes);

	fetcher->relation = FindItemRelation(relid);
	ItemRelationIsLockedByPlan(fetcher->relation);
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
}

void
RefreshFetcher(ItemFetcher *fetcher)
{
	RefreshItemRelation(fetcher->relation, false);
	if (fetcher->shape_id != fetcher->relation->shape->id)
		FitRelation(fetcher);
}

/* Make ready what depends on the shape of the relation's rows. */
static void
FitRelation(ItemFetcher *fetcher)
{
	ItemShape  *shape = fetcher->relation->shape;
	bool		fits = shape->nkeys == fetcher->nkeys &&
		fetcher->natts <= shape->tupdesc->natts;

	for (int i = 0; i < fetcher->nkeys && fits; i++)
		fits = PrepareComparison(&fetcher->keys[i].converter, shape, i,
								 fetcher->keys[i].type);
	if (!fits)
		elog(ERROR, "primary key of table \"%s\" has changed under a plan",
			 get_rel_name(fetcher->relation->relid));

	/* the key is compared in what is formed */
	for (int i = 0; i < shape->nkeys; i++)
		fetcher->natts = Max(fetcher->natts, shape->keys[i].attno);
	fetcher->shape_id = shape->id;
}

void
PrefetchFetch(ItemFetcher *fetcher, int nhashes, const uint64 *hashes,
			  StoreHint *hints)
{
	StorePrefetch(nhashes, hashes, fetcher->prefix, hints);
}

bool
FetchColumns(ItemFetcher *fetcher, const Datum *key, uint64 hash,
			 StoreHint hint, Datum *values, bool *isnull, ItemPointer tid)
{
	NodeInstrumentation *instrument = fetcher->ps->instrument;
	ItemAccess	access;

	fetcher->nrows = 1;
	BeginItemAccess(&access, fetcher->relation, &fetcher->relation->pk,
					fetcher->ps->state->es_snapshot);
	if (!itemcache_transparent)
		access.serve = access.fill = false;

	if (access.serve &&
		FetchFromCache(fetcher, &access, key, hash, hint, values, isnull, tid))
	{
		RelationCount(fetcher->relation, COUNT_HITS, 1);
		if (instrument)
			instrument->ntuples2 += 1;
		return true;
	}
	RelationCount(fetcher->relation,
				  access.serve ? COUNT_MISSES : COUNT_BYPASSES, 1);
	if (instrument)
		instrument->nfiltered2 += 1;
	return FetchFromTable(fetcher, &access, key, values, isnull, tid);
}

static bool
FetchFromCache(ItemFetcher *fetcher, const ItemAccess *access,
			   const Datum *key, uint64 hash, StoreHint hint,
			   Datum *values, bool *isnull, ItemPointer tid)
{
	StoreItem	item;

	if (!StoreFind(hash, access->epoch, STORE_ROW, fetcher->prefix, hint, &item) ||
		!ItemIsVisible(access, &item) ||
		!CopyColumns(fetcher, access, &item, values, isnull) ||
		!ColumnsHaveKey(access->shape, values, isnull, key))
		return false;
	StoreTouch(&item);
	*tid = ((HeapTupleHeader) fetcher->buffer)->t_ctid;
	return true;
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
			fetcher->prefix = Min(TYPEALIGN(64, used), MAX_PREFIX);
		if (used > 0 || size == item->size)
			return used > 0;
		size = item->size;
	}
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
FetchFromTable(ItemFetcher *fetcher, const ItemAccess *access,
			   const Datum *key, Datum *values, bool *isnull, ItemPointer tid)
{
	ItemReader *reader = fetcher->reader;
	ExprContext *econtext = fetcher->ps->ps_ExprContext;
	MemoryContext oldcontext;

	if (reader == NULL)
	{
		oldcontext = MemoryContextSwitchTo(fetcher->ps->state->es_query_cxt);
		reader = palloc(sizeof(ItemReader));
		OpenItemReader(reader, access);
		fetcher->reader = reader;
		MemoryContextSwitchTo(oldcontext);
	}
	if (!ReadItem(reader, key))
	{
		fetcher->nrows = 0;
		return false;
	}
	if (!access->unique)
		FindOthers(fetcher);

	oldcontext = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	FillFromReader(reader, access, NULL);
	MemoryContextSwitchTo(oldcontext);

	GetColumns(fetcher, values, isnull, tid);
	return true;
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
