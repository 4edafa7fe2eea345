/*-------------------------------------------------------------------------
 *
 * secret.h
 *	  Numbers that nobody outside can know or work out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_SECRET_H
#define ITEMCACHE_SECRET_H

/* Shared memory: drawn at random when the server starts, kept until it ends. */
extern Size SecretShmemSize(void);
extern void SecretShmemInit(void);

/*
 * "nwords" numbers for an owner (its key) and a purpose: the same in every
 * process, and others, and not to be told from random ones, for another owner
 * or purpose.
 */
extern void DeriveSecrets(uint64 owner, uint64 purpose, int nwords,
						  uint64 *words);

#endif							/* ITEMCACHE_SECRET_H */
