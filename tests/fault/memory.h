/*
 * memory: the n-th allocation fails, for each n, once and for ever, in a process that opens its
 * store, does a step of a story and ends. It says so with a status, or dies of it, which is what
 * out of memory does by design; and the next start must come to the end that there is without a
 * fault.
 *
 * Files are real ones, for what a process that dies has written stays. Threads: one. Memory: a
 * scene's. Failure: violations.
 */
#ifndef OW_FAULT_MEMORY_H
#define OW_FAULT_MEMORY_H

#include "trial.h"

struct ow_memory_options {
    uint64_t seed;
    int stride;
    /* -1: all; else only these */
    int step, at;
    bool for_ever;
};

/* The share of a process, of so many. */
void ow_memory_work(struct ow_trial *trial, const struct ow_memory_options *options, size_t jobs);

#endif
