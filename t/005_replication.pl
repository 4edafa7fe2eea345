# Protects: logical apply keeps the subscriber's cache exact; a standby caches nothing until it is promoted (rule 0).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = new_server('publisher', allows_streaming => 'logical');
my $subscriber = new_server('subscriber', allows_streaming => 'logical');
$publisher->start;
$subscriber->start;

#
# Logical replication
#
my $ddl = q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text, wide text);
	ALTER TABLE items ALTER wide SET STORAGE EXTERNAL;
	CREATE TABLE parts (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100);
	CREATE TABLE parts_1 (name text, id bigint NOT NULL);
	ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (100) TO (1000);
};
$publisher->safe_psql('postgres', $ddl);
$subscriber->safe_psql('postgres', $ddl);
$subscriber->safe_psql('postgres', q{
	SELECT itemcache.attach('items'); SELECT itemcache.attach('parts');
	CREATE TABLE seen (n int);
	CREATE FUNCTION ordinary() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (1); RETURN NULL; END';
	CREATE TRIGGER ordinary AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION ordinary()});
$publisher->safe_psql('postgres', q{
	INSERT INTO items SELECT i, 'item ' || i, repeat('w', 3000) FROM generate_series(1, 200) i;
	INSERT INTO parts SELECT i, 'part ' || i FROM generate_series(1, 200) i;
	CREATE PUBLICATION everything FOR TABLE items, parts});
my $connstr = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION everything CONNECTION '$connstr' PUBLICATION everything");
$subscriber->wait_for_subscription_sync($publisher, 'everything');

sub applied
{
	my ($name) = @_;

	$publisher->wait_for_catchup('everything');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_exact($subscriber, 'postgres', 'items', 0, 1000, "$name: items");
	is_exact($subscriber, 'postgres', 'parts', 0, 1000, "$name: parts");

	# Not only the same as the subscriber's table, but what was sent.
	my $sql = q{SELECT md5(string_agg(i::text, '' ORDER BY k)) FROM generate_series(0, 1000) k,
		LATERAL (SELECT itemcache.get(NULL::items, k) AS i OFFSET 0) s};
	my $theirs = q{SELECT md5(string_agg(i::text, '' ORDER BY id)) FROM items i};
	is($subscriber->safe_psql('postgres', $sql), $publisher->safe_psql('postgres', $theirs), "$name: as published");
}

applied('first copy');
is_cached($subscriber, 'postgres', 'items', 1, 200, 200, 'cached on the subscriber');
is_cached($subscriber, 'postgres', 'parts', 1, 200, 200, 'leaves too');

# An old snapshot, as ever, keeps seeing what it saw.
my $old = $subscriber->background_psql('postgres');
my $before = $old->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT string_agg(itemcache.get(NULL::parts, k)::text, ',') FROM generate_series(1, 200) k});

$publisher->safe_psql('postgres', q{
	UPDATE items SET name = 'changed' WHERE id % 3 = 0;
	UPDATE items SET wide = repeat('z', 4000) WHERE id % 10 = 0;
	UPDATE parts SET name = 'changed' WHERE id % 3 = 0});
applied('update');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM seen'), '0', 'an ordinary trigger does not fire here');

$publisher->safe_psql('postgres', q{
	DELETE FROM items WHERE id % 7 = 0; DELETE FROM parts WHERE id % 7 = 0;
	UPDATE items SET id = id + 500 WHERE id % 11 = 0;
	UPDATE parts SET id = id + 500 WHERE id % 11 = 0;
	UPDATE parts SET id = 205 WHERE id = 5});
applied('delete and key change');
is($old->query_safe(q{SELECT string_agg(itemcache.get(NULL::parts, k)::text, ',') FROM generate_series(1, 200) k}),
	$before, 'an old snapshot on the subscriber');
$old->query_safe('COMMIT');
$old->quit;

$publisher->safe_psql('postgres', q{
	BEGIN; UPDATE items SET name = 'gone'; TRUNCATE items; INSERT INTO items SELECT i, 'again', 'w' FROM generate_series(1, 50) i; COMMIT});
applied('truncate');
$publisher->safe_psql('postgres', q{TRUNCATE parts_1});
applied('truncate of a leaf');
$publisher->safe_psql('postgres', q{
	BEGIN; INSERT INTO items VALUES (900, 'a'); SAVEPOINT s; UPDATE items SET name = 'b' WHERE id = 900; ROLLBACK TO s;
	UPDATE items SET name = 'c' WHERE id = 900; COMMIT;
	BEGIN; UPDATE items SET name = 'never'; ROLLBACK});
applied('savepoint and rollback');
$publisher->safe_psql('postgres', q{UPDATE items SET name = 'big' || id; UPDATE parts SET name = 'big' || id});
applied('all rows');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION everything');
$subscriber->stop;

#
# A physical standby
#
my $primary = $publisher;
my $standby = PostgreSQL::Test::Cluster->new('standby');
$primary->safe_psql('postgres', q{
	SELECT itemcache.attach('items'); SELECT itemcache.attach('parts');
	UPDATE items SET name = 'primary'});
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub replayed
{
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
}

replayed();
foreach my $i (1 .. 3)
{
	is_exact($standby, 'postgres', 'items', 0, 1000, "standby, pass $i");
	is_exact($standby, 'postgres', 'parts', 0, 1000, "standby, leaves, pass $i");
	$primary->safe_psql('postgres', "UPDATE items SET name = 'pass $i'; UPDATE parts SET name = 'pass $i'");
	replayed();
}
is($standby->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 1)).name}),
	'pass 3', 'a standby answers with the replayed row');
is($standby->safe_psql('postgres', 'SELECT items, hits, fills, publishes FROM itemcache.stats'),
	'0|0|0|0', 'a standby caches nothing and serves nothing');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM itemcache.preload_progress}),
	'0', 'a standby loads nothing');
my ($state) = sql_error($standby, 'postgres', q{SELECT itemcache.preload('items')});
isnt($state, '', 'preload() is refused on a standby');
is((sql_error($standby, 'postgres', "SELECT itemcache.$_('items')"))[0], '25006', "$_() is refused on a standby") foreach ('attach', 'detach');
is($standby->safe_psql('postgres', q{SELECT DISTINCT state, served FROM itemcache.tables}), 'in recovery|f', 'and itemcache.tables says why');
$standby->psql('postgres', q{SELECT itemcache.clear()});
is($standby->safe_psql('postgres', 'SELECT items FROM itemcache.stats'), '0', 'still nothing');

# A transaction prepared on the primary is inherited by the promoted standby.
$primary->safe_psql('postgres', q{
	BEGIN; UPDATE items SET name = 'prepared' WHERE id = 7; DELETE FROM items WHERE id = 8; PREPARE TRANSACTION 'inherited'});
replayed();

# A snapshot that was taken in recovery must not be served nor fill.
my $recovery = $standby->background_psql('postgres');
$recovery->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT (itemcache.get(NULL::items, 1)).name});
$primary->safe_psql('postgres', q{UPDATE items SET name = 'last' WHERE id = 1});
replayed();
$primary->stop;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
is($recovery->query_safe(q{SELECT (itemcache.get(NULL::items, 1)).name}), 'pass 3', 'a snapshot taken in recovery, after promotion');
$standby->poll_query_until('postgres',
	q{SELECT count(*) FILTER (WHERE state = 'done') = 3 FROM itemcache.preload_progress})
  or die 'preload does not start on promotion';
pass('the preload starts on promotion');
is($recovery->query_safe(q{SELECT (itemcache.get(NULL::items, 1)).name}), 'pass 3', 'and after the preload');
is_exact($standby, 'postgres', 'items', 0, 1000, 'promoted');
is_cached($standby, 'postgres', 'items', 20, 50, 31, 'promoted: cached');
$recovery->query_safe(q{COMMIT});
is($recovery->query_safe(q{SELECT (itemcache.get(NULL::items, 1)).name}), 'last', 'that session sees the present now');
$recovery->quit;
is($standby->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 7)).name, (itemcache.get(NULL::items, 8)).name}),
	'pass 3|pass 3', 'promoted: the prepared transaction is not seen');
$standby->safe_psql('postgres', q{COMMIT PREPARED 'inherited'; UPDATE items SET name = 'after' WHERE id = 9});
is_exact($standby, 'postgres', 'items', 0, 1000, 'promoted: after COMMIT PREPARED');
is($standby->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 7)).name, (itemcache.get(NULL::items, 8)).name, (itemcache.get(NULL::items, 9)).name}),
	'prepared||after', 'promoted: written rows');
$standby->stop;

foreach my $node ($publisher, $subscriber, $standby)
{
	unlike(log_from($node), qr/PANIC|TRAP|terminated by signal/, $node->name . ': no crash');
}

done_testing();
