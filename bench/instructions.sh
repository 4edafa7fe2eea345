# shellcheck shell=bash
#
# Instructions of the server's process for a lookup, prepared, against those
# of SELECT 1: the server runs under callgrind, and what N transactions more
# cost is what N transactions cost, start-up and planning left out.

if ! command -v valgrind >/dev/null; then
	say "instructions: skipped: valgrind is not installed"
	return 0
fi

stop_server
begin_values
transactions=1000
run mkdir "$WORK/out/callgrind"
run touch "$WORK/out/valgrind.log"
set -m
# shellcheck disable=SC2024
run valgrind --tool=callgrind --callgrind-out-file="$WORK/out/callgrind/%p" \
	"$BINDIR/postgres" -D "$WORK/data" \
	-c shared_buffers=64MB -c itemcache.memory=64MB -c max_connections=10 \
	</dev/null >"$WORK/valgrind.log" 2>&1 &
VALGRIND=$!
set +m
for ((tries = 0; tries < 240; tries++)); do
	run pg_isready -q && break
	kill -0 "$VALGRIND" 2>/dev/null ||
		die "$SCENARIO: no server under valgrind" "$(tail -n 20 "$WORK/valgrind.log")"
	sleep 0.25
done

# a thousand keys, cached
cat >"$WORK/get.sql" <<-'SQL'
	\set id random(1, 1000)
	SELECT (itemcache.get(NULL::items, :id)).name;
SQL
cat >"$WORK/plain.sql" <<-'SQL'
	\set id random(1, 1000)
	SELECT name FROM items WHERE id = :id;
SQL
say "SELECT 1;" >"$WORK/one.sql"
sql "SELECT count((itemcache.get(NULL::items, k)).name) FROM generate_series(1, 1000) k" \
	"SELECT count((itemcache.get(NULL::items, k)).name) FROM generate_series(1, 1000) k"

for side in one get plain; do
	for times in 1 2; do
		export PGAPPNAME=bench_${side}_$times
		transactions "$WORK/$side.sql" -c 1 -t $((transactions * times))
		unset PGAPPNAME
	done
done
value "SELECT misses <= 1000 AND hits >= 4 * $transactions FROM itemcache.stats"
[ "$VALUE" = t ] || die "$SCENARIO: the lookups were no hits"
run pg_ctl -D "$WORK/data" -w -t 120 -m fast stop >"$WORK/output" 2>&1 ||
	die "$SCENARIO: the server under valgrind does not stop" "$(cat "$WORK/output")"
wait "$VALGRIND"
VALGRIND=

# Instructions of all processes whose client was so named, into $VALUE.
instructions_of()
{
	local pid

	VALUE=0
	for pid in $(sed -n "s/^\([0-9]*\) LOG: .* application_name=$1\$/\1/p" "$WORK/valgrind.log"); do
		VALUE=$((VALUE + $(sed -n 's/^totals: \([0-9]*\).*/\1/p' "$WORK/out/callgrind/$pid")))
	done
}

for side in one get plain; do
	instructions_of "bench_${side}_1"
	once=$VALUE
	instructions_of "bench_${side}_2"
	add $side $(((VALUE - once) / transactions)) instructions
done
report "get, prepared: instructions" "SELECT 1" at_most 1.25 get one
say "  (SELECT 1: $(cat "$WORK/values/one"), get: $(cat "$WORK/values/get"), SELECT name ... WHERE id = \$1: $(cat "$WORK/values/plain"))"
run rm -rf "$WORK/out/callgrind"
