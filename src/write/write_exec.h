/*-------------------------------------------------------------------------
 *
 * write_exec.h
 *	  Executing the statements of put(), put_many() and delete().
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WRITE_EXEC_H
#define ITEMCACHE_WRITE_EXEC_H

#include "access/htup.h"
#include "table/relation.h"

/*
 * Both are for a relation that the caller has locked, and raise what the
 * statement would.
 *
 * Put rows, by one statement and in the order given: composite datums that
 * have the relation's row type as it is now.  All have a GENERATED ALWAYS
 * identity, if the relation does, or with "new_identity" all have it computed.
 * Returns the number of rows inserted or updated.
 */
extern uint64 ExecutePut(ItemRelation *relation, const HeapTupleHeader *items,
						 int nitems, bool new_identity);

/* Delete the row that has a key; returns the number of rows. */
extern uint64 ExecuteDelete(ItemRelation *relation, Datum *key);

#endif							/* ITEMCACHE_WRITE_EXEC_H */
