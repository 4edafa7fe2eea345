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
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>
#include <libpq-fe.h>

/* latencies: 64 buckets for each power of two of nanoseconds */
#define SUB_BITS		6
#define BUCKETS			(64 << SUB_BITS)

/* a prime, larger than any --keys: spreads the ranks over the keys */
#define SCATTER			2147483647UL

#define SAMPLE_READS	200
#define SECOND			1000000000L

typedef enum Protocol
{
	PREPARED,
	SIMPLE,
	PIPELINE
} Protocol;

typedef struct Options
{
	const char *connect;
	const char *setup;			/* run in every session first */
	const char *read;
	const char *write;
	const char *list;			/* the keys of group $1, to be read together */
	const char *hits;			/* hits and lookups so far, see sample_hits() */
	const char *redis;			/* socket */
	bool		lease;
	Protocol	protocol;
	int			threads;
	double		seconds;
	long		count;			/* reads of keys 1, 2, ... and nothing else */
	long		keys;
	double		zipf;			/* 0: uniform */
	double		hot;			/* percent of the keys that 90 % of the reads want */
	int			batch;
	double		writes;			/* percent */
	bool		fill;			/* read every key once first */
	bool		until_warm;		/* until 90 % of lookups are hits */
} Options;

typedef struct Histogram
{
	uint64_t	count;
	uint64_t	buckets[BUCKETS];
} Histogram;

typedef struct Worker
{
	pthread_t	thread;
	int			number;
	uint64_t	random;
	PGconn	   *db;
	redisContext *redis;
	Histogram	reads;
	Histogram	writes;
	long		first;			/* keys that fill_all() reads */
	long		last;
	uint64_t	rows;
	uint64_t	rows_expected;
	uint64_t	stale_committed;
	uint64_t	stale_finished;
	int64_t    *floor_committed;	/* by key: what a read must return */
	int64_t    *floor_finished;
	char	   *text;			/* of statements and arrays */
	size_t		text_size;
} Worker;

/* in Redis: a key's lease is at "l:" key, its mark at "w:" key */
static const char *const take_lease =
"if redis.call('EXISTS', 'w:' .. KEYS[1]) == 1 then return 0 end "
"local lease = redis.call('INCR', 'leases') "
"redis.call('SET', 'l:' .. KEYS[1], lease, 'EX', 60) return lease";
static const char *const put_leased =
"if redis.call('GET', 'l:' .. KEYS[1]) ~= ARGV[1] then return 0 end "
"redis.call('DEL', 'l:' .. KEYS[1]) "
"redis.call('SET', KEYS[1], ARGV[2]) return 1";
static const char *const begin_write =
"redis.call('DEL', KEYS[1], 'l:' .. KEYS[1]) "
"redis.call('INCR', 'w:' .. KEYS[1]) "
"redis.call('EXPIRE', 'w:' .. KEYS[1], 60) return 1";
static const char *const end_write =
"if redis.call('DECR', 'w:' .. KEYS[1]) <= 0 then redis.call('DEL', 'w:' .. KEYS[1]) end return 1";

static Options opts = {
	.connect = "",
	.threads = 4,
	.seconds = 1,
	.keys = 1000,
	.batch = 1,
};

/* Zipf's law as YCSB draws it (Gray et al., SIGMOD 1994) */
static double zipf_zeta;
static double zipf_alpha;
static double zipf_eta;

static _Atomic int64_t *committed;	/* by key; 0: nobody wrote it */
static _Atomic int64_t *finished;
static atomic_ulong redis_hits;
static atomic_ulong redis_lookups;
static atomic_bool stop;

static void
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

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void
nap(long nanoseconds)
{
	struct timespec t = {nanoseconds / SECOND, nanoseconds % SECOND};

	nanosleep(&t, NULL);
}

static void *
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
 * PostgreSQL
 * ------------------------------------------------------------------------ */

static PGresult *
checked(Worker *worker, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_PIPELINE_SYNC)
		die("%s", PQerrorMessage(worker->db));
	return result;
}

static void
prepare(Worker *worker, const char *name, const char *statement)
{
	if (statement != NULL && opts.protocol != SIMPLE)
		PQclear(checked(worker, PQprepare(worker->db, name, statement, 0, NULL)));
}

/* The server may be starting: half a minute of tries. */
static void
connect_db(Worker *worker)
{
	for (int64_t give_up = now() + 30 * SECOND;;)
	{
		worker->db = PQconnectdb(opts.connect);
		if (PQstatus(worker->db) == CONNECTION_OK)
			break;
		if (now() > give_up)
			die("%s", PQerrorMessage(worker->db));
		PQfinish(worker->db);
		nap(5000000);
	}
	if (opts.setup != NULL)
		PQclear(checked(worker, PQexec(worker->db, opts.setup)));
	prepare(worker, "read", opts.read);
	prepare(worker, "write", opts.write);
	prepare(worker, "list", opts.list);
}

static char *
text_buffer(Worker *worker, size_t size)
{
	if (worker->text_size < size)
	{
		free(worker->text);
		worker->text = allocate(size);
		worker->text_size = size;
	}
	return worker->text;
}

/* A statement with its one parameter, by the protocol asked for. */
static PGresult *
execute(Worker *worker, const char *name, const char *statement, const char *parameter)
{
	const char *dollar = strstr(statement, "$1");
	size_t		size = strlen(statement) + strlen(parameter) + 3;
	char	   *text;
	PGresult   *result;

	if (opts.protocol != SIMPLE)
		return checked(worker, PQexecPrepared(worker->db, name, 1, &parameter, NULL, NULL, 0));
	text = allocate(size);
	snprintf(text, size, "%.*s'%s'%s", (int) (dollar - statement), statement, parameter, dollar + 2);
	result = checked(worker, PQexec(worker->db, text));
	free(text);
	return result;
}

/* A key, or an array of keys; valid until the next. */
static const char *
key_parameter(Worker *worker, const long *keys, int n)
{
	char	   *text = text_buffer(worker, 22 * (size_t) n + 3);
	char	   *p = text;

	if (opts.batch == 1 && opts.list == NULL)
		sprintf(p, "%ld", keys[0]);
	else
	{
		for (int i = 0; i < n; i++)
			p += sprintf(p, "%c%ld", i == 0 ? '{' : ',', keys[i]);
		strcpy(p, "}");
	}
	return text;
}

/* ------------------------------------------------------------------------
 * Stale reads
 * ------------------------------------------------------------------------ */

static void
note_version(_Atomic int64_t *notes, long key, int64_t version)
{
	int64_t		old = atomic_load(&notes[key]);

	while (old < version && !atomic_compare_exchange_weak(&notes[key], &old, version))
		;
}

static void
note_floors(Worker *worker, const long *keys, int n)
{
	if (committed == NULL)
		return;
	for (int i = 0; i < n; i++)
	{
		worker->floor_committed[keys[i]] = atomic_load(&committed[keys[i]]);
		worker->floor_finished[keys[i]] = atomic_load(&finished[keys[i]]);
	}
}

static void
check_row(Worker *worker, long key, int64_t version)
{
	worker->rows++;
	if (committed == NULL)
		return;
	if (key < 1 || key > opts.keys)
		die("a row of key %ld", key);
	if (version < worker->floor_committed[key])
		worker->stale_committed++;
	if (version < worker->floor_finished[key])
		worker->stale_finished++;
}

static void
check_text(Worker *worker, const char *text)
{
	char	   *rest;
	long		key = strtol(text, &rest, 10);

	check_row(worker, key, strtoll(rest, NULL, 10));
}

static void
check_result(Worker *worker, PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (PQnfields(result) == 1)
			check_text(worker, PQgetvalue(result, i, 0));
		else
			check_row(worker, atol(PQgetvalue(result, i, 0)), atoll(PQgetvalue(result, i, 1)));
	}
}

/* ------------------------------------------------------------------------
 * Redis
 * ------------------------------------------------------------------------ */

static redisReply *
checked_reply(Worker *worker, void *reply)
{
	if (reply == NULL || ((redisReply *) reply)->type == REDIS_REPLY_ERROR)
		die("redis: %s", reply == NULL ? worker->redis->errstr : ((redisReply *) reply)->str);
	return reply;
}

static redisReply *
next_reply(Worker *worker)
{
	void	   *reply;

	if (redisGetReply(worker->redis, &reply) != REDIS_OK)
		die("redis: %s", worker->redis->errstr);
	return checked_reply(worker, reply);
}

static void
connect_redis(Worker *worker)
{
	for (int64_t give_up = now() + 30 * SECOND;;)
	{
		worker->redis = redisConnectUnix(opts.redis);
		if (worker->redis != NULL && worker->redis->err == 0)
			return;
		if (now() > give_up)
			die("redis: %s", worker->redis == NULL ? "out of memory" : worker->redis->errstr);
		if (worker->redis != NULL)
			redisFree(worker->redis);
		nap(5000000);
	}
}

/* A row as Redis keeps it: its columns with a blank between. */
static char *
row_text(PGresult *result, int row)
{
	size_t		size = 0;
	char	   *text;
	char	   *p;

	for (int i = 0; i < PQnfields(result); i++)
		size += PQgetlength(result, row, i) + 1;
	p = text = allocate(size);
	for (int i = 0; i < PQnfields(result); i++)
		p += sprintf(p, "%s%s", i > 0 ? " " : "", PQgetvalue(result, row, i));
	return text;
}

/* Leases for these keys; 0 where there is none to be had. */
static long *
take_leases(Worker *worker, const long *keys, int n)
{
	long	   *leases = allocate(n * sizeof(long));

	for (int i = 0; i < n; i++)
		redisAppendCommand(worker->redis, "EVAL %s 1 %ld", take_lease, keys[i]);
	for (int i = 0; i < n; i++)
	{
		redisReply *reply = next_reply(worker);

		leases[i] = (long) reply->integer;
		freeReplyObject(reply);
	}
	return leases;
}

static long
lease_of(const long *keys, const long *leases, int n, long key)
{
	for (int i = 0; i < n; i++)
	{
		if (keys[i] == key)
			return leases[i];
	}
	return 0;
}

/* Reads what Redis did not have, and puts it there. */
static void
read_missing(Worker *worker, const long *keys, int n)
{
	long	   *leases = opts.lease ? take_leases(worker, keys, n) : NULL;
	PGresult   *result = execute(worker, "read", opts.read, key_parameter(worker, keys, n));
	int			commands = 0;

	check_result(worker, result);
	for (int i = 0; i < PQntuples(result); i++)
	{
		long		key = atol(PQgetvalue(result, i, 0));
		long		lease = opts.lease ? lease_of(keys, leases, n, key) : 1;
		char	   *text;

		if (lease == 0)
			continue;
		text = row_text(result, i);
		if (opts.lease)
			redisAppendCommand(worker->redis, "EVAL %s 1 %ld %ld %s", put_leased, key, lease, text);
		else
			redisAppendCommand(worker->redis, "SET %ld %s", key, text);
		free(text);
		commands++;
	}
	while (commands-- > 0)
		freeReplyObject(next_reply(worker));
	PQclear(result);
	free(leases);
}

static redisReply *
get_from_redis(Worker *worker, const long *keys, int n)
{
	const char **args;
	char	  (*texts)[22];
	redisReply *reply;

	args = allocate((n + 1) * sizeof(char *));
	texts = allocate(n * sizeof(*texts));
	args[0] = "MGET";
	for (int i = 0; i < n; i++)
	{
		sprintf(texts[i], "%ld", keys[i]);
		args[i + 1] = texts[i];
	}
	reply = checked_reply(worker, redisCommandArgv(worker->redis, n + 1, args, NULL));
	free(texts);
	free(args);
	return reply;
}

static void
read_redis(Worker *worker, const long *keys, int n)
{
	redisReply *reply = get_from_redis(worker, keys, n);
	long	   *missing = allocate(n * sizeof(long));
	int			n_missing = 0;

	for (int i = 0; i < n; i++)
	{
		if (reply->element[i]->type == REDIS_REPLY_STRING)
			check_text(worker, reply->element[i]->str);
		else
			missing[n_missing++] = keys[i];
	}
	freeReplyObject(reply);
	atomic_fetch_add(&redis_lookups, n);
	atomic_fetch_add(&redis_hits, n - n_missing);
	if (n_missing > 0)
		read_missing(worker, missing, n_missing);
	free(missing);
}

/* ------------------------------------------------------------------------
 * One read, one write
 * ------------------------------------------------------------------------ */

/* All keys in flight before the first answer is looked at. */
static void
read_pipelined(Worker *worker, const long *keys, int n)
{
	for (int i = 0; i < n; i++)
	{
		char		text[22];
		const char *parameter = text;

		sprintf(text, "%ld", keys[i]);
		if (!PQsendQueryPrepared(worker->db, "read", 1, &parameter, NULL, NULL, 0))
			die("%s", PQerrorMessage(worker->db));
	}
	if (!PQpipelineSync(worker->db))
		die("%s", PQerrorMessage(worker->db));
	for (int i = 0; i < n; i++)
	{
		PGresult   *result = checked(worker, PQgetResult(worker->db));

		check_result(worker, result);
		PQclear(result);
		PQclear(PQgetResult(worker->db));	/* the NULL that ends a query */
	}
	PQclear(checked(worker, PQgetResult(worker->db)));
}

/* The keys of a group, which Redis is then asked for. */
static void
read_group(Worker *worker, long group)
{
	char		text[22];
	PGresult   *result;
	int			n;
	long	   *keys;

	sprintf(text, "%ld", group);
	result = execute(worker, "list", opts.list, text);
	n = PQntuples(result);
	keys = allocate(n * sizeof(long));
	for (int i = 0; i < n; i++)
		keys[i] = atol(PQgetvalue(result, i, 0));
	PQclear(result);
	read_redis(worker, keys, n);
	free(keys);
}

static void
read_keys(Worker *worker, const long *keys, int n)
{
	note_floors(worker, keys, n);
	worker->rows_expected += n;
	if (opts.list != NULL)
		read_group(worker, keys[0]);
	else if (opts.redis != NULL)
		read_redis(worker, keys, n);
	else if (opts.protocol == PIPELINE)
		read_pipelined(worker, keys, n);
	else
	{
		PGresult   *result = execute(worker, "read", opts.read, key_parameter(worker, keys, n));

		check_result(worker, result);
		PQclear(result);
	}
}

static void
write_key(Worker *worker, long key)
{
	char		text[22];
	int64_t		version;
	PGresult   *result;

	sprintf(text, "%ld", key);
	if (opts.lease)
		freeReplyObject(checked_reply(worker, redisCommand(worker->redis, "EVAL %s 1 %s", begin_write, text)));
	result = execute(worker, "write", opts.write, text);
	if (PQntuples(result) != 1)
		die("a write of key %ld changed %d rows", key, PQntuples(result));
	version = atoll(PQgetvalue(result, 0, 0));
	PQclear(result);
	note_version(committed, key, version);
	if (opts.lease)
		freeReplyObject(checked_reply(worker, redisCommand(worker->redis, "EVAL %s 1 %s", end_write, text)));
	else if (opts.redis != NULL)
		freeReplyObject(checked_reply(worker, redisCommand(worker->redis, "DEL %s", text)));
	note_version(finished, key, version);
}

/* ------------------------------------------------------------------------
 * Threads
 * ------------------------------------------------------------------------ */

static void
begin_worker(Worker *worker, int number)
{
	worker->number = number;
	worker->random = number * 0x5851f42d4c957f2dUL;
	connect_db(worker);
	if (opts.redis != NULL)
		connect_redis(worker);
	if (committed != NULL)
	{
		worker->floor_committed = allocate((opts.keys + 1) * sizeof(int64_t));
		worker->floor_finished = allocate((opts.keys + 1) * sizeof(int64_t));
	}
	if (opts.protocol == PIPELINE && opts.redis == NULL && !PQenterPipelineMode(worker->db))
		die("%s", PQerrorMessage(worker->db));
}

static void
end_worker(Worker *worker)
{
	PQfinish(worker->db);
	if (worker->redis != NULL)
		redisFree(worker->redis);
	free(worker->floor_committed);
	free(worker->floor_finished);
	free(worker->text);
}

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
	while ((share = sample_hits(&sampler)) < 0.9 && now() < give_up)
		nap(20000000);
	clock_gettime(CLOCK_REALTIME, &t);
	printf("warm %d at %ld.%09ld with %.1f %%\n", share >= 0.9, (long) t.tv_sec, t.tv_nsec, 100 * share);
	end_worker(&sampler);
}

/* ------------------------------------------------------------------------
 * The program
 * ------------------------------------------------------------------------ */

enum
{
	CONNECT = 1, SETUP, READ, WRITE, LIST, HITS, REDIS, INVALIDATE, PROTOCOL, THREADS, SECONDS,
	COUNT, KEYS, ZIPF, HOT, BATCH, WRITES, FILL, UNTIL_WARM
};

static const struct option long_options[] = {
	{"connect", required_argument, NULL, CONNECT},
	{"setup", required_argument, NULL, SETUP},
	{"read", required_argument, NULL, READ},
	{"write", required_argument, NULL, WRITE},
	{"list", required_argument, NULL, LIST},
	{"hits", required_argument, NULL, HITS},
	{"redis", required_argument, NULL, REDIS},
	{"invalidate", required_argument, NULL, INVALIDATE},
	{"protocol", required_argument, NULL, PROTOCOL},
	{"threads", required_argument, NULL, THREADS},
	{"seconds", required_argument, NULL, SECONDS},
	{"count", required_argument, NULL, COUNT},
	{"keys", required_argument, NULL, KEYS},
	{"zipf", required_argument, NULL, ZIPF},
	{"hot", required_argument, NULL, HOT},
	{"batch", required_argument, NULL, BATCH},
	{"writes", required_argument, NULL, WRITES},
	{"fill", no_argument, NULL, FILL},
	{"until-warm", no_argument, NULL, UNTIL_WARM},
	{NULL, 0, NULL, 0}
};

static void
set_option(int option, const char *value)
{
	switch (option)
	{
		case CONNECT: opts.connect = value; break;
		case SETUP: opts.setup = value; break;
		case READ: opts.read = value; break;
		case WRITE: opts.write = value; break;
		case LIST: opts.list = value; break;
		case HITS: opts.hits = value; break;
		case REDIS: opts.redis = value; break;
		case INVALIDATE: opts.lease = strcmp(value, "lease") == 0; break;
		case PROTOCOL:
			opts.protocol = strcmp(value, "simple") == 0 ? SIMPLE :
				strcmp(value, "pipeline") == 0 ? PIPELINE : PREPARED;
			break;
		case THREADS: opts.threads = atoi(value); break;
		case SECONDS: opts.seconds = atof(value); break;
		case COUNT: opts.count = atol(value); break;
		case KEYS: opts.keys = atol(value); break;
		case ZIPF: opts.zipf = atof(value); break;
		case HOT: opts.hot = atof(value); break;
		case BATCH: opts.batch = atoi(value); break;
		case WRITES: opts.writes = atof(value); break;
		case FILL: opts.fill = true; break;
		case UNTIL_WARM: opts.until_warm = true; break;
		default: exit(1);
	}
}

static void
parse_arguments(int argc, char **argv)
{
	int			option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(option, optarg);
	if (optind < argc || opts.read == NULL || opts.threads < 1 || opts.keys < 1 || opts.batch < 1)
		die("wrong arguments: see the head of bench/client/cacheaside.c");
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
