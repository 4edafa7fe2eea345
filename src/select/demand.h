/*-------------------------------------------------------------------------
 *
 * demand.h
 *	  How many more of a node's rows are certain to be asked for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_SELECT_DEMAND_H
#define ITEMCACHE_SELECT_DEMAND_H

#include "nodes/execnodes.h"

/* What is asked of one node; NULL: all that it has, or not known. */
typedef struct RowDemand RowDemand;

#define ALL_ROWS	PG_INT64_MAX

/* Install the executor's hooks. */
extern void DemandInit(void);

/*
 * To be called by a node that begins and will ask RowsDemanded(): *demand is set
 * when the whole plan has begun.  Below, *to_read is what it still has to read
 * of its outer plan to have as many rows as it knows to be demanded of it.
 */
extern void WantDemand(PlanState *ps, const RowDemand **demand,
					   const int *to_read);

/*
 * At the time when a node is asked for a row: how many, that one included, are
 * certain to be.  At least 1; ALL_ROWS if there is no bound to be known.
 */
extern int64 RowsDemanded(const RowDemand *demand);

#endif							/* ITEMCACHE_SELECT_DEMAND_H */
