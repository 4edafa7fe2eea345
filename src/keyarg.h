/*-------------------------------------------------------------------------
 *
 * keyarg.h
 *	  From the key a caller gives (a bigint, a text, a uuid, a record) to
 *	  values of a relation's key columns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_KEYARG_H
#define ITEMCACHE_KEYARG_H

#include "relation.h"

typedef struct KeyConverter KeyConverter;

/*
 * A converter of arguments of type "argtype" to keys of relations, allocated
 * in "context" for as long as the caller likes (a function's fn_extra).
 */
extern KeyConverter *MakeKeyConverter(Oid argtype, MemoryContext context);

/*
 * Convert one argument, not NULL.  key[] is filled with values of the key
 * columns' types, in the current memory context.  False if the key cannot
 * exist: a column of it is NULL, or out of its type's range.
 *
 * Raises ERRCODE_DATATYPE_MISMATCH if the argument's type or number of
 * columns is not the key's, and what the types' input functions raise.
 */
extern bool ConvertKey(KeyConverter *converter, const ItemRelation *relation,
					   Datum arg, Datum *key);

#endif							/* ITEMCACHE_KEYARG_H */
