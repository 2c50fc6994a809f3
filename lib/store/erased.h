/*
 * erased: how a row says that its payload was erased, and what it keeps of it, so that it is not
 * taken for a row that was tampered with, and hides none that was. Private to lib/store.
 *
 * A history row has the members `erased` (when, in milliseconds), `records` (a pair for each row
 * that its transition recorded: the row's key, and a hash of the row as it was then; in the row of
 * a seeded entity the table's name, third) and, where it was its entity's last, `columns` (the
 * entity's columns as they were then: later rows build on them). Real data has JSON pointers as
 * members, which begin with '/' or are empty. Whatever is kept stands in the business tables too,
 * but for the hash, which is the store's keyed one.
 *
 * Pure. Memory: the caller's.
 */
#ifndef OW_STORE_ERASED_H
#define OW_STORE_ERASED_H

#include "model/hash.h"
#include "model/json.h"
#include "model/machine.h"
#include "store/sql.h"

#include <jansson.h>

/* Borrowed from data. */
struct ow_erased {
    int64_t at_ms;
    const json_t *records; /* by the transition's recordings; NULL: there are none */
    const json_t *columns; /* name → value; NULL: it was not the entity's last row */
};
/* False where data is no such object, whole. */
bool ow_erased_read(const json_t *data, struct ow_erased *ret_erased);

enum { OW_ERASED_HASH_BYTES = 16, OW_ERASED_HASH_TEXT = 2 * OW_ERASED_HASH_BYTES + 1 };
/* "SELECT number, column, … FROM table WHERE key = ?"; number: the column seq or last_seq. */
void ow_erased_select(struct ow_buffer *out, const char *number, const struct ow_table *table);
/* The hash of the row that such a statement is at: table, key and columns as texts, with lengths.
 */
void ow_erased_hash(const struct ow_hash_key *hash_key, const struct ow_table *table,
                    struct ow_slice key, const struct ow_statement *row,
                    char text[OW_ERASED_HASH_TEXT]);

/* "payload erased at 2026-11-22T10:00:00.123Z": the note of a quarantine row. */
enum { OW_ERASED_NOTE_BYTES = 64 };
void ow_erased_note(int64_t at_ms, char text[OW_ERASED_NOTE_BYTES]);
bool ow_erased_is_note(struct ow_slice note);

#endif
