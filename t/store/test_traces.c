/*-------------------------------------------------------------------------
 *
 * test_traces.c
 *	  Misses of traces, against those of a textbook S3-FIFO.
 *
 * The textbook's ("FIFO queues are all you need for cache eviction", Yang et al.,
 * SOSP 2023, algorithm 1) is one cache of as many items as the store has in the
 * end, all of one size, which knows each key that it has evicted.  The store has
 * partitions, fingerprints, and fills only what pays.
 *
 *		small	a tenth of the capacity: newcomers
 *		main	the rest: what was used more than once in small, and what comes
 *				back while ghost remembers it
 *		ghost	keys only, as many as main has room for
 *
 * An item counts its uses since it entered its queue, up to three.  Until something
 * has been evicted for the first time, newcomers go to main once small has its size,
 * as in the authors' own implementation (libCacheSim).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "store/admission.h"
#include "store_test.h"

/* A request is for a key, from 1 on. */
typedef struct Trace
{
	const char *name;
	uint32		(*request) (const struct Trace *trace, uint64 n);
	double		skew;			/* of its Zipf's law */
	uint64		nkeys;			/* scans have others, each once */
	uint64		held;			/* about how many are held */
	double		range;			/* for Zipf's law: see DrawKey() */
} Trace;

/* A queue of keys, and how many of these are in it. */
typedef struct Queue
{
	uint32	   *keys;
	uint64		from;
	uint64		to;
	uint64		size;
	uint64		nkeys;
} Queue;

typedef enum Place
{
	NOWHERE,
	SMALL,
	MAIN
} Place;

typedef struct Textbook
{
	uint64		capacity;
	uint64		small_size;
	bool		evicted;
	uint8	   *places;			/* of each key */
	uint8	   *uses;
	uint64	   *ghosts;			/* its number in the ghost queue, from 1 on */
	Queue		small;
	Queue		main;
	Queue		ghost;
} Textbook;

static uint32 RequestZipf(const Trace *trace, uint64 n);
static uint32 RequestScans(const Trace *trace, uint64 n);
static uint32 RequestLongScans(const Trace *trace, uint64 n);
static uint32 RequestReturningScans(const Trace *trace, uint64 n);
static uint32 RequestShifting(const Trace *trace, uint64 n);
static uint32 RequestLoop(const Trace *trace, uint64 n);
static uint32 RequestLoopAndZipf(const Trace *trace, uint64 n);
static uint64 ReplayInStore(const Case *this, const uint32 *requests, uint64 n);
static uint64 ReplayInTextbook(uint64 capacity, uint64 nkeys,
							   const uint32 *requests, uint64 n);

static const Trace traces[] = {
	{.name = "Zipf 0.7", .request = RequestZipf, .skew = 0.7},
	{.name = "Zipf 0.9", .request = RequestZipf, .skew = 0.9},
	{.name = "Zipf 1.1", .request = RequestZipf, .skew = 1.1},
	{.name = "Zipf and scans", .request = RequestScans, .skew = 0.9},
	{.name = "Zipf and long scans", .request = RequestLongScans, .skew = 0.9},
	{.name = "Zipf and long scans that return", .request = RequestReturningScans, .skew = 0.9},
	{.name = "a hot set that shifts", .request = RequestShifting, .skew = 0.9},
	{.name = "a loop that does not fit", .request = RequestLoop, .skew = 0.9},
	{.name = "a loop that fits, and Zipf", .request = RequestLoopAndZipf, .skew = 0.9}
};

/* Requests for each item that is held. */
#define REQUESTS_PER_ITEM	20

void
TestTrace(const Case *this)
{
	uint64		held = this->memory * 0.96 / (this->size + 40);
	uint64		n = held * REQUESTS_PER_ITEM;
	uint32	   *requests = malloc(n * sizeof(uint32));
	Trace		trace = traces[this->trace];
	StoreStats	stats;
	uint64		misses;
	uint64		textbook;

	trace.held = held;
	trace.nkeys = held * 100 / this->percent;
	trace.range = pow(trace.nkeys, 1 - trace.skew) - 1;
	for (uint64 i = 0; i < n; i++)
		requests[i] = trace.request(&trace, i);

	misses = ReplayInStore(this, requests, n);
	StoreGetStats(&stats);
	textbook = ReplayInTextbook(stats.items, trace.nkeys + n, requests, n);
	Check(misses <= 1.01 * textbook,
		  "%d partitions, %d items, %d %% of the keys, %s: %d misses, S3-FIFO's %d (%.4f)",
		  stats.partitions, (int) stats.items, this->percent, trace.name,
		  (int) misses, (int) textbook, (double) misses / textbook);
	free(requests);
}

/* The keys are the numbers of the file, one on each line. */
uint64
TextbookMisses(uint64 capacity, const char *file)
{
	FILE	   *stream = fopen(file, "r");
	uint64		size = 1024;
	uint32	   *requests = malloc(size * sizeof(uint32));
	uint64		n = 0;
	uint32		max = 0;

	if (stream == NULL)
	{
		perror(file);
		exit(1);
	}
	while (fscanf(stream, "%u", &requests[n]) == 1)
	{
		max = Max(max, requests[n]);
		if (++n == size)
			requests = realloc(requests, (size *= 2) * sizeof(uint32));
	}
	fclose(stream);
	return ReplayInTextbook(capacity, max, requests, n);
}

int
TraceCount(void)
{
	return lengthof(traces);
}

/*
 * The traces
 */

/* A key by Zipf's law. */
static uint32
DrawKey(const Trace *trace)
{
	double		random = (Random() >> 11) * (1.0 / (UINT64CONST(1) << 53));

	return pow(trace->range * random + 1, 1 / (1 - trace->skew));
}

static uint32
RequestZipf(const Trace *trace, uint64 n)
{
	return DrawKey(trace);
}

/* One in ten is of a scan, each a tenth as long as what is held. */
static uint32
RequestScans(const Trace *trace, uint64 n)
{
	uint64		round = n / trace->held;
	uint64		i = n % trace->held;
	uint64		length = trace->held / 10;

	if (i >= length)
		return DrawKey(trace);
	return trace->nkeys + round * length + i + 1;
}

/* One in two is, each twice as long. */
static uint32
RequestLongScans(const Trace *trace, uint64 n)
{
	uint64		length = 2 * trace->held;
	uint64		round = n / (2 * length);
	uint64		i = n % (2 * length);

	if (i >= length)
		return DrawKey(trace);
	return trace->nkeys + round * length + i + 1;
}

/* The same, but of the same keys each time. */
static uint32
RequestReturningScans(const Trace *trace, uint64 n)
{
	uint64		length = 2 * trace->held;
	uint64		i = n % (2 * length);

	if (i >= length)
		return DrawKey(trace);
	return trace->nkeys + i + 1;
}

/* Which keys are wanted most changes a little with each half of what is held. */
static uint32
RequestShifting(const Trace *trace, uint64 n)
{
	uint64		shift = n / (trace->held / 2) * (trace->held / 20);

	return 1 + (DrawKey(trace) + shift) % trace->nkeys;
}

static uint32
RequestLoop(const Trace *trace, uint64 n)
{
	return 1 + n % (trace->held * 3 / 2);
}

static uint32
RequestLoopAndZipf(const Trace *trace, uint64 n)
{
	uint64		i = n / 2000 * 1000 + n % 1000;

	if (n / 1000 % 2 == 0)
		return 1 + i % (trace->held / 2);
	return DrawKey(trace);
}

/*
 * The store, as a lookup uses it
 */

static uint64
ReplayInStore(const Case *this, const uint32 *requests, uint64 n)
{
	uint64		epoch = NewStore(this, OWN(1));
	uint64		misses = 0;

	for (uint64 i = 0; i < n; i++)
	{
		uint64		hash = HashOf(requests[i]);
		StoreItem	item;

		if (StoreFind(hash, epoch, STORE_ROW, 0, NULL, &item))
		{
			StoreTouch(&item);
			continue;
		}
		misses++;
		if (AdmitNewcomer(hash, epoch, 0))
			Fill(epoch, hash, requests[i], this->size, false);
	}
	return misses;
}

/*
 * The textbook's
 */

static Queue
MakeQueue(uint64 size)
{
	Queue		queue = {.size = size};

	queue.keys = malloc(size * sizeof(uint32));
	return queue;
}

static void
Push(Queue *queue, uint32 key)
{
	queue->keys[queue->to++ % queue->size] = key;
	queue->nkeys++;
}

static uint32
Pop(Queue *queue)
{
	queue->nkeys--;
	return queue->keys[queue->from++ % queue->size];
}

/* A key that was asked for again has left the ghost queue, but not its place. */
static void
Remember(Textbook *book, uint32 key)
{
	Queue	   *ghost = &book->ghost;

	Push(ghost, key);
	book->ghosts[key] = ghost->to;
	while (ghost->nkeys > book->capacity - book->small_size)
	{
		uint32		old = ghost->keys[ghost->from++ % ghost->size];

		if (book->ghosts[old] != ghost->from)
			continue;
		book->ghosts[old] = 0;
		ghost->nkeys--;
	}
}

static void
EvictMain(Textbook *book)
{
	while (book->main.nkeys > 0)
	{
		uint32		key = Pop(&book->main);

		if (book->uses[key] == 0)
		{
			book->places[key] = NOWHERE;
			return;
		}
		book->uses[key]--;
		Push(&book->main, key);
	}
}

static void
EvictSmall(Textbook *book)
{
	while (book->small.nkeys > 0)
	{
		uint32		key = Pop(&book->small);

		if (book->uses[key] <= 1)
		{
			book->places[key] = NOWHERE;
			Remember(book, key);
			return;
		}
		if (book->main.nkeys >= book->capacity - book->small_size)
			EvictMain(book);
		Push(&book->main, key);
		book->places[key] = MAIN;
		book->uses[key] = 0;
	}
}

static void
Insert(Textbook *book, uint32 key)
{
	bool		to_main = book->ghosts[key] != 0;

	while (book->small.nkeys + book->main.nkeys >= book->capacity)
	{
		book->evicted = true;
		if (book->small.nkeys >= book->small_size)
			EvictSmall(book);
		else
			EvictMain(book);
	}
	if (book->ghosts[key] != 0)
	{
		book->ghosts[key] = 0;
		book->ghost.nkeys--;
	}
	/* what is not full yet is not full of newcomers */
	if (!book->evicted && book->small.nkeys >= book->small_size)
		to_main = true;
	Push(to_main ? &book->main : &book->small, key);
	book->places[key] = to_main ? MAIN : SMALL;
	book->uses[key] = 0;
}

static uint64
ReplayInTextbook(uint64 capacity, uint64 nkeys, const uint32 *requests, uint64 n)
{
	Textbook	book = {
		.capacity = capacity,
		.small_size = Max(capacity / 10, 1),
		.places = SharedZeroes(nkeys + 2),
		.uses = SharedZeroes(nkeys + 2),
		.ghosts = SharedZeroes((nkeys + 2) * sizeof(uint64)),
		.small = MakeQueue(capacity + 1),
		.main = MakeQueue(capacity + 1),
		/* each request puts in one at most */
		.ghost = MakeQueue(n + 1)
	};
	uint64		misses = 0;

	for (uint64 i = 0; i < n; i++)
	{
		uint32		key = requests[i];

		if (book.places[key] != NOWHERE)
		{
			book.uses[key] = Min(book.uses[key] + 1, 3);
			continue;
		}
		misses++;
		Insert(&book, key);
	}
	return misses;
}
