# shellcheck shell=bash
#
# What saving the hot set takes, of 10 million items, and what lookups lose meanwhile.

make_plan_functions
only_nested_loops

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
sql "DROP TABLE places, place_keys" "ALTER SYSTEM RESET itemcache.save_interval" "ALTER DATABASE $PGDATABASE RESET ALL"
