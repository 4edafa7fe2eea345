# Protects: put, put_many and delete do what INSERT ... ON CONFLICT DO UPDATE and DELETE do: same contents, generated columns and errors.
#
# Random calls (ITEMCACHE_PUT_CALLS, 4000) on tables whose rows are often
# refused, each followed by the plain statements on a twin; in transactions
# and savepoints that are rolled back now and then, alike for both.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = $ENV{ITEMCACHE_PUT_CALLS} || 4000;
my $seed = $ENV{ITEMCACHE_PROOF_SEED} || int(rand(1 << 31));

srand($seed);
note "seed $seed";

my $node = new_server('differential', conf => "fsync = off\n");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE DOMAIN small AS int CHECK (VALUE < 1000);
	CREATE TABLE colours (name text PRIMARY KEY);
	INSERT INTO colours VALUES ('red'), ('green'), ('blue');
});

# Each table twice: "a_..." is put into, "b_..." is its twin.
my %keys = (plain => 'id', parts => 'region, id', only => 'x, y');
foreach my $t ('a', 'b')
{
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE ${t}_plain (junk int, id int PRIMARY KEY, n numeric CHECK (n > 0), code text UNIQUE, s small,
			colour text REFERENCES colours, twice numeric GENERATED ALWAYS AS (n * 2) STORED, required int NOT NULL DEFAULT 1, j json);
		ALTER TABLE ${t}_plain DROP junk;
		CREATE TABLE ${t}_parts (id int, region text, n int, note text, tag text GENERATED ALWAYS AS (region || id::text) STORED,
			PRIMARY KEY (region, id)) PARTITION BY LIST (region);
		CREATE TABLE ${t}_parts_eu (note text, junk int, region text NOT NULL, tag text GENERATED ALWAYS AS (region || id::text) STORED, n int, id int NOT NULL);
		ALTER TABLE ${t}_parts_eu DROP junk;
		ALTER TABLE ${t}_parts ATTACH PARTITION ${t}_parts_eu FOR VALUES IN ('eu');
		CREATE TABLE ${t}_parts_us PARTITION OF ${t}_parts (CHECK (n <> 13)) FOR VALUES IN ('us') PARTITION BY HASH (id);
		CREATE TABLE ${t}_parts_us_0 PARTITION OF ${t}_parts_us FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE ${t}_parts_us_1 PARTITION OF ${t}_parts_us FOR VALUES WITH (MODULUS 2, REMAINDER 1);
		CREATE TABLE ${t}_only (x int, y uuid, PRIMARY KEY (x, y));
		CREATE TABLE ${t}_refers (item int REFERENCES ${t}_plain);
		INSERT INTO ${t}_plain (id, n, required) VALUES (1, 1, 1);
		INSERT INTO ${t}_refers VALUES (1);
		CREATE FUNCTION ${t}_refuse() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			IF NEW.n = 77 THEN RAISE EXCEPTION 'seven' USING ERRCODE = 'ZZ077'; END IF;
			IF NEW.n = 66 THEN RETURN NULL; END IF;
			-- the same again for a row it has seen: a put of an identical row fires no trigger
			NEW.note := rtrim(NEW.note, '.') || '.';
			RETURN NEW;
		END \$\$;
		CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ${t}_parts FOR EACH ROW EXECUTE FUNCTION ${t}_refuse()});
}
$node->safe_psql('postgres', "SELECT itemcache.attach('a_$_')") foreach keys %keys;

sub number { my ($n) = @_; return int(rand($n)); }
sub sometimes { my ($n, $then, $else) = @_; return rand($n) < 1 ? $then : $else; }
sub one_of { return $_[ number(scalar @_) ]; }

# Columns of a random row: what is put, and what is given to the twin.
my %columns = (
	plain => [ 'id', 'n', 'code', 's', 'colour', 'required', 'j' ],
	parts => [ 'id', 'region', 'n', 'note' ],
	only => [ 'x', 'y' ]);
my %row = (
	plain => sub {
		return (sometimes(60, 'NULL', number(60)), sometimes(25, '-1', sometimes(10, 'NULL', number(5) . '.' . one_of('0', '00', '5') . '1')),
			sometimes(3, "'code " . number(40) . "'", 'NULL'), sometimes(30, 5000, number(4)), sometimes(20, "'pink'", one_of("'red'", "'green'", 'NULL')),
			sometimes(30, 'NULL', number(3)), one_of("'{\"a\":1}'", "'{\"a\": 1}'", 'NULL'));
	},
	parts => sub {
		return (number(40), one_of("'eu'", "'us'", "'us'", sometimes(4, "'asia'", "'eu'")), sometimes(20, one_of(13, 66, 77), number(5)), one_of("'note'", 'NULL'));
	},
	only => sub {
		return (number(10), sometimes(40, 'NULL', sprintf "'00000000-0000-0000-0000-%012d'", number(5)));
	});
my %item = (
	plain => sub { return "ROW($_[0], $_[1], $_[2], $_[3], $_[4], NULL, $_[5], $_[6])"; },
	parts => sub { return "ROW($_[0], $_[1], $_[2], $_[3], NULL)"; },
	only => sub { return "ROW($_[0], $_[1])"; });

# The statement for a twin: of one row, or of many, in the order of their keys.
sub upsert
{
	my ($name, $many, @rows) = @_;
	my @columns = @{ $columns{$name} };
	my @set = grep { my $column = $_; !grep { $_ eq $column } split /, /, $keys{$name} } @columns;

	return sprintf 'INSERT INTO b_%s (%s) %s ON CONFLICT (%s) DO %s', $name, join(', ', @columns),
	  $many
	  ? sprintf('SELECT %s FROM unnest(ARRAY[%s]::b_%s[]) ORDER BY %s', join(', ', @columns),
		join(', ', map { $item{$name}->(@$_) } @rows), $name, $keys{$name})
	  : 'VALUES (' . join(', ', @{ $rows[0] }) . ')', $keys{$name},
	  @set ? 'UPDATE SET ' . join(', ', map { "$_ = excluded.$_" } @set) : 'NOTHING';
}

# A pair of statements that shall do the same.
sub pair
{
	my $name = one_of('plain', 'plain', 'parts', 'parts', 'only');
	my $choice = rand;

	if ($choice < 0.2)
	{
		my @r = $row{$name}->();
		my ($key, $where) =
			$name eq 'plain' ? ("$r[0]::bigint", "id = $r[0]")
		  : $name eq 'parts' ? ("ROW($r[1]::text, $r[0])", "region = $r[1] AND id = $r[0]")
		  : ("ROW($r[0], $r[1]::uuid)", "x = $r[0] AND y = $r[1]");

		return ("SELECT itemcache.delete(NULL::a_$name, $key)", "DELETE FROM b_$name WHERE $where");
	}
	elsif ($choice < 0.4)
	{
		my %seen;
		my @rows;

		# A key twice is refused before anything else, so that the twin may give
		# another error; or none, where a trigger drops one or nothing is updated.
		foreach (0 .. number(8))
		{
			my @r = $row{$name}->();
			push @rows, [@r] if !$seen{ "@r[ 0, 1 ]" }++ || $name eq 'plain';
		}
		return ("SELECT itemcache.put_many(ARRAY[" . join(', ', map { $item{$name}->(@$_) } @rows) . "]::a_$name\[])",
			upsert($name, 1, @rows));
	}
	else
	{
		my @r = $row{$name}->();

		return ("SELECT itemcache.put(" . $item{$name}->(@r) . "::a_$name)", upsert($name, 0, \@r));
	}
}

$node->safe_psql(
	'postgres', q{
	CREATE TABLE counts (code text PRIMARY KEY, n bigint);
	CREATE FUNCTION code_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE statement;
		RETURN '00000';
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END $$;
	CREATE FUNCTION run_both(put text, statement text) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		a text := code_of(put);
		b text := code_of(statement);
	BEGIN
		IF a <> b AND NOT (put LIKE '%put_many%' AND a = '21000' AND b <> '00000') THEN
			RAISE WARNING 'DIFFERENCE: % gives %, % gives %', put, a, statement, b;
		END IF;
		INSERT INTO counts VALUES (a, 1) ON CONFLICT (code) DO UPDATE SET n = counts.n + 1;
	END $$;
});

my $script = '';
my $depth = 0;
foreach my $i (1 .. $calls)
{
	my ($put, $statement) = pair();

	if ($depth == 0 && rand() < 0.05) { $script .= "BEGIN;\n"; $depth = 1; }
	elsif ($depth > 0 && rand() < 0.1) { $script .= "SAVEPOINT s;\n"; $depth++; }
	$script .= "SELECT run_both(\$put\$$put\$put\$, \$put\$$statement\$put\$);\n";
	if ($depth > 1 && rand() < 0.2) { $script .= one_of("ROLLBACK TO s;\n", "RELEASE s;\n") ; $depth-- if $script =~ /RELEASE s;\n\z/; }
	elsif ($depth > 0 && rand() < 0.1) { $script .= one_of("ROLLBACK;\n", "COMMIT;\n"); $depth = 0; }
}
$script .= "COMMIT;\n" if $depth > 0;

my ($out, $err) = ('', '');
my $rc = $node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 1, extra_params => ['-q']);
is($rc, 0, 'all calls made') or diag(substr($err, 0, 2000));
my @differences = grep { /DIFFERENCE/ } split /\n/, $err;
is(scalar(@differences), 0, 'same errors') or diag("seed $seed\n", join("\n", @differences[ 0 .. ($#differences > 2 ? 2 : $#differences) ]));
foreach my $name (sort keys %keys)
{
	is($node->safe_psql('postgres', qq{
			(SELECT 'only put', t::text FROM a_$name t EXCEPT SELECT 'only put', t::text FROM b_$name t)
			UNION ALL (SELECT 'only by statement', t::text FROM b_$name t EXCEPT SELECT 'only by statement', t::text FROM a_$name t) LIMIT 5}),
		'', "$name: same contents");
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM a_$name"), '>', 5, "$name: rows are there");
}
is($node->safe_psql('postgres', q{SELECT tableoid::regclass::text ~ 'us', count(*) > 0 FROM a_parts GROUP BY 1 ORDER BY 1}),
	"f|t\nt|t", 'rows in several partitions');

# What is cached is what is there.
is_exact($node, 'postgres', 'a_plain', -1, 61, 'plain: exact');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM generate_series(0, 40) id, unnest(ARRAY['eu', 'us', 'asia']) region
	WHERE itemcache.get(NULL::a_parts, ROW(region, id))::text IS DISTINCT FROM
		(SELECT t::text FROM a_parts t WHERE t.region = region.region AND t.id = id.id)}), '0', 'parts: exact');

# It must not have passed by never, or always, failing.
my %count = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT * FROM counts');
diag(join ', ', map { "$_: $count{$_}" } sort keys %count);
cmp_ok($count{'00000'} // 0, '>', $calls / 3, 'a good deal of the calls succeeded');
foreach my $code ('23502', '23503', '23505', '23514', 'ZZ077')
{
	cmp_ok($count{$code} // 0, '>', 0, "there were errors $code");
}
$node->stop;

done_testing();
