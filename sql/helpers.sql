-- What the other files use: comparing lookups with the table, and counting hits.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS itemcache;
RESET client_min_messages;

CREATE SCHEMA helper;
GRANT USAGE ON SCHEMA helper TO PUBLIC;

-- how a statement fails, without its rows
CREATE FUNCTION helper.try(statement text, OUT code text, OUT message text,
						   OUT detail text, OUT hint text)
LANGUAGE plpgsql AS
$$
BEGIN
	EXECUTE statement;
	message := 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS
		code = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
	detail := nullif(detail, '');
	hint := nullif(hint, '');
	-- what else is said of functions that do not fit depends on the major
	IF code IN ('42883', '42725') THEN
		detail := NULL;
		hint := NULL;
	END IF;
END
$$;

-- lookups of a table by how they were answered
CREATE FUNCTION helper.counts(relation regclass, OUT hits bigint, OUT misses bigint,
							  OUT bypasses bigint)
LANGUAGE sql VOLATILE AS
$$
	SELECT coalesce(sum(t.hits), 0), coalesce(sum(t.misses), 0), coalesce(sum(t.bypasses), 0)
	FROM itemcache.tables t WHERE t.relid = relation
$$;

--
-- Look up each of the bigint keys lo..hi of "relation", whose primary key is
-- the column "id", and compare with the row that the same statement reads
-- from the table.  "differing" is the list of what disagrees (it must be
-- empty); the rest says how many rows there were and how the lookups were
-- answered, so that a test cannot pass by never caching.
--
CREATE FUNCTION helper.check(relation regclass, lo bigint, hi bigint,
							 OUT differing text, OUT present bigint,
							 OUT hits bigint, OUT misses bigint, OUT bypasses bigint)
LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
	before record;
	after record;
BEGIN
	SELECT * INTO before FROM helper.counts(relation);
	EXECUTE format(
		'SELECT string_agg(format(''%%s: cached %%s, table %%s'', k, c, r), ''; '' ORDER BY k)
				FILTER (WHERE c IS DISTINCT FROM r),
				count(r)
		 FROM (SELECT k, itemcache.get(NULL::%1$s, k)::text AS c, t::text AS r
			   FROM generate_series($1, $2) k LEFT JOIN %1$s t ON t.id + 0 = k
			   OFFSET 0) x', relation)
		INTO differing, present USING lo, hi;
	SELECT * INTO after FROM helper.counts(relation);
	hits := after.hits - before.hits;
	misses := after.misses - before.misses;
	bypasses := after.bypasses - before.bypasses;
END
$$;

-- how one statement's lookups of a table were answered
CREATE FUNCTION helper.answered(relation regclass, statement text,
								OUT hits bigint, OUT misses bigint, OUT bypasses bigint)
LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
	before record;
	after record;
BEGIN
	SELECT * INTO before FROM helper.counts(relation);
	EXECUTE statement;
	SELECT * INTO after FROM helper.counts(relation);
	hits := after.hits - before.hits;
	misses := after.misses - before.misses;
	bypasses := after.bypasses - before.bypasses;
END
$$;

--
-- Have the next statement fire our trigger by the server's queue: which function
-- it is, by which the row condition knows it, is forgotten when it changes.
--
CREATE FUNCTION helper.by_queue() RETURNS void
LANGUAGE sql VOLATILE AS
$$
	ALTER FUNCTION itemcache.track() COST 1
$$;

-- how often a statement fired our trigger by the queue; where all caches are
-- discarded all the time, it always would
CREATE FUNCTION helper.fired(statement text) RETURNS bigint
LANGUAGE plpgsql SET debug_discard_caches = 0 AS
$$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || statement INTO plan;
	RETURN (SELECT coalesce(sum((t->>'Calls')::numeric), 0)
			FROM jsonb_array_elements(plan->0->'Triggers') t
			WHERE t->>'Trigger Name' LIKE 'itemcache%');
END
$$;

-- the cached scans of a plan, with their keys
CREATE FUNCTION helper.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
$$
DECLARE
	line text;
	cached boolean := false;
	found boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		line := regexp_replace(line, '^[ >-]*', '');
		IF line ~ '^Custom Scan' THEN
			cached := true;
			found := true;
			RETURN NEXT line;
		ELSIF line !~ '^[A-Z][A-Za-z ]*: ' THEN
			cached := false;
		ELSIF cached AND line ~ '^(Join Type|Items of|Key|Join Filter|Filter): ' THEN
			RETURN NEXT '  ' || line;
		END IF;
	END LOOP;
	IF NOT found THEN
		RETURN NEXT 'not from the cache';
	END IF;
END
$$;

-- a statement's rows with and without the cache, and how its lookups were answered
CREATE FUNCTION helper.compare(query text, OUT same boolean, OUT nrows bigint,
						OUT hits bigint, OUT misses bigint, OUT bypasses bigint)
LANGUAGE plpgsql AS
$$
DECLARE
	before record;
	after record;
	cached text[];
	stored text[];
	setting text := current_setting('itemcache.transparent');
	collect text := 'SELECT array_agg(q::text ORDER BY q::text) FROM (' || query || ') q';
BEGIN
	SELECT sum(t.hits) AS hits, sum(t.misses) AS misses, sum(t.bypasses) AS bypasses
		INTO before FROM itemcache.tables t WHERE t.leaf_of IS NULL;
	EXECUTE collect INTO cached;
	SELECT sum(t.hits) AS hits, sum(t.misses) AS misses, sum(t.bypasses) AS bypasses
		INTO after FROM itemcache.tables t WHERE t.leaf_of IS NULL;
	PERFORM set_config('itemcache.transparent', 'off', false);
	EXECUTE collect INTO stored;
	PERFORM set_config('itemcache.transparent', setting, false);
	same := cached IS NOT DISTINCT FROM stored;
	nrows := coalesce(cardinality(stored), 0);
	hits := after.hits - before.hits;
	misses := after.misses - before.misses;
	bypasses := after.bypasses - before.bypasses;
END
$$;

-- EXPLAIN ANALYZE as all majors print it (rows in fractions, from 18 on)
CREATE FUNCTION helper.explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(line, '(rows=\d+)\.00', '\1');
	END LOOP;
END $$;

-- the helper itself: a table that is not attached agrees, and nothing is counted
CREATE TABLE helper_test (id int PRIMARY KEY, v text);
INSERT INTO helper_test VALUES (1, 'one'), (2, 'two');
SELECT * FROM helper.check('helper_test', 1, 3);
DROP TABLE helper_test;
