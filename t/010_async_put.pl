# Protects: itemcache.async_put makes exactly those commits asynchronous whose surviving work includes a put or delete, and leaves stronger wishes than the local disk alone.
#
# The WAL writer sleeps for long, so that right after a commit WAL is flushed
# up to its end if and only if the commit was synchronous.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('async', conf => <<'CONF');
fsync = off
wal_writer_delay = 10s
wal_writer_flush_after = 16MB
checkpoint_timeout = 1h
bgwriter_lru_maxpages = 0
CONF
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id int PRIMARY KEY, v text);
	CREATE TABLE other (id int PRIMARY KEY, n int);
	INSERT INTO items SELECT i, 'v' FROM generate_series(1, 100) i;
	INSERT INTO other VALUES (1, 0);
	SELECT itemcache.attach('items');
	CREATE SEQUENCE s;
	CREATE FUNCTION put() RETURNS void LANGUAGE sql AS $$SELECT itemcache.put(ROW(1, 'put ' || clock_timestamp())::items)$$;
	CREATE FUNCTION put_and_fail() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM put();
		RAISE EXCEPTION 'undone';
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END $$;
	CREATE PROCEDURE put_and_commit() LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM put();
		COMMIT;
		UPDATE other SET n = n + 1;
	END $$;
	CREATE FUNCTION put_deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM put(); RETURN NULL; END $$;
	CREATE TABLE deferring (id int);
	CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferring DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_deferred();
	VACUUM ANALYZE;
});

my $update = 'UPDATE other SET n = n + 1';
my $put = 'SELECT put()';
my $on = 'SET itemcache.async_put = on';

# Was the last commit of a session that ran this synchronous?  Now and then the
# WAL writer flushes, or something else writes; so try again.
sub is_commit
{
	my ($expected, $name, $sql) = @_;
	my $got = '';

	foreach my $try (1 .. 4)
	{
		$got = $node->safe_psql('postgres',
			"$sql;\nSELECT CASE WHEN pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() THEN 'synchronous' ELSE 'asynchronous' END");
		$got = (split /\n/, $got)[-1];
		last if $got eq $expected;
	}
	return is($got, $expected, "$name: $expected");
}

sub is_sync { return is_commit('synchronous', @_); }
sub is_async { return is_commit('asynchronous', @_); }

is_sync('plain statement', $update);
is_async('plain statement, synchronous_commit off', "SET synchronous_commit = off; $update");
is_sync('put, async_put off', $put);
is_async('put', "$on; $put");
is_async('put_many', "$on; SELECT itemcache.put_many(ARRAY[ROW(2, clock_timestamp()::text)]::items[])");
is_async('delete', "$on; INSERT INTO items VALUES (1000, 'x') ON CONFLICT DO NOTHING; SELECT itemcache.delete(NULL::items, 1000)");
is_async('put of what is there', "$on; SELECT itemcache.put(ROW(50, 'v')::items)");
is_sync('no put', "$on; $update");
is_sync('plain statement after a put', "$on; $put;\n$update");
is_sync('delete of nothing, and an update', "$on; BEGIN; SELECT itemcache.delete(NULL::items, 2000); $update; COMMIT");
is_async('transaction with other writes', "$on; BEGIN; $update; $put; $update; COMMIT");
is_async('SET LOCAL', "BEGIN; SET LOCAL itemcache.async_put = on; $put; COMMIT");
is_sync('after SET LOCAL', "BEGIN; SET LOCAL itemcache.async_put = on; $put; COMMIT;\n$put");
is_sync('switched off before the commit', "$on; BEGIN; $put; SET LOCAL itemcache.async_put = off; COMMIT");
is_sync('switched on after the put', "BEGIN; $put; SET LOCAL itemcache.async_put = on; COMMIT");

# by subtransaction
is_sync('put rolled back to a savepoint', "$on; BEGIN; $update; SAVEPOINT s; $put; ROLLBACK TO s; COMMIT");
is_async('put before the savepoint', "$on; BEGIN; $put; SAVEPOINT s; $update; ROLLBACK TO s; COMMIT");
is_async('put released', "$on; BEGIN; SAVEPOINT s; $put; RELEASE s; COMMIT");
is_sync('put released, then rolled back',
	"$on; BEGIN; $update; SAVEPOINT s; SAVEPOINT t; $put; RELEASE t; ROLLBACK TO s; COMMIT");
is_async('one of two rolled back', "$on; BEGIN; SAVEPOINT s; $put; SAVEPOINT t; $put; ROLLBACK TO t; RELEASE s; COMMIT");
is_async('the outer one of two remains', "$on; BEGIN; $put; SAVEPOINT s; $put; ROLLBACK TO s; COMMIT");
is_async('after a rolled back one', "$on; BEGIN; SAVEPOINT s; $put; ROLLBACK TO s; $put; COMMIT");
is_sync('in an exception block', "$on; BEGIN; $update; SELECT put_and_fail(); COMMIT");
is_sync('rolled back transaction before', "$on; BEGIN; $put; ROLLBACK;\n$update");
is_sync('failed transaction before', "$on; SELECT put_and_fail();\nBEGIN; $put; SAVEPOINT s; ROLLBACK;\n$update");
is_async('from a deferred trigger', "$on; INSERT INTO deferring VALUES (1)");
is_sync('the second transaction of a procedure', "$on; CALL put_and_commit()");

# synchronous_commit
is_async('synchronous_commit local', "SET synchronous_commit = local; $on; $put");
is_async('synchronous_commit off', "SET synchronous_commit = off; $on; $put");
is_sync("synchronous_commit $_", "SET synchronous_commit = $_; $on; $put") foreach ('remote_write', 'remote_apply');
is_sync('synchronous_commit set in the transaction', "$on; BEGIN; $put; SET LOCAL synchronous_commit = remote_write; COMMIT");
foreach my $level ('on', 'local', 'remote_write')
{
	is($node->safe_psql('postgres', "SET synchronous_commit = $level; $on; BEGIN; $put; SHOW synchronous_commit; COMMIT;\nSHOW synchronous_commit"),
		"\n$level\n$level", "synchronous_commit stays $level for the session");
}
is($node->safe_psql('postgres', "$on; BEGIN; SET LOCAL synchronous_commit = local; $put; COMMIT;\nSHOW synchronous_commit"),
	"\non", 'SET LOCAL ends with the transaction');

# two-phase commit
is_sync('PREPARE TRANSACTION', "$on; BEGIN; $put; PREPARE TRANSACTION 'x';\nCOMMIT PREPARED 'x'");
is($node->safe_psql('postgres', "$on; BEGIN; $put; PREPARE TRANSACTION 'x';\nSELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn();\nROLLBACK PREPARED 'x'"),
	"\nt", 'PREPARE TRANSACTION is flushed');
is_sync('plain statement after a PREPARE', "$on; BEGIN; $put; PREPARE TRANSACTION 'x';\nROLLBACK PREPARED 'x';\n$update");

# by role and by function
$node->safe_psql('postgres', q{
	CREATE ROLE asynchronous SUPERUSER LOGIN; ALTER ROLE asynchronous SET itemcache.async_put = on});
is($node->safe_psql('postgres', 'SHOW itemcache.async_put', extra_params => [ '-U', 'asynchronous' ]), 'on', 'set for a role');

# visible at once, to others
$node->safe_psql('postgres', "$on; SELECT itemcache.put(ROW(7, 'visible')::items)");
is($node->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 7)).v}), 'visible', 'visible to others');
is_exact($node, 'postgres', 'items', 0, 101, 'exact');
$node->stop;

#
# A standby: PostgreSQL's own error.  A synchronous standby that is not there
# is not waited for.
#
my $primary = new_server('primary', allows_streaming => 1, conf => "fsync = off\n");
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id int PRIMARY KEY, v text);
	INSERT INTO items VALUES (1, 'one');
	SELECT itemcache.attach('items')});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
foreach my $sql ("itemcache.put(ROW(1, 'x')::items)", "itemcache.put_many(ARRAY[ROW(1, 'x')]::items[])", 'itemcache.delete(NULL::items, 1)')
{
	my ($state, $message) = sql_error($standby, 'postgres', "SELECT $sql");

	is($state, '25006', "on a standby: $sql");
	like($message, qr/cannot execute (INSERT|DELETE) in a read-only transaction/, 'PostgreSQL\'s own error');
}
$primary->safe_psql('postgres', "$on; SELECT itemcache.put(ROW(1, 'replicated')::items)");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', 'SELECT v, (itemcache.get(NULL::items, 1)).v FROM items'), 'replicated|replicated', 'an asynchronous put is replicated');
$standby->stop;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$primary->reload;
$primary->poll_query_until('postgres', q{SELECT current_setting('synchronous_standby_names') = 'nobody'});
is($primary->safe_psql('postgres', "$on; SELECT itemcache.put(ROW(1, 'not waited for')::items);\nSELECT v FROM items"),
	"\nnot waited for", 'a synchronous standby is not waited for');
$primary->stop('immediate');

done_testing();
