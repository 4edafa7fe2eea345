# Protects: rule 3, by random writes of all kinds, whose triggers write again, fail or change the row, in transactions that are rolled back in part, prepared, or overflow.
#
# Three sessions write, statement by statement; two read, one of them under old
# snapshots now and then, and compare get() of every key with the row that the
# same statement reads from the table.  A writer that has to wait for a lock gives
# up soon: what is compared does not depend on who did.
#
# ITEMCACHE_WRITES_STEPS (3000) from ITEMCACHE_PROOF_SEED (1).  To have a few rows
# be many: COPT=-DITEMCACHE_SMALL_BOUNDS.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireSession;

my $steps = $ENV{ITEMCACHE_WRITES_STEPS} || 3000;
my $seed = $ENV{ITEMCACHE_PROOF_SEED} || 1;
my @tables = ('items', 'child', 'parts');
my @log;

srand($seed);
note "seed $seed";

my $node = new_server('writes', conf => "fsync = off\nmax_prepared_transactions = 100\n");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, u int UNIQUE, t text);
	CREATE TABLE child (id int PRIMARY KEY, item int REFERENCES items ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE, n int);
	CREATE TABLE parts (id int PRIMARY KEY, n int, t text) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (20);
	CREATE TABLE parts_2 (t text, junk int, n int, id int NOT NULL);
	ALTER TABLE parts_2 DROP junk;
	ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (20) TO (60);

	-- writes again at the end of the transaction
	CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.n % 7 = 3 THEN
			UPDATE items SET n = n + 2 WHERE id = NEW.id;
			UPDATE items SET n = n + 7 WHERE id = (NEW.id + 5) % 40 AND n % 7 <> 3;
			INSERT INTO child VALUES (NEW.id % 30, NEW.id, 1) ON CONFLICT (id) DO UPDATE SET n = child.n + 1;
		END IF;
		RETURN NULL;
	END $$;
	CREATE CONSTRAINT TRIGGER again AFTER INSERT OR UPDATE ON items DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION again();

	-- fails; or writes in a subtransaction that may be rolled back (not where the
	-- transaction ends: an assertion of the server does not expect that)
	CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.n = 13 THEN
			RAISE EXCEPTION 'thirteen';
		ELSIF NEW.n = 19 AND pg_trigger_depth() = 1 THEN
			BEGIN
				UPDATE items SET n = n + 1 WHERE id = (NEW.id + 1) % 40;
				IF NEW.id % 2 = 0 THEN
					RAISE EXCEPTION 'nineteen';
				END IF;
			EXCEPTION WHEN OTHERS THEN
				NULL;
			END;
		END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER a_fails AFTER INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION fails();
	CREATE TRIGGER z_fails AFTER UPDATE ON items FOR EACH ROW WHEN (NEW.n IN (13, 23)) EXECUTE FUNCTION fails();

	-- changes the row, or does not want it
	CREATE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.n = 17 THEN
			NEW.n := 18;
			NEW.t := 'before';
		END IF;
		RETURN CASE WHEN NEW.n = 27 THEN NULL ELSE NEW END;
	END $$;
	CREATE TRIGGER before BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION before();

	-- writes when a statement is over
	CREATE FUNCTION afterwards() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF (SELECT sum(n) % 5 = 0 FROM child) THEN
			UPDATE child SET n = n + 1 WHERE id % 10 = 3;
			UPDATE parts SET n = n + 1 WHERE id % 10 = 3;
		END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER afterwards AFTER INSERT OR UPDATE ON parts FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION afterwards();
	CREATE TRIGGER afterwards AFTER INSERT OR UPDATE ON child FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
	EXECUTE FUNCTION afterwards();
	SELECT itemcache.attach('items'), itemcache.attach('child'), itemcache.attach('parts');
});

# Statements of one transaction or part of one; what COPY reads comes after them.
sub random_statement
{
	my ($k, $k2, $n) = map { int rand $_ } 44, 44, 30;
	my $t = ('items', 'parts')[ rand 2 ];
	my $text = 'repeat(\'x\', ' . (rand() < 0.2 ? 5000 : int rand 40) . ')';
	my @statements = (
		"INSERT INTO $t (id, n) VALUES ($k, $n)",
		"INSERT INTO $t (id, n, t) VALUES ($k, $n, $text) ON CONFLICT (id) DO UPDATE SET n = excluded.n",
		"INSERT INTO $t (id, n) SELECT g, g FROM generate_series($k, $k + 9) g ON CONFLICT DO NOTHING",
		"INSERT INTO $t (id, n) SELECT g, 1 FROM generate_series($k, 43) g ON CONFLICT (id) DO UPDATE SET n = $t.n + 1",
		"UPDATE $t SET n = n + 1 WHERE id = $k",
		"UPDATE $t SET n = $n, t = $text WHERE id = $k",
		"UPDATE $t SET id = $k2 WHERE id = $k",
		"UPDATE $t SET n = n + 1 WHERE id % 5 = $k % 5",
		"UPDATE $t SET n = n + 1",
		"DELETE FROM $t WHERE id = $k",
		"DELETE FROM $t WHERE id % 4 = $k % 4",
		"COPY $t (id, n) FROM STDIN",
		"DELETE FROM $t WHERE id BETWEEN $k AND $k + 8; COPY $t (id, n) FROM STDIN",
		"WITH d AS (DELETE FROM $t WHERE id % 6 = $k % 6 RETURNING id),
			u AS (UPDATE child SET n = n + 1 WHERE id < 4 RETURNING id) SELECT count(*) FROM d, u",
		"WITH u AS (UPDATE $t SET n = n + 1 WHERE id = $k RETURNING id)
			INSERT INTO child SELECT id % 30, NULL, 1 FROM u ON CONFLICT (id) DO UPDATE SET n = child.n + 1",
		"MERGE INTO $t USING (SELECT g FROM generate_series($k, $k + 5) g) s ON $t.id = s.g
			WHEN MATCHED AND $t.n % 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET n = $t.n + 1
			WHEN NOT MATCHED THEN INSERT (id, n) VALUES (g, $n)",
		"INSERT INTO child SELECT $k % 30, id, $n FROM items WHERE id = $k2 ON CONFLICT (id) DO UPDATE SET item = excluded.item",
		"UPDATE items SET u = $n WHERE id = $k",
		"UPDATE items SET id = id + 100 WHERE id = $k",
		"UPDATE items SET id = id - 100 WHERE id >= 100",
		"SELECT itemcache.put(ROW($k, $n, NULL, 'p')::items)",
		"SELECT itemcache.put(ROW($k, $n, 'p')::parts)",
		"SELECT itemcache.put_many(ARRAY(SELECT ROW(g, $n, NULL, 'm')::items FROM generate_series($k, $k + 4) g))",
		"SELECT itemcache.delete(NULL::items, $k)",
		"SET CONSTRAINTS ALL IMMEDIATE",
		"DO \$\$ BEGIN UPDATE items SET n = n + 1 WHERE id = $k;
			BEGIN UPDATE items SET n = n + 1 WHERE id IN ($k, $k2); DELETE FROM items WHERE id = $k2; RAISE 'no';
			EXCEPTION WHEN OTHERS THEN UPDATE items SET n = n + 1 WHERE id = $k2; END; END \$\$");
	my @seldom = (
		"TRUNCATE $t CASCADE",
		"BEGIN; TRUNCATE parts_1; COPY parts_1 (id, n) FROM STDIN WITH (FREEZE); COMMIT",
		"ALTER TABLE parts DISABLE TRIGGER itemcache_partitioned; UPDATE parts SET n = n + 1; ALTER TABLE parts ENABLE ALWAYS TRIGGER itemcache_partitioned");
	my $statement = rand() < 0.01 ? $seldom[ rand @seldom ] : $statements[ rand @statements ];
	my ($first, $last) = $statement =~ /FREEZE/ ? (3, 9) : ($k, $k + 8);

	return ($statement, join '', map { "$_\t$n\n" } $first .. $last);
}

# In a transaction, also what begins and ends parts of it, and it.
sub random_step
{
	my ($open, $prepared) = @_;
	my $x = rand();

	return rand() < 0.15 ? 'BEGIN ISOLATION LEVEL REPEATABLE READ' : 'BEGIN' if !$open && $x > 0.35;
	return random_statement() if !$open || $x < 0.6;
	return 'SAVEPOINT s' . int rand 3 if $x < 0.68;
	return 'ROLLBACK TO s' . int rand 3 if $x < 0.75;
	return 'RELEASE s' . int rand 3 if $x < 0.78;
	return "PREPARE TRANSACTION '$prepared'" if $x < 0.85;
	return $x < 0.95 ? 'COMMIT' : 'ROLLBACK';
}

sub run
{
	my ($name, $session, @statement) = @_;

	$session->send(@statement);
	$session->receive until $session->done;
	my $result = $session->result;
	push @log, "$name: $statement[0]" . ($result->{error} ne '' ? " -- $result->{error} $result->{message}" : '');
	return $result;
}

# The rows of a table that get() and the table disagree about.
sub differences
{
	my ($name, $session, $table) = @_;

	return run($name, $session, "SELECT g, itemcache.get(NULL::$table, g), $table
		FROM generate_series(-1, 145) g LEFT JOIN $table ON $table.id = g
		WHERE itemcache.get(NULL::$table, g) IS DISTINCT FROM $table");
}

my @writers = map { WireSession->new($node, 'postgres') } 1 .. 3;
my @readers = map { WireSession->new($node, 'postgres') } 1 .. 2;
my $ender = WireSession->new($node, 'postgres');
my @open = (0) x @writers;
my $old = 0;
my @prepared;
my @found;
my $checks = 0;

run('setup', $_, "SET lock_timeout = '20ms'; SET itemcache.transparent = off") foreach @writers, @readers, $ender;
foreach my $step (1 .. $steps)
{
	my $x = rand();

	if ($x < 0.72)
	{
		my $w = int rand @writers;
		my @statement = random_step($open[$w], "g$step");
		my $result = run("writer $w", $writers[$w], @statement);

		push @prepared, "g$step" if $statement[0] =~ /^PREPARE/ && $result->{error} eq '';
		$open[$w] = $result->{state} ne 'I';
	}
	elsif ($x < 0.77 && @prepared > 0)
	{
		run('ender', $ender, (rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '" . shift(@prepared) . "'");
	}
	elsif ($x < 0.79)
	{
		run('reader 1', $readers[1], $old ? 'COMMIT' : 'BEGIN ISOLATION LEVEL REPEATABLE READ');
		$old = !$old;
	}
	else
	{
		my $r = int rand @readers;

		# what the first comparison has cached is compared by the second
		foreach my $table (rand() < 0.3 ? (@tables, @tables) : @tables)
		{
			my $result = differences("reader $r", $readers[$r], $table);

			push @found, "step $step, $table: " . join(' ', @{ $result->{rows} }) if @{ $result->{rows} } > 0;
			$checks++ if $result->{error} eq '';
			$old = $result->{state} ne 'I' if $r == 1;
			run('reader 1', $readers[1], 'ROLLBACK') if $result->{state} eq 'E';
			$old = 0 if $result->{state} eq 'E';
		}
	}
	last if @found > 0;
}

is(join("\n", @found), '', "no difference in $checks comparisons") or diag(join "\n", splice @log, -40);
cmp_ok($checks, '>', $steps / 4, 'of all tables');
is($node->safe_psql('postgres', 'SELECT publishes > 0 AND removals > 0 AND hits > 0 FROM itemcache.stats'), 't', 'by a cache that was used');
is(scalar(grep { / -- XX/ } @log), 0, 'no internal errors') or diag(join "\n", grep { / -- XX/ } @log);
run('end', $ender, "ROLLBACK PREPARED '$_'") foreach @prepared;
done_testing();
