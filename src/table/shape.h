/*-------------------------------------------------------------------------
 *
 * shape.h
 *	  The shape of a relation's rows: its columns, and those of its key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_SHAPE_H
#define ITEMCACHE_SHAPE_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "catalog/pg_index.h"
#include "fmgr.h"
#include "utils/rel.h"

typedef struct KeyColumn
{
	AttrNumber	attno;			/* 0: an expression */
	Oid			typid;			/* as declared; may be a domain */
	Oid			basetypid;
	int32		typmod;
	Oid			collation;		/* the index column's */
	int16		typlen;
	bool		typbyval;
	bool		equal_by_image; /* are equal values the same bytes? */
	bool		usual;			/* is that what "=" means for the column? */
	Oid			opfamily;		/* the index's, and its operators */
	Oid			eqop;
	Oid			ltop;
	Oid			eqproc;			/* functions, to be looked up for each use */
	Oid			cmpproc;
} KeyColumn;

/*
 * The shape of a relation's rows, with the columns of one of its indexes for the
 * key: the primary key's, if nothing else is said.  Never changed once made;
 * lives until the end of the transaction in which it was replaced, at least.
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
	bool		by_image;		/* the key is columns only, all of them
								 * equal_by_image */
	int			nkeys;			/* 0: no usable primary key */
	KeyColumn	keys[FLEXIBLE_ARRAY_MEMBER];
} ItemShape;

/*
 * An index that rows are looked up by.  Whether it may be, and what it says of
 * the rows that a snapshot sees, is asked of visibility.h.
 */
typedef struct ItemIndex
{
	Oid			oid;			/* InvalidOid: none */
	bool		usable;			/* of a kind we can use */
	bool		valid;			/* that, and it can be scanned */
	bool		immediate;		/* not deferrable */
	bool		checkxmin;		/* indcheckxmin: HOT chains were broken */
	TransactionId xmin;			/* of its row in pg_index */
} ItemIndex;

/* What describing an index finds out; index.usable is MakeShape()'s to say. */
typedef struct IndexKey
{
	ItemIndex	index;
	bool		unique;			/* and not by an exclusion constraint */
	int			nkeys;
	AttrNumber	attnos[INDEX_MAX_KEYS]; /* 0: the next of "expressions" */
	Oid			opclasses[INDEX_MAX_KEYS];
	Oid			collations[INDEX_MAX_KEYS];
	List	   *expressions;
	Node	   *predicate;		/* NULL: of all rows */
	uint64		texts;			/* a hash of expressions and predicate */
} IndexKey;

/*
 * The primary key of a relation, whatever its condition; pk->index.oid is
 * InvalidOid if it has none.
 */
extern void FindPrimaryKey(Relation rel, IndexKey *pk);

/*
 * The shape of a relation's rows with the columns of an index for their key, in
 * a memory context of its own below the current one.  Sets key->index.usable,
 * and clears key->index.valid if it is not.
 */
extern ItemShape *MakeShape(Relation rel, IndexKey *key);

/*
 * The same with another key, for rows of shape "rows": shares their columns'
 * description, and so goes with that.
 */
extern ItemShape *MakeKeyShape(const ItemShape *rows, IndexKey *key);

/* Describe an index, whatever its condition, from its row in pg_index. */
extern void DescribeIndex(HeapTuple tuple, IndexKey *key);

/* Are two shapes the same in everything that a shape is used for? */
extern bool ShapesEqual(const ItemShape *a, const ItemShape *b);

/*
 * Have rows of "a" and "b" the same columns, written in the same way, and the
 * same key?
 */
extern bool ShapesAlike(const ItemShape *a, const ItemShape *b);

/*
 * Is a type, not a domain, such that its functions (for input, comparison) call
 * none of the user's?  So are the server's own types, arrays of them, and enums.
 */
extern bool TypeIsPlain(Oid type);

#endif							/* ITEMCACHE_SHAPE_H */
