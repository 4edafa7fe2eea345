/*-------------------------------------------------------------------------
 *
 * privilege.h
 *	  May this user do this to that relation?
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_PRIVILEGE_H
#define ITEMCACHE_PRIVILEGE_H

#include "table/relation.h"

extern void PrivilegesInit(void);

/*
 * Check that the current user may SELECT whole rows of the relation; raises
 * ERRCODE_INSUFFICIENT_PRIVILEGE.  True is returned if row-level security
 * applies to the user, so that rows must be read by a query.
 */
extern bool CheckReadPrivilege(ItemRelation *relation);

/* May the current user SELECT whole rows of it? */
extern bool HasReadPrivilege(Oid relid);

/* Check that the current user owns the relation. */
extern void CheckOwnership(Oid relid);

#endif							/* ITEMCACHE_PRIVILEGE_H */
