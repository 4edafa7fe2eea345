# Protects: rule 0: a standby's cache is exact whatever is replayed; a test for each hazard that src/README names there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('primary', allows_streaming => 1, conf => <<'CONF');
itemcache.preload = off
max_standby_streaming_delay = -1
full_page_writes = on
CONF
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text) WITH (autovacuum_enabled = off, fillfactor = 90);
	INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 300) i;
	CREATE TABLE other (id bigint PRIMARY KEY, name text) WITH (autovacuum_enabled = off);
	INSERT INTO other SELECT i, 'item ' || i FROM generate_series(1, 300) i;
	SELECT itemcache.attach('items'), itemcache.attach('other')});
my $standby = new_standby($primary, 'standby', conf => 'hot_standby_feedback = on');
$standby->start;
replayed($primary, $standby);

# Have the standby cache all rows, as they are now.
sub warm
{
	$standby->safe_psql('postgres', q{SELECT count(itemcache.get(NULL::items, k)) FROM generate_series(1, 400) k});
	return;
}

# The primary does something, and the standby's cache is exact after it; %then
# may say how many of 300 keys are to be hit then.
sub hazard
{
	my ($name, $sql, %then) = @_;

	warm();
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$primary->safe_psql('postgres', $sql);
	replayed($primary, $standby);
	is_exact($standby, 'postgres', 'items', 0, 400, $name);
	is_exact($standby, 'postgres', 'items', 0, 400, "$name: again");
	is_cached($standby, 'postgres', 'items', 1, 400, $then{hits}, "$name: hits") if defined $then{hits};
	return;
}

# A transaction of the primary that stays open: the standby reads, and caches
# what it may, before it ends and after.
sub open_hazard
{
	my ($name, $sql, $end, @more) = @_;
	my $session = $primary->background_psql('postgres');

	warm();
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session->query_safe($sql);
	$primary->safe_psql('postgres', $_) foreach @more;
	replayed($primary, $standby);
	is_exact($standby, 'postgres', 'items', 0, 400, "$name: open");
	warm();
	my $reader = $standby->background_psql('postgres');
	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	$session->query_safe($end);
	$session->quit;
	replayed($primary, $standby);
	is_exact($standby, 'postgres', 'items', 0, 400, "$name: ended");
	warm();
	my $differences = ItemCacheTest::differences('items', 0, 400);
	is($reader->query_safe($differences), '', "$name: ended, an old snapshot");
	$reader->query_safe('COMMIT');
	$reader->quit;
	is_exact($standby, 'postgres', 'items', 0, 400, "$name: at last");
	return;
}

#
# Row changes
#
hazard('nothing', 'SELECT 1', hits => 300);
hazard('UPDATE', q{UPDATE items SET name = 'updated' WHERE id <= 10}, hits => 300);
warm();
$primary->safe_psql('postgres', q{UPDATE items SET name = 'one of many' WHERE id = 1});
replayed($primary, $standby);
is_cached($standby, 'postgres', 'items', 2, 300, 290, 'rows beside one that was updated are hits');
hazard('other rows', q{UPDATE other SET name = 'updated'}, hits => 290);
hazard('DELETE', q{DELETE FROM items WHERE id BETWEEN 11 AND 20}, hits => 290);
hazard('INSERT', q{INSERT INTO items SELECT i, 'back' FROM generate_series(11, 20) i}, hits => 300);
hazard('key change', q{UPDATE items SET id = id + 300 WHERE id <= 10; UPDATE items SET id = id - 300 WHERE id > 300}, hits => 300);
hazard('full-page images', q{CHECKPOINT; UPDATE items SET name = name || '!' WHERE id % 3 = 0}, hits => 300);
hazard('full-page images of deletes', q{CHECKPOINT; DELETE FROM items WHERE id % 50 = 0}, hits => 294);
hazard('aborted updaters', q{BEGIN; UPDATE items SET name = 'never'; DELETE FROM items WHERE id % 2 = 0; ROLLBACK}, hits => 294);
hazard('aborted in a savepoint', q{
	BEGIN; SAVEPOINT s; UPDATE items SET name = 'never' WHERE id < 100; ROLLBACK TO s;
	UPDATE items SET name = 'but this' WHERE id < 50; COMMIT}, hits => 294);
hazard('COPY and many at once', q{UPDATE items SET name = 'all'; INSERT INTO items SELECT i * 50, 'multi' FROM generate_series(1, 6) i}, hits => 300);
hazard('silent writes', q{
	ALTER TABLE items DISABLE TRIGGER itemcache; UPDATE items SET name = 'silent' WHERE id < 100;
	DELETE FROM items WHERE id = 100; ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache}, hits => 299);
hazard('silent writes to rows that are cached while the trigger is disabled', q{
	INSERT INTO items VALUES (100, 'there'); ALTER TABLE items DISABLE TRIGGER itemcache});
hazard('and written then', q{UPDATE items SET name = 'silent 2' WHERE id < 100});
hazard('and enabled then', q{ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache}, hits => 300);

# Line pointers that are used again: by other keys, and by the same.
hazard('prune', q{
	UPDATE items SET name = 'pruned' WHERE id <= 150; VACUUM (TRUNCATE off) items;
	DELETE FROM items WHERE id BETWEEN 200 AND 250; VACUUM (TRUNCATE off) items;
	INSERT INTO items SELECT 450 - i, 'reused' FROM generate_series(200, 250) i}, hits => 300);
hazard('freeze', q{UPDATE items SET name = 'frozen' WHERE id % 3 = 0; VACUUM (FREEZE, TRUNCATE off) items}, hits => 300);
hazard('freeze of what is cached', q{VACUUM (FREEZE, TRUNCATE off, DISABLE_PAGE_SKIPPING) items}, hits => 300);

# Multixacts: lockers with an updater, in both orders.
my $locker = $primary->background_psql('postgres');
$locker->query_safe('BEGIN; SELECT 1 FROM items WHERE id BETWEEN 20 AND 40 FOR KEY SHARE');
open_hazard('multixacts', q{BEGIN; UPDATE items SET name = 'under a lock' WHERE id BETWEEN 1 AND 30}, 'COMMIT',
	q{BEGIN; SELECT count(*) FROM (SELECT 1 FROM items WHERE id BETWEEN 1 AND 20 FOR KEY SHARE) s; COMMIT});
open_hazard('aborted multixacts', q{BEGIN; UPDATE items SET name = 'never' WHERE id BETWEEN 1 AND 30}, 'ROLLBACK');
$locker->query_safe('COMMIT');
$locker->quit;

open_hazard('open', q{BEGIN; UPDATE items SET name = 'open' WHERE id % 2 = 0; DELETE FROM items WHERE id % 10 = 5}, 'COMMIT');
open_hazard('open, aborted', q{BEGIN; UPDATE items SET name = 'never' WHERE id % 2 = 0; DELETE FROM items WHERE id % 10 = 4}, 'ROLLBACK');

# More subtransactions than a snapshot lists: 300, of which some abort.
my $subtransactions = q{
	BEGIN;
	DO $$
	BEGIN
		FOR i IN 1 .. 300 LOOP
			BEGIN
				UPDATE items SET name = 'subtransaction' WHERE id = i;
				IF i % 7 = 0 THEN RAISE division_by_zero; END IF;
			EXCEPTION WHEN division_by_zero THEN
				NULL;
			END;
		END LOOP;
	END $$};
open_hazard('overflowed', $subtransactions, 'COMMIT');
open_hazard('overflowed, aborted', $subtransactions, 'ROLLBACK');

# Prepared transactions
hazard('prepared', q{BEGIN; UPDATE items SET name = 'prepared' WHERE id <= 50; DELETE FROM items WHERE id = 51; PREPARE TRANSACTION 'p'});
hazard('committed', q{COMMIT PREPARED 'p'});
hazard('prepared 2', q{BEGIN; UPDATE items SET name = 'never' WHERE id <= 60; PREPARE TRANSACTION 'p'});
hazard('rolled back', q{ROLLBACK PREPARED 'p'}, hits => 250);

#
# DDL
#
hazard('TRUNCATE', q{TRUNCATE items}, hits => 0);
hazard('TRUNCATE and more', q{
	BEGIN; INSERT INTO items SELECT i, 'gone' FROM generate_series(1, 300) i; TRUNCATE items;
	INSERT INTO items SELECT i, 'new file' FROM generate_series(1, 300) i; COMMIT}, hits => 300);
hazard('columns', q{ALTER TABLE items ADD more int DEFAULT 5}, hits => 300);
hazard('columns of a new file', q{ALTER TABLE items ADD random float DEFAULT random()}, hits => 300);
hazard('columns dropped', q{ALTER TABLE items DROP more; ALTER TABLE items DROP random}, hits => 300);
hazard('types', q{ALTER TABLE items ALTER name TYPE varchar USING name || '?'}, hits => 300);
hazard('VACUUM FULL', q{UPDATE items SET name = 'moved' WHERE id % 2 = 0; VACUUM FULL items}, hits => 300);
hazard('CLUSTER', q{CLUSTER items USING items_pkey}, hits => 300);
hazard('rolled back DDL', q{BEGIN; TRUNCATE items; INSERT INTO items VALUES (1, 'never'); ROLLBACK}, hits => 300);
hazard('DDL in a savepoint', q{
	BEGIN; SAVEPOINT s; TRUNCATE items; INSERT INTO items VALUES (1, 'never'); ROLLBACK TO s;
	UPDATE items SET name = 'after all' WHERE id <= 3; COMMIT}, hits => 300);
hazard('DDL in a savepoint that stays', q{
	BEGIN; SAVEPOINT s; ALTER TABLE items ADD more int DEFAULT 6; RELEASE s; UPDATE items SET name = 'six' WHERE id <= 6; COMMIT}, hits => 300);
hazard('LOCK TABLE', q{BEGIN; LOCK TABLE items; UPDATE items SET name = 'locked' WHERE id = 1; COMMIT}, hits => 300);
hazard('a truncating VACUUM', q{DELETE FROM items WHERE id > 250; VACUUM items}, hits => 250);
hazard('detached and attached', q{
	SELECT itemcache.detach('items'); UPDATE items SET name = 'detached' WHERE id % 5 = 0; SELECT itemcache.attach('items')}, hits => 250);
hazard('dropped and made again', q{
	DROP TABLE items; CREATE TABLE items (id bigint PRIMARY KEY, name text) WITH (autovacuum_enabled = off);
	INSERT INTO items SELECT i, 'again' FROM generate_series(1, 300) i; SELECT itemcache.attach('items')}, hits => 300);
hazard('one becomes another', q{
	BEGIN; ALTER TABLE items RENAME TO items_2; ALTER TABLE other RENAME TO items; ALTER TABLE items_2 RENAME TO other; COMMIT}, hits => 300);
warm();
$primary->safe_psql('postgres', q{
	BEGIN; TRUNCATE items; INSERT INTO items SELECT i, 'prepared DDL' FROM generate_series(1, 300) i; PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'});
replayed($primary, $standby);
is_exact($standby, 'postgres', 'items', 0, 400, 'prepared DDL');

# A database that has the OID of one that was dropped, and tables with its OIDs.
$primary->safe_psql('postgres', 'CREATE DATABASE one OID = 100001 TEMPLATE postgres');
$primary->safe_psql('one', q{UPDATE items SET name = 'one'});
replayed($primary, $standby);
is_cached($standby, 'one', 'items', 1, 300, 0, 'one') for 1 .. 2;
is_cached($standby, 'one', 'items', 1, 300, 300, 'one: cached');
$primary->safe_psql('postgres', 'DROP DATABASE one');
$primary->safe_psql('postgres', 'CREATE DATABASE two OID = 100001 TEMPLATE postgres');
replayed($primary, $standby);
is_exact($standby, 'two', 'items', 0, 400, 'a database with the same OIDs');

#
# Races: each is lost by a standby that takes the steps in another order.
#
SKIP:
{
	# Is the library built with test points?
	wait_at($standby, 'fill_looked');
	my $probe = $standby->background_psql('postgres', on_error_stop => 0);
	$primary->safe_psql('postgres', q{UPDATE items SET name = 'race'});
	replayed($primary, $standby);
	$probe->{timeout}->start(5) if $probe->{timeout};
	$probe->query_until(qr/begun/, "\\echo begun\nSELECT itemcache.get(NULL::items, 1);\n");
	my $stops = 0;
	for (1 .. 100)
	{
		$stops = -e $standby->data_dir . '/itemcache.waits_at.fill_looked' and last;
		select(undef, undef, undef, 0.05);
	}
	go_on($standby, 'fill_looked');
	$probe->quit;
	skip 'built without test points', 1 unless $stops;

	# A filler has looked at xmax; the row is updated and the update replayed;
	# then the filler goes on.
	warm();
	$primary->safe_psql('postgres', q{UPDATE items SET name = 'race 1'});
	replayed($primary, $standby);
	wait_at($standby, 'fill_looked');
	my $filler = $standby->background_psql('postgres');
	$filler->query_until(qr/begun/, "\\echo begun\nSELECT itemcache.get(NULL::items, 1);\n");
	waits_at($standby, 'fill_looked');
	$primary->safe_psql('postgres', q{UPDATE items SET name = 'race 2' WHERE id = 1});
	replayed($primary, $standby);
	go_on($standby, 'fill_looked');
	$filler->query_safe('SELECT 1');
	$filler->quit;
	is_exact($standby, 'postgres', 'items', 1, 1, 'a filler that looked at xmax before the update');

	# The startup process is about to replay an update; a filler comes; the
	# update is replayed and commits.
	$standby->safe_psql('postgres', q{SELECT itemcache.clear()});
	wait_at($standby, 'heap_redo');
	$primary->safe_psql('postgres', q{UPDATE items SET name = 'race 3' WHERE id = 2});
	waits_at($standby, 'heap_redo');
	is($standby->safe_psql('postgres', 'SELECT (itemcache.get(NULL::items, 2)).name'), 'race 1', 'before it is replayed');
	go_on($standby, 'heap_redo');
	replayed($primary, $standby);
	is_exact($standby, 'postgres', 'items', 2, 2, 'a filler that came before the redo');

	# The same, and it is the first one ever to cache anything of the file.
	$primary->safe_psql('postgres', q{
		CREATE TABLE fresh (id bigint PRIMARY KEY, name text); INSERT INTO fresh VALUES (1, 'old'); SELECT itemcache.attach('fresh')});
	replayed($primary, $standby);
	wait_at($standby, 'heap_redo');
	$primary->safe_psql('postgres', q{UPDATE fresh SET name = 'new'});
	waits_at($standby, 'heap_redo');
	is($standby->safe_psql('postgres', 'SELECT (itemcache.get(NULL::fresh, 1)).name'), 'old', 'the first of a file');
	go_on($standby, 'heap_redo');
	replayed($primary, $standby);
	is_exact($standby, 'postgres', 'fresh', 1, 1, 'the first filler of a file, before the redo');
}

# A reader has the table locked, and fills; the startup process waits for it.
warm();
my $reader = $standby->background_psql('postgres');
$reader->query_safe(q{BEGIN; SELECT count(itemcache.get(NULL::items, k)) FROM generate_series(1, 10) k});
$primary->safe_psql('postgres', q{BEGIN; TRUNCATE items; INSERT INTO items SELECT i, 'truncated' FROM generate_series(1, 300) i; COMMIT});
$standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted})
  or die 'the startup process does not wait';
$reader->query_safe(q{SELECT count(itemcache.get(NULL::items, k)) FROM generate_series(1, 300) k});
$reader->query_safe('COMMIT');
$reader->quit;
replayed($primary, $standby);
is_exact($standby, 'postgres', 'items', 0, 400, 'who has filled while the lock was waited for');

#
# Redo that finds pages already changed: the standby begins again from a
# restartpoint, with pages that are newer.
#
$primary->safe_psql('postgres', q{CHECKPOINT; UPDATE items SET name = 'newer' WHERE id <= 100});
replayed($primary, $standby);
$standby->safe_psql('postgres', 'CHECKPOINT');
$primary->safe_psql('postgres', q{UPDATE items SET name = 'newest' WHERE id <= 50});
replayed($primary, $standby);
$standby->stop('immediate');
$standby->start;
replayed($primary, $standby);
hazard('restarted', q{UPDATE items SET name = 'and on' WHERE id <= 20}, hits => 300);

# A backend crashes: all begins anew, and goes on being followed.
$standby->append_conf('postgresql.conf', 'restart_after_crash = on');
$standby->reload;
my $victim = $standby->background_psql('postgres');
my $pid = $victim->query_safe('SELECT pg_backend_pid()');
kill 'KILL', $pid;
eval { $victim->quit };
$standby->poll_query_until('postgres', "SELECT pg_postmaster_start_time() IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)")
  or die 'no restart after a crash';
$standby->poll_query_until('postgres', 'SELECT pg_is_in_recovery()') or die 'not in recovery';
hazard('after a crash', q{UPDATE items SET name = 'after a crash' WHERE id <= 20}, hits => 300);

my $log = log_from($standby);
$log =~ s/.*terminated by signal 9.*\n//g;
unlike($log, qr/PANIC|TRAP|terminated by signal/, 'no crash');
$standby->stop;
$primary->stop;
done_testing();
