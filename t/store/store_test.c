/*-------------------------------------------------------------------------
 *
 * store_test.c
 *	  The store by itself: what no SQL statement can arrange.
 *
 * Says what the TAP protocol has a test say.  Takes a seed, of which all random
 * numbers are made; and, to replay traces only, how many bytes a row has, and so
 * many megabytes for the store, each of which is tried.  Each test has a store of
 * its own, in a process of its own: how many partitions there are is decided once.
 *
 * "textbook CAPACITY FILE" instead says how often a textbook S3-FIFO misses.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/shmem.h"
#include "store_test.h"

/* Shared by the processes. */
typedef struct Score
{
	int			ntests;
	bool		all_ok;
} Score;

static const Case cases[] = {
	{TestStrangers, .memory = MB(8)},
	{TestCrowdedBucket, .memory = MB(4)},
	{TestKinds, .memory = MB(8)},
	{TestMemory, .memory = MB(128), .size = 80, .if_room = true},
	{TestMemory, .memory = MB(16), .size = 80, .if_room = true},
	{TestMemory, .memory = MB(16), .size = 80},
	{TestMemory, .memory = MB(2), .size = 80},
	{TestMemory, .memory = MB(16), .size = 304, .if_room = true},
	{TestMemory, .memory = MB(16), .size = 304},
	{TestMemory, .memory = MB(16), .size = 4000},
	{TestMemory, .memory = MB(512), .size = 2000, .if_room = true},
	{TestAliases, .memory = MB(16), .size = 104, .aliases = 2},
	{TestAliases, .memory = MB(16), .size = 304, .aliases = 2},
	{TestAbsences, .memory = MB(16), .size = 32},
	{TestExpect, .memory = MB(16), .size = 80},
	{TestExpect, .memory = MB(128), .size = 304},
	{TestFalseExpectation, .memory = MB(16), .size = 304},
	{TestFalseExpectation, .memory = MB(128), .size = 2000},
	{TestChangeOfSize, .memory = MB(16), .size_before = 2000, .size = 80},
	{TestChangeOfSize, .memory = MB(16), .size_before = 304, .size = 24},
	{TestChangeOfSize, .memory = MB(16), .size_before = 80, .size = 8},
	{TestMaxItems, .memory = MB(16), .max_items = 10000},
	{TestMaxItems, .memory = MB(2), .max_items = 100},
	{TestClear, .memory = MB(8), .size = 80},
	{TestReload, .memory = MB(16), .size_before = 304, .size = 80},
	{TestReload, .memory = MB(16), .size_before = 304, .size = 80, .if_room = true},
	{TestModel, .memory = 0, .rounds = 200000},
	{TestModel, .memory = MB(1), .rounds = 200000},
	{TestModel, .memory = MB(1), .max_items = 500, .rounds = 100000},
	{TestModel, .memory = MB(4), .rounds = 500000},
	{TestModel, .memory = MB(512), .rounds = 200000},
	{TestRace, .memory = MB(4), .rounds = 500000},
	{TestRace, .memory = MB(16), .rounds = 500000}
};

static uint64 random_state;
static Score *score;

static void RunTraces(Size memory, Size size);
static bool RunCase(const Case *this);

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "textbook") == 0)
	{
		printf(UINT64_FORMAT "\n", TextbookMisses(strtoull(argv[2], NULL, 10), argv[3]));
		return 0;
	}

	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	printf("# seed %llu\n", (unsigned long long) random_state);
	fflush(stdout);
	random_state = HashOf(random_state) | 1;
	score = SharedZeroes(sizeof(Score));
	score->all_ok = true;

	for (int i = 0; i < lengthof(cases) && argc <= 2; i++)
	{
		if (!RunCase(&cases[i]))
			Check(false, "case %d came to its end", i);
	}
	for (int i = 3; i < argc; i++)
		RunTraces(MB(atoi(argv[i])), atoi(argv[2]));
	if (argc <= 2)
	{
		RunTraces(MB(8), 2000);
		RunTraces(MB(64), 2000);
	}
	printf("1..%d\n", score->ntests);
	return score->all_ok ? 0 : 1;
}

static void
RunTraces(Size memory, Size size)
{
	for (int i = 0; i < 2 * TraceCount(); i++)
	{
		Case		this = {
			TestTrace,
			.memory = memory,
			.size = size,
			.trace = i / 2,
			.percent = i % 2 == 0 ? 10 : 20
		};

		if (!RunCase(&this))
			Check(false, "trace %d came to its end", i);
	}
}

/* True if it ended as it should. */
static bool
RunCase(const Case *this)
{
	int			status;

	Random();
	if (fork() == 0)
	{
		this->test(this);
		_exit(0);
	}
	return wait(&status) > 0 && status == 0;
}

uint64
Random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64CONST(2685821657736338717);
}

uint64
HashOf(uint64 n)
{
	n = (n + 1) * UINT64CONST(0x9E3779B97F4A7C15);
	n = (n ^ (n >> 32)) * UINT64CONST(0xD6E8FEB86659FD93);
	return n ^ (n >> 32);
}

void
Check(bool ok, const char *format,...)
{
	va_list		args;

	printf("%sok %d - ", ok ? "" : "not ", ++score->ntests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	score->all_ok &= ok;
}

void *
SharedZeroes(Size size)
{
	bool		found;

	return ShmemInitStruct("test", size, &found);
}

uint64
NewStore(const Case *this, uint64 key)
{
	itemcache_max_items = this->max_items;
	OwnerShmemInit(this->memory);
	StoreShmemInit(this->memory, OwnerShmemSize(this->memory));
	return AnotherOwner(key);
}

uint64
AnotherOwner(uint64 key)
{
	return OwnerEpoch(OwnerMake(key, false), key);
}

/* Good until the next but one. */
StoreContent
RowContent(uint64 word, Size size)
{
	static uint64 payloads[2][8192];
	static int	next = 0;
	uint64	   *payload = payloads[next++ % 2];
	StoreContent content = {
		.kind = STORE_ROW,
		.xid = 3,
		.payload = payload,
		.size = size
	};

	for (Size i = 0; i < size / sizeof(uint64); i++)
		payload[i] = word + i;
	return content;
}

StoreResult
Fill(uint64 epoch, uint64 hash, uint64 word, Size size, bool if_room)
{
	StoreContent content = RowContent(word, size);

	return StoreFill(hash, epoch, &content, StoreReadCounter(hash), if_room);
}

uint64
Find(uint64 epoch, uint64 hash)
{
	StoreItem	item;
	uint64		copy[8192];

	if (!StoreFind(hash, epoch, STORE_ROW, 0, NULL, &item))
		return 0;
	if (!StoreCopy(&item, copy, item.size))
		return 0;
	for (Size i = 0; i < item.size / sizeof(uint64); i++)
	{
		if (copy[i] != copy[0] + i)
			return PG_UINT64_MAX;
	}
	StoreTouch(&item);
	StoreSetCommitted(&item);
	return copy[0];
}
