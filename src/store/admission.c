/*-------------------------------------------------------------------------
 *
 * admission.c
 *	  Which misses are worth a fill.
 *
 * A fill is an investment: it costs more than all the rest that a miss costs
 * beside reading the table, and evicts something.  It is always made while there
 * is room.  Where there is none, what comes in anew goes through the small ring,
 * and it has paid if it is hit there.  If hardly any newcomer of an owner is,
 * then only one in 2, 4, ... 2^ADMISSION_MAX of its misses puts one in.
 *
 * Why this does no harm either.  The fingerprint of a key that is not admitted
 * goes into the ghost table as if it had been put in; a key that is found there is
 * admitted, and goes to the main ring.  So the second request of a key while the
 * ghost table remembers it puts it in, whatever the owner's share.  What is lost are
 * the hits that newcomers would have had in the small ring, which are few, or they
 * would be admitted: a key has one miss more for it, once.
 *
 * What is measured.  Newcomers that were put in, and those of them that were hit
 * (for the first time) while they were as young as they would have been if all had
 * been admitted: with one in n, the small ring takes n times as long to go around,
 * so only its youngest n-th counts.  Were all of it to count, random keys would
 * look the better the fewer of them are put in.  What was published is no newcomer;
 * it is told by its committed bit, which a fill sets at once.  Where other owners, whose newcomers
 * are all admitted, move the ring on, that is too strict, and the owner's share
 * rises later than it might.
 *
 * The share is decided anew after ADMISSION_WINDOW newcomers, or as soon as
 * FOUND_MANY of them were hit.  All are put in as soon as FOUND_SURE of them were, if
 * that is one in SURE_ONE_IN: who reads a large table and then goes on as before
 * loses no time to come back.  (Where one in two hundred is found, that happens by
 * chance in one window of ten thousand.)  And the share rises in any case where misses
 * are few, as fills cost nobody anything then.
 *
 * Who is sampled is decided by the hash and the number of the window: at random,
 * but not by a source of randomness; and for another part of the keys in the next
 * window.
 *
 * Rules
 *
 * - Nothing here says anything about a version: whatever is answered, rule 2
 *   decides what may be put in, and not to put in is always right.  What a writer
 *   publishes or removes is not asked about here.
 *
 * - The owner's words are changed atomically, by anyone, without a lock: a race
 *   costs a few counts.  They may be another owner's by then, which costs as
 *   little.
 *
 * - Fingerprints are written here without the partition's lock, and so may be
 *   lost or doubled.  They are hints (store_internal.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "store/admission.h"
#include "store/store_internal.h"

#include "utils/timestamp.h"

/* So many newcomers are judged at a time: fewer hits than FOUND_FEW of them halve
 * the share, FOUND_MANY of them (one in a hundred) double it. */
#define ADMISSION_WINDOW	4096
#define FOUND_FEW			31
#define FOUND_MANY			41

/* So many hits, if they are of one in so many, put an end to sampling at once. */
#define FOUND_SURE			16
#define SURE_ONE_IN			64

/* Misses a second that are few, and after how many seconds that is asked. */
#define FEW_MISSES			2000
#define FEW_AFTER_S			1

/* The owner's word: the number of the window, and how often its share was halved. */
#define ADMISSION_SHIFT_BITS	8
#define Halvings(word)		((int) ((word) & ((1 << ADMISSION_SHIFT_BITS) - 1)))
#define Window(word)		((word) >> ADMISSION_SHIFT_BITS)

StaticAssertDecl(FOUND_FEW < FOUND_MANY && FOUND_MANY < ADMISSION_WINDOW,
				 "a share that was doubled is not halved for the same reason");

static Owner *OwnerOfEpoch(uint64 epoch);
static bool HasRoom(StorePartition *partition);
static bool IsSampled(uint64 hash, uint32 word);
static bool MissesAreFew(Owner *owner, int halvings, TimestampTz now);
static void BeginWindow(Owner *owner, uint32 word, int halvings);
static uint32 Seconds(TimestampTz time);
static uint64 AgeInRing(StorePartition *partition, int ring, uint64 position);

int
AdmissionOneIn(int number)
{
	return 1 << Halvings(pg_atomic_read_u32(&OwnerSlot(number)->admission));
}

bool
AdmitNewcomer(uint64 hash, uint64 epoch, TimestampTz now)
{
	Owner	   *owner = OwnerOfEpoch(epoch);
	uint32		word = pg_atomic_read_u32(&owner->admission);
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		bits = HashBits(hash);

	if (Halvings(word) == 0 || HasRoom(partition) ||
		GhostHas(partition, bits) || IsSampled(hash, word))
		return true;
	if (MissesAreFew(owner, Halvings(word), now))
	{
		BeginWindow(owner, word, Halvings(word) - 1);
		return true;
	}
	GhostAdd(partition, bits);
	return false;
}

bool
PrefetchAdmission(uint64 hash, uint64 epoch)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));

	if (Halvings(pg_atomic_read_u32(&OwnerOfEpoch(epoch)->admission)) == 0)
		return false;
	prefetch(partition->head);
	GhostPrefetch(partition, HashBits(hash));
	return true;
}

/* A newcomer was put into the small ring, which was full.  Under the lock. */
void
CountNewcomer(uint64 epoch)
{
	Owner	   *owner = OwnerOfEpoch(epoch);
	uint32		word;
	int			halvings;

	/* one of all who come here finds this number */
	if (pg_atomic_add_fetch_u32(&owner->newcomers, 1) != ADMISSION_WINDOW)
		return;
	word = pg_atomic_read_u32(&owner->admission);
	halvings = Halvings(word);
	if (pg_atomic_read_u32(&owner->newcomers_found) < FOUND_FEW)
		halvings = Min(halvings + 1, ADMISSION_MAX);
	BeginWindow(owner, word, halvings);
}

/* The first hit of an entry of the small ring that a fill has made. */
void
CountNewcomerFound(const StoreItem *item)
{
	StorePartition *partition = (StorePartition *) (item->tail - RING_SMALL);
	Owner	   *owner = OwnerOfEpoch(item->epoch);
	uint32		word = pg_atomic_read_u32(&owner->admission);
	int			halvings = Halvings(word);
	uint32		found;

	StaticAssertStmt(offsetof(StorePartition, tail) == 0,
					 "an item's partition is where its tails are");
	if (AgeInRing(partition, RING_SMALL, item->position) >
		store_layout.ring_units[RING_SMALL] >> halvings)
		return;
	found = pg_atomic_add_fetch_u32(&owner->newcomers_found, 1);
	if (halvings == 0)
		return;
	if (found >= FOUND_SURE &&
		pg_atomic_read_u32(&owner->newcomers) <= found * SURE_ONE_IN)
		BeginWindow(owner, word, 0);
	else if (found == FOUND_MANY)
		BeginWindow(owner, word, halvings - 1);
}

static Owner *
OwnerOfEpoch(uint64 epoch)
{
	return OwnerSlot(EpochOwner(epoch));
}

/* Would a newcomer evict nothing?  Read without the lock, and so roughly. */
static bool
HasRoom(StorePartition *partition)
{
	return MainHasSpace(partition, 0) || SweepIsDue(partition) ||
		RingFits(partition, RING_SMALL,
				 store_layout.ring_units[RING_SMALL] / 16);
}

static bool
IsSampled(uint64 hash, uint32 word)
{
	uint64		mixed = (hash ^ Window(word)) * UINT64CONST(0x9E3779B97F4A7C15);

	return mixed >> (64 - Halvings(word)) == 0;
}

/* ... among whose misses one in so many was put in, since the window began */
static bool
MissesAreFew(Owner *owner, int halvings, TimestampTz now)
{
	uint32		began = pg_atomic_read_u32(&owner->window_began_s);
	int32		seconds = (int32) (Seconds(now) - began);
	uint64		misses;

	if (seconds <= FEW_AFTER_S)
		return false;
	misses = (uint64) pg_atomic_read_u32(&owner->newcomers) << halvings;
	return misses / seconds < FEW_MISSES;
}

/* If two want to, the second finds that the word has changed. */
static void
BeginWindow(Owner *owner, uint32 word, int halvings)
{
	uint32		next = ((Window(word) + 1) << ADMISSION_SHIFT_BITS) | halvings;

	if (!pg_atomic_compare_exchange_u32(&owner->admission, &word, next))
		return;
	pg_atomic_write_u32(&owner->newcomers_found, 0);
	pg_atomic_write_u32(&owner->newcomers, 0);
	pg_atomic_write_u32(&owner->window_began_s, Seconds(GetCurrentTimestamp()));
}

static uint32
Seconds(TimestampTz time)
{
	return (uint32) (time / USECS_PER_SEC);
}

/* Units from a position to the head, which may be in the next lap. */
static uint64
AgeInRing(StorePartition *partition, int ring, uint64 position)
{
	uint64		mask = store_layout.ring_mask[ring];
	uint64		head = partition->head[ring];

	if ((head & ~mask) == (position & ~mask))
		return head - position;
	return store_layout.ring_units[ring] - (position & mask) + (head & mask);
}
