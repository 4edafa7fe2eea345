/*-------------------------------------------------------------------------
 *
 * callsite.h
 *	  What a call site of an SQL function that names its table by a row type
 *	  remembers from call to call: the table, and how to read its keys.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_CALLSITE_H
#define ITEMCACHE_CALLSITE_H

#include "fmgr.h"
#include "table/keyarg.h"
#include "table/relation.h"

typedef struct CallSite
{
	Oid			relid;
	ItemRelation *relation;		/* NULL until it has been opened */
	Oid			function;
	Oid			keytype;		/* of one key; InvalidOid if there is none */
	KeyConverter *converter;	/* NULL if the function takes no key */
} CallSite;

/*
 * The call site, made at the first call: argument 0 has the row type or, with
 * "of_array", an array of it; argument 1, if there is one, is a key, or with
 * "of_keys" an array of keys.  Lives in flinfo->fn_extra.
 *
 * Raises ERRCODE_DATATYPE_MISMATCH if argument 0 is no table's row.
 */
extern CallSite *GetCallSite(FunctionCallInfo fcinfo, bool of_array, bool of_keys);

/*
 * The relation of a call site, by RefreshItemRelation(), checked to be a table
 * with a primary key that can be looked up.
 */
extern ItemRelation *OpenCallSite(CallSite *site);

#endif							/* ITEMCACHE_CALLSITE_H */
