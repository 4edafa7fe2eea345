/*
 * rows.c
 *	  Rows by key, from PostgreSQL or from Redis in front of it, and writes of
 *	  them.  What stale means, and how Redis is kept right, is at the top of
 *	  cacheaside.c.
 *
 * Called by read_keys() and write_key(), with one Worker, which is a session,
 * for each thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cacheaside.h"

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

_Atomic int64_t *committed;
_Atomic int64_t *finished;
atomic_ulong redis_hits;
atomic_ulong redis_lookups;

/* ------------------------------------------------------------------------
 * PostgreSQL
 * ------------------------------------------------------------------------ */

PGresult *
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

void
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

void
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
 * Sessions
 * ------------------------------------------------------------------------ */

void
begin_worker(Worker *worker, int number)
{
	worker->number = number;
	worker->random = (opts.seed << 16) + number;
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

void
end_worker(Worker *worker)
{
	PQfinish(worker->db);
	if (worker->redis != NULL)
		redisFree(worker->redis);
	free(worker->floor_committed);
	free(worker->floor_finished);
	free(worker->text);
}
