/*-------------------------------------------------------------------------
 *
 * shape.c
 *	  The shape of a relation's rows: its columns, and those of its key.
 *
 * Shapes are made from the relcache and the catalogs, with the relation
 * locked; relation.c decides when, and keeps them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "table/shape.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static uint64 NextShapeId = 1;

static char *IndexText(HeapTuple tuple, AttrNumber attno, uint64 *hash);
static ItemShape *NewShape(int nkeys);
static void DescribeKey(ItemShape *shape, IndexKey *key);
static bool DescribeKeyColumn(ItemShape *shape, const IndexKey *key, int i,
							  const Node *expression);
static bool EqualByImage(const KeyColumn *column, Oid type);

/*
 * The primary key, whatever its condition.  RelationGetPrimaryKeyIndex() is
 * not used since the majors differ in what they leave out.
 */
void
FindPrimaryKey(Relation rel, IndexKey *pk)
{
	List	   *indexes;
	ListCell   *lc;

	memset(pk, 0, sizeof(IndexKey));
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;

	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		HeapTuple	tuple;

		tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_index) GETSTRUCT(tuple))->indisprimary)
			DescribeIndex(tuple, pk);
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
}

void
DescribeIndex(HeapTuple tuple, IndexKey *key)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	oidvector  *vector;
	bool		isnull;
	char	   *text;

	memset(key, 0, sizeof(IndexKey));
	key->index.oid = form->indexrelid;
	key->index.valid = form->indisvalid && form->indisready;
	key->index.immediate = form->indimmediate;
	key->index.checkxmin = form->indcheckxmin;
	key->index.xmin = HeapTupleHeaderGetXmin(tuple->t_data);
	key->unique = form->indisunique && !form->indisexclusion;
	key->nkeys = form->indnkeyatts;
	for (int i = 0; i < key->nkeys; i++)
		key->attnos[i] = form->indkey.values[i];
	vector = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indclass, &isnull));
	memcpy(key->opclasses, vector->values, key->nkeys * sizeof(Oid));
	vector = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indcollation, &isnull));
	memcpy(key->collations, vector->values, key->nkeys * sizeof(Oid));

	text = IndexText(tuple, Anum_pg_index_indpred, &key->texts);
	if (text != NULL)
		key->predicate = stringToNode(text);
	text = IndexText(tuple, Anum_pg_index_indexprs, &key->texts);
	if (text != NULL)
		key->expressions = (List *) stringToNode(text);
}

/* A column that is a text, or NULL; *hash is made a hash of it, too. */
static char *
IndexText(HeapTuple tuple, AttrNumber attno, uint64 *hash)
{
	bool		isnull;
	Datum		value;
	char	   *string;

	value = SysCacheGetAttr(INDEXRELID, tuple, attno, &isnull);
	if (isnull)
		return NULL;
	string = TextDatumGetCString(value);
	*hash = hash_bytes_extended((const unsigned char *) string, strlen(string),
								*hash + attno);
	return string;
}

ItemShape *
MakeShape(Relation rel, IndexKey *key)
{
	ItemShape  *shape = NewShape(key->nkeys);
	MemoryContext oldcontext = MemoryContextSwitchTo(shape->context);

	shape->tupdesc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	shape->rowtype = rel->rd_rel->reltype;
	shape->identity = -1;

	for (int i = 0; i < shape->tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(shape->tupdesc, i);

		if (att->attlen == -1)
			shape->has_varlena = true;
		if (AttributeIsVirtual(att))
			shape->has_virtual = true;
		if (shape->identity < 0 && !att->attisdropped &&
			att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
			shape->identity = i;
	}
	DescribeKey(shape, key);
	MemoryContextSwitchTo(oldcontext);
	return shape;
}

ItemShape *
MakeKeyShape(const ItemShape *rows, IndexKey *key)
{
	ItemShape  *shape = NewShape(key->nkeys);
	MemoryContext oldcontext = MemoryContextSwitchTo(shape->context);

	shape->tupdesc = rows->tupdesc;
	shape->rowtype = rows->rowtype;
	shape->has_varlena = rows->has_varlena;
	shape->has_virtual = rows->has_virtual;
	shape->identity = rows->identity;
	DescribeKey(shape, key);
	MemoryContextSwitchTo(oldcontext);
	return shape;
}

static ItemShape *
NewShape(int nkeys)
{
	MemoryContext context;
	ItemShape  *shape;

	context = AllocSetContextCreate(CurrentMemoryContext, "itemcache shape",
									ALLOCSET_SMALL_SIZES);
	shape = MemoryContextAllocZero(context, offsetof(ItemShape, keys) +
								   nkeys * sizeof(KeyColumn));
	shape->context = context;
	shape->id = NextShapeId++;
	shape->nkeys = nkeys;
	return shape;
}

static void
DescribeKey(ItemShape *shape, IndexKey *key)
{
	ItemIndex  *index = &key->index;
	ListCell   *next = list_head(key->expressions);

	index->usable = OidIsValid(index->oid);
	shape->by_image = true;
	for (int i = 0; i < key->nkeys && index->usable; i++)
	{
		const Node *expression = NULL;

		if (key->attnos[i] == InvalidAttrNumber)
		{
			expression = lfirst(next);
			next = lnext(key->expressions, next);
		}
		index->usable = DescribeKeyColumn(shape, key, i, expression);
		if (expression != NULL || !shape->keys[i].equal_by_image)
			shape->by_image = false;
	}
	index->valid = index->valid && index->usable;
}

static bool
DescribeKeyColumn(ItemShape *shape, const IndexKey *key, int i,
				  const Node *expression)
{
	KeyColumn  *column = &shape->keys[i];
	HeapTuple	tuple;
	Form_pg_opclass opclass;
	Oid			collation;

	column->attno = key->attnos[i];
	if (expression != NULL)
	{
		column->typid = exprType(expression);
		column->typmod = exprTypmod(expression);
		collation = exprCollation(expression);
	}
	else
	{
		Form_pg_attribute att = TupleDescAttr(shape->tupdesc,
											  column->attno - 1);

		column->typid = att->atttypid;
		column->typmod = att->atttypmod;
		collation = att->attcollation;
	}
	column->basetypid = getBaseTypeAndTypmod(column->typid, &column->typmod);
	column->collation = key->collations[i];
	get_typlenbyval(column->typid, &column->typlen, &column->typbyval);

	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(key->opclasses[i]));
	if (!HeapTupleIsValid(tuple))
		return false;
	opclass = (Form_pg_opclass) GETSTRUCT(tuple);
	column->opfamily = opclass->opcfamily;
	if (opclass->opcmethod == BTREE_AM_OID)
	{
		column->eqop = get_opfamily_member(opclass->opcfamily,
										   opclass->opcintype,
										   opclass->opcintype,
										   BTEqualStrategyNumber);
		column->ltop = get_opfamily_member(opclass->opcfamily,
										   opclass->opcintype,
										   opclass->opcintype,
										   BTLessStrategyNumber);
		column->cmpproc = get_opfamily_proc(opclass->opcfamily,
											opclass->opcintype,
											opclass->opcintype,
											BTORDER_PROC);
		column->equal_by_image = EqualByImage(column, opclass->opcintype);
	}
	ReleaseSysCache(tuple);
	if (!OidIsValid(column->eqop) || !OidIsValid(column->ltop) ||
		!OidIsValid(column->cmpproc))
		return false;
	column->eqproc = get_opcode(column->eqop);
	column->usual = column->collation == collation &&
		column->eqop == lookup_type_cache(column->basetypid,
										  TYPECACHE_EQ_OPR)->eq_opr;
	return true;
}

/*
 * As a btree asks before it keeps but one of several equal values.  What that
 * leaves out is that blanks at the end of a char(n) do not count, which are as
 * many as there can be only if there is an n.  One of the user's functions is not
 * asked, as it could ask for what is being described.
 */
static bool
EqualByImage(const KeyColumn *column, Oid type)
{
	Oid			proc = get_opfamily_proc(column->opfamily, type, type,
										 BTEQUALIMAGE_PROC);

	if (column->basetypid == BPCHAROID && column->typmod < (int32) VARHDRSZ)
		return false;
	return OidIsValid(proc) && proc < FirstGenbkiObjectId &&
		DatumGetBool(OidFunctionCall1Coll(proc, column->collation,
										  ObjectIdGetDatum(type)));
}

bool
ShapesEqual(const ItemShape *a, const ItemShape *b)
{
	if (a->rowtype != b->rowtype || a->nkeys != b->nkeys ||
		!equalTupleDescs(a->tupdesc, b->tupdesc))
		return false;
	for (int i = 0; i < a->nkeys; i++)
	{
		if (a->keys[i].attno != b->keys[i].attno ||
			a->keys[i].collation != b->keys[i].collation ||
			a->keys[i].typmod != b->keys[i].typmod ||
			a->keys[i].eqop != b->keys[i].eqop)
			return false;
	}
	return true;
}

bool
ShapesAlike(const ItemShape *a, const ItemShape *b)
{
	if (a->nkeys != b->nkeys || a->tupdesc->natts != b->tupdesc->natts)
		return false;
	for (int i = 0; i < a->nkeys; i++)
	{
		if (a->keys[i].attno != b->keys[i].attno ||
			a->keys[i].typid != b->keys[i].typid ||
			a->keys[i].collation != b->keys[i].collation ||
			a->keys[i].eqop != b->keys[i].eqop)
			return false;
	}
	for (int i = 0; i < a->tupdesc->natts; i++)
	{
		Form_pg_attribute x = TupleDescAttr(a->tupdesc, i);
		Form_pg_attribute y = TupleDescAttr(b->tupdesc, i);

		if (x->attisdropped != y->attisdropped || x->atttypid != y->atttypid ||
			x->attgenerated != y->attgenerated ||
			x->attidentity != y->attidentity)
			return false;
	}
	return true;
}

bool
TypeIsPlain(Oid type)
{
	Oid			element = get_element_type(type);

	if (OidIsValid(element))
		type = element;
	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
		case TYPTYPE_RANGE:
		case TYPTYPE_MULTIRANGE:
			return type < FirstGenbkiObjectId;
		case TYPTYPE_ENUM:
			return true;
		default:
			return false;
	}
}
