/*-------------------------------------------------------------------------
 *
 * shape.h
 *	  The shape of a relation's rows: its columns, and those of its key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_SHAPE_H
#define ITEMCACHE_SHAPE_H

#include "access/tupdesc.h"
#include "catalog/pg_index.h"
#include "fmgr.h"
#include "utils/rel.h"

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
	Oid			ltop;
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
	int			identity;		/* first GENERATED ALWAYS identity, or -1 */
	int			nkeys;			/* 0: no usable primary key */
	KeyColumn	keys[FLEXIBLE_ARRAY_MEMBER];
} ItemShape;

/* What describing an index finds out. */
typedef struct PrimaryKey
{
	Oid			index;			/* InvalidOid: none */
	bool		valid;
	bool		immediate;
	TransactionId checkxmin;
	int			nkeys;
	AttrNumber	attnos[INDEX_MAX_KEYS];
	Oid			opclasses[INDEX_MAX_KEYS];
	Oid			collations[INDEX_MAX_KEYS];
} PrimaryKey;

/*
 * The primary key of a relation, whatever its condition; pk->index is
 * InvalidOid if it has none.
 */
extern void FindPrimaryKey(Relation rel, PrimaryKey *pk);

/*
 * The shape of a relation's rows, in a memory context of its own below the
 * current one.  *usable is set false if the key is of a kind we cannot use.
 */
extern ItemShape *MakeShape(Relation rel, const PrimaryKey *pk, bool *usable);

/* Are two shapes the same in everything that a shape is used for? */
extern bool ShapesEqual(const ItemShape *a, const ItemShape *b);

/* Have rows of "a" and "b" the same columns and the same key? */
extern bool ShapesAlike(const ItemShape *a, const ItemShape *b);

#endif							/* ITEMCACHE_SHAPE_H */
