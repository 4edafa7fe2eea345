# shellcheck shell=bash
#
# Loading a million rows with one worker at start-up, and with two, against COPY of
# the same table to nowhere, each on a server just started.  And the same by
# itemcache.preload(), both with the table in shared buffers.

# at_start SIDE WORKERS: all of it anew, and not what a hot set remembers
at_start()
{
	stop_server
	run rm -f "$WORK/data/itemcache.hotset"
	start_server itemcache.memory=640MB itemcache.preload=on itemcache.preload_workers="$2"
	wait_preloaded items "items_loaded, extract(epoch FROM finished_at - started_at) * 1000"
	[ "${VALUE%|*}" = $ITEMS ] || die "$SCENARIO: only ${VALUE%|*} items were loaded"
	add "$1" "${VALUE#*|}" ms
}

want_server itemcache.memory=640MB
begin_values preload_worker

for ((round = 0; round < $(rounds 1 5); round++)); do
	stop_server
	start_server itemcache.memory=640MB
	timed copy "COPY items TO '/dev/null' (FORMAT binary)"
	at_start preload 1
	at_start two 2
done
report "preload at start, one worker: time" "COPY to /dev/null (binary)" at_most 0.7 preload copy
report "preload at start, two workers: time" "COPY to /dev/null (binary)" at_most 0.4 two copy

begin_values preload_call
want_server itemcache.memory=640MB
sql "SELECT count(payload) FROM items"
for ((round = 0; round < $(rounds 1 5); round++)); do
	timed copy "COPY items TO '/dev/null' (FORMAT binary)"
	sql "SELECT itemcache.clear()"
	timed preload "SELECT itemcache.preload('items')"
done
report "preload(), table in buffers: time" "COPY to /dev/null (binary)" at_most 1 preload copy
