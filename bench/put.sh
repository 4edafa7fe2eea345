# shellcheck shell=bash
#
# Writing through the cache: put() against the upsert it stands for, on twin
# tables with three more indexes, one of them GIN on jsonb; with fsync, as
# that is what async_put need not wait for.

want_server fsync=on itemcache.memory=640MB

put_rows=$(rounds 10000 200000)
put_options=(-c 8 -j "$(threads 8)" -D "rows=$put_rows")

for side in put upsert; do
	copy_of_items "${side}_items" $put_rows
	sql "CREATE INDEX ON ${side}_items (name)" "CREATE INDEX ON ${side}_items (created_at)" \
		"CREATE INDEX ON ${side}_items USING gin (payload)" "VACUUM ANALYZE ${side}_items"
done
sql "SELECT itemcache.attach('put_items', preload => false)"
want_cached put_items
sql CHECKPOINT

# A row of key ID: its price and stock change from time to time.
put_row="'item number ' || ID, NR / 100.0, timestamptz '2024-01-01' + ID * interval '7 seconds',
 jsonb_build_object('sku', md5((ID)::text), 'tags', jsonb_build_array('a' || ID % 17, 'b' || ID % 23), 'stock', NR % 1000, 'note', repeat(md5((ID)::text), 3))"
put_conflict="ON CONFLICT (id) DO UPDATE SET name = excluded.name, price = excluded.price, created_at = excluded.created_at, payload = excluded.payload"

# row ID NR: the row's columns with these
row()
{
	local row=${put_row//ID/$1}

	row=${row//NR/$2}
	say "${row//$'\n'/}"
}

# put_scripts NAME LINE...: that choose :id and :nr
put_scripts()
{
	local name=$1

	shift
	{
		printf '%s\n' "$@"
		say "SELECT itemcache.put(ROW(:id, $(row :id :nr))::put_items);"
	} >"$WORK/${name}_put.sql"
	{
		printf '%s\n' "$@"
		say "INSERT INTO upsert_items VALUES (:id, $(row :id :nr)) $put_conflict;"
	} >"$WORK/${name}_upsert.sql"
}

put_scripts zipf '\set id random_zipfian(1, :rows, 1.1)' '\set nr random(1, 1000000)'
put_scripts hot '\set id 4711' '\set nr random(1, 1000000)'

# compare SCRIPTS ASYNC: puts and upserts in turn; with async_put also upserts
# that commit asynchronously, which is as fast as it can get
compare()
{
	local scripts=$1 async=$2 round side all=(upsert put)

	begin_values "put_${scripts}_$async"
	[ "$async" = off ] || all+=(limit)
	for ((round = -1; round < $(rounds 1 3); round++)); do
		for side in $(sides $round "${all[@]}"); do
			case $side in
				upsert) export PGOPTIONS= ;;
				put) export PGOPTIONS="-c itemcache.async_put=$async" ;;
				limit) export PGOPTIONS="-c synchronous_commit=off" ;;
			esac
			latencies "$WORK/${scripts}_${side/limit/upsert}.sql" "${put_options[@]}" "$(rounds -t20 -T5)"
			[ $round -ge 0 ] || continue	# the first only warms
			add $side "$VALUE" tps
			add ${side}_latency "$MEDIAN" us
		done
	done
	unset PGOPTIONS
}

compare zipf off
report "put, synchronous: transactions" "the upsert" at_least 0.95 put upsert
compare zipf on
report "put, async_put: transactions" "the upsert, synchronous" at_least 2 put upsert
report "  its limit: asynchronous upserts" "the upsert, synchronous" at_least 1 limit upsert
report "put, async_put: median latency" "the upsert, synchronous" at_most 0.5 put_latency upsert_latency
compare hot on
report "put of one hot key, async_put: transactions" "the upsert, synchronous" at_least 4 put upsert

# A thousand at once, always the same.  The items are there: no side pays for
# making them, but for what changes, which is the price of all (so that the
# update is HOT) or the price and the stock in the payload (so that three indexes
# get an entry).  The upserts, 1,000 prepared statements, have theirs as
# constants.  For comparison, one INSERT ... SELECT ON CONFLICT of the rows, into
# the table that is not attached.  Autovacuum is off, so what it would have done
# with the puts and upserts so far is done here.
sql "CREATE TABLE thousand AS SELECT * FROM upsert_items WHERE id IN (SELECT 1 + i * 199 % $put_rows FROM generate_series(1, 1000) i)" \
	"VACUUM ANALYZE thousand" "VACUUM put_items" "VACUUM upsert_items"

# put_thousand FIGURE PAYLOAD WHAT: PAYLOAD with P for the item's own
put_thousand()
{
	local figure=$1 payload=$2 what=$3 round

	begin_values "$figure"
	{
		say '\set nr random(1, 1000000)'
		say "SELECT itemcache.put_many(array_agg(ROW(id, name, :nr / 100.0, created_at, ${payload//P/payload})::put_items)) FROM thousand;"
	} >"$WORK/many_put.sql"
	sql "SELECT format('INSERT INTO upsert_items VALUES (%s, %L, :nr / 100.0, to_timestamp(%s), %s) $put_conflict;',
		id, name, extract(epoch FROM created_at), replace('${payload//\'/\'\'}', 'P', format('%L::jsonb', payload))) FROM thousand"
	{
		say '\set nr random(1, 1000000)'
		say 'BEGIN;'
		cat "$WORK/output"
		say 'COMMIT;'
	} >"$WORK/many_upsert.sql"
	{
		say '\set nr random(1, 1000000)'
		say "INSERT INTO upsert_items SELECT id, name, :nr / 100.0, created_at, ${payload//P/payload} FROM thousand ORDER BY id $put_conflict;"
	} >"$WORK/many_insert.sql"
	for ((round = -1; round < $(rounds 1 3); round++)); do
		for side in $(sides $round upsert put insert); do
			latencies "$WORK/many_$side.sql" -c 1 "$(rounds -t3 -T5)"
			[ $round -ge 0 ] || continue
			add $side "$MEDIAN" us
		done
	done
	report "$what" "1,000 upserts, one transaction" at_least 8 upsert put
	report "  one INSERT ... SELECT" "1,000 upserts, one transaction" at_least 1 upsert insert
}

put_thousand put_many P "put_many of 1,000: times as fast"
[ -n "$QUICK" ] || put_thousand put_many_indexed "jsonb_set(P, '{stock}', to_jsonb(:nr % 1000))" "  the same, with indexed values changed"

# Committed by one session, each by a transaction of its own, found in the cache
# by another.
puts=()
for ((id = 1; id <= 50; id++)); do
	puts+=("SELECT itemcache.put(ROW($id, 'new', $RANDOM, NULL, '{}')::put_items)")
done
sql "${puts[@]}"
value "SELECT hits FROM itemcache.tables WHERE relid = 'put_items'::regclass"
before=$VALUE
sql "SELECT (itemcache.get(NULL::put_items, k)).name FROM generate_series(1, 50) k"
value "SELECT hits - $before FROM itemcache.tables WHERE relid = 'put_items'::regclass"
put_hits=$VALUE
FIGURE=put_hit
verdict "get after another session's put: hits" "of 50" at_least 50 $put_hits $put_hits $put_hits
sql "DROP TABLE put_items, upsert_items, thousand"
want_server itemcache.memory=640MB
