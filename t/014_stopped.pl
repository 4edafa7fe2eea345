# Protects: while a process is stopped with locks of the cache's, lookups, preload and the views go on, and writers wait where it can be seen (consistency.md).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Build the test module in a directory of our own.
my $build = PostgreSQL::Test::Utils::tempdir;
foreach my $file ('Makefile', 'lock_holder.c')
{
	copy("$FindBin::RealBin/lock_holder/$file", "$build/$file") or die "could not copy $file: $!";
}
my ($out, $err) = run_command([ 'make', '-C', $build, 'PG_CONFIG=pg_config', 'with_llvm=no' ]);
if (!-e "$build/lock_holder.so")
{
	plan skip_all => "cannot build the test module: $err";
}

my $node = new_server('stopped', memory => '8MB', conf => 'itemcache.preload = off');
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION itemcache;
	CREATE FUNCTION stop_with_locks(int, int) RETURNS void LANGUAGE c STRICT AS '$build/lock_holder';
	CREATE TABLE items (id bigint PRIMARY KEY, n int);
	CREATE TABLE fresh (id bigint PRIMARY KEY, n int);
	CREATE TABLE loaded (id bigint PRIMARY KEY, n int);
	INSERT INTO items SELECT i, i FROM generate_series(1, 1000) i;
	INSERT INTO fresh SELECT i, i FROM generate_series(1, 1000) i;
	INSERT INTO loaded SELECT i, i FROM generate_series(1, 1000) i;
	SELECT itemcache.attach('items');
	SELECT itemcache.attach('loaded');
});
is_exact($node, 'postgres', 'items', 1, 100, 'some items are cached');

my $partitions = counter($node, 'postgres', 'partitions');
my $patience = $PostgreSQL::Test::Utils::timeout_default / 4;

# A statement that must come to an end, with this result.
sub goes_on
{
	my ($sql, $expected, $name) = @_;
	my $timed_out;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql, timeout => $patience, timed_out => \$timed_out);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(0, "$name: waits for a process that is stopped") if $timed_out;
	return is("$stdout$stderr", $expected, $name);
}

# A session that is stopped while it holds these locks.
sub stopped_session
{
	my ($first, $n) = @_;
	my $session = $node->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$session->{stdin} .= "SELECT stop_with_locks($first, $n);\n\\echo on again\n";
	$session->{run}->pump_nb;
	for (1 .. 100 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($state) = run_command([ 'ps', '-o', 'state=', '-p', $pid ]);
		return ($session, $pid) if $state =~ /^T/;
		select undef, undef, undef, 0.01;
	}
	die "process $pid does not stop";
}

sub let_go_on
{
	my ($session, $pid) = @_;

	kill 'CONT', $pid;
	$session->{run}->pump until $session->{stdout} =~ /on again/;
	$session->quit;
	return;
}

my $sum = q{SELECT count(n), sum(n) FROM (SELECT (itemcache.get(NULL::%s, k::bigint)).n FROM generate_series(1, 1000) k) x};

#
# The partitions of the store
#
my ($session, $pid) = stopped_session(1, $partitions);

goes_on(sprintf($sum, 'items'), '1000|500500', 'get, most of it not cached');
goes_on(
	q{SELECT count(*), sum(n) FROM itemcache.get_many(NULL::items, (SELECT array_agg(k::bigint) FROM generate_series(1, 1000) k))},
	'1000|500500', 'get_many');
goes_on(q{SET itemcache.transparent = on; SELECT n FROM items WHERE id = 777}, '777', 'plain SELECT');
goes_on(q{SELECT itemcache.preload('loaded') >= 0}, 't', 'preload');
goes_on(q{SELECT items > 0 FROM itemcache.stats}, 't', 'itemcache.stats');
goes_on(q{SELECT count(*) FROM itemcache.tables}, '2', 'itemcache.tables');
goes_on(q{SELECT count(*) FROM itemcache.preload_progress}, '0', 'itemcache.preload_progress');

# the one who must wait
my $writer = $node->background_psql('postgres');
$writer->{stdin} .= "UPDATE items SET n = 0 WHERE id <= 10;\n\\echo written\n";
$writer->{run}->pump_nb;
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
			WHERE wait_event_type = 'LWLock' AND wait_event = 'itemcache' AND query LIKE 'UPDATE items%'}),
	'a writer waits, which its wait event says');
goes_on(q{SELECT sum((itemcache.get(NULL::items, k::bigint)).n) FROM generate_series(1, 10) k}, '55', 'what it writes is not seen');

let_go_on($session, $pid);
$writer->{run}->pump until $writer->{stdout} =~ /written/;
$writer->quit;
is_exact($node, 'postgres', 'items', 1, 1000, 'all is exact again');
is_cached($node, 'postgres', 'items', 1, 1000, 1000, 'and cached');

#
# The owners
#
$node->safe_psql('postgres', q{SELECT itemcache.attach('fresh'); SELECT itemcache.clear('fresh')});
($session, $pid) = stopped_session(0, 1);
goes_on(sprintf($sum, 'items'), '1000|500445', 'get from a table that is known');
goes_on(sprintf($sum, 'fresh'), '1000|500500', 'get from one that is not');
goes_on(q{SELECT n FROM itemcache.get(NULL::fresh, 5)}, '5', 'again');
let_go_on($session, $pid);
is_exact($node, 'postgres', 'fresh', 1, 1000, 'exact');
is_cached($node, 'postgres', 'fresh', 1, 1000, 1000, 'and cached');

$node->stop;
done_testing();
