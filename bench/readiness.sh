# shellcheck shell=bash
#
# From the server's start to its first answer, a cached table's item: with a
# million items to load, and with none.  The loader is on in both; the table
# wants to be loaded or does not.

want_server itemcache.memory=640MB
begin_values

for ((round = 0; round < $(rounds 1 7); round++)); do
	for side in none million; do
		sql "SELECT itemcache.attach('items', preload => $([ $side = million ] && say true || say false))" \
			"CHECKPOINT"
		first_answer "SELECT (itemcache.get(NULL::items, 4242)).name" "item number 4242" \
			itemcache.memory=640MB itemcache.preload=on
		add $side "$VALUE" us
	done
done
sql "SELECT itemcache.attach('items')"
# a tenth, or what a poll more or less makes
report "first answer, a million to load: time" "nothing to load" at_most 1.25 million none
