# Protects: the documents.  Their examples run and give what is shown, commands and files they name exist, links lead somewhere, settings have the defaults they are said to have, and tables of figures come from doc/figures.csv.
#
# Every fenced block of README.md, doc/*.md and bench/README.md says what it is:
#
#	sql		run in psql, the blocks of a document in turn in one session, in a
#			database of its own; a statement with $1 is prepared only
#	text	right after a block of sql: what psql must print for it, but for the
#			heading of EXPLAIN's output.  Elsewhere: not looked at
#	sh		commands of this repository must exist and know the options; blocks
#			that call psql or pgbench are run, with -T 2 for any other -T
#	conf	settings with valid values
#
# "<!-- not run: REASON -->" before a block says that it is not run, and why.
# Of the other documents only links, names of files and figures are looked at.
# The tables that the examples are about are those of the README.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use FindBin;
use IPC::Run qw(run timeout);
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = abs_path("$FindBin::RealBin/..");
my @documents = map { substr($_, length("$top/")) }
  ("$top/README.md", "$top/CONTRIBUTING.md", sort(glob("$top/doc/*.md")), "$top/bench/README.md");

my @others = map { substr($_, length("$top/")) }
  ("$top/CHANGELOG.md", "$top/SECURITY.md", "$top/image/README.md", sort(glob("$top/src/*/README.md")), "$top/src/README");

# Seconds for the examples of a document.
my $timeout = 120;

# What the tables of the examples are made by: the first block of the README
# that makes one.
my $tables;

my $node = new_server('documents', memory => '512MB');
$node->append_conf('postgresql.conf', q{
itemcache.transparent = on
statement_timeout = '60s'
});
$node->start;

#
# Reading documents
#

# The fenced blocks of a text: each with its kind, line number, text, whether
# it is to be run, and, if it is shown, its output.
sub blocks_of
{
	my ($text) = @_;
	my (@blocks, $block, $indent, $between);
	my $line = 0;

	$between = '';
	foreach (split /\n/, $text)
	{
		$line++;
		if (!$block && /^(\s*)```(\w*)\s*$/)
		{
			$indent = length($1);
			$block = { kind => $2, line => $line, text => '' };
			$block->{follows} = $between !~ /\S/;
			$block->{not_run} = $between =~ /<!-- not run: .+ -->\s*\z/;
		}
		elsif ($block && /^\s*```\s*$/)
		{
			if ($block->{kind} eq 'text' && $block->{follows} && @blocks
				&& $blocks[-1]{kind} eq 'sql')
			{
				$blocks[-1]{output} = $block->{text};
			}
			push @blocks, $block;
			$block = undef;
			$between = '';
		}
		elsif ($block)
		{
			s/^\s{0,$indent}//;
			$block->{text} .= "$_\n";
		}
		else
		{
			$between .= "$_\n";
		}
	}
	die 'a block has no end' if $block;
	return @blocks;
}

# What psql shall run for a block of SQL.
my $prepared = 0;

sub runnable
{
	my ($sql) = @_;

	return $sql if $sql !~ /\$\d/;
	return join '', map { /\$\d/ ? s/^((?:\s*--.*\n|\s)*)/$1 . 'PREPARE example_' . ++$prepared . " AS\n"/er : $_ }
	  split /(?<=;)((?:[ \t]*--.*)?\n)/, $sql;
}

# Output as it is compared: no heading of EXPLAIN, no blanks at the ends.
sub normal
{
	my ($text) = @_;

	$text =~ s/^ +QUERY PLAN +\n-+\n//mg;
	$text =~ s/(rows=\d+)\.00/$1/g;	# as of PostgreSQL 18
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\A\n+|\n+\z//g;
	return $text;
}

#
# SQL
#
sub check_sql
{
	my ($document, @blocks) = @_;
	my $database = lc($document =~ s/\W/_/gr);
	my $script = "$PostgreSQL::Test::Utils::tmp_check/$database.sql";
	my $commands = '';
	my ($out, $err, %output);

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database,
		"$tables CREATE EXTENSION itemcache; SELECT itemcache.attach('items'); SELECT itemcache.preload('items')")
	  if $document ne 'README.md';
	foreach my $block (@blocks)
	{
		$commands .= "\\echo @@ begin $block->{line}\n" . runnable($block->{text});
		$commands .= "\n\\echo @@ end $block->{line}\n";
	}
	append_to_file($script, $commands);
	eval {
		run [
			'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-P', 'pager=off', '-P', 'footer=off',
			'-d', $node->connstr($database), '-f', $script ],
		  '<', \undef, '>', \$out, '2>', \$err, timeout($timeout);
		1;
	} or $err .= $@;

	while ($out =~ /^@@ begin (\d+)\n(.*?)^@@ end \1\n/msg)
	{
		$output{$1} = $2;
	}
	foreach my $block (@blocks)
	{
		my $name = "$document:$block->{line}";

		if (!defined $output{ $block->{line} })
		{
			fail("$name: runs");
			diag($err);
			last;
		}
		pass("$name: runs");
		is(normal($output{ $block->{line} }), normal($block->{output}), "$name: gives what is shown")
		  if defined $block->{output};
	}
	# some of the examples are for the whole server
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
	$node->reload;
	return $database;
}

#
# Shell
#
my %help;

sub check_command
{
	my ($name, $line) = @_;
	my @words;

	$line =~ s/(^|\s)#.*//;
	@words = split ' ', $line;
	shift @words while @words && $words[0] =~ /^(sudo|\w+=\S*)$/;
	return if !@words;
	my $command = shift @words;

	return if $command eq 'cp';		# what every machine has
	if ($command eq 'make')
	{
		ok( run([ 'make', '-n', '-C', $top, grep { $_ ne '&&' && $_ ne 'sudo' && $_ ne 'make' } @words ],
				'<', \undef, '>', \my $out, '2>', \my $err),
			"$name: $line");
		return;
	}
	if ($command !~ m{^(dev|bench)/})
	{
		fail("$name: $command is not a command of this repository; run it, or say why not");
		return;
	}
	if (!ok(-x "$top/$command", "$name: $command exists"))
	{
		return;
	}
	foreach my $option (grep { /^--/ } @words)
	{
		run([ "$top/$command", '--help' ], '<', \undef, '>', \$help{$command}, '2>&1')
		  if !defined $help{$command};
		$option =~ s/=.*//;
		like($help{$command}, qr/(?<![\w-])\Q$option\E(?![\w-])/, "$name: $command knows $option");
	}
	foreach my $test ($command eq 'dev/test' ? grep { !/^-/ } @words : ())
	{
		ok((grep { -e "$top/$_" } "sql/$test.sql", "specs/$test.spec", "t/$test.pl"), "$name: test $test exists");
	}
	foreach my $scenario ($command eq 'bench/run' ? grep { /^\w+$/ } @words : ())
	{
		# not a value of the option before
		next if $line =~ /--\S+ \Q$scenario\E\b/;
		ok(-e "$top/bench/$scenario.sh", "$name: scenario $scenario exists");
	}
}

sub check_shell
{
	my ($document, $database, $block) = @_;
	my $name = "$document:$block->{line}";
	my $script = $block->{text} =~ s/\\\n\s*//gr;

	if ($script !~ /^\s*(psql|pgbench)\b/m)
	{
		check_command($name, $_) foreach split /\n/, $script;
		return;
	}
	my $directory = PostgreSQL::Test::Utils::tempdir();
	my ($out, $err);

	$script =~ s/-T \d+/-T 2/g;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = $database;
	ok( eval {
			run([ 'bash', '-c', "cd '$directory' || exit; set -e -o pipefail\n$script" ],
				'<', \undef, '>', \$out, '2>', \$err, timeout($timeout))
		},
		"$name: runs") or diag("$out\n$err$@");
}

#
# Settings
#
sub check_conf
{
	my ($document, $block) = @_;

	foreach (split /\n/, $block->{text})
	{
		s/#.*//;
		next if !/\S/;
		my ($state, $text) = sql_error($node, 'postgres', "ALTER SYSTEM SET $_");
		is($state, '', "$document:$block->{line}: $_") or diag($text);
	}
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
}

# Each setting's heading is followed by its default, and the README names it.
sub check_settings
{
	my ($readme, $page) = @_;
	my $settings = $node->safe_psql('postgres', q{
		SELECT name, CASE WHEN unit IS NULL THEN boot_val
						  WHEN boot_val = '0' THEN '0'
						  WHEN unit = 's' THEN boot_val::int / 60 || 'min'
						  ELSE replace(pg_size_pretty(boot_val::bigint * pg_size_bytes('1' || unit)), ' ', '') END
		FROM pg_settings WHERE name ~ '^itemcache' ORDER BY name});

	foreach (split /\n/, $settings)
	{
		my ($setting, $default) = split /\|/;

		like($readme, qr/`\Q$setting\E`/, "README.md: $setting");
		like($page, qr/^## \Q$setting\E\n\nDefault `$default`/m, "doc/settings.md: $setting and its default");
	}
}

#
# Files and links
#

# As GitHub names the anchors of headings.
sub anchors_of
{
	my ($text) = @_;
	my %anchors;

	while ($text =~ /^#+ +(.*?)\s*$/mg)
	{
		my $anchor = lc($1);

		$anchor =~ s/[^\w\- ]//g;
		$anchor =~ tr/ /-/;
		$anchors{$anchor} = 1;
	}
	return \%anchors;
}

sub check_references
{
	my ($document, $text) = @_;
	my $from = dirname("$top/$document");
	my @wrong;

	while ($text =~ /\]\(([^)\s]+)\)/g)
	{
		my ($path, $anchor) = split /#/, $1, 2;

		next if $path =~ /^\w+:/;
		my $file = $path eq '' ? "$top/$document" : "$from/$path";
		push @wrong, $path . (defined $anchor ? "#$anchor" : '')
		  if !-e $file || defined $anchor && !anchors_of(slurp_file($file))->{$anchor};
	}
	while ($text =~ m{`((?:bench|dev|doc|sql|specs|src|t)/[\w./*-]+)}g)
	{
		my $pattern = $1;

		push @wrong, $pattern if !grep { -e $_ } glob("$top/$pattern");
	}
	is_deeply(\@wrong, [], "$document: links and files it names exist");
}

#
# Figures
#
sub check_figures
{
	my ($document, $text) = @_;

	return if $text !~ /^<!-- table: /m;
	my $copy = "$PostgreSQL::Test::Utils::tmp_check/" . ($document =~ s/\W/_/gr);

	copy("$top/$document", $copy) or die "could not copy $document: $!";
	ok(run([ "$top/bench/tables", "$top/doc/figures.csv", $copy ]), "$document: bench/tables");
	is(slurp_file($copy), $text, "$document: tables are those of doc/figures.csv");
}

my %text = map { $_ => slurp_file("$top/$_") } @documents, @others;

foreach my $block (blocks_of($text{'README.md'}))
{
	$tables //= $block->{text} if $block->{text} =~ /^CREATE TABLE items/m;
}
die 'README.md makes no table' if !defined $tables;

foreach my $document (@documents)
{
	my @blocks = blocks_of($text{$document});
	my @unknown = grep { $_->{kind} !~ /^(sql|text|sh|conf)$/ } @blocks;

	is_deeply([ map { $_->{line} } @unknown ], [], "$document: every block says what it is");
	@blocks = grep { !$_->{not_run} } @blocks;
	my $database = check_sql($document, grep { $_->{kind} eq 'sql' } @blocks);
	check_shell($document, $database, $_) foreach grep { $_->{kind} eq 'sh' } @blocks;
	check_conf($document, $_) foreach grep { $_->{kind} eq 'conf' } @blocks;
	check_references($document, $text{$document});
	check_figures($document, $text{$document});
}
check_references($_, $text{$_}) foreach @others;
check_settings($text{'README.md'}, $text{'doc/settings.md'});

$node->stop;
done_testing();
