/*-------------------------------------------------------------------------
 *
 * store_internal.h
 *	  The store's lay-out in shared memory, for the files store*.c only.
 *
 * The region is StoreLayout, the sizes of the indexes, and the partitions,
 * StoreLayout.stride bytes each:
 *
 *		+-----------------+ 0
 *		| StorePartition  |		tails, heads, accounts
 *		+-----------------+
 *		| counters        |		one is moved when an item of its hash is removed
 *		+-----------------+
 *		| small ring      |		newcomers, once the main ring is full: a tenth
 *		+-----------------+
 *		| main ring       |		all else
 *		|        :        |
 *		+ - - - - - - - - + ring_end[RING_MAIN]
 *		|    v       ^    |
 *		|        :        |
 *		| index           |		grows downward, into what is left of the main ring
 *		+-----------------+ stride
 *
 * A ring is written in laps.  What is between tail and head is entries, those
 * that slots point to and garbage; at the head goes the next one:
 *
 *		   entry   garbage  entry  entry             filler
 *		  +-------+-------+-------+-----+- - - - - -+------+
 *		  |       |       |       |     | free      |  0   |   lap 7
 *		  +-------+-------+-------+-----+- - - - - -+------+
 *		  ^ tail                        ^ head             ^ ring_end
 *
 *		  +---+-----+- - - - +-------+-----------+---------+
 *		  |   |     | free   |       |           |         |   lap 8 (and 7)
 *		  +---+-----+- - - - +-------+-----------+---------+
 *		            ^ head   ^ tail
 *
 * An entry:
 *
 *		 63          24 23        0		hash: the upper 40 bits
 *		+--------------+-----------+	size: of all this, in units of 8 bytes;
 *		|     hash     |   size    |		0: a filler, up to the ring's end
 *		+-+--+---------+-----------+
 *		|m|kd|        epoch        |	m: there is a mark; kd: StoreKind
 *		+-+--+---------------------+	epoch: counter 41, owner 20
 *		|           xid            |	of an absence, the payload begins here
 *		+--------------------------+
 *		|           mark           |	16 bytes, if m
 *		+--------------------------+
 *		|         payload          |
 *		+--------------------------+
 *
 * All of it is written once, under the partition's lock, before any slot points
 * to it, and read without.
 *
 * The index is groups of five cache lines, numbered from the partition's end:
 * four buckets, and the ghosts of what had its first bucket among these.
 *
 *		... | bucket 5 | bucket 4 | ghosts | bucket 3 | bucket 2 | bucket 1 | bucket 0 |
 *
 * A bucket has eight slots:
 *
 *		 63    48 47 46  45   44  43          0
 *		+--------+-----+-----+----+-----------+
 *		|  tag   | frq | com | rg | position  |		0: an empty slot (no tag is 0)
 *		+--------+-----+-----+----+-----------+
 *
 *		tag			the low 16 of the 40 bits of hash
 *		frequency	how often it was used, up to 3; raised by readers
 *		committed	the row's xid is known to have committed; set by readers
 *		ring		where it is,
 *		position	and its position, but for the bits above 44
 *
 * Slots are written under the lock; the bits that are the readers' by
 * compare-and-swap of the whole word, by anybody.  Those who hold the lock change
 * a slot that is not empty by compare-and-swap or exchange, too.
 *
 * The hash of an item:
 *
 *		 63              40 39      24 23         8 7         0
 *		+------------------+----------+------------+-----------+
 *		| place of bucket  |   tag    |  counter   | partition |
 *		+------------------+----------+------------+-----------+
 *		<------ the 40 bits ("bits") ->
 *
 * What an item takes beyond its payload, with the index at the load it is kept
 * at (INDEX_LOAD_PERCENT): its slot 12.3 bytes, ghosts 3.1, header 24 (an absence:
 * 16), and what rounds the payload up to 8.
 *
 * The rules are at the top of store.c; how the index grows, of store_index.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_STORE_INTERNAL_H
#define ITEMCACHE_STORE_INTERNAL_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "compat.h"

#include "port/pg_bitutils.h"
#include "store/owner.h"
#include "store/store.h"

#define RING_SMALL			0
#define RING_MAIN			1
#define RINGS				2

/* Positions and sizes are in units. */
#define STORE_UNIT			STORE_ALIGN

/* Slots: see above. */
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

/*
 * Fingerprints (tags) of what was put into the small ring, or might have been,
 * newest first; 0 where there is none yet.  Written under the partition's lock, and
 * by who fills nothing also without it (admission.c): two at a time may lose a
 * fingerprint, or double it.  So fingerprints are hints.
 */
#define GHOST_WAYS			32

typedef struct StoreGhosts
{
	uint16		tags[GHOST_WAYS];
} StoreGhosts;

/* The index grows by a bucket, and takes memory by groups. */
#define GROUP_BUCKETS		4

typedef struct StoreGroup
{
	StoreGhosts ghosts;
	StoreBucket buckets[GROUP_BUCKETS]; /* the last one first */
} StoreGroup;

#define GROUP_UNITS			(sizeof(StoreGroup) / STORE_UNIT)

/*
 * Of the slots that there are, so many are meant to be used: then nine of ten
 * items are in their first bucket.  More than the other number of them never
 * are: up to that, a chain of two displacements finds room for a newcomer, as
 * good as always.
 */
#define INDEX_LOAD_PERCENT	65
#define INDEX_FULL_PERCENT	90
#define SlotsUsed(nbuckets, percent)	((nbuckets) * BUCKET_SLOTS * (percent) / 100)

/* A bucket's number has as many bits as there are of the hash. */
#define PLACE_BITS			24
#define MAX_BUCKETS			(UINT64CONST(1) << PLACE_BITS)

/* StorePartition.grow_at, where the index is as large as it may be. */
#define GROW_NEVER			PG_UINT32_MAX

/*
 * What precedes each payload: see above.  Two kinds of one hash under one epoch
 * differ in their second word, so looking for one passes over the other as
 * quickly as over a row of another epoch.
 */
typedef struct StoreEntry
{
	uint64		hash_size;
	uint64		kind_epoch;
	uint64		xid;
} StoreEntry;

#define ENTRY_SIZE_BITS		24
#define ENTRY_HASH_BITS		40
#define ENTRY_MARKED		(UINT64CONST(1) << 63)
#define ENTRY_KIND_SHIFT	61
#define ENTRY_KIND_MASK		3
#define ENTRY_EPOCH_MASK	((UINT64CONST(1) << ENTRY_KIND_SHIFT) - 1)

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
 * The tails are read by every reader; they move only when something is evicted,
 * or makes room.  Everything is written under the partition's lock.  What is
 * after the tails is for the holder of the lock, and for StoreGetStats(), which
 * wants no more than to know about how much it is.
 */
typedef struct StorePartition
{
	pg_atomic_uint64 tail[RINGS];	/* oldest position that is still whole */
	char		pad1[PG_CACHE_LINE_SIZE - RINGS * sizeof(uint64)];

	uint64		head[RINGS];	/* where the next entry goes */
	uint64		ring_end[RINGS];	/* units; none is written from there on */
	uint64		live[RINGS];	/* units of the entries that slots point to */
	uint64		items[RINGS];	/* how many these are */
	uint32		capacity;		/* how many there may be, as the index is now */
	uint32		buckets_ready;	/* buckets there is memory for, in use or not */
	uint32		grow_at;		/* with so many entries the index is to grow, */
	uint32		grow_at_main;	/* ... or so many in the main ring */
	uint64		evictions;
	uint64		swept;			/* garbage generation the last sweep began at */
	uint64		sweep_from;		/* the sweep under way: next position */
	uint64		sweep_to;		/* ... and where it ends in this ring */
	int			sweep_ring;		/* RINGS: no sweep is under way */
	int			number;			/* its own */
	char		pad2[2 * PG_CACHE_LINE_SIZE - (4 * RINGS + 7) * sizeof(uint64)];
} StorePartition;

/*
 * How many buckets a partition has in use, and a mask of that many bits: one
 * word, so that both are of one moment.  Written under the partition's lock, read
 * without.  They are not with the tails, as they are needed first, and hardly
 * ever move.
 */
#define MakeIndexSize(nbuckets) \
	(((pg_nextpower2_64(nbuckets) - 1) << 32) | (nbuckets))
#define IndexBuckets(size)	((uint32) (size))
#define IndexMask(size)		((uint32) ((size) >> 32))

/* Written once, by the postmaster; every process has a copy. */
typedef struct StoreLayout
{
	char	   *partitions;		/* the first one */
	pg_atomic_uint64 *index_sizes;	/* one for each of them */
	Size		stride;
	uint64		partition_mask;
	uint32		counter_mask;
	Size		counters_offset;
	Size		ring_offset[RINGS];
	uint64		ring_units[RINGS];	/* at first: main's end may come nearer */
	uint64		ring_mask[RINGS];	/* the offset in a position */
	uint64		first_buckets;	/* the index at first */
	uint64		most_buckets;	/* as far as it may grow */
	uint64		most_items;		/* of a partition: itemcache.max_items */
	int			npartitions;
	Size		memory;			/* itemcache.memory, in bytes */
} StoreLayout;

StaticAssertDecl(sizeof(pg_atomic_uint64) == sizeof(uint64),
				 "the store needs 64-bit atomic operations");
StaticAssertDecl(SLOT_TAG_SHIFT + 16 == 64 && SLOT_FREQ_SHIFT + 2 == SLOT_TAG_SHIFT &&
				 SLOT_COMMITTED >> SLOT_RING_SHIFT == 2,
				 "a slot's fields fill its word");
StaticAssertDecl(sizeof(StoreBucket) == 64, "a bucket is a cache line");
StaticAssertDecl(sizeof(StoreGhosts) == 64, "a set of ghosts is a cache line");
StaticAssertDecl(sizeof(StoreGroup) == 5 * 64, "a group is five cache lines");
StaticAssertDecl(sizeof(StoreEntry) == 24 && offsetof(StoreEntry, xid) == 16,
				 "a header has three words, of which an absence has two");
StaticAssertDecl(ENTRY_HASH_BITS + ENTRY_SIZE_BITS == 64 &&
				 ENTRY_HASH_BITS == PLACE_BITS + 16,
				 "the 40 bits are the bucket's place and the tag");
StaticAssertDecl(MAX_ENTRY_UNITS < UINT64CONST(1) << ENTRY_SIZE_BITS,
				 "the size of the largest entry has 24 bits");
StaticAssertDecl(STORE_KINDS - 1 <= ENTRY_KIND_MASK, "a kind has two bits");
StaticAssertDecl(OWNER_BITS + 41 == ENTRY_KIND_SHIFT,
				 "an epoch is a counter of 41 bits and an owner's number");
StaticAssertDecl(sizeof(StoreMark) == 16, "a mark has 16 bytes");
StaticAssertDecl(sizeof(StorePartition) == 3 * PG_CACHE_LINE_SIZE &&
				 offsetof(StorePartition, head) == PG_CACHE_LINE_SIZE,
				 "partitions begin on cache lines, with the tails on one of their own");

extern StoreLayout store_layout;

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

/* How large a partition's index is now; then a read barrier, for readers. */
static inline uint64
ReadIndexSize(int number)
{
	return pg_atomic_read_u64(&store_layout.index_sizes[number]);
}

/*
 * The two buckets an item may be in.  Each has a place, a number of PLACE_BITS,
 * of which as many low bits count as the index has buckets for: n + 1 of them
 * where that is less than what there is, else n.  So each bucket that is added
 * takes its items from one other, which has the same low bits.
 */
static inline uint32
BucketOfPlace(uint32 place, uint64 size)
{
	uint32		number = place & IndexMask(size);

	/* a branch here would be taken or not at random, before each lookup */
	return number & (IndexMask(size) >> (number >= IndexBuckets(size)));
}

static inline uint32
FirstBucket(uint64 bits, uint64 size)
{
	return BucketOfPlace((uint32) (bits >> 16), size);
}

static inline uint32
SecondBucket(uint64 bits, uint64 size)
{
	return BucketOfPlace((uint32) ((bits * UINT64CONST(0x9E3779B97F4A7C15)) >>
								   (64 - PLACE_BITS)), size);
}

static inline StoreGroup *
GroupAt(StorePartition *partition, uint32 number)
{
	return (StoreGroup *) ((char *) partition + store_layout.stride) - 1 - number;
}

static inline StoreBucket *
BucketAt(StorePartition *partition, uint32 number)
{
	/* each group before it has a line more than buckets */
	return (StoreBucket *) ((char *) partition + store_layout.stride) - 1 -
		(number + number / GROUP_BUCKETS);
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

/* The entry that a slot, which is not empty, points to. */
static inline StoreEntry *
SlotEntry(StorePartition *partition, uint64 word)
{
	return EntryAt(partition, SlotRing(word), SlotPosition(word));
}

static inline uint64
ItemCount(StorePartition *partition)
{
	return partition->items[RING_SMALL] + partition->items[RING_MAIN];
}

/* Of as many items as there may be, those that are a ring's. */
static inline uint64
ItemShare(StorePartition *partition, int ring)
{
	uint64		small = partition->capacity / 10;

	return ring == RING_SMALL ? small : partition->capacity - small;
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
extern void IndexInit(StorePartition *partition);
extern bool IndexReserve(StorePartition *partition);
extern bool IndexMayGrow(StorePartition *partition);
extern bool IndexExpect(StorePartition *partition, uint64 nitems, uint64 units);

/*
 * Without the lock: have the processor fetch what the next item will have the index
 * read to grow, if it will; the entries when the slots that lead to them are there.
 */
extern void IndexPrefetchGrowth(StorePartition *partition, bool entries);

/* store_evict.c; the same */
typedef enum RoomPolicy
{
	ROOM_KEEP,					/* live entries are kept, by moving them */
	ROOM_EVICT					/* S3-FIFO */
} RoomPolicy;

extern uint64 LargestEntry(StorePartition *partition, int ring);
extern bool RingFits(StorePartition *partition, int ring, uint64 units);
extern bool MainHasSpace(StorePartition *partition, uint64 units);
extern bool MainTakesItem(StorePartition *partition);
extern bool MakeRoom(StorePartition *partition, int ring, uint64 units,
					 RoomPolicy policy, int *budget);
extern void EvictItem(StorePartition *partition, int *budget);
extern bool SqueezeForIndex(StorePartition *partition, int *budget);
extern StoreEntry *RingAppend(StorePartition *partition, int ring, uint64 units,
							  uint64 *position);
extern void AddEntry(StorePartition *partition, int ring, StoreEntry *entry);
extern void DropEntry(StorePartition *partition, StoreSlot *slot,
					  StoreEntry *entry, bool evicted);
extern bool SweepIsDue(StorePartition *partition);
extern void Sweep(StorePartition *partition, int budget);
extern bool GhostTake(StorePartition *partition, uint64 bits);

/* ... but these without the lock, too */
extern void RingPrefetchHead(StorePartition *partition, Size nbytes);
extern void RingPrefetchTail(StorePartition *partition, Size nbytes);
extern bool GhostHas(StorePartition *partition, uint64 bits);
extern void GhostAdd(StorePartition *partition, uint64 bits);
extern void GhostPrefetch(StorePartition *partition, uint64 bits);

/* admission.c */
extern void CountNewcomer(uint64 epoch);
extern void CountNewcomerFound(const StoreItem *item);

#endif							/* ITEMCACHE_STORE_INTERNAL_H */
