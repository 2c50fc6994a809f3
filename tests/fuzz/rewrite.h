/*
 * rewrite: a CloudEvent as the other content mode would carry it: who sends the same event in the
 * other way must get the same outcome.
 *
 * Threads: pure. Memory: the arena's; headers and key are the record's. Failure: false where the
 * event cannot be said in the other mode.
 */
#ifndef OW_TESTS_FUZZ_REWRITE_H
#define OW_TESTS_FUZZ_REWRITE_H

#include "model/envelope.h"

/* A structured event with ce_ headers and its data as the value. */
bool ow_rewrite_as_binary(const struct ow_envelope *envelope, const struct ow_record *record,
                          struct ow_arena *arena, struct ow_record *ret_record);
/* A binary event as one JSON document. */
void ow_rewrite_as_structured(const struct ow_envelope *envelope, const struct ow_record *record,
                              struct ow_arena *arena, struct ow_record *ret_record);

#endif
