# Protects: libraries that audit or forbid reads by the executor's hook for permissions see what get() and get_many() read, once for each statement, as they see a SELECT.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use ItemCacheTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($module, $why_not) = build_module('read_audit', $FindBin::RealBin);
plan skip_all => "cannot build the test module: $why_not" unless defined $module;

my $node = new_server('audit', preload => "$module, itemcache");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION itemcache;
	CREATE ROLE reader;
	CREATE TABLE items (id bigint PRIMARY KEY, v text);
	CREATE TABLE others (id bigint PRIMARY KEY, v text);
	CREATE TABLE parts (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (50);
	INSERT INTO items SELECT i, 'v' || i FROM generate_series(1, 20) i;
	INSERT INTO others SELECT i, 'v' || i FROM generate_series(1, 20) i;
	INSERT INTO parts SELECT i, 'v' || i FROM generate_series(1, 20) i;
	SELECT itemcache.attach('items'); SELECT itemcache.preload('items');
	SELECT itemcache.attach('others'); SELECT itemcache.preload('others');
	SELECT itemcache.attach('parts'); SELECT itemcache.preload('parts');
	GRANT SELECT ON items TO reader;
	CREATE FUNCTION assigns(n int) RETURNS text LANGUAGE plpgsql AS
		'DECLARE i items; BEGIN FOR k IN 1 .. n LOOP i := itemcache.get(NULL::items, k); END LOOP; RETURN i.v; END';
	CREATE FUNCTION performs(n int) RETURNS void LANGUAGE plpgsql AS
		'BEGIN FOR k IN 1 .. n LOOP PERFORM itemcache.get(NULL::items, k) FROM generate_series(1, 2); END LOOP; END';
	CREATE FUNCTION deferred() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE i items; BEGIN i := itemcache.get(NULL::items, NEW.id); RETURN NEW; END';
	CREATE TABLE log (id bigint);
	CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION deferred();
	CREATE TABLE secured (id bigint PRIMARY KEY, v text);
	INSERT INTO secured VALUES (1, 'one');
	SELECT itemcache.attach('secured');
	GRANT SELECT ON secured TO reader;
	CREATE POLICY everything ON secured USING (true);
	ALTER TABLE secured ENABLE ROW LEVEL SECURITY});

# What is said of the reads of some statements, without and with the cache
sub reads
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SET read_audit.enabled = on; $sql");

	return join '; ', $err =~ /^psql:\S+ (?:NOTICE|WARNING|ERROR):\s+(.*)$/mg;
}

my $whole = 'postgres reads items, 2 columns';
is(reads('SELECT * FROM items WHERE id = 1'), $whole, 'a SELECT');
is(reads('SELECT itemcache.get(NULL::items, 1)'), $whole, 'get');
is(reads('SELECT itemcache.get(NULL::items, 99)'), $whole, 'get of no row');
is(reads('SELECT * FROM itemcache.get_many(NULL::items, ARRAY[1, 2, 3])'), $whole, 'get_many');
is(reads('SELECT itemcache.preload($$items$$)'), $whole, 'preload');
is(reads('SELECT itemcache.get(NULL::parts, 1)'), 'postgres reads parts, 2 columns', 'get of a partitioned table');
is(reads('SELECT itemcache.put(ROW(1, NULL)::items)') =~ /reads items/, 1, 'put, which reads the row that is there');
is(reads('SELECT itemcache.delete(NULL::items, 20)'), 'postgres reads items, 1 columns', 'delete, which reads the key');

# Once for a statement, whatever it reads
is(reads('SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 10) k'), $whole, 'many times');
is(reads('SELECT itemcache.get(NULL::items, k), itemcache.get(NULL::others, k), itemcache.get(NULL::items, k + 1) FROM generate_series(1, 10) k'),
	"$whole; postgres reads others, 2 columns", 'several tables');
is(reads('PREPARE p AS SELECT itemcache.get(NULL::items, $1); EXECUTE p(1); EXECUTE p(2); EXECUTE p(99)'), join('; ', ($whole) x 3), 'each EXECUTE');
is(reads('BEGIN; DECLARE c CURSOR FOR SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 10) k; FETCH 3 FROM c; FETCH 3 FROM c; COMMIT') =~ /^$whole/,
	1, 'a cursor');
is(reads('SELECT assigns(5)'), $whole, 'expressions of PL/pgSQL, which are no statements');
is(reads("DO \$\$ DECLARE i items; BEGIN i := itemcache.get(NULL::items, 1); END \$\$;\n" x 2), join('; ', ($whole) x 2), 'but the two that call them are');
is(reads('SELECT performs(3)'), join('; ', ($whole) x 3), 'statements of PL/pgSQL');
is(reads('INSERT INTO log VALUES (1)'), $whole, 'a deferred trigger');
is(reads('SELECT count(*) FROM log WHERE id = (itemcache.get(NULL::items, 5)).id'), "$whole; postgres reads log, 1 columns; $whole",
	'called by the planner, too');

# By whom, though the session has read it before
is(reads(q{SELECT itemcache.get(NULL::items, 1); SET ROLE reader; SELECT itemcache.get(NULL::items, 1)}), "$whole; reader reads items, 2 columns", 'another role');
is(reads(q{SELECT set_config('role', CASE k WHEN 2 THEN 'reader' ELSE 'none' END, false), itemcache.get(NULL::items, k) FROM generate_series(1, 3) k}),
	"$whole; reader reads items, 2 columns; $whole", 'another role, in one statement');
like(reads(q{SET ROLE reader; SELECT itemcache.get(NULL::others, 1)}), qr/^permission denied for table others$/, 'what may not be read is not');
is(reads('SET ROLE reader; SELECT itemcache.get(NULL::secured, 1)'), reads('SET ROLE reader; SELECT s FROM ONLY secured s WHERE id = 1'), 'under row-level security');

# What the hook forbids
foreach my $sql ('SELECT i FROM items i WHERE id = 1', 'SELECT itemcache.get(NULL::items, 1)', 'SELECT * FROM itemcache.get_many(NULL::items, ARRAY[1])',
	'SELECT itemcache.preload($$items$$)')
{
	is(reads("SET read_audit.forbidden = 'items'; $sql"), 'reading items is forbidden', "forbidden: $sql");
}
is(reads(q{SELECT itemcache.get(NULL::items, 1); SET read_audit.forbidden = 'items'; SELECT itemcache.get(NULL::items, 1)}),
	"$whole; reading items is forbidden", 'forbidden since');

is_exact($node, 'postgres', $_, 0, 30, "$_ is exact") foreach ('items', 'others', 'parts');
$node->stop;
unlike(log_from($node), qr/PANIC|TRAP|terminated by signal|outside of a statement/, 'no crash');

#
# pgaudit, where it is installed
#
SKIP:
{
	my $lib = `pg_config --pkglibdir`;
	chomp $lib;
	skip 'pgaudit is not installed', 4 unless -e "$lib/pgaudit.so";

	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'itemcache, pgaudit'\npgaudit.role = 'auditor'\npgaudit.log_client = on\npgaudit.log_level = notice\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE auditor; GRANT SELECT ON items TO auditor');
	my $audited = sub {
		my ($sql) = @_;
		my ($rc, $out, $err) = $node->psql('postgres', $sql);

		return join ' ', $err =~ /AUDIT: (\w+),\d+,\d+,(READ,SELECT,TABLE,public\.\w+),/g;
	};
	is($audited->('SELECT itemcache.get(NULL::items, 1)'), 'OBJECT READ,SELECT,TABLE,public.items', 'pgaudit: get');
	is($audited->('SELECT itemcache.get(NULL::others, 1)'), '', 'pgaudit: get of what is not audited');
	is($audited->('SELECT * FROM itemcache.get_many(NULL::items, ARRAY[1, 2])'), 'OBJECT READ,SELECT,TABLE,public.items', 'pgaudit: get_many');
	is($audited->('SET pgaudit.log_rows = on; INSERT INTO log VALUES (1); SELECT i.v, itemcache.get(NULL::others, i.id) FROM items i WHERE id = 1'),
		'OBJECT READ,SELECT,TABLE,public.items OBJECT READ,SELECT,TABLE,public.items', 'pgaudit: with the number of rows');
	$node->stop;
}

done_testing();
