/*-------------------------------------------------------------------------
 *
 * admission.h
 *	  Which misses are worth a fill.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_ADMISSION_H
#define ITEMCACHE_ADMISSION_H

#include "datatype/timestamp.h"
#include "store/owner.h"

/* Of an owner's newcomers no fewer than one in 2^ADMISSION_MAX are put in. */
#define ADMISSION_MAX		5

/*
 * Of the newcomers of an owner's slot, one in how many is put in?  1 as long as
 * newcomers pay.
 */
extern int	AdmissionOneIn(int number);

/*
 * A hash was looked for under "epoch" and is not there: shall it be put in, if
 * it is found in the table?  If not, that it was asked for is remembered.  "now"
 * is about the time.  Takes no lock, and promises nothing: whoever has said yes
 * may find no room, and whoever was told no may put it in all the same.
 */
extern bool AdmitNewcomer(uint64 hash, uint64 epoch, TimestampTz now);

/*
 * Have the processor fetch what AdmitNewcomer() will read; false if it will say
 * yes anyway, as things are.
 */
extern bool PrefetchAdmission(uint64 hash, uint64 epoch);

#endif							/* ITEMCACHE_ADMISSION_H */
