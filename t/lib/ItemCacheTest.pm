
# What the TAP tests of itemcache share: a server with the library preloaded,
# and the comparison of cached reads with the table.

package ItemCacheTest;

use strict;
use warnings;

use Exporter 'import';
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  new_server
  build_module
  is_exact
  is_cached
  counter
  sql_error
  try_query
  wait_blocked
  toast_of
  log_from
  new_standby
  replayed
  wait_preloaded
  wait_at
  waits_at
  go_on
);


# A server that is set up but not started.
sub new_server
{
	my ($name, %params) = @_;
	my $memory = delete $params{memory} // '16MB';
	my $preload = delete $params{preload} // 'itemcache';
	my $conf = delete $params{conf} // '';
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%params);
	$node->append_conf('postgresql.conf', <<"CONF");
log_statement = none
autovacuum = off
max_connections = 25
max_prepared_transactions = 20
max_worker_processes = 12
shared_buffers = 32MB
CONF
	$node->append_conf('postgresql.conf', <<"CONF") if $preload ne '';
shared_preload_libraries = '$preload'
itemcache.memory = '$memory'
itemcache.transparent = off	# what a SELECT gives is what we compare with
CONF
	$node->append_conf('postgresql.conf', $conf);
	return $node;
}

# Build the test module in t/NAME, in a directory of its own: what to preload, and
# why it could not be built.
sub build_module
{
	my ($name, $dir) = @_;
	my $build = PostgreSQL::Test::Utils::tempdir;

	foreach my $file ('Makefile', "$name.c")
	{
		copy("$dir/$name/$file", "$build/$file") or die "could not copy $file: $!";
	}
	my ($out, $err) = run_command([ 'make', '-C', $build, 'PG_CONFIG=pg_config', 'with_llvm=no' ]);
	return (-e "$build/$name.so" ? "$build/$name" : undef, $err);
}

# Every key of a range gives the row that the table gives, in one statement.
# The table's key is a single integer column "id".
sub is_exact
{
	my ($node, $db, $table, $low, $high, $name) = @_;
	my $differences = $node->safe_psql($db, differences($table, $low, $high));

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($differences, '', $name);
}

sub differences
{
	my ($table, $low, $high) = @_;

	return qq{
		SELECT k, cached, stored
		FROM (SELECT k, itemcache.get(NULL::$table, k)::text AS cached,
				(SELECT x FROM $table x WHERE x.id = k)::text AS stored
			  FROM generate_series(${low}::bigint, ${high}::bigint) k OFFSET 0) s
		WHERE cached IS DISTINCT FROM stored LIMIT 3};
}

# One counter of a table, or of the cache when no table is given.
sub counter
{
	my ($node, $db, $counter, $table) = @_;

	return $node->safe_psql($db,
		defined $table
		? "SELECT coalesce(sum($counter), 0) FROM itemcache.tables WHERE relid = '$table'::regclass"
		: "SELECT $counter FROM itemcache.stats");
}

# Looking up a range of keys hits the cache for at least so many of them.
sub is_cached
{
	my ($node, $db, $table, $low, $high, $atleast, $name) = @_;
	my $before = counter($node, $db, 'hits', $table);
	my $after;

	$node->safe_psql($db,
		"SELECT count(itemcache.get(NULL::$table, k)) FROM generate_series(${low}::bigint, ${high}::bigint) k"
	);
	$after = counter($node, $db, 'hits', $table);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return cmp_ok($after - $before, '>=', $atleast, $name);
}

# SQLSTATE ('' when there is no error) and text of what a statement says.
sub sql_error
{
	my ($node, $db, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$sql");

	return ($err =~ /(?:ERROR|FATAL):\s+(\w{5}):/ ? $1 : '', $err);
}

# Run a statement that may fail in a background session: output and stderr.
sub try_query
{
	my ($session, $sql) = @_;
	my $out;

	$session->{stderr} = '';
	($out) = $session->query($sql);
	my $err = $session->{stderr};
	$session->{stderr} = '';
	return ($out, $err);
}

# Wait until some backend waits for a heavyweight lock with such a query.
sub wait_blocked
{
	my ($node, $db, $like) = @_;

	return $node->poll_query_until(
		$db, qq{
		SELECT count(*) > 0 FROM pg_stat_activity
		WHERE wait_event_type = 'Lock' AND query LIKE \$like\$$like\$like\$
		AND pid <> pg_backend_pid()});
}

# The TOAST table of a table.  A transaction that has reindexed it holds up
# whoever fetches an out-of-line value of the table, and nobody else.
sub toast_of
{
	my ($node, $db, $table) = @_;

	return $node->safe_psql($db,
		"SELECT reltoastrelid::regclass FROM pg_class WHERE oid = '$table'::regclass"
	);
}

# A standby of a running server, from a backup made now; not started.
sub new_standby
{
	my ($primary, $name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$primary->backup("for_$name");
	$node->init_from_backup($primary, "for_$name", %{ { has_streaming => 1, %{ $params{init} // {} } } });
	$node->append_conf('postgresql.conf', $params{conf}) if defined $params{conf};
	return $node;
}

# Wait until standbys (of a primary, or of each other) have replayed all that
# the primary has written.
sub replayed
{
	my ($primary, @standbys) = @_;
	my $lsn = $primary->lsn('insert');

	foreach my $standby (@standbys)
	{
		$standby->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'::pg_lsn")
		  or die $standby->name . ' does not catch up';
	}
	return;
}

# Wait until all that could be loaded after a start has been, as a database with
# the extension says.
sub wait_preloaded
{
	my ($node, $db) = @_;

	$node->poll_query_until($db // 'postgres', q{SELECT preloader IN ('done', 'incomplete') FROM itemcache.stats})
	  or die $node->name . ': the preload does not end';
	return;
}

# Have a server's processes wait at a test point (src/testpoint.h); wait until
# one does; let it go on.
sub wait_at
{
	my ($node, $point) = @_;

	append_to_file($node->data_dir . "/itemcache.wait_at.$point", '');
	return;
}

sub waits_at
{
	my ($node, $point) = @_;
	my $file = $node->data_dir . "/itemcache.waits_at.$point";

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if -e $file;
		select(undef, undef, undef, 0.1);
	}
	die "nobody waits at $point";
}

sub go_on
{
	my ($node, $point) = @_;

	unlink $node->data_dir . "/itemcache.wait_at.$point";
	return;
}

# The server log from an offset on.
sub log_from
{
	my ($node, $offset) = @_;

	return substr(slurp_file($node->logfile), $offset // 0);
}

1;
