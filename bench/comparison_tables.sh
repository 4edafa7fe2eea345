# shellcheck shell=bash
#
# The tables of doc/comparison.md, for bench/tables, which reads this file in a
# process of its own, and calls summary or all_tables.  Figures are medians of the rounds, latencies are those
# of reads where there are any.  A ratio in bold says that itemcache is slower.

. "$BENCH/sides.sh"

# median SCENARIO FIGURE SIDE: nothing if there is none
median()
{
	awk -F , -v scenario="$1" -v figure="$2" -v side="$3" \
		'$1 == scenario && $2 == figure && $3 == side { print $5 }' "$FIGURES" | sort -g |
		awk '{ v[NR] = $1 }
			END { if (NR > 0) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# The sides of a figure, in the order in which they were measured; not those
# with a dot, which are more about a side.
sides()
{
	awk -F , -v scenario="$1" -v figure="$2" \
		'$1 == scenario && $2 == figure && !index($3, ".") && !seen[$3]++ { print $3 }' "$FIGURES"
}

# A number for people: three digits, thousands apart.
number()
{
	[ -n "$1" ] || return 0
	awk -v x="$1" 'BEGIN {
		if (x < 10) { printf "%.2f", x; exit }
		if (x < 100) { printf "%.1f", x; exit }
		n = sprintf("%.0f", x)
		while (length(n) > 3)
		{
			rest = "," substr(n, length(n) - 2) rest
			n = substr(n, 1, length(n) - 3)
		}
		print n rest
	}'
}

# ratio OURS OTHER: how many times as fast itemcache is, of two speeds
ratio()
{
	[ -n "$1" ] && [ -n "$2" ] || return 0
	awk -v ours="$1" -v other="$2" 'BEGIN {
		format = ours < other ? "**%.2f**" : "%.2f"
		printf format, ours / other
	}'
}

# speeds SCENARIO FIGURE TITLE: a table of operations per second
speeds()
{
	local side speed what percent

	[ -n "$(sides "$1" "$2")" ] || return 0
	say
	say "$3"
	say
	say "| | per second | itemcache is ... times as fast | p50 | p99 | p99.9 µs |"
	say "|---|--:|--:|--:|--:|--:|"
	for side in $(sides "$1" "$2"); do
		speed=$(median "$1" "$2" "$side")
		printf '| %s | %s | ' "$(side_name "$side")" "$(number "$speed")"
		case $side in
			itemcache*) ;;
			*) ratio "$(median "$1" "$2" "$(our_side "$side")")" "$speed" ;;
		esac
		what=reads
		[ -n "$(median "$1" "$2" "$side.reads.p50")" ] || what=writes
		for percent in p50 p99 p99.9; do
			printf ' | %s' "$(number "$(median "$1" "$2" "$side.$what.$percent")")"
		done
		say " |"
	done
}

# time_row SCENARIO FIGURE SIDE WHAT: a row of a table of milliseconds
time_row()
{
	local time ours

	time=$(median "$1" "$2" "$3")
	ours=$(median "$1" "$2" itemcache)
	[ -n "$time" ] || return 0
	say "| $4 | $(number "$ours") | $(number "$time") | $(ratio "$time" "$ours") |"
}

# summary_row SCENARIO FIGURE WHAT SIDE...: how many times as fast itemcache is
summary_row()
{
	local scenario=$1 figure=$2 what=$3 side

	[ -n "$(sides "$scenario" "$figure")" ] || return 0
	printf '| %s |' "$what"
	for side in select unlogged redis redis_lease memcached pgpool; do
		printf ' %s |' "$(ratio "$(median "$scenario" "$figure" "$(our_side "$side")")" \
			"$(median "$scenario" "$figure" "$side")")"
	done
	say
}

# One table: of each situation, against each alternative.
summary()
{
	say "| itemcache is ... times as fast as | SELECT, prepared | UNLOGGED table | Redis, delete on write | Redis, with leases | memcached by pgmemcache | pgpool-II |"
	say "|---|--:|--:|--:|--:|--:|--:|"
	summary_row alternatives one_uniform "one key a read, uniform"
	summary_row alternatives one_zipf "one key a read, Zipf"
	summary_row alternatives hundred "100 keys a read"
	summary_row orders thousand "a join of 1,000 orders"
	summary_row alternatives mix95 "95 % reads, 5 % writes"
	summary_row alternatives mix50 "50 % reads, 50 % writes"
	summary_row alternatives hot50 "one hot key, 50 % writes"
	summary_row alternatives hot "one hot key, writes only"
}

redis_alone_table()
{
	local side

	say
	say "Redis alone, by redis-benchmark:"
	say
	say "| | per second | p50 ms | p99 ms |"
	say "|---|--:|--:|--:|"
	for side in GET.depth1 SET.depth1 GET.depth16 SET.depth16; do
		say "| ${side%.*}, ${side#*depth} in flight for each client | $(number "$(median alternatives raw $side)") |" \
			"$(median alternatives raw $side.p50) | $(median alternatives raw $side.p99) |"
	done
}

sums_table()
{
	say
	say "Sums over a join of orders with their objects:"
	say
	say "| against | itemcache ms | it ms | itemcache is ... times as fast |"
	say "|---|--:|--:|--:|"
	time_row orders sum_loop other "index nested loop"
	time_row orders sum_plan other "PostgreSQL's own choice"
	time_row orders sum_unlogged other "the same on an UNLOGGED table"
	time_row orders sum_redis other "Redis, MGET to the client"
	time_row orders sum_memcached other "memcached by pgmemcache (10,000 orders)"
}

stale_reads_table()
{
	local side reads

	say
	say "Stale reads:"
	say
	say "| | reads | stale | stale after the invalidation | keys left stale |"
	say "|---|--:|--:|--:|--:|"
	for side in select itemcache itemcache_get unlogged redis redis_lease memcached pgpool pgpool_prepared; do
		reads=$(median stale stale $side.reads)
		[ -n "$reads" ] || continue
		say "| $(side_name $side) | $(number "$reads") | $(median stale stale $side.stale) |" \
			"$(median stale stale $side.stale_after_invalidation) | $(median stale stale $side.left) |"
	done
}

restart_table()
{
	local side

	say
	say "A restart, until 90 % of lookups are hits:"
	say
	say "| against | itemcache ms | it ms | itemcache is ... times as fast |"
	say "|---|--:|--:|--:|"
	for side in itemcache_no_preload buffers prewarm redis; do
		time_row restart restart $side "$(side_name $side)"
	done
}

equal_memory_table()
{
	local figure split speed alone

	say
	say "Equal memory:"
	say
	say "| | shared buffers alone, per second | p99 µs | split | per second | p99 µs | hits | itemcache is ... times as fast |"
	say "|---|--:|--:|---|--:|--:|--:|--:|"
	for figure in disk_hot disk_zipf kernel_hot kernel_zipf; do
		for split in 16 32 48; do
			speed=$(median equal_memory $figure itemcache_$split)
			[ -n "$speed" ] || continue
			alone=$(median equal_memory $figure buffers)
			say "| $figure | $(number "$alone") | $(number "$(median equal_memory $figure buffers.reads.p99)") |" \
				"$((64 - split)) + $split MB | $(number "$speed") |" \
				"$(number "$(median equal_memory $figure itemcache_$split.reads.p99)") |" \
				"$(median equal_memory $figure itemcache_$split.hits | awk '{ printf "%.0f %%", 100 * $1 }') |" \
				"$(ratio "$speed" "$alone") |"
		done
	done
}

all_tables()
{
	speeds alternatives one_uniform "One key a read, uniform:"
	speeds alternatives one_zipf "One key a read, Zipf 0.99:"
	speeds alternatives hundred "100 keys a read, Zipf 0.99:"
	speeds orders thousand "A join of 1,000 orders with their objects:"
	speeds alternatives mix95 "95 % reads of single rows, 5 % writes, Zipf 0.99:"
	speeds alternatives mix50 "50 % reads, 50 % writes, Zipf 0.99:"
	speeds alternatives hot50 "One hot key, 50 % reads, 50 % writes:"
	speeds alternatives hot "One hot key, nothing but writes:"
	redis_alone_table
	sums_table
	stale_reads_table
	restart_table
	equal_memory_table
}
