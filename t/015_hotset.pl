# Protects: the hot set: saved at shutdown and now and then, loaded first, and never more than wasted time when it is stale, damaged or another's.

use strict;
use warnings;

use File::Copy;
use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('hotset', memory => '4MB', allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
itemcache.save_interval = 1h
itemcache.preload = hot
});
$node->start;
my $file = $node->data_dir . '/itemcache.hotset';

# Far more rows than fit, of which every 50th is looked up again and again.
$node->safe_psql('postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id int PRIMARY KEY, v text) WITH (fillfactor = 90);
	INSERT INTO items SELECT g, repeat('v', 200) || g FROM generate_series(1, 100000) g;
	SELECT itemcache.attach('items');
	VACUUM ANALYZE items;
	CHECKPOINT;
});
my $hot_keys = 'generate_series(1, 100000, 50) k';

sub look_up
{
	my ($keys) = @_;
	$node->safe_psql('postgres', "SELECT count(itemcache.get(NULL::items, k)) FROM $keys");
}

# How many of these keys are hits?
sub hits
{
	my ($keys) = @_;
	my $before = counter($node, 'postgres', 'hits', 'items');

	look_up($keys);
	return counter($node, 'postgres', 'hits', 'items') - $before;
}

sub save
{
	my $digest = -e $file ? (stat $file)[9] . (stat _)[1] : '';    # a rename makes another inode

	$node->append_conf('postgresql.conf', 'itemcache.save_interval = 1s');
	$node->reload;
	for (1 .. 600)
	{
		last if -e $file && (stat $file)[9] . (stat _)[1] ne $digest;
		select undef, undef, undef, 0.1;
	}
	$node->append_conf('postgresql.conf', 'itemcache.save_interval = 1h');
	$node->reload;
}

sub make_hot
{
	look_up($hot_keys) foreach (1 .. 4);
}

# Log lines about the hot set since an offset.
sub warnings_since
{
	my ($offset) = @_;
	return join "\n", grep { /WARNING:.*(hot set|hotset)/ } split /\n/, log_from($node, $offset);
}

make_hot();
look_up('generate_series(1, 100000, 7) k');    # newcomers, once each
make_hot();
my $before = hits($hot_keys);
cmp_ok($before, '>=', 1900, 'the hot keys are cached in a full cache');

#
# A clean restart
#
my $offset = -s $node->logfile;
$node->restart;
wait_preloaded($node);
my $after = hits($hot_keys);
cmp_ok($after, '>=', 0.98 * $before, 'they are so again after a restart: hot');
is($node->safe_psql('postgres', q{SELECT state FROM itemcache.preload_progress}), 'done', 'progress');
is(warnings_since($offset), '', 'no warning');
is_exact($node, 'postgres', 'items', 1, 2000, 'exact');
make_hot();
$node->append_conf('postgresql.conf', 'itemcache.preload = on');
$node->restart;
wait_preloaded($node);
# (Of the whole table, a seventh would fit.)
cmp_ok(hits($hot_keys), '>=', 0.97 * $before, 'with on too, though whole tables are loaded after it');
is($node->safe_psql('postgres', q{SELECT state FROM itemcache.preload_progress}), 'full', 'and what fits besides');
$node->append_conf('postgresql.conf', 'itemcache.preload = off');
$node->restart;
is($node->safe_psql('postgres', q{SELECT items FROM itemcache.stats}), '0', 'off: starts empty');
$node->append_conf('postgresql.conf', 'itemcache.preload = hot');

#
# With less memory, what was looked up more finds room, wherever it is in the table:
# it is loaded first.  The second restart knows it from the first.
#
look_up('generate_series(1, 100000, 8) k');
make_hot();
$before = hits($hot_keys);
my $items = $node->safe_psql('postgres', q{SELECT items FROM itemcache.stats});
$node->append_conf('postgresql.conf', 'itemcache.memory = 3MB');
$node->restart;
wait_preloaded($node);
$node->append_conf('postgresql.conf', 'itemcache.memory = 2MB');
$node->restart;
wait_preloaded($node);
cmp_ok($node->safe_psql('postgres', q{SELECT items FROM itemcache.stats}), '<', 0.6 * $items, 'less memory: holds a part');
cmp_ok(hits($hot_keys), '>=', 0.97 * $before, 'and has what was looked up more');
is_exact($node, 'postgres', 'items', 1, 2000, 'exact');
$node->append_conf('postgresql.conf', 'itemcache.memory = 4MB');
$node->restart;
wait_preloaded($node);

#
# Where everything is used as much, a save takes a use from all, so that what is looked
# up after it stands out at the next.
#
my $some_keys = 'generate_series(1, 5000, 10) k';
$node->append_conf('postgresql.conf', 'itemcache.preload = off');
$node->restart;
look_up('generate_series(1, 5000) k') foreach (1 .. 5);
save();
look_up($some_keys);
$node->append_conf('postgresql.conf', "itemcache.preload = hot\nitemcache.memory = 1MB");
$node->restart;
wait_preloaded($node);
cmp_ok($node->safe_psql('postgres', q{SELECT items FROM itemcache.stats}), '<', 4500, 'no room for all');
cmp_ok(hits($some_keys), '>=', 485, 'but for what was used since a save');
$node->append_conf('postgresql.conf', 'itemcache.memory = 4MB');
$node->restart;
wait_preloaded($node);

#
# A crash: what was saved last.  Rows updated since on the same page come along.
#
unlink $file;
make_hot();
$before = hits($hot_keys);
save();
ok(-e $file, 'saved while it runs');
$node->safe_psql('postgres', q{UPDATE items SET v = 'new' || id WHERE id <= 5000 AND id % 50 = 1; CHECKPOINT});
$node->stop('immediate');
$node->start;
wait_preloaded($node);
cmp_ok(hits($hot_keys), '>=', 0.95 * $before, 'loaded after a crash');
cmp_ok(hits('generate_series(1, 5000, 50) k'), '>=', 90, 'also what was updated on its page');
is_exact($node, 'postgres', 'items', 1, 5100, 'exact');

#
# Not saved before it is loaded
#
$node->safe_psql('postgres', q{
	CREATE TABLE wide (id int PRIMARY KEY, w text);
	ALTER TABLE wide ALTER w SET STORAGE EXTERNAL;
	INSERT INTO wide SELECT g, repeat('w', 5000) FROM generate_series(1, 100) g;
	SELECT itemcache.attach('wide');
	SELECT count(itemcache.get(NULL::wide, k)) FROM generate_series(1, 100) k, generate_series(1, 3);
});
my $toast = toast_of($node, 'postgres', 'wide');
$node->stop;
my $saved = slurp_file($file);
$node->start;
wait_preloaded($node);
$node->safe_psql('postgres', "BEGIN; REINDEX TABLE $toast; PREPARE TRANSACTION 'hold_up'");
$node->stop;
$saved = slurp_file($file);
$node->start;
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'itemcache preload worker' AND wait_event_type = 'Lock'})
  or die 'the loader is not held up';
$node->append_conf('postgresql.conf', 'itemcache.save_interval = 1s');
$node->restart;
ok($saved eq slurp_file($file), 'a shutdown during the load leaves the file as it was');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'hold_up'});
wait_preloaded($node);
$node->append_conf('postgresql.conf', 'itemcache.save_interval = 1h');
$node->reload;
is_exact($node, 'postgres', 'wide', 0, 101, 'exact');
$node->safe_psql('postgres', 'DROP TABLE wide');

#
# Files that are not ours or not whole
#
make_hot();
$node->stop;
$saved = slurp_file($file);

my $other = new_server('hotset_other', memory => '4MB');
$other->start;
$other->stop;
my $foreign = slurp_file($other->data_dir . '/itemcache.hotset');
ok(length($foreign) > 0, 'an empty cache is saved, too');

my $flipped = $saved;
substr($flipped, length($saved) / 2, 1) ^= "\x10";
my $version = $saved;
substr($version, 8, 1) ^= "\x10";
my %files = (
	'truncated' => substr($saved, 0, length($saved) - 4),
	'cut to its header' => substr($saved, 0, 48),
	'too long' => "$saved.",
	'of one byte' => 'x',
	'empty' => '',
	'with a bit that is wrong' => $flipped,
	'of another version' => $version,
	'of another cluster' => $foreign);
foreach my $what (sort keys %files)
{
	open my $out, '>:raw', $file or die "could not write: $!";
	print $out $files{$what};
	close $out;
	$offset = -s $node->logfile;
	$node->start;
	wait_preloaded($node);
	is(scalar(() = warnings_since($offset) =~ /WARNING/g), 1, "a file $what: one warning");
	is($node->safe_psql('postgres', q{SELECT items FROM itemcache.stats}), '0', "a file $what: nothing is loaded");
	unlike(log_from($node, $offset), qr/PANIC|FATAL|TRAP|ERROR/, "a file $what: nothing else happens");
	$node->stop;
}

#
# Tables, and a database, that are not what they were
#
$node->start;
$node->safe_psql('postgres', q{
	CREATE TABLE gone (id int PRIMARY KEY, v text); CREATE TABLE emptied (LIKE gone INCLUDING ALL);
	CREATE TABLE rewritten (LIKE gone INCLUDING ALL); CREATE TABLE detached (LIKE gone INCLUDING ALL);
	CREATE TABLE lazy (LIKE gone INCLUDING ALL); CREATE TABLE same (LIKE gone INCLUDING ALL);
	DO $$ DECLARE t text; BEGIN
		FOREACH t IN ARRAY '{gone,emptied,rewritten,detached,lazy,same}'::text[] LOOP
			EXECUTE format('INSERT INTO %I SELECT g, %L || g FROM generate_series(1, 100) g', t, t);
			PERFORM itemcache.attach(t::regclass, preload => t <> 'lazy');
		END LOOP;
	END $$});
$node->safe_psql('postgres', "SELECT count(itemcache.get(NULL::$_, k)) FROM generate_series(1, 100) k")
  foreach ('gone', 'emptied', 'rewritten', 'detached', 'lazy', 'same');
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
$node->safe_psql('doomed', q{CREATE EXTENSION itemcache; CREATE TABLE t (id int PRIMARY KEY); SELECT itemcache.attach('t'); INSERT INTO t VALUES (1)});
save();
$node->safe_psql('postgres', q{DROP TABLE gone; TRUNCATE emptied; CLUSTER rewritten USING rewritten_pkey; SELECT itemcache.detach('detached')});
$node->safe_psql('postgres', 'DROP DATABASE doomed');
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
$offset = -s $node->logfile;
$node->start;
wait_preloaded($node);
like(warnings_since($offset), qr/^[^\n]*5 tables of the hot set are gone, rewritten or not attached any more$/, 'one warning for all of them');
is($node->safe_psql('postgres', q{SELECT items FROM itemcache.tables WHERE relid = 'same'::regclass}), '100', 'another table is loaded');
is($node->safe_psql('postgres', q{SELECT sum(items) FROM itemcache.tables WHERE relid IN ('emptied'::regclass, 'rewritten'::regclass, 'lazy'::regclass)}),
	'0', 'not these, nor one that is not to be preloaded');
is_exact($node, 'postgres', $_, 0, 101, "$_ is exact") foreach ('emptied', 'rewritten', 'lazy', 'same');

#
# A disk that is full
#
make_hot();
save();
$saved = slurp_file($file);
SKIP:
{
	skip 'there is no /dev/full', 3 unless -e '/dev/full';
	symlink '/dev/full', "$file.tmp" or die "could not link: $!";
	$offset = -s $node->logfile;
	$node->stop;
	like(log_from($node, $offset), qr/WARNING:.*could not write file "itemcache\.hotset\.tmp": No space/, 'a full disk is a warning');
	ok($saved eq slurp_file($file), 'and the file is as it was');
	ok(!-e "$file.tmp" && !-l "$file.tmp", 'nothing is left of the new one');
	$node->start;
	wait_preloaded($node);
}

#
# Tables come and go, and are written, while it is saved time and again
#
$node->append_conf('postgresql.conf', 'itemcache.save_interval = 1s');
$node->reload;
$offset = -s $node->logfile;
foreach my $round (1 .. 30)
{
	$node->safe_psql('postgres', qq{
		CREATE TABLE coming (id int PRIMARY KEY, v text);
		SELECT itemcache.attach('coming');
		INSERT INTO coming SELECT g, 'v' FROM generate_series(1, 3000) g;
		SELECT count(itemcache.get(NULL::coming, k)) FROM generate_series(1, 3000) k;
		UPDATE items SET v = 'round $round' WHERE id % 100 = $round;
		TRUNCATE coming;
		INSERT INTO coming SELECT g, 'v' FROM generate_series(1, 3000) g;
		VACUUM FULL coming;
		DROP TABLE coming});
}
$node->restart;
wait_preloaded($node);
unlike(log_from($node, $offset), qr/PANIC|TRAP|terminated by signal/, 'saved while tables come and go');
is_exact($node, 'postgres', 'items', 1, 3000, 'exact');

#
# A base backup has the file; its server loads what its own tables have there
#
make_hot();
$before = hits($hot_keys);
$node->restart;
wait_preloaded($node);
$node->backup('copy');
my $copy = PostgreSQL::Test::Cluster->new('hotset_copy');
$copy->init_from_backup($node, 'copy');
$node->stop;
$node = $copy;
$node->start;
wait_preloaded($node);
cmp_ok(hits($hot_keys), '>=', 0.95 * $before, 'a copy of the data directory begins warm');
is_exact($node, 'postgres', 'items', 1, 2000, 'exact');

$node->stop;

#
# Tables are loaded in the order of how much their rows were looked up
#
my $order = new_server('hotset_order', memory => '8MB');
$order->append_conf('postgresql.conf', q{
itemcache.preload = hot
itemcache.preload_workers = 1
});
$order->start;
$order->safe_psql('postgres', 'CREATE EXTENSION itemcache');
foreach my $table ([ 'never', 0 ], [ 'often', 5 ], [ 'seldom', 1 ])
{
	my ($name, $times) = @$table;

	$order->safe_psql('postgres', qq{
		CREATE TABLE $name (id int PRIMARY KEY, v text);
		SELECT itemcache.attach('$name');
	});
	$order->safe_psql('postgres', "INSERT INTO $name SELECT g, 'v' FROM generate_series(1, 200) g");
	$order->safe_psql('postgres', "SELECT itemcache.preload('$name')");
	$order->safe_psql('postgres', "SELECT count(itemcache.get(NULL::$name, k)) FROM generate_series(1, 200) k, generate_series(1, $times)");
}
$order->restart;
wait_preloaded($order);
is( $order->safe_psql('postgres', q{SELECT string_agg(relation || ' ' || items_loaded, ', ' ORDER BY started_at) FROM itemcache.preload_progress}),
	'public.often 200, public.seldom 200, public.never 200', 'the most used table is loaded first');
$order->stop;
done_testing();
