# shellcheck shell=bash
#
# What a write pays: an UPDATE of one row by key, on two tables that differ
# only in that one is attached, and cached.

want_server itemcache.memory=640MB
begin_values

rows=$(rounds 10000 200000)
for side in attached plain; do
	copy_of_items "update_$side" $rows
	cat >"$WORK/update_$side.sql" <<-SQL
		\\set id random(1, $rows)
		UPDATE update_$side SET price = price + 1 WHERE id = :id;
	SQL
done
sql "SELECT itemcache.attach('update_attached', preload => false)"
want_cached update_attached

export PGOPTIONS='-c synchronous_commit=off'
for ((round = 0; round < $(rounds 1 12); round++)); do
	for side in $(sides $round plain attached); do
		sustained 1 4 -f "$WORK/update_$side.sql" -c 4 -j "$(threads 4)"
		add $side "$VALUE" tps
	done
done
unset PGOPTIONS
report "UPDATE of one row: transactions" "not attached" at_least 0.96 attached plain
sql "DROP TABLE update_attached, update_plain"
