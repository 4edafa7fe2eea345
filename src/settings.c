/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The settings, and what every file of the extension shares: the ground,
 *	  which calls nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include <limits.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/guc.h"

int			itemcache_memory;
int			itemcache_max_items;
int			itemcache_max_item_size;
int			itemcache_preload_mode;
int			itemcache_preload_workers;
int			itemcache_save_interval;
bool		itemcache_enabled;
bool		itemcache_transparent;
bool		itemcache_async_put;

static const struct config_enum_entry PreloadModes[] = {
	{"on", PRELOAD_ON, false},
	{"hot", PRELOAD_HOT, false},
	{"off", PRELOAD_OFF, false},
	{"true", PRELOAD_ON, true},
	{"yes", PRELOAD_ON, true},
	{"1", PRELOAD_ON, true},
	{"false", PRELOAD_OFF, true},
	{"no", PRELOAD_OFF, true},
	{"0", PRELOAD_OFF, true},
	{NULL, 0, false}
};

/* Was the library loaded by shared_preload_libraries? */
static bool preloaded = false;

void
DefineSettings(void)
{
	DefineCustomIntVariable("itemcache.memory",
							"Shared memory of the item cache.",
							"All the shared memory that it takes, for items, index and counters; it does not grow.",
							&itemcache_memory,
							128 * 1024, 1024, MAX_KILOBYTES,
							PGC_POSTMASTER, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("itemcache.max_items",
							"Most items that can be cached.",
							"0 means as many as there is memory for.",
							&itemcache_max_items,
							0, 0, INT_MAX,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("itemcache.max_item_size",
							"Size of the largest row that is cached.",
							"Larger rows are read from the table each time.",
							&itemcache_max_item_size,
							64, 1, MAX_ITEM_SIZE_LIMIT,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("itemcache.preload",
							 "Loads attached tables into the cache at server start.",
							 "When on, first the items that were cached when the hot set was last saved, then all that fits; hot: only the former; off: the cache starts empty and fills as items are read or written. Can be changed while the loader is running.",
							 &itemcache_preload_mode,
							 PRELOAD_ON, PreloadModes,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("itemcache.preload_workers",
							"Background workers that load tables side by side.",
							"They count towards max_worker_processes.",
							&itemcache_preload_workers,
							4, 1, 64,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("itemcache.save_interval",
							"Time between saves of the hot set.",
							"What is cached is remembered in a file of the data directory, by place, so that it can be loaded first after a restart; it is saved at shutdown, too. 0: never.",
							&itemcache_save_interval,
							300, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("itemcache.enabled",
							 "Lets this session use the item cache.",
							 "When off, lookups read the table. Writes keep the cache exact either way.",
							 &itemcache_enabled,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("itemcache.transparent",
							 "Lets the planner use the item cache for plain SELECT.",
							 "When off, only the functions look items up in the cache.",
							 &itemcache_transparent,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("itemcache.async_put",
							 "Commits transactions asynchronously that put or delete items.",
							 "Applies to itemcache.put(), put_many() and delete() where \"synchronous_commit\" is on or local: the change is visible at once, and on disk within moments.",
							 &itemcache_async_put,
							 false,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	MarkGUCPrefixReserved(ITEMCACHE_NAME);
	preloaded = true;
}

void
RequirePreloaded(void)
{
	if (!preloaded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("itemcache must be loaded via \"shared_preload_libraries\""),
				 errhint("Add itemcache to \"shared_preload_libraries\" and restart the server.")));
}

/* To do nothing would look like having done it: attach(to_regclass('typo')). */
Datum
RequireArgument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be null", name)));
	return PG_GETARG_DATUM(argno);
}

Oid
RequireRelation(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not be null", "relation"),
				 errhint("to_regclass() is null if there is no such table.")));
	return PG_GETARG_OID(0);
}

/*
 * When a query ends, glibc gives what is free at the end of the heap back to
 * the kernel if it is more than twice the largest block that was ever freed.
 * Without such a block, calls that need much memory have it in new pages each
 * time, and page faults can take longer than all else.  Blocks beyond the
 * limits here are nothing to it.
 */
void
KeepMemory(Size size)
{
	static Size largest = 128 * 1024;

	size = Min(size, (Size) 31 * 1024 * 1024);
	if (size <= largest)
		return;
	pfree(palloc(size));
	largest = size;
}
