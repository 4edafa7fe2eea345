/*-------------------------------------------------------------------------
 *
 * owner.h
 *	  Who owns the items of the store: one shared slot for each cached table.
 *
 * An owner is named by a 64-bit key that this layer does not interpret
 * (database and table OID), and has an epoch.  An epoch is made of a value
 * of one cluster-wide counter, never reused, and of the owner's number in
 * its low OWNER_BITS bits; an item is reachable only under its owner's
 * current epoch.  Giving a slot to another key changes the epoch, so what
 * was remembered of the old owner can only miss.
 *
 * There is a slot for some kilobytes of memory.  If there are more owners than
 * slots, those without one have nothing in the cache, and wait for their turn
 * (OwnerMake).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_OWNER_H
#define ITEMCACHE_OWNER_H

#include "port/atomics.h"

#define OWNER_BITS			20
#define OWNER_NONE			(-1)
#define EPOCH_NONE			UINT64CONST(0)
#define EpochOwner(epoch)	((int) ((epoch) & ((UINT64CONST(1) << OWNER_BITS) - 1)))

/* What the store holds of an owner; at most four kinds (store_internal.h). */
typedef enum StoreKind
{
	STORE_ROW,					/* payload: a row */
	STORE_ALIAS,				/* no payload: leads to a row by its hash */
	STORE_ABSENCE				/* payload: a key that has no row */
} StoreKind;

#define STORE_KINDS			3

/* The key of a table, as everybody above makes it. */
#define RelationOwnerKey(dbid, relid) \
	(((uint64) (dbid) << 32) | (uint64) (relid))

/* What is counted for each table; see stats.h for who counts. */
typedef enum CounterKind
{
	COUNT_HITS,					/* lookups answered from the cache */
	COUNT_MISSES,				/* lookups that looked and had to read the table */
	COUNT_BYPASSES,				/* lookups that did not look: own writes,
								 * SERIALIZABLE, row security, standby ... */
	COUNT_FILLS,				/* items cached after a table read */
	COUNT_PUBLISHES,			/* items cached by the transaction that wrote them */
	COUNT_REMOVALS,				/* keys removed because they were written */
	COUNT_REFUSED,				/* fills refused: the row was being changed */
	COUNT_BUSY,					/* fills given up: the store was locked */
	COUNT_TOO_LARGE,			/* rows read that are too large to be cached */
	COUNT_OVERFLOWS,			/* transactions that wrote more keys than are
								 * noted, which emptied the cache of the table */
	COUNT_OUTDATED,				/* misses whose item was there, but replay had
								 * changed its row since (rule 0) */
	COUNT_SPARED,				/* rows read that were not worth a fill */
	COUNTER_KINDS
} CounterKind;

/* What every lookup reads.  Written under OwnerLock, read without. */
typedef struct OwnerName
{
	pg_atomic_uint64 key;
	pg_atomic_uint64 epoch;		/* EPOCH_NONE while the slot is free */
	pg_atomic_uint64 absences;	/* epoch of absences; EPOCH_NONE while there
								 * have been none */
	pg_atomic_uint64 file;		/* what OwnerSetFile() said, without the lock */
} OwnerName;

/* What fills and evictions write, atomically, and views read; no lock. */
typedef struct Owner
{
	pg_atomic_uint64 items[STORE_KINDS];	/* of the current epochs; may be
											 * off by writes that were in
											 * flight when one moved */
	pg_atomic_uint64 bytes[STORE_KINDS];	/* what these take in the rings */
	pg_atomic_uint64 evictions;
	pg_atomic_uint64 planned;	/* rows that plans know of: see warmth.c */
	/* how much of what misses is put in: see admission.c */
	pg_atomic_uint32 admission; /* number of the window 24 | halvings 8 */
	pg_atomic_uint32 newcomers; /* put in since it began ... */
	pg_atomic_uint32 newcomers_found;	/* ... and hit while young */
	pg_atomic_uint32 window_began_s;	/* when it began, in seconds */
	pg_atomic_uint64 counters[COUNTER_KINDS];	/* folded here by backends that
												 * gave up their line */
} Owner;

/* Shared memory: bytes wanted for "memory" bytes in all, and the lay-out. */
extern Size OwnerShmemSize(Size memory);
extern void OwnerShmemInit(Size memory);

/*
 * How many slots there are, and of slot "number" (0 <= number < OwnerCount())
 * the counts, and the key (of whoever had it last, if it is free).
 */
extern int	OwnerCount(void);
extern Owner *OwnerSlot(int number);
static inline uint64 OwnerKey(int number);

/*
 * Number of the slot of "key", or OWNER_NONE.  Takes no lock; may be called
 * from an invalidation callback.
 */
extern int	OwnerFind(uint64 key);

/* The same for who knows where it was a while ago, or OWNER_NONE. */
static inline int OwnerFindAt(int number, uint64 key);

/*
 * Number of the slot of "key", which is made if there is none.  To have one is
 * optional: OWNER_NONE if others keep OwnerLock, for which only a loader waits a
 * while ("patient"; trylock.h), or if all slots that the key may have are taken by owners that have something in
 * the cache.  Now and then, though, the one of these that has least loses its
 * slot (and what it has).
 */
extern int	OwnerMake(uint64 key, bool patient);

/* Could OwnerMake() give "key" a slot without taking it from somebody? */
extern bool OwnerHasRoom(uint64 key);

/* How many owners have something in the cache; how often one found no room. */
extern int	OwnersInUse(void);
extern uint64 OwnersRefused(void);

/*
 * The current epoch of slot "number" if it still belongs to "key", else
 * EPOCH_NONE.  Takes no lock.
 */
static inline uint64 OwnerEpoch(int number, uint64 key);

/*
 * The same of the epoch that its absences are under; EPOCH_NONE if none has
 * been asked for.  It moves with the owner's epoch, and by itself.
 */
static inline uint64 OwnerAbsenceEpoch(int number, uint64 key);

/*
 * What owner "key" has of a kind, which had slot "number" when the caller looked
 * (OWNER_NONE: is looked for).
 */
static inline uint64 OwnerItems(int number, uint64 key, StoreKind kind);

/* What all that the owner of a slot has takes in the rings. */
static inline uint64 OwnerBytes(int number);

/*
 * Give owner "key" a new epoch: every item it has becomes unreachable, and
 * every fill that began before is refused.  Nothing to do when it has no
 * slot.  True if it had items.  Takes OwnerLock.
 */
extern bool OwnerMoveEpoch(uint64 key);

/* The same for every owner whose key agrees with "key" in the bits of "mask". */
extern void OwnerMoveEpochs(uint64 key, uint64 mask);

/*
 * Give the owner of slot "number", if that is "key", an epoch for absences if
 * it has none: from now on whoever adds a key has to look for them.  Takes
 * OwnerLock.
 */
extern void OwnerBeginAbsences(int number, uint64 key);

/* Make every absence that owner "key" has unreachable.  Takes OwnerLock. */
extern void OwnerMoveAbsences(uint64 key);

/*
 * Remember which file an owner's items are read from, and ask for it, and for
 * the owner's key; false if the slot is free.  A hint, not interpreted here.
 */
extern void OwnerSetFile(int number, uint64 key, uint32 file);
extern bool OwnerFile(int number, uint64 *key, uint32 *file);

/*
 * How often any epoch moved while its owner had items: tells the store that
 * its rings hold garbage its own accounts still call live.
 */
extern uint64 OwnerGarbageGeneration(void);

/* What owners had counted that have lost their slots since. */
extern void OwnerRetiredCounts(uint64 counts[COUNTER_KINDS]);

/* in owner.c; exposed for OwnerEpoch and the store's own hot path */
extern OwnerName *OwnerNames;
extern Owner *OwnerSlots;

static inline uint64
OwnerKey(int number)
{
	return pg_atomic_read_u64(&OwnerNames[number].key);
}

/* One of a slot's two epochs; the argument is at the top of owner.c. */
static inline uint64
ReadOwnerEpoch(int number, uint64 key, pg_atomic_uint64 *which)
{
	uint64		epoch;

	epoch = pg_atomic_read_u64(which);
	pg_read_barrier();
	if (OwnerKey(number) != key)
		return EPOCH_NONE;
	pg_read_barrier();
	if (pg_atomic_read_u64(which) != epoch)
		return EPOCH_NONE;
	return epoch;
}

static inline uint64
OwnerEpoch(int number, uint64 key)
{
	return ReadOwnerEpoch(number, key, &OwnerNames[number].epoch);
}

static inline uint64
OwnerAbsenceEpoch(int number, uint64 key)
{
	return ReadOwnerEpoch(number, key, &OwnerNames[number].absences);
}

static inline int
OwnerFindAt(int number, uint64 key)
{
	if (number != OWNER_NONE && OwnerEpoch(number, key) != EPOCH_NONE)
		return number;
	return OwnerFind(key);
}

static inline uint64
OwnerItems(int number, uint64 key, StoreKind kind)
{
	if (number == OWNER_NONE)
		number = OwnerFind(key);
	if (number == OWNER_NONE || OwnerEpoch(number, key) == EPOCH_NONE)
		return 0;
	return pg_atomic_read_u64(&OwnerSlots[number].items[kind]);
}

static inline uint64
OwnerBytes(int number)
{
	uint64		bytes = 0;

	for (int kind = 0; kind < STORE_KINDS; kind++)
		bytes += pg_atomic_read_u64(&OwnerSlots[number].bytes[kind]);
	return bytes;
}

#endif							/* ITEMCACHE_OWNER_H */
