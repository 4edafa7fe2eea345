-- What a plan's shape decides for its user (order, directions, WHERE CURRENT OF,
-- scrolling, EXPLAIN's options) is as with the index scan that a scan of ours
-- stands for: statements and cursors, with the cache and without.

CREATE SCHEMA shape;
SET search_path = shape;

CREATE TABLE items (id int PRIMARY KEY, v text, tag int);
INSERT INTO items SELECT g, 'v' || g, g % 7 FROM generate_series(1, 2000) g;
CREATE TABLE names (k text PRIMARY KEY, tag int);
INSERT INTO names SELECT 'n' || g, g FROM generate_series(1, 2000) g;
CREATE TABLE nums (k numeric PRIMARY KEY, tag int);
INSERT INTO nums SELECT g / 4.0, g FROM generate_series(1, 2000) g;
CREATE TABLE pairs (a int, b text, tag int, PRIMARY KEY (a, b));
INSERT INTO pairs SELECT g / 10, 'b' || g % 10, g FROM generate_series(1, 2000) g;
CREATE TABLE ranges (id int PRIMARY KEY, v text, tag int) PARTITION BY RANGE (id);
CREATE TABLE ranges_1 PARTITION OF ranges FOR VALUES FROM (0) TO (700);
CREATE TABLE ranges_2 (tag int, v text, junk int, id int NOT NULL);
ALTER TABLE ranges_2 DROP junk;
ALTER TABLE ranges ATTACH PARTITION ranges_2 FOR VALUES FROM (700) TO (1400);
CREATE TABLE ranges_3 PARTITION OF ranges FOR VALUES FROM (1400) TO (3000);
INSERT INTO ranges SELECT g, 'v' || g, g % 7 FROM generate_series(1, 2000) g;
CREATE TABLE hashes (id int PRIMARY KEY, v text, tag int) PARTITION BY HASH (id);
CREATE TABLE hashes_0 PARTITION OF hashes FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashes_1 PARTITION OF hashes FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashes SELECT g, 'v' || g, g % 7 FROM generate_series(1, 2000) g;
CREATE TABLE users (id int PRIMARY KEY, mail text, n int, gone boolean, tag int);
INSERT INTO users SELECT g, 'Mail ' || g, g * 2, g % 10 = 0, g % 7 FROM generate_series(1, 2000) g;
CREATE UNIQUE INDEX ON users (mail DESC);
CREATE UNIQUE INDEX ON users (lower(mail) COLLATE "C");
CREATE UNIQUE INDEX ON users (n) WHERE NOT gone;
CREATE TABLE orders (id int, item int);
INSERT INTO orders SELECT g, g * 13 % 2100 FROM generate_series(1, 300) g;
ANALYZE;
SELECT count(itemcache.attach(t::regclass)) FROM unnest(ARRAY['items', 'names', 'nums', 'pairs', 'ranges', 'hashes', 'users']) t;
SELECT sum(itemcache.preload(t::regclass)) FROM unnest(ARRAY['items', 'names', 'nums', 'pairs', 'ranges', 'hashes', 'users']) t;

SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET enable_material = off;

-- the nodes of a plan, from the top
CREATE FUNCTION nodes(plan jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT CASE plan->>'Custom Plan Provider' WHEN 'ItemCache' THEN 'Index Scan'
			WHEN 'ItemCache Join' THEN 'Nested Loop' ELSE plan->>'Node Type' END
		|| CASE WHEN plan ? 'Plans' AND plan->>'Custom Plan Provider' IS DISTINCT FROM 'ItemCache Join' AND plan->>'Node Type' <> 'Nested Loop' THEN
			(SELECT '(' || string_agg(nodes(p), ', ' ORDER BY n) || ')' FROM jsonb_array_elements(plan->'Plans') WITH ORDINALITY x(p, n)) ELSE '' END
$$;
CREATE FUNCTION plan_of(query text, cached boolean, OUT nodes text, OUT served boolean) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	PERFORM set_config('itemcache.transparent', cached::text, true);
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	nodes := nodes((plan->0->'Plan')::jsonb);
	served := plan::text ~ 'ItemCache';
END $$;

-- what statements give, one after the other, if they are all taken back
CREATE FUNCTION results(statements text[], cached boolean, OUT result text) LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	line text;
	r record;
BEGIN
	PERFORM set_config('itemcache.transparent', cached::text, true);
	FOREACH statement IN ARRAY statements LOOP
		line := '';
		BEGIN
			IF statement ~ '^(DECLARE|CLOSE|MOVE)' THEN
				EXECUTE statement;
			ELSE
				FOR r IN EXECUTE statement LOOP
					line := line || r::text;
				END LOOP;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			line := SQLSTATE || ' ' || SQLERRM;
		END;
		result := concat_ws(E'\n', result, statement || ': ' || line);
	END LOOP;
	RAISE EXCEPTION USING MESSAGE = result;
EXCEPTION WHEN raise_exception THEN
	result := SQLERRM;
END $$;

-- %T: a table that is attached; %C: its columns
CREATE TABLE queries AS
SELECT replace(replace(q, '%T', t), '%C', c) AS query, t AS table_name
FROM (VALUES ('items', 'id, v, tag'), ('ranges', 'id, v, tag'), ('hashes', 'id, v, tag'), ('ranges_2', 'id, v, tag')) tables(t, c),
	unnest(ARRAY[
		'SELECT %C FROM %T WHERE id = 900',
		'SELECT * FROM %T WHERE id = 900 AND tag >= 0',
		'SELECT %C FROM %T WHERE id = 900 ORDER BY id DESC',
		'SELECT %C FROM %T WHERE id IN (900, 1300, 800, NULL, 900, 5000)',
		'SELECT %C FROM %T WHERE id IN (900, 1300, 800, NULL, 900, 5000) ORDER BY id',
		'SELECT * FROM %T WHERE id IN (1300, 900, 100, 1700, 800) ORDER BY id',
		'SELECT v, tag FROM %T WHERE id IN (1300, 900, 100, 1700, 800) ORDER BY id DESC',
		'SELECT id FROM %T WHERE id = ANY (ARRAY(SELECT g * 23 FROM generate_series(90, 1, -1) g)) ORDER BY id DESC',
		'SELECT id FROM %T WHERE id = ANY (''{900,901,902}''::bigint[]) AND tag <> 4 ORDER BY id DESC',
		'SELECT id, tag FROM %T WHERE id IN (1300, 900, 100, 1700, 800) ORDER BY id LIMIT 3',
		'SELECT id, tag FROM %T WHERE id IN (1300, 900, 100, 1700, 800) ORDER BY id DESC OFFSET 1 LIMIT 3',
		'SELECT id, tag FROM %T WHERE id IN (1300, 900, 100, 1700, 800) LIMIT 3',
		'SELECT id, tag FROM %T WHERE id IN (1300, 900, 100, 1700, 800) ORDER BY tag, id',
		'SELECT id, tag FROM %T WHERE id IN (1300, 900, 100, 1700, 800) ORDER BY id, tag',
		'SELECT DISTINCT id FROM %T WHERE id IN (1300, 900, 100) ORDER BY id',
		'SELECT id, count(*) FROM %T WHERE id IN (1300, 900, 100) GROUP BY id ORDER BY id',
		'SELECT max(id), min(id), count(*) FROM %T WHERE id IN (1300, 900, 100)',
		'SELECT id, row_number() OVER (ORDER BY id DESC) FROM %T WHERE id IN (1300, 900, 100)',
		'SELECT * FROM (SELECT %C FROM %T WHERE id IN (1300, 900, 800) ORDER BY id DESC OFFSET 0) s',
		'SELECT id FROM %T WHERE id IN (1300, 900) UNION ALL SELECT id FROM %T WHERE id IN (800, 850)',
		'WITH c AS MATERIALIZED (SELECT id FROM %T WHERE id IN (1300, 900) ORDER BY id DESC) SELECT * FROM c',
		'SELECT id, tag FROM %T WHERE id IN (1300, 900, 800) ORDER BY id FOR UPDATE',
		'SELECT o.id, i.tag FROM orders o JOIN %T i ON i.id = o.item WHERE o.id < 20',
		'SELECT o.id, i.tag FROM orders o LEFT JOIN %T i ON i.id = o.item WHERE o.id < 20',
		'SELECT id, v FROM %T WHERE id IN (SELECT item FROM orders WHERE id < 10) ORDER BY id'
	]) q
UNION ALL
SELECT q, split_part(split_part(q, 'FROM ', 2), ' ', 1)
FROM unnest(ARRAY[
		'SELECT k, tag FROM names WHERE k IN (''n9'', ''n10'', ''n1'') ORDER BY k',
		'SELECT k, tag FROM names WHERE k = ANY (''{n9,n10,n1,nil}''::varchar[]) ORDER BY k DESC',
		'SELECT k, tag FROM names WHERE k IN (''n9'', ''n10'', ''n1'') ORDER BY k COLLATE "C"',
		'SELECT k, tag FROM nums WHERE k IN (1.0, 1.25, 0.75000, 1) ORDER BY k DESC',
		'SELECT tag FROM pairs WHERE a = 7 AND b = ''b3'' ORDER BY b, a',
		'SELECT tag FROM pairs WHERE a = 7 AND b IN (''b3'', ''b1'') ORDER BY b',
		'SELECT id, mail FROM users WHERE mail IN (''Mail 900'', ''Mail 1000'', ''Mail 800'')',
		'SELECT id, mail FROM users WHERE mail IN (''Mail 900'', ''Mail 1000'', ''Mail 800'') ORDER BY mail',
		'SELECT id, mail FROM users WHERE mail IN (''Mail 900'', ''Mail 1000'', ''Mail 800'') ORDER BY mail DESC',
		'SELECT id, mail FROM users WHERE mail IN (''Mail 900'', ''Mail 1000'', ''Mail 800'') ORDER BY mail NULLS FIRST',
		'SELECT id, tag FROM users WHERE lower(mail) COLLATE "C" IN (''mail 900'', ''mail 1000'', ''mail 800'') ORDER BY lower(mail) COLLATE "C" DESC LIMIT 2',
		'SELECT id, tag FROM users WHERE n IN (1800, 1600, 2002, 1802) AND NOT gone ORDER BY n',
		'SELECT id, tag FROM users WHERE n IN (1800, 1600, 2002, 1802) AND NOT gone ORDER BY n DESC']) q;

-- plans: the same nodes in the same places (a sort may be made less of where it costs more)
SELECT query, cached.nodes AS cached, stored.nodes AS stored
FROM queries, plan_of(query, true) cached, plan_of(query, false) stored
WHERE cached.nodes NOT IN (stored.nodes, regexp_replace(stored.nodes, 'Incremental (Sort.)(Merge )?', '\1')) AND query !~ 'DISTINCT';
SELECT served, count(*) FROM queries, plan_of(query, true) GROUP BY served ORDER BY served;

-- results, in their order
SELECT query, cached, stored
FROM queries, results(ARRAY[query], true) cached, results(ARRAY[query], false) stored
WHERE cached <> stored;

-- cursors
CREATE FUNCTION steps(query text, options text, steps text[], table_name text) RETURNS text[] LANGUAGE sql AS $$
	SELECT ARRAY[format('DECLARE c %s CURSOR FOR %s', options, query)] || array_agg(replace(s, '%T', table_name) ORDER BY n) || ARRAY['CLOSE c']
	FROM unnest(steps) WITH ORDINALITY u(s, n)
$$;
CREATE TABLE walks AS SELECT * FROM (VALUES
	(ARRAY['FETCH NEXT FROM c', 'FETCH NEXT FROM c', 'FETCH PRIOR FROM c', 'FETCH PRIOR FROM c', 'FETCH PRIOR FROM c', 'FETCH 2 FROM c', 'FETCH ALL FROM c',
		'FETCH PRIOR FROM c', 'FETCH BACKWARD ALL FROM c', 'FETCH ALL FROM c']),
	(ARRAY['FETCH LAST FROM c', 'FETCH FIRST FROM c', 'FETCH ABSOLUTE 3 FROM c', 'FETCH RELATIVE -1 FROM c', 'FETCH RELATIVE 0 FROM c', 'FETCH ABSOLUTE -2 FROM c']),
	(ARRAY['MOVE 2 FROM c', 'MOVE BACKWARD 1 FROM c', 'FETCH NEXT FROM c', 'MOVE LAST FROM c', 'FETCH NEXT FROM c', 'FETCH PRIOR FROM c']),
	(ARRAY['UPDATE %T SET tag = -1 WHERE CURRENT OF c RETURNING id', 'FETCH NEXT FROM c', 'UPDATE %T SET tag = -2 WHERE CURRENT OF c RETURNING id, v',
		'FETCH NEXT FROM c', 'UPDATE %T SET tag = tag - 10 WHERE CURRENT OF c RETURNING id, tag', 'UPDATE %T SET tag = tag - 10 WHERE CURRENT OF c RETURNING id, tag',
		'FETCH PRIOR FROM c', 'DELETE FROM %T WHERE CURRENT OF c RETURNING id', 'FETCH ALL FROM c', 'UPDATE %T SET tag = 0 WHERE CURRENT OF c RETURNING id',
		'SELECT id, tag FROM %T WHERE tag < 0 ORDER BY id']),
	(ARRAY['FETCH 2 FROM c', 'DELETE FROM %T WHERE CURRENT OF c RETURNING id', 'DELETE FROM %T WHERE CURRENT OF c RETURNING id', 'FETCH NEXT FROM c',
		'UPDATE %T SET id = id + 5000 WHERE CURRENT OF c RETURNING id', 'FETCH BACKWARD 2 FROM c', 'FETCH ALL FROM c'])
	) w(steps);
SELECT query, options, cached, stored
FROM queries, unnest(ARRAY['', 'SCROLL', 'NO SCROLL', 'INSENSITIVE', 'SCROLL INSENSITIVE']) options, walks,
	LATERAL (SELECT results(steps(query, options, steps, table_name), true) AS cached,
		results(steps(query, options, steps, table_name), false) AS stored) r
WHERE cached <> stored;

-- the plans of some
SET itemcache.transparent = on;
EXPLAIN (COSTS OFF) SELECT v FROM items WHERE id IN (3, 9, 4) ORDER BY id;
EXPLAIN (COSTS OFF) SELECT v FROM items WHERE id IN (3, 9, 4) ORDER BY id DESC LIMIT 2;
EXPLAIN (COSTS OFF) SELECT v FROM ranges WHERE id IN (3, 900, 1800) ORDER BY id DESC;
EXPLAIN (COSTS OFF) SELECT v FROM hashes WHERE id IN (3, 900, 1800) ORDER BY id;

-- WHERE CURRENT OF in PL/pgSQL
CREATE FUNCTION raise_tags(ids int[]) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	c CURSOR (ids int[]) FOR SELECT id, tag FROM items WHERE id = ANY (ids) ORDER BY id DESC;
	seen int[];
BEGIN
	FOR r IN c (ids) LOOP
		UPDATE items SET tag = r.tag + 100 WHERE CURRENT OF c;
		seen := seen || r.id;
	END LOOP;
	RETURN seen;
END $$;
SELECT raise_tags('{3,9,4,NULL,5000}');
SET plan_cache_mode = force_generic_plan;
SELECT raise_tags('{3,9,4,NULL,5000}');
RESET plan_cache_mode;
SELECT id, tag FROM items WHERE tag > 100 ORDER BY id;

-- a cursor that outlives its transaction
BEGIN;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT id FROM items WHERE id IN (3, 9, 4) ORDER BY id DESC;
FETCH 2 FROM held;
COMMIT;
FETCH ALL FROM held;
FETCH BACKWARD ALL FROM held;
CLOSE held;

-- EXPLAIN's options
CREATE FUNCTION explained(options text, query text, OUT has_key boolean, OUT has_hits boolean) LANGUAGE plpgsql AS $$
DECLARE
	line text;
	all_lines text := '';
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
		all_lines := all_lines || line || E'\n';
	END LOOP;
	has_key := all_lines ~ '"?<?Key"?>?:?';
	has_hits := all_lines ~ 'Cache.Hits';
END $$;
SELECT options, q, has_key, has_hits
FROM unnest(ARRAY['FORMAT TEXT', 'ANALYZE, VERBOSE, BUFFERS, SETTINGS, WAL', 'ANALYZE, FORMAT JSON', 'ANALYZE, FORMAT XML, VERBOSE', 'ANALYZE, FORMAT YAML, BUFFERS',
		'ANALYZE, TIMING OFF, SUMMARY OFF', 'VERBOSE, FORMAT JSON']) options,
	unnest(ARRAY['SELECT v FROM items WHERE id IN (3, 9, 4) ORDER BY id DESC', 'SELECT i.tag FROM orders o JOIN items i ON i.id = o.item']) WITH ORDINALITY qs(query, q),
	explained(options, query)
ORDER BY 1, 2;

SET client_min_messages = warning;
DROP SCHEMA shape CASCADE;
