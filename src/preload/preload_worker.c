/*-------------------------------------------------------------------------
 *
 * preload_worker.c
 *	  The start-up loader: its workers.
 *
 * All workers of a database go through the same list of tables, in an order
 * in which they agree (PreloadPosition).  A table that is being loaded has an
 * entry in shared memory, from which each worker takes the next range of
 * blocks; a worker that finds no more ranges goes on to the next table.  So big
 * tables are loaded by several workers, and small ones side by side.  The list
 * itself is not shared: a table without an entry has not been begun unless a
 * table of a higher position has (then the entry has been given to another
 * since).  In the first stage the tables are those of the hot set, and of a
 * range only the places are loaded that it names.
 *
 * What a worker does with a table is in preload_table.c.
 *
 * A worker stops, and says so in the table's entry, when the setting is turned
 * off, when its database is about to be dropped, when the server shuts down,
 * and when there is a new run (the launcher failed and has begun again).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "preload/preload_internal.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "table/registration.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

PreloadOrder PreloadWorkerOrder;
HotSet	   *PreloadHotSet;

extern PGDLLEXPORT void PreloadWorkerMain(Datum arg);

static void WorkerExit(int code, Datum arg);
static void OverrideSettings(void);
static void LoadDatabase(void);
static PreloadTable *ListTables(int *ntables);
static PreloadTable *ListHotTables(int *ntables);
static int	ComparePositions(const void *a, const void *b);
static uint32 RankOf(Oid relid);
static bool AllOfOne(const PreloadTable *tables, int ntables);

void
PreloadWorkerMain(Datum arg)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	memcpy(&PreloadWorkerOrder, MyBgworkerEntry->bgw_extra, sizeof(PreloadWorkerOrder));

	/* Before we connect, so that we can be asked to leave from then on. */
	before_shmem_exit(WorkerExit, 0);
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	Preload->workers[PreloadWorkerOrder.number] = MyProc;
	LWLockRelease(&Preload->lock);

	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg),
											  InvalidOid, 0);
	OverrideSettings();
	if (!PreloadMustStop())
		LoadDatabase();
	proc_exit(0);
}

/* Normally there is nothing left but to say that we have gone. */
static void
WorkerExit(int code, Datum arg)
{
	PreloadAbandonTable();
	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (Preload->workers[PreloadWorkerOrder.number] == MyProc)
		Preload->workers[PreloadWorkerOrder.number] = NULL;
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
bool
PreloadMustStop(void)
{
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return ProcDiePending || !PreloadIsWanted(PreloadWorkerOrder.stage) || Preload->leave ||
		Preload->run != PreloadWorkerOrder.run;
}

/*
 * CREATE DATABASE with this one as its template, ALTER DATABASE RENAME and SET
 * TABLESPACE lock the database, so that nobody can enter, and then wait some
 * seconds for those inside to leave.  So leave, and come back when they have
 * done: whoever enters waits for the lock.  In a transaction.
 */
void
PreloadLeaveIfWanted(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
	{
		LockRelease(&tag, RowExclusiveLock, false);
		return;
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (Preload->run == PreloadWorkerOrder.run && !Preload->leave)
		Preload->leave = Preload->again = true;
	LWLockRelease(&Preload->lock);
}

static void
LoadDatabase(void)
{
	int			ntables;
	PreloadTable *tables;
	bool		alone;

	if (PreloadWorkerOrder.hotset != 0)
		PreloadHotSet = ReadHotSet(PreloadWorkerOrder.hotset);
	tables = ListTables(&ntables);
	alone = AllOfOne(tables, ntables);
	for (int i = 0; i < ntables; i++)
	{
		if (PreloadMustStop() || PreloadWorkerOrder.number >= itemcache_preload_workers)
			return;
		PreloadLoadTable(&tables[i], alone);
	}

	LWLockAcquire(&Preload->lock, LW_EXCLUSIVE);
	if (Preload->run == PreloadWorkerOrder.run)
		Preload->finished = true;
	LWLockRelease(&Preload->lock);
}

/*
 * All plain tables that are attached, or all that the hot set has, in order;
 * whether to load them is seen later.
 */
static PreloadTable *
ListTables(int *ntables)
{
	List	   *relids = NIL;
	ListCell   *lc;
	PreloadTable *tables;
	MemoryContext oldcontext = CurrentMemoryContext;

	if (PreloadWorkerOrder.stage == STAGE_HOT_SET)
		return ListHotTables(ntables);

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "looking for tables to load");
	relids = AttachedRelations();
	tables = MemoryContextAlloc(oldcontext,
								list_length(relids) * sizeof(PreloadTable) + 1);
	*ntables = 0;
	foreach(lc, relids)
	{
		PreloadTable *table = &tables[*ntables];

		table->relid = lfirst_oid(lc);
		table->position = PreloadPosition(RankOf(table->relid), table->relid);
		table->hot = NULL;
		if (get_rel_relkind(table->relid) == RELKIND_RELATION)
			(*ntables)++;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(oldcontext);
	pgstat_report_activity(STATE_IDLE, NULL);
	qsort(tables, *ntables, sizeof(PreloadTable), ComparePositions);
	return tables;
}

/* They are in order. */
static PreloadTable *
ListHotTables(int *ntables)
{
	int			n = PreloadHotSet != NULL ? PreloadHotSet->ntables : 0;
	PreloadTable *tables = MemoryContextAllocHuge(CurrentMemoryContext,
												  n * sizeof(PreloadTable) + 1);

	*ntables = 0;
	for (int i = 0; i < n; i++)
	{
		const HotTable *hot = &PreloadHotSet->tables[i];

		if (hot->dbid == MyDatabaseId)
			tables[(*ntables)++] = (PreloadTable)
			{
				.relid = hot->relid,
				.position = PreloadPosition(i, hot->relid),
				.hot = hot
			};
	}
	return tables;
}

static int
ComparePositions(const void *a, const void *b)
{
	uint64		x = ((const PreloadTable *) a)->position;
	uint64		y = ((const PreloadTable *) b)->position;

	return x < y ? -1 : x > y;
}

static uint32
RankOf(Oid relid)
{
	for (int i = 0; PreloadHotSet != NULL && i < PreloadHotSet->ntables; i++)
	{
		if (PreloadHotSet->tables[i].relid == relid && PreloadHotSet->tables[i].dbid == MyDatabaseId)
			return i;
	}
	return PRELOAD_NO_RANK;
}

/* Are they one table, or the parts of one? */
static bool
AllOfOne(const PreloadTable *tables, int ntables)
{
	for (int i = 1; i < ntables; i++)
	{
		if (tables[i].relid != tables[0].relid)
			return false;
	}
	return true;
}
