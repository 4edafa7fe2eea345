# Protects: cancels and timeouts anywhere, bounded memory, huge transactions, subtransaction storms, many tables, tiny caches, old xids, reused database OIDs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $rows = $ENV{ITEMCACHE_HUGE_ROWS} || 5_000_000;
my $node = new_server('limits', memory => '32MB', conf => <<'CONF');
synchronous_commit = off
max_wal_size = 4GB
checkpoint_timeout = 1h
CONF
$node->start;

#
# Cancels and timeouts.  A session that has reindexed the TOAST table holds up
# a lookup, a fill or a preload in the middle.
#
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text, wide text);
	ALTER TABLE items ALTER wide SET STORAGE EXTERNAL;
	INSERT INTO items SELECT i, 'item ' || i, CASE WHEN i % 100 = 50 THEN repeat('w', 5000) END FROM generate_series(1, 1000) i;
	CREATE TABLE parts (id bigint PRIMARY KEY, name text) PARTITION BY HASH (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT i, 'part ' || i FROM generate_series(1, 1000) i;
	SELECT itemcache.attach('items');
	SELECT itemcache.attach('parts');
});
my $toast = toast_of($node, 'postgres', 'items');
my %calls = (
	'get' => q{SELECT count(itemcache.get(NULL::items, k)) FROM generate_series(1, 1000) k},
	'get_many' => q{SELECT count(*) FROM itemcache.get_many(NULL::items, (SELECT array_agg(k::bigint) FROM generate_series(1, 1000) k))},
	'preload' => q{SELECT itemcache.preload('items')},
	'publish' => q{UPDATE items SET name = name || 'x'});
foreach my $how ('cancel', 'timeout', 'terminate')
{
	foreach my $call (sort keys %calls)
	{
		$node->safe_psql('postgres', q{SELECT itemcache.clear('items')});
		my $holder = $node->background_psql('postgres');
		$holder->query_safe("BEGIN; REINDEX TABLE $toast");
		my $victim = $node->background_psql('postgres', on_error_stop => 0);
		my ($out, $err);

		if ($how eq 'timeout')
		{
			# the lookups before it may take long on a slow machine
			try_query($victim, q{SET lock_timeout = '100ms'});
			(undef, $err) = try_query($victim, $calls{$call});
			like($err, qr/lock timeout/, "$call: $how");
		}
		else
		{
			my $pid = $victim->query_safe('SELECT pg_backend_pid()');
			my $function = $how eq 'cancel' ? 'pg_cancel_backend' : 'pg_terminate_backend';
			$victim->{run}->pump_nb;
			$victim->query_until(qr/sent/, "\\echo sent\n$calls{$call};\n");
			$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid")
			  or die "$call is not held up";
			$node->safe_psql('postgres', "SELECT $function($pid)");
			$node->poll_query_until('postgres',
				"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND state = 'active')")
			  or die "$call does not react";
			pass("$call: $how");
		}

		# Others go on, and so does the session.
		is($node->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 999)).name IS NOT NULL, (itemcache.get(NULL::items, 1)).name IS NOT NULL}),
			't|t', "$call: others go on after a $how");
		if ($how ne 'terminate')
		{
			($out) = try_query($victim, q{SELECT (itemcache.get(NULL::items, 998)).id, (itemcache.get(NULL::parts, 998)).id});
			is($out, '998|998', "$call: the session goes on after a $how");
		}
		$holder->query_safe('ROLLBACK');
		$holder->quit;
		is_exact($node, 'postgres', 'items', 0, 1001, "$call: exact after a $how");
		is_cached($node, 'postgres', 'items', 1, 1000, 1000, "$call: cached after a $how");
		eval { $victim->quit };
	}
}

# statement_timeout at points nobody has chosen
foreach my $ms (1, 2, 3, 5, 8, 13, 21, 34)
{
	$node->psql('postgres', "SELECT itemcache.clear('parts'); SET statement_timeout = $ms;
		SELECT count(itemcache.get(NULL::parts, k)) FROM generate_series(1, 100000) k;
		SELECT itemcache.preload('parts');
		SELECT count(*) FROM itemcache.get_many(NULL::parts, (SELECT array_agg(k::bigint) FROM generate_series(1, 100000) k));
		UPDATE parts SET name = name || 'x'; DELETE FROM parts WHERE id > 900;
		INSERT INTO parts SELECT i, 'back' FROM generate_series(1, 1000) i ON CONFLICT DO NOTHING");
}
is_exact($node, 'postgres', 'parts', 0, 1001, 'exact after statement timeouts');

#
# A statement that ends early, with lookups half done
#
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT itemcache.get_many(NULL::items, ARRAY[1, 2, 3, 4]) LIMIT 2) s;
	BEGIN; DECLARE c CURSOR FOR SELECT itemcache.get_many(NULL::items, (SELECT array_agg(k::bigint) FROM generate_series(1, 500) k));
	MOVE 3 IN c; SAVEPOINT s; SELECT 1 FROM items LIMIT 0; ROLLBACK TO s; FETCH 1 FROM c; COMMIT;
	SELECT 'end'}), "2\n(4,\"" . $node->safe_psql('postgres', q{SELECT name FROM items WHERE id = 4}) . "\",)\nend", 'lookups that are not read to the end');

#
# An item larger than the limit, before and after the limit moves
#
$node->safe_psql('postgres', q{
	ALTER SYSTEM SET itemcache.max_item_size = '8kB'; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT current_setting('itemcache.max_item_size') = '8kB'});
$node->safe_psql('postgres', q{
	INSERT INTO items VALUES (2001, 'large', repeat('l', 20000)), (2002, 'huge', repeat('h', 3000000)), (2003, 'small', 's');
	UPDATE items SET wide = repeat('l', 30000) WHERE id = 1});
is_exact($node, 'postgres', 'items', 2001, 2003, 'items larger than the limit');
is_exact($node, 'postgres', 'items', 1, 10, 'an item that became larger than the limit');
is_exact($node, 'postgres', 'items', 1, 10, 'once more');
$node->safe_psql('postgres', q{UPDATE items SET wide = 'small' WHERE id IN (1, 2001)});
is_exact($node, 'postgres', 'items', 2001, 2003, 'and became small');
is_cached($node, 'postgres', 'items', 2001, 2001, 1, 'is cached then');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET itemcache.max_item_size; SELECT pg_reload_conf()});
$node->safe_psql('postgres', q{DELETE FROM items WHERE id > 2000});

#
# A huge transaction: what it writes is exact, and our memory stays bounded
#
$node->safe_psql('postgres', q{CREATE TABLE huge (id int PRIMARY KEY, n int); SELECT itemcache.attach('huge')});
my $contexts = q{SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name ILIKE '%itemcache%'};
my $session = $node->background_psql('postgres', timeout => 600);
my $updated = int($rows / 5);
my $inserted = $rows - $updated;
$session->query_safe("BEGIN; INSERT INTO huge SELECT i, 0 FROM generate_series(1, $inserted) i");
my $after_insert = $session->query_safe($contexts);
is_exact($node, 'postgres', 'huge', 1, 100, 'huge transaction: not seen before it commits');
$session->query_safe("UPDATE huge SET n = 1 WHERE id <= $updated");
my $after_update = $session->query_safe($contexts);
diag("contexts of a transaction that wrote $rows rows: $after_insert bytes after the inserts, $after_update after the updates");
cmp_ok($after_insert, '<', 64 * 1024 * 1024, 'huge transaction: memory after the inserts');
cmp_ok($after_update, '<', 64 * 1024 * 1024, 'huge transaction: memory after the updates');
is($session->query_safe('SELECT (itemcache.get(NULL::huge, 5)).n'), '1', 'huge transaction: sees its own writes');
$session->query_safe('COMMIT');
is_exact($node, 'postgres', 'huge', 0, 1000, 'huge transaction: committed');
is_exact($node, 'postgres', 'huge', $updated - 500, $updated + 500, 'huge transaction: around the last update');
is_exact($node, 'postgres', 'huge', $inserted - 500, $inserted + 500, 'huge transaction: around the last insert');

# One that deletes and updates many of what is cached, and rolls back
is_exact($node, 'postgres', 'huge', 1, 20000, 'warm');
$session->query_safe('BEGIN; DELETE FROM huge WHERE id <= 300000; UPDATE huge SET n = 2 WHERE id <= 600000');
is_exact($node, 'postgres', 'huge', 1, 2000, 'in progress');
$session->query_safe('ROLLBACK');
is_exact($node, 'postgres', 'huge', 1, 20000, 'rolled back');

# Over the bound, keys noted before it count as well (HAZARDS A15)
$session->query_safe('BEGIN; UPDATE huge SET n = 3 WHERE id <= 10; UPDATE huge SET n = 4 WHERE id <= 600000; UPDATE huge SET n = 5 WHERE id <= 20; DELETE FROM huge WHERE id = 3');
$session->query_safe('COMMIT');
is_exact($node, 'postgres', 'huge', 0, 2000, 'over the bound');
$session->query_safe("BEGIN; INSERT INTO huge SELECT -i, 0 FROM generate_series(1, 600000) i; UPDATE huge SET n = 1 WHERE id IN (-1, -300000, -599999); DELETE FROM huge WHERE id IN (-2, -300001, -600000); COMMIT");
is_exact($node, 'postgres', 'huge', -10, 2000, 'inserts over the bound');
is_exact($node, 'postgres', 'huge', -600001, -599990, 'inserts over the bound, the last');
is_exact($node, 'postgres', 'huge', -300010, -299990, 'inserts over the bound, in between');
is($session->query_safe($contexts) < 16 * 1024 * 1024, 1, 'memory is given back');
$session->quit;

#
# Out of memory in the writer: its address space is limited from outside, at
# different distances.
#
SKIP:
{
	skip 'there is no prlimit', 1
	  unless $^O eq 'linux' && system('prlimit --version >/dev/null 2>&1') == 0;
	$node->safe_psql('postgres', q{CREATE TABLE oom (id int PRIMARY KEY, n int) WITH (fillfactor = 40);
		INSERT INTO oom SELECT i, 0 FROM generate_series(1, 60000) i; SELECT itemcache.attach('oom')});
	my $writer = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $writer->query_safe('SELECT pg_backend_pid()');
	my $exhausted = 0;

	is_exact($node, 'postgres', 'oom', 1, 5000, 'warm');
	foreach my $distance (1, 3, 5, 7, 9)
	{
		my ($size) = slurp_file("/proc/$pid/status") =~ /VmSize:\s+(\d+) kB/;
		my $limit = ($size + $distance * 1024) * 1024;

		$writer->query_safe('BEGIN; UPDATE oom SET n = n + 1 WHERE id <= 100; SAVEPOINT s');
		system_or_bail('prlimit', '--pid', $pid, "--as=$limit:");
		my (undef, $err) = try_query($writer, 'UPDATE oom SET n = n + 1 WHERE id <= 60000');
		system_or_bail('prlimit', '--pid', $pid, '--as=unlimited:');
		$writer->query_safe('ROLLBACK TO s; UPDATE oom SET n = n + 1 WHERE id BETWEEN 50 AND 150; COMMIT');
		$exhausted++ if $err =~ /out of memory/;
		is_exact($node, 'postgres', 'oom', 1, 5000, "memory for $distance MB more");
		is($writer->query_safe('SELECT (itemcache.get(NULL::oom, 4)).id'), '4', 'the session goes on');
	}
	cmp_ok($exhausted, '>=', 1, 'memory was exhausted');
	$writer->quit;
}
$node->safe_psql('postgres', 'DROP TABLE huge');

#
# Subtransactions
#
$node->safe_psql('postgres', q{CREATE TABLE subs (id bigint PRIMARY KEY, n int);
	INSERT INTO subs SELECT i, 0 FROM generate_series(1, 1000) i; SELECT itemcache.attach('subs');
	CREATE FUNCTION expect_exact(n int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF EXISTS (SELECT FROM generate_series(1, n) k WHERE itemcache.get(NULL::subs, k)::text IS DISTINCT FROM (SELECT s FROM subs s WHERE s.id = k)::text) THEN
			RAISE EXCEPTION 'difference';
		END IF;
	END $$;
	CREATE FUNCTION nest(depth int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE subs SET n = depth WHERE id = 1 + depth % 500;
		IF depth > 0 THEN PERFORM nest(depth - 1); END IF;
		IF depth % 3 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
	EXCEPTION WHEN raise_exception THEN
		UPDATE subs SET n = -depth WHERE id = 1 + depth % 250;
	END $$});
is_exact($node, 'postgres', 'subs', 0, 1001, 'warm');
$node->safe_psql('postgres', q{
	DO $$ BEGIN
		FOR i IN 1 .. 10000 LOOP
			BEGIN
				UPDATE subs SET n = i WHERE id = 1 + i % 1000;
				IF i % 3 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
			EXCEPTION WHEN raise_exception THEN
				NULL;
			END;
			IF i % 1000 = 0 THEN PERFORM expect_exact(1000); END IF;
		END LOOP;
	END $$});
is_exact($node, 'postgres', 'subs', 0, 1001, 'ten thousand savepoints');
$node->safe_psql('postgres', q{SET max_stack_depth = '7MB'; SELECT nest(200)});
is_exact($node, 'postgres', 'subs', 0, 1001, 'nested savepoints');
my $storm = join ";\n", 'BEGIN', (map { ("SAVEPOINT s$_", "UPDATE subs SET n = $_ WHERE id = " . (1 + $_ % 100), $_ % 5 == 0 ? "ROLLBACK TO s$_" : 'SELECT 1') } 1 .. 1000), 'COMMIT';
$node->safe_psql('postgres', $storm);
is_exact($node, 'postgres', 'subs', 0, 1001, 'a thousand savepoints left open');
is_cached($node, 'postgres', 'subs', 1, 1000, 1000, 'and all are cached');

#
# A hundred tables
#
$node->safe_psql('postgres', q{
	DO $$ BEGIN
		FOR i IN 1 .. 100 LOOP
			EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, n int)', i);
			EXECUTE format('INSERT INTO many_%s SELECT g, %s FROM generate_series(1, 20) g', i, i);
			PERFORM itemcache.attach(format('many_%s', i)::regclass);
		END LOOP;
	END $$});
my $all = join ' UNION ALL ', map { "SELECT itemcache.get(NULL::many_$_, 7)::text" } 1 .. 100;
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT get) FROM ($all) s"), '100|100', 'a hundred tables in one statement');
my $before = counter($node, 'postgres', 'hits');
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT get) FROM ($all) s"), '100|100', 'again');
cmp_ok(counter($node, 'postgres', 'hits') - $before, '>=', 100, 'from the cache');
$node->safe_psql('postgres', join ';', 'BEGIN', (map { "UPDATE many_$_ SET n = -n WHERE id % 2 = 1" } 1 .. 100), 'COMMIT');
is_exact($node, 'postgres', "many_$_", 0, 21, "a hundred tables updated in one transaction: $_") foreach (1, 33, 64, 65, 100);
is($node->safe_psql('postgres', q{SELECT count(*), bool_and(hits >= 0) FROM itemcache.tables WHERE relid::text LIKE 'many%' AND served}), '100|t', 'a hundred tables in the view');

#
# The OID of a dropped database is used again (HAZARDS D.A2)
#
$node->safe_psql('postgres', 'CREATE DATABASE template');
$node->safe_psql('template', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text);
	INSERT INTO items SELECT i, 'template' FROM generate_series(1, 100) i;
	SELECT itemcache.attach('items')});
foreach my $force ('', ' WITH (FORCE)')
{
	$node->safe_psql('postgres', 'CREATE DATABASE reused OID 654321 TEMPLATE template');
	$node->safe_psql('reused', q{UPDATE items SET name = 'first life'});
	is_exact($node, 'reused', 'items', 0, 101, "first life$force");
	is_cached($node, 'reused', 'items', 1, 100, 100, "first life$force: cached");
	$node->safe_psql('postgres', "DROP DATABASE reused$force");
	$node->safe_psql('postgres', 'CREATE DATABASE reused OID 654321 TEMPLATE template');
	is_exact($node, 'reused', 'items', 0, 101, "second life$force");
	is($node->safe_psql('reused', q{SELECT (itemcache.get(NULL::items, 1)).name}), 'template', "second life$force: its own rows");
	$node->safe_psql('postgres', 'DROP DATABASE reused');
}

#
# Entries whose transaction is older than the commit log (HAZARDS A14b, D.A4).
# The commit log is cut off where its next segment begins, a million xids on.
#
$node->stop;
my $clog = $node->data_dir . '/pg_xact/0000';
open my $file, '>>', $clog or die "could not open $clog: $!";
binmode $file;
print $file "\0" x (32 * 8192 - -s $clog);
close $file;
command_ok([ 'pg_resetwal', '-x', '1047000', '-D', $node->data_dir ], 'forward to the end of a segment of the commit log');
$node->append_conf('postgresql.conf', 'itemcache.preload = off');
$node->start;
$node->safe_psql('postgres', q{
	CREATE TABLE old (id bigint PRIMARY KEY, n int);
	SELECT itemcache.attach('old');
	INSERT INTO old SELECT i, 0 FROM generate_series(1, 20000) i;
	BEGIN; UPDATE old SET n = 1 WHERE id <= 10000; COMMIT});

# An abort after publishing: the loser of a serialization conflict that is
# found out when it commits.
my @s = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
$_->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(n) FROM old') foreach @s;
$s[0]->query_safe('UPDATE old SET n = 100 WHERE id BETWEEN 19001 AND 19100');
$s[1]->query_safe('UPDATE old SET n = 200 WHERE id BETWEEN 19101 AND 19200');
$s[0]->query_safe('COMMIT');
my (undef, $lost) = try_query($s[1], 'COMMIT');
like($lost, qr/could not serialize/, 'a commit fails after publishing');
$_->quit foreach @s;
my $oldest = $node->safe_psql('postgres', q{SELECT datfrozenxid FROM pg_database ORDER BY age(datfrozenxid) DESC LIMIT 1});
$node->safe_psql('postgres', q{
	ALTER DATABASE template0 ALLOW_CONNECTIONS true;
	CREATE PROCEDURE burn(n int) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1 .. n LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
	CALL burn(3000)});
foreach my $db (split /\n/, $node->safe_psql('postgres', 'SELECT datname FROM pg_database'))
{
	$node->safe_psql($db, 'SET vacuum_freeze_min_age = 0; VACUUM FREEZE');
}
$node->safe_psql('postgres', 'CALL burn(3000)');
my ($state) = sql_error($node, 'postgres', q{SELECT pg_xact_status('1047300')});
ok(!-e $clog, 'the commit log was cut off');
my ($error) = sql_error($node, 'postgres', q{SELECT count(itemcache.get(NULL::old, k)) FROM generate_series(1, 20000) k});
is($error, '', 'no error for entries older than the commit log');
is_exact($node, 'postgres', 'old', 0, 20001, 'entries older than the commit log');
is($node->safe_psql('postgres', q{SELECT (itemcache.get(NULL::old, 19050)).n, (itemcache.get(NULL::old, 19150)).n}), '100|0', 'the loser is not seen');
is_cached($node, 'postgres', 'old', 1, 20000, 20000, 'and they are cached again');
$node->safe_psql('postgres', 'ALTER DATABASE template0 ALLOW_CONNECTIONS false');

#
# A few rows that are replaced again and again evict none while there is space
# for all.
#
$node->safe_psql(
	'postgres', q{
	CREATE TABLE kept (id bigint PRIMARY KEY, n int, filler text);
	INSERT INTO kept SELECT i, 0, repeat('f', 400) FROM generate_series(1, 40000) i;
	SELECT itemcache.attach('kept');
	SELECT itemcache.preload('kept');
	SELECT itemcache.clear()});
is($node->safe_psql('postgres', 'SELECT items, memory_used FROM itemcache.stats'), '0|0', 'what is cleared does not count');
$node->safe_psql(
	'postgres', q{
	SELECT itemcache.preload('kept');
	CREATE PROCEDURE replace(times int, upto int) LANGUAGE plpgsql AS
	'BEGIN FOR i IN 1 .. times LOOP UPDATE kept SET n = n + 1 WHERE id <= upto; COMMIT; END LOOP; END'});
my $evictions = $node->safe_psql('postgres', 'SELECT evictions FROM itemcache.stats');
$node->safe_psql('postgres', 'CALL replace(400, 500)');
is($node->safe_psql('postgres', q{SELECT items FROM itemcache.tables WHERE relid = 'kept'::regclass}), 40000, 'with some replaced, all are cached');
is($node->safe_psql('postgres', 'SELECT evictions FROM itemcache.stats'), $evictions, 'and none was evicted');
is_exact($node, 'postgres', 'kept', 0, 40001, 'rows that were replaced');

#
# A snapshot that became too old (until 17).  VACUUM would freeze versions that it
# does not see, and frozen versions are everybody's; COPY makes such ones sooner.
#
SKIP:
{
	skip 'snapshots do not become too old', 2 if $node->pg_version >= 17;
	$node->append_conf('postgresql.conf', 'old_snapshot_threshold = 0');
	$node->restart;
	$node->safe_psql(
		'postgres', q{
		CREATE TABLE cold (id bigint PRIMARY KEY, v text);
		INSERT INTO cold SELECT i, 'old' FROM generate_series(1, 5) i;
		SELECT itemcache.attach('cold')});
	my $old = $node->background_psql('postgres', on_error_stop => 0);
	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
	append_to_file($node->basedir . '/cold', "1\tnew\n");
	$node->safe_psql('postgres', 'BEGIN; TRUNCATE cold; COPY cold FROM ' . "'" . $node->basedir . "/cold' (FREEZE); COMMIT");
	my $by_table = '';
	for (my $i = 0; $i < 300 && $by_table !~ /snapshot too old/; $i++)
	{
		$node->safe_psql('postgres', 'BEGIN; SELECT txid_current(); COMMIT; VACUUM cold') if $i % 10 == 0;
		(undef, $by_table) = try_query($old, q{SAVEPOINT s; SET LOCAL itemcache.enabled = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
			SELECT v FROM cold WHERE id = 1});
		try_query($old, 'ROLLBACK TO s');
		usleep(100_000);
	}
	like($by_table, qr/snapshot too old/, 'a snapshot is too old to read a row');
	$node->safe_psql('postgres', q{SELECT itemcache.clear('cold'), itemcache.get(NULL::cold, 1)});
	like((try_query($old, 'SELECT (itemcache.get(NULL::cold, 1)).v'))[1], qr/snapshot too old/, 'and is not served a later version of it');
	$old->quit;
	$node->append_conf('postgresql.conf', 'old_snapshot_threshold = -1');
}

#
# Tiny caches
#
foreach my $conf ("itemcache.memory = '1200kB'", "itemcache.memory = '1200kB'\nitemcache.max_items = 1", "itemcache.memory = '32MB'\nitemcache.max_items = 64",
	"itemcache.memory = '1200kB'\nitemcache.max_items = 1000000\nitemcache.max_item_size = '64MB'")
{
	$node->append_conf('postgresql.conf', "itemcache.max_items = 0\nitemcache.preload = on\n$conf");
	my $name = join ', ', split /\n/, $conf;
	$node->stop;
	if (!$node->start(fail_ok => 1))
	{
		# out of range is an answer, too
		like(join('', (split /\n/, log_from($node))[ -5 .. -1 ]), qr/outside the valid range/, "$name: refused");
		$node->append_conf('postgresql.conf', "itemcache.memory = '1200kB'\nitemcache.max_items = 0\nitemcache.max_item_size = '64kB'");
		$node->start;
		next;
	}
	foreach my $pass (1, 2)
	{
		is_exact($node, 'postgres', $_, 0, 1001, "$name: $_, pass $pass") foreach ('items', 'parts', 'subs', 'old');
	}
	$node->safe_psql('postgres', q{UPDATE items SET name = name || '!'; UPDATE subs SET n = n + 1; SELECT itemcache.preload('old');
		UPDATE items SET wide = repeat('x', 200000) WHERE id = 9});
	is_exact($node, 'postgres', $_, 0, 1001, "$name: $_, after updates") foreach ('items', 'parts', 'subs', 'old');
	is($node->safe_psql('postgres', q{SELECT memory <= pg_size_bytes(current_setting('itemcache.memory')), memory_used <= memory, items <= capacity FROM itemcache.stats}),
		't|t|t', "$name: within its bounds");
}

$node->stop;
unlike(log_from($node), qr/PANIC|TRAP|terminated by signal/, 'no crash');

done_testing();
