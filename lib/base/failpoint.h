/*
 * failpoint: the named places at which a test can end the process, or freeze it, with precision.
 *
 * Only a build with the CMake option ONCEWARD_FAILPOINTS has them (the preset dev does); in what is
 * shipped OW_FAILPOINT is nothing, and tests/deploy/test_failpoints.py looks that none is left in
 * it. There the environment's ONCEWARD_FAILPOINT=NAME:NTH[:kill|stop] arms one of them: who passes
 * it for the n-th time kills the process (SIGKILL), or stops it (SIGSTOP). ONCEWARD_FAILPOINT=list
 * prints them and ends. tests/broker/fire.py goes through all of them.
 *
 * Threads: _arm before there are any, _pass any.
 */
#ifndef OW_BASE_FAILPOINT_H
#define OW_BASE_FAILPOINT_H

#include "base/status.h"

/* X(constant, name, where it is). In the way of a record first, then what is rarer. */
#define OW_FAILPOINT_TABLE(X)                                                                      \
    X(POLL_TAKEN, "poll.taken", "a record came from the source; nobody has noted it")              \
    X(POLL_NOTED, "poll.noted", "it is noted as handed out, and in no chunk yet")                  \
    X(QUEUE_SUBMITTED, "queue.submitted", "the poll thread has handed over a chunk")               \
    X(DECODE_NOTED, "decode.noted", "a decode thread's in-flight note is written")                 \
    X(DECODE_DONE, "decode.done", "a chunk was read as events; the note is still there")           \
    X(BATCH_BEGUN, "batch.begun", "after BEGIN IMMEDIATE")                                         \
    X(BATCH_JUDGED, "batch.judged", "all is judged, and nothing of it written")                    \
    X(CLAIM_WRITTEN, "claim.written", "after a claim")                                             \
    X(ENTITY_WRITTEN, "entity.written", "after an entity's row, as an order's")                    \
    X(RECORD_WRITTEN, "record.written", "after a business row with a key of its own")              \
    X(HISTORY_WRITTEN, "history.written", "after a history row")                                   \
    X(SIGHTING_WRITTEN, "sighting.written", "after a duplicate's or a stale one's sighting")       \
    X(PARKED_WRITTEN, "parked.written", "after a record was parked")                               \
    X(PARKED_WOKEN, "parked.woken", "a parked row is deleted: it was woken, or its time is over")  \
    X(QUARANTINE_WRITTEN, "quarantine.written", "after a quarantine row")                          \
    X(POSITION_WRITTEN, "position.written", "a position is written, its ledger runs are not")      \
    X(LEDGER_WRITTEN, "ledger.written", "after a ledger run")                                      \
    X(NOTE_CLEARED, "note.cleared", "the apply thread's in-flight note is gone, COMMIT comes")     \
    X(COMMIT_BEFORE, "commit.before", "all is written, COMMIT comes next")                         \
    X(COMMIT_AFTER, "commit.after", "it is durable, and nobody in the process knows")              \
    X(DURABLE_TOLD, "durable.told", "the poll thread can see what is durable")                     \
    X(OFFSETS_BEFORE, "offsets.before", "offsets are about to be committed to the group")          \
    X(OFFSETS_SENT, "offsets.sent", "the library has taken a commit of offsets")                   \
    X(OFFSETS_ANSWERED, "offsets.answered", "the coordinator's answer has come; nobody knows")     \
    X(ASSIGN_PLANNED, "assign.planned", "it is planned where partitions go on")                    \
    X(ASSIGN_SUBMITTED, "assign.submitted", "the plan is in the ring, fetching has not begun")     \
    X(ASSIGN_STORED, "assign.stored", "the positions of an assignment are durable")                \
    X(ASSIGN_TAKEN, "assign.taken", "the library fetches the assigned partitions")                 \
    X(REVOKE_BEFORE, "revoke.before", "partitions are to be given back, nothing is done yet")      \
    X(REVOKE_COMMITTED, "revoke.committed", "what is durable is committed; they are still ours")   \
    X(REVOKE_AFTER, "revoke.after", "partitions were given back")                                  \
    X(BUCKET_SEALED, "bucket.sealed", "a bucket of claims is sealed, in the open transaction")     \
    X(FILTER_WRITTEN, "filter.written", "a piece of a filter is written, in the transaction")      \
    X(PRUNE_DOOMED, "prune.doomed", "a horizon is moved, in the transaction")                      \
    X(PRUNE_SLICE, "prune.slice", "claims of a doomed bucket are deleted, in the transaction")     \
    X(START_STANDBY, "start.standby", "a standby has the store and joins next")                    \
    X(START_LOCKED, "start.locked", "the store's lock is ours; the file is not open")              \
    X(START_MIGRATED, "start.migrated", "an older schema is brought up, in the transaction")       \
    X(START_EPOCH, "start.epoch", "the epoch is raised, in the transaction")                       \
    X(START_OWNED, "start.owned", "the epoch is durable")                                          \
    X(STOP_DRAINED, "stop.drained", "a clean stop: all is applied, the last commit comes")         \
    X(STOP_COMMITTED, "stop.committed", "a clean stop: the last offsets are committed")            \
    X(CLOSE_BEFORE, "close.before", "the store is about to be closed, with its last checkpoint")   \
    X(CLOSE_CHECKPOINTED, "close.checkpointed", "the WAL is written back; the lock says running")  \
    X(CLOSE_STORE, "close.store", "the store is closed; the client is still a member")             \
    X(BACKUP_COPIED, "backup.copied", "some pages of a backup are copied")                         \
    X(BACKUP_BEFORE, "backup.before", "a backup is whole and synced, under its partial name")      \
    X(BACKUP_AFTER, "backup.after", "a backup has its name; its folder is not synced")             \
    X(RESTORE_MARKED, "restore.marked", "the copy is a store again, beside the old one")           \
    X(RESTORE_LINKED, "restore.linked", "the old file has two names")                              \
    X(RESTORE_PLACED, "restore.placed", "the new file is in place; its folder is not synced")      \
    X(POSITIONS_STORED, "positions.stored", "an operator's change is durable, the group untold")   \
    X(POSITIONS_TOLD, "positions.told", "the group is told of an operator's change")

enum ow_failpoint {
#define OW_FAILPOINT_ENUM(constant, name, text) OW_FAILPOINT_##constant,
    OW_FAILPOINT_TABLE(OW_FAILPOINT_ENUM)
#undef OW_FAILPOINT_ENUM
        OW_FAILPOINT_COUNT
};

/* "NAME:NTH[:kill|stop]"; NULL: none. A name that is not in the list is BAD_CONFIG. */
enum ow_status ow_failpoint_arm(const char *text, struct ow_err *err) OW_MUST_USE;
void ow_failpoint_pass(enum ow_failpoint point);
/* For list; point < OW_FAILPOINT_COUNT. */
const char *ow_failpoint_name(enum ow_failpoint point);
const char *ow_failpoint_text(enum ow_failpoint point);

#ifdef ONCEWARD_FAILPOINTS
#define OW_FAILPOINT(constant) ow_failpoint_pass(OW_FAILPOINT_##constant)
#else
#define OW_FAILPOINT(constant) ((void)0)
#endif

#endif
