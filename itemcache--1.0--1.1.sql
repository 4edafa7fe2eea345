/* itemcache--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION itemcache UPDATE TO '1.1'" to load this file. \quit

-- What itemcache--1.0.sql says about names goes for this script as well.

--
-- What a standby does (see rule 0 in src/README), in the views that are there
--

CREATE FUNCTION itemcache.stats_get_1_1(
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
	OUT preloader text,
	OUT standby text,
	OUT outdated bigint,
	OUT replayed bigint,
	OUT replay_resets bigint,
	OUT replay_memory bigint,
	OUT spared bigint,
	OUT tables_spared integer)
RETURNS record
AS 'MODULE_PATHNAME', 'itemcache_stats'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE OR REPLACE VIEW itemcache.stats AS
SELECT s.memory, s.memory_used, s.items, s.capacity, s.tables, s.table_capacity, s.partitions,
	   s.hits, s.misses, s.bypasses, s.fills, s.refused, s.busy, s.too_large, s.publishes,
	   s.removals, s.overflows, s.evictions, s.tables_refused, s.preloader,
	   CASE WHEN l.lookups OPERATOR(pg_catalog.>) 0
			THEN pg_catalog.round(s.hits OPERATOR(pg_catalog./) l.lookups, 4) END AS hit_ratio,
	   s.standby, s.outdated, s.replayed, s.replay_resets, s.replay_memory,
	   s.spared, s.tables_spared
FROM itemcache.stats_get_1_1() s,
	 LATERAL (SELECT (s.hits OPERATOR(pg_catalog.+) s.misses OPERATOR(pg_catalog.+) s.bypasses)::pg_catalog.numeric) l(lookups);
COMMENT ON COLUMN itemcache.stats.memory_used IS 'bytes of it that hold cached items; the index takes some 16 more for each';
COMMENT ON COLUMN itemcache.stats.capacity IS 'most items there can be: itemcache.max_items, or as many as the index can grow to';
COMMENT ON COLUMN itemcache.stats.standby IS '"primary"; "standby", "promoted" (started as one); or "not followed": a standby that was not started as one, and does not use the cache before it is promoted';
COMMENT ON COLUMN itemcache.stats.outdated IS 'misses, on a standby, whose item was cached, but its row has been changed since by what was replayed';
COMMENT ON COLUMN itemcache.stats.replayed IS 'row versions, of tables that are cached here, that were changed or deleted by what was replayed';
COMMENT ON COLUMN itemcache.stats.replay_resets IS 'tables whose cached items were dropped because the primary had locked them exclusively';
COMMENT ON COLUMN itemcache.stats.replay_memory IS 'bytes of the memory that keep track of what is replayed; 0 on a server that was not started as a standby';
COMMENT ON COLUMN itemcache.stats.spared IS 'misses whose row was not cached, because the cache is full, and of its table hardly anything that came in lately was looked up again';
COMMENT ON COLUMN itemcache.stats.tables_spared IS 'tables of which not every row that is read is cached at the moment: see tables.fills_one_in';
DROP FUNCTION itemcache.stats_get();
ALTER FUNCTION itemcache.stats_get_1_1() RENAME TO stats_get;
COMMENT ON FUNCTION itemcache.stats_get() IS
'the row of the view itemcache.stats';
REVOKE ALL ON FUNCTION itemcache.stats_get() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION itemcache.stats_get() TO pg_monitor;

CREATE FUNCTION itemcache.tables_get_1_1(
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
	OUT evictions bigint,
	OUT outdated bigint,
	OUT spared bigint,
	OUT fills_one_in integer,
	OUT aliases bigint,
	OUT absences bigint,
	OUT preload_aliases text,
	OUT missing_aliases text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'itemcache_tables'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 10;

CREATE OR REPLACE VIEW itemcache.tables AS
SELECT t.relid, t.leaf_of, t.state, t.served, t.preload, t.cache_new, t.items, t.bytes, t.hits,
	   t.misses, t.bypasses, t.fills, t.refused, t.busy, t.too_large, t.publishes, t.removals,
	   t.overflows, t.evictions,
	   CASE WHEN l.lookups OPERATOR(pg_catalog.>) 0
			THEN pg_catalog.round(t.hits OPERATOR(pg_catalog./) l.lookups, 4) END AS hit_ratio,
	   t.outdated, t.spared, t.fills_one_in, t.aliases, t.absences, t.preload_aliases,
	   t.missing_aliases
FROM itemcache.tables_get_1_1() t,
	 LATERAL (SELECT (t.hits OPERATOR(pg_catalog.+) t.misses OPERATOR(pg_catalog.+) t.bypasses)::pg_catalog.numeric) l(lookups);
COMMENT ON COLUMN itemcache.tables.state IS '"served", or why lookups read the table instead ("in recovery": an unlogged table on a standby, or stats.standby is "not followed"); "locked" if it could not be looked at because of another session''s lock';
COMMENT ON COLUMN itemcache.tables.outdated IS 'misses, on a standby, whose item was cached, but its row has been changed since by what was replayed';
COMMENT ON COLUMN itemcache.tables.spared IS 'misses whose row was not cached, because the cache is full, and hardly anything of the table that came in lately was looked up again';
COMMENT ON COLUMN itemcache.tables.fills_one_in IS '1: every row that is read is cached; more: of rows that are asked for the first time, one in so many is, and the others when they are asked for again';
COMMENT ON COLUMN itemcache.tables.aliases IS 'values of unique keys, other than the primary key, of which the cache knows the row';
COMMENT ON COLUMN itemcache.tables.absences IS 'keys of which the cache knows that there is no row';
COMMENT ON COLUMN itemcache.tables.preload_aliases IS 'unique keys of which aliases are loaded with the rows, as attach() was told';
COMMENT ON COLUMN itemcache.tables.missing_aliases IS 'those of them of which there is no index';
DROP FUNCTION itemcache.tables_get();
ALTER FUNCTION itemcache.tables_get_1_1() RENAME TO tables_get;
COMMENT ON FUNCTION itemcache.tables_get() IS
'the rows of the view itemcache.tables';

--
-- Attaching with aliases
--

DROP FUNCTION itemcache.attach(regclass, boolean, boolean);
CREATE FUNCTION itemcache.attach(relation regclass, preload boolean DEFAULT true,
								 cache_new boolean DEFAULT true, aliases text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'itemcache_attach'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION itemcache.attach(regclass, boolean, boolean, text) IS
'start caching a table, or change its options and repair what was disabled; returns its state as in itemcache.tables: "served", or why it is not';

--
-- Lookups by other unique indexes than the primary key's
--

CREATE FUNCTION itemcache.get_by(row_type anyelement, columns text, key bigint)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get_by(anyelement, text, bigint) IS
'the row of a table that has this value in the columns of a unique index, or NULL';

CREATE FUNCTION itemcache.get_by(row_type anyelement, columns text, key text)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get_by(anyelement, text, text) IS
'the row of a table that has this value, of any type, given as text in the columns of a unique index, or NULL';

CREATE FUNCTION itemcache.get_by(row_type anyelement, columns text, key uuid)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get_by(anyelement, text, uuid) IS
'the row of a table that has this value in the columns of a unique index, or NULL';

CREATE FUNCTION itemcache.get_by(row_type anyelement, columns text, key record)
RETURNS anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1;
COMMENT ON FUNCTION itemcache.get_by(anyelement, text, record) IS
'the row of a table that has this value of several columns, in the order of the index in the columns of a unique index, or NULL';

CREATE FUNCTION itemcache.get_many_by(row_type anyelement, columns text, keys bigint[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many_by(anyelement, text, bigint[]) IS
'the rows that have these values in the columns of a unique index, one for each, in their order; a row of NULLs where there is none';

CREATE FUNCTION itemcache.get_many_by(row_type anyelement, columns text, keys text[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many_by(anyelement, text, text[]) IS
'the rows that have these values, of any type, given as text in the columns of a unique index, one for each, in their order; a row of NULLs where there is none';

CREATE FUNCTION itemcache.get_many_by(row_type anyelement, columns text, keys uuid[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many_by(anyelement, text, uuid[]) IS
'the rows that have these values in the columns of a unique index, one for each, in their order; a row of NULLs where there is none';

CREATE FUNCTION itemcache.get_many_by(row_type anyelement, columns text, keys record[])
RETURNS SETOF anyelement
AS 'MODULE_PATHNAME', 'itemcache_get_many_by'
LANGUAGE C STABLE PARALLEL SAFE COST 1 ROWS 100;
COMMENT ON FUNCTION itemcache.get_many_by(anyelement, text, record[]) IS
'the rows that have these values of several columns, in the order of the index in the columns of a unique index, one for each, in their order; a row of NULLs where there is none';

--
-- Which tables to attach
--

CREATE VIEW itemcache.candidates AS
WITH leaves AS (
	-- plain tables, and what they are part of
	SELECT c.oid, COALESCE(pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid, c.oid) AS root,
		   GREATEST(c.reltuples, 0)::pg_catalog.int8 AS row_count,
		   (c.relpages OPERATOR(pg_catalog.+) COALESCE(t.relpages, 0))::pg_catalog.int8
		   OPERATOR(pg_catalog.*) pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes,
		   pg_catalog.pg_stat_get_tuples_inserted(c.oid) AS inserted,
		   pg_catalog.pg_stat_get_tuples_updated(c.oid)
		   OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS changed
	FROM pg_catalog.pg_class c
		 JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
		 LEFT JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) c.reltoastrelid
	WHERE c.relkind OPERATOR(pg_catalog.=) 'r'
		  AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
		  AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
		  AND n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'
		  AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
), indexes AS (
	-- by which single rows may be found, and how often something was
	SELECT l.root, COALESCE(pg_catalog.pg_partition_root(i.indexrelid)::pg_catalog.oid, i.indexrelid) AS index,
		   i.indisprimary,
		   pg_catalog.pg_stat_get_numscans(i.indexrelid) AS scans,
		   pg_catalog.pg_stat_get_tuples_returned(i.indexrelid) AS tuples
	FROM leaves l
		 JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) l.oid
		 JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
		 JOIN pg_catalog.pg_am a ON a.oid OPERATOR(pg_catalog.=) c.relam
	WHERE i.indisunique AND i.indisvalid AND i.indisready AND i.indimmediate
		  AND NOT i.indisexclusion AND a.amname OPERATOR(pg_catalog.=) 'btree'
), keys AS (
	SELECT k.root, k.index, k.indisprimary, k.scans,
		   k.tuples OPERATOR(pg_catalog.>) (2 OPERATOR(pg_catalog.*) k.scans) AS is_range,
		   -- as get_by() and attach() want it named, but for what an array puts around it
		   (SELECT pg_catalog.concat(pg_catalog.string_agg(pg_catalog.pg_get_indexdef(k.index, n::pg_catalog.int4, true), ', ' ORDER BY n),
									 ' WHERE ' OPERATOR(pg_catalog.||) pg_catalog.pg_get_expr(i.indpred, i.indrelid, true))
			FROM pg_catalog.pg_index i, pg_catalog.generate_series(1, i.indnkeyatts) n
			WHERE i.indexrelid OPERATOR(pg_catalog.=) k.index
			GROUP BY i.indpred, i.indrelid) AS columns
	FROM (SELECT i.root, i.index, i.indisprimary,
				 pg_catalog.sum(i.scans)::pg_catalog.int8 AS scans,
				 pg_catalog.sum(i.tuples)::pg_catalog.int8 AS tuples
		  FROM indexes i GROUP BY i.root, i.index, i.indisprimary) k
), keys_of AS (
	SELECT k.root, pg_catalog.bool_or(k.indisprimary) AS has_primary_key,
		   COALESCE(pg_catalog.sum(k.scans) FILTER (WHERE NOT k.is_range), 0)::pg_catalog.int8 AS scans,
		   COALESCE(pg_catalog.sum(k.scans) FILTER (WHERE k.is_range), 0)::pg_catalog.int8 AS range_scans,
		   pg_catalog.string_agg(k.columns, '; ' ORDER BY k.scans DESC)
		   FILTER (WHERE NOT k.is_range AND (k.scans OPERATOR(pg_catalog.>) 0)) AS columns
	FROM keys k GROUP BY k.root
), tables AS (
	SELECT l.root,
		   pg_catalog.sum(l.row_count)::pg_catalog.int8 AS row_count,
		   pg_catalog.sum(l.bytes)::pg_catalog.int8 AS bytes,
		   pg_catalog.sum(l.inserted)::pg_catalog.int8 AS inserted,
		   pg_catalog.sum(l.changed)::pg_catalog.int8 AS changed
	FROM leaves l GROUP BY l.root
), facts AS (
	SELECT t.root::pg_catalog.regclass AS relid, a.relid IS NOT NULL AS attached, a.state, a.served,
		   k.has_primary_key, k.columns, k.range_scans, a.hit_ratio, t.row_count,
		   -- an UPDATE or DELETE by key looks its row up in the index, too
		   GREATEST(COALESCE(k.scans, 0) OPERATOR(pg_catalog.-) t.changed, 0)
		   OPERATOR(pg_catalog.+) COALESCE(a.hits, 0) AS lookups,
		   t.inserted OPERATOR(pg_catalog.+) t.changed AS writes,
		   CASE WHEN t.row_count OPERATOR(pg_catalog.>) 0
				THEN (t.bytes OPERATOR(pg_catalog./) t.row_count)::pg_catalog.int8 END AS bytes_per_row
	FROM tables t
		 LEFT JOIN keys_of k ON k.root OPERATOR(pg_catalog.=) t.root
		 LEFT JOIN itemcache.tables a ON a.relid OPERATOR(pg_catalog.=) t.root
), words AS (
	SELECT f.*,
		   f.row_count OPERATOR(pg_catalog.*) (f.bytes_per_row OPERATOR(pg_catalog.+) 48) AS memory,
		   CASE WHEN (f.lookups OPERATOR(pg_catalog.+) f.writes) OPERATOR(pg_catalog.>) 0
				THEN pg_catalog.round(f.writes::pg_catalog.numeric OPERATOR(pg_catalog./)
									  (f.lookups OPERATOR(pg_catalog.+) f.writes), 4) END AS write_share,
		   CASE WHEN f.lookups OPERATOR(pg_catalog.>=) 1000000
				THEN pg_catalog.concat(pg_catalog.round(f.lookups OPERATOR(pg_catalog./) 1000000.0, 1), ' M')
				WHEN f.lookups OPERATOR(pg_catalog.>=) 10000
				THEN pg_catalog.concat(f.lookups OPERATOR(pg_catalog./) 1000, ' k')
				ELSE f.lookups::pg_catalog.text END AS lookups_in_words,
		   CASE WHEN (f.row_count OPERATOR(pg_catalog.*) (f.bytes_per_row OPERATOR(pg_catalog.+) 48))
				OPERATOR(pg_catalog.>) pg_catalog.pg_size_bytes(pg_catalog.current_setting('itemcache.memory', true))
				THEN pg_catalog.concat(', more than itemcache.memory (',
									   pg_catalog.current_setting('itemcache.memory', true),
									   '): its hot part is kept') END AS too_large
	FROM facts f
), advised AS (
	SELECT w.*,
		   CASE
		   WHEN w.attached AND w.served IS NOT TRUE
		   THEN pg_catalog.concat('attached, but lookups read the table: ', w.state)
		   WHEN w.attached AND w.lookups OPERATOR(pg_catalog.<) 1000
		   THEN 'attached: too few lookups yet to tell whether it pays'
		   WHEN w.attached AND w.write_share OPERATOR(pg_catalog.>) 0.5
		   THEN 'attached, hardly pays: written more often than looked up'
		   WHEN w.attached AND COALESCE(w.hit_ratio, 0) OPERATOR(pg_catalog.<) 0.5
		   THEN pg_catalog.concat('attached, hardly pays: ', pg_catalog.round(COALESCE(w.hit_ratio, 0) OPERATOR(pg_catalog.*) 100),
								  ' % of its lookups are hits', w.too_large)
		   WHEN w.attached
		   THEN pg_catalog.concat('attached, pays: ', pg_catalog.round(w.hit_ratio OPERATOR(pg_catalog.*) 100), ' % of its lookups are hits, ',
								  pg_catalog.round(w.write_share OPERATOR(pg_catalog.*) 100), ' % writes')
		   WHEN w.has_primary_key IS NOT TRUE
		   THEN 'leave: no primary key that can be looked up by'
		   WHEN w.lookups OPERATOR(pg_catalog.<) 1000 AND w.range_scans OPERATOR(pg_catalog.>=) 1000
		   THEN 'leave: looked up by ranges'
		   WHEN w.lookups OPERATOR(pg_catalog.<) 1000
		   THEN 'leave: hardly looked up by key'
		   WHEN w.write_share OPERATOR(pg_catalog.>) 0.5
		   THEN 'leave: written more often than looked up'
		   ELSE pg_catalog.concat('attach: ', w.lookups_in_words, ' lookups by ', w.columns, ', ',
								  pg_catalog.round(w.write_share OPERATOR(pg_catalog.*) 100), ' % writes, ',
								  pg_catalog.pg_size_pretty(w.memory), w.too_large)
		   END AS advice
	FROM words w
)
SELECT a.relid, a.advice, a.attached, a.columns AS looked_up_by, a.lookups, a.range_scans, a.write_share,
	   a.row_count AS rows, a.bytes_per_row, a.memory, a.hit_ratio
FROM advised a
ORDER BY pg_catalog.left(a.advice, 6) OPERATOR(pg_catalog.=) 'leave:', a.lookups DESC, a.relid::pg_catalog.text;
COMMENT ON VIEW itemcache.candidates IS 'every table of this database, with what the statistics say about attaching it, the most looked up first';
COMMENT ON COLUMN itemcache.candidates.relid IS 'the table; a partitioned one with all its partitions';
COMMENT ON COLUMN itemcache.candidates.advice IS '"attach: ..." or "leave: ..." with the reason; of an attached table whether it pays';
COMMENT ON COLUMN itemcache.candidates.attached IS 'whether it is attached';
COMMENT ON COLUMN itemcache.candidates.looked_up_by IS 'keys by which single rows were looked up, the most used first; of a partial index with its predicate';
COMMENT ON COLUMN itemcache.candidates.lookups IS 'lookups of single rows by unique indexes since the statistics were reset (less those of UPDATE and DELETE), and hits';
COMMENT ON COLUMN itemcache.candidates.range_scans IS 'scans of unique indexes by which several rows were looked up: nothing that a cache of single rows helps with';
COMMENT ON COLUMN itemcache.candidates.write_share IS 'rows inserted, updated and deleted, among these and the lookups';
COMMENT ON COLUMN itemcache.candidates.rows IS 'rows, as estimated by ANALYZE';
COMMENT ON COLUMN itemcache.candidates.bytes_per_row IS 'bytes a row takes in the table and its TOAST table';
COMMENT ON COLUMN itemcache.candidates.memory IS 'bytes of itemcache.memory to have all of it cached';
COMMENT ON COLUMN itemcache.candidates.hit_ratio IS 'of an attached table: as in itemcache.tables';
GRANT SELECT ON itemcache.candidates TO PUBLIC;

--
-- Counting anew
--

CREATE FUNCTION itemcache.reset_stats(relation regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'itemcache_reset_stats'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION itemcache.reset_stats(regclass) IS
'let the counters of a table in itemcache.tables begin at zero; of a partitioned one, those of its leaves';
REVOKE ALL ON FUNCTION itemcache.reset_stats(regclass) FROM PUBLIC;

--
-- Emptying: all tables only if it is said so, as to_regclass() of a table that
-- is not there is null
--

DROP FUNCTION itemcache.clear(regclass);
CREATE FUNCTION itemcache.clear(relation regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'itemcache_clear_relation'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION itemcache.clear(regclass) IS
'drop the cached items of a table, at once; for its owner.  Safe at any time: lookups are slower until they are cached again';

CREATE FUNCTION itemcache.clear()
RETURNS void
AS 'MODULE_PATHNAME', 'itemcache_clear_all'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION itemcache.clear() IS
'drop the cached items of all tables of this database, at once; for the database''s owner.  Safe at any time: lookups are slower until they are cached again';

--
-- What comments left open
--

COMMENT ON COLUMN itemcache.tables.bypasses IS 'lookups that had to read the table: in transactions that have written to it, under SERIALIZABLE, by get() and get_many() under row-level security, while it was not served, with itemcache.enabled (or, of kept plans, transparent) off, in parallel workers of a transaction that has written';
COMMENT ON COLUMN itemcache.tables.served IS 'whether lookups are answered from the cache; of a partitioned table: in at least one of its partitions (state says in how many); NULL if locked';
