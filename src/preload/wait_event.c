/*-------------------------------------------------------------------------
 *
 * wait_event.c
 *	  What the launcher and its workers wait for, as pg_stat_activity names it.
 *
 * Names are asked for when they are first waited for, as the server has them
 * in shared memory, and not before.
 *
 * May call: nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "preload/wait_event.h"

static const char *const WaitNames[] = {
	[WAIT_LAUNCHER_MAIN] = "ItemcacheLauncherMain",
	[WAIT_LAUNCHER_WORKERS] = "ItemcacheLauncherWorkers",
	[WAIT_WORKER_RETRY] = "ItemcacheWorkerRetry",
	[WAIT_HOT_SET_WRITE] = "ItemcacheHotSetWrite",
};

uint32
PreloadWaitEvent(PreloadWait wait)
{
	static uint32 events[lengthof(WaitNames)];

	if (events[wait] == 0)
		events[wait] = NamedWaitEvent(WaitNames[wait]);
	return events[wait];
}
