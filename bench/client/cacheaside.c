/*
 * cacheaside.c
 *	  The load of bench/run's comparisons: clients that read and write rows by
 *	  key, from PostgreSQL (or what speaks its protocol), or cache-aside with
 *	  Redis in front of it.
 *
 * A read is a statement with a key for $1 (or an array of keys, see --batch)
 * whose rows begin with id and version, as two columns or as the text of one.
 * A write is a statement that adds one to the version of key $1 and returns it.
 *
 * Cache-aside, a read asks Redis, and what is not there reads by the
 * statement and puts into Redis.  After a write, --invalidate
 *
 *	delete	deletes the key from Redis, which is what people write.  A reader
 *			that read the row before the commit and puts it after the delete
 *			leaves it there, stale, until the next write.
 *	lease	is what it takes to do without that.  A miss takes a lease, and
 *			only who holds the key's lease may put; a write ends it.  A key
 *			that is being written is marked as such in Redis from before the
 *			commit till after it, and meanwhile is neither found nor put.
 *
 * Stale reads: when a write has been acknowledged, the writer notes "key K has
 * version V" for all threads.  A reader looks at that before it starts, and a
 * read that returns less is stale.  There are two such notes, one made when
 * the commit is acknowledged, one when all of the write is done, invalidation
 * included; stale reads are counted by both.  At the end, when nobody writes
 * any more, every key that was written is read once more the same way: "left"
 * counts what is still stale then.
 *
 * Threads share the options, which do not change once they run, the notes and
 * the counters of hits, which are atomic; all else is a thread's own.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cacheaside.h"

/* a prime, larger than any --keys: spreads the ranks over the keys */
#define SCATTER			2147483647UL

#define SAMPLE_READS	200

Options opts = {
	.connect = "",
	.invalidate = "delete",
	.protocol_name = "prepared",
	.threads = 4,
	.seconds = 1,
	.keys = 1000,
	.batch = 1,
};

/* Zipf's law as YCSB draws it (Gray et al., SIGMOD 1994) */
static double zipf_zeta;
static double zipf_alpha;
static double zipf_eta;

static atomic_bool stop;

void
die(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fputs("cacheaside: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

void
nap(long nanoseconds)
{
	struct timespec t = {nanoseconds / SECOND, nanoseconds % SECOND};

	nanosleep(&t, NULL);
}

void *
allocate(size_t size)
{
	void	   *p = calloc(1, size);

	if (p == NULL)
		die("out of memory");
	return p;
}

/* ------------------------------------------------------------------------
 * Latencies
 * ------------------------------------------------------------------------ */

static int
bucket_of(uint64_t value)
{
	int			shift;

	if (value < (1 << SUB_BITS))
		return (int) value;
	shift = 63 - __builtin_clzll(value) - SUB_BITS;
	return ((shift + 1) << SUB_BITS) + (int) ((value >> shift) - (1 << SUB_BITS));
}

static double
value_of(int bucket)
{
	int			shift = (bucket >> SUB_BITS) - 1;

	if (shift < 0)
		return bucket;
	return ldexp((1 << SUB_BITS) + (bucket & ((1 << SUB_BITS) - 1)) + 0.5, shift);
}

static void
record(Histogram *histogram, int64_t nanoseconds, int times)
{
	histogram->count += times;
	histogram->buckets[bucket_of(nanoseconds)] += times;
}

static void
merge(Histogram *into, const Histogram *from)
{
	into->count += from->count;
	for (int i = 0; i < BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

static double
percentile_us(const Histogram *histogram, double percent)
{
	uint64_t	wanted = (uint64_t) ceil(histogram->count * percent / 100);
	uint64_t	seen = 0;

	for (int i = 0; i < BUCKETS; i++)
	{
		seen += histogram->buckets[i];
		if (seen >= wanted && seen > 0)
			return value_of(i) / 1000;
	}
	return 0;
}

/* ------------------------------------------------------------------------
 * Keys
 * ------------------------------------------------------------------------ */

/* splitmix64 */
static uint64_t
next_random(Worker *worker)
{
	uint64_t	z = (worker->random += 0x9e3779b97f4a7c15UL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	return z ^ (z >> 31);
}

static double
next_fraction(Worker *worker)
{
	return (next_random(worker) >> 11) * 0x1.0p-53;
}

static void
prepare_zipf(void)
{
	double		zeta2 = 1 + pow(0.5, opts.zipf);

	for (long i = 1; i <= opts.keys; i++)
		zipf_zeta += pow(i, -opts.zipf);
	zipf_alpha = 1 / (1 - opts.zipf);
	zipf_eta = (1 - pow(2.0 / opts.keys, 1 - opts.zipf)) / (1 - zeta2 / zipf_zeta);
}

static long
next_key(Worker *worker)
{
	double		u = next_fraction(worker);
	double		uz = u * zipf_zeta;
	uint64_t	rank;

	if (opts.hot > 0)
		rank = (uint64_t) (u * opts.keys * (next_fraction(worker) < 0.9 ? opts.hot / 100 : 1));
	else if (opts.zipf == 0)
		rank = (uint64_t) (u * opts.keys);
	else if (uz < 1)
		rank = 0;
	else if (uz < 1 + pow(0.5, opts.zipf))
		rank = 1;
	else
		rank = (uint64_t) (opts.keys * pow(zipf_eta * u - zipf_eta + 1, zipf_alpha));
	return 1 + (long) (rank * SCATTER % opts.keys);
}

/* ------------------------------------------------------------------------
 * Threads
 * ------------------------------------------------------------------------ */

static void *
fill_keys(void *argument)
{
	Worker	   *worker = argument;

	for (long key = worker->first; key <= worker->last; key++)
		read_keys(worker, &key, 1);
	return NULL;
}

static void *
count_reads(void *argument)
{
	Worker	   *worker = argument;

	for (long i = 1; i <= opts.count; i++)
	{
		int64_t		start = now();

		read_keys(worker, &i, 1);
		record(&worker->reads, now() - start, 1);
	}
	return NULL;
}

static void *
work(void *argument)
{
	Worker	   *worker = argument;
	long	   *keys = allocate(opts.batch * sizeof(long));

	while (!atomic_load_explicit(&stop, memory_order_relaxed))
	{
		bool		writes = opts.writes > 0 && next_fraction(worker) * 100 < opts.writes;
		int64_t		start;

		for (int i = 0; i < (writes ? 1 : opts.batch); i++)
			keys[i] = next_key(worker);
		start = now();
		if (writes)
		{
			write_key(worker, keys[0]);
			record(&worker->writes, now() - start, 1);
		}
		else
		{
			read_keys(worker, keys, opts.batch);
			/* what is pipelined (or one MGET for that) are reads of their own */
			record(&worker->reads, now() - start, opts.protocol == PIPELINE ? opts.batch : 1);
		}
	}
	free(keys);
	return NULL;
}

static void
start_threads(Worker *workers, void *(*what) (void *))
{
	for (int i = 0; i < opts.threads; i++)
	{
		if ((errno = pthread_create(&workers[i].thread, NULL, what, &workers[i])) != 0)
			die("no thread: %s", strerror(errno));
	}
}

static void
join_threads(Worker *workers)
{
	for (int i = 0; i < opts.threads; i++)
		pthread_join(workers[i].thread, NULL);
}

static void
fill_all(Worker *workers)
{
	for (int i = 0; i < opts.threads; i++)
	{
		workers[i].first = 1 + opts.keys * i / opts.threads;
		workers[i].last = opts.keys * (i + 1) / opts.threads;
	}
	start_threads(workers, fill_keys);
	join_threads(workers);
}

/* Every key that was written, once more; returns how many are still stale. */
static uint64_t
count_left(Worker *worker)
{
	uint64_t	before = worker->stale_finished;

	for (long key = 1; key <= opts.keys; key++)
	{
		if (atomic_load(&finished[key]) > 0)
			read_keys(worker, &key, 1);
	}
	return worker->stale_finished - before;
}

/* ------------------------------------------------------------------------
 * Until most lookups are hits
 * ------------------------------------------------------------------------ */

static void
count_hits(Worker *sampler, double *hits, double *lookups)
{
	PGresult   *result;

	if (opts.redis != NULL)
	{
		*lookups = atomic_load(&redis_lookups);
		*hits = atomic_load(&redis_hits);
		return;
	}
	result = checked(sampler, PQexec(sampler->db, opts.hits));
	*hits = atof(PQgetvalue(result, 0, 0));
	*lookups = atof(PQgetvalue(result, 0, 1));
	PQclear(result);
}

/*
 * The share of hits among some reads.  They are one transaction, as the
 * server's counts of buffers are pending until its end.  Reads that are not
 * even looked up in the cache are misses.
 */
static double
sample_hits(Worker *sampler)
{
	double		hits[2];
	double		lookups[2];

	PQclear(checked(sampler, PQexec(sampler->db, "BEGIN")));
	count_hits(sampler, &hits[0], &lookups[0]);
	for (int i = 0; i < SAMPLE_READS; i++)
	{
		long		key = next_key(sampler);

		read_keys(sampler, &key, 1);
	}
	count_hits(sampler, &hits[1], &lookups[1]);
	PQclear(checked(sampler, PQexec(sampler->db, "COMMIT")));
	return (hits[1] - hits[0]) / fmax(lookups[1] - lookups[0], SAMPLE_READS);
}

static void
wait_until_warm(void)
{
	Worker		sampler = {0};
	int64_t		give_up = now() + (int64_t) (opts.seconds * SECOND);
	double		share;
	struct timespec t;

	begin_worker(&sampler, opts.threads + 1);
	do
	{
		share = sample_hits(&sampler);
		clock_gettime(CLOCK_REALTIME, &t);
		printf("sample at %ld.%09ld %.1f %%\n", (long) t.tv_sec, t.tv_nsec, 100 * share);
	} while (share < 0.9 && now() < give_up && (nap(20000000), true));
	printf("warm %d at %ld.%09ld with %.1f %%\n", share >= 0.9, (long) t.tv_sec, t.tv_nsec, 100 * share);
	end_worker(&sampler);
}

/* ------------------------------------------------------------------------
 * The program
 * ------------------------------------------------------------------------ */

typedef enum OptionType
{
	TEXT,
	INTEGER,
	NUMBER,
	FLAG
} OptionType;

static const struct
{
	const char *name;
	OptionType	type;
	void	   *value;
}			known_options[] = {
	{"--connect", TEXT, &opts.connect},
	{"--setup", TEXT, &opts.setup},
	{"--read", TEXT, &opts.read},
	{"--write", TEXT, &opts.write},
	{"--list", TEXT, &opts.list},
	{"--hits", TEXT, &opts.hits},
	{"--redis", TEXT, &opts.redis},
	{"--invalidate", TEXT, &opts.invalidate},
	{"--protocol", TEXT, &opts.protocol_name},
	{"--threads", INTEGER, &opts.threads},
	{"--seconds", NUMBER, &opts.seconds},
	{"--count", INTEGER, &opts.count},
	{"--keys", INTEGER, &opts.keys},
	{"--seed", INTEGER, &opts.seed},
	{"--zipf", NUMBER, &opts.zipf},
	{"--hot", NUMBER, &opts.hot},
	{"--batch", INTEGER, &opts.batch},
	{"--writes", NUMBER, &opts.writes},
	{"--fill", FLAG, &opts.fill},
	{"--until-warm", FLAG, &opts.until_warm},
	{NULL, FLAG, NULL}
};

/* Returns how many arguments that was. */
static int
set_option(const char *name, const char *value)
{
	int			i = 0;

	while (known_options[i].name != NULL && strcmp(known_options[i].name, name) != 0)
		i++;
	if (known_options[i].name == NULL || (value == NULL && known_options[i].type != FLAG))
		die("wrong argument: %s", name);
	switch (known_options[i].type)
	{
		case TEXT:
			*(const char **) known_options[i].value = value;
			break;
		case INTEGER:
			*(long *) known_options[i].value = atol(value);
			break;
		case NUMBER:
			*(double *) known_options[i].value = atof(value);
			break;
		case FLAG:
			*(bool *) known_options[i].value = true;
			return 1;
	}
	return 2;
}

static void
parse_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc;)
		i += set_option(argv[i], argv[i + 1]);
	if (opts.read == NULL || opts.threads < 1 || opts.keys < 1 || opts.batch < 1)
		die("wrong arguments: see the head of bench/client/cacheaside.c");
	opts.lease = strcmp(opts.invalidate, "lease") == 0;
	if (strcmp(opts.protocol_name, "simple") == 0)
		opts.protocol = SIMPLE;
	else if (strcmp(opts.protocol_name, "pipeline") == 0)
		opts.protocol = PIPELINE;
	if (opts.writes > 0)
	{
		if (opts.write == NULL || opts.protocol == PIPELINE)
			die("nothing to write, or in a pipeline");
		committed = allocate((opts.keys + 1) * sizeof(*committed));
		finished = allocate((opts.keys + 1) * sizeof(*finished));
	}
	if (opts.zipf > 0)
		prepare_zipf();
}

static void
print_histogram(const char *what, const Histogram *histogram, double seconds)
{
	printf("%s %.1f /s p50 %.1f p99 %.1f p99.9 %.1f us\n", what, histogram->count / seconds,
		   percentile_us(histogram, 50), percentile_us(histogram, 99), percentile_us(histogram, 99.9));
}

static void
print_results(Worker *workers, double seconds)
{
	static Histogram reads;
	static Histogram writes;
	uint64_t	left = 0;
	uint64_t	rows = 0;
	uint64_t	stale_committed = 0;
	uint64_t	stale_finished = 0;

	for (int i = 0; i < opts.threads; i++)
	{
		merge(&reads, &workers[i].reads);
		merge(&writes, &workers[i].writes);
		rows += workers[i].rows;
		stale_committed += workers[i].stale_committed;
		stale_finished += workers[i].stale_finished;
		/* a key twice in an array is one row; a group is many */
		if (opts.batch == 1 && workers[i].rows < workers[i].rows_expected)
			die("%lu rows for %lu keys", workers[i].rows, workers[i].rows_expected);
	}
	if (committed != NULL && opts.batch == 1)
		left = count_left(&workers[0]);
	printf("seconds %.3f rows %lu\n", seconds, rows);
	printf("operations %.1f /s\n", (reads.count + writes.count) / seconds);
	print_histogram("reads", &reads, seconds);
	print_histogram("writes", &writes, seconds);
	printf("stale committed %lu finished %lu left %lu of %lu\n", stale_committed, stale_finished, left, reads.count);
	printf("redis hits %lu of %lu\n", atomic_load(&redis_hits), atomic_load(&redis_lookups));
}

int
main(int argc, char **argv)
{
	Worker	   *workers;
	int64_t		start;

	parse_arguments(argc, argv);
	workers = allocate(opts.threads * sizeof(Worker));
	for (int i = 0; i < opts.threads; i++)
		begin_worker(&workers[i], i + 1);
	if (opts.fill)
		fill_all(workers);
	start = now();
	start_threads(workers, opts.count > 0 ? count_reads : work);
	if (opts.until_warm)
		wait_until_warm();
	else if (opts.count == 0)
		nap((long) (opts.seconds * SECOND));
	atomic_store(&stop, true);
	join_threads(workers);
	print_results(workers, (now() - start) / (double) SECOND);
	for (int i = 0; i < opts.threads; i++)
		end_worker(&workers[i]);
	free(workers);
	return 0;
}
