/*
 * threads: pthreads for lib/engine as coroutines of one thread: who runs next is drawn from the
 * seed, at each lock, unlock and wait; waits time out on the simulated clock. The worker is
 * compiled as it is, with threads_shim.h before it.
 *
 * Threads: one, for the outside. Memory: static stacks of some hundred KiB. Limits: MAX coroutines;
 * what they call may not block.
 */
#ifndef OW_SIMULATION_THREADS_H
#define OW_SIMULATION_THREADS_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

enum { OW_THREADS_MAX = 12 };

/* No coroutine may be alive. */
void ow_threads_reset(uint64_t seed);
/* Lets others run for a while. */
void ow_threads_yield(void);
/* Lets others run until what they were doing is done. */
void ow_threads_settle(void);
/* Called, outside of the first thread, whenever a lock is taken: between two of these a coroutine
 * has done one thing. */
void ow_threads_watch(void (*watch)(void *context), void *context);

int ow_threads_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                      void *context);
int ow_threads_join(pthread_t thread, void **ret_result);
int ow_threads_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int ow_threads_mutex_destroy(pthread_mutex_t *mutex);
int ow_threads_mutex_lock(pthread_mutex_t *mutex);
int ow_threads_mutex_unlock(pthread_mutex_t *mutex);
int ow_threads_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes);
int ow_threads_cond_destroy(pthread_cond_t *cond);
int ow_threads_cond_broadcast(pthread_cond_t *cond);
int ow_threads_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                              const struct timespec *until);
/* Whatever the clock: the simulated elapsed time. */
int ow_threads_clock_gettime(clockid_t clock, struct timespec *ret_time);

#endif
