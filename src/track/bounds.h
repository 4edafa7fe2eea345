/*-------------------------------------------------------------------------
 *
 * bounds.h
 *	  How much of a transaction is noted; past that, less is known of it, and
 *	  more is thrown away (rule 3 in README).  For the files of track/.
 *
 * With ITEMCACHE_SMALL_BOUNDS, which is for tests of random statements
 * (COPT=-DITEMCACHE_SMALL_BOUNDS dev/test --tap 023), a few rows are many.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_BOUNDS_H
#define ITEMCACHE_BOUNDS_H

#ifndef ITEMCACHE_SMALL_BOUNDS

/*
 * Updated or deleted keys of one transaction that are noted; past that, the
 * table that has most of them overflows.
 */
#define MAX_CHANGED_KEYS	131072

/* Inserted keys of one transaction that are noted for publication. */
#define MAX_INSERTED_KEYS	16384

/* Bytes of images that one transaction keeps for publication. */
#define MAX_IMAGE_BYTES		((Size) 16 * 1024 * 1024)

/*
 * So many rows inserted into a table that are not noted, of which it is
 * nevertheless told that they came; past that, they are not.
 */
#define MAX_PASSED			256

/*
 * So many arrivals of a transaction in a table are told to the store one by one;
 * past that, the table's epoch of absences moves at the end, once.
 */
#define MAX_ARRIVALS		256

/*
 * Tables and keys that are noted in arrays, in order of their first change; hash
 * tables have what comes later.
 */
#define FEW_RELATIONS		4
#define FEW_KEYS			8

#else

#define MAX_CHANGED_KEYS	6
#define MAX_INSERTED_KEYS	5
#define MAX_IMAGE_BYTES		((Size) 3000)
#define MAX_PASSED			2
#define MAX_ARRIVALS		4
#define FEW_RELATIONS		1
#define FEW_KEYS			3

#endif

#endif							/* ITEMCACHE_BOUNDS_H */
