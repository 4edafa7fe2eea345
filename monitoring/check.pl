#!/usr/bin/perl
#
# check.pl URL panels DASHBOARD
#	Every query of the dashboard's panels, variables and annotations gives
#	data of the shape the panel wants: numbers, with the labels that its legend
#	names, from each of the jobs.
# check.pl URL rules
#	Every rule is evaluated without an error, and all metrics that it names
#	are there.
# check.pl URL jobs JOB...
#	These jobs are scraped, and have the same metrics with the same labels.
# check.pl URL firing ALERT SUMMARY SECONDS JOB...
#	The alert fires for all these jobs, with a summary that matches the pattern,
#	in that time.
# check.pl URL quiet SECONDS [ALERT]
#	No alert fires, or not this one; now, or at some moment in that time.
#
# URL is that of a Prometheus.  Prints what it did; exit status 0 if all is well.
# For dev/monitoring.

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;
use Time::HiRes qw(sleep time);

die "usage: see $0\n" if @ARGV < 2;

my ($url, $command, @arguments) = @ARGV;
my $http = HTTP::Tiny->new(timeout => 10);
my $bad = 0;

sub bad
{
	my ($message) = @_;

	print "    BAD: $message\n";
	$bad++;
}

# The data of an API call; undef, and why not.
sub api
{
	my ($path, %parameters) = @_;
	my $query = $http->www_form_urlencode(\%parameters);
	my $response = $http->get("$url/api/v1/$path" . ($query eq '' ? '' : "?$query"));
	my $answer = eval { decode_json($response->{content}) };

	return (undef, "$response->{status} $response->{content}")
	  if !defined($answer) || $answer->{status} ne 'success';
	return $answer->{data};
}

# The samples of an instant query, [{metric => {}, value => [time, text]}, ...].
sub samples
{
	my ($expr) = @_;
	my ($data, $why) = api('query', query => $expr);

	if (!defined($data))
	{
		bad("$expr: $why");
		return;
	}
	return @{ $data->{result} };
}

sub is_number
{
	return $_[0] =~ /^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$/i;
}

# What Grafana puts in place of its variables.
sub without_variables
{
	my ($expr) = @_;

	$expr =~ s/\$__rate_interval/15s/g;
	$expr =~ s/\$(job|instance|datname)\b/.*/g;
	return $expr;
}

# One query of a panel.
sub check_target
{
	my ($panel, $target) = @_;
	my $name = "$panel->{title} ($target->{refId})";
	my $expr = without_variables($target->{expr});
	my @wanted = grep { $_ ne 'instance' && $_ ne 'server' } $target->{legendFormat} =~ /\{\{\s*(\w+)\s*\}\}/g;
	my @samples = samples($expr);
	my $numbers = 0;

	bad("$name: a variable is left in $expr") if $expr =~ /\$/;
	bad("$name: no data") if !@samples;
	foreach my $sample (@samples)
	{
		$numbers++ if is_number($sample->{value}[1]);
		foreach my $label (@wanted)
		{
			bad("$name: no label $label") if !defined($sample->{metric}{$label});
		}
		# two lines with one legend cannot be told apart
		bad("$name: which instance?")
		  if $target->{legendFormat} =~ /instance/ && !defined($sample->{metric}{instance});
	}
	# an idle standby's ratio is 0 / 0
	bad("$name: no number") if @samples && $numbers == 0;
	if ($panel->{type} eq 'timeseries')
	{
		my $now = time();
		my ($data, $why) = api('query_range', query => $expr, start => $now - 10, end => $now, step => 2);

		bad("$name: as a range: " . ($why // 'no data'))
		  if !defined($data) || $data->{resultType} ne 'matrix' || !@{ $data->{result} };
	}
	printf("    %-40s %3d series, %d with numbers\n", $name, scalar(@samples), $numbers);
}

sub check_panels
{
	my ($file) = @_;
	my ($dashboard, %seen);

	open(my $handle, '<', $file) or die "$file: $!\n";
	$dashboard = decode_json(do { local $/; <$handle> });
	foreach my $panel (@{ $dashboard->{panels} })
	{
		bad("panel id $panel->{id} is there twice") if $seen{ $panel->{id} }++;
		next if $panel->{type} eq 'row';
		bad("$panel->{title}: no queries") if !@{ $panel->{targets} };
		check_target($panel, $_) foreach @{ $panel->{targets} };
	}
	foreach my $variable (@{ $dashboard->{templating}{list} })
	{
		next if $variable->{type} ne 'query';
		my ($selector, $label) = $variable->{query}{query} =~ /^label_values\((.*), (\w+)\)$/;
		my @samples = samples(without_variables($selector));

		bad("variable $variable->{name}: no value")
		  if !grep { defined($_->{metric}{$label}) } @samples;
	}
	samples($_->{expr}) foreach grep { $_->{expr} } @{ $dashboard->{annotations}{list} };
}

sub all_rules
{
	my ($data, $why) = api('rules');

	die "rules: $why\n" if !defined($data);
	return map { @{ $_->{rules} } } @{ $data->{groups} };
}

sub check_rules
{
	my @rules = all_rules();

	bad('no rules') if !@rules;
	foreach my $rule (@rules)
	{
		my %metrics = map { $_ => 1 } $rule->{query} =~ /\b(up(?=\{)|itemcache_\w*[a-z](?=[\s{\[)]|$)|sql_exporter_\w+)/g;

		bad("$rule->{name}: $rule->{health} " . ($rule->{lastError} // '')) if $rule->{health} ne 'ok';
		bad("$rule->{name}: names no metric") if !%metrics;
		foreach my $metric (sort keys(%metrics))
		{
			bad("$rule->{name}: there is no $metric") if !samples($metric);
		}
		printf("    %-28s %s\n", $rule->{name}, join(' ', sort keys(%metrics)));
	}
}

# The metrics of a job: name => its labels.
sub metrics_of
{
	my ($job) = @_;
	my %metrics;

	foreach my $sample (samples(qq({__name__=~"itemcache_.*", job="$job"})))
	{
		my %labels = %{ $sample->{metric} };
		my $name = delete($labels{__name__});

		bad("$job: $name is not a number: $sample->{value}[1]") if !is_number($sample->{value}[1]);
		$metrics{$name}{$_} = 1 foreach keys(%labels);
	}
	return map { $_ => join(',', sort keys(%{ $metrics{$_} })) } keys(%metrics);
}

sub check_jobs
{
	my ($first, @others) = @_;
	my %expected = metrics_of($first);

	bad("$first: no metrics") if !%expected;
	foreach my $job (@others)
	{
		my %found = metrics_of($job);

		foreach my $name (sort keys(%{ { %expected, %found } }))
		{
			my ($here, $there) = ($expected{$name} // 'nothing', $found{$name} // 'nothing');

			bad("$name: $first has $here, $job has $there") if $here ne $there;
		}
	}
	printf("    %d metrics, from each of %s\n", scalar(keys(%expected)), join(' and ', $first, @others));
}

# Jobs for which the alert (or any) fires with such a summary, and one of these.
sub firing
{
	my ($name, $pattern) = @_;
	my ($data, $why) = api('alerts');
	my (%jobs, $summary);

	die "alerts: $why\n" if !defined($data);
	foreach my $alert (@{ $data->{alerts} })
	{
		next if $alert->{state} ne 'firing';
		next if defined($name) && $alert->{labels}{alertname} ne $name;
		next if defined($pattern) && $alert->{annotations}{summary} !~ /$pattern/;
		$jobs{ $alert->{labels}{job} } = 1;
		$summary = "$alert->{labels}{alertname}: $alert->{annotations}{summary}";
	}
	return (\%jobs, $summary);
}

sub wait_firing
{
	my ($name, $pattern, $seconds, @jobs) = @_;
	my $start = time();
	my ($jobs, $summary);

	do
	{
		sleep(0.5);
		($jobs, $summary) = firing($name, $pattern);
		if (!grep { !$jobs->{$_} } @jobs)
		{
			printf("    fires after %.0f s: %s\n", time() - $start, $summary);
			return;
		}
	} while (time() - $start < $seconds);
	bad("$name does not fire for " . join(', ', grep { !$jobs->{$_} } @jobs));
}

sub wait_quiet
{
	my ($seconds, $name) = @_;
	my $start = time();
	my ($jobs, $summary);

	do
	{
		sleep(0.5);
		($jobs, $summary) = firing($name);
		if (!%$jobs)
		{
			printf("    %s fires (after %.0f s)\n", defined($name) ? "no $name" : 'no alert', time() - $start);
			return;
		}
	} while (time() - $start < $seconds);
	bad("still fires: $summary");
}

if ($command eq 'panels') { check_panels(@arguments); }
elsif ($command eq 'rules') { check_rules(); }
elsif ($command eq 'jobs') { check_jobs(@arguments); }
elsif ($command eq 'firing') { wait_firing(@arguments); }
elsif ($command eq 'quiet') { wait_quiet(@arguments); }
else { die "usage: see $0\n"; }

exit($bad > 0);
