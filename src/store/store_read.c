/*-------------------------------------------------------------------------
 *
 * store_read.c
 *	  Reading the store, which takes no lock.
 *
 * The order in which everything here is loaded is what makes it right: see the
 * top of store.c for entries, and of store_index.c for slots.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "port/pg_bitutils.h"
#include "store/store_internal.h"

/* What a slot whose tag is the wanted one turns out to be. */
typedef enum SlotAnswer
{
	SLOT_WANTED,
	SLOT_INSTEAD,				/* all that the owner has of the hash: not wanted */
	SLOT_UNKNOWN				/* another hash, another owner's, or gone */
} SlotAnswer;

static bool ReadMark(const StoreEntry *entry, StoreItem *item);

/*
 * Where an item would be: the first bucket of its hash in an index of "size",
 * which is set.  Before anything in it is looked at, there must be a read barrier
 * (top of store_index.c).
 */
static inline StoreBucket *
FindBucket(uint64 hash, uint64 *size)
{
	int			number = PartitionNumber(hash);

	*size = ReadIndexSize(number);
	return BucketAt(PartitionAt(number), FirstBucket(HashBits(hash), *size));
}

/* The other one. */
static inline StoreBucket *
FindOtherBucket(uint64 hash, uint64 size)
{
	return BucketAt(PartitionAt(PartitionNumber(hash)),
					SecondBucket(HashBits(hash), size));
}

void
StorePrefetchSlots(uint64 hash, bool missing)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		size;

	prefetch(FindBucket(hash, &size));
	prefetch(partition);
	/* nine of ten are in the first bucket, and what is in none is in neither */
	if (missing)
	{
		prefetch(FindOtherBucket(hash, size));
		prefetch(CounterOf(partition, hash));
	}
}

/* The first slot of a bucket that has the tag; NULL if there is none. */
static inline StoreHint
SlotOfTag(StoreBucket *bucket, uint64 bits)
{
	uint32		matches = MatchTag(bucket, TagOf(bits));

	return matches == 0 ? NULL : &bucket->slots[pg_rightmost_one_pos32(matches)];
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
 *
 * What is asked now and not found need not be looked for again, when its cache
 * lines have been pushed out by what the caller does meanwhile: STORE_MISSING.
 */
void
StorePrefetch(int nhashes, const uint64 *hashes, Size nbytes, StoreHint *hints)
{
	StoreBucket *buckets[STORE_PREFETCH_MAX];
	const StoreEntry *entries[STORE_PREFETCH_MAX];
	int			others[STORE_PREFETCH_MAX];
	int			nentries = 0;
	int			nothers = 0;

	Assert(nhashes <= STORE_PREFETCH_MAX);
	for (int i = 0; i < nhashes; i++)
	{
		uint64		size;

		buckets[i] = FindBucket(hashes[i], &size);
		prefetch(buckets[i]);
		prefetch(PartitionAt(PartitionNumber(hashes[i])));
	}
	pg_read_barrier();
	for (int i = 0; i < nhashes; i++)
	{
		hints[i] = SlotOfTag(buckets[i], HashBits(hashes[i]));
		if (hints[i] != NULL)
			continue;
		buckets[i] = FindOtherBucket(hashes[i],
									 ReadIndexSize(PartitionNumber(hashes[i])));
		prefetch(buckets[i]);
		others[nothers++] = i;
	}
	pg_read_barrier();
	for (int i = 0; i < nothers; i++)
	{
		int			n = others[i];

		hints[n] = SlotOfTag(buckets[n], HashBits(hashes[n]));
		if (hints[n] == NULL)
			hints[n] = STORE_MISSING;
	}
	for (int i = 0; i < nhashes; i++)
	{
		if (hints[i] != STORE_MISSING)
			entries[nentries++] = SlotEntry(PartitionAt(PartitionNumber(hashes[i])),
											pg_atomic_read_u64(hints[i]));
	}
	for (int i = 0; i < nentries; i++)
		PrefetchEntry(entries[i], nbytes);
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
		entry = SlotEntry(partition, word);
		if (EntryIsMarked(entry))
			marks[i] = *EntryMark(entry);
	}
}

/*
 * Describe the item that a slot points to, if it is the one looked for.  An owner
 * has one entry of a hash at most (PutEntry() sees to that), so where it is
 * another, of another kind or epoch, there is no need to look any further: absent
 * keys would be looked for as rows in both of their buckets.
 */
static pg_attribute_always_inline SlotAnswer
ReadSlot(StorePartition *partition, StoreSlot *slot, uint64 bits,
		 uint64 kind_epoch, Size prefetch_size, StoreItem *item)
{
	uint64		word = pg_atomic_read_u64(slot);
	int			ring = SlotRing(word);
	StoreEntry *entry = SlotEntry(partition, word);
	StoreEntry	header;
	uint64		tail;
	uint64		distance;

	/* it may have changed since its tag was matched */
	if (SlotTag(word) != TagOf(bits))
		return SLOT_UNKNOWN;

	/* what StoreCopy() will want, while we wait for the header */
	if (prefetch_size > 0)
		PrefetchEntry(entry, prefetch_size);

	pg_read_barrier();
	header = *entry;
	pg_read_barrier();
	tail = pg_atomic_read_u64(&partition->tail[ring]);

	distance = (word - tail) & SLOT_POSITION_MASK;
	if (EntryHash(&header) != bits || distance > store_layout.ring_mask[ring])
		return SLOT_UNKNOWN;
	if ((header.kind_epoch & ~ENTRY_MARKED) != kind_epoch)
		return EpochOwner(header.kind_epoch) == EpochOwner(kind_epoch) ?
			SLOT_INSTEAD : SLOT_UNKNOWN;

	item->xid = header.xid;
	item->committed = (word & SLOT_COMMITTED) != 0;
	item->size = EntryPayloadSize(&header, EntryKind(&header));
	item->payload = EntryPayload(entry, &header, EntryKind(&header));
	item->epoch = EntryEpoch(&header);
	item->tail = &partition->tail[ring];
	item->position = tail + distance;
	item->slot = slot;
	item->slot_word = word;
	item->marked = EntryIsMarked(&header);
	return !item->marked || ReadMark(entry, item) ? SLOT_WANTED : SLOT_UNKNOWN;
}

/* The mark of an item of which the header has been verified. */
static bool
ReadMark(const StoreEntry *entry, StoreItem *item)
{
	item->mark = *EntryMark(entry);
	pg_read_barrier();
	return pg_atomic_read_u64(item->tail) <= item->position;
}

/* Look for an item among the slots of a bucket. */
static inline SlotAnswer
FindInBucket(StorePartition *partition, StoreBucket *bucket, uint64 bits,
			 uint64 kind_epoch, Size nbytes, StoreItem *item)
{
	uint32		matches = MatchTag(bucket, TagOf(bits));

	for (; matches != 0; matches &= matches - 1)
	{
		StoreSlot  *slot = &bucket->slots[pg_rightmost_one_pos32(matches)];
		SlotAnswer	answer = ReadSlot(partition, slot, bits, kind_epoch, nbytes,
									  item);

		if (answer != SLOT_UNKNOWN)
			return answer;
	}
	return SLOT_UNKNOWN;
}

/* Out of the way of those that are in their first. */
static pg_noinline bool
FindInSecondBucket(uint64 hash, uint64 size, uint64 kind_epoch, Size nbytes,
				   StoreItem *item)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		bits = HashBits(hash);

	return FindInBucket(partition, BucketAt(partition, SecondBucket(bits, size)),
						bits, kind_epoch, nbytes, item) == SLOT_WANTED;
}

bool
StoreFind(uint64 hash, uint64 epoch, StoreKind kind, Size nbytes,
		  StoreHint hint, StoreItem *item)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		bits = HashBits(hash);
	uint64		kind_epoch = KindAndEpoch(kind, epoch);
	uint64		size;
	StoreBucket *bucket;
	SlotAnswer	answer = SLOT_UNKNOWN;

	if (hint == STORE_MISSING)
		return false;
	if (hint != NULL)
		answer = ReadSlot(partition, hint, bits, kind_epoch, 0, item);
	if (answer == SLOT_UNKNOWN)
	{
		bucket = FindBucket(hash, &size);
		pg_read_barrier();
		answer = FindInBucket(partition, bucket, bits, kind_epoch, nbytes, item);
	}
	if (answer == SLOT_UNKNOWN)
		return FindInSecondBucket(hash, size, kind_epoch, nbytes, item);
	return answer == SLOT_WANTED;
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
