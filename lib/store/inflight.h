/*
 * inflight: "<store>.inflight", the file behind the notes of what is in work (model/suspect.h).
 *
 * Mapped and never synced: what a killed process has stored there the kernel keeps, which is all
 * that is asked; after a reboot it counts as nothing. Threads: _open and _close the main thread's.
 * Memory: the map, some 320 KB. Failure: no start fails for it. Where the file cannot be had (a
 * link, somebody else's, no space) the notes are plain memory, and what kills the process is not
 * found. Trust: none, the file may hold anything; its room is allocated, so that a full disk is no
 * SIGBUS. Somebody who cuts it while a worker runs kills that worker, as with SQLite's -shm.
 */
#ifndef OW_STORE_INFLIGHT_H
#define OW_STORE_INFLIGHT_H

#include "model/suspect.h"
#include "store/store.h"

struct ow_inflight {
    struct ow_suspects *suspects; /* always there */
    enum ow_adopted adopted;
};

/* The caller owns the store's lock. FAILED: in memory only, with the reason. */
enum ow_status ow_inflight_open(const struct ow_store *store, struct ow_inflight *ret_inflight,
                                struct ow_err *err) OW_MUST_USE;
void ow_inflight_close(struct ow_inflight *inflight);

/* UNSAFE where the process died of record after record, so that it is none of them; says how to go
 * on. Takes NULL notes. */
enum ow_status ow_inflight_refuse(const struct ow_suspects *suspects, const char *store_path,
                                  struct ow_err *err) OW_MUST_USE;

/* For `check`, without changing the file: the notes of a store in the arena, or NULL where there
 * are none that hold. */
const struct ow_suspects *ow_inflight_look(const char *store_path, const char *store_id,
                                           struct ow_arena *arena);

#endif
