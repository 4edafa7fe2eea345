/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  Counters: kept per backend, summed when read.
 *
 * Shared memory holds STATS_LINES lines for each process number.  Only the
 * process that has the number writes them; a line takes part in every sum
 * whether its process is there or not, so nothing needs to be done when a
 * backend starts or ends: the next one with that number finds the lines as
 * they are, goes on counting in those of the tables it uses, and gives up the
 * others as it needs them.
 *
 * Giving up a line ("folding") moves its counts to the table's Owner, or to
 * the retired sum below when the table has no owner slot any more (the counts
 * of a slot that changes hands are retired by owner.c).  A reader
 * that adds up lines and owners while that happens could see a count twice or
 * not at all.  So a process counts the foldings it has begun and those it has
 * finished; a reader sums the finished ones, reads everything, sums the begun
 * ones, and starts again if they differ.  After a bounded number of rounds
 * the last one is taken as it is: the numbers are then off by what was on the
 * move in that moment, and right again the next time.
 *
 * Further races are accepted: an owner slot may change hands between finding
 * it and adding to it (the counts then appear under the slot's next table;
 * the cluster-wide sums stay right), and an owner's counters may be read
 * while owner.c retires them.
 *
 * A reset moves the counts of a table to the retired sum, as a folding does, but
 * those of all processes: it writes zeroes into lines that others count in.  One
 * that is about to write its count back does so over our zero; then we look, and
 * do it again.
 *
 * Everything here can be called from any place: nothing allocates, locks or
 * raises errors.  Counts are plain 64-bit words, written by one process and
 * read by others without a lock (written by others, too, when they are reset).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "storage/shmem.h"

#include "store/stats.h"

/* Tables a backend can count for without folding. */
#define STATS_LINES		16

/* How often a count is set to zero that somebody is counting. */
#define STATS_RESET_TRIES	100

/* Rounds in which a reader hopes for no folding meanwhile. */
#define STATS_READ_TRIES	100

/* What one process number has.  All fields: written by that process alone. */
typedef struct ProcessLines
{
	uint64		begun;			/* foldings begun ... */
	uint64		finished;		/* ... and finished; read without a lock */
	uint64		next;			/* line to give up next */
	char		pad[PG_CACHE_LINE_SIZE - 3 * sizeof(uint64)];
	CounterLine lines[STATS_LINES];
} ProcessLines;

typedef struct StatsShared
{
	/* Counts of owners that were gone when a line was folded; atomic adds. */
	pg_atomic_uint64 retired[COUNTER_KINDS];
	char		pad[PG_CACHE_LINE_SIZE - COUNTER_KINDS * sizeof(uint64)];
	ProcessLines processes[FLEXIBLE_ARRAY_MEMBER];
} StatsShared;

static StatsShared *Stats;

/* Where a process without a number counts; seen by nobody. */
static CounterLine NobodysLine;

static void FoldLine(CounterLine *line);
static uint64 TakeCount(volatile uint64 *count);
static uint64 FoldingsBegun(void);
static uint64 FoldingsFinished(void);
static void AddLines(uint64 key, uint64 counts[COUNTER_KINDS]);
static void AddOwner(int number, uint64 counts[COUNTER_KINDS]);

/* Numbers a process can have; those of prepared transactions come after. */
static int
ProcessCount(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

Size
CountersShmemSize(void)
{
	Size		size;

	size = mul_size(ProcessCount(), sizeof(ProcessLines));
	size = add_size(size, offsetof(StatsShared, processes));
	return add_size(size, PG_CACHE_LINE_SIZE);
}

void
CountersShmemInit(void)
{
	bool		found;
	char	   *memory;

	memory = ShmemInitStruct("itemcache counters", CountersShmemSize(), &found);
	Stats = (StatsShared *) CACHELINEALIGN(memory);

	if (!found)
	{
		memset(Stats, 0, CountersShmemSize() - PG_CACHE_LINE_SIZE);
		for (int kind = 0; kind < COUNTER_KINDS; kind++)
			pg_atomic_init_u64(&Stats->retired[kind], 0);
	}
}

/*
 * This backend's line for an owner: the one it has, a free one, or the one
 * whose turn it is to be given up.
 */
CounterLine *
StatsLine(int number, uint64 key)
{
	ProcessLines *mine;
	CounterLine *line = NULL;

	if (Stats == NULL || MyProc == NULL || MyProcNumber >= ProcessCount())
	{
		NobodysLine.owner = key;
		return &NobodysLine;
	}

	mine = &Stats->processes[MyProcNumber];
	for (int i = 0; i < STATS_LINES; i++)
	{
		if (mine->lines[i].owner == key)
			return &mine->lines[i];
		if (mine->lines[i].owner == 0 && line == NULL)
			line = &mine->lines[i];
	}

	if (line == NULL)
		line = &mine->lines[mine->next++ % STATS_LINES];

	mine->begun++;
	pg_write_barrier();
	if (line->owner != 0)
		FoldLine(line);
	line->owner = key;
	pg_write_barrier();
	mine->finished++;

	return line;
}

void
StatsOfOwner(int number, uint64 key, uint64 counts[COUNTER_KINDS])
{
	for (int i = 0; i < STATS_READ_TRIES; i++)
	{
		uint64		finished = FoldingsFinished();

		memset(counts, 0, sizeof(uint64) * COUNTER_KINDS);
		if (number != OWNER_NONE &&
			OwnerKey(number) == key)
			AddOwner(number, counts);
		AddLines(key, counts);

		if (FoldingsBegun() == finished)
			break;
	}
}

void
StatsOfAll(uint64 counts[COUNTER_KINDS])
{
	for (int i = 0; i < STATS_READ_TRIES; i++)
	{
		uint64		finished = FoldingsFinished();

		OwnerRetiredCounts(counts);
		for (int kind = 0; kind < COUNTER_KINDS; kind++)
			counts[kind] += pg_atomic_read_u64(&Stats->retired[kind]);
		for (int number = 0; number < OwnerCount(); number++)
			AddOwner(number, counts);
		AddLines(0, counts);

		if (FoldingsBegun() == finished)
			break;
	}
}

void
StatsReset(int number, uint64 key)
{
	ProcessLines *mine = &Stats->processes[MyProcNumber];
	Owner	   *owner;

	mine->begun++;
	pg_write_barrier();
	for (int i = 0; i < ProcessCount(); i++)
	{
		for (int j = 0; j < STATS_LINES; j++)
		{
			CounterLine *line = &Stats->processes[i].lines[j];

			for (int kind = 0; line->owner == key && kind < COUNTER_KINDS; kind++)
				pg_atomic_fetch_add_u64(&Stats->retired[kind],
										TakeCount(&line->counts[kind]));
		}
	}
	if (number != OWNER_NONE && OwnerKey(number) == key)
	{
		owner = OwnerSlot(number);
		for (int kind = 0; kind < COUNTER_KINDS; kind++)
			pg_atomic_fetch_add_u64(&Stats->retired[kind],
									pg_atomic_exchange_u64(&owner->counters[kind], 0));
		pg_atomic_write_u64(&owner->evictions, 0);
	}
	pg_write_barrier();
	mine->finished++;
}

/*
 * Set to zero a count that another process may be raising by reading, adding and
 * writing, and return what it was.
 */
static uint64
TakeCount(volatile uint64 *count)
{
	uint64		taken = *count;

	for (int i = 0; i < STATS_RESET_TRIES && *count >= taken && taken > 0; i++)
	{
		*count = 0;
		pg_memory_barrier();
	}
	return taken;
}

/* Move a line's counts to where they are kept for good. */
static void
FoldLine(CounterLine *line)
{
	int			number = OwnerFind(line->owner);
	pg_atomic_uint64 *counters;

	counters = number == OWNER_NONE ? Stats->retired :
		OwnerSlot(number)->counters;
	for (int kind = 0; kind < COUNTER_KINDS; kind++)
	{
		if (line->counts[kind] != 0)
			pg_atomic_fetch_add_u64(&counters[kind], line->counts[kind]);
		line->counts[kind] = 0;
	}
}

/* Foldings that were finished when we began to read. */
static uint64
FoldingsFinished(void)
{
	uint64		sum = 0;

	for (int i = 0; i < ProcessCount(); i++)
		sum += *(volatile uint64 *) &Stats->processes[i].finished;
	pg_read_barrier();
	return sum;
}

/* Foldings that were begun before we had read everything. */
static uint64
FoldingsBegun(void)
{
	uint64		sum = 0;

	pg_read_barrier();
	for (int i = 0; i < ProcessCount(); i++)
		sum += *(volatile uint64 *) &Stats->processes[i].begun;
	return sum;
}

/* Add the lines of an owner, or all lines if "key" is 0. */
static void
AddLines(uint64 key, uint64 counts[COUNTER_KINDS])
{
	for (int i = 0; i < ProcessCount(); i++)
	{
		for (int j = 0; j < STATS_LINES; j++)
		{
			volatile CounterLine *line = &Stats->processes[i].lines[j];

			if (line->owner == 0 || (key != 0 && line->owner != key))
				continue;
			for (int kind = 0; kind < COUNTER_KINDS; kind++)
				counts[kind] += line->counts[kind];
		}
	}
}

/* Add what was folded into an owner slot. */
static void
AddOwner(int number, uint64 counts[COUNTER_KINDS])
{
	Owner	   *owner = OwnerSlot(number);

	for (int kind = 0; kind < COUNTER_KINDS; kind++)
		counts[kind] += pg_atomic_read_u64(&owner->counters[kind]);
}
