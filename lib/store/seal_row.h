/*
 * seal_row: a row as bytes, column by column: what is bound to an INSERT and what is read back give
 * the same. Private to lib/store; the form is in ARCHITECTURE (reading 34), for outside checkers.
 *
 * Pure. Memory: the caller's buffer.
 */
#ifndef OW_STORE_SEAL_ROW_H
#define OW_STORE_SEAL_ROW_H

#include "base/buffer.h"

#include <sqlite3.h>

/* The first byte of each column. Integers follow as 8 bytes, texts and blobs as their length in 8
 * bytes and then themselves; little-endian. */
enum ow_seal_type {
    OW_SEAL_TYPE_NULL = 0,
    OW_SEAL_TYPE_INTEGER = 1,
    OW_SEAL_TYPE_TEXT = 3,
    OW_SEAL_TYPE_BLOB = 4
};

void ow_seal_row_null(struct ow_buffer *row);
void ow_seal_row_i64(struct ow_buffer *row, int64_t value);
/* The absent slice is NULL, as it is where a parameter is bound. */
void ow_seal_row_bytes(struct ow_buffer *row, enum ow_seal_type type, struct ow_slice bytes);
/* All columns of the row that a statement is at. The buffer is emptied first. */
void ow_seal_row_read(struct ow_buffer *row, sqlite3_stmt *statement);

#endif
