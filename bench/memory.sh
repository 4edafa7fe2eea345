# shellcheck shell=bash
#
# What an item takes of itemcache.memory beyond its tuple, all of the memory
# counted, index and accounts too: a cache that is too small, filled by
# preload() until it is full, and again after each row of the table has been
# looked up, that is, most of the cache evicted and written over several times.
#
# The tuple is what the table has of the row on its page, header included:
# pg_column_size() of the row, which for a whole row says just that (there are
# no compressed or out-of-line values in this table).

megabytes=$(rounds 32 128)
want_server itemcache.memory=${megabytes}MB

per_item()
{
	value "SELECT $megabytes * 1024 * 1024.0 / (SELECT items FROM itemcache.stats)
				  - (SELECT avg(pg_column_size(i)) FROM items i)"
	begin_values "$1"
	add overhead "$VALUE" bytes
	say 1 >"$WORK/values/item"
}

sql "SELECT itemcache.clear()" "SELECT itemcache.preload('items')"
per_item memory_preloaded
report "bytes beyond the tuple, filled by preload" "-" at_most 48 overhead item

sql "SELECT count((itemcache.get(NULL::items, k)).name) FROM keys"
per_item memory_evicting
report "bytes beyond the tuple, evicting" "-" at_most 48 overhead item
