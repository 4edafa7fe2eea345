/*-------------------------------------------------------------------------
 *
 * write_plan.h
 *	  The statements of put(), put_many() and delete(): made and kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_WRITE_PLAN_H
#define ITEMCACHE_WRITE_PLAN_H

#include "executor/spi.h"
#include "nodes/plannodes.h"
#include "table/relation.h"

/* The statements that are kept for a relation. */
typedef enum WriteKind
{
	WRITE_PUT,					/* upsert; identity given, if any */
	WRITE_PUT_NEW_IDENTITY,		/* identity to be computed */
	WRITE_DELETE,
	WRITE_KINDS
} WriteKind;

typedef struct WritePlan
{
	SPIPlanPtr	saved;
	/* the rest is write_exec.c's: how a put is executed */
	int			generation;		/* of the cached plan this was made from; */
	PlannedStmt *stmt;			/* in its memory */
} WritePlan;

/* Install the callbacks that plans depend on. */
extern void WritePlansInit(void);

/*
 * The plan of a statement for a relation that the caller has locked.  It stays
 * where it is to the end of the transaction at least.
 *
 * The parameters are, of a put, the columns for which ColumnIsWritten(), in
 * their order; of a delete the key.
 */
extern WritePlan *GetWritePlan(ItemRelation *relation, WriteKind kind);

/*
 * Is column "i" in the list of the INSERT, where the identity is given or, with
 * "new_identity", computed?
 */
extern bool ColumnIsWritten(const ItemShape *shape, int i, bool new_identity);

/* Is column "i" set by the UPDATE? */
extern bool ColumnIsSet(const ItemShape *shape, int i);

/* Free, at the end of a transaction, plans that were replaced in it. */
extern void FreeReplacedPlans(void);

#endif							/* ITEMCACHE_WRITE_PLAN_H */
