# Protects: rule 0: a standby serves the cache as a primary does, loads it, and takes it along when it is promoted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('primary', allows_streaming => 1, conf => 'max_standby_streaming_delay = -1');
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text, wide text) WITH (autovacuum_enabled = off);
	ALTER TABLE items ALTER wide SET STORAGE EXTERNAL;
	INSERT INTO items SELECT i, 'item ' || i, CASE WHEN i % 50 = 0 THEN repeat('w', 3000) END FROM generate_series(1, 300) i;
	CREATE TABLE parts (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100);
	CREATE TABLE parts_1 (name text, id bigint NOT NULL);
	ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (100) TO (1000);
	INSERT INTO parts SELECT i, 'part ' || i FROM generate_series(1, 300) i;
	CREATE TABLE secrets (id bigint PRIMARY KEY, owner text);
	INSERT INTO secrets SELECT i, CASE WHEN i % 2 = 0 THEN 'clerk' ELSE 'boss' END FROM generate_series(1, 100) i;
	CREATE ROLE clerk;
	GRANT SELECT ON secrets TO clerk;
	ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON secrets USING (owner = current_user);
	CREATE UNLOGGED TABLE passing (id bigint PRIMARY KEY, name text);
	INSERT INTO passing SELECT i, 'passing' FROM generate_series(1, 100) i;
	CREATE TABLE coded (id bigint PRIMARY KEY, code text UNIQUE) WITH (autovacuum_enabled = off);
	INSERT INTO coded SELECT i, 'code ' || i FROM generate_series(1, 300) i;
	SELECT itemcache.attach('items'), itemcache.attach('parts'), itemcache.attach('secrets'), itemcache.attach('passing'),
		   itemcache.attach('coded', aliases => '{code}')});
my $standby = new_standby($primary, 'standby');
$standby->start;

#
# It is loaded while it is in recovery.
#
sub wait_loaded
{
	my ($name, $items) = @_;

	wait_preloaded($standby);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($standby->safe_psql('postgres', qq{
		SELECT string_agg(relation || ' ' || state, ', ' ORDER BY relation) FROM itemcache.preload_progress}),
		'public.coded done, public.items done, public.parts_0 done, public.parts_1 done, public.secrets done', $name);
	is_cached($standby, 'postgres', 'items', 1, 300, $items, "$name: hits");
	return;
}

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'in recovery');
wait_loaded('the preload loads what a standby can read', 300);
is($standby->safe_psql('postgres', q{SELECT relid, state, served FROM itemcache.tables ORDER BY relid::text}),
	"coded|served|t\nitems|served|t\nparts|served|t\nparts_0|served|t\nparts_1|served|t\npassing|in recovery|f\nsecrets|served|t", 'itemcache.tables');

is($standby->safe_psql('postgres', 'SELECT standby, replay_memory > 0, outdated, replayed FROM itemcache.stats'), 'standby|t|0|0', 'itemcache.stats');
is($primary->safe_psql('postgres', 'SELECT standby, replay_memory FROM itemcache.stats'), 'primary|0', 'and on the primary');

is($standby->safe_psql('postgres', q{SELECT items, aliases FROM itemcache.tables WHERE relid = 'coded'::regclass}), '300|300', 'rows are loaded with their aliases');

#
# Everything serves.
#
sub hits_of
{
	my ($table, $sql) = @_;
	my $before = counter($standby, 'postgres', 'hits', $table);

	$standby->safe_psql('postgres', $sql);
	return counter($standby, 'postgres', 'hits', $table) - $before;
}

is_cached($standby, 'postgres', 'items', 1, 300, 300, 'get');
is_cached($standby, 'postgres', 'parts', 1, 300, 300, 'get, of partitions');
is(hits_of('items', q{SELECT itemcache.get_many(NULL::items, array_agg(k::bigint)) FROM generate_series(1, 400) k}), 300, 'get_many');
my $on = 'SET itemcache.transparent = on; ';
is(hits_of('items', $on . 'SELECT * FROM items WHERE id = 7'), 1, 'plain SELECT');
is(hits_of('items', $on . q{SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT * FROM items WHERE id = ANY ('{1,2,3,1000}')}), 3, 'plain SELECT of several');
is(hits_of('parts', $on . 'SELECT * FROM parts WHERE id = 150'), 1, 'plain SELECT of a partition');
is(hits_of('items', $on . q{SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off;
	SELECT count(i.name) FROM generate_series(1, 400) k LEFT JOIN items i ON i.id = k}), 300, 'the join');
my $by_code = q{SELECT count(*) FROM generate_series(1, 300) i WHERE (itemcache.get_by(NULL::coded, 'code', 'code ' || i)).id = i};
is(hits_of('coded', $by_code), 300, 'get_by');
$primary->safe_psql('postgres', q{
	UPDATE coded SET code = '-' WHERE id = 1;
	UPDATE coded SET code = 'code 1' WHERE id = 2;
	UPDATE coded SET code = 'code 2' WHERE id = 1});
replayed($primary, $standby);
is($standby->safe_psql('postgres', $by_code), '298', 'what replay has changed, by the other key');
is($standby->safe_psql('postgres', q{SELECT (itemcache.get_by(NULL::coded, 'code', 'code ' || i)).id FROM generate_series(1, 3) i}), "2\n1\n3", 'two codes have changed hands');
is(hits_of('coded', $by_code), 300, 'and are cached anew');
is(hits_of('items', q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT itemcache.get(NULL::items, 1); COMMIT}), 1, 'REPEATABLE READ');
is(hits_of('secrets', $on . q{SET ROLE clerk; SELECT * FROM secrets WHERE id = 2}), 1, 'row-level security');
is($standby->safe_psql('postgres', $on . q{SET ROLE clerk; SELECT id FROM secrets WHERE id IN (1, 2, 3, 4) ORDER BY id}), "2\n4", 'and hides');
is_exact($standby, 'postgres', $_, 0, 400, "exact: $_") foreach ('items', 'parts', 'secrets');

#
# What a standby does not do is PostgreSQL's own error.
#
sub same_error
{
	my ($sql, $theirs, $name) = @_;
	my ($state, $text) = sql_error($standby, 'postgres', $sql);
	my ($state_2, $text_2) = sql_error($standby, 'postgres', $theirs);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($state, $state_2, "$name: SQLSTATE");
	$_ = /ERROR:\s+(.*)/ ? $1 : '' foreach ($text, $text_2);
	is($text, $text_2, "$name: message");
	return;
}

same_error(q{SELECT itemcache.get(NULL::passing, 1)}, 'SELECT * FROM passing WHERE id = 1', 'get of an unlogged table');
same_error(q{SELECT itemcache.preload('passing')}, 'SELECT * FROM passing WHERE id = 1', 'preload of an unlogged table');
is((sql_error($standby, 'postgres', $_))[0], '25006', $_)
  foreach (q{SELECT itemcache.put(ROW(1, 'x', NULL)::items)}, q{SELECT itemcache.delete(NULL::items, 1)},
	q{SELECT itemcache.attach('items')}, q{SELECT itemcache.detach('items')});
is($standby->safe_psql('postgres', q{SELECT itemcache.clear('items')}), '', 'clear');
is_cached($standby, 'postgres', 'items', 1, 10, 0, 'cleared');
is($standby->safe_psql('postgres', q{SELECT itemcache.preload('items')}), '300', 'preload');
is_cached($standby, 'postgres', 'items', 1, 300, 300, 'preloaded');

#
# Replay
#
foreach my $i (1 .. 3)
{
	$primary->safe_psql('postgres', "UPDATE items SET name = 'pass $i' WHERE id % 3 = 0; UPDATE parts SET name = 'pass $i' WHERE id % 3 = 0");
	replayed($primary, $standby);
	is_exact($standby, 'postgres', 'items', 0, 400, "pass $i");
	is_exact($standby, 'postgres', 'parts', 0, 400, "pass $i, leaves");
}
is_cached($standby, 'postgres', 'items', 1, 300, 300, 'cached as replayed');
# (three of coded; some more are outdated that share a word with another row's)
is($standby->safe_psql('postgres', q{SELECT outdated >= 600, (SELECT outdated >= 300 FROM itemcache.tables WHERE relid = 'items'::regclass), replayed FROM itemcache.stats}),
	't|t|603', 'what replay has changed is counted');
cmp_ok($standby->safe_psql('postgres', q{SELECT sum(evictions) FROM itemcache.tables}), '==', 0, 'nothing was evicted');

#
# The preloader is cancelled by replay, and goes on.
#
SKIP:
{
	$standby->append_conf('postgresql.conf', <<'CONF');
max_standby_streaming_delay = 0
log_recovery_conflict_waits = on
deadlock_timeout = 10ms
CONF
	wait_at($standby, 'preload_page');
	$standby->restart;
	my $stopped = 0;
	for (1 .. 100)
	{
		$stopped = -e $standby->data_dir . '/itemcache.waits_at.preload_page' and last;
		select(undef, undef, undef, 0.1);
	}
	skip 'built without test points', 6 unless $stopped;
	$primary->safe_psql('postgres', q{DELETE FROM items WHERE id > 290; VACUUM (TRUNCATE off) items});
	$standby->wait_for_log(qr/recovery still waiting .* recovery conflict on snapshot/);
	go_on($standby, 'preload_page');
	wait_loaded('the preload goes on after a conflict with recovery', 290);
	cmp_ok($standby->safe_psql('postgres', q{SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'postgres'}), '>', 0, 'there was one');
	unlike(log_from($standby), qr/could not preload/, 'and nothing was said of it');
	$primary->safe_psql('postgres', q{INSERT INTO items SELECT i, 'back' FROM generate_series(291, 300) i});
	$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
	$standby->reload;
	replayed($primary, $standby);

	# it is ended in the middle, and replays what came meanwhile once more
	wait_at($standby, 'preload_page');
	$standby->restart;
	waits_at($standby, 'preload_page');
	$primary->safe_psql('postgres', q{UPDATE items SET name = 'while it loads' WHERE id % 2 = 0});
	replayed($primary, $standby);
	$standby->stop('immediate');
	unlink $standby->data_dir . '/itemcache.waits_at.preload_page';
	go_on($standby, 'preload_page');
	$standby->start;
	replayed($primary, $standby);
	wait_loaded('a standby that was ended while it loaded, loads again', 150);
}
replayed($primary, $standby);
is_exact($standby, 'postgres', 'items', 0, 400, 'after conflicts');

#
# Promotion.  A transaction prepared on the primary is inherited, with DDL too.
#
$standby->safe_psql('postgres', q{SELECT itemcache.preload('items'), itemcache.preload('parts')});
$primary->safe_psql('postgres', q{
	CREATE TABLE locked (id bigint PRIMARY KEY, name text); INSERT INTO locked SELECT i, 'old' FROM generate_series(1, 100) i; SELECT itemcache.attach('locked')});
replayed($primary, $standby);
$standby->safe_psql('postgres', q{SELECT itemcache.preload('locked')});
$primary->safe_psql('postgres', q{
	BEGIN; UPDATE items SET name = 'prepared' WHERE id = 7; DELETE FROM items WHERE id = 8; PREPARE TRANSACTION 'rows';
	BEGIN; TRUNCATE locked; INSERT INTO locked SELECT i, 'new' FROM generate_series(1, 100) i; PREPARE TRANSACTION 'ddl';
	BEGIN; ALTER TABLE secrets DISABLE TRIGGER itemcache; UPDATE secrets SET owner = 'nobody' WHERE id < 10;
	ALTER TABLE secrets ENABLE ALWAYS TRIGGER itemcache; PREPARE TRANSACTION 'trigger'});
replayed($primary, $standby);
is_exact($standby, 'postgres', 'items', 0, 400, 'prepared');
is_exact($standby, 'postgres', 'secrets', 0, 400, 'prepared: a trigger');

my $session = $standby->background_psql('postgres');
my $differences = ItemCacheTest::differences('items', 0, 400);
$session->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT (itemcache.get(NULL::items, 1)).name});
my $open = $primary->background_psql('postgres');
$open->query_safe(q{BEGIN; UPDATE items SET name = 'never' WHERE id BETWEEN 100 AND 110});
$primary->safe_psql('postgres', q{UPDATE items SET name = 'last' WHERE id = 1});
replayed($primary, $standby);
my $items = $standby->safe_psql('postgres', q{SELECT items FROM itemcache.tables WHERE relid = 'items'::regclass});
$primary->stop('immediate');
$open->quit;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';

is($standby->safe_psql('postgres', q{SELECT items FROM itemcache.tables WHERE relid = 'items'::regclass}), $items, 'promoted: the items stay');
is_cached($standby, 'postgres', 'items', 120, 300, 181, 'promoted: and are hits');
is($standby->safe_psql('postgres', 'SELECT standby FROM itemcache.stats'), 'promoted', 'promoted: itemcache.stats');
is($session->query_safe($differences), '', 'a snapshot taken in recovery');
isnt($session->query_safe(q{SELECT (itemcache.get(NULL::items, 1)).name}), 'last', 'sees what it saw');
is_exact($standby, 'postgres', 'items', 0, 400, 'promoted');
$standby->safe_psql('postgres', q{UPDATE items SET name = 'after' WHERE id BETWEEN 105 AND 130; DELETE FROM items WHERE id = 131});
is_exact($standby, 'postgres', 'items', 0, 400, 'promoted: written');
is($session->query_safe($differences), '', 'a snapshot taken in recovery, after writes');
is($standby->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 7)).name <> 'prepared', (itemcache.get(NULL::items, 8)).id}), 't|8', 'a prepared transaction is not seen');
$standby->safe_psql('postgres', q{COMMIT PREPARED 'rows'});
is_exact($standby, 'postgres', 'items', 0, 400, 'promoted: after COMMIT PREPARED');
is($standby->safe_psql('postgres', q{SELECT (itemcache.get(NULL::items, 7)).name, (itemcache.get(NULL::items, 8)).id}), 'prepared|', 'now it is');
is($session->query_safe($differences), '', 'a snapshot taken in recovery, at last');
$session->query_safe('COMMIT');
is($session->query_safe($differences), '', 'the same session');
$session->quit;

is($standby->safe_psql('postgres', q{SELECT state FROM itemcache.tables WHERE relid = 'locked'::regclass}), 'locked', 'prepared DDL has the table locked');
$standby->safe_psql('postgres', q{COMMIT PREPARED 'ddl'});
is_exact($standby, 'postgres', 'locked', 0, 200, 'promoted: prepared DDL');
$standby->safe_psql('postgres', q{COMMIT PREPARED 'trigger'});
is_exact($standby, 'postgres', 'secrets', 0, 200, 'promoted: prepared, with the trigger disabled and enabled');
is($standby->safe_psql('postgres', q{SELECT count(itemcache.get(NULL::passing, k)) FROM generate_series(1, 100) k}), '0', 'an unlogged table is empty');
$standby->safe_psql('postgres', q{INSERT INTO passing SELECT i, 'again' FROM generate_series(1, 100) i; UPDATE passing SET name = 'and again' WHERE id < 50});
is_exact($standby, 'postgres', 'passing', 0, 200, 'and cached like any other');
is_cached($standby, 'postgres', 'items', 120, 300, 180, 'promoted: hits at last');

unlike(log_from($standby), qr/PANIC|TRAP|terminated by signal/, 'no crash');
$standby->stop;
done_testing();
