/*-------------------------------------------------------------------------
 *
 * testpoint.c
 *	  Places where a test can have a process wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include <fcntl.h>
#include <unistd.h>

#include "testpoint.h"

#ifdef ITEMCACHE_TEST_POINTS

#define WAIT_STEP_US		1000
#define WAIT_MAX_STEPS		120000

/* Raises no error and allocates nothing: it is called anywhere. */
void
TestPoint(const char *name)
{
	char		wait[MAXPGPATH];
	char		waits[MAXPGPATH];
	int			fd;

	snprintf(wait, sizeof(wait), "itemcache.wait_at.%s", name);
	if (access(wait, F_OK) != 0)
		return;
	snprintf(waits, sizeof(waits), "itemcache.waits_at.%s", name);
	fd = open(waits, O_CREAT | O_WRONLY, 0600);
	if (fd >= 0)
		close(fd);
	for (int i = 0; i < WAIT_MAX_STEPS && access(wait, F_OK) == 0; i++)
		pg_usleep(WAIT_STEP_US);
	unlink(waits);
}

#endif
