/*-------------------------------------------------------------------------
 *
 * privilege.c
 *	  May this user do this to that relation?
 *
 * That a user may read a relation is remembered with the relation, until a
 * message comes that may have changed it: of the relation itself (GRANT and
 * REVOKE send one), or of any role or membership.
 *
 * May call: relation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "table/privilege.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

static uint64 RoleGeneration = 1;

static void
RoleCallback(Datum arg, int cacheid, uint32 hashvalue)
{
	RoleGeneration++;
}

void
PrivilegesInit(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, RoleCallback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, RoleCallback, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, RoleCallback, (Datum) 0);
}

/* As for a whole-row reference: on the table, or on every column of it. */
bool
HasReadPrivilege(Oid relid)
{
	Oid			user = GetUserId();

	return pg_class_aclcheck(relid, user, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, user, ACL_SELECT,
								  ACLMASK_ALL) == ACLCHECK_OK;
}

bool
CheckReadPrivilege(ItemRelation *relation)
{
	Oid			user = GetUserId();

	if (relation->acl_user != user ||
		relation->acl_generation != RoleGeneration)
	{
		uint64		generation = RoleGeneration;

		if (!HasReadPrivilege(relation->relid))
			aclcheck_error(ACLCHECK_NO_PRIV,
						   get_relkind_objtype(get_rel_relkind(relation->relid)),
						   get_rel_name(relation->relid));
		relation->acl_user = user;
		relation->acl_generation = generation;
	}
	return relation->has_rls &&
		check_enable_rls(relation->relid, InvalidOid, false) == RLS_ENABLED;
}

void
CheckOwnership(Oid relid)
{
	if (!RelationOwnedBy(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}
