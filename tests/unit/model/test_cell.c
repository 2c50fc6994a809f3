/* The (state, event) table: of the shipped machine as derived by hand, of a machine with a cycle,
 * and the overrides. */
#include "groups.h"
#include "support/model/machine_fixture.h"

#include <string.h>

static struct ow_machines machines;

static int start(void **state)
{
    (void)state;
    struct ow_err err = {{0}};
    ow_machines_init(&machines);
    if (ow_fixture_add_file(&machines, "schemas/orders.yaml", &err) != OW_OK ||
        ow_fixture_add_file(&machines, "tests/domain/loans.yaml", &err) != OW_OK ||
        ow_machines_check(&machines, &err) != OW_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_machines_done(&machines);
    return 0;
}

/* expected: the cells of an event, one word a state, in the order of states. */
static void has_row(const struct ow_machine *machine, const char *event, const char *expected)
{
    OW_BUFFER row = {0};
    for (size_t i = 0; i < machine->state_count; i++) {
        ow_buffer_printf(&row, "%s%s", i == 0 ? "" : " ",
                         ow_fixture_cell(machine, machine->states[i], event));
    }
    assert_string_equal(ow_buffer_cstr(&row), expected);
}

static void cell__of_the_shipped_machine__is_as_derived_by_hand(void **state)
{
    (void)state;
    const struct ow_machine *const orders = ow_machines_named(&machines, OW_SLICE("orders"));
    /*                                   none   created paid  dispatched received cancelled */
    has_row(orders, "order.created", "apply stale stale stale stale stale");
    has_row(orders, "payment.succeeded", "park apply stale stale stale apply");
    has_row(orders, "order.dispatched", "park park apply stale stale reject");
    has_row(orders, "order.received", "park park park apply stale reject");
    has_row(orders, "order.cancelled", "park apply apply reject reject stale");
    has_row(orders, "payment.refunded", "park park apply apply apply apply");
}

static void cell__of_a_machine_with_a_cycle__is_as_derived_by_hand(void **state)
{
    (void)state;
    const struct ow_machine *const loans = ow_machines_named(&machines, OW_SLICE("loans"));
    /*                                none available loaned overdue returned lost */
    has_row(loans, "copy.acquired", "apply stale stale stale stale stale");
    has_row(loans, "copy.loaned", "park apply park park park stale");
    has_row(loans, "copy.overdue", "park park apply stale park reject");
    has_row(loans, "copy.returned", "park park apply apply stale reject");
    has_row(loans, "copy.shelved", "park park park park apply reject");
    has_row(loans, "fine.charged", "park park park apply apply apply");
    has_row(loans, "copy.lost", "park park apply apply park stale");
}

/* from → to without anything else; a state is what the events mention. */
#define MACHINE(states, events)                                                                    \
    "machine: m\nversion: 1\ntopics: [t]\nmessage: { format: cloudevents, entity: /e }\n"          \
    "entity: { table: t, key: k }\nstates: { " states " }\nevents:\n" events

static struct ow_machine *load(struct ow_machines *own, const char *text)
{
    struct ow_err err = {{0}};
    ow_machines_init(own);
    if (ow_fixture_add_text(own, text, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    return own->list[0];
}

static void refuses(const char *text, const char *message)
{
    struct ow_machines own;
    struct ow_err err = {{0}};
    ow_machines_init(&own);
    assert_int_equal(ow_fixture_add_text(&own, text, &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, message);
    ow_machines_done(&own);
}

static void cell__state_not_reachable_without_event__is_stale(void **state)
{
    (void)state;
    struct ow_machines own;
    const struct ow_machine *const machine =
        load(&own, MACHINE("a: {}, b: {}, c: {}",
                           "  x: [ { from: none, to: a } ]\n  y: [ { from: a, to: b } ]\n"
                           "  z: [ { from: b, to: c } ]\n"));
    has_row(machine, "y", "park apply stale stale");
    ow_machines_done(&own);
}

static void cell__state_with_another_way_to_it__is_rejected(void **state)
{
    (void)state;
    struct ow_machines own;
    const struct ow_machine *const machine =
        load(&own, MACHINE("a: {}, b: {}, c: {}",
                           "  x: [ { from: none, to: a } ]\n  y: [ { from: a, to: b } ]\n"
                           "  z: [ { from: [a, b], to: c } ]\n"));
    has_row(machine, "y", "park apply stale reject");
    ow_machines_done(&own);
}

static void cell__from_that_can_still_be_reached__is_parked(void **state)
{
    (void)state;
    struct ow_machines own;
    const struct ow_machine *const machine =
        load(&own, MACHINE("a: {}, b: {}", "  x: [ { from: none, to: a } ]\n  y: [ { from: a, to: "
                                           "b } ]\n  z: [ { from: b, to: same } ]\n"));
    has_row(machine, "z", "park park apply");
    ow_machines_done(&own);
}

static void cell__state_that_only_leads_in__counts_as_not_reachable(void **state)
{
    (void)state;
    struct ow_machines own;
    const struct ow_machine *const machine =
        load(&own, MACHINE("a: {}, lonely: {}", "  x: [ { from: none, to: a } ]\n"));
    has_row(machine, "x", "apply stale stale");
    ow_machines_done(&own);
}

#define CYCLE                                                                                      \
    "  x: [ { from: none, to: a } ]\n  y: [ { from: a, to: b } ]\n  z: [ { from: b, to: a } ]\n"

static void cell__both_stale_and_park__must_be_decided(void **state)
{
    (void)state;
    refuses(MACHINE("a: {}, b: {}", CYCLE),
            "test.yaml:9: events.y: in state 'b' it fits both stale and park (it has happened, for "
            "'b' cannot be reached without it, "
            "and it can happen again, for 'a' can still be reached): overrides must decide { "
            "state: b, event: y, do: stale | park | reject }");
    static const char *const words[] = {"stale", "park", "reject"};
    for (size_t i = 0; i < 3; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%soverrides: [ { state: b, event: y, do: %s } ]\n",
                       MACHINE("a: {}, b: {}", CYCLE), words[i]);
        struct ow_machines own;
        const struct ow_machine *const machine = load(&own, text);
        assert_string_equal(ow_fixture_cell(machine, "b", "y"), words[i]);
        assert_true(ow_machine_event(machine, OW_SLICE("y"))->cells[2].overridden);
        ow_machines_done(&own);
    }
}

static void override__of_any_other_cell__is_refused(void **state)
{
    (void)state;
#define OVERRIDDEN(more)                                                                           \
    MACHINE("a: {}, b: {}", CYCLE) "overrides: [ { state: b, event: y, do: stale }, " more " ]\n"
    refuses(OVERRIDDEN("{ state: a, event: y, do: stale }"),
            "test.yaml:11: overrides.1: the cell is apply ('a' is a from: goes to 'b'): only cells "
            "that fit both stale and park can be "
            "overridden");
    refuses(OVERRIDDEN("{ state: a, event: x, do: park }"),
            "test.yaml:11: overrides.1: the cell is stale (it has happened: 'a' cannot be reached "
            "without it): only cells that fit both "
            "stale and park can be overridden");
    refuses(OVERRIDDEN("{ state: none, event: z, do: reject }"),
            "test.yaml:11: overrides.1: the cell is park (too early: 'b' can still be reached): "
            "only cells that fit both stale and park "
            "can be overridden");
    refuses(OVERRIDDEN("{ state: b, event: y, do: park }"),
            "test.yaml:11: overrides.1: the cell is overridden already");
    refuses(OVERRIDDEN("{ state: c, event: y, do: park }"),
            "test.yaml:11: overrides.1.state: there is no state 'c'");
    refuses(OVERRIDDEN("{ state: b, event: w, do: park }"),
            "test.yaml:11: overrides.1.event: there is no event 'w'");
    refuses(OVERRIDDEN("{ state: b, event: y, do: apply }"),
            "test.yaml:11: overrides.1.do: 'apply' is none of: stale, park or reject");
}

int ow_test_cell(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cell__of_the_shipped_machine__is_as_derived_by_hand),
        cmocka_unit_test(cell__of_a_machine_with_a_cycle__is_as_derived_by_hand),
        cmocka_unit_test(cell__state_not_reachable_without_event__is_stale),
        cmocka_unit_test(cell__state_with_another_way_to_it__is_rejected),
        cmocka_unit_test(cell__from_that_can_still_be_reached__is_parked),
        cmocka_unit_test(cell__state_that_only_leads_in__counts_as_not_reachable),
        cmocka_unit_test(cell__both_stale_and_park__must_be_decided),
        cmocka_unit_test(override__of_any_other_cell__is_refused),
    };
    return cmocka_run_group_tests_name("cell", tests, start, stop);
}
