/*
 * threads_shim: included by the compiler before each file of lib/engine, and of nothing else: its
 * threads are those of threads.h.
 */
#ifndef OW_SIMULATION_THREADS_SHIM_H
#define OW_SIMULATION_THREADS_SHIM_H

#include "threads.h"

/* The names of the C library itself, so that the engine's code is compiled as it is.
 * NOLINTBEGIN(readability-identifier-naming) */
#define pthread_create         ow_threads_create
#define pthread_join           ow_threads_join
#define pthread_mutex_init     ow_threads_mutex_init
#define pthread_mutex_destroy  ow_threads_mutex_destroy
#define pthread_mutex_lock     ow_threads_mutex_lock
#define pthread_mutex_unlock   ow_threads_mutex_unlock
#define pthread_cond_init      ow_threads_cond_init
#define pthread_cond_destroy   ow_threads_cond_destroy
#define pthread_cond_broadcast ow_threads_cond_broadcast
#define pthread_cond_timedwait ow_threads_cond_timedwait
#define clock_gettime          ow_threads_clock_gettime
/* NOLINTEND(readability-identifier-naming) */

#endif
