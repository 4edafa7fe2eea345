# shellcheck shell=bash
#
# Joins of orders with their objects.  A thousand orders at a time, by four
# clients, the rows sent to them: a join, or (Redis) a query for the keys and
# one MGET of them.  And an aggregate over all orders: in SQL; from Redis all
# objects must come to the client, by one session, a thousand a time.

. "$SOURCE/bench/servers.sh"
want_others || return 0
want_cached objects_cached
make_plan_functions

for side in redis memcached; do
	side_options $side one || continue
	client --seconds 0 --fill
done

sides=(select unlogged redis memcached)
begin_values thousand
for ((round = 0; round < $(rounds 1 3); round++)); do
	for side in itemcache "${sides[@]}"; do
		side_options "$side" group || continue
		client --keys "$GROUPS_OF_1000" --seconds "$(rounds 0.3 3)"
		add "$side" "$(field reads 2)" per_s
		add "$side.reads.p50" "$(field reads 5)" us
		add "$side.reads.p99" "$(field reads 7)" us
		add "$side.reads.p99.9" "$(field reads 9)" us
	done
done
for side in "${sides[@]}"; do
	[ ! -e "$WORK/values/$side" ] ||
		versus "1,000 orders with their objects: speed" "$(side_name "$side")" itemcache "$side"
done

# aggregate FIGURE AGAINST STATEMENT QUERY: against the cache with QUERY
aggregate()
{
	begin_values "$1"
	race "$(rounds 1 3)" "SET jit = off" other "$3" itemcache "SELECT by_cache('$4')"
	versus "sum over $ORDERS orders: speed" "$2" other itemcache
}

all="SELECT sum(quantity * length(name)) FROM orders JOIN objects_cached o ON o.id = object_id WHERE batch <= $GROUPS_OF_1000"
aggregate sum_loop "index nested loop" "SELECT by_index('${all/_cached/}')" "$all"
aggregate sum_plan "PostgreSQL's own choice" "SELECT by_table('${all/_cached/}')" "$all"
aggregate sum_unlogged "UNLOGGED table" "SELECT by_table('${all/_cached/_unlogged}')" "$all"
if has memcached; then
	begin_values sum_memcached
	some=${all/<= $GROUPS_OF_1000/<= 10}
	race "$(rounds 1 3)" "DO 'BEGIN PERFORM memcache_server_add(''$WORK/socket/memcached''); END'" \
		other "SELECT sum(quantity * length(split_part(memcached_object(object_id), ' ', 3))) FROM orders WHERE batch <= 10" \
		itemcache "SELECT by_cache('$some')"
	versus "sum over 10,000 orders: speed" "$(side_name memcached)" other itemcache
fi
if has redis; then
	begin_values sum_redis
	for ((round = 0; round < $(rounds 1 3); round++)); do
		side_options redis group
		client --threads 1 --keys "$OBJECTS" --count "$GROUPS_OF_1000"
		add other "$(awk '$1 == "seconds" { print $2 * 1000 }' "$WORK/output")" ms
		timed itemcache "SELECT by_cache('$all')"
	done
	versus "sum over $ORDERS orders: speed" "Redis, MGET to the client" other itemcache
fi
