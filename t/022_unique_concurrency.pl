# Protects: whatever other sessions do, a lookup by any unique index, of rows that are there and of rows that are not, gives what the table gives to the same snapshot.
#
# As 021_scan_concurrency.pl, for the other unique indexes and for absent keys:
# under REPEATABLE READ a query is executed with the cache and once more with
# itemcache.transparent off; in READ COMMITTED rows found by a unique index are
# compared, in the same statement, with those found by indexes that are not
# unique.  There are two tables, one with new rows cached at commit and one
# without, where nothing but their removal keeps absences right.  The first
# difference stops everything.  ITEMCACHE_PROOF_SECONDS (60), ITEMCACHE_PROOF_SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ConcurrencyProof;
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($seconds, $seed) = proof_parameters(60);
my $keys = 2000;
my @tables = ('u', 'v');

my $node = new_server('unique_concurrency', memory => '8MB', conf => <<'CONF');
deadlock_timeout = 50ms
synchronous_commit = off
autovacuum = on
autovacuum_naptime = 1s
CONF
$node->start;
foreach my $t (@tables)
{
	my $cache_new = $t eq 'u' ? 'true' : 'false';

	$node->safe_psql(
		'postgres', qq{
		CREATE EXTENSION IF NOT EXISTS itemcache;
		CREATE TABLE $t (id bigint PRIMARY KEY, mail text, code numeric, tenant int, slug text, nick text, gone boolean, n int);
		CREATE UNIQUE INDEX ${t}_mail ON $t (mail);
		CREATE UNIQUE INDEX ${t}_code ON $t (code);
		CREATE UNIQUE INDEX ${t}_slug ON $t (tenant, slug) INCLUDE (n);
		CREATE UNIQUE INDEX ${t}_nick ON $t (lower(nick)) WHERE NOT gone;
		-- what is true is said by these
		CREATE INDEX ON $t ((id + 0));
		CREATE INDEX ON $t ((mail || ''));
		CREATE INDEX ON $t ((slug || ''));
		CREATE INDEX ON $t (lower(nick || ''));
		INSERT INTO $t SELECT i, 'mail' || i, i + 0.50, i % 5, 'slug' || i, 'Nick' || i, false, i FROM generate_series(1, $keys) i;
		VACUUM ANALYZE $t;
		SELECT itemcache.attach('$t', cache_new => $cache_new);
	});
}
$node->safe_psql('postgres', proof_functions(4) . twice_function() . q{
	-- as text, whatever the table; the index may just have been dropped
	CREATE FUNCTION got_by(t text, columns text, key text) RETURNS text LANGUAGE plpgsql STABLE AS $$
	DECLARE
		result text;
	BEGIN
		EXECUTE format('SELECT itemcache.get_by(NULL::%I, %L, $1)::text', t, columns) INTO result USING key;
		RETURN result;
	EXCEPTION WHEN invalid_column_reference THEN
		RETURN 'no index';
	END $$});

my $keys_of = q{ARRAY(SELECT skewed(2600)::bigint FROM generate_series(1, 25))};
my $twice = join '', map { my $t = $_; map { "SELECT twice(\$q\$$_\$q\$, $keys_of);\n" } (
	"SELECT * FROM $t WHERE id = ANY (\$1)",
	"SELECT * FROM $t WHERE mail = 'mail' || \$1[1]",
	"SELECT n FROM $t WHERE tenant = \$1[1] % 5 AND slug = 'slug' || \$1[1]",
	"SELECT * FROM $t WHERE code = \$1[1] + 0.5",
	"SELECT * FROM $t WHERE lower(nick) = 'nick' || \$1[1] AND NOT gone",
	"SELECT * FROM $t WHERE mail = ANY (SELECT 'mail' || k FROM unnest(\$1) k)",
	"SELECT k, t.* FROM unnest(\$1) k LEFT JOIN $t t ON t.id = k",
	"SELECT k, t.* FROM (SELECT k, 'mail' || k AS m FROM unnest(\$1) k OFFSET 0) k LEFT JOIN $t t ON t.mail = k.m",
	"SELECT k, t.* FROM (SELECT k, k % 5 AS x, 'slug' || k AS s FROM unnest(\$1) k OFFSET 0) k LEFT JOIN $t t ON t.tenant = k.x AND t.slug = k.s",
	"SELECT k, t.* FROM (SELECT k, 'nick' || k AS m FROM unnest(\$1) k OFFSET 0) k LEFT JOIN $t t ON lower(t.nick) = k.m AND NOT gone",
	"SELECT k FROM unnest(\$1) k WHERE NOT EXISTS (SELECT FROM $t t WHERE t.id = k)",
	"SELECT k FROM (SELECT k, 'mail' || k AS m FROM unnest(\$1) k OFFSET 0) k WHERE EXISTS (SELECT FROM $t t WHERE t.mail = k.m)",
	"SELECT k, (itemcache.get(NULL::$t, k)).n FROM unnest(\$1) k ORDER BY 1") } @tables;
my $rr = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$twice\\sleep 10 ms\n${twice}COMMIT;\n";

# in READ COMMITTED: the same statement asks both ways
my $one = join '', map { my $t = $_; join '', map { my ($key, $by, $true) = @$_; qq{
SELECT differs('$t by $by', k::text, c::text, s::text) FROM (SELECT $key AS k FROM (SELECT skewed(2600) AS r FROM generate_series(1, 25) OFFSET 0) r OFFSET 0) k
	LEFT JOIN $t c ON c.$by = k LEFT JOIN $t s ON s.$true
WHERE c::text IS DISTINCT FROM s::text;
SELECT differs('$t without $by', k::text, c::text, s::text) FROM (
	SELECT k, (SELECT x FROM $t x WHERE x.$by = k) AS c, (SELECT s FROM $t s WHERE s.$true) AS s
	FROM (SELECT $key AS k FROM (SELECT skewed(2600) AS r FROM generate_series(1, 25) OFFSET 0) r OFFSET 0) k OFFSET 0) d
WHERE c::text IS DISTINCT FROM s::text;
} } ([ 'r::bigint', 'id', 'id + 0 = k' ], [ q{'mail' || r}, 'mail', q{mail || '' = k} ]) } @tables;
$one .= join '', map { my $t = $_; join '', map { my ($columns, $key, $true) = @$_; qq{
SELECT differs('$t get_by $columns', r::text, c, s) FROM (
	SELECT r, got_by('$t', '$columns', $key) AS c, (SELECT s::text FROM $t s WHERE $true) AS s
	FROM (SELECT skewed(2600) AS r FROM generate_series(1, 15) OFFSET 0) r OFFSET 0) d
WHERE c IS DISTINCT FROM s AND c IS DISTINCT FROM 'no index';
} } ([ 'mail', q{'mail' || r}, q{s.mail || '' = 'mail' || r} ],
	[ '{tenant,slug}', q{format('(%s,slug%s)', r % 5, r)}, q{s.slug || '' = 'slug' || r AND s.tenant = r % 5} ],
	[ 'lower(nick) WHERE NOT gone', q{'nick' || r}, q{lower(s.nick || '') = 'nick' || r AND NOT s.gone} ]) } @tables;
my $settings = "SET itemcache.transparent = on;\nSET enable_seqscan = off;\nSET enable_bitmapscan = off;\nSET enable_hashjoin = off;\nSET enable_mergejoin = off;\nSET enable_memoize = off;\n";

sub both
{
	my ($sql) = @_;

	return join '', map { $sql =~ s/%t/$_/gr } @tables;
}

my %scripts = (
	reader_rr => [ 10, "$settings$rr" ],
	reader_rc => [ 10, "$settings$one" ],
	reader_long => [ 1, "${settings}BEGIN ISOLATION LEVEL REPEATABLE READ;\n$twice\\sleep 500 ms\n${twice}COMMIT;\n" ],
	reader_serializable => [ 1, "${settings}BEGIN ISOLATION LEVEL SERIALIZABLE;\n${twice}COMMIT;\n" ],
	reader_own => [ 2, "$settings\\set k random_zipfian(1, 2600, 1.2)\nBEGIN;\n"
		. both("SELECT try(\$q\$INSERT INTO %t VALUES (:k, 'mail' || :k, :k + 0.5, :k % 5, 'slug' || :k, 'nick' || :k, false, -1)\$q\$);\n")
		. "SAVEPOINT s;\n" . both("UPDATE %t SET n = -1 WHERE id = :k;\n") . "${one}ROLLBACK TO s;\n${one}COMMIT;\n$one" ],
	update => [ 10, '\set k random_zipfian(1, 2600, 1.2)' . "\nBEGIN;\n" . both("UPDATE %t SET n = n + 1 WHERE id = :k;\n") . "COMMIT;\n\\sleep 5 ms\n" ],
	# values change hands, one way or the other
	swap => [ 10, '\set k random_zipfian(1, 2600, 1.2)' . "\n" . '\set j random_zipfian(1, 2600, 1.2)' . "\nBEGIN;\n"
		. both("UPDATE %t SET mail = NULL, slug = NULL, gone = true WHERE id = :k;\n"
			. "SELECT try(\$q\$UPDATE %t SET mail = 'mail' || :k, tenant = :k % 5, slug = 'slug' || :k, nick = 'Nick' || :k, gone = false WHERE id = :j\$q\$);\n")
		. "COMMIT;\n\\sleep 5 ms\n" ],
	delete => [ 8, '\set k random_zipfian(1, 2600, 1.2)' . "\nBEGIN;\n" . both("DELETE FROM %t WHERE id = :k;\n") . "COMMIT;\n\\sleep 5 ms\n" ],
	insert => [ 10, '\set k random_zipfian(1, 2600, 1.2)' . "\n" . both(
		"SELECT try(\$q\$INSERT INTO %t VALUES (:k, 'mail' || :k, :k + 0.5, :k % 5, 'slug' || :k, 'nick' || :k, false, 0)\$q\$);\n")
		. "\\sleep 5 ms\n" ],
	rename => [ 4, '\set k random_zipfian(1, 2600, 1.2)' . "\n" . '\set j random(1, 2600)' . "\nBEGIN;\n" . both(
		"SELECT try(\$q\$UPDATE %t SET id = :j WHERE id = :k\$q\$);\n") . "COMMIT;\n" ],
	bulk => [ 1, '\set k random(1, 2600)' . "\n" . both(
		"INSERT INTO %t SELECT i, 'mail' || i, i + 0.5, i % 5, 'slug' || i, 'nick' || i, false, 1 FROM generate_series(:k, :k + 700) i ON CONFLICT DO NOTHING;\n")
		. "\\sleep 20 ms\n" ],
	aborts => [ 4, '\set k random_zipfian(1, 2600, 1.2)' . "\nBEGIN;\n" . both(
		"UPDATE %t SET mail = 'x' || id, slug = 'x' || id WHERE id BETWEEN :k AND :k + 3;\nDELETE FROM %t WHERE id = :k + 4;\n"
		. "INSERT INTO %t SELECT i, 'mail' || i, i + 0.5, i % 5, 'slug' || i, 'nick' || i, false, -5 FROM generate_series(:k, :k + 20) i ON CONFLICT DO NOTHING;\n")
		. "ROLLBACK;\n" ],
	two_phase => [ 4, '\set k random_zipfian(1, 2600, 1.2)' . "\nBEGIN;\n" . both(
		"DELETE FROM %t WHERE id = :k + 1;\n"
		. "INSERT INTO %t SELECT i, 'mail' || i, i + 0.5, i % 5, 'slug' || i, 'nick' || i, false, 2 FROM generate_series(:k, :k + 3) i ON CONFLICT DO NOTHING;\n")
		. "PREPARE TRANSACTION 'proof_:client_id';\n\\sleep 3 ms\nCOMMIT PREPARED 'proof_:client_id';\n" ]);

my $proof = start_proof($node, \%scripts, seconds => $seconds, seed => $seed, readers => 5, writers => 5);

# DDL with running readers, of the very indexes that they look up by.  One
# statement after the other; those that lose a race may fail.
my @ddl = map { my $t = $_; (
	"DROP INDEX CONCURRENTLY IF EXISTS ${t}_mail", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ${t}_mail ON $t (mail)",
	"DROP INDEX ${t}_nick; CREATE UNIQUE INDEX ${t}_nick ON $t (lower(nick)) WHERE NOT gone",
	"REINDEX INDEX CONCURRENTLY ${t}_mail", "REINDEX INDEX CONCURRENTLY ${t}_slug", "REINDEX INDEX ${t}_nick", "REINDEX INDEX CONCURRENTLY ${t}_pkey",
	"DROP INDEX CONCURRENTLY IF EXISTS ${t}_code", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ${t}_code ON $t (code)",
	"ALTER TABLE $t DISABLE TRIGGER itemcache; DELETE FROM $t WHERE id % 11 = 0; UPDATE $t SET mail = 'y' || id WHERE id % 13 = 0; ALTER TABLE $t ENABLE ALWAYS TRIGGER itemcache",
	"VACUUM $t", "VACUUM FREEZE $t", "VACUUM FULL $t", "SELECT itemcache.clear('$t')", "SELECT itemcache.preload('$t')",
	"BEGIN; TRUNCATE $t; INSERT INTO $t SELECT i, 'mail' || i, i + 0.5, i % 5, 'slug' || i, 'nick' || i, false, 3 FROM generate_series(1, $keys, 2) i; COMMIT",
	"SELECT itemcache.attach('$t', cache_new => random() < 0.5)",
	"SELECT itemcache.detach('$t'); DELETE FROM $t WHERE id % 6 = 0; SELECT itemcache.attach('$t', cache_new => " . ($t eq 'u' ? 'true' : 'false') . ")") } @tables;
sub repair
{
	my ($execute, undef, $error) = @_;

	return if $error eq '';
	# what failed half way leaves an index that is not valid, which IF NOT EXISTS takes for one
	$execute->($_) foreach (
		"SELECT itemcache.attach('u')", "SELECT itemcache.attach('v', cache_new => false)",
		q{DO $$ DECLARE i regclass; BEGIN FOR i IN SELECT indexrelid FROM pg_index WHERE NOT indisvalid AND indrelid IN ('u'::regclass, 'v')
			LOOP EXECUTE 'DROP INDEX ' || i; END LOOP; END $$},
		map { "CREATE UNIQUE INDEX IF NOT EXISTS ${_}_nick ON $_ (lower(nick)) WHERE NOT gone" } @tables);
	return;
}
my ($ran, undef, $strange) = run_beside($proof, next => sub { return $ddl[ int(rand(@ddl)) ] }, after => \&repair, pause => 0.4, tolerated => [
	'does not exist', 'already exists', 'could not create unique index', 'in use by', 'not attached', 'conflicting',
	'transaction is aborted', 'cannot reindex invalid' ]);
finish_proof($proof);
is_proven($proof, 'no row from the cache differs from the table, and no row is missing');
is($strange, '', 'DDL failed for no reason but concurrency');

# It must not have passed by never using the cache.
my ($hits, $misses, $bypasses, $publishes, $evictions) = split /\|/,
  $node->safe_psql('postgres', 'SELECT hits, misses, bypasses, publishes, evictions FROM itemcache.stats');
diag("$hits hits, $misses misses, $bypasses bypasses, $publishes publishes, $evictions evictions, $ran DDL");
cmp_ok($hits, '>', ($hits + $misses + $bypasses) / 2, 'most lookups were cache hits');
cmp_ok($hits, '>', $seconds * 100, 'and there were many');
$node->stop;

done_testing();
