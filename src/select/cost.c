/*-------------------------------------------------------------------------
 *
 * cost.c
 *	  What lookups cost, in the planner's units.
 *
 * A lookup that finds its row takes some processor time, most of it spent
 * waiting for memory, unless that was asked for ahead.  One that does not takes
 * that, and what the index scan takes, whose path is at hand.  How many do not
 * is estimated from two numbers:
 *
 *	- Of the table's rows, so many are cached.  (Those that are looked up are
 *	  more likely to be than others.  But a plan that would be bad if they were
 *	  not must not count on it.)
 *	- Lookups of one query that have the same key fill the cache for each
 *	  other, so a key is missed once.  That is what Memoize does for an index
 *	  scan, and there is none above ours (scan_plan.c): it would keep what
 *	  is kept already.
 *
 * Nothing is taken off because a plan that fills the cache does good later: it
 * may be slower than another now.  But it costs no more than the index scan it
 * stands for, of which it has to take the place at any warmth, since a plan that
 * is made when the cache is cold can live for long, and has to be one that
 * warms it.
 *
 * The numbers below were measured against what PostgreSQL's own plans take for
 * what they cost, by bench/plans.sh, which says where they choose badly.
 *
 * May call: nothing of ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "select/cost.h"
#include "utils/selfuncs.h"

/* What a row that is cached costs, in units of cpu_operator_cost, ... */
#define HIT_COST			32
/* ... if the same query has looked it up before, ... */
#define REPEATED_HIT_COST	12
/* ... and if the memory it is in was asked for ahead. */
#define BATCHED_HIT_COST	5
/* To get to a row by an alias takes so much longer. */
#define ALIAS_FACTOR		1.5

/*
 * What a lookup costs at most, of what the index scan would: enough less for the
 * planner to see the difference.
 */
#define MAX_COST			0.99
#define BATCHED_MAX_COST	0.98

static double LikelyLookups(PlannerInfo *root, const IndexPath *index);
static bool IsInSemijoin(PlannerInfo *root, Index relid, Index outer);
static double NewKeys(PlannerInfo *root, List *values, double lookups);
static Cost LookupCost(const IndexPath *index, double hit_cost, double new_keys,
					   uint64 cached, double max_cost);

Cost
ScanLookupCost(PlannerInfo *root, const IndexPath *index, List *values,
			   uint64 cached, bool by_alias)
{
	double		new_keys = NewKeys(root, values, LikelyLookups(root, index));
	double		hit_cost;

	if (index->path.rows > 1)
		hit_cost = BATCHED_HIT_COST;	/* as the keys of an array are */
	else
		hit_cost = new_keys * HIT_COST + (1 - new_keys) * REPEATED_HIT_COST;
	return LookupCost(index, (by_alias ? ALIAS_FACTOR : 1) * hit_cost, new_keys,
					  cached, MAX_COST);
}

Cost
JoinLookupCost(PlannerInfo *root, const IndexPath *index, List *values,
			   uint64 cached, bool by_alias, double lookups)
{
	return LookupCost(index, (by_alias ? ALIAS_FACTOR : 1) * BATCHED_HIT_COST,
					  NewKeys(root, values, lookups), cached, BATCHED_MAX_COST);
}

/* "new_keys" is the part of the lookups whose key has not been looked up before. */
static Cost
LookupCost(const IndexPath *index, double hit_cost, double new_keys,
		   uint64 cached, double max_cost)
{
	double		tuples = index->path.parent->tuples;
	double		missing = tuples > 0 ? 1 - Min(cached / tuples, 1) : 1;
	Cost		hit = Max(index->path.rows, 1) * hit_cost * cpu_operator_cost;

	return Min(hit + missing * new_keys * index->path.total_cost,
			   index->path.total_cost * max_cost);
}

/*
 * How often is a path likely to be executed with other parameters?  For as many
 * rows as the smallest relation has that they come from, as the planner has it
 * for index scans (get_loop_count).
 */
static double
LikelyLookups(PlannerInfo *root, const IndexPath *index)
{
	Relids		outer = PATH_REQ_OUTER(&index->path);
	double		lookups = 0;
	int			relid = -1;

	while ((relid = bms_next_member(outer, relid)) >= 0)
	{
		RelOptInfo *rel = root->simple_rel_array[relid];

		if (rel == NULL || IS_DUMMY_REL(rel))
			continue;			/* 16 and later have outer joins among them */
		if (IsInSemijoin(root, index->path.parent->relid, relid))
			return 1;
		if (lookups == 0 || lookups > rel->rows)
			lookups = rel->rows;
	}
	return Max(lookups, 1);
}

/* Are the outer relation's rows likely to be made unique before the join? */
static bool
IsInSemijoin(PlannerInfo *root, Index relid, Index outer)
{
	ListCell   *lc;

	foreach(lc, root->join_info_list)
	{
		SpecialJoinInfo *join = lfirst_node(SpecialJoinInfo, lc);

		if (join->jointype == JOIN_SEMI &&
			bms_is_member(relid, join->syn_lefthand) &&
			bms_is_member(outer, join->syn_righthand))
			return true;
	}
	return false;
}

/*
 * The part of so many lookups whose key is none of those before.  Where it is not
 * known how many keys are different, all are, as the planner has it for Memoize:
 * its default is a guess.
 */
static double
NewKeys(PlannerInfo *root, List *values, double lookups)
{
	EstimationInfo estimation;
	double		keys;

	if (lookups <= 1)
		return 1;
	keys = estimate_num_groups(root, values, lookups, NULL, &estimation);
	if ((estimation.flags & SELFLAG_USED_DEFAULT) != 0)
		return 1;
	return keys / lookups;
}
