-- Aliases that are loaded with the rows: which, by whom, and what becomes of it when indexes and columns change.

CREATE SCHEMA loading;
SET search_path = loading, helper, public;
SET itemcache.transparent = off;

CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE, code numeric UNIQUE, tenant int, slug text, nick varchar,
					gone boolean NOT NULL, UNIQUE (tenant, slug));
CREATE UNIQUE INDEX users_nick ON users (lower(nick)) WHERE NOT gone;
CREATE FUNCTION norm(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT pg_catalog.upper($1)';
CREATE UNIQUE INDEX users_norm ON users (norm(nick));
INSERT INTO users
SELECT g, CASE WHEN g % 10 > 0 THEN 'user' || g END, g + 0.50, g % 5, 'slug' || g / 5, 'Nick' || g, g % 4 = 0
FROM generate_series(1, 1000) g;
CREATE VIEW state AS
SELECT relid, items, aliases, absences, preload_aliases, missing_aliases FROM itemcache.tables WHERE leaf_of IS NULL ORDER BY relid::text;

-- without being told so, none are
SELECT itemcache.attach('users');
SELECT itemcache.preload('users');
SELECT * FROM state;
-- those that are named; a NULL, and a row that is not in a partial index, have none
SELECT itemcache.attach('users', aliases => '{email,"{tenant,slug}","lower(nick::text) WHERE NOT gone"}');
SELECT itemcache.preload('users');
SELECT * FROM state;
SELECT * FROM answered('users', $$SELECT itemcache.get_by(NULL::loading.users, 'email', 'user' || g) FROM generate_series(1, 1000) g WHERE g % 10 > 0$$);
SELECT * FROM answered('users', $$SELECT itemcache.get_by(NULL::loading.users, '{tenant,slug}', ROW(g % 5, 'slug' || g / 5)) FROM generate_series(1, 1000) g$$);
SELECT * FROM answered('users', $$SELECT itemcache.get_by(NULL::loading.users, 'lower(nick::text) WHERE NOT gone', 'nick' || g) FROM generate_series(1, 1000) g WHERE g % 4 > 0$$);
SELECT * FROM answered('users', $$SELECT itemcache.get_by(NULL::loading.users, 'code', (g + 0.5)::text) FROM generate_series(1, 1000) g$$);
-- again: those of rows that are cached already are made as well
SELECT itemcache.clear('users');
SELECT count(itemcache.get(NULL::users, g)) FROM generate_series(1, 1000) g;
SELECT * FROM state;
SELECT itemcache.preload('users');
SELECT * FROM state;
-- the option is as long as the latest call says so; the others are beside it
\d users
SELECT itemcache.attach('users', false, false, '{code}');
SELECT preload, cache_new, preload_aliases FROM itemcache.tables;
SELECT itemcache.attach('users', aliases => '{}');
SELECT preload, cache_new, preload_aliases FROM itemcache.tables;
SELECT itemcache.attach('users', aliases => NULL);
SELECT itemcache.attach('users', aliases => '{id,email,email,"{email}"}');
SELECT preload_aliases FROM itemcache.tables;
-- all, but for those that call functions of the user's
SELECT itemcache.attach('users', aliases => 'all');
SELECT itemcache.preload('users');
SELECT * FROM state;
SELECT c, t.* FROM unnest(ARRAY['{norm(nick::text)}', '{nick}', '{"{email,nick}"}', '{email', 'email', '{NULL,email}']) c,
	try(format('SELECT itemcache.attach(''loading.users'', aliases => %L)', c)) t;
SELECT preload_aliases FROM itemcache.tables;

-- an index that is gone, or a column that is called otherwise: loading goes on without
SELECT itemcache.attach('users', aliases => '{email,code,"{lower(nick::text)} WHERE NOT gone"}');
ALTER TABLE users RENAME email TO mail;
DROP INDEX users_nick;
SELECT itemcache.preload('users');
SELECT * FROM state;
ALTER TABLE users RENAME mail TO email;
CREATE UNIQUE INDEX users_nick ON users (lower(nick)) WHERE NOT gone;
SELECT itemcache.preload('users');
SELECT * FROM state;
-- names of functions are those of now, whoever loads
CREATE FUNCTION loading.lower(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
SET search_path = loading, pg_catalog, helper, public;
SELECT * FROM state;
SELECT itemcache.attach('users', aliases => '{"pg_catalog.lower(nick::text) WHERE NOT gone"}');
SELECT * FROM state;
SET search_path = loading, helper, public;

-- partitions
CREATE TABLE parts (id int, region int, email text, PRIMARY KEY (id, region), UNIQUE (email, region)) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT g, 1 + g % 2, 'User' || g FROM generate_series(1, 100) g;
SELECT itemcache.attach('parts', aliases => '{"{email,region}"}');
SELECT itemcache.preload('parts');
SELECT relid, items, aliases, preload_aliases FROM itemcache.tables WHERE relid <> 'users'::regclass ORDER BY relid::text;
SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT * FROM compare('SELECT * FROM parts WHERE email = ''User7'' AND region = 2');
ALTER TABLE parts RENAME email TO mail;
SELECT itemcache.preload('parts');

SET client_min_messages = warning;
DROP SCHEMA loading CASCADE;
