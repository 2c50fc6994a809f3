/*
 * demo_folder: where the demo keeps its database, its machine, the worker's configuration and the
 * worker's log.
 *
 * Threads: the main thread. Memory: the caller's. The folder stays: the demo ends by saying where
 * it is.
 */
#ifndef OW_CMD_DEMO_FOLDER_H
#define OW_CMD_DEMO_FOLDER_H

#include "base/status.h"

enum { OW_DEMO_PATH_BYTES = 512 };

struct ow_demo_folder {
    char path[OW_DEMO_PATH_BYTES];
    char store[OW_DEMO_PATH_BYTES];
    char config[OW_DEMO_PATH_BYTES];
    char machine[OW_DEMO_PATH_BYTES];
    char log[OW_DEMO_PATH_BYTES];
};

/* wanted: a folder without a store in it, made where it is missing; NULL: a new one under $TMPDIR.
 */
enum ow_status ow_demo_folder_open(struct ow_demo_folder *folder, const char *wanted,
                                   struct ow_err *err) OW_MUST_USE;

/* Writes the machine and the configuration of a worker of these brokers. */
enum ow_status ow_demo_folder_write(const struct ow_demo_folder *folder, const char *bootstraps,
                                    struct ow_err *err) OW_MUST_USE;

#endif
