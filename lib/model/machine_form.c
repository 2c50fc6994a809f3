#include "model/machine_form.h"

enum { NAME_BYTES_MAX = 63 };

static bool is_lower(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return is_lower(byte) || (byte >= 'A' && byte <= 'Z');
}

static bool starts_with(struct ow_slice text, const char *prefix)
{
    const size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.ptr, prefix, len) == 0;
}

/* [a-z_][a-z0-9_]{0,62} */
static bool is_name(struct ow_slice text)
{
    if (text.len == 0 || text.len > NAME_BYTES_MAX || is_digit(text.ptr[0])) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!is_lower(text.ptr[i]) && !is_digit(text.ptr[i]) && text.ptr[i] != '_') {
            return false;
        }
    }
    return true;
}

/* Letters, digits and some signs, up to a length. */
static bool is_made_of(struct ow_slice text, const char *signs, size_t len_max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_letter(text.ptr[i]) && !is_digit(text.ptr[i]) &&
            strchr(signs, text.ptr[i]) == NULL) {
            return false;
        }
    }
    return text.len > 0 && text.len <= len_max;
}

static bool is_machine(struct ow_slice text)
{
    return is_made_of(text, "_-", NAME_BYTES_MAX) && is_letter(text.ptr[0]);
}

static bool is_table(struct ow_slice text)
{
    return is_name(text) && !starts_with(text, "ow_") && !starts_with(text, "sqlite_");
}

const char *const ow_form_reserved_columns[] = {"state",         "version",       "last_seq", "seq",
                                                "created_at_ms", "updated_at_ms", NULL};

static bool is_column(struct ow_slice text)
{
    for (size_t i = 0; ow_form_reserved_columns[i] != NULL; i++) {
        if (ow_slice_equals_text(text, ow_form_reserved_columns[i])) {
            return false;
        }
    }
    return is_table(text);
}

static bool is_state(struct ow_slice text)
{
    return is_made_of(text, "_-.", NAME_BYTES_MAX) && is_letter(text.ptr[0]) &&
           !ow_slice_equals_text(text, "none") && !ow_slice_equals_text(text, "same");
}

static bool is_type(struct ow_slice text)
{
    return text.len > 0;
}

static bool is_topic(struct ow_slice text)
{
    return is_made_of(text, "._-", 249) && !ow_slice_equals_text(text, ".") &&
           !ow_slice_equals_text(text, "..");
}

/* RFC 6901, but not the whole document. */
static bool is_pointer(struct ow_slice text)
{
    if (text.len == 0 || text.ptr[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const bool escape_ends =
            i + 1 < text.len && (text.ptr[i + 1] == '0' || text.ptr[i + 1] == '1');
        if (text.ptr[i] == '~' && !escape_ends) {
            return false;
        }
    }
    return true;
}

static bool is_place(struct ow_slice text)
{
    return is_pointer(text) || ow_slice_equals_text(text, "key") ||
           (starts_with(text, "header:") && text.len > 7);
}

static bool is_entity(struct ow_slice text)
{
    return is_place(text) || ow_slice_equals_text(text, "subject");
}

static bool is_part(struct ow_slice text)
{
    static const char *const words[] = {"type", "source", "id", "time", "subject", "entity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (ow_slice_equals_text(text, words[i])) {
            return true;
        }
    }
    return is_place(text);
}

#define POINTER "(/([^~/]|~[01])*)+"

const struct ow_option_form ow_form_machine = {
    .pattern = "^[A-Za-z][A-Za-z0-9_-]{0,62}$",
    .is_form = is_machine,
    .says = "a name of letters, digits, '_' and '-'",
};
const struct ow_option_form ow_form_table = {
    .pattern = "^(?!ow_|sqlite_)[a-z_][a-z0-9_]{0,62}$",
    .is_form = is_table,
    .says = "a name of a-z, 0-9 and '_' that does not begin with 'ow_' or 'sqlite_'",
};
const struct ow_option_form ow_form_column = {
    .pattern = "^(?!ow_|sqlite_|(state|version|last_seq|seq|created_at_ms|updated_at_ms)$)[a-z_][a-"
               "z0-9_]{0,62}$",
    .is_form = is_column,
    .says = "a name of a-z, 0-9 and '_' that is not reserved (ow_…, sqlite_…, state, version, "
            "last_seq, seq, "
            "created_at_ms, updated_at_ms)",
};
const struct ow_option_form ow_form_state = {
    .pattern = "^(?!(none|same)$)[A-Za-z][A-Za-z0-9_.-]{0,62}$",
    .is_form = is_state,
    .says = "a state's name of letters, digits, '_', '-' and '.' (none and same are taken)",
};
const struct ow_option_form ow_form_type = {
    .pattern = "^[^\\x00]+$",
    .is_form = is_type,
    .says = "an event type",
};
const struct ow_option_form ow_form_topic = {
    .pattern = "^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,249}$",
    .is_form = is_topic,
    .says = "the name of a Kafka topic",
};
const struct ow_option_form ow_form_pointer = {
    .pattern = "^" POINTER "$",
    .is_form = is_pointer,
    .says = "a JSON pointer such as /data/amount",
};
const struct ow_option_form ow_form_part = {
    .pattern = "^(type|source|id|time|subject|entity|key|header:.+|" POINTER ")$",
    .is_form = is_part,
    .says = "type, source, id, time, subject, entity, key, header:NAME or a JSON pointer",
};
const struct ow_option_form ow_form_place = {
    .pattern = "^(key|header:.+|" POINTER ")$",
    .is_form = is_place,
    .says = "a JSON pointer, header:NAME or key",
};
const struct ow_option_form ow_form_entity = {
    .pattern = "^(subject|key|header:.+|" POINTER ")$",
    .is_form = is_entity,
    .says = "a JSON pointer, header:NAME, key or subject",
};
