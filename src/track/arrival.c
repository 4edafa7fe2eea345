/*-------------------------------------------------------------------------
 *
 * arrival.c
 *	  Keys that come: what the cache has of their absence goes.
 *
 * At once, and not when the transaction commits: from then on whoever looks into
 * the index finds the key there.  The order, and why that is enough, is in
 * README, under "Absent keys":
 *
 *		the row is in the table and its indexes		before this is called
 *		full barrier
 *		has the table absences?
 *		the key is removed, its counter moves		StoreRemove()
 *
 * May call: notes, uniquekey, item, owner, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "store/store.h"
#include "table/uniquekey.h"
#include "track/arrival.h"
#include "track/bounds.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

static bool HasAbsences(const ItemRelation *relation);
static void RemoveKey(const ItemRelation *relation, const ItemShape *shape,
					  const uint64 *seed, HeapTuple old, HeapTuple new);
static bool HashOf(const ItemShape *shape, const uint64 *seed,
				   HeapTuple tuple, uint64 *hash);

void
RemoveAbsences(ItemRelation *relation, TrackedRelation *tracked,
			   HeapTuple old, HeapTuple new)
{
	uint64		described;

	pg_memory_barrier();
	if (!HasAbsences(relation))
		return;
	if (tracked != NULL)
	{
		if (AbsencesAreVoid(tracked))
			return;
		if (++tracked->narrivals == MAX_ARRIVALS)
			return;
	}

	RemoveKey(relation, relation->shape, relation->seed, old, new);
	described = relation->described;
	for (UniqueKey *unique = UniqueKeysOf(relation); unique != NULL;
		 unique = unique->next)
	{
		if (unique->has_absences && unique->described == described)
			RemoveKey(relation, unique->shape, unique->seed, old, new);
	}
}

void
VoidAbsences(TrackedRelation *tracked)
{
	tracked->narrivals = MAX_ARRIVALS;
}

bool
AbsencesAreVoid(const TrackedRelation *tracked)
{
	return tracked->narrivals >= MAX_ARRIVALS;
}

/* Its row in pg_index is of a command that is still going on. */
void
ForgetAbsencesIfIndex(Oid relid)
{
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indexrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, IndexRelidIndexId, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		OwnerMoveAbsences(RelationOwnerKey(MyDatabaseId,
										   ((Form_pg_index) GETSTRUCT(tuple))->indrelid));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * No epoch is as good as one that is being moved: who moves it has seen to what
 * there was, and who fills under the new one will look into the index.
 */
static bool
HasAbsences(const ItemRelation *relation)
{
	int			number = relation->owner;

	if (number == OWNER_NONE || OwnerKey(number) != relation->key)
		number = OwnerFind(relation->key);
	return number != OWNER_NONE &&
		OwnerAbsenceEpoch(number, relation->key) != EPOCH_NONE;
}

/* A row that keeps the key has had it in the index all along. */
static void
RemoveKey(const ItemRelation *relation, const ItemShape *shape,
		  const uint64 *seed, HeapTuple old, HeapTuple new)
{
	uint64		oldhash;
	uint64		newhash;

	if (!HashOf(shape, seed, new, &newhash))
		return;
	if (old != NULL && HashOf(shape, seed, old, &oldhash) && oldhash == newhash)
		return;
	StoreRemove(relation->key, newhash);
}

/* False if the tuple has a NULL in the key, which nobody looks for. */
static bool
HashOf(const ItemShape *shape, const uint64 *seed, HeapTuple tuple,
	   uint64 *hash)
{
	Datum		key[INDEX_MAX_KEYS];

	if (!HasItemKey(shape, tuple))
		return false;
	ItemKey(shape, tuple, key);
	*hash = KeyHash(shape, seed, key);
	return true;
}
