
# What the concurrency proofs share: pgbench clients that read and write, a
# session beside them that does DDL, and the verdict on what they saw.  A reader
# that sees a difference calls differs(), which raises an error that begins with
# "ITEMCACHE DIFFERENCE".
#
# ITEMCACHE_PROOF_SECONDS is how long a proof takes, ITEMCACHE_PROOF_SEED what
# its random choices begin with.

package ConcurrencyProof;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use ItemCacheTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  proof_parameters
  proof_functions
  twice_function
  partitioned_table
  attach_partition
  compare_get
  compare_get_many
  two_phase_writer
  start_proof
  run_beside
  proof_goes_on
  finish_proof
  is_proven
);

# Seconds, if nobody says otherwise these, and the seed.
sub proof_parameters
{
	my ($default) = @_;
	my $seconds = $ENV{ITEMCACHE_PROOF_SECONDS} || $default;
	my $seed = $ENV{ITEMCACHE_PROOF_SEED} || int(rand(1 << 31));

	srand($seed);
	note "seed $seed, $seconds seconds";
	return ($seconds, $seed);
}

# SQL functions: keys that are skewed, the more the higher the power; where a
# reader goes when it has seen a difference; writes that may lose a race to
# another session.  (One of ON CONFLICT (id) is that where the primary key,
# rebuilt concurrently, comes after another unique index.)
sub proof_functions
{
	my ($power) = @_;

	return qq{
	CREATE FUNCTION skewed(n int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1 + floor(n * power(random(), $power))::int';
	CREATE FUNCTION differs(what text, k text, cached text, stored text) RETURNS int LANGUAGE plpgsql AS \$\$
	BEGIN
		RAISE EXCEPTION 'ITEMCACHE DIFFERENCE in %, key %, snapshot %, %: cached %, stored %', what, k,
			pg_current_snapshot(), current_setting('transaction_isolation'), left(cached, 1000), left(stored, 1000);
	END \$\$;
	CREATE FUNCTION try(statement text) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN unique_violation OR check_violation OR foreign_key_violation THEN
		NULL;
	END \$\$;
};
}

# twice(query, ids): a query with $1 is executed with the cache and once more
# without, in the same snapshot: the statement's, as a function that is not
# volatile takes none of its own.
sub twice_function
{
	return q{
	CREATE FUNCTION twice(query text, ids bigint[]) RETURNS void LANGUAGE plpgsql STABLE AS $$
	DECLARE
		cached text;
		stored text;
		collect text := 'SELECT string_agg(x::text, '';'' ORDER BY x::text) FROM (' || query || ') x';
	BEGIN
		PERFORM set_config('itemcache.transparent', 'on', true);
		EXECUTE collect INTO cached USING ids;
		PERFORM set_config('itemcache.transparent', 'off', true);
		EXECUTE collect INTO stored USING ids;
		PERFORM set_config('itemcache.transparent', 'on', true);
		IF cached IS DISTINCT FROM stored THEN
			PERFORM differs(query, ids::text, cached, stored);
		END IF;
	END $$;
};
}

# A table q whose leaf q_0 has its columns in another order, and whose other one
# is partitioned again.
sub partitioned_table
{
	my ($keys) = @_;

	return qq{
	CREATE TABLE q (id bigint PRIMARY KEY, a int, b text) PARTITION BY RANGE (id);
	CREATE TABLE q_0 (b text, junk int, a int, id bigint NOT NULL);
	ALTER TABLE q_0 DROP COLUMN junk;
	ALTER TABLE q ATTACH PARTITION q_0 FOR VALUES FROM (MINVALUE) TO (1000);
	CREATE TABLE q_1 PARTITION OF q FOR VALUES FROM (1000) TO (MAXVALUE) PARTITION BY HASH (id);
	CREATE TABLE q_1_0 PARTITION OF q_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE q_1_1 PARTITION OF q_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO q SELECT i, i, repeat('q', 50 + i % 100) FROM generate_series(1, $keys) i;
};
}

# Statements that bring back q_0.  ATTACH PARTITION by itself (and DETACH
# CONCURRENTLY, which specs/ has) lets readers go on.  A statement that was
# planned before it does not see the partition, while a query that a function
# runs within that statement does, and so does get().  That is not what we are
# after: have readers wait.
sub attach_partition
{
	return 'BEGIN; LOCK TABLE q; ALTER TABLE q ATTACH PARTITION q_0 FOR VALUES FROM (MINVALUE) TO (1000); COMMIT';
}

# Statements of a reader that compare what a lookup gives of a table, by its
# primary key of one bigint, with what the table gives: get() and get_many() of so
# many keys, each of the first $max.
sub compare_get
{
	my ($table, $max, $nkeys) = @_;

	return qq{
SELECT differs('get $table', k::text, cached, stored) FROM (
	SELECT k, itemcache.get(NULL::$table, k)::text AS cached, (SELECT x FROM $table x WHERE x.id = k)::text AS stored
	FROM (SELECT skewed($max)::bigint AS k FROM generate_series(1, $nkeys) OFFSET 0) k OFFSET 0) s
WHERE cached IS DISTINCT FROM stored;
};
}

sub compare_get_many
{
	my ($table, $max, $nkeys) = @_;

	return qq{
WITH a AS MATERIALIZED (SELECT array_agg(skewed($max)::bigint) AS keys FROM generate_series(1, $nkeys)),
	g AS MATERIALIZED (SELECT unnest(keys) AS k, itemcache.get_many(NULL::$table, keys) AS item FROM a)
SELECT differs('get_many $table', k::text, item::text, stored::text)
FROM g LEFT JOIN $table stored ON stored.id = k
WHERE CASE WHEN NOT (item IS NULL) THEN item::text END IS DISTINCT FROM stored::text;
};
}

# A writer that prepares what it writes to p and q, and then ends it either way.
sub two_phase_writer
{
	return q{
\set k random_zipfian(1, 3000, 1.2)
\set choice random(1, 2)
BEGIN;
UPDATE p SET a = a + 1, b = 'prepared' WHERE id BETWEEN :k AND :k + 3;
UPDATE q SET a = a + 1, b = 'prepared' WHERE id BETWEEN :k AND :k + 3;
PREPARE TRANSACTION 'proof_:client_id';
\sleep 3 ms
\if :choice = 1
COMMIT PREPARED 'proof_:client_id';
\else
ROLLBACK PREPARED 'proof_:client_id';
\endif
};
}

# Start clients for so many seconds.  %$scripts has pgbench scripts by name,
# each as [ weight, text ]; those of a name with "reader" are the readers'.  There
# may be only the ones or the others.
sub start_proof
{
	my ($node, $scripts, %params) = @_;
	my @command = (
		'pgbench', '-n', '-M', 'simple', '-j', '2', '-T', $params{seconds},
		'--max-tries=1000', "--random-seed=$params{seed}");
	my $proof = { node => $node, seconds => $params{seconds}, seed => $params{seed}, out => {}, err => {}, running => {} };
	my %files = (readers => [], writers => []);

	foreach my $name (sort keys %$scripts)
	{
		my ($weight, $text) = @{ $scripts->{$name} };
		my $file = $node->basedir . "/$name.sql";

		# pgbench takes an empty line for an empty query
		$text =~ s/\n+/\n/g;
		unlink $file;
		append_to_file($file, $text);
		push @{ $files{ $name =~ /reader/ ? 'readers' : 'writers' } }, '-f', "$file\@$weight";
	}
	foreach my $kind (grep { @{ $files{$_} } } 'readers', 'writers')
	{
		$proof->{running}{$kind} = IPC::Run::start(
			[ @command, '-c', $params{$kind}, @{ $files{$kind} }, $node->connstr('postgres') ],
			'>', \$proof->{out}{$kind}, '2>', \$proof->{err}{$kind});
	}
	return $proof;
}

# Beside the clients, until they end, execute what $params{next} gives, one
# statement after the other, with a pause (in seconds) after each.  Those that
# lose a race may fail, by an error that $params{tolerated} matches; then, and
# otherwise too, $params{after} is called with a function that executes a
# statement, the statement and its error ('' if none).  Returns how many
# statements ran and failed, and the errors that should not have been.
sub run_beside
{
	my ($proof, %params) = @_;
	my $tolerated = join '|', 'deadlock detected', 'lock timeout', 'could not serialize', @{ $params{tolerated} // [] };
	my $session = $proof->{node}->background_psql('postgres', on_error_stop => 0);
	my ($end, $ran, $failed, $strange) = (time() + $proof->{seconds} - 1, 0, 0, '');

	$session->query_safe(q{SET lock_timeout = '2s'; SET client_min_messages = error});
	while (time() < $end && proof_goes_on($proof))
	{
		my $sql = $params{next}->(++$ran);
		my $error;

		next unless defined $sql;
		# one by one: the message of each, and no implicit transaction
		(undef, $error) = try_query($session, $sql);
		if ($error ne '')
		{
			$failed++;
			$strange .= "$sql: $error\n" if grep { !/$tolerated/ } ($error =~ /ERROR:\s+(.*)/g);
			try_query($session, 'ROLLBACK');
		}
		$params{after}->(sub { return try_query($session, $_[0]) }, $sql, $error) if $params{after};
		usleep($params{pause} * 1_000_000);
	}
	$session->quit;
	return ($ran, $failed, $strange);
}

sub found_difference
{
	my ($proof) = @_;

	return log_from($proof->{node}) =~ /ITEMCACHE DIFFERENCE/;
}

# Is there a client left, and nothing found yet?
sub proof_goes_on
{
	my ($proof) = @_;

	return (grep { $_->pumpable } values %{ $proof->{running} }) && !found_difference($proof);
}

# Wait for the clients to end; or end them, if a difference has been found.
sub finish_proof
{
	my ($proof) = @_;
	my $found = found_difference($proof);

	foreach my $client (values %{ $proof->{running} })
	{
		$found ? $client->kill_kill : $client->finish;
	}
	note "$_: $proof->{out}{$_}$proof->{err}{$_}" foreach sort keys %{ $proof->{running} };
	return;
}

# No difference, no error but those of concurrency, no crash; and work was done.
sub is_proven
{
	my ($proof, $what) = @_;
	my $log = log_from($proof->{node});
	my @differences = grep { /ITEMCACHE DIFFERENCE/ && /ERROR/ } split /\n/, $log;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar(@differences), 0, $what)
	  or diag("seed $proof->{seed}\n",
		join("\n", map { substr($_, 0, 2000) } @differences[ 0 .. ($#differences > 4 ? 4 : $#differences) ]));
	foreach my $kind (sort keys %{ $proof->{running} })
	{
		my @errors = grep { /error|aborted/i && !/deadlock|serialize/i } split /\n/, $proof->{err}{$kind};

		is(join("\n", @errors), '', "$kind: no error but those of concurrency");
		like($proof->{out}{$kind}, qr/number of transactions actually processed: [1-9]\d\d/, "$kind: they did work");
	}
	unlike($log, qr/PANIC|TRAP|terminated by signal|stuck spinlock/, 'no crash');
	return;
}

1;
