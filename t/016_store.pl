# Protects: the store by itself (t/store): that it holds what memory allows, whatever the size of rows; that nothing is found but what was put in last, while the index grows, in one process and under writers and readers at once; that it misses no more than S3-FIFO.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

# ITEMCACHE_PROOF_SEED=n replays a run.
my $seed = $ENV{ITEMCACHE_PROOF_SEED} || 1 + int(rand(1_000_000));

sub pg_config
{
	my ($what) = @_;
	my ($out) = run_command([ 'pg_config', "--$what" ]);

	return $out;
}

my ($port) = grep { -e $_ } map { pg_config($_) . '/libpgport.a' } ('libdir', 'pkglibdir');
my @cc = split ' ', pg_config('cc');
plan skip_all => 'there is no libpgport.a' unless $port;
plan skip_all => "there is no $cc[0]" unless grep { -x "$_/$cc[0]" } '', split /:/, $ENV{PATH};

my $program = PostgreSQL::Test::Utils::tempdir . '/store_test';
my $source = "$FindBin::RealBin/../src";
my ($out, $err) = run_command(
	[
		@cc, '-O1', '-g', '-fno-strict-aliasing', '-fwrapv', '-D_GNU_SOURCE', '-DUSE_ASSERT_CHECKING=1',
		"-I$source", '-I' . pg_config('includedir-server'), '-o', $program, glob("$FindBin::RealBin/store/*.c"),
		glob("$source/store/store*.c"), map({ "$source/store/$_.c" } ('admission', 'owner', 'trylock')), $port, '-lm' ]);
-x $program or die "cannot build the test program: $err";

# What it says, we say.
($out, $err) = run_command([ $program, $seed ]);
foreach my $line (split /\n/, $out)
{
	ok($1 eq 'ok', $2) if $line =~ /^((?:not )?ok) \d+ - (.*)/;
}
like($out, qr/^1\.\.\d+$/m, "it came to its end (seed $seed)") or diag("$out\n$err");
done_testing();
