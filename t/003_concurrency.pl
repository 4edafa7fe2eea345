# Protects: the promise: under any snapshot a cached read returns exactly what the table returns, whatever other sessions do (all rules together).
#
# Writers, DDL and two-phase commits run for ITEMCACHE_PROOF_SECONDS (60)
# against readers that compare, inside one statement, get() and get_many()
# with the row the table gives.  The cache is so small that it always evicts.
# The first difference stops everything.

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

my $node = new_server('concurrency', memory => '1200kB', conf => <<'CONF');
deadlock_timeout = 50ms
synchronous_commit = off
autovacuum = on
autovacuum_naptime = 1s
itemcache.preload_workers = 2
CONF
$node->start;

#
# A plain table, one partitioned on two levels whose leaves' columns are in
# another order, one with a composite key, and one that changes by cascades.
#
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION itemcache;
	CREATE TABLE p (id bigint PRIMARY KEY, a int, b text, c text) WITH (fillfactor = 70);
	INSERT INTO p SELECT i, i, repeat(chr(65 + i % 26), 100 + i % 200), NULL FROM generate_series(1, $keys) i;

	@{[partitioned_table($keys)]}
	CREATE TABLE r (t text, id int, n numeric, wide text, PRIMARY KEY (t, id));
	ALTER TABLE r ALTER wide SET STORAGE EXTERNAL;
	INSERT INTO r SELECT 'tenant ' || i % 7, i, i, CASE WHEN i % 50 = 0 THEN repeat('w', 3000) END FROM generate_series(1, $keys) i;

	CREATE TABLE parent (id int PRIMARY KEY, n int);
	CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON UPDATE CASCADE ON DELETE CASCADE, n int);
	CREATE INDEX ON child (parent);
	INSERT INTO parent SELECT i, 0 FROM generate_series(1, 300) i;
	INSERT INTO child SELECT i, 1 + i % 300, 0 FROM generate_series(1, 900) i;

	SELECT itemcache.attach('p');
	SELECT itemcache.attach('q');
	SELECT itemcache.attach('r');
	SELECT itemcache.attach('child');
	SELECT itemcache.attach('parent');

	-- a trigger that fires before ours and updates the row once more
	CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN
		UPDATE p SET a = a + 1 WHERE id = NEW.id;
		RETURN NULL;
	END \$\$;
	CREATE TRIGGER again AFTER UPDATE ON p FOR EACH ROW WHEN (NEW.a % 11 = 0) EXECUTE FUNCTION again();

	@{[proof_functions(6)]}
});

#
# Comparisons.  Each is one statement, and fails by calling differs().
#
my $one = compare_get('p', 3300, 20) . compare_get('q', 3300, 20);
(my $few = $one) =~ s/generate_series\(1, \d+\)/generate_series(1, 5)/g;
my $leaf = compare_get('q_0', 1100, 20);
my $composite = q{
SELECT differs('get r', k::text, cached, stored) FROM (
	SELECT k, itemcache.get(NULL::r, ROW('tenant ' || k % 7, k))::text AS cached,
		(SELECT x FROM r x WHERE x.t = 'tenant ' || k % 7 AND x.id = k)::text AS stored
	FROM (SELECT skewed(3300) AS k FROM generate_series(1, 20) OFFSET 0) k OFFSET 0) s
WHERE cached IS DISTINCT FROM stored;
};
my $many = join '', map { compare_get_many(@$_, 30) } ([ 'p', 3300 ], [ 'q', 3300 ], [ 'child', 1000 ], [ 'parent', 600 ]);

my %scripts = (
	reader_rc => [ 20, "$one$leaf$composite$many" ],
	reader_rr => [ 10, "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$one\\sleep 5 ms\n$many$one$leaf\\sleep 30 ms\n$composite$one$many\nCOMMIT;\n" ],
	reader_long => [ 1, "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\n\\sleep 300 ms\n$one$many\\sleep 500 ms\n$one$composite$many\nCOMMIT;\n" ],
	reader_serializable => [ 1, "BEGIN ISOLATION LEVEL SERIALIZABLE;\n$one$composite\nCOMMIT;\n" ],
	update => [ 20, q{
\set k random_zipfian(1, 3000, 1.2)
\set j random(1, 3000)
BEGIN;
UPDATE p SET a = a + 1, b = repeat(chr(65 + (:k + a) % 26), 50 + :j % 300) WHERE id = :k;
UPDATE q SET a = a + 1 WHERE id = :k;
UPDATE r SET n = n + 1, wide = CASE WHEN :j % 30 = 0 THEN repeat('v', 2500 + :j) ELSE wide END WHERE t = 'tenant ' || :k % 7 AND id = :k;
COMMIT;
} ],
	insert_delete => [ 10, q{
\set k random(1, 3300)
\set j random_zipfian(1, 3000, 1.1)
DELETE FROM p WHERE id = :k;
DELETE FROM q WHERE id = :j;
INSERT INTO p (id, a, b) VALUES (:j, 0, repeat('new', 30)) ON CONFLICT (id) DO UPDATE SET a = p.a + 100;
SELECT try($$INSERT INTO q (id, a, b) VALUES (:j, 0, repeat('new', 30)) ON CONFLICT (id) DO UPDATE SET a = q.a + 100$$);
INSERT INTO p (id, a, b) SELECT i, 0, repeat('bulk', 30) FROM generate_series(:k, :k + 20) i ON CONFLICT DO NOTHING;
SELECT try($$INSERT INTO q (id, a, b) SELECT i, 0, repeat('bulk', 30) FROM generate_series(:k, :k + 20) i ON CONFLICT DO NOTHING$$);
} ],
	keys => [ 6, q{
\set k random_zipfian(1, 3000, 1.2)
\set j random(1, 3300)
BEGIN;
SELECT try($$UPDATE p SET id = :j WHERE id = :k AND NOT EXISTS (SELECT FROM p WHERE id = :j)$$);
SELECT try($$UPDATE q SET id = :j WHERE id = :k AND NOT EXISTS (SELECT FROM q WHERE id = :j)$$);
COMMIT;
INSERT INTO p (id, a, b) VALUES (:k, 1, 'back') ON CONFLICT DO NOTHING;
SELECT try($$INSERT INTO q (id, a, b) VALUES (:k, 1, 'back') ON CONFLICT DO NOTHING$$);
} ],
	savepoints => [ 10, qq{
\\set k random_zipfian(1, 3000, 1.2)
\\set j random_zipfian(1, 3000, 1.2)
BEGIN;
UPDATE p SET a = a + 1 WHERE id = :k;
SAVEPOINT one;
UPDATE p SET a = a + 1000, b = 'never' WHERE id IN (:k, :j);
UPDATE q SET a = a + 1000, b = 'never' WHERE id IN (:k, :j);
DELETE FROM r WHERE t = 'tenant ' || :k % 7 AND id = :k;
$few
ROLLBACK TO one;
UPDATE q SET a = a + 1 WHERE id = :j;
SAVEPOINT two;
UPDATE p SET a = a + 1 WHERE id = :j;
RELEASE two;
$few
COMMIT;
$few
} ],
	aborts => [ 5, qq{
\\set k random_zipfian(1, 3000, 1.2)
BEGIN;
UPDATE p SET a = -1, b = 'aborted' WHERE id BETWEEN :k AND :k + 5;
DELETE FROM q WHERE id BETWEEN :k AND :k + 5;
INSERT INTO p (id, a) SELECT i, -1 FROM generate_series(3301, 3310) i ON CONFLICT DO NOTHING;
$few
ROLLBACK;
$few
} ],
	two_phase => [ 5, two_phase_writer() ],
	cascades => [ 3, q{
\set k random(1, 300)
\set j random(301, 600)
BEGIN;
SELECT try($$UPDATE parent SET id = :j WHERE id = :k$$);
UPDATE child SET n = n + 1 WHERE id = :k;
COMMIT;
BEGIN;
DELETE FROM parent WHERE id = :j;
INSERT INTO parent VALUES (:k, 1) ON CONFLICT DO NOTHING;
SELECT try($$INSERT INTO child SELECT i, :k, 0 FROM generate_series(:k, 900, 300) i ON CONFLICT DO NOTHING$$);
COMMIT;
} ],
	replica => [ 3, q{
\set k random_zipfian(1, 3000, 1.2)
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE p SET a = a + 1, b = 'replica' WHERE id = :k;
UPDATE q SET a = a + 1, b = 'replica' WHERE id = :k;
COMMIT;
} ],
	disabled => [ 2, qq{
\\set k random_zipfian(1, 3000, 1.2)
BEGIN;
SET LOCAL itemcache.enabled = off;
UPDATE p SET a = a + 1, b = 'disabled' WHERE id = :k;
DELETE FROM q WHERE id = :k;
SELECT try(\$\$INSERT INTO q VALUES (:k, 0, 'disabled') ON CONFLICT DO NOTHING\$\$);
$few
COMMIT;
} ],
	hints => [ 2, q{
\set k random_zipfian(1, 3000, 1.2)
BEGIN;
SELECT a FROM p WHERE id BETWEEN :k AND :k + 3 FOR UPDATE;
SELECT a FROM q WHERE id BETWEEN :k AND :k + 3 FOR SHARE;
COMMIT;
} ],
);

my $proof = start_proof($node, \%scripts, seconds => $seconds, seed => $seed, readers => 5, writers => 8);

#
# DDL and everything that is rare: one statement after the other in sessions
# of their own, with errors that concurrency explains allowed.
#
my $copy = $node->basedir . '/copy';
append_to_file($copy, join '', map { "$_\t7\n" } grep { $_ > 1000 && $_ % 3 == 0 } 1 .. $keys);
append_to_file("$copy.r", join '', map { 'tenant ' . $_ % 7 . "\t$_\t7\n" } 1 .. $keys);

my $attach_q_0 = attach_partition();
my @ddl = (
	[ 4, 'ALTER TABLE p ADD d%d int DEFAULT %d' ],
	[ 4, 'ALTER TABLE q ADD d%d text DEFAULT $$%d$$' ],
	[ 2, 'ALTER TABLE p ADD d%d float DEFAULT random()' ],
	[ 8, 'DROP COLUMN p' ],
	[ 5, 'DROP COLUMN q' ],
	[ 3, 'ALTER TABLE p ALTER c TYPE text USING c || $$x$$' ],
	[ 3, 'ALTER TABLE p DISABLE TRIGGER itemcache; UPDATE p SET a = a + 1 WHERE id %% 9 = 0; ALTER TABLE p ENABLE ALWAYS TRIGGER itemcache' ],
	[ 3, 'ALTER TABLE q DISABLE TRIGGER itemcache_partitioned; UPDATE q SET a = a + 1 WHERE id %% 9 = 0; ALTER TABLE q ENABLE ALWAYS TRIGGER itemcache_partitioned' ],
	[ 3, 'ALTER TABLE q_0 DISABLE TRIGGER itemcache_partitioned; UPDATE q SET a = a + 1 WHERE id %% 9 = 0; ALTER TABLE q_0 ENABLE ALWAYS TRIGGER itemcache_partitioned' ],
	[ 2, 'ALTER TABLE p ENABLE TRIGGER itemcache; BEGIN; SET LOCAL session_replication_role = replica; UPDATE p SET a = a + 1 WHERE id %% 8 = 0; COMMIT; ALTER TABLE p ENABLE ALWAYS TRIGGER itemcache' ],
	[ 2, 'BEGIN; ALTER TABLE p DISABLE TRIGGER itemcache; UPDATE p SET a = a + 1 WHERE id < 200; ALTER TABLE p ENABLE ALWAYS TRIGGER itemcache; COMMIT' ],
	[ 2, 'BEGIN; UPDATE p SET a = a + 1 WHERE id < 100; SAVEPOINT s; ALTER TABLE p DISABLE TRIGGER itemcache; UPDATE p SET a = a + 1 WHERE id < 100; ROLLBACK TO s; UPDATE p SET a = a + 1 WHERE id < 50; COMMIT' ],
	[ 2, 'VACUUM FULL p' ],
	[ 2, 'CLUSTER p USING p_pkey' ],
	[ 4, 'VACUUM p' ],
	[ 2, 'VACUUM FREEZE q' ],
	[ 3, 'ANALYZE q' ],
	[ 2, 'CREATE INDEX ON p (a); DROP INDEX p_a_idx' ],
	[ 1, 'DROP INDEX IF EXISTS p_b; CREATE INDEX CONCURRENTLY p_b ON p (a); DROP INDEX CONCURRENTLY p_b' ],
	[ 2, 'REINDEX TABLE p' ],
	[ 1, 'REINDEX INDEX CONCURRENTLY p_pkey' ],
	[ 2, 'BEGIN; ALTER TABLE p DROP CONSTRAINT p_pkey; ALTER TABLE p ADD CONSTRAINT p_pkey PRIMARY KEY (id); COMMIT' ],
	[ 2, 'TRUNCATE p' ],
	[ 2, 'TRUNCATE q' ],
	[ 2, 'TRUNCATE q_0' ],
	[ 2, 'BEGIN; UPDATE p SET a = a + 1 WHERE id < 100; TRUNCATE p; INSERT INTO p (id, a, b) SELECT i, 5, repeat($$t$$, 100) FROM generate_series(1, 500) i; COMMIT' ],
	[ 2, 'BEGIN; TRUNCATE p; INSERT INTO p (id, a) VALUES (1, 1); TRUNCATE p; INSERT INTO p (id, a) VALUES (2, 2); COMMIT' ],
	[ 2, 'BEGIN; TRUNCATE p, q; INSERT INTO p (id, a) VALUES (1, 1); ROLLBACK' ],
	[ 2, 'BEGIN; SAVEPOINT s; TRUNCATE q_1; ROLLBACK TO s; UPDATE q SET a = a + 1 WHERE id < 100; COMMIT' ],
	[ 2, "ALTER TABLE q DETACH PARTITION q_0; UPDATE q_0 SET a = a + 1 WHERE id %% 7 = 0; $attach_q_0" ],
	[ 2, 'BEGIN; UPDATE p SET a = a + 1 WHERE id < 100; ALTER TABLE p ADD e%d int DEFAULT 5; PREPARE TRANSACTION $$ddl$$; ROLLBACK PREPARED $$ddl$$' ],
	[ 2, 'BEGIN; TRUNCATE p; INSERT INTO p (id, a, b) SELECT i, 6, repeat($$u$$, 100) FROM generate_series(1, 3000) i; PREPARE TRANSACTION $$ddl$$; COMMIT PREPARED $$ddl$$' ],
	[ 2, 'BEGIN; ALTER TABLE p DISABLE TRIGGER itemcache; UPDATE p SET a = a + 1 WHERE id < 200; ALTER TABLE p ENABLE ALWAYS TRIGGER itemcache; PREPARE TRANSACTION $$ddl$$; COMMIT PREPARED $$ddl$$' ],
	[ 3, 'SELECT itemcache.attach($$p$$, preload => %d %% 2 = 0, cache_new => %d %% 3 = 0)' ],
	[ 3, 'SELECT itemcache.attach($$q$$)' ],
	[ 2, 'SELECT itemcache.detach($$p$$); UPDATE p SET a = a + 1 WHERE id %% 6 = 0; SELECT itemcache.attach($$p$$)' ],
	[ 2, 'BEGIN; SELECT itemcache.detach($$q$$); UPDATE q SET a = a + 1 WHERE id %% 6 = 0; SELECT itemcache.attach($$q$$); COMMIT' ],
	[ 3, 'SELECT itemcache.clear($$p$$)' ],
	[ 1, 'SELECT itemcache.clear()' ],
	[ 4, 'SELECT itemcache.preload($$p$$)' ],
	[ 4, 'SELECT itemcache.preload($$q$$)' ],
	[ 3, 'SELECT itemcache.preload($$r$$)' ],
	[ 4, "BEGIN; DELETE FROM p WHERE id > 1000 AND id %% 3 = 0; COPY p (id, a) FROM '$copy'; COMMIT" ],
	[ 2, "BEGIN; TRUNCATE r; COPY r (t, id, n) FROM '$copy.r' WITH (FREEZE); COMMIT" ],
	[ 2, 'GRANT SELECT ON p TO pg_monitor' ],
	[ 2, 'BEGIN; LOCK TABLE p IN ACCESS EXCLUSIVE MODE; UPDATE p SET a = a + 1 WHERE id < 20; COMMIT' ],
	[ 2, 'BEGIN; LOCK TABLE p IN SHARE ROW EXCLUSIVE MODE; UPDATE p SET a = a + 1 WHERE id < 20; ROLLBACK' ],
	[ 2, 'UPDATE p SET a = a + 1' ],
	[ 2, 'UPDATE q SET a = a + 1 WHERE id < 2000' ],
	[ 2, 'BEGIN; UPDATE q SET a = a + 1; ROLLBACK' ],
);
my @refill = (
	'INSERT INTO p (id, a, b) SELECT i, 9, repeat($$f$$, 150) FROM generate_series(1, 3000) i ON CONFLICT DO NOTHING',
	'INSERT INTO q (id, a, b) SELECT i, 9, repeat($$f$$, 150) FROM generate_series(1, 3000) i ON CONFLICT DO NOTHING',
	'INSERT INTO r SELECT $$tenant $$ || i % 7, i, 0 FROM generate_series(1, 3000) i ON CONFLICT DO NOTHING');
my @bag = map { ($_->[1]) x $_->[0] } @ddl;

# A statement, %d being its number.
sub next_ddl
{
	my ($number) = @_;
	my $sql = $bag[ int(rand(@bag)) ];

	$sql =~ s/%%/\x01/g;
	$sql =~ s/%d/$number/g;
	$sql =~ s/\x01/%/g;
	if ($sql =~ /^DROP COLUMN (\w)/)
	{
		my $table = $1;
		my $column = $node->safe_psql('postgres',
			"SELECT attname FROM pg_attribute WHERE attrelid = '$table'::regclass AND attname ~ '^[de][0-9]' AND NOT attisdropped ORDER BY random() LIMIT 1");

		return $column eq '' ? undef : "ALTER TABLE $table DROP $column";
	}
	return $sql;
}

# What an interrupted statement left: the table must be served again.  And keys
# that are not there cannot be hit: fill up what was emptied.
my $turn = 0;
sub repair
{
	my ($execute, $sql, $error) = @_;

	$turn++;
	if ($error ne '')
	{
		my ($left) = $execute->(q{SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'ddl'});

		$execute->(q{ROLLBACK PREPARED 'ddl'}) if $left =~ /1/;
		$execute->("$attach_q_0; ROLLBACK");
	}
	if ($error ne '' || $turn % 20 == 0)
	{
		$execute->("SELECT itemcache.attach('$_')") foreach ('p', 'q');
	}
	if ($sql =~ /TRUNCATE/ || $turn % 10 == 0)
	{
		$execute->($_) foreach @refill;
	}
	return;
}

my ($ran, $failed, $strange) = run_beside($proof, next => \&next_ddl, after => \&repair, pause => 0.25, tolerated => [
	'does not exist', 'already exists', 'is not a partition', 'is already a partition',
	'is being used by', 'duplicate key', 'current transaction is aborted', 'no partition of relation',
	'pending detach', 'no active transaction', 'concurrent', 'violates', 'not attached',
	'not partitioned', 'partition .* overlap', 'must be detached|already pending' ]);
finish_proof($proof);
is_proven($proof, 'no cached read differs from the table');
is($strange, '', 'DDL failed for no reason but concurrency');
cmp_ok($ran - $failed, '>', $failed, "most of the $ran DDL statements succeeded");

# It must not have passed by never caching.
my ($hits, $misses, $bypasses, $fills, $publishes, $removals, $evictions, $refused) = split /\|/,
  $node->safe_psql('postgres', 'SELECT hits, misses, bypasses, fills, publishes, removals, evictions, refused FROM itemcache.stats');
my $all = $hits + $misses + $bypasses;
diag(sprintf '%d comparisons, %d hits, %d misses, %d bypasses, %d fills, %d refused, %d publishes, %d removals, %d evictions, %d DDL',
	$all, $hits, $misses, $bypasses, $fills, $refused, $publishes, $removals, $evictions, $ran);
note $node->safe_psql('postgres', 'SELECT relid, served, items, bytes, hits, misses, bypasses, fills, refused, publishes, removals, evictions FROM itemcache.tables');
cmp_ok($hits, '>', $all / 2, 'most comparisons were cache hits');
cmp_ok($evictions, '>', $seconds * 20, 'eviction was constant');
cmp_ok($publishes, '>', 1000, 'items were published');
cmp_ok($removals, '>', 100, 'keys were removed');

#
# Fills against writers (rule 2): a table of one page, whose rows are changed
# all the time, is loaded all the time.  A fill that came too late for a
# writer to remove it would stay until the row's next change.
#
$node->safe_psql('postgres', q{
	CREATE TABLE hot (id int PRIMARY KEY, n int) WITH (fillfactor = 40);
	INSERT INTO hot SELECT i, 0 FROM generate_series(1, 80) i;
	SELECT itemcache.attach('hot')});
my %hot = (
	hot_update => [ 4, q{
\set k random(1, 80)
UPDATE hot SET n = n + 1 WHERE id = :k;
} ],
	hot_remove => [ 1, q{
\set k random(1, 80)
BEGIN;
UPDATE hot SET n = n + 1 WHERE id = :k;
SAVEPOINT s;
UPDATE hot SET n = n + 1 WHERE id = :k;
ROLLBACK TO s;
COMMIT;
} ],
	hot_reader => [ 1, "SELECT itemcache.preload('hot');\n" x 3 . q{
SELECT differs('hot', k::text, cached, stored) FROM (
	SELECT k, itemcache.get(NULL::hot, k)::text AS cached, (SELECT x FROM hot x WHERE x.id = k)::text AS stored
	FROM (SELECT k::bigint FROM generate_series(1, 80) k OFFSET 0) k OFFSET 0) s
WHERE cached IS DISTINCT FROM stored;
} ]);
my $before = counter($node, 'postgres', 'fills', 'hot');
my $hot_proof = start_proof($node, \%hot, seconds => int($seconds / 4) + 1, seed => $seed, readers => 2, writers => 2);
finish_proof($hot_proof);
is_proven($hot_proof, 'no late fill stays');
cmp_ok(counter($node, 'postgres', 'fills', 'hot') - $before, '>', $seconds * 10, 'rows were filled');

# And what is left is right.
is_exact($node, 'postgres', $_, 0, 3400, "$_ afterwards") foreach ('p', 'q', 'child', 'parent', 'hot');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_prepared_xacts}), '0', 'no transaction is left prepared');
$node->stop;

done_testing();
