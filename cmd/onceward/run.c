/* `onceward run`: the worker. Wiring only: configuration, store, source, threads, and what is said
 * at the end. */
#include "base/failpoint.h"
#include "command.h"
#include "config.h"
#include "engine/consume.h"
#include "http/admin.h"
#include "kafka/source.h"
#include "output.h"
#include "ow_version.h"
#include "run_progress.h"
#include "run_retention.h"
#include "run_standby.h"
#include "run_watchdog.h"
#include "store/inflight.h"
#include "store/store.h"
#include "store/survey.h"

#include <jansson.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_BROKER_MS = 60000, CLOSE_MS = 5000, ANSWERS_MS = 5000 };

static atomic_bool stop_flag;

static void take_signal(int signal_number)
{
    (void)signal_number;
    atomic_store(&stop_flag, true);
}

/* The first signal asks for a clean stop, a second one of the same kind kills: a crash does no
 * harm. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = take_signal, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

struct run {
    const struct ow_invocation *invocation;
    struct ow_config config;
    struct ow_store *store;
    struct ow_inflight inflight;
    struct ow_source *source;
    struct ow_worker *worker;
    struct ow_watchdog *watchdog; /* NULL: limits.watchdog is 0 */
    struct ow_http_admin admin;
    bool leave; /* a thread is left behind */
    struct ow_run_retention retention;
    struct ow_run_progress progress;
    struct ow_clock clock;
    char instance_id[64];
    bool until_end;
};

/* What is known of the group before the store is open. */
static struct ow_kafka_options source_options(struct run *run)
{
    struct ow_kafka_options options = {.group = run->config.group,
                                       .properties = run->config.properties,
                                       .property_count = run->config.property_count};
    options.topics =
        ow_machines_topics(&run->config.machines, &run->config.arena, &options.topic_count);
    return options;
}

/* Without its notes the worker works all the same. */
static void open_inflight(struct run *run)
{
    struct ow_err why = {.text = ""};
    if (ow_inflight_open(run->store, &run->inflight, &why) != OW_OK) {
        ow_log(OW_LOG_WARN, "inflight_none", "error=\"%s\"", why.text);
    } else if (run->inflight.adopted == OW_ADOPTED_DAMAGED) {
        ow_log(OW_LOG_WARN, "inflight_damaged", "begun=anew");
    }
}

static void tell_begin(const char *doing, void *context)
{
    const struct run *const run = context;
    ow_pulse_beat(ow_watchdog_poll(run->watchdog), doing); /* NULL: it rests */
}

/* The store is still NULL where a standby was told to stop. */
static enum ow_status open_store(struct run *run, const struct ow_kafka_options *source,
                                 struct ow_err *err)
{
    struct ow_run_standby standby = {
        .config = &run->config, .source = source, .clock = run->clock, .stop = &stop_flag};
    const bool waits = ow_invocation_has(run->invocation, "standby");
    const struct ow_store_options options = {.path = run->config.store_path,
                                             .hash_key_file = run->config.hash_key_file,
                                             .restored =
                                                 ow_invocation_has(run->invocation, "restored"),
                                             .clock = run->clock,
                                             .wal_bytes = run->config.wal_bytes,
                                             .wait_owner = waits ? ow_run_standby_wait : NULL,
                                             .wait_context = &standby,
                                             .begins = tell_begin,
                                             .begins_context = run};
    const enum ow_status status = ow_store_open(&options, &run->config.machines, &run->store, err);
    if (standby.status != OW_OK) {
        *err = standby.err;
        return standby.status;
    }
    if (standby.waits && status == OW_OK) {
        ow_log(OW_LOG_INFO, "takeover", "waited_ms=%lld",
               (long long)ow_run_standby_waited_ms(&standby));
        OW_FAILPOINT(START_STANDBY);
    }
    if (status == OW_OK) {
        open_inflight(run);
    }
    return standby.waits && atomic_load(&stop_flag) && status == OW_TEMPORARY ? OW_OK : status;
}

/*
 * A topic that is not there is never assigned, silently: that is said. One of them may come later
 * (its partitions are then assigned by a rebalance), but with none there is nothing to do.
 */
static enum ow_status look_at_topics(struct run *run, const char *const *topics, size_t topic_count,
                                     struct ow_err *err)
{
    size_t found = 0;
    for (size_t i = 0; i < topic_count; i++) {
        int32_t partition_count = 0;
        const enum ow_status status =
            run->source->ops->partition_count(run->source, topics[i], &partition_count, err);
        if (status == OW_TEMPORARY && !run->until_end) {
            ow_log(OW_LOG_WARN, "broker_away", "error=\"%s\"", err->text);
            return OW_OK; /* it is waited for */
        }
        OW_TRY(status);
        if (partition_count == 0) {
            ow_log(OW_LOG_WARN, "topic_missing", "topic=%s", topics[i]);
        }
        found += partition_count > 0;
    }
    return found > 0
               ? OW_OK
               : ow_fail(err, OW_TEMPORARY, "the broker has none of the machines' topics (%s%s)",
                         topics[0], topic_count > 1 ? " and others" : "");
}

static enum ow_status open_source(struct run *run, struct ow_kafka_options *options,
                                  struct ow_err *err)
{
    (void)snprintf(run->instance_id, sizeof(run->instance_id), "onceward-%s",
                   ow_store_id(run->store));
    options->instance_id = run->instance_id;
    OW_TRY(ow_kafka_source_open(options, &run->source, err));
    OW_TRY(ow_run_retention_ask(&run->retention, &run->config, run->source, err));
    OW_TRY(look_at_topics(run, options->topics, options->topic_count, err));
    return ow_run_retention_settle(&run->retention, err);
}

static enum ow_status start_worker(struct run *run, struct ow_err *err)
{
    const struct ow_worker_options options = {
        .apply = {.store = run->store,
                  .machines = &run->config.machines,
                  .clock = run->clock,
                  .record_bytes_max = (size_t)run->config.record_bytes,
                  .claim_skew_ms = run->config.claim_skew_ms,
                  .suspects = run->inflight.suspects},
        .batch_rows = (size_t)run->config.batch_rows,
        .batch_bytes = (size_t)run->config.batch_bytes,
        .batch_ms = run->config.batch_ms,
        .decode_threads = (size_t)run->config.decode_threads,
        .watchdog = run->watchdog,
    };
    return ow_worker_start(&options, &run->worker, err);
}

/* What the worker answers to commands. It is no reason to stop where that cannot be. */
static void start_admin(struct run *run)
{
    const char *socket_path =
        ow_arena_printf(&run->config.arena, "%s.sock", ow_store_path(run->store));
    const struct ow_http_admin_options options = {.socket_path = socket_path,
                                                  .version = OW_VERSION,
                                                  .commit = OW_COMMIT,
                                                  .store_id = ow_store_id(run->store),
                                                  .epoch = ow_store_epoch(run->store),
                                                  .worker = run->worker,
                                                  .clock = run->clock};
    struct ow_err err;
    if (ow_http_admin_start(&run->admin, &options, &err) != OW_OK) {
        ow_log(OW_LOG_WARN, "no_admin_socket", "error=\"%s\" effect=\"backups only while stopped\"",
               err.text);
    }
}

/* Nobody may wait for a job any more when the worker goes. */
static void stop_worker(struct run *run)
{
    if (!ow_http_admin_stop(&run->admin, ANSWERS_MS)) {
        ow_log(OW_LOG_WARN, "answer_timeout", "ms=%d", ANSWERS_MS);
        run->leave = true;
    }
    ow_worker_stop(run->worker);
    run->worker = NULL;
}

static void show_progress(const struct ow_progress *state, void *context)
{
    struct run *const run = context;
    ow_run_retention_look(&run->retention);
    ow_run_progress_show(state, &run->progress);
}

static enum ow_status consume(struct run *run, struct ow_err *err)
{
    ow_run_progress_init(&run->progress);
    const struct ow_consume_options options = {
        .source = run->source,
        .worker = run->worker,
        .machines = &run->config.machines,
        .clock = run->clock,
        .store_id = ow_store_id(run->store),
        .epoch = ow_store_epoch(run->store),
        .start = run->config.start,
        .start_time_ms = run->config.start_ms,
        .skips_honoured = run->config.skips_honoured,
        .restored = ow_invocation_has(run->invocation, "restored"),
        .restored_epoch = ow_store_restored_epoch(run->store),
        .until_end = run->until_end,
        .wait_broker_ms = WAIT_BROKER_MS,
        .stop = &stop_flag,
        .watchdog = run->watchdog,
        .progress = show_progress,
        .progress_context = run,
    };
    const enum ow_status status = ow_consume(&options, err);
    ow_run_progress_done(&run->progress);
    return status;
}

/* Why records of this run were met more than once, by cause. */
static json_t *duplicates_of(const struct ow_totals *totals)
{
    const int64_t same_id = totals->counts[OW_OUTCOME_DUPLICATE] - totals->other_channel;
    return json_pack("{s:I, s:I, s:I, s:I}", "same_offset", (json_int_t)totals->same_offset,
                     "same_id", (json_int_t)same_id, "other_channel",
                     (json_int_t)totals->other_channel, "replay", (json_int_t)totals->reread);
}

static void print_duplicates(const struct ow_totals *totals)
{
    OW_JSON *causes = duplicates_of(totals);
    const char *cause = NULL;
    json_t *count = NULL;
    const char *before = "met more than once: ";
    json_object_foreach(causes, cause, count)
    {
        if (json_integer_value(count) > 0) {
            (void)printf("%s%s %lld", before, cause, (long long)json_integer_value(count));
            before = ", ";
        }
    }
    (void)printf("%s", before[0] == ',' ? "\n" : "");
}

/* What is said of a finished --until-end: this run's speed, and the store's totals. */
static enum ow_status print_summary(struct run *run, enum ow_output output,
                                    const struct ow_totals *totals, double seconds,
                                    struct ow_err *err)
{
    struct ow_survey_counters counters;
    OW_TRY(ow_survey_counters(run->config.store_path, &counters, err));
    const double rate = seconds > 0 ? (double)totals->records / seconds : 0;
    OW_JSON *total = json_object();
    for (size_t i = 0; i < OW_OUTCOME_COUNT; i++) {
        (void)json_object_set_new(total, ow_outcome_text((enum ow_outcome)i),
                                  json_integer(counters.counts[i]));
    }
    (void)json_object_set_new(total, "reread", json_integer(counters.reread));
    if (output != OW_OUTPUT_TABLE) {
        OW_JSON *summary =
            json_pack("{s:{s:I,s:f,s:f,s:o},s:O}", "run", "records", (json_int_t)totals->records,
                      "seconds", seconds, "records_per_second", rate, "duplicates",
                      duplicates_of(totals), "total", total);
        ow_output_json(output, summary);
        return OW_OK;
    }
    (void)printf("%lld records in %.1f s (%.0f records/s)\n", (long long)totals->records, seconds,
                 rate);
    print_duplicates(totals);
    (void)printf("\nin the store %s:\n", run->config.store_path);
    for (size_t i = 0; i < OW_OUTCOME_COUNT; i++) {
        (void)printf("  %-12s %12lld\n", ow_outcome_text((enum ow_outcome)i),
                     (long long)counters.counts[i]);
    }
    if (counters.reread > 0) {
        (void)printf("  %-12s %12lld\n", "reread", (long long)counters.reread);
    }
    return OW_OK;
}

static enum ow_status run_all(struct run *run, enum ow_output output, struct ow_err *err)
{
    struct ow_kafka_options source = source_options(run);
    OW_TRY(ow_run_watchdog_open(run->config.watchdog_ms, &run->inflight, &run->watchdog, err));
    struct ow_pulse *const pulse = ow_watchdog_poll(run->watchdog);
    OW_TRY(open_store(run, &source, err));
    if (run->store == NULL) {
        return OW_OK; /* told to stop while it waited */
    }
    ow_pulse_rest(pulse); /* what is asked of the brokers has deadlines of its own */
    OW_TRY(open_source(run, &source, err));
    ow_pulse_beat(pulse, "starting the worker");
    OW_TRY(start_worker(run, err));
    start_admin(run);
    ow_log(OW_LOG_INFO, "started", "store=%s store_id=%s epoch=%lld group=%s",
           run->config.store_path, ow_store_id(run->store), (long long)ow_store_epoch(run->store),
           run->config.group);
    const int64_t start_ns = ow_clock_elapsed_ns(&run->clock);
    OW_TRY(consume(run, err));
    const double seconds = (double)(ow_clock_elapsed_ns(&run->clock) - start_ns) / 1e9;
    const struct ow_totals totals = ow_worker_totals(run->worker);
    ow_pulse_beat(pulse, "stopping");
    stop_worker(run);
    ow_suspects_clear(run->inflight.suspects);
    ow_log(OW_LOG_INFO, "stopped", "records=%lld batches=%lld seconds=%.1f",
           (long long)totals.records, (long long)totals.batches, seconds);
    return run->until_end && !atomic_load(&stop_flag)
               ? print_summary(run, output, &totals, seconds, err)
               : OW_OK;
}

/*
 * The store first, the client last and with a deadline: librdkafka may hang or crash in closing,
 * and may do so. A clean end writes the WAL back and takes the time that this takes: who asked for
 * it knows how long to wait.
 */
static void close_all(struct run *run, int exit_code)
{
    struct ow_pulse *const pulse = ow_watchdog_poll(run->watchdog);
    ow_pulse_beat(pulse, "stopping");
    if (run->worker != NULL) {
        stop_worker(run);
    }
    ow_inflight_close(&run->inflight);
    ow_pulse_beat(pulse, exit_code == 0 ? NULL : "closing the store");
    ow_store_close(run->store);
    OW_FAILPOINT(CLOSE_STORE);
    ow_pulse_rest(pulse); /* the client has a deadline of its own */
    ow_run_retention_done(&run->retention);
    if (run->source != NULL && !run->source->ops->close(run->source, CLOSE_MS)) {
        ow_log(OW_LOG_WARN, "close_timeout", "ms=%d", CLOSE_MS);
        run->leave = true;
    }
    if (run->leave) {
        (void)fflush(NULL);
        _exit(exit_code);
    }
    ow_watchdog_close(run->watchdog);
    ow_config_done(&run->config);
}

static int run_command(int argc, char **argv)
{
    struct ow_invocation invocation;
    int exit_code = 0;
    if (!ow_command_parse(&ow_command_run, argc, argv, &invocation, &exit_code)) {
        return exit_code;
    }
    if (invocation.operand_count > 0) {
        return ow_command_refuse(&ow_command_run, "unexpected argument '%s'",
                                 invocation.operands[0]);
    }
    enum ow_output output = OW_OUTPUT_TABLE;
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_run, "expects --output table, json or jsonl");
    }
    struct run run = {.invocation = &invocation,
                      .clock = ow_clock_system(),
                      .until_end = ow_invocation_has(&invocation, "until-end")};
    const struct ow_config_source source = ow_config_source_of(&invocation);
    struct ow_err err = {.text = ""};
    catch_signals();
    enum ow_status status = ow_config_load(&source, &run.config, &err);
    if (status == OW_OK) {
        status = run_all(&run, output, &err);
    }
    exit_code = status == OW_OK ? 0 : ow_command_fail(status, &err);
    close_all(&run, exit_code);
    return exit_code;
}

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    {.name = "until-end",
      .text = "Stop, with a summary, at the topics' ends as they are at the start."},
    {.name = "standby",
      .text = "Where another process owns the store, wait for its end and take over; else exit 75."},
    {.name = "restored",
      .text = "The store is older than what the group has seen: a copy put back without restore."},
    OW_ARGUMENT_OUTPUT,
    {.name = NULL                                                                           },
};

const struct ow_command ow_command_run = {
    .name = "run",
    .summary = "consume the topics of the machines, each event once",
    .usage = "[-c FILE] [--set KEY=VALUE]... [--until-end] [--standby] [-o FORMAT]",
    .arguments = arguments,
    .text =
        "Runs until SIGTERM or SIGINT: then the batch in work is finished, its offsets are "
        "committed, and the exit\n"
        "code is 0. Killed at any moment, it goes on at the next start where it was.\n"
        "With the default limits and one broker it takes at most 768 MiB of memory and 2 bytes "
        "a claim, 32 threads,\n"
        "64 descriptors, and a write-ahead log of 128 MiB (limits.wal_bytes while somebody reads "
        "an old state). While the\n"
        "disk is full it waits, and goes on by itself.\n"
        "One process owns a store. A second one ends with 75 at once; with --standby it checks "
        "what it can (configuration,\n"
        "machines, store), then waits without touching the group and says so once a minute. It "
        "takes over when the owner\n"
        "has ended, however that was, under the same static membership, so that the group "
        "hands over at once. Any number\n"
        "may wait, and one of them gets the store.\n"
        "A record of which the process dies is found by notes in <store>.inflight: after two "
        "deaths, what was in work\n"
        "is handled one by one; what was in work alone three times is quarantined as poison "
        "(the last time after a\n"
        "second of standing still, in case something else kills the process). Somebody must "
        "start it again each\n"
        "time, as systemd does; a clean stop clears the notes. Where it dies of one record "
        "after another, it is not the\n"
        "records: after eight, with fewer than 1,000 between one and the next, it ends with 4 "
        "at each start, and quarantines\n"
        "no more, until what kills it is repaired and <store>.inflight deleted. An end by "
        "limits.watchdog counts for a record\n"
        "that is read or judged, and not where the store or the broker stands still.\n"
        "At the start it compares how long claims are kept (claim.retention) with how long the "
        "topics keep records\n"
        "(retention.ms) and with claims.backups, and warns where claims are kept for less, or "
        "where the brokers do not\n"
        "tell. With claims.strict it does not start then: exit code 4, also where the brokers "
        "refuse to tell (it takes\n"
        "the right DescribeConfigs on the topics), or 75 where they do not answer within 10 s.",
    .run = run_command,
};
