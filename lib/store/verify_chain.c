#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/*
 * Chains of history rows, and that every history row is on the chain of its entity: the numbers of
 * all rows, against those that verify_history.c met. Where they differ the chains are walked once
 * more, and remembered.
 */

enum ow_status ow_verify_chain_open(struct ow_verify *verify, struct ow_verify_chain *chain,
                                    struct ow_err *err)
{
    *chain = (struct ow_verify_chain){0};
    return ow_sql_prepare(&verify->sql, "SELECT prev_seq FROM ow_history_row WHERE seq = ?",
                          &chain->prev_of, err);
}

void ow_verify_chain_done(struct ow_verify_chain *chain)
{
    ow_sql_finalize(&chain->prev_of);
    free(chain->seqs);
    *chain = (struct ow_verify_chain){0};
}

static void append(struct ow_verify_chain *chain, int64_t seq)
{
    if (chain->count == chain->capacity) {
        chain->capacity = chain->capacity == 0 ? 256 : 2 * chain->capacity;
        chain->seqs = reallocarray(chain->seqs, chain->capacity, sizeof(*chain->seqs));
        if (chain->seqs == NULL) {
            OW_IMPOSSIBLE("out of memory");
        }
    }
    chain->seqs[chain->count++] = seq;
}

enum ow_status ow_verify_chain_find(struct ow_verify *verify, struct ow_verify_chain *chain,
                                    int64_t last_seq, struct ow_err *err)
{
    chain->count = 0;
    int64_t seq = last_seq;
    bool row = seq > 0;
    while (row) {
        ow_sql_bind_i64(&chain->prev_of, seq);
        OW_TRY(ow_sql_step(&chain->prev_of, &row, err));
        if (row) {
            const int64_t prev = ow_sql_i64(&chain->prev_of, 0);
            ow_sql_reset(&chain->prev_of);
            append(chain, seq);
            row = prev > 0 && prev < seq;
            seq = prev;
        }
        OW_TRY(ow_verify_pause(verify, err));
    }
    return OW_OK;
}

/* Notes the chain of each entity of a machine. */
static enum ow_status note_machine(struct ow_verify *verify, struct ow_verify_chain *chain,
                                   struct ow_statement *add, const struct ow_table *table,
                                   struct ow_err *err)
{
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT ");
    ow_store_identifier(&text, table->key);
    ow_buffer_text(&text, ", last_seq FROM ");
    ow_store_identifier(&text, table->name);
    ow_verify_append_order(&text, table);
    OW_VERIFY_CURSOR entities = {.by = OW_VERIFY_BY_TEXT};
    OW_TRY(ow_verify_cursor_open(&entities, verify, ow_buffer_cstr(&text), err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&entities, &row, err));
    while (row) {
        OW_TRY(ow_verify_chain_find(verify, chain, ow_sql_i64(&entities.statement, 1), err));
        for (size_t i = 0; i < chain->count; i++) {
            ow_sql_bind_i64(add, chain->seqs[i]);
            OW_TRY(ow_sql_run(add, NULL, err));
        }
        OW_TRY(ow_verify_cursor_next(&entities, &row, err));
    }
    return OW_OK;
}

static enum ow_status note_chains(struct ow_verify *verify, struct ow_err *err)
{
    OW_TRY(ow_sql_exec(&verify->notes.sql, "CREATE TABLE chained (seq INTEGER PRIMARY KEY) STRICT",
                       err));
    OW_STATEMENT add = {0};
    OW_TRY(ow_sql_prepare(&verify->notes.sql,
                          "INSERT INTO chained VALUES (?) ON CONFLICT (seq) DO NOTHING", &add,
                          err));
    struct ow_verify_chain chain;
    enum ow_status status = ow_verify_chain_open(verify, &chain, err);
    for (const struct ow_verify_machine *machine = verify->machines;
         status == OW_OK && machine != NULL; machine = machine->next) {
        status = note_machine(verify, &chain, &add, &machine->newest->entity, err);
    }
    ow_verify_chain_done(&chain);
    return status;
}

static enum ow_status check_row(struct ow_verify *verify, struct ow_statement *find,
                                const struct ow_statement *row, struct ow_err *err)
{
    struct ow_past past; /* its texts are used, wherever it lies */
    bool chained = false;
    OW_TRY(ow_verify_past_take(verify, row, &past, err));
    ow_sql_bind_i64(find, past.seq);
    OW_TRY(ow_sql_step(find, &chained, err));
    ow_sql_reset(find);
    if (chained || past.seq >= verify->next_ref) {
        return OW_OK;
    }
    if (ow_verify_machine_named(verify, past.machine) == NULL) {
        ow_verify_broken(verify, OW_PROMISE_PATHS,
                         "history row %" PRId64 " is of no machine that the store knows", past.seq);
    } else {
        ow_verify_broken(verify, OW_PROMISE_VERSIONS,
                         OW_SLICE_FMT " '" OW_SLICE_FMT "', history row %" PRId64
                                      " is on no entity's chain",
                         OW_SLICE_ARG(past.machine), OW_SLICE_ARG(past.entity_id), past.seq);
    }
    return OW_OK;
}

static enum ow_status name_strays(struct ow_verify *verify, struct ow_err *err)
{
    OW_TRY(note_chains(verify, err));
    OW_STATEMENT find = {0};
    OW_TRY(ow_sql_prepare(&verify->notes.sql, "SELECT 1 FROM chained WHERE seq = ?", &find, err));
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_NUMBER};
    OW_TRY(ow_verify_cursor_open(
        &rows, verify,
        "SELECT " OW_VERIFY_PAST_COLUMNS " FROM ow_history_row WHERE seq >= ? ORDER BY seq", err));
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row) {
        OW_TRY(check_row(verify, &find, &rows.statement, err));
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    return OW_OK;
}

/* Texts that were there at the begin and no history row uses. */
static void check_texts(struct ow_verify *verify)
{
    for (const struct ow_verify_text *text = verify->texts; text != NULL; text = text->next) {
        ow_verify_checked(verify, OW_PROMISE_TEXTS, 1);
        if (!text->used) {
            ow_verify_broken(verify, OW_PROMISE_TEXTS,
                             "text %" PRId64 " '" OW_SLICE_FMT "' is used by no history row",
                             text->id, OW_SLICE_ARG(text->text));
        }
    }
}

enum ow_status ow_verify_chains(struct ow_verify *verify, struct ow_err *err)
{
    int64_t last = 0;
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT max(seq) FROM ow_history_row", &last, err));
    if (last != 0) {
        ow_verify_number(verify, last, "history row");
    }
    OW_VERIFY_CURSOR rows = {.by = OW_VERIFY_BY_NUMBER};
    OW_TRY(ow_verify_cursor_open(
        &rows, verify, "SELECT seq FROM ow_history_row WHERE seq >= ? ORDER BY seq", err));
    struct ow_verify_sum sum = {0};
    bool row = false;
    OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    while (row && ow_sql_i64(&rows.statement, 0) < verify->next_ref) {
        const int64_t seq = ow_sql_i64(&rows.statement, 0);
        ow_verify_number(verify, seq, "history row");
        ow_verify_sum_add(&sum, seq, NULL);
        OW_TRY(ow_verify_pause(verify, err));
        OW_TRY(ow_verify_cursor_next(&rows, &row, err));
    }
    if (!ow_verify_sum_equal(&sum, &verify->chained)) {
        OW_TRY(name_strays(verify, err));
    }
    check_texts(verify);
    return OW_OK;
}
