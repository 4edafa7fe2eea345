-- Rows of an UPDATE told by a check, in the place of the row condition: each is, once, with the version that was replaced.

CREATE SCHEMA updates;
SET search_path = updates;

CREATE TABLE items (id int PRIMARY KEY, v text, n int DEFAULT 0, twice int GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 20) g;
SELECT itemcache.attach('items');
SELECT present, differing FROM helper.check('items', 1, 20);

-- rows of one statement, and a row of several in a transaction, are published
UPDATE items SET n = 1 WHERE id <= 5;
SELECT * FROM helper.check('items', 1, 20);
BEGIN;
UPDATE items SET n = 2 WHERE id = 1;
UPDATE items SET n = n + 1 WHERE id IN (1, 2);
UPDATE items SET v = repeat('long', 1000) WHERE id = 1;
COMMIT;
SELECT differing, present, misses FROM helper.check('items', 1, 20);

-- keys change: in a circle, away, and back
BEGIN;
UPDATE items SET id = id + 100 WHERE id IN (1, 2, 3);
UPDATE items SET id = 1 WHERE id = 102;
UPDATE items SET v = 'was 2' WHERE id = 1;
UPDATE items SET id = 2 WHERE id = 101;
COMMIT;
SELECT differing, present FROM helper.check('items', 1, 110);
UPDATE items SET id = 3 WHERE id = 103;

-- a row that a join meets several times is updated once; one that is not, is not told
UPDATE items SET n = g FROM generate_series(10, 12) g WHERE id IN (4, 5);
SELECT differing, present FROM helper.check('items', 1, 20);
UPDATE items SET n = items.n + other.n + 1 FROM items other WHERE other.id % 5 = items.id % 5 AND items.id < 6;
SELECT differing, present FROM helper.check('items', 1, 20);
UPDATE items SET n = 3 WHERE false;

-- rolled back, in whole and in part
BEGIN;
UPDATE items SET n = 100 WHERE id = 6;
SAVEPOINT a;
UPDATE items SET n = 101 WHERE id IN (6, 7);
ROLLBACK TO a;
UPDATE items SET n = 102 WHERE id = 8;
SAVEPOINT b;
UPDATE items SET n = n + 1 WHERE id = 8;
RELEASE b;
COMMIT;
SELECT differing, present FROM helper.check('items', 1, 20);
BEGIN;
UPDATE items SET n = 103, id = id + 200 WHERE id IN (6, 7);
ROLLBACK;
SELECT differing, present FROM helper.check('items', 1, 220);
-- a statement that fails after some of its rows
DO $$
BEGIN
	UPDATE items SET n = 200 WHERE id = 9;
	BEGIN
		UPDATE items SET n = 1 / (12 - id) WHERE id IN (9, 10, 11, 12);
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
END $$;
SELECT differing, present FROM helper.check('items', 1, 20);

-- several targets in one statement; the same table as another's target
CREATE TABLE others (id int PRIMARY KEY, n int);
INSERT INTO others SELECT g, g FROM generate_series(1, 20) g;
SELECT itemcache.attach('others');
WITH u AS (UPDATE items SET n = 300 WHERE id = 10 RETURNING id),
	 i AS (INSERT INTO items VALUES (21, 'v21')),
	 d AS (DELETE FROM items WHERE id = 20)
UPDATE others SET n = 300 FROM u WHERE others.id = u.id;
WITH u AS (UPDATE items SET n = 301 WHERE id = 11 RETURNING id, n) SELECT * FROM u;
WITH u AS (UPDATE items SET n = 302 WHERE id = 12) DELETE FROM items WHERE id = 13;
SELECT differing, present FROM helper.check('items', 1, 21);
SELECT differing, present FROM helper.check('others', 1, 20);

-- a plan that is kept, a cursor, a function, EXPLAIN ANALYZE
PREPARE kept(int, int) AS UPDATE items SET n = $2 WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE kept(1, 400);
EXECUTE kept(2, 401);
EXECUTE kept(1, 402);
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM items WHERE id IN (3, 4) ORDER BY id FOR UPDATE;
FETCH 1 FROM c;
UPDATE items SET n = 403 WHERE CURRENT OF c;
FETCH 1 FROM c;
UPDATE items SET n = 404, id = 40 WHERE CURRENT OF c;
COMMIT;
CREATE FUNCTION change(k int, m int) RETURNS int LANGUAGE sql AS 'UPDATE updates.items SET n = m WHERE id = k RETURNING n';
SELECT change(5, 405), change(6, 406), change(5, 407);
-- which writes rows while another UPDATE does
UPDATE items SET v = change(16, 408)::text WHERE id IN (14, 15);
SELECT * FROM helper.try('UPDATE items SET n = change(14, 1) WHERE id IN (14, 15)');
DO $$ BEGIN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF) UPDATE updates.items SET n = 409 WHERE id = 17'; END $$;
EXPLAIN (COSTS OFF) UPDATE items SET n = 410 WHERE id = 17;
SELECT differing, present FROM helper.check('items', 1, 40);

-- views WITH CHECK OPTION, whose checks are made as well; of a plan that is kept
CREATE VIEW few AS SELECT * FROM items WHERE n < 1000 WITH CHECK OPTION;
PREPARE checked(int, int) AS UPDATE few SET n = $2 WHERE id = $1;
EXECUTE checked(7, 500);
EXECUTE checked(7, 5000);
EXECUTE checked(8, 501);
EXECUTE checked(8, 5001);
EXECUTE checked(8, 502);
BEGIN;
UPDATE few SET n = 503 WHERE id = 9;
SAVEPOINT a;
UPDATE few SET n = 5003 WHERE id = 9;
ROLLBACK TO a;
UPDATE few SET n = 504, id = 41 WHERE id = 10;
COMMIT;
SELECT differing, present FROM helper.check('items', 1, 41);

-- row security
CREATE ROLE updates_user;
GRANT USAGE ON SCHEMA updates TO updates_user;
GRANT SELECT, UPDATE ON items TO updates_user;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON items TO updates_user USING (n < 1000) WITH CHECK (n < 600);
SET ROLE updates_user;
UPDATE items SET n = 550 WHERE id = 11;
UPDATE items SET n = 601 WHERE id = 11;
UPDATE items SET n = 551, id = 42 WHERE id = 12;
RESET ROLE;
ALTER TABLE items DISABLE ROW LEVEL SECURITY;
SELECT differing, present FROM helper.check('items', 1, 42);

-- where others' triggers need it, the row condition is asked as ever
CREATE TABLE log (id int, old_n int, new_n int);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN INSERT INTO updates.log VALUES (NEW.id, OLD.n, NEW.n); RETURN NEW; END';
CREATE TRIGGER z AFTER UPDATE ON items FOR EACH ROW WHEN (NEW.n > 700) EXECUTE FUNCTION log();
EXECUTE kept(1, 600);
EXECUTE kept(1, 701);
UPDATE items SET n = n + 1, id = id + 50 WHERE id IN (1, 2);
DROP TRIGGER z ON items;
CREATE TRIGGER a AFTER UPDATE OF n ON items FOR EACH ROW EXECUTE FUNCTION log();
EXECUTE kept(3, 703);
DROP TRIGGER a ON items;
CREATE TRIGGER b BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION log();
EXECUTE kept(3, 704);
UPDATE items SET n = n + 1, id = id + 50 WHERE id = 3;
DROP TRIGGER b ON items;
EXECUTE kept(53, 705);
SELECT * FROM log;
SELECT differing, present FROM helper.check('items', 1, 100);
-- transition tables
CREATE FUNCTION log_all() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN INSERT INTO updates.log SELECT o.id, o.n, w.n FROM o FULL JOIN w USING (id); RETURN NULL; END';
CREATE TRIGGER s AFTER UPDATE ON items REFERENCING OLD TABLE AS o NEW TABLE AS w FOR EACH STATEMENT EXECUTE FUNCTION log_all();
TRUNCATE log;
UPDATE items SET n = 706 WHERE id IN (4, 5);
SELECT * FROM log ORDER BY id;
DROP TRIGGER s ON items;
SELECT differing, present FROM helper.check('items', 1, 100);

-- foreign keys, from and to
CREATE TABLE child (id int PRIMARY KEY, item int REFERENCES items ON UPDATE CASCADE);
INSERT INTO child SELECT g, g FROM generate_series(14, 19) g;
SELECT itemcache.attach('child');
SELECT present, differing FROM helper.check('child', 1, 20);
UPDATE items SET id = id + 100 WHERE id IN (14, 15);
UPDATE child SET item = 1000 WHERE id = 16;
UPDATE child SET item = 17 WHERE id = 16;
SELECT differing, present FROM helper.check('items', 1, 120);
SELECT differing, present FROM helper.check('child', 1, 20);
DROP TABLE child;

-- INSERT ... ON CONFLICT, MERGE and put() tell by the row condition
INSERT INTO items VALUES (16, 'x'), (30, 'x') ON CONFLICT (id) DO UPDATE SET n = 800, v = EXCLUDED.v;
MERGE INTO items USING (VALUES (16, 801), (17, 802), (31, 803)) AS s (k, m) ON id = k
	WHEN MATCHED AND k = 17 THEN UPDATE SET n = m, id = k + 200
	WHEN MATCHED THEN UPDATE SET n = m
	WHEN NOT MATCHED THEN INSERT VALUES (k, 'merged', m);
SELECT differing, present FROM helper.check('items', 1, 220);
-- of each change it was known what it was
SELECT relid, overflows FROM itemcache.tables WHERE relid IN ('items'::regclass, 'others'::regclass) ORDER BY 1;

-- children by inheritance, attached and not
CREATE TABLE young () INHERITS (items);
ALTER TABLE young ADD PRIMARY KEY (id);
CREATE TABLE wild () INHERITS (items);
INSERT INTO young SELECT g, 'young' FROM generate_series(18, 25) g;
INSERT INTO wild SELECT g, 'wild' FROM generate_series(18, 25) g;
SELECT itemcache.attach('young');
SELECT present, differing FROM helper.check('young', 15, 30);
UPDATE items SET n = 900, v = 'all' WHERE id BETWEEN 17 AND 20;
SELECT differing FROM helper.check('young', 15, 30);
SELECT differing, present FROM (SELECT string_agg(k::text, ' ') FILTER (WHERE itemcache.get(NULL::items, k) IS DISTINCT FROM i) AS differing,
	count(i) AS present FROM generate_series(1, 60) k LEFT JOIN ONLY items i ON i.id = k) x;
DROP TABLE young, wild;

--
-- Partitions: of columns in another order, and rows that move.  Those that stay,
-- or come, are published; and what else is cached of a partition stays.
--
CREATE TABLE parts (id int, region int, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 (v text, junk int, region int NOT NULL, id int NOT NULL);
ALTER TABLE parts_2 DROP junk;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES IN (2);
INSERT INTO parts SELECT g, 1 + g % 2, 'v' || g FROM generate_series(1, 40) g;
SELECT itemcache.attach('parts');
-- "hits" is of the rows that there are, and not many
CREATE FUNCTION check_parts(OUT differing text, OUT present int, OUT hits int) LANGUAGE plpgsql AS $$
DECLARE before int := (SELECT sum(t.hits) FROM itemcache.tables t WHERE relid::text LIKE 'parts!_%' ESCAPE '!');
BEGIN
	PERFORM itemcache.get(NULL::parts, ROW(id, region)) FROM parts WHERE id < 1000;
	hits := (SELECT sum(t.hits) FROM itemcache.tables t WHERE relid::text LIKE 'parts!_%' ESCAPE '!') - before;
	SELECT string_agg(format('%s,%s: cached %s, table %s', k, r, c, t), '; ' ORDER BY k, r) FILTER (WHERE c IS DISTINCT FROM t), count(t)
	INTO differing, present
	FROM (SELECT k, r, itemcache.get(NULL::parts, ROW(k, r))::text AS c, p::text AS t
		  FROM generate_series(1, 240) k CROSS JOIN generate_series(1, 2) r
		  LEFT JOIN parts p ON p.id + 0 = k AND p.region + 0 = r OFFSET 0) x;
END $$;
SELECT differing, present FROM check_parts();
SELECT * FROM check_parts();
UPDATE parts SET v = 'all' WHERE id <= 10;
SELECT * FROM check_parts();
-- each moves, into a target that has updated a row before, or has not
UPDATE parts SET region = 3 - region, v = 'moved' WHERE id = 1;
SELECT * FROM check_parts();
UPDATE parts SET region = CASE WHEN id % 3 = 0 THEN 3 - region ELSE region END, v = 'some moved' WHERE id <= 20;
SELECT * FROM check_parts();
UPDATE parts SET region = 2, id = id + 100 WHERE id BETWEEN 21 AND 30;
SELECT * FROM check_parts();
BEGIN;
UPDATE parts SET v = 'a' WHERE id IN (31, 32);
UPDATE parts SET region = 3 - region WHERE id IN (31, 32);
UPDATE parts SET v = 'b' WHERE id IN (31, 32);
UPDATE parts SET region = 3 - region WHERE id IN (32);
COMMIT;
SELECT differing, present FROM check_parts();
UPDATE parts_1 SET v = 'the leaf' WHERE id > 30;
UPDATE parts_2 SET v = 'the leaf', id = id + 100 WHERE id < 10;
SELECT differing, present FROM check_parts();
-- the partition has a trigger of its own, for both of ours to be told of
SELECT itemcache.attach('parts_1');
SELECT differing, present FROM check_parts();
UPDATE parts SET v = 'two triggers' WHERE region = 1;
SELECT * FROM check_parts();
-- very many rows come that are not cached: what is, stays
SELECT itemcache.detach('parts');
INSERT INTO parts SELECT g, 1, 'many' FROM generate_series(1001, 2000) g;
SELECT itemcache.attach('parts', cache_new => false);
SELECT differing, present FROM check_parts();
SELECT * FROM check_parts();
UPDATE parts SET region = CASE WHEN id > 1000 THEN 2 ELSE region END, v = 'moved' WHERE id > 1000 OR id = 8 OR region = 2;
SELECT * FROM check_parts();
SELECT relid, overflows FROM itemcache.tables WHERE relid IN ('parts_1'::regclass, 'parts_2'::regclass) ORDER BY 1;

-- more rows than are noted
CREATE TABLE many (id int PRIMARY KEY, n int);
INSERT INTO many SELECT g, 0 FROM generate_series(1, 140000) g;
SELECT itemcache.attach('many');
SELECT differing, present FROM helper.check('many', 1, 20);
UPDATE many SET n = 1;
SELECT differing, present FROM helper.check('many', 1, 20);
BEGIN;
UPDATE many SET n = 2;
UPDATE many SET n = 3, id = -id WHERE id = 1;
SAVEPOINT a;
UPDATE many SET n = 4 WHERE id < 10;
ROLLBACK TO a;
UPDATE many SET n = 5 WHERE id = 5;
COMMIT;
SELECT differing, present FROM helper.check('many', -1, 20);
SELECT overflows FROM itemcache.tables WHERE relid = 'many'::regclass;

DROP OWNED BY updates_user;
DROP ROLE updates_user;
SET client_min_messages = warning;
DROP SCHEMA updates CASCADE;
