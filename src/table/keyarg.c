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
 * Casts, and the input functions of types that are made of others, may call
 * functions of the user's, and these may come back here, by the same call site
 * even, or fail.  So a converter that calls such functions is used by one
 * conversion at a time; whoever finds it busy, be it that an error has left it
 * so, makes one of his own.  (README, "User code while we hold state".)
 *
 * May call: privilege, relation, item.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/primnodes.h"
#include "parser/parse_coerce.h"
#include "table/keyarg.h"
#include "table/privilege.h"
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
	bool		busy;			/* in use, and not plain */
	/* what the rest was made for, and is in */
	uint64		shape_id;
	MemoryContext made;
	bool		is_plain;		/* calls no function of the user's */
	Oid			rowtype;		/* of the last record */
	int32		rowtypmod;
	TupleDesc	rowdesc;		/* NULL unless a record */
	bool		parses_rows;	/* the record comes from a text */
	FmgrInfo	record_in;
	int			ncolumns;
	ColumnConverter *columns;	/* one for each column of the key */
	ColumnConverter single;		/* that of a key of one column */
};

static void PrepareForShape(KeyConverter *converter, Oid relid,
							const ItemShape *shape);
static void ForgetShape(KeyConverter *converter);
static void PrepareToParse(KeyConverter *converter, const ItemShape *shape);
static void PrepareForRecord(KeyConverter *converter, Oid relid,
							 const ItemShape *shape, HeapTupleHeader record);
static void PrepareColumn(KeyConverter *converter, int i, Oid relid,
						  const ItemShape *shape, Oid argtype);
static bool ConvertRecord(const KeyConverter *converter, const ItemShape *shape,
						  HeapTupleHeader record, Datum *key);
static bool CallCast(ColumnConverter *column, Datum arg, Datum *value);
static bool ConvertInteger(ColumnConverter *column, Datum arg, Datum *value);
static bool ParseDigits(const struct varlena *text, Datum *value);
static Datum CanonicalForm(const ColumnConverter *column, Oid collation,
						   Datum value);
static void WrongType(Oid relid, const ItemShape *shape, int i, Oid argtype);
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
 * What is called may also alter the relation, which nothing keeps this session
 * from: it is locked, not open.
 */
bool
ConvertKey(KeyConverter *converter, ItemRelation *relation, UniqueKey **unique,
		   Datum arg, Datum *key)
{
	const ItemShape *rows = relation->shape;
	const ItemShape *shape = *unique != NULL ? (*unique)->shape : rows;
	bool		exists;

	if (converter->busy)
		converter = MakeKeyConverter(converter->argtype, CurrentMemoryContext);
	if (converter->shape_id != shape->id)
		PrepareForShape(converter, relation->relid, shape);
	if (converter->ncolumns == 0 && !converter->parses_rows)
	{
		arg = PointerGetDatum(DatumGetHeapTupleHeader(arg));
		PrepareForRecord(converter, relation->relid, shape,
						 (HeapTupleHeader) DatumGetPointer(arg));
	}

	/* whatever functions of the user's are called, are from here on */
	converter->busy = !converter->is_plain;
	if (converter->ncolumns == 1)
		exists = ConvertColumn(&converter->columns[0], shape, 0, arg, &key[0]);
	else
	{
		if (converter->parses_rows)
			arg = InputFunctionCall(&converter->record_in,
									TextDatumGetCString(arg), RECORDOID,
									converter->rowtypmod);
		exists = ConvertRecord(converter, shape,
							   (HeapTupleHeader) DatumGetPointer(arg), key);
	}
	converter->busy = false;

	if (converter->is_plain)
		KeepToShape(relation, rows);
	else
		RequireShape(relation, rows);
	if (*unique != NULL)
		*unique = RequireUniqueKey(relation, *unique);
	return exists;
}

/*
 * After this, "ncolumns" is 1 if the argument is the value of a single key
 * column, and 0 if it is to be taken as a row of the key's columns, or with
 * "parses_rows" as the text of one: (7,42).
 */
static void
PrepareForShape(KeyConverter *converter, Oid relid, const ItemShape *shape)
{
	Oid			argtype = converter->argtype;

	converter->shape_id = 0;
	ForgetShape(converter);
	converter->is_plain = true;
	converter->rowtype = InvalidOid;
	converter->parses_rows = false;
	converter->ncolumns = 0;
	converter->columns = shape->nkeys == 1 ? &converter->single :
		MemoryContextAllocZero(converter->made,
							   shape->nkeys * sizeof(ColumnConverter));

	if (shape->nkeys == 1 &&
		(argtype == shape->keys[0].basetypid || IsTextual(argtype) ||
		 IsInteger(argtype) || !type_is_rowtype(argtype)))
	{
		PrepareColumn(converter, 0, relid, shape, argtype);
		converter->ncolumns = 1;
	}
	else if (IsTextual(argtype))
		PrepareToParse(converter, shape);
	else if (!type_is_rowtype(argtype))
		WrongNumberOfColumns(relid, shape, 1);
	/* else a record: its columns are looked at when one comes */
	converter->shape_id = shape->id;
}

/*
 * What was made for another shape goes, as a call may be given other columns for
 * each row.  Most see one shape: they do without a context of their own.
 */
static void
ForgetShape(KeyConverter *converter)
{
	converter->rowdesc = NULL;
	if (converter->made == NULL)
		converter->made = converter->context;
	else if (converter->made == converter->context)
		converter->made = AllocSetContextCreate(converter->context,
												"itemcache key converter",
												ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(converter->made);
}

/* For texts of several columns: of a record of the columns' base types. */
static void
PrepareToParse(KeyConverter *converter, const ItemShape *shape)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(converter->made);
	TupleDesc	rowdesc = CreateTemplateTupleDesc(shape->nkeys);

	for (int i = 0; i < shape->nkeys; i++)
	{
		const KeyColumn *key = &shape->keys[i];

		TupleDescInitEntry(rowdesc, i + 1, NULL, key->basetypid, -1, 0);
		if (!TypeIsPlain(key->basetypid))
			converter->is_plain = false;
		(void) PrepareComparison(&converter->columns[i], shape, i,
								 key->basetypid);
	}
	converter->rowdesc = BlessTupleDesc(rowdesc);
	converter->rowtypmod = rowdesc->tdtypmod;
	converter->parses_rows = true;
	fmgr_info_cxt(F_RECORD_IN, &converter->record_in, converter->made);
	MemoryContextSwitchTo(oldcontext);
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
	converter->is_plain = true;
	oldcontext = MemoryContextSwitchTo(converter->made);
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

static void
PrepareColumn(KeyConverter *converter, int i, Oid relid,
			  const ItemShape *shape, Oid argtype)
{
	ColumnConverter *column = &converter->columns[i];
	Oid			function = InvalidOid;

	if (PrepareComparison(column, shape, i, argtype))
		return;

	argtype = column->argtype;
	if (IsTextual(argtype) || argtype == UNKNOWNOID)
	{
		/* unknown is a bare literal in ROW() */
		column->method = IsTextual(argtype) ? CONVERT_TEXT : CONVERT_CSTRING;
		getTypeInputInfo(column->keytype, &function, &column->typioparam);
	}
	else if (find_coercion_pathway(column->keytype, argtype,
								   COERCION_IMPLICIT, &function) == COERCION_PATH_FUNC)
	{
		CheckExecutePrivilege(function);
		column->method = CONVERT_CAST;
		column->collation = get_typcollation(argtype);
	}
	else
		WrongType(relid, shape, i, argtype);
	fmgr_info_cxt(function, &column->function, converter->made);
	if (function >= FirstGenbkiObjectId || !TypeIsPlain(column->keytype) ||
		(column->method == CONVERT_CAST && !TypeIsPlain(argtype)))
		converter->is_plain = false;
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

static bool
ConvertRecord(const KeyConverter *converter, const ItemShape *shape,
			  HeapTupleHeader record, Datum *key)
{
	HeapTupleData tuple;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	int			nkeys = shape->nkeys;

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

bool
ConvertColumn(ColumnConverter *column, const ItemShape *shape, int i, Datum arg,
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
			*value = InputFunctionCall(&column->function, DatumGetCString(arg),
									   column->typioparam, -1);
			break;
		case CONVERT_CAST:
			if (!CallCast(column, arg, value))
				return false;
			break;
	}
	if (shape->keys[i].typlen == -1)
		*value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(*value));
	*value = CanonicalForm(column, shape->keys[i].collation, *value);
	return true;
}

/* False if the cast gives NULL, to which no key is equal. */
static bool
CallCast(ColumnConverter *column, Datum arg, Datum *value)
{
	LOCAL_FCINFO(fcinfo, 3);

	/* casts with length or explicitness take more arguments */
	InitFunctionCallInfoData(*fcinfo, &column->function, column->function.fn_nargs,
							 column->collation, NULL, NULL);
	fcinfo->args[0].value = arg;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = Int32GetDatum(-1);
	fcinfo->args[1].isnull = false;
	fcinfo->args[2].value = BoolGetDatum(false);
	fcinfo->args[2].isnull = false;
	*value = FunctionCallInvoke(fcinfo);
	return !fcinfo->isnull;
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
 * found in the cache.  The value returned is equal to the one given: the key's
 * operators are the type's own, as a primary key has the default ones.
 */
static Datum
CanonicalForm(const ColumnConverter *column, Oid collation, Datum value)
{
	Datum		form;
	Datum		equal;

	if (column->keytypmod < (int32) VARHDRSZ)
		return value;
	if (column->keytype == BPCHAROID)
	{
		form = DirectFunctionCall3(bpchar, value,
								   Int32GetDatum(column->keytypmod),
								   BoolGetDatum(true));
		equal = DirectFunctionCall2Coll(bpchareq, collation, form, value);
	}
	else if (column->keytype == NUMERICOID)
	{
		int32		scale = ((column->keytypmod - VARHDRSZ) & 0x7ff);

		scale = (scale ^ 1024) - 1024;	/* 11 bits, signed */
		form = DirectFunctionCall2(numeric_round, value, Int32GetDatum(scale));
		if (scale < 0)
			form = DirectFunctionCall2(numeric_round, form, Int32GetDatum(0));
		equal = DirectFunctionCall2(numeric_eq, form, value);
	}
	else
		return value;
	return DatumGetBool(equal) ? form : value;
}

static void
WrongType(Oid relid, const ItemShape *shape, int i, Oid argtype)
{
	const KeyColumn *key = &shape->keys[i];
	char	   *name = key->attno == InvalidAttrNumber ? psprintf("%d", i + 1) :
		psprintf("\"%s\"", NameStr(TupleDescAttr(shape->tupdesc,
												 key->attno - 1)->attname));

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("key column %s of table \"%s\" is of type %s, not %s", name,
					get_rel_name(relid), format_type_be(key->basetypid),
					format_type_be(argtype)),
			 errhint("Give a value of that type, cast to text.")));
}

static void
WrongNumberOfColumns(Oid relid, const ItemShape *shape, int given)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("wrong number of key columns for table \"%s\": %d instead of %d",
					get_rel_name(relid), given, shape->nkeys),
			 errhint("Give a key of several columns as a row, in the order of its index: ROW(7, 42).")));
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
