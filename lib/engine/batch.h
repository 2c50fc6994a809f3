/*
 * batch: the steps of one transaction, in their order: begin, read what the events touch, judge
 * each, write, commit. apply.c and poison.c put them together.
 *
 * Threads, memory and failure: as in apply.h, whose struct it works on. Private to lib/engine.
 */
#ifndef OW_ENGINE_BATCH_H
#define OW_ENGINE_BATCH_H

#include "engine/apply.h"

/* Empties the world and begins a transaction. */
enum ow_status ow_batch_begin(struct ow_apply *apply, struct ow_err *err) OW_MUST_USE;
/* An empty world in an empty arena, within the transaction: what was read before is gone, refs go
 * on counting. */
void ow_batch_start_world(struct ow_apply *apply);
/* Whether a record still counts: of this assignment and not below the position. */
bool ow_batch_is_wanted(const struct ow_apply *apply, const struct ow_record *record);
/* Reads all that the events touch: first what they name, then what that makes necessary. */
enum ow_status ow_batch_read(struct ow_apply *apply, const struct ow_event *const *events,
                             size_t count, struct ow_err *err) OW_MUST_USE;
/* What has been parked comes back as bytes; read as events it can be judged. */
void ow_batch_decode_parked(struct ow_apply *apply);
/* Judges one record with all that those before it in this world have left. UNSAFE: another topic.
 */
enum ow_status ow_batch_judge(struct ow_apply *apply, const struct ow_event *event,
                              struct ow_judging judging, struct ow_totals *totals,
                              struct ow_err *err) OW_MUST_USE;
enum ow_status ow_batch_write(struct ow_apply *apply, struct ow_err *err) OW_MUST_USE;
enum ow_status ow_batch_commit(struct ow_apply *apply, struct ow_err *err) OW_MUST_USE;
/* Forgets the transaction and what it did to the positions. */
void ow_batch_roll_back(struct ow_apply *apply);

#endif
