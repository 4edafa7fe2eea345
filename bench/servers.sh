# shellcheck shell=bash
#
# servers.sh
#	What itemcache is compared with (Redis, memcached, pgpool-II), the client
#	that puts load on all of them (client/cacheaside.c), and the rows they all
#	have.  Read by the scenarios that compare; does everything only once.
#
# All listen on sockets in $WORK/socket, and pgpool's and memcached's programs
# are copied below $WORK/root, as is the client: so they are stopped with the
# servers of ours (dev/lib.sh).  What is not installed is left out: HAVE names
# what there is, and skipped() says what is not.

. "$SOURCE/bench/sides.sh"

OBJECTS=$(rounds 5000 200000)
GROUPS_OF_1000=$(rounds 50 1000)
ORDERS=$(rounds 50,000 1,000,000)
CLIENTS=4
SERVERS_SETTINGS=(itemcache.memory=640MB)
ZIPF=0.99

# skipped WHAT WHY
skipped()
{
	say "$SCENARIO: skipped: $1: $2"
}

has()
{
	case " ${HAVE:-} " in *" $1 "*) return 0 ;; esac
	return 1
}

# A private copy of a program; false if there is none.
private_program()
{
	local program

	program=$(PATH=$PATH:/usr/sbin command -v "$1") || return 1
	mkdir -p "$WORK/root/bin" && cp -L "$program" "$WORK/root/bin/$1"
}

# Waits for a socket.
want_socket()
{
	local tries

	for ((tries = 0; tries < 100; tries++)); do
		[ ! -S "$1" ] || return 0
		sleep 0.1
	done
	die "$SCENARIO: nothing listens on $1" "$(tail -n 20 "$WORK"/out/*.log 2>/dev/null)"
}

build_client()
{
	mkdir -p "$WORK/root/bin"
	run_job gcc -O2 -Wall -o "$WORK/out/cacheaside" -I"$("$PG_CONFIG" --includedir)" \
		-I/usr/include/postgresql "$WORK"/src/bench/client/*.c \
		-lpq -lhiredis -lpthread -lm >"$WORK/output" 2>&1 || return 1
	cp "$WORK/out/cacheaside" "$WORK/root/bin/"
}

start_redis()
{
	run "$WORK/root/bin/redis-server" --port 0 --unixsocket "$WORK/socket/redis" --save '' \
		--appendonly no --daemonize yes --dir "$WORK/out" --logfile "$WORK/out/redis.log" \
		--pidfile "$WORK/out/redis.pid" >"$WORK/output" 2>&1 ||
		die "$SCENARIO: redis-server does not start" "$(cat "$WORK/output")"
	want_socket "$WORK/socket/redis"
}

stop_redis()
{
	run redis-cli -s "$WORK/socket/redis" shutdown nosave >"$WORK/output" 2>&1
	rm -f "$WORK/socket/redis"
}

start_memcached()
{
	run "$WORK/root/bin/memcached" -d -s "$WORK/socket/memcached" -m 1024 -c 200 ||
		die "$SCENARIO: memcached does not start"
	want_socket "$WORK/socket/memcached"
}

# A port nobody listens on; pgpool's is only part of its socket's name, but
# for pcp, which it opens on loopback.
start_pgpool()
{
	local dir=$WORK/out/pgpool

	run mkdir -p "$dir/oid"
	run tee "$dir/pgpool.conf" >/dev/null <<-CONF
		backend_clustering_mode = 'streaming_replication'
		sr_check_period = 0
		sr_check_user = 'bench'
		sr_check_database = 'bench'
		load_balance_mode = off
		listen_addresses = ''
		port = $PGPOOL_PORT
		socket_dir = '$WORK/socket'
		pcp_listen_addresses = ''
		pcp_port = $((PGPOOL_PORT + 1))
		pcp_socket_dir = '$WORK/socket'
		backend_hostname0 = '$WORK/socket'
		backend_port0 = 5432
		backend_flag0 = 'DISALLOW_TO_FAILOVER'
		num_init_children = $((2 * CLIENTS))
		pid_file_name = '$dir/pgpool.pid'
		logdir = '$dir'
		enable_pool_hba = off
		memory_cache_enabled = on
		memqcache_method = 'shmem'
		memqcache_total_size = 512MB
		memqcache_max_num_cache = 1000000
		memqcache_oiddir = '$dir/oid'
	CONF
	run touch "$dir/pcp.conf" "$dir/pool_passwd"
	run bash -c 'exec "$@" >"$0" 2>&1' "$WORK/out/pgpool.log" "$WORK/root/bin/pgpool" -n \
		-f "$dir/pgpool.conf" -F "$dir/pcp.conf" </dev/null &
	want_socket "$WORK/socket/.s.PGSQL.$PGPOOL_PORT"
}

# One that nobody listens on, on loopback.
free_port()
{
	local port

	for port in $(shuf -i 20000-32000 -n 50); do
		! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue
		say "$port"
		return
	done
	die "$SCENARIO: no free port"
}

# The rows: the same in each of these tables.
make_objects()
{
	local table columns="(id bigint PRIMARY KEY, version bigint NOT NULL, name text, payload text)"

	say "== loading $OBJECTS objects and $((GROUPS_OF_1000 * 1000)) orders"
	sql "CREATE TABLE objects $columns" "CREATE TABLE objects_cached $columns" \
		"CREATE UNLOGGED TABLE objects_unlogged $columns" \
		"INSERT INTO objects SELECT i, 1, 'object' || i, repeat(md5(i::text), 8)
		 FROM generate_series(1, $OBJECTS) i" \
		"INSERT INTO objects_cached SELECT * FROM objects" \
		"INSERT INTO objects_unlogged SELECT * FROM objects" \
		"CREATE TABLE orders AS
		 SELECT i AS id, 1 + (i - 1) / 1000 AS batch,
				1 + floor(random() * $OBJECTS)::bigint AS object_id, 1 + i % 9 AS quantity
		 FROM generate_series(1, $GROUPS_OF_1000 * 1000) i" \
		"CREATE INDEX ON orders (batch)" \
		"VACUUM (FREEZE, ANALYZE) objects" "VACUUM (FREEZE, ANALYZE) objects_cached" \
		"VACUUM (FREEZE, ANALYZE) objects_unlogged" "VACUUM (FREEZE, ANALYZE) orders" \
		"SELECT itemcache.attach('objects_cached', preload => false)" "CHECKPOINT"
}

# memcached from SQL: the value, or the row and put it there; and the
# invalidation of pgmemcache's README, in a trigger.
make_memcached()
{
	sql "CREATE EXTENSION pgmemcache" \
		"CREATE TABLE objects_memcached (LIKE objects INCLUDING ALL)" \
		"INSERT INTO objects_memcached SELECT * FROM objects" \
		"VACUUM (FREEZE, ANALYZE) objects_memcached" \
		"CREATE FUNCTION memcached_object(key bigint) RETURNS text LANGUAGE plpgsql AS
		 'DECLARE
			value text := memcache_get(''o'' || key);
		 BEGIN
			IF value IS NULL THEN
				SELECT concat_ws('' '', id, version, name, payload) INTO value
				FROM objects_memcached WHERE id = key;
				PERFORM memcache_set(''o'' || key, value);
			END IF;
			RETURN value;
		 END'" \
		"CREATE FUNCTION memcached_objects(keys bigint[]) RETURNS SETOF text LANGUAGE plpgsql AS
		 'DECLARE
			found text[];
			missing text[];
		 BEGIN
			SELECT array_agg(key), array_agg(value) INTO missing, found
			FROM memcache_get_multi(ARRAY(SELECT ''o'' || k FROM unnest(keys) k));
			RETURN QUERY SELECT unnest(found);
			RETURN QUERY SELECT memcached_object(k) FROM unnest(keys) k
			WHERE NOT ''o'' || k = ANY (coalesce(missing, ''{}''));
		 END'" \
		"CREATE FUNCTION memcached_invalidate() RETURNS trigger LANGUAGE plpgsql AS
		 'BEGIN
			PERFORM memcache_delete(''o'' || OLD.id);
			RETURN OLD;
		 END'" \
		"CREATE TRIGGER memcached_invalidate AFTER UPDATE OR DELETE ON objects_memcached
		 FOR EACH ROW EXECUTE FUNCTION memcached_invalidate()" \
		"CHECKPOINT"
}

# Everything there is to compare with; false if not even the client is.
want_others()
{
	want_server "${SERVERS_SETTINGS[@]}"
	[ -z "${HAVE:-}" ] || return 0
	build_client || {
		skipped "all" "the client is not built; it wants libpq-dev and libhiredis-dev"
		return 1
	}
	HAVE=client
	make_objects
	if private_program redis-server && command -v redis-cli redis-benchmark >/dev/null; then
		start_redis
		HAVE="$HAVE redis"
		say "== $("$WORK/root/bin/redis-server" --version | cut -d ' ' -f 1-3)"
	fi
	if private_program memcached && [ -e "$("$PG_CONFIG" --sharedir)/extension/pgmemcache.control" ]; then
		start_memcached
		make_memcached
		HAVE="$HAVE memcached"
		value "SELECT extversion FROM pg_extension WHERE extname = 'pgmemcache'"
		say "== $("$WORK/root/bin/memcached" --version), pgmemcache $VALUE"
	fi
	if private_program pgpool; then
		PGPOOL_PORT=$(free_port) || exit 1
		start_pgpool
		HAVE="$HAVE pgpool"
		say "== $("$WORK/root/bin/pgpool" --version 2>&1)"
	fi
	has redis || skipped redis "redis-server and redis-tools are not installed"
	has memcached || skipped memcached "memcached and postgresql-$MAJOR-pgmemcache are not installed"
	has pgpool || skipped pgpool "pgpool2 is not installed"
}

# side_options SIDE one|many|group: the client's, into $OPTIONS; false if
# there is no such thing here.
side_options()
{
	local table=objects columns='o.id, o.version, o.name, o.payload'

	case $1 in
		redis*) has redis || return 1 ;;
		memcached*) has memcached || return 1; table=objects_memcached ;;
		pgpool*) has pgpool || return 1 ;;
		itemcache*) table=objects_cached ;;
		unlogged*) table=objects_unlogged ;;
	esac
	OPTIONS=(--write "UPDATE $table SET version = version + 1 WHERE id = \$1 RETURNING version")
	case $1-$2 in
		memcached-one) OPTIONS+=(--read "SELECT memcached_object(\$1)") ;;
		memcached-many) OPTIONS+=(--read "SELECT memcached_objects(\$1)") ;;
		memcached-group) OPTIONS+=(--read "SELECT memcached_objects(ARRAY(SELECT object_id FROM orders WHERE batch = \$1))") ;;
		itemcache_get-one) OPTIONS+=(--read "SELECT $columns FROM itemcache.get(NULL::$table, \$1) o") ;;
		redis_pipeline-one) OPTIONS+=(--read "SELECT $columns FROM $table o WHERE id = ANY (\$1)") ;;
		*-one) OPTIONS+=(--read "SELECT $columns FROM $table o WHERE id = \$1") ;;
		redis*-group)
			OPTIONS+=(--read "SELECT $columns FROM $table o WHERE id = ANY (\$1)"
				--list "SELECT object_id FROM orders WHERE batch = \$1")
			;;
		*-many) OPTIONS+=(--read "SELECT $columns FROM $table o WHERE id = ANY (\$1)") ;;
		*-group)
			OPTIONS+=(--read "SELECT $columns FROM orders JOIN $table o ON o.id = object_id WHERE batch = \$1")
			;;
	esac
	case $1 in
		redis_lease) OPTIONS+=(--redis "$WORK/socket/redis" --invalidate lease) ;;
		redis*) OPTIONS+=(--redis "$WORK/socket/redis" --invalidate delete) ;;
		memcached) OPTIONS+=(--setup "SELECT memcache_server_add('$WORK/socket/memcached')") ;;
		pgpool*) OPTIONS+=(--connect "host=$WORK/socket port=$PGPOOL_PORT") ;;
		itemcache*) OPTIONS+=(--setup "SET itemcache.transparent = on") ;;
	esac
	case $1 in
		*_simple | simple | pgpool) OPTIONS+=(--protocol simple) ;;
		*_pipeline | pipeline) OPTIONS+=(--protocol pipeline --batch 16) ;;
	esac
}

# The client, with $OPTIONS and more; its report is in $WORK/output.
client()
{
	job "$WORK/root/bin/cacheaside" --threads "$CLIENTS" --keys "$OBJECTS" "${OPTIONS[@]}" "$@"
}

# field LINE NUMBER: of the client's report
field()
{
	awk -v line="$1" -v number="$2" '$1 == line { print $number }' "$WORK/output"
}

# Empties what a side has cached.
forget()
{
	case $1 in
		redis*) job redis-cli -s "$WORK/socket/redis" flushall ;;
		memcached) sql "SELECT memcache_server_add('$WORK/socket/memcached')" "SELECT memcache_flush_all()" ;;
	esac
}
