# Protects: on a standby, an open cursor by a unique index, kept plan or not, goes on when the index is dropped concurrently, and holds its replay up; after one was made anew concurrently, old snapshots find what an index scan finds, and mislead nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('index_primary', allows_streaming => 1, conf => q{
itemcache.preload = off
max_standby_streaming_delay = -1
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);
	CREATE UNIQUE INDEX users_email ON users (email);
	INSERT INTO users SELECT i, 'user' || i FROM generate_series(1, 10000) i;
	CREATE FUNCTION open_users(c refcursor, emails text[]) RETURNS refcursor LANGUAGE plpgsql AS $$
	BEGIN OPEN c FOR SELECT id FROM users WHERE email = ANY (emails); RETURN c; END $$;
	SELECT itemcache.attach('users')});
$primary->safe_psql('postgres', 'VACUUM ANALYZE users');
# with feedback, or replay is held up by what is pruned from the catalogs, too
my $standby = new_standby($primary, 'index_standby', conf => "hot_standby_feedback = on\nwal_receiver_status_interval = 1");
$standby->start;
replayed($primary, $standby);
$primary->poll_query_until('postgres', 'SELECT backend_xmin IS NOT NULL FROM pg_stat_replication') or die 'no feedback';

my $session = $standby->background_psql('postgres', on_error_stop => 0);
$session->query(q{SET itemcache.transparent = on; SET enable_bitmapscan = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan});
my ($plan) = $session->query(q{EXPLAIN (COSTS OFF) SELECT id FROM users WHERE email = ANY ('{user1,user5000,user9999}')});
like($plan, qr/Custom Scan \(ItemCache\)/, 'the cursor is by the cache');

# Nothing but the open node is to lock the index.  Planning does, so it is planned
# by a transaction that has ended; so does reading by it, so the first row is
# cached; and of two that are not, the second would be read with the first.
$session->query(q{BEGIN; SELECT open_users('c', '{user1}'); FETCH c; COMMIT});
$session->query(q{BEGIN; SELECT open_users('c', '{user1,user5000}')});
my ($row) = $session->query('FETCH c');
is($row, '1', 'first row');

my $index = $primary->safe_psql('postgres', q{SELECT 'users_email'::regclass::oid});
$primary->safe_psql('postgres', 'DROP INDEX CONCURRENTLY users_email');
my $lsn = $primary->lsn('write');
ok($standby->poll_query_until('postgres', qq{
	SELECT pg_last_wal_replay_lsn() >= '$lsn' OR EXISTS (
		SELECT FROM pg_locks WHERE relation = $index AND mode = 'AccessExclusiveLock' AND NOT granted)})
	  && $standby->safe_psql('postgres', "SELECT pg_last_wal_replay_lsn() < '$lsn'") eq 't',
	'replay is held up, by the lock of the index');
my ($rows, $err) = try_query($session, 'FETCH ALL FROM c');
is($err, '', 'no error');
is($rows, '5000', 'the other row, which is read by the index');
$session->query('COMMIT');
$standby->poll_query_until('postgres', qq{SELECT pg_last_wal_replay_lsn() >= '$lsn'}) or die 'replay does not go on';
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'users_email'}), '0', 'then the index goes');
is($standby->safe_psql('postgres', q{SET itemcache.transparent = on; SELECT id FROM users WHERE email = 'user5000'}), '5000', 'and lookups do without it');

# An index that was made anew concurrently lacks what had gone by then, and the primary
# waits for its own snapshots only.  So on a standby an older one does not find by it
# what it sees: an index scan, and so a lookup.
my $scan = q{SELECT string_agg(id || email, ' ' ORDER BY id) FROM users WHERE id IN (10, 20)};
my $get = q{SELECT string_agg(k || (itemcache.get(NULL::users, k)).email, ' ' ORDER BY k) FROM unnest('{10,20}'::bigint[]) k};
$session->query('SET itemcache.transparent = off; SET enable_seqscan = off');
$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$primary->safe_psql('postgres', $_) foreach 'DELETE FROM users WHERE id = 10', q{UPDATE users SET email = 'new' WHERE id = 20},
  'REINDEX INDEX CONCURRENTLY users_pkey';
replayed($primary, $standby);
($rows) = $session->query($scan);
is($session->query($get), $rows, 'an old snapshot finds what an index scan finds');
$session->query('SET enable_seqscan = on; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off');
is($session->query($scan), '10user10 20user20', 'though it sees more');
isnt($rows, '10user10 20user20', 'which is the index, not the cache');
$session->query('COMMIT');
is($session->query($get), '20new', 'the next snapshot is not misled');
$session->quit;

$standby->stop;
$primary->stop;
done_testing();
