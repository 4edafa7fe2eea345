# shellcheck shell=bash
#
# Misses of a trace with scans in it, replayed with itemcache.get() on a table
# of rows of one size, against those of a textbook S3-FIFO (of t/store) that
# holds as many items, at a tenth and a fifth of the trace's footprint.

# Nine requests of ten follow Zipf's law (0.9) over so many keys; between them
# come scans, each of some thousand of as many others, that nothing else asks for.
cat >"$WORK/trace.pl" <<'PERL'
use strict;
use warnings;
my ($requests, $keys, $skew) = (@ARGV, 0.9);
my $range = $keys**(1 - $skew) - 1;
my $scan_from = 0;
srand(1);
for (my $n = 0; $n < $requests;)
{
	for (my $i = 0; $i < 45_000 && $n < $requests; $i++, $n++)
	{
		print int(($range * rand() + 1)**(1 / (1 - $skew))), "\n";
	}
	for (my $i = 0; $i < 5_000 && $n < $requests; $i++, $n++)
	{
		print $keys + 1 + $scan_from++ % $keys, "\n";
	}
}
PERL

rm -f "$WORK/trace"
keys=$(rounds 100000 200000)
run perl "$WORK/trace.pl" "$(rounds 200000 4000000)" $keys >"$WORK/trace" ||
	die "$SCENARIO: no trace"
footprint=$(sort -u "$WORK/trace" | wc -l)

build_store_test
want_server itemcache.memory=640MB
sql "CREATE TABLE blocks (id bigint PRIMARY KEY, data text)" \
	"ALTER TABLE blocks ALTER data SET STORAGE EXTERNAL" \
	"INSERT INTO blocks SELECT i, rpad(md5(i::text), 200, 'x') FROM generate_series(1, 2 * $keys + 1) i" \
	"CREATE TABLE trace (k bigint)" \
	"COPY trace FROM '$WORK/trace'" \
	"VACUUM (FREEZE, ANALYZE) blocks" "VACUUM (FREEZE, ANALYZE) trace" \
	"SELECT itemcache.attach('blocks', preload => false)"

# replay KB: the trace through an empty cache of that size; sets MISSES, HELD
replay()
{
	stop_server
	start_server "itemcache.memory=$1kB" max_connections=10
	sql "SELECT count((itemcache.get(NULL::blocks, k)).id) FROM trace"
	value "SELECT misses, items FROM itemcache.tables WHERE relid = 'blocks'::regclass"
	MISSES=${VALUE%%|*}
	HELD=${VALUE##*|}
}

for percent in $(rounds 20 "10 20"); do
	begin_values "hit_ratio_$percent"
	# find the memory that holds so many: a guess, and what it teaches
	target=$((footprint * percent / 100))
	kb=$((target * 300 / 1024))
	replay $kb
	replay $((kb * target / HELD))
	simulated=$(run "$STORE_TEST" textbook "$HELD" "$WORK/trace")
	add cache "$MISSES" misses
	add textbook "$simulated" misses
	report "misses, $HELD of $footprint items fit" "textbook S3-FIFO" at_most 1.01 cache textbook
done
want_server itemcache.memory=640MB
sql "DROP TABLE blocks, trace"
