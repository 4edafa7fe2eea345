-- After every kind of write, lookups say what the table says (rules 2, 3, 4 and 6; A1, A2, A15, A16, D.A1, D.A5).

CREATE SCHEMA exact;
SET search_path = exact;

CREATE TABLE items (id int PRIMARY KEY, v text, n int DEFAULT 0);
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 10) g;
SELECT itemcache.attach('items');

--
-- Reads: the first fills, the second hits; absence is not cached
--
SELECT * FROM helper.check('items', 1, 12);
SELECT * FROM helper.check('items', 1, 12);
SELECT items FROM itemcache.tables;
-- what does not change rows does not empty the cache
VACUUM items;
ANALYZE items;
VACUUM (FREEZE) items;
GRANT SELECT ON items TO PUBLIC;
CREATE INDEX items_v ON items (v);
CREATE INDEX CONCURRENTLY items_n ON items (n);
REINDEX INDEX items_v;
COMMENT ON TABLE items IS 'a comment';
ALTER TABLE items ALTER v SET STATISTICS 10;
CREATE STATISTICS items_stat ON v, n FROM items;
SELECT * FROM helper.check('items', 1, 10);
DROP INDEX items_v;
SELECT * FROM helper.check('items', 1, 10);

--
-- Single statements.  The first check after a write shows that a written row
-- was published (it hits); the second that reading it again does no harm.
--
INSERT INTO items VALUES (11, 'new');
SELECT * FROM helper.check('items', 1, 12);
UPDATE items SET v = 'updated' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 12);
UPDATE items SET v = v || '!' WHERE id BETWEEN 2 AND 4;
SELECT * FROM helper.check('items', 1, 12);
DELETE FROM items WHERE id = 11;
SELECT * FROM helper.check('items', 1, 12);
SELECT * FROM helper.check('items', 1, 12);
-- the key itself changes; and back; and all at once
UPDATE items SET id = 12 WHERE id = 10;
SELECT * FROM helper.check('items', 1, 12);
UPDATE items SET id = 10 WHERE id = 12;
SELECT * FROM helper.check('items', 1, 12);
UPDATE items SET id = id + 100;
SELECT * FROM helper.check('items', 1, 112);
UPDATE items SET id = id - 100;
SELECT * FROM helper.check('items', 1, 112);
-- an update that changes nothing
UPDATE items SET v = v;
SELECT * FROM helper.check('items', 1, 12);
-- ON CONFLICT
INSERT INTO items VALUES (1, 'conflict'), (11, 'no conflict') ON CONFLICT (id) DO UPDATE SET v = excluded.v || '?';
SELECT * FROM helper.check('items', 1, 12);
INSERT INTO items VALUES (1, 'nothing'), (12, 'something') ON CONFLICT DO NOTHING;
SELECT * FROM helper.check('items', 1, 12);
INSERT INTO items VALUES (1, 'not') ON CONFLICT (id) DO UPDATE SET v = 'never' WHERE false;
SELECT * FROM helper.check('items', 1, 12);
-- MERGE
MERGE INTO items i USING (VALUES (1, 'merged'), (2, NULL), (13, 'merged in')) s(id, v) ON i.id = s.id
WHEN MATCHED AND s.v IS NULL THEN DELETE
WHEN MATCHED THEN UPDATE SET v = s.v
WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v);
SELECT * FROM helper.check('items', 1, 14);
-- COPY
COPY items (id, v) FROM stdin;
2	copied
14	copied too
\.
SELECT * FROM helper.check('items', 1, 15);
-- data-modifying WITH, writing two rows and one of them twice
WITH a AS (UPDATE items SET v = 'with' WHERE id = 1 RETURNING id),
	 b AS (DELETE FROM items WHERE id = 14 RETURNING id)
INSERT INTO items SELECT 20 + id, 'from with' FROM a UNION ALL SELECT 20 + id, 'from with' FROM b;
SELECT * FROM helper.check('items', 1, 40);
DELETE FROM items WHERE id > 10;
-- UPDATE ... FROM and DELETE ... USING; RETURNING sees the new row, get the statement's snapshot
UPDATE items i SET v = 'joined' FROM (VALUES (3), (4)) s(id) WHERE s.id = i.id RETURNING i.v, (itemcache.get(NULL::items, i.id)).v;
SELECT * FROM helper.check('items', 1, 12);
-- no rows
UPDATE items SET v = 'none' WHERE id = 1000;
DELETE FROM items WHERE id = 1000;
-- locked rows are cached all the same
BEGIN;
SELECT id FROM items WHERE id = 5 FOR UPDATE;
SELECT id FROM items WHERE id = 6 FOR SHARE;
SELECT * FROM helper.check('items', 5, 6);
COMMIT;
SELECT itemcache.clear('items');
SELECT * FROM helper.check('items', 5, 6);
SELECT * FROM helper.check('items', 5, 6);
-- a rolled-back update leaves an aborted xmax: not an updater
BEGIN;
UPDATE items SET v = 'never' WHERE id = 7;
ROLLBACK;
SELECT * FROM helper.check('items', 7, 7);
SELECT * FROM helper.check('items', 7, 7);

--
-- Transactions: own writes are read, nobody else's; what is left is published
--
SELECT count(*) FROM helper.check('items', 1, 10);
BEGIN;
UPDATE items SET v = 'own' WHERE id = 1;
SELECT (itemcache.get(NULL::items, 1)).v;
SELECT * FROM helper.check('items', 1, 10);
DELETE FROM items WHERE id = 2;
INSERT INTO items VALUES (11, 'own');
SELECT * FROM helper.check('items', 1, 12);
UPDATE items SET id = 12 WHERE id = 3;
UPDATE items SET v = 'own twice' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 12);
COMMIT;
SELECT * FROM helper.check('items', 1, 12);
SELECT * FROM helper.check('items', 1, 12);
-- rolled back
BEGIN;
UPDATE items SET v = 'rolled back', id = id + 20;
SELECT * FROM helper.check('items', 1, 40);
ROLLBACK;
SELECT * FROM helper.check('items', 1, 40);
SELECT * FROM helper.check('items', 1, 40);
-- failed
BEGIN;
UPDATE items SET v = 'failed' WHERE id = 1;
SELECT 1 / 0;
COMMIT;
SELECT * FROM helper.check('items', 1, 12);
-- failed at commit
CREATE TABLE refs (id int PRIMARY KEY, item int REFERENCES items DEFERRABLE INITIALLY DEFERRED);
BEGIN;
UPDATE items SET v = 'failed at commit' WHERE id = 1;
INSERT INTO refs VALUES (1, 999);
COMMIT;
SELECT * FROM helper.check('items', 1, 12);
DROP TABLE refs;
-- inserted and deleted; deleted and inserted; moved around
BEGIN;
INSERT INTO items VALUES (30, 'short life');
DELETE FROM items WHERE id = 30;
DELETE FROM items WHERE id = 1;
INSERT INTO items VALUES (1, 'second life');
UPDATE items SET id = 31 WHERE id = 4;
INSERT INTO items VALUES (4, 'usurper');
UPDATE items SET id = -5 WHERE id = 5;
UPDATE items SET id = 5 WHERE id = 6;
UPDATE items SET id = 6 WHERE id = -5;
COMMIT;
SELECT * FROM helper.check('items', -5, 31);
SELECT * FROM helper.check('items', -5, 31);
DELETE FROM items;
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 10) g;
-- the same row, many times
BEGIN;
DO $$ BEGIN FOR i IN 1..100 LOOP UPDATE exact.items SET n = i WHERE id = 1; END LOOP; END $$;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
-- a cursor opened before own writes shows the table as it was then
BEGIN;
DECLARE c CURSOR FOR SELECT id, (itemcache.get(NULL::items, id)).v = v AS agrees FROM items WHERE id < 4 ORDER BY id;
FETCH 1 FROM c;
UPDATE items SET v = 'after the cursor' WHERE id < 4;
DELETE FROM items WHERE id = 3;
FETCH ALL FROM c;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT (itemcache.get(NULL::items, 1)).v;
UPDATE items SET v = 'after the held cursor' WHERE id = 1;
COMMIT;
FETCH h;
CLOSE h;
SELECT (itemcache.get(NULL::items, 1)).v;
-- COMMIT AND CHAIN
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE items SET v = 'chained 1' WHERE id = 1;
COMMIT AND CHAIN;
SELECT * FROM helper.check('items', 1, 10);
UPDATE items SET v = 'chained 2' WHERE id = 1;
ROLLBACK AND CHAIN;
SELECT * FROM helper.check('items', 1, 10);
COMMIT;
-- SERIALIZABLE reads the table
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM helper.check('items', 1, 10);
UPDATE items SET v = 'serializable' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 10);
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT * FROM helper.check('items', 1, 10);
COMMIT;

--
-- Savepoints
--
DELETE FROM items;
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 10) g;
SELECT count(*) FROM helper.check('items', 1, 10);
BEGIN;
SAVEPOINT a;
UPDATE items SET v = 'in a' WHERE id = 1;
UPDATE items SET id = 50 WHERE id = 10;
SELECT * FROM helper.check('items', 1, 50);
ROLLBACK TO a;
SELECT * FROM helper.check('items', 1, 50);
COMMIT;
SELECT * FROM helper.check('items', 1, 50);
BEGIN;
UPDATE items SET v = 'outside' WHERE id = 1;
SAVEPOINT a;
UPDATE items SET v = 'inside' WHERE id = 1;
DELETE FROM items WHERE id = 2;
ROLLBACK TO a;
UPDATE items SET v = 'outside' WHERE id = 5;
SELECT * FROM helper.check('items', 1, 10);
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
SAVEPOINT a;
UPDATE items SET v = 'released' WHERE id = 1;
SAVEPOINT b;
UPDATE items SET v = 'released twice' WHERE id = 1;
RELEASE a;
SAVEPOINT c;
DELETE FROM items WHERE id = 1;
ROLLBACK TO c;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
SAVEPOINT a;
INSERT INTO items VALUES (60, 'first');
ROLLBACK TO a;
INSERT INTO items VALUES (60, 'second');
SAVEPOINT b;
UPDATE items SET v = 'third' WHERE id = 60;
ROLLBACK TO b;
COMMIT;
SELECT * FROM helper.check('items', 60, 60);
SELECT * FROM helper.check('items', 60, 60);
-- exception blocks
DO $$
BEGIN
	FOR i IN 1..10 LOOP
		BEGIN
			UPDATE exact.items SET v = 'round ' || i WHERE id = i;
			IF i % 2 = 0 THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION WHEN division_by_zero THEN
			UPDATE exact.items SET n = i WHERE id = 1;
		END;
	END LOOP;
END
$$;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
DELETE FROM items;
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 10) g;
-- the lock taken in a subtransaction goes with it: the cache serves again (D.A5)
BEGIN;
SELECT pg_current_xact_id() IS NOT NULL AS has_xid;
SELECT * FROM helper.check('items', 1, 3);
SAVEPOINT a;
UPDATE items SET v = 'own' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 3);
ROLLBACK TO a;
SELECT * FROM helper.check('items', 1, 3);
SAVEPOINT b;
LOCK items IN ROW EXCLUSIVE MODE;
RELEASE b;
SELECT * FROM helper.check('items', 1, 3);
UPDATE items SET v = 'own again' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 3);
COMMIT;
SELECT * FROM helper.check('items', 1, 3);
BEGIN;
SAVEPOINT a;
SELECT count(*) FROM helper.check('items', 1, 3);
ROLLBACK TO a;
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items ADD COLUMN later int DEFAULT 1;
SELECT * FROM helper.check('items', 1, 3);
COMMIT;
SELECT * FROM helper.check('items', 1, 3);
ALTER TABLE items DROP COLUMN later;

--
-- Two-phase commit within one session (skipped if the server allows none)
--
SELECT current_setting('max_prepared_transactions')::int > 0 AS two_phase \gset
\if :two_phase
SELECT count(*) FROM helper.check('items', 1, 10);
BEGIN;
UPDATE items SET v = 'prepared' WHERE id = 1;
INSERT INTO items VALUES (70, 'prepared');
PREPARE TRANSACTION 'itemcache_exact';
SELECT * FROM helper.check('items', 1, 70);
COMMIT PREPARED 'itemcache_exact';
SELECT * FROM helper.check('items', 1, 70);
SELECT * FROM helper.check('items', 1, 70);
BEGIN;
UPDATE items SET v = 'prepared in vain', id = id + 100;
PREPARE TRANSACTION 'itemcache_exact';
SELECT * FROM helper.check('items', 1, 200);
ROLLBACK PREPARED 'itemcache_exact';
SELECT * FROM helper.check('items', 1, 200);
DELETE FROM items WHERE id = 70;
\else
DELETE FROM items WHERE id = 70;
\endif

--
-- TRUNCATE and its kin
--
SELECT count(*) FROM helper.check('items', 1, 10);
CREATE TABLE saved AS SELECT * FROM items;
TRUNCATE items;
SELECT * FROM helper.check('items', 1, 10);
INSERT INTO items SELECT * FROM saved;
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
TRUNCATE items;
SELECT * FROM helper.check('items', 1, 10);
ROLLBACK;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
-- written, then truncated (A2)
BEGIN;
UPDATE items SET v = 'truncated' WHERE id = 1;
INSERT INTO items VALUES (80, 'truncated');
TRUNCATE items;
COMMIT;
SELECT * FROM helper.check('items', 1, 80);
-- truncated twice, the second time in place, with a COPY between
BEGIN;
TRUNCATE items;
COPY items (id, v) FROM stdin;
1	gone
2	gone
\.
TRUNCATE items;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
TRUNCATE items;
INSERT INTO items VALUES (1, 'gone');
SAVEPOINT a;
TRUNCATE items;
INSERT INTO items VALUES (2, 'gone');
ROLLBACK TO a;
UPDATE items SET v = 'stays' WHERE id = 1;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
TRUNCATE items;
COPY items (id, v) FROM stdin WITH (FREEZE);
1	frozen
2	frozen
\.
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
TRUNCATE items;
INSERT INTO items SELECT * FROM saved;
SELECT count(*) FROM helper.check('items', 1, 10);

--
-- DDL in the transaction that writes (A2), and in one that is rolled back
--
BEGIN;
UPDATE items SET v = 'with ddl' WHERE id = 1;
ALTER TABLE items ADD COLUMN r double precision DEFAULT random();
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
ALTER TABLE items DROP COLUMN r;
UPDATE items SET v = 'after ddl' WHERE id = 1;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
UPDATE items SET v = 'before alter type' WHERE id = 2;
ALTER TABLE items ALTER n TYPE bigint USING n + 1000;
UPDATE items SET v = 'after alter type' WHERE id = 3;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
ALTER TABLE items ALTER n TYPE int USING n - 1000;
SELECT * FROM helper.check('items', 1, 10);
ROLLBACK;
SELECT * FROM helper.check('items', 1, 10);
-- what is rewritten and read in a rolled-back subtransaction stays out (D.A1)
SELECT itemcache.clear('items');
BEGIN;
SAVEPOINT a;
CLUSTER items USING items_pkey;
SELECT * FROM helper.check('items', 1, 10);
ROLLBACK TO a;
SELECT * FROM helper.check('items', 1, 10);
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
UPDATE items SET v = 'after cluster' WHERE id < 6;
SELECT * FROM helper.check('items', 1, 10);
SELECT itemcache.clear('items');
BEGIN;
SELECT pg_current_xact_id() IS NOT NULL AS has_xid;
SAVEPOINT a;
ALTER TABLE items DROP COLUMN n;
SELECT * FROM helper.check('items', 1, 10);
ROLLBACK TO a;
SELECT * FROM helper.check('items', 1, 10);
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT (itemcache.get(NULL::items, 1)).n IS NOT NULL AS n_is_there;
BEGIN;
SAVEPOINT a;
ALTER TABLE items ALTER n TYPE text USING 'n' || n;
SELECT (itemcache.get(NULL::items, 1)).n;
SAVEPOINT b;
ROLLBACK TO a;
SELECT (itemcache.get(NULL::items, 1)).n;
COMMIT;
SELECT (itemcache.get(NULL::items, 1)).n;
SELECT * FROM helper.check('items', 1, 10);
-- the trigger disabled in the transaction that writes silently
SELECT count(*) FROM helper.check('items', 1, 10);
BEGIN;
ALTER TABLE items DISABLE TRIGGER itemcache;
UPDATE items SET v = 'silent';
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
UPDATE items SET v = 'noted' WHERE id = 1;
ALTER TABLE items DISABLE TRIGGER itemcache;
UPDATE items SET v = 'silent after noted' WHERE id = 1;
ALTER TABLE items ENABLE ALWAYS TRIGGER itemcache;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
SAVEPOINT a;
ALTER TABLE items DISABLE TRIGGER itemcache;
SELECT * FROM helper.check('items', 1, 10);
ROLLBACK TO a;
UPDATE items SET v = 'not silent' WHERE id = 1;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);
-- VACUUM FULL and CLUSTER move rows
VACUUM FULL items;
SELECT * FROM helper.check('items', 1, 10);
CLUSTER items USING items_pkey;
SELECT * FROM helper.check('items', 1, 10);
UPDATE items SET v = 'after cluster' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 10);
-- SET TABLESPACE to its own, SET ACCESS METHOD to its own
ALTER TABLE items SET TABLESPACE pg_default;
ALTER TABLE items SET ACCESS METHOD heap;
SELECT * FROM helper.check('items', 1, 10);
-- dropped and made again under the same name, with other contents
DROP TABLE items;
CREATE TABLE items (id int PRIMARY KEY, v text, n int DEFAULT 0);
INSERT INTO items SELECT g, 'another' FROM generate_series(1, 10) g;
SELECT * FROM helper.check('items', 1, 10);
SELECT itemcache.attach('items');
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);

--
-- Foreign keys that cascade
--
CREATE TABLE children (id int PRIMARY KEY, item int REFERENCES items ON UPDATE CASCADE ON DELETE CASCADE, v text);
CREATE TABLE orphans (id int PRIMARY KEY, item int DEFAULT 1 REFERENCES items ON DELETE SET NULL ON UPDATE SET DEFAULT, v text);
INSERT INTO children SELECT g, g, 'child' FROM generate_series(1, 10) g;
INSERT INTO orphans SELECT g, g, 'orphan' FROM generate_series(1, 10) g;
SELECT itemcache.attach('children'), itemcache.attach('orphans');
SELECT * FROM helper.check('children', 1, 10);
SELECT * FROM helper.check('orphans', 1, 10);
UPDATE items SET id = id + 10 WHERE id IN (2, 3);
SELECT * FROM helper.check('children', 1, 10);
SELECT * FROM helper.check('orphans', 1, 10);
DELETE FROM items WHERE id IN (4, 12);
SELECT * FROM helper.check('children', 1, 10);
SELECT * FROM helper.check('orphans', 1, 10);
SELECT * FROM helper.check('items', 1, 20);
SET client_min_messages = warning;
TRUNCATE items CASCADE;
RESET client_min_messages;
SELECT * FROM helper.check('children', 1, 10);
SELECT * FROM helper.check('orphans', 1, 10);
SELECT * FROM helper.check('items', 1, 20);
DROP TABLE children, orphans;
INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 10) g;

--
-- Triggers of the user's that write the same rows before ours hears of it (A1):
-- by the queue, as then events come out of order; changes.sql has the row condition
--
CREATE FUNCTION nested() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	IF pg_trigger_depth() > 1 THEN
		RETURN NULL;
	END IF;
	CASE NEW.v
		WHEN 'nested update' THEN UPDATE exact.items SET v = 'by the trigger', n = n + 1 WHERE id = NEW.id;
		WHEN 'nested delete' THEN DELETE FROM exact.items WHERE id = NEW.id;
		WHEN 'nested two' THEN
			UPDATE exact.items SET v = 'by the trigger, 1' WHERE id = NEW.id;
			UPDATE exact.items SET v = 'by the trigger, 2' WHERE id = NEW.id;
		WHEN 'nested key' THEN UPDATE exact.items SET id = id + 100 WHERE id = NEW.id;
		WHEN 'nested again' THEN
			DELETE FROM exact.items WHERE id = NEW.id;
			INSERT INTO exact.items VALUES (NEW.id, 'inserted by the trigger');
		WHEN 'nested other' THEN UPDATE exact.items SET v = 'other, by the trigger' WHERE id = NEW.id - 1;
		ELSE NULL;
	END CASE;
	RETURN NULL;
END
$$;
CREATE TRIGGER a_before_ours AFTER INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION nested();
SELECT count(*) FROM helper.check('items', 1, 10);
SELECT helper.by_queue();
UPDATE items SET v = 'nested update' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);
SELECT helper.by_queue();
UPDATE items SET v = 'nested delete' WHERE id = 2;
SELECT * FROM helper.check('items', 1, 10);
SELECT helper.by_queue();
UPDATE items SET v = 'nested two' WHERE id = 3;
SELECT * FROM helper.check('items', 1, 10);
SELECT helper.by_queue();
UPDATE items SET v = 'nested key' WHERE id = 4;
SELECT * FROM helper.check('items', 1, 110);
SELECT helper.by_queue();
UPDATE items SET v = 'nested again' WHERE id = 5;
SELECT * FROM helper.check('items', 1, 10);
SELECT helper.by_queue();
INSERT INTO items VALUES (11, 'nested update'), (12, 'nested delete'), (13, 'nested two'), (14, 'nested key'), (15, 'nested again');
SELECT * FROM helper.check('items', 1, 120);
SELECT * FROM helper.check('items', 1, 120);
-- several rows in one statement, each touching another row of it
SELECT helper.by_queue();
UPDATE items SET v = 'nested other' WHERE id BETWEEN 7 AND 10;
SELECT * FROM helper.check('items', 1, 20);
SELECT * FROM helper.check('items', 1, 20);
SELECT helper.by_queue();
INSERT INTO items VALUES (6, 'nested update') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
SELECT * FROM helper.check('items', 1, 20);
DROP TRIGGER a_before_ours ON items;
-- the same from a trigger after ours, and from a deferred one
CREATE TRIGGER z_after_ours AFTER INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION nested();
SELECT helper.by_queue();
UPDATE items SET v = 'nested update' WHERE id = 1;
SELECT helper.by_queue();
UPDATE items SET v = 'nested delete' WHERE id = 3;
SELECT helper.by_queue();
UPDATE items SET v = 'nested again' WHERE id = 5;
SELECT * FROM helper.check('items', 1, 20);
DROP TRIGGER z_after_ours ON items;
CREATE CONSTRAINT TRIGGER a_deferred AFTER INSERT OR UPDATE ON items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nested();
SELECT helper.by_queue();
UPDATE items SET v = 'nested update' WHERE id = 1;
SELECT * FROM helper.check('items', 1, 20);
BEGIN;
SELECT helper.by_queue();
UPDATE items SET v = 'nested delete' WHERE id = 5;
SELECT helper.by_queue();
UPDATE items SET v = 'nested update' WHERE id = 6;
SELECT helper.by_queue();
UPDATE items SET n = 99 WHERE id = 6;
COMMIT;
SELECT * FROM helper.check('items', 1, 20);
SELECT * FROM helper.check('items', 1, 20);
DROP TRIGGER a_deferred ON items;
-- a volatile function of a later row that writes an earlier row
CREATE FUNCTION touch(k int) RETURNS text LANGUAGE plpgsql AS
$$
BEGIN
	UPDATE exact.items SET v = 'touched' WHERE id = k;
	RETURN 'touching ' || k;
END
$$;
UPDATE items SET v = CASE WHEN id > 8 THEN touch(id - 8) ELSE 'first' END WHERE id IN (1, 2, 9, 10);
SELECT * FROM helper.check('items', 1, 20);
SELECT * FROM helper.check('items', 1, 20);
-- BEFORE triggers: change the row, suppress it, write others
CREATE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
	IF TG_OP = 'DELETE' THEN
		RETURN NULL;
	ELSIF NEW.v = 'suppress' THEN
		RETURN NULL;
	ELSIF NEW.v = 'other key' THEN
		NEW.id := NEW.id + 100;
	END IF;
	NEW.v := NEW.v || ', before';
	RETURN NEW;
END
$$;
CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION before();
INSERT INTO items VALUES (21, 'inserted'), (22, 'suppress'), (23, 'other key');
UPDATE items SET v = 'suppress' WHERE id = 1;
UPDATE items SET v = 'other key' WHERE id = 9;
DELETE FROM items WHERE id = 10;
SELECT * FROM helper.check('items', 1, 130);
SELECT * FROM helper.check('items', 1, 130);
DROP TRIGGER before ON items;
-- lookups inside triggers see what the table's readers there see
CREATE FUNCTION looking() RETURNS trigger LANGUAGE plpgsql AS
$$
DECLARE
	c record;
BEGIN
	SELECT * INTO c FROM helper.check('exact.items', 1, 30);
	IF c.differing IS NOT NULL THEN
		RAISE WARNING '% % %', TG_WHEN, TG_OP, c.differing;
	END IF;
	RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER a_looking AFTER INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION looking();
CREATE TRIGGER z_looking AFTER INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION looking();
CREATE TRIGGER looking_before BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION looking();
INSERT INTO items VALUES (24, 'a'), (25, 'b');
UPDATE items SET v = 'looked at' WHERE id IN (1, 24, 25);
DELETE FROM items WHERE id IN (24, 25);
SELECT * FROM helper.check('items', 1, 30);
DROP TRIGGER a_looking ON items;
DROP TRIGGER z_looking ON items;
DROP TRIGGER looking_before ON items;
-- rules
CREATE RULE redirect AS ON DELETE TO items WHERE OLD.id = 1 DO INSTEAD UPDATE items SET v = 'not deleted' WHERE id = OLD.id;
DELETE FROM items WHERE id IN (1, 7);
SELECT * FROM helper.check('items', 1, 10);
DROP RULE redirect ON items;

--
-- session_replication_role
--
SELECT count(*) FROM helper.check('items', 1, 10);
SET session_replication_role = replica;
UPDATE items SET v = 'by a replica' WHERE id = 1;
DELETE FROM items WHERE id = 6;
RESET session_replication_role;
SELECT * FROM helper.check('items', 1, 10);
-- enabled off: read and written all the same
SET itemcache.enabled = off;
SELECT * FROM helper.check('items', 1, 10);
UPDATE items SET v = 'not enabled' WHERE id = 1;
INSERT INTO items VALUES (6, 'not enabled');
SELECT * FROM helper.check('items', 1, 10);
SET itemcache.enabled = on;
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
SET LOCAL itemcache.enabled = off;
UPDATE items SET v = 'not enabled, 2' WHERE id = 1;
COMMIT;
SELECT * FROM helper.check('items', 1, 10);

--
-- Parallel workers do not have their leader's locks (A13)
--
CREATE TABLE keys (k int);
INSERT INTO keys SELECT g % 10 + 1 FROM generate_series(1, 2000) g;
ANALYZE keys;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT count((itemcache.get(NULL::items, k)).v) FROM keys;
SELECT count((itemcache.get(NULL::items, k)).v), count(DISTINCT (itemcache.get(NULL::items, k)).v) FROM keys;
BEGIN;
UPDATE items SET v = 'own, in parallel';
SELECT count(*), count(*) FILTER (WHERE (itemcache.get(NULL::items, k)).v = 'own, in parallel') FROM keys WHERE k <> 7;
ROLLBACK;
SELECT count(*), count(*) FILTER (WHERE (itemcache.get(NULL::items, k)).v = 'own, in parallel') FROM keys WHERE k <> 7;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count((itemcache.get(NULL::items, k)).v) FROM keys;
COMMIT;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;
SELECT * FROM helper.check('items', 1, 10);

--
-- preload() and clear()
--
SELECT itemcache.clear('items');
SELECT * FROM helper.check('items', 1, 10);
SELECT itemcache.clear('items');
SELECT itemcache.preload('items') = (SELECT count(*) FROM items) AS all_loaded;
SELECT * FROM helper.check('items', 1, 10);
BEGIN;
UPDATE items SET v = 'own' WHERE id = 1;
SELECT itemcache.clear('items');
SELECT * FROM helper.check('items', 1, 10);
SAVEPOINT a;
SELECT itemcache.preload('items');
ROLLBACK TO a;
SELECT * FROM helper.check('items', 1, 10);
ROLLBACK;
SELECT * FROM helper.check('items', 1, 10);
SELECT * FROM helper.check('items', 1, 10);

--
-- More writes than are noted (A15): nothing wrong is published, whatever comes after the bound
--
CREATE TABLE lots (id int PRIMARY KEY, v text) WITH (fillfactor = 50);
SELECT itemcache.attach('lots');
INSERT INTO lots SELECT g, 'v' FROM generate_series(1, 200000) g;
SELECT differing, present FROM helper.check('lots', 1, 100);
BEGIN;
UPDATE lots SET v = 'first' WHERE id <= 100;
UPDATE lots SET v = 'many';
UPDATE lots SET v = 'after the bound' WHERE id BETWEEN 50 AND 60;
DELETE FROM lots WHERE id = 70;
COMMIT;
SELECT differing, present FROM helper.check('lots', 1, 100);
SELECT differing, present FROM helper.check('lots', 199990, 200010);
SELECT * FROM helper.check('lots', 1, 100);
BEGIN;
INSERT INTO lots SELECT g, 'inserted' FROM generate_series(200001, 400000) g;
UPDATE lots SET v = 'after the inserts' WHERE id IN (1, 200001, 399999, 400000);
DELETE FROM lots WHERE id IN (2, 200002, 399998);
COMMIT;
SELECT differing, present FROM helper.check('lots', 1, 10);
SELECT differing, present FROM helper.check('lots', 199995, 200010);
SELECT differing, present FROM helper.check('lots', 399990, 400001);
SELECT differing, present FROM helper.check('lots', 399990, 400001);
BEGIN;
SAVEPOINT a;
UPDATE lots SET v = 'rolled back' WHERE id <= 200000;
ROLLBACK TO a;
UPDATE lots SET v = 'kept' WHERE id <= 5;
COMMIT;
SELECT differing, present FROM helper.check('lots', 1, 10);
-- large inserts of noted keys: a key noted, the bound passed, the key inserted again
BEGIN;
DELETE FROM lots WHERE id = 399999;
INSERT INTO lots SELECT g, 'second' FROM generate_series(400001, 600000) g;
INSERT INTO lots VALUES (399999, 'inserted again');
UPDATE lots SET v = 'and updated' WHERE id = 399999;
COMMIT;
SELECT differing, present FROM helper.check('lots', 399990, 400005);
SELECT differing, present FROM helper.check('lots', 599995, 600005);
-- the small table of before is not disturbed by it
SELECT * FROM helper.check('items', 1, 10);
DROP TABLE lots;

SET client_min_messages = warning;
DROP SCHEMA exact CASCADE;
