/*-------------------------------------------------------------------------
 *
 * preload.c
 *	  The start-up loader: its launcher, and the view of its progress.
 *
 * The launcher is a background worker that lives as long as the server (it
 * must be there to start again after a crash, which empties the cache).  It
 * visits the databases one after the other, and starts one worker in each;
 * when that one finds more work than for one, up to itemcache.preload_workers.
 * Where the hot set says so before, all are started at once.
 * What the workers do is in preload_worker.c.
 *
 * All databases are visited twice: first for the places of the hot set
 * (hotset.c), then for whole tables.  Once the hot set is loaded, the launcher
 * saves it now and then, and when the server shuts down; not before, since what
 * is half loaded is not what was hot.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "lookup/load.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "preload/hotset.h"
#include "preload/preload.h"
#include "preload/preload_internal.h"
#include "preload/wait_event.h"
#include "replay/replay.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "store/owner.h"
#include "table/relation.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

static const char *const PreloadStateNames[] = {
	"loading", "done", "full", "stopped", "skipped", "failed"
};

static const char *const PreloaderPhaseNames[] = {
	"not started", "off", "loading", "waiting for a worker process", "done",
	"incomplete"
};

PreloadShared *Preload;

static object_access_hook_type PreviousObjectAccessHook = NULL;

extern PGDLLEXPORT void PreloadLauncherMain(Datum arg);

static void RegisterLauncher(void);
static void ObjectAccess(ObjectAccessType access, Oid classid, Oid objectid,
						 int subid, void *arg);
static void LeaveDatabase(Oid dbid);
static void LauncherExit(int code, Datum arg);
static void SetPhase(PreloaderPhase phase);
static void LoadAll(void);
static void EndStage(void);
static void VisitDatabases(const HotSet *set);
static uint64 HotRanges(const HotSet *set, Oid dbid);
static List *DatabasesToVisit(Oid after);
static void ReportIgnored(const HotSet *set, const List *databases);
static void SaveNowAndThen(void);
static long TimeToSave(TimestampTz last);
static void VisitDatabase(Oid dbid, bool more);
static bool StartWorker(Oid dbid, int number, BackgroundWorkerHandle **handle);
static void NoteUnfinished(Oid dbid);
static int	WorkersRunning(BackgroundWorkerHandle **handles, int n);
static bool LauncherMustStop(void);
static void LauncherWait(long timeout, PreloadWait wait);
static void CloseEntries(void);


/*
 * Shared memory, and what is registered at start-up
 */

Size
PreloadShmemSize(void)
{
	return sizeof(PreloadShared);
}

void
PreloadShmemInit(void)
{
	bool		found;

	Preload = ShmemInitStruct("itemcache preload", PreloadShmemSize(), &found);
	if (!found)
	{
		memset(Preload, 0, sizeof(PreloadShared));
		Preload->tranche = NewLockTranche("itemcache preload");
		LWLockInitialize(&Preload->lock, Preload->tranche);
	}
	RegisterLockTranche(Preload->tranche, "itemcache preload");
}

void
PreloadInit(void)
{
	RegisterLauncher();
	PreviousObjectAccessHook = object_access_hook;
	object_access_hook = ObjectAccess;
}

static void
RegisterLauncher(void)
{
	BackgroundWorker worker;

	/* pg_upgrade wants the databases for itself */
	if (IsBinaryUpgrade)
		return;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = ReplayWillBeFollowed() ?
		BgWorkerStart_ConsistentState : BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 60;
	strlcpy(worker.bgw_library_name, ITEMCACHE_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "PreloadLauncherMain",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "itemcache preload launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "itemcache preload launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* A database that is about to be dropped wants to be left by our workers. */
static void
ObjectAccess(ObjectAccessType access, Oid classid, Oid objectid, int subid,
			 void *arg)
{
	if (PreviousObjectAccessHook)
		PreviousObjectAccessHook(access, classid, objectid, subid, arg);
	if (access == OAT_DROP && classid == DatabaseRelationId)
		LeaveDatabase(objectid);
}

/* Takes no heavyweight lock; does not wait. */
static void
LeaveDatabase(Oid dbid)
{
	if (Preload == NULL)
		return;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (Preload->dbid == dbid)
	{
		Preload->leave = true;
		Preload->again = false;
		PreloadWakeWorkers();
		if (Preload->launcher != NULL)
			SetLatch(&Preload->launcher->procLatch);
	}
	LWLockRelease(&Preload->lock);
}


/*
 * The launcher
 */

void
PreloadLauncherMain(Datum arg)
{
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	before_shmem_exit(LauncherExit, 0);
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->launcher = MyProc;
	if (Preload->started == 0)
		Preload->started = GetCurrentTimestamp();
	LWLockRelease(&Preload->lock);

	LoadAll();

	/*
	 * A background worker that exits for good is not there after a crash of
	 * another backend either, when the cache is empty again.  So stay; and if
	 * somebody terminates us, ask to be started again.
	 */
	SaveNowAndThen();
	proc_exit(1);
}

static void
SetPhase(PreloaderPhase phase)
{
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->phase = phase;
	LWLockRelease(&Preload->lock);
}

static void
LoadAll(void)
{
	if (Preload->stage == STAGE_ENDED)
		return;
	SetPhase(itemcache_preload_mode == PRELOAD_OFF ? PRELOADER_OFF :
			 PRELOADER_LOADING);
	if (Preload->stage == STAGE_HOT_SET && !LauncherMustStop())
	{
		HotSet	   *set = ReadHotSet(0);

		if (set != NULL)
		{
			Preload->hotset = set->checksum;
			VisitDatabases(set);
		}
	}
	if (Preload->stage == STAGE_HOT_SET)
		EndStage();
	if (Preload->stage == STAGE_TABLES && !LauncherMustStop())
		VisitDatabases(NULL);
	if (Preload->stage == STAGE_TABLES)
		EndStage();
	if (Preload->stage == STAGE_ENDED)
		SetPhase(itemcache_preload_mode == PRELOAD_OFF ? PRELOADER_OFF :
				 Preload->unfinished > 0 ? PRELOADER_INCOMPLETE : PRELOADER_DONE);
}

/* Unless the server is shutting down in the middle of it. */
static void
EndStage(void)
{
	if (ShutdownRequestPending)
		return;
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->stage++;
	Preload->visited = InvalidOid;
	LWLockRelease(&Preload->lock);

	if (Preload->stage == STAGE_ENDED && Preload->tables > 0)
		ereport(LOG,
				(errmsg("itemcache: preload ended: %lld tables, %lld items, %.1f MB in %.2f s",
						(long long) Preload->tables,
						(long long) Preload->items,
						Preload->bytes / (1024.0 * 1024.0),
						(GetCurrentTimestamp() - Preload->started) / 1000000.0)));
}

static void
SaveNowAndThen(void)
{
	TimestampTz last = GetCurrentTimestamp();

	for (;;)
	{
		if (ShutdownRequestPending ||
			(itemcache_save_interval > 0 && TimeToSave(last) == 0))
		{
			if (itemcache_save_interval > 0 && Preload->stage != STAGE_HOT_SET)
			{
				pgstat_report_activity(STATE_RUNNING, "saving the hot set");
				SaveHotSet();
			}
			last = GetCurrentTimestamp();
		}
		if (ShutdownRequestPending)
			break;
		pgstat_report_activity(STATE_IDLE, NULL);
		LauncherWait(itemcache_save_interval > 0 ? TimeToSave(last) : -1L,
					 WAIT_LAUNCHER_MAIN);
		LauncherMustStop();
	}
}

/* Milliseconds until the next save is due. */
static long
TimeToSave(TimestampTz last)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
										   TimestampTzPlusMilliseconds(last,
																	   (int64) itemcache_save_interval * 1000));
}

static void
LauncherExit(int code, Datum arg)
{
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->launcher = NULL;
	LWLockRelease(&Preload->lock);
}

/* With a hot set, those that have tables in it. */
static void
VisitDatabases(const HotSet *set)
{
	List	   *databases = DatabasesToVisit(Preload->visited);
	ListCell   *lc;

	foreach(lc, databases)
	{
		Oid			dbid = lfirst_oid(lc);
		uint64		nranges = set != NULL ? HotRanges(set, dbid) : 0;

		if (LauncherMustStop())
			break;
		if (set != NULL && nranges == 0)
			continue;
		do
			VisitDatabase(dbid, nranges > 1);
		while (Preload->again && !LauncherMustStop());
		if (ShutdownRequestPending)
			break;
		LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
		Preload->visited = dbid;
		LWLockRelease(&Preload->lock);
	}
	if (set != NULL && !LauncherMustStop())
		ReportIgnored(set, databases);
	list_free(databases);
}

/* How many ranges the hot set has of a database's tables. */
static uint64
HotRanges(const HotSet *set, Oid dbid)
{
	uint64		nranges = 0;

	for (int i = 0; i < set->ntables; i++)
	{
		if (set->tables[i].dbid == dbid && set->tables[i].part == 0)
			nranges += set->tables[i].nranges;
	}
	return nranges;
}

/* One message for all of what is no longer as it was saved. */
static void
ReportIgnored(const HotSet *set, const List *databases)
{
	uint64		ignored = Preload->ignored;

	for (int i = 0; i < set->ntables; i++)
	{
		if (set->tables[i].part == 0 &&
			!list_member_oid(databases, set->tables[i].dbid))
			ignored++;
	}
	if (ignored > 0)
		ereport(WARNING,
				(errmsg_plural("itemcache: %lld table of the hot set is gone, rewritten or not attached any more",
							   "itemcache: %lld tables of the hot set are gone, rewritten or not attached any more",
							   ignored, (long long) ignored)));
}

/* Databases one can connect to, in order of their OIDs. */
static List *
DatabasesToVisit(Oid after)
{
	List	   *databases = NIL;
	MemoryContext caller = CurrentMemoryContext;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext oldcontext;

		/* -2: what an interrupted DROP DATABASE left */
		if (!database->datallowconn || database->datconnlimit == -2 ||
			database->oid <= after)
			continue;
		oldcontext = MemoryContextSwitchTo(caller);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(oldcontext);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);

	list_sort(databases, list_oid_cmp);
	return databases;
}

/*
 * Have a database's tables loaded, and wait until that is done.  "more": there is
 * more of them than for one worker, as far as is known.
 */
static void
VisitDatabase(Oid dbid, bool more)
{
	BackgroundWorkerHandle *handles[PRELOAD_MAX_WORKERS] = {NULL};
	int			started = 0;	/* workers started so far */
	bool		complained = false;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->dbid = dbid;
	Preload->run++;
	Preload->leave = false;
	Preload->again = false;
	Preload->more = more;
	Preload->finished = false;
	Preload->begun = 0;
	LWLockRelease(&Preload->lock);

	for (;;)
	{
		bool		stop = LauncherMustStop() || Preload->leave ||
			Preload->finished;
		int			wanted = 0;
		int			running;

		if (!stop)
			wanted = Min(Preload->more ? itemcache_preload_workers : 1,
						 PRELOAD_MAX_WORKERS);

		/*
		 * A worker that ended had a reason, and is not replaced: either there
		 * is nothing left to do, or it would happen again.
		 */
		while (started < wanted &&
			   StartWorker(dbid, started, &handles[started]))
			started++;

		running = WorkersRunning(handles, started);
		SetPhase(running == 0 && started < wanted ? PRELOADER_WAITING :
				 PRELOADER_LOADING);
		if (running == 0)
		{
			if (started >= wanted)
				break;
			if (!complained)
				ereport(LOG,
						(errmsg("itemcache: preload is waiting for a free background worker slot"),
						 errhint("Consider increasing the configuration parameter \"max_worker_processes\".")));
			complained = true;
		}
		LauncherWait(started < wanted ? 1000L : 10000L, WAIT_LAUNCHER_WORKERS);
	}

	for (int i = 0; i < started; i++)
		pfree(handles[i]);
	CloseEntries();
	if (!Preload->finished && !Preload->leave && !LauncherMustStop())
		NoteUnfinished(dbid);
}

/*
 * No worker came to the end of the database's list of tables: they were
 * terminated, or could not connect.
 */
static void
NoteUnfinished(Oid dbid)
{
	char	   *datname;

	StartTransactionCommand();
	datname = get_database_name(dbid);
	if (datname != NULL)
	{
		LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
		Preload->unfinished++;
		LWLockRelease(&Preload->lock);
		ereport(WARNING,
				(errmsg("itemcache: preload of database \"%s\" ended before all its tables were loaded",
						datname),
				 errdetail("Its workers were terminated, or failed.")));
	}
	CommitTransactionCommand();
}

/* Start a worker; false if there is no slot for it. */
static bool
StartWorker(Oid dbid, int number, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;
	PreloadOrder order = {0};

	order.run = Preload->run;
	order.number = number;
	order.stage = Preload->stage;
	order.hotset = Preload->hotset;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, ITEMCACHE_NAME,
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "PreloadWorkerMain",
			sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN,
			 "itemcache preload worker %d for database %u", number, dbid);
	strlcpy(worker.bgw_type, "itemcache preload worker", BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(dbid);
	memcpy(worker.bgw_extra, &order, sizeof(order));
	worker.bgw_notify_pid = MyProcPid;

	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/* How many of the workers are running, or about to? */
static int
WorkersRunning(BackgroundWorkerHandle **handles, int n)
{
	int			running = 0;

	for (int i = 0; i < n; i++)
	{
		pid_t		pid;

		if (GetBackgroundWorkerPid(handles[i], &pid) != BGWH_STOPPED)
			running++;
	}
	return running;
}

/* Also takes in a changed configuration. */
static bool
LauncherMustStop(void)
{
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return ShutdownRequestPending || !PreloadIsWanted(Preload->stage);
}

static void
LauncherWait(long timeout, PreloadWait wait)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
					 (timeout >= 0 ? WL_TIMEOUT : 0),
					 timeout, PreloadWaitEvent(wait));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* The workers are gone; see to what they could not finish. */
static void
CloseEntries(void)
{
	for (int i = 0; i < PRELOAD_ENTRIES; i++)
	{
		PreloadEntry *entry = &Preload->entries[i];
		PreloadEntry copy;

		LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
		copy = *entry;
		if (entry->run == Preload->run && entry->state == PRELOAD_LOADING)
		{
			entry->workers = 0;
			PreloadFinishEntry(entry, entry->outcome == PRELOAD_DONE ?
							   PRELOAD_STOPPED : entry->outcome);
		}
		LWLockRelease(&Preload->lock);

		if (copy.state != entry->state)
			PreloadLogTable(entry);
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->dbid = InvalidOid;
	LWLockRelease(&Preload->lock);
}

void
PreloadWakeWorkers(void)
{
	for (int i = 0; i < PRELOAD_MAX_WORKERS; i++)
	{
		if (Preload->workers[i] != NULL)
			SetLatch(&Preload->workers[i]->procLatch);
	}
}

void
PreloadFinishEntry(PreloadEntry *entry, PreloadState state)
{
	entry->state = state;
	entry->finished = GetCurrentTimestamp();
	Preload->tables++;
	Preload->items += EntryItems(entry);
	Preload->bytes += EntryBytes(entry);
}

bool
PreloadIsWanted(PreloadStage stage)
{
	return itemcache_preload_mode >=
		(stage == STAGE_HOT_SET ? PRELOAD_HOT : PRELOAD_ON);
}

void
PreloadLogTable(const PreloadEntry *entry)
{
	HOLD_INTERRUPTS();
	ereport(LOG,
			(errmsg("itemcache: preload of table \"%s.%s\" in database \"%s\": %s, %lld items (%.1f MB) from %u of %u blocks in %.2f s",
					NameStr(entry->nspname), NameStr(entry->relname),
					NameStr(entry->datname), PreloadStateNames[entry->state],
					(long long) EntryItems(entry),
					EntryBytes(entry) / (1024.0 * 1024.0),
					entry->blocks_done, entry->nblocks,
					(entry->finished - entry->started) / 1000000.0),
			 entry->state != PRELOAD_FULL ? 0 :
			 OwnerHasRoom(RelationOwnerKey(entry->dbid, entry->relid)) ?
			 HintMoreRoom() : HintMoreTables()));
	RESUME_INTERRUPTS();
}


/*
 * The views
 */

const char *
PreloaderState(void)
{
	PreloaderPhase phase;
	bool		running;

	LWLockAcquire(&Preload->lock, LW_SHARED);
	phase = Preload->phase;
	running = Preload->launcher != NULL;
	LWLockRelease(&Preload->lock);

	if (RecoveryInProgress() && !ReplayIsFollowed())
		return "in recovery";
	if (!running && phase != PRELOADER_NOT_STARTED)
		return "terminated";
	return PreloaderPhaseNames[phase];
}

PG_FUNCTION_INFO_V1(itemcache_preload_progress);

Datum
itemcache_preload_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	RequirePreloaded();
	InitMaterializedSRF(fcinfo, 0);

	for (int i = 0; i < PRELOAD_ENTRIES; i++)
	{
		PreloadEntry entry;
		Datum		values[11];
		bool		nulls[11] = {false};

		/* as long as it takes, but it can be cancelled */
		while (!LWLockConditionalAcquire(&Preload->lock, LW_SHARED))
		{
			CHECK_FOR_INTERRUPTS();
			pg_usleep(1000L);
		}
		entry = Preload->entries[i];
		LWLockRelease(&Preload->lock);
		if (entry.dbid == InvalidOid)
			break;				/* they are used in order */

		values[0] = ObjectIdGetDatum(entry.dbid);
		values[1] = NameGetDatum(&entry.datname);
		values[2] = ObjectIdGetDatum(entry.relid);
		values[3] = CStringGetTextDatum(quote_qualified_identifier(NameStr(entry.nspname),
																   NameStr(entry.relname)));
		values[4] = CStringGetTextDatum(PreloadStateNames[entry.state]);
		values[5] = Int32GetDatum(entry.workers);
		values[6] = Int64GetDatum(entry.nblocks);
		values[7] = Int64GetDatum(entry.blocks_done);
		values[8] = Int64GetDatum(EntryItems(&entry));
		values[9] = TimestampTzGetDatum(entry.started);
		values[10] = TimestampTzGetDatum(entry.finished);
		nulls[10] = entry.state == PRELOAD_LOADING;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
