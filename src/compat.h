/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between the PostgreSQL majors itemcache is built for.
 *
 * Every test of PG_VERSION_NUM lives here.  Include it right after
 * postgres.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_COMPAT_H
#define ITEMCACHE_COMPAT_H

#include "access/transam.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"

#if PG_VERSION_NUM < 150000
#error "itemcache needs PostgreSQL 15 or later"
#endif

/*
 * We build with hidden visibility on every major.  15 has no visibility
 * attribute in PGDLLEXPORT, so that its function manager could not find us.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

/* 17 renamed the shared variable cache. */
#if PG_VERSION_NUM < 170000
#define TransamVariables ShmemVariableCache
#endif

/* 17 split the process number off from the backend id (which began at 1). */
#if PG_VERSION_NUM < 170000
#define MyProcNumber	(MyProc->pgprocno)
#endif

/*
 * Does this backend hold "tag" in "mode" or a stronger mode?  "Stronger" is
 * numeric, as for CheckRelationLockedByMe().
 */
static inline bool
LockOrStrongerHeld(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(tag, mode, true);
#else
	for (LOCKMODE m = mode; m <= MaxLockMode; m++)
	{
		if (LockHeldByMe(tag, m))
			return true;
	}
	return false;
#endif
}

/* 16 moved permission checks of a relation's owner into object_ownercheck. */
#if PG_VERSION_NUM >= 160000
#define RelationOwnedBy(relid, roleid) \
	object_ownercheck(RelationRelationId, (relid), (roleid))
#else
#define RelationOwnedBy(relid, roleid) \
	pg_class_ownercheck((relid), (roleid))
#endif

/* Virtual generated columns came with 18; before, no column is one. */
#if PG_VERSION_NUM >= 180000
#define AttributeIsVirtual(att) \
	((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define AttributeIsVirtual(att) (false)
#endif

#endif							/* ITEMCACHE_COMPAT_H */
