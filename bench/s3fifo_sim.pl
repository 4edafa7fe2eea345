#!/usr/bin/perl
#
# s3fifo_sim.pl - the miss ratio of a textbook S3-FIFO cache
#
# What itemcache's own eviction is measured against: S3-FIFO as in
# "FIFO queues are all you need for cache eviction" (Yang et al., SOSP 2023),
# algorithm 1, for objects of one size.
#
#	S	small queue, a tenth of the capacity: newcomers
#	M	main queue, the rest: what was used more than once in S, and what
#		comes back while G remembers it
#	G	ghost queue, keys only, as many as M has room for
#
# An object counts its uses since it entered its queue, up to three.  Until
# something has been evicted for the first time, newcomers go to M once S has
# its size, as in the authors' own implementation (in libCacheSim): a cache
# that is not full yet is not full of S.
#
# usage: s3fifo_sim.pl CAPACITY [TRACE]
#
#	CAPACITY	objects in S and M together
#	TRACE		file of keys, one per line, in the order of the requests
#				(standard input if there is none); each miss is followed by an
#				insert
#
# Prints one line: requests, misses, and the miss ratio.

use strict;
use warnings;

die "usage: $0 CAPACITY [TRACE]\n"
  unless @ARGV >= 1 && @ARGV <= 2 && $ARGV[0] =~ /^[0-9]+$/ && $ARGV[0] >= 2;

my $capacity = shift;
my $small_size = int($capacity / 10) || 1;
my $main_size = $capacity - $small_size;

my (@small, @main, @ghost);    # queues of keys; the tail is element 0
my %freq;                      # of every cached key
my %ghost;                     # key => its number in the ghost queue
my $ghost_number = 0;          # of the newest
my ($requests, $misses, $evictions) = (0, 0, 0);

while (my $key = <>)
{
	chomp $key;
	$requests++;

	if (exists $freq{$key})
	{
		$freq{$key}++ if $freq{$key} < 3;
		next;
	}

	$misses++;
	evict() while @small + @main >= $capacity;
	if (defined delete $ghost{$key}
		|| (!$evictions && @small >= $small_size))
	{
		push @main, $key;
	}
	else
	{
		push @small, $key;
	}
	$freq{$key} = 0;
}

printf "requests %d misses %d miss ratio %.5f\n",
  $requests, $misses, $requests ? $misses / $requests : 0;

sub evict
{
	$evictions++;
	if (@small >= $small_size)
	{
		evict_small();
	}
	else
	{
		evict_main();
	}
	return;
}

# Evict one object of S; those used more than once move to M before it.
sub evict_small
{
	while (@small)
	{
		my $key = shift @small;

		if ($freq{$key} > 1)
		{
			evict_main() if @main >= $main_size;
			push @main, $key;
			$freq{$key} = 0;
		}
		else
		{
			delete $freq{$key};
			remember($key);
			last;
		}
	}
	return;
}

# Evict one object of M; those used go around again before it.
sub evict_main
{
	while (@main)
	{
		my $key = shift @main;

		if ($freq{$key} > 0)
		{
			$freq{$key}--;
			push @main, $key;
		}
		else
		{
			delete $freq{$key};
			last;
		}
	}
	return;
}

# Put a key into G.  A key that has left G by a hit is still in the queue, under
# a number that is no longer its own.
sub remember
{
	my ($key) = @_;

	$ghost{$key} = ++$ghost_number;
	push @ghost, [ $key, $ghost_number ];
	while (keys %ghost > $main_size)
	{
		my ($old, $number) = @{ shift @ghost };

		delete $ghost{$old}
		  if defined $ghost{$old} && $ghost{$old} == $number;
	}
	return;
}
