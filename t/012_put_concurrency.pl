# Protects: the promise, when rows are written by put, put_many and delete, synchronously and not, against readers that compare with the table.
#
# As 003_concurrency.pl, for ITEMCACHE_PROOF_SECONDS (30): comparisons of get()
# and get_many() with the row that the same statement reads from the table;
# the first difference fails.  The cache is so small that it always evicts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ConcurrencyProof;
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($seconds, $seed) = proof_parameters(30);
my $keys = 3000;

my $node = new_server('put_concurrency', memory => '1200kB', conf => <<'CONF');
deadlock_timeout = 50ms
fsync = off
CONF
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION itemcache;
	-- a put that wrote another key's row would not pass the check
	CREATE TABLE p (id bigint PRIMARY KEY, a int, b text CHECK (b LIKE id || ':%'), twice int GENERATED ALWAYS AS (a * 2) STORED) WITH (fillfactor = 70);
	CREATE INDEX p_twice ON p (twice);
	INSERT INTO p SELECT i, i, i || ':' || repeat(chr(65 + i % 26), 100 + i % 200) FROM generate_series(1, $keys) i;
	@{[partitioned_table($keys)]}
	SELECT itemcache.attach('p');
	SELECT itemcache.attach('q');
	@{[proof_functions(4)]}
	VACUUM ANALYZE;
});

my $one = join '', map { compare_get($_, 3300, 30) } ('p', 'q');
my $many = join '', map { compare_get_many($_, 3300, 80) } ('p', 'q');

# Rows of p and q with a key and a number.
my $p = "ROW(:k, :j, :k || ':' || repeat('p', 20 + :j % 300), NULL)::p";
my $q = "ROW(:k, :j, repeat('q', 20 + :j % 300))::q";
my $random = "\\set k random_zipfian(1, 3300, 1.2)\n\\set j random(1, 100000)\n";
my %scripts = (
	reader_rc => [ 20, "$one$many" ],
	reader_rr => [ 10, "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$one\\sleep 5 ms\n$many$one\\sleep 30 ms\n$one$many\nCOMMIT;\n" ],
	put => [ 20, "${random}SELECT itemcache.put($p);\nSELECT itemcache.put($q);\n" ],
	async => [ 20, "${random}BEGIN;\nSET LOCAL itemcache.async_put = on;\nSELECT itemcache.put($p);\nSELECT itemcache.put($q);\nCOMMIT;\n$one" ],
	same => [ 5, "${random}SELECT itemcache.put(x) FROM p x WHERE id = :k;\nSELECT itemcache.put(itemcache.get(NULL::q, :k)) FROM q WHERE id = :k AND false;\n" ],
	many => [ 6, qq{
\\set k random(1, 3300)
\\set j random(1, 100000)
SELECT itemcache.put_many(array_agg(ROW(i, :j, i || ':' || repeat('m', 20 + i % 200), NULL)::p ORDER BY random())) FROM generate_series(:k, :k + 30) i;
SELECT itemcache.put_many(array_agg(ROW(i, :j, repeat('m', 20 + i % 200))::q ORDER BY random())) FROM generate_series(:k, :k + 30) i;
} ],
	delete => [ 8, "${random}SELECT itemcache.delete(NULL::p, :k), itemcache.delete(NULL::q, :j % 3300);\n" ],
	twice => [ 6, "${random}BEGIN;\nSELECT itemcache.put($p);\nSELECT itemcache.delete(NULL::p, :k);\n$one\nSELECT itemcache.put($p);\nCOMMIT;\n" ],
	savepoints => [ 8, qq{
${random}BEGIN;
SELECT itemcache.put($p);
SAVEPOINT one;
SELECT itemcache.put(ROW(:k, -1, :k || ':never', NULL)::p), itemcache.delete(NULL::q, :k);
$one
ROLLBACK TO one;
SAVEPOINT two;
SELECT itemcache.put($q);
RELEASE two;
$one
COMMIT;
$one
} ],
	aborts => [ 4, "${random}BEGIN;\nSELECT itemcache.put(ROW(:k, -1, :k || ':aborted', NULL)::p), itemcache.put(ROW(:k, -1, 'aborted')::q);\n$one\nROLLBACK;\n$one" ],
	two_phase => [ 4, qq{
$random\\set choice random(1, 2)
BEGIN;
SELECT itemcache.put($p), itemcache.delete(NULL::q, :k);
PREPARE TRANSACTION 'proof_:client_id';
\\sleep 3 ms
\\if :choice = 1
COMMIT PREPARED 'proof_:client_id';
\\else
ROLLBACK PREPARED 'proof_:client_id';
\\endif
} ],
	update => [ 6, "${random}UPDATE p SET a = a + 1 WHERE id = :k;\nUPDATE q SET a = a + 1 WHERE id = :k;\n" ],
	# Nothing is read after the put: an INSERT over a row that was deleted since
	# the snapshot leaves two rows of one key visible to it.
	rr => [ 4, "${random}BEGIN ISOLATION LEVEL REPEATABLE READ;\n$one\nSELECT itemcache.put($p);\nCOMMIT;\n" ],
);

my $proof = start_proof($node, \%scripts, seconds => $seconds, seed => $seed, readers => 5, writers => 6);

# Meanwhile, what changes the plans of put.
my @ddl = ('ANALYZE p', 'TRUNCATE q', 'SELECT itemcache.clear()', 'SELECT itemcache.preload($$p$$)', 'VACUUM p',
	'CREATE INDEX ON p (a); DROP INDEX p_a_idx', 'ALTER TABLE p DISABLE TRIGGER itemcache', 'SELECT itemcache.attach($$p$$)',
	'BEGIN; ALTER TABLE q RENAME TO r; ALTER TABLE r RENAME TO q; COMMIT', 'GRANT SELECT ON p TO pg_monitor', 'REINDEX TABLE p');
my ($ran, $failed, $strange) = run_beside($proof, next => sub { return $ddl[ $_[0] % @ddl ] }, pause => 0.3);
$node->safe_psql('postgres', q{SELECT itemcache.attach('p')});
finish_proof($proof);
is_proven($proof, 'no cached read differs from the table');
is($strange, '', 'DDL failed for no reason but concurrency');

# It must not have passed by never caching.
my ($hits, $all, $publishes, $removals, $evictions) = split /\|/,
  $node->safe_psql('postgres', 'SELECT hits, hits + misses + bypasses, publishes, removals, evictions FROM itemcache.stats');
diag("$all comparisons, $hits hits, $publishes publishes, $removals removals, $evictions evictions, $ran DDL, $failed failed");
cmp_ok($hits, '>', $all / 3, 'many comparisons were cache hits');
cmp_ok($publishes, '>', 1000, 'items were published');
cmp_ok($removals, '>', 50, 'keys were removed');
cmp_ok($evictions, '>', 100, 'items were evicted');
is_exact($node, 'postgres', $_, 0, 3400, "$_ afterwards") foreach ('p', 'q');

SKIP:
{
	skip 'no amcheck here', 2
	  unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});
	$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');
	is($node->safe_psql('postgres', q{SELECT count(bt_index_check(indexrelid, true)) >= 2 FROM pg_index WHERE indrelid = 'p'::regclass}),
		't', 'indexes have all rows');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM verify_heapam('p')}), 0, 'table is in order');
}

# A second unique index on the key's column, under another collation that calls
# no other keys equal: two sessions that put the same new key must not find each
# other's entry there first.
$node->safe_psql('postgres', q{CREATE TABLE twice (k text PRIMARY KEY, v int); CREATE UNIQUE INDEX ON twice (k COLLATE "POSIX")});
append_to_file($node->basedir . '/twice.sql', q{\set k random(1, 3)
\set n random(1, 1000)
SELECT itemcache.put(ROW('k' || :k, :n)::twice);
SELECT itemcache.put_many(ARRAY[ROW('k1', :n), ROW('m' || :k, :n)]::twice[]);
DELETE FROM twice WHERE k IN ('k' || :k, 'm' || :k);
});
$node->command_like(
	[ 'pgbench', '-n', '-c', '6', '-j', '2', '-t', '500', '--max-tries=1000', '-f', $node->basedir . '/twice.sql', 'postgres' ],
	qr{processed: 3000/3000}, 'puts of the same new keys at once, with two unique indexes');
$node->stop;

done_testing();
