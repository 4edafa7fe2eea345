# shellcheck shell=bash
#
# Does the planner choose well?  Joins of outer tables of 1 to a million rows, with
# keys all over the table, close together, or in order, with a wide, a narrow and a
# small table, which is all cached, half of it, or not at all: by the plan that is
# chosen, with itemcache and without, and by each of those that it is chosen from.
# What is chosen must take at most 1.3 times what the lookups take, or what
# PostgreSQL chooses without them.  (How well that chooses among its own plans is
# told, and not judged.)  random_page_cost is what one sets where tables are in
# memory, as they are here.
#
# What is measured is processor time of the executor (log_executor_stats), since
# plans are not chosen for how they wait.  Each side is executed as a prepared
# statement, and as often as it takes to see something; where the table is not all
# cached, only once in that state, as it fills the cache.

want_server itemcache.memory=640MB random_page_cost=1.1

PLANS_ROUNDS=$(rounds 1 3)

# The sides: what is chosen, and what it is chosen from.
plan_settings()
{
	local -A off=(
		[chosen]='' [lookup]='hashjoin mergejoin'
		[server]='' [index]='hashjoin mergejoin memoize' [memoize]='hashjoin mergejoin'
		[hash]='nestloop mergejoin' [merge]='nestloop hashjoin')
	local setting transparent=off

	case $1 in chosen | lookup) transparent=on ;; esac
	say "SET itemcache.transparent = $transparent;"
	for setting in ${off[$1]}; do
		say "SET enable_$setting = off;"
	done
}

# Make a table's state in the cache.
plan_state()
{
	[ "$1" = warm ] && return
	say "SELECT itemcache.clear('$2') \\g /dev/null"
	[ "$1" = cold ] ||
		say "SELECT count(itemcache.get(NULL::$2, id)) > 0 AS half FROM $2 WHERE id % 2 = 0 \\gset"
}

# Microseconds of processor time for an execution, by side and round.  An EXECUTE
# is two runs of the executor, one that runs the plan and one that hands out its
# result.  And what the plans were, into files.
read_plan_times()
{
	rm -rf "$WORK/plans"
	mkdir "$WORK/plans"
	awk -v plans="$WORK/plans/" '
		/^#/ { file = plans substr($1, 2); printf "" >file; next }
		/^@/ { sides[++n] = substr($1, 2); repeat[n] = $2; close(file); file = "" }
		/ s user, .* s system, .* s elapsed/ { time[n] += $2 + $5 }
		file != "" { print >file }
		END { for (i = 1; i <= n; i++) printf "%s %.1f\n", sides[i], time[i] * 1e6 / repeat[i] }' "$WORK/output"
}

# compare_plans STATE TABLE WHAT QUERY REPEAT
compare_plans()
{
	local state=$1 table=$2 what=$3 query=$4 repeat=$5 round side value
	local sides=(chosen server lookup index memoize hash merge)

	begin_values "plans_${state}_${table#plan_}_${what//[^a-z0-9]/_}"
	for ((round = 0; round < PLANS_ROUNDS; round++)); do
		for side in $(sides $round "${sides[@]}"); do
			case $side in chosen | lookup) plan_state "$state" "$table" ;; esac
			plan_settings "$side"
			execute_plan "$side" "$state" "$table" "$query" "$repeat"
		done >"$WORK/plans.sql"
		job psql -X -q -A -t -v ON_ERROR_STOP=1 -f "$WORK/plans.sql"
		[ "$(grep '^[0-9]*|[0-9]*$' "$WORK/output" | sort -u | wc -l)" -eq 1 ] ||
			die "$SCENARIO: $state, $what: plans differ in their results"
		while read -r side value; do
			add "$side" "$value" us
		done < <(read_plan_times)
	done
	judge_choice "$state, ${table#plan_} table, $what" chosen at_most 1.3 lookup server
	judge_choice "  without itemcache" server at_least 0 index memoize hash merge
}

# execute_plan SIDE STATE TABLE QUERY REPEAT: after once that does not count, as a
# new process pays for each page of shared memory when it first touches it
execute_plan()
{
	local side=$1 state=$2 table=$3 query=$4 times=$5 i

	say "PREPARE q AS $query;"
	say "\\echo #$side"
	say "EXPLAIN (COSTS OFF) EXECUTE q;"
	say "EXECUTE q \\g /dev/null"
	case $side in chosen | lookup) plan_state "$state" "$table" ;; esac
	case $state,$side in
		*,hash | *,merge | half,* | cold,*) times=1 ;;
	esac
	say "\\echo @$side $times"
	say "SET client_min_messages = log; SET log_executor_stats = on;"
	for ((i = 0; i < times; i++)); do
		say "EXECUTE q;"
	done
	say "RESET ALL; DEALLOCATE q;"
}

# judge_choice WHAT SIDE at_most|at_least LIMIT CANDIDATE...: against the fastest
# of the candidates that are other plans, if that is faster
judge_choice()
{
	local what=$1 side=$2 how=$3 limit=$4 candidate median best=$2 least

	shift 4
	least=$(median <"$WORK/values/$side")
	for candidate in "$@"; do
		median=$(median <"$WORK/values/$candidate")
		if ! cmp -s "$WORK/plans/$side" "$WORK/plans/$candidate" &&
			awk "BEGIN { exit !($median < $least) }"; then
			best=$candidate
			least=$median
		fi
	done
	report "$what: $(name_plan "$side")" "$(name_plan "$best")" "$how" "$limit" "$side" "$best"
}

# name_plan SIDE: the nodes that make the difference
name_plan()
{
	sed -n 's/^ *-> *//; s/^Custom Scan (\(ItemCache[^)]*\)).*/\1/p
		s/^\(Hash Join\|Merge Join\|Memoize\|Nested Loop\|Index Scan\).*/\1/p' "$WORK/plans/$1" | paste -s -d , | sed 's/,/, /g'
}

sql "CREATE TABLE plan_wide (LIKE items INCLUDING INDEXES)" \
	"INSERT INTO plan_wide SELECT * FROM items" \
	"CREATE TABLE plan_narrow (id int PRIMARY KEY, name int, filler char(84))" \
	"INSERT INTO plan_narrow SELECT i, i % 1000, '' FROM generate_series(1, $ITEMS) i" \
	"CREATE TABLE plan_small (id int PRIMARY KEY, name text)" \
	"INSERT INTO plan_small SELECT i, 'name ' || i FROM generate_series(1, 1000) i" \
	"SELECT setseed(0.5)" \
	"CREATE TABLE plan_keys AS SELECT 1 + floor(random() * $ITEMS)::int AS k FROM generate_series(1, $ITEMS)" \
	"CREATE TABLE plan_bell AS SELECT ($ITEMS * 0.5 + 1500 * (random() + random() + random() + random() + random()
		+ random() + random() + random() + random() + random() + random() + random() - 6))::int AS k
		FROM generate_series(1, 50000)" \
	"CREATE INDEX ON plan_bell (k)" \
	"CREATE TABLE plan_all AS SELECT i AS k FROM generate_series(1, $ITEMS) i" \
	"CREATE INDEX ON plan_all (k)"
for ((n = 1; n < ITEMS; n *= 10)); do
	sql "CREATE TABLE plan_keys_$n AS SELECT k FROM plan_keys LIMIT $n" \
		"CREATE TABLE plan_range_$n AS SELECT k FROM plan_all WHERE k > $ITEMS * 0.4 LIMIT $n" \
		"CREATE INDEX ON plan_range_$n (k)"
done
sql "SELECT itemcache.detach('items')" "SELECT itemcache.attach('plan_wide', false)" \
	"SELECT itemcache.attach('plan_narrow', false)" "SELECT itemcache.attach('plan_small', false)"
sql "VACUUM (FREEZE, ANALYZE)"

# join TABLE OUTER [KEY]
join()
{
	say "SELECT count(*), count(i.name) FROM $2 o JOIN $1 i ON i.id = ${3:-o.k}"
}

for state in warm half cold; do
	for table in plan_wide plan_narrow; do
		[ $state != warm ] || want_cached $table
		for ((n = 1; n < ITEMS; n *= 10)); do
			# one that is hardly measurable is planned as the next one
			[ $state = warm ] || [ $n -ge 1000 ] || continue
			compare_plans $state $table "$n keys" "$(join $table plan_keys_$n)" $((n < 1000 ? 100 : n < 100000 ? 10 : 1))
		done
		[ $state != warm ] || compare_plans $state $table "$ITEMS keys" "$(join $table plan_keys)" 1
		for ((n = 1000; n < ITEMS; n *= 10)); do
			compare_plans $state $table "$n keys in order" "$(join $table plan_range_$n)" $((n < 100000 ? 10 : 1))
		done
		compare_plans $state $table "all keys in order" "$(join $table plan_all)" 1
		compare_plans $state $table "50000 keys, bell-shaped" "$(join $table plan_bell)" 5
		# no lookup join, but a nested loop
		compare_plans $state $table "50000 keys, bell-shaped, computed" "$(join $table plan_bell 'o.k + 0')" 5
		compare_plans $state $table "$((ITEMS / 10)) keys, computed" "$(join $table plan_keys_$((ITEMS / 10)) 'o.k + 0')" 1
	done
done
want_cached plan_small
compare_plans warm plan_small "$ITEMS keys" "$(join plan_small plan_all '1 + o.k % 1000')" 1
compare_plans warm plan_small "1000 keys" "$(join plan_small plan_range_1000 "(o.k - $ITEMS * 0.4)::int")" 10

sql "DROP TABLE plan_wide, plan_narrow, plan_small, plan_keys, plan_bell, plan_all" \
	"DO \$\$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relname ~ '^plan_(keys|range)_[0-9]*\$' LOOP
		EXECUTE 'DROP TABLE ' || t; END LOOP; END \$\$" \
	"SELECT itemcache.attach('items')"
