/*-------------------------------------------------------------------------
 *
 * keyarg.c
 *	  From the key a caller gives (a bigint, a text, a uuid, a record) to
 *	  values of a relation's key columns.
 *
 * What the argument's type is to the column's type decides how: the same, an
 * integer of another width, text to be parsed, or anything PostgreSQL casts
 * implicitly.  How is worked out once and remembered.
 *
 * May call: relation, item.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/primnodes.h"
#include "parser/parse_coerce.h"
#include "table/keyarg.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

struct KeyConverter
{
	MemoryContext context;
	Oid			argtype;
	/* what the rest was made for */
	uint64		shape_id;
	Oid			rowtype;		/* of the last record */
	int32		rowtypmod;
	TupleDesc	rowdesc;		/* in context; NULL unless a record */
	TupleDesc	keydesc;		/* blessed; to parse a text of several columns */
	FmgrInfo	record_in;
	int			ncolumns;
	ColumnConverter *columns;	/* one for each column of the key */
	ColumnConverter single;		/* that of a key of one column */
};

static void PrepareForShape(KeyConverter *converter, Oid relid,
							const ItemShape *shape);
static bool ConvertRecord(KeyConverter *converter, Oid relid,
						  ItemShape *shape, HeapTupleHeader record,
						  Datum *key);
static void PrepareForRecord(KeyConverter *converter, Oid relid,
							 const ItemShape *shape, HeapTupleHeader record);
static HeapTupleHeader ParseRecord(KeyConverter *converter,
								   const ItemShape *shape, Datum string);
static void PrepareColumn(KeyConverter *converter, int i, Oid relid,
						  const ItemShape *shape, Oid argtype);
static bool ConvertInteger(ColumnConverter *column, Datum arg, Datum *value);
static bool ParseDigits(const struct varlena *text, Datum *value);
static Datum CanonicalForm(const ColumnConverter *column, ItemShape *shape,
						   int i, Datum value);
static void WrongNumberOfColumns(Oid relid, const ItemShape *shape, int given);
static bool IsInteger(Oid type);
static bool IsTextual(Oid type);

KeyConverter *
MakeKeyConverter(Oid argtype, MemoryContext context)
{
	KeyConverter *converter = MemoryContextAllocZero(context,
													 sizeof(KeyConverter));

	converter->context = context;
	converter->argtype = argtype;
	return converter;
}

/*
 * Casts and the input functions of domains may run anything, also what alters
 * the relation, which nothing keeps this session from: it is locked, not open.
 */
bool
ConvertKey(KeyConverter *converter, ItemRelation *relation, Datum arg,
		   Datum *key)
{
	ItemShape  *shape = relation->shape;
	Oid			relid = relation->relid;
	bool		exists;

	if (converter->shape_id != shape->id)
		PrepareForShape(converter, relid, shape);

	if (converter->ncolumns == 1)
		exists = ConvertColumn(&converter->columns[0], shape, 0, arg, &key[0]);
	else
	{
		if (IsTextual(converter->argtype))
			arg = PointerGetDatum(ParseRecord(converter, shape, arg));
		exists = ConvertRecord(converter, relid, shape,
							   DatumGetHeapTupleHeader(arg), key);
	}
	if (!relation->valid || relation->shape != shape)
		RequireShape(relation, shape);
	return exists;
}

/*
 * After this, "ncolumns" is 1 if the argument is the value of a single key
 * column, and 0 if it is to be taken as a row of the key's columns.
 */
static void
PrepareForShape(KeyConverter *converter, Oid relid, const ItemShape *shape)
{
	Oid			argtype = converter->argtype;

	converter->shape_id = 0;
	converter->rowtype = InvalidOid;
	converter->keydesc = NULL;
	converter->ncolumns = 0;
	converter->columns = shape->nkeys == 1 ? &converter->single :
		MemoryContextAllocZero(converter->context,
							   shape->nkeys * sizeof(ColumnConverter));

	if (shape->nkeys == 1 &&
		(argtype == shape->keys[0].basetypid || IsTextual(argtype) ||
		 IsInteger(argtype) || !type_is_rowtype(argtype)))
	{
		PrepareColumn(converter, 0, relid, shape, argtype);
		converter->ncolumns = 1;
	}
	else if (!IsTextual(argtype) && type_is_rowtype(argtype))
	{
		/* a record: its columns are looked at when one comes */
	}
	else if (!IsTextual(argtype))
		WrongNumberOfColumns(relid, shape, 1);
	converter->shape_id = shape->id;
}

static bool
ConvertRecord(KeyConverter *converter, Oid relid, ItemShape *shape,
			  HeapTupleHeader record, Datum *key)
{
	HeapTupleData tuple;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	int			nkeys = shape->nkeys;

	PrepareForRecord(converter, relid, shape, record);
	tuple.t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = record;
	heap_deform_tuple(&tuple, converter->rowdesc, values, isnull);

	for (int i = 0; i < nkeys; i++)
	{
		if (isnull[i])
			return false;
	}
	for (int i = 0; i < nkeys; i++)
	{
		if (!ConvertColumn(&converter->columns[i], shape, i, values[i],
						   &key[i]))
			return false;
	}
	return true;
}

static void
PrepareForRecord(KeyConverter *converter, Oid relid, const ItemShape *shape,
				 HeapTupleHeader record)
{
	Oid			rowtype = HeapTupleHeaderGetTypeId(record);
	int32		rowtypmod = HeapTupleHeaderGetTypMod(record);
	int			nkeys = shape->nkeys;
	MemoryContext oldcontext;
	TupleDesc	rowdesc;

	if (converter->rowtype == rowtype && converter->rowtypmod == rowtypmod)
		return;

	converter->rowtype = InvalidOid;
	oldcontext = MemoryContextSwitchTo(converter->context);
	if (converter->rowdesc != NULL)
		FreeTupleDesc(converter->rowdesc);
	converter->rowdesc = NULL;
	rowdesc = lookup_rowtype_tupdesc(rowtype, rowtypmod);
	converter->rowdesc = CreateTupleDescCopy(rowdesc);
	ReleaseTupleDesc(rowdesc);
	MemoryContextSwitchTo(oldcontext);

	rowdesc = converter->rowdesc;
	if (rowdesc->natts != nkeys)
		WrongNumberOfColumns(relid, shape, rowdesc->natts);
	for (int i = 0; i < nkeys; i++)
	{
		if (TupleDescAttr(rowdesc, i)->attisdropped)
			WrongNumberOfColumns(relid, shape, nkeys - 1);
		PrepareColumn(converter, i, relid, shape,
					  TupleDescAttr(rowdesc, i)->atttypid);
	}
	converter->rowtype = rowtype;
	converter->rowtypmod = rowtypmod;
}

/* Parse the text of a key of several columns, in row syntax: (7,42). */
static HeapTupleHeader
ParseRecord(KeyConverter *converter, const ItemShape *shape, Datum string)
{
	if (converter->keydesc == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(converter->context);
		TupleDesc	keydesc = CreateTemplateTupleDesc(shape->nkeys);

		for (int i = 0; i < shape->nkeys; i++)
		{
			Form_pg_attribute att =
				TupleDescAttr(shape->tupdesc, shape->keys[i].attno - 1);

			TupleDescInitEntry(keydesc, i + 1, NameStr(att->attname),
							   shape->keys[i].basetypid, -1, 0);
		}
		fmgr_info_cxt(F_RECORD_IN, &converter->record_in, converter->context);
		converter->keydesc = BlessTupleDesc(keydesc);
		MemoryContextSwitchTo(oldcontext);
	}
	return DatumGetHeapTupleHeader(InputFunctionCall(&converter->record_in,
													 TextDatumGetCString(string),
													 RECORDOID,
													 converter->keydesc->tdtypmod));
}

static void
PrepareColumn(KeyConverter *converter, int i, Oid relid,
			  const ItemShape *shape, Oid argtype)
{
	const KeyColumn *key = &shape->keys[i];
	ColumnConverter *column = &converter->columns[i];
	Oid			function = InvalidOid;

	if (PrepareComparison(column, shape, i, argtype))
		return;

	argtype = column->argtype;
	if (IsTextual(argtype))
		column->method = CONVERT_TEXT;
	else if (argtype == UNKNOWNOID)
		column->method = CONVERT_CSTRING;	/* a bare literal in ROW() */
	else if (find_coercion_pathway(column->keytype, argtype,
								   COERCION_IMPLICIT, &function) == COERCION_PATH_FUNC)
	{
		column->method = CONVERT_CAST;
		fmgr_info_cxt(function, &column->cast, converter->context);
	}
	else
	{
		Form_pg_attribute att =
			TupleDescAttr(shape->tupdesc, key->attno - 1);

		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key column \"%s\" of table \"%s\" is of type %s, not %s",
						NameStr(att->attname), get_rel_name(relid),
						format_type_be(column->keytype),
						format_type_be(argtype)),
				 errhint("Give a value of that type, cast to text.")));
	}
}

bool
PrepareComparison(ColumnConverter *column, const ItemShape *shape, int i,
				  Oid argtype)
{
	if (argtype != shape->keys[i].basetypid && !IsTextual(argtype))
		argtype = getBaseType(argtype);
	column->argtype = argtype;
	column->keytype = shape->keys[i].basetypid;
	column->keytypmod = shape->keys[i].typmod;

	if (argtype == column->keytype)
		column->method = CONVERT_NOTHING;
	else if (IsInteger(column->keytype) && column->keytype != OIDOID)
	{
		/* nothing else is as good as an integer: spare a look at the casts */
		column->method = CONVERT_INTEGER;
		return IsInteger(argtype);
	}
	else if (IsBinaryCoercible(argtype, column->keytype))
		column->method = CONVERT_NOTHING;
	else
	{
		column->method = CONVERT_INTEGER;
		return IsInteger(argtype) && IsInteger(column->keytype);
	}
	return true;
}

bool
ConvertColumn(ColumnConverter *column, ItemShape *shape, int i, Datum arg,
			  Datum *value)
{
	switch (column->method)
	{
		case CONVERT_NOTHING:
			*value = arg;
			break;
		case CONVERT_INTEGER:
			if (!ConvertInteger(column, arg, value))
				return false;
			break;
		case CONVERT_TEXT:
			if (shape->keys[i].basetypid == INT8OID &&
				ParseDigits((struct varlena *) DatumGetPointer(arg), value))
				return true;
			arg = CStringGetDatum(TextDatumGetCString(arg));
			pg_fallthrough;
		case CONVERT_CSTRING:
			*value = InputFunctionCall(&shape->keys[i].inproc,
									   DatumGetCString(arg),
									   shape->keys[i].typioparam, -1);
			break;
		case CONVERT_CAST:
			/* casts with length or explicitness take more arguments */
			if (column->cast.fn_nargs == 1)
				*value = FunctionCall1(&column->cast, arg);
			else if (column->cast.fn_nargs == 2)
				*value = FunctionCall2(&column->cast, arg,
									   Int32GetDatum(-1));
			else
				*value = FunctionCall3(&column->cast, arg,
									   Int32GetDatum(-1), BoolGetDatum(false));
			break;
	}
	if (shape->keys[i].typlen == -1)
		*value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(*value));
	*value = CanonicalForm(column, shape, i, *value);
	return true;
}

/*
 * A bigint from text that is nothing but digits, as drivers send it that do
 * not say a parameter's type.  False for any other text, which the type's
 * input function may still take.
 */
static bool
ParseDigits(const struct varlena *text, Datum *value)
{
	const char *digits;
	int			ndigits;
	int64		number = 0;

	if (VARATT_IS_EXTERNAL(text) || VARATT_IS_COMPRESSED(text))
		return false;
	digits = VARDATA_ANY(text);
	ndigits = VARSIZE_ANY_EXHDR(text);
	if (ndigits == 0 || ndigits > 18)
		return false;
	for (int i = 0; i < ndigits; i++)
	{
		unsigned int digit = (unsigned char) digits[i] - '0';

		if (digit > 9)
			return false;
		number = number * 10 + digit;
	}
	*value = Int64GetDatum(number);
	return true;
}

static bool
ConvertInteger(ColumnConverter *column, Datum arg, Datum *value)
{
	int64		number;

	switch (column->argtype)
	{
		case INT2OID:
			number = DatumGetInt16(arg);
			break;
		case INT4OID:
			number = DatumGetInt32(arg);
			break;
		case OIDOID:
			number = DatumGetObjectId(arg);
			break;
		default:
			number = DatumGetInt64(arg);
			break;
	}
	switch (column->keytype)
	{
		case INT2OID:
			*value = Int16GetDatum((int16) number);
			return number >= PG_INT16_MIN && number <= PG_INT16_MAX;
		case INT4OID:
			*value = Int32GetDatum((int32) number);
			return number >= PG_INT32_MIN && number <= PG_INT32_MAX;
		case OIDOID:
			*value = ObjectIdGetDatum((Oid) number);
			return number >= 0 && number <= PG_UINT32_MAX;
		default:
			*value = Int64GetDatum(number);
			return true;
	}
}

/*
 * Give a value the form it has in rows where the column's declaration makes
 * that predictable: char(n) is padded, numeric(p,s) has s digits.  Only saves
 * a table read: a key in another form is answered right as well, but never
 * found in the cache.  The value returned is equal to the one given.
 */
static Datum
CanonicalForm(const ColumnConverter *column, ItemShape *shape, int i,
			  Datum value)
{
	Datum		form;

	if (column->keytypmod < (int32) VARHDRSZ)
		return value;
	if (column->keytype == BPCHAROID)
		form = DirectFunctionCall3(bpchar, value,
								   Int32GetDatum(column->keytypmod),
								   BoolGetDatum(true));
	else if (column->keytype == NUMERICOID)
	{
		int32		scale = ((column->keytypmod - VARHDRSZ) & 0x7ff);

		scale = (scale ^ 1024) - 1024;	/* 11 bits, signed */
		form = DirectFunctionCall2(numeric_round, value, Int32GetDatum(scale));
		if (scale < 0)
			form = DirectFunctionCall2(numeric_round, form, Int32GetDatum(0));
	}
	else
		return value;
	return KeyEquals(shape, i, form, value) ? form : value;
}

static void
WrongNumberOfColumns(Oid relid, const ItemShape *shape, int given)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("wrong number of key columns for table \"%s\": %d instead of %d",
					get_rel_name(relid), given, shape->nkeys),
			 errhint("Give a key of several columns as a row, in the order of the primary key: ROW(7, 42).")));
}

static bool
IsInteger(Oid type)
{
	return type == INT8OID || type == INT4OID || type == INT2OID ||
		type == OIDOID;
}

static bool
IsTextual(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}
