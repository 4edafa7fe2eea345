-- The functions of itemcache on a server without it: the same names, which
-- read and write the table.  Only what the schedules of 023_schedules.pl call.

CREATE SCHEMA itemcache;

CREATE FUNCTION itemcache.track() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

-- The columns of the primary key as a list; of today's, not the snapshot's, so
-- not by a query.
CREATE FUNCTION itemcache.key_of(relation regclass) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	key regclass := to_regclass(relation || '_pkey');
BEGIN
	IF key IS NULL THEN
		RAISE 'no primary key' USING ERRCODE = '55000';
	END IF;
	RETURN concat_ws(', ', pg_get_indexdef(key, 1, false), nullif(pg_get_indexdef(key, 2, false), ''));
END $$;

CREATE FUNCTION itemcache.attach(relation regclass, preload bool DEFAULT true, cache_new bool DEFAULT true)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	kind "char" := (SELECT relkind FROM pg_class WHERE oid = relation);
	name text := CASE kind WHEN 'p' THEN 'itemcache_partitioned' ELSE 'itemcache' END;
	arguments bytea := convert_to(format('preload=%s', preload), 'SQL_ASCII') || '\000' ||
		convert_to(format('cache_new=%s', cache_new), 'SQL_ASCII') || '\000';
	trigger pg_trigger;
BEGIN
	EXECUTE format('LOCK TABLE %s%s IN SHARE ROW EXCLUSIVE MODE', CASE WHEN kind = 'p' THEN 'ONLY ' END, relation);
	PERFORM itemcache.key_of(relation);
	SELECT * INTO trigger FROM pg_trigger WHERE tgrelid = relation AND tgname ~ '^itemcache';
	IF trigger.tgargs IS DISTINCT FROM arguments THEN
		IF trigger.tgparentid <> 0 THEN
			RAISE 'attached through its partitioned table' USING ERRCODE = '55000';
		END IF;
		EXECUTE format('CREATE OR REPLACE TRIGGER %s AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW
			EXECUTE FUNCTION itemcache.track(''preload=%s'', ''cache_new=%s'')',
			coalesce(trigger.tgname, name), relation, preload, cache_new);
		trigger.tgenabled := NULL;
	END IF;
	IF trigger.tgenabled IS DISTINCT FROM 'A' OR kind = 'p' THEN
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %s', relation, coalesce(trigger.tgname, name));
	END IF;
	RETURN 'attached';
END $$;

CREATE FUNCTION itemcache.detach(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	kind "char" := (SELECT relkind FROM pg_class WHERE oid = relation);
	trigger pg_trigger;
BEGIN
	EXECUTE format('LOCK TABLE %s%s IN ACCESS EXCLUSIVE MODE', CASE WHEN kind = 'p' THEN 'ONLY ' END, relation);
	SELECT * INTO trigger FROM pg_trigger WHERE tgrelid = relation AND tgname ~ '^itemcache';
	IF trigger.tgparentid <> 0 THEN
		RAISE 'attached through its partitioned table' USING ERRCODE = '55000';
	ELSIF FOUND THEN
		EXECUTE format('DROP TRIGGER %s ON %s', trigger.tgname, relation);
	END IF;
END $$;

CREATE FUNCTION itemcache.clear(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', relation);
END $$;

-- the locks that a lookup or a write takes first (LOCK TABLE is none for a
-- STABLE function)
CREATE FUNCTION itemcache.lock_to_read(relation regtype) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
	EXECUTE format('SELECT FROM ONLY %s LIMIT 0', relation);
END $$;
CREATE FUNCTION itemcache.lock_to_write(relation regtype) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE', relation);
END $$;

CREATE FUNCTION itemcache.get(row_type anyelement, key bigint) RETURNS anyelement LANGUAGE plpgsql STABLE AS $$
DECLARE
	item record;
	n bigint;
BEGIN
	PERFORM itemcache.lock_to_read(pg_typeof(row_type));
	-- more rows than one are an error, as of a subquery (rule U)
	EXECUTE format('SELECT (SELECT 1 FROM %s t WHERE %s = $1)', pg_typeof(row_type),
		itemcache.key_of(pg_typeof(row_type)::text::regclass)) USING key;
	EXECUTE format('SELECT t.* FROM %s t WHERE %s = $1', pg_typeof(row_type),
		itemcache.key_of(pg_typeof(row_type)::text::regclass)) INTO item USING key;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n > 0 THEN
		RETURN item;
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION itemcache.get(row_type anyelement, key text) RETURNS anyelement LANGUAGE plpgsql STABLE AS
'BEGIN RETURN itemcache.get(row_type, key::bigint); END';

CREATE FUNCTION itemcache.get(row_type anyelement, key record) RETURNS anyelement LANGUAGE plpgsql STABLE AS $$
DECLARE
	item record;
	n bigint;
BEGIN
	PERFORM itemcache.lock_to_read(pg_typeof(row_type));
	-- more rows than one are an error, as of a subquery (rule U)
	EXECUTE format('SELECT (SELECT 1 FROM %s t WHERE ROW(%s)::text = $1::text)', pg_typeof(row_type),
		itemcache.key_of(pg_typeof(row_type)::text::regclass)) USING key;
	EXECUTE format('SELECT t.* FROM %s t WHERE ROW(%s)::text = $1::text', pg_typeof(row_type),
		itemcache.key_of(pg_typeof(row_type)::text::regclass)) INTO item USING key;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n > 0 THEN
		RETURN item;
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION itemcache.get_many(row_type anyelement, keys bigint[]) RETURNS SETOF anyelement LANGUAGE plpgsql STABLE AS $$
DECLARE
	key bigint;
BEGIN
	PERFORM itemcache.lock_to_read(pg_typeof(row_type));
	FOREACH key IN ARRAY keys LOOP
		RETURN QUERY EXECUTE format('SELECT t.* FROM (VALUES (1)) one LEFT JOIN %s t ON t.%s = $1', pg_typeof(row_type),
			itemcache.key_of(pg_typeof(row_type)::text::regclass)) USING key;
	END LOOP;
END $$;

-- $1, an array of items, by one statement
CREATE FUNCTION itemcache.put_many(items anyarray) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	relation regclass := rtrim(pg_typeof(items)::text, '[]')::regclass;
	locked text := itemcache.lock_to_write(rtrim(pg_typeof(items)::text, '[]')::regtype);
	key text := itemcache.key_of(relation);
	-- of the row type as it is, not as the snapshot has it
	assignments text := (SELECT string_agg(format('%I = excluded.%1$I', name), ', ')
		FROM json_object_keys(row_to_json(items[1])) name WHERE name <> ALL (string_to_array(key, ', ')));
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) - count(DISTINCT (%s)) FROM unnest($1)', key) INTO n USING items;
	IF n > 0 THEN
		RAISE 'two items with one key' USING ERRCODE = '21000';
	END IF;
	EXECUTE format('INSERT INTO %s AS t SELECT u.* FROM unnest($1) u ORDER BY %s ON CONFLICT (%s) DO UPDATE SET %s WHERE t.* *<> excluded.*',
		relation, key, key, assignments) USING items;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;

CREATE FUNCTION itemcache.put(item anyelement) RETURNS void LANGUAGE plpgsql AS
'BEGIN PERFORM itemcache.put_many(ARRAY[item]); END';

CREATE FUNCTION itemcache.delete(row_type anyelement, key bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM itemcache.lock_to_write(pg_typeof(row_type));
	EXECUTE format('DELETE FROM %s WHERE %s = $1', pg_typeof(row_type),
		itemcache.key_of(pg_typeof(row_type)::text::regclass)) USING key;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n > 0;
END $$;

CREATE FUNCTION itemcache.preload(relation regclass) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', relation);
	RETURN 0;
END $$;
