# shellcheck shell=bash
#
# Stale reads under concurrent writes: four clients, a hundred keys, half of
# what they do writes.  A read is stale if it returns less than what had been
# acknowledged as committed before it began ("stale"), or before it began and
# with the writer's invalidation done, too ("after invalidation").  "left" are
# the keys still stale when all is over.  client/cacheaside.c counts, in the
# same way for all.  itemcache must serve none.

. "$SOURCE/bench/servers.sh"
want_others || return 0
want_cached objects_cached

begin_values
keys=100

# The share of reads that itemcache served, which is not to be none.
cache_hits()
{
	value "SELECT hits FROM itemcache.tables WHERE relid = 'objects_cached'::regclass"
}

for side in select itemcache itemcache_get unlogged redis redis_lease memcached pgpool pgpool_prepared; do
	side_options $side one || continue
	forget $side
	cache_hits
	hits=$VALUE
	client --keys $keys --writes 50 --seconds "$(rounds 0.3 6)"
	read -r stale after left reads < <(awk '$1 == "stale" { print $3, $5, $7, $9 }' "$WORK/output")
	add $side.reads "$reads" reads
	add $side.stale "$stale" reads
	add $side.stale_after_invalidation "$after" reads
	add $side.left "$left" keys
	case $side in
		itemcache*)
			cache_hits
			add $side.hits $((VALUE - hits)) reads
			[ $((VALUE - hits)) -gt 0 ] || die "$SCENARIO: nothing was served from the cache"
			verdict "stale reads of $reads" "$(side_name $side), $((VALUE - hits)) hits" at_most 0 \
				$((stale + left)) "$stale" "$stale"
			;;
		*)
			printf '%-42s %-32s %9s %9s %8s %8s  %s\n' "stale reads of $reads" "$(side_name $side)" "" \
				"$stale" "" "" "after invalidation: $after; left: $left"
			;;
	esac
done
