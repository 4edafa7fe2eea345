# Protects: functions of the user's that are called in the middle of calls, and at random call again, fail, alter the table, roll back: the server stays up, and what is cached is the table's.
#
# Whatever may be called (checks of domains and tables, casts, policies,
# generated columns, expressions of indexes, triggers, support functions of a
# partitioning) asks the dice (hook()) whether to run one of these statements,
# up to three levels deep, and whether to catch its error.  After some
# statements, with the dice put away, each key is looked up and compared with
# the table.
#
# Always the same statements; or, for ITEMCACHE_REENTRY_SECONDS, others each
# time.  ITEMCACHE_PROOF_SEED is the seed.  What the statements have done before
# a failure is in the server's log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WireSession;

my $seconds = $ENV{ITEMCACHE_REENTRY_SECONDS};
my $seed = $ENV{ITEMCACHE_PROOF_SEED} || ($seconds ? int(rand(1 << 31)) : 1);
my $rounds = 25;
my $statements = 40;

# What is looked up: each table with its key as text, and how to make it one.
my %tables = (
	words => q{'(' || k || ',w' || k || ')'},
	lists => q{'("{w' || k || '}",' || k || ')'},
	parts => q{k::text},
	busy => q{k::text},
	guarded => q{k::text},
	shades => q{k::text},
	tagged => q{k::text});

my $setup = q{
	CREATE EXTENSION itemcache;
	CREATE ROLE dicer;
	GRANT CREATE ON DATABASE postgres TO dicer;
	CREATE SCHEMA f AUTHORIZATION dicer;
	SET search_path = f;
	CREATE TABLE statements (n serial PRIMARY KEY, sql text);
	ALTER TABLE statements OWNER TO dicer;

	-- run a statement, if the dice say so
	CREATE FUNCTION hook() RETURNS boolean LANGUAGE plpgsql AS $$
	DECLARE
		depth int := current_setting('f.depth');
		statement text;
	BEGIN
		IF depth >= 3 OR random() >= current_setting('f.odds')::float8 THEN
			RETURN true;
		END IF;
		PERFORM set_config('f.depth', (depth + 1)::text, false);
		SELECT sql INTO statement FROM f.statements
		OFFSET floor(random() * (SELECT count(*) FROM f.statements)) LIMIT 1;
		statement := replace(statement, '@k', (1 + floor(random() * 8))::text);
		RAISE LOG 'meanwhile, at depth %: %', depth, statement;
		IF random() < 0.7 THEN
			BEGIN
				EXECUTE statement;
			EXCEPTION WHEN OTHERS THEN
				RAISE LOG 'caught: %', SQLERRM;
			END;
		ELSE
			EXECUTE statement;
		END IF;
		PERFORM set_config('f.depth', depth::text, false);
		RETURN true;
	END $$;
	CREATE FUNCTION check_value(value text) RETURNS boolean LANGUAGE plpgsql AS $$
	DECLARE
		before text := value || '';
	BEGIN
		PERFORM f.hook();
		IF value <> before THEN
			RAISE 'PANIC: a value has changed under the function that was given it';
		END IF;
		RETURN true;
	END $$;
	CREATE FUNCTION check_by_query(value text) RETURNS boolean LANGUAGE sql AS $$
		SELECT bool_and(s.n > 0 AND f.hook()) FROM f.statements s WHERE s.n < 2;
	$$;
	CREATE FUNCTION still(anyelement) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN f.hook(); END';
	CREATE FUNCTION doubled(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM f.hook(); RETURN $1 * 2; END';
	CREATE FUNCTION hash_int(int, bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM f.hook(); RETURN $1 + $2; END';
	CREATE OPERATOR CLASS hash_int_ops FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 2 hash_int(int, bigint);
	CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM f.hook(); RETURN NEW; END';
	CREATE TYPE shade AS ENUM ('s1', 's2', 's3', 's4', 's5', 's6', 's7', 's8');
	CREATE FUNCTION to_shade(bigint) RETURNS shade LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM f.hook();
		RETURN 's' || $1;
	END $$;
	CREATE CAST (bigint AS shade) WITH FUNCTION to_shade(bigint) AS IMPLICIT;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA f TO PUBLIC;
	SELECT set_config('f.odds', '0', false), set_config('f.depth', '0', false);

	SET ROLE dicer;
	CREATE DOMAIN word AS text CHECK (f.check_value(VALUE || repeat('.', 100)) AND length(VALUE) < 10);
	CREATE DOMAIN queried AS text CHECK (f.check_by_query(VALUE));
	CREATE TYPE pair AS (n int, w word);
	CREATE TABLE words (id pair PRIMARY KEY, v int, w text);
	CREATE TABLE lists (id queried[], n int, v int, w text, PRIMARY KEY (id, n));
	CREATE TABLE parts (id int PRIMARY KEY, v int, w text) PARTITION BY HASH (id hash_int_ops);
	CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE busy (id int PRIMARY KEY, v int, w text, d int GENERATED ALWAYS AS (doubled(v)) STORED, CHECK (still(v)));
	CREATE INDEX ON busy (doubled(v));
	CREATE TRIGGER aaa AFTER INSERT OR UPDATE ON busy FOR EACH ROW EXECUTE FUNCTION on_change();
	CREATE TABLE guarded (id int PRIMARY KEY, v int, w text);
	ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY p ON guarded USING (hook() AND still('a'::text)) WITH CHECK (still('b'::text));
	CREATE TABLE shades (id shade PRIMARY KEY, v int, w text);
	CREATE TABLE tagged (id int PRIMARY KEY, v int, w text, tag int);
	CREATE UNIQUE INDEX ON tagged (doubled(tag)) WHERE still(w);
	CREATE UNIQUE INDEX ON tagged (tag, id);
};

my $begin_session = q{
	SET search_path = f;
	SET ROLE dicer;
	SET statement_timeout = '60s';
	SET client_min_messages = error;
	SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
	SELECT set_config('f.odds', '0', false), set_config('f.depth', '0', false);
	INSERT INTO words SELECT ROW(k, 'w' || k)::pair, k, 'v' FROM generate_series(1, 8) k ON CONFLICT DO NOTHING;
	INSERT INTO lists SELECT ARRAY['w' || k]::queried[], k, k, 'v' FROM generate_series(1, 8) k ON CONFLICT DO NOTHING;
	INSERT INTO parts SELECT k, k, 'v' FROM generate_series(1, 8) k ON CONFLICT DO NOTHING;
	INSERT INTO busy SELECT k, k, 'v' FROM generate_series(1, 8) k ON CONFLICT DO NOTHING;
	INSERT INTO guarded SELECT k, k, 'v' FROM generate_series(1, 8) k ON CONFLICT DO NOTHING;
	INSERT INTO shades SELECT ('s' || k)::shade, k, 'v' FROM generate_series(1, 8) k ON CONFLICT DO NOTHING;
	INSERT INTO tagged SELECT k, k, 'v', k FROM generate_series(1, 8) k ON CONFLICT DO NOTHING;
	ANALYZE words, lists, parts, busy, guarded, shades, tagged;
	SELECT itemcache.attach(t::regclass)
	FROM unnest(ARRAY['words', 'lists', 'parts', 'busy', 'guarded', 'shades', 'tagged']) t;
};

#
# The statements, with @k for a key.
#
my %literal = (
	words => q{("(@k,w@k)",@v,w)},
	lists => q{({w@k},@k,@v,w)},
	parts => q{(@k,@v,w)},
	busy => q{(@k,@v,w,)},
	guarded => q{(@k,@v,w)},
	shades => q{(s@k,@v,w)},
	tagged => q{(@k,@v,w,@k)});

sub row
{
	my ($table, $value) = @_;
	my $literal = $literal{$table};

	$literal =~ s/\@v/$value/g;
	return "'$literal'::f.$table";
}

sub key
{
	my ($table) = @_;

	return {
		words => q{'(@k,w@k)'::text},
		lists => q{ROW(ARRAY['w@k']::text[], @k)},
		parts => '@k',
		busy => q{'@k'::text},
		guarded => '@k::bigint',
		shades => '@k::bigint',
		tagged => '@k' }->{$table};
}

my @statements;
foreach my $table (sort keys %tables)
{
	my ($get, $put) = (key($table), row($table, 3));
	my $column = $table eq 'lists' ? 'n' : 'v';
	my $text = $tables{$table} =~ s/\bk\b/\@k/gr;

	push @statements,
	  "SELECT itemcache.get(NULL::f.$table, $get)",
	  "SELECT itemcache.get(NULL::f.$table, ($text)::text)",
	  "SELECT count(*) FROM itemcache.get_many(NULL::f.$table, ARRAY[($text)::text, ($text)::text, NULL])",
	  "SELECT itemcache.put($put)",
	  "SELECT itemcache.put(" . row($table, 4) . ")",
	  "SELECT itemcache.put_many(ARRAY[$put, " . (row($table, 5) =~ s/\@k/2/gr) . "])",
	  "SELECT itemcache.delete(NULL::f.$table, $get)",
	  "UPDATE f.$table SET v = v + 1, w = w WHERE $column = \@k",
	  "DELETE FROM f.$table WHERE $column = \@k",
	  "INSERT INTO f.$table SELECT ($put).* ON CONFLICT DO NOTHING",
	  "ALTER TABLE f.$table ADD COLUMN IF NOT EXISTS x\@k int",
	  "ALTER TABLE f.$table DROP COLUMN IF EXISTS x\@k",
	  "ALTER TABLE f.$table ALTER w TYPE text USING w",
	  "ALTER TABLE f.$table RENAME TO renamed; ALTER TABLE f.renamed RENAME TO $table",
	  "TRUNCATE f.$table",
	  "REINDEX TABLE f.$table",
	  "SELECT itemcache.attach('f.$table')",
	  "SELECT itemcache.detach('f.$table')",
	  "SELECT itemcache.attach('f.$table', preload => false)",
	  "SELECT itemcache.preload('f.$table')",
	  "SELECT itemcache.clear('f.$table')";
}
push @statements,
  'SELECT v, w FROM f.parts WHERE id = ANY (ARRAY[@k, 2, 5]) AND f.still(w)',
  'SELECT v, w FROM f.busy WHERE id = ANY (ARRAY[@k, 2, 5]) AND f.hook()',
  'SELECT b.v, p.w FROM f.busy b JOIN f.parts p ON p.id = b.v WHERE f.hook() AND f.still(b.w)',
  'SELECT b.v, g.w FROM f.busy b JOIN f.guarded g ON g.id = b.id',
  'SELECT v FROM f.busy WHERE id = f.doubled(@k)',
  q{SELECT v FROM f.shades WHERE id = 's@k'},
  'SELECT v FROM f.tagged WHERE f.doubled(tag) = 2 * @k AND f.still(w)',
  'SELECT v FROM f.tagged WHERE f.doubled(tag) = 2 * @k AND f.still(w) AND f.hook()',
  'SELECT t.v, b.v FROM f.busy b JOIN f.tagged t ON t.tag = b.v AND t.id = b.id WHERE f.hook()',
  q{SELECT itemcache.get_by(NULL::f.tagged, 'doubled(tag) WHERE still(w)', 2 * @k)},
  q{SELECT itemcache.get_by(NULL::f.tagged, '{tag,id}', '(@k,@k)'::text)},
  q{SELECT count(*) FROM itemcache.get_many_by(NULL::f.tagged, 'doubled(tag) WHERE still(w)', ARRAY[2 * @k, 4, 400, NULL])},
  q{SELECT count(*) FROM itemcache.get_many_by(NULL::f.tagged, '{tag,id}', ARRAY['(@k,@k)', '(2,2)', '(2,9)']::text[])},
  'UPDATE f.tagged SET tag = @k WHERE id = 3',
  'ALTER TABLE f.parts0 DISABLE TRIGGER ALL',
  'ALTER TABLE f.parts0 ENABLE ALWAYS TRIGGER itemcache_partitioned',
  'DO $$BEGIN ALTER TABLE f.parts DETACH PARTITION f.parts0; ALTER TABLE f.parts ATTACH PARTITION f.parts0 FOR VALUES WITH (MODULUS 2, REMAINDER 0); END$$',
  'ALTER TABLE f.guarded DISABLE ROW LEVEL SECURITY',
  'ALTER TABLE f.guarded ENABLE ROW LEVEL SECURITY',
  'FETCH 2 FROM c', 'CLOSE c', 'MOVE 1 FROM c',
  'DISCARD PLANS', 'SELECT 1/0', 'SELECT 1/0', 'SELECT pg_catalog.pg_sleep(0)',
  q{SELECT set_config('itemcache.enabled', CASE WHEN random() < 0.7 THEN 'on' ELSE 'off' END, true)},
  q{SELECT set_config('itemcache.transparent', CASE WHEN random() < 0.7 THEN 'on' ELSE 'off' END, true)},
  q{SELECT set_config('itemcache.async_put', CASE WHEN random() < 0.7 THEN 'on' ELSE 'off' END, true)};

# Of a session's own, as a function cannot.
my @commands = (
	'BEGIN', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK',
	'SAVEPOINT s', 'SAVEPOINT s', 'ROLLBACK TO s', 'RELEASE s',
	'DECLARE c CURSOR FOR SELECT id, v, w FROM f.busy WHERE id = ANY (ARRAY[@k, 1, 2, 3, 4]) AND f.hook()',
	'DECLARE c CURSOR WITH HOLD FOR SELECT b.id, p.w FROM f.busy b JOIN f.parts p ON p.id = b.id WHERE f.hook()',
	'FETCH 1 FROM c', 'FETCH 2 FROM c', 'FETCH BACKWARD 1 FROM c', 'CLOSE c');

sub dice { return int(rand($_[0])); }

my $node = new_server('reentry', conf => 'max_prepared_transactions = 0');
$node->start;
$node->safe_psql('postgres', $setup);
$node->safe_psql('postgres',
	'INSERT INTO f.statements (sql) VALUES ' . join(', ', map { "(\$sql\$$_\$sql\$)" } @statements));

# Statements of one session; then each key is compared.
sub play
{
	my ($seed_of_round) = @_;
	my $session = WireSession->new($node, 'postgres');

	srand($seed_of_round);
	$session->query($begin_session);
	foreach my $i (1 .. $statements)
	{
		my $sql = dice(4) == 0 ? $commands[ dice(scalar @commands) ] : $statements[ dice(scalar @statements) ];
		my $key = 1 + dice(8);
		my $odds = (0, 0.2, 0.5, 0.8)[ dice(4) ];

		# cursors WITH HOLD are run by COMMIT, when 15 knows no subtransactions
		$odds = 0 if $sql eq 'COMMIT';
		$sql = (dice(3) ? 'ROLLBACK' : 'ROLLBACK TO s') if $session->result->{state} eq 'E' && dice(3);

		$sql =~ s/\@k/$key/g;
		$session->send("SELECT setseed(@{[ rand() ]}), set_config('f.odds', '$odds', false), set_config('f.depth', '0', false)");
		$session->receive until $session->done;
		$session->send($sql);
		$session->receive until $session->done;
		die "$session->{result}{message}\n" if $session->{result}{message} =~ /PANIC|cache lookup|57014/;
	}
	$session->send('ROLLBACK');
	$session->receive until $session->done;
	$session->query("SELECT set_config('f.odds', '0', false); RESET itemcache.enabled; RESET itemcache.transparent");
	return ((map { compare($session, $_) } sort keys %tables), compare_tagged($session));
}

# The keys of a table for which a lookup, made twice, is not what the table has.
sub compare
{
	my ($session, $table) = @_;
	my $stored = $table eq 'words' ? '(t.id).n' : $table eq 'lists' ? 't.n' :
	  $table eq 'shades' ? 'substr(t.id::text, 2)::int' : 't.id';

	return map { "$table: $_" } $session->query(qq{
		SELECT n, k, got, row FROM (
			SELECT n, k, itemcache.get(NULL::f.$table, ${\ key_expression($table)})::text AS got,
				   (SELECT t::text FROM f.$table t WHERE $stored + 0 = k) AS row
			FROM generate_series(1, 2) n, generate_series(1, 8) k OFFSET 0) x
		WHERE got IS DISTINCT FROM row});
}

# The same of lookups by another unique index: by a query, and by name.
sub compare_tagged
{
	my ($session) = @_;

	return (map { "tagged, get_by: $_" } $session->query(q{
		SELECT k, n, got, row FROM (
			SELECT k, n, itemcache.get_by(NULL::f.tagged, 'doubled(tag) WHERE still(w)', 2 * k)::text AS got,
				   (SELECT t::text FROM f.tagged t WHERE t.tag + 0 = k) AS row
			FROM generate_series(1, 2) n, generate_series(1, 8) k OFFSET 0) x
		WHERE got IS DISTINCT FROM row})),
	  map { "tagged, by its tag: $_" } $session->query(q{
		SELECT k, n, t.row, s.row
		FROM generate_series(1, 8) k CROSS JOIN generate_series(1, 2) n
		LEFT JOIN LATERAL (SELECT t::text AS row FROM f.tagged t WHERE f.doubled(tag) = k * 2 AND f.still(w) OFFSET 0) t ON true
		LEFT JOIN (SELECT tag, t::text AS row FROM f.tagged t) s ON s.tag + 0 = k
		WHERE t.row IS DISTINCT FROM s.row});
}

sub key_expression
{
	my ($table) = @_;

	return $table eq 'shades' ? 'k::bigint' : "($tables{$table})::text";
}

my $until = time + ($seconds || 0);
my $round;
for ($round = 0; $seconds ? time < $until : $round < $rounds; $round++)
{
	my @differing = eval { play($seed + $round) };
	my $error = $@;

	next if $error eq '' && !@differing;
	fail("round with seed @{[ $seed + $round ]}");
	diag($error ne '' ? $error : join("\n", @differing));
	last;
}
ok(1, 'the statements have been played');
$node->stop;
my $log = slurp_file($node->logfile);
is(join("\n", grep { /TRAP|PANIC|was terminated by signal/ } split /\n/, $log), '', 'and the server has stayed up');
my $meanwhile = () = $log =~ /LOG:  meanwhile/g;
my $deep = () = $log =~ /LOG:  meanwhile, at depth 2/g;
note("seed $seed, $round rounds: $meanwhile statements were run meanwhile, $deep of them three levels deep");
cmp_ok($deep, '>', 10, 'statements were run three levels deep');

done_testing();
