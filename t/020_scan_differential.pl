# Protects: a SELECT gives the same rows whether the planner may use the cache or not, whatever the query.
#
# Random queries over attached tables, executed with itemcache.transparent off
# and, under planner settings that prefer it and under the usual ones, on:
# ITEMCACHE_DIFFERENTIAL_QUERIES (2000) of them, with writes and DDL between.
# The failing queries and the seed (ITEMCACHE_DIFFERENTIAL_SEED) are printed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $queries = $ENV{ITEMCACHE_DIFFERENTIAL_QUERIES} || 2000;
my $seed = $ENV{ITEMCACHE_DIFFERENTIAL_SEED} || int(rand(1 << 31));

srand($seed);
note "seed $seed, $queries queries";

my $node = new_server('differential', memory => '4MB', conf => <<'CONF');
synchronous_commit = off
max_parallel_workers = 4
jit = off	# for most: disabled nodes cost enough to compile every query
CONF
$node->start;

# Type of each column: i integer, t text, n numeric, d date, u uuid.
my %tables = (
	items => { key => ['id'], columns => { id => 'i', n => 'i', name => 't', v => 'n', d => 'd', u => 'u' } },
	small => { key => ['id'], columns => { id => 'i', n => 'i', name => 't' } },
	pairs => { key => [ 'a', 'b' ], columns => { a => 'i', b => 't', n => 'i' } },
	texts => { key => ['k'], columns => { k => 't', n => 'i' } },
	nums => { key => ['k'], columns => { k => 'n', n => 'i' } },
	uuids => { key => ['k'], columns => { k => 'u', n => 'i' } },
	parts => { key => ['id'], columns => { id => 'i', n => 'i', name => 't', v => 'n' } },
	twins => { key => ['id'], columns => { id => 'i', n => 'i', name => 't' } },
	secret => { key => ['id'], columns => { id => 'i', n => 'i', name => 't' } },
	plain => { key => ['id'], columns => { id => 'i', n => 'i', name => 't', v => 'n', d => 'd', u => 'u' } });
my @names = sort keys %tables;

$node->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE FUNCTION num(i int) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$SELECT lpad(to_hex(i), 32, '0')::uuid$$;
	CREATE TABLE items (id bigint PRIMARY KEY, junk text, n int, name text, v numeric, d date, u uuid);
	ALTER TABLE items DROP junk;
	INSERT INTO items SELECT g, nullif(g * 7 % 300, 0), 'n' || g % 100, CASE WHEN g % 9 <> 0 THEN g / 4.0 END,
		date '2026-01-01' + g % 50, num(g % 250) FROM generate_series(1, 300) g;
	ALTER TABLE items ADD late int DEFAULT 42;
	CREATE TABLE small (id smallint PRIMARY KEY, n bigint, name varchar(20));
	INSERT INTO small SELECT g, 300 - g, 'n' || g FROM generate_series(1, 100) g;
	CREATE TABLE pairs (a int, b text, n int, PRIMARY KEY (a, b));
	INSERT INTO pairs SELECT g % 20, 'n' || g / 20, g FROM generate_series(1, 300) g;
	CREATE TABLE texts (n int, k text PRIMARY KEY);
	INSERT INTO texts SELECT g, 'n' || g FROM generate_series(1, 100) g;
	CREATE TABLE nums (k numeric PRIMARY KEY, n int);
	INSERT INTO nums SELECT g / 4.0, g FROM generate_series(1, 300) g;
	CREATE TABLE uuids (k uuid PRIMARY KEY, n int);
	INSERT INTO uuids SELECT num(g), g FROM generate_series(1, 300) g;
	CREATE TABLE parts (id int PRIMARY KEY, n int, name text, v numeric) PARTITION BY RANGE (id);
	CREATE TABLE parts_0 (v numeric, name text, junk int, n int, id int NOT NULL);
	ALTER TABLE parts_0 DROP junk;
	ALTER TABLE parts ATTACH PARTITION parts_0 FOR VALUES FROM (MINVALUE) TO (100);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (100) TO (200);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (200) TO (MAXVALUE) PARTITION BY HASH (id);
	CREATE TABLE parts_2_0 PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT g, nullif(g % 50, 7), 'n' || g, g / 4.0 FROM generate_series(1, 300) g;
	CREATE TABLE twins (id int PRIMARY KEY, n int, name text) PARTITION BY RANGE (id);
	CREATE TABLE twins_0 PARTITION OF twins FOR VALUES FROM (MINVALUE) TO (100);
	CREATE TABLE twins_1 (name text, id int NOT NULL, n int);
	ALTER TABLE twins ATTACH PARTITION twins_1 FOR VALUES FROM (100) TO (200);
	CREATE TABLE twins_2 PARTITION OF twins FOR VALUES FROM (200) TO (MAXVALUE);
	INSERT INTO twins SELECT g, g / 2, 'n' || g FROM generate_series(1, 300, 2) g;
	CREATE TABLE secret (id int PRIMARY KEY, n int, name text);
	INSERT INTO secret SELECT g, g % 50, 'n' || g FROM generate_series(1, 200) g;
	CREATE TABLE plain (id int, n bigint, name text, v numeric, d date, u uuid);
	INSERT INTO plain SELECT nullif(g % 320, 5), g * 13 % 310, CASE WHEN g % 11 <> 0 THEN 'n' || g % 110 END,
		g / 4.0, date '2026-01-01' + g % 60, num(g) FROM generate_series(1, 200) g;
	ANALYZE;
	ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
	CREATE POLICY even ON secret USING (n % 2 = 0);
	CREATE ROLE reader;
	CREATE SEQUENCE joins;
	GRANT USAGE ON SEQUENCE joins TO reader;
	GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;

	-- rows of a query, or its error, under some settings
	CREATE FUNCTION rows_of(query text, parameters text, settings text[]) RETURNS text[] LANGUAGE plpgsql AS $$
	DECLARE
		setting text;
		line text;
		result text[];
	BEGIN
		FOREACH setting IN ARRAY settings LOOP
			PERFORM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), true);
		END LOOP;
		BEGIN
			EXECUTE 'PREPARE random_query (int, bigint, text, bigint[]) AS SELECT array_agg(q::text ORDER BY q::text) FROM (' || query || ') q';
			EXECUTE 'EXECUTE random_query ' || parameters INTO result;
			FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) EXECUTE random_query ' || parameters LOOP
				IF line ~ 'ItemCache Join' THEN
					PERFORM nextval('joins');
				END IF;
			END LOOP;
		-- how long a query takes, and whether a subquery is run at all and finds too many rows
		EXCEPTION WHEN query_canceled OR cardinality_violation THEN
			result := ARRAY['up to the plan'];
		WHEN OTHERS THEN
			result := ARRAY[SQLERRM];
		END;
		DEALLOCATE ALL;
		RETURN result;
	END $$;

	CREATE FUNCTION differs(query text, parameters text, VARIADIC settings text[]) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		usual text[] := ARRAY['enable_seqscan=on', 'enable_bitmapscan=on', 'enable_indexonlyscan=on',
			'enable_hashjoin=on', 'enable_mergejoin=on', 'enable_memoize=on'];
		preferred text[] := ARRAY['enable_seqscan=off', 'enable_bitmapscan=off', 'enable_indexonlyscan=off',
			'enable_hashjoin=off', 'enable_mergejoin=off', 'enable_memoize=off'];
		stored text[] := rows_of(query, parameters, settings || usual || ARRAY['itemcache.transparent=off']);
		cached text[];
	BEGIN
		FOR i IN 1..3 LOOP
			cached := rows_of(query, parameters, settings || CASE WHEN i < 3 THEN preferred ELSE usual END || ARRAY['itemcache.transparent=on']);
			IF cached IS DISTINCT FROM stored AND 'up to the plan' <> ALL (cached || stored) THEN
				RETURN format('DIFFERENCE (%s) for %s %s %s: %s rows cached %s, %s stored %s', i, query, parameters, settings,
					cardinality(cached), left(cached::text, 300), cardinality(stored), left(stored::text, 300));
			END IF;
		END LOOP;
		RETURN CASE WHEN cardinality(stored) = 1 AND stored[1] !~ '^\(' THEN 'error: ' || stored[1] || ' in ' || query ELSE '' END;
	END $$;
});
$node->safe_psql('postgres', "SELECT itemcache.attach('$_'); SELECT itemcache.preload('$_')")
  foreach grep { $_ ne 'plain' } @names;

sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }

my $aliases;

# A value of a type: a column in scope, a constant, a parameter, an expression.
sub value
{
	my ($type, $scope, $depth) = @_;
	my @columns;

	foreach my $entry (@$scope)
	{
		my ($alias, $columns) = @$entry;

		push @columns, map { "$alias.$_" } grep { $columns->{$_} eq $type } sort keys %$columns;
	}
	return pick(@columns) if @columns && chance(0.6);
	if ($type eq 'i')
	{
		return '(' . (int(rand(330)) - 5) . ')' if chance(0.4);
		return pick('$1', '$2', 'NULL::int', '99999999999', '$4[1]', '(' . (value('i', $scope, $depth) . ' + 1)')) if chance(0.6);
		return '(SELECT max(n) FROM small)' if chance(0.3) || $depth <= 0;
		my ($sub, $columns) = table_source();
		my $alias = 's' . $aliases++;
		return "(SELECT $alias." . pick_column($columns, 'i') . " FROM $sub $alias WHERE " . key_of($alias, $sub, $scope, $depth - 1) . ')';
	}
	return pick("'n" . int(rand(110)) . "'", '$3', 'NULL::text', "('n' || \$1)") if $type eq 't';
	return pick(int(rand(1300)) / 4, int(rand(80)) . '.00', 'NULL::numeric', '$1::numeric') if $type eq 'n';
	return "date '2026-01-" . (1 + int(rand(28))) . "'" if $type eq 'd';
	return pick('num(' . int(rand(300)) . ')', 'num($1)');
}

sub pick_column
{
	my ($columns, $type) = @_;

	return pick(grep { $columns->{$_} eq $type } sort keys %$columns);
}

sub table_source
{
	my $name = pick(@names);

	return ($name, $tables{$name}{columns});
}

# Equalities for the whole key of a table, with what is in scope.
sub key_of
{
	my ($alias, $name, $scope, $depth) = @_;
	my $table = $tables{$name};
	my @key = @{ $table->{key} };
	my @clauses;

	if (@key == 1 && $table->{columns}{ $key[0] } eq 'i' && chance(0.2))
	{
		my $list = chance(0.4)
		  ? "ANY (\$4)"
		  : chance(0.5)
		  ? 'ANY (ARRAY[' . join(', ', map { value('i', $scope, 0) } 1 .. 3) . '])'
		  : '(' . 0;
		$list = 'IN (' . join(', ', map { int(rand(320)) } 1 .. 1 + rand(6)) . ')' if $list =~ /^\(/;
		return "$alias.$key[0] " . ($list =~ /^IN/ ? $list : "= $list");
	}
	return '(' . join(', ', map { "$alias.$_" } @key) . ') = (' . join(', ', map { value($table->{columns}{$_}, $scope, $depth) } @key) . ')'
	  if @key > 1 && chance(0.3);
	foreach my $column (@key)
	{
		my $value = value($table->{columns}{$column}, $scope, $depth);

		push @clauses, chance(0.8) ? "$alias.$column = $value" : "$value = $alias.$column";
	}
	return join ' AND ', @clauses;
}

sub predicate
{
	my ($scope, $depth) = @_;
	my $kind = rand();

	# rows and system columns, of which an outer join can make NULL
	if (@$scope && chance(0.06))
	{
		my ($alias) = @{ pick(@$scope) };
		return pick("$alias IS NOT NULL", "$alias IS NULL", "${alias}::text <> '()'",
			"$alias.tableoid IS NOT NULL", "$alias.ctid IS NULL", "$alias.xmin IS NOT NULL");
	}
	if ($kind < 0.5 || $depth <= 0)
	{
		my $type = pick('i', 'i', 't', 'n', 'd');
		my $left = value($type, $scope, 0);
		return "$left IS " . (chance(0.5) ? 'NOT ' : '') . 'NULL' if chance(0.2);
		return "coalesce($left, " . value($type, $scope, 0) . ') ' . pick('=', '<', '>=') . ' ' . value($type, $scope, 0) if chance(0.15);
		return "$left " . pick('=', '<', '>', '<=', '<>') . ' ' . value($type, $scope, 0);
	}
	if ($kind < 0.65)
	{
		return '(' . predicate($scope, $depth - 1) . pick(' AND ', ' OR ') . predicate($scope, $depth - 1) . ')';
	}
	if ($kind < 0.7)
	{
		return 'NOT ' . '(' . predicate($scope, $depth - 1) . ')';
	}
	my ($name, $columns) = table_source();
	my $alias = 'e' . $aliases++;
	my $inner = [ @$scope, [ $alias, $columns ] ];
	my $where = key_of($alias, $name, $scope, 0) . (chance(0.4) ? ' AND ' . predicate($inner, 0) : '');
	return (chance(0.4) ? 'NOT ' : '') . "EXISTS (SELECT FROM $name $alias WHERE $where)" if $kind < 0.9;
	return value('i', $scope, 0) . (chance(0.3) ? ' NOT' : '') . " IN (SELECT $alias." . pick_column($columns, 'i') . " FROM $name $alias WHERE $where)";
}

sub query
{
	my ($depth, $outer) = @_;
	my ($name, $columns) = table_source();
	my $alias = 'x' . $aliases++;
	my @scope = ([ $alias, $columns ]);
	my $from = "$name $alias";
	my @where;
	my $first = $alias;

	push @where, key_of($alias, $name, $outer, $depth - 1) if chance($depth > 1 ? 0.25 : 0.7) || @$outer;
	foreach (1 .. int(rand($depth + 1)))
	{
		($name, $columns) = table_source();
		$alias = 'x' . $aliases++;
		if (chance(0.15) && $depth > 1)
		{
			my $sub = query(0, [@scope]);
			$from .= (chance(0.5) ? ' LEFT JOIN' : ' JOIN') . " LATERAL ($sub) $alias (c, i) ON true";
			push @scope, [ $alias, { i => 'i' } ];
			next;
		}
		my $join = pick('JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
		if ($join eq 'FULL JOIN')
		{
			my ($other, $theirs) = @{ $scope[0] };
			$from .= " FULL JOIN $name $alias ON $alias." . pick_column($columns, 'i') . " = $other." . pick_column($theirs, 'i');
		}
		else
		{
			my $source = chance(0.1) ? "(SELECT * FROM $name WHERE " . predicate([ [ $name, $columns ] ], 0) . (chance(0.3) ? ' OFFSET 0' : '') . ')' : $name;
			# against all that is there, also against one side only
			$from .= " $join $source $alias ON " . key_of($alias, $name, \@scope, 0);
			$from .= ' AND ' . predicate([ @scope, [ $alias, $columns ] ], 0) if chance(0.3);
		}
		push @scope, [ $alias, $columns ];
	}
	push @where, predicate([ @$outer, @scope ], $depth) while chance(0.35);

	my @targets = (pick("$first", map { value(pick('i', 't', 'n'), \@scope, $depth - 1) } 1 .. 2));
	push @targets, pick('i', 't', 'd', 'n') eq 'i' ? "$first.ctid::text" : value('t', \@scope, 0) if $depth > 0 && chance(0.3) && $from !~ /^(?:x)/;
	@targets = ($targets[0] . '::text', value('i', \@scope, 0)) if $depth == 0;
	my $sql = 'SELECT ' . join(', ', map { my $t = $_; $t } @targets) . " FROM $from";
	$sql .= ' WHERE ' . join(' AND ', @where) if @where;
	return $sql;
}

sub whole_query
{
	my $depth = 1 + int(rand(3));
	my $kind = rand();

	$aliases = 0;
	return 'SELECT count(*), sum(z.i), min(z.c) FROM (' . query(0, []) . ') z (c, i)' if $kind < 0.1;
	return query(0, []) . ' UNION ALL ' . query(0, []) if $kind < 0.2;
	return 'WITH w (c, i) AS ' . pick('', 'MATERIALIZED ') . '(' . query(0, []) . ') SELECT w.c, y.id FROM w ' . pick('', 'LEFT ') . 'JOIN ' . pick('items', 'parts', 'small', 'twins') . ' y ON y.id = w.i'
	  if $kind < 0.3;
	return query($depth, []);
}

# One session; whatever it says besides nothing is wrong.
my @changes = (
	'UPDATE items SET n = n + 1 WHERE id % 7 = 3',
	'UPDATE items SET id = -id WHERE id = 17; UPDATE items SET id = -id WHERE id = -17',
	'DELETE FROM pairs WHERE n % 17 = 3',
	"INSERT INTO pairs SELECT g % 20, 'n' || g / 20, g FROM generate_series(1, 300) g ON CONFLICT DO NOTHING",
	'UPDATE parts SET id = 1000 - id WHERE id IN (150, 850)', 'UPDATE parts SET name = name || 1 WHERE id % 5 = 0',
	'UPDATE twins SET n = NULL WHERE id = 11', 'UPDATE secret SET n = n + 1 WHERE id % 3 = 0',
	'ALTER TABLE items ADD extra int DEFAULT 7', 'ALTER TABLE items DROP extra',
	'VACUUM items', 'ANALYZE', 'VACUUM FULL parts_1', 'REINDEX TABLE pairs',
	q{SELECT itemcache.clear('items')}, q{SELECT itemcache.clear()}, q{SELECT itemcache.preload('items')}, q{SELECT itemcache.preload('parts')},
	q{SELECT itemcache.detach('texts')}, q{SELECT itemcache.attach('texts')},
	'ALTER TABLE nums DISABLE TRIGGER itemcache; UPDATE nums SET n = n + 1; ALTER TABLE nums ENABLE ALWAYS TRIGGER itemcache');
my $done = 0;
my $errors = 0;
my @differences;
while ($done < $queries && @differences < 5)
{
	my $sql = "SET statement_timeout = '5s';\nSET client_min_messages = error;\n";
	my $change = pick(@changes);
	my ($before, $after) = ('', '');

	# the writer itself, before it has committed
	($before, $after) = ("BEGIN;\n", pick("ROLLBACK;\n", "COMMIT;\n")) if $change =~ /^(?:UPDATE|DELETE|INSERT)/ && chance(0.4);
	$before = 'BEGIN ISOLATION LEVEL ' . pick('REPEATABLE READ', 'SERIALIZABLE') . ";\n" if $before ne '' && chance(0.3);
	$sql .= "$before\\o /dev/null\n$change;\n\\o\n";
	$sql .= "SET ROLE reader;\n" if chance(0.4);
	foreach (1 .. 25)
	{
		my @settings = ('plan_cache_mode=' . pick('force_generic_plan', 'force_custom_plan'),
			'enable_partitionwise_join=' . pick('on', 'off'),
			'max_parallel_workers_per_gather=' . pick(0, 0, 2));
		push @settings, 'jit=on' if chance(0.05);
		push @settings, 'parallel_setup_cost=0', 'parallel_tuple_cost=0', 'min_parallel_table_scan_size=0' if $settings[2] =~ /2/;
		my $parameters = sprintf "(%s, %s, %s, %s)",
		  pick('NULL', map { int(rand(310)) } 1 .. 5), pick('NULL', map { int(rand(310)) } 1 .. 5),
		  pick('NULL', map { "'n" . int(rand(110)) . "'" } 1 .. 5),
		  pick('NULL', "'{}'", map { q{'} . '{' . join(',', map { chance(0.1) ? 'NULL' : int(rand(320)) } 1 .. rand(9)) . '}' . q{'} } 1 .. 5);
		$sql .= sprintf "SELECT differs(\$q\$%s\$q\$, \$p\$%s\$p\$, %s);\n", whole_query(), $parameters, join ', ', map { "'$_'" } @settings;
		$done++;
	}
	$sql .= "RESET ROLE;\n$after";
	my ($rc, $out, $err) = $node->psql('postgres', $sql, extra_params => ['-q']);
	push @differences, grep { /DIFFERENCE/ } split /\n/, $out;
	my @failed = grep { /^error/ } split /\n/, $out;
	$errors += @failed;
	note $failed[0] if @failed;
	push @differences, "$err in: $sql" if $err ne '' && $err !~ /does not exist|already exists/;
	last if $rc == 2;			# the server has crashed
}

is(join("\n", @differences), '', "no difference in $done queries") or diag("seed $seed");
cmp_ok($errors, '<', $done / 5, "most queries have no error ($errors have)");
my ($hits, $lookups) = split /\|/, $node->safe_psql('postgres', 'SELECT hits, hits + misses + bypasses FROM itemcache.stats');
my $joins = $node->safe_psql('postgres', 'SELECT last_value FROM joins');
diag("$done queries, $errors of them errors; $lookups lookups, $hits hits; $joins lookup joins");
cmp_ok($hits, '>', $done, 'the cache was used');
cmp_ok($joins, '>', $done / 40, 'lookup joins were planned');
unlike(log_from($node), qr/PANIC|TRAP|terminated by signal/, 'no crash');
$node->stop;

done_testing();
