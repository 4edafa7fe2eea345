# shellcheck shell=bash
#
# From the server's start to its first answer, a cached table's item: with a
# million items to load, and with none.  The loader is on in both; the table
# wants to be loaded or does not.

want_server itemcache.memory=640MB
begin_values

# Starts the server; milliseconds until it answers.  Polls by itself, since
# pg_ctl looks ten times a second.
cat >"$WORK/ready.sh" <<-'SH'
	start=$(date +%s%N)
	pg_ctl -D "$1" -l "$2" -W -o "$3" start >/dev/null || exit 1
	for tries in $(seq 1000); do
		answer=$(psql -X -q -A -t -c "SELECT (itemcache.get(NULL::items, 4242)).name" 2>/dev/null) && break
		sleep 0.005
	done
	[ "$answer" = "item number 4242" ] || exit 1
	echo "ready after $((($(date +%s%N) - start) / 1000)) us"
SH

for ((round = 0; round < $(rounds 3 7); round++)); do
	for side in none million; do
		sql "SELECT itemcache.attach('items', preload => $([ $side = million ] && say true || say false))" \
			"CHECKPOINT"
		stop_server
		job bash "$WORK/ready.sh" "$WORK/data" "$WORK/server.log" \
			"-c itemcache.memory=640MB -c itemcache.preload=on"
		SERVER=readiness
		add $side "$(sed -n 's/^ready after \([0-9]*\) us$/\1/p' "$WORK/output")" us
	done
done
sql "SELECT itemcache.attach('items')"
# a tenth, or what a poll more or less makes
report "first answer, a million to load: time" "nothing to load" at_most 1.25 million none
