/*
 * member_fixture: a member of the group for the tests of the poll loop: the memory source, whose
 * operations a test may replace or let fail, a worker, and somebody else's hand on the store.
 *
 * Threads: the test's, which is the poll thread. Memory: static; one member at a time.
 */
#ifndef OW_TESTS_UNIT_MEMBER_FIXTURE_H
#define OW_TESTS_UNIT_MEMBER_FIXTURE_H

#include "engine/consume.h"
#include "engine/source_memory.h"
#include "engine_fixture.h"
#include "support/engine/flaky_source.h"

#include <sqlite3.h>

struct ow_member {
    int64_t joins; /* each is another process, and has an epoch of its own */
    struct ow_fixture *fixture;
    struct ow_memory_broker *broker;
    struct ow_worker *worker;
    struct ow_clock clock;        /* the worker's */
    struct ow_suspects *suspects; /* likewise; NULL: nobody takes notes */
    struct ow_flaky flaky;
    const struct ow_source_ops *inner; /* flaky's own, where a test looks at a call */
    struct ow_source_ops ops;
    atomic_bool stop;
    sqlite3 *other; /* holds the store's write lock: the worker stands still; NULL: nobody does */
    int64_t polls;  /* a test's own count */
};

extern struct ow_member ow_member;

/* For cmocka: a store, and a broker with the topic order-events. */
int ow_member_start(void **state);
int ow_member_stop(void **state);

/* Records of the story at the end of order-events. */
void ow_member_append_story(int64_t first, int64_t last);
/* Starts the worker, whose chunks have so many records, and opens the source. */
void ow_member_join(size_t batch_rows, size_t decode_threads);
void ow_member_leave(void);
/* To the end, and no further. */
struct ow_consume_options ow_member_options(void);
void ow_member_consume(const struct ow_consume_options *options);
/* A next run without trouble: everything is there once. */
void ow_member_goes_on_to(int64_t end);

void ow_member_hold_store(void);
/* Takes the store over, as a process would that has the next epoch; it must be held. */
void ow_member_take_over(void);
/* As its own last act the other process gives the store back, so that the test can go on. */
void ow_member_give_back(void);
void ow_member_let_go(void);

#endif
