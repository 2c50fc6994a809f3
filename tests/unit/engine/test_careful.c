/* Records that kill the process, and processes that are killed: each life is a child of its own,
 * over the in-memory broker, with notes in memory that outlives it. */
#include "engine/consume.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "groups.h"
#include "store/internal.h"
#include "store/verify.h"

#include <jansson.h>
#include <sqlite3.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLY_BYTES = 7777, THREADS = 3 };

static struct {
    struct ow_fixture *fixture;
    struct ow_memory_broker *broker;
    struct ow_suspects *notes;
    size_t decode_threads;
    int64_t count;          /* records */
    const char *kills_also; /* a trigger; NULL: nothing else */
} bench;

static int start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    ow_fixture_open(fixture); /* makes it */
    bench.notes =
        mmap(NULL, sizeof(*bench.notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(bench.notes, MAP_FAILED);
    assert_int_equal(ow_suspects_adopt(bench.notes, "boot", ow_store_id(fixture->store)),
                     OW_ADOPTED_NEW);
    ow_fixture_close(fixture);
    bench.fixture = fixture;
    bench.broker = ow_memory_broker_open();
    bench.decode_threads = THREADS;
    bench.count = 0;
    bench.kills_also = NULL;
    ow_memory_broker_topic(bench.broker, "order-events", 1);
    ow_memory_broker_topic(bench.broker, "payment-events", 1);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    ow_memory_broker_close(bench.broker);
    assert_int_equal(munmap(bench.notes, sizeof(*bench.notes)), 0);
    return ow_engine_stop(state);
}

static void append(const struct ow_record *record)
{
    ow_memory_broker_append(bench.broker, record);
    bench.count++;
}

static void append_story(int64_t first, int64_t last)
{
    for (int64_t i = first; i <= last; i++) {
        const struct ow_record record = ow_engine_story(bench.fixture, i);
        append(&record);
    }
}

static void append_event(const char *type, const char *entity, const char *data)
{
    const char *id = ow_arena_printf(&bench.fixture->kept, "%s-%s", entity, type);
    const struct ow_record record = ow_engine_event(bench.fixture, id, type, entity, data);
    append(&record);
}

static void append_created(const char *entity)
{
    append_event("order.created", entity, ",\"amount\":5,\"currency\":\"EUR\"");
}

/* A payment whose row kills. */
static void append_killer(const char *entity)
{
    append_event("payment.succeeded", entity,
                 ow_arena_printf(&bench.fixture->kept,
                                 ",\"amount\":5,\"currency\":\"EUR\",\"method\":\"deadly\","
                                 "\"payment_id\":\"pay-%s\"",
                                 entity));
}

/* An event that kills whoever reads it. */
static void append_killer_of_readers(const char *entity)
{
    append_event("order.created", entity,
                 ow_arena_printf(&bench.fixture->kept, ",\"note\":\"%0*d\"", DEADLY_BYTES, 0));
}

static void die(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)context;
    (void)count;
    (void)values;
    (void)kill(getpid(), SIGKILL);
}

static void *deadly_malloc(size_t bytes)
{
    if (bytes >= DEADLY_BYTES && bytes < DEADLY_BYTES + 8) { /* quotes and a NUL */
        (void)kill(getpid(), SIGKILL);
    }
    return malloc(bytes);
}

static void arm(struct ow_store *store)
{
    json_set_alloc_funcs(deadly_malloc, free);
    if (sqlite3_create_function(store->sql.handle, "die", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, NULL,
                                die, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(store->sql.handle,
                     "CREATE TEMP TRIGGER deadly BEFORE INSERT ON main.payments"
                     " WHEN NEW.method = 'deadly' BEGIN SELECT die(); END",
                     NULL, NULL, NULL) != SQLITE_OK ||
        (bench.kills_also != NULL &&
         sqlite3_exec(store->sql.handle, bench.kills_also, NULL, NULL, NULL) != SQLITE_OK)) {
        _exit(2);
    }
}

/* The whole worker, to the end of the topics. */
static void run_worker(void)
{
    struct ow_err err = {.text = ""};
    struct ow_worker *worker = NULL;
    struct ow_worker_options options = {.apply = ow_engine_apply_options(bench.fixture),
                                        .batch_rows = 64,
                                        .batch_bytes = (size_t)OW_BATCH_BYTES_DEFAULT,
                                        .batch_ms = OW_BATCH_MS_DEFAULT,
                                        .decode_threads = bench.decode_threads};
    options.apply.clock = ow_clock_system();
    options.apply.suspects = bench.notes;
    enum ow_status status = ow_worker_start(&options, &worker, &err);
    struct ow_source *source = ow_memory_source_open(bench.broker);
    const struct ow_consume_options consume = {.source = source,
                                               .worker = worker,
                                               .machines = &bench.fixture->machines,
                                               .clock = ow_clock_system(),
                                               .store_id = ow_store_id(bench.fixture->store),
                                               .epoch = ow_store_epoch(bench.fixture->store),
                                               .until_end = true,
                                               .wait_broker_ms = 10000};
    if (status == OW_OK) {
        status = ow_consume(&consume, &err);
    }
    ow_worker_stop(worker);
    (void)source->ops->close(source, 1000);
    if (status != OW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        _exit(ow_status_exit_code(status)); /* a child must not go on with the tests */
    }
}

static pid_t spawn(void)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) {
        return child;
    }
    ow_fixture_open(bench.fixture);
    arm(bench.fixture->store);
    run_worker();
    ow_fixture_close(bench.fixture);
    _exit(0);
}

/* Whether it came to the end; else it was killed. */
static bool outlive(pid_t child)
{
    int end = 0;
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFSIGNALED(end) ? WTERMSIG(end) == SIGKILL : WEXITSTATUS(end) == 0);
    return !WIFSIGNALED(end);
}

/* Starts it until it ends by itself, with that status: how often it died. */
static int supervise_until(int status)
{
    int deaths = 0;
    int end = 0;
    for (assert_true(waitpid(spawn(), &end, 0) > 0); WIFSIGNALED(end); deaths++) {
        assert_int_equal(WTERMSIG(end), SIGKILL);
        assert_true(deaths < 100);
        assert_true(waitpid(spawn(), &end, 0) > 0);
    }
    assert_int_equal(WEXITSTATUS(end), status);
    return deaths;
}

/* Starts it until it comes to the end: how often it died. */
static int supervise(int most)
{
    int deaths = 0;
    while (!outlive(spawn())) {
        deaths++;
        assert_true(deaths <= most);
    }
    return deaths;
}

static void must_be_content(void)
{
    struct ow_verification found;
    struct ow_err err;
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    assert_int_equal(ow_verify(bench.fixture->path, &arena, &found, &err), OW_OK);
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("%s: %s", found.promises[i].name, found.promises[i].examples[0]);
        }
    }
    ow_arena_done(&arena);
}

/* What verify says of the quarantine. */
static void must_find(const char *text)
{
    struct ow_verification found;
    struct ow_err err;
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    assert_int_equal(ow_verify(bench.fixture->path, &arena, &found, &err), OW_OK);
    const struct ow_promise *promise = &found.promises[0];
    while (strcmp(promise->name, "quarantine_judged") != 0) {
        promise++;
    }
    assert_int_equal(promise->broken, 1);
    assert_non_null(strstr(promise->examples[0], text));
    ow_arena_done(&arena);
}

static int64_t count(const char *sql)
{
    return ow_fixture_i64(bench.fixture, sql);
}

static void expect_handled(int64_t poisoned)
{
    assert_int_equal(count("SELECT next_offset FROM ow_position WHERE topic = 'order-events'"),
                     bench.count);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE reason = 'poison'"), poisoned);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine"), poisoned);
    must_be_content();
}

static void a_killer__among_thousands__five_deaths(void **state)
{
    (void)state;
    append_story(0, 1999);
    append_created("X");
    append_killer("X");
    append_story(2000, 3999);
    assert_int_equal(supervise(5), 5);
    expect_handled(1);
    assert_int_equal(count("SELECT count(*) FROM ow_history"), 4001);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE machine = 'orders' AND"
                           " detail = 'the process died 3 times while it was in work alone'"),
                     1);
    assert_int_equal(count("SELECT count(*) FROM ow_claims"), 4002); /* it owns its claim */
}

static void a_killer_of_readers__is_not_read_any_more(void **state)
{
    (void)state;
    append_story(0, 999);
    append_killer_of_readers("X");
    append_story(1000, 1999);
    assert_true(supervise(5) >= 4);
    expect_handled(1);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE machine IS NULL"), 1);
    assert_int_equal(count("SELECT count(*) FROM ow_claims"), 2000);
    ow_fixture_exec(bench.fixture, "UPDATE ow_quarantine SET entity_id = 'E1'");
    must_find("it was never read, and names an entity");
    ow_fixture_exec(bench.fixture, "UPDATE ow_quarantine SET entity_id = NULL");
    /* It is in the way of nobody who starts later, and of nobody who reads the store. */
    append_story(2000, 2003);
    assert_int_equal(supervise(0), 0);
    must_be_content();
}

static void a_killer_at_the_very_end__is_not_read_for_the_anchor(void **state)
{
    (void)state;
    append_story(0, 9);
    append_killer_of_readers("X");
    assert_true(supervise(5) >= 3);
    assert_int_equal(supervise(0), 0);
    expect_handled(1);
}

static void read_again__an_unread_one__is_found_by_its_offset(void **state)
{
    (void)state;
    append_story(0, 9);
    append_killer_of_readers("X");
    append_story(10, 19);
    (void)supervise(5);
    ow_memory_broker_reset(bench.broker, "order-events", 0, 3);
    (void)supervise(5); /* it kills again */
    expect_handled(1);
    /* The broker forgets with each life what was committed, and is then moved back once more. */
    assert_true(count("SELECT seen FROM ow_quarantine") >= 2);
    assert_true(count("SELECT reread FROM ow_position WHERE topic = 'order-events'") >=
                bench.count - 3);
}

static void killers__next_to_each_other__each_is_found(void **state)
{
    (void)state;
    append_story(0, 499);
    append_created("X");
    append_killer("X");
    append_killer_of_readers("Y");
    append_created("Z");
    append_killer("Z");
    append_story(500, 999);
    /* Once they are handled one by one, each further one takes three deaths. */
    assert_true(supervise(2 + 3 * 3) >= 3 * 3);
    expect_handled(3);
    assert_int_equal(count("SELECT count(*) FROM ow_history"), 1002);
}

static void a_woken_killer__is_found__and_its_neighbours_are_woken(void **state)
{
    (void)state;
    append_story(0, 499);
    append_event("order.dispatched", "X", "");
    append_killer("X");
    append_event("payment.refunded", "X", ",\"amount\":1,\"currency\":\"EUR\",\"refund_id\":\"r\"");
    append_created("X");
    append_story(500, 999);
    assert_int_equal(supervise(6), 6);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE reason = 'poison' AND"
                           " detail = 'the process died 3 times while it was woken alone'"),
                     1);
    expect_handled(1);
    assert_int_equal(
        count("SELECT count(*) FROM orders WHERE order_id = 'X' AND state = 'created'"), 1);
    assert_int_equal(count("SELECT count(*) FROM ow_parked"), 2);
}

static void without_threads__it_is_found_too(void **state)
{
    (void)state;
    bench.decode_threads = 0;
    append_story(0, 499);
    append_created("X");
    append_killer("X");
    append_killer_of_readers("Y");
    append_story(500, 999);
    (void)supervise(2 + 2 * 3);
    expect_handled(2);
}

static void killed_at_random__no_innocent_is_quarantined(void **state)
{
    (void)state;
    const int kills = getenv("ONCEWARD_MORE") == NULL ? 40 : 300;
    append_story(0, 100 * kills - 1);
    uint32_t chance = 1;
    for (int i = 0; i < kills; i++) {
        const pid_t child = spawn();
        chance = chance * 1664525U + 1013904223U; /* Numerical Recipes' */
        (void)usleep((chance >> 8) % 30000);
        (void)kill(child, SIGKILL);
        (void)outlive(child);
    }
    (void)supervise(0);
    expect_handled(0);
    assert_int_equal(count("SELECT count(*) FROM ow_history"), bench.count);
}

/* All kinds of records, handled with care from the first to the last. */
static void careful__comes_to_the_same(void **state)
{
    (void)state;
    struct ow_suspect_partition *const partition =
        ow_suspects_partition(bench.notes, OW_SLICE("order-events"), 0);
    append_story(0, 299);
    append_story(0, 9); /* duplicates */
    const struct ow_record bad = {.topic = OW_SLICE("order-events"), .value = OW_SLICE("nonsense")};
    append(&bad);
    append_event("order.dispatched", "early", "");
    append_story(300, 599);
    bench.notes->deaths = OW_SUSPECT_PATIENCE;
    partition->suspect_last = 400;
    assert_int_equal(supervise(0), 0);
    assert_int_equal(count("SELECT count(*) FROM ow_history"), 600);
    assert_int_equal(count("SELECT duplicate FROM ow_position WHERE topic = 'order-events'"), 10);
    assert_int_equal(count("SELECT parked FROM ow_position WHERE topic = 'order-events'"), 1);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE reason = 'malformed'"), 1);
    must_be_content();
}

/* `positions adopt` since the deaths: what has the convict's place now is another record. */
static void adopted_meanwhile__the_record_of_that_place_is_innocent(void **state)
{
    (void)state;
    append_story(0, 3);
    assert_int_equal(supervise(0), 0);
    append_story(4, 7);
    bench.notes->accused_count = 1;
    bench.notes->accused[0] = (struct ow_accused){
        .place = {.topic = "order-events", .topic_len = 12, .offset = 5},
        .deaths = OW_SUSPECT_DEATHS
    };
    ow_fixture_exec(bench.fixture, "UPDATE ow_position SET began_epoch = 1000000"
                                   " WHERE topic = 'order-events'");
    assert_int_equal(supervise(0), 0);
    assert_int_equal(count("SELECT count(*) FROM ow_history"), 8);
}

/* The first of them may have been alone, or among others. */
static void stops_after_all_convictions(void)
{
    const int deaths = supervise_until(4);
    assert_in_range(deaths, OW_SUSPECT_DEATHS * OW_SUSPECT_CONVICTIONS,
                    OW_SUSPECT_PATIENCE + OW_SUSPECT_DEATHS * OW_SUSPECT_CONVICTIONS);
}

/* It is not the records: they stay where they are, whoever starts it again and again. */
static void every_record_kills__a_few_are_quarantined__then_it_stops(void **state)
{
    (void)state;
    for (char entity[] = "A"; entity[0] <= 'T'; entity[0]++) {
        append_created(entity);
    }
    bench.kills_also = "CREATE TEMP TRIGGER history BEFORE INSERT ON main.ow_history_row BEGIN"
                       " SELECT die(); END";
    stops_after_all_convictions();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(supervise_until(4), 0);
    }
    assert_int_equal(count("SELECT next_offset FROM ow_position WHERE topic = 'order-events'"),
                     OW_SUSPECT_CONVICTIONS - 1);
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine WHERE reason = 'poison'"),
                     OW_SUSPECT_CONVICTIONS - 1);
    /* Repaired, but nobody has said so. */
    bench.kills_also = NULL;
    assert_int_equal(supervise_until(4), 0);
    const char *store_id = ow_arena_text(&bench.fixture->kept, ow_slice_of(bench.notes->store_id));
    memset(bench.notes, 0, sizeof(*bench.notes)); /* what a new file holds */
    assert_int_equal(ow_suspects_adopt(bench.notes, "boot", store_id), OW_ADOPTED_NEW);
    assert_int_equal(supervise_until(0), 0);
    expect_handled(OW_SUSPECT_CONVICTIONS - 1);
}

/* Not even the bytes can be quarantined: nothing is skipped, and it does not die for ever. */
static void every_transaction_kills__it_stops(void **state)
{
    (void)state;
    append_story(0, 3);
    bench.kills_also = "CREATE TEMP TRIGGER history BEFORE INSERT ON main.ow_history_row BEGIN"
                       " SELECT die(); END;"
                       "CREATE TEMP TRIGGER quarantine BEFORE INSERT ON main.ow_quarantine BEGIN"
                       " SELECT die(); END";
    stops_after_all_convictions();
    assert_int_equal(count("SELECT count(*) FROM ow_quarantine"), 0);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, start, stop)

int ow_test_careful(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BENCH(a_killer__among_thousands__five_deaths),
        WITH_BENCH(a_killer_of_readers__is_not_read_any_more),
        WITH_BENCH(a_killer_at_the_very_end__is_not_read_for_the_anchor),
        WITH_BENCH(read_again__an_unread_one__is_found_by_its_offset),
        WITH_BENCH(killers__next_to_each_other__each_is_found),
        WITH_BENCH(a_woken_killer__is_found__and_its_neighbours_are_woken),
        WITH_BENCH(without_threads__it_is_found_too),
        WITH_BENCH(killed_at_random__no_innocent_is_quarantined),
        WITH_BENCH(adopted_meanwhile__the_record_of_that_place_is_innocent),
        WITH_BENCH(every_record_kills__a_few_are_quarantined__then_it_stops),
        WITH_BENCH(every_transaction_kills__it_stops),
        WITH_BENCH(careful__comes_to_the_same),
    };
    return cmocka_run_group_tests_name("engine/careful", tests, NULL, NULL);
}
