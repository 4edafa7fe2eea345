/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The shared-memory store: bytes under 64-bit hashes.
 *
 * This file lays the store out and has the entry points for writing;
 * store_read.c reads, store_index.c has the index, store_evict.c the rings and
 * what leaves them, store_internal.h the lay-out.  The store calls nothing but
 * owner.h.
 *
 * The store is cut into partitions by hash.  A partition has an index of
 * one-word slots, and two byte rings, small and main, into which entries are
 * appended at the head.  Space is regained at the tail only, in order, so
 * there is nothing to allocate and no fragmentation.
 *
 * Rules
 *
 * - A partition is written under its LWLock, exclusive, with two exceptions:
 *   readers may raise a slot's frequency and set its committed bit, by
 *   compare-and-swap of the whole word.  So writers, too, change slots that
 *   are not empty by compare-and-swap or exchange.
 *
 * - A writer advances the tail; write barrier; writes an entry's bytes; write
 *   barrier; makes a slot point to it.  The bytes of an entry never change
 *   while it is between tail and head.
 *
 * - A reader takes no lock.  It reads the slot; read barrier; reads bytes of
 *   the entry; read barrier; reads the tail, and forgets all it has read
 *   unless the tail is still at or before the entry.  Nothing read before
 *   that check is trusted, a length least of all.
 *
 * - Nothing that can fail, allocate, or look up an xid is done under a
 *   partition lock, and no other lock is taken under it.
 *
 * - A partition lock is not held for longer than it takes to look at a
 *   bounded number of entries and to copy one.
 *
 * Why a reader is safe
 *
 * The slot was published after its entry's bytes, so whoever sees the slot
 * sees these bytes or later ones in their place.  Later ones are written only
 * after the tail has moved past the entry; whoever sees one of them sees that
 * tail, and forgets.  So what passes the check is the entry's own.
 *
 * A slot holds 44 bits of the position (StoreEntry units of 8 bytes), and a
 * reader takes the tail's word for the others: it is the position at or after
 * the tail that agrees in those bits, and must be within a lap of it.  The
 * same goes for a reader's compare-and-swap, which must find the slot as it
 * was, but for the bits readers may change.  Either could go wrong only if,
 * between a reader's two steps, one ring of one partition was written over by
 * 2^44 units, which is 64 TB at least (positions skip from the end of a ring
 * whose size is no power of two), and an entry of the same tag then began at
 * the very same unit: at 10 GB/s, while a reader sleeps for two hours within
 * some ten instructions.  Positions themselves have 64 bits.
 *
 * Why removal is final
 *
 * When StoreRemove() or StorePublish() returns, no slot points to an older
 * entry of the hash, and none will: entries move (between slots, or to the
 * head) only under the lock and only while a slot points to them; and a fill
 * that began earlier finds the hash's counter moved, under the lock.  A
 * reader that read the slot before that may still answer from the entry: its
 * snapshot was taken before the writer's commit became visible (rule 1).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "settings.h"
#include "store/store_internal.h"
#include "store/trylock.h"

#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#define MAX_PARTITIONS		256
#define MIN_PARTITION_SIZE	((Size) 2 * 1024 * 1024)
#define MIN_STORE_SIZE		((Size) 64 * 1024)
#define MAX_COUNTERS		1024
#define MIN_COUNTERS		64

/*
 * The index has a bucket for so many bytes at first, which is what rows of a
 * thousand need, and at most this part of a partition: as much as if all were
 * aliases.
 */
#define BUCKET_MEMORY		8192
#define INDEX_SHARE(size)	((size) * 3 / 8)

/* How much a writer may do under one lock for one entry. */
#define MOVES_PER_PUT		128
#define SWEEP_PER_PUT		64
#define SWEEP_PER_ROUND		1024

/*
 * A part of a ring whose memory is mapped at once: what Linux maps around a page
 * that is read, as far as it is there (fault_around_bytes).  And the least size of
 * a page.
 */
#define MAP_PART			65536
#define MAP_PAGE			4096

StoreLayout store_layout;

static LWLockPadded *partition_locks = NULL;

static void ComputeLayout(StoreLayout *layout, Size memory, Size taken);
static uint64 IndexLimit(const StoreLayout *layout);
static Size PartitionsOffset(void);
static LWLock *PartitionLock(uint64 hash);
static LWLock *LockPartition(uint64 hash);
static StoreEntry MakeHeader(uint64 hash, uint64 epoch,
							 const StoreContent *content);
static StoreResult PutEntry(StorePartition *partition, uint64 owner,
							const StoreEntry *header,
							const StoreContent *content, bool committed,
							bool if_room, bool *again);
static void WriteEntry(StoreEntry *entry, const StoreEntry *header,
					   const StoreContent *content);
static int	RingForPut(StorePartition *partition, uint64 bits, uint64 units,
					   bool replaces);
static int	RingWithRoom(StorePartition *partition, uint64 units, bool has_slot,
						 bool *again);
static bool MakeSlots(StorePartition *partition, bool evict, bool *again);
static bool EntryIsSame(const StoreEntry *entry, bool committed,
						const StoreEntry *header, const StoreContent *content);
static bool PayloadIsSame(const char *payload, const StoreContent *content);
static void RemoveEntry(StorePartition *partition, uint64 owner, uint64 bits);

/*
 * Shared memory
 */

Size
StoreShmemSize(Size memory, Size taken)
{
	Size		size = memory > taken ? memory - taken : 0;

	size -= size % PG_CACHE_LINE_SIZE;
	return Max(size, MIN_STORE_SIZE);
}

/*
 * How many partitions, each with its lock.  Decided when first asked, since
 * the answer must not change while the postmaster lives, and
 * itemcache.max_item_size may.
 */
int
StorePartitionLocks(Size memory)
{
	static int	npartitions = 0;

	if (npartitions == 0)
	{
		Size		least = Max(MIN_PARTITION_SIZE,
								(Size) itemcache_max_item_size * 1024 * 16);

		npartitions = 1;
		while (npartitions < MAX_PARTITIONS &&
			   memory / (npartitions * 2) >= least)
			npartitions *= 2;
	}
	return npartitions;
}

void
StoreShmemInit(Size memory, Size taken)
{
	StoreLayout *shared;
	bool		found;

	shared = ShmemInitStruct("itemcache store", StoreShmemSize(memory, taken),
							 &found);
	partition_locks = &GetNamedLWLockTranche(ITEMCACHE_NAME)[1];
	if (found)
	{
		store_layout = *shared;
		return;
	}

	ComputeLayout(&store_layout, memory, taken);
	if (IndexLimit(&store_layout) < itemcache_max_items)
		ereport(LOG,
				(errmsg("\"itemcache.max_items\" is limited to " UINT64_FORMAT,
						IndexLimit(&store_layout)),
				 errdetail("An index of %d items would take more than three eighths of \"itemcache.memory\".",
						   itemcache_max_items),
				 errhint("Consider increasing \"itemcache.memory\".")));
	store_layout.index_sizes = (pg_atomic_uint64 *)
		((char *) shared + CACHELINEALIGN(sizeof(StoreLayout)));
	store_layout.partitions = (char *) shared + PartitionsOffset();
	*shared = store_layout;

	/* counters, slots and ghosts are zero, as new shared memory is */
	for (int i = 0; i < store_layout.npartitions; i++)
	{
		StorePartition *partition = PartitionAt(i);

		for (int ring = 0; ring < RINGS; ring++)
		{
			pg_atomic_init_u64(&partition->tail[ring], 0);
			partition->ring_end[ring] = store_layout.ring_units[ring];
		}
		partition->sweep_ring = RINGS;
		partition->number = i;
		pg_atomic_init_u64(&store_layout.index_sizes[i], 0);
		IndexInit(partition);
	}
}

bool
StoreIsAttached(void)
{
	return store_layout.partitions != NULL;
}

/*
 * Writing
 */

void
StorePrefetchFill(uint64 hash)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));

	prefetch(CounterOf(partition, hash));
	prefetch(PartitionLock(hash));
	prefetch(partition->tail);
	prefetch(partition->head);
	IndexPrefetchGrowth(partition, false);
}

void
StorePrefetchRoom(uint64 hash, Size nbytes)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));

	RingPrefetchHead(partition, nbytes);
	IndexPrefetchGrowth(partition, true);
}

void
StorePrefetchTail(uint64 hash, Size nbytes)
{
	RingPrefetchTail(PartitionAt(PartitionNumber(hash)), nbytes);
}

/*
 * By reading a byte of each page, once for each part of the ring that the head
 * comes to.  Nobody's lock is needed, as nothing is done with what is read.
 */
void
StoreMapRoom(uint64 hash, Size nbytes)
{
	static const char *mapped[MAX_PARTITIONS];
	int			number = PartitionNumber(hash);
	StorePartition *partition = PartitionAt(number);
	const char *head = (char *) EntryAt(partition, RING_MAIN,
										partition->head[RING_MAIN]);
	const char *part = (char *) TYPEALIGN_DOWN(MAP_PART,
											   head + sizeof(StoreEntry) + nbytes - 1);
	const char *end = Min(part + MAP_PART,
						  (char *) partition + store_layout.stride);

	if (part == mapped[number])
		return;
	mapped[number] = part;
	for (const char *page = Max(head, part); page < end; page += MAP_PAGE)
		(void) *(const volatile char *) page;
}

StoreResult
StoreFill(uint64 hash, uint64 epoch, const StoreContent *content,
		  uint64 counter, bool if_room)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		owner = OwnerKey(EpochOwner(epoch));
	uint64		rounds;
	StoreEntry	header;

	if (UnitsOfContent(content) > MAX_ENTRY_UNITS)
		return STORE_TOO_LARGE;
	header = MakeHeader(hash, epoch, content);

	/*
	 * Squeezing out much garbage takes many rounds, between which others get
	 * at the partition.  Two laps are enough; with others' writing in between
	 * they might not be, and then it is as full as makes no difference.
	 */
	rounds = 16 + 4 * (partition->items[RING_SMALL] + partition->items[RING_MAIN]) /
		MOVES_PER_PUT;
	for (;;)
	{
		LWLock	   *lock = PartitionLock(hash);
		StoreResult result = STORE_STALE;
		bool		again = false;

		if (!TryLock(lock, if_room))
			return STORE_BUSY;
		if (EpochIsCurrent(content->kind, epoch) &&
			pg_atomic_read_u64(CounterOf(partition, hash)) == counter)
			result = PutEntry(partition, owner, &header, content, true, if_room,
							  &again);
		LWLockRelease(lock);

		if (!again || rounds-- == 0)
			return result;
	}
}

StoreResult
StorePutAlias(uint64 hash, uint64 epoch, uint64 row, bool if_room)
{
	StoreContent content = {.kind = STORE_ALIAS, .xid = row};

	/* it need not be right, but if it is refused, nothing is lost either */
	return StoreFill(hash, epoch, &content, StoreReadCounter(hash), if_room);
}

StoreResult
StoreFillAbsence(uint64 hash, uint64 epoch, const void *key, Size size,
				 uint64 counter)
{
	StoreContent content = {
		.kind = STORE_ABSENCE,
		.payload = key,
		.size = size
	};

	return StoreFill(hash, epoch, &content, counter, false);
}

StoreResult
StorePublish(uint64 owner, uint64 hash, uint64 epoch,
			 const StoreContent *content, bool replaces)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	uint64		bits = HashBits(hash);
	StoreResult result;
	LWLock	   *lock;

	lock = LockPartition(hash);
	if (replaces)
		pg_atomic_fetch_add_u64(CounterOf(partition, hash), 1);

	if (!EpochIsCurrent(content->kind, epoch))
	{
		RemoveEntry(partition, owner, bits);
		result = STORE_STALE;
	}
	else if (UnitsOfContent(content) > MAX_ENTRY_UNITS)
	{
		RemoveEntry(partition, owner, bits);
		result = STORE_TOO_LARGE;
	}
	else
	{
		StoreEntry	header = MakeHeader(hash, epoch, content);

		result = PutEntry(partition, owner, &header, content, false, false, NULL);
	}
	LWLockRelease(lock);

	return result;
}

void
StoreRemove(uint64 owner, uint64 hash)
{
	StorePartition *partition = PartitionAt(PartitionNumber(hash));
	LWLock	   *lock;

	lock = LockPartition(hash);
	pg_atomic_fetch_add_u64(CounterOf(partition, hash), 1);
	RemoveEntry(partition, owner, HashBits(hash));
	LWLockRelease(lock);
}

void
StoreExpect(uint64 nitems, Size nbytes)
{
	uint64		units = (sizeof(StoreEntry) + nbytes) / STORE_UNIT;

	for (int i = 0; i < store_layout.npartitions; i++)
	{
		bool		more = true;

		/* the index has an end, so this has */
		while (more && LWLockConditionalAcquire(&partition_locks[i].lock,
												LW_EXCLUSIVE))
		{
			more = IndexExpect(PartitionAt(i), nitems / store_layout.npartitions,
							   units);
			LWLockRelease(&partition_locks[i].lock);
		}
	}
}

void
StoreGetStats(StoreStats *stats)
{
	memset(stats, 0, sizeof(StoreStats));
	stats->memory = store_layout.memory;
	stats->partitions = store_layout.npartitions;
	stats->max_items = store_layout.most_items * store_layout.npartitions;

	for (int i = 0; i < store_layout.npartitions; i++)
	{
		StorePartition *partition = PartitionAt(i);

		for (int ring = 0; ring < RINGS; ring++)
		{
			stats->capacity += partition->ring_end[ring] * STORE_UNIT;
			stats->used += partition->live[ring] * STORE_UNIT;
			stats->items += partition->items[ring];
		}
		stats->evictions += partition->evictions;
	}
}

/* Divide what is left of the memory. */
static void
ComputeLayout(StoreLayout *layout, Size memory, Size taken)
{
	Size		size = StoreShmemSize(memory, taken);
	Size		offset = sizeof(StorePartition);
	uint32		ncounters = MAX_COUNTERS;
	uint64		groups;

	memset(layout, 0, sizeof(StoreLayout));
	layout->memory = memory;
	layout->npartitions = StorePartitionLocks(memory);
	layout->partition_mask = layout->npartitions - 1;
	layout->stride = (size - PartitionsOffset()) / layout->npartitions;
	layout->stride -= layout->stride % PG_CACHE_LINE_SIZE;

	while (ncounters > MIN_COUNTERS &&
		   ncounters * sizeof(uint64) > layout->stride / 128)
		ncounters /= 2;
	layout->counter_mask = ncounters - 1;
	layout->counters_offset = offset;
	offset += ncounters * sizeof(uint64);

	groups = layout->stride / (BUCKET_MEMORY * GROUP_BUCKETS) + 1;
	layout->first_buckets = groups * GROUP_BUCKETS;
	groups = INDEX_SHARE(layout->stride) / sizeof(StoreGroup);
	layout->most_buckets = Min(groups * GROUP_BUCKETS, MAX_BUCKETS);
	layout->most_items = IndexLimit(layout) / layout->npartitions;
	if (itemcache_max_items > 0)
		layout->most_items = Min(layout->most_items,
								 Max(itemcache_max_items / layout->npartitions, 2));

	for (int ring = 0; ring < RINGS; ring++)
	{
		Size		bytes = layout->stride - offset;

		if (ring == RING_SMALL)
			bytes /= 10;
		else
			bytes -= layout->first_buckets / GROUP_BUCKETS * sizeof(StoreGroup);
		bytes -= bytes % PG_CACHE_LINE_SIZE;
		layout->ring_offset[ring] = offset;
		layout->ring_units[ring] = bytes / STORE_UNIT;
		layout->ring_mask[ring] =
			pg_nextpower2_64(layout->ring_units[ring]) - 1;
		offset += bytes;
	}
}

/* How many items all the indexes can hold, once they are as large as can be. */
static uint64
IndexLimit(const StoreLayout *layout)
{
	return SlotsUsed(layout->most_buckets, INDEX_FULL_PERCENT) *
		layout->npartitions;
}

/* Where the partitions begin in the region. */
static Size
PartitionsOffset(void)
{
	return CACHELINEALIGN(sizeof(StoreLayout)) +
		CACHELINEALIGN(MAX_PARTITIONS * sizeof(pg_atomic_uint64));
}

static LWLock *
PartitionLock(uint64 hash)
{
	return &partition_locks[PartitionNumber(hash)].lock;
}

/* For those who must: see trylock.c. */
static LWLock *
LockPartition(uint64 hash)
{
	LWLock	   *lock = PartitionLock(hash);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	return lock;
}

static StoreEntry
MakeHeader(uint64 hash, uint64 epoch, const StoreContent *content)
{
	StoreEntry	header;

	Assert(content->size % STORE_ALIGN == 0);
	Assert(content->kind != STORE_ABSENCE || content->size > 0);
	Assert(content->kind == STORE_ROW || content->mark == NULL);
	Assert((epoch & ~ENTRY_EPOCH_MASK) == 0);
	header.hash_size = (HashBits(hash) << ENTRY_SIZE_BITS) | UnitsOfContent(content);
	header.kind_epoch = KindAndEpoch(content->kind, epoch) |
		(content->mark != NULL ? ENTRY_MARKED : 0);
	header.xid = content->xid;
	return header;
}

/*
 * Put in an entry in place of whatever the owner has of the hash.  Under the
 * lock; the caller has made sure that the entry is not too large.  With
 * "if_room", *again is set when another try, after others had the lock, may go
 * further.
 */
static StoreResult
PutEntry(StorePartition *partition, uint64 owner, const StoreEntry *header,
		 const StoreContent *content, bool committed, bool if_room, bool *again)
{
	uint64		bits = EntryHash(header);
	uint64		units = EntryUnits(header);
	int			old_ring = RINGS;
	int			freq = content->used ? 1 : 0;
	uint64		word;
	uint64		position;
	bool		has_slot;
	int			ring;
	StoreEntry *entry;
	StoreSlot  *slot;

	slot = IndexFind(partition, owner, bits, &entry);
	if (slot != NULL)
	{
		word = pg_atomic_read_u64(slot);
		if (committed &&
			EntryIsSame(entry, (word & SLOT_COMMITTED) != 0, header, content))
		{
			pg_atomic_fetch_or_u64(slot, SLOT_COMMITTED);
			return STORE_DONE;
		}
		if (EntryIsCurrent(entry))
		{
			old_ring = SlotRing(word);
			freq = SlotFreq(word);
		}
		DropEntry(partition, slot, entry, false);
	}

	/* nobody takes the slot that is empty now, before the entry is there */
	has_slot = slot != NULL || MakeSlots(partition, !if_room, again);
	/* not before: to make slots may have taken a part of the ring */
	if (units > LargestEntry(partition, RING_MAIN))
		return STORE_TOO_LARGE;
	if (!has_slot && !if_room)
		return STORE_FULL;
	ring = if_room ? RingWithRoom(partition, units, has_slot, again) :
		RingForPut(partition, bits, units, old_ring != RINGS);
	if (ring == RINGS)
		return STORE_FULL;

	if (slot == NULL)
		slot = IndexMakeSlot(partition, bits);
	if (slot == NULL)
	{
		if (if_room)
			return STORE_FULL;
		slot = IndexVictim(partition, owner, bits);
		DropEntry(partition, slot,
				  SlotEntry(partition, pg_atomic_read_u64(slot)), true);
	}

	if (ring == RING_SMALL && old_ring == RINGS)
		GhostAdd(partition, bits);

	/* what is read from the table, is not back, and costs another its place */
	if (committed && !if_room && old_ring == RINGS && ring == RING_SMALL)
		CountNewcomer(EntryEpoch(header));

	entry = RingAppend(partition, ring, units, &position);
	WriteEntry(entry, header, content);
	AddEntry(partition, ring, entry);
	pg_write_barrier();

	if (old_ring == RING_MAIN && ring == RING_SMALL)
		freq = Max(freq, FREQ_TO_PROMOTE);
	word = MakeSlot(TagOf(bits), ring, position) | freq * SLOT_FREQ_ONE |
		(committed ? SLOT_COMMITTED : 0);
	pg_atomic_write_u64(slot, word);
	return STORE_DONE;
}

static void
WriteEntry(StoreEntry *entry, const StoreEntry *header,
		   const StoreContent *content)
{
	memcpy(entry, header, HeaderSize(content->kind));
	if (content->size > 0)
	{
		char	   *payload = EntryPayload(entry, header, content->kind);

		memcpy(payload, content->payload, content->size - content->padding);
		memset(payload + content->size - content->padding, 0, content->padding);
		if (content->head_size > 0)
			memcpy(payload, content->head, content->head_size);
	}
	if (content->mark != NULL)
		*EntryMark(entry) = *content->mark;
}

/*
 * Where an entry goes, and room for it there, at the cost of others.
 * Replacements go to the small ring, and so do newcomers, but for what the ghost
 * table knows; while main has space, or garbage for a good part of it, they go there.
 */
static int
RingForPut(StorePartition *partition, uint64 bits, uint64 units, bool replaces)
{
	uint64		size = partition->ring_end[RING_MAIN];
	bool		main_free;
	int			budget = MOVES_PER_PUT;
	int			ring = RING_SMALL;

	/*
	 * What a large entry leaves when it is evicted is no sign of a ring that
	 * is not full yet: hence the margin.
	 */
	main_free = MainTakesItem(partition) &&
		RingFits(partition, RING_MAIN, units + size / 256);
	if (!main_free && SweepIsDue(partition))
	{
		/* garbage at the tail costs nothing: no need to look for it then */
		int			nothing = 0;

		main_free = MainTakesItem(partition) &&
			MakeRoom(partition, RING_MAIN, units, ROOM_KEEP, &nothing);
		if (!main_free)
			Sweep(partition, SWEEP_PER_PUT);
	}
	main_free = main_free || MainHasSpace(partition, units);

	if (units > LargestEntry(partition, RING_SMALL) ||
		(!replaces && (main_free || GhostTake(partition, bits))))
		ring = RING_MAIN;

	if (ring == RING_MAIN && main_free &&
		MakeRoom(partition, ring, units, ROOM_KEEP, &budget))
		return ring;

	budget = MOVES_PER_PUT;
	MakeRoom(partition, ring, units, ROOM_EVICT, &budget);
	return ring;
}

/*
 * Make sure that there may be another item; with "evict", at the cost of others,
 * if need be.  No more is looked at than is good for one lock: false if that is
 * not enough, and without "evict" *again, if another try may go further.
 */
static bool
MakeSlots(StorePartition *partition, bool evict, bool *again)
{
	int			budget = MOVES_PER_PUT;

	for (int i = 0; i < 2 * MOVES_PER_PUT; i++)
	{
		if (IndexReserve(partition))
			return true;
		if (SqueezeForIndex(partition, &budget))
			continue;
		if (!evict)
		{
			*again = budget == 0;
			return false;
		}
		EvictItem(partition, &budget);
	}
	if (!evict)
		*again = true;
	return false;
}

/*
 * A ring with room that costs no live entry; RINGS if there is none, or if
 * more must be done for it than one lock is good for (*again).
 */
static int
RingWithRoom(StorePartition *partition, uint64 units, bool has_slot,
			 bool *again)
{
	for (int ring = RING_MAIN; ring >= RING_SMALL && has_slot; ring--)
	{
		uint64		size = partition->ring_end[ring];
		int			budget;

		if (units > LargestEntry(partition, ring))
			continue;

		/* garbage at the tail costs nothing */
		budget = 0;
		if (MakeRoom(partition, ring, units, ROOM_KEEP, &budget))
			return ring;

		budget = MOVES_PER_PUT;
		if (partition->live[ring] + units <= size - size / 32)
		{
			if (MakeRoom(partition, ring, units, ROOM_KEEP, &budget))
				return ring;
			*again = true;
			return RINGS;
		}
	}

	if (SweepIsDue(partition))
	{
		Sweep(partition, SWEEP_PER_ROUND);
		*again = true;
	}
	return RINGS;
}

/*
 * Is an entry what a fill would make of it?  The same version of a row may have
 * been given, meanwhile, an older xid (it was frozen): what is known to have
 * committed need not change for that.
 */
static bool
EntryIsSame(const StoreEntry *entry, bool committed, const StoreEntry *header,
			const StoreContent *content)
{
	if (entry->hash_size != header->hash_size ||
		entry->kind_epoch != header->kind_epoch)
		return false;
	if (content->kind != STORE_ABSENCE && entry->xid != header->xid &&
		!(content->kind == STORE_ROW && committed))
		return false;
	if (content->mark != NULL &&
		memcmp(EntryMark(entry), content->mark,
			   sizeof(StoreMark)) != 0)
		return false;
	return PayloadIsSame(EntryPayload(entry, header, content->kind), content);
}

/* Both have the same size, and zeroes at their end. */
static bool
PayloadIsSame(const char *payload, const StoreContent *content)
{
	Size		head = content->head_size;
	Size		size = content->size - content->padding;

	return content->size == 0 ||
		((head == 0 || memcmp(payload, content->head, head) == 0) &&
		 memcmp(payload + head, (const char *) content->payload + head,
				size - head) == 0);
}

static void
RemoveEntry(StorePartition *partition, uint64 owner, uint64 bits)
{
	StoreEntry *entry;
	StoreSlot  *slot = IndexFind(partition, owner, bits, &entry);

	if (slot != NULL)
		DropEntry(partition, slot, entry, false);
}
