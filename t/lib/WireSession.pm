
# A session that is asked and then left alone: the frontend's side of the
# protocol, over the server's Unix socket, as much as is needed to have a
# statement under way in many sessions at once.  psql cannot tell what state a
# transaction is in, and libpq is not at hand in Perl.
#
#	my $session = WireSession->new($node, 'postgres');
#	$session->send('SELECT 1');
#	$session->receive until $session->done;
#	$session->result;
#
# A result is a hash: rows (columns joined by "|", NULL as \N), tags, error
# (SQLSTATE, or ''), message, and state (I, T or E, as in ReadyForQuery).

package WireSession;

use strict;
use warnings;

use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

sub new
{
	my ($class, $node, $database) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path)
	  or die "could not connect to $path: $!";
	my $self = bless { socket => $socket, buffer => '', done => 0 }, $class;
	my $user = $ENV{PGUSER} || getpwuid($>);

	$self->{result} = new_result();
	$self->put(pack('N Z* Z* Z* Z* x', 196608, 'user', $user, 'database', $database), '');
	$self->receive until $self->{done};
	die "could not connect: $self->{result}{message}" if $self->{result}{error} ne '';
	return $self;
}

sub new_result
{
	return { rows => [], tags => [], error => '', message => '', state => '' };
}

sub put
{
	my ($self, $body, $type) = @_;
	my $message = $type . pack('N', length($body) + 4) . $body;

	while ($message ne '')
	{
		my $n = syswrite($self->{socket}, $message) // die "could not send: $!";

		substr($message, 0, $n, '');
	}
	return;
}

# Send statements, which the server executes as one simple query.  What COPY
# FROM STDIN asks for is $copy.
sub send
{
	my ($self, $sql, $copy) = @_;

	die 'a statement is under way' unless $self->{done};
	$self->{done} = 0;
	$self->{result} = new_result();
	$self->{copy} = $copy // '';
	$self->put("$sql\0", 'Q');
	return;
}

sub done { my ($self) = @_; return $self->{done}; }
sub result { my ($self) = @_; return $self->{result}; }
sub pid { my ($self) = @_; return $self->{pid}; }
sub socket { my ($self) = @_; return $self->{socket}; }

# Take what the server has sent; waits if that is nothing.
sub receive
{
	my ($self) = @_;
	my $n = sysread($self->{socket}, $self->{buffer}, 65536, length $self->{buffer});

	die "the server closed the connection: $self->{result}{message}\n" unless $n;
	while (length $self->{buffer} >= 5)
	{
		my ($type, $length) = unpack('a N', $self->{buffer});

		last if length $self->{buffer} < $length + 1;
		$self->take($type, substr($self->{buffer}, 5, $length - 4));
		substr($self->{buffer}, 0, $length + 1, '');
	}
	return;
}

sub take
{
	my ($self, $type, $body) = @_;
	my $result = $self->{result};

	if ($type eq 'D') { push @{ $result->{rows} }, row_of($body); }
	elsif ($type eq 'C') { push @{ $result->{tags} }, unpack('Z*', $body); }
	elsif ($type eq 'K') { $self->{pid} = unpack('N', $body); }
	elsif ($type eq 'E')
	{
		my %field = map { substr($_, 0, 1) => substr($_, 1) } grep { $_ ne '' } split /\0/, $body;

		$result->{error} = $field{C};
		$result->{message} = $field{M};
	}
	elsif ($type eq 'G')
	{
		$self->put($self->{copy}, 'd');
		$self->put('', 'c');
	}
	elsif ($type eq 'Z')
	{
		$result->{state} = $body;
		$self->{done} = 1;
	}
	return;
}

sub row_of
{
	my ($body) = @_;
	my $at = 2;
	my @values;

	foreach (1 .. unpack('n', $body))
	{
		my $length = unpack('l>', substr($body, $at, 4));

		push @values, $length < 0 ? '\N' : substr($body, $at + 4, $length);
		$at += 4 + ($length < 0 ? 0 : $length);
	}
	return join '|', @values;
}

# Execute statements and wait for them, which must not fail.
sub query
{
	my ($self, $sql) = @_;

	$self->send($sql);
	$self->receive until $self->{done};
	die "$self->{result}{message}\n$sql" if $self->{result}{error} ne '';
	return @{ $self->{result}{rows} };
}

1;
