# Protects: kill -9 of the server loses no acknowledged put; with itemcache.async_put only the last moments, in order, and never half a transaction.
#
# ITEMCACHE_KILL_ROUNDS (10; 50 for the full proof) times: sessions put
# increasing numbers and note each acknowledgement with its time, all
# processes of the server are killed at a random moment, and what is there
# after recovery is compared.  Rounds alternate between async_put off and on;
# in some the sessions are slow, so that no full page of WAL wakes the WAL
# writer.  fsync is off: the operating system survives.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use IO::Select;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $rounds = $ENV{ITEMCACHE_KILL_ROUNDS} || 10;
my $sessions = 6;
my $statements = 20000;
my $delay = 0.2;    # wal_writer_delay

my $node = new_server('put', conf => <<'CONF');
fsync = off
wal_writer_delay = 200ms
restart_after_crash = off
CONF
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE entries (session int, n int, filler text, PRIMARY KEY (session, n));
	CREATE TABLE latest (id int PRIMARY KEY, n int, filler text);
	CREATE INDEX ON entries (n);
	SELECT itemcache.attach('entries');
	SELECT itemcache.attach('latest');
});

# One transaction each: an entry that is new, and a row that is always the same.
my $script = $node->basedir . '/puts.sql';
append_to_file($script, join '', map {
	my $entry = "ROW(:session, $_, repeat('x', " . $_ % 200 . '))';
	my $put = $_ % 10 == 0 ? "itemcache.put_many(ARRAY[$entry]::entries[])" : "itemcache.put($entry\::entries)";

	"SELECT $_ FROM (SELECT pg_sleep(:pause), $put, itemcache.put(ROW(:session, $_, repeat('y', " . $_ % 50 . "))::latest) OFFSET 0) s;\n"
} 1 .. $statements);

my %lost = (off => 0, on => 0);
my %acknowledged = (off => 0, on => 0);
my $oldest = 0;
my @wrong;

foreach my $round (1 .. $rounds)
{
	my $async = $round % 2 ? 'off' : 'on';
	my $pause = $round % 4 < 2 ? 0.03 : 0;
	my (%session_of, %rest, @pids);
	my @acks = map { [] } 1 .. $sessions;
	my $select = IO::Select->new;

	$node->safe_psql('postgres', 'TRUNCATE entries, latest');
	local $ENV{PGOPTIONS} = "-c itemcache.async_put=$async";
	foreach my $session (0 .. $sessions - 1)
	{
		my $pid = open(my $handle, '-|', 'psql', '-XAtq', '-v', "session=$session",
			'-v', "pause=$pause", '-f', $script, $node->connstr('postgres')) or die "psql: $!";

		push @pids, $pid;
		$session_of{$handle} = $session;
		$rest{$handle} = '';
		$select->add($handle);
	}

	my $read = sub {
		foreach my $handle ($select->can_read(shift))
		{
			my $session = $session_of{$handle};

			if (!sysread($handle, my $chunk, 65536))
			{
				$select->remove($handle);
				next;
			}
			else
			{
				my $now = time;

				$rest{$handle} .= $chunk;
				while ($rest{$handle} =~ s/^(\d*)\n//)
				{
					push @{ $acks[$session] }, [ $1, $now ] if $1 ne '';
				}
			}
		}
	};
	# Not before all have begun.
	my $begun = time;
	$read->(0.05) while (time < $begun + 60 && grep { @$_ < 3 } @acks);
	my $until = time + 0.1 + rand(1.5);
	$read->(0.01) while (time < $until);

	my $killed = kill_server($node);
	$read->(1) while ($select->count && time < $killed + 30);
	waitpid $_, 0 foreach @pids;

	$node->start;
	my %there = map { my ($session, $count, $max, $latest) = split /\|/; ($session => [ $count, $max, $latest ]) }
	  split /\n/, $node->safe_psql('postgres', q{
		SELECT e.session, count(*), max(e.n), (SELECT n FROM latest l WHERE l.id = e.session)
		FROM entries e GROUP BY e.session});
	foreach my $session (0 .. $sessions - 1)
	{
		my ($count, $max, $latest) = @{ $there{$session} // [ 0, 0, 0 ] };
		my $acked = @{ $acks[$session] };
		my @in_order = grep { $acks[$session][ $_ - 1 ][0] == $_ } 1 .. $acked;
		my $what = "round $round, async_put $async, session $session: $acked acknowledged, $count there, last $max";

		push @wrong, "$what: answers out of order" if @in_order != $acked;
		push @wrong, "$what: not a prefix" if $count != $max;
		push @wrong, "$what: half a transaction, latest is " . ($latest // 'not there') if ($latest // 0) != $max;
		push @wrong, "$what: more than was sent" if $max > $acked + 1;
		$acknowledged{$async} += $acked;
		next if $max >= $acked;

		my $age = $killed - $acks[$session][$max][1];
		$lost{$async} += $acked - $max;
		$oldest = $age if $age > $oldest;
		push @wrong, "$what: lost an acknowledged put" if $async eq 'off';
		push @wrong, sprintf '%s: lost a put that was %.3f s old', $what, $age if $age > 3 * $delay;
	}
	push @wrong, "round $round: lookups differ" if $node->safe_psql('postgres', q{
		SELECT count(*) FROM generate_series(1, 2) pass, generate_series(0, 6) k
		WHERE itemcache.get(NULL::latest, k) IS DISTINCT FROM (SELECT l FROM latest l WHERE l.id = k)}) ne '0';
}

is(join("\n", @wrong), '', "$rounds times kill -9");
cmp_ok($acknowledged{off}, '>', $rounds * 10, 'puts were acknowledged: synchronous');
cmp_ok($acknowledged{on}, '>', $rounds * 10, 'puts were acknowledged: asynchronous') if $rounds > 1;
is($lost{off}, 0, 'none was lost: synchronous');
diag(sprintf '%d rounds: synchronous %d acknowledged, %d lost; asynchronous %d acknowledged, %d lost, the oldest %.3f s old',
	$rounds, $acknowledged{off}, $lost{off}, $acknowledged{on}, $lost{on}, $oldest);
$node->stop;
unlike(log_from($node), qr/PANIC|TRAP/, 'no crash but ours');

done_testing();

# SIGKILL for the postmaster and all its children at once; returns the time.
sub kill_server
{
	my ($node) = @_;
	my $postmaster = $node->{_pid};
	my %parent_of = running();
	my @children = grep { $parent_of{$_} == $postmaster } keys %parent_of;
	my $tries = 0;
	my $now = time;

	kill 'KILL', $postmaster, @children;
	do
	{
		usleep(20_000);
		%parent_of = running();
	} while ($tries++ < 500 && grep { exists $parent_of{$_} } @children);
	$node->kill9;

	# the next must not think this one alive, as it does of a process that is
	# dead and that nobody waits for
	unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	return $now;
}

# The parents of all processes, by pid, but for those that are dead and have
# not been waited for: in a container there may be no init that does.  Nor
# need there be ps.
sub running
{
	my %parent_of;

	foreach my $file (glob '/proc/[0-9]*/stat')
	{
		open(my $handle, '<', $file) or next;
		my $line = <$handle> // '';

		$parent_of{$1} = $3 if $line =~ /^(\d+) \(.*\) (\S) (\d+)/ && $2 ne 'Z';
	}
	return %parent_of;
}
