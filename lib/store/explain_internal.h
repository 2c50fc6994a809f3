/*
 * explain_internal: what the files of explain share. Private to lib/store.
 *
 * Memory: what is told lives in the caller's arena; what a row needs while it is looked at, in
 * `scratch`.
 */
#ifndef OW_STORE_EXPLAIN_INTERNAL_H
#define OW_STORE_EXPLAIN_INTERNAL_H

#include "base/map.h"
#include "model/seed.h"
#include "store/explain.h"
#include "store/explain_machine.h"
#include "store/sql.h"

/* X(name, text): statements over the fixed tables; each uses a key or an index, but for WOKEN and
 * the PASS and SCAN ones, which are bounded or stopped by who steps them. */
#define OW_EXPLAIN_STATEMENT_TABLE(X)                                                              \
    X(HISTORY, "SELECT seq, first_ref, machine, machine_version, entity_id, version, prev_seq,"    \
               " event_type, source, message_id, from_state, to_state, event_time_ms,"             \
               " applied_at_ms, topic, partition, offset, via, data FROM ow_history"               \
               " WHERE seq = ?")                                                                   \
    X(BEFORE, "SELECT applied_at_ms FROM ow_history_row WHERE seq < ? ORDER BY seq DESC LIMIT 1")  \
    X(AFTER, "SELECT applied_at_ms FROM ow_history_row WHERE seq > ? ORDER BY seq LIMIT 1")        \
    X(WOKEN, "SELECT seq FROM ow_history_row WHERE seq > ? AND seq <= ? AND first_ref = ?"         \
             " LIMIT 1")                                                                           \
    X(PARKED, "SELECT machine, entity_id, event_type, parked_at_ms, deadline_ms, topic,"           \
              " partition, offset, timestamp_ms, key, headers, value FROM ow_parked"               \
              " WHERE id = ?")                                                                     \
    X(PARKED_OF, "SELECT id FROM ow_parked WHERE machine = ? AND entity_id = ? AND id > ?"         \
                 " ORDER BY id LIMIT 1")                                                           \
    X(QUARANTINE, "SELECT reason, machine, entity_id, conflict_ref, timestamp_ms, topic,"          \
                  " partition, offset, timestamp_ms, key, headers, value, detail, status, note,"   \
                  " first_seen_ms, last_seen_ms, seen, attempts FROM ow_quarantine"                \
                  " WHERE id = ?")                                                                 \
    X(CONFLICT, "SELECT id FROM ow_quarantine WHERE conflict_ref = ? AND id > ?"                   \
                " ORDER BY id LIMIT 1")                                                            \
    X(SIGHTINGS, "SELECT cause, topic, partition, offset, seen_at_ms FROM ow_sighting"             \
                 " WHERE ref = ? ORDER BY seen_at_ms, rowid")                                      \
    X(LEDGER, "SELECT outcome, last_offset FROM ow_ledger WHERE topic = ?1 AND partition = ?2"     \
              " AND incarnation = (SELECT max(incarnation) FROM ow_position"                       \
              " WHERE topic = ?1 AND partition = ?2 AND began_ref <= ?4)"                          \
              " AND first_offset <= ?3 ORDER BY first_offset DESC LIMIT 1")                        \
    X(CLAIM, "SELECT b.bucket, b.class, b.opened_at_ms, c.fingerprint, c.ref FROM ow_bucket b"     \
             " CROSS JOIN ow_claims c WHERE c.bucket = b.bucket AND c.key = ?")                    \
    X(BOUNDS, "SELECT (SELECT min(seq) FROM ow_history_row),"                                      \
              " (SELECT max(seq) FROM ow_history_row)")                                            \
    X(SAMPLE, "SELECT source FROM ow_history_row WHERE seq >= ? ORDER BY seq LIMIT ?")             \
    X(SCAN_ID, "SELECT seq FROM ow_history_row WHERE seq > ? AND seq <= ? AND message_id = ?")     \
    X(SCAN_SOURCE, "SELECT DISTINCT source FROM ow_history_row WHERE seq > ? AND seq <= ?")        \
    X(PASS_PARKED, "SELECT id, machine, entity_id, 0, 0, topic, partition, offset,"                \
                   " timestamp_ms, key, headers, value FROM ow_parked WHERE id > ? ORDER BY id")   \
    X(PASS_QUARANTINE, "SELECT id, machine, entity_id, conflict_ref, 0, topic, partition, offset," \
                       " timestamp_ms, key, headers, value FROM ow_quarantine WHERE id > ?"        \
                       " AND (reason <> 'poison' OR machine IS NOT NULL) ORDER BY id")

enum ow_explain_statement_name {
#define OW_EXPLAIN_STATEMENT_ENUM(name, text) OW_EXPLAIN_##name,
    OW_EXPLAIN_STATEMENT_TABLE(OW_EXPLAIN_STATEMENT_ENUM)
#undef OW_EXPLAIN_STATEMENT_ENUM
        OW_EXPLAIN_STATEMENT_COUNT
};

/* In PARKED, QUARANTINE and the PASS ones the record starts at this column. */
enum { OW_EXPLAIN_RECORD_COLUMN = 5 };

/* A message that has to do with the id, by its ref, and the history row where that is known. */
struct ow_explain_hit {
    int64_t ref;
    int64_t seq;                        /* 0: not known, or none */
    int64_t conflict_ref;               /* of the claim that it met; 0: it is no conflict */
    struct ow_slice machine, entity_id; /* absent: not known */
    struct ow_slice source;             /* likewise */
    const struct ow_table *record;      /* the id is the key of a row of it; NULL: it is not */
    struct ow_explain_claim claim;      /* by which it was found, where it was */
    bool is_message;                    /* the id is the message's own */
    bool is_mention;                    /* it cannot be read, but has the id in its bytes */
    bool is_entity;
    bool told;
    struct ow_explain_hit *next; /* as found */
};

struct ow_explain {
    const struct ow_explain_options *options;
    struct ow_arena *arena;
    struct ow_arena scratch;
    struct ow_sql sql;
    struct ow_statement statements[OW_EXPLAIN_STATEMENT_COUNT];
    int64_t began_ns; /* of the snapshot */

    struct ow_slice id;
    struct ow_explain_machines machines;
    struct ow_hash_key hash_key;
    struct ow_decoder decoder; /* over the newest */

    struct ow_map source_map; /* text → itself */
    struct ow_slice *sources; /* OW_EXPLAIN_SOURCES_MAX at most */
    size_t source_count;
    struct ow_explain_hit *hits, **hits_end;
    struct ow_explain_meaning **meanings_end;
    struct ow_explanation told;
};

enum {
    /* Each costs a look into every bucket for each claim rule: 4,096 of them take about a second
       with 100 buckets. */
    OW_EXPLAIN_SOURCES_MAX = 4096
};

static inline struct ow_statement *ow_explain_statement(struct ow_explain *explain,
                                                        enum ow_explain_statement_name name)
{
    return &explain->statements[name];
}

/* Ends a snapshot that has lasted long enough and begins another. No statement may be on its way.
 */
enum ow_status ow_explain_breathe(struct ow_explain *explain, struct ow_err *err);

/* explain_claim.c: what a claim key can be computed from. */
struct ow_explain_parts {
    struct ow_slice type, source, id, entity_id; /* absent: not known */
    struct ow_slice other;                       /* of the one part that is none of these */
    const json_t *data;                          /* pointer → value, or NULL */
};
/* False: some part is not known. */
bool ow_explain_claim_key(const struct ow_explain *explain, const struct ow_claim_rule *rule,
                          const struct ow_explain_parts *parts, uint8_t key[OW_CLAIM_KEY_BYTES]);
/* Looks into every bucket. *ret_ref: 0 where there is none. */
enum ow_status ow_explain_claim_find(struct ow_explain *explain,
                                     const uint8_t key[OW_CLAIM_KEY_BYTES],
                                     struct ow_explain_claim *ret_claim, int64_t *ret_ref,
                                     struct ow_err *err);
/* Of a history row, as the version of its machine has it. */
enum ow_status ow_explain_claim_of_history(struct ow_explain *explain,
                                           struct ow_explain_event *event, struct ow_err *err);

/* explain_find.c: hits. */
/* Of parked and quarantined records: one pass, in slices. */
enum ow_status ow_explain_find_waiting(struct ow_explain *explain, struct ow_err *err);
/* By the claims that messages of that id would have, under all known sources. */
enum ow_status ow_explain_find_claims(struct ow_explain *explain, struct ow_err *err);
/* The last resort: the whole history, in slices. */
enum ow_status ow_explain_find_history(struct ow_explain *explain, struct ow_err *err);

/* explain_row.c: rows as they are. */
const char *ow_explain_row_text(struct ow_explain *explain, const struct ow_statement *row,
                                int column);
/* Of three columns. */
struct ow_explain_place ow_explain_row_place(struct ow_explain *explain,
                                             const struct ow_statement *row, int column);
/* False where the headers cannot be read. Its bytes are in the arena. */
bool ow_explain_row_record(const struct ow_statement *row, struct ow_arena *arena,
                           struct ow_record *ret_record);
/* As the newest machines read it; id, source, type and entity also where it is no event of theirs.
 * False: its topic is nobody's. */
bool ow_explain_row_decode(struct ow_explain *explain, const struct ow_record *record,
                           struct ow_event *ret_event);
struct ow_explain_quarantine *ow_explain_row_take_quarantine(struct ow_explain *explain, int64_t id,
                                                             const struct ow_statement *row);
/* Each fills the event in, with its outcome, where there is such a row; event->ref says which. */
enum ow_status ow_explain_row_history(struct ow_explain *explain, int64_t seq,
                                      struct ow_explain_event *event, int64_t *ret_prev_seq,
                                      struct ow_err *err);
enum ow_status ow_explain_row_parked(struct ow_explain *explain, struct ow_explain_event *event,
                                     struct ow_err *err);
enum ow_status ow_explain_row_quarantine(struct ow_explain *explain, struct ow_explain_event *event,
                                         struct ow_err *err);
enum ow_status ow_explain_row_chain(struct ow_explain *explain, const struct ow_machine *machine,
                                    struct ow_slice entity_id, struct ow_explain_event *event,
                                    int64_t *ret_prev_seq, struct ow_err *err);
enum ow_status ow_explain_row_behind(struct ow_explain *explain, struct ow_explain_event *event,
                                     int64_t *ret_prev_seq, struct ow_err *err);

/* explain_difference.c: fills conflict->difference in, where the conflict can still be read. */
enum ow_status ow_explain_difference(struct ow_explain *explain,
                                     const struct ow_explain_event *first,
                                     struct ow_explain_quarantine *conflict, struct ow_err *err);

/* explain_event.c: what became of a message. *ret_prev_seq: of its history row, 0: none. */
enum ow_status ow_explain_event_tell(struct ow_explain *explain, const struct ow_explain_hit *hit,
                                     struct ow_explain_event **ret_event, int64_t *ret_prev_seq,
                                     struct ow_err *err);

#endif
