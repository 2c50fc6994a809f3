/*
 * alloc: the process's allocator, of which the n-th call fails, once or for ever: malloc, calloc,
 * realloc and reallocarray of everybody in it: ours, SQLite's, jansson's, the C library's.
 *
 * Threads: one. Memory: static. Failure: none. Limits: not with sanitizers, which bring their own.
 */
#ifndef OW_FAULT_ALLOC_H
#define OW_FAULT_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* Whether calls can be made to fail in this build. */
bool ow_alloc_can_fail(void);
/* ret_caller: where who asked is noted when the first call fails; not touched before. */
void ow_alloc_arm(int64_t at, bool for_ever, const void *volatile *ret_caller);
void ow_alloc_disarm(void);

#endif
