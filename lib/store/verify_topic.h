/*
 * verify_topic: holds what topics contain against a store: no record below the high mark is without
 * an outcome, and what the outcome says is there.
 *
 * It is given the records by whoever can read topics, partition by partition and each in order of
 * offsets, and looks the rows up through a connection of its own (mode=ro) in snapshots of at most
 * a second: a worker may go on. Threads: one. Memory: bounded: a page of the ledger and one record;
 * what is found lives in the arena. Failure: BAD_CONFIG, UNSAFE, FAILED; broken promises are a
 * result.
 */
#ifndef OW_STORE_VERIFY_TOPIC_H
#define OW_STORE_VERIFY_TOPIC_H

#include "base/clock.h"
#include "model/record.h"
#include "store/verify.h"

struct ow_verify_topic;

struct ow_verify_topic_options {
    const char *path;
    const char *hash_key_file; /* NULL: the key is in the store */
    size_t record_bytes_max;   /* the worker's limit */
    struct ow_clock clock;
};

enum ow_status ow_verify_topic_open(const struct ow_verify_topic_options *options,
                                    struct ow_arena *arena, struct ow_verify_topic **ret_topic,
                                    struct ow_err *err) OW_MUST_USE;
/* Those of the store's machines. Lives as long as the arena. */
const char *const *ow_verify_topic_names(struct ow_verify_topic *topic, size_t *ret_count);

/* A partition begins, of which the offsets from low to high (exclusive) are there. */
enum ow_status ow_verify_topic_begin(struct ow_verify_topic *topic, const char *name,
                                     int32_t partition, int64_t low, int64_t high,
                                     struct ow_err *err) OW_MUST_USE;
enum ow_status ow_verify_topic_record(struct ow_verify_topic *topic, const struct ow_record *record,
                                      struct ow_err *err) OW_MUST_USE;
/* All of its records were given. */
enum ow_status ow_verify_topic_end(struct ow_verify_topic *topic, struct ow_err *err) OW_MUST_USE;

/* What cannot be checked (any more), and what is no fault. */
struct ow_verify_topic_remarks {
    int64_t records;         /* that were read */
    int64_t not_handled;     /* at or above the high mark */
    int64_t before_start;    /* below the first position */
    int64_t skipped;         /* that an operator skipped, or gave up as lost */
    int64_t other_rule;      /* with a fingerprint under another rule: not compared */
    int64_t pruned;          /* whose claim may have been pruned */
    int64_t runs_gone;       /* ledger runs of which the topic does not hold all any more */
    const char *examples[5]; /* of these runs; NULL-terminated */
};

struct ow_verify_topic_result {
    const struct ow_promise *promises;
    size_t promise_count;
    struct ow_verify_topic_remarks remarks;
};
/* After the last partition. */
enum ow_status ow_verify_topic_finish(struct ow_verify_topic *topic,
                                      struct ow_verify_topic_result *ret_result, struct ow_err *err)
    OW_MUST_USE;
/* Takes NULL. */
void ow_verify_topic_close(struct ow_verify_topic *topic);

#endif
