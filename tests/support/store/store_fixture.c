#include "support/store/store_fixture.h"

#include <sqlite3.h>

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

const char *ow_fixture_read_file(struct ow_arena *arena, const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *text = ow_arena_alloc(arena, 65536);
    const size_t len = fread(text, 1, 65535, file);
    assert_true(len > 0 && len < 65535);
    assert_int_equal(fclose(file), 0);
    return text;
}

void ow_fixture_load_machine(struct ow_machines *machines, const char *text)
{
    struct ow_err err = {0};
    struct ow_tree tree;
    ow_machines_init(machines);
    enum ow_status status =
        ow_tree_parse("machine.yaml", ow_slice_of(text), NULL, NULL, &tree, &err);
    if (status == OW_OK) {
        status = ow_machines_add(machines, &tree, &err);
        ow_tree_done(&tree);
    }
    if (status == OW_OK) {
        status = ow_machines_check(machines, &err);
    }
    if (status != OW_OK) {
        fail_msg("the machine: %s", err.text);
    }
}

void ow_fixture_init(struct ow_fixture *fixture)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    ow_fixture_init_with(fixture,
                         ow_fixture_read_file(&arena, OW_SOURCE_DIR "/schemas/orders.yaml"));
    ow_arena_done(&arena);
}

void ow_fixture_init_with(struct ow_fixture *fixture, const char *machine)
{
    *fixture = (struct ow_fixture){.topic = "order-events"};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the tests are one thread */
    const char *base = getenv("TMPDIR");
    const int len = snprintf(fixture->folder, sizeof(fixture->folder), "%.40s/ow-store-XXXXXX",
                             base == NULL || strlen(base) > 40 ? "/tmp" : base);
    assert_true(len > 0);
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof(fixture->path), "%s/store.db", fixture->folder);
    fixture->clock = (struct ow_clock_manual){.now_ms = 1800000000000};
    ow_arena_init(&fixture->arena, 65536);
    ow_arena_init(&fixture->kept, 65536);
    ow_fixture_load_machine(&fixture->machines, machine);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void ow_fixture_done(struct ow_fixture *fixture)
{
    ow_fixture_close(fixture);
    ow_machines_done(&fixture->machines);
    ow_arena_done(&fixture->arena);
    ow_arena_done(&fixture->kept);
    ow_buffer_done(&fixture->decoder.scratch);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): likewise */
    assert_int_equal(nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

enum ow_status ow_fixture_try_open(struct ow_fixture *fixture)
{
    const struct ow_store_options options = {
        .path = fixture->path,
        .hash_key_file = fixture->hash_key_file,
        .clock = ow_clock_manual(&fixture->clock),
        .bucket_claims = fixture->bucket_claims,
        .piece_claims = fixture->piece_claims,
        .wal_bytes = fixture->wal_bytes,
    };
    return ow_store_open(&options, &fixture->machines, &fixture->store, &fixture->err);
}

void ow_fixture_open(struct ow_fixture *fixture)
{
    if (ow_fixture_try_open(fixture) != OW_OK) {
        fail_msg("open: %s", fixture->err.text);
    }
    fixture->decoder.machines = &fixture->machines;
    fixture->decoder.hash_key = ow_store_hash_key(fixture->store);
    fixture->decoder.record_bytes_max = (size_t)OW_RECORD_BYTES_DEFAULT;
    struct ow_position *list = NULL;
    assert_int_equal(ow_store_positions(fixture->store, &fixture->kept, &list, &fixture->err),
                     OW_OK);
    fixture->position =
        (struct ow_position){.topic = ow_slice_of(fixture->topic), .seen_committed = -1};
    if (list != NULL) {
        ow_position_copy(&fixture->position, &fixture->kept, list);
    }
    fixture->position_offset = fixture->position.high_offset;
}

void ow_fixture_close(struct ow_fixture *fixture)
{
    ow_store_close(fixture->store);
    fixture->store = NULL;
}

void ow_fixture_begin(struct ow_fixture *fixture)
{
    ow_arena_reset(&fixture->arena);
    ow_world_reset(&fixture->world, &fixture->arena, &fixture->machines, fixture->clock.now_ms);
    if (ow_store_begin(fixture->store, &fixture->world, &fixture->err) != OW_OK) {
        fail_msg("begin: %s", fixture->err.text);
    }
}

enum ow_status ow_fixture_read(struct ow_fixture *fixture)
{
    return ow_store_read(fixture->store, &fixture->world, &fixture->err);
}

enum ow_status ow_fixture_write(struct ow_fixture *fixture)
{
    return ow_store_write(fixture->store, &fixture->world, &fixture->position, &fixture->err);
}

void ow_fixture_commit(struct ow_fixture *fixture)
{
    if (ow_store_commit(fixture->store, &fixture->world, &fixture->err) != OW_OK) {
        fail_msg("commit: %s", fixture->err.text);
    }
    /* Out of the batch's arena. */
    ow_position_copy(&fixture->position, &fixture->kept, &fixture->position);
    fixture->position.stored = true;
}

void ow_fixture_tend(struct ow_fixture *fixture, int64_t limit_ms)
{
    const struct ow_tending tending = {
        .now_ms = fixture->clock.now_ms, .limit_ms = limit_ms, .rows = 1000};
    bool more = true;
    while (more) {
        if (ow_store_tend(fixture->store, &tending, &more, &fixture->err) != OW_OK) {
            fail_msg("tend: %s", fixture->err.text);
        }
    }
}

static void must_read(struct ow_fixture *fixture)
{
    if (ow_fixture_read(fixture) != OW_OK) {
        fail_msg("read: %s", fixture->err.text);
    }
}

enum ow_outcome ow_fixture_judge(struct ow_fixture *fixture, const struct ow_record *record)
{
    struct ow_event *event = OW_ARENA_NEW(&fixture->arena, struct ow_event);
    struct ow_judging judging = {
        .horizon_ms = INT64_MIN,
        .reread = ow_position_sight(&fixture->position, record->offset) == OW_SIGHT_REREAD,
    };
    ow_event_decode(&fixture->decoder, record, &fixture->arena, event);
    ow_world_want(&fixture->world, event);
    if (judging.reread) {
        (void)ow_world_quarantine_at(&fixture->world, record);
    }
    must_read(fixture);
    for (struct ow_entity *entity = fixture->world.entities; entity != NULL;
         entity = entity->next) {
        for (struct ow_parked *parked = entity->parked; parked != NULL; parked = parked->next) {
            if (parked->event == NULL) {
                parked->event = OW_ARENA_NEW(&fixture->arena, struct ow_event);
                ow_event_decode(&fixture->decoder, &parked->record, &fixture->arena, parked->event);
                if (parked->event->verdict == OW_OUTCOME_APPLIED) {
                    ow_world_want_rows(&fixture->world, parked->event);
                }
            }
        }
    }
    ow_world_want_conflict(&fixture->world, event);
    must_read(fixture);
    struct ow_decision decision;
    ow_decide(&fixture->world, event, &judging, &decision);
    ow_position_handled(&fixture->position, &fixture->arena, record->offset, decision.outcome);
    return decision.outcome;
}

enum ow_outcome ow_fixture_feed(struct ow_fixture *fixture, const char *value)
{
    ow_fixture_begin(fixture);
    const struct ow_header header = {OW_SLICE("trace"), OW_SLICE("\x00\xff")};
    const struct ow_record record = {
        .topic = fixture->position.topic,
        .offset = fixture->position_offset++,
        .timestamp_ms = fixture->clock.now_ms,
        .key = OW_SLICE("a key"),
        .value = ow_arena_copy(&fixture->arena, ow_slice_of(value)),
        .headers = &header,
        .header_count = 1,
    };
    const enum ow_outcome outcome = ow_fixture_judge(fixture, &record);
    if (ow_fixture_write(fixture) != OW_OK) {
        fail_msg("write: %s", fixture->err.text);
    }
    ow_fixture_commit(fixture);
    fixture->clock.now_ms += 1000;
    return outcome;
}

enum ow_outcome ow_fixture_event(struct ow_fixture *fixture, const char *id, const char *type,
                                 const char *entity, const char *data)
{
    char value[1024];
    const int len = snprintf(
        value, sizeof(value),
        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/shop/eu\",\"type\":\"%s\","
        "\"time\":\"2026-11-22T10:00:%02dZ\",\"data\":{\"order_id\":\"%s\"%s%s}}",
        id, type, (int)(fixture->position_offset % 60), entity, data[0] == '\0' ? "" : ",", data);
    assert_true(len > 0 && (size_t)len < sizeof(value));
    return ow_fixture_feed(fixture, value);
}

void ow_fixture_fill(struct ow_fixture *fixture)
{
    static const struct {
        enum ow_outcome outcome;
        const char *id, *type, *entity, *data;
    } events[] = {
#define ORDER       "\"amount\":1299,\"currency\":\"EUR\""
#define PAYMENT(id) "\"payment_id\":\"" id "\"," ORDER ",\"method\":\"card\""
        {OW_OUTCOME_APPLIED,     "e1",  "order.created",     "o1", ORDER                              },
        {OW_OUTCOME_APPLIED,     "e2",  "payment.succeeded", "o1", PAYMENT("p1")                      },
        {OW_OUTCOME_DUPLICATE,   "e2",  "payment.succeeded", "o1", PAYMENT("p1")                      },
        {OW_OUTCOME_STALE,       "e3",  "payment.succeeded", "o1", PAYMENT("p1")                      },
        {OW_OUTCOME_QUARANTINED, "e1",  "order.created",     "o1", "\"amount\":7,\"currency\":\"EUR\""},
        {OW_OUTCOME_PARKED,      "e4",  "order.received",    "o1", ""                                 },
        {OW_OUTCOME_APPLIED,     "e5",  "order.dispatched",  "o1", ""                                 },
        {OW_OUTCOME_PARKED,      "e6",  "order.dispatched",  "o2", ""                                 },
        {OW_OUTCOME_APPLIED,     "e7",  "order.created",     "o2", "\"amount\":5,\"currency\":\"USD\""},
        {OW_OUTCOME_APPLIED,     "e8",  "order.cancelled",   "o2", ""                                 },
        {OW_OUTCOME_QUARANTINED, "e9",  "order.cancelled",   "o1", ""                                 },
        {OW_OUTCOME_APPLIED,     "e10", "payment.refunded",  "o1",
                                                                                     "\"refund_id\":\"r1\",\"amount\":299,\"currency\":\"EUR\""                                   },
        {OW_OUTCOME_PARKED,      "e11", "order.dispatched",  "o3", ""                                 },
        {OW_OUTCOME_QUARANTINED, "e12", "order.lost",        "o3", ""                                 },
#undef PAYMENT
#undef ORDER
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        const enum ow_outcome outcome = ow_fixture_event(fixture, events[i].id, events[i].type,
                                                         events[i].entity, events[i].data);
        if (outcome != events[i].outcome) {
            fail_msg("event %s is %s", events[i].id, ow_outcome_text(outcome));
        }
    }
    assert_int_equal(ow_fixture_feed(fixture, "{\"not\":\"an event\""), OW_OUTCOME_QUARANTINED);
    assert_int_equal(ow_fixture_feed(fixture, NULL), OW_OUTCOME_QUARANTINED);
}

static sqlite3 *connect(const struct ow_fixture *fixture)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open_v2(fixture->path, &handle, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    return handle;
}

void ow_fixture_exec(const struct ow_fixture *fixture, const char *sql)
{
    sqlite3 *handle = connect(fixture);
    char *text = NULL;
    if (sqlite3_exec(handle, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

int64_t ow_fixture_i64(const struct ow_fixture *fixture, const char *sql)
{
    sqlite3 *handle = connect(fixture);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    return value;
}

const char *ow_fixture_text(struct ow_fixture *fixture, const char *sql)
{
    sqlite3 *handle = connect(fixture);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    text = ow_arena_text(&fixture->kept, ow_slice_of(text == NULL ? "" : text));
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    return text;
}
