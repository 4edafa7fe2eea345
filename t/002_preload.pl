# Protects: the start-up loader: progress, lookups meanwhile, settings, dropped tables and databases, a full cache, failures, shutdown.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('preload', memory => '48MB');
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE one; CREATE DATABASE two; CREATE DATABASE without');

# Wide values are stored out of line as they are, so that whoever wants an
# image of the row reads the TOAST table.
my $schema = q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text, wide text);
	ALTER TABLE items ALTER wide SET STORAGE EXTERNAL, ALTER name SET STORAGE PLAIN;
	CREATE TABLE parts (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (100) TO (1000) PARTITION BY HASH (id);
	CREATE TABLE parts_1_0 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts_1_1 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE lazy (id bigint PRIMARY KEY, name text);
	CREATE TABLE empty (id bigint PRIMARY KEY, name text);
};
foreach my $db ('one', 'two')
{
	$node->safe_psql(
		$db, qq{$schema
		INSERT INTO items SELECT i, '$db ' || i || repeat('n', 1800), CASE WHEN i <= 5 THEN repeat('w', 5000) END FROM generate_series(1, 6000) i;
		INSERT INTO parts SELECT i, '$db part ' || i FROM generate_series(1, 300) i;
		INSERT INTO lazy SELECT i, '$db lazy ' || i FROM generate_series(1, 300) i;
		SELECT itemcache.attach('items');
		SELECT itemcache.attach('parts');
		SELECT itemcache.attach('empty');
		SELECT itemcache.attach('lazy', preload => false);
	});
}

# What the view of the cache says of the loader
sub preloader
{
	return $node->safe_psql('one', 'SELECT preloader FROM itemcache.stats');
}

# Hold up the loader in the middle of "items" of a database, across restarts.
sub hold_up
{
	my ($db) = @_;
	my $toast = toast_of($node, $db, 'items');

	$node->safe_psql($db, "BEGIN; REINDEX TABLE $toast; PREPARE TRANSACTION 'hold_up'");
}

sub wait_held_up
{
	$node->poll_query_until('one',
		q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'itemcache preload worker' AND wait_event_type = 'Lock'})
	  or die 'loader is not held up';
}

# What a process of the loader waits for has a name, as of PostgreSQL 17.
sub wait_waiting
{
	my ($process, $event) = @_;

	$event = 'Extension' if $node->pg_version < 17;
	ok( $node->poll_query_until('one', qq{SELECT count(*) > 0 FROM pg_stat_activity
			WHERE backend_type = 'itemcache preload $process' AND wait_event_type = 'Extension' AND wait_event = '$event'}),
		"the $process waits for $event");
}

#
# A restart loads all there is, in two databases with the same tables
#
my $offset = -s $node->logfile;
$node->restart;
wait_preloaded($node, 'one');
is( $node->safe_psql('one', q{SELECT datname, relation, state, workers, blocks_total = blocks_done, items_loaded
		FROM itemcache.preload_progress ORDER BY 1, 2}), join("\n", map {
			my $db = $_;
			("$db|public.empty|done|0|t|0", "$db|public.items|done|0|t|6000", "$db|public.parts_0|done|0|t|99",
			"$db|public.parts_1_0|done|0|t|" . $node->safe_psql($db, 'SELECT count(*) FROM parts_1_0'),
			"$db|public.parts_1_1|done|0|t|" . $node->safe_psql($db, 'SELECT count(*) FROM parts_1_1'))
		} ('one', 'two')),
	'progress of what was loaded');
is(preloader(), 'done', 'the loader is done');
wait_waiting('launcher', 'ItemcacheLauncherMain');
my $log = log_from($node, $offset);
foreach my $db ('one', 'two')
{
	foreach my $table ('items', 'parts_0', 'parts_1_0', 'empty')
	{
		my @lines = grep { /LOG:.*"public\.$table" in database "$db"/ } split /\n/, $log;
		is(scalar(@lines), 1, "one log line for $table of $db") or diag(join "\n", @lines);
	}
	is_cached($node, $db, 'items', 1, 6000, 6000, "$db: items is all cached");
	is_cached($node, $db, 'parts', 1, 300, 300, "$db: parts too");
	is(counter($node, $db, 'items', 'lazy'), '0', "$db: a table attached with preload => false is not");
	is_exact($node, $db, $_, 0, 6001, "$db: $_ is exact") foreach ('items', 'parts', 'lazy', 'empty');
}
is($node->safe_psql('one', q{SELECT left((itemcache.get(NULL::items, 7)).name, 5)}), 'one 7', 'database one has its own');
is($node->safe_psql('two', q{SELECT left((itemcache.get(NULL::items, 7)).name, 5)}), 'two 7', 'database two has its own');

#
# While it runs
#
foreach my $workers (1, 2, 4)
{
	$node->append_conf('postgresql.conf', "itemcache.preload_workers = $workers");
	hold_up('one');
	$node->restart;
	wait_held_up();
	is($node->safe_psql('one', q{SELECT state FROM itemcache.preload_progress WHERE datname = 'one' AND relation = 'public.items'}),
		'loading', "$workers workers: loading");
	is(preloader(), 'loading', "$workers workers: the loader is loading");
	wait_waiting('launcher', 'ItemcacheLauncherWorkers');
	is($node->safe_psql('one', q{SELECT bool_and(blocks_done <= blocks_total AND started_at <= now() AND finished_at IS NULL AND workers > 0)
			FROM itemcache.preload_progress WHERE state = 'loading'}),
		't', "$workers workers: progress makes sense");
	my $n = $node->safe_psql('one', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'itemcache preload worker'});
	cmp_ok($n, '>=', 1, "$workers workers: in pg_stat_activity");
	my $running = $node->safe_psql('one', q{SELECT sum(workers) FROM itemcache.preload_progress});
	cmp_ok($running, '<=', $workers, "$workers workers: no more than asked for");
	# the first range of "items" has what holds up one of them
	ok( $workers == 1 || $node->poll_query_until('one', q{SELECT blocks_total > 1024 AND blocks_done = blocks_total - 1024
			FROM itemcache.preload_progress WHERE datname = 'one' AND relation = 'public.items'}),
		"$workers workers: others do the rest of the table");
	is_exact($node, 'one', 'parts', 0, 301, "$workers workers: lookups while it runs");
	is_exact($node, 'one', 'items', 10, 100, "$workers workers: lookups of the table being loaded");
	$node->safe_psql('one', q{UPDATE items SET name = 'changed meanwhile' WHERE id IN (6, 20, 200, 3900); DELETE FROM items WHERE id = 4000;
		INSERT INTO items VALUES (4000, 'new', NULL); UPDATE parts SET name = 'changed meanwhile'});
	is_exact($node, 'one', 'items', 10, 100, "$workers workers: written while it runs");
	$node->safe_psql('one', q{ROLLBACK PREPARED 'hold_up'});
	wait_preloaded($node, 'one');
	is_exact($node, 'one', 'items', 0, 7051, "$workers workers: exact after");
	is_exact($node, 'one', 'parts', 0, 301, "$workers workers: exact after");
	is_cached($node, 'one', 'items', 1, 6000, 5990, "$workers workers: cached after");
}

# A table that is locked is tried again, for a while
$node->safe_psql('one', q{BEGIN; LOCK TABLE empty; PREPARE TRANSACTION 'lock_up'});
$node->restart;
wait_waiting('worker', 'ItemcacheWorkerRetry');
$node->safe_psql('one', q{ROLLBACK PREPARED 'lock_up'});
wait_preloaded($node, 'one');

#
# Plans that were made before it is done are made again
#
$node->safe_psql('one', 'ANALYZE items');
$node->append_conf('postgresql.conf', 'itemcache.preload_workers = 1');
hold_up('one');
$node->restart;
wait_held_up();
my $planner = $node->background_psql('one');
$planner->query_safe(q{SET itemcache.transparent = on; SET plan_cache_mode = force_generic_plan;
	PREPARE q AS SELECT i.name FROM generate_series(1, 7000) g JOIN items i ON i.id = g});
unlike($planner->query_safe('EXPLAIN EXECUTE q'), qr/ItemCache/, 'plan of a join with a table that is not loaded yet');
$node->safe_psql('one', q{ROLLBACK PREPARED 'hold_up'});
wait_preloaded($node, 'one');
like($planner->query_safe('EXPLAIN EXECUTE q'), qr/ItemCache Join/, 'and when it is');
$planner->quit;

#
# A table that is dropped, altered or truncated meanwhile
#
foreach my $ddl ('TRUNCATE items', 'ALTER TABLE items ADD c int DEFAULT 7', q{SELECT itemcache.detach('items')}, 'DROP TABLE items')
{
	hold_up('two');
	$node->restart;
	wait_held_up();
	my $session = $node->background_psql('two');
	$session->query_until(qr/sent/, "\\echo sent\n$ddl;\n");
	wait_blocked($node, 'two', "$ddl%") or die 'DDL is not waiting';
	$node->safe_psql('two', q{ROLLBACK PREPARED 'hold_up'});
	wait_preloaded($node, 'one');
	my (undef, $err) = try_query($session, 'SELECT 1');
	is($err, '', "$ddl during the preload");
	$session->quit;
	is($node->safe_psql('one', q{SELECT count(*) FROM itemcache.preload_progress WHERE datname = 'one' AND state = 'done'}),
		'5', "$ddl: the other database is loaded");
	is($node->safe_psql('two', q{SELECT count(*) FROM itemcache.preload_progress WHERE datname = 'two' AND relation <> 'public.items' AND state = 'done'}),
		'4', "$ddl: the other tables are loaded");
	unlike($node->safe_psql('two', q{SELECT state FROM itemcache.preload_progress WHERE datname = 'two' AND relation = 'public.items'}),
		qr/loading|failed/, "$ddl: is no failure");
	next if $ddl =~ /DROP/;
	is_exact($node, 'two', 'items', 0, 6001, "$ddl: exact");
	$node->safe_psql('two', q{SELECT itemcache.attach('items');
		INSERT INTO items (id, name, wide) SELECT i, 'two ' || i || repeat('n', 1800), CASE WHEN i <= 5 THEN repeat('w', 5000) END FROM generate_series(1, 6000) i ON CONFLICT DO NOTHING});
}

#
# SIGHUP turns it off
#
hold_up('one');
$node->restart;
wait_held_up();
$node->append_conf('postgresql.conf', 'itemcache.preload = off');
$node->reload;
$node->safe_psql('one', q{ROLLBACK PREPARED 'hold_up'});
$node->poll_query_until('one', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'itemcache preload worker'})
  or die 'loader does not stop';
is($node->safe_psql('one', q{SELECT state FROM itemcache.preload_progress WHERE datname = 'one' AND relation = 'public.items'}),
	'stopped', 'turned off: stopped');
is($node->safe_psql('one', q{SELECT blocks_done < blocks_total AND workers = 0 AND finished_at IS NOT NULL FROM itemcache.preload_progress WHERE datname = 'one' AND relation = 'public.items'}),
	't', 'turned off: it did not come to the end');
is_exact($node, 'one', 'items', 0, 7051, 'turned off: exact');
is(preloader(), 'off', 'turned off: the loader says so');

#
# preload = off: starts empty, caches what is inserted and what is read
#
$node->restart;
is($node->safe_psql('one', q{SELECT items FROM itemcache.stats}), '0', 'off: starts empty');
is($node->safe_psql('one', q{SELECT count(*) FROM itemcache.preload_progress}), '0', 'off: no progress');
$node->poll_query_until('one', q{SELECT preloader = 'off' FROM itemcache.stats}) or die 'the launcher is not there';
$node->safe_psql('one', q{INSERT INTO items SELECT i, 'new', NULL FROM generate_series(7001, 7050) i});
is(counter($node, 'one', 'items', 'items'), '50', 'off: inserted rows are cached');
is_cached($node, 'one', 'items', 7001, 7050, 50, 'off: and served');
is_exact($node, 'one', 'items', 0, 50, 'off: rows that are read');
is_cached($node, 'one', 'items', 1, 50, 50, 'off: are cached too');
is($node->safe_psql('one', q{SELECT itemcache.preload('items')}), $node->safe_psql('one', 'SELECT count(*) FROM items'), 'off: preload() loads by hand');
is_cached($node, 'one', 'items', 1, 6000, 6000, 'off: all of it');
$node->append_conf('postgresql.conf', 'itemcache.preload = on');

#
# Shutdown in the middle
#
hold_up('one');
$offset = -s $node->logfile;
$node->restart;
wait_held_up();
$node->stop('fast');
pass('fast shutdown during a preload');
$node->start;
wait_held_up();
$node->stop('immediate');
$node->start;
wait_held_up();
$node->restart;    # a fast one again
wait_held_up();

# A loader that is killed as an administrator does it
my $pid = $node->safe_psql('one', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'itemcache preload worker' AND wait_event_type = 'Lock' LIMIT 1});
$node->safe_psql('one', "SELECT pg_terminate_backend($pid)");
$node->poll_query_until('one', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'loader cannot be terminated';
is_exact($node, 'one', 'items', 10, 100, 'a terminated loader');
$node->safe_psql('one', q{ROLLBACK PREPARED 'hold_up'});
wait_preloaded($node, 'one');
is_exact($node, 'one', 'items', 0, 7051, 'exact after a terminated loader');
is(preloader(), 'incomplete', 'that a worker was terminated can be seen');
like(log_from($node, $offset), qr/WARNING:.*preload of database "one" ended before all its tables were loaded/, 'and what it had to load');

# The launcher, which comes back
$pid = $node->safe_psql('one', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'itemcache preload launcher'});
$node->safe_psql('one', "SELECT pg_terminate_backend($pid)");
$node->poll_query_until('one', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'the launcher cannot be terminated';
is(preloader(), 'terminated', 'that the launcher was terminated can be seen');
unlike(log_from($node, $offset), qr/PANIC|TRAP/, 'no crash');

#
# A failure leaves the others going
#
$node->safe_psql('one', q{CHECKPOINT});
my $path = $node->safe_psql('one', q{SELECT pg_relation_filepath('parts_0')});
$node->stop;
open my $file, '+<', $node->data_dir . "/$path" or die "could not open $path: $!";
binmode $file;
print $file "\x5a" x 8192;
close $file;
$offset = -s $node->logfile;
$node->start;
wait_preloaded($node, 'one');
is($node->safe_psql('one', q{SELECT state FROM itemcache.preload_progress WHERE datname = 'one' AND relation = 'public.parts_0'}), 'failed', 'damaged table: failed');
is($node->safe_psql('one', q{SELECT count(*) FROM itemcache.preload_progress WHERE datname = 'one' AND state = 'done'}), '4', 'the other tables are loaded');
is($node->safe_psql('one', q{SELECT count(*) FROM itemcache.preload_progress WHERE datname = 'two' AND state = 'done'}), '4', 'and the other database');
like(log_from($node, $offset), qr/WARNING:.*parts_0/, 'with a WARNING');
unlike(log_from($node, $offset), qr/PANIC|FATAL|TRAP/, 'and no more');
is_exact($node, 'one', 'items', 0, 7051, 'exact beside it');
$node->safe_psql('one', 'DROP TABLE parts');

#
# A database that is dropped while it is being loaded
#
foreach my $i (1 .. 3)
{
	$node->safe_psql('postgres', 'CREATE DATABASE doomed TEMPLATE one');
	$offset = -s $node->logfile;
	$node->restart;
	$node->safe_psql('postgres', 'DROP DATABASE doomed');
	pass("a database is dropped during the preload, $i");
	wait_preloaded($node, 'one');
	is($node->safe_psql('one', q{SELECT count(*) FROM itemcache.preload_progress WHERE datname = 'one' AND state = 'done'}), '2', 'the other database is loaded');
	unlike(log_from($node, $offset), qr/PANIC|TRAP/, 'no crash');
}

#
# One that is copied meanwhile: the loader leaves it, as PostgreSQL waits for
# that only for some seconds, and comes back
#
hold_up('one');
$node->restart;
wait_held_up();
$pid = $node->safe_psql('one', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'itemcache preload worker' AND wait_event_type = 'Lock' LIMIT 1});
kill 'STOP', $pid;
$node->safe_psql('one', q{ROLLBACK PREPARED 'hold_up'});
$offset = -s $node->logfile;
my $copying = $node->background_psql('postgres');
$copying->query_until(qr/sent/, "\\echo sent\nCREATE DATABASE copied TEMPLATE one;\n");
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE classid = 'pg_database'::regclass AND mode = 'ShareLock' AND granted})
  or die 'the database is not locked';
kill 'CONT', $pid;
my (undef, $copy_err) = try_query($copying, 'SELECT 1');
is($copy_err, '', 'a database is copied during the preload');
$copying->quit;
wait_preloaded($node, 'one');
like(log_from($node, $offset), qr/"public\.items" in database "one": stopped.*"public\.items" in database "one": done/s, 'the loader left and came back');
is_cached($node, 'one', 'items', 1, 6000, 5990, 'and loaded all of it');
is_exact($node, 'one', 'items', 0, 7051, 'exact after that');
$node->safe_psql('postgres', 'DROP DATABASE copied');

# One that cannot be connected to, or whose extension is gone
$node->safe_psql('postgres', 'CREATE DATABASE doomed TEMPLATE one ALLOW_CONNECTIONS false');
$node->safe_psql('two', 'DROP EXTENSION itemcache CASCADE');
$node->restart;
wait_preloaded($node, 'one');
is($node->safe_psql('one', q{SELECT string_agg(DISTINCT datname, ',') FROM itemcache.preload_progress}), 'one', 'databases that cannot be loaded are left alone');
$node->safe_psql('postgres', 'DROP DATABASE doomed');

#
# Many tables, more than there are workers or rows of progress to begin with
#
$node->safe_psql('one', q{
	DO $$ BEGIN
		FOR i IN 1 .. 100 LOOP
			EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, n int)', i);
			EXECUTE format('INSERT INTO many_%s SELECT g, %s FROM generate_series(1, 20) g', i, i);
			PERFORM itemcache.attach(format('many_%s', i)::regclass);
		END LOOP;
	END $$});
$node->append_conf('postgresql.conf', 'itemcache.preload_workers = 3');
$node->restart;
wait_preloaded($node, 'one');
is($node->safe_psql('one', q{SELECT count(*), sum(items) FROM itemcache.tables WHERE relid::text LIKE 'many%'}), '100|2000', 'a hundred tables are loaded');
is_exact($node, 'one', "many_$_", 0, 21, "many_$_ is exact") foreach (1, 50, 100);
is_cached($node, 'one', "many_$_", 1, 20, 20, "many_$_ is cached") foreach (1, 50, 100);

#
# With the keys that attach() was told
#
$node->safe_psql('one', q{
	CREATE TABLE coded (id bigint PRIMARY KEY, code text UNIQUE, mail text);
	CREATE UNIQUE INDEX ON coded (lower(mail)) WHERE mail <> '';
	INSERT INTO coded SELECT i, 'code ' || i, 'Mail ' || i FROM generate_series(1, 300) i;
	SELECT itemcache.attach('coded', aliases => 'all')});
my $loaded_keys = q{SELECT items, aliases FROM itemcache.tables WHERE relid = 'coded'::regclass};
my $by_code = q{SELECT count(*) FROM generate_series(1, 300) i WHERE (itemcache.get_by(NULL::coded, 'code', 'code ' || i)).id = i};
is($node->safe_psql('one', $loaded_keys), '0|0', 'to attach loads nothing');
foreach my $mode ('on', 'hot')
{
	$node->append_conf('postgresql.conf', "itemcache.preload = $mode");
	$node->restart;
	wait_preloaded($node, 'one');
	is($node->safe_psql('one', $loaded_keys), '300|600', "rows are loaded with their aliases ($mode)");
	my $misses = counter($node, 'one', 'misses', 'coded');
	is($node->safe_psql('one', $by_code), 300, 'all are found by the other key');
	is(counter($node, 'one', 'misses', 'coded'), $misses, 'in the cache');
}
$node->append_conf('postgresql.conf', 'itemcache.preload = on');

#
# A cache that is too small
#
$node->append_conf('postgresql.conf', q{itemcache.memory = '2MB'});
$offset = -s $node->logfile;
$node->stop;
unlink $node->data_dir . '/itemcache.hotset';	# or what was used most came first
$node->start;
wait_preloaded($node, 'one');
is($node->safe_psql('one', q{SELECT state, items_loaded > 0, items_loaded < 6000, blocks_done < blocks_total FROM itemcache.preload_progress WHERE relation = 'public.items'}),
	'full|t|t|t', 'it stops when the cache is full, and says how far it came');
like(log_from($node, $offset), qr/LOG:.*full.*items.*\n.*HINT:.*itemcache\.memory/, 'and logs it');
my (undef, undef, $notices) = $node->psql('one', q{SELECT itemcache.preload('items')});
like($notices, qr/NOTICE:.*the cache is full.*stopped.*\n.*HINT:.*itemcache\.memory/, 'preload() says so');
(undef, undef, $notices) = $node->psql('one', q{SELECT sum(itemcache.preload(format('many_%s', i)::regclass)) FROM generate_series(1, 100) i});
like($notices, qr/NOTICE:.*\d+ items found no room in the cache\n.*HINT:.*itemcache\.memory/, 'of a small table as well');
cmp_ok($node->safe_psql('one', q{SELECT memory_used::numeric / (2 * 1024 * 1024) FROM itemcache.stats}), '>', 0.4, 'the memory is used');
is_exact($node, 'one', 'items', 0, 7051, 'a full cache is exact');

#
# No room for the launcher, or for a worker
#
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
is(preloader(), 'not started', 'no launcher');
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_logical_replication_workers = 0");
$node->restart;
$node->poll_query_until('one', q{SELECT preloader = 'waiting for a worker process' FROM itemcache.stats}) or die 'the launcher is not waiting';
$node->append_conf('postgresql.conf', 'itemcache.preload = off');
$node->reload;
$node->poll_query_until('one', q{SELECT preloader = 'off' FROM itemcache.stats}) or die 'the launcher does not stop waiting';

$node->stop;
done_testing();
