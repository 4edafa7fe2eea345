-- itemcache.reset_stats(): the counters of one table begin anew, those of the whole cache go on.

CREATE TABLE reset_items (id int PRIMARY KEY, v text);
CREATE TABLE reset_other (id int PRIMARY KEY, v text);
CREATE TABLE reset_parts (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE reset_parts_0 PARTITION OF reset_parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE reset_parts_1 PARTITION OF reset_parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT itemcache.attach('reset_items'), itemcache.attach('reset_other'), itemcache.attach('reset_parts');
INSERT INTO reset_items SELECT g, 'v' FROM generate_series(1, 10) g;
INSERT INTO reset_other SELECT g, 'v' FROM generate_series(1, 10) g;
INSERT INTO reset_parts SELECT g, 'v' FROM generate_series(1, 10) g;
SELECT count(itemcache.get(NULL::reset_items, k)), count(itemcache.get(NULL::reset_other, k)), count(itemcache.get(NULL::reset_parts, k))
FROM generate_series(1, 20) k;
CREATE TEMP TABLE reset_before AS SELECT hits, publishes FROM itemcache.stats;
SELECT relid, hits, publishes FROM itemcache.tables WHERE relid::text LIKE 'reset%' ORDER BY relid::text COLLATE "C";
SELECT itemcache.reset_stats('reset_items');
SELECT relid, hits, publishes, items FROM itemcache.tables WHERE relid::text LIKE 'reset%' ORDER BY relid::text COLLATE "C";
SELECT itemcache.reset_stats('reset_parts');
SELECT relid, hits, publishes, items FROM itemcache.tables WHERE relid::text LIKE 'reset%' ORDER BY relid::text COLLATE "C";
SELECT count(itemcache.get(NULL::reset_items, k)) FROM generate_series(1, 3) k;
SELECT relid, hits FROM itemcache.tables WHERE relid = 'reset_items'::regclass;
SELECT s.hits - b.hits AS hits, s.publishes - b.publishes AS publishes FROM itemcache.stats s, reset_before b;

-- not for everybody; and what is no table is said so
SELECT itemcache.reset_stats(NULL);
SELECT itemcache.reset_stats(4242::oid::regclass);
CREATE ROLE regress_reset;
SET ROLE regress_reset;
SELECT itemcache.reset_stats('reset_items');
RESET ROLE;
DROP ROLE regress_reset;
DROP TABLE reset_items, reset_other, reset_parts;
