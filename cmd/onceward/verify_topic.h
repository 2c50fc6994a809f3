/*
 * verify_topic: `onceward verify --topic`: the topics themselves, held against the store.
 *
 * Threads: the main thread.
 */
#ifndef OW_CMD_VERIFY_TOPIC_H
#define OW_CMD_VERIFY_TOPIC_H

#include "command.h"
#include "store/verify.h"

#define OW_ARGUMENT_TOPIC                                                                          \
    {                                                                                              \
        .name = "topic",                                                                           \
        .text = "Reads the topics too (with -c), beside the group: no record is without an "       \
                "outcome."                                                                         \
    }

/*
 * Reads the topics of the store's machines from their beginning and adds the promises about them to
 * verification. Says on stderr what cannot be checked any more. Nothing of the group is touched.
 */
enum ow_status ow_verify_topic_add(const struct ow_invocation *invocation, struct ow_arena *arena,
                                   struct ow_verification *verification, struct ow_err *err)
    OW_MUST_USE;

#endif
