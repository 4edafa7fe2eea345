# shellcheck shell=bash
#
# sides.sh
#	The sides of the comparisons: what they are called, and which of ours each is
#	compared with.  Read by what measures them (servers.sh) and by what makes
#	tables of it (comparison_tables.sh).

# How a side is called in what is printed.
side_name()
{
	case $1 in
		select) say "SELECT, prepared" ;;
		simple) say "SELECT, simple protocol" ;;
		pipeline) say "SELECT, pipelined" ;;
		unlogged) say "UNLOGGED table" ;;
		redis) say "Redis, delete on write" ;;
		redis_pipeline) say "Redis, pipelined" ;;
		redis_lease) say "Redis, with leases" ;;
		memcached) say "memcached by pgmemcache" ;;
		pgpool) say "pgpool-II, simple protocol" ;;
		pgpool_prepared) say "pgpool-II, prepared" ;;
		buffers) say "shared buffers, cold" ;;
		prewarm) say "shared buffers, autoprewarm" ;;
		itemcache_get) say "itemcache.get()" ;;
		itemcache_no_preload) say "itemcache, not preloaded" ;;
		itemcache_simple) say "itemcache, simple protocol" ;;
		itemcache_pipeline) say "itemcache, pipelined" ;;
		*) say "$1" ;;
	esac
}

# The side of ours to compare one with.
our_side()
{
	case $1 in
		simple | pipeline | redis_pipeline) say "itemcache_${1#redis_}" ;;
		*) say itemcache ;;
	esac
}
