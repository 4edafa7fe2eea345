MODULE_big = itemcache
OBJS = \
	src/attach.o \
	src/fill.o \
	src/get.o \
	src/item.o \
	src/itemcache.o \
	src/keyarg.o \
	src/lookup.o \
	src/owner.o \
	src/partition.o \
	src/preload.o \
	src/privilege.o \
	src/relation.o \
	src/stats.o \
	src/store.o \
	src/track.o \
	src/views.o \
	src/visibility.o

EXTENSION = itemcache
DATA = itemcache--1.0.sql
PGFILEDESC = "itemcache - exact shared-memory cache of rows looked up by key"

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -fvisibility=hidden

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
