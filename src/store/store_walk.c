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

static bool ReadWalked(StorePartition *partition, uint64 word,
					   StoreWalked *walked);

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
	walked->uses = SlotFreq(word) + (ring == RING_MAIN ? 1 : 0);
	return true;
}
