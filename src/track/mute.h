/*-------------------------------------------------------------------------
 *
 * mute.h
 *	  Row changes that need not be told any more are not told.  For the files
 *	  of track/.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_MUTE_H
#define ITEMCACHE_MUTE_H

#include "commands/trigger.h"
#include "nodes/execnodes.h"
#include "track/track.h"

/* Install the hook of utility statements. */
extern void MuteInit(void);

/*
 * A statement of the executor begins: whatever is queued from now on is told
 * of, whoever queues it.
 */
extern void EndMute(void);

/*
 * Do not have the executor ask the row condition of a target of a statement for
 * changes of which "interest" wants to know nothing, as far as no other trigger
 * has to be asked.  "IsCondition" tells ours.
 */
extern void MuteConditions(ResultRelInfo *rri, RowInterest interest,
						   bool (*IsCondition) (const ExprState *state));

/*
 * The same for the events that a COPY has queued, of which one has called our
 * trigger, with this.  Allocates.
 */
extern void MuteCopy(const TriggerData *trigdata, RowInterest interest);

#endif							/* ITEMCACHE_MUTE_H */
