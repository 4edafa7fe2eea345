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
#include "table/uniquekey.h"

typedef struct CallSite
{
	Oid			relid;
	ItemRelation *relation;		/* NULL until it has been opened */
	Oid			function;
	Oid			keytype;		/* of one key; InvalidOid if there is none */
	KeyConverter *converter;	/* NULL if the function takes no key */
	bool		by_columns;
	bool		kept;			/* for other statements, too */
	/* of a function that is given the columns of its key: */
	MemoryContext context;		/* of "columns" */
	text	   *columns;		/* the last ones; NULL: none yet */
	bool		lasting;		/* do they mean the same with any search_path? */
	uint64		described;		/* relation->described when they were looked up */
	UniqueKey  *unique;			/* what they named; NULL: the primary key */
} CallSite;

/* What a function's arguments are, besides the row type. */
#define CALL_OF_ARRAY	0x01	/* an array of the row type, in its place */
#define CALL_BY_COLUMNS 0x02	/* argument 1 are the columns of the key */
#define CALL_OF_KEYS	0x04	/* the key, which is next, is an array of keys */

/*
 * The call site, made at the first call: argument 0 has the row type, and the
 * next ones are what "flags" say; the key is there if there is an argument for it.
 * Lives in flinfo->fn_extra.
 *
 * Raises ERRCODE_DATATYPE_MISMATCH if argument 0 is no table's row.
 */
extern CallSite *GetCallSite(FunctionCallInfo fcinfo, int flags);

/*
 * The relation of a call site, by RefreshItemRelation(), checked to be a table
 * with a primary key that can be looked up.
 */
extern ItemRelation *OpenCallSite(CallSite *site);

/*
 * Of a call site that is open, the unique key that "columns" names
 * (FindNamedKey()): as of now, for the relation as it is described.
 */
extern UniqueKey *CallSiteKey(CallSite *site, text *columns);

/* Are these the columns it was given last; and is site->unique what they name? */
static inline bool
CallSiteHasColumns(const CallSite *site, const text *columns)
{
	return site->columns != NULL &&
		VARSIZE_ANY_EXHDR(columns) == VARSIZE_ANY_EXHDR(site->columns) &&
		memcmp(VARDATA_ANY(columns), VARDATA_ANY(site->columns),
			   VARSIZE_ANY_EXHDR(columns)) == 0;
}

static inline bool
CallSiteKnowsKey(const CallSite *site, const text *columns)
{
	return site->described == site->relation->described &&
		CallSiteHasColumns(site, columns);
}

#endif							/* ITEMCACHE_CALLSITE_H */
