/*
 * crash: the power goes at each sync of a story, in each of many ways. What was durable must be
 * there, what was not must be there as a whole or not at all, and the story must come to the same
 * end.
 *
 * Threads: one. Memory: some 100 MiB a story. Failure: violations.
 */
#ifndef OW_FAULT_CRASH_H
#define OW_FAULT_CRASH_H

#include "trial.h"

struct ow_crash_options {
    uint64_t seed;
    uint64_t points; /* stories are begun until there are so many */
    int draws;       /* of each way that is drawn, at each boundary */
    /* -1: all; else only these */
    int64_t boundary;
    int loss, draw;
};

/* Whole stories, seed after seed, taken from what the processes share. */
void ow_crash_work(struct ow_trial *trial, const struct ow_crash_options *options);

#endif
