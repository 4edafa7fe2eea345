/*-------------------------------------------------------------------------
 *
 * uniquekey.c
 *	  Unique indexes by which rows can be looked up besides the primary key.
 *
 * An index is described when somebody asks for it, and again when the
 * relation's description has been made anew since: what changes an index sends
 * a message for its table.  What may be asked of which index is in README,
 * under "Aliases".
 *
 * A description is in the memory context of its shape, which is below that of
 * the relation's own shape, so it goes with either.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "table/uniquekey.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static UniqueKey **FindPlace(ItemRelation *relation, Oid index);
static bool ReadIndex(const ItemRelation *relation, Oid index, IndexKey *key);
static List *IndexesOf(Oid relid);
static UniqueKey *MakeUniqueKey(ItemRelation *relation, IndexKey *key);
static void KeepExpressions(UniqueKey *unique, const IndexKey *key);
static uint64 PurposeOf(const ItemShape *shape, uint64 texts);

UniqueKey *
FindUniqueKey(ItemRelation *relation, Oid index)
{
	UniqueKey **place = FindPlace(relation, index);
	UniqueKey  *unique = *place;
	uint64		described = relation->described;
	MemoryContext context;
	MemoryContext oldcontext;
	IndexKey	key;

	if (unique != NULL && unique->described == described)
		return unique;

	context = AllocSetContextCreate(CurrentMemoryContext, "itemcache index",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	if (!ReadIndex(relation, index, &key))
		unique = NULL;
	else
	{
		/* what an index is made of never changes */
		if (unique == NULL)
			unique = MakeUniqueKey(relation, &key);
		if (unique != NULL)
		{
			key.index.usable = true;
			unique->index = key.index;
			unique->acl_user = InvalidOid;
			unique->eligible = key.unique && key.index.immediate &&
				key.index.valid;
			unique->has_absences = key.unique && key.index.immediate &&
				unique->by_columns;
			unique->described = described;
		}
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return unique;
}

/* Where an index is in the relation's list, or its end. */
static UniqueKey **
FindPlace(ItemRelation *relation, Oid index)
{
	UniqueKey **place = &relation->uniques;

	while (*place != NULL && (*place)->index.oid != index)
		place = &(*place)->next;
	return place;
}

static bool
ReadIndex(const ItemRelation *relation, Oid index, IndexKey *key)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	result = form->indrelid == relation->relid && form->indisunique;
	if (result)
		DescribeIndex(tuple, key);
	ReleaseSysCache(tuple);
	return result;
}

/* Describe an index, and add it to the relation's list. */
static UniqueKey *
MakeUniqueKey(ItemRelation *relation, IndexKey *key)
{
	ItemShape  *shape = MakeKeyShape(relation->shape, key);
	UniqueKey  *unique;

	if (!key->index.usable)
		return NULL;
	unique = MemoryContextAllocZero(shape->context, sizeof(UniqueKey));
	unique->index = key->index;
	unique->shape = shape;
	unique->purpose = PurposeOf(shape, key->texts);
	MakeKeySeed(relation->key, unique->purpose, unique->seed);
	unique->by_columns = shape->by_image && key->predicate == NULL;
	KeepExpressions(unique, key);
	*FindPlace(relation, key->index.oid) = unique;
	MemoryContextSetParent(shape->context, relation->shape->context);
	return unique;
}

/* Their functions looked up, as those of an index are that is opened. */
static void
KeepExpressions(UniqueKey *unique, const IndexKey *key)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(unique->shape->context);

	unique->expressions = copyObject(key->expressions);
	unique->predicate = copyObject(key->predicate);
	MemoryContextSwitchTo(oldcontext);
	fix_opfuncids((Node *) unique->expressions);
	fix_opfuncids(unique->predicate);
}

/*
 * By what it is an index of, and not by its OID, which REINDEX may change.  Not 0,
 * which is the primary key.
 */
static uint64
PurposeOf(const ItemShape *shape, uint64 texts)
{
	uint64		purpose = texts;

	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];
		Oid			parts[3] = {column->attno, column->opfamily,
			column->collation};

		purpose = hash_bytes_extended((const unsigned char *) parts,
									  sizeof(parts), purpose);
	}
	return purpose | 1;
}

UniqueKey *
RequireUniqueKey(ItemRelation *relation, const UniqueKey *unique)
{
	UniqueKey  *now = FindUniqueKey(relation, unique->index.oid);

	if (now == NULL || now->purpose != unique->purpose ||
		!ShapesAlike(now->shape, unique->shape))
		RefuseAltered(relation);
	return now;
}

UniqueKey *
UniqueKeysOf(ItemRelation *relation)
{
	uint64		described = relation->described;
	List	   *indexes;
	ListCell   *lc;

	if (relation->uniques_described == described)
		return relation->uniques;
	indexes = IndexesOf(relation->relid);
	foreach(lc, indexes)
	{
		if (lfirst_oid(lc) != relation->pk.oid)
			(void) FindUniqueKey(relation, lfirst_oid(lc));
	}
	list_free(indexes);
	relation->uniques_described = described;
	return relation->uniques;
}

/*
 * Those as well that are not live, and so not in RelationGetIndexList(): what DROP
 * INDEX CONCURRENTLY has left half done, REINDEX makes valid again.
 */
static List *
IndexesOf(Oid relid)
{
	List	   *indexes = NIL;
	Relation	rel = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		indexes = lappend_oid(indexes,
							  ((Form_pg_index) GETSTRUCT(tuple))->indexrelid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	list_sort(indexes, list_oid_cmp);
	return indexes;
}
