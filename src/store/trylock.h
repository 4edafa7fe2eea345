/*-------------------------------------------------------------------------
 *
 * trylock.h
 *	  A lock for what is optional.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_TRYLOCK_H
#define ITEMCACHE_TRYLOCK_H

#include "storage/lwlock.h"

/*
 * Take a lock exclusively, if that needs no waiting to speak of; "patient" waits
 * for as long as anybody holds one who is running.
 */
extern bool TryLock(LWLock *lock, bool patient);

#endif							/* ITEMCACHE_TRYLOCK_H */
