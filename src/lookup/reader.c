/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  What an index of a plain table is searched with, to read items.
 *
 * That is a scan, and what finds a key without one (descent).
 *
 * To make a scan ready, and to clear it away, costs half as much as the search
 * of an index that is in memory.  So a reader that is closed is not freed, but
 * put to rest, to be used again by the next lookup, statement or transaction.
 *
 * Rules
 *
 * - A reader at rest holds nothing: no reference to a relation or to a row
 *   description, no pin, no lock, no snapshot.  It is nothing but memory, which
 *   nobody else can notice, and which nothing that happens has to clear away.
 *
 * - When it is used again, its relations are opened as for a new one; it is used
 *   only if they are found where they were, and it is what would be made for
 *   this access.  Else it is freed.
 *
 * - While it is used, it is nowhere but with its user.  A lookup in the middle of
 *   that opens another.
 *
 * README argues it, under "Readers at rest".
 *
 * May call: descent, visibility, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "lookup/reader.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * How many rest, each in the place of its index; and up to what size: some 40 kB
 * is usual, the rest is what comparison functions may have left behind.
 */
#define READERS_AT_REST		8
#define READER_MAX_MEMORY	((Size) 256 * 1024)

static ItemReader *AtRest[READERS_AT_REST];

static Relation OpenIndex(const ItemReader *resting, Oid index);
static void RefreshIndex(ItemReader *reader);
static bool ReaderFits(const ItemReader *reader, const ItemAccess *access,
					   Relation rel, Relation index);
static ItemReader *MakeReader(const ItemAccess *access, Relation rel,
							  Relation index);
static ItemReader **RestingPlace(Oid index);

ItemReader *
OpenItemReader(const ItemAccess *access)
{
	ItemReader **place = RestingPlace(access->index.oid);
	Relation	rel = table_open(access->relation->relid, NoLock);
	Relation	index;
	ItemReader *reader;

	RefuseUnloggedInRecovery(rel);
	index = OpenIndex(*place, access->index.oid);
	reader = *place;
	if (reader != NULL && ReaderFits(reader, access, rel, index))
	{
		*place = NULL;
		MemoryContextSetParent(reader->context, CurrentMemoryContext);
	}
	else
		reader = MakeReader(access, rel, index);
	reader->rel = rel;
	reader->index = index;
	reader->locked = CurrentLockGeneration();
	reader->scan->xs_snapshot = access->snapshot;
	return reader;
}

void
RefuseUnloggedInRecovery(Relation rel)
{
	if (!RelationIsPermanent(rel) && RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary or unlogged relations during recovery")));
}

/*
 * What has been found in the index is let go of as by a new search; what has been
 * fetched of the table, as at a scan's end, as a new search may keep that pinned
 * (since 19).  The scan's own reference to its index is gone since it was made, so
 * there is nothing else to end, and the memory can go as it is.
 */
void
CloseItemReader(ItemReader *reader)
{
	ItemReader **place = RestingPlace(RelationGetRelid(reader->index));

	if (reader->searching)
		index_rescan(reader->scan, reader->keys, reader->scan->numberOfKeys, NULL, 0);
	reader->searching = false;
	if (reader->slot != NULL)
		ExecClearTuple(reader->slot);
	if (reader->other != NULL)
		ExecClearTuple(reader->other);
	if (reader->scan->xs_heapfetch != NULL)
		table_index_fetch_end(reader->scan->xs_heapfetch);
	reader->scan->xs_heapfetch = NULL;
	reader->scan->xs_snapshot = InvalidSnapshot;
	index_close(reader->index, NoLock);
	table_close(reader->rel, NoLock);

	if (!reader->lasting ||
		MemoryContextMemAllocated(reader->context, false) > READER_MAX_MEMORY)
	{
		MemoryContextDelete(reader->context);
		return;
	}
	if (*place != NULL)
		MemoryContextDelete((*place)->context);
	MemoryContextSetParent(reader->context, TopMemoryContext);
	*place = reader;
}

DescentResult
FindPlace(ItemReader *reader, const Datum *key, ItemPointer tid)
{
	if (reader->descent == NULL)
		return DESCENT_UNDECIDED;
	RefreshIndex(reader);
	return Descend(reader->descent, reader->index, reader->rel, key,
				   reader->scan->xs_snapshot, tid);
}

void
BeginSearch(ItemReader *reader, const Datum *key)
{
	int			nkeys = reader->scan->numberOfKeys;

	RefreshIndex(reader);
	reader->searching = true;
	for (int i = 0; i < nkeys; i++)
		reader->keys[i].sk_argument = key[i];
	index_rescan(reader->scan, reader->keys, nkeys, NULL, 0);
}

/* The scan may allocate what it keeps until its end. */
ItemPointer
NextPlace(ItemReader *reader)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(reader->context);
	ItemPointer tid = index_getnext_tid(reader->scan, ForwardScanDirection);

	MemoryContextSwitchTo(oldcontext);
	return tid;
}

/*
 * Where most keys are absent, most readers need none.  The row shape's
 * description is ours, and so is not counted by the resource owner.
 */
void
NeedSlot(const ItemReader *reader, TupleTableSlot **slot)
{
	MemoryContext oldcontext;

	if (*slot != NULL)
		return;
	Assert(reader->tupdesc->tdrefcount == -1);
	oldcontext = MemoryContextSwitchTo(reader->context);
	*slot = MakeSingleTupleTableSlot(reader->tupdesc,
									 table_slot_callbacks(reader->rel));
	MemoryContextSwitchTo(oldcontext);
}

/* Most rows are read from a page that is found without it. */
void
NeedFetch(ItemReader *reader)
{
	MemoryContext oldcontext;

	if (reader->scan->xs_heapfetch != NULL)
		return;
	oldcontext = MemoryContextSwitchTo(reader->context);
	reader->scan->xs_heapfetch = BeginIndexFetch(reader->rel);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Opening a relation is what brings its description up to date.  A reader that was
 * opened after REINDEX INDEX in a savepoint, which did not know that the index
 * would be used, has it open when that is rolled back.
 */
static void
RefreshIndex(ItemReader *reader)
{
	if (!reader->index->rd_isvalid)
		index_close(index_open(RelationGetRelid(reader->index), NoLock), NoLock);
}

/* Without locking it again, if it is known to be locked in this transaction. */
static Relation
OpenIndex(const ItemReader *resting, Oid index)
{
	bool		locked = resting != NULL && resting->indexid == index &&
		resting->locked == CurrentLockGeneration();

	return index_open(index, locked ? NoLock : AccessShareLock);
}

/*
 * Would a new one be the same?  Shapes are not numbered twice; of relations it is
 * enough that they are where the scan believes them to be, being those that were
 * asked for.
 */
static bool
ReaderFits(const ItemReader *reader, const ItemAccess *access, Relation rel,
		   Relation index)
{
	const IndexScanDescData *scan = reader->scan;

	return reader->indexid == access->index.oid &&
		reader->row_shape == access->shape->id &&
		reader->key_shape == access->key->id &&
		reader->am == rel->rd_tableam &&
		scan->heapRelation == rel && scan->indexRelation == index &&
		scan->xactStartedInRecovery == TransactionStartedDuringRecovery();
}

/* One that calls functions of the user's belongs to one call, as they do. */
static ItemReader *
MakeReader(const ItemAccess *access, Relation rel, Relation index)
{
	const ItemShape *key = access->key;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "itemcache reader",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	ItemReader *reader = palloc0(offsetof(ItemReader, keys) +
								 key->nkeys * sizeof(ScanKeyData));

	reader->context = context;
	reader->indexid = access->index.oid;
	reader->row_shape = access->shape->id;
	reader->key_shape = key->id;
	reader->tupdesc = access->shape->tupdesc;
	reader->am = rel->rd_tableam;
	reader->lasting = true;
	reader->scan = BeginIndexScan(rel, index, access->snapshot, key->nkeys);
	/* ours is enough */
	RelationDecrementReferenceCount(index);
	reader->descent = MakeDescent(index, key->nkeys);
	for (int i = 0; i < key->nkeys; i++)
	{
		const KeyColumn *column = &key->keys[i];

		ScanKeyEntryInitialize(&reader->keys[i], 0, i + 1,
							   BTEqualStrategyNumber, InvalidOid,
							   column->collation, column->eqproc, (Datum) 0);
		reader->lasting = reader->lasting && TypeIsPlain(column->basetypid) &&
			column->eqproc < FirstGenbkiObjectId &&
			column->cmpproc < FirstGenbkiObjectId;
	}
	MemoryContextSwitchTo(oldcontext);
	return reader;
}

static ItemReader **
RestingPlace(Oid index)
{
	return &AtRest[index % READERS_AT_REST];
}
