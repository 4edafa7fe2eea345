/*-------------------------------------------------------------------------
 *
 * lock_holder.c
 *	  Test module: a process that is stopped in the middle of a critical
 *	  section of itemcache's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lwlock.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(stop_with_locks);

/*
 * stop_with_locks(first int, n int): take so many of the library's LWLocks, and
 * stop.  Whoever says SIGCONT has them released.
 */
Datum
stop_with_locks(PG_FUNCTION_ARGS)
{
	int			first = PG_GETARG_INT32(0);
	int			n = PG_GETARG_INT32(1);
	LWLockPadded *locks = GetNamedLWLockTranche("itemcache");

	for (int i = first; i < first + n; i++)
		LWLockAcquire(&locks[i].lock, LW_EXCLUSIVE);
	kill(MyProcPid, SIGSTOP);
	for (int i = first; i < first + n; i++)
		LWLockRelease(&locks[i].lock);
	PG_RETURN_VOID();
}
