/*-------------------------------------------------------------------------
 *
 * callsite.c
 *	  What a call site of an SQL function that names its table by a row type
 *	  remembers from call to call: the table, and how to read its keys.
 *
 * May call: keyarg, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "callsite.h"
#include "itemcache.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static Oid	RowTypeOfArgument(FunctionCallInfo fcinfo, bool of_array);

CallSite *
GetCallSite(FunctionCallInfo fcinfo, bool of_array, bool of_keys)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	CallSite   *site = flinfo->fn_extra;
	Oid			rowtype;

	if (site != NULL)
		return site;

	RequirePreloaded();
	rowtype = RowTypeOfArgument(fcinfo, of_array);
	site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(CallSite));
	site->relid = get_typ_typrelid(rowtype);
	if (!OidIsValid(site->relid))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s is not the row type of a table",
						format_type_be(rowtype)),
				 errhint("Give a row, or NULL, of the table's own type: NULL::tablename.")));
	if (PG_NARGS() > 1)
	{
		Oid			keytype = get_fn_expr_argtype(flinfo, 1);

		if (of_keys)
			keytype = get_element_type(keytype);
		site->converter = MakeKeyConverter(keytype, flinfo->fn_mcxt);
	}
	flinfo->fn_extra = site;
	return site;
}

static Oid
RowTypeOfArgument(FunctionCallInfo fcinfo, bool of_array)
{
	Oid			argtype = get_fn_expr_argtype(fcinfo->flinfo, 0);

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

	if (relation == NULL)
		relation = site->relation = ItemRelationForRead(site->relid, false);
	else
		RefreshItemRelation(relation, false);

	if (relation->fitness == RELATION_WRONG_KIND)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", get_rel_name(site->relid)),
				 errhint("Items are rows of a table or partitioned table.")));
	if (!OidIsValid(relation->pkindex))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key",
						get_rel_name(site->relid)),
				 errhint("Items are looked up by primary key: add one with ALTER TABLE.")));
	if (!relation->key_usable)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("primary key of table \"%s\" is not a btree index",
						get_rel_name(site->relid))));
	return relation;
}
