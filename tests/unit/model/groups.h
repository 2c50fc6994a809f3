/*
 * groups: the tests of lib/model, one function a file. To add one: declare it here, call it in
 * main.c.
 *
 * Each returns how many of its tests failed. cmocka wants these headers before its own.
 */
#ifndef OW_TESTS_UNIT_MODEL_GROUPS_H
#define OW_TESTS_UNIT_MODEL_GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int ow_test_tree(void);
int ow_test_option(void);
int ow_test_option_kinds(void);
int ow_test_form(void);
int ow_test_machine(void);
int ow_test_machine_edges(void);
int ow_test_cell(void);
int ow_test_lint(void);
int ow_test_hash(void);
int ow_test_json(void);
int ow_test_envelope(void);
int ow_test_event(void);
int ow_test_decide(void);
int ow_test_difference(void);
int ow_test_position(void);
int ow_test_ledger(void);
int ow_test_evaluate(void);
int ow_test_prove(void);
int ow_test_prove_planted(void);
int ow_test_prove_values(void);
int ow_test_retention(void);
int ow_test_seed(void);
int ow_test_suspect(void);
int ow_test_suspect_kills(void);

#endif
