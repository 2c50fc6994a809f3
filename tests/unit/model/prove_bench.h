/*
 * prove_bench: one proof at a time, of a machine that the test writes down.
 *
 * Memory: static; for cmocka's _start and _stop.
 */
#ifndef OW_TESTS_UNIT_MODEL_PROVE_BENCH_H
#define OW_TESTS_UNIT_MODEL_PROVE_BENCH_H

#include "model/prove.h"

extern struct ow_machines ow_bench_machines;
extern struct ow_arena ow_bench_arena;
extern struct ow_proof ow_bench_proof;

int ow_bench_start(void **state);
int ow_bench_stop(void **state);
void ow_bench_prove_within(size_t length, size_t configurations_max);
void ow_bench_prove_file(const char *path, size_t length);
void ow_bench_add_text(const char *text);
void ow_bench_add_machine(const char *columns, const char *rest);
void ow_bench_prove_machine(const char *columns, const char *rest, size_t length);
const struct ow_proof_cell *ow_bench_find_cell(const char *state, const char *event);
void ow_bench_assert_why(const char *state, const char *event, enum ow_proof_cause cause,
                         const char *why);
const char *ow_bench_values_of(const char *event);
void ow_bench_assert_all_hold_but_conflicts(void);
void ow_bench_assert_all_hold(void);

#endif
