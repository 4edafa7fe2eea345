# Protects: rule 0 on standbys of every kind: behind another, delayed, recovering from an archive, closed until it is promoted, and made of a running server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('primary', allows_streaming => 1, has_archiving => 1, conf => 'max_standby_streaming_delay = -1');
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text) WITH (autovacuum_enabled = off);
	INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 300) i;
	SELECT itemcache.attach('items')});

sub exact_and_cached
{
	my ($node, $hits, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_exact($node, 'postgres', 'items', 0, 400, $name);
	is_exact($node, 'postgres', 'items', 0, 400, "$name: again");
	is_cached($node, 'postgres', 'items', 1, 400, $hits, "$name: hits");
	return;
}

sub promote
{
	my ($node) = @_;

	$node->promote;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die $node->name . ' is not promoted';
	return;
}

#
# A standby behind a standby follows the one before it, and its promotion.
#
my $first = new_standby($primary, 'first');
$first->start;
my $second = new_standby($primary, 'second');
$second->enable_streaming($first);
$second->start;
replayed($primary, $first, $second);
exact_and_cached($second, 300, 'behind a standby');
$primary->safe_psql('postgres', q{UPDATE items SET name = 'updated' WHERE id <= 100; DELETE FROM items WHERE id = 300});
replayed($primary, $first, $second);
exact_and_cached($second, 299, 'behind a standby: updated');

#
# One that waits with commits: what is to be committed is not served meanwhile.
#
my $delayed = new_standby($primary, 'delayed');
$delayed->start;
replayed($primary, $delayed);
exact_and_cached($delayed, 299, 'delayed');
$delayed->append_conf('postgresql.conf', "recovery_min_apply_delay = '1h'");
$delayed->reload;
my $writer = $primary->background_psql('postgres');
my $lsn = $writer->query_safe(q{BEGIN; UPDATE items SET name = 'delayed' WHERE id <= 50; SELECT pg_current_wal_insert_lsn()});
$primary->safe_psql('postgres', 'CHECKPOINT');
$delayed->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") or die 'the update is not replayed';
$writer->query_safe('COMMIT');
$writer->quit;
replayed($primary, $first);
exact_and_cached($delayed, 249, 'delayed: before the commit');
is($delayed->safe_psql('postgres', 'SELECT (itemcache.get(NULL::items, 1)).name'), 'updated', 'delayed: as it was');
$delayed->append_conf('postgresql.conf', 'recovery_min_apply_delay = 0');
$delayed->reload;
replayed($primary, $delayed);
exact_and_cached($delayed, 299, 'delayed: after the commit');
is($delayed->safe_psql('postgres', 'SELECT (itemcache.get(NULL::items, 1)).name'), 'delayed', 'delayed: as it is');
$delayed->stop;

#
# Recovery from an archive, to a point in time: it pauses there.
#
my $restored = PostgreSQL::Test::Cluster->new('restored');
$primary->backup('archive');
$primary->safe_psql('postgres', q{UPDATE items SET name = 'before' WHERE id <= 20; SELECT pg_create_restore_point('here')});
$primary->safe_psql('postgres', q{UPDATE items SET name = 'after' WHERE id <= 40; SELECT pg_switch_wal()});
$restored->init_from_backup($primary, 'archive', has_restoring => 1, standby => 0);
$restored->append_conf('postgresql.conf', q{
recovery_target_name = 'here'
recovery_target_action = pause
archive_mode = off
});
$restored->start;
$restored->poll_query_until('postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'}) or die 'not paused';
exact_and_cached($restored, 299, 'from an archive');
is($restored->safe_psql('postgres', 'SELECT (itemcache.get(NULL::items, 1)).name'), 'before', 'from an archive: as it was');
$restored->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery does not end';
is_cached($restored, 'postgres', 'items', 1, 400, 299, 'from an archive: recovered');
$restored->safe_psql('postgres', q{UPDATE items SET name = 'recovered' WHERE id <= 10});
exact_and_cached($restored, 299, 'from an archive: written');
$restored->stop;

#
# One that lets nobody in before it is promoted.
#
my $closed = new_standby($primary, 'closed', conf => 'hot_standby = off');
$closed->start(fail_ok => 1);
$primary->safe_psql('postgres', q{UPDATE items SET name = 'closed' WHERE id <= 30});
replayed($primary, $first, $second);
# wait_for_catchup() of PostgreSQL 19 would ask the standby
my $position = $primary->lsn('insert');
$primary->poll_query_until('postgres', qq{SELECT replay_lsn >= '$position' FROM pg_stat_replication WHERE application_name = 'closed'})
  or die 'closed does not catch up';
promote($closed);
wait_preloaded($closed);
is_cached($closed, 'postgres', 'items', 1, 400, 299, 'closed: loaded when it is promoted');
$closed->safe_psql('postgres', q{UPDATE items SET name = 'open' WHERE id <= 10});
exact_and_cached($closed, 299, 'closed: promoted');

#
# A running server for which somebody makes a signal file, and which crashes: it
# goes into recovery, without having been started for that.
#
$closed->append_conf('postgresql.conf', qq{hot_standby = on\nrestart_after_crash = on\nprimary_conninfo = ''\nitemcache.preload = on\n});
$closed->restart;
$closed->safe_psql('postgres', 'CHECKPOINT');
append_to_file($closed->data_dir . '/standby.signal', '');
my $victim = $closed->background_psql('postgres');
my $pid = $victim->query_safe('SELECT pg_backend_pid()');
kill 'KILL', $pid;
eval { $victim->quit };
$closed->poll_query_until('postgres', 'SELECT pg_is_in_recovery()') or die 'not in recovery';
is_exact($closed, 'postgres', 'items', 0, 400, "made a standby, $_") foreach (1, 2);
is($closed->safe_psql('postgres', 'SELECT items, hits, fills FROM itemcache.stats'), '0|0|0', 'made a standby: nothing is cached');
is($closed->safe_psql('postgres', q{SELECT state, served FROM itemcache.tables}), 'in recovery|f', 'made a standby: itemcache.tables');
is($closed->safe_psql('postgres', q{SELECT standby, preloader FROM itemcache.stats}), 'not followed|in recovery', 'made a standby: itemcache.stats');
is((sql_error($closed, 'postgres', q{SELECT itemcache.preload('items')}))[0], '55000', 'made a standby: preload()');
my $session = $closed->background_psql('postgres');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT (itemcache.get(NULL::items, 1)).name');
promote($closed);
wait_preloaded($closed);
$closed->safe_psql('postgres', q{UPDATE items SET name = 'promoted' WHERE id <= 5});
is($session->query_safe(ItemCacheTest::differences('items', 0, 400)), '', 'made a standby: a snapshot of then');
is($session->query_safe('SELECT (itemcache.get(NULL::items, 1)).name'), 'open', 'made a standby: sees what it saw');
$session->query_safe('COMMIT');
$session->quit;
exact_and_cached($closed, 299, 'made a standby, and promoted');
my $log = log_from($closed);
$log =~ s/.*terminated by signal 9.*\n//g;
unlike($log, qr/PANIC|TRAP|terminated by signal/, 'no crash but ours');
$closed->stop;

#
# The primary goes; the first standby takes its place, the second follows it.
#
$primary->stop('immediate');
promote($first);
is_cached($first, 'postgres', 'items', 101, 299, 199, 'promoted: hits');
$first->safe_psql('postgres', q{UPDATE items SET name = 'new timeline' WHERE id <= 10; DELETE FROM items WHERE id = 299});
replayed($first, $second);
exact_and_cached($first, 298, 'promoted');
exact_and_cached($second, 298, 'behind the promoted one');

unlike(log_from($_), qr/PANIC|TRAP|terminated by signal/, $_->name . ': no crash') foreach ($primary, $first, $second, $delayed, $restored);
$second->stop;
$first->stop;
done_testing();
