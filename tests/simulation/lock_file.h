/*
 * lock_file: what is left of "<store>.lock" after a crash: it says that the owner was running, in
 * this start of the host (kill -9) or in another one (a power cut).
 *
 * Threads: any. Memory: none.
 */
#ifndef OW_SIMULATION_LOCK_FILE_H
#define OW_SIMULATION_LOCK_FILE_H

#include <stdbool.h>

void ow_lock_file_write(const char *path, bool rebooted);

#endif
