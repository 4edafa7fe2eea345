/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  How we learn of row changes: the trigger, and the row condition and the check
 *	  in its place.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_TRIGGER_H
#define ITEMCACHE_TRIGGER_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

typedef struct RowCondition RowCondition;

/* Install the executor's hook. */
extern void TriggerInit(void);

/*
 * For who updates rows of a statement's target by himself: our row
 * condition, if the update of a row fires no other trigger; else NULL.
 */
extern RowCondition *OnlyRowCondition(const ResultRelInfo *rri);

/*
 * Go it: "new" has taken the place of "old"; either is NULL if there is no such
 * version.  The slots have their TIDs.
 */
extern void NoteVersions(RowCondition *condition, TupleTableSlot *old,
						 TupleTableSlot *new);

#endif							/* ITEMCACHE_TRIGGER_H */
