/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  How we learn of row changes: the trigger, and the row condition in its place.
 *
 * The trigger is AFTER ROW: for each row the server queues an event, and at
 * the end of the query reads both versions again and calls the function.  That
 * costs more than all else we do for a row.  But before an event is queued,
 * the trigger's WHEN condition is asked, with both versions at hand, so a
 * condition that notes the change and then says "false" does all that the
 * trigger would.  The trigger in the catalogs has no condition (README, "The
 * trigger is the registration"); we put one into the copy of its description
 * that the executor makes for each query.
 *
 *	- Wherever that copy is not made by ExecutorStart() (COPY, logical
 *	  replication, partitions found while tuples are routed), the trigger fires
 *	  as it would without this.  The two can be mixed: track.c takes events in
 *	  any order.
 *	- The condition is asked when the row has been changed, in the
 *	  subtransaction that changed it, so a note is never older than the change
 *	  it tells of.
 *	- What is new is the tuple as it was given to the table, not yet
 *	  compressed or put out of line; ItemImage() makes the same of both.
 *
 * May call: mute, track, privilege, registration, relation, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "store/store.h"
#include "table/privilege.h"
#include "table/relation.h"
#include "track/mute.h"
#include "track/track.h"
#include "track/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* What the condition of one table in one query knows. */
struct RowCondition
{
	Relation	rel;
	ItemRelation *relation;
	ResultRelInfo *rri;			/* the target it is set at */
};

/* OID of itemcache_track(), if known and no function has changed since. */
static Oid	TriggerFunction = InvalidOid;

static ExecutorStart_hook_type PreviousExecutorStartHook = NULL;

PG_FUNCTION_INFO_V1(itemcache_track);

static void StartExecutor(QueryDesc *queryDesc, int eflags);
static void SetConditions(EState *estate, ResultRelInfo *rri);
static bool CallsUs(const Trigger *trigger);
static ExprState *MakeCondition(EState *estate, ResultRelInfo *rri);
static bool IsCondition(const ExprState *state);
static Datum NoteRowChange(ExprState *state, ExprContext *econtext,
						   bool *isnull);
static HeapTuple SlotTuple(TupleTableSlot *slot, HeapTuple tuple);
static void FunctionsChanged(Datum arg, int cacheid, uint32 hashvalue);

void
TriggerInit(void)
{
	CacheRegisterSyscacheCallback(PROCOID, FunctionsChanged, (Datum) 0);
	MuteInit();
	PreviousExecutorStartHook = ExecutorStart_hook;
	ExecutorStart_hook = StartExecutor;
}

/*
 * In any form but the one attach() makes, it does nothing (and the table is
 * not served); it never stands in the way of a write.
 */
Datum
itemcache_track(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TriggerEvent event;
	RowInterest interest;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" can only be called as a trigger",
						"itemcache.track"),
				 errhint("Attach a table with itemcache.attach().")));

	event = trigdata->tg_event;
	if (TRIGGER_FIRED_FOR_ROW(event) && !TRIGGER_FIRED_AFTER(event))
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(event) ?
							   trigdata->tg_newtuple : trigdata->tg_trigtuple);
	if (!TRIGGER_FIRED_FOR_ROW(event) || !StoreIsAttached())
		return PointerGetDatum(NULL);

	TriggerFunction = fcinfo->flinfo->fn_oid;
	if (TRIGGER_FIRED_BY_INSERT(event))
		interest = TrackRowChange(ItemRelationOf(trigdata->tg_relation),
								  NULL, trigdata->tg_trigtuple);
	else if (TRIGGER_FIRED_BY_UPDATE(event))
		interest = TrackRowChange(ItemRelationOf(trigdata->tg_relation),
								  trigdata->tg_trigtuple,
								  trigdata->tg_newtuple);
	else
		interest = TrackRowChange(ItemRelationOf(trigdata->tg_relation),
								  trigdata->tg_trigtuple, NULL);
	MuteCopy(trigdata, interest);
	return PointerGetDatum(NULL);
}

/*-------------------------------------------------------------------------
 * The row condition
 *-------------------------------------------------------------------------
 */

static void
StartExecutor(QueryDesc *queryDesc, int eflags)
{
	StatementStarted();
	EndMute();
	if (PreviousExecutorStartHook)
		PreviousExecutorStartHook(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);

	/* only a hook that does without the executor leaves no EState */
	if (queryDesc->estate != NULL)
	{
		ListCell   *lc;

		foreach(lc, queryDesc->estate->es_opened_result_relations)
			SetConditions(queryDesc->estate, lfirst(lc));
	}
}

/* Give our triggers on a table, in the form attach() makes, the condition. */
static void
SetConditions(EState *estate, ResultRelInfo *rri)
{
	TriggerDesc *trigdesc = rri->ri_TrigDesc;

	if (trigdesc == NULL ||
		rri->ri_RelationDesc->rd_rel->relkind != RELKIND_RELATION)
		return;
	for (int i = 0; i < trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &trigdesc->triggers[i];

		if (trigger->tgenabled != TRIGGER_FIRES_ALWAYS ||
			!TriggerHasOurForm(trigger) || !CallsUs(trigger))
			continue;
		trigger->tgqual = MemoryContextStrdup(estate->es_query_cxt, "");
		rri->ri_TrigWhenExprs[i] = MakeCondition(estate, rri);
	}
}

/*
 * The first statement of a session that writes has to look: it may write very
 * many rows.  When functions have changed since, the trigger is fired once,
 * and says so itself.
 */
static bool
CallsUs(const Trigger *trigger)
{
	static bool looked = false;

	if (!looked && IsTriggerFunction(trigger->tgfoid))
	{
		looked = true;
		TriggerFunction = trigger->tgfoid;
	}
	return trigger->tgfoid == TriggerFunction;
}

static ExprState *
MakeCondition(EState *estate, ResultRelInfo *rri)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);
	RowCondition *condition = palloc(sizeof(RowCondition));
	ExprState  *state = makeNode(ExprState);

	condition->rel = rri->ri_RelationDesc;
	condition->relation = ItemRelationOf(rri->ri_RelationDesc);
	condition->rri = rri;
	state->flags = EEO_FLAG_IS_QUAL;
	state->evalfunc = NoteRowChange;
	state->evalfunc_private = condition;
	MemoryContextSwitchTo(oldcontext);
	return state;
}

/* The server has put OLD into the inner slot and NEW into the outer one. */
static Datum
NoteRowChange(ExprState *state, ExprContext *econtext, bool *isnull)
{
	NoteVersions(state->evalfunc_private, econtext->ecxt_innertuple,
				 econtext->ecxt_outertuple);
	*isnull = false;
	return BoolGetDatum(false);
}

static bool
IsCondition(const ExprState *state)
{
	return state != NULL && state->evalfunc == NoteRowChange;
}

RowCondition *
OnlyRowCondition(const ResultRelInfo *rri)
{
	TriggerDesc *trigdesc = rri->ri_TrigDesc;
	RowCondition *condition = NULL;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		ExprState  *state = rri->ri_TrigWhenExprs[i];

		if (!TRIGGER_TYPE_MATCHES(trigdesc->triggers[i].tgtype,
								  TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER,
								  TRIGGER_TYPE_UPDATE))
			continue;
		if (!IsCondition(state))
			return NULL;
		condition = state->evalfunc_private;
	}
	return condition;
}

void
NoteVersions(RowCondition *condition, TupleTableSlot *old, TupleTableSlot *new)
{
	HeapTupleData oldtuple;
	HeapTupleData newtuple;
	RowInterest interest;

	if (!condition->relation->valid)
		condition->relation = ItemRelationOf(condition->rel);
	interest = TrackRowChange(condition->relation, SlotTuple(old, &oldtuple),
							  SlotTuple(new, &newtuple));
	MuteConditions(condition->rri, interest, IsCondition);
}

/*
 * The slot of a routed tuple may have kept values only: then the tuple made
 * of them, in the expression's short-lived memory, has no TID of its own.
 */
static HeapTuple
SlotTuple(TupleTableSlot *slot, HeapTuple tuple)
{
	bool		copied;

	if (slot == NULL)
		return NULL;
	*tuple = *ExecFetchSlotHeapTuple(slot, false, &copied);
	tuple->t_self = slot->tts_tid;
	return tuple;
}

static void
FunctionsChanged(Datum arg, int cacheid, uint32 hashvalue)
{
	TriggerFunction = InvalidOid;
}
