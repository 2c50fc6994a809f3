/*
 * workload: what shops and payment providers send, with what goes wrong on the way: redelivered,
 * late, early, changed, repeated under another id, unreadable.
 *
 * Threads: one. Memory: a value.
 */
#ifndef OW_SIMULATION_WORKLOAD_H
#define OW_SIMULATION_WORKLOAD_H

#include "message.h"
#include "random.h"

enum { OW_WORKLOAD_MAX = 160 };

struct ow_workload {
    struct ow_message messages[OW_WORKLOAD_MAX];
    size_t count;
    int ids, payments; /* used so far */
};

/* About wanted messages, in the order in which they are sent. */
void ow_workload_make(struct ow_workload *workload, struct ow_random *random, int wanted);

#endif
