/*-------------------------------------------------------------------------
 *
 * preload.c
 *	  Loading tables into the cache: the start-up workers and preload().
 *
 * The launcher is a background worker that lives as long as the server (it
 * must be there to start again after a crash, which empties the cache).  It
 * visits the databases one after the other, and starts in each one worker;
 * when that one finds more work than for one, up to itemcache.preload_workers.
 *
 * All workers of a database go through the same list of tables, in order of
 * their OIDs.  A table that is being loaded has an entry in shared memory,
 * from which each worker takes the next range of blocks; a worker that finds
 * no more ranges goes on to the next table.  So big tables are loaded by
 * several workers and small ones side by side.  The list itself is not shared:
 * a table without an entry has not been begun unless a table with a higher OID
 * has (then the entry has been given to another since).
 *
 * A range is read in a transaction of its own, so that neither DDL nor the
 * horizon of vacuum waits for us for longer.  The lock on the table is only
 * ever taken if that needs no waiting.  What makes it right to cache what a
 * page holds is rule 2 in README, and is done by FillItems(); this file only
 * has to begin the access before it reads the page, and to keep the pin.
 *
 * Everything in shared memory is protected by the lock in it, except for the
 * flag "leave", which may be read without.
 *
 * May call: fill, item, relation, views (for the list of tables), privilege.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/procsignal.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "fill.h"
#include "itemcache.h"
#include "preload.h"
#include "privilege.h"
#include "views.h"

/* Tables whose progress is kept; of finished ones only the latest. */
#define PRELOAD_ENTRIES		512

/* More workers than this are not started, whatever the setting says. */
#define PRELOAD_MAX_WORKERS	64

/* Blocks read in one transaction. */
#define PRELOAD_RANGE		1024

/* How often a table is begun again because it got another file meanwhile. */
#define PRELOAD_MAX_RESTARTS	3

/* The cache is full when so many items in a row found no room. */
#define PRELOAD_FULL_STREAK	1000

/* How long a worker tries to lock one table, and how often, in milliseconds. */
#define PRELOAD_LOCK_WAIT	5000
#define PRELOAD_LOCK_RETRY	50

typedef enum PreloadState
{
	PRELOAD_LOADING,
	PRELOAD_DONE,
	PRELOAD_FULL,
	PRELOAD_STOPPED,
	PRELOAD_SKIPPED,
	PRELOAD_FAILED
} PreloadState;

static const char *const PreloadStateNames[] = {
	"loading", "done", "full", "stopped", "skipped", "failed"
};

/* A table that is being, or has been, loaded. */
typedef struct PreloadEntry
{
	Oid			dbid;			/* InvalidOid: never used */
	Oid			relid;
	uint64		run;			/* PreloadShared.run when it was begun */
	Oid			relfilenode;	/* the file that nblocks and next are of */
	PreloadState state;			/* for the view; LOADING until the last worker
								 * has left */
	PreloadState outcome;		/* what state will be; if not DONE, no range
								 * is given out any more */
	int			workers;		/* that are at it */
	int			restarts;
	BlockNumber nblocks;
	BlockNumber next;			/* first block not given out */
	BlockNumber blocks_done;
	uint64		items;
	uint64		bytes;
	TimestampTz started;
	TimestampTz finished;
	NameData	datname;
	NameData	nspname;
	NameData	relname;
} PreloadEntry;

typedef struct PreloadShared
{
	int			tranche;		/* set once, by the postmaster */
	LWLock		lock;
	Oid			dbid;			/* database being loaded, if any */
	uint64		run;			/* counts the databases visited */
	volatile bool leave;		/* workers shall leave it; read without lock */
	bool		more;			/* there is work for several workers */
	bool		finished;		/* a worker reached the end of the list */
	Oid			begun;			/* highest OID of a table begun in this run */
	Oid			visited;		/* databases up to this OID are done, ... */
	bool		all_done;		/* ... or all are */
	TimestampTz started;		/* when the first one was visited */
	uint64		tables;			/* that ended, with ... */
	uint64		items;			/* ... what was loaded of them */
	uint64		bytes;
	PGPROC	   *launcher;
	PGPROC	   *workers[PRELOAD_MAX_WORKERS];
	PreloadEntry entries[PRELOAD_ENTRIES];
} PreloadShared;

/* Blocks to load, of the file "relfilenode". */
typedef struct BlockRange
{
	Oid			relfilenode;
	BlockNumber begin;
	BlockNumber end;
} BlockRange;

/* Loading pages of one relation, under one snapshot. */
typedef struct PageLoader
{
	Relation	rel;
	ItemAccess	access;
	BufferAccessStrategy strategy;
	MemoryContext context;		/* reset for each page */
	FillItem   *fills;			/* of one page */
	OffsetNumber *offsets;
	Size		limit;
	uint64		items;			/* loaded ... */
	uint64		bytes;			/* ... and their size */
	int			streak;			/* items in a row that found no room */
} PageLoader;

static PreloadShared *Preload;

/* In a worker: its number, and the table it is at. */
static int	WorkerNumber;
static PreloadEntry *WorkerEntry;
static int	WorkerStreak;
static int	WorkerLockWait;

extern PGDLLEXPORT void PreloadLauncherMain(Datum arg);
extern PGDLLEXPORT void PreloadWorkerMain(Datum arg);

/* launcher */
static void LauncherExit(int code, Datum arg);
static void VisitDatabases(void);
static List *DatabasesToVisit(Oid after);
static void VisitDatabase(Oid dbid);
static bool StartWorker(Oid dbid, int number, BackgroundWorkerHandle **handle);
static int	WorkersRunning(BackgroundWorkerHandle **handles, int n);
static bool LauncherMustStop(void);
static void LauncherWait(long timeout);
static void CloseEntries(void);

/* workers */
static void WorkerExit(int code, Datum arg);
static bool WorkerMustStop(void);
static void OverrideSettings(void);
static void LoadDatabase(void);
static List *TablesToLoad(void);
static void LoadTable(Oid relid, bool alone);
static void ReportFailure(Oid relid, ErrorData *edata);
static void BeginTable(Oid relid, bool alone);
static bool JoinTable(Oid relid);
static void AddEntry(Oid relid, Relation rel, bool alone);
static PreloadEntry *NewEntry(void);
static bool TakeRange(BlockRange *range);
static void LoadRange(const BlockRange *range);
static bool FileIsOfRange(Relation rel, const BlockRange *range);
static void ReadRange(PageLoader *loader, const BlockRange *range);
static Relation OpenIfFree(Oid relid);
static void EndTable(PreloadState outcome);
static void LeaveTable(void);
static void LogTable(const PreloadEntry *entry);

/* pages */
static void InitLoader(PageLoader *loader);
static bool BeginLoading(PageLoader *loader, Relation rel, Snapshot snapshot);
static void LoadPage(PageLoader *loader, BlockNumber block);
static int	VisibleOffsets(PageLoader *loader, Buffer buffer);
static int	FormItems(PageLoader *loader, Buffer buffer, int noffsets);
static bool CacheIsFull(const PageLoader *loader);

/* SQL */
static void LoadPartitions(PageLoader *loader, Relation root);
static void LoadWholeTable(PageLoader *loader, Relation rel);
static void BeginLoadingOrComplain(PageLoader *loader, Relation rel);
static void ComplainNotServed(Relation rel, ItemRelation *relation);


/*
 * Shared memory and the launcher's registration
 */

Size
PreloadShmemSize(void)
{
	return sizeof(PreloadShared);
}

void
PreloadShmemInit(bool found)
{
	Preload = ShmemInitStruct("itemcache preload", PreloadShmemSize(), &found);
	if (!found)
	{
		memset(Preload, 0, sizeof(PreloadShared));
		Preload->tranche = LWLockNewTrancheId();
		LWLockInitialize(&Preload->lock, Preload->tranche);
	}
	LWLockRegisterTranche(Preload->tranche, "itemcache preload");
}

void
PreloadRegisterLauncher(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 60;
	strlcpy(worker.bgw_library_name, ITEMCACHE_NAME, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "PreloadLauncherMain",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "itemcache preload launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "itemcache preload launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
PreloadLeaveDatabase(Oid dbid)
{
	if (Preload == NULL)
		return;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (Preload->dbid == dbid)
	{
		Preload->leave = true;
		for (int i = 0; i < PRELOAD_MAX_WORKERS; i++)
		{
			if (Preload->workers[i] != NULL)
				SetLatch(&Preload->workers[i]->procLatch);
		}
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

	if (!Preload->all_done && itemcache_preload_enabled)
		VisitDatabases();

	/*
	 * A background worker that exits for good is not there after a crash of
	 * another backend either, when the cache is empty again.  So stay.
	 */
	pgstat_report_activity(STATE_IDLE, NULL);
	while (!ShutdownRequestPending)
	{
		LauncherMustStop();
		LauncherWait(-1L);
	}
	proc_exit(0);
}

static void
LauncherExit(int code, Datum arg)
{
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->launcher = NULL;
	LWLockRelease(&Preload->lock);
}

static void
VisitDatabases(void)
{
	List	   *databases = DatabasesToVisit(Preload->visited);
	ListCell   *lc;

	foreach(lc, databases)
	{
		if (LauncherMustStop())
			break;
		VisitDatabase(lfirst_oid(lc));
		if (ShutdownRequestPending)
			break;
		LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
		Preload->visited = lfirst_oid(lc);
		LWLockRelease(&Preload->lock);
	}
	if (ShutdownRequestPending)
		return;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->all_done = true;
	LWLockRelease(&Preload->lock);

	if (Preload->tables > 0)
		ereport(LOG,
				(errmsg("itemcache: preload ended: %lld tables, %lld items, %.1f MB in %.2f s",
						(long long) Preload->tables,
						(long long) Preload->items,
						Preload->bytes / (1024.0 * 1024.0),
						(GetCurrentTimestamp() - Preload->started) / 1000000.0)));
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

/* Have a database's tables loaded, and wait until that is done. */
static void
VisitDatabase(Oid dbid)
{
	BackgroundWorkerHandle *handles[PRELOAD_MAX_WORKERS] = {NULL};
	int			started = 0;	/* workers started so far */
	bool		complained = false;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->dbid = dbid;
	Preload->run++;
	Preload->leave = false;
	Preload->more = false;
	Preload->finished = false;
	Preload->begun = InvalidOid;
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
		LauncherWait(started < wanted ? 1000L : 10000L);
	}

	for (int i = 0; i < started; i++)
		pfree(handles[i]);
	CloseEntries();
}

/* Start a worker; false if there is no slot for it. */
static bool
StartWorker(Oid dbid, int number, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, ITEMCACHE_NAME,
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "PreloadWorkerMain",
			sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN,
			 "itemcache preload worker %d for database %u", number, dbid);
	strlcpy(worker.bgw_type, "itemcache preload worker", BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(dbid);
	memcpy(worker.bgw_extra, &number, sizeof(number));
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
	return ShutdownRequestPending || !itemcache_preload_enabled;
}

static void
LauncherWait(long timeout)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
					 (timeout >= 0 ? WL_TIMEOUT : 0),
					 timeout, PG_WAIT_EXTENSION);
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
			entry->state = entry->outcome == PRELOAD_DONE ? PRELOAD_STOPPED :
				entry->outcome;
			entry->finished = GetCurrentTimestamp();
		}
		LWLockRelease(&Preload->lock);

		if (copy.state != entry->state)
			LogTable(entry);
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->dbid = InvalidOid;
	LWLockRelease(&Preload->lock);
}


/*
 * Workers
 */

void
PreloadWorkerMain(Datum arg)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	memcpy(&WorkerNumber, MyBgworkerEntry->bgw_extra, sizeof(WorkerNumber));

	/* Before we connect, so that we can be asked to leave from then on. */
	before_shmem_exit(WorkerExit, 0);
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->workers[WorkerNumber] = MyProc;
	LWLockRelease(&Preload->lock);

	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg),
											  InvalidOid, 0);
	OverrideSettings();
	if (!WorkerMustStop())
		LoadDatabase();
	proc_exit(0);
}

/* Normally there is nothing left but to say that we have gone. */
static void
WorkerExit(int code, Datum arg)
{
	if (WorkerEntry != NULL)
	{
		EndTable(PRELOAD_STOPPED);
		LeaveTable();
	}
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->workers[WorkerNumber] = NULL;
	LWLockRelease(&Preload->lock);
}

/* As autovacuum does: what people set for their sessions is not for us. */
static void
OverrideSettings(void)
{
	static const char *const timeouts[] = {
		"statement_timeout", "lock_timeout",
		"idle_in_transaction_session_timeout",
		"transaction_timeout"	/* since 17 */
	};

	for (int i = 0; i < lengthof(timeouts); i++)
	{
		if (GetConfigOption(timeouts[i], true, false) != NULL)
			SetConfigOption(timeouts[i], "0", PGC_SUSET, PGC_S_OVERRIDE);
	}
	SetConfigOption("search_path", "", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed",
					PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("itemcache.enabled", "on", PGC_SUSET, PGC_S_OVERRIDE);
}

/* Also takes in a changed configuration. */
static bool
WorkerMustStop(void)
{
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return ProcDiePending || !itemcache_preload_enabled || Preload->leave;
}

static void
LoadDatabase(void)
{
	List	   *relids = TablesToLoad();
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (WorkerMustStop() || WorkerNumber >= itemcache_preload_workers)
			return;
		LoadTable(lfirst_oid(lc), list_length(relids) == 1);
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->finished = true;
	LWLockRelease(&Preload->lock);
}

/* All plain tables that are attached; whether to load them is seen later. */
static List *
TablesToLoad(void)
{
	List	   *relids = NIL;
	List	   *attached;
	ListCell   *lc;
	MemoryContext oldcontext;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "looking for tables to load");
	attached = AttachedRelations();
	oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	foreach(lc, attached)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION)
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	MemoryContextSwitchTo(oldcontext);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
	return relids;
}

/* Do our share of a table, if there is one left. */
static void
LoadTable(Oid relid, bool alone)
{
	MemoryContext context;

	context = AllocSetContextCreate(TopMemoryContext, "itemcache preload",
									ALLOCSET_SMALL_SIZES);
	WorkerLockWait = PRELOAD_LOCK_WAIT;
	PG_TRY();
	{
		BlockRange	range;

		BeginTable(relid, alone);
		while (WorkerEntry != NULL && TakeRange(&range))
			LoadRange(&range);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		ReportFailure(relid, edata);
	}
	PG_END_TRY();

	if (WorkerEntry != NULL)
		LeaveTable();
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
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

/*
 * Set WorkerEntry, unless there is nothing for us to do of this table: it is
 * not to be loaded, or all of it has been given out.
 */
static void
BeginTable(Oid relid, bool alone)
{
	Relation	rel;

	if (JoinTable(relid))
		return;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = OpenIfFree(relid);
	if (rel != NULL)
	{
		ItemRelation *relation = ItemRelationOf(rel);

		if (relation->state == RELATION_SERVED && relation->preload)
			AddEntry(relid, rel, alone);
		relation_close(rel, AccessShareLock);
	}
	else if (!WorkerMustStop() && get_rel_name(relid) != NULL)
		AddEntry(relid, NULL, alone);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Has the table been begun?  If so, and if there is a range left, WorkerEntry
 * is set.
 */
static bool
JoinTable(Oid relid)
{
	bool		begun;

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	begun = relid <= Preload->begun;
	for (int i = 0; begun && i < PRELOAD_ENTRIES; i++)
	{
		PreloadEntry *entry = &Preload->entries[i];

		if (entry->relid != relid || entry->run != Preload->run)
			continue;
		if (entry->outcome == PRELOAD_DONE && entry->next < entry->nblocks)
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
 * Enter a table, unless another worker has done so meanwhile.  "rel" is NULL
 * if it could not be locked.
 */
static void
AddEntry(Oid relid, Relation rel, bool alone)
{
	PreloadEntry new = {0};
	char	   *datname = get_database_name(MyDatabaseId);
	char	   *nspname = get_namespace_name(get_rel_namespace(relid));
	char	   *relname = get_rel_name(relid);
	bool		begun;

	new.dbid = MyDatabaseId;
	new.relid = relid;
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
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	begun = relid <= Preload->begun;
	if (!begun)
	{
		new.run = Preload->run;
		WorkerEntry = NewEntry();
		*WorkerEntry = new;
		Preload->begun = relid;
		if (!Preload->more && (!alone || new.nblocks > PRELOAD_RANGE))
		{
			Preload->more = true;
			if (Preload->launcher != NULL)
				SetLatch(&Preload->launcher->procLatch);
		}
	}
	LWLockRelease(&Preload->lock);

	if (begun)
		JoinTable(relid);
}

/* A free entry, or the one that has been finished the longest. */
static PreloadEntry *
NewEntry(void)
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

	if (WorkerMustStop())
		EndTable(PRELOAD_STOPPED);

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (entry->outcome == PRELOAD_DONE && entry->next < entry->nblocks &&
		WorkerNumber < itemcache_preload_workers)
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

	rel = OpenIfFree(WorkerEntry->relid);
	if (rel == NULL)
		EndTable(WorkerMustStop() ? PRELOAD_STOPPED : PRELOAD_SKIPPED);
	else if (FileIsOfRange(rel, range))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		InitLoader(&loader);
		loader.streak = WorkerStreak;
		if (BeginLoading(&loader, rel, GetActiveSnapshot()) &&
			loader.access.relation->preload)
			ReadRange(&loader, range);
		else
			EndTable(PRELOAD_SKIPPED);
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
		if (entry->restarts++ < PRELOAD_MAX_RESTARTS)
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
	BlockNumber nblocks = RelationGetNumberOfBlocks(loader->rel);
	BlockNumber block;
	PreloadState outcome = PRELOAD_DONE;

	for (block = range->begin; block < Min(range->end, nblocks); block++)
	{
		if (WorkerMustStop())
		{
			outcome = PRELOAD_STOPPED;
			break;
		}
		CHECK_FOR_INTERRUPTS();
		LoadPage(loader, block);
		if (CacheIsFull(loader))
		{
			outcome = PRELOAD_FULL;
			break;
		}
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (WorkerEntry->relfilenode == range->relfilenode)
	{
		WorkerEntry->blocks_done +=
			(outcome == PRELOAD_DONE ? range->end : block) - range->begin;
		WorkerEntry->items += loader->items;
		WorkerEntry->bytes += loader->bytes;
	}
	LWLockRelease(&Preload->lock);

	if (outcome != PRELOAD_DONE)
		EndTable(outcome);
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
		if (WorkerLockWait <= 0 || WorkerMustStop())
			return NULL;
		WorkerLockWait -= PRELOAD_LOCK_RETRY;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 PRELOAD_LOCK_RETRY, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();

	/* releases nothing if the table is gone, but the transaction's end will */
	return try_relation_open(relid, NoLock);
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
	{
		entry->state = entry->outcome;
		entry->finished = GetCurrentTimestamp();
		Preload->tables++;
		Preload->items += entry->items;
		Preload->bytes += entry->bytes;
	}
	copy = *entry;
	LWLockRelease(&Preload->lock);

	if (copy.state != PRELOAD_LOADING)
		LogTable(&copy);
}

static void
LogTable(const PreloadEntry *entry)
{
	HOLD_INTERRUPTS();
	ereport(LOG,
			(errmsg("itemcache: preload of table \"%s.%s\" in database \"%s\": %s, %lld items (%.1f MB) from %u of %u blocks in %.2f s",
					NameStr(entry->nspname), NameStr(entry->relname),
					NameStr(entry->datname), PreloadStateNames[entry->state],
					(long long) entry->items,
					entry->bytes / (1024.0 * 1024.0),
					entry->blocks_done, entry->nblocks,
					(entry->finished - entry->started) / 1000000.0)));
	RESUME_INTERRUPTS();
}


/*
 * Pages
 */

static void
InitLoader(PageLoader *loader)
{
	memset(loader, 0, sizeof(PageLoader));
	loader->strategy = GetAccessStrategy(BAS_BULKREAD);
	loader->context = AllocSetContextCreate(CurrentMemoryContext,
											"itemcache preload page",
											ALLOCSET_DEFAULT_SIZES);
	loader->fills = palloc(MaxHeapTuplesPerPage * sizeof(FillItem));
	loader->offsets = palloc(MaxHeapTuplesPerPage * sizeof(OffsetNumber));
	loader->limit = ItemSizeLimit();
}

/*
 * Begin to load pages of a relation, which is locked.  False if nothing can be
 * cached of it (by this transaction).
 */
static bool
BeginLoading(PageLoader *loader, Relation rel, Snapshot snapshot)
{
	AcceptInvalidationMessages();
	loader->rel = rel;
	BeginItemAccess(&loader->access, ItemRelationOf(rel), snapshot);
	return loader->access.fill;
}

/* Cache what the snapshot sees on a page, as far as there is room. */
static void
LoadPage(PageLoader *loader, BlockNumber block)
{
	MemoryContext oldcontext;
	Buffer		buffer;
	int			n;

	oldcontext = MemoryContextSwitchTo(loader->context);
	buffer = ReadBufferExtended(loader->rel, MAIN_FORKNUM, block, RBM_NORMAL,
								loader->strategy);
	n = VisibleOffsets(loader, buffer);
	n = FormItems(loader, buffer, n);
	if (n > 0)
		FillItems(&loader->access, buffer, loader->fills, n, true);
	ReleaseBuffer(buffer);

	for (int i = 0; i < n; i++)
	{
		if (loader->fills[i].result == STORE_DONE)
		{
			loader->items++;
			loader->bytes += ItemImageSize(loader->fills[i].image);
			loader->streak = 0;
		}
		else if (loader->fills[i].result == STORE_FULL)
			loader->streak++;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(loader->context);
}

/*
 * Line pointers of the tuples that the snapshot sees, as heapgetpage() finds
 * them.  No predicate locks are taken, as nothing of it is returned to anyone.
 */
static int
VisibleOffsets(PageLoader *loader, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	Snapshot	snapshot = loader->access.snapshot;
	OffsetNumber last;
	bool		all_visible;
	int			n = 0;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	all_visible = PageIsAllVisible(page) && !snapshot->takenDuringRecovery;
	last = PageGetMaxOffsetNumber(page);
	for (OffsetNumber off = FirstOffsetNumber; off <= last; off++)
	{
		ItemId		lp = PageGetItemId(page, off);
		HeapTupleData tuple;

		if (!ItemIdIsNormal(lp))
			continue;
		tuple.t_tableOid = RelationGetRelid(loader->rel);
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, lp);
		tuple.t_len = ItemIdGetLength(lp);
		ItemPointerSet(&tuple.t_self, BufferGetBlockNumber(buffer), off);
		if (all_visible ||
			HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer))
			loader->offsets[n++] = off;
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return n;
}

/* Make items of these tuples; rows over the size limit are left out. */
static int
FormItems(PageLoader *loader, Buffer buffer, int noffsets)
{
	Page		page = BufferGetPage(buffer);
	const ItemAccess *access = &loader->access;
	int			n = 0;

	for (int i = 0; i < noffsets; i++)
	{
		ItemId		lp = PageGetItemId(page, loader->offsets[i]);
		FillItem   *fill = &loader->fills[n];
		HeapTupleData tuple;
		Datum		key[INDEX_MAX_KEYS];

		tuple.t_tableOid = RelationGetRelid(loader->rel);
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, lp);
		tuple.t_len = ItemIdGetLength(lp);
		ItemPointerSet(&tuple.t_self, BufferGetBlockNumber(buffer),
					   loader->offsets[i]);

		fill->version = tuple.t_data;
		fill->image = ItemImage(access->shape, &tuple, loader->limit);
		if (fill->image == NULL)
			continue;
		ItemKey(access->shape, &tuple, key);
		fill->hash = KeyHash(access->shape, access->relation->key, key);
		StorePrefetchSlots(fill->hash);
		n++;
	}
	return n;
}

/* Single items find no room before that, where much is going on. */
static bool
CacheIsFull(const PageLoader *loader)
{
	return loader->streak >= PRELOAD_FULL_STREAK;
}


/*
 * SQL functions
 */

PG_FUNCTION_INFO_V1(itemcache_preload);

Datum
itemcache_preload(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	PageLoader	loader;

	RequirePreloaded();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot load a table into the cache during recovery"),
				 errhint("The cache is not used on a standby server.")));

	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));

	AcceptInvalidationMessages();
	CheckReadPrivilege(ItemRelationOf(rel));
	InitLoader(&loader);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		LoadPartitions(&loader, rel);
	else
		LoadWholeTable(&loader, rel);
	relation_close(rel, NoLock);
	PG_RETURN_INT64(loader.items);
}

static void
LoadPartitions(PageLoader *loader, Relation root)
{
	List	   *relids;
	ListCell   *lc;

	if (!ItemRelationOf(root)->attached)
		ComplainNotServed(root, ItemRelationOf(root));

	relids = find_all_inheritors(RelationGetRelid(root), AccessShareLock, NULL);
	foreach(lc, relids)
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);
		ItemRelation *relation = ItemRelationOf(rel);

		if (relation->state == RELATION_SERVED)
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
}

/*
 * The access is begun anew now and then, so that not everything is refused
 * after somebody has moved the table's epoch.
 */
static void
LoadWholeTable(PageLoader *loader, Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);

	BeginLoadingOrComplain(loader, rel);
	for (BlockNumber block = 0; block < nblocks; block++)
	{
		if (block > 0 && block % PRELOAD_RANGE == 0)
			BeginLoadingOrComplain(loader, rel);
		CHECK_FOR_INTERRUPTS();
		LoadPage(loader, block);
		if (CacheIsFull(loader))
		{
			ereport(NOTICE,
					(errmsg("the cache is full: loading of table \"%s\" stopped at block %u of %u",
							RelationGetRelationName(rel), block, nblocks),
					 errhint("Consider increasing \"itemcache.memory\" or \"itemcache.max_items\".")));
			break;
		}
	}
}

static void
BeginLoadingOrComplain(PageLoader *loader, Relation rel)
{
	if (BeginLoading(loader, rel, GetActiveSnapshot()))
		return;

	if (loader->access.relation->state != RELATION_SERVED)
		ComplainNotServed(rel, loader->access.relation);
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

		LWLockAcquire(&Preload->lock, LW_SHARED);
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
		values[8] = Int64GetDatum(entry.items);
		values[9] = TimestampTzGetDatum(entry.started);
		values[10] = TimestampTzGetDatum(entry.finished);
		nulls[10] = entry.state == PRELOAD_LOADING;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
