-- What one role has made does not run as another: the extension's objects are its own.

CREATE ROLE regress_itemcache_mallory;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_itemcache_mallory', current_database()) \gexec

-- a schema of ours that somebody made before is not taken over, whatever is in it
SET client_min_messages = warning;
DROP EXTENSION itemcache CASCADE;
RESET client_min_messages;
SELECT to_regnamespace('itemcache');
SET ROLE regress_itemcache_mallory;
CREATE SCHEMA itemcache;
CREATE FUNCTION itemcache.divide(numeric, bigint) RETURNS numeric LANGUAGE plpgsql AS
$$
BEGIN
	IF current_setting('is_superuser') = 'on' THEN
		ALTER ROLE regress_itemcache_mallory SUPERUSER;
	END IF;
	RETURN 1;
END
$$;
CREATE OPERATOR itemcache./ (LEFTARG = numeric, RIGHTARG = bigint, FUNCTION = itemcache.divide);
RESET ROLE;
\set SHOW_CONTEXT never
CREATE EXTENSION itemcache;
\set SHOW_CONTEXT errors
CREATE EXTENSION itemcache SCHEMA itemcache;
SET client_min_messages = warning;
DROP SCHEMA itemcache CASCADE;
RESET client_min_messages;

-- nor is what is found first by somebody's search_path
CREATE SCHEMA traps AUTHORIZATION regress_itemcache_mallory;
SET ROLE regress_itemcache_mallory;
CREATE FUNCTION traps.spring(anyelement) RETURNS anyelement LANGUAGE plpgsql AS
$$
BEGIN
	IF current_setting('is_superuser') = 'on' THEN
		ALTER ROLE regress_itemcache_mallory SUPERUSER;
	END IF;
	RETURN $1;
END
$$;
CREATE FUNCTION traps.numeric_2(numeric, bigint) RETURNS numeric LANGUAGE sql AS 'SELECT traps.spring(1.0)';
CREATE FUNCTION traps.bigint_2(bigint, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT traps.spring(1::bigint)';
CREATE FUNCTION traps.compare(bigint, integer) RETURNS boolean LANGUAGE sql AS 'SELECT traps.spring(true)';
CREATE FUNCTION traps.compare(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT traps.spring(true)';
CREATE FUNCTION traps.differ(record, record) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN traps.spring(true); END';
CREATE FUNCTION traps.round(numeric, integer) RETURNS numeric LANGUAGE sql AS 'SELECT traps.spring(1.0)';
CREATE OPERATOR traps./ (LEFTARG = numeric, RIGHTARG = bigint, FUNCTION = traps.numeric_2);
CREATE OPERATOR traps.* (LEFTARG = numeric, RIGHTARG = bigint, FUNCTION = traps.numeric_2);
CREATE OPERATOR traps.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = traps.bigint_2);
CREATE OPERATOR traps.> (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = traps.compare);
CREATE OPERATOR traps.= (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = traps.compare);
CREATE OPERATOR traps.= (LEFTARG = text, RIGHTARG = text, FUNCTION = traps.compare);
CREATE OPERATOR traps.*<> (LEFTARG = record, RIGHTARG = record, FUNCTION = traps.differ);
CREATE TABLE traps.pg_class (oid oid);
CREATE TYPE traps.record AS (trap text);
RESET ROLE;
SET search_path = traps, pg_catalog;
CREATE EXTENSION itemcache;
CREATE TABLE public.hostile_items (id text PRIMARY KEY, v text) PARTITION BY LIST (id);
CREATE TABLE public.hostile_rest PARTITION OF public.hostile_items DEFAULT;
SELECT itemcache.attach('public.hostile_items');
SELECT itemcache.put(ROW('a', 'b')::public.hostile_items), itemcache.put_many(ARRAY[ROW('a', 'c')]::public.hostile_items[]);
SELECT itemcache.get(NULL::public.hostile_items, 'a');
SET itemcache.enabled = off;
SELECT itemcache.get(NULL::public.hostile_items, 'a');
RESET itemcache.enabled;
SELECT itemcache.preload('public.hostile_items'), itemcache.delete(NULL::public.hostile_items, 'a');
SELECT itemcache.clear(), itemcache.detach('public.hostile_items');
DO $$ BEGIN PERFORM hit_ratio FROM itemcache.stats; PERFORM hit_ratio FROM itemcache.tables; PERFORM percent FROM itemcache.preload_progress; END $$;
RESET search_path;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_itemcache_mallory';

-- the schema belongs to the extension, and goes with it
SELECT pg_describe_object(classid, objid, objsubid) AS member FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND classid = 'pg_namespace'::regclass
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'itemcache');
ALTER EXTENSION itemcache SET SCHEMA public;
SELECT itemcache.attach('public.hostile_items');
DROP EXTENSION itemcache;
SET client_min_messages = warning;
DROP EXTENSION itemcache CASCADE;
RESET client_min_messages;
SELECT to_regnamespace('itemcache');
CREATE EXTENSION itemcache;

-- all that its views call is its own, or PostgreSQL's (on which no dependency is recorded)
SELECT DISTINCT pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS uses
FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
WHERE c.relnamespace = 'itemcache'::regnamespace AND d.refclassid <> 'pg_class'::regclass
ORDER BY 1;

SET client_min_messages = warning;
DROP TABLE hostile_items;
DROP SCHEMA traps CASCADE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_itemcache_mallory', current_database()) \gexec
DROP ROLE regress_itemcache_mallory;
