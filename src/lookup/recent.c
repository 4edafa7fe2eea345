/*-------------------------------------------------------------------------
 *
 * recent.c
 *	  The buffers that blocks were last found in.
 *
 * README argues it, under "Recent buffers".
 *
 * May call: nothing of ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "lookup/recent.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* A power of two.  Of 8 kB pages, 128 MB. */
#define RECENT_BLOCKS	16384

/* Nothing, as long as there is no buffer. */
typedef struct RecentBlock
{
	BlockNumber block;
	Buffer		buffer;
} RecentBlock;

static RecentBlock RecentBlocks[RECENT_BLOCKS];

static RecentBlock *RecentPlace(Relation rel, BlockNumber block);

Buffer
RecentBuffer(Relation rel, BlockNumber block)
{
	const RecentBlock *place = RecentPlace(rel, block);

	/* one may have the same number as another's file */
	Assert(!RelationUsesLocalBuffers(rel));
	if (place->block != block || !BufferIsValid(place->buffer) ||
		!BufferHasBlock(GetBufferDescriptor(place->buffer - 1), rel, block))
		return InvalidBuffer;
	return place->buffer;
}

void
RememberBuffer(Relation rel, BlockNumber block, Buffer buffer)
{
	RecentBlock *place = RecentPlace(rel, block);

	if (BufferIsLocal(buffer))
		return;
	place->block = block;
	place->buffer = buffer;
}

/* Not if the buffer's count of uses would have grown. */
bool
PinRecentBuffer(Relation rel, BlockNumber block, Buffer buffer)
{
	if (BufferIsLocal(buffer) ||
		BufferUseCount(GetBufferDescriptor(buffer - 1)) < BM_MAX_USAGE_COUNT ||
		!ReadRecentBuffer(FileOfRelation(rel), MAIN_FORKNUM, block, buffer))
		return false;
	pgstat_count_buffer_read(rel);
	pgstat_count_buffer_hit(rel);
	return true;
}

/* Consecutive blocks are beside each other; relations begin anywhere. */
static RecentBlock *
RecentPlace(Relation rel, BlockNumber block)
{
	uint32		first = FileNumberOfRelation(rel) * 0x9E3779B1;

	return &RecentBlocks[(first + block) % RECENT_BLOCKS];
}
