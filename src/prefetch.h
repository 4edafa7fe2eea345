/*-------------------------------------------------------------------------
 *
 * prefetch.h
 *	  The lookup join: a nested loop into the cache whose outer rows come in
 *	  batches, and have their items fetched by the processor ahead of use.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_PREFETCH_H
#define ITEMCACHE_PREFETCH_H

/* Install the planner's hook and the node's methods. */
extern void PrefetchInit(void);

#endif							/* ITEMCACHE_PREFETCH_H */
