/*-------------------------------------------------------------------------
 *
 * get.c
 *	  The SQL functions get() and get_many().
 *
 * Both are STABLE and use the active snapshot, which is that of the query
 * that calls them: a lookup and a SELECT in one statement agree.
 *
 * May call: lookup, keyarg, privilege, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "itemcache.h"
#include "keyarg.h"
#include "lookup.h"
#include "miscadmin.h"
#include "privilege.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/* What a call site remembers from call to call. */
typedef struct GetState
{
	Oid			relid;
	ItemRelation *relation;		/* NULL until it has been opened */
	KeyConverter *converter;
	/* of get_many(): the array's element type */
	Oid			elemtype;
	int16		elemlen;
	bool		elembyval;
	char		elemalign;
} GetState;

PG_FUNCTION_INFO_V1(itemcache_get);
PG_FUNCTION_INFO_V1(itemcache_get_many);

static GetState *GetCallState(FunctionCallInfo fcinfo);
static ItemRelation *OpenForGet(GetState *state, bool *by_query);
static void EmitItems(Tuplestorestate *store, TupleDesc tupdesc, int nitems,
					  HeapTupleHeader *items);

Datum
itemcache_get(PG_FUNCTION_ARGS)
{
	GetState   *state = fcinfo->flinfo->fn_extra;
	ItemRelation *relation;
	bool		by_query;
	uint64		shape_id = 0;
	bool		exists = false;
	Datum		key[INDEX_MAX_KEYS];
	Datum	   *keys = key;
	HeapTupleHeader result;

	if (state == NULL)
		state = GetCallState(fcinfo);

	/* where all looks as it was at the last call, fetch while we look */
	if (!PG_ARGISNULL(1) && state->relation != NULL &&
		ItemRelationLooksCurrent(state->relation))
	{
		shape_id = state->relation->shape->id;
		exists = ConvertKey(state->converter, state->relation,
							PG_GETARG_DATUM(1), key);
		if (exists)
			PrefetchItem(state->relation, key);
	}

	relation = OpenForGet(state, &by_query);
	if (shape_id != relation->shape->id)
		exists = !PG_ARGISNULL(1) &&
			ConvertKey(state->converter, relation, PG_GETARG_DATUM(1), key);
	if (!exists)
		PG_RETURN_NULL();

	LookupItems(relation, GetActiveSnapshot(), by_query, 1, &keys, &result);
	if (result == NULL)
		PG_RETURN_NULL();
	ItemPointerSetInvalid(&result->t_ctid);
	PG_RETURN_HEAPTUPLEHEADER(result);
}

Datum
itemcache_get_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	GetState   *state = fcinfo->flinfo->fn_extra;
	ItemRelation *relation;
	bool		by_query;
	ArrayType  *array = NULL;
	ArrayIterator iterator = NULL;
	Tuplestorestate *store;
	TupleDesc	tupdesc;
	MemoryContext batchcontext;
	MemoryContext oldcontext;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	if (state == NULL)
		state = GetCallState(fcinfo);
	relation = OpenForGet(state, &by_query);

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
	for (bool more = true; more;)
	{
		Datum		values[LOOKUP_BATCH][INDEX_MAX_KEYS];
		Datum	   *keys[LOOKUP_BATCH];
		HeapTupleHeader items[LOOKUP_BATCH];
		int			nkeys = 0;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(batchcontext);
		MemoryContextSwitchTo(batchcontext);
		while (nkeys < LOOKUP_BATCH)
		{
			Datum		value;
			bool		isnull;

			more = array_iterate(iterator, &value, &isnull);
			if (!more)
				break;
			keys[nkeys] = NULL;
			if (!isnull && ConvertKey(state->converter, relation, value,
									  values[nkeys]))
				keys[nkeys] = values[nkeys];
			nkeys++;
		}
		if (nkeys > 0)
		{
			/* converting keys may have run anything: look afresh */
			relation = ItemRelationForRead(state->relid, false);
			LookupItems(relation, GetActiveSnapshot(), by_query, nkeys, keys,
						items);
			EmitItems(store, tupdesc, nkeys, items);
		}
		MemoryContextSwitchTo(oldcontext);
	}
	array_free_iterator(iterator);
	MemoryContextDelete(batchcontext);
	PG_RETURN_NULL();
}

static void
EmitItems(Tuplestorestate *store, TupleDesc tupdesc, int nitems,
		  HeapTupleHeader *items)
{
	bool	   *nulls = NULL;
	Datum	   *values = NULL;

	for (int i = 0; i < nitems; i++)
	{
		HeapTupleData tuple;

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
		tuple.t_len = HeapTupleHeaderGetDatumLength(items[i]);
		ItemPointerSetInvalid(&tuple.t_self);
		tuple.t_tableOid = InvalidOid;
		tuple.t_data = items[i];
		tuplestore_puttuple(store, &tuple);
	}
}

/* First call at a call site: which table, and which type of key? */
static GetState *
GetCallState(FunctionCallInfo fcinfo)
{
	GetState   *state;
	Oid			rowtype;
	Oid			keytype;
	Oid			relid;

	RequirePreloaded();

	rowtype = get_fn_expr_argtype(fcinfo->flinfo, 0);
	keytype = get_fn_expr_argtype(fcinfo->flinfo, 1);
	relid = OidIsValid(rowtype) ? get_typ_typrelid(rowtype) : InvalidOid;
	if (!OidIsValid(relid) || !OidIsValid(keytype))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 OidIsValid(rowtype) ?
				 errmsg("type %s is not the row type of a table",
						format_type_be(rowtype)) :
				 errmsg("could not determine the row type"),
				 errhint("The first argument says which table: NULL::tablename.")));

	state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(GetState));
	state->relid = relid;
	state->elemtype = get_element_type(keytype);
	state->converter = MakeKeyConverter(OidIsValid(state->elemtype) &&
										fcinfo->flinfo->fn_retset ?
										state->elemtype : keytype,
										fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = state;
	return state;
}

/*
 * The relation of a call site, checked to be a table with a primary key that
 * the current user may read.
 */
static ItemRelation *
OpenForGet(GetState *state, bool *by_query)
{
	ItemRelation *relation = state->relation;

	if (relation == NULL)
		relation = state->relation = ItemRelationForRead(state->relid, false);
	else
		RefreshItemRelation(relation, false);

	if (relation->fitness == RELATION_WRONG_KIND)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table",
						get_rel_name(state->relid)),
				 errhint("Items are rows of a table or partitioned table.")));
	if (!OidIsValid(relation->pkindex))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key",
						get_rel_name(state->relid)),
				 errhint("Items are looked up by primary key: add one with ALTER TABLE.")));
	if (!relation->key_usable)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("primary key of table \"%s\" is not a btree index",
						get_rel_name(state->relid))));
	*by_query = CheckReadPrivilege(relation);
	return relation;
}
