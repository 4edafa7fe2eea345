-- The direct update of a put: a row that the cache has is updated without a search
-- for it, with all that the statement does; where more has to be done, the
-- statement does it.  searches() says how often the primary key was searched.

CREATE FUNCTION searches(call text, index text DEFAULT 'direct_pkey') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := coalesce(pg_stat_get_xact_numscans(index::regclass), 0);
BEGIN
	EXECUTE call;
	RETURN coalesce(pg_stat_get_xact_numscans(index::regclass), 0) - before;
END $$;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % %: % to %', TG_WHEN, TG_OP, TG_LEVEL, OLD, NEW;
	RETURN coalesce(NEW, OLD);
END $$;

CREATE TABLE direct (id int PRIMARY KEY, v text, n int CHECK (n > 0));
INSERT INTO direct SELECT g, 'v' || g, g FROM generate_series(1, 10) g;
SELECT itemcache.attach('direct', preload => false);

\set warm 'SELECT count(itemcache.get(NULL::direct, g)) FROM generate_series(1, 9) g'

-- A row that is not cached, one that is; one that does not change is locked
SELECT searches($$SELECT itemcache.put(ROW(1, 'new', 1)::direct)$$) AS not_cached;
SELECT searches($$SELECT itemcache.put(ROW(1, 'newer', 1)::direct)$$) AS cached;
SELECT searches($$SELECT itemcache.put(ROW(1, 'newer', 1)::direct)$$) AS no_change;
SELECT searches($$SELECT itemcache.put(ROW(11, 'not there', 1)::direct)$$) AS not_there;
SELECT searches($$SELECT itemcache.put(ROW(11, 'inserted', 1)::direct)$$) AS inserted_before;
SELECT itemcache.delete(NULL::direct, 11);
SELECT searches($$SELECT itemcache.put(ROW(11, 'not there', 1)::direct)$$) AS deleted_before;
SELECT id, itemcache.get(NULL::direct, id) FROM generate_series(1, 3) id;
BEGIN;
SELECT searches($$SELECT itemcache.put_many(array_agg(ROW(g, 'many', g)::direct)) FROM generate_series(5, 0, -1) g WHERE g > 0$$) AS two_of_five;
SELECT * FROM direct WHERE id <= 5 ORDER BY id;
SELECT * FROM helper.check('direct', 0, 12);
ROLLBACK;
SELECT * FROM helper.check('direct', 0, 12);
SELECT itemcache.put_many(array_agg(ROW(g, 'many', g)::direct)) FROM generate_series(1, 40) g;
BEGIN;
SELECT searches($$SELECT itemcache.put_many(array_agg(ROW(g, 'all', g)::direct)) FROM generate_series(1, 40) g$$) AS none;
SELECT count(*), min(v), max(v) FROM direct;
COMMIT;
SELECT * FROM helper.check('direct', 0, 42);
SELECT hits AS before, misses AS misses_before FROM itemcache.tables WHERE relid = 'direct'::regclass \gset
SELECT searches($$SELECT itemcache.put(ROW(1, 'no lookup', 1)::direct)$$) AS cached;
SELECT hits - :before AS no_hits, misses - :misses_before AS no_misses FROM itemcache.tables WHERE relid = 'direct'::regclass;

-- Isolation levels, and a transaction's own writes
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT searches($$SELECT itemcache.put(ROW(1, 'repeatable read', 1)::direct)$$) AS repeatable_read;
SELECT searches($$SELECT itemcache.put(ROW(1, 'again', 1)::direct)$$) AS own_write;
SELECT searches($$SELECT itemcache.put(ROW(2, 'another', 1)::direct)$$) AS another;
SELECT v FROM direct WHERE id = 1;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT searches($$SELECT itemcache.put(ROW(1, 'serializable', 1)::direct)$$) AS serializable;
COMMIT;
SELECT * FROM helper.check('direct', 0, 42);
BEGIN;
SAVEPOINT a;
SELECT itemcache.put(ROW(2, 'rolled back', 1)::direct);
ROLLBACK TO a;
SELECT itemcache.put(ROW(2, 'after', 1)::direct);
COMMIT;
SELECT * FROM helper.check('direct', 0, 42);
-- a file of its own
BEGIN;
DELETE FROM direct WHERE id BETWEEN 3 AND 38;
CLUSTER direct USING direct_pkey;
SELECT itemcache.put(ROW(40, 'clustered', 1)::direct), itemcache.put(ROW(3, 'clustered', 1)::direct);
SELECT * FROM direct ORDER BY id;
ROLLBACK;
BEGIN;
TRUNCATE direct;
SELECT itemcache.put(ROW(40, 'truncated', 1)::direct);
SELECT * FROM direct ORDER BY id;
ROLLBACK;
SELECT * FROM helper.check('direct', 0, 42);

-- Constraints: the statement's errors, and nothing is done
:warm;
SELECT itemcache.put(ROW(1, 'x', 0)::direct);
SELECT itemcache.put_many(ARRAY[ROW(1, 'x', 1), ROW(2, 'x', 0)]::direct[]);
ALTER TABLE direct ALTER v SET NOT NULL;
:warm;
SELECT itemcache.put(ROW(1, NULL, 1)::direct);
ALTER TABLE direct ALTER v DROP NOT NULL;
CREATE UNIQUE INDEX direct_n ON direct (n) WHERE n > 100;
:warm;
SELECT itemcache.put(ROW(1, 'x', 101)::direct);
SELECT itemcache.put(ROW(2, 'x', 101)::direct);
SELECT * FROM direct WHERE id <= 2 ORDER BY id;
SELECT * FROM helper.check('direct', 0, 42);

-- Indexes: entries where they are wanted
CREATE INDEX direct_v ON direct (v);
CREATE INDEX direct_brin ON direct USING brin (n) WITH (pages_per_range = 1);
:warm;
SELECT searches($$SELECT itemcache.put(ROW(4, 'indexed', 44)::direct)$$) AS all_indexes, searches($$SELECT 1$$) AS nothing;
SELECT searches($$SELECT itemcache.put(ROW(4, 'indexed', 45)::direct)$$) AS summarizing;
SET enable_seqscan = off;
SELECT * FROM direct WHERE v = 'indexed';
SELECT * FROM direct WHERE n = 45;
RESET enable_seqscan;
DROP INDEX direct_v, direct_brin, direct_n;

-- AFTER triggers see both versions, after all rows; statement triggers fire as ever
CREATE TRIGGER a AFTER INSERT OR UPDATE ON direct FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER b BEFORE INSERT OR UPDATE ON direct FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER c AFTER INSERT OR UPDATE ON direct FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER d AFTER UPDATE OF id ON direct FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER e AFTER UPDATE ON direct FOR EACH ROW WHEN (OLD.n IS DISTINCT FROM NEW.n) EXECUTE FUNCTION tell();
:warm;
SELECT searches($$SELECT itemcache.put_many(ARRAY[ROW(5, 'triggers', 5), ROW(6, 'triggers', 66)]::direct[])$$) AS after_triggers;
ALTER TABLE direct DISABLE TRIGGER a;
:warm;
SELECT searches($$SELECT itemcache.put(ROW(5, 'disabled', 5)::direct)$$) AS disabled;
DROP TRIGGER a ON direct;
DROP TRIGGER b ON direct;
DROP TRIGGER c ON direct;
DROP TRIGGER d ON direct;
DROP TRIGGER e ON direct;
SELECT * FROM helper.check('direct', 0, 42);

-- BEFORE triggers and transition tables are the statement's
CREATE TRIGGER a BEFORE INSERT ON direct FOR EACH ROW EXECUTE FUNCTION tell();
:warm;
SELECT searches($$SELECT itemcache.put(ROW(5, 'before insert', 5)::direct)$$) AS before_insert;
DROP TRIGGER a ON direct;
CREATE TRIGGER a BEFORE UPDATE ON direct FOR EACH ROW EXECUTE FUNCTION tell();
:warm;
SELECT searches($$SELECT itemcache.put(ROW(5, 'before update', 5)::direct)$$) AS before_update;
DROP TRIGGER a ON direct;
CREATE FUNCTION tell_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '%', (SELECT string_agg(format('%s to %s', old_row, new_row), ', ' ORDER BY id) FROM old_rows old_row JOIN new_rows new_row USING (id));
	RETURN NULL;
END $$;
CREATE TRIGGER a AFTER UPDATE ON direct REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_all();
:warm;
SELECT searches($$SELECT itemcache.put_many(ARRAY[ROW(5, 'transition', 5), ROW(6, 'transition', 6)]::direct[])$$) AS transition;
DROP TRIGGER a ON direct;
SELECT * FROM helper.check('direct', 0, 42);

-- Row security is the statement's
CREATE ROLE regress_direct;
GRANT ALL ON direct TO regress_direct;
ALTER TABLE direct ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON direct TO regress_direct USING (id <> 7) WITH CHECK (n <> 13);
:warm;
SET ROLE regress_direct;
SELECT searches($$SELECT itemcache.put(ROW(6, 'allowed', 6)::direct)$$) AS row_security;
SELECT itemcache.put(ROW(7, 'hidden', 7)::direct);
SELECT itemcache.put(ROW(6, 'checked', 13)::direct);
RESET ROLE;
SELECT searches($$SELECT itemcache.put(ROW(6, 'owner', 6)::direct)$$) AS owner;
SELECT searches($$SELECT itemcache.put(ROW(6, 'owner again', 6)::direct)$$) AS owner_again;
ALTER TABLE direct DISABLE ROW LEVEL SECURITY;
-- privileges
REVOKE UPDATE ON direct FROM regress_direct;
GRANT UPDATE (v) ON direct TO regress_direct;
:warm;
SET ROLE regress_direct;
SELECT itemcache.put(ROW(6, 'not allowed', 6)::direct);
RESET ROLE;
DROP OWNED BY regress_direct;
DROP ROLE regress_direct;

-- Foreign keys of both sides, and unique constraints that are checked later
CREATE TABLE direct_kind (kind int PRIMARY KEY);
INSERT INTO direct_kind VALUES (1), (2);
CREATE TABLE direct_refers (id int PRIMARY KEY, kind int REFERENCES direct_kind, nr int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE direct_referred (nr int REFERENCES direct_refers (id));
SELECT itemcache.attach('direct_refers', preload => false);
INSERT INTO direct_refers VALUES (1, 1, 1), (2, 1, 2);
INSERT INTO direct_referred VALUES (1);
SELECT itemcache.get(NULL::direct_refers, id) FROM generate_series(1, 2) id;
SELECT searches($$SELECT itemcache.put(ROW(1, 2, 1)::direct_refers)$$, 'direct_refers_pkey') AS foreign_keys;
SELECT itemcache.put(ROW(1, 3, 1)::direct_refers);
SELECT searches($$SELECT itemcache.put_many(ARRAY[ROW(1, 2, 2), ROW(2, 2, 1)]::direct_refers[])$$, 'direct_refers_pkey') AS exchanged;
SELECT itemcache.put(ROW(1, 2, 1)::direct_refers);
SELECT * FROM direct_refers ORDER BY id;
SELECT * FROM helper.check('direct_refers', 0, 3);

-- Generated columns and identities; columns that were dropped and added; lengths; long values
CREATE TABLE direct_all (gone int, id int PRIMARY KEY, code varchar(4), twice text GENERATED ALWAYS AS (code || code) STORED,
	nr int GENERATED ALWAYS AS IDENTITY, amount numeric(6,2), long text);
ALTER TABLE direct_all DROP gone;
SELECT itemcache.attach('direct_all', preload => false);
SELECT itemcache.put(ROW(1, 'a', NULL, NULL, 1, 'x')::direct_all);
SELECT searches($$SELECT itemcache.put(ROW(1, 'b', 'not this', 1, 1.005, 'x')::direct_all)$$, 'direct_all_pkey') AS generated;
SELECT * FROM direct_all;
SELECT searches($$SELECT itemcache.put(ROW(1, 'c', NULL, 5, 1, 'x')::direct_all)$$, 'direct_all_pkey') AS another_identity;
SELECT searches($$SELECT itemcache.put(ROW(1, 'd', NULL, NULL, 1, 'x')::direct_all)$$, 'direct_all_pkey') AS no_identity;
SELECT * FROM direct_all;
ALTER TABLE direct_all ADD added text DEFAULT 'added';
SELECT itemcache.get(NULL::direct_all, 1);
SET default_toast_compression = pglz;	-- the default of some majors is another
SELECT searches($$SELECT itemcache.put(ROW(1, 'e', NULL, 1, 1, string_agg(md5(i::text), ''), 'kept')::direct_all) FROM generate_series(1, 1000) i$$, 'direct_all_pkey') AS long;
SELECT searches($$SELECT itemcache.put(ROW(1, 'f', NULL, 1, 1, string_agg(md5(i::text), ''), 'kept')::direct_all) FROM generate_series(1, 1000) i$$, 'direct_all_pkey') AS long_kept;
SELECT id, code, twice, nr, amount, length(long), added, pg_column_compression(long) FROM direct_all;
SELECT * FROM helper.check('direct_all', 0, 2);

-- Keys that are equal, but not alike; of several columns; long ones; computed ones
CREATE TABLE direct_numeric (id numeric, k text, v text, PRIMARY KEY (id, k));
SELECT itemcache.attach('direct_numeric', preload => false);
SELECT itemcache.put(ROW(1.0, repeat('key', 500), 'first')::direct_numeric);
SELECT searches($$SELECT itemcache.put(ROW(1.0, repeat('key', 500), 'alike')::direct_numeric)$$, 'direct_numeric_pkey') AS alike;
SELECT searches($$SELECT itemcache.put(ROW(1.00, repeat('key', 500), 'equal')::direct_numeric)$$, 'direct_numeric_pkey') AS equal;
SELECT id, length(k), v FROM direct_numeric;
SELECT itemcache.put(ROW(NULL, 'x', 'null')::direct_numeric);
CREATE TABLE direct_computed (n int, id int GENERATED ALWAYS AS (n / 2) STORED PRIMARY KEY, v text);
SELECT itemcache.attach('direct_computed', preload => false);
SELECT itemcache.put(ROW(2, NULL, 'one')::direct_computed), itemcache.put(ROW(4, NULL, 'two')::direct_computed);
SELECT itemcache.put(ROW(2, 2, 'still one')::direct_computed);
SELECT * FROM direct_computed ORDER BY id;
CREATE TABLE direct_key (id int PRIMARY KEY);
SELECT itemcache.attach('direct_key', preload => false);
SELECT itemcache.put(ROW(1)::direct_key), itemcache.put(ROW(1)::direct_key);

-- A generated column that depends on the key only (how it is written, the majors differ in)
CREATE TABLE direct_from_key (id int PRIMARY KEY, v text, g int GENERATED ALWAYS AS (id * 10) STORED);
SELECT itemcache.attach('direct_from_key', preload => false);
SELECT itemcache.put(ROW(1, 'one', NULL)::direct_from_key), itemcache.put(ROW(2, 'two', NULL)::direct_from_key);
SELECT itemcache.put_many(ARRAY[ROW(1, 'still one', 5), ROW(2, 'still two', 5)]::direct_from_key[]);
SELECT * FROM direct_from_key ORDER BY id;
SELECT * FROM helper.check('direct_from_key', 0, 3);

-- A deferrable unique constraint on the key's columns is no reason to fail, cached or not
CREATE TABLE direct_twice (id int UNIQUE DEFERRABLE, v int);
ALTER TABLE direct_twice ADD PRIMARY KEY (id);
SELECT itemcache.attach('direct_twice', preload => false);
SELECT itemcache.put(ROW(1, 1)::direct_twice), itemcache.put(ROW(2, 1)::direct_twice);
SELECT searches($$SELECT itemcache.put(ROW(1, 2)::direct_twice)$$, 'direct_twice_pkey') AS cached;
SELECT itemcache.clear('direct_twice');
SELECT itemcache.put_many(ARRAY[ROW(1, 3), ROW(2, 3), ROW(3, 3)]::direct_twice[]);
SELECT * FROM direct_twice ORDER BY id;

-- What a CHECK does to the table's indexes is refused, as by the statement
CREATE FUNCTION drop_index(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DROP INDEX IF EXISTS direct_dropped_v'; RETURN true; END $$;
CREATE TABLE direct_dropped (id int PRIMARY KEY, v int);
CREATE INDEX direct_dropped_v ON direct_dropped (v);
INSERT INTO direct_dropped VALUES (1, 1);
ALTER TABLE direct_dropped ADD CHECK (v = 1 OR drop_index(v));
SELECT itemcache.attach('direct_dropped', preload => false);
SELECT itemcache.put(ROW(1, 2)::direct_dropped);
SELECT itemcache.get(NULL::direct_dropped, 1);
SELECT itemcache.put(ROW(1, 2)::direct_dropped);

-- A partition by itself
CREATE TABLE direct_parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE direct_part PARTITION OF direct_parts FOR VALUES FROM (1) TO (10);
SELECT itemcache.attach('direct_parts', preload => false);
SELECT itemcache.put(ROW(1, 'root')::direct_parts);
SELECT searches($$SELECT itemcache.put(ROW(1, 'leaf')::direct_part)$$, 'direct_part_pkey') AS leaf;
SELECT itemcache.put(ROW(10, 'leaf')::direct_part);
SELECT itemcache.get(NULL::direct_parts, 1), itemcache.get(NULL::direct_part, 1);

DROP TABLE direct, direct_refers, direct_kind, direct_referred, direct_all, direct_numeric, direct_computed, direct_key, direct_parts, direct_from_key, direct_twice, direct_dropped;
DROP FUNCTION drop_index, searches, tell, tell_all;
