/*-------------------------------------------------------------------------
 *
 * store_walk.c
 *	  A walk through all rows that the store holds, which takes no lock.
 *
 * The walk reads slots and entries as any reader does (see store.c), so an
 * entry that is moved while it goes by may be met twice or not at all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/store_internal.h"

StaticAssertDecl(STORE_MAX_USES == SLOT_FREQ_MAX + 1,
				 "an entry of the main ring has been used once more");

typedef void (*SlotFunction) (StoreSlot *slot, uint64 word, uint64 *arg);

static bool ReadWalked(StorePartition *partition, uint64 word,
					   StoreWalked *walked);
static int	SlotUses(uint64 word);
static void CountUses(StoreSlot *slot, uint64 word, uint64 *entries);
static void ForgetUse(StoreSlot *slot, uint64 word, uint64 *unused);
static void ForEachSlot(SlotFunction function, uint64 *arg);

int
StoreWalkNext(StoreWalk *walk, StoreWalked *walked, int max)
{
	int			n = 0;

	Assert(max >= BUCKET_SLOTS);
	while (n + BUCKET_SLOTS <= max && walk->partition < store_layout.npartitions)
	{
		StorePartition *partition = PartitionAt(walk->partition);
		StoreBucket *bucket = BucketAt(partition, walk->bucket);
		uint64		size = ReadIndexSize(walk->partition);
		uint64		words[BUCKET_SLOTS];

		pg_read_barrier();
		for (int i = 0; i < BUCKET_SLOTS; i++)
		{
			words[i] = pg_atomic_read_u64(&bucket->slots[i]);
			if (words[i] != 0)
				prefetch(EntryAt(partition, SlotRing(words[i]),
								 SlotPosition(words[i])));
		}
		for (int i = 0; i < BUCKET_SLOTS; i++)
		{
			if (words[i] != 0 && ReadWalked(partition, words[i], &walked[n]))
				n++;
		}
		if (++walk->bucket >= IndexBuckets(size))
		{
			walk->bucket = 0;
			walk->partition++;
		}
	}
	return n;
}

void
StoreCountUses(uint64 *entries)
{
	memset(entries, 0, (STORE_MAX_USES + 1) * sizeof(uint64));
	ForEachSlot(CountUses, entries);
}

static void
CountUses(StoreSlot *slot, uint64 word, uint64 *entries)
{
	entries[SlotUses(word)]++;
}

void
StoreForgetUse(void)
{
	ForEachSlot(ForgetUse, NULL);
}

/* Not of newcomers: a use of theirs is counted when it is the first. */
static void
ForgetUse(StoreSlot *slot, uint64 word, uint64 *unused)
{
	if (SlotRing(word) == RING_MAIN && SlotFreq(word) > 0)
		(void) pg_atomic_compare_exchange_u64(slot, &word, word - SLOT_FREQ_ONE);
}

/* Without a lock: words can change. */
static void
ForEachSlot(SlotFunction function, uint64 *arg)
{
	for (int i = 0; i < store_layout.npartitions; i++)
	{
		StorePartition *partition = PartitionAt(i);
		uint32		nbuckets = IndexBuckets(ReadIndexSize(i));

		pg_read_barrier();
		for (uint32 j = 0; j < nbuckets; j++)
		{
			StoreBucket *bucket = BucketAt(partition, j);

			for (int k = 0; k < BUCKET_SLOTS; k++)
			{
				uint64		word = pg_atomic_read_u64(&bucket->slots[k]);

				if (word != 0)
					function(&bucket->slots[k], word, arg);
			}
		}
	}
}

/* False if the entry is no row, of a dead epoch, or overwritten meanwhile. */
static bool
ReadWalked(StorePartition *partition, uint64 word, StoreWalked *walked)
{
	int			ring = SlotRing(word);
	StoreEntry *entry = EntryAt(partition, ring, SlotPosition(word));
	StoreEntry	header;
	uint64		tail;

	pg_read_barrier();
	header = *entry;
	memcpy(walked->payload, EntryPayload(entry, &header, STORE_ROW),
		   STORE_WALK_BYTES);
	pg_read_barrier();
	tail = pg_atomic_read_u64(&partition->tail[ring]);
	if (((word - tail) & SLOT_POSITION_MASK) > store_layout.ring_mask[ring] ||
		EntryKind(&header) != STORE_ROW ||
		EntryPayloadSize(&header, STORE_ROW) < STORE_WALK_BYTES ||
		!EntryIsCurrent(&header))
		return false;

	walked->epoch = EntryEpoch(&header);
	walked->uses = SlotUses(word);
	return true;
}

/* To come to the main ring takes some uses, too. */
static int
SlotUses(uint64 word)
{
	return SlotFreq(word) + (SlotRing(word) == RING_MAIN ? 1 : 0);
}
