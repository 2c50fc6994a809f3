#include "model/tree_scalar.h"

#include "base/parse.h"

#include <math.h>
#include <stdlib.h>

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_name(uint8_t byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '_';
}

/* Where "${" begins at or after start; text.len where it does not. */
static size_t find_variable(struct ow_slice text, size_t start)
{
    for (size_t i = start; i + 1 < text.len; i++) {
        if (text.ptr[i] == '$' && text.ptr[i + 1] == '{') {
            return i;
        }
    }
    return text.len;
}

/* The variable whose "${" stands at start: appends its value; the position behind its '}', or 0
 * with a reason in out. */
static size_t resolve_one(struct ow_slice text, size_t start, ow_tree_variable_fn *variable,
                          void *context, struct ow_buffer *out)
{
    size_t name_end = start + 2;
    while (name_end < text.len && is_name(text.ptr[name_end])) {
        name_end++;
    }
    size_t end = name_end;
    while (end < text.len && text.ptr[end] != '}') {
        end++;
    }
    const size_t name_len = name_end - start - 2;
    const bool has_default = name_end < text.len && text.ptr[name_end] == ':';
    if (end == text.len || name_len == 0 || name_len > 255 || (end != name_end && !has_default)) {
        ow_buffer_clear(out);
        ow_buffer_text(out, "a variable is written ${NAME} or ${NAME:default} ($${ stands for ${)");
        return 0;
    }
    char name[256];
    memcpy(name, text.ptr + start + 2, name_len);
    name[name_len] = '\0';
    const char *const value = variable(name, context);
    if (value != NULL) {
        ow_buffer_text(out, value);
    } else if (has_default) {
        ow_buffer_append(out, text.ptr + name_end + 1, end - name_end - 1);
    } else {
        ow_buffer_clear(out);
        ow_buffer_printf(out, "there is no variable '%s' in the environment, and no default", name);
        return 0;
    }
    return end + 1;
}

bool ow_tree_scalar_resolve(struct ow_slice text, ow_tree_variable_fn *variable, void *context,
                            struct ow_buffer *out, const char **ret_why)
{
    size_t done = 0;
    while (done < text.len) {
        const size_t start = find_variable(text, done);
        if (start < text.len && start > done && text.ptr[start - 1] == '$') {
            ow_buffer_append(out, text.ptr + done, start - 1 - done);
            ow_buffer_text(out, "${");
            done = start + 2;
            continue;
        }
        ow_buffer_append(out, text.ptr + done, start - done);
        if (start == text.len) {
            break;
        }
        done = resolve_one(text, start, variable, context, out);
        if (done == 0) {
            *ret_why = ow_buffer_cstr(out);
            return false;
        }
    }
    return true;
}

static bool is_any(struct ow_slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ow_slice_equals_text(text, words[i])) {
            return true;
        }
    }
    return false;
}

static size_t skip_digits(struct ow_slice text, size_t from)
{
    while (from < text.len && is_digit(text.ptr[from])) {
        from++;
    }
    return from;
}

static size_t skip_sign(struct ow_slice text, size_t from)
{
    return from < text.len && (text.ptr[from] == '-' || text.ptr[from] == '+') ? from + 1 : from;
}

/* [-+]? [0-9]+ */
static bool is_decimal(struct ow_slice text)
{
    const size_t sign = skip_sign(text, 0);
    return text.len > sign && skip_digits(text, sign) == text.len;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_real(struct ow_slice text)
{
    const size_t sign = skip_sign(text, 0);
    const size_t whole = skip_digits(text, sign);
    size_t at = whole;
    if (at < text.len && text.ptr[at] == '.') {
        at = skip_digits(text, at + 1);
        if (whole == sign && at == whole + 1) {
            return false;
        }
    } else if (whole == sign) {
        return false;
    }
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        const size_t digits = skip_sign(text, at + 1);
        at = skip_digits(text, digits);
        if (at == digits) {
            return false;
        }
    }
    return at == text.len;
}

static unsigned digit_of(uint8_t byte)
{
    if (is_digit(byte)) {
        return (unsigned)byte - '0';
    }
    if (byte >= 'a' && byte <= 'f') {
        return (unsigned)byte - 'a' + 10;
    }
    return byte >= 'A' && byte <= 'F' ? (unsigned)byte - 'A' + 10 : 99;
}

/* 0x1F and 0o17. False: not of that form. */
static bool parse_based(struct ow_slice text, int64_t *ret_value, bool *ret_fits)
{
    if (text.len < 3 || text.ptr[0] != '0' || (text.ptr[1] != 'x' && text.ptr[1] != 'o')) {
        return false;
    }
    const unsigned base = text.ptr[1] == 'x' ? 16 : 8;
    int64_t value = 0;
    bool fits = true;
    for (size_t i = 2; i < text.len; i++) {
        const unsigned digit = digit_of(text.ptr[i]);
        if (digit >= base) {
            return false;
        }
        fits = fits && value <= (INT64_MAX - (int64_t)digit) / (int64_t)base;
        value = fits ? value * (int64_t)base + (int64_t)digit : value;
    }
    *ret_value = value;
    *ret_fits = fits;
    return true;
}

static json_t *make_real(struct ow_slice text, const char **ret_why)
{
    char digits[128];
    if (text.len >= sizeof digits) {
        *ret_why = "a number of over 127 characters";
        return NULL;
    }
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    const double value = strtod(digits, NULL);
    if (!isfinite(value)) {
        *ret_why = "a number that is too large";
        return NULL;
    }
    return json_real(value);
}

json_t *ow_tree_scalar_plain(struct ow_slice text, const char **ret_why)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const yes[] = {"true", "True", "TRUE"};
    static const char *const no[] = {"false", "False", "FALSE"};
    static const char *const odd[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf", "+.INF",
                                      "-.inf", "-.Inf", "-.INF", ".nan",  ".NaN",  ".NAN"};
    if (is_any(text, nulls, sizeof nulls / sizeof *nulls)) {
        return json_null();
    }
    if (is_any(text, yes, 3) || is_any(text, no, 3)) {
        return json_boolean(is_any(text, yes, 3));
    }
    if (is_any(text, odd, sizeof odd / sizeof *odd)) {
        *ret_why = "a number that JSON does not have (quote it if it is a text)";
        return NULL;
    }
    int64_t value = 0;
    bool fits = true;
    const bool based = parse_based(text, &value, &fits);
    if (!based && is_decimal(text)) {
        const size_t plus = text.ptr[0] == '+' ? 1 : 0;
        fits = ow_parse_i64((struct ow_slice){text.ptr + plus, text.len - plus}, &value);
    } else if (!based) {
        return is_real(text) ? make_real(text, ret_why)
                             : json_stringn((const char *)text.ptr, text.len);
    }
    if (!fits) {
        *ret_why = "an integer beyond 64 bits (quote it if it is a text)";
        return NULL;
    }
    return json_integer(value);
}
