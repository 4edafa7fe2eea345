/*-------------------------------------------------------------------------
 *
 * registration.c
 *	  The trigger that is a table's registration: its form, its options, and
 *	  which tables have it.
 *
 * "The trigger is the registration" in README says why nothing else is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "parser/parse_func.h"
#include "settings.h"
#include "table/registration.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

static Oid	TriggerFunction(void);

/*
 * Works on a copy: looking up functions may rebuild the relcache entry, and
 * its triggers with it.
 */
List *
ItemCacheTriggers(Relation rel)
{
	TriggerDesc *trigdesc = CopyTriggerDesc(rel->trigdesc);
	List	   *triggers = NIL;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		if (IsTriggerFunction(trigdesc->triggers[i].tgfoid))
			triggers = lappend(triggers, &trigdesc->triggers[i]);
	}
	return triggers;
}

Trigger *
FindItemCacheTrigger(Relation rel)
{
	List	   *triggers = ItemCacheTriggers(rel);
	ListCell   *lc;

	foreach(lc, triggers)
	{
		Trigger    *trigger = lfirst(lc);

		if (TriggerHasOurForm(trigger) &&
			trigger->tgenabled == TRIGGER_FIRES_ALWAYS)
			return trigger;
	}
	return triggers != NIL ? linitial(triggers) : NULL;
}

/* Only a superuser can make a C function, so its symbol is proof enough. */
bool
IsTriggerFunction(Oid funcid)
{
	HeapTuple	tuple;
	bool		result = false;

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		bool		isnull;
		Datum		prosrc;

		prosrc = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
		if (!isnull)
		{
			char	   *symbol = TextDatumGetCString(prosrc);

			result = strcmp(symbol, ITEMCACHE_TRIGGER_SYMBOL) == 0;
			pfree(symbol);
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The form attach() makes, in which no row change escapes: AFTER, for each
 * row, all three events, no WHEN, no column list, not deferrable.
 */
bool
TriggerHasOurForm(const Trigger *trigger)
{
	return trigger->tgtype == (TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT |
							   TRIGGER_TYPE_DELETE | TRIGGER_TYPE_UPDATE) &&
		trigger->tgnattr == 0 &&
		trigger->tgqual == NULL &&
		!OidIsValid(trigger->tgconstraint) &&
		!trigger->tgdeferrable &&
		trigger->tgoldtable == NULL &&
		trigger->tgnewtable == NULL;
}

bool
HasTriggerOfOurForm(Relation rel)
{
	TriggerDesc *trigdesc = rel->trigdesc;

	for (int i = 0; trigdesc != NULL && i < trigdesc->numtriggers; i++)
	{
		if (TriggerHasOurForm(&trigdesc->triggers[i]))
			return true;
	}
	return false;
}

void
ReadTriggerOptions(const Trigger *trigger, TriggerOptions *options)
{
	options->preload = true;
	options->cache_new = true;
	options->aliases = NULL;
	for (int i = 0; i < trigger->tgnargs; i++)
	{
		if (strcmp(trigger->tgargs[i], "preload=false") == 0)
			options->preload = false;
		else if (strcmp(trigger->tgargs[i], "cache_new=false") == 0)
			options->cache_new = false;
		else if (strncmp(trigger->tgargs[i], "aliases=", 8) == 0)
			options->aliases = trigger->tgargs[i] + 8;
	}
}

List *
AttachedRelations(void)
{
	List	   *relids = NIL;
	Oid			funcid = TriggerFunction();
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(funcid))
		return NIL;

	/* there is no index for this */
	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_tgfoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(funcid));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relids = lappend_oid(relids, ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	list_sort(relids, list_oid_cmp);
	list_deduplicate_oid(relids);
	return relids;
}

/* Our trigger function, if the extension is in this database. */
static Oid
TriggerFunction(void)
{
	if (!OidIsValid(get_namespace_oid(ITEMCACHE_NAME, true)))
		return InvalidOid;
	return LookupFuncName(list_make2(makeString(ITEMCACHE_NAME),
									 makeString("track")),
						  0, NULL, true);
}
