/*-------------------------------------------------------------------------
 *
 * views.h
 *	  What people see of the cache.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_VIEWS_H
#define ITEMCACHE_VIEWS_H

/* The state of an attached table as the view itemcache.tables shows it. */
extern char *AttachedState(Oid relid);

#endif							/* ITEMCACHE_VIEWS_H */
