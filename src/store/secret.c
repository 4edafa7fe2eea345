/*-------------------------------------------------------------------------
 *
 * secret.c
 *	  Numbers that nobody outside can know or work out.
 *
 * Where an item is in the store depends on the hash of its key.  Could that be
 * computed, whoever may fill a table of his own could choose keys that share
 * places with rows of another's table, and tell from his own hits and misses
 * when these are read and changed; or keep them out.  So hashes are made with
 * numbers that are derived, for each table, from a secret, by a function of
 * which nothing is known that would lead back (SipHash-2-4, Aumasson and
 * Bernstein, 2012).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "store/secret.h"

/* Written by the postmaster before anybody reads it, and never again. */
typedef struct Secret
{
	uint64		key[2];
} Secret;

static Secret *secret = NULL;

static uint64 SipHash(const uint64 key[2], const uint64 *words, int nwords);

Size
SecretShmemSize(void)
{
	return CACHELINEALIGN(sizeof(Secret));
}

void
SecretShmemInit(void)
{
	bool		found;

	secret = ShmemInitStruct("itemcache secret", SecretShmemSize(), &found);
	if (!found && !pg_strong_random(secret, sizeof(Secret)))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random secret for the item cache")));
}

void
DeriveSecrets(uint64 owner, uint64 purpose, int nwords, uint64 *words)
{
	for (int i = 0; i < nwords; i++)
	{
		uint64		input[3] = {owner, purpose, i};

		words[i] = SipHash(secret->key, input, lengthof(input));
	}
}

static inline uint64
RotateLeft(uint64 word, int n)
{
	return (word << n) | (word >> (64 - n));
}

static inline void
SipRound(uint64 v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = RotateLeft(v[1], 13) ^ v[0];
	v[3] = RotateLeft(v[3], 16) ^ v[2];
	v[0] = RotateLeft(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = RotateLeft(v[1], 17) ^ v[2];
	v[3] = RotateLeft(v[3], 21) ^ v[0];
	v[2] = RotateLeft(v[2], 32);
}

/* SipHash-2-4 of so many 8-byte words, as they are in memory. */
static uint64
SipHash(const uint64 key[2], const uint64 *words, int nwords)
{
	uint64		v[4] = {
		key[0] ^ UINT64CONST(0x736f6d6570736575),
		key[1] ^ UINT64CONST(0x646f72616e646f6d),
		key[0] ^ UINT64CONST(0x6c7967656e657261),
		key[1] ^ UINT64CONST(0x7465646279746573)
	};

	for (int i = 0; i <= nwords; i++)
	{
		/* the last block has the length only */
		uint64		word = i < nwords ? words[i] : (uint64) nwords * 8 << 56;

		v[3] ^= word;
		SipRound(v);
		SipRound(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		SipRound(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
