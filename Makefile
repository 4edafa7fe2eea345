MODULE_big = itemcache
OBJS = \
	src/itemcache.o \
	src/settings.o \
	src/testpoint.o \
	src/store/admission.o \
	src/store/owner.o \
	src/store/secret.o \
	src/store/stats.o \
	src/store/store.o \
	src/store/store_evict.o \
	src/store/store_index.o \
	src/store/store_read.o \
	src/store/store_walk.o \
	src/store/trylock.o \
	src/replay/replay.o \
	src/table/callsite.o \
	src/table/item.o \
	src/table/keyarg.o \
	src/table/keyname.o \
	src/table/partition.o \
	src/table/privilege.o \
	src/table/registration.o \
	src/table/relation.o \
	src/table/shape.o \
	src/table/uniquekey.o \
	src/table/warmth.o \
	src/lookup/absence.o \
	src/lookup/alias.o \
	src/lookup/descent.o \
	src/lookup/fetch.o \
	src/lookup/fill.o \
	src/lookup/keytest.o \
	src/lookup/load.o \
	src/lookup/load_alias.o \
	src/lookup/lookup.o \
	src/lookup/read.o \
	src/lookup/reader.o \
	src/lookup/recent.o \
	src/lookup/visibility.o \
	src/track/arrival.o \
	src/track/mute.o \
	src/track/notes.o \
	src/track/track.o \
	src/track/trigger.o \
	src/select/cost.o \
	src/select/demand.o \
	src/select/join_exec.o \
	src/select/join_plan.o \
	src/select/scan_exec.o \
	src/select/scan_path.o \
	src/select/scan_plan.o \
	src/preload/hotset.o \
	src/preload/preload.o \
	src/preload/preload_table.o \
	src/preload/preload_worker.o \
	src/preload/wait_event.o \
	src/write/write.o \
	src/write/write_direct.o \
	src/write/write_exec.o \
	src/write/write_plan.o \
	src/functions/attach.o \
	src/functions/get.o \
	src/functions/views.o

EXTENSION = itemcache
DATA = itemcache--1.0.sql itemcache--1.0--1.1.sql
PGFILEDESC = "itemcache - exact shared-memory cache of rows looked up by key"

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -fvisibility=hidden

# Every file in sql/, specs/ and t/ is a test.  They want a server with
# shared_preload_libraries = 'itemcache'; dev/test runs them on one of its own.
# In the databases of sql/ and specs/ the extension has been created; what
# sql/helpers.sql makes is used by the other files of sql/.
REGRESS = helpers $(filter-out helpers,$(sort $(patsubst %.sql,%,$(notdir $(wildcard $(srcdir)/sql/*.sql)))))
REGRESS_OPTS = --load-extension=itemcache
ISOLATION = $(sort $(patsubst %.spec,%,$(notdir $(wildcard $(srcdir)/specs/*.spec))))
ISOLATION_OPTS = --load-extension=itemcache
TAP_TESTS = 1

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The wings' directories, where the source is elsewhere (VPATH).
$(OBJS) $(OBJS:.o=.bc): | directories
.PHONY: directories
directories:
	@mkdir -p $(sort $(dir $(OBJS)))

# What shared memory looks like is in headers: none may be older than an object.
# (Of servers' own makefiles, only those made with --enable-depend look for that.)
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)

# The archive for PGXN: what git knows, below a directory with the version.
DISTVERSION = $(shell sed -n 's/^ *"version": "\(.*\)",$$/\1/p' META.json | head -n 1)
.PHONY: dist
dist:
	git archive --format=zip --prefix=itemcache-$(DISTVERSION)/ -o itemcache-$(DISTVERSION).zip HEAD
