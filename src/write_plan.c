/*-------------------------------------------------------------------------
 *
 * write_plan.c
 *	  The statements of put(), put_many() and delete(): made, kept, executed.
 *
 * A saved plan is made again from its text, by names, when something it
 * depends on changes.  The relation's own name cannot change under the lock
 * that callers hold; its schema's can.  So the names are compared before (again
 * whenever a message for pg_class or pg_namespace has come), and what the plan
 * was made for is looked at: of a put before it is executed, of a delete, which
 * rules may have made something else, after (then an error undoes it).
 *
 * A put's plan is executed as SPI would, but without SPI, and with a condition
 * of our own:
 *
 *	- A snapshot is taken for the statement, after the caller's changes were
 *	  made visible to it.  Afterwards, what it did is visible to the caller.
 *	- The statement has a condition, so that what it reads needs SELECT
 *	  privilege and row security knows of it, but to make the two records
 *	  that it compares costs more than the rest.  We execute the plan
 *	  without the condition and compare column by column.  Partitions that
 *	  rows are routed to have their own, made from the plan: with
 *	  partitioned tables it stays.
 *
 * May call: relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "parser/parsetree.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "write_plan.h"

typedef struct WritePlans
{
	uint64		shape_id;		/* what they were made for */
	NameData	relname;
	NameData	nspname;
	uint64		names;			/* NamesChanged when these were compared */
	SPIPlanPtr	plans[WRITE_KINDS];
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
static ParamListInfo MakeParams(const CachedPlanSource *source,
								const Datum *values, const bool *isnull);
static PlannedStmt *PutStatement(const ItemRelation *relation,
								 const CachedPlan *cplan);
static uint64 ExecuteStatement(const ItemRelation *relation,
							   PlannedStmt *stmt, const char *sql,
							   ParamListInfo params);
static void SetCondition(const ItemRelation *relation, EState *estate);
static Datum RowIsChanged(ExprState *state, ExprContext *econtext,
						  bool *isnull);
static void AddErrorContext(void *arg);
static SPIPlanPtr GetWritePlan(ItemRelation *relation, WriteKind kind);
static SPIPlanPtr MakeWritePlan(ItemRelation *relation, WriteKind kind);
static WritePlans *GetWritePlans(ItemRelation *relation);
static void RefuseTarget(const ItemRelation *relation);
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
static char *TargetName(const ItemRelation *relation);
static const char *ColumnName(const ItemRelation *relation, int i);
static bool ColumnIsSet(const ItemShape *shape, int i);
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
 * Execution
 *-------------------------------------------------------------------------
 */

uint64
ExecutePut(ItemRelation *relation, WriteKind kind, const Datum *values,
		   const bool *isnull)
{
	SPIPlanPtr	plan = GetWritePlan(relation, kind);
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	ParamListInfo params = MakeParams(source, values, isnull);
	ErrorContextCallback errcallback;
	CachedPlan *cplan;
	uint64		count;

	errcallback.callback = AddErrorContext;
	errcallback.arg = (void *) source->query_string;
	errcallback.previous = error_context_stack;
	error_context_stack = &errcallback;

	cplan = GetCachedPlan(source, params, CurrentResourceOwner, NULL);
	count = ExecuteStatement(relation, PutStatement(relation, cplan),
							 source->query_string, params);
	ReleaseCachedPlan(cplan, CurrentResourceOwner);

	error_context_stack = errcallback.previous;
	return count;
}

uint64
ExecuteDelete(ItemRelation *relation, Datum *key)
{
	SPIPlanPtr	plan = GetWritePlan(relation, WRITE_DELETE);
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	uint64		count;
	int			rc;

	SPI_connect();
	rc = SPI_execute_plan(plan, key, NULL, false, 0);
	if (rc == SPI_OK_REWRITTEN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot delete from table \"%s\" by key",
						get_rel_name(relation->relid)),
				 errdetail("A rule on the table does something else instead.")));
	if (rc != SPI_OK_DELETE)
		elog(ERROR, "deleting from table \"%s\" failed: %s",
			 get_rel_name(relation->relid), SPI_result_code_string(rc));
	if (!list_member_oid(source->relationOids, relation->relid))
		RefuseTarget(relation);
	count = SPI_processed;
	SPI_finish();
	return count;
}

static ParamListInfo
MakeParams(const CachedPlanSource *source, const Datum *values,
		   const bool *isnull)
{
	ParamListInfo params = makeParamList(source->num_params);

	for (int i = 0; i < source->num_params; i++)
	{
		params->params[i].value = values[i];
		params->params[i].isnull = isnull[i];
		params->params[i].pflags = 0;
		params->params[i].ptype = source->param_types[i];
	}
	return params;
}

/* What is to be executed; but for a partitioned table, without its condition. */
static PlannedStmt *
PutStatement(const ItemRelation *relation, const CachedPlan *cplan)
{
	PlannedStmt *stmt = linitial_node(PlannedStmt, cplan->stmt_list);
	ModifyTable *plan = castNode(ModifyTable, stmt->planTree);
	PlannedStmt *result;

	if (rt_fetch(linitial_int(stmt->resultRelations), stmt->rtable)->relid !=
		relation->relid)
		RefuseTarget(relation);
	if (relation->partitioned || plan->onConflictWhere == NULL)
		return stmt;

	result = palloc(sizeof(PlannedStmt));
	*result = *stmt;
	result->planTree = palloc(sizeof(ModifyTable));
	*(ModifyTable *) result->planTree = *plan;
	((ModifyTable *) result->planTree)->onConflictWhere = NULL;
	return result;
}

static uint64
ExecuteStatement(const ItemRelation *relation, PlannedStmt *stmt,
				 const char *sql, ParamListInfo params)
{
	QueryDesc  *queryDesc;
	uint64		count;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	queryDesc = CreateQueryDesc(stmt, sql, GetActiveSnapshot(),
								InvalidSnapshot, None_Receiver, params, NULL,
								0);
	ExecutorStart(queryDesc, 0);
	if (!relation->partitioned)
		SetCondition(relation, queryDesc->estate);
	RunExecutor(queryDesc);
	count = queryDesc->estate->es_processed;
	ExecutorFinish(queryDesc);
	ExecutorEnd(queryDesc);
	FreeQueryDesc(queryDesc);
	PopActiveSnapshot();
	CommandCounterIncrement();
	return count;
}

/* The condition of the UPDATE: see the head of this file. */
static void
SetCondition(const ItemRelation *relation, EState *estate)
{
	ResultRelInfo *rri = linitial(estate->es_opened_result_relations);
	MemoryContext oldcontext;
	ExprState  *state;

	if (rri->ri_onConflict == NULL)
		return;					/* DO NOTHING */
	Assert(rri->ri_onConflict->oc_WhereClause == NULL);
	oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);
	state = makeNode(ExprState);
	state->flags = EEO_FLAG_IS_QUAL;
	state->evalfunc = RowIsChanged;
	state->evalfunc_private = relation->shape;
	rri->ri_onConflict->oc_WhereClause = state;
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Does the row that is there, in the scan slot, differ from the one that would
 * take its place, in the inner slot, in a column that would be set?
 */
static Datum
RowIsChanged(ExprState *state, ExprContext *econtext, bool *isnull)
{
	const ItemShape *shape = state->evalfunc_private;
	TupleTableSlot *old = econtext->ecxt_scantuple;
	TupleTableSlot *new = econtext->ecxt_innertuple;

	*isnull = false;
	slot_getallattrs(old);
	slot_getallattrs(new);
	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

		if (!ColumnIsSet(shape, i))
			continue;
		if (old->tts_isnull[i] != new->tts_isnull[i])
			return BoolGetDatum(true);
		if (!old->tts_isnull[i] &&
			!datum_image_eq(old->tts_values[i], new->tts_values[i],
							att->attbyval, att->attlen))
			return BoolGetDatum(true);
	}
	return BoolGetDatum(false);
}

static void
AddErrorContext(void *arg)
{
	errcontext("SQL statement \"%s\"", (const char *) arg);
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
		plans->plans[kind] = MakeWritePlan(relation, kind);
	return plans->plans[kind];
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
	char	   *relname;
	char	   *nspname;

	if (plans != NULL && plans->shape_id == relation->shape->id &&
		plans->names == names)
		return plans;

	relname = get_rel_name(relation->relid);
	nspname = get_namespace_name(get_rel_namespace(relation->relid));
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
			if (plans->plans[kind] != NULL)
				SPI_freeplan(plans->plans[kind]);
		}
		pfree(plans);
	}
}

static void
RefuseTarget(const ItemRelation *relation)
{
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
 * WRITE_PUT_MANY takes the rows from unnest($1), which has them in the order
 * of their keys already.
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
			if (ColumnIsWritten(shape, i, kind == WRITE_PUT_NEW_IDENTITY))
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

		if (!ColumnIsWritten(shape, i, new_identity))
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

/* The columns of the key, with commas. */
static void
AppendKeys(StringInfo sql, const ItemRelation *relation)
{
	const ItemShape *shape = relation->shape;

	for (int i = 0; i < shape->nkeys; i++)
		appendStringInfo(sql, "%s%s", i > 0 ? ", " : "",
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

bool
ColumnIsWritten(const ItemShape *shape, int i, bool new_identity)
{
	Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

	return !att->attisdropped && att->attgenerated == '\0' &&
		!(new_identity && att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS);
}

/* Is a column set by the UPDATE? */
static bool
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

int
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
