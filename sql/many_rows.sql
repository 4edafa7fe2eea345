-- Statements that write more rows than a transaction notes: what need not be told of them is not, and nothing is missed.

CREATE SCHEMA many_rows;
SET search_path = many_rows;

CREATE TABLE items (id int PRIMARY KEY, n int);
SELECT itemcache.attach('items');

-- does the cache answer as the table does, for these keys?  (The tests write to
-- the first rows of each thousand.)
CREATE FUNCTION differences(lo int, hi int) RETURNS TABLE (id int, cached items, tabled items) LANGUAGE sql
SET itemcache.transparent = off AS $$
	SELECT g, itemcache.get(NULL::items, g), i
	FROM generate_series(lo, hi) g LEFT JOIN items i ON i.id = g
	WHERE g % 1000 < 12 AND itemcache.get(NULL::items, g) IS DISTINCT FROM i
$$;

-- how often our trigger function has been called
SET track_functions = 'all';
CREATE FUNCTION calls() RETURNS bigint LANGUAGE sql AS $$
	SELECT coalesce(sum(pg_stat_get_xact_function_calls(oid)), 0)::bigint FROM pg_proc WHERE proname = 'track'
$$;

--
-- COPY: no events are fired once new rows are neither noted nor told of one by
-- one; that there was no row of a key is forgotten all the same.
--
SELECT count(itemcache.get(NULL::items, g)) AS absent FROM generate_series(1, 30000, 1000) g;
SELECT count(itemcache.get(NULL::items, g)) AS absent FROM generate_series(1, 30000, 1000) g;
BEGIN;
SELECT calls() AS before \gset
COPY items (id) FROM PROGRAM 'seq 1 30000';
SELECT calls() - :before BETWEEN 16384 AND 20000 AS calls;
COMMIT;
SELECT * FROM differences(1, 30000);

-- what comes after it in the transaction is told of
SELECT count(itemcache.get(NULL::items, g)) AS absent FROM generate_series(30001, 60000, 1000) g;
BEGIN;
COPY items (id) FROM PROGRAM 'seq 30001 60000';
UPDATE items SET n = 1 WHERE id % 1000 = 1;
DELETE FROM items WHERE id % 1000 = 2;
INSERT INTO items VALUES (2, 2), (30002, 2), (59002, 2);
UPDATE items SET n = 3 WHERE id IN (30002, 59002, 59003);
SAVEPOINT a;
COPY items (id) FROM PROGRAM 'seq 60001 90000';
UPDATE items SET n = 4 WHERE id IN (1, 59003, 89000);
ROLLBACK TO a;
COMMIT;
SELECT * FROM differences(1, 61000);

-- a COPY that fails leaves nothing behind
COPY items (id) FROM PROGRAM 'seq 60001 90000; echo x';
COPY items (id) FROM PROGRAM 'seq 60001 60010';
UPDATE items SET n = 5 WHERE id > 60000;
SELECT * FROM differences(60000, 60100);

-- a trigger of somebody else's, before ours, that writes: events are fired as ever
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE items SET n = n + 1 WHERE id = NEW.id - 60000;
	RETURN NULL;
END $$;
CREATE TRIGGER a_meddler AFTER INSERT ON items FOR EACH ROW WHEN (NEW.id % 1000 = 0) EXECUTE FUNCTION meddle();
COPY items (id) FROM PROGRAM 'seq 61001 91000';
SELECT * FROM differences(1, 91000);
DROP TRIGGER a_meddler ON items;

-- and one for the statement, which writes when all has been fired
CREATE FUNCTION sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE items SET n = 7 WHERE id % 1000 = 7;
	DELETE FROM items WHERE id % 1000 = 8;
	RETURN NULL;
END $$;
CREATE TRIGGER sweeper AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION sweep();
COPY items (id) FROM PROGRAM 'seq 100001 130000';
SELECT * FROM differences(1, 91000);
SELECT * FROM differences(100001, 130000);
DROP TRIGGER sweeper ON items;

-- partitions that rows are routed to
CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (30000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (30000) TO (90000);
SELECT itemcache.attach('parts');
SELECT count(itemcache.get(NULL::parts, g)) AS absent FROM generate_series(1, 60000, 1000) g;
SELECT count(itemcache.get(NULL::parts, g)) AS absent FROM generate_series(1, 60000, 1000) g;
BEGIN;
SELECT calls() AS before \gset
COPY parts (id) FROM PROGRAM 'seq 1 60000';
SELECT calls() - :before BETWEEN 16384 AND 20000 AS calls;
UPDATE parts SET n = 1 WHERE id % 1000 = 1;
UPDATE parts SET id = id + 59999 WHERE id IN (2, 3);
COMMIT;
SELECT count(*) FROM generate_series(1, 61000) g LEFT JOIN parts p ON p.id = g
WHERE g % 1000 < 12 AND itemcache.get(NULL::parts, g) IS DISTINCT FROM p;

--
-- INSERT: the same by the row condition, updates of ON CONFLICT among them
--
TRUNCATE items;
INSERT INTO items SELECT g, 0 FROM generate_series(1, 100) g;
SELECT count(itemcache.get(NULL::items, g)) FROM generate_series(1, 100) g;
SELECT count(itemcache.get(NULL::items, g)) AS absent FROM generate_series(1000, 40000, 1000) g;
INSERT INTO items SELECT g, 1 FROM generate_series(1, 40000) g ORDER BY g DESC
ON CONFLICT (id) DO UPDATE SET n = items.n + 10;
SELECT * FROM differences(1, 40000);

-- with transition tables, and a trigger besides ours that has to be asked
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '%', (SELECT count(*) FROM new_rows);
	RETURN NULL;
END $$;
CREATE TRIGGER counter AFTER INSERT ON items REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION count_rows();
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'row %', NEW.id;
	RETURN NULL;
END $$;
INSERT INTO items SELECT g, 1 FROM generate_series(40001, 60000) g;
CREATE TRIGGER other AFTER INSERT ON items FOR EACH ROW WHEN (NEW.id % 10000 = 0) EXECUTE FUNCTION note_row();
INSERT INTO items SELECT g, 1 FROM generate_series(60001, 80000) g;
DROP TRIGGER counter ON items;
DROP TRIGGER other ON items;
SELECT * FROM differences(1, 80000);

-- a table that new rows are not cached of
SELECT itemcache.attach('items', cache_new => false);
SELECT count(itemcache.get(NULL::items, g)) AS absent FROM generate_series(80001, 81000, 100) g;
BEGIN;
INSERT INTO items SELECT g, 1 FROM generate_series(80001, 81000) g;
UPDATE items SET n = 2 WHERE id IN (1, 80001, 80999);
COMMIT;
SELECT * FROM differences(1, 81000);

--
-- UPDATE and DELETE of more rows than are noted: the epoch moves
--
INSERT INTO items SELECT g, 0 FROM generate_series(81001, 150000) g;
SELECT itemcache.preload('items') > 0 AS preloaded;
SELECT helper.fired($$UPDATE items SET n = n + 1$$) AS by_queue;
SELECT * FROM differences(1, 150000);
SELECT itemcache.preload('items') > 0 AS preloaded;
BEGIN;
SAVEPOINT a;
UPDATE items SET n = -1;
ROLLBACK TO a;
UPDATE items SET n = n + 1 WHERE id % 1000 = 0;
DELETE FROM items WHERE id % 1000 = 1;
COMMIT;
SELECT * FROM differences(1, 150000);
SELECT itemcache.preload('items') > 0 AS preloaded;
SELECT helper.fired($$DELETE FROM items$$) AS by_queue;
SELECT * FROM differences(1, 150000);

-- by the trigger's queue
SELECT helper.by_queue();
SELECT helper.fired($$INSERT INTO items SELECT g, 0 FROM generate_series(1, 150000) g$$) AS by_queue;
SELECT * FROM differences(1, 150000);
SELECT itemcache.preload('items') > 0 AS preloaded;
BEGIN;
UPDATE items SET n = n + 1 WHERE id % 1000 = 0;
SELECT helper.by_queue();
SELECT helper.fired($$UPDATE items SET n = n + 1$$) AS by_queue;
UPDATE items SET n = n + 1 WHERE id % 1000 < 2;
COMMIT;
SELECT * FROM differences(1, 150000);
SELECT itemcache.preload('items') > 0 AS preloaded;
SELECT helper.by_queue();
SELECT helper.fired($$DELETE FROM items$$) AS by_queue;
SELECT * FROM differences(1, 150000);

SET client_min_messages = warning;
DROP SCHEMA many_rows CASCADE;
