-- A plain SELECT by primary key is served from the cache, and gives what it gives without it.

CREATE SCHEMA scan;
SET search_path = scan, helper;
SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET max_parallel_workers_per_gather = 0;
SET client_min_messages = warning;

CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric, tag int, wide text);
ALTER TABLE items ALTER wide SET STORAGE EXTERNAL;
INSERT INTO items
SELECT g, 'name ' || g, g / 100.0, g % 10, CASE WHEN g % 100 = 0 THEN repeat('wide ', 1000) END
FROM generate_series(1, 1000) g;
CREATE TABLE pairs (a int, b text, n int, PRIMARY KEY (a, b));
INSERT INTO pairs SELECT g % 10, 'b' || g / 10, g FROM generate_series(1, 500) g;
CREATE TABLE orders (id int PRIMARY KEY, item bigint, a int, b text);
INSERT INTO orders
SELECT g, CASE WHEN g % 7 <> 0 THEN g * 3 END, g % 12, 'b' || g % 40 FROM generate_series(1, 400) g;
ANALYZE items, pairs, orders;
SELECT itemcache.attach('items', preload => false), itemcache.attach('pairs', preload => false),
	   itemcache.attach('orders', preload => false);

--
-- What is a lookup
--
SELECT * FROM plan('SELECT name FROM items WHERE id = 42');
SELECT * FROM compare('SELECT * FROM items WHERE id = 42');
SELECT * FROM compare('SELECT * FROM items WHERE id = 42');
SELECT * FROM compare('SELECT * FROM items WHERE id = 4242');
SELECT * FROM compare('SELECT * FROM items WHERE id = NULL::bigint');
-- the column on the right, other integer types, casts, expressions
SELECT * FROM plan('SELECT name FROM items WHERE 42 = id');
SELECT * FROM compare('SELECT * FROM items WHERE 42 = id');
SELECT * FROM compare('SELECT * FROM items WHERE id = 42::smallint');
SELECT * FROM compare('SELECT * FROM items WHERE id = 40 + 2');
SELECT * FROM compare('SELECT * FROM items WHERE id = ''42''');
SELECT * FROM plan('SELECT name FROM items WHERE id = length(current_schema())');
SELECT * FROM compare('SELECT name FROM items WHERE id = length(current_schema())');
SELECT * FROM compare('SELECT name FROM items WHERE id = (SELECT max(id) FROM orders)');
-- integers that a narrower key column cannot hold
SELECT * FROM compare('SELECT * FROM orders WHERE id = 4294967297');
SELECT * FROM compare('SELECT * FROM orders WHERE id = -9223372036854775808');
SELECT * FROM plan('SELECT item FROM orders WHERE id = 42::bigint');
SELECT * FROM compare('SELECT * FROM orders WHERE id = 42::bigint');
-- all other conditions are applied
SELECT * FROM plan('SELECT name FROM items WHERE id = 42 AND tag = 2 AND price > 0.1');
SELECT * FROM compare('SELECT name FROM items WHERE id = 42 AND tag = 2');
SELECT * FROM compare('SELECT name FROM items WHERE id = 42 AND tag = 3');
SELECT * FROM compare('SELECT name FROM items WHERE id = 42 AND id = 43');
SELECT * FROM compare('SELECT name FROM items WHERE id = 42 AND id < 10');
SELECT * FROM compare('SELECT name FROM items WHERE id = 42 AND random() < 2');
SELECT * FROM compare('SELECT name FROM items WHERE id = 42 AND wide IS NULL');
SELECT * FROM compare('SELECT length(wide), name FROM items WHERE id = 100');
SELECT * FROM compare('SELECT length(wide), name FROM items WHERE id = 100');
SELECT * FROM compare('SELECT 1 FROM items WHERE id = 42');
SELECT * FROM compare('SELECT items FROM items WHERE id = 42');
SELECT * FROM compare('SELECT * FROM items WHERE false AND id = 42');
SELECT * FROM compare('SELECT * FROM items WHERE current_user = ''nobody'' AND id = 42');
SELECT * FROM compare('SELECT * FROM items WHERE current_user IS NOT NULL AND id = 42');
SELECT * FROM compare('SELECT name FROM items WHERE items = ROW(42, ''name 42'', 0.42, 2, NULL)::items AND id = 42');
-- what is none
SELECT * FROM plan('SELECT name FROM items WHERE id > 42 AND id < 44');
SELECT * FROM plan('SELECT name FROM items WHERE id = 42.0');
SELECT * FROM plan('SELECT name FROM items WHERE id = tag');
SELECT * FROM plan('SELECT name FROM items WHERE id = (random() * 1000)::int');
SELECT * FROM plan('SELECT name FROM items WHERE NOT id = 42');
SELECT * FROM plan('SELECT name FROM items WHERE id <> ALL (ARRAY[1, 2])');
SELECT * FROM plan('SELECT n FROM pairs WHERE a = 1');
SELECT * FROM plan('SELECT n FROM pairs WHERE b = ''b1''');
SELECT * FROM plan('SELECT n FROM pairs WHERE a IN (1, 2) AND b = ''b1''');
-- composite keys
SELECT * FROM plan('SELECT n FROM pairs WHERE b = ''b1'' AND a = 1');
SELECT * FROM compare('SELECT n FROM pairs WHERE b = ''b1'' AND a = 1');
SELECT * FROM compare('SELECT n FROM pairs WHERE (a, b) = (1, ''b1'')');
SELECT * FROM compare('SELECT n FROM pairs WHERE (a, b) = (1::bigint, ''b9999'')');
SELECT * FROM compare('SELECT n FROM pairs WHERE (a, b) = (1, NULL)');
SELECT * FROM compare('SELECT n FROM pairs WHERE a IN (1, 2) AND b = ''b1''');
SELECT same, nrows FROM compare('SELECT n FROM pairs WHERE (a, b) IN ((1, ''b1''), (2, ''b2''), (1, ''b1''))');
SELECT same, nrows FROM compare('SELECT name FROM items WHERE id = 42 OR id = 43 OR id = 42');

--
-- Arrays: each row once, in the key's order, NULLs are nothing
--
SELECT * FROM plan('SELECT name FROM items WHERE id IN (3, 1, 2)');
SELECT * FROM plan('SELECT name FROM items WHERE id = ANY (ARRAY[3, 1, 2]::bigint[])');
SELECT * FROM compare('SELECT name FROM items WHERE id IN (3, 1, 2)');
SELECT * FROM compare('SELECT name FROM items WHERE id IN (3, 1, 2, 1, 2000)');
SELECT id FROM items WHERE id = ANY ('{9, 3, NULL, 7, 3, 9, 1}'::bigint[]);
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (''{9, 3, NULL, 7, 3, 9, 1}''::bigint[])');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (''{9, 3, NULL, 7, 3, 9, 1}''::int[])');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (''{9, 3, NULL, 7, 3, 9, 1}''::smallint[])');
SELECT * FROM compare('SELECT * FROM orders WHERE id = ANY (''{9, 3, 4294967305}''::bigint[])');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (''{}''::bigint[])');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (''{NULL, NULL}''::bigint[])');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (NULL::bigint[])');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (''{{1, 2}, {2, 3}}''::bigint[])');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (ARRAY(SELECT g FROM generate_series(990, 800, -1) g))');
SELECT * FROM compare('SELECT * FROM items WHERE id = ANY (ARRAY(SELECT g FROM generate_series(990, 800, -1) g))');
SELECT * FROM compare('SELECT * FROM items WHERE id IN (1, 2, 3) AND tag <> 2 ORDER BY id DESC');

--
-- Types of keys, some of which have several images of equal values
--
CREATE TABLE k_text (k text PRIMARY KEY, v int);
CREATE TABLE k_varchar (k varchar(20) PRIMARY KEY, v int);
CREATE TABLE k_char (k char(10) PRIMARY KEY, v int);
CREATE TABLE k_numeric (k numeric PRIMARY KEY, v int);
CREATE TABLE k_uuid (k uuid PRIMARY KEY, v int);
CREATE TABLE k_date (k date PRIMARY KEY, v int);
CREATE TABLE k_float (k float8 PRIMARY KEY, v int);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE k_domain (k positive PRIMARY KEY, v int);
CREATE TABLE k_array (k int[] PRIMARY KEY, v int);
INSERT INTO k_text VALUES ('one', 1), ('', 0), ('two  ', 2);
INSERT INTO k_varchar VALUES ('one', 1), ('', 0), ('two  ', 2);
INSERT INTO k_char VALUES ('one', 1), ('', 0), ('two  ', 2);
INSERT INTO k_numeric VALUES (1, 1), (1.50, 2), ('NaN', 3);
INSERT INTO k_uuid VALUES ('00000000-0000-0000-0000-000000000001', 1);
INSERT INTO k_date VALUES ('2026-01-01', 1), ('infinity', 2);
INSERT INTO k_float VALUES (0, 1), ('NaN', 2), (1.5, 3);
INSERT INTO k_domain VALUES (1, 1);
INSERT INTO k_array VALUES ('{1,2}', 1), ('{}', 2);
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY '{k_text,k_varchar,k_char,k_numeric,k_uuid,k_date,k_float,k_domain,k_array}'::text[] LOOP
		PERFORM itemcache.attach(t::regclass, preload => false);
	END LOOP;
END $$;
SELECT relid, itemcache.preload(relid) FROM itemcache.tables WHERE relid::text ~ '^k_' ORDER BY relid::text;
SELECT q, (c).*
FROM unnest(ARRAY[
	'SELECT * FROM k_text WHERE k = ''one''',
	'SELECT * FROM k_text WHERE k = ''two''',
	'SELECT * FROM k_text WHERE k = ''two  ''',
	'SELECT * FROM k_text WHERE k = ''one''::varchar',
	'SELECT * FROM k_text WHERE k = ''one''::name',
	'SELECT * FROM k_text WHERE k = ''one''::char(10)',
	'SELECT * FROM k_text WHERE k = ANY (ARRAY[''one'', ''one'', NULL, ''''])',
	'SELECT * FROM k_text WHERE k = ''one'' COLLATE "C"',
	'SELECT * FROM k_varchar WHERE k = ''one''',
	'SELECT * FROM k_varchar WHERE k = ''one''::text',
	'SELECT * FROM k_varchar WHERE k = ANY (ARRAY[''one'', ''x'']::text[])',
	'SELECT * FROM k_varchar WHERE k = ANY (ARRAY[''one'', ''x'']::varchar[])',
	'SELECT * FROM k_char WHERE k = ''one''',
	'SELECT * FROM k_char WHERE k = ''one      ''',
	'SELECT * FROM k_char WHERE k = ''one''::text',
	'SELECT * FROM k_char WHERE k IN (''two'', ''one'', ''one '')',
	'SELECT * FROM k_numeric WHERE k = 1',
	'SELECT * FROM k_numeric WHERE k = 1.00',
	'SELECT * FROM k_numeric WHERE k = 1.5',
	'SELECT * FROM k_numeric WHERE k = ''NaN''',
	'SELECT * FROM k_numeric WHERE k IN (1.5, 1.50, 1.500, 1)',
	'SELECT * FROM k_uuid WHERE k = ''00000000-0000-0000-0000-000000000001''',
	'SELECT * FROM k_date WHERE k = ''2026-01-01''',
	'SELECT * FROM k_date WHERE k = ''2026-01-01''::timestamp',
	'SELECT * FROM k_date WHERE k = ''infinity''',
	'SELECT * FROM k_float WHERE k = 0',
	'SELECT * FROM k_float WHERE k = ''-0''',
	'SELECT * FROM k_float WHERE k = ''NaN''',
	'SELECT * FROM k_float WHERE k = 1.5::float4',
	'SELECT * FROM k_domain WHERE k = 1',
	'SELECT * FROM k_domain WHERE k = 1::positive',
	'SELECT * FROM k_domain WHERE k = ANY (ARRAY[1]::positive[])',
	'SELECT * FROM k_array WHERE k = ''{1,2}''',
	'SELECT * FROM k_array WHERE k = ''{}'''
]) q, LATERAL compare(q) c;

--
-- Shapes of rows: added with a default, dropped, never materialised
--
ALTER TABLE k_text ADD a int DEFAULT 7, ADD b text DEFAULT 'default';
INSERT INTO k_text VALUES ('three', 3, 3, NULL);
SELECT * FROM compare('SELECT * FROM k_text WHERE k IN (''one'', ''three'', '''')');
SELECT * FROM compare('SELECT * FROM k_text WHERE k IN (''one'', ''three'', '''')');
SELECT * FROM compare('SELECT k_text FROM k_text WHERE k IN (''one'', ''three'', '''')');
ALTER TABLE k_text DROP a;
SELECT * FROM compare('SELECT * FROM k_text WHERE k IN (''one'', ''three'', '''')');
SELECT * FROM compare('SELECT b, k_text FROM k_text WHERE k IN (''one'', ''three'', '''')');

--
-- Prepared statements, with custom and generic plans
--
PREPARE by_id(bigint) AS SELECT name, tag FROM items WHERE id = $1;
PREPARE by_int(int) AS SELECT name, tag FROM items WHERE id = $1;
PREPARE by_ids(bigint[]) AS SELECT name, tag FROM items WHERE id = ANY ($1);
PREPARE by_pair(int, text) AS SELECT n FROM pairs WHERE (a, b) = ($1, $2);
SET plan_cache_mode = force_custom_plan;
SELECT * FROM plan('EXECUTE by_id(42)');
EXECUTE by_id(42);
SET plan_cache_mode = force_generic_plan;
SELECT * FROM plan('EXECUTE by_id(42)');
EXECUTE by_id(42);
EXECUTE by_id(NULL);
EXECUTE by_int(42);
SELECT * FROM plan('EXECUTE by_ids(NULL)');
EXECUTE by_ids('{3,1,NULL,3}');
EXECUTE by_ids(NULL);
EXECUTE by_pair(1, 'b1');
-- a function's plan, which is kept as well
CREATE FUNCTION price_of(k bigint) RETURNS numeric LANGUAGE plpgsql STABLE AS
$$
DECLARE
	result numeric;
BEGIN
	SELECT price INTO result FROM items WHERE id = k;
	RETURN result;
END
$$;
SELECT * FROM compare('SELECT g, price_of(g) FROM generate_series(995, 1005) g');
SELECT * FROM compare('SELECT g, price_of(g) FROM generate_series(995, 1005) g');

-- ... executed after a setting was turned off, DDL, detach, attach
SELECT * FROM helper.answered('items', 'EXECUTE by_id(42)');
SET itemcache.transparent = off;
SELECT * FROM helper.answered('items', 'EXECUTE by_id(42)');
SET itemcache.transparent = on;
SET itemcache.enabled = off;
SELECT * FROM helper.answered('items', 'EXECUTE by_id(42)');
EXECUTE by_id(42);
RESET itemcache.enabled;
SELECT * FROM helper.answered('items', 'EXECUTE by_id(42)');
ALTER TABLE items DISABLE TRIGGER itemcache;
UPDATE items SET tag = 1000 WHERE id = 42;
SELECT * FROM plan('EXECUTE by_id(42)');
EXECUTE by_id(42);
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
EXECUTE by_id(42);
SELECT * FROM helper.answered('items', 'EXECUTE by_id(42)');
ALTER TABLE items ADD extra int DEFAULT 5;
EXECUTE by_id(42);
ALTER TABLE items DROP extra, ALTER tag TYPE bigint;
DEALLOCATE by_id;
PREPARE by_id(bigint) AS SELECT name, tag FROM items WHERE id = $1;
EXECUTE by_id(42);
ALTER TABLE items DROP CONSTRAINT items_pkey;
SELECT * FROM plan('EXECUTE by_id(42)');
EXECUTE by_id(42);
ALTER TABLE items ADD PRIMARY KEY (id);
EXECUTE by_id(42);
REINDEX INDEX items_pkey;
EXECUTE by_id(42);
SELECT itemcache.detach('items');
SELECT * FROM plan('EXECUTE by_id(42)');
EXECUTE by_id(42);
SELECT itemcache.attach('items', preload => false);
SELECT * FROM plan('EXECUTE by_id(42)');
EXECUTE by_id(42);
TRUNCATE orders;
SELECT * FROM compare('SELECT * FROM orders WHERE id IN (1, 2)');
INSERT INTO orders
SELECT g, CASE WHEN g % 7 <> 0 THEN g * 3 END, g % 12, 'b' || g % 40 FROM generate_series(1, 400) g;
BEGIN;
DROP EXTENSION itemcache CASCADE;
EXECUTE by_id(42);
ROLLBACK;
EXECUTE by_id(42);
SELECT itemcache.clear('items');
RESET plan_cache_mode;

--
-- Joins and subqueries of every kind
--
SELECT itemcache.preload('items'), itemcache.preload('pairs'), itemcache.preload('orders');
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT q, (c).same, (c).nrows, (c).hits > 0 AS hits
FROM unnest(ARRAY[
	'SELECT o.id, i.name FROM orders o JOIN items i ON i.id = o.item',
	'SELECT o.id, i.name FROM orders o JOIN items i ON i.id = o.item AND i.tag > o.a',
	'SELECT o.id, i.name FROM orders o JOIN items i ON i.id = o.item + 1 WHERE o.id < 50',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag = 3',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND o.a = 3',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item WHERE i.tag IS NULL',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item WHERE coalesce(i.tag, 3) = 3',
	'SELECT o.id, i.name FROM items i RIGHT JOIN orders o ON i.id = o.item AND i.tag = o.a',
	'SELECT o.id, i.name FROM orders o LEFT JOIN (items i JOIN pairs p ON p.a = i.tag AND p.b = i.name) ON i.id = o.item',
	'SELECT o.id, p.n FROM orders o JOIN pairs p ON p.a = o.a AND p.b = o.b',
	'SELECT o.id, p.n FROM orders o LEFT JOIN pairs p ON (p.a, p.b) = (o.a, o.b)',
	'SELECT o.id, p.n, i.name FROM orders o JOIN items i ON i.id = o.item JOIN pairs p ON p.a = i.tag AND p.b = o.b',
	'SELECT o.id, p.n, i.name FROM orders o LEFT JOIN items i ON i.id = o.item LEFT JOIN pairs p ON p.a = i.tag AND p.b = o.b',
	'SELECT o.id, x.id FROM orders o LEFT JOIN (SELECT i.id, coalesce(i.tag, 0) AS t FROM items i WHERE tag > 2) x ON x.id = o.item',
	'SELECT o.id, x.t FROM orders o LEFT JOIN (SELECT i.id, 1 AS t FROM items i) x ON x.id = o.item',
	'SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.id = o.item)',
	'SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.id = o.item AND i.tag > o.a)',
	'SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT FROM items i WHERE i.id = o.item)',
	'SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT FROM items i WHERE i.id = o.item AND i.tag > o.a)',
	'SELECT o.id FROM orders o WHERE o.item IN (SELECT id FROM items WHERE tag = 3)',
	'SELECT o.id FROM orders o WHERE o.item NOT IN (SELECT id FROM items WHERE tag = 3)',
	'SELECT o.id, (SELECT name FROM items i WHERE i.id = o.item) FROM orders o',
	'SELECT o.id, (SELECT name FROM items i WHERE i.id = o.item AND i.tag > 4) FROM orders o',
	'SELECT o.id, x.* FROM orders o, LATERAL (SELECT name, o.a FROM items i WHERE i.id = o.item) x',
	'SELECT o.id, x.* FROM orders o LEFT JOIN LATERAL (SELECT name, o.a + tag FROM items i WHERE i.id = o.item LIMIT 1) x ON true',
	'SELECT o.id, x.* FROM orders o LEFT JOIN LATERAL (SELECT i.name FROM items i WHERE i.id = o.item + (SELECT min(n) FROM pairs)) x ON true',
	'SELECT o.id, x.* FROM orders o, LATERAL (SELECT name FROM items i WHERE i.id = ANY (ARRAY[o.item, o.id, 1])) x WHERE o.id < 30',
	'SELECT a.name, b.name FROM items a JOIN items b ON b.id = a.id + 1 WHERE a.id IN (1, 2, 1000)',
	'WITH c AS MATERIALIZED (SELECT * FROM items WHERE id = 3) SELECT * FROM c a, c b',
	'SELECT name FROM items WHERE id = 1 UNION ALL SELECT b FROM orders WHERE id = 1 UNION ALL SELECT b FROM pairs WHERE a = 1 AND b = ''b1''',
	'SELECT x.name FROM (SELECT * FROM items WHERE tag > 1 UNION ALL SELECT * FROM items) x WHERE x.id = 12',
	'SELECT count(i.name), sum(i.price) FROM orders o JOIN items i ON i.id = o.item',
	'SELECT i.tag, count(*) FROM orders o JOIN items i ON i.id = o.item GROUP BY i.tag',
	'SELECT o.id, i.name FROM orders o FULL JOIN items i ON i.id = o.item',
	'SELECT o.id, i.ctid, i.tableoid FROM orders o JOIN items i ON i.id = o.item',
	'SELECT i.name FROM (VALUES (1), (2), (2), (NULL), (5000)) v (k) LEFT JOIN items i ON i.id = v.k',
	'SELECT i.name FROM generate_series(1, 20) k, items i WHERE i.id = k AND i.tag = k % 10 AND k = i.id'
]) q, LATERAL compare(q) c;

-- the lookup join: of every kind, with the clauses where they belong
SELECT q, p FROM unnest(ARRAY[
	'SELECT i.name FROM orders o JOIN items i ON i.id = o.item',
	'SELECT i.* FROM orders o JOIN items i ON i.id = o.item WHERE i.tag > o.a AND i.price < 2 AND o.id < 50',
	'SELECT o.id, upper(i.name) FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag = 3 AND o.a < 9 WHERE coalesce(i.tag, o.a) < 7',
	'SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.id = o.item AND i.tag > o.a)',
	'SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT FROM items i WHERE i.id = o.item AND i.tag > o.a)',
	'SELECT o.id, p.n, p.b || i.name FROM orders o JOIN items i ON i.id = o.item JOIN pairs p ON p.a = i.tag AND p.b = o.b',
	'SELECT o.b, p.n FROM orders o JOIN pairs p ON p.a = 3 AND p.b = o.b',
	'SELECT x.id, j.name FROM pairs p, LATERAL (SELECT o.id, o.item FROM orders o WHERE o.a = p.a OFFSET 0) x JOIN items j ON j.id = x.item WHERE p.n < 40',
	'SELECT a.name, b.name FROM items a JOIN items b ON b.id = a.tag',
	'SELECT o.id, j.name FROM orders o LEFT JOIN items i ON i.id = o.item LEFT JOIN items j ON j.id = i.tag AND j.tag > o.a WHERE coalesce(i.tag, 1) < 7'
]) q, LATERAL (SELECT array_to_string(array_agg(p), E'\n') AS p FROM plan(q) p) p;
-- columns of the key's operators, of the join's and of the result, in any order and more than once
SELECT q, (c).same, (c).nrows, (c).hits > 0 AS hits
FROM unnest(ARRAY[
	'SELECT o.b, i.price, o.b, i.id, i.price, o.item FROM orders o JOIN items i ON i.id = o.item',
	'SELECT i.wide, o.b FROM orders o LEFT JOIN items i ON i.id = o.item',
	'SELECT o, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag <> o.a',
	'SELECT o.ctid, i.name FROM orders o JOIN items i ON i.id = o.item',
	'SELECT 1 FROM orders o JOIN items i ON i.id = o.item',
	'SELECT o.id, i.name FROM orders o JOIN items i ON i.id = o.item WHERE i.tableoid = ''items''::regclass',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND i.ctid > ''(3,0)''',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND i::text < ''(5''',
	'SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item WHERE i.tag > (SELECT count(*) FROM pairs p WHERE p.n = i.tag)',
	'SELECT x.id, j.name FROM pairs p, LATERAL (SELECT o.id, o.item, p.n FROM orders o WHERE o.a = p.a OFFSET 0) x JOIN items j ON j.id = x.item AND j.tag > x.n',
	'SELECT x.id, (SELECT count(j.name) FROM orders o JOIN items j ON j.id = o.item AND j.tag > x.tag WHERE o.a = x.tag) FROM items x WHERE x.id < 100',
	'SELECT o.id, i.name FROM (SELECT * FROM orders ORDER BY a, id LIMIT 70) o JOIN items i ON i.id = o.item LIMIT 65'
]) q, LATERAL compare(q) c;
-- columns that outer joins make NULL, in clauses below and above them, and where two of the joins can change places
SELECT q, (c).same, (c).nrows, (c).hits > 0 AS hits
FROM unnest(ARRAY[
	'SELECT i.tag, o.a FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > 3 AND i.tag > o.a AND o.a < 6 WHERE coalesce(i.tag, 5) > coalesce(o.a, 3)',
	'SELECT o.id FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > o.a WHERE i.tag IS NULL OR i.tag < 8',
	'SELECT o.id, i.tag FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > o.a AND o.a > 2 WHERE i.id IS NULL',
	'SELECT o.id, i.tag, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > o.a AND o.a > 2 WHERE i.id IS NULL AND o.a < 7',
	'SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT FROM items i WHERE i.id = o.item AND i.tag > o.a AND i.tag > 4 AND o.a > 2) AND o.id < 300',
	'SELECT o.id, i.tag, j.tag FROM orders o LEFT JOIN items i ON i.id = o.item LEFT JOIN items j ON j.id = i.tag',
	'SELECT o.id, i.tag, j.tag FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > o.a LEFT JOIN items j ON j.id = i.tag AND j.tag > i.tag WHERE coalesce(j.tag, i.tag, o.a) < 7',
	'SELECT o.id, i.tag, j.tag FROM orders o LEFT JOIN (items i LEFT JOIN items j ON j.id = i.tag AND j.tag > i.tag) ON i.id = o.item AND i.tag > o.a',
	'SELECT o.id, i.tag, j.tag FROM orders o LEFT JOIN items i ON i.id = o.item LEFT JOIN items j ON j.id = i.tag AND i.tag IS NOT NULL WHERE j.id IS NULL',
	'SELECT o.id, i.tag FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > 2 WHERE NOT EXISTS (SELECT FROM items j WHERE j.id = i.tag AND j.tag > i.tag)',
	'SELECT p.id, i.tag, j.tag FROM orders p LEFT JOIN orders o ON o.id = p.a AND o.a > 3 LEFT JOIN items i ON i.id = o.item AND i.tag > p.a LEFT JOIN items j ON j.id = o.a AND j.tag IS DISTINCT FROM i.tag',
	'SELECT o.a, count(i.tag), sum(j.tag) FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > 3 LEFT JOIN items j ON j.id = i.tag GROUP BY o.a HAVING count(i.tag) > 2'
]) q, LATERAL compare(q) c;
-- a column that was wanted for a join alone, which then was not needed
SET enable_indexonlyscan = off;
SELECT q, (c).same, (c).nrows, (c).hits > 0 AS hits
FROM unnest(ARRAY[
	'SELECT count(*) FROM items i LEFT JOIN pairs p ON p.a = 1 AND p.b = i.name WHERE i.id = 3',
	'SELECT 1 FROM items i LEFT JOIN pairs p ON p.a = 1 AND p.b = i.name WHERE i.id IN (3, 4)'
]) q, LATERAL compare(q) c;
RESET enable_indexonlyscan;
-- rows of any length: of a long one the scan copies its first bytes, and then what else its columns want
CREATE TABLE lengths (id bigint PRIMARY KEY, t text, a int, b bigint, c text, d "char", e smallint, f name);
INSERT INTO lengths
SELECT g, repeat('t', g), g, -g, CASE WHEN g % 3 > 0 THEN repeat('c', g % 40) END, 'd', g, 'f' || g
FROM generate_series(1, 140) g;
SELECT itemcache.attach('lengths', preload => false);
SELECT itemcache.preload('lengths');
SELECT q, count(*), bool_and((c).same) AS same, bool_and((c).hits > 0) AS hits
FROM unnest(ARRAY['*', 't, a', 'b, c', 'a, d, e', 'f, id', 'e, b, a, c']) q, generate_series(1, 140) g,
	LATERAL compare(format('SELECT %s FROM lengths WHERE id = %s', q, g)) c
GROUP BY q ORDER BY q;
DROP TABLE lengths;
-- rows come in the outer rows' order, however many are asked for
SELECT o.id, i.name FROM (SELECT * FROM orders ORDER BY id) o JOIN items i ON i.id = o.item LIMIT 5;
-- of large values only a few are read ahead
BEGIN;
SET LOCAL work_mem = '64kB';
DECLARE large CURSOR FOR SELECT length(o.v), i.name FROM (SELECT item, repeat('x', 100000) || id AS v FROM orders OFFSET 0) o JOIN items i ON i.id = o.item;
MOVE 200 FROM large;
SELECT sum(total_bytes) < 1000000 AS few FROM pg_backend_memory_contexts WHERE name = 'itemcache join batch';
ROLLBACK;
-- as a cursor, with what happens meanwhile not seen
BEGIN;
DECLARE joined CURSOR FOR SELECT o.id, i.name FROM (SELECT * FROM orders ORDER BY id) o JOIN items i ON i.id = o.item;
FETCH 2 FROM joined;
UPDATE items SET name = 'new' WHERE id = 9;
FETCH 2 FROM joined;
ROLLBACK;
-- of an outer relation where that would be noticed, no row is read that is not asked for
CREATE SEQUENCE rows_read;
SELECT o.id, i.name FROM (SELECT id, item, nextval('rows_read') AS n FROM orders ORDER BY id) o JOIN items i ON i.id = o.item LIMIT 4;
SELECT o.id, i.name FROM (SELECT * FROM orders WHERE nextval('rows_read') > 0 OFFSET 0) o JOIN items i ON i.id = o.item ORDER BY o.id LIMIT 0;
WITH o AS MATERIALIZED (SELECT id, item, nextval('rows_read') AS n FROM orders ORDER BY id) SELECT o.id, i.name FROM o JOIN items i ON i.id = o.item LIMIT 4;
WITH RECURSIVE o(id, n) AS (SELECT 1, nextval('rows_read') UNION ALL SELECT id + 1, nextval('rows_read') FROM o WHERE id < 100) SELECT o.id, i.name FROM o JOIN items i ON i.id = o.id LIMIT 4;
SELECT last_value FROM rows_read;
SELECT q, (SELECT string_agg(line, E'\n') FROM plan(q) line) ~ 'ItemCache Join' AS lookup_join FROM (VALUES
	('SELECT i.name FROM orders o JOIN items i ON i.id = o.item'),
	('SELECT i.name FROM orders o JOIN items i ON i.id = o.item WHERE random() < o.id'),
	('SELECT i.name FROM (SELECT * FROM orders FOR UPDATE SKIP LOCKED) o JOIN items i ON i.id = o.item'),
	('SELECT i.name FROM (SELECT * FROM (SELECT * FROM orders FOR SHARE) o OFFSET 0) o JOIN items i ON i.id = o.item'),
	('SELECT i.name FROM (SELECT random() AS r, item FROM orders) o JOIN items i ON i.id = o.item'),
	('SELECT i.name FROM (SELECT id, item FROM orders OFFSET 0) o JOIN items i ON i.id = o.item'),
	('SELECT i.name FROM generate_series(1, (1 + random())::int) o(item) JOIN items i ON i.id = o.item'),
	('SELECT i.name FROM generate_series(1, 900) o(item) JOIN items i ON i.id = o.item'),
	('WITH o AS MATERIALIZED (SELECT * FROM orders) SELECT i.name FROM o JOIN items i ON i.id = o.item'),
	('WITH o AS MATERIALIZED (SELECT * FROM orders FOR UPDATE) SELECT i.name FROM o JOIN items i ON i.id = o.item'),
	('WITH o AS (INSERT INTO orders SELECT id, item FROM orders RETURNING item) SELECT i.name FROM o JOIN items i ON i.id = o.item')) v(q);
DROP SEQUENCE rows_read;
EXPLAIN (COSTS OFF)
SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > 5 WHERE o.id <= 20;
CREATE TABLE "Odd Items" (id int PRIMARY KEY, v text);
INSERT INTO "Odd Items" SELECT g, g FROM generate_series(1, 400) g;
ANALYZE "Odd Items";
SELECT itemcache.attach('"Odd Items"', preload => false);
EXPLAIN (COSTS OFF) SELECT x.v FROM orders o JOIN "Odd Items" x ON x.id = o.item WHERE o.id <= 20;
RESET enable_hashjoin;
RESET enable_mergejoin;
-- a better plan is not displaced: ranges, an index-only scan
VACUUM (FREEZE, ANALYZE) items;
RESET enable_seqscan;
SELECT * FROM plan('SELECT name FROM items WHERE id BETWEEN 1 AND 10');
SELECT * FROM plan('SELECT id FROM items WHERE id = 42');
SELECT * FROM plan('SELECT name FROM items WHERE id = 42');
SET enable_seqscan = off;

--
-- Cursors: backwards too, without SCROLL, as over the index
--
BEGIN;
DECLARE c CURSOR FOR SELECT id, name FROM items WHERE id = 42;
FETCH PRIOR FROM c;
FETCH 2 FROM c;
FETCH PRIOR FROM c;
FETCH PRIOR FROM c;
FETCH NEXT FROM c;
MOVE BACKWARD ALL FROM c;
FETCH ALL FROM c;
CLOSE c;
DECLARE c CURSOR FOR SELECT id FROM items WHERE id = ANY ('{5,2000,3,8,NULL,5}');
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH ALL FROM c;
FETCH BACKWARD ALL FROM c;
FETCH FORWARD 1 FROM c;
FETCH ABSOLUTE 2 FROM c;
FETCH RELATIVE -1 FROM c;
FETCH LAST FROM c;
CLOSE c;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id, name FROM items WHERE id IN (42, 43);
COMMIT;
FETCH ALL FROM c;
FETCH FIRST FROM c;
CLOSE c;

-- a key that is evaluated, is once, and then again only for a new scan
BEGIN;
SET LOCAL scan.id = 42;
DECLARE c CURSOR FOR SELECT id, name FROM items WHERE id = current_setting('scan.id')::bigint;
DECLARE n CURSOR FOR SELECT i.id, i.name FROM (VALUES (0), (1)) v(n) LEFT JOIN LATERAL (SELECT * FROM items WHERE id = n + current_setting('scan.id')::bigint OFFSET 0) i ON true;
FETCH c;
FETCH n;
FETCH c;
SET LOCAL scan.id = 50;
FETCH PRIOR FROM c;
FETCH RELATIVE 0 FROM c;
UPDATE items SET tag = -1 WHERE CURRENT OF c RETURNING id;
SET LOCAL scan.id = 'x';
FETCH RELATIVE 0 FROM c;
SET LOCAL scan.id = 50;
FETCH n;
CLOSE c;
SET LOCAL scan.id = '';
DECLARE c CURSOR FOR SELECT id, name FROM items WHERE id = nullif(current_setting('scan.id'), '')::bigint;
FETCH c;
SET LOCAL scan.id = 42;
FETCH PRIOR FROM c;
FETCH c;
ROLLBACK;

-- WHERE CURRENT OF a row from the cache, and from the table
BEGIN;
DECLARE c CURSOR FOR SELECT id, tag FROM items WHERE id IN (42, 43);
SELECT * FROM helper.answered('items', 'FETCH 1 FROM c');
FETCH 1 FROM c;
UPDATE items SET tag = -43 WHERE CURRENT OF c;
SELECT id, tag FROM items WHERE id IN (42, 43);
MOVE BACKWARD 1 FROM c;
DELETE FROM items WHERE CURRENT OF c;
SELECT id, tag FROM items WHERE id IN (42, 43);
ROLLBACK;
SELECT id, tag FROM items WHERE id IN (42, 43);
BEGIN;
DECLARE c CURSOR FOR SELECT id, tag FROM items WHERE id = 44;
FETCH 1 FROM c;
UPDATE items SET tag = -44 WHERE CURRENT OF c;
COMMIT;
SELECT id, tag FROM items WHERE id = 44;
-- an index that the cursor has not opened yet is rebuilt, and then it is not
BEGIN;
DECLARE c CURSOR FOR SELECT id, tag FROM items WHERE id IN (44, 745, 746);
SET LOCAL itemcache.enabled = off;
SAVEPOINT one;
REINDEX INDEX items_pkey;
FETCH c;
ROLLBACK TO one;
FETCH c;
FETCH PRIOR FROM c;
COMMIT;
-- a cursor goes on with what it saw when it was opened
BEGIN;
DECLARE c CURSOR FOR SELECT id, tag FROM items WHERE id IN (51, 52, 53);
FETCH 1 FROM c;
UPDATE items SET tag = -1 WHERE id IN (51, 52, 53);
FETCH 1 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH BACKWARD ALL FROM c;
SET LOCAL itemcache.transparent = off;
FETCH ALL FROM c;
COMMIT;

--
-- Own writes, also in the middle of a query
--
BEGIN;
UPDATE items SET name = 'mine' WHERE id = 60;
SELECT * FROM compare('SELECT name FROM items WHERE id IN (60, 61)');
SELECT name FROM items WHERE id = 60;
DELETE FROM items WHERE id = 61;
SELECT * FROM compare('SELECT name FROM items WHERE id IN (60, 61)');
ROLLBACK;
SELECT * FROM compare('SELECT name FROM items WHERE id IN (60, 61)');
BEGIN;
SAVEPOINT s;
UPDATE items SET name = 'mine' WHERE id = 60;
SELECT name FROM items WHERE id = 60;
ROLLBACK TO s;
SELECT * FROM compare('SELECT name FROM items WHERE id IN (60, 61)');
COMMIT;
WITH u AS (UPDATE items SET name = 'by a CTE' WHERE id = 60 RETURNING id, name)
SELECT i.name, u.name FROM u JOIN items i ON i.id = u.id;
SELECT name FROM items WHERE id = 60;
WITH u AS (UPDATE items SET name = 'by another' WHERE id = 60 RETURNING id)
SELECT i.name, (SELECT count(*) FROM u) FROM items i WHERE i.id = 60;
SELECT name FROM items WHERE id = 60;
CREATE FUNCTION rename_item(k bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	UPDATE items SET name = name || '+' WHERE id = k;
	RETURN k;
END
$$;
SELECT rename_item(i.id), i.name, (SELECT name FROM items x WHERE x.id = i.id)
FROM items i WHERE i.id IN (70, 71);
SELECT name, rename_item(id) FROM items WHERE id = 70;
SELECT * FROM compare('SELECT name FROM items WHERE id IN (60, 70, 71)');
SELECT * FROM compare('SELECT name FROM items WHERE id IN (60, 70, 71)');

--
-- Targets, row locks, system columns
--
SELECT * FROM plan('SELECT name FROM items WHERE id = 42 FOR UPDATE');
SELECT * FROM plan('SELECT name FROM items WHERE id = 42 FOR KEY SHARE');
SELECT name FROM items WHERE id = 42 FOR UPDATE;
SELECT * FROM plan('UPDATE items SET tag = 1 WHERE id = 42');
SELECT * FROM plan('DELETE FROM items WHERE id = 42');
SELECT * FROM plan('UPDATE orders SET b = (SELECT name FROM items WHERE id = 42) WHERE id = 1');
SELECT * FROM plan('INSERT INTO orders SELECT 1000, tag, 0, name FROM items WHERE id = 42');
SELECT * FROM plan('SELECT ctid, tableoid, name FROM items WHERE id = 42');
SELECT * FROM compare('SELECT ctid, tableoid, name FROM items WHERE id IN (42, 100, 900)');
SELECT * FROM compare('SELECT ctid, tableoid, name FROM items WHERE id IN (42, 100, 900)');
SELECT * FROM compare('SELECT name FROM items WHERE id = 42 AND tableoid = ''items''::regclass');
SELECT * FROM plan('SELECT xmin, name FROM items WHERE id = 42');
SELECT * FROM plan('SELECT name FROM items WHERE id = 42 AND cmin::text = ''x''');
SELECT * FROM plan('SELECT name FROM items TABLESAMPLE SYSTEM (100) WHERE id = 42');
SELECT * FROM plan('SELECT name FROM ONLY items WHERE id = 42');

--
-- SERIALIZABLE, with a plan made before
--
SET plan_cache_mode = force_generic_plan;
SELECT * FROM helper.answered('items', 'EXECUTE by_id(42)');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM helper.answered('items', 'EXECUTE by_id(42)');
SELECT * FROM helper.answered('items', 'EXECUTE by_id(4242)');
SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'SIReadLock' AND relation = 'items_pkey'::regclass LIMIT 1;
COMMIT;
RESET plan_cache_mode;

--
-- Privileges and row-level security
--
CREATE ROLE regress_scan;
GRANT USAGE ON SCHEMA scan, itemcache TO regress_scan;
GRANT SELECT (id, name) ON items TO regress_scan;
CREATE TABLE secrets (id int PRIMARY KEY, owner name, v text);
CREATE TABLE secrets_numeric (id numeric PRIMARY KEY, owner name, v text);
INSERT INTO secrets SELECT g, CASE WHEN g % 2 = 0 THEN 'regress_scan' ELSE 'other' END, 'v' || g FROM generate_series(1, 4) g;
INSERT INTO secrets_numeric SELECT * FROM secrets;
ANALYZE secrets, secrets_numeric;
SELECT itemcache.attach('secrets', preload => false), itemcache.attach('secrets_numeric', preload => false);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE secrets_numeric ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
CREATE POLICY own ON secrets_numeric USING (owner = current_user);
GRANT SELECT ON secrets, secrets_numeric TO regress_scan;
SET client_min_messages = notice;
CREATE FUNCTION leak(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
$$
BEGIN
	RAISE NOTICE 'leak: %', $1;
	RETURN true;
END
$$;
CREATE VIEW guarded WITH (security_barrier) AS SELECT id, name, tag FROM items WHERE tag < 5;
GRANT SELECT ON guarded TO regress_scan;
SET ROLE regress_scan;
SELECT name FROM items WHERE id = 42;
SELECT price FROM items WHERE id = 42;
SELECT name FROM items WHERE id = 42 AND tag = 2;
SELECT items FROM items WHERE id = 42;
EXECUTE by_id(42);
SELECT * FROM plan('SELECT v FROM secrets WHERE id = 2');
SELECT v FROM secrets WHERE id IN (1, 2, 3);
SELECT v FROM secrets WHERE id IN (1, 2, 3);
SELECT v FROM secrets WHERE id = 1 AND leak(v);
SELECT v FROM secrets WHERE id = 2 AND leak(v);
SELECT v FROM secrets s WHERE id IN (1, 2) AND leak(s);
SELECT * FROM plan('SELECT v FROM secrets_numeric WHERE id = 2');
SELECT v FROM secrets_numeric WHERE id = 1;
SELECT v FROM secrets_numeric WHERE id = 1 AND leak(v);
SELECT v FROM secrets_numeric WHERE id = 2 AND leak(v);
SELECT * FROM plan('SELECT name FROM guarded WHERE id = 43');
SELECT name FROM guarded WHERE id = 43 AND leak(name);
SELECT name FROM guarded WHERE id = 47 AND leak(name);
SELECT g.name FROM orders o JOIN guarded g ON g.id = o.item WHERE o.id = 1;
RESET ROLE;
GRANT SELECT ON orders TO regress_scan;
SET ROLE regress_scan;
SELECT g.name FROM orders o JOIN guarded g ON g.id = o.item WHERE o.id IN (1, 2);
SELECT s.v FROM orders o LEFT JOIN secrets s ON s.id = o.id WHERE o.id IN (1, 2) AND leak(s.v);
RESET ROLE;
SET client_min_messages = warning;
SET row_security = off;
SELECT v FROM secrets WHERE id IN (1, 2);
RESET row_security;

--
-- Partitions: leaf by leaf, with run-time pruning, and joined pairwise
--
CREATE TABLE parts (id int, kind text, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_0 (v text, junk int, kind text, id int NOT NULL);
ALTER TABLE parts_0 DROP junk;
ALTER TABLE parts ATTACH PARTITION parts_0 FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (100) TO (200);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (200) TO (MAXVALUE) PARTITION BY HASH (id);
CREATE TABLE parts_2_0 PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT g, 'k' || g % 3, 'v' || g FROM generate_series(1, 300) g;
CREATE TABLE parts_b (id int, w text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_b_0 PARTITION OF parts_b FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE parts_b_1 PARTITION OF parts_b FOR VALUES FROM (100) TO (200);
INSERT INTO parts_b SELECT g, 'w' || g FROM generate_series(1, 199, 3) g;
CREATE TABLE parts_c (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_c_0 PARTITION OF parts_c FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE parts_c_1 (v text, id int NOT NULL);
ALTER TABLE parts_c ATTACH PARTITION parts_c_1 FOR VALUES FROM (100) TO (200);
INSERT INTO parts_c SELECT g, 'c' || g FROM generate_series(1, 199) g;
ANALYZE parts, parts_b, parts_c;
SELECT itemcache.attach('parts', preload => false), itemcache.attach('parts_c', preload => false);
SELECT * FROM plan('SELECT v FROM parts WHERE id = 42');
SELECT * FROM plan('SELECT v FROM parts WHERE id IN (42, 142, 242)');
SELECT * FROM compare('SELECT * FROM parts WHERE id IN (42, 142, 242, 243, 999)');
SELECT * FROM compare('SELECT * FROM parts WHERE id IN (42, 142, 242, 243, 999)');
SELECT * FROM compare('SELECT parts, tableoid FROM parts WHERE id = 42');
SELECT * FROM compare('SELECT * FROM parts_0 WHERE id IN (42, 142)');
SELECT * FROM compare('SELECT * FROM ONLY parts WHERE id = 42');
PREPARE part(int) AS SELECT v, tableoid::regclass FROM parts WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE part(42);
EXECUTE part(142);
EXECUTE part(243);
EXECUTE part(1000);
RESET plan_cache_mode;
SELECT * FROM plan('SELECT v FROM parts WHERE id = 42 FOR SHARE');
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT p, q, (c).same, (c).nrows, (c).hits > 0 AS hits
FROM unnest(ARRAY['on', 'off']) p, unnest(ARRAY[
	'SELECT b.id, b.w, p.v FROM parts_b b JOIN parts p ON p.id = b.id',
	'SELECT b.id, b.w, p.v FROM parts_b b LEFT JOIN parts_c p ON p.id = b.id',
	'SELECT b.id, b.w, p.v FROM parts_b b JOIN parts_c p ON p.id = b.id',
	'SELECT b.id, b.w, p.v FROM parts_b b JOIN parts_c p ON p.id = b.id AND p.v > b.w',
	'SELECT b.id, b.w, p.v, p.tableoid FROM parts_b b LEFT JOIN parts_c p ON p.id = b.id AND b.id < 150',
	'SELECT b.id FROM parts_b b WHERE EXISTS (SELECT FROM parts_c p WHERE p.id = b.id AND p.v <> b.w)',
	'SELECT b.id FROM parts_b b WHERE NOT EXISTS (SELECT FROM parts_c p WHERE p.id = b.id AND p.v < b.w)',
	'SELECT b.id, p FROM parts_b b JOIN parts_c p ON p.id = b.id WHERE b.id > 90',
	'SELECT b.id, x.v, x.i FROM parts_b b LEFT JOIN LATERAL (SELECT p.v, b.id AS i FROM parts_c p WHERE p.id = b.id) x ON true',
	'SELECT o.id, p.v, q.v FROM orders o JOIN parts p ON p.id = o.id LEFT JOIN parts_c q ON q.id = p.id'
]) q, LATERAL (SELECT set_config('enable_partitionwise_join', p, false)) s, LATERAL compare(q) c;
RESET enable_partitionwise_join;
RESET enable_hashjoin;
RESET enable_mergejoin;
-- an attached table gets a child
CREATE TABLE parent (id int PRIMARY KEY, v text);
INSERT INTO parent SELECT g, 'parent ' || g FROM generate_series(1, 100) g;
SELECT itemcache.attach('parent', preload => false);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO child VALUES (1, 'child 1'), (200, 'child 200');
ANALYZE parent, child;
SELECT tableoid::regclass, v FROM parent WHERE id = 1 ORDER BY 2;
SELECT * FROM compare('SELECT * FROM parent WHERE id IN (1, 2, 200)');
SELECT * FROM compare('SELECT * FROM ONLY parent WHERE id IN (1, 2, 200)');

--
-- Parallel plans, also forced ones
--
CREATE TABLE big (id int PRIMARY KEY, k bigint, pad text);
INSERT INTO big SELECT g, 1 + g % 1000, repeat('x', 100) FROM generate_series(1, 10000) g;
ANALYZE big;
SELECT itemcache.preload('items');
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT count(i.name), sum(i.price) FROM big b JOIN items i ON i.id = b.k;
SELECT same, nrows FROM compare('SELECT count(i.name), sum(i.price) FROM big b JOIN items i ON i.id = b.k');
SELECT same, nrows FROM compare('SELECT b.id, i.name FROM big b LEFT JOIN items i ON i.id = b.k + 500');
-- hits and misses are summed over the workers
CREATE FUNCTION nodes(plan jsonb) RETURNS SETOF jsonb LANGUAGE sql AS
$$
	SELECT jsonb_path_query(plan, 'strict $.**?(@."Node Type" == "Custom Scan")')
$$;
CREATE FUNCTION analyze_json(query text) RETURNS SETOF jsonb LANGUAGE plpgsql AS
$$
DECLARE
	result jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, FORMAT JSON) ' || query INTO result;
	RETURN QUERY SELECT * FROM nodes(result);
END
$$;
SELECT sum((n->>'Cache Hits')::int + (n->>'Cache Misses')::int) AS lookups,
	   sum((n->>'Cache Hits')::int) > 9000 AS hits
FROM analyze_json('SELECT count(i.name) FROM big b JOIN items i ON i.id = b.k') n
WHERE n ? 'Cache Hits';
-- the leader has written
BEGIN;
UPDATE items SET price = 0 WHERE id <= 500;
SELECT same, nrows FROM compare('SELECT count(i.name), sum(i.price) FROM big b JOIN items i ON i.id = b.k');
ROLLBACK;
SELECT same, nrows FROM compare('SELECT count(i.name), sum(i.price) FROM big b JOIN items i ON i.id = b.k');
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_memoize;
SET max_parallel_workers_per_gather = 0;

--
-- EXPLAIN
--
EXPLAIN (COSTS OFF) SELECT name FROM items WHERE id = 42;
EXPLAIN (COSTS OFF) SELECT name FROM items WHERE id = 42 AND tag = 2;
EXPLAIN (COSTS OFF, VERBOSE) SELECT name FROM items i WHERE id = 42;
EXPLAIN (COSTS OFF) SELECT n FROM pairs WHERE a = 1 AND b = 'b1';
EXPLAIN (COSTS OFF) SELECT name FROM items WHERE id = ANY ('{1,2}');
SELECT name FROM items WHERE id = 42;
SELECT n->>'Relation Name' AS relation, n->>'Custom Plan Provider' AS provider, n->>'Key' AS key,
	   n->>'Filter' AS filter, n->>'Cache Hits' AS hits, n->>'Cache Misses' AS misses,
	   (n->>'Actual Rows')::numeric::int AS rows, (n->>'Rows Removed by Filter')::numeric::int AS removed
FROM analyze_json('SELECT name FROM items WHERE id IN (42, 5000) AND tag > 0') n;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT n->>'Items of' AS items, n->>'Join Type' AS type, n->>'Key' AS key, n->>'Join Filter' AS filter,
	   n->>'Batch Size' AS batch, n->>'Cache Hits' AS hits, n->>'Cache Misses' AS misses,
	   (n->>'Actual Rows')::numeric::int AS rows
FROM analyze_json('SELECT o.b, i.name FROM orders o LEFT JOIN items i ON i.id = o.item AND i.tag > 5') n;
RESET enable_hashjoin;
RESET enable_mergejoin;
CREATE FUNCTION explain_lines(query text) RETURNS SETOF text LANGUAGE plpgsql AS
$$
DECLARE
	result text;
BEGIN
	EXECUTE 'EXPLAIN ' || query INTO result;
	RETURN QUERY SELECT trim(l) FROM string_to_table(result, E'\n') l WHERE l ~ 'Key|Cache|Provider|Relation';
END
$$;
SELECT * FROM explain_lines('(ANALYZE, COSTS OFF, FORMAT YAML) SELECT name FROM items WHERE id = 42');
SELECT * FROM explain_lines('(ANALYZE, COSTS OFF, FORMAT XML) SELECT name FROM items WHERE id = 42');
EXPLAIN (COSTS OFF) EXECUTE by_id(42);
-- explaining looks nothing up
SELECT * FROM helper.answered('items', 'EXPLAIN SELECT name FROM items WHERE id = 42');
SELECT * FROM helper.answered('items', 'SELECT name FROM items WHERE id = 42');

-- a plan that a worker runs as a whole
SELECT set_config(name, 'regress', false) AS forced FROM pg_settings
WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT same, nrows FROM compare('SELECT name FROM items WHERE id = 42');
SELECT same, nrows FROM compare('SELECT name FROM items WHERE id IN (3, 2, 1, 2, 5000)');
SELECT same, nrows FROM compare('SELECT n FROM pairs WHERE a = 1 AND b = ''b1''');
SELECT same, nrows FROM compare('SELECT o.id, i.name FROM orders o LEFT JOIN items i ON i.id = o.item');
BEGIN;
UPDATE items SET name = 'mine' WHERE id = 42;
SELECT same, nrows FROM compare('SELECT name FROM items WHERE id = 42');
SELECT name FROM items WHERE id = 42;
ROLLBACK;
SELECT name FROM items WHERE id = 42;
SELECT set_config(name, 'off', false) AS forced FROM pg_settings
WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- catalogs flushed at every chance
CREATE FUNCTION discard(setting text) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM set_config('debug_discard_caches', setting, false);
EXCEPTION WHEN OTHERS THEN
	NULL;	-- only builds with assertions have it
END
$$;
SELECT discard('1');
SELECT name FROM items WHERE id = 42;
SELECT name FROM items WHERE id IN (42, 43, 5000);
SELECT discard('0');

DROP OWNED BY regress_scan;
DROP SCHEMA scan CASCADE;
DROP ROLE regress_scan;
