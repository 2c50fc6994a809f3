/*
 * store_fixture: a store in a folder of its own, the shipped machine, and a small stand-in for the
 * engine: it decodes, decides and writes one batch of records after the other.
 */
#ifndef OW_TESTS_STORE_FIXTURE_H
#define OW_TESTS_STORE_FIXTURE_H

#include "model/decide.h"
#include "store/store.h"

struct ow_fixture {
    char folder[64];
    char path[96];
    const char *hash_key_file;
    int64_t bucket_claims, piece_claims, wal_bytes;
    struct ow_machines machines;
    struct ow_clock_manual clock;
    struct ow_store *store;
    struct ow_err err;
    struct ow_arena arena; /* of the batch */
    struct ow_arena kept;  /* as long as the fixture: positions, texts */
    struct ow_world world;
    struct ow_decoder decoder;
    struct ow_position position; /* of partition 0 of `topic` */
    const char *topic;
    int64_t position_offset; /* where the next record goes */
};

/* A new folder and the shipped machine; nothing is open yet. */
void ow_fixture_init(struct ow_fixture *fixture);
/* With another machine file. */
void ow_fixture_init_with(struct ow_fixture *fixture, const char *machine);
/* Closes and removes all. */
void ow_fixture_done(struct ow_fixture *fixture);

enum ow_status ow_fixture_try_open(struct ow_fixture *fixture);
/* Must succeed; the position goes on where the store is. */
void ow_fixture_open(struct ow_fixture *fixture);
void ow_fixture_close(struct ow_fixture *fixture);

/* A batch: an empty world and BEGIN. */
void ow_fixture_begin(struct ow_fixture *fixture);
enum ow_status ow_fixture_read(struct ow_fixture *fixture);
enum ow_status ow_fixture_write(struct ow_fixture *fixture);
void ow_fixture_commit(struct ow_fixture *fixture);
/* All that is to be done between batches; limit_ms: see ow_tending. */
void ow_fixture_tend(struct ow_fixture *fixture, int64_t limit_ms);

/* Judges one record within the batch, at the next offset, or again at a lower one. */
enum ow_outcome ow_fixture_judge(struct ow_fixture *fixture, const struct ow_record *record);
/* A batch of one record with that value (NULL: a tombstone): its outcome. */
enum ow_outcome ow_fixture_feed(struct ow_fixture *fixture, const char *value);
/* Likewise, an event of the shipped machine. data: members of /data besides the entity's id, "" for
 * none. */
enum ow_outcome ow_fixture_event(struct ow_fixture *fixture, const char *id, const char *type,
                                 const char *entity, const char *data);
/* Some of everything: applied, woken, stale, duplicate, parked, conflict, malformed, illegal. */
void ow_fixture_fill(struct ow_fixture *fixture);

/* Through a connection of its own. */
void ow_fixture_exec(const struct ow_fixture *fixture, const char *sql);
int64_t ow_fixture_i64(const struct ow_fixture *fixture, const char *sql);
/* First column as text, "" for NULL; the kept arena's. */
const char *ow_fixture_text(struct ow_fixture *fixture, const char *sql);

/* A machine file as text, from schemas/. */
const char *ow_fixture_read_file(struct ow_arena *arena, const char *path);
void ow_fixture_load_machine(struct ow_machines *machines, const char *text);

#endif
