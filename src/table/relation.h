/*-------------------------------------------------------------------------
 *
 * relation.h
 *	  What this backend knows of a relation: whether it is attached and can
 *	  be served, the shape of its rows, its owner slot in the store.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_RELATION_H
#define ITEMCACHE_RELATION_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "store/owner.h"
#include "store/stats.h"
#include "table/item.h"
#include "table/registration.h"
#include "utils/rel.h"

/* Why a relation is not served; in the order of the tests. */
typedef enum RelationState
{
	RELATION_SERVED,
	RELATION_NOT_ATTACHED,		/* no trigger of ours */
	RELATION_PARTITIONED,		/* only its leaves can be served */
	RELATION_WRONG_KIND,		/* not a table */
	RELATION_TEMPORARY,
	RELATION_CATALOG,
	RELATION_NOT_HEAP,
	RELATION_NO_KEY,			/* no primary key */
	RELATION_KEY_UNUSABLE,		/* deferrable, invalid, not btree, not hashable */
	RELATION_VIRTUAL_COLUMN,	/* virtual generated column (18) */
	RELATION_TRIGGER_ALTERED,	/* not in the form attach() makes */
	RELATION_TRIGGER_DISABLED,	/* not ENABLE ALWAYS */
	RELATION_NO_ROOM			/* too many tables; for people only, see
								 * RelationFindsNoRoom() */
} RelationState;

typedef struct ItemRelation
{
	Oid			relid;			/* hash key; must be first */
	bool		valid;			/* cleared by the relcache callback */
	uint64		key;			/* as owner: database and relid */
	uint64		seed[KEY_SEED_WORDS];	/* of its primary key's hashes */
	RelationState state;
	RelationState fitness;		/* what state would be, once attached */
	bool		attached;		/* has our trigger, in whatever form */
	bool		partitioned;
	TriggerOptions options;		/* all false unless attached */
	bool		has_rls;		/* pg_class.relrowsecurity */
	ItemIndex	pk;				/* the primary key's index */
	ItemShape  *shape;
	uint64		described;		/* how often this has been made anew */
	struct UniqueKey *uniques;	/* see uniquekey.h */
	uint64		uniques_described;	/* "described" when all were looked at */
	Oid			file;			/* its file number, if served */
	int			owner;			/* slot number, or OWNER_NONE */
	CounterLine *counters;		/* see StatsCount() */
	uint64		locked;			/* LockGeneration when the lock was taken */
	Size		prefix;			/* bytes of an image that its first so many ... */
	int			prefix_natts;	/* ... columns took lately: see fetch.c */
	int			misses;			/* lookups in a row, lately, up to MANY_MISSES */
	NameData	name;			/* when last looked */
	Oid			namespace;
	uint32		rowtype_hash;	/* of the row type in TYPEOID; 0 if not known */
	uint64		rowtype_changes;	/* messages for it: see RowTypeCallback() */
	Oid			acl_user;		/* last user found allowed to read it, and */
	uint64		acl_generation; /* when; see privilege.c, as for these: */
	uint64		shown_statement;
	TimestampTz shown_time;
	Oid			shown_user;
	struct LeafMap *leafmaps;	/* of partitions; see partition.h */
	struct ReadPlan *readplan;	/* see read.h */
	struct WritePlans *writeplans;	/* see write.h */
} ItemRelation;

#define RelationCount(relation, kind, n) \
	do { \
		if ((relation)->state == RELATION_SERVED || \
			(relation)->owner != OWNER_NONE) \
			StatsCount(&(relation)->counters, (relation)->owner, \
					   (relation)->key, (kind), (n)); \
	} while (0)

/*
 * What is known of a relation, which may be nothing yet or out of date; does
 * not look, nor lock.
 */
extern ItemRelation *FindItemRelation(Oid relid);

/*
 * The relation for reading: AccessShareLock is taken (and kept to the end of
 * the transaction) unless this transaction has it, pending invalidations are
 * accepted, and the description is brought up to date.  The result stays
 * where it is for the life of the backend; what it points to, and its fields,
 * may change whenever invalidations are accepted.
 *
 * If there is no such relation, returns NULL with "missing_ok", else raises
 * ERRCODE_UNDEFINED_TABLE.
 */
extern ItemRelation *ItemRelationForRead(Oid relid, bool missing_ok);

/*
 * The same for a relation found before, for callers in a hurry; false instead
 * of NULL.
 */
extern bool RefreshItemRelation(ItemRelation *relation, bool missing_ok);

/*
 * Look at the relation again: its columns and key must be those of "shape",
 * which it had before something was run that may have altered it.  Raises
 * ERRCODE_OBJECT_IN_USE if they are not: RefuseAltered().
 *
 * The last one does so only if there is a reason to; it is for who holds values
 * that were made for "shape", keys for example, before they are used.
 */
extern void RequireShape(ItemRelation *relation, const ItemShape *shape);
pg_noreturn extern void RefuseAltered(const ItemRelation *relation);

static inline void
KeepToShape(ItemRelation *relation, const ItemShape *shape)
{
	if (!relation->valid || relation->shape != shape)
		RequireShape(relation, shape);
}

/*
 * A number that moves whenever locks may have been released, so that who had a
 * lock under another one has to take it again.
 */
extern uint64 CurrentLockGeneration(void);

/* Has ItemRelationForRead() locked the relation in this transaction? */
extern bool ItemRelationIsLocked(Oid relid);

/*
 * Say that a plan that this transaction is executing has locked it, and keeps
 * the lock as ItemRelationForRead() would.
 */
extern void ItemRelationIsLockedByPlan(ItemRelation *relation);

/*
 * Take the lock of a statement that writes the relation, for the rest of the
 * transaction, so that neither ItemRelationForRead() nor the statement takes
 * another.  Raises ERRCODE_OBJECT_IN_USE if the relation was renamed, or moved
 * to another schema, while we waited, since the name that the statement has
 * for it may be another's by now.
 */
extern void LockItemRelationForWrite(ItemRelation *relation);

/*
 * Is it locked, and has no message come for it that we know of?  A hint: only
 * ItemRelationForRead() can say that there is none.
 */
extern bool ItemRelationLooksCurrent(const ItemRelation *relation);

/*
 * The same for a relation that the caller has open and locked; accepts no
 * invalidations by itself (building may).
 */
extern ItemRelation *ItemRelationOf(Relation rel);

/* Description for people of why a relation is not served (for views, errors). */
extern const char *RelationStateName(RelationState state);

/*
 * An epoch for a relation that has no owner slot, or not any more; or none.
 * "patient" as for OwnerMake().
 */
extern uint64 NewItemRelationEpoch(ItemRelation *relation, bool patient);

/*
 * Is the relation served, but for now by the table, since as many others are in
 * the cache as can be?
 */
extern bool RelationFindsNoRoom(const ItemRelation *relation);

/* The relation's current epoch, or EPOCH_NONE if it is not served. */
static inline uint64
ItemRelationEpoch(ItemRelation *relation)
{
	uint64		epoch = EPOCH_NONE;

	if (relation->state != RELATION_SERVED)
		return EPOCH_NONE;
	if (relation->owner != OWNER_NONE)
		epoch = OwnerEpoch(relation->owner, relation->key);
	return epoch != EPOCH_NONE ? epoch : NewItemRelationEpoch(relation, false);
}

/*
 * The relation's name for the text of a statement, palloc'd.  Raises
 * ERRCODE_UNDEFINED_TABLE if it is gone.
 */
extern char *QualifiedRelationName(Oid relid);

/* Does this transaction hold "mode" or a stronger lock on the relation? */
extern bool RelationLockHeld(Oid relid, LOCKMODE mode);

/*
 * Free a saved plan that was made for a relation, at the end of the transaction:
 * it may be running, and have called what makes another take its place.
 */
extern void RetirePlan(SPIPlanPtr plan);

/*
 * Hooks for the end of transactions: forget locks that are gone, and after an
 * abort what a lost message may have changed, free shapes and plans that were
 * replaced.  "relcache" is told of every relcache message (from
 * the invalidation callback: it may not allocate nor read catalogs).
 */
extern void RelationsAtTransactionEnd(bool committed);
extern void RelationsAtSubTransactionAbort(void);
typedef void (*RelcacheListener) (Oid relid);
extern void RelationsInit(RelcacheListener listener);

#endif							/* ITEMCACHE_RELATION_H */
