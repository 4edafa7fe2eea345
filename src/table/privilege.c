/*-------------------------------------------------------------------------
 *
 * privilege.c
 *	  May this user do this to that relation?
 *
 * What a statement needs, what we do in its place needs as well, no less: USAGE
 * on the table's schema, SELECT on its columns, EXECUTE on the functions that
 * are called for it.  That a user has these is remembered, until a message
 * comes that may have changed it: of the relation itself (GRANT and REVOKE send
 * one), or of any role, membership, schema or function.
 *
 * Hooks that audit reads, or forbid them, see ours as any other.  They want to
 * be called while the executor starts a statement, as they keep their records by
 * statement, so there is one for them: see ShowRead().
 *
 * May call: relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "table/privilege.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A function that a user was found allowed to call. */
typedef struct AllowedFunction
{
	Oid			function;
	Oid			user;
	uint64		generation;
} AllowedFunction;

/* Moved by each message that may have changed anybody's privileges. */
static uint64 Generation = 1;

static AllowedFunction Allowed[16];

/* Statements that the executor has started in this session, but for ours. */
static uint64 Statements = 0;
static bool ShowingRead = false;

static void CheckRead(ItemRelation *relation);
static bool AskAboutRead(ItemRelation *relation, Oid user);
static bool CheckFunctions(Node *node, void *context);
static bool CheckNamedFunction(Oid function, void *context);
static bool CheckFunction(Oid function, void *context);
static void ShowRead(ItemRelation *relation, Oid user);
static PlannedStmt *MakeReadStatement(const ItemRelation *relation);

static void
PrivilegesChanged(Datum arg, int cacheid, uint32 hashvalue)
{
	Generation++;
}

void
PrivilegesInit(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, PrivilegesChanged, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, PrivilegesChanged, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, PrivilegesChanged, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, PrivilegesChanged, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, PrivilegesChanged, (Datum) 0);
}

void
StatementStarted(void)
{
	if (!ShowingRead)
		Statements++;
}

/* As for a whole-row reference: on the table, or on every column of it. */
bool
HasReadPrivilege(Oid relid)
{
	Oid			user = GetUserId();

	return pg_class_aclcheck(relid, user, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, user, ACL_SELECT,
								  ACLMASK_ALL) == ACLCHECK_OK;
}

bool
CheckLookupPrivilege(ItemRelation *relation, UniqueKey *unique)
{
	Oid			user = GetUserId();
	Oid		   *known_user = unique != NULL ? &unique->acl_user :
		&relation->acl_user;
	uint64	   *known_generation = unique != NULL ? &unique->acl_generation :
		&relation->acl_generation;

	if (*known_user != user || *known_generation != Generation)
	{
		uint64		generation = Generation;
		const ItemShape *shape = unique != NULL ? unique->shape :
			relation->shape;

		CheckRead(relation);
		for (int i = 0; i < shape->nkeys; i++)
			CheckExecutePrivilege(get_opcode(shape->keys[i].eqop));
		if (unique != NULL)
		{
			CheckFunctions((Node *) unique->expressions, NULL);
			CheckFunctions(unique->predicate, NULL);
		}
		*known_user = user;
		*known_generation = generation;
	}
	return AskAboutRead(relation, user);
}

/*
 * As the executor does for those that a query's expressions call; and the parser
 * for those that it names, which are all but implicit casts.
 */
static bool
CheckFunctions(Node *node, void *context)
{
	bool		implicit;

	if (node == NULL)
		return false;
	implicit = IsA(node, FuncExpr) &&
		castNode(FuncExpr, node)->funcformat == COERCE_IMPLICIT_CAST;
	(void) check_functions_in_node(node,
								   implicit ? CheckFunction : CheckNamedFunction,
								   context);
	return expression_tree_walker(node, CheckFunctions, context);
}

static bool
CheckNamedFunction(Oid function, void *context)
{
	CheckSchemaPrivilege(get_func_namespace(function));
	return CheckFunction(function, context);
}

static bool
CheckFunction(Oid function, void *context)
{
	CheckExecutePrivilege(function);
	return false;
}

bool
CheckReadPrivilege(ItemRelation *relation)
{
	CheckRead(relation);
	return AskAboutRead(relation, GetUserId());
}

static void
CheckRead(ItemRelation *relation)
{
	CheckSchemaPrivilege(relation->namespace);
	if (!HasReadPrivilege(relation->relid))
		aclcheck_error(ACLCHECK_NO_PRIV,
					   get_relkind_objtype(get_rel_relkind(relation->relid)),
					   get_rel_name(relation->relid));
}

/* Ask those who may not be remembered: row-level security, and hooks. */
static bool
AskAboutRead(ItemRelation *relation, Oid user)
{
	bool		by_query;

	by_query = relation->has_rls &&
		check_enable_rls(relation->relid, InvalidOid, false) == RLS_ENABLED;

	/* the query is a statement itself */
	if (ExecutorCheckPerms_hook != NULL && !by_query)
		ShowRead(relation, user);
	return by_query;
}

/*
 * A statement finds its table by name, which takes USAGE on the schema.  Here
 * the row type may have come by itself, as a column's.
 */
void
CheckSchemaPrivilege(Oid schema)
{
	AclResult	result = SchemaAclCheck(schema, GetUserId(), ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

/* As the executor does for a function in an expression. */
void
CheckExecutePrivilege(Oid function)
{
	AllowedFunction *known = &Allowed[function % lengthof(Allowed)];
	Oid			user = GetUserId();

	if (known->function != function || known->user != user ||
		known->generation != Generation)
	{
		uint64		generation = Generation;
		AclResult	result = FunctionAclCheck(function, user, ACL_EXECUTE);

		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
		known->function = function;
		known->user = user;
		known->generation = generation;
	}
	InvokeFunctionExecuteHook(function);
}

/*
 * Have the executor start a statement that may read the table, and reads
 * nothing, for those who have hooked what is asked for then.  Once for each
 * statement and user that we are called in: as once for a table in a query's
 * FROM, however many rows it reads.  Expressions of PL/pgSQL are evaluated
 * without a statement; so the client's counts as well.
 */
static void
ShowRead(ItemRelation *relation, Oid user)
{
	TimestampTz time = GetCurrentStatementStartTimestamp();
	QueryDesc  *query;

	if (relation->shown_statement == Statements &&
		relation->shown_time == time && relation->shown_user == user)
		return;
	query = CreateQueryDesc(MakeReadStatement(relation),
							debug_query_string != NULL ? debug_query_string : "",
							ActiveSnapshotSet() ? GetActiveSnapshot() : InvalidSnapshot,
							InvalidSnapshot, None_Receiver, NULL, NULL, 0);
	ShowingRead = true;
	PG_TRY();
	{
		ExecutorStart(query, EXEC_FLAG_EXPLAIN_ONLY | EXEC_FLAG_SKIP_TRIGGERS);
		ExecutorEnd(query);
	}
	PG_FINALLY();
	{
		ShowingRead = false;
	}
	PG_END_TRY();
	FreeQueryDesc(query);
	relation->shown_statement = Statements;
	relation->shown_time = time;
	relation->shown_user = user;
}

/* SELECT * FROM the_relation WHERE false */
static PlannedStmt *
MakeReadStatement(const ItemRelation *relation)
{
	TupleDesc	tupdesc = relation->shape->tupdesc;
	PlannedStmt *stmt = makeNode(PlannedStmt);
	Result	   *plan = makeNode(Result);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RelationPermissions *permissions;

	rte->rtekind = RTE_RELATION;
	rte->relid = relation->relid;
	rte->relkind = relation->partitioned ? RELKIND_PARTITIONED_TABLE :
		RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->eref = makeAlias(NameStr(relation->name), NIL);
	rte->inh = relation->partitioned;
	rte->inFromCl = true;

	plan->resconstantqual = (Node *) list_make1(makeBoolConst(false, false));
	stmt->commandType = CMD_SELECT;
	stmt->canSetTag = true;
	stmt->planTree = (Plan *) plan;
	stmt->rtable = list_make1(rte);
	stmt->relationOids = list_make1_oid(relation->relid);
	stmt->stmt_location = -1;

	permissions = MakePermissions(stmt, rte);
	permissions->requiredPerms = ACL_SELECT;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (!TupleDescAttr(tupdesc, i)->attisdropped)
			permissions->selectedCols =
				bms_add_member(permissions->selectedCols,
							   i + 1 - FirstLowInvalidHeapAttributeNumber);
	}
	return stmt;
}

void
CheckOwnership(Oid relid)
{
	if (!RelationOwnedBy(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}
