-- put(), put_many() and delete(): what INSERT ... ON CONFLICT DO UPDATE and DELETE do, on tables of all kinds, for all that can be wrong.

CREATE SCHEMA putting;
SET search_path = putting;

CREATE TABLE items (id bigint PRIMARY KEY, name text, price numeric DEFAULT 5);
SELECT itemcache.attach('items');

--
-- Insert, update, delete
--
SELECT itemcache.put(ROW(1, 'pen', 9.99)::items);
SELECT itemcache.put(jsonb_populate_record(NULL::items, '{"id": 2, "name": "ink"}'));	-- NULL, not the default
SELECT pg_typeof(itemcache.put(ROW(3, 'pad', 1)::items));
SELECT * FROM items ORDER BY id;
SELECT itemcache.get(NULL::items, 1), itemcache.get(NULL::items, 2), itemcache.get(NULL::items, 3);
SELECT itemcache.put(ROW(1, 'red pen', NULL)::items);
SELECT itemcache.get(NULL::items, 1);
SELECT itemcache.delete(NULL::items, 3), itemcache.delete(NULL::items, 3);
SELECT itemcache.delete(NULL::items, '2'), itemcache.delete(NULL::items, NULL), itemcache.delete(NULL::items, NULL::bigint);
SELECT itemcache.get(NULL::items, 3) IS NULL AS gone, itemcache.get(NULL::items, 2) IS NULL AS gone_too;
SELECT * FROM items ORDER BY id;

SELECT itemcache.put_many(ARRAY[ROW(5, 'five', 5), ROW(1, 'one', 1), ROW(3, 'three', 3)]::items[]);
SELECT itemcache.put_many(array_agg(ROW(g, 'item ' || g, g)::items)) FROM generate_series(1, 5) g;
SELECT itemcache.put_many(array_agg(i)) AS unchanged FROM items i;
SELECT itemcache.put_many(ARRAY[[ROW(1, 'a', 1), ROW(2, 'b', 2)], [ROW(3, 'c', 3), ROW(4, 'd', 4)]]::items[]) AS two_dimensions;
SELECT itemcache.put_many('{}'::items[]) AS empty, itemcache.put_many(NULL::items[]) AS null;
SELECT * FROM items ORDER BY id;
SELECT * FROM helper.check('items', 0, 6);

-- a put's new version is in the cache at once, by the put itself
SELECT * FROM helper.answered('items', 'SELECT itemcache.get(NULL::items, k) FROM generate_series(1, 5) k');
SELECT itemcache.put(ROW(1, 'cached', 1)::items);
SELECT * FROM helper.answered('items', 'SELECT itemcache.get(NULL::items, 1)');
SELECT itemcache.put(ROW(100, 'new', 1)::items);
SELECT * FROM helper.answered('items', 'SELECT itemcache.get(NULL::items, 100)');
SELECT itemcache.put_many(ARRAY[ROW(100, 'newer', 1), ROW(101, 'new', 1)]::items[]);
SELECT * FROM helper.answered('items', 'SELECT itemcache.get(NULL::items, 100), itemcache.get(NULL::items, 101)');

-- many in one statement, one after the other
SELECT count(*) FROM (SELECT itemcache.put(ROW(g % 10, 'round ' || g, g)::items) FROM generate_series(1, 100) g OFFSET 0) s;
SELECT * FROM items WHERE id < 10 ORDER BY id;
SELECT itemcache.put(i) FROM (SELECT id + 1000, name, price FROM items WHERE id = 1) AS i(id, name, price);	-- not a row of items
SELECT count(itemcache.delete(NULL::items, id)) FROM items WHERE id BETWEEN 100 AND 101;

-- by a driver
PREPARE put(items) AS SELECT itemcache.put($1);
EXECUTE put('(7,by driver,7)');
EXECUTE put(ROW(8, 'by driver', 8));
PREPARE put_untyped AS SELECT itemcache.put($1::items);
EXECUTE put_untyped('(9,"by driver, untyped",)');
PREPARE put_json AS SELECT itemcache.put(jsonb_populate_record(NULL::items, $1));
EXECUTE put_json('{"id": 10, "name": "by json", "price": 10}');
PREPARE put_many_untyped AS SELECT itemcache.put_many($1::items[]);
EXECUTE put_many_untyped('{"(7,seven,7)","(8,eight,)"}');
PREPARE put_many_json AS SELECT itemcache.put_many(ARRAY(SELECT jsonb_populate_recordset(NULL::items, $1)));
EXECUTE put_many_json('[{"id": 10, "name": "ten"}, {"id": 11, "name": "eleven"}]');
PREPARE delete_untyped AS SELECT itemcache.delete(NULL::items, $1);
EXECUTE delete_untyped('11');
SELECT * FROM items WHERE id >= 7 ORDER BY id;
DEALLOCATE ALL;

-- from plpgsql, with a row variable
DO $$
DECLARE
	item items;
	list items[];
BEGIN
	FOR i IN 1..10 LOOP
		item := itemcache.get(NULL::items, i);
		item.name := item.name || '!';
		PERFORM itemcache.put(item);
		list := list || item;
	END LOOP;
	item := NULL;
	item.id := 12;
	PERFORM itemcache.put(item);
	list[1].name := 'from the list';
	RAISE NOTICE '%', itemcache.put_many(list);
END $$;
SELECT * FROM items ORDER BY id;

--
-- Savepoints, own writes
--
BEGIN;
SELECT itemcache.put(ROW(1, 'outer', 1)::items);
SAVEPOINT s;
SELECT itemcache.put(ROW(1, 'inner', 1)::items), itemcache.delete(NULL::items, 2);
SELECT itemcache.get(NULL::items, 1), itemcache.get(NULL::items, 2);
ROLLBACK TO s;
SELECT itemcache.get(NULL::items, 1), itemcache.get(NULL::items, 2);
COMMIT;
SELECT * FROM helper.check('items', 0, 13);
BEGIN;
SELECT itemcache.put(ROW(1, 'never', 1)::items), itemcache.delete(NULL::items, 2), itemcache.put(ROW(50, 'never', 1)::items);
ROLLBACK;
SELECT itemcache.get(NULL::items, 1), itemcache.get(NULL::items, 50) IS NULL AS none;
SELECT differing, present, hits >= 12 AS hits FROM helper.check('items', 0, 51);

--
-- An identical row: no new version, no trigger but the statement's
--
CREATE TABLE same (id int PRIMARY KEY, n numeric, j json, f float, p point, t text COLLATE "C", c text GENERATED ALWAYS AS (t || '!') STORED);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % %', TG_WHEN, TG_OP, TG_LEVEL;
	RETURN coalesce(NEW, OLD);
END $$;
SELECT itemcache.attach('same');
SELECT itemcache.put(ROW(1, 1.0, '{"a":1}', 0, '(1,2)', 'x', NULL)::same);
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON same FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON same FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER c BEFORE INSERT OR UPDATE OR DELETE ON same FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER d AFTER INSERT OR UPDATE OR DELETE ON same FOR EACH STATEMENT EXECUTE FUNCTION tell();
SELECT ctid AS before, xmin AS xmin_before FROM same \gset
SELECT itemcache.put(ROW(1, 1.0, '{"a":1}', 0, '(1,2)', 'x', NULL)::same);
SELECT itemcache.put(itemcache.get(NULL::same, 1));
SELECT itemcache.put_many(ARRAY[itemcache.get(NULL::same, 1)]);
SELECT ctid = :'before' AS same_version, xmin = :'xmin_before' AS same_xmin, n, c FROM same;
SELECT itemcache.put(ROW(1, 1.00, '{"a":1}', 0, '(1,2)', 'x', NULL)::same);		-- equal, but not the same
SELECT ctid = :'before' AS same_version, n FROM same;
SELECT itemcache.put(ROW(1, 1.00, '{"a": 1}', 0, '(1,2)', 'x', NULL)::same);
SELECT itemcache.put(ROW(1, 1.00, '{"a": 1}', '-0', '(1,2)', 'x', NULL)::same);
SELECT n, j, f, c FROM same;
SELECT itemcache.delete(NULL::same, 1);
SELECT itemcache.delete(NULL::same, 1);

--
-- Triggers that change or refuse
--
CREATE TABLE changed (id int PRIMARY KEY, v text);
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.v = 'refuse' THEN RETURN NULL; END IF;
	NEW.v := TG_OP || ' ' || NEW.v;
	RETURN NEW;
END $$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON changed FOR EACH ROW EXECUTE FUNCTION change();
SELECT itemcache.attach('changed');
SELECT itemcache.put(ROW(1, 'one')::changed), itemcache.put(ROW(2, 'refuse')::changed);
SELECT itemcache.put(ROW(1, 'two')::changed), itemcache.put_many(ARRAY[ROW(2, 'refuse'), ROW(3, 'three')]::changed[]);
SELECT * FROM changed ORDER BY id;
SELECT * FROM helper.check('changed', 0, 4);

-- a trigger that puts into its own table
CREATE TABLE chain (id int PRIMARY KEY, n int);
CREATE FUNCTION next_in_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id < 5 THEN
		PERFORM itemcache.put(ROW(NEW.id + 1, NEW.n)::chain);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER next_in_chain AFTER INSERT OR UPDATE ON chain FOR EACH ROW EXECUTE FUNCTION next_in_chain();
SELECT itemcache.attach('chain');
SELECT itemcache.put(ROW(1, 1)::chain);
SELECT itemcache.put(ROW(2, 2)::chain);
SELECT * FROM chain ORDER BY id;
SELECT * FROM helper.check('chain', 0, 6);

-- one that renames it meanwhile: the plan that runs must live
CREATE TABLE renamed (id int PRIMARY KEY, n int);
CREATE FUNCTION rename_and_put() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.n = 1 THEN
		ALTER TABLE renamed RENAME TO renamed_for_now;
		PERFORM itemcache.put(ROW(NEW.id + 1, 2)::renamed_for_now);
		ALTER TABLE renamed_for_now RENAME TO renamed;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER rename_and_put AFTER INSERT ON renamed FOR EACH ROW EXECUTE FUNCTION rename_and_put();
SELECT itemcache.put(ROW(1, 1)::renamed);
SELECT itemcache.put(ROW(11, 1)::renamed);
SELECT * FROM renamed ORDER BY id;

-- renamed, or moved to another schema, between two puts of a session, while
-- another table has the old name
CREATE TABLE moved (id int PRIMARY KEY, n int);
SELECT itemcache.put(ROW(1, 1)::moved), itemcache.delete(NULL::moved, 7);
ALTER TABLE moved RENAME TO moved_away;
CREATE TABLE moved (id int PRIMARY KEY, n int);
SELECT itemcache.put(ROW(1, 2)::moved_away), itemcache.delete(NULL::moved_away, 7);
CREATE SCHEMA elsewhere;
ALTER TABLE moved_away SET SCHEMA elsewhere;
CREATE TABLE moved_away (id int PRIMARY KEY, n int);
SELECT itemcache.put(ROW(1, 3)::elsewhere.moved_away);
ALTER SCHEMA elsewhere RENAME TO elsewhere_else;
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.moved_away (id int PRIMARY KEY, n int);
SELECT itemcache.put(ROW(1, 4)::elsewhere_else.moved_away), itemcache.put_many(ARRAY[ROW(2, 4)]::elsewhere_else.moved_away[]);
BEGIN;
ALTER SCHEMA elsewhere_else RENAME TO elsewhere_now;
SELECT itemcache.put(ROW(1, 5)::elsewhere_now.moved_away);
ROLLBACK;
SELECT itemcache.put(ROW(3, 6)::elsewhere_else.moved_away), itemcache.delete(NULL::elsewhere_else.moved_away, 2);
SELECT * FROM elsewhere_else.moved_away ORDER BY id;
SELECT count(*) FROM (TABLE moved UNION ALL TABLE moved_away UNION ALL TABLE elsewhere.moved_away) s;
SET client_min_messages = warning;
DROP SCHEMA elsewhere, elsewhere_else CASCADE;
DROP TABLE moved, moved_away;
RESET client_min_messages;

-- an error in the middle: of a trigger, in a subtransaction
CREATE TABLE fragile (id int PRIMARY KEY, n int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.n < 0 THEN
		RAISE EXCEPTION 'refused';
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER refuse AFTER INSERT OR UPDATE ON fragile FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT itemcache.attach('fragile');
BEGIN;
SELECT itemcache.put(ROW(1, 1)::fragile);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, -1)::putting.fragile)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 2), ROW(2, 2), ROW(3, -1)]::putting.fragile[])$$);
SELECT itemcache.put(ROW(2, 1)::fragile);
COMMIT;
SELECT * FROM fragile ORDER BY id;
SELECT * FROM helper.check('fragile', 0, 4);

--
-- Rows whose columns are not all as they come: dropped columns, lengths, generated columns; one statement, as triggers see it
--
CREATE TABLE lengths (gone int, id int PRIMARY KEY, code varchar(4), also_gone text, amount numeric(6,2), total numeric GENERATED ALWAYS AS (amount * 2) STORED, fixed char(3));
ALTER TABLE lengths DROP COLUMN gone, DROP COLUMN also_gone;
SELECT itemcache.attach('lengths');
CREATE TRIGGER a BEFORE INSERT OR UPDATE ON lengths FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER b AFTER INSERT OR UPDATE ON lengths FOR EACH ROW EXECUTE FUNCTION tell();
SELECT itemcache.put(ROW(2, 'b', 2.005, NULL, 'x')::lengths);
SELECT itemcache.put_many(ARRAY[ROW(2, 'c', 2.015, 7, 'y'), ROW(3, 'd', NULL, NULL, NULL), ROW(1, 'a', 1, NULL, 'xyz')]::lengths[]);
SELECT *, octet_length(fixed) FROM lengths ORDER BY id;
DROP TRIGGER a ON lengths;
DROP TRIGGER b ON lengths;
-- what was made before may not fit any more (and the minor releases of late 2026 take no such row at all)
DO $$
DECLARE
	many lengths[] := ARRAY[ROW(1, 'e', 5, NULL, 'x'), ROW(2, 'long', 5, NULL, 'x')]::lengths[];
BEGIN
	ALTER TABLE lengths ALTER code TYPE varchar(3);
	PERFORM itemcache.put_many(many);
EXCEPTION WHEN string_data_right_truncation OR SQLSTATE '22P07' THEN
	RAISE NOTICE 'refused';
END $$;
SELECT * FROM lengths ORDER BY id;
SELECT * FROM helper.check('lengths', 0, 5);

--
-- Generated and identity columns
--
CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, vv text GENERATED ALWAYS AS (v || v) STORED);
CREATE TABLE by_default (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text);
CREATE TABLE not_the_key (id int PRIMARY KEY, nr bigint GENERATED ALWAYS AS IDENTITY, v text);
CREATE TABLE serials (id serial PRIMARY KEY, v text DEFAULT 'none');
CREATE TABLE nothing_else (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
SELECT count(itemcache.attach(t::regclass)) FROM unnest(ARRAY['always', 'by_default', 'not_the_key', 'serials', 'nothing_else']) t;

SELECT itemcache.put(ROW(NULL, 'computed', 'ignored')::always), itemcache.put(ROW(NULL, 'computed', NULL)::always);
SELECT itemcache.put(ROW(10, 'given', NULL)::always), itemcache.put(ROW(1, 'changed', NULL)::always);
SELECT itemcache.put_many(ARRAY[ROW(NULL, 'many', NULL), ROW(2, 'changed', NULL), ROW(11, 'given', NULL), ROW(NULL, 'many', NULL)]::always[]);
SELECT * FROM always ORDER BY id;
SELECT count(itemcache.put(itemcache.get(NULL::always, id))) FROM always;
SELECT * FROM helper.check('always', 0, 12);

SELECT * FROM helper.try('SELECT itemcache.put(ROW(NULL, ''x'')::putting.by_default)');
SELECT itemcache.put(ROW(1, 'given')::by_default);
SELECT itemcache.put(ROW(1, 'changed')::by_default);
SELECT * FROM by_default;
SELECT * FROM helper.try('SELECT itemcache.put(ROW(NULL, ''x'')::putting.serials)');
SELECT itemcache.put(ROW(1, NULL)::serials);
SELECT * FROM serials;

SELECT itemcache.put(ROW(1, NULL, 'computed')::not_the_key), itemcache.put(ROW(2, 77, 'given')::not_the_key);
SELECT itemcache.put(ROW(1, 88, 'kept')::not_the_key), itemcache.put(ROW(2, NULL, 'kept')::not_the_key);
SELECT itemcache.put_many(ARRAY[ROW(3, 99, 'given'), ROW(4, NULL, 'computed'), ROW(1, 88, 'still kept')]::not_the_key[]);
SELECT id, CASE WHEN id IN (1, 2, 3) THEN nr END AS nr, nr IS NOT NULL AS has_nr, v FROM not_the_key ORDER BY id;
SELECT itemcache.put(itemcache.get(NULL::not_the_key, 2));
SELECT ctid AS before FROM not_the_key WHERE id = 2 \gset
SELECT itemcache.put(itemcache.get(NULL::not_the_key, 2));
SELECT ctid = :'before' AS same_version FROM not_the_key WHERE id = 2;

SELECT itemcache.put(ROW(NULL)::nothing_else), itemcache.put(ROW(5)::nothing_else), itemcache.put(ROW(5)::nothing_else);
SELECT itemcache.put_many(ARRAY[ROW(NULL), ROW(NULL), ROW(5), ROW(6)]::nothing_else[]);
SELECT * FROM nothing_else ORDER BY id;

-- several identities: all or none
CREATE TABLE twice (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, nr bigint GENERATED ALWAYS AS IDENTITY);
SELECT itemcache.put(ROW(NULL, 'computed', NULL)::twice), itemcache.put(ROW(7, 'given', 8)::twice);
SELECT * FROM helper.try('SELECT itemcache.put(ROW(NULL, ''x'', 9)::putting.twice)');
SELECT * FROM helper.try('SELECT itemcache.put_many(ARRAY[ROW(7, ''changed'', 8), ROW(9, ''x'', NULL)]::putting.twice[])');
SELECT * FROM twice ORDER BY id;

--
-- Names, shapes, types
--
CREATE TABLE "Odd ""Table" (item int, excluded text, r int, "r.r" int, "Key" int, t int, "$1" text, "select" text, old int, new int,
	PRIMARY KEY (r, item, "Key"));
SELECT itemcache.attach('"Odd ""Table"');
SELECT itemcache.put(ROW(1, 'e', 2, 3, 4, 5, 'd', 's', 6, 7)::"Odd ""Table");
SELECT itemcache.put(ROW(1, 'E', 2, 33, 4, 55, 'D', 'S', 66, 77)::"Odd ""Table");
SELECT itemcache.put_many(ARRAY[ROW(1, 'e', 2, 3, 4, 5, 'd', 's', 6, 7), ROW(2, 'e', 1, 3, 4, 5, 'd', 's', 6, 7)]::"Odd ""Table"[]);
SELECT * FROM "Odd ""Table" ORDER BY 1;
SELECT itemcache.get(NULL::"Odd ""Table", '(2,1,4)');
SELECT itemcache.delete(NULL::"Odd ""Table", '(2,1,4)'), itemcache.delete(NULL::"Odd ""Table", ROW(1, 2, 4));
SELECT count(*) FROM "Odd ""Table";
CREATE TABLE excluded (excluded int PRIMARY KEY, item text);
SELECT itemcache.put(ROW(1, 'a')::excluded), itemcache.put(ROW(1, 'b')::excluded), itemcache.put_many(ARRAY[ROW(2, 'c')::excluded]);
SELECT * FROM excluded ORDER BY 1;
SELECT itemcache.delete(NULL::excluded, 1);

CREATE TABLE only_key (a int, b text, PRIMARY KEY (a, b));
SELECT itemcache.attach('only_key');
SELECT itemcache.put(ROW(1, 'x')::only_key), itemcache.put(ROW(1, 'x')::only_key), itemcache.put_many(ARRAY[ROW(1, 'x'), ROW(1, 'y')]::only_key[]);
SELECT * FROM only_key ORDER BY b;
SELECT itemcache.delete(NULL::only_key, ROW(1, 'x'::text)), itemcache.delete(NULL::only_key, '(1,z)');

CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN label AS text NOT NULL;
CREATE TYPE inner_type AS (a int, b text);
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE rich (junk text, id positive PRIMARY KEY, l label, arr int[], comp inner_type, comps inner_type[], m mood, rng int4range, x varchar(3));
ALTER TABLE rich DROP junk;
ALTER TABLE rich ADD late text DEFAULT 'late';
SELECT itemcache.attach('rich');
SELECT itemcache.put(ROW(1, 'l', '{1,2}', '(1,b)', ARRAY[ROW(1, 'x')::inner_type], 'high', '[1,3)', 'abc', 'y')::rich);
SELECT itemcache.put(ROW(1, 'l', '{1,NULL}', NULL, NULL, 'low', 'empty', NULL, NULL)::rich);
SELECT itemcache.put_many(ARRAY[ROW(2, 'm', '{}', '(,)', '{}', 'high', '[1,3)', 'abc', 'y')::rich]);
SELECT * FROM rich ORDER BY id;
SELECT itemcache.get(NULL::rich, 1), itemcache.get(NULL::rich, 2);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(-1, 'l', NULL, NULL, NULL, NULL, NULL, NULL, NULL)::putting.rich)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::putting.rich)$$);
SELECT itemcache.delete(NULL::rich, 2);
ALTER TABLE rich DROP arr, ADD more int;
SELECT itemcache.put(ROW(1, 'l', NULL, NULL, 'low', 'empty', NULL, NULL, 5)::rich);
SELECT itemcache.get(NULL::rich, 1), (SELECT r FROM rich r);

-- wide values, stored out of line
CREATE TABLE wide (id int PRIMARY KEY, t text, n int);
ALTER TABLE wide ALTER t SET STORAGE EXTERNAL;
SELECT itemcache.attach('wide');
SELECT itemcache.put(ROW(1, repeat('wide', 5000), 1)::wide);
SELECT ctid AS before FROM wide \gset
SELECT itemcache.put(w) FROM wide w;
SELECT itemcache.put(itemcache.get(NULL::wide, 1));
SELECT ctid = :'before' AS same_version FROM wide;
SELECT itemcache.put(ROW(w.id, w.t, 2)::wide) FROM wide w;
SELECT length(t), n, (itemcache.get(NULL::wide, 1)).t = t AS equal FROM wide;

-- keys that are equal, but not the same
CREATE TABLE numbers (id numeric PRIMARY KEY, v text);
SELECT itemcache.attach('numbers');
SELECT itemcache.put(ROW(1.0, 'a')::numbers), itemcache.put(ROW(1.00, 'b')::numbers);
SELECT * FROM numbers;
SELECT itemcache.get(NULL::numbers, '1'), itemcache.delete(NULL::numbers, '1.000');

--
-- Partitioned tables: routing, another order of columns
--
CREATE TABLE parts (id int, region text, v text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE parts_eu (v text, junk int, region text NOT NULL, id int NOT NULL);
ALTER TABLE parts_eu DROP junk;
ALTER TABLE parts ATTACH PARTITION parts_eu FOR VALUES IN ('eu');
CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us') PARTITION BY HASH (id);
CREATE TABLE parts_us_0 PARTITION OF parts_us FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_us_1 PARTITION OF parts_us FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT itemcache.attach('parts');
SELECT itemcache.put(ROW(1, 'eu', 'one')::parts), itemcache.put(ROW(2, 'us', 'two')::parts);
SELECT itemcache.put(ROW(1, 'eu', 'ONE')::parts), itemcache.put_many(ARRAY[ROW(2, 'us', 'TWO'), ROW(3, 'us', 'three'), ROW(4, 'eu', 'four')]::parts[]);
SELECT tableoid::regclass, * FROM parts ORDER BY id;
SELECT itemcache.get(NULL::parts, '(eu,1)'), itemcache.get(NULL::parts, '(us,2)'), itemcache.get(NULL::parts, '(us,3)');
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'asia', 'x')::putting.parts)$$);
SELECT itemcache.put(ROW('leaf', 'eu', 5)::parts_eu);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW('leaf', 'us', 5)::putting.parts_eu)$$);
SELECT itemcache.delete(NULL::parts, '(eu,5)'), itemcache.delete(NULL::parts, '(us,5)'), itemcache.delete(NULL::parts_eu, '(eu,1)');
SELECT tableoid::regclass, * FROM parts ORDER BY id;
SELECT itemcache.put(itemcache.get(NULL::parts, '(us,2)'));

-- inheritance: the table itself only
CREATE TABLE mother (id int PRIMARY KEY, v text);
CREATE TABLE daughter () INHERITS (mother);
INSERT INTO daughter VALUES (1, 'daughter''s');
SELECT itemcache.delete(NULL::mother, 1), itemcache.put(ROW(1, 'mother''s')::mother);
SELECT tableoid::regclass, * FROM mother ORDER BY 1;

--
-- Constraints and foreign keys: nothing half done
--
CREATE TABLE strict (id int PRIMARY KEY, n int NOT NULL CHECK (n > 0), code text UNIQUE, item bigint REFERENCES items);
SELECT itemcache.attach('strict');
SELECT itemcache.put(ROW(1, 1, 'a', 1)::strict);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 0, 'a', 1)::putting.strict)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, NULL, 'a', 1)::putting.strict)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(2, 1, 'a', 1)::putting.strict)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(2, 1, 'b', -1)::putting.strict)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 1, 'a', -1)::putting.strict)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(NULL, 1, 'b', 1)::putting.strict)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 5, 'new', 1), ROW(2, 5, 'b', 1), ROW(3, -5, 'c', 1)]::putting.strict[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(2, 5, 'b', 1), ROW(3, 5, 'b', 1)]::putting.strict[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(2, 5, 'b', 1), ROW(3, 5, 'c', -1)]::putting.strict[])$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.items, 1)$$);
SELECT * FROM strict;
SELECT * FROM helper.check('strict', 0, 4);

--
-- put_many() with NULLs and duplicates
--
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(60, 'x', 1), NULL]::putting.items[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[NULL]::putting.always[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(60, 'x', 1), ROW(NULL, 'y', 1)]::putting.items[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(60, 'x', 1), ROW(61, 'x', 1), ROW(60, 'y', 1)]::putting.items[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[i, i]) FROM putting.items i WHERE id = 1$$);	-- both unchanged
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[i, ROW(i.id, 'other', 1)::putting.items]) FROM putting.items i WHERE id = 1$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1.0, 'x'), ROW(1.00, 'y')]::putting.numbers[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(7, 'x'), ROW(7, 'x')]::putting.only_key[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(7, NULL, 'x'), ROW(7, 7, 'x')]::putting.not_the_key[])$$);
SELECT count(*) FROM items WHERE id >= 60;
SELECT count(*) FROM numbers;
CREATE TABLE words (word text, lang text COLLATE "C", n int, PRIMARY KEY (lang, word));
SELECT itemcache.put_many(ARRAY[ROW('b', 'en', 1), ROW('A', 'fr', 2), ROW('a', 'en', 3), ROW('a', 'EN', 4)]::words[]);
SELECT * FROM words ORDER BY ctid;	-- written in the order of the keys
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW('a', 'en', 1), ROW('b', 'en', 2), ROW('a', 'en', 3)]::putting.words[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW('a', NULL, 1), ROW('a', NULL, 2)]::putting.words[])$$);
SELECT itemcache.put_many(ARRAY[ROW(NULL, 'x', NULL), ROW(NULL, 'y', NULL), ROW(20, 'z', NULL)]::always[]);
SELECT v, id < lead(id) OVER (ORDER BY id) AS in_their_order FROM always WHERE v IN ('x', 'y') ORDER BY id;
SELECT itemcache.put_many(ARRAY(SELECT ROW(g * 7919 % 1000 + 1000, 'many', g)::items FROM generate_series(1, 1000) g));
SELECT count(*), bool_and(next IS NULL OR next > ctid) AS in_order
FROM (SELECT ctid, lead(ctid) OVER (ORDER BY id) AS next FROM items WHERE id >= 1000) s;
DELETE FROM items WHERE id >= 1000;

--
-- Wrong arguments
--
CREATE TABLE no_key (id int, v text);
CREATE TABLE no_primary_key (id int UNIQUE, v text);
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, v text);
CREATE VIEW items_view AS SELECT * FROM items;
CREATE TYPE loose_type AS (id int, v text);
CREATE DOMAIN item_domain AS items;
SELECT * FROM helper.try($$SELECT itemcache.put(NULL::putting.items)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x', 1))$$);
SELECT * FROM helper.try($$SELECT itemcache.put(1)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(NULL)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x')::putting.loose_type)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x', 1)::putting.item_domain)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x', 1)::putting.items_view)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x')::putting.no_key)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x')::putting.no_primary_key)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x')::putting.deferrable_key)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[1, 2])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 'x', 1)])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ROW(1, 'x', 1)::putting.items)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 'x')]::putting.no_key[])$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 'x', 1)]::putting.items_view[])$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.items, 'x')$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.items, ROW(1, 2))$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.items_view, 1)$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.no_key, 1)$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(1, 1)$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(ROW(1), 1)$$);
SELECT * FROM no_key;

-- rules
CREATE TABLE ruled (id int PRIMARY KEY, v text, gone boolean);
INSERT INTO ruled VALUES (1, 'a', false);
CREATE RULE soft AS ON DELETE TO ruled DO INSTEAD UPDATE ruled SET gone = true WHERE id = OLD.id;
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.ruled, 1)$$);
DROP RULE soft ON ruled;
CREATE RULE none AS ON DELETE TO ruled DO INSTEAD NOTHING;
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.ruled, 1)$$);
DROP RULE none ON ruled;
CREATE RULE other AS ON UPDATE TO ruled DO ALSO NOTHING;
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'b', true)::putting.ruled)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 'b', true)]::putting.ruled[])$$);
SELECT * FROM ruled;

-- a table that is not attached, a temporary one, an unlogged one
CREATE TABLE loose (id int PRIMARY KEY, v text);
CREATE TEMP TABLE temporary (id int PRIMARY KEY, v text);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text);
SELECT itemcache.put(ROW(1, 'a')::loose), itemcache.put(ROW(1, 'a')::temporary), itemcache.put(ROW(1, 'a')::unlogged);
SELECT itemcache.put(ROW(1, 'b')::loose), itemcache.put(ROW(1, 'b')::temporary), itemcache.put(ROW(1, 'b')::unlogged);
SELECT * FROM loose, temporary, unlogged;
SELECT itemcache.delete(NULL::loose, 1), itemcache.delete(NULL::temporary, 1), itemcache.delete(NULL::unlogged, 1);

--
-- Keys that are computed: by what the item has there nothing is ordered or
-- found to be the same
--
CREATE TABLE computed (n int, id int GENERATED ALWAYS AS (n * 2) STORED PRIMARY KEY, v text);
SELECT itemcache.attach('computed');
SELECT itemcache.put_many(ARRAY[ROW(5, 1, 'x'), ROW(6, 1, 'y'), ROW(4, NULL, 'z')]::computed[]);
SELECT itemcache.put_many(ARRAY[ROW(6, 7, 'y2'), ROW(5, 8, 'x')]::computed[]);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(7, 1, 'a'), ROW(7, 2, 'b')]::putting.computed[])$$);
SELECT * FROM computed ORDER BY id;
SELECT * FROM helper.check('computed', 8, 12);
-- identities that are given and others go in by turns, in the order of the keys
CREATE TABLE turns (id int PRIMARY KEY, nr int GENERATED ALWAYS AS IDENTITY, v int);
CREATE FUNCTION tell_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', TG_OP, NEW.id; RETURN NEW; END $$;
CREATE TRIGGER tell_id BEFORE INSERT ON turns FOR EACH ROW EXECUTE FUNCTION tell_id();
SELECT itemcache.put_many(ARRAY[ROW(3, NULL, 3), ROW(1, 10, 1), ROW(2, NULL, 2), ROW(5, NULL, 5), ROW(4, NULL, 4)]::turns[]);
SELECT * FROM turns ORDER BY id;
SELECT itemcache.put_many(ARRAY[]::turns[]);

--
-- Only the primary key says whether a row is there, not a unique index by
-- another operator class, to which keys are the same that are not
--
CREATE FUNCTION abs_cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT sign(abs($1) - abs($2))::int';
CREATE FUNCTION abs_lt(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) < abs($2)';
CREATE FUNCTION abs_le(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) <= abs($2)';
CREATE FUNCTION abs_eq(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) = abs($2)';
CREATE FUNCTION abs_ge(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) >= abs($2)';
CREATE FUNCTION abs_gt(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) > abs($2)';
CREATE OPERATOR |<| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_lt);
CREATE OPERATOR |<=| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_le);
CREATE OPERATOR |=| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_eq);
CREATE OPERATOR |>=| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_ge);
CREATE OPERATOR |>| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_gt);
CREATE OPERATOR CLASS abs_ops FOR TYPE int USING btree AS
	OPERATOR 1 |<|, OPERATOR 2 |<=|, OPERATOR 3 |=|, OPERATOR 4 |>=|, OPERATOR 5 |>|, FUNCTION 1 abs_cmp(int, int);
CREATE TABLE signed (id int PRIMARY KEY, v text);
CREATE UNIQUE INDEX ON signed (id abs_ops);
SELECT itemcache.put(ROW(1, 'a')::signed);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(-1, 'b')::putting.signed)$$);
SELECT itemcache.put(ROW(1, 'c')::signed);
SELECT * FROM signed;

--
-- Read-only transactions
--
BEGIN READ ONLY;
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'x', 1)::putting.items)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 'x', 1)]::putting.items[])$$);
SELECT * FROM helper.try($$SELECT itemcache.delete(NULL::putting.items, 1)$$);
COMMIT;

--
-- DDL between calls: saved plans
--
SELECT itemcache.put(ROW(1, 'before')::loose), itemcache.put_many(ARRAY[ROW(2, 'before')::loose]), itemcache.delete(NULL::loose, 2);
ALTER TABLE loose RENAME TO looser;
CREATE TABLE loose (id int PRIMARY KEY, v text);
SELECT itemcache.put(ROW(1, 'looser')::looser), itemcache.put(ROW(2, 'loose')::loose);
SELECT itemcache.put_many(ARRAY[ROW(3, 'looser')::looser]), itemcache.put_many(ARRAY[ROW(4, 'loose')::loose]);
SELECT itemcache.delete(NULL::looser, 2), itemcache.delete(NULL::loose, 2);
SELECT 'looser' AS of, * FROM looser UNION ALL SELECT 'loose', * FROM loose ORDER BY 1, 2;
ALTER TABLE loose RENAME v TO w;
SELECT itemcache.put(ROW(5, 'column renamed')::loose);
ALTER TABLE loose ADD x int DEFAULT 7;
SELECT itemcache.put(ROW(6, 'column added', 6)::loose), itemcache.put(ROW(4, 'now NULL', NULL)::loose);
ALTER TABLE loose DROP w;
SELECT itemcache.put(ROW(7, 7)::loose), itemcache.put_many(ARRAY[ROW(4, 4)::loose]);
ALTER TABLE loose ALTER x TYPE text;
SELECT itemcache.put(ROW(8, 'text now')::loose);
SELECT * FROM loose ORDER BY id;
ALTER TABLE loose DROP CONSTRAINT loose_pkey1;
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(8, 'x')::putting.loose)$$);
ALTER TABLE loose ADD PRIMARY KEY (id, x);
SELECT itemcache.put(ROW(8, 'text too')::loose), itemcache.delete(NULL::loose, ROW(8, 'text now'::text));
SELECT * FROM loose WHERE id = 8;

-- items made for another shape: folded into a plan that does not depend on the table
CREATE TABLE altered (id int PRIMARY KEY, n int, v text);
PREPARE put_folded AS SELECT itemcache.put(ROW(1, 1684234849, 'x')::altered);
PREPARE put_many_folded AS SELECT itemcache.put_many(ARRAY[ROW(1, 1684234849, 'x')::altered]);
EXECUTE put_folded;
EXECUTE put_many_folded;
ALTER TABLE altered ADD w int DEFAULT 7;
EXECUTE put_folded;
SELECT * FROM altered;
ALTER TABLE altered ALTER n TYPE text USING 'text';
EXECUTE put_folded;
EXECUTE put_many_folded;
SELECT * FROM altered;
ALTER TABLE altered DROP n;
EXECUTE put_folded;
EXECUTE put_many_folded;
SELECT * FROM altered;
DEALLOCATE ALL;

CREATE SCHEMA putting2;
CREATE TABLE putting2.moved (id int PRIMARY KEY, v text);
SELECT itemcache.attach('putting2.moved');
SELECT itemcache.put(ROW(1, 'putting2')::putting2.moved), itemcache.delete(NULL::putting2.moved, 0);
ALTER SCHEMA putting2 RENAME TO putting3;
CREATE SCHEMA putting2;
CREATE TABLE putting2.moved (id int PRIMARY KEY, v text);
SELECT itemcache.put(ROW(2, 'putting3')::putting3.moved), itemcache.put(ROW(3, 'putting2')::putting2.moved),
	   itemcache.delete(NULL::putting3.moved, 3), itemcache.delete(NULL::putting2.moved, 1);
SELECT 'putting3' AS of, * FROM putting3.moved UNION ALL SELECT 'putting2', * FROM putting2.moved ORDER BY 1, 2;
ALTER TABLE putting3.moved SET SCHEMA putting;
SELECT itemcache.put(ROW(4, 'putting')::moved), itemcache.delete(NULL::moved, 1);
SELECT * FROM moved ORDER BY id;
SELECT * FROM helper.check('moved', 0, 5);
TRUNCATE moved;
SELECT itemcache.put(ROW(1, 'after TRUNCATE')::moved);
SELECT * FROM helper.check('moved', 0, 5);
DROP TABLE moved;
CREATE TABLE moved (id int PRIMARY KEY, w int);
SELECT itemcache.put(ROW(1, 1)::moved);
SELECT * FROM moved;

-- another search_path, with objects that would be taken by mistake
CREATE SCHEMA trap;
CREATE FUNCTION trap.unnest(items[]) RETURNS SETOF items LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION trap.differs(record, record) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.*<> (LEFTARG = record, RIGHTARG = record, FUNCTION = trap.differs);
CREATE FUNCTION trap.equals(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.equals);
\c -
SET search_path = trap, pg_catalog;
SELECT itemcache.put(ROW(1, 'not trapped', 1)::putting.items), itemcache.put_many(ARRAY[ROW(2, 'not trapped', 1)::putting.items]),
	   itemcache.delete(NULL::putting.items, 12);
SET search_path = putting;

--
-- Privileges: those of the statements
--
CREATE ROLE regress_put_user;
GRANT USAGE ON SCHEMA putting, helper TO regress_put_user;
CREATE TABLE granted (id int PRIMARY KEY, a text, b text);
SELECT itemcache.attach('granted');
INSERT INTO granted VALUES (1, 'a', 'b');
CREATE FUNCTION try_all(OUT what text, OUT put text, OUT put_many text, OUT delete text, OUT upsert text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	what := (SELECT string_agg(format('%s of %s', p, c), ', ' ORDER BY p DESC, c) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) p, unnest(ARRAY['a', 'b']) c
			 WHERE has_column_privilege('putting.granted', c, p));
	put := (SELECT coalesce(code, 'done') FROM helper.try('SELECT itemcache.put(ROW(1, ''put'', ''b'')::putting.granted)'));
	put_many := (SELECT coalesce(code, 'done') FROM helper.try('SELECT itemcache.put_many(ARRAY[ROW(1, ''put_many'', ''b'')]::putting.granted[])'));
	delete := (SELECT coalesce(code, 'done') FROM helper.try('SELECT itemcache.delete(NULL::putting.granted, 2)'));
	upsert := (SELECT coalesce(code, 'done') FROM helper.try('INSERT INTO putting.granted VALUES (1, ''upsert'', ''b'') ON CONFLICT (id) DO UPDATE SET a = excluded.a, b = excluded.b'));
	RETURN NEXT;
END $$;
GRANT EXECUTE ON FUNCTION try_all() TO regress_put_user;
SET ROLE regress_put_user;
SELECT * FROM try_all();
RESET ROLE; GRANT SELECT ON granted TO regress_put_user; SET ROLE regress_put_user;
SELECT * FROM try_all();
RESET ROLE; GRANT INSERT ON granted TO regress_put_user; SET ROLE regress_put_user;
SELECT * FROM try_all();
RESET ROLE; GRANT UPDATE (id, a) ON granted TO regress_put_user; SET ROLE regress_put_user;
SELECT * FROM try_all();	-- one column is missing
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(2, 'a', 'b')::putting.granted)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 'a', 'b'), ROW(2, 'a', 'b')]::putting.granted[])$$);
RESET ROLE; SELECT * FROM granted; GRANT UPDATE (b) ON granted TO regress_put_user; SET ROLE regress_put_user;
SELECT * FROM try_all();
RESET ROLE; REVOKE INSERT ON granted FROM regress_put_user; GRANT INSERT (id, a) ON granted TO regress_put_user; SET ROLE regress_put_user;
SELECT * FROM try_all();
RESET ROLE; GRANT INSERT (b), DELETE ON granted TO regress_put_user; SET ROLE regress_put_user;
SELECT * FROM try_all();
RESET ROLE;
SELECT * FROM granted;
SELECT * FROM helper.check('granted', 0, 3);

-- as the owner of a SECURITY DEFINER function, and back, with the plans of both
REVOKE ALL ON granted FROM regress_put_user;
CREATE FUNCTION put_as_owner(item granted) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT itemcache.put(item)';
SET ROLE regress_put_user;
SELECT put_as_owner(ROW(2, 'as owner', NULL));
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(2, 'x', 'y')::putting.granted)$$);
RESET ROLE;
SELECT * FROM granted ORDER BY id;

--
-- Row-level security
--
CREATE TABLE secured (id int PRIMARY KEY, owner name, v text);
INSERT INTO secured VALUES (1, 'regress_put_user', 'mine'), (2, 'somebody', 'theirs');
GRANT SELECT, INSERT, UPDATE, DELETE ON secured TO regress_put_user;
SELECT itemcache.attach('secured');
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secured USING (owner = current_user) WITH CHECK (owner = current_user);
SELECT itemcache.put(ROW(3, 'regress_put_user', 'by the table''s owner')::secured);
SET ROLE regress_put_user;
SELECT itemcache.put(ROW(1, 'regress_put_user', 'still mine')::secured), itemcache.put(ROW(4, 'regress_put_user', 'new')::secured);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(2, 'regress_put_user', 'mine now')::putting.secured)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(1, 'somebody', 'given away')::putting.secured)$$);
SELECT * FROM helper.try($$SELECT itemcache.put(ROW(5, 'somebody', 'theirs')::putting.secured)$$);
SELECT * FROM helper.try($$SELECT itemcache.put_many(ARRAY[ROW(1, 'regress_put_user', 'x'), ROW(2, 'regress_put_user', 'x')]::putting.secured[])$$);
SELECT itemcache.delete(NULL::secured, 2), itemcache.delete(NULL::secured, 4);
SELECT * FROM secured ORDER BY id;
RESET ROLE;
SELECT itemcache.put(ROW(2, 'somebody', 'by the owner of the table')::secured);	-- the same plan, another role
SELECT * FROM secured ORDER BY id;
SET ROLE regress_put_user;
SELECT itemcache.delete(NULL::secured, 2), itemcache.delete(NULL::secured, 3);
RESET ROLE;
SELECT * FROM secured ORDER BY id;

--
-- A trigger puts by the same plan, which has to be made anew, while it is executed
--
CREATE TABLE nested (id int PRIMARY KEY, v text);
SELECT itemcache.attach('nested');
CREATE FUNCTION put_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id > 0 THEN
		EXECUTE 'ANALYZE nested';
		PERFORM itemcache.put(ROW(-NEW.id, NEW.v || ' by trigger')::nested);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER put_before BEFORE INSERT OR UPDATE ON nested FOR EACH ROW EXECUTE FUNCTION put_before();
SELECT itemcache.put(ROW(i, 'put ' || i)::nested) FROM generate_series(1, 3) i;
SELECT itemcache.put(ROW(i, 'put ' || i)::nested) FROM generate_series(3, 4) i;
SELECT * FROM nested ORDER BY id;
SELECT * FROM helper.check('nested', -5, 5);

--
-- What was put when the table had other columns
--
CREATE TABLE changing (id int PRIMARY KEY, a text, b numeric);
SELECT itemcache.attach('changing');
SELECT itemcache.put(ROW(1, 'one', 1.0)::changing);
ALTER TABLE changing ADD c int DEFAULT 7;
SELECT itemcache.put(ROW(1, 'one', 1.0, 8)::changing);
ALTER TABLE changing DROP a;
SELECT itemcache.put(ROW(1, 1.00, 8)::changing), itemcache.put(ROW(2, 2, NULL)::changing);
ALTER TABLE changing ALTER b TYPE numeric(4, 1);
SELECT itemcache.put(ROW(2, 2.25, NULL)::changing);
ALTER TABLE changing ADD d int GENERATED ALWAYS AS (id * 10) STORED;
SELECT itemcache.put(ROW(3, 3, 3, 0)::changing);
SELECT * FROM changing ORDER BY id;
SELECT * FROM helper.check('changing', 0, 5);

--
-- async_put changes nothing that a session sees
--
SET itemcache.async_put = on;
SET itemcache.async_put = maybe;
SELECT itemcache.put(ROW(1, 'asynchronous', 1)::items);
SHOW synchronous_commit;
SELECT itemcache.get(NULL::items, 1);
BEGIN;
SELECT itemcache.put(ROW(1, 'asynchronous too', 1)::items);
SHOW synchronous_commit;
COMMIT;
SHOW synchronous_commit;
SELECT itemcache.put_many(ARRAY[ROW(1, 'asynchronous, many', 1)]::items[]), itemcache.delete(NULL::items, 10);
SELECT * FROM helper.check('items', 0, 20);
RESET itemcache.async_put;

SET client_min_messages = warning;
DROP OWNED BY regress_put_user;
DROP ROLE regress_put_user;
DROP SCHEMA putting, putting2, putting3, trap CASCADE;
