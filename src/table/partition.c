/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  From the key of a partitioned table to the leaf that has its row.
 *
 * The cache knows leaves only.  The way down uses PostgreSQL's own searches
 * over the partition descriptor that the active snapshot sees, so that what is
 * detached, attached or about to be is as it would be for a SELECT.  Each
 * partition on the way is locked; as the lock may have been waited for, and
 * taking it accepts invalidations, the way is gone again from the top until
 * it leads only through partitions that were locked before it began.
 *
 * A primary key has all partition columns among its own, so a key names the
 * leaf, provided that both compare alike; where they do not (another
 * collation), the caller reads the root by a query.
 *
 * The functions that hash or compare the key can be the user's (README, "User
 * code while we hold state").  The relcache entry's own FmgrInfos of these are
 * for one call at a time, and so not used then.
 *
 * May call: relation, item.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/tupconvert.h"
#include "catalog/pg_type.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "table/partition.h"
#include "utils/memutils.h"
#include "utils/partcache.h"

/* How a partition's rows and keys relate to a root's; one for each root. */
typedef struct LeafMap
{
	struct LeafMap *next;
	Oid			root;
	uint64		root_shape;		/* shape ids it was made for */
	uint64		leaf_shape;
	bool		keys_agree;		/* same key columns, same order and types */
	MemoryContext context;		/* of the map below */
	TupleConversionMap *conversion; /* NULL: same physical shape */
} LeafMap;

static bool DescendOnce(Relation rel, ItemRelation *parent, const Datum *key,
						Oid *child, bool *by_query);
static bool CollectPartitionKey(PartitionKey partkey, const ItemShape *shape,
								const Datum *key, Datum *values);
static int	SearchPartition(PartitionKey partkey, PartitionDesc partdesc,
							Datum *values);
static FmgrInfo *FunctionsToCall(PartitionKey partkey);
static LeafMap *GetLeafMap(ItemRelation *root, ItemRelation *leaf);
static void MakeLeafMap(LeafMap *map, const ItemShape *root,
						const ItemShape *leaf);
static bool KeysAgree(const ItemShape *root, const ItemShape *leaf);

/*
 * How often the way down is gone, at most.  Once for each level is what it
 * takes, and once more for what comes between; but who rolls back a
 * subtransaction each time that we call him makes us forget our locks each time.
 */
#define MAX_DESCENTS	64

ItemRelation *
FindLeaf(ItemRelation *root, const Datum *key, bool *by_query)
{
	ItemRelation *relation = root;
	int			descents = 0;

	*by_query = false;
	while (relation->partitioned)
	{
		Relation	rel = table_open(relation->relid, NoLock);
		Oid			child = InvalidOid;
		bool		was_locked;
		bool		usable;

		usable = DescendOnce(rel, relation, key, &child, by_query);
		table_close(rel, NoLock);
		if (!usable)
			return NULL;

		was_locked = ItemRelationIsLocked(child);
		relation = ItemRelationForRead(child, true);
		if (!was_locked && ++descents < MAX_DESCENTS)
			relation = root;	/* look again, now that it cannot go away */
		else if (!was_locked || relation == NULL ||
				 !GetLeafMap(root, relation)->keys_agree)
		{
			*by_query = true;
			return NULL;
		}
	}
	return relation;
}

/*
 * The child of one partitioned table that takes the key.  False if there is
 * none, or, with *by_query set, if that cannot be told.
 */
static bool
DescendOnce(Relation rel, ItemRelation *parent, const Datum *key, Oid *child,
			bool *by_query)
{
	PartitionKey partkey = RelationGetPartitionKey(rel);
	PartitionDesc partdesc;
	Datum		values[PARTITION_MAX_KEYS];
	int			index;

	if (!CollectPartitionKey(partkey, parent->shape, key, values))
	{
		*by_query = true;
		return false;
	}
	partdesc = RelationGetPartitionDesc(rel, true);
	if (partdesc->nparts == 0)
		return false;
	index = SearchPartition(partkey, partdesc, values);
	if (index < 0)
		return false;
	*child = partdesc->oids[index];
	return true;
}

/* False if a partition column is not among the key's, or compares otherwise. */
static bool
CollectPartitionKey(PartitionKey partkey, const ItemShape *shape,
					const Datum *key, Datum *values)
{
	Assert(partkey->partnatts > 0);
	for (int i = 0; i < partkey->partnatts; i++)
	{
		int			column;

		for (column = 0; column < shape->nkeys; column++)
		{
			if (shape->keys[column].attno == partkey->partattrs[i])
				break;
		}
		if (column == shape->nkeys ||
			shape->keys[column].typid != partkey->parttypid[i] ||
			shape->keys[column].collation != partkey->partcollation[i])
			return false;
		values[i] = key[column];
	}
	return true;
}

/* As get_partition_for_tuple() does; primary keys have no NULLs. */
static int
SearchPartition(PartitionKey partkey, PartitionDesc partdesc, Datum *values)
{
	PartitionBoundInfo bounds = partdesc->boundinfo;
	FmgrInfo   *functions = FunctionsToCall(partkey);
	bool		isnull[PARTITION_MAX_KEYS] = {false};
	bool		equal = false;
	int			index = -1;
	int			offset;

	switch (partkey->strategy)
	{
		case PARTITION_STRATEGY_HASH:
			{
				uint64		hash;

				hash = compute_partition_hash_value(partkey->partnatts,
													functions,
													partkey->partcollation,
													values, isnull);
				return bounds->indexes[hash % bounds->nindexes];
			}
		case PARTITION_STRATEGY_LIST:
			offset = partition_list_bsearch(functions, partkey->partcollation,
											bounds, values[0], &equal);
			if (offset >= 0 && equal)
				index = bounds->indexes[offset];
			break;
		case PARTITION_STRATEGY_RANGE:
			offset = partition_range_datum_bsearch(functions,
												   partkey->partcollation,
												   bounds, partkey->partnatts,
												   values, &equal);
			index = bounds->indexes[offset + 1];
			break;
		default:
			elog(ERROR, "unexpected partition strategy: %d",
				 (int) partkey->strategy);
	}
	return index >= 0 ? index : bounds->default_index;
}

/*
 * The functions that search, looked up by ourselves if they may call anything.
 * The server's own call nothing but for types that are made of others.
 */
static FmgrInfo *
FunctionsToCall(PartitionKey partkey)
{
	FmgrInfo   *functions;
	bool		is_plain = true;

	for (int i = 0; i < partkey->partnatts; i++)
	{
		Oid			type = partkey->partopcintype[i];

		if (partkey->partsupfunc[i].fn_oid >= FirstGenbkiObjectId ||
			IsPolymorphicType(type) || type == RECORDOID)
			is_plain = false;
	}
	if (is_plain)
		return partkey->partsupfunc;

	functions = palloc(partkey->partnatts * sizeof(FmgrInfo));
	for (int i = 0; i < partkey->partnatts; i++)
		fmgr_info(partkey->partsupfunc[i].fn_oid, &functions[i]);
	return functions;
}

static LeafMap *
GetLeafMap(ItemRelation *root, ItemRelation *leaf)
{
	LeafMap    *map;

	for (map = leaf->leafmaps; map != NULL; map = map->next)
	{
		if (map->root == root->relid)
			break;
	}
	if (map == NULL)
	{
		map = MemoryContextAllocZero(CacheMemoryContext, sizeof(LeafMap));
		map->context = AllocSetContextCreate(CacheMemoryContext,
											 "itemcache partition map",
											 ALLOCSET_SMALL_SIZES);
		map->root = root->relid;
		map->next = leaf->leafmaps;
		leaf->leafmaps = map;
	}
	if (map->root_shape != root->shape->id || map->leaf_shape != leaf->shape->id)
	{
		map->root_shape = 0;
		MakeLeafMap(map, root->shape, leaf->shape);
		map->root_shape = root->shape->id;
		map->leaf_shape = leaf->shape->id;
	}
	return map;
}

static void
MakeLeafMap(LeafMap *map, const ItemShape *root, const ItemShape *leaf)
{
	MemoryContext oldcontext;

	MemoryContextReset(map->context);
	map->conversion = NULL;
	map->keys_agree = KeysAgree(root, leaf);
	oldcontext = MemoryContextSwitchTo(map->context);
	map->conversion = convert_tuples_by_name(leaf->tupdesc, root->tupdesc);
	MemoryContextSwitchTo(oldcontext);
}

static bool
KeysAgree(const ItemShape *root, const ItemShape *leaf)
{
	if (root->nkeys != leaf->nkeys)
		return false;
	for (int i = 0; i < root->nkeys; i++)
	{
		const KeyColumn *a = &root->keys[i];
		const KeyColumn *b = &leaf->keys[i];
		Form_pg_attribute aatt = TupleDescAttr(root->tupdesc, a->attno - 1);
		Form_pg_attribute batt = TupleDescAttr(leaf->tupdesc, b->attno - 1);

		if (strcmp(NameStr(aatt->attname), NameStr(batt->attname)) != 0 ||
			a->typid != b->typid || a->eqop != b->eqop ||
			a->collation != b->collation)
			return false;
	}
	return true;
}

HeapTupleHeader
ConvertLeafImage(ItemRelation *root, ItemRelation *leaf, HeapTupleHeader image)
{
	LeafMap    *map = GetLeafMap(root, leaf);

	if (map->conversion != NULL)
	{
		HeapTupleData tuple;

		tuple.t_len = HeapTupleHeaderGetDatumLength(image);
		ItemPointerSetInvalid(&tuple.t_self);
		tuple.t_tableOid = leaf->relid;
		tuple.t_data = image;
		return execute_attr_map_tuple(&tuple, map->conversion)->t_data;
	}
	return image;
}
