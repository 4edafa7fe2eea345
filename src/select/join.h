/*-------------------------------------------------------------------------
 *
 * join.h
 *	  The lookup join: rows of any plan joined with items by their key, which
 *	  are looked up in batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_JOIN_H
#define ITEMCACHE_JOIN_H

#include "nodes/extensible.h"
#include "select/scan.h"

#define JOIN_NAME	SCAN_NAME " Join"

/*
 * A plan's custom_private is a list of lists:
 *
 *		JOIN_NUMBERS	integers: JoinNumbers below
 *		JOIN_COLUMNS	for each column of custom_scan_tlist where it comes
 *						from: a column of the outer rows, or of the items
 *						(negative)
 *		JOIN_KEYS		for each column of the key, the column of the outer
 *						rows that is its value, or 0: a constant
 *		JOIN_KEY_TYPES	OIDs of these values' types
 *
 * and so is its custom_exprs:
 *
 *		JOIN_CONSTANTS	values of the key that are constants, in its order
 *		JOIN_QUAL		what else a row of the outer plan and an item have to
 *						satisfy to be joined
 *		JOIN_COMPARISONS	the clauses that the key was made of, for EXPLAIN
 *		JOIN_EXPRESSIONS	those of the key's columns that are expressions
 *		JOIN_IMPLYING	clauses that imply the index's predicate, if it has one
 */
typedef enum JoinPrivate
{
	JOIN_NUMBERS,
	JOIN_COLUMNS,
	JOIN_KEYS,
	JOIN_KEY_TYPES
} JoinPrivate;

typedef enum JoinNumbers
{
	JOIN_TYPE,					/* a JoinType */
	JOIN_RTI,					/* range table index of the items' table, less
								 * the lowest one of the join */
	JOIN_NATTS,					/* its columns up to the last one used */
	JOIN_SINGLE,				/* 1: the first item that joins is all */
	JOIN_INDEX					/* OID of the index; 0: the primary key's */
} JoinNumbers;

typedef enum JoinExprs
{
	JOIN_CONSTANTS,
	JOIN_QUAL,
	JOIN_COMPARISONS,
	JOIN_EXPRESSIONS,
	JOIN_IMPLYING
} JoinExprs;

/* Install the planner's hook and the node's methods. */
extern void JoinInit(void);

/* join_exec.c: make the node's state (CustomScanMethods). */
extern Node *CreateItemJoinState(CustomScan *plan);

#endif							/* ITEMCACHE_JOIN_H */
