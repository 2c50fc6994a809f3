/*
 * careful: judging a chunk of suspects (model/suspect.h): each record is read, judged and written
 * while nothing else is in work, and noted before, so that a death of the process names it. What
 * was convicted is quarantined instead. Private to lib/engine.
 */
#ifndef OW_ENGINE_CAREFUL_H
#define OW_ENGINE_CAREFUL_H

#include "engine/apply.h"

/* All records of the chunk, which need not have been decoded, in one transaction. */
enum ow_status ow_careful_judge(struct ow_apply *apply, struct ow_chunk *chunk,
                                struct ow_totals *totals, struct ow_err *err) OW_MUST_USE;

#endif
