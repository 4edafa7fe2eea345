/*-------------------------------------------------------------------------
 *
 * absence.c
 *	  That there is no row of a key.
 *
 * The order is what makes it right, together with what those do who write the
 * table (arrival.c); README argues it, under "Absent keys":
 *
 *		the table's epoch of absences; full barrier		BeginAbsences()
 *		the key's counter								NextAbsence()
 *		the index: nothing								the caller's read
 *		epoch and counter again							FillAbsence()
 *
 * May call: visibility, item, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/xlog.h"
#include "lookup/absence.h"
#include "testpoint.h"
#include "utils/snapmgr.h"

/* Bytes of a key's image; larger ones are looked up each time. */
#define MAX_ABSENT_SIZE		512

typedef uint64 AbsentImage[MAX_ABSENT_SIZE / sizeof(uint64)];

/* The epoch is read after the snapshot was taken. */
bool
KeyIsAbsent(const ItemAccess *access, const Datum *key, uint64 hash,
			StoreHint place)
{
	ItemRelation *relation = access->relation;
	AbsentImage image;
	uint64		epoch;
	Size		size;

	if (!access->serve || !access->absences || place == STORE_MISSING ||
		access->snapshot->takenDuringRecovery)
		return false;
	epoch = OwnerAbsenceEpoch(EpochOwner(access->epoch), relation->key);
	if (epoch == EPOCH_NONE)
		return false;
	size = KeyImage(access->key, key, image, MAX_ABSENT_SIZE);
	return size > 0 && StoreFindAbsence(hash, epoch, place, image, size) &&
		!SnapshotIsTooOld(access->snapshot);
}

void
BeginAbsence(AbsenceFill *fill, const ItemAccess *access, uint64 hash)
{
	BeginAbsences(fill, access);
	NextAbsence(fill, hash);
}

void
BeginAbsences(AbsenceFill *fill, const ItemAccess *access)
{
	ItemRelation *relation = access->relation;

	fill->wanted = access->serve && access->fill && access->absences &&
		!RecoveryInProgress();
	if (!fill->wanted)
		return;
	fill->epoch = OwnerAbsenceEpoch(EpochOwner(access->epoch), relation->key);
	pg_memory_barrier();
}

/*
 * A table that has had no absences begins to have them with the next: those who
 * write it have to know before the index is read.
 */
void
FillAbsence(const AbsenceFill *fill, const ItemAccess *access,
			const Datum *key, uint64 hash)
{
	ItemRelation *relation = access->relation;
	AbsentImage image;
	Size		size;

	if (!fill->wanted || !access->fill)
		return;
	if (fill->epoch == EPOCH_NONE)
	{
		OwnerBeginAbsences(EpochOwner(access->epoch), relation->key);
		return;
	}
	TestPoint("absence_found_none");
	size = KeyImage(access->key, key, image, MAX_ABSENT_SIZE);
	if (size > 0)
		(void) StoreFillAbsence(hash, fill->epoch, image, size, fill->counter);
}
