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
 * May call: absence, fill, visibility, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "lookup/absence.h"
#include "lookup/fill.h"
#include "lookup/read.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memdebug.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/spccache.h"

/*
 * A saved query of a relation.  A saved plan is made again from its text, and
 * so by names, which may have come to mean another table: the text is compared
 * each time with what it would be now.
 */
typedef struct ReadPlan
{
	char	   *sql;			/* in TopMemoryContext */
	SPIPlanPtr	plan;
} ReadPlan;

static void BeginSearch(ItemReader *reader, const Datum *key);
static void PrefetchRows(Relation rel, int ntids, const ItemPointerData *tids);
static void PrefetchTuple(Page page, OffsetNumber offset);
static bool ReadKey(ItemReader *reader, const ItemAccess *access,
					const Datum *key, const ItemPointerData *tid);
static HeapTupleHeader SlotImage(const ItemAccess *access,
								 TupleTableSlot *slot);
static void RefuseMore(const ItemRelation *relation);
static HeapTupleHeader ResultRow(SPITupleTable *table, uint64 row);
static void CheckResultType(ItemRelation *relation);
static SPIPlanPtr GetReadPlan(ItemRelation *relation);
static char *DeparseReadQuery(const ItemRelation *relation, Oid *argtypes);
static char *UnusedName(TupleDesc tupdesc);

/*
 * The planner's test (get_relation_info): an index with broken HOT chains
 * is of no use to a snapshot older than itself.
 */
bool
RelationIsReadByIndex(const ItemRelation *relation)
{
	const ItemIndex *index = &relation->pk;

	if (relation->partitioned || !index->valid || relation->shape->has_virtual)
		return false;
	return !index->checkxmin || IndexIsOld(index);
}

void
RefuseUnloggedInRecovery(Relation rel)
{
	if (!RelationIsPermanent(rel) && RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary or unlogged relations during recovery")));
}

void
OpenItemReader(ItemReader *reader, const ItemAccess *access)
{
	ItemShape  *shape = access->key;

	reader->rel = table_open(access->relation->relid, NoLock);
	RefuseUnloggedInRecovery(reader->rel);
	reader->index = index_open(access->index.oid, AccessShareLock);
	reader->slot = table_slot_create(reader->rel, NULL);
	reader->other = NULL;
	reader->scan = BeginIndexScan(reader->rel, reader->index, access->snapshot,
								  shape->nkeys);
	for (int i = 0; i < shape->nkeys; i++)
		ScanKeyEntryInitialize(&reader->keys[i], 0, i + 1,
							   BTEqualStrategyNumber, InvalidOid,
							   shape->keys[i].collation,
							   shape->keys[i].eqproc, (Datum) 0);
}

bool
ReadItem(ItemReader *reader, const Datum *key)
{
	BeginSearch(reader, key);

	/* index_getnext_slot(), but for "any" */
	reader->any = false;
	for (;;)
	{
		if (!reader->scan->xs_heap_continue)
		{
			if (index_getnext_tid(reader->scan, ForwardScanDirection) == NULL)
				return false;
			reader->any = true;
		}
		if (index_fetch_heap(reader->scan, reader->slot))
			return true;
	}
}

static void
BeginSearch(ItemReader *reader, const Datum *key)
{
	int			nkeys = reader->scan->numberOfKeys;

	/*
	 * Opening a relation is what brings its description up to date.  A scan
	 * that began after REINDEX INDEX in a savepoint, which did not know that
	 * the index would be used, has it open when that is rolled back.
	 */
	if (!reader->index->rd_isvalid)
		index_close(index_open(RelationGetRelid(reader->index), NoLock), NoLock);

	for (int i = 0; i < nkeys; i++)
		reader->keys[i].sk_argument = key[i];
	index_rescan(reader->scan, reader->keys, nkeys, NULL, 0);
}

/*
 * A place found in the index is good for as long as the snapshot is: VACUUM
 * takes nothing away that it sees, and what comes in its place it does not see.
 * Bitmap scans rest on that, too.  But it is not so if snapshots can become too
 * old; predicate locks are for rows that are asked for; and where the key is not
 * unique to the snapshot there are more places.
 */
bool
MayReadAhead(const ItemAccess *access)
{
	return access->serve && access->unique && !IsolationIsSerializable() &&
		!SnapshotsBecomeTooOld();
}

void
FindItems(ItemReader *reader, int nkeys, Datum *const *keys,
		  ItemPointerData *tids)
{
	for (int i = 0; i < nkeys; i++)
	{
		ItemPointer tid = NULL;

		CHECK_FOR_INTERRUPTS();
		if (keys[i] != NULL)
		{
			BeginSearch(reader, keys[i]);
			tid = index_getnext_tid(reader->scan, ForwardScanDirection);
		}
		if (tid != NULL)
			tids[i] = *tid;
		else
			ItemPointerSetInvalid(&tids[i]);
	}
	PrefetchRows(reader->rel, nkeys, tids);
}

/*
 * In two rounds, as in the store: what leads to the rows, then the rows.  Pages
 * that are not there are asked of the disk, if that is wanted at all.
 *
 * The pages are not pinned, so they can become others meanwhile, and what is read
 * of them is not relied on.
 */
static void
PrefetchRows(Relation rel, int ntids, const ItemPointerData *tids)
{
	Page		pages[READ_AHEAD_MAX];

	Assert(ntids <= READ_AHEAD_MAX);
	if (get_tablespace_io_concurrency(rel->rd_rel->reltablespace) == 0)
		return;
	for (int i = 0; i < ntids; i++)
	{
		Buffer		buffer = InvalidBuffer;

		if (ItemPointerIsValid(&tids[i]))
			buffer = PrefetchBuffer(rel, MAIN_FORKNUM,
									ItemPointerGetBlockNumber(&tids[i])).recent_buffer;
		pages[i] = NULL;
		if (BufferIsValid(buffer))
		{
			pages[i] = BufferGetPage(buffer);
			prefetch(pages[i]);
			prefetch(PageGetItemId(pages[i],
								   ItemPointerGetOffsetNumber(&tids[i])));
		}
	}
#ifdef USE_VALGRIND
	/* it would report whoever looks at a page that is not pinned */
	if (RUNNING_ON_VALGRIND)
		return;
#endif
	for (int i = 0; i < ntids; i++)
	{
		if (pages[i] != NULL)
			PrefetchTuple(pages[i], ItemPointerGetOffsetNumber(&tids[i]));
	}
}

static void
PrefetchTuple(Page page, OffsetNumber offset)
{
	ItemIdData	lp = *PageGetItemId(page, offset);
	const char *line = (const char *) page + ItemIdGetOffset(&lp);
	const char *end = line + ItemIdGetLength(&lp);

	for (; line < end; line += 64)
		prefetch(line);
}

bool
ReadItemAhead(ItemReader *reader, const ItemPointerData *tid)
{
	IndexScanDesc scan = reader->scan;
	bool		found;

	if (!ItemPointerIsValid(tid))
		return false;
	scan->xs_heaptid = *tid;
	scan->xs_heap_continue = false;
	found = index_fetch_heap(scan, reader->slot);
	/* the scan is somewhere else in the index */
	scan->kill_prior_tuple = false;
	return found;
}

bool
ReadAnother(ItemReader *reader)
{
	if (reader->other == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(reader->slot->tts_mcxt);

		reader->other = table_slot_create(reader->rel, NULL);
		MemoryContextSwitchTo(oldcontext);
	}
	return index_getnext_slot(reader->scan, ForwardScanDirection, reader->other);
}

void
ReadItemAt(ItemReader *reader, ItemPointer tid)
{
	if (!table_tuple_fetch_row_version(reader->rel, tid,
									   reader->scan->xs_snapshot, reader->slot))
		elog(ERROR, "row at (%u,%u) of table \"%s\" has gone",
			 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid),
			 RelationGetRelationName(reader->rel));
}

void
CloseItemReader(ItemReader *reader)
{
	index_endscan(reader->scan);
	ExecDropSingleTupleTableSlot(reader->slot);
	if (reader->other != NULL)
		ExecDropSingleTupleTableSlot(reader->other);
	index_close(reader->index, NoLock);
	table_close(reader->rel, NoLock);
}

void
ReadItemsByIndex(const ItemAccess *access, int nkeys, Datum *const *keys,
				 HeapTupleHeader *results, List **more)
{
	ItemReader	reader;
	ItemPointerData tids[READ_AHEAD_MAX];
	bool		ahead = nkeys > 1 && MayReadAhead(access);
	uint64		hash;

	OpenItemReader(&reader, access);
	if (ahead)
		FindItems(&reader, nkeys, keys, tids);
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i] == NULL ||
			!ReadKey(&reader, access, keys[i], ahead ? &tids[i] : NULL))
			continue;
		results[i] = SlotImage(access, reader.slot);
		(void) FillFromReader(&reader, access, results[i], &hash);
		while (!access->unique && ReadAnother(&reader))
		{
			if (more == NULL)
				RefuseMore(access->relation);
			more[i] = lappend(more[i], SlotImage(access, reader.other));
		}
	}
	CloseItemReader(&reader);
}

/* The row of a key; if there is none, cache that. */
static bool
ReadKey(ItemReader *reader, const ItemAccess *access, const Datum *key,
		const ItemPointerData *tid)
{
	uint64		hash = KeyHash(access->key, access->seed, key);
	AbsenceFill absence;

	if (tid != NULL && ReadItemAhead(reader, tid))
		return true;
	BeginAbsence(&absence, access, hash);
	if (ReadItem(reader, key))
		return true;
	if (!reader->any)
		FillAbsence(&absence, access, key, hash);
	return false;
}

static HeapTupleHeader
SlotImage(const ItemAccess *access, TupleTableSlot *slot)
{
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	HeapTupleHeader image = ItemImage(access->shape, tuple, MaxAllocSize);

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
RefuseMore(const ItemRelation *relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("more than one row of table \"%s\" has the key",
					get_rel_name(relation->relid)),
			 errdetail("The primary key does not hold for what the snapshot sees: it was made later, is deferrable, or is not valid."),
			 errhint("Use SELECT or itemcache.get_many().")));
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
	item.hash = KeyHash(access->shape, access->relation->seed, key);
	FillItems(access, ((BufferHeapTupleTableSlot *) slot)->buffer, &item, 1,
			  false);
	*hash = item.hash;
	return item.result == STORE_DONE;
}

void
ReadItemsByQuery(ItemRelation *relation, int nkeys, Datum *const *keys,
				 HeapTupleHeader *results, List **more)
{
	MemoryContext resultcontext = CurrentMemoryContext;
	SPIPlanPtr	plan;

	SPI_connect();
	plan = GetReadPlan(relation);
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
			RefuseMore(relation);
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
GetReadPlan(ItemRelation *relation)
{
	ReadPlan   *saved = relation->readplan;
	Oid			argtypes[INDEX_MAX_KEYS];
	char	   *sql = DeparseReadQuery(relation, argtypes);
	char	   *kept;
	SPIPlanPtr	plan;

	if (saved != NULL && strcmp(saved->sql, sql) == 0)
		return saved->plan;

	plan = SPI_prepare(sql, relation->shape->nkeys, argtypes);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare a query on table \"%s\": %s",
			 get_rel_name(relation->relid), SPI_result_code_string(SPI_result));
	kept = MemoryContextStrdup(TopMemoryContext, sql);

	/* not before there is another: this may be called, and fail, in between */
	saved = relation->readplan;
	if (saved == NULL)
		saved = relation->readplan = MemoryContextAlloc(TopMemoryContext,
														sizeof(ReadPlan));
	else
	{
		RetirePlan(saved->plan);
		pfree(saved->sql);
	}
	saved->plan = plan;
	saved->sql = kept;
	return plan;
}

static char *
DeparseReadQuery(const ItemRelation *relation, Oid *argtypes)
{
	const ItemShape *shape = relation->shape;
	char	   *alias = UnusedName(shape->tupdesc);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM %s%s %s WHERE ", alias,
					 relation->partitioned ? "" : "ONLY ",
					 QualifiedRelationName(relation->relid), alias);
	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];
		Form_pg_attribute att = TupleDescAttr(shape->tupdesc, column->attno - 1);
		char	   *attname = psprintf("%s.%s", alias,
									   quote_identifier(NameStr(att->attname)));
		char	   *param = psprintf("$%d", i + 1);

		argtypes[i] = column->basetypid;
		if (i > 0)
			appendStringInfoString(&sql, " AND ");
		generate_operator_clause(&sql, attname, column->typid, column->eqop,
								 param, column->basetypid);
	}
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
