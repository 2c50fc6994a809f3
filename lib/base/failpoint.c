#include "base/failpoint.h"

#include "base/parse.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *text;
} points[OW_FAILPOINT_COUNT] = {
#define OW_FAILPOINT_ROW(constant, name, text) [OW_FAILPOINT_##constant] = {(name), (text)},
    OW_FAILPOINT_TABLE(OW_FAILPOINT_ROW)
#undef OW_FAILPOINT_ROW
};

/* Written before there are threads, but for `left`: how often it is still to be passed; 0: none. */
static enum ow_failpoint armed;
static int armed_signal;
static _Atomic int64_t left;

const char *ow_failpoint_name(enum ow_failpoint point)
{
    OW_REQUIRE(point < OW_FAILPOINT_COUNT);
    return points[point].name;
}

const char *ow_failpoint_text(enum ow_failpoint point)
{
    OW_REQUIRE(point < OW_FAILPOINT_COUNT);
    return points[point].text;
}

/* What lies before the next colon; *text goes on behind it, and is absent behind the last. */
static struct ow_slice take_word(struct ow_slice *text)
{
    const uint8_t *colon = text->ptr == NULL ? NULL : memchr(text->ptr, ':', text->len);
    const struct ow_slice word = {text->ptr,
                                  colon == NULL ? text->len : (size_t)(colon - text->ptr)};
    *text = colon == NULL ? (struct ow_slice){0}
                          : (struct ow_slice){colon + 1, text->len - word.len - 1};
    return word;
}

enum ow_status ow_failpoint_arm(const char *text, struct ow_err *err)
{
    atomic_store(&left, 0);
    if (text == NULL) {
        return OW_OK;
    }
    struct ow_slice rest = ow_slice_of(text);
    const struct ow_slice name = take_word(&rest);
    const struct ow_slice nth = take_word(&rest);
    const struct ow_slice what = rest;
    int64_t passes = 0;
    unsigned point = 0;
    while (point < OW_FAILPOINT_COUNT && !ow_slice_equals_text(name, points[point].name)) {
        point++;
    }
    const bool stops = ow_slice_equals_text(what, "stop");
    if (point == OW_FAILPOINT_COUNT || !ow_parse_i64(nth, &passes) || passes < 1 ||
        !(what.ptr == NULL || stops || ow_slice_equals_text(what, "kill"))) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "ONCEWARD_FAILPOINT: '%s' is not NAME:NTH[:kill|stop] with one of the names "
                       "that ONCEWARD_FAILPOINT=list prints",
                       text);
    }
    armed = (enum ow_failpoint)point;
    armed_signal = stops ? SIGSTOP : SIGKILL;
    atomic_store(&left, passes);
    return OW_OK;
}

void ow_failpoint_pass(enum ow_failpoint point)
{
    if (atomic_load_explicit(&left, memory_order_relaxed) <= 0 || point != armed ||
        atomic_fetch_sub(&left, 1) != 1) {
        return;
    }
    char line[128]; /* no stream: its lock may be held */
    const int len = snprintf(line, sizeof(line), "failpoint: %s\n", points[point].name);
    if (write(STDERR_FILENO, line, (size_t)len) != len) {
        line[0] = '\0'; /* the test that looks for it says so */
    }
    (void)kill(getpid(), armed_signal);
}
