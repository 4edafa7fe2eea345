# shellcheck shell=bash
#
# Rows by key, read and written by four clients: plain SELECT served by
# itemcache, against the same SELECT on everything in shared buffers, and what
# people put in front of it.  Operations per second, and latencies; no ratio
# is required.  The caches are full before anything is measured.
#
#	one_uniform, one_zipf	one row a read; pipelined, 16 are in flight for each
#							client (of Redis, in one MGET)
#	hundred					100 rows a read
#	mix95, mix50			95 % and 50 % reads, single rows, the rest writes
#	hot50, hot				one key: half of it reads; nothing but writes
#	raw						Redis by its own redis-benchmark, values as large

. "$SOURCE/bench/servers.sh"
want_others || return 0
want_cached objects_cached

seconds=$(rounds 0.2 1.5)
caches=(redis redis_lease memcached pgpool)

# measure SIDE KIND OPTIONS...: one round of one side
measure()
{
	local side=$1 kind=$2 what

	shift 2
	side_options "$side" "$kind" || return 0
	client --seconds "$seconds" "$@"
	add "$side" "$(field operations 2)" "per_s"
	for what in reads writes; do
		[ "$(field $what 2)" != 0.0 ] || continue
		add "$side.$what.p50" "$(field $what 5)" us
		add "$side.$what.p99" "$(field $what 7)" us
		add "$side.$what.p99.9" "$(field $what 9)" us
	done
	if [ "$(field writes 2)" != 0.0 ]; then
		add "$side.stale" "$(field stale 3)" reads
		add "$side.stale_of" "$(field stale 9)" reads
	fi
	case $side in
		redis*)
			[ "$(field redis 5)" = 0 ] ||
				add "$side.hits" "$(awk -v h="$(field redis 3)" -v n="$(field redis 5)" 'BEGIN { print h / n }')" ratio
			;;
	esac
}

# figure NAME WHAT KIND SIDES OPTIONS...: measures, and prints
figure()
{
	local name=$1 what=$2 kind=$3 sides=$4 round side

	shift 4
	begin_values "$name"
	for ((round = 0; round < $(rounds 1 2); round++)); do
		for side in $sides; do
			measure "$side" "$kind" "$@"
		done
	done
	for side in $sides; do
		case $side in itemcache*) continue ;; esac
		[ ! -e "$WORK/values/$side" ] ||
			versus "$what" "$(side_name "$side")" "$(our_side "$side")" "$side"
	done
	for side in $sides; do
		[ ! -e "$WORK/values/$side.reads.p50" ] || say "  ($(side_name "$side"): reads p50" \
			"$(median <"$WORK/values/$side.reads.p50"), p99 $(median <"$WORK/values/$side.reads.p99")," \
			"p99.9 $(median <"$WORK/values/$side.reads.p99.9") us)"
	done
}

# Every row is read once, to fill the caches.
for side in redis memcached pgpool; do
	side_options "$side" one || continue
	client --seconds 0 --fill
done

sides="select itemcache simple itemcache_simple pipeline itemcache_pipeline redis_pipeline unlogged ${caches[*]}"
[ -n "$QUICK" ] || figure one_uniform "one key of $OBJECTS, uniform: speed" one "$sides"
figure one_zipf "one key of $OBJECTS, Zipf: speed" one "$sides" --zipf $ZIPF
figure hundred "100 keys, Zipf: speed" many "select itemcache redis memcached pgpool" --zipf $ZIPF --batch 100
if [ -z "$QUICK" ]; then
	sides="select itemcache unlogged ${caches[*]}"
	figure mix95 "95 % reads, Zipf: speed" one "$sides" --zipf $ZIPF --writes 5
	figure mix50 "50 % reads, Zipf: speed" one "$sides" --zipf $ZIPF --writes 50
	figure hot50 "one hot key, 50 % reads: speed" one "$sides" --keys 1 --writes 50
	figure hot "one hot key, writes: speed" one "$sides" --keys 1 --writes 100
fi

if has redis; then
	begin_values raw
	value "SELECT avg(length(concat_ws(' ', id, version, name, payload)))::int FROM objects"
	for depth in 1 16; do
		job redis-benchmark -s "$WORK/socket/redis" -t get,set -d "$VALUE" -c $CLIENTS -P $depth \
			-r "$OBJECTS" -n $((depth * $(rounds 10000 200000))) --csv
		for command in GET SET; do
			line=$(sed -n "s/^\"$command\",//p" "$WORK/output" | tr -d '"')
			add "$command.depth$depth" "$(cut -d , -f 1 <<<"$line")" per_s
			add "$command.depth$depth.p50" "$(cut -d , -f 4 <<<"$line")" ms
			add "$command.depth$depth.p99" "$(cut -d , -f 6 <<<"$line")" ms
			say "  (redis-benchmark, $command, $depth in flight: $(cut -d , -f 1 <<<"$line") /s," \
				"p50 $(cut -d , -f 4 <<<"$line"), p99 $(cut -d , -f 6 <<<"$line") ms)"
		done
	done
	forget redis
fi
