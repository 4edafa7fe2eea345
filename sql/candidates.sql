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

-- anybody may ask
CREATE ROLE regress_cand;
SET ROLE regress_cand;
SELECT count(*) > 5 AS rows FROM itemcache.candidates;
RESET ROLE;
DROP ROLE regress_cand;
DROP FUNCTION cand_use;
DROP TABLE cand_users, cand_log, cand_written, cand_range, cand_idle, cand_no_key, cand_parts, "cand Odd; name", cand_temp;
