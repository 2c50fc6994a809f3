/*
 * Does the proof bite? Each test passes a decide with one planted bug: it has to be found, under
 * the promise that it breaks, with a shortest sequence.
 */
#include "groups.h"
#include "model/prove.h"
#include "support/model/machine_fixture.h"

static struct ow_machines machines;
static struct ow_arena arena;
static struct ow_proof proof;

static int start(void **state)
{
    (void)state;
    struct ow_err err;
    ow_machines_init(&machines);
    ow_arena_init(&arena, 65536);
    return ow_fixture_add_file(&machines, "schemas/orders.yaml", &err) == OW_OK ? 0 : 1;
}

static int stop(void **state)
{
    (void)state;
    ow_arena_done(&arena);
    ow_machines_done(&machines);
    return 0;
}

static struct ow_entity *entity_of(struct ow_world *world, const struct ow_event *event)
{
    return ow_world_entity(world, event->machine, event->entity_id);
}

/* Proves with the planted decide: the promise is broken, and these events show it. */
static void finds(ow_decide_fn *planted, enum ow_promise promise, const char *const *events,
                  size_t count)
{
    const struct ow_prove_options options = {
        .length = 5, .configurations_max = OW_PROVE_CONFIGURATIONS_MAX, .decide = planted};
    struct ow_err err = {{0}};
    assert_int_equal(ow_prove(&machines, machines.list[0], &options, &arena, &proof, &err), OW_OK);
    assert_non_null(proof.broken);
    OW_BUFFER found = {0};
    OW_BUFFER expected = {0};
    for (size_t i = 0; i < proof.broken->line_count; i++) {
        ow_buffer_printf(&found, "%s\n", proof.broken->lines[i].event);
    }
    for (size_t i = 0; i < count; i++) {
        ow_buffer_printf(&expected, "%s\n", events[i]);
    }
    assert_string_equal(ow_buffer_cstr(&found), ow_buffer_cstr(&expected));
    assert_true(proof.promises[promise].broken);
    assert_string_not_equal(proof.broken->expected, proof.broken->found);
    assert_null(proof.pairs);
}
#define FINDS(planted, promise, ...)                                                               \
    finds((planted), (promise), (const char *const[]){__VA_ARGS__},                                \
          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* Judges the event with the parked records out of sight. */
static void forget_wake(struct ow_world *world, const struct ow_event *event,
                        const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    struct ow_entity *const entity = entity_of(world, event);
    struct ow_parked *const first = entity->parked;
    struct ow_parked *const last = entity->parked_last;
    const size_t count = entity->parked_count;
    entity->parked = entity->parked_last = NULL;
    entity->parked_count = 0;
    ow_decide(world, event, judging, ret_decision);
    if (first != NULL) {
        last->next = entity->parked;
        entity->parked_last = entity->parked == NULL ? last : entity->parked_last;
        entity->parked = first;
        entity->parked_count += count;
    }
}

static void wake_that_forgets__is_found(void **state)
{
    (void)state;
    FINDS(forget_wake, OW_PROMISE_WAKE, "payment.succeeded", "order.created");
    assert_string_equal(proof.broken->lines[0].fate, "parked");
    assert_string_equal(
        proof.broken->expected,
        "applied; wakes 'payment.succeeded': applied; history: order.created none to created "
        "(version 1), payment.succeeded created to paid (version 2, woken); claims: 2; then state "
        "paid, version 2, amount_minor 10, currency aaa, paid_minor 10, refunded_minor 0, payments "
        "aaa");
    /* The other promises are looked at one by one, and kept. */
    assert_false(proof.promises[OW_PROMISE_ONCE].broken);
    assert_false(proof.promises[OW_PROMISE_PATH].broken);
    assert_true(proof.promises[OW_PROMISE_AGREES].broken);
}

/* A wake that passes by the oldest of several. */
static void skip_oldest(struct ow_world *world, const struct ow_event *event,
                        const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    struct ow_entity *const entity = entity_of(world, event);
    struct ow_parked *const first = entity->parked;
    if (entity->parked_count < 2) {
        ow_decide(world, event, judging, ret_decision);
        return;
    }
    entity->parked = first->next;
    entity->parked_count--;
    ow_decide(world, event, judging, ret_decision);
    entity->parked = first;
    entity->parked_count++;
}

static void wake_that_passes_one_by__is_found(void **state)
{
    (void)state;
    FINDS(skip_oldest, OW_PROMISE_WAKE, "payment.succeeded",
          "payment.succeeded under a new id (number 2)", "order.created");
}

/* Another cell than the machine's, in a copy of the event type. */
static void decide_with_cell(struct ow_world *world, const struct ow_event *event,
                             const struct ow_judging *judging, struct ow_decision *ret_decision,
                             enum ow_cell_kind from, enum ow_cell_kind to)
{
    struct ow_event bent = *event;
    struct ow_event_type type = *event->event;
    struct ow_cell *const cells =
        OW_ARENA_ARRAY(world->arena, event->machine->state_count, struct ow_cell);
    for (size_t i = 0; i < event->machine->state_count; i++) {
        cells[i] = type.cells[i];
        cells[i].kind = cells[i].kind == from ? to : cells[i].kind;
    }
    type.cells = cells;
    bent.event = &type;
    ow_decide(world, &bent, judging, ret_decision);
}

static void apply_what_is_stale(struct ow_world *world, const struct ow_event *event,
                                const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    if (ow_slice_equals_text(event->type, "payment.succeeded")) {
        decide_with_cell(world, event, judging, ret_decision, OW_CELL_STALE, OW_CELL_APPLY);
    } else {
        ow_decide(world, event, judging, ret_decision);
    }
}

static void second_payment_that_is_applied__is_found(void **state)
{
    (void)state;
    FINDS(apply_what_is_stale, OW_PROMISE_PATH, "order.created", "payment.succeeded",
          "payment.succeeded (/data/payment_id bbb)");
    assert_string_equal(
        proof.broken->expected,
        "quarantined (illegal); quarantine: payment.succeeded (/data/payment_id bbb) (illegal); "
        "claims: 3; then state paid, version 2, amount_minor 10, currency aaa, paid_minor 10, "
        "refunded_minor 0, payments aaa");
}

static void refuse_what_waits(struct ow_world *world, const struct ow_event *event,
                              const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    decide_with_cell(world, event, judging, ret_decision, OW_CELL_PARK, OW_CELL_REJECT);
}

static void early_event_that_is_refused__is_found(void **state)
{
    (void)state;
    FINDS(refuse_what_waits, OW_PROMISE_AGREES, "payment.succeeded");
    assert_false(proof.promises[OW_PROMISE_ACCOUNTED].broken);
}

/* Stale swallows what says something new. */
static void swallow(struct ow_world *world, const struct ow_event *event,
                    const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    if (ret_decision->reason == OW_REASON_ILLEGAL) {
        ret_decision->outcome = OW_OUTCOME_STALE;
        ret_decision->reason = OW_REASON_NONE;
        world->quarantine = NULL;
        world->quarantine_end = &world->quarantine;
    }
}

static void stale_that_swallows__is_found(void **state)
{
    (void)state;
    FINDS(swallow, OW_PROMISE_ACCOUNTED, "order.created", "order.created (/data/amount 11)");
}

static void forget_claim(struct ow_world *world, const struct ow_event *event,
                         const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_world_claim(world, event->key, event->event->claim->retention_ms)->taken = false;
    ow_decide(world, event, judging, ret_decision);
}

static void duplicate_check_that_is_dropped__is_found(void **state)
{
    (void)state;
    FINDS(forget_claim, OW_PROMISE_REPLAY, "order.created",
          "order.created, the same message again");
    assert_string_equal(proof.broken->lines[1].fate, "stale");
}

static void forget_claim_when_reread(struct ow_world *world, const struct ow_event *event,
                                     const struct ow_judging *judging,
                                     struct ow_decision *ret_decision)
{
    if (judging->reread) {
        struct ow_judging as_new = *judging;
        as_new.reread = false;
        forget_claim(world, event, &as_new, ret_decision);
    } else {
        ow_decide(world, event, judging, ret_decision);
    }
}

static void rewind_that_judges_again__is_found(void **state)
{
    (void)state;
    FINDS(forget_claim_when_reread, OW_PROMISE_REPLAY, "order.created",
          "order.created, the same record read again");
}

/* The fingerprint is not looked at. */
static void forget_fingerprint(struct ow_world *world, const struct ow_event *event,
                               const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    struct ow_claim *const claim =
        ow_world_claim(world, event->key, event->event->claim->retention_ms);
    memcpy(claim->fingerprint, event->fingerprint, OW_FINGERPRINT_BYTES);
    ow_decide(world, event, judging, ret_decision);
}

static void conflict_that_is_a_duplicate__is_found(void **state)
{
    (void)state;
    FINDS(forget_fingerprint, OW_PROMISE_CONFLICT, "order.created",
          "order.created with the id of 'order.created'");
}

static void forget_version(struct ow_world *world, const struct ow_event *event,
                           const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    struct ow_entity *const entity = entity_of(world, event);
    if (entity->version > 2) {
        entity->version = 2;
    }
}

static void version_that_stands_still__is_found(void **state)
{
    (void)state;
    FINDS(forget_version, OW_PROMISE_PATH, "order.created", "payment.succeeded",
          "order.dispatched");
}

/* The sum column is written as it was. */
static void forget_sum(struct ow_world *world, const struct ow_event *event,
                       const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    struct ow_entity *const entity = entity_of(world, event);
    if (entity->dirty) {
        entity->columns[2] = ow_value_integer(0);
    }
}

static void sum_that_is_not_added__is_found(void **state)
{
    (void)state;
    FINDS(forget_sum, OW_PROMISE_DERIVED, "order.created", "payment.succeeded");
}

/* A woken record is applied, and stays in its place. */
static void keep_parked(struct ow_world *world, const struct ow_event *event,
                        const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    for (struct ow_parked *one = entity_of(world, event)->parked; one != NULL; one = one->next) {
        one->gone = false;
    }
}

static void woken_record_that_stays_parked__is_found(void **state)
{
    (void)state;
    FINDS(keep_parked, OW_PROMISE_ACCOUNTED, "payment.succeeded", "order.created");
}

/* The history has a row twice. */
static void apply_twice(struct ow_world *world, const struct ow_event *event,
                        const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    if (world->history != NULL && world->history->next == NULL) {
        struct ow_history *const again = OW_ARENA_NEW(world->arena, struct ow_history);
        *again = *world->history;
        world->history->next = again;
    }
}

static void message_that_is_applied_twice__is_found(void **state)
{
    (void)state;
    FINDS(apply_twice, OW_PROMISE_ONCE, "order.created");
}

/* A message is parked, and lies in quarantine too. */
static void park_and_refuse(struct ow_world *world, const struct ow_event *event,
                            const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    if (ret_decision->outcome == OW_OUTCOME_PARKED) {
        struct ow_quarantine *const row = OW_ARENA_NEW(world->arena, struct ow_quarantine);
        *row = (struct ow_quarantine){
            .id = ret_decision->ref, .reason = OW_REASON_ILLEGAL, .record = event->record};
        world->quarantine = row;
    }
}

static void message_with_two_fates__is_found(void **state)
{
    (void)state;
    FINDS(park_and_refuse, OW_PROMISE_ACCOUNTED, "payment.succeeded");
    assert_false(proof.promises[OW_PROMISE_ONCE].broken);
}

/* The claim is not taken: the next one would be applied again. */
static void leave_claim(struct ow_world *world, const struct ow_event *event,
                        const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    struct ow_claim *const claim =
        ow_world_claim(world, event->key, event->event->claim->retention_ms);
    claim->fresh = claim->fresh && ret_decision->outcome != OW_OUTCOME_STALE;
}

static void stale_message_without_a_claim__is_found(void **state)
{
    (void)state;
    FINDS(leave_claim, OW_PROMISE_AGREES, "order.created",
          "order.created under a new id (number 2)");
}

/* A history row says that it came from elsewhere. */
static void lose_from(struct ow_world *world, const struct ow_event *event,
                      const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    for (struct ow_history *row = world->history; row != NULL; row = row->next) {
        row->from = 0;
    }
}

static void history_row_from_the_wrong_state__is_found(void **state)
{
    (void)state;
    FINDS(lose_from, OW_PROMISE_PATH, "order.created", "payment.succeeded");
}

/* A woken row does not point back to the record that was parked. */
static void lose_first_ref(struct ow_world *world, const struct ow_event *event,
                           const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    for (struct ow_history *row = world->history; row != NULL; row = row->next) {
        row->first_ref = 0;
    }
}

static void woken_row_that_does_not_point_back__is_found(void **state)
{
    (void)state;
    FINDS(lose_first_ref, OW_PROMISE_AGREES, "payment.succeeded", "order.created");
}

/* The requirement is looked at, and another reason is written down. */
static void mistake_reason(struct ow_world *world, const struct ow_event *event,
                           const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    for (struct ow_quarantine *row = world->quarantine; row != NULL; row = row->next) {
        row->reason = row->reason == OW_REASON_GUARD ? OW_REASON_ILLEGAL : row->reason;
    }
}

static void wrong_reason_in_quarantine__is_found(void **state)
{
    (void)state;
    FINDS(mistake_reason, OW_PROMISE_AGREES, "order.created",
          "payment.succeeded (/data/amount 11)");
}

/* The row of a business table is not written. */
static void lose_row(struct ow_world *world, const struct ow_event *event,
                     const struct ow_judging *judging, struct ow_decision *ret_decision)
{
    ow_decide(world, event, judging, ret_decision);
    for (struct ow_row *row = world->rows; row != NULL; row = row->next) {
        row->fresh = false;
    }
}

static void business_row_that_is_not_written__is_found(void **state)
{
    (void)state;
    FINDS(lose_row, OW_PROMISE_DERIVED, "order.created", "payment.succeeded");
}

/* A cell of the loaded table is wrong: our own search says what it has to be. */
static void cell_that_is_computed_wrongly__is_found(void **state)
{
    (void)state;
    struct ow_machine *const machine = machines.list[0];
    const int cancelled = ow_machine_state(machine, ow_slice_of("cancelled"));
    for (size_t i = 0; i < machine->event_count; i++) {
        if (strcmp(machine->events[i].name, "order.dispatched") == 0) {
            machine->events[i].cells[cancelled].kind = OW_CELL_PARK;
        }
    }
    FINDS(ow_decide, OW_PROMISE_WAKE, "order.created", "order.dispatched", "order.cancelled");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int ow_test_prove_planted(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wake_that_forgets__is_found),
        TEST(wake_that_passes_one_by__is_found),
        TEST(second_payment_that_is_applied__is_found),
        TEST(early_event_that_is_refused__is_found),
        TEST(stale_that_swallows__is_found),
        TEST(duplicate_check_that_is_dropped__is_found),
        TEST(rewind_that_judges_again__is_found),
        TEST(conflict_that_is_a_duplicate__is_found),
        TEST(version_that_stands_still__is_found),
        TEST(sum_that_is_not_added__is_found),
        TEST(woken_record_that_stays_parked__is_found),
        TEST(message_that_is_applied_twice__is_found),
        TEST(message_with_two_fates__is_found),
        TEST(stale_message_without_a_claim__is_found),
        TEST(history_row_from_the_wrong_state__is_found),
        TEST(woken_row_that_does_not_point_back__is_found),
        TEST(wrong_reason_in_quarantine__is_found),
        TEST(business_row_that_is_not_written__is_found),
        TEST(cell_that_is_computed_wrongly__is_found),
    };
    return cmocka_run_group_tests_name("prove_planted", tests, NULL, NULL);
}
