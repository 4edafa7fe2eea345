# shellcheck shell=bash
#
# The same memory, given to shared buffers alone, or split between them and
# itemcache.  The table is five times as large; lookups by four clients, nine
# of ten for one row of twenty, which are scattered over the table (hot), or
# by Zipf's law, scattered as well (zipf).  So a page in memory is one hot row
# and twenty others, and an item is an item.
#
# What is in neither comes from the disk ("disk"): all the time, the kernel is
# told to forget the pages of the table and its index (posix_fadvise, by dd).
# That is stricter than a server short of memory, and needs no privileges. Or
# the kernel's cache has all of the table ("kernel"), so a miss costs only a
# system call.

. "$SOURCE/bench/servers.sh"
want_others || return 0

total=$(rounds 16 64)
seconds=$(rounds 1 4)
value "SELECT (pg_table_size('items') + pg_indexes_size('items')) / 1048576"
say "== items and its index: $VALUE MB, for $total MB of memory"
value "SELECT current_setting('data_directory') || '/' || pg_relation_filepath(o)
	   FROM unnest('{items,items_pkey}'::regclass[]) o"
mapfile -t files < <(run sh -c 'ls $0*' "${VALUE%%$'\n'*}"; say "${VALUE##*$'\n'}")
run sync "${files[@]}"

counters="SELECT hits, misses FROM itemcache.tables WHERE relid = 'items'::regclass"

# Lets the kernel forget these files, until it is stopped or $WORK is gone.
forget_files()
{
	while [ -d "$WORK/values" ]; do
		for file in "${files[@]}"; do
			dd if="$file" iflag=nocache count=0 status=none
		done
		sleep 0.05
	done
}

# cell SIDE BUFFERS ITEMCACHE OPTIONS...: on a server just started, after a
# while that does not count
cell()
{
	local side=$1 buffers=$2 memory=$3 disk_kb before

	shift 3
	stop_server
	start_server "shared_buffers=${buffers}MB" "itemcache.memory=${memory}MB" max_connections=20
	OPTIONS=(--read "SELECT id, 1, name, payload FROM items o WHERE id = \$1")
	[ "$side" = buffers ] || OPTIONS+=(--setup "SET itemcache.transparent = on")
	client --keys "$ITEMS" --seed 1 --seconds "$(rounds 1 6)" "$@"
	sql "$counters"
	before=$(cat "$WORK/output")
	disk_kb=$(awk '$1 == "pgpgin" { print $2 }' /proc/vmstat)
	client --keys "$ITEMS" --seed 2 --seconds "$seconds" "$@"
	disk_kb=$(($(awk '$1 == "pgpgin" { print $2 }' /proc/vmstat) - disk_kb))
	add "$side" "$(field reads 2)" per_s
	add "$side.reads.p50" "$(field reads 5)" us
	add "$side.reads.p99" "$(field reads 7)" us
	add "$side.reads.p99.9" "$(field reads 9)" us
	add "$side.disk" $((disk_kb / seconds)) kB_per_s
	if [ "$side" != buffers ]; then
		sql "$counters"
		add "$side.hits" "$(paste -d '|' <(say "$before") "$WORK/output" |
			awk -F '|' '{ print ($3 - $1) / ($3 + $4 - $1 - $2) }')" ratio
	fi
}

# compare_splits FIGURE SPLITS OPTIONS...: MB of itemcache in each
compare_splits()
{
	local figure=$1 splits=$2 round split forgetter=

	shift 2
	begin_values "$figure"
	if [ "${figure%%_*}" = disk ]; then
		(trap - EXIT; forget_files) </dev/null &
		forgetter=$!
	fi
	for ((round = 0; round < $(rounds 1 2); round++)); do
		cell buffers $((total - 1)) 1 "$@"
		for split in $splits; do
			cell "itemcache_$split" $((total - split)) "$split" "$@"
		done
	done
	if [ -n "$forgetter" ]; then
		kill $forgetter
		wait $forgetter 2>/dev/null
	fi
	for split in $splits; do
		versus "$figure: $((total - split)) MB and $split MB of items: speed" "$total MB shared buffers" \
			"itemcache_$split" buffers
	done
	say "  (read from disk, kB/s: shared buffers alone $(head -n 1 "$WORK/values/buffers.disk")," \
		"with $((total / 2)) MB of items $(head -n 1 "$WORK/values/itemcache_$((total / 2)).disk"))"
}

compare_splits disk_hot "$(rounds 8 "16 32 48")" --hot 5
if [ -z "$QUICK" ]; then
	compare_splits disk_zipf "16 32 48" --zipf $ZIPF
	compare_splits kernel_hot 32 --hot 5
	compare_splits kernel_zipf 32 --zipf $ZIPF
fi
want_server itemcache.memory=640MB
