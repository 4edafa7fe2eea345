-- The lookup join reads no outer row ahead that might not be asked for: where
-- a nested loop does not come to the row that raises an error, it does not.

CREATE SCHEMA ahead;
SET search_path = ahead;

CREATE TABLE items (id int PRIMARY KEY, v text, tag int);
INSERT INTO items SELECT g, 'v' || g, g % 7 FROM generate_series(1, 2000) g;
CREATE TABLE orders (id int PRIMARY KEY, item int);
INSERT INTO orders SELECT g, 3 * g FROM generate_series(1, 300) g;
-- row 18 cannot be read
CREATE VIEW failing AS SELECT id, item, 100 / (id - 18) AS x FROM orders OFFSET 0;
CREATE VIEW ordered AS SELECT id, item, 100 / (id - 18) AS x FROM orders ORDER BY id OFFSET 0;
ANALYZE;
SELECT itemcache.attach('items');
SELECT itemcache.preload('items');

SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET enable_material = off;
SET enable_hashagg = off;
SET max_parallel_workers_per_gather = 0;

CREATE FUNCTION is_join(query text, OUT is_join boolean) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	SET LOCAL itemcache.transparent = on;
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	is_join := plan::text ~ 'ItemCache Join';
END $$;
CREATE FUNCTION result(query text, cached boolean, OUT result text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('itemcache.transparent', cached::text, true);
	EXECUTE format('SELECT string_agg(q::text, '' '') FROM (%s) q', query) INTO result;
EXCEPTION WHEN OTHERS THEN
	result := SQLERRM;
END $$;
-- what a cursor gives in so many fetches of so many rows
CREATE FUNCTION fetched(query text, fetches int, nrows int, cached boolean, OUT result text) LANGUAGE plpgsql AS $$
DECLARE
	line record;
BEGIN
	PERFORM set_config('itemcache.transparent', cached::text, true);
	EXECUTE 'DECLARE c CURSOR FOR ' || query;
	FOR i IN 1..fetches LOOP
		FOR line IN EXECUTE format('FETCH %s FROM c', nrows) LOOP
			result := concat_ws(' ', result, line::text);
		END LOOP;
	END LOOP;
	EXECUTE 'CLOSE c';
EXCEPTION WHEN OTHERS THEN
	result := concat_ws(' ', result, SQLERRM);
END $$;

CREATE TABLE queries AS SELECT n, q FROM unnest(ARRAY[
	-- bounded
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 17',
	'SELECT o.x, i.tag FROM failing o LEFT JOIN items i ON i.id = o.item LIMIT 17',
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item OFFSET 10 LIMIT 7',
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT (SELECT 17)',
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 18',
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item AND i.tag < 5 LIMIT 12',
	'SELECT o.x, i.tag FROM failing o LEFT JOIN items i ON i.id = o.item WHERE i.tag IS DISTINCT FROM 6 LIMIT 14',
	'SELECT o.x FROM failing o WHERE EXISTS (SELECT FROM items i WHERE i.id = o.item AND i.tag < 5) LIMIT 12',
	'SELECT o.x FROM failing o WHERE NOT EXISTS (SELECT FROM items i WHERE i.id = o.item AND i.tag < 5) LIMIT 5',
	'SELECT * FROM (SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 17) s WHERE tag < 5',
	'SELECT * FROM (SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 100) s WHERE tag < 5 LIMIT 12',
	'SELECT o.x, i.tag, random() < 2 FROM failing o JOIN items i ON i.id = o.item LIMIT 17',
	'SELECT max(tag) FROM (SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 17) s',
	'(SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 4) UNION ALL (SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item) LIMIT 21',
	'SELECT g, s.* FROM generate_series(1, 3) g, LATERAL (SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 14 + g) s',
	'SELECT o.x, i.tag, j.tag FROM failing o JOIN items i ON i.id = o.item JOIN items j ON j.id = i.tag + 1 LIMIT 17',
	'SELECT s.x, j.tag FROM (SELECT o.x, i.tag + 1 AS next FROM failing o JOIN items i ON i.id = o.item OFFSET 0) s JOIN items j ON j.id = s.next LIMIT 17',
	'SELECT s.x, j.v FROM (SELECT o.x, i.tag + 1 AS next FROM failing o JOIN items i ON i.id = o.item LIMIT 17) s JOIN items j ON j.id = s.next',
	'SELECT o.x, i.tag, p.id FROM failing o JOIN items i ON i.id = o.item JOIN orders p ON p.id = o.id LIMIT 17',
	'SELECT o.x, i.tag, p.id FROM failing o JOIN items i ON i.id = o.item CROSS JOIN LATERAL (SELECT id FROM orders WHERE id IN (o.id, o.id + 100) OFFSET 0) p LIMIT 34',
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item, generate_series(1, 2) LIMIT 34',
	'SELECT g, EXISTS (SELECT FROM failing o JOIN items i ON i.id = o.item WHERE o.x + g * i.tag > 0) FROM generate_series(2, 4) g',
	'SELECT EXISTS (SELECT FROM failing o JOIN items i ON i.id = o.item WHERE o.x + i.tag > -15 AND i.tag > 5)',
	'SELECT g, g IN (SELECT i.tag + 0 * o.x * g FROM failing o JOIN items i ON i.id = o.item OFFSET 0) FROM generate_series(0, 6) g',
	'SELECT (SELECT o.x FROM failing o JOIN items i ON i.id = o.item WHERE i.tag = 5 LIMIT 1)',
	'SELECT DISTINCT ON (o.id) o.x, i.tag FROM ordered o JOIN items i ON i.id = o.item LIMIT 17',
	'SELECT o.id, max(o.x + i.tag) FROM ordered o JOIN items i ON i.id = o.item GROUP BY o.id LIMIT 16',
	'SELECT o.x, i.tag FROM ordered o JOIN items i ON i.id = o.item ORDER BY o.id, i.tag LIMIT 2',
	'SELECT o.x, i.tag FROM ordered o JOIN items i ON i.id = o.item ORDER BY o.id FETCH FIRST 16 ROWS WITH TIES',
	'SELECT o.x, i.tag, row_number() OVER () FROM failing o JOIN items i ON i.id = o.item LIMIT 16',
	'SELECT o.x, i.tag, unnest(ARRAY[1, 2]) FROM failing o JOIN items i ON i.id = o.item LIMIT 34',
	'WITH c AS MATERIALIZED (SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT 17) SELECT * FROM c',
	-- all of it
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item',
	'SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item ORDER BY i.tag LIMIT 3',
	'SELECT count(o.x), max(i.tag) FROM failing o JOIN items i ON i.id = o.item LIMIT 3'
	]) WITH ORDINALITY u(q, n);

SELECT q, is_join(q) FROM queries WHERE NOT is_join(q) ORDER BY n;
SELECT n, q, cached, stored FROM queries, result(q, true) cached, result(q, false) stored
WHERE cached IS DISTINCT FROM stored ORDER BY n;
-- what has failed, failed both times
SELECT n, q FROM queries, result(q, true) cached WHERE cached = 'division by zero' ORDER BY n;

-- fetches have a bound, too
SELECT n, q, fetches, nrows, cached, stored
FROM (VALUES (1, 17), (17, 1), (2, 8), (1, 18), (19, 1)) f(fetches, nrows), queries,
	LATERAL (SELECT fetched(q, fetches, nrows, true) AS cached, fetched(q, fetches, nrows, false) AS stored) r
WHERE cached IS DISTINCT FROM stored ORDER BY n, fetches, nrows;

-- functions that stop
CREATE FUNCTION first_in_sql() RETURNS int LANGUAGE sql AS 'SELECT o.x FROM failing o JOIN items i ON i.id = o.item WHERE o.id > 15';
CREATE FUNCTION first_in_plpgsql(OUT r int) LANGUAGE plpgsql AS 'BEGIN SELECT o.x INTO r FROM failing o JOIN items i ON i.id = o.item WHERE o.id > 15; END';
CREATE FUNCTION rows_in_sql() RETURNS SETOF int LANGUAGE sql AS 'SELECT o.x FROM failing o JOIN items i ON i.id = o.item WHERE o.id > 15';
SET itemcache.transparent = on;
SELECT first_in_sql(), first_in_plpgsql();
SELECT rows_in_sql() LIMIT 2;
CREATE TABLE copies (id int, x int);
CREATE FUNCTION copy_in_plpgsql(OUT r int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO copies SELECT o.id, o.x FROM failing o JOIN items i ON i.id = o.item WHERE o.id > 15 RETURNING x INTO r;
END $$;
SELECT copy_in_plpgsql();
SET itemcache.transparent = off;
SELECT copy_in_plpgsql();
SET itemcache.transparent = on;
SET plan_cache_mode = force_generic_plan;
PREPARE bounded (int) AS SELECT o.x, i.tag FROM failing o JOIN items i ON i.id = o.item LIMIT $1;
EXECUTE bounded (2);
EXECUTE bounded (17);
EXECUTE bounded (18);
EXECUTE bounded (NULL);

SET client_min_messages = warning;
DROP SCHEMA ahead CASCADE;
