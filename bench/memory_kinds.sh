# shellcheck shell=bash
#
# How much of what the memory allows is held, with all settings at their
# defaults: 48 bytes beyond the tuple of a row, 40 for each of its other unique keys
# that is known, and 64 for a key that is not there, in caches of several sizes.
#
# Rows of 80 and of 300 bytes are loaded, a tenth more than the memory allows, and
# counted.  Rows with two other unique keys, and keys of 25 bytes that are not there,
# are looked up by all their keys, as many as use 95 % of what the memory allows; then
# they are again, and those count that are hits.
#
# The tuple is what the table has of the row on its page, header included:
# pg_column_size() of the row.

# anew: an empty cache, and an index as it is after a start, for it does not shrink
anew()
{
	stop_server
	start_server "itemcache.memory=${megabytes}MB"
	sql "DROP TABLE IF EXISTS sized"
}

# allowed PER_ITEM [SHARE]: how many items of that size the memory allows
allowed()
{
	say $((megabytes * 1048576 / $1 * ${2:-100} / 100))
}

# judge NAME VALUE WHAT
judge()
{
	begin_values "memory_$1_$megabytes"
	add held "$2" ratio
	add allowed 1 ratio
	report "$megabytes MB, $3: held" "what the memory allows" at_least 0.9 held allowed
}

# loaded ROW: rows of that size, more than there is room for
loaded()
{
	anew
	# the tuple's header and its key take 32 bytes, the text's length 1 or 4
	sql "CREATE TABLE sized (id bigint PRIMARY KEY, value text)" \
		"INSERT INTO sized
		 SELECT i, repeat('x', $1 - 32 - CASE WHEN $1 < 159 THEN 1 ELSE 4 END)
		 FROM generate_series(1, $(allowed $(($1 + 48)) 110)) i" \
		"VACUUM ANALYZE sized" "SELECT itemcache.attach('sized')" \
		"SELECT itemcache.preload('sized')"
	value "SELECT max(pg_column_size(s)) FROM sized s"
	[ "$VALUE" = "$1" ] || die "$SCENARIO: rows of $VALUE bytes, where $1 were meant"
	value "SELECT items * ($1 + 48) / ($megabytes * 1048576.0)
		   FROM itemcache.tables WHERE relid = 'sized'::regclass"
	judge "rows_$1" "$VALUE" "rows of $1 bytes"
}

# found QUERY: which counts what it looks up, twice; the share of the second time's
# lookups that are hits, into $VALUE
found()
{
	local before lookups

	sql "$1"
	value "SELECT hits FROM itemcache.stats"
	before=$VALUE
	value "$1"
	lookups=$VALUE
	value "SELECT 0.95 * (hits - $before) / $lookups FROM itemcache.stats"
}

# id, mail and code take 68 bytes, with the header
aliases()
{
	anew
	sql "CREATE TABLE sized (id bigint PRIMARY KEY, mail text UNIQUE, code text UNIQUE)" \
		"INSERT INTO sized
		 SELECT i, 'user.' || to_char(i, 'FM000000000') || '@example', 'code ' || to_char(i, 'FM000000000')
		 FROM generate_series(1, $(allowed $((70 + 48 + 2 * 40)) 95)) i" \
		"VACUUM ANALYZE sized" "SELECT itemcache.attach('sized')" \
		"SELECT itemcache.preload('sized')"
	value "SELECT max(pg_column_size(s)) FROM sized s"
	[ "$VALUE" = 70 ] || die "$SCENARIO: rows of $VALUE bytes, where 70 were meant"
	found "SELECT count(itemcache.get_by(NULL::sized, 'mail', mail)) +
				  count(itemcache.get_by(NULL::sized, 'code', code)) FROM sized"
	judge aliases "$VALUE" "rows of 70 bytes by two other keys"
}

absences()
{
	anew
	sql "CREATE TABLE sized (id bigint PRIMARY KEY, mail text UNIQUE)" \
		"INSERT INTO sized VALUES (1, 'one')" \
		"VACUUM ANALYZE sized" "SELECT itemcache.attach('sized')"
	found "SELECT count(*) - count(itemcache.get_by(NULL::sized, 'mail', lpad(i::text, 25, '-')))
		   FROM generate_series(1, $(allowed 64 95)) i"
	judge absences "$VALUE" "absent keys of 25 bytes"
}

for megabytes in $(rounds 32 "32 512"); do
	loaded 80
	loaded 300
	aliases
	absences
done
sql "DROP TABLE sized"
