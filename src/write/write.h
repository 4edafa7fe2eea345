/*-------------------------------------------------------------------------
 *
 * write.h
 *	  put(), put_many() and delete(), and the asynchronous commit of
 *	  transactions that used them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WRITE_H
#define ITEMCACHE_WRITE_H

/* Install the transaction callbacks for itemcache.async_put. */
extern void WriteInit(void);

#endif							/* ITEMCACHE_WRITE_H */
