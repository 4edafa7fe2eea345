-- A key is searched for in its index without a scan, where one leaf page tells; and like by a scan, where it does not.

CREATE SCHEMA descents;
SET search_path = descents;
SET client_min_messages = warning;
SET itemcache.transparent = off;

-- All keys of a table, one by one, as a batch, and by a join: how many of the answers differ from what the table has.
-- The cache is cleared before, so that each is read by the index.
CREATE FUNCTION differing(relation regclass, keys text, keytype text DEFAULT 'int') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	single bigint;
	batch bigint;
	joined bigint;
	found bigint;
BEGIN
	PERFORM itemcache.clear(relation::text);
	EXECUTE format('SELECT count(*) FILTER (WHERE itemcache.get(NULL::%1$s, k)::text IS DISTINCT FROM t::text), count(t.id)
		FROM (SELECT k::%3$s FROM %2$s k) keys LEFT JOIN %1$s t ON t.id || '''' = k || ''''', relation, keys, keytype)
		INTO single, found;
	PERFORM itemcache.clear(relation::text);
	EXECUTE format('WITH got AS (SELECT i::text FROM itemcache.get_many(NULL::%1$s, ARRAY(SELECT k::%3$s FROM %2$s k)) i WHERE NOT i IS NULL),
		want AS (SELECT t::text FROM %1$s t WHERE t.id || '''' IN (SELECT k || '''' FROM %2$s k))
		SELECT count(*) FROM ((TABLE got EXCEPT ALL TABLE want) UNION ALL (TABLE want EXCEPT ALL TABLE got)) x', relation, keys, keytype) INTO batch;
	PERFORM itemcache.clear(relation::text);
	PERFORM set_config(name, value, true)
	FROM (VALUES ('itemcache.transparent', 'on'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),
				 ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off')) s(name, value);
	EXECUTE format('SELECT count(*) FROM (SELECT k::%3$s FROM %2$s k) keys LEFT JOIN %1$s t ON t.id = k
		WHERE t::text IS DISTINCT FROM (SELECT u::text FROM %1$s u WHERE u.id || '''' = k || '''')', relation, keys, keytype) INTO joined;
	PERFORM set_config('itemcache.transparent', 'off', true);
	RETURN format('found %s, differing %s, %s, %s', found, single, batch, joined);
END $$;

--
-- Pages full and empty, their ends, and keys beyond them.
--
CREATE TABLE plain (id int PRIMARY KEY, v text);
SELECT itemcache.attach('plain', preload => false);
SELECT differing('plain', 'generate_series(-3, 3)');
INSERT INTO plain VALUES (0, 'only');
SELECT differing('plain', 'generate_series(-3, 3)');
INSERT INTO plain SELECT 2 * g, 'v' || g FROM generate_series(1, 2000) g;
SELECT differing('plain', 'generate_series(-3, 4005)');
DELETE FROM plain WHERE id BETWEEN 500 AND 2500;
SELECT differing('plain', 'generate_series(-3, 4005)');
VACUUM plain;
SELECT differing('plain', 'generate_series(-3, 4005)');
INSERT INTO plain SELECT g, 'anew' || g FROM generate_series(-1000, 1001) g ON CONFLICT DO NOTHING;
SELECT differing('plain', 'generate_series(-1003, 4005)');
-- the last page has none any more, but what was on it is still there to be read; other rows are in these places now
CREATE TABLE tail (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = off);
SELECT itemcache.attach('tail', preload => false);
INSERT INTO tail SELECT g, 'v' || g FROM generate_series(1, 500) g;
DELETE FROM tail WHERE id > 300;
VACUUM (INDEX_CLEANUP on) tail;
INSERT INTO tail SELECT -g, 'anew' || -g FROM generate_series(1, 200) g;
SELECT differing('tail', 'generate_series(-201, 501)');

--
-- Several entries of a key: versions that are dead, that an abort has left, and that are one posting list.
--
CREATE TABLE versions (id int PRIMARY KEY, n int, v text);
CREATE INDEX ON versions (n);
INSERT INTO versions SELECT g, 0, 'v' || g FROM generate_series(1, 400) g;
SELECT itemcache.attach('versions', preload => false);
UPDATE versions SET n = 1, v = 'second' WHERE id % 3 = 0;
SELECT differing('versions', 'generate_series(0, 401)');
BEGIN;
UPDATE versions SET n = 2, v = 'never' WHERE id % 2 = 0;
INSERT INTO versions SELECT g, 0, 'never' FROM generate_series(401, 500) g;
ROLLBACK;
SELECT differing('versions', 'generate_series(0, 501)');
DELETE FROM versions WHERE id % 5 = 0;
SELECT differing('versions', 'generate_series(0, 501)');
-- what the scans have found dead is marked so
SELECT differing('versions', 'generate_series(0, 501)');
INSERT INTO versions SELECT g, 0, 'again' FROM generate_series(5, 500, 5) g;
SELECT differing('versions', 'generate_series(0, 501)');
DO $$ BEGIN
	FOR i IN 3..12 LOOP
		UPDATE versions SET n = i WHERE id <= 40;
	END LOOP;
END $$;
SELECT differing('versions', 'generate_series(0, 501)');
VACUUM versions;
SELECT differing('versions', 'generate_series(0, 501)');

--
-- Versions of one key on several pages, of which the first has lost its own but has other keys: the search for it ends
-- at the end of that page, and what there is is on the next.  (They are so wide that a page cannot have them all, and is
-- not divided before the first of them.)
--
CREATE TABLE across (id text PRIMARY KEY WITH (deduplicate_items = off), n int);
CREATE INDEX ON across (n);
INSERT INTO across VALUES ('a'), ('b'), ('z'), ('k' || (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 80) g));
SELECT itemcache.attach('across', preload => false);
DO $$ BEGIN
	FOR i IN 1..5 LOOP
		UPDATE across SET n = i WHERE id LIKE 'k%';
	END LOOP;
END $$;
VACUUM (INDEX_CLEANUP on) across;
CREATE VIEW across_keys AS SELECT unnest(ARRAY['a', 'b', 'c', 'z'] || ARRAY(SELECT id FROM across WHERE id > 'b')) k;
SELECT differing('across', '(SELECT DISTINCT k FROM across_keys)', 'text');
SELECT itemcache.clear('across');
SELECT (itemcache.get(NULL::across, id)).n FROM across WHERE id LIKE 'k%';
-- ... and of which a page with no other has lost them all.  It stays, since it is the last of those below one page.
CREATE TABLE wide (id text, n int, v text) WITH (autovacuum_enabled = off);
ALTER TABLE wide ALTER id SET STORAGE PLAIN;
ALTER TABLE wide ADD PRIMARY KEY (id) WITH (deduplicate_items = off);
CREATE INDEX ON wide (n);
SELECT itemcache.attach('wide', preload => false);
INSERT INTO wide SELECT repeat(k, 1800), 0, k FROM unnest('{a,b,c,d,e,k}'::text[]) k;
DO $$ BEGIN
	FOR i IN 1..20 LOOP
		UPDATE wide SET n = i WHERE v = 'k';
	END LOOP;
END $$;
VACUUM (INDEX_CLEANUP on) wide;
SELECT differing('wide', 'unnest(ARRAY(SELECT repeat(chr(g), 1800) FROM generate_series(ascii(''a'') - 1, ascii(''l'')) g))', 'text');

--
-- A key of which all entries are marked dead is absent, and cached so (once nobody can see the rows any more).
--
CREATE TABLE marked (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = off);
SELECT itemcache.attach('marked', preload => false);
INSERT INTO marked SELECT g, 'v' || g FROM generate_series(1, 20) g;
DELETE FROM marked WHERE id <= 10;
DO $$ BEGIN
	FOR i IN 1..200 LOOP
		PERFORM itemcache.get(NULL::descents.marked, k) FROM generate_series(1, 10) k;
		EXIT WHEN (SELECT absences FROM itemcache.tables WHERE relid = 'descents.marked'::regclass) = 10;
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
SELECT absences FROM itemcache.tables WHERE relid = 'marked'::regclass;
INSERT INTO marked VALUES (5, 'again');
SELECT differing('marked', 'generate_series(0, 21)');

--
-- Kinds of keys and of indexes.
--
CREATE TABLE kinds (id text PRIMARY KEY, a int NOT NULL, b text NOT NULL, c numeric, UNIQUE (a, b) INCLUDE (c));
CREATE UNIQUE INDEX kinds_desc ON kinds (b DESC NULLS FIRST, c DESC);
CREATE UNIQUE INDEX kinds_numeric ON kinds (c NULLS FIRST);
INSERT INTO kinds SELECT repeat('k', g % 7) || g, g % 10, 'b' || g / 10, nullif(g, 77) / 4.0 FROM generate_series(1, 900) g;
SELECT itemcache.attach('kinds', preload => false);
SELECT differing('kinds', 'unnest(ARRAY(SELECT repeat(''k'', g % 7) || g FROM generate_series(-5, 950) g))', 'text');
SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT name, count(*) FILTER (WHERE NOT same) AS differing, count(*) FILTER (WHERE same IS NULL) AS absent
FROM (SELECT 'pair' AS name, (SELECT i.id FROM kinds i WHERE i.a = g % 10 AND i.b = 'b' || g / 10) = repeat('k', g % 7) || g AS same
	  FROM generate_series(-5, 950) g
	  UNION ALL
	  SELECT 'desc', itemcache.get_by(NULL::kinds, '{b,c}', ROW('b' || g / 10, g / 4.0)) = i FROM generate_series(-5, 950) g
	  LEFT JOIN kinds i ON i.id = repeat('k', g % 7) || g
	  UNION ALL
	  SELECT 'numeric', (SELECT i.id FROM kinds i WHERE i.c = g / 4.00000) = repeat('k', g % 7) || g FROM generate_series(-5, 950) g) x
GROUP BY name ORDER BY name COLLATE "C";
SET itemcache.transparent = off;

--
-- The statistics count what a scan would: searches, and the entries they found.
--
CREATE TABLE counted (id int PRIMARY KEY, v text);
INSERT INTO counted SELECT 2 * g, 'v' || g FROM generate_series(1, 100) g;
SELECT itemcache.attach('counted', preload => false);
SELECT count(itemcache.get(NULL::counted, k)) FROM generate_series(1, 200) k;
DO $$ BEGIN PERFORM pg_stat_force_next_flush(); END $$;
SELECT idx_scan, idx_tup_read, idx_tup_fetch FROM pg_stat_user_indexes WHERE indexrelname = 'counted_pkey';

--
-- An index that is built anew in a savepoint that is rolled back, while a statement searches it.
--
CREATE FUNCTION rebuild() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	REINDEX INDEX plain_pkey;
	RAISE SQLSTATE 'RB000';
EXCEPTION WHEN SQLSTATE 'RB000' OR object_in_use THEN
	RETURN 0;
END $$;
SELECT itemcache.clear('plain');
SELECT count(*) FILTER (WHERE (itemcache.get(NULL::plain, g + CASE WHEN g % 20 = 0 THEN rebuild() ELSE 0 END)).id = g), count(*)
FROM generate_series(-100, 100) g;

DROP SCHEMA descents CASCADE;
