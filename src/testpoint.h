/*-------------------------------------------------------------------------
 *
 * testpoint.h
 *	  Places where a test can have a process wait, so that what happens in
 *	  between happens each time.  Compiled in with -DITEMCACHE_TEST_POINTS,
 *	  which is for dev/test only.
 *
 * While there is a file "itemcache.wait_at.NAME" in the data directory,
 * whoever comes to the point NAME makes a file "itemcache.waits_at.NAME",
 * removes it when the first one is gone, and goes on.  For no longer than two
 * minutes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ITEMCACHE_TESTPOINT_H
#define ITEMCACHE_TESTPOINT_H

#ifdef ITEMCACHE_TEST_POINTS
extern void TestPoint(const char *name);
#else
#define TestPoint(name) ((void) 0)
#endif

#endif							/* ITEMCACHE_TESTPOINT_H */
