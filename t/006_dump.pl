# Protects: pg_dump carries the registration: restored tables are attached with the same options, and a data-only restore that disables triggers is never served stale.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('dump');
my $dir = $node->basedir;
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE DATABASE source;
	CREATE DATABASE restored;
	CREATE DATABASE plain;
});
$node->safe_psql(
	'source', q{
	CREATE EXTENSION itemcache;
	CREATE SCHEMA "Odd schema";
	CREATE TABLE a (id bigint PRIMARY KEY, name text);
	CREATE TABLE b (id int PRIMARY KEY, name text);
	CREATE TABLE "Odd schema"."Odd table" (id int PRIMARY KEY, name text);
	CREATE TABLE parts (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (100) TO (1000) PARTITION BY HASH (id);
	CREATE TABLE parts_1_0 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts_1_1 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE not_attached (id int PRIMARY KEY);
	INSERT INTO a SELECT i, 'a' || i FROM generate_series(1, 200) i;
	INSERT INTO b SELECT i, 'b' || i FROM generate_series(1, 200) i;
	INSERT INTO "Odd schema"."Odd table" SELECT i, 'o' || i FROM generate_series(1, 200) i;
	INSERT INTO parts SELECT i, 'p' || i FROM generate_series(1, 200) i;
	SELECT itemcache.attach('a');
	CREATE UNIQUE INDEX ON b (lower(name), id) WHERE id > 0;
	SELECT itemcache.attach('b', preload => false, aliases => '{"{lower(name),id} WHERE id > 0"}');
	SELECT itemcache.attach('"Odd schema"."Odd table"', cache_new => false);
	SELECT itemcache.attach('parts', preload => false, cache_new => false, aliases => 'all');
});

my $options = q{SELECT relid, leaf_of, state, served, preload, cache_new, preload_aliases, missing_aliases FROM itemcache.tables ORDER BY relid::text};
my $want = $node->safe_psql('source', $options);
is($node->safe_psql('source', q{SELECT count(*) FILTER (WHERE leaf_of IS NULL), count(*) FILTER (WHERE relkind = 'r' AND leaf_of = 'parts'::regclass)
		FROM itemcache.tables JOIN pg_class c ON c.oid = relid}),
	'4|3', 'tables and leaves are listed');

foreach my $case ([ 'restored', 'custom' ], [ 'plain', 'plain' ])
{
	my ($db, $format) = @$case;
	my $file = "$dir/dump.$format";

	$node->command_ok([ 'pg_dump', "--format=$format", '--file', $file, $node->connstr('source') ], "$format: dump");
	$node->command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', $file ]
		: [ 'pg_restore', '--exit-on-error', '-d', $node->connstr($db), $file ],
		"$format: restore");
	is($node->safe_psql($db, $options), $want, "$format: attached again with the same options");
	foreach my $table ('a', 'b', '"Odd schema"."Odd table"', 'parts')
	{
		is_exact($node, $db, $table, 0, 201, "$format: $table");
		is_cached($node, $db, $table, 1, 200, 200, "$format: $table is cached");
		$node->safe_psql($db, "UPDATE $table SET name = 'changed' WHERE id % 2 = 0");
		is_exact($node, $db, $table, 0, 201, "$format: $table after an update");
	}

	# The same tables in another database are other tables.
	is($node->safe_psql('source', q{SELECT (itemcache.get(NULL::a, 2)).name}), 'a2', "$format: the source is untouched");
}

#
# Data only, with the triggers disabled meanwhile: ENABLE TRIGGER ALL leaves
# ours in another state than ALWAYS, and what is not ALWAYS is not served.
#
my $data = "$dir/data.dump";
$node->command_ok([ 'pg_dump', '--format=custom', '--data-only', '--file', $data, $node->connstr('source') ], 'data-only dump');
foreach my $table ('a', 'parts')
{
	$node->safe_psql('restored', "SELECT count(itemcache.get(NULL::$table, k)) FROM generate_series(1, 200) k; DELETE FROM $table WHERE id <= 200");
}
$node->command_ok(
	[
		'pg_restore', '--exit-on-error', '--data-only', '--disable-triggers', '-t', 'a', '-t', 'parts_0', '-t', 'parts_1_0',
		'-t', 'parts_1_1', '-d', $node->connstr('restored'), $data
	],
	'data-only restore with triggers disabled');
foreach my $table ('a', 'parts')
{
	is_exact($node, 'restored', $table, 0, 201, "$table after a restore with triggers disabled");
	$node->safe_psql('restored', "SET session_replication_role = replica; UPDATE $table SET name = 'silent' WHERE id % 5 = 0");
	is_exact($node, 'restored', $table, 0, 201, "$table after a silent write");
}
is($node->safe_psql('restored', q{SELECT served FROM itemcache.tables WHERE relid = 'a'::regclass}), 'f', 'not served until it is attached again');
like($node->safe_psql('restored', q{SELECT state FROM itemcache.tables WHERE relid = 'a'::regclass}), qr/trigger|disabled|ALWAYS/i, 'and the view says why');
foreach my $table ('a', 'parts')
{
	$node->safe_psql('restored', "SELECT itemcache.attach('$table')");
	is_exact($node, 'restored', $table, 0, 201, "$table attached again");
	is_cached($node, 'restored', $table, 1, 200, 200, "$table served again");
	$node->safe_psql('restored', "SET session_replication_role = replica; UPDATE $table SET name = 'not silent' WHERE id % 5 = 0");
	is_exact($node, 'restored', $table, 0, 201, "$table: no write is silent now");
}
is($node->safe_psql('restored', q{SELECT bool_and(served) FROM itemcache.tables WHERE leaf_of IS NOT NULL}), 't', 'the leaves were repaired with their root');

# A table that was dropped comes back under another OID.
my $one = "$dir/b.sql";
$node->command_ok([ 'pg_dump', '--table=b', '--file', $one, $node->connstr('source') ], 'dump of one table');
$node->safe_psql('restored', 'DROP TABLE b');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $one ], 'restore of one table');
is_exact($node, 'restored', 'b', 0, 201, 'restored under another OID');
is_cached($node, 'restored', 'b', 1, 200, 200, 'and served');

#
# By a role that is not a superuser, into a database where the extension is: all
# that the extension owns, its schema too, is left to it.  (The comment on the
# extension is its owner's, as of any extension.)
#
$node->safe_psql('postgres', 'CREATE ROLE restorer LOGIN; CREATE DATABASE owned OWNER restorer');
$node->safe_psql('owned', 'CREATE EXTENSION itemcache');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--no-owner', '--no-comments', '-U', 'restorer', '-d', $node->connstr('owned'), "$dir/dump.custom" ],
	'restore by the owner of the database');
is($node->safe_psql('owned', $options), $want, 'attached again by the owner of the database');
is_exact($node, 'owned', 'parts', 0, 201, 'restored by the owner of the database');

# The schema is the extension's: nothing of it stays behind, and it can come back.
$node->safe_psql('owned', 'DROP EXTENSION itemcache CASCADE');
is($node->safe_psql('owned', q{SELECT to_regnamespace('itemcache') IS NULL}), 't', 'the schema went with the extension');
$node->command_ok(
	[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('owned'), '-c', 'CREATE EXTENSION itemcache WITH SCHEMA pg_catalog' ],
	'and comes back as pg_dump says it');

$node->stop;
unlike(log_from($node), qr/PANIC|TRAP|terminated by signal/, 'no crash');

done_testing();
