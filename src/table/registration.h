/*-------------------------------------------------------------------------
 *
 * registration.h
 *	  The trigger that is a table's registration: its form, its options, and
 *	  which tables have it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_REGISTRATION_H
#define ITEMCACHE_REGISTRATION_H

#include "utils/rel.h"
#include "utils/reltrigger.h"

/*
 * The names of our triggers on plain and on partitioned tables; two, so that a
 * table attached by itself can become a partition of an attached one.
 */
#define ITEMCACHE_TRIGGER	"itemcache"
#define ITEMCACHE_PARTITIONED_TRIGGER "itemcache_partitioned"

/* The C symbol of the trigger function, by which a trigger is known as ours. */
#define ITEMCACHE_TRIGGER_SYMBOL "itemcache_track"

/* What attach() was told, kept in the trigger's arguments. */
typedef struct TriggerOptions
{
	bool		preload;
	bool		cache_new;
	const char *aliases;		/* see keyname.h; NULL: none */
} TriggerOptions;

/*
 * Our triggers on a relation, copies in the current memory context.  A table
 * has two if it was attached by itself and became a partition of an attached
 * one.  The other function returns one, one that works if there is any; or
 * NULL.
 */
extern List *ItemCacheTriggers(Relation rel);
extern Trigger *FindItemCacheTrigger(Relation rel);

/*
 * Is a trigger of the form attach() makes, so that no row change escapes it?
 * Has a relation one?  Neither asks what function it calls, nor looks it up.
 */
extern bool TriggerHasOurForm(const Trigger *trigger);
extern bool HasTriggerOfOurForm(Relation rel);

/* Is a function our trigger function?  Looks into the catalogs. */
extern bool IsTriggerFunction(Oid funcid);

/* The options of a trigger of ours, with a string of the trigger's. */
extern void ReadTriggerOptions(const Trigger *trigger, TriggerOptions *options);

/*
 * OIDs, in ascending order, of the relations of this database that carry our
 * trigger in whatever form: plain tables, partitioned tables and their
 * partitions.  Nothing is locked.
 */
extern List *AttachedRelations(void);

#endif							/* ITEMCACHE_REGISTRATION_H */
