# Protects: the promise, interleaving by interleaving: random schedules of several sessions end, statement by statement, as on a twin without the cache.
#
# Two servers, one without the library and with functions of itemcache's names
# that read and write the table.  Each step is one statement of one session,
# given to both; results, SQLSTATEs, transaction states and who waits for a lock
# are compared (TwinSchedule.pm).  Nothing depends on time, so a schedule can be
# played again: a difference is reduced to the fewest steps that show it, which
# are printed.
#
# Always the same 30 schedules; or, for ITEMCACHE_SCHEDULE_SECONDS, others each
# time.  ITEMCACHE_PROOF_SEED is the first one's seed, the next ones count up from
# it.  ITEMCACHE_SCHEDULE_FAILURES: how many differences to look for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use TwinSchedule;

my $seconds = $ENV{ITEMCACHE_SCHEDULE_SECONDS};
my $seed = $ENV{ITEMCACHE_PROOF_SEED} || ($seconds ? int(rand(1 << 31)) : 1);
my $most_failures = $ENV{ITEMCACHE_SCHEDULE_FAILURES} || 1;
my $sessions = 4;
my $steps = 80;

#
# What each schedule begins with: a plain table with a dependent one, one with
# partitions whose columns are in another order, and one with a composite key
# and values out of line.
#
my $setup = q{
	DROP SCHEMA IF EXISTS s CASCADE;
	CREATE SCHEMA s;
	SET search_path = s;
	CREATE TABLE p (id int PRIMARY KEY, a int, b text);
	CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE, n int);
	CREATE TABLE q (id int PRIMARY KEY, a int, b text) PARTITION BY RANGE (id);
	CREATE TABLE q0 (b text, junk int, a int, id int NOT NULL);
	ALTER TABLE q0 DROP junk;
	ALTER TABLE q ATTACH PARTITION q0 FOR VALUES FROM (MINVALUE) TO (5);
	CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (5) TO (MAXVALUE);
	CREATE TABLE r (t text, id int, n numeric, wide text, PRIMARY KEY (t, id));
	ALTER TABLE r ALTER wide SET STORAGE EXTERNAL;
	INSERT INTO p SELECT i, i, 'p' || i FROM generate_series(1, 9) i;
	INSERT INTO c SELECT i, i, 0 FROM generate_series(1, 6) i;
	INSERT INTO q SELECT i, i, 'q' || i FROM generate_series(1, 9) i;
	INSERT INTO r SELECT 't' || i % 2, i, i, repeat('w', 3000) FROM generate_series(1, 6) i;
	ANALYZE p, c, q, r;
	SELECT itemcache.attach('p'), itemcache.attach('c'), itemcache.attach('q'), itemcache.attach('r');
	-- (it refuses what a transaction has written)
	CREATE FUNCTION load(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM itemcache.preload(relation);
	EXCEPTION WHEN object_not_in_prerequisite_state THEN
		NULL;
	END $$;
	CREATE FUNCTION kept(k int) RETURNS text LANGUAGE plpgsql STABLE AS $$
	DECLARE
		item p;
	BEGIN
		SELECT * INTO item FROM p WHERE id = k;
		RETURN item::text;
	END $$;
	CREATE FUNCTION kept_leaf(k int) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
	BEGIN
		RETURN (SELECT q::text FROM q WHERE id = k);
	END $$;
};

# What each session begins with: plans that look up.
my $begin_session = q{
	SET search_path = s;
	SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
	SET client_min_messages = error;
	PREPARE one(int) AS SELECT * FROM p WHERE id = $1;
	PREPARE few(int[]) AS SELECT id, a FROM p WHERE id = ANY ($1) ORDER BY id;
	PREPARE leaf(int) AS SELECT a, b FROM q WHERE id = $1;
	PREPARE joined(int[]) AS SELECT k, p.a, q.b FROM unnest($1) k LEFT JOIN p ON p.id = k LEFT JOIN q ON q.id = k ORDER BY k;
	PREPARE change(int) AS UPDATE p SET a = a + 1 WHERE id = $1 RETURNING *;
};

#
# Statements.  A key is written :k, several :ks, a small number :n; what is
# chosen is written {one|other}.
#
my @reads = (
	'SELECT * FROM p WHERE id = :k', 'SELECT b, a FROM q WHERE id = :k', 'SELECT * FROM {q0|q1} WHERE id = :k',
	'SELECT id, a, b FROM {p|q} WHERE id IN (:ks) ORDER BY id',
	'SELECT * FROM {p|c|q} WHERE id = ANY (ARRAY[:ks]) AND id > 2',
	'SELECT itemcache.get(NULL::{p|c|q}, :k)', q{SELECT itemcache.get(NULL::{p|q}, ':k')}, 'SELECT itemcache.get(NULL::{q0|q1}, :k)',
	q{SELECT itemcache.get(NULL::r, ROW(text 't{0|1}', :k))}, q{SELECT t, id, n, length(wide), wide FROM r WHERE t = 't{0|1}' AND id = :k},
	'SELECT g.* FROM itemcache.get_many(NULL::{p|c|q}, ARRAY[:ks]) g',
	'EXECUTE one(:k)', 'EXECUTE few(ARRAY[:ks])', 'EXECUTE leaf(:k)', 'EXECUTE joined(ARRAY[:ks])',
	'SELECT kept(:k)', 'SELECT kept_leaf(:k)', 'SELECT k, kept(k) FROM unnest(ARRAY[:ks]) k',
	'SELECT k, {p|q}.* FROM unnest(ARRAY[:ks]) k {LEFT JOIN|JOIN} {p|q} USING (id)',
	'SELECT k, x.* FROM unnest(ARRAY[:ks]) k {LEFT |}JOIN {p|q|c} x ON x.id = k',
	'SELECT c.id, p.* FROM c {LEFT |}JOIN p ON p.id = c.p WHERE c.id IN (:ks)',
	'SELECT c.id, c.n, p.b, (SELECT b FROM q WHERE q.id = p.a) FROM c JOIN p ON p.id = c.p',
	'SELECT k FROM unnest(ARRAY[:ks]) k WHERE {NOT |}EXISTS (SELECT FROM {p|q} x WHERE x.id = k AND x.a > :n)',
	'SELECT count(*), sum(a), string_agg(b, $$,$$ ORDER BY id) FROM {p|q}',
	'SELECT * FROM p WHERE id = :k FOR {UPDATE|SHARE|NO KEY UPDATE|KEY SHARE|UPDATE NOWAIT|UPDATE SKIP LOCKED}',
	'SELECT x.id, y.a FROM p x JOIN p y ON y.id = x.a WHERE x.id = :k FOR {UPDATE OF x|SHARE|UPDATE}');
my @cursors = (
	'DECLARE one {SCROLL |}CURSOR {WITH HOLD |}FOR SELECT id, a, b FROM {p|q} WHERE id IN (:ks) ORDER BY id',
	'DECLARE two CURSOR FOR SELECT * FROM p WHERE id = :k {FOR UPDATE|}',
	'DECLARE two SCROLL CURSOR FOR SELECT k, p.a FROM unnest(ARRAY[:ks]) k LEFT JOIN p ON p.id = k ORDER BY k',
	'FETCH {one|two}', 'FETCH {one|two}', 'FETCH {2|BACKWARD 1|ALL|ABSOLUTE 2|LAST} FROM {one|two}', 'MOVE 1 FROM {one|two}', 'CLOSE {one|two}',
	'{UPDATE {p|q} SET a = a + 10|DELETE FROM {p|q}} WHERE CURRENT OF {one|two}');
my @writes = (
	'UPDATE {p|q} SET a = a + 1 WHERE id = :k', 'UPDATE {p|q} SET b = $$new:n$$ WHERE id = :k RETURNING *', 'EXECUTE change(:k)',
	'UPDATE {p|q|c} SET id = :k WHERE id = :k', 'UPDATE {p|q} SET a = a WHERE id > :k',
	'UPDATE r SET n = n + 1, wide = repeat($$:n$$, 2500) WHERE id = :k', q{UPDATE r SET t = 't{0|1}' WHERE id = :k},
	'DELETE FROM {p|q|c|r} WHERE id = :k', 'INSERT INTO {p|q} VALUES (:k, :n, $$inserted$$)', 'INSERT INTO c VALUES (:k, :k, :n)',
	'INSERT INTO {p|q} VALUES (:k, :n, $$upserted$$) ON CONFLICT (id) DO UPDATE SET a = excluded.a, b = excluded.b',
	'INSERT INTO {p|q} VALUES (:k, :n) ON CONFLICT DO NOTHING',
	q{INSERT INTO r VALUES ('t{0|1}', :k, :n, repeat('v', 2500)) ON CONFLICT (t, id) DO UPDATE SET wide = excluded.wide},
	'MERGE INTO {p|q} t USING (VALUES (:k, :n)) v (id, a) ON t.id = v.id WHEN MATCHED AND t.a > 3 THEN DELETE WHEN MATCHED THEN UPDATE SET a = v.a WHEN NOT MATCHED THEN INSERT (id, a) VALUES (v.id, v.a)',
	'COPY {p|q} FROM STDIN', 'WITH w AS (UPDATE p SET a = a + 1 WHERE id = :k RETURNING id) SELECT w.id, p.a, itemcache.get(NULL::p, w.id) FROM w JOIN p USING (id)',
	'UPDATE q{0|1} SET a = a + 1 WHERE id = :k', 'DELETE FROM q{0|1} WHERE id = :k',
	'SELECT itemcache.put(ROW(:k, :n, $$put$$)::{p|q})', 'SELECT itemcache.put(p) FROM p WHERE id = :k',
	'SELECT itemcache.put_many(ARRAY[ROW(:k, :n, $$many$$), ROW(:k, :n, $$many$$)]::{p|q}[])', 'SELECT itemcache.delete(NULL::{p|q|c}, :k)',
	'SELECT itemcache.put(ROW($$t1$$, :k, :n, repeat($$u$$, 2200))::r)',
	'UPDATE p SET a = q.a + 1 FROM q WHERE q.id = p.id AND p.id = :k', 'SET session_replication_role = {replica|origin}');
my @ddl = (
	'TRUNCATE {p, c|q|c|q0|r}', 'ALTER TABLE {p|q} ADD d{1|2} int DEFAULT :n', 'ALTER TABLE {p|q} DROP d{1|2}', 'ALTER TABLE {p|q} ALTER a TYPE {bigint|int}',
	'ALTER TABLE {p|c|r} {DISABLE|ENABLE|ENABLE ALWAYS|ENABLE REPLICA} TRIGGER itemcache', 'ALTER TABLE q{|0|1} {DISABLE|ENABLE ALWAYS} TRIGGER itemcache_partitioned',
	'ALTER TABLE {p|c|r} {DISABLE|ENABLE} TRIGGER {ALL|USER}',
	q{SELECT itemcache.clear('{p|q}')}, q{SELECT load('{p|c|q|r}')},
	'ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE', 'ALTER TABLE p ADD PRIMARY KEY (id)', 'ALTER TABLE q DROP CONSTRAINT q_pkey', 'ALTER TABLE q ADD PRIMARY KEY (id)',
	'DELETE FROM p a USING p b WHERE a.id = b.id AND a.ctid > b.ctid',
	'ALTER TABLE q DETACH PARTITION q{0|1}', 'ALTER TABLE q ATTACH PARTITION q0 FOR VALUES FROM (MINVALUE) TO (5)', 'ALTER TABLE q ATTACH PARTITION q1 FOR VALUES FROM (5) TO (MAXVALUE)',
	'ALTER TABLE p RENAME {a TO a_|a_ TO a}', 'ALTER TABLE {p RENAME TO p_|p_ RENAME TO p}', 'ALTER TABLE r ALTER id TYPE {bigint|int}',
	'CREATE INDEX {p_a ON p|q_a ON q} (a)', 'DROP INDEX {p_a|q_a}', 'CLUSTER p USING p_pkey', 'ANALYZE {p|q}', 'ALTER TABLE p SET (fillfactor = {50|90})',
	'ALTER TABLE p SET {UNLOGGED|LOGGED}');
# Not in a transaction block.  (REINDEX could be, but fails where a cursor of the
# session has the index open, which ours opens only when it has to read it; and the
# twin's attach() and detach() look at catalogs by the transaction's snapshot.)
my @alone = (
	q{{|BEGIN; }SELECT itemcache.attach('{p|c|q|r}') IS NOT NULL}, q{SELECT itemcache.attach('p', cache_new => {true|false}) IS NOT NULL}, q{{|BEGIN; }SELECT itemcache.detach('{p|c|q|r}')},
	'REINDEX TABLE {p|q|r}', 'REINDEX INDEX p_pkey', 'VACUUM {p|q|r}', 'VACUUM {FULL|FREEZE} {p|q|r}', 'REINDEX INDEX CONCURRENTLY p_pkey', 'REINDEX TABLE CONCURRENTLY {p|r}', 'ALTER TABLE q DETACH PARTITION q{0|1} CONCURRENTLY',
	'ALTER TABLE q DETACH PARTITION q{0|1} FINALIZE', 'CREATE INDEX CONCURRENTLY p_b ON p (b)', 'DROP INDEX CONCURRENTLY p_b');
my @settings = (
	'SET plan_cache_mode = {auto|force_generic_plan|force_custom_plan}', 'SET {|LOCAL }itemcache.{transparent|enabled} = {on|on|off}', 'SET enable_{hashjoin|mergejoin|seqscan|memoize|indexscan} = {on|off}',
	'DISCARD PLANS');

sub one_of { return $_[ int(rand(@_)) ]; }

# Skewed, so that sessions meet.
sub key { return 1 + int(8 * rand()**3) + (rand() < 0.05 ? 4 : 0); }

# A statement of a template.
sub fill_in
{
	my ($text) = @_;

	1 while $text =~ s/\{([^{}]*)\}/one_of(split m{\|}, $1, -1)/e;
	$text =~ s/:ks/join ', ', map { key() } 0 .. int(rand(4))/ge;
	$text =~ s/:k/key()/ge;
	$text =~ s/:n/int(rand(9))/ge;
	return $text;
}

# Begin, end and take apart transactions: what session $i does in that state.
sub transaction_step
{
	my ($i, $state) = @_;

	if ($state eq 'I')
	{
		return one_of('BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
		  if rand() < 0.85;
		return one_of('COMMIT', 'COMMIT', 'ROLLBACK') . " PREPARED 'g" . int(rand($sessions)) . "'";
	}
	return one_of('ROLLBACK', 'ROLLBACK', 'ROLLBACK TO a', 'ROLLBACK TO b', 'COMMIT') if $state eq 'E';
	return one_of(('COMMIT') x 5, ('ROLLBACK') x 2, "PREPARE TRANSACTION 'g$i'", ('SAVEPOINT a', 'SAVEPOINT b') x 2,
		'ROLLBACK TO a', 'ROLLBACK TO b', 'RELEASE a', 'RELEASE b', 'COMMIT AND CHAIN');
}

# The next statement of session $i.  Some are more than one, being of use only
# together.
sub statement
{
	my ($i, $state, $ddl) = @_;
	my $choice = rand();

	return transaction_step($i, $state) if $choice < ($state eq 'E' ? 0.8 : 0.25);
	return one_of('SELECT pg_export_snapshot()', "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{snapshot}'") if $choice < 0.27;
	return fill_in(one_of(@cursors)) if $choice < 0.35 && $state eq 'T';
	return fill_in(one_of(@settings)) if $choice < 0.38;
	return fill_in(one_of(@writes)) if $choice < 0.6;
	return fill_in(one_of($state eq 'I' ? (@ddl, @alone) : @ddl)) if $choice < 0.6 + $ddl;
	return fill_in(one_of(@reads));
}

# At the end of a schedule: how each session ends its transaction, and what is
# left, read in ways that use the cache and ways that do not.
sub closing_steps
{
	my @reading = map { ("SELECT * FROM $_ ORDER BY 1, 2", "SELECT k, x.* FROM generate_series(1, 12) k JOIN $_ x ON x.id = k ORDER BY k, x") } ('p', 'q', 'c', 'r', 'q0', 'q1');

	push @reading, map { "SELECT g.* FROM itemcache.get_many(NULL::$_, ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) g" } ('p', 'q', 'c', 'q0', 'q1');
	return ((map { [ $_, one_of('COMMIT', 'ROLLBACK') ] } 0 .. $sessions - 1),
		(map { [ 0, one_of('COMMIT', 'ROLLBACK') . " PREPARED 'g$_'" ] } 0 .. $sessions - 1),
		map { [ 1, $_ ] } @reading);
}

#
# Playing
#
sub play_step
{
	my ($twins, $step) = @_;
	my ($i, $sql) = @$step;
	my $copy = $sql =~ /^COPY/ ? "$step->[2]\t0\tcopied\n" : '';

	return $twins->step($i, $sql, $copy);
}

# Play a random schedule.  Returns the differences, and the steps up to them.
sub play_random
{
	my ($twins, $number) = @_;
	my (@steps, @differences);
	my $add = sub {
		my ($step) = @_;

		push @steps, $step;
		push @differences, play_step($twins, $step);
		return @differences > 0;
	};

	srand($number);
	my $ddl = one_of(0, 0.05, 0.15, 0.3);
	$twins->begin($sessions, $setup, $begin_session);
	while (@steps < $steps && !@differences)
	{
		my $i = int(rand($sessions));
		my $sql = statement($i, $twins->state_of($i), $ddl);

		$add->([ $i, $sql, key() ]) if $twins->is_free($i);
	}
	push @differences, $twins->cancel if !@differences && $twins->is_waiting;
	foreach my $step (closing_steps())
	{
		last if @differences || $add->($step);
	}
	return (\@steps, \@differences);
}

# Play given steps: the differences they end with.
sub play_again
{
	my ($twins, @steps) = @_;
	my @differences;

	$twins->begin($sessions, $setup, $begin_session);
	foreach my $step (@steps)
	{
		last if @differences;
		push @differences, play_step($twins, $step) if $twins->is_free($step->[0]);
	}
	push @differences, $twins->cancel if !@differences && $twins->is_waiting;
	return @differences;
}

# Leave out, while differences remain, halves, quarters and single steps.
sub reduce
{
	my ($twins, $steps, $until) = @_;
	my @steps = @$steps;
	my $size = int(@steps / 2);

	while ($size >= 1)
	{
		my $smaller = 0;

		for (my $at = 0; $at < @steps && time() < $until;)
		{
			my @fewer = @steps;

			splice @fewer, $at, $size;
			if (play_again($twins, @fewer)) { @steps = @fewer; $smaller = 1; }
			else { $at += $size; }
		}
		$size = $size == 1 && $smaller && time() < $until ? 1 : int($size / 2);
	}
	return @steps;
}

sub report
{
	my ($twins, $number, $steps, $differences) = @_;
	my @fewest = reduce($twins, $steps, time() + 60);
	my @last = play_again($twins, @fewest);

	diag("seed $number: \n", @$differences, "these steps end with\n",
		@last ? @last : '(nothing, this time)', "\n", map { "\t$_->[0]: $_->[1]" . ($_->[1] =~ /^COPY/ ? " -- $_->[2]" : '') . "\n" } @fewest);
	return;
}

my $conf = "deadlock_timeout = 600s\nlog_min_messages = panic\n";
my $cached = new_server('cached', memory => '1200kB', conf => $conf);
$cached->append_conf('postgresql.conf', 'itemcache.transparent = on');
$cached->start;
$cached->safe_psql('postgres', 'CREATE EXTENSION itemcache');
my $plain = new_server('plain', preload => '', conf => $conf);
$plain->start;
$plain->safe_psql('postgres', slurp_file("$FindBin::RealBin/lib/twin.sql"));

my $twins = TwinSchedule->new('postgres', $cached, $plain);
my ($until, $number, $played, $failures) = (time() + ($seconds // 0), $seed, 0, 0);
note "seed $seed";
while ($seconds ? time() < $until : $number < $seed + 30)
{
	my ($steps_done, $differences) = play_random($twins, $number);

	if (@$differences)
	{
		report($twins, $number, $steps_done, $differences);
		last if ++$failures == $most_failures;
	}
	$played += @$steps_done;
	$number++;
}
$twins->end;
is($failures, 0, "no statement ended otherwise than without the cache, from seed $seed on");

# It must not have passed by never using the cache.
my ($hits, $publishes, $removals) = split /\|/, $cached->safe_psql('postgres', 'SELECT hits, publishes, removals FROM itemcache.stats');
diag(sprintf '%d schedules, %d steps, %d hits, %d publishes, %d removals', $number - $seed, $played, $hits, $publishes, $removals);
note 'statements by SQLSTATE: ', join ', ', map { ($_ eq '' ? 'none' : $_) . ' ' . $twins->errors->{$_} } sort keys %{ $twins->errors };
cmp_ok($hits, '>', $played / 10, 'lookups were cache hits') unless $failures;
$cached->stop;
$plain->stop;

done_testing();
