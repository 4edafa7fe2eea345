# Protects: on a standby, a read begun after WAIT FOR LSN (19 and later) sees what was committed before that position, from the cache.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('wait_primary', allows_streaming => 1, conf => 'itemcache.preload = off');
plan skip_all => 'WAIT FOR LSN is of PostgreSQL 19' if $primary->pg_version->major < 19;
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text);
	INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 100) i;
	SELECT itemcache.attach('items')});
my $standby = new_standby($primary, 'wait_standby');
$standby->start;
replayed($primary, $standby);
is_exact($standby, 'postgres', 'items', 0, 100, 'cached');
is_cached($standby, 'postgres', 'items', 1, 100, 100, 'hits');

# What a writer does: the commit, then the position, as doc/replicas.md has it.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$primary->safe_psql('postgres', q{UPDATE items SET name = 'written' WHERE id <= 10; DELETE FROM items WHERE id = 11});
my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');

my $get = q{SELECT (itemcache.get(NULL::items, 1)).name, (itemcache.get(NULL::items, 11)).id, (SELECT name FROM items WHERE id = 2)};
my $on = 'SET itemcache.transparent = on; ';
is($standby->safe_psql('postgres', "$on$get"), 'item 1|11|item 2', 'who does not wait may read what was');
is($standby->safe_psql('postgres', "WAIT FOR LSN '$lsn' WITH (TIMEOUT '50ms', NO_THROW)"), 'timeout', 'it is not there yet');

my $reader = $standby->background_psql('postgres');
$reader->query_until(qr/begun/, "\\echo begun\n${on}WAIT FOR LSN '$lsn' WITH (TIMEOUT '${PostgreSQL::Test::Utils::timeout_default}s');\n$get;\n");
$standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'WaitForWalReplay'})
  or die 'the reader does not wait';
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
like($reader->query_safe('SELECT 1'), qr/success\nwritten\|\|written\n/, 'who waited reads what was written');
$reader->quit;
is_exact($standby, 'postgres', 'items', 0, 100, 'exact');
is_cached($standby, 'postgres', 'items', 1, 100, 99, 'and hits again');

$standby->stop;
$primary->stop;
done_testing();
