/*-------------------------------------------------------------------------
 *
 * warmth.c
 *	  How much of a table is cached, as far as plans depend on it.
 *
 * What a plan is worth depends on how many of a table's rows are cached, and a
 * plan that is kept (of a prepared statement, or in a function) on how many were
 * when it was made.  So plans are made again when a table has been loaded, and
 * when its rows in the cache have become a quarter more, or less, than they were
 * when plans were last made again.  While a million rows are cached one by one
 * that happens some thirty times.
 *
 * They are made again by an invalidation message, but not the table's own.  That
 * would have every session describe the table anew, and analyze again all that
 * is about it; and to whoever has the table locked as DDL does it is a sign of
 * DDL (rule 6).  A plan can also depend on functions, by the hash of their OIDs.
 * Ours depend on one that has the table's OID.  There is none, or if there is, its
 * plans are made again once more.
 *
 * The message is sent at once, not with the end of the transaction: what is cached
 * is, whether that commits or not.
 *
 * May call: relation, owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "miscadmin.h"
#include "storage/sinval.h"
#include "table/warmth.h"
#include "utils/memdebug.h"
#include "utils/syscache.h"

/* Tables with fewer rows in the cache make no difference to a plan. */
#define MIN_ROWS	1000

static bool IsMuchMore(uint64 rows, uint64 than);
static uint32 PlanHash(Oid relid);

uint64
CachedRows(const ItemRelation *relation)
{
	return OwnerItems(relation->owner, relation->key, STORE_ROW);
}

void
PlanDependsOnWarmth(PlannerInfo *root, Oid relid)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = PROCOID;
	item->hashValue = PlanHash(relid);
	root->glob->invalItems = lappend(root->glob->invalItems, item);
}

void
TellWarmth(const ItemRelation *relation)
{
	SharedInvalidationMessage message;

	if (relation->owner == OWNER_NONE)
		return;
	pg_atomic_write_u64(&OwnerSlot(relation->owner)->planned, CachedRows(relation));
	memset(&message, 0, sizeof(message));
	message.cc.id = PROCOID;
	message.cc.dbId = MyDatabaseId;
	message.cc.hashValue = PlanHash(relation->relid);
	VALGRIND_MAKE_MEM_DEFINED(&message, sizeof(message));
	SendSharedInvalidMessages(&message, 1);
}

/* Of those who find it changed, one tells, mostly. */
void
TellWarmthIfChanged(const ItemRelation *relation)
{
	uint64		rows = CachedRows(relation);
	uint64		planned;

	if (relation->owner == OWNER_NONE)
		return;
	planned = pg_atomic_read_u64(&OwnerSlot(relation->owner)->planned);
	if (IsMuchMore(rows, planned) || IsMuchMore(planned, rows))
		TellWarmth(relation);
}

static bool
IsMuchMore(uint64 rows, uint64 than)
{
	return rows >= MIN_ROWS && rows > than + than / 4;
}

static uint32
PlanHash(Oid relid)
{
	return GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(relid));
}
