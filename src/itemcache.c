/*-------------------------------------------------------------------------
 *
 * itemcache.c
 *	  The door: loading the library, hooks, and the order in which shared
 *	  memory is laid out.  Nobody calls it.
 *
 * All shared memory is asked for at postmaster start and is
 * itemcache.memory in all: the table of owners, the counters, a standby's words
 * (replay.h) and the preloader's part are taken off first, and the store has
 * the rest.
 *
 * Loaded later than that, the library does nothing but explain itself
 * (RequirePreloaded), and the trigger does nothing at all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "preload/preload.h"
#include "replay/replay.h"
#include "select/demand.h"
#include "select/join.h"
#include "select/scan.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "store/owner.h"
#include "store/secret.h"
#include "store/stats.h"
#include "store/store.h"
#include "table/privilege.h"
#include "track/track.h"
#include "track/trigger.h"
#include "write/write.h"

MODULE_MAGIC(ITEMCACHE_NAME, ITEMCACHE_VERSION);

static shmem_request_hook_type PreviousShmemRequestHook = NULL;
static shmem_startup_hook_type PreviousShmemStartupHook = NULL;

PGDLLEXPORT void _PG_init(void);

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
	ReplayInit();
	WriteInit();
	ScanInit();
	JoinInit();
	DemandInit();
	PreloadInit();
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

	taken = add_size(taken, SecretShmemSize());
	taken = add_size(taken, CountersShmemSize());
	taken = add_size(taken, ReplayShmemSize(memory));
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
	SecretShmemInit();
	CountersShmemInit();
	ReplayShmemInit(memory);
	PreloadShmemInit();
	StoreShmemInit(memory, MemoryTaken());
	LWLockRelease(AddinShmemInitLock);
}
