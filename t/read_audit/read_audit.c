/*-------------------------------------------------------------------------
 *
 * read_audit.c
 *	  Test module: says, in a NOTICE, which tables are read, as the hook for the
 *	  permissions of a statement sees it; and forbids to read one of them.
 *
 * Like others that audit, it expects to be asked while the executor starts a
 * statement, and says so if it is not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static bool read_audit_enabled = false;
static char *read_audit_forbidden = NULL;
static int	read_audit_starting = 0;

static ExecutorStart_hook_type previous_start_hook = NULL;
static ExecutorCheckPerms_hook_type previous_perms_hook = NULL;

static void
read_audit_start(QueryDesc *queryDesc, int eflags)
{
	read_audit_starting++;
	PG_TRY();
	{
		if (previous_start_hook)
			previous_start_hook(queryDesc, eflags);
		else
			standard_ExecutorStart(queryDesc, eflags);
	}
	PG_FINALLY();
	{
		read_audit_starting--;
	}
	PG_END_TRY();
}

static void
read_audit_relation(Oid relid, AclMode required, Bitmapset *columns)
{
	char	   *name = get_rel_name(relid);

	if (!(required & ACL_SELECT) || IsCatalogRelationOid(relid) || name == NULL)
		return;
	if (read_audit_starting == 0)
		ereport(WARNING, (errmsg("asked outside of a statement")));
	if (read_audit_forbidden != NULL && strcmp(name, read_audit_forbidden) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("reading %s is forbidden", name)));
	ereport(NOTICE,
			(errmsg("%s reads %s, %d columns", GetUserNameFromId(GetUserId(), false),
					name, bms_num_members(columns))));
}

#if PG_VERSION_NUM >= 160000
static bool
read_audit_perms(List *rangeTable, List *permInfos, bool ereport_on_violation)
{
	ListCell   *lc;

	foreach(lc, permInfos)
	{
		RTEPermissionInfo *info = lfirst_node(RTEPermissionInfo, lc);

		if (read_audit_enabled)
			read_audit_relation(info->relid, info->requiredPerms, info->selectedCols);
	}
	return previous_perms_hook == NULL ||
		previous_perms_hook(rangeTable, permInfos, ereport_on_violation);
}
#else
static bool
read_audit_perms(List *rangeTable, bool ereport_on_violation)
{
	ListCell   *lc;

	foreach(lc, rangeTable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (read_audit_enabled && rte->rtekind == RTE_RELATION)
			read_audit_relation(rte->relid, rte->requiredPerms, rte->selectedCols);
	}
	return previous_perms_hook == NULL ||
		previous_perms_hook(rangeTable, ereport_on_violation);
}
#endif

void
_PG_init(void)
{
	DefineCustomBoolVariable("read_audit.enabled", "Whether to say what is read.",
							 NULL, &read_audit_enabled, false, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("read_audit.forbidden", "Table that may not be read.",
							   NULL, &read_audit_forbidden, NULL, PGC_USERSET, 0,
							   NULL, NULL, NULL);
	previous_start_hook = ExecutorStart_hook;
	ExecutorStart_hook = read_audit_start;
	previous_perms_hook = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = read_audit_perms;
}
