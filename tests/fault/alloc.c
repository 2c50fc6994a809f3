#include "alloc.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#if OW_FAULT_ALLOC

/* glibc lets a program have its own allocator, and keeps its own under these names. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

static bool armed;
static bool lasts;
static int64_t left;
static const void *volatile *caller;

static bool strikes(const void *who)
{
    if (!armed || --left > 0 || (left < 0 && !lasts)) {
        return false;
    }
    if (left == 0) {
        *caller = who;
    }
    errno = ENOMEM;
    return true;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library has no names */
void *malloc(size_t bytes)
{
    return strikes(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return strikes(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    return strikes(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, bytes);
}

void *reallocarray(void *memory, size_t count, size_t bytes)
{
    size_t all = 0;
    if (strikes(__builtin_return_address(0)) || __builtin_mul_overflow(count, bytes, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(memory, all);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

bool ow_alloc_can_fail(void)
{
    return true;
}

void ow_alloc_arm(int64_t at, bool for_ever, const void *volatile *ret_caller)
{
    left = at;
    lasts = for_ever;
    caller = ret_caller;
    armed = true;
}

void ow_alloc_disarm(void)
{
    armed = false;
}

#else

bool ow_alloc_can_fail(void)
{
    return false;
}

void ow_alloc_arm(int64_t at, bool for_ever, const void *volatile *ret_caller)
{
    (void)at, (void)for_ever, (void)ret_caller;
}

void ow_alloc_disarm(void)
{
}

#endif
