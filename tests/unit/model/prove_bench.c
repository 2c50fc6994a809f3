#include "prove_bench.h"

#include "groups.h"
#include "support/model/machine_fixture.h"

struct ow_machines ow_bench_machines;
struct ow_arena ow_bench_arena;
struct ow_proof ow_bench_proof;

int ow_bench_start(void **state)
{
    (void)state;
    ow_machines_init(&ow_bench_machines);
    ow_arena_init(&ow_bench_arena, 65536);
    return 0;
}

int ow_bench_stop(void **state)
{
    (void)state;
    ow_arena_done(&ow_bench_arena);
    ow_machines_done(&ow_bench_machines);
    return 0;
}

void ow_bench_prove_within(size_t length, size_t configurations_max)
{
    const struct ow_prove_options options = {
        .length = length, .configurations_max = configurations_max, .decide = ow_decide};
    struct ow_err err = {{0}};
    if (ow_prove(&ow_bench_machines, ow_bench_machines.list[0], &options, &ow_bench_arena,
                 &ow_bench_proof, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

void ow_bench_prove_file(const char *path, size_t length)
{
    struct ow_err err;
    assert_int_equal(ow_fixture_add_file(&ow_bench_machines, path, &err), OW_OK);
    ow_bench_prove_within(length, OW_PROVE_CONFIGURATIONS_MAX);
}

void ow_bench_add_text(const char *text)
{
    struct ow_err err = {{0}};
    if (ow_fixture_add_text(&ow_bench_machines, text, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

void ow_bench_add_machine(const char *columns, const char *rest)
{
    OW_BUFFER text = {0};
    ow_buffer_printf(&text,
                     "machine: m\nversion: 1\ntopics: [t]\n"
                     "message: { format: cloudevents, entity: /data/e }\n"
                     "entity: { table: t, key: k, columns: { %s } }\n%s",
                     columns, rest);
    ow_bench_add_text(ow_buffer_cstr(&text));
}

void ow_bench_prove_machine(const char *columns, const char *rest, size_t length)
{
    ow_bench_add_machine(columns, rest);
    ow_bench_prove_within(length, OW_PROVE_CONFIGURATIONS_MAX);
}

const struct ow_proof_cell *ow_bench_find_cell(const char *state, const char *event)
{
    const struct ow_proof_cell *cell = ow_bench_proof.cells;
    while (cell != NULL &&
           (strcmp(cell->state, state) != 0 || strcmp(cell->event->name, event) != 0)) {
        cell = cell->next;
    }
    return cell;
}

void ow_bench_assert_why(const char *state, const char *event, enum ow_proof_cause cause,
                         const char *why)
{
    const struct ow_proof_cell *const cell = ow_bench_find_cell(state, event);
    assert_non_null(cell);
    assert_string_equal(cell->why, why);
    assert_int_equal(cell->cause, cause);
}

/* What the first event of a name says. */
const char *ow_bench_values_of(const char *event)
{
    for (size_t i = 0; i < ow_bench_proof.event_count; i++) {
        if (strcmp(ow_bench_proof.events[i].name, event) == 0) {
            return ow_bench_proof.events[i].values;
        }
    }
    return "";
}

void ow_bench_assert_all_hold_but_conflicts(void)
{
    assert_null(ow_bench_proof.broken);
    for (size_t i = 0; i < OW_PROMISE_COUNT; i++) {
        assert_false(ow_bench_proof.promises[i].broken);
        assert_true(ow_bench_proof.promises[i].checked > 0 || i == OW_PROMISE_CONFLICT);
    }
}

void ow_bench_assert_all_hold(void)
{
    ow_bench_assert_all_hold_but_conflicts();
    assert_true(ow_bench_proof.promises[OW_PROMISE_CONFLICT].checked > 0);
}
