#include "base/log.h"
#include "claims_seed.h"
#include "engine/assign.h"
#include "kafka/reader.h"

#include <inttypes.h>
#include <stdio.h>

/* A broker that is quiet for longer does not answer any more. */
static const int64_t quiet_ns = INT64_C(60) * 1000000000;
enum { POLL_MS = 200, CLOSE_MS = 5000 };

struct reading {
    struct ow_claims_seed *seed;
    struct ow_kafka_reader *reader;
    struct ow_kafka_range *ranges; /* what is below the worker's beginning */
    size_t count;
    int64_t done, goal;             /* offsets */
    struct ow_arena arena, scratch; /* of the reading; of one record */
};

/*
 * Where the worker will begin, by its own rule (ow_position_resume): what lies below it will never
 * come to it, what lies above must not be claimed. -1: kafka.start decides.
 */
static enum ow_status find_begin(const struct reading *reading,
                                 const struct ow_partition_offset *committed,
                                 const struct ow_position *position, int64_t *ret_offset,
                                 struct ow_err *err)
{
    const struct ow_seed_session *session = &reading->seed->session;
    const struct ow_consume_options next = {
        .store_id = ow_store_id(session->store),
        .epoch = ow_store_epoch(session->store),
        .restored_epoch = ow_store_restored_epoch(session->store),
        .skips_honoured = session->config.skips_honoured,
    };
    const struct ow_durable durable = ow_durable_of(position);
    const struct ow_assignment_facts facts = ow_assign_facts(&next, &durable, committed);
    enum ow_resume resume = OW_RESUME_START;
    OW_TRY(ow_position_resume(&facts, &resume, ret_offset, err));
    if (resume == OW_RESUME_START) {
        *ret_offset = -1;
    } else if (resume == OW_RESUME_SKIPPED) {
        *ret_offset = facts.next_offset;
    }
    return OW_OK;
}

static enum ow_status plan(struct reading *reading, struct ow_err *err)
{
    struct ow_position *positions = NULL;
    size_t all = 0;
    size_t begun = 0;
    int32_t members = 0;
    const struct ow_kafka_range *ranges = ow_kafka_reader_ranges(reading->reader, &all);
    struct ow_partition_offset *committed =
        OW_ARENA_ARRAY(&reading->arena, all, struct ow_partition_offset);
    reading->ranges = OW_ARENA_ARRAY(&reading->arena, all, struct ow_kafka_range);
    OW_TRY(ow_store_positions(reading->seed->session.store, &reading->arena, &positions, err));
    OW_TRY(ow_kafka_reader_committed(reading->reader, committed, &members, err));
    for (size_t i = 0; i < all; i++) {
        struct ow_kafka_range range = ranges[i];
        int64_t begin = -1;
        OW_TRY(find_begin(reading, &committed[i],
                          ow_position_find(positions, ow_slice_of(range.topic), range.partition),
                          &begin, err));
        begun += begin >= 0;
        range.until = begin < range.high ? begin : range.high;
        ow_log(OW_LOG_INFO, "seed_plan", "topic=%s partition=%d low=%" PRId64 " begin=%" PRId64,
               range.topic, (int)range.partition, range.low, begin);
        if (range.until > range.low) {
            reading->ranges[reading->count++] = range;
            reading->goal += range.until - range.low;
        }
    }
    if (begun == 0) {
        return ow_fail(err, OW_FAILED,
                       "group '%s' has committed no offset in any topic of the machines: is "
                       "kafka.group the group of the consumer that is taken over?",
                       reading->seed->session.config.group);
    }
    if (members > 0) {
        (void)fprintf(stderr,
                      "onceward: somebody is in group '%s' still (%d): what it handles from now on "
                      "is not claimed; stop it and seed once more before the worker is started\n",
                      reading->seed->session.config.group, (int)members);
    }
    return OW_OK;
}

/* A record that is no event is nothing to be claimed: its outcome would have been quarantine, or
 * to be filtered. */
static enum ow_status take_record(struct reading *reading, const struct ow_kafka_range *range,
                                  const struct ow_record *record, struct ow_err *err)
{
    struct ow_claims_seed *seed = reading->seed;
    struct ow_event event;
    ow_arena_reset(&reading->scratch);
    ow_event_decode(&seed->session.apply.decoder, record, &reading->scratch, &event);
    seed->read++;
    if (event.verdict == OW_OUTCOME_FILTERED) {
        seed->filtered++;
        return OW_OK;
    }
    if (event.verdict != OW_OUTCOME_APPLIED) {
        seed->session.bad++;
        return OW_OK;
    }
    struct ow_seed_claim claim = {
        .retention_ms = event.event->claim->retention_ms,
        .at_ms = OW_SEED_NO_TIME,
        .record = {.topic = ow_slice_of(range->topic),
                   .partition = range->partition,
                   .offset = record->offset}
    };
    memcpy(claim.key, event.key, sizeof(claim.key));
    memcpy(claim.fingerprint, event.fingerprint, sizeof(claim.fingerprint));
    return ow_claims_seed_add(seed, &claim, err);
}

static enum ow_status read_all(struct reading *reading, struct ow_err *err)
{
    const struct ow_clock clock = ow_clock_system();
    struct ow_kafka_read read;
    int64_t heard_ns = ow_clock_elapsed_ns(&clock);
    size_t ended = 0;
    OW_TRY(ow_kafka_reader_assign(reading->reader, reading->ranges, reading->count, err));
    while (ended < reading->count) {
        OW_TRY(ow_kafka_reader_poll(reading->reader, POLL_MS, &read, err));
        const int64_t now_ns = ow_clock_elapsed_ns(&clock);
        if (read.kind == OW_KAFKA_READ_IDLE && now_ns - heard_ns > quiet_ns) {
            return ow_fail(err, OW_TEMPORARY, "nothing came of the topics for 60 s");
        }
        heard_ns = read.kind == OW_KAFKA_READ_IDLE ? heard_ns : now_ns;
        if (read.kind == OW_KAFKA_READ_RECORD) {
            OW_TRY(take_record(reading, &reading->ranges[read.range], &read.record, err));
            reading->done++;
            ow_read_progress_show(&reading->seed->session.progress, "seeding claims", reading->done,
                                  reading->goal);
        } else if (read.kind == OW_KAFKA_READ_TALK) {
            (void)fprintf(stderr, "onceward: %s\n", read.err.text);
        }
        ended += read.kind == OW_KAFKA_READ_END;
    }
    return ow_claims_seed_flush(reading->seed, err);
}

static enum ow_status read_topics(struct reading *reading, struct ow_err *err)
{
    struct ow_config *config = &reading->seed->session.config;
    struct ow_kafka_options options = {.group = config->group,
                                       .properties = config->properties,
                                       .property_count = config->property_count};
    options.topics = ow_machines_topics(&config->machines, &reading->arena, &options.topic_count);
    reading->seed->session.apply.decoder.record_bytes_max = (size_t)config->record_bytes;
    OW_TRY(ow_kafka_reader_open(&options, &reading->reader, err));
    enum ow_status status = plan(reading, err);
    if (status == OW_OK) {
        status = read_all(reading, err);
    }
    if (!ow_kafka_reader_close(reading->reader, CLOSE_MS)) {
        /* librdkafka's threads are still at it: harmless, for nothing of ours is in their hands. */
        (void)fputs("onceward: the broker's side did not close in time\n", stderr);
    }
    return status;
}

enum ow_status ow_claims_seed_topic(struct ow_claims_seed *seed, struct ow_err *err)
{
    struct reading reading = {.seed = seed};
    ow_arena_init(&reading.arena, 4096);
    ow_arena_init(&reading.scratch, 65536);
    const enum ow_status status = read_topics(&reading, err);
    ow_arena_done(&reading.scratch);
    ow_arena_done(&reading.arena);
    return status;
}
