-- itemcache.candidates: which tables to attach, by what the statistics say.

CREATE TABLE cand_users (id bigint PRIMARY KEY, email text UNIQUE, name text);
CREATE TABLE cand_log (id bigint PRIMARY KEY, line text);
CREATE TABLE cand_written (id int PRIMARY KEY, n int);
CREATE TABLE cand_range (id int PRIMARY KEY, n int);
CREATE TABLE cand_idle (id int PRIMARY KEY);
CREATE TABLE cand_no_key (id int);
CREATE TABLE cand_parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE cand_parts_0 PARTITION OF cand_parts FOR VALUES FROM (0) TO (500);
CREATE TABLE cand_parts_1 PARTITION OF cand_parts FOR VALUES FROM (500) TO (2000);
CREATE TABLE "cand Odd; name" (id int PRIMARY KEY, v text);
CREATE TEMP TABLE cand_temp (id int PRIMARY KEY);
INSERT INTO cand_users SELECT g, g || '@example.com', 'user ' || g FROM generate_series(1, 2000) g;
INSERT INTO cand_range SELECT g, g FROM generate_series(1, 2000) g;
INSERT INTO cand_written SELECT g, g FROM generate_series(1, 2000) g;
INSERT INTO cand_parts SELECT g, 'v' FROM generate_series(0, 1999) g;
ANALYZE cand_users, cand_log, cand_written, cand_range, cand_idle, cand_no_key, cand_parts;

-- single rows by key, by SQL as applications send it
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE FUNCTION cand_use() RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	FOR i IN 1 .. 2000 LOOP
		SELECT * INTO r FROM cand_users WHERE id = i;
		SELECT * INTO r FROM cand_users WHERE id = i;
		SELECT * INTO r FROM cand_users WHERE email = i || '@example.com';
		SELECT * INTO r FROM cand_parts WHERE id = i % 2000;
		PERFORM count(*) FROM cand_range WHERE id BETWEEN i AND i + 20;
		UPDATE cand_written SET n = n + 1 WHERE id = i;
		SELECT * INTO r FROM cand_written WHERE id = i AND i <= 1500;
	END LOOP;
END $$;
SELECT cand_use();
SELECT pg_stat_force_next_flush();
SELECT relid, advice, attached, looked_up_by, lookups, range_scans >= 2000 AS range_scans, write_share, rows, bytes_per_row > 20 AS bytes, memory > 40000 AS memory, hit_ratio
FROM itemcache.candidates WHERE relid::text LIKE '%cand%' ORDER BY relid::text COLLATE "C";
-- in its own order: what is to be attached first
SELECT relid FROM itemcache.candidates WHERE relid::text LIKE '%cand%' LIMIT 2;

-- attached: does it pay?
SET itemcache.transparent = on;
SELECT itemcache.attach('cand_users'), itemcache.attach('cand_range'), itemcache.attach('cand_parts');
SELECT cand_use(), cand_use();
SELECT pg_stat_force_next_flush();
SELECT relid, regexp_replace(advice, '\d+ %', 'N %', 'g') AS advice, attached, lookups >= 4000 AS lookups, hit_ratio >= 0.5 AS pays
FROM itemcache.candidates WHERE relid IN ('cand_users'::regclass, 'cand_range'::regclass, 'cand_parts'::regclass) ORDER BY relid::text COLLATE "C";
ALTER TABLE cand_users DISABLE TRIGGER itemcache;
SELECT advice FROM itemcache.candidates WHERE relid = 'cand_users'::regclass;

-- a schema as object-relational mappers make it: keys that are UUIDs, soft deletes
-- with a partial unique index, one table for several types, tables that only join
CREATE TABLE cand_orm_users (id uuid PRIMARY KEY, email text, deleted_at timestamptz, lock_version int);
CREATE UNIQUE INDEX ON cand_orm_users (lower(email)) WHERE deleted_at IS NULL;
CREATE TABLE cand_orm_things (id bigint PRIMARY KEY, type text NOT NULL, uid text, data jsonb, UNIQUE (type, uid));
CREATE TABLE cand_orm_joins (user_id uuid NOT NULL, thing_id bigint NOT NULL, UNIQUE (user_id, thing_id));
CREATE TABLE cand_orm_sessions (id text PRIMARY KEY, data text, updated_at timestamptz);
CREATE TABLE cand_orm_deferred (id int PRIMARY KEY DEFERRABLE, n int);
CREATE UNLOGGED TABLE cand_orm_unlogged (id int PRIMARY KEY);
CREATE FOREIGN DATA WRAPPER cand_wrapper;
CREATE SERVER cand_server FOREIGN DATA WRAPPER cand_wrapper;
CREATE FOREIGN TABLE cand_orm_foreign (id int) SERVER cand_server;
CREATE VIEW cand_orm_view AS SELECT * FROM cand_orm_things;
CREATE MATERIALIZED VIEW cand_orm_matview AS SELECT 1 AS id;
CREATE UNIQUE INDEX ON cand_orm_matview (id);
INSERT INTO cand_orm_users SELECT md5(g::text)::uuid, 'User' || g || '@example.com', CASE WHEN g % 10 = 0 THEN now() END, 0 FROM generate_series(1, 500) g;
INSERT INTO cand_orm_things SELECT g, CASE WHEN g % 2 = 0 THEN 'Car' ELSE 'Boat' END, 'u' || g, '{}' FROM generate_series(1, 500) g;
INSERT INTO cand_orm_joins SELECT md5(g::text)::uuid, g FROM generate_series(1, 500) g;
INSERT INTO cand_orm_sessions SELECT 's' || g, 'd', now() FROM generate_series(1, 1500) g;
ANALYZE cand_orm_users, cand_orm_things, cand_orm_joins, cand_orm_sessions;
CREATE PROCEDURE cand_orm_use() LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	FOR i IN 1 .. 1500 LOOP
		SELECT * INTO r FROM cand_orm_users WHERE id = md5((i % 500)::text)::uuid AND deleted_at IS NULL;
		SELECT * INTO r FROM cand_orm_users WHERE lower(email) = 'user' || i % 500 || '@example.com' AND deleted_at IS NULL;
		SELECT * INTO r FROM cand_orm_things WHERE type = 'Car' AND uid = 'u' || i % 500;
		SELECT * INTO r FROM cand_orm_things WHERE id = i % 500 AND type IN ('Car', 'Boat');
		SELECT * INTO r FROM cand_orm_joins WHERE user_id = md5((i % 500)::text)::uuid AND thing_id = i % 500;
		UPDATE cand_orm_sessions SET updated_at = now() WHERE id = 's' || i;
		SELECT * INTO r FROM cand_orm_sessions WHERE id = 's' || i AND i % 3 > 0;
		COMMIT;
	END LOOP;
	UPDATE cand_orm_users SET lock_version = lock_version + 1 WHERE id = md5('1')::uuid;
END $$;
CALL cand_orm_use();
SELECT pg_stat_force_next_flush();
SELECT relid, regexp_replace(advice, '[0-9]+ kB', 'N kB') AS advice, attached, looked_up_by
FROM itemcache.candidates WHERE relid::text LIKE 'cand_orm%' ORDER BY relid::text COLLATE "C";
-- a table far larger than any here, and statistics that were reset
SET allow_system_table_mods = on;
UPDATE pg_class SET reltuples = 1e12, relpages = 2147483647 WHERE oid = 'cand_orm_things'::regclass;
RESET allow_system_table_mods;
SELECT pg_stat_reset_single_table_counters('cand_orm_users'::regclass), pg_stat_reset_single_table_counters(indexrelid)
FROM pg_index WHERE indrelid = 'cand_orm_users'::regclass;
SELECT relid, advice, rows, memory FROM itemcache.candidates WHERE relid IN ('cand_orm_users'::regclass, 'cand_orm_things'::regclass) ORDER BY relid::text COLLATE "C";
-- attached, it is told by its unique keys as well
SELECT itemcache.attach('cand_orm_users', aliases => '{"lower(email) WHERE deleted_at IS NULL"}');
CALL cand_orm_use();
CALL cand_orm_use();
SELECT pg_stat_force_next_flush();
SELECT relid, regexp_replace(advice, '\d+ %', 'N %', 'g') AS advice, hit_ratio >= 0.5 AS pays FROM itemcache.candidates WHERE relid = 'cand_orm_users'::regclass;

-- anybody may ask, also about what is in a schema that he may not use
CREATE SCHEMA cand_private CREATE TABLE secret (id int PRIMARY KEY, v text);
REVOKE ALL ON SCHEMA cand_private FROM PUBLIC;
CREATE ROLE regress_cand;
SET ROLE regress_cand;
SELECT count(*) > 5 AS rows, count(*) FILTER (WHERE advice LIKE 'leave: hardly%' AND relid::text = 'cand_private.secret') AS private FROM itemcache.candidates;
RESET ROLE;
DROP ROLE regress_cand;
DROP FUNCTION cand_use;
DROP PROCEDURE cand_orm_use;
DROP SERVER cand_server CASCADE;
DROP FOREIGN DATA WRAPPER cand_wrapper;
DROP SCHEMA cand_private CASCADE;
DROP VIEW cand_orm_view;
DROP MATERIALIZED VIEW cand_orm_matview;
DROP TABLE cand_orm_users, cand_orm_things, cand_orm_joins, cand_orm_sessions, cand_orm_deferred, cand_orm_unlogged;
DROP TABLE cand_users, cand_log, cand_written, cand_range, cand_idle, cand_no_key, cand_parts, "cand Odd; name", cand_temp;
