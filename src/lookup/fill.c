/*-------------------------------------------------------------------------
 *
 * fill.c
 *	  Rule 2: caching what was read from the table.
 *
 * The order is what makes it right, and is the same for a lookup and for the
 * preloader, which learns the key only from the row:
 *
 *		the table's epoch			(BeginItemAccess)
 *		the version					(the caller's read)
 *		on a standby, the version's mark	here
 *		the key's counter			here
 *		the version's xmax			here, under the buffer's share lock
 *		epoch and counter again		StoreFill(), under the partition lock
 *
 * If nobody has set xmax when we look, whoever sets it later moves the
 * counter later still, before the commit becomes visible: either we see that
 * the counter has moved, or our item is there for the writer to remove.  On a
 * standby it is the startup process that sets xmax, and then the words that the
 * mark names (rule 0).
 *
 * May call: visibility, relation, warmth, replay, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "lookup/fill.h"
#include "replay/replay.h"
#include "settings.h"
#include "storage/bufmgr.h"
#include "store/admission.h"
#include "table/warmth.h"
#include "testpoint.h"

/*
 * Room for a row is asked for before it is cached: for so many bytes while its
 * size is not known, and for no more than the most, as the processor finds out by
 * itself what is written in order.  Of several rows, so many before: more would
 * push each other out.
 */
#define PREFETCH_ROOM	320
#define PREFETCH_MOST	1024
#define PREFETCH_AHEAD	4

static bool FillsAll(const ItemAccess *access);
static void PrefetchRoomOf(const FillItem *item, bool load);
static bool PrepareItems(Buffer buffer, FillItem *items, int nitems);

Size
ItemSizeLimit(void)
{
	return Min((Size) itemcache_max_item_size * 1024, STORE_MAX_SIZE);
}

void
CountTooLarge(const ItemAccess *access)
{
	RelationCount(access->relation, COUNT_TOO_LARGE, 1);
}

bool
FillPays(const ItemAccess *access, uint64 hash)
{
	if (!access->fill)
		return false;
	if (AdmitNewcomer(hash, access->epoch, GetCurrentStatementStartTimestamp()))
		return true;
	RelationCount(access->relation, COUNT_SPARED, 1);
	return false;
}

void
PrefetchFill(const ItemAccess *access, uint64 hash)
{
	if (access->fill && !PrefetchAdmission(hash, access->epoch))
		StorePrefetchFill(hash);
}

void
PrefetchRoom(const ItemAccess *access, uint64 hash)
{
	if (FillsAll(access))
		StorePrefetchRoom(hash, PREFETCH_ROOM);
}

void
PrefetchTail(const ItemAccess *access, uint64 hash)
{
	if (FillsAll(access))
		StorePrefetchTail(hash, PREFETCH_ROOM);
}

/* Or is only a sample of what is missed put in? */
static bool
FillsAll(const ItemAccess *access)
{
	return access->fill && AdmissionOneIn(EpochOwner(access->epoch)) == 1;
}

void
FillItems(const ItemAccess *access, Buffer buffer, FillItem *items, int nitems,
		  bool if_room)
{
	bool		marked = PrepareItems(buffer, items, nitems);
	int			filled = 0;
	int			refused = 0;
	int			busy = 0;

	/* who looks up a key has asked for its room before */
	for (int i = 0; if_room && i < Min(nitems, PREFETCH_AHEAD); i++)
		PrefetchRoomOf(&items[i], true);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	for (int i = 0; i < nitems; i++)
	{
		items[i].xid = 0;
		if (VersionIsCurrent(items[i].version))
			items[i].xid = VersionXid(items[i].version);
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	TestPoint("fill_looked");

	for (int i = 0; i < nitems; i++)
	{
		FillItem   *item = &items[i];
		StoreContent content = {
			.kind = STORE_ROW,
			.xid = item->xid,
			.mark = marked ? &item->mark : NULL,
			.used = item->used
		};

		if (i + PREFETCH_AHEAD < nitems)
			PrefetchRoomOf(&items[i + PREFETCH_AHEAD], if_room);
		if (i + PREFETCH_AHEAD / 2 < nitems)
			StorePrefetchTail(items[i + PREFETCH_AHEAD / 2].hash, PREFETCH_ROOM);
		SetContent(&content, &item->image);
		item->result = STORE_STALE;
		if (item->xid != 0)
			item->result = StoreFill(item->hash, access->epoch, &content,
									 item->counter, if_room);
		if (item->result == STORE_DONE)
			filled++;
		else if (item->result == STORE_STALE)
			refused++;
		else if (item->result == STORE_BUSY)
			busy++;
		else if (item->result == STORE_TOO_LARGE)
			CountTooLarge(access);
	}
	if (filled > 0)
	{
		RelationCount(access->relation, COUNT_FILLS, filled);
		TellWarmthIfChanged(access->relation);
	}
	if (refused > 0)
		RelationCount(access->relation, COUNT_REFUSED, refused);
	if (busy > 0)
		RelationCount(access->relation, COUNT_BUSY, busy);
}

/* Of what is certain to be filled, by a load or not. */
static void
PrefetchRoomOf(const FillItem *item, bool load)
{
	Size		size = Min(ImageSourceSize(&item->image), PREFETCH_MOST);

	if (load)
		StoreMapRoom(item->hash, size);
	StorePrefetchRoom(item->hash, size);
}

/*
 * What is read before the versions' xmax: counters, and on a standby marks.
 * Returns whether the items are to carry these.  If recovery has ended, all
 * that was replayed can be seen, and writers remove by key what we put in; if it
 * ends after we have asked, marks do no harm.
 */
static bool
PrepareItems(Buffer buffer, FillItem *items, int nitems)
{
	bool		marked = ReplayIsFollowed() && RecoveryInProgress();
	StoreMark	page = {0};

	if (marked)
		ReplayReadMark(buffer, &page);
	for (int i = 0; i < nitems; i++)
	{
		if (marked)
			items[i].mark =
				ReplayMarkOf(&page,
							 ItemPointerGetOffsetNumber(&items[i].image.header.t_ctid));
		items[i].counter = StoreReadCounter(items[i].hash);
	}
	return marked;
}
