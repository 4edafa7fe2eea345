/*-------------------------------------------------------------------------
 *
 * server.c
 *	  What the store wants of a server, for a program that is none.
 *
 * Shared memory is an anonymous mapping that children inherit; a lock is a word
 * in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sched.h>
#include <sys/mman.h>

#include "settings.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

int			itemcache_max_items = 0;
int			itemcache_max_item_size = 64;

#define MAX_LOCKS	512

void *
ShmemInitStruct(const char *name, Size size, bool *found)
{
	void	   *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
							  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	*found = false;
	return memory;
}

LWLockPadded *
GetNamedLWLockTranche(const char *name)
{
	static LWLockPadded *locks = NULL;
	bool		found;

	if (locks == NULL)
		locks = ShmemInitStruct(name, MAX_LOCKS * sizeof(LWLockPadded), &found);
	return locks;
}

bool
LWLockConditionalAcquire(LWLock *lock, LWLockMode mode)
{
	uint32		unlocked = 0;

	return pg_atomic_compare_exchange_u32(&lock->state, &unlocked, 1);
}

bool
LWLockAcquire(LWLock *lock, LWLockMode mode)
{
	while (!LWLockConditionalAcquire(lock, mode))
		sched_yield();
	return true;
}

void
LWLockRelease(LWLock *lock)
{
	pg_atomic_fetch_sub_u32(&lock->state, 1);
}

TimestampTz
GetCurrentTimestamp(void)
{
	return 0;
}

bool
TimestampDifferenceExceeds(TimestampTz start, TimestampTz stop, int msec)
{
	return true;
}

void
pg_usleep(long microsec)
{
	sched_yield();
}

/* What there is to say is for a server's log. */
bool
errstart(int elevel, const char *domain)
{
	return false;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return false;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
}

int
errmsg(const char *fmt,...)
{
	return 0;
}

int
errdetail(const char *fmt,...)
{
	return 0;
}

int
errhint(const char *fmt,...)
{
	return 0;
}

void
ExceptionalCondition(const char *condition,
#if PG_VERSION_NUM < 160000
					 const char *type,
#endif
					 const char *file, int line)
{
	fprintf(stderr, "assertion failed: %s, %s:%d\n", condition, file, line);
	abort();
}
