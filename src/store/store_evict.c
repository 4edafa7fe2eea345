/*-------------------------------------------------------------------------
 *
 * store_evict.c
 *	  A partition's rings: appending to them, and what leaves them.
 *
 * Eviction is S3-FIFO (Yang et al., "FIFO queues are all you need for cache
 * eviction", SOSP 2023).  What reaches the tail of the small ring moves to
 * the main ring if it was used more than once, else it is evicted.  What comes
 * back while the ghost table knows its fingerprint goes to the main ring.  What
 * reaches the tail of the main ring goes around again if it was used, which uses
 * up one use, else it is evicted.
 *
 * The textbook takes a fingerprint when the small ring evicts an entry, and keeps
 * as many as the main ring has entries.  We take it when the entry is put into the
 * small ring, and keep as many as there are entries, which comes to the same while
 * all that is missed is put in.  Where only a sample is (admission.c), the small
 * ring goes around more slowly: fingerprints that its evictions leave would be
 * younger than the requests they stand for, and bring back what is long out of use.
 *
 * Beyond the textbook there is garbage: an entry that was removed, replaced,
 * or whose owner's epoch has moved stays in its ring until the tail passes
 * it.  It is never moved, evicts nobody, and leaves no fingerprint.  While a
 * ring has much of it, its live entries are moved to the head without regard
 * to their use (ROOM_KEEP), which squeezes the garbage out.
 *
 * That has its price: where all but a quarter of a ring is live, three entries
 * are moved for each that is replaced.  What is replaced once is likely to be
 * replaced again, so replacements go to the small ring, whichever ring their
 * predecessors were in.  There the next replacement finds them in time, mostly,
 * and the tail finds garbage.  Those that come to the tail alive return to the
 * main ring, if that is where they are from: they have been given the uses
 * that takes.  So does all else that leaves the small ring while the main ring
 * has space for it.
 *
 * Entries of dead epochs are still pointed to by slots, and count as live,
 * until the tail or a sweep comes by.  The sweep begins when an epoch has
 * moved (OwnerGarbageGeneration) and a writer finds no room, and goes on bit
 * by bit, whenever a writer finds no room.
 *
 * Everything here is called under the partition's lock.  What readers need
 * is done by AdvanceTail(), RingAppend(), its callers and IndexMove(): the tail
 * first, then the bytes, then the slot, with write barriers in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/store_internal.h"

static bool PopTail(StorePartition *partition, int ring, RoomPolicy policy,
					int *budget);
static void Reinsert(StorePartition *partition, int ring, StoreEntry *entry,
					 uint64 position, StoreSlot *slot, int freq);
static void Promote(StorePartition *partition, StoreEntry *entry,
					StoreSlot *slot, int *budget);
static void AdvanceTail(StorePartition *partition, int ring, uint64 position);
static uint64 NextLap(int ring, uint64 position);
static bool NextToSweep(StorePartition *partition);
static StoreGhosts *GhostsOf(StorePartition *partition, uint64 bits);
static int	GhostFind(StorePartition *partition, const StoreGhosts *ghosts,
					  uint16 tag);
static void SubtractAtMost(pg_atomic_uint64 *counter, uint64 n);

/* Where a newcomer goes, mostly. */
static inline int
RingOfNewcomer(StorePartition *partition)
{
	return MainHasSpace(partition, 0) || SweepIsDue(partition) ?
		RING_MAIN : RING_SMALL;
}

/* Units of the largest entry that a ring takes. */
uint64
LargestEntry(StorePartition *partition, int ring)
{
	return Min(partition->ring_end[ring] / 4, MAX_ENTRY_UNITS);
}

/*
 * Can an entry be appended as things are?  At the end of a lap a unit is left
 * for the filler.
 */
bool
RingFits(StorePartition *partition, int ring, uint64 units)
{
	uint64		mask = store_layout.ring_mask[ring];
	uint64		end = partition->ring_end[ring] - 1;
	uint64		head = partition->head[ring];
	uint64		tail = pg_atomic_read_u64(&partition->tail[ring]);

	Assert((head & mask) <= end);

	/* the free space is between head and tail, or else around the end */
	if ((head & ~mask) != (tail & ~mask))
		return (tail & mask) - (head & mask) >= units;
	return end - (head & mask) >= units || (tail & mask) >= units;
}

/*
 * Is there space for an entry in the main ring, if only the garbage were not
 * where it is, and so much of it that it is worth looking for?
 */
bool
MainHasSpace(StorePartition *partition, uint64 units)
{
	uint64		size = partition->ring_end[RING_MAIN];

	return partition->live[RING_MAIN] + units <= size - size / 16 &&
		MainTakesItem(partition);
}

/* May the main ring have another item, as far as their number goes? */
bool
MainTakesItem(StorePartition *partition)
{
	return ItemCount(partition) < partition->capacity ||
		partition->items[RING_MAIN] < ItemShare(partition, RING_MAIN);
}

/*
 * Look at the tail of the ring that has more than its share of the items, and
 * evict what is there, or let it go around, at most *budget times.
 */
void
EvictItem(StorePartition *partition, int *budget)
{
	int			ring = partition->items[RING_SMALL] >
		ItemShare(partition, RING_SMALL) ? RING_SMALL : RING_MAIN;

	if (partition->items[ring] > 0)
		PopTail(partition, ring, ROOM_EVICT, budget);
}

/*
 * Bring main's tail an entry nearer to where the index can take memory from the
 * ring, at nobody's cost, if there is so much garbage in it that this is worth
 * while.  False if not, or if no more may be moved.
 */
bool
SqueezeForIndex(StorePartition *partition, int *budget)
{
	uint64		size = partition->ring_end[RING_MAIN];

	return IndexMayGrow(partition) &&
		partition->live[RING_MAIN] <= size - size / 16 &&
		PopTail(partition, RING_MAIN, ROOM_KEEP, budget);
}

/*
 * Make an entry fit.  At most *budget live entries are moved; after that,
 * ROOM_EVICT evicts whatever is at the tail, and ROOM_KEEP gives up (returns
 * false).
 */
bool
MakeRoom(StorePartition *partition, int ring, uint64 units,
		 RoomPolicy policy, int *budget)
{
	Assert(units <= LargestEntry(partition, ring));

	while (!RingFits(partition, ring, units))
	{
		if (!PopTail(partition, ring, policy, budget))
			return false;
	}
	return true;
}

/*
 * Take space at the head for an entry that fits.  The caller writes it, and
 * makes a slot point to it after a write barrier.
 */
StoreEntry *
RingAppend(StorePartition *partition, int ring, uint64 units, uint64 *position)
{
	uint64		head = partition->head[ring];
	uint64		offset = head & store_layout.ring_mask[ring];

	/*
	 * The tail may have been advanced past this space by an earlier holder of
	 * the lock.  That the lock was released and taken since is order enough
	 * for every processor, but not for the language: readers do not take it.
	 */
	pg_write_barrier();
	if (offset + units >= partition->ring_end[ring])
	{
		EntryAt(partition, ring, head)->hash_size = 0;
		head = NextLap(ring, head);
	}
	*position = head;
	partition->head[ring] = head + units;
	return EntryAt(partition, ring, head);
}

/* Account for an entry that a slot has been made to point to. */
void
AddEntry(StorePartition *partition, int ring, StoreEntry *entry)
{
	Owner	   *owner = EntryOwner(entry);
	StoreKind	kind = EntryKind(entry);

	partition->live[ring] += EntryUnits(entry);
	partition->items[ring]++;
	if (EntryIsCurrent(entry))
	{
		pg_atomic_fetch_add_u64(&owner->items[kind], 1);
		pg_atomic_fetch_add_u64(&owner->bytes[kind], EntryUnits(entry) * STORE_UNIT);
	}
}

/* Empty the slot of an entry, which makes the entry garbage. */
void
DropEntry(StorePartition *partition, StoreSlot *slot, StoreEntry *entry,
		  bool evicted)
{
	Owner	   *owner = EntryOwner(entry);
	StoreKind	kind = EntryKind(entry);
	uint64		word = pg_atomic_exchange_u64(slot, 0);
	int			ring = SlotRing(word);

	partition->live[ring] -= EntryUnits(entry);
	partition->items[ring]--;
	if (evicted)
		partition->evictions++;
	if (EntryIsCurrent(entry))
	{
		SubtractAtMost(&owner->items[kind], 1);
		SubtractAtMost(&owner->bytes[kind], EntryUnits(entry) * STORE_UNIT);
		if (evicted)
			pg_atomic_fetch_add_u64(&owner->evictions, 1);
	}
}

/* Are there entries of dead epochs that count as live? */
bool
SweepIsDue(StorePartition *partition)
{
	return partition->sweep_ring < RINGS ||
		partition->swept != OwnerGarbageGeneration();
}

/* Look at "budget" more entries, and drop those of dead epochs. */
void
Sweep(StorePartition *partition, int budget)
{
	if (partition->sweep_ring == RINGS)
	{
		/* epochs that move from now on are for the next sweep */
		partition->swept = OwnerGarbageGeneration();
		pg_read_barrier();
		partition->sweep_ring = RING_SMALL;
		partition->sweep_from = 0;
		partition->sweep_to = partition->head[RING_SMALL];
	}

	while (budget-- > 0 && NextToSweep(partition))
	{
		int			ring = partition->sweep_ring;
		uint64		position = partition->sweep_from;
		StoreEntry *entry = EntryAt(partition, ring, position);
		StoreSlot  *slot;

		if (EntryUnits(entry) == 0)
		{
			partition->sweep_from = NextLap(ring, position);
			continue;
		}
		partition->sweep_from = position + EntryUnits(entry);

		if (EntryIsCurrent(entry))
			continue;
		slot = IndexFindEntry(partition, EntryHash(entry), ring, position);
		if (slot != NULL)
			DropEntry(partition, slot, entry, false);
	}
}

/* Is the hash's fingerprint in the ghost table?  If it is, it is taken out. */
bool
GhostTake(StorePartition *partition, uint64 bits)
{
	StoreGhosts *ghosts = GhostsOf(partition, bits);
	int			i = GhostFind(partition, ghosts, (uint16) TagOf(bits));

	if (i < 0)
		return false;
	memmove(&ghosts->tags[i], &ghosts->tags[i + 1],
			(GHOST_WAYS - 1 - i) * sizeof(uint16));
	ghosts->tags[GHOST_WAYS - 1] = 0;
	return true;
}

/* The same, but it stays. */
bool
GhostHas(StorePartition *partition, uint64 bits)
{
	return GhostFind(partition, GhostsOf(partition, bits), (uint16) TagOf(bits)) >= 0;
}

void
GhostAdd(StorePartition *partition, uint64 bits)
{
	StoreGhosts *ghosts = GhostsOf(partition, bits);

	memmove(&ghosts->tags[1], &ghosts->tags[0],
			(GHOST_WAYS - 1) * sizeof(uint16));
	ghosts->tags[0] = (uint16) TagOf(bits);
}

void
GhostPrefetch(StorePartition *partition, uint64 bits)
{
	prefetch(GhostsOf(partition, bits));
}

/* Have the processor fetch where an entry will be put, and what it will push out. */
void
RingPrefetchHead(StorePartition *partition, Size nbytes)
{
	int			ring = RingOfNewcomer(partition);
	char	   *head = (char *) EntryAt(partition, ring, partition->head[ring]);

	for (char *line = (char *) TYPEALIGN_DOWN(64, head);
		 line < head + sizeof(StoreEntry) + nbytes; line += 64)
		prefetch_for_write(line);
	prefetch(EntryAt(partition, ring,
					 pg_atomic_read_u64(&partition->tail[ring])));
}

/*
 * The slot of the entry at the tail is looked at, be it garbage, before its space
 * is used: it is anywhere in the index.  Without the lock the entry may be being
 * written over, so that its hash is any number.
 */
void
RingPrefetchTail(StorePartition *partition, Size nbytes)
{
	int			ring = RingOfNewcomer(partition);
	uint64		mask = store_layout.ring_mask[ring];
	uint64		size = ReadIndexSize(partition->number);
	uint64		tail = pg_atomic_read_u64(&partition->tail[ring]);
	uint64		bits;

	/* is it just before the tail that the head is? */
	if ((tail & mask) - (partition->head[ring] & mask) >= nbytes / STORE_UNIT)
		return;
	bits = EntryHash(EntryAt(partition, ring, tail));
	prefetch_for_write(BucketAt(partition, FirstBucket(bits, size)));
	prefetch_for_write(BucketAt(partition, SecondBucket(bits, size)));
}

/*
 * Free the space of the oldest entry in a ring, be it garbage, by moving it,
 * or by evicting it.  False if it may be neither moved nor evicted.
 */
static bool
PopTail(StorePartition *partition, int ring, RoomPolicy policy, int *budget)
{
	uint64		position = pg_atomic_read_u64(&partition->tail[ring]);
	StoreEntry *entry = EntryAt(partition, ring, position);
	StoreSlot  *slot;
	uint64		next;
	int			freq;

	if (position == partition->head[ring])
	{
		/* empty, but the rest up to the end is too short: begin a new lap */
		partition->head[ring] = NextLap(ring, position);
		AdvanceTail(partition, ring, partition->head[ring]);
		return true;
	}
	if (EntryUnits(entry) == 0)
	{
		AdvanceTail(partition, ring, NextLap(ring, position));
		return true;
	}

	next = position + EntryUnits(entry);
	slot = IndexFindEntry(partition, EntryHash(entry), ring, position);
	if (slot != NULL && !EntryIsCurrent(entry))
	{
		DropEntry(partition, slot, entry, false);
		slot = NULL;
	}
	if (slot == NULL)
	{
		AdvanceTail(partition, ring, next);
		return true;
	}

	freq = SlotFreq(pg_atomic_read_u64(slot));
	if (policy == ROOM_KEEP)
	{
		if (*budget <= 0)
			return false;
		(*budget)--;
		Reinsert(partition, ring, entry, position, slot, freq);
		return true;
	}

	if (*budget > 0)
	{
		if (ring == RING_MAIN && freq > 0)
		{
			(*budget)--;
			Reinsert(partition, ring, entry, position, slot, freq - 1);
			return true;
		}
		if (ring == RING_SMALL &&
			(freq >= FREQ_TO_PROMOTE || MainHasSpace(partition, EntryUnits(entry))))
		{
			(*budget)--;
			Promote(partition, entry, slot, budget);
			AdvanceTail(partition, ring, next);
			return true;
		}
	}

	DropEntry(partition, slot, entry, true);
	AdvanceTail(partition, ring, next);
	return true;
}

/*
 * Move the entry at the tail of a ring to its head.  There is always room,
 * since its own space is free once the tail has passed it, but the two places
 * may overlap.  Between the two steps readers find the slot pointing below
 * the tail, and miss.
 */
static void
Reinsert(StorePartition *partition, int ring, StoreEntry *entry,
		 uint64 position, StoreSlot *slot, int freq)
{
	uint64		units = EntryUnits(entry);
	uint64		to_position;
	StoreEntry *to;

	AdvanceTail(partition, ring, position + units);
	to = RingAppend(partition, ring, units, &to_position);
	memmove(to, entry, units * STORE_UNIT);
	pg_write_barrier();
	IndexMove(slot, ring, to_position, freq);
}

/*
 * Move the entry at the tail of the small ring to the head of the main ring.  Its
 * fingerprint makes room for those of others.
 */
static void
Promote(StorePartition *partition, StoreEntry *entry, StoreSlot *slot,
		int *budget)
{
	uint64		units = EntryUnits(entry);
	uint64		position;
	StoreEntry *to;

	if (!MainHasSpace(partition, units) ||
		!MakeRoom(partition, RING_MAIN, units, ROOM_KEEP, budget))
		MakeRoom(partition, RING_MAIN, units, ROOM_EVICT, budget);

	GhostTake(partition, EntryHash(entry));
	to = RingAppend(partition, RING_MAIN, units, &position);
	memcpy(to, entry, units * STORE_UNIT);
	pg_write_barrier();
	IndexMove(slot, RING_MAIN, position, 0);

	partition->live[RING_SMALL] -= units;
	partition->items[RING_SMALL]--;
	partition->live[RING_MAIN] += units;
	partition->items[RING_MAIN]++;
}

/*
 * Let go of what is before "position".  Readers that have seen a byte written
 * there afterwards will see the tail beyond it: hence the barrier.
 */
static void
AdvanceTail(StorePartition *partition, int ring, uint64 position)
{
	pg_atomic_write_u64(&partition->tail[ring], position);
	pg_write_barrier();
}

/* Where the ring begins again. */
static uint64
NextLap(int ring, uint64 position)
{
	return (position | store_layout.ring_mask[ring]) + 1;
}

/* Bring the sweep to its next entry; false, and over with it, if none is left. */
static bool
NextToSweep(StorePartition *partition)
{
	while (partition->sweep_ring < RINGS)
	{
		int			ring = partition->sweep_ring;
		uint64		tail = pg_atomic_read_u64(&partition->tail[ring]);

		/* what was evicted meanwhile needs no sweeping */
		partition->sweep_from = Max(partition->sweep_from, tail);
		if (partition->sweep_from < partition->sweep_to)
			return true;

		partition->sweep_ring = ++ring;
		if (ring < RINGS)
		{
			partition->sweep_from = 0;
			partition->sweep_to = partition->head[ring];
		}
	}
	return false;
}

/*
 * Those without the lock may write there as well: what the index's size says there
 * is will never be anything else, and was zeroed before the size was stored.
 */
static StoreGhosts *
GhostsOf(StorePartition *partition, uint64 bits)
{
	uint32		bucket = FirstBucket(bits, ReadIndexSize(partition->number));

	return &GroupAt(partition, bucket / GROUP_BUCKETS)->ghosts;
}

/* Where a fingerprint is in a set; -1 if it is not. */
static int
GhostFind(StorePartition *partition, const StoreGhosts *ghosts, uint16 tag)
{
	uint64		ways;

	/* as many fingerprints count as there are items */
	ways = ItemCount(partition) * GROUP_BUCKETS /
		IndexBuckets(ReadIndexSize(partition->number)) + 1;
	ways = Min(ways, GHOST_WAYS);

	for (int i = 0; i < (int) ways; i++)
	{
		if (ghosts->tags[i] == tag)
			return i;
	}
	return -1;
}

/* The counts of owners were zeroed if the epoch moved; don't go below that. */
static void
SubtractAtMost(pg_atomic_uint64 *counter, uint64 n)
{
	uint64		value = pg_atomic_read_u64(counter);

	while (!pg_atomic_compare_exchange_u64(counter, &value,
										   value > n ? value - n : 0))
		;
}
