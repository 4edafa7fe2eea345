-- get_many(): a row for each key, in the keys' order, whatever the batch.

CREATE SCHEMA many;
SET search_path = many;

CREATE TABLE items (id bigint PRIMARY KEY, name text);
INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, 2000) g WHERE g % 7 <> 0;
CREATE TABLE named (name text PRIMARY KEY, v int);
INSERT INTO named SELECT 'n' || g, g FROM generate_series(1, 10) g;
CREATE TABLE tagged (id uuid PRIMARY KEY, v int);
INSERT INTO tagged VALUES ('11111111-1111-1111-1111-111111111111', 1);
CREATE TABLE pairs (a int, b text, v text, PRIMARY KEY (a, b));
INSERT INTO pairs VALUES (1, 'x', 'one x'), (1, 'y', 'one y'), (2, 'x', 'two x');
SELECT count(itemcache.attach(t::regclass)) FROM unnest(ARRAY['items', 'named', 'tagged', 'pairs']) t;

-- order, duplicates, NULLs and absent keys; cold, then warm
SELECT * FROM itemcache.get_many(NULL::items, ARRAY[5, 1, 7, NULL, 1, 9, 5]::bigint[]);
SELECT * FROM itemcache.get_many(NULL::items, ARRAY[5, 1, 7, NULL, 1, 9, 5]::bigint[]);
SELECT * FROM itemcache.get_many(NULL::items, ARRAY[9, 1]);		-- integer[] will do
SELECT * FROM helper.try($$SELECT * FROM itemcache.get_many(NULL::items, '{9,1}')$$);			-- and a literal
SELECT * FROM itemcache.get_many(NULL::items, ARRAY['9', '1']);	-- and text
SELECT g.*, k FROM unnest(ARRAY[3, 2]) k, itemcache.get_many(NULL::items, ARRAY[k]) g;
SELECT ordinality, id FROM itemcache.get_many(NULL::items, ARRAY[3, 7, 2]) WITH ORDINALITY;
SELECT k, i.name FROM ROWS FROM (unnest(ARRAY[3, 7, 2]), itemcache.get_many(NULL::items, ARRAY[3, 7, 2])) AS i(k, id, name);

-- the other key types
SELECT * FROM itemcache.get_many(NULL::named, ARRAY['n3', 'nowhere', 'n1', NULL, 'n3']);
SELECT * FROM itemcache.get_many(NULL::tagged, ARRAY['22222222-2222-2222-2222-222222222222', '11111111-1111-1111-1111-111111111111']::uuid[]);
SELECT * FROM itemcache.get_many(NULL::tagged, ARRAY['22222222-2222-2222-2222-222222222222', '11111111-1111-1111-1111-111111111111']);
SELECT * FROM itemcache.get_many(NULL::pairs, ARRAY[ROW(1, 'y'), ROW(3, 'z'), NULL, ROW(1, 'x'), ROW(NULL, 'x')]);
SELECT * FROM itemcache.get_many(NULL::pairs, ARRAY['(1,y)', '(3,z)', '(2,x)']);
PREPARE untyped AS SELECT id FROM itemcache.get_many(NULL::items, $1::bigint[]);
EXECUTE untyped('{3,2,1}');
DEALLOCATE untyped;

-- empty, NULL, many dimensions, odd bounds
SELECT count(*) FROM itemcache.get_many(NULL::items, '{}'::bigint[]);
SELECT count(*) FROM itemcache.get_many(NULL::items, NULL::bigint[]);
SELECT id FROM itemcache.get_many(NULL::items, ARRAY[[1, 2], [3, 4]]);
SELECT id FROM itemcache.get_many(NULL::items, '[5:6]={4,3}'::bigint[]);
SELECT id, name IS NULL FROM itemcache.get_many(NULL::items, ARRAY[NULL, NULL]::bigint[]);

-- more than a batch (64), more than a thousand, all the same, and against the table
SELECT count(*), count(g.id), bool_and(g.id IS NOT DISTINCT FROM t.id AND g.name IS NOT DISTINCT FROM t.name)
FROM generate_series(1, 2100) WITH ORDINALITY k(k, n)
JOIN itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 2100))) WITH ORDINALITY g(id, name, n) USING (n)
LEFT JOIN items t ON t.id + 0 = k.k;
SELECT * FROM helper.answered('items', 'SELECT count(*) FROM itemcache.get_many(NULL::many.items, ARRAY(SELECT generate_series(1, 2100)))');
SELECT count(*), count(g.id), bool_and(g.id IS NOT DISTINCT FROM t.id AND g.name IS NOT DISTINCT FROM t.name)
FROM generate_series(1, 2100) WITH ORDINALITY k(k, n)
JOIN itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 2100))) WITH ORDINALITY g(id, name, n) USING (n)
LEFT JOIN items t ON t.id + 0 = k.k;
SELECT count(*), count(DISTINCT id), min(id) FROM itemcache.get_many(NULL::items, array_fill(3::bigint, ARRAY[1000]));
SELECT n, count(*), count(id), sum(id)
FROM unnest(ARRAY[1, 63, 64, 65, 127, 128, 129]) n,
	 LATERAL itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, n)))
GROUP BY n ORDER BY n;
-- in descending and in random order
SELECT bool_and(g.id = k) FROM ROWS FROM
	(generate_series(1000::bigint, 1, -1), itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1000, 1, -1)))) AS g(k, id, name)
WHERE k % 7 <> 0;

-- in the select list, and stopped early
SELECT itemcache.get_many(NULL::items, ARRAY[3, 7, 1]);
SELECT (itemcache.get_many(NULL::items, ARRAY[3, 7, 1])).name;
SELECT k, (itemcache.get_many(NULL::items, ARRAY[k, k + 1])).id FROM generate_series(1, 3) k;
SELECT id FROM itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 1000))) LIMIT 3;
SELECT (itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 1000)))).id LIMIT 3;
SELECT (itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 1000)))).id OFFSET 998;
SELECT itemcache.get_many(NULL::items, ARRAY[1]), itemcache.get_many(NULL::named, ARRAY['n1', 'n2']);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM itemcache.get_many(NULL::items, ARRAY[3, 2, 1]);
FETCH 2 FROM c;
FETCH PRIOR FROM c;
FETCH ALL FROM c;
COMMIT;
-- rescanned
SELECT k, count(g.id), sum(g.id) FROM generate_series(1, 3) k,
	LATERAL (SELECT * FROM itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 100 * k)))) g
GROUP BY k ORDER BY k;
-- two at once in one query, one inside the other's row
SELECT sum(a.id + b.id) FROM itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 100))) a
JOIN itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(100, 1, -1))) b ON a.id = b.id;

-- a table that changes in the middle: the statement's snapshot decides
CREATE FUNCTION change_next(k bigint) RETURNS bigint LANGUAGE plpgsql AS
$$
BEGIN
	UPDATE many.items SET name = 'changed' WHERE id = k + 1;
	RETURN k;
END
$$;
SELECT count(*) FILTER (WHERE name = 'changed') AS changed, count(id)
FROM (SELECT change_next(id), name, id FROM itemcache.get_many(NULL::items, ARRAY(SELECT generate_series(1, 200))) OFFSET 0) s;
SELECT * FROM helper.check('items', 1, 200);
SELECT * FROM helper.check('items', 1, 200);
CREATE FUNCTION drop_it(k bigint) RETURNS bigint LANGUAGE plpgsql AS
$$
BEGIN
	IF k = 3 THEN
		EXECUTE 'DROP TABLE many.named';
	END IF;
	RETURN k;
END
$$;
SELECT count(drop_it(v)) FROM itemcache.get_many(NULL::named, ARRAY(SELECT 'n' || g FROM generate_series(1, 200) g));
SELECT count(*) FROM named;
CREATE TABLE named (name text PRIMARY KEY, v int);
INSERT INTO named SELECT 'n' || g, g FROM generate_series(1, 200) g;
SELECT itemcache.attach('named');
-- and when the table goes in the middle of the rows
SELECT code, regexp_replace(message, '[0-9]+', 'N') AS message FROM helper.try(
	'SELECT drop_it((itemcache.get_many(NULL::many.named, ARRAY(SELECT ''n'' || g FROM generate_series(1, 200) g))).v)');
SELECT count(*) FROM named;

-- wrong keys
SELECT * FROM itemcache.get_many(NULL::items, ARRAY['1', 'x']);
SELECT * FROM helper.try($$SELECT * FROM itemcache.get_many(NULL::items, ARRAY[1.5])$$);
SELECT * FROM helper.try($$SELECT * FROM itemcache.get_many(NULL::items, 1)$$);
SELECT * FROM itemcache.get_many(NULL::pairs, ARRAY[ROW(1, 'x'), ROW(1, 'x', 'y')]);
SELECT * FROM itemcache.get_many(NULL::pairs, ARRAY[1]);
SELECT * FROM itemcache.get_many(NULL::int, ARRAY[1]);
SELECT * FROM itemcache.get_many(NULL, ARRAY[1]);
SELECT * FROM itemcache.get_many(NULL::items, ARRAY['11111111-1111-1111-1111-111111111111']::uuid[]);

SET client_min_messages = warning;
DROP SCHEMA many CASCADE;
