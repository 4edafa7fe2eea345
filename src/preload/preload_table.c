/*-------------------------------------------------------------------------
 *
 * preload_table.c
 *	  The start-up loader: a worker's part in loading one table.
 *
 * A table that is being loaded has an entry in shared memory, from which each
 * worker takes the next range of blocks.  A range is read in a transaction of
 * its own, so that neither DDL nor the horizon of vacuum waits for us for long.
 * The lock on a table is taken only when it is free.  On a standby, what a
 * conflict with recovery has cancelled is tried again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "lookup/load.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "preload/hotset.h"
#include "preload/preload_internal.h"
#include "preload/wait_event.h"
#include "settings.h"
#include "storage/bufmgr.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "table/warmth.h"
#include "testpoint.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Blocks read in one transaction; a range of the hot set. */
#define PRELOAD_RANGE		HOTSET_BLOCKS

/* How often a table is begun again because it got another file meanwhile. */
#define PRELOAD_MAX_RESTARTS	3

/* How often a worker goes on with a table after replay has cancelled it. */
#define PRELOAD_MAX_CONFLICTS	1000

/* How long a worker tries to lock one table, and how often, in milliseconds. */
#define PRELOAD_LOCK_WAIT	5000
#define PRELOAD_LOCK_RETRY	50

/*
 * How long, in the same units, what is used less waits for the last of what is used
 * more to be there.
 */
#define PRELOAD_MORE_WAIT	1000

/* Blocks to load, of the file "relfilenode". */
typedef struct BlockRange
{
	Oid			relfilenode;
	BlockNumber begin;
	BlockNumber end;
} BlockRange;

/* Our part in loading WorkerTable. */
typedef struct TableLoad
{
	bool		alone;			/* it is the only table */
	bool		has_range;		/* "range" has been given to us, not loaded */
	BlockRange	range;
	int			conflicts;		/* how often replay has cancelled us */
} TableLoad;

static const PreloadTable *WorkerTable; /* the table we are at, ... */
static PreloadEntry *WorkerEntry;	/* ... if there is something to do */
static int	WorkerStreak;		/* see PageLoader */
static int	WorkerLockWait;		/* left of PRELOAD_LOCK_WAIT */

static bool TryLoadTable(TableLoad *load, MemoryContext context);
static void LoadRanges(TableLoad *load);
static bool IsRecoveryConflict(const ErrorData *edata);
static void InvalidatePlans(Oid relid);
static void ReportFailure(Oid relid, ErrorData *edata);
static bool IsUsedMore(void);
static void WaitForUsedMore(void);
static bool UsedMoreIsLoaded(void);
static void BeginTable(bool alone);
static bool IsAsSaved(Relation rel);
static bool JoinTable(void);
static void IgnoreTable(void);
static void AddEntry(Relation rel, bool alone);
static PreloadEntry *EntryFor(PreloadEntry *new);
static PreloadEntry *OldEntry(const PreloadEntry *new);
static PreloadEntry *FreeEntry(void);
static bool TakeRange(BlockRange *range);
static void LoadRange(const BlockRange *range);
static bool FileIsOfRange(Relation rel, const BlockRange *range);
static void ReadRange(PageLoader *loader, const BlockRange *range);
static PreloadState ReadBlocks(PageLoader *loader, const BlockRange *range,
							   BlockNumber *block);
static PreloadState ReadPlacesOfRange(PageLoader *loader,
									  const BlockRange *range,
									  BlockNumber *block);
static bool FollowsOnOthers(const HotBlock *hot, int i);
static Relation OpenIfFree(Oid relid);
static void WorkerWait(void);
static void EndTable(PreloadState outcome);
static void LeaveTable(void);

void
PreloadLoadTable(const PreloadTable *table, bool alone)
{
	MemoryContext context;
	TableLoad	load = {.alone = alone};

	WorkerTable = table;
	context = AllocSetContextCreate(TopMemoryContext, "itemcache preload",
									ALLOCSET_SMALL_SIZES);
	WorkerLockWait = PRELOAD_LOCK_WAIT;
	while (!TryLoadTable(&load, context))
		WorkerWait();

	if (WorkerEntry != NULL)
		LeaveTable();
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
}

/*
 * False if replay has cancelled us, so that it is to be tried again, from where
 * we were.  What had been cached of the range remains so.
 */
static bool
TryLoadTable(TableLoad *load, MemoryContext context)
{
	volatile bool done = true;

	PG_TRY();
	{
		LoadRanges(load);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		if (IsRecoveryConflict(edata) && load->conflicts++ < PRELOAD_MAX_CONFLICTS)
			done = false;
		else
			ReportFailure(WorkerTable->relid, edata);
	}
	PG_END_TRY();
	return done;
}

static void
LoadRanges(TableLoad *load)
{
	if (WorkerEntry == NULL)
	{
		if (WorkerTable->hot != NULL && !WorkerTable->hot->more)
			WaitForUsedMore();
		BeginTable(load->alone);
	}
	while (WorkerEntry != NULL)
	{
		if (!load->has_range && !TakeRange(&load->range))
			break;
		load->has_range = true;
		LoadRange(&load->range);
		load->has_range = false;
	}
	if (WorkerEntry != NULL)
		InvalidatePlans(WorkerTable->relid);
}

/* What the server says when it cancels a query of a standby. */
static bool
IsRecoveryConflict(const ErrorData *edata)
{
	return RecoveryInProgress() &&
		(edata->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		 edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED);
}

/* Plans that were made while the cache was cold are to be made again. */
static void
InvalidatePlans(Oid relid)
{
	StartTransactionCommand();
	TellWarmth(FindItemRelation(relid));
	CommitTransactionCommand();
}

static void
ReportFailure(Oid relid, ErrorData *edata)
{
	bool		canceled = edata->sqlerrcode == ERRCODE_QUERY_CANCELED;

	if (WorkerEntry != NULL)
		EndTable(canceled ? PRELOAD_STOPPED : PRELOAD_FAILED);
	if (canceled)
		return;

	HOLD_INTERRUPTS();
	if (WorkerEntry != NULL)
		ereport(WARNING,
				(errcode(edata->sqlerrcode),
				 errmsg("itemcache: could not preload table \"%s.%s\" of database \"%s\": %s",
						NameStr(WorkerEntry->nspname),
						NameStr(WorkerEntry->relname),
						NameStr(WorkerEntry->datname), edata->message),
				 edata->detail ? errdetail_internal("%s", edata->detail) : 0));
	else
		ereport(WARNING,
				(errcode(edata->sqlerrcode),
				 errmsg("itemcache: could not preload table with OID %u of database with OID %u: %s",
						relid, MyDatabaseId, edata->message),
				 edata->detail ? errdetail_internal("%s", edata->detail) : 0));
	RESUME_INTERRUPTS();
}

/* Is what we are at the part of a table that is used more? */
static bool
IsUsedMore(void)
{
	return WorkerTable->hot != NULL && WorkerTable->hot->more;
}

/* Which is not to find that others have taken its room. */
static void
WaitForUsedMore(void)
{
	int			left = PRELOAD_MORE_WAIT;

	while (left > 0 && !UsedMoreIsLoaded() && !PreloadMustStop())
	{
		WorkerWait();
		left -= PRELOAD_LOCK_RETRY;
	}
}

static bool
UsedMoreIsLoaded(void)
{
	bool		result = true;

	LWLockAcquire(&Preload->lock, LW_SHARED);
	for (int i = 0; result && i < PRELOAD_ENTRIES; i++)
	{
		const PreloadEntry *entry = &Preload->entries[i];

		result = !(entry->run == PreloadWorkerOrder.run && entry->more &&
				   entry->workers > 0);
	}
	LWLockRelease(&Preload->lock);
	return result;
}

/*
 * Set WorkerEntry, unless there is nothing for us to do of this table: it is
 * not to be loaded, or all of it has been given out.
 */
static void
BeginTable(bool alone)
{
	Relation	rel;

	if (JoinTable())
		return;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PreloadLeaveIfWanted();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = OpenIfFree(WorkerTable->relid);
	if (rel != NULL)
	{
		ItemRelation *relation = ItemRelationOf(rel);

		if (!IsAsSaved(rel))
			IgnoreTable();
		else if (relation->state == RELATION_SERVED && relation->options.preload &&
				 (RelationIsPermanent(rel) || !RecoveryInProgress()))
			AddEntry(rel, alone);
		relation_close(rel, AccessShareLock);
	}
	else if (!PreloadMustStop())
	{
		if (get_rel_name(WorkerTable->relid) != NULL)
			AddEntry(NULL, alone);
		else if (PreloadWorkerOrder.stage == STAGE_HOT_SET)
			IgnoreTable();
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Are the places of the hot set, if they are what is to be loaded, this file's? */
static bool
IsAsSaved(Relation rel)
{
	return PreloadWorkerOrder.stage != STAGE_HOT_SET ||
		(ItemRelationOf(rel)->state == RELATION_SERVED &&
		 rel->rd_rel->relfilenode == WorkerTable->hot->file);
}

/*
 * Count a table of the hot set that is not as it was; once, not by each of us, nor
 * for each of its parts.
 */
static void
IgnoreTable(void)
{
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (WorkerTable->position >= Preload->begun && Preload->run == PreloadWorkerOrder.run)
	{
		Preload->begun = WorkerTable->position + 1;
		if (WorkerTable->hot->part == 0)
			Preload->ignored++;
	}
	LWLockRelease(&Preload->lock);
}

/*
 * Has the table (or the part of it that we are at) been begun?  If so, and if there
 * is a range left, WorkerEntry is set.
 */
static bool
JoinTable(void)
{
	bool		begun;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	begun = WorkerTable->position < Preload->begun || Preload->run != PreloadWorkerOrder.run;
	for (int i = 0; begun && i < PRELOAD_ENTRIES; i++)
	{
		PreloadEntry *entry = &Preload->entries[i];

		if (entry->relid != WorkerTable->relid || entry->run != PreloadWorkerOrder.run)
			continue;
		if (entry->position == WorkerTable->position &&
			entry->outcome == PRELOAD_DONE && entry->next < entry->nblocks)
		{
			entry->workers++;
			WorkerEntry = entry;
		}
		break;
	}
	LWLockRelease(&Preload->lock);
	return begun;
}

/*
 * Enter a table, unless another worker has done so meanwhile, or a part of it before
 * has ended it.  "rel" is NULL if it could not be locked.
 */
static void
AddEntry(Relation rel, bool alone)
{
	PreloadEntry new = {0};
	Oid			relid = WorkerTable->relid;
	char	   *datname = get_database_name(MyDatabaseId);
	char	   *nspname = get_namespace_name(get_rel_namespace(relid));
	char	   *relname = get_rel_name(relid);
	bool		begun;

	new.dbid = MyDatabaseId;
	new.relid = relid;
	new.run = PreloadWorkerOrder.run;
	new.stage = PreloadWorkerOrder.stage;
	new.position = WorkerTable->position;
	new.more = IsUsedMore();
	new.state = PRELOAD_LOADING;
	new.outcome = rel != NULL ? PRELOAD_DONE : PRELOAD_SKIPPED;
	new.workers = 1;
	new.started = GetCurrentTimestamp();
	namestrcpy(&new.datname, datname ? datname : "");
	namestrcpy(&new.nspname, nspname ? nspname : "");
	namestrcpy(&new.relname, relname ? relname : "");
	if (rel != NULL)
	{
		new.relfilenode = rel->rd_rel->relfilenode;
		new.nblocks = RelationGetNumberOfBlocks(rel);
		if (PreloadWorkerOrder.stage == STAGE_HOT_SET)
			new.nblocks = Min(new.nblocks,
							  WorkerTable->hot->nranges * PRELOAD_RANGE);
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	begun = WorkerTable->position < Preload->begun || Preload->run != PreloadWorkerOrder.run;
	if (!begun)
	{
		WorkerEntry = EntryFor(&new);
		if (WorkerEntry != NULL)
			*WorkerEntry = new;
		Preload->begun = WorkerTable->position + 1;
		if (!Preload->more && (!alone || new.nblocks > PRELOAD_RANGE))
		{
			Preload->more = true;
			if (Preload->launcher != NULL)
				SetLatch(&Preload->launcher->procLatch);
		}
	}
	LWLockRelease(&Preload->lock);

	if (begun)
		JoinTable();
}

/*
 * Where a new entry goes: in place of the table's own, of which it then knows.  That
 * is of the stage before, or of the part before, at which others may still be.  NULL
 * if that part is all there will be of this stage.
 */
static PreloadEntry *
EntryFor(PreloadEntry *new)
{
	PreloadEntry *old = OldEntry(new);

	if (old == NULL)
		return FreeEntry();
	if (old->run == new->run && old->outcome != PRELOAD_DONE)
		return NULL;

	if (old->state != PRELOAD_LOADING)
	{
		/* it will be counted again */
		Preload->tables--;
		Preload->items -= EntryItems(old);
		Preload->bytes -= EntryBytes(old);
	}
	if (old->run == new->run)
	{
		new->started = old->started;
		new->workers += old->workers;
		new->items = old->items;
		new->bytes = old->bytes;
		new->hot_items = old->hot_items;
		new->hot_bytes = old->hot_bytes;
	}
	else
	{
		new->hot_items = EntryItems(old);
		new->hot_bytes = EntryBytes(old);
	}
	return old;
}

static PreloadEntry *
OldEntry(const PreloadEntry *new)
{
	for (int i = 0; i < PRELOAD_ENTRIES; i++)
	{
		PreloadEntry *entry = &Preload->entries[i];

		if (entry->dbid == new->dbid && entry->relid == new->relid &&
			(entry->run == new->run ||
			 (entry->stage != new->stage && entry->state != PRELOAD_LOADING)))
			return entry;
	}
	return NULL;
}

/* One that was never used, or that of the table that has been finished the longest. */
static PreloadEntry *
FreeEntry(void)
{
	PreloadEntry *oldest = NULL;

	for (int i = 0; i < PRELOAD_ENTRIES; i++)
	{
		PreloadEntry *entry = &Preload->entries[i];

		if (entry->dbid == InvalidOid)
			return entry;
		if (entry->state != PRELOAD_LOADING &&
			(oldest == NULL || entry->finished < oldest->finished))
			oldest = entry;
	}
	Assert(oldest != NULL);		/* there are far fewer workers */
	return oldest;
}

/* The next blocks of the table we are at, if there are any. */
static bool
TakeRange(BlockRange *range)
{
	PreloadEntry *entry = WorkerEntry;
	bool		result = false;

	if (PreloadMustStop())
		EndTable(PRELOAD_STOPPED);

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (entry->position == WorkerTable->position &&
		entry->outcome == PRELOAD_DONE && entry->next < entry->nblocks &&
		PreloadWorkerOrder.number < itemcache_preload_workers)
	{
		range->relfilenode = entry->relfilenode;
		range->begin = entry->next;
		range->end = entry->nblocks - entry->next > PRELOAD_RANGE ?
			entry->next + PRELOAD_RANGE : entry->nblocks;
		entry->next = range->end;
		result = true;
	}
	LWLockRelease(&Preload->lock);
	return result;
}

/* Load a range, in a transaction of its own. */
static void
LoadRange(const BlockRange *range)
{
	PageLoader	loader;
	Relation	rel;
	char		activity[3 * NAMEDATALEN];

	snprintf(activity, sizeof(activity), "loading %s.%s, blocks %u to %u of %u",
			 NameStr(WorkerEntry->nspname), NameStr(WorkerEntry->relname),
			 range->begin, range->end, WorkerEntry->nblocks);
	pgstat_report_activity(STATE_RUNNING, activity);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();

	PreloadLeaveIfWanted();
	rel = OpenIfFree(WorkerEntry->relid);
	if (rel == NULL)
		EndTable(PreloadMustStop() ? PRELOAD_STOPPED : PRELOAD_SKIPPED);
	else if (FileIsOfRange(rel, range))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		InitLoader(&loader);
		loader.streak = WorkerStreak;
		loader.used = IsUsedMore();
		if (BeginLoading(&loader, rel, GetActiveSnapshot()) &&
			loader.access.relation->options.preload)
		{
			if (range->begin == 0)
				ReportMissingAliases(loader.access.relation, LOG);
			ReadRange(&loader, range);
		}
		else
			EndTable(RelationFindsNoRoom(loader.access.relation) ?
					 PRELOAD_FULL : PRELOAD_SKIPPED);
		WorkerStreak = loader.streak;
		PopActiveSnapshot();
	}
	if (rel != NULL)
		relation_close(rel, AccessShareLock);
	CommitTransactionCommand();
	pgstat_report_stat(false);
}

/*
 * Is the relation's file still that of the range?  If not, the table begins
 * anew, a few times.
 */
static bool
FileIsOfRange(Relation rel, const BlockRange *range)
{
	PreloadEntry *entry = WorkerEntry;
	Oid			relfilenode = rel->rd_rel->relfilenode;
	BlockNumber nblocks;

	if (relfilenode == range->relfilenode)
		return true;

	nblocks = RelationGetNumberOfBlocks(rel);
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (entry->relfilenode != relfilenode)
	{
		if (PreloadWorkerOrder.stage != STAGE_HOT_SET &&
			entry->restarts++ < PRELOAD_MAX_RESTARTS)
		{
			entry->relfilenode = relfilenode;
			entry->nblocks = nblocks;
			entry->next = 0;
			entry->blocks_done = 0;
			entry->items = 0;
			entry->bytes = 0;
		}
		else if (entry->outcome == PRELOAD_DONE)
			entry->outcome = PRELOAD_SKIPPED;
	}
	LWLockRelease(&Preload->lock);
	return false;
}

static void
ReadRange(PageLoader *loader, const BlockRange *range)
{
	BlockNumber block = range->begin;
	BlockNumber left = 0;
	PreloadState outcome;

	if (PreloadWorkerOrder.stage == STAGE_HOT_SET)
		outcome = ReadPlacesOfRange(loader, range, &block);
	else
		outcome = ReadBlocks(loader, range, &block);
	if (outcome == PRELOAD_DONE && loader->items == 0 && loader->no_room > 0)
		outcome = PRELOAD_FULL;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (WorkerEntry->relfilenode == range->relfilenode)
	{
		WorkerEntry->items += loader->items;
		WorkerEntry->bytes += loader->bytes;
	}
	if (WorkerEntry->relfilenode == range->relfilenode &&
		WorkerEntry->position == WorkerTable->position)
	{
		WorkerEntry->blocks_done +=
			(outcome == PRELOAD_DONE ? range->end : block) - range->begin;
		left = WorkerEntry->nblocks - WorkerEntry->next;
	}
	LWLockRelease(&Preload->lock);

	if (outcome == PRELOAD_DONE)
		ExpectItems(loader, range->end - range->begin, left);
	else
		EndTable(outcome);
}

/* *block is set to the first block that was not read. */
static PreloadState
ReadBlocks(PageLoader *loader, const BlockRange *range, BlockNumber *block)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(loader->rel);

	for (; *block < Min(range->end, nblocks); (*block)++)
	{
		if (PreloadMustStop())
			return PRELOAD_STOPPED;
		TestPoint("preload_page");
		CHECK_FOR_INTERRUPTS();
		LoadPage(loader, *block);
		if (CacheIsFull(loader))
			return PRELOAD_FULL;
	}
	return PRELOAD_DONE;
}

/* The same for those places of a range that the hot set has. */
static PreloadState
ReadPlacesOfRange(PageLoader *loader, const BlockRange *range,
				  BlockNumber *block)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(loader->rel);
	int			nhot;
	HotBlock   *hot = ReadHotRange(PreloadHotSet, WorkerTable->hot,
								   range->begin / PRELOAD_RANGE, &nhot);

	for (int i = 0, ahead = 0; i < nhot && hot[i].block < nblocks; i++)
	{
		if (PreloadMustStop())
			return PRELOAD_STOPPED;
		TestPoint("preload_page");
		CHECK_FOR_INTERRUPTS();
		for (; ahead < nhot && ahead <= i + maintenance_io_concurrency; ahead++)
		{
			if (hot[ahead].block < nblocks && !FollowsOnOthers(hot, ahead))
				PrefetchBuffer(loader->rel, MAIN_FORKNUM, hot[ahead].block);
		}
		*block = hot[i].block;
		LoadPlaces(loader, *block, hot[i].offsets, hot[i].noffsets);
		if (CacheIsFull(loader))
			return PRELOAD_FULL;
	}
	return PRELOAD_DONE;
}

/*
 * Are the blocks before a block of the hot set in it as well?  What is read in
 * order the kernel reads ahead by itself, and to ask for it takes longer than to
 * have it from the kernel's cache.
 */
static bool
FollowsOnOthers(const HotBlock *hot, int i)
{
	return i >= 2 && hot[i].block == hot[i - 2].block + 2;
}

/*
 * Open a table in AccessShareLock, waiting for the lock only as long as may be
 * waited for one table.  NULL if that failed, or there is no such table, or
 * the worker must stop.
 */
static Relation
OpenIfFree(Oid relid)
{
	while (!ConditionalLockRelationOid(relid, AccessShareLock))
	{
		if (WorkerLockWait <= 0 || PreloadMustStop())
			return NULL;
		WorkerLockWait -= PRELOAD_LOCK_RETRY;
		WorkerWait();
	}
	CHECK_FOR_INTERRUPTS();

	/* releases nothing if the table is gone, but the transaction's end will */
	return try_relation_open(relid, NoLock);
}

/* A moment, before something is tried again. */
static void
WorkerWait(void)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 PRELOAD_LOCK_RETRY, PreloadWaitEvent(WAIT_WORKER_RETRY));
	ResetLatch(MyLatch);
	if (ProcSignalBarrierPending)
		ProcessProcSignalBarrier();	/* DROP DATABASE waits for that */
}

/* No more ranges of the table we are at shall be given out. */
static void
EndTable(PreloadState outcome)
{
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (WorkerEntry->outcome == PRELOAD_DONE)
		WorkerEntry->outcome = outcome;
	LWLockRelease(&Preload->lock);
}

/* We do no more of the table; the last one out sums up. */
static void
LeaveTable(void)
{
	PreloadEntry *entry = WorkerEntry;
	PreloadEntry copy;

	WorkerEntry = NULL;
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	entry->workers--;
	if (entry->workers == 0 &&
		(entry->outcome != PRELOAD_DONE || entry->next >= entry->nblocks))
		PreloadFinishEntry(entry, entry->outcome);
	if (entry->more && entry->workers == 0)
		PreloadWakeWorkers();
	copy = *entry;
	LWLockRelease(&Preload->lock);

	if (copy.state != PRELOAD_LOADING)
		PreloadLogTable(&copy);
}

/* At the end of the process; mostly there is nothing to abandon. */
void
PreloadAbandonTable(void)
{
	if (WorkerEntry == NULL)
		return;
	EndTable(PRELOAD_STOPPED);
	LeaveTable();
}
