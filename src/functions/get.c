/*-------------------------------------------------------------------------
 *
 * get.c
 *	  The SQL functions get() and get_many().
 *
 * Both are STABLE and use the active snapshot, which is that of the query
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
PG_FUNCTION_INFO_V1(itemcache_get_many);

static int	ConvertKeys(CallSite *site, ItemRelation *relation,
						ArrayIterator iterator,
						Datum (*values)[INDEX_MAX_KEYS], Datum **keys);
static Snapshot CallersSnapshot(void);
static Size EmitItems(Tuplestorestate *store, TupleDesc tupdesc, int nitems,
					  HeapTupleHeader *items, List **more);
static Size EmitItem(Tuplestorestate *store, HeapTupleHeader item);

Datum
itemcache_get(PG_FUNCTION_ARGS)
{
	CallSite   *site;
	ItemRelation *relation;
	bool		by_query;
	uint64		shape_id = 0;
	bool		exists = false;
	Datum		key[INDEX_MAX_KEYS];
	uint64		hash = 0;
	HeapTupleHeader result;

	site = GetCallSite(fcinfo, false, false);

	/* where all looks as it was at the last call, fetch while we look */
	if (!PG_ARGISNULL(1) && site->relation != NULL &&
		ItemRelationLooksCurrent(site->relation) &&
		LookupWasAllowed(site->relation))
	{
		shape_id = site->relation->shape->id;
		exists = ConvertKey(site->converter, site->relation,
							PG_GETARG_DATUM(1), key);
		if (exists)
		{
			hash = KeyHash(site->relation->shape, site->relation->seed, key);
			PrefetchItem(site->relation, hash);
		}
	}

	relation = OpenCallSite(site);
	by_query = CheckLookupPrivilege(relation);
	if (shape_id != relation->shape->id)
	{
		exists = !PG_ARGISNULL(1) &&
			ConvertKey(site->converter, relation, PG_GETARG_DATUM(1), key);
		if (exists)
			hash = KeyHash(relation->shape, relation->seed, key);
	}
	if (!exists)
		PG_RETURN_NULL();

	result = LookupItem(relation, CallersSnapshot(), by_query, key, hash);
	if (result == NULL)
		PG_RETURN_NULL();
	MakeRowDatum(result, relation->shape->tupdesc,
				 HeapTupleHeaderGetDatumLength(result));
	PG_RETURN_HEAPTUPLEHEADER(result);
}

Datum
itemcache_get_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CallSite   *site;
	ItemRelation *relation;
	bool		by_query;
	ArrayType  *array = NULL;
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
	site = GetCallSite(fcinfo, false, true);
	relation = OpenCallSite(site);
	by_query = CheckLookupPrivilege(relation);

	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	tupdesc = CreateTupleDescCopy(relation->shape->tupdesc);
	store = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
								  false, work_mem);
	MemoryContextSwitchTo(oldcontext);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = store;
	rsinfo->setDesc = tupdesc;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	array = PG_GETARG_ARRAYTYPE_P(1);
	iterator = array_create_iterator(array, 0, NULL);

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
		nkeys = ConvertKeys(site, relation, iterator, values, keys);
		if (nkeys > 0)
		{
			/* converting keys may have run anything: look afresh */
			relation = OpenCallSite(site);
			LookupItems(relation, CallersSnapshot(), by_query, nkeys, keys,
						items, more);
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
ConvertKeys(CallSite *site, ItemRelation *relation, ArrayIterator iterator,
			Datum (*values)[INDEX_MAX_KEYS], Datum **keys)
{
	int			nkeys;

	for (nkeys = 0; nkeys < LOOKUP_BATCH; nkeys++)
	{
		Datum		value;
		bool		isnull;

		if (!array_iterate(iterator, &value, &isnull))
			break;
		keys[nkeys] = NULL;
		if (!isnull && ConvertKey(site->converter, relation, value,
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
