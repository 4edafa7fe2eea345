-- Two tables of different people share the cache, and neither can use it to
-- find out about the other, or to harm it.

CREATE SCHEMA strangers;
SET search_path = strangers;

--
-- Keys of one table chosen by the keys of another.  Everything a hash is made
-- of, but for the server's secret, is known to everybody; without that the
-- hash of key k was mix(seed(table) + k), and mix can be undone.
--
CREATE FUNCTION wrap(n numeric) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$
	SELECT (CASE WHEN m >= 2::numeric ^ 63 THEN m - 2::numeric ^ 64 ELSE m END)::bigint
	FROM (SELECT mod(mod(n, 2::numeric ^ 64) + 2::numeric ^ 64, 2::numeric ^ 64) AS m) x
$$;
CREATE FUNCTION shift(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$
	SELECT x # (x::bit(64) >> 33)::bigint
$$;
CREATE FUNCTION mix(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$
	SELECT shift(wrap(shift(wrap(shift(x)::numeric * 18397679294719823053))::numeric * 14181476777654086739))
$$;
CREATE FUNCTION seed(relation regclass) RETURNS bigint LANGUAGE sql AS
$$
	SELECT mix(wrap((d.oid::bigint * 4294967296 + relation::oid::bigint)::numeric + 11400714819323198485))
	FROM pg_database d WHERE d.datname = current_database()
$$;

CREATE TABLE secrets (id bigint PRIMARY KEY, v text);
CREATE TABLE mine (id bigint PRIMARY KEY, v text);
INSERT INTO secrets SELECT g, 'secret ' || g FROM generate_series(1, 100) g;
SELECT count(itemcache.attach(t)) FROM unnest('{secrets,mine}'::regclass[]) t;
INSERT INTO mine
SELECT wrap(g::numeric + seed('secrets') - seed('mine')), 'for ' || g FROM generate_series(1, 100) g;

-- cached, and found
SELECT present, misses FROM helper.check('secrets', 1, 100);
SELECT differing, hits, misses FROM helper.check('secrets', 1, 100);
-- all of mine are looked up, and cached
SELECT count(itemcache.get(NULL::mine, id)) FROM mine;
SELECT count(itemcache.get(NULL::mine, id)) FROM mine;
-- which nobody else can tell
SELECT differing, hits, misses FROM helper.check('secrets', 1, 100);
-- nor can I tell that others' are written
UPDATE secrets SET v = v || '!' WHERE id <= 50;
DELETE FROM secrets WHERE id > 50;
SELECT hits, misses, bypasses
FROM helper.answered('mine', 'SELECT count(itemcache.get(NULL::strangers.mine, id)) FROM strangers.mine');

DROP SCHEMA strangers CASCADE;
