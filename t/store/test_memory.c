/*-------------------------------------------------------------------------
 *
 * test_memory.c
 *	  What can be held, and how much of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store_test.h"

/* What an entry may take beyond its payload, all in all. */
#define ROW_OVERHEAD	48
#define ALIAS_OVERHEAD	40
#define ABSENCE_OVERHEAD	64

/*
 * Two owners of one hash, all 64 bits of it.
 */
void
TestStrangers(const Case *this)
{
	uint64		mine = NewStore(this, OWN(1));
	uint64		yours = AnotherOwner(OWN(2));
	StoreContent content;

	Fill(mine, HashOf(1), 100, 64, false);
	Fill(yours, HashOf(1), 200, 80, false);
	Check(Find(mine, HashOf(1)) == 100 && Find(yours, HashOf(1)) == 200,
		  "two owners have an item each under the same hash");
	Fill(mine, HashOf(1), 101, 64, false);
	Check(Find(mine, HashOf(1)) == 101 && Find(yours, HashOf(1)) == 200,
		  "a fill replaces the owner's own");
	content = RowContent(7, 64);
	StorePublish(OWN(1), HashOf(1), mine, &content, true);
	Check(Find(mine, HashOf(1)) == 7 && Find(yours, HashOf(1)) == 200,
		  "and so does publication");
	StoreRemove(OWN(1), HashOf(1));
	Check(Find(mine, HashOf(1)) == 0 && Find(yours, HashOf(1)) == 200,
		  "and removal");
	StorePublish(OWN(2), HashOf(1), mine, &content, true);
	Check(Find(yours, HashOf(1)) != 200,
		  "what is published under an epoch that is not the owner's is removed");
}

/*
 * A bucket's worth of keys of one owner pushes out its own.
 */
void
TestCrowdedBucket(const Case *this)
{
	uint64		mine = NewStore(this, OWN(1));
	uint64		yours = AnotherOwner(OWN(2));
	int			nyours = 0;
	int			left = 0;

	/* all of one bucket, be it the first or the second; others have others */
	for (uint64 i = 0; i < 64; i++)
		nyours += Fill(yours, HashOf(i), i + 1, 64, false) == STORE_DONE;
	for (uint64 i = 0, n = 0; n < 200; i++)
	{
		uint64		hash = HashOf(i << 20);
		uint64		size = ReadIndexSize(PartitionNumber(hash));
		uint64		target = HashOf(0);

		if (PartitionNumber(hash) != PartitionNumber(target) ||
			FirstBucket(HashBits(hash), size) != FirstBucket(HashBits(target), size) ||
			SecondBucket(HashBits(hash), size) != FirstBucket(HashBits(target), size))
			continue;
		Fill(mine, hash, i + 1, 64, false);
		n++;
	}
	for (uint64 i = 0; i < 64; i++)
		left += Find(yours, HashOf(i)) == i + 1;
	Check(left == nyours, "whoever crowds a bucket pushes out his own");
}

/*
 * Kinds, marks and sizes.
 */
void
TestKinds(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		absences;
	uint64		row;
	uint64		key[4] = {1, 2, 3, 4};
	StoreMark	mark = {11, 12};
	StoreContent content = RowContent(7, 64);
	StoreItem	item;

	StorePutAlias(HashOf(1), epoch, HashOf(2), false);
	Check(StoreFindAlias(HashOf(1), epoch, NULL, &row) && row == HashOf(2),
		  "an alias leads to a row");
	Check(Find(epoch, HashOf(1)) == 0, "and is none");

	Check(OwnerAbsenceEpoch(EpochOwner(epoch), OWN(1)) == EPOCH_NONE,
		  "there is no epoch of absences at first");
	OwnerBeginAbsences(EpochOwner(epoch), OWN(1));
	absences = OwnerAbsenceEpoch(EpochOwner(epoch), OWN(1));
	StoreFillAbsence(HashOf(3), absences, key, sizeof(key), StoreReadCounter(HashOf(3)));
	Check(StoreFindAbsence(HashOf(3), absences, NULL, key, sizeof(key)),
		  "an absence is found");
	key[3] = 5;
	Check(!StoreFindAbsence(HashOf(3), absences, NULL, key, sizeof(key)),
		  "but not by another key of the same hash");
	key[3] = 4;
	StoreRemove(OWN(1), HashOf(3));
	Check(!StoreFindAbsence(HashOf(3), absences, NULL, key, sizeof(key)),
		  "and can be removed");
	StoreFillAbsence(HashOf(3), absences, key, sizeof(key), StoreReadCounter(HashOf(3)));
	OwnerMoveAbsences(OWN(1));
	Check(OwnerEpoch(EpochOwner(epoch), OWN(1)) == epoch &&
		  StoreFillAbsence(HashOf(3), absences, key, sizeof(key),
						   StoreReadCounter(HashOf(3))) == STORE_STALE,
		  "moving the absences' epoch is about nothing else");

	content.mark = &mark;
	StoreFill(HashOf(4), epoch, &content, StoreReadCounter(HashOf(4)), false);
	Check(StoreFind(HashOf(4), epoch, STORE_ROW, 0, NULL, &item) && item.marked &&
		  item.mark.place == 11 && item.mark.lsn == 12 && item.size == 64,
		  "a row has its mark");
	Check(Find(epoch, HashOf(4)) == 7, "and its payload");
}

/* Is as much held as the memory allows, by 90 %? */
static void
CheckHeld(const Case *this, double held, const char *what)
{
	Check(held >= 0.9 * this->memory, "%d MB: %s of %d bytes use the memory (%.1f %%)",
		  (int) (this->memory / MB(1)), what, (int) this->size,
		  100.0 * held / this->memory);
}

/* How many of the first n keys have their row? */
static uint64
CountRows(uint64 epoch, uint64 n)
{
	uint64		count = 0;

	for (uint64 i = 0; i < n; i++)
		count += Find(epoch, HashOf(i)) == i + 1;
	return count;
}

void
TestMemory(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		n = this->memory / this->size * 2;
	StoreStats	stats;
	uint64		count;

	for (uint64 i = 0; i < n; i++)
		Fill(epoch, HashOf(i), i + 1, this->size, this->if_room);
	StoreGetStats(&stats);
	CheckHeld(this, (double) stats.items * (this->size + ROW_OVERHEAD),
			  this->if_room ? "loaded rows" : "rows");
	count = CountRows(epoch, n);
	Check(count == stats.items && stats.items <= stats.max_items &&
		  stats.used <= stats.capacity && stats.capacity <= stats.memory &&
		  OwnerItems(OWNER_NONE, OWN(1), STORE_ROW) == count,
		  "and all that is counted is found, %d partitions", stats.partitions);
	Check(!this->if_room || stats.evictions == 0, "a load evicts nothing");
}

void
TestAliases(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	Size		each = this->size + ROW_OVERHEAD + this->aliases * ALIAS_OVERHEAD;
	uint64		n = this->memory / each;
	uint64		kept = 0;
	uint64		row;

	for (uint64 i = 0; i < n; i++)
	{
		Fill(epoch, HashOf(i), i + 1, this->size, true);
		for (int j = 1; j <= this->aliases; j++)
			StorePutAlias(HashOf(j * n + i), epoch, HashOf(i), true);
	}
	for (uint64 i = 0; i < n; i++)
	{
		bool		all = Find(epoch, HashOf(i)) == i + 1;

		for (int j = 1; j <= this->aliases; j++)
			all &= StoreFindAlias(HashOf(j * n + i), epoch, NULL, &row);
		kept += all;
	}
	CheckHeld(this, (double) kept * each, "rows with two aliases each");
}

void
TestAbsences(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		key[4] = {0};
	uint64		n = this->memory / ABSENCE_OVERHEAD;
	uint64		kept = 0;

	OwnerBeginAbsences(EpochOwner(epoch), OWN(1));
	epoch = OwnerAbsenceEpoch(EpochOwner(epoch), OWN(1));
	for (uint64 i = 0; i < n; i++)
	{
		key[0] = i;
		StoreFillAbsence(HashOf(i), epoch, key, sizeof(key), StoreReadCounter(HashOf(i)));
	}
	for (uint64 i = 0; i < n; i++)
	{
		key[0] = i;
		kept += StoreFindAbsence(HashOf(i), epoch, NULL, key, sizeof(key));
	}
	CheckHeld(this, (double) kept * ABSENCE_OVERHEAD, "absences of keys");
}

/*
 * A load that says what is to come has the index made for it before, and no larger
 * than it would have become.
 */
void
TestExpect(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		n = this->memory / (this->size + ROW_OVERHEAD);
	uint64		begun = n / 5;
	uint64		index;

	StoreExpect(PG_UINT32_MAX, 8);
	Check(IndexBuckets(ReadIndexSize(0)) == store_layout.first_buckets,
		  "of an empty store nothing is believed");
	for (uint64 i = 0; i < begun; i++)
		Fill(epoch, HashOf(i), i + 1, this->size, true);
	StoreExpect(n - begun, this->size);
	index = IndexBuckets(ReadIndexSize(0));
	for (uint64 i = begun; i < n; i++)
		Fill(epoch, HashOf(i), i + 1, this->size, true);
	Check(IndexBuckets(ReadIndexSize(0)) <= index + index / 100,
		  "the index is made before (%d of %d buckets)", (int) index, (int) IndexBuckets(ReadIndexSize(0)));
	CheckHeld(this, (double) CountRows(epoch, n) * (this->size + ROW_OVERHEAD),
			  "rows that were expected");
}

/*
 * The memory of an index that is too large is lost: it is not made for whatever is
 * said to come.
 */
void
TestFalseExpectation(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		n = this->memory / (this->size + ROW_OVERHEAD);

	for (uint64 i = 0; i < n; i++)
	{
		Fill(epoch, HashOf(i), i + 1, this->size, true);
		if (i == n / 50)
			StoreExpect(PG_UINT32_MAX, 8);
	}
	CheckHeld(this, (double) CountRows(epoch, n) * (this->size + ROW_OVERHEAD),
			  "where far more were expected, rows");
}

/*
 * A cache full of large rows that comes to be looked up for small ones.  Those
 * that are used all the time stay, whatever the index takes of the ring.
 */
void
TestChangeOfSize(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		nlarge = this->memory / this->size_before * 2;
	uint64		nhot = nlarge / 20;
	uint64		hot = 0;
	StoreStats	before;
	StoreStats	after;

	for (uint64 i = 0; i < nlarge; i++)
	{
		Fill(epoch, HashOf(i), i + 1, this->size_before, false);
		Find(epoch, HashOf(i % nhot));
	}
	StoreGetStats(&before);
	for (uint64 i = 0; i < nhot; i++)
		hot += Find(epoch, HashOf(i)) != 0;
	Check(hot > 0.95 * nhot, "%d of %d rows that are used stay", (int) hot, (int) nhot);

	/* each twice, so that they are worth a place in the main ring */
	for (uint64 i = nlarge; i < nlarge + 10 * this->memory / (this->size + ROW_OVERHEAD); i++)
	{
		Fill(epoch, HashOf(i), i + 1, this->size, false);
		Find(epoch, HashOf(i));
		Find(epoch, HashOf(i));
		Find(epoch, HashOf(i % nhot));
	}
	StoreGetStats(&after);
	Check(after.capacity < before.capacity, "the index takes memory of a ring that is full");
	hot = CountRows(epoch, nhot);
	Check(hot > 0.95 * nhot, "%d of %d rows that are used stay", (int) hot, (int) nhot);
	CheckHeld(this, (double) after.items * (this->size + ROW_OVERHEAD),
			  "after larger ones, rows");
}

static uint64
Evictions(void)
{
	StoreStats	stats;

	StoreGetStats(&stats);
	return stats.evictions;
}

void
TestMaxItems(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	StoreStats	stats;

	for (uint64 i = 0; i < 5 * this->max_items; i++)
	{
		Fill(epoch, HashOf(i), i + 1, 80, false);
		if (i % 3 == 0)
			Find(epoch, HashOf(i - i / 7));
	}
	StoreGetStats(&stats);
	Check(stats.max_items == this->max_items, "itemcache.max_items says how many there may be");
	Check(stats.items <= this->max_items && stats.items > 0.95 * this->max_items,
		  "so many there are (%d)", (int) stats.items);
	Check(CountRows(epoch, 5 * this->max_items) == stats.items, "and all are found");
	for (uint64 i = 0; i < 100; i++)
		Fill(epoch, HashOf(-i), 1, 80, true);
	Check(stats.evictions == Evictions(), "a load evicts none of them");
}

/*
 * A table that is cleared leaves its memory to others, and the index as it is.
 */
void
TestClear(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		n = this->memory / (this->size + ROW_OVERHEAD);
	StoreStats	before;
	StoreStats	after;

	for (uint64 i = 0; i < n; i++)
		Fill(epoch, HashOf(i), i + 1, this->size, true);
	StoreGetStats(&before);
	OwnerMoveEpoch(OWN(1));
	Check(CountRows(epoch, n) == n, "what is cleared is there for those who know no better");
	epoch = OwnerEpoch(OwnerFind(OWN(1)), OWN(1));
	Check(CountRows(epoch, n) == 0, "and for nobody else");
	for (uint64 i = 0; i < n; i++)
		Fill(epoch, HashOf(n + i), n + i + 1, this->size, true);
	StoreGetStats(&after);
	Check(after.items > 0.98 * before.items && after.evictions == 0,
		  "a load has its room, and evicts nothing (%d rows, %d before)",
		  (int) after.items, (int) before.items);
	Check(after.capacity > 0.98 * before.capacity, "the index is as it was");
}

/*
 * A table of small rows in the place of one of large rows, whose index is too
 * small for them.
 */
void
TestReload(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		n = this->memory / (this->size + ROW_OVERHEAD);
	StoreStats	stats;

	for (uint64 i = 0; i < n; i++)
		Fill(epoch, HashOf(i), i + 1, this->size_before, true);
	OwnerMoveEpoch(OWN(1));
	epoch = OwnerEpoch(OwnerFind(OWN(1)), OWN(1));
	for (uint64 i = 0; i < n; i++)
		Fill(epoch, HashOf(i), i + 1, this->size, this->if_room);
	StoreGetStats(&stats);
	CheckHeld(this, (double) CountRows(epoch, n) * (this->size + ROW_OVERHEAD),
			  "in the place of others, rows");
	Check(!this->if_room || stats.evictions == 0, "a load evicts nothing");
}
