-- Partitioned tables: looked up by the root's key, cached by leaf (A4, A5).

CREATE SCHEMA parts;
SET search_path = parts;

--
-- Every strategy, with and without a default, on one or several levels
--
CREATE TABLE by_list (id int PRIMARY KEY, v text) PARTITION BY LIST (id);
CREATE TABLE by_list_1 PARTITION OF by_list FOR VALUES IN (1, 2, 3);
CREATE TABLE by_list_2 PARTITION OF by_list FOR VALUES IN (4, 5, 6);
CREATE TABLE by_list_d PARTITION OF by_list DEFAULT;
CREATE TABLE by_range (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE by_range_0 PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO (0);
CREATE TABLE by_range_1 PARTITION OF by_range FOR VALUES FROM (0) TO (4);
CREATE TABLE by_range_2 PARTITION OF by_range FOR VALUES FROM (6) TO (8);
CREATE TABLE by_range_3 PARTITION OF by_range FOR VALUES FROM (9) TO (MAXVALUE);
CREATE TABLE by_range_d PARTITION OF by_range DEFAULT;
CREATE TABLE by_hash (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE by_hash_2 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE by_levels (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE by_levels_1 PARTITION OF by_levels FOR VALUES FROM (0) TO (10) PARTITION BY LIST (id);
CREATE TABLE by_levels_1_odd PARTITION OF by_levels_1 FOR VALUES IN (1, 3, 5, 7, 9);
CREATE TABLE by_levels_1_even PARTITION OF by_levels_1 DEFAULT PARTITION BY HASH (id);
CREATE TABLE by_levels_1_even_0 PARTITION OF by_levels_1_even FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_levels_1_even_1 PARTITION OF by_levels_1_even FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE by_levels_2 PARTITION OF by_levels FOR VALUES FROM (10) TO (20);
CREATE TABLE one_leaf (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE one_leaf_1 PARTITION OF one_leaf FOR VALUES FROM (1) TO (100);
CREATE TABLE no_leaf (id int PRIMARY KEY, v text) PARTITION BY LIST (id);

DO $$
DECLARE
	t regclass;
BEGIN
	FOREACH t IN ARRAY ARRAY['by_list', 'by_range', 'by_hash', 'by_levels', 'one_leaf']::regclass[] LOOP
		EXECUTE format('INSERT INTO %s SELECT g, ''v'' || g FROM generate_series(1, 12) g', t);
		PERFORM itemcache.attach(t);
	END LOOP;
	PERFORM itemcache.attach('no_leaf');
END
$$;
INSERT INTO by_range VALUES (-5, 'minus five'), (1000, 'a thousand');
SELECT relid, leaf_of, state, served FROM itemcache.tables ORDER BY relid::text COLLATE "C";
SELECT t, c.* FROM unnest(ARRAY['by_list', 'by_range', 'by_hash', 'by_levels', 'one_leaf', 'no_leaf']) t, helper.check(t::regclass, -6, 1001) c;
SELECT t, c.* FROM unnest(ARRAY['by_list', 'by_range', 'by_hash', 'by_levels', 'one_leaf', 'no_leaf']) t, helper.check(t::regclass, -6, 1001) c;
DO $$
DECLARE
	t regclass;
BEGIN
	FOREACH t IN ARRAY ARRAY['by_list', 'by_range', 'by_hash', 'by_levels', 'one_leaf']::regclass[] LOOP
		EXECUTE format('UPDATE %s SET v = v || ''!'' WHERE id < 5', t);
		EXECUTE format('DELETE FROM %s WHERE id = 6', t);
		EXECUTE format('UPDATE %s SET id = 17 WHERE id = 7', t);
		EXECUTE format('UPDATE %s SET id = 18 WHERE id = 8', t);
		EXECUTE format('INSERT INTO %s VALUES (19, ''new'')', t);
	END LOOP;
END
$$;
SELECT t, c.* FROM unnest(ARRAY['by_list', 'by_range', 'by_hash', 'by_levels', 'one_leaf']) t, helper.check(t::regclass, -6, 30) c;
SELECT t, c.* FROM unnest(ARRAY['by_list', 'by_range', 'by_hash', 'by_levels', 'one_leaf']) t, helper.check(t::regclass, -6, 30) c;
SELECT * FROM itemcache.get_many(NULL::by_levels, ARRAY[1, 12, 2, NULL, 99, 3, 19, 4]);
SELECT bool_and(g.v = t.v) FROM generate_series(1, 19) k JOIN by_levels t ON t.id + 0 = k,
	LATERAL itemcache.get_many(NULL::by_levels, ARRAY[k]) g;
-- one item, whether it is read by the root, by a parent in the middle or by the leaf
SELECT itemcache.get(NULL::by_levels, 3), itemcache.get(NULL::by_levels_1, 3), itemcache.get(NULL::by_levels_1_odd, 3), itemcache.get(NULL::by_levels_2, 3);
SELECT * FROM helper.answered('by_levels_1_odd', 'SELECT itemcache.get(NULL::parts.by_levels, 3), itemcache.get(NULL::parts.by_levels_1, 3), itemcache.get(NULL::parts.by_levels_1_odd, 3)');
-- leaves come and go with the root
SELECT itemcache.detach('by_list');
SELECT relid FROM itemcache.tables WHERE relid::text LIKE '%list%';
SELECT differing, present FROM helper.check('by_list', 1, 20);
SELECT itemcache.attach('by_list', false, false);
SELECT relid, leaf_of, preload, cache_new FROM itemcache.tables WHERE relid::text LIKE '%list%' ORDER BY relid::text COLLATE "C";
SELECT differing, present FROM helper.check('by_list', 1, 20);

--
-- Partition keys of several columns, of other types, on other columns of the key
--
CREATE TABLE regions (region text, id bigint, day date, v text, PRIMARY KEY (id, region, day)) PARTITION BY LIST (region);
CREATE TABLE regions_eu PARTITION OF regions FOR VALUES IN ('de', 'fr') PARTITION BY RANGE (day, id);
CREATE TABLE regions_eu_1 PARTITION OF regions_eu FOR VALUES FROM ('2024-01-01', 1) TO ('2024-01-31', 100);
CREATE TABLE regions_eu_2 PARTITION OF regions_eu FOR VALUES FROM ('2024-01-31', 100) TO (MAXVALUE, MAXVALUE);
CREATE TABLE regions_us PARTITION OF regions FOR VALUES IN ('us') PARTITION BY HASH (id, day);
CREATE TABLE regions_us_0 PARTITION OF regions_us FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE regions_us_1 PARTITION OF regions_us FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT itemcache.attach('regions');
INSERT INTO regions SELECT r, g, d, r || g FROM unnest(ARRAY['de', 'fr', 'us']) r, unnest(ARRAY[1, 2, 99, 100, 101]) g, unnest(ARRAY['2024-01-02', '2024-01-31', '2024-02-01']::date[]) d;
SELECT count(*), count(g), bool_and(g = r) FROM (SELECT r, itemcache.get(NULL::regions, ROW(id, region, day)) AS g FROM regions r OFFSET 0) s;
SELECT count(*), count(g), bool_and(g = r) FROM (SELECT r, itemcache.get(NULL::regions, ROW(id, region, day)) AS g FROM regions r OFFSET 0) s;
SELECT hits > 0 AS hits FROM itemcache.tables WHERE relid = 'regions'::regclass;
-- no partition takes these keys
SELECT itemcache.get(NULL::regions, ROW(1, 'it', '2024-01-02'::date)), itemcache.get(NULL::regions, ROW(1, 'de', '2023-01-01'::date)),
	   itemcache.get(NULL::regions, '(1,de,2023-01-01)');
CREATE TABLE by_text (k text PRIMARY KEY, v int) PARTITION BY RANGE (k);
CREATE TABLE by_text_1 PARTITION OF by_text FOR VALUES FROM ('a') TO ('m');
CREATE TABLE by_text_2 PARTITION OF by_text FOR VALUES FROM ('m') TO (MAXVALUE);
SELECT itemcache.attach('by_text');
INSERT INTO by_text VALUES ('apple', 1), ('melon', 2), ('zucchini', 3);
SELECT itemcache.get(NULL::by_text, k) FROM unnest(ARRAY['apple', 'melon', 'zucchini', 'Aubergine', '']) k;
SELECT itemcache.get(NULL::by_text, k) FROM unnest(ARRAY['apple', 'melon', 'zucchini', 'Aubergine', '']) k;
CREATE TABLE by_numeric (k numeric PRIMARY KEY, v text) PARTITION BY LIST (k);
CREATE TABLE by_numeric_1 PARTITION OF by_numeric FOR VALUES IN (1.0, 2);
CREATE TABLE by_numeric_h PARTITION OF by_numeric DEFAULT PARTITION BY HASH (k);
CREATE TABLE by_numeric_h0 PARTITION OF by_numeric_h FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_numeric_h1 PARTITION OF by_numeric_h FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT itemcache.attach('by_numeric');
INSERT INTO by_numeric VALUES (1.00, 'one'), (3.0, 'three'), (4.50, 'four and a half');
SELECT (itemcache.get(NULL::by_numeric, k)).v FROM unnest(ARRAY['1', '1.0', '1.00', '3', '3.000', '4.5', '5']) k;
SELECT (itemcache.get(NULL::by_numeric, k)).v FROM unnest(ARRAY['1', '1.0', '1.00', '3', '3.000', '4.5', '5']) k;
UPDATE by_numeric SET v = v || '!';
SELECT (itemcache.get(NULL::by_numeric, k)).v FROM unnest(ARRAY['1', '1.0', '1.00', '3', '3.000', '4.5', '5']) k;
-- a partition key that is an expression cannot be in a primary key
CREATE TABLE by_expression (id int PRIMARY KEY) PARTITION BY LIST ((id % 2));
-- booleans and enums, and a value that is nobody's
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE by_mood (m mood, b boolean, v text, PRIMARY KEY (m, b)) PARTITION BY LIST (m);
CREATE TABLE by_mood_1 PARTITION OF by_mood FOR VALUES IN ('sad') PARTITION BY LIST (b);
CREATE TABLE by_mood_1_t PARTITION OF by_mood_1 FOR VALUES IN (true);
CREATE TABLE by_mood_2 PARTITION OF by_mood FOR VALUES IN ('happy');
SELECT itemcache.attach('by_mood');
INSERT INTO by_mood VALUES ('sad', true, 'sad'), ('happy', false, 'happy');
SELECT itemcache.get(NULL::by_mood, '(sad,t)'), itemcache.get(NULL::by_mood, ROW('happy'::mood, false)),
	   itemcache.get(NULL::by_mood, '(sad,f)') IS NULL AS a, itemcache.get(NULL::by_mood, ROW('ok'::mood, true)) IS NULL AS b;
-- domain-typed partition keys
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE by_domain (id positive PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE by_domain_0 PARTITION OF by_domain FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE by_domain_1 PARTITION OF by_domain FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT itemcache.attach('by_domain');
INSERT INTO by_domain SELECT g, 'v' || g FROM generate_series(1, 5) g;
SELECT * FROM helper.check('by_domain', 0, 6);
SELECT * FROM helper.check('by_domain', 0, 6);

--
-- Leaves whose columns lie otherwise: rows are of the root's type
--
CREATE TABLE shuffled (id int, a text, b numeric, gone int, c text DEFAULT 'c', PRIMARY KEY (id)) PARTITION BY RANGE (id);
ALTER TABLE shuffled DROP COLUMN gone;
CREATE TABLE shuffled_1 PARTITION OF shuffled FOR VALUES FROM (0) TO (10);
CREATE TABLE shuffled_2 (c text, x int, b numeric, y text, a text, id int NOT NULL);
ALTER TABLE shuffled_2 DROP COLUMN x, DROP COLUMN y;
ALTER TABLE shuffled ATTACH PARTITION shuffled_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE shuffled_3 (b numeric, c text, a text, id int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE shuffled_3_1 (id int NOT NULL, c text, b numeric, a text);
ALTER TABLE shuffled_3 ATTACH PARTITION shuffled_3_1 DEFAULT;
ALTER TABLE shuffled ATTACH PARTITION shuffled_3 FOR VALUES FROM (20) TO (30);
SELECT itemcache.attach('shuffled');
INSERT INTO shuffled SELECT g, 'a' || g, g / 4.0, repeat('c', g * 100) FROM generate_series(1, 29, 3) g;
SELECT * FROM helper.check('shuffled', 1, 30);
SELECT itemcache.clear('shuffled');
SELECT * FROM helper.check('shuffled', 1, 30);
SELECT * FROM helper.check('shuffled', 1, 30);
SELECT id, a, b FROM itemcache.get_many(NULL::shuffled, ARRAY[1, 13, 25, 13, 2]);
SELECT (itemcache.get(NULL::shuffled, 13)).a, (itemcache.get(NULL::shuffled_2, 13)).a, (itemcache.get(NULL::shuffled_3, 25)).b,
	   (itemcache.get(NULL::shuffled_3_1, 25)).b;
UPDATE shuffled SET a = 'updated' WHERE id = 13;
UPDATE shuffled SET id = id + 10 WHERE id IN (4, 16);
SELECT * FROM helper.check('shuffled', 1, 30);
SELECT * FROM helper.check('shuffled', 1, 30);
ALTER TABLE shuffled ADD COLUMN added int DEFAULT 5;
SELECT * FROM helper.check('shuffled', 1, 30);
SELECT * FROM helper.check('shuffled', 1, 30);
ALTER TABLE shuffled DROP COLUMN b;
SELECT * FROM helper.check('shuffled', 1, 30);
SELECT * FROM helper.check('shuffled', 1, 30);

--
-- Writes: on the root, on the leaf, from one leaf to another
--
CREATE TABLE items (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (0) TO (10);
CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (10) TO (20);
CREATE TABLE items_3 PARTITION OF items FOR VALUES FROM (20) TO (30);
SELECT itemcache.attach('items');
INSERT INTO items SELECT g, 'v' || g FROM generate_series(0, 29) g;
SELECT * FROM helper.check('items', 0, 30);
UPDATE items_1 SET v = 'leaf' WHERE id = 1;
DELETE FROM items_2 WHERE id = 11;
INSERT INTO items_2 VALUES (11, 'into the leaf');
COPY items_3 FROM stdin;
30	not of this leaf
\.
DELETE FROM items_3 WHERE id = 29;
COPY items_3 FROM stdin;
29	copied
\.
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items_1', 0, 30);
DELETE FROM items WHERE id IN (25, 26);
UPDATE items SET id = id + 23 WHERE id IN (2, 3);
SELECT * FROM helper.check('items', 0, 30);
BEGIN;
UPDATE items SET id = 15 + 100 WHERE id = 15;
ROLLBACK;
BEGIN;
UPDATE items SET v = 'moved and back' WHERE id = 4;
DELETE FROM items WHERE id = 24;
UPDATE items SET id = 24 WHERE id = 4;
SELECT * FROM helper.check('items', 0, 30);
UPDATE items SET id = 4 WHERE id = 24;
COMMIT;
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items', 0, 30);
-- own writes in one leaf: the others are still served
BEGIN;
UPDATE items_1 SET v = 'own' WHERE id = 1;
SELECT * FROM helper.check('items', 0, 9);
SELECT * FROM helper.check('items', 10, 19);
ROLLBACK;
SELECT * FROM helper.check('items', 0, 30);

-- TRUNCATE of one leaf, and in a transaction with a write (A2, A5)
TRUNCATE items_1;
SELECT * FROM helper.check('items', 0, 30);
INSERT INTO items SELECT g, 'again' FROM generate_series(0, 9) g;
BEGIN;
UPDATE items SET v = 'truncated' WHERE id = 1;
TRUNCATE items_1;
COMMIT;
SELECT * FROM helper.check('items', 0, 30);
BEGIN;
INSERT INTO items VALUES (1, 'gone');
TRUNCATE items;
COMMIT;
SELECT * FROM helper.check('items', 0, 30);
INSERT INTO items SELECT g, 'after truncate' FROM generate_series(0, 29) g;
SELECT * FROM helper.check('items', 0, 30);

-- the trigger of one leaf disabled: that leaf is not served, the others are
ALTER TABLE items_1 DISABLE TRIGGER itemcache_partitioned;
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
UPDATE items SET v = 'silent' WHERE id = 1;
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items_1', 0, 9);
ALTER TABLE items_1 ENABLE TRIGGER itemcache_partitioned;
SELECT state FROM itemcache.tables WHERE relid = 'items_1'::regclass;
SELECT itemcache.attach('items');
SELECT relid, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items', 0, 30);
ALTER TABLE items DISABLE TRIGGER itemcache_partitioned;
SELECT relid, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
UPDATE items SET v = 'silent' WHERE id IN (2, 12);
SELECT * FROM helper.check('items', 0, 30);
SELECT itemcache.attach('items');
SELECT differing, present FROM helper.check('items', 0, 30);
-- ONLY the root's trigger: its leaves go on
ALTER TABLE ONLY items DISABLE TRIGGER itemcache_partitioned;
SELECT relid, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
UPDATE items SET v = 'not silent' WHERE id IN (2, 12);
SELECT differing, present FROM helper.check('items', 0, 30);
SELECT itemcache.attach('items');

-- a leaf detached, and attached again
SELECT count(*) FROM helper.check('items', 0, 30);
ALTER TABLE items DETACH PARTITION items_2;
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
SELECT * FROM helper.check('items', 0, 30);
UPDATE items_2 SET v = 'on its own' WHERE id = 12;
SELECT * FROM helper.check('items_2', 10, 19);
SELECT itemcache.get(NULL::items, 12);
ALTER TABLE items ATTACH PARTITION items_2 FOR VALUES FROM (10) TO (20);
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items', 0, 30);
ALTER TABLE items DETACH PARTITION items_2 CONCURRENTLY;
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
SELECT * FROM helper.check('items', 0, 30);
-- one that was attached by itself becomes a leaf: it has two triggers then, and each change is told twice
SELECT itemcache.attach('items_2', false, true);
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
ALTER TABLE items ATTACH PARTITION items_2 FOR VALUES FROM (10) TO (20);
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'items%' ORDER BY relid::text COLLATE "C";
SELECT tgname, tgenabled, tgparentid <> 0 AS clone FROM pg_trigger WHERE tgrelid = 'items_2'::regclass ORDER BY tgname;
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items', 0, 30);
UPDATE items SET v = 'told twice' WHERE id IN (10, 11, 12);
DELETE FROM items WHERE id = 13;
INSERT INTO items VALUES (13, 'told twice');
SELECT * FROM helper.check('items', 0, 30);
BEGIN;
UPDATE items SET v = 'once' WHERE id = 10;
UPDATE items SET v = 'twice' WHERE id = 10;
SAVEPOINT a;
UPDATE items SET v = 'thrice' WHERE id = 11;
ROLLBACK TO a;
DELETE FROM items WHERE id = 12;
COMMIT;
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items', 0, 30);
-- together with a user's trigger that sorts before, between and after them
CREATE FUNCTION nested() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	IF pg_trigger_depth() = 1 AND NEW.v = 'nested update' THEN
		UPDATE parts.items SET v = 'by ' || TG_NAME WHERE id = NEW.id;
	ELSIF pg_trigger_depth() = 1 AND NEW.v = 'nested delete' THEN
		DELETE FROM parts.items WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER a_before AFTER INSERT OR UPDATE ON items_2 FOR EACH ROW EXECUTE FUNCTION nested();
SELECT helper.by_queue();
UPDATE items SET v = 'nested update' WHERE id = 14;
SELECT helper.by_queue();
UPDATE items SET v = 'nested delete' WHERE id = 15;
SELECT helper.by_queue();
INSERT INTO items VALUES (15, 'nested update');
SELECT * FROM helper.check('items_2', 10, 20);
ALTER TRIGGER a_before ON items_2 RENAME TO itemcache_between;
SELECT helper.by_queue();
UPDATE items SET v = 'nested update' WHERE id = 14;
SELECT helper.by_queue();
UPDATE items SET v = 'nested delete' WHERE id = 15;
SELECT helper.by_queue();
INSERT INTO items VALUES (15, 'nested update');
SELECT * FROM helper.check('items_2', 10, 20);
ALTER TRIGGER itemcache_between ON items_2 RENAME TO z_after;
SELECT helper.by_queue();
UPDATE items SET v = 'nested update' WHERE id = 14;
SELECT helper.by_queue();
UPDATE items SET v = 'nested delete' WHERE id = 15;
SELECT helper.by_queue();
INSERT INTO items VALUES (15, 'nested update');
SELECT * FROM helper.check('items_2', 10, 20);
SELECT * FROM helper.check('items_2', 10, 20);
DROP TRIGGER z_after ON items_2;
-- either of the two is enough
ALTER TABLE items_2 DISABLE TRIGGER itemcache;
UPDATE items SET v = 'told by the clone' WHERE id = 10;
SELECT * FROM helper.check('items_2', 10, 20);
ALTER TABLE items_2 ENABLE ALWAYS TRIGGER itemcache;
ALTER TABLE items_2 DISABLE TRIGGER itemcache_partitioned;
UPDATE items SET v = 'told by its own' WHERE id = 10;
SELECT * FROM helper.check('items_2', 10, 20);
ALTER TABLE items_2 DISABLE TRIGGER itemcache;
UPDATE items SET v = 'silent' WHERE id = 10;
SELECT * FROM helper.check('items_2', 10, 20);
SELECT itemcache.attach('items');
SELECT itemcache.detach('items_2');
SELECT tgname, tgenabled, tgparentid <> 0 AS clone FROM pg_trigger WHERE tgrelid = 'items_2'::regclass ORDER BY tgname;
SELECT * FROM helper.check('items', 0, 30);
SELECT * FROM helper.check('items', 0, 30);
-- a leaf that changes places in one transaction
BEGIN;
ALTER TABLE items DETACH PARTITION items_3;
UPDATE items_3 SET id = id + 100;
ALTER TABLE items ATTACH PARTITION items_3 FOR VALUES FROM (120) TO (130);
SELECT differing, present FROM helper.check('items', 0, 130);
COMMIT;
SELECT differing, present FROM helper.check('items', 0, 130);
SELECT * FROM helper.check('items', 0, 130);
-- new leaves, and a leaf split off the default
CREATE TABLE items_4 PARTITION OF items FOR VALUES FROM (30) TO (40);
INSERT INTO items VALUES (30, 'new leaf');
SELECT * FROM helper.check('items', 30, 40);
CREATE TABLE items_d PARTITION OF items DEFAULT;
INSERT INTO items VALUES (50, 'in the default');
SELECT * FROM helper.check('items', 50, 50);
BEGIN;
ALTER TABLE items DETACH PARTITION items_d;
CREATE TABLE items_5 PARTITION OF items FOR VALUES FROM (50) TO (60);
INSERT INTO items SELECT * FROM items_d WHERE id >= 50 AND id < 60;
DELETE FROM items_d WHERE id >= 50 AND id < 60;
ALTER TABLE items ATTACH PARTITION items_d DEFAULT;
COMMIT;
SELECT * FROM helper.check('items', 30, 60);
SELECT * FROM helper.check('items', 30, 60);
DROP TABLE items_4;
SELECT * FROM helper.check('items', 30, 60);
-- a leaf that is a foreign table, or temporary: never served
CREATE FOREIGN DATA WRAPPER parts_wrapper;
CREATE SERVER parts_server FOREIGN DATA WRAPPER parts_wrapper;
CREATE TABLE with_foreign (id int, v text) PARTITION BY LIST (id);
CREATE FOREIGN TABLE with_foreign_1 PARTITION OF with_foreign FOR VALUES IN (1) SERVER parts_server;
SELECT code, message FROM helper.try('ALTER TABLE parts.with_foreign ADD PRIMARY KEY (id)');
SELECT code, message FROM helper.try('SELECT itemcache.attach(''parts.with_foreign'')');

--
-- Only a leaf attached: lookups by the root use it, the rest reads the table
--
CREATE TABLE half (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE half_1 PARTITION OF half FOR VALUES FROM (0) TO (10);
CREATE TABLE half_2 PARTITION OF half FOR VALUES FROM (10) TO (20);
INSERT INTO half SELECT g, 'v' || g FROM generate_series(0, 19) g;
SELECT itemcache.attach('half_1');
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'half%' ORDER BY relid::text COLLATE "C";
SELECT differing, present FROM helper.check('half', 0, 20);
SELECT differing, present FROM helper.check('half', 0, 20);
SELECT * FROM helper.check('half_1', 0, 20);
UPDATE half SET v = v || '!' WHERE id IN (1, 11);
DELETE FROM half WHERE id = 12;
UPDATE half SET id = 12 WHERE id = 9;
SELECT differing, present FROM helper.check('half', 0, 20);
SELECT * FROM helper.check('half_1', 0, 20);
-- then the root, and a second root's key index not valid everywhere (A9)
SELECT code, message, hint FROM helper.try('SELECT itemcache.attach(''parts.half'')');
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'half%' ORDER BY relid::text COLLATE "C";
SELECT * FROM helper.check('half', 0, 20);
SELECT itemcache.detach('half_1');
SELECT relid, leaf_of, state FROM itemcache.tables WHERE relid::text LIKE 'half%' ORDER BY relid::text COLLATE "C";
SELECT differing, present FROM helper.check('half', 0, 20);
SELECT itemcache.detach('half');
CREATE TABLE invalid (id int NOT NULL, v text) PARTITION BY RANGE (id);
CREATE TABLE invalid_1 PARTITION OF invalid FOR VALUES FROM (0) TO (10);
CREATE TABLE invalid_2 PARTITION OF invalid FOR VALUES FROM (10) TO (20);
ALTER TABLE ONLY invalid ADD PRIMARY KEY (id);
INSERT INTO invalid SELECT g, 'v' || g FROM generate_series(0, 19) g;
SELECT code, message, detail, hint FROM helper.try('SELECT itemcache.attach(''parts.invalid'')');
SELECT code, message FROM helper.try('SELECT itemcache.get(NULL::parts.invalid, 1)');

-- attach() says what came of it, as the view does
CREATE ACCESS METHOD parts_am TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE mixed (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (0) TO (10);
CREATE TABLE mixed_2 PARTITION OF mixed FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE mixed_2_rest PARTITION OF mixed_2 DEFAULT USING parts_am;
SELECT itemcache.attach('mixed'), (SELECT state FROM itemcache.tables WHERE relid = 'mixed'::regclass);
SELECT itemcache.attach('mixed_2'), itemcache.attach('mixed_1');
DROP TABLE mixed;
DROP ACCESS METHOD parts_am;

-- privileges are the root's, when the root is asked
CREATE ROLE regress_itemcache_parts;
GRANT USAGE ON SCHEMA parts TO regress_itemcache_parts;
GRANT SELECT ON items TO regress_itemcache_parts;
SET ROLE regress_itemcache_parts;
SELECT itemcache.get(NULL::items, 1);
SELECT itemcache.get(NULL::items_1, 1);
RESET ROLE;

SELECT count(*) AS preloaded FROM (SELECT itemcache.clear('items')) c, (SELECT itemcache.preload('items') OFFSET 0) p;
SELECT * FROM helper.check('items', 0, 60);

SET client_min_messages = warning;
DROP SCHEMA parts CASCADE;
DROP FOREIGN DATA WRAPPER parts_wrapper CASCADE;
DROP ROLE regress_itemcache_parts;
