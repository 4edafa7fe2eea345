-- Primary keys of every type: found by any spelling of a key, and never stale
-- when equal keys have several images (A8).

CREATE SCHEMA keytypes;
SET search_path = keytypes;
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(10) CHECK (VALUE <> 'forbidden');
CREATE TYPE point3 AS (x int, y int, z int);

--
-- One table for each type with two keys and a key that is absent: each found
-- cold and warm, after an update, after a key change and after a delete.
-- Each step is a transaction of its own, so it is a procedure.
--
CREATE PROCEDURE try_type(type text, one text, two text, absent text, INOUT result text DEFAULT '')
LANGUAGE plpgsql AS
$$
DECLARE
	got text[];
	h record;
BEGIN
	EXECUTE format('CREATE TABLE keyed (k %s PRIMARY KEY, v text)', type);
	PERFORM itemcache.attach('keyed', cache_new => false);
	EXECUTE format('INSERT INTO keyed VALUES (%L, ''one''), (%L, ''two'')', one, two);
	COMMIT;
	-- cold and warm
	FOR i IN 1..2 LOOP
		SELECT * INTO h FROM helper.counts('keyed');
		EXECUTE format('SELECT ARRAY[(itemcache.get(NULL::keyed, %L)).v, (itemcache.get(NULL::keyed, %L)).v, (itemcache.get(NULL::keyed, %L)).v]',
					   one, two, absent) INTO got;
		result := result || got::text || ' hits ' || (SELECT hits - h.hits FROM helper.counts('keyed')) || ' ';
		COMMIT;
	END LOOP;
	-- the same in a batch and as a record
	EXECUTE format('SELECT array_agg(v) FROM itemcache.get_many(NULL::keyed, ARRAY[%L, %L, %L])', one, absent, two) INTO got;
	result := result || got::text;
	EXECUTE format('SELECT ARRAY[(itemcache.get(NULL::keyed, ROW(%L::%s))).v]', one, type) INTO got;
	result := result || got::text;
	EXECUTE format('UPDATE keyed SET v = ''new'' WHERE k = %L::%s', one, type);
	COMMIT;
	SELECT * INTO h FROM helper.counts('keyed');
	EXECUTE format('SELECT ARRAY[(itemcache.get(NULL::keyed, %L)).v]', one) INTO got;
	result := result || ' updated ' || got::text || ' hits ' || (SELECT hits - h.hits FROM helper.counts('keyed'));
	COMMIT;
	EXECUTE format('UPDATE keyed SET k = %L WHERE k = %L::%s', absent, one, type);
	COMMIT;
	EXECUTE format('SELECT ARRAY[(itemcache.get(NULL::keyed, %L)).v, (itemcache.get(NULL::keyed, %L)).v]', one, absent) INTO got;
	result := result || ' moved ' || got::text;
	EXECUTE format('DELETE FROM keyed WHERE k = %L::%s', two, type);
	COMMIT;
	EXECUTE format('SELECT ARRAY[(itemcache.get(NULL::keyed, %L)).v, (itemcache.get(NULL::keyed, %L)).v]', two, absent) INTO got;
	result := result || ' deleted ' || got::text;
	DROP TABLE keyed;
	COMMIT;
END
$$;

CALL try_type('int2', '1', '-32768', '2');
CALL try_type('int4', '1', '-2147483648', '2');
CALL try_type('int8', '1', '-9223372036854775808', '2');
CALL try_type('text', 'one', '', 'ONE');
CALL try_type('text COLLATE "C"', 'one', 'ünï', 'ONE');
CALL try_type('varchar', 'one', 'two', 'three');
CALL try_type('varchar(5)', 'one', 'two', 'three');
CALL try_type('char(5)', 'one', 'two', 'three');
CALL try_type('"char"', 'a', 'b', 'c');
CALL try_type('name', 'one', 'two', 'three');
CALL try_type('uuid', '11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222', '33333333-3333-3333-3333-333333333333');
CALL try_type('date', '2024-02-29', 'infinity', '2024-03-01');
CALL try_type('time', '12:00', '24:00', '00:00');
CALL try_type('timestamp', '2024-02-29 12:00', '-infinity', '2024-02-29');
CALL try_type('timestamptz', '2024-02-29 12:00+02', '2024-02-29 12:00+00', '2024-02-29');
CALL try_type('interval', '1 day', '1 month', '1 hour');
CALL try_type('numeric', '1.5', '100', '-1.5');
CALL try_type('numeric', 'NaN', 'Infinity', '0');
CALL try_type('numeric(10,2)', '1.5', '100', '-1.5');
CALL try_type('numeric(40,20)', '12345678901234567890.12345678901234567890', '1', '2');
CALL try_type('float4', '1.5', 'Infinity', '2');
CALL try_type('float8', '1.5', '1e300', 'NaN');
CALL try_type('bytea', '\x00ff', '\x', '\x00');
CALL try_type('boolean', 'true', 'false', 'true');
CALL try_type('inet', '10.0.0.1', '10.0.0.0/8', '::1');
CALL try_type('cidr', '10.0.0.0/8', '10.0.0.0/16', '::/0');
CALL try_type('macaddr', '08:00:2b:01:02:03', '08:00:2b:01:02:04', '08:00:2b:01:02:05');
CALL try_type('oid', '1', '4294967295', '2');
CALL try_type('jsonb', '{"a": 1}', '[1, 2]', '{"a": 2}');
CALL try_type('mood', 'sad', 'happy', 'ok');
CALL try_type('positive', '1', '2', '3');
CALL try_type('code', 'one', 'two', 'three');
CALL try_type('int[]', '{1,2}', '{}', '{1}');
CALL try_type('text[]', '{a,NULL}', '{}', '{b}');
CALL try_type('int4range', '[1,5)', 'empty', '[2,3]');
CALL try_type('point3', '(1,2,3)', '(1,2,)', '(3,2,1)');

-- a key so long that it is compressed in the row: spelled plainly, still found
CREATE TABLE longkey (k text PRIMARY KEY, v text);
SELECT itemcache.attach('longkey');
INSERT INTO longkey VALUES (repeat('x', 2000), 'long'), (repeat('x', 2001), 'longer');
INSERT INTO longkey SELECT string_agg(md5(i::text), ''), 'incompressible' FROM generate_series(1, 70) i;
SELECT (itemcache.get(NULL::longkey, repeat('x', 2000))).v, (itemcache.get(NULL::longkey, repeat('x', 2001))).v,
	   (itemcache.get(NULL::longkey, repeat('x', 2002))).v,
	   (itemcache.get(NULL::longkey, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 70) i))).v;
SELECT * FROM helper.answered('longkey', $$SELECT itemcache.get(NULL::keytypes.longkey, repeat('x', 2000))$$);
UPDATE longkey SET v = v || '!';
SELECT (itemcache.get(NULL::longkey, repeat('x', 2000))).v, (itemcache.get(NULL::longkey, repeat('x', 2001))).v;
UPDATE longkey SET k = k || 'x' WHERE k = repeat('x', 2001);
SELECT (itemcache.get(NULL::longkey, repeat('x', 2001))).v, (itemcache.get(NULL::longkey, repeat('x', 2002))).v;

--
-- Several images of one value.  Look up by every image, then write by another.
--
CREATE FUNCTION spell(relation regclass, spellings text[], OUT answers text[]) LANGUAGE plpgsql AS
$$
DECLARE
	s text;
	a text;
	b text;
BEGIN
	FOREACH s IN ARRAY spellings LOOP
		EXECUTE format('SELECT itemcache.get(NULL::%s, $1)::text', relation) INTO a USING s;
		EXECUTE format('SELECT t::text FROM %s t, (SELECT $1::text AS s) x WHERE (t.k = %L) IS TRUE', relation, s) INTO b USING s;
		IF a IS DISTINCT FROM b THEN
			a := format('WRONG: %s, table %s', a, b);
		END IF;
		answers := answers || a;
	END LOOP;
END
$$;

CREATE TABLE num (k numeric PRIMARY KEY, v text);
SELECT itemcache.attach('num');
INSERT INTO num VALUES (1.0, 'one'), (200, 'two hundred'), ('0.000', 'zero');
SELECT spell('num', '{1,1.0,1.00,1e0,200,2e2,200.000,0,-0,0.0,2}');
SELECT spell('num', '{1,1.0,1.00,1e0,200,2e2,200.000,0,-0,0.0,2}');
UPDATE num SET v = 'updated' WHERE k = 1.0000;
SELECT spell('num', '{1,1.0,1.00}');
UPDATE num SET k = 1.00, v = 'another image' WHERE k = 1;
SELECT spell('num', '{1,1.0,1.00}');
UPDATE num SET k = 1 WHERE k = 1;
SELECT spell('num', '{1,1.0,1.00}');
SELECT spell('num', '{1,1.0,1.00}');
DELETE FROM num WHERE k = 1.00000;
SELECT spell('num', '{1,1.0,1.00}');
INSERT INTO num VALUES (1.000, 'again');
SELECT spell('num', '{1,1.0,1.00,1.000}');
SELECT spell('num', '{1,1.0,1.00,1.000}');
-- the row's own image is served from the cache
SELECT * FROM helper.answered('num', $$SELECT itemcache.get(NULL::keytypes.num, '1.000')$$);

CREATE TABLE num2 (k numeric(10,2) PRIMARY KEY, v text);
SELECT itemcache.attach('num2');
INSERT INTO num2 VALUES (1.5, 'one and a half'), (1, 'one');
-- 1.501 is no key of a numeric(10,2), and must not be rounded to one
SELECT spell('num2', '{1.5,1.50,1.500,1.501,1.504,1,1.00,0.999}');
SELECT spell('num2', '{1.5,1.50,1.500,1.501,1.504,1,1.00,0.999}');
SELECT itemcache.get(NULL::num2, 1), itemcache.get(NULL::num2, ROW(1.501)), itemcache.get(NULL::num2, ROW(1.50));
SELECT * FROM helper.answered('num2', $$SELECT itemcache.get(NULL::keytypes.num2, '1.5')$$);
UPDATE num2 SET v = 'updated' WHERE k = 1.5;
SELECT spell('num2', '{1.5,1.50,1.500,1.501}');

CREATE TABLE chars (k char(5) PRIMARY KEY, v text);
SELECT itemcache.attach('chars');
INSERT INTO chars VALUES ('ab', 'ab'), ('abcde', 'abcde'), ('', 'empty');
SELECT spell('chars', ARRAY['ab', 'ab ', 'ab   ', 'ab        ', 'abcde', '', ' ', ' ab']);
SELECT spell('chars', ARRAY['ab', 'ab ', 'ab   ', 'ab        ', 'abcde', '', ' ', ' ab']);
UPDATE chars SET v = 'updated' WHERE k = 'ab';
SELECT spell('chars', ARRAY['ab', 'ab ', 'ab   ']);
-- longer than the column is no key of it
SELECT (itemcache.get(NULL::chars, 'abcdef')).v, (itemcache.get(NULL::chars, ROW('abcdef'::text))).v;

CREATE TABLE vchars (k varchar(3) PRIMARY KEY, v text);
SELECT itemcache.attach('vchars');
INSERT INTO vchars VALUES ('abc', 'abc'), ('ab ', 'with space');
SELECT (itemcache.get(NULL::vchars, 'abc')).v, (itemcache.get(NULL::vchars, 'abcd')).v,
	   (itemcache.get(NULL::vchars, 'ab')).v, (itemcache.get(NULL::vchars, 'ab ')).v, (itemcache.get(NULL::vchars, 'abc ')).v;

CREATE TABLE floats (k float8 PRIMARY KEY, v text);
SELECT itemcache.attach('floats');
INSERT INTO floats VALUES ('-0', 'minus zero'), ('NaN', 'not a number');
SELECT spell('floats', '{0,-0,0.0,NaN,nan}');
SELECT spell('floats', '{0,-0,0.0,NaN,nan}');
UPDATE floats SET v = 'updated' WHERE k = 0;
SELECT spell('floats', '{0,-0}');
UPDATE floats SET k = 0, v = 'plus zero' WHERE k = 0;
SELECT spell('floats', '{0,-0}');
SELECT spell('floats', '{0,-0}');
DELETE FROM floats WHERE k = '-0';
SELECT spell('floats', '{0,-0}');

CREATE TABLE spans (k interval PRIMARY KEY, v text);
SELECT itemcache.attach('spans');
INSERT INTO spans VALUES ('24 hours', 'a day'), ('30 days', 'a month');
SELECT spell('spans', ARRAY['24 hours', '1 day', '30 days', '1 month', '720 hours']);
SELECT spell('spans', ARRAY['24 hours', '1 day', '30 days', '1 month', '720 hours']);
UPDATE spans SET v = 'updated' WHERE k = '1 day';
SELECT spell('spans', ARRAY['24 hours', '1 day']);
UPDATE spans SET k = '1 day', v = 'another image' WHERE k = '1 day';
SELECT spell('spans', ARRAY['24 hours', '1 day']);
SELECT spell('spans', ARRAY['24 hours', '1 day']);

CREATE TABLE addresses (k inet PRIMARY KEY, v text);
SELECT itemcache.attach('addresses');
INSERT INTO addresses VALUES ('10.0.0.1', 'host'), ('10.0.0.1/24', 'net');
SELECT spell('addresses', ARRAY['10.0.0.1', '10.0.0.1/32', '10.0.0.1/24', '10.0.0.1/8']);
SELECT spell('addresses', ARRAY['10.0.0.1', '10.0.0.1/32', '10.0.0.1/24', '10.0.0.1/8']);

CREATE TABLE arrays (k numeric[] PRIMARY KEY, v text);
SELECT itemcache.attach('arrays');
INSERT INTO arrays VALUES ('{1.0,2}', 'one two'), ('[2:3]={1,2}', 'other bounds');
SELECT spell('arrays', ARRAY['{1,2}', '{1.0,2}', '{1.00,2.0}', '[2:3]={1,2}', '[2:3]={1.0,2}']);
SELECT spell('arrays', ARRAY['{1,2}', '{1.0,2}', '{1.00,2.0}', '[2:3]={1,2}', '[2:3]={1.0,2}']);
UPDATE arrays SET v = 'updated' WHERE k = '{1,2}';
SELECT spell('arrays', ARRAY['{1,2}', '{1.0,2}', '{1.00,2.0}']);

-- domain constraints are not the lookup's business, as they are not WHERE's
CREATE TABLE positives (k positive PRIMARY KEY, v text);
SELECT itemcache.attach('positives');
INSERT INTO positives VALUES (1, 'one');
SELECT (itemcache.get(NULL::positives, 1)).v, (itemcache.get(NULL::positives, -1)).v, (itemcache.get(NULL::positives, ROW(-1))).v;
SELECT code, message FROM helper.try('SELECT itemcache.get(NULL::keytypes.positives, ''-1'')');
CREATE TABLE codes (k code PRIMARY KEY, v text);
SELECT itemcache.attach('codes');
INSERT INTO codes VALUES ('one', 'one');
SELECT (itemcache.get(NULL::codes, 'one')).v, (itemcache.get(NULL::codes, 'one'::code)).v, (itemcache.get(NULL::codes, 'two')).v;

--
-- Keys of several columns, in another order than the columns
--
CREATE TABLE multi (c text, b numeric, v text, a int, PRIMARY KEY (a, b, c));
SELECT itemcache.attach('multi');
INSERT INTO multi VALUES ('x', 1.0, 'a1 b1 cx', 1), ('y', 1, 'a1 b1 cy', 1), ('x', 2, 'a1 b2 cx', 1);
SELECT (itemcache.get(NULL::multi, ROW(1, 1.0, 'x'))).v, (itemcache.get(NULL::multi, ROW(1, 1, 'x'))).v,
	   (itemcache.get(NULL::multi, ROW(1, 1.00, 'y'))).v, (itemcache.get(NULL::multi, '(1,2,x)')).v,
	   (itemcache.get(NULL::multi, ROW(2, 1, 'x'))).v;
UPDATE multi SET v = v || ' updated' WHERE b = 1;
SELECT (itemcache.get(NULL::multi, ROW(1, 1.0, 'x'))).v, (itemcache.get(NULL::multi, ROW(1, 1, 'x'))).v,
	   (itemcache.get(NULL::multi, ROW(1, 1.00, 'y'))).v, (itemcache.get(NULL::multi, '(1,2,x)')).v;
SELECT * FROM helper.answered('multi', $$SELECT itemcache.get(NULL::keytypes.multi, ROW(1, 1.0, 'x'))$$);
UPDATE multi SET b = 1.00 WHERE c = 'x' AND b = 1;
SELECT (itemcache.get(NULL::multi, ROW(1, 1.0, 'x'))).*;
SELECT (itemcache.get(NULL::multi, ROW(1, 1.00, 'x'))).*;
-- records of keys that look alike when run together
CREATE TABLE alike (a text, b text, v text, PRIMARY KEY (a, b));
SELECT itemcache.attach('alike');
INSERT INTO alike VALUES ('ab', 'c', 'ab-c'), ('a', 'bc', 'a-bc'), ('', 'abc', '-abc'), ('abc', '', 'abc-');
SELECT (itemcache.get(NULL::alike, ROW('ab', 'c'))).v, (itemcache.get(NULL::alike, ROW('a', 'bc'))).v,
	   (itemcache.get(NULL::alike, ROW('', 'abc'))).v, (itemcache.get(NULL::alike, ROW('abc', ''))).v,
	   (itemcache.get(NULL::alike, ROW('abc', 'c'))).v;
CREATE TABLE keyonly (a int, b date, PRIMARY KEY (b, a));
SELECT itemcache.attach('keyonly');
INSERT INTO keyonly VALUES (1, '2024-01-01');
SELECT itemcache.get(NULL::keyonly, ROW('2024-01-01'::date, 1)), itemcache.get(NULL::keyonly, '(2024-01-01,1)');
CREATE TABLE wide_key (k1 int, k2 int, k3 int, k4 int, k5 int, k6 int, k7 int, k8 int, k9 int, k10 int,
	k11 int, k12 int, k13 int, k14 int, k15 int, k16 int, k17 int, k18 int, k19 int, k20 int,
	k21 int, k22 int, k23 int, k24 int, k25 int, k26 int, k27 int, k28 int, k29 int, k30 int, k31 int, k32 int, v text,
	PRIMARY KEY (k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14, k15, k16,
		k17, k18, k19, k20, k21, k22, k23, k24, k25, k26, k27, k28, k29, k30, k31, k32));
SELECT itemcache.attach('wide_key');
INSERT INTO wide_key VALUES (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,'wide');
SELECT (itemcache.get(NULL::wide_key, ROW(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32))).v,
	   (itemcache.get(NULL::wide_key, ROW(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,33))).v;
-- a key with INCLUDE columns has only its key columns as key
CREATE TABLE including (k int, v text, w text, PRIMARY KEY (k) INCLUDE (v));
SELECT itemcache.attach('including');
INSERT INTO including VALUES (1, 'v', 'w');
SELECT itemcache.get(NULL::including, 1), itemcache.get(NULL::including, 1);

--
-- A cast that is run to make a key of an argument, and alters or drops the
-- table: what it was converted for is a key no more.
--
CREATE TYPE color AS ENUM ('red', 'green');
CREATE FUNCTION to_color(n bigint) RETURNS color LANGUAGE plpgsql AS $$
BEGIN
	IF n = 2 THEN
		ALTER TABLE keytypes.paint ALTER id TYPE text USING id::text;
	ELSIF n = 3 THEN
		ALTER TABLE keytypes.paint ALTER id TYPE text USING id::text;
		PERFORM itemcache.get(NULL::keytypes.paint, 'x'::text);
	ELSIF n = 4 THEN
		DROP TABLE keytypes.paint;
	ELSIF n = 5 THEN
		ALTER TABLE keytypes.paint ADD CHECK (name <> ''), ALTER name SET NOT NULL;
	END IF;
	RETURN 'red'::color;
END $$;
CREATE CAST (bigint AS color) WITH FUNCTION to_color(bigint) AS IMPLICIT;
CREATE TABLE paint (id color PRIMARY KEY, name text);
INSERT INTO paint VALUES ('red', 'crimson');
CREATE FUNCTION to_number(color) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	ALTER TABLE keytypes.numbers ALTER id TYPE text USING id::text;
	PERFORM itemcache.get(NULL::keytypes.numbers, 'x'::text);
	RETURN x'4141414142'::bigint;
END $$;
CREATE TABLE numbers (id bigint PRIMARY KEY, v text);
SELECT c.call, n, e.*
FROM unnest(ARRAY['SELECT itemcache.get(NULL::keytypes.paint, %s::bigint)',
				  'SELECT count(*) FROM itemcache.get_many(NULL::keytypes.paint, ARRAY[1, %s]::bigint[])',
				  'SELECT itemcache.delete(NULL::keytypes.paint, %s::bigint)']) c(call),
	 unnest(ARRAY[2, 3, 5]) n,
	 helper.try(format(c.call, n)) e;
SELECT c.call, e.code
FROM unnest(ARRAY['SELECT itemcache.get(NULL::keytypes.paint, 4::bigint)',
				  'SELECT count(*) FROM itemcache.get_many(NULL::keytypes.paint, ARRAY[1, 4]::bigint[])',
				  'SELECT itemcache.delete(NULL::keytypes.paint, 4::bigint)']) c(call),
	 helper.try(c.call) e;
CREATE CAST (color AS bigint) WITH FUNCTION to_number(color) AS IMPLICIT;
SELECT * FROM helper.try($$SELECT itemcache.get(NULL::keytypes.numbers, ROW('red'::keytypes.color))$$);
-- the same where a domain's check does it, while the text of a key is read
CREATE FUNCTION alters(int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF $1 = 2 THEN
		ALTER TABLE keytypes.domains ALTER b TYPE text USING b::text;
		PERFORM itemcache.get(NULL::keytypes.domains, '(1,x)'::text);
	END IF;
	RETURN true;
END $$;
CREATE DOMAIN altering AS int CHECK (keytypes.alters(VALUE));
CREATE TABLE domains (a altering, b int, v text, PRIMARY KEY (a, b));
INSERT INTO domains VALUES (1, 1, 'one');
SELECT * FROM helper.try($$SELECT itemcache.get(NULL::keytypes.domains, '(1,1)'::text)$$);
SELECT * FROM helper.try($$SELECT itemcache.get(NULL::keytypes.domains, ROW(2::keytypes.altering, 1))$$);
SELECT * FROM helper.try($$SELECT itemcache.get(NULL::keytypes.domains, '(2,1)'::text)$$);
SELECT id, name FROM paint;

SELECT relid, state FROM itemcache.tables WHERE state <> 'served';

SET client_min_messages = warning;
DROP SCHEMA keytypes CASCADE;
