-- Every way of calling get(): keys of all kinds, in all places, right and wrong.

CREATE SCHEMA getting;
SET search_path = getting;

CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric(10,2));
INSERT INTO items SELECT g, 'item ' || g, g * 1.5 FROM generate_series(1, 20) g;
CREATE TABLE small (id int2 PRIMARY KEY, v text);
INSERT INTO small VALUES (-32768, 'min'), (1, 'one'), (32767, 'max');
CREATE TABLE middle (id int PRIMARY KEY, v text);
INSERT INTO middle VALUES (-2147483648, 'min'), (1, 'one'), (2147483647, 'max');
CREATE TABLE named (name text PRIMARY KEY, v int);
INSERT INTO named VALUES ('one', 1), ('two', 2), ('', 0), ('42', 42);
CREATE TABLE tagged (id uuid PRIMARY KEY, v int);
INSERT INTO tagged VALUES ('11111111-1111-1111-1111-111111111111', 1), ('22222222-2222-2222-2222-222222222222', 2);
CREATE TABLE pairs (a int, b text, v text, PRIMARY KEY (a, b));
INSERT INTO pairs VALUES (1, 'x', 'one x'), (1, 'y', 'one y'), (2, 'x', 'two x');
CREATE TABLE loose (id int PRIMARY KEY, v text);
INSERT INTO loose VALUES (1, 'not attached');
SELECT count(itemcache.attach(t::regclass))
FROM unnest(ARRAY['items', 'small', 'middle', 'named', 'tagged', 'pairs']) t;

--
-- The ways to give a key; each twice, the second from the cache
--
SELECT itemcache.get(NULL::items, 1), itemcache.get(NULL::items, 1);
SELECT itemcache.get(NULL::items, 2::smallint), itemcache.get(NULL::items, 2::int), itemcache.get(NULL::items, 2::bigint);
SELECT itemcache.get(NULL::items, '3'), itemcache.get(NULL::items, '3'::text), itemcache.get(NULL::items, '3'::varchar);
SELECT itemcache.get(NULL::items, ' 3 ');
SELECT (itemcache.get(NULL::items, 4)).name;
SELECT (itemcache.get(NULL::items, 4)).*;
SELECT * FROM itemcache.get(NULL::items, 5);
SELECT itemcache.get(i, 6) FROM items i WHERE id = 1;	-- any row of the type will do
SELECT itemcache.get(key => 7, row_type => NULL::items);
SELECT itemcache.get(NULL::items, ROW(8)), itemcache.get(NULL::items, ROW(8::bigint));

PREPARE typed(bigint) AS SELECT itemcache.get(NULL::items, $1);
EXECUTE typed(9);
EXECUTE typed(9);
EXECUTE typed(NULL);
PREPARE untyped AS SELECT itemcache.get(NULL::items, $1);
EXECUTE untyped('10');
EXECUTE untyped('10');
EXECUTE untyped(10);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped';
PREPARE untyped_name AS SELECT (itemcache.get(NULL::items, $1)).name;
EXECUTE untyped_name(11);
SET plan_cache_mode = force_generic_plan;
EXECUTE untyped_name(11);
EXECUTE typed(12);
SET plan_cache_mode = force_custom_plan;
EXECUTE untyped_name(11);
EXECUTE typed(12);
RESET plan_cache_mode;
PREPARE typed_text(text) AS SELECT itemcache.get(NULL::named, $1);
EXECUTE typed_text('one');
PREPARE typed_uuid(uuid) AS SELECT itemcache.get(NULL::tagged, $1);
EXECUTE typed_uuid('22222222-2222-2222-2222-222222222222');
PREPARE untyped_uuid AS SELECT itemcache.get(NULL::tagged, $1);
EXECUTE untyped_uuid('22222222-2222-2222-2222-222222222222');
PREPARE pair(int, text) AS SELECT itemcache.get(NULL::pairs, ROW($1, $2));
EXECUTE pair(1, 'y');
PREPARE untyped_pair AS SELECT itemcache.get(NULL::pairs, $1);
EXECUTE untyped_pair('(1,y)');
DEALLOCATE ALL;

SELECT itemcache.get(NULL::named, 'one'), itemcache.get(NULL::named, ''), itemcache.get(NULL::named, 'three');
SELECT itemcache.get(NULL::named, 42), itemcache.get(NULL::named, 43);	-- a bigint for a text key
SELECT itemcache.get(NULL::tagged, '11111111-1111-1111-1111-111111111111'),
	   itemcache.get(NULL::tagged, '11111111-1111-1111-1111-111111111111'::uuid),
	   itemcache.get(NULL::tagged, '{11111111111111111111111111111111}');
SELECT itemcache.get(NULL::pairs, ROW(1, 'x')), itemcache.get(NULL::pairs, ROW(1::bigint, 'y'::varchar)),
	   itemcache.get(NULL::pairs, '(2,x)'), itemcache.get(NULL::pairs, ROW(2, 'y'));
SELECT itemcache.get(NULL::pairs, '( 1 ,"x")');

--
-- No such row
--
SELECT itemcache.get(NULL::items, 0) IS NULL AS a, itemcache.get(NULL::items, 99) IS NULL AS b,
	   itemcache.get(NULL::items, NULL) IS NULL AS c, itemcache.get(NULL::items, NULL::bigint) IS NULL AS d,
	   itemcache.get(NULL::items, NULL::text) IS NULL AS e, itemcache.get(NULL::tagged, NULL::uuid) IS NULL AS f,
	   itemcache.get(NULL::pairs, NULL::record) IS NULL AS g, itemcache.get(NULL::pairs, ROW(NULL, 'x')) IS NULL AS h,
	   itemcache.get(NULL::pairs, ROW(1, NULL)) IS NULL AS i;
-- out of the key's range there is nothing, as in WHERE id = 40000
SELECT itemcache.get(NULL::small, 40000), itemcache.get(NULL::small, -40000),
	   itemcache.get(NULL::small, 65537), itemcache.get(NULL::small, 9223372036854775807);
SELECT itemcache.get(NULL::middle, 2147483648), itemcache.get(NULL::middle, -2147483649),
	   itemcache.get(NULL::middle, 4294967297);
SELECT itemcache.get(NULL::small, -32768), itemcache.get(NULL::small, 32767),
	   itemcache.get(NULL::middle, -2147483648), itemcache.get(NULL::middle, 2147483647);
SELECT itemcache.get(NULL::pairs, ROW(4294967297, 'x'));

--
-- Wrong keys
--
\pset format unaligned
\x on
SELECT s.statement, e.* FROM unnest(ARRAY[
	'itemcache.get(NULL::items, ''abc'')',
	'itemcache.get(NULL::items, '''')',
	'itemcache.get(NULL::items, ''1.5'')',
	'itemcache.get(NULL::items, ''99999999999999999999'')',
	'itemcache.get(NULL::small, ''40000'')',
	'itemcache.get(NULL::items, 1.5)',
	'itemcache.get(NULL::items, true)',
	'itemcache.get(NULL::items, now())',
	'itemcache.get(NULL::items, ''11111111-1111-1111-1111-111111111111''::uuid)',
	'itemcache.get(NULL::tagged, 1)',
	'itemcache.get(NULL::tagged, ''not a uuid'')',
	'itemcache.get(NULL::pairs, 1)',
	'itemcache.get(NULL::pairs, ''x'')',
	'itemcache.get(NULL::pairs, ROW(1))',
	'itemcache.get(NULL::pairs, ROW(1, ''x'', ''y''))',
	'itemcache.get(NULL::pairs, ROW())',
	'itemcache.get(NULL::pairs, ''(1)'')',
	'itemcache.get(NULL::pairs, ''(1,x,y)'')',
	'itemcache.get(NULL::pairs, ''(a,x)'')',
	'itemcache.get(NULL::pairs, ''(1,x'')',
	'itemcache.get(NULL::pairs, ROW(true, ''x''))',
	'itemcache.get(NULL::items, ROW(1, 2))',
	'itemcache.get(NULL::items, ROW(now()))',
	'itemcache.get(NULL::items)',
	'itemcache.get(NULL, 1)',
	'itemcache.get(NULL::int, 1)',
	'itemcache.get(NULL::text, ''x'')',
	'itemcache.get(NULL::items[], 1)',
	'itemcache.get(NULL::record, 1)',
	'itemcache.get(ROW(1, 2), 1)'
]) s(statement), helper.try('SELECT ' || s.statement) e;

--
-- Row types that are no table's, or a table's without key
--
CREATE TYPE not_a_table AS (id int, v text);
CREATE VIEW a_view AS SELECT * FROM items;
CREATE TABLE keyless (id int, v text);
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM items;
CREATE DOMAIN items_domain AS items;
SELECT s.statement, e.* FROM unnest(ARRAY[
	'itemcache.get(NULL::not_a_table, 1)',
	'itemcache.get(NULL::a_view, 1)',
	'itemcache.get(NULL::a_matview, 1)',
	'itemcache.get(NULL::keyless, 1)',
	'itemcache.get(NULL::no_such_type, 1)',
	'itemcache.get(NULL::pg_class, 1259)',
	'itemcache.get(NULL::items_domain, 1)'
]) s(statement), helper.try('SELECT ' || s.statement) e;
\x off
\pset format aligned

-- not attached: answered from the table
SELECT itemcache.get(NULL::loose, 1), itemcache.get(NULL::loose, 2);
UPDATE loose SET v = 'changed';
SELECT itemcache.get(NULL::loose, 1);
-- by a catalog's key, as the catalog says
SELECT (itemcache.get(NULL::pg_namespace, 'pg_catalog'::regnamespace::oid::text)).nspname;
CREATE TEMPORARY TABLE temporary_items (id int PRIMARY KEY, v text);
INSERT INTO temporary_items VALUES (1, 'temporary');
SELECT itemcache.get(NULL::temporary_items, 1);
DROP TABLE temporary_items;

--
-- In all the places an expression can stand
--
SELECT count(*) FROM items WHERE (itemcache.get(NULL::items, id)).price = price;
SELECT i.id FROM items i WHERE itemcache.get(NULL::items, i.id + 18) IS NOT NULL ORDER BY 1;
SELECT k, (itemcache.get(NULL::items, k)).name FROM generate_series(19, 22) k ORDER BY k;
SELECT o.k, g.name FROM (VALUES (3), (1), (99), (3)) o(k) LEFT JOIN LATERAL itemcache.get(NULL::items, o.k) g ON true;
SELECT (SELECT (itemcache.get(NULL::items, i.id)).name) FROM items i WHERE id < 3 ORDER BY 1;
SELECT EXISTS (SELECT 1 FROM itemcache.get(NULL::items, 1) g WHERE g.id = 1);
SELECT CASE WHEN true THEN (itemcache.get(NULL::items, 1)).price ELSE 1 / 0 END;
SELECT coalesce((itemcache.get(NULL::items, 99)).name, 'none'), (itemcache.get(NULL::items, 1)).price + 1;
SELECT (itemcache.get(NULL::items, (itemcache.get(NULL::items, 1)).id + 1)).name;
SELECT ARRAY[itemcache.get(NULL::items, 1), itemcache.get(NULL::items, 2)];
SELECT row_to_json(itemcache.get(NULL::items, 1)), row_to_json(itemcache.get(NULL::items, 1))::jsonb -> 'name' AS name;
SELECT itemcache.get(NULL::items, 1) = i, itemcache.get(NULL::items, 1) *= i FROM items i WHERE id = 1;
SELECT max((itemcache.get(NULL::items, k)).price) FROM generate_series(1, 30) k;
SELECT (g).name FROM (SELECT itemcache.get(NULL::items, 3) AS g OFFSET 0) s;
WITH w AS MATERIALIZED (SELECT itemcache.get(NULL::items, k) AS g FROM generate_series(1, 3) k)
SELECT sum((g).price) FROM w;
INSERT INTO items SELECT (itemcache.get(NULL::items, 1)).id + 100, (itemcache.get(NULL::items, 1)).name, 0 RETURNING *;
UPDATE items SET price = (itemcache.get(NULL::items, 2)).price WHERE id = 101 RETURNING *;
DELETE FROM items WHERE name = (itemcache.get(NULL::items, 1)).name AND id <> 1 RETURNING *;
SELECT * FROM helper.check('items', 1, 20);
CREATE TABLE made AS SELECT itemcache.get(NULL::items, 1) AS i;
SELECT (i).name FROM made;
DROP TABLE made;

-- in functions of every kind
CREATE FUNCTION in_sql(bigint) RETURNS text LANGUAGE sql STABLE AS 'SELECT (itemcache.get(NULL::getting.items, $1)).name';
CREATE FUNCTION in_plpgsql(k bigint) RETURNS text LANGUAGE plpgsql STABLE AS
$$
DECLARE
	item getting.items;
BEGIN
	item := itemcache.get(NULL::getting.items, k);
	IF item IS NULL THEN
		RETURN 'nothing';
	END IF;
	RETURN item.name;
END
$$;
CREATE FUNCTION by_variable(k bigint) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	item getting.items;
BEGIN
	SELECT * INTO item FROM itemcache.get(item, k);
	RETURN item.name;
END
$$;
SELECT in_sql(1), in_plpgsql(2), in_plpgsql(99), by_variable(3);
SELECT in_sql(1), in_plpgsql(2), in_plpgsql(99), by_variable(3);
DO $$
BEGIN
	FOR k IN 1..1000 LOOP
		IF (itemcache.get(NULL::getting.items, k % 20 + 1)).id <> k % 20 + 1 THEN
			RAISE EXCEPTION 'wrong item for %', k;
		END IF;
	END LOOP;
END
$$;

-- Statements that were prepared find the table that has the name now: after two
-- tables have changed places, a move to another schema, DROP and CREATE.
CREATE TABLE other (LIKE items INCLUDING ALL);
INSERT INTO other SELECT id, 'other ' || id, price FROM items;
SELECT itemcache.attach('other');
PREPARE by_get AS SELECT (itemcache.get(NULL::items, 1)).name;
PREPARE by_get_many AS SELECT name FROM itemcache.get_many(NULL::items, ARRAY[1, 2]);
CREATE FUNCTION simple(k bigint) RETURNS text LANGUAGE plpgsql AS
$$
BEGIN
	RETURN (itemcache.get(NULL::getting.items, k)).name;
END
$$;
EXECUTE by_get;
EXECUTE by_get_many;
SELECT simple(1), in_sql(1), in_plpgsql(1);
BEGIN;
ALTER TABLE items RENAME TO another;
ALTER TABLE other RENAME TO items;
ALTER TABLE another RENAME TO other;
EXECUTE by_get;
COMMIT;
EXECUTE by_get;
EXECUTE by_get_many;
SELECT simple(1), in_sql(1), in_plpgsql(1);
CREATE SCHEMA away;
ALTER TABLE items SET SCHEMA away;
SELECT * FROM helper.try('EXECUTE by_get');
ALTER TABLE other RENAME TO items;
EXECUTE by_get;
EXECUTE by_get_many;
SELECT simple(1), in_sql(1), in_plpgsql(1);
ALTER TABLE items RENAME TO other;
CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric);
INSERT INTO items VALUES (1, 'of a new table', 1);
EXECUTE by_get;
EXECUTE by_get_many;
DROP TABLE items;
SELECT * FROM helper.try('EXECUTE by_get');
ALTER TABLE other RENAME TO items;
EXECUTE by_get;
SELECT simple(1), in_sql(1), in_plpgsql(1);
DROP TABLE away.items;
DROP SCHEMA away;
DEALLOCATE ALL;

-- as an argument of an index or a check it is what any STABLE function is
SELECT * FROM helper.try('CREATE INDEX ON items ((itemcache.get(NULL::items, id)))');

-- where the primary key does not hold, what a subquery gives: an error; get_many() has all rows
CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
INSERT INTO deferred VALUES (1, 'one'), (2, 'two');
BEGIN;
INSERT INTO deferred VALUES (1, 'again'), (1, 'and again');
SELECT itemcache.get(NULL::deferred, 2);
SELECT * FROM itemcache.get_many(NULL::deferred, ARRAY[2, 1, 3, 1]);
SELECT itemcache.get(NULL::deferred, 1);
ROLLBACK;
SELECT itemcache.get(NULL::deferred, 1);
-- ... also where it is read by a query
CREATE TABLE unfinished (id int NOT NULL, v text) PARTITION BY LIST (id);
CREATE TABLE unfinished_1 PARTITION OF unfinished FOR VALUES IN (1, 2);
INSERT INTO unfinished VALUES (1, 'one'), (1, 'again'), (2, 'two');
ALTER TABLE ONLY unfinished ADD PRIMARY KEY (id);
SELECT itemcache.get(NULL::unfinished, 2);
SELECT * FROM itemcache.get_many(NULL::unfinished, ARRAY[2, 1, 3, 1]);
SELECT itemcache.get(NULL::unfinished, 1);

-- the function's properties
SELECT p.oid::regprocedure, provolatile, proparallel, proisstrict, proretset
FROM pg_proc p WHERE pronamespace = 'itemcache'::regnamespace AND prokind = 'f'
ORDER BY p.oid::regprocedure::text COLLATE "C";

SET client_min_messages = warning;
DROP SCHEMA getting CASCADE;
