/*-------------------------------------------------------------------------
 *
 * load_alias.c
 *	  Aliases of the rows that are loaded.
 *
 * attach() was told of which keys.  An alias is a hint, so all that matters here
 * is that nothing of the user's is called, as who loads a table may be anybody: see
 * NamedAliases().  And that nothing fails: an index's expressions do not for rows
 * that are in it, so the index must hold for the snapshot (rule U).
 *
 * May call: alias, visibility, keyname, item.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "executor/executor.h"
#include "lookup/alias.h"
#include "lookup/load.h"
#include "nodes/makefuncs.h"
#include "table/keyname.h"
#include "utils/memutils.h"

/* How the values of one key are made of a row. */
typedef struct AliasMaker
{
	UniqueKey  *unique;
	List	   *expressions;	/* ExprStates */
	ExprState  *predicate;
} AliasMaker;

struct AliasLoader
{
	List	   *makers;
	ExprContext *econtext;
	TupleTableSlot *slot;
};

static AliasMaker *MakeMaker(UniqueKey *unique);
static bool MakeKey(const AliasLoader *loader, const AliasMaker *maker,
					Datum *key);

void
BeginLoadingAliases(PageLoader *loader)
{
	ItemRelation *relation = loader->access.relation;
	MemoryContext oldcontext;
	AliasLoader *aliases;
	List	   *missing = NIL;
	List	   *keys;
	ListCell   *lc;

	loader->aliases = NULL;
	MemoryContextReset(loader->alias_context);
	if (relation->options.aliases == NULL)
		return;
	oldcontext = MemoryContextSwitchTo(loader->alias_context);
	keys = NamedAliases(relation, relation->options.aliases, &missing);
	aliases = palloc0(sizeof(AliasLoader));
	foreach(lc, keys)
	{
		UniqueKey  *unique = lfirst(lc);

		if (IndexIsUnique(&unique->index, loader->access.snapshot))
			aliases->makers = lappend(aliases->makers, MakeMaker(unique));
	}
	aliases->econtext = CreateStandaloneExprContext();
	aliases->slot = MakeSingleTupleTableSlot(relation->shape->tupdesc,
											 &TTSOpsHeapTuple);
	aliases->econtext->ecxt_scantuple = aliases->slot;
	MemoryContextSwitchTo(oldcontext);
	if (aliases->makers != NIL)
		loader->aliases = aliases;
}

void
ReportMissingAliases(ItemRelation *relation, int elevel)
{
	List	   *missing = NIL;
	ListCell   *lc;

	if (relation->options.aliases == NULL)
		return;
	(void) NamedAliases(relation, relation->options.aliases, &missing);
	foreach(lc, missing)
		ereport(elevel,
				(errmsg("aliases of table \"%s\" by \"%s\" are not loaded: there is no such unique index",
						NameStr(relation->name), (char *) lfirst(lc)),
				 errhint("Make the index, or call itemcache.attach() with other \"aliases\".")));
}

static AliasMaker *
MakeMaker(UniqueKey *unique)
{
	AliasMaker *maker = palloc(sizeof(AliasMaker));

	maker->unique = unique;
	maker->expressions = ExecInitExprList(unique->expressions, NULL);
	maker->predicate = unique->predicate == NULL ? NULL :
		ExecInitQual(make_ands_implicit((Expr *) unique->predicate), NULL);
	return maker;
}

void
LoadAliases(PageLoader *loader, HeapTuple tuple, uint64 row)
{
	AliasLoader *aliases = loader->aliases;
	ListCell   *lc;

	if (aliases == NULL)
		return;
	ExecStoreHeapTuple(tuple, aliases->slot, false);
	slot_getallattrs(aliases->slot);
	foreach(lc, aliases->makers)
	{
		const AliasMaker *maker = lfirst(lc);
		const UniqueKey *unique = maker->unique;
		Datum		key[INDEX_MAX_KEYS];

		if (MakeKey(aliases, maker, key))
			PutAlias(&loader->access, KeyHash(unique->shape, unique->seed, key),
					 row, true);
	}
	ExecClearTuple(aliases->slot);
	ResetExprContext(aliases->econtext);
}

/*
 * The key that a row has in the index; false if it is not in it, or no lookup
 * finds it there.  Whether it is is asked first, as when the index is made.
 */
static bool
MakeKey(const AliasLoader *aliases, const AliasMaker *maker, Datum *key)
{
	const ItemShape *shape = maker->unique->shape;
	ListCell   *expression = list_head(maker->expressions);
	MemoryContext oldcontext;

	if (maker->predicate != NULL && !ExecQual(maker->predicate, aliases->econtext))
		return false;
	for (int i = 0; i < shape->nkeys; i++)
	{
		AttrNumber	attno = shape->keys[i].attno;
		bool		isnull;

		if (attno != InvalidAttrNumber)
		{
			key[i] = aliases->slot->tts_values[attno - 1];
			isnull = aliases->slot->tts_isnull[attno - 1];
		}
		else
		{
			key[i] = ExecEvalExprSwitchContext(lfirst(expression),
											   aliases->econtext, &isnull);
			expression = lnext(maker->expressions, expression);
		}
		if (isnull)
			return false;
		if (shape->keys[i].typlen != -1)
			continue;
		oldcontext = MemoryContextSwitchTo(aliases->econtext->ecxt_per_tuple_memory);
		key[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key[i]));
		MemoryContextSwitchTo(oldcontext);
	}
	return true;
}
