#include "member_fixture.h"

#include "groups.h"
#include "support/store/fault_vfs.h"

struct ow_member ow_member;

int ow_member_start(void **state)
{
    ow_fault_install(); /* for its speed: nothing is synced */
    (void)ow_engine_start(state);
    ow_member = (struct ow_member){
        .fixture = *state, .broker = ow_memory_broker_open(), .clock = ow_clock_system()};
    ow_memory_broker_topic(ow_member.broker, "order-events", 1);
    return 0;
}

int ow_member_stop(void **state)
{
    ow_member_let_go();
    ow_memory_broker_close(ow_member.broker);
    (void)ow_engine_stop(state);
    ow_fault_remove();
    return 0;
}

void ow_member_append_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        const struct ow_record record = ow_engine_story(ow_member.fixture, i);
        ow_memory_broker_append(ow_member.broker, &record);
    }
}

void ow_member_join(size_t batch_rows, size_t decode_threads)
{
    struct ow_err err;
    ow_member.joins++;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(ow_member.fixture),
                                        .batch_rows = batch_rows,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = decode_threads};
    options.apply.clock = ow_member.clock;
    options.apply.suspects = ow_member.suspects;
    assert_int_equal(ow_worker_start(&options, &ow_member.worker, &err), OW_OK);
    ow_flaky_open(&ow_member.flaky, ow_memory_source_open(ow_member.broker));
    ow_member.inner = ow_member.flaky.source.ops;
    ow_member.ops = *ow_member.inner;
    ow_member.flaky.source.ops = &ow_member.ops;
    atomic_store(&ow_member.stop, false);
    ow_member.polls = 0;
}

void ow_member_leave(void)
{
    ow_worker_stop(ow_member.worker);
    assert_true(ow_member.flaky.source.ops->close(&ow_member.flaky.source, 1000));
}

struct ow_consume_options ow_member_options(void)
{
    return (struct ow_consume_options){.source = &ow_member.flaky.source,
                                       .worker = ow_member.worker,
                                       .machines = &ow_member.fixture->machines,
                                       .clock = ow_clock_system(),
                                       .store_id = ow_store_id(ow_member.fixture->store),
                                       .epoch = ow_store_epoch(ow_member.fixture->store) +
                                                ow_member.joins,
                                       .until_end = true,
                                       .wait_broker_ms = 10000,
                                       .stop = &ow_member.stop};
}

void ow_member_consume(const struct ow_consume_options *options)
{
    struct ow_err err = {.text = ""};
    if (ow_consume(options, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
}

void ow_member_goes_on_to(int64_t end)
{
    struct ow_fixture *const fixture = ow_member.fixture;
    ow_member_join(64, 1);
    const struct ow_consume_options options = ow_member_options();
    ow_member_consume(&options);
    ow_member_leave();
    assert_int_equal(ow_memory_broker_committed(ow_member.broker, "order-events", 0), end);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT applied FROM ow_position"), end);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT reread FROM ow_position"), 0);
    assert_int_equal(ow_fixture_i64(fixture, "SELECT count(*) FROM ow_ledger"), 1);
}

void ow_member_hold_store(void)
{
    assert_int_equal(sqlite3_open(ow_member.fixture->path, &ow_member.other), SQLITE_OK);
    (void)sqlite3_busy_timeout(ow_member.other, 5000);
    assert_int_equal(sqlite3_exec(ow_member.other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

void ow_member_take_over(void)
{
    assert_int_equal(sqlite3_exec(ow_member.other,
                                  "UPDATE ow_meta SET value = value + 1 WHERE key = 'epoch';"
                                  "COMMIT; BEGIN IMMEDIATE",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ow_member_let_go();
}

void ow_member_give_back(void)
{
    ow_fixture_exec(ow_member.fixture, "UPDATE ow_meta SET value = value - 1 WHERE key = 'epoch'");
}

void ow_member_let_go(void)
{
    if (ow_member.other != NULL) {
        (void)sqlite3_exec(ow_member.other, "ROLLBACK", NULL, NULL, NULL);
        (void)sqlite3_close(ow_member.other);
        ow_member.other = NULL;
    }
}
