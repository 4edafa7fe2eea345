# Protects: pages that are found by the buffer they were in last: that they are still the right ones, and stay in memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('recent', conf => "itemcache.preload = off");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE EXTENSION pg_buffercache;
	CREATE TABLE items (id bigint PRIMARY KEY, v text);
	INSERT INTO items SELECT i, 'v' || i FROM generate_series(1, 1000) i;
	SELECT itemcache.attach('items', preload => false);
	VACUUM (FREEZE, ANALYZE) items});

# What is looked up, again and again, is counted as used, up to the highest count: the
# index's root, and the page of the row.  Its leaf is not looked at by anything else.
$node->restart;
my $look = q{SELECT count(itemcache.get(NULL::items, k)) FROM generate_series(101, 120) k; SELECT itemcache.clear('items');};
my $session = $node->background_psql('postgres');
$session->query($look) for (1 .. 10);
my $least = q{SELECT count(*), min(usagecount) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('%s')
	AND relforknumber = 0 AND relblocknumber <> 0};
my $pages = $node->safe_psql('postgres', sprintf($least, 'items_pkey'));
is($pages, '2|5', 'pages of the index are used as much as can be');
is($node->safe_psql('postgres', q{SELECT usagecount FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('items')
	AND relforknumber = 0 AND relblocknumber = (SELECT (ctid::text::point)[0]::int FROM items WHERE id = 110)}),
	'5', 'and the page of the rows');

$session->quit;

# One session looks up everything in tables that are larger than shared buffers, while
# they are rewritten, emptied, filled and made anew, and their pages take turns in the
# same buffers.
$node->append_conf('postgresql.conf', 'shared_buffers = 1MB');
$node->restart;
$session = $node->background_psql('postgres');
$node->safe_psql('postgres', qq{
	CREATE TABLE more$_ (id bigint PRIMARY KEY, v text) WITH (fillfactor = 30);
	INSERT INTO more$_ SELECT i, repeat('more$_ ' || i, 20) FROM generate_series(1, 3000) i;
	SELECT itemcache.attach('more$_', preload => false)}) foreach (1, 2);
my @changes = (
	'VACUUM FULL more1', 'REINDEX TABLE more2', 'TRUNCATE more1',
	q{INSERT INTO more1 SELECT i, 'again ' || i FROM generate_series(500, 3500) i},
	'CLUSTER more2 USING more2_pkey', 'DELETE FROM more2 WHERE id > 100', 'VACUUM more2',
	q{INSERT INTO more2 SELECT i, 'anew ' || i FROM generate_series(101, 2000) i},
	'REINDEX INDEX CONCURRENTLY more2_pkey',
	q{DROP TABLE more1; CREATE TABLE more1 (id bigint PRIMARY KEY, v text); INSERT INTO more1 SELECT i, 'third ' || i FROM generate_series(1, 3000) i; SELECT itemcache.attach('more1', preload => false)});
my $differ = q{SELECT count(*) FROM (SELECT itemcache.get(NULL::%1$s, k)::text AS cached, (SELECT x FROM %1$s x WHERE x.id = k)::text AS stored
	FROM (SELECT generate_series(0, 3600)::bigint AS k ORDER BY hashint8(1)) k OFFSET 0) s WHERE cached IS DISTINCT FROM stored};
foreach my $change ('', @changes)
{
	$node->safe_psql('postgres', $change) if $change ne '';
	foreach my $table ('more1', 'more2', 'items', 'more1')
	{
		$session->query("SELECT itemcache.clear('$table')");
		is($session->query(sprintf($differ, $table)), '0', "$table after: $change");
	}
}
$session->quit;
is($node->safe_psql('postgres', q{SELECT blks_read > 5000, blks_hit > 500000 FROM pg_stat_database WHERE datname = 'postgres'}),
	't|t', 'pages were replaced, and found');

$node->stop;
done_testing();
