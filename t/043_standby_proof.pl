# Protects: rule 0 under load: on a standby and on one behind it a cached read returns what the table returns, whatever is replayed, through a promotion and after it.
#
# Writers and DDL run on the primary for half of ITEMCACHE_PROOF_SECONDS (30),
# and on the promoted standby for the other, against readers on both standbys
# that compare, inside one statement, what get(), get_many(), plain SELECT and
# the lookup join give with what the table gives.  What is replayed is compared
# with the primary's pages as well (wal_consistency_checking).
#
# One thing is kept out of the load, as there PostgreSQL itself, without the
# library, replays another page than the primary has: locking a row that is
# frozen and had been updated once more by its own transaction, which rolled
# that back.  Such a version has HEAP_COMBOCID; heap_lock_tuple() leaves it, the
# record's redo clears it (heap_xlog_lock), and heap_mask() ignores it only
# before the version is frozen.  On a server with no library at all:
#
#		BEGIN; INSERT INTO t VALUES (1, 1); SAVEPOINT s; UPDATE t SET a = 2;
#		ROLLBACK TO s; COMMIT; VACUUM (FREEZE) t; SELECT id FROM t FOR KEY SHARE;
#
# ends a standby by "inconsistent page found", for Heap/LOCK.  So rows of p,
# which is frozen, are not updated twice like that, and q, of which they are, is
# never frozen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ConcurrencyProof;
use IPC::Run;
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($seconds, $seed) = proof_parameters(30);
my $keys = 3000;

my $primary = new_server('primary', allows_streaming => 1, memory => '8MB', conf => <<'CONF');
deadlock_timeout = 50ms
synchronous_commit = off
autovacuum = on
autovacuum_naptime = 1s
wal_consistency_checking = all
hot_standby_feedback = on
max_standby_streaming_delay = -1
CONF
$primary->start;
$primary->safe_psql(
	'postgres', qq{
	CREATE EXTENSION itemcache;
	CREATE TABLE p (id bigint PRIMARY KEY, a int, b text, c text) WITH (fillfactor = 70);
	INSERT INTO p SELECT i, i, repeat(chr(65 + i % 26), 100 + i % 200), NULL FROM generate_series(1, $keys) i;
	@{[partitioned_table($keys)]}
	SELECT itemcache.attach('p'), itemcache.attach('q');
	@{[proof_functions(6)]}
	@{[twice_function()]}
});
$primary->safe_psql('postgres', "ALTER TABLE $_ SET (autovacuum_enabled = off)") foreach ('q_0', 'q_1_0', 'q_1_1');

# slots: a checked page is in the log as a whole, so the log is long
sub reserve_log
{
	my ($node, $for) = @_;

	$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('$for', true)");
	return "primary_slot_name = '$for'\n";
}
my $standby = new_standby($primary, 'standby', conf => reserve_log($primary, 'standby'));
$standby->start;
my $behind = new_standby($primary, 'behind', conf => reserve_log($standby, 'behind'));
$behind->enable_streaming($standby);
$behind->start;
replayed($primary, $standby, $behind);

my $one = compare_get('p', 3300, 20) . compare_get('q', 3300, 20);
my $many = join '', map { compare_get_many($_, 3300, 50) } ('p', 'q');
my $keys_of = q{ARRAY(SELECT skewed(3300)::bigint FROM generate_series(1, 20))};
my $twice = join '', map { my $t = $_; map { "SELECT twice(\$q\$$_\$q\$, $keys_of);\n" } (
	"SELECT * FROM $t WHERE id = \$1[1]",
	"SELECT * FROM $t WHERE id = ANY (\$1)",
	"SELECT k, t.* FROM unnest(\$1) k LEFT JOIN $t t ON t.id = k") } ('p', 'q');
# a session goes from script to script, and keeps what the one before has set
my $plans = join '', map { "SET enable_$_ = off;\n" } qw(seqscan bitmapscan hashjoin mergejoin memoize);
my $by_get = "SET itemcache.transparent = off;\n";
my $rr = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n";
my %readers = (
	reader_rc => [ 20, "$by_get$one$many" ],
	reader_rr => [ 10, "$by_get$rr$one\\sleep 5 ms\n$many$one\\sleep 30 ms\n$one$many\nCOMMIT;\n" ],
	reader_long => [ 1, "$by_get${rr}SELECT 1;\n\\sleep 300 ms\n$one$many\\sleep 500 ms\n$one$many\nCOMMIT;\n" ],
	reader_select_rc => [ 20, "$plans$twice" ],
	reader_select_rr => [ 10, "$plans$rr$twice\\sleep 30 ms\n${twice}COMMIT;\n" ],
);
my %writers = (
	update => [ 20, q{
\set k random_zipfian(1, 3000, 1.2)
\set j random(1, 3000)
BEGIN;
UPDATE p SET a = a + 1, b = repeat(chr(65 + (:k + a) % 26), 50 + :j % 300) WHERE id = :k;
UPDATE q SET a = a + 1 WHERE id = :k;
COMMIT;
} ],
	insert_delete => [ 8, q{
\set k random_zipfian(1, 3300, 1.1)
\set j random_zipfian(1, 3000, 1.1)
DELETE FROM p WHERE id = :k;
DELETE FROM q WHERE id = :j;
INSERT INTO p (id, a, b) VALUES (:j, 0, repeat('new', 30)) ON CONFLICT (id) DO UPDATE SET a = p.a + 100;
SELECT try($$INSERT INTO q (id, a, b) VALUES (:j, 0, repeat('new', 30)) ON CONFLICT (id) DO UPDATE SET a = q.a + 100$$);
INSERT INTO p (id, a, b) SELECT i, 0, repeat('bulk', 30) FROM generate_series(:k, :k + 20) i ON CONFLICT DO NOTHING;
} ],
	keys => [ 4, q{
\set k random_zipfian(1, 3000, 1.2)
\set j random(1, 3300)
SELECT try($$UPDATE p SET id = :j WHERE id = :k AND NOT EXISTS (SELECT FROM p WHERE id = :j)$$);
INSERT INTO p (id, a, b) VALUES (:k, 1, 'back') ON CONFLICT DO NOTHING;
} ],
	savepoints => [ 8, q{
\set k random_zipfian(1, 3000, 1.2)
\set j random_zipfian(1, 3000, 1.2)
BEGIN;
UPDATE p SET a = a + 1 WHERE id = :k;
UPDATE q SET a = a + 1 WHERE id = :k;
SAVEPOINT one;
UPDATE p SET a = a + 1000, b = 'never' WHERE id = :j AND id <> :k;
UPDATE q SET a = a + 1000, b = 'never' WHERE id IN (:k, :j);
ROLLBACK TO one;
UPDATE q SET a = a + 1 WHERE id = :j;
SAVEPOINT two;
UPDATE p SET a = a + 1 WHERE id = :j;
RELEASE two;
\sleep 2 ms
COMMIT;
} ],
	subtransactions => [ 1, q{
\set k random(1, 3000)
DO $$
BEGIN
	FOR i IN 1 .. 90 LOOP
		BEGIN
			UPDATE p SET a = a + 1 WHERE id = i * 30;
			IF i % 5 = 0 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
END $$;
} ],
	aborts => [ 5, q{
\set k random_zipfian(1, 3000, 1.2)
BEGIN;
UPDATE p SET a = -1, b = 'aborted' WHERE id BETWEEN :k AND :k + 5;
DELETE FROM q WHERE id BETWEEN :k AND :k + 5;
\sleep 2 ms
ROLLBACK;
} ],
	two_phase => [ 5, two_phase_writer() ],
	multixacts => [ 5, q{
\set k random_zipfian(1, 3000, 1.2)
\set j random(0, 3)
BEGIN;
SELECT a FROM p WHERE id BETWEEN :k AND :k + 3 FOR KEY SHARE;
SELECT a FROM q WHERE id BETWEEN :k AND :k + 3 FOR KEY SHARE;
\sleep 2 ms
UPDATE p SET a = a + 1 WHERE id = :k + :j;
COMMIT;
} ],
	many => [ 1, q{
\set k random(1, 2000)
UPDATE p SET a = a + 1 WHERE id BETWEEN :k AND :k + 1000;
} ],
);
my @ddl = (
	[ 3, 'ALTER TABLE p ADD d%d int DEFAULT %d' ],
	[ 1, 'ALTER TABLE p ADD d%d float DEFAULT random()' ],
	[ 3, 'DROP COLUMN p' ],
	[ 2, 'ALTER TABLE p ALTER c TYPE text USING c || $$x$$' ],
	[ 3, 'ALTER TABLE p DISABLE TRIGGER itemcache; UPDATE p SET a = a + 1 WHERE id %% 9 = 0; ALTER TABLE p ENABLE ALWAYS TRIGGER itemcache' ],
	[ 3, 'ALTER TABLE q_0 DISABLE TRIGGER itemcache_partitioned; UPDATE q SET a = a + 1 WHERE id %% 9 = 0; ALTER TABLE q_0 ENABLE ALWAYS TRIGGER itemcache_partitioned' ],
	[ 2, 'VACUUM FULL p' ],
	[ 2, 'CLUSTER p USING p_pkey' ],
	[ 4, 'VACUUM p' ],
	[ 3, 'VACUUM FREEZE p' ],
	[ 1, 'REINDEX TABLE p' ],
	[ 2, 'TRUNCATE p' ],
	[ 2, 'TRUNCATE q_0' ],
	[ 2, 'BEGIN; UPDATE p SET a = a + 1 WHERE id < 100; TRUNCATE p; INSERT INTO p (id, a, b) SELECT i, 5, repeat($$t$$, 100) FROM generate_series(1, 500) i; COMMIT' ],
	[ 2, 'BEGIN; TRUNCATE p, q; INSERT INTO p (id, a) VALUES (1, 1); ROLLBACK' ],
	[ 2, 'BEGIN; SAVEPOINT s; TRUNCATE q_1; ROLLBACK TO s; UPDATE q SET a = a + 1 WHERE id < 100; COMMIT' ],
	[ 2, 'ALTER TABLE q DETACH PARTITION q_0; UPDATE q_0 SET a = a + 1 WHERE id %% 7 = 0; ' . attach_partition() ],
	[ 2, 'BEGIN; ALTER TABLE p DISABLE TRIGGER itemcache; UPDATE p SET a = a + 1 WHERE id < 200; ALTER TABLE p ENABLE ALWAYS TRIGGER itemcache; PREPARE TRANSACTION $$ddl$$; COMMIT PREPARED $$ddl$$' ],
	[ 2, 'BEGIN; TRUNCATE p; INSERT INTO p (id, a, b) SELECT i, 6, repeat($$u$$, 100) FROM generate_series(1, 3000) i; PREPARE TRANSACTION $$ddl$$; COMMIT PREPARED $$ddl$$' ],
	[ 2, 'SELECT itemcache.detach($$p$$); UPDATE p SET a = a + 1 WHERE id %% 6 = 0; SELECT itemcache.attach($$p$$)' ],
	[ 2, 'BEGIN; LOCK TABLE p IN ACCESS EXCLUSIVE MODE; UPDATE p SET a = a + 1 WHERE id < 20; COMMIT' ],
	[ 2, 'UPDATE q SET a = a + 1 WHERE id < 2000' ],
	[ 1, 'CHECKPOINT' ],
);
my @refill = map { qq{INSERT INTO $_ (id, a, b) SELECT i, 9, repeat(\$\$f\$\$, 150) FROM generate_series(1, 3000) i ON CONFLICT DO NOTHING} } ('p', 'q');
my @bag = map { ($_->[1]) x $_->[0] } @ddl;
my @tolerated = ('does not exist', 'already exists', 'is not a partition', 'is already a partition',
	'is being used by', 'duplicate key', 'current transaction is aborted', 'no partition of relation',
	'no active transaction', 'concurrent', 'violates', 'not attached', 'partition .* overlap');

# Write on a server, until the clients end.
sub write_on
{
	my ($node, $seconds) = @_;
	my $proof = start_proof($node, \%writers, seconds => $seconds, seed => $seed, writers => 5);
	my ($ran, $failed, $strange) = run_beside(
		$proof,
		pause => 0.3,
		tolerated => \@tolerated,
		next => sub {
			my $sql = $bag[ int(rand(@bag)) ];

			if ($sql =~ /^DROP COLUMN (\w)/)
			{
				my $column = $node->safe_psql('postgres',
					"SELECT attname FROM pg_attribute WHERE attrelid = '$1'::regclass AND attname ~ '^d[0-9]' AND NOT attisdropped LIMIT 1");
				return $column eq '' ? undef : "ALTER TABLE $1 DROP $column";
			}
			return $sql =~ s/%(.)/$1 eq 'd' ? $_[0] : $1/ger;
		},
		after => sub {
			my ($execute, $sql, $error) = @_;

			if ($error ne '')
			{
				$execute->($_) foreach (q{ROLLBACK PREPARED 'ddl'}, attach_partition() . '; ROLLBACK');
				$execute->("SELECT itemcache.attach('$_')") foreach ('p', 'q');
			}
			if ($sql =~ /TRUNCATE|DETACH|detach/) { $execute->($_) foreach @refill }
		});

	finish_proof($proof);
	is_proven($proof, $node->name . ': written');
	is($strange, '', $node->name . ': DDL failed for no reason but concurrency');
	cmp_ok($ran, '>', $seconds / 3, $node->name . ": DDL, $failed of $ran failed");
	return;
}

# Where a standby's log is: what it has received, and what it has replayed.
sub positions_in_log
{
	my ($node) = @_;

	return split /\|/, $node->safe_psql('postgres', 'SELECT pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()');
}

# Stop the primary while it is written: its last commits, which are asynchronous,
# have come to the standbys or have not, and one transaction is in progress.
#
# The log must not end inside a record that goes on in another segment than the
# one it began in.  It would, once in some ten times: where a segment ends the log
# is flushed, and sent, be it in the middle of a record (XLogWrite()).  Such a
# record is not replayed, the new timeline begins before it, and who is behind the
# promoted standby wants that timeline from the segment in which the record was to
# go on (WaitForWALToBecomeAvailable(), RequestXLogStreaming()).  It never gets the
# segment in which it began, and ends by "PANIC: could not open file", with or
# without the library.  So what is written at last has a segment for itself, and is
# far from filling it.
sub stop_while_written
{
	my ($out, $err) = ('', '');

	$primary->append_conf('postgresql.conf', 'autovacuum = off');
	$primary->reload;
	$primary->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'})
	  or die 'autovacuum goes on';
	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	replayed($primary, $standby, $behind);

	my $begin = $primary->lsn('insert');
	my $writer = IPC::Run::start([ 'psql', '-X', '-d', $primary->connstr('postgres'), '-c', <<'SQL' ], '>', \$out, '2>', \$err);
DO $$
BEGIN
	FOR i IN 1 .. 100 LOOP
		UPDATE p SET a = a + 1 WHERE id = i;
		COMMIT;
		PERFORM pg_sleep(0.002);
	END LOOP;
	UPDATE p SET a = -1 WHERE id BETWEEN 101 AND 120;
	PERFORM pg_sleep(1000);
END $$
SQL
	$standby->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() > '$begin'::pg_lsn") or die 'nothing is written';
	$primary->stop('immediate');
	$writer->finish;

	foreach my $node ($standby, $behind)
	{
		my ($received, $replayed) = positions_in_log($node);
		my @segments = map { s/[0-9A-F]{6}$//r } ($begin, $received);	# of 16 MB

		is($segments[1], $segments[0], $node->name . ": the log ends in the segment of $begin, received $received, replayed $replayed");
	}
	return;
}

my @readers = map {
	start_proof($_, \%readers, seconds => $seconds + 10, seed => $seed, readers => 4)
} ($standby, $behind);

write_on($primary, int($seconds / 2));
stop_while_written();
my $before = $standby->safe_psql('postgres', q{SELECT sum(items) FROM itemcache.tables WHERE leaf_of IS NULL});
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
my $after = $standby->safe_psql('postgres', q{SELECT sum(items) FROM itemcache.tables WHERE leaf_of IS NULL});
cmp_ok($after, '>=', 0.95 * $before, "$after of $before items stay at the promotion");

# what the primary had prepared
$standby->safe_psql('postgres', "COMMIT PREPARED '$_'")
  foreach split /\n/, $standby->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
write_on($standby, int($seconds / 2));
foreach my $proof (@readers)
{
	my $name = $proof->{node}->name;

	finish_proof($proof);
	is_proven($proof, "$name: no cached read differs from the table");
	my ($hits, $lookups) = split /\|/, $proof->{node}->safe_psql('postgres',
		'SELECT hits, hits + misses + bypasses FROM itemcache.stats');
	note "$name: $lookups comparisons, $hits hits";
	# mostly more than half; the slower the readers are, the more was written in between
	cmp_ok($hits, '>', $lookups / 4, "$name: many comparisons were cache hits");
}
replayed($standby, $behind);
foreach my $node ($standby, $behind)
{
	is_exact($node, 'postgres', $_, 0, 3300, $node->name . ": $_ at last") foreach ('p', 'q');
}
$behind->stop;
$standby->stop;
done_testing();
