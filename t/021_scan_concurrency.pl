# Protects: whatever other sessions do, a plain SELECT served from the cache gives what the table gives to the same snapshot.
#
# As 003_concurrency.pl, for the scan and the join: under REPEATABLE READ a
# query is executed with the cache and once more with itemcache.transparent
# off; in READ COMMITTED rows found by the primary key are compared, in the same
# statement, with those found by an index that is not unique.  The first difference
# stops everything.  ITEMCACHE_PROOF_SECONDS (60), ITEMCACHE_PROOF_SEED.

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
my $keys = 3000;

my $node = new_server('scan_concurrency', memory => '3MB', conf => <<'CONF');
deadlock_timeout = 50ms
synchronous_commit = off
autovacuum = on
autovacuum_naptime = 1s
CONF
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION itemcache;
	CREATE TABLE p (id bigint PRIMARY KEY, other bigint GENERATED ALWAYS AS (id) STORED, a int, b text);
	CREATE INDEX ON p (other);
	INSERT INTO p (id, a, b) SELECT i, i, repeat(chr(65 + i % 26), 20 + i % 200) FROM generate_series(1, $keys) i;
	CREATE TABLE q (id bigint PRIMARY KEY, other bigint GENERATED ALWAYS AS (id) STORED, a int, b text) PARTITION BY RANGE (id);
	CREATE TABLE q_0 (b text, junk int, a int, id bigint NOT NULL, other bigint GENERATED ALWAYS AS (id) STORED);
	ALTER TABLE q_0 DROP junk;
	ALTER TABLE q ATTACH PARTITION q_0 FOR VALUES FROM (MINVALUE) TO (1000);
	CREATE TABLE q_1 PARTITION OF q FOR VALUES FROM (1000) TO (MAXVALUE);
	CREATE INDEX ON q (other);
	INSERT INTO q (id, a, b) SELECT i, i, repeat('q', 50 + i % 100) FROM generate_series(1, $keys) i;
	CREATE TABLE r (t text, id int, n numeric, wide text, PRIMARY KEY (t, id));
	ALTER TABLE r ALTER wide SET STORAGE EXTERNAL;
	INSERT INTO r SELECT 'tenant ' || i % 7, i, i, CASE WHEN i % 50 = 0 THEN repeat('w', 3000) END FROM generate_series(1, $keys) i;
	ANALYZE;
	SELECT itemcache.attach('p'), itemcache.attach('q'), itemcache.attach('r');

	@{[proof_functions(4)]}
	@{[twice_function()]}
	-- a kept plan, as drivers have them
	CREATE FUNCTION kept(k bigint) RETURNS void LANGUAGE plpgsql STABLE AS \$\$
	DECLARE
		cached p;
		stored p;
	BEGIN
		SELECT * INTO cached FROM p WHERE id = k;
		SELECT * INTO stored FROM p WHERE other = k;
		IF cached::text IS DISTINCT FROM stored::text THEN
			PERFORM differs('kept plan', k::text, cached::text, stored::text);
		END IF;
	END \$\$;
	-- a cursor from which is fetched while others write
	CREATE FUNCTION slowly(ids bigint[]) RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE
		c CURSOR FOR SELECT * FROM p WHERE id = ANY (ids);
		cached p;
		stored p;
	BEGIN
		SET LOCAL itemcache.transparent = on;
		FOR cached IN c LOOP
			SELECT * INTO stored FROM p WHERE other = cached.id;
			IF cached::text IS DISTINCT FROM stored::text THEN
				PERFORM differs('cursor', cached.id::text, cached::text, stored::text);
			END IF;
			PERFORM pg_sleep(0.002);
		END LOOP;
	END \$\$;
});

my $keys_of = q{ARRAY(SELECT skewed(3300)::bigint FROM generate_series(1, 25))};
my $twice = join '', map { "SELECT twice(\$q\$$_\$q\$, $keys_of);\n" } (
	'SELECT * FROM p WHERE id = ANY ($1)',
	'SELECT * FROM p WHERE id = $1[1]',
	'SELECT k, p.* FROM unnest($1) k LEFT JOIN p ON p.id = k',
	'SELECT k, q.* FROM unnest($1) k JOIN q ON q.id = k',
	'SELECT * FROM q WHERE id = $1[2]',
	q{SELECT k, r.* FROM unnest($1) k LEFT JOIN r ON r.t = 'tenant ' || k % 7 AND r.id = k},
	'SELECT k FROM unnest($1) k WHERE NOT EXISTS (SELECT FROM p WHERE p.id = k AND p.a > 100)',
	'SELECT p.a, q.a FROM p JOIN q ON q.id = p.id + 1 WHERE p.id = ANY ($1)',
	'SELECT k, (SELECT b FROM p WHERE id = k) FROM unnest($1) k');
my ($once) = $twice =~ /(.*\n)/;
(my $rr = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$twice\\sleep 10 ms\n${twice}SELECT slowly($keys_of);\n$once\nCOMMIT;\n") =~ s/\n+/\n/g;
# statements of their own: an index that is not unique says what is true
my $one = join '', map { my ($t) = @$_; qq{
SELECT differs('$t', k::text, c, s) FROM (
	SELECT k, (SELECT x FROM $t x WHERE x.id = k)::text AS c, (SELECT x FROM $t x WHERE x.other = k)::text AS s
	FROM (SELECT skewed(3300)::bigint AS k FROM generate_series(1, 25) OFFSET 0) k OFFSET 0) d
WHERE c IS DISTINCT FROM s;
SELECT differs('join $t', k::text, c::text, s::text) FROM (SELECT skewed(3300)::bigint AS k FROM generate_series(1, 25) OFFSET 0) k
	LEFT JOIN $t c ON c.id = k LEFT JOIN $t s ON s.other = k
WHERE c::text IS DISTINCT FROM s::text;
} } ([ 'p' ], [ 'q' ]);
my $settings = "SET itemcache.transparent = on;\nSET enable_seqscan = off;\nSET enable_bitmapscan = off;\nSET enable_hashjoin = off;\nSET enable_mergejoin = off;\n";
my $kept = join '', map { "\\set k$_ random_zipfian(1, 3300, 1.2)\nSELECT kept(:k$_);\n" } 1 .. 5;

my %scripts = (
	reader_rr => [ 10, "$settings$rr" ],
	reader_rc => [ 10, "$settings$one$kept" ],
	reader_long => [ 1, "${settings}BEGIN ISOLATION LEVEL REPEATABLE READ;\n$twice\\sleep 500 ms\n${twice}COMMIT;\n" ],
	reader_serializable => [ 1, "${settings}BEGIN ISOLATION LEVEL SERIALIZABLE;\n${twice}COMMIT;\n" ],
	reader_own => [ 2, "$settings\\set k random_zipfian(1, 3000, 1.2)\nBEGIN;\nUPDATE p SET a = a + 1 WHERE id = :k;\nSAVEPOINT s;\nUPDATE q SET a = -1 WHERE id = :k;\n${one}ROLLBACK TO s;\n${one}COMMIT;\n$one" ],
	update => [ 20, q{
\set k random_zipfian(1, 3000, 1.2)
\set j random(1, 3000)
BEGIN;
UPDATE p SET a = a + 1, b = repeat(chr(65 + (:k + a) % 26), 50 + :j % 300) WHERE id = :k;
UPDATE q SET a = a + 1 WHERE id = :k;
UPDATE r SET n = n + 1, wide = CASE WHEN :j % 30 = 0 THEN repeat('v', 2500 + :j) ELSE wide END WHERE t = 'tenant ' || :k % 7 AND id = :k;
COMMIT;
\sleep 5 ms
} ],
	insert_delete => [ 5, q{
\set k random(1, 3300)
\set j random_zipfian(1, 3000, 1.1)
DELETE FROM p WHERE id = :k;
DELETE FROM q WHERE id = :j;
SELECT try($$INSERT INTO p (id, a, b) VALUES (:j, 0, repeat('new', 30)) ON CONFLICT (id) DO UPDATE SET a = p.a + 100$$);
SELECT try($$INSERT INTO q (id, a, b) SELECT i, 0, repeat('bulk', 30) FROM generate_series(:k, :k + 20) i ON CONFLICT DO NOTHING$$);
INSERT INTO p (id, a, b) SELECT i, 0, repeat('bulk', 30) FROM generate_series(:k, :k + 20) i ON CONFLICT DO NOTHING;
} ],
	aborts => [ 4, q{
\set k random_zipfian(1, 3000, 1.2)
BEGIN;
UPDATE p SET a = -1, b = 'aborted' WHERE id BETWEEN :k AND :k + 5;
DELETE FROM q WHERE id BETWEEN :k AND :k + 5;
ROLLBACK;
} ],
	two_phase => [ 3, q{
\set k random_zipfian(1, 3000, 1.2)
BEGIN;
UPDATE p SET a = a + 1, b = 'prepared' WHERE id BETWEEN :k AND :k + 3;
PREPARE TRANSACTION 'proof_:client_id';
\sleep 3 ms
COMMIT PREPARED 'proof_:client_id';
} ]);

my $proof = start_proof($node, \%scripts, seconds => $seconds, seed => $seed, readers => 5, writers => 5);

# DDL with running readers.  One statement after the other; those that lose a
# race may fail.  %d is a statement's number, %l that of the last that had one.
my @ddl = (
	'ALTER TABLE p DISABLE TRIGGER itemcache; UPDATE p SET a = a + 1 WHERE id % 9 = 0; ALTER TABLE p ENABLE ALWAYS TRIGGER itemcache',
	'ALTER TABLE q_0 DISABLE TRIGGER itemcache_partitioned; UPDATE q SET a = a + 1 WHERE id % 9 = 0; ALTER TABLE q_0 ENABLE ALWAYS TRIGGER itemcache_partitioned',
	'VACUUM p', 'VACUUM FREEZE q', 'ANALYZE p', 'VACUUM FULL p', 'REINDEX INDEX p_pkey', 'REINDEX INDEX CONCURRENTLY p_pkey',
	q{SELECT itemcache.clear('p')}, q{SELECT itemcache.clear()}, q{SELECT itemcache.preload('p')}, q{SELECT itemcache.preload('q')},
	q{SELECT itemcache.detach('p'); UPDATE p SET a = a + 1 WHERE id % 6 = 0; SELECT itemcache.attach('p')},
	'ALTER TABLE p ADD d%d int DEFAULT %d', 'ALTER TABLE p DROP d%l',
	'UPDATE p SET a = a + 1', 'BEGIN; UPDATE q SET a = a + 1; ROLLBACK',
	'ALTER TABLE q DETACH PARTITION q_0; UPDATE q_0 SET a = a + 1 WHERE id % 7 = 0; ' . attach_partition());
my $last = 0;
sub next_ddl
{
	my ($number) = @_;
	my $sql = $ddl[ int(rand(@ddl)) ];

	$sql =~ s/%l/$last/g;
	$last = $number if $sql =~ s/%d/$number/g;
	return $sql;
}
sub repair
{
	my ($execute, undef, $error) = @_;

	return if $error eq '';
	$execute->($_) foreach (attach_partition(), 'ROLLBACK', "SELECT itemcache.attach('p')", "SELECT itemcache.attach('q')");
	return;
}
my ($ran, undef, $strange) = run_beside($proof, next => \&next_ddl, after => \&repair, pause => 0.5, tolerated => [
	'does not exist', 'already exists', 'is not a partition', 'is already a partition', 'no partition of relation',
	'in use by', 'not attached', 'conflicting', 'transaction is aborted' ]);
finish_proof($proof);
is_proven($proof, 'no row from the cache differs from the table');
is($strange, '', 'DDL failed for no reason but concurrency');

# It must not have passed by never using the cache.
my ($hits, $misses, $bypasses, $publishes, $evictions) = split /\|/,
  $node->safe_psql('postgres', 'SELECT hits, misses, bypasses, publishes, evictions FROM itemcache.stats');
diag("$hits hits, $misses misses, $bypasses bypasses, $publishes publishes, $evictions evictions, $ran DDL");
cmp_ok($hits, '>', ($hits + $misses + $bypasses) / 2, 'most lookups were cache hits');
cmp_ok($hits, '>', $seconds * 100, 'and there were many');
$node->stop;

done_testing();
