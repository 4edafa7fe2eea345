/*-------------------------------------------------------------------------
 *
 * alias.c
 *	  From a value of a unique index to the row that probably has it.
 *
 * An alias is a hint, which nobody keeps right: who follows it compares what is
 * there.  Why that is exact is in README, under "Aliases".
 *
 * May call: visibility, uniquekey, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "lookup/alias.h"
#include "testpoint.h"

void
BeginAliasAccess(ItemAccess *access, ItemRelation *relation,
				 UniqueKey *unique, Snapshot snapshot)
{
	BeginItemAccess(access, relation, &unique->index, snapshot);
	access->alias = unique;
	access->key = unique->shape;
	access->seed = unique->seed;
	access->absences = unique->by_columns;
	access->unique = access->unique && unique->eligible;
	access->serve = access->serve && unique->eligible;
}

bool
FindAlias(uint64 epoch, uint64 hash, StoreHint hint, uint64 *row)
{
	return StoreFindAlias(hash, epoch, hint, row);
}

void
PutAlias(const ItemAccess *access, uint64 hash, uint64 row, bool if_room)
{
	uint64		known;

	TestPoint("alias_row_read");
	/* to look is cheaper than to lock */
	if (FindAlias(access->epoch, hash, NULL, &known) && known == row)
		return;
	(void) StorePutAlias(hash, access->epoch, row, if_room);
}

/*
 * In two rounds, of which the second begins when the first has not ended yet:
 * the aliases come in about the order in which they were asked for.
 */
void
PrefetchAliases(uint64 epoch, int nhashes, const uint64 *hashes, Size nbytes,
				uint64 *rows, StoreHint *hints)
{
	uint64		found[STORE_PREFETCH_MAX];
	StoreHint	found_hints[STORE_PREFETCH_MAX];
	int			nfound = 0;

	StorePrefetch(nhashes, hashes, 0, hints);
	for (int i = 0; i < nhashes; i++)
	{
		if (FindAlias(epoch, hashes[i], hints[i], &rows[i]))
			found[nfound++] = rows[i];
		else
			rows[i] = NO_ROW;
	}
	PrefetchItems(nfound, found, nbytes, found_hints);
	for (int i = nhashes - 1; i >= 0; i--)
	{
		if (rows[i] != NO_ROW)
			hints[i] = found_hints[--nfound];
	}
}
