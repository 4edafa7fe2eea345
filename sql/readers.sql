-- What has read a row, or found none, is used again, and holds nothing meanwhile: no statement, table or transaction notices.

CREATE SCHEMA readers;
SET search_path = readers;
SET client_min_messages = warning;

CREATE TABLE items (id int PRIMARY KEY, v text, n int UNIQUE);
INSERT INTO items SELECT g, 'v' || g, g * 10 FROM generate_series(1, 8) g;
SELECT itemcache.attach('items', preload => false);
-- a lookup that reads the table
CREATE FUNCTION look(k int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM itemcache.clear('items');
	RETURN itemcache.get(NULL::items, k);
END $$;
CREATE FUNCTION perform(statement text, query boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := 'done';
BEGIN
	IF query THEN
		EXECUTE statement INTO result;
	ELSE
		EXECUTE statement;
	END IF;
	RETURN coalesce(result, '-');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || regexp_replace(SQLERRM, '\d{5,}', 'N');
END $$;
-- what one statement gives that reads, runs another, and reads again; rolled back
CREATE FUNCTION around(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	DISCARD PLANS;
	PERFORM itemcache.clear('items');
	BEGIN
		EXECUTE format($q$
			SELECT concat_ws(' | ', itemcache.get(NULL::readers.items, 1)::text, itemcache.get(NULL::readers.items, 9)::text,
							 readers.perform(%L), readers.perform('SELECT readers.look(2)', true),
							 readers.perform('SELECT readers.look(9)', true))$q$,
			statement) INTO result;
		RAISE SQLSTATE 'RB000';
	EXCEPTION WHEN SQLSTATE 'RB000' THEN NULL;
	END;
	RETURN result;
END $$;

--
-- In one statement: what may be done to a table that nobody else is using.
--
SELECT m.statement, around(m.statement)
FROM unnest(ARRAY['TRUNCATE items', 'DROP TABLE items', 'ALTER TABLE items ADD COLUMN x int DEFAULT 5',
				  'ALTER TABLE items ALTER v TYPE varchar', 'ALTER TABLE items DROP CONSTRAINT items_pkey',
				  'ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (n)',
				  'REINDEX TABLE items', 'CLUSTER items USING items_pkey', 'LOCK TABLE items',
				  'UPDATE items SET v = ''changed'' WHERE id = 2', 'DELETE FROM items WHERE id = 2',
				  'INSERT INTO items VALUES (9, ''nine'')', 'SELECT 1/0']) m(statement);

--
-- From statement to statement, with what was changed in between.
--
-- the same rows by get() and by a scan
CREATE FUNCTION answers(OUT answers text, OUT scanned text) LANGUAGE plpgsql SET itemcache.transparent = on AS $$
DECLARE
	item readers.items;
BEGIN
	FOR k IN 0..3 LOOP
		answers := concat_ws(' ', answers, coalesce(readers.look(k), '-'));
		PERFORM itemcache.clear('readers.items');
		SELECT * INTO item FROM readers.items WHERE id = k;
		scanned := concat_ws(' ', scanned, CASE WHEN item IS DISTINCT FROM NULL THEN item::text ELSE '-' END);
	END LOOP;
END $$;
SELECT * FROM answers();
ALTER TABLE items ADD COLUMN x int DEFAULT 5;
SELECT * FROM answers();
ALTER TABLE items DROP COLUMN x, ADD COLUMN y text DEFAULT 'why';
SELECT * FROM answers();
ALTER TABLE items ALTER id TYPE bigint;
SELECT * FROM answers();
VACUUM FULL items;
REINDEX TABLE CONCURRENTLY items;
SELECT * FROM answers();
ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (v);
SELECT itemcache.get(NULL::items, 'v' || k) FROM generate_series(0, 2) k;
ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id);
SELECT * FROM answers();
BEGIN;
CREATE UNIQUE INDEX items_again ON items (id);
ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY USING INDEX items_again;
SELECT * FROM answers();
SAVEPOINT a;
ALTER TABLE items ADD COLUMN z int DEFAULT 7;
SELECT * FROM answers();
ROLLBACK TO a;
SELECT * FROM answers();
ROLLBACK;
SELECT * FROM answers();
-- others' tables of the same name
BEGIN;
ALTER TABLE items RENAME TO former;
CREATE TABLE items (v text, id text PRIMARY KEY);
INSERT INTO items VALUES ('other', '1');
SELECT itemcache.attach('items', preload => false);
SELECT itemcache.get(NULL::items, k::text) FROM generate_series(0, 2) k;
SELECT itemcache.get(NULL::former, k) FROM generate_series(0, 2) k;
ROLLBACK;
SELECT * FROM answers();

--
-- Locks that a savepoint took went with it.
--
BEGIN;
SAVEPOINT a;
SELECT * FROM answers();
ROLLBACK TO a;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('items'::regclass, 'items_pkey'::regclass);
SELECT * FROM answers();
SELECT relation::regclass, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND relation IN ('items'::regclass, 'items_pkey'::regclass) ORDER BY 1, 2;
COMMIT;

--
-- Snapshots: each lookup is read with its own, whoever was before it.
--
BEGIN;
DECLARE former CURSOR FOR SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 9) k;
UPDATE items SET v = v || ' changed';
INSERT INTO items VALUES (9, 'nine');
DECLARE now CURSOR FOR SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 9) k;
DELETE FROM items WHERE id > 1;
FETCH 2 FROM former;
FETCH 2 FROM now;
SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 2) k;
FETCH 2 FROM former;
FETCH ALL FROM now;
FETCH ALL FROM former;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM answers();
COMMIT;

--
-- Cursors that are open, and what is done to the table meanwhile.
--
SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT itemcache.clear('items');
BEGIN;
DECLARE by_get CURSOR FOR SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 3) k;
FETCH 1 FROM by_get;
REINDEX TABLE items;
FETCH 1 FROM by_get;
TRUNCATE items;
FETCH 1 FROM by_get;
ROLLBACK;
BEGIN;
-- (a scan has the table, and the index, open as any)
DECLARE by_scan CURSOR FOR SELECT v FROM items WHERE id IN (1, 2, 3);
FETCH 1 FROM by_scan;
SAVEPOINT a;
TRUNCATE items;
ROLLBACK TO a;
FETCH 1 FROM by_scan;
SELECT * FROM answers();
FETCH 1 FROM by_scan;
CLOSE by_scan;
TRUNCATE items;
SELECT * FROM answers();
ROLLBACK;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 3) k;
FETCH 1 FROM held;
COMMIT;
TRUNCATE items;
FETCH ALL FROM held;
CLOSE held;
INSERT INTO items SELECT g, 'v' || g, g * 10 FROM generate_series(1, 8) g;
RESET itemcache.transparent;

--
-- In PL/pgSQL: expressions, transactions in a loop, errors that are caught.
--
CREATE PROCEDURE steps(OUT seen text[]) LANGUAGE plpgsql AS $$
DECLARE
	item text;
	k int;
BEGIN
	FOR k IN SELECT g FROM generate_series(1, 4) g LOOP
		PERFORM itemcache.clear('items');
		item := itemcache.get(NULL::items, k)::text;
		COMMIT;
		EXECUTE 'ALTER TABLE readers.items ADD COLUMN s' || k || ' int';
		seen := seen || item;
		BEGIN
			seen := seen || itemcache.get(NULL::items, k + 4)::text;
			PERFORM 1 / (k - k);
		EXCEPTION WHEN division_by_zero THEN
			seen := seen || itemcache.get(NULL::items, -k)::text;
		END;
		IF k % 2 = 0 THEN
			ROLLBACK;
		END IF;
	END LOOP;
END $$;
CALL steps(NULL);
SELECT * FROM answers();

--
-- More tables, and more keys of one, than there are places.
--
CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE part%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', g, g, g + 1)
FROM generate_series(1, 20) g \gexec
INSERT INTO parts SELECT g, 'v' || g FROM generate_series(1, 20) g;
SELECT itemcache.attach('parts', preload => false);
SELECT bool_and(itemcache.get(NULL::parts, k)::text = format('(%s,v%s)', k, k))
FROM generate_series(1, 3) again, LATERAL (SELECT k, itemcache.clear('parts') FROM generate_series(1, 20) k) x;
SELECT itemcache.clear('items');
SELECT itemcache.get_by(NULL::items, 'n', 10), itemcache.get(NULL::items, 1), itemcache.get_by(NULL::items, 'n', 11),
	   itemcache.get_by(NULL::items, 'n', 20);

SET client_min_messages = error;
DROP SCHEMA readers CASCADE;
