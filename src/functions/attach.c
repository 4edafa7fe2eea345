/*-------------------------------------------------------------------------
 *
 * attach.c
 *	  The SQL functions attach(), detach() and clear().
 *
 * A table is attached by a trigger and by nothing else, so attaching is DDL:
 * it is done through SPI, as the user would do it by hand, and what makes it
 * exact is what makes any other DDL exact (rule 6).  It fires event triggers,
 * which may even have dropped the table when the next statement is made.
 *
 * May call: relation, privilege, owner, views.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "functions/views.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "settings.h"
#include "store/owner.h"
#include "table/keyname.h"
#include "table/privilege.h"
#include "table/relation.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(itemcache_attach);
PG_FUNCTION_INFO_V1(itemcache_detach);
PG_FUNCTION_INFO_V1(itemcache_clear);
PG_FUNCTION_INFO_V1(itemcache_clear_relation);
PG_FUNCTION_INFO_V1(itemcache_clear_all);

static Datum Attach(Oid relid, TriggerOptions *options);
static void RefuseInRecovery(Oid relid, const char *action);
static Relation OpenForDDL(Oid relid, LOCKMODE lockmode);
static void CheckFitness(Relation rel);
static void RefuseKind(Relation rel);
static void CheckNoChildren(Relation rel);
static void CheckTriggerName(Relation rel, const char *name);
static void RefuseClone(Oid relid, const char *hint);
static List *OptionsAsArguments(const TriggerOptions *options);
static bool TriggerIsAsWanted(const Trigger *trigger,
							  const TriggerOptions *options);
static void CreateOurTrigger(Oid relid, const Trigger *existing,
							 const char *name, const TriggerOptions *options);
static void EnableOurTrigger(Oid relid, const char *name);
static void DropOurTrigger(Oid relid, const char *name);
static void ExecuteDDL(const char *sql);
static void ClearRelation(Oid relid);
static void ClearDatabase(void);
static void WarnOfTooManyTables(void);

Datum
itemcache_attach(PG_FUNCTION_ARGS)
{
	TriggerOptions options = {0};

	options.preload = DatumGetBool(RequireArgument(fcinfo, 1, "preload"));
	options.cache_new = DatumGetBool(RequireArgument(fcinfo, 2, "cache_new"));
	/* since 1.1 */
	if (PG_NARGS() > 3 && !PG_ARGISNULL(3))
		options.aliases = text_to_cstring(PG_GETARG_TEXT_PP(3));
	return Attach(RequireRelation(fcinfo), &options);
}

static Datum
Attach(Oid relid, TriggerOptions *options)
{
	Relation	rel;
	Trigger    *trigger;
	const char *name;
	bool		partitioned;
	bool		enabled;

	RequirePreloaded();
	RefuseInRecovery(relid, "attach");

	/* DDL is refused while the relation is open, so look first, then act */
	rel = OpenForDDL(relid, ShareRowExclusiveLock);
	CheckFitness(rel);
	if (options->aliases != NULL)
		options->aliases = FixedAliases(ItemRelationOf(rel), options->aliases);
	partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	name = partitioned ? ITEMCACHE_PARTITIONED_TRIGGER : ITEMCACHE_TRIGGER;
	trigger = FindItemCacheTrigger(rel);
	if (trigger != NULL)
		name = trigger->tgname;
	else
		CheckTriggerName(rel, name);
	table_close(rel, NoLock);

	enabled = trigger != NULL && trigger->tgenabled == TRIGGER_FIRES_ALWAYS;
	if (trigger == NULL || !TriggerIsAsWanted(trigger, options))
	{
		if (trigger != NULL && trigger->tgisclone)
			RefuseClone(relid,
						"Attach the partitioned table with the options wanted.");
		CreateOurTrigger(relid, trigger, name, options);
		enabled = false;
	}

	/* of a partitioned table, this repairs the partitions' triggers as well */
	if (!enabled || partitioned)
		EnableOurTrigger(relid, name);
	WarnOfTooManyTables();
	PG_RETURN_TEXT_P(cstring_to_text(AttachedState(relid)));
}

/*
 * The cache has no room for more than a number of tables at a time, which those
 * who attach a table for each customer should know.  There is no index by which
 * to count the triggers, so few of them are not counted at all.
 */
static void
WarnOfTooManyTables(void)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	int			nattached;

	table_close(rel, AccessShareLock);
	if (nblocks <= OwnerCount() / (BLCKSZ / sizeof(FormData_pg_trigger)))
		return;
	nattached = list_length(AttachedRelations());
	if (nattached > OwnerCount())
		ereport(WARNING,
				(errmsg("%d tables of this database are attached, but the cache has room for %d",
						nattached, OwnerCount()),
				 errdetail("The others are read without the cache, by turns."),
				 errhint("Consider increasing \"itemcache.memory\".")));
}

Datum
itemcache_detach(PG_FUNCTION_ARGS)
{
	Oid			relid = RequireRelation(fcinfo);
	Relation	rel;
	List	   *triggers;
	bool		dropped = false;
	ListCell   *lc;

	RequirePreloaded();
	RefuseInRecovery(relid, "detach");
	rel = OpenForDDL(relid, AccessExclusiveLock);
	triggers = ItemCacheTriggers(rel);
	relation_close(rel, NoLock);

	foreach(lc, triggers)
	{
		Trigger    *trigger = lfirst(lc);

		if (trigger->tgisclone)
			continue;
		DropOurTrigger(relid, trigger->tgname);
		dropped = true;
	}
	if (triggers == NIL)
		ereport(NOTICE,
				(errmsg("table \"%s\" is not attached, skipping",
						get_rel_name(relid))));
	else if (!dropped)
		RefuseClone(relid, "Detach the partitioned table.");
	PG_RETURN_VOID();
}

/*
 * clear(relation) and clear().  They take effect at once, and not only at
 * commit: moving an epoch is always right.  NULL is no way to say "all", as
 * to_regclass() gives it for a table that is not there.
 */
Datum
itemcache_clear_relation(PG_FUNCTION_ARGS)
{
	RequirePreloaded();
	ClearRelation(RequireRelation(fcinfo));
	PG_RETURN_VOID();
}

Datum
itemcache_clear_all(PG_FUNCTION_ARGS)
{
	RequirePreloaded();
	ClearDatabase();
	PG_RETURN_VOID();
}

/* Both in one, where the extension is still of version 1.0. */
Datum
itemcache_clear(PG_FUNCTION_ARGS)
{
	RequirePreloaded();
	if (PG_ARGISNULL(0))
		ClearDatabase();
	else
		ClearRelation(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}

static void
ClearDatabase(void)
{
	if (!DatabaseOwnedBy(MyDatabaseId, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_DATABASE,
					   get_database_name(MyDatabaseId));
	OwnerMoveEpochs(RelationOwnerKey(MyDatabaseId, 0),
					RelationOwnerKey(PG_UINT32_MAX, 0));
}

static void
ClearRelation(Oid relid)
{
	Relation	rel = OpenForDDL(relid, AccessShareLock);
	ListCell   *lc;

	/* partitions that come meanwhile have nothing to be cleared */
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
			lfirst_oid(lc) == relid)
			OwnerMoveEpoch(RelationOwnerKey(MyDatabaseId, lfirst_oid(lc)));
	}
	table_close(rel, NoLock);
}

static void
RefuseInRecovery(Oid relid, const char *action)
{
	const char *name = get_rel_name(relid);

	if (RecoveryInProgress() && name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot %s table \"%s\" during recovery", action, name),
				 errhint("Do it on the primary server; its standbys follow.")));
}

/* Open a relation that the current user must own; asked before locking. */
static Relation
OpenForDDL(Oid relid, LOCKMODE lockmode)
{
	Relation	rel;

	if (get_rel_name(relid) != NULL)
	{
		CheckSchemaPrivilege(get_rel_namespace(relid));
		CheckOwnership(relid);
	}
	rel = try_relation_open(relid, lockmode);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	CheckOwnership(relid);
	return rel;
}

/* Raise an error that says what is in the way of caching the relation. */
static void
CheckFitness(Relation rel)
{
	const char *name = RelationGetRelationName(rel);
	ItemRelation *relation = ItemRelationOf(rel);

	switch (relation->fitness)
	{
		case RELATION_SERVED:
		case RELATION_PARTITIONED:
			break;
		case RELATION_WRONG_KIND:
			RefuseKind(rel);
			break;
		case RELATION_TEMPORARY:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach temporary table \"%s\"", name),
					 errdetail("Temporary tables are private to a session; the cache is shared.")));
			break;
		case RELATION_CATALOG:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach system catalog \"%s\"", name)));
			break;
		case RELATION_NOT_HEAP:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach table \"%s\": its access method is not heap",
							name)));
			break;
		case RELATION_NO_KEY:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot attach table \"%s\": it has no primary key",
							name),
					 errhint("Items are looked up by primary key: add one with ALTER TABLE.")));
			break;
		case RELATION_KEY_UNUSABLE:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot attach table \"%s\": its primary key cannot be used",
							name),
					 !relation->pk.usable ? errdetail("It is not a btree index.") :
					 !relation->pk.valid ? errdetail("Its index is not valid.") :
					 errdetail("It is deferrable.")));
			break;
		case RELATION_VIRTUAL_COLUMN:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach table \"%s\": it has a virtual generated column",
							name),
					 errhint("Make the column GENERATED ALWAYS AS (...) STORED.")));
			break;
		default:
			elog(ERROR, "table \"%s\" cannot be attached", name);
	}
	if (rel->rd_rel->relkind == RELKIND_RELATION)
		CheckNoChildren(rel);
}

static void
RefuseKind(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot attach \"%s\": it is not a table",
					RelationGetRelationName(rel)),
			 errdetail_relkind_not_supported(rel->rd_rel->relkind),
			 errhint("Only plain and partitioned tables can be attached.")));
}

/* A SELECT of an inheritance parent reads its children, which get() does not. */
static void
CheckNoChildren(Relation rel)
{
	if (rel->rd_rel->relhassubclass &&
		find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot attach table \"%s\": other tables inherit from it",
						RelationGetRelationName(rel)),
				 errhint("Attach the tables that inherit from it, or use partitions.")));
}

/* Somebody else's trigger of our name is not ours to replace. */
static void
CheckTriggerName(Relation rel, const char *name)
{
	if (rel->trigdesc == NULL)
		return;
	for (int i = 0; i < rel->trigdesc->numtriggers; i++)
	{
		if (strcmp(rel->trigdesc->triggers[i].tgname, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("table \"%s\" has another trigger named \"%s\"",
							RelationGetRelationName(rel), name),
					 errhint("Rename that trigger.")));
	}
}

/* A partition's trigger is that of the table it is a partition of. */
static void
RefuseClone(Oid relid, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is attached through its partitioned table",
					get_rel_name(relid)),
			 errhint("%s", hint)));
}

/* The arguments of the trigger function that ReadTriggerOptions() reads. */
static List *
OptionsAsArguments(const TriggerOptions *options)
{
	List	   *arguments;

	arguments = list_make2(options->preload ? "preload=true" : "preload=false",
						   options->cache_new ? "cache_new=true" : "cache_new=false");
	if (options->aliases != NULL)
		arguments = lappend(arguments, psprintf("aliases=%s", options->aliases));
	return arguments;
}

static bool
TriggerIsAsWanted(const Trigger *trigger, const TriggerOptions *options)
{
	List	   *arguments = OptionsAsArguments(options);
	ListCell   *lc;

	if (!TriggerHasOurForm(trigger) ||
		trigger->tgnargs != list_length(arguments))
		return false;
	foreach(lc, arguments)
	{
		if (strcmp(trigger->tgargs[foreach_current_index(lc)], lfirst(lc)) != 0)
			return false;
	}
	return true;
}

static void
CreateOurTrigger(Oid relid, const Trigger *existing, const char *name,
				 const TriggerOptions *options)
{
	StringInfoData arguments;
	ListCell   *lc;

	initStringInfo(&arguments);
	foreach(lc, OptionsAsArguments(options))
		appendStringInfo(&arguments, "%s%s", arguments.len > 0 ? ", " : "",
						 quote_literal_cstr(lfirst(lc)));

	/* a constraint trigger cannot be replaced */
	if (existing != NULL && OidIsValid(existing->tgconstraint))
		DropOurTrigger(relid, name);
	ExecuteDDL(psprintf("CREATE OR REPLACE TRIGGER %s "
						"AFTER INSERT OR UPDATE OR DELETE ON %s "
						"FOR EACH ROW EXECUTE FUNCTION %s.track(%s)",
						quote_identifier(name), QualifiedRelationName(relid),
						ITEMCACHE_NAME, arguments.data));
}

static void
EnableOurTrigger(Oid relid, const char *name)
{
	ExecuteDDL(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
						QualifiedRelationName(relid), quote_identifier(name)));
}

static void
DropOurTrigger(Oid relid, const char *name)
{
	ExecuteDDL(psprintf("DROP TRIGGER %s ON %s",
						quote_identifier(name), QualifiedRelationName(relid)));
}

static void
ExecuteDDL(const char *sql)
{
	int			rc;

	SPI_connect();
	rc = SPI_execute(sql, false, 0);
	if (rc != SPI_OK_UTILITY)
		elog(ERROR, "\"%s\" failed: %s", sql, SPI_result_code_string(rc));
	SPI_finish();
}
