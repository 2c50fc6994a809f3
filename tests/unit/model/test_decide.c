/* Steps 5 to 9 and wake in one world, as within one batch over an empty store. Stories over the
 * real store are in tests/transcripts/. */
#include "groups.h"
#include "model/decide.h"
#include "support/model/machine_fixture.h"

static struct ow_machines machines;
static struct ow_arena arena;
static struct ow_hash_key hash_key;
static struct ow_decoder decoder;
static struct ow_world world;
static int64_t next_offset;

/* Of the same topic and the same keys, which are kept for a day: an event with two transitions that
 * read different pointers. */
static const char things[] =
    "machine: things\nversion: 1\ntopics: [order-events]\n"
    "message: { format: cloudevents, entity: /data/order_id }\n"
    "claim: { space: shop, retention: 1d }\n"
    "entity: { table: things, key: thing_id, columns: { n: integer } }\n"
    "states: { made: {} }\n"
    "events: { thing.changed: [ { from: none, to: made, set: { n: /data/n } },\n"
    "  { from: made, to: same, set: { n: { sum: [/data/n, /data/m] } } } ] }\n";

static int start_group(void **state)
{
    (void)state;
    struct ow_err err;
    ow_machines_init(&machines);
    decoder = (struct ow_decoder){
        .machines = &machines, .hash_key = &hash_key, .record_bytes_max = 1 << 20};
    return ow_fixture_add_file(&machines, "schemas/orders.yaml", &err) == OW_OK &&
                   ow_fixture_add_text(&machines, things, &err) == OW_OK
               ? 0
               : 1;
}

static int stop_group(void **state)
{
    (void)state;
    ow_buffer_done(&decoder.scratch);
    ow_machines_done(&machines);
    return 0;
}

static int start(void **state)
{
    (void)state;
    ow_arena_init(&arena, 65536);
    ow_world_reset(&world, &arena, &machines, 1000);
    world.next_ref = 1;
    next_offset = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ow_arena_done(&arena);
    return 0;
}

/* What the store does where it has nothing. */
static void load_nothing(void)
{
    for (struct ow_claim *claim = world.claims; claim != NULL; claim = claim->next) {
        claim->loaded = true;
    }
    for (struct ow_row *row = world.rows; row != NULL; row = row->next) {
        row->loaded = true;
    }
    for (struct ow_quarantine *row = world.quarantine_wanted; row != NULL; row = row->next) {
        row->loaded = true;
    }
    for (struct ow_entity *entity = world.entities; entity != NULL; entity = entity->next) {
        for (size_t i = 0; !entity->loaded && i < entity->machine->entity.column_count; i++) {
            entity->columns[i] = entity->machine->entity.columns[i].default_value;
        }
        entity->loaded = true;
    }
}

static struct ow_decision judge_from(const char *topic, const char *id, const char *type,
                                     const char *data, const struct ow_judging *judging)
{
    struct ow_record *record = OW_ARENA_NEW(&arena, struct ow_record);
    const char *value = ow_arena_printf(&arena,
                                        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"s\","
                                        "\"type\":\"%s\",\"data\":{\"order_id\":\"A\"%s}}",
                                        id, type, data);
    *record = (struct ow_record){.topic = OW_SLICE("order-events"),
                                 .offset = next_offset++,
                                 .timestamp_ms = 500,
                                 .value = ow_slice_of(value)};
    struct ow_event *event = OW_ARENA_NEW(&arena, struct ow_event);
    ow_event_decode(&decoder, record, &arena, event);
    record->topic = ow_slice_of(topic); /* no machine file may name an endpoint of HTTP yet */
    ow_world_want(&world, event);
    if (judging->reread) {
        (void)ow_world_quarantine_at(&world, record);
    }
    load_nothing();
    struct ow_decision decision;
    ow_decide(&world, event, judging, &decision);
    return decision;
}

static struct ow_decision judge(const char *id, const char *type, const char *data,
                                const struct ow_judging *judging)
{
    return judge_from("order-events", id, type, data, judging);
}

static const struct ow_judging plain = {.horizon_ms = INT64_MIN};

static void assert_decided(struct ow_decision decision, enum ow_outcome outcome,
                           enum ow_reason reason, int64_t ref)
{
    if (decision.outcome != outcome || decision.reason != reason || decision.ref != ref) {
        fail_msg("got %s %s with ref %lld", ow_outcome_text(decision.outcome),
                 ow_reason_text(decision.reason), (long long)decision.ref);
    }
}

#define MONEY       ",\"amount\":10,\"currency\":\"EUR\""
#define PAYMENT(id) MONEY ",\"payment_id\":\"" id "\",\"method\":\"card\""

static const struct ow_quarantine *last_quarantine(void)
{
    const struct ow_quarantine *last = world.quarantine;
    while (last != NULL && last->next != NULL) {
        last = last->next;
    }
    return last;
}

static void claim_free__is_taken_with_the_next_ref(void **state)
{
    (void)state;
    assert_decided(judge("1", "order.created", MONEY, &plain), OW_OUTCOME_APPLIED, OW_REASON_NONE,
                   1);
    assert_decided(judge("2", "order.dispatched", "", &plain), OW_OUTCOME_PARKED, OW_REASON_NONE,
                   2);
    assert_int_equal(world.next_ref, 3);
    size_t fresh = 0;
    for (const struct ow_claim *claim = world.claims; claim != NULL; claim = claim->next) {
        fresh += claim->fresh;
    }
    assert_int_equal(fresh, 2);
}

static void claim_taken__same_fingerprint__is_duplicate_with_a_sighting(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    assert_decided(judge("1", "order.created", MONEY, &plain), OW_OUTCOME_DUPLICATE, OW_REASON_NONE,
                   0);
    assert_int_equal(world.next_ref, 2);
    assert_non_null(world.sightings);
    assert_int_equal(world.sightings->ref, 1);
    assert_string_equal(world.sightings->cause, "same_id");
    assert_null(world.sightings->next);
}

static void claim_taken__over_another_channel__is_told_from_the_same_one(void **state)
{
    (void)state;
    static const struct {
        const char *id, *first, *second, *cause;
    } cases[] = {
        {"1", "order-events", "order-events", "same_id"      },
        {"2", "order-events", "http/things",  "other_channel"},
        {"3", "http/things",  "order-events", "other_channel"},
        {"4", "http/things",  "http/things",  "same_id"      },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ow_sighting **const end = world.sightings_end;
        (void)judge_from(cases[i].first, cases[i].id, "thing.changed", ",\"n\":1,\"m\":0", &plain);
        const struct ow_decision again =
            judge_from(cases[i].second, cases[i].id, "thing.changed", ",\"n\":1,\"m\":0", &plain);
        assert_decided(again, OW_OUTCOME_DUPLICATE, OW_REASON_NONE, 0);
        assert_int_equal(again.other_channel, strcmp(cases[i].cause, "other_channel") == 0);
        assert_string_equal((*end)->cause, cases[i].cause);
    }
}

static void claim_taken__of_an_unknown_channel__is_the_same_id(void **state)
{
    (void)state;
    (void)judge("1", "thing.changed", ",\"n\":1,\"m\":0", &plain);
    world.claims->channel = OW_CHANNEL_UNKNOWN; /* as stored ones are */
    assert_false(
        judge_from("http/things", "1", "thing.changed", ",\"n\":1,\"m\":0", &plain).other_channel);
    assert_string_equal(world.sightings->cause, "same_id");
}

static void claim_taken__other_fingerprint__is_conflict(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    assert_decided(judge("1", "order.cancelled", "", &plain), OW_OUTCOME_QUARANTINED,
                   OW_REASON_CONFLICT, 0);
    assert_decided(judge("1", "order.cancelled", "", &plain), OW_OUTCOME_QUARANTINED,
                   OW_REASON_CONFLICT, 0);
    assert_ptr_equal(world.quarantine, last_quarantine()); /* one row, seen twice */
    assert_int_equal(world.quarantine->seen, 2);
    assert_int_equal(world.quarantine->id, 2);
    assert_int_equal(world.quarantine->conflict_ref, 1);
    assert_string_equal(
        world.quarantine->detail,
        "the id is taken by message 1 with other content: type: \"order.created\" → "
        "\"order.cancelled\"; /data/amount: 10 → absent; /data/currency: \"EUR\" → absent; of the "
        "first only what its transition read is kept");
    assert_decided(judge("1", "order.received", "", &plain), OW_OUTCOME_QUARANTINED,
                   OW_REASON_CONFLICT, 0);
    assert_int_equal(last_quarantine()->id, 3);
    assert_null(world.sightings);
}

static void claim_taken__another_rule_number__is_duplicate(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    world.claims->fingerprint[0] = 9;
    assert_decided(judge("1", "order.cancelled", "", &plain), OW_OUTCOME_DUPLICATE, OW_REASON_NONE,
                   0);
}

static void claim_taken__reread__leaves_no_sighting(void **state)
{
    (void)state;
    const struct ow_judging reread = {.horizon_ms = INT64_MIN, .reread = true};
    (void)judge("1", "order.created", MONEY, &plain);
    assert_decided(judge("1", "order.created", MONEY, &reread), OW_OUTCOME_DUPLICATE,
                   OW_REASON_NONE, 0);
    assert_null(world.sightings);
}

/* Somebody else's id, which was read again before: whose claims are kept for another time. */
static void claim_free__wanted_by_another_type_before__is_of_the_one_that_takes_it(void **state)
{
    enum { A_DAY_MS = 86400000 };
    (void)state;
    const struct ow_judging reread = {.horizon_ms = INT64_MIN, .reread = true};
    assert_decided(judge("1", "order.created", MONEY, &reread), OW_OUTCOME_DUPLICATE,
                   OW_REASON_NONE, 0);
    assert_decided(judge("1", "thing.changed", ",\"n\":1,\"m\":0", &plain), OW_OUTCOME_APPLIED,
                   OW_REASON_NONE, 1);
    assert_null(world.claims->next);
    assert_int_equal(world.claims->retention_ms, A_DAY_MS);
}

static void before_the_horizon__is_expired_and_owns_its_claim(void **state)
{
    (void)state;
    const struct ow_judging judging = {.horizon_ms = 501};
    assert_decided(judge("1", "order.created", MONEY, &judging), OW_OUTCOME_QUARANTINED,
                   OW_REASON_EXPIRED, 1);
    assert_decided(judge("1", "order.created", MONEY, &plain), OW_OUTCOME_DUPLICATE, OW_REASON_NONE,
                   0);
    const struct ow_judging at_it = {.horizon_ms = 500};
    assert_decided(judge("2", "order.created", MONEY, &at_it), OW_OUTCOME_APPLIED, OW_REASON_NONE,
                   2);
}

static void business_key_stored__equal_values__is_stale(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    assert_decided(judge("2", "payment.succeeded", PAYMENT("p"), &plain), OW_OUTCOME_APPLIED,
                   OW_REASON_NONE, 2);
    assert_decided(judge("3", "payment.succeeded", PAYMENT("p"), &plain), OW_OUTCOME_STALE,
                   OW_REASON_NONE, 3);
    assert_string_equal(world.sightings->cause, "stale");
    assert_int_equal(world.sightings->ref, 3);
}

static void business_key_stored__other_values__is_business_key(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    (void)judge("2", "payment.succeeded", PAYMENT("p"), &plain);
    assert_decided(
        judge("3", "payment.succeeded",
              ",\"amount\":11,\"currency\":\"EUR\",\"payment_id\":\"p\",\"method\":\"card\"",
              &plain),
        OW_OUTCOME_QUARANTINED, OW_REASON_BUSINESS_KEY, 3);
    assert_string_equal(last_quarantine()->detail, "payment_id p is stored with other values");
}

static void stale_cell__something_new__is_illegal(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    assert_decided(judge("2", "order.created", MONEY, &plain), OW_OUTCOME_STALE, OW_REASON_NONE, 2);
    assert_decided(judge("3", "order.created", ",\"amount\":11,\"currency\":\"EUR\"", &plain),
                   OW_OUTCOME_QUARANTINED, OW_REASON_ILLEGAL, 3);
}

static void requirement_broken__is_guard_and_changes_nothing(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    assert_decided(
        judge("2", "payment.succeeded",
              ",\"amount\":9,\"currency\":\"EUR\",\"payment_id\":\"p\",\"method\":\"card\"",
              &plain),
        OW_OUTCOME_QUARANTINED, OW_REASON_GUARD, 2);
    assert_int_equal(world.entities->version, 1);
    assert_false(world.rows->exists);
}

static void wake__whole_passes_in_order_of_id(void **state)
{
    (void)state;
    (void)judge("r", "order.received", "", &plain);
    (void)judge("d", "order.dispatched", "", &plain);
    (void)judge("p", "payment.succeeded", PAYMENT("p"), &plain);
    assert_int_equal(world.entities->parked_count, 3);
    assert_decided(judge("c", "order.created", MONEY, &plain), OW_OUTCOME_APPLIED, OW_REASON_NONE,
                   4);
    assert_int_equal(world.entities->parked_count, 0);
    assert_int_equal(world.entities->version, 4);
    static const int64_t first_refs[] = {0, 3, 2, 1};
    const struct ow_history *row = world.history;
    for (int64_t i = 0; i < 4; i++, row = row->next) {
        assert_non_null(row);
        assert_int_equal(row->seq, 4 + i);
        assert_int_equal(row->first_ref, first_refs[i]);
        assert_int_equal(row->prev_seq, i == 0 ? 0 : 3 + i);
        assert_int_equal(row->via, i == 0 ? OW_VIA_KAFKA : OW_VIA_WAKE);
    }
    for (const struct ow_parked *parked = world.entities->parked; parked != NULL;
         parked = parked->next) {
        assert_true(parked->gone && parked->fresh);
    }
}

static void park__beyond_what_may_wait__is_overflow(void **state)
{
    (void)state;
    for (int i = 0; i < 32; i++) {
        assert_int_equal(
            judge(ow_arena_printf(&arena, "%d", i), "order.dispatched", "", &plain).outcome,
            OW_OUTCOME_PARKED);
    }
    assert_decided(judge("x", "order.dispatched", "", &plain), OW_OUTCOME_QUARANTINED,
                   OW_REASON_OVERFLOW, 33);
    assert_int_equal(world.entities->parked->parked_at_ms, 1000);
    assert_int_equal(world.entities->parked->deadline_ms, 1000 + OW_PARK_DEADLINE_MS_DEFAULT);
}

static void park_timeout__goes_to_quarantine_under_its_ref(void **state)
{
    (void)state;
    (void)judge("1", "order.dispatched", "", &plain);
    ow_decide_park_timeout(&world, world.entities->parked);
    assert_int_equal(last_quarantine()->reason, OW_REASON_PARK_TIMEOUT);
    assert_int_equal(last_quarantine()->id, 1);
    assert_true(world.entities->parked->gone);
    assert_int_equal(world.entities->parked_count, 0);
}

static void poison__the_record_or_what_it_wakes__is_quarantined(void **state)
{
    (void)state;
    const struct ow_judging poison = {
        .horizon_ms = INT64_MIN, .poison = true, .poison_detail = "no"};
    assert_decided(judge("1", "order.created", MONEY, &poison), OW_OUTCOME_QUARANTINED,
                   OW_REASON_POISON, 1);
    assert_string_equal(last_quarantine()->detail, "no");
    (void)judge("2", "payment.succeeded", PAYMENT("p"), &plain);
    (void)judge("3", "order.dispatched", "", &plain);
    (void)judge("4", "payment.succeeded", PAYMENT("q"), &plain);
    static const int64_t ids[] = {2, 3};
    const struct ow_judging woken = {.horizon_ms = INT64_MIN,
                                     .poison_parked = ids,
                                     .poison_parked_count = 2,
                                     .poison_detail = "no"};
    assert_decided(judge("5", "order.created", MONEY, &woken), OW_OUTCOME_APPLIED, OW_REASON_NONE,
                   5);
    assert_int_equal(last_quarantine()->id, 3);
    assert_int_equal(world.entities->version, 2);
    assert_int_equal(world.entities->parked_count, 0);
}

static void unclaimed__reread__finds_its_row_by_offset(void **state)
{
    (void)state;
    const struct ow_judging reread = {.horizon_ms = INT64_MIN, .reread = true};
    struct ow_record *record = OW_ARENA_NEW(&arena, struct ow_record);
    *record =
        (struct ow_record){.topic = OW_SLICE("order-events"), .offset = 7, .value = OW_SLICE("x")};
    struct ow_event event;
    ow_event_decode(&decoder, record, &arena, &event);
    struct ow_quarantine *row = ow_world_quarantine_at(&world, record);
    row->loaded = true;
    row->id = 3;
    row->reason = OW_REASON_MALFORMED;
    struct ow_decision decision;
    ow_decide(&world, &event, &reread, &decision);
    assert_decided(decision, OW_OUTCOME_QUARANTINED, OW_REASON_MALFORMED, 0);
    assert_int_equal(row->seen, 1);
    assert_null(world.quarantine);
    assert_int_equal(world.next_ref, 1);
}

/* After a machine file was changed, a parked record can read otherwise than when it was parked. */
static void wake__of_what_reads_otherwise_now__leaves_it_parked(void **state)
{
    (void)state;
    static const struct ow_machine other_machine = {.name = "other"};
    (void)judge("1", "order.dispatched", "", &plain);
    (void)judge("2", "order.dispatched", "", &plain);
    (void)judge("3", "order.cancelled", "", &plain);
    struct ow_parked *const first = world.entities->parked;
    first->event->verdict = OW_OUTCOME_QUARANTINED;
    first->next->event->machine = &other_machine;
    first->next->next->event->entity_id = OW_SLICE("B");
    assert_decided(judge("4", "order.created", MONEY, &plain), OW_OUTCOME_APPLIED, OW_REASON_NONE,
                   4);
    assert_int_equal(world.entities->parked_count, 3);
    assert_int_equal(world.entities->version, 1);
    assert_null(world.quarantine);
}

/* A claimed row of that offset is found by its claim: the offset alone does not decide. */
static void
claim_taken__reread_of_a_quarantined_record__counts_it_where_it_is_the_same(void **state)
{
    (void)state;
    const struct ow_judging reread = {.horizon_ms = INT64_MIN, .reread = true};
    (void)judge("1", "order.created", MONEY, &plain);
    struct ow_record at = {.topic = OW_SLICE("order-events"), .offset = next_offset};
    struct ow_quarantine *row = ow_world_quarantine_at(&world, &at);
    *row = (struct ow_quarantine){.loaded = true, .id = 1, .seen = 1, .reason = OW_REASON_ILLEGAL};
    assert_decided(judge("1", "order.created", MONEY, &reread), OW_OUTCOME_DUPLICATE,
                   OW_REASON_NONE, 0);
    assert_int_equal(row->seen, 2);
    at.offset = next_offset;
    row = ow_world_quarantine_at(&world, &at);
    *row = (struct ow_quarantine){.loaded = true, .id = 9, .seen = 1, .reason = OW_REASON_ILLEGAL};
    assert_decided(judge("1", "order.created", MONEY, &reread), OW_OUTCOME_DUPLICATE,
                   OW_REASON_NONE, 0);
    assert_int_equal(row->seen, 1);
}

static void
stale_cell__of_an_event_that_records__is_illegal_under_another_business_key(void **state)
{
    (void)state;
    (void)judge("1", "order.created", MONEY, &plain);
    (void)judge("2", "payment.succeeded", PAYMENT("p"), &plain);
    (void)judge("3", "order.dispatched", "", &plain);
    assert_decided(judge("4", "payment.succeeded", PAYMENT("q"), &plain), OW_OUTCOME_QUARANTINED,
                   OW_REASON_ILLEGAL, 4);
    assert_string_equal(last_quarantine()->detail,
                        "payment.succeeded in state dispatched: it has "
                        "happened already, and this says something else");
}

/* Reading 7 of the contract: what the applied transition read, and not what others of the event
 * would. */
static void history_data__has_the_pointers_of_the_transition_that_was_made(void **state)
{
    (void)state;
    (void)judge("1", "thing.changed", ",\"n\":1,\"m\":2", &plain);
    (void)judge("2", "thing.changed", ",\"n\":3,\"m\":4", &plain);
    assert_true(ow_slice_equals_text(world.history->data, "{\"/data/n\":1}"));
    assert_true(ow_slice_equals_text(world.history->next->data, "{\"/data/m\":4,\"/data/n\":3}"));
    assert_int_equal(world.entities->columns[0].integer, 7);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_decide(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_WORLD(claim_free__is_taken_with_the_next_ref),
        WITH_WORLD(claim_taken__same_fingerprint__is_duplicate_with_a_sighting),
        WITH_WORLD(claim_taken__over_another_channel__is_told_from_the_same_one),
        WITH_WORLD(claim_taken__of_an_unknown_channel__is_the_same_id),
        WITH_WORLD(claim_taken__other_fingerprint__is_conflict),
        WITH_WORLD(claim_taken__another_rule_number__is_duplicate),
        WITH_WORLD(claim_taken__reread__leaves_no_sighting),
        WITH_WORLD(claim_free__wanted_by_another_type_before__is_of_the_one_that_takes_it),
        WITH_WORLD(before_the_horizon__is_expired_and_owns_its_claim),
        WITH_WORLD(business_key_stored__equal_values__is_stale),
        WITH_WORLD(business_key_stored__other_values__is_business_key),
        WITH_WORLD(stale_cell__something_new__is_illegal),
        WITH_WORLD(requirement_broken__is_guard_and_changes_nothing),
        WITH_WORLD(wake__whole_passes_in_order_of_id),
        WITH_WORLD(park__beyond_what_may_wait__is_overflow),
        WITH_WORLD(park_timeout__goes_to_quarantine_under_its_ref),
        WITH_WORLD(poison__the_record_or_what_it_wakes__is_quarantined),
        WITH_WORLD(unclaimed__reread__finds_its_row_by_offset),
        WITH_WORLD(wake__of_what_reads_otherwise_now__leaves_it_parked),
        WITH_WORLD(claim_taken__reread_of_a_quarantined_record__counts_it_where_it_is_the_same),
        WITH_WORLD(stale_cell__of_an_event_that_records__is_illegal_under_another_business_key),
        WITH_WORLD(history_data__has_the_pointers_of_the_transition_that_was_made),
    };
    return cmocka_run_group_tests_name("decide", tests, start_group, stop_group);
}
