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
	uint64		purpose;		/* what it is an index of; never 0 */
	uint64		seed[KEY_SEED_WORDS];	/* of the hashes of its values */
	ItemShape  *shape;			/* the relation's, with this key */
	List	   *expressions;	/* of the key, in its order */
	Node	   *predicate;		/* NULL: of all rows */
	Oid			acl_user;		/* who was last found allowed to look up by it, */
	uint64		acl_generation; /* and when; see privilege.c */
} UniqueKey;

/*
 * What is known of index "index" of the relation, as the relation's description
 * is; NULL if it does not exist, is not unique, or of a kind that cannot be
 * looked up by.
 * It need not be eligible (any more).
 */
extern UniqueKey *FindUniqueKey(ItemRelation *relation, Oid index);

/* The shape with a key's columns, and the seed of its hashes; NULL: the primary key. */
static inline const ItemShape *
ShapeOfKey(const ItemRelation *relation, const UniqueKey *unique)
{
	return unique != NULL ? unique->shape : relation->shape;
}

static inline const uint64 *
SeedOfKey(const ItemRelation *relation, const UniqueKey *unique)
{
	return unique != NULL ? unique->seed : relation->seed;
}

/*
 * Look at a unique key again after something was run that may have altered the
 * relation, which has been looked at: values that were made for the key are good
 * for what is returned.  Raises ERRCODE_OBJECT_IN_USE if they are not.
 */
extern UniqueKey *RequireUniqueKey(ItemRelation *relation,
								   const UniqueKey *unique);

/*
 * What is known of the relation's indexes but the primary key's: a list by "next",
 * of which those are meant whose "described" is the relation's.  The caller has
 * the relation locked.
 */
extern UniqueKey *UniqueKeysOf(ItemRelation *relation);

#endif							/* ITEMCACHE_UNIQUEKEY_H */
