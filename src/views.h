/*-------------------------------------------------------------------------
 *
 * views.h
 *	  Which tables are attached.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_VIEWS_H
#define ITEMCACHE_VIEWS_H

#include "nodes/pg_list.h"

/*
 * OIDs, in ascending order, of the relations of this database that carry our
 * trigger in whatever form: plain tables, partitioned tables and their
 * partitions.  Nothing is locked.
 */
extern List *AttachedRelations(void);

#endif							/* ITEMCACHE_VIEWS_H */
