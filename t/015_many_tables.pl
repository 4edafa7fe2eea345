# Protects: many tables share the memory there is; and where they are more than it has room for, that is said wherever somebody looks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tables = 1500;
my $node = new_server('many_tables', memory => '32MB', conf => "max_locks_per_transaction = 512\nfsync = off");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION itemcache');
$node->safe_psql('postgres', qq{
	DO \$\$
	BEGIN
		FOR i IN 1..$tables LOOP
			EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, v text)', i);
			EXECUTE format('INSERT INTO t%s SELECT g, %L || g FROM generate_series(1, 10) g', i, i || ' ');
			PERFORM itemcache.attach(format('t%s', i)::regclass);
		END LOOP;
	END \$\$});

# Look all rows of all tables up: how many of them are hits, and how many wrong.
sub look_up_all
{
	return $node->safe_psql('postgres', qq{
		CREATE TEMP TABLE before AS SELECT hits, misses, bypasses FROM itemcache.stats;
		CREATE TEMP TABLE wrong (t int, n int);
		DO \$\$
		DECLARE
			n int;
		BEGIN
			FOR i IN 1..$tables LOOP
				EXECUTE format('SELECT count(*) FROM generate_series(1, 10) k WHERE (itemcache.get(NULL::t%1\$s, k)).v IS DISTINCT FROM %2\$L || k', i, i || ' ')
					INTO n;
				INSERT INTO wrong SELECT i, n WHERE n > 0;
			END LOOP;
		END \$\$;
		SELECT s.hits - b.hits, (SELECT count(*) FROM wrong) FROM itemcache.stats s, before b});
}

# All of them, and all of each, at the start of a server.
$node->restart;
wait_preloaded($node);
is($node->safe_psql('postgres', q{SELECT state, served, items, count(*) FROM itemcache.tables GROUP BY 1, 2, 3}),
	"served|t|10|$tables", 'all tables are loaded');
is($node->safe_psql('postgres', q{SELECT tables, items, table_capacity >= tables, tables_refused FROM itemcache.stats}),
	"$tables|" . 10 * $tables . '|t|0', 'and counted');
is(look_up_all(), 10 * $tables . '|0', 'all lookups are hits');

# In so little memory that there is no room for so many.
$node->append_conf('postgresql.conf', q{itemcache.memory = '4MB'});
$node->restart;
wait_preloaded($node);
my $capacity = counter($node, 'postgres', 'table_capacity');
cmp_ok($capacity, '<', $tables, 'there is not room for all tables');
cmp_ok(counter($node, 'postgres', 'tables'), '>', 0.95 * $capacity, 'what room there is, is used');
cmp_ok(counter($node, 'postgres', 'tables_refused'), '>', 0, 'stats says that tables found none');
is($node->safe_psql('postgres', q{
	SELECT state, served, min(items) > 0, max(items) FROM itemcache.tables WHERE items > 0 OR state <> 'served'
	GROUP BY 1, 2 ORDER BY 1}),
	"no room for another table|f|f|0\nserved|t|t|10", 'tables says which, and those that did have theirs');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM itemcache.preload_progress WHERE state = 'full'}), '>', 0,
	'preload_progress says it');
my ($rc, $out, $err) = $node->psql('postgres', q{SELECT itemcache.attach('t1')});
like($err, qr/WARNING:  $tables tables of this database are attached, but the cache has room for $capacity/, 'attach says it');
my ($homeless) = split /\n/, $node->safe_psql('postgres', q{SELECT relid FROM itemcache.tables WHERE state LIKE 'no room%'});
($rc, $out, $err) = $node->psql('postgres', qq{SELECT itemcache.preload('$homeless')});
like($err, qr/there is no room for another table\nHINT:  Up to $capacity tables can be cached/, 'preload says it');

my $hits;
for (1 .. 2)
{
	$hits = look_up_all();
	like($hits, qr/\|0$/, 'all lookups are right');
}
$hits =~ s/\|.*//;
cmp_ok($hits, '>', 0.8 * 10 * $capacity, 'those that are cached stay');
cmp_ok(counter($node, 'postgres', 'hits + bypasses + misses'), '>=', 2 * 10 * $tables, 'lookups without the cache are counted');

# They take turns: a table that is looked up often enough is in.
$node->safe_psql('postgres', qq{SELECT count(itemcache.get(NULL::$homeless, k)) FROM generate_series(1, 10) k, generate_series(1, 20)})
  for 1 .. 2;
is_cached($node, 'postgres', $homeless, 1, 10, 10, 'a table that is used comes in at last');

$node->stop;
done_testing();
