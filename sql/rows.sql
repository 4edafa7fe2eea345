-- Rows of any shape come back as the table has them, byte for byte.

CREATE SCHEMA shapes;
SET search_path = shapes;

--
-- Compare every row of "relation" (key: bigint "id") with its lookups, as the
-- bytes of its columns; says how many rows there were, how many differed and
-- how the lookups were answered.
--
CREATE FUNCTION same(relation regclass, OUT n bigint, OUT differing bigint,
					 OUT hits bigint, OUT misses bigint, OUT bypasses bigint)
LANGUAGE plpgsql AS
$$
DECLARE
	before record;
	after record;
BEGIN
	SELECT * INTO before FROM helper.counts(relation);
	EXECUTE format(
		'SELECT count(*), count(*) FILTER (WHERE g IS NULL AND NOT r IS NULL OR g *<> r
				OR g::text IS DISTINCT FROM r::text)
		 FROM (SELECT itemcache.get(NULL::%1$s, id) AS g, r FROM %1$s r OFFSET 0) s', relation)
		INTO n, differing;
	SELECT * INTO after FROM helper.counts(relation);
	hits := after.hits - before.hits;
	misses := after.misses - before.misses;
	bypasses := after.bypasses - before.bypasses;
END
$$;

--
-- Columns of every kind: cached by the insert, then by a fill
--
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nested AS (p pair, q pair[], r numeric);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN short AS text CHECK (length(VALUE) < 1000);
CREATE TABLE everything (
	b boolean, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, t text, vc varchar(20), c char(7),
	qc "char", nm name, by bytea, d date, tm time, tz timetz, ts timestamp, tsz timestamptz, iv interval, u uuid,
	j json, jb jsonb, x point, bx box, ln lseg, pa path, po polygon, ci circle, ip inet, cd cidr, mac macaddr, mac8 macaddr8,
	bt bit(5), vb varbit, tv tsvector, tq tsquery, ir int4range, nr numrange, mr int4multirange, ia int[], ta text[], na numeric[][],
	p pair, ps pair[], ne nested, m mood, ms mood[], s short, rc regclass, mo money, x2 pg_lsn,
	id bigint PRIMARY KEY, last text);
SELECT itemcache.attach('everything');
INSERT INTO everything VALUES (
	true, 2, 4, 8, 4.5, 8.5, 123.4500, 'text', 'varchar', 'char', 'q', 'name', '\xdeadbeef', '2024-02-29', '12:34:56.789',
	'12:34:56+02', '2024-02-29 12:00', '2024-02-29 12:00+01', '1 mon 2 days 3 hours', '11111111-1111-1111-1111-111111111111',
	'{"a" : 1}', '{"b": [1, 2]}', '(1,2)', '(1,2),(3,4)', '[(1,2),(3,4)]', '((1,2),(3,4))', '((1,2),(3,4),(5,6))', '<(1,2),3>',
	'10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '10101', '1', 'a:1 b:2', 'a & b',
	'[1,5)', '[1.5,)', '{[1,2),[5,9)}', '{1,NULL,3}', '[0:1]={a,"b c"}', '{{1.0,2},{3,4}}', ROW(1, 'x'), ARRAY[ROW(1, 'x'), ROW(2, NULL)]::pair[],
	ROW(ROW(1, 'x'), ARRAY[ROW(2, 'y')]::pair[], 1.10), 'happy', '{sad,happy}', 'short', 'pg_class', 12.34, '0/16B3748', 1, 'last');
INSERT INTO everything (id) VALUES (2);
INSERT INTO everything (id, b) VALUES (3, false);
INSERT INTO everything (id, last) VALUES (4, 'last only');
INSERT INTO everything (id, t, c, ia) VALUES (5, '', '', '{}');
SELECT * FROM same('everything');
SELECT itemcache.clear('everything');
SELECT * FROM same('everything');
SELECT * FROM same('everything');
UPDATE everything SET last = 'updated';
SELECT * FROM same('everything');
SELECT (itemcache.get(NULL::everything, 1)).ne, (itemcache.get(NULL::everything, 1)).last, (itemcache.get(NULL::everything, 2)).last;

--
-- Where the key column lies
--
CREATE TABLE key_first (id bigint PRIMARY KEY, a text, b int);
CREATE TABLE key_middle (a text, b int, id bigint PRIMARY KEY, c text);
CREATE TABLE key_last (a text, b boolean, c numeric, d "char", id bigint PRIMARY KEY);
CREATE TABLE key_only (id bigint PRIMARY KEY);
CREATE TABLE key_small (a bool, id int2 PRIMARY KEY, b bool);
SELECT count(itemcache.attach(t::regclass)) FROM unnest(ARRAY['key_first', 'key_middle', 'key_last', 'key_only', 'key_small']) t;
INSERT INTO key_first SELECT g, CASE WHEN g % 2 = 0 THEN repeat('a', g) END, CASE WHEN g % 3 = 0 THEN g END FROM generate_series(1, 50) g;
INSERT INTO key_middle SELECT CASE WHEN g % 2 = 0 THEN repeat('a', g) END, CASE WHEN g % 3 = 0 THEN g END, g, CASE WHEN g % 5 = 0 THEN 'c' END FROM generate_series(1, 50) g;
INSERT INTO key_last SELECT CASE WHEN g % 2 = 0 THEN repeat('a', g) END, CASE WHEN g % 3 = 0 THEN true END, CASE WHEN g % 5 = 0 THEN g / 7.0 END, CASE WHEN g % 7 = 0 THEN 'd'::"char" END, g FROM generate_series(1, 50) g;
INSERT INTO key_only SELECT generate_series(1, 50);
INSERT INTO key_small SELECT CASE WHEN g % 2 = 0 THEN true END, g, CASE WHEN g % 3 = 0 THEN false END FROM generate_series(1, 50) g;
SELECT t, s.* FROM unnest(ARRAY['key_first', 'key_middle', 'key_last', 'key_only', 'key_small']) t, same(t::regclass) s;
SELECT count(itemcache.clear(t::regclass)) FROM unnest(ARRAY['key_first', 'key_middle', 'key_last', 'key_only', 'key_small']) t;
SELECT t, s.* FROM unnest(ARRAY['key_first', 'key_middle', 'key_last', 'key_only', 'key_small']) t, same(t::regclass) s;
SELECT t, s.* FROM unnest(ARRAY['key_first', 'key_middle', 'key_last', 'key_only', 'key_small']) t, same(t::regclass) s;

--
-- Columns that come and go, under cached rows
--
CREATE TABLE changing (gone1 int, a text, gone2 text, id bigint PRIMARY KEY, b int, gone3 numeric);
INSERT INTO changing SELECT g, 'a' || g, repeat('x', 50), g, g, g FROM generate_series(1, 5) g;
SELECT itemcache.attach('changing');
SELECT * FROM same('changing');
ALTER TABLE changing DROP COLUMN gone2;
SELECT * FROM same('changing');
SELECT * FROM same('changing');
SELECT itemcache.get(NULL::changing, 1);
ALTER TABLE changing DROP COLUMN gone1, DROP COLUMN gone3;
INSERT INTO changing VALUES ('a6', 6, 6);
SELECT * FROM same('changing');
SELECT * FROM same('changing');
ALTER TABLE changing ADD COLUMN fast int DEFAULT 42;
SELECT * FROM same('changing');
SELECT * FROM same('changing');
SELECT itemcache.get(NULL::changing, 1), itemcache.get(NULL::changing, 6);
ALTER TABLE changing ADD COLUMN fast_text text DEFAULT 'a default';
INSERT INTO changing (a, id) VALUES ('a7', 7);
SELECT * FROM same('changing');
SELECT * FROM same('changing');
-- the missing value stays when the default changes
ALTER TABLE changing ALTER COLUMN fast SET DEFAULT 43;
INSERT INTO changing (a, id) VALUES ('a8', 8);
SELECT itemcache.get(NULL::changing, 1), itemcache.get(NULL::changing, 8);
SELECT * FROM same('changing');
ALTER TABLE changing ADD COLUMN nothing text;
ALTER TABLE changing ADD COLUMN volatile_default double precision DEFAULT random();
SELECT * FROM same('changing');
SELECT * FROM same('changing');
UPDATE changing SET b = b + 1;
SELECT * FROM same('changing');
ALTER TABLE changing ALTER COLUMN b TYPE text USING 'b' || b;
SELECT * FROM same('changing');
ALTER TABLE changing ALTER COLUMN a TYPE varchar(100);
SELECT * FROM same('changing');
SELECT * FROM same('changing');
ALTER TABLE changing ALTER COLUMN id TYPE int;
SELECT * FROM same('changing');
SELECT * FROM same('changing');
ALTER TABLE changing RENAME COLUMN b TO bb;
SELECT (itemcache.get(NULL::changing, 1)).bb;
SELECT * FROM same('changing');
ALTER TABLE changing ADD COLUMN dom short DEFAULT 'domain';
SELECT * FROM same('changing');
-- in a prepared statement, whose result is the row type
PREPARE g AS SELECT (itemcache.get(NULL::changing, 1)).bb, (itemcache.get(NULL::changing, 1)).dom;
EXECUTE g;
ALTER TABLE changing DROP COLUMN dom;
EXECUTE g;
DEALLOCATE g;

-- added in the transaction that reads
BEGIN;
ALTER TABLE changing ADD COLUMN in_transaction int DEFAULT 7;
SELECT (itemcache.get(NULL::changing, 1)).in_transaction;
ROLLBACK;
SELECT * FROM same('changing');
SELECT * FROM same('changing');

--
-- Generated columns
--
CREATE TABLE generated (a int, id bigint PRIMARY KEY, twice bigint GENERATED ALWAYS AS (id * 2) STORED, both_ text GENERATED ALWAYS AS (a::text || id::text) STORED);
SELECT itemcache.attach('generated');
INSERT INTO generated SELECT g * 10, g FROM generate_series(1, 5) g;
SELECT * FROM same('generated');
UPDATE generated SET a = a + 1;
SELECT * FROM same('generated');
SELECT itemcache.get(NULL::generated, 1);
CREATE TABLE identities (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
SELECT itemcache.attach('identities');
INSERT INTO identities (v) VALUES ('one'), ('two');
SELECT * FROM same('identities');

--
-- Values that are out of line or compressed
--
CREATE TABLE toasted (id bigint PRIMARY KEY, inline text, compressed text, external text, extended text, js jsonb);
ALTER TABLE toasted ALTER inline SET STORAGE PLAIN, ALTER compressed SET STORAGE MAIN, ALTER external SET STORAGE EXTERNAL;
SELECT itemcache.attach('toasted');
INSERT INTO toasted
SELECT g, repeat('i', 100), repeat('c', 5000), repeat('e', 5000),
	   (SELECT string_agg(md5((g * 1000 + i)::text), '') FROM generate_series(1, 300) i),
	   jsonb_build_object('k', repeat('j', 3000))
FROM generate_series(1, 5) g;
SELECT pg_relation_size(reltoastrelid) > 0 AS has_toast FROM pg_class WHERE oid = 'toasted'::regclass;
SELECT * FROM same('toasted');
SELECT itemcache.clear('toasted');
SELECT * FROM same('toasted');
SELECT * FROM same('toasted');
SELECT pg_column_size((itemcache.get(NULL::toasted, 1)).compressed), pg_column_size((itemcache.get(NULL::toasted, 1)).external);
-- an update that leaves the out-of-line values where they are
UPDATE toasted SET inline = 'short';
SELECT * FROM same('toasted');
-- and one that replaces them: what was cached does not point into TOAST
UPDATE toasted SET extended = 'short now', external = repeat('E', 6000);
VACUUM toasted;
SELECT * FROM same('toasted');
SELECT * FROM same('toasted');
-- kept in a variable while the table's TOAST goes
DO $$
DECLARE
	kept shapes.toasted;
BEGIN
	kept := itemcache.get(NULL::shapes.toasted, 1);
	UPDATE shapes.toasted SET external = NULL WHERE id = 1;
	IF kept.external <> repeat('E', 6000) THEN
		RAISE EXCEPTION 'not kept';
	END IF;
END
$$;
-- arrays and composites of big values
CREATE TABLE toasted_parts (id bigint PRIMARY KEY, ta text[], p pair, ps pair[]);
SELECT itemcache.attach('toasted_parts');
INSERT INTO toasted_parts
SELECT g, ARRAY(SELECT md5((g * 1000 + i)::text) FROM generate_series(1, 200) i), ROW(g, repeat('p', 10000))::pair,
	   ARRAY(SELECT ROW(i::int, md5(i::text))::pair FROM generate_series(1, 200) i)
FROM generate_series(1, 3) g;
SELECT * FROM same('toasted_parts');
SELECT itemcache.clear('toasted_parts');
SELECT * FROM same('toasted_parts');
SELECT * FROM same('toasted_parts');

-- an out-of-line value of a column that is dropped is no part of the item
ALTER TABLE toasted DROP COLUMN external, DROP COLUMN js;
SELECT * FROM same('toasted');
SELECT * FROM same('toasted');
SELECT * FROM itemcache.get_many(NULL::toasted, ARRAY[1]) g WHERE length(g::text) > 100000;

-- larger than max_item_size (64kB): from the table, every time, and not an
-- older version of it (A16)
CREATE TABLE large (id bigint PRIMARY KEY, v text);
SELECT itemcache.attach('large');
INSERT INTO large VALUES (1, repeat('x', 70000)), (2, 'small'), (3, repeat('y', 65000)), (4, repeat('z', 65536));
SELECT * FROM same('large');
SELECT * FROM same('large');
UPDATE large SET v = repeat('X', 70000) WHERE id = 2;
SELECT * FROM same('large');
SELECT * FROM same('large');
SELECT length((itemcache.get(NULL::large, 2)).v);
UPDATE large SET v = 'small again' WHERE id IN (1, 2);
SELECT * FROM same('large');
SELECT items FROM itemcache.tables WHERE relid = 'large'::regclass;
-- incompressible and larger: nothing is fetched at commit
INSERT INTO large SELECT 10 + g, (SELECT string_agg(md5((g * 10000 + i)::text), '') FROM generate_series(1, 4000) i) FROM generate_series(1, 3) g;
SELECT * FROM same('large');
UPDATE large SET v = v || '!' WHERE id > 10;
SELECT * FROM same('large');

--
-- 1600 columns
--
DO $$
BEGIN
	EXECUTE 'CREATE TABLE shapes.widest (id bigint PRIMARY KEY, ' ||
		(SELECT string_agg('c' || i || CASE WHEN i % 10 = 0 THEN ' text' ELSE ' boolean' END, ', ') FROM generate_series(1, 1599) i) || ')';
	PERFORM itemcache.attach('shapes.widest');
	EXECUTE 'INSERT INTO shapes.widest SELECT g, ' ||
		(SELECT string_agg(CASE WHEN i % 10 = 0 THEN '''t''' WHEN i % 3 = 0 THEN 'NULL' ELSE 'true' END, ', ') FROM generate_series(1, 1599) i) ||
		' FROM generate_series(1, 3) g';
END
$$;
INSERT INTO widest (id) VALUES (4);
SELECT * FROM same('widest');
SELECT itemcache.clear('widest');
SELECT * FROM same('widest');
SELECT * FROM same('widest');
SELECT (itemcache.get(NULL::widest, 1)).c1590, (itemcache.get(NULL::widest, 1)).c1599, (itemcache.get(NULL::widest, 4)).c1599;

--
-- A row of the type that is another table's column
--
CREATE TABLE holder (id bigint PRIMARY KEY, item key_first);
SELECT itemcache.attach('holder');
INSERT INTO holder SELECT g, itemcache.get(NULL::key_first, g) FROM generate_series(1, 5) g;
SELECT * FROM same('holder');
ALTER TABLE key_first ADD COLUMN c int;
SELECT * FROM same('holder');
SELECT * FROM same('holder');
SELECT (itemcache.get(NULL::holder, 2)).item.c, (itemcache.get(NULL::holder, 2)).item;
ALTER TABLE key_first DROP COLUMN c;
SELECT * FROM same('holder');
-- a typed table
CREATE TYPE typed_row AS (id bigint, v text);
CREATE TABLE typed OF typed_row (PRIMARY KEY (id));
SELECT itemcache.attach('typed');
INSERT INTO typed VALUES (1, 'one');
SELECT * FROM same('typed');
ALTER TYPE typed_row ADD ATTRIBUTE w int CASCADE;
SELECT * FROM same('typed');
SELECT * FROM same('typed');

SET client_min_messages = warning;
DROP SCHEMA shapes CASCADE;
