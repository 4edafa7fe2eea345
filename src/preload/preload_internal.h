/*-------------------------------------------------------------------------
 *
 * preload_internal.h
 *	  What the preload launcher and its workers share.
 *
 * Everything in shared memory is protected by the lock in it, except that
 * "leave" and "run" may be read without.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_PRELOAD_INTERNAL_H
#define ITEMCACHE_PRELOAD_INTERNAL_H

#include "datatype/timestamp.h"
#include "preload/hotset.h"
#include "storage/block.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

/* Tables whose progress is kept; of finished ones only the latest. */
#define PRELOAD_ENTRIES		512

/* More workers than this are not started, whatever the setting says. */
#define PRELOAD_MAX_WORKERS	64

typedef enum PreloadState
{
	PRELOAD_LOADING,
	PRELOAD_DONE,
	PRELOAD_FULL,
	PRELOAD_STOPPED,
	PRELOAD_SKIPPED,
	PRELOAD_FAILED
} PreloadState;

/* What the launcher is doing, for the view. */
typedef enum PreloaderPhase
{
	PRELOADER_NOT_STARTED,		/* it must be zero, as new shared memory is */
	PRELOADER_OFF,
	PRELOADER_LOADING,
	PRELOADER_WAITING,			/* for the slot of a background worker */
	PRELOADER_DONE,
	PRELOADER_INCOMPLETE		/* there were databases not gone through */
} PreloaderPhase;

/* What the loader does first, and what then. */
typedef enum PreloadStage
{
	STAGE_HOT_SET,				/* places of the hot set */
	STAGE_TABLES,				/* whole tables */
	STAGE_ENDED
} PreloadStage;

/*
 * Tables are loaded in an order in which all workers agree: those of the hot
 * set first, by their rank in it, then the others by OID.  Parts of a table that
 * the hot set has are tables of their own in this.
 */
#define PRELOAD_NO_RANK		PG_UINT32_MAX
#define PreloadPosition(rank, relid) (((uint64) (rank) << 32) | (relid))

/* A table that is being, or has been, loaded. */
typedef struct PreloadEntry
{
	Oid			dbid;			/* InvalidOid: never used */
	Oid			relid;
	uint64		run;			/* PreloadShared.run when it was begun */
	Oid			relfilenode;	/* the file that nblocks and next are of */
	PreloadStage stage;
	uint64		position;		/* of the part of it that is loaded, ... */
	bool		more;			/* ... which is what is used more */
	PreloadState state;			/* for the view; LOADING until the last worker
								 * has left */
	PreloadState outcome;		/* what state will be; if not DONE, no range
								 * is given out any more */
	int			workers;		/* that are at it */
	int			restarts;
	BlockNumber nblocks;
	BlockNumber next;			/* first block not given out */
	BlockNumber blocks_done;
	uint64		items;			/* of this stage, of all parts */
	uint64		bytes;
	uint64		hot_items;		/* of the stage before */
	uint64		hot_bytes;
	TimestampTz started;
	TimestampTz finished;
	NameData	datname;
	NameData	nspname;
	NameData	relname;
} PreloadEntry;

typedef struct PreloadShared
{
	int			tranche;		/* set once, by the postmaster */
	LWLock		lock;
	Oid			dbid;			/* database being loaded, if any */
	volatile uint64 run;		/* counts the databases visited; read without
								 * lock */
	volatile bool leave;		/* workers shall leave it; read without lock */
	bool		again;			/* ... and come back */
	bool		more;			/* there is work for several workers */
	bool		finished;		/* a worker reached the end of the list */
	uint64		begun;			/* a position higher by one than the last begun
								 * in this run; 0: none */
	PreloadStage stage;
	uint32		hotset;			/* checksum of the file, 0 if there is none */
	uint64		ignored;		/* tables of the hot set that are not as saved */
	Oid			visited;		/* databases up to this OID are done in this
								 * stage */
	int			unfinished;		/* databases whose workers left before the end */
	PreloaderPhase phase;
	TimestampTz started;		/* when the first one was visited */
	uint64		tables;			/* that ended, with ... */
	uint64		items;			/* ... what was loaded of them */
	uint64		bytes;
	PGPROC	   *launcher;
	PGPROC	   *workers[PRELOAD_MAX_WORKERS];
	PreloadEntry entries[PRELOAD_ENTRIES];
} PreloadShared;

/* How the launcher tells a worker what to do, besides the database's OID. */
typedef struct PreloadOrder
{
	uint64		run;
	int			number;			/* of the worker, in PreloadShared.workers */
	PreloadStage stage;
	uint32		hotset;			/* as in PreloadShared */
} PreloadOrder;

extern PreloadShared *Preload;

/* What was loaded of a table: whole tables have again what is hot of them. */
#define EntryItems(entry)	Max((entry)->items, (entry)->hot_items)
#define EntryBytes(entry)	Max((entry)->bytes, (entry)->hot_bytes)

/* No worker is at a table any more; with the lock held. */
extern void PreloadFinishEntry(PreloadEntry *entry, PreloadState state);

/* Something that workers may wait for has changed; with the lock held. */
extern void PreloadWakeWorkers(void);

/* Does the setting let a stage of the loader run? */
extern bool PreloadIsWanted(PreloadStage stage);

/* Log how a table ended. */
extern void PreloadLogTable(const PreloadEntry *entry);

/*
 * The workers' own.
 */

/* A table of the list that a worker goes through, or a part of one. */
typedef struct PreloadTable
{
	Oid			relid;
	uint64		position;		/* PreloadPosition() */
	const HotTable *hot;		/* in the stage of the hot set: what that has */
} PreloadTable;

extern PreloadOrder PreloadWorkerOrder; /* what this worker was told */
extern HotSet *PreloadHotSet;	/* NULL if there is none */

/* Must this worker stop?  Also takes in a changed configuration. */
extern bool PreloadMustStop(void);

/* Leave the database if somebody wants it for himself.  In a transaction. */
extern void PreloadLeaveIfWanted(void);

/* Do our share of a table, if there is one left; "alone" if it is the only one. */
extern void PreloadLoadTable(const PreloadTable *table, bool alone);

/* Say that we are no longer at the table we were at, if any. */
extern void PreloadAbandonTable(void);

#endif							/* ITEMCACHE_PRELOAD_INTERNAL_H */
