/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  How we learn of row changes: the trigger, and the row condition and the check
 *	  in its place.
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
 * For the condition the server fetches the old version of an updated row once more.
 * The target of an UPDATE has it at hand, and so is told by a check instead, where it
 * can be: one like those of a view WITH CHECK OPTION, which are made after each row
 * was updated.  "The check" in README says why no row is missed, and that the version
 * at hand is the one that was replaced.
 *
 * May call: mute, track, privilege, registration, relation, store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/htup_details.h"
#include "access/tableam.h"
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
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* What the condition of one table in one query knows; and the check. */
struct RowCondition
{
	Relation	rel;
	ItemRelation *relation;
	ResultRelInfo *rri;			/* the target it is set at */
	ItemPointerData inserted;	/* the last version that replaced none */
	bool		has_check;
	List	   *options;			/* what checks the target had without it */
	List	   *option_exprs;
	ExprState	condition;
	ExprState	check;
};

/* The check, as the server knows it; and a list of it alone, once it is needed. */
static WithCheckOption Check = {.type = T_WithCheckOption, .kind = WCO_VIEW_CHECK};
static List *OnlyCheck = NIL;

/* A trigger with a condition has one in the catalogs as well, as text. */
static char NoText[] = "";

/* OID of itemcache_track(), if known and it has not changed since; and its hash. */
static Oid	TriggerFunction = InvalidOid;
static uint32 TriggerFunctionHash = 0;

static ExecutorStart_hook_type PreviousExecutorStartHook = NULL;

PG_FUNCTION_INFO_V1(itemcache_track);

static void StartExecutor(QueryDesc *queryDesc, int eflags);
static void SetConditions(EState *estate, ResultRelInfo *rri);
static bool CallsUs(const Trigger *trigger);
static void RememberFunction(Oid funcid);
static RowCondition *MakeCondition(EState *estate, ResultRelInfo *rri);
static void InitExpression(ExprState *state, RowCondition *condition,
						   ExprStateEvalFunc evalfunc);
static bool IsCondition(const ExprState *state);
static Datum NoteRowChange(ExprState *state, ExprContext *econtext,
						   bool *isnull);
static void SetChecks(EState *estate, PlanState *planstate);
static void SetCheck(EState *estate, ResultRelInfo *rri);
static List *OptionsAndCheck(List *options);
static Datum NoteUpdatedRow(ExprState *state, ExprContext *econtext,
							bool *isnull);
static bool IsReplacedBy(TupleTableSlot *old, TupleTableSlot *new);
static void Mute(RowCondition *condition, RowInterest interest);
static HeapTuple SlotTuple(TupleTableSlot *slot, HeapTuple tuple);
static void FunctionChanged(Datum arg, int cacheid, uint32 hashvalue);

void
TriggerInit(void)
{
	CacheRegisterSyscacheCallback(PROCOID, FunctionChanged, (Datum) 0);
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

	if (TriggerFunction != fcinfo->flinfo->fn_oid)
		RememberFunction(fcinfo->flinfo->fn_oid);
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
		EState	   *estate = queryDesc->estate;
		ListCell   *lc;

		foreach(lc, estate->es_opened_result_relations)
			SetConditions(estate, lfirst(lc));
		SetChecks(estate, queryDesc->planstate);
		foreach(lc, estate->es_auxmodifytables)
			SetChecks(estate, lfirst(lc));
	}
}

/* Give our triggers on a table, in the form attach() makes, the condition. */
static void
SetConditions(EState *estate, ResultRelInfo *rri)
{
	TriggerDesc *trigdesc = rri->ri_TrigDesc;
	RowCondition *condition = NULL;

	if (trigdesc == NULL ||
		rri->ri_RelationDesc->rd_rel->relkind != RELKIND_RELATION)
		return;
	for (int i = 0; i < trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &trigdesc->triggers[i];

		if (trigger->tgenabled != TRIGGER_FIRES_ALWAYS ||
			!TriggerHasOurForm(trigger) || !CallsUs(trigger))
			continue;
		if (condition == NULL)
			condition = MakeCondition(estate, rri);
		trigger->tgqual = NoText;
		rri->ri_TrigWhenExprs[i] = &condition->condition;
	}
}

/*
 * The first statement of a session that writes has to look: it may write very
 * many rows.  When the function has changed since, the trigger is fired once,
 * and says so itself.
 */
static bool
CallsUs(const Trigger *trigger)
{
	static bool looked = false;

	if (!looked && IsTriggerFunction(trigger->tgfoid))
	{
		looked = true;
		RememberFunction(trigger->tgfoid);
	}
	return trigger->tgfoid == TriggerFunction;
}

static void
RememberFunction(Oid funcid)
{
	TriggerFunctionHash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(funcid));
	TriggerFunction = funcid;
}

static RowCondition *
MakeCondition(EState *estate, ResultRelInfo *rri)
{
	RowCondition *condition = MemoryContextAllocZero(estate->es_query_cxt,
													 sizeof(RowCondition));

	condition->rel = rri->ri_RelationDesc;
	condition->relation = ItemRelationOf(rri->ri_RelationDesc);
	condition->rri = rri;
	ItemPointerSetInvalid(&condition->inserted);
	InitExpression(&condition->condition, condition, NoteRowChange);
	return condition;
}

static void
InitExpression(ExprState *state, RowCondition *condition,
			   ExprStateEvalFunc evalfunc)
{
	state->type = T_ExprState;
	state->flags = EEO_FLAG_IS_QUAL;
	state->evalfunc = evalfunc;
	state->evalfunc_private = condition;
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
	if (old == NULL)
		condition->inserted = new->tts_tid;
	if (interest != INTEREST_ALL)
		Mute(condition, interest);
}

/*-------------------------------------------------------------------------
 * The check
 *-------------------------------------------------------------------------
 */

static void
SetChecks(EState *estate, PlanState *planstate)
{
	ModifyTableState *modify;

	if (planstate == NULL || !IsA(planstate, ModifyTableState))
		return;
	modify = castNode(ModifyTableState, planstate);
	if (modify->operation != CMD_UPDATE)
		return;
	for (int i = 0; i < modify->mt_nrels; i++)
		SetCheck(estate, &modify->resultRelInfo[i]);
}

/* If the condition is the only reason why the server tells of updated rows. */
static void
SetCheck(EState *estate, ResultRelInfo *rri)
{
	RowCondition *condition = OnlyRowCondition(rri);
	MemoryContext oldcontext;

	if (condition == NULL || condition->has_check ||
		rri->ri_TrigDesc->trig_update_before_row ||
		rri->ri_RelationDesc->rd_tableam != GetHeapamTableAmRoutine())
		return;

	oldcontext = MemoryContextSwitchTo(estate->es_query_cxt);
	condition->has_check = true;
	condition->options = rri->ri_WithCheckOptions;
	condition->option_exprs = rri->ri_WithCheckOptionExprs;
	InitExpression(&condition->check, condition, NoteUpdatedRow);
	rri->ri_WithCheckOptions = OptionsAndCheck(condition->options);
	rri->ri_WithCheckOptionExprs = lappend(list_copy(condition->option_exprs),
										   &condition->check);
	rri->ri_TrigDesc->trig_update_after_row = false;
	MemoryContextSwitchTo(oldcontext);
}

/* A copy: the options are the plan's, which is used again. */
static List *
OptionsAndCheck(List *options)
{
	if (options != NIL)
		return lappend(list_copy(options), &Check);
	if (OnlyCheck == NIL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

		OnlyCheck = list_make1(&Check);
		MemoryContextSwitchTo(oldcontext);
	}
	return OnlyCheck;
}

/* The server has put the new version into the scan's slot. */
static Datum
NoteUpdatedRow(ExprState *state, ExprContext *econtext, bool *isnull)
{
	RowCondition *condition = state->evalfunc_private;
	TupleTableSlot *old = condition->rri->ri_oldTupleSlot;
	TupleTableSlot *new = econtext->ecxt_scantuple;
	bool		told = ItemPointerIsValid(&condition->inserted) &&
		ItemPointerEquals(&condition->inserted, &new->tts_tid);

	if (!told && IsReplacedBy(old, new))
		NoteVersions(condition, old, new);
	else if (!told)
		TrackUnknownChange(condition->relation);
	*isnull = false;
	return BoolGetDatum(true);
}

/*
 * Has "new" taken the place of the version that "old" has?  It says so itself, on
 * its page.
 */
static bool
IsReplacedBy(TupleTableSlot *old, TupleTableSlot *new)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) old;

	return old != NULL && TTS_IS_BUFFERTUPLE(old) && !TTS_EMPTY(old) &&
		BufferIsValid(slot->buffer) &&
		ItemPointerEquals(&slot->base.tuple->t_data->t_ctid, &new->tts_tid);
}

/* The check needs to know what was inserted. */
static void
Mute(RowCondition *condition, RowInterest interest)
{
	ResultRelInfo *rri = condition->rri;

	if (condition->has_check)
	{
		if (interest == INTEREST_CHANGES)
			return;
		rri->ri_WithCheckOptions = condition->options;
		rri->ri_WithCheckOptionExprs = condition->option_exprs;
	}
	MuteConditions(rri, interest, IsCondition);
}

/*-------------------------------------------------------------------------
 * Tuples and functions
 *-------------------------------------------------------------------------
 */

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

/*
 * Messages for other functions are frequent: not only DDL sends them (warmth.c).
 * 0 stands for all.
 */
static void
FunctionChanged(Datum arg, int cacheid, uint32 hashvalue)
{
	if (hashvalue == 0 || hashvalue == TriggerFunctionHash)
		TriggerFunction = InvalidOid;
}
