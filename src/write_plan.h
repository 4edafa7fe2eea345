/*-------------------------------------------------------------------------
 *
 * write_plan.h
 *	  The statements of put(), put_many() and delete(): made, kept, executed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WRITE_PLAN_H
#define ITEMCACHE_WRITE_PLAN_H

#include "relation.h"

/* The statements that are kept for a relation. */
typedef enum WriteKind
{
	WRITE_PUT,					/* upsert of one row; identity given, if any */
	WRITE_PUT_NEW_IDENTITY,		/* identity to be computed */
	WRITE_PUT_MANY,
	WRITE_PUT_MANY_NEW_IDENTITY,
	WRITE_DELETE,
	WRITE_KINDS
} WriteKind;

/* Install the callbacks that plans depend on. */
extern void WritePlansInit(void);

/*
 * Execute a statement for a relation that the caller has locked; returns the
 * number of rows inserted, updated or deleted.  Of put() the values are those
 * of the columns that are written, in their order; of put_many() one array of
 * rows, in the order of their keys; of delete() the key.
 */
extern uint64 ExecutePut(ItemRelation *relation, WriteKind kind,
						 const Datum *values, const bool *isnull);
extern uint64 ExecuteDelete(ItemRelation *relation, Datum *key);

/*
 * Is column "i" in the list of the INSERT, where the identity is given or, with
 * "new_identity", computed?
 */
extern bool ColumnIsWritten(const ItemShape *shape, int i, bool new_identity);

/* Index of the GENERATED ALWAYS AS IDENTITY column, or -1. */
extern int	AlwaysIdentity(const ItemShape *shape);

/* Free, at the end of a transaction, plans that were replaced in it. */
extern void FreeReplacedPlans(void);

#endif							/* ITEMCACHE_WRITE_PLAN_H */
