/*-------------------------------------------------------------------------
 *
 * relation.c
 *	  What this backend knows of a relation: whether it is attached and can
 *	  be served, the shape of its rows, its owner slot in the store.
 *
 * A description is made from the relcache and the catalogs, with the relation
 * locked, and marked invalid by the relcache callback.  It is a statement
 * about the relation as it is for anyone who has accepted the invalidations
 * that were sent until then; rule 6 in README says why a reader that accepts
 * them after taking its snapshot knows enough.
 *
 * Descriptions are never freed.  What they point to is: a shape is replaced
 * when the relation's columns or key have changed, and an old one is kept to
 * the end of the transaction for callers up the stack that still use it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "settings.h"
#include "storage/sinval.h"
#include "table/relation.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* How often a description is made again when a message comes meanwhile. */
#define MAX_TRIES	4

static HTAB *Relations = NULL;
static RelcacheListener Listener = NULL;

/*
 * Moved whenever locks may have been released.  A relation locked under the
 * current value is still locked.
 */
static uint64 LockGeneration = 1;

/* SharedInvalidMessageCounter at the last end of a transaction, or abort. */
static uint64 MessagesSeen = 0;

static List *RetiredShapes = NIL;	/* in TopMemoryContext */
static List *RetiredPlans = NIL;	/* the same */

static void RefuseMissing(Oid relid);
static void LockForRead(Oid relid);
static void Describe(ItemRelation *relation, Relation rel);
static void InstallShape(ItemRelation *relation, ItemShape *shape);
static void RetireShape(ItemShape *shape);
static RelationState JudgeKind(ItemRelation *relation, Relation rel);
static RelationState JudgeTrigger(ItemRelation *relation, Relation rel);
static void InstallOptions(ItemRelation *relation, const Trigger *trigger);
static void RelcacheCallback(Datum arg, Oid relid);
static void RowTypeCallback(Datum arg, int cacheid, uint32 hashvalue);
static void DistrustIfMessagesCame(void);
static void RequireOneRowType(Relation rel);
static void RememberName(ItemRelation *relation, const char *name,
						 Oid namespace, Oid rowtype);
static bool WasRenamed(const ItemRelation *relation);

void
RelationsInit(RelcacheListener listener)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(ItemRelation);
	ctl.hcxt = TopMemoryContext;
	Relations = hash_create("itemcache relations", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	Listener = listener;
	CacheRegisterRelcacheCallback(RelcacheCallback, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, RowTypeCallback, (Datum) 0);
}

/*
 * Neither allocates nor reads catalogs: may be called in the middle of
 * anything, at abort as well.
 */
static void
RelcacheCallback(Datum arg, Oid relid)
{
	ItemRelation *relation;

	if (OidIsValid(relid))
	{
		relation = hash_search(Relations, &relid, HASH_FIND, NULL);
		if (relation != NULL)
			relation->valid = false;
	}
	else
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, Relations);
		while ((relation = hash_seq_search(&status)) != NULL)
			relation->valid = false;
	}
	Listener(relid);
}

/*
 * A relation's row type changes with its name, schema and owner, and goes with
 * it.  To a statement NULL::items is a type by its OID, on which no plan
 * depends: it would stay with the table that was called items once, where a
 * SELECT finds the one that is called that now.  So have all statements
 * analyzed again.  (A reset of the whole cache, 0, does that by itself.)
 */
static void
RowTypeCallback(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	ItemRelation *relation;
	bool		found = false;

	if (hashvalue == 0)
		return;
	hash_seq_init(&status, Relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		if (relation->rowtype_hash == hashvalue)
		{
			relation->rowtype_changes++;
			found = true;
		}
	}
	if (found)
		ResetPlanCache();
}

/*
 * At an abort.  A message is off the queue when the server begins to act on it,
 * and that, rebuilding the description of a relation that is open, may fail
 * before callbacks are called.
 */
static void
DistrustIfMessagesCame(void)
{
	HASH_SEQ_STATUS status;
	ItemRelation *relation;

	if (SharedInvalidMessageCounter == MessagesSeen)
		return;
	MessagesSeen = SharedInvalidMessageCounter;
	hash_seq_init(&status, Relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		relation->valid = false;
		relation->rowtype_changes++;
	}
}

ItemRelation *
FindItemRelation(Oid relid)
{
	static ItemRelation *last = NULL;
	ItemRelation *relation;
	bool		found;

	if (last != NULL && last->relid == relid)
		return last;
	relation = hash_search(Relations, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) relation + sizeof(Oid), 0,
			   sizeof(ItemRelation) - sizeof(Oid));
		relation->key = RelationOwnerKey(MyDatabaseId, relid);
		MakeKeySeed(relation->key, 0, relation->seed);
		relation->owner = OWNER_NONE;
	}
	last = relation;
	return relation;
}

ItemRelation *
ItemRelationForRead(Oid relid, bool missing_ok)
{
	ItemRelation *relation = FindItemRelation(relid);

	return RefreshItemRelation(relation, missing_ok) ? relation : NULL;
}

bool
RefreshItemRelation(ItemRelation *relation, bool missing_ok)
{
	Oid			relid = relation->relid;
	bool		was_locked = relation->locked == LockGeneration;

	if (!was_locked)
	{
		LockForRead(relid);
		relation->locked = LockGeneration;
	}

	/*
	 * Even with the lock held: DDL that does not exclude readers may have
	 * committed since (rule 6).
	 */
	AcceptInvalidationMessages();

	for (int tries = 0; !relation->valid && tries < MAX_TRIES; tries++)
	{
		Relation	rel = try_relation_open(relid, NoLock);

		if (rel == NULL)
		{
			if (!was_locked)
				UnlockRelationOid(relid, AccessShareLock);
			relation->locked = 0;
			if (missing_ok)
				return false;
			RefuseMissing(relid);
		}
		Describe(relation, rel);
		relation_close(rel, NoLock);
	}
	return true;
}

static void
RefuseMissing(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation with OID %u does not exist", relid)));
}

void
RequireShape(ItemRelation *relation, const ItemShape *shape)
{
	RefreshItemRelation(relation, false);
	if (relation->shape != shape && !ShapesAlike(relation->shape, shape))
		RefuseAltered(relation);
}

void
RefuseAltered(const ItemRelation *relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("table \"%s\" was altered during the call",
					get_rel_name(relation->relid)),
			 errdetail("A function that the call itself ran, of a cast or an operator for example, has altered it.")));
}

/* As LockRelationOid() does, but for the messages, which the caller accepts. */
static void
LockForRead(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag,
						 IsSharedRelation(relid) ? InvalidOid : MyDatabaseId,
						 relid);
	(void) LockAcquire(&tag, AccessShareLock, false, false);
}

uint64
CurrentLockGeneration(void)
{
	return LockGeneration;
}

bool
ItemRelationIsLocked(Oid relid)
{
	return FindItemRelation(relid)->locked == LockGeneration;
}

void
ItemRelationIsLockedByPlan(ItemRelation *relation)
{
	Assert(RelationLockHeld(relation->relid, AccessShareLock));
	relation->locked = LockGeneration;
}

void
LockItemRelationForWrite(ItemRelation *relation)
{
	Oid			relid = relation->relid;
	uint64		changes = relation->rowtype_changes;

	if (!relation->valid)
		RememberName(relation, get_rel_name(relid), get_rel_namespace(relid),
					 get_rel_type_id(relid));
	LockRelationOid(relid, RowExclusiveLock);
	relation->locked = LockGeneration;
	if (relation->rowtype_changes != changes && WasRenamed(relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("table \"%s\" was renamed while a write waited for it",
						NameStr(relation->name)),
				 errhint("Try again.")));
}

/* What the relation is called, if it exists, and by what to know of a change. */
static void
RememberName(ItemRelation *relation, const char *name, Oid namespace,
			 Oid rowtype)
{
	if (name == NULL)
		return;
	namestrcpy(&relation->name, name);
	relation->namespace = namespace;
	relation->rowtype_hash = GetSysCacheHashValue1(TYPEOID,
												   ObjectIdGetDatum(rowtype));
}

/* Is it called otherwise now?  Not if it does not exist any more. */
static bool
WasRenamed(const ItemRelation *relation)
{
	const char *name = get_rel_name(relation->relid);

	return name != NULL &&
		(strcmp(name, NameStr(relation->name)) != 0 ||
		 get_rel_namespace(relation->relid) != relation->namespace);
}

bool
ItemRelationLooksCurrent(const ItemRelation *relation)
{
	return relation->valid && relation->locked == LockGeneration;
}

ItemRelation *
ItemRelationOf(Relation rel)
{
	ItemRelation *relation = FindItemRelation(RelationGetRelid(rel));

	for (int tries = 0; !relation->valid && tries < MAX_TRIES; tries++)
		Describe(relation, rel);
	return relation;
}

uint64
NewItemRelationEpoch(ItemRelation *relation, bool patient)
{
	relation->owner = OwnerMake(relation->key, patient);
	if (relation->owner == OWNER_NONE)
		return EPOCH_NONE;
	OwnerSetFile(relation->owner, relation->key, relation->file);
	return OwnerEpoch(relation->owner, relation->key);
}

char *
QualifiedRelationName(Oid relid)
{
	char	   *relname = get_rel_name(relid);

	if (relname == NULL)
		RefuseMissing(relid);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  relname);
}

bool
RelationFindsNoRoom(const ItemRelation *relation)
{
	return relation->state == RELATION_SERVED &&
		OwnerFind(relation->key) == OWNER_NONE && !OwnerHasRoom(relation->key);
}

bool
RelationLockHeld(Oid relid, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return LockOrStrongerHeld(&tag, mode);
}

/*
 * Bring a description up to date.  Marked valid first: a message that comes
 * while we look makes it invalid again, and callers look again, since what we
 * have read may be partly from before that change and partly from after.  Not
 * for ever, though: with debug_discard_caches every look ends that way, and
 * what is read is no older than the messages accepted before it began.
 */
static void
Describe(ItemRelation *relation, Relation rel)
{
	MemoryContext context;
	MemoryContext oldcontext;
	IndexKey	pk;
	ItemShape  *shape;
	RelationState state;

	/* a node of the executor may have us look again as often as it is called */
	context = AllocSetContextCreate(CurrentMemoryContext,
									"itemcache description",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	relation->valid = true;

	PG_TRY();
	{
		RequireOneRowType(rel);
		FindPrimaryKey(rel, &pk);
		shape = MakeShape(rel, &pk);
		InstallShape(relation, shape);
		relation->described++;

		relation->partitioned =
			rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
		RememberName(relation, RelationGetRelationName(rel),
					 RelationGetNamespace(rel), rel->rd_rel->reltype);
		relation->has_rls = rel->rd_rel->relrowsecurity;
		relation->pk = pk.index;
		relation->acl_user = InvalidOid;

		relation->fitness = JudgeKind(relation, rel);
		if (relation->fitness == RELATION_SERVED ||
			relation->fitness == RELATION_PARTITIONED)
		{
			if (!OidIsValid(relation->pk.oid))
				relation->fitness = RELATION_NO_KEY;
			else if (!relation->pk.valid || !relation->pk.immediate)
				relation->fitness = RELATION_KEY_UNUSABLE;
		}
		state = JudgeTrigger(relation, rel);
		if (state == RELATION_SERVED)
		{
			relation->file = rel->rd_rel->relfilenode;
			relation->owner = OwnerFind(relation->key);
			if (relation->owner != OWNER_NONE)
				OwnerSetFile(relation->owner, relation->key, relation->file);
		}
		relation->state = state;
	}
	PG_CATCH();
	{
		relation->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/*
 * Rows are made as the relcache describes them, and read by others as the type
 * cache does.  If the two differ, the server has lost a message to an error
 * (see DistrustIfMessagesCame), which its own executor would find out.
 */
static void
RequireOneRowType(Relation rel)
{
	TupleDesc	tupdesc;
	bool		same;

	if (!OidIsValid(rel->rd_rel->reltype))
		return;
	tupdesc = lookup_rowtype_tupdesc(rel->rd_rel->reltype, -1);
	same = tupdesc == RelationGetDescr(rel) ||
		equalTupleDescs(tupdesc, RelationGetDescr(rel));
	ReleaseTupleDesc(tupdesc);
	if (!same)
		InvalidateSystemCaches();
}

/*
 * Most messages change nothing of the shape (VACUUM and ANALYZE send them
 * too): then the old one stays.
 */
static void
InstallShape(ItemRelation *relation, ItemShape *shape)
{
	if (relation->shape != NULL)
	{
		if (ShapesEqual(relation->shape, shape))
		{
			MemoryContextDelete(shape->context);
			return;
		}
		RetireShape(relation->shape);
	}
	MemoryContextSetParent(shape->context, CacheMemoryContext);
	relation->shape = shape;
	relation->uniques = NULL;	/* go with the old shape */
	relation->uniques_described = 0;
}

static void
RetireShape(ItemShape *shape)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	RetiredShapes = lappend(RetiredShapes, shape);
	MemoryContextSwitchTo(oldcontext);
}

void
RetirePlan(SPIPlanPtr plan)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	RetiredPlans = lappend(RetiredPlans, plan);
	MemoryContextSwitchTo(oldcontext);
}

void
RelationsAtTransactionEnd(bool committed)
{
	LockGeneration++;
	if (committed)
		MessagesSeen = SharedInvalidMessageCounter;
	else
		DistrustIfMessagesCame();
	if (RetiredPlans != NIL)
	{
		ListCell   *lc;

		foreach(lc, RetiredPlans)
			SPI_freeplan(lfirst(lc));
		list_free(RetiredPlans);
		RetiredPlans = NIL;
	}
	if (RetiredShapes != NIL)
	{
		ListCell   *lc;

		foreach(lc, RetiredShapes)
			MemoryContextDelete(((ItemShape *) lfirst(lc))->context);
		list_free(RetiredShapes);
		RetiredShapes = NIL;
	}
}

void
RelationsAtSubTransactionAbort(void)
{
	LockGeneration++;
	DistrustIfMessagesCame();
}

/*
 * Everything that must be so of a table to be served but for its key and its
 * trigger.
 */
static RelationState
JudgeKind(ItemRelation *relation, Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return RELATION_WRONG_KIND;
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return RELATION_TEMPORARY;
	if (IsSystemRelation(rel))
		return RELATION_CATALOG;
	if (relation->shape->has_virtual)
		return RELATION_VIRTUAL_COLUMN;
	if (relation->partitioned)
		return RELATION_PARTITIONED;
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return RELATION_NOT_HEAP;
	return RELATION_SERVED;
}

/* Is it attached, fit to be served, and does the trigger see every write? */
static RelationState
JudgeTrigger(ItemRelation *relation, Relation rel)
{
	Trigger    *trigger = FindItemCacheTrigger(rel);

	relation->attached = trigger != NULL;
	InstallOptions(relation, trigger);

	if (relation->fitness != RELATION_SERVED &&
		relation->fitness != RELATION_PARTITIONED)
		return relation->fitness;
	if (trigger == NULL)
		return RELATION_NOT_ATTACHED;
	if (!TriggerHasOurForm(trigger))
		return RELATION_TRIGGER_ALTERED;
	if (trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
		return RELATION_TRIGGER_DISABLED;
	return relation->fitness;
}

static void
InstallOptions(ItemRelation *relation, const Trigger *trigger)
{
	TriggerOptions options = {0};
	char	   *aliases = NULL;

	if (trigger != NULL)
		ReadTriggerOptions(trigger, &options);
	if (options.aliases != NULL)
		aliases = MemoryContextStrdup(CacheMemoryContext, options.aliases);
	if (relation->options.aliases != NULL)
		pfree(unconstify(char *, relation->options.aliases));
	options.aliases = aliases;
	relation->options = options;
}

const char *
RelationStateName(RelationState state)
{
	switch (state)
	{
		case RELATION_SERVED:
			return "served";
		case RELATION_NOT_ATTACHED:
			return "not attached";
		case RELATION_PARTITIONED:
			return "partitioned";
		case RELATION_WRONG_KIND:
			return "not a table";
		case RELATION_TEMPORARY:
			return "temporary table";
		case RELATION_CATALOG:
			return "system catalog";
		case RELATION_NOT_HEAP:
			return "access method is not heap";
		case RELATION_NO_KEY:
			return "no primary key";
		case RELATION_KEY_UNUSABLE:
			return "primary key is deferrable, not valid or not a btree";
		case RELATION_VIRTUAL_COLUMN:
			return "virtual generated column";
		case RELATION_TRIGGER_ALTERED:
			return "trigger altered";
		case RELATION_TRIGGER_DISABLED:
			return "trigger not enabled always";
		case RELATION_NO_ROOM:
			return "no room for another table";
	}
	return "unknown";
}
