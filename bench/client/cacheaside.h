/*
 * cacheaside.h
 *	  What the client's two files share: cacheaside.c makes the load and counts,
 *	  rows.c reads and writes rows and notices what is stale.
 */
#ifndef CACHEASIDE_H
#define CACHEASIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>
#include <libpq-fe.h>

#define SECOND			1000000000L

/* latencies: 64 buckets for each power of two of nanoseconds */
#define SUB_BITS		6
#define BUCKETS			(64 << SUB_BITS)

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
	const char *invalidate;
	bool		lease;
	const char *protocol_name;
	Protocol	protocol;
	long		threads;
	double		seconds;
	long		count;			/* reads of keys 1, 2, ... and nothing else */
	long		keys;
	long		seed;			/* another one draws other keys */
	double		zipf;			/* 0: uniform */
	double		hot;			/* percent of the keys that 90 % of the reads want */
	long		batch;
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

extern Options opts;

/* by key, 0 where nobody wrote it; NULL if nobody is to write */
extern _Atomic int64_t *committed;
extern _Atomic int64_t *finished;

extern atomic_ulong redis_hits;
extern atomic_ulong redis_lookups;

/* cacheaside.c */
extern void die(const char *format,...) __attribute__((noreturn, format(printf, 1, 2)));
extern int64_t now(void);
extern void nap(long nanoseconds);
extern void *allocate(size_t size);

/* rows.c */
extern void begin_worker(Worker *worker, int number);
extern void end_worker(Worker *worker);
extern PGresult *checked(Worker *worker, PGresult *result);
extern void read_keys(Worker *worker, const long *keys, int n);
extern void write_key(Worker *worker, long key);

#endif							/* CACHEASIDE_H */
