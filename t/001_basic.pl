# Protects: without shared_preload_libraries every function fails with the documented error and nothing crashes; with it a table attached before is cached again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('basic', preload => '');
$node->start;

#
# Not preloaded
#
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text);
	INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 100) i;
});

my %calls = (
	'attach' => q{itemcache.attach('items')},
	'detach' => q{itemcache.detach('items')},
	'clear' => q{itemcache.clear()},
	'preload' => q{itemcache.preload('items')},
	'get' => q{itemcache.get(NULL::items, 1)},
	'get_many' => q{itemcache.get_many(NULL::items, ARRAY[1, 2])},
	'stats_get' => q{* FROM itemcache.stats},
	'tables_get' => q{* FROM itemcache.tables},
	'preload_progress_get' => q{* FROM itemcache.preload_progress});

# Functions that came later are called by name: NULLs of their types.
my $others = $node->safe_psql(
	'postgres', q{
	SELECT p.proname || '|' || p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = 'itemcache'::regnamespace AND p.prorettype <> 'trigger'::regtype
	ORDER BY 1});
my %named = map { (split /\|/)[0] => 1 } split /\n/, $others;
is_deeply(
	[ grep { !exists $named{$_} } sort keys %calls ],
	[], 'the extension has the documented functions');
$calls{put} = q{itemcache.put(ROW(1, 'x')::items)} if $named{put};
$calls{put_many} = q{itemcache.put_many(ARRAY[ROW(1, 'x')::items])}
  if $named{put_many};
$calls{delete} = q{itemcache.delete(NULL::items, 1)} if $named{delete};
$calls{get_by} = q{itemcache.get_by(NULL::items, 'id', 1)} if $named{get_by};
$calls{get_many_by} = q{itemcache.get_many_by(NULL::items, 'id', ARRAY[1, 2])} if $named{get_many_by};
$calls{reset_stats} = q{itemcache.reset_stats('items')} if $named{reset_stats};
is_deeply([ grep { !exists $calls{$_} } sort keys %named ],
	[], 'every function is tested without the library');

my @calls = map { $calls{$_} } sort keys %calls;
push @calls, q{itemcache.get(NULL::items, '1'::text)},
  q{itemcache.get(NULL::items, gen_random_uuid())},
  q{itemcache.get(NULL::items, ROW(1))},
  q{itemcache.get_many(NULL::items, ARRAY['1'])},
  q{itemcache.get_many(NULL::items, ARRAY[gen_random_uuid()])},
  q{itemcache.clear('items')};
foreach my $call (@calls)
{
	my ($state, $text) = sql_error($node, 'postgres', "SELECT $call");

	is($state, '55000', "$call: SQLSTATE without the library preloaded");
	like($text, qr/HINT:.*shared_preload_libraries/, "$call: hint");
}

# The trigger does nothing, quietly.
$node->safe_psql(
	'postgres', q{
	CREATE TRIGGER itemcache AFTER INSERT OR UPDATE OR DELETE ON items
		FOR EACH ROW EXECUTE FUNCTION itemcache.track();
	ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
	INSERT INTO items VALUES (101, 'new');
	UPDATE items SET id = 102 WHERE id = 101;
	DELETE FROM items WHERE id = 102;
	BEGIN; UPDATE items SET name = name; TRUNCATE items; ROLLBACK;
	BEGIN; UPDATE items SET name = name; PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p';
	DROP TRIGGER itemcache ON items;
});
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'),
	'100', 'the trigger does nothing without the library');
$node->psql('postgres', q{LOAD 'itemcache'; SELECT 1});
is($node->safe_psql('postgres', 'SELECT 1'),
	'1', 'LOAD of the library does no harm');

#
# Preloaded
#
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'itemcache'
itemcache.memory = '16MB'
});
$node->restart;
$node->safe_psql('postgres', q{SELECT itemcache.attach('items')});
is($node->safe_psql('postgres', q{SELECT served, state, preload, cache_new FROM itemcache.tables}),
	't|served|t|t', 'attached table is served');
is($node->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 42)).name}),
	'item 42', 'lookup');
is_exact($node, 'postgres', 'items', 0, 101, 'lookups before the restart');
is_cached($node, 'postgres', 'items', 1, 100, 100, 'all of it is cached');

$node->restart;
is($node->safe_psql('postgres', q{SELECT served, state FROM itemcache.tables}),
	't|served', 'attached after a restart');
$node->poll_query_until('postgres',
	q{SELECT state = 'done' FROM itemcache.preload_progress})
  or die 'preload did not end';
is($node->safe_psql('postgres', q{SELECT items FROM itemcache.tables}),
	'100', 'loaded after the restart');
is_cached($node, 'postgres', 'items', 1, 100, 100, 'and served from the cache');
is_exact($node, 'postgres', 'items', 0, 101, 'lookups after the restart');

# Memory is what the setting says, and never more.
is( $node->safe_psql('postgres',
		q{SELECT memory <= pg_size_bytes(current_setting('itemcache.memory'))
		  AND memory_used <= memory AND items <= capacity FROM itemcache.stats}),
	't', 'the cache takes no more than itemcache.memory');

# Without the library again: the trigger is there, and does nothing.
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->restart;
$node->safe_psql('postgres', q{
	UPDATE items SET name = 'changed' WHERE id = 42;
	DELETE FROM items WHERE id = 43;
	INSERT INTO items VALUES (101, 'item 101')});
my ($state) = sql_error($node, 'postgres', 'SELECT itemcache.get(NULL::items, 42)');
is($state, '55000', 'no lookups without the library');
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'itemcache'});
$node->restart;
is_exact($node, 'postgres', 'items', 0, 102, 'what was written meanwhile is seen');
is($node->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 42)).name}),
	'changed', 'and the lookup says so');

# DROP EXTENSION takes the registration with it, and it can come back.
$node->safe_psql('postgres', q{DROP EXTENSION itemcache CASCADE});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}),
	'0', 'DROP EXTENSION CASCADE removes the trigger');
$node->safe_psql('postgres', q{
	UPDATE items SET name = 'while away' WHERE id = 42;
	CREATE EXTENSION itemcache;
	SELECT itemcache.attach('items', preload => false, cache_new => false)});
is($node->safe_psql('postgres', q{SELECT served, preload, cache_new FROM itemcache.tables}),
	't|f|f', 'attached again with other options');
is_exact($node, 'postgres', 'items', 0, 102, 'nothing of the time before is left');

# No memory to speak of, which is enough for few connections.
$node->stop;
my $minimum = '1MB';
$node->append_conf('postgresql.conf', "itemcache.memory = '$minimum'\nitemcache.max_items = 100\nmax_connections = 15");
$node->start;
is_exact($node, 'postgres', 'items', 0, 102, 'a small cache');

$node->stop;
unlike(log_from($node), qr/PANIC|TRAP|terminated by signal/, 'no crash');

done_testing();
