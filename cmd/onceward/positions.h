/*
 * positions: the parts of `onceward positions`: what it asks (positions_list.c) and what it changes
 * (positions_change.c).
 *
 * Threads: the main thread. Failure: an exit code, with a line on stderr.
 */
#ifndef OW_CMD_POSITIONS_H
#define OW_CMD_POSITIONS_H

#include "config.h"
#include "engine/positions.h"
#include "output.h"

/* What the brokers are asked with. */
struct ow_positions_session {
    struct ow_config config;
    struct ow_arena arena;
    struct ow_consume_options next; /* as the next start will have them */
    struct ow_source *source;
    char instance_id[64];
};

/* The configuration; _close in any case. */
enum ow_status ow_positions_session_open(struct ow_positions_session *session,
                                         const struct ow_invocation *invocation, struct ow_err *err)
    OW_MUST_USE;
/* The brokers, for a store of that id; epoch: the next start's. restored_epoch: 0: it never was. */
enum ow_status ow_positions_session_connect(struct ow_positions_session *session,
                                            const char *store_id, int64_t epoch,
                                            int64_t restored_epoch, struct ow_err *err) OW_MUST_USE;
void ow_positions_session_close(struct ow_positions_session *session);

enum ow_status ow_positions_show(const struct ow_invocation *invocation, enum ow_output output,
                                 struct ow_err *err) OW_MUST_USE;
enum ow_status ow_positions_move(const struct ow_invocation *invocation,
                                 struct ow_positions_order *order, enum ow_output output,
                                 struct ow_err *err) OW_MUST_USE;

#endif
