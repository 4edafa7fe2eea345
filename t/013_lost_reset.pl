# Protects: a session that falls so far behind that its caches are reset, and whose reset fails half way, neither serves nor caches rows of a table's former shape, nor crashes (README, "Lost messages").
#
# The reset begins with rebuilding the descriptions of open relations, which
# reads pg_trigger; that is locked, and there is a lock_timeout.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('reset');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE TABLE items (id bigint PRIMARY KEY, name text, n int);
	INSERT INTO items SELECT g, 'n' || g, g FROM generate_series(1, 20) g;
	CREATE TABLE typed (id bigint PRIMARY KEY, name text, pad text);
	INSERT INTO typed SELECT g, 'n' || g, 'pad' FROM generate_series(1, 20) g;
	CREATE TABLE other (id int PRIMARY KEY);
	CREATE TABLE refers (id int REFERENCES other);
	INSERT INTO other VALUES (1);
	SELECT itemcache.attach('items'), itemcache.attach('typed');
});

# Make "reader" miss what $ddl does to a table, of which it looks up key 7.
sub lose
{
	my ($reader, $table, $ddl) = @_;
	my $get = "(itemcache.get(NULL::$table, 7))::text";
	my $holder = $node->background_psql('postgres');
	my $locker = $node->background_psql('postgres');

	is($reader->query_safe("SELECT $get IS NOT NULL"), 't', "$table: known");
	$holder->query_safe('SELECT pg_advisory_lock(1)');
	$reader->query_safe(q{SET lock_timeout = '500ms'; BEGIN; DECLARE c CURSOR FOR SELECT * FROM other; FETCH 1 FROM c});
	$reader->query_until(qr/sent/, qq{\\echo sent
DO \$\$
BEGIN
	-- wait, but not for a lock, nor so that messages are taken
	WHILE NOT pg_try_advisory_xact_lock(1) LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
	BEGIN
		PERFORM $get;
		RAISE LOG 'nothing lost';
	EXCEPTION WHEN lock_not_available THEN
		RAISE LOG 'lost';
	END;
END \$\$;
});
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DO %pg_try_advisory_xact_lock%' AND wait_event = 'PgSleep'})
	  or die 'reader does not wait';
	$node->safe_psql('postgres', $ddl);
	$node->safe_psql('postgres', q{DO $$
BEGIN
	FOR i IN 1..800 LOOP
		CREATE TEMP TABLE t (a int PRIMARY KEY, b text);
		DROP TABLE t;
	END LOOP;
END $$}) foreach 1 .. 2;
	$locker->query_safe('BEGIN; LOCK TABLE pg_trigger IN ACCESS EXCLUSIVE MODE');
	$holder->query_safe('SELECT pg_advisory_unlock(1)');
	$holder->quit;
	$reader->query_until(qr/done/, "\\echo done\n");
	$locker->query_safe('ROLLBACK');
	$locker->quit;
	return;
}

my $reader = $node->background_psql('postgres', on_error_stop => 0);
lose($reader, 'items', 'ALTER TABLE items ADD added int; UPDATE items SET added = id; SELECT itemcache.clear($$items$$)');
like($reader->query_safe('SELECT itemcache.get(NULL::items, 7)::text'), qr/^\(7,n7,7/, 'reader goes on');
$reader->query('COMMIT');
is_exact($node, 'postgres', 'items', 1, 20, 'what it has cached has the new shape');

lose($reader, 'typed', 'ALTER TABLE typed ALTER name TYPE int USING 1073741820');
like($reader->query_safe('SELECT itemcache.get(NULL::typed, 7)::text'), qr/^\(7,1073741820,pad\)/, 'a value is not taken for one of another type');
$reader->query('COMMIT');
$reader->quit;
is_exact($node, 'postgres', 'typed', 1, 20, 'nor by others');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no crash');
unlike(slurp_file($node->logfile), qr{LOG:  nothing lost}, 'messages were lost');
$node->stop;

done_testing();
