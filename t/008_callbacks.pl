# Protects: writes and DDL done by another library's PRE_COMMIT callback, after ours has run, reach the cache (HAZARDS A6, D.A6).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($module, $why_not) = build_module('late_writer', $FindBin::RealBin);
plan skip_all => "cannot build the test module: $why_not" unless defined $module;

my $node = new_server('callbacks', preload => "$module, itemcache");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, n int);
	CREATE TABLE other (id int PRIMARY KEY, n int);
	CREATE TABLE parts (id bigint PRIMARY KEY, n int) PARTITION BY RANGE (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (50);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (50) TO (200);
	INSERT INTO items SELECT i, 0 FROM generate_series(1, 100) i;
	INSERT INTO other SELECT i, 0 FROM generate_series(1, 100) i;
	INSERT INTO parts SELECT i, 0 FROM generate_series(1, 100) i;
	SELECT itemcache.attach('items');
	SELECT itemcache.attach('parts');
});

# Warm everything; the callback runs "late" at the end of a transaction that
# does "early".
sub late
{
	my ($name, $early, $late, $how) = @_;
	my $expect = $how // 'COMMIT';

	is_exact($node, 'postgres', $_, 0, 121, "$name: warm $_") foreach ('items', 'parts');
	my $old = $node->background_psql('postgres');
	my $before = $old->query_safe(
		q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT string_agg(t::text, ',' ORDER BY id) FROM items t});
	$old->query_safe('COMMIT') if $late =~ /TRUNCATE|ALTER/;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', "SET late_writer.sql = \$late\$$late\$late\$; BEGIN; $early; $expect");
	is($stderr, '', "$name: no error");
	is_exact($node, 'postgres', $_, 0, 121, "$name: $_") foreach ('items', 'parts');
	if ($late !~ /TRUNCATE|ALTER/)
	{
		is($old->query_safe(q{SELECT string_agg(itemcache.get(NULL::items, k)::text, ',' ORDER BY k) FROM generate_series(1, 121) k}),
			$before, "$name: an old snapshot");
		$old->query_safe('COMMIT');
	}
	$old->quit;
	if ($expect =~ /PREPARE TRANSACTION '(\w+)'/)
	{
		$node->safe_psql('postgres', "COMMIT PREPARED '$1'");
		is_exact($node, 'postgres', $_, 0, 121, "$name: $_ after COMMIT PREPARED") foreach ('items', 'parts');
	}
}

# The first write of the table is the late one.
late('late update', 'UPDATE other SET n = 1', 'UPDATE items SET n = n + 1 WHERE id <= 10; UPDATE parts SET n = n + 1 WHERE id <= 60');
is($node->safe_psql('postgres', 'SELECT (itemcache.get(NULL::items, 1)).n'), '1', 'the late update did happen');

# The same keys were written before, and published.
late('update twice', 'UPDATE items SET n = 100 WHERE id <= 20; UPDATE parts SET n = 100 WHERE id <= 60',
	'UPDATE items SET n = 200 WHERE id <= 10; UPDATE parts SET n = 200 WHERE id <= 55');
is($node->safe_psql('postgres', 'SELECT (itemcache.get(NULL::items, 1)).n, (itemcache.get(NULL::items, 15)).n'), '200|100', 'the late update won');
late('insert, then late delete', 'INSERT INTO items VALUES (101, 1); INSERT INTO parts VALUES (101, 1)',
	'DELETE FROM items WHERE id = 101; DELETE FROM parts WHERE id IN (101, 3)');
late('late key change', 'UPDATE items SET n = 7 WHERE id = 30', 'UPDATE items SET id = 110 WHERE id = 30; UPDATE parts SET id = 111 WHERE id = 30');
late('late insert', 'UPDATE other SET n = 2', 'INSERT INTO items VALUES (112, 12); INSERT INTO parts VALUES (112, 12)');
late('at prepare', 'UPDATE items SET n = 5 WHERE id <= 10', 'UPDATE items SET n = 6 WHERE id <= 5; UPDATE parts SET n = 6 WHERE id <= 60',
	q{PREPARE TRANSACTION 'late'});
late('at prepare, the first write', 'UPDATE other SET n = 3', 'UPDATE items SET n = 66 WHERE id <= 5', q{PREPARE TRANSACTION 'late'});

# DDL that comes late
late('late TRUNCATE', 'UPDATE items SET n = 8 WHERE id = 40', 'TRUNCATE items; TRUNCATE parts_1');
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), '0', 'the late TRUNCATE did happen');
$node->safe_psql('postgres', 'INSERT INTO items SELECT i, 0 FROM generate_series(1, 100) i; INSERT INTO parts SELECT i, 0 FROM generate_series(60, 100) i');
late('late ALTER', 'UPDATE items SET n = 9 WHERE id = 41', q{ALTER TABLE items ADD c int DEFAULT 5; ALTER TABLE parts ADD c text DEFAULT 'x'});
late('late ALTER TYPE', 'UPDATE items SET n = 9 WHERE id = 42', q{ALTER TABLE items ALTER n TYPE text});
late('late DISABLE TRIGGER', q{UPDATE items SET n = '9' WHERE id = 43}, q{ALTER TABLE items DISABLE TRIGGER itemcache; UPDATE items SET n = '10' WHERE id <= 50});
$node->safe_psql('postgres', q{UPDATE items SET n = 'silent' WHERE id <= 5});
is_exact($node, 'postgres', 'items', 0, 121, 'not served while disabled');
$node->safe_psql('postgres', q{SELECT itemcache.attach('items')});
is_exact($node, 'postgres', 'items', 0, 121, 'attached again');

# An error in the late callback aborts what we have published.
is_exact($node, 'postgres', 'items', 0, 121, 'warm');
my ($state) = sql_error($node, 'postgres', q{SET late_writer.sql = 'SELECT 1 / 0'; BEGIN; UPDATE items SET n = 'never' WHERE id <= 50; INSERT INTO items VALUES (115, 'never'); COMMIT});
is($state, '22012', 'abort after publishing');
is_exact($node, 'postgres', 'items', 0, 121, 'exact after an abort after publishing');
is_cached($node, 'postgres', 'items', 1, 50, 50, 'and the keys are cached again');
is($node->safe_psql('postgres', q{SELECT count(*) FROM generate_series(1, 120) k WHERE (itemcache.get(NULL::items, k)).n = 'never'}), '0', 'nothing of it is seen');

$node->stop;
unlike(log_from($node), qr/PANIC|TRAP|terminated by signal/, 'no crash');

done_testing();
