-- get_by() and get_many_by(): the row of a value of any unique index, as a SELECT would find it.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE SCHEMA by_key;
SET itemcache.transparent = off;
SET search_path = by_key, helper, public;

CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE, name citext UNIQUE, code numeric UNIQUE, token uuid UNIQUE,
					tenant int, slug text, nick varchar, serial bigint UNIQUE, short smallint UNIQUE, fixed char(8) UNIQUE,
					gone boolean NOT NULL, "odd {name}" int UNIQUE, UNIQUE (tenant, slug));
CREATE UNIQUE INDEX users_nick ON users (lower(nick)) WHERE NOT gone;
CREATE UNIQUE INDEX users_sum ON users ((id + 0), (tenant * 1000));
CREATE UNIQUE INDEX users_live ON users (email) WHERE NOT gone AND tenant > 0;
INSERT INTO users
SELECT g, 'user' || g, 'Name' || g, g + 0.50, md5(g::text)::uuid, g % 5, 'slug' || g / 5, 'Nick' || g / 2,
	   g * 10000000000, g, 'f' || g, g % 2 = 1, g
FROM generate_series(1, 100) g;
SELECT itemcache.attach('users');

-- Look up each of a number of keys; what differs from the rows that have them,
-- and how it was answered.
CREATE FUNCTION by_check(columns text, key text, condition text, OUT differing text, OUT present bigint,
						 OUT hits bigint, OUT misses bigint, OUT bypasses bigint) LANGUAGE plpgsql AS $$
DECLARE
	before record;
	after record;
BEGIN
	SELECT * INTO before FROM helper.counts('users');
	EXECUTE format('SELECT string_agg(concat(g, '': '', c, '' instead of '', r), ''; '' ORDER BY g) FILTER (WHERE c IS DISTINCT FROM r), count(r)
					FROM (SELECT g, itemcache.get_by(NULL::users, %L, %s)::text AS c, (SELECT u::text FROM users u WHERE %s) AS r
						  FROM generate_series(1, 10) g OFFSET 0) x', columns, key, condition)
		INTO differing, present;
	SELECT * INTO after FROM helper.counts('users');
	hits := after.hits - before.hits;
	misses := after.misses - before.misses;
	bypasses := after.bypasses - before.bypasses;
END $$;
CREATE TABLE questions (n int, columns text, key text, condition text);
INSERT INTO questions VALUES
	(1, 'id', 'g', 'u.id = g'),
	(2, 'email', '''user'' || g', 'u.email = ''user'' || g'),
	(3, '{email}', '(''user'' || g)::varchar', 'u.email = ''user'' || g'),
	(4, 'name', '''nAME'' || g', 'u.name = (''nAME'' || g)::citext'),
	(5, 'code', '(g + 0.5)::text', 'u.code = g + 0.5'),
	(6, 'token', 'md5(g::text)::uuid', 'u.token = md5(g::text)::uuid'),
	(7, '{tenant,slug}', 'ROW(g % 5, ''slug'' || g / 5)', 'u.tenant = g % 5 AND u.slug = ''slug'' || g / 5'),
	(8, '{tenant,slug}', 'format(''(%s,slug%s)'', g % 5, g / 5)', 'u.tenant = g % 5 AND u.slug = ''slug'' || g / 5'),
	(9, '{tenant,slug}', 'ROW((g % 5)::bigint, ''slug'' || g / 5)', 'u.tenant = g % 5 AND u.slug = ''slug'' || g / 5'),
	(10, 'serial', 'g * 10000000000', 'u.serial = g * 10000000000'),
	(11, 'short', 'g', 'u.short = g'),
	(12, 'short', 'g + 1000000', 'u.short = g + 1000000'),
	(13, 'fixed', '''f'' || g', 'u.fixed = ''f'' || g'),
	(14, 'lower(nick::text) WHERE NOT gone', '''nick'' || g', 'lower(u.nick) = ''nick'' || g AND NOT u.gone'),
	(15, '{lower((nick)::text)} WHERE (NOT gone)', '''nick'' || g', 'lower(u.nick) = ''nick'' || g AND NOT u.gone'),
	(16, '{(id + 0),(tenant * 1000)}', 'ROW(g, g % 5 * 1000)', 'u.id + 0 = g AND u.tenant * 1000 = g % 5 * 1000'),
	(17, 'email WHERE NOT gone AND tenant > 0', '''user'' || g', 'u.email = ''user'' || g AND NOT u.gone AND u.tenant > 0'),
	(18, '{"odd {name}"}', 'g', 'u."odd {name}" = g'),
	(19, 'odd {name}', 'g', 'u."odd {name}" = g');
-- the first lookup of a value reads the table, the next one does not
SELECT n, columns, c.* FROM questions, by_check(columns, key, condition) c ORDER BY n;
SELECT n, columns, c.* FROM questions, by_check(columns, key, condition) c ORDER BY n;
-- while rows change and values move
UPDATE users SET email = 'x' || id, name = 'x' || id WHERE id <= 3;
UPDATE users SET email = 'user3' WHERE id = 1;
UPDATE users SET gone = NOT gone WHERE id IN (4, 8, 12);
DELETE FROM users WHERE id IN (5, 10);
SELECT n, columns, c.differing, c.present FROM questions, by_check(columns, key, condition) c ORDER BY n;
-- (whether it is known that a char(n) is absent depends on the minor release)
SELECT n, columns, c.* FROM questions, by_check(columns, key, condition) c WHERE columns <> 'fixed' ORDER BY n;
-- written by the transaction itself; rolled back
BEGIN;
UPDATE users SET email = 'mine' WHERE id = 20;
SELECT (itemcache.get_by(NULL::users, 'email', 'mine')).id, (itemcache.get_by(NULL::users, 'email', 'user20')).id;
SAVEPOINT s;
UPDATE users SET email = 'user20' WHERE id = 21;
SELECT (itemcache.get_by(NULL::users, 'email', 'mine')).id, (itemcache.get_by(NULL::users, 'email', 'user20')).id;
ROLLBACK TO s;
SELECT (itemcache.get_by(NULL::users, 'email', 'mine')).id, (itemcache.get_by(NULL::users, 'email', 'user20')).id;
ROLLBACK;
SELECT (itemcache.get_by(NULL::users, 'email', 'mine')).id, (itemcache.get_by(NULL::users, 'email', 'user20')).id;
-- SERIALIZABLE
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM answered('users', $$SELECT itemcache.get_by(NULL::users, 'email', 'user20')$$);
COMMIT;

--
-- many
--
SELECT g.id, g.email FROM itemcache.get_many_by(NULL::users, 'email', ARRAY['user20', NULL, 'nobody', 'user7', 'user20']) g;
SELECT g.id, g.name FROM itemcache.get_many_by(NULL::users, 'name', ARRAY['NAME20', NULL, 'nobody', 'name7', 'name20']) g;
SELECT g.id, g.name FROM itemcache.get_many_by(NULL::users, 'name', ARRAY['NAME20', NULL, 'nobody', 'name7', 'name20']) g;
SELECT g.id FROM itemcache.get_many_by(NULL::users, '{tenant,slug}', ARRAY[ROW(0, 'slug4'), ROW(1, NULL), ROW(2, 'slug4')]) g;
SELECT g.id FROM itemcache.get_many_by(NULL::users, 'short', ARRAY[20, 7, 1000000]) g;
SELECT g.id FROM itemcache.get_many_by(NULL::users, 'token', ARRAY[md5('20')::uuid, md5('x')::uuid]) g;
SELECT g.id FROM itemcache.get_many_by(NULL::users, 'lower(nick::text) WHERE NOT gone', ARRAY['nick9', 'Nick9', 'nick10']) g;
SELECT count(*) FROM itemcache.get_many_by(NULL::users, 'email', NULL::text[]);
SELECT count(*) FROM itemcache.get_many_by(NULL::users, 'email', '{}'::text[]);
-- more than a batch
SELECT count(*), count(g.id), bool_and(g.email = 'user' || g.id) FROM itemcache.get_many_by(NULL::users, 'email', ARRAY(SELECT 'user' || i FROM generate_series(11, 300) i)) g;
SELECT * FROM answered('users', $$SELECT * FROM itemcache.get_many_by(NULL::users, 'email', ARRAY(SELECT 'user' || i FROM generate_series(11, 300) i))$$);

--
-- NULL, and what is an error
--
SELECT itemcache.get_by(NULL::users, 'email', NULL);
SELECT itemcache.get_by(NULL::users, '{tenant,slug}', ROW(1, NULL));
SELECT c.call, t.* FROM unnest(ARRAY[
	$$SELECT itemcache.get_by(NULL::users, NULL, 'user1')$$,
	$$SELECT * FROM itemcache.get_many_by(NULL::users, NULL, ARRAY['user1'])$$,
	$$SELECT itemcache.get_by(NULL::users, 'nick', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, 'EMAIL', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, '', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, '{}', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, '{NULL}', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, '{email', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, '{email} and more', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, 'email WHERE gone', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, 'lower(nick::text)', 'user1')$$,
	$$SELECT itemcache.get_by(NULL::users, '{slug,tenant}', ROW('slug1', 1))$$,
	$$SELECT itemcache.get_by(NULL::users, '{tenant,slug}', 1)$$,
	$$SELECT itemcache.get_by(NULL::users, '{tenant,slug}', ROW(1, 'a', 2))$$,
	$$SELECT itemcache.get_by(NULL::users, 'short', 'one')$$,
	$$SELECT itemcache.get_by(NULL::users, 'email', md5('1')::uuid)$$,
	$$SELECT itemcache.get_by(NULL::users, '{(id + 0),(tenant * 1000)}', ROW(1, true))$$,
	$$SELECT itemcache.get_by(1, 'email', 'user1')$$]) c(call), helper.try(c.call) t;
-- of what is no key: not unique, deferrable, an exclusion constraint, another meaning of "equal", not valid
CREATE TABLE others (id int PRIMARY KEY, a int, b int, c int, d text COLLATE "C", e int);
CREATE INDEX ON others (a);
ALTER TABLE others ADD UNIQUE (b) DEFERRABLE;
ALTER TABLE others ADD EXCLUDE USING btree (c WITH =);
CREATE UNIQUE INDEX ON others (d COLLATE "POSIX");
INSERT INTO others SELECT g, g, g, g, g, g / 2 FROM generate_series(1, 10) g;
CREATE UNIQUE INDEX CONCURRENTLY others_e ON others (e);
SELECT itemcache.attach('others');
SELECT c, (helper.try(format('SELECT itemcache.get_by(NULL::others, %L, 1)', c))).* FROM unnest(ARRAY['a', 'b', 'c', 'd', 'e']) c;
-- a table that is not attached, and one that has no primary key
CREATE TABLE plain (id int PRIMARY KEY, v text UNIQUE);
INSERT INTO plain VALUES (1, 'one');
SELECT itemcache.get_by(NULL::plain, 'v', 'one');
CREATE TABLE keyless (v text UNIQUE);
SELECT * FROM try($$SELECT itemcache.get_by(NULL::keyless, 'v', 'one')$$);

--
-- Indexes come and go, columns are renamed; the columns that are named decide each time
--
CREATE TABLE changing (id int PRIMARY KEY, v text, w text);
INSERT INTO changing SELECT g, 'v' || g, 'w' || g FROM generate_series(1, 3) g;
SELECT itemcache.attach('changing');
PREPARE by_v AS SELECT itemcache.get_by(NULL::changing, 'v', 'v2');
SELECT * FROM try('EXECUTE by_v');
CREATE UNIQUE INDEX changing_v ON changing (v);
EXECUTE by_v;
EXECUTE by_v;
ALTER TABLE changing RENAME v TO x;
SELECT * FROM try('EXECUTE by_v');
ALTER TABLE changing RENAME w TO v;
ALTER TABLE changing RENAME x TO w;
SELECT * FROM try('EXECUTE by_v');
CREATE UNIQUE INDEX changing_v2 ON changing (v);
EXECUTE by_v;
UPDATE changing SET v = 'v2' WHERE id = 3;
EXECUTE by_v;
DROP INDEX changing_v2;
SELECT * FROM try('EXECUTE by_v');
CREATE UNIQUE INDEX changing_v2 ON changing (v);
REINDEX INDEX CONCURRENTLY changing_v2;
EXECUTE by_v;
ALTER TABLE changing ALTER v TYPE int USING id;
SELECT * FROM try('EXECUTE by_v');
SELECT itemcache.get_by(NULL::changing, 'v', 3);
-- one call site, several keys
SELECT c, itemcache.get_by(NULL::changing, c, k) FROM (VALUES ('v', '3'), ('w', 'v2'), ('id', '1'), ('v', '1')) t(c, k);
-- which leave nothing behind, however often they take turns
CREATE FUNCTION memory() RETURNS numeric LANGUAGE sql AS 'SELECT sum(total_bytes) FROM pg_catalog.pg_backend_memory_contexts';
SELECT count(g), max(bytes) - min(bytes) < 1000000 AS in_bounds
FROM (SELECT itemcache.get_by(NULL::users, CASE i % 2 WHEN 0 THEN '{tenant,slug}' ELSE 'email' END,
							  CASE i % 2 WHEN 0 THEN '(0,slug4)' ELSE 'user20' END) AS g,
			 CASE WHEN i IN (2000, 20000) THEN memory() END AS bytes
	  FROM generate_series(1, 20000) i OFFSET 0) x;
-- an expression is named in the search_path of the moment
CREATE SCHEMA one CREATE TABLE dummy (id int);
CREATE FUNCTION one.norm(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT pg_catalog.upper($1)';
CREATE UNIQUE INDEX changing_norm ON changing (one.norm(w));
SELECT * FROM try($$SELECT itemcache.get_by(NULL::changing, 'norm(w)', 'V1')$$);
SELECT itemcache.get_by(NULL::changing, 'one.norm(w)', 'V1');
SET search_path = one, by_key, helper, public;
SELECT itemcache.get_by(NULL::changing, 'norm(w)', 'V1');
SET search_path = by_key, helper, public;
SELECT * FROM try($$SELECT itemcache.get_by(NULL::changing, 'norm(w)', 'V1')$$);
-- also where a statement of another search_path has named it by what is kept for other columns (c44 has the
-- same place there)
CREATE SCHEMA two;
CREATE FUNCTION two.norm(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT pg_catalog.reverse($1)';
CREATE TABLE named (id int PRIMARY KEY, w text, c44 text UNIQUE);
CREATE UNIQUE INDEX ON named (one.norm(w));
CREATE UNIQUE INDEX ON named (two.norm(w));
INSERT INTO named VALUES (1, 'ab', 'x'), (2, 'BA', 'y');
\c -
SET client_min_messages = warning;
SET itemcache.transparent = off;
SET search_path = one, by_key, helper, public;
SELECT itemcache.get_by(NULL::named, 'c44', 'x');
SELECT c, itemcache.get_by(NULL::named, c, k) FROM (VALUES ('c44', 'y'), ('norm(w)', 'AB')) t(c, k);
SET search_path = two, by_key, helper, public;
SELECT itemcache.get_by(NULL::named, 'norm(w)', 'AB');
SET search_path = by_key, helper, public;

--
-- Privileges and row security are those of the statement
--
CREATE ROLE by_key_reader;
CREATE ROLE by_key_columns;
GRANT USAGE ON SCHEMA by_key, one TO by_key_reader, by_key_columns;
SET ROLE by_key_reader;
SELECT * FROM try($$SELECT itemcache.get_by(NULL::changing, 'w', 'v1')$$);
RESET ROLE;
GRANT SELECT ON changing TO by_key_reader;
GRANT SELECT (id, v) ON changing TO by_key_columns;
SET ROLE by_key_reader;
SELECT itemcache.get_by(NULL::changing, 'w', 'v1'), itemcache.get_by(NULL::changing, 'one.norm(w)', 'V1');
SET ROLE by_key_columns;
SELECT * FROM try($$SELECT itemcache.get_by(NULL::changing, 'v', 1)$$);
RESET ROLE;
GRANT SELECT (w) ON changing TO by_key_columns;
SET ROLE by_key_columns;
SELECT itemcache.get_by(NULL::changing, 'v', 1);
RESET ROLE;
-- a function of the index takes EXECUTE, cached or not
REVOKE EXECUTE ON FUNCTION one.norm FROM PUBLIC;
SET ROLE by_key_reader;
SELECT * FROM try($$SELECT itemcache.get_by(NULL::changing, 'one.norm(w)', 'V1')$$);
SELECT itemcache.get_by(NULL::changing, 'w', 'v1');
RESET ROLE;
GRANT EXECUTE ON FUNCTION one.norm TO PUBLIC;
-- and USAGE on its schema
REVOKE USAGE ON SCHEMA one FROM by_key_reader;
SET ROLE by_key_reader;
SELECT * FROM try($$SELECT itemcache.get_by(NULL::changing, 'one.norm(w)', 'V1')$$);
SELECT * FROM try($$SELECT id FROM changing WHERE one.norm(w) = 'V1'$$);
SELECT itemcache.get_by(NULL::changing, 'w', 'v1');
RESET ROLE;
GRANT USAGE ON SCHEMA one TO by_key_reader;
ALTER TABLE changing ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON changing USING (id > 1);
SET ROLE by_key_reader;
SELECT itemcache.get_by(NULL::changing, 'w', 'v1'), itemcache.get_by(NULL::changing, 'w', 'v2'), itemcache.get_by(NULL::changing, 'one.norm(w)', 'V2');
SELECT * FROM itemcache.get_many_by(NULL::changing, 'w', ARRAY['v1', 'v2']);
SELECT itemcache.get_by(NULL::changing, 'id', 1), itemcache.get_by(NULL::changing, 'id', 2);
RESET ROLE;

--
-- Partitions: by the root's index
--
CREATE TABLE parts (id int, region int, email text, gone boolean, PRIMARY KEY (id, region), UNIQUE (email, region)) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 (gone boolean, region int NOT NULL, email text, id int NOT NULL, x int);
ALTER TABLE parts_2 DROP x;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES IN (2);
CREATE UNIQUE INDEX parts_lower ON parts (lower(email), region) WHERE NOT gone;
INSERT INTO parts SELECT g, 1 + g % 2, 'User' || g, g % 3 = 0 FROM generate_series(1, 20) g;
SELECT itemcache.attach('parts');
SELECT itemcache.get_by(NULL::parts, '{email,region}', ROW('User' || g, r)) FROM generate_series(7, 8) g, generate_series(1, 3) r;
SELECT itemcache.get_by(NULL::parts, '{email,region}', ROW('User' || g, r)) FROM generate_series(7, 8) g, generate_series(1, 3) r;
SELECT * FROM itemcache.get_many_by(NULL::parts, '{lower(email),region} WHERE NOT gone', ARRAY[ROW('user7', 2), ROW('user8', 1), ROW('user9', 2), NULL]);
SELECT itemcache.get_by(NULL::parts_2, '{email,region}', ROW('User7', 2));
SELECT itemcache.get_by(NULL::parts_2, '{email,region}', ROW('User7', 2));
SELECT itemcache.get_by(NULL::parts_2, '{lower(email),region} WHERE NOT gone', ROW('user7', 2));
SELECT * FROM try($$SELECT itemcache.get_by(NULL::parts, 'email', 'User7')$$);
-- a value moves to another partition
UPDATE parts SET region = 2 WHERE id = 8;
SELECT itemcache.get_by(NULL::parts, '{email,region}', ROW('User8', r)) FROM generate_series(1, 2) r;

DROP SCHEMA one, two, by_key CASCADE;
DROP EXTENSION citext;
DROP ROLE by_key_reader, by_key_columns;
