/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  Plain SELECT from the cache: a Custom Scan on an equality with each
 *	  column of the primary key, or of another unique index.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_SCAN_H
#define ITEMCACHE_SCAN_H

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"

#define SCAN_NAME	"ItemCache"

/*
 * A plan's custom_private is a list of lists:
 *
 *		SCAN_NUMBERS	integers: ScanNumbers below
 *		SCAN_KEY_TYPES	OIDs of the types of the values that make a key
 *		SCAN_ATTNOS		the columns of the key, in its order; 0: the next of
 *						SCAN_EXPRESSIONS
 *		SCAN_OPERATORS	OIDs of the operators that compare them, for EXPLAIN
 *		SCAN_COLUMNS	the columns of the custom_scan_tlist, if there is one;
 *						then it is the target list, and the scan forms no other
 *						columns
 *		SCAN_FUNCTIONS	OIDs of the operators' functions
 *
 * and so is its custom_exprs:
 *
 *		SCAN_VALUES		the values that the key's columns are compared with
 *		SCAN_EXPRESSIONS	those of the key's columns that are expressions
 *		SCAN_IMPLYING	clauses that imply the index's predicate, if it has one
 */
typedef enum ScanPrivate
{
	SCAN_NUMBERS,
	SCAN_KEY_TYPES,
	SCAN_ATTNOS,
	SCAN_OPERATORS,
	SCAN_COLUMNS,
	SCAN_FUNCTIONS
} ScanPrivate;

typedef enum ScanNumbers
{
	SCAN_ARRAY,					/* 1: the value of the one column is an array */
	SCAN_NATTS,					/* columns up to the last one used */
	SCAN_DESCENDING,			/* 1: of an array, keys from the greatest on */
	SCAN_INDEX					/* OID of the index; 0: the primary key's */
} ScanNumbers;

typedef enum ScanExprs
{
	SCAN_VALUES,
	SCAN_EXPRESSIONS,
	SCAN_IMPLYING
} ScanExprs;

/* Install the planner's hook and the node's methods. */
extern void ScanInit(void);

/*
 * Of a path: is it one of ours; does it look up an array of keys; the index
 * clauses that make the key, one for each of its columns; SCAN_INDEX,
 * SCAN_EXPRESSIONS and SCAN_IMPLYING.
 */
extern bool IsScanPath(const Path *path);
extern bool ScanPathHasArray(const CustomPath *path);
extern List *ScanPathClauses(const CustomPath *path);
extern Oid	ScanPathIndex(const CustomPath *path);
extern List *ScanPathExpressions(const CustomPath *path);
extern List *ScanPathImplying(const CustomPath *path);

/* Is the order of the index scan that the path stands for the keys' reverse? */
extern bool ScanPathIsDescending(const CustomPath *path);

/* scan_plan.c: the plan of such a path (CustomPathMethods). */
extern Plan *PlanScanPath(PlannerInfo *root, RelOptInfo *rel,
						  CustomPath *best_path, List *tlist, List *clauses,
						  List *custom_plans);

/* What one of "lookups" scans by such a path costs if they are made in batches. */
extern Cost ScanPathBatchedCost(PlannerInfo *root, const CustomPath *path,
								double lookups);

/*
 * Of such index clauses: the key's values; the comparisons with them; and what
 * else there is to check of "clauses", the RestrictInfos of a scan, in their
 * order.
 */
extern List *ScanKeyValues(List *indexclauses);
extern List *ScanKeyComparisons(List *indexclauses);
extern List *ScanQual(List *indexclauses, List *clauses);

/* What a key's comparison has on its left: the column, or an expression. */
extern Node *ScanComparedColumn(const Expr *comparison);

/* An expression without what only calls it another, binary-coercible type. */
extern Node *ScanPlainValue(Node *value);

/*
 * Columns that a scan has to give, or to look at for "clauses", which are all
 * that are its own; as pull_varattnos() gives them.
 */
extern Bitmapset *ScanColumnsUsed(RelOptInfo *rel, List *clauses);

/* scan_exec.c: make the node's state (CustomScanMethods). */
extern Node *CreateItemScanState(CustomScan *plan);

/* scan_plan.c */
extern const CustomScanMethods ItemScanMethods;

#endif							/* ITEMCACHE_SCAN_H */
