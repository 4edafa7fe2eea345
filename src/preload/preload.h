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

/*
 * Register the launcher, and have the workers leave a database that is dropped;
 * from _PG_init, under shared_preload_libraries.
 */
extern void PreloadInit(void);

/* What has become of the launcher, for the view itemcache.stats. */
extern const char *PreloaderState(void);

#endif							/* ITEMCACHE_PRELOAD_H */
