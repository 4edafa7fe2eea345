/*-------------------------------------------------------------------------
 *
 * write.c
 *	  put(), put_many() and delete(), and the asynchronous commit of
 *	  transactions that used them.
 *
 * They are the table's own INSERT ... ON CONFLICT DO UPDATE and DELETE, run
 * through a saved plan for each relation (write_exec.c), and so have all that
 * these imply: privileges, row-level security, constraints, triggers, partition
 * routing.  The cache learns of them as of any other write, by its trigger.
 *
 * itemcache.async_put does not delay anything by itself: it lowers
 * synchronous_commit for the transaction, at commit, if a call that was made
 * under it has not been rolled back.
 *
 * May call: callsite, write_exec, write_plan, privilege, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "settings.h"
#include "table/callsite.h"
#include "table/privilege.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"
#include "write/write.h"
#include "write/write_exec.h"
#include "write/write_plan.h"

/* One of many items, with the first column of its key. */
typedef struct PutItem
{
	HeapTupleHeader item;
	Datum		key;
	bool		isnull;
} PutItem;

/* How they are compared. */
typedef struct PutOrder
{
	const ItemShape *shape;
	SortSupportData columns[INDEX_MAX_KEYS];
} PutOrder;

/*
 * Lowest nesting level of a call under async_put that has not been rolled
 * back; 0 if there is none.  Should that level roll back, so do those above.
 */
static int	AsyncLevel = 0;

PG_FUNCTION_INFO_V1(itemcache_put);
PG_FUNCTION_INFO_V1(itemcache_put_many);
PG_FUNCTION_INFO_V1(itemcache_delete);

static ItemRelation *OpenForItems(CallSite *site, Oid rowtype);
static ItemRelation *OpenForWrite(CallSite *site);
static void RefuseItem(const ItemRelation *relation);
static void CheckItem(const ItemRelation *relation, HeapTupleHeader item);
static void CheckIdentity(const ItemRelation *relation, HeapTupleHeader item);
static bool WantsIdentity(const ItemRelation *relation, HeapTupleHeader item);
static HeapTupleHeader *SortItems(const ItemRelation *relation,
								  ArrayType *items, int *nitems);
static inline int ComparePutItems(const PutItem *x, const PutItem *y,
								  PutOrder *order);
static Datum ItemKeyColumn(const ItemShape *shape, HeapTupleHeader item,
						   int i, bool *isnull);
static void RefuseDuplicate(const ItemRelation *relation,
							HeapTupleHeader item);
static void NoteAsyncWrite(void);
static void XactCallbackFn(XactEvent event, void *arg);
static void SubXactCallbackFn(SubXactEvent event, SubTransactionId subid,
							  SubTransactionId parent, void *arg);

void
WriteInit(void)
{
	WritePlansInit();
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
	CallSite   *site = GetCallSite(fcinfo, 0);
	ItemRelation *relation;
	HeapTupleHeader item;

	relation = OpenForItems(site, get_fn_expr_argtype(fcinfo->flinfo, 0));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("item to put must not be null"),
				 errhint("Use itemcache.delete() to delete an item.")));

	item = PG_GETARG_HEAPTUPLEHEADER(0);
	CheckItem(relation, item);
	(void) ExecutePut(relation, &item, 1, WantsIdentity(relation, item));
	NoteAsyncWrite();
	PG_RETURN_VOID();
}

/*
 * Items whose identity is to be computed need another column list, and so
 * another statement, than those that have it.  The order of the keys is kept
 * all the same; mostly they are all of one kind.
 */
Datum
itemcache_put_many(PG_FUNCTION_ARGS)
{
	CallSite   *site = GetCallSite(fcinfo, CALL_OF_ARRAY);
	ItemRelation *relation;
	const ItemShape *shape;
	ArrayType  *items;
	HeapTupleHeader *sorted;
	int			nsorted;
	int			i = 0;
	uint64		count = 0;

	relation = OpenForItems(site,
							get_element_type(get_fn_expr_argtype(fcinfo->flinfo, 0)));
	if (PG_ARGISNULL(0))
		PG_RETURN_INT64(0);
	items = PG_GETARG_ARRAYTYPE_P(0);
	if (array_contains_nulls(items))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("items to put must not be null")));
	/* of each item: the caller's, the array's, and the new version */
	KeepMemory(8 * VARSIZE(items));
	shape = relation->shape;
	sorted = SortItems(relation, items, &nsorted);
	KeepToShape(relation, shape);
	do
	{
		bool		new_identity = i < nsorted && WantsIdentity(relation, sorted[i]);
		int			n = 0;

		while (i + n < nsorted &&
			   WantsIdentity(relation, sorted[i + n]) == new_identity)
			n++;
		count += ExecutePut(relation, sorted + i, n, new_identity);
		i += n;
	} while (i < nsorted);
	NoteAsyncWrite();
	PG_RETURN_INT64((int64) count);
}

Datum
itemcache_delete(PG_FUNCTION_ARGS)
{
	CallSite   *site = GetCallSite(fcinfo, 0);
	ItemRelation *relation = OpenForWrite(site);
	UniqueKey  *primary = NULL;
	Datum		key[INDEX_MAX_KEYS];

	if (PG_ARGISNULL(1) ||
		!ConvertKey(site->converter, relation, &primary, PG_GETARG_DATUM(1),
					key) ||
		ExecuteDelete(relation, key) == 0)
		PG_RETURN_BOOL(false);
	NoteAsyncWrite();
	PG_RETURN_BOOL(true);
}

/*
 * Items can be older than the relation's shape: made while we waited for the
 * lock that ALTER TABLE held, kept in a variable, or folded into a cached plan,
 * which does not know that it depends on the relation.  Columns that were
 * added or dropped since do no harm: to an item, as to an old row, they have
 * their default or are not there.  But a value must not be taken for one of
 * another type.  Here we find what changed while we wait, by the shape that
 * the relation was known to have, or else the row type; CheckItem() what did
 * before, as far as it would make us read or store what is no value at all.
 */
static ItemRelation *
OpenForItems(CallSite *site, Oid rowtype)
{
	ItemRelation *relation = FindItemRelation(site->relid);
	TupleDesc	before = NULL;
	TupleDesc	after;
	bool		pinned = false;

	if (relation->valid)
		before = relation->shape->tupdesc;
	else if (!ItemRelationIsLocked(site->relid))
	{
		before = lookup_rowtype_tupdesc(rowtype, -1);
		pinned = true;
	}
	relation = OpenForWrite(site);
	after = relation->shape->tupdesc;
	if (before == NULL || before == after)
		return relation;

	for (int i = 0; i < before->natts; i++)
	{
		Form_pg_attribute new = TupleDescAttr(after, i);

		if (!new->attisdropped &&
			new->atttypid != TupleDescAttr(before, i)->atttypid)
			RefuseItem(relation);
	}
	if (pinned)
		ReleaseTupleDesc(before);
	return relation;
}

static ItemRelation *
OpenForWrite(CallSite *site)
{
	ItemRelation *relation;

	LockItemRelationForWrite(FindItemRelation(site->relid));
	relation = OpenCallSite(site);
	/* all else the statement asks for, but its names are found once a session */
	CheckSchemaPrivilege(relation->namespace);
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
	CheckIdentity(relation, item);
}

/*
 * The statements compute all GENERATED ALWAYS identities of a row or none; of a
 * table that has several, an item must not want some of each.
 */
static void
CheckIdentity(const ItemRelation *relation, HeapTupleHeader item)
{
	TupleDesc	tupdesc = relation->shape->tupdesc;
	int			first = relation->shape->identity;
	bool		wanted;
	HeapTupleData tuple;

	if (first < 0)
		return;
	wanted = WantsIdentity(relation, item);
	tuple.t_len = HeapTupleHeaderGetDatumLength(item);
	tuple.t_data = item;
	for (int i = first + 1; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped &&
			att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS &&
			heap_attisnull(&tuple, i + 1, tupdesc) != wanted)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("item to put has only some of the identity columns of table \"%s\"",
							get_rel_name(relation->relid)),
					 errhint("Give all of the GENERATED ALWAYS identity columns, or none.")));
	}
}

/* Has the relation a GENERATED ALWAYS identity, and is the item's to be computed? */
static bool
WantsIdentity(const ItemRelation *relation, HeapTupleHeader item)
{
	int			identity = relation->shape->identity;
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(item);
	tuple.t_data = item;
	return identity >= 0 &&
		heap_attisnull(&tuple, identity + 1, relation->shape->tupdesc);
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

/*-------------------------------------------------------------------------
 * Many items
 *-------------------------------------------------------------------------
 */

static inline int
ComparePutItems(const PutItem *x, const PutItem *y, PutOrder *order)
{
	const ItemShape *shape = order->shape;
	Datum		xkey = x->key;
	Datum		ykey = y->key;
	bool		xisnull = x->isnull;
	bool		yisnull = y->isnull;

	for (int i = 0;;)
	{
		int			result;

		if (xisnull && yisnull)
			return x->item < y->item ? -1 : 1;	/* as they were given */
		if (xisnull || yisnull)
			return xisnull ? 1 : -1;
		result = order->columns[i].comparator(xkey, ykey, &order->columns[i]);
		if (result != 0 || ++i == shape->nkeys)
			return result;
		xkey = ItemKeyColumn(shape, x->item, i, &xisnull);
		ykey = ItemKeyColumn(shape, y->item, i, &yisnull);
	}
}

#define ST_SORT SortPutItems
#define ST_ELEMENT_TYPE PutItem
#define ST_COMPARE(x, y, order) ComparePutItems(x, y, order)
#define ST_COMPARE_ARG_TYPE PutOrder
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * The items, checked, in the order of their keys, so that two calls cannot lock
 * the same rows in different orders.  Two of one key are refused: the statement
 * would let them pass if the first of the two changes nothing, and which is the
 * first is not defined.  Keys with a NULL, and those that the row will have
 * computed, come last, as they were given, and are no duplicates to us.
 *
 * The functions that compare may be the user's: the caller has to look at the
 * relation again.
 */
static HeapTupleHeader *
SortItems(const ItemRelation *relation, ArrayType *items, int *nitems)
{
	const ItemShape *shape = relation->shape;
	Datum	   *elements;
	PutItem    *sorted;
	PutOrder	order = {.shape = shape};	/* the rest is zero, as it must be */
	HeapTupleHeader *result;
	int			n;

	deconstruct_array(items, shape->rowtype, -1, false, TYPALIGN_DOUBLE,
					  &elements, NULL, &n);
	sorted = palloc(n * sizeof(PutItem));
	for (int i = 0; i < n; i++)
	{
		sorted[i].item = DatumGetHeapTupleHeader(elements[i]);
		CheckItem(relation, sorted[i].item);
		sorted[i].key = ItemKeyColumn(shape, sorted[i].item, 0,
									  &sorted[i].isnull);
	}

	for (int i = 0; i < shape->nkeys; i++)
	{
		order.columns[i].ssup_cxt = CurrentMemoryContext;
		order.columns[i].ssup_collation = shape->keys[i].collation;
		PrepareSortSupportFromOrderingOp(shape->keys[i].ltop,
										 &order.columns[i]);
	}
	SortPutItems(sorted, n, &order);

	result = palloc(n * sizeof(HeapTupleHeader));
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && ComparePutItems(&sorted[i - 1], &sorted[i], &order) == 0)
			RefuseDuplicate(relation, sorted[i].item);
		result[i] = sorted[i].item;
	}
	*nitems = n;
	return result;
}

/* Column "i" of an item's key; NULL if it is yet to be computed. */
static Datum
ItemKeyColumn(const ItemShape *shape, HeapTupleHeader item, int i,
			  bool *isnull)
{
	AttrNumber	attno = shape->keys[i].attno;
	HeapTupleData tuple;

	if (TupleDescAttr(shape->tupdesc, attno - 1)->attgenerated != '\0')
	{
		*isnull = true;
		return (Datum) 0;
	}
	tuple.t_len = HeapTupleHeaderGetDatumLength(item);
	tuple.t_data = item;
	return heap_getattr(&tuple, attno, shape->tupdesc, isnull);
}

static void
RefuseDuplicate(const ItemRelation *relation, HeapTupleHeader item)
{
	const ItemShape *shape = relation->shape;
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < shape->nkeys; i++)
	{
		Oid			outproc;
		bool		isvarlena;
		bool		isnull;
		Datum		value = ItemKeyColumn(shape, item, i, &isnull);

		getTypeOutputInfo(shape->keys[i].typid, &outproc, &isvarlena);
		appendStringInfo(&key, "%s%s", i > 0 ? ", " : "",
						 OidOutputFunctionCall(outproc, value));
	}
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("items to put into table \"%s\" have the same key",
					get_rel_name(relation->relid)),
			 errdetail("There is more than one with key (%s).", key.data)));
}

/*-------------------------------------------------------------------------
 * Asynchronous commit
 *-------------------------------------------------------------------------
 */

/* Also of a put that changed nothing: it has locked the row, and so commits. */
static void
NoteAsyncWrite(void)
{
	int			level = GetCurrentTransactionNestLevel();

	if (!itemcache_async_put)
		return;
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
