/*-------------------------------------------------------------------------
 *
 * owner.c
 *	  Who owns the items of the store: one shared slot for each cached table.
 *
 * The slots form a set-associative table: the key's hash names two sets of
 * OWNER_WAYS neighbouring slots, and the key is in one of these or nowhere.  So
 * a slot is found by reading a handful of words without a lock.  A new owner goes
 * where there is more room, so that hardly any slot is left when the first finds
 * none.  A slot is never given back, but one that has nothing in the cache (its
 * table was dropped, perhaps) is as good as free.
 *
 * Whoever finds no room is not served.  Were a slot taken from another each time,
 * then two tables that are both looked up would take it from each other, and
 * empty the cache of each other, for ever.  Were it never taken, an owner that is
 * not used any more would keep it until all it has is evicted, which is never
 * where there is memory left.  So it is done once in so many times.
 *
 * Rules
 *
 * - A slot's key and epoch are written under OwnerLock (exclusive) and read
 *   without it.  A slot is free while its epoch is EPOCH_NONE.
 *
 * - Epochs come from one cluster-wide counter and are never used twice, not
 *   even by the same owner.
 *
 * - When a slot changes hands, its epoch is set to EPOCH_NONE before its key
 *   is touched, and the new epoch is stored after everything else, with write
 *   barriers in between.
 *
 * - items, bytes, evictions and counters are added to by anyone, atomically
 *   and without a lock.  They are for people (and for choosing a victim), and
 *   nothing that must be exact depends on them.
 *
 * Why OwnerEpoch() is right
 *
 * It reads the epoch, the key, and the epoch again, with read barriers in
 * between, and answers only if both epochs are the same and the key is the
 * one it was asked for.  Let e be that epoch.  Being the same value twice, and
 * no epoch being used twice, e was the slot's epoch at both reads and at all
 * times between, as far as this processor can tell: had the slot changed hands
 * in between, or just before, so that we read a key that was stored after the
 * epoch had been set to EPOCH_NONE, then the barriers say that the second read
 * sees EPOCH_NONE or a later epoch, which differ from e.  Had we read a key
 * older than e's, we could not have seen e, which was stored after its key.
 * So the key belongs to e, and e was current when it was read last.
 *
 * The barriers have another task, for which they must stay even where nobody
 * would mind an epoch that belongs to another key: rule 2(b) wants the epoch to
 * be read before the version of a row.  A load that comes before an LWLock is
 * taken is not kept before what is loaded under it by the lock itself, on
 * machines with load-linked and store-conditional (ARMv8 without LSE, RISC-V).
 * The first load of the epoch is kept there by the barrier that follows it.
 *
 * When an epoch is moved (OwnerMoveEpoch), the mover's commit becomes visible
 * only after the store to the slot, and a reader that sees the commit took its
 * snapshot, under ProcArrayLock, after it; so it reads the new epoch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "settings.h"
#include "store/owner.h"
#include "store/trylock.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"

#define OWNER_WAYS			16
#define OWNER_SETS			2

/*
 * How many slots: OWNER_MIN at least, and as many as there is room for in so large
 * a part of the memory; past OWNER_FEW in a smaller part, and past OWNER_MANY only
 * one for so many bytes.
 */
#define OWNER_MIN			1024
#define OWNER_FEW_SHARE		32
#define OWNER_FEW			2048
#define OWNER_SHARE			128
#define OWNER_MANY			65536
#define OWNER_MEMORY		(64 * 1024)
#define OWNER_MAX			(1 << OWNER_BITS)

/* Who finds no room gets another's slot once in so many times. */
#define OWNER_TURN			64

typedef struct OwnerControl
{
	pg_atomic_uint64 epoch;		/* last one given out; written under OwnerLock */
	pg_atomic_uint64 garbage;	/* OwnerGarbageGeneration(); the same */
	pg_atomic_uint64 retired[COUNTER_KINDS];	/* counts of owners that lost
												 * their slot; the same */
	pg_atomic_uint64 refused;	/* owners that found no room; without a lock */
} OwnerControl;

OwnerName  *OwnerNames = NULL;
Owner	   *OwnerSlots = NULL;

static OwnerControl *control = NULL;
static LWLock *owner_lock = NULL;
static int	owner_count = 0;

static int	OwnersFor(Size memory);
static void FindSets(uint64 key, int first[OWNER_SETS]);
static int	FindRoom(uint64 key);
static int	FindLeast(uint64 key);
static void AssignSlot(int number, uint64 key);
static uint64 NewEpoch(int number);
static bool MoveEpoch(int number);
static bool MoveAbsences(int number);
static bool ForgetItems(Owner *owner, StoreKind first, StoreKind last);
static uint64 ItemsOfAllKinds(int number);
static inline bool SlotIsFree(int number);

Size
OwnerShmemSize(Size memory)
{
	return CACHELINEALIGN(sizeof(OwnerControl)) +
		OwnersFor(memory) * (sizeof(OwnerName) + sizeof(Owner));
}

void
OwnerShmemInit(Size memory)
{
	bool		found;
	char	   *start;

	StaticAssertStmt(PG_CACHE_LINE_SIZE % sizeof(OwnerName) == 0,
					 "a slot's key and epochs are in one cache line");

	start = ShmemInitStruct("itemcache owners", OwnerShmemSize(memory), &found);
	control = (OwnerControl *) start;
	owner_count = OwnersFor(memory);
	OwnerNames = (OwnerName *) (start + CACHELINEALIGN(sizeof(OwnerControl)));
	OwnerSlots = (Owner *) (OwnerNames + owner_count);
	owner_lock = &GetNamedLWLockTranche(ITEMCACHE_NAME)[0].lock;

	if (found)
		return;

	pg_atomic_init_u64(&control->epoch, 0);
	pg_atomic_init_u64(&control->garbage, 0);
	for (int kind = 0; kind < COUNTER_KINDS; kind++)
		pg_atomic_init_u64(&control->retired[kind], 0);
	pg_atomic_init_u64(&control->refused, 0);

	for (int i = 0; i < owner_count; i++)
	{
		Owner	   *owner = &OwnerSlots[i];
		OwnerName  *name = &OwnerNames[i];

		pg_atomic_init_u64(&name->key, 0);
		pg_atomic_init_u64(&name->epoch, EPOCH_NONE);
		pg_atomic_init_u64(&name->absences, EPOCH_NONE);
		pg_atomic_init_u64(&name->file, 0);
		for (int kind = 0; kind < STORE_KINDS; kind++)
		{
			pg_atomic_init_u64(&owner->items[kind], 0);
			pg_atomic_init_u64(&owner->bytes[kind], 0);
		}
		pg_atomic_init_u64(&owner->evictions, 0);
		pg_atomic_init_u64(&owner->planned, 0);
		pg_atomic_init_u32(&owner->admission, 0);
		pg_atomic_init_u32(&owner->newcomers, 0);
		pg_atomic_init_u32(&owner->newcomers_found, 0);
		pg_atomic_init_u32(&owner->window_began_s, 0);
		for (int kind = 0; kind < COUNTER_KINDS; kind++)
			pg_atomic_init_u64(&owner->counters[kind], 0);
	}
}

int
OwnerCount(void)
{
	return owner_count;
}

Owner *
OwnerSlot(int number)
{
	Assert(number >= 0 && number < owner_count);
	return &OwnerSlots[number];
}

/*
 * The slot found may be another's by the time the caller looks: whoever uses
 * the number asks OwnerEpoch(), which compares the key.
 */
int
OwnerFind(uint64 key)
{
	int			first[OWNER_SETS];

	FindSets(key, first);
	for (int set = 0; set < OWNER_SETS; set++)
	{
		for (int i = first[set]; i < first[set] + OWNER_WAYS; i++)
		{
			if (OwnerKey(i) == key && !SlotIsFree(i))
				return i;
		}
	}
	return OWNER_NONE;
}

int
OwnerMake(uint64 key, bool patient)
{
	int			number = OwnerFind(key);
	bool		turn = false;

	if (number != OWNER_NONE)
		return number;
	if (!OwnerHasRoom(key))
	{
		turn = pg_atomic_add_fetch_u64(&control->refused, 1) % OWNER_TURN == 0;
		if (!turn)
			return OWNER_NONE;
	}

	if (!TryLock(owner_lock, patient))
		return OWNER_NONE;
	number = OwnerFind(key);
	if (number == OWNER_NONE)
	{
		number = FindRoom(key);
		if (number == OWNER_NONE && turn)
			number = FindLeast(key);
		if (number != OWNER_NONE)
			AssignSlot(number, key);
	}
	LWLockRelease(owner_lock);

	return number;
}

bool
OwnerHasRoom(uint64 key)
{
	return FindRoom(key) != OWNER_NONE;
}

int
OwnersInUse(void)
{
	int			n = 0;

	for (int i = 0; i < owner_count; i++)
	{
		if (ItemsOfAllKinds(i) > 0)
			n++;
	}
	return n;
}

uint64
OwnersRefused(void)
{
	return pg_atomic_read_u64(&control->refused);
}

bool
OwnerMoveEpoch(uint64 key)
{
	bool		garbage;
	int			number;

	LWLockAcquire(owner_lock, LW_EXCLUSIVE);
	number = OwnerFind(key);
	garbage = number != OWNER_NONE && MoveEpoch(number);
	if (garbage)
		pg_atomic_fetch_add_u64(&control->garbage, 1);
	LWLockRelease(owner_lock);
	return garbage;
}

void
OwnerMoveEpochs(uint64 key, uint64 mask)
{
	bool		garbage = false;

	LWLockAcquire(owner_lock, LW_EXCLUSIVE);
	for (int i = 0; i < owner_count; i++)
	{
		if (!SlotIsFree(i) && ((OwnerKey(i) ^ key) & mask) == 0)
			garbage |= MoveEpoch(i);
	}
	if (garbage)
		pg_atomic_fetch_add_u64(&control->garbage, 1);
	LWLockRelease(owner_lock);
}

void
OwnerBeginAbsences(int number, uint64 key)
{
	pg_atomic_uint64 *absences = &OwnerNames[number].absences;

	if (!TryLock(owner_lock, false))
		return;
	if (OwnerKey(number) == key && !SlotIsFree(number) &&
		pg_atomic_read_u64(absences) == EPOCH_NONE)
		pg_atomic_write_u64(absences, NewEpoch(number));
	LWLockRelease(owner_lock);
}

void
OwnerMoveAbsences(uint64 key)
{
	int			number;

	LWLockAcquire(owner_lock, LW_EXCLUSIVE);
	number = OwnerFind(key);
	if (number != OWNER_NONE && MoveAbsences(number))
		pg_atomic_fetch_add_u64(&control->garbage, 1);
	LWLockRelease(owner_lock);
}

void
OwnerSetFile(int number, uint64 key, uint32 file)
{
	if (OwnerEpoch(number, key) != EPOCH_NONE)
		pg_atomic_write_u64(&OwnerNames[number].file, file);
}

bool
OwnerFile(int number, uint64 *key, uint32 *file)
{
	*key = OwnerKey(number);
	*file = (uint32) pg_atomic_read_u64(&OwnerNames[number].file);
	return OwnerEpoch(number, *key) != EPOCH_NONE;
}

uint64
OwnerGarbageGeneration(void)
{
	return pg_atomic_read_u64(&control->garbage);
}

void
OwnerRetiredCounts(uint64 counts[COUNTER_KINDS])
{
	for (int kind = 0; kind < COUNTER_KINDS; kind++)
		counts[kind] = pg_atomic_read_u64(&control->retired[kind]);
}

/* A multiple of OWNER_WAYS. */
static int
OwnersFor(Size memory)
{
	const Size	each = sizeof(OwnerName) + sizeof(Owner);
	Size		n = Max(Min(memory / OWNER_FEW_SHARE / each, OWNER_FEW),
						memory / OWNER_SHARE / each);

	n = Min(n, Max(OWNER_MANY, memory / OWNER_MEMORY));
	n = Min(Max(n, OWNER_MIN), OWNER_MAX);
	return (int) (n - n % OWNER_WAYS);
}

/* Numbers of the first slots of the sets that "key" may be in. */
static void
FindSets(uint64 key, int first[OWNER_SETS])
{
	uint64		hash = key * UINT64CONST(0x9E3779B97F4A7C15);
	uint64		nsets = owner_count / OWNER_WAYS;

	for (int set = 0; set < OWNER_SETS; set++)
	{
		/* a database's tables have neighbouring keys: mix once more */
		hash ^= hash >> 32;
		hash *= UINT64CONST(0xD6E8FEB86659FD93);
		first[set] = (int) (((hash >> 32) * nsets) >> 32) * OWNER_WAYS;
	}
}

static inline bool
SlotIsFree(int number)
{
	return pg_atomic_read_u64(&OwnerNames[number].epoch) == EPOCH_NONE;
}

/*
 * A slot for "key": a free one, of the set with more of these; else one that
 * has nothing in the cache; else OWNER_NONE.  Called without the lock too.
 */
static int
FindRoom(uint64 key)
{
	int			first[OWNER_SETS];
	int			best = OWNER_NONE;
	int			most = 0;

	FindSets(key, first);
	for (int set = 0; set < OWNER_SETS; set++)
	{
		int			nfree = 0;

		for (int i = first[set]; i < first[set] + OWNER_WAYS; i++)
		{
			if (!SlotIsFree(i))
			{
				if (best == OWNER_NONE && ItemsOfAllKinds(i) == 0)
					best = i;
				continue;
			}
			if (++nfree > most)
				best = i;
		}
		most = Max(most, nfree);
	}
	return best;
}

/* The slot of the owner that has least, of those that "key" could have. */
static int
FindLeast(uint64 key)
{
	int			first[OWNER_SETS];
	int			least;

	FindSets(key, first);
	least = first[0];
	for (int set = 0; set < OWNER_SETS; set++)
	{
		for (int i = first[set]; i < first[set] + OWNER_WAYS; i++)
		{
			if (ItemsOfAllKinds(i) < ItemsOfAllKinds(least))
				least = i;
		}
	}
	return least;
}

/*
 * Give a slot to "key".  The order of the stores is what OwnerEpoch() relies
 * on; see the top of the file.
 */
static void
AssignSlot(int number, uint64 key)
{
	OwnerName  *name = &OwnerNames[number];
	Owner	   *owner = &OwnerSlots[number];
	bool		garbage;

	pg_atomic_write_u64(&name->epoch, EPOCH_NONE);
	pg_atomic_write_u64(&name->absences, EPOCH_NONE);
	pg_write_barrier();

	pg_atomic_write_u64(&name->key, key);
	pg_atomic_write_u64(&name->file, 0);
	garbage = ForgetItems(owner, STORE_ROW, STORE_ABSENCE);
	pg_atomic_write_u64(&owner->evictions, 0);
	pg_atomic_write_u64(&owner->planned, 0);
	pg_atomic_write_u32(&owner->admission, 0);
	pg_atomic_write_u32(&owner->newcomers, 0);
	pg_atomic_write_u32(&owner->newcomers_found, 0);
	for (int kind = 0; kind < COUNTER_KINDS; kind++)
		pg_atomic_fetch_add_u64(&control->retired[kind],
								pg_atomic_exchange_u64(&owner->counters[kind], 0));
	pg_write_barrier();

	pg_atomic_write_u64(&name->epoch, NewEpoch(number));
	if (garbage)
	{
		pg_write_barrier();
		pg_atomic_fetch_add_u64(&control->garbage, 1);
	}
}

static uint64
NewEpoch(int number)
{
	return ((pg_atomic_fetch_add_u64(&control->epoch, 1) + 1) << OWNER_BITS) |
		(uint64) number;
}

/* Returns whether that made garbage, of which the caller tells the store. */
static bool
MoveEpoch(int number)
{
	bool		garbage;

	pg_atomic_write_u64(&OwnerNames[number].epoch, NewEpoch(number));
	garbage = MoveAbsences(number);
	pg_memory_barrier();

	/*
	 * A writer of the store that compared the epoch before it moved may still
	 * add to these; the counts are then off by the writers there were.
	 */
	garbage |= ForgetItems(&OwnerSlots[number], STORE_ROW, STORE_ALIAS);
	return garbage;
}

/* The same for absences alone. */
static bool
MoveAbsences(int number)
{
	pg_atomic_uint64 *absences = &OwnerNames[number].absences;

	if (pg_atomic_read_u64(absences) == EPOCH_NONE)
		return false;
	pg_atomic_write_u64(absences, NewEpoch(number));
	pg_memory_barrier();
	return ForgetItems(&OwnerSlots[number], STORE_ABSENCE, STORE_ABSENCE);
}

/* Count no items of some kinds any more; returns whether there were any. */
static bool
ForgetItems(Owner *owner, StoreKind first, StoreKind last)
{
	uint64		items = 0;

	for (int kind = first; kind <= last; kind++)
	{
		items += pg_atomic_exchange_u64(&owner->items[kind], 0);
		pg_atomic_write_u64(&owner->bytes[kind], 0);
	}
	return items > 0;
}

static uint64
ItemsOfAllKinds(int number)
{
	uint64		items = 0;

	for (int kind = 0; kind < STORE_KINDS; kind++)
		items += pg_atomic_read_u64(&OwnerSlots[number].items[kind]);
	return items;
}
