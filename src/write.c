/*-------------------------------------------------------------------------
 *
 * write.c
 *	  put(), put_many() and delete(), and the asynchronous commit of
 *	  transactions that used them.
 *
 * They are the table's own INSERT ... ON CONFLICT DO UPDATE and DELETE, run
 * through a saved plan for each relation, and so have all that these imply:
 * privileges, row-level security, constraints, triggers, partition routing.
 * The cache learns of them as of any other write, by its trigger.
 *
 * A saved plan is made again from its text, by names, when something it
 * depends on changes.  The relation's own name cannot change under the lock
 * that callers hold; its schema's can.  So the names are compared before, and
 * what the plan was made for is looked at after (CheckTarget).
 *
 * itemcache.async_put does not delay anything by itself: it lowers
 * synchronous_commit for the transaction, at commit, if a call that was made
 * under it has not been rolled back.
 *
 * May call: callsite, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "callsite.h"
#include "catalog/dependency.h"
#include "catalog/pg_attribute.h"
#include "executor/spi.h"
#include "itemcache.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "write.h"

/* The statements that are kept for a relation. */
typedef enum WriteKind
{
	WRITE_PUT,					/* upsert of one row; identity given, if any */
	WRITE_PUT_NEW_IDENTITY,		/* identity to be computed */
	WRITE_PUT_MANY,
	WRITE_PUT_MANY_NEW_IDENTITY,
	WRITE_DELETE,
	FIND_DUPLICATE,				/* a key that put_many() is given twice */
	WRITE_KINDS
} WriteKind;

typedef struct WritePlans
{
	uint64		shape_id;		/* what they were made for */
	NameData	relname;
	NameData	nspname;
	SPIPlanPtr	plans[WRITE_KINDS];
	struct WritePlans *next;	/* in Replaced */
} WritePlans;

/*
 * Plans that others have taken the place of in this transaction.  One may be
 * running: a trigger that it fired may have renamed the table and put again.
 * So they are freed when the transaction ends.
 */
static WritePlans *Replaced = NULL;

/*
 * Lowest nesting level of a call under async_put that has not been rolled
 * back; 0 if there is none.  Should that level roll back, so do those above.
 */
static int	AsyncLevel = 0;

PG_FUNCTION_INFO_V1(itemcache_put);
PG_FUNCTION_INFO_V1(itemcache_put_many);
PG_FUNCTION_INFO_V1(itemcache_delete);

static ItemRelation *OpenForItems(CallSite *site, Oid rowtype);
static void RefuseItem(const ItemRelation *relation);
static void CheckItem(const ItemRelation *relation, HeapTupleHeader item);
static void CheckItems(const ItemRelation *relation, ArrayType *items);
static uint64 ExecuteWrite(ItemRelation *relation, WriteKind kind,
						   Datum *values, const char *nulls);
static SPIPlanPtr GetWritePlan(ItemRelation *relation, WriteKind kind);
static WritePlans *GetWritePlans(ItemRelation *relation);
static void FreeReplacedPlans(void);
static void CheckTarget(ItemRelation *relation, SPIPlanPtr plan);
static void RefuseDuplicates(ItemRelation *relation, Datum array);
static char *Deparse(const ItemRelation *relation, WriteKind kind,
					 Oid *argtypes, int *nargs);
static char *DeparsePut(const ItemRelation *relation, WriteKind kind,
						Oid *argtypes, int *nargs);
static void AppendInsert(StringInfo sql, const ItemRelation *relation,
						 WriteKind kind);
static void AppendOnConflict(StringInfo sql, const ItemRelation *relation);
static char *DeparseDelete(const ItemRelation *relation, Oid *argtypes,
						   int *nargs);
static char *DeparseFindDuplicate(const ItemRelation *relation, Oid *argtypes,
								  int *nargs);
static void AppendKeys(StringInfo sql, const ItemRelation *relation,
					   const char *qualifier);
static char *TargetName(const ItemRelation *relation);
static const char *ColumnName(const ItemRelation *relation, int i);
static bool IsWritten(const ItemRelation *relation, int i, bool new_identity);
static bool IsSet(const ItemRelation *relation, int i);
static bool IsKey(const ItemRelation *relation, int i);
static int	AlwaysIdentity(const ItemShape *shape);
static void NoteAsyncWrite(void);
static void XactCallbackFn(XactEvent event, void *arg);
static void SubXactCallbackFn(SubXactEvent event, SubTransactionId subid,
							  SubTransactionId parent, void *arg);

void
WriteInit(void)
{
	RegisterXactCallback(XactCallbackFn, NULL);
	RegisterSubXactCallback(SubXactCallbackFn, NULL);
}

/*-------------------------------------------------------------------------
 * The functions
 *-------------------------------------------------------------------------
 */

Datum
itemcache_put(PG_FUNCTION_ARGS)
{
	CallSite   *site = GetCallSite(fcinfo, false, false);
	ItemRelation *relation;
	const ItemShape *shape;
	HeapTupleHeader item;
	HeapTupleData tuple;
	Datum	   *values;
	bool	   *isnull;
	char	   *nulls;
	int			identity;
	bool		new_identity;
	int			nargs = 0;

	relation = OpenForItems(site, get_fn_expr_argtype(fcinfo->flinfo, 0));
	shape = relation->shape;
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("item to put must not be null"),
				 errhint("Use itemcache.delete() to delete an item.")));

	item = PG_GETARG_HEAPTUPLEHEADER(0);
	CheckItem(relation, item);
	tuple.t_len = HeapTupleHeaderGetDatumLength(item);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = relation->relid;
	tuple.t_data = item;
	values = palloc(shape->tupdesc->natts * sizeof(Datum));
	isnull = palloc(shape->tupdesc->natts * sizeof(bool));
	heap_deform_tuple(&tuple, shape->tupdesc, values, isnull);

	identity = AlwaysIdentity(shape);
	new_identity = identity >= 0 && isnull[identity];
	nulls = palloc(shape->tupdesc->natts);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		if (!IsWritten(relation, i, new_identity))
			continue;
		values[nargs] = values[i];
		nulls[nargs++] = isnull[i] ? 'n' : ' ';
	}
	(void) ExecuteWrite(relation,
						new_identity ? WRITE_PUT_NEW_IDENTITY : WRITE_PUT,
						values, nulls);
	PG_RETURN_VOID();
}

/*
 * Rows whose identity is to be computed go in by a second statement, since
 * they need another column list.
 */
Datum
itemcache_put_many(PG_FUNCTION_ARGS)
{
	CallSite   *site = GetCallSite(fcinfo, true, false);
	ItemRelation *relation;
	ArrayType  *items;
	Datum		array;
	uint64		count;

	relation = OpenForItems(site,
							get_element_type(get_fn_expr_argtype(fcinfo->flinfo, 0)));
	if (PG_ARGISNULL(0))
		PG_RETURN_INT64(0);
	items = PG_GETARG_ARRAYTYPE_P(0);
	if (array_contains_nulls(items))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("items to put must not be null")));
	CheckItems(relation, items);
	array = PointerGetDatum(items);
	RefuseDuplicates(relation, array);
	count = ExecuteWrite(relation, WRITE_PUT_MANY, &array, NULL);
	if (AlwaysIdentity(relation->shape) >= 0)
		count += ExecuteWrite(relation, WRITE_PUT_MANY_NEW_IDENTITY, &array,
							  NULL);
	PG_RETURN_INT64((int64) count);
}

Datum
itemcache_delete(PG_FUNCTION_ARGS)
{
	CallSite   *site = GetCallSite(fcinfo, false, false);
	ItemRelation *relation = OpenCallSite(site);
	Datum		key[INDEX_MAX_KEYS];

	if (PG_ARGISNULL(1) ||
		!ConvertKey(site->converter, relation, PG_GETARG_DATUM(1), key))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(ExecuteWrite(relation, WRITE_DELETE, key, NULL) > 0);
}

/*
 * Items can be older than the relation's shape: made while we waited for the
 * lock that ALTER TABLE held, kept in a variable, or folded into a cached plan,
 * which does not know that it depends on the relation.  Columns that were
 * added or dropped since do no harm: to an item, as to an old row, they have
 * their default or are not there.  But a value must not be taken for one of
 * another type.  Here we find what changed while we wait; CheckItem() what did
 * before, as far as it would make us read or store what is no value at all.
 */
static ItemRelation *
OpenForItems(CallSite *site, Oid rowtype)
{
	TupleDesc	before = NULL;
	ItemRelation *relation;

	if (!ItemRelationIsLocked(site->relid))
		before = lookup_rowtype_tupdesc(rowtype, -1);
	relation = OpenCallSite(site);
	if (before == NULL)
		return relation;

	for (int i = 0; i < before->natts; i++)
	{
		Form_pg_attribute new = TupleDescAttr(relation->shape->tupdesc, i);

		if (!new->attisdropped &&
			new->atttypid != TupleDescAttr(before, i)->atttypid)
			RefuseItem(relation);
	}
	ReleaseTupleDesc(before);
	return relation;
}

/* Can this be a row of the relation: do its values fill it exactly? */
static void
CheckItem(const ItemRelation *relation, HeapTupleHeader item)
{
	TupleDesc	tupdesc = relation->shape->tupdesc;
	int			natts = HeapTupleHeaderGetNatts(item);
	bool		hasnull = (item->t_infomask & HEAP_HASNULL) != 0;
	char	   *data = (char *) item + item->t_hoff;
	Size		len = HeapTupleHeaderGetDatumLength(item) - item->t_hoff;
	Size		off = 0;

	if (natts > tupdesc->natts)
		RefuseItem(relation);
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		Size		header = 1;

		if (hasnull && att_isnull(i, item->t_bits))
			continue;
		if (off >= len)
			RefuseItem(relation);
		off = att_align_pointer(off, att->attalign, att->attlen, data + off);
		if (off >= len)
			RefuseItem(relation);
		if (att->attlen == -1)
		{
			if (VARATT_IS_EXTERNAL(data + off))
				RefuseItem(relation);
			if (!VARATT_IS_1B(data + off))
				header = VARHDRSZ;
			if (header > len - off || VARSIZE_ANY(data + off) < header)
				RefuseItem(relation);
		}
		else if (att->attlen == -2 &&
				 memchr(data + off, '\0', len - off) == NULL)
			RefuseItem(relation);
		off = att_addlength_pointer(off, att->attlen, data + off);
		if (off > len)
			RefuseItem(relation);
	}
	if (len - off >= MAXIMUM_ALIGNOF)
		RefuseItem(relation);
}

static void
CheckItems(const ItemRelation *relation, ArrayType *items)
{
	Datum	   *elements;
	int			n;

	deconstruct_array(items, relation->shape->rowtype, -1, false,
					  TYPALIGN_DOUBLE, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		CheckItem(relation, DatumGetHeapTupleHeader(elements[i]));
	pfree(elements);
}

static void
RefuseItem(const ItemRelation *relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("item to put is not a row of table \"%s\" as it is now",
					get_rel_name(relation->relid)),
			 errdetail("The type of a column was changed after the item was made.")));
}

/* Returns the number of rows inserted, updated or deleted. */
static uint64
ExecuteWrite(ItemRelation *relation, WriteKind kind, Datum *values,
			 const char *nulls)
{
	SPIPlanPtr	plan;
	uint64		count;
	int			rc;

	SPI_connect();
	plan = GetWritePlan(relation, kind);
	rc = SPI_execute_plan(plan, values, nulls, false, 0);
	if (rc == SPI_OK_REWRITTEN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot delete from table \"%s\" by key",
						get_rel_name(relation->relid)),
				 errdetail("A rule on the table does something else instead.")));
	if (rc != SPI_OK_INSERT && rc != SPI_OK_DELETE)
		elog(ERROR, "writing table \"%s\" failed: %s",
			 get_rel_name(relation->relid), SPI_result_code_string(rc));
	CheckTarget(relation, plan);
	count = SPI_processed;
	SPI_finish();

	/* A put that changed nothing has locked the row, and so has to commit. */
	if (itemcache_async_put && (count > 0 || kind != WRITE_DELETE))
		NoteAsyncWrite();
	return count;
}

/*
 * The statement itself would let a key pass twice as long as the first of the
 * two changes nothing, and which is the first is not defined.
 */
static void
RefuseDuplicates(ItemRelation *relation, Datum array)
{
	SPI_connect();
	if (SPI_execute_plan(GetWritePlan(relation, FIND_DUPLICATE), &array, NULL,
						 true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not compare the items to put into table \"%s\"",
			 get_rel_name(relation->relid));
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("items to put into table \"%s\" have the same key",
						get_rel_name(relation->relid)),
				 errdetail("There is more than one with key (%s).",
						   SPI_getvalue(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1))));
	SPI_finish();
}

/*-------------------------------------------------------------------------
 * Plans
 *-------------------------------------------------------------------------
 */

static SPIPlanPtr
GetWritePlan(ItemRelation *relation, WriteKind kind)
{
	WritePlans *plans = GetWritePlans(relation);

	if (plans->plans[kind] == NULL)
	{
		Oid		   *argtypes = palloc((relation->shape->tupdesc->natts + 1) * sizeof(Oid));
		int			nargs = 0;
		char	   *sql;
		SPIPlanPtr	plan;

		sql = Deparse(relation, kind, argtypes, &nargs);
		plan = SPI_prepare_cursor(sql, nargs, argtypes,
								  CURSOR_OPT_GENERIC_PLAN);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare a write to table \"%s\": %s",
				 get_rel_name(relation->relid),
				 SPI_result_code_string(SPI_result));
		plans->plans[kind] = plan;
	}
	return plans->plans[kind];
}

/* The relation's plans: new ones, if they were made for another shape or name. */
static WritePlans *
GetWritePlans(ItemRelation *relation)
{
	WritePlans *plans = relation->writeplans;
	char	   *relname = get_rel_name(relation->relid);
	char	   *nspname = get_namespace_name(get_rel_namespace(relation->relid));

	if (plans != NULL &&
		plans->shape_id == relation->shape->id &&
		strcmp(NameStr(plans->relname), relname) == 0 &&
		strcmp(NameStr(plans->nspname), nspname) == 0)
		return plans;

	plans = MemoryContextAllocZero(TopMemoryContext, sizeof(WritePlans));
	plans->shape_id = relation->shape->id;
	namestrcpy(&plans->relname, relname);
	namestrcpy(&plans->nspname, nspname);
	if (relation->writeplans != NULL)
	{
		relation->writeplans->next = Replaced;
		Replaced = relation->writeplans;
	}
	relation->writeplans = plans;
	return plans;
}

static void
FreeReplacedPlans(void)
{
	while (Replaced != NULL)
	{
		WritePlans *plans = Replaced;

		Replaced = plans->next;
		for (int kind = 0; kind < WRITE_KINDS; kind++)
		{
			if (plans->plans[kind] != NULL)
				SPI_freeplan(plans->plans[kind]);
		}
		pfree(plans);
	}
}

/* Was it our relation that the plan wrote?  If not, undo it. */
static void
CheckTarget(ItemRelation *relation, SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));

	if (!list_member_oid(source->relationOids, relation->relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("table \"%s\" was renamed during the write",
						get_rel_name(relation->relid))));
}

/*-------------------------------------------------------------------------
 * Statements
 *-------------------------------------------------------------------------
 */

static char *
Deparse(const ItemRelation *relation, WriteKind kind, Oid *argtypes, int *nargs)
{
	switch (kind)
	{
		case WRITE_DELETE:
			return DeparseDelete(relation, argtypes, nargs);
		case FIND_DUPLICATE:
			return DeparseFindDuplicate(relation, argtypes, nargs);
		default:
			return DeparsePut(relation, kind, argtypes, nargs);
	}
}

/*
 * WRITE_PUT:
 *		INSERT INTO t AS item (columns) OVERRIDING SYSTEM VALUE
 *		VALUES ($1, $2 ...)
 *		ON CONFLICT (key) DO UPDATE SET column = excluded.column ...
 *		WHERE ROW(item.column ...)::record *<> ROW(excluded.column ...)::record
 *
 * WRITE_PUT_MANY takes the rows from unnest($1), in the order of their keys,
 * so that two calls cannot lock the same rows in different orders.
 */
static char *
DeparsePut(const ItemRelation *relation, WriteKind kind, Oid *argtypes,
		   int *nargs)
{
	const ItemShape *shape = relation->shape;
	bool		many = kind == WRITE_PUT_MANY ||
		kind == WRITE_PUT_MANY_NEW_IDENTITY;
	StringInfoData sql;

	initStringInfo(&sql);
	AppendInsert(&sql, relation, kind);
	AppendOnConflict(&sql, relation);

	if (many)
		argtypes[(*nargs)++] = get_array_type(shape->rowtype);
	else
	{
		for (int i = 0; i < shape->tupdesc->natts; i++)
		{
			if (IsWritten(relation, i, kind == WRITE_PUT_NEW_IDENTITY))
				argtypes[(*nargs)++] = TupleDescAttr(shape->tupdesc, i)->atttypid;
		}
	}
	return sql.data;
}

static void
AppendInsert(StringInfo sql, const ItemRelation *relation, WriteKind kind)
{
	const ItemShape *shape = relation->shape;
	bool		many = kind == WRITE_PUT_MANY ||
		kind == WRITE_PUT_MANY_NEW_IDENTITY;
	bool		new_identity = kind == WRITE_PUT_NEW_IDENTITY ||
		kind == WRITE_PUT_MANY_NEW_IDENTITY;
	int			identity = AlwaysIdentity(shape);
	StringInfoData columns;
	StringInfoData values;
	int			n = 0;

	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		const char *separator = n > 0 ? ", " : "";

		if (!IsWritten(relation, i, new_identity))
			continue;
		n++;
		appendStringInfo(&columns, "%s%s", separator, ColumnName(relation, i));
		if (many)
			appendStringInfo(&values, "%sr.%s", separator,
							 ColumnName(relation, i));
		else
			appendStringInfo(&values, "%s$%d", separator, n);
	}

	appendStringInfo(sql, "INSERT INTO %s AS item ", TargetName(relation));
	if (n > 0)
		appendStringInfo(sql, "(%s) ", columns.data);
	if (identity >= 0 && !new_identity)
		appendStringInfoString(sql, "OVERRIDING SYSTEM VALUE ");
	if (!many)
	{
		if (n > 0)
			appendStringInfo(sql, "VALUES (%s)", values.data);
		else
			appendStringInfoString(sql, "DEFAULT VALUES");
		return;
	}
	appendStringInfo(sql, "SELECT %s FROM pg_catalog.unnest($1) r", values.data);
	if (identity >= 0)
		appendStringInfo(sql, " WHERE r.%s IS %sNULL",
						 ColumnName(relation, identity),
						 new_identity ? "" : "NOT ");
	appendStringInfoString(sql, " ORDER BY ");
	AppendKeys(sql, relation, "r.");
}

static void
AppendOnConflict(StringInfo sql, const ItemRelation *relation)
{
	const ItemShape *shape = relation->shape;
	StringInfoData set;
	StringInfoData old;
	StringInfoData new;

	appendStringInfoString(sql, " ON CONFLICT (");
	AppendKeys(sql, relation, "");

	initStringInfo(&set);
	initStringInfo(&old);
	initStringInfo(&new);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		const char *name = ColumnName(relation, i);
		const char *separator = set.len > 0 ? ", " : "";

		if (!IsSet(relation, i))
			continue;
		appendStringInfo(&set, "%s%s = excluded.%s", separator, name, name);
		appendStringInfo(&old, "%sitem.%s", separator, name);
		appendStringInfo(&new, "%sexcluded.%s", separator, name);
	}
	if (set.len == 0)
		appendStringInfoString(sql, ") DO NOTHING");
	else
		appendStringInfo(sql, ") DO UPDATE SET %s "
						 "WHERE ROW(%s)::pg_catalog.record OPERATOR(pg_catalog.*<>) "
						 "ROW(%s)::pg_catalog.record",
						 set.data, old.data, new.data);
}

static char *
DeparseDelete(const ItemRelation *relation, Oid *argtypes, int *nargs)
{
	const ItemShape *shape = relation->shape;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s%s item WHERE ",
					 relation->partitioned ? "" : "ONLY ",
					 TargetName(relation));
	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];

		argtypes[(*nargs)++] = column->basetypid;
		if (i > 0)
			appendStringInfoString(&sql, " AND ");
		generate_operator_clause(&sql,
								 psprintf("item.%s",
										  ColumnName(relation, column->attno - 1)),
								 column->typid, column->eqop,
								 psprintf("$%d", i + 1), column->basetypid);
	}
	return sql.data;
}

/* Keys that are not null, and so are given and not to be computed. */
static char *
DeparseFindDuplicate(const ItemRelation *relation, Oid *argtypes, int *nargs)
{
	const ItemShape *shape = relation->shape;
	StringInfoData sql;

	argtypes[(*nargs)++] = get_array_type(shape->rowtype);
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.concat_ws(', ', ");
	AppendKeys(&sql, relation, "r.");
	appendStringInfoString(&sql, ") FROM pg_catalog.unnest($1) r WHERE ");
	for (int i = 0; i < shape->nkeys; i++)
		appendStringInfo(&sql, "%sr.%s IS NOT NULL", i > 0 ? " AND " : "",
						 ColumnName(relation, shape->keys[i].attno - 1));
	appendStringInfoString(&sql, " GROUP BY ");
	AppendKeys(&sql, relation, "r.");
	appendStringInfoString(&sql,
						   " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1");
	return sql.data;
}

/* The columns of the key, with commas, each after "qualifier". */
static void
AppendKeys(StringInfo sql, const ItemRelation *relation, const char *qualifier)
{
	const ItemShape *shape = relation->shape;

	for (int i = 0; i < shape->nkeys; i++)
		appendStringInfo(sql, "%s%s%s", i > 0 ? ", " : "", qualifier,
						 ColumnName(relation, shape->keys[i].attno - 1));
}

static char *
TargetName(const ItemRelation *relation)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation->relid)),
									  get_rel_name(relation->relid));
}

static const char *
ColumnName(const ItemRelation *relation, int i)
{
	return quote_identifier(NameStr(TupleDescAttr(relation->shape->tupdesc, i)->attname));
}

/* Is a column in the list of the INSERT? */
static bool
IsWritten(const ItemRelation *relation, int i, bool new_identity)
{
	Form_pg_attribute att = TupleDescAttr(relation->shape->tupdesc, i);

	return !att->attisdropped && att->attgenerated == '\0' &&
		!(new_identity && att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS);
}

/* Is a column set by the UPDATE? */
static bool
IsSet(const ItemRelation *relation, int i)
{
	Form_pg_attribute att = TupleDescAttr(relation->shape->tupdesc, i);

	return IsWritten(relation, i, false) && !IsKey(relation, i) &&
		att->attidentity != ATTRIBUTE_IDENTITY_ALWAYS;
}

static bool
IsKey(const ItemRelation *relation, int i)
{
	for (int k = 0; k < relation->shape->nkeys; k++)
	{
		if (relation->shape->keys[k].attno == i + 1)
			return true;
	}
	return false;
}

/* Index of the GENERATED ALWAYS AS IDENTITY column, or -1. */
static int
AlwaysIdentity(const ItemShape *shape)
{
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

		if (!att->attisdropped &&
			att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
			return i;
	}
	return -1;
}

/*-------------------------------------------------------------------------
 * Asynchronous commit
 *-------------------------------------------------------------------------
 */

static void
NoteAsyncWrite(void)
{
	int			level = GetCurrentTransactionNestLevel();

	if (AsyncLevel == 0 || level < AsyncLevel)
		AsyncLevel = level;
}

/*
 * A transaction that is prepared stays synchronous: it may not be lost between
 * its PREPARE and another database's.  remote_write and remote_apply are a
 * wish for more than the local disk, and are left alone.
 */
static void
XactCallbackFn(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (AsyncLevel > 0 && itemcache_async_put &&
				(synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_FLUSH ||
				 synchronous_commit == SYNCHRONOUS_COMMIT_LOCAL_FLUSH))
				(void) set_config_option("synchronous_commit", "off",
										 PGC_USERSET, PGC_S_SESSION,
										 GUC_ACTION_LOCAL, true, 0, false);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			AsyncLevel = 0;
			FreeReplacedPlans();
			break;
		default:
			break;
	}
}

static void
SubXactCallbackFn(SubXactEvent event, SubTransactionId subid,
				  SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_COMMIT_SUB && AsyncLevel == level)
		AsyncLevel = level - 1;
	else if (event == SUBXACT_EVENT_ABORT_SUB && AsyncLevel >= level)
		AsyncLevel = 0;
}
