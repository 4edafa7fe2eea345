
# What the concurrency proofs share: pgbench clients that read and write, and
# the verdict on what they saw.  A reader that sees a difference raises an
# error that begins with "ITEMCACHE DIFFERENCE".

package ConcurrencyProof;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use ItemCacheTest;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  start_proof
  proof_goes_on
  finish_proof
  is_proven
);

# Start clients for so many seconds.  %$scripts has pgbench scripts by name,
# each as [ weight, text ]; those of a name with "reader" are the readers'.
sub start_proof
{
	my ($node, $scripts, %params) = @_;
	my @command = (
		'pgbench', '-n', '-M', 'simple', '-j', '2', '-T', $params{seconds},
		'--max-tries=1000', "--random-seed=$params{seed}");
	my $proof = { node => $node, seed => $params{seed}, out => {}, err => {}, running => {} };
	my %files = (readers => [], writers => []);

	foreach my $name (sort keys %$scripts)
	{
		my ($weight, $text) = @{ $scripts->{$name} };
		my $file = $node->basedir . "/$name.sql";

		# pgbench takes an empty line for an empty query
		$text =~ s/\n+/\n/g;
		append_to_file($file, $text);
		push @{ $files{ $name =~ /reader/ ? 'readers' : 'writers' } }, '-f', "$file\@$weight";
	}
	foreach my $kind ('readers', 'writers')
	{
		$proof->{running}{$kind} = IPC::Run::start(
			[ @command, '-c', $params{$kind}, @{ $files{$kind} }, $node->connstr('postgres') ],
			'>', \$proof->{out}{$kind}, '2>', \$proof->{err}{$kind});
	}
	return $proof;
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
