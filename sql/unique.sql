-- Rows are served by any unique index: a lookup by another key than the primary key follows an alias to the row.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE SCHEMA uniq;
SET search_path = uniq, helper, public;
SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET max_parallel_workers_per_gather = 0;

CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE, name citext UNIQUE, code numeric UNIQUE, day date UNIQUE,
					tenant int, slug text, nick text, deleted boolean NOT NULL, active int, serial bigint,
					UNIQUE (tenant, slug) INCLUDE (active));
CREATE UNIQUE INDEX users_nick ON users (lower(nick)) WHERE NOT deleted;
CREATE UNIQUE INDEX users_serial ON users (serial) WHERE active > 3;
INSERT INTO users
SELECT g, 'user' || g || '@example.com', 'Name' || g, g + 0.50, date '2020-01-01' + g, g % 10, 'slug' || g / 10,
	   'Nick' || g / 2, g % 2 = 1, g % 7, g / 2
FROM generate_series(1, 1000) g WHERE g % 7 <= 3 OR g % 2 = 0;
CREATE TABLE logins (n int, email text, tenant bigint, slug text, nick text, name citext);
INSERT INTO logins
SELECT g, 'user' || g * 3 || '@example.com', g % 12, 'slug' || g, 'nick' || g, 'NAME' || g * 2
FROM generate_series(1, 400) g;
INSERT INTO logins (n) VALUES (0);
VACUUM ANALYZE users, logins;
SELECT itemcache.attach('users');
SELECT itemcache.preload('users');

-- the first lookup of a value makes its alias, the next one follows it
SELECT * FROM plan('SELECT id FROM users WHERE email = ''user8@example.com''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''user8@example.com''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''user8@example.com''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''user8@example.com'' AND active = 1');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''user8@example.com'' AND active = 2');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''nobody''');
SELECT * FROM compare('SELECT * FROM users WHERE email = NULL');
SELECT * FROM compare('SELECT email FROM users WHERE email = ''user8@example.com''');
SELECT * FROM compare('SELECT FROM users WHERE email = ''user8@example.com''');
SELECT * FROM compare('SELECT 1 FROM users WHERE id = 8');
-- EXPLAIN counts them
SELECT helper.explained($$SELECT id FROM users WHERE email = 'user8@example.com'$$) AS plan;
-- other types
SELECT * FROM compare('SELECT * FROM users WHERE day = ''2020-01-09''');
SELECT * FROM compare('SELECT * FROM users WHERE day = ''2020-01-09''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''user8@example.com''::varchar');
-- several columns, another integer type, in any order
SELECT * FROM plan('SELECT id FROM users WHERE slug = ''slug0'' AND tenant = 8::bigint');
SELECT * FROM compare('SELECT * FROM users WHERE slug = ''slug0'' AND tenant = 8::bigint');
SELECT * FROM compare('SELECT * FROM users WHERE slug = ''slug0'' AND tenant = 8::smallint');
SELECT * FROM compare('SELECT * FROM users WHERE slug = ''slug0'' AND tenant = 88888888888');
SELECT * FROM plan('SELECT id FROM users WHERE slug = ''slug0'' AND tenant > 8');

-- values that are equal though their bytes differ are different aliases of one row
SELECT * FROM plan('SELECT id FROM users WHERE name = ''nAME8''');
SELECT * FROM compare('SELECT * FROM users WHERE name = ''nAME8''');
SELECT * FROM compare('SELECT * FROM users WHERE name = ''nAME8''');
SELECT * FROM compare('SELECT * FROM users WHERE name = ''NAME8''');
SELECT * FROM compare('SELECT * FROM users WHERE name = ''NAME8''');
SELECT * FROM compare('SELECT * FROM users WHERE code = 8.5');
SELECT * FROM compare('SELECT * FROM users WHERE code = 8.5');
SELECT * FROM compare('SELECT * FROM users WHERE code = 8.5000');
SELECT * FROM compare('SELECT * FROM users WHERE code = 8.5000');

-- an expression and a predicate: the row has to satisfy both
SELECT * FROM plan('SELECT id FROM users WHERE lower(nick) = ''nick4'' AND NOT deleted');
SELECT * FROM compare('SELECT * FROM users WHERE lower(nick) = ''nick4'' AND NOT deleted');
SELECT * FROM compare('SELECT * FROM users WHERE lower(nick) = ''nick4'' AND NOT deleted');
SELECT * FROM compare('SELECT active FROM users WHERE lower(nick) = ''nick4'' AND NOT deleted');
SELECT * FROM compare('SELECT * FROM users WHERE lower(nick) = ''nick4'' AND NOT deleted AND active = 2');
SELECT * FROM plan('SELECT id FROM users WHERE lower(nick) = ''nick4''');
-- a predicate that is implied: the clause that does is what is asked of the row
SELECT * FROM plan('SELECT id FROM users WHERE serial = 4 AND active > 4 AND tenant >= 0');
SELECT * FROM plan('SELECT id FROM users WHERE serial = 4 AND active > 2');
SELECT id, active FROM users WHERE serial IN (5, 6, 7, 9, 10) ORDER BY id;
SELECT * FROM compare('SELECT * FROM users WHERE serial = 9 AND active > 3');
SELECT * FROM compare('SELECT * FROM users WHERE serial = 9 AND active > 3');
SELECT * FROM compare('SELECT * FROM users WHERE serial = 9 AND active = 4');
SELECT * FROM compare('SELECT * FROM users WHERE serial = 9 AND active = 5');
-- ... and an error that the index scan would not raise, is not
SELECT * FROM plan('SELECT id FROM users WHERE serial = 6 AND active > 3 AND 1 / (active - 3) >= 0');
SELECT * FROM compare('SELECT id FROM users WHERE serial = 6 AND active > 3 AND 1 / (active - 3) >= 0');
SELECT * FROM compare('SELECT id FROM users WHERE serial = 6 AND active > 3 AND 1 / (active - 3) >= 0');
UPDATE users SET active = 3 WHERE id = 12;
SELECT * FROM compare('SELECT id FROM users WHERE serial = 6 AND active > 3 AND 1 / (active - 3) >= 0');

-- arrays: each row once
SELECT * FROM plan('SELECT id FROM users WHERE email IN (''user4@example.com'', ''user8@example.com'', ''user9@example.com'')');
SELECT * FROM compare('SELECT id FROM users WHERE email IN (''user4@example.com'', ''user8@example.com'', ''user9@example.com'', ''user4@example.com'', NULL, ''nobody'')');
SELECT * FROM compare('SELECT id FROM users WHERE email IN (''user4@example.com'', ''user8@example.com'', ''user9@example.com'', ''user4@example.com'', NULL, ''nobody'')');
SELECT * FROM compare('SELECT id FROM users WHERE name IN (''name4'', ''NAME4'', ''Name8'')');
SELECT * FROM compare('SELECT id FROM users WHERE name IN (''name4'', ''NAME4'', ''Name8'')');
SELECT * FROM plan('SELECT id FROM users WHERE lower(nick) IN (''nick4'', ''nick7'') AND NOT deleted');
SELECT * FROM compare('SELECT id FROM users WHERE lower(nick) IN (''nick4'', ''nick7'') AND NOT deleted');
SELECT * FROM compare('SELECT id FROM users WHERE lower(nick) IN (''nick4'', ''nick7'') AND NOT deleted');
SELECT * FROM compare('SELECT id FROM users WHERE email = ANY ((SELECT array_agg(email) FROM logins)::text[])');
SELECT * FROM compare('SELECT id FROM users WHERE email = ANY ((SELECT array_agg(email) FROM logins)::text[])');

-- two values change places: of an array, both aliases are wrong, and no row comes twice
SELECT * FROM compare('SELECT id, nick FROM users WHERE lower(nick) IN (''nick10'', ''nick20'') AND NOT deleted');
SELECT * FROM compare('SELECT id, nick FROM users WHERE lower(nick) IN (''nick10'', ''nick20'') AND NOT deleted');
UPDATE users SET nick = 'aside' WHERE id = 20;
UPDATE users SET nick = 'nick10' WHERE id = 40;
UPDATE users SET nick = 'nick20' WHERE id = 20;
SELECT * FROM compare('SELECT id, nick FROM users WHERE lower(nick) IN (''nick10'', ''nick20'') AND NOT deleted');
SELECT * FROM compare('SELECT id, nick FROM users WHERE lower(nick) IN (''nick10'', ''nick20'') AND NOT deleted');

-- a row that has another value now is not the one
SELECT * FROM compare('SELECT id FROM users WHERE lower(nick) = ''nick30'' AND NOT deleted');
UPDATE users SET nick = 'else' WHERE id = 60;
SELECT * FROM compare('SELECT id FROM users WHERE lower(nick) = ''nick30'' AND NOT deleted');
SELECT * FROM compare('SELECT * FROM users WHERE lower(nick) = ''nick30'' AND NOT deleted');
SELECT * FROM compare('SELECT id FROM users WHERE lower(nick) IN (''nick29'', ''nick30'') AND NOT deleted');

-- joins
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SELECT * FROM plan('SELECT n, id FROM logins l JOIN users u ON u.email = l.email');
SELECT * FROM compare('SELECT n, id FROM logins l JOIN users u ON u.email = l.email');
SELECT * FROM compare('SELECT n, id FROM logins l JOIN users u ON u.email = l.email');
SELECT * FROM plan('SELECT n, id FROM logins l LEFT JOIN users u ON u.tenant = l.tenant AND u.slug = l.slug AND u.active > 1');
SELECT * FROM compare('SELECT n, id FROM logins l LEFT JOIN users u ON u.tenant = l.tenant AND u.slug = l.slug AND u.active > 1');
SELECT * FROM compare('SELECT n, id FROM logins l LEFT JOIN users u ON u.tenant = l.tenant AND u.slug = l.slug AND u.active > 1');
SELECT * FROM plan('SELECT n FROM logins l WHERE EXISTS (SELECT FROM users u WHERE u.email = l.email)');
SELECT * FROM compare('SELECT n FROM logins l WHERE EXISTS (SELECT FROM users u WHERE u.email = l.email)');
SELECT * FROM plan('SELECT n FROM logins l WHERE NOT EXISTS (SELECT FROM users u WHERE u.email = l.email)');
SELECT * FROM compare('SELECT n FROM logins l WHERE NOT EXISTS (SELECT FROM users u WHERE u.email = l.email)');
SELECT * FROM plan('SELECT n, id FROM logins l JOIN users u ON u.name = l.name');
SELECT * FROM compare('SELECT n, id FROM logins l JOIN users u ON u.name = l.name');
SELECT * FROM compare('SELECT n, id FROM logins l JOIN users u ON u.name = l.name');
SELECT * FROM plan('SELECT n, id FROM logins l LEFT JOIN users u ON lower(u.nick) = l.nick AND NOT u.deleted');
SELECT * FROM compare('SELECT n, id FROM logins l LEFT JOIN users u ON lower(u.nick) = l.nick AND NOT u.deleted');
SELECT * FROM compare('SELECT n, id FROM logins l LEFT JOIN users u ON lower(u.nick) = l.nick AND NOT u.deleted');
-- outer columns and the items' own in the same row, nested
SELECT * FROM compare('SELECT l.n, u.id, v.id FROM logins l JOIN users u ON u.email = l.email LEFT JOIN users v ON v.name = l.name AND v.id > u.id');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_memoize;

-- parameters, generic plans
SET plan_cache_mode = force_generic_plan;
PREPARE by_email(text) AS SELECT id FROM users WHERE email = $1;
EXPLAIN (COSTS OFF) EXECUTE by_email('user8@example.com');
EXECUTE by_email('user8@example.com');
EXECUTE by_email(NULL);
PREPARE by_nick(text) AS SELECT id FROM users WHERE lower(nick) = $1 AND NOT deleted;
EXPLAIN (COSTS OFF) EXECUTE by_nick('nick4');
EXECUTE by_nick('nick4');
RESET plan_cache_mode;

-- the cheapest of several keys
SELECT * FROM plan('SELECT 1 FROM users WHERE id = 8 AND email = ''user8@example.com''');
SELECT * FROM compare('SELECT 1 FROM users WHERE id = 8 AND email = ''user8@example.com''');

-- what is no key: not unique, deferrable, not valid, an exclusion constraint
CREATE TABLE others (id int PRIMARY KEY, a int, b int, c int, d int);
CREATE INDEX others_a ON others (a);
ALTER TABLE others ADD UNIQUE (b) DEFERRABLE;
ALTER TABLE others ADD EXCLUDE USING btree (c WITH =);
INSERT INTO others SELECT g, g, g, g, g / 2 FROM generate_series(1, 100) g;
CREATE UNIQUE INDEX CONCURRENTLY others_d ON others (d);
ANALYZE others;
SELECT itemcache.attach('others');
SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'others_d'::regclass;
SELECT * FROM plan('SELECT id FROM others WHERE a = 1');
SELECT * FROM plan('SELECT id FROM others WHERE b = 1');
SELECT * FROM plan('SELECT id FROM others WHERE c = 1');
SELECT * FROM plan('SELECT id FROM others WHERE d = 1');
SELECT id FROM others WHERE d = 1 ORDER BY id;
-- NULLS NOT DISTINCT is as good as any; IS NULL is no lookup
ALTER TABLE others ADD UNIQUE NULLS NOT DISTINCT (a, d);
INSERT INTO others VALUES (101, NULL, 101, 101, 1);
ANALYZE others;
SELECT * FROM plan('SELECT id FROM others WHERE a = 3 AND d = 1');
SELECT * FROM plan('SELECT id FROM others WHERE a IS NULL AND d = 1');
SELECT * FROM compare('SELECT id FROM others WHERE a = 3 AND d = 1');
SELECT * FROM compare('SELECT id FROM others WHERE a = 3 AND d = 1');
SELECT * FROM compare('SELECT id FROM others WHERE a IS NULL AND d = 1');

-- an index is dropped, made again of other columns, rebuilt: what is known of it follows
ALTER TABLE users DROP CONSTRAINT users_email_key;
SELECT * FROM plan('SELECT id FROM users WHERE email = ''user8@example.com''');
CREATE UNIQUE INDEX users_email_key ON users (email);
SELECT * FROM compare('SELECT id FROM users WHERE email = ''user8@example.com''');
SELECT * FROM compare('SELECT id FROM users WHERE email = ''user8@example.com''');
REINDEX INDEX CONCURRENTLY users_email_key;
SELECT * FROM compare('SELECT id FROM users WHERE email = ''user8@example.com''');
ALTER TABLE users ALTER slug TYPE varchar;
SELECT * FROM compare('SELECT * FROM users WHERE slug = ''slug0'' AND tenant = 8');
SELECT * FROM compare('SELECT * FROM users WHERE slug = ''slug0'' AND tenant = 8');

-- as below an index scan, this session cannot drop the index
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM users WHERE email IN ('user4@example.com', 'user8@example.com');
FETCH 1 FROM c;
SELECT * FROM try('DROP INDEX users_email_key');
SELECT * FROM try('REINDEX INDEX users_email_key');
ROLLBACK;
-- WHERE CURRENT OF, backwards
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM users WHERE email = 'user8@example.com';
FETCH 1 FROM c;
UPDATE users SET active = 100 WHERE CURRENT OF c;
SELECT active FROM users WHERE id = 8;
FETCH PRIOR FROM c;
FETCH NEXT FROM c;
ROLLBACK;

-- own writes are seen; what another subtransaction did is not cached
BEGIN;
UPDATE users SET email = 'new8' WHERE id = 8;
SELECT id FROM users WHERE email = 'new8';
SELECT id FROM users WHERE email = 'user8@example.com';
ROLLBACK;
SELECT * FROM compare('SELECT id FROM users WHERE email = ''user8@example.com''');
SELECT * FROM compare('SELECT id FROM users WHERE email = ''new8''');

-- row security: a condition that is not leakproof has to wait, so there is no lookup by it; the others are filtered
CREATE ROLE unique_reader;
GRANT USAGE ON SCHEMA uniq TO unique_reader;
GRANT SELECT ON users TO unique_reader;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON users USING (tenant < 5);
SET ROLE unique_reader;
SELECT * FROM plan('SELECT id FROM users WHERE email = ''user8@example.com''');
SELECT id FROM users WHERE email = 'user8@example.com';
SELECT id FROM users WHERE email = 'user4@example.com';
SELECT * FROM plan('SELECT id FROM users WHERE lower(nick) = ''nick4'' AND NOT deleted');
RESET ROLE;
ALTER TABLE users DISABLE ROW LEVEL SECURITY;

-- partitions: each by its own index
CREATE TABLE parts (id int, region int, email text, PRIMARY KEY (id, region), UNIQUE (email, region)) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
CREATE UNIQUE INDEX ON parts_2 (lower(email));
INSERT INTO parts SELECT g, 1 + g % 2, 'User' || g FROM generate_series(1, 100) g;
ANALYZE parts;
SELECT itemcache.attach('parts');
SELECT itemcache.preload('parts');
SELECT * FROM plan('SELECT id FROM parts WHERE email = ''User7'' AND region = 2');
SELECT * FROM compare('SELECT * FROM parts WHERE email = ''User7'' AND region = 2');
SELECT * FROM compare('SELECT * FROM parts WHERE email = ''User7'' AND region = 2');
SELECT * FROM plan('SELECT id FROM parts WHERE lower(email) = ''user7'' AND region = 2');
SELECT * FROM compare('SELECT * FROM parts WHERE lower(email) = ''user7'' AND region = 2');
SELECT * FROM compare('SELECT * FROM parts WHERE lower(email) = ''user7'' AND region = 2');

-- where the planner prefers a bitmap to the index, whose rows are all over the table, it has the lookup as well
RESET enable_seqscan;
RESET enable_bitmapscan;
CREATE TABLE mixed AS SELECT g AS id, md5(g::text) AS token, repeat('x', 250) AS v FROM generate_series(1, 5000) g;
ALTER TABLE mixed ADD PRIMARY KEY (id), ADD UNIQUE (token);
VACUUM ANALYZE mixed;
SELECT itemcache.attach('mixed', aliases => 'all');
SELECT itemcache.preload('mixed');
SELECT * FROM compare('SELECT id, v FROM mixed WHERE token = ANY (ARRAY(SELECT md5(g::text) FROM generate_series(1, 100) g))');

DROP SCHEMA uniq CASCADE;
DROP EXTENSION citext;
DROP ROLE unique_reader;
