#include "store/erased.h"

#include "base/parse.h"
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>

static const char note_begin[] = "payload erased at ";

bool ow_erased_read(const json_t *data, struct ow_erased *ret_erased)
{
    const json_t *at = json_object_get(data, "erased");
    *ret_erased = (struct ow_erased){.at_ms = json_integer_value(at),
                                     .records = json_object_get(data, "records"),
                                     .columns = json_object_get(data, "columns")};
    const size_t known = 1U + (ret_erased->records != NULL) + (ret_erased->columns != NULL);
    return json_is_integer(at) && json_object_size(data) == known &&
           (ret_erased->records == NULL || json_is_array(ret_erased->records)) &&
           (ret_erased->columns == NULL || json_is_object(ret_erased->columns));
}

void ow_erased_select(struct ow_buffer *out, const char *number, const struct ow_table *table)
{
    ow_buffer_printf(out, "SELECT %s", number);
    for (size_t c = 0; c < table->column_count; c++) {
        ow_buffer_text(out, ", ");
        ow_store_identifier(out, table->columns[c].name);
    }
    ow_buffer_text(out, " FROM ");
    ow_store_identifier(out, table->name);
    ow_buffer_text(out, " WHERE ");
    ow_store_identifier(out, table->key);
    ow_buffer_text(out, " = ?");
}

void ow_erased_hash(const struct ow_hash_key *hash_key, const struct ow_table *table,
                    struct ow_slice key, const struct ow_statement *row,
                    char text[OW_ERASED_HASH_TEXT])
{
    struct ow_hash hash;
    uint8_t digest[OW_ERASED_HASH_BYTES];
    ow_hash_begin(&hash, hash_key, sizeof(digest));
    ow_hash_part(&hash, ow_slice_of(table->name));
    ow_hash_part(&hash, key);
    for (size_t c = 0; c < table->column_count; c++) {
        char digits[24];
        const struct ow_value value = ow_sql_value(row, 1 + (int)c, NULL);
        struct ow_slice bytes = value.type == OW_TYPE_TEXT ? value.text : (struct ow_slice){0};
        if (value.type == OW_TYPE_INTEGER) {
            (void)snprintf(digits, sizeof(digits), "%" PRId64, value.integer);
            bytes = ow_slice_of(digits);
        }
        ow_hash_part(&hash, bytes);
    }
    ow_hash_end(&hash, digest, sizeof(digest));
    ow_hash_hex(digest, sizeof(digest), text);
}

void ow_erased_note(int64_t at_ms, char text[OW_ERASED_NOTE_BYTES])
{
    char time[OW_TIME_TEXT_BYTES];
    ow_format_time_ms(at_ms, time);
    (void)snprintf(text, OW_ERASED_NOTE_BYTES, "%s%s", note_begin, time);
}

bool ow_erased_is_note(struct ow_slice note)
{
    const size_t len = sizeof(note_begin) - 1;
    int64_t at_ms = 0;
    return note.len > len && memcmp(note.ptr, note_begin, len) == 0 &&
           ow_parse_time_ms((struct ow_slice){note.ptr + len, note.len - len}, &at_ms);
}
