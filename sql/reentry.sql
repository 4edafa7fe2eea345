-- Functions of the user's that are run in the middle of a call, and call again, fail, or alter the table.

CREATE SCHEMA reentry;
SET search_path = reentry;
SET client_min_messages = warning;

-- Run the first of the statements of "reentry.todo", an array; the others are
-- for those who call this meanwhile.
CREATE FUNCTION run() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	todo text[] := current_setting('reentry.todo');
BEGIN
	IF cardinality(todo) > 0 THEN
		PERFORM set_config('reentry.todo', todo[2:]::text, false);
		EXECUTE todo[1];
	END IF;
	RETURN true;
END $$;
-- for where a function must not be volatile
CREATE FUNCTION run_once(anyelement) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN reentry.run();
END $$;
CREATE FUNCTION todo(statements text[]) RETURNS void LANGUAGE sql AS $$
	SELECT set_config('reentry.todo', $1::text, false);
$$;
SELECT todo('{}');
-- What a statement gives, or how it fails, when these are run meanwhile; all of
-- it is planned afresh and rolled back.
CREATE FUNCTION attempt(statement text, VARIADIC meanwhile text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	DISCARD PLANS;
	PERFORM reentry.todo(meanwhile);
	BEGIN
		EXECUTE statement INTO result;
		IF current_setting('reentry.todo') <> '{}' THEN
			result := result || ', but has not run ' || current_setting('reentry.todo');
		END IF;
		RAISE SQLSTATE 'RB000';
	EXCEPTION
		WHEN SQLSTATE 'RB000' THEN NULL;
		WHEN OTHERS THEN
			result := SQLSTATE || ': ' || regexp_replace(SQLERRM, 'OID \d+', 'OID N');
	END;
	PERFORM reentry.todo('{}');
	RETURN result;
END $$;

--
-- The check of a domain inside a key, which is run by an input function.  What
-- it is given must stay what it is.
--
CREATE FUNCTION keeps(value text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before text := value || '';
BEGIN
	PERFORM reentry.run();
	IF value <> before THEN
		RAISE EXCEPTION 'the value has changed';
	END IF;
	RETURN true;
END $$;
CREATE DOMAIN word AS text CHECK (reentry.keeps(VALUE || repeat('.', 100)) AND length(VALUE) < 10);
CREATE TYPE pair AS (n int, w word);
CREATE TABLE words (id pair PRIMARY KEY, v text);
CREATE TABLE lists (id word[], n int, v text, PRIMARY KEY (id, n));
INSERT INTO words VALUES ((1, 'one'), 'uno'), ((2, 'two'), 'due'), ((3, 'three'), 'tre');
INSERT INTO lists VALUES ('{one,two}', 12, 'uno due'), ('{three}', 3, 'tre');
SELECT itemcache.attach('words'), itemcache.attach('lists');

SELECT c.call, attempt(c.call,
					   $$SELECT itemcache.get(NULL::reentry.words, '(2,two)'::text),
								itemcache.get(NULL::reentry.words, '(3,three)'::text),
								itemcache.get(NULL::reentry.lists, '({three},3)'::text),
								itemcache.get(NULL::reentry.lists, '({three},4)'::text),
								itemcache.get(NULL::reentry.lists, ROW('{three}'::text, 3))$$)
FROM unnest(ARRAY[$$SELECT itemcache.get(NULL::reentry.words, '(1,one)'::text)$$,
				  $$SELECT array_agg(g) FROM itemcache.get_many(NULL::reentry.words, '{"(1,one)","(2,two)"}'::text[]) g$$,
				  $$SELECT itemcache.delete(NULL::reentry.words, '(1,one)'::text)$$,
				  $$SELECT itemcache.get(NULL::reentry.lists, '("{one,two}",12)'::text)$$,
				  $$SELECT itemcache.get(NULL::reentry.lists, ROW('{one,two}'::text, 12))$$]) c(call);
-- several levels deep
SELECT attempt($$SELECT itemcache.get(NULL::reentry.words, '(1,one)'::text)$$,
			   $$SELECT itemcache.get(NULL::reentry.words, '(2,two)'::text)$$,
			   $$SELECT itemcache.get_many(NULL::reentry.words, ARRAY['(3,three)', '(2,two)'])$$,
			   $$SELECT itemcache.get(NULL::reentry.lists, ROW('{one}'::text, 1))$$,
			   $$SELECT itemcache.delete(NULL::reentry.words, '(1,one)'::text)$$,
			   $$SELECT itemcache.get(NULL::reentry.words, '(2,two)'::text)$$);
-- one that fails, further down or not, and those that go on after it
SELECT attempt($$SELECT itemcache.get(NULL::reentry.words, '(1,one)'::text)$$,
			   $$SELECT helper.try('SELECT itemcache.get(NULL::reentry.words, ''(2,far too long)''::text)')$$),
	   attempt($$SELECT itemcache.get(NULL::reentry.words, '(1,one)'::text)$$, 'SELECT 1/0'),
	   attempt($$SELECT itemcache.get(NULL::reentry.words, '(1,far too long)'::text)$$, '');
SELECT itemcache.get(NULL::words, '(1,one)'::text);

--
-- A check that is an SQL function.  It is left half done by an error that is
-- caught, and run again.
--
CREATE TABLE limits (w text, n int);
INSERT INTO limits VALUES ('any', 1), ('bad', 0);
CREATE FUNCTION is_within(text) RETURNS boolean LANGUAGE sql AS $$
	SELECT bool_and(1 / l.n > 0) FROM reentry.limits l WHERE l.w IN ('any', $1);
$$;
CREATE DOMAIN limited AS text CHECK (reentry.is_within(VALUE));
CREATE TYPE limited_pair AS (n int, w limited);
CREATE TABLE limited_words (id limited_pair PRIMARY KEY, v text);
INSERT INTO limited_words VALUES ((1, 'good'), 'buono');
SELECT itemcache.attach('limited_words');
BEGIN;
SELECT itemcache.get(NULL::limited_words, '(1,good)'::text);
SELECT code, message FROM generate_series(1, 2),
	helper.try($$SELECT itemcache.get(NULL::reentry.limited_words, '(1,bad)'::text)$$);
SELECT itemcache.get(NULL::limited_words, '(1,good)'::text);
COMMIT;

--
-- The comparison of a key's type, an SQL function: of array elements in a scan,
-- of items in put_many().
--
CREATE TYPE num AS (n int);
CREATE FUNCTION num_lt(num, num) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1.n < $2.n';
CREATE FUNCTION num_le(num, num) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1.n <= $2.n';
CREATE FUNCTION num_eq(num, num) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1.n = $2.n';
CREATE FUNCTION num_ge(num, num) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1.n >= $2.n';
CREATE FUNCTION num_gt(num, num) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1.n > $2.n';
CREATE FUNCTION num_cmp(num, num) RETURNS int LANGUAGE sql AS $$
	SELECT CASE WHEN reentry.run() THEN btint4cmp($1.n, $2.n) END;
$$;
CREATE OPERATOR < (LEFTARG = num, RIGHTARG = num, FUNCTION = num_lt, COMMUTATOR = >);
CREATE OPERATOR <= (LEFTARG = num, RIGHTARG = num, FUNCTION = num_le);
CREATE OPERATOR = (LEFTARG = num, RIGHTARG = num, FUNCTION = num_eq, COMMUTATOR = =, MERGES);
CREATE OPERATOR >= (LEFTARG = num, RIGHTARG = num, FUNCTION = num_ge);
CREATE OPERATOR > (LEFTARG = num, RIGHTARG = num, FUNCTION = num_gt, COMMUTATOR = <);
CREATE FUNCTION num_equalimage(oid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN reentry.run(); END';
CREATE OPERATOR CLASS num_ops DEFAULT FOR TYPE num USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
	FUNCTION 1 num_cmp(num, num), FUNCTION 4 num_equalimage(oid);
CREATE TABLE nums (id num PRIMARY KEY, n int, a text, b text);
-- (the description of the table is not made of what it needs itself)
SELECT attempt($$SELECT itemcache.attach('reentry.nums')$$, $$SELECT itemcache.get(NULL::reentry.nums, '("(1)")'::text)$$);
INSERT INTO nums SELECT ROW(g)::num, g, 'a' || g, 'b' || g FROM generate_series(1, 10) g;
ANALYZE nums;
SELECT itemcache.attach('nums');
SELECT itemcache.preload('nums');

-- ... and of keys in the index, while it is read
SELECT m.meanwhile, attempt($$SELECT concat_ws(' ', itemcache.clear('reentry.nums'), itemcache.get(NULL::reentry.nums, '(3)'::text),
											   itemcache.get(NULL::reentry.nums, '(11)'::text))$$,
							'', m.meanwhile, 'SELECT itemcache.get(NULL::reentry.nums, ''(4)''::text)')
FROM unnest(ARRAY['SELECT itemcache.get(NULL::reentry.nums, ''(3)''::text)',
				  'SELECT itemcache.get_many(NULL::reentry.nums, ARRAY[''(5)'', ''(12)''])',
				  'SELECT itemcache.get(NULL::reentry.words, ''(1,one)''::text)',
				  'ALTER TABLE reentry.nums ADD COLUMN c int',
				  'REINDEX TABLE reentry.nums',
				  'TRUNCATE reentry.nums',
				  'SELECT 1/0']) m(meanwhile);

SET itemcache.transparent = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT n, a FROM nums WHERE id = ANY ('{(3),(9),(1)}'::num[]);
SELECT attempt($$SELECT array_agg(a) FROM reentry.nums WHERE id = ANY ('{(3),(9),(1)}'::reentry.num[])$$,
			   $$SELECT array_agg(a) FROM reentry.nums WHERE id = ANY ('{(4),(2)}'::reentry.num[])$$,
			   $$SELECT array_agg(a) FROM reentry.nums WHERE id = ANY ('{(7),(6)}'::reentry.num[])$$),
	   attempt($$SELECT array_agg(a) FROM reentry.nums WHERE id = ANY ('{(3),(9),(1)}'::reentry.num[])$$,
			   'SELECT 1/0');
SELECT n, a FROM nums WHERE id = ANY ('{(3),(9),(1)}'::num[]);
-- what an alias leads to is compared by an expression and a predicate
CREATE FUNCTION tag(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM reentry.run(); RETURN '#' || $1; END $$;
CREATE TABLE tagged (id int PRIMARY KEY, w text, n int);
CREATE UNIQUE INDEX ON tagged (tag(w)) WHERE run_once(w);
INSERT INTO tagged SELECT g, 'w' || g, g FROM generate_series(1, 10) g;
ANALYZE tagged;
SELECT itemcache.attach('tagged');
EXPLAIN (COSTS OFF) SELECT id FROM tagged WHERE tag(w) = '#w1' AND run_once(w);
SELECT id, n FROM tagged WHERE tag(w) = '#w1' AND run_once(w);
SELECT id, n FROM tagged WHERE tag(w) = '#w2' AND run_once(w);
SELECT m.meanwhile, attempt($$SELECT ARRAY[id, n] FROM reentry.tagged WHERE reentry.tag(w) = '#w1' AND reentry.run_once(w)$$, m.meanwhile,
							$$SELECT ARRAY[id, n] FROM reentry.tagged WHERE reentry.tag(w) = '#w2' AND reentry.run_once(w)$$)
FROM unnest(ARRAY[$$SELECT ARRAY[id, n] FROM reentry.tagged WHERE reentry.tag(w) = '#w1' AND reentry.run_once(w)$$,
				  $$UPDATE reentry.tagged SET n = 100 WHERE id = 1$$,
				  $$DELETE FROM reentry.tagged WHERE reentry.tag(w) = '#w1'$$,
				  $$SELECT itemcache.put('(1,w1,200)'::reentry.tagged)$$,
				  $$DROP INDEX reentry.tagged_tag_idx$$,
				  $$SELECT helper.try('SELECT 1/0')$$,
				  $$SELECT 1/0$$]) m(meanwhile);
SELECT id, n FROM tagged WHERE tag(w) = '#w1' AND run_once(w);
RESET itemcache.transparent;
-- the same by get_by(): in the middle of the comparison the table is open
SELECT itemcache.get_by(NULL::tagged, 'tag(w) WHERE run_once(w)', '#w' || g) FROM generate_series(1, 2) g;
SELECT m.meanwhile, attempt($$SELECT itemcache.get_by(NULL::reentry.tagged, 'tag(w) WHERE run_once(w)', '#w1')$$, m.meanwhile,
							$$SELECT itemcache.get_by(NULL::reentry.tagged, 'tag(w) WHERE run_once(w)', '#w2')$$),
	   attempt($$SELECT array_agg(g) FROM itemcache.get_many_by(NULL::reentry.tagged, 'tag(w) WHERE run_once(w)', ARRAY['#w1', '#w2', '#w1', '#w3']) g$$, m.meanwhile,
			   $$SELECT itemcache.get_by(NULL::reentry.tagged, 'id', 1)$$)
FROM unnest(ARRAY[$$SELECT itemcache.get_by(NULL::reentry.tagged, 'tag(w) WHERE run_once(w)', '#w1')$$,
				  $$UPDATE reentry.tagged SET n = 100 WHERE id = 1$$,
				  $$DELETE FROM reentry.tagged WHERE w = 'w1'$$,
				  $$DROP INDEX reentry.tagged_tag_idx$$,
				  $$REINDEX INDEX reentry.tagged_tag_idx$$,
				  $$ALTER TABLE reentry.tagged ADD COLUMN x int$$,
				  $$DROP TABLE reentry.tagged$$,
				  $$SELECT helper.try('SELECT 1/0')$$,
				  $$SELECT 1/0$$]) m(meanwhile);
SELECT itemcache.get_by(NULL::tagged, 'tag(w) WHERE run_once(w)', '#w' || g) FROM generate_series(1, 2) g;

-- while the key is converted, the index that it is converted for can be dropped, or become another
CREATE TABLE pairs (id int PRIMARY KEY, p pair, n int, w text);
CREATE UNIQUE INDEX pairs_p ON pairs (p);
INSERT INTO pairs SELECT g, ROW(g, 'w' || g)::pair, g, 'w' || g FROM generate_series(1, 10) g;
SELECT itemcache.attach('pairs');
SELECT itemcache.get_by(NULL::pairs, 'p', format('(%s,w%s)', g, g)) FROM generate_series(1, 2) g, generate_series(1, 2);
SELECT m.meanwhile, attempt($$SELECT itemcache.get_by(NULL::reentry.pairs, 'p', '(1,w1)')$$, m.meanwhile),
	   attempt($$SELECT array_agg(g) FROM itemcache.get_many_by(NULL::reentry.pairs, 'p', ARRAY['(1,w1)', '(2,w2)']) g$$, m.meanwhile)
FROM unnest(ARRAY[$$SELECT itemcache.get_by(NULL::reentry.pairs, 'p', '(2,w2)')$$,
				  $$DROP INDEX reentry.pairs_p$$,
				  $$DROP INDEX reentry.pairs_p; CREATE UNIQUE INDEX ON reentry.pairs (p)$$,
				  $$REINDEX INDEX reentry.pairs_p$$,
				  $$ALTER TABLE reentry.pairs RENAME p TO q$$,
				  $$ALTER TABLE reentry.pairs DROP p, ADD p int UNIQUE$$,
				  $$ALTER TABLE reentry.pairs ALTER n TYPE text$$,
				  $$ALTER TABLE reentry.pairs DROP CONSTRAINT pairs_pkey$$,
				  $$UPDATE reentry.pairs SET p = (9, 'w')::reentry.pair WHERE id = 1$$,
				  $$DROP TABLE reentry.pairs$$,
				  $$SELECT 1/0$$]) m(meanwhile);
SELECT itemcache.get_by(NULL::pairs, 'p', format('(%s,w%s)', g, g)) FROM generate_series(1, 2) g;

-- what put_many() has checked its items for may be altered
SELECT m.meanwhile, attempt($$SELECT itemcache.put_many(ARRAY['("(1)",100,a,b)', '("(2)",200,aa,bb)']::reentry.nums[])$$, m.meanwhile)
FROM unnest(ARRAY['ALTER TABLE reentry.nums ALTER n TYPE text USING a',
				  'ALTER TABLE reentry.nums DROP COLUMN a, ADD COLUMN c int',
				  'DROP TABLE reentry.nums',
				  'ALTER TABLE reentry.nums RENAME TO numbers',
				  'SELECT itemcache.put(''("(1)",5,x,y)''::reentry.nums)',
				  'SELECT 1/0']) m(meanwhile);

--
-- What runs while the statement of a put is planned, with the table locked, but
-- not yet open.
--
CREATE ROLE regress_reentry;
GRANT ALL ON SCHEMA reentry TO regress_reentry;
CREATE TABLE counted (a int GENERATED ALWAYS AS IDENTITY, k int, v int, w int, PRIMARY KEY (a, k));
ALTER TABLE counted OWNER TO regress_reentry;
ALTER TABLE counted ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON counted USING (true) WITH CHECK (run_once('planned'::text));
SELECT itemcache.attach('counted');
GRANT USAGE ON SCHEMA helper TO regress_reentry;
SET ROLE regress_reentry;
SELECT m.meanwhile, attempt($$SELECT itemcache.put('(,10,20,30)'::reentry.counted)$$, m.meanwhile)
FROM unnest(ARRAY['DO ''BEGIN ALTER TABLE reentry.counted ALTER a SET GENERATED BY DEFAULT;
							   PERFORM itemcache.get(NULL::reentry.counted, ROW(1, 1)); END''',
				  'ALTER TABLE reentry.counted ALTER v TYPE text',
				  'DROP TABLE reentry.counted',
				  'SELECT itemcache.put(''(,1,2,3)''::reentry.counted)',
				  'SELECT 1/0']) m(meanwhile);
RESET ROLE;

--
-- The same of the statements of attach() and detach(): event triggers.
--
CREATE TABLE fleeting (id int PRIMARY KEY);
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM reentry.run(); END';
CREATE EVENT TRIGGER reentry ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER', 'ALTER TABLE') EXECUTE FUNCTION on_ddl();
CREATE EVENT TRIGGER reentry_drop ON sql_drop WHEN TAG IN ('DROP TRIGGER') EXECUTE FUNCTION on_ddl();
SELECT m.meanwhile, attempt($$SELECT itemcache.attach('reentry.fleeting')$$, VARIADIC m.meanwhile::text[])
FROM unnest(ARRAY['{DROP TABLE reentry.fleeting}',
				  '{ALTER TABLE reentry.fleeting RENAME TO fleeing}',
				  '{"","DROP TRIGGER itemcache ON reentry.fleeting"}',
				  '{"","DROP TABLE reentry.fleeting"}']) m(meanwhile);
-- a partition that was attached by itself has two triggers, in the end
CREATE TABLE fleeing (id int PRIMARY KEY) PARTITION BY RANGE (id);
SELECT itemcache.attach('fleeting'), itemcache.attach('fleeing');
ALTER TABLE fleeing ATTACH PARTITION fleeting DEFAULT;
ALTER TABLE fleeing DETACH PARTITION fleeting;
CREATE TRIGGER itemcache2 AFTER INSERT ON fleeting FOR EACH ROW EXECUTE FUNCTION itemcache.track();
SELECT attempt($$SELECT itemcache.detach('reentry.fleeting')$$, 'DROP TABLE reentry.fleeting');
DROP EVENT TRIGGER reentry;
DROP EVENT TRIGGER reentry_drop;

--
-- The functions that find a partition.
--
CREATE FUNCTION hash_int(value int, seed bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$
	SELECT CASE WHEN reentry.run_once(value) THEN value + seed END;
$$;
CREATE OPERATOR CLASS hash_int_ops FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 2 hash_int(int, bigint);
CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY HASH (id hash_int_ops);
CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT g, 'v' || g FROM generate_series(1, 10) g;
SELECT itemcache.attach('parts');
SELECT attempt('SELECT itemcache.get(NULL::reentry.parts, 1)',
			   'SELECT itemcache.get(NULL::reentry.parts, 2)',
			   'SELECT itemcache.get_many(NULL::reentry.parts, ARRAY[3, 4])'),
	   attempt('SELECT itemcache.get(NULL::reentry.parts, 1)', 'SELECT 1/0');
SELECT itemcache.get_many(NULL::parts, ARRAY[1, 2]);
-- one that rolls a subtransaction back whenever it is called
SET statement_timeout = '60s';
SELECT left(attempt('SELECT itemcache.get(NULL::reentry.parts, 1)',
					VARIADIC array_fill('SELECT helper.try(''SELECT 1/0'')'::text, ARRAY[500])), 40);
RESET statement_timeout;
-- a partition that has been found already
SELECT m.meanwhile, attempt('SELECT array_agg(g) FROM itemcache.get_many(NULL::reentry.parts, ARRAY[2, 4, 1]) g',
							'', '', '', m.meanwhile)
FROM unnest(ARRAY['DROP TABLE reentry.parts0',
				  'ALTER TABLE reentry.parts0 ADD CHECK (v <> ''v2'') NOT VALID',
				  'DO ''BEGIN ALTER TABLE reentry.parts0 DISABLE TRIGGER ALL; UPDATE reentry.parts0 SET v = 1; END''']) m(meanwhile);
SELECT itemcache.get_many(NULL::parts, ARRAY[2, 4, 1]);

--
-- What runs in the middle of a put: checks, generated columns, expressions of
-- indexes, triggers.  It is a statement like any other, and refuses the same.
--
CREATE FUNCTION doubled(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM reentry.run(); RETURN $1 * 2; END';
CREATE TABLE busy (id int PRIMARY KEY, v int, w text, d int, CHECK (run_once(v)));
CREATE TABLE generating (id int PRIMARY KEY, v int, w text, d int GENERATED ALWAYS AS (doubled(v)) STORED);
CREATE TABLE indexed (id int PRIMARY KEY, v int, w text, d int);
CREATE INDEX ON indexed (doubled(v));
CREATE TABLE triggering (id int PRIMARY KEY, v int, w text, d int);
CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM reentry.run(); RETURN NEW; END';
CREATE TRIGGER aaa AFTER INSERT OR UPDATE ON triggering FOR EACH ROW EXECUTE FUNCTION on_change();
SELECT itemcache.attach(r) FROM unnest(ARRAY['busy', 'generating', 'indexed', 'triggering']::regclass[]) r;

-- what put_many() says of five or six rows when a statement is run meanwhile
CREATE FUNCTION put_rows(name text, meanwhile text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM reentry.todo(ARRAY[format(meanwhile, name)]);
	SELECT message INTO result FROM helper.try(format(
		'SELECT itemcache.put_many(ARRAY(SELECT format(''(%%s,%%s,w,)'', id, coalesce(v, 0) + 1)::reentry.%I
										 FROM reentry.%I FULL JOIN generate_series(1, 6) g(id) USING (id)))',
		name, name));
	PERFORM reentry.todo('{}');
	RETURN replace(result, name, 'the table');
END $$;
CREATE TABLE meanwhiles (n serial, statement text);
INSERT INTO meanwhiles (statement) VALUES
	(''),
	('SELECT itemcache.get(NULL::reentry.%1$I, 1), itemcache.get(NULL::reentry.%1$I, 3)'),
	('UPDATE reentry.%I SET w = ''y'' WHERE id = 5'),
	('DELETE FROM reentry.%I WHERE id = 2'),
	('SELECT itemcache.delete(NULL::reentry.%I, 2)'),
	('SELECT itemcache.put(''(9,9,nine,)''::reentry.%I)'),
	('TRUNCATE reentry.%I'),
	('ALTER TABLE reentry.%I ADD COLUMN c int'),
	('DROP TABLE reentry.%I'),
	('REINDEX TABLE reentry.%I'),
	('DISCARD PLANS'),
	('SELECT set_config(''itemcache.enabled'', ''off'', true)'),
	('SELECT helper.try(''SELECT itemcache.put(NULL::reentry.%I)'')'),
	('SELECT helper.try(''SELECT itemcache.put(ARRAY[''''(1,1,one,)'''', ''''(1,1,one,)'''']::reentry.%I[])'')'),
	('SELECT 1/0'),
	('SELECT itemcache.detach(''reentry.%I'')'),
	('');
SELECT format('SELECT r.name, put_rows(r.name, %L) FROM unnest(ARRAY[''busy'', ''generating'', ''indexed'', ''triggering'']) r(name)', statement)
FROM meanwhiles ORDER BY n \gexec
SELECT itemcache.attach(r) FROM unnest(ARRAY['busy', 'generating', 'indexed', 'triggering']::regclass[]) r;
SELECT r.name, c.differing, c.present
FROM unnest(ARRAY['busy', 'generating', 'indexed', 'triggering']) r(name), helper.check(r.name::regclass, 1, 10) c;

--
-- Cursors over a scan, of which the scan's own filter makes use.
--
SET itemcache.transparent = on;
EXPLAIN (COSTS OFF) SELECT id, w FROM busy WHERE id = ANY ('{1,2,3,4}') AND run_once(w);
BEGIN;
DECLARE c CURSOR FOR SELECT id, w FROM busy WHERE id = ANY ('{1,2,3,4}') AND run_once(w);
SELECT todo(ARRAY['SELECT helper.try(''FETCH c'')', 'SELECT helper.try(''CLOSE c'')',
				  'SELECT itemcache.put(''(3,100,z,)''::reentry.busy)']);
FETCH 3 FROM c;
SELECT todo(ARRAY['SELECT itemcache.put(''(4,100,z,)''::reentry.busy)']);
FETCH 3 FROM c;
SELECT v, w FROM busy WHERE id = ANY ('{3,4}');
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id, w FROM busy WHERE id = ANY ('{1,2,3,4}');
FETCH 1 FROM c;
SELECT todo('{CLOSE c}');
SELECT itemcache.put('(3,100,z,)'::busy);
SELECT message FROM helper.try('FETCH c');
ROLLBACK;
RESET itemcache.transparent;

SELECT todo('{}');
DROP OWNED BY regress_reentry CASCADE;
DROP ROLE regress_reentry;
SET client_min_messages = error;
DROP SCHEMA reentry CASCADE;
