# shellcheck shell=bash
#
# What a miss costs: keys looked up for the first time, whose rows are read from
# the table and cached, and keys that do not exist.  Against a nested loop over
# the index, which reads the rows and does no more.
#
# The cache has been full before, and cleared: memory that the system has yet to
# give, when it is first touched, costs as much as the rest of a miss, once.

want_server "itemcache.memory=$((ITEMS / 4))kB"
make_plan_functions
sql "SELECT itemcache.attach('items')" "SELECT itemcache.preload('items')" "SELECT itemcache.clear()"

rounds=$(rounds 1 5)
per_round=$(rounds 5000 30000)
copy_of_items miss_items $((2 * (rounds + 1) * per_round))
sql "CREATE TABLE miss_keys AS SELECT id AS k, (id - 1) / $per_round AS round FROM miss_items ORDER BY random()" \
	"CREATE INDEX ON miss_keys (round)" "VACUUM ANALYZE miss_keys" "CLUSTER miss_keys USING miss_keys_round_idx" \
	"SELECT itemcache.attach('miss_items', preload => false)" CHECKPOINT

setup="SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off"
joined="FROM miss_keys JOIN miss_items i ON i.id = k WHERE round"
get="count((itemcache.get(NULL::miss_items, k)).name) FROM miss_keys WHERE round"

# the even rounds' keys for get, the odd ones' for the join
begin_values miss_get
race "$rounds" "$setup" \
	loop "SELECT count(i.name) $joined = 2 * ROUND" \
	get "SELECT $get = 2 * ROUND"
report "get of keys that are not cached: speed" "index nested loop" at_least 0.8 loop get

begin_values miss_join
race "$rounds" "$setup" \
	loop "SELECT count(i.name) $joined = 2 * ROUND + 1" \
	join "SELECT by_cache('SELECT count(i.name) $joined = 2 * ROUND + 1')"
report "join with items that are not cached: speed" "index nested loop" at_least 0.9 loop join

value "SELECT items FROM itemcache.tables WHERE relid = 'miss_items'::regclass"
[ "$VALUE" -ge $((2 * (rounds + 1) * per_round * 99 / 100)) ] || die "$SCENARIO: only $VALUE items were cached"

# twice: the second time their absence is cached
absent_loop="SELECT count(i.name) FROM miss_keys LEFT JOIN miss_items i ON i.id = -k WHERE round = ROUND"
begin_values miss_absent
race "$rounds" "$setup" loop "$absent_loop" get "SELECT ${get/, k/, -k} = ROUND"
report "get of keys that do not exist: speed" "index nested loop" at_least 0 loop get
begin_values miss_absent_again
race "$rounds" "$setup" loop "$absent_loop" get "SELECT ${get/, k/, -k} = ROUND"
report "  the same again: speed" "index nested loop" at_least 0 loop get
sql "DROP TABLE miss_items, miss_keys"
