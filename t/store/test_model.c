/*-------------------------------------------------------------------------
 *
 * test_model.c
 *	  Random calls, compared with what they should do; and after some of them all
 *	  of the store is looked through.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store_test.h"

#define OWNERS			2
#define KEYS			40000
#define STEPS_TO_CHECK	5000

/* What there may be of a key: this or, as the store forgets, nothing. */
typedef struct Known
{
	bool		exists;
	StoreKind	kind;
	uint64		word;			/* a row's first, or what an alias leads to */
	Size		size;
	bool		marked;
} Known;

static Known known[OWNERS][KEYS];
static uint64 epochs[OWNERS];
static uint64 absences[OWNERS];

static void Step(uint64 n);
static void FillRandomly(int owner, uint64 key, uint64 word);
static void ForgetAll(int owner, bool only_absences);
static bool IsAsKnown(int owner, uint64 key, uint64 *nfound);
static void CheckStore(void);
static uint64 LookThroughPartition(StorePartition *partition);
static uint64 LookThroughRing(StorePartition *partition, int ring);

static uint64 nwrong = 0;
static uint64 nbroken = 0;

void
TestModel(const Case *this)
{
	uint64		nfound = 0;
	uint64		before;
	StoreStats	stats;

	epochs[0] = NewStore(this, OWN(1));
	epochs[1] = AnotherOwner(OWN(2));
	before = ReadIndexSize(0);
	for (int i = 0; i < OWNERS; i++)
	{
		OwnerBeginAbsences(EpochOwner(epochs[i]), OWN(i + 1));
		absences[i] = OwnerAbsenceEpoch(EpochOwner(epochs[i]), OWN(i + 1));
	}

	for (uint64 n = 1; n <= this->rounds; n++)
	{
		Step(n);
		if (n % STEPS_TO_CHECK == 0)
			CheckStore();
	}
	for (uint64 key = 0; key < KEYS; key++)
		nwrong += !IsAsKnown(0, key, &nfound) + !IsAsKnown(1, key, &nfound);
	StoreGetStats(&stats);

	Check(nwrong == 0, "%d kB, %d partitions: nothing is found but what was put in last",
		  (int) (this->memory / 1024), stats.partitions);
	Check(nbroken == 0, "the store is as it should be");
	Check(nfound > 0 && stats.items <= stats.max_items, "%d keys are found", (int) nfound);
	Check(this->max_items == 0 || stats.items <= this->max_items,
		  "not more than there may be");
	if (this->memory == MB(4))
		Check(ReadIndexSize(0) != before && stats.evictions > 0,
			  "it has grown, and evicted");
}

static void
Step(uint64 n)
{
	int			owner = Random() % OWNERS;
	uint64		key = Random() % KEYS;
	uint64		hash = HashOf(key);
	uint64		what = Random() % 1000;

	if (what == 0 && Random() % 50 == 0)
		ForgetAll(owner, Random() % 2 == 0);
	else if (what < 100)
	{
		StoreRemove(OWN(owner + 1), hash);
		known[owner][key].exists = false;
	}
	else if (what < 110)
	{
		StoreContent content = RowContent(n << 20, 80);
		uint64		counter = StoreReadCounter(hash);

		StoreRemove(OWN(owner + 1), hash);
		known[owner][key].exists = false;
		nwrong += StoreFill(hash, epochs[owner], &content, counter, false) != STORE_STALE;
	}
	else if (what < 600)
		FillRandomly(owner, key, n << 20);
	else if (what < 601)
		StoreExpect(Random() % (2 * KEYS), Random() % 400);
	nwrong += !IsAsKnown(owner, key, NULL);
}

/* Something of any kind and size, in any way; what does not get in is nothing. */
static void
FillRandomly(int owner, uint64 key, uint64 word)
{
	static const Size sizes[] = {8, 40, 80, 104, 304, 2000, 20000};
	uint64		hash = HashOf(key);
	uint64		image[4] = {key, word, 0, 0};
	StoreMark	mark = {word, ~word};
	Size		size = sizes[Random() % lengthof(sizes) * (Random() % 4) / 3];
	StoreContent content = RowContent(word, size);
	bool		if_room = Random() % 3 == 0;
	Known		put = {.exists = true, .kind = STORE_ROW, .word = word, .size = size};
	StoreResult result;

	switch (Random() % 5)
	{
		case 0:
			put.kind = STORE_ALIAS;
			result = StorePutAlias(hash, epochs[owner], word, if_room);
			break;
		case 1:
			put.kind = STORE_ABSENCE;
			result = StoreFillAbsence(hash, absences[owner], image, sizeof(image),
									  StoreReadCounter(hash));
			break;
		case 2:
			result = StorePublish(OWN(owner + 1), hash, epochs[owner], &content, true);
			break;
		default:
			put.marked = Random() % 2 == 0;
			content.mark = put.marked ? &mark : NULL;
			result = StoreFill(hash, epochs[owner], &content, StoreReadCounter(hash), if_room);
	}
	if (result == STORE_DONE)
		known[owner][key] = put;
	/* else what was there is gone, or as it was where the fill did not get so far */
	else if (result != STORE_TOO_LARGE)
		known[owner][key].exists = false;
}

static void
ForgetAll(int owner, bool only_absences)
{
	if (only_absences)
		OwnerMoveAbsences(OWN(owner + 1));
	else
		OwnerMoveEpoch(OWN(owner + 1));
	epochs[owner] = OwnerEpoch(EpochOwner(epochs[owner]), OWN(owner + 1));
	OwnerBeginAbsences(EpochOwner(epochs[owner]), OWN(owner + 1));
	absences[owner] = OwnerAbsenceEpoch(EpochOwner(epochs[owner]), OWN(owner + 1));
	for (int key = 0; key < KEYS; key++)
	{
		if (!only_absences || known[owner][key].kind == STORE_ABSENCE)
			known[owner][key].exists = false;
	}
}

/* Whatever is found of a key, is it what is known? */
static bool
IsAsKnown(int owner, uint64 key, uint64 *nfound)
{
	const Known *is = &known[owner][key];
	uint64		hash = HashOf(key);
	uint64		image[4] = {key, is->word, 0, 0};
	StoreItem	item;
	uint64		row;
	bool		right[STORE_KINDS];
	bool		found[STORE_KINDS];

	found[STORE_ROW] = StoreFind(hash, epochs[owner], STORE_ROW, 0, NULL, &item);
	right[STORE_ROW] = is->kind == STORE_ROW && found[STORE_ROW] &&
		item.size == is->size && item.marked == is->marked &&
		(!item.marked || item.mark.place == is->word) &&
		Find(epochs[owner], hash) == is->word;
	found[STORE_ALIAS] = StoreFindAlias(hash, epochs[owner], NULL, &row);
	right[STORE_ALIAS] = is->kind == STORE_ALIAS && row == is->word;
	found[STORE_ABSENCE] = StoreFindAbsence(hash, absences[owner], NULL, image, sizeof(image));
	right[STORE_ABSENCE] = is->kind == STORE_ABSENCE;

	for (int kind = 0; kind < STORE_KINDS; kind++)
	{
		if (found[kind] && !(is->exists && right[kind]))
			return false;
		if (found[kind] && nfound != NULL)
			(*nfound)++;
	}
	return true;
}

/* Nobody else being there, everything must fit together. */
static void
CheckStore(void)
{
	for (int i = 0; i < store_layout.npartitions; i++)
	{
		StorePartition *partition = PartitionAt(i);
		Size		index = IndexBuckets(ReadIndexSize(i)) * sizeof(StoreGroup) / GROUP_BUCKETS;

		nbroken += LookThroughPartition(partition);
		nbroken += LookThroughRing(partition, RING_SMALL);
		nbroken += LookThroughRing(partition, RING_MAIN);
		nbroken += store_layout.ring_offset[RING_MAIN] +
			partition->ring_end[RING_MAIN] * STORE_UNIT + index > store_layout.stride;
	}
}

/* Its slots, and whether its accounts are of these. */
static uint64
LookThroughPartition(StorePartition *partition)
{
	uint64		size = ReadIndexSize(partition->number);
	uint64		live[RINGS] = {0};
	uint64		items[RINGS] = {0};
	uint64		broken = 0;

	for (uint32 number = 0; number < IndexBuckets(size); number++)
	{
		for (int i = 0; i < BUCKET_SLOTS; i++)
		{
			StoreSlot  *slot = &BucketAt(partition, number)->slots[i];
			uint64		word = pg_atomic_read_u64(slot);
			int			ring = SlotRing(word);
			StoreEntry *entry = SlotEntry(partition, word);
			uint64		bits = EntryHash(entry);

			if (word == 0)
				continue;
			live[ring] += EntryUnits(entry);
			items[ring]++;
			broken += SlotTag(word) != TagOf(bits) ||
				(FirstBucket(bits, size) != number && SecondBucket(bits, size) != number) ||
				SlotPosition(word) < pg_atomic_read_u64(&partition->tail[ring]) ||
				SlotPosition(word) + EntryUnits(entry) > partition->head[ring] ||
				IndexFindEntry(partition, bits, ring, SlotPosition(word)) != slot;
		}
	}
	for (int ring = 0; ring < RINGS; ring++)
		broken += live[ring] != partition->live[ring] || items[ring] != partition->items[ring];
	return broken + (items[RING_SMALL] + items[RING_MAIN] > partition->capacity);
}

/* From entry to entry, the tail leads to the head. */
static uint64
LookThroughRing(StorePartition *partition, int ring)
{
	uint64		position = pg_atomic_read_u64(&partition->tail[ring]);

	while (position < partition->head[ring])
	{
		StoreEntry *entry = EntryAt(partition, ring, position);

		if ((position & store_layout.ring_mask[ring]) + EntryUnits(entry) >=
			store_layout.ring_units[ring])
			return 1;
		if (EntryUnits(entry) == 0)
			position = (position | store_layout.ring_mask[ring]) + 1;
		else
			position += EntryUnits(entry);
	}
	return position != partition->head[ring];
}
