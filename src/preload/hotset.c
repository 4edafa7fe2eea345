/*-------------------------------------------------------------------------
 *
 * hotset.c
 *	  The hot set: a file that remembers where the rows are that were cached.
 *
 * The file is
 *
 *		HotSetHeader
 *		HotTable[ntables]		the most used ones first
 *		uint64[nranges + 1]		for each range of a table's blocks, where its
 *								places begin; and the end of the last
 *		uint32[nplaces]			block within the range 16 | offset 16
 *
 * in this machine's byte order.  It is written beside and renamed, so that
 * there is a whole one at any time; what is not whole, or not this cluster's,
 * or of another version, is not used.  What remains can still be wrong, since
 * tables are written, rewritten and dropped: whoever loads a place looks at
 * the row that is there, under rule 2 in README.
 *
 * Of a table there may be two: the places that are used more, and the others.
 *
 * A place is found through the TID that every row's image carries.  Which file
 * the TID is of is what the owner was told when a backend last described the
 * table (OwnerSetFile).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "preload/hotset.h"
#include "preload/wait_event.h"
#include "storage/fd.h"
#include "store/owner.h"
#include "store/store.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define HOTSET_FILE			"itemcache.hotset"
#define HOTSET_TEMPORARY	"itemcache.hotset.tmp"
#define HOTSET_MAGIC		UINT64CONST(0x74657374686f6349)
#define HOTSET_VERSION		2

/*
 * More places are not kept: 8 bytes each while they are collected and sorted,
 * and 4 in the file.
 */
#define HOTSET_MAX_PLACES	(16 * 1024 * 1024)

/* At most one place in so many is used more than others. */
#define USED_MORE_PART		2

/* Entries looked at, and places written, at a time. */
#define WALK_BATCH			512

typedef struct HotSetHeader
{
	uint64		magic;
	uint32		version;
	uint32		checksum;		/* CRC-32C of all that follows this field */
	uint64		system_identifier;
	int64		saved_at;		/* TimestampTz, for people */
	uint32		ntables;
	uint32		unused;
	uint64		nranges;
	uint64		nplaces;
} HotSetHeader;

/*
 * While it is collected, a place is a word: part 21 | block 32 | offset 11.  The parts
 * of an owner's places are those that are used more, and the others.
 */
#define PLACE_OFFSET_BITS	11
#define PLACE_OFFSET_MASK	((1 << PLACE_OFFSET_BITS) - 1)
#define OwnerPart(owner, more)	(2 * (owner) + ((more) ? 0 : 1))
#define PartOwner(part)		((part) / 2)
#define PartIsMore(part)	((part) % 2 == 0)
#define MakePlace(part, tid) \
	(((uint64) (part) << (32 + PLACE_OFFSET_BITS)) | \
	 ((uint64) ItemPointerGetBlockNumberNoCheck(tid) << PLACE_OFFSET_BITS) | \
	 (ItemPointerGetOffsetNumberNoCheck(tid) & PLACE_OFFSET_MASK))
#define PlacePart(place)	((int) ((place) >> (32 + PLACE_OFFSET_BITS)))
#define PlaceBlock(place)	((BlockNumber) ((place) >> PLACE_OFFSET_BITS))
#define PlaceOffset(place)	((OffsetNumber) ((place) & PLACE_OFFSET_MASK))

StaticAssertDecl(OWNER_BITS + 1 + 32 + PLACE_OFFSET_BITS == 64 &&
				 MaxHeapTuplesPerPage <= PLACE_OFFSET_MASK,
				 "a place has all of the part's number, block and offset");

/* A part of which places were collected. */
typedef struct HotPart
{
	HotTable	table;
	const uint64 *places;
	double		uses;			/* of the average place */
} HotPart;

/* What is collected, in a memory context of its own. */
typedef struct Collection
{
	uint64	   *places;
	uint64		nplaces;
	uint64	   *uses;			/* of each part's places, all in all */
	HotPart    *parts;			/* the most used ones first */
	uint32		nparts;
	uint64	   *ranges;			/* as in HotSet */
	uint64		nranges;
} Collection;

/* A file that is being written, with its checksum. */
typedef struct HotSetFile
{
	FILE	   *stream;
	pg_crc32c	crc;
	bool		failed;
} HotSetFile;

#define ST_SORT sort_places
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static void CollectPlaces(Collection *collection);
static int	UsesOfUsedMore(void);
static void SortPlaces(Collection *collection);
static void FindParts(Collection *collection);
static bool DescribePart(HotPart *part, uint64 nplaces, uint64 uses);
static int	CompareUses(const void *a, const void *b);
static void FindRanges(Collection *collection);
static bool WriteHotSet(const Collection *collection);
static void WriteContents(HotSetFile *file, const Collection *collection);
static void WriteBytes(HotSetFile *file, const void *bytes, Size size);
static bool ReadHeader(FILE *stream, HotSetHeader *header);
static bool HeaderFitsFile(FILE *stream, const HotSetHeader *header);
static bool ChecksumIsRight(FILE *stream, const HotSetHeader *header);
static HotSet *ReadDirectory(FILE *stream, const HotSetHeader *header);
static bool DirectoryIsSound(const HotSet *set);
static void ReadPlaces(const HotSet *set, uint64 begin, uint32 *places, Size n);

/*
 * Saving
 */

void
SaveHotSet(void)
{
	MemoryContext context;
	MemoryContext oldcontext;
	Collection	collection = {0};

	context = AllocSetContextCreate(CurrentMemoryContext, "itemcache hot set",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	CollectPlaces(&collection);
	SortPlaces(&collection);
	FindParts(&collection);
	FindRanges(&collection);
	pgstat_report_wait_start(PreloadWaitEvent(WAIT_HOT_SET_WRITE));
	if (!WriteHotSet(&collection))
		(void) unlink(HOTSET_TEMPORARY);
	pgstat_report_wait_end();
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/*
 * Where there are more than are kept, those that were used go first; of the others,
 * one in so many is taken.
 */
static void
CollectPlaces(Collection *collection)
{
	StoreStats	stats;
	StoreWalk	walk = {0};
	StoreWalked *walked = palloc(WALK_BATCH * sizeof(StoreWalked));
	int			used_more = UsesOfUsedMore();
	uint64		max;
	uint64		nth = 0;
	uint64		step;
	int			n;

	StoreGetStats(&stats);
	max = Min(stats.items + stats.items / 64 + WALK_BATCH, HOTSET_MAX_PLACES);
	step = stats.items / HOTSET_MAX_PLACES + 1;
	collection->places = MemoryContextAllocHuge(CurrentMemoryContext,
												max * sizeof(uint64));
	collection->uses = palloc0(OwnerPart(OwnerCount(), true) * sizeof(uint64));

	while ((n = StoreWalkNext(&walk, walked, WALK_BATCH)) > 0)
	{
		for (int i = 0; i < n && collection->nplaces < max; i++)
		{
			HeapTupleHeader image = (HeapTupleHeader) walked[i].payload;
			int			part = OwnerPart(EpochOwner(walked[i].epoch),
										 walked[i].uses >= used_more);

			if (walked[i].uses == 0 && nth++ % step != 0)
				continue;
			collection->uses[part] += walked[i].uses;
			collection->places[collection->nplaces++] =
				MakePlace(part, &image->t_ctid);
		}
	}
	if (used_more > STORE_MAX_USES)
		StoreForgetUse();
}

/*
 * How much a place is used that is used more: as little as can be, so that there are
 * not too many of them.  More than STORE_MAX_USES if there are always too many.
 */
static int
UsesOfUsedMore(void)
{
	uint64		entries[STORE_MAX_USES + 1];
	uint64		total = 0;
	uint64		more = 0;
	int			uses = STORE_MAX_USES + 1;

	StoreCountUses(entries);
	for (int i = 0; i <= STORE_MAX_USES; i++)
		total += entries[i];
	while (uses > 0 && more + entries[uses - 1] <= total / USED_MORE_PART)
		more += entries[--uses];
	return uses;
}

/* What the walk met twice goes, too. */
static void
SortPlaces(Collection *collection)
{
	uint64		kept = 0;

	sort_places(collection->places, collection->nplaces);
	for (uint64 i = 0; i < collection->nplaces; i++)
	{
		if (i == 0 || collection->places[i] != collection->places[i - 1])
			collection->places[kept++] = collection->places[i];
	}
	collection->nplaces = kept;
}

/* One for each run of places. */
static void
FindParts(Collection *collection)
{
	uint64		begin = 0;

	collection->parts = palloc(OwnerPart(OwnerCount(), true) * sizeof(HotPart));
	while (begin < collection->nplaces)
	{
		HotPart    *part = &collection->parts[collection->nparts];
		const uint64 *places = &collection->places[begin];
		uint64		n = 1;

		while (begin + n < collection->nplaces &&
			   PlacePart(places[n]) == PlacePart(places[0]))
			n++;
		part->places = places;
		if (DescribePart(part, n, collection->uses[PlacePart(places[0])]))
		{
			/* what is used more comes before the rest of the same table */
			if (collection->nparts > 0 && part[-1].table.dbid == part->table.dbid &&
				part[-1].table.relid == part->table.relid)
				part->table.part = 1;
			collection->nparts++;
		}
		begin += n;
	}
	qsort(collection->parts, collection->nparts, sizeof(HotPart), CompareUses);
}

/* False if the owner's slot is free by now. */
static bool
DescribePart(HotPart *part, uint64 nplaces, uint64 uses)
{
	HotTable   *table = &part->table;
	int			number = PlacePart(part->places[0]);
	uint64		key;

	memset(table, 0, sizeof(HotTable));
	if (!OwnerFile(PartOwner(number), &key, &table->file))
		return false;
	table->dbid = (Oid) (key >> 32);
	table->relid = (Oid) key;
	table->more = PartIsMore(number);
	table->nplaces = nplaces;
	table->nranges = PlaceBlock(part->places[nplaces - 1]) / HOTSET_BLOCKS + 1;
	part->uses = (double) uses / nplaces;
	return true;
}

static int
CompareUses(const void *a, const void *b)
{
	double		x = ((const HotPart *) a)->uses;
	double		y = ((const HotPart *) b)->uses;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Where each range of each table begins in the file. */
static void
FindRanges(Collection *collection)
{
	uint64		begin = 0;
	uint64		n = 0;

	for (uint32 i = 0; i < collection->nparts; i++)
		collection->nranges += collection->parts[i].table.nranges;
	collection->ranges =
		MemoryContextAllocHuge(CurrentMemoryContext,
							   (collection->nranges + 1) * sizeof(uint64));

	for (uint32 i = 0; i < collection->nparts; i++)
	{
		HotTable   *table = &collection->parts[i].table;
		uint64		place = 0;

		table->first_range = n;
		for (uint32 range = 0; range < table->nranges; range++)
		{
			collection->ranges[n++] = begin + place;
			while (place < table->nplaces &&
				   PlaceBlock(collection->parts[i].places[place]) /
				   HOTSET_BLOCKS == range)
				place++;
		}
		begin += table->nplaces;
	}
	collection->ranges[n] = begin;
}

static bool
WriteHotSet(const Collection *collection)
{
	HotSetFile	file = {0};
	HotSetHeader header = {0};

	file.stream = AllocateFile(HOTSET_TEMPORARY, PG_BINARY_W);
	if (file.stream == NULL)
	{
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("itemcache: could not create file \"%s\": %m",
						HOTSET_TEMPORARY)));
		return false;
	}

	/* the header comes last, since the checksum does */
	WriteBytes(&file, &header, sizeof(header));
	header.magic = HOTSET_MAGIC;
	header.version = HOTSET_VERSION;
	header.system_identifier = GetSystemIdentifier();
	header.saved_at = GetCurrentTimestamp();
	header.ntables = collection->nparts;
	header.nranges = collection->nranges;
	header.nplaces = collection->ranges[collection->nranges];
	INIT_CRC32C(file.crc);
	COMP_CRC32C(file.crc, &header.system_identifier,
				sizeof(header) - offsetof(HotSetHeader, system_identifier));
	WriteContents(&file, collection);
	FIN_CRC32C(file.crc);
	header.checksum = file.crc;
	if (fseeko(file.stream, 0, SEEK_SET) != 0)
		file.failed = true;
	WriteBytes(&file, &header, sizeof(header));

	/* AllocateFile()'s buffer may find the disk full only now */
	if (FreeFile(file.stream) != 0)
		file.failed = true;
	if (file.failed)
	{
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("itemcache: could not write file \"%s\": %m",
						HOTSET_TEMPORARY),
				 errhint("The cache's hot set is kept as it was saved before.")));
		return false;
	}
	return durable_rename(HOTSET_TEMPORARY, HOTSET_FILE, WARNING) == 0;
}

static void
WriteContents(HotSetFile *file, const Collection *collection)
{
	uint32		buffer[WALK_BATCH];
	int			n = 0;

	for (uint32 i = 0; i < collection->nparts; i++)
		WriteBytes(file, &collection->parts[i].table, sizeof(HotTable));
	WriteBytes(file, collection->ranges,
			   (collection->nranges + 1) * sizeof(uint64));
	for (uint32 i = 0; i < collection->nparts; i++)
	{
		const HotPart *hot = &collection->parts[i];

		for (uint64 j = 0; j < hot->table.nplaces; j++)
		{
			buffer[n++] = (PlaceBlock(hot->places[j]) % HOTSET_BLOCKS) << 16 |
				PlaceOffset(hot->places[j]);
			if (n == WALK_BATCH)
			{
				WriteBytes(file, buffer, n * sizeof(uint32));
				n = 0;
			}
		}
	}
	WriteBytes(file, buffer, n * sizeof(uint32));
}

static void
WriteBytes(HotSetFile *file, const void *bytes, Size size)
{
	COMP_CRC32C(file->crc, bytes, size);
	if (!file->failed && size > 0 && fwrite(bytes, size, 1, file->stream) != 1)
		file->failed = true;
}

/*
 * Loading
 */

HotSet *
ReadHotSet(uint32 checksum)
{
	FILE	   *stream = AllocateFile(HOTSET_FILE, PG_BINARY_R);
	HotSetHeader header;
	HotSet	   *set = NULL;

	if (stream == NULL)
	{
		if (errno != ENOENT)
			ereport(WARNING,
					(errcode_for_file_access(),
					 errmsg("itemcache: could not open file \"%s\": %m",
							HOTSET_FILE)));
		return NULL;
	}

	if (ReadHeader(stream, &header) && HeaderFitsFile(stream, &header) &&
		(checksum != 0 ? header.checksum == checksum :
		 ChecksumIsRight(stream, &header)))
		set = ReadDirectory(stream, &header);
	FreeFile(stream);

	if (set == NULL && checksum == 0)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("itemcache: file \"%s\" is not used", HOTSET_FILE),
				 errdetail("It is damaged, of another version, or of another cluster."),
				 errhint("The cache is filled without it; the next save replaces it.")));
	return set;
}

static bool
ReadHeader(FILE *stream, HotSetHeader *header)
{
	return fread(header, sizeof(*header), 1, stream) == 1 &&
		header->magic == HOTSET_MAGIC &&
		header->version == HOTSET_VERSION &&
		header->system_identifier == GetSystemIdentifier();
}

/* So no number in the header is larger than the file. */
static bool
HeaderFitsFile(FILE *stream, const HotSetHeader *header)
{
	struct stat st;

	if (fstat(fileno(stream), &st) != 0 ||
		header->ntables > (uint64) st.st_size / sizeof(HotTable) ||
		header->nranges > (uint64) st.st_size / sizeof(uint64) ||
		header->nplaces > (uint64) st.st_size / sizeof(uint32))
		return false;
	return st.st_size == sizeof(HotSetHeader) +
		header->ntables * sizeof(HotTable) +
		(header->nranges + 1) * sizeof(uint64) +
		header->nplaces * sizeof(uint32);
}

static bool
ChecksumIsRight(FILE *stream, const HotSetHeader *header)
{
	char		buffer[8192];
	pg_crc32c	crc;
	size_t		n;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &header->system_identifier,
				sizeof(*header) - offsetof(HotSetHeader, system_identifier));
	while ((n = fread(buffer, 1, sizeof(buffer), stream)) > 0)
		COMP_CRC32C(crc, buffer, n);
	FIN_CRC32C(crc);
	return !ferror(stream) && EQ_CRC32C(crc, header->checksum) &&
		fseeko(stream, sizeof(*header), SEEK_SET) == 0;
}

static HotSet *
ReadDirectory(FILE *stream, const HotSetHeader *header)
{
	HotSet	   *set = palloc0(sizeof(HotSet));
	Size		tables_size = header->ntables * sizeof(HotTable);
	Size		ranges_size = (header->nranges + 1) * sizeof(uint64);

	set->checksum = header->checksum;
	set->ntables = header->ntables;
	set->nranges = header->nranges;
	set->nplaces = header->nplaces;
	set->places_offset = sizeof(HotSetHeader) + tables_size + ranges_size;
	set->tables = MemoryContextAllocHuge(CurrentMemoryContext, tables_size + 1);
	set->ranges = MemoryContextAllocHuge(CurrentMemoryContext, ranges_size);
	if ((tables_size > 0 && fread(set->tables, tables_size, 1, stream) != 1) ||
		fread(set->ranges, ranges_size, 1, stream) != 1 ||
		!DirectoryIsSound(set))
		return NULL;
	return set;
}

/* A checksum says what was written, not that it makes sense. */
static bool
DirectoryIsSound(const HotSet *set)
{
	for (int i = 0; i < set->ntables; i++)
	{
		if (set->tables[i].first_range > set->nranges ||
			set->tables[i].nranges > set->nranges - set->tables[i].first_range)
			return false;
	}
	for (uint64 i = 0; i <= set->nranges; i++)
	{
		if (set->ranges[i] > set->nplaces ||
			(i > 0 && set->ranges[i] < set->ranges[i - 1]))
			return false;
	}
	return true;
}

HotBlock *
ReadHotRange(const HotSet *set, const HotTable *table, uint32 range,
			 int *nblocks)
{
	uint64		begin = set->ranges[table->first_range + range];
	Size		n = set->ranges[table->first_range + range + 1] - begin;
	HotBlock   *blocks = palloc(HOTSET_BLOCKS * sizeof(HotBlock));
	uint32	   *places = MemoryContextAllocHuge(CurrentMemoryContext,
												n * sizeof(uint32) + 1);
	OffsetNumber *offsets = MemoryContextAllocHuge(CurrentMemoryContext,
												   n * sizeof(OffsetNumber) + 1);

	*nblocks = 0;
	if (n == 0)
		return blocks;
	ReadPlaces(set, begin, places, n);
	for (Size i = 0; i < n; i++)
	{
		BlockNumber block = range * HOTSET_BLOCKS + (places[i] >> 16) % HOTSET_BLOCKS;

		offsets[i] = (OffsetNumber) places[i];
		if (i == 0 || block != blocks[*nblocks - 1].block)
		{
			/* in order, as they were written: so no more than there are */
			if (i > 0 && block < blocks[*nblocks - 1].block)
				break;
			blocks[*nblocks].block = block;
			blocks[*nblocks].offsets = &offsets[i];
			blocks[(*nblocks)++].noffsets = 0;
		}
		blocks[*nblocks - 1].noffsets++;
	}
	return blocks;
}

/* Not from another version of the file, whose directory we do not have. */
static void
ReadPlaces(const HotSet *set, uint64 begin, uint32 *places, Size n)
{
	FILE	   *stream = AllocateFile(HOTSET_FILE, PG_BINARY_R);
	HotSetHeader header;

	if (stream == NULL || !ReadHeader(stream, &header) ||
		header.checksum != set->checksum ||
		fseeko(stream, set->places_offset + begin * sizeof(uint32), SEEK_SET) != 0 ||
		fread(places, sizeof(uint32), n, stream) != n)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", HOTSET_FILE)));
	FreeFile(stream);
}
