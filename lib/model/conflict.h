/*
 * conflict: what a quarantine row says of a conflict: in what the second message differs from the
 * first, by what the store and the batch have of the first.
 *
 * Pure. Threads: the apply thread's. Memory: the world's arena. Private to decide.c.
 */
#ifndef OW_MODEL_CONFLICT_H
#define OW_MODEL_CONFLICT_H

#include "model/world.h"

/*
 * claim: the first's. stored: what the store has of the first, NULL: it was not asked. The text is
 * the same however the records were batched.
 */
const char *ow_conflict_detail(const struct ow_world *world, const struct ow_event *second,
                               const struct ow_claim *claim, const struct ow_kept *stored);

#endif
