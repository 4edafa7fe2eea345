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
#include "access/tupdesc.h"
#include "fmgr.h"
#include "store.h"

typedef struct KeyColumn
{
	AttrNumber	attno;
	Oid			typid;			/* as declared; may be a domain */
	Oid			basetypid;
	int32		typmod;
	Oid			collation;		/* the index column's */
	int16		typlen;
	bool		typbyval;
	Oid			opfamily;		/* the index's, and its operators */
	Oid			eqop;
	FmgrInfo	eqproc;
	FmgrInfo	cmpproc;
	Oid			typioparam;		/* of the base type's input function */
	FmgrInfo	inproc;
} KeyColumn;

/*
 * The shape of a relation's rows.  Never changed once made; lives until the
 * end of the transaction in which it was replaced, at least.
 */
typedef struct ItemShape
{
	MemoryContext context;		/* holds this struct and what it points to */
	uint64		id;				/* never used again in this backend */
	TupleDesc	tupdesc;		/* a copy, with missing values */
	Oid			rowtype;
	bool		has_varlena;	/* any column that could need flattening */
	bool		has_virtual;	/* any virtual generated column */
	int			nkeys;			/* 0: no usable primary key */
	KeyColumn	keys[FLEXIBLE_ARRAY_MEMBER];
} ItemShape;

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
 * Fetch the key columns of a tuple or an image.  By-reference values point
 * into it; toasted ones are detoasted into the current memory context.
 */
extern void ItemKey(const ItemShape *shape, HeapTuple tuple, Datum *key);

/* Hash of a key's image, seeded with the owner's key ("relation"). */
extern uint64 KeyHash(const ItemShape *shape, uint64 relation, const Datum *key);

/* Are two values of key column "column" equal to the key's own operator? */
extern bool KeyEquals(ItemShape *shape, int column, Datum a, Datum b);

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
extern bool ColumnsHaveKey(const ItemShape *shape, const Datum *values,
						   const bool *isnull, const Datum *key);

#endif							/* ITEMCACHE_ITEM_H */
