/*
 * `onceward demo`: the whole thing without a broker and without a configuration. This process hosts
 * a mock cluster and plays the shop; a worker child consumes and is killed now and then; at the end
 * the database is compared with what the shop knows.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "command.h"
#include "demo_events.h"
#include "demo_folder.h"
#include "demo_report.h"
#include "demo_worker.h"
#include "kafka/mock.h"
#include "kafka/producer.h"
#include "store/survey.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    PARTITIONS = 4,
    /*
     * The mock keeps 5 MiB of a partition and drops the rest silently. Two thirds of the records go
     * to one topic, at some 360 bytes each: 3 MiB a partition at that many.
     */
    RECORDS_MAX = 50000,
    KILLS_MAX = 20,
    SECONDS_MAX = 600,
    TICK_MS = 20,  /* how often the database is looked at: a worker with a backlog is killed in the
                      midst of it */
    DRAW_MS = 100, /* how often progress is drawn on a terminal, */
    SAY_MS = 2000, /* and said elsewhere */
    STUCK_MS = 30000, /* no record handled for so long: something is wrong */
    STOP_MS = 10000,
    CLOSE_MS = 500
};

struct demo {
    int64_t records, kills, seed, seconds;
    struct ow_demo_folder folder;
    struct ow_clock clock;
    int64_t start_ns, shown_ns, moved_ns;
    bool terminal;
    sigset_t signals; /* blocked: taken at each tick */
    struct ow_kafka_mock *mock;
    struct ow_kafka_producer *producer;
    struct ow_demo_events *events;
    struct ow_demo_worker worker;
    int64_t sent, bytes;
    int64_t handled;       /* by all workers, as last seen */
    int64_t handled_start; /* when this worker was started */
    int kills_done;
};

static int64_t elapsed_ms(const struct demo *demo, int64_t since_ns)
{
    return (ow_clock_elapsed_ns(&demo->clock) - since_ns) / 1000000;
}

/* A line on stderr, above the progress line where there is one. */
static void say(const struct demo *demo, const char *format, ...) OW_PRINTF(2, 3);
static void say(const struct demo *demo, const char *format, ...)
{
    if (demo->terminal) {
        ow_log_set_status_line(NULL);
    }
    (void)fprintf(stderr, "%5.1f s  ", (double)elapsed_ms(demo, demo->start_ns) / 1000);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

static void show_progress(struct demo *demo)
{
    if (elapsed_ms(demo, demo->shown_ns) < (demo->terminal ? DRAW_MS : SAY_MS)) {
        return;
    }
    demo->shown_ns = ow_clock_elapsed_ns(&demo->clock);
    if (!demo->terminal) {
        say(demo, "sent %" PRId64 ", handled %" PRId64 " of %" PRId64, demo->sent, demo->handled,
            demo->records);
        return;
    }
    enum { WIDTH = 40 };
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++) {
        const bool handled = i < demo->handled * WIDTH / demo->records;
        const bool sent = i < demo->sent * WIDTH / demo->records;
        bar[i] = ".-#"[handled + sent]; /* what was handled was sent */
    }
    bar[WIDTH] = '\0';
    char line[160];
    (void)snprintf(line, sizeof(line),
                   "%5.1f s  [%s] sent %" PRId64 ", handled %" PRId64 ", killed %d",
                   (double)elapsed_ms(demo, demo->start_ns) / 1000, bar, demo->sent, demo->handled,
                   demo->kills_done);
    ow_log_set_status_line(line);
}

/* What must be handled before the next kill: they come at even distances. */
static int64_t next_kill_at(const struct demo *demo)
{
    return demo->records * (demo->kills_done + 1) / (demo->kills + 1);
}

static enum ow_status send_one(struct demo *demo, struct ow_err *err)
{
    struct ow_record record;
    const bool more = ow_demo_events_next(demo->events, &record);
    OW_INVARIANT(more); /* due is never more than there are */
    OW_TRY(ow_kafka_producer_send(demo->producer, &record, err));
    demo->sent++;
    demo->bytes += (int64_t)(record.key.len + record.value.len);
    if (demo->sent == demo->records) {
        OW_TRY(ow_kafka_producer_flush(demo->producer, STOP_MS, err));
        say(demo, "the shop has sent all of its %" PRId64 " records", demo->records);
    }
    return OW_OK;
}

/*
 * Sends what is due by now, so that it takes demo->seconds in all; but holds the rest back until
 * the next kill was made, so that every killed worker leaves work behind.
 */
static enum ow_status send_due(struct demo *demo, struct ow_err *err)
{
    int64_t due = demo->records * elapsed_ms(demo, demo->start_ns) / (demo->seconds * 1000);
    const int64_t held_back_from = next_kill_at(demo) + demo->records / (demo->kills + 1) / 2;
    if (demo->kills_done < demo->kills && due > held_back_from) {
        due = held_back_from;
    }
    if (due > demo->records) {
        due = demo->records;
    }
    while (demo->sent < due) {
        OW_TRY(send_one(demo, err));
    }
    /* On average half of what a partition may hold: see RECORDS_MAX. */
    OW_INVARIANT(demo->bytes / 2 / PARTITIONS < OW_KAFKA_MOCK_PARTITION_BYTES / 2);
    return OW_OK;
}

static enum ow_status start_worker(struct demo *demo, struct ow_err *err)
{
    OW_TRY(ow_demo_worker_start(&demo->worker, err));
    demo->handled_start = demo->handled;
    demo->moved_ns = ow_clock_elapsed_ns(&demo->clock);
    return OW_OK;
}

/* Never before this worker has made progress. */
static enum ow_status kill_if_due(struct demo *demo, struct ow_err *err)
{
    if (demo->kills_done >= demo->kills || demo->handled == demo->handled_start ||
        demo->handled < next_kill_at(demo)) {
        return OW_OK;
    }
    ow_demo_worker_kill(&demo->worker);
    demo->kills_done++;
    say(demo, "killed the worker (SIGKILL %d of %" PRId64 ") after %" PRId64 " records",
        demo->kills_done, demo->kills, demo->handled);
    return start_worker(demo, err);
}

/* A store that is not there yet, or busy with its recovery, is looked at again a moment later. */
static void look(struct demo *demo)
{
    struct ow_survey_counters counters;
    struct ow_err ignored;
    if (ow_survey_counters(demo->folder.store, &counters, &ignored) == OW_OK &&
        counters.records > demo->handled) {
        demo->handled = counters.records;
        demo->moved_ns = ow_clock_elapsed_ns(&demo->clock);
    }
}

static enum ow_status check_worker(struct demo *demo, struct ow_err *err)
{
    int code = 0;
    if (ow_demo_worker_ended(&demo->worker, &code)) {
        return ow_fail(err, OW_FAILED, "the worker ended by itself with exit code %d: see %s", code,
                       demo->folder.log);
    }
    if (elapsed_ms(demo, demo->moved_ns) > STUCK_MS) {
        return ow_fail(err, OW_FAILED, "the worker has handled nothing for %d s: see %s",
                       STUCK_MS / 1000, demo->folder.log);
    }
    return OW_OK;
}

/* Waits a tick. False: somebody wants us to end. */
static bool wait_tick(const struct demo *demo)
{
    const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    const int number = sigtimedwait(&demo->signals, NULL, &tick);
    return number != SIGINT && number != SIGTERM && number != SIGHUP;
}

static enum ow_status play(struct demo *demo, struct ow_err *err)
{
    OW_TRY(start_worker(demo, err));
    say(demo, "a worker is started: joining a group takes the mock cluster 3 s");
    while (demo->handled < demo->records) {
        OW_TRY(send_due(demo, err));
        look(demo);
        show_progress(demo);
        OW_TRY(check_worker(demo, err));
        OW_TRY(kill_if_due(demo, err));
        if (!wait_tick(demo)) {
            return ow_fail(err, OW_FAILED, "interrupted; what there is, is in %s",
                           demo->folder.path);
        }
    }
    const int code = ow_demo_worker_stop(&demo->worker, STOP_MS);
    if (code != 0) {
        return ow_fail(err, OW_FAILED, "the worker stopped with exit code %d: see %s", code,
                       demo->folder.log);
    }
    say(demo, "the worker has handled them all, and stopped");
    return OW_OK;
}

static enum ow_status prepare(struct demo *demo, const char *keep, struct ow_err *err)
{
    static const struct ow_kafka_mock_topic topics[] = {
        {"order-events",   PARTITIONS},
        {"payment-events", PARTITIONS}
    };
    OW_TRY(ow_demo_folder_open(&demo->folder, keep, err));
    OW_TRY(ow_kafka_mock_start(topics, sizeof(topics) / sizeof(topics[0]), &demo->mock, err));
    const struct ow_kafka_property properties[] = {
        {"bootstrap.servers", ow_kafka_mock_bootstraps(demo->mock)}
    };
    OW_TRY(ow_kafka_producer_open(properties, 1, &demo->producer, err));
    OW_TRY(ow_demo_folder_write(&demo->folder, ow_kafka_mock_bootstraps(demo->mock), err));
    demo->worker = (struct ow_demo_worker){.config = demo->folder.config, .log = demo->folder.log};
    demo->start_ns = ow_clock_elapsed_ns(&demo->clock);
    demo->shown_ns = demo->start_ns;
    demo->events =
        ow_demo_events_open(demo->records, (uint64_t)demo->seed, ow_clock_now_ms(&demo->clock),
                            demo->seconds * 1000000 / demo->records);
    return OW_OK;
}

static enum ow_status run_all(struct demo *demo, const char *keep, struct ow_err *err)
{
    OW_TRY(prepare(demo, keep, err));
    say(demo,
        "a mock cluster and a shop that sends %" PRId64 " records within %" PRId64
        " s; all is in %s",
        demo->records, demo->seconds, demo->folder.path);
    OW_TRY(play(demo, err));
    if (demo->terminal) {
        ow_log_set_status_line(NULL);
    }
    struct ow_demo_facts facts = {.folder = &demo->folder,
                                  .kills = demo->kills_done,
                                  .seconds = (double)elapsed_ms(demo, demo->start_ns) / 1000};
    ow_demo_events_expected(demo->events, &facts.expected);
    return ow_demo_report(&facts, err);
}

/* What can hang in the mock is left behind: the process ends anyway. */
static void clean_up(struct demo *demo)
{
    if (demo->terminal) {
        ow_log_set_status_line(NULL);
    }
    ow_demo_worker_kill(&demo->worker);
    ow_demo_events_close(demo->events);
    (void)ow_kafka_producer_close(demo->producer, CLOSE_MS);
    (void)ow_kafka_mock_stop(demo->mock, CLOSE_MS);
}

/* An option that is a number from least to most. */
static bool take_number(const struct ow_invocation *invocation, const char *name, int64_t least,
                        int64_t most, int64_t *value)
{
    const char *text = ow_invocation_value(invocation, name);
    int64_t number = 0;
    if (text == NULL) {
        return true;
    }
    if (!ow_parse_i64(ow_slice_of(text), &number) || number < least || number > most) {
        (void)ow_command_refuse(invocation->command,
                                "--%s '%s': expects a number from %" PRId64 " to %" PRId64, name,
                                text, least, most);
        return false;
    }
    *value = number;
    return true;
}

static int run_demo(int argc, char **argv)
{
    struct ow_invocation invocation;
    int exit_code = 0;
    if (!ow_command_parse(&ow_command_demo, argc, argv, &invocation, &exit_code)) {
        return exit_code;
    }
    struct demo demo = {
        .records = 20000, .kills = 3, .seed = 1, .seconds = 12, .clock = ow_clock_system()};
    if (!take_number(&invocation, "records", 1, RECORDS_MAX, &demo.records) ||
        !take_number(&invocation, "kills", 0, KILLS_MAX, &demo.kills) ||
        !take_number(&invocation, "seed", 0, INT64_MAX, &demo.seed) ||
        !take_number(&invocation, "seconds", 1, SECONDS_MAX, &demo.seconds)) {
        return ow_status_exit_code(OW_BAD_CONFIG);
    }
    if (demo.kills * 10 > demo.records) {
        return ow_command_refuse(&ow_command_demo, "--kills: at least ten records for each");
    }
    if (invocation.operand_count > 0) {
        return ow_command_refuse(&ow_command_demo, "unexpected '%s'", invocation.operands[0]);
    }
    demo.terminal = isatty(STDERR_FILENO) == 1;
    /* Before the first thread, so that all inherit it: signals are taken by wait_tick alone. */
    const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    (void)sigemptyset(&demo.signals);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        (void)sigaddset(&demo.signals, taken[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &demo.signals, NULL);
    struct ow_err err;
    const enum ow_status status = run_all(&demo, ow_invocation_value(&invocation, "keep"), &err);
    clean_up(&demo);
    return status == OW_OK ? 0 : ow_command_fail(status, &err);
}

static const struct ow_argument arguments[] = {
    {.name = "records",                                            .value = "N", .text = "How many records the shop sends (default: 20000)."},
    {.name = "kills", .value = "N", .text = "How often the worker is killed (default: 3)."},
    {.name = "seed",                                              .value = "N", .text = "Another seed makes other events (default: 1)."},
    {.name = "seconds",
     .value = "N",
     .text = "How long the shop takes to send them (default: 12)."},
    {.name = "keep",
     .value = "DIR",
     .text = "Where the database goes (default: a new folder under $TMPDIR)."},
    {.name = NULL    },
};

const struct ow_command ow_command_demo = {
    .name = "demo",
    .summary = "show it: a shop's events, a worker that is killed, and each payment once",
    .usage = "[--records N] [--kills N] [--seed N] [--seconds N] [--keep DIR]",
    .arguments = arguments,
    .text = "Needs no broker and no configuration, and takes some 20 s. This process hosts "
            "librdkafka's mock cluster\n"
            "and sends events with redeliveries, conflicts, early and malformed ones; a worker "
            "consumes them and is\n"
            "killed with SIGKILL several times. At the end the database is compared with what was "
            "sent: exit code 3\n"
            "where it differs.",
    .run = run_demo,
};
