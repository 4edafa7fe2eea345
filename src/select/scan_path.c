/*-------------------------------------------------------------------------
 *
 * scan_path.c
 *	  Planning the Custom Scan: where the planner has a path over the primary
 *	  key, or another unique index, with an equality for each of its columns,
 *	  offer one over the cache.
 *
 * A path of ours is an index path in another guise: it takes over the clauses
 * that the planner has matched to the key, with all that this settled (which
 * side is the column, equivalence classes, outer joins, leakproofness, what
 * other relations it depends on).  It costs less (cost.c), so it takes the place
 * of that index path; what wins against a lookup of the row (a scan of a table of
 * one page, a hash join) wins against ours, the more so the less of the table is
 * cached.  Among several keys the cheapest wins.
 *
 * It is not offered where a cached row would not do: for the target of an
 * UPDATE or DELETE and for row marks, where system columns other than ctid and
 * tableoid are asked for, and where the key's value has another type than the
 * column and is no integer; nor while there may be snapshots that the index does
 * not hold for (rule U).
 *
 * What can change between planning and execution is the executor's to check.
 *
 * May call: visibility, cost, keyarg, relation, uniquekey, warmth.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "lookup/visibility.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "select/cost.h"
#include "select/scan.h"
#include "settings.h"
#include "table/keyarg.h"
#include "table/uniquekey.h"
#include "table/warmth.h"
#include "utils/lsyscache.h"

/* A path's custom_private. */
typedef enum ScanPathPrivate
{
	PATH_INDEXCLAUSES,			/* IndexClauses that the key is made of */
	PATH_INDEXPATH,				/* the IndexPath that it stands for */
	PATH_EXPRESSIONS,			/* SCAN_EXPRESSIONS, ... */
	PATH_IMPLYING,
	PATH_INDEX
} ScanPathPrivate;

static set_rel_pathlist_hook_type PreviousSetRelPathlistHook = NULL;

static void SetRelPathlist(PlannerInfo *root, RelOptInfo *rel, Index rti,
						   RangeTblEntry *rte);
static bool MayOfferScan(PlannerInfo *root, RelOptInfo *rel, Index rti,
						 RangeTblEntry *rte);
static bool IsTargetOrMarked(PlannerInfo *root, RelOptInfo *rel, Index rti);
static bool UsesSystemColumns(RelOptInfo *rel);
static ItemRelation *ServedRelation(Oid relid);
static List *DominatedPaths(PlannerInfo *root, RelOptInfo *rel,
							ItemRelation *relation);
static bool MayBeDominated(RelOptInfo *rel, const IndexOptInfo *index,
						   ItemRelation *relation, Bitmapset *compared);
static bool HasPathOf(RelOptInfo *rel, const IndexOptInfo *index);
static const ItemShape *FindLookup(ItemRelation *relation,
								   const IndexOptInfo *info,
								   const ItemIndex **index);
static bool IsKeyLookup(const IndexPath *path, const ItemShape *shape);
static bool ClauseIsLookup(const IndexClause *clause, const ItemShape *shape,
						   bool *is_array);
static bool FindImplying(RelOptInfo *rel, const IndexPath *path,
						 List **implying);
static List *FewestImplying(List *predicate, List *clauses);
static Path *MakeScanPath(PlannerInfo *root, RelOptInfo *rel,
						  IndexPath *index, ItemRelation *relation,
						  List *implying);
static List *KeyExpressions(const IndexPath *index, ItemRelation *relation);
static uint64 CachedLookups(const IndexPath *index,
							const ItemRelation *relation);
static ParamPathInfo *UnhashableParams(const ParamPathInfo *params,
									   List *indexclauses);
static void ReplaceClause(List *indexclauses, const RestrictInfo *clause,
						  RestrictInfo *replacement);
static Node *KeyValue(const IndexClause *clause, bool *is_array);
static List *ReparameterizeScanPath(PlannerInfo *root, List *custom_private,
									RelOptInfo *child_rel);

static const CustomPathMethods ItemScanPathMethods = {
	.CustomName = SCAN_NAME,
	.PlanCustomPath = PlanScanPath,
	.ReparameterizeCustomPathByChild = ReparameterizeScanPath
};

void
ScanInit(void)
{
	RegisterCustomScanMethods(&ItemScanMethods);
	PreviousSetRelPathlistHook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = SetRelPathlist;
}

static void
SetRelPathlist(PlannerInfo *root, RelOptInfo *rel, Index rti,
			   RangeTblEntry *rte)
{
	ItemRelation *relation;
	List	   *lookups = NIL;
	ListCell   *lc;

	if (PreviousSetRelPathlistHook)
		PreviousSetRelPathlistHook(root, rel, rti, rte);

	if (!itemcache_transparent || !itemcache_enabled ||
		!MayOfferScan(root, rel, rti, rte))
		return;
	relation = ServedRelation(rte->relid);
	if (relation == NULL)
		return;
	PlanDependsOnWarmth(root, rte->relid);

	/* add_path() changes the list */
	foreach(lc, list_concat(list_copy(rel->pathlist),
							DominatedPaths(root, rel, relation)))
	{
		IndexPath  *path = lfirst(lc);
		const ItemIndex *index;
		const ItemShape *shape;

		if (!IsA(path, IndexPath))
			continue;
		shape = FindLookup(relation, path->indexinfo, &index);
		if (shape == NULL || !IsKeyLookup(path, shape))
			continue;
		/* rule U: in a later transaction it will be offered */
		if (IndexIsOld(index))
			lookups = lappend(lookups, path);
		else
			root->glob->transientPlan = true;
	}
	foreach(lc, lookups)
	{
		List	   *implying;

		if (FindImplying(rel, lfirst(lc), &implying))
			add_path(rel, MakeScanPath(root, rel, lfirst(lc), relation,
									   implying));
	}
}

/* The cheap tests first: this runs for every relation of every query. */
static bool
MayOfferScan(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_RELATION ||
		rte->inh || rte->tablesample != NULL)
		return false;
	if (rel->baserestrictinfo == NIL && rel->joininfo == NIL &&
		!rel->has_eclass_joins)
		return false;
	return rel->indexlist != NIL && !IS_DUMMY_REL(rel) &&
		!IsTargetOrMarked(root, rel, rti) && !UsesSystemColumns(rel);
}

/*
 * The rows of such a relation may have to be read again, as their latest
 * version, which is not what the cache has.
 */
static bool
IsTargetOrMarked(PlannerInfo *root, RelOptInfo *rel, Index rti)
{
	ListCell   *lc;

	if (root->rowMarks == NIL && root->all_result_relids == NULL)
		return false;
	if (bms_is_member(rti, root->all_result_relids) ||
		bms_overlap(rel->top_parent_relids, root->all_result_relids))
		return true;
	foreach(lc, root->rowMarks)
	{
		PlanRowMark *mark = lfirst(lc);

		if (mark->rti == rti || mark->prti == rti ||
			bms_is_member(mark->rti, rel->top_parent_relids))
			return true;
	}
	return false;
}

/* attr_needed is not kept for partitions. */
Bitmapset *
ScanColumnsUsed(RelOptInfo *rel, List *clauses)
{
	Bitmapset  *used = NULL;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	pull_varattnos((Node *) clauses, rel->relid, &used);
	return used;
}

static bool
UsesSystemColumns(RelOptInfo *rel)
{
	Bitmapset  *used;
	bool		result = false;

	used = ScanColumnsUsed(rel, extract_actual_clauses(rel->baserestrictinfo, false));
	for (int attno = FirstLowInvalidHeapAttributeNumber + 1; attno < 0; attno++)
	{
		if (attno != SelfItemPointerAttributeNumber &&
			attno != TableOidAttributeNumber &&
			bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, used))
			result = true;
	}
	bms_free(used);
	return result;
}

/*
 * The relation, which the planner has locked, if it is served.  One that has
 * no trigger like ours is not, and is not described, which would be kept.
 */
static ItemRelation *
ServedRelation(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	ItemRelation *relation = NULL;

	if (HasTriggerOfOurForm(rel))
		relation = ItemRelationOf(rel);
	table_close(rel, NoLock);
	return relation != NULL && relation->state == RELATION_SERVED ?
		relation : NULL;
}

/*
 * Paths by indexes of which there is none any more, since another path cost no
 * more, by another index or by a bitmap: the lookup can still be cheaper than
 * that.  The planner makes them again, of one index at a time and without bitmaps.
 */
static List *
DominatedPaths(PlannerInfo *root, RelOptInfo *rel, ItemRelation *relation)
{
	List	   *clauses = extract_actual_clauses(rel->baserestrictinfo, false);
	List	   *indexes = rel->indexlist;
	List	   *pathlist = rel->pathlist;
	List	   *partial_pathlist = rel->partial_pathlist;
	Bitmapset  *compared = NULL;
	List	   *paths = NIL;
	ListCell   *lc;

	pull_varattnos((Node *) clauses, rel->relid, &compared);
	foreach(lc, indexes)
	{
		IndexOptInfo *index = lfirst(lc);
		bool		has_bitmap;

		if (!MayBeDominated(rel, index, relation, compared))
			continue;
		has_bitmap = index->amhasgetbitmap;
		index->amhasgetbitmap = false;
		rel->indexlist = list_make1(index);
		rel->pathlist = rel->partial_pathlist = NIL;
		create_index_paths(root, rel);
		index->amhasgetbitmap = has_bitmap;
		paths = list_concat(paths, rel->pathlist);
		rel->indexlist = indexes;
		rel->pathlist = pathlist;
		rel->partial_pathlist = partial_pathlist;
	}
	bms_free(compared);
	return paths;
}

/* Are all columns of a unique index's key compared, and has it no path? */
static bool
MayBeDominated(RelOptInfo *rel, const IndexOptInfo *index,
			   ItemRelation *relation, Bitmapset *compared)
{
	const ItemIndex *info;
	Bitmapset  *columns = NULL;
	bool		all;

	if (!index->unique || !index->immediate || HasPathOf(rel, index))
		return false;
	pull_varattnos((Node *) index->indexprs, rel->relid, &columns);
	for (int i = 0; i < index->nkeycolumns; i++)
	{
		if (index->indexkeys[i] != 0)
			columns = bms_add_member(columns, index->indexkeys[i] -
									 FirstLowInvalidHeapAttributeNumber);
	}
	all = bms_is_subset(columns, compared);
	bms_free(columns);
	return all && FindLookup(relation, index, &info) != NULL;
}

static bool
HasPathOf(RelOptInfo *rel, const IndexOptInfo *index)
{
	ListCell   *lc;

	foreach(lc, rel->pathlist)
	{
		IndexPath  *path = lfirst(lc);

		if (IsA(path, IndexPath) && path->indexinfo == index)
			return true;
	}
	return false;
}

/*
 * The shape that has an index's columns for its key, and what is known of the
 * index; NULL if rows are not looked up by that.
 */
static const ItemShape *
FindLookup(ItemRelation *relation, const IndexOptInfo *info,
		   const ItemIndex **index)
{
	const UniqueKey *unique;

	*index = &relation->pk;
	if (info->indexoid == relation->pk.oid)
		return relation->shape;
	if (!info->unique || !info->immediate)
		return NULL;
	unique = FindUniqueKey(relation, info->indexoid);
	if (unique == NULL || !unique->eligible)
		return NULL;
	*index = &unique->index;
	return unique->shape;
}

/*
 * Is it a scan of the index with an equality for each column of the key, whose
 * values we can make keys of?
 */
static bool
IsKeyLookup(const IndexPath *path, const ItemShape *shape)
{
	bool		is_array;
	ListCell   *lc;
	int			column = 0;

	if (path->indexorderbys != NIL ||
		list_length(path->indexclauses) != shape->nkeys)
		return false;
	foreach(lc, path->indexclauses)
	{
		const IndexClause *clause = lfirst(lc);

		if (clause->indexcol != column++ ||
			!ClauseIsLookup(clause, shape, &is_array))
			return false;
		if (is_array && shape->nkeys > 1)
			return false;
	}
	return true;
}

static bool
ClauseIsLookup(const IndexClause *clause, const ItemShape *shape, bool *is_array)
{
	const KeyColumn *key = &shape->keys[clause->indexcol];
	ColumnConverter converter;
	Node	   *value;
	Oid			type;
	Expr	   *qual;
	Oid			opno;

	if (clause->lossy || list_length(clause->indexquals) != 1)
		return false;
	value = KeyValue(clause, is_array);
	if (value == NULL)
		return false;
	qual = linitial_node(RestrictInfo, clause->indexquals)->clause;
	opno = *is_array ? ((ScalarArrayOpExpr *) qual)->opno :
		((OpExpr *) qual)->opno;
	if (get_op_opfamily_strategy(opno, key->opfamily) != BTEqualStrategyNumber)
		return false;

	type = exprType(value);
	if (*is_array)
		type = get_base_element_type(type);
	return OidIsValid(type) &&
		PrepareComparison(&converter, shape, clause->indexcol, type);
}

/*
 * The value that an index clause compares the key column with, or NULL if it
 * is no comparison.  Index clauses have the column on the left.
 */
static Node *
KeyValue(const IndexClause *clause, bool *is_array)
{
	Expr	   *qual = linitial_node(RestrictInfo, clause->indexquals)->clause;

	*is_array = false;
	if (IsA(qual, OpExpr))
		return lsecond(((OpExpr *) qual)->args);
	if (IsA(qual, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) qual)->useOr)
	{
		*is_array = true;
		return lsecond(((ScalarArrayOpExpr *) qual)->args);
	}
	return NULL;
}

/*
 * The clauses by which a row that an alias leads to is known to be in a partial
 * index: as few of the scan's as imply its predicate.  False if there is no
 * telling by clauses that may be evaluated at once, before others of which row
 * security says that they come first.
 */
static bool
FindImplying(RelOptInfo *rel, const IndexPath *path, List **implying)
{
	List	   *predicate = path->indexinfo->indpred;
	List	   *all = list_copy(rel->baserestrictinfo);
	List	   *clauses = NIL;
	ListCell   *lc;

	*implying = NIL;
	if (predicate == NIL)
		return true;
	if (path->path.param_info != NULL)
		all = list_concat(all, path->path.param_info->ppi_clauses);
	foreach(lc, all)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (!rinfo->pseudoconstant &&
			restriction_is_securely_promotable(rinfo, rel) &&
			!contain_mutable_functions((Node *) rinfo->clause) &&
			!contain_subplans((Node *) rinfo->clause))
			clauses = lappend(clauses, rinfo->clause);
	}
	*implying = FewestImplying(predicate, clauses);
	return *implying != NIL;
}

static List *
FewestImplying(List *predicate, List *clauses)
{
	List	   *left = clauses;
	ListCell   *lc;

	if (!predicate_implied_by(predicate, clauses, false))
		return NIL;
	foreach(lc, clauses)
	{
		List	   *fewer = list_delete_ptr(list_copy(left), lfirst(lc));

		if (predicate_implied_by(predicate, fewer, false))
			left = fewer;
	}
	return left;
}

static Path *
MakeScanPath(PlannerInfo *root, RelOptInfo *rel, IndexPath *index,
			 ItemRelation *relation, List *implying)
{
	Oid			indexoid = index->indexinfo->indexoid;
	CustomPath *path = makeNode(CustomPath);
	List	   *clauses = list_copy(index->indexclauses);

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = index->path.pathtarget;
	path->path.param_info = UnhashableParams(index->path.param_info, clauses);
	path->path.parallel_safe = index->path.parallel_safe;
	path->path.rows = index->path.rows;
	/* rescans pay the total cost, and pay it for each row */
	path->path.startup_cost = 0;
	path->path.total_cost = ScanLookupCost(root, index, ScanKeyValues(clauses),
										   CachedLookups(index, relation),
										   indexoid != relation->pk.oid);
	CopyDisabledNodes(&path->path, &index->path);
	if (indexoid == relation->pk.oid)
		indexoid = InvalidOid;
	path->custom_private = list_make5(clauses, index,
									  KeyExpressions(index, relation), implying,
									  makeInteger((int) indexoid));
	path->path.pathkeys = index->path.pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_BACKWARD_SCAN |
		CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &ItemScanPathMethods;
	return &path->path;
}

/*
 * The index's columns that are expressions, as the clauses have them, which may
 * differ from how the index has them in what makes no difference.
 */
static List *
KeyExpressions(const IndexPath *index, ItemRelation *relation)
{
	Oid			indexoid = index->indexinfo->indexoid;
	const ItemShape *shape;
	List	   *expressions = NIL;
	ListCell   *lc;
	int			i = 0;

	if (indexoid == relation->pk.oid)
		return NIL;
	shape = FindUniqueKey(relation, indexoid)->shape;
	foreach(lc, ScanKeyComparisons(index->indexclauses))
	{
		if (shape->keys[i++].attno == InvalidAttrNumber)
			expressions = lappend(expressions, ScanComparedColumn(lfirst(lc)));
	}
	return expressions;
}

/* How many rows can be looked up by the index in the cache. */
static uint64
CachedLookups(const IndexPath *index, const ItemRelation *relation)
{
	uint64		cached = CachedRows(relation);

	if (index->indexinfo->indexoid == relation->pk.oid)
		return cached;
	return Min(cached, OwnerItems(relation->owner, relation->key, STORE_ALIAS));
}

/*
 * The parameters of the index path, but for what the planner needs to put
 * Memoize above it: a hash of the key.  For an index scan Memoize is a cache of
 * rows; our scan is one, and a cache before a cache is only in its way.
 *
 * The clauses have to be the same in the parameters and in the index clauses,
 * where they are looked for when the rest is made the node's filter.
 */
static ParamPathInfo *
UnhashableParams(const ParamPathInfo *params, List *indexclauses)
{
	ParamPathInfo *copy;
	ListCell   *lc;

	if (params == NULL)
		return NULL;
	copy = makeNode(ParamPathInfo);
	*copy = *params;
	copy->ppi_clauses = list_copy(params->ppi_clauses);
	foreach(lc, copy->ppi_clauses)
	{
		RestrictInfo *clause = makeNode(RestrictInfo);

		*clause = *lfirst_node(RestrictInfo, lc);
		clause->left_hasheqoperator = InvalidOid;
		clause->right_hasheqoperator = InvalidOid;
		ReplaceClause(indexclauses, lfirst(lc), clause);
		lfirst(lc) = clause;
	}
	return copy;
}

/* A list's index clauses that were made of "clause" are now of another. */
static void
ReplaceClause(List *indexclauses, const RestrictInfo *clause,
			  RestrictInfo *replacement)
{
	ListCell   *lc;

	foreach(lc, indexclauses)
	{
		IndexClause *copy;

		if (lfirst_node(IndexClause, lc)->rinfo != clause)
			continue;
		copy = makeNode(IndexClause);
		*copy = *lfirst_node(IndexClause, lc);
		copy->rinfo = replacement;
		lfirst(lc) = copy;
	}
}

bool
IsScanPath(const Path *path)
{
	return IsA(path, CustomPath) &&
		((const CustomPath *) path)->methods == &ItemScanPathMethods;
}

bool
ScanPathHasArray(const CustomPath *path)
{
	bool		is_array;

	(void) KeyValue(linitial(ScanPathClauses(path)), &is_array);
	return is_array;
}

List *
ScanPathClauses(const CustomPath *path)
{
	return list_nth(path->custom_private, PATH_INDEXCLAUSES);
}

List *
ScanPathExpressions(const CustomPath *path)
{
	return list_nth(path->custom_private, PATH_EXPRESSIONS);
}

List *
ScanPathImplying(const CustomPath *path)
{
	return list_nth(path->custom_private, PATH_IMPLYING);
}

Oid
ScanPathIndex(const CustomPath *path)
{
	return (Oid) intVal(list_nth(path->custom_private, PATH_INDEX));
}

/* The relation is the query's, so it was found to be served. */
Cost
ScanPathBatchedCost(PlannerInfo *root, const CustomPath *path, double lookups)
{
	Oid			relid = root->simple_rte_array[path->path.parent->relid]->relid;
	IndexPath  *index = list_nth(path->custom_private, PATH_INDEXPATH);

	return JoinLookupCost(root, index, ScanKeyValues(ScanPathClauses(path)),
						  CachedLookups(index, FindItemRelation(relid)),
						  OidIsValid(ScanPathIndex(path)), lookups);
}

List *
ScanKeyValues(List *indexclauses)
{
	List	   *values = NIL;
	ListCell   *lc;

	foreach(lc, indexclauses)
	{
		bool		is_array;

		values = lappend(values, KeyValue(lfirst(lc), &is_array));
	}
	return values;
}

List *
ScanKeyComparisons(List *indexclauses)
{
	List	   *comparisons = NIL;
	ListCell   *lc;

	foreach(lc, indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);

		comparisons = lappend(comparisons,
							  linitial_node(RestrictInfo, clause->indexquals)->clause);
	}
	return comparisons;
}

Node *
ScanPlainValue(Node *value)
{
	while (IsA(value, RelabelType))
		value = (Node *) ((RelabelType *) value)->arg;
	return value;
}

bool
ScanPathIsDescending(const CustomPath *path)
{
	const IndexPath *index = list_nth(path->custom_private, PATH_INDEXPATH);

	return ScanDirectionIsBackward(index->indexscandir) !=
		index->indexinfo->reverse_sort[0];
}

Node *
ScanComparedColumn(const Expr *comparison)
{
	return IsA(comparison, ScalarArrayOpExpr) ?
		linitial(((const ScalarArrayOpExpr *) comparison)->args) :
		linitial(((const OpExpr *) comparison)->args);
}

/* For partitionwise joins: the clauses speak of the parents' columns. */
static List *
ReparameterizeScanPath(PlannerInfo *root, List *custom_private,
					   RelOptInfo *child_rel)
{
	List	   *adjusted = list_copy(custom_private);
	ListCell   *cell;

	cell = list_nth_cell(adjusted, PATH_INDEXCLAUSES);
	lfirst(cell) = AdjustAttrsMultilevel(root, lfirst(cell), child_rel);
	cell = list_nth_cell(adjusted, PATH_EXPRESSIONS);
	lfirst(cell) = AdjustAttrsMultilevel(root, lfirst(cell), child_rel);
	cell = list_nth_cell(adjusted, PATH_IMPLYING);
	lfirst(cell) = AdjustAttrsMultilevel(root, lfirst(cell), child_rel);
	return adjusted;
}
