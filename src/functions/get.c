/*-------------------------------------------------------------------------
 *
 * get.c
 *	  The SQL functions get() and get_many(), get_by() and get_many_by().
 *
 * All are STABLE and use the active snapshot, which is that of the query
 * that calls them: a lookup and a SELECT in one statement agree.
 *
 * May call: callsite, lookup, keyarg, privilege.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "lookup/lookup.h"
#include "miscadmin.h"
#include "settings.h"
#include "table/callsite.h"
#include "table/privilege.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(itemcache_get);
PG_FUNCTION_INFO_V1(itemcache_get_by);
PG_FUNCTION_INFO_V1(itemcache_get_many);
PG_FUNCTION_INFO_V1(itemcache_get_many_by);

static inline Datum GetItem(FunctionCallInfo fcinfo, text *columns, int keyarg);
static Datum GetItems(FunctionCallInfo fcinfo, text *columns, int keyarg);
static int	ConvertKeys(CallSite *site, ItemRelation *relation,
						UniqueKey **unique, ArrayIterator iterator,
						Datum (*values)[INDEX_MAX_KEYS], Datum **keys);
static Snapshot CallersSnapshot(void);
static Size EmitItems(Tuplestorestate *store, TupleDesc tupdesc, int nitems,
					  HeapTupleHeader *items, List **more);
static Size EmitItem(Tuplestorestate *store, HeapTupleHeader item);

Datum
itemcache_get(PG_FUNCTION_ARGS)
{
	return GetItem(fcinfo, NULL, 1);
}

Datum
itemcache_get_by(PG_FUNCTION_ARGS)
{
	(void) RequireArgument(fcinfo, 1, "columns");
	return GetItem(fcinfo, PG_GETARG_TEXT_PP(1), 2);
}

/* By the key that "columns" names, or by the primary key if that is NULL. */
static inline Datum
GetItem(FunctionCallInfo fcinfo, text *columns, int keyarg)
{
	CallSite   *site;
	ItemRelation *relation;
	UniqueKey  *unique = NULL;
	const ItemShape *shape;
	bool		by_query;
	uint64		shape_id = 0;
	bool		exists = false;
	Datum		key[INDEX_MAX_KEYS];
	uint64		hash = 0;
	HeapTupleHeader result;

	site = GetCallSite(fcinfo, columns != NULL ? CALL_BY_COLUMNS : 0);

	/* where all looks as it was at the last call, fetch while we look */
	if (!PG_ARGISNULL(keyarg) && site->relation != NULL &&
		ItemRelationLooksCurrent(site->relation) &&
		(columns == NULL || CallSiteKnowsKey(site, columns)) &&
		LookupWasAllowed(site->relation, site->unique))
	{
		unique = site->unique;
		exists = ConvertKey(site->converter, site->relation, &unique,
							PG_GETARG_DATUM(keyarg), key);
		shape = ShapeOfKey(site->relation, unique);
		shape_id = shape->id;
		if (exists)
		{
			hash = KeyHash(shape, SeedOfKey(site->relation, unique), key);
			PrefetchItem(site->relation, hash);
		}
	}

	relation = OpenCallSite(site);
	unique = columns != NULL ? CallSiteKey(site, columns) : NULL;
	by_query = CheckLookupPrivilege(relation, unique);
	if (shape_id != ShapeOfKey(relation, unique)->id)
	{
		exists = !PG_ARGISNULL(keyarg) &&
			ConvertKey(site->converter, relation, &unique,
					   PG_GETARG_DATUM(keyarg), key);
		if (exists)
			hash = KeyHash(ShapeOfKey(relation, unique),
						   SeedOfKey(relation, unique), key);
	}
	if (!exists)
		PG_RETURN_NULL();

	result = LookupItem(relation, unique, CallersSnapshot(), by_query, key, hash);
	if (result == NULL)
		PG_RETURN_NULL();
	MakeRowDatum(result, relation->shape->tupdesc,
				 HeapTupleHeaderGetDatumLength(result));
	PG_RETURN_HEAPTUPLEHEADER(result);
}

Datum
itemcache_get_many(PG_FUNCTION_ARGS)
{
	return GetItems(fcinfo, NULL, 1);
}

Datum
itemcache_get_many_by(PG_FUNCTION_ARGS)
{
	(void) RequireArgument(fcinfo, 1, "columns");
	return GetItems(fcinfo, PG_GETARG_TEXT_PP(1), 2);
}

static Datum
GetItems(FunctionCallInfo fcinfo, text *columns, int keyarg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CallSite   *site;
	ItemRelation *relation;
	UniqueKey  *unique;
	bool		by_query;
	ArrayIterator iterator = NULL;
	Size		size = 0;
	Tuplestorestate *store;
	TupleDesc	tupdesc;
	MemoryContext batchcontext;
	MemoryContext oldcontext;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	site = GetCallSite(fcinfo, CALL_OF_KEYS |
					   (columns != NULL ? CALL_BY_COLUMNS : 0));
	relation = OpenCallSite(site);
	unique = columns != NULL ? CallSiteKey(site, columns) : NULL;
	by_query = CheckLookupPrivilege(relation, unique);

	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	tupdesc = CreateTupleDescCopy(relation->shape->tupdesc);
	store = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
								  false, work_mem);
	MemoryContextSwitchTo(oldcontext);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = store;
	rsinfo->setDesc = tupdesc;

	if (PG_ARGISNULL(keyarg))
		PG_RETURN_NULL();
	iterator = array_create_iterator(PG_GETARG_ARRAYTYPE_P(keyarg), 0, NULL);

	batchcontext = AllocSetContextCreate(CurrentMemoryContext,
										 "itemcache get_many batch",
										 ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		Datum		values[LOOKUP_BATCH][INDEX_MAX_KEYS];
		Datum	   *keys[LOOKUP_BATCH];
		HeapTupleHeader items[LOOKUP_BATCH];
		List	   *more[LOOKUP_BATCH];
		int			nkeys;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(batchcontext);
		MemoryContextSwitchTo(batchcontext);
		nkeys = ConvertKeys(site, relation, &unique, iterator, values, keys);
		if (nkeys > 0)
		{
			/* converting keys may have run anything: look afresh */
			relation = OpenCallSite(site);
			if (unique != NULL)
				unique = RequireUniqueKey(relation, unique);
			LookupItems(relation, unique, CallersSnapshot(), by_query, nkeys,
						keys, items, more);
			size += EmitItems(store, tupdesc, nkeys, items, more);
		}
		MemoryContextSwitchTo(oldcontext);
		if (nkeys < LOOKUP_BATCH)
			break;
	}
	array_free_iterator(iterator);
	MemoryContextDelete(batchcontext);
	/* chunks and blocks are of powers of two */
	KeepMemory(Min(4 * size, (Size) work_mem * 1024));
	PG_RETURN_NULL();
}

/*
 * The next keys of an array, fewer than LOOKUP_BATCH at its end.  keys[i] is
 * NULL where no row can have it.
 */
static int
ConvertKeys(CallSite *site, ItemRelation *relation, UniqueKey **unique,
			ArrayIterator iterator, Datum (*values)[INDEX_MAX_KEYS],
			Datum **keys)
{
	int			nkeys;

	/* so may the lookup of the batch before */
	if (*unique != NULL)
		*unique = RequireUniqueKey(relation, *unique);

	for (nkeys = 0; nkeys < LOOKUP_BATCH; nkeys++)
	{
		Datum		value;
		bool		isnull;

		if (!array_iterate(iterator, &value, &isnull))
			break;
		keys[nkeys] = NULL;
		if (!isnull && ConvertKey(site->converter, relation, unique, value,
								  values[nkeys]))
			keys[nkeys] = values[nkeys];
	}
	return nkeys;
}

static Snapshot
CallersSnapshot(void)
{
	if (!ActiveSnapshotSet())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("items cannot be looked up without an active snapshot")));
	return GetActiveSnapshot();
}

/* Store a batch of rows; returns how many bytes they have. */
static Size
EmitItems(Tuplestorestate *store, TupleDesc tupdesc, int nitems,
		  HeapTupleHeader *items, List **more)
{
	bool	   *nulls = NULL;
	Datum	   *values = NULL;
	Size		size = 0;

	for (int i = 0; i < nitems; i++)
	{
		ListCell   *lc;

		if (items[i] == NULL)
		{
			if (nulls == NULL)
			{
				values = palloc0(tupdesc->natts * sizeof(Datum));
				nulls = palloc(tupdesc->natts * sizeof(bool));
				memset(nulls, true, tupdesc->natts * sizeof(bool));
			}
			tuplestore_putvalues(store, tupdesc, values, nulls);
			continue;
		}
		size += EmitItem(store, items[i]);
		foreach(lc, more[i])
			size += EmitItem(store, lfirst(lc));
	}
	return size;
}

static Size
EmitItem(Tuplestorestate *store, HeapTupleHeader item)
{
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(item);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = item;
	tuplestore_puttuple(store, &tuple);
	return tuple.t_len;
}
