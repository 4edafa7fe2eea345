/*-------------------------------------------------------------------------
 *
 * warmth.h
 *	  How much of a table is cached, as far as plans depend on it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WARMTH_H
#define ITEMCACHE_WARMTH_H

#include "nodes/pathnodes.h"
#include "table/relation.h"

/* How many rows of a served relation are cached, about. */
extern uint64 CachedRows(const ItemRelation *relation);

/*
 * The plan that is being made depends on how many these are: it is made again
 * when they have become many more or less.
 */
extern void PlanDependsOnWarmth(PlannerInfo *root, Oid relid);

/*
 * Have all sessions make plans again that depend on the relation's warmth: at
 * once, or if it has changed by enough since somebody last did.  In a
 * transaction, not under an LWLock; queues nothing, and needs no xid, so that it
 * can be called on a standby.
 */
extern void TellWarmth(const ItemRelation *relation);
extern void TellWarmthIfChanged(const ItemRelation *relation);

#endif							/* ITEMCACHE_WARMTH_H */
