-- The settings, and the views with every column documented.

SELECT name, context, vartype, boot_val, min_val, max_val, unit FROM pg_settings WHERE name LIKE 'itemcache.%' ORDER BY name COLLATE "C";
SELECT name FROM pg_settings WHERE name LIKE 'itemcache.%' AND (short_desc IS NULL OR short_desc = '');
SELECT current_setting('itemcache.memory') IS NOT NULL AS memory, current_setting('itemcache.enabled') AS enabled;
SET itemcache.memory = '1GB';
SET itemcache.max_items = 10;
SET itemcache.max_item_size = '1kB';
SET itemcache.preload = off;
SET itemcache.preload_workers = 4;
SET itemcache.enabled = 'maybe';
SET itemcache.no_such_setting = 1;
\set VERBOSITY sqlstate
ALTER SYSTEM SET itemcache.memory = '-1';
ALTER SYSTEM SET itemcache.memory = '1kB';
ALTER SYSTEM SET itemcache.memory = '2TB';
ALTER SYSTEM SET itemcache.max_items = -1;
ALTER SYSTEM SET itemcache.max_items = 2147483648;
ALTER SYSTEM SET itemcache.max_item_size = 0;
ALTER SYSTEM SET itemcache.max_item_size = '65MB';
ALTER SYSTEM SET itemcache.preload_workers = 0;
ALTER SYSTEM SET itemcache.preload_workers = 65;
ALTER SYSTEM SET itemcache.preload_workers = -1;
\set VERBOSITY default
-- what the documents say is the largest can be set
ALTER SYSTEM SET itemcache.memory = '2147483647kB';
ALTER SYSTEM SET itemcache.max_items = 2147483647;
ALTER SYSTEM SET itemcache.max_item_size = '64MB';
ALTER SYSTEM SET itemcache.preload_workers = 64;
ALTER SYSTEM RESET itemcache.memory;
ALTER SYSTEM RESET itemcache.max_items;
ALTER SYSTEM RESET itemcache.max_item_size;
ALTER SYSTEM RESET itemcache.preload_workers;

-- enabled: this session reads the table
CREATE TABLE settings_items (id int PRIMARY KEY, v text);
INSERT INTO settings_items SELECT g, 'v' || g FROM generate_series(1, 5) g;
SELECT itemcache.attach('settings_items');
SELECT * FROM helper.check('settings_items', 1, 5);
SELECT * FROM helper.check('settings_items', 1, 5);
SET itemcache.enabled = off;
SHOW itemcache.enabled;
SELECT * FROM helper.check('settings_items', 1, 5);
SELECT itemcache.clear('settings_items');
SELECT * FROM helper.check('settings_items', 1, 5);	-- and does not fill
RESET itemcache.enabled;
SELECT * FROM helper.check('settings_items', 1, 5);
BEGIN;
SET LOCAL itemcache.enabled = off;
SELECT * FROM helper.check('settings_items', 1, 5);
COMMIT;
CREATE FUNCTION settings_off() RETURNS text LANGUAGE sql SET itemcache.enabled = off AS 'SELECT (itemcache.get(NULL::settings_items, 1)).v';
SELECT * FROM helper.answered('settings_items', 'SELECT settings_off()');
SELECT * FROM helper.check('settings_items', 1, 5);

-- max_item_size takes effect at a reload
ALTER SYSTEM SET itemcache.max_item_size = '1kB';
SELECT pg_reload_conf();
SELECT FROM pg_sleep(1);		-- a new session has it from the postmaster, which is to read it first
\c -
SHOW itemcache.max_item_size;
INSERT INTO settings_items VALUES (6, repeat('x', 900)), (7, repeat('x', 1100));
SELECT * FROM helper.check('settings_items', 6, 7);
SELECT * FROM helper.check('settings_items', 6, 7);
UPDATE settings_items SET v = repeat('y', 1200) WHERE id = 6;
SELECT * FROM helper.check('settings_items', 6, 7);
ALTER SYSTEM RESET itemcache.max_item_size;
SELECT pg_reload_conf();
SELECT FROM pg_sleep(1);		-- a new session has it from the postmaster, which is to read it first
\c -
SHOW itemcache.max_item_size;
SELECT * FROM helper.check('settings_items', 6, 7);
SELECT * FROM helper.check('settings_items', 6, 7);

-- the views: what they promise, and that it adds up
SELECT attrelid::regclass AS view, attname, format_type(atttypid, NULL) AS type,
	   col_description(attrelid, attnum) IS NOT NULL AS documented
FROM pg_attribute
WHERE attrelid IN ('itemcache.stats'::regclass, 'itemcache.tables'::regclass, 'itemcache.preload_progress'::regclass)
ORDER BY attrelid::regclass::text COLLATE "C", attnum;
SELECT c.relname, obj_description(c.oid) FROM pg_class c WHERE relnamespace = 'itemcache'::regnamespace AND relkind = 'v' ORDER BY 1;
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'itemcache'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL;
SELECT items, bytes > 0 AS bytes, hits > 0 AS hits, misses > 0 AS misses, fills > 0 AS fills,
	   publishes > 0 AS publishes, removals > 0 AS removals, evictions, hit_ratio BETWEEN 0 AND 1 AS hit_ratio
FROM itemcache.tables WHERE relid = 'settings_items'::regclass;
SELECT memory > 0 AS memory, memory_used BETWEEN 1 AND memory AS memory_used, items > 0 AS items, capacity >= items AS capacity,
	   partitions > 0 AS partitions, hits >= (SELECT sum(hits) FROM itemcache.tables) AS hits, hit_ratio BETWEEN 0 AND 1 AS hit_ratio
FROM itemcache.stats;
SELECT pg_size_bytes(current_setting('itemcache.memory')) >= memory AS within_memory FROM itemcache.stats;
SELECT itemcache.clear('settings_items');
SELECT items, bytes FROM itemcache.tables WHERE relid = 'settings_items'::regclass;
-- an empty table, a hit ratio of nothing
CREATE TABLE settings_empty (id int PRIMARY KEY);
SELECT itemcache.attach('settings_empty');
SELECT items, hits, misses, hit_ratio, itemcache.preload(relid) FROM itemcache.tables WHERE relid = 'settings_empty'::regclass;
DROP TABLE settings_items, settings_empty;
DROP FUNCTION settings_off();
