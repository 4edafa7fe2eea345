/*-------------------------------------------------------------------------
 *
 * wait_event.h
 *	  What the launcher and its workers wait for, as pg_stat_activity names it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WAIT_EVENT_H
#define ITEMCACHE_WAIT_EVENT_H

typedef enum PreloadWait
{
	WAIT_LAUNCHER_MAIN,			/* the launcher, for the next time to save */
	WAIT_LAUNCHER_WORKERS,		/* the launcher, for its workers, or a slot */
	WAIT_WORKER_RETRY,			/* a worker, before it tries a lock again */
	WAIT_HOT_SET_WRITE			/* the hot set's file */
} PreloadWait;

/*
 * For WaitLatch() and pgstat_report_wait_start().  May take an LWLock the first
 * time in a process, and then never again; raises an error if the server has no
 * room for another name.
 */
extern uint32 PreloadWaitEvent(PreloadWait wait);

#endif
