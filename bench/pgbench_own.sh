# shellcheck shell=bash
#
# pgbench's own scripts, unchanged, on its own tables: select-only, and TPC-B
# with every commit on disk; the tables attached and cached, or not attached.
# At the end TPC-B is run from the same start and seed with one client on both
# sides, and must leave the same rows.

want_server fsync=on itemcache.transparent=on itemcache.memory=640MB

own_scale=$(rounds 2 10)
own_tables=(pgbench_accounts pgbench_branches pgbench_tellers)

make_own_tables()
{
	job pgbench -i -q -s $own_scale -n
	sql "VACUUM (FREEZE, ANALYZE)" CHECKPOINT
}

# attached and cached, or not, as SIDE says
own_side()
{
	local table

	if [ "$1" = plain ]; then
		sql "SELECT itemcache.detach(relid) FROM itemcache.tables WHERE relid::text LIKE 'pgbench_%'"
		return
	fi

	for table in "${own_tables[@]}"; do
		sql "SELECT itemcache.attach('$table', preload => false)"
		want_cached "$table"
	done
}

own_balances()
{
	value "SELECT md5(string_agg(t::text, ',' ORDER BY t))
		FROM (SELECT ROW(aid, abalance)::text FROM pgbench_accounts UNION ALL
			  SELECT ROW(bid, bbalance)::text FROM pgbench_branches UNION ALL
			  SELECT ROW(tid, tbalance)::text FROM pgbench_tellers) s (t)"
}

# own_script FIGURE SCRIPT WHAT LIMIT
own_script()
{
	local round side

	begin_values "$1"
	for ((round = 0; round < $(rounds 1 3); round++)); do
		for side in plain attached; do
			own_side $side
			sustained 10 30 -b "$2" -c 4 -j "$(threads 4)"
			add $side "$VALUE" tps
		done
	done
	report "$3" "not attached" at_least "$4" attached plain
}

make_own_tables
own_script pgbench_select_only select-only "pgbench select-only, scale $own_scale: transactions" 1.25
own_script pgbench_tpcb tpcb-like "pgbench TPC-B, scale $own_scale: transactions" 0.9

own_left=()
for side in attached plain; do
	make_own_tables
	own_side $side
	job pgbench -n -M prepared -b tpcb-like -c 1 -t "$(rounds 100 2000)" --random-seed=4711
	own_balances
	own_left+=("$VALUE")
done
FIGURE=pgbench_balances
own_same=0
[ "${own_left[0]}" != "${own_left[1]}" ] || own_same=1
verdict "pgbench TPC-B, one client: same balances" "not attached" at_least 1 $own_same $own_same $own_same
sql "DROP TABLE pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history"
want_server itemcache.memory=640MB
