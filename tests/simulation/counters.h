/*
 * counters: the rare states that the simulation must have been in, each counted. One that stays at
 * zero over a long run means that the simulation does not test what it claims to.
 *
 * Threads: processes count in their own memory; jobs.c adds up. Memory: static.
 */
#ifndef OW_SIMULATION_COUNTERS_H
#define OW_SIMULATION_COUNTERS_H

#include <stdint.h>

#define OW_SOMETIMES_TABLE(X)                                                                      \
    X(APPLIED, "a record is applied")                                                              \
    X(DUPLICATE, "a duplicate")                                                                    \
    X(DUPLICATE_PARTITION, "a duplicate across partitions of a topic")                             \
    X(DUPLICATE_TOPIC, "a duplicate across topics")                                                \
    X(DUPLICATE_BUCKET, "a duplicate across buckets")                                              \
    X(CONFLICT, "a conflict")                                                                      \
    X(CONFLICT_AGAIN, "the same conflict once more")                                               \
    X(CONFLICT_BUCKET, "a conflict across buckets")                                                \
    X(STALE, "a stale record")                                                                     \
    X(STALE_KEY, "the same payment or refund under another id")                                    \
    X(BUSINESS_KEY, "a business key with other values")                                            \
    X(ILLEGAL, "an illegal record")                                                                \
    X(SECOND_PAYMENT, "a second payment of a paid order")                                          \
    X(GUARD, "a requirement that fails")                                                           \
    X(PARKED, "a parked record")                                                                   \
    X(WOKEN, "a woken record")                                                                     \
    X(WOKEN_LATER_PASS, "a record woken in a later pass")                                          \
    X(WOKEN_QUARANTINED, "a woken record that is quarantined")                                     \
    X(OVERFLOW, "an overflow of parked records")                                                   \
    X(PARK_TIMEOUT, "a parked record that timed out")                                              \
    X(DEADLINE_UNREAD, "a deadline that waits for unread records")                                 \
    X(MALFORMED, "a malformed record")                                                             \
    X(OVERSIZE, "an oversize record")                                                              \
    X(UNKNOWN_TYPE, "an unknown type")                                                             \
    X(MISSING_KEY, "a missing key")                                                                \
    X(POISON, "a poisoned record")                                                                 \
    X(POISON_ALONE, "poison alone in a batch")                                                     \
    X(POISON_AMONG, "poison among other records of a batch")                                       \
    X(POISON_WOKEN, "a woken record that is poison")                                               \
    X(REREAD, "a re-read record")                                                                  \
    X(REREAD_QUARANTINE, "a quarantined record that is read again")                                \
    X(GAP, "a gap between records")                                                                \
    X(GAP_AT_END, "markers at the end")                                                            \
    X(REBALANCE, "a rebalance")                                                                    \
    X(REBALANCE_LOST, "an assignment that is lost")                                                \
    X(REDELIVERED, "records delivered again after a rebalance")                                    \
    X(ZOMBIE, "a member that does not know it was thrown out")                                     \
    X(ZOMBIE_WORKED, "a zombie that went on applying")                                             \
    X(PARTITION_ADDED, "a partition added while running")                                          \
    X(ASSIGNMENT_OLD, "an assignment from before a partition was added")                           \
    X(ASSIGNMENT_SHARED, "a group that is shared, refused")                                        \
    X(BROKER_AWAY, "a broker that is away")                                                        \
    X(BROKER_AWAY_PLAN, "a broker that is away at an assignment")                                  \
    X(BROKER_AWAY_LONG, "a broker that is away for too long at an assignment")                     \
    X(TROUBLE_TALK, "trouble that passes")                                                         \
    X(TROUBLE_FATAL, "trouble that ends the source")                                               \
    X(COMMITTED, "a commit to the group")                                                          \
    X(COMMIT_REFUSED, "a commit that fails")                                                       \
    X(COMMIT_LOST, "a commit that is lost")                                                        \
    X(COMMIT_LATE, "a commit that arrives late")                                                   \
    X(COMMIT_TAKEN_REFUSED, "a commit that is taken, with an error")                               \
    X(REWOUND, "a rewind honoured")                                                                \
    X(SKIP_REFUSED, "a skip refused")                                                              \
    X(SKIP_HONOURED, "a skip honoured")                                                            \
    X(SKIPPED_READ, "a record below a skipped run, or before the first position")                  \
    X(FOREIGN, "a foreign store's commit, refused")                                                \
    X(RETENTION, "retention moves the low mark")                                                   \
    X(RETENTION_LOST, "unread records deleted by retention, refused")                              \
    X(RECREATED, "a re-created topic, refused by its anchor")                                      \
    X(UNTIL_END, "a run to the end")                                                               \
    X(UNTIL_END_PATIENCE, "a run to the end that gets no assignment")                              \
    X(CLOCK_FORWARD, "a clock that jumps forward")                                                 \
    X(CLOCK_BACKWARD, "a clock that jumps backward")                                               \
    X(CLOCK_AHEAD_DAYS, "a clock set ahead by a day or more")                                      \
    X(CLOCK_BACK_DAYS, "a clock set back by a day or more")                                        \
    X(BUCKET_PRUNED, "a bucket whose claims count no more")                                        \
    X(PRUNED_TOGETHER, "several claims that are pruned together")                                  \
    X(PRUNED_AHEAD, "a claim of a clock that was ahead, pruned with those behind it")              \
    X(EXPIRED_AGAIN, "an old message that is expired, for its claim was pruned")                   \
    X(EXPIRED_NEW, "an old message that is expired though it never came before")                   \
    X(EXPIRED_JUST, "a message that is expired by a millisecond")                                  \
    X(HORIZON_JUST, "a message just at the horizon, judged as new")                                \
    X(REOPENED, "a pruned key judged as new: dated anew, or ahead by more than claims.skew")       \
    X(DUPLICATE_LAST, "a duplicate in the last tenth of its claim's retention")                    \
    X(DUPLICATE_OVERDUE, "a duplicate whose claim is overdue and not pruned yet")                  \
    X(REREAD_PRUNED, "a re-read record whose claim was pruned: a rewind below the horizon")        \
    X(CRASH_IN_TENDING, "a crash while buckets are sealed, merged or pruned")                      \
    X(CRASH_DOOMED, "a crash between a bucket's end and that of its last row")                     \
    X(STOP, "a clean stop")                                                                        \
    X(CRASH_IN_WAL, "a crash in a write of the WAL")                                               \
    X(CRASH_IN_SYNC, "a crash in a sync of the WAL")                                               \
    X(CRASH_IN_CHECKPOINT, "a crash in a checkpoint")                                              \
    X(CRASH_BEFORE_GROUP, "a crash between COMMIT and the group's commit")                         \
    X(CRASH_IN_GROUP, "a crash in the midst of the group's commit")                                \
    X(CRASH_IN_OPEN, "a crash while the store is opened")                                          \
    X(CRASH_IN_RECOVERY, "a crash in the recovery from a crash")                                   \
    X(CRASH_IN_CREATE, "a crash while a store is created")                                         \
    X(CRASH_IN_UPGRADE, "a crash in a machine's upgrade")                                          \
    X(CRASH_IN_CLOSE, "a crash while the store is closed")                                         \
    X(CRASH_IN_ASSIGNMENT, "a crash while an assignment is applied")                               \
    X(KILLED, "a process killed")                                                                  \
    X(POWER_CUT, "a power cut")                                                                    \
    X(WRITE_DROPPED, "a write that a power cut takes away")                                        \
    X(WRITE_KEPT, "an unsynced write that survives a power cut")                                   \
    X(WRITE_TORN, "a write that is torn")                                                          \
    X(WRITE_GARBLED, "a sector that is garbled")                                                   \
    X(WAL_TORN, "a torn frame of the WAL")                                                         \
    X(FILE_RESURRECTED, "a deleted file that is back")                                             \
    X(FILE_VANISHED, "a new file that is gone")                                                    \
    X(UNKNOWN_THERE, "a batch of unknown result that is there")                                    \
    X(UNKNOWN_GONE, "a batch of unknown result that is not")                                       \
    X(ERROR_WRITE, "a write that fails")                                                           \
    X(ERROR_SYNC, "a sync that fails")                                                             \
    X(ERROR_READ, "a read that fails")                                                             \
    X(ERROR_OPEN, "a failure while the store is opened")                                           \
    X(DISK_FULL, "a full disk")                                                                    \
    X(DISK_FULL_STOP, "a full disk that stops the worker")                                         \
    X(SUSPECT, "an integrity check after a suspicious end")                                        \
    X(CHECKPOINT, "a checkpoint while running")                                                    \
    X(SPILLED, "a transaction larger than the cache")                                              \
    X(EPOCH, "an epoch that stopped a zombie")                                                     \
    X(LOCKED, "a second worker that the lock keeps out")                                           \
    X(UPGRADED, "a machine upgraded")                                                              \
    X(WORST, "a commit to the group held against the worst power cut")                             \
    X(THREADS, "a worker with threads")                                                            \
    X(ASSIGNMENT_WAITS, "an assignment that waits behind records of the one before")               \
    X(PAUSED, "partitions that are paused")                                                        \
    X(FULL_RETRIED, "a full disk that is waited out")                                              \
    X(LIVE, "all is read once the faults are over")                                                \
    X(REPLAYED, "a replay of everything that changes nothing")                                     \
    X(FLAT, "all claims are gone once their retention is over")

enum ow_sometimes {
#define OW_SOMETIMES_ENUM(name, text) OW_SOMETIMES_##name,
    OW_SOMETIMES_TABLE(OW_SOMETIMES_ENUM)
#undef OW_SOMETIMES_ENUM
        OW_SOMETIMES_COUNT
};

const char *ow_sometimes_text(enum ow_sometimes which);
/* The counters of this process. */
uint64_t *ow_sometimes(void);
static inline void ow_count(enum ow_sometimes which)
{
    ow_sometimes()[which]++;
}
static inline void ow_count_if(int condition, enum ow_sometimes which)
{
    if (condition) {
        ow_count(which);
    }
}

#endif
