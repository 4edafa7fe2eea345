/*-------------------------------------------------------------------------
 *
 * descent.c
 *	  Searching a unique b-tree for the place of a key, without a scan.
 *
 * A scan is made for ranges: it takes its conditions apart, gathers what a page
 * has for them, and remembers where it was.  That is a third of the time that a
 * search for one key takes.  Here is what an INSERT does to see whether a key is
 * there: to descend to the leaf page, by nbtree's own functions, and to look.  What
 * the page does not tell at a glance is left to a scan.
 *
 * README argues it, under "Descents".
 *
 * May call: nothing of ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/nbtree.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "lookup/descent.h"
#include "pgstat.h"
#include "utils/rel.h"

static DescentResult LookAtLeaf(Relation index, Descent descent, Buffer leaf,
								ItemPointer tid);

Descent
MakeDescent(Relation index, int nkeys)
{
	Descent		descent;

	if (index->rd_rel->relam != BTREE_AM_OID ||
		!index->rd_index->indisunique ||
		IndexRelationGetNumberOfKeyAttributes(index) != nkeys)
		return NULL;

	/* without a tuple, this takes all keys for NULL, and asks for none of them */
	descent = _bt_mkscankey(index, NULL);
	descent->keysz = nkeys;
	descent->anynullkeys = false;
	for (int i = 0; i < nkeys; i++)
		descent->scankeys[i].sk_flags &= ~SK_ISNULL;
	return descent;
}

DescentResult
Descend(Descent descent, Relation index, Relation rel, const Datum *key,
		Snapshot snapshot, ItemPointer tid)
{
	DescentResult result = DESCENT_ABSENT;
	Buffer		leaf;

	Assert(IsMVCCSnapshot(snapshot) && !IsolationIsSerializable());

	/* the index can have been built anew */
	_bt_metaversion(index, &descent->heapkeyspace, &descent->allequalimage);
	for (int i = 0; i < descent->keysz; i++)
		descent->scankeys[i].sk_argument = key[i];

	SearchLeaf(index, rel, descent, snapshot, &leaf);
	if (BufferIsValid(leaf))
	{
		result = LookAtLeaf(index, descent, leaf, tid);
		_bt_relbuf(index, leaf);
	}

	/* as a scan counts; the scan that is left the rest does so itself */
	if (result != DESCENT_UNDECIDED)
		pgstat_count_index_scan(index);
	if (result == DESCENT_FOUND)
		pgstat_count_index_tuples(index, 1);
	return result;
}

/*
 * On the first page that the key could be on.  At its end there may be more on the
 * next.
 *
 * The page's search stops at the first entry that is not less than the key, and
 * knows of one that is greater (or of the page's end).  That is the same one if none
 * is equal.
 */
static DescentResult
LookAtLeaf(Relation index, Descent descent, Buffer leaf, ItemPointer tid)
{
	Page		page = BufferGetPage(leaf);
	BTInsertStateData search = {
		.itup_key = descent,
		.buf = leaf
	};
	OffsetNumber first = _bt_binsrch_insert(index, &search);
	ItemId		lp;
	IndexTuple	entry;

	/* a page without entries */
	if (!search.bounds_valid)
		return DESCENT_UNDECIDED;
	if (search.stricthigh == first)
		return first <= PageGetMaxOffsetNumber(page) ||
			P_RIGHTMOST(BTPageGetOpaque(page)) ?
			DESCENT_ABSENT : DESCENT_UNDECIDED;

	lp = PageGetItemId(page, first);
	entry = (IndexTuple) PageGetItem(page, lp);
	if (ItemIdIsDead(lp) || BTreeTupleIsPosting(entry))
		return DESCENT_UNDECIDED;
	*tid = entry->t_tid;
	return DESCENT_FOUND;
}
