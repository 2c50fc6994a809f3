/*
 * suspect_fixture: notes in memory, a position, and the processes that take and read them, for the
 * tests of model/suspect.h.
 *
 * Memory: static.
 */
#ifndef OW_TESTS_UNIT_MODEL_SUSPECT_FIXTURE_H
#define OW_TESTS_UNIT_MODEL_SUSPECT_FIXTURE_H

#include "model/suspect.h"

enum { OW_SUSPECT_TEST_PARTITION = 3 };
#define OW_SUSPECT_TEST_BOOT  "boot-1"
#define OW_SUSPECT_TEST_STORE "0123456789abcdef0123456789abcdef"

extern struct ow_suspects *ow_suspect_notes;
extern struct ow_position ow_suspect_position; /* where the store is */
extern int64_t ow_suspect_epoch;               /* of the process that runs */

/* For cmocka. */
int ow_suspect_begin(void **state);
int ow_suspect_end(void **state);

struct ow_record ow_suspect_record(int64_t offset);
/* The next process. */
struct ow_death ow_suspect_start_anew(void);
void ow_suspect_hand_out(int64_t offset);
void ow_suspect_work(size_t slot, enum ow_stage stage, int64_t offset, size_t records,
                     int64_t parked_id);
enum ow_care ow_suspect_care_of(int64_t offset);
enum ow_treatment ow_suspect_treatment_of(int64_t offset);
bool ow_suspect_controlled(int64_t offset);

#endif
