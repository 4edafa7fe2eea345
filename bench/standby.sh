# shellcheck shell=bash
#
# A hot standby: lookups from its cache against its own tables; instructions of
# a hit against one on the primary; what replay costs its startup process, with
# and without the library; and what a promotion under load leaves of the cache.

STANDBY=$WORK/standby
STANDBY_PORT=5433
STANDBY_LIBRARY="shared_preload_libraries=itemcache itemcache.memory=640MB"

# on_standby COMMAND...: one that connects, with the standby to connect to
on_standby()
{
	local port=${PGPORT:-5432} status

	export PGPORT=$STANDBY_PORT
	"$@"
	status=$?
	export PGPORT=$port
	return $status
}

# standby_control ACTION [SETTINGS...]
standby_control()
{
	local action=$1 options="-c port=$STANDBY_PORT" setting

	shift
	for setting in "$@"; do
		options="$options -c $setting"
	done
	run pg_ctl -D "$STANDBY" -l "$WORK/standby.log" -w -t 120 -m fast -o "$options" "$action" \
		</dev/null >"$WORK/output" 2>&1 ||
		die "the standby does not $action" "$(cat "$WORK/output")" \
			"$(run tail -n 20 "$WORK/standby.log")"
}

# Until the standby has replayed all that the primary has written.
want_replayed()
{
	local tries

	value "SELECT pg_current_wal_insert_lsn()"
	TARGET=$VALUE
	for ((tries = 0; tries < 3000; tries++)); do
		on_standby value "SELECT pg_last_wal_replay_lsn() >= '$TARGET'"
		[ "$VALUE" != t ] || return 0
		sleep 0.05
	done
	die "$SCENARIO: the standby does not catch up" "$(run tail -n 20 "$WORK/standby.log")"
}

# Nanoseconds of processor time that the startup process has had, into $VALUE.
startup_time()
{
	on_standby value "SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'"
	VALUE=$(cut -d ' ' -f 1 "/proc/$VALUE/schedstat")
}

# replay SIDE: have the standby replay the updates of a table of small rows that
# are in the processor's cache, with what the side says of the library.
replay()
{
	local before settings=(shared_preload_libraries=)

	[ "$1" = without ] || settings=($STANDBY_LIBRARY itemcache.preload=off)
	standby_control start "${settings[@]}"
	want_replayed
	on_standby sql "SELECT pg_wal_replay_pause()"
	if [ "$1" = cached ]; then
		on_standby sql "SELECT count(itemcache.get(NULL::tiny, k)) FROM generate_series(1, $TINY) k"
	fi
	for ((i = 0; i < UPDATES; i++)); do
		say "UPDATE tiny SET n = n + 1;"
	done >"$WORK/updates.sql"
	value "SELECT pg_current_wal_insert_lsn()"
	before=$VALUE
	job psql -X -q -f "$WORK/updates.sql"
	value "SELECT pg_current_wal_insert_lsn() - '$before'"
	LOGGED=$VALUE
	value "SELECT pg_current_wal_insert_lsn()"
	TARGET=$VALUE
	sql "CHECKPOINT"			# and so all of it is sent
	for ((tries = 0; tries < 1000; tries++)); do
		on_standby value "SELECT pg_last_wal_receive_lsn() >= '$TARGET'"
		[ "$VALUE" != t ] || break
		sleep 0.1
	done
	startup_time
	before=$VALUE
	on_standby sql "SELECT pg_wal_replay_resume()"
	want_replayed
	startup_time
	add "$1" $(((VALUE - before) / 1000000)) ms
	standby_control stop
}

# lookups_of SETTINGS: hits and lookups so far, into $HITS and $LOOKUPS
lookups_of()
{
	on_standby value "SELECT hits || ' ' || hits + misses + bypasses FROM itemcache.stats"
	HITS=${VALUE% *} LOOKUPS=${VALUE#* }
}

# hit_ratio_of SECOND: of the second that begins now
hit_ratio_of()
{
	local hits lookups

	lookups_of
	hits=$HITS lookups=$LOOKUPS
	sleep 1
	lookups_of
	[ $((LOOKUPS - lookups)) -gt 0 ] || die "$SCENARIO: nobody looked anything up"
	add "$1" "$(awk -v a=$((HITS - hits)) -v b=$((LOOKUPS - lookups)) 'BEGIN { printf "%.6f", a / b }')" ratio
}

# look_up_by get|join N: so many of a thousand keys
look_up_by()
{
	local keys="(SELECT 1 + g % 1000 AS k FROM generate_series(1, $2) g OFFSET 0) s"

	if [ "$1" = get ]; then
		sql "SELECT count((itemcache.get(NULL::items, k)).name) FROM $keys"
	else
		sql "SET itemcache.transparent = on" "SET enable_hashjoin = off" \
			"SET enable_mergejoin = off" "SET enable_memoize = off" \
			"SELECT count(i.name) FROM $keys JOIN items i ON i.id = k"
	fi
}

# count_hits SIDE: instructions of a hit, by get and by the join, of the server
# that runs under callgrind: what N hits more cost
count_hits()
{
	local side=$1 hits what

	hits=$(rounds 2000 20000)
	sql "SELECT count((itemcache.get(NULL::items, k)).name) FROM generate_series(1, 1000) k"
	for what in get join; do
		count_instructions $what "$hits" look_up_by $what
	done
	value "SELECT misses <= 1000 AND hits >= 6 * $hits FROM itemcache.stats"
	[ "$VALUE" = t ] || die "$SCENARIO: the lookups were no hits"
	stop_callgrind_server "$2"
	for what in get join; do
		add_instructions "${what}_$side" "$what" "$hits"
	done
}

say "== a standby"
want_server itemcache.memory=640MB wal_keep_size=4GB max_standby_streaming_delay=-1
make_plan_functions
sql "DROP TABLE IF EXISTS lists" \
	"CREATE TABLE lists AS SELECT array_agg(k) AS a
	FROM (SELECT k, row_number() OVER () / 100 AS list FROM keys LIMIT 200000) s GROUP BY list" \
	"ANALYZE lists"
TINY=$(rounds 1000 10000)
UPDATES=$(rounds 50 300)
sql "CREATE TABLE tiny (id bigint PRIMARY KEY, n int) WITH (fillfactor = 40)" \
	"INSERT INTO tiny SELECT i, 0 FROM generate_series(1, $TINY) i" \
	"VACUUM (FREEZE, ANALYZE) tiny" "SELECT itemcache.attach('tiny')"
job pg_basebackup -D "$STANDBY" -R -c fast --no-sync
# shellcheck disable=SC2086
standby_control start $STANDBY_LIBRARY itemcache.preload=off
want_replayed

export PGPORT=$STANDBY_PORT
want_cached items
JOIN="SELECT count(i.name) FROM keys JOIN items i ON i.id = k"
begin_values standby_join
race "$(rounds 1 7)" "SET jit = off" loop "SELECT by_index('$JOIN')" cache "SELECT by_cache('$JOIN')"
report "standby: join of a million keys: speed" "index nested loop" at_least 12 loop cache
begin_values standby_get
race "$(rounds 1 7)" "SET itemcache.transparent = off" \
	index "SELECT by_index('$JOIN')" \
	get "SELECT count((itemcache.get(NULL::items, k)).name) FROM keys"
report "standby: get of a million keys: speed" "index nested loop" at_least 5 index get
LISTS="SELECT sum((SELECT count(name) FROM items WHERE id = ANY (a))) FROM lists"
begin_values standby_any
race "$(rounds 2 7)" "SET jit = off" table "SELECT by_table('$LISTS')" cache "SELECT by_cache('$LISTS')"
report "standby: id = ANY, lists of 100: speed" "index scan" at_least 1.8 table cache
export PGPORT=5432

# each update of another row may make one lookup miss
begin_values standby_outdated
on_standby sql "SELECT itemcache.preload('tiny')"
sql "UPDATE tiny SET n = n + 1"
want_replayed
on_standby sql "SELECT count(itemcache.get(NULL::items, k)) FROM generate_series(1, $ITEMS) k"
on_standby value "SELECT outdated FROM itemcache.tables WHERE relid = 'items'::regclass"
add outdated "$VALUE" lookups
add updates "$TINY" rows
report "standby: misses of other rows" "rows updated" at_most 1 outdated updates
standby_control stop

if command -v valgrind >/dev/null; then
	begin_values standby_instructions
	start_callgrind_server -- -c itemcache.preload=off
	count_hits primary "$WORK/data"
	# with as many connections as the primary had
	start_callgrind_server -- -D "$STANDBY" -c max_connections=100 -c itemcache.preload=off
	count_hits standby "$STANDBY"
	report "standby: a hit by get: instructions" "on the primary" at_most 1.05 get_standby get_primary
	report "standby: a hit by the join: instructions" "on the primary" at_most 1.05 join_standby join_primary
	# shellcheck disable=SC2119
	want_server itemcache.memory=640MB wal_keep_size=4GB max_standby_streaming_delay=-1
else
	say "standby: instructions: skipped: valgrind is not installed"
fi

begin_values standby_replay
for ((round = 0; round < $(rounds 1 5); round++)); do
	for side in $(sides $round without uncached cached); do
		replay "$side"
	done
done
report "replay, updates of a table not cached: time" "without the library" at_most 1.03 uncached without
report "replay, updates of cached rows: time" "without the library" at_most 1.15 cached without
for side in without uncached cached; do
	say "  ($side: $(median <"$WORK/values/$side" | awk -v n=$((TINY * UPDATES)) '{ printf "%.2f", n / $1 / 1000 }') million updates per second of processor time)"
done
say "  ($((TINY * UPDATES)) updates, $((LOGGED / 1000000)) MB of log)"

begin_values standby_promotion
# shellcheck disable=SC2086
standby_control start $STANDBY_LIBRARY itemcache.preload=off hot_standby_feedback=on
want_replayed
on_standby sql "SELECT itemcache.preload('items')"
cat >"$WORK/read.sql" <<-SQL
	\\set id random_zipfian(1, $ITEMS, 1.05)
	SELECT (itemcache.get(NULL::items, :id)).name;
SQL
cat >"$WORK/write.sql" <<-SQL
	\\set id random_zipfian(1, $ITEMS, 1.05)
	UPDATE items SET price = price + 1 WHERE id = :id;
SQL
seconds=$(rounds 8 20)
run timeout 300 pgbench -n -c 2 -T 600 -f "$WORK/write.sql" </dev/null >"$WORK/out/writers" 2>&1 &
writers=$!
on_standby run timeout 300 pgbench -n -M prepared -c 2 -T $((seconds + 10)) -f "$WORK/read.sql" </dev/null >"$WORK/out/readers" 2>&1 &
readers=$!
sleep $((seconds - 1))
hit_ratio_of before
on_standby value "SELECT items FROM itemcache.tables WHERE relid = 'items'::regclass"
add items_before "$VALUE" items
run pg_ctl -D "$WORK/data" -m immediate -w stop >"$WORK/output" 2>&1
SERVER=
wait $writers
run pg_ctl -D "$STANDBY" -w promote >"$WORK/output" 2>&1 || die "$SCENARIO: no promotion" "$(cat "$WORK/output")"
hit_ratio_of after
on_standby value "SELECT items FROM itemcache.tables WHERE relid = 'items'::regclass"
add items_after "$VALUE" items
wait $readers || die "$SCENARIO: the readers failed" "$(tail -n 20 "$WORK/out/readers")"
report "items after a promotion under load" "before" at_least 0.95 items_after items_before
report "hit ratio of the first second after it" "of the last before" at_least 0.97 after before
standby_control stop
# shellcheck disable=SC2119
want_server itemcache.memory=640MB
