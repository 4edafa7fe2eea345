# Protects: logical apply keeps the subscriber's cache exact (rule 3).

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

foreach my $node ($publisher, $subscriber)
{
	unlike(log_from($node), qr/PANIC|TRAP|terminated by signal/, $node->name . ': no crash');
}

done_testing();
