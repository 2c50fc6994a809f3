#include "store/seal.h"

#include "base/log.h"
#include "store/internal.h"
#include "store/seal_row.h"

#include <inttypes.h>

const struct ow_seal_form ow_seal_forms[OW_SEAL_COUNT] = {
#define OW_SEAL_FORM(name, seal_table, seal_column, seal_bits)                                     \
    [OW_SEAL_##name] = {(seal_table), (seal_column), (seal_bits)},
    OW_SEAL_TABLE(OW_SEAL_FORM)
#undef OW_SEAL_FORM
};

void ow_seal_key(enum ow_seal_name name, int64_t chunk, char text[OW_SEAL_KEY_BYTES])
{
    const struct ow_seal_form *form = &ow_seal_forms[name];
    if (form->column == NULL) {
        (void)snprintf(text, OW_SEAL_KEY_BYTES, "seal.%s", form->table);
    } else {
        (void)snprintf(text, OW_SEAL_KEY_BYTES, "seal.%s.%016" PRId64, form->table, chunk);
    }
}

int64_t ow_seal_chunk(enum ow_seal_name name, int64_t number)
{
    const struct ow_seal_form *form = &ow_seal_forms[name];
    return form->column == NULL ? 0 : number >> form->bits;
}

void ow_seals_init(struct ow_seals *seals)
{
    *seals = (struct ow_seals){0};
    ow_arena_init(&seals->arena, 4096);
    ow_map_init(&seals->map, &seals->arena);
}

void ow_seals_done(struct ow_seals *seals)
{
    ow_buffer_done(&seals->row);
    ow_arena_done(&seals->arena);
}

void ow_seals_savepoint(struct ow_seals *seals)
{
    for (struct ow_seal *seal = seals->dirty; seal != NULL; seal = seal->next_dirty) {
        seal->saved = seal->live;
    }
}

void ow_seals_rollback_to(struct ow_seals *seals)
{
    for (struct ow_seal *seal = seals->dirty; seal != NULL; seal = seal->next_dirty) {
        seal->live = seal->saved;
    }
}

/* Ends a transaction: what has moved is forgotten, or is from now on what is there. */
static void end(struct ow_seals *seals, bool committed)
{
    for (struct ow_seal *seal = seals->dirty; seal != NULL; seal = seal->next_dirty) {
        if (committed) {
            seal->stored = !seal->dropped && (seal->stored || seal->live != seal->committed);
            seal->committed = seal->live;
        }
        seal->live = seal->saved = seal->committed;
        seal->dirty = seal->dropped = false;
    }
    seals->dirty = NULL;
}

void ow_seals_rollback(struct ow_seals *seals)
{
    end(seals, false);
}

void ow_seals_settle(struct ow_seals *seals)
{
    end(seals, true);
}

/* The sum, to be moved in this transaction. */
static enum ow_status touch(struct ow_store *store, enum ow_seal_name name, int64_t chunk,
                            struct ow_seal **ret_seal, struct ow_err *err)
{
    struct ow_seals *seals = &store->seals;
    const int64_t id[2] = {(int64_t)name, chunk};
    struct ow_seal *seal =
        ow_map_get(&seals->map, (struct ow_slice){(const uint8_t *)id, sizeof(id)});
    if (seal == NULL) {
        seal = OW_ARENA_NEW(&seals->arena, struct ow_seal);
        *seal = (struct ow_seal){
            .name = name, .chunk = chunk, .id = {id[0], id[1]}
        };
        OW_TRY(ow_seal_load(&store->sql, seal, err));
        ow_map_put(&seals->map, (struct ow_slice){(const uint8_t *)seal->id, sizeof(seal->id)},
                   seal);
    }
    if (!seal->dirty) {
        seal->dirty = true;
        seal->next_dirty = seals->dirty;
        seals->dirty = seal;
    }
    *ret_seal = seal;
    return OW_OK;
}

void ow_seal_prepare(struct ow_store *store, struct ow_statement *insert)
{
    insert->row = &store->seals.row;
}

enum ow_status ow_seal_insert(struct ow_store *store, enum ow_seal_name name, int64_t number,
                              struct ow_statement *insert, int64_t *ret_changes, struct ow_err *err)
{
    OW_REQUIRE(insert->row == &store->seals.row);
    struct ow_seal *seal = NULL;
    const uint64_t hash = ow_hash_row(ow_buffer_view(&store->seals.row));
    int64_t changes = 0;
    OW_TRY(ow_sql_write(insert, &changes, err));
    if (changes == 1) {
        OW_TRY(touch(store, name, ow_seal_chunk(name, number), &seal, err));
        seal->live += hash;
    }
    if (ret_changes != NULL) {
        *ret_changes = changes;
    }
    return OW_OK;
}

static enum ow_status sum_of(struct ow_store *store, struct ow_statement *read, uint64_t *ret_sum,
                             struct ow_err *err)
{
    int64_t rows = 0;
    return ow_seal_sum(&store->seals.row, read, &rows, ret_sum, err);
}

enum ow_status ow_seal_take(struct ow_store *store, enum ow_seal_name name, int64_t number,
                            struct ow_statement *read, struct ow_err *err)
{
    struct ow_seal *seal = NULL;
    uint64_t sum = 0;
    OW_TRY(sum_of(store, read, &sum, err));
    OW_TRY(touch(store, name, ow_seal_chunk(name, number), &seal, err));
    seal->live -= sum;
    return OW_OK;
}

enum ow_status ow_seal_put(struct ow_store *store, enum ow_seal_name name, int64_t number,
                           struct ow_statement *read, struct ow_err *err)
{
    struct ow_seal *seal = NULL;
    uint64_t sum = 0;
    OW_TRY(sum_of(store, read, &sum, err));
    OW_TRY(touch(store, name, ow_seal_chunk(name, number), &seal, err));
    seal->live += sum;
    return OW_OK;
}

/* The row of ow_meta that holds an integer. */
static uint64_t hash_meta(struct ow_buffer *row, const char *key, int64_t value)
{
    ow_buffer_clear(row);
    ow_seal_row_bytes(row, OW_SEAL_TYPE_TEXT, ow_slice_of(key));
    ow_seal_row_i64(row, value);
    return ow_hash_row(ow_buffer_view(row));
}

enum ow_status ow_seal_drop(struct ow_store *store, enum ow_seal_name name, int64_t number,
                            struct ow_err *err)
{
    struct ow_seal *seal = NULL;
    OW_TRY(touch(store, name, ow_seal_chunk(name, number), &seal, err));
    seal->live = 0;
    seal->dropped = true;
    return OW_OK;
}

enum ow_status ow_seal_meta(struct ow_store *store, const char *key, int64_t value,
                            struct ow_err *err)
{
    struct ow_statement *row = ow_store_statement(store, OW_STATEMENT_META_ROW);
    struct ow_statement *write = ow_store_statement(store, OW_STATEMENT_SEAL_WRITE);
    ow_sql_bind_cstr(row, key);
    OW_TRY(ow_seal_take(store, OW_SEAL_META, 0, row, err));
    ow_sql_bind_cstr(write, key);
    ow_sql_bind_i64(write, value);
    OW_TRY(ow_sql_run(write, NULL, err));
    ow_sql_bind_cstr(row, key);
    return ow_seal_put(store, OW_SEAL_META, 0, row, err);
}

static enum ow_status delete_one(struct ow_store *store, const char *key, struct ow_err *err)
{
    struct ow_statement *statement = ow_store_statement(store, OW_STATEMENT_SEAL_DELETE);
    ow_sql_bind_cstr(statement, key);
    return ow_sql_run(statement, NULL, err);
}

static enum ow_status write_one(struct ow_store *store, const struct ow_seal *seal,
                                struct ow_err *err)
{
    char key[OW_SEAL_KEY_BYTES];
    ow_seal_key(seal->name, seal->chunk, key);
    struct ow_statement *write = ow_store_statement(store, OW_STATEMENT_SEAL_WRITE);
    ow_sql_bind_cstr(write, key);
    ow_sql_bind_i64(write, (int64_t)seal->live);
    return ow_sql_run(write, NULL, err);
}

enum ow_status ow_seal_write(struct ow_store *store, int64_t next_ref, struct ow_err *err)
{
    struct ow_seal *meta = NULL;
    OW_TRY(touch(store, OW_SEAL_META, 0, &meta, err));
    struct ow_buffer *row = &store->seals.row;
    for (const struct ow_seal *seal = store->seals.dirty; seal != NULL; seal = seal->next_dirty) {
        /* Also that of a bucket that was opened in a savepoint and is not there any more. */
        if (seal == meta || (seal->live == seal->committed && !seal->dropped)) {
            continue;
        }
        char key[OW_SEAL_KEY_BYTES];
        ow_seal_key(seal->name, seal->chunk, key);
        OW_TRY(seal->dropped ? delete_one(store, key, err) : write_one(store, seal, err));
        meta->live += seal->dropped ? 0 : hash_meta(row, key, (int64_t)seal->live);
        meta->live -= seal->stored ? hash_meta(row, key, (int64_t)seal->committed) : 0;
    }
    meta->live += hash_meta(row, "batch", store->batch + 1) + hash_meta(row, "next_ref", next_ref);
    meta->live -=
        hash_meta(row, "batch", store->batch) + hash_meta(row, "next_ref", store->next_ref);
    return write_one(store, meta, err);
}

static enum ow_status scan_whole(struct ow_sql *sql, enum ow_seal_name name, uint64_t *ret_sum,
                                 struct ow_err *err)
{
    int64_t rows = 0;
    return ow_seal_scan(sql, name, 0, &rows, ret_sum, err);
}

enum ow_status ow_seal_marks_begin(struct ow_sql *sql, struct ow_seal_before *ret_before,
                                   struct ow_err *err)
{
    int64_t sealed = 0;
    OW_TRY(ow_sql_query_i64(sql, "SELECT 1 FROM ow_meta WHERE key = 'seal.ow_meta'", &sealed, err));
    *ret_before = (struct ow_seal_before){.sealed = sealed != 0};
    OW_TRY(scan_whole(sql, OW_SEAL_META, &ret_before->meta, err));
    OW_TRY(scan_whole(sql, OW_SEAL_POSITION, &ret_before->position, err));
    return scan_whole(sql, OW_SEAL_MACHINE, &ret_before->machine, err);
}

enum ow_status ow_seal_open_begin(struct ow_store *store, struct ow_seal_before *ret_before,
                                  struct ow_err *err)
{
    return ow_seal_marks_begin(&store->sql, ret_before, err);
}

/* Moves the sum of a small table by what has changed in it. */
static enum ow_status move(struct ow_sql *sql, enum ow_seal_name name, uint64_t before,
                           struct ow_err *err)
{
    struct ow_seal seal = {.name = name};
    uint64_t after = 0;
    OW_TRY(ow_seal_load(sql, &seal, err));
    OW_TRY(scan_whole(sql, name, &after, err));
    if (after == before) {
        return OW_OK;
    }
    char key[OW_SEAL_KEY_BYTES];
    ow_seal_key(name, 0, key);
    return ow_meta_put_i64(sql, key, (int64_t)(seal.live + after - before), err);
}

enum ow_status ow_seal_marks_end(struct ow_sql *sql, const struct ow_seal_before *before,
                                 struct ow_err *err)
{
    if (!before->sealed) {
        return OW_OK;
    }
    OW_TRY(move(sql, OW_SEAL_MACHINE, before->machine, err));
    OW_TRY(move(sql, OW_SEAL_POSITION, before->position, err));
    return move(sql, OW_SEAL_META, before->meta, err);
}

/* Seals a table as it is, chunk by chunk. */
static enum ow_status seal_table(struct ow_store *store, enum ow_seal_name name, struct ow_err *err)
{
    const struct ow_seal_form *form = &ow_seal_forms[name];
    char text[256];
    (void)snprintf(text, sizeof(text), "SELECT DISTINCT %s >> %d FROM %s",
                   form->column == NULL ? "0" : form->column, form->bits, form->table);
    OW_STATEMENT chunks = {0};
    OW_TRY(ow_sql_prepare(&store->sql, text, &chunks, err));
    bool row = false;
    OW_TRY(ow_sql_step(&chunks, &row, err));
    while (row) {
        const int64_t chunk = ow_sql_i64(&chunks, 0);
        int64_t rows = 0;
        uint64_t sum = 0;
        char key[OW_SEAL_KEY_BYTES];
        ow_seal_key(name, chunk, key);
        OW_TRY(ow_seal_scan(&store->sql, name, chunk, &rows, &sum, err));
        OW_TRY(ow_meta_put_i64(&store->sql, key, (int64_t)sum, err));
        OW_TRY(ow_sql_step(&chunks, &row, err));
    }
    return OW_OK;
}

static enum ow_status seal_all(struct ow_store *store, struct ow_err *err)
{
    if (store->batch > 0) {
        ow_log(OW_LOG_WARN, "sealed_anew", "store=%s reason=\"it had no sums of its rows\"",
               store->path);
    }
    OW_TRY(ow_sql_exec(&store->sql, "DELETE FROM ow_meta WHERE key GLOB 'seal.*'", err));
    for (int name = 0; name < OW_SEAL_META; name++) {
        OW_TRY(seal_table(store, (enum ow_seal_name)name, err));
    }
    uint64_t sum = 0;
    OW_TRY(scan_whole(&store->sql, OW_SEAL_META, &sum, err));
    return ow_meta_put_i64(&store->sql, "seal.ow_meta", (int64_t)sum, err);
}

enum ow_status ow_seal_open_end(struct ow_store *store, const struct ow_seal_before *before,
                                struct ow_err *err)
{
    return before->sealed ? ow_seal_marks_end(&store->sql, before, err) : seal_all(store, err);
}
