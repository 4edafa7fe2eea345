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

for ((round = 0; round < $(rounds 2 3); round++)); do
	for side in plain get; do
		sustained 15 30 -f "$WORK/$side.sql" -c 4 -j "$(threads 4)"
		add $side "$VALUE" tps
	done
done
report "get by pgbench, 4 clients: transactions" "SELECT name ... WHERE id = \$1" at_least 1.3 get plain
