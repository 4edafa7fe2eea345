/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Reading items from the table: by its primary key's index, or by a
 *	  planned query where that cannot be.
 *
 * The index scan is the executor's own, with the caller's snapshot, and takes
 * the predicate locks of a SERIALIZABLE transaction (rule 5).  The query is
 * for what an index scan does not do: row-level security, an index that this
 * snapshot may not use, partitions that cannot be found by key alone, virtual
 * generated columns.
 *
 * May call: reader, recent, absence, alias, fill, visibility, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "lookup/absence.h"
#include "lookup/alias.h"
#include "lookup/fill.h"
#include "lookup/read.h"
#include "lookup/recent.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memdebug.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/ruleutils.h"
#include "utils/spccache.h"
#include "utils/syscache.h"

/*
 * A saved query of a relation, one for each key.  A saved plan is made again from
 * its text, and so by names, which may have come to mean another table: the text
 * is compared each time with what it would be now.
 *
 * Indexes come and go, so there is a limit to their number; past it, the last
 * place is for all others by turns.
 */
#define MAX_READ_PLANS	16

/* So many single rows are taken for being on disk, after one that was. */
#define DISK_STREAK		16

typedef struct ReadPlan
{
	struct ReadPlan *next;
	uint64		purpose;		/* of the key; 0: the primary key */
	char	   *sql;			/* in TopMemoryContext */
	SPIPlanPtr	plan;
} ReadPlan;

/* What is known of a row that FindItems() has looked for. */
typedef enum AheadResult
{
	AHEAD_FOUND,
	AHEAD_ABSENT,
	AHEAD_UNKNOWN
} AheadResult;

static bool CanBeRead(const ItemRelation *relation, const ItemIndex *index);
static void FindFirstPlace(ItemReader *reader, const Datum *key,
						   ItemPointer tid);
static void LookAhead(ItemReader *reader, const ItemAccess *access,
					  const Datum *key, uint64 hash, AheadItem *item);
static bool PrefetchPlace(Relation rel, AheadItem *item);
static void PrefetchTuple(Page page, OffsetNumber offset);
static void PrefetchBytes(const char *bytes, Size length);
static bool SearchItem(ItemReader *reader, const ItemAccess *access,
					   const Datum *key, uint64 hash);
static bool ReadPlace(ItemReader *reader, const ItemPointerData *tid);
static bool ReadRecentPlace(ItemReader *reader, const AheadItem *item);
static AheadResult ReadItemAhead(ItemReader *reader, const ItemAccess *access,
								 const Datum *key, uint64 hash,
								 const AheadItem *item);
static HeapTupleHeader SlotImage(const ItemAccess *access,
								 TupleTableSlot *slot);
pg_noreturn static void RefuseMore(const ItemRelation *relation,
								  const UniqueKey *unique);
static HeapTupleHeader ResultRow(SPITupleTable *table, uint64 row);
static void CheckResultType(ItemRelation *relation);
static SPIPlanPtr GetReadPlan(ItemRelation *relation, const UniqueKey *unique);
static ReadPlan **FindReadPlan(ItemRelation *relation, uint64 purpose);
static char *DeparseReadQuery(const ItemRelation *relation,
							  const ItemShape *shape, const UniqueKey *unique,
							  Oid *argtypes);
static char *UnusedName(TupleDesc tupdesc);

/*
 * The planner's test (get_relation_info): an index with broken HOT chains
 * is of no use to a snapshot older than itself.
 */
bool
RelationIsReadByIndex(const ItemRelation *relation)
{
	return CanBeRead(relation, &relation->pk);
}

bool
IsReadByIndex(const ItemAccess *access)
{
	return CanBeRead(access->relation, &access->index) &&
		IndexIsThere(access->index.oid);
}

/*
 * On a standby an index can be dropped concurrently without regard to who has
 * locked the table, but not when we have locked the index.
 */
bool
IndexIsThere(Oid index)
{
	if (!RecoveryInProgress())
		return true;
	LockRelationOid(index, AccessShareLock);
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(index));
}

static bool
CanBeRead(const ItemRelation *relation, const ItemIndex *index)
{
	if (relation->partitioned || !index->valid || relation->shape->has_virtual)
		return false;
	return !index->checkxmin || IndexIsOld(index);
}

bool
ReadItem(ItemReader *reader, const ItemAccess *access, const Datum *key,
		 uint64 hash, const AheadItem *item)
{
	AheadResult ahead = AHEAD_UNKNOWN;
	AbsenceFill absence;

	if (item != NULL)
		ahead = ReadItemAhead(reader, access, key, hash, item);
	if (ahead != AHEAD_UNKNOWN)
		return ahead == AHEAD_FOUND;
	BeginAbsence(&absence, access, hash);
	if (SearchItem(reader, access, key, hash))
		return true;
	if (!reader->any)
		FillAbsence(&absence, access, key, hash);
	return false;
}

/* index_getnext_slot(), but that we want to know whether there was any place. */
static bool
SearchItem(ItemReader *reader, const ItemAccess *access, const Datum *key,
		   uint64 hash)
{
	ItemPointerData tid;
	DescentResult result = DESCENT_UNDECIDED;

	PrefetchRoom(access, hash);
	if (MayReadByPlace(access))
		result = FindPlace(reader, key, &tid);
	reader->any = result == DESCENT_FOUND;
	if (result == DESCENT_ABSENT)
		return false;
	if (result == DESCENT_FOUND)
	{
		PrefetchTail(access, hash);
		if (ReadPlace(reader, &tid))
			return true;
	}

	BeginSearch(reader, key);
	for (;;)
	{
		if (!reader->scan->xs_heap_continue)
		{
			if (NextPlace(reader) == NULL)
				return false;
			if (!reader->any)
				PrefetchTail(access, hash);
			reader->any = true;
		}
		NeedSlot(reader, &reader->slot);
		NeedFetch(reader);
		if (index_fetch_heap(reader->scan, reader->slot))
			return true;
	}
}

/*
 * A place found in the index is good for as long as the snapshot is: VACUUM
 * takes nothing away that it sees, and what comes in its place it does not see.
 * Bitmap scans rest on that, too.  But it is not so if snapshots can become too
 * old; predicate locks are for rows that are asked for; and where the key is not
 * unique to the snapshot there are more places.
 */
bool
MayReadByPlace(const ItemAccess *access)
{
	return access->serve && access->unique && !IsolationIsSerializable() &&
		!SnapshotsBecomeTooOld();
}

bool
FindItems(ItemReader *reader, const ItemAccess *access, int nkeys,
		  Datum *const *keys, const uint64 *hashes, AheadItem *items)
{
	bool		want_rows = get_tablespace_io_concurrency(reader->rel->rd_rel->reltablespace) > 0;
	bool		all_there = true;
	int			last = -1;
	AbsenceFill absence;

	BeginAbsences(&absence, access);
	if (keys[0] != NULL)
		PrefetchFill(access, hashes[0]);
	for (int i = 0; i < nkeys; i++)
	{
		AheadItem  *item = &items[i];

		CHECK_FOR_INTERRUPTS();
		item->absence = absence;
		/* the first that is read of it is the counter, before the search */
		if (i + 1 < nkeys && keys[i + 1] != NULL)
			PrefetchFill(access, hashes[i + 1]);
		if (keys[i] == NULL)
			continue;
		NextAbsence(&item->absence, hashes[i]);
		LookAhead(reader, access, keys[i], hashes[i], item);
		/* each step a search after the one before */
		if (last >= 0)
			PrefetchFound(access, hashes[last], &items[last]);
		if (want_rows && !PrefetchPlace(reader->rel, item))
			all_there = false;
		last = i;
	}
	if (last >= 0)
		PrefetchFound(access, hashes[last], &items[last]);
	return all_there;
}

/* To ask the disk would not be ahead of anything: not while pages are read from it. */
void
FindItem(ItemReader *reader, const ItemAccess *access, const Datum *key,
		 uint64 hash, AheadItem *item)
{
	PrefetchFill(access, hash);
	BeginAbsence(&item->absence, access, hash);
	LookAhead(reader, access, key, hash, item);
	if (reader->on_disk > 0)
		reader->on_disk--;
	else if (!PrefetchPlace(reader->rel, item))
		reader->on_disk = DISK_STREAK;
}

static void
LookAhead(ItemReader *reader, const ItemAccess *access, const Datum *key,
		  uint64 hash, AheadItem *item)
{
	item->recent = InvalidBuffer;
	ItemPointerSetInvalid(&item->tid);
	FindFirstPlace(reader, key, &item->tid);
	PrefetchRoom(access, hash);
}

/* One place of a key, if there is any. */
static void
FindFirstPlace(ItemReader *reader, const Datum *key, ItemPointer tid)
{
	ItemPointer found;

	if (FindPlace(reader, key, tid) != DESCENT_UNDECIDED)
		return;
	BeginSearch(reader, key);
	found = NextPlace(reader);
	if (found != NULL)
		*tid = *found;
}

/* What leads to a row, if there is one; false if the disk is asked for it. */
static bool
PrefetchPlace(Relation rel, AheadItem *item)
{
	BlockNumber block;
	Page		page;

	if (!ItemPointerIsValid(&item->tid))
		return true;
	block = ItemPointerGetBlockNumber(&item->tid);
	item->recent = RecentBuffer(rel, block);
	if (!BufferIsValid(item->recent))
	{
		item->recent = PrefetchBuffer(rel, MAIN_FORKNUM, block).recent_buffer;
		if (!BufferIsValid(item->recent))
			return false;
		RememberBuffer(rel, block, item->recent);
	}
	page = BufferGetPage(item->recent);
	if (!BufferIsLocal(item->recent))
		prefetch(GetBufferDescriptor(item->recent - 1));
	prefetch(page);
	prefetch(PageGetItemId(page, ItemPointerGetOffsetNumber(&item->tid)));
	return true;
}

/*
 * The page is not pinned, so it can become another meanwhile, and what is read of it
 * is not relied on.
 */
void
PrefetchFound(const ItemAccess *access, uint64 hash, const AheadItem *item)
{
	PrefetchTail(access, hash);
#ifdef USE_VALGRIND
	/* it would report whoever looks at a page that is not pinned */
	if (RUNNING_ON_VALGRIND)
		return;
#endif
	if (BufferIsValid(item->recent))
		PrefetchTuple(BufferGetPage(item->recent),
					  ItemPointerGetOffsetNumber(&item->tid));
}

static void
PrefetchTuple(Page page, OffsetNumber offset)
{
	ItemIdData	lp = *PageGetItemId(page, offset);

	PrefetchBytes((const char *) page + ItemIdGetOffset(&lp),
				  ItemIdGetLength(&lp));
}

static void
PrefetchBytes(const char *bytes, Size length)
{
	for (const char *line = bytes; line < bytes + length; line += 64)
		prefetch(line);
}

/*
 * Where the index had nothing when it was asked, which was after the snapshot was
 * taken, that sees nothing.  At a place that it had there may be something else.
 */
static AheadResult
ReadItemAhead(ItemReader *reader, const ItemAccess *access, const Datum *key,
			  uint64 hash, const AheadItem *item)
{
	if (!ItemPointerIsValid(&item->tid))
	{
		/* others of the batch may have given the table an epoch of absences */
		if (item->absence.wanted && item->absence.epoch == EPOCH_NONE)
			return AHEAD_UNKNOWN;
		FillAbsence(&item->absence, access, key, hash);
		return AHEAD_ABSENT;
	}
	if (ReadRecentPlace(reader, item) || ReadPlace(reader, &item->tid))
		return AHEAD_FOUND;
	return AHEAD_UNKNOWN;
}

/* The row that the snapshot sees at a place, though the scan is elsewhere. */
static bool
ReadPlace(ItemReader *reader, const ItemPointerData *tid)
{
	IndexScanDesc scan = reader->scan;
	bool		found;

	NeedSlot(reader, &reader->slot);
	NeedFetch(reader);
	scan->xs_heaptid = *tid;
	scan->xs_heap_continue = false;
	found = index_fetch_heap(scan, reader->slot);
	scan->kill_prior_tuple = false;
	return found;
}

/*
 * To find the buffer of a page takes as long as all the rest of fetching a row from
 * it.  If the page is still in the buffer that was found for it before, this is what
 * index_fetch_heap() would do with the buffer, but that the slot gets the pin, so
 * that no fetch need be begun.
 */
static bool
ReadRecentPlace(ItemReader *reader, const AheadItem *item)
{
	Relation	rel = reader->rel;
	Buffer		buffer = item->recent;
	ItemPointerData tid = item->tid;
	HeapTuple	tuple;
	bool		found;

	if (!BufferIsValid(buffer) ||
		rel->rd_tableam != GetHeapamTableAmRoutine() ||
		!PinRecentBuffer(rel, ItemPointerGetBlockNumber(&tid), buffer))
		return false;
	PrunePage(rel, buffer);

	NeedSlot(reader, &reader->slot);
	tuple = &((BufferHeapTupleTableSlot *) reader->slot)->base.tupdata;
	ExecClearTuple(reader->slot);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&tid, rel, buffer, reader->scan->xs_snapshot,
								   tuple, NULL, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
	{
		ReleaseBuffer(buffer);
		return false;
	}
	tuple->t_self = tid;
	reader->slot->tts_tableOid = RelationGetRelid(rel);
	ExecStorePinnedBufferHeapTuple(tuple, reader->slot, buffer);
	pgstat_count_heap_fetch(reader->index);
	return true;
}

bool
ReadAnother(ItemReader *reader)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(reader->context);
	bool		found;

	NeedSlot(reader, &reader->other);
	NeedFetch(reader);
	found = index_getnext_slot(reader->scan, ForwardScanDirection, reader->other);
	MemoryContextSwitchTo(oldcontext);
	return found;
}

void
ReadItemAt(ItemReader *reader, ItemPointer tid)
{
	NeedSlot(reader, &reader->slot);
	if (!table_tuple_fetch_row_version(reader->rel, tid,
									   reader->scan->xs_snapshot, reader->slot))
		elog(ERROR, "row at (%u,%u) of table \"%s\" has gone",
			 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid),
			 RelationGetRelationName(reader->rel));
}

void
ReadItemsByIndex(const ItemAccess *access, int nkeys, Datum *const *keys,
				 HeapTupleHeader *results, List **more)
{
	ItemReader *reader = OpenItemReader(access);
	AheadItem	items[READ_AHEAD_MAX];
	uint64		hashes[READ_AHEAD_MAX];
	bool		ahead = nkeys > 1 && MayReadByPlace(access);

	Assert(nkeys <= READ_AHEAD_MAX);
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i] != NULL)
			hashes[i] = KeyHash(access->key, access->seed, keys[i]);
	}
	if (ahead)
		FindItems(reader, access, nkeys, keys, hashes, items);
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i] == NULL)
			continue;
		results[i] = ReadImage(reader, access, keys[i], hashes[i],
							   ahead ? &items[i] : NULL);
		if (results[i] == NULL)
			continue;
		while (!access->unique && ReadAnother(reader))
		{
			if (more == NULL)
				RefuseMore(access->relation, access->alias);
			more[i] = lappend(more[i], SlotImage(access, reader->other));
		}
	}
	CloseItemReader(reader);
}

HeapTupleHeader
ReadImage(ItemReader *reader, const ItemAccess *access, const Datum *key,
		  uint64 hash, const AheadItem *item)
{
	ItemAccess	filling = *access;
	HeapTupleHeader image;
	uint64		row;

	filling.fill = FillPays(access, hash);
	if (!ReadItem(reader, &filling, key, hash, item))
		return NULL;
	image = SlotImage(access, reader->slot);
	if (FillFromReader(reader, &filling, image, &row) && access->alias != NULL)
		PutAlias(access, hash, row, false);
	return image;
}

static HeapTupleHeader
SlotImage(const ItemAccess *access, TupleTableSlot *slot)
{
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	HeapTupleHeader image;

	PrefetchBytes((const char *) tuple->t_data, tuple->t_len);
	image = ItemImage(access->shape, tuple, MaxAllocSize);

	if (should_free)
		heap_freetuple(tuple);
	if (image == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row of table \"%s\" is too large",
						get_rel_name(access->relation->relid))));
	return image;
}

/* As a subquery that is to give one row does. */
static void
RefuseMore(const ItemRelation *relation, const UniqueKey *unique)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("more than one row of table \"%s\" has the key",
					get_rel_name(relation->relid)),
			 unique == NULL ?
			 errdetail("The primary key does not hold for what the snapshot sees: it was made later, is deferrable, or is not valid.") :
			 errdetail("The index does not hold for what the snapshot sees: it was made later, or is not valid."),
			 unique == NULL ?
			 errhint("Use SELECT or itemcache.get_many().") :
			 errhint("Use SELECT or itemcache.get_many_by().")));
}

/*
 * The key cached under is the row's own, which is not always the one that was
 * looked up (1.0 finds 1.00).
 */
bool
FillFromReader(ItemReader *reader, const ItemAccess *access,
			   HeapTupleHeader image, uint64 *hash)
{
	TupleTableSlot *slot = reader->slot;
	HeapTuple	tuple;
	bool		should_free;
	Datum		key[INDEX_MAX_KEYS];
	FillItem	item;

	if (!access->fill)
		return false;

	/* a table that is filled from is a heap: BeginItemAccess() */
	Assert(TTS_IS_BUFFERTUPLE(slot));
	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);

	if (image != NULL)
		ImageIsSource(image, &item.image);
	if ((image == NULL &&
		 !FindImage(access->shape, tuple, slot, ItemSizeLimit(), &item.image)) ||
		ImageSourceSize(&item.image) > ItemSizeLimit())
	{
		CountTooLarge(access);
		return false;
	}
	ItemKey(access->shape, tuple, key);
	item.version = tuple->t_data;
	item.used = false;
	item.hash = KeyHash(access->shape, access->relation->seed, key);
	FillItems(access, ((BufferHeapTupleTableSlot *) slot)->buffer, &item, 1,
			  false);
	*hash = item.hash;
	return item.result == STORE_DONE;
}

void
ReadItemsByQuery(ItemRelation *relation, const UniqueKey *unique, int nkeys,
				 Datum *const *keys, HeapTupleHeader *results, List **more)
{
	MemoryContext resultcontext = CurrentMemoryContext;
	SPIPlanPtr	plan;

	SPI_connect();
	plan = GetReadPlan(relation, unique);
	for (int i = 0; i < nkeys; i++)
	{
		MemoryContext oldcontext;
		int			rc;

		if (keys[i] == NULL)
			continue;
		rc = SPI_execute_plan(plan, (Datum *) keys[i], NULL, true,
							  more == NULL ? 2 : 0);
		if (rc != SPI_OK_SELECT)
			elog(ERROR, "reading table \"%s\" failed: %s",
				 get_rel_name(relation->relid), SPI_result_code_string(rc));
		CheckResultType(relation);
		if (SPI_processed > 1 && more == NULL)
			RefuseMore(relation, unique);
		oldcontext = MemoryContextSwitchTo(resultcontext);
		results[i] = NULL;
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			HeapTupleHeader image = ResultRow(SPI_tuptable, row);

			if (row == 0)
				results[i] = image;
			else
				more[i] = lappend(more[i], image);
		}
		MemoryContextSwitchTo(oldcontext);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
}

/* A copy of the row value that a row of the query's result is. */
static HeapTupleHeader
ResultRow(SPITupleTable *table, uint64 row)
{
	bool		isnull;
	Datum		value = SPI_getbinval(table->vals[row], table->tupdesc, 1, &isnull);

	return isnull ? NULL : DatumGetHeapTupleHeaderCopy(value);
}

/* A schema can be renamed without regard to locks on its tables. */
static void
CheckResultType(ItemRelation *relation)
{
	if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) != relation->shape->rowtype)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("table \"%s\" was renamed during the lookup",
						get_rel_name(relation->relid))));
}

static SPIPlanPtr
GetReadPlan(ItemRelation *relation, const UniqueKey *unique)
{
	uint64		purpose = unique == NULL ? 0 : unique->purpose;
	const ItemShape *shape = unique == NULL ? relation->shape : unique->shape;
	Oid			argtypes[INDEX_MAX_KEYS];
	char	   *sql = DeparseReadQuery(relation, shape, unique, argtypes);
	ReadPlan   *saved = *FindReadPlan(relation, purpose);
	char	   *kept;
	SPIPlanPtr	plan;

	if (saved != NULL && strcmp(saved->sql, sql) == 0)
		return saved->plan;

	plan = SPI_prepare(sql, shape->nkeys, argtypes);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare a query on table \"%s\": %s",
			 get_rel_name(relation->relid), SPI_result_code_string(SPI_result));
	kept = MemoryContextStrdup(TopMemoryContext, sql);

	/* not before there is another: this may be called, and fail, in between */
	saved = *FindReadPlan(relation, purpose);
	if (saved == NULL)
		saved = *FindReadPlan(relation, purpose) =
			MemoryContextAllocZero(TopMemoryContext, sizeof(ReadPlan));
	else
	{
		RetirePlan(saved->plan);
		pfree(saved->sql);
	}
	saved->purpose = purpose;
	saved->plan = plan;
	saved->sql = kept;
	return plan;
}

/* Where the saved query of a key is, or is to be put. */
static ReadPlan **
FindReadPlan(ItemRelation *relation, uint64 purpose)
{
	ReadPlan  **place = &relation->readplan;

	for (int i = 1; *place != NULL && (*place)->purpose != purpose; i++)
	{
		if (i == MAX_READ_PLANS)
			break;
		place = &(*place)->next;
	}
	return place;
}

static char *
DeparseReadQuery(const ItemRelation *relation, const ItemShape *shape,
				 const UniqueKey *unique, Oid *argtypes)
{
	char	   *alias = UnusedName(shape->tupdesc);
	List	   *context = NIL;
	List	   *expressions = unique == NULL ? NIL : unique->expressions;
	int			nexpressions = 0;
	StringInfoData sql;

	if (unique != NULL)
		context = deparse_context_for(alias, relation->relid);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM %s%s %s WHERE ", alias,
					 relation->partitioned ? "" : "ONLY ",
					 QualifiedRelationName(relation->relid), alias);
	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];
		char	   *param = psprintf("$%d", i + 1);
		char	   *value;

		if (column->attno != InvalidAttrNumber)
			value = psprintf("%s.%s", alias,
							 quote_identifier(NameStr(TupleDescAttr(shape->tupdesc,
																	column->attno - 1)->attname)));
		else
		{
			Assert(expressions != NIL);
			value = psprintf("(%s)",
							 deparse_expression(list_nth(expressions,
														 nexpressions++),
												context, true, false));
		}
		argtypes[i] = column->basetypid;
		if (i > 0)
			appendStringInfoString(&sql, " AND ");
		generate_operator_clause(&sql, value, column->typid, column->eqop,
								 param, column->basetypid);
	}
	if (unique != NULL && unique->predicate != NULL)
		appendStringInfo(&sql, " AND %s",
						 deparse_expression(unique->predicate, context, true,
											false));
	return sql.data;
}

/* A name that is no column's, so that it can only mean the whole row. */
static char *
UnusedName(TupleDesc tupdesc)
{
	char	   *name = "item";

	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(tupdesc, i)->attname), name) == 0)
		{
			name = psprintf("%s_", name);
			i = -1;
		}
	}
	return name;
}
