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

#include "table/uniquekey.h"

typedef struct KeyConverter KeyConverter;

/*
 * A converter of arguments of type "argtype" to keys of relations, allocated
 * in "context" for as long as the caller likes (a function's fn_extra).  One
 * that may call functions of the user's is better not kept longer than that.
 */
extern KeyConverter *MakeKeyConverter(Oid argtype, MemoryContext context);

/*
 * Convert one argument, not NULL, to the key of *unique, or of the relation's
 * primary key, if that is NULL.  key[] is filled with values of the key
 * columns' types, in the current memory context.  False if the key cannot
 * exist: a column of it is NULL, or made NULL by its cast, or out of its type's
 * range.
 *
 * May call functions of the user's, which may do anything; if so, the relation
 * has been looked at again afterwards, as by RefreshItemRelation(), and *unique
 * is what is known then.
 *
 * Raises ERRCODE_DATATYPE_MISMATCH if the argument's type or number of
 * columns is not the key's, ERRCODE_OBJECT_IN_USE if what the conversion ran
 * has altered the relation so that the key is none any more, and what casts
 * and input functions raise.
 */
extern bool ConvertKey(KeyConverter *converter, ItemRelation *relation,
					   UniqueKey **unique, Datum arg, Datum *key);

/*
 * The same for one column, for values that come one by one from expressions
 * that an operator of the key's family compares with it.
 */
typedef enum ConversionMethod
{
	CONVERT_NOTHING,			/* same type, or binary-coercible */
	CONVERT_INTEGER,			/* one integer type to another, with range */
	CONVERT_TEXT,				/* parse a text, or a cstring */
	CONVERT_CSTRING,
	CONVERT_CAST				/* call a cast function */
} ConversionMethod;

typedef struct ColumnConverter
{
	ConversionMethod method;
	Oid			argtype;
	Oid			keytype;		/* base type of the column */
	int32		keytypmod;
	FmgrInfo	function;		/* input function, or cast */
	Oid			typioparam;		/* of the input function */
	Oid			collation;		/* of a value that is cast */
} ColumnConverter;

/*
 * Can a value of "argtype" be compared with key column "i" by making it one of
 * the column's type, with no cast?  If so, the converter is set up.
 */
extern bool PrepareComparison(ColumnConverter *column,
							  const ItemShape *shape, int i, Oid argtype);

/*
 * Convert a value, not NULL; false if it is out of the column type's range, or a
 * cast makes it NULL.
 */
extern bool ConvertColumn(ColumnConverter *column, const ItemShape *shape,
						  int i, Datum arg, Datum *value);

#endif							/* ITEMCACHE_KEYARG_H */
