/*-------------------------------------------------------------------------
 *
 * store_index.c
 *	  A partition's index: which slot points to which entry, and how it grows.
 *
 * An item is in one of two buckets of eight slots.  When both are full, slots
 * are displaced into their own other buckets until one is free (a cuckoo
 * hash table), which goes well up to about nine tenths of all slots.  Readers
 * look into the first bucket first, so there are to be more slots than that, and
 * what is in its second bucket is sent home when one comes across it.
 *
 * Everything here is called under the partition's lock, so that slots change
 * only in the bits that readers set.  Every slot that is not empty points to
 * an entry that is whole.  A displaced slot is in both places for a moment.  A
 * reader may miss it all the same, as it looks at one bucket after the other,
 * in no order that anything but their addresses gives it: that is allowed.
 *
 * How many slots are wanted depends on how large the items are, which nobody
 * knows before.  So the index begins small, and grows by a bucket whenever it
 * holds as many items as it should (linear hashing): bucket n gets its items
 * from the one bucket that has had them so far.  The two of an item are chosen
 * independently, and displacement makes up for buckets that have been divided
 * being half as full as the others.
 *
 * The memory is the main ring's, from its end, and is taken from between the head
 * and that end, while the tail is in the head's lap: in the first lap all the time,
 * later each time that the tail has come around and the head has not.  There is
 * something between them then: where there are as many items as the index can
 * hold, each that comes has others go, which are larger.  The index never gives
 * anything back.
 *
 * Who puts in very many items says so before (StoreExpect).  To divide a bucket is
 * to read the entry of each of its items, at random places of memory: a quarter of
 * what it takes to load a table.  The fewer there are, the less it is.
 *
 * Why readers are safe while it grows
 *
 * A reader loads the size of the index, a read barrier follows, and it looks at
 * buckets that this size says there are.
 *
 * - They are buckets.  The size is stored after the new bucket has been zeroed
 *   and filled, with a write barrier between; it only grows, and what has become
 *   a bucket is never anything else.  So whatever a reader takes for a slot has
 *   been written as one, and its position is in a ring.  This is also why the
 *   index gives no memory back: a reader may change a slot, by compare-and-swap,
 *   long after it has found it.
 *
 * - What was an entry there is no entry any more, since main's tail is past all that
 *   was ever written there.  A reader of such an
 *   entry, who sees a byte of a bucket, sees the tail beyond the entry, as it
 *   would if that byte were another entry's: the tail was advanced, with a write
 *   barrier after it, before the bucket was written.
 *
 * - Who has an older size looks into the bucket that an item was in before, and
 *   may miss it: that is allowed.  An item is in both buckets until after the
 *   new size is stored, so mostly it does not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/store_internal.h"

/* The bucket that has had the items of bucket "number" until there was that. */
#define BucketDivided(number) \
	((number) & (IndexMask(MakeIndexSize((number) + 1)) >> 1))

/* How far a chain of displacements may go. */
#define DISPLACE_DEPTH		2

/* Buckets that one entry may add; and who holds the lock for nothing else. */
#define SPLITS_PER_PUT		4
#define SPLITS_PER_LOCK		16

/* Of what is expected, so many times what there is is believed. */
#define EXPECT_BELIEVED		8

/* What an item takes of the index, at the load it is kept at. */
#define ITEM_INDEX_UNITS	2

/* What the index takes of the ring at a time, as a part of what it has. */
#define EXTEND_PART			64

static bool GrowIndex(StorePartition *partition, uint64 nitems,
					  uint64 main_items, int splits);
static StoreSlot *FreeSlot(StorePartition *partition, uint32 bucket, int depth);
static StoreSlot *SendHome(StorePartition *partition, uint32 number);
static uint32 OtherBucket(StorePartition *partition, uint64 word, uint32 number);
static void MoveSlot(StoreSlot *from, StoreSlot *to);
static void FinishMove(StoreSlot *from, StoreSlot *to);
static bool AddBucket(StorePartition *partition);
static void FillBucket(StorePartition *partition, uint32 number, uint64 size,
					   StoreSlot **from, StoreSlot **to, int *nmoved);
static bool ExtendIndex(StorePartition *partition);
static void SetIndexSize(StorePartition *partition, uint64 nbuckets);

/* The slot of an owner's hash, and its entry; NULL if there is none. */
StoreSlot *
IndexFind(StorePartition *partition, uint64 owner, uint64 bits,
		  StoreEntry **entry)
{
	uint64		size = ReadIndexSize(partition->number);
	uint32		tag = TagOf(bits);
	uint32		number = FirstBucket(bits, size);

	for (int i = 0; i < 2; i++)
	{
		StoreBucket *bucket = BucketAt(partition, number);
		uint32		matches = MatchTag(bucket, tag);

		while (matches != 0)
		{
			StoreSlot  *slot = &bucket->slots[pg_rightmost_one_pos32(matches)];

			*entry = SlotEntry(partition, pg_atomic_read_u64(slot));
			if (EntryHash(*entry) == bits && EntryIsOf(*entry, owner))
				return slot;
			matches &= matches - 1;
		}
		number = SecondBucket(bits, size);
	}
	return NULL;
}

/* The slot that points to the entry at a position; NULL if none does. */
StoreSlot *
IndexFindEntry(StorePartition *partition, uint64 bits, int ring, uint64 position)
{
	uint64		size = ReadIndexSize(partition->number);
	uint64		wanted = MakeSlot(TagOf(bits), ring, position);
	uint32		number = FirstBucket(bits, size);

	for (int i = 0; i < 2; i++)
	{
		StoreBucket *bucket = BucketAt(partition, number);

		for (int j = 0; j < BUCKET_SLOTS; j++)
		{
			uint64		word = pg_atomic_read_u64(&bucket->slots[j]);

			if ((word & ~SLOT_READER_BITS) == wanted)
				return &bucket->slots[j];
		}
		number = SecondBucket(bits, size);
	}
	return NULL;
}

/* An empty slot for a hash, made by displacement if need be; NULL if that fails. */
StoreSlot *
IndexMakeSlot(StorePartition *partition, uint64 bits)
{
	uint64		size = ReadIndexSize(partition->number);
	uint32		first = FirstBucket(bits, size);
	uint32		second = SecondBucket(bits, size);

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
	uint64		size = ReadIndexSize(partition->number);
	uint32		number = FirstBucket(bits, size);
	StoreSlot  *victim = NULL;
	int			least = 2 * strangers;

	for (int i = 0; i < 2; i++)
	{
		StoreBucket *bucket = BucketAt(partition, number);

		for (int j = 0; j < BUCKET_SLOTS; j++)
		{
			uint64		word = pg_atomic_read_u64(&bucket->slots[j]);
			int			use = SlotFreq(word) +
				(EntryIsOf(SlotEntry(partition, word), owner) ? 0 : strangers);

			if (use < least)
			{
				victim = &bucket->slots[j];
				least = use;
			}
		}
		number = SecondBucket(bits, size);
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

/* The index of a partition as it is at first, in zeroed memory. */
void
IndexInit(StorePartition *partition)
{
	partition->buckets_ready = store_layout.first_buckets;
	SetIndexSize(partition, store_layout.first_buckets);
}

/* Is the index to be larger for that many items? */
static inline bool
IndexShouldGrow(const StorePartition *partition, uint64 nitems, uint64 main_items)
{
	return nitems >= partition->grow_at || main_items >= partition->grow_at_main;
}

/* May there be another item?  The index grows for it, if it can. */
bool
IndexReserve(StorePartition *partition)
{
	GrowIndex(partition, ItemCount(partition), partition->items[RING_MAIN],
			  SPLITS_PER_PUT);
	return ItemCount(partition) < partition->capacity;
}

/*
 * Make the index large enough for that many more items, before they come: a
 * bucket that is added later has its items looked up one by one.  As memory is not
 * given back, only what there is room for counts, and what can be believed.
 * Returns whether there is more to do, which is for another lock.
 */
bool
IndexExpect(StorePartition *partition, uint64 nitems, uint64 units)
{
	uint64		present = ItemCount(partition);
	uint64		taken = partition->live[RING_MAIN] + present * ITEM_INDEX_UNITS;
	uint64		units_all = partition->ring_end[RING_MAIN] +
		partition->buckets_ready / GROUP_BUCKETS * GROUP_UNITS;
	uint64		room = units_all > taken ?
		(units_all - taken) / (units + ITEM_INDEX_UNITS) : 0;
	uint64		wanted = Min(present + Min(nitems, room), present * EXPECT_BELIEVED);

	return GrowIndex(partition, wanted, wanted, SPLITS_PER_LOCK);
}

/*
 * Let the index grow until it suits that many items, by no more than so many
 * buckets; returns whether it is these that were not enough.
 */
static bool
GrowIndex(StorePartition *partition, uint64 nitems, uint64 main_items, int splits)
{
	for (;;)
	{
		if (!IndexShouldGrow(partition, nitems, main_items))
			return false;
		if (splits-- == 0)
			return true;
		if (!AddBucket(partition))
			return false;
	}
}

/*
 * To divide a bucket is to look at all its entries, which are anywhere: most of
 * the time that takes is waiting for memory.  Without the lock, so what is read
 * here is good for nothing else.
 */
void
IndexPrefetchGrowth(StorePartition *partition, bool entries)
{
	uint64		number;
	StoreBucket *divided;

	if (!IndexShouldGrow(partition, ItemCount(partition),
						 partition->items[RING_MAIN]))
		return;
	number = IndexBuckets(ReadIndexSize(partition->number));
	divided = BucketAt(partition, BucketDivided(number));
	prefetch_for_write(divided);
	for (int i = 0; entries && i < BUCKET_SLOTS; i++)
		prefetch(SlotEntry(partition, pg_atomic_read_u64(&divided->slots[i])));
}

/* Is it not yet as large as it may be? */
bool
IndexMayGrow(StorePartition *partition)
{
	return partition->grow_at != GROW_NEVER;
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
		uint32		empty = MatchTag(bucket, 0);

		return empty == 0 ? NULL :
			&bucket->slots[pg_rightmost_one_pos32(empty)];
	}

	for (int i = 0; i < BUCKET_SLOTS; i++)
		prefetch(SlotEntry(partition, pg_atomic_read_u64(&bucket->slots[i])));
	if (depth == 1)
	{
		StoreSlot  *slot = SendHome(partition, number);

		if (slot != NULL)
			return slot;
	}
	for (int i = 0; i < BUCKET_SLOTS; i++)
	{
		StoreSlot  *slot = &bucket->slots[i];
		uint32		other = OtherBucket(partition, pg_atomic_read_u64(slot),
										number);
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

/*
 * Move the items of a bucket that are in their second to their first, where that
 * has a free slot by now, as readers look there first.  Returns a slot that was
 * emptied, or NULL.
 */
static StoreSlot *
SendHome(StorePartition *partition, uint32 number)
{
	uint64		size = ReadIndexSize(partition->number);
	StoreBucket *bucket = BucketAt(partition, number);
	StoreSlot  *emptied = NULL;

	for (int i = 0; i < BUCKET_SLOTS; i++)
	{
		uint64		word = pg_atomic_read_u64(&bucket->slots[i]);
		uint32		home;
		StoreSlot  *to;

		if (word == 0)
			continue;
		home = FirstBucket(EntryHash(SlotEntry(partition, word)), size);
		if (home == number || (to = FreeSlot(partition, home, 0)) == NULL)
			continue;
		MoveSlot(&bucket->slots[i], to);
		emptied = &bucket->slots[i];
	}
	return emptied;
}

/* The other bucket that a slot's item may be in. */
static uint32
OtherBucket(StorePartition *partition, uint64 word, uint32 number)
{
	uint64		size = ReadIndexSize(partition->number);
	uint64		bits = EntryHash(SlotEntry(partition, word));
	uint32		first = FirstBucket(bits, size);

	return first == number ? SecondBucket(bits, size) : first;
}

static void
MoveSlot(StoreSlot *from, StoreSlot *to)
{
	pg_atomic_write_u64(to, pg_atomic_read_u64(from));
	FinishMove(from, to);
}

/*
 * Empty a slot that has been copied.  What readers have set in it since is not
 * lost, as that is an exchange.
 */
static void
FinishMove(StoreSlot *from, StoreSlot *to)
{
	uint64		last = pg_atomic_exchange_u64(from, 0);

	if ((last & ~pg_atomic_read_u64(to) & SLOT_COMMITTED) != 0)
		pg_atomic_fetch_or_u64(to, SLOT_COMMITTED);
}

/*-------------------------------------------------------------------------
 * Growing
 *-------------------------------------------------------------------------
 */

/* Another bucket, with its share of the items; false if there can be none now. */
static bool
AddBucket(StorePartition *partition)
{
	uint64		number = IndexBuckets(ReadIndexSize(partition->number));
	StoreSlot  *from[BUCKET_SLOTS];
	StoreSlot  *to[BUCKET_SLOTS];
	int			nmoved;

	if (number == partition->buckets_ready && !ExtendIndex(partition))
		return false;

	/* the tail was advanced past this memory, perhaps by another: RingAppend() */
	pg_write_barrier();
	if (number % GROUP_BUCKETS == 0)
		memset(GroupAt(partition, number / GROUP_BUCKETS), 0, sizeof(StoreGroup));
	FillBucket(partition, number, MakeIndexSize(number + 1), from, to, &nmoved);
	pg_write_barrier();
	SetIndexSize(partition, number + 1);

	for (int i = 0; i < nmoved; i++)
		FinishMove(from[i], to[i]);
	SendHome(partition, BucketDivided(number));
	return true;
}

/*
 * Copy to bucket "number", which is new in an index of that size, the slots that
 * belong there from the one bucket that has had them.  An item goes into its
 * first bucket if it has the choice, since that is where readers look first.
 */
static void
FillBucket(StorePartition *partition, uint32 number, uint64 size,
		   StoreSlot **from, StoreSlot **to, int *nmoved)
{
	StoreBucket *bucket = BucketAt(partition, number);
	uint32		divided_number = BucketDivided(number);
	StoreBucket *divided = BucketAt(partition, divided_number);

	*nmoved = 0;
	for (int i = 0; i < BUCKET_SLOTS; i++)
		prefetch(SlotEntry(partition, pg_atomic_read_u64(&divided->slots[i])));
	for (int i = 0; i < BUCKET_SLOTS; i++)
	{
		uint64		word = pg_atomic_read_u64(&divided->slots[i]);
		uint64		bits;

		if (word == 0)
			continue;
		bits = EntryHash(SlotEntry(partition, word));
		if (FirstBucket(bits, size) != number &&
			(FirstBucket(bits, size) == divided_number ||
			 SecondBucket(bits, size) == divided_number))
			continue;
		from[*nmoved] = &divided->slots[i];
		to[*nmoved] = &bucket->slots[*nmoved];
		pg_atomic_write_u64(to[*nmoved], word);
		(*nmoved)++;
	}
}

/*
 * Take memory for more buckets from the main ring, which ends earlier from now
 * on.  While its tail is in its head's lap, nothing is behind the head: all that
 * was written there, in laps before, is behind the tail.
 */
static bool
ExtendIndex(StorePartition *partition)
{
	uint64		head = partition->head[RING_MAIN];
	uint64		lap = head & ~store_layout.ring_mask[RING_MAIN];
	uint64		ready = partition->buckets_ready / GROUP_BUCKETS;
	uint64		most = store_layout.most_buckets / GROUP_BUCKETS;
	uint64		groups = Max(ready / EXTEND_PART, 1);

	if (pg_atomic_read_u64(&partition->tail[RING_MAIN]) < lap)
		return false;

	/* the head stays before the end, where it may have to write a filler */
	groups = Min(groups, most - ready);
	groups = Min(groups, (partition->ring_end[RING_MAIN] - 1 - (head - lap)) /
				 GROUP_UNITS);
	if (groups == 0)
		return false;
	partition->ring_end[RING_MAIN] -= groups * GROUP_UNITS;
	partition->buckets_ready += groups * GROUP_BUCKETS;
	return true;
}

/*
 * As long as the main ring leaves memory, the index is made large enough for what
 * the small ring will have as well: that is filled last.
 */
static void
SetIndexSize(StorePartition *partition, uint64 nbuckets)
{
	uint64		suits = SlotsUsed(nbuckets, INDEX_LOAD_PERCENT);

	partition->capacity =
		Min(SlotsUsed(nbuckets, INDEX_FULL_PERCENT), store_layout.most_items);
	partition->grow_at = partition->grow_at_main = GROW_NEVER;
	if (nbuckets < store_layout.most_buckets && suits < store_layout.most_items)
	{
		partition->grow_at = suits;
		partition->grow_at_main = suits - suits / 10;
	}
	pg_atomic_write_u64(&store_layout.index_sizes[partition->number],
						MakeIndexSize(nbuckets));
}
