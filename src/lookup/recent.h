/*-------------------------------------------------------------------------
 *
 * recent.h
 *	  The buffers that blocks were last found in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_RECENT_H
#define ITEMCACHE_RECENT_H

#include "storage/block.h"
#include "storage/buf.h"
#include "utils/relcache.h"

/*
 * The buffer that has a block of the relation's main fork, at this moment;
 * InvalidBuffer if none is known.  It is not pinned.
 */
extern Buffer RecentBuffer(Relation rel, BlockNumber block);

/* The block is in that buffer; a local one is not remembered. */
extern void RememberBuffer(Relation rel, BlockNumber block, Buffer buffer);

/*
 * Pin a buffer that had the block a moment ago, if it still has: then it is as if it
 * came from ReadBuffer().  False if that is to be called.
 */
extern bool PinRecentBuffer(Relation rel, BlockNumber block, Buffer buffer);

#endif							/* ITEMCACHE_RECENT_H */
