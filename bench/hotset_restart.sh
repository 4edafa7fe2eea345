# shellcheck shell=bash
#
# The share of hits after a restart of a cache that holds 18 % of its table, looked up
# by Zipf's law (1.0): after a clean one, and after a crash, with a file that is
# 300,000 lookups old.

make_plan_functions
only_nested_loops

# Until all has been loaded that fits.
preloaded()
{
	local tries

	for ((tries = 0; tries < 1000; tries++)); do
		value "SELECT preloader FROM itemcache.stats"
		[ "$VALUE" != "done" ] || return 0
		sleep 0.05
	done
	die "$SCENARIO: the preload does not end: $VALUE"
}

# ratio SIDE: of the next lookups, with what was looked up before in the cache
from=0
ratio()
{
	look_up $((ITEMS / 40))
	add "$1" "$(awk -v v="$VALUE" 'BEGIN { split(v, n, "|"); print n[1] / (n[1] + n[2]) }')" share
}

# look_up N: so many keys; hits and misses, into $VALUE
look_up()
{
	local counts="SELECT hits, misses FROM itemcache.tables WHERE relid = 'items'::regclass"

	value "$counts"
	local before=$VALUE
	sql "SELECT by_cache('SELECT count(i.name) FROM zipf JOIN items i ON i.id = k WHERE n > $from AND n <= $((from + $1))')"
	from=$((from + $1))
	value "$counts"
	VALUE="$((${VALUE%|*} - ${before%|*}))|$((${VALUE#*|} - ${before#*|}))"
}

small="itemcache.memory=$((ITEMS * 18 / 100 * 355 / 1024))kB"
want_server "$small" itemcache.preload=on
sql "CREATE TABLE zipf AS SELECT n, 1 + (exp(random() * ln($ITEMS))::bigint * 611953) % $ITEMS AS k
	 FROM generate_series(1, 8 * $ITEMS) n" "CREATE INDEX ON zipf (n)" "VACUUM (FREEZE, ANALYZE) zipf" \
	"SELECT itemcache.attach('items')"
look_up $((ITEMS * 2))

begin_values hotset_restart
for ((round = 0; round < $(rounds 1 3); round++)); do
	look_up $((ITEMS / 2))
	ratio before
	stop_server
	start_server "$small" itemcache.preload=on
	preloaded
	ratio after
done
report "hits after a restart" "before it" at_least 0.98 after before

begin_values hotset_crash
for ((round = 0; round < $(rounds 1 3); round++)); do
	save_every 1s
	next_save
	save_every 1h
	look_up $((ITEMS * 3 / 10))
	ratio before
	run pg_ctl -D "$WORK/data" -m immediate -w stop >"$WORK/output" 2>&1 || die "$SCENARIO: no crash" "$(cat "$WORK/output")"
	SERVER=
	start_server "$small" itemcache.preload=on
	preloaded
	ratio after
done
report "hits after a crash, by an older file" "before it" at_least 0.95 after before
sql "DROP TABLE zipf" "ALTER SYSTEM RESET itemcache.save_interval" "ALTER DATABASE $PGDATABASE RESET ALL"
