/*-------------------------------------------------------------------------
 *
 * preload.h
 *	  Loading tables into the cache: the start-up workers and preload().
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_PRELOAD_H
#define ITEMCACHE_PRELOAD_H

/* Shared memory for progress and for the workers' division of labour. */
extern Size PreloadShmemSize(void);
extern void PreloadShmemInit(void);

/* Register the launcher; from _PG_init, under shared_preload_libraries. */
extern void PreloadRegisterLauncher(void);

/*
 * Ask the preload workers of a database to leave it, because it is about to
 * be dropped.  Takes no heavyweight lock; does not wait.
 */
extern void PreloadLeaveDatabase(Oid dbid);

#endif							/* ITEMCACHE_PRELOAD_H */
