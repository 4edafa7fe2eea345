/*-------------------------------------------------------------------------
 *
 * descent.h
 *	  Searching a unique b-tree for the place of a key, without a scan.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_DESCENT_H
#define ITEMCACHE_DESCENT_H

#include "storage/itemptr.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct BTScanInsertData *Descent;

typedef enum DescentResult
{
	DESCENT_FOUND,				/* the first entry of the key */
	DESCENT_ABSENT,				/* the index has none */
	DESCENT_UNDECIDED			/* it takes a scan to know */
} DescentResult;

/*
 * What an index is searched with, for keys of "nkeys" values of its columns' own
 * types, none of them NULL.  In the current context.  NULL if it is an index that
 * only scans can search.
 */
extern Descent MakeDescent(Relation index, int nkeys);

/*
 * Search for a key; the values need last no longer than the call.  *tid is the place
 * in the table if DESCENT_FOUND.  "snapshot" is what the table will be read with: an
 * MVCC snapshot that does not become too old, not in a SERIALIZABLE transaction.
 * Errors are those of the index scan and of its comparison functions.
 */
extern DescentResult Descend(Descent descent, Relation index, Relation rel,
							 const Datum *key, Snapshot snapshot,
							 ItemPointer tid);

#endif							/* ITEMCACHE_DESCENT_H */
