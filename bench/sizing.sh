# shellcheck shell=bash
#
# What grows with the number of items: tables like items, of 10 thousand to 10
# million rows, each alone in a cache of the memory that doc/sizing.md
# recommends.  For each:
#
#	ready		from the server's start to its first answer
#	preloaded	from the server's start to the end of the preload, by two workers,
#				the table in the kernel's cache
#	row			bytes of a row
#	setting		itemcache.memory, in MB
#	items		items that are cached when the preload is through
#	cache, table	a million lookups of random keys in one statement, by get()
#				and by an index nested loop: time (with --quick, 100 thousand)
#	cache_single, table_single	200 thousand SELECTs (20) of one row by a random
#				key, a statement each, in a loop of PL/pgSQL, so that the way to a client
#				and back, which is most of a single lookup's time, does not hide
#				what grows: time
#
# Then rows of other sizes, for which the memory that is recommended must do.
#
# The largest wants 12 GB of available memory, and is skipped without.

LOOKUPS=$(rounds 100000 1000000)
SINGLE_LOOKUPS=$(rounds 20000 200000)

sizing_sizes()
{
	if [ -n "$QUICK" ]; then
		say 10000 100000
	elif [ "$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)" -lt 12000 ]; then
		say 10000 100000 1000000
		say "  (10 million items: skipped, they want 12 GB of available memory)" >&2
	else
		say 10000 100000 1000000 10000000
	fi
}

# Rows of items again and again, under other keys: quicker than to make them.
# In the transaction that makes the table they need no WAL.
sizing_table()
{
	local available

	available=$(df -P -k "$WORK" | awk 'NR == 2 { print int($4 / 1024) }')
	[ "$available" -gt $(($1 * 6 / 10000 + 1000)) ] ||
		die "$SCENARIO: not enough room for $1 items in $(dirname "$WORK")"
	want_server itemcache.memory=64MB wal_level=minimal max_wal_senders=0
	sql "DROP TABLE IF EXISTS sizing, sizing_keys"
	sql "SET statement_timeout = '290s'" "BEGIN" \
		"CREATE TABLE sizing (LIKE items)" \
		"INSERT INTO sizing
		 SELECT i.id + n * $ITEMS, i.name, i.price, i.created_at, i.payload
		 FROM generate_series(0, ($1 - 1) / $ITEMS) n, items i
		 WHERE i.id <= $1" \
		"COMMIT" \
		"VACUUM (FREEZE, ANALYZE) sizing"
	sql "SET statement_timeout = '290s'" "SET maintenance_work_mem = '1GB'" \
		"ALTER TABLE sizing ADD PRIMARY KEY (id)" \
		"CREATE TABLE sizing_keys AS
		 SELECT 1 + floor(random() * $1)::bigint AS k FROM generate_series(1, $LOOKUPS)" \
		"VACUUM (FREEZE, ANALYZE) sizing_keys" \
		"SELECT itemcache.attach('sizing')" "CHECKPOINT"
}

# The rule of doc/sizing.md for so many rows: 48 bytes for each beside its own, a
# tenth to spare, and never less than 8 MB.
recommend_memory()
{
	value "SELECT round(avg(pg_column_size(s)), 1),
				  greatest(8, ceil($1 * (avg(pg_column_size(s)) + 48) * 1.1 / 1048576))
		   FROM sizing s WHERE id <= 10000"
	MEMORY=${VALUE#*|}
	add row "${VALUE%|*}" bytes
	add setting "$MEMORY" MB
}

# measure_size ITEMS
measure_size()
{
	local items=$1 settings buffers=$BUFFERS round

	sizing_table "$items"
	begin_values "sizing_$items"
	recommend_memory "$items"

	settings="itemcache.memory=${MEMORY}MB itemcache.preload=on itemcache.preload_workers=2"
	for ((round = 0; round < $(rounds 1 3); round++)); do
		# shellcheck disable=SC2086
		first_answer "SELECT (itemcache.get(NULL::sizing, 4242)).name" "item number 4242" $settings
		add ready "$VALUE" us
		wait_preloaded sizing "(extract(epoch FROM finished_at) * 1000000)::bigint"
		add preloaded $((VALUE - STARTED)) us
	done
	value "SELECT items FROM itemcache.tables WHERE relid = 'sizing'::regclass"
	add items "$VALUE" items

	# the index scan shall have its table in shared buffers
	[ "$items" -le $ITEMS ] || buffers=5GB
	# shellcheck disable=SC2086
	want_server $settings shared_buffers=$buffers
	wait_preloaded sizing items_loaded
	race "$(rounds 1 3)" \
		"SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off" \
		table "SELECT count(s.name) FROM sizing_keys JOIN sizing s ON s.id = k" \
		cache "SELECT count((itemcache.get(NULL::sizing, k)).name) FROM sizing_keys"
	race "$(rounds 1 3)" "" \
		table_single "SELECT single_off()" cache_single "SELECT single_on()"
	print_size "$items"
}

# keep_the_rule ITEMS LENGTH: rows that are much smaller or larger than those of
# items all fit, too.
keep_the_rule()
{
	local items=$1

	want_server itemcache.memory=8MB
	sql "DROP TABLE IF EXISTS sizing, sizing_keys" \
		"CREATE TABLE sizing (id bigint PRIMARY KEY, value text)" \
		"ALTER TABLE sizing ALTER value SET STORAGE EXTERNAL" \
		"INSERT INTO sizing SELECT i, repeat('x', $2) FROM generate_series(1, $items) i" \
		"VACUUM ANALYZE sizing" "SELECT itemcache.attach('sizing')"
	begin_values "rows_$2"
	recommend_memory "$items"
	want_server "itemcache.memory=${MEMORY}MB"
	value "SELECT itemcache.preload('sizing')"
	add items "$VALUE" items
	# the fewer items, the less alike are the parts of the cache
	judge_held "$items" "values of $2 bytes, $items items, held" 0.99
}

# judge_held ITEMS WHAT LIMIT
judge_held()
{
	local held

	held=$(awk -v n="$1" '{ print $1 / n }' "$WORK/values/items")
	verdict "$2" "itemcache.memory as recommended" at_least "$3" "$held" "$held" "$held"
}

# of SIDE FACTOR [OVER]: its median, times that, over that
of()
{
	median <"$WORK/values/$1" | awk -v factor="$2" -v over="${3:-1}" '{ printf "%.4g", $1 * factor / over }'
}

print_size()
{
	printf '%9d items: memory %5s MB, answers after %s s, loaded after %s s; lookup %s us, by index %s; a SELECT alone %s us, by index %s\n' \
		"$1" "$(of setting 1)" "$(of ready 1e-6)" "$(of preloaded 1e-6)" \
		"$(of cache 1e3 $LOOKUPS)" "$(of table 1e3 $LOOKUPS)" \
		"$(of cache_single 1e3 $SINGLE_LOOKUPS)" "$(of table_single 1e3 $SINGLE_LOOKUPS)"
}

sql "SELECT itemcache.detach('items')"
for transparent in on off; do
	sql "CREATE OR REPLACE FUNCTION single_$transparent() RETURNS bigint
		LANGUAGE plpgsql SET itemcache.transparent = $transparent AS \$\$
		DECLARE
			key record;
			found_name text;
			total bigint := 0;
		BEGIN
			FOR key IN SELECT k FROM sizing_keys LIMIT $SINGLE_LOOKUPS LOOP
				SELECT name INTO found_name FROM sizing WHERE id = key.k;
				total := total + length(found_name);
			END LOOP;
			RETURN total;
		END \$\$"
done
for size in $(sizing_sizes); do
	measure_size "$size"
	# keys of one hash push each other out
	judge_held "$size" "$size items, held" 0.99999
done
if [ -z "$QUICK" ]; then
	keep_the_rule 300000 20
	keep_the_rule 60000 2000
	keep_the_rule 20000 10000
fi
want_server itemcache.memory=640MB
sql "DROP TABLE IF EXISTS sizing, sizing_keys" "SELECT itemcache.attach('items')"
