#include "base/parse.h"

#include <stdio.h>

bool ow_parse_i64(struct ow_slice text, int64_t *ret_value)
{
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == text.len) {
        return false;
    }
    int64_t value = 0;
    for (; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        const int64_t digit = text.ptr[i] - '0';
        /* Counted downwards, so that INT64_MIN is reached without overflow. */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (!negative && value == INT64_MIN) {
        return false;
    }
    *ret_value = negative ? value : -value;
    return true;
}

bool ow_parse_duration_ms(struct ow_slice text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {
        {"ms", 1       },
        {"s",  1000    },
        {"m",  60000   },
        {"h",  3600000 },
        {"d",  86400000}
    };
    const int64_t limit_ms = INT64_C(100000) * 86400000;

    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    int64_t count = 0;
    if (!ow_parse_i64((struct ow_slice){text.ptr, digits}, &count)) {
        return false;
    }
    const struct ow_slice unit = {text.ptr + digits, text.len - digits};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (ow_slice_equals_text(unit, units[i].unit)) {
            if (count > limit_ms / units[i].ms) {
                return false;
            }
            *ret_ms = count * units[i].ms;
            return true;
        }
    }
    return false;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    /* March is taken as the first month, so that the leap day is the year's last. */
    const int64_t shifted_year = month <= 2 ? year - 1 : year;
    const int64_t era = (shifted_year >= 0 ? shifted_year : shifted_year - 399) / 400;
    const int64_t year_of_era = shifted_year - era * 400;
    const int64_t month_from_march = (month + 9) % 12;
    const int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

struct cursor {
    struct ow_slice text;
    size_t at;
    bool ok;
};

static int64_t take_digits(struct cursor *cursor, size_t count)
{
    int64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (cursor->at >= cursor->text.len || cursor->text.ptr[cursor->at] < '0' ||
            cursor->text.ptr[cursor->at] > '9') {
            cursor->ok = false;
            return 0;
        }
        value = value * 10 + (cursor->text.ptr[cursor->at] - '0');
        cursor->at++;
    }
    return value;
}

static bool take_char(struct cursor *cursor, const char *any_of)
{
    if (cursor->at < cursor->text.len && strchr(any_of, cursor->text.ptr[cursor->at]) != NULL &&
        cursor->text.ptr[cursor->at] != 0) {
        cursor->at++;
        return true;
    }
    return false;
}

static void expect_char(struct cursor *cursor, const char *any_of)
{
    cursor->ok = take_char(cursor, any_of) && cursor->ok;
}

/* ".123456" truncated to milliseconds; nothing where there is no dot. */
static int64_t take_fraction_ms(struct cursor *cursor)
{
    if (!take_char(cursor, ".")) {
        return 0;
    }
    int64_t ms = take_digits(cursor, 1) * 100;
    int64_t weight = 10;
    while (cursor->at < cursor->text.len && cursor->text.ptr[cursor->at] >= '0' &&
           cursor->text.ptr[cursor->at] <= '9') {
        ms += (cursor->text.ptr[cursor->at] - '0') * weight;
        weight /= 10;
        cursor->at++;
    }
    return ms;
}

/* "Z" or "+hh:mm": minutes east of UTC. */
static int64_t take_offset_minutes(struct cursor *cursor)
{
    if (take_char(cursor, "Zz")) {
        return 0;
    }
    const bool west = cursor->at < cursor->text.len && cursor->text.ptr[cursor->at] == '-';
    expect_char(cursor, "+-");
    const int64_t hours = take_digits(cursor, 2);
    expect_char(cursor, ":");
    const int64_t minutes = take_digits(cursor, 2);
    cursor->ok = cursor->ok && hours <= 23 && minutes <= 59;
    return west ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

bool ow_parse_time_ms(struct ow_slice text, int64_t *ret_ms)
{
    struct cursor cursor = {.text = text, .ok = true};
    const int64_t year = take_digits(&cursor, 4);
    expect_char(&cursor, "-");
    const int64_t month = take_digits(&cursor, 2);
    expect_char(&cursor, "-");
    const int64_t day = take_digits(&cursor, 2);
    expect_char(&cursor, "Tt ");
    const int64_t hour = take_digits(&cursor, 2);
    expect_char(&cursor, ":");
    const int64_t minute = take_digits(&cursor, 2);
    expect_char(&cursor, ":");
    int64_t second = take_digits(&cursor, 2);
    int64_t fraction_ms = take_fraction_ms(&cursor);
    const int64_t offset_minutes = take_offset_minutes(&cursor);
    if (!cursor.ok || cursor.at != text.len || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    if (second == 60) {
        second = 59;
        fraction_ms = 999;
    }
    const int64_t days = days_of(year, month, day);
    const int64_t minutes = (days * 24 + hour) * 60 + minute - offset_minutes;
    *ret_ms = (minutes * 60 + second) * 1000 + fraction_ms;
    return true;
}

void ow_format_time_ms(int64_t time_ms, char text[OW_TIME_TEXT_BYTES])
{
    const int64_t day_ms = 86400000;
    int64_t days = time_ms / day_ms;
    int64_t rest = time_ms % day_ms;
    if (rest < 0) {
        rest += day_ms;
        days--;
    }
    /* The inverse of days_of. */
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t day_of_era = z - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const int64_t year = year_of_era + era * 400 + (month <= 2);
    (void)snprintf(text, OW_TIME_TEXT_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", (int)year,
                   (unsigned)month, (unsigned)day, (unsigned)(rest / 3600000),
                   (unsigned)(rest / 60000 % 60), (unsigned)(rest / 1000 % 60),
                   (unsigned)(rest % 1000));
}
