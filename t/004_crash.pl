# Protects: crashes, immediate shutdown and prepared transactions that outlive a restart leave the cache exact.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('crash', conf => "restart_after_crash = on\n");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, n int NOT NULL, filler text);
	INSERT INTO items SELECT i, 0, repeat('x', 200) FROM generate_series(1, 2000) i;
	CREATE TABLE parts (id bigint PRIMARY KEY, n int, filler text) PARTITION BY HASH (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT i, 0, repeat('y', 100) FROM generate_series(1, 200) i;
	SELECT itemcache.attach('items');
	SELECT itemcache.attach('parts');
});

#
# kill -9 of a backend that writes to the cache
#
my $script = $node->basedir . '/load.sql';
append_to_file($script, q{
\set k random(1, 2000)
\set j random(1, 2000)
BEGIN;
UPDATE items SET n = n + 1 WHERE id = :k;
SAVEPOINT s;
UPDATE items SET n = n + 1 WHERE id = :j;
ROLLBACK TO s;
COMMIT;
SELECT (itemcache.get(NULL::items, :j)).n;
});

foreach my $round (1 .. 3)
{
	my ($out, $err) = ('', '');
	my $load = IPC::Run::start(
		[
			'pgbench', '-n', '-c', '4', '-j', '1', '-T', '180', '--max-tries=100',
			'-f', $script, $node->connstr('postgres')
		],
		'>', \$out, '2>', \$err);
	my $victim;

	# Pick one that is at it, after it has written a good deal.
	my $removals = counter($node, 'postgres', 'publishes + removals', 'items');
	$node->poll_query_until('postgres',
		"SELECT publishes + removals > $removals + 500 FROM itemcache.tables WHERE relid = 'items'::regclass"
	) or die 'the load does not write';
	$victim = $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1});
	die 'there is no load' unless $victim =~ /^[1-9]\d+$/;
	is( PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $victim), 0, 'killed backend');
	$load->finish;
	like($err, qr/terminated|closed|aborted|lost|failed/i, 'the others lost their connections');
	$node->poll_query_until('postgres', 'SELECT 1', '1') or die 'server did not come back';
	is_exact($node, 'postgres', 'items', 0, 2001, "exact after the crash, round $round");
}

#
# Immediate shutdown, with a transaction in progress
#
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; UPDATE items SET n = -1 WHERE id <= 100});
$node->stop('immediate');
eval { $session->quit };
$node->start;
is_exact($node, 'postgres', 'items', 0, 2001, 'exact after an immediate shutdown');
is($node->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 100) k WHERE (itemcache.get(NULL::items, k)).n = -1}),
	'0', 'the transaction in progress is gone');

#
# Prepared transactions that outlive a crash, then a clean restart, then none
#
foreach my $mode ('immediate', 'fast', 'none')
{
	$node->safe_psql(
		'postgres', qq{
		UPDATE items SET n = 0;
		UPDATE parts SET n = 0;
		INSERT INTO items VALUES (3002, 0, 'x') ON CONFLICT DO NOTHING;
		BEGIN;
		UPDATE items SET n = 1 WHERE id BETWEEN 1 AND 50;
		DELETE FROM items WHERE id = 51;
		INSERT INTO items VALUES (3001, 1, 'x');
		UPDATE items SET id = 3003 WHERE id = 3002;
		UPDATE parts SET n = 1 WHERE id <= 50;
		PREPARE TRANSACTION 'commit';
		BEGIN;
		UPDATE items SET n = 2 WHERE id BETWEEN 100 AND 150;
		DELETE FROM items WHERE id = 151;
		INSERT INTO items VALUES (3004, 1, 'x');
		PREPARE TRANSACTION 'rollback';
	});
	is_exact($node, 'postgres', 'items', 0, 3005, "$mode: prepared, as prepared");
	if ($mode ne 'none')
	{
		$node->stop($mode);
		$node->start;
	}

	# The old rows, in the cache's way and in the table's, again and again.
	foreach my $i (1 .. 2)
	{
		is_exact($node, 'postgres', 'items', 0, 3005, "$mode: before COMMIT PREPARED, pass $i");
		is_exact($node, 'postgres', 'parts', 0, 201, "$mode: partitioned, before COMMIT PREPARED, pass $i");
	}
	is($node->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 7)).n, (itemcache.get(NULL::items, 51)).n,
			(itemcache.get(NULL::items, 3001)).n, (itemcache.get(NULL::items, 3002)).n, (itemcache.get(NULL::items, 3003)).n}),
		'0|0||0|', "$mode: a prepared transaction is not seen");
	$node->safe_psql('postgres', q{SELECT itemcache.preload('items')});
	is_exact($node, 'postgres', 'items', 0, 3005, "$mode: after a preload");

	# A snapshot from before keeps seeing the old rows.
	my $old = $node->background_psql('postgres');
	$old->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT (itemcache.get(NULL::items, 7)).n});
	$node->safe_psql('postgres', q{COMMIT PREPARED 'commit'});
	is_exact($node, 'postgres', 'items', 0, 3005, "$mode: after COMMIT PREPARED");
	is_exact($node, 'postgres', 'parts', 0, 201, "$mode: partitioned, after COMMIT PREPARED");
	is($node->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 7)).n, (itemcache.get(NULL::items, 51)).n,
			(itemcache.get(NULL::items, 3001)).n, (itemcache.get(NULL::items, 3002)).n, (itemcache.get(NULL::items, 3003)).n}),
		'1||1||0', "$mode: it is seen now");
	is($old->query_safe(q{SELECT (itemcache.get(NULL::items, 7)).n, (itemcache.get(NULL::items, 51)).n, (itemcache.get(NULL::items, 3001)).n}),
		'0|0|', "$mode: but not by a snapshot from before");
	$old->query_safe('COMMIT');
	$old->quit;
	$node->safe_psql('postgres', q{ROLLBACK PREPARED 'rollback'});
	is_exact($node, 'postgres', 'items', 0, 3005, "$mode: after ROLLBACK PREPARED");
	is_exact($node, 'postgres', 'items', 0, 3005, "$mode: and from the cache");
	is_cached($node, 'postgres', 'items', 1, 50, 50, "$mode: keys of the committed one are cached again");
	is_cached($node, 'postgres', 'items', 100, 150, 50, "$mode: keys of the rolled-back one are cached again");
	$node->safe_psql('postgres', q{
		DELETE FROM items WHERE id > 3000; INSERT INTO items VALUES (51, 0, 'x')});
}

#
# DDL in a prepared transaction that outlives a restart: the trigger is
# disabled, rows change silently, the trigger comes back.
#
$node->safe_psql(
	'postgres', q{
	BEGIN;
	ALTER TABLE items DISABLE TRIGGER itemcache;
	UPDATE items SET n = 77 WHERE id = 5;
	PREPARE TRANSACTION 'ddl';
});
$node->stop('immediate');
$node->start;
$node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM itemcache.preload_progress WHERE state = 'loading'});
is_exact($node, 'postgres', 'items', 0, 2001, 'prepared DDL: before');
my $reader = $node->background_psql('postgres');
# (A generic plan takes no lock, and so has no other occasion to hear of it.)
$reader->query_safe(q{SET plan_cache_mode = force_generic_plan;
	PREPARE look(bigint, bigint) AS SELECT (itemcache.get(NULL::items, $1)).n, (itemcache.get(NULL::items, $2)).n;
	EXECUTE look(5, 6); BEGIN; EXECUTE look(5, 6)});
$node->safe_psql('postgres', q{COMMIT PREPARED 'ddl'});
$node->safe_psql('postgres', q{UPDATE items SET n = 88 WHERE id = 6});
is($reader->query_safe(q{EXECUTE look(5, 6)}),
	'77|88', 'prepared DDL: a session that had the table open sees silent writes');
is($node->safe_psql('postgres', q{SELECT served FROM itemcache.tables WHERE relid = 'items'::regclass}),
	'f', 'prepared DDL: the table is not served');
$reader->query_safe('COMMIT');
$reader->quit;
is_exact($node, 'postgres', 'items', 0, 2001, 'prepared DDL: after');
$node->safe_psql('postgres', q{
	ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache; UPDATE items SET n = 99 WHERE id = 6});
is_exact($node, 'postgres', 'items', 0, 2001, 'prepared DDL: enabled again');

# TRUNCATE and a rewrite, prepared
$node->safe_psql(
	'postgres', q{
	SELECT count(itemcache.get(NULL::parts, k)) FROM generate_series(1, 200) k;
	BEGIN; TRUNCATE parts; INSERT INTO parts SELECT i, 5, 'new' FROM generate_series(1, 100) i;
	PREPARE TRANSACTION 'truncate'});
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{COMMIT PREPARED 'truncate'});
is_exact($node, 'postgres', 'parts', 0, 201, 'prepared TRUNCATE');

#
# Unlogged tables are emptied by a crash
#
$node->safe_psql(
	'postgres', q{
	CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY, name text);
	SELECT itemcache.attach('fleeting');
	INSERT INTO fleeting SELECT i, 'x' FROM generate_series(1, 10) i;
});
is_exact($node, 'postgres', 'fleeting', 0, 11, 'unlogged table');
$node->stop('immediate');
$node->start;
is_exact($node, 'postgres', 'fleeting', 0, 11, 'unlogged table after a crash');
is($node->safe_psql('postgres', q{SELECT itemcache.get(NULL::fleeting, 1) IS NULL}), 't', 'is empty');

$node->stop;
unlike(log_from($node), qr/PANIC|TRAP|terminated by signal (?!9)/, 'nothing crashed but what was killed');

done_testing();
