/* itemcache--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION itemcache" to load this file. \quit

--
-- The script runs as a superuser, and what is in schema itemcache is called by
-- superusers later.  So nothing here may come to mean what somebody else has
-- made: search_path is pg_catalog, then pg_temp (by "schema" in the control
-- file), so that the names of types are PostgreSQL's; all other names, and
-- operators, have their schema.
--

--
-- The schema is ours.  One that is there already is its owner's, as is what that
-- role has put into it, or will.
--

DO LANGUAGE plpgsql $$
BEGIN
	IF pg_catalog.to_regnamespace('itemcache') IS NOT NULL THEN
		RAISE EXCEPTION 'schema "itemcache" already exists'
			USING ERRCODE = 'duplicate_schema',
			DETAIL = 'The extension makes this schema itself, so that nobody else owns what is in it.',
			HINT = 'Drop or rename the schema, then create the extension again.';
	END IF;
END
$$;
CREATE SCHEMA itemcache;
COMMENT ON SCHEMA itemcache IS 'exact shared-memory cache of rows looked up by key';

--
-- Attaching tables
--

CREATE FUNCTION itemcache.track()
RETURNS trigger
AS 'MODULE_PATHNAME', 'itemcache_track'
LANGUAGE C;
COMMENT ON FUNCTION itemcache.track() IS
'trigger by which a table is attached to the cache; made by attach(), not by hand';

CREATE FUNCTION itemcache.attach(relation regclass, preload boolean DEFAULT true,
								 cache_new boolean DEFAULT true)
RETURNS text
AS 'MODULE_PATHNAME', 'itemcache_attach'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.attach(regclass, boolean, boolean) IS
'start caching a table, or change its options and repair what was disabled; returns its state as in itemcache.tables: "served", or why it is not';

CREATE FUNCTION itemcache.detach(relation regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'itemcache_detach'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.detach(regclass) IS
'stop caching a table and drop its items from the cache';

CREATE FUNCTION itemcache.clear(relation regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'itemcache_clear'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION itemcache.clear(regclass) IS
'drop the cached items of a table (for its owner), or of all tables of this database (for the database''s owner), at once; costs nothing but speed';

CREATE FUNCTION itemcache.preload(relation regclass)
RETURNS bigint
AS 'MODULE_PATHNAME', 'itemcache_preload'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.preload(regclass) IS
'load a table into the cache now; returns the number of items loaded';

--
-- Lookups
--

CREATE FUNCTION itemcache.get(row_type anyelement, key bigint)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get(anyelement, bigint) IS
'the row of a table with this primary key, as the table''s row type, or NULL';

CREATE FUNCTION itemcache.get(row_type anyelement, key text)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get(anyelement, text) IS
'the row of a table with this primary key, of any type, given as text';

CREATE FUNCTION itemcache.get(row_type anyelement, key uuid)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get(anyelement, uuid) IS
'the row of a table with this primary key';

CREATE FUNCTION itemcache.get(row_type anyelement, key record)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get(anyelement, record) IS
'the row of a table with this primary key of several columns, in the key''s order';

CREATE FUNCTION itemcache.get_many(row_type anyelement, keys bigint[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many(anyelement, bigint[]) IS
'the rows with these primary keys, one for each key, in their order; a row of NULLs where there is none';

CREATE FUNCTION itemcache.get_many(row_type anyelement, keys text[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many(anyelement, text[]) IS
'the rows with these primary keys, of any type, given as text';

CREATE FUNCTION itemcache.get_many(row_type anyelement, keys uuid[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many(anyelement, uuid[]) IS
'the rows with these primary keys';

CREATE FUNCTION itemcache.get_many(row_type anyelement, keys record[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many(anyelement, record[]) IS
'the rows with these primary keys of several columns';

--
-- Writing
--

CREATE FUNCTION itemcache.put(item anyelement)
RETURNS void
AS 'MODULE_PATHNAME', 'itemcache_put'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.put(anyelement) IS
'insert a row, or update the row that has its primary key';

CREATE FUNCTION itemcache.put_many(items anyarray)
RETURNS bigint
AS 'MODULE_PATHNAME', 'itemcache_put_many'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.put_many(anyarray) IS
'put many rows at once; returns how many were inserted or changed';

CREATE FUNCTION itemcache.delete(row_type anyelement, key bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'itemcache_delete'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.delete(anyelement, bigint) IS
'delete the row with this primary key; true if there was one';

CREATE FUNCTION itemcache.delete(row_type anyelement, key text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'itemcache_delete'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.delete(anyelement, text) IS
'delete the row with this primary key, of any type, given as text';

CREATE FUNCTION itemcache.delete(row_type anyelement, key uuid)
RETURNS boolean
AS 'MODULE_PATHNAME', 'itemcache_delete'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.delete(anyelement, uuid) IS
'delete the row with this primary key';

CREATE FUNCTION itemcache.delete(row_type anyelement, key record)
RETURNS boolean
AS 'MODULE_PATHNAME', 'itemcache_delete'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.delete(anyelement, record) IS
'delete the row with this primary key of several columns';

--
-- What it does
--

CREATE FUNCTION itemcache.stats_get(
	OUT memory bigint,
	OUT memory_used bigint,
	OUT items bigint,
	OUT capacity bigint,
	OUT tables integer,
	OUT table_capacity integer,
	OUT partitions integer,
	OUT hits bigint,
	OUT misses bigint,
	OUT bypasses bigint,
	OUT fills bigint,
	OUT refused bigint,
	OUT busy bigint,
	OUT too_large bigint,
	OUT publishes bigint,
	OUT removals bigint,
	OUT overflows bigint,
	OUT evictions bigint,
	OUT tables_refused bigint,
	OUT preloader text)
RETURNS record
AS 'MODULE_PATHNAME', 'itemcache_stats'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION itemcache.stats_get() IS
'the row of the view itemcache.stats';
REVOKE ALL ON FUNCTION itemcache.stats_get() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION itemcache.stats_get() TO pg_monitor;

CREATE VIEW itemcache.stats AS
SELECT s.*,
	   CASE WHEN l.lookups OPERATOR(pg_catalog.>) 0
			THEN pg_catalog.round(s.hits OPERATOR(pg_catalog./) l.lookups, 4) END AS hit_ratio
FROM itemcache.stats_get() s,
	 LATERAL (SELECT (s.hits OPERATOR(pg_catalog.+) s.misses OPERATOR(pg_catalog.+) s.bypasses)::pg_catalog.numeric) l(lookups);
COMMENT ON VIEW itemcache.stats IS 'the cache as a whole: one row';
COMMENT ON COLUMN itemcache.stats.memory IS 'bytes of shared memory the cache takes, all in all (itemcache.memory)';
COMMENT ON COLUMN itemcache.stats.memory_used IS 'bytes of it that hold cached items';
COMMENT ON COLUMN itemcache.stats.items IS 'items cached now';
COMMENT ON COLUMN itemcache.stats.capacity IS 'most items there can be (itemcache.max_items, or worked out from the memory)';
COMMENT ON COLUMN itemcache.stats.tables IS 'tables of which something is cached now';
COMMENT ON COLUMN itemcache.stats.table_capacity IS 'most tables there can be (worked out from the memory)';
COMMENT ON COLUMN itemcache.stats.partitions IS 'parts of the cache that are written independently of each other';
COMMENT ON COLUMN itemcache.stats.hits IS 'lookups answered from the cache';
COMMENT ON COLUMN itemcache.stats.misses IS 'lookups that found nothing usable in the cache and read the table';
COMMENT ON COLUMN itemcache.stats.bypasses IS 'lookups that had to read the table: own uncommitted writes, SERIALIZABLE, row-level security, a table that is not served, itemcache.enabled (or transparent) off, standby';
COMMENT ON COLUMN itemcache.stats.fills IS 'items cached after they were read from a table';
COMMENT ON COLUMN itemcache.stats.refused IS 'rows read but not cached because they were being changed';
COMMENT ON COLUMN itemcache.stats.busy IS 'rows read but not cached because another session was at work in that part of the cache';
COMMENT ON COLUMN itemcache.stats.too_large IS 'rows read but not cached because they are larger than itemcache.max_item_size';
COMMENT ON COLUMN itemcache.stats.publishes IS 'items cached by the transactions that wrote them';
COMMENT ON COLUMN itemcache.stats.removals IS 'keys removed by the transactions that wrote them';
COMMENT ON COLUMN itemcache.stats.overflows IS 'transactions that changed more rows than is kept track of (some 100000), which dropped all cached items of their tables';
COMMENT ON COLUMN itemcache.stats.evictions IS 'items evicted to make room';
COMMENT ON COLUMN itemcache.stats.tables_refused IS 'how often a table found no room beside those there are, and was read without the cache';
COMMENT ON COLUMN itemcache.stats.preloader IS 'the start-up loader: "loading", "done", "off" (itemcache.preload), "in recovery", or what keeps it from loading: "not started", "waiting for a worker process" (max_worker_processes), "terminated" (its launcher), "incomplete" (its workers were terminated or failed)';
COMMENT ON COLUMN itemcache.stats.hit_ratio IS 'hits among all lookups';

CREATE FUNCTION itemcache.tables_get(
	OUT relid regclass,
	OUT leaf_of regclass,
	OUT state text,
	OUT served boolean,
	OUT preload boolean,
	OUT cache_new boolean,
	OUT items bigint,
	OUT bytes bigint,
	OUT hits bigint,
	OUT misses bigint,
	OUT bypasses bigint,
	OUT fills bigint,
	OUT refused bigint,
	OUT busy bigint,
	OUT too_large bigint,
	OUT publishes bigint,
	OUT removals bigint,
	OUT overflows bigint,
	OUT evictions bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'itemcache_tables'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION itemcache.tables_get() IS
'the rows of the view itemcache.tables';

CREATE VIEW itemcache.tables AS
SELECT t.*,
	   CASE WHEN l.lookups OPERATOR(pg_catalog.>) 0
			THEN pg_catalog.round(t.hits OPERATOR(pg_catalog./) l.lookups, 4) END AS hit_ratio
FROM itemcache.tables_get() t,
	 LATERAL (SELECT (t.hits OPERATOR(pg_catalog.+) t.misses OPERATOR(pg_catalog.+) t.bypasses)::pg_catalog.numeric) l(lookups);
COMMENT ON VIEW itemcache.tables IS 'the attached tables of this database, and the partitions of those that are partitioned';
COMMENT ON COLUMN itemcache.tables.relid IS 'the table';
COMMENT ON COLUMN itemcache.tables.leaf_of IS 'the topmost attached partitioned table it is part of, if it is a partition';
COMMENT ON COLUMN itemcache.tables.state IS '"served", or why lookups read the table instead ("in recovery" on a standby); "locked" if it could not be looked at because of another session''s lock';
COMMENT ON COLUMN itemcache.tables.served IS 'whether lookups are answered from the cache; of a partitioned table: for some of its partitions at least; NULL if locked';
COMMENT ON COLUMN itemcache.tables.preload IS 'whether it is loaded at start-up';
COMMENT ON COLUMN itemcache.tables.cache_new IS 'whether new rows are cached as they are inserted';
COMMENT ON COLUMN itemcache.tables.items IS 'items cached now; of a partitioned table: of its leaves together, and so with all counts';
COMMENT ON COLUMN itemcache.tables.bytes IS 'bytes these items take';
COMMENT ON COLUMN itemcache.tables.hits IS 'lookups answered from the cache';
COMMENT ON COLUMN itemcache.tables.misses IS 'lookups that found nothing usable in the cache and read the table';
COMMENT ON COLUMN itemcache.tables.bypasses IS 'lookups that had to read the table';
COMMENT ON COLUMN itemcache.tables.fills IS 'items cached after they were read from the table';
COMMENT ON COLUMN itemcache.tables.refused IS 'rows read but not cached because they were being changed';
COMMENT ON COLUMN itemcache.tables.busy IS 'rows read but not cached because another session was at work in that part of the cache';
COMMENT ON COLUMN itemcache.tables.too_large IS 'rows read but not cached because they are larger than itemcache.max_item_size';
COMMENT ON COLUMN itemcache.tables.publishes IS 'items cached by the transactions that wrote them';
COMMENT ON COLUMN itemcache.tables.removals IS 'keys removed by the transactions that wrote them';
COMMENT ON COLUMN itemcache.tables.overflows IS 'transactions that changed more rows than is kept track of (some 100000), which dropped all cached items of the table';
COMMENT ON COLUMN itemcache.tables.evictions IS 'items evicted to make room';
COMMENT ON COLUMN itemcache.tables.hit_ratio IS 'hits among all lookups';

CREATE FUNCTION itemcache.preload_progress_get(
	OUT datid oid,
	OUT datname name,
	OUT relid oid,
	OUT relation text,
	OUT state text,
	OUT workers integer,
	OUT blocks_total bigint,
	OUT blocks_done bigint,
	OUT items_loaded bigint,
	OUT started_at timestamptz,
	OUT finished_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'itemcache_preload_progress'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION itemcache.preload_progress_get() IS
'the rows of the view itemcache.preload_progress';
REVOKE ALL ON FUNCTION itemcache.preload_progress_get() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION itemcache.preload_progress_get() TO pg_monitor;

CREATE VIEW itemcache.preload_progress AS
SELECT p.*,
	   CASE WHEN p.blocks_total OPERATOR(pg_catalog.>) 0
			THEN pg_catalog.round(100.0 OPERATOR(pg_catalog.*) p.blocks_done OPERATOR(pg_catalog./) p.blocks_total, 1)
			WHEN p.state OPERATOR(pg_catalog.=) 'done' THEN 100.0 END AS percent
FROM itemcache.preload_progress_get() p;
COMMENT ON VIEW itemcache.preload_progress IS 'how far the start-up loader has come, a row for each table, of all databases';
COMMENT ON COLUMN itemcache.preload_progress.datid IS 'the database';
COMMENT ON COLUMN itemcache.preload_progress.datname IS 'its name';
COMMENT ON COLUMN itemcache.preload_progress.relid IS 'the table (a leaf, of partitioned tables)';
COMMENT ON COLUMN itemcache.preload_progress.relation IS 'its name, with schema';
COMMENT ON COLUMN itemcache.preload_progress.state IS '"loading", "done", "full" (the cache was full), "stopped" (by a setting or shutdown), "skipped" (dropped, altered, locked or detached meanwhile) or "failed" (see the server log)';
COMMENT ON COLUMN itemcache.preload_progress.workers IS 'workers loading it now';
COMMENT ON COLUMN itemcache.preload_progress.blocks_total IS 'blocks the table had when loading began';
COMMENT ON COLUMN itemcache.preload_progress.blocks_done IS 'blocks read';
COMMENT ON COLUMN itemcache.preload_progress.items_loaded IS 'items cached from them';
COMMENT ON COLUMN itemcache.preload_progress.started_at IS 'when loading began';
COMMENT ON COLUMN itemcache.preload_progress.finished_at IS 'when it ended';
COMMENT ON COLUMN itemcache.preload_progress.percent IS 'blocks read, of all, in percent';

GRANT USAGE ON SCHEMA itemcache TO PUBLIC;
GRANT SELECT ON itemcache.stats, itemcache.preload_progress TO pg_monitor;
GRANT SELECT ON itemcache.tables TO PUBLIC;
