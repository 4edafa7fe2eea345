# Protects: a table of which nothing is found again in a full cache is not filled from for nothing, and nothing else suffers for that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 200_000;
my $once = 170_000;
my $node = new_server('admission', memory => '4MB', conf => "shared_buffers = 128MB\nfsync = off");
$node->start;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id int PRIMARY KEY, name text);
	CREATE TABLE others (id int PRIMARY KEY, name text);
	INSERT INTO items SELECT g, rpad('item ' || g || ' ', 200, 'x') FROM generate_series(1, $rows) g;
	INSERT INTO others SELECT * FROM items WHERE id <= 100;
	VACUUM (FREEZE, ANALYZE) items;
	SELECT itemcache.attach('items', preload => false), itemcache.attach('others', preload => false)});

sub of_items { return $node->safe_psql('postgres', "SELECT $_[0] FROM itemcache.tables WHERE relid = 'items'::regclass") }

# Look keys up, so many times each, one time right after the other.
sub look_up
{
	my ($from, $to, $times) = @_;

	return $node->safe_psql('postgres', qq{
		SELECT count(*) FILTER (WHERE (itemcache.get(NULL::items, $from + i / $times)).name NOT LIKE 'item ' || $from + i / $times || ' %')
		FROM generate_series(0, ($to - $from + 1) * $times - 1) i});
}

# While there is room, all are cached.
look_up(1, 2000, 1);
is(of_items('fills, spared, fills_one_in'), '2000|0|1', 'what there is room for is cached');

# Each key once, many more than there is room for.
is(look_up(1, $once, 1), '0', 'keys that are asked for once are right');
is(of_items('fills_one_in'), '32', 'hardly any of them is cached in the end');
cmp_ok(of_items('spared'), '>', $once / 4, 'and not many on the way there');
is($node->safe_psql('postgres', 'SELECT spared > 0, tables_spared FROM itemcache.stats'), 't|1', 'the whole says so, too');

# Another table's rows are cached as ever.
$node->safe_psql('postgres', 'SELECT count((itemcache.get(NULL::others, i)).name) FROM generate_series(1, 100) i');
is($node->safe_psql('postgres', q{SELECT fills, spared, fills_one_in FROM itemcache.tables WHERE relid = 'others'::regclass}),
	'100|0|1', q{another table's are});

# A key that is asked for again is cached then, if not the first time.
my $hits = of_items('hits');
is(look_up($once + 1, $once + 100, 3), '0', 'keys that are asked for again are right');
cmp_ok(of_items('hits') - $hits, '>=', 99, 'and cached when they are');

# What writers leave of what is cached takes the place of it, or removes it.
my $key = $once + 50;
$hits = of_items('hits');
$node->safe_psql('postgres', "UPDATE items SET name = 'changed' WHERE id = $key");
is($node->safe_psql('postgres', "SELECT (itemcache.get(NULL::items, $key)).name"), 'changed', 'an update is seen');
is(of_items('hits') - $hits, 1, 'from the cache');
$node->safe_psql('postgres', "BEGIN; UPDATE items SET name = 'undone' WHERE id = $key; ROLLBACK");
is($node->safe_psql('postgres', "SELECT (itemcache.get(NULL::items, $key)).name"), 'changed', 'one that is rolled back is not');
$node->safe_psql('postgres', "UPDATE items SET name = 'again' WHERE id = $key; UPDATE items SET name = 'item $key and again' WHERE id = $key");
is(look_up($key, $key, 1), '0', 'the last of two is seen');

# That there is no row is spared, and cached when it is asked for again, likewise.
$hits = of_items('hits');
is($node->safe_psql('postgres', q{SELECT count((itemcache.get(NULL::items, -100 - i / 3)).name) FROM generate_series(0, 299) i}), '0', 'keys without a row have none');
cmp_ok(of_items('hits') - $hits, '>=', 90, 'and are cached when they are asked for again');
$node->safe_psql('postgres', q{INSERT INTO items SELECT -i, 'new' FROM generate_series(100, 199) i});
is($node->safe_psql('postgres', q{SELECT count((itemcache.get(NULL::items, -i)).name) FROM generate_series(100, 199) i}), '100', 'until they have one');

# All are cached again as soon as most newcomers are found again ...
my $next = $once + 101;
for (my $tries = 0; $tries < 200 && of_items('fills_one_in') == 32; $tries++)
{
	look_up($next, $next + 49, 2);
	$next += 50;
}
is(of_items('fills_one_in'), '1', 'all are cached when newcomers are found again');
my $spared = of_items('spared');
look_up($next, $next + 100, 1);
is(of_items('spared') - $spared, 0, 'then nothing is spared');

# ... and the share rises by a step where little happens.
for (my $tries = 0; $tries < 100 && of_items('fills_one_in') == 1; $tries++)
{
	look_up($next + 101, $next + 600, 1);
	$next += 500;
}
is(of_items('fills_one_in'), '2', 'again, keys that are asked for once');
$node->safe_psql('postgres', 'SELECT pg_sleep(3)');
look_up($next + 101, $next + 200, 1);
is(of_items('fills_one_in'), '1', 'it rises when there are few misses');

# Where there is room, there is nothing to spare, whatever was found before.
$node->safe_psql('postgres', 'SELECT itemcache.clear()');
$spared = of_items('spared');
look_up(1, 2000, 1);
is(of_items('items, spared') , "2000|$spared", 'an empty cache is filled');

$node->stop;
done_testing();
