/*-------------------------------------------------------------------------
 *
 * privilege.h
 *	  May this user do this to that relation?
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_PRIVILEGE_H
#define ITEMCACHE_PRIVILEGE_H

#include "miscadmin.h"
#include "table/uniquekey.h"

extern void PrivilegesInit(void);

/* To be called whenever the executor starts a statement. */
extern void StatementStarted(void);

/*
 * Check that the current user may read whole rows of the relation, which has
 * been brought up to date, or look them up by a unique key of it (NULL: the primary
 * key): raises
 * ERRCODE_INSUFFICIENT_PRIVILEGE, or what a hook of another library raises.
 * True is returned if row-level security applies to the user, so that rows must
 * be read by a query.
 */
extern bool CheckReadPrivilege(ItemRelation *relation);
extern bool CheckLookupPrivilege(ItemRelation *relation, UniqueKey *unique);

/* Is the current user the last one who was let look up?  A hint. */
static inline bool
LookupWasAllowed(const ItemRelation *relation, const UniqueKey *unique)
{
	return (unique != NULL ? unique->acl_user : relation->acl_user) == GetUserId();
}

/*
 * May the current user find something in a schema, or call a function?  Both
 * raise ERRCODE_INSUFFICIENT_PRIVILEGE.
 */
extern void CheckSchemaPrivilege(Oid schema);
extern void CheckExecutePrivilege(Oid function);

/* May the current user SELECT whole rows of it? */
extern bool HasReadPrivilege(Oid relid);

/* Check that the current user owns the relation. */
extern void CheckOwnership(Oid relid);

#endif							/* ITEMCACHE_PRIVILEGE_H */
