/*-------------------------------------------------------------------------
 *
 * item.h
 *	  What an item looks like: the image of its row, and its key.
 *
 * An image is a row as a composite datum (HeapTupleHeader with datum length
 * and row type in place of the transaction fields), with nothing out of line
 * and nothing compressed, padded with zeroes to STORE_ALIGN; its t_ctid is
 * the row's own TID.
 *
 * The image of a key is the bytes of its columns as the row has them,
 * detoasted, without varlena headers.  Two keys that are equal but not
 * bytewise so (1.0 and 1.00) have different images, and are different keys
 * as far as the store is concerned.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_ITEM_H
#define ITEMCACHE_ITEM_H

#include "access/htup_details.h"
#include "executor/tuptable.h"
#include "store/store.h"
#include "table/shape.h"

/*
 * Image of "tuple", allocated in the current memory context, or NULL if it
 * would take more than "limit" bytes.  May read TOAST: needs a snapshot, and
 * no buffer lock may be held.
 */
extern HeapTupleHeader ItemImage(const ItemShape *shape, HeapTuple tuple,
								 Size limit);

/* Bytes of an image in the store: its datum length, padded. */
#define ItemImageSize(image) \
	TYPEALIGN(STORE_ALIGN, HeapTupleHeaderGetDatumLength(image))

/*
 * What an image is made of, for who puts it somewhere himself: the bytes of the
 * row, but for the tuple's fixed header, for which another stands.  Mostly they
 * are the tuple's own, on its page.
 */
typedef struct ImageSource
{
	const char *bytes;
	Size		length;			/* of the datum, not padded */
	HeapTuple	flat;			/* what was made for it, if the bytes are not the
								 * row's own, to be freed */
	HeapTupleHeaderData header; /* SizeofHeapTupleHeader bytes of it */
} ImageSource;

/*
 * Find that of a tuple, or of the tuple in a slot, whose columns are formed then
 * if that is needed; or of an image that is there already.  False if the image
 * would take more than "limit" bytes.  May allocate, and read TOAST, as
 * ItemImage().  Good as long as the tuple (pinned) or image is.
 */
extern bool FindImage(const ItemShape *shape, HeapTuple tuple,
					  TupleTableSlot *slot, Size limit, ImageSource *source);
extern void ImageIsSource(HeapTupleHeader image, ImageSource *source);

/* Bytes of its image in the store. */
#define ImageSourceSize(source) TYPEALIGN(STORE_ALIGN, (source)->length)

/* Make it the payload of what is put into the store. */
extern void SetContent(StoreContent *content, const ImageSource *source);

/*
 * Has a tuple a value in each column of the key?  A row of the table has, but
 * for one that only a snapshot older than the primary key sees.
 */
extern bool HasItemKey(const ItemShape *shape, HeapTuple tuple);

/*
 * Fetch the key columns of a tuple or an image.  By-reference values point
 * into it; toasted ones are detoasted into the current memory context.
 */
extern void ItemKey(const ItemShape *shape, HeapTuple tuple, Datum *key);

/*
 * What the hashes of a relation's keys are made with, for one purpose (0: its
 * primary key).  Nobody outside can know it, so nobody can choose a key by its
 * hash, nor compare hashes of two relations (secret.c).
 */
#define KEY_SEED_WORDS	3

extern void MakeKeySeed(uint64 ownerkey, uint64 purpose, uint64 *seed);

/*
 * The finalizer of MurmurHash3, with multipliers from the seed in place of its
 * own.  These being odd, it is a bijection, so short keys do not collide.  That
 * is no cryptographic function, but nobody gets to see what it gives.
 */
static inline uint64
MixHash(uint64 hash, const uint64 *seed)
{
	hash ^= hash >> 33;
	hash *= seed[1];
	hash ^= hash >> 33;
	hash *= seed[2];
	hash ^= hash >> 33;
	return hash;
}

/*
 * The bytes of a pass-by-value datum that count.  A fetched value and a
 * computed one may differ above them (a large OID, say, is sign-extended by
 * one and not by the other).
 */
static inline uint64
ByvalImage(const KeyColumn *column, Datum value)
{
	if (column->typlen == sizeof(Datum))
		return (uint64) value;
	switch (column->typlen)
	{
		case 1:
			return (uint8) value;
		case 2:
			return (uint16) value;
		default:
			return (uint32) value;
	}
}

/*
 * Hash of a key's image.  One number is the usual case, here and below, and
 * is in the way of every lookup.
 */
extern uint64 KeyHashGeneral(const ItemShape *shape, const uint64 *seed,
							 const Datum *key);

static inline uint64
KeyHash(const ItemShape *shape, const uint64 *seed, const Datum *key)
{
	if (shape->nkeys == 1 && shape->keys[0].typbyval)
		return MixHash(seed[0] ^ ByvalImage(&shape->keys[0], key[0]), seed);
	return KeyHashGeneral(shape, seed, key);
}

/*
 * The image of a key as bytes, with the numbers of its columns: of two keys of a
 * relation they are the same if, and only if, the columns and their values are.
 * Returns their number, a multiple of STORE_ALIGN; 0 if they are more than
 * "limit".
 */
extern Size KeyImage(const ItemShape *shape, const Datum *key, uint64 *image,
					 Size limit);

/* Is "key" bytewise the key of this image (of "shape")? */
extern bool ImageHasKey(const ItemShape *shape, HeapTupleHeader image,
						const Datum *key);

/*
 * Form the first "natts" columns of an image (of "shape") of which the first
 * "size" bytes are at hand, its header included: values point into it.  Returns
 * how many bytes that took, or 0 if it takes more.
 */
extern Size FormColumns(const ItemShape *shape, HeapTupleHeader image, Size size,
						int natts, Datum *values, bool *isnull);

/* Is "key" bytewise the key of these columns, up to the key's last? */
extern bool ColumnsHaveKeyGeneral(const ItemShape *shape, const Datum *values,
								  const bool *isnull, const Datum *key);

static inline bool
ColumnsHaveKey(const ItemShape *shape, const Datum *values, const bool *isnull,
			   const Datum *key)
{
	const KeyColumn *column = &shape->keys[0];

	if (shape->nkeys == 1 && column->typbyval)
		return !isnull[column->attno - 1] &&
			ByvalImage(column, values[column->attno - 1]) ==
			ByvalImage(column, key[0]);
	return ColumnsHaveKeyGeneral(shape, values, isnull, key);
}

#endif							/* ITEMCACHE_ITEM_H */
