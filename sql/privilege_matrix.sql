-- What a statement needs, the function that stands for it needs: each privilege taken away in turn, the same SQLSTATE.

CREATE SCHEMA matrix;
CREATE SCHEMA matrix_open;
CREATE ROLE regress_itemcache_owner;
CREATE ROLE regress_itemcache_tester;
GRANT USAGE ON SCHEMA matrix, matrix_open TO regress_itemcache_tester, regress_itemcache_owner;
GRANT CREATE ON SCHEMA matrix TO regress_itemcache_owner;

-- a table, all of whose functions can be taken away
CREATE FUNCTION matrix.for_check(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION matrix.for_generated(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION matrix.for_index(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION matrix.for_policy(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE FUNCTION matrix.for_domain(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE TYPE matrix.ref AS (n int);
CREATE FUNCTION matrix.for_cast(matrix.ref) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1.n; END';
CREATE CAST (matrix.ref AS int) WITH FUNCTION matrix.for_cast AS IMPLICIT;
CREATE TABLE matrix.items (id int PRIMARY KEY, v text, w int CHECK (matrix.for_check(w)),
	g int GENERATED ALWAYS AS (matrix.for_generated(w)) STORED);
CREATE INDEX ON matrix.items (matrix.for_index(v));
INSERT INTO matrix.items SELECT i, 'v' || i, i FROM generate_series(1, 5) i;
ALTER TABLE matrix.items OWNER TO regress_itemcache_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON matrix.items TO regress_itemcache_tester;
CREATE POLICY everything ON matrix.items USING (matrix.for_policy(v));
SELECT itemcache.attach('matrix.items');
SELECT itemcache.preload('matrix.items');
-- a key whose values are checked as they are read
CREATE DOMAIN matrix.positive AS int CHECK (matrix.for_domain(VALUE));
CREATE TYPE matrix.pair AS (a matrix.positive, b int);
CREATE TABLE matrix.pairs (id matrix.pair PRIMARY KEY, v text);
INSERT INTO matrix.pairs VALUES ('(1,2)', 'one');
GRANT SELECT, DELETE ON matrix.pairs TO regress_itemcache_tester;
SELECT itemcache.attach('matrix.pairs');
-- other keys than the primary one, of a column and of an expression
CREATE FUNCTION matrix.for_key(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE TABLE matrix.users (id int PRIMARY KEY, email text UNIQUE);
CREATE UNIQUE INDEX ON matrix.users (matrix.for_key(email));
INSERT INTO matrix.users SELECT i, 'e' || i FROM generate_series(1, 5) i;
GRANT SELECT ON matrix.users TO regress_itemcache_tester;
SELECT itemcache.attach('matrix.users');
SELECT itemcache.preload('matrix.users');
-- where the tester has row types from, without naming the schema
CREATE TABLE matrix_open.carrier (i matrix.items, p matrix.pairs, k matrix.ref);
INSERT INTO matrix_open.carrier VALUES (ROW(1, 'put', 7, NULL), NULL, ROW(1));
CREATE TABLE matrix_open.numbers AS SELECT n FROM generate_series(1, 5) n;
GRANT SELECT ON matrix_open.carrier, matrix_open.numbers TO regress_itemcache_tester, regress_itemcache_owner;

CREATE FUNCTION matrix_open.try(role name, preparation text, statement text) RETURNS text LANGUAGE plpgsql AS
$$
BEGIN
	EXECUTE preparation;
	PERFORM set_config('role', role, true);
	EXECUTE statement;
	RAISE 'undo' USING ERRCODE = 'U0000';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE SQLSTATE WHEN 'U0000' THEN 'ok' ELSE SQLSTATE END;
END
$$;
-- the functions, or what else we do, and the statements they stand for
CREATE TABLE matrix_open.calls (name text PRIMARY KEY, ours text, statement text);
INSERT INTO matrix_open.calls VALUES
	('get', 'SELECT itemcache.get(i, 1) FROM matrix_open.carrier',
		'SELECT t FROM matrix.items t WHERE id = 1'),
	('get by cast', 'SELECT itemcache.get(i, ROW(k)) FROM matrix_open.carrier',
		'SELECT t FROM matrix.items t, matrix_open.carrier WHERE id = k'),
	('get by text', 'SELECT itemcache.get(p, ''(1,2)''::text) FROM matrix_open.carrier',
		'SELECT t FROM matrix.pairs t WHERE id = ''(1,2)''::matrix.pair'),
	('get_many', 'SELECT itemcache.get_many(i, ''{1,2}''::bigint[]) FROM matrix_open.carrier',
		'SELECT t FROM matrix.items t WHERE id = ANY (''{1,2}''::int[])'),
	('preload', format('SELECT itemcache.preload(%s)', 'matrix.items'::regclass::oid),
		'SELECT t FROM matrix.items t'),
	('put', 'SELECT itemcache.put(i) FROM matrix_open.carrier',
		'INSERT INTO matrix.items AS t (id, v, w) VALUES (1, ''put'', 7) ON CONFLICT (id) DO UPDATE SET v = excluded.v, w = excluded.w WHERE ROW(t.v, t.w) <> ROW(excluded.v, excluded.w)'),
	('put_many', 'SELECT itemcache.put_many(ARRAY[i]) FROM matrix_open.carrier',
		'INSERT INTO matrix.items AS t (id, v, w) VALUES (1, ''put'', 7) ON CONFLICT (id) DO UPDATE SET v = excluded.v, w = excluded.w WHERE ROW(t.v, t.w) <> ROW(excluded.v, excluded.w)'),
	('delete', 'SELECT itemcache.delete(i, 1) FROM matrix_open.carrier',
		'DELETE FROM matrix.items WHERE id = 1'),
	('delete by cast', 'SELECT itemcache.delete(i, ROW(k)) FROM matrix_open.carrier',
		'DELETE FROM matrix.items USING matrix_open.carrier WHERE id = k'),
	('delete by text', 'SELECT itemcache.delete(p, ''(1,2)''::text) FROM matrix_open.carrier',
		'DELETE FROM matrix.pairs WHERE id = ''(1,2)''::matrix.pair'),
	('attach', format('SELECT itemcache.attach(%s, false)', 'matrix.items'::regclass::oid),
		'CREATE TRIGGER another AFTER INSERT OR UPDATE OR DELETE ON matrix.items FOR EACH ROW EXECUTE FUNCTION itemcache.track();
		ALTER TABLE matrix.items ENABLE ALWAYS TRIGGER another'),
	('detach', format('SELECT itemcache.detach(%s)', 'matrix.items'::regclass::oid),
		'DROP TRIGGER itemcache ON matrix.items'),
	('clear', format('SELECT itemcache.clear(%s)', 'matrix.items'::regclass::oid),
		'ALTER TABLE matrix.items SET (fillfactor = 50)'),
	('SELECT by key', 'SELECT t FROM matrix.items t WHERE id = 1',
		'SET LOCAL itemcache.transparent = off; SELECT t FROM matrix.items t WHERE id = 1'),
	('SELECT by keys', 'SELECT t FROM matrix.items t WHERE id = ANY (''{1,2}''::int[])',
		'SET LOCAL itemcache.transparent = off; SELECT t FROM matrix.items t WHERE id = ANY (''{1,2}''::int[])'),
	('SELECT by unique', 'SELECT t FROM matrix.users t WHERE email = ''e1''',
		'SET LOCAL itemcache.transparent = off; SELECT t FROM matrix.users t WHERE email = ''e1'''),
	('SELECT by expression', 'SELECT t FROM matrix.users t WHERE matrix.for_key(email) = ''e1''',
		'SET LOCAL itemcache.transparent = off; SELECT t FROM matrix.users t WHERE matrix.for_key(email) = ''e1'''),
	('SELECT by join', 'SELECT t.v FROM matrix.items t, matrix_open.numbers n WHERE t.id = n.n',
		'SET LOCAL itemcache.transparent = off; SELECT t.v FROM matrix.items t, matrix_open.numbers n WHERE t.id = n.n');
-- the SQLSTATE of both, or which is whose
CREATE FUNCTION matrix_open.compare(call text, preparation text, role name DEFAULT 'regress_itemcache_tester') RETURNS text LANGUAGE sql AS
$$
	SELECT CASE WHEN s = o THEN s ELSE format('%s, not %s', o, s) END
	FROM matrix_open.calls, matrix_open.try(role, preparation, statement) s, matrix_open.try(role, preparation, ours) o
	WHERE name = call
$$;
CREATE TABLE matrix_open.missing (n serial, privilege text, preparation text);
INSERT INTO matrix_open.missing (privilege, preparation) VALUES
	('none', 'SELECT'),
	('table: SELECT', 'REVOKE SELECT ON matrix.items, matrix.pairs, matrix.users FROM regress_itemcache_tester'),
	('table: INSERT', 'REVOKE INSERT ON matrix.items FROM regress_itemcache_tester'),
	('table: UPDATE', 'REVOKE UPDATE ON matrix.items FROM regress_itemcache_tester'),
	('table: DELETE', 'REVOKE DELETE ON matrix.items, matrix.pairs FROM regress_itemcache_tester'),
	('column: SELECT of the key', 'REVOKE SELECT ON matrix.items, matrix.pairs, matrix.users FROM regress_itemcache_tester; GRANT SELECT (v, w, g) ON matrix.items TO regress_itemcache_tester;
		GRANT SELECT (v) ON matrix.pairs TO regress_itemcache_tester'),
	('column: SELECT of another', 'REVOKE SELECT ON matrix.items, matrix.pairs, matrix.users FROM regress_itemcache_tester; GRANT SELECT (id, w, g) ON matrix.items TO regress_itemcache_tester;
		GRANT SELECT (id) ON matrix.pairs TO regress_itemcache_tester'),
	('column: INSERT', 'REVOKE INSERT ON matrix.items FROM regress_itemcache_tester; GRANT INSERT (id, w) ON matrix.items TO regress_itemcache_tester'),
	('column: UPDATE', 'REVOKE UPDATE ON matrix.items FROM regress_itemcache_tester; GRANT UPDATE (w) ON matrix.items TO regress_itemcache_tester'),
	('column: none of the table, all', 'REVOKE SELECT, INSERT, UPDATE ON matrix.items, matrix.pairs FROM regress_itemcache_tester;
		GRANT SELECT (id, v, w, g), INSERT (id, v, w), UPDATE (v, w) ON matrix.items TO regress_itemcache_tester; GRANT SELECT (id, v) ON matrix.pairs TO regress_itemcache_tester'),
	('schema: USAGE', 'REVOKE USAGE ON SCHEMA matrix FROM regress_itemcache_tester'),
	('function: of the cast', 'REVOKE EXECUTE ON FUNCTION matrix.for_cast FROM PUBLIC'),
	('function: of the comparison', 'REVOKE EXECUTE ON FUNCTION int4eq, texteq, record_eq FROM PUBLIC'),
	('function: of CHECK', 'REVOKE EXECUTE ON FUNCTION matrix.for_check FROM PUBLIC'),
	('function: of a generated column', 'REVOKE EXECUTE ON FUNCTION matrix.for_generated FROM PUBLIC'),
	('function: of an index', 'REVOKE EXECUTE ON FUNCTION matrix.for_index FROM PUBLIC'),
	('function: of an expression that is a key', 'REVOKE EXECUTE ON FUNCTION matrix.for_key FROM PUBLIC'),
	('function: of a domain', 'REVOKE EXECUTE ON FUNCTION matrix.for_domain FROM PUBLIC'),
	('row security: none', 'ALTER TABLE matrix.items ENABLE ROW LEVEL SECURITY'),
	('function: of a policy', 'ALTER TABLE matrix.items ENABLE ROW LEVEL SECURITY; REVOKE EXECUTE ON FUNCTION matrix.for_policy FROM PUBLIC'),
	('policy', 'ALTER TABLE matrix.items ENABLE ROW LEVEL SECURITY; DROP POLICY everything ON matrix.items'),
	('row_security: off', 'ALTER TABLE matrix.items ENABLE ROW LEVEL SECURITY; SET LOCAL row_security = off'),
	('none of the table, a role that has', 'REVOKE ALL ON matrix.items, matrix.pairs FROM regress_itemcache_tester; REVOKE USAGE ON SCHEMA matrix FROM regress_itemcache_tester;
		GRANT pg_read_all_data TO regress_itemcache_tester');

-- first by a superuser, so that whatever a session keeps is there
SELECT name, matrix_open.compare(name, 'SELECT', current_user) FROM matrix_open.calls ORDER BY name;

-- (where row security is in force there is nothing to preload for the user, who is told so)
SELECT privilege AS missing, matrix_open.compare('get', preparation) AS get, matrix_open.compare('get by cast', preparation) AS by_cast,
	matrix_open.compare('get by text', preparation) AS by_text, matrix_open.compare('get_many', preparation) AS get_many,
	matrix_open.compare('preload', preparation) AS preload
FROM matrix_open.missing ORDER BY n;
SELECT privilege AS missing, matrix_open.compare('put', preparation) AS put, matrix_open.compare('put_many', preparation) AS put_many,
	matrix_open.compare('delete', preparation) AS delete, matrix_open.compare('delete by cast', preparation) AS by_cast,
	matrix_open.compare('delete by text', preparation) AS by_text
FROM matrix_open.missing ORDER BY n;

-- a SELECT that is served from the cache, and not
SET itemcache.transparent = on;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT t.v FROM matrix.items t, matrix_open.numbers n WHERE t.id = n.n;
EXPLAIN (COSTS OFF) SELECT t FROM matrix.users t WHERE matrix.for_key(email) = 'e1';
SELECT privilege AS missing, matrix_open.compare('SELECT by key', preparation) AS by_key,
	matrix_open.compare('SELECT by keys', preparation) AS by_keys, matrix_open.compare('SELECT by join', preparation) AS by_join,
	matrix_open.compare('SELECT by unique', preparation) AS by_unique, matrix_open.compare('SELECT by expression', preparation) AS by_expression
FROM matrix_open.missing ORDER BY n;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET itemcache.transparent;

-- what takes the owner
SELECT role, privilege AS missing, matrix_open.compare('attach', preparation, role) AS attach,
	matrix_open.compare('detach', preparation, role) AS detach, matrix_open.compare('clear', preparation, role) AS clear
FROM unnest(ARRAY['regress_itemcache_owner', 'regress_itemcache_tester']) role, (VALUES
	('none', 'SELECT'),
	('table: all', 'REVOKE ALL ON matrix.items FROM regress_itemcache_owner'),
	('schema: USAGE', 'REVOKE USAGE ON SCHEMA matrix FROM regress_itemcache_owner, regress_itemcache_tester'),
	('function: of the trigger', 'REVOKE EXECUTE ON FUNCTION itemcache.track FROM PUBLIC'),
	('none: member of the owner', 'GRANT regress_itemcache_owner TO regress_itemcache_tester')) x (privilege, preparation);

-- a cast that gives NULL finds no row, as in SELECT
CREATE OR REPLACE FUNCTION matrix.for_cast(matrix.ref) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT i FROM matrix.items i, matrix_open.carrier c WHERE id = c.k;
SELECT itemcache.get(c.i, ROW(c.k)) FROM matrix_open.carrier c;
SELECT m FROM matrix_open.carrier c, itemcache.get_many(c.i, ARRAY[ROW(c.k), ROW(2)]) m;
SELECT itemcache.delete(c.i, ROW(c.k)) FROM matrix_open.carrier c;

SET client_min_messages = warning;
DROP SCHEMA matrix, matrix_open CASCADE;
DROP ROLE regress_itemcache_owner, regress_itemcache_tester;
