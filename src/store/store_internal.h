/*-------------------------------------------------------------------------
 *
 * store_internal.h
 *	  The store's lay-out in shared memory, for the files store*.c only.
 *
 * The region is StoreLayout, then the partitions, StoreLayout.stride bytes
 * each:
 *
 *		StorePartition		tails, heads, accounts
 *		counters			invalidation counters
 *		buckets				the index
 *		ghosts				fingerprints of what the small ring evicted
 *		rings				small and main
 *
 * From a hash to an entry:
 *
 *		hash	| bits 40                | counter 16 | partition 8 |
 *				    |    |
 *				    |    +-- tag 16, the low ones of the bits
 *				    v
 *		bucket	| slot | slot | slot | slot | slot | slot | slot | slot |  64 bytes
 *				    |                           (and another bucket, by the tag)
 *				    v
 *		slot	| tag 16 | frequency 2 | committed 1 | ring 1 | position 44 |
 *				                                                     |
 *				             +---------------------------------------+
 *				             v
 *		ring	....| entry | entry | garbage | entry | .... free .... |
 *				    ^                                 ^
 *				    tail: what is before it is free   head: the next goes here
 *
 *		entry	| hash 40 | size 24 |
 *				| marked 1 | kind 2 | epoch 61 |
 *				| xid 64 |				(an alias: the row's hash; an absence: none)
 *				| mark 128 |			(if marked)
 *				| payload ... |
 *
 * Head and tail go around the ring, the tail after the head.  A position is
 * never used twice (see EntryAt), so a slot whose position is before the tail
 * points to nothing any more.
 *
 * Who writes: a slot that is empty, the holder of the partition's lock; one
 * that is not, the same, by compare-and-swap, since readers do likewise with
 * the bits in SLOT_READER_BITS.  An entry is written once, before a slot points
 * to it.  Everybody reads slots, entries and tails without a lock.
 *
 * The rules are at the top of store.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_STORE_INTERNAL_H
#define ITEMCACHE_STORE_INTERNAL_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "store/owner.h"
#include "store/store.h"

#define RING_SMALL			0
#define RING_MAIN			1
#define RINGS				2

/* Positions and sizes are in units. */
#define STORE_UNIT			STORE_ALIGN

/*
 * An index slot is a word of
 *
 *		tag 16 | frequency 2 | committed 1 | ring 1 | position 44
 *
 * and is empty when it is 0; no tag is 0.
 */
#define BUCKET_SLOTS		8
#define SLOT_TAG_SHIFT		48
#define SLOT_FREQ_SHIFT		46
#define SLOT_FREQ_MAX		3
#define FREQ_TO_PROMOTE		2	/* from the small ring to the main ring */
#define SLOT_FREQ_ONE		(UINT64CONST(1) << SLOT_FREQ_SHIFT)
#define SLOT_FREQ_MASK		((uint64) SLOT_FREQ_MAX << SLOT_FREQ_SHIFT)
#define SLOT_COMMITTED		(UINT64CONST(1) << 45)
#define SLOT_RING_SHIFT		44
#define SLOT_POSITION_MASK	((UINT64CONST(1) << SLOT_RING_SHIFT) - 1)

/* The bits that readers may change. */
#define SLOT_READER_BITS	(SLOT_FREQ_MASK | SLOT_COMMITTED)

StaticAssertDecl(sizeof(pg_atomic_uint64) == sizeof(uint64),
				 "the store needs 64-bit atomic operations");
StaticAssertDecl(SLOT_TAG_SHIFT + 16 == 64 &&
				 SLOT_FREQ_MASK < (UINT64CONST(1) << SLOT_TAG_SHIFT) &&
				 SLOT_COMMITTED < SLOT_FREQ_ONE &&
				 SLOT_COMMITTED == UINT64CONST(2) << SLOT_RING_SHIFT,
				 "a slot's fields fill its word and do not overlap");

#define SlotTag(word)		((uint32) ((word) >> SLOT_TAG_SHIFT))
#define SlotFreq(word)		((int) (((word) >> SLOT_FREQ_SHIFT) & SLOT_FREQ_MAX))
#define SlotRing(word)		((int) (((word) >> SLOT_RING_SHIFT) & 1))
#define SlotPosition(word)	((word) & SLOT_POSITION_MASK)
#define MakeSlot(tag, ring, position) \
	(((uint64) (tag) << SLOT_TAG_SHIFT) | \
	 ((uint64) (ring) << SLOT_RING_SHIFT) | \
	 ((position) & SLOT_POSITION_MASK))

typedef pg_atomic_uint64 StoreSlot;

typedef struct StoreBucket
{
	StoreSlot	slots[BUCKET_SLOTS];
} StoreBucket;

StaticAssertDecl(sizeof(StoreBucket) == 64, "a bucket is a cache line");

/*
 * A set of the ghost table, newest first; 0 where there is none yet.  Written
 * under the partition's lock, and by who fills nothing also without it
 * (admission.c): two at a time may lose a fingerprint, or double it.  So
 * fingerprints are hints.
 */
#define GHOST_WAYS			32

typedef struct StoreGhosts
{
	uint16		tags[GHOST_WAYS];
} StoreGhosts;

/*
 * What precedes each payload in a ring.  Written once, before the entry is
 * published.  An entry of size 0 fills the ring up to its end and has no more
 * than its first word.
 *
 *		hash 40 | size 24
 *		marked 1 | kind 2 | epoch 61
 *		xid 64			(not in an absence: its payload begins here)
 *		mark 128		(if marked, which only rows are)
 *		payload
 *
 * So two kinds of one hash under one epoch differ in their second word, and
 * looking for one compares it with the other as quickly as with a row of
 * another epoch.
 */
typedef struct StoreEntry
{
	uint64		hash_size;		/* size in units, this header included */
	uint64		kind_epoch;
	uint64		xid;
} StoreEntry;

#define ENTRY_SIZE_BITS		24
#define ENTRY_HASH_BITS		40
#define ENTRY_MARKED		(UINT64CONST(1) << 63)
#define ENTRY_KIND_SHIFT	61
#define ENTRY_KIND_MASK		3
#define ENTRY_EPOCH_MASK	((UINT64CONST(1) << ENTRY_KIND_SHIFT) - 1)

StaticAssertDecl(ENTRY_SIZE_BITS + ENTRY_HASH_BITS == 64 &&
				 ENTRY_KIND_SHIFT + 2 == 63 && STORE_KINDS <= ENTRY_KIND_MASK + 1,
				 "an entry's fields fill its words");
StaticAssertDecl(sizeof(StoreEntry) == 24, "a row's entry has 24 bytes of header");
StaticAssertDecl(sizeof(StoreMark) == 16, "a mark has 128 bits");
StaticAssertDecl(STORE_MAX_SIZE / STORE_UNIT < (UINT64CONST(1) << ENTRY_SIZE_BITS),
				 "the largest item's size fits");

#define EntryUnits(entry) \
	((entry)->hash_size & ((UINT64CONST(1) << ENTRY_SIZE_BITS) - 1))
#define EntryHash(entry)	((entry)->hash_size >> ENTRY_SIZE_BITS)
#define EntryEpoch(entry)	((entry)->kind_epoch & ENTRY_EPOCH_MASK)
#define EntryKind(entry) \
	((StoreKind) (((entry)->kind_epoch >> ENTRY_KIND_SHIFT) & ENTRY_KIND_MASK))
#define EntryIsMarked(entry)	(((entry)->kind_epoch & ENTRY_MARKED) != 0)
#define KindAndEpoch(kind, epoch) \
	(((uint64) (kind) << ENTRY_KIND_SHIFT) | (epoch))

#define HeaderSize(kind) \
	((kind) == STORE_ABSENCE ? offsetof(StoreEntry, xid) : sizeof(StoreEntry))

/* Before the payload; "header" may be a copy of the entry's, that was verified. */
#define PayloadOffset(header, kind) \
	(HeaderSize(kind) + (EntryIsMarked(header) ? sizeof(StoreMark) : 0))
#define EntryPayload(entry, header, kind) \
	((char *) (entry) + PayloadOffset(header, kind))
#define EntryPayloadSize(entry, kind) \
	(EntryUnits(entry) * STORE_UNIT - PayloadOffset(entry, kind))
#define EntryMark(entry)	((StoreMark *) ((StoreEntry *) (entry) + 1))
#define UnitsOfContent(content) \
	((HeaderSize((content)->kind) + (content)->size + \
	  ((content)->mark != NULL ? sizeof(StoreMark) : 0)) / STORE_UNIT)
#define MAX_ENTRY_UNITS \
	((STORE_MAX_SIZE + sizeof(StoreEntry) + sizeof(StoreMark)) / STORE_UNIT)

/*
 * The tails are written under the partition's lock and read by every reader;
 * they move only when something is evicted.  The rest is for the holder of
 * the lock.
 */
typedef struct StorePartition
{
	pg_atomic_uint64 tail[RINGS];	/* oldest position that is still whole */
	char		pad1[PG_CACHE_LINE_SIZE - RINGS * sizeof(uint64)];

	uint64		head[RINGS];	/* where the next entry goes */
	uint64		live[RINGS];	/* units of the entries that slots point to */
	uint64		items[RINGS];	/* how many these are */
	uint64		evictions;
	uint64		swept;			/* garbage generation the last sweep began at */
	uint64		sweep_from;		/* the sweep under way: next position */
	uint64		sweep_to;		/* ... and where it ends in this ring */
	int			sweep_ring;		/* RINGS: no sweep is under way */
	char		pad2[2 * PG_CACHE_LINE_SIZE - (3 * RINGS + 5) * sizeof(uint64)];
} StorePartition;

StaticAssertDecl(sizeof(StorePartition) == 3 * PG_CACHE_LINE_SIZE,
				 "partitions begin on cache lines, with the tails on one of their own");
StaticAssertDecl(offsetof(StorePartition, head) == PG_CACHE_LINE_SIZE,
				 "what only writers use is not on the tails' line");

/* Written once, by the postmaster; every process has a copy. */
typedef struct StoreLayout
{
	char	   *partitions;		/* the first one */
	Size		stride;
	uint64		partition_mask;
	uint32		counter_mask;
	uint32		nbuckets;
	uint32		nghosts;
	Size		counters_offset;
	Size		buckets_offset;
	Size		ghosts_offset;
	Size		ring_offset[RINGS];
	uint64		ring_units[RINGS];
	uint64		ring_mask[RINGS];	/* the offset in a position */
	uint64		item_limit[RINGS];
	uint64		entry_limit[RINGS]; /* units of the largest entry */
	int			npartitions;
	Size		memory;			/* itemcache.memory, in bytes */
} StoreLayout;

extern StoreLayout store_layout;

/*
 * A hash has its partition in the low bits, its counter in the 16 bits from
 * bit 8 on, and all else in the upper 40 bits ("bits" below): the tag in the
 * low 16 of these, the bucket mostly in the others.
 */
#define HashBits(hash)		((hash) >> (64 - ENTRY_HASH_BITS))

static inline uint32
TagOf(uint64 bits)
{
	uint32		tag = (uint32) (bits & 0xFFFF);

	return tag == 0 ? 1 : tag;
}

static inline int
PartitionNumber(uint64 hash)
{
	return (int) (hash & store_layout.partition_mask);
}

static inline StorePartition *
PartitionAt(int number)
{
	return (StorePartition *) (store_layout.partitions +
							   number * store_layout.stride);
}

static inline pg_atomic_uint64 *
CounterOf(StorePartition *partition, uint64 hash)
{
	return (pg_atomic_uint64 *) ((char *) partition + store_layout.counters_offset) +
		((hash >> 8) & store_layout.counter_mask);
}

/* The two buckets an item may be in. */
static inline uint32
FirstBucket(uint64 bits)
{
	return (uint32) ((bits * store_layout.nbuckets) >> ENTRY_HASH_BITS);
}

/*
 * The other one, from either.  Being H(tag) - bucket, it is its own inverse,
 * so that an item can be displaced knowing nothing but its slot.
 */
static inline uint32
OtherBucket(uint32 bucket, uint32 tag)
{
	uint32		sum = (uint32)
		(((uint64) (tag * 0x9E3779B1U) * store_layout.nbuckets) >> 32);

	return sum >= bucket ? sum - bucket : sum + store_layout.nbuckets - bucket;
}

static inline StoreBucket *
BucketAt(StorePartition *partition, uint32 number)
{
	return (StoreBucket *) ((char *) partition + store_layout.buckets_offset) +
		number;
}

/* A bit for each slot of the bucket that has the tag. */
static inline uint32
MatchTag(StoreBucket *bucket, uint32 tag)
{
#ifdef __SSE2__
	/* whoever uses a slot reads it again, whole */
	const __m128i *words = (const __m128i *) bucket;
	__m128i		wanted = _mm_set1_epi32((int) tag);
	__m128i		high[2];

	for (int i = 0; i < 2; i++)
	{
		__m128	a = _mm_castsi128_ps(_mm_load_si128(&words[2 * i]));
		__m128	b = _mm_castsi128_ps(_mm_load_si128(&words[2 * i + 1]));

		/* the upper halves of four words, and the tags in these */
		high[i] = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
		high[i] = _mm_cmpeq_epi32(_mm_srli_epi32(high[i], 16), wanted);
	}
	return (uint32) _mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(high[0], high[1]),
													  _mm_setzero_si128()));
#else
	uint32		matches = 0;

	for (int i = 0; i < BUCKET_SLOTS; i++)
		matches |= (uint32)
			(SlotTag(pg_atomic_read_u64(&bucket->slots[i])) == tag) << i;
	return matches;
#endif
}

/*
 * A position is lap and offset: the low bits, as many as the offset needs,
 * say where in the ring it is, and the others how often the ring has been
 * around.  So positions only grow (though not by one where the ring ends),
 * and no division is needed to find the place.
 */
static inline StoreEntry *
EntryAt(StorePartition *partition, int ring, uint64 position)
{
	return (StoreEntry *) ((char *) partition + store_layout.ring_offset[ring] +
						   (position & store_layout.ring_mask[ring]) * STORE_UNIT);
}

/* Can entries of a kind under an epoch still be found? */
static inline bool
EpochIsCurrent(StoreKind kind, uint64 epoch)
{
	OwnerName  *name = &OwnerNames[EpochOwner(epoch)];

	return epoch == pg_atomic_read_u64(kind == STORE_ABSENCE ?
									   &name->absences : &name->epoch);
}

static inline bool
EntryIsCurrent(const StoreEntry *entry)
{
	return EpochIsCurrent(EntryKind(entry), EntryEpoch(entry));
}

static inline Owner *
EntryOwner(const StoreEntry *entry)
{
	return OwnerSlot(EpochOwner(EntryEpoch(entry)));
}

/* Is it of the owner of this key, or of one whose slot that has now? */
static inline bool
EntryIsOf(const StoreEntry *entry, uint64 owner)
{
	return OwnerKey(EpochOwner(EntryEpoch(entry))) == owner;
}

/* store_index.c; all for the holder of the partition's lock */
extern StoreSlot *IndexFind(StorePartition *partition, uint64 owner,
							uint64 bits, StoreEntry **entry);
extern StoreSlot *IndexFindEntry(StorePartition *partition, uint64 bits,
								 int ring, uint64 position);
extern StoreSlot *IndexMakeSlot(StorePartition *partition, uint64 bits);
extern StoreSlot *IndexVictim(StorePartition *partition, uint64 owner,
							  uint64 bits);
extern void IndexMove(StoreSlot *slot, int ring, uint64 position, int freq);

/* store_evict.c; the same */
typedef enum RoomPolicy
{
	ROOM_KEEP,					/* live entries are kept, by moving them */
	ROOM_EVICT					/* S3-FIFO */
} RoomPolicy;

extern bool RingFits(StorePartition *partition, int ring, uint64 units);
extern bool MainHasSpace(StorePartition *partition, uint64 units);
extern bool MakeRoom(StorePartition *partition, int ring, uint64 units,
					 RoomPolicy policy, int *budget);
extern StoreEntry *RingAppend(StorePartition *partition, int ring, uint64 units,
							  uint64 *position);
extern void AddEntry(StorePartition *partition, int ring, StoreEntry *entry);
extern void DropEntry(StorePartition *partition, StoreSlot *slot,
					  StoreEntry *entry, bool evicted);
extern bool SweepIsDue(StorePartition *partition);
extern void Sweep(StorePartition *partition, int budget);
extern bool GhostTake(StorePartition *partition, uint64 bits);

/* ... but these without the lock, too */
extern bool GhostHas(StorePartition *partition, uint64 bits);
extern void GhostAdd(StorePartition *partition, uint64 bits);
extern void GhostPrefetch(StorePartition *partition, uint64 bits);

/* admission.c */
extern void CountNewcomer(uint64 epoch);
extern void CountNewcomerFound(const StoreItem *item);

#endif							/* ITEMCACHE_STORE_INTERNAL_H */
