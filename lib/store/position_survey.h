/*
 * position_survey: the positions of a store for whoever asks from outside, beside a worker.
 *
 * One short snapshot through a connection that cannot write. Threads: any. Memory: the caller's
 * arena. Failure: BAD_CONFIG where there is no store, UNSAFE where it cannot be read as it is,
 * FAILED.
 */
#ifndef OW_STORE_POSITION_SURVEY_H
#define OW_STORE_POSITION_SURVEY_H

#include "base/status.h"
#include "model/world.h"

struct ow_position_survey {
    const char *store_id;
    int64_t epoch;                 /* of the last owner */
    int64_t restored_epoch;        /* 0: never restored */
    struct ow_position *positions; /* of the present incarnations, by topic and partition; without
                                      their ledgers */
};

enum ow_status ow_position_survey(const char *path, struct ow_arena *arena,
                                  struct ow_position_survey *ret_survey, struct ow_err *err)
    OW_MUST_USE;

#endif
