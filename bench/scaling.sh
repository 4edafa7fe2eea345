# shellcheck shell=bash
#
# Two sessions that look up a million keys each, against one.  Wants two
# processors that nobody else uses.

want_server itemcache.memory=640MB
want_cached items
begin_values

if [ "$(nproc)" -lt 2 ]; then
	say "scaling: skipped: one processor only"
	return 0
fi

say "SELECT count((itemcache.get(NULL::items, k)).name) FROM keys;" >"$WORK/million.sql"
transactions "$WORK/million.sql" -c 2 -j 2 -t 1
for ((round = 0; round < $(rounds 2 7); round++)); do
	for sessions in 1 2; do
		transactions "$WORK/million.sql" -c $sessions -j $sessions -t "$(rounds 1 5)"
		add "sessions_$sessions" "$VALUE" "million/s"
	done
done
report "two sessions: lookups per second" "one session" at_least 1.9 sessions_2 sessions_1
