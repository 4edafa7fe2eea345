/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  What an index of a plain table is searched with, to read items.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_READER_H
#define ITEMCACHE_READER_H

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "lookup/descent.h"
#include "lookup/visibility.h"

typedef struct ItemReader
{
	MemoryContext context;		/* of all this; below the user's while open */
	Relation	rel;
	Relation	index;
	TupleTableSlot *slot;		/* the row found, pinned on its page; NULL: none was
								 * yet */
	TupleTableSlot *other;		/* another of the same key; NULL: not needed yet */
	bool		any;			/* has the index any entry of the key? */
	IndexScanDesc scan;
	/* private */
	Descent		descent;		/* or NULL */
	bool		searching;		/* has the scan been used? */
	int			on_disk;		/* rows, next, that are not looked for ahead */
	/* private: what it was made for */
	Oid			indexid;
	uint64		row_shape;
	uint64		key_shape;
	TupleDesc	tupdesc;		/* the row shape's */
	const void *am;				/* of the table */
	bool		lasting;		/* may it be used again? */
	uint64		locked;			/* CurrentLockGeneration() when it was used last */
	ScanKeyData keys[FLEXIBLE_ARRAY_MEMBER];
} ItemReader;

/*
 * A reader of access->index, for which IsReadByIndex() has been asked, with
 * access->snapshot.  Its memory is the current context's, so that if it is not
 * closed, because of an error, nothing is left of it; what it has pinned and
 * opened is the current resource owner's.
 *
 * The index is locked until the end of the transaction.
 */
extern ItemReader *OpenItemReader(const ItemAccess *access);
extern void CloseItemReader(ItemReader *reader);

/*
 * Raise the planner's error if the relation is unlogged and this is a standby,
 * which does not have its rows.
 */
extern void RefuseUnloggedInRecovery(Relation rel);

/*
 * Search the index for a key that has one row at most: with MayReadByPlace().  If
 * that does not say where it is, or the snapshot sees no row there, it is to be
 * searched as below.
 */
extern DescentResult FindPlace(ItemReader *reader, const Datum *key,
								   ItemPointer tid);

/* Search the index for a key.  Then, one after the other: the places it has. */
extern void BeginSearch(ItemReader *reader, const Datum *key);
extern ItemPointer NextPlace(ItemReader *reader);

/* Make sure that there is a slot; and what the scan fetches rows with. */
extern void NeedSlot(const ItemReader *reader, TupleTableSlot **slot);
extern void NeedFetch(ItemReader *reader);

#endif							/* ITEMCACHE_READER_H */
