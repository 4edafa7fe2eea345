/*-------------------------------------------------------------------------
 *
 * replay.c
 *	  What the startup process of a standby tells the cache (rule 0).
 *
 * The redo functions of three resource managers are replaced by ours, which
 * call the ones that were there before:
 *
 *		heap		a version got an updater: its words are set
 *		standby		a transaction of the primary has locked tables in
 *					AccessExclusiveLock: their epochs move
 *		database	a database has gone: the epochs of its tables move
 *
 * Rules
 *
 * - The original function first, always: a word is set, and an epoch moved,
 *   when what it tells of can be seen.  README has the argument for each; the
 *   order, with both words, was checked with herd7 under the memory models of
 *   ARMv8, POWER and RISC-V.
 *
 * - Words are written by the startup process, by plain atomic stores, and only
 *   grow.  Everybody reads them without a lock.
 *
 * - A region's word is 0 until somebody fills from there, who makes it
 *   REGION_OF_INTEREST; then it is the startup process's, too.  Whether words
 *   are to be set is decided by the region's as it is after the original
 *   function: a filler sets it before it locks the buffer, so either we see
 *   that or it sees the updater.
 *
 * - An error in the startup process ends the server: nothing here raises one,
 *   allocates, or takes a lock but OwnerLock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include <sys/stat.h>

#include "access/heapam_xlog.h"
#include "access/htup_details.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "commands/dbcommands_xlog.h"
#include "replay/replay.h"
#include "settings.h"
#include "storage/bufmgr.h"
#include "storage/shmem.h"
#include "storage/standbydefs.h"
#include "store/owner.h"
#include "testpoint.h"

/*
 * A word for so many bytes of itemcache.memory.  Rows of 80 bytes take no less,
 * with all; of smaller ones there may be more, some of which share a word.
 */
#define MEMORY_PER_WORD		128

/* A page's places are neighbours, so the last page wants some behind it. */
#define WORDS_PER_PAGE		(MaxHeapTuplesPerPage + 1)

/* The blocks of a region, and a region's word for so many bytes of memory. */
#define REGION_BLOCKS		128
#define MEMORY_PER_REGION	2048
#define MAX_REGIONS			65536

/* Before any record that there is. */
#define REGION_OF_INTEREST	1

StaticAssertDecl(MAX_REGIONS <= 1 << (64 - MARK_REGION_SHIFT),
				 "a region's number fits into a mark");

typedef struct ReplayShared
{
	/* statistics; written by the startup process */
	pg_atomic_uint64 versions;
	pg_atomic_uint64 tables;
	/* those of regions, then those of places */
	pg_atomic_uint64 words[FLEXIBLE_ARRAY_MEMBER];
} ReplayShared;

/* Where a version is that has got an updater. */
typedef struct OldVersion
{
	uint64		region;
	uint64		word;
} OldVersion;

pg_atomic_uint64 *ReplayRegions = NULL;
pg_atomic_uint64 *ReplayWords = NULL;
uint64		ReplayRegionCount = 0;

static ReplayShared *Shared = NULL;
static Size SharedSize = 0;
static uint64 WordCount = 0;	/* less those behind the last page's */

static void (*PreviousHeapRedo) (XLogReaderState *record);
static void (*PreviousStandbyRedo) (XLogReaderState *record);
static void (*PreviousDatabaseRedo) (XLogReaderState *record);

static uint64 RegionsFor(Size memory);
static uint64 WordsFor(Size memory);
static bool FindOldVersion(XLogReaderState *record, OldVersion *version);
static void HeapRedo(XLogReaderState *record);
static void StandbyRedo(XLogReaderState *record);
static void DatabaseRedo(XLogReaderState *record);

/*
 * A server that becomes a standby without having been started as one (a signal
 * file was made while it ran, and a crash has it go through recovery) has no
 * words, as it did not ask for the memory.
 */
bool
ReplayWillBeFollowed(void)
{
	static int	followed = -1;

	if (followed < 0)
	{
		struct stat st;

		followed = stat(STANDBY_SIGNAL_FILE, &st) == 0 ||
			stat(RECOVERY_SIGNAL_FILE, &st) == 0;
	}
	return followed;
}

void
ReplayInit(void)
{
	if (!ReplayWillBeFollowed())
		return;
	PreviousHeapRedo = RmgrTable[RM_HEAP_ID].rm_redo;
	RmgrTable[RM_HEAP_ID].rm_redo = HeapRedo;
	PreviousStandbyRedo = RmgrTable[RM_STANDBY_ID].rm_redo;
	RmgrTable[RM_STANDBY_ID].rm_redo = StandbyRedo;
	PreviousDatabaseRedo = RmgrTable[RM_DBASE_ID].rm_redo;
	RmgrTable[RM_DBASE_ID].rm_redo = DatabaseRedo;
}

/*
 * Shared memory
 */

static uint64
RegionsFor(Size memory)
{
	return Min(memory / MEMORY_PER_REGION, MAX_REGIONS);
}

/* As many as there can be rows, but for very small ones. */
static uint64
WordsFor(Size memory)
{
	uint64		words = memory / MEMORY_PER_WORD;

	if (itemcache_max_items > 0)
		words = Min(words, (uint64) itemcache_max_items);
	return words;
}

Size
ReplayShmemSize(Size memory)
{
	if (!ReplayWillBeFollowed())
		return 0;
	return CACHELINEALIGN(offsetof(ReplayShared, words) +
						  (RegionsFor(memory) + WordsFor(memory) + WORDS_PER_PAGE) *
						  sizeof(uint64));
}

void
ReplayShmemInit(Size memory)
{
	bool		found;

	if (!ReplayWillBeFollowed())
		return;
	Shared = ShmemInitStruct("itemcache replay", ReplayShmemSize(memory), &found);
	if (!found)
		memset(Shared, 0, ReplayShmemSize(memory));
	WordCount = WordsFor(memory);
	SharedSize = ReplayShmemSize(memory);
	ReplayRegionCount = RegionsFor(memory);
	ReplayRegions = Shared->words;
	ReplayWords = Shared->words + ReplayRegionCount;
}

void
ReplayGetStats(ReplayStats *stats)
{
	memset(stats, 0, sizeof(ReplayStats));
	if (Shared == NULL)
		return;
	stats->memory = SharedSize;
	stats->versions = pg_atomic_read_u64(&Shared->versions);
	stats->tables = pg_atomic_read_u64(&Shared->tables);
}

/*
 * Places
 */

/*
 * A file is named as its buffers are, and not by what the relcache takes to be
 * the relation's.  (Files of one number in several tablespaces share places.)
 */
static inline uint64
FileHash(const BlockTag *tag)
{
	return (((uint64) tag->database << 32) | tag->filenumber) *
		UINT64CONST(0x9e3779b97f4a7c15);
}

static inline uint64
RegionOf(uint64 file, BlockNumber block)
{
	uint64		hash = ((file >> 16) ^ (block / REGION_BLOCKS)) *
		UINT64CONST(0xd6e8feb86659fd93);

	return ((hash >> 32) * ReplayRegionCount) >> 32;
}

/*
 * The word before that of a page's first version.  Neighbours on a page have
 * neighbouring words: where many are updated, mostly a page's come together.
 */
static inline uint64
PageWord(uint64 file, BlockNumber block)
{
	uint64		hash = ((file >> 16) ^ block) * UINT64CONST(0xff51afd7ed558ccd);

	return ((hash >> 32) * WordCount) >> 32;
}

static inline bool
IsOfInterest(uint64 region)
{
	return pg_atomic_read_u64(&ReplayRegions[region]) != 0;
}

/*
 * Interest that another has shown, and that we see, the startup process sees as
 * well, when it has locked the buffer after us.
 */
void
ReplayReadMark(Buffer buffer, StoreMark *page)
{
	BlockTag	tag;
	uint64		file;
	uint64		region;

	GetBlockTag(buffer, &tag);
	file = FileHash(&tag);
	region = RegionOf(file, tag.block);
	page->place = (region << MARK_REGION_SHIFT) | PageWord(file, tag.block);
	page->lsn = pg_atomic_read_u64(&ReplayRegions[region]);
	if (page->lsn == 0)
	{
		pg_atomic_compare_exchange_u64(&ReplayRegions[region], &page->lsn,
									   REGION_OF_INTEREST);
		page->lsn = Max(page->lsn, REGION_OF_INTEREST);
	}
}

StoreMark
ReplayMarkOf(const StoreMark *page, OffsetNumber offset)
{
	StoreMark	mark = *page;

	Assert(OffsetNumberIsValid(offset) && offset < WORDS_PER_PAGE);
	mark.place += offset;
	/* what it shares its word with may be of a region that was written later */
	mark.lsn = Max(mark.lsn, pg_atomic_read_u64(&ReplayWords[MarkWord(&mark)]));
	return mark;
}

/*
 * In the startup process
 */

/* The version that a record gives an updater, if it does. */
static bool
FindOldVersion(XLogReaderState *record, OldVersion *version)
{
	char	   *data = XLogRecGetData(record);
	uint8		block_id = 0;
	OffsetNumber offset;
	BlockTag	tag;
	uint64		file;

	switch (XLogRecGetInfo(record) & XLOG_HEAP_OPMASK)
	{
		case XLOG_HEAP_DELETE:
			offset = ((xl_heap_delete *) data)->offnum;
			break;
		case XLOG_HEAP_UPDATE:
		case XLOG_HEAP_HOT_UPDATE:
			offset = ((xl_heap_update *) data)->old_offnum;
			/* the new version's block is the first, and the old one's as well */
			if (XLogRecHasBlockRef(record, 1))
				block_id = 1;
			break;
		default:
			return false;
	}
	ReadBlockTag(record, block_id, &tag);
	file = FileHash(&tag);
	version->region = RegionOf(file, tag.block);
	version->word = PageWord(file, tag.block) + Min(offset, WORDS_PER_PAGE);
	return true;
}

/*
 * The version's xmax first, then its words, in either order: whoever reads one
 * of them in between, and looks at xmax then, finds it.
 */
static void
HeapRedo(XLogReaderState *record)
{
	OldVersion	version;
	bool		found = ReplayIsFollowed() && FindOldVersion(record, &version);

	if (found && IsOfInterest(version.region))
		prefetch_for_write(&ReplayWords[version.word]);

	if (found)
		TestPoint("heap_redo");
	PreviousHeapRedo(record);

	/* asked again: somebody may have begun to fill meanwhile */
	if (found && IsOfInterest(version.region))
	{
		pg_atomic_write_u64(&ReplayWords[version.word], record->EndRecPtr);
		pg_atomic_write_u64(&ReplayRegions[version.region], record->EndRecPtr);
		pg_atomic_write_u64(&Shared->versions,
							pg_atomic_read_u64(&Shared->versions) + 1);
	}
}

/*
 * The startup process has the locks now, so nobody who has read such a table
 * before may go on to fill under the new epoch.
 */
static void
StandbyRedo(XLogReaderState *record)
{
	xl_standby_locks *record_locks;

	PreviousStandbyRedo(record);
	if (Shared == NULL ||
		(XLogRecGetInfo(record) & ~XLR_INFO_MASK) != XLOG_STANDBY_LOCK)
		return;

	record_locks = (xl_standby_locks *) XLogRecGetData(record);
	for (int i = 0; i < record_locks->nlocks; i++)
	{
		xl_standby_lock *lock = &record_locks->locks[i];

		if (OwnerMoveEpoch(RelationOwnerKey(lock->dbOid, lock->relOid)))
			pg_atomic_write_u64(&Shared->tables,
								pg_atomic_read_u64(&Shared->tables) + 1);
	}
}

/* Nobody is in the database any more, and nobody can enter. */
static void
DatabaseRedo(XLogReaderState *record)
{
	PreviousDatabaseRedo(record);
	if (Shared == NULL ||
		(XLogRecGetInfo(record) & ~XLR_INFO_MASK) != XLOG_DBASE_DROP)
		return;
	OwnerMoveEpochs(RelationOwnerKey(((xl_dbase_drop_rec *) XLogRecGetData(record))->db_id, 0),
					RelationOwnerKey(PG_UINT32_MAX, 0));
}
