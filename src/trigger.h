/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  How we learn of row changes: the trigger, and a short way for it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_TRIGGER_H
#define ITEMCACHE_TRIGGER_H

/* Install the executor's hook. */
extern void TriggerInit(void);

#endif							/* ITEMCACHE_TRIGGER_H */
