/*
 * statements: every statement over the fixed tables, prepared once at open. Private to lib/store.
 *
 * X(name, text); parameters are bound in their order. Those over the machines' own tables:
 * store_machine.c.
 */
#ifndef OW_STORE_STATEMENTS_H
#define OW_STORE_STATEMENTS_H

/* The present incarnations: ow_position_take_row. */
#define OW_POSITION_ALL_TEXT                                                                       \
    "SELECT topic, partition, incarnation, next_offset, high_offset, seen_committed, anchor,"      \
    " applied, duplicate, stale, parked, quarantined, filtered, reread, began_epoch, began_ref,"   \
    " began_sighting FROM ow_position p"                                                           \
    " WHERE incarnation = (SELECT max(q.incarnation) FROM ow_position q"                           \
    " WHERE q.topic = p.topic AND q.partition = p.partition) ORDER BY topic, partition"

#define OW_STATEMENT_TABLE(X)                                                                      \
    X(BATCH_READ, "SELECT (SELECT value FROM ow_meta WHERE key = 'epoch'),"                        \
                  " (SELECT value FROM ow_meta WHERE key = 'batch'),"                              \
                  " (SELECT value FROM ow_meta WHERE key = 'next_ref')")                           \
    X(BATCH_WRITE, "UPDATE ow_meta SET value = CASE key WHEN 'batch' THEN ? ELSE ? END"            \
                   " WHERE key IN ('batch', 'next_ref')")                                          \
    X(SEAL_WRITE, "INSERT INTO ow_meta (key, value) VALUES (?, ?)"                                 \
                  " ON CONFLICT (key) DO UPDATE SET value = excluded.value")                       \
    X(META_ROW, "SELECT * FROM ow_meta WHERE key = ?")                                             \
    X(SEAL_DELETE, "DELETE FROM ow_meta WHERE key = ?")                                            \
    X(CLAIM_READ, "SELECT fingerprint, ref FROM ow_claims WHERE bucket = ? AND key = ?")           \
    X(CLAIM_INSERT, "INSERT INTO ow_claims (bucket, key, fingerprint, ref) VALUES (?, ?, ?, ?)"    \
                    " ON CONFLICT (bucket, key) DO NOTHING")                                       \
    X(CLAIM_KEYS, "SELECT key FROM ow_claims WHERE bucket = ? AND key > ? AND key < ?"             \
                  " ORDER BY key LIMIT ?")                                                         \
    X(CLAIM_KEY_AT, "SELECT key FROM ow_claims WHERE bucket = ? ORDER BY key LIMIT 1 OFFSET ?")    \
    X(CLAIM_UNTIL, "SELECT * FROM ow_claims WHERE bucket = ? AND key <= ?")                        \
    X(CLAIM_DELETE, "DELETE FROM ow_claims WHERE bucket = ? AND key <= ?")                         \
    X(FILTER_INSERT, "INSERT INTO ow_filter (id, first_bucket, last_bucket, chunk, checksum,"      \
                     " bits) VALUES (?, ?, ?, ?, ?, ?)")                                           \
    X(FILTER_ROWS, "SELECT * FROM ow_filter WHERE id = ?1 AND chunk IN"                            \
                   " (SELECT chunk FROM ow_filter WHERE id = ?1 ORDER BY chunk DESC LIMIT ?2)")    \
    X(FILTER_DELETE, "DELETE FROM ow_filter WHERE id = ?1 AND chunk IN"                            \
                     " (SELECT chunk FROM ow_filter WHERE id = ?1 ORDER BY chunk DESC LIMIT ?2)")  \
    X(BUCKET_ROW, "SELECT * FROM ow_bucket WHERE bucket = ?")                                      \
    X(BUCKET_OPEN, "INSERT INTO ow_bucket (bucket, class, opened_at_ms, sealed_at_ms, claims)"     \
                   " VALUES (?, ?, ?, ?, ?)")                                                      \
    X(BUCKET_COUNT, "UPDATE ow_bucket SET claims = ? WHERE bucket = ? AND sealed_at_ms IS NULL")   \
    X(BUCKET_SHRINK, "UPDATE ow_bucket SET claims = ? WHERE bucket = ?"                            \
                     " AND sealed_at_ms IS NOT NULL")                                              \
    X(BUCKET_DELETE, "DELETE FROM ow_bucket WHERE bucket = ?")                                     \
    X(BUCKET_SEAL, "UPDATE ow_bucket SET sealed_at_ms = ? WHERE bucket = ?"                        \
                   " AND sealed_at_ms IS NULL")                                                    \
    X(TEXT_INSERT, "INSERT INTO ow_text (id, text) VALUES (?, ?)")                                 \
    X(HISTORY_INSERT,                                                                              \
      "INSERT INTO ow_history_row (seq, first_ref, machine, machine_version, entity_id, version,"  \
      " prev_seq, event_type, source, message_id, from_state, to_state, event_time_ms,"            \
      " applied_at_ms, topic, partition, offset, via, data)"                                       \
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                         \
    X(SIGHTING_INSERT, "INSERT INTO ow_sighting (ref, cause, topic, partition, offset,"            \
                       " seen_at_ms) VALUES (?, ?, ?, ?, ?, ?)")                                   \
    X(PARKED_READ, "SELECT id, parked_at_ms, deadline_ms, topic, partition, offset, "              \
                   "timestamp_ms, key, headers,"                                                   \
                   " value FROM ow_parked WHERE machine = ? AND entity_id = ? ORDER BY id")        \
    X(PARKED_OVERDUE, "SELECT id, machine, entity_id FROM ow_parked WHERE deadline_ms <= ?"        \
                      " ORDER BY deadline_ms, id")                                                 \
    X(PARKED_FIRST, "SELECT min(deadline_ms) FROM ow_parked")                                      \
    X(PARKED_INSERT,                                                                               \
      "INSERT INTO ow_parked (id, machine, entity_id, event_type, parked_at_ms, deadline_ms,"      \
      " topic, partition, offset, timestamp_ms, key, headers, value)"                              \
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                                           \
    X(PARKED_ROW, "SELECT * FROM ow_parked WHERE id = ?")                                          \
    X(PARKED_DELETE, "DELETE FROM ow_parked WHERE id = ?")                                         \
    /* Of the present incarnation: at that offset of the one before was another record. */         \
    X(QUARANTINE_AT,                                                                               \
      "SELECT id, reason, conflict_ref, conflict_fingerprint, machine FROM ow_quarantine"          \
      " WHERE topic = ?1 AND partition = ?2 AND offset = ?3 AND id >= coalesce("                   \
      "(SELECT max(began_ref) FROM ow_position WHERE topic = ?1"                                   \
      " AND partition = ?2), 0) ORDER BY id LIMIT 1")                                              \
    X(QUARANTINE_CONFLICT,                                                                         \
      "SELECT id, reason, conflict_ref, conflict_fingerprint, machine FROM ow_quarantine"          \
      " WHERE conflict_ref = ? AND conflict_fingerprint = ?")                                      \
    X(QUARANTINE_ROW, "SELECT * FROM ow_quarantine WHERE id = ?")                                  \
    X(QUARANTINE_INSERT,                                                                           \
      "INSERT INTO ow_quarantine (id, reason, detail, machine, entity_id, topic, partition,"       \
      " offset, timestamp_ms, key, headers, value, first_seen_ms, last_seen_ms, seen, attempts,"   \
      " status, note, conflict_ref, conflict_fingerprint)"                                         \
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                      \
    X(QUARANTINE_SEEN, "UPDATE ow_quarantine SET seen = seen + ?, last_seen_ms = ? WHERE id = ?")  \
    /* Of the first message of a conflict, by the number of its claim. */                          \
    X(KEPT_HISTORY,                                                                                \
      "SELECT (SELECT text FROM ow_text WHERE id = h.machine),"                                    \
      " (SELECT text FROM ow_text WHERE id = h.event_type), h.source, h.message_id, h.entity_id,"  \
      " (SELECT text FROM ow_text WHERE id = h.from_state), h.data FROM ow_history_row h"          \
      " WHERE h.seq = ?")                                                                          \
    X(KEPT_PARKED, "SELECT topic, key, value, headers FROM ow_parked WHERE id = ?")                \
    X(KEPT_QUARANTINE, "SELECT topic, key, value, headers FROM ow_quarantine WHERE id = ?")        \
    X(KEPT_STALE, "SELECT 1 FROM ow_sighting WHERE ref = ? AND cause = 'stale' LIMIT 1")           \
    X(POSITION_ROW, "SELECT * FROM ow_position"                                                    \
                    " WHERE topic = ? AND partition = ? AND incarnation = ?")                      \
    X(POSITION_WRITE,                                                                              \
      "INSERT INTO ow_position (topic, partition, incarnation, next_offset, high_offset,"          \
      " seen_committed, anchor, applied, duplicate, stale, parked, quarantined, filtered, reread," \
      " began_epoch, began_ref, began_sighting)"                                                   \
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                \
      " ON CONFLICT (topic, partition, incarnation) DO UPDATE SET"                                 \
      " next_offset = excluded.next_offset, high_offset = excluded.high_offset,"                   \
      " seen_committed = excluded.seen_committed, anchor = excluded.anchor,"                       \
      " applied = excluded.applied, duplicate = excluded.duplicate, stale = excluded.stale,"       \
      " parked = excluded.parked, quarantined = excluded.quarantined,"                             \
      " filtered = excluded.filtered, reread = excluded.reread")                                   \
    X(LEDGER_WRITE,                                                                                \
      "INSERT INTO ow_ledger (topic, partition, incarnation, first_offset, last_offset, outcome,"  \
      " records) VALUES (?, ?, ?, ?, ?, ?, ?)"                                                     \
      " ON CONFLICT (topic, partition, incarnation, first_offset) DO UPDATE SET"                   \
      " last_offset = excluded.last_offset, outcome = excluded.outcome,"                           \
      " records = excluded.records")                                                               \
    X(POSITION_ALL, OW_POSITION_ALL_TEXT)                                                          \
    X(SIGHTING_LAST, "SELECT coalesce(max(rowid), 0) FROM ow_sighting")                            \
    X(AUDIT_LAST, "SELECT coalesce(max(id), 0) FROM ow_audit")                                     \
    X(AUDIT_INSERT, "INSERT INTO ow_audit (id, at_ms, who, command, subject, detail, why)"         \
                    " VALUES (?, ?, ?, ?, ?, ?, ?)")                                               \
    X(LEDGER_DELETE, "DELETE FROM ow_ledger WHERE topic = ? AND partition = ? AND incarnation = ?" \
                     " AND first_offset = ?")                                                      \
    /* From the run before an offset: open ones with their neighbours, the first and the last. */  \
    X(LEDGER_FROM,                                                                                 \
      "SELECT first_offset, last_offset, records, outcome FROM"                                    \
      " (SELECT first_offset, last_offset, records, outcome,"                                      \
      " lag(outcome) OVER w AS before, lead(outcome) OVER w AS after FROM ow_ledger"               \
      " WHERE topic = ?1 AND partition = ?2 AND incarnation = ?3 AND first_offset >= coalesce("    \
      "(SELECT max(first_offset) FROM ow_ledger WHERE topic = ?1 AND partition = ?2"               \
      " AND incarnation = ?3 AND first_offset < ?4), 0) WINDOW w AS (ORDER BY first_offset))"      \
      " WHERE before IS NULL OR after IS NULL OR outcome IN ('skipped', 'lost')"                   \
      " OR before IN ('skipped', 'lost') OR after IN ('skipped', 'lost') ORDER BY first_offset")

enum ow_statement_name {
#define OW_STATEMENT_ENUM(name, text) OW_STATEMENT_##name,
    OW_STATEMENT_TABLE(OW_STATEMENT_ENUM)
#undef OW_STATEMENT_ENUM
        OW_STATEMENT_COUNT
};

#endif
