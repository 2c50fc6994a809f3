#include "store/seal_row.h"

static void append_u64(struct ow_buffer *row, enum ow_seal_type type, uint64_t value)
{
    uint8_t bytes[9] = {(uint8_t)type};
    for (size_t i = 1; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)value;
        value >>= 8;
    }
    ow_buffer_append(row, bytes, sizeof(bytes));
}

void ow_seal_row_null(struct ow_buffer *row)
{
    ow_buffer_byte(row, OW_SEAL_TYPE_NULL);
}

void ow_seal_row_i64(struct ow_buffer *row, int64_t value)
{
    append_u64(row, OW_SEAL_TYPE_INTEGER, (uint64_t)value);
}

void ow_seal_row_bytes(struct ow_buffer *row, enum ow_seal_type type, struct ow_slice bytes)
{
    if (ow_slice_is_absent(bytes)) {
        ow_seal_row_null(row);
        return;
    }
    append_u64(row, type, bytes.len);
    ow_buffer_slice(row, bytes);
}

void ow_seal_row_read(struct ow_buffer *row, sqlite3_stmt *statement)
{
    ow_buffer_clear(row);
    const int count = sqlite3_data_count(statement);
    for (int i = 0; i < count; i++) {
        const int type = sqlite3_column_type(statement, i);
        if (type == SQLITE_NULL) {
            ow_seal_row_null(row);
        } else if (type == SQLITE_INTEGER) {
            ow_seal_row_i64(row, sqlite3_column_int64(statement, i));
        } else {
            /* A real in a STRICT table is somebody else's doing: as bytes it meets no row of ours.
             */
            const void *bytes = sqlite3_column_blob(statement, i);
            append_u64(row, type == SQLITE_BLOB ? OW_SEAL_TYPE_BLOB : OW_SEAL_TYPE_TEXT,
                       (uint64_t)sqlite3_column_bytes(statement, i));
            ow_buffer_append(row, bytes, (size_t)sqlite3_column_bytes(statement, i));
        }
    }
}
