/*-------------------------------------------------------------------------
 *
 * views.c
 *	  What people see of the cache: the views itemcache.stats and
 *	  itemcache.tables, and which tables are attached.
 *
 * itemcache.tables must show what there is whatever goes on: it waits for no
 * lock (a table that is locked is shown as such), and a table that is dropped
 * meanwhile is left out.  Locks are released at once, since a database may
 * have thousands of partitions.
 *
 * May call: relation, owner, stats, store, privilege.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "functions/views.h"
#include "preload/preload.h"
#include "replay/replay.h"
#include "settings.h"
#include "store/admission.h"
#include "store/stats.h"
#include "store/store.h"
#include "table/keyname.h"
#include "table/privilege.h"
#include "table/registration.h"
#include "table/relation.h"

/*
 * Columns of the functions behind the views.  Those of an older version of the
 * extension have fewer: the first ones.
 */
#define STATS_COLUMNS	27
#define TABLES_COLUMNS	26

/* A row of itemcache.tables in the making. */
typedef struct TableRow
{
	Oid			relid;			/* hash key; must be first */
	Oid			root;			/* topmost attached ancestor, if any */
	bool		exists;
	bool		locked;			/* by somebody else: nothing is known of it */
	bool		in_recovery;	/* and so not served */
	bool		visible;		/* to the current user */
	bool		partitioned;
	RelationState state;
	bool		preload;
	bool		cache_new;
	int			leaves;			/* of a partitioned table */
	int			leaves_served;
	uint64		items;
	uint64		aliases;
	uint64		absences;
	uint64		bytes;
	uint64		evictions;
	int			fills_one_in;	/* of a partitioned table: the most of its leaves */
	char	   *preload_aliases;	/* NULL: none */
	char	   *missing_aliases;	/* NULL: none */
	uint64		counts[COUNTER_KINDS];
} TableRow;

static HTAB *DescribeTables(List *relids, bool is_monitor);
static const char *StandbyState(void);
static HTAB *MakeRows(List *relids);
static bool IsInRecovery(Relation rel);
static void DescribeTable(TableRow *row, bool is_monitor);
static void DescribeAliases(TableRow *row, ItemRelation *relation);
static void CountTable(TableRow *row);
static void AddHoldings(int number, uint64 *items, uint64 *bytes);
static void AddToAncestors(HTAB *rows, TableRow *row);
static void AddRow(TableRow *sum, const TableRow *row);
static RelationState StateOf(const TableRow *row);
static char *StateText(const TableRow *row);
static void PutText(const char *string, Datum *value, bool *isnull);
static void PutRow(ReturnSetInfo *rsinfo, const TableRow *row);


PG_FUNCTION_INFO_V1(itemcache_stats);

Datum
itemcache_stats(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	StoreStats	stats;
	uint64		items = 0;
	uint64		bytes = 0;
	int			tables_spared = 0;
	uint64		counts[COUNTER_KINDS];
	ReplayStats replay;
	Datum		values[STATS_COLUMNS];
	bool		nulls[STATS_COLUMNS] = {false};
	int			i = 0;

	RequirePreloaded();
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	StoreGetStats(&stats);
	StatsOfAll(counts);
	ReplayGetStats(&replay);

	/* the store's own sums have what is garbage since an epoch moved */
	for (int number = 0; number < OwnerCount(); number++)
	{
		AddHoldings(number, &items, &bytes);
		if (AdmissionOneIn(number) > 1)
			tables_spared++;
	}

	values[i++] = Int64GetDatum(stats.memory);
	values[i++] = Int64GetDatum(bytes);
	values[i++] = Int64GetDatum(items);
	values[i++] = Int64GetDatum(stats.max_items);
	values[i++] = Int32GetDatum(OwnersInUse());
	values[i++] = Int32GetDatum(OwnerCount());
	values[i++] = Int32GetDatum(stats.partitions);
	values[i++] = Int64GetDatum(counts[COUNT_HITS]);
	values[i++] = Int64GetDatum(counts[COUNT_MISSES]);
	values[i++] = Int64GetDatum(counts[COUNT_BYPASSES]);
	values[i++] = Int64GetDatum(counts[COUNT_FILLS]);
	values[i++] = Int64GetDatum(counts[COUNT_REFUSED]);
	values[i++] = Int64GetDatum(counts[COUNT_BUSY]);
	values[i++] = Int64GetDatum(counts[COUNT_TOO_LARGE]);
	values[i++] = Int64GetDatum(counts[COUNT_PUBLISHES]);
	values[i++] = Int64GetDatum(counts[COUNT_REMOVALS]);
	values[i++] = Int64GetDatum(counts[COUNT_OVERFLOWS]);
	values[i++] = Int64GetDatum(stats.evictions);
	values[i++] = Int64GetDatum(OwnersRefused());
	values[i++] = CStringGetTextDatum(PreloaderState());
	/* since 1.1 */
	values[i++] = CStringGetTextDatum(StandbyState());
	values[i++] = Int64GetDatum(counts[COUNT_OUTDATED]);
	values[i++] = Int64GetDatum(replay.versions);
	values[i++] = Int64GetDatum(replay.tables);
	values[i++] = Int64GetDatum(replay.memory);
	values[i++] = Int64GetDatum(counts[COUNT_SPARED]);
	values[i++] = Int32GetDatum(tables_spared);
	Assert(i == lengthof(values) && tupdesc->natts <= i);

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  values, nulls)));
}

static const char *
StandbyState(void)
{
	if (!RecoveryInProgress())
		return ReplayIsFollowed() ? "promoted" : "primary";
	return ReplayIsFollowed() ? "standby" : "not followed";
}

PG_FUNCTION_INFO_V1(itemcache_tables);

Datum
itemcache_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		is_monitor;
	List	   *relids;
	ListCell   *lc;
	HTAB	   *rows;

	RequirePreloaded();
	InitMaterializedSRF(fcinfo, 0);
	is_monitor = has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);

	AcceptInvalidationMessages();
	relids = AttachedRelations();
	rows = DescribeTables(relids, is_monitor);
	foreach(lc, relids)
	{
		TableRow   *row = hash_search(rows, &lfirst_oid(lc), HASH_FIND, NULL);

		if (row->exists && row->visible)
			PutRow(rsinfo, row);
	}
	hash_destroy(rows);
	return (Datum) 0;
}

char *
AttachedState(Oid relid)
{
	List	   *relids = list_make1_oid(relid);
	HTAB	   *rows;
	TableRow   *row;

	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(relid, NoLock, NULL);
	rows = DescribeTables(relids, true);
	row = hash_search(rows, &relid, HASH_FIND, NULL);
	/* an event trigger may have undone it */
	return row->exists ? StateText(row) :
		pstrdup(RelationStateName(RELATION_NOT_ATTACHED));
}

static HTAB *
DescribeTables(List *relids, bool is_monitor)
{
	HTAB	   *rows = MakeRows(relids);
	ListCell   *lc;

	foreach(lc, relids)
	{
		TableRow   *row = hash_search(rows, &lfirst_oid(lc), HASH_FIND, NULL);

		CHECK_FOR_INTERRUPTS();
		DescribeTable(row, is_monitor);
		if (row->exists)
			AddToAncestors(rows, row);
	}
	return rows;
}

static HTAB *
MakeRows(List *relids)
{
	HASHCTL		info;
	HTAB	   *rows;
	ListCell   *lc;

	info.keysize = sizeof(Oid);
	info.entrysize = sizeof(TableRow);
	info.hcxt = CurrentMemoryContext;
	rows = hash_create("itemcache tables", 64, &info,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(lc, relids)
	{
		TableRow   *row = hash_search(rows, &lfirst_oid(lc), HASH_ENTER, NULL);

		memset(row, 0, sizeof(TableRow));
		row->relid = lfirst_oid(lc);
		row->fills_one_in = 1;
	}
	return rows;
}

/*
 * Is it recovery that keeps a relation from being served?  (Unlogged ones can
 * not even be read.)
 */
static bool
IsInRecovery(Relation rel)
{
	return RecoveryInProgress() &&
		(!ReplayIsFollowed() || !RelationIsPermanent(rel));
}

/* Look at a relation, if it is there and nobody keeps us from it. */
static void
DescribeTable(TableRow *row, bool is_monitor)
{
	Relation	rel;
	ItemRelation *relation;

	if (!ConditionalLockRelationOid(row->relid, AccessShareLock))
	{
		bool		is_missing = false;
		AclResult	aclresult;

		aclresult = pg_class_aclcheck_ext(row->relid, GetUserId(), ACL_SELECT,
										  &is_missing);
		row->exists = !is_missing;
		row->locked = true;
		row->visible = is_monitor || aclresult == ACLCHECK_OK;
		row->partitioned =
			get_rel_relkind(row->relid) == RELKIND_PARTITIONED_TABLE;
		CountTable(row);
		return;
	}

	rel = try_relation_open(row->relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(row->relid, AccessShareLock);
		return;
	}
	relation = ItemRelationOf(rel);
	if (relation->attached)
	{
		row->exists = true;
		row->visible = is_monitor || HasReadPrivilege(row->relid);
		row->partitioned = relation->partitioned;
		row->state = RelationFindsNoRoom(relation) ? RELATION_NO_ROOM :
			relation->state;
		row->in_recovery = IsInRecovery(rel);
		row->preload = relation->options.preload;
		row->cache_new = relation->options.cache_new;
		DescribeAliases(row, relation);
		CountTable(row);
	}
	relation_close(rel, AccessShareLock);
}

/* Which aliases are loaded, and which are not since there is no such index. */
static void
DescribeAliases(TableRow *row, ItemRelation *relation)
{
	const char *aliases = relation->options.aliases;
	List	   *missing = NIL;
	ListCell   *lc;

	if (aliases == NULL)
		return;
	row->preload_aliases = pstrdup(aliases);
	(void) NamedAliases(relation, aliases, &missing);
	foreach(lc, missing)
		row->missing_aliases = row->missing_aliases == NULL ? lfirst(lc) :
			psprintf("%s; %s", row->missing_aliases, (char *) lfirst(lc));
}

/* The relation's own counts; a partitioned table has none. */
static void
CountTable(TableRow *row)
{
	uint64		key = RelationOwnerKey(MyDatabaseId, row->relid);
	int			number = OwnerFind(key);
	uint64		counts[COUNTER_KINDS];

	StatsOfOwner(number, key, counts);
	for (int kind = 0; kind < COUNTER_KINDS; kind++)
		row->counts[kind] += counts[kind];

	if (number != OWNER_NONE)
	{
		AddHoldings(number, &row->items, &row->bytes);
		row->aliases += pg_atomic_read_u64(&OwnerSlot(number)->items[STORE_ALIAS]);
		row->absences += pg_atomic_read_u64(&OwnerSlot(number)->items[STORE_ABSENCE]);
		row->evictions += pg_atomic_read_u64(&OwnerSlot(number)->evictions);
		row->fills_one_in = AdmissionOneIn(number);
	}
}

/* Add what an owner has in the cache. */
static void
AddHoldings(int number, uint64 *items, uint64 *bytes)
{
	*items += pg_atomic_read_u64(&OwnerSlot(number)->items[STORE_ROW]);
	*bytes += OwnerBytes(number);
}

/* Add a partition's counts to the partitioned tables it is part of. */
static void
AddToAncestors(HTAB *rows, TableRow *row)
{
	List	   *ancestors;
	ListCell   *lc;

	if (!get_rel_relispartition(row->relid))
		return;

	/* from the bottom to the top */
	ancestors = get_partition_ancestors(row->relid);
	foreach(lc, ancestors)
	{
		TableRow   *ancestor = hash_search(rows, &lfirst_oid(lc), HASH_FIND, NULL);

		if (ancestor == NULL)
			continue;
		row->root = ancestor->relid;
		if (!row->partitioned)
			AddRow(ancestor, row);
	}
	list_free(ancestors);
}

static void
AddRow(TableRow *sum, const TableRow *row)
{
	sum->leaves++;
	if (!row->locked && row->state == RELATION_SERVED)
		sum->leaves_served++;
	sum->items += row->items;
	sum->aliases += row->aliases;
	sum->absences += row->absences;
	sum->bytes += row->bytes;
	sum->evictions += row->evictions;
	sum->fills_one_in = Max(sum->fills_one_in, row->fills_one_in);
	for (int kind = 0; kind < COUNTER_KINDS; kind++)
		sum->counts[kind] += row->counts[kind];
}

/* A partitioned table is as good as its leaves. */
static RelationState
StateOf(const TableRow *row)
{
	if (!row->exists)
		return RELATION_NOT_ATTACHED;
	if (row->state == RELATION_PARTITIONED && row->leaves_served == row->leaves)
		return RELATION_SERVED;
	return row->state;
}

static char *
StateText(const TableRow *row)
{
	RelationState state = StateOf(row);

	if (row->locked)
		return "locked";
	if (row->in_recovery)
		return "in recovery";
	if (state == RELATION_PARTITIONED)
		return psprintf("%d of %d partitions served", row->leaves_served,
						row->leaves);
	return pstrdup(RelationStateName(state));
}

static void
PutText(const char *string, Datum *value, bool *isnull)
{
	*isnull = string == NULL;
	if (string != NULL)
		*value = CStringGetTextDatum(string);
}

static void
PutRow(ReturnSetInfo *rsinfo, const TableRow *row)
{
	Datum		values[TABLES_COLUMNS];
	bool		nulls[TABLES_COLUMNS] = {false};
	int			i = 0;

	values[i++] = ObjectIdGetDatum(row->relid);
	nulls[i] = !OidIsValid(row->root);
	values[i++] = ObjectIdGetDatum(row->root);
	values[i++] = CStringGetTextDatum(StateText(row));
	nulls[i] = row->locked;
	values[i++] = BoolGetDatum(!row->in_recovery &&
							   (StateOf(row) == RELATION_SERVED ||
								(row->partitioned && row->leaves_served > 0)));
	nulls[i] = row->locked;
	values[i++] = BoolGetDatum(row->preload);
	nulls[i] = row->locked;
	values[i++] = BoolGetDatum(row->cache_new);
	values[i++] = Int64GetDatum(row->items);
	values[i++] = Int64GetDatum(row->bytes);
	values[i++] = Int64GetDatum(row->counts[COUNT_HITS]);
	values[i++] = Int64GetDatum(row->counts[COUNT_MISSES]);
	values[i++] = Int64GetDatum(row->counts[COUNT_BYPASSES]);
	values[i++] = Int64GetDatum(row->counts[COUNT_FILLS]);
	values[i++] = Int64GetDatum(row->counts[COUNT_REFUSED]);
	values[i++] = Int64GetDatum(row->counts[COUNT_BUSY]);
	values[i++] = Int64GetDatum(row->counts[COUNT_TOO_LARGE]);
	values[i++] = Int64GetDatum(row->counts[COUNT_PUBLISHES]);
	values[i++] = Int64GetDatum(row->counts[COUNT_REMOVALS]);
	values[i++] = Int64GetDatum(row->counts[COUNT_OVERFLOWS]);
	values[i++] = Int64GetDatum(row->evictions);
	/* since 1.1 */
	values[i++] = Int64GetDatum(row->counts[COUNT_OUTDATED]);
	values[i++] = Int64GetDatum(row->counts[COUNT_SPARED]);
	values[i++] = Int32GetDatum(row->fills_one_in);
	values[i++] = Int64GetDatum(row->aliases);
	values[i++] = Int64GetDatum(row->absences);
	PutText(row->preload_aliases, &values[i], &nulls[i]);
	i++;
	PutText(row->missing_aliases, &values[i], &nulls[i]);
	i++;
	Assert(i == lengthof(values) && rsinfo->setDesc->natts <= i);

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(itemcache_reset_stats);

/* Nothing is locked: a table that is dropped meanwhile has nothing to reset. */
Datum
itemcache_reset_stats(PG_FUNCTION_ARGS)
{
	Oid			relid = RequireRelation(fcinfo);
	ListCell   *lc;

	RequirePreloaded();
	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		uint64		key = RelationOwnerKey(MyDatabaseId, lfirst_oid(lc));

		StatsReset(OwnerFind(key), key);
	}
	PG_RETURN_VOID();
}
