# shellcheck shell=bash
#
# Instructions of the planner for queries on tables that are not attached, with
# the extension and without it: those of pg_plan_query() alone, which callgrind
# is told to count.

if ! command -v valgrind >/dev/null; then
	say "planning: skipped: valgrind is not installed"
	return 0
fi

want_server itemcache.memory=640MB
begin_values
transactions=$(rounds 10 500)
sql "DROP TABLE IF EXISTS plain" \
	"CREATE TABLE plain (id bigint PRIMARY KEY, name text, ref bigint)" \
	"INSERT INTO plain SELECT i, 'name ' || i, i % 100 FROM generate_series(1, 1000) i" \
	"VACUUM (FREEZE, ANALYZE) plain"
cat >"$WORK/lookup.sql" <<-'SQL'
	\set id random(1, 1000)
	SELECT name FROM plain WHERE id = :id;
SQL
cat >"$WORK/join.sql" <<-'SQL'
	\set id random(1, 1000)
	SELECT a.name, b.name FROM plain a JOIN plain b ON b.id = a.ref WHERE a.id = :id;
SQL

for library in '' itemcache; do
	start_callgrind_server --collect-atstart=no --toggle-collect=pg_plan_query -- \
		-c "shared_preload_libraries=$library"
	for query in lookup join; do
		count_instructions "$query" "$transactions" job pgbench -n -M simple -f "$WORK/$query.sql" -c 1 -t
	done
	stop_callgrind_server
	for query in lookup join; do
		add_instructions "${query}_${library:-without}" "$query" "$transactions"
	done
done
for query in lookup join; do
	report "planning a $query, not attached: instructions" "without itemcache" at_most 1.01 \
		"${query}_itemcache" "${query}_without"
done
want_server itemcache.memory=640MB
sql "DROP TABLE plain"
