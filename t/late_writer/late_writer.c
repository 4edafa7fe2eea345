/*-------------------------------------------------------------------------
 *
 * late_writer.c
 *	  Test module: runs SQL in its own XACT_EVENT_PRE_COMMIT (or PRE_PREPARE)
 *	  callback.  Loaded before itemcache, it runs after itemcache's callback,
 *	  because the list of callbacks is walked from its newest end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static char *late_writer_sql = NULL;
static bool late_writer_busy = false;

static void
late_writer_callback(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		return;
	if (late_writer_sql == NULL || late_writer_sql[0] == '\0' ||
		late_writer_busy || !TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;

	late_writer_busy = true;
	PG_TRY();
	{
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (SPI_execute(late_writer_sql, false, 0) < 0)
			elog(ERROR, "late_writer.sql failed");
		PopActiveSnapshot();
		SPI_finish();
	}
	PG_FINALLY();
	{
		late_writer_busy = false;
	}
	PG_END_TRY();
}

void
_PG_init(void)
{
	DefineCustomStringVariable("late_writer.sql",
							   "SQL to run at the end of a transaction that has an xid.",
							   NULL, &late_writer_sql, "", PGC_USERSET, 0,
							   NULL, NULL, NULL);
	RegisterXactCallback(late_writer_callback, NULL);
}
