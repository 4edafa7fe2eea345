-- Which plans are chosen, with a cold and a warm cache, and when they are made again.

CREATE SCHEMA plans;
SET search_path = plans;
SET itemcache.transparent = on;
SET max_parallel_workers_per_gather = 0;

CREATE TABLE items (id int PRIMARY KEY, name text, filler text);
INSERT INTO items SELECT g, 'name ' || g, repeat('x', 300) FROM generate_series(1, 10000) g;
-- few keys, many times; each key once; a few keys
CREATE TABLE dense AS SELECT 1 + g % 50 AS k FROM generate_series(1, 5000) g;
CREATE TABLE sparse AS SELECT g AS k FROM generate_series(1, 10000) g;
CREATE TABLE few AS SELECT g * 1000 AS k FROM generate_series(1, 10) g;
VACUUM ANALYZE items, dense, sparse, few;
SELECT itemcache.attach('items', preload => false);

-- the nodes that join and read
CREATE FUNCTION plan(query text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	line text;
	nodes text[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		nodes := nodes || (regexp_match(line, '(?:->  |^ *)(Nested Loop.*|(?:Hash|Merge) .*Join|Memoize|Custom Scan.*|(?:Seq|Index|Index Only) Scan.*)$'))[1];
	END LOOP;
	RETURN array_to_string(nodes, ', ');
END
$$;

-- Memoize is a cache before a cache: not above our scan, however cold
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT plan('SELECT i.name FROM dense JOIN items i ON i.id = k');
SELECT plan('SELECT i.name FROM dense JOIN items i ON i.id = k + 0');
SELECT plan('SELECT i.name FROM dense LEFT JOIN items i ON i.id = k + 0 AND i.name > ''n''');
SET itemcache.transparent = off;
SELECT plan('SELECT i.name FROM dense JOIN items i ON i.id = k');
SET itemcache.transparent = on;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- with a cold cache, what fills it, unless another plan is better
SELECT plan('SELECT name FROM items WHERE id = 1');
SELECT plan('SELECT name FROM items WHERE id IN (1, 2, 3)');
SELECT plan('SELECT i.name FROM few JOIN items i ON i.id = k');
SELECT plan('SELECT i.name FROM dense JOIN items i ON i.id = k');
SELECT plan('SELECT i.name FROM sparse JOIN items i ON i.id = k');

-- plans that are kept are made again when a table has been loaded, ...
SET plan_cache_mode = force_generic_plan;
PREPARE all_keys AS SELECT count(i.name) FROM sparse JOIN items i ON i.id = k;
CREATE FUNCTION all_keys(OUT rows bigint, OUT hits bigint) LANGUAGE plpgsql AS
$$
DECLARE
	before bigint := (SELECT t.hits FROM itemcache.tables t WHERE relid = 'items'::regclass);
BEGIN
	SELECT count(i.name) INTO rows FROM sparse JOIN items i ON i.id = k;
	hits := (SELECT t.hits FROM itemcache.tables t WHERE relid = 'items'::regclass) - before;
END
$$;
SELECT plan('EXECUTE all_keys');
SELECT * FROM all_keys();
SELECT itemcache.preload('items');
SELECT plan('EXECUTE all_keys');
SELECT * FROM all_keys();

-- ... when it is cold again, as soon as somebody misses, ...
SELECT itemcache.clear('items');
SELECT plan('EXECUTE all_keys');
SELECT name FROM items WHERE id = 1;
SELECT plan('EXECUTE all_keys');
SELECT * FROM all_keys();

-- ... and while it is filled by lookups
SELECT count(itemcache.get(NULL::items, g)) FROM generate_series(1, 10000) g;
SELECT plan('EXECUTE all_keys');
SELECT * FROM all_keys();

-- nor does that end with the transaction, or matter to it
SELECT itemcache.clear('items');
SELECT name FROM items WHERE id = 1;
SELECT plan('EXECUTE all_keys');
BEGIN READ ONLY;
SELECT itemcache.preload('items');
SELECT plan('EXECUTE all_keys');
ROLLBACK;
SELECT plan('EXECUTE all_keys');

SET client_min_messages = warning;
DROP SCHEMA plans CASCADE;
