-- Row changes told by the trigger's queue, by the row condition, and by both in one transaction.

CREATE SCHEMA changes;
SET search_path = changes;

CREATE TABLE items (id int PRIMARY KEY, v text, n int DEFAULT 0);
SELECT itemcache.attach('items');
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 10) g;

--
-- Which way was it?
--
SELECT helper.by_queue();
SELECT helper.fired($$UPDATE items SET n = 1 WHERE id <= 3$$) AS by_queue;
SELECT helper.fired($$UPDATE items SET n = 2 WHERE id <= 3$$) AS short_way;
SELECT helper.fired($$INSERT INTO items VALUES (11, 'v11'), (12, 'v12')$$) AS short_way;
SELECT helper.fired($$DELETE FROM items WHERE id = 12$$) AS short_way;
SELECT * FROM helper.check('items', 1, 12);
SELECT helper.by_queue();
SELECT helper.fired($$INSERT INTO items VALUES (12, 'v12')$$) AS by_queue;
SELECT helper.by_queue();
SELECT helper.fired($$DELETE FROM items WHERE id = 12$$) AS by_queue;
SELECT * FROM helper.check('items', 1, 12);
-- other functions that change, and what has plans made again, are no reason
CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT helper.fired($$UPDATE items SET n = 4 WHERE id <= 3$$) AS short_way;
SELECT itemcache.preload('items') > 0 AS preloaded;
SELECT helper.fired($$UPDATE items SET n = 5 WHERE id <= 3$$) AS short_way;
SET session_replication_role = replica;
SELECT helper.fired($$UPDATE items SET n = 3 WHERE id <= 3$$) AS short_way;
RESET session_replication_role;
SELECT * FROM helper.check('items', 1, 12);

-- triggers of another form, or not ENABLE ALWAYS, are not given the row condition
CREATE TABLE others (id int PRIMARY KEY, v text);
CREATE TRIGGER itemcache AFTER INSERT OR UPDATE OR DELETE ON others FOR EACH ROW EXECUTE FUNCTION itemcache.track();
ALTER TABLE others ENABLE ALWAYS TRIGGER itemcache;
CREATE TRIGGER itemcache_when AFTER UPDATE ON others FOR EACH ROW WHEN (NEW.v = 'x') EXECUTE FUNCTION itemcache.track();
INSERT INTO others VALUES (1, 'a'), (2, 'b');
SELECT helper.fired($$UPDATE others SET v = 'x'$$) AS the_second_trigger;
SELECT * FROM helper.check('others', 1, 2);
ALTER TABLE others ENABLE TRIGGER itemcache;
SELECT helper.fired($$UPDATE others SET v = 'y'$$) AS enabled_not_always;
DROP TABLE others;

--
-- Triggers of the user's that write the same rows: in the order of the changes
-- now, so that the last version is published
--
CREATE FUNCTION nested() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	IF pg_trigger_depth() > 1 THEN
		RETURN NULL;
	END IF;
	CASE NEW.v
		WHEN 'update' THEN UPDATE changes.items SET v = 'by the trigger', n = n + 1 WHERE id = NEW.id;
		WHEN 'delete' THEN DELETE FROM changes.items WHERE id = NEW.id;
		WHEN 'key' THEN UPDATE changes.items SET id = id + 100 WHERE id = NEW.id;
		WHEN 'again' THEN
			DELETE FROM changes.items WHERE id = NEW.id;
			INSERT INTO changes.items VALUES (NEW.id, 'inserted by the trigger');
		WHEN 'by queue' THEN
			PERFORM helper.by_queue();
			UPDATE changes.items SET v = 'by the trigger, by queue' WHERE id = NEW.id;
		WHEN 'mixed' THEN
			UPDATE changes.items SET v = 'by the trigger' WHERE id = NEW.id;
			PERFORM helper.by_queue();
			UPDATE changes.items SET v = 'by the trigger, by queue' WHERE id = NEW.id;
			UPDATE changes.items SET v = 'by the trigger, last' WHERE id = NEW.id;
		WHEN 'fail' THEN
			BEGIN
				UPDATE changes.items SET v = 'never' WHERE id = NEW.id;
				RAISE EXCEPTION 'rolled back';
			EXCEPTION WHEN raise_exception THEN
				NULL;
			END;
		ELSE NULL;
	END CASE;
	RETURN NULL;
END
$$;
CREATE TRIGGER a_before_ours AFTER INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION nested();
SELECT * FROM helper.check('items', 1, 11);
UPDATE items SET v = 'update' WHERE id = 1;
UPDATE items SET v = 'delete' WHERE id = 2;
UPDATE items SET v = 'key' WHERE id = 3;
UPDATE items SET v = 'again' WHERE id = 4;
UPDATE items SET v = 'by queue' WHERE id = 5;
UPDATE items SET v = 'mixed' WHERE id = 6;
UPDATE items SET v = 'fail' WHERE id = 7;
INSERT INTO items VALUES (12, 'update'), (13, 'delete'), (14, 'key'), (15, 'again'), (16, 'by queue'), (17, 'mixed'), (18, 'fail');
SELECT * FROM helper.check('items', 1, 120);
SELECT * FROM helper.check('items', 1, 120);
SELECT id, v FROM items ORDER BY id;
-- the outer one by the queue, inner ones by both
SELECT helper.by_queue();
UPDATE items SET v = 'mixed' WHERE id IN (1, 5, 6);
SELECT helper.by_queue();
UPDATE items SET v = 'again' WHERE id IN (4, 8);
SELECT * FROM helper.check('items', 1, 120);
SELECT * FROM helper.check('items', 1, 120);
DROP TRIGGER a_before_ours ON items;

--
-- Both ways in one transaction, and COPY, which has only the queue
--
BEGIN;
UPDATE items SET v = 'short' WHERE id <= 8;
COPY items (id, v) FROM stdin;
20	copied
21	copied
22	copied
\.
UPDATE items SET v = 'short, after COPY' WHERE id IN (5, 20);
SELECT helper.by_queue();
UPDATE items SET v = 'by queue' WHERE id IN (6, 20, 21);
UPDATE items SET v = 'short again' WHERE id IN (6, 7, 21);
SAVEPOINT s;
UPDATE items SET v = 'never' WHERE id IN (8, 22);
DELETE FROM items WHERE id = 10;
ROLLBACK TO s;
COMMIT;
SELECT * FROM helper.check('items', 1, 25);
SELECT * FROM helper.check('items', 1, 25);

-- a statement that fails in its last row
SELECT * FROM helper.try($$UPDATE changes.items SET n = 1 / (20 - id) WHERE id >= 5$$);
SELECT * FROM helper.check('items', 1, 25);

-- statements that change a row in more than one way
WITH w AS (UPDATE items SET n = 7 WHERE id < 5 RETURNING id),
	 d AS (DELETE FROM items WHERE id = 22 RETURNING id),
	 i AS (INSERT INTO items VALUES (23, 'by a CTE') RETURNING id)
UPDATE items SET v = 'outer' WHERE id = 8;
INSERT INTO items VALUES (8, 'upserted'), (24, 'inserted') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
INSERT INTO items VALUES (8, 'ignored'), (25, 'inserted') ON CONFLICT DO NOTHING;
MERGE INTO items USING generate_series(7, 30, 11) g ON id = g
	WHEN MATCHED AND g = 7 THEN DELETE
	WHEN MATCHED THEN UPDATE SET v = 'merged'
	WHEN NOT MATCHED THEN INSERT VALUES (g, 'merged');
SELECT * FROM helper.check('items', 1, 30);
SELECT * FROM helper.check('items', 1, 30);

--
-- What the executor has in hand is what the table has: computed by the server
-- or a trigger, kept out of line, expanded, with columns dropped and added
--
CREATE TABLE rich (junk text, id bigint PRIMARY KEY, w text, a int[], g text GENERATED ALWAYS AS (w || '!') STORED, n numeric);
ALTER TABLE rich ALTER w SET STORAGE EXTERNAL;
SELECT itemcache.attach('rich');
CREATE FUNCTION set_n() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.n := coalesce(NEW.n, 0) + 1;
	NEW.a := NEW.a || NEW.n::int;
	RETURN NEW;
END $$;
CREATE TRIGGER set_n BEFORE INSERT OR UPDATE ON rich FOR EACH ROW EXECUTE FUNCTION set_n();
INSERT INTO rich VALUES ('j', 1, 'one', '{1}'), ('j', 2, repeat('two', 5000), '{}');
UPDATE rich SET a = a || 5 WHERE id = 2;
SELECT * FROM helper.check('rich', 1, 2);
ALTER TABLE rich DROP junk, ADD late text DEFAULT 'late';
UPDATE rich SET n = n * 10 WHERE id = 1;
UPDATE rich SET w = w || w WHERE id = 2;
INSERT INTO rich (id, w) SELECT 3, string_agg(md5(g::text), '') FROM generate_series(1, 500) g;
DO $$
DECLARE
	numbers int[];
BEGIN
	FOR i IN 1..100 LOOP
		numbers[i] := i;
	END LOOP;
	INSERT INTO rich (id, a) VALUES (4, numbers);
	numbers[1] := 0;
	UPDATE rich SET a = numbers WHERE id = 1;
END $$;
SELECT * FROM helper.check('rich', 1, 4);
SELECT * FROM helper.check('rich', 1, 4);
SELECT id, length(w), length(g), a[1:3], n, late FROM rich ORDER BY id;

--
-- Partitions: rows that are routed come by the queue, unless the statement
-- updates the partition, too; another order of columns
--
CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 (junk int, v text, id int NOT NULL);
ALTER TABLE parts_2 DROP junk;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30);
SELECT itemcache.attach('parts');
SELECT helper.fired($$INSERT INTO parts SELECT g, 'v' || g FROM generate_series(1, 25) g WHERE g % 10 < 6$$) AS routed;
SELECT helper.fired($$UPDATE parts SET v = v || '!' WHERE id % 2 = 0$$) AS in_place;
SELECT helper.fired($$UPDATE parts SET id = id + 17 WHERE id = 1$$) AS to_one_not_opened;
SELECT helper.fired($$UPDATE parts SET id = id + 15 WHERE id = 2 OR id = 11$$) AS to_one_opened_and_one_not;
SELECT helper.fired($$UPDATE parts SET id = 32 - id WHERE id IN (3, 13, 23)$$) AS to_opened_ones;
SELECT id, v FROM parts ORDER BY id;
SELECT count(*) AS differing FROM generate_series(1, 30) k LEFT JOIN parts t ON t.id + 0 = k
	WHERE itemcache.get(NULL::parts, k) IS DISTINCT FROM t;
SELECT * FROM helper.check('parts_1', 1, 9);
SELECT * FROM helper.check('parts_2', 10, 19);
SELECT * FROM helper.check('parts_3', 20, 29);

SET client_min_messages = warning;
DROP SCHEMA changes CASCADE;
