/*-------------------------------------------------------------------------
 *
 * itemcache.c
 *	  Loading the library: settings, shared memory, callbacks.
 *
 * All shared memory is asked for at postmaster start and is
 * itemcache.memory in all: the table of owners, the counters and the
 * preloader's part are taken off first, and the store has the rest.
 *
 * Loaded later than that, the library does nothing but explain itself
 * (RequirePreloaded), and the trigger does nothing at all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include <limits.h>

#include "fmgr.h"
#include "itemcache.h"
#include "join.h"
#include "miscadmin.h"
#include "owner.h"
#include "preload.h"
#include "privilege.h"
#include "scan.h"
#include "stats.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "store.h"
#include "track.h"
#include "trigger.h"
#include "utils/guc.h"
#include "write.h"

PG_MODULE_MAGIC;

int			itemcache_memory;
int			itemcache_max_items;
int			itemcache_max_item_size;
bool		itemcache_preload_enabled;
int			itemcache_preload_workers;
bool		itemcache_enabled;
bool		itemcache_transparent;
bool		itemcache_async_put;

static shmem_request_hook_type PreviousShmemRequestHook = NULL;
static shmem_startup_hook_type PreviousShmemStartupHook = NULL;

PGDLLEXPORT void _PG_init(void);

static void DefineSettings(void);
static void RequestSharedMemory(void);
static void SetUpSharedMemory(void);
static Size MemoryTaken(void);
static Size MemorySetting(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	DefineSettings();
	PreviousShmemRequestHook = shmem_request_hook;
	shmem_request_hook = RequestSharedMemory;
	PreviousShmemStartupHook = shmem_startup_hook;
	shmem_startup_hook = SetUpSharedMemory;
	TrackInit();
	TriggerInit();
	PrivilegesInit();
	WriteInit();
	ScanInit();
	JoinInit();
	PreloadRegisterLauncher();
}

static void
DefineSettings(void)
{
	DefineCustomIntVariable("itemcache.memory",
							"Shared memory of the item cache.",
							"All that it takes, for items, index and counters; it never uses more.",
							&itemcache_memory,
							128 * 1024, 1024, INT_MAX,
							PGC_POSTMASTER, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("itemcache.max_items",
							"Most items that can be cached.",
							"The size of the index; 0 works it out from itemcache.memory for items of about 200 bytes.",
							&itemcache_max_items,
							0, 0, INT_MAX,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("itemcache.max_item_size",
							"Size of the largest row that is cached.",
							"Larger rows are read from the table each time.",
							&itemcache_max_item_size,
							64, 1, (int) (STORE_MAX_SIZE / 1024),
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("itemcache.preload",
							 "Loads attached tables into the cache at server start.",
							 "When off, the cache starts empty and fills as items are read or written; turned off while the loader is running, stops it.",
							 &itemcache_preload_enabled,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("itemcache.preload_workers",
							"Background workers that load tables side by side.",
							"They count towards max_worker_processes.",
							&itemcache_preload_workers,
							2, 1, 64,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("itemcache.enabled",
							 "Lets this session use the item cache.",
							 "When off, lookups read the table. Writes keep the cache exact either way.",
							 &itemcache_enabled,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("itemcache.transparent",
							 "Lets the planner use the item cache for plain SELECT.",
							 "When off, only the functions look items up in the cache.",
							 &itemcache_transparent,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("itemcache.async_put",
							 "Commits transactions asynchronously that put or delete items.",
							 "Applies to itemcache.put(), put_many() and delete() where \"synchronous_commit\" is on or local: the change is visible at once, and on disk within moments.",
							 &itemcache_async_put,
							 false,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	MarkGUCPrefixReserved(ITEMCACHE_NAME);
}

static Size
MemorySetting(void)
{
	return (Size) itemcache_memory * 1024;
}

/* What is not the store's. */
static Size
MemoryTaken(void)
{
	Size		memory = MemorySetting();
	Size		taken = OwnerShmemSize(memory);

	taken = add_size(taken, CountersShmemSize());
	return add_size(taken, PreloadShmemSize());
}

static void
RequestSharedMemory(void)
{
	if (PreviousShmemRequestHook)
		PreviousShmemRequestHook();

	if (MemoryTaken() > MemorySetting() / 2)
		ereport(FATAL,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("\"itemcache.memory\" is too small for %d connections",
						MaxConnections),
				 errhint("Set it to %zu kB or more.",
						 2 * MemoryTaken() / 1024 + 1)));
	RequestAddinShmemSpace(MemorySetting());
	RequestNamedLWLockTranche(ITEMCACHE_NAME,
							  1 + StorePartitionLocks(MemorySetting()) + 2);
}

static void
SetUpSharedMemory(void)
{
	Size		memory = MemorySetting();

	if (PreviousShmemStartupHook)
		PreviousShmemStartupHook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	OwnerShmemInit(memory);
	CountersShmemInit();
	PreloadShmemInit();
	StoreShmemInit(memory, MemoryTaken());
	LWLockRelease(AddinShmemInitLock);
}

void
RequirePreloaded(void)
{
	if (!StoreIsAttached())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("itemcache must be loaded via \"shared_preload_libraries\""),
				 errhint("Add itemcache to \"shared_preload_libraries\" and restart the server.")));
}

/* To do nothing would look like having done it: attach(to_regclass('typo')). */
Datum
RequireArgument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be null", name)));
	return PG_GETARG_DATUM(argno);
}

Oid
RequireRelation(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be null", "relation"),
				 errhint("to_regclass() is null if there is no such table.")));
	return PG_GETARG_OID(0);
}

/*
 * When a query ends, glibc gives what is free at the end of the heap back to
 * the kernel if it is more than twice the largest block that was ever freed.
 * Without such a block, calls that need much memory have it in new pages each
 * time, and page faults can take longer than all else.  Blocks beyond the
 * limits here are nothing to it.
 */
void
KeepMemory(Size size)
{
	static Size largest = 128 * 1024;

	size = Min(size, (Size) 31 * 1024 * 1024);
	if (size <= largest)
		return;
	pfree(palloc(size));
	largest = size;
}
