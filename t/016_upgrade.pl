# Protects: the upgrade script: a database of version 1.0 goes on working with this library, and ends like a new one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('upgrade');
$node->start;
my $default = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'itemcache'});

# What belongs to the extension: definitions, comments and privileges, by name.
my $catalog = q{
	SELECT pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name),
		(SELECT pg_get_functiondef(p.oid) || p.proacl::text FROM pg_proc p WHERE classid = 'pg_proc'::regclass AND p.oid = objid AND p.prokind = 'f'),
		(SELECT pg_get_viewdef(c.oid) || c.relacl::text FROM pg_class c WHERE classid = 'pg_class'::regclass AND c.oid = objid AND c.relkind = 'v'),
		(SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(col_description(a.attrelid, a.attnum), '-'), '; ' ORDER BY a.attnum)
			FROM pg_attribute a WHERE classid = 'pg_class'::regclass AND a.attrelid = objid AND a.attnum > 0),
		(SELECT nspacl::text FROM pg_namespace n WHERE classid = 'pg_namespace'::regclass AND n.oid = objid)
	FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'itemcache')
	ORDER BY 1};

my $schema = q{
	CREATE TABLE items (id int PRIMARY KEY, name text);
	INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, 100) g;
	CREATE TABLE parts (id int PRIMARY KEY, name text) PARTITION BY HASH (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT g, 'part ' || g FROM generate_series(1, 100) g};

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach ('old', 'new');
$node->safe_psql('old', "CREATE EXTENSION itemcache VERSION '1.0'; $schema");
$node->safe_psql('new', "CREATE EXTENSION itemcache; $schema");

sub goes_on
{
	my ($what) = @_;

	is($node->safe_psql('old', q{SELECT itemcache.attach('items'), itemcache.attach('parts')}), 'served|served', "$what: attach");
	is_exact($node, 'old', $_, 0, 101, "$what: $_ is exact") foreach ('items', 'parts');
	is_cached($node, 'old', $_, 1, 100, 100, "$what: $_ is cached") foreach ('items', 'parts');
	is($node->safe_psql('old', q{SELECT FROM itemcache.put((1, 'changed')::items); SELECT (itemcache.get(NULL::items, 1)).name}), "changed", "$what: put and get");
	is($node->safe_psql('old', q{SELECT count(*) FROM itemcache.get_many(NULL::items, ARRAY[1, 2, 200]::bigint[]) g WHERE g.id IS NOT NULL}), '2', "$what: get_many");
	is($node->safe_psql('old', q{SELECT items >= 200, preloader IS NOT NULL FROM itemcache.stats}), 't|t', "$what: stats");
	is($node->safe_psql('old', q{SELECT relid, state FROM itemcache.tables WHERE leaf_of IS NULL ORDER BY 1}), "items|served\nparts|served", "$what: tables");
	is($node->safe_psql('old', q{SELECT count(*) FROM itemcache.preload_progress WHERE state NOT IN ('loading', 'done')}), '0', "$what: preload_progress");
	is($node->safe_psql('old', q{SET itemcache.transparent = on; SELECT name FROM items WHERE id = 7}), 'item 7', "$what: plain SELECT");
	is($node->safe_psql('old', q{SELECT itemcache.delete(NULL::items, 1); INSERT INTO items VALUES (1, 'item 1'); SELECT itemcache.clear('items'); SELECT itemcache.preload('items')}),
		"t\n\n100", "$what: delete, clear, preload");
	is($node->safe_psql('old', q{SELECT itemcache.clear(); SELECT itemcache.preload('items')}), "\n100", "$what: clear all");
}

goes_on('1.0');
$node->safe_psql('old', q{ALTER EXTENSION itemcache UPDATE});
is($node->safe_psql('old', q{SELECT extversion FROM pg_extension WHERE extname = 'itemcache'}), $default, "updated to $default");
is($node->safe_psql('old', $catalog), $node->safe_psql('new', $catalog), 'the catalog is that of a new one');
goes_on($default);
$node->restart;
goes_on("$default after a restart");
$node->safe_psql('old', 'DROP EXTENSION itemcache CASCADE');
is($node->safe_psql('old', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'itemcache'}), '0', 'and it can be dropped');

$node->stop;
done_testing();
