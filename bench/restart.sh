# shellcheck shell=bash
#
# After a restart, how long until 9 lookups of 10 are hits again: four clients
# look up items by Zipf's law over all of them, from the moment the server (for
# Redis: Redis) is told to start.  A hit is an item in the cache, in Redis, or
# whose page is in shared buffers.  The cache and shared buffers both have the whole
# table when the server is stopped, so that the hot set, and autoprewarm's file, name
# all of it.  Which items are looked up more the hot set knows from 20 seconds of such
# lookups before; of pages, nothing like that is kept.
# The kernel has the table in its cache all the time, and PostgreSQL itself stays up
# and warm when Redis is restarted.  What takes long to be warm is restarted once.

. "$SOURCE/bench/servers.sh"
want_others || return 0

limit=$(rounds 1 60)
read_item="SELECT id, 1, name, payload FROM items o WHERE id = \$1"
cache_hits="SELECT hits, hits + misses FROM itemcache.tables WHERE relid = 'items'::regclass"
page_hits="SELECT pg_stat_get_xact_blocks_hit('items'::regclass), pg_stat_get_xact_blocks_fetched('items'::regclass)"

# warm_after SIDE START-COMMAND...: the clients wait for what the command starts
warm_after()
{
	local side=$1 start line pid

	shift
	start=$(date +%s%N)
	run timeout 300 "$WORK/root/bin/cacheaside" --threads "$CLIENTS" --keys "$ITEMS" --zipf $ZIPF \
		--read "$read_item" --seconds "$limit" --until-warm "${OPTIONS[@]}" \
		</dev/null >"$WORK/client.out" 2>&1 &
	pid=$!
	"$@"
	wait $pid || die "$SCENARIO: failed: $side" "$(tail -n 20 "$WORK/client.out")"
	line=$(grep '^warm ' "$WORK/client.out")
	# shellcheck disable=SC2086
	set -- $line
	[ "$2" = 1 ] || say "  ($(side_name "$side"): given up after $limit s, at $6 % hits)"
	add "$side" "$(awk -v t="$4" -v start="$start" 'BEGIN { printf "%.0f", 1000 * t - start / 1000000 }')" ms
	[ -z "$CSV" ] || [ "$(wc -l <"$WORK/values/$side")" -gt 1 ] || curve "$side" "$start" >>"$CSV"
}

# curve SIDE START: the share of hits over the time, in the first round, for
# bench/plot; each line a tenth later than the one before, and the last
curve()
{
	awk -v side="$1" -v start="$2" '
		$1 == "sample" {
			ms = 1000 * $3 - start / 1000000
			if (ms < 1.1 * last && $4 < 90)
				next
			last = ms
			printf "restart,restart_curve,%s.at_%.0f,1,%s,percent\n", side, ms, $4
		}' "$WORK/client.out"
}

restart_itemcache()
{
	OPTIONS=(--setup "SET itemcache.transparent = on" --hits "$cache_hits")
	want_server "${SERVERS_SETTINGS[@]}"
	want_cached items
	client --keys "$ITEMS" --zipf $ZIPF --read "$read_item" --seconds "$(rounds 1 20)" --seed 100
	stop_server
	warm_after itemcache start_server "${SERVERS_SETTINGS[@]}" itemcache.preload=on
	stop_server
}

restart_buffers()
{
	OPTIONS=(--hits "$page_hits")
	warm_after buffers start_server "${SERVERS_SETTINGS[@]}"
	stop_server
}

restart_prewarm()
{
	local settings=("${SERVERS_SETTINGS[@]}" "shared_preload_libraries=itemcache,pg_prewarm")

	want_server "${settings[@]}"
	sql "SELECT count(payload) FROM items" "SELECT count(k) FROM keys JOIN items ON id = k"
	stop_server
	OPTIONS=(--hits "$page_hits")
	warm_after prewarm start_server "${settings[@]}"
	stop_server
}

begin_values
prewarm=
[ ! -e "$("$PG_CONFIG" --pkglibdir)/pg_prewarm.so" ] || prewarm=1
sql "SELECT itemcache.attach('items')"
for ((round = 0; round < $(rounds 1 5); round++)); do
	restart_itemcache
	restart_buffers
	[ -z "$prewarm" ] || restart_prewarm
done
OPTIONS=(--setup "SET itemcache.transparent = on" --hits "$cache_hits")
warm_after itemcache_no_preload start_server "${SERVERS_SETTINGS[@]}"
stop_server
want_server "${SERVERS_SETTINGS[@]}"
if has redis; then
	sql "SELECT count(payload) FROM items" "SELECT count(k) FROM keys JOIN items ON id = k"
	stop_redis
	OPTIONS=(--redis "$WORK/socket/redis")
	warm_after redis start_redis
	forget redis
fi
[ -n "$prewarm" ] || skipped prewarm "this server has no pg_prewarm"
for side in itemcache_no_preload buffers prewarm redis; do
	[ ! -e "$WORK/values/$side" ] || versus "restart, until 90 % are hits: speed" "$(side_name $side)" $side itemcache
done
say "  (itemcache: $(median <"$WORK/values/itemcache") ms)"
