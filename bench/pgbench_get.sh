# shellcheck shell=bash
#
# One lookup a transaction, prepared, by four clients over sockets.  pgbench
# sends the key as a parameter without a type.

want_server itemcache.memory=640MB
want_cached items
begin_values

cat >"$WORK/get.sql" <<-SQL
	\\set id random(1, $ITEMS)
	SELECT (itemcache.get(NULL::items, :id)).name;
SQL
cat >"$WORK/plain.sql" <<-SQL
	\\set id random(1, $ITEMS)
	SELECT name FROM items WHERE id = :id;
SQL

options=(-c 4 -j "$(threads 4)")
for side in plain get; do
	transactions "$WORK/$side.sql" "${options[@]}" "$(rounds -t5000 -T5)"
done
for ((round = 0; round < $(rounds 2 3); round++)); do
	for side in plain get; do
		transactions "$WORK/$side.sql" "${options[@]}" "$(rounds -t10000 -T30)"
		add $side "$VALUE" tps
	done
done
report "get by pgbench, 4 clients: transactions" "SELECT name ... WHERE id = \$1" at_least 1.3 get plain
