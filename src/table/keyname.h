/*-------------------------------------------------------------------------
 *
 * keyname.h
 *	  From the columns that a caller names to the unique index of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_KEYNAME_H
#define ITEMCACHE_KEYNAME_H

#include "table/uniquekey.h"

/*
 * The unique index that "columns" names, of a relation that is described and
 * locked: a column, "{tenant,slug}", with an expression where the index has one,
 * and " WHERE " and the predicate of a partial one; expressions and predicates
 * as pg_get_indexdef() writes them.  NULL is returned for the primary key.
 * *lasting says whether "columns" means the same whatever the search_path is.
 *
 * Raises ERRCODE_INVALID_COLUMN_REFERENCE, with a hint of what there is, if the
 * relation has no such index by which rows can be looked up.
 */
extern UniqueKey *FindNamedKey(ItemRelation *relation, const char *columns,
							   bool *lasting);

/*
 * Which indexes are meant by "aliases", the option of attach(): "all", or an array
 * of names as above.  Returned is a list of UniqueKeys; names that mean none are
 * appended to *missing.  Names mean the same whatever the search_path is, as
 * FixedAliases() makes them, which raises an error if one means no index by which
 * aliases can be loaded.
 *
 * These are those of which no expression or predicate calls a function of the
 * user's, as they are evaluated by who loads the table.
 */
extern List *NamedAliases(ItemRelation *relation, const char *aliases,
						  List **missing);
extern char *FixedAliases(ItemRelation *relation, const char *aliases);

/* What an index is called by, that has a key of "shape" and may be partial. */
extern char *KeyName(const ItemShape *shape, Oid index, bool partial);

#endif							/* ITEMCACHE_KEYNAME_H */
