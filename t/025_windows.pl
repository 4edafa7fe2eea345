# Protects: absences and aliases, when a writer comes between the index read and what is cached of it; descents, when one comes between two pages.
#
# Who looks a key up is held up after it has read the index, and before it caches
# what that had.  Meanwhile others insert, change or delete rows, and commit; then it
# goes on.  What it caches must lead nobody astray who comes after that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('windows');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE, v text);
	INSERT INTO users SELECT i, 'user' || i, 'v' || i FROM generate_series(1, 1000) i;
	SELECT itemcache.attach('users', cache_new => false);
	-- from now on it has absences
	SELECT itemcache.get(NULL::users, -1), itemcache.get(NULL::users, -1);
	VACUUM ANALYZE users});

my $settings = q{SET itemcache.transparent = on; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off};
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query($settings);

# Is the library built with test points?
wait_at($node, 'alias_row_read');
$session->query_until(qr/asked/, "\\echo asked\nSELECT id FROM users WHERE email = 'user999';\n");
my $stops = 0;
for (1 .. 100)
{
	$stops = -e $node->data_dir . '/itemcache.waits_at.alias_row_read' and last;
	select(undef, undef, undef, 0.05);
}
go_on($node, 'alias_row_read');
$session->query('SELECT 1');
if (!$stops)
{
	$node->stop;
	plan skip_all => 'built without test points';
}

# Have the session look something up, which waits at a point; do something else
# meanwhile; then look it up once more, in another session.
sub window
{
	my ($name, $point, $lookup, $meanwhile, $before, $after) = @_;

	wait_at($node, $point);
	$session->query_until(qr/asked/, "\\echo asked\n$lookup;\n\\echo answered\n");
	waits_at($node, $point);
	$node->safe_psql('postgres', $meanwhile);
	go_on($node, $point);
	my ($answer) = $session->query("SELECT ''");
	$answer =~ s/\s*answered\s*//;
	is($answer, $before, "$name: the snapshot's answer");
	is($node->safe_psql('postgres', "$settings; $lookup"), $after, "$name: who comes later");
	is($node->safe_psql('postgres', "$settings; $lookup"), $after, "$name: once more");
}

my %ways = (
	get => [ q{SELECT (itemcache.get(NULL::users, %d)).v}, 2000 ],
	get_by => [ q{SELECT (itemcache.get_by(NULL::users, 'email', 'user%d')).v}, 2100 ],
	scan => [ q{SELECT v FROM users WHERE email = 'user%d'}, 2200 ],
	get_many => [ q{SELECT string_agg(g.v, ',') FROM itemcache.get_many(NULL::users, ARRAY(SELECT generate_series(%d, %1$d + 5)::bigint)) g}, 2300 ],
	join => [ q{SELECT string_agg(u.v, ',') FROM generate_series(%d, %1$d + 5) k LEFT JOIN users u ON u.id = k}, 2400 ],
	join_by => [ q{SELECT string_agg(u.v, ',') FROM (SELECT 'user' || k AS e FROM generate_series(%d, %1$d + 5) k OFFSET 0) k LEFT JOIN users u ON u.email = k.e}, 2500 ]);
foreach my $way (sort keys %ways)
{
	my ($lookup, $key) = @{ $ways{$way} };

	window("$way, a row is inserted", 'absence_found_none', sprintf($lookup, $key),
		"INSERT INTO users VALUES ($key, 'user$key', 'new')", '', 'new');
	$key += 10;
	window("$way, a row gets the key", 'absence_found_none', sprintf($lookup, $key),
		"UPDATE users SET id = $key, email = 'user$key' WHERE id = " . ($key - 10), '', 'new');
	$key += 10;
	window("$way, many rows are inserted", 'absence_found_none', sprintf($lookup, $key),
		"INSERT INTO users SELECT i, 'user' || i, CASE WHEN i = $key THEN 'new' ELSE NULL END FROM generate_series($key * 100000, $key * 100000 + 400) i UNION ALL SELECT $key, 'user$key', 'new'", '', 'new');
}

# between a row that was read and the alias that leads to it
my $by = q{SELECT id || v FROM users WHERE email = 'user%d'};
window('the row goes', 'alias_row_read', sprintf($by, 1), 'DELETE FROM users WHERE id = 1', '1v1', '');
window('the value moves', 'alias_row_read', sprintf($by, 2),
	q{UPDATE users SET email = 'x2' WHERE id = 2; UPDATE users SET email = 'user2' WHERE id = 3}, '2v2', '3v3');
window('the row gets another key', 'alias_row_read', sprintf($by, 4), 'UPDATE users SET id = 40000 WHERE id = 4', '4v4', '40000v4');
window('the table is emptied and filled', 'alias_row_read', q{SELECT (itemcache.get_by(NULL::users, 'email', 'user5')).id},
	q{SET lock_timeout = '100ms'; UPDATE users SET v = 'w' WHERE id = 5; DELETE FROM users WHERE id = 6; UPDATE users SET id = 6 WHERE id = 5}, '5', '6');

# between a page of an index and the one below it, which is split, or deleted (there
# are four entries on a page)
my $wide = q{SELECT v FROM wide WHERE id = rpad('%s', 1900, 'x')};
$node->safe_psql('postgres', q{
	CREATE TABLE wide (id text, v text) WITH (autovacuum_enabled = off);
	ALTER TABLE wide ALTER id SET STORAGE PLAIN;
	ALTER TABLE wide ADD PRIMARY KEY (id);
	SELECT itemcache.attach('wide', cache_new => false, preload => false);
	INSERT INTO wide SELECT rpad(to_char(i, 'FM000'), 1900, 'x'), 'v' || i FROM generate_series(1, 100) i});
# (so that it knows the root)
my $another = q{SELECT itemcache.clear('wide'), itemcache.get(NULL::wide, rpad('001', 1900, 'x'))};
foreach my $key (qw(021 022 023 024))
{
	$session->query($another);
	window("a page is split, key $key", 'descent_below', sprintf($wide, $key),
		"INSERT INTO wide SELECT rpad('$key-' || i, 1900, 'x') FROM generate_series(0, 8) i", 'v' . ($key + 0), 'v' . ($key + 0));
}
$node->safe_psql('postgres', q{DELETE FROM wide WHERE v BETWEEN 'v40' AND 'v59'});
$session->query($another);
window('a page is deleted', 'descent_below', sprintf($wide, '050'), 'VACUUM (INDEX_CLEANUP on) wide', '', '');
cmp_ok($node->safe_psql('postgres', q{CREATE EXTENSION pgstattuple; SELECT deleted_pages FROM pgstatindex('wide_pkey')}), '>', 2, 'pages were deleted');

# the first pages of a key's versions are deleted, and the version that is seen is on a
# later one (who looks at what is on a deleted page crashes)
$node->safe_psql('postgres', q{
	CREATE TABLE versions (id text, n int, v text) WITH (autovacuum_enabled = off);
	ALTER TABLE versions ALTER id SET STORAGE PLAIN;
	ALTER TABLE versions ADD PRIMARY KEY (id) WITH (deduplicate_items = off);
	CREATE INDEX ON versions (n);
	SELECT itemcache.attach('versions', cache_new => false, preload => false);
	INSERT INTO versions SELECT rpad(to_char(i, 'FM000'), 1900, 'x'), 0, 'v' || i FROM generate_series(19, 21) i;
	DO $$ BEGIN FOR i IN 1..10 LOOP UPDATE versions SET n = i, v = 'w' || i WHERE id = rpad('020', 1900, 'x'); END LOOP; END $$});
$session->query(q{SELECT itemcache.clear('versions'), itemcache.get(NULL::versions, rpad('019', 1900, 'x'))});
window('pages of versions are deleted', 'descent_below', q{SELECT v FROM versions WHERE id = rpad('020', 1900, 'x')},
	'VACUUM (INDEX_CLEANUP on) versions', 'w10', 'w10');

is($node->safe_psql('postgres', q{SELECT tree_level || ' ' || (deleted_pages > 0) FROM pgstatindex('versions_pkey')}), '1 true', 'leaves below the root were deleted');

$session->quit;
$node->stop;
done_testing();
