# shellcheck shell=bash
#
# Instructions of the server's process for a lookup, prepared, against those
# of SELECT 1: what N transactions more cost is what N transactions cost, start-up and
# planning left out.

if ! command -v valgrind >/dev/null; then
	say "instructions: skipped: valgrind is not installed"
	return 0
fi

want_server itemcache.memory=640MB
begin_values
transactions=$(rounds 50 1000)

# rows by a unique text, which the client has as a number
sql "DROP TABLE IF EXISTS texts" \
	"CREATE TABLE texts AS SELECT id, (1000000000000000000 + id)::text AS sku, name, price FROM items WHERE id <= 1000" \
	"ALTER TABLE texts ADD PRIMARY KEY (id), ADD UNIQUE (sku)" "VACUUM (FREEZE, ANALYZE) texts" \
	"SELECT itemcache.attach('texts', aliases => 'all')"
start_callgrind_server -- -c itemcache.transparent=on

# a thousand keys, cached
cat >"$WORK/get.sql" <<-'SQL'
	\set id random(1, 1000)
	SELECT (itemcache.get(NULL::items, :id)).name;
SQL
cat >"$WORK/plain.sql" <<-'SQL'
	\set id random(1, 1000)
	SELECT name, price FROM items WHERE id = :id;
SQL
cat >"$WORK/unique.sql" <<-'SQL'
	\set sku 1000000000000000000 + random(1, 1000)
	SELECT name, price FROM texts WHERE sku = :sku;
SQL
say "SELECT 1;" >"$WORK/one.sql"
sql "SELECT itemcache.preload('texts')" \
	"SELECT count((itemcache.get(NULL::items, k)).name) FROM generate_series(1, 1000) k" \
	"SELECT count((itemcache.get(NULL::items, k)).name) FROM generate_series(1, 1000) k"

# whether the server has to wait for the client's next request is some 300 of them
for ((round = 1; round <= $(rounds 1 3); round++)); do
	for side in one get plain unique; do
		count_instructions "$side$round" "$transactions" transactions "$WORK/$side.sql" -c 1 -t
	done
done
value "SELECT misses <= 1000 AND hits >= 7 * $transactions FROM itemcache.stats"
[ "$VALUE" = t ] || die "$SCENARIO: the lookups were no hits"
stop_callgrind_server

for ((round = 1; round <= $(rounds 1 3); round++)); do
	for side in one get plain unique; do
		add_instructions "$side" "$side$round" "$transactions"
	done
done
report "get, prepared: instructions" "SELECT 1" at_most 1.25 get one
report "SELECT, prepared: instructions" "SELECT 1" at_most 1.3 plain one
report "SELECT by unique text: instructions" "SELECT 1" at_most 1.35 unique one
say "  (SELECT 1: $(paste -s -d ' ' "$WORK/values/one"), get: $(paste -s -d ' ' "$WORK/values/get"), SELECT name, price ... WHERE id = \$1: $(paste -s -d ' ' "$WORK/values/plain"), WHERE sku = \$1: $(paste -s -d ' ' "$WORK/values/unique"))"
