# shellcheck shell=bash
#
# The hot set: what saving it takes, of 10 million items, and what lookups lose
# meanwhile; and the share of hits after a restart of a cache that holds 18 % of its
# table, looked up by Zipf's law (1.0): after a clean one, and after a crash, with a
# file that is 300,000 lookups old.

make_plan_functions
for method in hashjoin mergejoin memoize; do
	sql "ALTER DATABASE $PGDATABASE SET enable_$method = off"
done
file=$WORK/data/itemcache.hotset

# next_save: waits for one to end; when it did (in ms), into $VALUE
next_save()
{
	local before tries

	before=$(run stat -c %.3Y:%i "$file" 2>/dev/null)
	for ((tries = 0; tries < 6000; tries++)); do
		VALUE=$(run stat -c %.3Y:%i "$file" 2>/dev/null)
		[ "$VALUE" = "$before" ] || break
		sleep 0.01
	done
	[ "$VALUE" != "$before" ] || die "$SCENARIO: the hot set is not saved"
	VALUE=${VALUE%%:*}
	VALUE=${VALUE/./}
}

# Between saves a second goes by.
save_every()
{
	sql "ALTER SYSTEM SET itemcache.save_interval = '$1'" "SELECT pg_reload_conf()"
}

# launcher STATE: waits until the saving process is idle, or active
launcher()
{
	local tries

	for ((tries = 0; tries < 600; tries++)); do
		value "SELECT count(*) FROM pg_stat_activity
			   WHERE backend_type = 'itemcache preload launcher' AND state = '$1'"
		[ "$VALUE" = 0 ] || return 0
		sleep 0.02
	done
	die "$SCENARIO: the launcher is never $1"
}

places=$(rounds 1000000 10000000)
want_server "itemcache.memory=$((places / 9 + 8192))kB" "itemcache.max_items=$((places * 21 / 20))"
sql "CREATE TABLE places AS SELECT i AS id, i AS n FROM generate_series(1, $places::bigint) i" \
	"ALTER TABLE places ADD PRIMARY KEY (id)" "VACUUM (FREEZE, ANALYZE) places" \
	"CREATE TABLE place_keys AS SELECT 1 + floor(random() * $places)::bigint AS k FROM generate_series(1, 1000000)" \
	"VACUUM (FREEZE, ANALYZE) place_keys" \
	"SELECT itemcache.attach('places', preload => false)" "SELECT itemcache.preload('places')"
value "SELECT items FROM itemcache.tables WHERE relid = 'places'::regclass"
[ "$VALUE" -ge $((places * 99 / 100)) ] || die "$SCENARIO: only $VALUE of $places items are cached"
lookups="SELECT by_cache('SELECT count(p.n) FROM place_keys JOIN places p ON p.id = k')"
sql "$lookups" "$lookups"

begin_values hotset_slowdown
for ((round = 0; round < $(rounds 1 5); round++)); do
	save_every 1h
	launcher idle
	timed idle "$lookups"
	save_every 1s
	launcher idle
	launcher active
	timed saving "$lookups"
done
report "lookups while the hot set is saved: time" "while it is not" at_most 1.05 saving idle

begin_values hotset_save
next_save
for ((round = 0; round < $(rounds 1 5); round++)); do
	last=$VALUE
	next_save
	add save $((VALUE - last - 1000)) ms
	add limit 3000 ms
done
save_every 1h
report "saving $places items: time" "3 s" at_most 1 save limit
sql "DROP TABLE places, place_keys"

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
