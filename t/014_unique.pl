# Protects: a kept plan that meets a snapshot older than the primary key gives all rows that the snapshot sees, by the key and by any unique index (rule U).
#
# Only an imported snapshot can be older than what a plan was made for.  What
# is right is said, for a scan, by the same query over a subquery that
# PostgreSQL does not know to be unique; for a join, whose nested loop may stop
# at the first row, by a plan made under that snapshot, which has none of ours.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('unique', conf => 'itemcache.transparent = on');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id int, twin int, third int, v text);
	INSERT INTO items SELECT k, k, k, CASE WHEN n = 1 THEN 'left' ELSE 'deleted ' || n END
	FROM (VALUES (1, 3), (2, 1), (3, 2), (4, 1), (5, 40)) c(k, copies), generate_series(1, copies) n;
	INSERT INTO items SELECT k, k, k, 'left' FROM generate_series(100, 3000) k;
	CREATE TABLE orders (n serial, item int, w text);
	INSERT INTO orders (item, w) VALUES (1, 'left'), (2, 'left'), (3, 'deleted 2'), (1, 'deleted 3'), (NULL, 'left'), (7, 'left'),
		(5, 'deleted 9'), (5, 'none'), (4, 'none');
	ANALYZE;
});

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $holder->query_safe('SELECT pg_export_snapshot()');

$node->safe_psql('postgres', q{
	DELETE FROM items WHERE v <> 'left';
	ALTER TABLE items ADD PRIMARY KEY (id);
	CREATE UNIQUE INDEX ON items (third);
	SELECT itemcache.attach('items');
	SELECT itemcache.preload('items');
});

# Statements with $1 for a key, $2 for an array of keys.
my @queries = (
	'SELECT v FROM items WHERE id = $1',
	'SELECT i, tableoid::regclass, ctid, length(v) FROM items i WHERE id = $1',
	q{SELECT v FROM items WHERE id = $1 AND v <> 'deleted 2'},
	'SELECT v FROM items WHERE id = $1 OFFSET 1 LIMIT 1',
	'SELECT id, v FROM items WHERE id = ANY ($2)',
	q{SELECT id FROM items WHERE id = ANY ($2) AND v LIKE 'deleted%'},
	'SELECT n, (SELECT string_agg(v, $$,$$) FROM items WHERE id = item) FROM orders',
	'SELECT n, v FROM orders JOIN items ON id = item',
	'SELECT n, v FROM orders LEFT JOIN items ON id = item',
	'SELECT n, v FROM orders JOIN items ON id = item AND v = w',
	'SELECT n, v FROM orders LEFT JOIN items ON id = item AND v = w',
	q{SELECT n, v FROM orders LEFT JOIN items ON id = item WHERE v IS DISTINCT FROM w},
	'SELECT n, v FROM orders JOIN items ON twin = item WHERE id = twin',
	'SELECT n, v FROM orders JOIN items ON twin = item AND v = w WHERE id = twin',
	'SELECT n FROM orders WHERE EXISTS (SELECT FROM items WHERE id = item AND v = w)',
	'SELECT n FROM orders WHERE NOT EXISTS (SELECT FROM items WHERE id = item AND v = w)',
	'SELECT n FROM orders WHERE EXISTS (SELECT FROM items WHERE id = item)',
	'SELECT n FROM orders WHERE NOT EXISTS (SELECT FROM items WHERE id = item)',
	'SELECT x FROM generate_series(1, 2) g, LATERAL (SELECT n + g, v FROM orders JOIN items ON id = item OFFSET 0) x');
# by another unique index
push @queries, map { s/\bid = (\$1|ANY|item)/third = $1/r } grep { !/twin/ } @queries;
my @arguments = ('1, NULL', q{2, '{2}'}, q{3, '{5,1,4,NULL,3,1}'}, q{5, '{1,2,3,4,5,6}'}, q{6, '{}'});

my $session = $node->background_psql('postgres');
$session->query_safe("SET $_ = off")
  foreach qw(enable_indexonlyscan enable_bitmapscan enable_hashjoin enable_mergejoin enable_memoize enable_material);
$session->query_safe('SET plan_cache_mode = force_generic_plan');
foreach my $i (0 .. $#queries)
{
	$session->query_safe("PREPARE q$i (int, int[]) AS $queries[$i]");
	$session->query_safe("EXECUTE q$i (1, '{1,2,3}')");
}

# Cursors over kept plans, moved in all directions.
my %orders = (moved_up => 'id', moved_down => 'id DESC');
$session->query_safe(qq{
	CREATE FUNCTION $_(k int[], OUT seen text) LANGUAGE plpgsql AS \$\$
	DECLARE
		c SCROLL CURSOR FOR SELECT id, v FROM items WHERE id = ANY (k) ORDER BY $orders{$_};
		r record;
	BEGIN
		OPEN c;
		FOR i IN 1..3 LOOP
			LOOP
				FETCH NEXT FROM c INTO r;
				seen := concat_ws(' ', seen, r.id || r.v);
				EXIT WHEN NOT FOUND;
			END LOOP;
			LOOP
				FETCH PRIOR FROM c INTO r;
				seen := concat_ws(' ', seen, '<' || r.id || r.v);
				EXIT WHEN NOT FOUND;
			END LOOP;
		END LOOP;
		FOR i IN 1..6 LOOP
			FETCH RELATIVE 2 FROM c INTO r;
			FETCH PRIOR FROM c INTO r;
			seen := concat_ws(' ', seen, '=' || r.id || r.v);
		END LOOP;
		CLOSE c;
	END \$\$;
	SELECT $_('{1,2,3}');
}) foreach sort keys %orders;

# Rows of a scan are those of this; a join is asked for itself.
sub reference
{
	my ($query, $values) = @_;
	my ($key, $keys) = split /, /, $values, 2;

	$query =~ s/FROM items\b(?: i\b)?/FROM (SELECT items.*, tableoid, ctid FROM items OFFSET 0) i/
	  if $query !~ /orders/;
	return $query =~ s/SELECT i, /SELECT ROW(i.id, i.twin, i.third, i.v), /r =~ s/\$1/$key/gr =~ s/\$2/($keys)::int[]/gr;
}

sub compare
{
	my ($when) = @_;

	foreach my $i (0 .. $#queries)
	{
		my $plan = $session->query_safe("EXPLAIN (COSTS OFF) EXECUTE q$i (1, '{}')");
		my @different;

		like($plan, $queries[$i] =~ /JOIN|EXISTS/ ? qr/ItemCache Join/ : qr/Custom Scan \(ItemCache\)/, "$when, kept plan: $queries[$i]");
		foreach my $values (@arguments)
		{
			my $kept = $session->query_safe("EXECUTE q$i ($values)");
			my $reference = $session->query_safe(reference($queries[$i], $values));

			push @different, "($values) kept $kept reference $reference"
			  if join("\n", sort split /\n/, $kept) ne join("\n", sort split /\n/, $reference);
		}
		is(join("\n", @different), '', "$when, rows: $queries[$i]");
	}
	return;
}

compare('new snapshot');
unlike($session->query_safe(q{SELECT moved_up('{1,2,3,4,5}')}), qr/deleted/, 'new snapshot: cursor');

$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$session->query_safe("SET TRANSACTION SNAPSHOT '$snapshot'");
unlike($session->query_safe("EXPLAIN (COSTS OFF) $queries[0]" =~ s/\$1/1/r), qr/ItemCache/, 'old snapshot: no new plan');
compare('old snapshot');
my ($several) = grep { $queries[$_] =~ /JOIN items ON twin = item WHERE/ } 0 .. $#queries;
like($session->query_safe("EXECUTE q$several (1, NULL)"), qr/^1\|left\n1\|deleted 2\n1\|deleted 3$/m, 'old snapshot: a join with several items for a row');

# rows of a key come in the order of the index, that of their TIDs, and backwards in the other
my @rows = ('1left', '1deleted 2', '1deleted 3', '2left', '3left', '3deleted 2');
foreach my $function ('moved_up', 'moved_down')
{
	my @there_and_back = (@rows, map { "<$_" } reverse @rows);

	is($session->query_safe("SELECT $function('{3,2,1}')"), join(' ', (@there_and_back) x 3, map { "=$_" } @rows),
		"old snapshot: a cursor gives the rows there and back, ORDER BY $orders{$function}");
	@rows = reverse @rows;
}
$session->query_safe('COMMIT');
compare('new snapshot again');

$session->quit;
$holder->quit;
$node->stop;
done_testing();
