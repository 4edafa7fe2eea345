/*-------------------------------------------------------------------------
 *
 * store_read.c
 *	  Reading the store, which takes no lock.
 *
 * The rules, and why a reader is safe, are at the top of store.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "port/pg_bitutils.h"
#include "store/store_internal.h"

static bool ReadMark(const StoreEntry *entry, StoreItem *item);
static bool IsInOtherBucket(uint64 hash);

/* Most items are in their first bucket; of many, the second is left for later. */
static inline void
PrefetchFirstBucket(uint64 hash)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));

	prefetch(BucketAt(partition, FirstBucket(HashBits(hash))));
	prefetch(partition);
}

void
StorePrefetchSlots(uint64 hash)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		bits = HashBits(hash);

	PrefetchFirstBucket(hash);
	prefetch(BucketAt(partition, OtherBucket(FirstBucket(bits), TagOf(bits))));
	prefetch(partition->head);
}

/* The cache lines of an entry's header and of so many bytes of its payload. */
static inline void
PrefetchEntry(const StoreEntry *entry, Size nbytes)
{
	const char *end = (const char *) (entry + 1) + nbytes;

	for (const char *line = (const char *) TYPEALIGN_DOWN(64, entry); line < end;
		 line += 64)
		prefetch(line);
}

/*
 * In loops as tight as can be: what takes time is to look up page
 * tables, and the processor does that for as many addresses at once as come
 * within some hundred instructions.
 */
void
StorePrefetch(int nhashes, const uint64 *hashes, Size nbytes, StoreHint *hints)
{
	const StoreEntry *entries[STORE_PREFETCH_MAX];
	int			nentries = 0;
	int			others[STORE_PREFETCH_MAX];
	int			nothers = 0;

	Assert(nhashes <= STORE_PREFETCH_MAX);
	for (int i = 0; i < nhashes; i++)
		PrefetchFirstBucket(hashes[i]);
	for (int i = 0; i < nhashes; i++)
	{
		StorePartition *partition = PartitionAt(PartitionNumber(hashes[i]));
		uint64		bits = HashBits(hashes[i]);
		uint32		number = FirstBucket(bits);
		StoreBucket *bucket = BucketAt(partition, number);
		uint32		matches = MatchTag(bucket, TagOf(bits));
		uint64		word;

		if (matches == 0)
		{
			prefetch(BucketAt(partition, OtherBucket(number, TagOf(bits))));
			hints[i] = NULL;
			others[nothers++] = i;
			continue;
		}
		hints[i] = &bucket->slots[pg_rightmost_one_pos32(matches)];
		word = pg_atomic_read_u64(hints[i]);
		entries[nentries++] = EntryAt(partition, SlotRing(word),
									  SlotPosition(word));
	}
	for (int i = 0; i < nentries; i++)
		PrefetchEntry(entries[i], nbytes);
	for (int i = 0; i < nothers; i++)
	{
		if (!IsInOtherBucket(hashes[others[i]]))
			hints[others[i]] = STORE_MISSING;
	}
}

void
StorePeekMarks(int nhashes, const uint64 *hashes, const StoreHint *hints,
			   StoreMark *marks)
{
	for (int i = 0; i < nhashes; i++)
	{
		StorePartition *partition = PartitionAt(PartitionNumber(hashes[i]));
		StoreEntry *entry;
		uint64		word;

		marks[i] = (StoreMark) {0};
		if (hints[i] == NULL || hints[i] == STORE_MISSING)
			continue;
		word = pg_atomic_read_u64(hints[i]);
		entry = EntryAt(partition, SlotRing(word), SlotPosition(word));
		if (EntryIsMarked(entry))
			marks[i] = *EntryMark(entry);
	}
}

/*
 * What is asked now and not found need not be looked for again, when its cache
 * lines have been pushed out by what the caller does meanwhile.
 */
static bool
IsInOtherBucket(uint64 hash)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		bits = HashBits(hash);
	uint32		other = OtherBucket(FirstBucket(bits), TagOf(bits));

	return MatchTag(BucketAt(partition, other), TagOf(bits)) != 0;
}

/* Describe the item that a slot points to, if it is the one looked for. */
static inline bool
ReadSlot(StorePartition *partition, StoreSlot *slot, uint64 bits,
		 StoreKind kind, uint64 epoch, Size prefetch_size, StoreItem *item)
{
	uint64		word = pg_atomic_read_u64(slot);
	int			ring = SlotRing(word);
	StoreEntry *entry = EntryAt(partition, ring, SlotPosition(word));
	StoreEntry	header;
	uint64		tail;
	uint64		distance;

	/* it may have changed since its tag was matched */
	if (SlotTag(word) != TagOf(bits))
		return false;

	/* what StoreCopy() will want, while we wait for the header */
	if (prefetch_size > 0)
		PrefetchEntry(entry, prefetch_size);

	pg_read_barrier();
	header = *entry;
	pg_read_barrier();
	tail = pg_atomic_read_u64(&partition->tail[ring]);

	distance = (word - tail) & SLOT_POSITION_MASK;
	if (EntryHash(&header) != bits ||
		(header.kind_epoch & ~ENTRY_MARKED) != KindAndEpoch(kind, epoch) ||
		distance > store_layout.ring_mask[ring])
		return false;

	item->xid = header.xid;
	item->committed = (word & SLOT_COMMITTED) != 0;
	item->size = EntryPayloadSize(&header, kind);
	item->payload = EntryPayload(entry, &header, kind);
	item->epoch = epoch;
	item->tail = &partition->tail[ring];
	item->position = tail + distance;
	item->slot = slot;
	item->slot_word = word;
	item->marked = EntryIsMarked(&header);
	return !item->marked || ReadMark(entry, item);
}

/* The mark of an item of which the header has been verified. */
static bool
ReadMark(const StoreEntry *entry, StoreItem *item)
{
	item->mark = *EntryMark(entry);
	pg_read_barrier();
	return pg_atomic_read_u64(item->tail) <= item->position;
}

bool
StoreFind(uint64 hash, uint64 epoch, StoreKind kind, Size nbytes,
		  StoreHint hint, StoreItem *item)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		bits = HashBits(hash);
	uint32		tag = TagOf(bits);
	uint32		number = FirstBucket(bits);

	if (hint == STORE_MISSING)
		return false;
	if (hint != NULL && ReadSlot(partition, hint, bits, kind, epoch, 0, item))
		return true;

	for (int i = 0;; i++)
	{
		StoreBucket *bucket = BucketAt(partition, number);
		uint32		matches = MatchTag(bucket, tag);

		for (; matches != 0; matches &= matches - 1)
		{
			if (ReadSlot(partition, &bucket->slots[pg_rightmost_one_pos32(matches)],
						 bits, kind, epoch, nbytes, item))
				return true;
		}
		if (i == 1)
			return false;
		number = OtherBucket(number, tag);
	}
}

bool
StoreFindAlias(uint64 hash, uint64 epoch, StoreHint hint, uint64 *row)
{
	StoreItem	item;

	if (!StoreFind(hash, epoch, STORE_ALIAS, 0, hint, &item))
		return false;
	StoreTouch(&item);
	*row = item.xid;
	return true;
}

bool
StoreFindAbsence(uint64 hash, uint64 epoch, StoreHint hint,
				 const void *key, Size size)
{
	StoreItem	item;

	if (!StoreFind(hash, epoch, STORE_ABSENCE, size, hint, &item) ||
		item.size != size)
		return false;

	/* as in StoreCopy(): what was compared was the item's if the tail says so */
	pg_read_barrier();
	if (memcmp(item.payload, key, size) != 0)
		return false;
	pg_read_barrier();
	if (pg_atomic_read_u64(item.tail) > item.position)
		return false;
	StoreTouch(&item);
	return true;
}

bool
StoreCopy(const StoreItem *item, void *dest, Size nbytes)
{
	Assert(nbytes <= item->size);

	pg_read_barrier();
	memcpy(dest, item->payload, nbytes);
	pg_read_barrier();
	return pg_atomic_read_u64(item->tail) <= item->position;
}

void
StoreTouch(const StoreItem *item)
{
	uint64		word = pg_atomic_read_u64(item->slot);

	/* a lost race loses one use: not worth another try */
	if (((word ^ item->slot_word) & ~SLOT_READER_BITS) == 0 &&
		SlotFreq(word) < SLOT_FREQ_MAX &&
		pg_atomic_compare_exchange_u64(item->slot, &word, word + SLOT_FREQ_ONE) &&
		SlotFreq(word) == 0 && SlotRing(word) == RING_SMALL &&
		item->committed)
		CountNewcomerFound(item);
}

void
StoreSetCommitted(const StoreItem *item)
{
	uint64		word = pg_atomic_read_u64(item->slot);

	while (((word ^ item->slot_word) & ~SLOT_READER_BITS) == 0 &&
		   (word & SLOT_COMMITTED) == 0)
	{
		if (pg_atomic_compare_exchange_u64(item->slot, &word,
										   word | SLOT_COMMITTED))
			break;
	}
}

uint64
StoreReadCounter(uint64 hash)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		counter;

	pg_read_barrier();
	counter = pg_atomic_read_u64(CounterOf(partition, hash));
	pg_read_barrier();
	return counter;
}
