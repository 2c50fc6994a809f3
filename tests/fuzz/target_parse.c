/*
 * parse: integers, durations and times out of hostile text, and commit metadata, against the C
 * library and sums of our own. An input is one text; its first bytes are a time to be written, too.
 */
#include "base/parse.h"
#include "fuzz.h"
#include "model/position.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { UNTOUCHED = 42 };

static size_t count_digits(struct ow_slice text, size_t from)
{
    size_t at = from;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
        at++;
    }
    return at - from;
}

/* Decimal digits within 64 bits, by strtoll. */
static bool expect_i64(struct ow_slice text, int64_t *ret_value)
{
    const size_t sign = text.len > 0 && text.ptr[0] == '-' ? 1 : 0;
    if (text.len == sign || count_digits(text, sign) != text.len - sign) {
        return false;
    }
    char digits[32] = "";
    size_t zeros = sign;
    while (zeros + 1 < text.len && text.ptr[zeros] == '0') {
        zeros++;
    }
    if (text.len - zeros > 19) {
        return false;
    }
    (void)snprintf(digits, sizeof digits, "%s" OW_SLICE_FMT, sign == 1 ? "-" : "",
                   (int)(text.len - zeros), (const char *)text.ptr + zeros);
    *ret_value = strtoll(digits, NULL, 10);
    char again[32];
    (void)snprintf(again, sizeof again, "%lld", (long long)*ret_value);
    return strcmp(again, digits) == 0 || strcmp(digits, "-0") == 0;
}

static void check_i64(struct ow_slice text)
{
    int64_t value = UNTOUCHED;
    int64_t expected = UNTOUCHED;
    const bool read = ow_parse_i64(text, &value);
    if (expect_i64(text, &expected)) {
        OW_PROMISE(read && value == expected);
    } else {
        OW_PROMISE(!read && value == UNTOUCHED);
    }
}

static void check_duration(struct ow_slice text)
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
    const size_t digits = count_digits(text, 0);
    const struct ow_slice unit = {text.ptr + digits, text.len - digits};
    int64_t count = 0;
    int64_t expected = UNTOUCHED;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (ow_slice_equals_text(unit, units[i].unit) &&
            expect_i64((struct ow_slice){text.ptr, digits}, &count) &&
            count <= INT64_C(8640000000000) / units[i].ms) {
            expected = count * units[i].ms;
        }
    }
    int64_t ms = UNTOUCHED;
    const bool read = ow_parse_duration_ms(text, &ms);
    OW_PROMISE(ms == expected && (read || ms == UNTOUCHED));
}

/* What the C library makes of a time. */
static void write_time(int64_t time_ms, char *text, size_t text_bytes)
{
    const int64_t rest_ms = (time_ms % 1000 + 1000) % 1000;
    const time_t seconds = (time_t)((time_ms - rest_ms) / 1000);
    struct tm tm;
    OW_REQUIRE(gmtime_r(&seconds, &tm) != NULL);
    (void)snprintf(text, text_bytes, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest_ms);
}

static void check_format(int64_t time_ms)
{
    char text[OW_TIME_TEXT_BYTES];
    char expected[64];
    /* Below the last whole second of 64 bits, where the sum of the library's side would overflow.
     */
    if (time_ms < INT64_MIN + 1000) {
        return;
    }
    ow_format_time_ms(time_ms, text);
    write_time(time_ms, expected, sizeof expected);
    OW_PROMISE(strcmp(text, expected) == 0);
    int64_t again = UNTOUCHED;
    if (strlen(text) == sizeof("2026-11-22T10:00:00.123Z") - 1 && text[0] != '-') {
        OW_PROMISE(ow_parse_time_ms(ow_slice_of(text), &again) && again == time_ms);
    }
}

static int two_digits(struct ow_slice text, size_t at)
{
    return (text.ptr[at] - '0') * 10 + (text.ptr[at + 1] - '0');
}

/* A time that was read: the date and the clock as timegm counts them, minus the offset that it ends
 * with. */
static int64_t expect_time_ms(struct ow_slice text)
{
    struct tm tm = {.tm_year = two_digits(text, 0) * 100 + two_digits(text, 2) - 1900,
                    .tm_mon = two_digits(text, 5) - 1,
                    .tm_mday = two_digits(text, 8),
                    .tm_hour = two_digits(text, 11),
                    .tm_min = two_digits(text, 14),
                    .tm_sec = two_digits(text, 17)};
    const bool leap_second = tm.tm_sec == 60;
    tm.tm_sec = leap_second ? 59 : tm.tm_sec;
    const struct tm written = tm;
    int64_t ms = (int64_t)timegm(&tm) * 1000;
    OW_PROMISE(written.tm_mday == tm.tm_mday && written.tm_mon == tm.tm_mon); /* it is a date */
    int64_t weight = 100;
    for (size_t at = 20; text.ptr[19] == '.' && count_digits(text, at) > 0; at++) {
        ms += leap_second ? 0 : (text.ptr[at] - '0') * weight;
        weight /= 10;
    }
    ms += leap_second ? 999 : 0;
    const uint8_t last = text.ptr[text.len - 1];
    if (last != 'Z' && last != 'z') {
        const int64_t minutes =
            two_digits(text, text.len - 5) * 60 + two_digits(text, text.len - 2);
        ms -= (text.ptr[text.len - 6] == '-' ? -minutes : minutes) * 60000;
    }
    return ms;
}

static void check_time(struct ow_slice text)
{
    int64_t ms = UNTOUCHED;
    if (!ow_parse_time_ms(text, &ms)) {
        OW_PROMISE(ms == UNTOUCHED);
        return;
    }
    OW_PROMISE(text.len >= sizeof("2026-11-22T10:00:00Z") - 1);
    OW_PROMISE(ms == expect_time_ms(text));
}

/* What is taken for our own metadata is what we would write, and reads back the same. */
static void check_metadata(struct ow_slice text)
{
    const struct ow_metadata metadata = ow_metadata_parse(text);
    if (!metadata.ours) {
        return;
    }
    char written[OW_METADATA_BYTES];
    ow_metadata_format(written, metadata.store_id, metadata.epoch, metadata.offset);
    const struct ow_metadata again = ow_metadata_parse(ow_slice_of(written));
    OW_PROMISE(again.ours && again.epoch == metadata.epoch && again.offset == metadata.offset);
    OW_PROMISE(memcmp(again.store_id, metadata.store_id, sizeof again.store_id) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const struct ow_slice text = {bytes, len};
    check_i64(text);
    check_duration(text);
    check_time(text);
    check_metadata(text);
    int64_t time_ms = 0;
    memcpy(&time_ms, bytes, len < sizeof time_ms ? len : sizeof time_ms);
    check_format(time_ms);
    return 0;
}
