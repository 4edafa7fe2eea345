# shellcheck shell=bash
#
# Lookups by another unique key than the primary key, and of keys that are not
# there: a million rows, with a text of 25 bytes for the key, all cached with their
# aliases; against the plans PostgreSQL has without it.

want_server itemcache.memory=640MB
make_plan_functions

# as many keys that are not there are asked for, all over the index: odd numbers
ABSENT=$(rounds 30000 300000)
sql "SELECT itemcache.clear('items')" \
	"DROP TABLE IF EXISTS skus, sku_keys, sku_lists, sku_absent, sku_rounds" \
	"CREATE TABLE skus AS SELECT 2 * id AS id, left(md5(id::text), 25) AS sku, name, price, created_at, payload FROM items" \
	"ALTER TABLE skus ADD PRIMARY KEY (id), ADD UNIQUE (sku)" \
	"CREATE TABLE sku_keys AS SELECT left(md5(k::text), 25) AS k FROM keys" \
	"CREATE TABLE sku_lists AS SELECT array_agg(k) AS a
	FROM (SELECT k, row_number() OVER () / 100 AS list FROM sku_keys LIMIT 200000) s GROUP BY list" \
	"CREATE TABLE sku_absent AS SELECT 1 + 2 * ($ITEMS / $ABSENT) * g::bigint AS id, left(md5((-g)::text), 25) AS k
	FROM generate_series(1, $ABSENT) g ORDER BY hashint4(g)" \
	"VACUUM (FREEZE, ANALYZE) skus, sku_keys, sku_lists, sku_absent" \
	"SELECT itemcache.attach('skus', aliases => 'all')" CHECKPOINT
want_cached skus

JOIN="SELECT count(i.name) FROM sku_keys JOIN skus i ON i.sku = k"
begin_values unique_join_loop
race "$(rounds 1 3)" "SET jit = off" loop "SELECT by_index('$JOIN')" cache "SELECT by_cache('$JOIN')"
report "join of a million unique texts: speed" "index nested loop" at_least 12 loop cache
begin_values unique_join_hash
race "$(rounds 2 5)" "SET jit = off" hash "SELECT by_table('$JOIN')" cache "SELECT by_cache('$JOIN')"
report "join of a million unique texts: speed" "hash join" at_least 2.5 hash cache

LISTS="SELECT sum((SELECT count(name) FROM skus WHERE sku = ANY (a))) FROM sku_lists"
begin_values unique_any
race "$(rounds 2 5)" "SET jit = off" table "SELECT by_table('$LISTS')" cache "SELECT by_cache('$LISTS')"
report "unique text = ANY, lists of 100: speed" "index scan" at_least 5 table cache

begin_values unique_pgbench
cat >"$WORK/unique.sql" <<-SQL
	\\set id random(1, $ITEMS)
	SELECT name, price FROM skus WHERE sku = left(md5(:id::text), 25);
SQL
for ((round = 0; round < $(rounds 1 3); round++)); do
	for side in off on; do
		sql "ALTER DATABASE $PGDATABASE SET itemcache.transparent = $side"
		sustained 10 15 -f "$WORK/unique.sql" -M prepared -c 4 -j "$(threads 4)"
		add $side "$VALUE" tps
	done
done
sql "ALTER DATABASE $PGDATABASE RESET itemcache.transparent"
report "row by unique text, pgbench, 4 clients" "index scan" at_least 1.35 on off

# the first time, each round others; then the same again
setup="SET jit = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off"
sql "SELECT itemcache.get(NULL::skus, -1), itemcache.get(NULL::skus, -1)"
sql "CREATE TABLE sku_rounds AS SELECT id, k, row_number() OVER () / ($ABSENT / 6) AS round FROM sku_absent" \
	"CREATE INDEX ON sku_rounds (round)" "VACUUM ANALYZE sku_rounds"
FIRST="SELECT count(i.name) FROM sku_rounds a LEFT JOIN skus i ON i.sku = a.k WHERE round = ROUND"
begin_values unique_absent_first
race "$(rounds 2 5)" "$setup" loop "SELECT by_index('$FIRST')" cache "SELECT by_cache('$FIRST')"
report "absent unique text, the first time: speed" "index nested loop" at_least 0.9 loop cache

LEFT="SELECT count(*) - count(i.name) FROM sku_absent a LEFT JOIN skus i ON i.sku = a.k"
begin_values unique_absent_left
race "$(rounds 2 5)" "$setup" loop "SELECT by_index('$LEFT')" cache "SELECT by_cache('$LEFT')"
report "LEFT JOIN with absent unique texts: speed" "index nested loop" at_least 6 loop cache
ANTI="SELECT count(*) FROM sku_absent a WHERE NOT EXISTS (SELECT FROM skus i WHERE i.id = a.id)"
begin_values unique_absent_anti
race "$(rounds 2 5)" "$setup" loop "SELECT by_index('$ANTI')" cache "SELECT by_cache('$ANTI')"
report "NOT EXISTS with absent keys: speed" "index nested loop" at_least 6 loop cache
begin_values unique_absent_get
race "$(rounds 2 5)" "$setup" \
	loop "SELECT by_index('SELECT count(i.name) FROM sku_absent a LEFT JOIN skus i ON i.id = a.id')" \
	get "SELECT count((itemcache.get(NULL::skus, id)).name) FROM sku_absent"
report "get of absent keys in one statement: speed" "index nested loop" at_least 3 loop get

# what absences cost those who write many rows
sql "COPY items TO '$WORK/out/items.copy'"
for side in plain attached; do
	copy_of_items "insert_$side" 0
done
sql "SELECT itemcache.attach('insert_attached', preload => false)" \
	"SELECT count(itemcache.get(NULL::insert_attached, id)) FROM sku_absent"

# absent_write NAME WHAT STATEMENT: time of a statement that fills table insert_SIDE
absent_write()
{
	local round side

	begin_values "unique_absent_$1"
	for ((round = 0; round < $(rounds 1 3); round++)); do
		for side in plain attached; do
			sql "TRUNCATE insert_$side" CHECKPOINT "SELECT count(itemcache.get(NULL::insert_$side, id)) FROM sku_absent"
			timed $side "${3//TABLE/insert_$side}"
		done
	done
	report "$2 of a million rows: time" "not attached" at_most 1.2 attached plain
}

absent_write insert "INSERT ... SELECT" "INSERT INTO TABLE SELECT * FROM items"
absent_write copy COPY "COPY TABLE FROM '$WORK/out/items.copy'"
run rm "$WORK/out/items.copy"
sql "DROP TABLE insert_attached, insert_plain, skus, sku_keys, sku_lists, sku_absent, sku_rounds"
