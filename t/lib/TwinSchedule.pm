
# Sessions that take turns on two servers at once, one with the cache and its
# twin without: a step is a statement of one session, and has to end in the
# same way on both.  It ends when the statement is done or waits for a lock; a
# statement that waits is looked at again after each step of the others.
#
# So that nothing depends on time, one statement at most waits: one more is
# cancelled, which is what the deadlock detector would do to some of them.
# Thus at most one session, that waited, is at work while another one is.
#
# In a statement {snapshot} is what the last pg_export_snapshot() gave on that
# server.

package TwinSchedule;

use strict;
use warnings;

use IO::Select;
use Time::HiRes qw(time);
use WireSession;

# How long all of a step may take, in seconds.
my $patience = 120;

sub new
{
	my ($class, $database, @nodes) = @_;
	my @servers = map { {
		node => $_,
		observer => WireSession->new($_, $database),
		sessions => [],
		snapshot => '' } } @nodes;

	return bless { database => $database, servers => \@servers, waiting => {}, errors => {} }, $class;
}

# Begin anew with so many sessions: what is executed first, by nobody, and
# then by each of them.
sub begin
{
	my ($self, $sessions, $setup, $settings) = @_;

	$self->end;
	foreach my $server (@{ $self->{servers} })
	{
		$server->{observer}->query($setup);
		$server->{sessions} =
		  [ map { WireSession->new($server->{node}, $self->{database}) } 1 .. $sessions ];
		$_->query($settings) foreach @{ $server->{sessions} };
	}
	return;
}

# Rid of the sessions and of whatever they have left.
sub end
{
	my ($self) = @_;

	$self->{waiting} = {};
	foreach my $server (@{ $self->{servers} })
	{
		my $observer = $server->{observer};
		my @pids = map { $_->pid } @{ $server->{sessions} };

		$server->{sessions} = [];
		foreach my $pid (@pids)
		{
			$observer->query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $pid");
			1 while $observer->query("SELECT 1 FROM pg_stat_activity WHERE pid = $pid");
		}
		$observer->query("ROLLBACK PREPARED '$_'") foreach $observer->query('SELECT gid FROM pg_prepared_xacts');
	}
	return;
}

# Is the session free to be given a statement?
sub is_free
{
	my ($self, $i) = @_;

	return !$self->{waiting}{$i};
}

sub is_waiting
{
	my ($self) = @_;

	return scalar keys %{ $self->{waiting} };
}

# The state of the session's transaction: I, T or E.
sub state_of
{
	my ($self, $i) = @_;

	return $self->{servers}[0]{sessions}[$i]->result->{state} || 'I';
}

# A statement of one session.  Returns the differences, a text each.
sub step
{
	my ($self, $i, $sql, $copy) = @_;

	foreach my $server (@{ $self->{servers} })
	{
		(my $text = $sql) =~ s/\{snapshot\}/$server->{snapshot}/g;
		$server->{sessions}[$i]->send($text, $copy);
	}
	$self->{waiting}{$i} = $sql;
	$self->settle;
	if (keys %{ $self->{waiting} } > 1 && $self->{waiting}{$i})
	{
		foreach my $server (@{ $self->{servers} })
		{
			my $session = $server->{sessions}[$i];

			# on a busy machine it may go on waiting for some milliseconds
			next if $session->done;
			$server->{observer}->query('SELECT pg_cancel_backend(' . $session->pid . ')');
			$session->receive until $session->done;
		}
		$self->settle;
	}
	return $self->differences;
}

# Cancel what waits, as there is nothing more to wait for.
sub cancel
{
	my ($self) = @_;

	foreach my $server (@{ $self->{servers} })
	{
		foreach my $session (grep { !$_->done } @{ $server->{sessions} })
		{
			$server->{observer}->query('SELECT pg_cancel_backend(' . $session->pid . ')');
			$session->receive until $session->done;
		}
	}
	return $self->differences;
}

# Wait until each statement is done or waits for a lock, on both servers.
sub settle
{
	my ($self) = @_;

	settle_server($_) foreach @{ $self->{servers} };
	return;
}

sub settle_server
{
	my ($server) = @_;
	my $until = time() + $patience;
	my $blocked = 0;

	# what has been found to wait may have been about to go on: ask twice
	while (1)
	{
		my @running = grep { !$_->done } @{ $server->{sessions} };
		my @ready = IO::Select->new(map { $_->socket } @running)->can_read($blocked ? 0.002 : 0.004);

		last unless @running;
		die "a statement does not end\n" if time() > $until;
		if (@ready)
		{
			foreach my $session (@running)
			{
				$session->receive if grep { $_ == $session->socket } @ready;
			}
			$blocked = 0;
			next;
		}
		# for another session or a prepared transaction (0); not for a server
		# process, which will have done in a moment
		my ($waiting) = $server->{observer}->query(sprintf
			'SELECT bool_and(blockers <> $${}$$ AND blockers <@ ARRAY[0, %s]) FROM unnest(ARRAY[%s]) pid, pg_blocking_pids(pid) blockers',
			map { join ',', map { $_->pid } @$_ } ($server->{sessions}, \@running));
		$blocked = $waiting eq 't' ? $blocked + 1 : 0;
		last if $blocked == 2;
	}
	return;
}

# Compare what has ended since the last time.
sub differences
{
	my ($self) = @_;
	my @differences;

	foreach my $i (sort keys %{ $self->{waiting} })
	{
		my ($cached, $plain) = map { $_->{sessions}[$i] } @{ $self->{servers} };
		my $sql = $self->{waiting}{$i};
		my @outcome = map { outcome($_, $sql) } ($cached, $plain);

		push @differences, "session $i: $sql\n  with the cache: $outcome[0] ${\$cached->result->{message}}\n"
		  . "  without:        $outcome[1] ${\$plain->result->{message}}\n"
		  if $outcome[0] ne $outcome[1];
		next unless $cached->done && $plain->done;
		$self->{errors}{ $cached->result->{error} }++;
		if ($sql =~ /pg_export_snapshot/)
		{
			$_->{snapshot} = $_->{sessions}[$i]->result->{rows}[0] // '' foreach @{ $self->{servers} };
		}
		delete $self->{waiting}{$i};
	}
	return @differences;
}

# What is compared.  Rows have an order only where the statement gives one.
sub outcome
{
	my ($session, $sql) = @_;
	my $result = $session->result;
	my @rows = @{ $result->{rows} };

	return 'waits' unless $session->done;
	return "error $result->{error}, transaction $result->{state}" if $result->{error} ne '';
	@rows = ('(a snapshot)') if $sql =~ /pg_export_snapshot/;
	@rows = sort @rows unless $sql =~ /ORDER BY|FETCH|MOVE/;
	return join(', ', @{ $result->{tags} }) . ": [" . join('; ', @rows) . "], transaction $result->{state}";
}

# How many statements ended with which SQLSTATE ('' if with none).
sub errors
{
	my ($self) = @_;

	return $self->{errors};
}

1;
