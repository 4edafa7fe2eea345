# The load of dev/cluster: writers, readers who know what must be seen, and a
# primary that is killed meanwhile.
#
# usage: cluster.py WRITE-PORT READ-PORT ITEMS "NODE=PORT=DIRECTORY ..."
#
# A writer owns the items whose number leaves its own when divided by the number
# of writers, and gives them rising versions.  What has been acknowledged is in
# "acknowledged"; a reader looks there before it begins to read, and must be
# given that version or a later one.

import os
import random
import signal
import sys
import threading
import time

import psycopg2

WRITERS = 2
READERS = 4
BEFORE = 10         # seconds of load before the primary is killed
AFTER = 15          # and after it

write_port, read_port, items = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
nodes = [(n, int(p), d) for n, p, d in (a.split('=') for a in sys.argv[4].split())]
acknowledged = [0] * (items + 1)
attempted = [0] * (items + 1)
acknowledgements = []       # when
stale = []
reads = [0] * READERS
errors = [0]
killed_at = None
stopping = threading.Event()


def connect(port):
    connection = psycopg2.connect(host='127.0.0.1', port=port, user='postgres', dbname='postgres', connect_timeout=2)
    connection.autocommit = True
    return connection


def skewed():
    return 1 + int(items * random.random() ** 4)


def again_and_again(port, lookups, action):
    """Does it with a connection, another after so many times or an error."""
    while not stopping.is_set():
        connection = None
        try:
            connection = connect(port)
            cursor = connection.cursor()
            for _ in range(lookups):
                if stopping.is_set():
                    break
                action(cursor)
        except psycopg2.Error:
            errors[0] += 1
            time.sleep(0.02)
        finally:
            if connection is not None:
                connection.close()


def write(number):
    def action(cursor):
        item = skewed() // WRITERS * WRITERS + number
        if not 1 <= item <= items:
            return
        attempted[item] += 1
        version = attempted[item]
        cursor.execute('UPDATE items SET version = %s WHERE id = %s', (version, item))
        acknowledged[item] = version
        acknowledgements.append(time.monotonic())
    again_and_again(write_port, 1 << 30, action)


def read(number):
    def action(cursor):
        item = skewed()
        expected = acknowledged[item]
        cursor.execute('SELECT version FROM items WHERE id = %s', (item,))
        version = cursor.fetchone()[0]
        reads[number] += 1
        if version < expected:
            stale.append((item, expected, version, cursor.connection.info.port))
    again_and_again(read_port, 200, action)


def value(port, query):
    try:
        connection = connect(port)
        cursor = connection.cursor()
        cursor.execute(query)
        row = cursor.fetchone()
        connection.close()
        return row
    except psycopg2.Error:
        return None


COUNTS = 'SELECT hits, hits + misses + bypasses, items FROM itemcache.tables WHERE relid = \'items\'::regclass'


def ratio(before, after):
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def first_second(port):
    """Reads of one second, with the skew of the others: what part are hits?"""
    before = value(port, COUNTS)
    connection = connect(port)
    cursor = connection.cursor()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        cursor.execute('SELECT version FROM items WHERE id = %s', (skewed(),))
        cursor.fetchone()
    connection.close()
    return ratio(before, value(port, COUNTS))


threads = [threading.Thread(target=write, args=(i,)) for i in range(WRITERS)]
threads += [threading.Thread(target=read, args=(i,)) for i in range(READERS)]
for thread in threads:
    thread.start()

time.sleep(BEFORE - 1)
standbys = [n for n in nodes if value(n[1], 'SELECT pg_is_in_recovery()') == (True,)]
primary = [n for n in nodes if n not in standbys][0]
at = {n[1]: value(n[1], COUNTS) for n in standbys}
time.sleep(1)
now = {n[1]: value(n[1], COUNTS) for n in standbys}
print('   %d reads and %d writes in %d s, %d stale' % (sum(reads), len(acknowledgements), BEFORE, len(stale)))
for n in standbys:
    print('   node %s: %d hits of %d lookups; %.1f %% in the last second'
          % (n[0], now[n[1]][0], now[n[1]][1], 100 * ratio(at[n[1]], now[n[1]])))

print('== the primary, node %s, is killed' % primary[0], flush=True)
with open(primary[2] + '/postmaster.pid') as f:
    postmaster = int(f.readline())
killed_at = time.monotonic()
os.kill(postmaster, signal.SIGKILL)

promoted = None
while promoted is None and time.monotonic() < killed_at + 60:
    for n in standbys:
        if value(n[1], 'SELECT pg_is_in_recovery()') == (False,):
            promoted = n
    time.sleep(0.02)
if promoted is None:
    print('   nobody was promoted')
    stopping.set()
    sys.exit(1)
promoted_at = time.monotonic() - killed_at
hits = first_second(promoted[1])
counts = value(promoted[1], COUNTS)
while acknowledgements[-1] < killed_at + promoted_at and time.monotonic() < killed_at + 90:
    time.sleep(0.05)
# (those who were served by the killed one notice a little later)
pause = max(b - a for a, b in zip(acknowledgements, acknowledgements[1:]))
print('   node %s is the primary after %.1f s; no write was acknowledged for %.1f s'
      % (promoted[0], promoted_at, pause))
print('   hits in its first second: %.1f %%; %d of %d items are in its cache'
      % (100 * hits, counts[2], now[promoted[1]][2]))
time.sleep(AFTER)
stopping.set()
for thread in threads:
    thread.join()

connection = connect(promoted[1])
cursor = connection.cursor()
cursor.execute('SET itemcache.transparent = off')
cursor.execute('SELECT id, version FROM items')
lost = sum(1 for item, version in cursor.fetchall() if version < acknowledged[item])
print('   %d reads and %d writes in all: %d stale reads, %d acknowledged writes lost, %d connections broken'
      % (sum(reads), len(acknowledgements), len(stale), lost, errors[0]))
for what in stale[:5]:
    print('   stale: item %d, acknowledged %d, read %d (port %d)' % what)
sys.exit(1 if stale or lost or acknowledgements[-1] < killed_at + promoted_at else 0)
