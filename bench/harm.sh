# shellcheck shell=bash
#
# What a cache costs that cannot help: keys all over a table twenty times as large
# as the cache, each as likely as the other, after it has found out; against the
# table alone.  And keys that are looked up once each, by statements of their own.

make_plan_functions
sql "SELECT itemcache.attach('items', preload => false)"

# so many of them, of some 355 bytes with what an item takes
want_server "itemcache.memory=$((ITEMS / 20 * 355 / 1024))kB"
uniform="SELECT count(i.name) FROM keys JOIN items i ON i.id = k"
setup="SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off"
sql "SELECT count(payload) FROM items" "$setup" "SELECT by_cache('$uniform')"
value "SELECT fills_one_in FROM itemcache.tables WHERE relid = 'items'::regclass"
[ -n "$QUICK" ] || [ "$VALUE" = 32 ] || die "$SCENARIO: one in $VALUE rows is still cached"

begin_values harm_join
race "$(rounds 1 7)" "$setup" loop "$uniform" join "SELECT by_cache('$uniform')"
report "join of keys all over 20 times the cache: speed" "index nested loop" at_least 0.95 loop join

# one_by_one SCRIPT SECONDS: transactions of one SELECT, with and without the cache
one_by_one()
{
	local round side

	for ((round = 0; round < $(rounds 1 10); round++)); do
		for side in $(sides $round off on); do
			sql "ALTER DATABASE $PGDATABASE SET itemcache.transparent = $side"
			transactions "$WORK/$1" -c 1 -T "$(rounds 1 "$2")" -D "from=$FROM" -D n=0
			add $side "$VALUE" tps
		done
		FROM=$((FROM + ITEMS / 12))
	done
	sql "ALTER DATABASE $PGDATABASE RESET itemcache.transparent"
}

FROM=0
begin_values harm_pgbench
cat >"$WORK/uniform.sql" <<-SQL
	\\set id random(1, $ITEMS)
	SELECT name, price FROM items WHERE id = :id;
SQL
one_by_one uniform.sql 4
report "SELECT all over 20 times the cache: transactions" "index scan" at_least 0.98 on off

# every key once, in an order that is none: both sides go through all of them
want_server itemcache.memory=640MB
sql "SELECT count(payload) FROM items" "SELECT itemcache.clear()"
begin_values harm_once
cat >"$WORK/once.sql" <<-SQL
	\\set n :n + 1
	\\set id 1 + (:from + :n) * 611953 % $ITEMS
	SELECT name, price FROM items WHERE id = :id;
SQL
for ((pass = 0; pass < $(rounds 1 2); pass++)); do
	sql "SELECT itemcache.clear()"
	FROM=0
	one_by_one once.sql 1
done
report "SELECT of keys that are not cached: transactions" "index scan" at_least 0.94 on off
sql "SELECT itemcache.attach('items')"
