/*
 * calls: the n-th call of the file system fails, for each n, once and for ever, while a worker
 * opens its store, does a step of a story and ends. It must say so with the right status, or go on;
 * and the next start must come to the end that there is without a fault.
 *
 * Threads: one. Memory: a scene's. Failure: violations.
 */
#ifndef OW_FAULT_CALLS_H
#define OW_FAULT_CALLS_H

#include "trial.h"

struct ow_calls_options {
    uint64_t seed;
    int stride; /* each n, each second one, … */
    /* -1: all; else only these */
    int step, kind, at;
    bool for_ever;
};

/* The share of a process, of so many. */
void ow_calls_work(struct ow_trial *trial, const struct ow_calls_options *options, size_t jobs);

#endif
