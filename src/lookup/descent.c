/*-------------------------------------------------------------------------
 *
 * descent.c
 *	  Searching a unique b-tree for the place of a key, without a scan.
 *
 * A scan is made for ranges: it takes its conditions apart, gathers what a page
 * has for them, and remembers where it was.  That is a third of the time that a
 * search for one key takes.  Here is what an INSERT does to see whether a key is
 * there: to descend to the leaf page, and to look.  What the page does not tell at a
 * glance is left to a scan.
 *
 * README argues it, under "Descents".
 *
 * May call: recent, testpoint.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/nbtree.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "lookup/descent.h"
#include "lookup/recent.h"
#include "pgstat.h"
#include "testpoint.h"
#include "utils/rel.h"

static DescentResult SearchFrom(Relation index, Descent descent, Buffer buffer,
								ItemPointer tid);
static OffsetNumber FindEntry(Relation index, Descent descent, Page page,
							  bool *equal);
static DescentResult LookAtEntry(Page page, OffsetNumber offset, bool equal,
								 ItemPointer tid);
static Buffer ReadRoot(Relation index);
static Buffer ReadIndexPage(Relation index, BlockNumber block);

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
	Buffer		buffer;

	Assert(IsMVCCSnapshot(snapshot) && !IsolationIsSerializable());

	/* the index can have been built anew */
	_bt_metaversion(index, &descent->heapkeyspace, &descent->allequalimage);
	for (int i = 0; i < descent->keysz; i++)
		descent->scankeys[i].sk_argument = key[i];

	buffer = ReadRoot(index);
	if (!BufferIsValid(buffer))
		SearchLeaf(index, rel, descent, snapshot, &buffer);
	if (BufferIsValid(buffer))
		result = SearchFrom(index, descent, buffer, tid);

	/* as a scan counts; the scan that is left the rest does so itself */
	if (result != DESCENT_UNDECIDED)
		pgstat_count_index_scan(index);
	if (result == DESCENT_FOUND)
		pgstat_count_index_tuples(index, 1);
	return result;
}

/*
 * As _bt_search() goes, from a page that is locked; of which nothing is left.
 *
 * A key that is not beyond all entries of a page is not beyond the page, so that
 * only one that is has to be compared with the page's end.
 */
static DescentResult
SearchFrom(Relation index, Descent descent, Buffer buffer, ItemPointer tid)
{
	for (;;)
	{
		Page		page = BufferGetPage(buffer);
		BTPageOpaque opaque = BTPageGetOpaque(page);
		OffsetNumber offset = InvalidOffsetNumber;
		bool		beyond = P_IGNORE(opaque);
		bool		equal;
		BlockNumber next;

		if (!beyond)
		{
			offset = FindEntry(index, descent, page, &equal);
			beyond = offset > PageGetMaxOffsetNumber(page) &&
				!P_RIGHTMOST(opaque) &&
				_bt_compare(index, descent, page, P_HIKEY) > 0;
		}
		if (beyond)
		{
			if (P_RIGHTMOST(opaque))
				elog(ERROR, "fell off the end of index \"%s\"",
					 RelationGetRelationName(index));
			next = opaque->btpo_next;
		}
		else if (P_ISLEAF(opaque))
		{
			DescentResult result = LookAtEntry(page, offset, equal, tid);

			_bt_relbuf(index, buffer);
			return result;
		}
		else
		{
			ItemId		lp = PageGetItemId(page, OffsetNumberPrev(offset));

			next = BTreeTupleGetDownLink((IndexTuple) PageGetItem(page, lp));
		}
		_bt_relbuf(index, buffer);
		TestPoint("descent_below");
		buffer = ReadIndexPage(index, next);
	}
}

/*
 * _bt_binsrch(): the first entry of a page that is not less than the key, or one after
 * the last.  Above the leaves the first one counts as less than any key.
 */
static OffsetNumber
FindEntry(Relation index, Descent descent, Page page, bool *equal)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber low = P_FIRSTDATAKEY(opaque);
	OffsetNumber high = OffsetNumberNext(PageGetMaxOffsetNumber(page));

	*equal = false;
	if (!P_ISLEAF(opaque))
		low = OffsetNumberNext(low);
	while (low < high)
	{
		OffsetNumber mid = low + (high - low) / 2;
		int32		result = _bt_compare(index, descent, page, mid);

		if (result > 0)
			low = OffsetNumberNext(mid);
		else
		{
			high = mid;
			*equal = result == 0;
		}
	}
	return low;
}

/*
 * That is on the first page that the key could be on.  At its end there may be more on
 * the next.
 */
static DescentResult
LookAtEntry(Page page, OffsetNumber offset, bool equal, ItemPointer tid)
{
	ItemId		lp;
	IndexTuple	entry;

	if (!equal)
		return offset <= PageGetMaxOffsetNumber(page) ||
			P_RIGHTMOST(BTPageGetOpaque(page)) ?
			DESCENT_ABSENT : DESCENT_UNDECIDED;

	lp = PageGetItemId(page, offset);
	entry = (IndexTuple) PageGetItem(page, lp);
	if (ItemIdIsDead(lp) || BTreeTupleIsPosting(entry))
		return DESCENT_UNDECIDED;
	*tid = entry->t_tid;
	return DESCENT_FOUND;
}

/* _bt_getroot(), as far as it needs no metapage. */
static Buffer
ReadRoot(Relation index)
{
	const BTMetaPageData *meta = index->rd_amcache;
	uint32		level;
	Buffer		buffer;
	BTPageOpaque opaque;

	if (meta == NULL)
		return InvalidBuffer;
	level = meta->btm_fastlevel;
	buffer = ReadIndexPage(index, meta->btm_fastroot);
	opaque = BTPageGetOpaque(BufferGetPage(buffer));
	if (!P_IGNORE(opaque) && opaque->btpo_level == level &&
		P_LEFTMOST(opaque) && P_RIGHTMOST(opaque))
		return buffer;
	_bt_relbuf(index, buffer);
	return InvalidBuffer;
}

/* _bt_getbuf(), for reading. */
static Buffer
ReadIndexPage(Relation index, BlockNumber block)
{
	Buffer		buffer = RecentBuffer(index, block);

	if (BufferIsValid(buffer) && PinRecentBuffer(index, block, buffer))
	{
		_bt_lockbuf(index, buffer, BT_READ);
		_bt_checkpage(index, buffer);
		return buffer;
	}
	buffer = _bt_getbuf(index, block, BT_READ);
	RememberBuffer(index, block, buffer);
	return buffer;
}
