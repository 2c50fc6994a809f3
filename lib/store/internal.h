/*
 * internal: what the files of lib/store share: the open store, its prepared statements, and one
 * read and one write function for each table. Private to lib/store.
 *
 * Threads: the store's owner. Memory: struct ow_store is malloc'ed by store_open.c; its arena lives
 * as long.
 */
#ifndef OW_STORE_INTERNAL_H
#define OW_STORE_INTERNAL_H

#include "base/buffer.h"
#include "store/bucket.h"
#include "store/filter.h"
#include "store/seal.h"
#include "store/sql.h"
#include "store/statements.h"
#include "store/store.h"

enum {
    OW_STORE_APPLICATION_ID = 0x4f4e4345, /* "ONCE", as in store.sql */
    OW_STORE_SCHEMA_VERSION = 2,
};

/* What is known without asking the file. Copied whole at commit and savepoint, and put back on
 * rollback. */
struct ow_marks {
    struct ow_open_bucket open[OW_STORE_CLASSES_MAX];
    size_t open_count;
    size_t sealed_count; /* of store->sealed */
    int64_t last_bucket;
    int64_t claims;    /* in all buckets */
    int64_t latest_ms; /* no claim that is there came later; INT64_MIN: there is none */
    int64_t last_text;
    int64_t parked_count, first_deadline_ms;
};

/* Statements over a machine's tables; rows_*: by machine->records. */
struct ow_machine_statements {
    struct ow_statement entity_read, entity_insert, entity_update;
    struct ow_statement *row_read, *row_insert;
    size_t record_count;
};

/* A class of which buckets have been pruned. */
struct ow_horizon {
    int64_t class_ms;
    int64_t horizon_ms;   /* 'pruned.<class>' */
    int64_t below_bucket; /* 'pruned_below.<class>': those with a lower number are doomed or gone */
};

/* A class that an event type had by an older version of a machine. */
enum { OW_CLASS_ANY = -1 }; /* nobody can tell: all of them */
struct ow_past_class {
    int64_t class_ms, until_ms;
    struct ow_past_class *next;
};

struct ow_store {
    struct ow_arena arena;
    struct ow_sql sql;
    const char *path;
    int lock_fd;
    bool suspect; /* the last owner's end asks for an integrity check, which was not made yet */
    char id[OW_STORE_ID_BYTES];
    int64_t epoch;
    int64_t restored_epoch; /* 0: never restored */
    int64_t batch;          /* number of the last one that was committed */
    int64_t next_ref;       /* as of that one */
    struct ow_hash_key hash_key;
    int64_t bucket_claims, piece_claims, wal_bytes;
    struct ow_clock clock;

    struct ow_statement statements[OW_STATEMENT_COUNT];
    struct ow_machine_statements *machine_statements; /* by machine->index */
    size_t machine_count;

    struct ow_marks live;      /* as of the open transaction */
    struct ow_marks committed; /* as of the last commit */
    struct ow_marks saved;     /* as of the open savepoint */
    bool in_savepoint;
    struct ow_seals seals;
    struct ow_sealed_bucket *sealed; /* in the order of sealing; live.sealed_count of them */
    size_t sealed_capacity;
    struct ow_claim_probes probes;
    struct ow_filters filters; /* over sealed buckets, as of the last commit */
    struct ow_arena text_arena;
    struct ow_map texts; /* text → struct text of text.c */
    bool texts_stale;    /* a rollback took some away */
    struct ow_horizon horizons[OW_STORE_CLASSES_MAX];
    size_t horizon_count;
    struct ow_past_class ***pasts; /* by machine->index and event->index */
};

static inline struct ow_statement *ow_store_statement(struct ow_store *store,
                                                      enum ow_statement_name name)
{
    return &store->statements[name];
}

/* store.c: ends a transaction of the store's own, with what its work has come to: a commit, or else
 * a rollback. */
enum ow_status ow_store_end(struct ow_store *store, struct ow_world *world, enum ow_status status,
                            struct ow_err *err);

/* store_path.c: the file's place. */
#define OW_STORE_KEPT ".before-restore" /* ends the name of what a restore has replaced */
/* Resolves links, so that one file has one lock; BAD_CONFIG and UNSAFE where it cannot lie there.
 */
enum ow_status ow_store_path_resolve(const char *path, struct ow_arena *arena,
                                     const char **ret_path, bool *ret_exists, struct ow_err *err);
/* Likewise, and UNSAFE where the file has another name: its lock would be another, too. */
enum ow_status ow_store_path_check(const char *path, struct ow_arena *arena, const char **ret_path,
                                   bool *ret_exists, struct ow_err *err);
/* What an errno of looking at, opening, making or locking a file means: TEMPORARY where the disk,
 * or room on it, may come back (a full or read-only file system, an I/O error), so that a
 * supervisor tries again; else BAD_CONFIG. */
enum ow_status ow_store_path_status(int code);
/* Whether both are names of one file; a link is one of its own. */
bool ow_store_path_same(const char *one, const char *other);
enum ow_status ow_store_path_create(const char *path, struct ow_err *err);

/* store_lock.c: "<path>.lock": who owns the store, and how the last owner left it. */
enum ow_store_end { OW_STORE_END_CLOSED, OW_STORE_END_KILLED, OW_STORE_END_SUSPECT };
/* ret_last: SUSPECT where a commit's result was unknown, or the machine was started anew under a
 * running owner. */
enum ow_status ow_store_lock(const char *path, struct ow_arena *arena, int *ret_fd,
                             enum ow_store_end *ret_last, struct ow_err *err);
/* A suspicion was looked into and is over. */
void ow_store_lock_cleared(int fd);
void ow_store_unlock(int fd, enum ow_store_end end);
/* Tells one start of the machine from another; "unknown" where the kernel does not say. */
enum { OW_STORE_BOOT_BYTES = 40 };
void ow_store_read_boot(char boot[OW_STORE_BOOT_BYTES]);

/* store_schema.c */
enum ow_store_kind {
    OW_STORE_KIND_EMPTY,
    OW_STORE_KIND_OURS,
    OW_STORE_KIND_OLDER /* of an older schema version: its owner migrates it */
};
/* UNSAFE: not a database, another program's, a newer schema. Changes nothing. */
enum ow_status ow_store_identify(struct ow_sql *sql, const char *path, enum ow_store_kind *ret_kind,
                                 struct ow_err *err);
/* For those who only read, beside a worker: BAD_CONFIG where there is no file, UNSAFE where it
 * cannot be read as it is. Close sql in any case. */
enum ow_status ow_store_open_reader(struct ow_sql *sql, const char *path, struct ow_arena *arena,
                                    const char **ret_resolved, struct ow_err *err);
enum ow_status ow_store_create_schema(struct ow_sql *sql, int64_t now_ms, struct ow_err *err);
/* Whether a row of PRAGMA integrity_check tells of a page that could not be read: SQLite puts an
 * I/O error there among the damage. (A page number that cannot be it tells otherwise, and never
 * asks for that page.) Nothing is known of such a page, nor of those that only it leads to. */
bool ow_store_check_unread(struct ow_slice text);
/* PRAGMA integrity_check: UNSAFE with its first line; STORE_UNKNOWN where a page could not be read.
 */
enum ow_status ow_store_integrity(struct ow_sql *sql, struct ow_err *err);

/* store_migrate.c: within the transaction that opens the store: from the schema version that the
 * file has (*ret_from) to the present one. */
enum ow_status ow_store_migrate(struct ow_sql *sql, int64_t *ret_from, struct ow_err *err);

/* store_key.c: the store's hash key, in ow_meta or in a file of its own. */
enum ow_status ow_store_key_load(struct ow_sql *sql, const char *key_file, bool is_new,
                                 struct ow_hash_key *ret_key, struct ow_err *err);

/* store_machine.c: within a transaction. */
enum ow_status ow_store_machines(struct ow_sql *sql, struct ow_machines *machines,
                                 struct ow_err *err);
/* Appends a quoted name. */
void ow_store_identifier(struct ow_buffer *out, const char *name);

/* store_horizon.c */
/* Within a transaction: 'replaced_at_ms.<machine>.<version>' of those that are used no more. */
enum ow_status ow_store_horizon_replace(struct ow_sql *sql, const struct ow_machines *machines,
                                        int64_t now_ms, struct ow_err *err);
enum ow_status ow_store_horizon_load(struct ow_store *store, const struct ow_machines *machines,
                                     struct ow_err *err);
/* NULL: nothing of the class was pruned. */
struct ow_horizon *ow_store_horizon_of(struct ow_store *store, int64_t class_ms);
/* Of a class that is pruned for the first time: NULL where there are too many. */
struct ow_horizon *ow_store_horizon_add(struct ow_store *store, int64_t class_ms);

/* machine_statements.c */
enum ow_status ow_machine_statements_prepare(struct ow_store *store,
                                             const struct ow_machines *machines,
                                             struct ow_err *err);
void ow_machine_statements_done(struct ow_store *store);

/* meta.c */
enum ow_status ow_meta_get_i64(struct ow_sql *sql, const char *key, int64_t *ret_value,
                               struct ow_err *err);
/* NULL where there is none. */
enum ow_status ow_meta_get_text(struct ow_sql *sql, const char *key, struct ow_arena *arena,
                                const char **ret_text, struct ow_err *err);
enum ow_status ow_meta_put_i64(struct ow_sql *sql, const char *key, int64_t value,
                               struct ow_err *err);
enum ow_status ow_meta_put_text(struct ow_sql *sql, const char *key, const char *text,
                                struct ow_err *err);

/* text.c: numbers for closed sets of strings. */
enum ow_status ow_text_load(struct ow_store *store, struct ow_err *err);
enum ow_status ow_text_id(struct ow_store *store, struct ow_slice text, int64_t *ret_id,
                          struct ow_err *err);

/* headers.c: reading 15 of ARCHITECTURE: [[name, value], …]; a value is a string, null or
 * {"base64": …}. */
void ow_headers_write(struct ow_buffer *out, const struct ow_header *headers, size_t count);
/* False where text is not of that form. */
bool ow_headers_read(struct ow_slice text, struct ow_arena *arena,
                     const struct ow_header **ret_headers, size_t *ret_count);

/* prune.c: one step. */
enum ow_status ow_prune(struct ow_store *store, const struct ow_tending *tending, bool *ret_more,
                        struct ow_err *err);

/* claim.c */
enum ow_status ow_claim_read(struct ow_store *store, struct ow_world *world, struct ow_err *err);
enum ow_status ow_claim_write(struct ow_store *store, const struct ow_world *world,
                              struct ow_err *err);

/* entity.c, row.c, history.c */
enum ow_status ow_entity_read(struct ow_store *store, struct ow_world *world, struct ow_err *err);
enum ow_status ow_entity_write(struct ow_store *store, const struct ow_world *world,
                               struct ow_err *err);
enum ow_status ow_row_read(struct ow_store *store, struct ow_world *world, struct ow_err *err);
enum ow_status ow_row_write(struct ow_store *store, const struct ow_world *world,
                            struct ow_err *err);
enum ow_status ow_history_write(struct ow_store *store, const struct ow_world *world,
                                struct ow_err *err);
enum ow_status ow_sighting_write(struct ow_store *store, const struct ow_world *world,
                                 struct ow_err *err);

/* parked.c */
/* BAD_CONFIG where a machine has parked records and is not configured any more: nothing would wake
 * or end them. */
enum ow_status ow_parked_load(struct ow_store *store, const struct ow_machines *machines,
                              struct ow_err *err);
/* What is parked under an entity, oldest first. */
enum ow_status ow_parked_read(struct ow_store *store, struct ow_world *world,
                              struct ow_entity *entity, struct ow_err *err);
enum ow_status ow_parked_write(struct ow_store *store, const struct ow_world *world,
                               struct ow_err *err);

/* quarantine.c */
enum ow_status ow_quarantine_read(struct ow_store *store, struct ow_world *world,
                                  struct ow_err *err);
enum ow_status ow_quarantine_write(struct ow_store *store, const struct ow_world *world,
                                   struct ow_err *err);

/* kept.c: what the store has of the first message of a conflict. */
enum ow_status ow_kept_read(struct ow_store *store, struct ow_arena *arena, int64_t ref,
                            const struct ow_kept **ret_kept, struct ow_err *err);

/* position.c */
/* A row of OW_POSITION_ALL_TEXT, without its ledger. */
struct ow_position *ow_position_take_row(const struct ow_statement *read, struct ow_arena *arena);
enum ow_status ow_position_write(struct ow_store *store, const struct ow_position *positions,
                                 struct ow_err *err);

#endif
