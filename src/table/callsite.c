/*-------------------------------------------------------------------------
 *
 * callsite.c
 *	  What a call site of an SQL function that names its table by a row type
 *	  remembers from call to call: the table, and how to read its keys.
 *
 * May call: keyarg, keyname, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/primnodes.h"
#include "settings.h"
#include "table/callsite.h"
#include "table/keyname.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * A statement that is executed again is a new call site each time, and making
 * one costs more than a lookup.  So call sites of the usual kinds are kept for
 * later statements, under the row type, the function, and the columns it is given,
 * if it is.  These stay: a statement that gives others takes another site.  A site
 * is not freed when the table's shape changes and another takes its place, since
 * running statements may point to it.  Where the place is taken by another table,
 * call sites are made as ever.
 */
#define KEPT_SITES		64

typedef struct KeptSite
{
	Oid			rowtype;
	Oid			function;
	uint64		shape_id;		/* for which it is known to do */
	CallSite   *site;
} KeptSite;

static KeptSite KeptSites[KEPT_SITES];

static KeptSite *KeptSiteFor(Oid rowtype, Oid function, const text *columns);
static bool IsKept(const KeptSite *kept, Oid rowtype, Oid function,
				   const text *columns);
static void KeepCallSite(const CallSite *site);
static bool CanBeKept(const CallSite *site);
static text *CopyText(const text *from, MemoryContext context);
static void RequireItems(const ItemRelation *relation);
static Oid	RowTypeOfArgument(FmgrInfo *flinfo, bool of_array);

CallSite *
GetCallSite(FunctionCallInfo fcinfo, int flags)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	CallSite   *site = flinfo->fn_extra;
	Oid			rowtype;
	Oid			keytype = InvalidOid;
	int			keyarg = (flags & CALL_BY_COLUMNS) != 0 ? 2 : 1;
	text	   *columns = NULL;
	KeptSite   *kept;

	if (site != NULL && !(site->kept && site->by_columns))
		return site;
	if ((flags & CALL_BY_COLUMNS) != 0)
		columns = PG_GETARG_TEXT_PP(1);
	if (site != NULL && CallSiteHasColumns(site, columns))
		return site;

	rowtype = RowTypeOfArgument(flinfo, (flags & CALL_OF_ARRAY) != 0);
	kept = KeptSiteFor(rowtype, flinfo->fn_oid, columns);
	if (IsKept(kept, rowtype, flinfo->fn_oid, columns))
	{
		flinfo->fn_extra = kept->site;
		return kept->site;
	}

	if (PG_NARGS() > keyarg)
	{
		keytype = get_fn_expr_argtype(flinfo, keyarg);
		if ((flags & CALL_OF_KEYS) != 0)
			keytype = get_element_type(keytype);
	}
	RequirePreloaded();
	site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(CallSite));
	site->relid = get_typ_typrelid(rowtype);
	if (!OidIsValid(site->relid))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s is not the row type of a table",
						format_type_be(rowtype)),
				 PG_NARGS() > 1 ?
				 errhint("Give a row, or NULL, of the table's own type: NULL::tablename.") :
				 errhint("Give rows of the table's own type: ROW(...)::tablename.")));
	site->function = flinfo->fn_oid;
	site->keytype = keytype;
	site->by_columns = columns != NULL;
	site->context = flinfo->fn_mcxt;
	if (PG_NARGS() > keyarg)
		site->converter = MakeKeyConverter(keytype, flinfo->fn_mcxt);
	flinfo->fn_extra = site;
	return site;
}

static Oid
RowTypeOfArgument(FmgrInfo *flinfo, bool of_array)
{
	Oid			argtype = InvalidOid;

	/* the usual case: a constant, NULL::tablename, of a plain call */
	if (flinfo->fn_expr != NULL && IsA(flinfo->fn_expr, FuncExpr))
	{
		Node	   *arg = linitial(((FuncExpr *) flinfo->fn_expr)->args);

		if (IsA(arg, Const))
			argtype = ((Const *) arg)->consttype;
	}
	if (!OidIsValid(argtype))
		argtype = get_fn_expr_argtype(flinfo, 0);

	if (OidIsValid(argtype) && of_array)
		argtype = get_element_type(argtype);
	if (!OidIsValid(argtype))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the row type")));
	return argtype;
}

ItemRelation *
OpenCallSite(CallSite *site)
{
	ItemRelation *relation = site->relation;
	bool		first = relation == NULL;

	if (relation == NULL)
		relation = site->relation = ItemRelationForRead(site->relid, false);
	else
		RefreshItemRelation(relation, false);

	if (relation->state != RELATION_SERVED)
		RequireItems(relation);
	if (first && !site->by_columns)
		KeepCallSite(site);
	return relation;
}

UniqueKey *
CallSiteKey(CallSite *site, text *columns)
{
	UniqueKey  *unique;
	bool		first = site->columns == NULL;
	bool		lasting;

	if (CallSiteKnowsKey(site, columns))
		return site->unique;
	unique = FindNamedKey(site->relation, text_to_cstring(columns), &lasting);
	if (!CallSiteHasColumns(site, columns))
	{
		text	   *copy = CopyText(columns, site->context);

		if (!first)
			pfree(site->columns);
		site->columns = copy;
	}
	site->lasting = lasting;
	site->unique = unique;
	site->described = site->relation->described;
	if (first)
		KeepCallSite(site);
	return unique;
}

static text *
CopyText(const text *from, MemoryContext context)
{
	Size		size = VARSIZE_ANY(from);
	text	   *copy = MemoryContextAlloc(context, size);

	memcpy(copy, from, size);
	return copy;
}

/* Is the relation, which may not be attached, one that has items? */
static void
RequireItems(const ItemRelation *relation)
{
	if (relation->fitness == RELATION_WRONG_KIND)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", get_rel_name(relation->relid)),
				 errhint("Items are rows of a table or partitioned table.")));
	if (!OidIsValid(relation->pk.oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key",
						get_rel_name(relation->relid)),
				 errhint("Items are looked up by primary key: add one with ALTER TABLE.")));
	if (!relation->pk.usable)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("primary key of table \"%s\" is not a btree index",
						get_rel_name(relation->relid))));
}

static KeptSite *
KeptSiteFor(Oid rowtype, Oid function, const text *columns)
{
	uint32		number = rowtype ^ (function << 2);

	if (columns != NULL)
		number ^= hash_bytes((const unsigned char *) VARDATA_ANY(columns),
							 VARSIZE_ANY_EXHDR(columns));
	return &KeptSites[number % KEPT_SITES];
}

/*
 * Is that what is kept there, and is it still good?  The columns may since have
 * come to name an expression: what that is depends on the search_path.
 */
static bool
IsKept(const KeptSite *kept, Oid rowtype, Oid function, const text *columns)
{
	const CallSite *site = kept->site;

	return kept->rowtype == rowtype && kept->function == function &&
		site->relation->valid && site->relation->shape->id == kept->shape_id &&
		(columns == NULL ||
		 (site->lasting && CallSiteHasColumns(site, columns)));
}

/* Keep a copy of a call site. */
static void
KeepCallSite(const CallSite *site)
{
	const ItemShape *shape = site->relation->shape;
	KeptSite   *kept = KeptSiteFor(shape->rowtype, site->function, site->columns);
	CallSite   *copy;

	if (!CanBeKept(site))
		return;
	if (kept->site != NULL &&
		(kept->rowtype != shape->rowtype ||
		 kept->function != site->function || kept->shape_id == shape->id ||
		 (site->by_columns &&
		  !CallSiteHasColumns(kept->site, site->columns))))
		return;

	copy = MemoryContextAlloc(CacheMemoryContext, sizeof(CallSite));
	*copy = *site;
	copy->kept = true;
	copy->context = CacheMemoryContext;
	if (site->by_columns)
		copy->columns = CopyText(site->columns, CacheMemoryContext);
	if (site->converter != NULL)
		copy->converter = MakeKeyConverter(site->keytype, CacheMemoryContext);
	kept->rowtype = shape->rowtype;
	kept->function = site->function;
	kept->shape_id = shape->id;
	kept->site = copy;
}

/*
 * Has it no key, or one that is read by functions that cannot change nor go
 * away, and call none of the user's?
 */
static bool
CanBeKept(const CallSite *site)
{
	const ItemShape *shape = site->unique != NULL ? site->unique->shape :
		site->relation->shape;
	Oid			basetype = shape->keys[0].basetypid;

	if (site->converter == NULL)
		return true;
	if (site->by_columns && !site->lasting)
		return false;
	return shape->nkeys == 1 && TypeIsPlain(basetype) &&
		(site->keytype == basetype || site->keytype == TEXTOID ||
		 (site->keytype == INT8OID &&
		  (basetype == INT4OID || basetype == INT2OID)));
}
