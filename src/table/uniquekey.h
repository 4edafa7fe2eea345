/*-------------------------------------------------------------------------
 *
 * uniquekey.h
 *	  Unique indexes by which rows can be looked up besides the primary key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_UNIQUEKEY_H
#define ITEMCACHE_UNIQUEKEY_H

#include "table/relation.h"

/*
 * What is known of one.  Lives as long as the relation's shape; its fields may
 * change whenever invalidations are accepted.
 */
typedef struct UniqueKey
{
	struct UniqueKey *next;
	ItemIndex	index;
	uint64		described;		/* relation->described when it was looked at */
	bool		eligible;		/* are rows looked up by it in the cache? */
	bool		by_columns;		/* shape->by_image, and of all rows */
	bool		has_absences;	/* that, and it may be or become eligible */
	bool		partial;
	uint64		seed[KEY_SEED_WORDS];	/* of the hashes of its values */
	ItemShape  *shape;			/* the relation's, with this key */
} UniqueKey;

/*
 * What is known of index "index" of the relation, as the relation's description
 * is; NULL if it does not exist, is not unique, or of a kind that cannot be
 * looked up by.
 * It need not be eligible (any more).
 */
extern UniqueKey *FindUniqueKey(ItemRelation *relation, Oid index);

/*
 * What is known of the relation's indexes but the primary key's: a list by "next",
 * of which those are meant whose "described" is the relation's.  The caller has
 * the relation locked.
 */
extern UniqueKey *UniqueKeysOf(ItemRelation *relation);

#endif							/* ITEMCACHE_UNIQUEKEY_H */
