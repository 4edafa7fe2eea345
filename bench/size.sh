# shellcheck shell=bash
#
# A million lookups of random keys with 5 million small items cached (with
# --quick, 1 million), against 50 thousand: how much slower a big cache is.

want_server itemcache.memory=1GB
begin_values
millions=$(rounds 1 5)

small_items()
{
	sql "CREATE TABLE small_$1 (id bigint PRIMARY KEY, value bigint)" \
		"INSERT INTO small_$1 SELECT i, i FROM generate_series(1, $2) i" \
		"VACUUM (FREEZE, ANALYZE) small_$1" \
		"CREATE TABLE keys_$1 AS
		 SELECT 1 + floor(random() * $2)::bigint AS k FROM generate_series(1, $KEYS)" \
		"SELECT itemcache.attach('small_$1', preload => false)"
	want_cached "small_$1"
}

small_items few 50000
small_items many ${millions}000000
race "$(rounds 2 7)" "" \
	few "SELECT count((itemcache.get(NULL::small_few, k)).value) FROM keys_few" \
	many "SELECT count((itemcache.get(NULL::small_many, k)).value) FROM keys_many"
report "a lookup with $millions million items: time" "with 50 thousand" at_most 2 many few
sql "DROP TABLE small_few, small_many, keys_few, keys_many"
