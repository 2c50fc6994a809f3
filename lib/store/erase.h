/*
 * erase: blanks the payloads of one entity, in history, parked and quarantine rows, and leaves what
 * protects: claims, states, versions, sums, business tables. Sightings hold no payload. Afterwards
 * the file holds no copy of what was blanked, in no page and no log beside it (store/scrub.h).
 *
 * Opens the store as its owner, so no worker may run. Goes on in small transactions and may be
 * killed at any moment: called again it goes on, and each state between is one that verify
 * understands. Threads: the caller's. Memory: a few rows. Failure: TEMPORARY (a worker owns the
 * store, or somebody reads it for so long that the WAL cannot be emptied), FAILED (nothing is known
 * of the entity; it has parked records and these may not be discarded), what opening the store
 * fails with.
 */
#ifndef OW_STORE_ERASE_H
#define OW_STORE_ERASE_H

#include "base/clock.h"
#include "model/machine.h"

struct ow_erase_options {
    const char *path;
    const char *hash_key_file; /* NULL: the key is in the store */
    struct ow_machines *machines;
    struct ow_clock clock;
    const char *entity;
    /* Parked records of it end in quarantine as discarded; false: they are a reason to refuse, for
     * each is an effect that has not come yet. */
    bool discard_parked;
    /* Called now and then; may be NULL. */
    void (*progress)(void *context, const char *what, int64_t done, int64_t goal);
    void *context;
};

struct ow_erasure {
    int64_t at_ms;
    int64_t history, parked, quarantine; /* rows that were blanked now */
    int64_t nameless;                    /* quarantine rows that name no entity: not looked at */
    int64_t pages, bytes;                /* looked at; overwritten, of what no row uses */
};

enum ow_status ow_erase(const struct ow_erase_options *options, struct ow_erasure *ret_erasure,
                        struct ow_err *err) OW_MUST_USE;

#endif
