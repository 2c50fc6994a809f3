/*
 * groups: the tests of lib/engine, one function a file. To add one: declare it here, call it in
 * main.c.
 *
 * Each returns how many of its tests failed. cmocka wants these headers before its own.
 */
#ifndef OW_TESTS_UNIT_ENGINE_GROUPS_H
#define OW_TESTS_UNIT_ENGINE_GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int ow_test_answer(void);
int ow_test_apply(void);
int ow_test_apply_careful(void);
int ow_test_apply_edges(void);
int ow_test_assign(void);
int ow_test_careful(void);
int ow_test_consume(void);
int ow_test_consume_doubt(void);
int ow_test_consume_again(void);
int ow_test_consume_edges(void);
int ow_test_consume_end(void);
int ow_test_consume_full(void);
int ow_test_consume_prune(void);
int ow_test_consume_jam(void);
int ow_test_fault(void);
int ow_test_flaky(void);
int ow_test_job(void);
int ow_test_partition(void);
int ow_test_port(void);
int ow_test_positions(void);
int ow_test_positions_fault(void);
int ow_test_seed(void);
int ow_test_watchdog(void);
int ow_test_seed_fault(void);
int ow_test_tend(void);
int ow_test_worker(void);
int ow_test_worker_accused(void);
int ow_test_worker_edges(void);
int ow_test_worker_death(void);
int ow_test_worker_start(void);
int ow_test_worker_steps(void);

#endif
