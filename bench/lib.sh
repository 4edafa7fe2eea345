# shellcheck shell=bash
#
# lib.sh
#	What the scenarios of bench/run have in common: the server, the tables,
#	taking measurements in turn, and judging them.
#
# A scenario is a file that bench/run reads.  It asks for the settings it
# needs with want_server, takes values with "add SIDE VALUE UNIT", the same
# number of them for both sides and in turn, and ends with "report".

FAILED=()
VALGRIND=

# rounds QUICK FULL: how often something is measured, how long pgbench runs, or
# how many rows there are.  All that --quick makes smaller asks this.
rounds()
{
	[ -n "$QUICK" ] && say "$1" || say "$2"
}

# chosen SCENARIO...: is one of them to run?
chosen()
{
	local scenario

	for scenario in "$@"; do
		case " ${CHOSEN[*]} " in *" $scenario "*) return 0 ;; esac
	done
	return 1
}

# Names of packages that are missing, and without which something is skipped.
optional_packages()
{
	if chosen instructions planning writes; then
		command -v valgrind >/dev/null || say valgrind
	fi
	[ -z "$OUTPUT" ] || command -v gnuplot >/dev/null || say gnuplot-nox
	chosen alternatives stale orders restart equal_memory || return 0
	[ -e /usr/include/postgresql/libpq-fe.h ] || say libpq-dev
	[ -e /usr/include/hiredis/hiredis.h ] || say libhiredis-dev
	command -v redis-server >/dev/null || say redis-server
	command -v memcached >/dev/null || say memcached
	[ -x /usr/sbin/pgpool ] || say pgpool2
	[ "$("$PG_CONFIG" --bindir)" != "/usr/lib/postgresql/$MAJOR/bin" ] ||
		[ -e "/usr/share/postgresql/$MAJOR/extension/pgmemcache.control" ] ||
		say "postgresql-$MAJOR-pgmemcache"
}

# ---------------------------------------------------------------------------
# The server
# ---------------------------------------------------------------------------

# Our valgrind cannot be told by its program, as other processes of ours can.
bench_cleanup()
{
	local status=$?

	trap '' INT TERM HUP
	if [ -n "$VALGRIND" ]; then
		kill -QUIT "$VALGRIND" 2>/dev/null
		sleep 1
		kill -KILL -- "-$VALGRIND" 2>/dev/null
	fi
	give_back_huge_pages
	(exit $status)
	cleanup
}

# ---------------------------------------------------------------------------
# Huge pages
# ---------------------------------------------------------------------------

HUGE_PAGES_FILE=/proc/sys/vm/nr_hugepages
HUGE_PAGES_BEFORE=

want_huge_pages()
{
	[ -w $HUGE_PAGES_FILE ] && [ "$(id -u)" -eq 0 ] ||
		die "--huge-pages wants to be root, and a kernel that has them"
}

# Those of a server that is about to start with these options, beside what has
# been reserved by others.  They stay reserved for the next server.
reserve_huge_pages()
{
	local wanted others

	[ -n "$HUGE_PAGES" ] || return 0
	# shellcheck disable=SC2086
	wanted=$(run postgres -D "$WORK/data" -C shared_memory_size_in_huge_pages $1 2>"$WORK/output") ||
		die "cannot tell how many huge pages the server wants" "$(cat "$WORK/output")"
	[ -n "$HUGE_PAGES_BEFORE" ] || HUGE_PAGES_BEFORE=$(cat $HUGE_PAGES_FILE)
	# others may have more than are reserved: those were given back meanwhile
	others=$(awk '{ n[$1] = $2 } END { print n["HugePages_Total:"] - n["HugePages_Free:"] + n["HugePages_Rsvd:"] }' /proc/meminfo)
	wanted=$(((others > HUGE_PAGES_BEFORE ? others : HUGE_PAGES_BEFORE) + wanted))
	[ "$(cat $HUGE_PAGES_FILE)" -lt $wanted ] || return 0
	say $wanted >$HUGE_PAGES_FILE
	[ "$(cat $HUGE_PAGES_FILE)" -ge $wanted ] ||
		die "the kernel has only $(cat $HUGE_PAGES_FILE) of $wanted huge pages"
}

# The servers may still run: the kernel takes them as they are let go.
give_back_huge_pages()
{
	[ -z "$HUGE_PAGES_BEFORE" ] || say "$HUGE_PAGES_BEFORE" >$HUGE_PAGES_FILE
}

describe_machine()
{
	local model commit

	model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
	commit=$(git -C "$SOURCE" rev-parse --short HEAD 2>/dev/null)
	say "== $(run "$BINDIR/postgres" --version | sed 's/^postgres (PostgreSQL)/PostgreSQL/')"
	say "== itemcache $(sed -n "s/^default_version = '\(.*\)'/\1/p" "$SOURCE/itemcache.control")${commit:+, commit $commit}, $(date -u +%Y-%m-%d)"
	say "== ${model:-$(uname -m)}, $(nproc) processors," \
		"$(awk '/^MemTotal:/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GB memory," \
		"$(uname -s) $(uname -r), $(gcc --version | head -n 1)"
	say "== load average at the start: $(cut -d ' ' -f 1-3 /proc/loadavg)${QUICK:+; by bench/run --quick}"
	say "== shared memory in $([ -n "$HUGE_PAGES" ] && say "huge pages (--huge-pages)" || say "ordinary pages")"
}

make_cluster()
{
	local available

	available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
	BUFFERS=$(rounds 512MB 2GB)
	if [ "${available:-0}" -lt 6000 ]; then
		BUFFERS=$(rounds 512MB 1GB)
	fi
	[ "${available:-0}" -ge 3500 ] ||
		die "not enough memory: the tables and the cache want 3.5 GB available"

	run mkdir -p "$WORK/socket" "$WORK/out"
	run initdb -D "$WORK/data" -U bench -A trust -E UTF8 --no-locale --no-sync \
		>"$WORK/output" 2>&1 || die "initdb failed" "$(cat "$WORK/output")"
	run tee -a "$WORK/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$WORK/socket'
		huge_pages = $([ -n "$HUGE_PAGES" ] && say on || say off)
		shared_preload_libraries = 'itemcache'
		itemcache.preload = off
		itemcache.transparent = off
		shared_buffers = '$BUFFERS'
		max_wal_size = '8GB'
		checkpoint_timeout = '1h'
		fsync = off
		autovacuum = off
		jit = off
		max_parallel_workers_per_gather = 0
		max_parallel_maintenance_workers = 0
		synchronize_seqscans = off
		statement_timeout = '120s'
		log_connections = on
		log_line_prefix = '%p '
	CONF
	export PGHOST=$WORK/socket PGUSER=bench PGDATABASE=bench
	SERVER=
	want_server itemcache.memory=640MB
	job createdb -w bench
}

# pg_ctl ACTION [OPTIONS]
control()
{
	run pg_ctl -D "$WORK/data" -l "$WORK/server.log" -w -t 120 -m fast -o "${2:-}" "$1" \
		</dev/null >"$WORK/output" 2>&1 ||
		die "the server does not $1" "$(cat "$WORK/output")" \
			"$(run tail -n 20 "$WORK/server.log")"
}

# A running server with these settings (NAME=VALUE...): the one there is, if
# it has them.
want_server()
{
	[ "$SERVER" != "$*" ] || return 0
	stop_server
	start_server "$@"
}

start_server()
{
	local options='' setting

	for setting in "$@"; do
		options="$options -c $setting"
	done
	reserve_huge_pages "$options"
	control start "$options"
	SERVER=$*
}

stop_server()
{
	[ -z "$SERVER" ] || control stop
	SERVER=
}

# first_answer QUERY ANSWER SETTINGS...: starts the server; microseconds until it
# gives that answer, into $VALUE, and when it was started (microseconds since
# 1970), into $STARTED.  Polls by itself: pg_ctl looks ten times a second.
first_answer()
{
	local query=$1 answer=$2 options='' setting

	shift 2
	for setting in "$@"; do
		options="$options -c $setting"
	done
	cat >"$WORK/ready.sh" <<-'SH'
		start=$(date +%s%N)
		pg_ctl -D "$1" -l "$2" -W -o "$3" start >/dev/null || exit 1
		for tries in $(seq 1000); do
			answer=$(psql -X -q -A -t -c "$4" 2>/dev/null) && break
			sleep 0.005
		done
		[ "$answer" = "$5" ] || exit 1
		echo "started at $((start / 1000)) us, ready after $((($(date +%s%N) - start) / 1000)) us"
	SH
	stop_server
	reserve_huge_pages "$options"
	SERVER=starting
	job bash "$WORK/ready.sh" "$WORK/data" "$WORK/server.log" "$options" "$query" "$answer"
	SERVER=$*
	VALUE=$(sed -n 's/.* ready after \([0-9]*\) us$/\1/p' "$WORK/output")
	STARTED=$(sed -n 's/^started at \([0-9]*\) us.*/\1/p' "$WORK/output")
}

# A command that must succeed; its output goes to $WORK/output.
job()
{
	run_job timeout 300 "$@" >"$WORK/output" 2>&1 ||
		die "$SCENARIO: failed: $*" "$(tail -n 20 "$WORK/output")"
}

# Statements, each as an argument.
sql()
{
	local statement arguments=()

	for statement in "$@"; do
		arguments+=(-c "$statement")
	done
	job psql -X -q -A -t -v ON_ERROR_STOP=1 "${arguments[@]}"
}

# One value, into $VALUE.
value()
{
	sql "$1"
	VALUE=$(cat "$WORK/output")
}

# ---------------------------------------------------------------------------
# The tables
# ---------------------------------------------------------------------------

ITEMS=$(rounds 100000 1000000)
KEYS=$ITEMS

# items, of some 300 bytes a row, and as many random keys of it.  The keys of
# batches are not compressed: to decompress them is nobody's work here.
make_items()
{
	say "== loading $ITEMS items"
	SCENARIO=load
	sql "CREATE EXTENSION itemcache" \
		"CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric,
							 created_at timestamptz, payload jsonb)" \
		"INSERT INTO items
		 SELECT i, 'item number ' || i, ((i % 100000) / 100.0)::numeric(10,2),
				timestamptz '2024-01-01' + i * interval '7 seconds',
				jsonb_build_object('sku', md5(i::text),
								   'tags', jsonb_build_array('a' || i % 17, 'b' || i % 23),
								   'stock', i % 1000,
								   'note', repeat(md5((i + 1)::text), 3))
		 FROM generate_series(1, $ITEMS) i" \
		"CREATE TABLE keys AS
		 SELECT 1 + floor(random() * $ITEMS)::bigint AS k
		 FROM generate_series(1, $KEYS)" \
		"CREATE TABLE batches (ids bigint[])" \
		"ALTER TABLE batches ALTER ids SET STORAGE EXTERNAL" \
		"INSERT INTO batches
		 SELECT array_agg(k) FROM (SELECT k, row_number() OVER () / 1000 AS batch FROM keys) s
		 GROUP BY batch" \
		"VACUUM (FREEZE, ANALYZE) items" "VACUUM (FREEZE, ANALYZE) keys" \
		"VACUUM (FREEZE, ANALYZE) batches" \
		"SELECT itemcache.attach('items')" "CHECKPOINT"
}

# The whole table in the cache, whatever has happened to it before.
want_cached()
{
	value "SELECT count(*) FROM $1"
	local rows=$VALUE

	value "SELECT items FROM itemcache.tables WHERE relid = '$1'::regclass"
	[ "$VALUE" = "$rows" ] && return
	value "SELECT itemcache.preload('$1')"
	value "SELECT items FROM itemcache.tables WHERE relid = '$1'::regclass"
	# keys of one hash push each other out
	[ $((rows - VALUE)) -le $((rows / 100000)) ] ||
		die "$SCENARIO: only $VALUE of $rows rows of $1 fit into the cache"
}

# The program that tests the store by itself: $STORE_TEST.
build_store_test()
{
	STORE_TEST=$WORK/out/store_test
	[ -x "$STORE_TEST" ] ||
		run make -s -C "$SOURCE/t/store" "PG_CONFIG=$PG_CONFIG" "PROGRAM=$STORE_TEST" >"$WORK/output" 2>&1 ||
		die "$SCENARIO: cannot build t/store" "$(cat "$WORK/output")"
}

# wait_preloaded TABLE COLUMNS: until it has been loaded after a start; what
# itemcache.preload_progress then says, into $VALUE
wait_preloaded()
{
	local tries

	for ((tries = 0; tries < 2000; tries++)); do
		value "SELECT state, $2 FROM itemcache.preload_progress
			   WHERE relation ~ '$1\$' AND finished_at IS NOT NULL"
		[ -z "$VALUE" ] || break
		sleep 0.1
	done
	case $VALUE in
		"done|"*) VALUE=${VALUE#*|} ;;
		*) die "$SCENARIO: $1 was not loaded: $VALUE" ;;
	esac
}

# next_save: waits for a save of the hot set to end; when it did (in ms), into $VALUE
next_save()
{
	local file=$WORK/data/itemcache.hotset before tries

	before=$(run stat -c %.3Y:%i "$file" 2>/dev/null)
	for ((tries = 0; tries < 6000; tries++)); do
		VALUE=$(run stat -c %.3Y:%i "$file" 2>/dev/null)
		[ "$VALUE" = "$before" ] || break
		sleep 0.01
	done
	[ "$VALUE" != "$before" ] || die "$SCENARIO: the hot set is not saved"
	VALUE=${VALUE%%:*}
	VALUE=${VALUE/./}
}

# save_every TIME: so much goes by between saves of the hot set.
save_every()
{
	sql "ALTER SYSTEM SET itemcache.save_interval = '$1'" "SELECT pg_reload_conf()"
}

# In all sessions from now on, until ALTER DATABASE ... RESET ALL.
only_nested_loops()
{
	local method

	for method in hashjoin mergejoin memoize; do
		sql "ALTER DATABASE $PGDATABASE SET enable_$method = off"
	done
}

# A table like items, with as many of its rows.
copy_of_items()
{
	sql "DROP TABLE IF EXISTS $1" \
		"CREATE TABLE $1 (LIKE items INCLUDING INDEXES)" \
		"INSERT INTO $1 SELECT * FROM items WHERE id <= $2" \
		"VACUUM (FREEZE, ANALYZE) $1"
}

# Functions that run a query from the cache, as planned without it, and with
# index nested loops only.
make_plan_functions()
{
	sql "CREATE OR REPLACE FUNCTION by_cache(query text) RETURNS bigint
		LANGUAGE plpgsql SET itemcache.transparent = on AS
		'DECLARE n bigint; BEGIN EXECUTE query INTO n; RETURN n; END'" \
		"CREATE OR REPLACE FUNCTION by_table(query text) RETURNS bigint
		LANGUAGE plpgsql SET itemcache.transparent = off AS
		'DECLARE n bigint; BEGIN EXECUTE query INTO n; RETURN n; END'" \
		"CREATE OR REPLACE FUNCTION by_index(query text) RETURNS bigint
		LANGUAGE plpgsql SET itemcache.transparent = off
		SET enable_hashjoin = off SET enable_mergejoin = off SET enable_memoize = off AS
		'DECLARE n bigint; BEGIN EXECUTE query INTO n; RETURN n; END'"
}

# ---------------------------------------------------------------------------
# Measuring
# ---------------------------------------------------------------------------

begin_values()
{
	FIGURE=${1:-$SCENARIO}
	rm -rf "$WORK/values"
	mkdir "$WORK/values"
}

# add SIDE VALUE UNIT
add()
{
	[ -n "$2" ] || die "$SCENARIO: no measurement of $1" "$(tail -n 20 "$WORK/output")"
	say "$2" >>"$WORK/values/$1"
	[ -z "$CSV" ] || say "$SCENARIO,$FIGURE,$1,$(wc -l <"$WORK/values/$1"),$2,$3" >>"$CSV"
}

# race ROUNDS SETUP SIDE1 STATEMENT1 SIDE2 STATEMENT2: times in one session,
# in turn.  One round before that warms everything.  ROUND in a statement is the
# number of the round (that one's is 0).  Both must give the same result.
race()
{
	local rounds=$1 setup=$2 side1=$3 statement1=$4 side2=$5 statement2=$6 i
	local results times

	{
		say "$setup;"
		say '\timing on'
		for ((i = 0; i <= rounds; i++)); do
			say "${statement1//ROUND/$i};"
			say "${statement2//ROUND/$i};"
		done
	} >"$WORK/race.sql"
	job psql -X -q -A -t -v ON_ERROR_STOP=1 -f "$WORK/race.sql"
	results=$(grep -v '^Time: ' "$WORK/output" | sort -u)
	[ "$(printf '%s\n' "$results" | wc -l)" -eq 1 ] && [ -n "$results" ] ||
		die "$SCENARIO: $side1 and $side2 differ:" "$results"
	mapfile -t times < <(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$WORK/output")
	for ((i = 2; i < 2 * rounds + 2; i += 2)); do
		add "$side1" "${times[i]:-}" ms
		add "$side2" "${times[i + 1]:-}" ms
	done
}

# timed SIDE STATEMENT: one measurement in a session of its own
timed()
{
	say "\\timing on
		$2;" >"$WORK/race.sql"
	job psql -X -q -A -t -v ON_ERROR_STOP=1 -f "$WORK/race.sql"
	add "$1" "$(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$WORK/output")" ms
}

# transactions SCRIPT PGBENCH_OPTIONS...: per second, into $VALUE
transactions()
{
	local script=$1

	shift
	job pgbench -n -M prepared -f "$script" "$@"
	VALUE=$(sed -n 's/^tps = \([0-9.]*\) .*/\1/p' "$WORK/output")
}

# sustained WARM SECONDS PGBENCH_OPTIONS...: transactions per second, into $VALUE,
# of SECONDS that follow WARM seconds of the same connections.  A new process
# pays for each page of shared memory when it first touches it, and in a table
# that large this takes a while, whichever cache it is.  With --quick there is
# no more than a second, and nothing is warm.
sustained()
{
	local warm=$1 seconds=$2

	shift 2
	[ -z "$QUICK" ] || warm=0 seconds=1
	job pgbench -n -M prepared -T $((warm + seconds)) -P 1 "$@"
	VALUE=$(awk -v warm=$warm '
		$1 == "progress:" && $2 > warm + 0.5 { n++; sum += $4 }
		/^tps = / { all = $3 }
		END { print n ? sum / n : all }' "$WORK/output")
}

# latencies SCRIPT OPTIONS...: as transactions(), with the median in us into $MEDIAN
latencies()
{
	run rm -rf "$WORK/out/latency"
	run mkdir "$WORK/out/latency"
	transactions "$@" -l --log-prefix="$WORK/out/latency/log"
	MEDIAN=$(cat "$WORK"/out/latency/log* | awk '{ print $3 }' | median)
}

# The (lower) median of the numbers of standard input.
median()
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# sides ROUND SIDE...: in the order in which this round takes them, every
# other one backwards
sides()
{
	local round=$1

	shift
	printf '%s\n' "$@" | if [ $((round % 2)) -eq 0 ]; then cat; else tac; fi
}

# Threads of pgbench for so many clients.
threads()
{
	local n

	n=$(nproc)
	[ "$n" -lt "$1" ] && say "$n" || say "$1"
}

# ---------------------------------------------------------------------------
# Counting instructions
# ---------------------------------------------------------------------------

# start_callgrind_server [OPTION_OF_CALLGRIND...] -- OPTION_OF_POSTGRES...
start_callgrind_server()
{
	local options=() tries

	stop_server
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	run rm -rf "$WORK/out/callgrind"
	run mkdir "$WORK/out/callgrind"
	set -m
	# shellcheck disable=SC2024
	run valgrind --tool=callgrind --callgrind-out-file="$WORK/out/callgrind/%p" "${options[@]}" \
		"$BINDIR/postgres" -D "$WORK/data" \
		-c huge_pages=off -c shared_buffers=64MB -c itemcache.memory=64MB \
		-c max_connections=10 "$@" \
		</dev/null >"$WORK/valgrind.log" 2>&1 &
	VALGRIND=$!
	set +m
	for ((tries = 0; tries < 240; tries++)); do
		run pg_isready -q && return
		kill -0 "$VALGRIND" 2>/dev/null || break
		sleep 0.25
	done
	die "$SCENARIO: no server under valgrind" "$(tail -n 20 "$WORK/valgrind.log")"
}

# stop_callgrind_server [DATA], if it was started with another -D
stop_callgrind_server()
{
	run pg_ctl -D "${1:-$WORK/data}" -w -t 120 -m fast stop >"$WORK/output" 2>&1 ||
		die "$SCENARIO: the server under valgrind does not stop" "$(cat "$WORK/output")"
	wait "$VALGRIND"
	VALGRIND=
}

# Instructions of all processes whose client was so named, into $VALUE.
instructions_of()
{
	local pid

	VALUE=0
	for pid in $(sed -n "s/^\([0-9]*\) LOG: .* application_name=$1\$/\1/p" "$WORK/valgrind.log"); do
		VALUE=$((VALUE + $(sed -n 's/^totals: \([0-9]*\).*/\1/p' "$WORK/out/callgrind/$pid")))
	done
}

# count_instructions NAME N COMMAND...: run a command, which takes as its last argument
# how often it is to do something: N times, and 2 N times, as clients that
# add_instructions can tell.
count_instructions()
{
	local name=$1 n=$2 times

	shift 2
	for times in 1 2; do
		export PGAPPNAME=bench_${name}_$times
		"$@" $((n * times))
		unset PGAPPNAME
	done
}

# add_instructions SIDE NAME N: what each of N more took, by count_instructions NAME N.
add_instructions()
{
	local once

	instructions_of "bench_$2_1"
	once=$VALUE
	instructions_of "bench_$2_2"
	add "$1" $(((VALUE - once) / $3)) instructions
}

# ---------------------------------------------------------------------------
# Judging
# ---------------------------------------------------------------------------

print_heading()
{
	say
	printf '%-42s %-32s %9s %9s %8s %8s\n' "what" "against" "required" "measured" "lowest" "highest"
}

# ratios SIDE1 SIDE2 [FACTOR]: into $RATIOS that of the medians (times FACTOR),
# and the lowest and highest of the rounds.
ratios()
{
	local factor=${3:-1}

	RATIOS=$(paste "$WORK/values/$1" "$WORK/values/$2" |
		awk -v factor="$factor" '
			function median(v, n,	i, j, t)
			{
				for (i = 2; i <= n; i++)
					for (j = i; j > 1 && v[j - 1] > v[j]; j--)
					{
						t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
					}
				return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
			}
			NF == 2 && $2 > 0 {
				n++
				a[n] = $1; b[n] = $2
				r = factor * $1 / $2
				if (n == 1 || r < lowest) lowest = r
				if (n == 1 || r > highest) highest = r
			}
			END {
				if (n > 0)
					printf "%.6f %.6f %.6f", factor * median(a, n) / median(b, n), lowest, highest
			}')
	[ -n "$RATIOS" ] || die "$SCENARIO: nothing was measured"
}

# report WHAT AGAINST at_least|at_most LIMIT SIDE1 SIDE2 [FACTOR]
# The figure is the median of SIDE1 by the median of SIDE2 (times FACTOR).
report()
{
	ratios "$5" "$6" "${7:-1}"
	# shellcheck disable=SC2086
	verdict "$1" "$2" "$3" "$4" $RATIOS
}

# versus WHAT AGAINST SIDE1 SIDE2: how many times as fast as AGAINST we are.
# The sides are speeds, ours first, or times, ours last.  Nothing is required.
versus()
{
	local rounds

	ratios "$3" "$4"
	rounds=$(wc -l <"$WORK/values/$3")
	# shellcheck disable=SC2086
	set -- "$1" "$2" $RATIOS
	printf '%-42s %-32s %9s %9.3f %8.3f %8.3f  %s\n' "$1" "$2" "" "$3" "$4" "$5" "$(awk \
		-v lowest="$4" -v highest="$5" -v other="$2" -v rounds="$rounds" 'BEGIN {
			if (lowest <= 1 && highest >= 1)
				print "no clear difference"
			else
				print (lowest > 1 ? "itemcache" : other) (rounds > 1 ? " is faster" : " was faster in one round")
		}')"
}

# verdict WHAT AGAINST at_least|at_most LIMIT FIGURE LOWEST HIGHEST
verdict()
{
	local what=$1 against=$2 op=$3 limit=$4 sign='>=' word=ok

	[ "$op" = at_least ] || sign='<='
	awk -v x="$5" -v limit="$limit" -v op="$op" \
		'BEGIN { exit !(op == "at_least" ? x >= limit : x <= limit) }' || {
		word="NOT REACHED"
		FAILED+=("$FIGURE")
	}
	printf '%-42s %-32s %9s %9.3f %8.3f %8.3f  %s\n' "$what" "$against" "$sign $limit" \
		"$5" "$6" "$7" "$word"
}
