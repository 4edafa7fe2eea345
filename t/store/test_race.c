/*-------------------------------------------------------------------------
 *
 * test_race.c
 *	  Readers, while writers do everything at once and the index grows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/wait.h>
#include <unistd.h>

#include "store_test.h"

#define RACE_KEYS	200000
#define WRITERS		2
#define READERS		2

/*
 * What a key has been given last, and has been removed or replaced, all of it
 * before this is written; by the one writer who has the key.
 */
typedef struct Stage
{
	pg_atomic_uint32 stop;
	pg_atomic_uint64 found;
	pg_atomic_uint64 wrong;
	pg_atomic_uint64 stale;
	pg_atomic_uint32 versions[RACE_KEYS];
} Stage;

static void Write(Stage *stage, int number, uint64 epoch, int rounds);
static void Read(Stage *stage, uint64 epoch);

void
TestRace(const Case *this)
{
	uint64		epoch = NewStore(this, OWN(1));
	Stage	   *stage = SharedZeroes(sizeof(Stage));
	uint64		first = ReadIndexSize(0);
	int			failed = 0;
	int			status;

	for (int i = 0; i < WRITERS + READERS; i++)
	{
		Random();
		if (fork() == 0)
		{
			for (int j = 0; j < i; j++)
				Random();
			if (i < WRITERS)
				Write(stage, i, epoch, this->rounds);
			else
				Read(stage, epoch);
			_exit(0);
		}
	}
	for (int i = 0; i < WRITERS + READERS && wait(&status) > 0; i++)
		failed += status != 0;

	Check(failed == 0, "readers and writers came to their end");
	Check(ReadIndexSize(0) != first, "the index has grown under the readers");
	Check(pg_atomic_read_u64(&stage->found) > 0, "who found something");
	Check(pg_atomic_read_u64(&stage->wrong) == 0, "and nothing of another key, or in pieces");
	Check(pg_atomic_read_u64(&stage->stale) == 0, "nor what had been removed or replaced");
}

/* Each key has a writer, so that its versions come in order. */
static void
Write(Stage *stage, int number, uint64 epoch, int rounds)
{
	for (uint32 version = 1; version <= rounds; version++)
	{
		uint64		key = Random() % (RACE_KEYS / WRITERS) * WRITERS + number;
		uint64		hash = HashOf(key);
		uint64		word = (key + 1) << 32 | version;
		uint64		what = Random() % 16;
		StoreContent content = RowContent(word, 40 + Random() % 8 * 8);

		/* a fill that finds the lock taken leaves what is there */
		if (what < 2)
			StoreRemove(OWN(1), hash);
		else if (what < 5)
			StorePublish(OWN(1), hash, epoch, &content, true);
		else if (what < 7)
		{
			StoreRemove(OWN(1), hash);
			StorePutAlias(hash, epoch, word, what == 5);
		}
		else
		{
			StoreRemove(OWN(1), hash);
			Fill(epoch, hash, word, what == 7 ? 2048 : 40 + Random() % 8 * 8, what == 8);
		}
		pg_write_barrier();
		pg_atomic_write_u32(&stage->versions[key], version);
	}
	pg_atomic_fetch_add_u32(&stage->stop, 1);
}

/* Until the writers have stopped, or the one that waits for all is gone. */
static void
Read(Stage *stage, uint64 epoch)
{
	pid_t		parent = getppid();

	while (pg_atomic_read_u32(&stage->stop) < WRITERS && getppid() == parent)
	{
		uint64		key = Random() % RACE_KEYS;
		uint64		hash = HashOf(key);
		uint32		version = pg_atomic_read_u32(&stage->versions[key]);
		StoreHint	hint = NULL;
		uint64		words[2] = {0, 0};

		pg_read_barrier();
		if (key % 3 == 0)
			StorePrefetch(1, &hash, 64, &hint);
		if (!StoreFindAlias(hash, epoch, hint, &words[0]))
			words[0] = 0;
		words[1] = Find(epoch, hash);
		for (int i = 0; i < 2; i++)
		{
			if (words[i] == 0)
				continue;
			pg_atomic_fetch_add_u64(&stage->found, 1);
			if (words[i] >> 32 != key + 1)
				pg_atomic_fetch_add_u64(&stage->wrong, 1);
			else if ((uint32) words[i] < version)
				pg_atomic_fetch_add_u64(&stage->stale, 1);
		}
	}
}
