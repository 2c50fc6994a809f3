#include "alloc.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#if OW_FAULT_ALLOC

/* glibc lets a program have its own allocator, and keeps its own under these names.
 * NOLINTBEGIN(cert-dcl51-cpp,readability-identifier-naming) */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
/* NOLINTEND(cert-dcl51-cpp,readability-identifier-naming) */

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

void *malloc(size_t size)
{
    return strikes(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
    return strikes(__builtin_return_address(0)) ? NULL : __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    return strikes(__builtin_return_address(0)) ? NULL : __libc_realloc(ptr, size);
}

void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
    size_t all = 0;
    if (strikes(__builtin_return_address(0)) || __builtin_mul_overflow(nmemb, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(ptr, all);
}

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
