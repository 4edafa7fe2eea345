/*-------------------------------------------------------------------------
 *
 * keytest.c
 *	  Has a row the key it was looked up by, and is it in the index?
 *
 * The key first, and then the predicate, whose clauses are for rows that have the
 * key.  None of it raises an error that a scan of the index would not (README,
 * "Aliases").
 *
 * May call: uniquekey.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/table.h"
#include "executor/executor.h"
#include "lookup/keytest.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

FmgrInfo *
KeyEquality(const ItemShape *shape, MemoryContext context)
{
	FmgrInfo   *equals = MemoryContextAlloc(context,
											shape->nkeys * sizeof(FmgrInfo));

	for (int i = 0; i < shape->nkeys; i++)
		fmgr_info_cxt(get_opcode(shape->keys[i].eqop), &equals[i], context);
	return equals;
}

bool
RowHasKeyOf(const KeyTest *test, const ItemShape *shape, ExprContext *econtext,
			const Datum *values, const bool *isnull, const Datum *key)
{
	ListCell   *expression = list_head(test->expressions);

	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];
		Datum		value;
		bool		null;

		if (column->attno != InvalidAttrNumber)
		{
			value = values[column->attno - 1];
			null = isnull[column->attno - 1];
		}
		else
		{
			value = ExecEvalExprSwitchContext(lfirst(expression), econtext,
											  &null);
			expression = lnext(test->expressions, expression);
		}
		if (null || !DatumGetBool(FunctionCall2Coll(&test->equals[i],
													column->collation,
													value, key[i])))
			return false;
	}
	return test->implying == NULL || ExecQual(test->implying, econtext);
}

void
OpenImageTest(ImageTest *test, const ItemRelation *relation,
			  const UniqueKey *unique)
{
	List	   *predicate;

	test->rel = table_open(relation->relid, NoLock);
	test->index = index_open(unique->index.oid, AccessShareLock);
	test->shape = unique->shape;
	test->econtext = CreateStandaloneExprContext();
	test->slot = MakeSingleTupleTableSlot(RelationGetDescr(test->rel),
										  &TTSOpsHeapTuple);
	test->econtext->ecxt_scantuple = test->slot;
	predicate = RelationGetIndexPredicate(test->index);
	test->test.expressions =
		ExecInitExprList(RelationGetIndexExpressions(test->index), NULL);
	test->test.implying = ExecInitQual(predicate, NULL);
	test->test.equals = KeyEquality(test->shape, CurrentMemoryContext);
}

bool
ImagePassesTest(ImageTest *test, HeapTupleHeader image, const Datum *key)
{
	TupleTableSlot *slot = test->slot;
	HeapTupleData tuple;
	bool		result;

	tuple.t_len = HeapTupleHeaderGetDatumLength(image);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = RelationGetRelid(test->rel);
	tuple.t_data = image;
	ExecStoreHeapTuple(&tuple, slot, false);
	slot_getallattrs(slot);
	result = RowHasKeyOf(&test->test, test->shape, test->econtext,
						 slot->tts_values, slot->tts_isnull, key);
	ExecClearTuple(slot);
	ResetExprContext(test->econtext);
	return result;
}

void
CloseImageTest(ImageTest *test)
{
	ExecDropSingleTupleTableSlot(test->slot);
	FreeExprContext(test->econtext, true);
	index_close(test->index, NoLock);
	table_close(test->rel, NoLock);
}
