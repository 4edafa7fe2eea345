-- What can be attached and what cannot, and that the trigger is the registration.

CREATE SCHEMA att;
SET search_path = att;

--
-- Refused, each with its reason
--
CREATE TABLE nokey (id int, v text);
CREATE TABLE uniq (id int UNIQUE, v text);
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, v text);
CREATE TABLE deferred_key (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
CREATE TEMPORARY TABLE temporary_table (id int PRIMARY KEY, v text);
CREATE VIEW view_of AS SELECT * FROM uniq;
CREATE MATERIALIZED VIEW matview_of AS SELECT * FROM uniq;
CREATE SEQUENCE sequence_of;
CREATE TYPE composite_of AS (id int, v text);
CREATE FOREIGN DATA WRAPPER att_wrapper;
CREATE SERVER att_server FOREIGN DATA WRAPPER att_wrapper;
CREATE FOREIGN TABLE foreign_of (id int, v text) SERVER att_server;
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child () INHERITS (parent);
CREATE ACCESS METHOD att_am TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE other_method (id int PRIMARY KEY, v text) USING att_am;
CREATE TABLE part_nokey (id int, v text) PARTITION BY LIST (id);

\x on
\pset format unaligned
SELECT r.rel, e.*
FROM unnest(ARRAY['nokey', 'uniq', 'deferrable_key', 'deferred_key',
				  'temporary_table', 'view_of', 'matview_of', 'sequence_of',
				  'composite_of', 'uniq_id_key', 'foreign_of', 'parent',
				  'part_nokey', 'pg_class', 'pg_catalog.pg_database',
				  'information_schema.sql_features', 'no_such_table']) r(rel),
	 helper.try(format('SELECT itemcache.attach(%L)', r.rel)) e;
-- nor can they be loaded
SELECT r.rel, e.*
FROM unnest(ARRAY['nokey', 'deferrable_key', 'temporary_table', 'view_of',
				  'matview_of', 'sequence_of', 'composite_of', 'uniq_id_key',
				  'foreign_of', 'part_nokey', 'pg_class']) r(rel),
	 helper.try(format('SELECT itemcache.preload(%L)', r.rel)) e;
\x off
\pset format aligned
-- toast tables are nobody's
DO $$
BEGIN
	PERFORM itemcache.attach(reltoastrelid::regclass) FROM pg_class WHERE oid = 'nokey'::regclass;
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE '% %', SQLSTATE, regexp_replace(SQLERRM, '\d+', 'N');
END
$$;
-- another method than "heap" may be refused; nothing of the above was attached
SELECT e.code, e.message, e.detail, e.hint FROM helper.try('SELECT itemcache.attach(''other_method'')') e;
SELECT relid, state FROM itemcache.tables;
SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace IN ('att'::regnamespace, 'pg_catalog'::regnamespace);

-- NULL is nothing to be attached
SELECT itemcache.attach(to_regclass('typo'));
SELECT itemcache.attach('parent', NULL);
SELECT itemcache.detach(NULL);
SELECT itemcache.preload(NULL);
SELECT itemcache.clear(NULL);

--
-- Not by another than the owner
--
CREATE ROLE regress_itemcache_owner;
CREATE ROLE regress_itemcache_other;
GRANT USAGE, CREATE ON SCHEMA att TO regress_itemcache_owner, regress_itemcache_other;
CREATE TABLE owned (id int PRIMARY KEY, v text);
ALTER TABLE owned OWNER TO regress_itemcache_owner;
GRANT ALL ON owned TO regress_itemcache_other;
SET ROLE regress_itemcache_other;
SELECT itemcache.attach('owned');
SELECT itemcache.detach('owned');
RESET ROLE;
SET ROLE regress_itemcache_owner;
SELECT itemcache.attach('owned');
SELECT itemcache.get(NULL::owned, 1);
SELECT relid, state FROM itemcache.tables;
RESET ROLE;
SET ROLE regress_itemcache_other;
SELECT itemcache.detach('owned');
RESET ROLE;
SELECT relid, state FROM itemcache.tables;
SET ROLE regress_itemcache_owner;
SELECT itemcache.detach('owned');
RESET ROLE;
DROP TABLE owned;

--
-- The trigger is the registration
--
CREATE TABLE items (id int PRIMARY KEY, v text);
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 10) g;
SELECT itemcache.attach('items');
SELECT pg_get_triggerdef(oid) AS trigger, tgenabled FROM pg_trigger WHERE tgrelid = 'items'::regclass;
SELECT relid, leaf_of, state, served, preload, cache_new FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 11);
SELECT * FROM helper.check('items', 1, 11);

-- again, with other options: changed, and not doubled
SELECT itemcache.attach('items', preload => false);
SELECT relid, state, preload, cache_new FROM itemcache.tables;
SELECT itemcache.attach('items', false, false);
SELECT relid, state, preload, cache_new FROM itemcache.tables;
SELECT pg_get_triggerdef(oid) AS trigger, tgenabled FROM pg_trigger WHERE tgrelid = 'items'::regclass;
SELECT * FROM helper.check('items', 1, 11);
SELECT * FROM helper.check('items', 1, 11);
-- without cache_new, inserted rows wait for their first reader
INSERT INTO items VALUES (11, 'v11');
SELECT * FROM helper.check('items', 11, 11);
SELECT * FROM helper.check('items', 11, 11);
SELECT itemcache.attach('items');
INSERT INTO items VALUES (12, 'v12');
SELECT * FROM helper.check('items', 12, 12);

-- the options are the latest call's, defaults included
SELECT relid, state, preload, cache_new FROM itemcache.tables;

-- what was disabled is not served, says why, and is repaired by attach
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items DISABLE TRIGGER itemcache;
SELECT state, served FROM itemcache.tables;
UPDATE items SET v = 'silent' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items ENABLE TRIGGER itemcache;
SELECT state, served FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items ENABLE REPLICA TRIGGER itemcache;
SELECT state, served FROM itemcache.tables;
UPDATE items SET v = 'silent 2' WHERE id = 2;
SELECT * FROM helper.check('items', 1, 3);
SELECT itemcache.attach('items');
SELECT state, served FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 3);
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items DISABLE TRIGGER ALL;
UPDATE items SET v = 'silent 3' WHERE id = 3;
SELECT state FROM itemcache.tables;
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
SELECT state FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 3);
SELECT * FROM helper.check('items', 1, 3);

-- renamed, it is still ours
ALTER TRIGGER itemcache ON items RENAME TO renamed;
SELECT state FROM itemcache.tables;
UPDATE items SET v = 'renamed' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 3);
SELECT itemcache.attach('items');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'items'::regclass;
UPDATE items SET v = 'renamed back' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 3);

-- detached: gone from the view, answered from the table
SELECT itemcache.detach('items');
SELECT relid FROM itemcache.tables;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'items'::regclass;
UPDATE items SET v = 'detached' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 3);
SELECT itemcache.detach('items');

-- attached again: nothing of the past is served
SELECT itemcache.attach('items');
SELECT * FROM helper.check('items', 1, 3);
SELECT * FROM helper.check('items', 1, 3);

-- rolled back, it did not happen
BEGIN;
SELECT itemcache.detach('items');
UPDATE items SET v = 'never' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 3);
ROLLBACK;
SELECT * FROM helper.check('items', 1, 3);
SELECT itemcache.detach('items');
BEGIN;
SELECT itemcache.attach('items');
SELECT * FROM helper.check('items', 1, 3);
ROLLBACK;
SELECT relid FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 3);

--
-- A trigger that calls our function in any other form is not an attachment (A12)
--
CREATE FUNCTION forms() RETURNS TABLE (state text, differing text, hits bigint) LANGUAGE sql AS
$$
	SELECT (SELECT t.state FROM itemcache.tables t WHERE relid = 'att.items'::regclass),
		   c.differing, c.hits
	FROM helper.check('att.items', 1, 3), helper.check('att.items', 1, 3) c
$$;
CREATE TRIGGER itemcache AFTER INSERT OR UPDATE OR DELETE ON items
	FOR EACH ROW WHEN (pg_trigger_depth() < 0) EXECUTE FUNCTION itemcache.track('true', 'true');
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
UPDATE items SET v = 'form 1' WHERE id = 1;
SELECT * FROM forms();
DROP TRIGGER itemcache ON items;
CREATE TRIGGER itemcache AFTER INSERT OR UPDATE OF id OR DELETE ON items
	FOR EACH ROW EXECUTE FUNCTION itemcache.track('true', 'true');
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
UPDATE items SET v = 'form 2' WHERE id = 1;
SELECT * FROM forms();
DROP TRIGGER itemcache ON items;
CREATE TRIGGER itemcache AFTER INSERT OR DELETE ON items
	FOR EACH ROW EXECUTE FUNCTION itemcache.track('true', 'true');
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
UPDATE items SET v = 'form 3' WHERE id = 1;
SELECT * FROM forms();
DROP TRIGGER itemcache ON items;
CREATE TRIGGER itemcache AFTER INSERT OR UPDATE OR DELETE ON items
	FOR EACH STATEMENT EXECUTE FUNCTION itemcache.track('true', 'true');
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
UPDATE items SET v = 'form 4' WHERE id = 1;
SELECT * FROM forms();
DROP TRIGGER itemcache ON items;
CREATE TRIGGER itemcache BEFORE INSERT OR UPDATE OR DELETE ON items
	FOR EACH ROW EXECUTE FUNCTION itemcache.track('true', 'true');
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
UPDATE items SET v = 'form 5' WHERE id = 1;
SELECT * FROM forms();
DROP TRIGGER itemcache ON items;
CREATE CONSTRAINT TRIGGER itemcache AFTER INSERT OR UPDATE OR DELETE ON items
	DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION itemcache.track('true', 'true');
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
UPDATE items SET v = 'form 6' WHERE id = 1;
SELECT * FROM forms();
DROP TRIGGER itemcache ON items;
CREATE TRIGGER itemcache AFTER INSERT OR UPDATE OR DELETE ON items
	FOR EACH ROW EXECUTE FUNCTION itemcache.track('nonsense');
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
UPDATE items SET v = 'form 7' WHERE id = 1;
SELECT * FROM forms();
-- attach repairs any of them
SELECT itemcache.attach('items');
SELECT pg_get_triggerdef(oid) AS trigger, tgenabled FROM pg_trigger WHERE tgrelid = 'items'::regclass;
SELECT * FROM forms();
DROP TRIGGER itemcache ON items;
CREATE CONSTRAINT TRIGGER itemcache AFTER INSERT OR UPDATE OR DELETE ON items
	DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION itemcache.track('true', 'true');
SELECT itemcache.attach('items');
SELECT * FROM forms();
SELECT itemcache.detach('items');

-- somebody else's trigger of that name is left alone
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER itemcache AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT code, message, hint FROM helper.try('SELECT itemcache.attach(''att.items'')');
SELECT code, message FROM helper.try('SELECT itemcache.detach(''att.items'')');
SELECT tgname, tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'items'::regclass;
DROP TRIGGER itemcache ON items;

-- the trigger function is not to be called
SELECT itemcache.track();

--
-- What can change after attach
--
SELECT itemcache.attach('items');
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items DROP CONSTRAINT items_pkey;
SELECT state, served FROM itemcache.tables;
SELECT code, message, hint FROM helper.try('SELECT itemcache.get(NULL::att.items, 1)');
UPDATE items SET v = 'no key' WHERE id = 1;
ALTER TABLE items ADD PRIMARY KEY (id);
SELECT state FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 3);
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
SELECT state, served FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (v);
UPDATE items SET id = 20 WHERE v = 'v4';
SELECT state FROM itemcache.tables;
SELECT itemcache.get(NULL::items, 'v4'), itemcache.get(NULL::items, '4');
ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id);
SELECT * FROM helper.check('items', 1, 20);
SELECT * FROM helper.check('items', 1, 20);
ALTER TABLE items SET UNLOGGED;
SELECT * FROM helper.check('items', 1, 3);
SELECT * FROM helper.check('items', 1, 3);
SELECT state FROM itemcache.tables;
ALTER TABLE items SET LOGGED;
SELECT * FROM helper.check('items', 1, 3);
-- children that come later are not its items: get() is SELECT FROM ONLY
CREATE TABLE items_child () INHERITS (items);
INSERT INTO items_child VALUES (100, 'child');
SELECT itemcache.get(NULL::items, 100);
SELECT count(*) FROM helper.check('items', 1, 3);
DROP TABLE items_child;
-- a copy of the table is not attached
CREATE TABLE items_copy (LIKE items INCLUDING ALL);
SELECT relid FROM itemcache.tables;
-- names are not remembered
ALTER TABLE items RENAME TO items2;
ALTER TABLE items2 SET SCHEMA public;
SELECT relid, state FROM itemcache.tables;
UPDATE public.items2 SET v = 'moved' WHERE id = 1;
SELECT itemcache.get(NULL::public.items2, 1);
ALTER TABLE public.items2 SET SCHEMA att;
ALTER TABLE items2 RENAME TO items;

--
-- The extension goes, and comes back
--
SELECT * FROM helper.check('items', 1, 3);
\set VERBOSITY terse
DROP EXTENSION itemcache;
\set VERBOSITY default
SET client_min_messages = warning;
DROP EXTENSION itemcache CASCADE;
RESET client_min_messages;
UPDATE items SET v = 'without the extension' WHERE id = 1;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'items'::regclass;
CREATE EXTENSION itemcache;
SELECT relid FROM itemcache.tables;
SELECT * FROM helper.check('items', 1, 3);
SELECT itemcache.attach('items');
SELECT * FROM helper.check('items', 1, 3);
SELECT * FROM helper.check('items', 1, 3);
-- in one transaction
BEGIN;
SET LOCAL client_min_messages = warning;
UPDATE items SET v = 'before the drop' WHERE id = 2;
DROP EXTENSION itemcache CASCADE;
UPDATE items SET v = 'after the drop' WHERE id = 3;
CREATE EXTENSION itemcache;
SELECT itemcache.attach('items');
UPDATE items SET v = 'after all' WHERE id = 4;
SELECT differing FROM helper.check('items', 1, 10);
COMMIT;
SELECT differing, present FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);

-- dropped while attached
DROP TABLE items;
SELECT relid FROM itemcache.tables;

SET client_min_messages = warning;
DROP SCHEMA att CASCADE;
DROP TABLE IF EXISTS temporary_table;
DROP FOREIGN DATA WRAPPER att_wrapper CASCADE;
DROP ACCESS METHOD att_am CASCADE;
DROP ROLE regress_itemcache_owner, regress_itemcache_other;
