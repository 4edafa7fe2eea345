/*-------------------------------------------------------------------------
 *
 * keytest.h
 *	  Has a row the key it was looked up by, and is it in the index?
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_KEYTEST_H
#define ITEMCACHE_KEYTEST_H

#include "nodes/execnodes.h"
#include "table/uniquekey.h"

/*
 * For keys of which not just the bytes are compared.  What is called is called by
 * FmgrInfos of the test's own, as it may be the user's, and look up again.
 */
typedef struct KeyTest
{
	List	   *expressions;	/* ExprStates: columns of the key that are none of
								 * the table, in its order */
	ExprState  *implying;		/* is the row in the index?  NULL: all are */
	FmgrInfo   *equals;			/* the key's own equality, by column */
} KeyTest;

/* Look up the functions that compare keys of a shape. */
extern FmgrInfo *KeyEquality(const ItemShape *shape, MemoryContext context);

/*
 * Has the row with these columns the key?  Expressions find it in "econtext", and
 * leave what they allocate there.
 */
extern bool RowHasKeyOf(const KeyTest *test, const ItemShape *shape,
						ExprContext *econtext, const Datum *values,
						const bool *isnull, const Datum *key);

/*
 * The same for images of rows, where there is no node of the executor.  Table and
 * index are open in the meantime, so that this session cannot alter them.
 */
typedef struct ImageTest
{
	Relation	rel;
	Relation	index;
	const ItemShape *shape;
	KeyTest		test;
	ExprContext *econtext;
	TupleTableSlot *slot;
} ImageTest;

extern void OpenImageTest(ImageTest *test, const ItemRelation *relation,
						  const UniqueKey *unique);
extern bool ImagePassesTest(ImageTest *test, HeapTupleHeader image,
							const Datum *key);
extern void CloseImageTest(ImageTest *test);

#endif							/* ITEMCACHE_KEYTEST_H */
