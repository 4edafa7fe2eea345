# shellcheck shell=bash
#
# What writing pays for a table's being attached, in processor time of the
# backend, and what any table pays that has a row trigger (AFTER, with a
# WHEN that is false: nothing is called, and nothing queued).  Three sets of tables
# that differ in nothing else, one client, commits that do not wait for the disk:
#
#	TPC-B as pgbench has it, its tables with a key attached;
#	a transaction as sysbench's oltp_write_only: by key, an UPDATE of an indexed
#	column and of another, a DELETE, and an INSERT of what was deleted;
#	one UPDATE by key;
#	statements that write very many rows: COPY, INSERT ... SELECT, UPDATE.
#
# The time is that of the postmaster's children that have ended (getrusage), as
# the kernel counts it.  It differs from round to round by more than what is to be
# told, so the instructions of the first three are counted as well (with valgrind).

want_server itemcache.memory=640MB

writes_sides=(plain trigger attached)
writes_scale=$(rounds 1 5)
writes_rows=$((writes_scale * 100000))
writes_bulk=$(rounds 100000 1000000)

make_writes_tables()
{
	local side

	sql "CREATE FUNCTION writes_nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
	for side in "${writes_sides[@]}"; do
		sql "CREATE TABLE w_accounts_$side (aid int PRIMARY KEY, bid int, abalance int, filler char(84))" \
			"CREATE TABLE w_tellers_$side (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor = 20)" \
			"CREATE TABLE w_branches_$side (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor = 20)" \
			"CREATE TABLE w_history_$side (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))" \
			"CREATE TABLE w_sbtest_$side (id int PRIMARY KEY, k int NOT NULL, c char(120) NOT NULL, pad char(60) NOT NULL)" \
			"INSERT INTO w_accounts_$side SELECT i, (i - 1) / 100000 + 1, 0, '' FROM generate_series(1, $writes_rows) i" \
			"INSERT INTO w_tellers_$side SELECT i, (i - 1) / 10 + 1, 0, '' FROM generate_series(1, $((writes_scale * 10))) i" \
			"INSERT INTO w_branches_$side SELECT i, 0, '' FROM generate_series(1, $writes_scale) i" \
			"INSERT INTO w_sbtest_$side SELECT i, i * 7919::bigint % $writes_rows, md5(i::text), md5(i::text) FROM generate_series(1, $writes_rows) i" \
			"CREATE INDEX ON w_sbtest_$side (k)" \
			"VACUUM (FREEZE, ANALYZE) w_accounts_$side, w_tellers_$side, w_branches_$side, w_sbtest_$side"
		copy_of_items "w_bulk_$side" 0
		writes_scripts "$side"
		mark_writes_tables "$side"
	done
	sql CHECKPOINT
}

# What the sides differ in.
mark_writes_tables()
{
	local table

	for table in accounts tellers branches sbtest bulk; do
		case $1 in
			trigger) sql "CREATE TRIGGER none AFTER INSERT OR UPDATE OR DELETE ON w_${table}_$1
						  FOR EACH ROW WHEN (false) EXECUTE FUNCTION writes_nothing()" ;;
			attached) sql "SELECT itemcache.attach('w_${table}_$1', preload => false)"
					  want_cached "w_${table}_$1" ;;
		esac
	done
}

writes_scripts()
{
	cat >"$WORK/tpcb_$1.sql" <<-SQL
		\\set aid random(1, $writes_rows)
		\\set bid random(1, $writes_scale)
		\\set tid random(1, $((writes_scale * 10)))
		\\set delta random(-5000, 5000)
		BEGIN;
		UPDATE w_accounts_$1 SET abalance = abalance + :delta WHERE aid = :aid;
		SELECT abalance FROM w_accounts_$1 WHERE aid = :aid;
		UPDATE w_tellers_$1 SET tbalance = tbalance + :delta WHERE tid = :tid;
		UPDATE w_branches_$1 SET bbalance = bbalance + :delta WHERE bid = :bid;
		INSERT INTO w_history_$1 (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
		END;
	SQL
	cat >"$WORK/write_only_$1.sql" <<-SQL
		\\set id1 random(1, $writes_rows)
		\\set id2 random(1, $writes_rows)
		\\set id3 random(1, $writes_rows)
		\\set k random(1, $writes_rows)
		BEGIN;
		UPDATE w_sbtest_$1 SET k = k + 1 WHERE id = :id1;
		UPDATE w_sbtest_$1 SET c = md5(c) || md5(pad) WHERE id = :id2;
		DELETE FROM w_sbtest_$1 WHERE id = :id3;
		INSERT INTO w_sbtest_$1 (id, k, c, pad) VALUES (:id3, :k, md5(:k::text), md5(:id3::text));
		END;
	SQL
	cat >"$WORK/by_key_$1.sql" <<-SQL
		\\set aid random(1, $writes_rows)
		UPDATE w_accounts_$1 SET abalance = abalance + 1 WHERE aid = :aid;
	SQL
}

# Ticks of processor time of the postmaster's children that have ended, into
# $VALUE, once all clients' have.
children_time()
{
	local tries

	for ((tries = 0; tries < 100; tries++)); do
		value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'"
		[ "$VALUE" -ne 0 ] || break
		sleep 0.05
	done
	VALUE=$(run head -n 1 "$WORK/data/postmaster.pid")
	VALUE=$(awk '{ print $16 + $17 }' "/proc/$VALUE/stat")
}

# cpu_figure NAME WHAT TRANSACTIONS
cpu_figure()
{
	local name=$1 what=$2 transactions=$3 round side before

	begin_values "writes_$name"
	for ((round = 0; round <= $(rounds 1 5); round++)); do
		for side in $(sides $round "${writes_sides[@]}"); do
			children_time
			before=$VALUE
			transactions "$WORK/${name}_$side.sql" -c 1 -t "$transactions"
			children_time
			# the first round warms
			[ $round -eq 0 ] ||
				add $side "$(awk -v ticks=$((VALUE - before)) -v hz="$(getconf CLK_TCK)" -v n="$transactions" \
					'BEGIN { printf "%.3f", ticks * 1e6 / hz / n }')" us
		done
	done
	report "$what: processor time" "not attached" at_most 1.10 attached plain
	report "$what: processor time" "AFTER ROW ... WHEN (false)" at_most 1.03 attached trigger
}

# The same by instructions, of NAME WHAT pairs, with all that is attached cached.
instruction_figures()
{
	local transactions side table pair

	transactions=$(rounds 20 500)
	start_callgrind_server -- -c itemcache.memory=256MB -c synchronous_commit=off
	for table in accounts tellers branches sbtest; do
		sql "SELECT itemcache.preload('w_${table}_attached')"
	done
	for pair in "$@"; do
		for side in "${writes_sides[@]}"; do
			count_instructions "${pair%% *}_$side" "$transactions" transactions "$WORK/${pair%% *}_$side.sql" -c 1 -t
		done
	done
	stop_callgrind_server
	for pair in "$@"; do
		begin_values "writes_${pair%% *}_instructions"
		for side in "${writes_sides[@]}"; do
			add_instructions "$side" "${pair%% *}_$side" "$transactions"
		done
		report "${pair#* }: instructions" "not attached" at_most 1.10 attached plain
		report "${pair#* }: instructions" "AFTER ROW ... WHEN (false)" at_most 1.03 attached trigger
	done
}

# bulk_figure NAME WHAT LIMIT STATEMENT [EMPTY]: time of a statement on w_bulk_SIDE
bulk_figure()
{
	local name=$1 what=$2 limit=$3 statement=$4 empty=${5:-} round side

	begin_values "writes_$name"
	for ((round = 0; round < $(rounds 1 3); round++)); do
		for side in $(sides $round plain attached); do
			[ -z "$empty" ] || sql "TRUNCATE w_bulk_$side"
			sql CHECKPOINT
			timed $side "${statement//TABLE/w_bulk_$side}"
		done
	done
	report "$what: time" "not attached" at_most "$limit" attached plain
}

make_writes_tables
export PGOPTIONS='-c synchronous_commit=off'
cpu_figure tpcb "pgbench TPC-B" "$(rounds 1000 15000)"
cpu_figure write_only "sysbench-like writes" "$(rounds 1000 15000)"
cpu_figure by_key "UPDATE of one row" "$(rounds 2000 40000)"
unset PGOPTIONS
if command -v valgrind >/dev/null; then
	instruction_figures "tpcb pgbench TPC-B" "write_only sysbench-like writes" "by_key UPDATE of one row"
	want_server itemcache.memory=640MB
fi

sql "COPY (SELECT * FROM items WHERE id <= $writes_bulk) TO '$WORK/out/bulk.copy'"
bulk_figure copy "COPY of many rows" 1.1 "COPY TABLE FROM '$WORK/out/bulk.copy'" empty
bulk_figure insert "INSERT ... SELECT of many rows" 1.1 "INSERT INTO TABLE SELECT * FROM items WHERE id <= $writes_bulk" empty
bulk_figure update "UPDATE of many rows" 1.2 "UPDATE TABLE SET price = price + 1 WHERE id <= $((writes_bulk / 2))"

run rm "$WORK/out/bulk.copy"
for side in "${writes_sides[@]}"; do
	sql "DROP TABLE w_accounts_$side, w_tellers_$side, w_branches_$side, w_history_$side, w_sbtest_$side, w_bulk_$side"
done
sql "DROP FUNCTION writes_nothing()"
