# shellcheck shell=bash
#
# COPY of a million rows into an empty table with a primary key.  New rows are
# cached as they come, as far as one transaction may.

want_server itemcache.memory=640MB
begin_values

sql "COPY items TO '$WORK/out/items.copy'"
for side in attached plain; do
	copy_of_items "copy_$side" 0
done
sql "SELECT itemcache.attach('copy_attached', preload => false)"
for ((round = 0; round < $(rounds 1 3); round++)); do
	for side in plain attached; do
		sql "TRUNCATE copy_$side" "CHECKPOINT"
		timed $side "COPY copy_$side FROM '$WORK/out/items.copy'"
	done
done
report "COPY of a million rows: time" "not attached" at_most 1.6 attached plain
sql "DROP TABLE copy_attached, copy_plain"
run rm "$WORK/out/items.copy"
