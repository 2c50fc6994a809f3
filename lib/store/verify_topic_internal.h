/*
 * verify_topic_internal: what the files of verify_topic share. Private to lib/store.
 */
#ifndef OW_STORE_VERIFY_TOPIC_INTERNAL_H
#define OW_STORE_VERIFY_TOPIC_INTERNAL_H

#include "base/map.h"
#include "model/event.h"
#include "store/explain_machine.h"
#include "store/verify_topic.h"

/* X(NAME, name, meaning): names are stable. */
#define OW_TOPIC_PROMISE_TABLE(X)                                                                  \
    X(OUTCOMES, "topic_records_have_outcome",                                                      \
      "Each record below the high mark has an outcome, and what the outcome says can be seen.")    \
    X(RUNS, "topic_runs_match", "Each ledger run has as many records as the topic holds there.")   \
    X(CLAIMS, "topic_claims_match",                                                                \
      "Each record's key is claimed with its fingerprint, or another one where it is a conflict.") \
    X(HISTORY, "topic_history_matches",                                                            \
      "Each record that was applied at once has the history row of its message.")                  \
    X(ANCHORS, "topic_anchors_match",                                                              \
      "Each position's anchor is that of the last handled record: it is the same topic.")

enum ow_topic_promise {
#define OW_TOPIC_PROMISE_ENUM(name, text, meaning) OW_TOPIC_PROMISE_##name,
    OW_TOPIC_PROMISE_TABLE(OW_TOPIC_PROMISE_ENUM)
#undef OW_TOPIC_PROMISE_ENUM
        OW_TOPIC_PROMISE_COUNT
};

#define OW_TOPIC_STATEMENT_TABLE(X)                                                                \
    X(POSITION, "SELECT incarnation, next_offset, high_offset, anchor, began_ref FROM ow_position" \
                " WHERE topic = ? AND partition = ? ORDER BY incarnation DESC LIMIT 1")            \
    /* A topic that was made anew may have fewer partitions: those of an older incarnation than    \
     * others are over. */                                                                         \
    X(POSITIONS, "SELECT topic, partition FROM ow_position p GROUP BY topic, partition"            \
                 " HAVING max(incarnation) = (SELECT max(q.incarnation) FROM ow_position q"        \
                 " WHERE q.topic = p.topic) ORDER BY topic, partition")                            \
    X(LAST_RUN, "SELECT first_offset, last_offset, records, outcome FROM ow_ledger"                \
                " WHERE topic = ? AND partition = ? AND incarnation = ?"                           \
                " ORDER BY first_offset DESC LIMIT 1")                                             \
    X(RUNS, "SELECT first_offset, last_offset, records, outcome FROM ow_ledger"                    \
            " WHERE topic = ? AND partition = ? AND incarnation = ? AND first_offset > ?"          \
            " ORDER BY first_offset LIMIT ?")                                                      \
    X(CLAIM_IN, "SELECT fingerprint, ref FROM ow_claims WHERE bucket = ? AND key = ?")             \
    X(CLAIM, "SELECT c.fingerprint, c.ref, c.bucket FROM ow_bucket b CROSS JOIN ow_claims c"       \
             " WHERE c.bucket = b.bucket AND c.key = ?")                                           \
    X(PRUNED, "SELECT value"                                                                       \
              " FROM ow_meta WHERE key = 'pruned.' || ?1")                                         \
    X(HISTORY, "SELECT source, message_id, entity_id, event_type, topic, partition, offset"        \
               " FROM ow_history WHERE seq = ?")                                                   \
    X(SIGHTING, "SELECT 1 FROM ow_sighting WHERE ref = ? AND topic = ? AND partition = ?"          \
                " AND offset = ? AND (cause = 'stale') = ? LIMIT 1")                               \
    X(QUARANTINE,                                                                                  \
      "SELECT id, reason, machine FROM ow_quarantine WHERE topic = ? AND partition = ?"            \
      " AND offset = ? AND id >= ? ORDER BY id LIMIT 1")                                           \
    X(EXPIRED, "SELECT 1 FROM ow_quarantine WHERE id = ? AND reason = 'expired'"                   \
               " AND NOT (topic = ? AND partition = ? AND offset = ?)")                            \
    X(CONFLICT, "SELECT id FROM ow_quarantine WHERE conflict_ref = ?"                              \
                " AND conflict_fingerprint = ?")

enum ow_topic_statement_name {
#define OW_TOPIC_STATEMENT_ENUM(name, text) OW_TOPIC_STATEMENT_##name,
    OW_TOPIC_STATEMENT_TABLE(OW_TOPIC_STATEMENT_ENUM)
#undef OW_TOPIC_STATEMENT_ENUM
        OW_TOPIC_STATEMENT_COUNT
};

struct ow_topic_run {
    int64_t first_offset, last_offset, records;
    char outcome[16];
    int64_t found; /* records of the topic within it */
};

enum { OW_TOPIC_PAGE = 256 };

/* The partition that is being read, as the store had it when it began. */
struct ow_topic_partition {
    const char *name;
    int32_t number;
    int64_t low, high;
    bool has_position;
    int64_t incarnation, next_offset, high_offset, began_ref;
    bool has_anchor;
    uint8_t anchor[OW_CLAIM_KEY_BYTES];
    struct ow_topic_run last_run; /* a worker may go on: what it adds later is not looked at */
    int64_t first_offset;         /* of the ledger; INT64_MAX: it is empty */
    struct ow_topic_run *runs;    /* a page of them */
    size_t run_count, run;
    bool runs_ended; /* the page is the last one */
    /* Of the last record below next_offset. */
    int64_t handled_offset; /* -1: none was there */
    uint8_t handled_anchor[OW_CLAIM_KEY_BYTES];
};

struct ow_verify_topic {
    struct ow_verify_topic_options options;
    struct ow_arena *arena;
    struct ow_arena scratch; /* of one record */
    struct ow_sql sql;
    struct ow_statement statements[OW_TOPIC_STATEMENT_COUNT];
    int64_t began_ns; /* of the snapshot */
    struct ow_explain_machines machines;
    struct ow_hash_key hash_key;
    struct ow_decoder decoder; /* over the newest machines */
    int64_t claim_bucket;      /* where the last claim was found: the next one is near */
    struct ow_map begun;       /* "topic/partition" → itself: partitions that were read */
    struct ow_promise promises[OW_TOPIC_PROMISE_COUNT];
    struct ow_verify_topic_remarks remarks;
    struct ow_topic_partition partition;
    struct ow_topic_run *page; /* OW_TOPIC_PAGE of them */
};

static inline struct ow_statement *ow_topic_statement(struct ow_verify_topic *topic,
                                                      enum ow_topic_statement_name name)
{
    return &topic->statements[name];
}

void ow_verify_topic_checked(struct ow_verify_topic *topic, enum ow_topic_promise promise);
/* Counts a broken row and keeps the first few as examples, with the place before them. */
void ow_verify_topic_broken(struct ow_verify_topic *topic, enum ow_topic_promise promise,
                            int64_t offset, const char *format, ...) OW_PRINTF(4, 5);

/* verify_topic_run.c: from run to run as the offsets go. */
/* The run of the offset, NULL: there is none. Runs that end before it are held against what was
 * counted. */
enum ow_status ow_verify_topic_run_of(struct ow_verify_topic *topic, int64_t offset,
                                      struct ow_topic_run **ret_run, struct ow_err *err);
enum ow_status ow_verify_topic_run_begin(struct ow_verify_topic *topic, struct ow_err *err);
/* All that are left. */
enum ow_status ow_verify_topic_run_end(struct ow_verify_topic *topic, struct ow_err *err);

/* verify_topic_judge.c: whether what the outcome says is there. */
enum ow_status ow_verify_topic_judge(struct ow_verify_topic *topic, const struct ow_record *record,
                                     const char *outcome, struct ow_err *err);

#endif
