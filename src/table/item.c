/*-------------------------------------------------------------------------
 *
 * item.c
 *	  What an item looks like: the image of its row, and its key.
 *
 * Pure functions of bytes: nothing here looks at catalogs, the store or the
 * transaction.  See item.h for the two images.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "common/hashfn.h"
#include "store/secret.h"
#include "store/store.h"
#include "table/item.h"
#include "utils/memutils.h"

static bool MayNeedFlattening(const ItemShape *shape, HeapTuple tuple);
static bool NeedsFlattening(const ItemShape *shape, const Datum *values,
							const bool *isnull, Size *rawsize);
static HeapTuple FormFlatTuple(const ItemShape *shape, const Datum *values,
							   const bool *isnull);
static bool SetSource(const ItemShape *shape, HeapTuple tuple, ItemPointer tid,
					  Size limit, ImageSource *source);
static bool ImageEquals(const KeyColumn *column, Datum a, Datum b);

HeapTupleHeader
ItemImage(const ItemShape *shape, HeapTuple tuple, Size limit)
{
	ImageSource source;
	Size		size;
	char	   *image;

	if (!FindImage(shape, tuple, NULL, limit, &source))
		return NULL;
	size = ImageSourceSize(&source);
	image = palloc(size);
	memcpy(image, source.bytes, source.length);
	memcpy(image, &source.header, SizeofHeapTupleHeader);
	memset(image + source.length, 0, size - source.length);
	if (source.flat != NULL)
		heap_freetuple(source.flat);
	return (HeapTupleHeader) image;
}

bool
FindImage(const ItemShape *shape, HeapTuple tuple, TupleTableSlot *slot,
		  Size limit, ImageSource *source)
{
	Datum		own_values[MaxHeapAttributeNumber];
	bool		own_isnull[MaxHeapAttributeNumber];
	const Datum *values = own_values;
	const bool *isnull = own_isnull;
	Size		rawsize;
	bool		complete;

	source->flat = NULL;
	if (!MayNeedFlattening(shape, tuple))
		return SetSource(shape, tuple, &tuple->t_self, limit, source);

	if (slot != NULL)
	{
		slot_getallattrs(slot);
		values = slot->tts_values;
		isnull = slot->tts_isnull;
	}
	else
		heap_deform_tuple(tuple, shape->tupdesc, own_values, own_isnull);
	complete = HeapTupleHeaderGetNatts(tuple->t_data) == shape->tupdesc->natts &&
		!HeapTupleHasExternal(tuple);
	if (!NeedsFlattening(shape, values, isnull, &rawsize) && complete)
		return SetSource(shape, tuple, &tuple->t_self, limit, source);
	if (rawsize > limit)
		return false;
	source->flat = FormFlatTuple(shape, values, isnull);
	if (SetSource(shape, source->flat, &tuple->t_self, limit, source))
		return true;
	heap_freetuple(source->flat);
	return false;
}

/*
 * Most rows are cached as they are.  A row needs more if it is shorter than
 * its table is wide (columns were added with a default that the heap has not
 * been told of), or has a value out of line (be it in a dropped column) or
 * compressed.
 */
static bool
MayNeedFlattening(const ItemShape *shape, HeapTuple tuple)
{
	return HeapTupleHeaderGetNatts(tuple->t_data) != shape->tupdesc->natts ||
		HeapTupleHasExternal(tuple) ||
		(shape->has_varlena && HeapTupleHasVarWidth(tuple));
}

/*
 * Is any value out of line or compressed?  *rawsize is set to what these
 * values take when they are not.
 */
static bool
NeedsFlattening(const ItemShape *shape, const Datum *values,
				const bool *isnull, Size *rawsize)
{
	TupleDesc	tupdesc = shape->tupdesc;
	bool		result = false;

	*rawsize = 0;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (isnull[i] || att->attlen != -1 || att->attisdropped)
			continue;
		if (VARATT_IS_EXTERNAL(DatumGetPointer(values[i])) ||
			VARATT_IS_COMPRESSED(DatumGetPointer(values[i])))
		{
			*rawsize += toast_raw_datum_size(values[i]);
			result = true;
		}
	}
	return result;
}

static HeapTuple
FormFlatTuple(const ItemShape *shape, const Datum *values, const bool *isnull)
{
	TupleDesc	tupdesc = shape->tupdesc;
	Datum		flat_values[MaxHeapAttributeNumber];
	bool		flat_isnull[MaxHeapAttributeNumber];
	Pointer		detoasted[MaxHeapAttributeNumber];
	int			ndetoasted = 0;
	HeapTuple	flat;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		flat_values[i] = values[i];
		flat_isnull[i] = isnull[i] || att->attisdropped;
		if (!flat_isnull[i] && att->attlen == -1)
		{
			Pointer		value = (Pointer) PG_DETOAST_DATUM_PACKED(values[i]);

			if (value != DatumGetPointer(values[i]))
				detoasted[ndetoasted++] = value;
			flat_values[i] = PointerGetDatum(value);
		}
	}
	flat = heap_form_tuple(tupdesc, flat_values, flat_isnull);
	while (ndetoasted > 0)
		pfree(detoasted[--ndetoasted]);
	return flat;
}

/* The source that is a tuple, as it is cached as the row at a TID. */
static bool
SetSource(const ItemShape *shape, HeapTuple tuple, ItemPointer tid, Size limit,
		  ImageSource *source)
{
	HeapTupleHeader header = &source->header;

	if (TYPEALIGN(STORE_ALIGN, tuple->t_len) > Min(limit, MaxAllocSize))
		return false;
	source->bytes = (const char *) tuple->t_data;
	source->length = tuple->t_len;
	memcpy(header, tuple->t_data, SizeofHeapTupleHeader);
	HeapTupleHeaderSetDatumLength(header, tuple->t_len);
	HeapTupleHeaderSetTypeId(header, shape->rowtype);
	HeapTupleHeaderSetTypMod(header, -1);
	header->t_ctid = *tid;
	header->t_infomask &= ~HEAP_XACT_MASK;
	header->t_infomask2 &= ~HEAP2_XACT_MASK;
	return true;
}

void
ImageIsSource(HeapTupleHeader image, ImageSource *source)
{
	source->bytes = (const char *) image;
	source->length = HeapTupleHeaderGetDatumLength(image);
	source->flat = NULL;
	memcpy(&source->header, image, SizeofHeapTupleHeader);
}

void
SetContent(StoreContent *content, const ImageSource *source)
{
	content->payload = source->bytes;
	content->size = ImageSourceSize(source);
	content->padding = content->size - source->length;
	content->head = &source->header;
	content->head_size = SizeofHeapTupleHeader;
}

bool
HasItemKey(const ItemShape *shape, HeapTuple tuple)
{
	for (int i = 0; i < shape->nkeys; i++)
	{
		if (heap_attisnull(tuple, shape->keys[i].attno, shape->tupdesc))
			return false;
	}
	return true;
}

void
ItemKey(const ItemShape *shape, HeapTuple tuple, Datum *key)
{
	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];
		bool		isnull;

		key[i] = heap_getattr(tuple, column->attno, shape->tupdesc, &isnull);
		Assert(!isnull);
		if (column->typlen == -1)
			key[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key[i]));
	}
}

/* The bytes of a pass-by-reference datum. */
static inline const unsigned char *
ByrefImage(const KeyColumn *column, Datum value, int *len)
{
	if (column->typlen == -1)
	{
		*len = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
		return (const unsigned char *) VARDATA_ANY(DatumGetPointer(value));
	}
	*len = column->typlen == -2 ?
		strlen(DatumGetCString(value)) + 1 : column->typlen;
	return (const unsigned char *) DatumGetPointer(value);
}

void
MakeKeySeed(uint64 ownerkey, uint64 purpose, uint64 *seed)
{
	DeriveSecrets(ownerkey, purpose, KEY_SEED_WORDS, seed);
	seed[1] |= 1;
	seed[2] |= 1;
}

uint64
KeyHashGeneral(const ItemShape *shape, const uint64 *seed, const Datum *key)
{
	uint64		hash = seed[0];

	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];

		if (column->typbyval)
			hash = MixHash(hash ^ ByvalImage(column, key[i]), seed);
		else
		{
			int			len;
			const unsigned char *bytes = ByrefImage(column, key[i], &len);

			hash = MixHash(hash_bytes_extended(bytes, len, hash),
						   seed);
		}
	}
	return hash;
}

/*
 * For each column its number, the length, and the bytes; then what rounds it up.
 * As no column has the number 0, that is not taken for another.
 */
Size
KeyImage(const ItemShape *shape, const Datum *key, uint64 *image, Size limit)
{
	char	   *dest = (char *) image;
	Size		used = 0;
	Size		size;

	Assert(limit % STORE_ALIGN == 0 && limit <= PG_UINT16_MAX);
	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];
		uint64		number;
		const unsigned char *bytes = (const unsigned char *) &number;
		int			len = sizeof(number);
		uint16		head[2];

		if (column->typbyval)
			number = ByvalImage(column, key[i]);
		else
			bytes = ByrefImage(column, key[i], &len);
		if (used + sizeof(head) + len > limit)
			return 0;
		head[0] = column->attno;
		head[1] = len;
		memcpy(dest + used, head, sizeof(head));
		memcpy(dest + used + sizeof(head), bytes, len);
		used += sizeof(head) + len;
	}
	size = TYPEALIGN(STORE_ALIGN, used);
	memset(dest + used, 0, size - used);
	return size;
}

static inline bool
ImageEquals(const KeyColumn *column, Datum a, Datum b)
{
	const unsigned char *abytes;
	const unsigned char *bbytes;
	int			alen;
	int			blen;

	if (column->typbyval)
		return ByvalImage(column, a) == ByvalImage(column, b);

	abytes = ByrefImage(column, a, &alen);
	bbytes = ByrefImage(column, b, &blen);
	return alen == blen && memcmp(abytes, bbytes, alen) == 0;
}

bool
ColumnsHaveKeyGeneral(const ItemShape *shape, const Datum *values,
					  const bool *isnull, const Datum *key)
{
	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *column = &shape->keys[i];

		if (isnull[column->attno - 1] ||
			!ImageEquals(column, values[column->attno - 1], key[i]))
			return false;
	}
	return true;
}

/*
 * As heap_deform_tuple(), but never looks at a byte that is not there.  (The
 * image is whole, so it needs no more care than that: its values are neither
 * out of line nor compressed.)
 */
Size
FormColumns(const ItemShape *shape, HeapTupleHeader image, Size size,
			int natts, Datum *values, bool *isnull)
{
	TupleDesc	tupdesc = shape->tupdesc;
	int			nstored = Min(HeapTupleHeaderGetNatts(image), natts);
	bool		hasnull = (image->t_infomask & HEAP_HASNULL) != 0;
	char	   *data = (char *) image;
	Size		off = image->t_hoff;

	if (off > size)
		return 0;
	for (int i = 0; i < nstored; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		isnull[i] = hasnull && att_isnull(i, image->t_bits);
		if (isnull[i])
		{
			values[i] = (Datum) 0;
			continue;
		}
		if (att->attlen > 0)
		{
			off = att_align_nominal(off, att->attalign);
			if (off + att->attlen > size)
				return 0;
			values[i] = fetchatt(att, data + off);
			off += att->attlen;
			continue;
		}

		/* the length comes first, or the end is marked */
		if (off >= size)
			return 0;
		off = att_align_pointer(off, att->attalign, att->attlen, data + off);
		if (att->attlen == -1)
		{
			if (off >= size ||
				(!VARATT_IS_1B(data + off) && off + VARHDRSZ > size))
				return 0;
		}
		else if (off >= size || memchr(data + off, '\0', size - off) == NULL)
			return 0;
		values[i] = PointerGetDatum(data + off);
		off = att_addlength_pointer(off, att->attlen, data + off);
		if (off > size)
			return 0;
	}

	/* columns added since, which the row does not have */
	for (int i = nstored; i < natts; i++)
		values[i] = getmissingattr(tupdesc, i + 1, &isnull[i]);
	return off;
}

bool
ImageHasKey(const ItemShape *shape, HeapTupleHeader image, const Datum *key)
{
	HeapTupleData tuple;

	/* the usual case: a bigint or the like in the first column */
	if (shape->nkeys == 1 && shape->keys[0].attno == 1 &&
		shape->keys[0].typbyval && shape->keys[0].typlen == sizeof(Datum))
		return *(Datum *) ((char *) image + image->t_hoff) == key[0];

	tuple.t_len = HeapTupleHeaderGetDatumLength(image);
	tuple.t_data = image;
	for (int i = 0; i < shape->nkeys; i++)
	{
		bool		isnull;
		Datum		value;

		value = heap_getattr(&tuple, shape->keys[i].attno, shape->tupdesc,
							 &isnull);
		if (isnull || !ImageEquals(&shape->keys[i], value, key[i]))
			return false;
	}
	return true;
}
