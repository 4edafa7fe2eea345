/*-------------------------------------------------------------------------
 *
 * write_plan.c
 *	  The statements of put(), put_many() and delete(): made and kept.
 *
 * A saved plan is made again from its text, by names, when something it
 * depends on changes.  The relation's own name cannot change under the lock
 * that callers hold; its schema's can.  So the names are compared here (again
 * whenever a message for pg_class or pg_namespace has come), and whoever
 * executes a plan looks at what it was made for.
 *
 * May call: relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "catalog/pg_attribute.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "write/write_plan.h"

typedef struct WritePlans
{
	uint64		shape_id;		/* what they were made for */
	NameData	relname;
	NameData	nspname;
	uint64		names;			/* NamesChanged when these were compared, */
	uint64		rowtype_changes;	/* and the relation's, which an abort moves */
	WritePlan	plans[WRITE_KINDS];
	struct WritePlans *next;	/* in Replaced */
} WritePlans;

/*
 * Plans that others have taken the place of in this transaction.  One may be
 * running: a trigger that it fired may have renamed the table and put again.
 * So they are freed when the transaction ends.
 */
static WritePlans *Replaced = NULL;

/* Messages for pg_class and pg_namespace, by which any table may be renamed. */
static uint64 NamesChanged = 0;

static void CountNameChange(Datum arg, int cacheid, uint32 hashvalue);
static SPIPlanPtr MakeWritePlan(ItemRelation *relation, WriteKind kind);
static WritePlans *GetWritePlans(ItemRelation *relation);
static char *Deparse(const ItemRelation *relation, WriteKind kind,
					 Oid *argtypes, int *nargs);
static char *DeparsePut(const ItemRelation *relation, WriteKind kind,
						Oid *argtypes, int *nargs);
static void AppendInsert(StringInfo sql, const ItemRelation *relation,
						 WriteKind kind);
static void AppendOnConflict(StringInfo sql, const ItemRelation *relation);
static char *DeparseDelete(const ItemRelation *relation, Oid *argtypes,
						   int *nargs);
static void AppendKeys(StringInfo sql, const ItemRelation *relation);
static const char *ColumnName(const ItemRelation *relation, int i);
static bool ColumnIsKey(const ItemShape *shape, int i);

void
WritePlansInit(void)
{
	CacheRegisterSyscacheCallback(RELOID, CountNameChange, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, CountNameChange, (Datum) 0);
}

static void
CountNameChange(Datum arg, int cacheid, uint32 hashvalue)
{
	NamesChanged++;
}

/*-------------------------------------------------------------------------
 * Plans
 *-------------------------------------------------------------------------
 */

WritePlan *
GetWritePlan(ItemRelation *relation, WriteKind kind)
{
	WritePlan  *plan = &GetWritePlans(relation)->plans[kind];

	if (plan->saved == NULL)
		plan->saved = MakeWritePlan(relation, kind);
	return plan;
}

static SPIPlanPtr
MakeWritePlan(ItemRelation *relation, WriteKind kind)
{
	Oid		   *argtypes = palloc((relation->shape->tupdesc->natts + 1) * sizeof(Oid));
	int			nargs = 0;
	char	   *sql = Deparse(relation, kind, argtypes, &nargs);
	SPIPlanPtr	plan;

	SPI_connect();
	plan = SPI_prepare_cursor(sql, nargs, argtypes, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare a write to table \"%s\": %s",
			 get_rel_name(relation->relid),
			 SPI_result_code_string(SPI_result));
	SPI_finish();
	return plan;
}

/* The relation's plans: new ones, if they were made for another shape or name. */
static WritePlans *
GetWritePlans(ItemRelation *relation)
{
	WritePlans *plans = relation->writeplans;
	uint64		names = NamesChanged;
	uint64		changes = relation->rowtype_changes;
	char	   *relname;
	char	   *nspname;

	if (plans != NULL && plans->shape_id == relation->shape->id &&
		plans->names == names && plans->rowtype_changes == changes)
		return plans;

	relname = get_rel_name(relation->relid);
	nspname = get_namespace_name(get_rel_namespace(relation->relid));
	if (relname == NULL || nspname == NULL)
		elog(ERROR, "cache lookup failed for relation %u", relation->relid);
	if (plans == NULL || plans->shape_id != relation->shape->id ||
		strcmp(NameStr(plans->relname), relname) != 0 ||
		strcmp(NameStr(plans->nspname), nspname) != 0)
	{
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
	}
	plans->names = names;
	plans->rowtype_changes = changes;
	return plans;
}

void
FreeReplacedPlans(void)
{
	while (Replaced != NULL)
	{
		WritePlans *plans = Replaced;

		Replaced = plans->next;
		for (int kind = 0; kind < WRITE_KINDS; kind++)
		{
			if (plans->plans[kind].saved != NULL)
				SPI_freeplan(plans->plans[kind].saved);
		}
		pfree(plans);
	}
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
 */
static char *
DeparsePut(const ItemRelation *relation, WriteKind kind, Oid *argtypes,
		   int *nargs)
{
	const ItemShape *shape = relation->shape;
	StringInfoData sql;

	initStringInfo(&sql);
	AppendInsert(&sql, relation, kind);
	AppendOnConflict(&sql, relation);

	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		if (ColumnIsWritten(shape, i, kind == WRITE_PUT_NEW_IDENTITY))
			argtypes[(*nargs)++] = TupleDescAttr(shape->tupdesc, i)->atttypid;
	}
	return sql.data;
}

static void
AppendInsert(StringInfo sql, const ItemRelation *relation, WriteKind kind)
{
	const ItemShape *shape = relation->shape;
	bool		new_identity = kind == WRITE_PUT_NEW_IDENTITY;
	StringInfoData columns;
	StringInfoData values;
	int			n = 0;

	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		const char *separator = n > 0 ? ", " : "";

		if (!ColumnIsWritten(shape, i, new_identity))
			continue;
		n++;
		appendStringInfo(&columns, "%s%s", separator, ColumnName(relation, i));
		appendStringInfo(&values, "%s$%d", separator, n);
	}

	appendStringInfo(sql, "INSERT INTO %s AS item ", QualifiedRelationName(relation->relid));
	if (n > 0)
		appendStringInfo(sql, "(%s) ", columns.data);
	if (shape->identity >= 0 && !new_identity)
		appendStringInfoString(sql, "OVERRIDING SYSTEM VALUE ");
	if (n > 0)
		appendStringInfo(sql, "VALUES (%s)", values.data);
	else
		appendStringInfoString(sql, "DEFAULT VALUES");
}

static void
AppendOnConflict(StringInfo sql, const ItemRelation *relation)
{
	const ItemShape *shape = relation->shape;
	StringInfoData set;
	StringInfoData old;
	StringInfoData new;

	appendStringInfoString(sql, " ON CONFLICT (");
	AppendKeys(sql, relation);

	initStringInfo(&set);
	initStringInfo(&old);
	initStringInfo(&new);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		const char *name = ColumnName(relation, i);
		const char *separator = set.len > 0 ? ", " : "";

		if (!ColumnIsSet(shape, i))
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
					 QualifiedRelationName(relation->relid));
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

/* The columns of the key, with commas. */
static void
AppendKeys(StringInfo sql, const ItemRelation *relation)
{
	const ItemShape *shape = relation->shape;

	for (int i = 0; i < shape->nkeys; i++)
		appendStringInfo(sql, "%s%s", i > 0 ? ", " : "",
						 ColumnName(relation, shape->keys[i].attno - 1));
}

static const char *
ColumnName(const ItemRelation *relation, int i)
{
	return quote_identifier(NameStr(TupleDescAttr(relation->shape->tupdesc, i)->attname));
}

bool
ColumnIsWritten(const ItemShape *shape, int i, bool new_identity)
{
	Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

	return !att->attisdropped && att->attgenerated == '\0' &&
		!(new_identity && att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS);
}

bool
ColumnIsSet(const ItemShape *shape, int i)
{
	Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

	return ColumnIsWritten(shape, i, false) && !ColumnIsKey(shape, i) &&
		att->attidentity != ATTRIBUTE_IDENTITY_ALWAYS;
}

static bool
ColumnIsKey(const ItemShape *shape, int i)
{
	for (int k = 0; k < shape->nkeys; k++)
	{
		if (shape->keys[k].attno == i + 1)
			return true;
	}
	return false;
}
