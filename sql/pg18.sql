-- What came with PostgreSQL 18: virtual generated columns (A10), keys WITHOUT OVERLAPS (A9).  Skipped before.

SELECT current_setting('server_version_num')::int < 180000 AS skip \gset
\if :skip
\quit
\endif

CREATE SCHEMA v18;
SET search_path = v18;
-- a virtual column is computed, or the table is not served; its value is right either way
CREATE TABLE virtual (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL, v text);
INSERT INTO virtual (id, a, v) SELECT g, g * 10, 'v' || g FROM generate_series(1, 3) g;
SELECT code, message, detail, hint FROM helper.try('SELECT itemcache.attach(''v18.virtual'')');
SELECT itemcache.get(NULL::virtual, 1), (itemcache.get(NULL::virtual, 2)).twice;
SELECT * FROM itemcache.get_many(NULL::virtual, ARRAY[3, 4, 1]);
SELECT differing, present FROM helper.check('virtual', 1, 4);
-- one that comes after attach
CREATE TABLE later (id int PRIMARY KEY, a int);
INSERT INTO later SELECT g, g * 10 FROM generate_series(1, 3) g;
SELECT itemcache.attach('later');
SELECT * FROM helper.check('later', 1, 4);
ALTER TABLE later ADD COLUMN twice int GENERATED ALWAYS AS (a * 2) VIRTUAL;
SELECT state, served FROM itemcache.tables WHERE relid = 'later'::regclass;
SELECT itemcache.get(NULL::later, 1);
SELECT differing, present FROM helper.check('later', 1, 4);
UPDATE later SET a = 50 WHERE id = 1;
SELECT itemcache.get(NULL::later, 1);
ALTER TABLE later ALTER COLUMN twice SET EXPRESSION AS (a * 3);
SELECT itemcache.get(NULL::later, 1);
ALTER TABLE later DROP COLUMN twice;
SELECT state, served FROM itemcache.tables WHERE relid = 'later'::regclass;
SELECT * FROM helper.check('later', 1, 4);
SELECT * FROM helper.check('later', 1, 4);
-- stored ones are served
CREATE TABLE stored (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
INSERT INTO stored (id, a) SELECT g, g * 10 FROM generate_series(1, 3) g;
SELECT itemcache.attach('stored');
SELECT * FROM helper.check('stored', 1, 4);
SELECT * FROM helper.check('stored', 1, 4);
-- in a partition
CREATE TABLE rooms (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL) PARTITION BY RANGE (id);
CREATE TABLE rooms_1 PARTITION OF rooms FOR VALUES FROM (0) TO (10);
INSERT INTO rooms (id, a) SELECT g, g * 10 FROM generate_series(1, 3) g;
SELECT count(*) FROM helper.try('SELECT itemcache.attach(''v18.rooms'')');
SELECT coalesce(bool_or(served), false) AS served FROM itemcache.tables WHERE relid = 'rooms_1'::regclass;
SELECT * FROM helper.check('rooms', 1, 4);

-- a temporal key is no btree
CREATE TABLE temporal (id int4range, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
INSERT INTO temporal VALUES ('[1,2)', '[2024-01-01,2024-02-01)', 'january');
SELECT code, message, detail, hint FROM helper.try('SELECT itemcache.attach(''v18.temporal'')');
SELECT code, message FROM helper.try('SELECT itemcache.get(NULL::v18.temporal, ROW(''[1,2)''::int4range, ''[2024-01-01,2024-02-01)''::daterange))');
SELECT code, message FROM helper.try('SELECT itemcache.get(NULL::v18.temporal, ''("[1,2)","[2024-01-01,2024-02-01)")'')');

SET client_min_messages = warning;
DROP SCHEMA v18 CASCADE;
