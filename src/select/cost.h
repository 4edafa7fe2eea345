/*-------------------------------------------------------------------------
 *
 * cost.h
 *	  What lookups cost, in the planner's units.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_SELECT_COST_H
#define ITEMCACHE_SELECT_COST_H

#include "nodes/pathnodes.h"

/*
 * The average cost of a scan that stands for "index", a path over a unique index
 * with an equality for each of its columns.  "values" are what these are
 * compared with, "cached" how many rows of the table can be found in the cache,
 * "by_alias" whether by an alias.
 */
extern Cost ScanLookupCost(PlannerInfo *root, const IndexPath *index,
						   List *values, uint64 cached, bool by_alias);

/*
 * The same for one of "lookups" such scans whose memory is asked for ahead, as
 * the lookup join does.
 */
extern Cost JoinLookupCost(PlannerInfo *root, const IndexPath *index,
						   List *values, uint64 cached, bool by_alias,
						   double lookups);

#endif							/* ITEMCACHE_SELECT_COST_H */
