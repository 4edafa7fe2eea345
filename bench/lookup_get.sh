# shellcheck shell=bash
#
# A million random keys, looked up one after the other in one statement, and
# the same by a nested loop over the primary key's index.

want_server itemcache.memory=640MB
want_cached items
begin_values

JOIN="SELECT count(i.name) FROM keys JOIN items i ON i.id = k"
SETUP="SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off"
sql "$SETUP" "EXPLAIN $JOIN"
grep -q 'Nested Loop' "$WORK/output" && grep -q 'Index Scan using items_pkey' "$WORK/output" ||
	die "$SCENARIO: not a nested loop over the index:" "$(cat "$WORK/output")"

race "$(rounds 1 7)" "$SETUP" \
	join "$JOIN" \
	get "SELECT count((itemcache.get(NULL::items, k)).name) FROM keys"
report "get, a million random keys: speed" "index nested loop" at_least 5 join get
