/*
 * groups: the tests of lib/base, one function a file. To add one: declare it here, call it in
 * main.c.
 *
 * Each returns how many of its tests failed. cmocka wants these headers before its own.
 */
#ifndef OW_TESTS_UNIT_BASE_GROUPS_H
#define OW_TESTS_UNIT_BASE_GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int ow_test_arena(void);
int ow_test_buffer(void);
int ow_test_clock(void);
int ow_test_failpoint(void);
int ow_test_fuse(void);
int ow_test_duration(void);
int ow_test_map(void);
int ow_test_nearest(void);
int ow_test_parse(void);
int ow_test_slice(void);
int ow_test_status(void);

#endif
