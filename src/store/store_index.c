/*-------------------------------------------------------------------------
 *
 * store_index.c
 *	  A partition's index: which slot points to which entry.
 *
 * An item is in one of two buckets of eight slots.  When both are full, slots
 * are displaced into their own other buckets until one is free (a cuckoo
 * hash table), which goes well up to about nine tenths of all slots.
 *
 * Everything here is called under the partition's lock, so that slots change
 * only in the bits that readers set.  Every slot that is not empty points to
 * an entry that is whole.  A displaced slot is in both places for a moment.  A
 * reader may miss it all the same, as it looks at one bucket after the other,
 * in no order that anything but their addresses gives it: that is allowed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "store/store_internal.h"

/* How far a chain of displacements may go. */
#define DISPLACE_DEPTH		2

static StoreSlot *FreeSlot(StorePartition *partition, uint32 bucket, int depth);
static void MoveSlot(StoreSlot *from, StoreSlot *to);

/* The slot of an owner's hash, and its entry; NULL if there is none. */
StoreSlot *
IndexFind(StorePartition *partition, uint64 owner, uint64 bits,
		  StoreEntry **entry)
{
	uint32		tag = TagOf(bits);
	uint32		number = FirstBucket(bits);

	for (int i = 0; i < 2; i++)
	{
		StoreBucket *bucket = BucketAt(partition, number);
		uint32		matches = MatchTag(bucket, tag);

		while (matches != 0)
		{
			StoreSlot  *slot = &bucket->slots[pg_rightmost_one_pos32(matches)];
			uint64		word = pg_atomic_read_u64(slot);

			*entry = EntryAt(partition, SlotRing(word), SlotPosition(word));
			if (EntryHash(*entry) == bits && EntryIsOf(*entry, owner))
				return slot;
			matches &= matches - 1;
		}
		number = OtherBucket(number, tag);
	}
	return NULL;
}

/* The slot that points to the entry at a position; NULL if none does. */
StoreSlot *
IndexFindEntry(StorePartition *partition, uint64 bits, int ring, uint64 position)
{
	uint32		tag = TagOf(bits);
	uint32		number = FirstBucket(bits);
	uint64		wanted = MakeSlot(tag, ring, position);

	for (int i = 0; i < 2; i++)
	{
		StoreBucket *bucket = BucketAt(partition, number);

		for (int j = 0; j < BUCKET_SLOTS; j++)
		{
			uint64		word = pg_atomic_read_u64(&bucket->slots[j]);

			if ((word & ~SLOT_READER_BITS) == wanted)
				return &bucket->slots[j];
		}
		number = OtherBucket(number, tag);
	}
	return NULL;
}

/* An empty slot for a hash, made by displacement if need be; NULL if that fails. */
StoreSlot *
IndexMakeSlot(StorePartition *partition, uint64 bits)
{
	uint32		first = FirstBucket(bits);
	uint32		second = OtherBucket(first, TagOf(bits));

	for (int depth = 0; depth <= DISPLACE_DEPTH; depth++)
	{
		StoreSlot  *slot = FreeSlot(partition, first, depth);

		if (slot == NULL)
			slot = FreeSlot(partition, second, depth);
		if (slot != NULL)
			return slot;
	}
	return NULL;
}

/*
 * The item used least in the two buckets of a hash, which must be full.  One
 * of the same owner is preferred, however often it was used: so who finds out
 * which keys of his share buckets, and fills these with them, pushes out his
 * own.
 */
StoreSlot *
IndexVictim(StorePartition *partition, uint64 owner, uint64 bits)
{
	const int	strangers = SLOT_FREQ_MAX + 1;
	uint32		number = FirstBucket(bits);
	StoreSlot  *victim = NULL;
	int			least = 2 * strangers;

	for (int i = 0; i < 2; i++)
	{
		StoreBucket *bucket = BucketAt(partition, number);

		for (int j = 0; j < BUCKET_SLOTS; j++)
		{
			uint64		word = pg_atomic_read_u64(&bucket->slots[j]);

			StoreEntry *entry = EntryAt(partition, SlotRing(word),
										SlotPosition(word));
			int			use = SlotFreq(word) +
				(EntryIsOf(entry, owner) ? 0 : strangers);

			if (use < least)
			{
				victim = &bucket->slots[j];
				least = use;
			}
		}
		number = OtherBucket(number, TagOf(bits));
	}
	return victim;
}

/* Make a slot point to where its entry has been copied. */
void
IndexMove(StoreSlot *slot, int ring, uint64 position, int freq)
{
	uint64		word = pg_atomic_read_u64(slot);

	while (!pg_atomic_compare_exchange_u64(slot, &word,
										   MakeSlot(SlotTag(word), ring, position) |
										   ((uint64) freq << SLOT_FREQ_SHIFT) |
										   (word & SLOT_COMMITTED)))
		;
}

/*
 * An empty slot in a bucket, made by moving one of its slots into that one's
 * other bucket, where "depth" such moves may make room in turn.  What moves
 * last in a chain moves first, and into an empty slot, so that the slots
 * chosen before it stay what they were.
 */
static StoreSlot *
FreeSlot(StorePartition *partition, uint32 number, int depth)
{
	StoreBucket *bucket = BucketAt(partition, number);

	if (depth == 0)
	{
		for (int i = 0; i < BUCKET_SLOTS; i++)
		{
			if (pg_atomic_read_u64(&bucket->slots[i]) == 0)
				return &bucket->slots[i];
		}
		return NULL;
	}

	for (int i = 0; i < BUCKET_SLOTS; i++)
	{
		StoreSlot  *slot = &bucket->slots[i];
		uint32		other = OtherBucket(number, SlotTag(pg_atomic_read_u64(slot)));
		StoreSlot  *to;

		if (other == number)
			continue;
		to = FreeSlot(partition, other, depth - 1);
		if (to != NULL)
		{
			MoveSlot(slot, to);
			return slot;
		}
	}
	return NULL;
}

static void
MoveSlot(StoreSlot *from, StoreSlot *to)
{
	uint64		word = pg_atomic_read_u64(from);
	uint64		last;

	pg_atomic_write_u64(to, word);
	last = pg_atomic_exchange_u64(from, 0);

	/* what readers have set in between is in "last", as that was an exchange */
	if ((last & ~word & SLOT_COMMITTED) != 0)
		pg_atomic_fetch_or_u64(to, SLOT_COMMITTED);
}
