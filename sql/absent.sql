-- That there is no row of a key is cached as well, and goes as soon as one comes, whoever brings it.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE SCHEMA absent;
SET search_path = absent, helper, public;
SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET max_parallel_workers_per_gather = 0;

CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE, name citext UNIQUE, code numeric UNIQUE, tenant int, slug text,
					pad char(8) UNIQUE, bare bpchar UNIQUE, gone boolean, UNIQUE (tenant, slug));
CREATE UNIQUE INDEX users_lower ON users (lower(email));
CREATE UNIQUE INDEX users_here ON users (slug) WHERE NOT gone;
CREATE TABLE quiet (id bigint PRIMARY KEY, email text UNIQUE, n int);
INSERT INTO users SELECT g, 'mail' || g, 'Name' || g, g, g % 5, 'slug' || g, 'pad' || g, 'bare' || g, false FROM generate_series(1, 200) g;
INSERT INTO quiet SELECT g, 'mail' || g, g FROM generate_series(1, 200) g;
CREATE TABLE asked (n int, email text);
INSERT INTO asked SELECT g, 'mail' || g FROM generate_series(151, 250) g;
VACUUM ANALYZE users, quiet, asked;
SELECT itemcache.attach('users'), itemcache.attach('quiet', cache_new => false);
SELECT itemcache.preload('users'), itemcache.preload('quiet');

-- a table begins to have absences when the first key is missed; from then on, the second lookup of a key is a hit
SELECT * FROM compare('SELECT * FROM users WHERE id = 1001');
SELECT * FROM compare('SELECT * FROM users WHERE id = 1001');
SELECT * FROM compare('SELECT * FROM users WHERE id = 1001');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''mail1001''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''mail1001''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''''');
SELECT * FROM compare('SELECT * FROM users WHERE tenant = 1 AND slug = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE tenant = 1 AND slug = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE tenant = 2 AND slug = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE pad = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE pad = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE pad = ''none    ''');
-- EXPLAIN counts them as hits
SELECT helper.explained($$SELECT * FROM users WHERE id = 1001$$) AS plan;
-- joins of all kinds, arrays
SELECT * FROM compare('SELECT n, u.id FROM asked LEFT JOIN users u ON u.id = n');
SELECT * FROM compare('SELECT n, u.id FROM asked LEFT JOIN users u ON u.id = n');
SELECT * FROM compare('SELECT n, u.id FROM asked a LEFT JOIN users u ON u.email = a.email');
SELECT * FROM compare('SELECT n, u.id FROM asked a LEFT JOIN users u ON u.email = a.email');
SELECT * FROM compare('SELECT n FROM asked a WHERE NOT EXISTS (SELECT FROM users u WHERE u.email = a.email)');
SELECT * FROM compare('SELECT n FROM asked a WHERE EXISTS (SELECT FROM users u WHERE u.email = a.email)');
SELECT * FROM compare('SELECT n, u.id FROM asked a JOIN users u ON u.email = a.email');
SELECT * FROM compare('SELECT * FROM users WHERE id IN (1001, 1002, 5)');
SELECT * FROM compare('SELECT * FROM users WHERE id IN (1001, 1002, 5)');
-- not: where equal values can have other bytes, expressions, partial indexes, long keys
SELECT * FROM compare('SELECT * FROM users WHERE name = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE name = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE code = 1001');
SELECT * FROM compare('SELECT * FROM users WHERE code = 1001');
SELECT * FROM compare('SELECT * FROM users WHERE lower(email) = ''mail1001''');
SELECT * FROM compare('SELECT * FROM users WHERE lower(email) = ''mail1001''');
SELECT * FROM compare('SELECT * FROM users WHERE slug = ''none'' AND NOT gone');
SELECT * FROM compare('SELECT * FROM users WHERE slug = ''none'' AND NOT gone');
SELECT * FROM compare('SELECT * FROM users WHERE bare = ''none''::bpchar');
SELECT * FROM compare('SELECT * FROM users WHERE bare = ''none''::bpchar');
SELECT * FROM compare('SELECT * FROM users WHERE email = repeat(''x'', 1000)');
SELECT * FROM compare('SELECT * FROM users WHERE email = repeat(''x'', 1000)');

-- a row comes: by INSERT, by an update of its key, by either key
INSERT INTO users VALUES (1001, 'mail1001', 'none', 1001, 1, 'none', 'none', 'none ', false);
SELECT * FROM compare('SELECT * FROM users WHERE id = 1001');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''mail1001''');
SELECT * FROM compare('SELECT * FROM users WHERE tenant = 1 AND slug = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE pad = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE bare = ''none''::bpchar');
SELECT * FROM compare('SELECT * FROM users WHERE name = ''NONE''');
SELECT * FROM compare('SELECT * FROM users WHERE code = 1001.0');
UPDATE users SET id = 1002, tenant = 2 WHERE id = 1001;
SELECT * FROM compare('SELECT * FROM users WHERE id IN (1001, 1002, 5)');
SELECT * FROM compare('SELECT * FROM users WHERE tenant = 2 AND slug = ''none''');
SELECT * FROM compare('SELECT * FROM users WHERE email = ''''');
UPDATE users SET email = '' WHERE id = 1002;
SELECT * FROM compare('SELECT * FROM users WHERE email = ''''');
-- ... without new rows being cached, without the short way, by ON CONFLICT, MERGE, COPY, put, a CTE, a function
SELECT * FROM compare('SELECT k, q.id FROM generate_series(201, 230) k LEFT JOIN quiet q ON q.id = k');
SELECT * FROM compare('SELECT k, q.id FROM generate_series(201, 230) k LEFT JOIN quiet q ON q.id = k');
SELECT * FROM compare('SELECT k, q.id FROM generate_series(201, 230) k LEFT JOIN quiet q ON q.id = k');
SELECT * FROM compare('SELECT a.n, q.id FROM asked a LEFT JOIN quiet q ON q.email = a.email');
SELECT * FROM compare('SELECT a.n, q.id FROM asked a LEFT JOIN quiet q ON q.email = a.email');
INSERT INTO quiet VALUES (201, 'mail201', 1);
SELECT by_queue();
INSERT INTO quiet VALUES (202, 'mail202', 1);
INSERT INTO quiet VALUES (203, 'mail203', 1) ON CONFLICT DO NOTHING;
INSERT INTO quiet VALUES (204, 'mail204', 1), (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET email = 'mail205';
MERGE INTO quiet USING (VALUES (206, 'mail206')) v(id, email) ON quiet.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.email, 1);
COPY quiet FROM STDIN;
207	mail207	1
208	mail208	1
\.
SELECT itemcache.put(ROW(209, 'mail209', 1)::quiet);
WITH w AS (INSERT INTO quiet VALUES (210, 'mail210', 1) RETURNING id) SELECT count(*) FROM w LEFT JOIN quiet USING (id);
SELECT * FROM compare('SELECT k, q.* FROM generate_series(201, 230) k LEFT JOIN quiet q ON q.id = k');
SELECT * FROM compare('SELECT a.n AS asked, q.* FROM asked a LEFT JOIN quiet q ON q.email = a.email');
SELECT id, email FROM quiet WHERE id > 200 OR id = 1 ORDER BY id;

-- own rows, and those of subtransactions that are rolled back
BEGIN;
INSERT INTO quiet VALUES (211, 'mail211', 1);
SELECT k, q.id FROM generate_series(210, 213) k LEFT JOIN quiet q ON q.id = k ORDER BY k;
SAVEPOINT s;
INSERT INTO quiet VALUES (212, 'mail212', 1);
SELECT k, q.id FROM generate_series(210, 213) k LEFT JOIN quiet q ON q.id = k ORDER BY k;
ROLLBACK TO s;
SELECT k, q.id FROM generate_series(210, 213) k LEFT JOIN quiet q ON q.id = k ORDER BY k;
COMMIT;
SELECT * FROM compare('SELECT k, q.* FROM generate_series(201, 230) k LEFT JOIN quiet q ON q.id = k');
BEGIN;
INSERT INTO quiet VALUES (213, 'mail213', 1);
ROLLBACK;
SELECT * FROM compare('SELECT k, q.* FROM generate_series(201, 230) k LEFT JOIN quiet q ON q.id = k');

-- more rows than are told one by one: the first, the last, and those in between
SELECT * FROM compare('SELECT k, q.id FROM generate_series(1000, 3000, 100) k LEFT JOIN quiet q ON q.id = k');
SELECT * FROM compare('SELECT k, q.id FROM generate_series(1000, 3000, 100) k LEFT JOIN quiet q ON q.id = k');
INSERT INTO quiet SELECT g, 'mail' || g, 1 FROM generate_series(1000, 2500) g;
SELECT * FROM compare('SELECT k, q.id FROM generate_series(1000, 3000, 100) k LEFT JOIN quiet q ON q.id = k');
SELECT * FROM compare('SELECT k, q.id FROM generate_series(1000, 3000, 100) k LEFT JOIN quiet q ON q.id = k');
BEGIN;
INSERT INTO quiet SELECT g, 'mail' || g, 1 FROM generate_series(2501, 2999) g;
UPDATE quiet SET id = 3000 WHERE id = 2600;
INSERT INTO quiet VALUES (2600, 'again', 1);
PREPARE TRANSACTION 'absent';
SELECT * FROM compare('SELECT k, q.id FROM generate_series(1000, 3000, 100) k LEFT JOIN quiet q ON q.id = k');
SELECT * FROM compare('SELECT k, q.id FROM generate_series(1000, 3000, 100) k LEFT JOIN quiet q ON q.id = k');
COMMIT PREPARED 'absent';
SELECT * FROM compare('SELECT k, q.id FROM generate_series(1000, 3000, 100) k LEFT JOIN quiet q ON q.id = k');
SELECT count(*), sum((q.id IS NULL)::int) FROM generate_series(1000, 3000) k LEFT JOIN quiet q ON q.id = k;

-- rows that come by no event of theirs: in-place TRUNCATE and COPY FREEZE, a rewrite, a trigger disabled, detached
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 9001');
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 9001');
BEGIN;
TRUNCATE quiet;
COPY quiet FROM STDIN (FREEZE);
9001	mail9001	1
1	mail1	1
\.
COMMIT;
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 9001');
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 2');
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 2');
ALTER TABLE quiet DISABLE TRIGGER itemcache;
INSERT INTO quiet VALUES (2, 'mail2', 1);
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 2');
ALTER TABLE quiet ENABLE ALWAYS TRIGGER itemcache;
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 2');
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 3');
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 3');
ALTER TABLE quiet ALTER id TYPE int;
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 3');
INSERT INTO quiet VALUES (3, 'mail3', 1);
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 3');
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 4');
DO $$ BEGIN PERFORM itemcache.detach('quiet'); END $$;
INSERT INTO quiet VALUES (4, 'mail4', 1);
SELECT itemcache.attach('quiet', cache_new => false);
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 4');

-- an index that is made later is known to those who write, whatever it is called
SELECT * FROM compare('SELECT * FROM quiet WHERE n = 77');
UPDATE quiet SET n = id;
CREATE UNIQUE INDEX quiet_n ON quiet (n);
SELECT * FROM compare('SELECT * FROM quiet WHERE n = 77');
SELECT * FROM compare('SELECT * FROM quiet WHERE n = 77');
REINDEX INDEX CONCURRENTLY quiet_n;
SELECT * FROM compare('SELECT * FROM quiet WHERE n = 77');
UPDATE quiet SET n = 77 WHERE id = 4;
SELECT * FROM compare('SELECT * FROM quiet WHERE n = 77');
INSERT INTO quiet VALUES (5, NULL, NULL);
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 5');

-- SERIALIZABLE reads the index
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 6');
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 6');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM compare('SELECT * FROM quiet WHERE id = 6');
COMMIT;

-- partitions: a row that moves comes to another
CREATE TABLE parts (id int, region int, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT g, 1, 'v' || g FROM generate_series(1, 100) g;
ANALYZE parts;
SELECT itemcache.attach('parts', cache_new => false);
SELECT * FROM compare('SELECT * FROM parts WHERE id = 7 AND region = 2');
SELECT * FROM compare('SELECT * FROM parts WHERE id = 7 AND region = 2');
SELECT * FROM compare('SELECT * FROM parts WHERE id = 7 AND region = 2');
UPDATE parts SET region = 2 WHERE id = 7;
SELECT * FROM compare('SELECT * FROM parts WHERE id = 7 AND region = 2');
SELECT * FROM compare('SELECT * FROM parts WHERE id = 7 AND region = 1');

-- two columns of one value: what one has not, the other may have
CREATE TABLE pair (id int PRIMARY KEY, a int UNIQUE, b int UNIQUE, c text UNIQUE, d text UNIQUE);
INSERT INTO pair SELECT g, g, 1000 + g, 'c' || g, 'd' || g FROM generate_series(1, 100) g;
ANALYZE pair;
SELECT itemcache.attach('pair');
SELECT count(*) FROM generate_series(1, 3) x, LATERAL (SELECT FROM pair WHERE a = 1050) y;
SELECT * FROM compare('SELECT * FROM pair WHERE a = 1050');
SELECT * FROM compare('SELECT * FROM pair WHERE a = 1050');
SELECT * FROM compare('SELECT * FROM pair WHERE b = 1050');
SELECT * FROM compare('SELECT * FROM pair WHERE c = ''d5''');
SELECT * FROM compare('SELECT * FROM pair WHERE c = ''d5''');
SELECT * FROM compare('SELECT * FROM pair WHERE d = ''d5''');

-- an index that was dropped concurrently says nothing of the next one over its columns
CREATE TABLE again (id int PRIMARY KEY, mail text);
CREATE UNIQUE INDEX again_mail ON again (mail);
INSERT INTO again SELECT g, 'mail' || g FROM generate_series(1, 100) g;
ANALYZE again;
SELECT itemcache.attach('again', cache_new => false);
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail200''');
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail200''');
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail200''');
DROP INDEX CONCURRENTLY again_mail;
INSERT INTO again VALUES (200, 'mail200');
CREATE UNIQUE INDEX CONCURRENTLY again_mail ON again (mail);
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail200''');
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail300''');
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail300''');
DROP INDEX CONCURRENTLY again_mail;
INSERT INTO again VALUES (300, 'mail300');
CREATE UNIQUE INDEX again_mail ON again (mail);
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail300''');
-- what a DROP that failed has left, REINDEX makes whole
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail400''');
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail400''');
UPDATE pg_index SET indislive = false, indisready = false, indisvalid = false WHERE indexrelid = 'again_mail'::regclass;
INSERT INTO again VALUES (400, 'mail400');
REINDEX INDEX again_mail;
SELECT * FROM compare('SELECT * FROM again WHERE mail = ''mail400''');

-- An absent key is searched for in the index once, also where several are looked up together; and not at all once that is cached.
CREATE TABLE searched (id int PRIMARY KEY, email text UNIQUE);
INSERT INTO searched SELECT g, 'mail ' || g FROM generate_series(1, 1000) g;
CREATE TABLE nobody AS SELECT -g AS id, 'none ' || g AS email FROM generate_series(1, 200) g;
VACUUM ANALYZE searched, nobody;
SELECT itemcache.attach('searched', aliases => 'all');
SELECT itemcache.preload('searched');
SELECT itemcache.get(NULL::searched, -1000), itemcache.get(NULL::searched, -1000);
SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
CREATE FUNCTION searches(query text, index regclass, OUT nrows bigint, OUT searches bigint) LANGUAGE plpgsql AS $$
DECLARE
	before bigint := pg_stat_get_xact_numscans(index);
BEGIN
	EXECUTE query INTO nrows;
	searches := pg_stat_get_xact_numscans(index) - before;
END $$;
SELECT * FROM searches('SELECT count(s.id) FROM nobody a LEFT JOIN searched s ON s.id = a.id', 'searched_pkey');
SELECT * FROM searches('SELECT count(s.id) FROM nobody a LEFT JOIN searched s ON s.id = a.id', 'searched_pkey');
SELECT * FROM searches('SELECT count(s.id) FROM nobody a LEFT JOIN searched s ON s.email = a.email', 'searched_email_key');
SELECT * FROM searches('SELECT count(s.id) FROM nobody a LEFT JOIN searched s ON s.email = a.email', 'searched_email_key');
SELECT itemcache.clear('searched');
SELECT itemcache.get(NULL::searched, -1000), itemcache.get(NULL::searched, -1000);
SELECT * FROM searches('SELECT count(g.id) FROM itemcache.get_many(NULL::searched, ARRAY(SELECT id::bigint FROM nobody)) g', 'searched_pkey');
SELECT * FROM searches('SELECT count(g.id) FROM itemcache.get_many(NULL::searched, ARRAY(SELECT id::bigint FROM nobody)) g', 'searched_pkey');
SELECT * FROM searches('SELECT count(g.id) FROM itemcache.get_many_by(NULL::searched, ''email'', ARRAY(SELECT email FROM nobody)) g', 'searched_email_key');
SELECT * FROM searches('SELECT count(g.id) FROM itemcache.get_many_by(NULL::searched, ''email'', ARRAY(SELECT email FROM nobody)) g', 'searched_email_key');

-- what is kept of a key of 25 bytes takes 64, with its share of the index (some 16)
CREATE TABLE small (id bigint PRIMARY KEY, tenant int, email text, UNIQUE (email), UNIQUE (tenant, email));
SELECT itemcache.attach('small');
SELECT itemcache.get(NULL::small, 1);
SELECT count(itemcache.get_by(NULL::small, 'email', lpad(i::text, 25, '-'))) FROM generate_series(1, 10) i;
SELECT absences, bytes FROM itemcache.tables WHERE relid = 'small'::regclass;
-- where one column ends and the next begins is a part of the key
SELECT count(itemcache.get_by(NULL::small, '{tenant,email}', ROW(1, e))) FROM unnest('{"", a}'::text[]) e;
INSERT INTO small VALUES (1, 1, ''), (2, 1, 'b');
SELECT e, itemcache.get_by(NULL::small, '{tenant,email}', ROW(1, e)) FROM unnest('{"", a, b}'::text[]) e;

DROP SCHEMA absent CASCADE;
DROP EXTENSION citext;
