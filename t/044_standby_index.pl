# Protects: on a standby, an open cursor by a unique index, kept plan or not, goes on when the index is dropped concurrently, and holds its replay up.

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
my $standby = new_standby($primary, 'index_standby');
$standby->start;
replayed($primary, $standby);

my $session = $standby->background_psql('postgres', on_error_stop => 0);
$session->query(q{SET itemcache.transparent = on; SET enable_bitmapscan = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan});
my ($plan) = $session->query(q{EXPLAIN (COSTS OFF) SELECT id FROM users WHERE email = ANY ('{user1,user5000,user9999}')});
like($plan, qr/Custom Scan \(ItemCache\)/, 'the cursor is by the cache');
# planned once, by a transaction that has ended: planning locks the index, too
$session->query(q{BEGIN; SELECT open_users('c', '{user1}'); FETCH c; COMMIT});
$session->query(q{BEGIN; SELECT open_users('c', '{user1,user5000,user9999}')});
my ($row) = $session->query('FETCH c');
is($row, '1', 'first row');

$primary->safe_psql('postgres', 'DROP INDEX CONCURRENTLY users_email');
my $lsn = $primary->lsn('write');
$standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event_type IN ('Lock', 'IPC', 'BufferPin') AND wait_event ILIKE '%relation%' OR wait_event ILIKE '%RecoveryConflict%'})
  or die 'replay is not held up';
my ($rows, $err) = try_query($session, 'FETCH ALL FROM c');
is($err, '', 'no error');
is($rows, "5000\n9999", 'the other rows, which are read by the index');
$session->query('COMMIT');
$standby->poll_query_until('postgres', qq{SELECT pg_last_wal_replay_lsn() >= '$lsn'}) or die 'replay does not go on';
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'users_email'}), '0', 'then the index goes');
is($standby->safe_psql('postgres', q{SET itemcache.transparent = on; SELECT id FROM users WHERE email = 'user5000'}), '5000', 'and lookups do without it');
$session->quit;

$standby->stop;
$primary->stop;
done_testing();
