#include "strict.h"

#include <math.h>
#include <stdlib.h>

enum { DEPTH_MAX = 2048, END = -1 };

struct name {
    struct ow_slice text;
    struct name *next;
};

struct reader {
    struct ow_slice text;
    size_t at;
    struct ow_arena *arena;
    struct {
        bool is_object;
        struct name *names;
    } open[DEPTH_MAX];
    size_t depth; /* of open collections */
};

static int peek(const struct reader *reader)
{
    return reader->at < reader->text.len ? reader->text.ptr[reader->at] : END;
}

static bool take(struct reader *reader, int byte)
{
    if (peek(reader) != byte) {
        return false;
    }
    reader->at++;
    return true;
}

static bool take_word(struct reader *reader, const char *word)
{
    const size_t len = strlen(word);
    if (reader->text.len - reader->at < len ||
        memcmp(reader->text.ptr + reader->at, word, len) != 0) {
        return false;
    }
    reader->at += len;
    return true;
}

static void skip_space(struct reader *reader)
{
    while (take(reader, ' ') || take(reader, '\t') || take(reader, '\n') || take(reader, '\r')) {
    }
}

static bool take_digits(struct reader *reader)
{
    const size_t start = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9') {
        reader->at++;
    }
    return reader->at > start;
}

/* Without an exponent or a fraction it is an integer, which must fit 64 bits. */
static bool fits(struct reader *reader, size_t start, bool is_real)
{
    const struct ow_slice number = {reader->text.ptr + start, reader->at - start};
    const char *const digits = ow_arena_text(reader->arena, number);
    if (is_real) {
        return isfinite(strtod(digits, NULL));
    }
    const size_t sign = digits[0] == '-' ? 1 : 0;
    if (number.len - sign != 19) {
        return number.len - sign < 19;
    }
    return strcmp(digits + sign, sign == 1 ? "9223372036854775808" : "9223372036854775807") <= 0;
}

static bool take_number(struct reader *reader)
{
    const size_t start = reader->at;
    (void)take(reader, '-');
    if (!take(reader, '0') && !take_digits(reader)) {
        return false;
    }
    bool is_real = false;
    if (take(reader, '.')) {
        is_real = true;
        if (!take_digits(reader)) {
            return false;
        }
    }
    if (take(reader, 'e') || take(reader, 'E')) {
        is_real = true;
        if (!take(reader, '+')) {
            (void)take(reader, '-');
        }
        if (!take_digits(reader)) {
            return false;
        }
    }
    return fits(reader, start, is_real);
}

/* The four digits behind "\u", or -1. */
static int take_unit(struct reader *reader)
{
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        const int byte = peek(reader);
        static const char hex[] = "0123456789abcdef";
        const int lower = byte >= 'A' && byte <= 'F' ? byte + 32 : byte;
        const char *const digit = lower <= 0 ? NULL : strchr(hex, lower);
        if (digit == NULL) {
            return -1;
        }
        unit = unit * 16 + (int)(digit - hex);
        reader->at++;
    }
    return unit;
}

static size_t put_utf8(uint8_t *out, int point)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    const size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (uint8_t)(leads[more] | point >> 6 * (int)more);
    for (size_t i = 1; i <= more; i++) {
        out[i] = (uint8_t)(0x80 | (point >> 6 * (int)(more - i) & 0x3f));
    }
    return more + 1;
}

/* What stands behind '\'; 0 bytes: it is no escape, or one of NUL or of half a pair. */
static size_t take_escape(struct reader *reader, uint8_t *out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    const int name = peek(reader);
    const char *const found = name <= 0 ? NULL : strchr(names, name);
    if (found != NULL) {
        reader->at++;
        out[0] = (uint8_t)bytes[found - names];
        return 1;
    }
    if (!take(reader, 'u')) {
        return 0;
    }
    int point = take_unit(reader);
    if (point >= 0xd800 && point <= 0xdbff) {
        const int low = take_word(reader, "\\u") ? take_unit(reader) : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            return 0;
        }
        point = 0x10000 + (point - 0xd800) * 0x400 + (low - 0xdc00);
    } else if (point >= 0xdc00 && point <= 0xdfff) {
        return 0;
    }
    return point <= 0 ? 0 : put_utf8(out, point);
}

static bool take_string(struct reader *reader, struct ow_slice *ret_text)
{
    if (!take(reader, '"')) {
        return false;
    }
    uint8_t *const out = ow_arena_alloc(reader->arena, reader->text.len - reader->at + 4);
    size_t len = 0;
    while (!take(reader, '"')) {
        const int byte = peek(reader);
        if (byte < 0x20) {
            return false; /* the end, too */
        }
        reader->at++;
        if (byte != '\\') {
            out[len++] = (uint8_t)byte;
            continue;
        }
        const size_t more = take_escape(reader, out + len);
        if (more == 0) {
            return false;
        }
        len += more;
    }
    *ret_text = (struct ow_slice){out, len};
    return true;
}

/* `"name":`, which the object has not had yet. */
static bool take_name(struct reader *reader)
{
    struct name *const name = OW_ARENA_NEW(reader->arena, struct name);
    skip_space(reader);
    if (!take_string(reader, &name->text)) {
        return false;
    }
    struct name **const names = &reader->open[reader->depth - 1].names;
    for (const struct name *other = *names; other != NULL; other = other->next) {
        if (ow_slice_equal(other->text, name->text)) {
            return false;
        }
    }
    name->next = *names;
    *names = name;
    skip_space(reader);
    return take(reader, ':');
}

static bool take_scalar(struct reader *reader)
{
    struct ow_slice unused = {0};
    if (peek(reader) == '"') {
        return take_string(reader, &unused);
    }
    return take_word(reader, "true") || take_word(reader, "false") || take_word(reader, "null") ||
           take_number(reader);
}

/* One value, or the opening of one; *ret_opened: its members are still to come. */
static bool take_value(struct reader *reader, bool *ret_opened)
{
    *ret_opened = false;
    skip_space(reader);
    if (reader->depth == DEPTH_MAX) {
        return false; /* this value would be the 2,049th */
    }
    const bool is_object = peek(reader) == '{';
    if (!is_object && peek(reader) != '[') {
        return take_scalar(reader);
    }
    reader->at++;
    skip_space(reader);
    if (take(reader, is_object ? '}' : ']')) {
        return true;
    }
    reader->open[reader->depth].is_object = is_object;
    reader->open[reader->depth].names = NULL;
    reader->depth++;
    *ret_opened = true;
    return !is_object || take_name(reader);
}

/* Closes what ends here; false: neither an end nor a further member. */
static bool take_ends(struct reader *reader)
{
    while (reader->depth > 0) {
        const bool is_object = reader->open[reader->depth - 1].is_object;
        skip_space(reader);
        if (take(reader, ',')) {
            return !is_object || take_name(reader);
        }
        if (!take(reader, is_object ? '}' : ']')) {
            return false;
        }
        reader->depth--;
    }
    return true;
}

bool ow_strict_json(struct ow_slice text, struct ow_arena *arena)
{
    struct reader *const reader = OW_ARENA_NEW(arena, struct reader);
    reader->text = text;
    reader->arena = arena;
    if (!ow_slice_is_utf8(text)) {
        return false;
    }
    do {
        bool opened = false;
        if (!take_value(reader, &opened) || (!opened && !take_ends(reader))) {
            return false;
        }
    } while (reader->depth > 0);
    skip_space(reader);
    return reader->at == text.len;
}
