/*-------------------------------------------------------------------------
 *
 * keyname.c
 *	  From the columns that a caller names to the unique index of them.
 *
 * What is named is what a SELECT would have in its WHERE: each column or
 * expression = a value, and the predicate.  So only indexes are meant whose
 * equality is that of "=", under the column's own collation.  Of several of the
 * same columns, which differ in nothing that matters, the oldest is taken.
 *
 * A partial index has to be named with its predicate.  Without that, what is
 * asked for would be a row among all rows, which it does not know; and which rows
 * are meant must not depend on which indexes there are.
 *
 * May call: uniquekey, relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/transam.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "table/keyname.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The names as they were given. */
typedef struct GivenName
{
	int			ncolumns;
	char	   *columns[INDEX_MAX_KEYS];
	const char *predicate;		/* NULL: none */
} GivenName;

static void ParseName(const char *text, GivenName *name);
static const char *EndOfList(const char *text);
static void ParseList(char *list, GivenName *name);
static UniqueKey *LookForKey(ItemRelation *relation, const char *columns,
							 bool *lasting, bool *found);
static bool IsNamed(const GivenName *name, const ItemShape *shape, Oid index,
					bool partial, bool *lasting);
static bool ColumnIsNamed(const ItemShape *shape, Oid index, int i,
						  const char *name);
static char *ExpressionText(Oid index, int i, bool pretty);
static char *PredicateText(Oid index, bool pretty);
static UniqueKey *NextNamedKey(ItemRelation *relation, Oid after);
static bool IsUsual(const ItemShape *shape);
static void RefuseName(ItemRelation *relation, const char *columns);
static List *ListOfNames(const char *array);
static char *ArrayOfNames(const List *names);
static bool CanBeLoaded(const UniqueKey *unique);
static bool CallsUsers(Node *node, void *context);
static bool IsUsers(Oid function, void *context);
static int	BeginFixedPath(void);

UniqueKey *
FindNamedKey(ItemRelation *relation, const char *columns, bool *lasting)
{
	UniqueKey  *unique;
	bool		found;

	unique = LookForKey(relation, columns, lasting, &found);
	if (!found)
		RefuseName(relation, columns);
	return unique;
}

static UniqueKey *
LookForKey(ItemRelation *relation, const char *columns, bool *lasting,
		   bool *found)
{
	GivenName	name;
	UniqueKey  *unique;

	ParseName(columns, &name);
	*found = true;
	if (IsNamed(&name, relation->shape, relation->pk.oid, false, lasting))
		return NULL;
	unique = NextNamedKey(relation, InvalidOid);
	while (unique != NULL &&
		   !IsNamed(&name, unique->shape, unique->index.oid,
					unique->predicate != NULL, lasting))
		unique = NextNamedKey(relation, unique->index.oid);
	*found = unique != NULL;
	return unique;
}

/* The next after the index "after" that can be named, in the order of OIDs. */
static UniqueKey *
NextNamedKey(ItemRelation *relation, Oid after)
{
	UniqueKey  *next = NULL;

	for (UniqueKey *unique = UniqueKeysOf(relation); unique != NULL;
		 unique = unique->next)
	{
		if (unique->described == relation->described && unique->eligible &&
			unique->index.oid > after && IsUsual(unique->shape) &&
			(next == NULL || unique->index.oid < next->index.oid))
			next = unique;
	}
	return next;
}

/* column, or {column,...}, and then maybe WHERE predicate */
static void
ParseName(const char *text, GivenName *name)
{
	const char *end;

	while (*text == ' ')
		text++;
	memset(name, 0, sizeof(GivenName));
	if (*text == '{')
		end = EndOfList(text);
	else
	{
		end = strstr(text, " WHERE ");
		if (end == NULL)
			end = text + strlen(text);
	}
	if (*text == '{')
		ParseList(pnstrdup(text, end - text), name);
	else
		name->columns[name->ncolumns++] = pnstrdup(text, end - text);
	while (*end == ' ')
		end++;
	if (pg_strncasecmp(end, "WHERE ", 6) == 0)
		name->predicate = end + 6;
	else if (*end != '\0')
		name->ncolumns = 0;		/* nothing is called that */
}

/* After the brace that closes an array; where there is none, the end. */
static const char *
EndOfList(const char *text)
{
	bool		quoted = false;

	for (; *text != '\0'; text++)
	{
		if (*text == '\\' && text[1] != '\0')
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (*text == '}' && !quoted)
			return text + 1;
	}
	return text;
}

static void
ParseList(char *list, GivenName *name)
{
	List	   *names = ListOfNames(list);
	ListCell   *lc;

	if (list_length(names) > INDEX_MAX_KEYS)
		return;
	foreach(lc, names)
		name->columns[name->ncolumns++] = lfirst(lc);
}

/* The elements of an array's text; NULL is nobody's name, as the empty one. */
static List *
ListOfNames(const char *array)
{
	Datum		value = OidInputFunctionCall(F_ARRAY_IN,
											 unconstify(char *, array),
											 TEXTOID, -1);
	Datum	   *values;
	bool	   *nulls;
	int			nvalues;
	List	   *names = NIL;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, &nvalues);
	for (int i = 0; i < nvalues; i++)
	{
		names = lappend(names, nulls[i] ? pstrdup("") :
						TextDatumGetCString(values[i]));
	}
	return names;
}

static char *
ArrayOfNames(const List *names)
{
	Datum	   *values = palloc((list_length(names) + 1) * sizeof(Datum));
	ArrayType  *array;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, names)
		values[n++] = CStringGetTextDatum(lfirst(lc));
	array = construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT);
	return OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(array));
}

static bool
IsNamed(const GivenName *name, const ItemShape *shape, Oid index, bool partial,
		bool *lasting)
{
	if (name->ncolumns == 0 || name->ncolumns != shape->nkeys ||
		(name->predicate != NULL) != partial)
		return false;
	*lasting = !partial;
	for (int i = 0; i < shape->nkeys; i++)
	{
		if (shape->keys[i].attno == InvalidAttrNumber)
			*lasting = false;
		if (!ColumnIsNamed(shape, index, i, name->columns[i]))
			return false;
	}
	return !partial ||
		strcmp(name->predicate, PredicateText(index, true)) == 0 ||
		strcmp(name->predicate, PredicateText(index, false)) == 0;
}

static bool
ColumnIsNamed(const ItemShape *shape, Oid index, int i, const char *name)
{
	AttrNumber	attno = shape->keys[i].attno;

	if (attno != InvalidAttrNumber)
		return strcmp(name, NameStr(TupleDescAttr(shape->tupdesc,
												  attno - 1)->attname)) == 0;
	return strcmp(name, ExpressionText(index, i, true)) == 0 ||
		strcmp(name, ExpressionText(index, i, false)) == 0;
}

/* Column "i" of an index; empty if that has gone. */
static char *
ExpressionText(Oid index, int i, bool pretty)
{
	LOCAL_FCINFO(fcinfo, 3);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, NULL, 3, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(index);
	fcinfo->args[1].value = Int32GetDatum(i + 1);
	fcinfo->args[2].value = BoolGetDatum(pretty);
	for (int arg = 0; arg < 3; arg++)
		fcinfo->args[arg].isnull = false;
	result = pg_get_indexdef_ext(fcinfo);
	return fcinfo->isnull ? "" : TextDatumGetCString(result);
}

static char *
PredicateText(Oid index, bool pretty)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	char	   *result = "";
	Datum		predicate;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return result;
	predicate = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred, &isnull);
	if (!isnull)
	{
		Oid			relid = ((Form_pg_index) GETSTRUCT(tuple))->indrelid;

		result = TextDatumGetCString(DirectFunctionCall3(pg_get_expr_ext,
														 predicate,
														 ObjectIdGetDatum(relid),
														 BoolGetDatum(pretty)));
	}
	ReleaseSysCache(tuple);
	return result;
}

static bool
IsUsual(const ItemShape *shape)
{
	for (int i = 0; i < shape->nkeys; i++)
	{
		if (!shape->keys[i].usual)
			return false;
	}
	return true;
}

/* As FindNamedKey() takes it: a list, if it is not but a column. */
char *
KeyName(const ItemShape *shape, Oid index, bool partial)
{
	List	   *columns = NIL;
	char	   *name;

	for (int i = 0; i < shape->nkeys; i++)
	{
		AttrNumber	attno = shape->keys[i].attno;

		columns = lappend(columns, attno == InvalidAttrNumber ?
						  ExpressionText(index, i, true) :
						  NameStr(TupleDescAttr(shape->tupdesc,
												attno - 1)->attname));
	}
	if (shape->nkeys == 1 && shape->keys[0].attno != InvalidAttrNumber)
		name = linitial(columns);
	else
		name = ArrayOfNames(columns);
	return partial ? psprintf("%s WHERE %s", name, PredicateText(index, true)) :
		name;
}

static void
RefuseName(ItemRelation *relation, const char *columns)
{
	StringInfoData names;

	initStringInfo(&names);
	appendStringInfoString(&names, KeyName(relation->shape, relation->pk.oid, false));
	for (UniqueKey *unique = NextNamedKey(relation, InvalidOid); unique != NULL;
		 unique = NextNamedKey(relation, unique->index.oid))
		appendStringInfo(&names, "; %s",
						 KeyName(unique->shape, unique->index.oid,
								 unique->predicate != NULL));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
			 errmsg("table \"%s\" has no unique index of \"%s\" to look rows up by",
					get_rel_name(relation->relid), columns),
			 errhint("Rows can be looked up by: %s.", names.data)));
}

List *
NamedAliases(ItemRelation *relation, const char *aliases, List **missing)
{
	int			nestlevel = BeginFixedPath();
	List	   *keys = NIL;
	ListCell   *lc;

	if (strcmp(aliases, "all") == 0)
	{
		for (UniqueKey *unique = NextNamedKey(relation, InvalidOid);
			 unique != NULL;
			 unique = NextNamedKey(relation, unique->index.oid))
		{
			if (CanBeLoaded(unique))
				keys = lappend(keys, unique);
		}
	}
	else
	{
		foreach(lc, ListOfNames(aliases))
		{
			bool		lasting;
			bool		found;
			UniqueKey  *unique = LookForKey(relation, lfirst(lc), &lasting, &found);

			if (unique != NULL && CanBeLoaded(unique))
				keys = lappend(keys, unique);
			else
				*missing = lappend(*missing, lfirst(lc));
		}
	}
	AtEOXact_GUC(false, nestlevel);
	return keys;
}

char *
FixedAliases(ItemRelation *relation, const char *aliases)
{
	List	   *keys = NIL;
	List	   *names = NIL;
	ListCell   *lc;
	int			nestlevel;

	if (strcmp(aliases, "all") == 0)
		return pstrdup(aliases);
	foreach(lc, ListOfNames(aliases))
	{
		bool		lasting;
		UniqueKey  *unique = FindNamedKey(relation, lfirst(lc), &lasting);

		if (unique == NULL)
			continue;			/* rows are found by the primary key anyway */
		if (!CanBeLoaded(unique))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("aliases of \"%s\" cannot be loaded", (char *) lfirst(lc)),
					 errdetail("The index calls functions that are not PostgreSQL's own."),
					 errhint("They are made when rows are looked up by it.")));
		keys = list_append_unique_ptr(keys, unique);
	}

	nestlevel = BeginFixedPath();
	foreach(lc, keys)
	{
		UniqueKey  *unique = lfirst(lc);

		names = lappend(names, KeyName(unique->shape, unique->index.oid,
									   unique->predicate != NULL));
	}
	AtEOXact_GUC(false, nestlevel);
	return names == NIL ? NULL : ArrayOfNames(names);
}

static bool
CanBeLoaded(const UniqueKey *unique)
{
	return !CallsUsers((Node *) unique->expressions, NULL) &&
		!CallsUsers(unique->predicate, NULL);
}

static bool
CallsUsers(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) ||
		check_functions_in_node(node, IsUsers, context))
		return true;
	return expression_tree_walker(node, CallsUsers, context);
}

static bool
IsUsers(Oid function, void *context)
{
	return function >= FirstGenbkiObjectId;
}

/* Have names of functions and types written with their schema, and read so. */
static int
BeginFixedPath(void)
{
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	return nestlevel;
}
