/*-------------------------------------------------------------------------
 *
 * trylock.c
 *	  A lock for what is optional.
 *
 * Locks here are held for some microseconds, unless a process is stopped while
 * it has one: by a debugger, by SIGSTOP, or by a hypervisor.  Who waits for an
 * LWLock then cannot be cancelled.  So nobody waits who could do without: a
 * lookup answers from the table as well, and that it could not cache the answer
 * is its loss only.  What cannot do without is what makes the cache exact:
 * removals, publication in their place, and the moving of epochs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/s_lock.h"
#include "store/trylock.h"
#include "utils/timestamp.h"

/* Tries in a row: they take as long as a lock is held, mostly. */
#define LOCK_SPINS		100

/*
 * Whoever has it may have been preempted: a nap or two, of a patient one many.
 * After these were in vain, for this lock or another, there are none for a while.
 */
#define LOCK_NAPS		2
#define LOCK_NAPS_PATIENT	200
#define NAP_US			500
#define VAIN_MS			2000

static bool SpinForLock(LWLock *lock);

bool
TryLock(LWLock *lock, bool patient)
{
	static TimestampTz in_vain = 0;
	int			most = patient ? LOCK_NAPS_PATIENT : LOCK_NAPS;

	if (SpinForLock(lock))
		return true;
	if (!TimestampDifferenceExceeds(in_vain, GetCurrentTimestamp(), VAIN_MS))
		return false;
	for (int naps = 0; naps < most; naps++)
	{
		pg_usleep(NAP_US);
		if (SpinForLock(lock))
			return true;
	}
	in_vain = GetCurrentTimestamp();
	return false;
}

static bool
SpinForLock(LWLock *lock)
{
	for (int spins = 0; spins < LOCK_SPINS; spins++)
	{
		if (LWLockConditionalAcquire(lock, LW_EXCLUSIVE))
			return true;
		SPIN_DELAY();
	}
	return false;
}
