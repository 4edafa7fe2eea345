/*-------------------------------------------------------------------------
 *
 * track.h
 *	  Rules 3 and 6: what a transaction writes, and what becomes of it in the
 *	  cache when it commits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_TRACK_H
#define ITEMCACHE_TRACK_H

/* Install the transaction, relcache and object-access callbacks. */
extern void TrackInit(void);

#endif							/* ITEMCACHE_TRACK_H */
