#include "verify_topic.h"

#include "config.h"
#include "kafka/reader.h"
#include "read_progress.h"
#include "store/verify_topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A broker that is quiet for longer does not answer any more: a fetch takes a fraction of it, an
 * election some seconds. */
static const int64_t quiet_ns = INT64_C(60) * 1000000000;
enum { POLL_MS = 200, CLOSE_MS = 5000 };

struct reading {
    struct ow_kafka_reader *reader;
    struct ow_verify_topic *topic;
    struct ow_read_progress progress;
    struct ow_clock clock;
    int64_t done, goal; /* offsets of all partitions */
};

/* One partition after the other: what is found comes in order, and one page of its ledger is all
 * that is kept in memory. */
static enum ow_status read_partition(struct reading *reading, const struct ow_kafka_range *range,
                                     struct ow_err *err)
{
    struct ow_kafka_read read;
    int64_t heard_ns = ow_clock_elapsed_ns(&reading->clock);
    OW_TRY(ow_verify_topic_begin(reading->topic, range->topic, range->partition, range->low,
                                 range->high, err));
    OW_TRY(ow_kafka_reader_assign(reading->reader, range, 1, err));
    for (;;) {
        OW_TRY(ow_kafka_reader_poll(reading->reader, POLL_MS, &read, err));
        const int64_t now_ns = ow_clock_elapsed_ns(&reading->clock);
        if (read.kind == OW_KAFKA_READ_END) {
            reading->done += range->high - range->low;
            return ow_verify_topic_end(reading->topic, err);
        }
        if (read.kind == OW_KAFKA_READ_RECORD) {
            heard_ns = now_ns;
            OW_TRY(ow_verify_topic_record(reading->topic, &read.record, err));
            ow_read_progress_show(&reading->progress, "reading the topics",
                                  reading->done + read.record.offset - range->low, reading->goal);
        } else if (read.kind == OW_KAFKA_READ_TALK) {
            (void)fprintf(stderr, "onceward: %s\n", read.err.text);
        } else if (now_ns - heard_ns > quiet_ns) {
            return ow_fail(err, OW_TEMPORARY, "nothing came of topic %s partition %d for 60 s",
                           range->topic, (int)range->partition);
        }
    }
}

static enum ow_status read_partitions(struct reading *reading,
                                      struct ow_verify_topic_result *ret_result, struct ow_err *err)
{
    size_t count = 0;
    const struct ow_kafka_range *const ranges = ow_kafka_reader_ranges(reading->reader, &count);
    for (size_t i = 0; i < count; i++) {
        reading->goal += ranges[i].high - ranges[i].low;
    }
    for (size_t i = 0; i < count; i++) {
        OW_TRY(read_partition(reading, &ranges[i], err));
    }
    return ow_verify_topic_finish(reading->topic, ret_result, err);
}

static enum ow_status read_topics(struct reading *reading, const struct ow_config *config,
                                  struct ow_verify_topic_result *ret_result, struct ow_err *err)
{
    struct ow_kafka_options options = {.group = config->group,
                                       .properties = config->properties,
                                       .property_count = config->property_count};
    options.topics = ow_verify_topic_names(reading->topic, &options.topic_count);
    if (options.topic_count == 0) {
        return ow_fail(err, OW_FAILED, "the store has no machine yet: there is nothing to read");
    }
    OW_TRY(ow_kafka_reader_open(&options, &reading->reader, err));
    const enum ow_status status = read_partitions(reading, ret_result, err);
    ow_read_progress_done(&reading->progress);
    if (!ow_kafka_reader_close(reading->reader, CLOSE_MS)) {
        /* librdkafka's threads are still at it: harmless, for nothing of ours is in their hands. */
        (void)fputs("onceward: the broker's side did not close in time\n", stderr);
    }
    return status;
}

static void say_count(int64_t count, const char *what)
{
    if (count > 0) {
        (void)fprintf(stderr, "onceward: %" PRId64 " %s\n", count, what);
    }
}

static void say_remarks(const struct ow_verify_topic_remarks *remarks)
{
    (void)fprintf(stderr, "onceward: %" PRId64 " records were read\n", remarks->records);
    say_count(remarks->not_handled,
              "of them have not been handled yet: they are above the high mark");
    say_count(remarks->before_start, "of them are before the place where the worker started");
    say_count(remarks->skipped, "of them were skipped by an operator");
    say_count(remarks->pruned, "of them are so old that their claims may have been pruned");
    say_count(
        remarks->other_rule,
        "of them are claimed under another fingerprint rule, so fingerprints were not compared");
    say_count(
        remarks->runs_gone,
        "runs of the ledger cannot be checked any more, retention or compaction took records:");
    for (size_t i = 0; remarks->examples[i] != NULL; i++) {
        (void)fprintf(stderr, "onceward:   %s\n", remarks->examples[i]);
    }
}

/* One list, so that a table or an object shows them all. */
static void append_promises(struct ow_arena *arena, const struct ow_verify_topic_result *result,
                            struct ow_verification *verification)
{
    const size_t before = verification->promise_count;
    const size_t count = before + result->promise_count;
    struct ow_promise *const all = OW_ARENA_ARRAY(arena, count, struct ow_promise);
    for (size_t i = 0; i < count; i++) {
        all[i] = i < before ? verification->promises[i] : result->promises[i - before];
        verification->ok = verification->ok && all[i].broken == 0;
    }
    verification->promises = all;
    verification->promise_count = count;
}

enum ow_status ow_verify_topic_add(const struct ow_invocation *invocation, struct ow_arena *arena,
                                   struct ow_verification *verification, struct ow_err *err)
{
    const struct ow_config_source source = ow_config_source_of(invocation);
    struct ow_config config;
    struct ow_verify_topic_result result = {0};
    struct reading reading = {.clock = ow_clock_system()};
    OW_TRY(ow_config_load(&source, &config, err));
    const struct ow_verify_topic_options options = {
        .path = config.store_path,
        .hash_key_file = config.hash_key_file,
        .record_bytes_max = (size_t)config.record_bytes,
        .clock = reading.clock,
    };
    ow_read_progress_init(&reading.progress);
    enum ow_status status = ow_verify_topic_open(&options, arena, &reading.topic, err);
    if (status == OW_OK) {
        status = read_topics(&reading, &config, &result, err);
    }
    if (status == OW_OK) {
        say_remarks(&result.remarks);
        append_promises(arena, &result, verification);
    }
    ow_verify_topic_close(reading.topic);
    ow_config_done(&config);
    return status == OW_STORE_UNKNOWN ? OW_FAILED : status; /* nothing was being committed */
}
