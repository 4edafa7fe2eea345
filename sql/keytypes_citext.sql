-- Keys of type citext: equal keys with other bytes (A8).  Skipped where citext is not installed.

SELECT NOT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'citext') AS skip \gset
\if :skip
\quit
\endif

CREATE SCHEMA ci;
SET search_path = ci;
SET client_min_messages = warning;
CREATE EXTENSION citext SCHEMA ci;
RESET client_min_messages;
CREATE TABLE words (k citext PRIMARY KEY, v text);
SELECT itemcache.attach('words');
INSERT INTO words VALUES ('Abc', 'abc'), ('def', 'def');
SELECT (itemcache.get(NULL::words, 'abc')).v, (itemcache.get(NULL::words, 'Abc')).v, (itemcache.get(NULL::words, 'DEF'::citext)).v;
SELECT (itemcache.get(NULL::words, 'abc')).v, (itemcache.get(NULL::words, 'Abc')).v, (itemcache.get(NULL::words, 'DEF'::citext)).v;
UPDATE words SET v = 'updated' WHERE k = 'ABC';
SELECT (itemcache.get(NULL::words, 'abc')).v, (itemcache.get(NULL::words, 'Abc')).v;
UPDATE words SET k = 'aBc', v = 'other bytes' WHERE k = 'ABC';
SELECT (itemcache.get(NULL::words, 'abc')).v, (itemcache.get(NULL::words, 'Abc')).v, (itemcache.get(NULL::words, 'aBc')).v;
SELECT (itemcache.get(NULL::words, 'abc')).v, (itemcache.get(NULL::words, 'Abc')).v, (itemcache.get(NULL::words, 'aBc')).v;
SELECT * FROM helper.answered('words', $$SELECT itemcache.get(NULL::ci.words, 'aBc')$$);
DELETE FROM words WHERE k = 'abc';
SELECT (itemcache.get(NULL::words, 'abc')).v, (itemcache.get(NULL::words, 'Abc')).v, (itemcache.get(NULL::words, 'aBc')).v;

SET client_min_messages = warning;
DROP SCHEMA ci CASCADE;
