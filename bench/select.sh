# shellcheck shell=bash
#
# Plain SELECT served from the cache: a join of a million random keys, lists of
# 100 keys, and single rows by pgbench; against the plans PostgreSQL has
# without it.

want_server itemcache.memory=640MB
want_cached items

make_plan_functions
sql "DROP TABLE IF EXISTS lists" \
	"CREATE TABLE lists AS SELECT array_agg(k) AS a
	FROM (SELECT k, row_number() OVER () / 100 AS list FROM keys LIMIT 200000) s GROUP BY list" \
	"ANALYZE lists"

JOIN="SELECT count(i.name) FROM keys JOIN items i ON i.id = k"
begin_values select_join_loop
race "$(rounds 1 7)" "SET jit = off" loop "SELECT by_index('$JOIN')" cache "SELECT by_cache('$JOIN')"
report "join of a million keys: speed" "index nested loop" at_least 12 loop cache
begin_values select_join_hash
race "$(rounds 2 7)" "SET jit = off" hash "SELECT by_table('$JOIN')" cache "SELECT by_cache('$JOIN')"
report "join of a million keys: speed" "hash join" at_least 3.5 hash cache

LISTS="SELECT sum((SELECT count(name) FROM items WHERE id = ANY (a))) FROM lists"
begin_values select_any
race "$(rounds 2 7)" "SET jit = off" table "SELECT by_table('$LISTS')" cache "SELECT by_cache('$LISTS')"
report "id = ANY, lists of 100 keys: speed" "index scan" at_least 1.8 table cache

begin_values select_pgbench
cat >"$WORK/plain.sql" <<-SQL
	\\set id random(1, $ITEMS)
	SELECT name, price FROM items WHERE id = :id;
SQL
for ((round = 0; round < $(rounds 1 3); round++)); do
	for side in off on; do
		sql "ALTER DATABASE $PGDATABASE SET itemcache.transparent = $side"
		sustained 15 30 -f "$WORK/plain.sql" -c 4 -j "$(threads 4)"
		add $side "$VALUE" tps
	done
done
sql "ALTER DATABASE $PGDATABASE RESET itemcache.transparent"
report "SELECT by pgbench, 4 clients: transactions" "index scan" at_least 1.3 on off
