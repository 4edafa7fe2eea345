/*-------------------------------------------------------------------------
 *
 * store_test.h
 *	  What the tests of the store have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_TEST_H
#define STORE_TEST_H

#include "settings.h"
#include "store/store_internal.h"

#define MB(n)			((Size) (n) * 1024 * 1024)
#define OWN(n)			(UINT64CONST(1) << 32 | (n))

/* What there is of one test. */
typedef struct Case
{
	void		(*test) (const struct Case *this);
	Size		memory;			/* of the store */
	Size		size;			/* of its rows */
	Size		size_before;	/* of those before them */
	int			aliases;		/* of each */
	bool		if_room;		/* filled as by a load */
	int			max_items;
	int			rounds;
	int			trace;			/* which of TraceCount() */
	int			percent;		/* of its keys that are held */
} Case;

/* Random numbers, of the seed; and a hash, always the same for a number. */
extern uint64 Random(void);
extern uint64 HashOf(uint64 n);

/* A line of TAP. */
extern void Check(bool ok, const char *format,...) pg_attribute_printf(2, 3);

/* Zeroed memory that children share. */
extern void *SharedZeroes(Size size);

/* A store as the case wants it, and the epoch of an owner in it; of another. */
extern uint64 NewStore(const Case *this, uint64 key);
extern uint64 AnotherOwner(uint64 key);

/*
 * A row whose payload is "word" and the numbers after it, under the counter of
 * now; and the first word of a row that is found and whole, marked as used: 0 if
 * there is none, PG_UINT64_MAX if it is of two.
 */
extern StoreResult Fill(uint64 epoch, uint64 hash, uint64 word, Size size,
						bool if_room);
extern StoreContent RowContent(uint64 word, Size size);
extern uint64 Find(uint64 epoch, uint64 hash);

/* The tests. */
extern void TestStrangers(const Case *this);
extern void TestCrowdedBucket(const Case *this);
extern void TestKinds(const Case *this);
extern void TestMemory(const Case *this);
extern void TestAliases(const Case *this);
extern void TestAbsences(const Case *this);
extern void TestExpect(const Case *this);
extern void TestFalseExpectation(const Case *this);
extern void TestChangeOfSize(const Case *this);
extern void TestMaxItems(const Case *this);
extern void TestClear(const Case *this);
extern void TestReload(const Case *this);
extern void TestModel(const Case *this);
extern void TestRace(const Case *this);

extern void TestTrace(const Case *this);
extern int	TraceCount(void);

/* How often a textbook S3-FIFO of so many items misses, of a trace in a file. */
extern uint64 TextbookMisses(uint64 capacity, const char *file);

#endif							/* STORE_TEST_H */
