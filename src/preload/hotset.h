/*-------------------------------------------------------------------------
 *
 * hotset.h
 *	  The hot set: a file that remembers where the rows are that were cached.
 *
 * It is a list of places to read and nothing more: what is there is cached
 * under rule 2, so a list that is old, or another's, can only waste time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_HOTSET_H
#define ITEMCACHE_HOTSET_H

#include "storage/block.h"
#include "storage/off.h"

/* Places of a table are kept, and read, by ranges of so many blocks. */
#define HOTSET_BLOCKS		1024

/*
 * A table that has rows in the hot set, or a part of it: those that are used more,
 * or the others.
 */
typedef struct HotTable
{
	Oid			dbid;
	Oid			relid;
	Oid			file;			/* relfilenode that the places are of */
	uint32		nranges;		/* up to the last block that has one */
	uint64		first_range;	/* where its ranges begin in HotSet.ranges */
	uint64		nplaces;
	uint32		part;			/* 0: the table's first, 1: its second */
	uint32		more;			/* 1: they are used more than others */
} HotTable;

/* What was read of the file. */
typedef struct HotSet
{
	int			ntables;
	HotTable   *tables;			/* the most used ones first */
	uint64		nranges;
	uint64	   *ranges;			/* nranges + 1: number of the first place */
	uint64		nplaces;
	off_t		places_offset;	/* in the file */
	uint32		checksum;		/* of this version of the file */
} HotSet;

/* A block, and which of its tuples were cached. */
typedef struct HotBlock
{
	BlockNumber block;
	int			noffsets;
	const OffsetNumber *offsets;
} HotBlock;

/*
 * Write what the cache holds to the file, in place of what it had.  Takes no
 * lock of the store.  A failure is a WARNING, and leaves the file as it was.
 */
extern void SaveHotSet(void);

/*
 * Read the file's directory, in the current memory context; NULL if there is
 * no file, or none that is ours and whole, which is a WARNING.  "checksum" is
 * 0, and then the whole file is checked, or that of a version checked before.
 */
extern HotSet *ReadHotSet(uint32 checksum);

/*
 * The blocks of a range of a table, in order, in the current memory context;
 * *nblocks is 0 if it has none.  Raises an error if the file cannot be read.
 */
extern HotBlock *ReadHotRange(const HotSet *set, const HotTable *table,
							  uint32 range, int *nblocks);

#endif							/* ITEMCACHE_HOTSET_H */
