/*-------------------------------------------------------------------------
 *
 * mute.c
 *	  Row changes that need not be told any more are not told.
 *
 * Of a statement that writes very many rows, most change nothing about what
 * the transaction does to the cache at its end: the table's epoch will move, or
 * rows are inserted that will not be published.  TrackRowChange() says so, and
 * from then on we spare the server the work.  "Many rows" in README says why
 * none is missed.
 *
 *	- What is changed is the query's own copy of the triggers (InitResultRelInfo()
 *	  makes it), never the relcache's.
 *	- Where the row condition is asked, the flag by which the executor knows that
 *	  there are AFTER ROW triggers is cleared, if ours are all.
 *	- COPY has no condition, and queues all its rows' events before the first is
 *	  fired.  When one is fired, the server looks for its trigger by OID, and
 *	  passes an event over whose trigger is gone, before it fetches the row.  So
 *	  the copy of the trigger has none until the COPY ends.  (Not on old minor
 *	  releases, which raise an error then.)
 *	- That would hide any event of the table that is fired at that level of the
 *	  queue, and so is done only for as long as all of them are the COPY's: not
 *	  if the executor has started anything since the COPY began, and no longer
 *	  when it does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "tcop/utility.h"
#include "track/mute.h"
#include "utils/memutils.h"
#include "utils/palloc.h"
#include "utils/rel.h"

typedef struct Copy
{
	struct Copy *outer;			/* the COPY whose trigger has begun this one */
	bool		alone;			/* the executor has not started anything */
} Copy;

/* A trigger whose OID was taken away, in the memory of its query. */
typedef struct Muted
{
	struct Muted *next;
	Trigger    *trigger;
	Oid			tgoid;
	MemoryContextCallback forget;
} Muted;

static Copy *InnermostCopy = NULL;
static Muted *MutedTriggers = NULL;

static bool CopyMayBeMuted;

static ProcessUtility_hook_type PreviousProcessUtilityHook = NULL;

static void ProcessStatement(PlannedStmt *pstmt, const char *queryString,
							 bool readOnlyTree, ProcessUtilityContext context,
							 ParamListInfo params, QueryEnvironment *queryEnv,
							 DestReceiver *dest, QueryCompletion *qc);
static bool OnlyOurs(const ResultRelInfo *rri, int event,
					 bool (*IsCondition) (const ExprState *state));
static void ForgetMuted(void *arg);
static bool IsRelcacheTrigger(Relation rel, const Trigger *trigger);

void
MuteInit(void)
{
	CopyMayBeMuted = EventsMayLoseTheirTrigger();
	PreviousProcessUtilityHook = ProcessUtility_hook;
	ProcessUtility_hook = ProcessStatement;
}

static void
ProcessStatement(PlannedStmt *pstmt, const char *queryString,
				 bool readOnlyTree, ProcessUtilityContext context,
				 ParamListInfo params, QueryEnvironment *queryEnv,
				 DestReceiver *dest, QueryCompletion *qc)
{
	/* set once; volatile for compilers that fear setjmp() */
	ProcessUtility_hook_type volatile next = PreviousProcessUtilityHook != NULL ?
		PreviousProcessUtilityHook : standard_ProcessUtility;
	Copy		copy;

	if (!IsA(pstmt->utilityStmt, CopyStmt) ||
		!castNode(CopyStmt, pstmt->utilityStmt)->is_from)
	{
		next(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest,
			 qc);
		return;
	}

	copy.outer = InnermostCopy;
	copy.alone = true;
	InnermostCopy = &copy;
	PG_TRY();
	{
		next(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest,
			 qc);
	}
	PG_FINALLY();
	{
		InnermostCopy = copy.outer;
	}
	PG_END_TRY();
}

void
EndMute(void)
{
	for (Muted *muted = MutedTriggers; muted != NULL; muted = muted->next)
		muted->trigger->tgoid = muted->tgoid;
	MutedTriggers = NULL;
	for (Copy *copy = InnermostCopy; copy != NULL; copy = copy->outer)
		copy->alone = false;
}

void
MuteCopy(const TriggerData *trigdata, RowInterest interest)
{
	TupleTableSlot *slot = trigdata->tg_trigslot;
	Trigger    *trigger = trigdata->tg_trigger;
	Muted	   *muted;

	if (interest == INTEREST_ALL || InnermostCopy == NULL ||
		!InnermostCopy->alone || !CopyMayBeMuted || slot == NULL ||
		IsRelcacheTrigger(trigdata->tg_relation, trigger))
		return;
	/* the slot was made in the memory of the query, as the trigger's copy was */
	muted = MemoryContextAlloc(slot->tts_mcxt, sizeof(Muted));
	muted->trigger = trigger;
	muted->tgoid = trigger->tgoid;
	muted->forget.func = ForgetMuted;
	muted->forget.arg = muted;
	MemoryContextRegisterResetCallback(slot->tts_mcxt, &muted->forget);
	muted->next = MutedTriggers;
	MutedTriggers = muted;
	trigger->tgoid = InvalidOid;
}

/* The query has ended, in whatever way. */
static void
ForgetMuted(void *arg)
{
	for (Muted **link = &MutedTriggers; *link != NULL; link = &(*link)->next)
	{
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
	}
}

/* Belongs it to all who use the relation, after all? */
static bool
IsRelcacheTrigger(Relation rel, const Trigger *trigger)
{
	TriggerDesc *trigdesc = rel->trigdesc;

	return trigdesc != NULL && trigger >= trigdesc->triggers &&
		trigger < trigdesc->triggers + trigdesc->numtriggers;
}

void
MuteConditions(ResultRelInfo *rri, RowInterest interest,
			   bool (*IsCondition) (const ExprState *state))
{
	TriggerDesc *trigdesc = rri->ri_TrigDesc;

	if (interest == INTEREST_ALL)
		return;
	if (OnlyOurs(rri, TRIGGER_TYPE_INSERT, IsCondition))
		trigdesc->trig_insert_after_row = false;
	if (interest == INTEREST_CHANGES)
		return;
	if (OnlyOurs(rri, TRIGGER_TYPE_UPDATE, IsCondition))
		trigdesc->trig_update_after_row = false;
	if (OnlyOurs(rri, TRIGGER_TYPE_DELETE, IsCondition))
		trigdesc->trig_delete_after_row = false;
}

/* Are all AFTER ROW triggers of an event ours, with the condition? */
static bool
OnlyOurs(const ResultRelInfo *rri, int event,
		 bool (*IsCondition) (const ExprState *state))
{
	TriggerDesc *trigdesc = rri->ri_TrigDesc;

	for (int i = 0; i < trigdesc->numtriggers; i++)
	{
		if (TRIGGER_TYPE_MATCHES(trigdesc->triggers[i].tgtype,
								 TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER, event) &&
			!IsCondition(rri->ri_TrigWhenExprs[i]))
			return false;
	}
	return true;
}
