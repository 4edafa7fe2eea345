/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  Settings, and what every file of the extension shares.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_SETTINGS_H
#define ITEMCACHE_SETTINGS_H

#include "fmgr.h"

/* The extension's name, which is also its schema's. */
#define ITEMCACHE_NAME		"itemcache"

/* As in META.json; PostgreSQL 18 and later show it. */
#define ITEMCACHE_VERSION	"1.1.0"

/* Values of itemcache.preload. */
typedef enum PreloadMode
{
	PRELOAD_OFF,
	PRELOAD_HOT,				/* what was cached before */
	PRELOAD_ON					/* that first, then all that fits */
} PreloadMode;

/* Settings; sizes in kB as their GUCs have them. */
extern int	itemcache_memory;			/* kB, postmaster */
extern int	itemcache_max_items;		/* postmaster; 0: from memory */
extern int	itemcache_max_item_size;	/* kB, sighup */
extern int	itemcache_preload_mode;			/* PreloadMode, sighup */
extern int	itemcache_preload_workers;	/* sighup */
extern int	itemcache_save_interval;	/* s, sighup; 0: never */
extern bool itemcache_enabled;			/* user */
extern bool itemcache_transparent;		/* user */
extern bool itemcache_async_put;		/* user */

/* kB; no item may be larger, whatever the settings say */
#define MAX_ITEM_SIZE_LIMIT	(64 * 1024)

/*
 * Define the settings, from _PG_init under shared_preload_libraries.  From
 * then on RequirePreloaded() is content.
 */
extern void DefineSettings(void);

/*
 * Raise ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE unless the library was
 * loaded by shared_preload_libraries.  First thing in every SQL function but
 * the trigger.
 */
extern void RequirePreloaded(void);

/*
 * Argument "argno" of a function that is told by it what to do: raises
 * ERRCODE_NULL_VALUE_NOT_ALLOWED if it is NULL.
 */
extern Datum RequireArgument(FunctionCallInfo fcinfo, int argno,
							 const char *name);

/* The same for the first argument, a relation. */
extern Oid	RequireRelation(FunctionCallInfo fcinfo);

/*
 * Have the C library keep memory that calls like this one take, "size" bytes or
 * so, to be used by the next.
 */
extern void KeepMemory(Size size);

#endif							/* ITEMCACHE_SETTINGS_H */
