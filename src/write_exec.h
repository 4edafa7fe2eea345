/*-------------------------------------------------------------------------
 *
 * write_exec.h
 *	  Executing the statements of put(), put_many() and delete().
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WRITE_EXEC_H
#define ITEMCACHE_WRITE_EXEC_H

#include "relation.h"

/*
 * All are for a relation that the caller has locked, and raise what the
 * statement would.
 *
 * Put one row: the values of all columns, as heap_deform_tuple() gives them;
 * a GENERATED ALWAYS identity that is NULL is computed.
 */
extern void ExecutePut(ItemRelation *relation, const Datum *values,
					   const bool *isnull);

/*
 * Put an array of rows, in the order of their keys: those that have a GENERATED
 * ALWAYS identity, if the relation does, or those whose is to be computed.
 * Returns the number of rows inserted or updated.
 */
extern uint64 ExecutePutMany(ItemRelation *relation, Datum rows,
							 bool new_identity);

/* Delete the row that has a key; returns the number of rows. */
extern uint64 ExecuteDelete(ItemRelation *relation, Datum *key);

#endif							/* ITEMCACHE_WRITE_EXEC_H */
