-- Who may look up, attach and see what: as the table's own privileges and policies say.

CREATE SCHEMA priv;
SET search_path = priv;
CREATE ROLE regress_itemcache_owner;
CREATE ROLE regress_itemcache_reader;
CREATE ROLE regress_itemcache_nobody;
CREATE ROLE regress_itemcache_columns;
CREATE ROLE regress_itemcache_monitor IN ROLE pg_monitor;
CREATE ROLE regress_itemcache_bypass BYPASSRLS;
GRANT USAGE, CREATE ON SCHEMA priv TO regress_itemcache_owner;
GRANT USAGE ON SCHEMA priv TO PUBLIC;

SET ROLE regress_itemcache_owner;
CREATE TABLE items (id int PRIMARY KEY, tenant text, v text);
INSERT INTO items SELECT g, CASE WHEN g % 2 = 0 THEN 'even' ELSE 'odd' END, 'v' || g FROM generate_series(1, 6) g;
SELECT itemcache.attach('items');
GRANT SELECT ON items TO regress_itemcache_reader, regress_itemcache_bypass;
GRANT SELECT (id, v) ON items TO regress_itemcache_columns;
CREATE TABLE other (id int PRIMARY KEY, v text);
SELECT itemcache.attach('other');
SELECT * FROM helper.check('items', 1, 7);
SELECT * FROM helper.check('items', 1, 7);
RESET ROLE;

--
-- SELECT on the table is what it takes, cached or not
--
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::items, 1);
SELECT count(*) FROM itemcache.get_many(NULL::items, ARRAY[1, 2]);
SELECT * FROM helper.check('items', 1, 7);
SELECT itemcache.get(NULL::other, 1);
SET ROLE regress_itemcache_nobody;
SELECT itemcache.get(NULL::items, 1);
SELECT * FROM itemcache.get_many(NULL::items, ARRAY[1, 2]);
SELECT itemcache.get(NULL::items, 99);		-- absent, and still
SELECT itemcache.get(NULL::items, NULL);
SELECT * FROM itemcache.get_many(NULL::items, '{}'::bigint[]);
SET itemcache.enabled = off;
SELECT itemcache.get(NULL::items, 1);
RESET itemcache.enabled;
-- a whole row takes every column
SET ROLE regress_itemcache_columns;
SELECT itemcache.get(NULL::items, 1);
SELECT (itemcache.get(NULL::items, 1)).v;
RESET ROLE;
GRANT SELECT (tenant) ON priv.items TO regress_itemcache_columns;
SET ROLE regress_itemcache_columns;
SELECT itemcache.get(NULL::items, 1);
RESET ROLE;
-- privileges are asked for again when they change, in the middle of a transaction, and for the role of the moment
BEGIN;
SET LOCAL ROLE regress_itemcache_reader;
SELECT (itemcache.get(NULL::items, 1)).v;
RESET ROLE;
REVOKE SELECT ON items FROM regress_itemcache_reader;
SET LOCAL ROLE regress_itemcache_reader;
SELECT (itemcache.get(NULL::items, 1)).v;
ROLLBACK;
SET ROLE regress_itemcache_reader;
SELECT (itemcache.get(NULL::items, 1)).v;
PREPARE p AS SELECT (itemcache.get(NULL::items, 1)).v;
EXECUTE p;
SET ROLE regress_itemcache_nobody;
EXECUTE p;
SET ROLE regress_itemcache_reader;
EXECUTE p;
RESET ROLE;
REVOKE SELECT ON items FROM regress_itemcache_reader;
SET ROLE regress_itemcache_reader;
EXECUTE p;
RESET ROLE;
GRANT regress_itemcache_owner TO regress_itemcache_reader;
SET ROLE regress_itemcache_reader;
EXECUTE p;
RESET ROLE;
REVOKE regress_itemcache_owner FROM regress_itemcache_reader;
SET ROLE regress_itemcache_reader;
EXECUTE p;
RESET ROLE;
GRANT SELECT ON items TO regress_itemcache_reader;
DEALLOCATE p;

-- SECURITY DEFINER lends its owner's privileges, inside it only
CREATE FUNCTION by_definer(k int) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = priv
	AS 'SELECT (itemcache.get(NULL::items, k)).v';
CREATE FUNCTION by_definer_pl(k int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = priv
	AS 'BEGIN RETURN (itemcache.get(NULL::items, k)).v; END';
CREATE FUNCTION by_invoker(k int) RETURNS text LANGUAGE sql SET search_path = priv
	AS 'SELECT (itemcache.get(NULL::items, k)).v';
CREATE FUNCTION by_nobody(k int) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = priv
	AS 'SELECT (itemcache.get(NULL::items, k)).v';
ALTER FUNCTION by_nobody OWNER TO regress_itemcache_nobody;
SET ROLE regress_itemcache_nobody;
SELECT by_definer(1), by_definer_pl(2);
SELECT by_invoker(1);
SELECT by_definer(1), (itemcache.get(NULL::items, 1)).v;
SET ROLE regress_itemcache_reader;
SELECT by_definer(1), by_invoker(1);
SELECT by_nobody(1);
RESET ROLE;
-- functions called in a view run as who asks, as any function in a view
CREATE VIEW through_view AS SELECT k, (itemcache.get(NULL::items, k)).v FROM generate_series(1, 3) k;
GRANT SELECT ON through_view TO regress_itemcache_nobody, regress_itemcache_reader;
SET ROLE regress_itemcache_reader;
SELECT * FROM through_view;
SET ROLE regress_itemcache_nobody;
SELECT * FROM through_view;
RESET ROLE;
-- USAGE on the schema is asked for by the name of the type, as in SELECT
REVOKE USAGE ON SCHEMA priv FROM PUBLIC;
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::priv.items, 1);
RESET ROLE;
GRANT USAGE ON SCHEMA priv TO PUBLIC;

--
-- Row-level security
--
CREATE POLICY even_only ON items TO regress_itemcache_reader USING (tenant = 'even');
CREATE POLICY by_setting ON items TO regress_itemcache_columns USING (tenant = current_setting('priv.tenant', true));
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION visible() RETURNS TABLE (role name, cached int[], really int[]) LANGUAGE sql AS
$$
	SELECT current_user,
		   (SELECT array_agg((itemcache.get(NULL::priv.items, k)).id ORDER BY k) FROM generate_series(1, 6) k
			WHERE itemcache.get(NULL::priv.items, k) IS NOT NULL),
		   (SELECT array_agg(id ORDER BY id) FROM priv.items WHERE id + 0 > 0)
$$;
SELECT * FROM helper.check('items', 1, 7);
SET ROLE regress_itemcache_owner;
SELECT * FROM visible();
SELECT * FROM helper.check('items', 1, 7);
SET ROLE regress_itemcache_bypass;
SELECT * FROM visible();
SELECT * FROM helper.check('items', 1, 7);
SET ROLE regress_itemcache_reader;
SELECT * FROM visible();
SELECT * FROM helper.check('items', 1, 7);
SELECT id, v FROM itemcache.get_many(NULL::items, ARRAY[1, 2, 3, 4, NULL, 2]);
SET ROLE regress_itemcache_columns;
SELECT * FROM visible();
SET priv.tenant = 'odd';
SELECT * FROM visible();
SET priv.tenant = 'even';
SELECT * FROM visible();
RESET ROLE;
-- forced upon the owner, too
ALTER TABLE items FORCE ROW LEVEL SECURITY;
SET ROLE regress_itemcache_owner;
SELECT * FROM visible();
RESET ROLE;
SELECT * FROM visible();
ALTER TABLE items NO FORCE ROW LEVEL SECURITY;
-- changed policies, and row_security = off
ALTER POLICY even_only ON items USING (id < 3);
SET ROLE regress_itemcache_reader;
SELECT * FROM visible();
SET row_security = off;
SELECT itemcache.get(NULL::items, 1);
RESET row_security;
RESET ROLE;
-- own writes under row security
GRANT UPDATE ON items TO regress_itemcache_reader;
BEGIN;
SET LOCAL ROLE regress_itemcache_reader;
UPDATE items SET v = 'own' WHERE id < 5;
SELECT (itemcache.get(NULL::items, 1)).v, (itemcache.get(NULL::items, 4)).v;
ROLLBACK;
ALTER TABLE items DISABLE ROW LEVEL SECURITY;
SET ROLE regress_itemcache_reader;
SELECT * FROM visible();
RESET ROLE;
-- row security of a partitioned table is that of the table asked
CREATE TABLE rooms (id int PRIMARY KEY, tenant text) PARTITION BY RANGE (id);
CREATE TABLE rooms_1 PARTITION OF rooms FOR VALUES FROM (0) TO (10);
INSERT INTO rooms VALUES (1, 'odd'), (2, 'even');
SELECT itemcache.attach('rooms');
GRANT SELECT ON rooms TO regress_itemcache_reader;
ALTER TABLE rooms_1 ENABLE ROW LEVEL SECURITY;		-- without a policy: nothing, but only when asked itself
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::rooms, 1), itemcache.get(NULL::rooms, 2);
SELECT itemcache.get(NULL::rooms, 1), itemcache.get(NULL::rooms, 2);
SELECT itemcache.get(NULL::rooms_1, 1);
RESET ROLE;
GRANT SELECT ON rooms_1 TO regress_itemcache_reader;
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::rooms_1, 1);
RESET ROLE;
CREATE POLICY even_only ON rooms USING (tenant = 'even');
ALTER TABLE rooms ENABLE ROW LEVEL SECURITY;
ALTER TABLE rooms_1 DISABLE ROW LEVEL SECURITY;
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::rooms, 1), itemcache.get(NULL::rooms, 2);
SELECT itemcache.get(NULL::rooms_1, 1);
RESET ROLE;
-- columns with the names that a query for one row might use itself
CREATE TABLE names (id int PRIMARY KEY, t text, x int, r int, i int, names int, items int, k int);
INSERT INTO names VALUES (1, 't', 2, 3, 4, 5, 6, 7);
SELECT itemcache.attach('names');
ALTER TABLE names ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON names USING (t = 't');
GRANT SELECT ON names TO regress_itemcache_reader;
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::names, 1), itemcache.get(NULL::names, 2);
RESET ROLE;
-- a table renamed, and another put in its place, between two lookups under row security
ALTER TABLE names RENAME TO names_old;
CREATE TABLE names (id int PRIMARY KEY, other text);
INSERT INTO names VALUES (1, 'another table');
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::names_old, 1);
RESET ROLE;
CREATE SCHEMA priv_2;
GRANT USAGE ON SCHEMA priv_2 TO PUBLIC;
ALTER TABLE names_old SET SCHEMA priv_2;
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::priv_2.names_old, 1);
RESET ROLE;
ALTER SCHEMA priv_2 RENAME TO priv_3;
CREATE SCHEMA priv_2;
GRANT USAGE ON SCHEMA priv_2 TO PUBLIC;
CREATE TABLE priv_2.names_old (id int PRIMARY KEY, other text);
INSERT INTO priv_2.names_old VALUES (1, 'another schema');
SET ROLE regress_itemcache_reader;
SELECT itemcache.get(NULL::priv_3.names_old, 1);
RESET ROLE;

--
-- A policy that renames the schema and looks up in the same table, while a lookup
-- runs its query
--
SELECT format('GRANT CREATE ON DATABASE %I TO regress_itemcache_owner', current_database()) \gexec
CREATE SCHEMA priv_moving AUTHORIZATION regress_itemcache_owner;
SET ROLE regress_itemcache_owner;
CREATE TABLE priv_moving.secured (id int PRIMARY KEY, v text);
INSERT INTO priv_moving.secured SELECT i, 'v' || i FROM generate_series(1, 4) i;
SELECT itemcache.attach('priv_moving.secured');
CREATE FUNCTION priv_moving.moves(id int) RETURNS boolean LANGUAGE plpgsql SET search_path = priv AS $$
BEGIN
	IF id = 2 THEN
		ALTER SCHEMA priv_moving RENAME TO priv_moved;
		PERFORM itemcache.get(NULL::priv_moved.secured, 1);
		PERFORM itemcache.get(NULL::priv_moved.secured, 3);
	END IF;
	RETURN true;
END $$;
CREATE POLICY moves ON priv_moving.secured USING (priv_moving.moves(id));
ALTER TABLE priv_moving.secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT * FROM itemcache.get_many(NULL::priv_moving.secured, ARRAY[1, 2]);
SELECT * FROM itemcache.get_many(NULL::priv_moved.secured, ARRAY[1, 3, 4]);
DROP SCHEMA priv_moved CASCADE;
RESET ROLE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_itemcache_owner', current_database()) \gexec

--
-- The rest belongs to owners
--
SET ROLE regress_itemcache_reader;
SELECT itemcache.attach('items');
SELECT itemcache.detach('items');
SELECT itemcache.clear('items');
SELECT itemcache.clear();
SELECT code, message FROM helper.try('SELECT itemcache.preload(''priv.items'')');
SET ROLE regress_itemcache_nobody;
SELECT itemcache.preload('items');
SELECT itemcache.clear('items');
SET ROLE regress_itemcache_owner;
SELECT itemcache.clear('items');
SELECT itemcache.preload('items');
SELECT itemcache.clear();
RESET ROLE;
SELECT itemcache.clear();

--
-- The views
--
SET ROLE regress_itemcache_reader;
SELECT relid, state FROM itemcache.tables ORDER BY relid::text COLLATE "C";
SELECT count(*) FROM itemcache.stats;
SELECT count(*) >= 0 FROM itemcache.preload_progress;
SELECT itemcache.stats_get() IS NOT NULL;
SELECT itemcache.preload_progress_get() IS NOT NULL;
SET ROLE regress_itemcache_nobody;
SELECT relid FROM itemcache.tables;
SET ROLE regress_itemcache_monitor;
SELECT relid, state FROM itemcache.tables ORDER BY relid::text COLLATE "C";
SELECT count(*) FROM itemcache.stats;
SELECT count(*) >= 0 AS readable FROM itemcache.preload_progress;
SELECT itemcache.get(NULL::items, 1);
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA priv, priv_2, priv_3 CASCADE;
DROP ROLE regress_itemcache_owner, regress_itemcache_reader, regress_itemcache_nobody,
	regress_itemcache_columns, regress_itemcache_monitor, regress_itemcache_bypass;
