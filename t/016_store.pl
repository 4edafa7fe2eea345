# Protects: the store by itself (t/store): that it holds what memory allows, whatever the size of rows; that nothing is found but what was put in last, while the index grows, in one process and under writers and readers at once; that it misses no more than S3-FIFO.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

# ITEMCACHE_PROOF_SEED=n replays a run.
my $seed = $ENV{ITEMCACHE_PROOF_SEED} || 1 + int(rand(1_000_000));

my @make = ('make', '-s', '-C', "$FindBin::RealBin/store");
my ($port) = run_command([ @make, 'libpgport' ]);
my ($cc) = split ' ', (run_command([ 'pg_config', '--cc' ]))[0];
plan skip_all => 'there is no libpgport.a' unless $port;
plan skip_all => "there is no $cc" unless grep { -x "$_/$cc" } '', split /:/, $ENV{PATH};

my $program = PostgreSQL::Test::Utils::tempdir . '/store_test';
my ($out, $err) = run_command([ @make, "PROGRAM=$program", 'CFLAGS=-O1 -g -DUSE_ASSERT_CHECKING=1' ]);
-x $program or die "cannot build the test program: $err";

# What it says, we say.
($out, $err) = run_command([ $program, $seed ]);
foreach my $line (split /\n/, $out)
{
	ok($1 eq 'ok', $2) if $line =~ /^((?:not )?ok) \d+ - (.*)/;
}
like($out, qr/^1\.\.\d+$/m, "it came to its end (seed $seed)") or diag("$out\n$err");
done_testing();
