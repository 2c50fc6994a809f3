#include "claims_tool.h"

#include <sqlite3.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void claims_tool_must(enum ow_status status, const struct ow_err *err)
{
    if (status != OW_OK) {
        (void)fprintf(stderr, "claims: %s\n", err->text);
        exit(1);
    }
}

void claims_tool_check(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "claims: WRONG: %s\n", what);
        exit(1);
    }
}

static double seconds_of(clockid_t clock)
{
    struct timespec time = {0};
    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double claims_tool_now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double claims_tool_cpu(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* splitmix64 (Vigna): a bijection. */
uint64_t claims_tool_mix(uint64_t number)
{
    uint64_t x = number + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

void claims_samples_add(struct claims_samples *samples, double seconds)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity == 0 ? 1024 : 2 * samples->capacity;
        samples->list = reallocarray(samples->list, samples->capacity, sizeof(*samples->list));
        claims_tool_check(samples->list != NULL, "out of memory");
    }
    samples->list[samples->count++] = seconds;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

double claims_samples_ms(struct claims_samples *samples, double share)
{
    if (samples->count == 0) {
        return 0;
    }
    qsort(samples->list, samples->count, sizeof(*samples->list), compare);
    return 1000 * samples->list[(size_t)(share * (double)(samples->count - 1))];
}

void claims_samples_done(struct claims_samples *samples)
{
    free(samples->list);
    *samples = (struct claims_samples){0};
}

double claims_tool_heap(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd - (double)sqlite3_memory_used();
}
