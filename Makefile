MODULE_big = itemcache
OBJS = \
	src/attach.o \
	src/callsite.o \
	src/fetch.o \
	src/fill.o \
	src/get.o \
	src/item.o \
	src/itemcache.o \
	src/keyarg.o \
	src/load.o \
	src/lookup.o \
	src/owner.o \
	src/partition.o \
	src/join_exec.o \
	src/join_plan.o \
	src/preload.o \
	src/preload_worker.o \
	src/privilege.o \
	src/read.o \
	src/relation.o \
	src/scan_exec.o \
	src/scan_plan.o \
	src/stats.o \
	src/store.o \
	src/store_evict.o \
	src/store_index.o \
	src/track.o \
	src/trigger.o \
	src/views.o \
	src/visibility.o \
	src/write.o \
	src/write_direct.o \
	src/write_exec.o \
	src/write_plan.o

EXTENSION = itemcache
DATA = itemcache--1.0.sql
PGFILEDESC = "itemcache - exact shared-memory cache of rows looked up by key"

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -fvisibility=hidden

# Every file in sql/, specs/ and t/ is a test.  They want a server with
# shared_preload_libraries = 'itemcache'; dev/test runs them on one of its own.
# In the databases of sql/ and specs/ the extension has been created; what
# sql/helpers.sql makes is used by the other files of sql/.
REGRESS = $(patsubst sql/%.sql,%,$(wildcard sql/helpers.sql) \
	$(sort $(filter-out sql/helpers.sql,$(wildcard sql/*.sql))))
REGRESS_OPTS = --load-extension=itemcache
ISOLATION = $(sort $(patsubst specs/%.spec,%,$(wildcard specs/*.spec)))
ISOLATION_OPTS = --load-extension=itemcache
TAP_TESTS = 1

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
